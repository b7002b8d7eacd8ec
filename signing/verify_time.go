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
	existed := v.provenBy(it)
	at := v.at
	if !existed.IsZero() {
		at = existed
	}
	res := it.token.Verify(v.contentDigest(it), tsa.VerifyOptions{Trust: v.trust, At: at, Pool: v.pool(it.token.SignedData)})
	it.describe(res.Signer)
	it.chain, it.out.Algorithm = res.Chain, res.Algorithm
	it.valid, it.trusted = res.Intact, res.Trusted
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

// provenBy is the earliest trusted time of the document time stamps whose signed bytes include all of it.
func (v *verifier) provenBy(it *item) time.Time {
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

// checkTimestampOrder compares the trusted document time stamps with one another: one that stands later in the file
// covers the earlier ones and cannot be older.
func (v *verifier) checkTimestampOrder() {
	var last *item
	for _, it := range v.items {
		if it.token == nil || it.proven.IsZero() {
			continue
		}
		if last != nil && it.proven.Add(it.accuracy).Before(last.proven.Add(-last.accuracy)) {
			it.reasons = append(it.reasons, pki.Reason{Code: codeTimestampOrder, Sub: pki.TimestampOrder})
		}
		last = it
	}
}

// signatureTimestamps judges the time-stamp tokens in the unsigned attributes (ETSI EN 319 122-1 §5.3).
func (v *verifier) signatureTimestamps(it *item) {
	at := v.at
	if t := v.provenBy(it); !t.IsZero() {
		at, it.proven = t, t
	}
	for _, si := range it.signed.Signers[:1] {
		for _, der := range si.Timestamps() {
			token, err := tsa.ParseToken(der)
			if err != nil {
				it.fault(Altered, pki.Reason{Code: codeTimestampBad, Sub: pki.SigConstraints, Detail: err.Error()})
				continue
			}
			pool := append(v.pool(token.SignedData), it.signed.Certificates()...)
			res := token.Verify(cms.DigestOf(si.Signature), tsa.VerifyOptions{Trust: v.trust, At: at, Pool: pool})
			v.takeToken(it, token, res)
		}
	}
}

// takeToken takes the result of one signature time stamp. An untrusted one gives no time and is only remarked.
func (v *verifier) takeToken(it *item, token *tsa.Token, res tsa.Result) {
	if !res.Intact {
		it.fault(broken(res.Reasons), pki.Reason{Code: codeTimestampBad, Sub: pki.SigConstraints, Detail: detail(res.Reasons)})
		return
	}
	it.stamped = true
	if !res.Trusted {
		it.reasons = append(it.reasons, remarks(res.Reasons)...)
		return
	}
	if !it.proven.IsZero() && token.Time.Add(-token.Accuracy).After(it.proven) {
		// A document time stamp that covers this token is older than it: one of the two is wrong.
		it.reasons = append(it.reasons, pki.Reason{Code: codeTimestampOrder, Sub: pki.TimestampOrder})
		return
	}
	it.proven, it.accuracy = res.Time, token.Accuracy
}

// detail names the first reason.
func detail(reasons pki.Reasons) string {
	if len(reasons) == 0 {
		return ""
	}
	return reasons[0].Text("en")
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
