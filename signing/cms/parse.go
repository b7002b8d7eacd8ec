package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"sync"
	"time"

	"vanthu/signing/pki"
)

// certSlot parses an embedded certificate when it is first asked for.
type certSlot struct {
	once sync.Once
	cert *x509.Certificate
	err  error
}

func (lim Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ have, def *int }{
		{&lim.MaxSize, &d.MaxSize}, {&lim.MaxDepth, &d.MaxDepth}, {&lim.MaxElements, &d.MaxElements},
		{&lim.MaxCertificates, &d.MaxCertificates}, {&lim.MaxSigners, &d.MaxSigners}, {&lim.MaxAttributes, &d.MaxAttributes},
	} {
		if *f.have <= 0 {
			*f.have = *f.def
		}
	}
	return lim
}

// Parse reads a ContentInfo with SignedData in DER, or in BER as old programs write it (indefinite lengths, octet strings
// in pieces). Bytes after the end are an error: see ParsePadded. The result keeps no reference to der.
func Parse(der []byte, lim Limits) (*SignedData, error) {
	sd, used, err := parse(der, lim)
	if err != nil {
		return nil, err
	}
	if used != len(der) {
		return nil, fmt.Errorf("%w: %d bytes after the end", ErrMalformed, len(der)-used)
	}
	return sd, nil
}

// ParsePadded reads a SignedData at the start of data and tells how many bytes it took. The rest should be zero bytes,
// the padding of /Contents in a PDF; SignedData.Trailing tells when it is not.
func ParsePadded(data []byte, lim Limits) (sd *SignedData, used int, err error) {
	sd, used, err = parse(data, lim)
	if err != nil {
		return nil, 0, err
	}
	sd.Trailing = len(bytes.TrimRight(data[used:], "\x00"))
	return sd, used, nil
}

