package certs

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// now is inside every validity that is not itself the point.
func now() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }

// verify runs the standard library's path validation of a case.
func verify(t *testing.T, name Name, usage x509.ExtKeyUsage) error {
	t.Helper()
	_, chain := Identity(t, name)
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range Roots(t) {
		roots.AddCert(c)
	}
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: now(), KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func TestEveryCaseIsMarkedAndPaired(t *testing.T) {
	for _, name := range Names() {
		signer, chain := Identity(t, name)
		leaf := chain[0]
		if !strings.Contains(strings.Join(leaf.Subject.Organization, " "), "TEST ONLY") {
			t.Errorf("%s: O = %q lacks TEST ONLY", name, leaf.Subject.Organization)
		}
		ok := false
		switch key := leaf.PublicKey.(type) {
		case *rsa.PublicKey:
			ok = key.Equal(signer.Public())
		case *ecdsa.PublicKey:
			ok = key.Equal(signer.Public())
		}
		if !ok {
			t.Errorf("%s: key and certificate do not belong together", name)
		}
		if name == Expired || name == NotYetValid {
			continue
		}
		if leaf.NotBefore.Year() != 2020 || leaf.NotAfter.Year() != 2120 {
			t.Errorf("%s: valid %s to %s, want 2020 to 2120", name, leaf.NotBefore, leaf.NotAfter)
		}
	}
}

func TestGoodCases(t *testing.T) {
	for name, usage := range map[Name]x509.ExtKeyUsage{
		OfficialRSA: x509.ExtKeyUsageEmailProtection, OfficialEC: x509.ExtKeyUsageEmailProtection,
		LeaderRSA: x509.ExtKeyUsageEmailProtection, LeaderEC: x509.ExtKeyUsageEmailProtection,
		SealRSA: x509.ExtKeyUsageEmailProtection, SealEC: x509.ExtKeyUsageEmailProtection,
		SealSecond: x509.ExtKeyUsageEmailProtection, TSA: x509.ExtKeyUsageTimeStamping, OCSP: x509.ExtKeyUsageOCSPSigning,
	} {
		if err := verify(t, name, usage); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		leaf := Certificate(t, name)
		for _, der := range CRL(t) {
			if revokedIn(t, der, leaf) {
				t.Errorf("%s is revoked", name)
			}
		}
		isRSA := strings.HasSuffix(string(name), "-rsa")
		if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok != isRSA || ok && key.N.BitLen() != 2048 {
			t.Errorf("%s: key is a %T", name, leaf.PublicKey)
		}
	}
}

func TestTimestampUsageIsCriticalAndOnly(t *testing.T) {
	for _, name := range []Name{TSA, OtherTSA} {
		c := Certificate(t, name)
		i := slices.IndexFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "2.5.29.37" })
		if i < 0 || !c.Extensions[i].Critical || len(c.ExtKeyUsage) != 1 || len(c.UnknownExtKeyUsage) != 0 {
			t.Errorf("%s: extended key usage is not critical and only", name)
		}
	}
}

func TestBadCases(t *testing.T) {
	invalid := func(name Name, want x509.InvalidReason) {
		t.Helper()
		var e x509.CertificateInvalidError
		if err := verify(t, name, x509.ExtKeyUsageEmailProtection); !errors.As(err, &e) || e.Reason != want {
			t.Errorf("%s: %v, want reason %d", name, err, want)
		}
	}
	invalid(Expired, x509.Expired)
	invalid(NotYetValid, x509.Expired)
	if !Certificate(t, Expired).NotAfter.Before(now()) || !Certificate(t, NotYetValid).NotBefore.After(now()) {
		t.Error("expired or not-yet-valid is valid")
	}
	invalid(WrongUsage, x509.IncompatibleUsage)
	for _, name := range []Name{OtherRoot, OtherOfficial, OtherTSA} {
		var e x509.UnknownAuthorityError
		if err := verify(t, name, x509.ExtKeyUsageAny); !errors.As(err, &e) {
			t.Errorf("%s: %v, want unknown authority", name, err)
		}
	}
	if a, b := Certificate(t, OtherOfficial), Certificate(t, OfficialEC); a.Subject.String() != b.Subject.String() || a.Equal(b) {
		t.Error("other-official must have the subject of official-ec and be another certificate")
	}
	if err := Certificate(t, OtherOfficial).CheckSignatureFrom(Certificate(t, OtherRoot)); err != nil {
		t.Errorf("other-official: %v", err)
	}
	if key, ok := Certificate(t, WeakKey).PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() != 1024 {
		t.Error("weak-key is not RSA-1024")
	}
	if err := verify(t, Revoked, x509.ExtKeyUsageEmailProtection); err != nil {
		t.Errorf("revoked must be good but for the CRL: %v", err)
	}
	if !revokedIn(t, CRL(t, IssuingEC)[0], Certificate(t, Revoked)) {
		t.Error("revoked is not in the CRL")
	}
}

func TestCRLs(t *testing.T) {
	for i, name := range []Name{Root, IssuingRSA, IssuingEC} {
		crl, err := x509.ParseRevocationList(CRL(t)[i])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := crl.CheckSignatureFrom(Certificate(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if crl.NextUpdate.Year() != 2120 {
			t.Errorf("%s: next update %s", name, crl.NextUpdate)
		}
	}
}

func TestPEMHoldsTheChain(t *testing.T) {
	certificates, key := PEM(t, OfficialEC)
	if n := strings.Count(string(certificates), "BEGIN CERTIFICATE"); n != 2 {
		t.Errorf("%d certificates, want leaf and issuer", n)
	}
	if !strings.Contains(string(key), "BEGIN PRIVATE KEY") {
		t.Error("no private key")
	}
}

func revokedIn(t *testing.T, der []byte, c *x509.Certificate) bool {
	t.Helper()
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return crl.Issuer.String() == c.Issuer.String() && slices.ContainsFunc(crl.RevokedCertificateEntries,
		func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(c.SerialNumber) == 0 })
}
