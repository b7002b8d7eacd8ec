package signing

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"time"

	"vanthu/signing/pki"
)

// ErrNothingToReport is the error of Report.XML for a file without a signature: the standard has no report for that.
var ErrNothingToReport = errors.New("there is no signature to report on")

// PolicyID names the rules by which this package judges, in reports.
const PolicyID = "urn:vanthu:signature-validation-policy:1"

const (
	urnMain    = "urn:etsi:019102:mainindication:"
	urnSub     = "urn:etsi:019102:subindication:"
	urnProcess = "urn:etsi:019102:validationprocess:"
	urnObject  = "urn:etsi:019102:validationObject:"
	urnProof   = "urn:etsi:019102:poetype:validation"
	urnReason  = "urn:vanthu:reason"
)

// evidenceOf is what a report in XML says beyond the JSON one. It stays in memory.
type evidenceOf struct {
	at         time.Time           // of judging
	chain      []*x509.Certificate // leaf first
	value      []byte              // signature value
	hash       crypto.Hash
	digest     []byte   // of the signed bytes
	timestamps [][]byte // tokens, DER
	crls       [][]byte
	ocsps      [][]byte
}

// XML is the report in the form of ETSI TS 119 102-2 v1.4.1: per signature its identifier, policy, times, signer,
// indication with sub-indication and reasons, and behind them the certificates (whole), time stamps, CRLs and OCSP
// responses (by digest) with proofs of existence. It belongs to the Report that a judgement returned; one that came
// from JSON has no objects. Files without a signature give ErrNothingToReport.
func (r *Report) XML() ([]byte, error) {
	if len(r.Signatures) == 0 {
		return nil, ErrNothingToReport
	}
	out := xmlReport{NS: "http://uri.etsi.org/19102/v1.4.1#", DS: "http://www.w3.org/2000/09/xmldsig#", XAdES: "http://uri.etsi.org/01903/v1.3.2#"}
	objects := &xmlObjects{seen: map[string]bool{}}
	for i := range r.Signatures {
		out.Reports = append(out.Reports, r.Signatures[i].xml(i+1, r.File, objects))
	}
	if len(objects.list) > 0 {
		out.Objects = &struct {
			List []xmlObject `xml:"ValidationObject"`
		}{objects.list}
	}
	data, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the report: %w", err)
	}
	return append([]byte(xml.Header), append(data, '\n')...), nil
}

type xmlReport struct {
	XMLName xml.Name       `xml:"ValidationReport"`
	NS      string         `xml:"xmlns,attr"`
	DS      string         `xml:"xmlns:ds,attr"`
	XAdES   string         `xml:"xmlns:xades,attr"`
	Reports []xmlSignature `xml:"SignatureValidationReport"`
	Objects *struct {
		List []xmlObject `xml:"ValidationObject"`
	} `xml:"SignatureValidationObjects"`
}

type xmlSignature struct {
	Identifier  xmlIdentifier `xml:"SignatureIdentifier"`
	Constraints struct {
		Policy struct {
			ID   string `xml:"SignaturePolicyIdentifier>xades:SigPolicyId>xades:Identifier"`
			Name string `xml:"PolicyName"`
		} `xml:"SignatureValidationPolicy"`
		Status []xmlConstraint `xml:"ValidationConstraint"`
	} `xml:"ValidationConstraintsEvaluationReport"`
	Time struct {
		Judged time.Time `xml:"ValidationTime"`
		Best   xmlPOE    `xml:"BestSignatureTime"`
	} `xml:"ValidationTimeInfo"`
	Document   *xmlDocument `xml:"SignersDocument"`
	Attributes struct {
		SigningTime *xmlSigningTime `xml:"SigningTime"`
		Location    string          `xml:"SignatureProductionPlace>AddressString,omitempty"`
		Reason      string          `xml:"Reason>ReasonElement,omitempty"`
		Filter      string          `xml:"SubFilter>SubFilterElement,omitempty"`
	} `xml:"SignatureAttributes"`
	Signer  *xmlSigner `xml:"SignerInformation"`
	Process string     `xml:"SignatureValidationProcess>SignatureValidationProcessID"`
	Status  struct {
		Main string   `xml:"MainIndication"`
		Sub  []string `xml:"SubIndication"`
		Data xmlData  `xml:"AssociatedValidationReportData"`
	} `xml:"SignatureValidationStatus"`
}

