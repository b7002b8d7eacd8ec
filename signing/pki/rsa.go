package pki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
)

// maxExponent is the largest public exponent that crypto/rsa takes. Some authorities of the past chose larger ones.
const maxExponent = 1<<31 - 1

// rsaPublic applies the public key to a signature value (RFC 8017 §5.2.2), for what crypto/rsa does not do. The result
// has the modulus's length; nil when the value or the key is out of range.
func rsaPublic(key *rsa.PublicKey, signature []byte) []byte {
	if bits := key.N.BitLen(); bits < 1024 || bits > 16384 || key.E < 3 || len(signature) != key.Size() {
		return nil
	}
	s := new(big.Int).SetBytes(signature)
	if s.Cmp(key.N) >= 0 {
		return nil
	}
	return s.Exp(s, big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, key.Size()))
}

// verifyPKCS1 checks RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2) by comparing with what a signer must have encoded: one DigestInfo
// with NULL as the parameters of the digest algorithm, or one without parameters, as some signers wrote it, which is the
// same to a verifier (RFC 8017 §B.1, RFC 4055 §2.1).
func verifyPKCS1(key *rsa.PublicKey, h crypto.Hash, digest, signature []byte) bool {
	if key.E <= maxExponent && rsa.VerifyPKCS1v15(key, h, digest, signature) == nil {
		return true
	}
	oid := OIDByHash(h)
	if oid == nil || len(digest) != h.Size() {
		return false
	}
	found := rsaPublic(key, signature)
	return found != nil && (bytes.Equal(found, encodePKCS1(key, oid, asn1.NullRawValue, digest)) ||
		bytes.Equal(found, encodePKCS1(key, oid, asn1.RawValue{}, digest)))
}

// encodePKCS1 is EMSA-PKCS1-v1_5 (RFC 8017 §9.2) of a digest, nil when the key is too short for it.
func encodePKCS1(key *rsa.PublicKey, oid asn1.ObjectIdentifier, parameters asn1.RawValue, digest []byte) []byte {
	info, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}{pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: parameters}, digest})
	padding := key.Size() - len(info) - 3
	if err != nil || padding < 8 {
		return nil
	}
	out := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, padding)...)
	return append(append(out, 0), info...)
}

// verifyPSS checks RSASSA-PSS with the parameters of a. crypto/rsa serves the usual case; it cannot do a mask generation
// hash of its own, nor exactly an empty salt.
func verifyPSS(key *rsa.PublicKey, a SignatureAlgorithm, digest, signature []byte) bool {
	if a.Hash == a.MGFHash && a.SaltLength > 0 && key.E <= maxExponent {
		return rsa.VerifyPSS(key, a.Hash, digest, signature, &rsa.PSSOptions{SaltLength: a.SaltLength}) == nil
	}
	m := rsaPublic(key, signature)
	if m == nil || len(digest) != a.Hash.Size() {
		return false
	}
	emBits := key.N.BitLen() - 1
	if emBits%8 == 0 { // the encoded message is an octet shorter than the modulus
		if m[0] != 0 {
			return false
		}
		m = m[1:]
	}
	return emsaPSSVerify(digest, m, emBits, a)
}

// emsaPSSVerify is RFC 8017 §9.1.2.
func emsaPSSVerify(digest, em []byte, emBits int, a SignatureAlgorithm) bool {
	hLen := a.Hash.Size()
	if len(em) < hLen+a.SaltLength+2 || em[len(em)-1] != 0xbc {
		return false
	}
	db, h := em[:len(em)-hLen-1], em[len(em)-hLen-1:len(em)-1]
	unused := 8*len(em) - emBits
	if db[0]&^(0xff>>unused) != 0 {
		return false
	}
	mask := mgf1(a.MGFHash, h, len(db))
	plain := make([]byte, len(db))
	subtle.XORBytes(plain, db, mask)
	plain[0] &= 0xff >> unused
	salt := len(plain) - a.SaltLength
	for _, b := range plain[:salt-1] {
		if b != 0 {
			return false
		}
	}
	if plain[salt-1] != 1 {
		return false
	}
	hash := a.Hash.New()
	hash.Write(make([]byte, 8))
	hash.Write(digest)
	hash.Write(plain[salt:])
	return subtle.ConstantTimeCompare(hash.Sum(nil), h) == 1
}

// mgf1 is RFC 8017 §B.2.1.
func mgf1(h crypto.Hash, seed []byte, length int) []byte {
	var mask []byte
	for counter := uint32(0); len(mask) < length; counter++ {
		hash := h.New()
		hash.Write(seed)
		hash.Write(binary.BigEndian.AppendUint32(nil, counter))
		mask = hash.Sum(mask)
	}
	return mask[:length]
}
