// Package csc signs with keys behind a remote signing service by the API of the Cloud Signature Consortium, version 2
// (ký số từ xa): credentials/list, credentials/info, credentials/authorize, signatures/signHash. The OAuth 2.0 access
// token is the caller's to get.
//
// Only HTTPS is spoken, except to loopback; redirects are not followed; answers are bounded.
package csc

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vanthu/signing/keys"
)

// maxAnswer bounds an answer of the service, in bytes.
const maxAnswer = 1 << 20

// ErrService is wrapped when the service refuses or answers with something else than the API says.
var ErrService = errors.New("csc: the signing service cannot be used")

// Options names a service and who asks.
type Options struct {
	// URL is the base, up to and with /csc/v2.
	URL string
	// Token is the OAuth 2.0 bearer access token.
	Token string
	// PIN and OTP authorise signatures with keys that ask for them; they are sent to the service and nowhere else.
	PIN, OTP string
	// Timeout bounds each call; 0 means 30 s.
	Timeout time.Duration
	// Transport is for tests and special roots; nil is http.DefaultTransport.
	Transport http.RoundTripper
}

// Client calls one service. It is safe for concurrent use.
type Client struct {
	base   string
	token  string
	secret func() []authData // a closure, so that no way of printing a Client shows it
	http   *http.Client
}

type authData struct {
	ID    string `json:"id"`
	Value string `json:"value"`
}

// New makes a client; it refuses plain HTTP to other machines.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%w: %q is no address", ErrService, o.URL)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%w: %s must be https", ErrService, u.Redacted())
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	c := &Client{base: strings.TrimRight(o.URL, "/"), token: o.Token, http: &http.Client{Timeout: o.Timeout, Transport: o.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	var secret []authData
	if o.PIN != "" {
		secret = append(secret, authData{"PIN", o.PIN})
	}
	if o.OTP != "" {
		secret = append(secret, authData{"OTP", o.OTP})
	}
	c.secret = func() []authData { return secret }
	return c, nil
}

// call posts one request of the API.
func (c *Client) call(ctx context.Context, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", method, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/"+method, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking %s: %w", method, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("%w: reading %s: %w", ErrService, method, err)
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("%w: %s answers with over %d bytes", ErrService, method, maxAnswer)
	}
	if response.StatusCode != http.StatusOK {
		var problem struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		_ = json.Unmarshal(data, &problem) // what is no JSON says nothing more than the status
		return fmt.Errorf("%w: %s: %s %.100s %.300s", ErrService, method, response.Status, problem.Error, problem.Description)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%w: %s answers with no JSON of the API", ErrService, method)
	}
	return nil
}

// Credentials lists the keys that the token's holder may use.
func (c *Client) Credentials(ctx context.Context) ([]string, error) {
	var out struct {
		IDs []string `json:"credentialIDs"`
	}
	err := c.call(ctx, "credentials/list", struct{}{}, &out)
	return out.IDs, err
}

type credentialInfo struct {
	Certificate struct {
		Chain [][]byte `json:"certificates"`
	} `json:"cert"`
	Auth struct {
		Mode string `json:"mode"`
	} `json:"auth"`
}

// Key gives a credential as a signing key. Each signature is authorised for its very digest when the service asks for
// it (auth.mode "explicit"), and checked against the certificate before it is given out. ctx bounds the signatures too.
func (c *Client) Key(ctx context.Context, credential string) (*keys.Key, error) {
	var info credentialInfo
	err := c.call(ctx, "credentials/info", map[string]any{"credentialID": credential, "certificates": "chain"}, &info)
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for _, der := range info.Certificate.Chain {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate of %q: %w", ErrService, credential, err)
		}
		chain = append(chain, parsed)
	}
	if len(chain) == 0 {
		return nil, keys.ErrNoCertificate
	}
	return keys.New(&signer{ctx: ctx, client: c, credential: credential, explicit: info.Auth.Mode == "explicit", public: chain[0].PublicKey}, chain...)
}

// signer is a key behind the service.
type signer struct {
	ctx        context.Context // crypto.Signer has none of its own
	client     *Client
	credential string
	explicit   bool
	public     crypto.PublicKey
}

// Public is the key of the certificate.
func (s *signer) Public() crypto.PublicKey { return s.public }

// Sign asks for one signature: RSA PKCS#1 v1.5 or ECDSA over SHA-256, SHA-384 or SHA-512.
func (s *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	hash := opts.HashFunc()
	oid, ok := map[crypto.Hash]string{crypto.SHA256: "2.16.840.1.101.3.4.2.1", crypto.SHA384: "2.16.840.1.101.3.4.2.2", crypto.SHA512: "2.16.840.1.101.3.4.2.3"}[hash]
	_, pss := opts.(*rsa.PSSOptions)
	if !ok || pss || len(digest) != hash.Size() {
		return nil, fmt.Errorf("%w: digest algorithm %v or padding", keys.ErrUnsupported, hash)
	}
	algorithm := "1.2.840.113549.1.1.1"
	if _, ec := s.public.(*ecdsa.PublicKey); ec {
		algorithm = map[crypto.Hash]string{crypto.SHA256: "1.2.840.10045.4.3.2", crypto.SHA384: "1.2.840.10045.4.3.3", crypto.SHA512: "1.2.840.10045.4.3.4"}[hash]
	}
	request := map[string]any{"credentialID": s.credential, "hashes": [][]byte{digest}, "hashAlgorithmOID": oid, "signAlgo": algorithm}
	if s.explicit {
		var granted struct {
			SAD string `json:"SAD"`
		}
		err := s.client.call(s.ctx, "credentials/authorize", map[string]any{"credentialID": s.credential, "numSignatures": 1,
			"hashes": [][]byte{digest}, "hashAlgorithmOID": oid, "authData": s.client.secret()}, &granted)
		if err != nil {
			return nil, err
		}
		request["SAD"] = granted.SAD
	}
	var out struct {
		Signatures [][]byte `json:"signatures"`
	}
	if err := s.client.call(s.ctx, "signatures/signHash", request, &out); err != nil {
		return nil, err
	}
	if len(out.Signatures) != 1 || !keys.Verifies(s.public, digest, opts, out.Signatures[0]) {
		return nil, fmt.Errorf("%w: the signature does not fit the certificate", ErrService)
	}
	return out.Signatures[0], nil
}
