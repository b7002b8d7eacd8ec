// Package tsa makes and judges RFC 3161 time stamps (dấu thời gian): a client for authorities reached over HTTP, an
// embedded authority for trial and tests, and the check of tokens.
package tsa

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
)

// ErrRefused means that the authority answered but granted no token, or one that does not fit the request.
var ErrRefused = errors.New("tsa: the time-stamp authority granted no usable token")

// ErrUnavailable means that the authority could not be reached in time or answered with an HTTP error; trying later may
// help.
var ErrUnavailable = errors.New("tsa: the time-stamp authority is not available")

// ErrMalformed means that bytes are no time-stamp token.
var ErrMalformed = errors.New("tsa: malformed time-stamp token")

// Client gets a time-stamp token (TimeStampToken, a CMS SignedData in DER) over a digest made with hash.
type Client interface {
	Timestamp(ctx context.Context, digest []byte, hash crypto.Hash) (token []byte, err error)
}

// HTTPOptions of an HTTP client. The zero value works.
type HTTPOptions struct {
	// Client is the transport; nil means one without redirects and proxies from the environment. Redirects are never
	// followed.
	Client *http.Client
	// Timeout of one request, default 15 s. MaxResponse in bytes, default 256 KiB.
	Timeout     time.Duration
	MaxResponse int64
	// Username and Password, when set, are sent as HTTP Basic authentication.
	Username, Password string
	// Policy, when set, is asked for and required in the token.
	Policy asn1.ObjectIdentifier
}

// HTTPClient asks an RFC 3161 authority over HTTP (RFC 3161 §3.4). It is safe for concurrent use.
type HTTPClient struct{}

// NewHTTP makes a client for an http or https URL.
func NewHTTP(url string, o HTTPOptions) (*HTTPClient, error) { return nil, ErrUnavailable }

// Timestamp implements Client. The answer is checked in full against the request (status, imprint, nonce, policy,
// signature and certificate of the token) before it is returned; trust in the authority is for the validator to judge.
func (c *HTTPClient) Timestamp(ctx context.Context, digest []byte, hash crypto.Hash) ([]byte, error) {
	return nil, ErrUnavailable
}

// AuthorityOptions of an embedded authority. The zero value works.
type AuthorityOptions struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Policy of the tokens; nil means 1.3.6.1.4.1.13762.3 (ETSI-style best practice is set by the operator).
	Policy asn1.ObjectIdentifier
	// Accuracy in the tokens, default 1 s.
	Accuracy time.Duration
	Logger   *slog.Logger
}

// Authority is an embedded time-stamp authority: a Client for its own process and an http.Handler for others.
// It is safe for concurrent use.
type Authority struct{}

// NewAuthority makes an authority from a key whose certificate is made for time stamping (extended key usage
// timeStamping, critical and only).
func NewAuthority(key *keys.Key, o AuthorityOptions) (*Authority, error) { return nil, ErrRefused }

// Timestamp implements Client.
func (a *Authority) Timestamp(ctx context.Context, digest []byte, hash crypto.Hash) ([]byte, error) {
	return nil, ErrRefused
}

// ServeHTTP answers RFC 3161 requests (POST, application/timestamp-query, at most 16 KiB).
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Token is a parsed TimeStampToken. Its fields are claims until Verify says otherwise.
type Token struct {
	SignedData *cms.SignedData
	// Time is genTime in UTC, Accuracy its tolerance (0 when not given).
	Time     time.Time
	Accuracy time.Duration
	Ordering bool
	Policy   asn1.ObjectIdentifier
	Serial   *big.Int
	Nonce    *big.Int
	// HashOID is the algorithm of the imprint, Hash the same when supported, else 0. Imprint is the digest.
	HashOID asn1.ObjectIdentifier
	Hash    crypto.Hash
	Imprint []byte
}

// ParseToken reads a TimeStampToken in DER or BER; zero bytes after it are tolerated (a PDF's /Contents).
func ParseToken(der []byte) (*Token, error) { return nil, ErrMalformed }

// VerifyOptions say by whom a token is judged.
type VerifyOptions struct {
	// Trust gives TimestampRoots.
	Trust *pki.Trust
	// At is the time of judging, at which the authority's certificate chain is judged unless ChainAt is set; zero: the
	// token's own time only.
	At time.Time
	// Pool holds further certificates (a DSS dictionary), untrusted.
	Pool []*x509.Certificate
}

// Result is the verdict on a token.
type Result struct {
	// Trusted is true when the time may be relied on: Intact, and the authority chains to a trusted time-stamp root.
	Trusted bool
	// Intact is true when the token covers the data and its own signature holds, whoever made it.
	Intact bool
	// Time is the proven time; zero unless Trusted.
	Time time.Time
	// Signer is the authority's certificate, Chain its path (leaf first).
	Signer *x509.Certificate
	Chain  []*x509.Certificate
	// Algorithm of the token's signature.
	Algorithm string
	// Reasons say why Trusted is false. Weak are algorithm weaknesses.
	Reasons, Weak pki.Reasons
}

// Verify judges the token over the data whose digest the caller gives: structure, imprint, signature, ESS binding,
// certificate usage, chain. An untrusted token gives no time.
func (t *Token) Verify(data cms.ContentDigest, o VerifyOptions) Result { return Result{} }
