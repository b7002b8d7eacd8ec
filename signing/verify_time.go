package signing

import (
	"crypto/x509"
	"slices"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
)

// judgeDocumentTimestamp judges an ETSI.RFC3161 time stamp over the bytes of its revision.
func (v *verifier) judgeDocumentTimestamp(it *item) {
	at, order := v.at, false
	if bound := v.provenBy(it); !bound.IsZero() {
		// A newer time stamp covers this one, so it cannot be of a later time.
		if order = it.token.Time.Add(-it.token.Accuracy).After(bound); !order {
			at = bound
		}
	}
	pool := v.pool(it.token.SignedData)
	res := it.token.Verify(v.contentDigest(it), tsa.VerifyOptions{Trust: v.trust, At: at, Pool: pool})
	v.rejectRevoked(&res, it.token.SignedData, pool, at)
	if order {
		res.Trusted, res.Reasons = false, append(res.Reasons, pki.Reason{Code: codeTimestampOrder, Sub: pki.TimestampOrder})
	}
	it.describe(res.Signer)
	it.chain, it.out.Algorithm = res.Chain, res.Algorithm
	it.valid, it.trusted = res.Intact, res.Trusted
	if res.Matches || res.Reasons.Has(pki.CodeImprint) {
		it.content = new(res.Matches)
	}
	if res.Authentic || !res.Reasons.Has(pki.CodeNoSigner) && !res.Reasons.Has(pki.CodeAlgorithm) {
		it.value = new(res.Authentic)
	}
	if !res.Intact {
		it.fault(broken(res.Reasons), res.Reasons...)
	} else {
		it.reasons = append(it.reasons, res.Reasons...)
	}
	it.reasons = append(it.reasons, remarks(res.Weak)...)
	if it.usable() && res.Trusted {
		it.proven, it.accuracy = res.Time, it.token.Accuracy
	}
	it.stamped = res.Intact
}

// usable tells whether a time stamp counts as proof: its format and cryptography hold.
func (it *item) usable() bool { return it.valid && it.integrity == Intact }

// provenBy is the earliest trusted time of the document time stamps whose signed bytes include all of it, or of the
// archive time stamps of a detached signature.
func (v *verifier) provenBy(it *item) time.Time {
	if it.field == nil {
		return it.archived
	}
	var earliest time.Time
	for _, other := range v.items {
		if other == it || other.token == nil || other.proven.IsZero() || other.field.ByteRange[1] < it.field.Covered() {
			continue
		}
		if earliest.IsZero() || other.proven.Before(earliest) {
			earliest = other.proven
		}
	}
	return earliest
}

// coveredByTimestamp tells whether an intact document time stamp, trusted or not, covers the item, and gives it.
func (v *verifier) coveredByTimestamp(it *item) *item {
	for _, other := range v.items {
		if other != it && other.token != nil && other.stamped && other.usable() && other.field.ByteRange[1] >= it.field.Covered() {
			return other
		}
	}
	return nil
}

// signatureTimestamps judges the time-stamp tokens in the unsigned attributes (ETSI EN 319 122-1 §5.3). The earliest
// trusted one is the proven time; failing that, the earliest document time stamp over the signature.
func (v *verifier) signatureTimestamps(it *item, si *cms.SignerInfo, pool []*x509.Certificate) {
	bound, at := v.provenBy(it), v.at
	if !bound.IsZero() {
		at, it.proven = bound, bound
	}
	var best time.Time
	for _, der := range si.Timestamps() {
		token, err := tsa.ParseToken(der)
		if err != nil {
			it.fault(Altered, pki.Reason{Code: codeTimestampBad, Sub: pki.SigConstraints, Detail: err.Error()})
			it.time = new(false)
			continue
		}
		certs := append(slices.Clone(token.SignedData.Certificates()), pool...)
		res := token.Verify(cms.DigestOf(si.Signature), tsa.VerifyOptions{Trust: v.trust, At: at, Pool: certs})
		v.rejectRevoked(&res, token.SignedData, certs, at)
		switch {
		case !res.Intact:
			it.fault(broken(res.Reasons), pki.Reason{Code: codeTimestampBad, Sub: pki.SigConstraints, Detail: detail(res.Reasons, "en"), DetailVI: detail(res.Reasons, "vi")})
			it.time = new(false)
			continue
		case !res.Trusted:
			it.reasons = append(it.reasons, remarks(res.Reasons)...)
		case !bound.IsZero() && token.Time.Add(-token.Accuracy).After(bound):
			// A document time stamp that covers this token is older than it: one of the two is wrong.
			it.reasons = append(it.reasons, pki.Reason{Code: codeTimestampOrder, Sub: pki.TimestampOrder})
		case best.IsZero() || res.Time.Before(best):
			best, it.proven, it.accuracy = res.Time, res.Time, token.Accuracy
		}
		it.stamped = true
	}
}

// rejectRevoked takes the trust from a time stamp whose authority was revoked, or whose status is unknown where it must
// be known. A revocation after the time stamp for a reason that leaves the key secret does not count (RFC 3161 §4).
func (v *verifier) rejectRevoked(res *tsa.Result, sd *cms.SignedData, pool []*x509.Certificate, at time.Time) {
	if !res.Trusted || len(res.Chain) < 2 {
		return
	}
	ev := pki.Evidence{CRLs: join(sd.RawCRLs, v.evidence().CRLs), OCSPs: join(sd.RawOCSPs, v.evidence().OCSPs)}
	for i, r := range v.checkChain(res.Chain, ev, pool, at) {
		if r.Status == pki.StatusUnknown && v.opts.RequireRevocation {
			res.Trusted, res.Time = false, time.Time{}
			res.Reasons = append(res.Reasons, r.Reasons...)
			continue
		}
		const affiliationChanged, superseded, cessation = 3, 4, 5
		harmless := r.ReasonCode >= affiliationChanged && r.ReasonCode <= cessation && r.At.After(res.Time)
		if r.Status != pki.StatusRevoked || harmless {
			continue
		}
		res.Trusted, res.Time = false, time.Time{}
		res.Reasons = append(res.Reasons, pki.Reason{
			Code: pki.CodeRevoked, Sub: pki.RevokedNoPOE,
			Detail: res.Chain[i].Subject.String() + ", " + r.At.UTC().Format(time.RFC3339),
		})
	}
}

// detail names the first reason.
func detail(reasons pki.Reasons, lang string) string {
	if len(reasons) == 0 {
		return ""
	}
	return reasons[0].Text(lang)
}

// remarks are reasons that do not decide.
func remarks(reasons pki.Reasons) pki.Reasons {
	out := slices.Clone(reasons)
	for i := range out {
		out[i].Sub = ""
	}
	return out
}

// pool is the certificates of CMS data and of the document's store, all untrusted.
func (v *verifier) pool(sd *cms.SignedData) []*x509.Certificate {
	return append(slices.Clone(sd.Certificates()), v.evidence().certs...)
}
