package tsa

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
)

func now() time.Time { return time.Date(2030, 1, 1, 12, 30, 45, 678_000_000, time.UTC) }

func data() []byte { return []byte("giá trị chữ ký") }

func identity(tb testing.TB, name certs.Name) *keys.Key {
	tb.Helper()
	signer, chain := certs.Identity(tb, name)
	k, err := keys.New(signer, chain...)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func authority(tb testing.TB, name certs.Name) *Authority {
	tb.Helper()
	a, err := NewAuthority(identity(tb, name), AuthorityOptions{Now: now})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func trust(tb testing.TB) *pki.Trust {
	return &pki.Trust{Roots: certs.Roots(tb), TimestampRoots: certs.Roots(tb)}
}

func digest(tb testing.TB, h crypto.Hash) []byte {
	tb.Helper()
	sum, err := cms.DigestOf(data())(h)
	if err != nil {
		tb.Fatal(err)
	}
	return sum
}

// stamp asks a client for a token over data().
func stamp(tb testing.TB, c Client, h crypto.Hash) *Token {
	tb.Helper()
	der, err := c.Timestamp(context.Background(), digest(tb, h), h)
	if err != nil {
		tb.Fatal(err)
	}
	return parse(tb, der)
}

func parse(tb testing.TB, der []byte) *Token {
	tb.Helper()
	token, err := ParseToken(der)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func TestEmbeddedAuthority(t *testing.T) {
	a := authority(t, certs.TSA)
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256} {
		token := stamp(t, a, h)
		r := token.Verify(cms.DigestOf(data()), VerifyOptions{Trust: trust(t), At: now().AddDate(1, 0, 0)})
		if !r.Trusted || !r.Intact || len(r.Reasons) > 0 || !r.Time.Equal(now().Truncate(time.Second)) || len(r.Chain) != 3 {
			t.Errorf("%s: %+v", pki.HashName(h), r)
		}
		if token.Accuracy != time.Second || token.Serial.Sign() <= 0 || token.Hash != h || token.Nonce != nil {
			t.Errorf("%+v", token)
		}
	}
	if _, err := a.Timestamp(context.Background(), make([]byte, 20), crypto.SHA1); !errors.Is(err, ErrRefused) {
		t.Errorf("SHA-1: %v", err)
	}
	if _, err := a.Timestamp(context.Background(), make([]byte, 31), crypto.SHA256); !errors.Is(err, ErrRefused) {
		t.Errorf("short digest: %v", err)
	}
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := a.Timestamp(stopped, make([]byte, 32), crypto.SHA256); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAuthorityNeedsTheRightCertificate(t *testing.T) {
	if _, err := NewAuthority(identity(t, certs.OfficialEC), AuthorityOptions{}); err == nil {
		t.Error("an official became a time-stamp authority")
	}
	late, err := NewAuthority(identity(t, certs.TSA), AuthorityOptions{Now: func() time.Time { return now().AddDate(200, 0, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := late.Timestamp(context.Background(), make([]byte, 32), crypto.SHA256); err == nil {
		t.Error("stamped with an expired certificate")
	}
}

func TestHTTP(t *testing.T) {
	server := httptest.NewServer(authority(t, certs.TSA))
	defer server.Close()
	client, err := NewHTTP(server.URL, HTTPOptions{Policy: asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	serials := make([]*big.Int, 8)
	for i := range serials {
		wg.Go(func() {
			der, err := client.Timestamp(context.Background(), digest(t, crypto.SHA256), crypto.SHA256)
			if err != nil {
				t.Error(err)
				return
			}
			token, err := ParseToken(der)
			if err != nil {
				t.Error(err)
				return
			}
			if r := token.Verify(cms.DigestOf(data()), VerifyOptions{Trust: trust(t)}); !r.Trusted || token.Nonce == nil {
				t.Errorf("%+v", r)
			}
			serials[i] = token.Serial
		})
	}
	wg.Wait()
	for i := range serials {
		for j := range i {
			if serials[i] != nil && serials[j] != nil && serials[i].Cmp(serials[j]) == 0 {
				t.Error("a serial number came twice")
			}
		}
	}
	other, err := NewHTTP(server.URL, HTTPOptions{Policy: asn1.ObjectIdentifier{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Timestamp(context.Background(), digest(t, crypto.SHA256), crypto.SHA256); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "unacceptedPolicy") {
		t.Errorf("other policy: %v", err)
	}
}

// The authority must not be believed about anything: each answer here lies in one way.
func TestClientChecksTheAnswer(t *testing.T) {
	honest := authority(t, certs.TSA)
	answer := func(change func(r *request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body := make([]byte, 4096)
			n, _ := r.Body.Read(body)
			q, ok := parseRequest(body[:n])
			if !ok {
				t.Error("request not read")
				return
			}
			change(q)
			token, err := honest.issue(q)
			if err != nil {
				t.Error(err)
				return
			}
			response, _ := encodeResponse(token, 0)
			_, _ = w.Write(response)
		}
	}
	raw := func(body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(body) }
	}
	granted, _ := encodeResponse([]byte{0x30, 0}, 0)
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    error
	}{
		"other data":     {answer(func(r *request) { r.imprint = make([]byte, 32) }), ErrRefused},
		"other nonce":    {answer(func(r *request) { r.nonce = big.NewInt(1) }), ErrRefused},
		"no nonce":       {answer(func(r *request) { r.nonce = nil }), ErrRefused},
		"no certificate": {answer(func(r *request) { r.certs = false }), ErrRefused},
		"no token":       {raw([]byte{0x30, 5, 0x30, 3, 2, 1, 0}), ErrRefused},
		"broken token":   {raw(granted), ErrRefused},
		"no response":    {raw([]byte("<html>")), ErrRefused},
		"too large":      {raw(make([]byte, 300<<10)), ErrRefused},
		"server error":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, ErrUnavailable},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}, ErrUnavailable},
		"slow": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client left
			<-r.Context().Done()
		}, ErrUnavailable},
	} {
		server := httptest.NewServer(c.handler)
		client, err := NewHTTP(server.URL, HTTPOptions{Timeout: 2 * time.Second, Client: server.Client()})
		if err != nil {
			t.Fatal(err)
		}
		if name == "slow" {
			client.opts.Timeout = 50 * time.Millisecond
		}
		token, err := client.Timestamp(context.Background(), digest(t, crypto.SHA256), crypto.SHA256)
		if !errors.Is(err, c.want) || token != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		server.Close()
	}
}

func TestClientAddresses(t *testing.T) {
	for _, bad := range []string{"", "tsa", "ftp://tsa.example/", "http://", "://"} {
		if _, err := NewHTTP(bad, HTTPOptions{}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, err := NewHTTP("http://tsa.example/", HTTPOptions{Username: "u", Password: "p"}); err == nil {
		t.Error("a password over plain HTTP")
	}
	for _, good := range []string{"https://tsa.example/", "http://127.0.0.1/"} {
		if _, err := NewHTTP(good, HTTPOptions{Username: "u", Password: "p"}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	var user, password string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		authority(t, certs.TSA).ServeHTTP(w, r)
	}))
	defer server.Close()
	client, err := NewHTTP(server.URL, HTTPOptions{Username: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	stamp(t, client, crypto.SHA256)
	if user != "u" || password != "p" {
		t.Errorf("user %q", user)
	}
}

func TestServerRefuses(t *testing.T) {
	server := httptest.NewServer(authority(t, certs.TSA))
	defer server.Close()
	query := func(edit func(r *request)) []byte {
		r := &request{hashOID: pki.OIDByHash(crypto.SHA256), imprint: digest(t, crypto.SHA256), certs: true}
		edit(r)
		der, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for name, c := range map[string]struct {
		body []byte
		want string
	}{
		"sha1":         {query(func(r *request) { r.hashOID, r.imprint = pki.OIDByHash(crypto.SHA1), make([]byte, 20) }), "badAlg"},
		"short digest": {query(func(r *request) { r.imprint = r.imprint[1:] }), "badDataFormat"},
		"policy":       {query(func(r *request) { r.policy = asn1.ObjectIdentifier{1, 2, 3} }), "unacceptedPolicy"},
		"garbage":      {[]byte("x"), "badDataFormat"},
		"extension":    {extensionQuery(t), "unacceptedExtension"},
	} {
		response, err := http.Post(server.URL, queryType, bytes.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 4096)
		n, _ := response.Body.Read(body)
		_ = response.Body.Close()
		if response.Header.Get("Content-Type") != replyType {
			t.Errorf("%s: %s", name, response.Header.Get("Content-Type"))
		}
		if _, err := parseResponse(body[:n]); !errors.Is(err, ErrRefused) || strings.Count(err.Error(), c.want) != 2 {
			t.Errorf("%s: %v", name, err) // once as text, once as a bit
		}
	}
	for name, c := range map[string]struct {
		kind string
		body []byte
		want int
	}{
		"type": {"text/plain", []byte("x"), http.StatusUnsupportedMediaType}, "size": {queryType, make([]byte, maxRequest+1), http.StatusBadRequest},
	} {
		response, err := http.Post(server.URL, c.kind, bytes.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("%s: %d", name, response.StatusCode)
		}
	}
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", response.StatusCode)
	}
}

// extensionQuery is a request with an (empty) extensions field.
func extensionQuery(t *testing.T) []byte {
	t.Helper()
	r := &request{hashOID: pki.OIDByHash(crypto.SHA256), imprint: digest(t, crypto.SHA256)}
	der, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	der = append(der, 0xa0, 2, 0x30, 0)
	der[1] += 4
	return der
}

// judgeToken makes a TSTInfo signed by any key, without the checks of an Authority.
func forgeToken(t *testing.T, k *keys.Key, at time.Time, edit func(i *info, r *cms.SignRequest)) *Token {
	t.Helper()
	sum := sha256.Sum256(data())
	i := &info{policy: asn1.ObjectIdentifier{1, 2, 3}, hash: pki.OIDByHash(crypto.SHA256), imprint: sum[:], serial: big.NewInt(1), time: at}
	r := &cms.SignRequest{Key: k, ContentType: oidTSTInfo()}
	if edit != nil {
		edit(i, r)
	}
	content, err := i.encode()
	if err != nil {
		t.Fatal(err)
	}
	r.Content = content
	der, err := cms.Sign(*r)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, der)
}

// A self-made authority may say any time (pdfsign V5): the token is intact, and gives no time.
func TestBackdatingByUntrustedAuthority(t *testing.T) {
	past := time.Date(2021, 6, 1, 0, 0, 0, 0, time.UTC)
	token := forgeToken(t, identity(t, certs.OtherTSA), past, nil)
	r := token.Verify(cms.DigestOf(data()), VerifyOptions{Trust: trust(t), At: now()})
	if r.Trusted || !r.Time.IsZero() || !r.Intact || !r.Reasons.Has(pki.CodeTimestampTrust) || !r.Reasons.Has(pki.CodeNoChain) {
		t.Errorf("%+v", r)
	}
	for name, trust := range map[string]*pki.Trust{"nobody": nil, "signature roots only": {Roots: certs.Roots(t)}} {
		token := stamp(t, authority(t, certs.TSA), crypto.SHA256)
		if r := token.Verify(cms.DigestOf(data()), VerifyOptions{Trust: trust, At: now()}); r.Trusted || !r.Time.IsZero() || !r.Intact {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestTokenRules(t *testing.T) {
	good := identity(t, certs.TSA)
	seal := identity(t, certs.SealEC)
	for name, c := range map[string]struct {
		token  *Token
		intact bool
		want   pki.Code
	}{
		"by an official": {forgeToken(t, seal, now(), nil), true, pki.CodeTimestampUsage},
		"no ESS":         {forgeToken(t, good, now(), func(_ *info, r *cms.SignRequest) { r.OmitESS = true }), false, pki.CodeMissingAttribute},
		"no certificate": {forgeToken(t, good, now(), func(_ *info, r *cms.SignRequest) { r.OmitCertificates = true }), false, pki.CodeTimestampInvalid},
		"other data":     {forgeToken(t, good, now(), func(i *info, _ *cms.SignRequest) { i.imprint = make([]byte, 32) }), false, pki.CodeImprint},
		"unknown digest": {forgeToken(t, good, now(), func(i *info, _ *cms.SignRequest) { i.hash = asn1.ObjectIdentifier{1, 2, 3} }), false, pki.CodeAlgorithm},
		"weak digest": {forgeToken(t, good, now(), func(i *info, _ *cms.SignRequest) {
			i.hash, i.imprint = pki.OIDByHash(crypto.SHA1), digest(t, crypto.SHA1)
		}), true, pki.CodeWeakDigest},
		"before the certificate": {forgeToken(t, good, now().AddDate(-15, 0, 0), nil), true, pki.CodeNotYetValid},
		"from the future":        {forgeToken(t, good, now().AddDate(0, 0, 2), nil), true, pki.CodeTimestampFuture},
	} {
		r := c.token.Verify(cms.DigestOf(data()), VerifyOptions{Trust: trust(t), At: now().Add(time.Hour)})
		if r.Trusted || !r.Time.IsZero() || r.Intact != c.intact || !r.Reasons.Has(c.want) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	// A certificate from the document serves as well as one in the token.
	r := forgeToken(t, good, now(), func(_ *info, r *cms.SignRequest) { r.OmitCertificates = true }).Verify(
		cms.DigestOf(data()), VerifyOptions{Trust: trust(t), At: now(), Pool: good.Certificates()})
	if !r.Trusted {
		t.Errorf("certificate from the pool: %+v", r)
	}
	failing := func(crypto.Hash) ([]byte, error) { return nil, errors.New("disk broke") }
	if r := stamp(t, authority(t, certs.TSA), crypto.SHA256).Verify(failing, VerifyOptions{Trust: trust(t)}); r.Trusted || !r.Reasons.Has(pki.CodeNoContent) {
		t.Errorf("unreadable data: %+v", r)
	}
}

// The extended key usage must be critical and the only one.
func TestTimestampCertificateUsage(t *testing.T) {
	a, err := pki.NewAuthority(certs.Certificate(t, certs.Root).Subject, pki.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	own := a.Trust()
	for name, c := range map[string]struct {
		edit func(c *x509.Certificate)
		ok   bool
	}{
		"not critical": {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping} }, false},
		"two usages": {func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageServerAuth}
		}, false},
		"none": {func(*x509.Certificate) {}, false},
	} {
		signer, _ := certs.Identity(t, certs.TSA)
		template := &x509.Certificate{SerialNumber: big.NewInt(3), NotBefore: now().AddDate(-1, 0, 0), NotAfter: now().AddDate(1, 0, 0)}
		c.edit(template)
		der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate(), signer.Public(), a.Key().Signer)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		token := forgeToken(t, &keys.Key{Signer: signer, Certificate: leaf}, now(), nil)
		r := token.Verify(cms.DigestOf(data()), VerifyOptions{Trust: own, At: now()})
		if r.Trusted != c.ok || !r.Intact || !r.Reasons.Has(pki.CodeTimestampUsage) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	k, err := a.Issue(pki.IssueRequest{Usage: pki.UsageTSA})
	if err != nil {
		t.Fatal(err)
	}
	if r := forgeToken(t, k, now(), nil).Verify(cms.DigestOf(data()), VerifyOptions{Trust: own, At: now()}); !r.Trusted {
		t.Errorf("issued by our authority: %+v", r)
	}
	// Once the authority's certificate has expired, its tokens prove nothing by themselves.
	if r := forgeToken(t, k, now(), nil).Verify(cms.DigestOf(data()), VerifyOptions{Trust: own, At: now().AddDate(10, 0, 0)}); r.Trusted || !r.Reasons.Has(pki.CodeExpired) {
		t.Errorf("ten years later: %+v", r)
	}
}

func TestBefore(t *testing.T) {
	k := identity(t, certs.TSA)
	at := func(d time.Duration, accuracy time.Duration) *Token {
		return forgeToken(t, k, now().Truncate(time.Second).Add(d), func(i *info, _ *cms.SignRequest) { i.accuracy = accuracy })
	}
	if a, b := at(0, time.Second), at(5*time.Second, time.Second); !a.Before(b) || b.Before(a) {
		t.Error("five seconds apart")
	}
	a, b := at(0, time.Second), at(time.Second, time.Second)
	if a.Before(b) || b.Before(a) {
		t.Error("one second apart with an accuracy of one")
	}
	a.Ordering, b.Ordering = true, true
	if !a.Before(b) {
		t.Error("ordered tokens of one authority")
	}
}

func TestParseTokenRefuses(t *testing.T) {
	whole, err := authority(t, certs.TSA).Timestamp(context.Background(), digest(t, crypto.SHA256), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseToken(append(bytes.Clone(whole), 0, 0, 0)); err != nil {
		t.Errorf("padded: %v", err)
	}
	sum := sha256.Sum256(data())
	document, err := cms.Sign(cms.SignRequest{Key: identity(t, certs.SealEC), Digest: sum[:]})
	if err != nil {
		t.Fatal(err)
	}
	text, err := cms.Sign(cms.SignRequest{Key: identity(t, certs.TSA), ContentType: oidTSTInfo(), Content: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{"empty": nil, "garbage": []byte("x"), "cut": whole[:100], "a signature": document,
		"other content": text, "bytes after": append(bytes.Clone(whole), 1), "too large": make([]byte, 2*maxToken)} {
		if _, err := ParseToken(der); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for s, ok := range map[string]bool{"20300101123045Z": true, "20300101123045.123Z": true, "20300101123045": false, "20300101123045+0700": false,
		"20301301123045Z": false, strings.Repeat("2", 50): false} {
		if _, got := parseTime(s); got != ok {
			t.Errorf("time %q: %v", s, got)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	der, err := authority(f, certs.TSA).Timestamp(context.Background(), digest(f, crypto.SHA256), crypto.SHA256)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	trust := trust(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		token, err := ParseToken(data)
		if err != nil {
			return
		}
		r := token.Verify(cms.DigestOf([]byte("giá trị chữ ký")), VerifyOptions{Trust: trust, At: now()})
		if r.Trusted && (!r.Intact || r.Time.IsZero()) || !r.Trusted && !r.Time.IsZero() {
			t.Fatalf("inconsistent: %+v", r)
		}
		parseRequest(data)
		_, _ = parseResponse(data)
	})
}
