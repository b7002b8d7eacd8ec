package console

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing"
)

// visitor is a browser without scripts: it follows links and posts forms.
type visitor struct {
	t      *testing.T
	base   string
	client *http.Client
}

func newVisitor(t *testing.T, h *hub) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	check(t, err)
	return &visitor{t: t, base: h.server.URL, client: &http.Client{Jar: jar, Timeout: time.Minute}}
}

// ask sends one request and reads the answer whole.
func (v *visitor) ask(r *http.Request) (*http.Response, string) {
	v.t.Helper()
	res, err := v.client.Do(r)
	check(v.t, err)
	defer func() { check(v.t, res.Body.Close()) }()
	b, err := io.ReadAll(res.Body)
	check(v.t, err)
	return res, string(b)
}

func (v *visitor) get(path string, status int) string {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.base+path, nil)
	check(v.t, err)
	res, body := v.ask(r)
	if res.StatusCode != status {
		v.t.Fatalf("GET %s: %d, want %d\n%s", path, res.StatusCode, status, plain(body))
	}
	return body
}

func (v *visitor) post(path string, status int, fields url.Values) string {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+path, strings.NewReader(fields.Encode()))
	check(v.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.posted(r, status)
}

func (v *visitor) posted(r *http.Request, status int) string {
	v.t.Helper()
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, body := v.ask(r)
	if res.StatusCode != status {
		v.t.Fatalf("POST %s: %d, want %d\n%s", r.URL.Path, res.StatusCode, status, plain(body))
	}
	return body
}

// upload posts a form with a file.
func (v *visitor) upload(path string, status int, field, name string, file []byte, fields url.Values) string {
	v.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for k, values := range fields {
		check(v.t, form.WriteField(k, values[0]))
	}
	if file != nil {
		part, err := form.CreateFormFile(field, name)
		check(v.t, err)
		_, err = part.Write(file)
		check(v.t, err)
	}
	check(v.t, form.Close())
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+path, &b)
	check(v.t, err)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return v.posted(r, status)
}

func (v *visitor) login(name string) {
	v.t.Helper()
	body := v.post("/login", http.StatusOK, url.Values{"login": {name}, "password": {testPassword}, "next": {"/"}})
	wants(v.t, body, "Công việc hôm nay")
}

// plain is the text of a page, for messages of failed tests.
func plain(html string) string {
	if i := strings.Index(html, "<main"); i > 0 {
		html = html[i:]
	}
	return strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(html, " ")), " ")
}

func wants(t *testing.T, body string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Fatalf("page lacks %q:\n%s", text, plain(body))
		}
	}
}

// TestPages asks for pages as a browser without scripts does; one hub serves all of it, the main job coming first.
func TestPages(t *testing.T) {
	h := newHub(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *hub)
	}{
		{"main job", testMainJobWithoutScripts}, {"pdf", testPDFIsServedByRanges}, {"login", testWhoIsNotLoggedIn},
		{"other sites", testOtherSitesAreRefused}, {"headers", testHeadersAndCookies}, {"compose", testComposeSaysWhatIsWrong},
		{"check", testCheckAnyPDF}, {"fault", testFaultOfTheHub}, {"names of files", testPDFsHaveNames}, {"administration", testAdministration}, {"lists", testListsPageAndFilter},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, h) })
	}
}

// stroke is a picture of a signature: a blue line on a transparent ground.
func stroke(t *testing.T) []byte {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, 120, 40))
	for x := 10; x < 110; x++ {
		picture.Set(x, 30-x/5, color.NRGBA{R: 20, G: 40, B: 160, A: 255})
	}
	var b bytes.Buffer
	check(t, png.Encode(&b, picture))
	return b.Bytes()
}

