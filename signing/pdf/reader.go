package pdf

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// File is an open PDF file. It is not safe for concurrent use.
type File struct{}

// View is the document as of one revision.
type View struct{}

var errSoon = errors.New("pdf: reader not there yet")

// Open reads the cross-references of a file. Errors are *[Error].
func Open(r io.ReaderAt, size int64, lim Limits) (*File, error) {
	return OpenContext(context.Background(), r, size, lim)
}

// OpenContext is [Open] for work that stops when ctx ends, also while the file is used later.
func OpenContext(ctx context.Context, r io.ReaderAt, size int64, lim Limits) (*File, error) {
	return nil, errSoon
}

// Size is the length of the file in bytes.
func (f *File) Size() int64 { return 0 }

// Revisions lists the revisions, oldest first.
func (f *File) Revisions() []Revision { return nil }

// View is the document as of revision rev, nil when there is no such revision.
func (f *File) View(rev int) *View { return nil }

// Latest is the document as it stands at the end of the file.
func (f *File) Latest() *View { return nil }

// Problems are oddities of the file as a whole ("code: detail") that a validator must know of.
func (f *File) Problems() []string { return nil }

// Touched lists, sorted, the object numbers that revisions after..upto (exclusive..inclusive) write or free.
func (f *File) Touched(after, upto int) []uint32 { return nil }

// Signatures lists the signed signature fields, ordered by the end of their ByteRange.
func (f *File) Signatures() ([]Field, error) { return nil, errSoon }

// EmptyFields lists the signature fields that hold no signature yet, in document order.
func (f *File) EmptyFields() []Field { return nil }

// Trailer is the trailer dictionary of the revision.
func (v *View) Trailer() Dict { return nil }

// Revision is the index of the view in [File.Revisions].
func (v *View) Revision() int { return 0 }

// Catalog is the document catalog and its reference.
func (v *View) Catalog() (Dict, Ref, error) { return nil, Ref{}, errSoon }

// Get reads an indirect object; a missing or free object is null (ISO 32000-2 §7.3.10).
func (v *View) Get(r Ref) (Object, error) { return nil, errSoon }

// Resolve follows references until the object is direct.
func (v *View) Resolve(o Object) (Object, error) { return nil, errSoon }

// Entry says where object num stands in this view.
func (v *View) Entry(num uint32) (Entry, bool) { return Entry{}, false }

// Refs lists the live objects of the view in ascending order.
func (v *View) Refs() iter.Seq[Ref] { return func(func(Ref) bool) {} }

// Pages walks the page tree in order until yield returns false.
func (v *View) Pages(yield func(i int, ref Ref, page Dict) bool) error { return errSoon }

// StreamData decodes a stream through all its filters; image filters (DCT, JPX, CCITT, JBIG2) give an error.
func (v *View) StreamData(s *Stream) ([]byte, error) { return nil, errSoon }

// RawData gives the bytes of a stream as they stand in the file.
func (v *View) RawData(s *Stream) ([]byte, error) { return nil, errSoon }

// XRefKind is the form of the newest cross-reference section of the view.
func (v *View) XRefKind() XRefKind { return "" }

// MaxObject is the highest object number in use or listed as free.
func (v *View) MaxObject() uint32 { return 0 }

// ParseTime parses a PDF date (ISO 32000-2 §7.9.4).
func ParseTime(s string) (time.Time, bool) { return time.Time{}, false }
