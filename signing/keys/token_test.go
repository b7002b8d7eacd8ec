package keys

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	certs "vanthu/certs-testdata"
	"vanthu/signing/keys/cryptoki"
)

const testPIN = "98765432"

// softHSM is the module of SoftHSM2 with a token folder of this process, "" where it is not installed.
func softHSM(t *testing.T) string {
	t.Helper()
	var module string
	for _, name := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so",
		"/opt/homebrew/lib/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(name); err == nil {
			module = name
		}
	}
	for _, tool := range []string{"softhsm2-util", "pkcs11-tool"} {
		if _, err := exec.LookPath(tool); err != nil {
			module = ""
		}
	}
	if module != "" {
		return module
	}
	if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "softhsm") {
		t.Fatal("SoftHSM2 or pkcs11-tool is required and missing")
	}
	t.Skip("SoftHSM2 or pkcs11-tool is not installed")
	return ""
}

// TestMain gives SoftHSM a folder of its own: the module reads its configuration once in a process.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "softhsm")
	if err != nil {
		panic(err)
	}
	configuration := filepath.Join(dir, "softhsm2.conf")
	err = errors.Join(os.Mkdir(filepath.Join(dir, "tokens"), 0o700),
		os.WriteFile(configuration, []byte("directories.tokendir = "+filepath.Join(dir, "tokens")+"\nlog.level = ERROR\n"), 0o600),
		os.Setenv("SOFTHSM2_CONF", configuration))
	if err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// softTokens are the tokens of all tests here, made before the module is loaded: SoftHSM does not see later ones.
func softTokens() map[string][]certs.Name {
	return map[string][]certs.Name{
		"two": {certs.OfficialEC, certs.LeaderRSA}, "parallel": {certs.OfficialEC}, "back": {certs.OfficialEC}, "removed": {certs.OfficialEC},
		"pin": nil, "bare": nil, "hidden": {certs.OfficialEC},
	}
}

var makeTokens sync.Once

// softToken gives the module and sees that the tokens are there.
func softToken(t *testing.T) (module string) {
	t.Helper()
	module = softHSM(t)
	makeTokens.Do(func() {
		for label, names := range softTokens() {
			tool(t, "softhsm2-util", "--init-token", "--free", "--label", label, "--pin", testPIN, "--so-pin", "12345678")
			for i, name := range names {
				addKey(t, module, label, name, fmt.Sprintf("%02x", i+1), true)
			}
		}
		addKey(t, module, "bare", certs.SealEC, "07", false)
	})
	return module
}

func addKey(t *testing.T, module, label string, name certs.Name, id string, certificate bool) {
	t.Helper()
	dir := t.TempDir()
	_, key := certs.PEM(t, name)
	file := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "softhsm2-util", "--import", file, "--token", label, "--label", string(name), "--id", id, "--pin", testPIN)
	if !certificate {
		return
	}
	for _, c := range identity(t, name).Certificates() {
		der := filepath.Join(dir, "cert.der")
		if err := os.WriteFile(der, c.Raw, 0o600); err != nil {
			t.Fatal(err)
		}
		tool(t, "pkcs11-tool", "--module", module, "--token-label", label, "--login", "--pin", testPIN,
			"--write-object", der, "--type", "cert", "--id", id, "--label", string(name))
		id = "f" + id[1:] // the issuer, beside it
	}
}

func openToken(t *testing.T, o TokenOptions) *Token {
	t.Helper()
	if o.PIN == "" {
		o.PIN = testPIN
	}
	token, err := OpenToken(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := token.Close(); err != nil {
			t.Errorf("closing the token: %v", err)
		}
	})
	return token
}

func TestTokenSigns(t *testing.T) {
	module, label := softToken(t), "two"
	token := openToken(t, TokenOptions{Module: module, Label: label})
	keys, err := token.Keys()
	if err != nil || len(keys) != 2 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for _, name := range []certs.Name{certs.OfficialEC, certs.LeaderRSA} {
		key, err := token.Key(string(name))
		if err != nil {
			t.Fatal(err)
		}
		want := identity(t, name)
		if !key.Certificate.Equal(want.Certificate) || len(key.Chain) != 1 || !key.Chain[0].Equal(want.Chain[0]) {
			t.Errorf("%s: certificate %q, chain of %d", name, key.Certificate.Subject.CommonName, len(key.Chain))
		}
		options := []crypto.SignerOpts{crypto.SHA256, crypto.SHA384, crypto.SHA512}
		if name == certs.LeaderRSA {
			options = append(options, &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: rsa.PSSSaltLengthEqualsHash}, &rsa.PSSOptions{Hash: crypto.SHA512, SaltLength: 20})
		}
		for _, o := range options {
			h := o.HashFunc().New()
			h.Write([]byte("văn bản"))
			digest := h.Sum(nil)
			value, err := key.Signer.Sign(rand.Reader, digest, o)
			if err != nil {
				t.Errorf("%s, %v: %v", name, o, err)
				continue
			}
			if !Verifies(want.Certificate.PublicKey, digest, o, value) {
				t.Errorf("%s, %v: the value does not verify", name, o)
			}
		}
		if _, err := key.Signer.Sign(rand.Reader, []byte("short"), crypto.SHA256); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: a digest of five bytes: %v", name, err)
		}
		if _, err := key.ToPKCS12("x"); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: exported: %v", name, err)
		}
	}
	if _, err := token.Key(""); !errors.Is(err, ErrToken) {
		t.Errorf("one of two keys without a label: %v", err)
	}
	if _, err := token.Key("nobody"); !errors.Is(err, ErrNoKey) {
		t.Errorf("a key that is not there: %v", err)
	}
}

