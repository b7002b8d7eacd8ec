package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/pdf"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
)

// ExtendOptions say how far signatures are extended, and with whose help.
type ExtendOptions struct {
	// To is ProfileBT (a document time stamp over signatures that have none), ProfileBLT (validation data of every
	// signature and time stamp) or ProfileBLTA (both, and a document time stamp over all of it).
	To         Profile
	TSA        tsa.Client       // needed when a time stamp is missing, and for ProfileBLTA
	Trust      *pki.Trust       // where chains end, and the revocation data that the operator has; see SignOptions
	Revocation RevocationSource // asked for what Trust and the document do not have; nil asks nobody
	Hash       crypto.Hash      // of document time stamps; 0 means SHA-256
	At         time.Time        // now; zero means time.Now
	MaxSize    int64            // bytes, 0 means the default of pdf.DefaultLimits
}

// ErrNothing is wrapped when a file has no signature to extend.
var ErrNothing = errors.New("signing: there is no signature to extend")

// Extend writes src, unchanged, and what its signatures lack for a higher level (nâng cấp chữ ký): time stamps of the
// document and validation data (ETSI EN 319 142-1 §5.4, §6.3). It takes every signature of the file, also of the Adobe
// form. Nothing is written when data is missing: ErrEvidence names the certificate. The earlier signatures are not
// touched; the caller has the result judged: see ExtendChecked.
func Extend(ctx context.Context, src io.ReaderAt, size int64, dst io.Writer, o ExtendOptions) error {
	g := &growing{src: src, size: size}
	if err := extend(ctx, g, o, 0); err != nil {
		return err
	}
	return g.writeTo(dst)
}

// Renew prolongs what was extended to B-LTA before (gia hạn): it adds the validation data of the newest document time
// stamp and a new one over everything, with SHA-512 unless o.Hash says otherwise, so that the proof outlives the
// authority's certificate and the digest algorithm of the old time stamp (ETSI EN 319 142-1 §5.4.3).
func Renew(ctx context.Context, src io.ReaderAt, size int64, dst io.Writer, o ExtendOptions) error {
	return Extend(ctx, src, size, dst, o.Renewal())
}

// Renewal is what Renew extends with.
func (o ExtendOptions) Renewal() ExtendOptions {
	o.To = ProfileBLTA
	if o.Hash == 0 {
		o.Hash = crypto.SHA512
	}
	return o
}

// ExtendChecked is Extend, or Renew, with the result judged by our validator before a byte of it is written: every
// signature must be at least as good as before.
func ExtendChecked(ctx context.Context, src io.ReaderAt, size int64, dst io.Writer, o ExtendOptions, v VerifyOptions) (*Report, error) {
	before, err := judgeSigned(ctx, src, size, v)
	if err != nil {
		return nil, fmt.Errorf("judging the signatures: %w", err)
	}
	g := &growing{src: src, size: size}
	if err := extend(ctx, g, o, 0); err != nil {
		return nil, err
	}
	after, err := VerifyPDF(ctx, g, g.Size(), v)
	if err != nil {
		return nil, fmt.Errorf("judging the extended file: %w", errors.Join(ErrCheck, err))
	}
	if err := noneWorse(before, after); err != nil {
		return after, err
	}
	after.noteEarlier(before)
	return after, g.writeTo(dst)
}

// noneWorse sees that every signature is still there and none was harmed.
func noneWorse(before, after *Report) error {
	now := make(map[string]Signature, len(after.Signatures))
	for _, s := range after.Signatures {
		now[s.Field] = s
	}
	for _, was := range before.Signatures {
		s, ok := now[was.Field]
		if !ok || s.Integrity != was.Integrity || s.Indication == TotalFailed && was.Indication != TotalFailed {
			return fmt.Errorf("the signature %q was %s and is %q now (%v): %w", was.Field, was.Integrity, s.Integrity, s.Reasons, ErrCheck)
		}
		delete(now, was.Field)
	}
	for _, s := range now {
		if s.Kind != KindTimestamp || s.Integrity != Intact || s.Indication == TotalFailed {
			return fmt.Errorf("the new time stamp %q is %s (%v): %w", s.Field, s.Integrity, s.Reasons, ErrCheck)
		}
	}
	return nil
}

