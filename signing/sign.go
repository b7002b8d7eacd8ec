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
	"slices"
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

// The profiles.
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
	TSA     tsa.Client // required by pades-b-t, -lt and -lta, optional for adbe

	// Of pades-b-lt and -lta: where chains end, with the revocation data that the operator has (nil: at self-signed
	// certificates that come with the key), and who is asked for what is missing there (nil: nobody).
	Trust      *pki.Trust
	Revocation RevocationSource

	Field                               string    // existing empty field, or the name of a new one; "" takes the next free
	Name, Reason, Location, ContactInfo string    // Name "" takes the certificate's common name; the others are left out
	At                                  time.Time // the claimed time; zero means time.Now
	Appearance                          *stamp.Appearance
	Page                                int           // of a new field: 1 is the first (as is 0), -1 the last
	Rect                                *stamp.RectMM // of a new field; nil is invisible
	MaxSize                             int64         // bytes, 0 means the default of pdf.DefaultLimits

	Fill    map[string]string // text fields that the revision of this signature fills in, by name: see Prepare
	After   []string          // fields that must carry an intact signature first, by another certificate
	Certify int               // 1 to 3: the document's certification with that DocMDP permission (ISO 32000-2 table 257)
	Lock    *pdf.FieldLock    // what the signature closes; a field placed before keeps its own lock
}

// Profiles lists all, from the plainest to the one that lasts longest.
func Profiles() []Profile {
	return []Profile{ProfileAdobe, ProfileBB, ProfileBT, ProfileBLT, ProfileBLTA}
}

// ParseProfile reads the name of a profile.
func ParseProfile(s string) (Profile, error) {
	if p := Profile(s); slices.Contains(Profiles(), p) {
		return p, nil
	}
	return "", fmt.Errorf("profile %q, want one of %v: %w", s, Profiles(), ErrUnsupported)
}

// SignPDF writes src, unchanged, and a revision with a signature to dst; pades-b-lt adds one with the validation data,
// pades-b-lta another with a document time stamp. Nothing is written when it refuses: *pdf.Error for a file that is no
// PDF, encrypted or too large, ErrKey, ErrUnsupported, ErrEvidence, ErrOrder, pdf.ErrNotPermitted and the other errors
// of package pdf. Memory holds what is added, whatever the size of the file. The caller has the result judged before it
// counts: see SignChecked.
func SignPDF(ctx context.Context, src io.ReaderAt, size int64, dst io.Writer, o SignOptions) error {
	g := &growing{src: src, size: size}
	if _, err := sign(ctx, g, o); err != nil {
		return err
	}
	return g.writeTo(dst)
}

// sign adds the revisions to g and gives the length of the file up to the signature's own.
func sign(ctx context.Context, g *growing, o SignOptions) (signed int64, err error) {
	if o.At.IsZero() {
		o.At = time.Now()
	}
	if err := o.check(); err != nil {
		return 0, err
	}
	if o.Name == "" {
		o.Name = o.Key.Certificate.Subject.CommonName
	}
	f, err := g.open(ctx, o.MaxSize)
	if err != nil {
		return 0, fmt.Errorf("reading the file to sign: %w", err)
	}
	if err := checkOrder(ctx, g, f, &o); err != nil {
		return 0, err
	}
	switch o.Profile {
	case ProfileAdobe:
		err = signAdobe(ctx, g, f, o)
	default:
		err = signCMS(ctx, g, f, o, pdf.SubFilterCAdES)
	}
	if err != nil {
		return 0, err
	}
	signed = g.Size()
	switch o.Profile {
	case ProfileBLT, ProfileBLTA:
		err = extend(ctx, g, ExtendOptions{To: o.Profile, TSA: o.TSA, Trust: o.Trust, Revocation: o.Revocation, At: o.At, MaxSize: o.MaxSize}, signed)
	}
	return signed, err
}

