// Package pki judges certificates (chứng thư số): chains to trusted authorities by RFC 5280 §6, revocation from CRLs and
// OCSP responses that the caller supplies, and the strength of algorithms by date. It also holds a small certificate
// authority of our own for new installations, demonstrations and tests.
//
// A bad certificate is a result with reasons, never an error. Nothing here reaches for the network.
package pki

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// Trust is what the operator trusts: nothing that comes with a document ever changes it. It is read-only after it has
// been made and may be shared by goroutines.
type Trust struct {
	// Roots are the trust anchors for signing certificates.
	Roots []*x509.Certificate
	// TimestampRoots are the trust anchors for time-stamp authorities.
	TimestampRoots []*x509.Certificate
	// Intermediates help to build chains; they are not trusted by themselves.
	Intermediates []*x509.Certificate
	// CRLs and OCSPs are revocation data that the operator configured (DER).
	CRLs, OCSPs [][]byte
}

// maxTrustFile bounds one PEM file of LoadTrust, in bytes.
const maxTrustFile = 16 << 20

// LoadTrust reads PEM files of certificates and CRLs ("X509 CRL"). Self-signed certificates become anchors, both for
// signatures and for time stamps; so does an authority's certificate whose issuer is in none of the files, because
// naming it means trusting it. All others become intermediates.
func LoadTrust(pemFiles ...[]byte) (*Trust, error) {
	t := &Trust{}
	var certs []*x509.Certificate
	for i, data := range pemFiles {
		if len(data) > maxTrustFile {
			return nil, fmt.Errorf("reading trust file %d: over %d bytes", i+1, maxTrustFile)
		}
		found := false
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			switch block.Type {
			case "CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE":
				c, err := ParseCertificate(block.Bytes)
				if err != nil {
					return nil, fmt.Errorf("reading trust file %d: %w", i+1, err)
				}
				certs = append(certs, c)
				found = true
			case "X509 CRL":
				t.CRLs = append(t.CRLs, block.Bytes)
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("reading trust file %d: no PEM certificate in it", i+1)
		}
	}
	for _, c := range certs {
		if isAnchor(c, certs) {
			t.Roots = append(t.Roots, c)
			t.TimestampRoots = append(t.TimestampRoots, c)
		} else {
			t.Intermediates = append(t.Intermediates, c)
		}
	}
	return t, nil
}

// IsTestCertificate tells whether the certificate belongs to test material: its subject's O contains "TEST ONLY".
// Servers refuse such keys unless they are told to run insecurely.
func IsTestCertificate(c *x509.Certificate) bool {
	for _, o := range c.Subject.Organization {
		if strings.Contains(o, "TEST ONLY") {
			return true
		}
	}
	return false
}

// Usage is what a certificate is used for in a chain.
type Usage int

// Usages that BuildChain checks at the leaf.
const (
	// UsageSigning is the signature of a person or an agency on a document: key usage digitalSignature or
	// nonRepudiation where the extension is present; extended key usages are not restricted, except that a
	// certificate for TLS servers, time stamping or OCSP and nothing else is refused.
	UsageSigning Usage = iota
	// UsageTimestamping is an RFC 3161 authority: extended key usage timeStamping, critical, and no other
	// (RFC 3161 §2.3).
	UsageTimestamping
	// UsageOCSP is a delegated OCSP responder (RFC 6960 §4.2.2.2).
	UsageOCSP
	// UsageCRL is a signer of CRLs: key usage cRLSign where the extension is present.
	UsageCRL
)

// isAnchor is the rule of LoadTrust.
func isAnchor(c *x509.Certificate, all []*x509.Certificate) bool {
	if string(c.RawIssuer) == string(c.RawSubject) {
		return true
	}
	for _, other := range all {
		if other != c && string(other.RawSubject) == string(c.RawIssuer) {
			return false
		}
	}
	return c.IsCA
}
