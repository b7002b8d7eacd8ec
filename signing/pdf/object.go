// Package pdf reads, extends and compares PDF files (ISO 32000-2) for signing and for judging signatures.
//
// The reader is bounded: it never trusts a length found in the file for an allocation, follows no loop twice,
// and stops at the limits of [Limits] with an [*Error]; it does not panic on any input. It works on an
// [io.ReaderAt] and keeps only a few pages of the file in memory. Every revision of the file (bản sửa đổi: the
// original plus one per incremental update, ISO 32000-2 §7.5.6) can be seen on its own through a [View].
//
// The reader never repairs a file silently. A file whose cross-references cannot be followed gives an *Error of
// kind [Damaged]; [OpenDamaged] scans such a file so that a validator can say what was in it, and marks it.
package pdf

import (
	"fmt"
	"time"
)

// Object is one PDF object: nil (null), bool, int64, float64, [Name], [String], [Array], [Dict], [*Stream] or [Ref].
type Object any

// Name is a PDF name without its leading slash and with #xx escapes resolved (ISO 32000-2 §7.3.5).
type Name string

// String is a PDF string object: its decoded bytes, and whether it was written in the hexadecimal form.
type String struct {
	B   []byte
	Hex bool
}

// Array is a PDF array.
type Array []Object

// Dict is a PDF dictionary without null values. Where a key stands twice the last value counts and
// the file gets a problem, because readers differ on which one they take.
type Dict map[Name]Object

// Ref is an indirect reference "Num Gen R".
type Ref struct {
	Num uint32
	Gen uint16
}

// String gives the reference as it is written in a file.
func (r Ref) String() string { return fmt.Sprintf("%d %d R", r.Num, r.Gen) }

// Stream is a PDF stream. Streams read from a file have Offset and Length (the raw, still encoded bytes in the
// file); streams made in memory have Raw and leave Offset and Length zero.
type Stream struct {
	Dict   Dict
	Offset int64
	Length int64
	Raw    []byte

	ref Ref // the indirect object that holds the stream, for decryption
}

// Name returns the value of key when it is a name, else "". References are not followed.
func (d Dict) Name(key Name) Name { n, _ := d[key].(Name); return n }

// Int returns the value of key when it is an integer. References are not followed.
func (d Dict) Int(key Name) (int64, bool) { n, ok := d[key].(int64); return n, ok }

// Limits bounds the work that one file may cause. The zero value of a field means the default of [DefaultLimits].
type Limits struct {
	MaxSize      int64 // bytes of the file
	MaxStream    int64 // bytes of one stream, as it stands and inflated
	MaxInflated  int64 // bytes that all streams together may inflate to while the file is open
	MaxMemory    int64 // estimated bytes of parsed objects, cross-reference entries and object streams held at once
	MaxDepth     int   // nesting of arrays, dictionaries, page tree and field tree
	MaxObjects   int   // cross-reference entries over all sections
	MaxRevisions int   // cross-reference sections
	MaxFields    int   // form fields of one revision; 40 times as many over all
	MaxPages     int   // pages
	MaxToken     int   // bytes of one string, name or number
}

// DefaultLimits are generous for official documents and small enough for a server process.
func DefaultLimits() Limits {
	return Limits{
		MaxSize:      1 << 30,
		MaxStream:    64 << 20,
		MaxInflated:  256 << 20,
		MaxMemory:    128 << 20,
		MaxDepth:     100,
		MaxObjects:   2_000_000,
		MaxRevisions: 2_000,
		MaxFields:    50_000,
		MaxPages:     100_000,
		MaxToken:     16 << 20,
	}
}

// orDefault fills unset limits.
func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	fill64 := func(v *int64, def int64) {
		if *v <= 0 {
			*v = def
		}
	}
	fill := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	fill64(&l.MaxSize, d.MaxSize)
	fill64(&l.MaxStream, d.MaxStream)
	fill64(&l.MaxInflated, d.MaxInflated)
	fill64(&l.MaxMemory, d.MaxMemory)
	fill(&l.MaxDepth, d.MaxDepth)
	fill(&l.MaxObjects, d.MaxObjects)
	fill(&l.MaxRevisions, d.MaxRevisions)
	fill(&l.MaxFields, d.MaxFields)
	fill(&l.MaxPages, d.MaxPages)
	fill(&l.MaxToken, d.MaxToken)
	return l
}