// check refuses what no file could make possible.
func (o *SignOptions) check() error {
	switch o.Profile {
	case ProfileAdobe, ProfileBB:
	case ProfileBT, ProfileBLT, ProfileBLTA:
		if o.TSA == nil {
			return fmt.Errorf("profile %s needs a time-stamp authority: %w", o.Profile, ErrUnsupported)
		}
	default:
		return fmt.Errorf("profile %q, want one of %v: %w", o.Profile, Profiles(), ErrUnsupported)
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
		Fill: o.fills(), Certify: o.Certify, Lock: o.Lock,
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
func signCMS(ctx context.Context, g *growing, f *pdf.File, o SignOptions, form pdf.Name) error {
	r := cms.SignRequest{Key: o.Key, Hash: digestFor(o.Key)}
	if form == pdf.SubFilterAdobe {
		r.SigningTime = &o.At
	}
	unsigned := 0
	if o.Profile != ProfileBB && o.TSA != nil {
		unsigned = timestampRoom
		r.UnsignedAttributes = func(signature []byte) ([]cms.Attribute, error) { return timestamp(ctx, o.TSA, signature) }
	}
	r.Digest = make([]byte, r.Hash.Size())
	waiting, err := cms.Prepare(r)
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	prepared, err := pdf.PrepareSignature(g, f, o.request(form, waiting.Room(unsigned)))
	if err != nil {
		return fmt.Errorf("preparing the signature: %w", err)
	}
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		sum, err := prepared.Digest(r.Hash)
		if err != nil {
			return err
		}
		if err := waiting.SetDigest(sum); err != nil {
			return err
		}
		der, err := waiting.Sign()
		if err != nil {
			return fmt.Errorf("signing: %w", err)
		}
		tail, err := prepared.Tail(der)
		if err == nil {
			g.add(tail)
			return nil
		}
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

// SignAndCheck is SignChecked for a file in memory.
func SignAndCheck(ctx context.Context, file []byte, o SignOptions, v VerifyOptions) ([]byte, *Report, error) {
	var out bytes.Buffer
	out.Grow(len(file) + 32<<10)
	report, err := SignChecked(ctx, bytes.NewReader(file), int64(len(file)), &out, o, v)
	if err != nil {
		return nil, report, err
	}
	return out.Bytes(), report, nil
}

// SignChecked signs like SignPDF and has the result judged by our validator before a byte of it is written. It fails
// with ErrCheck, and gives the report, when the new signature is not intact or does not cover the file as it was
// signed, or when an earlier signature is worse than before. One that failed before already stays so: the report's
// verdict is then TOTAL_FAILED, and its Reasons say that this was so before. Whether the signer is trusted stands in the
// report; with trust that does not know the signer the new signature is INDETERMINATE.
func SignChecked(ctx context.Context, src io.ReaderAt, size int64, dst io.Writer, o SignOptions, v VerifyOptions) (*Report, error) {
	before, err := judgeSigned(ctx, src, size, v)
	if err != nil {
		return nil, fmt.Errorf("judging the earlier signatures: %w", err)
	}
	g := &growing{src: src, size: size}
	signed, err := sign(ctx, g, o)
	if err != nil {
		return nil, err
	}
	report, err := VerifyPDF(ctx, g, g.Size(), v)
	if err != nil {
		return nil, fmt.Errorf("judging the signed file: %w", errors.Join(ErrCheck, err))
	}
	if err := compareReports(before, report, signed); err != nil {
		return report, err
	}
	report.noteEarlier(before)
	return report, g.writeTo(dst)
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
func judgeSigned(ctx context.Context, src io.ReaderAt, size int64, v VerifyOptions) (*Report, error) {
	f, err := (&growing{src: src, size: size}).open(ctx, v.MaxSize)
	if err != nil {
		return nil, err
	}
	signatures, err := f.Signatures()
	if err != nil || len(signatures) == 0 {
		return &Report{}, err
	}
	return VerifyPDF(ctx, src, size, v)
}

// compareReports finds the one new signature, which covers the file up to signed, and sees that no earlier one got
// worse. Time stamps of the document may have been added beside it.
func compareReports(before, after *Report, signed int64) error {
	old := make(map[string]Signature, len(before.Signatures))
	for _, s := range before.Signatures {
		old[s.Field] = s
	}
	fresh, kept := 0, 0
	for _, s := range after.Signatures {
		was, ok := old[s.Field]
		switch {
		case ok && s.Integrity != was.Integrity:
			return fmt.Errorf("the earlier signature %q was %s and is %s now (%v): %w", s.Field, was.Integrity, s.Integrity, s.Reasons, ErrCheck)
		case ok && s.Indication != was.Indication && s.Indication == TotalFailed:
			return fmt.Errorf("the earlier signature %q failed (%s, %v): %w", s.Field, s.SubIndication, s.Reasons, ErrCheck)
		case ok:
			kept++
		case s.Integrity != Intact || s.Indication == TotalFailed:
			return fmt.Errorf("the new signature %q is %s, %s %s (%v): %w", s.Field, s.Integrity, s.Indication, s.SubIndication, s.Reasons, ErrCheck)
		case s.Kind == KindTimestamp:
		case s.CoversTo != signed || s.LaterChanges != ChangesNone && s.LaterChanges != ChangesPermitted:
			return fmt.Errorf("the new signature %q covers %d of %d bytes, later changes %s: %w", s.Field, s.CoversTo, signed, s.LaterChanges, ErrCheck)
		default:
			fresh++
		}
	}
	if fresh != 1 || kept != len(before.Signatures) {
		return fmt.Errorf("%d new signatures found, want 1, and %d of %d earlier ones: %w", fresh, kept, len(before.Signatures), ErrCheck)
	}
	return nil
}
