package signing

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"

	"vanthu/signing/pki"
)

// ErrEvidence is wrapped when validation data is missing or says that a certificate was revoked: the text names the
// certificate. Nothing of a lower level is written instead.
var ErrEvidence = errors.New("signing: validation data is missing")

// RevocationSource finds revocation data (nguồn dữ liệu thu hồi) of a certificate: OCSP responses and CRLs in DER or
// PEM. What it gives is judged before it is used, so it may give too much. An error says why there is none.
type RevocationSource interface {
	Fetch(ctx context.Context, cert, issuer *x509.Certificate) (pki.Evidence, error)
}

// Supplied is revocation data at hand.
type Supplied pki.Evidence

// Fetch implements RevocationSource.
func (s Supplied) Fetch(context.Context, *x509.Certificate, *x509.Certificate) (pki.Evidence, error) {
	return pki.Evidence(s), nil
}

// material is the validation data of one signature or time stamp.
type material struct {
	certs []*x509.Certificate
	pki.Evidence
}

func (m *material) addCert(c *x509.Certificate) {
	if !slices.ContainsFunc(m.certs, c.Equal) {
		m.certs = append(m.certs, c)
	}
}

// gatherer finds chains and revocation data.
type gatherer struct {
	ctx    context.Context
	trust  *pki.Trust
	source RevocationSource
	stored pki.Evidence // what the document and the operator have
	pool   []*x509.Certificate
	now    time.Time
}

// newGatherer takes the operator's revocation data apart from the anchors, so that each piece is judged by itself.
func newGatherer(ctx context.Context, trust *pki.Trust, source RevocationSource, now time.Time) *gatherer {
	g := &gatherer{ctx: ctx, source: source, now: now}
	if trust != nil {
		if len(trust.Roots)+len(trust.TimestampRoots) > 0 {
			g.trust = &pki.Trust{Roots: trust.Roots, TimestampRoots: trust.TimestampRoots, Intermediates: trust.Intermediates}
		}
		g.stored = pki.Evidence{CRLs: slices.Clone(trust.CRLs), OCSPs: slices.Clone(trust.OCSPs)}
	}
	return g
}

// gather adds the chain of a signer's certificate and the revocation data of every certificate in it below the anchor.
// at is when the certificate was used, if that is proven, else now.
func (g *gatherer) gather(m *material, leaf *x509.Certificate, pool []*x509.Certificate, usage pki.Usage, at time.Time) error {
	pool = slices.Concat(pool, g.pool)
	trust := g.trust
	if trust == nil {
		trust = selfSigned(append(slices.Clone(pool), leaf))
	}
	found := pki.BuildChain(leaf, pool, trust, at, usage)
	if !found.Anchored {
		last := found.Chain[len(found.Chain)-1]
		return fmt.Errorf("the certificate of %q leads to no trusted authority, %q is missing: %w", leaf.Subject.CommonName, last.Issuer, ErrEvidence)
	}
	for i, c := range found.Chain {
		m.addCert(c)
		if i+1 == len(found.Chain) {
			break
		}
		if err := g.revocation(m, c, found.Chain[i+1], append(pool, found.Chain...), at, false); err != nil {
			return err
		}
	}
	return nil
}

// selfSigned is what chains end in where the operator names no anchors.
func selfSigned(pool []*x509.Certificate) *pki.Trust {
	t := &pki.Trust{}
	for _, c := range pool {
		if string(c.RawIssuer) == string(c.RawSubject) {
			t.Roots = append(t.Roots, c)
		}
	}
	t.TimestampRoots = t.Roots
	return t
}

// revocation finds a piece of data that says that the certificate is good: from the document and the operator, else
// from the source.
func (g *gatherer) revocation(m *material, cert, issuer *x509.Certificate, pool []*x509.Certificate, at time.Time, responder bool) error {
	if at.After(cert.NotAfter) || at.IsZero() {
		at = cert.NotAfter // nothing newer can speak for it
	}
	why := error(nil)
	for _, ask := range []func() (pki.Evidence, error){
		func() (pki.Evidence, error) { return m.Evidence, nil },
		func() (pki.Evidence, error) { return g.stored, nil },
		func() (pki.Evidence, error) {
			if g.source == nil {
				return pki.Evidence{}, nil
			}
			return g.source.Fetch(g.ctx, cert, issuer)
		},
	} {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		ev, err := ask()
		if err != nil {
			why = err
			continue
		}
		o := pki.RevocationOptions{At: at, Now: g.now, Pool: pool, Trust: g.trust}
		done, err := g.use(m, ev, cert, issuer, o, responder)
		if done || err != nil {
			return err
		}
	}
	return errors.Join(fmt.Errorf("nothing says whether the certificate of %q (serial %x, issued by %q) was revoked: %w",
		cert.Subject.CommonName, cert.SerialNumber, cert.Issuer.CommonName, ErrEvidence), why)
}

// use takes the first piece that says "good", OCSP first: it is smaller and newer.
func (g *gatherer) use(m *material, ev pki.Evidence, cert, issuer *x509.Certificate, o pki.RevocationOptions, responder bool) (bool, error) {
	if r := pki.CheckRevocation(cert, issuer, ev, o); r.Status == pki.StatusRevoked {
		return false, fmt.Errorf("the certificate of %q was revoked at %s: %w", cert.Subject.CommonName, r.At.Format(time.RFC3339), ErrEvidence)
	} else if r.Status != pki.StatusGood {
		return false, nil
	}
	for _, piece := range ev.OCSPs {
		if pki.CheckRevocation(cert, issuer, pki.Evidence{OCSPs: [][]byte{piece}}, o).Status != pki.StatusGood {
			continue
		}
		m.OCSPs = addBytes(m.OCSPs, piece)
		return true, g.responder(m, piece, issuer, o, responder)
	}
	for _, piece := range ev.CRLs {
		if pki.CheckRevocation(cert, issuer, pki.Evidence{CRLs: [][]byte{piece}}, o).Status == pki.StatusGood {
			m.CRLs = addBytes(m.CRLs, piece)
			return true, nil
		}
	}
	return false, nil
}

// responder adds the certificate of a delegated OCSP responder, and its own revocation data unless its authority says
// that it needs none (id-pkix-ocsp-nocheck, RFC 6960 §4.2.2.2.1).
func (g *gatherer) responder(m *material, response []byte, issuer *x509.Certificate, o pki.RevocationOptions, already bool) error {
	parsed, err := ocsp.ParseResponse(response, nil)
	if err != nil || parsed.Certificate == nil || parsed.Certificate.Equal(issuer) {
		return nil //nolint:nilerr // the response was judged before; one without a certificate was signed by the issuer
	}
	m.addCert(parsed.Certificate)
	for _, e := range parsed.Certificate.Extensions {
		if e.Id.String() == "1.3.6.1.5.5.7.48.1.5" {
			return nil
		}
	}
	if already {
		return nil // a responder that answers for another one is not followed further
	}
	return g.revocation(m, parsed.Certificate, issuer, o.Pool, o.At, true)
}

func addBytes(list [][]byte, der []byte) [][]byte {
	for _, other := range list {
		if string(other) == string(der) {
			return list
		}
	}
	return append(list, der)
}
