package signing_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"vanthu/signing"
	"vanthu/signing/pdf"
	"vanthu/signing/pdf/pdftest"
	"vanthu/signing/stamp"
)

// benchmarkSign signs a 200 KB file and reports what part of the speed of its primitives it reaches: one SHA-256 of the
// signed bytes as they stand in the signed file, and one raw signature. The two take turns, so that what else the machine
// does weighs on both alike; what is compared is the median of processor time, of one thread with -cpu 1.
func benchmarkSign(b *testing.B, profile signing.Profile, kind string) {
	k := testKeys(b)
	key := k.officer
	if kind == "RSA-2048" {
		key = k.leader
	}
	data := pdftest.New(pdftest.Options{Padding: 200 << 10}).Bytes(pdftest.Table)
	o := signing.SignOptions{Key: key, Profile: profile, At: time.Now()}
	var out bytes.Buffer
	if err := signing.SignPDF(context.Background(), bytes.NewReader(data), int64(len(data)), &out, o); err != nil {
		b.Fatal(err)
	}
	signed := signedBytes(b, out.Bytes())
	var whole, raw []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		start := processorTime(b)
		if err := signing.SignPDF(context.Background(), bytes.NewReader(data), int64(len(data)), &out, o); err != nil {
			b.Fatal(err)
		}
		middle := processorTime(b)
		sum := sha256.Sum256(signed)
		if _, err := key.Signer.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
		whole, raw = append(whole, middle-start), append(raw, processorTime(b)-middle)
	}
	slices.Sort(whole)
	slices.Sort(raw)
	w, r := float64(whole[len(whole)/2]), float64(raw[len(raw)/2])
	b.ReportMetric(w/1e3, "sign-µs")
	b.ReportMetric(r/1e3, "raw-µs")
	b.ReportMetric(r/w, "of-bound")
	b.ReportMetric(float64(out.Len()-len(data)), "appended-B")
}

// signedBytes joins what the one ByteRange of a file covers.
func signedBytes(tb testing.TB, file []byte) []byte {
	tb.Helper()
	f, err := pdf.Open(bytes.NewReader(file), int64(len(file)), pdf.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	fields, err := f.Signatures()
	if err != nil || len(fields) != 1 {
		tb.Fatal(err, len(fields))
	}
	br := fields[0].ByteRange
	return slices.Concat(file[:br[1]], file[br[2]:br[2]+br[3]])
}

// TestSignNeedsLittleMemory signs 50 MB from a file into a file: what is allocated in all, let alone held, must
// not grow with the file.
func TestSignNeedsLittleMemory(t *testing.T) {
	k := testKeys(t)
	in, err := os.Create(filepath.Join(t.TempDir(), "in.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if _, err := in.Write(pdftest.New(pdftest.Options{Padding: 50 << 20}).Bytes(pdftest.Table)); err != nil {
		t.Fatal(err)
	}
	info, err := in.Stat()
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "out.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	o := signing.SignOptions{Key: k.officer, Profile: signing.ProfileBT, TSA: k.tsa, At: time.Now(),
		Rect: &stamp.RectMM{X: 100, Y: 200, W: 50, H: 20}, Appearance: &stamp.Appearance{Lines: []string{"Ủy ban nhân dân"}}}
	start := time.Now()
	if err := signing.SignPDF(context.Background(), in, info.Size(), out, o); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d MB signed in %v with %d KiB allocated", info.Size()>>20, took.Round(time.Millisecond), allocated>>10)
	if allocated > 16<<20 {
		t.Errorf("%d bytes were allocated", allocated)
	}
	signed, err := out.Stat()
	if err != nil {
		t.Fatal(err)
	}
	report, err := signing.VerifyPDF(context.Background(), out, signed.Size(), signing.VerifyOptions{Trust: k.trust, Offline: true})
	if err != nil || report.Verdict != signing.TotalPassed {
		t.Errorf("%v, %+v", err, report)
	}
}
