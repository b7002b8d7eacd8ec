package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"vanthu/storage/blob"
)

// bufferSize is how much is read at a time. What fits is hashed before a file
// is made, so that storing a small blob again writes nothing.
const bufferSize = 256 << 10

// Put implements blob.Backend.
func (s *Store) Put(ctx context.Context, r io.Reader) (blob.Ref, error) {
	buf := s.buffers.Get().([]byte) //nolint:forcetypeassert // only []byte is put in
	defer s.buffers.Put(buf)        //nolint:staticcheck // a slice header per Put is nothing beside an fsync
	r = ctxReader{ctx, r}
	n, err := io.ReadFull(r, buf)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		data := buf[:n]
		ref := blob.Ref{Digest: blob.Sum(data), Size: int64(n)}
		if err := s.putSmall(ref, data); err != nil {
			return blob.Ref{}, err
		}
		return ref, nil
	case err != nil:
		return blob.Ref{}, fmt.Errorf("reading what to store: %w", err)
	}
	return s.putLarge(io.MultiReader(bytes.NewReader(buf), r))
}

// putSmall stores bytes that are in memory.
func (s *Store) putSmall(ref blob.Ref, data []byte) error {
	if s.whole(ref) {
		return s.settle(ref)
	}
	f, err := s.create(filepath.Join(s.dir, tmpName))
	if err != nil {
		return full(fmt.Errorf("making blob file: %w", err))
	}
	_, err = f.Write(data)
	return s.finish(f, ref, err)
}

// putLarge stores a stream, hashing it on its way to the file.
func (s *Store) putLarge(r io.Reader) (blob.Ref, error) {
	f, err := s.create(filepath.Join(s.dir, tmpName))
	if err != nil {
		return blob.Ref{}, full(fmt.Errorf("making blob file: %w", err))
	}
	buf := s.buffers.Get().([]byte) //nolint:forcetypeassert // only []byte is put in
	defer s.buffers.Put(buf)        //nolint:staticcheck // see Put
	h := sha256.New()
	// Only the two methods, so that the buffer is what is used.
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(h, f)}, struct{ io.Reader }{r}, buf)
	ref := blob.Ref{Digest: blob.Digest(hex.EncodeToString(h.Sum(nil))), Size: n}
	if err := s.finish(f, ref, err); err != nil {
		return blob.Ref{}, err
	}
	return ref, nil
}

// finish gives a written file its name, or removes it. err is that of writing.
func (s *Store) finish(f *os.File, ref blob.Ref, err error) error {
	if err == nil {
		err = s.makeFolder(string(ref.Digest))
	}
	if err == nil {
		err = f.Chmod(blobMode)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = s.name(f.Name(), ref)
	}
	if err != nil {
		if rm := os.Remove(f.Name()); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
			err = errors.Join(err, rm)
		}
		return full(fmt.Errorf("storing blob: %w", err))
	}
	return nil
}

// name gives the finished file tmp its place, or removes it when another writer
// was first with the same bytes.
func (s *Store) name(tmp string, ref blob.Ref) error {
	if err := s.settleFolder(string(ref.Digest)); err != nil {
		return err
	}
	path := s.path(ref.Digest)
	err := renameOnce(tmp, path)
	switch {
	case errors.Is(err, fs.ErrExist) && s.whole(ref):
		err = os.Remove(tmp)
	case errors.Is(err, fs.ErrExist):
		// What is there cannot be the blob: put the right bytes in its place.
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return err
	}
	return s.flusher.Flush(filepath.Dir(path))
}

// settle makes the name of a blob that is already there durable: another writer
// may have given it, and not be finished.
func (s *Store) settle(ref blob.Ref) error {
	if err := s.settleFolder(string(ref.Digest)); err != nil {
		return full(err)
	}
	return full(s.flusher.Flush(filepath.Dir(s.path(ref.Digest))))
}

// whole says whether a file of the blob's size has its name. Content is checked
// when it is read.
func (s *Store) whole(ref blob.Ref) bool {
	info, err := os.Stat(s.path(ref.Digest))
	return err == nil && info.Mode().IsRegular() && info.Size() == ref.Size
}

func createTemp(dir string) (*os.File, error) { return os.CreateTemp(dir, "put-*") }

// full marks an error that means "no room" as blob.ErrFull.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w: %w", blob.ErrFull, err)
	}
	return err
}

// ctxReader ends a read when the context does.
type ctxReader struct {
	ctx context.Context //nolint:containedctx // lives as long as the one call it serves
	r   io.Reader
}

// Read implements io.Reader.
func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// linkOnce is renameOnce by two names: of several writers one makes the link.
func linkOnce(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}
