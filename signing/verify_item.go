package signing

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/pdf"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
)

// The forms of signature that are judged (ISO 32000-2 table 257, ETSI EN 319 142-1 §5.3 and §5.4.3).
const (
	subFilterDetached pdf.Name = "adbe.pkcs7.detached"
	subFilterSHA1     pdf.Name = "adbe.pkcs7.sha1"
	subFilterCAdES    pdf.Name = "ETSI.CAdES.detached"
	subFilterRFC3161  pdf.Name = "ETSI.RFC3161"
)

// item is one signature or document time stamp while it is judged.
type item struct {
	field     *pdf.Field
	subFilter pdf.Name
	out       Signature
	reasons   pki.Reasons
	integrity Integrity
	changes   string

	signed  *cms.SignedData // of a signature, nil when it cannot be read
	token   *tsa.Token      // of a document time stamp, nil when it cannot be read
	digests map[crypto.Hash][]byte
	signer  *x509.Certificate
	chain   []*x509.Certificate

	content  *bool     // the content has the signed digest; nil when undecided, as are the next two
	value    *bool     // the signature value and the signed attributes fit the certificate
	time     *bool     // false when a time stamp of the signature is broken
	valid    bool      // cryptography and binding hold
	trusted  bool      // the chain holds at the proven time, or now
	stamped  bool      // an intact time stamp of the signature or of a later revision covers it
	proven   time.Time // earliest trusted time at which it existed; zero when unproven
	accuracy time.Duration
	archived time.Time // earliest trusted archive time stamp of a detached signature
	hasESS   bool      // an attribute names the certificate, rightly or not
}

// fault adds a reason and lowers the integrity.
func (it *item) fault(to Integrity, reasons ...pki.Reason) {
	it.reasons = append(it.reasons, reasons...)
	if to == Altered || it.integrity == Intact {
		it.integrity = to
	}
}

// newItem takes what the signature dictionary says.
func (v *verifier) newItem(field *pdf.Field) *item {
	it := &item{field: field, integrity: Intact, changes: ChangesUnclear, digests: map[crypto.Hash][]byte{}}
	view := v.f.Latest()
	if o, err := view.Resolve(field.Dict["SubFilter"]); err == nil {
		it.subFilter, _ = o.(pdf.Name)
	}
	text := func(key pdf.Name) string {
		o, err := view.Resolve(field.Dict[key])
		s, ok := o.(pdf.String)
		if err != nil || !ok {
			return ""
		}
		return s.Text()
	}
	it.out = Signature{
		Field: field.Name, Kind: KindSignature, Level: LevelAdobe,
		Reason: text("Reason"), Location: text("Location"),
	}
	if it.subFilter == subFilterRFC3161 {
		it.out.Kind = KindTimestamp
	} else if t, ok := pdf.ParseTime(text("M")); ok {
		it.out.ClaimedTime = &t
	}
	if len(field.ByteRange) == 4 {
		it.out.CoversTo = field.Covered()
	}
	if field.OutsideForm {
		it.fault(Unclear, pki.Reason{Code: codeOutsideForm, Sub: pki.SigConstraints})
	}
	for _, p := range field.Problems {
		it.fault(Altered, fieldReason(p))
	}
	return it
}

