// Package cms reads, judges and writes CMS SignedData (RFC 5652, chữ ký số dạng CMS): the signature inside a PDF, a
// detached signature, and the body of an RFC 3161 time stamp.
//
// Reading is bounded and never panics. A bad signature is a Result with reasons, never an error: Parse fails only on
// bytes that are no SignedData at all. The signer is found by its identifier alone; the order of certificates means
// nothing. Trust in the signer's certificate is judged elsewhere (package pki).
package cms

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"time"

	"vanthu/signing/keys"
	"vanthu/signing/pki"
)

// ErrMalformed means that the bytes are no SignedData.
var ErrMalformed = errors.New("cms: malformed SignedData")

// ErrLimit means that the SignedData is larger, deeper or has more parts than the limits permit.
var ErrLimit = errors.New("cms: limit exceeded")

// Limits bound what Parse accepts. A zero field means its default.
type Limits struct {
	MaxSize         int // bytes, default 16 MiB
	MaxDepth        int // nested ASN.1 values, default 64
	MaxElements     int // ASN.1 values in constructed parts, default 2,000,000
	MaxCertificates int // default 100
	MaxSigners      int // default 16
	MaxAttributes   int // signed or unsigned attributes of one signer, default 64
}

// DefaultLimits are generous for documents as agencies sign them.
func DefaultLimits() Limits {
	return Limits{MaxSize: 16 << 20, MaxDepth: 64, MaxElements: 2_000_000, MaxCertificates: 100, MaxSigners: 16, MaxAttributes: 64}
}

// Attribute is one attribute with its values in DER. Signed attributes of RFC 5652 have exactly one value.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values [][]byte
}

// SignedData is a parsed SignedData (RFC 5652 §5.1). It is read-only.
type SignedData struct {
	// Version as written: 1, 3, 4 or 5.
	Version int
	// ContentType is eContentType: id-data in documents, id-ct-TSTInfo in time stamps.
	ContentType asn1.ObjectIdentifier
	// Content is eContent; nil when the signature is detached (HasContent false).
	Content    []byte
	HasContent bool
	// RawCertificates are the X.509 certificates in DER, in the order found; other kinds are left out.
	RawCertificates [][]byte
	// RawCRLs are the X.509 CRLs, RawOCSPs the OCSP responses (RFC 5940) of the crls field, in DER.
	RawCRLs, RawOCSPs [][]byte
	// Signers are all SignerInfos. A document's signature must have exactly one: the caller decides what to say else.
	Signers []*SignerInfo
	// Trailing counts the bytes after the SignedData up to the last that is not zero (ParsePadded): they belong to no
	// signature and are ignored.
	Trailing int

	slots []certSlot // parsed when asked for, one per RawCertificates
}

// SignerInfo is one signer (RFC 5652 §5.3). It is read-only.
type SignerInfo struct {
	Version int
	// Issuer (DER) and Serial, or SubjectKeyID, identify the signer's certificate.
	Issuer       []byte
	Serial       *big.Int
	SubjectKeyID []byte
	// DigestOID and SignatureOID are the algorithms as written.
	DigestOID, SignatureOID asn1.ObjectIdentifier
	// HasSignedAttributes is false when the signature covers the content directly.
	HasSignedAttributes bool
	SignedAttributes    []Attribute
	UnsignedAttributes  []Attribute
	// Signature is the signature value: what a signature time stamp covers.
	Signature []byte

	signedBody      []byte // contents of [0] signedAttrs as found
	signatureParams []byte
}

// ContentDigest gives the digest of the signed content by an algorithm: the bytes of a PDF's ByteRange, of a detached
// file, or the DER of an eContent. An error means that the content could not be read.
type ContentDigest func(h crypto.Hash) ([]byte, error)

// DigestOf is the ContentDigest of bytes in memory.
func DigestOf(content []byte) ContentDigest {
	return func(h crypto.Hash) ([]byte, error) {
		d := h.New()
		d.Write(content)
		return d.Sum(nil), nil
	}
}

