package pdf

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
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

// look resolves to a dictionary that is only read; nil for anything else.
func (u *Update) look(o Object) (Dict, error) {
	o, err := u.Resolve(o)
	if err != nil {
		return nil, err
	}
	d, _ := o.(Dict)
	return d, nil
}

// list resolves to an array that is only read; nil for anything else.
func (u *Update) list(o Object) (Array, error) {
	o, err := u.Resolve(o)
	if err != nil {
		return nil, err
	}
	a, _ := o.(Array)
	return a, nil
}

// tail is the serialised update.
type tail struct {
	data    []byte
	entries []placement // of the update's objects, in ascending order
}

// body is the offset in data of an object's body.
func (t *tail) body(num uint32) int {
	i, ok := slices.BinarySearchFunc(t.entries, num, func(p placement, n uint32) int { return cmp.Compare(p.num, n) })
	if !ok {
		return -1
	}
	return t.entries[i].body
}

// encode writes the update as it will stand after the file's last byte: objects, cross-references in the
// form that the file uses (table for hybrid files) and a trailer that keeps all of the old one's entries.
func (u *Update) encode(src io.ReaderAt, at time.Time) (*tail, error) {
	t := &tail{entries: make([]placement, 0, len(u.objects)+1)}
	room := 768 // cross-references and trailer
	for num, o := range u.objects {
		t.entries = append(t.entries, placement{num: num, gen: o.gen})
		switch obj := o.obj.(type) {
		case *rawObject:
			room += 64 + len(obj.head) + obj.zeros + len(obj.rest)
		case *Stream:
			room += 256 + len(obj.Raw)
		default:
			room += 256
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
	slices.SortFunc(t.entries, func(a, b placement) int { return cmp.Compare(a.num, b.num) })
	for i := range t.entries {
		e := &t.entries[i]
		e.offset = base + int64(len(t.data))
		t.data = appendHead(t.data, e)
		e.body = len(t.data)
		o := u.objects[e.num].obj
		if raw, ok := o.(*rawObject); ok {
			t.data = raw.appendTo(t.data)
		} else {
			t.data = AppendObject(t.data, o)
		}
		t.data = append(t.data, "\nendobj\n"...)
	}
	trailer := u.Trailer(at)
	start := base + int64(len(t.data))
	if u.view.XRefKind() == XRefStream {
		trailer["Size"] = int64(u.next) + 1
		t.data = appendXRefStream(t.data, append(t.entries, placement{num: u.next, offset: start}), trailer)
	} else {
		if start > 9_999_999_999 {
			return nil, fmt.Errorf("file of %d bytes is too large for a cross-reference table: %w", u.file.Size(), ErrUnsupported)
		}
		trailer["Size"] = int64(u.next)
		t.data = appendXRefTable(t.data, t.entries, trailer)
	}
	t.data = strconv.AppendInt(append(t.data, "startxref\n"...), start, 10)
	t.data = append(t.data, "\n%%EOF\n"...)
	return t, nil
}

// Trailer continues the old trailer for an update made at the given time: everything is kept but what belongs
// to the old section alone, /Prev leads to it, and /ID gets a new second part. /Size is not set.
func (u *Update) Trailer(at time.Time) Dict {
	old := u.view.Trailer()
	d := make(Dict, len(old)+1)
	for key, value := range old {
		switch key {
		case "XRefStm", "Type", "W", "Index", "Length", "Filter", "DecodeParms", "DL", "Size", "F", "FFilter", "FDecodeParms":
		default:
			d[key] = value
		}
	}
	d["Prev"] = u.file.revs[len(u.file.revs)-1].XRefOffset - u.file.base
	// The first part of /ID names the document and stays; the second names this state of it (ISO 32000-2
	// §14.4). It is derived from what is known of the state instead of being random.
	state := make([]byte, 0, 64)
	for _, n := range []int64{u.file.Size(), at.UnixNano(), int64(len(u.objects))} {
		state = binary.BigEndian.AppendUint64(state, uint64(n))
	}
	var first Object
	if id, err := u.list(d["ID"]); err == nil && len(id) == 2 {
		first, _ = u.Resolve(id[0])
		if s, ok := id[1].(String); ok {
			state = append(state, s.B...)
		}
	}
	digest := sha256.Sum256(state)
	sum := String{B: digest[:16], Hex: true}
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
	body   int // where its body starts among the bytes being written
}

// appendHead writes "N G obj".
func appendHead(dst []byte, e *placement) []byte {
	dst = append(strconv.AppendUint(dst, uint64(e.num), 10), ' ')
	dst = strconv.AppendUint(dst, uint64(e.gen), 10)
	return append(dst, " obj\n"...)
}

// appendPadded writes a number in a fixed width, zeros first.
func appendPadded(dst []byte, n int64, width int) []byte {
	from := len(dst)
	for range width {
		dst = append(dst, '0')
	}
	for i := from + width - 1; n > 0 && i >= from; i-- {
		dst[i] = '0' + byte(n%10)
		n /= 10
	}
	return dst
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
		dst = append(strconv.AppendUint(dst, uint64(run[0].num), 10), ' ')
		dst = append(strconv.AppendInt(dst, int64(len(run)), 10), '\n')
		for _, e := range run {
			dst = append(appendPadded(dst, e.offset, 10), ' ')
			dst = append(appendPadded(dst, int64(e.gen), 5), " n\r\n"...)
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
	dst = appendHead(dst, &last)
	dst = AppendObject(dst, &Stream{Dict: dict, Raw: data})
	return append(dst, "\nendobj\n"...)
}
