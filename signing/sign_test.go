package signing_test

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pdf"
	"vanthu/signing/pdf/pdftest"
	"vanthu/signing/pki"
	"vanthu/signing/stamp"
	"vanthu/signing/tsa"
)

// pkiSet holds the test identities in use.
type pkiSet struct {
	trust                 *pki.Trust
	officer, leader, seal *keys.Key // P-256, RSA-2048, RSA-2048
	tsa                   *tsa.Authority
}

// identity is a key of the test PKI.
func identity(t testing.TB, name certs.Name) *keys.Key {
	t.Helper()
	signer, chain := certs.Identity(t, name)
	k, err := keys.New(signer, chain...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testKeys(t testing.TB) *pkiSet {
	t.Helper()
	authority, err := tsa.NewAuthority(identity(t, certs.TSA), tsa.AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &pkiSet{
		trust:   &pki.Trust{Roots: certs.Roots(t), TimestampRoots: certs.Roots(t), CRLs: certs.CRL(t)},
		officer: identity(t, certs.OfficialEC), leader: identity(t, certs.LeaderRSA), seal: identity(t, certs.SealRSA), tsa: authority,
	}
}

// need ends the test where an outside program is missing: as a failure when it is required.
func need(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), name) {
		t.Fatalf("%s is required and missing", name)
	}
	t.Skipf("%s is not installed", name)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	need(t, name)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func save(t *testing.T, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// checkOutside has pdfsig, openssl and qpdf judge a file with n signatures, all ours. pdfsig does not read time stamps
// of the document, and the validation data of B-LT is not covered by any signature.
func checkOutside(t *testing.T, data []byte, n int, profile signing.Profile) {
	t.Helper()
	file := save(t, "signed.pdf", data)
	out := run(t, "pdfsig", "-nocert", file)
	whole := 1
	if profile == signing.ProfileBLT {
		whole = 0
	}
	if valid := strings.Count(out, "Signature is Valid."); valid != n || strings.Count(out, "Total document signed") != whole {
		t.Errorf("pdfsig finds %d of %d signatures valid:\n%s", valid, n, out)
	}
	if out := run(t, "qpdf", "--check", file); strings.Contains(out, "WARNING") {
		t.Errorf("qpdf --check:\n%s", out)
	}
	checkOpenSSL(t, data)
}

// checkOpenSSL verifies the CMS of every signature over its ByteRange.
func checkOpenSSL(t *testing.T, data []byte) {
	t.Helper()
	f, err := pdf.Open(bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	signatures, err := f.Signatures()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range signatures {
		br := s.ByteRange
		if s.Dict.Name("SubFilter") == pdf.SubFilterTimestamp {
			checkToken(t, slices.Concat(data[:br[1]], data[br[2]:br[2]+br[3]]), s.Contents)
			continue
		}
		content := save(t, "content", slices.Concat(data[:br[1]], data[br[2]:br[2]+br[3]]))
		sig := save(t, "sig.der", s.Contents)
		out := run(t, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", sig, "-content", content, "-noverify", "-out", os.DevNull)
		if !strings.Contains(out, "successful") {
			t.Errorf("openssl cms on field %q:\n%s", s.Name, out)
		}
	}
}

// checkToken has openssl judge a time stamp of the document.
func checkToken(t *testing.T, content, contents []byte) {
	t.Helper()
	root := save(t, "root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs.Certificate(t, certs.Root).Raw}))
	var chain []byte
	for _, c := range identity(t, certs.TSA).Chain {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	args := []string{"ts", "-verify", "-token_in", "-in", save(t, "token.der", contents), "-data", save(t, "stamped", content), "-CAfile", root}
	if len(chain) > 0 {
		args = append(args, "-untrusted", save(t, "chain.pem", chain))
	}
	if out := run(t, "openssl", args...); !strings.Contains(out, "Verification: OK") {
		t.Errorf("openssl ts:\n%s", out)
	}
}

// inputs are documents in every form, and linearised where qpdf is there.
func inputs(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, form := range pdftest.Forms() {
		all[string(form)] = pdftest.New(pdftest.Options{}).Bytes(form)
		all[string(form)+"-rotated"] = pdftest.New(pdftest.Options{Rotate: 90, CropBox: true, NoInfo: true, IndirectAnnots: true}).Bytes(form)
		all[string(form)+"-direct"] = pdftest.New(pdftest.Options{DirectAnnots: true, AcroForm: true, OddCatalog: true, LooseTrailer: true}).Bytes(form)
		all[string(form)+"-tagged"] = pdftest.New(pdftest.Options{Tagged: true, AcroForm: true}).Bytes(form)
		all[string(form)+"-odd"] = pdftest.New(pdftest.Options{OddCatalog: true, LooseTrailer: true, NoInfo: true, NoFinalEOL: true}).Bytes(form)
	}
	if _, err := exec.LookPath("qpdf"); err == nil {
		for streams, of := range map[string]string{"disable": "table-direct", "generate": "table-tagged"} {
			in := save(t, "in.pdf", all[of])
			run(t, "qpdf", "--linearize", "--object-streams="+streams, in, in+".out")
			data, err := os.ReadFile(in + ".out")
			if err != nil {
				t.Fatal(err)
			}
			all["linearized-"+streams] = data
		}
	}
	return all
}

func mark(c color.NRGBA, w, h int) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			if (x-w/2)*(x-w/2)*h*h+(y-h/2)*(y-h/2)*w*w < w*w*h*h/4 {
				c.A = uint8(40 + 200*x/w)
				img.SetNRGBA(x, y, c)
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // a buffer does not fail
	}
	return b.Bytes()
}

func profiles() []signing.Profile { return signing.Profiles() }

// fewInputs differ in how they hold their cross-references, and one is tagged; they stand for all in short runs.
func fewInputs() []string {
	return []string{"table", "object-streams-tagged", "hybrid-rotated", "linearized-generate"}
}

// skipScale leaves to runs at scale what a run without says nothing new by: B-LTA has all that B-T and B-LT have.
func skipScale(profile signing.Profile, input string) bool {
	if os.Getenv("VANTHU_SCALE") != "" || profile == signing.ProfileBB {
		return false
	}
	return profile == signing.ProfileBT || profile == signing.ProfileBLT || !slices.Contains(fewInputs(), input)
}

// TestSignMatrix signs every input in every profile: first invisibly, then visibly by another key.
func TestSignMatrix(t *testing.T) {
	need(t, "pdfsig")
	need(t, "openssl")
	need(t, "qpdf")
	k := testKeys(t)
	for name, data := range inputs(t) {
		for _, profile := range profiles() {
			if skipScale(profile, name) {
				continue
			}
			t.Run(name+"/"+string(profile), func(t *testing.T) {
				t.Parallel()
				o := signing.SignOptions{Key: k.officer, Profile: profile, Reason: "Phê duyệt", Location: "Bắc Kạn", At: time.Now()}
				if profile != signing.ProfileBB {
					o.TSA, o.Trust = k.tsa, k.trust
				}
				one := signAndCheck(t, data, o)
				o.Key = k.leader
				o.Rect = &stamp.RectMM{X: 120, Y: 20, W: 60, H: 25}
				o.Appearance = &stamp.Appearance{Image: mark(color.NRGBA{R: 20, G: 40, B: 200}, 120, 80), Lines: []string{"Ký bởi: Nguyễn Văn Đức"}}
				two := signAndCheck(t, one, o)
				checkOutside(t, two, 2, profile)
				if text := run(t, "pdftotext", save(t, "two.pdf", two), "-"); !strings.Contains(strings.Join(strings.Fields(text), " "), "Ký bởi: Nguyễn Văn Đức") {
					t.Errorf("pdftotext shows %q", text)
				}
			})
		}
	}
}

// signAndCheck signs and wants the new signature to pass before our validator.
func signAndCheck(t *testing.T, data []byte, o signing.SignOptions) []byte {
	t.Helper()
	signed, report, err := signing.SignAndCheck(context.Background(), data, o, signing.VerifyOptions{Trust: testKeys(t).trust, Offline: true})
	if err != nil {
		t.Fatalf("SignAndCheck: %v\n%+v", err, report)
	}
	if report.Verdict != signing.TotalPassed {
		t.Fatalf("verdict %s: %+v", report.Verdict, report)
	}
	last := report.Signatures[len(report.Signatures)-1]
	if o.Profile == signing.ProfileBLTA {
		last = report.Signatures[len(report.Signatures)-2] // the time stamp of the document is behind it
	}
	if want := map[signing.Profile]string{signing.ProfileAdobe: "adbe", signing.ProfileBB: "B-B", signing.ProfileBT: "B-T",
		signing.ProfileBLT: "B-LT", signing.ProfileBLTA: "B-LTA"}[o.Profile]; last.Level != want {
		t.Errorf("level %q, want %q", last.Level, want)
	}
	return signed
}

// TestThreeSigners is the order of NĐ 30/2020 Điều 32: initials, leader, seal, in fields placed beforehand.
func TestThreeSigners(t *testing.T) {
	k := testKeys(t)
	for name, data := range inputs(t) {
		if strings.HasSuffix(name, "-odd") || strings.HasSuffix(name, "-direct") {
			continue // TestSignMatrix has these
		}
		for _, profile := range profiles() {
			if skipScale(profile, name) {
				continue
			}
			t.Run(name+"/"+string(profile), func(t *testing.T) {
				t.Parallel()
				leader, leaderRect, err := stamp.LeaderSignature(mark(color.NRGBA{R: 20, G: 40, B: 200}, 300, 120), 36)
				if err != nil {
					t.Fatal(err)
				}
				seal, sealRect, err := stamp.AgencySeal(mark(color.NRGBA{R: 210, G: 20, B: 30}, 300, 300), leaderRect, 36, 36)
				if err != nil {
					t.Fatal(err)
				}
				f, err := pdf.Open(bytes.NewReader(data), int64(len(data)), pdf.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				var placed bytes.Buffer
				if _, err := pdf.AddFields(bytes.NewReader(data), f, time.Now(), &placed, pdf.FieldSpec{Name: "initials"},
					pdf.FieldSpec{Name: "leader", Rect: leaderRect.On}, pdf.FieldSpec{Name: "seal", Rect: sealRect.On}); err != nil {
					t.Fatal(err)
				}
				file := placed.Bytes()
				for _, s := range []struct {
					field      string
					key        *keys.Key
					appearance *stamp.Appearance
				}{{"initials", k.officer, nil}, {"leader", k.leader, leader}, {"seal", k.seal, seal}} {
					o := signing.SignOptions{Key: s.key, Profile: profile, Field: s.field, Appearance: s.appearance, At: time.Now()}
					if profile != signing.ProfileBB && profile != signing.ProfileAdobe {
						o.TSA, o.Trust = k.tsa, k.trust
					}
					file = signAndCheck(t, file, o)
				}
				checkOutside(t, file, 3, profile)
				keepPicture(t, file)
			})
		}
	}
}

// keepPicture renders page 1 for the eye where a folder is named.
func keepPicture(t *testing.T, data []byte) {
	t.Helper()
	dir := os.Getenv("VANTHU_TEST_PICTURES")
	if dir == "" {
		return
	}
	run(t, "pdftoppm", "-q", "-png", "-r", "80", "-f", "1", "-l", "1", save(t, "in.pdf", data), filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "_")))
}

func TestEd25519(t *testing.T) {
	ca, err := pki.NewAuthority(pkix.Name{CommonName: "Authority", Organization: []string{"TEST ONLY"}}, pki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := ca.Issue(pki.IssueRequest{Subject: pkix.Name{CommonName: "Ed", Organization: []string{"TEST ONLY"}}, KeyType: pki.Ed25519})
	if err != nil {
		t.Fatal(err)
	}
	data := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	o := signing.SignOptions{Key: key, Profile: signing.ProfileBB, At: time.Now()}
	signed, report, err := signing.SignAndCheck(context.Background(), data, o, signing.VerifyOptions{Trust: ca.Trust(), Offline: true})
	if err != nil || report.Verdict != signing.TotalPassed {
		t.Fatalf("%v, %+v", err, report)
	}
	if out := run(t, "qpdf", "--check", save(t, "signed.pdf", signed)); strings.Contains(out, "WARNING") {
		t.Error(out)
	}
	o.Profile = signing.ProfileAdobe
	if err := signing.SignPDF(context.Background(), bytes.NewReader(data), int64(len(data)), &bytes.Buffer{}, o); !errors.Is(err, signing.ErrUnsupported) || !strings.Contains(err.Error(), string(signing.ProfileBB)) {
		t.Errorf("adbe with Ed25519: %v, want ErrUnsupported naming pades-b-b", err)
	}
}

// TestRefused: what cannot be signed is refused with a reason, before anything is written.
func TestRefused(t *testing.T) {
	k := testKeys(t)
	data := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	other := *k.officer
	other.Signer = k.leader.Signer
	now := time.Now()
	for name, c := range map[string]struct {
		data   []byte
		change func(*signing.SignOptions)
		want   error
		text   string
	}{
		"no key":             {data, func(o *signing.SignOptions) { o.Key = nil }, signing.ErrKey, "missing"},
		"other certificate":  {data, func(o *signing.SignOptions) { o.Key = &other }, signing.ErrKey, "does not belong"},
		"expired":            {data, func(o *signing.SignOptions) { o.Key = identity(t, certs.Expired) }, signing.ErrKey, "expired"},
		"not yet valid":      {data, func(o *signing.SignOptions) { o.Key = identity(t, certs.NotYetValid) }, signing.ErrKey, "valid from"},
		"wrong usage":        {data, func(o *signing.SignOptions) { o.Key = identity(t, certs.WrongUsage) }, signing.ErrKey, "not for"},
		"TSA's certificate":  {data, func(o *signing.SignOptions) { o.Key = identity(t, certs.TSA) }, signing.ErrKey, "not for documents"},
		"weak key":           {data, func(o *signing.SignOptions) { o.Key = identity(t, certs.WeakKey) }, signing.ErrKey, "2048"},
		"B-LT without TSA":   {data, func(o *signing.SignOptions) { o.Profile = signing.ProfileBLT }, signing.ErrUnsupported, "time-stamp"},
		"B-LTA without TSA":  {data, func(o *signing.SignOptions) { o.Profile = signing.ProfileBLTA }, signing.ErrUnsupported, "time-stamp"},
		"no profile":         {data, func(o *signing.SignOptions) { o.Profile = "" }, signing.ErrUnsupported, "pades-b-b"},
		"B-T without TSA":    {data, func(o *signing.SignOptions) { o.Profile = signing.ProfileBT }, signing.ErrUnsupported, "time-stamp"},
		"area without image": {data, func(o *signing.SignOptions) { o.Rect = &stamp.RectMM{W: 1, H: 1} }, signing.ErrUnsupported, "image or text"},
		"image without area": {data, func(o *signing.SignOptions) { o.Appearance = &stamp.Appearance{Lines: []string{"x"}} }, pdf.ErrNoArea, "area"},
		"no PDF":             {[]byte("hello"), nil, nil, "not-pdf"},
		"too large":          {data, func(o *signing.SignOptions) { o.MaxSize = 100 }, nil, "too-large"},
	} {
		for _, profile := range []signing.Profile{signing.ProfileAdobe, signing.ProfileBB} {
			t.Run(name+"/"+string(profile), func(t *testing.T) {
				o := signing.SignOptions{Key: k.officer, Profile: profile, At: now}
				if c.change != nil {
					c.change(&o)
				}
				var out bytes.Buffer
				err := signing.SignPDF(context.Background(), bytes.NewReader(c.data), int64(len(c.data)), &out, o)
				if err == nil || (c.want != nil && !errors.Is(err, c.want)) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("got %v, want %v with %q", err, c.want, c.text)
				}
				if out.Len() > 0 {
					t.Errorf("%d bytes were written", out.Len())
				}
			})
		}
	}
}

func BenchmarkSign(b *testing.B) {
	for _, profile := range []signing.Profile{signing.ProfileBB, signing.ProfileAdobe} {
		for _, kind := range []string{"P-256", "RSA-2048"} {
			b.Run(fmt.Sprintf("%s/%s", profile, kind), func(b *testing.B) { benchmarkSign(b, profile, kind) })
		}
	}
}