// Result is the verdict on one SignerInfo: cryptography and binding, no trust.
type Result struct {
	// Valid is true when the content, the signed attributes and the signature value agree under the key of Signer, and
	// the signed attributes bind that very certificate. Weak algorithms do not make it false.
	Valid bool
	// Intact is true when the content has the digest that was signed, whoever signed it.
	Intact bool
	// Authentic is true when the signature value is that of Signer's key, over signed attributes or content.
	Authentic bool
	// Signer is the certificate that the identifier names and, when Valid, whose key made the signature; or nil.
	Signer *x509.Certificate
	// Hash is the digest algorithm, 0 when unknown. Algorithm is like "RSA-SHA256", "RSA-PSS-SHA256", "ECDSA-SHA384" or
	// "Ed25519"; for unknown ones the OID.
	Hash      crypto.Hash
	Algorithm string
	// HasESS tells that a signing-certificate or signing-certificate-v2 attribute binds the certificate.
	HasESS bool
	// Reasons say why Valid is false; empty when it is true.
	Reasons pki.Reasons
	// Weak lists what does not break the signature but a policy by date has to judge: SHA-1, short keys, an RSA signature
	// whose stated digest algorithm is not the one used.
	Weak pki.Reasons
	// ReadError is the error of the ContentDigest: nothing is said of the content then, nor of a value without signed
	// attributes. Valid and Intact are false.
	ReadError error
}

// SignRequest says what to sign and how. Only the digest of the content is needed, so content of any size streams.
type SignRequest struct {
	// Key signs; for Prepare alone its Signer may be nil.
	Key *keys.Key
	// Hash is the digest algorithm, zero means SHA-256 (SHA-512 for Ed25519, RFC 8419). Digest is the content's.
	Hash   crypto.Hash
	Digest []byte
	// ContentType is id-data when nil. Content, when not nil, is embedded as eContent (and must match Digest, which is
	// computed when nil).
	ContentType asn1.ObjectIdentifier
	Content     []byte
	// SigningTime, when set, becomes the signing-time attribute (adbe profile; PAdES has none).
	SigningTime *time.Time
	// OmitESS leaves out the ESS signing-certificate-v2 attribute (RFC 5035), which CAdES and PAdES require.
	OmitESS bool
	// PSS makes RSA keys sign by RSASSA-PSS instead of PKCS#1 v1.5.
	PSS bool
	// OmitCertificates embeds no certificates (RFC 3161 requests without certReq).
	OmitCertificates bool
	// SignedAttributes are added to content-type, message-digest and the ones above.
	SignedAttributes []Attribute
	// UnsignedAttributes, when set, is called with the signature value: see TimestampAttribute.
	UnsignedAttributes func(signature []byte) ([]Attribute, error)
	// CRLs and OCSPs (DER) are embedded in the crls field.
	CRLs, OCSPs [][]byte
}

// ErrSignature means that a signer gave a value that its certificate does not verify.
var ErrSignature = errors.New("cms: the key does not belong to the certificate, or signed something else")

// Object identifiers. They are functions so that no package state can be changed.
func oidData() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1} }
func oidSignedData() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
}
func oidContentType() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
}
func oidMessageDigest() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
}
func oidSigningTime() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
}

// oidAlgorithmProtection is RFC 6211.
func oidAlgorithmProtection() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 52}
}

// oidSigningCertificate and oidSigningCertificateV2 are RFC 2634 §5.4 and RFC 5035 §3.
func oidSigningCertificate() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
}
func oidSigningCertificateV2() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
}

// oidTimestamp is RFC 3161 appendix A.
func oidTimestamp() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}
}

// oidRevocationArchival is ISO 32000-2 §12.8.3.3.2.
func oidRevocationArchival() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113583, 1, 1, 8}
}

// oidOCSPInfo is RFC 5940 §2.1.
func oidOCSPInfo() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 16, 2}
}
