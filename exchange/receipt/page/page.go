// Package page gives out the page that verifies receipt bundles in a browser (trang kiểm tra biên bản): one HTML file with
// the verifier of package receipt inside, compiled to WebAssembly. It needs no network and works from a USB stick.
package page

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"time"
)

//go:generate sh build.sh

var (
	//go:embed verify.wasm.gz
	engine []byte
	//go:embed thirdparty/wasm_exec.js
	support string
	//go:embed page.js
	script string
	//go:embed page.css
	style string
	//go:embed page.html
	markup string
)

// known is what a page trusts from the start; a reader may add roots.
type known struct {
	Roots  []string `json:"roots"` // PEM
	LogKey string   `json:"log_key"`
	Made   string   `json:"made"`
}

// HTML writes the page. roots are trusted by it: those of the hub that gives it out, which whoever takes the page from
// there trusts anyway; none makes a page that trusts nobody until its reader adds a root. logKey is the hub's log, the
// only one that the page takes evidence of; "" takes the one that the bundle's issuer signed.
func HTML(roots []*x509.Certificate, logKey string, now time.Time) ([]byte, error) {
	k := known{Roots: []string{}, LogKey: logKey, Made: now.UTC().Format(time.DateOnly)}
	for _, c := range roots {
		k.Roots = append(k.Roots, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
	}
	trust, err := json.Marshal(k) // with <, > and & escaped: it stands in HTML
	if err != nil {
		return nil, fmt.Errorf("writing the verification page: %w", err)
	}
	code := support + "\n" + script
	return []byte(strings.NewReplacer(
		"{{policy}}", policy(code), "{{style}}", style, "{{script}}", code, "{{trust}}", string(trust),
		"{{engine}}", base64.StdEncoding.EncodeToString(engine),
	).Replace(markup)), nil
}

// policy lets the page run its own script and nothing else, and reach nobody.
func policy(code string) string {
	sum := sha256.Sum256([]byte(code))
	return "default-src 'none'; style-src 'unsafe-inline'; script-src 'wasm-unsafe-eval' 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'"
}

// Handler serves the page.
func Handler(roots []*x509.Certificate, logKey string, now time.Time) (http.Handler, error) {
	html, err := HTML(roots, logKey, now)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(html)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy(support+"\n"+script)+"; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", tag)
		if r.URL.Query().Has("download") {
			h.Set("Content-Disposition", `attachment; filename="verify.html"`)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(html))
	}), nil
}
