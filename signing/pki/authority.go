package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"vanthu/signing/keys"
)

// KeyType is the kind of key that an Authority makes.
type KeyType string

// Key types of new keys.
const (
	P256    KeyType = "p256"
	RSA2048 KeyType = "rsa2048"
	RSA3072 KeyType = "rsa3072"
	Ed25519 KeyType = "ed25519"
)

// Options of an Authority. The zero value works.
type Options struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Validity of the authority's own certificate; zero means 20 years.
	Validity time.Duration
	// KeyType of the authority's own key; empty means P256.
	KeyType KeyType
	// CRLURL and OCSPURL, when set, are written into issued certificates as their CRL distribution point and as the
	// address of their OCSP responder. See [Authority.CRLDoor] and [Authority.OCSP].
	CRLURL, OCSPURL string
}

// IssuedUsage is what an issued certificate is for.
type IssuedUsage int

// Usages of certificates that an Authority issues.
const (
	// UsagePerson is an official's signature (chữ ký số cá nhân).
	UsagePerson IssuedUsage = iota
	// UsageSeal is an agency's seal (chữ ký số cơ quan, con dấu).
	UsageSeal
	// UsageTSA is a time-stamp authority.
	UsageTSA
	// UsageTLS is a TLS server.
	UsageTLS
	// UsageReceipt signs receipts (biên nhận) between hubs.
	UsageReceipt
	// UsageOCSPResponder signs OCSP responses for this authority.
	UsageOCSPResponder
	// UsageAuthority is a subordinate authority that may issue end-entity certificates only.
	UsageAuthority
	// UsageContent opens content that is encrypted to an agency.
	UsageContent
)

// IssueRequest says what to issue.
type IssueRequest struct {
	Subject pkix.Name
	Usage   IssuedUsage
	// DNSNames, IPs and Emails become subject alternative names.
	DNSNames []string
	IPs      []net.IP
	Emails   []string
	// Key is the holder's key; nil makes a new one of KeyType (empty: P256).
	Key     crypto.Signer
	KeyType KeyType
	// NotBefore defaults to one hour ago, NotAfter to NotBefore plus 5 years (never after the authority's own end).
	NotBefore, NotAfter time.Time
}

// Validity defaults, and the life of one CRL.
const (
	year              = 365 * 24 * time.Hour
	authorityValidity = 20 * year
	issuedValidity    = 5 * year
	backdate          = time.Hour
	crlValidity       = 7 * 24 * time.Hour
)

// Files of Save.
const (
	certificateFile = "ca.pem"
	keyFile         = "ca.key"
	crlFile         = "ca.crl"
)

// Authority is a small certificate authority (cơ quan chứng thực nội bộ) for a hub that has none: it issues, revokes and
// publishes CRLs. It is safe for concurrent use.
type Authority struct {
	key  *keys.Key
	opts Options

	mu      sync.Mutex // guards revoked and served
	revoked []x509.RevocationListEntry
	served  servedList
}

// NewAuthority makes a self-signed authority with a new key.
func NewAuthority(subject pkix.Name, o Options) (*Authority, error) {
	o = o.withDefaults()
	signer, err := NewKey(o.KeyType)
	if err != nil {
		return nil, err
	}
	now := o.Now().UTC()
	template := &x509.Certificate{
		Subject: subject, NotBefore: now.Add(-backdate), NotAfter: now.Add(o.Validity),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	certificate, err := create(template, nil, signer.Public(), signer)
	if err != nil {
		return nil, err
	}
	return &Authority{key: &keys.Key{Signer: signer, Certificate: certificate}, opts: o}, nil
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Validity == 0 {
		o.Validity = authorityValidity
	}
	return o
}

// NewKey makes a private key; the empty type means P256.
func NewKey(t KeyType) (crypto.Signer, error) {
	var signer crypto.Signer
	var err error
	switch t {
	case P256, "":
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RSA2048:
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		signer, err = rsa.GenerateKey(rand.Reader, 3072)
	case Ed25519:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("making a key: unknown type %q", t)
	}
	if err != nil {
		return nil, fmt.Errorf("making a %s key: %w", t, err)
	}
	return signer, nil
}

// create signs a certificate; parent nil means self-signed. Serial number and key identifier are filled in.
func create(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("issuing certificate: %w", err)
	}
	sum := sha256.Sum256(spki)
	template.SubjectKeyId = sum[:20]
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("issuing certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issuing certificate: %w", err)
	}
	return c, nil
}

