package signing

import (
	"crypto/x509"
	"fmt"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/pki"
)

// judgeSignature judges a signature in a PDF: cryptography, time, signer.
func (v *verifier) judgeSignature(it *item) {
	res := v.checkCMS(it, v.evidence().certs)
	if len(it.signed.Signers) == 0 {
		return
	}
	if it.subFilter == subFilterCAdES && !it.signed.Signers[0].NamesCertificate() {
		it.reasons = append(it.reasons, pki.Reason{Code: codeNoESS, Sub: pki.SigConstraints})
	}
	v.judgeSigner(it, it.signed.Signers[0], res)
}

// judgeSigner takes the result of the cryptography and judges time and signer.
func (v *verifier) judgeSigner(it *item, si *cms.SignerInfo, res cms.Result) {
	if res.Signer == nil {
		res.Signer = it.signed.SignerCertificate(si)
	}
	it.describe(res.Signer)
	it.out.Algorithm = res.Algorithm
	it.valid, it.hasESS = res.Valid, si.NamesCertificate()
	if t, ok := si.SigningTime(); ok {
		it.out.ClaimedTime = &t
	}
	pool := v.pool(it.signed)
	v.signatureTimestamps(it, si, pool)
	if it.signer == nil {
		return
	}
	crls, ocsps := si.RevocationInfo()
	it.judgeCertificate(v.trustCheck(), signerEvidence{
		pool: pool,
		revocation: pki.Evidence{
			CRLs:  join(it.signed.RawCRLs, crls, v.evidence().CRLs),
			OCSPs: join(it.signed.RawOCSPs, ocsps, v.evidence().OCSPs),
		},
		weak: res.Weak,
	})
}

func join(lists ...[][]byte) [][]byte {
	var out [][]byte
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// trustCheck is how the signer's certificate is judged.
type trustCheck struct {
	trust             *pki.Trust
	at                time.Time // of judging
	requireRevocation bool
}

func (v *verifier) trustCheck() trustCheck {
	return trustCheck{trust: v.trust, at: v.at, requireRevocation: v.opts.RequireRevocation}
}

// signerEvidence is what came with the signature, all untrusted.
type signerEvidence struct {
	pool       []*x509.Certificate
	revocation pki.Evidence
	weak       pki.Reasons // algorithms that package cms found weak
}

// judgeCertificate judges chain, validity, revocation and algorithms at the proven time, or now when no time is proven
// (ETSI EN 319 102-1 §5.2.6, §5.2.8, §5.5.4).
func (it *item) judgeCertificate(c trustCheck, ev signerEvidence) {
	when := c.at
	if !it.proven.IsZero() {
		when = it.proven
	}
	chain := pki.BuildChain(it.signer, ev.pool, c.trust, when, pki.UsageSigning)
	it.chain, it.trusted = chain.Chain, chain.Trusted
	reasons := chain.Reasons
	if !it.proven.IsZero() && it.proven.Before(it.signer.NotBefore) {
		reasons = append(reasons, pki.Reason{Code: codeTooLate, Sub: pki.NotYetValid, Detail: it.signer.NotBefore.UTC().Format(time.RFC3339)})
	}
	it.reasons = append(it.reasons, reasons...)
	it.judgeAlgorithms(when, ev.weak)
	if chain.Anchored {
		it.judgeRevocation(c, ev, when)
	}
}

// judgeAlgorithms applies the dated policy; a weak algorithm that was sound at the proven time is a remark.
func (it *item) judgeAlgorithms(when time.Time, weak pki.Reasons) {
	if len(weak) == 0 {
		return
	}
	for _, r := range weak {
		if r.Sub == "" {
			r.Sub = pki.CryptoNoPOE
		}
		if !it.proven.IsZero() && r.Code == pki.CodeWeakDigest && len(pki.CheckDigest(it.digestAlgorithm(), when)) == 0 ||
			!it.proven.IsZero() && r.Code == pki.CodeWeakKey && len(pki.CheckKey(pki.PublicKey(it.signer), when)) == 0 {
			r = pki.Reason{Code: codeWeakThen, Detail: r.Detail}
		}
		if r.Sub != "" {
			it.trusted = false
		}
		it.reasons = append(it.reasons, r)
	}
}

// judgeRevocation judges every certificate of the chain below the anchor.
func (it *item) judgeRevocation(c trustCheck, ev signerEvidence, when time.Time) {
	results := pki.CheckChain(it.chain, ev.revocation, pki.RevocationOptions{At: when, Now: c.at, Pool: ev.pool, Trust: c.trust})
	unchecked := pki.Reasons{}
	for i, r := range results {
		switch r.Status {
		case pki.StatusGood:
		case pki.StatusRevoked:
			it.revoked(i, r)
		default:
			unchecked = append(unchecked, r.Reasons...)
		}
	}
	switch {
	case len(unchecked) == 0:
	case c.requireRevocation:
		it.trusted = false
		for _, r := range unchecked {
			r.Sub = pki.TryLater
			it.reasons = append(it.reasons, r)
		}
	default:
		it.reasons = append(it.reasons, pki.Reason{Code: codeNotChecked, Detail: detail(unchecked, "en"), DetailVI: detail(unchecked, "vi")})
	}
}

// revoked judges a revocation of certificate i of the chain: before the proven time of the signature it is fatal,
// after it a remark; without proof it is REVOKED_NO_POE, unless the signer's own claim is later than the revocation.
func (it *item) revoked(i int, r pki.Revocation) {
	text := fmt.Sprintf("%s, %s", it.chain[i].Subject.String(), r.At.UTC().Format(time.RFC3339))
	reason := pki.Reason{Code: pki.CodeRevoked, Sub: pki.RevokedNoPOE, Detail: text}
	switch {
	case !it.proven.IsZero() && it.proven.Add(it.accuracy).Before(r.At):
		it.reasons = append(it.reasons, pki.Reason{Code: codeNotRevokedYet, Detail: text})
		return
	case i > 0:
		reason.Sub = pki.RevokedCANoPOE
	case it.out.ClaimedTime != nil && !it.out.ClaimedTime.Before(r.At):
		reason.Sub = pki.Revoked
	}
	it.trusted = false
	it.reasons = append(it.reasons, reason)
}
