package pdf

import (
	"context"
	"io"
	"iter"
	"slices"
)

// File is an open PDF file. It is not safe for concurrent use.
type File struct {
	src      *source
	lim      Limits
	base     int64 // added to every offset of the file: bytes before the header, where the writer did not count them
	sections map[int64]*section
	revs     []revision
	entries  int   // cross-reference entries read
	inflated int64 // bytes inflated
	crypt    *crypt

	cache    map[cacheKey]cached
	objStms  map[*Stream]*objStm
	held     int64 // estimated bytes in cache and objStms
	nested   int   // depth of objects that are being read
	problems []Problem
	noEnd    [2]int64 // no "endstream" starts in [0], [1]): spares searching twice
	fields   map[int]*form
	outside  *form // signatures outside the form, once searched for
	visited  int   // form fields, over all views
}

// View is the document as of one revision. It shares objects with the other views; do not change them.
type View struct {
	f   *File
	rev int
	r   *revision
}

// cacheKey names a parsed object by where it stands, so that views share it.
type cacheKey struct {
	where int64
	index int64 // in the object stream at where, -1 outside
	rev   int   // -1, or the only view that may use it
}

type cached struct {
	obj Object
	ref Ref
	end int64 // where the object ends in the file
}

// Open reads the cross-references of a file. Errors are *[Error].
func Open(r io.ReaderAt, size int64, lim Limits) (*File, error) {
	return OpenContext(context.Background(), r, size, lim)
}

// OpenContext is [Open] for work that stops when ctx ends, also while the file is used later.
func OpenContext(ctx context.Context, r io.ReaderAt, size int64, lim Limits) (*File, error) {
	f, header, err := newFile(ctx, r, size, lim)
	if err != nil {
		return nil, err
	}
	if err := f.readXRefs(header); err != nil {
		return nil, err
	}
	return f, f.openCrypt()
}

// newFile checks size and header.
func newFile(ctx context.Context, r io.ReaderAt, size int64, lim Limits) (*File, int64, error) {
	lim = lim.orDefault()
	if size > lim.MaxSize {
		return nil, 0, tooLarge(-1, "the file is over the size limit")
	}
	f := &File{
		src:      &source{r: r, piece: Pieces(r), size: size, stop: ctx.Err, work: 8*size + 64<<20},
		lim:      lim,
		sections: map[int64]*section{},
		cache:    map[cacheKey]cached{},
	}
	header, err := f.src.index("%PDF-", 0, 1024)
	if err != nil {
		return nil, 0, err
	}
	if header < 0 {
		return nil, 0, &Error{Kind: NotPDF, Offset: 0, Msg: "no %PDF- header"}
	}
	if header > 0 {
		f.problem(ProblemHeader, header, "")
	}
	return f, header, nil
}

// readXRefs finds the last startxref and reads every section from there.
func (f *File) readXRefs(header int64) error {
	at, err := f.src.lastIndex("startxref", 0, f.src.size)
	if err != nil {
		return err
	}
	if at < 0 {
		return damaged(-1, "no startxref")
	}
	l := f.lexerAt(at, f.src.size)
	l.keyword("startxref")
	off, ok := l.uint()
	if !ok {
		return l.fail("no offset after startxref")
	}
	if header > 0 && !f.sectionAt(off) && f.sectionAt(off+header) {
		f.base = header
	}
	secs, err := f.chain(off + f.base)
	if err != nil {
		return err
	}
	f.buildRevisions(secs)
	if err := f.checkTail(at); err != nil {
		return err
	}
	if _, _, err := f.Latest().Catalog(); err != nil {
		return err
	}
	return nil
}

// sectionAt tells whether a cross-reference section may start at off.
func (f *File) sectionAt(off int64) bool {
	if off < 0 || off >= f.src.size {
		return false
	}
	l := f.lexerAt(off, f.src.size)
	if l.keyword("xref") {
		return true
	}
	_, ok := l.header()
	return ok
}

// lexerAt parses from off and reads nothing at or beyond end.
func (f *File) lexerAt(off, end int64) lexer {
	l := newLexer(f.src, off, end, &f.lim)
	l.file = f
	return l
}

// problem notes an oddity, each once and a bounded number of them.
func (f *File) problem(code string, off int64, detail string) {
	p := Problem{Code: code, Offset: off, Detail: detail}
	if len(f.problems) < 1000 && !slices.Contains(f.problems, p) {
		f.problems = append(f.problems, p)
	}
}

// Problems are the oddities met so far, also those met while objects were read.
func (f *File) Problems() []Problem { return slices.Clone(f.problems) }

// Size is the length of the file in bytes.
func (f *File) Size() int64 { return f.src.size }

// View is the document as of revision rev, nil when there is no such revision.
func (f *File) View(rev int) *View {
	if rev < 0 || rev >= len(f.revs) {
		return nil
	}
	return &View{f: f, rev: rev, r: &f.revs[rev]}
}

