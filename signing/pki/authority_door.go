package pki

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	maxOCSPRequest = 16 << 10
	ocspValidity   = 12 * time.Hour
	crlServedFor   = 10 * time.Minute // how long one signed CRL is given out
)

// OCSP is the authority's OCSP responder (RFC 6960 appendix A): POST of a request, or GET with it in Base64 as the end
// of the path. Responses are signed by the authority's own key, as RFC 6960 §4.2.2.2 permits, and hold for twelve hours.
// "Good" says that the authority has not revoked the number (RFC 6960 §2.2); requests about other authorities are
// answered "unauthorized". Requests over 16 KiB are refused.
func (a *Authority) OCSP() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body []byte
		var err error
		switch r.Method {
		case http.MethodPost:
			body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxOCSPRequest))
		case http.MethodGet:
			body, err = requestInPath(r.URL.EscapedPath())
		default:
			w.Header().Set("Allow", "GET, POST")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, http.StatusText(http.StatusRequestEntityTooLarge), http.StatusRequestEntityTooLarge)
			return
		}
		answer := ocsp.MalformedRequestErrorResponse
		if err == nil {
			answer = a.answer(body)
		}
		w.Header().Set("Content-Type", "application/ocsp-response")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(answer) //nolint:gosec // DER under a type of its own, and an asker that went away needs no word
	})
}

// requestInPath takes what follows the last part of the path that is not Base64 of a DER SEQUENCE. Base64 may hold
// slashes, some clients escape them and some do not.
func requestInPath(path string) ([]byte, error) {
	if len(path) > 2*maxOCSPRequest {
		return nil, errors.New("the request is too long")
	}
	for rest := path; ; {
		_, after, found := strings.Cut(rest, "/")
		if !found {
			return nil, errors.New("no request in the path")
		}
		text, err := url.PathUnescape(after)
		if err == nil && strings.HasPrefix(text, "M") { // 0x30, a SEQUENCE
			if der, err := base64.StdEncoding.DecodeString(text); err == nil {
				return der, nil
			}
		}
		rest = after
	}
}

// answer makes the response to a request.
func (a *Authority) answer(der []byte) []byte {
	req, err := ocsp.ParseRequest(der)
	if err != nil || !req.HashAlgorithm.Available() {
		return ocsp.MalformedRequestErrorResponse
	}
	name, key := req.HashAlgorithm.New(), req.HashAlgorithm.New()
	name.Write(a.key.Certificate.RawSubject)
	key.Write(publicKeyBits(a.key.Certificate))
	if !bytes.Equal(name.Sum(nil), req.IssuerNameHash) || !bytes.Equal(key.Sum(nil), req.IssuerKeyHash) {
		return ocsp.UnauthorizedErrorResponse
	}
	now := a.opts.Now().UTC().Truncate(time.Second)
	status := ocsp.Response{
		Status: ocsp.Good, SerialNumber: req.SerialNumber, IssuerHash: req.HashAlgorithm,
		ThisUpdate: now, NextUpdate: now.Add(ocspValidity),
	}
	if at, reason, ok := a.revocation(req.SerialNumber); ok {
		status.Status, status.RevokedAt, status.RevocationReason = ocsp.Revoked, at, reason
	}
	out, err := ocsp.CreateResponse(a.key.Certificate, a.key.Certificate, status, a.key.Signer)
	if err != nil {
		return ocsp.InternalErrorErrorResponse
	}
	return out
}

// revocation looks a number up.
func (a *Authority) revocation(serial *big.Int) (at time.Time, reason int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.revoked {
		if a.revoked[i].SerialNumber.Cmp(serial) == 0 {
			return a.revoked[i].RevocationTime, a.revoked[i].ReasonCode, true
		}
	}
	return time.Time{}, 0, false
}

// CRLDoor gives out the authority's CRL (RFC 2585, application/pkix-crl). It is signed anew after a revocation and
// every ten minutes.
func (a *Authority) CRLDoor() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		der, err := a.servedCRL()
		if err != nil {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		sum := sha256.Sum256(der)
		w.Header().Set("Content-Type", "application/pkix-crl")
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(der))
	})
}

// servedCRL signs the list, or gives the one signed lately when nothing was revoked since.
func (a *Authority) servedCRL() ([]byte, error) {
	now := a.opts.Now()
	a.mu.Lock()
	if a.served.der != nil && a.served.entries == len(a.revoked) && now.Sub(a.served.at) < crlServedFor {
		defer a.mu.Unlock()
		return a.served.der, nil
	}
	entries := len(a.revoked)
	a.mu.Unlock()
	der, err := a.CRL()
	if err != nil {
		return nil, fmt.Errorf("giving out the CRL: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.served = servedList{der: der, entries: entries, at: now}
	return der, nil
}

// servedList is the CRL that is given out.
type servedList struct {
	der     []byte
	entries int
	at      time.Time
}
