package signing

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
)

// extendCMS takes a detached signature at level T up to LT, the validation data in the fields for certificates and
// revocation data (ETSI EN 319 122-1 §6.3), and to LTA with an archive time stamp (§5.5.3). digest is that of the
// content by h.
func extendCMS(ctx context.Context, der []byte, h crypto.Hash, digest []byte, o DetachedOptions) ([]byte, error) {
	if o.Level != LevelLT && o.Level != LevelLTA {
		return der, nil
	}
	item := signedItem{contents: der}
	if err := item.read(); err != nil {
		return nil, fmt.Errorf("reading the signature: %w", err)
	}
	g, m := newGatherer(ctx, o.Trust, o.Revocation, time.Now()), &material{}
	if err := g.gatherItem(m, &item, g.now); err != nil {
		return nil, err
	}
	amendment := cms.Amendment{CRLs: m.CRLs, OCSPs: m.OCSPs}
	for _, c := range m.certs {
		amendment.Certificates = append(amendment.Certificates, c.Raw)
	}
	der, err := cms.Amend(der, amendment)
	if err != nil || o.Level == LevelLT {
		return der, err
	}
	return archive(ctx, der, h, digest, o.TSA)
}

// archive adds an archive-time-stamp-v3 over all that a detached signature has.
func archive(ctx context.Context, der []byte, h crypto.Hash, digest []byte, authority tsa.Client) ([]byte, error) {
	index, err := cms.MakeHashIndex(der, h)
	if err != nil {
		return nil, err
	}
	data, err := cms.ArchiveData(der, h, digest, index)
	if err != nil {
		return nil, err
	}
	sum := h.New()
	sum.Write(data)
	token, err := authority.Timestamp(ctx, sum.Sum(nil), h)
	if err != nil {
		return nil, fmt.Errorf("getting the archive time stamp: %w", err)
	}
	if token, err = cms.Amend(token, cms.Amendment{Unsigned: []cms.Attribute{cms.HashIndexAttribute(index)}}); err != nil {
		return nil, fmt.Errorf("completing the archive time stamp: %w", err)
	}
	return cms.Amend(der, cms.Amendment{Unsigned: []cms.Attribute{cms.ArchiveTimestampAttribute(token)}})
}

// archiveHashes are the digest algorithms of a signer's archive time stamps.
func archiveHashes(si *cms.SignerInfo) (list []crypto.Hash) {
	for _, der := range si.ArchiveTimestamps() {
		if token, err := tsa.ParseToken(der); err == nil && token.Hash != 0 {
			list = append(list, token.Hash)
		}
	}
	return list
}

// archiveTimestamps judges the archive time stamps of a detached signature and tells whether one of them is whole. The
// earliest trusted one proves that the signature existed. One that is broken makes the signature altered: whatever it
// was to protect may have been exchanged.
func (v *verifier) archiveTimestamps(it *item, si *cms.SignerInfo, der []byte) (whole bool) {
	if len(it.signed.Signers) != 1 {
		if len(si.ArchiveTimestamps()) > 0 {
			it.fault(Unclear, pki.Reason{Code: codeManySigners, Sub: pki.SigConstraints})
		}
		return false
	}
	for _, raw := range si.ArchiveTimestamps() {
		token, err := tsa.ParseToken(raw)
		var data []byte
		if err == nil {
			data, err = cms.ArchiveData(der, token.Hash, it.digests[token.Hash], token.SignedData.Signers[0].HashIndex())
		}
		if err != nil {
			it.fault(Altered, pki.Reason{Code: codeTimestampBad, Sub: pki.SigConstraints, Detail: err.Error()})
			it.time = new(false)
			continue
		}
		pool := v.pool(it.signed)
		certs := append(slices.Clone(token.SignedData.Certificates()), pool...)
		res := token.Verify(cms.DigestOf(data), tsa.VerifyOptions{Trust: v.trust, At: v.at, Pool: certs})
		v.rejectRevoked(&res, token.SignedData, certs, v.at)
		if !res.Intact {
			it.fault(broken(res.Reasons), pki.Reason{Code: codeTimestampBad, Sub: pki.SigConstraints, Detail: detail(res.Reasons, "en"), DetailVI: detail(res.Reasons, "vi")})
			it.time = new(false)
			continue
		}
		whole = true
		if res.Trusted && (it.archived.IsZero() || res.Time.Before(it.archived)) {
			it.archived = res.Time
		}
	}
	return whole
}
