package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vanthu/storage/blob"
)

// Check rereads every blob and archived package and recomputes the evidence
// log, and yields one sentence for each problem. The error is that of not being
// able to check.
func (s *Store) Check(ctx context.Context, yield func(problem string)) error {
	return s.CheckWithProgress(ctx, yield, func(int64, int64) {})
}

// CheckWithProgress is Check, and tells now and then how many blobs and bytes it
// has reread. Neither function is called twice at a time.
func (s *Store) CheckWithProgress(ctx context.Context, yield func(problem string), progress func(blobs, bytes int64)) error {
	c := &blobCheck{yield: yield, progress: progress}
	for _, part := range []struct {
		name  string
		store blob.Backend
	}{{"blob", s.Blobs}, {"archive", s.Archive}} {
		if err := c.run(ctx, part.name, part.store); err != nil {
			return fmt.Errorf("checking %s store: %w", part.name, err)
		}
	}
	if err := s.Ledger.Check(ctx, yield); err != nil {
		return fmt.Errorf("checking evidence log: %w", err)
	}
	return nil
}

// blobCheck rereads stores, several blobs at a time.
type blobCheck struct {
	mu          sync.Mutex
	yield       func(string)
	progress    func(blobs, bytes int64)
	blobs, size int64
}

// strayLister is a store that can hold files that are no blobs.
type strayLister interface {
	Strays(ctx context.Context, yield func(path string) error) error
}

func (c *blobCheck) run(ctx context.Context, name string, b blob.Backend) error {
	if ro, ok := b.(readOnlyBlobs); ok {
		b = ro.Backend
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	err := b.List(gctx, func(r blob.Ref) error {
		g.Go(func() error { return c.one(gctx, name, b, r) })
		return gctx.Err()
	})
	if waited := g.Wait(); waited != nil {
		return waited
	}
	if err != nil {
		return err
	}
	if l, ok := b.(strayLister); ok {
		return l.Strays(ctx, func(path string) error {
			c.tell(fmt.Sprintf("%s store: %s is not a file of ours", name, path))
			return nil
		})
	}
	return nil
}

// one rereads a blob. A blob that is damaged is a problem; so is one that can
// not be read, and the others are still checked.
func (c *blobCheck) one(ctx context.Context, name string, b blob.Backend, r blob.Ref) error {
	err := blob.Verify(ctx, b, r.Digest)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, blob.ErrCorrupt):
		c.tell(fmt.Sprintf("%s %s is corrupt: bring it back from a backup", name, r.Digest))
	case err != nil:
		c.tell(fmt.Sprintf("%s %s cannot be read: %v", name, r.Digest, err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blobs++
	c.size += r.Size
	c.progress(c.blobs, c.size)
	return nil
}

func (c *blobCheck) tell(problem string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.yield(problem)
}

// readOnlyBlobs refuses to change the store it shows.
type readOnlyBlobs struct{ blob.Backend }

// Put implements blob.Backend.
func (readOnlyBlobs) Put(context.Context, io.Reader) (blob.Ref, error) {
	return blob.Ref{}, ErrReadOnly
}

// Retain implements blob.Backend.
func (readOnlyBlobs) Retain(context.Context, blob.Digest, time.Time) error { return ErrReadOnly }