// extend adds the revisions to g. only, unless 0, names the one signature that is extended by the length of the file up
// to it; others, perhaps of foreign authorities, are left as they are.
func extend(ctx context.Context, g *growing, o ExtendOptions, only int64) error {
	switch o.To {
	case ProfileBT, ProfileBLT, ProfileBLTA:
	default:
		return fmt.Errorf("extending to %q, want %s, %s or %s: %w", o.To, ProfileBT, ProfileBLT, ProfileBLTA, ErrUnsupported)
	}
	if o.At.IsZero() {
		o.At = time.Now()
	}
	if o.Hash == 0 {
		o.Hash = crypto.SHA256
	}
	signed, err := readSigned(ctx, g, &o, only)
	if err != nil {
		return err
	}
	if !signed.stamped {
		// A signature time stamp would change bytes that later signatures cover: the time stamp of the document gives the
		// same level (ETSI EN 319 142-1 §6.3).
		if err := addDocumentTimestamp(ctx, g, &o); err != nil {
			return err
		}
		if o.To == ProfileBT {
			return nil
		}
		if signed, err = readSigned(ctx, g, &o, only); err != nil {
			return err
		}
	}
	if o.To == ProfileBT {
		return nil
	}
	data, err := signed.validationData(ctx, &o)
	if err != nil {
		return err
	}
	f, err := g.open(ctx, o.MaxSize)
	if err != nil {
		return fmt.Errorf("reading the file: %w", err)
	}
	tail, err := pdf.AppendStore(g, f, o.At, data)
	if err != nil {
		return fmt.Errorf("storing the validation data: %w", err)
	}
	g.add(tail)
	if o.To == ProfileBLT {
		return nil
	}
	return addDocumentTimestamp(ctx, g, &o)
}

// signedFile is what a file's signatures say about themselves.
type signedFile struct {
	stamped bool // a time stamp covers every signature
	stored  *evidence
	items   []signedItem
}

// signedItem is one signature, or one time stamp of the document.
type signedItem struct {
	contents []byte
	signed   *cms.SignedData // nil for a time stamp of the document
	tokens   []*tsa.Token
}

func readSigned(ctx context.Context, g *growing, o *ExtendOptions, only int64) (*signedFile, error) {
	f, err := g.open(ctx, o.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("reading the file to extend: %w", err)
	}
	fields, err := f.Signatures()
	if err != nil {
		return nil, fmt.Errorf("reading the signatures: %w", err)
	}
	out := &signedFile{stamped: true, stored: newVerifier(ctx, f, g, VerifyOptions{}).evidence()}
	found := false
	covered := false // by a time stamp of the document further behind
	for i := len(fields) - 1; i >= 0; i-- {
		s := &fields[i]
		if only != 0 && s.Covered() < only {
			break
		}
		kind, err := f.Latest().Resolve(s.Dict["SubFilter"])
		if err != nil {
			return nil, fmt.Errorf("reading the signature %q: %w", s.Name, err)
		}
		item := signedItem{contents: s.Contents}
		if kind == subFilterRFC3161 {
			token, err := tsa.ParseToken(s.Contents)
			if err != nil {
				return nil, fmt.Errorf("reading the time stamp %q: %w", s.Name, err)
			}
			item.tokens, covered = []*tsa.Token{token}, true
		} else {
			if err := item.read(); err != nil {
				return nil, fmt.Errorf("reading the signature %q: %w", s.Name, err)
			}
			found = true
			out.stamped = out.stamped && (covered || len(item.tokens) > 0)
		}
		out.items = append(out.items, item)
	}
	if !found {
		return nil, ErrNothing
	}
	return out, nil
}

// read takes the CMS data apart.
func (i *signedItem) read() error {
	sd, _, err := cms.ParsePadded(i.contents, cms.DefaultLimits())
	if err != nil {
		return err
	}
	if len(sd.Signers) != 1 {
		return fmt.Errorf("%d signers, want 1: %w", len(sd.Signers), ErrUnsupported)
	}
	i.signed = sd
	for _, der := range sd.Signers[0].Timestamps() {
		token, err := tsa.ParseToken(der)
		if err != nil {
			return fmt.Errorf("its time stamp: %w", err)
		}
		i.tokens = append(i.tokens, token)
	}
	return nil
}

// time is when the signature existed for certain, by its own time stamps; else now.
func (i *signedItem) time(now time.Time) time.Time {
	for _, t := range i.tokens {
		if t.Time.Before(now) {
			now = t.Time
		}
	}
	return now
}

