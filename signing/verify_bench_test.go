package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"vanthu/certs-testdata"
	"vanthu/signing/cms"
)

// bulky is a signed paper with an attachment of the given size, and further signatures each in its own revision.
func bulky(tb testing.TB, name certs.Name, size, signatures int) []byte {
	p := newPaper()
	random := make([]byte, size)
	src := rand.NewChaCha8([32]byte{})
	for i := 0; i < size; i += 8 {
		for j, b := 0, src.Uint64(); j < 8 && i+j < size; j, b = j+1, b>>8 {
			random[i+j] = byte(b)
		}
	}
	p.object(18, fmt.Sprintf("<</Length %d>>stream\n%s\nendstream", size, random))
	sign := signedBy(tb, cms.SignRequest{Key: testKey(tb, name)})
	var fields strings.Builder
	fields.WriteString("5 0 R")
	p.sign(5, "ETSI.CAdES.detached", sign)
	for i := 1; i < signatures; i++ {
		num := 20 + 2*i
		fmt.Fprintf(&fields, " %d 0 R", num)
		p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields["+fields.String()+"]/SigFlags 3>>>>")
		p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots["+fields.String()+"]>>")
		p.sign(num, "ETSI.CAdES.detached", sign)
	}
	return p.Bytes()
}

// processorTime is what this process has used of the processors: on a busy machine it says more than the clock does.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkVerify judges a 200 KB file in full and reports the ratio to its primitives, measured in the same run: one
// digest of the file and the raw verifications of signature, leaf and issuer. Both are processor time.
func BenchmarkVerify(b *testing.B) {
	for _, name := range []certs.Name{certs.OfficialEC, certs.OfficialRSA} {
		b.Run(string(name), func(b *testing.B) {
			data := bulky(b, name, 200<<10, 1)
			o := VerifyOptions{Trust: testTrust(b), At: judgedAt()}
			o.Trust.CRLs = nil
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				r, err := VerifyPDF(context.Background(), bytes.NewReader(data), int64(len(data)), o)
				if err != nil || r.Verdict != TotalPassed {
					b.Fatal(err, r)
				}
			}
			whole := float64(processorTime(b)-before) / float64(b.N)
			b.ReportMetric(whole/1e3, "cpu-µs/op")
			raw := rawVerify(b, name, data)
			b.ReportMetric(raw/1e3, "raw-µs/op")
			b.ReportMetric(raw/whole, "of-bound")
		})
	}
}

// rawVerify is the time of one digest and three verifications: of the signature, of the leaf and of its issuer.
func rawVerify(b *testing.B, name certs.Name, data []byte) float64 {
	b.Helper()
	key := testKey(b, name)
	sum := sha256.Sum256(data)
	sig, err := key.Signer.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		b.Fatal(err)
	}
	start := processorTime(b)
	for range b.N {
		sha256.Sum256(data)
		for range 3 {
			switch pub := key.Certificate.PublicKey.(type) {
			case *ecdsa.PublicKey:
				ecdsa.VerifyASN1(pub, sum[:], sig)
			case *rsa.PublicKey:
				_ = rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], sig)
			}
		}
	}
	return float64(processorTime(b)-start) / float64(b.N)
}

// BenchmarkVerifyMany shows that the cost grows with what changed, not with the file times the signatures.
func BenchmarkVerifyMany(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("50MB-%d-signatures", n), func(b *testing.B) {
			data := bulky(b, certs.OfficialEC, 50<<20, n)
			o := VerifyOptions{Trust: testTrust(b), At: judgedAt()}
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := VerifyPDF(context.Background(), bytes.NewReader(data), int64(len(data)), o)
				if err != nil || r.Integrity != Intact || len(r.Signatures) != n {
					b.Fatal(err, strings.Join(r.Signatures[0].Reasons, "; "))
				}
			}
		})
	}
}