// testMainJobWithoutScripts does the whole job with plain links and forms.
func testMainJobWithoutScripts(t *testing.T, h *hub) {
	officer, leader, clerk, other := newVisitor(t, h), newVisitor(t, h), newVisitor(t, h), newVisitor(t, h)
	officer.login("duc")
	leader.login("hai")
	clerk.login("mai")
	other.login("lan")
	body := officer.upload("/compose", http.StatusOK, "pdf", "a.pdf", letter(t, "rà soát thủ tục", 1), url.Values{"type": {"QĐ"},
		"subject": {"Về việc rà soát thủ tục"}, "signer": {"Lý Thái Hải"}, "position": {"Chủ tịch"}, "competence": {"TM."}, "priority": {"1"}})
	wants(t, body, "Đã lưu dự thảo", "Về việc rà soát thủ tục", "Khẩn")
	path := regexp.MustCompile(`action="(/documents/[^"/]+)/sign"`).FindStringSubmatch(body)[1]

	sign := func(v *visitor, step, done string) {
		t.Helper()
		wants(t, v.post(path+"/sign", http.StatusOK, url.Values{"step": {step}, "passphrase": {testPassphrase}}), done)
	}
	wants(t, officer.post(path+"/sign", http.StatusUnprocessableEntity, url.Values{"step": {"initial"}, "passphrase": {"sai"}}),
		`id="problem"`, "Dự thảo")
	sign(officer, "initial", "Đã ký nháy")
	wants(t, officer.post(path+"/sign", http.StatusForbidden, url.Values{"step": {"seal"}, "passphrase": {testPassphrase}}), `id="problem"`)
	wants(t, officer.get(path, http.StatusOK), "Chờ lãnh đạo ký duyệt")
	wants(t, leader.upload(path+"/sign", http.StatusOK, "image", "chu-ky.png", stroke(t), url.Values{"step": {"approve"}, "passphrase": {testPassphrase}}), "Đã ký duyệt")
	wants(t, clerk.post(path+"/number", http.StatusOK, nil), "01/QĐ-UBND")
	sign(clerk, "seal", "Đã ký số cơ quan")
	wants(t, clerk.get(path+"/send?q=noi+vu&to=H03.14", http.StatusOK), "Sở Nội vụ", "Sở Tài chính")
	wants(t, clerk.post(path+"/send", http.StatusUnprocessableEntity, nil), "Chọn ít nhất một nơi nhận")
	wants(t, clerk.post(path+"/send", http.StatusOK, url.Values{"to": {"H03.12", "H03.14"}}), "Đã gửi.")
	h.until(t, "arrival", func() bool { return len(h.inbox(t, "lan")) == 1 })

	body = other.get("/incoming", http.StatusOK)
	wants(t, body, "01/QĐ-UBND", "Chữ ký hợp lệ", "01 Đã đến")
	in := regexp.MustCompile(`href="(/incoming/[^"]+)"`).FindStringSubmatch(body)[1]
	wants(t, other.get(in, http.StatusOK), "Tiếp nhận và vào sổ", "Từ chối, trả lại", "Toàn vẹn nội dung")
	wants(t, other.post(in+"/refuse", http.StatusUnprocessableEntity, url.Values{"note": {""}}), `id="problem"`)
	wants(t, other.post(in+"/register", http.StatusOK, nil), "ĐẾN", "03 Đã tiếp nhận")
	wants(t, other.post(in+"/register", http.StatusConflict, nil), `id="problem"`)
	wants(t, other.get("/registers/incoming", http.StatusOK), "01/QĐ-UBND", "Về việc rà soát thủ tục")
	wants(t, other.post(in+"/nothing", http.StatusNotFound, nil), "Không tìm thấy")

	son, thuy := newVisitor(t, h), newVisitor(t, h)
	son.login("son")
	thuy.login("thuy")
	wants(t, son.post(in+"/assign", http.StatusOK, url.Values{"person": {string(h.people["thuy"].ID)}, "note": {"Chủ trì"}}), "04 Đã phân công", "Chủ trì")
	wants(t, thuy.get("/", http.StatusOK), "Giao cho tôi")
	wants(t, thuy.post(in+"/process", http.StatusOK, nil), "05 Đang xử lý")
	wants(t, thuy.post(in+"/finish", http.StatusOK, url.Values{"note": {"Xong"}}), "06 Hoàn thành")
	h.until(t, "the last receipt", func() bool { return strings.Contains(clerk.get(path, http.StatusOK), "06 Hoàn thành") })
	body = clerk.get(path, http.StatusOK)
	receipt := regexp.MustCompile(`href="(/documents/[^"]+/receipts/[^"]+)"`).FindStringSubmatch(body)[1]
	wants(t, clerk.get(receipt, http.StatusOK), `"signature"`)
	clerk.get(path+"/receipts/none", http.StatusNotFound)
	wants(t, clerk.get("/sent", http.StatusOK), "01/QĐ-UBND", "06 Hoàn thành", "Sở Tài chính")
	wants(t, clerk.get("/registers/outgoing", http.StatusOK), "01/QĐ-UBND")
	wants(t, clerk.get("/rate", http.StatusOK), "100%")
	wants(t, clerk.get("/rate?lang=en", http.StatusOK), "100%", "Issued")
}

