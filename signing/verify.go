package signing

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"vanthu/signing/pdf"
	"vanthu/signing/pki"
)

// VerifyOptions is what a judgement depends on besides the file.
type VerifyOptions struct {
	Trust   *pki.Trust       // trusted roots and configured revocation data; nil trusts nobody
	At      time.Time        // judge as of this time; zero means now
	Now     func() time.Time // the clock; nil means time.Now
	Offline bool             // never use the network, whatever Fetcher says
	// Fetcher asks authorities for revocation data that neither the document nor Trust has, for chains that end in a
	// trusted root; nil asks nobody. An authority that does not answer leaves the status unknown: see RequireRevocation.
	Fetcher *pki.Fetcher
	MaxSize int64 // bytes, 0 means the default of pdf.DefaultLimits
	// RequireRevocation makes a chain without usable revocation data INDETERMINATE with TRY_LATER, and takes the proof
	// from time stamps of such a chain. Otherwise it passes and the report has the reason "revocation-not-checked".
	RequireRevocation bool
	// Proven is a time at which something else proves a detached signature to have stood already: a time stamp over what
	// holds it. The caller has judged that proof. Zero: none; VerifyPDF takes no notice of it.
	Proven time.Time
}

// time is the time of judging.
func (o *VerifyOptions) time() time.Time {
	switch {
	case !o.At.IsZero():
		return o.At
	case o.Now != nil:
		return o.Now()
	}
	return time.Now()
}

// VerifyPDF judges every signature and document time stamp of a PDF file (ETSI EN 319 102-1) and what was added
// after each of them. A bad signature is a result, never an error; errors are *pdf.Error (not a PDF, too large,
// unsigned and damaged), the error of ctx, or I/O, when nothing can be judged. An encrypted file that cannot be read
// gives INDETERMINATE, a damaged one that was signed TOTAL_FAILED.
func VerifyPDF(ctx context.Context, r io.ReaderAt, size int64, o VerifyOptions) (*Report, error) {
	lim := pdf.DefaultLimits()
	if o.MaxSize > 0 {
		lim.MaxSize = o.MaxSize
	}
	f, err := pdf.OpenContext(ctx, r, size, lim)
	if err != nil {
		return judgeUnread(ctx, r, size, lim, err)
	}
	v := newVerifier(ctx, f, r, o)
	fields, err := f.Signatures()
	if err != nil {
		if stopped(err) {
			return nil, err
		}
		return unreadable(Indeterminate, pki.Reason{Code: codeForm, Sub: pki.Generic, Detail: err.Error()}), nil
	}
	if len(fields) == 0 {
		return v.unsigned(), nil
	}
	return v.judge(fields)
}

// verifier judges one file.
type verifier struct {
	ctx      context.Context
	f        *pdf.File
	opts     VerifyOptions
	trust    *pki.Trust
	at       time.Time
	hashes   *hasher
	items    []*item // in the order of the file
	fields   []pdf.Field
	comparer *pdf.Comparer
	store    *evidence
	asked    map[string]fetched // what the network gave, by certificate
	pages    map[pdf.Ref]int    // numbers of the pages of the latest revision, from 1
}

func newVerifier(ctx context.Context, f *pdf.File, r io.ReaderAt, o VerifyOptions) *verifier {
	v := &verifier{ctx: ctx, f: f, opts: o, trust: o.Trust, at: o.time(), hashes: newHasher(ctx, r), comparer: pdf.NewComparer(f)}
	if v.trust == nil {
		v.trust = &pki.Trust{}
	}
	return v
}

// judge runs all checks. Digests are taken in the order of the file, time stamps judged from the newest to the
// oldest, because a newer one proves that an older one already existed.
func (v *verifier) judge(fields []pdf.Field) (*Report, error) {
	v.fields = fields
	for i := range fields {
		it, err := v.examine(&fields[i])
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, it)
	}
	for _, it := range slices.Backward(v.items) {
		if it.token != nil {
			v.judgeDocumentTimestamp(it)
		}
	}
	for _, it := range v.items {
		if it.signed != nil {
			v.judgeSignature(it)
		}
		if err := v.judgeChanges(it); err != nil {
			return nil, err
		}
	}
	report := &Report{Verdict: TotalPassed, Integrity: Intact}
	for _, it := range v.items {
		v.finish(it)
		report.add(it.out)
	}
	return report, nil
}

// add takes a signature into the report; the worst decides.
func (r *Report) add(s Signature) {
	r.Signatures = append(r.Signatures, s)
	if s.Indication == TotalFailed || s.Indication == Indeterminate && r.Verdict == TotalPassed {
		r.Verdict = s.Indication
	}
	if s.Integrity == Altered || s.Integrity == Unclear && r.Integrity == Intact {
		r.Integrity = s.Integrity
	}
}

// unsigned is the report of a file without signatures. It says so when an older revision had one.
func (v *verifier) unsigned() *Report {
	report := &Report{Verdict: NoSignature, Integrity: Unclear, Signatures: []Signature{}}
	for i := len(v.f.Revisions()) - 2; i >= 0; i-- {
		if old, err := v.f.SignaturesAt(i); err == nil && len(old) > 0 {
			report.Integrity = Altered
			report.Reasons, report.ReasonsVI = reasonTexts(pki.Reasons{{Code: codeRemoved, Detail: old[0].Name}})
			break
		}
	}
	return report
}

// judgeUnread says what can be said of a file that does not open.
func judgeUnread(ctx context.Context, r io.ReaderAt, size int64, lim pdf.Limits, cause error) (*Report, error) {
	var e *pdf.Error
	if !errors.As(cause, &e) {
		return nil, cause
	}
	switch e.Kind {
	case pdf.Encrypted:
		return unreadable(Indeterminate, pki.Reason{Code: codeEncrypted, Sub: pki.Generic, Detail: e.Msg}), nil
	case pdf.Damaged:
	default:
		return nil, cause
	}
	f, err := pdf.OpenDamaged(ctx, r, size, lim)
	if err != nil {
		return nil, cause
	}
	fields, err := f.Signatures()
	if stopped(err) {
		return nil, err
	}
	if len(fields) == 0 && !f.Mentions("/ByteRange") {
		return nil, cause
	}
	reason := pki.Reason{Code: codeDamaged, Sub: pki.FormatFailure, Detail: e.Error()}
	report := unreadable(TotalFailed, reason)
	v := newVerifier(ctx, f, r, VerifyOptions{})
	for i := range fields {
		it := v.newItem(&fields[i])
		it.reasons = append(pki.Reasons{reason}, it.reasons...)
		it.changes, it.integrity = ChangesUnclear, Altered
		v.finish(it)
		report.Signatures = append(report.Signatures, it.out)
	}
	return report, nil
}

// unreadable is the report of a file as a whole.
func unreadable(verdict Verdict, reason pki.Reason) *Report {
	report := &Report{Verdict: verdict, Integrity: Unclear, Signatures: []Signature{}}
	if verdict == TotalFailed {
		report.Integrity = Altered
	}
	report.Reasons, report.ReasonsVI = reasonTexts(pki.Reasons{reason})
	return report
}

// stopped tells an end of the context from a fault of the file.
func stopped(err error) bool {
	var e *pdf.Error
	return errors.As(err, &e) && e.Kind == pdf.Stopped
}
