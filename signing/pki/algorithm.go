package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha1" // old signatures have to be read; the policy reports them as weak
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Scheme is how a signature value is made.
type Scheme int

// Signature schemes that can be verified.
const (
	PKCS1v15 Scheme = iota + 1
	PSS
	ECDSA
	PlainECDSA // BSI TR-03111: r and s side by side
	EdDSA      // Ed25519
)

// SignatureAlgorithm is a signature algorithm with its parameters.
type SignatureAlgorithm struct {
	Scheme Scheme
	// Hash is the digest, SHA-512 for Ed25519 (RFC 8419), which nevertheless signs the message itself.
	Hash crypto.Hash
	// MGFHash and SaltLength are those of RSASSA-PSS.
	MGFHash    crypto.Hash
	SaltLength int
}

// String is like "RSA-SHA256", "RSA-PSS-SHA256", "ECDSA-SHA384" or "Ed25519".
func (a SignatureAlgorithm) String() string {
	switch a.Scheme {
	case PKCS1v15:
		return "RSA-" + HashName(a.Hash)
	case PSS:
		return "RSA-PSS-" + HashName(a.Hash)
	case ECDSA, PlainECDSA:
		return "ECDSA-" + HashName(a.Hash)
	case EdDSA:
		return "Ed25519"
	}
	return "unknown"
}

// HashName is like "SHA256" or "SHA3-256".
func HashName(h crypto.Hash) string {
	switch h {
	case crypto.SHA1:
		return "SHA1"
	case crypto.SHA224:
		return "SHA224"
	case crypto.SHA256:
		return "SHA256"
	case crypto.SHA384:
		return "SHA384"
	case crypto.SHA512:
		return "SHA512"
	case crypto.SHA512_224:
		return "SHA512-224"
	case crypto.SHA512_256:
		return "SHA512-256"
	}
	return h.String()
}

// HashByOID returns the digest algorithm of an identifier, 0 when it is unknown or refused (MD5 and older).
func HashByOID(oid asn1.ObjectIdentifier) crypto.Hash {
	name := oid.String()
	for _, e := range hashOIDs() {
		if e.oid == name {
			return e.hash
		}
	}
	return 0
}

// OIDByHash is the reverse of HashByOID, nil when unknown.
func OIDByHash(h crypto.Hash) asn1.ObjectIdentifier {
	switch h {
	case crypto.SHA1:
		return asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	case crypto.SHA256:
		return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	}
	for i, e := range hashOIDs() {
		if e.hash == h {
			return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, i}
		}
	}
	return nil
}

type hashOID struct {
	oid  string
	hash crypto.Hash
}

// hashOIDs lists NIST's identifiers, each at the index of its last arc, and OIW's SHA-1 at index 0. It is a function,
// like the other tables here, so that no package state can be changed; an array of constants costs no allocation.
func hashOIDs() [11]hashOID {
	return [...]hashOID{
		{"1.3.14.3.2.26", crypto.SHA1},
		{"2.16.840.1.101.3.4.2.1", crypto.SHA256},
		{"2.16.840.1.101.3.4.2.2", crypto.SHA384},
		{"2.16.840.1.101.3.4.2.3", crypto.SHA512},
		{"2.16.840.1.101.3.4.2.4", crypto.SHA224},
		{"2.16.840.1.101.3.4.2.5", crypto.SHA512_224},
		{"2.16.840.1.101.3.4.2.6", crypto.SHA512_256},
		{"2.16.840.1.101.3.4.2.7", crypto.SHA3_224},
		{"2.16.840.1.101.3.4.2.8", crypto.SHA3_256},
		{"2.16.840.1.101.3.4.2.9", crypto.SHA3_384},
		{"2.16.840.1.101.3.4.2.10", crypto.SHA3_512},
	}
}

// signatureOID names a scheme and, unless hash is 0, its digest.
type signatureOID struct {
	oid    string
	scheme Scheme
	hash   crypto.Hash
}

