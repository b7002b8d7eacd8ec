package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"vanthu/exchange/peer"
	"vanthu/exchange/registry"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
)

// identity is the hub's own keys in its data folder: a small certificate authority, the server's TLS certificate, the
// trial time-stamp authority and one receipt key per agency. All are P-256, in files of mode 0600.
//
//	keys/ca/       the authority (ca.pem, ca.key, ca.crl)
//	keys/tsa.*     the embedded time-stamp authority
//	keys/webhook.key, keys/axis.key  seal the secrets of webhooks and of axis systems
//	keys/peer.key  seals this hub's keys towards other hubs
//	keys/receipt/, keys/content/  one pair per agency, named by the SHA-256 of its code
//	tls/server.*   TLS of every door
type identity struct {
	dir       string
	name      string
	authority *pki.Authority

	mu       sync.Mutex
	agencies map[string]*keys.Key // by file
}

// makeIdentity creates the authority and the keys of a new data folder.
func makeIdentity(dir, name, domain, publicURL string, now func() time.Time) (*identity, error) {
	for _, folder := range []string{"keys/ca", "keys/receipt", "tls"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return nil, fmt.Errorf("make the identity: %w", err)
		}
	}
	authority, err := pki.NewAuthority(pkix.Name{Organization: []string{name}, CommonName: name + " CA"}, authorityOptions(publicURL, now))
	if err != nil {
		return nil, fmt.Errorf("make the certificate authority: %w", err)
	}
	if err := authority.Save(filepath.Join(dir, "keys/ca")); err != nil {
		return nil, fmt.Errorf("save the certificate authority: %w", err)
	}
	id := &identity{dir: dir, name: name, authority: authority, agencies: make(map[string]*keys.Key)}
	if _, err := id.issue("tls/server", pki.IssueRequest{
		Subject: pkix.Name{Organization: []string{name}, CommonName: domain}, Usage: pki.UsageTLS,
		DNSNames: []string{"localhost", domain}, IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		// Browsers and mail programs refuse server certificates of more than 398 days.
		NotBefore: now().Add(-time.Hour), NotAfter: now().Add(397 * 24 * time.Hour),
	}); err != nil {
		return nil, err
	}
	if _, err := id.issue("keys/tsa", pki.IssueRequest{
		Subject: pkix.Name{Organization: []string{name}, CommonName: name + " TSA"}, Usage: pki.UsageTSA,
	}); err != nil {
		return nil, err
	}
	return id, nil
}

// The doors at which the hub tells the status of the certificates it issued.
const (
	ocspPath = "/pki/ocsp"
	crlPath  = "/pki/crl"
)

// authorityOptions writes the doors into certificates where others can reach them.
func authorityOptions(publicURL string, now func() time.Time) pki.Options {
	o := pki.Options{Now: now}
	if base := strings.TrimSuffix(publicURL, "/"); base != "" {
		o.OCSPURL, o.CRLURL = base+ocspPath, base+crlPath
	}
	return o
}

// loadIdentity opens what makeIdentity made.
func loadIdentity(dir, name, publicURL string, now func() time.Time) (*identity, error) {
	authority, err := pki.LoadAuthority(filepath.Join(dir, "keys/ca"), authorityOptions(publicURL, now))
	if err != nil {
		return nil, fmt.Errorf("load the certificate authority of %s: %w", dir, err)
	}
	return &identity{dir: dir, name: name, authority: authority, agencies: make(map[string]*keys.Key)}, nil
}

// issue makes a key, has it certified and writes it as name.pem and name.key.
func (id *identity) issue(name string, request pki.IssueRequest) (*keys.Key, error) {
	key, err := id.authority.Issue(request)
	if err != nil {
		return nil, fmt.Errorf("issue %s: %w", name, err)
	}
	certPEM, keyPEM, err := key.ToPEM()
	if err != nil {
		return nil, fmt.Errorf("save %s: %w", name, err)
	}
	base := filepath.Join(id.dir, name)
	// The key first: a certificate without a key would be found and used, a key without a certificate is made anew.
	if err := errors.Join(writeKeyFile(base+".key", keyPEM), writeKeyFile(base+".pem", certPEM)); err != nil {
		return nil, fmt.Errorf("save %s: %w", name, err)
	}
	return key, nil
}

