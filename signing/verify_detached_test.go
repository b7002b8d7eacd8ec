package signing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"vanthu/certs-testdata"
	"vanthu/signing/cms"
)

func TestVerifyDetached(t *testing.T) {
	content := []byte("a receipt")
	sum := sha256.Sum256(content)
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	der := signedBy(t, cms.SignRequest{Key: testKey(t, certs.SealEC), UnsignedAttributes: stamper(t, certs.TSA, at)})(sum[:])
	options := VerifyOptions{Trust: testTrust(t), At: judgedAt()}
	verify := func(content, der []byte, o VerifyOptions) (*Report, error) {
		return VerifyDetached(context.Background(), bytes.NewReader(content), der, o)
	}
	r, err := verify(content, der, options)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, r, TotalPassed, "", Intact)
	if s := r.Signatures[0]; s.Level != LevelT || s.ProvenTime == nil || !s.ProvenTime.Equal(at) || s.CoversTo != int64(len(content)) {
		t.Errorf("%+v", s)
	}
	for name, c := range map[string]struct {
		content, der []byte
		o            VerifyOptions
		verdict      Verdict
		sub          SubIndication
		integrity    Integrity
	}{
		"changed":   {[]byte("another receipt"), der, options, TotalFailed, HashFailure, Altered},
		"untrusted": {content, der, VerifyOptions{At: judgedAt()}, Indeterminate, NoCertificateChainFound, Intact},
		"content inside": {
			content, signedBy(t, cms.SignRequest{Key: testKey(t, certs.SealEC), Content: content})(sum[:]), options,
			TotalFailed, FormatFailure, Altered,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := verify(c.content, c.der, c.o)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, r, c.verdict, c.sub, c.integrity)
		})
	}
	r, err = verify(content, []byte("no CMS"), options)
	if err != nil || r.Verdict != TotalFailed || len(r.Reasons) == 0 {
		t.Errorf("garbage: %+v, %v", r, err)
	}
	options.MaxSize = 3
	if _, err = verify(content, der, options); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}
