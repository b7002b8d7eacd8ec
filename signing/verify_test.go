package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"vanthu/certs-testdata"
	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pdf"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
)

// judgedAt is the time of judging in these tests.
func judgedAt() time.Time { return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC) }

func testKey(tb testing.TB, name certs.Name) *keys.Key {
	tb.Helper()
	signer, chain := certs.Identity(tb, name)
	k, err := keys.New(signer, chain...)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func testTrust(tb testing.TB) *pki.Trust {
	tb.Helper()
	return &pki.Trust{Roots: certs.Roots(tb), TimestampRoots: certs.Roots(tb), CRLs: certs.CRL(tb)}
}

// paper is a PDF made for one test: a page, a form with signature fields, and what the test puts in. It signs any way
// it is told to, also wrongly, which the signer of this package refuses to do.
type paper struct {
	bytes.Buffer
	offsets map[int]int
	last    int
	noEOL   bool   // no line end after %%EOF
	trailer string // entries of the trailer in place of /Root
	page    int    // number of the page, 3 unless set
	plain   bool   // write no strings
}

func newPaper() *paper {
	p := &paper{offsets: map[int]int{}}
	p.WriteString("%PDF-1.7\n")
	p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]/SigFlags 3>>>>")
	p.object(2, "<</Type/Pages/Kids[3 0 R]/Count 1>>")
	p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[5 0 R]>>")
	p.object(4, "<</Length 14>>stream\nBT (one) Tj ET\nendstream")
	return p
}

func (p *paper) object(num int, body string) {
	p.offsets[num] = p.Len()
	fmt.Fprintf(&p.Buffer, "%d 0 obj\n%s\nendobj\n", num, body)
}

// end closes a revision.
func (p *paper) end() {
	at := p.Len()
	p.WriteString("xref\n")
	var nums []int
	for n := range p.offsets {
		nums = append(nums, n)
	}
	slices.Sort(nums)
	for _, n := range nums {
		fmt.Fprintf(&p.Buffer, "%d 1\n%010d 00000 n \n", n, p.offsets[n])
	}
	prev := ""
	if p.last > 0 {
		prev = fmt.Sprintf("/Prev %d", p.last)
	}
	root := "/Root 1 0 R"
	if p.trailer != "" {
		root = p.trailer
	}
	fmt.Fprintf(&p.Buffer, "trailer\n<<%s/Size 20%s>>\nstartxref\n%d\n%%%%EOF", root, prev, at)
	if !p.noEOL {
		p.WriteByte('\n')
	}
	p.last, p.offsets = at, map[int]int{}
}

const contentsRoom = 16 << 10 // hexadecimal digits for the CMS data

// sign writes field 5 (or num) with its dictionary and closes the revision; makeCMS gets the digest of the ByteRange.
func (p *paper) sign(num int, subFilter string, makeCMS func(digest []byte) []byte) {
	p.signWith(num, subFilter, "", makeCMS)
}

// signWith puts more entries into the signature dictionary.
func (p *paper) signWith(num int, subFilter, more string, makeCMS func(digest []byte) []byte) {
	start := p.Len()
	name, claimed := fmt.Sprintf("/T(Signature%d)", num), "/M(D:20261120080000Z)"
	if p.plain {
		name, claimed = "", ""
	}
	p.object(num, fmt.Sprintf("<</Type/Annot/Subtype/Widget/Rect[0 0 0 0]/F 132/P %d 0 R/FT/Sig%s/V %d 0 R>>", max(p.page, 3), name, num+1))
	hole := "<" + strings.Repeat("0", contentsRoom) + ">"
	p.object(num+1, fmt.Sprintf("<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/%s%s/ByteRange [0 %-9d %-9d %-9d]/Contents %s%s>>",
		subFilter, claimed, 0, 0, 0, hole, more))
	p.end()
	data := p.Bytes()
	from := start + bytes.Index(data[start:], []byte(hole))
	to := from + len(hole)
	br := bytes.Index(data[start:], []byte("/ByteRange [0 ")) + start
	copy(data[br:], fmt.Sprintf("/ByteRange [0 %-9d %-9d %-9d]", from, to, len(data)-to))
	h := sha256.New()
	h.Write(data[:from])
	h.Write(data[to:])
	copy(data[from+1:to-1], fmt.Sprintf("%x", makeCMS(h.Sum(nil))))
}

