package signing

import (
	"crypto/x509"
	"errors"
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
	v.judgeCertificate(it, signerEvidence{
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

// signerEvidence is what came with the signature, all untrusted.
type signerEvidence struct {
	pool       []*x509.Certificate
	revocation pki.Evidence
	weak       pki.Reasons // algorithms that package cms found weak
}

// judgeCertificate judges chain, validity, revocation and algorithms at the proven time, or now when no time is proven
// (ETSI EN 319 102-1 §5.2.6, §5.2.8, §5.5.4).
func (v *verifier) judgeCertificate(it *item, ev signerEvidence) {
	when := v.at
	if !it.proven.IsZero() {
		when = it.proven
	}
	chain := pki.BuildChain(it.signer, ev.pool, v.trust, when, pki.UsageSigning)
	it.chain, it.trusted = chain.Chain, chain.Trusted
	reasons := chain.Reasons
	if !it.proven.IsZero() && it.proven.Before(it.signer.NotBefore) {
		reasons = append(reasons, pki.Reason{Code: codeTooLate, Sub: pki.NotYetValid, Detail: it.signer.NotBefore.UTC().Format(time.RFC3339)})
	}
	it.reasons = append(it.reasons, reasons...)
	it.judgeAlgorithms(when, ev.weak)
	if chain.Anchored {
		v.judgeRevocation(it, ev, when)
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
func (v *verifier) judgeRevocation(it *item, ev signerEvidence, when time.Time) {
	results := v.checkChain(it.chain, ev.revocation, ev.pool, when)
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
	case v.opts.RequireRevocation:
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

// maxAsked bounds the certificates of one document about which authorities are asked.
const maxAsked = 30

// fetched is what the network gave for one certificate.
type fetched struct {
	pki.Evidence
	err error
}

// checkChain judges the revocation of a chain that ends in an anchor, by the data at hand and, where that says
// nothing, by what the authorities answer.
func (v *verifier) checkChain(chain []*x509.Certificate, ev pki.Evidence, pool []*x509.Certificate, at time.Time) []pki.Revocation {
	o := pki.RevocationOptions{At: at, Now: v.at, Pool: pool, Trust: v.trust}
	results := pki.CheckChain(chain, ev, o)
	if v.opts.Offline || v.opts.Fetcher == nil {
		return results
	}
	o.Pool = append(o.Pool[:len(o.Pool):len(o.Pool)], chain...)
	for i, r := range results {
		if r.Status != pki.StatusUnknown {
			continue
		}
		answer := v.ask(chain[i], chain[i+1])
		switch {
		case answer.err == nil:
			results[i] = pki.CheckRevocation(chain[i], chain[i+1], answer.Evidence, o)
		case !errors.Is(answer.err, pki.ErrNoAddress):
			reason := pki.Reason{Code: codeUnreachable, Sub: pki.TryLater, Detail: chain[i].Subject.String()}
			results[i].Reasons = append(pki.Reasons{reason}, r.Reasons...)
		}
	}
	return results
}

// ask asks about a certificate once, and about a bounded number of them.
func (v *verifier) ask(cert, issuer *x509.Certificate) fetched {
	key := string(cert.Raw)
	if known, ok := v.asked[key]; ok {
		return known
	}
	if len(v.asked) >= maxAsked {
		return fetched{err: pki.ErrAnswer}
	}
	if v.asked == nil {
		v.asked = map[string]fetched{}
	}
	var answer fetched
	answer.Evidence, answer.err = v.opts.Fetcher.Fetch(v.ctx, cert, issuer)
	v.asked[key] = answer
	return answer
}