// newSerial gives 127 random bits, never zero (RFC 5280 §4.1.2.2).
func newSerial() (*big.Int, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:]), nil
}

// Key returns the authority's own key and certificate.
func (a *Authority) Key() *keys.Key { return a.key }

// Certificate returns the authority's certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.key.Certificate }

// Trust returns a Trust with this authority as its only anchor, for signatures and for time stamps.
func (a *Authority) Trust() *Trust {
	anchors := []*x509.Certificate{a.key.Certificate}
	return &Trust{Roots: anchors, TimestampRoots: anchors}
}

// Issue makes a certificate and, unless the request brings one, its key. The chain of the result includes the authority.
func (a *Authority) Issue(r IssueRequest) (*keys.Key, error) {
	signer := r.Key
	if signer == nil {
		var err error
		if signer, err = NewKey(r.KeyType); err != nil {
			return nil, err
		}
	}
	if r.NotBefore.IsZero() {
		r.NotBefore = a.opts.Now().Add(-backdate)
	}
	if r.NotAfter.IsZero() {
		r.NotAfter = r.NotBefore.Add(issuedValidity)
	}
	if end := a.key.Certificate.NotAfter; r.NotAfter.After(end) {
		r.NotAfter = end
	}
	if !r.NotAfter.After(r.NotBefore) {
		return nil, errors.New("issuing certificate: it would end before it begins")
	}
	template := &x509.Certificate{
		Subject: r.Subject, NotBefore: r.NotBefore.UTC(), NotAfter: r.NotAfter.UTC(), BasicConstraintsValid: true,
		DNSNames: r.DNSNames, IPAddresses: r.IPs, EmailAddresses: r.Emails,
	}
	if a.opts.CRLURL != "" {
		template.CRLDistributionPoints = []string{a.opts.CRLURL}
	}
	if a.opts.OCSPURL != "" {
		template.OCSPServer = []string{a.opts.OCSPURL}
	}
	if err := r.Usage.fill(template); err != nil {
		return nil, err
	}
	c, err := create(template, a.key.Certificate, signer.Public(), a.key.Signer)
	if err != nil {
		return nil, err
	}
	return &keys.Key{Signer: signer, Certificate: c, Chain: a.key.Certificates()}, nil
}

// fill sets key usages: RFC 5280 §4.2.1.3, RFC 9336 (document signing), RFC 3161 §2.3, RFC 6960 §4.2.2.2.
func (u IssuedUsage) fill(c *x509.Certificate) error {
	c.KeyUsage = x509.KeyUsageDigitalSignature
	documentSigning := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 36}
	switch u {
	case UsagePerson, UsageSeal:
		c.KeyUsage |= x509.KeyUsageContentCommitment
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageClientAuth}
		c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{documentSigning}
	case UsageReceipt:
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{documentSigning}
	case UsageContent:
		c.KeyUsage = x509.KeyUsageKeyAgreement
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	case UsageTSA:
		// The extension must be critical, which crypto/x509 does not do by itself.
		value, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
		if err != nil {
			return fmt.Errorf("issuing certificate: %w", err)
		}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: value}}
	case UsageTLS:
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	case UsageOCSPResponder:
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		noCheck := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes}
		c.ExtraExtensions = []pkix.Extension{noCheck}
	case UsageAuthority:
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		c.IsCA, c.MaxPathLenZero = true, true
	default:
		return fmt.Errorf("issuing certificate: unknown usage %d", u)
	}
	return nil
}