type xmlIdentifier struct {
	ID          string     `xml:"id,attr"`
	Digest      *xmlDigest `xml:"DigestAlgAndValue"`
	Value       string     `xml:"ds:SignatureValue,omitempty"`
	HashOnly    bool       `xml:"HashOnly"`
	DocHashOnly bool       `xml:"DocHashOnly"`
	Name        string     `xml:"DAIdentifier,omitempty"`
}

type xmlDigest struct {
	Method struct {
		Algorithm string `xml:"Algorithm,attr"`
	} `xml:"ds:DigestMethod"`
	Value string `xml:"ds:DigestValue"`
}

type xmlConstraint struct {
	ID     string `xml:"ValidationConstraintIdentifier"`
	Status string `xml:"ConstraintStatus>Status"`
	Result string `xml:"ValidationStatus>MainIndication"`
}

type xmlReference struct {
	VO string `xml:"VOReference,attr"`
}

type xmlPOE struct {
	Time  time.Time     `xml:"POETime"`
	Proof string        `xml:"TypeOfProof"`
	By    *xmlReference `xml:"POEObject"`
}

type xmlDocument struct {
	Digest xmlDigest `xml:"DigestAlgAndValue"`
	Ref    string    `xml:"SignersDocumentRef,omitempty"`
}

type xmlSigningTime struct {
	Signed bool      `xml:"Signed,attr"`
	Time   time.Time `xml:"Time"`
}

type xmlSigner struct {
	Pseudonym   bool         `xml:"Pseudonym,attr"`
	Certificate xmlReference `xml:"SignerCertificate"`
	Name        string       `xml:"Signer"`
}

type xmlData struct {
	Anchor *xmlReference `xml:"TrustAnchor"`
	Chain  *struct {
		Signing xmlReference   `xml:"SigningCertificate"`
		Between []xmlReference `xml:"IntermediateCertificate"`
		Anchor  *xmlReference  `xml:"TrustAnchor"`
	} `xml:"CertificateChain"`
	Related []xmlReference `xml:"RelatedValidationObject"`
	Crypto  *struct {
		Object    xmlReference `xml:"ValidationObjectId"`
		Algorithm string       `xml:"Algorithm"`
		Secure    bool         `xml:"SecureAlgorithm"`
	} `xml:"CryptoInformation"`
	Additional *struct {
		Data []xmlReportData `xml:"ReportData"`
	} `xml:"AdditionalValidationReportData"`
}

type xmlReportData struct {
	Type  string `xml:"Type"`
	Value struct {
		Type string `xml:"xsi:type,attr"`
		XSI  string `xml:"xmlns:xsi,attr"`
		XS   string `xml:"xmlns:xs,attr"`
		Text string `xml:",chardata"`
	} `xml:"Value"`
}

type xmlObject struct {
	ID             string `xml:"id,attr"`
	Type           string `xml:"ObjectType"`
	Representation struct {
		Digest *xmlDigest `xml:"DigestAlgAndValue"`
		Base64 string     `xml:"base64,omitempty"`
	} `xml:"ValidationObjectRepresentation"`
	POE *xmlPOE `xml:"POE"`
}

// xmlObjects collects validation objects, each once.
type xmlObjects struct {
	list []xmlObject
	seen map[string]bool
}