func testPDFIsServedByRanges(t *testing.T, h *hub) {
	d := h.draft(t, "thử", exchange.PriorityNormal, time.Time{})
	v := newVisitor(t, h)
	v.login("duc")
	path := "/documents/" + string(d.ID) + "/pdf"
	whole := v.get(path, http.StatusOK)
	if int64(len(whole)) != d.PDF.Size || !strings.HasPrefix(whole, "%PDF-") {
		t.Errorf("%d bytes, want %d of a PDF", len(whole), d.PDF.Size)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.base+path, nil)
	check(t, err)
	r.Header.Set("Range", "bytes=5-8")
	res, part := v.ask(r)
	if res.StatusCode != http.StatusPartialContent || part != whole[5:9] {
		t.Errorf("range: %d %q", res.StatusCode, part)
	}
	r.Header.Del("Range")
	r.Header.Set("If-None-Match", res.Header.Get("ETag"))
	if res, _ = v.ask(r); res.StatusCode != http.StatusNotModified {
		t.Errorf("same file again: %d", res.StatusCode)
	}
	other := newVisitor(t, h)
	other.login("lan")
	other.get(path, http.StatusNotFound)
	other.get("/documents/"+string(d.ID), http.StatusNotFound)
}

func testWhoIsNotLoggedIn(t *testing.T, h *hub) {
	v := newVisitor(t, h)
	wants(t, v.get("/incoming?q=a", http.StatusOK), `value="/incoming?q=a"`, "Mật khẩu")
	wants(t, v.post("/compose", http.StatusUnauthorized, nil), "Phiên làm việc đã hết hạn trước khi")
	wants(t, v.post("/login", http.StatusUnauthorized, url.Values{"login": {"mai"}, "password": {"sai"}}), `id="problem"`, `value="mai"`)
	v.login("mai")
	v.post("/logout", http.StatusOK, nil)
	wants(t, v.get("/", http.StatusOK), "Mật khẩu")
	for _, next := range []string{"https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "evil"} {
		if got := localPath(next); got != "/" {
			t.Errorf("localPath(%q) = %q", next, got)
		}
	}
	if got := localPath("/incoming?q=a b"); got != "/incoming?q=a b" && got != "/incoming?q=a%20b" {
		t.Errorf("localPath keeps %q", got)
	}
}

func testOtherSitesAreRefused(t *testing.T, h *hub) {
	v := newVisitor(t, h)
	v.login("mai")
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.base+"/logout", nil)
		check(t, err)
		r.Header.Set(name, value)
		res, body := v.ask(r)
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("POST with %s: %s: %d", name, value, res.StatusCode)
		}
		wants(t, body, "không đến từ trang của hệ thống")
	}
	v.get("/incoming", http.StatusOK)
}

func testHeadersAndCookies(t *testing.T, h *hub) {
	secure, err := New(Config{Service: h.service, Registry: h.registry, Verify: h.verify, Secure: true})
	check(t, err)
	r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(url.Values{"login": {"mai"}, "password": {testPassword}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	secure.ServeHTTP(w, r)
	cookie := w.Result().Cookies()[0]
	if cookie.Name != "__Host-vanthu" || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
		t.Errorf("session cookie: %s", cookie)
	}
	v := newVisitor(t, h)
	v.login("mai")
	for path, wasm := range map[string]bool{"/": false, "/incoming": false, "/compose": true, "/nowhere": false, "/static/app.css": false} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.base+path, nil)
		check(t, err)
		res, _ := v.ask(r)
		policy := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe-inline") || strings.Contains(policy, "wasm-unsafe-eval") != wasm {
			t.Errorf("%s: policy %q", path, policy)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: headers %v", path, res.Header)
		}
	}
	wants(t, v.get("/?lang=en", http.StatusOK), `<html lang="en">`, "Today&#39;s work")
	wants(t, v.get("/incoming", http.StatusOK), `<html lang="en">`)
	wants(t, v.get("/nowhere?lang=vi", http.StatusNotFound), `<html lang="vi">`, "Không tìm thấy trang")
}

