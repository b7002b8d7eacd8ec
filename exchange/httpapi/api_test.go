package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"codeberg.org/go-pdf/fpdf"

	certs "vanthu/certs-testdata"
	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/exchange/webhook"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/storage"
)

// world is a hub's API over a real data folder, with one agency and its people.
type world struct {
	t       *testing.T
	dir     string
	store   *storage.Store
	service *exchange.Service
	server  *httptest.Server
	token   string
	trust   *pki.Trust
}

const (
	testLogin    = "vanthu"
	testPassword = "mat-khau-dai-va-kho-doan"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), trust: &pki.Trust{Roots: certs.Roots(t)}}
	if err := storage.Init(w.dir); err != nil {
		t.Fatal(err)
	}
	w.open()
	reg := w.registry()
	by := registry.System("test")
	if err := reg.AddAgency(t.Context(), by, registry.Agency{ID: "H99", Name: "Ủy ban nhân dân tỉnh Bắc Sơn", Symbol: "UBND", Place: "Bắc Sơn", Channel: registry.ChannelLocal}); err != nil {
		t.Fatal(err)
	}
	if _, err := reg.AddPerson(t.Context(), by, registry.Person{
		Login: testLogin, Name: "Lê Ngọc Ánh", Agency: "H99", Roles: []registry.Role{registry.RoleClerk, registry.RoleOfficer},
	}, testPassword); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	w.login()
	return w
}

