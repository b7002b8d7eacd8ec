package signing_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	certs "vanthu/certs-testdata"
	"vanthu/signing"
	"vanthu/signing/pdf"
	"vanthu/signing/pdf/pdftest"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
)

// onlyAnchors is the trust of the test PKI without its revocation data.
func onlyAnchors(t testing.TB) *pki.Trust {
	t.Helper()
	return &pki.Trust{Roots: certs.Roots(t), TimestampRoots: certs.Roots(t)}
}

// strict wants revocation data for every certificate, and takes it from the document alone.
func strict(t testing.TB) signing.VerifyOptions {
	t.Helper()
	return signing.VerifyOptions{Trust: onlyAnchors(t), Offline: true, RequireRevocation: true}
}

func extended(t *testing.T, data []byte, o signing.ExtendOptions, levels ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	report, err := signing.ExtendChecked(context.Background(), bytes.NewReader(data), int64(len(data)), &out, o, signing.VerifyOptions{Trust: testKeys(t).trust, Offline: true})
	if err != nil {
		t.Fatalf("%v\n%+v", err, report)
	}
	if !bytes.HasPrefix(out.Bytes(), data) {
		t.Fatal("the file's own bytes were changed")
	}
	var got []string
	for _, s := range report.Signatures {
		if s.Kind == signing.KindSignature {
			got = append(got, s.Level)
		}
	}
	if report.Verdict != signing.TotalPassed || fmt.Sprint(got) != fmt.Sprint(levels) {
		t.Fatalf("%s, levels %v, want %v: %+v", report.Verdict, got, levels, report)
	}
	if out := run(t, "qpdf", "--check", save(t, "extended.pdf", out.Bytes())); strings.Contains(out, "WARNING") {
		t.Error(out)
	}
	return out.Bytes()
}

// TestExtend takes plain signatures of each form up all levels, and renews the last.
func TestExtend(t *testing.T) {
	k := testKeys(t)
	for _, form := range pdftest.Forms() {
		for _, c := range []struct {
			profile signing.Profile
			levels  [3]string // after B-T, B-LT, B-LTA
		}{{signing.ProfileAdobe, [3]string{"adbe", "adbe", "adbe"}}, {signing.ProfileBB, [3]string{"B-T", "B-LTA", "B-LTA"}}, {signing.ProfileBT, [3]string{"B-T", "B-LT", "B-LTA"}}} {
			t.Run(string(form)+"/"+string(c.profile), func(t *testing.T) {
				t.Parallel()
				file := pdftest.New(pdftest.Options{}).Bytes(form)
				o := signing.SignOptions{Key: k.officer, Profile: c.profile, At: time.Now()}
				if c.profile == signing.ProfileBT {
					o.TSA = k.tsa
				}
				file = signAndCheck(t, file, o)
				e := signing.ExtendOptions{To: signing.ProfileBT, TSA: k.tsa, Trust: k.trust}
				file = extended(t, file, e, c.levels[0])
				e.To = signing.ProfileBLT
				lt := extended(t, file, e, strings.Replace(c.levels[1], "LTA", "LT", 1))
				e.To = signing.ProfileBLTA
				file = extended(t, lt, e, c.levels[2])
				if again := extended(t, lt, signing.ExtendOptions{To: signing.ProfileBLT, Trust: k.trust}, strings.Replace(c.levels[1], "LTA", "LT", 1)); len(again) != len(lt) {
					t.Errorf("data that is there was stored again: %d bytes", len(again)-len(lt))
				}
				var out bytes.Buffer
				if err := signing.Renew(context.Background(), bytes.NewReader(file), int64(len(file)), &out, e); err != nil {
					t.Fatal(err)
				}
				report, err := signing.VerifyPDF(context.Background(), bytes.NewReader(out.Bytes()), int64(out.Len()), strict(t))
				if err != nil {
					t.Fatal(err)
				}
				for i, s := range report.Signatures {
					last := i == len(report.Signatures)-1
					if s.Integrity != signing.Intact || !last && s.Indication != signing.TotalPassed || last && s.Algorithm == "" {
						t.Errorf("%s: %s %s %v", s.Field, s.Indication, s.SubIndication, s.Reasons)
					}
				}
				checkOutside(t, out.Bytes(), 1, signing.ProfileBLTA)
				if hash := newestImprint(t, out.Bytes()); hash != crypto.SHA512 {
					t.Errorf("renewed with %v", hash)
				}
			})
		}
	}
}

