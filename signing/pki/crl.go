package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// judgeCRL reads what one CRL says about cert (RFC 5280 §6.3).
func judgeCRL(der []byte, cert, issuer *x509.Certificate, o *RevocationOptions) Revocation {
	name, ok := crlIssuer(der)
	if ok && !bytes.Equal(name, cert.RawIssuer) {
		return Revocation{Status: StatusUnknown}
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil || !ok {
		return unknown(CodeRevocationMalformed, "CRL")
	}
	signer, algorithm := crlSigner(crl, issuer, o)
	if signer == nil {
		return unknown(CodeRevocationSignature, "CRL of "+crl.Issuer.String())
	}
	if weak := weakness(algorithm, signer, crl.ThisUpdate); len(weak) > 0 {
		return Revocation{Status: StatusUnknown, Reasons: weak}
	}
	scope, keepsExpired := crlScope(crl, cert)
	if scope == scopeNone {
		return unknown(CodeRevocationScope, "CRL of "+crl.Issuer.String())
	}
	result := Revocation{Status: StatusGood}
	for i := range crl.RevokedCertificateEntries {
		entry := &crl.RevokedCertificateEntries[i]
		if entry.SerialNumber.Cmp(cert.SerialNumber) != 0 {
			continue
		}
		// Reason 8, removeFromCRL, stands only in delta CRLs, which are refused.
		result = revoked(entry.RevocationTime, entry.ReasonCode, cert)
		break
	}
	if result.Status == StatusGood {
		if scope == scopePartial {
			return unknown(CodeRevocationScope, "CRL for some reasons only")
		}
		if reason, ok := fresh(crl.ThisUpdate, crl.NextUpdate, cert, keepsExpired, o); !ok {
			return Revocation{Status: StatusUnknown, Reasons: Reasons{reason}}
		}
	} else if crl.ThisUpdate.After(o.Now.Add(clockSkew)) {
		return unknown(CodeRevocationFuture, crl.ThisUpdate.UTC().Format(time.RFC3339))
	}
	result.ThisUpdate, result.NextUpdate, result.ProducedAt = crl.ThisUpdate.UTC(), crl.NextUpdate.UTC(), crl.ThisUpdate.UTC()
	return result
}

// crlIssuer reads the issuer's name (DER) without the entries, of which a CRL may have very many.
func crlIssuer(der []byte) ([]byte, bool) {
	in := cryptobyte.String(der)
	var list, tbs, name cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !list.ReadASN1(&tbs, cbasn1.SEQUENCE) || !tbs.SkipOptionalASN1(cbasn1.INTEGER) ||
		!tbs.SkipASN1(cbasn1.SEQUENCE) || !tbs.ReadASN1Element(&name, cbasn1.SEQUENCE) {
		return nil, false
	}
	return name, true
}

// crlSigner finds the certificate that signed the CRL: the issuer of the certificate, or another certificate of that
// name which chains to an anchor.
func crlSigner(crl *x509.RevocationList, issuer *x509.Certificate, o *RevocationOptions) (*x509.Certificate, SignatureAlgorithm) {
	if bytes.Equal(issuer.RawSubject, crl.RawIssuer) && len(CheckUsage(issuer, UsageCRL)) == 0 {
		if a, ok := signedBy(crl.Raw, issuer); ok {
			return issuer, a
		}
	}
	tried := 0
	for _, c := range o.Pool {
		if c == nil || !bytes.Equal(c.RawSubject, crl.RawIssuer) || c.Equal(issuer) {
			continue
		}
		if tried++; tried > 8 {
			break
		}
		a, ok := signedBy(crl.Raw, c)
		if ok && BuildChain(c, o.Pool, o.Trust, crl.ThisUpdate, UsageCRL).Trusted {
			return c, a
		}
	}
	return nil, SignatureAlgorithm{}
}

type crlCoverage int

const (
	scopeNone crlCoverage = iota
	scopePartial
	scopeFull
)

// crlScope reads the extensions that say which certificates the CRL is about. keepsExpired is the date of
// expiredCertsOnCRL (X.509 §9.5.2.8), zero when absent.
func crlScope(crl *x509.RevocationList, cert *x509.Certificate) (scope crlCoverage, keepsExpired time.Time) {
	scope = scopeFull
	for _, e := range crl.Extensions {
		switch e.Id.String() {
		case "2.5.29.27": // delta CRL
			return scopeNone, keepsExpired
		case "2.5.29.28":
			scope = distributionScope(e.Value, cert)
		case "2.5.29.60":
			if _, err := asn1.UnmarshalWithParams(e.Value, &keepsExpired, "generalized"); err != nil {
				keepsExpired = time.Time{}
			}
		case "2.5.29.20", "2.5.29.35", "2.5.29.46", "2.5.29.18":
		default:
			if e.Critical {
				return scopeNone, keepsExpired
			}
		}
		if scope == scopeNone {
			break
		}
	}
	for i := range crl.RevokedCertificateEntries {
		for _, e := range crl.RevokedCertificateEntries[i].Extensions {
			if e.Critical && crl.RevokedCertificateEntries[i].SerialNumber.Cmp(cert.SerialNumber) == 0 && !knownEntry(e) {
				return scopeNone, keepsExpired
			}
		}
	}
	return scope, keepsExpired
}

func knownEntry(e pkix.Extension) bool {
	id := e.Id.String()
	return id == "2.5.29.21" || id == "2.5.29.24"
}

// distributionScope reads issuingDistributionPoint (RFC 5280 §5.2.5).
func distributionScope(value []byte, cert *x509.Certificate) crlCoverage {
	in := cryptobyte.String(value)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return scopeNone
	}
	scope := scopeFull
	for !seq.Empty() {
		var field cryptobyte.String
		var tag cbasn1.Tag
		if !seq.ReadAnyASN1(&field, &tag) {
			return scopeNone
		}
		set := len(field) == 1 && field[0] != 0
		switch n := tag & 0x1f; {
		case n == 0 && !pointMatches(field, cert):
			return scopeNone
		case n == 1 && set && cert.IsCA, n == 2 && set && !cert.IsCA, n == 4 && set, n == 5 && set, n > 5:
			return scopeNone
		case n == 3:
			scope = scopePartial
		}
	}
	return scope
}

// pointMatches tells whether one of the distribution point's names stands in the certificate too.
func pointMatches(point cryptobyte.String, cert *x509.Certificate) bool {
	var full cryptobyte.String
	if !point.ReadASN1(&full, cbasn1.Tag(0).Constructed().ContextSpecific()) {
		return false // a name relative to the issuer is not in use
	}
	raw := extension(cert, "2.5.29.31")
	for !full.Empty() {
		var element cryptobyte.String
		var tag cbasn1.Tag
		if !full.ReadAnyASN1Element(&element, &tag) {
			return false
		}
		// The GeneralName as a whole must stand in the certificate's own distribution points.
		if len(element) > 2 && bytes.Contains(raw, element) {
			return true
		}
	}
	return false
}
