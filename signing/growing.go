package signing

import (
	"context"
	"fmt"
	"io"

	"vanthu/signing/pdf"
)

// growing is a file with revisions added behind it, which alone are held in memory.
type growing struct {
	src   io.ReaderAt
	size  int64
	tail  []byte
	piece func(off, n int64) []byte // of src; asked for once
}

// Size is the length of the file with all that was added.
func (g *growing) Size() int64 { return g.size + int64(len(g.tail)) }

// add takes the bytes of one more revision.
func (g *growing) add(tail []byte) {
	if g.tail == nil {
		g.tail = tail
		return
	}
	g.tail = append(g.tail, tail...)
}

// ReadAt implements io.ReaderAt over the file and what was added.
func (g *growing) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("reading at %d: %w", off, io.ErrUnexpectedEOF)
	}
	if off < g.size {
		n, err = g.src.ReadAt(p[:min(int64(len(p)), g.size-off)], off)
		if n == len(p) {
			return n, nil
		}
		if off+int64(n) < g.size {
			return n, err
		}
	}
	if from := off + int64(n) - g.size; from < int64(len(g.tail)) {
		n += copy(p[n:], g.tail[from:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Piece gives bytes of the file without copying them where they lie in memory in one piece (see pdf.Pieces).
func (g *growing) Piece(off, n int64) []byte {
	if off >= g.size {
		if off -= g.size; off > int64(len(g.tail)) || n > int64(len(g.tail))-off {
			return nil
		}
		return g.tail[off : off+n : off+n]
	}
	if g.piece == nil {
		if g.piece = pdf.Pieces(g.src); g.piece == nil {
			g.piece = func(int64, int64) []byte { return nil }
		}
	}
	if n > g.size-off {
		return nil
	}
	return g.piece(off, n)
}

// open reads the file as it stands. maxSize is in bytes, 0 means the default of pdf.DefaultLimits.
func (g *growing) open(ctx context.Context, maxSize int64) (*pdf.File, error) {
	limits := pdf.DefaultLimits()
	if maxSize > 0 {
		limits.MaxSize = maxSize
	}
	return pdf.OpenContext(ctx, g, g.Size(), limits)
}

// CopyTo writes all of it, from the first byte; it serves pdf.Prepared.
func (g *growing) CopyTo(w io.Writer) (int64, error) {
	n, err := g.copySource(w)
	if err != nil || n < g.size || len(g.tail) == 0 {
		return n, err
	}
	added, err := w.Write(g.tail)
	return n + int64(added), err
}

// copySource writes the file without what was added, at once where it is in memory.
func (g *growing) copySource(w io.Writer) (int64, error) {
	if whole := g.Piece(0, g.size); whole != nil {
		n, err := w.Write(whole)
		return int64(n), err
	}
	return io.Copy(w, io.NewSectionReader(g.src, 0, g.size))
}

// writeTo writes the file, unchanged, and what was added.
func (g *growing) writeTo(w io.Writer) error {
	n, err := g.copySource(w)
	if err != nil {
		return fmt.Errorf("copying the file: %w", err)
	}
	if n != g.size {
		return fmt.Errorf("copying the file: %d of %d bytes: %w", n, g.size, io.ErrUnexpectedEOF)
	}
	if _, err := w.Write(g.tail); err != nil {
		return fmt.Errorf("writing what was added: %w", err)
	}
	return nil
}
