package pki

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds of one OCSP response.
const (
	maxSingles   = 1000
	maxResponder = 10
)

// ocspResponse is a basic OCSP response (RFC 6960 §4.2.1).
type ocspResponse struct {
	raw           []byte
	responderName []byte // DER of the Name, or
	responderKey  []byte // SHA-1 of the public key
	producedAt    time.Time
	singles       []ocspSingle
	certificates  [][]byte
	critical      bool // a critical extension that is not understood
}

type ocspSingle struct {
	hash              crypto.Hash
	nameHash, keyHash []byte
	serial            *big.Int
	status            Status
	revokedAt         time.Time
	reason            int
	this, next        time.Time
	cutoff            time.Time
	critical          bool
}

// judgeOCSP reads what one OCSP response says about cert (RFC 6960 §3.2).
func judgeOCSP(der []byte, cert, issuer *x509.Certificate, o *RevocationOptions) Revocation {
	response, ok := parseOCSP(der)
	if !ok {
		return unknown(CodeRevocationMalformed, "OCSP response")
	}
	single := response.find(cert, issuer)
	if single == nil {
		return Revocation{Status: StatusUnknown}
	}
	if single.critical || response.critical {
		return unknown(CodeCritical, "OCSP response")
	}
	signer, algorithm := response.signer(issuer, o)
	if signer == nil {
		return unknown(CodeRevocationSignature, "OCSP response")
	}
	if weak := weakness(algorithm, signer, response.producedAt); len(weak) > 0 {
		return Revocation{Status: StatusUnknown, Reasons: weak}
	}
	if response.producedAt.After(o.Now.Add(clockSkew)) || single.this.After(o.Now.Add(clockSkew)) {
		return unknown(CodeRevocationFuture, response.producedAt.UTC().Format(time.RFC3339))
	}
	var result Revocation
	switch single.status {
	case StatusRevoked:
		result = revoked(single.revokedAt, single.reason, cert)
	case StatusGood:
		if reason, ok := fresh(single.this, single.next, cert, single.cutoff, o); !ok {
			return Revocation{Status: StatusUnknown, Reasons: Reasons{reason}}
		}
		result = Revocation{Status: StatusGood}
	default:
		return unknown(CodeRevocationUnknown, cert.Subject.String())
	}
	result.ThisUpdate, result.ProducedAt = single.this.UTC(), response.producedAt.UTC()
	if !single.next.IsZero() {
		result.NextUpdate = single.next.UTC()
	}
	return result
}

// find returns the answer about cert: the issuer's name and key and the serial number must all fit.
func (r *ocspResponse) find(cert, issuer *x509.Certificate) *ocspSingle {
	key := publicKeyBits(issuer)
	for i := range r.singles {
		s := &r.singles[i]
		if s.serial.Cmp(cert.SerialNumber) != 0 || s.hash == 0 {
			continue
		}
		name, bits := s.hash.New(), s.hash.New()
		name.Write(cert.RawIssuer)
		bits.Write(key)
		if bytes.Equal(name.Sum(nil), s.nameHash) && bytes.Equal(bits.Sum(nil), s.keyHash) {
			return s
		}
	}
	return nil
}

// signer finds who signed: the issuer, or a responder with extended key usage OCSPSigning that the issuer itself
// certified and that was valid then (RFC 6960 §4.2.2.2).
func (r *ocspResponse) signer(issuer *x509.Certificate, o *RevocationOptions) (*x509.Certificate, SignatureAlgorithm) {
	if r.isResponder(issuer) {
		if a, ok := signedBy(r.raw, issuer); ok {
			return issuer, a
		}
	}
	candidates := make([]*x509.Certificate, 0, len(r.certificates))
	for _, raw := range r.certificates {
		if c, err := ParseCertificate(raw); err == nil {
			candidates = append(candidates, c)
		}
	}
	tried := 0
	for _, c := range append(candidates, o.Pool...) {
		if c == nil || !r.isResponder(c) || !bytes.Equal(c.RawIssuer, issuer.RawSubject) {
			continue
		}
		if len(CheckUsage(c, UsageOCSP)) > 0 || r.producedAt.Before(c.NotBefore) || r.producedAt.After(c.NotAfter) {
			continue
		}
		if tried++; tried > maxResponder {
			break
		}
		by, ok := signedBy(c.Raw, issuer)
		if !ok || len(weakness(by, issuer, r.producedAt)) > 0 {
			continue
		}
		if a, ok := signedBy(r.raw, c); ok {
			return c, a
		}
	}
	return nil, SignatureAlgorithm{}
}

func (r *ocspResponse) isResponder(c *x509.Certificate) bool {
	if r.responderName != nil {
		return bytes.Equal(r.responderName, c.RawSubject)
	}
	sum := sha1.Sum(publicKeyBits(c)) // SHA-1 by definition of RFC 6960
	return bytes.Equal(sum[:], r.responderKey)
}

// publicKeyBits is the content of subjectPublicKey, without tag, length and unused bits.
func publicKeyBits(c *x509.Certificate) []byte {
	in := cryptobyte.String(c.RawSubjectPublicKeyInfo)
	var seq, algorithm cryptobyte.String
	var bits []byte
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1(&algorithm, cbasn1.SEQUENCE) ||
		!seq.ReadASN1BitStringAsBytes(&bits) {
		return nil
	}
	return bits
}

