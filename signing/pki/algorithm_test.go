package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
)

func TestHashIdentifiers(t *testing.T) {
	for _, e := range hashOIDs() {
		oid := OIDByHash(e.hash)
		if oid.String() != e.oid || HashByOID(oid) != e.hash || !e.hash.Available() {
			t.Errorf("%s: %s", e.oid, oid)
		}
	}
	if OIDByHash(crypto.MD5) != nil || HashByOID(asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}) != 0 {
		t.Error("MD5 is known")
	}
}

func TestSignatureIdentifiers(t *testing.T) {
	for _, e := range signatureOIDs() {
		if e.hash == 0 {
			continue
		}
		a := SignatureAlgorithm{Scheme: e.scheme, Hash: e.hash}
		oid, ok := a.OID()
		if !ok {
			t.Fatalf("%s: no identifier", a)
		}
		back, err := ParseSignatureAlgorithm(oid, nil, 0)
		if err != nil || back.Scheme != e.scheme || back.Hash != e.hash {
			t.Errorf("%s: %+v, %v", oid, back, err)
		}
	}
	if _, ok := (SignatureAlgorithm{Scheme: PKCS1v15, Hash: crypto.MD5}).OID(); ok {
		t.Error("RSA with MD5 has an identifier")
	}
	for _, oid := range []asn1.ObjectIdentifier{{1, 3, 101, 113}, {1, 2, 840, 113549, 1, 1, 4}, {1, 2, 3}, {1, 2, 840, 113549, 1, 1, 1}} {
		if _, err := ParseSignatureAlgorithm(oid, nil, 0); err == nil {
			t.Errorf("%s without a digest was taken", oid)
		}
	}
}

func TestPSSParameters(t *testing.T) {
	a, err := parsePSS(nil)
	if err != nil || a.Hash != crypto.SHA1 || a.MGFHash != crypto.SHA1 || a.SaltLength != 20 {
		t.Errorf("defaults: %+v, %v", a, err)
	}
	for name, der := range map[string][]byte{
		"no sequence": {5, 0}, "bytes after": {0x30, 0, 0}, "bad hash": {0x30, 4, 0xa0, 2, 5, 0}, "bad mask": {0x30, 4, 0xa1, 2, 5, 0},
		"bad salt": {0x30, 4, 0xa2, 2, 5, 0}, "negative salt": {0x30, 5, 0xa2, 3, 2, 1, 0xff}, "huge salt": {0x30, 6, 0xa2, 4, 2, 2, 0x7f, 0xff},
		"trailer": {0x30, 5, 0xa3, 3, 2, 1, 2}, "field twice": {0x30, 10, 0xa2, 3, 2, 1, 5, 0xa2, 3, 2, 1, 5},
	} {
		if a, err := parsePSS(der); err == nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// wideKey is an RSA key whose public exponent is over 32 bits, as crypto/rsa refuses and some authorities used.
func wideKey(t *testing.T) (*rsa.PublicKey, *big.Int) {
	t.Helper()
	for {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		e := big.NewInt(4294967311)
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(k.Primes[0], one), new(big.Int).Sub(k.Primes[1], one))
		if d := new(big.Int).ModInverse(e, phi); d != nil {
			return &rsa.PublicKey{N: k.N, E: 4294967311}, d
		}
	}
}

func TestLargePublicExponent(t *testing.T) {
	key, d := wideKey(t)
	digest := sha256.Sum256([]byte("nội dung"))
	info := append([]byte{0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20}, digest[:]...)
	em := []byte{0, 1}
	em = append(em, slices.Repeat([]byte{0xff}, 256-3-len(info))...)
	em = append(append(em, 0), info...)
	value := new(big.Int).Exp(new(big.Int).SetBytes(em), d, key.N).FillBytes(make([]byte, 256))
	a := SignatureAlgorithm{Scheme: PKCS1v15, Hash: crypto.SHA256}
	if !a.VerifyDigest(key, digest[:], value) {
		t.Error("PKCS#1 v1.5 not verified")
	}
	pss := SignatureAlgorithm{Scheme: PSS, Hash: crypto.SHA256, MGFHash: crypto.SHA256, SaltLength: 32}
	for range 20 {
		other := slices.Clone(value)
		b := make([]byte, 2)
		if _, err := rand.Read(b); err != nil {
			t.Fatal(err)
		}
		other[b[0]] ^= b[1] | 1
		if a.VerifyDigest(key, digest[:], other) || pss.VerifyDigest(key, digest[:], other) {
			t.Fatal("a changed value was verified")
		}
	}
	if a.VerifyDigest(key, digest[:31], value) || a.VerifyDigest(key, digest[:], value[1:]) || a.VerifyDigest(key, digest[:], key.N.Bytes()) {
		t.Error("a wrong length, or a value over the modulus, was verified")
	}
}

// emsaPSSVerify must say what crypto/rsa says, for key lengths around whole octets too.
func TestPSSAgainstStandardLibrary(t *testing.T) {
	digest := sha256.Sum256([]byte("nội dung"))
	for _, bits := range []int{1024, 1025, 1031} {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		for _, salt := range []int{1, 32, 60} {
			value, err := rsa.SignPSS(rand.Reader, k, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
			if err != nil {
				t.Fatal(err)
			}
			check := func(salt int, value []byte) bool {
				m := rsaPublic(&k.PublicKey, value)
				if m == nil {
					return false
				}
				if (bits-1)%8 == 0 {
					m = m[1:]
				}
				return emsaPSSVerify(digest[:], m, bits-1, SignatureAlgorithm{Hash: crypto.SHA256, MGFHash: crypto.SHA256, SaltLength: salt})
			}
			if !check(salt, value) {
				t.Errorf("%d bits, salt %d: not verified", bits, salt)
			}
			if check(salt+1, value) || check(salt-1, value) {
				t.Errorf("%d bits: another salt length was verified", bits)
			}
			value[len(value)/2] ^= 1
			if check(salt, value) {
				t.Errorf("%d bits, salt %d: a changed value was verified", bits, salt)
			}
		}
	}
}

func TestSchemesAndKeysMustFit(t *testing.T) {
	message := []byte("nội dung")
	digest := sha256.Sum256(message)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, s, err := ecdsa.Sign(rand.Reader, ec, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	plain := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	der, err := ecdsa.SignASN1(rand.Reader, ec, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := ed25519.Sign(edPrivate, message)
	for _, c := range []struct {
		scheme Scheme
		public crypto.PublicKey
		value  []byte
		want   bool
	}{
		{ECDSA, &ec.PublicKey, der, true}, {PlainECDSA, &ec.PublicKey, plain, true}, {EdDSA, edPublic, ed, true},
		{ECDSA, &ec.PublicKey, plain, false}, {PlainECDSA, &ec.PublicKey, der, false}, {PlainECDSA, &ec.PublicKey, nil, false},
		{PSS, &ec.PublicKey, der, false}, {ECDSA, edPublic, ed, false}, {EdDSA, &ec.PublicKey, ed, false}, {EdDSA, edPublic[:31], ed, false},
		{PKCS1v15, nil, der, false}, {0, &ec.PublicKey, der, false},
	} {
		a := SignatureAlgorithm{Scheme: c.scheme, Hash: crypto.SHA256}
		if got := a.Verify(c.public, message, c.value); got != c.want {
			t.Errorf("%s with %T: %v", a, c.public, got)
		}
	}
	if (SignatureAlgorithm{Scheme: ECDSA}).Verify(&ec.PublicKey, message, der) {
		t.Error("verified without a digest algorithm")
	}
}
