package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pdf"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
)

// ErrReturned is wrapped when what comes back for a Pending is not the signature that was asked for: another key's,
// over something else, or unreadable.
var ErrReturned = errors.New("signing: what came back is not the signature that was asked for")

// ReturnedError says why what came back for a Pending, or as a signed file, is refused, in both languages. It is an
// ErrReturned.
type ReturnedError struct {
	VI, EN string
	Err    error // the technical cause; may be nil
}

// Error gives the English words and the cause.
func (e *ReturnedError) Error() string {
	if e.Err != nil {
		return ErrReturned.Error() + ": " + e.EN + ": " + e.Err.Error()
	}
	return ErrReturned.Error() + ": " + e.EN
}

// Unwrap gives ErrReturned and the cause.
func (e *ReturnedError) Unwrap() []error { return []error{ErrReturned, e.Err} }

// returned is a refusal without a technical cause; the arguments stand in both texts.
func returned(vi, en string, args ...any) error {
	return &ReturnedError{VI: fmt.Sprintf(vi, args...), EN: fmt.Sprintf(en, args...)}
}

// foreignRoom is what a CMS made elsewhere may be larger than ours: its chain and attributes are not known before.
const foreignRoom = 12 << 10

// Pending is a signature in two phases (digest out, CMS in): the revision is laid out, the signature itself is made
// where the key is. It can be stored as JSON and finished by another process.
type Pending struct {
	// Attributes are the signed attributes in DER: what the key signs, by Algorithm with digest algorithm Hash.
	Attributes []byte `json:"attributes"`
	// ToSign is what a crypto.Signer is given: the digest of Attributes, or Attributes themselves for Ed25519.
	ToSign []byte `json:"to_sign"`
	// Digest is that of the document's bytes, for signers that make the whole CMS.
	Digest []byte      `json:"digest"`
	Hash   crypto.Hash `json:"hash"`
	// Field is the signature field, At the claimed time.
	Field   string    `json:"field"`
	At      time.Time `json:"at"`
	Profile Profile   `json:"profile"`
	// Size is the length in bytes of the file that the signature belongs to.
	Size int64 `json:"size"`
	// Certificates are the signer's and its chain in DER.
	Certificates [][]byte   `json:"certificates"`
	Layout       pdf.Layout `json:"layout"`
	MaxSize      int64      `json:"max_size"`
}

// Returned is the second phase: one of the two.
type Returned struct {
	Signature []byte // the value over Pending.Attributes: PKCS#1 v1.5, ECDSA in DER, or Ed25519
	CMS       []byte // a whole SignedData, detached, over Pending.Digest
}

// FinishOptions are the services that the profile of a Pending needs; see SignOptions.
type FinishOptions struct {
	TSA        tsa.Client
	Trust      *pki.Trust
	Revocation RevocationSource
}

// outside stands for a private key that is somewhere else.
type outside struct{ public crypto.PublicKey }

func (o outside) Public() crypto.PublicKey { return o.public }

func (o outside) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, fmt.Errorf("the private key is not here: %w", ErrKey)
}

