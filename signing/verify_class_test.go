package signing

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vanthu/certs-testdata"
	"vanthu/signing/cms"
)

// cut leaves out the line end after the last %%EOF before the digest is taken, as many programs do.
func cut(tb testing.TB, end string) []byte {
	p := newPaper()
	p.noEOL = true
	p.sign(5, "ETSI.CAdES.detached", signedBy(tb, cms.SignRequest{Key: testKey(tb, certs.OfficialEC)}))
	return append(bytes.Clone(p.Bytes()), end...)
}

// A line end after the signed bytes belongs to the revision (ISO 32000-2 §7.5.1 gives a file lines); more does not.
func TestBytesAfterTheSignedOnes(t *testing.T) {
	for end, want := range map[string]Integrity{
		"": Intact, "\n": Intact, "\r": Intact, "\r\n": Intact,
		"\n\n": Intact, " ": Intact, "\x00": Intact, // white space (ISO 32000-2 §7.2.3) shows nothing whatever a program makes of it
		"\nx": Altered, "%comment\n": Altered, "(a)": Altered,
	} {
		r := judge(t, cut(t, end), VerifyOptions{})
		if s := r.Signatures[0]; r.Integrity != want {
			t.Errorf("%q: %s, want %s: %q", end, r.Integrity, want, s.Reasons)
		}
	}
	for _, end := range []string{"\n", "\r", "\r\n"} {
		p := newPaper()
		p.noEOL = true
		p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC)}))
		p.WriteString(end)
		p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]/SigFlags 3>>/DSS<</Certs[]>>>>")
		p.end()
		if r := judge(t, p.Bytes(), VerifyOptions{}); r.Integrity != Intact {
			t.Errorf("a revision after %q: %s %q", end, r.Integrity, r.Signatures[0].Reasons)
		}
	}
}

// renew adds validation data and a document time stamp, as archives do again and again (ETSI EN 319 142-1 §5.4, §5.5).
func renew(tb testing.TB, p *paper, fields string, num int, at time.Time) string {
	fields += fmt.Sprintf(" %d 0 R", num)
	p.object(1, fmt.Sprintf("<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[%s]/SigFlags 3>>/DSS<</Certs[%d 0 R]/VRI<</AB<</Cert[%d 0 R]/TU(D:20260101000000Z)>>>>>>>>", fields, num+20, num+20))
	p.object(num+20, "<</Length 1>>stream\nx\nendstream")
	p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots["+fields+"]>>")
	p.sign(num, "ETSI.RFC3161", documentStamp(tb, certs.TSA, at))
	return fields
}

func TestRenewedAgainAndAgain(t *testing.T) {
	at := time.Date(2021, 6, 1, 8, 0, 0, 0, time.UTC)
	p := newPaper()
	p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.Expired)}))
	fields := "5 0 R"
	for i := range 3 {
		fields = renew(t, p, fields, 8+2*i, at.AddDate(i, 0, 0))
	}
	r := judge(t, p.Bytes(), VerifyOptions{})
	expect(t, r, TotalPassed, "", Intact)
	if s := r.Signatures[0]; len(r.Signatures) != 4 || s.ProvenTime == nil || !s.ProvenTime.Equal(at) {
		t.Errorf("%d signatures, proven %v", len(r.Signatures), s.ProvenTime)
	}
}

func TestTimestampThenSignature(t *testing.T) {
	p := newPaper()
	p.sign(5, "ETSI.RFC3161", documentStamp(t, certs.TSA, judgedAt().Add(-time.Hour)))
	p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 8 0 R]/SigFlags 3>>>>")
	p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[5 0 R 8 0 R]>>")
	p.sign(8, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC)}))
	r := judge(t, p.Bytes(), VerifyOptions{})
	expect(t, r, TotalPassed, "", Intact)
	if len(r.Signatures) != 2 || r.Signatures[0].LaterChanges != ChangesPermitted || r.Signatures[1].Level != LevelB {
		t.Errorf("%+v", r.Signatures)
	}
}

