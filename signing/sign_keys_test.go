package signing_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"os"
	"testing"
	"time"

	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pdf/pdftest"
	"vanthu/signing/pki"
)

// TestKeyTypes signs by every kind of key in every profile, three signers in a row; pdfsig, openssl and qpdf judge it.
// Ed25519 is ours alone to judge: pdfsig and openssl 3.0 do not take it (see TestEd25519).
func TestKeyTypes(t *testing.T) {
	k := testKeys(t)
	ca, err := pki.NewAuthority(pkix.Name{CommonName: "Authority", Organization: []string{"TEST ONLY"}}, pki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name string, r pki.IssueRequest) *keys.Key {
		r.Subject = pkix.Name{CommonName: name, Organization: []string{"TEST ONLY"}}
		key, err := ca.Issue(r)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	middle, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]*keys.Key{
		"RSA-2048": k.leader, "P-256": k.officer, "RSA-3072": issue("RSA 3072", pki.IssueRequest{KeyType: pki.RSA3072}), "P-384": issue("P 384", pki.IssueRequest{Key: middle}),
	}
	crl, err := ca.CRL()
	if err != nil {
		t.Fatal(err)
	}
	own := ca.Trust()
	trust := &pki.Trust{Roots: append(own.Roots, k.trust.Roots...), TimestampRoots: k.trust.TimestampRoots, CRLs: append([][]byte{crl}, k.trust.CRLs...)}
	for kind, key := range kinds {
		for _, profile := range signing.Profiles() {
			if os.Getenv("VANTHU_SCALE") == "" && profile == signing.ProfileBLT {
				continue // B-LTA has all that B-LT has
			}
			t.Run(kind+"/"+string(profile), func(t *testing.T) {
				t.Parallel()
				file := pdftest.New(pdftest.Options{}).Bytes(pdftest.Stream)
				for _, by := range []*keys.Key{k.officer, key, k.seal} {
					o := signing.SignOptions{Key: by, Profile: profile, At: time.Now()}
					if profile != signing.ProfileBB && profile != signing.ProfileAdobe {
						o.TSA, o.Trust = k.tsa, trust
					}
					signed, report, err := signing.SignAndCheck(context.Background(), file, o, signing.VerifyOptions{Trust: trust, Offline: true})
					if err != nil || report.Verdict != signing.TotalPassed || !bytes.HasPrefix(signed, file) {
						t.Fatalf("%v, %+v", err, report)
					}
					file = signed
				}
				checkOutside(t, file, 3, profile)
			})
		}
	}
}
