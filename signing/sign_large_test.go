package signing_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pdf/pdftest"
)

// What may be allocated in all, beside the file, to sign a file and to judge it. It bounds what is held at any moment,
// and does not depend on when memory is given back.
const (
	maxSigning = 32 << 20
	maxJudging = 128 << 20
)

// allocated is how many bytes work allocates.
func allocated(work func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// TestLargeFile has three signers in a row sign a file on disk into another: little is allocated whatever the size, and
// all others agree. It is 50 MB with VANTHU_SCALE and 2 MB without.
func TestLargeFile(t *testing.T) {
	size := 2 << 20
	if os.Getenv("VANTHU_SCALE") != "" {
		size = 50 << 20
	}
	k := testKeys(t)
	for _, c := range []struct {
		form    pdftest.Form
		profile signing.Profile
	}{{pdftest.Table, signing.ProfileBLTA}, {pdftest.ObjectStreams, signing.ProfileBB}} {
		t.Run(string(c.form)+"/"+string(c.profile), func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "0.pdf")
			if err := os.WriteFile(name, pdftest.New(pdftest.Options{Padding: size, Tagged: true}).Bytes(c.form), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, key := range []*keys.Key{k.officer, k.leader, k.seal} {
				o := signing.SignOptions{Key: key, Profile: c.profile, TSA: k.tsa, Trust: k.trust, At: time.Now()}
				name = signLarge(t, name, o)
				judgeLarge(t, name, signing.VerifyOptions{Trust: k.trust, Offline: true})
			}
			if os.Getenv("VANTHU_TEST_PYHANKO") != "" {
				askPyHanko(t, pyHanko(t), rootFile(t, k), []string{string(c.profile), name})
			}
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			checkOutside(t, data, 3, c.profile)
		})
	}
}

// signLarge signs a file into the next one.
func signLarge(t *testing.T, name string, o signing.SignOptions) string {
	t.Helper()
	in, size := openLarge(t, name)
	out, err := os.Create(name + ".signed")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	took := allocated(func() { err = signing.SignPDF(context.Background(), in, size, out, o) })
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d KiB signed with %d KiB allocated", size>>10, took>>10)
	if took > maxSigning {
		t.Errorf("signing %d bytes allocated %d", size, took)
	}
	return out.Name()
}

// judgeLarge wants every signature of a file to pass.
func judgeLarge(t *testing.T, name string, o signing.VerifyOptions) {
	t.Helper()
	in, size := openLarge(t, name)
	var report *signing.Report
	var err error
	took := allocated(func() { report, err = signing.VerifyPDF(context.Background(), in, size, o) })
	if err != nil || report.Verdict != signing.TotalPassed {
		t.Fatalf("%v, %+v", err, report)
	}
	t.Logf("%d KiB with %d signatures judged with %d KiB allocated", size>>10, len(report.Signatures), took>>10)
	if took > maxJudging {
		t.Errorf("judging %d bytes allocated %d", size, took)
	}
}

func openLarge(t *testing.T, name string) (io.ReaderAt, int64) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return file, info.Size()
}