// newestImprint is the digest algorithm of the newest document time stamp.
func newestImprint(t *testing.T, data []byte) crypto.Hash {
	t.Helper()
	f, err := pdf.Open(bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	fields, err := f.Signatures()
	if err != nil || len(fields) == 0 {
		t.Fatal(err)
	}
	token, err := tsa.ParseToken(fields[len(fields)-1].Contents)
	if err != nil {
		t.Fatal(err)
	}
	return token.Hash
}

// source answers from the test PKI and counts.
type source struct {
	evidence pki.Evidence
	err      error
	asked    []string
}

func (s *source) Fetch(_ context.Context, cert, _ *x509.Certificate) (pki.Evidence, error) {
	s.asked = append(s.asked, cert.Subject.CommonName)
	return s.evidence, s.err
}

// TestEvidenceMissing: without data for one certificate nothing is written, and the error names it.
func TestEvidenceMissing(t *testing.T) {
	k := testKeys(t)
	data := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	sign := func(o signing.SignOptions) ([]byte, error) {
		o.Profile, o.TSA, o.At = signing.ProfileBLT, k.tsa, time.Now()
		if o.Key == nil {
			o.Key = k.officer
		}
		var out bytes.Buffer
		err := signing.SignPDF(context.Background(), bytes.NewReader(data), int64(len(data)), &out, o)
		return out.Bytes(), err
	}
	broken := &source{err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		o    signing.SignOptions
		want string
	}{
		"no data at all":     {signing.SignOptions{Trust: onlyAnchors(t)}, k.officer.Certificate.Subject.CommonName},
		"source that fails":  {signing.SignOptions{Trust: onlyAnchors(t), Revocation: broken}, "connection refused"},
		"data of another CA": {signing.SignOptions{Trust: onlyAnchors(t), Revocation: signing.Supplied{CRLs: certs.CRL(t, certs.Root)}}, k.officer.Certificate.Subject.CommonName},
		"no anchor":          {signing.SignOptions{Trust: &pki.Trust{Roots: []*x509.Certificate{certs.Certificate(t, certs.OtherRoot)}}}, "no trusted authority"},
		"no data of the TSA": {signing.SignOptions{Key: k.leader, Trust: onlyAnchors(t), Revocation: signing.Supplied{CRLs: certs.CRL(t, certs.IssuingRSA, certs.Root)}}, identity(t, certs.TSA).Certificate.Subject.CommonName},
		"revoked":            {signing.SignOptions{Trust: k.trust, Key: identity(t, certs.Revoked)}, "was revoked"},
	} {
		out, err := sign(c.o)
		if !errors.Is(err, signing.ErrEvidence) || !strings.Contains(err.Error(), c.want) || len(out) > 0 {
			t.Errorf("%s: %v (%d bytes), want ErrEvidence with %q", name, err, len(out), c.want)
		}
	}
	all := &source{evidence: pki.Evidence{CRLs: certs.CRL(t)}}
	out, err := sign(signing.SignOptions{Trust: onlyAnchors(t), Revocation: all})
	if err != nil || len(all.asked) == 0 {
		t.Fatalf("%v, asked %v", err, all.asked)
	}
	report, err := signing.VerifyPDF(context.Background(), bytes.NewReader(out), int64(len(out)), strict(t))
	if err != nil || report.Verdict != signing.TotalPassed || report.Signatures[0].Level != "B-LT" {
		t.Errorf("%v, %+v", err, report)
	}
	if err := signing.Extend(context.Background(), bytes.NewReader(data), int64(len(data)), &bytes.Buffer{}, signing.ExtendOptions{To: signing.ProfileBLT}); !errors.Is(err, signing.ErrNothing) {
		t.Errorf("file without signatures: %v", err)
	}
	if err := signing.Extend(context.Background(), bytes.NewReader(out), int64(len(out)), &bytes.Buffer{}, signing.ExtendOptions{To: signing.ProfileBLTA, Trust: k.trust}); !errors.Is(err, signing.ErrUnsupported) {
		t.Errorf("without a time-stamp authority: %v", err)
	}
}

// TestEvidenceOCSP stores the answer of a delegated responder with the responder's certificate.
func TestEvidenceOCSP(t *testing.T) {
	k := testKeys(t)
	responder, issuer := identity(t, certs.OCSP), certs.Certificate(t, certs.IssuingEC)
	now := time.Now()
	response, err := ocsp.CreateResponse(issuer, responder.Certificate, ocsp.Response{
		Status: ocsp.Good, SerialNumber: k.officer.Certificate.SerialNumber, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour),
		Certificate: responder.Certificate,
	}, responder.Signer)
	if err != nil {
		t.Fatal(err)
	}
	o := signing.SignOptions{Key: k.officer, Profile: signing.ProfileBLTA, TSA: k.tsa, At: now, Trust: onlyAnchors(t)}
	o.Trust.CRLs = certs.CRL(t, certs.Root, certs.IssuingRSA)
	o.Trust.OCSPs = [][]byte{response}
	o.Revocation = signing.Supplied{CRLs: certs.CRL(t, certs.IssuingEC)}
	var out bytes.Buffer
	data := pdftest.New(pdftest.Options{}).Bytes(pdftest.Stream)
	if err := signing.SignPDF(context.Background(), bytes.NewReader(data), int64(len(data)), &out, o); err != nil {
		t.Fatal(err)
	}
	f, err := pdf.Open(bytes.NewReader(out.Bytes()), int64(out.Len()), pdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	catalog, _, err := f.Latest().Catalog()
	if err != nil {
		t.Fatal(err)
	}
	dss, err := f.Latest().Resolve(catalog["DSS"])
	store, ok := dss.(pdf.Dict)
	if err != nil || !ok {
		t.Fatalf("no store: %v", err)
	}
	if list, _ := store["OCSPs"].(pdf.Array); len(list) != 1 {
		t.Errorf("OCSPs %v, want 1", store["OCSPs"])
	}
	found := false
	list, _ := store["Certs"].(pdf.Array)
	for _, ref := range list {
		s, err := f.Latest().Resolve(ref)
		stream, ok := s.(*pdf.Stream)
		if err != nil || !ok {
			t.Fatal(err)
		}
		der, err := f.Latest().StreamData(stream)
		found = found || err == nil && bytes.Equal(der, responder.Certificate.Raw)
	}
	if !found {
		t.Error("the responder's certificate is not in the store")
	}
	if vri, _ := store["VRI"].(pdf.Dict); len(vri) != 1 {
		t.Errorf("VRI %v, want one entry", store["VRI"])
	}
}
