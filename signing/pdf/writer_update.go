package pdf

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// maxObjectNumber is the largest object number that viewers accept (ISO 32000-1 annex C).
const maxObjectNumber = 8_388_607

// ErrUnsupported is wrapped when a file is readable but has a form that the writer does not extend.
var ErrUnsupported = errors.New("pdf: cannot be extended")

// Update gathers the objects of one incremental update (ISO 32000-2 §7.5.6). The bytes of the file stay
// as they are: an update only adds objects and replaces objects under their own numbers. It is not safe
// for concurrent use.
type Update struct {
	file    *File
	view    *View
	objects map[uint32]object
	next    uint32
}

type object struct {
	gen uint16
	obj Object
}

// rawObject is an object whose bytes are laid out by hand, with a place to be filled later: digits zero between head
// and rest.
type rawObject struct {
	head  string
	zeros int
	rest  []byte
}

func (r *rawObject) appendTo(dst []byte) []byte {
	dst = append(dst, r.head...)
	from := len(dst)
	dst = slices.Grow(dst, r.zeros+len(r.rest))[:from+r.zeros]
	fillZeros(dst[from:])
	return append(dst, r.rest...)
}

// fillZeros writes the digit zero all over b.
func fillZeros(b []byte) {
	const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
	for len(b) > 0 {
		b = b[copy(b, zeros):]
	}
}

// NewUpdate starts an update of the latest revision. It refuses encrypted files with an [*Error] of kind
// Encrypted, and with ErrUnsupported those whose cross-references cannot be continued.
func NewUpdate(f *File) (*Update, error) {
	v := f.Latest()
	if v == nil || len(f.Revisions()) == 0 {
		return nil, fmt.Errorf("file without revisions: %w", ErrUnsupported)
	}
	trailer := v.Trailer()
	if trailer["Encrypt"] != nil {
		return nil, &Error{Kind: Encrypted, Offset: -1, Msg: "an encrypted file cannot be signed; save it without encryption first"}
	}
	next := v.MaxObject() + 1
	if size, ok := trailer.Int("Size"); ok && size > int64(next) && size <= maxObjectNumber {
		next = uint32(size)
	}
	if next > maxObjectNumber-1000 {
		return nil, fmt.Errorf("object numbers are used up to %d: %w", next, ErrUnsupported)
	}
	return &Update{file: f, view: v, objects: make(map[uint32]object), next: next}, nil
}

// Add stores a new object and returns its reference.
func (u *Update) Add(o Object) Ref {
	r := Ref{Num: u.next}
	u.next++
	u.objects[r.Num] = object{obj: o}
	return r
}

// Set replaces an object of the file, or one added before.
func (u *Update) Set(r Ref, o Object) { u.objects[r.Num] = object{gen: r.Gen, obj: o} }

// Next is the number that the next added object gets.
func (u *Update) Next() uint32 { return u.next }

// Resolve follows references through the update and then the file.
func (u *Update) Resolve(o Object) (Object, error) {
	for range 32 {
		r, ok := o.(Ref)
		if !ok {
			return o, nil
		}
		if changed, ok := u.objects[r.Num]; ok && changed.gen == r.Gen {
			o = changed.obj
			continue
		}
		var err error
		if o, err = u.view.Get(r); err != nil {
			return nil, fmt.Errorf("reading object %s: %w", r, err)
		}
	}
	return nil, fmt.Errorf("chain of references is too long: %w", ErrUnsupported)
}

// dict resolves to a copy of a dictionary that may be changed; ok is false for anything else.
func (u *Update) dict(o Object) (d Dict, ok bool, err error) {
	if o, err = u.Resolve(o); err != nil {
		return nil, false, err
	}
	d, ok = o.(Dict)
	return maps.Clone(d), ok, nil
}

// array resolves to a copy of an array that may be changed; ok is false for anything else.
func (u *Update) array(o Object) (a Array, ok bool, err error) {
	if o, err = u.Resolve(o); err != nil {
		return nil, false, err
	}
	a, ok = o.(Array)
	return slices.Clone(a), ok, nil
}

// tail is the serialised update.
type tail struct {
	data []byte
	at   map[uint32]int // object number → offset of its body in data
}

