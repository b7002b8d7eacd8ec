package pki

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
	"golang.org/x/sync/singleflight"
)

// Errors of a [Fetcher], for errors.Is.
var (
	// ErrHostRefused: the address in the certificate is not one that may be asked.
	ErrHostRefused = errors.New("the address may not be asked")
	// ErrNoAddress: the certificate names no OCSP responder and no CRL over http or https.
	ErrNoAddress = errors.New("the certificate names no address for its revocation status")
	// ErrUnanchored: the chain does not end in a trusted root, so that anybody could have chosen the addresses in it.
	ErrUnanchored = errors.New("the chain does not end in a trusted root")
	// ErrAnswer: the authority answered, but not with data that holds.
	ErrAnswer = errors.New("the answer does not hold")
)

// FetchOptions of a [Fetcher]. The zero value works.
type FetchOptions struct {
	// Hosts are the only names that may be asked: "ocsp.example.vn", ".example.vn" for all below it, "host:port" for
	// another port than 80 and 443. Empty means any public host that a trusted chain names.
	Hosts []string
	// AllowPrivate permits loopback and private addresses, on any port: for an authority inside the operator's network
	// (then give Hosts too) and for tests.
	AllowPrivate bool
	// Cache keeps answers; nil means a [MemoryCache] of this Fetcher.
	Cache Cache
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Timeout of one request, default 10 s. MaxOCSP and MaxCRL in bytes, default 64 KiB and 32 MiB.
	Timeout         time.Duration
	MaxOCSP, MaxCRL int64
}

// Bounds of what a Fetcher keeps and asks.
const (
	maxAddresses  = 4              // addresses of one certificate that are tried
	maxAge        = 24 * time.Hour // an answer is asked for again after this, however long it says that it holds
	minAge        = 5 * time.Minute
	defaultMaxCRL = 32 << 20
)

// Fetcher gets revocation data (dữ liệu thu hồi) from the authority that issued a certificate: OCSP first (RFC 6960),
// a CRL when that gives no answer (RFC 5280 §4.2.1.13). It asks only for certificates under a trusted root, only hosts
// that are allowed and, unless told otherwise, only public addresses (checked after the name was resolved, so that
// a name cannot lead inside); it follows no redirect, uses no proxy, and bounds time and size. What it returns has
// been checked against the certificate. One request at a time goes to one address; answers are kept by issuer and
// serial number until they should be renewed. It is safe for concurrent use.
type Fetcher struct {
	opts   FetchOptions
	cache  Cache
	client *http.Client
	flight singleflight.Group
}

// NewFetcher makes a Fetcher.
func NewFetcher(o FetchOptions) *Fetcher {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.MaxOCSP <= 0 {
		o.MaxOCSP = 64 << 10
	}
	if o.MaxCRL <= 0 {
		o.MaxCRL = defaultMaxCRL
	}
	f := &Fetcher{opts: o, cache: o.Cache}
	if f.cache == nil {
		f.cache = NewMemoryCache(0)
	}
	f.client = &http.Client{
		Transport:     &http.Transport{DialContext: publicDialer(o), MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: o.Timeout, ResponseHeaderTimeout: o.Timeout, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return f
}

// FetchChain gets revocation data for every certificate of a chain below its anchor. Certificates for which nothing
// can be had add their error; the others' data is returned all the same. A chain that is not Anchored is refused with
// ErrUnanchored before anything is asked.
func (f *Fetcher) FetchChain(ctx context.Context, chain ChainResult) (Evidence, error) {
	if !chain.Anchored {
		return Evidence{}, ErrUnanchored
	}
	var all Evidence
	var errs []error
	for i := 0; i+1 < len(chain.Chain); i++ {
		ev, err := f.Fetch(ctx, chain.Chain[i], chain.Chain[i+1])
		all.CRLs, all.OCSPs = append(all.CRLs, ev.CRLs...), append(all.OCSPs, ev.OCSPs...)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", chain.Chain[i].Subject, err))
		}
	}
	return all, errors.Join(errs...)
}

// Fetch gets revocation data for cert, which issuer issued: one OCSP response or one CRL (DER) that CheckRevocation
// accepts as of now, be it "good" or "revoked". The caller has made sure that issuer leads to a trusted root. Errors:
// ErrNoAddress, ErrHostRefused, ErrAnswer, or of the network.
func (f *Fetcher) Fetch(ctx context.Context, cert, issuer *x509.Certificate) (Evidence, error) {
	if _, ok := signedBy(cert.Raw, issuer); !ok || !bytes.Equal(cert.RawIssuer, issuer.RawSubject) {
		return Evidence{}, fmt.Errorf("asking for the status of %s: %w", cert.Subject, ErrUnanchored)
	}
	var errs []error
	for _, source := range []struct {
		addresses []string
		get       func(context.Context, *url.URL, *x509.Certificate, *x509.Certificate) (Evidence, error)
	}{{cert.OCSPServer, f.ocsp}, {cert.CRLDistributionPoints, f.crl}} {
		for i, address := range source.addresses {
			if i == maxAddresses {
				break
			}
			u, err := f.permitted(address)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			ev, err := source.get(ctx, u, cert, issuer)
			if err == nil {
				return ev, nil
			}
			errs = append(errs, fmt.Errorf("asking %s: %w", u.Host, err))
			if ctx.Err() != nil {
				return Evidence{}, ctx.Err()
			}
		}
	}
	if len(errs) == 0 {
		return Evidence{}, ErrNoAddress
	}
	return Evidence{}, errors.Join(errs...)
}

// permitted parses an address and holds it against the list of hosts.
func (f *Fetcher) permitted(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%w: not an http or https URL", ErrHostRefused)
	}
	host, usual := strings.ToLower(u.Hostname()), u.Port() == "" || u.Port() == "80" || u.Port() == "443"
	named := slices.ContainsFunc(f.opts.Hosts, func(allowed string) bool {
		allowed = strings.ToLower(allowed)
		return allowed == strings.ToLower(u.Host) || usual && (allowed == host || strings.HasPrefix(allowed, ".") && strings.HasSuffix(host, allowed))
	})
	if named || len(f.opts.Hosts) == 0 && (usual || f.opts.AllowPrivate) {
		return u, nil
	}
	return nil, fmt.Errorf("%w: %s is not on the list", ErrHostRefused, u.Host)
}

