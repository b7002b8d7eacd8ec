package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"

	"vanthu/storage/blob"
)

// The objects that the store is tried with. They stay: in a bucket with default
// retention they could not be removed, and one of each is enough for ever.
const (
	probeOnce     = ".vanthu-probe/create-once"
	probeChecksum = ".vanthu-probe/checksum"
	probeRacers   = 4
)

// probe reaches the bucket and fills in the capabilities.
func (s *Store) probe(ctx context.Context) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	scheme := "http"
	if s.cfg.TLS {
		scheme = "https"
	}
	s.caps = blob.Capabilities{Name: fmt.Sprintf("s3 %s://%s/%s/%s", scheme, s.cfg.Endpoint, s.cfg.Bucket, s.cfg.Prefix)}
	once, err := s.tryCreateOnce(ctx)
	if err != nil {
		return fmt.Errorf("trying to create an object once: %w", err)
	}
	s.caps.CreateOnce = once
	refused, err := s.tryChecksum(ctx)
	if err != nil {
		return fmt.Errorf("trying a wrong checksum: %w", err)
	}
	s.caps.Checksum = refused
	s.caps.ObjectLock, s.caps.Versioning = s.bucketSettings(ctx)
	return ctx.Err()
}

// reach makes sure that the bucket is there.
func (s *Store) reach(ctx context.Context) error {
	ctx, cancel := s.call(ctx, 0)
	defer cancel()
	ok, err := s.single.BucketExists(ctx, s.cfg.Bucket)
	if err != nil {
		return fmt.Errorf("cannot be reached: %w", err)
	}
	if ok {
		return nil
	}
	if !s.cfg.Create {
		return errors.New("does not exist; create it with Object Lock enabled")
	}
	err = s.single.MakeBucket(ctx, s.cfg.Bucket, minio.MakeBucketOptions{Region: s.cfg.Region, ObjectLocking: true})
	if minio.ToErrorResponse(err).Code == "NotImplemented" {
		err = s.single.MakeBucket(ctx, s.cfg.Bucket, minio.MakeBucketOptions{Region: s.cfg.Region})
	}
	if err != nil && minio.ToErrorResponse(err).Code != minio.BucketAlreadyOwnedByYou {
		return fmt.Errorf("cannot be created: %w", err)
	}
	return nil
}

// tryCreateOnce lets several writers create one object. On the first run in a
// bucket exactly one may win, on later ones none.
func (s *Store) tryCreateOnce(ctx context.Context) (bool, error) {
	data := []byte("vanthu tries whether an object can be created once\n")
	ref := blob.Ref{Digest: blob.Sum(data), Size: int64(len(data))}
	key := s.folder() + probeOnce
	allowed := 1
	if s.statKey(ctx, key) == nil {
		allowed = 0
	}
	errs := make([]error, probeRacers)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = s.send(ctx, key, ref, bytes.NewReader(data)) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !exists(err):
			if minio.ToErrorResponse(err).Code == "NotImplemented" {
				return false, nil
			}
			return false, err
		}
	}
	if won > allowed {
		return false, nil
	}
	err := s.statKey(ctx, key)
	return err == nil, err
}

// tryChecksum sends bytes with the digest of others, which the store must refuse.
func (s *Store) tryChecksum(ctx context.Context) (bool, error) {
	data := []byte("vanthu tries whether a wrong checksum is refused\n")
	wrong := blob.Ref{Digest: blob.Sum([]byte("other bytes")), Size: int64(len(data))}
	err := s.send(ctx, s.folder()+probeChecksum, wrong, bytes.NewReader(data))
	if err == nil || exists(err) {
		return false, nil // it took them, now or at an earlier start
	}
	r := minio.ToErrorResponse(err)
	if r.StatusCode == http.StatusBadRequest || strings.Contains(r.Code, "Digest") || strings.Contains(r.Code, "Checksum") {
		return true, nil
	}
	return false, err
}

func (s *Store) statKey(ctx context.Context, key string) error {
	ctx, cancel := s.call(ctx, 0)
	defer cancel()
	_, err := s.single.StatObject(ctx, s.cfg.Bucket, key, minio.StatObjectOptions{})
	return err
}

// bucketSettings says whether the bucket has Object Lock and versions. A store
// that does not know the question has neither.
func (s *Store) bucketSettings(ctx context.Context) (lock, versions bool) {
	ctx, cancel := s.call(ctx, 0)
	defer cancel()
	state, _, _, _, err := s.single.GetObjectLockConfig(ctx, s.cfg.Bucket)
	lock = err == nil && state == "Enabled"
	v, err := s.single.GetBucketVersioning(ctx, s.cfg.Bucket)
	return lock, err == nil && v.Enabled()
}