func signatureOIDs() [30]signatureOID {
	return [...]signatureOID{
		{"1.2.840.113549.1.1.11", PKCS1v15, crypto.SHA256},
		{"1.2.840.10045.4.3.2", ECDSA, crypto.SHA256},
		{"1.2.840.113549.1.1.1", PKCS1v15, 0}, // rsaEncryption, RFC 3370 §3.2
		{"1.2.840.113549.1.1.12", PKCS1v15, crypto.SHA384},
		{"1.2.840.113549.1.1.13", PKCS1v15, crypto.SHA512},
		{"1.2.840.113549.1.1.5", PKCS1v15, crypto.SHA1},
		{"1.3.14.3.2.29", PKCS1v15, crypto.SHA1},
		{"1.2.840.113549.1.1.14", PKCS1v15, crypto.SHA224},
		{"1.2.840.113549.1.1.15", PKCS1v15, crypto.SHA512_224},
		{"1.2.840.113549.1.1.16", PKCS1v15, crypto.SHA512_256},
		{"2.16.840.1.101.3.4.3.13", PKCS1v15, crypto.SHA3_224},
		{"2.16.840.1.101.3.4.3.14", PKCS1v15, crypto.SHA3_256},
		{"2.16.840.1.101.3.4.3.15", PKCS1v15, crypto.SHA3_384},
		{"2.16.840.1.101.3.4.3.16", PKCS1v15, crypto.SHA3_512},
		{"1.2.840.113549.1.1.10", PSS, 0},
		{"1.2.840.10045.4.3.3", ECDSA, crypto.SHA384},
		{"1.2.840.10045.4.3.4", ECDSA, crypto.SHA512},
		{"1.2.840.10045.4.3.1", ECDSA, crypto.SHA224},
		{"1.2.840.10045.4.1", ECDSA, crypto.SHA1},
		{"1.2.840.10045.2.1", ECDSA, 0}, // id-ecPublicKey, as some programs write it
		{"2.16.840.1.101.3.4.3.9", ECDSA, crypto.SHA3_224},
		{"2.16.840.1.101.3.4.3.10", ECDSA, crypto.SHA3_256},
		{"2.16.840.1.101.3.4.3.11", ECDSA, crypto.SHA3_384},
		{"2.16.840.1.101.3.4.3.12", ECDSA, crypto.SHA3_512},
		{"0.4.0.127.0.7.1.1.4.1.1", PlainECDSA, crypto.SHA1},
		{"0.4.0.127.0.7.1.1.4.1.2", PlainECDSA, crypto.SHA224},
		{"0.4.0.127.0.7.1.1.4.1.3", PlainECDSA, crypto.SHA256},
		{"0.4.0.127.0.7.1.1.4.1.4", PlainECDSA, crypto.SHA384},
		{"0.4.0.127.0.7.1.1.4.1.5", PlainECDSA, crypto.SHA512},
		{"1.3.101.112", EdDSA, crypto.SHA512},
	}
}

// ParseSignatureAlgorithm reads a signature AlgorithmIdentifier: params is its parameters in DER, nil when absent.
// digest is the digest algorithm stated beside it, which identifiers such as rsaEncryption need; 0 when there is none.
// The error text names the algorithm and is made to stand in a Reason's Detail.
func ParseSignatureAlgorithm(oid asn1.ObjectIdentifier, params []byte, digest crypto.Hash) (SignatureAlgorithm, error) {
	name := oid.String()
	for _, e := range signatureOIDs() {
		if e.oid != name {
			continue
		}
		a := SignatureAlgorithm{Scheme: e.scheme, Hash: e.hash}
		if e.scheme == PSS {
			return parsePSS(params)
		}
		if a.Hash == 0 {
			a.Hash = digest
		}
		if a.Hash == 0 || !a.Hash.Available() {
			return a, fmt.Errorf("%s without a supported digest algorithm", oid)
		}
		return a, nil
	}
	switch name {
	case "1.3.101.113":
		return SignatureAlgorithm{}, errors.New("Ed448")
	case "1.2.840.113549.1.1.4", "1.2.840.113549.1.1.2":
		return SignatureAlgorithm{}, errors.New("RSA with MD5 or MD2, which prove nothing")
	}
	return SignatureAlgorithm{}, errors.New(name)
}

