package signing

import (
	"bytes"
	"strings"
	"testing"

	"vanthu/certs-testdata"
	"vanthu/signing/pdf"
	"vanthu/signing/pki"
)

func TestReasonTexts(t *testing.T) {
	seen := map[pki.Code]bool{}
	for _, s := range sentences() {
		if seen[s.code] || s.en == "" || s.vi == "" || s.en == s.vi || strings.Contains(string(s.code), " ") {
			t.Errorf("%q is missing a text or stands twice", s.code)
		}
		seen[s.code] = true
	}
	en, vi := reasonTexts(pki.Reasons{{Code: codeForbidden, Detail: "page"}, {Code: pki.CodeExpired}})
	if en[0] != "changes-forbidden: the document was changed after signing in a way that is not permitted (page)" ||
		vi[0] != "tài liệu đã bị thay đổi sau khi ký theo cách không được phép (page)" || !strings.HasPrefix(en[1], "expired: ") {
		t.Errorf("%q %q", en, vi)
	}
}

// No English stands in the details of Vietnamese sentences.
func TestVietnameseDetails(t *testing.T) {
	for _, c := range []struct {
		r    pki.Reason
		want string
	}{
		{pki.Reason{Code: pki.CodeNoChain, Detail: "issuer CN=A"}, "(đơn vị cấp CN=A)"},
		{pki.Reason{Code: pki.CodeExpired, Detail: "CN=issuer of time stamp, 2026-01-01T00:00:00Z"}, "(CN=issuer of time stamp, 2026-01-01T00:00:00Z)"},
		{pki.Reason{Code: pki.CodeNotAuthority, Detail: "CN=A, key usage"}, "(CN=A, mục đích dùng khóa)"},
		{pki.Reason{Code: pki.CodeRevocationScope, Detail: "CRL of CN=A"}, "(CRL của CN=A)"},
		{pki.Reason{Code: pki.CodeAlgorithm, Detail: "digest 1.2.3"}, "(thuật toán băm 1.2.3)"},
		{pki.Reason{Code: pki.CodeMalformed, Detail: "cms: bad length"}, "không đọc được dữ liệu chữ ký"},
		{pki.Reason{Code: codeForbidden, Detail: "form: removed, Root/AcroForm"}, "(Root/AcroForm)"},
		{pki.Reason{Code: pdf.FieldEnd, Detail: "ends at 17"}, "(kết thúc ở byte 17)"},
		{pki.Reason{Code: codeTrailing, Detail: "5 bytes after the last revision"}, "(5 byte)"},
	} {
		if got := reasonText(c.r, "vi"); !strings.HasSuffix(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.r, got, c.want)
		}
		if got := reasonText(c.r, "en"); !strings.HasSuffix(got, "("+c.r.Detail+")") {
			t.Errorf("%+v: %q", c.r, got)
		}
	}
	s := judge(t, good(t, certs.OfficialEC).Bytes(), VerifyOptions{Trust: &pki.Trust{Roots: certs.Roots(t)}}).Signatures[0]
	if len(s.ReasonsVI) != 1 || !strings.Contains(s.ReasonsVI[0], "(không có dữ liệu về việc thu hồi chứng thư (CN=") {
		t.Errorf("%q", s.ReasonsVI)
	}
}

func TestSentences(t *testing.T) {
	pass := good(t, certs.OfficialEC)
	changed := bytes.Replace(pass.Bytes(), []byte("(one)"), []byte("(two)"), 1)
	unsigned := newPaper()
	unsigned.end()
	for name, c := range map[string]struct {
		data   []byte
		o      VerifyOptions
		vi, en string
	}{
		"passed":    {pass.Bytes(), VerifyOptions{}, "Tài liệu có chữ ký hợp lệ của Trần Thị Bình (", "The document is validly signed by "},
		"changed":   {changed, VerifyOptions{}, "Không được sử dụng tài liệu này: chữ ký “Trần Thị Bình”: nội dung đã bị", "The document must not be relied on: "},
		"untrusted": {pass.Bytes(), VerifyOptions{Trust: &pki.Trust{}}, "Nội dung không thay đổi từ khi ký, nhưng", "The content is unchanged since it was signed, but"},
		"unsigned":  {unsigned.Bytes(), VerifyOptions{}, "Tài liệu không có chữ ký số.", "The document carries no digital signature."},
		"cut":       {changed[:len(changed)-60], VerifyOptions{}, "Không được sử dụng tài liệu này: ", "The document must not be relied on: "},
	} {
		r := judge(t, c.data, c.o)
		if vi, en := r.Sentence("vi"), r.Sentence("en"); !strings.HasPrefix(vi, c.vi) || !strings.HasPrefix(en, c.en) ||
			!strings.HasSuffix(vi, ".") || !strings.HasSuffix(en, ".") {
			t.Errorf("%s: %q, %q", name, vi, en)
		}
	}
}