// signedBy makes CMS data the right way.
func signedBy(tb testing.TB, r cms.SignRequest) func([]byte) []byte {
	return func(digest []byte) []byte {
		tb.Helper()
		r.Digest = digest
		der, err := cms.Sign(r)
		if err != nil {
			tb.Fatal(err)
		}
		return der
	}
}

// stamper stamps signatures as the given authority at the given time.
func stamper(tb testing.TB, name certs.Name, at time.Time) func([]byte) ([]cms.Attribute, error) {
	tb.Helper()
	authority, err := tsa.NewAuthority(testKey(tb, name), tsa.AuthorityOptions{Now: func() time.Time { return at }})
	if err != nil {
		tb.Fatal(err)
	}
	return func(signature []byte) ([]cms.Attribute, error) {
		sum := sha256.Sum256(signature)
		token, err := authority.Timestamp(context.Background(), sum[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		return []cms.Attribute{cms.TimestampAttribute(token)}, nil
	}
}

// documentStamp makes a document time stamp.
func documentStamp(tb testing.TB, name certs.Name, at time.Time) func([]byte) []byte {
	tb.Helper()
	return stampedBy(tb, testKey(tb, name), at)
}

// stampedBy makes one with any key.
func stampedBy(tb testing.TB, key *keys.Key, at time.Time) func([]byte) []byte {
	tb.Helper()
	authority, err := tsa.NewAuthority(key, tsa.AuthorityOptions{Now: func() time.Time { return at }})
	if err != nil {
		tb.Fatal(err)
	}
	return func(digest []byte) []byte {
		token, err := authority.Timestamp(context.Background(), digest, crypto.SHA256)
		if err != nil {
			tb.Fatal(err)
		}
		return token
	}
}

func judge(tb testing.TB, data []byte, o VerifyOptions) *Report {
	tb.Helper()
	if o.Trust == nil {
		o.Trust = testTrust(tb)
	}
	if o.At.IsZero() {
		o.At = judgedAt()
	}
	report, err := VerifyPDF(context.Background(), bytes.NewReader(data), int64(len(data)), o)
	if err != nil {
		tb.Fatal(err)
	}
	return report
}

// good is a paper with one good signature.
func good(tb testing.TB, name certs.Name) *paper {
	p := newPaper()
	p.sign(5, "ETSI.CAdES.detached", signedBy(tb, cms.SignRequest{Key: testKey(tb, name)}))
	return p
}

// expect compares the outcome of the first signature.
func expect(t *testing.T, r *Report, verdict Verdict, sub SubIndication, integrity Integrity) {
	t.Helper()
	if len(r.Signatures) == 0 {
		t.Fatalf("no signature: %+v", r)
	}
	s := r.Signatures[0]
	if r.Verdict != verdict || s.Indication != verdict || s.SubIndication != sub || r.Integrity != integrity {
		t.Errorf("%s/%s %s, want %s/%s %s; reasons %q", s.Indication, s.SubIndication, r.Integrity, verdict, sub, integrity, s.Reasons)
	}
}

func TestGoodSignatures(t *testing.T) {
	for _, name := range []certs.Name{certs.OfficialRSA, certs.OfficialEC, certs.SealRSA} {
		r := judge(t, good(t, name).Bytes(), VerifyOptions{RequireRevocation: true})
		expect(t, r, TotalPassed, "", Intact)
		s := r.Signatures[0]
		if s.Level != LevelB || s.Covers != "document" || s.LaterChanges != ChangesNone || s.Kind != KindSignature ||
			s.Field != "Signature5" || s.Signer == "" || s.Organization == "" || len(s.Fingerprint) != 64 || len(s.Reasons) != 0 ||
			s.ClaimedTime == nil || s.ProvenTime != nil || s.Algorithm == "" {
			t.Errorf("%s: %+v", name, s)
		}
		for _, c := range s.Checks {
			if c.Name != CheckTime && (c.OK == nil || !*c.OK) {
				t.Errorf("%s: check %s is not passed", name, c.Name)
			}
		}
		if !strings.Contains(r.Sentence("vi"), s.Signer) || !strings.Contains(r.Sentence("en"), "validly signed") {
			t.Errorf("sentences %q, %q", r.Sentence("vi"), r.Sentence("en"))
		}
	}
}

// Signers whom the certificate, not the mathematics, gives away.
func TestBadSigners(t *testing.T) {
	for name, want := range map[certs.Name]SubIndication{
		certs.Expired:       OutOfBoundsNoPOE,
		certs.NotYetValid:   OutOfBoundsNoPOE,
		certs.Revoked:       Revoked, // the signer claims a time after the revocation
		certs.WrongUsage:    ChainConstraintsFailure,
		certs.OtherOfficial: NoCertificateChainFound,
	} {
		r := judge(t, good(t, name).Bytes(), VerifyOptions{})
		verdict := Indeterminate
		if want == Revoked {
			verdict = TotalFailed
		}
		expect(t, r, verdict, want, Intact)
	}
	r := judge(t, good(t, certs.WeakKey).Bytes(), VerifyOptions{})
	if r.Verdict != Indeterminate {
		t.Errorf("weak key: %s %q", r.Verdict, r.Signatures[0].Reasons)
	}
	r = judge(t, good(t, certs.OfficialEC).Bytes(), VerifyOptions{Trust: &pki.Trust{Roots: certs.Roots(t)}, RequireRevocation: true})
	expect(t, r, Indeterminate, TryLater, Intact)
	r = judge(t, good(t, certs.OfficialEC).Bytes(), VerifyOptions{Trust: &pki.Trust{Roots: certs.Roots(t)}})
	expect(t, r, TotalPassed, "", Intact)
	if !strings.HasPrefix(r.Signatures[0].Reasons[0], "revocation-not-checked: ") {
		t.Errorf("reasons %q", r.Signatures[0].Reasons)
	}
	r = judge(t, good(t, certs.OfficialEC).Bytes(), VerifyOptions{Trust: &pki.Trust{}})
	expect(t, r, Indeterminate, NoCertificateChainFound, Intact)
}

// A trusted time stamp proves that a signature existed before its certificate ended; any other proves nothing.
func TestProvenTime(t *testing.T) {
	within := time.Date(2021, 6, 1, 8, 0, 0, 0, time.UTC)
	expired := testKey(t, certs.Expired)
	stamped := func(by certs.Name, at time.Time) []byte {
		p := newPaper()
		p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: expired, UnsignedAttributes: stamper(t, by, at)}))
		return p.Bytes()
	}
	r := judge(t, stamped(certs.TSA, within), VerifyOptions{})
	expect(t, r, TotalPassed, "", Intact)
	if s := r.Signatures[0]; s.ProvenTime == nil || !s.ProvenTime.Equal(within) || s.Level != LevelT {
		t.Errorf("proven %v, level %s", s.ProvenTime, s.Level)
	}
	// Backdating: an expired certificate with a token of an authority that nobody trusts.
	r = judge(t, stamped(certs.OtherTSA, within), VerifyOptions{})
	expect(t, r, Indeterminate, OutOfBoundsNoPOE, Intact)
	if r.Signatures[0].ProvenTime != nil {
		t.Error("an untrusted token gives a time")
	}
	r = judge(t, stamped(certs.TSA, judgedAt().Add(-time.Hour)), VerifyOptions{})
	expect(t, r, Indeterminate, OutOfBoundsNoPOE, Intact)
	// Before the certificate was valid.
	p := newPaper()
	early := cms.SignRequest{Key: testKey(t, certs.NotYetValid), UnsignedAttributes: stamper(t, certs.TSA, within)}
	p.sign(5, "ETSI.CAdES.detached", signedBy(t, early))
	expect(t, judge(t, p.Bytes(), VerifyOptions{}), TotalFailed, NotYetValid, Intact)
	// A token over another signature.
	p = newPaper()
	other := func([]byte) ([]cms.Attribute, error) {
		return stamper(t, certs.TSA, within)([]byte("another signature"))
	}
	p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC), UnsignedAttributes: other}))
	r = judge(t, p.Bytes(), VerifyOptions{})
	expect(t, r, Indeterminate, SigConstraintsFailure, Altered)
}

