package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/minio/minio-go/v7"

	"vanthu/storage/blob"
)

const (
	// memoryLimit is the largest blob that waits in memory for its name; a
	// larger one waits in a file.
	memoryLimit = 1 << 20
	// partsFrom is the size from which a blob is sent in parts.
	partsFrom = 64 << 20
	partSize  = 16 << 20
)

// Put implements blob.Backend. The name must be known before the first byte is
// sent, so the blob is read and hashed first.
func (s *Store) Put(ctx context.Context, r io.Reader) (blob.Ref, error) {
	data, err := io.ReadAll(io.LimitReader(r, memoryLimit+1))
	if err != nil {
		return blob.Ref{}, fmt.Errorf("reading what to store: %w", err)
	}
	if len(data) <= memoryLimit {
		ref := blob.Ref{Digest: blob.Sum(data), Size: int64(len(data))}
		return s.keep(ctx, ref, bytes.NewReader(data))
	}
	spool, err := os.CreateTemp(s.cfg.Spool, "vanthu-put-*")
	if err != nil {
		return blob.Ref{}, fmt.Errorf("spooling blob: %w", err)
	}
	// Without a name from here on, so that a crash leaves nothing.
	err = os.Remove(spool.Name())
	defer spool.Close() //nolint:errcheck // nothing of it is kept
	if err != nil {
		return blob.Ref{}, fmt.Errorf("spooling blob: %w", err)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, spool), io.MultiReader(bytes.NewReader(data), r))
	if err != nil {
		return blob.Ref{}, fmt.Errorf("spooling blob: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return blob.Ref{}, err
	}
	ref := blob.Ref{Digest: blob.Digest(hex.EncodeToString(h.Sum(nil))), Size: n}
	return s.keep(ctx, ref, io.NewSectionReader(spool, 0, n))
}

// keep sends a blob of known name.
func (s *Store) keep(ctx context.Context, ref blob.Ref, body io.ReadSeeker) (blob.Ref, error) {
	if !s.caps.CreateOnce {
		// The store would overwrite: ask first. Two writers of one name write
		// the same bytes, so losing this race does no harm.
		if have, err := s.Stat(ctx, ref.Digest); err == nil && have.Size == ref.Size {
			return ref, s.renew(ctx, ref)
		}
	}
	for wait := firstWait; ; wait *= 4 {
		err := s.send(ctx, s.key(ref.Digest), ref, body)
		if err == nil {
			return ref, nil
		}
		there := exists(err)
		if !there && (!lost(err) || ctx.Err() != nil) {
			return blob.Ref{}, s.known(ref.Digest, err)
		}
		// A store that refuses with 412 may hang up before it has read the
		// body, and then the answer is lost: look whether the blob is there.
		have, statErr := s.Stat(ctx, ref.Digest)
		switch {
		case statErr == nil && have.Size == ref.Size:
			return ref, s.renew(ctx, ref)
		case statErr == nil:
			return blob.Ref{}, fmt.Errorf("object of blob %s has %d bytes, want %d: %w", ref.Digest, have.Size, ref.Size, blob.ErrCorrupt)
		case there:
			return blob.Ref{}, statErr
		case wait > lastWait || !errors.Is(statErr, blob.ErrNotFound):
			return blob.Ref{}, s.known(ref.Digest, err)
		}
		select {
		case <-ctx.Done():
			return blob.Ref{}, ctx.Err()
		case <-time.After(wait):
		}
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return blob.Ref{}, fmt.Errorf("sending blob again: %w", err)
		}
	}
}

// The waits between the attempts of sending a blob whose connection was lost.
const (
	firstWait = 100 * time.Millisecond
	lastWait  = 2 * time.Second
)

// lost says whether the connection ended without an answer.
func lost(err error) bool {
	var answer minio.ErrorResponse
	return !errors.As(err, &answer) && !errors.Is(err, context.DeadlineExceeded)
}

// renew gives a blob that was there already the retention of a new one.
func (s *Store) renew(ctx context.Context, ref blob.Ref) error {
	if s.cfg.Retention <= 0 || !s.caps.ObjectLock {
		return nil
	}
	return s.Retain(ctx, ref.Digest, s.cfg.Now().Add(s.cfg.Retention))
}

// send writes one object unless it is there.
func (s *Store) send(ctx context.Context, key string, ref blob.Ref, body io.Reader) error {
	ctx, cancel := s.call(ctx, ref.Size)
	defer cancel()
	opts := minio.PutObjectOptions{ContentType: "application/octet-stream"}
	opts.SetMatchETagExcept("*")
	if s.cfg.Retention > 0 && s.caps.ObjectLock {
		opts.Mode = minio.Compliance
		opts.RetainUntilDate = s.cfg.Now().Add(s.cfg.Retention)
		opts.SendContentMd5 = true // Object Lock asks for a body digest in the request
	}
	client := s.parts
	if ref.Size < partsFrom {
		client = s.single
		opts.DisableMultipart = true
		opts.UserMetadata = map[string]string{checksumHeader: checksum(ref.Digest)}
	} else {
		opts.PartSize = partSize
		opts.NumThreads = 1
	}
	_, err := client.PutObject(ctx, s.cfg.Bucket, key, body, ref.Size, opts)
	return err
}

const checksumHeader = "x-amz-checksum-sha256"

// checksum returns a digest in the form of the S3 header.
func checksum(d blob.Digest) string {
	raw, err := hex.DecodeString(string(d))
	if err != nil {
		return "" // cannot happen: digests are checked or made here
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// Retain implements blob.Backend with Object Lock in compliance mode.
func (s *Store) Retain(ctx context.Context, d blob.Digest, until time.Time) error {
	if !s.caps.ObjectLock {
		return fmt.Errorf("bucket %s has no Object Lock: %w", s.cfg.Bucket, blob.ErrUnsupported)
	}
	info, err := s.stat(ctx, d)
	if err != nil {
		return err
	}
	until = until.UTC().Truncate(time.Second)
	if mode, have := retention(info); mode == minio.Compliance && !have.Before(until) {
		return nil
	}
	if !until.After(s.cfg.Now()) {
		return nil
	}
	ctx, cancel := s.call(ctx, 0)
	defer cancel()
	mode := minio.Compliance
	err = s.single.PutObjectRetention(ctx, s.cfg.Bucket, s.key(d), minio.PutObjectRetentionOptions{
		Mode: &mode, RetainUntilDate: &until, VersionID: info.VersionID,
	})
	if err != nil {
		return fmt.Errorf("retaining blob %s: %w", d, err)
	}
	return nil
}

// Retained returns until when a blob cannot be deleted; the zero time if it can.
func (s *Store) Retained(ctx context.Context, d blob.Digest) (time.Time, error) {
	info, err := s.stat(ctx, d)
	if err != nil {
		return time.Time{}, err
	}
	_, until := retention(info)
	return until, nil
}

// retention reads the lock of an object from the headers of its description:
// the call made for it fails against versitygw, whose answer minio-go cannot read.
func retention(info minio.ObjectInfo) (minio.RetentionMode, time.Time) {
	until, err := time.Parse(time.RFC3339Nano, info.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	if err != nil {
		return "", time.Time{}
	}
	return minio.RetentionMode(info.Metadata.Get("X-Amz-Object-Lock-Mode")), until.UTC()
}
