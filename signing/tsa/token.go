package tsa

import (
	"crypto"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/pki"
)

// Token is a parsed TimeStampToken. Its fields are claims until Verify says otherwise.
type Token struct {
	SignedData *cms.SignedData
	// Time is genTime in UTC, Accuracy its tolerance (0 when not given).
	Time     time.Time
	Accuracy time.Duration
	Ordering bool
	Policy   asn1.ObjectIdentifier
	Serial   *big.Int
	Nonce    *big.Int
	// HashOID is the algorithm of the imprint, Hash the same when supported, else 0. Imprint is the digest.
	HashOID asn1.ObjectIdentifier
	Hash    crypto.Hash
	Imprint []byte

	critical bool // a critical extension, which cannot be understood
}

// maxToken bounds a token in bytes.
const maxToken = 1 << 20

// clockSkew is tolerated between an authority's clock and ours.
const clockSkew = 5 * time.Minute

// ParseToken reads a TimeStampToken in DER or BER; zero bytes after it are tolerated (a PDF's /Contents).
func ParseToken(der []byte) (*Token, error) {
	sd, _, err := cms.ParsePadded(der, cms.Limits{MaxSize: maxToken, MaxSigners: 1, MaxCertificates: 32})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !sd.ContentType.Equal(oidTSTInfo()) || !sd.HasContent || len(sd.Signers) != 1 || sd.Trailing != 0 {
		return nil, fmt.Errorf("%w: not one signed TSTInfo", ErrMalformed)
	}
	t := &Token{SignedData: sd}
	if !t.readInfo(sd.Content) {
		return nil, fmt.Errorf("%w: TSTInfo", ErrMalformed)
	}
	return t, nil
}

// oidTSTInfo is id-ct-TSTInfo.
func oidTSTInfo() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
}

// Before tells whether this token was certainly made before the other one: by genTime and the accuracy of both, or by
// genTime alone when both say that their authority's tokens are ordered and come from the same one (RFC 3161 §2.4.2).
func (t *Token) Before(other *Token) bool {
	if t.Ordering && other.Ordering {
		a := t.SignedData.SignerCertificate(t.SignedData.Signers[0])
		b := other.SignedData.SignerCertificate(other.SignedData.Signers[0])
		if a != nil && b != nil && a.Equal(b) {
			return t.Time.Before(other.Time)
		}
	}
	return t.Time.Add(t.Accuracy).Before(other.Time.Add(-other.Accuracy))
}

// VerifyOptions say by whom a token is judged.
type VerifyOptions struct {
	// Trust gives TimestampRoots.
	Trust *pki.Trust
	// At is a time at which the token is known to have existed, usually now: the authority's certificate must have been
	// good then, as well as at the token's own time. Zero means that only the token's own time counts.
	At time.Time
	// Pool holds further certificates (a DSS dictionary), untrusted.
	Pool []*x509.Certificate
}

// Result is the verdict on a token.
type Result struct {
	// Trusted is true when the time may be relied on: Intact, and the authority chains to a trusted time-stamp root.
	Trusted bool
	// Intact is true when the token covers the data and its own signature holds, whoever made it.
	Intact bool
	// Matches is true when the token is over the data, Authentic when its own signature holds; Intact is both.
	Matches, Authentic bool
	// Time is the proven time; zero unless Trusted.
	Time time.Time
	// Signer is the authority's certificate, Chain its path (leaf first).
	Signer *x509.Certificate
	Chain  []*x509.Certificate
	// Algorithm of the token's signature.
	Algorithm string
	// Reasons say why Trusted is false. Weak are algorithm weaknesses by today's rules.
	Reasons, Weak pki.Reasons
}

// Verify judges the token over the data whose digest the caller gives: structure, imprint, signature, ESS binding,
// certificate usage, chain. An untrusted token gives no time. Revocation of the authority is for the caller to judge
// (pki.CheckChain over Result.Chain).
func (t *Token) Verify(data cms.ContentDigest, o VerifyOptions) Result {
	var r Result
	r.Matches = t.checkImprint(data, &r)
	signed := t.SignedData.Verify(t.SignedData.Signers[0], nil, o.Pool...)
	r.Signer, r.Algorithm, r.Weak = signed.Signer, signed.Algorithm, signed.Weak
	switch {
	case signed.Valid && !signed.HasESS:
		// RFC 3161 §2.4.2: the certificate must be bound, or another one of the same key could take its place.
		r.add(pki.CodeMissingAttribute, pki.SigConstraints, "signing-certificate of the time stamp")
	case !signed.Valid:
		r.add(pki.CodeTimestampInvalid, signed.Reasons.Sub(), "")
		r.Reasons = append(r.Reasons, signed.Reasons...)
	}
	if t.critical {
		r.add(pki.CodeCritical, pki.SigConstraints, "time stamp")
	}
	r.Authentic = signed.Valid && signed.HasESS && !t.critical
	r.Intact = len(r.Reasons) == 0
	if r.Signer == nil {
		return r
	}
	judged := o.At
	if judged.IsZero() {
		judged = t.Time
	}
	if t.Time.After(judged.Add(clockSkew)) {
		r.add(pki.CodeTimestampFuture, pki.TimestampOrder, t.Time.Format(time.RFC3339))
	}
	r.Reasons = append(r.Reasons, pki.CheckDigest(t.Hash, judged)...)
	r.Reasons = append(r.Reasons, pki.CheckDigest(signed.Hash, judged)...)
	pool := append(t.SignedData.Certificates(), o.Pool...)
	chain := pki.BuildChain(r.Signer, pool, o.Trust, t.Time, pki.UsageTimestamping)
	if chain.Trusted && !judged.Equal(t.Time) {
		chain = pki.BuildChain(r.Signer, pool, o.Trust, judged, pki.UsageTimestamping)
	}
	r.Chain = chain.Chain
	if !chain.Trusted {
		r.add(pki.CodeTimestampTrust, chain.Reasons.Sub(), r.Signer.Subject.String())
		r.Reasons = append(r.Reasons, chain.Reasons...)
	}
	if r.Trusted = len(r.Reasons) == 0; r.Trusted {
		r.Time = t.Time
	}
	return r
}

func (r *Result) add(code pki.Code, sub pki.Sub, detail string) {
	r.Reasons = append(r.Reasons, pki.Reason{Code: code, Sub: sub, Detail: detail})
}

// checkImprint compares the stamped digest with that of the data.
func (t *Token) checkImprint(data cms.ContentDigest, r *Result) bool {
	if t.Hash == 0 {
		r.add(pki.CodeAlgorithm, pki.CryptoNoPOE, "digest "+t.HashOID.String())
		return false
	}
	digest, err := data(t.Hash)
	if err != nil {
		r.add(pki.CodeNoContent, pki.SignedDataNotFound, "")
		return false
	}
	if len(digest) == 0 || subtle.ConstantTimeCompare(digest, t.Imprint) != 1 {
		r.add(pki.CodeImprint, pki.HashFailure, "")
		return false
	}
	return true
}