func (id *identity) load(name string) (*keys.Key, error) {
	base := filepath.Join(id.dir, name)
	certPEM, err := os.ReadFile(base + ".pem")
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(base + ".key")
	if err != nil {
		return nil, err
	}
	return keys.FromPEM(certPEM, keyPEM)
}

// sealKey returns the key that seals the secrets of one purpose in the database, made at its first use.
func (id *identity) sealKey(purpose string) ([]byte, error) {
	const size = 32 // AES-256
	name := filepath.Join(id.dir, "keys", purpose+".key")
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		key := make([]byte, size)
		rand.Read(key) // never fails: crypto/rand ends the program instead
		if err := writeKeyFile(name, []byte(hex.EncodeToString(key)+"\n")); err != nil {
			return nil, fmt.Errorf("make the key that seals %s secrets: %w", purpose, err)
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the key that seals %s secrets: %w", purpose, err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != size {
		return nil, fmt.Errorf("%s is not a key of %d bytes in hex", name, size)
	}
	return key, nil
}

// writeKeyFile writes a file of mode 0600 whole or not at all and makes it durable.
func writeKeyFile(name string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(name), ".new-*") // CreateTemp makes mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // gone already when all went well
	if _, err := temp.Write(data); err != nil {
		return errors.Join(err, temp.Close())
	}
	if err := errors.Join(temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), name)
}

// receiptKey returns the key that signs receipts (biên nhận) in an agency's name, made at its first use.
func (id *identity) receiptKey(_ context.Context, agency registry.AgencyID) (*keys.Key, error) {
	return id.agencyKey(agency, "keys/receipt", "Biên nhận ", pki.UsageReceipt)
}

// contentKey returns the key that opens what other hubs encrypt to an agency, made at its first use.
func (id *identity) contentKey(_ context.Context, agency registry.AgencyID) (*keys.Key, error) {
	return id.agencyKey(agency, "keys/content", "Giải mã ", pki.UsageContent)
}

func (id *identity) agencyKey(agency registry.AgencyID, folder, title string, usage pki.IssuedUsage) (*keys.Key, error) {
	sum := sha256.Sum256([]byte(agency))
	name := folder + "/" + hex.EncodeToString(sum[:16])
	id.mu.Lock()
	defer id.mu.Unlock()
	if key, ok := id.agencies[name]; ok {
		return key, nil
	}
	key, err := id.load(name)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Join(id.dir, folder), 0o700); err != nil {
			return nil, fmt.Errorf("make the folder of keys: %w", err)
		}
		key, err = id.issue(name, pki.IssueRequest{
			Subject: pkix.Name{Organization: []string{id.name}, OrganizationalUnit: []string{string(agency)}, CommonName: title + string(agency)},
			Usage:   usage,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", folder, agency, err)
	}
	id.agencies[name] = key
	return key, nil
}

// tlsPin names the TLS key of every door, for other hubs.
func (id *identity) tlsPin() (string, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(id.dir, "tls/server.pem"), filepath.Join(id.dir, "tls/server.key"))
	if err != nil {
		return "", fmt.Errorf("load the TLS certificate: %w", err)
	}
	return peer.Pin(pair.Leaf.RawSubjectPublicKeyInfo), nil
}

// tlsConfig is the TLS of every door: the hub's own certificate, TLS 1.2 or newer.
func (id *identity) tlsConfig() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(id.dir, "tls/server.pem"), filepath.Join(id.dir, "tls/server.key"))
	if err != nil {
		return nil, fmt.Errorf("load the TLS certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