// Begin lays out a signature by the certificate of o.Key, whose Signer is not needed. It refuses what SignPDF refuses.
func Begin(ctx context.Context, src io.ReaderAt, size int64, o SignOptions) (*Pending, error) {
	if o.Key == nil || o.Key.Certificate == nil {
		return nil, fmt.Errorf("certificate is missing: %w", ErrKey)
	}
	o.Key = &keys.Key{Signer: outside{o.Key.Certificate.PublicKey}, Certificate: o.Key.Certificate, Chain: o.Key.Chain}
	if o.At.IsZero() {
		o.At = time.Now()
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Name == "" {
		o.Name = o.Key.Certificate.Subject.CommonName
	}
	g := &growing{src: src, size: size}
	f, err := g.open(ctx, o.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("reading the file to sign: %w", err)
	}
	if err := checkOrder(ctx, g, f, &o); err != nil {
		return nil, err
	}
	p := &Pending{Hash: digestFor(o.Key), At: o.At, Profile: o.Profile, Size: size, MaxSize: o.MaxSize}
	for _, c := range o.Key.Certificates() {
		p.Certificates = append(p.Certificates, c.Raw)
	}
	request := p.request(o.Key)
	request.Digest = make([]byte, p.Hash.Size())
	room, err := cms.EstimateSize(request, timestampRoom)
	if err != nil {
		return nil, fmt.Errorf("estimating the size of the signature: %w", err)
	}
	prepared, err := pdf.PrepareSignature(g, f, o.request(p.form(), room+foreignRoom))
	if err != nil {
		return nil, fmt.Errorf("preparing the signature: %w", err)
	}
	if p.Digest, err = prepared.Digest(p.Hash); err != nil {
		return nil, err
	}
	p.Field, p.Layout = prepared.Field(), prepared.Layout()
	waiting, err := cms.Prepare(p.request(o.Key))
	if err != nil {
		return nil, err
	}
	p.Attributes, p.ToSign, _ = waiting.ToSign()
	return p, nil
}

func (p *Pending) form() pdf.Name {
	if p.Profile == ProfileAdobe {
		return pdf.SubFilterAdobe
	}
	return pdf.SubFilterCAdES
}

// request is the same in both phases.
func (p *Pending) request(key *keys.Key) cms.SignRequest {
	r := cms.SignRequest{Key: key, Hash: p.Hash, Digest: p.Digest}
	if p.Profile == ProfileAdobe {
		r.SigningTime = &p.At
	}
	return r
}

// Finish checks what came back and writes the signed file: src, unchanged, and the revisions of the profile. src must be
// the file that Begin was given. ErrReturned says why what came back is refused; nothing is written then. The caller has
// the result judged before it counts, as after SignPDF.
func Finish(ctx context.Context, src io.ReaderAt, size int64, dst io.Writer, p *Pending, r Returned, o FinishOptions) error {
	if size != p.Size {
		return returned("tệp có %d byte, tệp đã chuẩn bị có %d byte", "the file has %d bytes, %d were prepared", size, p.Size)
	}
	key, err := p.key()
	if err != nil {
		return err
	}
	der, err := p.complete(ctx, key, r, o)
	if err != nil {
		return err
	}
	tail, err := p.Layout.Fill(der)
	if errors.Is(err, pdf.ErrRoom) {
		return &ReturnedError{"chữ ký dài hơn chỗ đã để dành", "the signature is longer than the room left for it", err}
	}
	if err != nil {
		return err
	}
	g := &growing{src: src, size: size}
	g.add(tail)
	if p.Profile == ProfileBLT || p.Profile == ProfileBLTA {
		err := extend(ctx, g, ExtendOptions{To: p.Profile, TSA: o.TSA, Trust: o.Trust, Revocation: o.Revocation, At: p.At, MaxSize: p.MaxSize}, g.Size())
		if err != nil {
			return err
		}
	}
	return g.writeTo(dst)
}

func (p *Pending) key() (*keys.Key, error) {
	var list []*x509.Certificate
	for _, der := range p.Certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("reading the prepared certificate: %w", err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("certificate is missing: %w", ErrKey)
	}
	return &keys.Key{Signer: outside{list[0].PublicKey}, Certificate: list[0], Chain: list[1:]}, nil
}

// complete makes the CMS of what came back, with its time stamp.
func (p *Pending) complete(ctx context.Context, key *keys.Key, r Returned, o FinishOptions) ([]byte, error) {
	stamped := p.Profile != ProfileBB && o.TSA != nil
	if p.Profile != ProfileBB && p.Profile != ProfileAdobe && o.TSA == nil {
		return nil, fmt.Errorf("profile %s needs a time-stamp authority: %w", p.Profile, ErrUnsupported)
	}
	if (len(r.Signature) == 0) == (len(r.CMS) == 0) {
		return nil, returned("cần một giá trị chữ ký hoặc một CMS", "one signature value or one CMS is wanted")
	}
	if len(r.CMS) > 0 {
		return p.accept(ctx, key.Certificate, r.CMS, stamped, o.TSA)
	}
	request := p.request(key)
	if stamped {
		request.UnsignedAttributes = func(signature []byte) ([]cms.Attribute, error) { return timestamp(ctx, o.TSA, signature) }
	}
	waiting, err := cms.Prepare(request)
	if err != nil {
		return nil, err
	}
	if attributes, _, _ := waiting.ToSign(); !bytes.Equal(attributes, p.Attributes) {
		return nil, returned("các thuộc tính đã chuẩn bị bị thay đổi", "the prepared attributes were changed")
	}
	der, err := waiting.Complete(r.Signature)
	if errors.Is(err, cms.ErrSignature) {
		return nil, returned("giá trị chữ ký không phải của chứng thư %q trên văn bản này", "the value is not by the certificate of %q over this document", key.Certificate.Subject.CommonName)
	}
	return der, err
}

// accept checks a CMS that was made elsewhere: one signer, the expected one, over the document's digest.
func (p *Pending) accept(ctx context.Context, want *x509.Certificate, der []byte, stamped bool, client tsa.Client) ([]byte, error) {
	sd, err := cms.Parse(der, cms.Limits{})
	if err != nil {
		return nil, &ReturnedError{"dữ liệu CMS không đọc được", "the CMS cannot be read", err}
	}
	if len(sd.Signers) != 1 {
		return nil, returned("có %d người ký, cần đúng một", "%d signers, want one", len(sd.Signers))
	}
	si := sd.Signers[0]
	result := sd.Verify(si, func(h crypto.Hash) ([]byte, error) {
		if h != p.Hash {
			return nil, fmt.Errorf("digest algorithm %v, want %v", h, p.Hash)
		}
		return p.Digest, nil
	}, want)
	switch {
	case result.ReadError != nil:
		return nil, &ReturnedError{"chữ ký dùng thuật toán băm khác", "the signature is over another digest algorithm", result.ReadError}
	case !result.Intact:
		return nil, returned("chữ ký thuộc về văn bản khác", "it signs another document")
	case !result.Valid:
		return nil, &ReturnedError{"chữ ký sai", "the signature is wrong", fmt.Errorf("%v", result.Reasons)}
	case !result.Signer.Equal(want):
		return nil, returned("chữ ký của %q, không phải của %q", "it is by %q, not by %q", result.Signer.Subject.CommonName, want.Subject.CommonName)
	case p.Profile != ProfileAdobe && !result.HasESS:
		return nil, returned("thiếu thuộc tính chứng thư ký (ESS) mà PAdES đòi hỏi", "PAdES wants the ESS signing-certificate attribute")
	}
	if _, timed := si.SigningTime(); timed && p.Profile != ProfileAdobe {
		return nil, returned("PAdES không cho thuộc tính thời gian ký (ETSI EN 319 142-1 §6.3)", "PAdES has no signing-time attribute (ETSI EN 319 142-1 §6.3)")
	}
	if !stamped || len(si.Timestamps()) > 0 {
		return der, nil
	}
	attributes, err := timestamp(ctx, client, si.Signature)
	if err != nil {
		return nil, err
	}
	return cms.AddUnsigned(der, attributes...)
}

// AcceptReturned judges a file that was signed elsewhere (download, sign, upload): before must be its beginning, byte by
// byte, and what follows exactly one new signature, by want, over the whole of it, intact, with no change that our
// difference analysis does not permit, and no earlier signature worse than it was. ErrReturned says what is wrong; the
// report is given whenever the file could be judged.
func AcceptReturned(ctx context.Context, before, after []byte, want *x509.Certificate, v VerifyOptions) (*Report, error) {
	if len(after) <= len(before) || !bytes.HasPrefix(after, before) {
		return nil, returned("tệp tải lên không bắt đầu bằng đúng tệp đã cho tải về: có thể phần mềm ký đã ghi lại cả tệp", "the file that was given out is not its beginning")
	}
	was, err := judgeSigned(ctx, bytes.NewReader(before), int64(len(before)), v)
	if err != nil {
		return nil, fmt.Errorf("judging the file that was given out: %w", err)
	}
	report, err := VerifyPDF(ctx, bytes.NewReader(after), int64(len(after)), v)
	if err != nil {
		return nil, &ReturnedError{"tệp tải lên không đọc được", "the file cannot be read", err}
	}
	known := map[string]bool{}
	for _, s := range was.Signatures {
		known[s.Field] = true
	}
	if err := compareReports(was, report, int64(len(after))); err != nil {
		return report, &ReturnedError{"tệp tải lên không có đúng một chữ ký mới, nguyên vẹn, phủ toàn bộ tệp", "there is not exactly one new intact signature over the whole file", err}
	}
	sum := sha256.Sum256(want.Raw)
	fingerprint := hex.EncodeToString(sum[:])
	for _, s := range report.Signatures {
		if !known[s.Field] && (s.Kind != "signature" || s.Fingerprint != fingerprint) {
			return report, returned("chữ ký mới của %q, không phải bằng chứng thư đã chọn của %q", "the new signature is by %q, not by the chosen certificate of %q", s.Signer, want.Subject.CommonName)
		}
	}
	return report, permittedBehind(ctx, before, after, v)
}

// permittedBehind sees that what came with the new signature changes nothing that the file said before: a file without
// signatures has none whose later changes the verdict would list.
func permittedBehind(ctx context.Context, before, after []byte, v VerifyOptions) error {
	limits := pdf.DefaultLimits()
	if v.MaxSize > 0 {
		limits.MaxSize = v.MaxSize
	}
	f, err := pdf.OpenContext(ctx, bytes.NewReader(after), int64(len(after)), limits)
	if err != nil {
		return &ReturnedError{"tệp tải lên không đọc được", "the file cannot be read", err}
	}
	given := -1
	for i, r := range f.Revisions() {
		if r.EOF <= int64(len(before)) {
			given = i
		}
	}
	if given < 0 {
		return returned("tệp đã cho tải về không phải một phiên bản của tệp tải lên", "the file that was given out is no revision of it")
	}
	fields, err := f.Signatures()
	if err != nil {
		return &ReturnedError{"tệp tải lên không đọc được", "the file cannot be read", err}
	}
	changes, err := pdf.Compare(ctx, f, given, pdf.CompareOptions{Fields: fields})
	if err != nil {
		return &ReturnedError{"tệp tải lên không đọc được", "the file cannot be read", err}
	}
	if changes.Outcome != pdf.OutcomeNone && changes.Outcome != pdf.OutcomePermitted {
		return returned("ngoài chữ ký còn có nội dung khác bị thêm hoặc sửa (%s, %s)", "more than a signature was added (%s, %s)", changes.Findings[0].Rule, changes.Findings[0].Path)
	}
	return nil
}

// HashByName gives the digest algorithm that Hash.String names; 0 for others.
func HashByName(name string) crypto.Hash {
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if h.String() == name {
			return h
		}
	}
	return 0
}
