package pki

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"
)

// Bounds of one search (DESIGN: nothing untrusted is examined without bounds).
const (
	maxPath       = 8
	maxSignatures = 100
	maxPool       = 1000
)

// ChainResult is the verdict on one certificate.
type ChainResult struct {
	// Trusted is true when a chain ends in an anchor and every check held at the given time.
	Trusted bool
	// Chain is the best path found, leaf first; it ends in the anchor when Anchored. It has at least the leaf.
	Chain []*x509.Certificate
	// Anchored tells that the path ends in an anchor, whatever else is wrong with it.
	Anchored bool
	// Reasons say why Trusted is false; empty when it is true.
	Reasons Reasons
}

// BuildChain looks for a path from leaf through pool and trust.Intermediates to an anchor (trust.Roots; for
// UsageTimestamping trust.TimestampRoots) and judges it at the given time by RFC 5280 §6.1: signatures, names,
// validity, authority and path length, key usage, name constraints, policies, critical extensions, and the strength of
// algorithms. Of several paths it reports the first without a fault, else the anchored one with the fewest faults, else
// the longest. The order of pool does not matter; at most 8 certificates in a path, 100 signatures in a search and 1000
// certificates of the pool are examined. Revocation is judged separately: see CheckRevocation.
func BuildChain(leaf *x509.Certificate, pool []*x509.Certificate, trust *Trust, at time.Time, usage Usage) ChainResult {
	if trust == nil {
		trust = &Trust{}
	}
	s := search{anchors: trust.Roots, at: at, usage: usage, checks: maxSignatures}
	if usage == UsageTimestamping {
		s.anchors = trust.TimestampRoots
	}
	if len(pool) > maxPool {
		pool = pool[:maxPool]
		s.limited = true
	}
	s.pools = [2][]*x509.Certificate{trust.Intermediates, pool}
	s.extend([]*x509.Certificate{leaf})
	if s.best.Trusted || s.best.Anchored {
		return s.best
	}
	reasons := Reasons{{Code: CodeNoChain, Sub: NoCertificateChain, Detail: s.missing(leaf)}}
	if s.limited {
		reasons = append(reasons, Reason{Code: CodeLimit, Sub: NoCertificateChain})
	}
	// What is wrong with the leaf itself is worth knowing even without a chain.
	s.best.Reasons = append(reasons, s.judgeOne(s.best.Chain[:1], 0)...)
	return s.best
}

// search is one depth-first search for a path.
type search struct {
	anchors []*x509.Certificate
	pools   [2][]*x509.Certificate
	at      time.Time
	usage   Usage
	checks  int
	limited bool
	best    ChainResult
}

// missing names the issuer at which the longest path ended.
func (s *search) missing(leaf *x509.Certificate) string {
	last := leaf
	if n := len(s.best.Chain); n > 0 {
		last = s.best.Chain[n-1]
	}
	return "issuer " + last.Issuer.String()
}

// extend tries every issuer of the path's last certificate, anchors first, and reports whether a faultless path was
// found.
func (s *search) extend(path []*x509.Certificate) bool {
	last := path[len(path)-1]
	for _, anchor := range s.anchors {
		if anchor.Equal(last) {
			return s.consider(path, true)
		}
	}
	s.consider(path, false)
	if len(path) >= maxPath {
		s.limited = true
		return false
	}
	for _, anchor := range s.anchors {
		if s.issued(anchor, last) && s.consider(push(path, anchor), true) {
			return true
		}
	}
	for _, pool := range s.pools {
		for _, c := range pool {
			if c != nil && !inPath(path, c) && s.issued(c, last) && s.extend(push(path, c)) {
				return true
			}
		}
	}
	return false
}

// issued checks names and the signature, as far as the budget goes. Key identifiers are hints that some authorities get
// wrong; the signature decides.
func (s *search) issued(issuer, child *x509.Certificate) bool {
	if !bytes.Equal(issuer.RawSubject, child.RawIssuer) {
		return false
	}
	if s.checks == 0 {
		s.limited = true
		return false
	}
	s.checks--
	_, ok := signedBy(child.Raw, issuer)
	return ok
}

// consider judges a path and keeps it when it is better than the best so far; true means that nothing is wrong with it.
func (s *search) consider(path []*x509.Certificate, anchored bool) bool {
	r := ChainResult{Chain: path, Anchored: anchored}
	if anchored {
		r.Reasons = s.judge(path)
		r.Trusted = len(r.Reasons) == 0
	}
	better := len(s.best.Chain) == 0 ||
		anchored && (!s.best.Anchored || len(r.Reasons) < len(s.best.Reasons)) ||
		!anchored && !s.best.Anchored && len(path) > len(s.best.Chain)
	if better {
		s.best = r
	}
	return r.Trusted
}

func push(path []*x509.Certificate, c *x509.Certificate) []*x509.Certificate {
	return append(path[:len(path):len(path)], c)
}

// inPath also refuses another certificate of the same name and key, so that cross-certificates make no loops.
func inPath(path []*x509.Certificate, c *x509.Certificate) bool {
	for _, p := range path {
		if p.Equal(c) || bytes.Equal(p.RawSubject, c.RawSubject) &&
			bytes.Equal(p.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) {
			return true
		}
	}
	return false
}

// judge examines an anchored path (leaf first).
func (s *search) judge(path []*x509.Certificate) Reasons {
	var reasons Reasons
	for i := range path {
		reasons = append(reasons, s.judgeOne(path, i)...)
	}
	reasons = append(reasons, checkNames(path)...)
	return append(reasons, checkPolicies(path)...)
}