// examine reads the CMS data and takes the digests that it needs. An error is I/O.
func (v *verifier) examine(field *pdf.Field) (*item, error) {
	it := v.newItem(field)
	var algorithms []crypto.Hash
	switch it.subFilter {
	case subFilterRFC3161:
		token, err := tsa.ParseToken(field.Contents)
		if err != nil {
			it.fault(Altered, pki.Reason{Code: pki.CodeToken, Sub: pki.FormatFailure, Detail: err.Error()})
			it.value = new(false)
			return it, nil
		}
		it.token = token
		algorithms = append(algorithms, token.Hash)
	case subFilterDetached, subFilterCAdES, subFilterSHA1:
		sd, used, err := cms.ParsePadded(field.Contents, cms.DefaultLimits())
		if err != nil {
			it.fault(Altered, pki.Reason{Code: pki.CodeMalformed, Sub: pki.FormatFailure, Detail: err.Error()})
			it.value = new(false)
			return it, nil
		}
		if len(bytes.Trim(field.Contents[used:], "\x00")) > 0 {
			it.reasons = append(it.reasons, pki.Reason{Code: codePadding})
		}
		it.signed = sd
		for _, si := range sd.Signers {
			algorithms = append(algorithms, si.Hash())
		}
		if it.subFilter == subFilterSHA1 {
			algorithms = []crypto.Hash{crypto.SHA1}
		}
	default:
		it.fault(Unclear, pki.Reason{Code: codeSubFilter, Sub: pki.SigConstraints, Detail: string(it.subFilter)})
		return it, nil
	}
	for _, alg := range algorithms {
		if _, err := v.digest(it, alg); err != nil {
			return nil, err
		}
	}
	return it, nil
}

// digest is the digest of the item's ByteRange, nil when it has none or the algorithm is not available.
func (v *verifier) digest(it *item, alg crypto.Hash) ([]byte, error) {
	if d, ok := it.digests[alg]; ok {
		return d, nil
	}
	br := it.field.ByteRange
	if len(br) != 4 || br[0] != 0 || alg == 0 || !alg.Available() || br[1] > br[2] || br[2]+br[3] > v.f.Size() {
		return nil, nil
	}
	d, err := v.hashes.sum(alg, br[1], br[2], br[2]+br[3])
	if err != nil {
		return nil, err
	}
	it.digests[alg] = d
	return d, nil
}

// contentDigest gives the digests to packages cms and tsa. Where the ByteRange is unusable there is no content.
func (v *verifier) contentDigest(it *item) cms.ContentDigest {
	return func(alg crypto.Hash) ([]byte, error) {
		d, err := v.digest(it, alg)
		if err == nil && d == nil {
			return nil, fmt.Errorf("no digest of the signed bytes can be taken")
		}
		return d, err
	}
}

// checkCMS judges cryptography and binding of a signature's CMS data.
func (v *verifier) checkCMS(it *item, pool []*x509.Certificate) cms.Result {
	sd := it.signed
	if len(sd.Signers) == 0 {
		it.fault(Altered, pki.Reason{Code: pki.CodeSigners, Sub: pki.FormatFailure})
		it.value = new(false)
		return cms.Result{}
	}
	if len(sd.Signers) > 1 {
		it.reasons = append(it.reasons, pki.Reason{Code: codeManySigners, Sub: pki.SigConstraints})
	}
	digest, hashed := v.contentDigest(it), true
	if it.subFilter == subFilterSHA1 {
		// The CMS data holds the SHA-1 digest of the bytes as its content (ISO 32000-1 §12.8.3.3).
		want, err := digest(crypto.SHA1)
		if hashed = err == nil && bytes.Equal(want, sd.Content); !hashed {
			it.fault(Altered, pki.Reason{Code: pki.CodeDigest, Sub: pki.HashFailure})
		}
		digest = nil
	} else if sd.HasContent {
		it.fault(Altered, pki.Reason{Code: pki.CodeUnexpectedContent, Sub: pki.FormatFailure})
		it.value = new(false)
		return cms.Result{}
	}
	var first cms.Result
	for i, si := range sd.Signers {
		res := sd.Verify(si, digest, pool...)
		if i == 0 {
			first = res
		}
		content, value := weigh(si, res)
		if i > 0 {
			content, value = worse(it.content, content), worse(it.value, value)
		}
		it.content, it.value = worse(new(hashed), content), value
		if !res.Valid {
			it.fault(broken(res.Reasons), res.Reasons...)
			if res.ReadError != nil {
				it.fault(Altered, pki.Reason{Code: pki.CodeNoContent, Sub: pki.SignedDataNotFound, Detail: res.ReadError.Error()})
			}
		}
	}
	return first
}