// Kind says what is wrong with a file.
type Kind string

// The kinds of [Error].
const (
	NotPDF    Kind = "not-pdf"   // no %PDF- header
	Encrypted Kind = "encrypted" // encrypted, and not readable with the empty user password
	TooLarge  Kind = "too-large" // a limit of [Limits] was reached
	Damaged   Kind = "damaged"   // the syntax cannot be followed
	Stopped   Kind = "stopped"   // the context ended
)

// Error is why a file, or a part of it, could not be read.
type Error struct {
	Kind   Kind
	Offset int64 // where in the file, -1 when unknown
	Msg    string
	Err    error
}

// Error implements error.
func (e *Error) Error() string {
	s := "pdf " + string(e.Kind) + ": " + e.Msg
	if e.Offset >= 0 {
		s += fmt.Sprintf(" at byte %d", e.Offset)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Revision is one state of the file that was once its end: the original or an incremental update.
type Revision struct {
	XRefOffset int64 // offset of the newest cross-reference section of the revision
	Start      int64 // first byte that the revision adds (0 for the first)
	EOF        int64 // one past its %%EOF marker
	End        int64 // EOF plus the white space that follows the marker
}

// XRefKind is how a revision writes its cross-references.
type XRefKind string

// The kinds of cross-reference section.
const (
	XRefTable  XRefKind = "table"
	XRefStream XRefKind = "stream"
	XRefHybrid XRefKind = "hybrid"
)

// Entry is where an object stands in a view.
type Entry struct {
	Free   bool
	Offset int64  // of "N G obj" in the file; 0 for objects in an object stream
	Gen    uint16 // generation
	Stream uint32 // number of the object stream that holds the object, 0 when none
	Index  uint32 // position in the object stream
}

// Problem is an oddity that readers may resolve differently, so that a validator must know of it.
type Problem struct {
	Code   string // stable, e.g. "trailing-bytes"
	Offset int64  // where in the file, -1 when it concerns the whole file
	Detail string
}

// String is the code with its detail.
func (p Problem) String() string {
	if p.Detail == "" {
		return p.Code
	}
	return p.Code + ": " + p.Detail
}

// Codes of [Problem].
const (
	ProblemHeader     = "header-offset"    // bytes stand before %PDF-
	ProblemTrailing   = "trailing-bytes"   // bytes after the last revision that form none
	ProblemBoundary   = "revision-end"     // a revision does not end with startxref, its offset and %%EOF
	ProblemXRef       = "xref-entry"       // an entry does not point at its object
	ProblemHybrid     = "hybrid-conflict"  // table and stream of a hybrid section disagree
	ProblemOrder      = "revision-order"   // the cross-reference sections are not in the order of the file
	ProblemDuplicate  = "duplicate-key"    // a dictionary has a key twice
	ProblemLength     = "stream-length"    // /Length does not lead to endstream
	ProblemFilter     = "damaged-stream"   // encoded data ends early or fails its checksum
	ProblemFirstEntry = "xref-first-entry" // a table numbers its first entry 1 instead of 0
	ProblemEncryption = "encryption"       // revisions differ in whether they are encrypted
	ProblemRepaired   = "repaired"         // the cross-references were made by scanning
)

// Field is a signature field (trường chữ ký) of the form.
type Field struct {
	Name          string   // fully qualified, parts joined by dots
	Ref           Ref      // the field; zero when it is a direct object
	ValueRef      Ref      // the signature dictionary; zero when it is direct or missing
	Field         Dict     // the field dictionary of the latest revision
	Dict          Dict     // the signature dictionary of the latest revision, nil for an empty field
	ByteRange     []int64  // as written; nil when missing or malformed
	Contents      []byte   // the decoded /Contents, with its trailing zero padding
	ContentsStart int64    // offset of '<' of /Contents in the signed revision, -1 when not found
	ContentsEnd   int64    // one past its '>', -1 when not found
	Revision      int      // the revision that the ByteRange closes, -1 if none
	Others        []string // names of further fields that share the same signature dictionary
	OutsideForm   bool     // found through a page only, not in the document's form
	Problems      []string // format problems, "code: detail"; any of them is a FORMAT_FAILURE
}

// Time parses a PDF date string "D:YYYYMMDDHHmmSSOHH'mm'" (ISO 32000-2 §7.9.4). Missing parts take their defaults.
func (s String) Time() (time.Time, bool) { return ParseTime(string(s.B)) }
