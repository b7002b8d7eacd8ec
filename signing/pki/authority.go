package pki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
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
	// CRLURL, when set, is written into issued certificates as their CRL distribution point.
	CRLURL string
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

// Authority is a small certificate authority (cơ quan chứng thực nội bộ) for a hub that has none: it issues, revokes and
// publishes CRLs. It is safe for concurrent use.
type Authority struct {
	key     *keys.Key
	opts    Options
	revoked []x509.RevocationListEntry
}

// ErrNotReady is replaced by the implementation.
var errNotReady = errors.New("pki: not ready")

// NewAuthority makes a self-signed authority with a new key.
func NewAuthority(subject pkix.Name, o Options) (*Authority, error) { return nil, errNotReady }

// LoadAuthority reads what Save wrote.
func LoadAuthority(dir string, o Options) (*Authority, error) { return nil, errNotReady }

// Save writes ca.pem, ca.key (mode 0600, not encrypted) and ca.crl into an existing folder, each replaced atomically.
func (a *Authority) Save(dir string) error { return errNotReady }

// Key returns the authority's own key and certificate.
func (a *Authority) Key() *keys.Key { return a.key }

// Certificate returns the authority's certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.key.Certificate }

// Trust returns a Trust with this authority as its only anchor.
func (a *Authority) Trust() *Trust { return nil }

// Issue makes a certificate and, unless the request brings one, its key. The chain includes the authority itself.
func (a *Authority) Issue(r IssueRequest) (*keys.Key, error) { return nil, errNotReady }

// Revoke records a revocation for the next CRL; reason is an RFC 5280 §5.3.1 code. Doing it twice keeps the first.
func (a *Authority) Revoke(serial *big.Int, at time.Time, reason int) {}

// CRL returns a new signed CRL (DER), valid for a week.
func (a *Authority) CRL() ([]byte, error) { return nil, errNotReady }
