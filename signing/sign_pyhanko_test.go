package signing_test

import (
	"context"
	"encoding/pem"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pdf/pdftest"
)

// pyHanko is a Python that has pyHanko; VANTHU_TEST_PYHANKO names it.
func pyHanko(t *testing.T) string {
	t.Helper()
	if python := os.Getenv("VANTHU_TEST_PYHANKO"); python != "" {
		return python
	}
	if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "pyhanko") {
		t.Fatal("pyHanko is required, and VANTHU_TEST_PYHANKO names no Python that has it")
	}
	t.Skip("VANTHU_TEST_PYHANKO names no Python with pyHanko")
	return ""
}

// TestPyHankoAgrees has pyHanko judge what we sign in every profile, by elliptic and RSA keys, at the profile claimed.
func TestPyHankoAgrees(t *testing.T) {
	python, k := pyHanko(t), testKeys(t)
	root := save(t, "root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.trust.Roots[0].Raw}))
	file := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	for _, profile := range profiles() {
		for name, key := range map[string]*keys.Key{"P-256": k.officer, "RSA": k.leader} {
			t.Run(string(profile)+"/"+name, func(t *testing.T) {
				o := signing.SignOptions{Key: key, Profile: profile, TSA: k.tsa, Trust: k.trust, At: time.Now()}
				signed, _, err := signing.SignAndCheck(context.Background(), file, o, signing.VerifyOptions{Trust: k.trust, Offline: true})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
				defer cancel()
				out, err := exec.CommandContext(ctx, python, "testdata/pyhanko_check.py", string(profile), root, save(t, "signed.pdf", signed)).CombinedOutput()
				if err != nil || !strings.Contains(string(out), "holds: "+string(profile)) {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}
