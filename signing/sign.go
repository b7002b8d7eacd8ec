package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pdf"
	"vanthu/signing/pki"
	"vanthu/signing/stamp"
	"vanthu/signing/tsa"
)

// Profile is the form of a PDF signature.
type Profile string

// The profiles. B-LT and B-LTA are refused until the writer embeds revocation data.
const (
	ProfileAdobe Profile = "adbe"        // adbe.pkcs7.detached, as Vietnamese government signatures are today
	ProfileBB    Profile = "pades-b-b"   // ETSI EN 319 142-1 PAdES B-B
	ProfileBT    Profile = "pades-b-t"   // B-B with a signature time stamp
	ProfileBLT   Profile = "pades-b-lt"  // B-T with revocation data
	ProfileBLTA  Profile = "pades-b-lta" // B-LT with a document time stamp
)

const (
	timestampRoom = 6 << 10 // bytes reserved for a time-stamp token; a larger one costs a second try
	maxSignTries  = 3
)

var (
	// ErrUnsupported is wrapped when a profile cannot do what was asked; the text names one that can.
	ErrUnsupported = errors.New("signing: not supported")
	// ErrKey is wrapped when the key or its certificate must not sign.
	ErrKey = errors.New("signing: the key cannot be used")
	// ErrCheck is wrapped when a file just signed does not hold before our validator.
	ErrCheck = errors.New("signing: the signed file does not hold")
)

// SignOptions says who signs a PDF and how.
type SignOptions struct {
	Key     *keys.Key
	Profile Profile
	TSA     tsa.Client // required by pades-b-t, optional for adbe

	Field                               string    // existing empty field, or the name of a new one; "" takes the next free
	Name, Reason, Location, ContactInfo string    // Name "" takes the certificate's common name; the others are left out
	At                                  time.Time // the claimed time; zero means time.Now
	Appearance                          *stamp.Appearance
	Page                                int           // of a new field: 1 is the first (as is 0), -1 the last
	Rect                                *stamp.RectMM // of a new field; nil is invisible
	MaxSize                             int64         // bytes, 0 means the default of pdf.DefaultLimits
}

// ParseProfile reads the name of a profile.
func ParseProfile(s string) (Profile, error) {
	switch p := Profile(s); p {
	case ProfileAdobe, ProfileBB, ProfileBT, ProfileBLT, ProfileBLTA:
		return p, nil
	}
	return "", fmt.Errorf("profile %q, want adbe, pades-b-b or pades-b-t: %w", s, ErrUnsupported)
}

// SignPDF writes src, unchanged, and one revision with a signature to dst. Nothing is written when it
// refuses: *pdf.Error for a file that is no PDF, encrypted or too large, ErrKey, ErrUnsupported,
// pdf.ErrNotPermitted and the other errors of package pdf. Memory does not grow with the file, except in the
// adbe profile. The caller has the result judged before it counts: see SignAndCheck.
func SignPDF(ctx context.Context, src io.ReaderAt, size int64, dst io.Writer, o SignOptions) error {
	if o.At.IsZero() {
		o.At = time.Now()
	}
	if err := o.check(); err != nil {
		return err
	}
	if o.Name == "" {
		o.Name = o.Key.Certificate.Subject.CommonName
	}
	limits := pdf.DefaultLimits()
	if o.MaxSize > 0 {
		limits.MaxSize = o.MaxSize
	}
	f, err := pdf.OpenContext(ctx, src, size, limits)
	if err != nil {
		return fmt.Errorf("reading the file to sign: %w", err)
	}
	if o.Profile == ProfileAdobe {
		return signAdobe(ctx, src, f, dst, o)
	}
	return signCMS(ctx, src, f, dst, o, pdf.SubFilterCAdES)
}

// check refuses what no file could make possible.
func (o *SignOptions) check() error {
	switch o.Profile {
	case ProfileAdobe, ProfileBB:
	case ProfileBT:
		if o.TSA == nil {
			return fmt.Errorf("profile %s needs a time-stamp authority: %w", o.Profile, ErrUnsupported)
		}
	case ProfileBLT, ProfileBLTA:
		return fmt.Errorf("profile %s comes with long-term validation; use %s until then: %w", o.Profile, ProfileBT, ErrUnsupported)
	default:
		return fmt.Errorf("profile %q, want adbe, pades-b-b or pades-b-t: %w", o.Profile, ErrUnsupported)
	}
	if o.Rect != nil && o.Appearance == nil {
		return fmt.Errorf("a visible signature needs an image or text: %w", ErrUnsupported)
	}
	return checkKey(o.Key, o.At)
}