// parseOCSP reads an OCSPResponse, or the BasicOCSPResponse alone as CAdES embeds it.
func parseOCSP(der []byte) (*ocspResponse, bool) {
	in := cryptobyte.String(der)
	var outer cryptobyte.String
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) {
		return nil, false
	}
	if !outer.PeekASN1Tag(cbasn1.ENUM) {
		return parseBasic(der)
	}
	var status int
	var wrapped, body, basic cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !outer.ReadASN1Enum(&status) || status != 0 ||
		!outer.ReadASN1(&wrapped, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!wrapped.ReadASN1(&body, cbasn1.SEQUENCE) || !body.ReadASN1ObjectIdentifier(&oid) ||
		oid.String() != "1.3.6.1.5.5.7.48.1.1" || !body.ReadASN1(&basic, cbasn1.OCTET_STRING) {
		return nil, false
	}
	return parseBasic(basic)
}

func parseBasic(der []byte) (*ocspResponse, bool) {
	tbs, _, _, _, rest, ok := signedParts(der)
	if !ok {
		return nil, false
	}
	r := &ocspResponse{raw: der}
	in := cryptobyte.String(tbs)
	var data, responses, field cryptobyte.String
	var tag cbasn1.Tag
	context := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).Constructed().ContextSpecific() }
	if !in.ReadASN1(&data, cbasn1.SEQUENCE) || !data.SkipOptionalASN1(context(0)) || !data.ReadAnyASN1(&field, &tag) {
		return nil, false
	}
	switch tag {
	case context(1):
		r.responderName = field
	case context(2):
		if !field.ReadASN1Bytes(&r.responderKey, cbasn1.OCTET_STRING) {
			return nil, false
		}
	default:
		return nil, false
	}
	if !data.ReadASN1GeneralizedTime(&r.producedAt) || !data.ReadASN1(&responses, cbasn1.SEQUENCE) {
		return nil, false
	}
	for !responses.Empty() && len(r.singles) < maxSingles {
		s, ok := parseSingle(&responses)
		if !ok {
			return nil, false
		}
		r.singles = append(r.singles, s)
	}
	var has bool
	if !data.ReadOptionalASN1(&field, &has, context(1)) {
		return nil, false
	}
	if has {
		_, r.critical = readExtensions(field)
	}
	return r, r.readCertificates(rest)
}

// readCertificates reads the optional certs field.
func (r *ocspResponse) readCertificates(rest cryptobyte.String) bool {
	var outer, list cryptobyte.String
	var has bool
	if !rest.ReadOptionalASN1(&outer, &has, cbasn1.Tag(0).Constructed().ContextSpecific()) {
		return false
	}
	if !has {
		return true
	}
	if !outer.ReadASN1(&list, cbasn1.SEQUENCE) {
		return false
	}
	for !list.Empty() && len(r.certificates) < maxResponder {
		var c cryptobyte.String
		if !list.ReadASN1Element(&c, cbasn1.SEQUENCE) {
			return false
		}
		r.certificates = append(r.certificates, c)
	}
	return true
}

// parseSingle reads one SingleResponse.
func parseSingle(in *cryptobyte.String) (ocspSingle, bool) {
	s := ocspSingle{serial: new(big.Int), status: StatusUnknown}
	var seq, id, status, field cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1(&id, cbasn1.SEQUENCE) {
		return s, false
	}
	oid, _, ok := readAlgorithm(&id)
	if !ok || !id.ReadASN1Bytes(&s.nameHash, cbasn1.OCTET_STRING) || !id.ReadASN1Bytes(&s.keyHash, cbasn1.OCTET_STRING) ||
		!id.ReadASN1Integer(s.serial) || !seq.ReadAnyASN1(&status, &tag) {
		return s, false
	}
	s.hash = HashByOID(oid)
	switch tag & 0x1f {
	case 0:
		s.status = StatusGood
	case 1:
		s.status = StatusRevoked
		var has bool
		if !status.ReadASN1GeneralizedTime(&s.revokedAt) ||
			!status.ReadOptionalASN1(&field, &has, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
			has && !field.ReadASN1Enum(&s.reason) {
			return s, false
		}
	}
	var has bool
	if !seq.ReadASN1GeneralizedTime(&s.this) ||
		!seq.ReadOptionalASN1(&field, &has, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		has && !field.ReadASN1GeneralizedTime(&s.next) ||
		!seq.ReadOptionalASN1(&field, &has, cbasn1.Tag(1).Constructed().ContextSpecific()) {
		return s, false
	}
	if has {
		s.cutoff, s.critical = readExtensions(field)
	}
	return s, true
}

// readExtensions returns the archive cutoff (RFC 6960 §4.4.4) and whether a critical extension is not understood; what
// cannot be read counts as that.
func readExtensions(in cryptobyte.String) (cutoff time.Time, critical bool) {
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) {
		return cutoff, true
	}
	for !list.Empty() {
		var e, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		var crit bool
		if !list.ReadASN1(&e, cbasn1.SEQUENCE) || !e.ReadASN1ObjectIdentifier(&oid) ||
			!e.ReadOptionalASN1Boolean(&crit, cbasn1.BOOLEAN, false) || !e.ReadASN1(&value, cbasn1.OCTET_STRING) {
			return cutoff, true
		}
		switch oid.String() {
		case "1.3.6.1.5.5.7.48.1.6":
			if !value.ReadASN1GeneralizedTime(&cutoff) {
				return cutoff, true
			}
		case "1.3.6.1.5.5.7.48.1.2": // nonce: answers in documents belong to somebody else's question
		default:
			critical = critical || crit
		}
	}
	return cutoff, critical
}
