package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	certs "vanthu/certs-testdata"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pdf/pdftest"
	"vanthu/signing/tsa"
)

// scriptFiles are put beside every script: a paper, one changed after it was signed, and the test keys as PKCS#12
// under the passphrase "test".
func scriptFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	var err error
	if files["paper.pdf"], err = loadPDF(40_000); err != nil {
		t.Fatal(err)
	}
	for file, name := range map[string]certs.Name{
		"official.p12": certs.OfficialEC, "rsa.p12": certs.LeaderRSA, "seal.p12": certs.SealEC, "expired.p12": certs.Expired,
	} {
		signer, chain := certs.Identity(t, name)
		key, err := keys.New(signer, chain...)
		if err != nil {
			t.Fatal(err)
		}
		if files[file], err = key.ToPKCS12("test"); err != nil {
			t.Fatal(err)
		}
	}
	signer, chain := certs.Identity(t, certs.OfficialEC)
	key, err := keys.New(signer, chain...)
	if err != nil {
		t.Fatal(err)
	}
	if files["official.pem"], files["official.key"], err = key.ToPEM(); err != nil {
		t.Fatal(err)
	}
	files["official.der"] = key.Certificate.Raw
	var changed bytes.Buffer
	file := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	if err := signing.SignPDF(t.Context(), bytes.NewReader(file), int64(len(file)), &changed, signing.SignOptions{Key: key, Profile: signing.ProfileBB, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	files["changed.pdf"] = pdftest.Append(changed.Bytes(), map[int]string{4: "<</Length 44>>\nstream\nBT /F1 14 Tf 72 700 Td (Something else) Tj ET \nendstream"})
	var roots bytes.Buffer
	for _, root := range certs.Roots(t) {
		if err := pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}); err != nil {
			t.Fatal(err)
		}
	}
	files["root.pem"] = roots.Bytes()
	var crls bytes.Buffer
	for _, der := range certs.CRL(t) {
		if err := pem.Encode(&crls, &pem.Block{Type: "X509 CRL", Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	files["crls.pem"] = crls.Bytes()
	return files
}

func scriptParams(t *testing.T) testscript.Params {
	files := scriptFiles(t)
	return testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			for name, data := range files {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), data, 0o600); err != nil {
					return err
				}
			}
			env.Setenv("SOFTHSM_MODULE", softHSMModule)
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "softhsm" {
				return false, fmt.Errorf("no condition %q", name)
			}
			// Where it is required the script runs, and fails at its first step.
			return haveSoftHSM() == nil || strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "softhsm"), nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":     exits,
			"awaitlock": awaitLock,
			"spoil":     spoil,
			"alter":     alter,
			"softhsm":   softHSM,
			"tsa": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Setenv(args[0], timestamps(t))
			},
		},
	}
}

// timestamps starts a time-stamp authority of the test PKI and gives its address.
func timestamps(t *testing.T) string {
	signer, chain := certs.Identity(t, certs.TSA)
	key, err := keys.New(signer, chain...)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := tsa.NewAuthority(key, tsa.AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(authority)
	t.Cleanup(server.Close)
	return server.URL
}

// exits runs a command and wants its exit code: exits CODE COMMAND [ARG...]. What it printed is there for stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		if _, scanErr := fmt.Sscanf(err.Error(), "exit status %d", &got); scanErr != nil {
			ts.Fatalf("%v", err)
		}
	}
	if got != want {
		ts.Fatalf("exit %d, want %d", got, want)
	}
}

// softHSMModule is where Debian's softhsm2 keeps its PKCS#11 module.
const softHSMModule = "/usr/lib/softhsm/libsofthsm2.so"

func haveSoftHSM() error {
	_, err := os.Stat(softHSMModule)
	for _, tool := range []string{"softhsm2-util", "pkcs11-tool"} {
		_, missing := exec.LookPath(tool)
		err = errors.Join(err, missing)
	}
	return err
}

// softHSM makes an empty folder of tokens and points SoftHSM to it: softhsm DIR.
func softHSM(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(haveSoftHSM())
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	configuration := dir + ".conf"
	ts.Check(os.WriteFile(configuration, []byte("directories.tokendir = "+dir+"\nlog.level = ERROR\n"), 0o600))
	ts.Setenv("SOFTHSM2_CONF", configuration)
}

// awaitLock waits until a hub holds the data folder.
func awaitLock(ts *testscript.TestScript, _ bool, args []string) {
	for range 600 {
		data, err := os.ReadFile(ts.MkAbs(filepath.Join(args[0], "lock")))
		if err == nil && len(bytes.TrimSpace(data)) > 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("nobody locks %s", args[0])
}

// spoil changes one byte of the largest file under a folder, as a bad disk does.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	var victim string
	var size int64
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			victim, size = name, info.Size()
		}
		return err
	}))
	alterByte(ts, victim, size/2)
}

// alter changes one byte of a file at an offset: alter FILE OFFSET.
func alter(ts *testscript.TestScript, _ bool, args []string) {
	at, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	alterByte(ts, ts.MkAbs(args[0]), at)
}

func alterByte(ts *testscript.TestScript, name string, at int64) {
	ts.Check(os.Chmod(name, 0o600))
	data, err := os.ReadFile(name)
	ts.Check(err)
	data[at] ^= 0x01
	ts.Check(os.WriteFile(name, data, 0o600))
}