// checkKey refuses keys whose signatures no validator would accept. Whether a test certificate may sign is
// for the caller to decide (pki.IsTestCertificate).
func checkKey(k *keys.Key, at time.Time) error {
	if k == nil || k.Signer == nil || k.Certificate == nil {
		return fmt.Errorf("key or certificate is missing: %w", ErrKey)
	}
	c := k.Certificate
	public, ok := k.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(c.PublicKey) {
		return fmt.Errorf("the private key does not belong to the certificate of %q: %w", c.Subject.CommonName, ErrKey)
	}
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return fmt.Errorf("RSA key of %d bits, at least 2048: %w", key.N.BitLen(), ErrKey)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return fmt.Errorf("key of type %T: %w", key, ErrKey)
	}
	if at.Before(c.NotBefore) {
		return fmt.Errorf("the certificate of %q is valid from %s only: %w", c.Subject.CommonName, c.NotBefore.Format(time.RFC3339), ErrKey)
	}
	if at.After(c.NotAfter) {
		return fmt.Errorf("the certificate of %q expired at %s: %w", c.Subject.CommonName, c.NotAfter.Format(time.RFC3339), ErrKey)
	}
	return checkUsage(c)
}

// checkUsage looks at key usage and extended key usage (RFC 5280 §4.2.1.3, §4.2.1.12), each binding only
// where the extension is present.
func checkUsage(c *x509.Certificate) error {
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return fmt.Errorf("the certificate of %q is not for signatures (key usage): %w", c.Subject.CommonName, ErrKey)
	}
	if len(c.ExtKeyUsage) == 0 || len(c.UnknownExtKeyUsage) > 0 {
		return nil
	}
	for _, u := range c.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageOCSPSigning:
		default:
			return nil
		}
	}
	return fmt.Errorf("the certificate of %q is for servers, time stamps or OCSP, not for documents: %w", c.Subject.CommonName, ErrKey)
}

// digestFor is the digest algorithm for a key: SHA-512 belongs to Ed25519 (RFC 8419 §3), all others take
// SHA-256.
func digestFor(k *keys.Key) crypto.Hash {
	if _, ok := k.Certificate.PublicKey.(ed25519.PublicKey); ok {
		return crypto.SHA512
	}
	return crypto.SHA256
}

// request is what the writer has to lay out.
func (o *SignOptions) request(subFilter pdf.Name, room int) pdf.SignatureRequest {
	r := pdf.SignatureRequest{
		Field: o.Field, Page: o.Page, SubFilter: subFilter, At: o.At, Room: room,
		Name: o.Name, Reason: o.Reason, Location: o.Location, ContactInfo: o.ContactInfo,
	}
	if o.Rect != nil {
		r.Rect = o.Rect.On
	}
	if o.Appearance != nil {
		r.Appearance = o.Appearance.Form
	}
	return r
}

// signCMS signs with our own writer. The CAdES form has no signing-time attribute, the claimed time stands in /M
// alone (ETSI EN 319 142-1 §6.3); the Adobe form has both.
func signCMS(ctx context.Context, src io.ReaderAt, f *pdf.File, dst io.Writer, o SignOptions, form pdf.Name) error {
	r := cms.SignRequest{Key: o.Key, Hash: digestFor(o.Key)}
	if form == pdf.SubFilterAdobe {
		r.SigningTime = &o.At
	}
	unsigned := 0
	if o.Profile == ProfileBT || (o.Profile == ProfileAdobe && o.TSA != nil) {
		unsigned = timestampRoom
		r.UnsignedAttributes = func(signature []byte) ([]cms.Attribute, error) { return timestamp(ctx, o.TSA, signature) }
	}
	r.Digest = make([]byte, r.Hash.Size())
	room, err := cms.EstimateSize(r, unsigned)
	if err != nil {
		return fmt.Errorf("estimating the size of the signature: %w", err)
	}
	prepared, err := pdf.PrepareSignature(src, f, o.request(form, room))
	if err != nil {
		return fmt.Errorf("preparing the signature: %w", err)
	}
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Digest, err = prepared.Digest(r.Hash); err != nil {
			return err
		}
		der, err := cms.Sign(r)
		if err != nil {
			return fmt.Errorf("signing: %w", err)
		}
		err = prepared.Embed(der, dst)
		if !errors.Is(err, pdf.ErrRoom) || try == maxSignTries {
			return err
		}
		// Tokens of one authority differ by a few bytes only.
		if err := prepared.Grow(len(der) + 256); err != nil {
			return err
		}
	}
}

// timestamp gets a token over a signature value as the unsigned attribute of RFC 3161 appendix A.
func timestamp(ctx context.Context, client tsa.Client, signature []byte) ([]cms.Attribute, error) {
	d := crypto.SHA256.New()
	d.Write(signature)
	token, err := client.Timestamp(ctx, d.Sum(nil), crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("getting the time stamp: %w", err)
	}
	return []cms.Attribute{cms.TimestampAttribute(token)}, nil
}