// Subordinate makes an authority from a key that was issued with UsageAuthority.
func Subordinate(key *keys.Key, o Options) (*Authority, error) {
	if !key.Certificate.IsCA {
		return nil, fmt.Errorf("opening authority: %s is not an authority's certificate", key.Certificate.Subject)
	}
	return &Authority{key: key, opts: o.withDefaults()}, nil
}

// Revoke records a revocation for the next CRL; reason is an RFC 5280 §5.3.1 code. Doing it twice keeps the first.
func (a *Authority) Revoke(serial *big.Int, at time.Time, reason int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.revoked {
		if a.revoked[i].SerialNumber.Cmp(serial) == 0 {
			return
		}
	}
	a.revoked = append(a.revoked, x509.RevocationListEntry{
		SerialNumber: new(big.Int).Set(serial), RevocationTime: at.UTC(), ReasonCode: reason})
}

// CRL returns a new signed CRL (DER), valid for a week. Its number is the time in microseconds, so it always grows.
func (a *Authority) CRL() ([]byte, error) {
	a.mu.Lock()
	entries := append([]x509.RevocationListEntry(nil), a.revoked...)
	a.mu.Unlock()
	now := a.opts.Now().UTC()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(now.UnixMicro()), ThisUpdate: now, NextUpdate: now.Add(crlValidity),
		RevokedCertificateEntries: entries,
	}, a.key.Certificate, a.key.Signer)
	if err != nil {
		return nil, fmt.Errorf("signing CRL: %w", err)
	}
	return der, nil
}

// Save writes ca.pem, ca.key (mode 0600, not encrypted) and ca.crl into an existing folder, each replaced atomically
// and durably.
func (a *Authority) Save(dir string) error {
	certPEM, keyPEM, err := a.key.ToPEM()
	if err != nil {
		return fmt.Errorf("saving authority: %w", err)
	}
	crl, err := a.CRL()
	if err != nil {
		return fmt.Errorf("saving authority: %w", err)
	}
	for _, f := range []struct {
		name string
		data []byte
		mode fs.FileMode
	}{
		{keyFile, keyPEM, 0o600},
		{certificateFile, certPEM, 0o644},
		{crlFile, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl}), 0o644},
	} {
		if err := writeFile(filepath.Join(dir, f.name), f.data, f.mode); err != nil {
			return fmt.Errorf("saving authority: %w", err)
		}
	}
	return nil
}

// LoadAuthority reads what Save wrote, with the revocations of its CRL. A missing file gives fs.ErrNotExist.
func LoadAuthority(dir string, o Options) (*Authority, error) {
	var data [3][]byte
	for i, name := range []string{certificateFile, keyFile, crlFile} {
		var err error
		if data[i], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("loading authority: %w", err)
		}
	}
	key, err := keys.FromPEM(data[0], data[1])
	if err != nil {
		return nil, fmt.Errorf("loading authority: %w", err)
	}
	crl, err := x509.ParseRevocationList(plainDER(data[2]))
	if err != nil {
		return nil, fmt.Errorf("loading authority: reading its CRL: %w", err)
	}
	if _, ok := signedBy(crl.Raw, key.Certificate); !ok {
		return nil, errors.New("loading authority: its CRL is not signed by it")
	}
	a, err := Subordinate(key, o)
	if err != nil {
		return nil, fmt.Errorf("loading authority: %w", err)
	}
	for _, e := range crl.RevokedCertificateEntries {
		a.Revoke(e.SerialNumber, e.RevocationTime, e.ReasonCode)
	}
	return a, nil
}

// writeFile replaces a file so that a crash leaves the old or the new one.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone already when all went well
	if err := errors.Join(f.Chmod(mode), write(f, data), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func write(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return err
}