func (w *world) registry() *registry.Registry {
	reg, err := registry.New(w.store.DB, registry.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return reg
}

// open starts the API over the data folder; after close it is a restart.
func (w *world) open() {
	w.t.Helper()
	var err error
	if w.store, err = storage.Open(context.Background(), storage.Config{Dir: w.dir, LogOrigin: "test/log"}); err != nil {
		w.t.Fatal(err)
	}
	reg := w.registry()
	service, err := exchange.New(exchange.Config{
		Store: w.store, Registry: reg, Trust: w.trust, Offline: true, AllowTestKeys: true,
		ReceiptKey: func(context.Context, registry.AgencyID) (*keys.Key, error) { return nil, keys.ErrNoKey },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	hooks, err := webhook.New(webhook.Config{
		Service: service, Registry: reg, DB: w.store.DB, Jobs: w.store.Jobs, Key: make([]byte, webhook.KeySize), AllowPrivate: true,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.service = service
	handler, err := New(Config{Service: service, Registry: reg, Webhooks: hooks, DB: w.store.DB, MaxBody: 4 << 20})
	if err != nil {
		w.t.Fatal(err)
	}
	w.server = httptest.NewServer(handler)
}

func (w *world) close() {
	w.server.Close()
	if err := w.store.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
}

func (w *world) login() {
	w.t.Helper()
	var session struct{ Token string }
	w.call(http.StatusOK, http.MethodPost, "/api/v1/login", nil, jsonBody(map[string]string{"login": testLogin, "password": testPassword}), &session)
	w.token = session.Token
}

type content struct {
	kind string
	data []byte
}

func jsonBody(v any) content {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test's own literal
	}
	return content{"application/json", data}
}

// call sends one request and wants its status; the answer is decoded into into, unless that is nil.
func (w *world) call(status int, method, path string, header map[string]string, body content, into any) *http.Response {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, bytes.NewReader(body.data))
	if err != nil {
		w.t.Fatal(err)
	}
	if body.kind != "" {
		request.Header.Set("Content-Type", body.kind)
	}
	if w.token != "" {
		request.Header.Set("Authorization", "Bearer "+w.token)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := w.server.Client().Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if response.StatusCode != status {
		w.t.Fatalf("%s %s: status %d, want %d: %s", method, path, response.StatusCode, status, data)
	}
	if into != nil {
		if err := json.Unmarshal(data, into); err != nil {
			w.t.Fatalf("%s %s: %v: %s", method, path, err, data)
		}
	}
	return response
}

// form is a draft with a boundary of its own, as every client makes a new one.
func form(t *testing.T, fields map[string]string, pdf []byte) content {
	t.Helper()
	var body bytes.Buffer
	out := multipart.NewWriter(&body)
	for _, name := range []string{"type", "subject", "signer_name", "secrecy", "due", "from_name", "issued", "details", "notation", "place"} {
		if value, ok := fields[name]; ok {
			if err := out.WriteField(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	part, err := out.CreateFormFile("pdf", "a.pdf")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(pdf); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return content{out.FormDataContentType(), body.Bytes()}
}

func testPDF(t *testing.T) []byte {
	t.Helper()
	doc := fpdf.New("P", "mm", "A4", "")
	doc.AddPage()
	var out bytes.Buffer
	if err := doc.Output(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var update = flag.Bool("update", false, "write the golden files anew")

// TestDescriptionIsTheCommittedOne keeps openapi.json beside the code equal to what the code describes.
func TestDescriptionIsTheCommittedOne(t *testing.T) {
	w := newWorld(t)
	var described map[string]any
	w.call(http.StatusOK, http.MethodGet, "/api/openapi.json", nil, content{}, &described)
	if described["openapi"] != "3.1.0" {
		t.Fatalf("openapi is %v", described["openapi"])
	}
	got, err := json.MarshalIndent(described, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("openapi.json differs from what the code describes; run `go test ./exchange/httpapi -run Description -update` and read the difference")
	}
}

func TestProblems(t *testing.T) {
	w := newWorld(t)
	pdf := testPDF(t)
	for _, c := range []struct {
		name         string
		status       int
		method, path string
		body         content
		kind         string
	}{
		{"unknown address", 404, "GET", "/api/v1/nothing", content{}, "notfound"},
		{"unknown document", 404, "GET", "/api/v1/documents/0", content{}, "notfound"},
		{"unknown agency", 404, "GET", "/api/v1/agencies/H12", content{}, "notfound"},
		{"no PDF", 422, "POST", "/api/v1/documents", form(t, map[string]string{"type": "CV", "subject": "a"}, []byte("no")), "invalid"},
		{"unknown type", 422, "POST", "/api/v1/documents", form(t, map[string]string{"type": "??", "subject": "a"}, pdf), "invalid"},
		{"secret", 422, "POST", "/api/v1/documents", form(t, map[string]string{"type": "CV", "subject": "a", "secrecy": "MẬT"}, pdf), "invalid"},
		{"date", 422, "POST", "/api/v1/documents", form(t, map[string]string{"type": "CV", "subject": "a", "due": "31/12"}, pdf), "invalid"},
		{"over the limit", 413, "POST", "/api/v1/documents", form(t, map[string]string{"type": "CV", "subject": "a"}, make([]byte, 5<<20)), "toolarge"},
		{"no JSON", 400, "POST", "/api/v1/documents/1/send", content{"application/json", []byte("{")}, "invalid"},
		{"days the wrong way round", 422, "GET", "/api/v1/stats?from=2026-02-01&to=2026-01-01", content{}, "invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{t: t, server: w.server, token: w.token}
			var vi, en map[string]any
			response := w.call(c.status, c.method, c.path, nil, c.body, &vi)
			if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q", got)
			}
			if vi["type"] != "urn:vanthu:error:"+c.kind {
				t.Errorf("type %v, want %s", vi["type"], c.kind)
			}
			w.call(c.status, c.method, c.path, map[string]string{"Accept-Language": "en"}, c.body, &en)
			if vi["title"] == en["title"] || vi["title"] == "" {
				t.Errorf("the title is not in two languages: %v, %v", vi["title"], en["title"])
			}
		})
	}
	w.token = "vt_wrong"
	response := w.call(http.StatusUnauthorized, http.MethodGet, "/api/v1/me", nil, content{}, nil)
	if !strings.HasPrefix(response.Header.Get("WWW-Authenticate"), "Bearer") {
		t.Error("no WWW-Authenticate")
	}
	w.token = ""
	w.call(http.StatusUnauthorized, http.MethodPost, "/api/v1/login", nil, jsonBody(map[string]string{"login": testLogin, "password": "wrong"}), nil)
}

func TestSameKeySameAnswer(t *testing.T) {
	w := newWorld(t)
	pdf := testPDF(t)
	key := map[string]string{"Idempotency-Key": "k1"}
	var first, second exchange.Document
	w.call(http.StatusCreated, http.MethodPost, "/api/v1/documents", key, form(t, map[string]string{"type": "CV", "subject": "một", "signer_name": "A"}, pdf), &first)

	w.close()
	w.open() // the answer outlives the process

	response := w.call(http.StatusCreated, http.MethodPost, "/api/v1/documents", key, form(t, map[string]string{"type": "CV", "subject": "một", "signer_name": "A"}, pdf), &second)
	if first.ID != second.ID || response.Header.Get("Idempotent-Replayed") != "true" {
		t.Fatalf("a repeat made %s, first was %s, replayed %q", second.ID, first.ID, response.Header.Get("Idempotent-Replayed"))
	}
	w.call(http.StatusUnprocessableEntity, http.MethodPost, "/api/v1/documents", key, form(t, map[string]string{"type": "CV", "subject": "hai", "signer_name": "A"}, pdf), nil)
	var list struct{ Items []exchange.Document }
	w.call(http.StatusOK, http.MethodGet, "/api/v1/documents", nil, content{}, &list)
	if len(list.Items) != 1 {
		t.Fatalf("%d documents, want 1", len(list.Items))
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	pdf := testPDF(t)
	for i := range 5 {
		w.call(http.StatusCreated, http.MethodPost, "/api/v1/documents", nil, form(t, map[string]string{"type": "CV", "subject": fmt.Sprint("số ", i), "signer_name": "A"}, pdf), nil)
	}
	seen := make(map[exchange.DocumentID]bool)
	path := "/api/v1/documents?limit=2"
	for path != "" {
		var list struct{ Items []exchange.Document }
		response := w.call(http.StatusOK, http.MethodGet, path, nil, content{}, &list)
		if len(list.Items) > 2 {
			t.Fatalf("%d items on a page of 2", len(list.Items))
		}
		for _, doc := range list.Items {
			seen[doc.ID] = true
		}
		link := response.Header.Get("Link")
		path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
	}
	if len(seen) != 5 {
		t.Fatalf("pages gave %d documents, want 5", len(seen))
	}
}

func TestRanges(t *testing.T) {
	w := newWorld(t)
	var doc exchange.Document
	w.call(http.StatusCreated, http.MethodPost, "/api/v1/documents", nil, form(t, map[string]string{"type": "CV", "subject": "a", "signer_name": "A"}, testPDF(t)), &doc)
	path := "/api/v1/documents/" + string(doc.ID) + "/pdf"
	if whole := w.call(http.StatusOK, http.MethodGet, path, nil, content{}, nil); whole.ContentLength != doc.PDF.Size {
		t.Errorf("length %d, want %d", whole.ContentLength, doc.PDF.Size)
	}
	if part := w.call(http.StatusPartialContent, http.MethodGet, path, map[string]string{"Range": "bytes=0-4"}, content{}, nil); part.ContentLength != 5 {
		t.Errorf("length of the part %d, want 5", part.ContentLength)
	}
}