// SignAndCheck signs a file in memory and has the result judged by our validator. It fails with ErrCheck, and
// gives the report, when the new signature is not intact or does not cover the whole file, when the file's own
// bytes are not its beginning, or when an earlier signature is worse than before. One that failed
// before already stays so: the report's verdict is then TOTAL_FAILED, and its Reasons say that this was so before. Whether the signer is trusted
// stands in the report; with trust that does not know the signer the new signature is INDETERMINATE.
func SignAndCheck(ctx context.Context, file []byte, o SignOptions, v VerifyOptions) ([]byte, *Report, error) {
	before, err := judgeSigned(ctx, file, v)
	if err != nil {
		return nil, nil, fmt.Errorf("judging the earlier signatures: %w", err)
	}
	var out bytes.Buffer
	out.Grow(len(file) + 32<<10)
	if err := SignPDF(ctx, bytes.NewReader(file), int64(len(file)), &out, o); err != nil {
		return nil, nil, err
	}
	signed := out.Bytes()
	if !bytes.HasPrefix(signed, file) {
		return nil, nil, fmt.Errorf("the file's own bytes were changed: %w", ErrCheck)
	}
	report, err := VerifyPDF(ctx, bytes.NewReader(signed), int64(len(signed)), v)
	if err != nil {
		return nil, nil, fmt.Errorf("judging the signed file: %w", errors.Join(ErrCheck, err))
	}
	if err := compareReports(before, report, int64(len(signed))); err != nil {
		return nil, report, err
	}
	report.noteEarlier(before)
	return signed, report, nil
}

// noteEarlier says of each signature that failed before the signing that it is not the signing's doing.
func (r *Report) noteEarlier(before *Report) {
	var reasons pki.Reasons
	for _, s := range before.Signatures {
		if s.Indication == TotalFailed || s.Integrity != Intact {
			reasons = append(reasons, pki.Reason{Code: codeEarlier, Detail: s.Field})
		}
	}
	en, vi := reasonTexts(reasons)
	r.Reasons, r.ReasonsVI = append(r.Reasons, en...), append(r.ReasonsVI, vi...)
}

// judgeSigned judges a file that has signatures; one without any gives an empty report, which is cheaper.
func judgeSigned(ctx context.Context, file []byte, v VerifyOptions) (*Report, error) {
	limits := pdf.DefaultLimits()
	if v.MaxSize > 0 {
		limits.MaxSize = v.MaxSize
	}
	f, err := pdf.OpenContext(ctx, bytes.NewReader(file), int64(len(file)), limits)
	if err != nil {
		return nil, err
	}
	signatures, err := f.Signatures()
	if err != nil || len(signatures) == 0 {
		return &Report{}, err
	}
	return VerifyPDF(ctx, bytes.NewReader(file), int64(len(file)), v)
}

// compareReports finds the one new signature and sees that no earlier one got worse.
func compareReports(before, after *Report, size int64) error {
	if len(after.Signatures) != len(before.Signatures)+1 {
		return fmt.Errorf("%d signatures found after signing, want %d: %w", len(after.Signatures), len(before.Signatures)+1, ErrCheck)
	}
	old := make(map[string]Signature, len(before.Signatures))
	for _, s := range before.Signatures {
		old[s.Field] = s
	}
	fresh := 0
	for _, s := range after.Signatures {
		was, ok := old[s.Field]
		switch {
		case ok && s.Integrity != was.Integrity:
			return fmt.Errorf("the earlier signature %q was %s and is %s now (%v): %w", s.Field, was.Integrity, s.Integrity, s.Reasons, ErrCheck)
		case ok && s.Indication != was.Indication && s.Indication == TotalFailed:
			return fmt.Errorf("the earlier signature %q failed (%s, %v): %w", s.Field, s.SubIndication, s.Reasons, ErrCheck)
		case ok:
		case s.Integrity != Intact || s.Indication == TotalFailed:
			return fmt.Errorf("the new signature %q is %s, %s %s (%v): %w", s.Field, s.Integrity, s.Indication, s.SubIndication, s.Reasons, ErrCheck)
		case s.Covers != "document" || s.CoversTo != size:
			return fmt.Errorf("the new signature %q covers %d of %d bytes: %w", s.Field, s.CoversTo, size, ErrCheck)
		default:
			fresh++
		}
	}
	if fresh != 1 {
		return fmt.Errorf("%d new signatures found, want 1: %w", fresh, ErrCheck)
	}
	return nil
}
