package console

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vanthu/signing"
	"vanthu/signing/pdf/pdftest"
)

// shadowed is a file whose text was replaced after it was signed.
func shadowed(t *testing.T, h *hub) (signed, now []byte) {
	t.Helper()
	var out bytes.Buffer
	file := pdftest.New(pdftest.Options{Text: []string{"Pay 1.000.000 to the contractor"}}).Bytes(pdftest.Table)
	check(t, signing.SignPDF(t.Context(), bytes.NewReader(file), int64(len(file)), &out, signing.SignOptions{Key: h.device(t, "hai"), Profile: signing.ProfileBB, At: time.Now()}))
	content := "BT /F1 14 Tf 72 700 Td 18 TL (Page one of the document) Tj T* (Pay 9.000.000 to the contractor) Tj ET"
	return out.Bytes(), pdftest.Append(out.Bytes(), map[int]string{4: "<</Length " + strconv.Itoa(len(content)) + ">>\nstream\n" + content + "\nendstream"})
}

// TestPicturesOfChanges: the page of a file that was changed after it was signed stands beside the page as it is now, and
// nothing of the kind for a file that was not.
func TestPicturesOfChanges(t *testing.T) {
	h := newHub(t)
	signed, now := shadowed(t, h)
	v := newVisitor(t, h)
	v.login("mai")
	if body := v.upload("/check", http.StatusOK, "pdf", "a.pdf", signed, nil); strings.Contains(body, "Trang lúc ký") {
		t.Error("pictures of a file that nobody changed")
	}
	body := v.upload("/check", http.StatusOK, "pdf", "a.pdf", now, nil)
	wants(t, body, "Trang 1 lúc ký", "Trang 1 hiện tại", "1 trong 2 trang")
	if n := strings.Count(body, "data:image/jpeg;base64,"); n != 2 {
		t.Errorf("%d pictures", n)
	}
	b := newBrowser(t, h.server.URL, 1366, 900)
	b.open("/")
	b.login("mai")
	b.open("/check")
	name := filepath.Join(t.TempDir(), "shadow.pdf")
	check(t, os.WriteFile(name, now, 0o600))
	b.do("choosing the file", chromedp.SetUploadFiles(chromedp.CSS("#f-pdf"), []string{name}))
	b.await("the pictures", "document.querySelectorAll('.pictures img').length === 2 && [...document.querySelectorAll('.pictures img')].every((i) => i.naturalWidth > 500)")
	b.do("the pictures in the window", chromedp.Evaluate[chromedp.Void]("document.querySelector('.pictures').scrollIntoView()"))
	b.picture("pictures")
	b.accessible("pictures")
	b.do("a phone", chromedp.EmulateViewport(390, 844))
	b.await("the pictures fit a phone", "document.documentElement.scrollWidth <= innerWidth")
	b.picture("pictures-phone")
	b.calm()
}
