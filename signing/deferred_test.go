package signing_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"vanthu/signing"
	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pdf/pdftest"
)

// begin lays out a signature by a certificate alone, and sends it through JSON as a store would.
func begin(t *testing.T, file []byte, key *keys.Key, profile signing.Profile, k *pkiSet) *signing.Pending {
	t.Helper()
	o := signing.SignOptions{Key: &keys.Key{Certificate: key.Certificate, Chain: key.Chain}, Profile: profile, TSA: k.tsa, Trust: k.trust, At: time.Now(), Reason: "Ký ở máy người dùng"}
	p, err := signing.Begin(context.Background(), bytes.NewReader(file), int64(len(file)), o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	stored := new(signing.Pending)
	if err := json.Unmarshal(text, stored); err != nil {
		t.Fatal(err)
	}
	return stored
}

func finish(file []byte, p *signing.Pending, r signing.Returned, k *pkiSet) ([]byte, error) {
	var out bytes.Buffer
	err := signing.Finish(context.Background(), bytes.NewReader(file), int64(len(file)), &out, p, r, signing.FinishOptions{TSA: k.tsa, Trust: k.trust})
	return out.Bytes(), err
}

func rawSignature(t *testing.T, key *keys.Key, p *signing.Pending) []byte {
	t.Helper()
	value, err := key.Signer.Sign(rand.Reader, p.ToSign, p.Hash)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func wholeCMS(t *testing.T, key *keys.Key, digest []byte, at *time.Time) []byte {
	t.Helper()
	der, err := cms.Sign(cms.SignRequest{Key: key, Hash: crypto.SHA256, Digest: digest, SigningTime: at})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestTwoPhases signs in every profile with a value and with a whole CMS that were made elsewhere.
func TestTwoPhases(t *testing.T) {
	k := testKeys(t)
	file := pdftest.New(pdftest.Options{}).Bytes(pdftest.Stream)
	verify := signing.VerifyOptions{Trust: k.trust, Offline: true}
	for _, profile := range profiles() {
		for name, key := range map[string]*keys.Key{"P-256": k.officer, "RSA": k.leader} {
			for _, form := range []string{"value", "CMS"} {
				t.Run(string(profile)+"/"+name+"/"+form, func(t *testing.T) {
					p := begin(t, file, key, profile, k)
					returned := signing.Returned{Signature: rawSignature(t, key, p)}
					if form == "CMS" {
						var at *time.Time
						if profile == signing.ProfileAdobe {
							at = &p.At
						}
						returned = signing.Returned{CMS: wholeCMS(t, key, p.Digest, at)}
					}
					signed, err := finish(file, p, returned, k)
					if err != nil {
						t.Fatal(err)
					}
					report, err := signing.VerifyPDF(context.Background(), bytes.NewReader(signed), int64(len(signed)), verify)
					if err != nil || report.Verdict != signing.TotalPassed {
						t.Fatalf("%v, %+v", err, report)
					}
					checkOutside(t, signed, 1, profile)
				})
			}
		}
	}
}

// TestTwoPhasesRefuse gives back everything but the signature that was asked for.
func TestTwoPhasesRefuse(t *testing.T) {
	k := testKeys(t)
	file := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	p := begin(t, file, k.officer, signing.ProfileBB, k)
	other := begin(t, pdftest.New(pdftest.Options{Rotate: 90}).Bytes(pdftest.Table), k.officer, signing.ProfileBB, k)
	now := time.Now()
	tampered := wholeCMS(t, k.officer, p.Digest, nil)
	tampered[len(tampered)-1] ^= 1
	value := rawSignature(t, k.officer, p)
	for name, r := range map[string]signing.Returned{
		"nothing":                {},
		"both":                   {Signature: value, CMS: wholeCMS(t, k.officer, p.Digest, nil)},
		"another key's value":    {Signature: rawSignature(t, k.leader, p)},
		"value over another":     {Signature: rawSignature(t, k.officer, other)},
		"garbage value":          {Signature: []byte("x")},
		"garbage CMS":            {CMS: []byte("x")},
		"another person's CMS":   {CMS: wholeCMS(t, k.leader, p.Digest, nil)},
		"CMS over another":       {CMS: wholeCMS(t, k.officer, other.Digest, nil)},
		"tampered CMS":           {CMS: tampered},
		"CMS with a signed time": {CMS: wholeCMS(t, k.officer, p.Digest, &now)},
		"CMS without end":        {CMS: append(wholeCMS(t, k.officer, p.Digest, nil), 0)},
		"CMS too large":          {CMS: bytes.Repeat([]byte{0x30}, 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := finish(file, p, r, k); !errors.Is(err, signing.ErrReturned) || len(out) > 0 {
				t.Errorf("%d bytes, %v", len(out), err)
			}
		})
	}
	if out, err := finish(file[:len(file)-1], p, signing.Returned{Signature: value}, k); !errors.Is(err, signing.ErrReturned) || len(out) > 0 {
		t.Errorf("another file: %d bytes, %v", len(out), err)
	}
	changed := *p
	changed.Attributes = append([]byte{0}, p.Attributes...)
	if _, err := finish(file, &changed, signing.Returned{Signature: value}, k); !errors.Is(err, signing.ErrReturned) {
		t.Errorf("changed attributes: %v", err)
	}
}

// TestReturnedFile is download, sign, upload: what other programs do to a file on a user's machine.
func TestReturnedFile(t *testing.T) {
	k := testKeys(t)
	verify := signing.VerifyOptions{Trust: k.trust, Offline: true}
	accept := func(before, after []byte) error {
		_, err := signing.AcceptReturned(context.Background(), before, after, k.officer.Certificate, verify)
		return err
	}
	plain := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	o := signing.SignOptions{Key: k.officer, Profile: signing.ProfileBB, At: time.Now()}
	for name, before := range map[string][]byte{"unsigned": plain, "signed before": signAndCheck(t, plain, signing.SignOptions{Key: k.leader, Profile: signing.ProfileBB, At: time.Now()})} {
		t.Run(name, func(t *testing.T) {
			good := signAndCheck(t, before, o)
			if err := accept(before, good); err != nil {
				t.Errorf("what was asked for: %v", err)
			}
			changed := bytes.Clone(good)
			changed[len(before)/2] ^= 1
			byOther := o
			byOther.Key = k.seal
			rewritten := bytes.Clone(before)
			rewritten = append(rewritten, replacedText(t, before)...)
			var out bytes.Buffer
			if err := signing.SignPDF(context.Background(), bytes.NewReader(rewritten), int64(len(rewritten)), &out, o); err != nil {
				t.Fatal(err)
			}
			rewritten = out.Bytes()
			for name, after := range map[string][]byte{
				"the same file": before, "a changed byte": changed, "another file": signAndCheck(t, pdftest.New(pdftest.Options{Rotate: 90}).Bytes(pdftest.Table), o),
				"by another person": signAndCheck(t, before, byOther), "signed twice": signAndCheck(t, good, o), "bytes behind": append(bytes.Clone(good), "x"...),
				"the page's text replaced": rewritten,
			} {
				if err := accept(before, after); !errors.Is(err, signing.ErrReturned) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// replacedText is a revision that puts other words on the first page.
func replacedText(t *testing.T, file []byte) []byte {
	t.Helper()
	last := func(pattern string) string {
		found := regexp.MustCompile(pattern).FindAllSubmatch(file, -1)
		if len(found) == 0 {
			t.Fatalf("no %s in the file", pattern)
		}
		return string(found[len(found)-1][1])
	}
	const body = "BT /F1 14 Tf 72 700 Td (Other words) Tj ET"
	object := fmt.Sprintf("4 0 obj\n<</Length %d>>\nstream\n%s\nendstream\nendobj\n", len(body), body)
	return fmt.Appendf(nil, "%sxref\n4 1\n%010d 00000 n \ntrailer\n<</Size %s/Root 1 0 R/Prev %s>>\nstartxref\n%d\n%%%%EOF\n",
		object, len(file), last(`/Size (\d+)`), last(`startxref\s+(\d+)`), len(file)+len(object))
}