// Latest is the document as it stands at the end of the file.
func (f *File) Latest() *View { return f.View(len(f.revs) - 1) }

// Revision is the index of the view in [File.Revisions].
func (v *View) Revision() int { return v.rev }

// Trailer is the trailer dictionary of the revision.
func (v *View) Trailer() Dict { return v.r.sections[0].trailer }

// XRefKind is the form of the newest cross-reference section of the view.
func (v *View) XRefKind() XRefKind { return v.r.sections[0].kind }

// Catalog is the document catalog and its reference.
func (v *View) Catalog() (Dict, Ref, error) {
	ref, ok := v.Trailer()["Root"].(Ref)
	if !ok {
		return nil, Ref{}, damaged(v.r.XRefOffset, "the trailer has no /Root reference")
	}
	o, err := v.Get(ref)
	if err != nil {
		return nil, ref, err
	}
	d, ok := o.(Dict)
	if !ok {
		return nil, ref, damaged(v.r.XRefOffset, "the document catalog is not a dictionary")
	}
	return d, ref, nil
}

// lookup finds the entry of an object.
func (v *View) lookup(num uint32) (xrefEntry, bool) {
	for _, s := range v.r.sections {
		if e, ok := s.lookup(num); ok {
			return e, true
		}
	}
	return xrefEntry{}, false
}

// Entry says where object num stands in this view; ok is false when no section lists it.
func (v *View) Entry(num uint32) (Entry, bool) {
	e, ok := v.lookup(num)
	switch {
	case !ok:
		return Entry{}, false
	case e.kind == entryOffset:
		return Entry{Offset: e.where, Gen: uint16(min(e.extra, 65535))}, true
	case e.kind == entryStream:
		return Entry{Stream: uint32(e.where), Index: e.extra}, true
	}
	return Entry{Free: true, Gen: uint16(min(e.extra, 65535))}, true
}

// MaxObject is the highest object number that a section lists, free ones included, or has as a stream.
func (v *View) MaxObject() uint32 {
	highest := uint32(0)
	for _, s := range v.r.sections {
		highest = max(highest, s.self)
		for _, subs := range [][]subsection{s.subs, s.hidden} {
			if n := len(subs); n > 0 {
				highest = max(highest, subs[n-1].first+uint32(len(subs[n-1].entries))-1)
			}
		}
	}
	return highest
}

// Refs lists the live objects of the view in ascending order.
func (v *View) Refs() iter.Seq[Ref] {
	return func(yield func(Ref) bool) {
		var nums []uint32
		v.r.eachEntry(func(num uint32, _ xrefEntry) { nums = append(nums, num) })
		slices.Sort(nums)
		for _, num := range slices.Compact(nums) {
			e, _ := v.lookup(num)
			ref := Ref{Num: num}
			switch e.kind {
			case entryOffset:
				ref.Gen = uint16(min(e.extra, 65535))
			case entryStream:
			default:
				continue
			}
			if !yield(ref) {
				return
			}
		}
	}
}

// Get reads an indirect object; a missing or free object is null (ISO 32000-2 §7.3.10).
func (v *View) Get(r Ref) (Object, error) {
	e, ok := v.lookup(r.Num)
	switch {
	case !ok || e.kind == entryFree || e.kind == entryUnknown:
		return nil, nil
	case e.kind == entryStream && r.Gen == 0:
		return v.getCompressed(r, e)
	case e.kind == entryOffset && e.extra == uint32(r.Gen):
		return v.getPlain(r, e)
	}
	return nil, nil
}

// Resolve follows references until the object is direct.
func (v *View) Resolve(o Object) (Object, error) {
	for range 32 {
		r, ok := o.(Ref)
		if !ok {
			return o, nil
		}
		var err error
		if o, err = v.Get(r); err != nil {
			return nil, err
		}
	}
	return nil, damaged(-1, "a chain of references is too long")
}

// dict resolves o and gives it when it is a dictionary or a stream, else nil.
func (v *View) dict(o Object) Dict {
	o, err := v.Resolve(o)
	if err != nil {
		return nil
	}
	switch o := o.(type) {
	case Dict:
		return o
	case *Stream:
		return o.Dict
	}
	return nil
}