func testComposeSaysWhatIsWrong(t *testing.T, h *hub) {
	v := newVisitor(t, h)
	v.login("duc")
	body := v.upload("/compose", http.StatusUnprocessableEntity, "pdf", "", nil, url.Values{"subject": {"  "}, "due": {"mai"}, "type": {"CV"}})
	wants(t, body, `href="#f-pdf"`, `href="#f-subject"`, `href="#f-due"`, "Chọn tệp PDF của văn bản.")
	body = v.upload("/compose", http.StatusUnprocessableEntity, "pdf", "a.txt", []byte("không phải PDF"), url.Values{"subject": {"Về việc <b>"}, "type": {"CV"}, "signer": {"A"}})
	wants(t, body, `id="problem"`, "Về việc &lt;b&gt;")
	limited, err := New(Config{Service: h.service, Registry: h.registry, Verify: h.verify, MaxPDF: 1 << 10})
	check(t, err)
	small := httptest.NewServer(limited)
	defer small.Close()
	v.base = small.URL
	v.login("duc")
	body = v.upload("/compose", http.StatusRequestEntityTooLarge, "pdf", "a.pdf", make([]byte, 3<<20), url.Values{"subject": {"a"}})
	wants(t, body, "vượt quá giới hạn")
}

func testCheckAnyPDF(t *testing.T, h *hub) {
	d := h.draft(t, "thử", exchange.PriorityNormal, time.Time{})
	v := newVisitor(t, h)
	v.login("duc")
	path := "/documents/" + string(d.ID) + "/pdf"
	wants(t, v.upload("/check", http.StatusOK, "pdf", "dự thảo.pdf", []byte(v.get(path, http.StatusOK)), nil), "không có chữ ký", "dự thảo.pdf")
	h.signed(t, d, exchange.StepInitial)
	signed := []byte(v.get(path, http.StatusOK))
	wants(t, v.upload("/check", http.StatusOK, "pdf", "a.pdf", signed, nil), "Nguyễn Minh Đức", "Chữ ký hợp lệ", "Toàn vẹn nội dung")
	i := bytes.Index(signed, []byte("/MediaBox"))
	signed[i+1] = 'X'
	wants(t, v.upload("/check", http.StatusOK, "pdf", "b.pdf", signed, nil), "Không hợp lệ", "Nội dung đã bị thay đổi")
	wants(t, v.upload("/check", http.StatusUnprocessableEntity, "pdf", "c.pdf", []byte("văn bản"), nil), `id="problem"`)
	wants(t, v.upload("/check", http.StatusUnprocessableEntity, "pdf", "", nil, nil), "Chọn tệp PDF")
}

// testFaultOfTheHub forces an error that nobody foresaw: the reader is told so in words and the cause goes to the log.
func testFaultOfTheHub(t *testing.T, h *hub) {
	var logged bytes.Buffer
	broken, err := New(Config{Service: h.service, Registry: h.registry, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		Verify: func(context.Context, io.ReaderAt, int64) (*signing.Report, error) {
			return nil, errors.New("disk 7 on fire")
		}})
	check(t, err)
	server := httptest.NewServer(broken)
	defer server.Close()
	v := newVisitor(t, h)
	v.base = server.URL
	v.login("duc")
	for _, lang := range languages() {
		v.get("/?lang="+lang, http.StatusOK)
		logged.Reset()
		body := v.upload("/check", http.StatusInternalServerError, "pdf", "a.pdf", letter(t, "thử", 1), nil)
		wants(t, body, `<html lang="`+lang+`">`)
		for _, key := range []string{"error.500", "error.500.text", "error.500.advice", "error.500.kept"} {
			wants(t, body, template.HTMLEscapeString(testVoices(t)[lang].say(key)))
		}
		if strings.Contains(body, "on fire") {
			t.Error("the page shows the cause")
		}
		ref := regexp.MustCompile(`class="ref">[^<]*<span class="num">([0-9a-f]{16})<`).FindStringSubmatch(body)
		if ref == nil || !strings.Contains(logged.String(), ref[1]) || !strings.Contains(logged.String(), "disk 7 on fire") {
			t.Errorf("the log does not tell the cause of %v: %s", ref, logged.String())
		}
	}
}