// parsePSS reads RSASSA-PSS-params (RFC 4055 §3.1), whose defaults are SHA-1, MGF1 with SHA-1, salt 20, trailer 1.
func parsePSS(params []byte) (SignatureAlgorithm, error) {
	a := SignatureAlgorithm{Scheme: PSS, Hash: crypto.SHA1, MGFHash: crypto.SHA1, SaltLength: 20}
	bad := errors.New("RSASSA-PSS with malformed parameters")
	if len(params) == 0 {
		return a, nil
	}
	in := cryptobyte.String(params)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return a, bad
	}
	tag := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).Constructed().ContextSpecific() }
	var field cryptobyte.String
	var has bool
	if !seq.ReadOptionalASN1(&field, &has, tag(0)) {
		return a, bad
	}
	if has {
		oid, _, ok := readAlgorithm(&field)
		if a.Hash = HashByOID(oid); !ok || a.Hash == 0 {
			return a, fmt.Errorf("RSASSA-PSS with digest %s", oid)
		}
	}
	if !seq.ReadOptionalASN1(&field, &has, tag(1)) {
		return a, bad
	}
	if has {
		oid, p, ok := readAlgorithm(&field)
		inner := cryptobyte.String(p)
		hash, _, ok2 := readAlgorithm(&inner)
		if a.MGFHash = HashByOID(hash); !ok || !ok2 || a.MGFHash == 0 || oid.String() != "1.2.840.113549.1.1.8" {
			return a, fmt.Errorf("RSASSA-PSS with mask generation %s %s", oid, hash)
		}
	}
	if !seq.ReadOptionalASN1(&field, &has, tag(2)) || has && !field.ReadASN1Integer(&a.SaltLength) {
		return a, bad
	}
	trailer := 1
	if !seq.ReadOptionalASN1(&field, &has, tag(3)) || has && !field.ReadASN1Integer(&trailer) || !seq.Empty() {
		return a, bad
	}
	if trailer != 1 || a.SaltLength < 0 || a.SaltLength > 1024 {
		return a, fmt.Errorf("RSASSA-PSS with salt length %d, trailer %d", a.SaltLength, trailer)
	}
	return a, nil
}

// readAlgorithm reads an AlgorithmIdentifier; params is nil when absent.
func readAlgorithm(in *cryptobyte.String) (oid asn1.ObjectIdentifier, params []byte, ok bool) {
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&oid) {
		return nil, nil, false
	}
	if seq.Empty() {
		return oid, nil, true
	}
	return oid, []byte(seq), true
}

// Verify checks a signature value over a message.
func (a SignatureAlgorithm) Verify(public crypto.PublicKey, message, signature []byte) bool {
	if a.Scheme == EdDSA {
		key, ok := public.(ed25519.PublicKey)
		return ok && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, signature)
	}
	if !a.Hash.Available() {
		return false
	}
	h := a.Hash.New()
	h.Write(message)
	return a.VerifyDigest(public, h.Sum(nil), signature)
}

// VerifyDigest checks a signature value over a digest made with a.Hash. Ed25519 signs messages, not digests: false.
func (a SignatureAlgorithm) VerifyDigest(public crypto.PublicKey, digest, signature []byte) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if a.Scheme == PKCS1v15 {
			return verifyPKCS1(key, a.Hash, digest, signature)
		}
		return a.Scheme == PSS && verifyPSS(key, a, digest, signature)
	case *ecdsa.PublicKey:
		if a.Scheme == ECDSA {
			return ecdsa.VerifyASN1(key, digest, signature)
		}
		return a.Scheme == PlainECDSA && verifyPlain(key, digest, signature)
	}
	return false
}

// verifyPlain checks r and s of equal length side by side.
func verifyPlain(key *ecdsa.PublicKey, digest, signature []byte) bool {
	if len(signature) == 0 || len(signature)%2 != 0 || len(signature) > 256 {
		return false
	}
	half := len(signature) / 2
	der, err := asn1.Marshal(struct{ R, S *big.Int }{
		new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])})
	return err == nil && ecdsa.VerifyASN1(key, digest, der)
}

