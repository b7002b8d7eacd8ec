// Package certs is the test PKI: keys and certificates for tests, good ones and one for each way of being bad. They are
// worthless by design: the private keys are public, and every subject's O says "TEST ONLY", which servers refuse.
//
// Only _test.go files import it.
package certs

import (
	"crypto"
	"crypto/x509"
	"embed"
	"encoding/pem"
	"testing"
)

//go:generate go run ./generate

//go:embed *.pem *.key *.crl
var files embed.FS

// Name is a case; README.md says what each is.
type Name string

// Authorities. Root is the only one that tests trust.
const (
	Root       Name = "root"
	IssuingRSA Name = "issuing-rsa"
	IssuingEC  Name = "issuing-ec"
)

// Good identities. The suffix is the kind of key: RSA-2048 or P-256.
const (
	OfficialRSA Name = "official-rsa"
	OfficialEC  Name = "official-ec"
	LeaderRSA   Name = "leader-rsa"
	LeaderEC    Name = "leader-ec"
	SealRSA     Name = "seal-rsa"    // agency seal (con dấu cơ quan)
	SealEC      Name = "seal-ec"     // the same agency
	SealSecond  Name = "seal-second" // another agency
	TSA         Name = "tsa"
	OCSP        Name = "ocsp" // responder for IssuingEC
)

// Bad identities.
const (
	Expired       Name = "expired"
	NotYetValid   Name = "not-yet-valid"
	Revoked       Name = "revoked" // on 2024-06-01, in the CRL of IssuingEC
	WrongUsage    Name = "wrong-usage"
	WeakKey       Name = "weak-key"
	OtherRoot     Name = "other-root"     // an authority that nobody trusts
	OtherOfficial Name = "other-official" // issued by OtherRoot, with the subject of OfficialEC
	OtherTSA      Name = "other-tsa"      // issued by OtherRoot
)

// Names lists every case.
func Names() []Name {
	return []Name{
		Root, IssuingRSA, IssuingEC,
		OfficialRSA, OfficialEC, LeaderRSA, LeaderEC, SealRSA, SealEC, SealSecond, TSA, OCSP,
		Expired, NotYetValid, Revoked, WrongUsage, WeakKey, OtherRoot, OtherOfficial, OtherTSA,
	}
}

// Identity returns the key of a case and its certificates: the leaf, then the authority that issued it, without the
// root.
func Identity(tb testing.TB, name Name) (crypto.Signer, []*x509.Certificate) {
	tb.Helper()
	key, err := x509.ParsePKCS8PrivateKey(decode(tb, string(name)+".key"))
	if err != nil {
		tb.Fatalf("certs-testdata: key of %s: %v", name, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		tb.Fatalf("certs-testdata: key of %s is a %T", name, key)
	}
	leaf := Certificate(tb, name)
	chain := []*x509.Certificate{leaf}
	for _, issuer := range []Name{IssuingRSA, IssuingEC} {
		if c := Certificate(tb, issuer); name != issuer && c.Subject.String() == leaf.Issuer.String() {
			chain = append(chain, c)
		}
	}
	return signer, chain
}

// Certificate returns the certificate of a case.
func Certificate(tb testing.TB, name Name) *x509.Certificate {
	tb.Helper()
	c, err := x509.ParseCertificate(decode(tb, string(name)+".pem"))
	if err != nil {
		tb.Fatalf("certs-testdata: certificate of %s: %v", name, err)
	}
	return c
}

// Roots returns the trust anchors of the tests: Root alone.
func Roots(tb testing.TB) []*x509.Certificate {
	tb.Helper()
	return []*x509.Certificate{Certificate(tb, Root)}
}

// PEM returns the certificates of a case (leaf first, without the root) and its key as PEM files hold them.
func PEM(tb testing.TB, name Name) (certificates, key []byte) {
	tb.Helper()
	_, chain := Identity(tb, name)
	for _, c := range chain {
		certificates = append(certificates, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return certificates, read(tb, string(name)+".key")
}

// CRL returns the CRLs (DER) of authorities; no name means of Root, IssuingRSA and IssuingEC. They are good from
// 2024-06-02 to 2120.
func CRL(tb testing.TB, authorities ...Name) [][]byte {
	tb.Helper()
	if len(authorities) == 0 {
		authorities = []Name{Root, IssuingRSA, IssuingEC}
	}
	var list [][]byte
	for _, name := range authorities {
		list = append(list, decode(tb, string(name)+".crl"))
	}
	return list
}

func read(tb testing.TB, file string) []byte {
	tb.Helper()
	data, err := files.ReadFile(file)
	if err != nil {
		tb.Fatalf("certs-testdata: %v", err)
	}
	return data
}

func decode(tb testing.TB, file string) []byte {
	tb.Helper()
	block, _ := pem.Decode(read(tb, file))
	if block == nil {
		tb.Fatalf("certs-testdata: %s is not PEM", file)
	}
	return block.Bytes
}