// testPDFsHaveNames asks for PDFs as files: every one is named after its code and type.
func testPDFsHaveNames(t *testing.T, h *hub) {
	d := h.draft(t, "thử tên tệp", exchange.PriorityNormal, time.Time{})
	v := newVisitor(t, h)
	v.login("mai")
	name := func(path string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.base+path, nil)
		check(t, err)
		res, _ := v.ask(r)
		return res.Header.Get("Content-Disposition")
	}
	path := "/documents/" + string(d.ID) + "/pdf"
	if got := name(path); got != `inline; filename="du-thao-CV.pdf"; filename*=UTF-8''d%E1%BB%B1-th%E1%BA%A3o-CV.pdf` {
		t.Errorf("a draft is named %s", got)
	}
	h.sent(t, d, "H03.12")
	d, err := h.service.Document(t.Context(), h.actor(t, "mai"), d.ID)
	check(t, err)
	want := strings.ReplaceAll(d.Code(), "/", "-") + "-CV.pdf"
	if got := name(path + "?download=1"); got != `attachment; filename="`+want+`"; filename*=UTF-8''`+want {
		t.Errorf("a document with a number is named %s", got)
	}
	v.login("lan")
	in := ""
	for _, x := range h.inbox(t, "lan") {
		if x.Document == d.ID {
			in = "/incoming/" + string(x.ID)
		}
	}
	if got := name(in + "/pdf?download=1"); got != `attachment; filename="`+want+`"; filename*=UTF-8''`+want {
		t.Errorf("an incoming document is named %s", got)
	}
	wants(t, v.get(in, http.StatusOK), "từ Ủy ban nhân dân tỉnh Bắc Kạn (H03), chữ ký hợp lệ", "· Hệ thống")
	v.login("mai")
	wants(t, v.get("/documents/"+string(d.ID), http.StatusOK), "1 nơi nhận: Sở Nội vụ tỉnh Bắc Kạn")
}

func TestNamesOfFiles(t *testing.T) {
	for _, c := range []struct{ code, docType, plain, extended string }{
		{"01/TB-UBND", "TB", "01-TB-UBND", "01-TB-UBND"},
		{"05/QĐ-UBND", "QĐ", "05-QD-UBND", "05-Q%C4%90-UBND"},
		{"12/UBND", "CV", "12-UBND-CV", "12-UBND-CV"},
		{"7/\"\r\nx", "", "7----x", "7-%22%0D%0Ax"},
	} {
		name := pdfName(c.code, c.docType)
		if plainName(name) != c.plain || fileName(name) != c.extended {
			t.Errorf("%s %s: %q and %q", c.code, c.docType, plainName(name), fileName(name))
		}
	}
}

// TestReasonsInWords keeps codes and certificate names out of what people read first.
func TestReasonsInWords(t *testing.T) {
	english, vietnamese := []string{"no-chain: no trusted authority issued it (issuer CN=A (B),C=VN)"}, []string{"không có tổ chức tin cậy nào cấp (issuer CN=A (B),C=VN)"}
	for lang, want := range map[string]reasonView{
		"vi": {"Không có tổ chức tin cậy nào cấp", "Nơi cấp chứng thư: CN=A (B),C=VN · no-chain"},
		"en": {"No trusted authority issued it", "Issued by: CN=A (B),C=VN · no-chain"},
	} {
		if got := testVoices(t)[lang].reasons(english, vietnamese); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q", lang, got)
		}
	}
	v := testVoices(t)["vi"]
	view := v.verdictView(&signing.Report{Verdict: signing.Indeterminate, Integrity: signing.Intact,
		Signatures: []signing.Signature{{Kind: signing.KindSignature, Indication: signing.Indeterminate, Signer: "A", Reasons: english, ReasonsVI: vietnamese}}})
	if strings.Contains(view.Sentence, "CN=") || !strings.HasSuffix(view.Sentence, "nào cấp.") || view.Detail != "Nơi cấp chứng thư: CN=A (B),C=VN" {
		t.Errorf("%q, %q", view.Sentence, view.Detail)
	}
}