func TestRevokedLater(t *testing.T) {
	at := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC) // the certificate was revoked a month later
	p := newPaper()
	key := testKey(t, certs.Revoked)
	p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: key, UnsignedAttributes: stamper(t, certs.TSA, at)}))
	r := judge(t, p.Bytes(), VerifyOptions{})
	expect(t, r, TotalPassed, "", Intact)
	if !slices.ContainsFunc(r.Signatures[0].Reasons, func(s string) bool { return strings.HasPrefix(s, "revoked-later") }) {
		t.Errorf("reasons %q", r.Signatures[0].Reasons)
	}
	// A CRL that the signer made, and brought along, clears nobody.
	self := selfMadeCRL(t, key)
	p = newPaper()
	p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: key, CRLs: [][]byte{self}}))
	r = judge(t, p.Bytes(), VerifyOptions{Trust: &pki.Trust{Roots: certs.Roots(t)}, RequireRevocation: true})
	expect(t, r, Indeterminate, TryLater, Intact)
}

// selfMadeCRL is an empty CRL in the name of the key's issuer, signed by somebody else.
func selfMadeCRL(t *testing.T, key *keys.Key) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := &x509.Certificate{Subject: pkix.Name{}, RawSubject: key.Certificate.RawIssuer, SubjectKeyId: []byte{1}, KeyUsage: x509.KeyUsageCRLSign}
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: judgedAt().Add(-time.Hour), NextUpdate: judgedAt().Add(time.Hour),
	}, issuer, private)
	if err != nil {
		t.Fatal(err)
	}
	return crl
}

