package tsa

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/signing/cms"
)

// openssl runs the program, or tells that it is not there.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "openssl") {
			t.Fatal("openssl is required and not installed")
		}
		t.Skip("openssl is not installed")
	}
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func certificatePEM(list ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range list {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

// openssl asks our authority and verifies what it answers.
func TestOpenSSLAsksUs(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "data", data())
	roots := write(t, dir, "roots.pem", certificatePEM(certs.Roots(t)...))
	untrusted := write(t, dir, "chain.pem", certificatePEM(certs.Certificate(t, certs.IssuingEC)))
	query := filepath.Join(dir, "query")
	openssl(t, "ts", "-query", "-data", file, "-sha512", "-cert", "-out", query)
	body, err := os.ReadFile(query)
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewAuthority(identity(t, certs.TSA), AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	request.Header.Set("Content-Type", queryType)
	a.ServeHTTP(recorder, request)
	reply := write(t, dir, "reply", recorder.Body.Bytes())
	for _, by := range [][]string{{"-data", file}, {"-queryfile", query}} {
		args := append([]string{"ts", "-verify", "-in", reply, "-CAfile", roots, "-untrusted", untrusted}, by...)
		if out := openssl(t, args...); !strings.Contains(out, "Verification: OK") {
			t.Error(out)
		}
	}
	token, err := a.Timestamp(context.Background(), digest(t, crypto.SHA256), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	alone := write(t, dir, "token", token)
	if out := openssl(t, "ts", "-verify", "-in", alone, "-token_in", "-data", file, "-CAfile", roots, "-untrusted", untrusted); !strings.Contains(out, "Verification: OK") {
		t.Error(out)
	}
}

// openssl is the authority, we ask.
func TestWeAskOpenSSL(t *testing.T) {
	dir := t.TempDir()
	_, key := certs.PEM(t, certs.TSA)
	write(t, dir, "key.pem", key)
	write(t, dir, "cert.pem", certificatePEM(certs.Certificate(t, certs.TSA)))
	write(t, dir, "chain.pem", certificatePEM(certs.Certificate(t, certs.IssuingEC)))
	config := write(t, dir, "ts.cnf", []byte(strings.ReplaceAll(`
[tsa]
default_tsa = t
[t]
serial = DIR/serial
signer_cert = DIR/cert.pem
certs = DIR/chain.pem
signer_key = DIR/key.pem
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha512
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_chain = yes
ess_cert_id_alg = sha256
`, "DIR", dir)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 4096)
		n, _ := r.Body.Read(body)
		query := write(t, dir, "query", body[:n])
		openssl(t, "ts", "-reply", "-config", config, "-queryfile", query, "-out", filepath.Join(dir, "reply"))
		reply, err := os.ReadFile(filepath.Join(dir, "reply"))
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(reply)
	}))
	defer server.Close()
	client, err := NewHTTP(server.URL, HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	token := stamp(t, client, crypto.SHA512)
	r := token.Verify(cms.DigestOf(data()), VerifyOptions{Trust: trust(t), At: time.Now()})
	if !r.Trusted {
		t.Errorf("%+v", r)
	}
	if !token.Ordering || token.Accuracy != 1500100*time.Microsecond || token.Policy.String() != "1.2.3.4" {
		t.Errorf("%+v", token)
	}
}
