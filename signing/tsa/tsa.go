// Package tsa makes and judges RFC 3161 time stamps (dấu thời gian): a client for authorities reached over HTTP, an
// embedded authority for trial and tests, and the check of tokens.
//
// A token proves a time only when the operator trusts its authority: an untrusted one is reported and gives no time.
package tsa

import (
	"context"
	"crypto"
	"errors"
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
