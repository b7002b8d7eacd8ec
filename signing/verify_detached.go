package signing

import (
	"context"
	"crypto"
	"fmt"
	"hash"
	"io"

	"vanthu/signing/cms"
	"vanthu/signing/pki"
)

// VerifyDetached judges CMS data (DER or BER) over content of its own file: each signer is one signature of the report
// (ETSI EN 319 122-1 CAdES). The content is read once. An error is I/O on the content or the end of ctx.
func VerifyDetached(ctx context.Context, content io.Reader, der []byte, o VerifyOptions) (*Report, error) {
	sd, err := cms.Parse(der, cms.DefaultLimits())
	if err != nil {
		reason := pki.Reason{Code: pki.CodeMalformed, Sub: pki.FormatFailure, Detail: err.Error()}
		return unreadable(TotalFailed, reason), nil
	}
	if len(sd.Signers) == 0 {
		return unreadable(TotalFailed, pki.Reason{Code: pki.CodeSigners, Sub: pki.FormatFailure}), nil
	}
	digests, size, err := digestContent(ctx, content, sd, o.MaxSize)
	if err != nil {
		return nil, err
	}
	v := &verifier{ctx: ctx, opts: o, trust: o.Trust, at: o.time(), store: &evidence{revision: -1}}
	if v.trust == nil {
		v.trust = &pki.Trust{}
	}
	report := &Report{Verdict: TotalPassed, Integrity: Intact}
	for _, si := range sd.Signers {
		it := &item{subFilter: subFilterCAdES, integrity: Intact, changes: ChangesNone, signed: sd, digests: digests, archived: o.Proven}
		it.out = Signature{Kind: KindSignature, CoversTo: size}
		if sd.HasContent {
			it.fault(Altered, pki.Reason{Code: pki.CodeUnexpectedContent, Sub: pki.FormatFailure})
		}
		res := sd.Verify(si, func(alg crypto.Hash) ([]byte, error) {
			if d, ok := digests[alg]; ok {
				return d, nil
			}
			return nil, fmt.Errorf("digest algorithm %d is not available", alg)
		})
		it.content, it.value = weigh(si, res)
		if !res.Valid {
			it.fault(broken(res.Reasons), res.Reasons...)
		}
		archived := v.archiveTimestamps(it, si, der)
		v.judgeSigner(it, si, res)
		v.finish(it)
		if archived && it.out.Level == LevelLT {
			it.out.Level = LevelLTA
		}
		report.add(it.out)
	}
	return report, nil
}

// digestContent reads the content once and takes the digest of each algorithm that a signer uses.
func digestContent(ctx context.Context, content io.Reader, sd *cms.SignedData, limit int64) (map[crypto.Hash][]byte, int64, error) {
	running := map[crypto.Hash]hash.Hash{}
	var sinks []io.Writer
	for _, si := range sd.Signers {
		for _, alg := range append(archiveHashes(si), si.Hash()) {
			if alg.Available() && running[alg] == nil {
				running[alg] = alg.New()
				sinks = append(sinks, running[alg])
			}
		}
	}
	if limit <= 0 {
		limit = 1<<62 - 1
	}
	size, err := io.Copy(io.MultiWriter(sinks...), io.LimitReader(stoppable{ctx, content}, limit+1))
	if err != nil {
		return nil, 0, fmt.Errorf("reading the signed content: %w", err)
	}
	if size > limit {
		return nil, 0, fmt.Errorf("the content is over the limit of %d bytes: %w", limit, ErrTooLarge)
	}
	digests := map[crypto.Hash][]byte{}
	for alg, h := range running {
		digests[alg] = h.Sum(nil)
	}
	return digests, size, nil
}

// stoppable is a reader that ends with its context.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (s stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}