// judgeOne examines the certificate at index i: its times, strength, extensions, and its right to be where it is.
func (s *search) judgeOne(path []*x509.Certificate, i int) Reasons {
	c := path[i]
	name := c.Subject.String()
	var reasons Reasons
	add := func(code Code, sub Sub, detail string) {
		reasons = append(reasons, Reason{Code: code, Sub: sub, Detail: detail})
	}
	if s.at.After(c.NotAfter) {
		add(CodeExpired, OutOfBoundsNoPOE, name+", "+c.NotAfter.UTC().Format(time.RFC3339))
	}
	if s.at.Before(c.NotBefore) {
		add(CodeNotYetValid, OutOfBoundsNoPOE, name+", "+c.NotBefore.UTC().Format(time.RFC3339))
	}
	for _, oid := range c.UnhandledCriticalExtensions {
		if !understood(oid.String()) {
			add(CodeCritical, ChainConstraints, name+", "+oid.String())
		}
	}
	reasons = append(reasons, CheckKey(PublicKey(c), s.at)...)
	if i < len(path)-1 {
		// An anchor is trusted as such: the signature it carries on itself says nothing.
		if _, oid, params, _, _, ok := signedParts(c.Raw); ok {
			if a, err := ParseSignatureAlgorithm(oid, params, 0); err == nil {
				reasons = append(reasons, CheckDigest(a.Hash, s.at)...)
			}
		}
	}
	if i == 0 {
		return append(reasons, CheckUsage(c, s.usage)...)
	}
	return append(reasons, s.judgeIssuer(path, i)...)
}

// judgeIssuer examines whether a certificate above the leaf may issue what stands below it (RFC 5280 §6.1.4 k to n).
func (s *search) judgeIssuer(path []*x509.Certificate, i int) Reasons {
	c := path[i]
	name := c.Subject.String()
	var reasons Reasons
	oldAnchor := c.Version < 3 && i == len(path)-1
	if !oldAnchor && (!c.BasicConstraintsValid || !c.IsCA) {
		reasons = append(reasons, Reason{Code: CodeNotAuthority, Sub: ChainConstraints, Detail: name})
	}
	if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
		reasons = append(reasons, Reason{Code: CodeNotAuthority, Sub: ChainConstraints, Detail: name + ", key usage"})
	}
	if c.MaxPathLen > 0 || c.MaxPathLen == 0 && c.MaxPathLenZero {
		between := 0
		for _, below := range path[1:i] {
			if !bytes.Equal(below.RawSubject, below.RawIssuer) {
				between++
			}
		}
		if between > c.MaxPathLen {
			reasons = append(reasons, Reason{Code: CodePathLength, Sub: ChainConstraints, Detail: name})
		}
	}
	if s.usage == UsageTimestamping && hasUsages(c) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageTimeStamping) &&
		!slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
		reasons = append(reasons, Reason{Code: CodeTimestampUsage, Sub: ChainConstraints, Detail: name})
	}
	return reasons
}

// understood lists critical extensions that crypto/x509 leaves to us: name and policy constraints, policy mappings,
// inhibitAnyPolicy, and qualified-certificate statements, which restrict nothing.
func understood(oid string) bool {
	switch oid {
	case "2.5.29.30", "2.5.29.33", "2.5.29.36", "2.5.29.54", "1.3.6.1.5.5.7.1.3":
		return true
	}
	return false
}

// CheckUsage examines whether a certificate may be used so: nil, or the reason why not. BuildChain does it for the leaf.
func CheckUsage(c *x509.Certificate, usage Usage) Reasons {
	bad := func(code Code, detail string) Reasons {
		return Reasons{{Code: code, Sub: ChainConstraints, Detail: detail}}
	}
	signs := c.KeyUsage == 0 || c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) != 0
	switch usage {
	case UsageSigning:
		if !signs {
			return bad(CodeUsage, "key usage")
		}
		if hasUsages(c) && onlyForeignUsages(c) {
			return bad(CodeUsage, "extended key usage")
		}
	case UsageTimestamping:
		if !signs || len(c.ExtKeyUsage) != 1 || len(c.UnknownExtKeyUsage) != 0 ||
			!slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageTimeStamping) || !usageCritical(c) {
			return bad(CodeTimestampUsage, "extended key usage must be timeStamping, critical and only")
		}
	case UsageOCSP:
		if !signs || !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
			return bad(CodeUsage, "OCSP signing")
		}
	case UsageCRL:
		if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCRLSign == 0 {
			return bad(CodeUsage, "CRL signing")
		}
	}
	return nil
}

// onlyForeignUsages tells that a certificate is made for servers, time stamps or OCSP; beside these, clientAuth makes no
// signer's certificate of it, though alone it does, as on many identity cards.
func onlyForeignUsages(c *x509.Certificate) bool {
	foreign := false
	for _, u := range c.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageOCSPSigning:
			foreign = true
		case x509.ExtKeyUsageClientAuth:
		default:
			return false
		}
	}
	return foreign && len(c.UnknownExtKeyUsage) == 0
}

func hasUsages(c *x509.Certificate) bool { return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 }

// usageCritical tells whether the extended key usage extension is critical.
func usageCritical(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if e.Id.String() == "2.5.29.37" {
			return e.Critical
		}
	}
	return false
}