func TestDocumentTimestamp(t *testing.T) {
	within := time.Date(2021, 6, 1, 8, 0, 0, 0, time.UTC)
	p := newPaper()
	p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.Expired)}))
	p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 7 0 R]/SigFlags 3>>>>")
	p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[5 0 R 7 0 R]>>")
	p.sign(7, "ETSI.RFC3161", documentStamp(t, certs.TSA, within))
	r := judge(t, p.Bytes(), VerifyOptions{})
	expect(t, r, TotalPassed, "", Intact)
	if len(r.Signatures) != 2 || r.Signatures[1].Kind != KindTimestamp || r.Signatures[1].ProvenTime == nil ||
		r.Signatures[0].LaterChanges != ChangesPermitted || r.Signatures[0].Covers != "revision" || r.Signatures[0].Level != LevelT {
		t.Errorf("%+v", r.Signatures)
	}
	// A later time stamp with an earlier time.
	p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 7 0 R 9 0 R]/SigFlags 3>>>>")
	p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[5 0 R 7 0 R 9 0 R]>>")
	p.sign(9, "ETSI.RFC3161", documentStamp(t, certs.TSA, within.Add(-24*time.Hour)))
	r = judge(t, p.Bytes(), VerifyOptions{})
	if r.Verdict != Indeterminate || r.Signatures[1].SubIndication != TimestampOrderFailure {
		t.Errorf("%s %+v", r.Verdict, r.Signatures[1])
	}
}