// signedParts splits what certificates, CRLs and basic OCSP responses have in common: the signed part, the algorithm,
// the signature value, and what follows it.
func signedParts(der []byte) (tbs []byte, oid asn1.ObjectIdentifier, params, signature, rest []byte, ok bool) {
	in := cryptobyte.String(der)
	var seq, body cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1Element(&body, cbasn1.SEQUENCE) {
		return nil, nil, nil, nil, nil, false
	}
	oid, params, ok = readAlgorithm(&seq)
	if !ok || !seq.ReadASN1BitStringAsBytes(&signature) {
		return nil, nil, nil, nil, nil, false
	}
	return body, oid, params, signature, seq, true
}

// signedBy tells whether der (a certificate, CRL or basic OCSP response) was signed with the public key of issuer, and
// with which algorithm.
func signedBy(der []byte, issuer *x509.Certificate) (SignatureAlgorithm, bool) {
	tbs, oid, params, signature, _, ok := signedParts(der)
	if !ok {
		return SignatureAlgorithm{}, false
	}
	a, err := ParseSignatureAlgorithm(oid, params, 0)
	if err != nil {
		return a, false
	}
	return a, a.Verify(PublicKey(issuer), tbs, signature)
}

// PublicKey returns the certificate's public key, including RSA keys marked id-RSASSA-PSS, which crypto/x509 leaves
// unread; nil when the key type is not supported.
func PublicKey(c *x509.Certificate) crypto.PublicKey {
	if c.PublicKey != nil {
		return c.PublicKey
	}
	in := cryptobyte.String(c.RawSubjectPublicKeyInfo)
	var seq cryptobyte.String
	var bits []byte
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil
	}
	oid, _, ok := readAlgorithm(&seq)
	if !ok || oid.String() != "1.2.840.113549.1.1.10" || !seq.ReadASN1BitStringAsBytes(&bits) {
		return nil
	}
	key, err := x509.ParsePKCS1PublicKey(bits)
	if err != nil {
		return nil
	}
	return key
}

// ParseCertificate reads an X.509 certificate in DER. Beside what crypto/x509 reads it takes the negative serial numbers
// that some authorities gave out; Raw and SerialNumber are as found.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err == nil {
		return c, nil
	}
	in := cryptobyte.String(der)
	var outer, tbs, element, serial cryptobyte.String
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1Element(&element, cbasn1.SEQUENCE) {
		return nil, err
	}
	raw := element
	if !element.ReadASN1(&tbs, cbasn1.SEQUENCE) || !tbs.SkipOptionalASN1(cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!tbs.ReadASN1(&serial, cbasn1.INTEGER) || len(serial) == 0 || serial[0]&0x80 == 0 {
		return nil, err
	}
	// The same certificate with a positive number of the same length parses; nothing in it is verified here.
	copied := bytes.Clone(der)
	start := len(der) - len(outer) - len(raw) + (len(raw) - len(tbs)) - len(serial)
	for i := range serial {
		copied[start+i] = 1
	}
	c, err = x509.ParseCertificate(copied)
	if err != nil {
		return nil, err
	}
	c.Raw, c.RawTBSCertificate = bytes.Clone(der), bytes.Clone(raw)
	n := new(big.Int).SetBytes(serial)
	c.SerialNumber = n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(serial))))
	return c, nil
}

// OID returns the identifier under which new signatures are written.
func (a SignatureAlgorithm) OID() (asn1.ObjectIdentifier, bool) {
	for _, e := range signatureOIDs() {
		if e.scheme != a.Scheme || e.hash != a.Hash && a.Scheme != PSS {
			continue
		}
		var oid asn1.ObjectIdentifier
		for part := range strings.SplitSeq(e.oid, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				return nil, false
			}
			oid = append(oid, n)
		}
		return oid, true
	}
	return nil, false
}
