// Command generate makes the test PKI of certs-testdata: `go generate ./certs-testdata` from the repository root.
//
// It writes NAME.pem (certificate) and NAME.key (PKCS#8) per identity and NAME.crl per authority. Files that exist are
// kept, so that a new case does not change the old ones; -force makes everything anew.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

func main() {
	dir := flag.String("dir", ".", "folder to write to")
	force := flag.Bool("force", false, "make everything anew, replacing files that exist")
	flag.Parse()
	if err := run(*dir, *force); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// keyKind is the kind of key of a case.
type keyKind int

const (
	p256 keyKind = iota
	rsa2048
	rsa1024
)

// purpose decides on usages and extensions.
type purpose int

const (
	person purpose = iota
	authority
	timestamping
	ocspSigning
	tlsServer
)

// spec is one case.
type spec struct {
	name, issuer string // issuer "" = self-signed
	cn, org      string
	email        string
	key          keyKind
	purpose      purpose
	from, to     time.Time // zero: from validFrom to validTo
	revoked      bool
}

// Dates: valid long enough that no test fails by the calendar.
func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

func validFrom() time.Time { return day(2020, 1, 1) }
func validTo() time.Time   { return day(2120, 1, 1) }

// Revocation: after the start of the certificate, before the CRL.
func revokedAt() time.Time { return day(2024, 6, 1) }
func crlFrom() time.Time   { return day(2024, 6, 2) }

const (
	ca       = "Cơ quan chứng thực thử nghiệm (TEST ONLY)"
	province = "Ủy ban nhân dân tỉnh Thử Nghiệm (TEST ONLY)"
	district = "Sở Thử Nghiệm (TEST ONLY)"
)

// specs lists every case; an issuer stands before what it issues.
func specs() []spec {
	return []spec{
		{name: "root", cn: "Test Root CA", org: ca, key: rsa2048, purpose: authority},
		{name: "issuing-rsa", issuer: "root", cn: "Test Issuing CA RSA", org: ca, key: rsa2048, purpose: authority},
		{name: "issuing-ec", issuer: "root", cn: "Test Issuing CA EC", org: ca, key: p256, purpose: authority},
		{name: "official-rsa", issuer: "issuing-rsa", cn: "Nguyễn Văn An", org: province, email: "an@thunghiem.example", key: rsa2048},
		{name: "official-ec", issuer: "issuing-ec", cn: "Trần Thị Bình", org: province, email: "binh@thunghiem.example"},
		{name: "leader-rsa", issuer: "issuing-rsa", cn: "Lê Hoàng Cường", org: province, email: "cuong@thunghiem.example", key: rsa2048},
		{name: "leader-ec", issuer: "issuing-ec", cn: "Phạm Quỳnh Dương", org: province, email: "duong@thunghiem.example"},
		{name: "seal-rsa", issuer: "issuing-rsa", cn: province, org: province, email: "vanthu@thunghiem.example", key: rsa2048},
		{name: "seal-ec", issuer: "issuing-ec", cn: province, org: province, email: "vanthu@thunghiem.example"},
		{name: "seal-second", issuer: "issuing-ec", cn: district, org: district, email: "vanthu@sothunghiem.example"},
		{name: "tsa", issuer: "issuing-ec", cn: "Test Time Stamping Authority", org: ca, purpose: timestamping},
		{name: "ocsp", issuer: "issuing-ec", cn: "Test OCSP Responder", org: ca, purpose: ocspSigning},

		{name: "expired", issuer: "issuing-ec", cn: "Người ký đã hết hạn", org: province, to: day(2022, 1, 1)},
		{name: "not-yet-valid", issuer: "issuing-ec", cn: "Người ký chưa có hiệu lực", org: province, from: day(2110, 1, 1)},
		{name: "revoked", issuer: "issuing-ec", cn: "Người ký đã bị thu hồi", org: province, revoked: true},
		{name: "wrong-usage", issuer: "issuing-ec", cn: "server.thunghiem.example", org: province, purpose: tlsServer},
		{name: "weak-key", issuer: "issuing-rsa", cn: "Người ký khóa yếu", org: province, key: rsa1024},
		{name: "other-root", cn: "Test Other Root CA", org: ca, key: p256, purpose: authority},
		{name: "other-official", issuer: "other-root", cn: "Trần Thị Bình", org: province, email: "binh@thunghiem.example"},
		{name: "other-tsa", issuer: "other-root", cn: "Test Other Time Stamping Authority", org: ca, purpose: timestamping},
	}
}

// identity is a case on disk.
type identity struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func run(dir string, force bool) error {
	made := map[string]identity{}
	entries := map[string][]x509.RevocationListEntry{}
	for _, s := range specs() {
		id, err := load(dir, s.name)
		if force || errors.Is(err, fs.ErrNotExist) {
			id, err = s.make(made[s.issuer])
			if err == nil {
				err = id.save(dir, s.name)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		made[s.name] = id
		if s.revoked {
			entries[s.issuer] = append(entries[s.issuer], x509.RevocationListEntry{
				SerialNumber: id.cert.SerialNumber, RevocationTime: revokedAt(), ReasonCode: 1})
		}
	}
	for _, s := range specs() {
		path := filepath.Join(dir, s.name+".crl")
		if _, err := os.Stat(path); s.purpose != authority || err == nil && !force {
			continue
		}
		if err := writeCRL(path, made[s.name], entries[s.name]); err != nil {
			return fmt.Errorf("CRL of %s: %w", s.name, err)
		}
	}
	return nil
}

func newKey(kind keyKind) (crypto.Signer, error) {
	switch kind {
	case rsa2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case rsa1024:
		return rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // the weak key of the weak-key case
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// make creates the key and the certificate; a zero issuer means self-signed.
func (s spec) make(issuer identity) (identity, error) {
	key, err := newKey(s.key)
	if err != nil {
		return identity{}, err
	}
	template, err := s.template(key.Public())
	if err != nil {
		return identity{}, err
	}
	if s.issuer == "" {
		issuer = identity{key, template}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		return identity{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return identity{key, cert}, err
}

func (s spec) template(public crypto.PublicKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(spki)
	c := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), SubjectKeyId: sum[:20],
		Subject:   pkix.Name{Country: []string{"VN"}, Organization: []string{s.org}, CommonName: s.cn},
		NotBefore: validFrom(), NotAfter: validTo(), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if !s.from.IsZero() {
		c.NotBefore = s.from
	}
	if !s.to.IsZero() {
		c.NotAfter = s.to
	}
	if s.email != "" {
		c.EmailAddresses = []string{s.email}
	}
	return c, s.setUsage(c)
}

// setUsage fills in usages and extensions by purpose.
func (s spec) setUsage(c *x509.Certificate) error {
	switch s.purpose {
	case person:
		c.KeyUsage |= x509.KeyUsageContentCommitment
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 36}} // document signing, RFC 9336
	case authority:
		c.IsCA = true
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		c.MaxPathLenZero = s.issuer != ""
		if s.issuer == "" {
			c.MaxPathLen = 1
		}
	case timestamping:
		// RFC 3161 §2.3 wants the extension critical, which crypto/x509 does not do by itself.
		value, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
		if err != nil {
			return err
		}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: value}}
	case ocspSigning:
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes}}
	case tlsServer:
		c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		c.DNSNames = []string{s.cn}
	}
	return nil
}

func load(dir, name string) (identity, error) {
	certPEM, err := os.ReadFile(filepath.Join(dir, name+".pem"))
	if err != nil {
		return identity{}, err
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, name+".key"))
	if err != nil {
		return identity{}, err
	}
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return identity{}, errors.New("not PEM")
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return identity{}, err
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return identity{}, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return identity{}, fmt.Errorf("key of type %T", key)
	}
	return identity{signer, cert}, nil
}

func (id identity) save(dir, name string) error {
	der, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		return err
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.cert.Raw})
	if err := os.WriteFile(filepath.Join(dir, name+".key"), key, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".pem"), cert, 0o600)
}

func writeCRL(path string, issuer identity, entries []x509.RevocationListEntry) error {
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: crlFrom(), NextUpdate: validTo(), RevokedCertificateEntries: entries,
	}, issuer.cert, issuer.key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o600)
}