// validationData gathers chains and revocation data of all signatures and time stamps.
func (s *signedFile) validationData(ctx context.Context, o *ExtendOptions) (pdf.ValidationData, error) {
	g := newGatherer(ctx, o.Trust, o.Revocation, o.At)
	g.stored.CRLs = join(g.stored.CRLs, s.stored.CRLs)
	g.stored.OCSPs = join(g.stored.OCSPs, s.stored.OCSPs)
	g.pool = s.stored.certs
	var data pdf.ValidationData
	for _, item := range s.items {
		m := &material{}
		if err := g.gatherItem(m, &item, o.At); err != nil {
			return data, err
		}
		var certs [][]byte
		for _, c := range m.certs {
			certs = append(certs, c.Raw)
			data.Certs = addBytes(data.Certs, c.Raw)
		}
		for _, der := range m.CRLs {
			data.CRLs = addBytes(data.CRLs, der)
		}
		for _, der := range m.OCSPs {
			data.OCSPs = addBytes(data.OCSPs, der)
		}
		data.Of = append(data.Of, pdf.SignatureData{Contents: bytes.Clone(item.contents), Certs: certs, CRLs: m.CRLs, OCSPs: m.OCSPs})
	}
	return data, nil
}

// gatherItem gathers for a signature and the time stamps on it.
func (g *gatherer) gatherItem(m *material, item *signedItem, now time.Time) error {
	if sd := item.signed; sd != nil {
		pool := append(sd.Certificates(), g.pool...)
		leaf := signerIn(sd, pool)
		if leaf == nil {
			return fmt.Errorf("the signer's certificate is not in the document: %w", ErrEvidence)
		}
		crls, ocsps := sd.Signers[0].RevocationInfo()
		own := *g
		own.stored = pki.Evidence{CRLs: join(sd.RawCRLs, crls, g.stored.CRLs), OCSPs: join(sd.RawOCSPs, ocsps, g.stored.OCSPs)}
		if err := own.gather(m, leaf, pool, pki.UsageSigning, item.time(now)); err != nil {
			return err
		}
	}
	for _, token := range item.tokens {
		pool := append(token.SignedData.Certificates(), g.pool...)
		leaf := signerIn(token.SignedData, pool)
		if leaf == nil {
			return fmt.Errorf("the certificate of the time-stamp authority is not in its token: %w", ErrEvidence)
		}
		if err := g.gather(m, leaf, pool, pki.UsageTimestamping, now); err != nil {
			return err
		}
	}
	return nil
}

// signerIn finds the certificate that the signer identifier names.
func signerIn(sd *cms.SignedData, pool []*x509.Certificate) *x509.Certificate {
	if c := sd.SignerCertificate(sd.Signers[0]); c != nil {
		return c
	}
	return sd.Verify(sd.Signers[0], nil, pool...).Signer
}

// addDocumentTimestamp adds a revision with a time stamp over the whole file (ETSI EN 319 142-1 §5.4.3).
func addDocumentTimestamp(ctx context.Context, g *growing, o *ExtendOptions) error {
	if o.TSA == nil {
		return fmt.Errorf("a time stamp is missing, and there is no time-stamp authority: %w", ErrUnsupported)
	}
	f, err := g.open(ctx, o.MaxSize)
	if err != nil {
		return fmt.Errorf("reading the file to time-stamp: %w", err)
	}
	prepared, err := pdf.PrepareSignature(g, f, pdf.SignatureRequest{SubFilter: pdf.SubFilterTimestamp, At: o.At, Room: timestampRoom})
	if err != nil {
		return fmt.Errorf("preparing the time stamp of the document: %w", err)
	}
	for try := 1; ; try++ {
		digest, err := prepared.Digest(o.Hash)
		if err != nil {
			return err
		}
		token, err := o.TSA.Timestamp(ctx, digest, o.Hash)
		if err != nil {
			return fmt.Errorf("getting the time stamp of the document: %w", err)
		}
		tail, err := prepared.Tail(token)
		if err == nil {
			g.add(tail)
			return nil
		}
		if !errors.Is(err, pdf.ErrRoom) || try == maxSignTries {
			return err
		}
		if err := prepared.Grow(len(token) + 256); err != nil {
			return err
		}
	}
}
