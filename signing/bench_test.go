package signing_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"vanthu/signing"
	"vanthu/signing/pdf/pdftest"
)

// benchmarkSign signs a 200 KB file and reports the ratio to its primitives, hashing the file and one raw
// signature, measured in the same run.
func benchmarkSign(b *testing.B, profile signing.Profile, kind string) {
	k := testKeys(b)
	key := k.officer
	if kind == "RSA-2048" {
		key = k.leader
	}
	data := pdftest.New(pdftest.Options{Padding: 200 << 10}).Bytes(pdftest.Table)
	o := signing.SignOptions{Key: key, Profile: profile, At: time.Now()}
	var out bytes.Buffer
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := signing.SignPDF(context.Background(), bytes.NewReader(data), int64(len(data)), &out, o); err != nil {
			b.Fatal(err)
		}
	}
	whole := float64(b.Elapsed()) / float64(b.N)
	start := time.Now()
	for range b.N {
		sum := sha256.Sum256(data)
		if _, err := key.Signer.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
	raw := float64(time.Since(start)) / float64(b.N)
	b.ReportMetric(raw/1e3, "raw-µs/op")
	b.ReportMetric(whole/raw, "x-of-raw")
	b.ReportMetric(float64(out.Len()-len(data)), "appended-B")
}
