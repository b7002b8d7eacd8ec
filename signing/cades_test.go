package signing_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/signing"
	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/tsa"
)

// TestCAdESLevels signs a file at every level with every kind of key; openssl and our validator judge it, the latter
// from what the signature carries alone.
func TestCAdESLevels(t *testing.T) {
	k := testKeys(t)
	content := []byte("Phụ lục kèm theo Quyết định\n")
	for kind, key := range map[string]*keys.Key{"P-256": k.officer, "RSA-2048": k.leader} {
		for _, level := range []string{"B-B", "B-T", "B-LT", "B-LTA"} {
			t.Run(kind+"/"+level, func(t *testing.T) {
				o := signing.DetachedOptions{Level: level, TSA: k.tsa, Trust: k.trust, At: time.Now()}
				der, err := signing.SignDetached(context.Background(), bytes.NewReader(content), key, o)
				if err != nil {
					t.Fatal(err)
				}
				out := run(t, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", save(t, "sig", der), "-content", save(t, "content", content), "-noverify", "-out", os.DevNull)
				if !strings.Contains(out, "successful") {
					t.Error(out)
				}
				v := signing.VerifyOptions{Trust: k.trust, Offline: true}
				if strings.HasPrefix(level, "B-L") {
					v = strict(t)
				}
				report, err := signing.VerifyDetached(context.Background(), bytes.NewReader(content), der, v)
				if err != nil || report.Verdict != signing.TotalPassed || report.Signatures[0].Level != level {
					t.Fatalf("%v, %+v", err, report)
				}
				report, err = signing.VerifyDetached(context.Background(), strings.NewReader("khác"), der, v)
				if err != nil || report.Verdict != signing.TotalFailed || report.Integrity != signing.Altered {
					t.Errorf("other content: %v, %+v", err, report)
				}
			})
		}
	}
	for _, o := range []signing.DetachedOptions{{Level: "B-LT"}, {Level: "B-X", TSA: k.tsa}} {
		if _, err := signing.SignDetached(context.Background(), bytes.NewReader(content), k.officer, o); !errors.Is(err, signing.ErrUnsupported) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	o := signing.DetachedOptions{Level: "B-LT", TSA: k.tsa, Trust: onlyAnchors(t)}
	if _, err := signing.SignDetached(context.Background(), bytes.NewReader(content), k.officer, o); !errors.Is(err, signing.ErrEvidence) {
		t.Errorf("without revocation data: %v", err)
	}
}

// TestArchiveTimestampProtects: what an archive time stamp names cannot be taken away, and a stamp of another signature
// is found out.
func TestArchiveTimestampProtects(t *testing.T) {
	k := testKeys(t)
	content := []byte("Phụ lục")
	sign := func(level string) []byte {
		der, err := signing.SignDetached(context.Background(), bytes.NewReader(content), k.officer, signing.DetachedOptions{Level: level, TSA: k.tsa, Trust: k.trust})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	verdict := func(der []byte, at time.Time) *signing.Report {
		v := strict(t)
		v.At = at
		report, err := signing.VerifyDetached(context.Background(), bytes.NewReader(content), der, v)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	lt, lta := sign("B-LT"), sign("B-LTA")
	parsed, err := cms.Parse(lta, cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	stamp := parsed.Signers[0].ArchiveTimestamps()
	if len(stamp) != 1 {
		t.Fatalf("%d archive time stamps", len(stamp))
	}
	moved, err := cms.Amend(lt, cms.Amendment{Unsigned: []cms.Attribute{cms.ArchiveTimestampAttribute(stamp[0])}})
	if err != nil {
		t.Fatal(err)
	}
	if r := verdict(moved, time.Now()); r.Verdict == signing.TotalPassed || r.Integrity != signing.Altered {
		t.Errorf("stamp of another signature: %+v", r)
	}
	crl := certs.CRL(t, certs.IssuingEC)[0]
	at := bytes.Index(lta, crl)
	if at < 0 {
		t.Fatal("the CRL is not in the signature")
	}
	changed := bytes.Clone(lta)
	changed[at+len(crl)-1] ^= 1
	if r := verdict(changed, time.Now()); r.Verdict == signing.TotalPassed || r.Integrity != signing.Altered {
		t.Errorf("changed CRL: %+v", r)
	}
	more, err := cms.Amend(lta, cms.Amendment{Certificates: [][]byte{k.leader.Certificate.Raw}})
	if err != nil {
		t.Fatal(err)
	}
	if r := verdict(more, time.Now()); r.Verdict != signing.TotalPassed {
		t.Errorf("a certificate added later: %+v", r)
	}
	token, err := tsa.ParseToken(stamp[0])
	if err != nil || token.Hash != crypto.SHA256 {
		t.Errorf("token %+v, %v", token, err)
	}
}