// encode writes the update as it will stand after the file's last byte: objects, cross-references in the
// form that the file uses (table for hybrid files) and a trailer that keeps all of the old one's entries.
func (u *Update) encode(src io.ReaderAt, at time.Time) (*tail, error) {
	t := &tail{at: make(map[uint32]int, len(u.objects))}
	room := 1 << 10
	for _, o := range u.objects {
		room += 256
		switch obj := o.obj.(type) {
		case *rawObject:
			room += len(obj.head) + obj.zeros + len(obj.rest)
		case *Stream:
			room += len(obj.Raw)
		}
	}
	t.data = make([]byte, 0, room)
	var last [1]byte
	if _, err := src.ReadAt(last[:], u.file.Size()-1); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the end of the file: %w", err)
	}
	if last[0] != '\n' && last[0] != '\r' {
		t.data = append(t.data, '\n')
	}
	// Offsets count from the file's header where the writer of the file let them do so.
	base := u.file.Size() - u.file.base
	entries := make([]placement, 0, len(u.objects)+1)
	for _, num := range slices.Sorted(maps.Keys(u.objects)) {
		o := u.objects[num]
		entries = append(entries, placement{num, o.gen, base + int64(len(t.data))})
		t.data = fmt.Appendf(t.data, "%d %d obj\n", num, o.gen)
		t.at[num] = len(t.data)
		if raw, ok := o.obj.(*rawObject); ok {
			t.data = raw.appendTo(t.data)
		} else {
			t.data = AppendObject(t.data, o.obj)
		}
		t.data = append(t.data, "\nendobj\n"...)
	}
	trailer := u.Trailer(at)
	start := base + int64(len(t.data))
	if u.view.XRefKind() == XRefStream {
		entries = append(entries, placement{u.next, 0, start})
		trailer["Size"] = int64(u.next) + 1
		t.data = appendXRefStream(t.data, entries, trailer)
	} else {
		if start > 9_999_999_999 {
			return nil, fmt.Errorf("file of %d bytes is too large for a cross-reference table: %w", u.file.Size(), ErrUnsupported)
		}
		trailer["Size"] = int64(u.next)
		t.data = appendXRefTable(t.data, entries, trailer)
	}
	t.data = fmt.Appendf(t.data, "startxref\n%d\n%%%%EOF\n", start)
	return t, nil
}

// Trailer continues the old trailer for an update made at the given time: everything is kept but what belongs
// to the old section alone, /Prev leads to it, and /ID gets a new second part. /Size is not set.
func (u *Update) Trailer(at time.Time) Dict {
	d := maps.Clone(u.view.Trailer())
	for _, key := range []Name{"XRefStm", "Type", "W", "Index", "Length", "Filter", "DecodeParms", "DL", "Size", "F", "FFilter", "FDecodeParms"} {
		delete(d, key)
	}
	revisions := u.file.Revisions()
	d["Prev"] = revisions[len(revisions)-1].XRefOffset - u.file.base
	// The first part of /ID names the document and stays; the second names this state of it (ISO 32000-2
	// §14.4). It is derived from what is known of the state instead of being random.
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, []int64{u.file.Size(), at.UnixNano(), int64(len(u.objects))}) // a hash does not fail
	var first Object
	if id, _, err := u.array(d["ID"]); err == nil && len(id) == 2 {
		first, _ = u.Resolve(id[0])
		if s, ok := id[1].(String); ok {
			h.Write(s.B)
		}
	}
	sum := String{B: h.Sum(nil)[:16], Hex: true}
	if s, ok := first.(String); ok {
		d["ID"] = Array{String{B: s.B, Hex: true}, sum}
	} else {
		d["ID"] = Array{sum, sum}
	}
	return d
}

// placement is one cross-reference to an object in use.
type placement struct {
	num    uint32
	gen    uint16
	offset int64
}

// sections splits sorted entries into runs of consecutive numbers.
func sections(entries []placement) [][]placement {
	var out [][]placement
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && entries[n].num == entries[n-1].num+1 {
			n++
		}
		out = append(out, entries[:n])
		entries = entries[n:]
	}
	return out
}

// appendXRefTable writes a classic section (ISO 32000-2 §7.5.4): entries of exactly 20 bytes.
func appendXRefTable(dst []byte, entries []placement, trailer Dict) []byte {
	dst = append(dst, "xref\n"...)
	for _, run := range sections(entries) {
		dst = fmt.Appendf(dst, "%d %d\n", run[0].num, len(run))
		for _, e := range run {
			dst = fmt.Appendf(dst, "%010d %05d n\r\n", e.offset, e.gen)
		}
	}
	dst = append(dst, "trailer\n"...)
	return append(AppendObject(dst, trailer), '\n')
}

// appendXRefStream writes a cross-reference stream (ISO 32000-2 §7.5.8). It is not compressed: it has a
// handful of entries.
func appendXRefStream(dst []byte, entries []placement, dict Dict) []byte {
	last := entries[len(entries)-1] // the stream itself, behind all others
	width := 4
	for last.offset>>(8*width) != 0 {
		width++
	}
	var index Array
	var data []byte
	for _, run := range sections(entries) {
		index = append(index, int64(run[0].num), int64(len(run)))
		for _, e := range run {
			data = append(data, 1)
			for shift := 8 * (width - 1); shift >= 0; shift -= 8 {
				data = append(data, byte(e.offset>>shift))
			}
			data = binary.BigEndian.AppendUint16(data, e.gen)
		}
	}
	dict["Type"], dict["W"], dict["Index"] = Name("XRef"), Array{int64(1), int64(width), int64(2)}, index
	dst = fmt.Appendf(dst, "%d %d obj\n", last.num, last.gen)
	dst = AppendObject(dst, &Stream{Dict: dict, Raw: data})
	return append(dst, "\nendobj\n"...)
}
