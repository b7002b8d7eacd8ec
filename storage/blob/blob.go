// Package blob names bytes by their SHA-256 digest and keeps them, once.
//
// A blob is written once and never changed. Its name is what its bytes hash
// to, so storing the same bytes twice stores them once, and whoever reads a
// blob learns whether it is still what was stored: every Backend checks the
// digest while the bytes are read and ends a damaged blob with ErrCorrupt in
// place of io.EOF.
//
// Two backends exist: disk (a folder) and s3 (any S3 store). Both pass the one
// suite in blobtest.
package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// Errors that every Backend returns, wrapped, for the same reasons.
var (
	// ErrNotFound says that the store has no blob of that digest.
	ErrNotFound = errors.New("blob not found")
	// ErrCorrupt says that the stored bytes do not hash to the blob's name.
	ErrCorrupt = errors.New("blob is corrupt")
	// ErrTooLarge says that a blob is larger than the caller's limit.
	ErrTooLarge = errors.New("blob is larger than the limit")
	// ErrUnsupported says that the store cannot do what was asked.
	ErrUnsupported = errors.New("not supported by this blob store")
	// ErrFull says that the store has no room left; nothing was stored.
	ErrFull = errors.New("blob store is full")
)

// Digest is the name of a blob: its SHA-256 in 64 lower-case hex digits.
type Digest string

// digestLen is the length of a Digest in characters.
const digestLen = 2 * sha256.Size

// ParseDigest checks that s is a digest in the one form that is used as a name.
func ParseDigest(s string) (Digest, error) {
	if len(s) != digestLen {
		return "", fmt.Errorf("digest has %d characters, want %d", len(s), digestLen)
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("digest has a character that is no lower-case hex digit at %d", i)
		}
	}
	return Digest(s), nil
}

// Sum returns the digest of b.
func Sum(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest(hex.EncodeToString(sum[:]))
}

// Ref names a blob and says how many bytes it has.
type Ref struct {
	Digest Digest `json:"digest"`
	Size   int64  `json:"size"`
}

// Capabilities says what a store was seen to do when it was opened.
type Capabilities struct {
	Name       string `json:"name"`        // where the store is, for people; no secrets
	CreateOnce bool   `json:"create_once"` // of several writers of one name, one wins
	Checksum   bool   `json:"checksum"`    // the store itself refuses bytes that do not match their SHA-256
	ObjectLock bool   `json:"object_lock"` // Retain works
	Versioning bool   `json:"versioning"`  // an overwritten blob can be had back
}

// Backend keeps blobs. It is safe for concurrent use.
type Backend interface {
	// Put stores what r yields and returns its name. It is idempotent. When it
	// returns nil the blob is durable; when it returns an error it may or may
	// not be there, but never a part of it, and Put may be tried again.
	Put(ctx context.Context, r io.Reader) (Ref, error)
	// Open returns the bytes of a blob and their number, or ErrNotFound. The
	// Read that would give io.EOF gives ErrCorrupt when the bytes read do not
	// match the name.
	Open(ctx context.Context, d Digest) (io.ReadCloser, int64, error)
	// Stat says whether a blob is there, without reading it; ErrNotFound if not.
	Stat(ctx context.Context, d Digest) (Ref, error)
	// List yields every blob, in the order of the digests. It stops at the
	// first error, its own or yield's.
	List(ctx context.Context, yield func(Ref) error) error
	// Retain keeps a blob undeletable until the given time where the store can
	// do that, else ErrUnsupported. It never shortens an earlier retention.
	Retain(ctx context.Context, d Digest, until time.Time) error
	// Capabilities says what the store can do.
	Capabilities() Capabilities
}

// ReadAll returns the whole blob, checked. A blob of more than limit bytes is
// refused with ErrTooLarge before it is read.
func ReadAll(ctx context.Context, b Backend, d Digest, limit int64) ([]byte, error) {
	rc, size, err := b.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close() //nolint:errcheck // reading: the digest decides, not Close
	if size > limit {
		return nil, fmt.Errorf("blob %s has %d bytes, limit %d: %w", d, size, limit, ErrTooLarge)
	}
	buf := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := buf.ReadFrom(rc); err != nil {
		return nil, fmt.Errorf("reading blob %s: %w", d, err)
	}
	return buf.Bytes(), nil
}

// PutBytes stores data.
func PutBytes(ctx context.Context, b Backend, data []byte) (Ref, error) {
	return b.Put(ctx, bytes.NewReader(data))
}

// Verify reads the whole blob and returns nil when it is what its name says,
// else ErrNotFound, ErrCorrupt or the store's error.
func Verify(ctx context.Context, b Backend, d Digest) error {
	rc, _, err := b.Open(ctx, d)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, rc)
	return errors.Join(err, rc.Close())
}
