package signing_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pdf/pdftest"
	"vanthu/signing/pki"
)

// pyHanko is a Python that has pyHanko; VANTHU_TEST_PYHANKO names it.
func pyHanko(t testing.TB) string {
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

// rootFile writes the test root as PEM.
func rootFile(t testing.TB, k *pkiSet) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.trust.Roots[0].Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// askPyHanko has pyHanko judge files, given as profile and name in turn, at the profile that each claims.
func askPyHanko(t *testing.T, python, root string, files []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	args := append([]string{"testdata/pyhanko_check.py", root}, files...)
	out, err := exec.CommandContext(ctx, python, args...).CombinedOutput()
	if held := strings.Count(string(out), "holds: "); err != nil || 2*held != len(files) {
		t.Errorf("%d of %d files hold, %v\n%s", held, len(files)/2, err, out)
	}
}

// TestPyHankoAgrees has pyHanko judge what we sign in every profile, on every kind of input: by one signer, with an
// elliptic and an RSA key in turn, and by three in a row. Without VANTHU_SCALE it takes few inputs. Where a page has
// annotations that are no objects of their own, pyHanko's difference analysis stops at the next widget that is put there:
// three signers then sign in fields that were placed beforehand, as documents of NĐ 30/2020 are signed, and of B-LTA,
// whose document time stamp has a widget too, it judges none.
func TestPyHankoAgrees(t *testing.T) {
	python, k := pyHanko(t), testKeys(t)
	root, dir := rootFile(t, k), t.TempDir()
	var files []string
	turn := 0
	all := inputs(t)
	for _, name := range sortedNames(all) {
		for _, profile := range profiles() {
			if os.Getenv("VANTHU_SCALE") == "" && !slices.Contains(fewInputs(), name) {
				continue
			}
			first := k.officer
			if turn++; turn%2 == 0 {
				first = k.leader
			}
			file, direct := all[name], strings.Contains(name, "-direct") || name == "linearized-disable"
			if direct && profile == signing.ProfileBLTA {
				continue
			}
			if direct {
				file = placeThree(t, file)
			}
			for i, key := range []*keys.Key{first, k.seal, k.officer} {
				o := signing.SignOptions{Key: key, Profile: profile, At: time.Now()}
				if direct {
					o.Field = placedFields()[i]
				}
				if profile != signing.ProfileBB && profile != signing.ProfileAdobe {
					o.TSA, o.Trust = k.tsa, k.trust
				}
				file = signAndCheck(t, file, o)
				if i == 1 {
					continue
				}
				path := filepath.Join(dir, fmt.Sprintf("%s-%s-%d.pdf", name, profile, i+1))
				if err := os.WriteFile(path, file, 0o600); err != nil {
					t.Fatal(err)
				}
				files = append(files, string(profile), path)
			}
		}
	}
	askPyHanko(t, python, root, files)
	t.Logf("%d files", len(files)/2)
}

// placedFields are the names of fields for three signers.
func placedFields() []string { return []string{"initials", "leader", "seal"} }

// placeThree places them.
func placeThree(t *testing.T, file []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	o := signing.PrepareOptions{At: time.Now()}
	for _, name := range placedFields() {
		o.Fields = append(o.Fields, signing.FieldPlace{Name: name})
	}
	if err := signing.Prepare(context.Background(), bytes.NewReader(file), int64(len(file)), &out, o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func sortedNames(all map[string][]byte) []string {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// BenchmarkAgainstPyHanko judges one file of 200 KB in full, here and by pyHanko in turn, and reports how many times as
// fast this is: the median of the rounds, one to an iteration (-benchtime 9x). Both have the root and no revocation data;
// both are processor time of one thread, with -cpu 1.
func BenchmarkAgainstPyHanko(b *testing.B) {
	python, k := pyHanko(b), testKeys(b)
	for _, c := range []struct {
		name string
		key  *keys.Key
	}{{"P-256", k.officer}, {"RSA-2048", k.leader}} {
		b.Run(c.name, func(b *testing.B) {
			o := signing.SignOptions{Key: c.key, Profile: signing.ProfileBB, At: time.Now()}
			verify := signing.VerifyOptions{Trust: &pki.Trust{Roots: k.trust.Roots}, Offline: true}
			data, _, err := signing.SignAndCheck(context.Background(), pdftest.New(pdftest.Options{Padding: 200 << 10}).Bytes(pdftest.Table), o, verify)
			if err != nil {
				b.Fatal(err)
			}
			root, file := rootFile(b, k), filepath.Join(b.TempDir(), "signed.pdf")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				b.Fatal(err)
			}
			var ours, theirs, times []float64
			for b.Loop() {
				theirs = append(theirs, timePyHanko(b, python, root, file))
				ours = append(ours, timeVerdict(b, data, verify))
				times = append(times, theirs[len(theirs)-1]/ours[len(ours)-1])
			}
			for unit, list := range map[string][]float64{"cpu-µs": ours, "pyhanko-cpu-µs": theirs, "times-pyhanko": times} {
				slices.Sort(list)
				b.ReportMetric(list[len(list)/2], unit)
			}
		})
	}
}

// timePyHanko is the median processor time of 20 verdicts of pyHanko in microseconds.
func timePyHanko(b *testing.B, python, root, file string) float64 {
	b.Helper()
	out, err := exec.CommandContext(b.Context(), python, "testdata/pyhanko_time.py", root, file, "20").Output()
	if err != nil {
		b.Fatal(err, string(out))
	}
	took, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	return took
}

// timeVerdict is the mean processor time of 300 verdicts of ours in microseconds.
func timeVerdict(b *testing.B, data []byte, o signing.VerifyOptions) float64 {
	b.Helper()
	const rounds = 300
	before := processorTime(b)
	for range rounds {
		r, err := signing.VerifyPDF(context.Background(), bytes.NewReader(data), int64(len(data)), o)
		if err != nil || r.Verdict != signing.TotalPassed {
			b.Fatal(err, r)
		}
	}
	return float64((processorTime(b) - before).Microseconds()) / rounds
}

// processorTime is what this process has used of the processors.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
