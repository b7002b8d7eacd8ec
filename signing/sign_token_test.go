package signing_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pdf/pdftest"
)

// softHSMModule is where Debian's softhsm2 keeps its PKCS#11 module.
const softHSMModule = "/usr/lib/softhsm/libsofthsm2.so"

// softHSM makes a token with an elliptic and an RSA key of the test PKI and opens it.
func softHSM(t *testing.T) *keys.Token {
	t.Helper()
	_, err := os.Stat(softHSMModule)
	_, err2 := exec.LookPath("softhsm2-util")
	if err != nil || err2 != nil {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "softhsm") {
			t.Fatal("SoftHSM2 is required and missing")
		}
		t.Skip("SoftHSM2 is not installed")
	}
	dir := t.TempDir()
	configuration := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(configuration, []byte("directories.tokendir = "+dir+"\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", configuration) // read by the module once: this is the only test of the package that loads it
	const pin = "98765432"
	run(t, "softhsm2-util", "--init-token", "--free", "--label", "văn thư", "--pin", pin, "--so-pin", "12345678")
	o := keys.TokenOptions{Module: softHSMModule, Label: "văn thư", PIN: pin}
	for id, name := range map[string]certs.Name{"01": certs.OfficialEC, "02": certs.LeaderRSA} {
		_, key := certs.PEM(t, name)
		file := filepath.Join(dir, "key.pem")
		if err := os.WriteFile(file, key, 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "softhsm2-util", "--import", file, "--token", "văn thư", "--label", string(name), "--id", id, "--pin", pin)
		certificates := identity(t, name).Certificates()
		if name == certs.OfficialEC {
			o.Certificates = append(o.Certificates, certificates...)
			continue
		}
		der := filepath.Join(dir, "cert.der")
		if err := os.WriteFile(der, certificates[0].Raw, 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "pkcs11-tool", "--module", softHSMModule, "--token-label", "văn thư", "--login", "--pin", pin, "--write-object", der, "--type", "cert", "--id", id)
		o.Certificates = append(o.Certificates, certificates[1:]...)
	}
	token, err := keys.OpenToken(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := token.Close(); err != nil {
			t.Error(err)
		}
	})
	return token
}

// TestSoftHSMSigns signs in every profile with keys that stay in a token; our validator, pdfsig, qpdf and openssl judge.
func TestSoftHSMSigns(t *testing.T) {
	token, k := softHSM(t), testKeys(t)
	for _, name := range []certs.Name{certs.OfficialEC, certs.LeaderRSA} {
		key, err := token.Key(string(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, profile := range profiles() {
			t.Run(string(name)+"/"+string(profile), func(t *testing.T) {
				o := signing.SignOptions{Key: key, Profile: profile, TSA: k.tsa, Trust: k.trust, At: time.Now(), Reason: "Ký bằng thiết bị"}
				signed, report, err := signing.SignAndCheck(context.Background(), pdftest.New(pdftest.Options{}).Bytes(pdftest.Table), o, signing.VerifyOptions{Trust: k.trust, Offline: true})
				if err != nil {
					t.Fatal(err)
				}
				if report.Verdict != signing.TotalPassed {
					t.Errorf("%s: %v", report.Verdict, report.Signatures[0].Reasons)
				}
				checkOutside(t, signed, 1, profile)
			})
		}
	}
}
