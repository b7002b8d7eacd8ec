package pki

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"vanthu/signing/keys"
)

// publisher is an authority with its doors open on loopback.
type publisher struct {
	*Authority
	mux   *http.ServeMux
	url   string
	asked atomic.Int32
}

// newPublisher makes one; ocsp and crl say which addresses its certificates carry.
func newPublisher(t *testing.T, ocspPath, crlPath string) *publisher {
	t.Helper()
	p := &publisher{mux: http.NewServeMux()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		p.mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	o := Options{Now: clock}
	if ocspPath != "" {
		o.OCSPURL = server.URL + ocspPath
	}
	if crlPath != "" {
		o.CRLURL = server.URL + crlPath
	}
	p.Authority = newAuthority(t, o)
	return p
}

func (p *publisher) leaf(t *testing.T) *keys.Key {
	t.Helper()
	key, err := p.Issue(IssueRequest{Subject: subject("Nguyễn Văn A"), Usage: UsagePerson})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func privately() FetchOptions {
	return FetchOptions{AllowPrivate: true, Now: clock, Timeout: 20 * time.Second}
}

func TestFetchFromOwnAuthority(t *testing.T) {
	for _, c := range []struct{ name, ocsp, crl, source string }{
		{"OCSP", "/pki/ocsp", "/pki/crl", "ocsp"},
		{"CRL only", "", "/pki/crl", "crl"},
		{"CRL when OCSP fails", "/broken", "/pki/crl", "crl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPublisher(t, c.ocsp, c.crl)
			p.mux.Handle("/pki/ocsp", p.OCSP())
			p.mux.Handle("/pki/crl", p.CRLDoor())
			good, bad := p.leaf(t), p.leaf(t)
			p.Revoke(bad.Certificate.SerialNumber, now().Add(-time.Hour), 1)
			f := NewFetcher(privately())
			for _, key := range []*keys.Key{good, bad} {
				ev, err := f.Fetch(context.Background(), key.Certificate, p.Certificate())
				if err != nil {
					t.Fatal(err)
				}
				r := CheckRevocation(key.Certificate, p.Certificate(), ev, RevocationOptions{At: now(), Now: now(), Trust: p.Trust()})
				want := StatusGood
				if key == bad {
					want = StatusRevoked
				}
				if r.Status != want || r.Source != c.source {
					t.Errorf("status %s from %s: %v", r.Status, r.Source, r.Reasons)
				}
			}
		})
	}
}

func TestFetchOnceAndKeep(t *testing.T) {
	p := newPublisher(t, "/ocsp", "")
	p.mux.Handle("/ocsp", p.OCSP())
	key := p.leaf(t)
	cache, err := NewFolderCache(filepath.Join(t.TempDir(), "revocation"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Cache{"memory": NewMemoryCache(0), "folder": cache} {
		t.Run(name, func(t *testing.T) {
			before := p.asked.Load()
			o := privately()
			o.Cache = c
			f := NewFetcher(o)
			var group sync.WaitGroup
			for range 20 {
				group.Go(func() {
					if _, err := f.Fetch(context.Background(), key.Certificate, p.Certificate()); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if n := p.asked.Load() - before; n != 1 {
				t.Errorf("%d requests", n)
			}
			o.Now = func() time.Time { return now().Add(2 * ocspValidity) }
			if _, err := NewFetcher(o).Fetch(context.Background(), key.Certificate, p.Certificate()); !errors.Is(err, ErrAnswer) {
				t.Errorf("an answer that has ended, and a responder of yesterday: %v", err)
			}
			if n := p.asked.Load() - before; n != 2 {
				t.Errorf("%d requests after the answer had ended", n)
			}
		})
	}
	if n, err := cache.Prune(context.Background(), now().Add(48*time.Hour)); n != 1 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
}

func TestFetchRefuses(t *testing.T) {
	p := newPublisher(t, "/ocsp", "/crl")
	key := p.leaf(t)
	other := newAuthority(t, Options{Now: clock})
	handlers := map[string]http.HandlerFunc{
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, p.url+"/good", http.StatusFound) },
		"foreign":   other.OCSP().ServeHTTP,
		"garbage":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("0\x03\x0a\x01\x00")) },
		"error":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"oversized": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2000)) },
	}
	current := ""
	serve := func(w http.ResponseWriter, r *http.Request) { handlers[current](w, r) }
	p.mux.HandleFunc("/ocsp", serve)
	p.mux.HandleFunc("/crl", serve)
	p.mux.Handle("/good", p.CRLDoor())
	for name := range handlers {
		t.Run(name, func(t *testing.T) {
			current = name
			o := privately()
			o.MaxOCSP, o.MaxCRL = 1000, 1000
			ev, err := NewFetcher(o).Fetch(context.Background(), key.Certificate, p.Certificate())
			if !errors.Is(err, ErrAnswer) || len(ev.CRLs)+len(ev.OCSPs) > 0 {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("unreachable authority", func(t *testing.T) {
		silent := newAuthority(t, Options{Now: clock, OCSPURL: "http://127.0.0.1:1/"})
		key, err := silent.Issue(IssueRequest{Subject: subject("x")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewFetcher(privately()).Fetch(context.Background(), key.Certificate, silent.Certificate()); err == nil {
			t.Error("no error")
		}
	})
}

// TestFetchStaysOutside holds that nobody who makes a certificate can send us where they like (SSRF).
func TestFetchStaysOutside(t *testing.T) {
	asked := atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, c := range []struct {
		name, address string
		hosts         []string
		want          error
	}{
		{"loopback", server.URL + "/latest/meta-data", nil, ErrHostRefused},
		{"loopback on a usual port", "http://127.0.0.1/", nil, ErrHostRefused},
		{"a name for loopback", "http://localhost" + port + "/", []string{"localhost" + port}, ErrHostRefused},
		{"metadata service", "http://169.254.169.254/latest", nil, ErrHostRefused},
		{"mapped", "http://[::ffff:127.0.0.1]/", nil, ErrHostRefused},
		{"not listed", "http://ocsp.example/", []string{"ocsp.example.vn", ".ca.example"}, ErrHostRefused},
		{"not below", "http://evilca.example/", []string{".ca.example"}, ErrHostRefused},
		{"another port", "http://ocsp.example.vn:8080/", []string{"ocsp.example.vn"}, ErrHostRefused},
		{"file", "file:///etc/passwd", nil, ErrHostRefused},
		{"ldap", "ldap://127.0.0.1/", nil, ErrHostRefused},
		{"user", "http://a@127.0.0.1/", nil, ErrHostRefused},
		{"none", "", nil, ErrNoAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAuthority(t, Options{Now: clock, OCSPURL: c.address, CRLURL: c.address})
			key, err := a.Issue(IssueRequest{Subject: subject("x")})
			if err != nil {
				t.Fatal(err)
			}
			f := NewFetcher(FetchOptions{Now: clock, Hosts: c.hosts, Timeout: 5 * time.Second})
			if _, err := f.Fetch(context.Background(), key.Certificate, a.Certificate()); !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	a := newAuthority(t, Options{Now: clock, OCSPURL: server.URL})
	key, err := a.Issue(IssueRequest{Subject: subject("x")})
	if err != nil {
		t.Fatal(err)
	}
	untrusted := BuildChain(key.Certificate, key.Chain, &Trust{}, now(), UsageSigning)
	if _, err := NewFetcher(privately()).FetchChain(context.Background(), untrusted); !errors.Is(err, ErrUnanchored) {
		t.Errorf("untrusted chain: %v", err)
	}
	stranger := newAuthority(t, Options{Now: clock})
	if _, err := NewFetcher(privately()).Fetch(context.Background(), key.Certificate, stranger.Certificate()); !errors.Is(err, ErrUnanchored) {
		t.Errorf("not its issuer: %v", err)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

func TestPublicAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "203.113.131.1": true, "2606:4700::1111": true, "2405:4800::1": true,
		"10.0.0.1": false, "127.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false, "::1": false, "::": false, "fe80::1": false,
		"fd00::1": false, "::ffff:10.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001::1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestMemoryCacheIsBounded(t *testing.T) {
	m := NewMemoryCache(100)
	for i, key := range []string{"a", "b", "c", "d", "e"} {
		if err := m.Put(context.Background(), key, Cached{Data: make([]byte, 40), Until: now().Add(time.Duration(i) * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	if m.bytes != 80 || len(m.kept) != 2 {
		t.Errorf("%d bytes of %d answers", m.bytes, len(m.kept))
	}
	if _, ok := m.Get(context.Background(), "e"); !ok {
		t.Error("the one that lasts longest was dropped")
	}
	if err := m.Put(context.Background(), "huge", Cached{Data: make([]byte, 101)}); err != nil || len(m.kept) != 2 {
		t.Error("an answer larger than the cache")
	}
}

// TestOwnResponderByOpenSSL has the responder judged by another program, over POST and over GET.
func TestOwnResponderByOpenSSL(t *testing.T) {
	tool, err := exec.LookPath("openssl")
	if err != nil {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "openssl") {
			t.Fatal(err)
		}
		t.Skip("openssl is not installed")
	}
	// openssl judges by its own clock.
	p := newPublisher(t, "/pki/ocsp", "/pki/crl")
	p.opts.Now = time.Now
	p.mux.Handle("/pki/ocsp", p.OCSP())
	p.mux.Handle("/pki/crl", p.CRLDoor())
	good, bad := p.leaf(t), p.leaf(t)
	p.Revoke(bad.Certificate.SerialNumber, time.Now().Add(-time.Hour), 4)
	dir := t.TempDir()
	write := func(name string, key *keys.Key) string {
		data, _, err := key.ToPEM()
		if err != nil {
			t.Fatal(err)
		}
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	ca := write("ca.pem", p.Key())
	for name, want := range map[string]string{write("good.pem", good): ": good", write("bad.pem", bad): ": revoked"} {
		out, err := exec.Command(tool, "ocsp", "-issuer", ca, "-CAfile", ca, "-cert", name, "-url", p.url+"/pki/ocsp", "-no_nonce").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Response verify OK") || !strings.Contains(string(out), want) {
			t.Errorf("%v\n%s", err, out)
		}
	}
	resp, err := http.Get(p.url + "/pki/crl") //nolint:noctx // a test on loopback
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	check := exec.Command(tool, "crl", "-inform", "DER", "-CAfile", ca, "-noout")
	check.Stdin = resp.Body
	if out, err := check.CombinedOutput(); err != nil || !strings.Contains(string(out), "verify OK") {
		t.Errorf("CRL: %v\n%s", err, out)
	}
}

func TestResponderRefuses(t *testing.T) {
	a, other := newAuthority(t, Options{Now: clock}), newPublisher(t, "/o", "")
	theirs := other.leaf(t)
	ours, err := a.Issue(IssueRequest{Subject: subject("x")})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string) (int, string) {
		req := httptest.NewRequestWithContext(context.Background(), method, "/pki/ocsp"+path, strings.NewReader(body))
		w := httptest.NewRecorder()
		a.OCSP().ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	if code, body := ask("POST", "", "no request"); code != 200 || body != "0\x03\x0a\x01\x01" {
		t.Errorf("garbage: %d %x", code, body)
	}
	if code, body := ask("POST", "", string(requestFor(t, theirs, other.Certificate()))); code != 200 || body != "0\x03\x0a\x01\x06" {
		t.Errorf("another authority's: %d %x", code, body)
	}
	if code, _ := ask("POST", "", strings.Repeat("x", maxOCSPRequest+1)); code != http.StatusRequestEntityTooLarge {
		t.Errorf("oversized: %d", code)
	}
	if code, _ := ask("PUT", "", ""); code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", code)
	}
	der := requestFor(t, ours, a.Certificate())
	for _, path := range getPaths(der) {
		code, body := ask("GET", path, "")
		r := judgeOCSP([]byte(body), ours.Certificate, a.Certificate(), &RevocationOptions{At: now(), Now: now()})
		if code != 200 || r.Status != StatusGood {
			t.Errorf("GET %s: %d, %s", path, code, r.Status)
		}
	}
	if code, _ := ask("GET", "/xyz", ""); code != 200 {
		t.Errorf("GET without a request: %d", code)
	}
}

func requestFor(t *testing.T, key *keys.Key, issuer *x509.Certificate) []byte {
	t.Helper()
	der, err := ocsp.CreateRequest(key.Certificate, issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// getPaths are the ways in which clients write a request into a path.
func getPaths(der []byte) []string {
	text := base64.StdEncoding.EncodeToString(der)
	return []string{"/" + text, "/" + url.PathEscape(text), "/" + url.QueryEscape(text)}
}
