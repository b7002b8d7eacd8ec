package receipt

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"

	"vanthu/signing"
)

// Identity says whose a certificate is, from a source other than the bundle: a descriptor, a published list, a call.
type Identity struct {
	Agency      string // code (mã định danh)
	Fingerprint string // SHA-256 of the certificate, lower-case hex
}

// Signer is who really signed a bundle, whatever its statement says.
type Signer struct {
	Subject     string `json:"subject"`
	Issuer      string `json:"issuer"`      // who certified the subject
	Fingerprint string `json:"fingerprint"` // SHA-256 of the certificate, hex
	// Agency is the one that the signer is known to speak for, by the reader or by a trusted authority; "" = unknown.
	Agency string `json:"agency,omitempty"`
}

func fingerprintOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// names tells whether a certificate itself says that it is an agency's: its only organisational unit is the code, as the
// certificates have it that a hub issues to its agencies. That counts only under an authority that is trusted.
func names(c *x509.Certificate, code string) bool {
	return code != "" && slices.Equal(c.Subject.OrganizationalUnit, []string{code})
}

// pinned tells whether the reader knows the certificate to be the agency's.
func (v *verification) pinned(c *x509.Certificate, code string) bool {
	return code != "" && slices.Contains(v.o.Identities, Identity{Agency: code, Fingerprint: fingerprintOf(c)})
}

// identified tells whether a source other than the bundle says that a certificate is the agency's. The bundle's own list
// of parties never does: whoever signs the bundle wrote it.
func (v *verification) identified(c *x509.Certificate, code string, report *signing.Report) bool {
	return v.pinned(c, code) || names(c, code) && report != nil && report.Verdict == signing.TotalPassed
}

// unidentified is what is said of a good signature of somebody whom only the bundle names.
func unidentified(member string, c *x509.Certificate, code string) *problem {
	p := broken(member, "Chưa biết người ký có phải là cơ quan %[1]s không: chỉ chính gói này nói vậy. Chứng thư ký: %[2]s; do %[3]s cấp; SHA-256 %[4]s. Hãy hỏi cơ quan đó qua một đường khác, rồi chỉ rõ chứng thư khi kiểm tra.",
		"Whether the signer is the agency %[1]s is not known: only this bundle says so. Signing certificate: %[2]s; issued by %[3]s; SHA-256 %[4]s. Ask the agency by another way, then name the certificate when verifying.",
		code, c.Subject.String(), c.Issuer.String(), fingerprintOf(c))
	p.unknown = true
	return p
}

// noRootOnly tells whether all that is wrong with a signature is that its chain leads to no trusted root.
func noRootOnly(report *signing.Report) bool {
	return report.Verdict == signing.Indeterminate && len(report.Signatures) == 1 && report.Integrity == signing.Intact &&
		report.Signatures[0].SubIndication == signing.NoCertificateChainFound
}