// getPlain reads an object that stands in the file by itself.
func (v *View) getPlain(r Ref, e xrefEntry) (Object, error) {
	f := v.f
	for _, rev := range []int{-1, v.rev} {
		if c, ok := f.cache[cacheKey{e.where, -1, rev}]; ok && c.ref == r && c.end <= v.r.End {
			return c.obj, nil
		}
	}
	if e.where >= v.r.End {
		return nil, damaged(e.where, "object "+r.String()+" lies outside its revision")
	}
	if f.nested >= 12 {
		return nil, damaged(e.where, "objects need one another in a loop")
	}
	f.nested++
	defer func() { f.nested-- }()
	l := f.lexerAt(e.where, v.r.End)
	if got, ok := l.header(); !ok || got != r {
		if l.err != nil {
			return nil, l.err
		}
		f.problem(ProblemXRef, e.where, r.String())
		return nil, damaged(e.where, "the cross-reference does not lead to object "+r.String())
	}
	o, err := l.object(0)
	if err != nil {
		return nil, err
	}
	key := cacheKey{e.where, -1, -1}
	if d, ok := o.(Dict); ok {
		st, err := f.streamBody(&l, d, r, v)
		if err != nil {
			return nil, err
		}
		if st != nil {
			o = st
			if _, indirect := d["Length"].(Ref); indirect {
				key.rev = v.rev // another revision may give the stream another length
			}
		}
	}
	if f.crypt != nil {
		o = f.crypt.strings(o, r)
	}
	f.keep(key, cached{obj: o, ref: r, end: l.offset()}, f.lim.MaxMemory/2-l.memory)
	return o, nil
}

// keep caches an object; a full cache is emptied, which bounds it without any bookkeeping.
func (f *File) keep(key cacheKey, c cached, size int64) {
	f.hold(size + 128)
	f.cache[key] = c
}

// hold counts cached bytes.
func (f *File) hold(size int64) {
	if f.held+size > f.lim.MaxMemory/2 {
		clear(f.cache)
		clear(f.objStms)
		f.held = 0
	}
	f.held += size
}

// objStm is a decoded object stream (ISO 32000-2 §7.5.7).
type objStm struct {
	data []byte
	nums []uint32
	offs []int64
}

// getCompressed reads an object from an object stream. Its container must stand in the file by itself.
func (v *View) getCompressed(r Ref, e xrefEntry) (Object, error) {
	f := v.f
	if e.where > 1<<32-1 {
		return nil, damaged(-1, "malformed object stream number")
	}
	ce, ok := v.lookup(uint32(e.where))
	if !ok || ce.kind != entryOffset {
		return nil, damaged(-1, "object "+r.String()+" is in an object stream that does not exist")
	}
	o, err := v.getPlain(Ref{Num: uint32(e.where), Gen: uint16(min(ce.extra, 65535))}, ce)
	if err != nil {
		return nil, err
	}
	st, ok := o.(*Stream)
	if !ok || st.Dict.Name("Type") != "ObjStm" {
		return nil, damaged(ce.where, "object "+r.String()+" is in an object that is no object stream")
	}
	key := cacheKey{st.Offset, int64(e.extra), -1}
	if _, indirect := st.Dict["Length"].(Ref); indirect {
		key.rev = v.rev
	}
	if c, ok := f.cache[key]; ok && c.ref == r {
		return c.obj, nil
	}
	stm, err := v.objStm(st)
	if err != nil {
		return nil, err
	}
	i := int(e.extra)
	if i >= len(stm.nums) || stm.nums[i] != r.Num {
		if i = slices.Index(stm.nums, r.Num); i < 0 {
			return nil, damaged(ce.where, "object "+r.String()+" is not in its object stream")
		}
		f.problem(ProblemXRef, ce.where, r.String())
	}
	l := newMemoryLexer(stm.data, stm.offs[i], &f.lim)
	l.file, l.fileAt = f, st.Offset
	o, err = l.object(0)
	if err != nil {
		return nil, damaged(ce.where, "object "+r.String()+" in its object stream is malformed")
	}
	f.keep(key, cached{obj: o, ref: r}, f.lim.MaxMemory/2-l.memory)
	return o, nil
}

// objStm decodes an object stream, once while it is cached.
func (v *View) objStm(st *Stream) (*objStm, error) {
	f := v.f
	if s, ok := f.objStms[st]; ok {
		return s, nil
	}
	n, ok1 := st.Dict.Int("N")
	first, ok2 := st.Dict.Int("First")
	if !ok1 || !ok2 || n < 0 || first < 0 {
		return nil, damaged(st.Offset, "malformed object stream")
	}
	data, err := v.StreamData(st)
	if err != nil {
		return nil, err
	}
	s := &objStm{data: data}
	l := newMemoryLexer(data[:min(first, int64(len(data)))], 0, &f.lim)
	for ; n > 0; n-- {
		num, ok1 := l.uint()
		off, ok2 := l.uint()
		if !ok1 || !ok2 || num > 1<<32-1 {
			break
		}
		if err := f.countObject(len(s.nums)); err != nil {
			return nil, err
		}
		s.nums = append(s.nums, uint32(num))
		s.offs = append(s.offs, min(first+off, int64(len(data))))
	}
	f.hold(int64(len(data) + 16*len(s.nums)))
	if f.objStms == nil {
		f.objStms = map[*Stream]*objStm{}
	}
	f.objStms[st] = s
	return s, nil
}

// countObject bounds the objects of one object stream.
func (f *File) countObject(n int) error {
	if n >= f.lim.MaxObjects {
		return tooLarge(-1, "too many objects in an object stream")
	}
	return nil
}