// weigh says of the content and of the signature value, each by itself, whether it holds. A value without signed
// attributes is over the content, so that both hold or neither.
func weigh(si *cms.SignerInfo, res cms.Result) (content, value *bool) {
	rest := slices.DeleteFunc(slices.Clone(res.Reasons), func(r pki.Reason) bool {
		return r.Code == pki.CodeDigest || r.Code == pki.CodeNoContent
	})
	switch {
	case len(rest) == 0 && res.Authentic:
		value = new(true)
	case broken(rest) == Altered:
		value = new(false)
	}
	switch {
	case res.ReadError != nil || res.Hash == 0:
		return nil, value
	case si.HasSignedAttributes:
		return new(res.Intact), value
	}
	return value, value
}

// worse is false when one of two checks fails, nil when one is undecided.
func worse(a, b *bool) *bool {
	switch {
	case a != nil && !*a, b == nil:
		return a
	case !*b:
		return b
	}
	return a
}

// broken tells a signature that is wrong from one that cannot be judged for want of an algorithm or certificate.
func broken(reasons pki.Reasons) Integrity {
	for _, r := range reasons {
		switch r.Code {
		case pki.CodeAlgorithm, pki.CodeNoSigner, pki.CodeLimit:
		case pki.CodeTimestampInvalid: // only says whose signature the next reasons are about
		default:
			return Altered
		}
	}
	return Unclear
}

// describe takes the signer's names into the report.
func (it *item) describe(c *x509.Certificate) {
	if c == nil {
		return
	}
	it.signer = c
	it.out.Signer = c.Subject.CommonName
	if len(c.Subject.Organization) > 0 {
		it.out.Organization = c.Subject.Organization[0]
	}
	if len(c.EmailAddresses) > 0 {
		it.out.Email = c.EmailAddresses[0]
	}
	it.out.Issuer = c.Issuer.String()
	it.out.Serial = fmt.Sprintf("%x", c.SerialNumber)
	sum := sha256.Sum256(c.Raw)
	it.out.Fingerprint = hex.EncodeToString(sum[:])
}

// finish writes what was found into the report.
func (v *verifier) finish(it *item) {
	out := &it.out
	out.Integrity = it.integrity
	out.LaterChanges = it.changes
	out.Covers = "revision"
	if it.changes == ChangesNone {
		out.Covers = "document"
	}
	if !it.proven.IsZero() {
		t := it.proven
		out.ProvenTime = &t
	}
	out.Level = v.level(it)
	it.reasons = once(it.reasons)
	slices.SortStableFunc(it.reasons, func(a, b pki.Reason) int { return rank(a) - rank(b) })
	out.Indication, out.SubIndication = indication(it.reasons)
	out.Reasons, out.ReasonsVI = reasonTexts(it.reasons)
	out.Checks = it.checks()
	out.subFilter, out.evidence = string(it.subFilter), v.reportEvidence(it)
}

// checks are the five checks behind the sentence, each judged by itself.
func (it *item) checks() []Check {
	content := it.content
	if it.field != nil && len(it.field.Problems) > 0 {
		content = new(false) // whatever the digest says, it is not that of the document
	}
	var changes *bool
	if it.changes != ChangesUnclear {
		changes = new(it.changes != ChangesForbidden)
	}
	signer := Check{Name: CheckSigner, OK: new(it.trusted)}
	if it.signer == nil {
		signer.OK = nil
	}
	if len(it.chain) > 0 {
		signer.Detail = it.chain[len(it.chain)-1].Subject.String()
	}
	when := Check{Name: CheckTime, OK: it.time}
	if !it.proven.IsZero() {
		when.OK, when.Detail = new(true), it.proven.UTC().Format(time.RFC3339)
	}
	return []Check{
		{Name: CheckContent, OK: content},
		{Name: CheckSignature, OK: it.value, Detail: it.out.Algorithm},
		signer,
		when,
		{Name: CheckChanges, OK: changes, Detail: it.changes},
	}
}

// digestAlgorithm is that of the first signer.
func (it *item) digestAlgorithm() crypto.Hash {
	if it.subFilter == subFilterSHA1 {
		return crypto.SHA1
	}
	if it.signed == nil || len(it.signed.Signers) == 0 {
		return 0
	}
	return it.signed.Signers[0].Hash()
}
