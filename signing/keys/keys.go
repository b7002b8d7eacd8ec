// Package keys holds signing keys (khóa ký) together with their certificates: read from PKCS#12 or PEM files, or made
// from any crypto.Signer, so that a key in a token, an HSM or behind a remote service takes the same place.
//
// The package judges no trust: it only makes sure that the private key and the certificate belong together.
package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// MaxFile is the largest key or certificate file that is read, in bytes.
const MaxFile = 1 << 20

var (
	// ErrPassphrase means that the passphrase does not open the file.
	ErrPassphrase = errors.New("keys: wrong passphrase")
	// ErrNoKey means that the file holds no private key.
	ErrNoKey = errors.New("keys: no private key found")
	// ErrNoCertificate means that no certificate was given for the private key.
	ErrNoCertificate = errors.New("keys: no certificate found for the private key")
	// ErrUnsupported means that the file or key type cannot be used for signing here.
	ErrUnsupported = errors.New("keys: unsupported key or file")
	// ErrDamaged means that the file is not what it should be, or is larger than MaxFile.
	ErrDamaged = errors.New("keys: damaged key file")
)

// Key is a private key that can sign, and the certificates that name its holder. A Key is immutable after it has been
// made, and safe for use by several goroutines when its Signer is.
type Key struct {
	// Signer signs digests; for Ed25519 it signs the message itself (crypto.Hash(0)).
	Signer crypto.Signer
	// Certificate is the holder's certificate; its public key is the Signer's.
	Certificate *x509.Certificate
	// Chain holds the issuing certificates without the leaf, nearest first, as far as they are known.
	Chain []*x509.Certificate
}

// New joins a signer with its certificates. The leaf is the certificate that carries the signer's public key, wherever
// it stands in certs; the rest becomes the chain, ordered from the leaf upwards, strangers last.
// It returns ErrNoCertificate when none fits and ErrUnsupported for keys other than RSA, ECDSA and Ed25519.
func New(signer crypto.Signer, certs ...*x509.Certificate) (*Key, error) {
	if signer == nil {
		return nil, ErrNoKey
	}
	public := signer.Public()
	switch public.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return nil, fmt.Errorf("%w: public key of type %T", ErrUnsupported, public)
	}
	var leaf *x509.Certificate
	for _, c := range certs {
		if c != nil && samePublic(c.PublicKey, public) {
			leaf = c
			break
		}
	}
	if leaf == nil {
		return nil, ErrNoCertificate
	}
	var rest []*x509.Certificate
	for _, c := range certs {
		if c != nil && !c.Equal(leaf) {
			rest = append(rest, c)
		}
	}
	return &Key{Signer: signer, Certificate: leaf, Chain: order(leaf, rest)}, nil
}

// Certificates returns the leaf followed by its chain, in a slice of the caller's own.
func (k *Key) Certificates() []*x509.Certificate {
	return append([]*x509.Certificate{k.Certificate}, k.Chain...)
}

// FromPEM reads a certificate (with its chain, in any order) and an unencrypted private key: PKCS#8, PKCS#1 or SEC 1.
// Both arguments may be the same bytes.
func FromPEM(certPEM, keyPEM []byte) (*Key, error) {
	if len(certPEM) > MaxFile || len(keyPEM) > MaxFile {
		return nil, fmt.Errorf("%w: over %d bytes", ErrDamaged, MaxFile)
	}
	var certs []*x509.Certificate
	for block, rest := pem.Decode(certPEM); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: reading certificate: %w", ErrDamaged, err)
		}
		certs = append(certs, c)
	}
	for block, rest := pem.Decode(keyPEM); block != nil; block, rest = pem.Decode(rest) {
		signer, err := parsePrivate(block)
		if err != nil {
			return nil, err
		}
		if signer != nil {
			return New(signer, certs...)
		}
	}
	return nil, ErrNoKey
}

// ToPEM writes the certificates (leaf first) and the private key (PKCS#8, not encrypted: keep it in a file of mode
// 0600). It returns ErrUnsupported when the private key cannot leave its holder, as in a token.
func (k *Key) ToPEM() (certPEM, keyPEM []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.Signer)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the private key cannot be exported", ErrUnsupported)
	}
	var certs bytes.Buffer
	for _, c := range k.Certificates() {
		if err := pem.Encode(&certs, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}); err != nil {
			return nil, nil, fmt.Errorf("writing certificate: %w", err)
		}
	}
	return certs.Bytes(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parsePrivate returns nil without an error for blocks that are no private key.
func parsePrivate(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, fmt.Errorf("%w: encrypted PEM; use a PKCS#12 file", ErrUnsupported)
	default:
		return nil, nil
	}
	if err != nil || block.Headers["DEK-Info"] != "" {
		// The parser's words may quote key material: they are not passed on.
		return nil, fmt.Errorf("%w: private key cannot be read", ErrDamaged)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: private key of type %T", ErrUnsupported, key)
	}
	return signer, nil
}

func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// order follows issuer names from the leaf upwards; what does not connect keeps its place at the end.
func order(leaf *x509.Certificate, pool []*x509.Certificate) []*x509.Certificate {
	sorted := make([]*x509.Certificate, 0, len(pool))
	used := make([]bool, len(pool))
	for current := leaf; current != nil; {
		var next *x509.Certificate
		for i, c := range pool {
			if !used[i] && bytes.Equal(c.RawSubject, current.RawIssuer) {
				used[i], next = true, c
				sorted = append(sorted, c)
				break
			}
		}
		current = next
	}
	for i, c := range pool {
		if !used[i] {
			sorted = append(sorted, c)
		}
	}
	return sorted
}
