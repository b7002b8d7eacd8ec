package signing_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/signing"
	"vanthu/signing/keys"
)

const mailEntity = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nKính gửi Sở Nội vụ,\n--vanthu\nVăn bản kèm theo.\n"

// TestSignedMessage is signed by us and judged by openssl and by us, also after changes.
func TestSignedMessage(t *testing.T) {
	k := testKeys(t)
	v := signing.VerifyOptions{Trust: k.trust, Offline: true}
	for kind, key := range map[string]*keys.Key{"P-256": k.officer, "RSA-2048": k.leader} {
		message, err := signing.SignMessage(context.Background(), []byte(mailEntity), key, signing.DetachedOptions{TSA: k.tsa})
		if err != nil {
			t.Fatal(err)
		}
		message = append([]byte("From: a@example.gov.vn\r\nSubject: thu\r\n"), message...)
		if out := run(t, "openssl", "cms", "-verify", "-in", save(t, "mail.eml", message), "-noverify", "-out", os.DevNull); !strings.Contains(out, "successful") {
			t.Errorf("%s: %s", kind, out)
		}
		for name, change := range map[string]func([]byte) []byte{
			"as it is":  func(b []byte) []byte { return b },
			"line ends": func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) },
			"with a preamble": func(b []byte) []byte {
				return bytes.Replace(b, []byte("\r\n\r\n"), []byte("\r\n\r\nnot for people\r\n"), 1)
			},
		} {
			report, entity, err := signing.VerifyMessage(context.Background(), bytes.NewReader(change(message)), v)
			if err != nil || report.Verdict != signing.TotalPassed || string(entity) != strings.ReplaceAll(mailEntity, "\n", "\r\n") {
				t.Errorf("%s, %s: %v, %+v, %q", kind, name, err, report, entity)
			}
		}
		changed := bytes.Replace(message, []byte("kèm theo"), []byte("kèm thêm"), 1)
		if report, _, err := signing.VerifyMessage(context.Background(), bytes.NewReader(changed), v); err != nil || report.Verdict != signing.TotalFailed {
			t.Errorf("%s, changed: %v, %+v", kind, err, report)
		}
	}
	for name, text := range map[string]string{
		"plain":       "Content-Type: text/plain\r\n\r\nhello",
		"no boundary": "Content-Type: multipart/signed\r\n\r\nhello",
		"no end":      "Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\na\r\n--x\r\n",
		"three parts": "Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\na\r\n--x\r\nb\r\n--x\r\nc\r\n--x--\r\n",
		"no type":     "Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\na\r\n--x\r\n\r\nb\r\n--x--\r\n",
		"no message":  "",
	} {
		if _, _, err := signing.VerifyMessage(context.Background(), strings.NewReader(text), v); !errors.Is(err, signing.ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// encryptionKey is an RSA key with a certificate for encryption.
func encryptionKey(t *testing.T) *keys.Key {
	t.Helper()
	signer, _ := certs.Identity(t, certs.LeaderRSA)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Mã hóa", Organization: []string{"TEST ONLY"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageKeyEncipherment}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	k, err := keys.New(signer, c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestEncryptedMessage goes to an RSA recipient and back; what cannot be done safely is refused before.
func TestEncryptedMessage(t *testing.T) {
	key := encryptionKey(t)
	message, err := signing.EncryptMessage([]byte(mailEntity), []*x509.Certificate{key.Certificate})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(message, []byte("Nội vụ")) {
		t.Error("the text is readable")
	}
	want := strings.ReplaceAll(mailEntity, "\n", "\r\n")
	got, err := signing.DecryptMessage(context.Background(), bytes.NewReader(message), key)
	if err != nil || string(got) != want {
		t.Errorf("%v, %q", err, got)
	}
	certPEM, keyPEM, err := key.ToPEM()
	if err != nil {
		t.Fatal(err)
	}
	file := save(t, "mail.eml", message)
	if out := run(t, "openssl", "cms", "-decrypt", "-in", file, "-recip", save(t, "c.pem", certPEM), "-inkey", save(t, "k.pem", keyPEM)); !strings.Contains(out, "Văn bản kèm theo.") {
		t.Errorf("openssl reads %q", out)
	}
	if out := run(t, "openssl", "cms", "-cmsout", "-print", "-in", file); !strings.Contains(out, "aes-256-cbc") {
		t.Error("not AES-256:", out)
	}
	k := testKeys(t)
	for name, recipients := range map[string][]*x509.Certificate{"nobody": nil, "EC": {k.officer.Certificate}, "one of two EC": {key.Certificate, k.officer.Certificate}, "for signatures": {k.leader.Certificate}} {
		if _, err := signing.EncryptMessage([]byte(mailEntity), recipients); !errors.Is(err, signing.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		message []byte
		key     *keys.Key
		want    error
	}{
		"another key": {message, k.seal, signing.ErrMessage},
		"EC key":      {message, k.officer, signing.ErrUnsupported},
		"no envelope": {[]byte("Content-Type: text/plain\r\n\r\nx"), key, signing.ErrMessage},
		"garbage":     {[]byte("Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nAAAA"), key, signing.ErrMessage},
	} {
		if _, err := signing.DecryptMessage(context.Background(), bytes.NewReader(c.message), c.key); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