// A SHA-256 digest under a signature value made with SHA-3, and the like: each algorithm is judged by itself.
func TestUsualAndUnusualAlgorithms(t *testing.T) {
	for _, r := range []cms.SignRequest{
		{Key: testKey(t, certs.OfficialRSA), PSS: true}, {Key: testKey(t, certs.OfficialEC)}, {Key: testKey(t, certs.SealRSA), OmitESS: true},
	} {
		p := newPaper()
		p.sign(5, "adbe.pkcs7.detached", signedBy(t, r))
		expect(t, judge(t, p.Bytes(), VerifyOptions{}), TotalPassed, "", Intact)
	}
}

// TestEncryptedFiles has qpdf encrypt a file that is then signed by hand: strings are encrypted, /Contents is not (ISO
// 32000-2 §7.6.2). Only the empty user password is tried.
func TestEncryptedFiles(t *testing.T) {
	tool, err := exec.LookPath("qpdf")
	if err != nil {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "qpdf") {
			t.Fatal(err)
		}
		t.Skip("qpdf is not installed")
	}
	p := newPaper()
	p.object(1, "<</Type/Catalog/Pages 2 0 R>>")
	p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>")
	p.end()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain.pdf")
	if err := os.WriteFile(plain, p.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"RC4 40":         {"--allow-weak-crypto", "--encrypt", "", "o", "40"},
		"RC4 128":        {"--allow-weak-crypto", "--encrypt", "", "o", "128", "--use-aes=n"},
		"AES 128":        {"--allow-weak-crypto", "--encrypt", "", "o", "128", "--use-aes=y"},
		"clear metadata": {"--allow-weak-crypto", "--encrypt", "", "o", "128", "--use-aes=y", "--cleartext-metadata"},
		"AES 256 R5":     {"--allow-weak-crypto", "--encrypt", "", "o", "256", "--force-R5"},
		"AES 256 R6":     {"--encrypt", "", "o", "256"},
		"with password":  {"--encrypt", "secret", "o", "256"},
	} {
		t.Run(name, func(t *testing.T) {
			to := filepath.Join(dir, name)
			if out, err := exec.Command(tool, append([]string{"--warning-exit-0"}, append(args, "--", plain, to)...)...).CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			data, err := os.ReadFile(to)
			if err != nil {
				t.Fatal(err)
			}
			if name == "with password" {
				r := judge(t, data, VerifyOptions{})
				if r.Verdict != Indeterminate || r.Integrity != Unclear || !strings.HasPrefix(r.Reasons[0], "encrypted: ") {
					t.Errorf("%+v", r)
				}
				return
			}
			expect(t, judge(t, signEncrypted(t, data), VerifyOptions{}), TotalPassed, "", Intact)
		})
	}
}

// signEncrypted appends a signature to an encrypted file. It writes no string, so that nothing has to be encrypted.
func signEncrypted(t *testing.T, data []byte) []byte {
	t.Helper()
	p := &paper{offsets: map[int]int{}}
	p.Write(data)
	var root, pages, page int
	at := bytes.LastIndex(data, []byte("startxref"))
	if _, err := fmt.Sscanf(string(data[at:]), "startxref\n%d", &p.last); err != nil {
		t.Fatal(err)
	}
	trailer := data[p.last:at]
	encrypt := reference(t, trailer, "/Encrypt ")
	root = reference(t, trailer, "/Root ")
	object := func(num int) []byte {
		body := data[bytes.Index(data, fmt.Appendf(nil, "\n%d 0 obj", num)):]
		return body[:bytes.Index(body, []byte("endobj"))]
	}
	pages = reference(t, object(root), "/Pages ")
	page = reference(t, object(pages), "/Kids [ ")
	id := trailer[bytes.Index(trailer, []byte("/ID ")):]
	p.trailer = fmt.Sprintf("/Encrypt %d 0 R%s/Root %d 0 R", encrypt, id[:bytes.IndexByte(id, ']')+1], root)
	p.page = page
	p.object(root, fmt.Sprintf("<</Type/Catalog/Pages %d 0 R/AcroForm<</Fields[15 0 R]/SigFlags 3>>>>", pages))
	p.plain = true
	p.sign(15, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC)}))
	return p.Bytes()
}

// reference reads the number of the reference that follows a key.
func reference(t *testing.T, text []byte, key string) int {
	t.Helper()
	var num int
	if _, err := fmt.Sscanf(string(text[bytes.Index(text, []byte(key))+len(key):]), "%d 0 R", &num); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return num
}
