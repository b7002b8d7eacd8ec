package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func clock() time.Time { return now() }

func subject(cn string) pkix.Name {
	return pkix.Name{Country: []string{"VN"}, Organization: []string{"TEST ONLY"}, CommonName: cn}
}

func newAuthority(t testing.TB, o Options) *Authority {
	t.Helper()
	o.Now = clock
	a, err := NewAuthority(subject("Cơ quan chứng thực nội bộ"), o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestIssuedCertificatesServeTheirUsageOnly(t *testing.T) {
	a := newAuthority(t, Options{CRLURL: "http://hub.example/ca.crl"})
	serves := map[IssuedUsage]Usage{UsagePerson: UsageSigning, UsageSeal: UsageSigning, UsageReceipt: UsageSigning,
		UsageTSA: UsageTimestamping, UsageOCSPResponder: UsageOCSP}
	for _, usage := range []IssuedUsage{UsagePerson, UsageSeal, UsageReceipt, UsageTSA, UsageTLS, UsageOCSPResponder} {
		k, err := a.Issue(IssueRequest{Subject: subject("Nguyễn Văn An"), Usage: usage, DNSNames: []string{"hub.example"},
			IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Emails: []string{"an@hub.example"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, as := range []Usage{UsageSigning, UsageTimestamping, UsageOCSP} {
			want, signs := serves[usage]
			r := BuildChain(k.Certificate, k.Chain, a.Trust(), now(), as)
			if r.Trusted != (signs && want == as) {
				t.Errorf("issued %d, used %d: trusted %v, %v", usage, as, r.Trusted, r.Reasons)
			}
		}
		if c := k.Certificate; c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 127 || len(c.SubjectKeyId) == 0 ||
			!bytes.Equal(c.AuthorityKeyId, a.Certificate().SubjectKeyId) || len(c.CRLDistributionPoints) != 1 {
			t.Errorf("issued %d: serial %s, identifiers %x %x", usage, c.SerialNumber, c.SubjectKeyId, c.AuthorityKeyId)
		}
	}
}

func TestTLSCertificate(t *testing.T) {
	a := newAuthority(t, Options{})
	k, err := a.Issue(IssueRequest{Subject: subject("hub"), Usage: UsageTLS, DNSNames: []string{"hub.example"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	for _, name := range []string{"hub.example", "127.0.0.1"} {
		if _, err := k.Certificate.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now()}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyTypes(t *testing.T) {
	for _, kind := range []KeyType{"", P256, RSA2048, RSA3072, Ed25519} {
		a := newAuthority(t, Options{KeyType: kind})
		k, err := a.Issue(IssueRequest{Subject: subject("An"), KeyType: kind})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if r := BuildChain(k.Certificate, k.Chain, a.Trust(), now(), UsageSigning); !r.Trusted {
			t.Errorf("%s: %v", kind, r.Reasons)
		}
	}
	if _, err := NewAuthority(subject("x"), Options{KeyType: "dsa"}); err == nil {
		t.Error("an unknown key type was taken")
	}
}

func TestValidityIsBounded(t *testing.T) {
	a := newAuthority(t, Options{Validity: 24 * time.Hour})
	k, err := a.Issue(IssueRequest{Subject: subject("An"), NotAfter: now().AddDate(50, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if k.Certificate.NotAfter.After(a.Certificate().NotAfter) {
		t.Error("outlives its authority")
	}
	if _, err := a.Issue(IssueRequest{Subject: subject("An"), NotBefore: now().AddDate(1, 0, 0)}); err == nil {
		t.Error("begins after its end")
	}
	if _, err := a.Issue(IssueRequest{Subject: subject("An"), Usage: 99}); err == nil {
		t.Error("unknown usage")
	}
}

func TestSubordinate(t *testing.T) {
	root := newAuthority(t, Options{})
	key, err := root.Issue(IssueRequest{Subject: subject("Cấp dưới"), Usage: UsageAuthority})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := Subordinate(key, Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	k, err := sub.Issue(IssueRequest{Subject: subject("An")})
	if err != nil {
		t.Fatal(err)
	}
	if r := BuildChain(k.Certificate, k.Chain, root.Trust(), now(), UsageSigning); !r.Trusted || len(r.Chain) != 3 {
		t.Errorf("%v", r.Reasons)
	}
	if _, err := Subordinate(k, Options{}); err == nil {
		t.Error("an official became an authority")
	}
}

func TestSaveLoadAndRevoke(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t, Options{})
	bad, err := a.Issue(IssueRequest{Subject: subject("Bị thu hồi")})
	if err != nil {
		t.Fatal(err)
	}
	good, err := a.Issue(IssueRequest{Subject: subject("An")})
	if err != nil {
		t.Fatal(err)
	}
	a.Revoke(bad.Certificate.SerialNumber, now().Add(-time.Minute), 1)
	a.Revoke(bad.Certificate.SerialNumber, now(), 4)
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file %v, %v", info.Mode(), err)
	}
	back, err := LoadAuthority(dir, Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	if !back.Certificate().Equal(a.Certificate()) {
		t.Error("another certificate came back")
	}
	list, err := back.CRL()
	if err != nil {
		t.Fatal(err)
	}
	o := RevocationOptions{At: now()}
	if r := CheckRevocation(bad.Certificate, back.Certificate(), Evidence{CRLs: [][]byte{list}}, o); r.Status != StatusRevoked || r.ReasonCode != 1 {
		t.Errorf("revoked: %+v", r)
	}
	if r := CheckRevocation(good.Certificate, back.Certificate(), Evidence{CRLs: [][]byte{list}}, o); r.Status != StatusGood {
		t.Errorf("good: %+v", r)
	}
	k, err := back.Issue(IssueRequest{Subject: subject("Sau khi nạp lại")})
	if err != nil {
		t.Fatal(err)
	}
	if r := BuildChain(k.Certificate, nil, a.Trust(), now(), UsageSigning); !r.Trusted {
		t.Errorf("issued after loading: %v", r.Reasons)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLoadRefuses(t *testing.T) {
	if _, err := LoadAuthority(t.TempDir(), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty folder: %v", err)
	}
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		if err := newAuthority(t, Options{}).Save(d); err != nil {
			t.Fatal(err)
		}
	}
	foreign, err := os.ReadFile(filepath.Join(other, crlFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, crlFile), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAuthority(dir, Options{}); err == nil {
		t.Error("a CRL of another authority was taken")
	}
	if err := os.WriteFile(filepath.Join(dir, crlFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAuthority(dir, Options{}); err == nil {
		t.Error("a broken CRL was taken")
	}
}

func TestAuthorityIsConcurrent(t *testing.T) {
	a := newAuthority(t, Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			k, err := a.Issue(IssueRequest{Subject: subject("An")})
			if err != nil {
				t.Error(err)
				return
			}
			a.Revoke(k.Certificate.SerialNumber, now(), 0)
			if _, err := a.CRL(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
