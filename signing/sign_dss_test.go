package signing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
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

// dssJudgement is what EU DSS says of one signature.
type dssJudgement struct{ File, Format, Indication, Subindication, Messages string }

// dss is the class path of the checker in .ci/dss; VANTHU_TEST_DSS names it.
func dss(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("VANTHU_TEST_DSS"); path != "" {
		return path
	}
	if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "dss") {
		t.Fatal("EU DSS is required, and VANTHU_TEST_DSS names no class path that has it")
	}
	t.Skip("VANTHU_TEST_DSS names no class path with EU DSS")
	return ""
}

// signedForDSS writes what we sign, in every form and level, and gives the arguments of the checker with the format that
// each is to be recognised as.
func signedForDSS(t *testing.T, dir string) map[string]string {
	t.Helper()
	k, want := testKeys(t), map[string]string{}
	content := []byte("Phụ lục kèm theo Quyết định\n")
	write := func(name string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	plain := write("content.txt", content)
	for kind, key := range map[string]*keys.Key{"ec": k.officer, "rsa": k.leader} {
		for profile, level := range map[signing.Profile]string{signing.ProfileBB: "B", signing.ProfileBT: "T", signing.ProfileBLT: "LT", signing.ProfileBLTA: "LTA"} {
			o := signing.SignOptions{Key: key, Profile: profile, TSA: k.tsa, Trust: k.trust, At: time.Now()}
			signed, _, err := signing.SignAndCheck(context.Background(), pdftest.New(pdftest.Options{}).Bytes(pdftest.Table), o, signing.VerifyOptions{Trust: k.trust, Offline: true})
			if err != nil {
				t.Fatal(err)
			}
			want[write(kind+"-"+level+".pdf", signed)] = "PAdES-BASELINE-" + level
			detached := signing.DetachedOptions{Level: "B-" + level, TSA: k.tsa, Trust: k.trust, At: time.Now()}
			der, err := signing.SignDetached(context.Background(), bytes.NewReader(content), key, detached)
			if err != nil {
				t.Fatal(err)
			}
			want[write(kind+"-"+level+".p7s", der)+"::"+plain] = "CAdES-BASELINE-" + level
			var container bytes.Buffer
			files := []signing.ContainerFile{{Name: "phu-luc.txt", Content: bytes.NewReader(content), Size: int64(len(content))}}
			if err := signing.SignContainer(context.Background(), &container, files, key, detached); err != nil {
				t.Fatal(err)
			}
			want[write(kind+"-"+level+".asice", container.Bytes())] = "CAdES-BASELINE-" + level
		}
	}
	return want
}

// TestDSSAccepts has EU DSS judge what we sign: PAdES, CAdES and ASiC-E with CAdES at every level, by elliptic and RSA
// keys, each at the level claimed; and refuse the same with one byte of the content changed.
func TestDSSAccepts(t *testing.T) {
	path, dir := dss(t), t.TempDir()
	want := signedForDSS(t, dir)
	args := []string{"-cp", path, "DssCheck"}
	for _, root := range certs.Roots(t) {
		args = append(args, "--root", save(t, "root.der", root.Raw))
	}
	for _, list := range certs.CRL(t) {
		args = append(args, "--crl", save(t, "list.crl", list))
	}
	for file := range want {
		args = append(args, file)
	}
	altered, err := os.ReadFile(filepath.Join(dir, "ec-T.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	altered[12] ^= 1
	bad := save(t, "altered.pdf", altered)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var problems bytes.Buffer
	command := exec.CommandContext(ctx, "java", append(args, bad)...)
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, problems.Bytes())
	}
	judged := map[string]dssJudgement{}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var j dssJudgement
		if err := decoder.Decode(&j); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		judged[j.File] = j
	}
	for file, format := range want {
		if j := judged[file]; j.Indication != "TOTAL_PASSED" || j.Format != format {
			t.Errorf("%s: %s %s at %q, want %s; %s", filepath.Base(file), j.Indication, j.Subindication, j.Format, format, j.Messages)
		}
	}
	if j := judged[bad]; j.Indication != "TOTAL_FAILED" || j.Subindication != "HASH_FAILURE" {
		t.Errorf("altered: %+v", j)
	}
}
