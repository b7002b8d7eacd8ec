package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	certs "vanthu/certs-testdata"
	"vanthu/exchange/receipt"
	"vanthu/exchange/registry"
)

// TestSignerOption: --signer names a certificate by file, PEM or DER, or by its digest.
func TestSignerOption(t *testing.T) {
	c := certs.Certificate(t, certs.SealSecond)
	fingerprint := registry.Fingerprint(c)
	text, _ := certs.PEM(t, certs.SealSecond)
	want := receipt.Identity{Agency: "H03", Fingerprint: fingerprint}
	dir := t.TempDir()
	pemFile, derFile := filepath.Join(dir, "a.pem"), filepath.Join(dir, "a.cer")
	for name, data := range map[string][]byte{pemFile: text, derFile: c.Raw} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := identities([]string{"H03=" + pemFile, "H03=" + derFile, "H03=" + strings.ToUpper(fingerprint)})
	if err != nil || !slices.Equal(got, []receipt.Identity{want, want, want}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "H03", "=" + pemFile, "H03=" + filepath.Join(dir, "none"), "H03=abcd"} {
		if got, err := identities([]string{bad}); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}
