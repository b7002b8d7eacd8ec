package tsa

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/subtle"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/pki"
)

// HTTPOptions of an HTTP client. The zero value works.
type HTTPOptions struct {
	// Client is the transport; nil means one of our own, with proxies from the environment. Redirects are never followed.
	Client *http.Client
	// Timeout of one request, default 15 s. MaxResponse in bytes, default 256 KiB.
	Timeout     time.Duration
	MaxResponse int64
	// Username and Password, when set, are sent as HTTP Basic authentication; over https or to this machine only.
	Username, Password string
	// Policy, when set, is asked for and required in the token.
	Policy asn1.ObjectIdentifier
}

// HTTPClient asks an RFC 3161 authority over HTTP (RFC 3161 §3.4). It is safe for concurrent use.
type HTTPClient struct {
	url    string
	opts   HTTPOptions
	client *http.Client
}

// NewHTTP makes a client for an http or https URL.
func NewHTTP(address string, o HTTPOptions) (*HTTPClient, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("time-stamp authority: not an http or https URL")
	}
	if o.Username != "" && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, errors.New("time-stamp authority: a password is sent over https only")
	}
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.MaxResponse <= 0 {
		o.MaxResponse = 256 << 10
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: o.Timeout, ResponseHeaderTimeout: o.Timeout, MaxResponseHeaderBytes: 64 << 10,
	}}
	if o.Client != nil {
		own := *o.Client
		client = &own
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &HTTPClient{url: address, opts: o, client: client}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Timestamp implements Client. The answer is checked in full against the request (status, imprint, nonce, policy,
// signature and certificate of the token) before it is returned; trust in the authority is for the validator to judge.
// ErrUnavailable and ErrRefused tell what went wrong.
func (c *HTTPClient) Timestamp(ctx context.Context, digest []byte, hash crypto.Hash) ([]byte, error) {
	if !usable(hash) || len(digest) != hash.Size() {
		return nil, fmt.Errorf("%w: digest of %d bytes by %s", ErrRefused, len(digest), pki.HashName(hash))
	}
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("asking for a time stamp: %w", err)
	}
	req := &request{hashOID: pki.OIDByHash(hash), imprint: digest, policy: c.opts.Policy, nonce: nonce, certs: true}
	body, err := req.encode()
	if err != nil {
		return nil, fmt.Errorf("asking for a time stamp: %w", err)
	}
	answer, err := c.post(ctx, body)
	if err != nil {
		return nil, err
	}
	token, err := parseResponse(answer)
	if err != nil {
		return nil, err
	}
	if err := req.check(token, hash); err != nil {
		return nil, err
	}
	return token, nil
}

// post sends a query and returns the body of the answer.
func (c *HTTPClient) post(ctx context.Context, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking for a time stamp: %w", err)
	}
	r.Header.Set("Content-Type", queryType)
	r.Header.Set("Accept", replyType)
	if c.opts.Username != "" {
		r.SetBasicAuth(c.opts.Username, c.opts.Password)
	}
	response, err := c.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer response.Body.Close() //nolint:errcheck // only read from
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: HTTP status %d", ErrUnavailable, response.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, c.opts.MaxResponse+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if int64(len(answer)) > c.opts.MaxResponse {
		return nil, fmt.Errorf("%w: the answer is larger than %d bytes", ErrRefused, c.opts.MaxResponse)
	}
	return answer, nil
}

// check compares a token with the request (RFC 3161 §2.2 and §2.4.2).
func (r *request) check(der []byte, hash crypto.Hash) error {
	token, err := ParseToken(der)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	switch {
	case token.Hash != hash || subtle.ConstantTimeCompare(token.Imprint, r.imprint) != 1:
		return fmt.Errorf("%w: the token is over other data", ErrRefused)
	case token.Nonce == nil || token.Nonce.Cmp(r.nonce) != 0:
		return fmt.Errorf("%w: the token answers another request (nonce)", ErrRefused)
	case r.policy != nil && !token.Policy.Equal(r.policy):
		return fmt.Errorf("%w: the token has another policy", ErrRefused)
	}
	same := func(crypto.Hash) ([]byte, error) { return r.imprint, nil }
	result := token.Verify(cms.ContentDigest(same), VerifyOptions{})
	if !result.Intact {
		return fmt.Errorf("%w: %s", ErrRefused, result.Reasons[0])
	}
	if reasons := pki.CheckUsage(result.Signer, pki.UsageTimestamping); len(reasons) > 0 {
		return fmt.Errorf("%w: %s", ErrRefused, reasons[0])
	}
	return nil
}
