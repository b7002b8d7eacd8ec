package cms

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"

	"crypto"

	certs "vanthu/certs-testdata"
	"vanthu/signing/pki"
)

// The pairs show what the SignedData costs beyond its primitive: Sign against RawSign, Verify against RawVerify.

func benchmarkSign(b *testing.B, name certs.Name) {
	k := identity(b, name)
	sum := sha256.Sum256(content())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Sign(SignRequest{Key: k, Digest: sum[:]}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkRawSign(b *testing.B, name certs.Name) {
	k := identity(b, name)
	sum := sha256.Sum256(content())
	for b.Loop() {
		if _, err := k.Signer.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkVerify(b *testing.B, name certs.Name) {
	der := sign(b, SignRequest{Key: identity(b, name)})
	sum := sha256.Sum256(content())
	digest := func(crypto.Hash) ([]byte, error) { return sum[:], nil }
	b.ReportAllocs()
	for b.Loop() {
		sd, err := Parse(der, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		if res := sd.Verify(sd.Signers[0], digest); !res.Valid {
			b.Fatal(res.Reasons)
		}
	}
}

func benchmarkRawVerify(b *testing.B, name certs.Name) {
	k := identity(b, name)
	sum := sha256.Sum256(content())
	value, err := k.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		ok := false
		switch key := pki.PublicKey(k.Certificate).(type) {
		case *ecdsa.PublicKey:
			ok = ecdsa.VerifyASN1(key, sum[:], value)
		case *rsa.PublicKey:
			ok = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], value) == nil
		}
		if !ok {
			b.Fatal("not valid")
		}
	}
}

func BenchmarkSignP256(b *testing.B)      { benchmarkSign(b, certs.OfficialEC) }
func BenchmarkRawSignP256(b *testing.B)   { benchmarkRawSign(b, certs.OfficialEC) }
func BenchmarkSignRSA(b *testing.B)       { benchmarkSign(b, certs.OfficialRSA) }
func BenchmarkRawSignRSA(b *testing.B)    { benchmarkRawSign(b, certs.OfficialRSA) }
func BenchmarkVerifyP256(b *testing.B)    { benchmarkVerify(b, certs.OfficialEC) }
func BenchmarkRawVerifyP256(b *testing.B) { benchmarkRawVerify(b, certs.OfficialEC) }
func BenchmarkVerifyRSA(b *testing.B)     { benchmarkVerify(b, certs.OfficialRSA) }
func BenchmarkRawVerifyRSA(b *testing.B)  { benchmarkRawVerify(b, certs.OfficialRSA) }
