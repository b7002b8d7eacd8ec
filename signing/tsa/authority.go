package tsa

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
)

// AuthorityOptions of an embedded authority. The zero value works.
type AuthorityOptions struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Policy of the tokens; nil means 0.4.0.2023.1.1, the best-practices policy of ETSI EN 319 421 §5.2.
	Policy asn1.ObjectIdentifier
	// Accuracy in the tokens, default 1 s, in whole milliseconds.
	Accuracy time.Duration
	// Logger gets internal errors; nil means none.
	Logger *slog.Logger
}

// Authority is an embedded time-stamp authority: a Client for its own process and an http.Handler for others.
// It is safe for concurrent use.
type Authority struct {
	key  *keys.Key
	opts AuthorityOptions
}

// Bounds and media types of the HTTP transport (RFC 3161 §3.4).
const (
	maxRequest    = 16 << 10
	queryType     = "application/timestamp-query"
	replyType     = "application/timestamp-reply"
	defaultPolicy = 2023
)

// NewAuthority makes an authority from a key whose certificate is made for time stamping (extended key usage
// timeStamping, critical and only); any other gives an error.
func NewAuthority(key *keys.Key, o AuthorityOptions) (*Authority, error) {
	if reasons := pki.CheckUsage(key.Certificate, pki.UsageTimestamping); len(reasons) > 0 {
		return nil, fmt.Errorf("opening time-stamp authority: %s", reasons[0])
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Policy == nil {
		o.Policy = asn1.ObjectIdentifier{0, 4, 0, defaultPolicy, 1, 1}
	}
	if o.Accuracy == 0 {
		o.Accuracy = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Authority{key: key, opts: o}, nil
}

// Timestamp implements Client.
func (a *Authority) Timestamp(ctx context.Context, digest []byte, hash crypto.Hash) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !usable(hash) || len(digest) != hash.Size() {
		return nil, fmt.Errorf("%w: digest of %d bytes by %s", ErrRefused, len(digest), pki.HashName(hash))
	}
	return a.issue(&request{hashOID: pki.OIDByHash(hash), imprint: digest, certs: true})
}

// issue signs a TSTInfo.
func (a *Authority) issue(r *request) ([]byte, error) {
	now := a.opts.Now()
	if c := a.key.Certificate; now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return nil, errors.New("time stamping: the authority's certificate is not valid now")
	}
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("time stamping: %w", err)
	}
	random[0] = random[0]&0x7f | 0x40 // 127 bits, positive
	content, err := (&info{
		policy: a.opts.Policy, hash: r.hashOID, imprint: r.imprint, serial: new(big.Int).SetBytes(random[:]),
		time: now, accuracy: a.opts.Accuracy, nonce: r.nonce,
	}).encode()
	if err != nil {
		return nil, fmt.Errorf("time stamping: %w", err)
	}
	token, err := cms.Sign(cms.SignRequest{
		Key: a.key, ContentType: oidTSTInfo(), Content: content, OmitCertificates: !r.certs,
	})
	if err != nil {
		return nil, fmt.Errorf("time stamping: %w", err)
	}
	return token, nil
}

// answer decides on one request.
func (a *Authority) answer(body []byte) ([]byte, failure, error) {
	r, ok := parseRequest(body)
	if !ok {
		return nil, badDataFormat, nil
	}
	hash := pki.HashByOID(r.hashOID)
	switch {
	case !usable(hash):
		return nil, badAlgorithm, nil
	case len(r.imprint) != hash.Size():
		return nil, badDataFormat, nil
	case r.policy != nil && !r.policy.Equal(a.opts.Policy):
		return nil, unacceptedPolicy, nil
	case r.critical:
		return nil, unacceptedExtension, nil
	}
	token, err := a.issue(r)
	return token, systemFailure, err
}

// ServeHTTP answers RFC 3161 requests (POST, application/timestamp-query, at most 16 KiB).
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST a time-stamp query (RFC 3161)", http.StatusMethodNotAllowed)
		return
	}
	if r.Header.Get("Content-Type") != queryType {
		http.Error(w, "content type must be "+queryType, http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "request too large or cut short", http.StatusBadRequest)
		return
	}
	token, fail, err := a.answer(body)
	if err != nil {
		a.opts.Logger.LogAttrs(r.Context(), slog.LevelError, "time stamping failed", slog.String("error", err.Error()))
	}
	response, err := encodeResponse(token, fail)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", replyType)
	if _, err := w.Write(response); err != nil {
		a.opts.Logger.LogAttrs(r.Context(), slog.LevelDebug, "client went away", slog.String("error", err.Error()))
	}
}