// add takes an object and gives its name. whole puts it into the report, else its digest stands for it.
func (o *xmlObjects) add(kind string, der []byte, whole bool, existed xmlPOE) string {
	sum := sha256.Sum256(der)
	id := strings.ToUpper(kind[:1]) + "-" + hex.EncodeToString(sum[:])
	if o.seen[id] {
		return id
	}
	o.seen[id] = true
	x := xmlObject{ID: id, Type: urnObject + kind, POE: &existed}
	if whole {
		x.Representation.Base64 = base64.StdEncoding.EncodeToString(der)
	} else {
		x.Representation.Digest = digestXML(crypto.SHA256, sum[:])
	}
	o.list = append(o.list, x)
	return id
}

// digestXML names a digest by its URI (RFC 9231), nil when it has none.
func digestXML(h crypto.Hash, value []byte) *xmlDigest {
	uri := map[crypto.Hash]string{
		crypto.SHA1: "http://www.w3.org/2000/09/xmldsig#sha1", crypto.SHA224: "http://www.w3.org/2001/04/xmldsig-more#sha224",
		crypto.SHA256: "http://www.w3.org/2001/04/xmlenc#sha256", crypto.SHA384: "http://www.w3.org/2001/04/xmldsig-more#sha384",
		crypto.SHA512: "http://www.w3.org/2001/04/xmlenc#sha512", crypto.SHA3_224: "http://www.w3.org/2007/05/xmldsig-more#sha3-224",
		crypto.SHA3_256: "http://www.w3.org/2007/05/xmldsig-more#sha3-256", crypto.SHA3_384: "http://www.w3.org/2007/05/xmldsig-more#sha3-384",
		crypto.SHA3_512: "http://www.w3.org/2007/05/xmldsig-more#sha3-512",
	}[h]
	if uri == "" || len(value) == 0 {
		return nil
	}
	d := &xmlDigest{Value: base64.StdEncoding.EncodeToString(value)}
	d.Method.Algorithm = uri
	return d
}

// xml is the report on one signature; n tells it from others of the file.
func (s *Signature) xml(n int, file string, objects *xmlObjects) xmlSignature {
	e := &s.evidence
	out := xmlSignature{Process: urnProcess + processOf(s.Level)}
	out.Identifier = xmlIdentifier{
		ID: fmt.Sprintf("S-%d", n), Digest: digestXML(e.hash, e.digest), Value: base64.StdEncoding.EncodeToString(e.value), Name: s.Field,
	}
	out.Constraints.Policy.Name, out.Constraints.Policy.ID = "vanthu", PolicyID
	for _, c := range s.Checks {
		out.Constraints.Status = append(out.Constraints.Status, constraintXML(c))
	}
	out.Time.Judged = e.at.UTC()
	out.Time.Best = xmlPOE{Time: e.at.UTC(), Proof: urnProof}
	if d := digestXML(e.hash, e.digest); d != nil {
		out.Document = &xmlDocument{Digest: *d, Ref: file}
	}
	if s.ClaimedTime != nil {
		out.Attributes.SigningTime = &xmlSigningTime{Signed: true, Time: s.ClaimedTime.UTC()}
	}
	out.Attributes.Location, out.Attributes.Reason, out.Attributes.Filter = s.Location, s.Reason, s.subFilter
	out.Status.Main, out.Status.Sub = indicationURN(s.Indication), subURNs(s.SubIndication)
	s.objectsXML(&out, objects)
	return out
}

