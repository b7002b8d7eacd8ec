package cms

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	certs "vanthu/certs-testdata"
	"vanthu/signing/keys"
)

func envelopeKey(t *testing.T, name certs.Name) *keys.Key {
	t.Helper()
	signer, chain := certs.Identity(t, name)
	k, err := keys.New(signer, chain...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestEnvelope(t *testing.T) {
	rsaKey, ecKey, stranger := envelopeKey(t, certs.SealRSA), envelopeKey(t, certs.SealEC), envelopeKey(t, certs.SealSecond)
	content := []byte("khóa nội dung 0123456789abcdef")
	der, err := Envelop(content, rsaKey.Certificate, ecKey.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(der, content) {
		t.Fatal("the content stands in the envelope")
	}
	for _, k := range []*keys.Key{rsaKey, ecKey} {
		got, err := OpenEnvelope(der, k)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %q, %v", k.Certificate.Subject.CommonName, got, err)
		}
	}
	if _, err := OpenEnvelope(der, stranger); !errors.Is(err, ErrSealed) {
		t.Errorf("a stranger opens it: %v", err)
	}
	for i := range der { // whatever is altered, nothing comes out
		bad := bytes.Clone(der)
		bad[i] ^= 1
		got, err := OpenEnvelope(bad, ecKey)
		if err == nil && !bytes.Equal(got, content) {
			t.Fatalf("octet %d altered: %q", i, got)
		}
	}
	if _, err := Envelop(content); err == nil {
		t.Error("an envelope for nobody")
	}
	if _, err := Envelop(content, envelopeKey(t, certs.WeakKey).Certificate); err == nil {
		t.Error("an envelope for a weak key")
	}
}

// TestEnvelopeOpenSSL lets another program open what Envelop makes.
func TestEnvelopeOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "openssl") {
			t.Fatal(err)
		}
		t.Skip("no openssl here")
	}
	for _, name := range []certs.Name{certs.SealRSA, certs.SealEC} {
		k := envelopeKey(t, name)
		der, err := Envelop([]byte("nội dung"), k.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		certPEM, keyPEM, err := k.ToPEM()
		if err != nil {
			t.Fatal(err)
		}
		for file, data := range map[string][]byte{"in": der, "cert": certPEM, "key": keyPEM} {
			if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(openssl, "cms", "-decrypt", "-inform", "DER", "-in", "in", "-recip", "cert", "-inkey", "key")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != "nội dung" {
			t.Errorf("%s: openssl says %q, %v", name, out, err)
		}
	}
}

func FuzzOpenEnvelope(f *testing.F) {
	signer, chain := certs.Identity(f, certs.SealEC)
	k, err := keys.New(signer, chain...)
	if err != nil {
		f.Fatal(err)
	}
	der, err := Envelop([]byte("x"), []*x509.Certificate{k.Certificate}...)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := OpenEnvelope(data, k); err != nil && !errors.Is(err, ErrSealed) {
			t.Fatalf("another error: %v", err)
		}
	})
}
