// Package disk keeps blobs as files in a folder.
//
// A blob of digest aabbcc… is the file aa/bb/aabbcc…, mode 0440. Bytes are
// written to a file in tmp/, flushed, and only then given their name by a rename
// that the file system does for one writer only; last the folder is
// flushed. A crash therefore leaves either the whole blob or a file in tmp/,
// and the next Open empties tmp/.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"vanthu/storage/blob"
)

// tmpName is the folder of files that are being written. It cannot be the name
// of a blob folder, which has two characters.
const tmpName = "tmp"

const (
	folderMode fs.FileMode = 0o750
	blobMode   fs.FileMode = 0o440
)

// Store is a folder of blobs.
type Store struct {
	dir     string
	flusher flusher
	shards  [256]shard
	buffers sync.Pool
	// create makes the file that a Put writes to.
	create func(dir string) (*os.File, error)
}

// Open makes the folder if needed, removes what a crash left half written, and
// returns the store. One process at a time may have a folder open for writing;
// storage.Open sees to that with its lock.
func Open(dir string) (*Store, error) {
	s, err := OpenReadOnly(dir)
	if err != nil {
		return nil, err
	}
	tmp := filepath.Join(s.dir, tmpName)
	if err := os.MkdirAll(tmp, folderMode); err != nil {
		return nil, fmt.Errorf("making blob folder: %w", err)
	}
	left, err := os.ReadDir(tmp)
	if err != nil {
		return nil, fmt.Errorf("listing unfinished blobs: %w", err)
	}
	for _, e := range left {
		if err := os.Remove(filepath.Join(tmp, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("removing unfinished blob: %w", err)
		}
	}
	for _, d := range []string{s.dir, filepath.Dir(s.dir)} {
		if err := flushFolder(d); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// OpenReadOnly returns the store without touching the folder, for checks.
func OpenReadOnly(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("naming blob folder: %w", err)
	}
	s := &Store{dir: abs, create: createTemp}
	s.flusher.flush = flushFolder
	s.buffers.New = func() any { return make([]byte, bufferSize) }
	return s, nil
}

// path returns where a blob is kept.
func (s *Store) path(d blob.Digest) string {
	return filepath.Join(s.dir, string(d[:2]), string(d[2:4]), string(d))
}

// Open implements blob.Backend.
func (s *Store) Open(ctx context.Context, d blob.Digest) (io.ReadCloser, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	if _, err := blob.ParseDigest(string(d)); err != nil {
		return nil, 0, err
	}
	f, err := os.Open(s.path(d))
	if err != nil {
		return nil, 0, notFound(d, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("opening blob %s: %w", d, err), f.Close())
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.Join(fmt.Errorf("blob %s is no file: %w", d, blob.ErrCorrupt), f.Close())
	}
	return blob.NewReader(f, d, info.Size()), info.Size(), nil
}

// Stat implements blob.Backend.
func (s *Store) Stat(ctx context.Context, d blob.Digest) (blob.Ref, error) {
	if err := ctx.Err(); err != nil {
		return blob.Ref{}, err
	}
	if _, err := blob.ParseDigest(string(d)); err != nil {
		return blob.Ref{}, err
	}
	info, err := os.Stat(s.path(d))
	if err != nil {
		return blob.Ref{}, notFound(d, err)
	}
	return blob.Ref{Digest: d, Size: info.Size()}, nil
}

func notFound(d blob.Digest, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("blob %s: %w", d, blob.ErrNotFound)
	}
	return fmt.Errorf("opening blob %s: %w", d, err)
}

// List implements blob.Backend. Files that are no blobs are passed over; Strays
// names them.
func (s *Store) List(ctx context.Context, yield func(blob.Ref) error) error {
	return s.walk(ctx, yield, func(string) error { return nil })
}

// Strays yields the path, relative to the folder, of every file that is not a
// blob in its place. Nothing of ours makes such files.
func (s *Store) Strays(ctx context.Context, yield func(path string) error) error {
	return s.walk(ctx, func(blob.Ref) error { return nil }, yield)
}

func (s *Store) walk(ctx context.Context, yield func(blob.Ref) error, stray func(string) error) error {
	return filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == s.dir {
			return nil // opened for reading before anything was written
		}
		if err != nil {
			return fmt.Errorf("listing blobs: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(s.dir, path)
		if err != nil {
			return fmt.Errorf("listing blobs: %w", err)
		}
		if e.IsDir() {
			if rel == tmpName {
				return fs.SkipDir
			}
			return nil
		}
		d, err := blob.ParseDigest(e.Name())
		if err != nil || s.path(d) != path || !e.Type().IsRegular() {
			return stray(rel)
		}
		info, err := e.Info()
		if err != nil {
			return fmt.Errorf("listing blobs: %w", err)
		}
		return yield(blob.Ref{Digest: d, Size: info.Size()})
	})
}

// Retain implements blob.Backend: a folder cannot keep its owner from deleting.
func (s *Store) Retain(context.Context, blob.Digest, time.Time) error {
	return fmt.Errorf("retention on disk: %w", blob.ErrUnsupported)
}

// Capabilities implements blob.Backend.
func (s *Store) Capabilities() blob.Capabilities {
	return blob.Capabilities{Name: "disk " + s.dir, CreateOnce: true}
}
