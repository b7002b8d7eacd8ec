package signing_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
)

func detachedContent() []byte {
	return bytes.Repeat([]byte("Biên nhận văn bản điện tử\n"), 10_000)
}

// detachedTrust trusts the root of certs-testdata, as of a day on which its identities are good.
func detachedTrust(t *testing.T) signing.VerifyOptions {
	t.Helper()
	return signing.VerifyOptions{At: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
		Trust: &pki.Trust{Roots: certs.Roots(t), TimestampRoots: certs.Roots(t), CRLs: certs.CRL(t)}}
}

func signDetached(t *testing.T, key *keys.Key, o signing.DetachedOptions) []byte {
	t.Helper()
	der, err := signing.SignDetached(context.Background(), bytes.NewReader(detachedContent()), key, o)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func verifyDetached(t *testing.T, content, der []byte, o signing.VerifyOptions) *signing.Report {
	t.Helper()
	r, err := signing.VerifyDetached(context.Background(), bytes.NewReader(content), der, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSignDetached(t *testing.T) {
	authority, err := tsa.NewAuthority(identity(t, certs.TSA), tsa.AuthorityOptions{
		Now: func() time.Time { return time.Date(2029, 6, 1, 0, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []certs.Name{certs.OfficialRSA, certs.SealEC} {
		for level, o := range map[string]signing.DetachedOptions{"B-B": {}, "B-T": {TSA: authority}} {
			r := verifyDetached(t, detachedContent(), signDetached(t, identity(t, name), o), detachedTrust(t))
			if r.Verdict != signing.TotalPassed || r.Integrity != signing.Intact || len(r.Signatures) != 1 {
				t.Fatalf("%s %s: %+v", name, level, r)
			}
			s := r.Signatures[0]
			if s.Level != level || (s.ProvenTime != nil) != (level == "B-T") || s.CoversTo != int64(len(detachedContent())) {
				t.Errorf("%s %s: level %s, proven %v", name, level, s.Level, s.ProvenTime)
			}
		}
	}
}

func TestSignDetachedVerdicts(t *testing.T) {
	content := detachedContent()
	for name, c := range map[string]struct {
		key     certs.Name
		content []byte
		want    signing.Verdict
		sub     signing.SubIndication
	}{
		"changed":     {certs.SealEC, append(detachedContent(), '.'), signing.TotalFailed, signing.HashFailure},
		"cut":         {certs.SealEC, content[:len(content)-1], signing.TotalFailed, signing.HashFailure},
		"other root":  {certs.OtherOfficial, content, signing.Indeterminate, signing.NoCertificateChainFound},
		"wrong usage": {certs.WrongUsage, content, signing.Indeterminate, signing.ChainConstraintsFailure},
		"expired":     {certs.Expired, content, signing.Indeterminate, signing.OutOfBoundsNoPOE},
		"weak key":    {certs.WeakKey, content, signing.Indeterminate, signing.CryptoConstraintsNoPOE},
		"revoked":     {certs.Revoked, content, signing.Indeterminate, signing.RevokedNoPOE},
	} {
		r := verifyDetached(t, c.content, signDetached(t, identity(t, c.key), signing.DetachedOptions{}), detachedTrust(t))
		if r.Verdict != c.want || r.Signatures[0].SubIndication != c.sub {
			t.Errorf("%s: %s %s, want %s %s", name, r.Verdict, r.Signatures[0].SubIndication, c.want, c.sub)
		}
	}
}

// An expired signer with a time stamp of an authority that nobody trusts stays expired (SIGNING V5).
func TestDetachedBackdating(t *testing.T) {
	while := func() time.Time { return time.Date(2021, 6, 1, 0, 0, 0, 0, time.UTC) }
	for name, want := range map[certs.Name]signing.Verdict{certs.TSA: signing.TotalPassed, certs.OtherTSA: signing.Indeterminate} {
		authority, err := tsa.NewAuthority(identity(t, name), tsa.AuthorityOptions{Now: while})
		if err != nil {
			t.Fatal(err)
		}
		der := signDetached(t, identity(t, certs.Expired), signing.DetachedOptions{TSA: authority})
		r := verifyDetached(t, detachedContent(), der, detachedTrust(t))
		if r.Verdict != want || (r.Signatures[0].ProvenTime != nil) != (name == certs.TSA) {
			t.Errorf("%s: %s, proven %v, %v", name, r.Verdict, r.Signatures[0].ProvenTime, r.Signatures[0].Reasons)
		}
	}
}

func TestDetachedOpenSSL(t *testing.T) {
	need(t, "openssl")
	content := save(t, "content", detachedContent())
	var roots bytes.Buffer
	for _, c := range certs.Roots(t) {
		roots.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	trust := save(t, "roots.pem", roots.Bytes())
	for _, name := range []certs.Name{certs.OfficialRSA, certs.SealEC} {
		der := save(t, string(name)+".p7s", signDetached(t, identity(t, name), signing.DetachedOptions{}))
		out := run(t, "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", der, "-content", content,
			"-CAfile", trust, "-purpose", "any", "-out", "/dev/null")
		if !strings.Contains(out, "CAdES Verification successful") {
			t.Errorf("%s: %s", name, out)
		}
	}
}

func TestSignDetachedEd25519(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := pki.NewAuthority(certs.Certificate(t, certs.Root).Subject, pki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := authority.Issue(pki.IssueRequest{Key: private})
	if err != nil {
		t.Fatal(err)
	}
	r := verifyDetached(t, detachedContent(), signDetached(t, key, signing.DetachedOptions{}), signing.VerifyOptions{Trust: authority.Trust()})
	if r.Verdict != signing.TotalPassed || r.Signatures[0].Algorithm != "Ed25519" {
		t.Errorf("%+v", r)
	}
}

func TestSignDetachedErrors(t *testing.T) {
	key := identity(t, certs.SealEC)
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx     context.Context
		content io.Reader
		key     *keys.Key
		want    error
	}{
		"cancelled":  {stopped, bytes.NewReader(detachedContent()), key, context.Canceled},
		"unreadable": {context.Background(), iotest.ErrReader(io.ErrUnexpectedEOF), key, io.ErrUnexpectedEOF},
		"no key":     {context.Background(), bytes.NewReader(nil), nil, keys.ErrNoKey},
		"no signer":  {context.Background(), bytes.NewReader(nil), &keys.Key{Certificate: &x509.Certificate{}}, keys.ErrNoKey},
	} {
		if der, err := signing.SignDetached(c.ctx, c.content, c.key, signing.DetachedOptions{}); !errors.Is(err, c.want) || der != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	client, err := tsa.NewHTTP("http://127.0.0.1:1/", tsa.HTTPOptions{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	_, err = signing.SignDetached(context.Background(), bytes.NewReader(nil), key, signing.DetachedOptions{TSA: client})
	if !errors.Is(err, tsa.ErrUnavailable) {
		t.Errorf("no time-stamp authority: %v", err)
	}
	if _, err := signing.VerifyDetached(context.Background(), iotest.ErrReader(io.ErrUnexpectedEOF),
		signDetached(t, key, signing.DetachedOptions{}), detachedTrust(t)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("unreadable content: %v", err)
	}
}