// TestTokenSignsInParallel makes more signatures at a time than there are sessions.
func TestTokenSignsInParallel(t *testing.T) {
	module, label := softToken(t), "parallel"
	token := openToken(t, TokenOptions{Module: module, Label: label, Sessions: 3})
	key, err := token.Key("")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			digest := sha256.Sum256([]byte{byte(i)})
			if _, err := key.Signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(token.idle); n == 0 || n > 3 {
		t.Errorf("%d sessions kept, want 1 to 3", n)
	}
}

// TestTokenComesBack: closing every session of the process is what pulling a token out and plugging it in does, the
// log-in included.
func TestTokenComesBack(t *testing.T) {
	module, label := softToken(t), "back"
	token := openToken(t, TokenOptions{Module: module, Label: label})
	key, err := token.Key("")
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("x"))
	for range 3 {
		if _, err := key.Signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			t.Fatal(err)
		}
		if err := token.module.CloseAll(token.token.Slot); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := token.Keys(); err != nil {
		t.Errorf("listing after a removal: %v", err)
	}
	if token.generation < 3 {
		t.Errorf("logged in %d times", token.generation)
	}
}

func TestTokenRemoved(t *testing.T) {
	module, label := softToken(t), "removed"
	token := openToken(t, TokenOptions{Module: module, Label: label})
	key, err := token.Key("")
	if err != nil {
		t.Fatal(err)
	}
	tool(t, "softhsm2-util", "--delete-token", "--token", label)
	digest := sha256.Sum256([]byte("x"))
	if _, err := key.Signer.Sign(rand.Reader, digest[:], crypto.SHA256); !errors.Is(err, ErrTokenGone) && !errors.Is(err, ErrToken) {
		t.Errorf("a token that was removed: %v", err)
	} else {
		t.Log(err)
	}
}

// TestTokenWrongPIN: one refusal is the last, since tokens lock themselves.
func TestTokenWrongPIN(t *testing.T) {
	module, label := softToken(t), "pin"
	if _, err := OpenToken(TokenOptions{Module: module, Label: label, PIN: "00000000"}); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong PIN: %v", err)
	}
	token := &Token{refused: pinError("x", cryptoki.ErrPIN)}
	if err := token.connect(0); !errors.Is(err, ErrPassphrase) {
		t.Errorf("after a refusal: %v", err)
	}
	if err := pinError("x", cryptoki.ErrPINLocked); !errors.Is(err, ErrPINLocked) {
		t.Errorf("locked: %v", err)
	}
	if _, err := OpenToken(TokenOptions{Module: module, Label: "no such token", PIN: testPIN}); !errors.Is(err, ErrToken) {
		t.Errorf("no such token: %v", err)
	}
}

// TestTokenCertificateFromOutside: many HSMs hold keys without certificates.
func TestTokenCertificateFromOutside(t *testing.T) {
	module, label := softToken(t), "bare"
	token := openToken(t, TokenOptions{Module: module, Label: label})
	if _, err := token.Key(""); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("without a certificate: %v", err)
	}
	certificates := identity(t, certs.SealEC).Certificates()
	key, err := openToken(t, TokenOptions{Module: module, Label: label, Certificates: certificates}).Key("")
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("x"))
	if _, err := key.Signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		t.Error(err)
	}
	// A certificate of another key is found out by the first signature.
	key, err = openToken(t, TokenOptions{Module: module, Label: label, Certificates: identity(t, certs.OfficialEC).Certificates()}).Key("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Signer.Sign(rand.Reader, digest[:], crypto.SHA256); !errors.Is(err, ErrToken) {
		t.Errorf("with another's certificate: %v", err)
	}
}

// TestTokenHidesPIN prints a token in every way that a careless log line would.
func TestTokenHidesPIN(t *testing.T) {
	module, label := softToken(t), "hidden"
	token := openToken(t, TokenOptions{Module: module, Label: label})
	key, err := token.Key("")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("token", slog.Any("token", token))
	digits := strings.Trim(fmt.Sprintf("%d", []byte(testPIN)), "[]")
	for _, text := range []string{log.String(), fmt.Sprintf("%v %+v %#v", token, token, token), fmt.Sprintf("%+v %#v", key, key), fmt.Sprintf("%#v", key.Signer)} {
		if strings.Contains(text, testPIN) || strings.Contains(text, digits) || strings.Contains(text, fmt.Sprintf("%#v", []byte(testPIN))) {
			t.Errorf("the PIN shows in %.200s", text)
		}
	}
}

func TestOpenTokenRefusesOtherLibraries(t *testing.T) {
	file := filepath.Join(t.TempDir(), "not-a-module.so")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "X"}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{file, "no-such-module.so", ""} {
		if _, err := OpenToken(TokenOptions{Module: module, PIN: testPIN}); !errors.Is(err, ErrToken) {
			t.Errorf("%q: %v", module, err)
		}
	}
}
