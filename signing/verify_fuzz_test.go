package signing

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"vanthu/certs-testdata"
	"vanthu/signing/cms"
	"vanthu/signing/pdf"
)

// FuzzVerify judges any bytes: no panic, no hang, and nothing but an untouched file passes.
func FuzzVerify(f *testing.F) {
	// The signature value is outside the signed bytes; RSA makes the rest the same in every process.
	original := good(f, certs.OfficialRSA).Bytes()
	from := bytes.Index(original, []byte("/Contents <30")) + len("/Contents ")
	to := from + bytes.IndexByte(original[from:], '>') + 1
	f.Add(original)
	p := newPaper()
	p.sign(5, "ETSI.CAdES.detached", signedBy(f, cms.SignRequest{Key: testKey(f, certs.Expired)}))
	p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 7 0 R]/SigFlags 3>>>>")
	p.sign(7, "ETSI.RFC3161", documentStamp(f, certs.TSA, judgedAt()))
	f.Add(p.Bytes())
	trust := testTrust(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // it also runs behind other work
		defer cancel()
		o := VerifyOptions{Trust: trust, At: judgedAt(), MaxSize: 1 << 20}
		report, err := VerifyPDF(ctx, bytes.NewReader(data), int64(len(data)), o)
		if ctx.Err() != nil {
			t.Fatal("too slow")
		}
		var e *pdf.Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Errorf("error %v", err)
			}
			return
		}
		report.Sentence("vi")
		// The signed bytes cannot be forged; only what follows them may differ in a file that passes.
		if report.Verdict == TotalPassed && (len(data) < len(original) || !bytes.Equal(data[:from], original[:from]) ||
			!bytes.Equal(data[to:len(original)], original[to:])) {
			t.Errorf("a changed file passes: %+v", report)
		}
	})
}