func testAdministration(t *testing.T, h *hub) {
	admin, officer := newVisitor(t, h), newVisitor(t, h)
	admin.login("mai")
	officer.login("duc")
	officer.get("/people", http.StatusForbidden)
	if strings.Contains(officer.get("/agencies", http.StatusOK), `id="add"`) {
		t.Error("an officer is offered to add agencies")
	}
	wants(t, admin.get("/agencies?q=tai+chinh", http.StatusOK), "Sở Tài chính")
	agency := url.Values{"id": {"H03.40"}, "name": {"Sở Xây dựng tỉnh Bắc Kạn"}, "symbol": {"SXD"}, "parent": {"H03"}, "place": {"Bắc Kạn"}}
	wants(t, admin.post("/agencies", http.StatusOK, agency), "Đã thêm cơ quan", "Sở Xây dựng")
	agency.Set("id", "không hợp lệ")
	wants(t, admin.post("/agencies", http.StatusUnprocessableEntity, agency), `id="problem"`, `value="Sở Xây dựng tỉnh Bắc Kạn"`)
	officer.post("/agencies", http.StatusUnprocessableEntity, agency)
	agency.Set("id", "H03.41")
	officer.post("/agencies", http.StatusForbidden, agency)
	person := url.Values{"agency": {"H03.40"}, "name": {"Ma Thị Hoa"}, "login": {"hoa"}, "password": {testPassword}, "role": {"clerk", "officer"}}
	wants(t, admin.post("/people", http.StatusOK, person), "Đã thêm người dùng", "Ma Thị Hoa", "Văn thư, Chuyên viên")
	person.Set("login", "X X")
	wants(t, admin.post("/people", http.StatusUnprocessableEntity, person), `id="problem"`, `value="Ma Thị Hoa"`)
	wants(t, admin.get("/account", http.StatusOK), "Hoàng Thị Mai", "Còn hạn")
	key, err := h.ca.Issue(keyRequest("Hoàng Thị Mai"))
	check(t, err)
	p12, err := key.ToPKCS12(testPassphrase)
	check(t, err)
	wants(t, admin.upload("/account/key", http.StatusUnprocessableEntity, "p12", "k.p12", p12, url.Values{"owner": {"person"}, "passphrase": {"sai"}}), `id="problem"`)
	wants(t, admin.upload("/account/key", http.StatusOK, "p12", "k.p12", p12, url.Values{"owner": {"person"}, "passphrase": {testPassphrase}}), "Đã nạp khóa ký")
}

func testListsPageAndFilter(t *testing.T, h *hub) {
	for range listSize + 3 {
		h.draft(t, "V/v thử phân trang", exchange.PriorityNormal, time.Time{})
	}
	h.draft(t, "V/v Đặng Thị Ngọc", exchange.PriorityNormal, time.Time{})
	v := newVisitor(t, h)
	v.login("duc")
	body := v.get("/outgoing?q=phan+trang", http.StatusOK)
	if n := strings.Count(body, `class="subject"`); n != listSize {
		t.Errorf("first page has %d rows", n)
	}
	next := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(body)
	if next == nil {
		t.Fatal("no next page")
	}
	body = v.get(strings.ReplaceAll(next[1], "&amp;", "&"), http.StatusOK)
	if n := strings.Count(body, `class="subject"`); n != 3 {
		t.Errorf("second page has %d rows", n)
	}
	wants(t, body, "Về trang đầu")
	wants(t, v.get("/outgoing?q=dang+thi+ngoc", http.StatusOK), "V/v Đặng Thị Ngọc")
	wants(t, v.get("/outgoing?q=khongcogi", http.StatusOK), "Không có kết quả phù hợp")
	wants(t, v.get("/outgoing?state=cancelled", http.StatusOK), "Không có kết quả phù hợp")
}

func TestStatusOfEveryKind(t *testing.T) {
	kinds := map[exchange.Kind]int{exchange.KindInvalid: 422, exchange.KindUnauthenticated: 401, exchange.KindForbidden: 403,
		exchange.KindNotFound: 404, exchange.KindConflict: 409, exchange.KindUnavailable: 503, exchange.KindTooLarge: 413,
		exchange.KindFull: 507, "": 500, registry.Kind("new"): 500}
	for k, want := range kinds {
		if got := statusOf(k); got != want {
			t.Errorf("%s: %d, want %d", k, got, want)
		}
	}
}