// objectsXML adds what the judgement rests on.
func (s *Signature) objectsXML(out *xmlSignature, objects *xmlObjects) {
	e := &s.evidence
	now := xmlPOE{Time: e.at.UTC(), Proof: urnProof}
	data := &out.Status.Data
	for _, token := range e.timestamps {
		id := objects.add("timestamp", token, true, now)
		data.Related = append(data.Related, xmlReference{id})
		if s.ProvenTime != nil && out.Time.Best.By == nil {
			out.Time.Best = xmlPOE{Time: s.ProvenTime.UTC(), Proof: urnProof, By: &xmlReference{id}}
		}
	}
	if s.ProvenTime != nil {
		out.Time.Best.Time = s.ProvenTime.UTC()
	}
	for i, c := range e.chain {
		ref := xmlReference{objects.add("certificate", c.Raw, true, out.Time.Best)}
		switch {
		case i == 0:
			out.Signer = &xmlSigner{Certificate: ref, Name: s.Signer}
			data.Chain = &struct {
				Signing xmlReference   `xml:"SigningCertificate"`
				Between []xmlReference `xml:"IntermediateCertificate"`
				Anchor  *xmlReference  `xml:"TrustAnchor"`
			}{Signing: ref}
		case i == len(e.chain)-1 && s.Indication == TotalPassed:
			data.Anchor, data.Chain.Anchor = &ref, &ref
		default:
			data.Chain.Between = append(data.Chain.Between, ref)
		}
	}
	for _, der := range e.crls {
		data.Related = append(data.Related, xmlReference{objects.add("CRL", der, false, now)})
	}
	for _, der := range e.ocsps {
		data.Related = append(data.Related, xmlReference{objects.add("OCSPResponse", der, false, now)})
	}
	if len(s.Reasons) == 0 {
		return
	}
	data.Additional = &struct {
		Data []xmlReportData `xml:"ReportData"`
	}{}
	for _, reason := range s.Reasons {
		d := xmlReportData{Type: urnReason}
		d.Value.Type, d.Value.XSI, d.Value.XS = "xs:string", "http://www.w3.org/2001/XMLSchema-instance", "http://www.w3.org/2001/XMLSchema"
		d.Value.Text = reason
		data.Additional.Data = append(data.Additional.Data, d)
	}
}

// processOf names the validation process of ETSI EN 319 102-1 that a level calls for.
func processOf(level string) string {
	switch level {
	case LevelLTA:
		return "LTVA"
	case LevelT, LevelLT:
		return "LTVM"
	}
	return "Basic"
}

func indicationURN(i Indication) string {
	return urnMain + strings.ReplaceAll(strings.ToLower(string(i)), "_", "-")
}

func subURNs(s SubIndication) []string {
	if s == "" {
		return nil
	}
	return []string{urnSub + string(s)}
}

// constraintXML is one of the five checks as a constraint of the policy.
func constraintXML(c Check) xmlConstraint {
	out := xmlConstraint{ID: PolicyID + ":" + c.Name, Status: "urn:etsi:019102:constraintStatus:applied"}
	switch {
	case c.OK == nil:
		out.Result = indicationURN(Indeterminate)
	case *c.OK:
		out.Result = urnMain + "passed"
	default:
		out.Result = urnMain + "failed"
	}
	return out
}

// reportEvidence keeps for the report in XML what the judgement rested on.
func (v *verifier) reportEvidence(it *item) evidenceOf {
	e := evidenceOf{at: v.at, chain: it.chain}
	if len(e.chain) == 0 && it.signer != nil {
		e.chain = []*x509.Certificate{it.signer}
	}
	switch {
	case it.token != nil:
		e.hash = it.token.Hash
		e.timestamps = [][]byte{it.field.Contents}
		e.value = it.token.SignedData.Signers[0].Signature
	case it.signed != nil && len(it.signed.Signers) > 0:
		si := it.signed.Signers[0]
		e.hash, e.value, e.timestamps = it.digestAlgorithm(), si.Signature, si.Timestamps()
		crls, ocsps := si.RevocationInfo()
		e.crls, e.ocsps = join(it.signed.RawCRLs, crls), join(it.signed.RawOCSPs, ocsps)
	}
	store := pki.Evidence{}
	if v.f != nil {
		store = v.evidence().Evidence
	}
	for _, c := range e.chain {
		asked := v.asked[string(c.Raw)]
		e.crls, e.ocsps = append(e.crls, asked.CRLs...), append(e.ocsps, asked.OCSPs...)
	}
	e.crls, e.ocsps = append(e.crls, store.CRLs...), append(e.ocsps, store.OCSPs...)
	e.digest = it.digests[e.hash]
	return e
}
