package pdf

import (
	"context"
	"errors"
	"io"
)

// OpenDamaged opens a file whose cross-references cannot be followed by scanning it for objects; of an object that
// stands in it several times the last counts. What it finds is a guess, good enough to say whether the file was
// signed and by whom, never to say that it is sound: the file has one revision that no signature closes, and may have
// no catalog.
func OpenDamaged(ctx context.Context, r io.ReaderAt, size int64, lim Limits) (*File, error) {
	f, _, err := newFile(ctx, r, size, lim)
	if err != nil {
		return nil, err
	}
	f.problem(ProblemRepaired, -1, "")
	s := &section{kind: XRefTable, prev: -1, eof: -1, end: -1, starts: -1, after: size, trailer: Dict{}}
	objects, err := f.scanObjects()
	if err != nil {
		return nil, err
	}
	s.subs = pack(objects)
	f.revs = []revision{{Revision: Revision{EOF: size, End: size}, sections: []*section{s}, own: 1}}
	f.guessTrailer(s)
	return f, nil
}

// scanObjects finds every "N G obj".
func (f *File) scanObjects() (map[uint32]xrefEntry, error) {
	out := map[uint32]xrefEntry{}
	for at := int64(0); ; at++ {
		var err error
		if at, err = f.src.index("obj", at, f.src.size); err != nil || at < 0 {
			return out, err
		}
		from := max(at-24, 0)
		before, err := f.src.slice(from, at-from)
		if err != nil {
			return nil, err
		}
		start, ok := headerStart(before)
		if !ok {
			continue
		}
		l := f.lexerAt(from+int64(start), f.src.size)
		if ref, ok := l.header(); ok {
			if err := f.countEntry(at); err != nil {
				return nil, err
			}
			out[ref.Num] = xrefEntry{where: from + int64(start), extra: uint32(ref.Gen), kind: entryOffset}
		}
	}
}

// headerStart finds where "N G " starts that ends b.
func headerStart(b []byte) (int, bool) {
	i := len(b)
	for range 2 {
		spaces := i
		for i > 0 && class(int(b[i-1])) == classSpace {
			i--
		}
		digits := i
		for i > 0 && b[i-1] >= '0' && b[i-1] <= '9' {
			i--
		}
		if spaces == digits || digits == i {
			return 0, false
		}
	}
	return i, true
}

// guessTrailer looks for a catalog, the last object of that type, and unpacks object streams.
func (f *File) guessTrailer(s *section) {
	v := f.Latest()
	packed := map[uint32]xrefEntry{}
	for ref := range v.Refs() {
		o, err := v.Get(ref)
		var e *Error
		if errors.As(err, &e) && e.Kind != Damaged {
			break // a limit was reached
		}
		switch o := o.(type) {
		case Dict:
			if o.Name("Type") == "Catalog" {
				s.trailer["Root"] = ref
			}
		case *Stream:
			f.unpackStream(v, ref, o, s, packed)
		}
	}
	s.hidden = pack(packed)
}

// unpackStream lists the objects of an object stream. One that stands in the file by itself is found first.
func (f *File) unpackStream(v *View, ref Ref, st *Stream, s *section, packed map[uint32]xrefEntry) {
	if st.Dict.Name("Type") != "ObjStm" {
		return
	}
	stm, err := v.objStm(st)
	if err != nil {
		return
	}
	for i, num := range stm.nums {
		if f.countEntry(st.Offset) != nil {
			return
		}
		packed[num] = xrefEntry{where: int64(ref.Num), extra: uint32(i), kind: entryStream}
		o, err := newMemoryLexer(stm.data, stm.offs[i], &f.lim).object(0)
		if d, ok := o.(Dict); ok && err == nil && d.Name("Type") == "Catalog" && s.trailer["Root"] == nil {
			s.trailer["Root"] = Ref{Num: num}
		}
	}
}

// Mentions tells whether the text stands anywhere in the raw bytes of the file.
func (f *File) Mentions(text string) bool {
	at, err := f.src.index(text, 0, f.src.size)
	return err == nil && at >= 0
}
