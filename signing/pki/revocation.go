package pki

import (
	"crypto/x509"
	"encoding/pem"
	"time"
)

// Status is what revocation data says about a certificate (trạng thái thu hồi).
type Status string

// The three answers of CheckRevocation.
const (
	StatusGood    Status = "good"
	StatusRevoked Status = "revoked"
	StatusUnknown Status = "unknown"
)

// Evidence is revocation data from a document, a DSS dictionary or the operator (DER or PEM, untrusted).
type Evidence struct {
	CRLs, OCSPs [][]byte
}

// Revocation is the verdict on the revocation of one certificate.
type Revocation struct {
	Status Status
	// At is when the certificate was revoked, ReasonCode why (RFC 5280 §5.3.1); both only for StatusRevoked.
	At         time.Time
	ReasonCode int
	// Source is "crl" or "ocsp"; ThisUpdate, NextUpdate (may be zero) and ProducedAt are those of the data used.
	Source                             string
	ThisUpdate, NextUpdate, ProducedAt time.Time
	// Reasons say why the status is revoked or unknown.
	Reasons Reasons
}

// RevocationOptions say when and with whose help revocation is judged.
type RevocationOptions struct {
	// At is the time for which the status is wanted: the proven signing time, or now.
	At time.Time
	// Now is the time of judging; data that claims to be newer is refused. Zero means At.
	Now time.Time
	// Pool may hold certificates of CRL issuers and OCSP responders (untrusted).
	Pool []*x509.Certificate
	// Trust anchors separately certified CRL issuers, and brings the operator's own revocation data.
	Trust *Trust
}

const (
	// clockSkew is tolerated between an authority's clock and ours.
	clockSkew = 5 * time.Minute
	// noNextUpdate is how long data without nextUpdate counts as fresh.
	noNextUpdate = 24 * time.Hour
	// maxEvidence bounds the pieces of evidence examined for one certificate, maxEvidenceSize each piece in bytes.
	maxEvidence     = 200
	maxEvidenceSize = 64 << 20
)

// CheckRevocation judges whether cert, issued by issuer, was revoked. Data counts only when its signature, issuer, scope
// and times hold: signed by the issuer itself, by another certificate of the same name that chains to an anchor (CRL),
// or by a responder that the issuer certified for OCSP; no delta or indirect CRLs; thisUpdate not after Now; and either
// issued at or after At, or still fresh at At (nextUpdate). Data issued after the certificate had expired says "good"
// only when it promises to keep expired certificates. A revocation found anywhere wins over "good", and of several the
// earliest counts. Whether the revocation came before the signature is for the caller to judge.
func CheckRevocation(cert, issuer *x509.Certificate, ev Evidence, o RevocationOptions) Revocation {
	if o.Now.IsZero() {
		o.Now = o.At
	}
	crls, ocsps := ev.CRLs, ev.OCSPs
	if o.Trust != nil {
		crls = append(o.Trust.CRLs[:len(o.Trust.CRLs):len(o.Trust.CRLs)], crls...)
		ocsps = append(o.Trust.OCSPs[:len(o.Trust.OCSPs):len(o.Trust.OCSPs)], ocsps...)
	}
	best := Revocation{Status: StatusUnknown}
	examined := 0
	take := func(source string, pieces [][]byte, judge func([]byte, *x509.Certificate, *x509.Certificate, *RevocationOptions) Revocation) {
		for _, der := range pieces {
			if examined++; examined > maxEvidence || len(der) > maxEvidenceSize {
				best.Reasons = append(best.Reasons, Reason{Code: CodeLimit, Sub: TryLater, Detail: source})
				return
			}
			r := judge(plainDER(der), cert, issuer, &o)
			r.Source = source
			best = better(best, r)
		}
	}
	take("ocsp", ocsps, judgeOCSP)
	take("crl", crls, judgeCRL)
	switch {
	case best.Status == StatusGood:
		best.Reasons = nil
	case best.Status == StatusUnknown && len(best.Reasons) == 0:
		best.Reasons = Reasons{{Code: CodeNoRevocation, Sub: TryLater, Detail: cert.Subject.String()}}
	}
	return best
}

// CheckChain judges the revocation of every certificate of a chain (leaf first) below its last one, in that order.
func CheckChain(chain []*x509.Certificate, ev Evidence, o RevocationOptions) []Revocation {
	var all []Revocation
	for i := 0; i+1 < len(chain); i++ {
		o := o
		o.Pool = append(o.Pool[:len(o.Pool):len(o.Pool)], chain...)
		all = append(all, CheckRevocation(chain[i], chain[i+1], ev, o))
	}
	return all
}

// better keeps the stronger of two findings: the earliest revocation, else the newest "good", else the first unknown
// with the reasons of all.
func better(best, r Revocation) Revocation {
	rank := func(s Status) int {
		switch s {
		case StatusRevoked:
			return 2
		case StatusGood:
			return 1
		}
		return 0
	}
	switch a, b := rank(best.Status), rank(r.Status); {
	case b > a, a == b && b == 2 && r.At.Before(best.At), a == b && b == 1 && r.ThisUpdate.After(best.ThisUpdate):
		return r
	case a == 0 && b == 0:
		best.Reasons = append(best.Reasons, r.Reasons...)
	}
	return best
}

// unknown is a finding that says nothing; data of other authorities gives no reason at all.
func unknown(code Code, detail string) Revocation {
	return Revocation{Status: StatusUnknown, Reasons: Reasons{{Code: code, Sub: TryLater, Detail: detail}}}
}

func revoked(at time.Time, reason int, cert *x509.Certificate) Revocation {
	detail := cert.Subject.String() + ", " + at.UTC().Format(time.RFC3339)
	return Revocation{Status: StatusRevoked, At: at.UTC(), ReasonCode: reason,
		Reasons: Reasons{{Code: CodeRevoked, Sub: Revoked, Detail: detail}}}
}

// fresh judges the times of data that says "good"; keepsExpired tells since when expired certificates stay listed.
func fresh(thisUpdate, nextUpdate time.Time, cert *x509.Certificate, keepsExpired time.Time, o *RevocationOptions) (Reason, bool) {
	stamp := thisUpdate.UTC().Format(time.RFC3339)
	if thisUpdate.After(o.Now.Add(clockSkew)) {
		return Reason{Code: CodeRevocationFuture, Sub: TryLater, Detail: stamp}, false
	}
	if thisUpdate.After(cert.NotAfter) && (keepsExpired.IsZero() || keepsExpired.After(cert.NotAfter)) {
		return Reason{Code: CodeRevocationScope, Sub: TryLater, Detail: "issued after the certificate expired"}, false
	}
	if nextUpdate.IsZero() {
		nextUpdate = thisUpdate.Add(noNextUpdate)
	}
	if thisUpdate.Before(o.At) && nextUpdate.Before(o.At) {
		return Reason{Code: CodeRevocationStale, Sub: TryLater, Detail: stamp}, false
	}
	return Reason{}, true
}

// weakness judges the strength of the signature on revocation data at the time when it was made.
func weakness(a SignatureAlgorithm, signer *x509.Certificate, at time.Time) Reasons {
	return append(CheckDigest(a.Hash, at), CheckKey(PublicKey(signer), at)...)
}

// plainDER unwraps PEM, in which operators keep CRLs.
func plainDER(data []byte) []byte {
	if len(data) > 0 && data[0] == '-' {
		if block, _ := pem.Decode(data); block != nil {
			return block.Bytes
		}
	}
	return data
}
