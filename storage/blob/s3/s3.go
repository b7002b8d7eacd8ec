// Package s3 keeps blobs in a bucket of any S3 store.
//
// A blob of digest aabbcc… is the object prefix/aa/bb/aabbcc…, written with
// If-None-Match: * and its SHA-256, so that the store itself refuses a second
// writer and damaged bytes. What the store can do is tried when it is opened
// and told by Capabilities; nothing beyond that is relied on: no server-side
// encryption, life cycles or notifications. Durability is the store's.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"vanthu/storage/blob"
)

// minRate is the slowest transfer, in bytes a second, that is waited for.
const minRate = 256 << 10

// Store is a bucket, or a folder of one, that holds blobs.
type Store struct {
	cfg Config
	// single sends an object in one request with its SHA-256 in a header, which
	// minio-go ties to trailing headers. parts sends large ones in parts, which
	// versitygw accepts only from a client without them.
	single, parts *minio.Client
	caps          blob.Capabilities
}

// Open reaches the bucket, tries what the store can do, and returns the store.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	cfg.Prefix = strings.Trim(cfg.Prefix, "/")
	s := &Store{cfg: cfg}
	for _, c := range []struct {
		client   **minio.Client
		trailing bool
	}{{&s.single, true}, {&s.parts, false}} {
		client, err := minio.New(cfg.Endpoint, &minio.Options{
			Creds:           credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""),
			Secure:          cfg.TLS,
			Region:          cfg.Region,
			TrailingHeaders: c.trailing,
			MaxRetries:      3,
			BucketLookup:    minio.BucketLookupAuto,
		})
		if err != nil {
			return nil, fmt.Errorf("S3 store %s: %w", cfg.Endpoint, err)
		}
		*c.client = client
	}
	if err := s.probe(ctx); err != nil {
		return nil, fmt.Errorf("S3 store %s, bucket %s: %w", cfg.Endpoint, cfg.Bucket, err)
	}
	return s, nil
}

// key returns the name of the object that holds a blob.
func (s *Store) key(d blob.Digest) string {
	return s.folder() + string(d[:2]) + "/" + string(d[2:4]) + "/" + string(d)
}

func (s *Store) folder() string {
	if s.cfg.Prefix == "" {
		return ""
	}
	return s.cfg.Prefix + "/"
}

// call bounds one request that carries size bytes.
func (s *Store) call(ctx context.Context, size int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.Timeout+time.Duration(size/minRate)*time.Second)
}

// Open implements blob.Backend. A read that makes no progress for the timeout
// of the store ends with an error.
func (s *Store) Open(ctx context.Context, d blob.Digest) (io.ReadCloser, int64, error) {
	if _, err := blob.ParseDigest(string(d)); err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watched{cancel: cancel, timeout: s.cfg.Timeout}
	w.timer = time.AfterFunc(s.cfg.Timeout, func() { cancel(errStalled) })
	core := minio.Core{Client: s.single}
	body, info, _, err := core.GetObject(ctx, s.cfg.Bucket, s.key(d), minio.GetObjectOptions{})
	if err != nil {
		err = s.known(d, withCause(ctx, err))
		w.stop()
		return nil, 0, err
	}
	w.body, w.ctx = body, ctx
	return blob.NewReader(w, d, info.Size), info.Size, nil
}

var errStalled = errors.New("S3 store does not answer")

// watched ends a download that stalls.
type watched struct {
	ctx     context.Context //nolint:containedctx // the download's own life
	body    io.ReadCloser
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	timeout time.Duration
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.timeout)
	n, err := w.body.Read(p)
	w.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = withCause(w.ctx, err)
	}
	return n, err
}

// Close implements io.Closer.
func (w *watched) Close() error {
	w.stop()
	return w.body.Close()
}

func (w *watched) stop() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}

func withCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// Stat implements blob.Backend.
func (s *Store) Stat(ctx context.Context, d blob.Digest) (blob.Ref, error) {
	info, err := s.stat(ctx, d)
	if err != nil {
		return blob.Ref{}, err
	}
	return blob.Ref{Digest: d, Size: info.Size}, nil
}

func (s *Store) stat(ctx context.Context, d blob.Digest) (minio.ObjectInfo, error) {
	if _, err := blob.ParseDigest(string(d)); err != nil {
		return minio.ObjectInfo{}, err
	}
	ctx, cancel := s.call(ctx, 0)
	defer cancel()
	info, err := s.single.StatObject(ctx, s.cfg.Bucket, s.key(d), minio.StatObjectOptions{})
	if err != nil {
		return minio.ObjectInfo{}, s.known(d, err)
	}
	return info, nil
}

// List implements blob.Backend. Objects that are no blobs are passed over.
func (s *Store) List(ctx context.Context, yield func(blob.Ref) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(s.cfg.Timeout, func() { cancel(errStalled) })
	defer timer.Stop()
	objects := s.single.ListObjects(ctx, s.cfg.Bucket, minio.ListObjectsOptions{Prefix: s.folder(), Recursive: true})
	for o := range objects {
		timer.Stop()
		if o.Err != nil {
			return fmt.Errorf("listing blobs: %w", withCause(ctx, o.Err))
		}
		d, err := blob.ParseDigest(o.Key[strings.LastIndexByte(o.Key, '/')+1:])
		if err == nil && s.key(d) == o.Key {
			if err := yield(blob.Ref{Digest: d, Size: o.Size}); err != nil {
				return err
			}
		}
		timer.Reset(s.cfg.Timeout)
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("listing blobs: %w", err)
	}
	return nil
}

// Capabilities implements blob.Backend.
func (s *Store) Capabilities() blob.Capabilities { return s.caps }

// known turns an answer of the store into the package's errors.
func (s *Store) known(d blob.Digest, err error) error {
	r := minio.ToErrorResponse(err)
	switch {
	case r.StatusCode == http.StatusNotFound && r.Code != minio.NoSuchBucket:
		return fmt.Errorf("blob %s: %w", d, blob.ErrNotFound)
	case r.StatusCode == http.StatusInsufficientStorage, r.Code == "QuotaExceeded", r.Code == "XMinioStorageFull", r.Code == "XMinioAdminBucketQuotaExceeded":
		return fmt.Errorf("%w: %w", blob.ErrFull, err)
	}
	return fmt.Errorf("blob %s: %w", d, err)
}

// exists says whether the store refused to write because the object is there.
// 409 is what a writer gets that lost the race while both were under way.
func exists(err error) bool {
	r := minio.ToErrorResponse(err)
	return r.StatusCode == http.StatusPreconditionFailed || r.Code == minio.PreconditionFailed ||
		r.Code == "ConditionalRequestConflict"
}
