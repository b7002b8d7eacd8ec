package cms

import (
	"crypto"
	"encoding/asn1"
	"slices"

	"vanthu/signing/pki"
)

// Encodings that every signature has, so that they need not be made anew (see TestKnownEncodings).
const (
	derData                 = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
	derSignedData           = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
	derContentType          = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"
	derMessageDigest        = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"
	derSigningTime          = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05"
	derSigningCertificateV2 = "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f"

	derSHA256      = "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"
	derSHA512      = "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03"
	derRSASHA256   = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"
	derECDSASHA256 = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
	derEd25519     = "\x30\x05\x06\x03\x2b\x65\x70"
)

// digestAlgorithm is the AlgorithmIdentifier of a digest, without parameters (RFC 5754 §2); nil for an unknown one.
func digestAlgorithm(h crypto.Hash) []byte {
	switch h {
	case crypto.SHA256:
		return []byte(derSHA256)
	case crypto.SHA512:
		return []byte(derSHA512)
	}
	oid := encodeOID(pki.OIDByHash(h))
	if oid == nil {
		return nil
	}
	return wrap(tagSequence, oid)
}

// knownAlgorithm is the AlgorithmIdentifier of the usual signatures, "" for others.
func knownAlgorithm(a pki.SignatureAlgorithm) string {
	switch {
	case a.Scheme == pki.EdDSA:
		return derEd25519
	case a.Hash != crypto.SHA256:
	case a.Scheme == pki.PKCS1v15:
		return derRSASHA256
	case a.Scheme == pki.ECDSA:
		return derECDSASHA256
	}
	return ""
}

// encoder writes DER into one buffer from its end: a length stands before what it counts, and is known by then.
type encoder struct {
	buf []byte
	at  int // the encoding is buf[at:]
}

// newEncoder has room for so many bytes; more are made when they are needed.
func newEncoder(room int) *encoder { return &encoder{buf: make([]byte, room), at: room} }

// size is the length of what was written so far.
func (e *encoder) size() int { return len(e.buf) - e.at }

// encoded is what was written.
func (e *encoder) encoded() []byte { return e.buf[e.at:] }

// take gives the next n bytes towards the front.
func (e *encoder) take(n int) []byte {
	if e.at < n {
		buf := make([]byte, 2*len(e.buf)+n)
		at := len(buf) - e.size()
		copy(buf[at:], e.encoded())
		e.buf, e.at = buf, at
	}
	e.at -= n
	return e.buf[e.at : e.at+n]
}

func (e *encoder) bytes(p []byte)   { copy(e.take(len(p)), p) }
func (e *encoder) literal(s string) { copy(e.take(len(s)), s) }

// version writes an INTEGER of one octet.
func (e *encoder) version(n byte) { copy(e.take(3), []byte{tagInteger, 1, n}) }

// set writes the members of a SET OF in DER, which are put in order (X.690 §11.6), as one value.
func (e *encoder) set(tag byte, members [][]byte) {
	since := e.size()
	slices.SortFunc(members, slices.Compare)
	for _, m := range slices.Backward(members) {
		e.bytes(m)
	}
	e.head(tag, since)
}

// head makes one value of all that was written since the size was since.
func (e *encoder) head(tag byte, since int) {
	var room [6]byte
	e.bytes(appendHeader(room[:0], tag, e.size()-since))
}

// value writes one value with the given contents.
func (e *encoder) value(tag byte, contents []byte) {
	since := e.size()
	e.bytes(contents)
	e.head(tag, since)
}

// oid writes an object identifier as encodeOID makes it.
func (e *encoder) oid(oid asn1.ObjectIdentifier) {
	if oid.Equal(oidData()) {
		e.literal(derData)
		return
	}
	e.bytes(encodeOID(oid))
}
