package pdf

import (
	"bytes"
	"errors"
	"io"
)

const (
	pageSize = 8 << 10 // bytes of one cached page of the file
	maxPages = 384     // cached pages, so 3 MiB of the file at most
)

// Pieces tells how bytes [off, off+n) of a source can be had without copying them, nil when it does not hold them in
// memory. What the function gives must not be changed, and is nil for bytes that do not lie there in one piece. A source
// of the caller's own takes part with a method Piece of this form.
func Pieces(r io.ReaderAt) func(off, n int64) []byte {
	switch r := r.(type) {
	case *bytes.Reader:
		whole := *r // a reader of its own over the same bytes: the caller's stays where it is
		var k kept
		if _, err := whole.Seek(0, io.SeekStart); err != nil {
			return nil
		}
		if _, err := whole.WriteTo(&k); err != nil {
			return nil
		}
		return k.piece
	case interface{ Piece(off, n int64) []byte }:
		return r.Piece
	}
	return nil
}

// kept keeps what a [bytes.Reader] writes, which is its own slice in one piece: it has no other way of giving it away.
type kept struct{ b []byte }

func (k *kept) Write(p []byte) (int, error) {
	k.b = p
	return len(p), nil
}

func (k *kept) piece(off, n int64) []byte {
	if off < 0 || n < 0 || off > int64(len(k.b)) || n > int64(len(k.b))-off {
		return nil
	}
	return k.b[off : off+n : off+n]
}

// source reads a file in pages, so that parsing costs neither a system call a byte nor the whole file. Pages of a file
// in memory are parts of it; those of any other are kept.
type source struct {
	r     io.ReaderAt
	piece func(off, n int64) []byte // nil for a file that is not in memory
	size  int64
	stop  func() error // context check, called once a page
	pages map[int64][]byte
	work  int64   // bytes that parsing and searching may still pass over
	order []int64 // page numbers in the order they came, for eviction
	next  int     // the next of order to replace
}

// page returns page number n; the slice stays valid for its holder after eviction.
func (s *source) page(n int64) ([]byte, error) {
	if p, ok := s.pages[n]; ok {
		return p, nil
	}
	if err := s.stop(); err != nil {
		return nil, &Error{Kind: Stopped, Offset: n * pageSize, Msg: "reading stopped", Err: err}
	}
	off := n * pageSize
	if s.piece != nil {
		if p := s.piece(off, min(pageSize, s.size-off)); p != nil {
			return p, nil
		}
	}
	p := make([]byte, min(pageSize, s.size-off))
	if got, err := s.r.ReadAt(p, off); err != nil && (got < len(p) || !errors.Is(err, io.EOF)) {
		return nil, &Error{Kind: Damaged, Offset: off, Msg: "reading the file", Err: err}
	}
	if len(s.order) < maxPages {
		s.order = append(s.order, n)
	} else {
		delete(s.pages, s.order[s.next])
		s.order[s.next] = n
		s.next = (s.next + 1) % maxPages
	}
	if s.pages == nil {
		s.pages = map[int64][]byte{}
	}
	s.pages[n] = p
	return p, nil
}

// spend counts bytes that were passed over in one go. It keeps a file from being read again and again, as one can be
// made to need whose objects all reach to its end.
func (s *source) spend(n, off int64) error {
	if s.work -= n; s.work < 0 {
		return tooLarge(off, "the file needs too much reading")
	}
	return nil
}

// slice returns n bytes from off in memory of their own; off and n must lie within the file.
func (s *source) slice(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > s.size || n > s.size-off {
		return nil, damaged(off, "data reaches beyond the end of the file")
	}
	out := make([]byte, n)
	for done := int64(0); done < n; {
		p, err := s.page((off + done) / pageSize)
		if err != nil {
			return nil, err
		}
		done += int64(copy(out[done:], p[(off+done)%pageSize:]))
	}
	return out, nil
}

// view is slice for bytes that are only looked at: those of one page are not copied.
func (s *source) view(off, n int64) ([]byte, error) {
	if n <= 0 || off < 0 || off/pageSize != (off+n-1)/pageSize || off+n > s.size {
		return s.slice(off, n)
	}
	p, err := s.page(off / pageSize)
	if err != nil {
		return nil, err
	}
	return p[off%pageSize:][:n], nil
}

// lastIndex finds the last occurrence of pat that lies wholly within [lo, hi), or -1.
func (s *source) lastIndex(pat string, lo, hi int64) (int64, error) {
	lo, hi = max(lo, 0), min(hi, s.size)
	// What is looked for mostly stands right at the end.
	for step := int64(pageSize / 8); lo < hi; step = pageSize {
		from := max(lo, hi-step)
		chunk, err := s.view(from, hi-from)
		if err != nil {
			return -1, err
		}
		if i := bytes.LastIndex(chunk, []byte(pat)); i >= 0 {
			return from + int64(i), nil
		}
		if from == lo {
			break
		}
		hi = from + int64(len(pat)-1)
	}
	return -1, nil
}

// index finds the first occurrence of pat that lies wholly within [lo, hi), or -1.
func (s *source) index(pat string, lo, hi int64) (int64, error) {
	lo, hi = max(lo, 0), min(hi, s.size)
	overlap := int64(len(pat) - 1)
	for lo < hi {
		p, err := s.page(lo / pageSize)
		if err != nil {
			return -1, err
		}
		p = p[lo%pageSize:]
		p = p[:min(int64(len(p)), hi-lo)]
		if i := bytes.Index(p, []byte(pat)); i >= 0 {
			return lo + int64(i), nil
		}
		end := lo + int64(len(p))
		if err := s.spend(int64(len(p)), lo); err != nil {
			return -1, err
		}
		seam := max(lo, end-overlap)
		across, err := s.view(seam, min(hi, end+overlap)-seam)
		if err != nil {
			return -1, err
		}
		if i := bytes.Index(across, []byte(pat)); i >= 0 {
			return seam + int64(i), nil
		}
		lo = end
	}
	return -1, nil
}

// damaged makes an error of kind Damaged.
func damaged(off int64, msg string) *Error { return &Error{Kind: Damaged, Offset: off, Msg: msg} }

// tooLarge makes an error of kind TooLarge.
func tooLarge(off int64, msg string) *Error { return &Error{Kind: TooLarge, Offset: off, Msg: msg} }
