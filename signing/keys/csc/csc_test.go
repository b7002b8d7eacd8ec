package csc_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	certs "vanthu/certs-testdata"
	"vanthu/signing"
	"vanthu/signing/keys/csc"
	"vanthu/signing/pdf/pdftest"
	"vanthu/signing/pki"
)

// service is a signing service with one key that wants a PIN for each signature.
func service(t *testing.T, name certs.Name, spoil bool) *httptest.Server {
	t.Helper()
	private, chain := certs.Identity(t, name)
	authorised := map[string]bool{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Hashes   [][]byte
			SAD      string
			AuthData []struct{ ID, Value string }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		out := map[string]any{}
		refuse := r.Header.Get("Authorization") != "Bearer token"
		switch r.URL.Path {
		case "/csc/v2/credentials/list":
			out["credentialIDs"] = []string{"one"}
		case "/csc/v2/credentials/info":
			ders := [][]byte{}
			for _, c := range chain {
				ders = append(ders, c.Raw)
			}
			out["cert"], out["auth"] = map[string]any{"certificates": ders}, map[string]any{"mode": "explicit"}
		case "/csc/v2/credentials/authorize":
			refuse = refuse || len(in.AuthData) != 1 || in.AuthData[0].ID != "PIN" || in.AuthData[0].Value != "1234"
			authorised[string(in.Hashes[0])] = true
			out["SAD"] = "granted"
		case "/csc/v2/signatures/signHash":
			refuse = refuse || in.SAD != "granted" || !authorised[string(in.Hashes[0])]
			value, err := private.Sign(rand.Reader, in.Hashes[0], crypto.SHA256)
			if err != nil {
				t.Error(err)
			}
			if spoil {
				value[len(value)-1] ^= 1
			}
			out["signatures"] = [][]byte{value}
		}
		if refuse {
			w.WriteHeader(http.StatusUnauthorized)
			out = map[string]any{"error": "invalid_request"}
		}
		if err := json.NewEncoder(w).Encode(out); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func sign(t *testing.T, server *httptest.Server, o csc.Options) ([]byte, *signing.Report, error) {
	t.Helper()
	o.URL, o.Transport = server.URL+"/csc/v2", server.Client().Transport
	client, err := csc.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := client.Credentials(context.Background())
	if err != nil {
		return nil, nil, err
	}
	key, err := client.Key(context.Background(), ids[0])
	if err != nil {
		return nil, nil, err
	}
	return signing.SignAndCheck(context.Background(), pdftest.New(pdftest.Options{}).Bytes(pdftest.Table),
		signing.SignOptions{Key: key, Profile: signing.ProfileBB}, signing.VerifyOptions{Trust: &pki.Trust{Roots: certs.Roots(t)}, Offline: true})
}

func TestRemoteKeySigns(t *testing.T) {
	for _, name := range []certs.Name{certs.OfficialEC, certs.LeaderRSA} {
		signed, report, err := sign(t, service(t, name, false), csc.Options{Token: "token", PIN: "1234"})
		if err != nil || report.Verdict != signing.TotalPassed {
			t.Fatalf("%s: %v, %+v", name, err, report)
		}
		if _, err := exec.LookPath("pdfsig"); err != nil {
			continue // our own validator has passed it; pdfsig is a second opinion
		}
		file := filepath.Join(t.TempDir(), "signed.pdf")
		if err := os.WriteFile(file, signed, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("pdfsig", "-nocert", file).CombinedOutput(); err != nil || !strings.Contains(string(out), "Signature is Valid.") {
			t.Errorf("%s: pdfsig: %v\n%s", name, err, out)
		}
	}
}

func TestRemoteKeyRefused(t *testing.T) {
	for name, o := range map[string]csc.Options{"wrong token": {Token: "x", PIN: "1234"}, "wrong PIN": {Token: "token", PIN: "0"}} {
		if _, _, err := sign(t, service(t, certs.OfficialEC, false), o); !errors.Is(err, csc.ErrService) || strings.Contains(err.Error(), "1234") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := sign(t, service(t, certs.OfficialEC, true), csc.Options{Token: "token", PIN: "1234"}); !errors.Is(err, csc.ErrService) {
		t.Errorf("a spoilt signature: %v", err)
	}
	for _, address := range []string{"http://example.org/csc/v2", "", "ftp://127.0.0.1/x"} {
		if _, err := csc.New(csc.Options{URL: address}); !errors.Is(err, csc.ErrService) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