// ocsp asks a responder (RFC 6960 appendix A.1). CertID is made with SHA-1, as RFC 5019 §2.1.1 has it for responders
// that answer from a store; there it is a name, not a proof.
func (f *Fetcher) ocsp(ctx context.Context, u *url.URL, cert, issuer *x509.Certificate) (Evidence, error) {
	body, err := ocsp.CreateRequest(cert, issuer, nil)
	if err != nil {
		return Evidence{}, fmt.Errorf("making the request: %w", err)
	}
	key := cacheKey("ocsp", issuer, cert.SerialNumber.Bytes())
	der, err := f.get(ctx, key, exchange{url: u, body: body, limit: f.opts.MaxOCSP}, func(der []byte) (time.Time, error) {
		return f.holds(Evidence{OCSPs: [][]byte{der}}, cert, issuer)
	})
	if err != nil {
		return Evidence{}, err
	}
	return Evidence{OCSPs: [][]byte{der}}, nil
}

// crl gets a list of revoked certificates.
func (f *Fetcher) crl(ctx context.Context, u *url.URL, cert, issuer *x509.Certificate) (Evidence, error) {
	key := cacheKey("crl", issuer, []byte(u.String()))
	der, err := f.get(ctx, key, exchange{url: u, limit: f.opts.MaxCRL}, func(der []byte) (time.Time, error) {
		return f.holds(Evidence{CRLs: [][]byte{plainDER(der)}}, cert, issuer)
	})
	if err != nil {
		return Evidence{}, err
	}
	return Evidence{CRLs: [][]byte{plainDER(der)}}, nil
}

// cacheKey names an answer by the issuer's key and name and what was asked.
func cacheKey(kind string, issuer *x509.Certificate, what []byte) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(kind), issuer.RawSubject, issuer.RawSubjectPublicKeyInfo, what} {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// holds tells until when an answer may be used, or why it may not be used at all.
func (f *Fetcher) holds(ev Evidence, cert, issuer *x509.Certificate) (time.Time, error) {
	now := f.opts.Now()
	at := now
	if at.After(cert.NotAfter) {
		at = cert.NotAfter // what is asked of an expired certificate is whether it was revoked in its time
	}
	r := CheckRevocation(cert, issuer, ev, RevocationOptions{At: at, Now: now, Pool: []*x509.Certificate{issuer}, Trust: &Trust{Roots: []*x509.Certificate{issuer}}})
	if r.Status == StatusUnknown {
		return time.Time{}, fmt.Errorf("%w: %s", ErrAnswer, strings.Join(r.Reasons.Texts("en"), "; "))
	}
	until := now.Add(maxAge)
	if !r.NextUpdate.IsZero() && r.NextUpdate.Before(until) {
		until = r.NextUpdate
	}
	if r.NextUpdate.IsZero() {
		until = now.Add(time.Hour)
	}
	if short := now.Add(minAge); until.Before(short) {
		until = short // a list that ends now is asked for again soon, not at every document
	}
	return until, nil
}

// exchange is one request; a nil body is a GET.
type exchange struct {
	url   *url.URL
	body  []byte
	limit int64
}

// get answers from the cache or asks, one request at a time for a key.
func (f *Fetcher) get(ctx context.Context, key string, e exchange, holds func([]byte) (time.Time, error)) ([]byte, error) {
	if kept, ok := f.cache.Get(ctx, key); ok && f.opts.Now().Before(kept.Until) {
		// A cache may be a folder that others can write: what it holds is judged like what the network brings.
		if _, err := holds(kept.Data); err == nil {
			return kept.Data, nil
		}
	}
	// The request outlives the caller that started it: others may be waiting for it too.
	answer := f.flight.DoChan(key, func() (any, error) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.opts.Timeout)
		defer cancel()
		data, err := f.ask(own, e)
		if err != nil {
			return nil, err
		}
		until, err := holds(data)
		if err != nil {
			return nil, err
		}
		return data, f.cache.Put(own, key, Cached{Data: data, Until: until})
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-answer:
		data, _ := a.Val.([]byte)
		if len(data) > 0 {
			return data, nil // an answer that could not be kept is an answer all the same
		}
		return nil, a.Err
	}
}

// ask makes one request.
func (f *Fetcher) ask(ctx context.Context, e exchange) ([]byte, error) {
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if e.body != nil {
		method, body = http.MethodPost, bytes.NewReader(e.body)
	}
	req, err := http.NewRequestWithContext(ctx, method, e.url.String(), body)
	if err != nil {
		return nil, err
	}
	if e.body != nil {
		req.Header.Set("Content-Type", "application/ocsp-request")
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d", ErrAnswer, resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, e.limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > e.limit {
		return nil, fmt.Errorf("%w: over %d bytes", ErrAnswer, e.limit)
	}
	return data, nil
}