func parse(data []byte, lim Limits) (*SignedData, int, error) {
	lim = lim.withDefaults()
	if len(data) > lim.MaxSize {
		// Padding does not count: the size stated at the front decides.
		if _, size, length, ok := header(data); !ok || length < 0 || length > lim.MaxSize-size {
			return nil, 0, fmt.Errorf("%w: over %d bytes", ErrLimit, lim.MaxSize)
		}
	}
	der, used, err := normalise(data, lim)
	if err != nil {
		return nil, 0, err
	}
	sd, err := parseContentInfo(bytes.Clone(der), lim)
	if err != nil {
		return nil, 0, err
	}
	return sd, used, nil
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

func parseContentInfo(der []byte, lim Limits) (*SignedData, error) {
	in := reader(der)
	outer, ok := in.want(tagSequence)
	if !ok {
		return nil, malformed("no ContentInfo")
	}
	in = outer.body
	oid, ok := in.oid()
	if !ok || !oid.Equal(oidSignedData()) {
		return nil, malformed("content is not SignedData")
	}
	explicit, ok := in.want(tagContext0)
	if !ok || len(in) != 0 {
		return nil, malformed("ContentInfo")
	}
	in = explicit.body
	body, ok := in.want(tagSequence)
	if !ok || len(in) != 0 {
		return nil, malformed("SignedData")
	}
	return parseSignedData(body.body, lim)
}

func parseSignedData(in reader, lim Limits) (*SignedData, error) {
	sd := &SignedData{}
	var ok bool
	if sd.Version, ok = in.smallInt(); !ok {
		return nil, malformed("version")
	}
	if _, ok = in.want(tagSet); !ok {
		return nil, malformed("digestAlgorithms")
	}
	content, ok := in.want(tagSequence)
	if !ok || !sd.readContent(content.body) {
		return nil, malformed("encapContentInfo")
	}
	certs, _, ok := in.optional(tagContext0)
	if !ok {
		return nil, malformed("certificates")
	}
	if err := sd.readCertificates(certs.body, lim); err != nil {
		return nil, err
	}
	crls, _, ok := in.optional(tagContext1)
	if !ok {
		return nil, malformed("crls")
	}
	if err := sd.readCRLs(crls.body, lim); err != nil {
		return nil, err
	}
	signers, ok := in.want(tagSet)
	if !ok || len(in) != 0 {
		return nil, malformed("signerInfos")
	}
	for list := reader(signers.body); len(list) > 0; {
		v, ok := list.want(tagSequence)
		if !ok {
			return nil, malformed("SignerInfo")
		}
		if len(sd.Signers) == lim.MaxSigners {
			return nil, fmt.Errorf("%w: more than %d signers", ErrLimit, lim.MaxSigners)
		}
		si, err := parseSignerInfo(v.body, lim)
		if err != nil {
			return nil, err
		}
		sd.Signers = append(sd.Signers, si)
	}
	return sd, nil
}

// readContent reads EncapsulatedContentInfo; PKCS#7 1.5 lets content of any type stand there, whose octets without tag
// and length are what is signed.
func (sd *SignedData) readContent(in reader) bool {
	var ok bool
	if sd.ContentType, ok = in.oid(); !ok {
		return false
	}
	explicit, has, ok := in.optional(tagContext0)
	if !ok || len(in) != 0 {
		return false
	}
	if !has {
		return true
	}
	in = explicit.body
	v, ok := in.next()
	sd.Content, sd.HasContent = v.body, true
	if sd.Content == nil {
		sd.Content = []byte{}
	}
	return ok && len(in) == 0
}

func (sd *SignedData) readCertificates(in reader, lim Limits) error {
	for count := 0; len(in) > 0; count++ {
		v, ok := in.next()
		if !ok {
			return malformed("certificates")
		}
		if count == lim.MaxCertificates {
			return fmt.Errorf("%w: more than %d certificates", ErrLimit, lim.MaxCertificates)
		}
		if v.tag == tagSequence {
			sd.RawCertificates = append(sd.RawCertificates, v.full)
		}
	}
	sd.slots = make([]certSlot, len(sd.RawCertificates))
	return nil
}

func (sd *SignedData) readCRLs(in reader, lim Limits) error {
	for count := 0; len(in) > 0; count++ {
		v, ok := in.next()
		if !ok {
			return malformed("crls")
		}
		if count == lim.MaxCertificates {
			return fmt.Errorf("%w: more than %d CRLs", ErrLimit, lim.MaxCertificates)
		}
		switch v.tag {
		case tagSequence:
			sd.RawCRLs = append(sd.RawCRLs, v.full)
		case tagContext1:
			other := reader(v.body)
			if oid, ok := other.oid(); ok && oid.Equal(oidOCSPInfo()) {
				sd.RawOCSPs = append(sd.RawOCSPs, other)
			}
		}
	}
	return nil
}

func parseSignerInfo(in reader, lim Limits) (*SignerInfo, error) {
	si := &SignerInfo{}
	var ok bool
	if si.Version, ok = in.smallInt(); !ok {
		return nil, malformed("SignerInfo version")
	}
	sid, ok := in.next()
	if !ok || !si.readIdentifier(sid) {
		return nil, malformed("signer identifier")
	}
	if si.DigestOID, _, ok = in.algorithm(); !ok {
		return nil, malformed("digest algorithm")
	}
	signed, has, ok := in.optional(tagContext0)
	if !ok {
		return nil, malformed("signed attributes")
	}
	var err error
	if has {
		si.HasSignedAttributes = true
		si.signedBody = signed.body
		if si.SignedAttributes, err = parseAttributes(signed.body, lim); err != nil {
			return nil, err
		}
	}
	if si.SignatureOID, si.signatureParams, ok = in.algorithm(); !ok {
		return nil, malformed("signature algorithm")
	}
	signature, ok := in.want(tagOctets)
	if !ok {
		return nil, malformed("signature value")
	}
	si.Signature = signature.body
	unsigned, _, ok := in.optional(tagContext1)
	if !ok || len(in) != 0 {
		return nil, malformed("unsigned attributes")
	}
	si.UnsignedAttributes, err = parseAttributes(unsigned.body, lim)
	return si, err
}

// readIdentifier reads issuerAndSerialNumber or [0] subjectKeyIdentifier.
func (si *SignerInfo) readIdentifier(sid value) bool {
	switch sid.tag {
	case tagPlain0:
		si.SubjectKeyID = sid.body
		return len(sid.body) > 0
	case tagSequence:
		in := reader(sid.body)
		issuer, ok := in.want(tagSequence)
		if !ok {
			return false
		}
		si.Issuer = issuer.full
		si.Serial, ok = in.bigInt()
		return ok && len(in) == 0
	}
	return false
}

func parseAttributes(in reader, lim Limits) ([]Attribute, error) {
	var list []Attribute
	for len(in) > 0 {
		if len(list) == lim.MaxAttributes {
			return nil, fmt.Errorf("%w: more than %d attributes", ErrLimit, lim.MaxAttributes)
		}
		v, ok := in.want(tagSequence)
		if !ok {
			return nil, malformed("attribute")
		}
		body := reader(v.body)
		oid, ok := body.oid()
		if !ok {
			return nil, malformed("attribute type")
		}
		set, ok := body.want(tagSet)
		if !ok || len(body) != 0 {
			return nil, malformed("attribute values")
		}
		a := Attribute{Type: oid}
		for values := reader(set.body); len(values) > 0; {
			v, ok := values.next()
			if !ok || len(a.Values) == lim.MaxAttributes {
				return nil, malformed("attribute value")
			}
			a.Values = append(a.Values, v.full)
		}
		list = append(list, a)
	}
	return list, nil
}

// certificate parses the embedded certificate i once.
func (sd *SignedData) certificate(i int) (*x509.Certificate, error) {
	s := &sd.slots[i]
	s.once.Do(func() { s.cert, s.err = pki.ParseCertificate(sd.RawCertificates[i]) })
	return s.cert, s.err
}

// Certificates returns the embedded certificates that can be parsed, in the order found.
func (sd *SignedData) Certificates() []*x509.Certificate {
	var list []*x509.Certificate
	for i := range sd.RawCertificates {
		if c, err := sd.certificate(i); err == nil {
			list = append(list, c)
		}
	}
	return list
}

// Hash returns the digest algorithm of the signer, so that content can be hashed beforehand; 0 when it is not
// supported.
func (si *SignerInfo) Hash() crypto.Hash { return pki.HashByOID(si.DigestOID) }

// attribute returns the first value of the attribute of a type, nil when absent, and how many such attributes there
// are with how many values in all.
func attribute(list []Attribute, oid asn1.ObjectIdentifier) (first []byte, attributes, values int) {
	for _, a := range list {
		if a.Type.Equal(oid) {
			if first == nil && len(a.Values) > 0 {
				first = a.Values[0]
			}
			attributes++
			values += len(a.Values)
		}
	}
	return first, attributes, values
}

// SigningTime returns the claimed signing time of the signed attributes (not a proof), in UTC.
func (si *SignerInfo) SigningTime() (time.Time, bool) {
	raw, _, _ := attribute(si.SignedAttributes, oidSigningTime())
	var t time.Time
	if raw == nil {
		return t, false
	}
	if rest, err := asn1.Unmarshal(raw, &t); err != nil || len(rest) > 0 {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// MessageDigest returns the signed content digest, nil without signed attributes.
func (si *SignerInfo) MessageDigest() []byte {
	raw, _, _ := attribute(si.SignedAttributes, oidMessageDigest())
	in := reader(raw)
	v, ok := in.want(tagOctets)
	if !ok {
		return nil
	}
	return v.body
}

// Timestamps returns the signature time-stamp tokens (RFC 3161, DER), as they stand in the unsigned attributes.
func (si *SignerInfo) Timestamps() [][]byte {
	var tokens [][]byte
	for _, a := range si.UnsignedAttributes {
		if a.Type.Equal(oidTimestamp()) {
			tokens = append(tokens, a.Values...)
		}
	}
	return tokens
}

// RevocationInfo returns CRLs and OCSP responses (DER) of Adobe's adbe-revocationInfoArchival signed attribute.
func (si *SignerInfo) RevocationInfo() (crls, ocsps [][]byte) {
	raw, _, _ := attribute(si.SignedAttributes, oidRevocationArchival())
	in := reader(raw)
	seq, ok := in.want(tagSequence)
	if !ok {
		return nil, nil
	}
	in = seq.body
	for _, list := range []struct {
		tag byte
		to  *[][]byte
	}{{tagContext0, &crls}, {tagContext1, &ocsps}} {
		explicit, has, ok := in.optional(list.tag)
		if !ok || !has {
			continue
		}
		outer := reader(explicit.body)
		members, ok := outer.want(tagSequence)
		if !ok {
			continue
		}
		for rest := reader(members.body); len(rest) > 0; {
			v, ok := rest.want(tagSequence)
			if !ok {
				break
			}
			*list.to = append(*list.to, v.full)
		}
	}
	return crls, ocsps
}

// matches tells whether a certificate in DER is the one that the identifier names, without parsing it whole.
func (si *SignerInfo) matches(raw []byte) bool {
	in := reader(raw)
	outer, ok := in.want(tagSequence)
	if !ok {
		return false
	}
	in = outer.body
	tbs, ok := in.want(tagSequence)
	if !ok {
		return false
	}
	in = tbs.body
	if _, _, ok = in.optional(tagContext0); !ok {
		return false
	}
	serial, ok := in.bigInt()
	if !ok {
		return false
	}
	if _, _, ok = in.algorithm(); !ok {
		return false
	}
	issuer, ok := in.want(tagSequence)
	return ok && si.Serial != nil && serial.Cmp(si.Serial) == 0 && bytes.Equal(issuer.full, si.Issuer)
}