// The attacks that pdfsign is known to accept, rebuilt.
func TestAttacks(t *testing.T) {
	official, stranger := testKey(t, certs.OfficialEC), testKey(t, certs.OtherOfficial)
	pass := good(t, certs.OfficialEC).Bytes()
	edit := func(old, new string) []byte { return bytes.Replace(pass, []byte(old), []byte(new), 1) }
	appended := func(write func(p *paper)) []byte {
		p := good(t, certs.OfficialEC)
		write(p)
		return p.Bytes()
	}
	for name, c := range map[string]struct {
		data      []byte
		verdict   Verdict
		sub       SubIndication
		integrity Integrity
	}{
		"a byte changed":  {edit("(one)", "(two)"), TotalFailed, HashFailure, Altered},
		"garbage CMS":     {edit("/Contents <30", "/Contents <ff"), TotalFailed, FormatFailure, Altered},
		"byte range of 0": {edit("/ByteRange [0 ", "/ByteRange [3 "), TotalFailed, FormatFailure, Altered},
		"page replaced later": {appended(func(p *paper) {
			p.object(4, "<</Length 14>>stream\nBT (two) Tj ET\nendstream")
			p.end()
		}), TotalFailed, FormatFailure, Altered},
		"page added later": {appended(func(p *paper) {
			p.object(2, "<</Type/Pages/Kids[3 0 R 12 0 R]/Count 2>>")
			p.object(12, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>")
			p.end()
		}), TotalFailed, FormatFailure, Altered},
		"bytes appended": {append(slices.Clone(pass), "12 0 obj (x) endobj"...), TotalFailed, FormatFailure, Altered},
		"dictionary replaced": {appended(func(p *paper) {
			p.object(6, "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/ByteRange[0 1 2 3]/Contents<00>>>")
			p.end()
		}), TotalFailed, FormatFailure, Altered},
	} {
		t.Run(name, func(t *testing.T) { expect(t, judge(t, c.data, VerifyOptions{}), c.verdict, c.sub, c.integrity) })
	}
	t.Run("victim's certificate beside the attacker's", func(t *testing.T) {
		p := newPaper()
		forged := &keys.Key{Signer: stranger.Signer, Certificate: stranger.Certificate, Chain: append([]*x509.Certificate{official.Certificate}, official.Chain...)}
		p.sign(5, "adbe.pkcs7.detached", signedBy(t, cms.SignRequest{Key: forged, OmitESS: true}))
		r := judge(t, p.Bytes(), VerifyOptions{})
		expect(t, r, Indeterminate, NoCertificateChainFound, Intact)
		sum := sha256.Sum256(stranger.Certificate.Raw)
		if r.Signatures[0].Fingerprint != fmt.Sprintf("%x", sum) {
			t.Error("somebody else is shown as the signer")
		}
	})
	t.Run("removed", func(t *testing.T) {
		r := judge(t, appended(func(p *paper) {
			p.object(1, "<</Type/Catalog/Pages 2 0 R>>")
			p.end()
		}), VerifyOptions{})
		expect(t, r, TotalFailed, FormatFailure, Altered) // the page still shows it
		if s := r.Signatures[0]; !hasCode(&s, codeOutsideForm) || !hasCode(&s, codeForbidden) {
			t.Errorf("reasons %q", s.Reasons)
		}
		r = judge(t, appended(func(p *paper) {
			p.object(1, "<</Type/Catalog/Pages 2 0 R>>")
			p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>")
			p.end()
		}), VerifyOptions{})
		if r.Verdict != NoSignature || r.Integrity != Altered || len(r.Reasons) == 0 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("cut short", func(t *testing.T) {
		r := judge(t, pass[:len(pass)-60], VerifyOptions{})
		if r.Verdict != TotalFailed || r.Integrity != Altered {
			t.Errorf("%+v", r)
		}
	})
	t.Run("array without an end", func(t *testing.T) {
		data := bytes.Replace(pass, []byte("/Type/Catalog"), []byte("/Typ[/Catalog"), 1)
		if r := judge(t, data, VerifyOptions{}); r.Verdict == TotalPassed || r.Integrity == Intact {
			t.Errorf("%+v", r)
		}
	})
}

func TestUnsupported(t *testing.T) {
	p := newPaper()
	p.sign(5, "adbe.x509.rsa_sha1", signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC)}))
	expect(t, judge(t, p.Bytes(), VerifyOptions{}), Indeterminate, SigConstraintsFailure, Unclear)
	p = newPaper()
	p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC), OmitESS: true}))
	expect(t, judge(t, p.Bytes(), VerifyOptions{}), Indeterminate, SigConstraintsFailure, Intact)
	p = newPaper()
	p.sign(5, "adbe.pkcs7.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC), OmitESS: true}))
	expect(t, judge(t, p.Bytes(), VerifyOptions{}), TotalPassed, "", Intact)
}

func TestUnreadable(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		kind pdf.Kind
	}{
		"empty":           {"", pdf.NotPDF},
		"not a PDF":       {"PK\x03\x04 not a PDF", pdf.NotPDF},
		"unsigned, empty": {"%PDF-1.7\n", pdf.Damaged},
	} {
		_, err := VerifyPDF(context.Background(), strings.NewReader(c.data), int64(len(c.data)), VerifyOptions{})
		var e *pdf.Error
		if !errors.As(err, &e) || e.Kind != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	data := good(t, certs.OfficialEC).Bytes()
	_, err := VerifyPDF(context.Background(), bytes.NewReader(data), int64(len(data)), VerifyOptions{MaxSize: 100})
	var e *pdf.Error
	if !errors.As(err, &e) || e.Kind != pdf.TooLarge {
		t.Errorf("too large: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err = VerifyPDF(ctx, bytes.NewReader(data), int64(len(data)), VerifyOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	p := newPaper()
	p.end()
	if r := judge(t, p.Bytes(), VerifyOptions{}); r.Verdict != NoSignature || r.Integrity != Unclear || r.Signatures == nil {
		t.Errorf("unsigned: %+v", r)
	}
}
