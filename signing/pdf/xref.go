package pdf

import (
	"fmt"
	"slices"
)

// entryKind is the type of a cross-reference entry (ISO 32000-2 table 18).
type entryKind uint8

const (
	entryFree entryKind = iota
	entryOffset
	entryStream
	entryUnknown // to be taken as null (ISO 32000-2 §7.5.8.3)
)

// xrefEntry is one cross-reference entry: offset and generation, or object stream and index.
type xrefEntry struct {
	where int64
	extra uint32
	kind  entryKind
}

// subsection is a run of entries for consecutive object numbers.
type subsection struct {
	first   uint32
	entries []xrefEntry
}

// section is one cross-reference section with its trailer.
type section struct {
	offset  int64 // where it starts
	after   int64 // where the text after it (startxref) starts
	kind    XRefKind
	trailer Dict
	subs    []subsection // sorted by first
	hidden  []subsection // of the /XRefStm of a hybrid section
	self    uint32       // the number of a cross-reference stream, which need not list itself
	prev    int64        // -1 for none
	eof     int64        // one past its %%EOF, -1 when it has none
	end     int64        // eof and the white space after it
	starts  int64        // the offset that its startxref names, -1 when it has none
}

// lookupIn looks an object up among sorted subsections.
func lookupIn(subs []subsection, num uint32) (xrefEntry, bool) {
	i, exact := slices.BinarySearchFunc(subs, num, func(s subsection, n uint32) int {
		switch {
		case s.first < n:
			return -1
		case s.first > n:
			return 1
		}
		return 0
	})
	if !exact {
		i--
	}
	if i < 0 || int64(num)-int64(subs[i].first) >= int64(len(subs[i].entries)) {
		return xrefEntry{}, false
	}
	return subs[i].entries[num-subs[i].first], true
}

// lookup finds an object in the section. In a hybrid one the table comes first, except that an object it hides
// as free is taken from the stream (ISO 32000-2 §7.5.8.4).
func (s *section) lookup(num uint32) (xrefEntry, bool) {
	e, ok := lookupIn(s.subs, num)
	if s.hidden == nil || ok && e.kind != entryFree {
		return e, ok
	}
	if h, found := lookupIn(s.hidden, num); found {
		return h, true
	}
	return e, ok
}

// normalize sorts the subsections; of an object listed twice the first listing counts.
func normalize(subs []subsection) []subsection {
	sorted := slices.IsSortedFunc(subs, func(a, b subsection) int { return int(int64(a.first) - int64(b.first)) })
	overlap := false
	for i := 1; i < len(subs); i++ {
		if int64(subs[i-1].first)+int64(len(subs[i-1].entries)) > int64(subs[i].first) {
			overlap = true
		}
	}
	if sorted && !overlap {
		return subs
	}
	all := map[uint32]xrefEntry{}
	for _, s := range subs {
		for i, e := range s.entries {
			num := s.first + uint32(i)
			if _, have := all[num]; !have {
				all[num] = e
			}
		}
	}
	return pack(all)
}

// pack turns entries into sorted subsections.
func pack(all map[uint32]xrefEntry) []subsection {
	nums := make([]uint32, 0, len(all))
	for n := range all {
		nums = append(nums, n)
	}
	slices.Sort(nums)
	var out []subsection
	for i, n := range nums {
		if i == 0 || nums[i-1]+1 != n {
			out = append(out, subsection{first: n})
		}
		last := &out[len(out)-1]
		last.entries = append(last.entries, all[n])
	}
	return out
}

// readSection reads the cross-reference section at off, once.
func (f *File) readSection(off int64) (*section, error) {
	if s, ok := f.sections[off]; ok {
		return s, nil
	}
	if len(f.sections) >= f.lim.MaxRevisions {
		return nil, tooLarge(off, "too many cross-reference sections")
	}
	s, err := f.parseSection(off)
	if err != nil {
		return nil, err
	}
	f.findEnd(s)
	f.sections[off] = s
	return s, nil
}

// parseSection reads a table or a stream.
func (f *File) parseSection(off int64) (*section, error) {
	if off <= 0 || off >= f.src.size {
		return nil, damaged(off, "cross-reference offset outside the file")
	}
	l := f.lexerAt(off, f.src.size)
	if l.keyword("xref") {
		return f.parseTable(&l, off)
	}
	l.seek(off)
	if ref, ok := l.header(); ok {
		return f.parseXRefStream(&l, off, ref)
	}
	return nil, l.fail("no cross-reference section where one should be")
}

// parseTable reads a classic section and, for a hybrid one, its stream.
func (f *File) parseTable(l *lexer, off int64) (*section, error) {
	s := &section{offset: off, kind: XRefTable, prev: -1}
	for !l.keyword("trailer") {
		sub, err := f.parseSubsection(l)
		if err != nil {
			return nil, err
		}
		if len(sub.entries) > 0 {
			s.subs = append(s.subs, sub)
		}
	}
	l.space()
	o, err := l.object(0)
	if err != nil {
		return nil, err
	}
	d, ok := o.(Dict)
	if !ok {
		return nil, l.fail("the trailer is not a dictionary")
	}
	s.trailer, s.after = d, l.offset()
	s.subs = normalize(s.subs)
	if err := f.setPrev(s); err != nil {
		return nil, err
	}
	return s, f.readHidden(s)
}

// readHidden reads the /XRefStm of a hybrid section.
func (f *File) readHidden(s *section) error {
	at, ok := s.trailer.Int("XRefStm")
	if !ok {
		return nil
	}
	l := f.lexerAt(at+f.base, f.src.size)
	ref, ok := l.header()
	if !ok {
		return l.fail("no cross-reference stream where /XRefStm points")
	}
	h, err := f.parseXRefStream(&l, at+f.base, ref)
	if err != nil {
		return err
	}
	s.kind, s.hidden, s.self = XRefHybrid, h.subs, h.self
	for _, sub := range h.subs {
		for i, e := range sub.entries {
			num := sub.first + uint32(i)
			if t, ok := lookupIn(s.subs, num); ok && t.kind == entryOffset && t != e {
				f.problem(ProblemHybrid, s.offset, fmt.Sprintf("object %d", num))
				return nil
			}
		}
	}
	return nil
}

// parseSubsection reads "first count" and its entries. The count is a promise, not a size to allocate.
func (f *File) parseSubsection(l *lexer) (subsection, error) {
	first, ok1 := l.uint()
	count, ok2 := l.uint()
	if !ok1 || !ok2 || first > 1<<32-1 || count > 1<<32-1-first {
		return subsection{}, l.fail("malformed cross-reference subsection")
	}
	sub := subsection{first: uint32(first), entries: make([]xrefEntry, 0, min(count, 16))}
	for range count {
		at := l.offset()
		e, ok := parseEntry(l)
		if !ok {
			if l.seek(at); l.keyword("trailer") {
				l.seek(at) // the count promised too much
				break
			}
			return subsection{}, l.fail("malformed cross-reference entry")
		}
		if e.kind == entryOffset {
			e.where += f.base
		}
		if err := f.countEntry(l.offset()); err != nil {
			return subsection{}, err
		}
		sub.entries = append(sub.entries, e)
	}
	if sub.first == 1 && len(sub.entries) > 0 && sub.entries[0] == (xrefEntry{extra: 65535}) {
		// A known slip: the head of the free list belongs to object 0.
		f.problem(ProblemFirstEntry, l.offset(), "")
		sub.first = 0
	}
	return sub, nil
}

// parseEntry reads "nnnnnnnnnn ggggg n", however it is spaced.
func parseEntry(l *lexer) (xrefEntry, bool) {
	where, ok1 := l.uint()
	gen, ok2 := l.uint()
	if !ok1 || !ok2 || gen > 65535 {
		return xrefEntry{}, false
	}
	l.space()
	switch l.take() {
	case 'n':
		return xrefEntry{where: where, extra: uint32(gen), kind: entryOffset}, true
	case 'f':
		return xrefEntry{where: where, extra: uint32(gen)}, true
	}
	return xrefEntry{}, false
}

// countEntry counts one cross-reference entry against the limit.
func (f *File) countEntry(off int64) error {
	if f.entries++; f.entries > f.lim.MaxObjects {
		return tooLarge(off, "too many objects")
	}
	if f.entries%4096 == 0 {
		if err := f.src.stop(); err != nil {
			return &Error{Kind: Stopped, Offset: off, Msg: "reading stopped", Err: err}
		}
	}
	return nil
}

// setPrev takes /Prev from the trailer.
func (f *File) setPrev(s *section) error {
	switch p := s.trailer["Prev"].(type) {
	case nil:
	case int64:
		if p == 0 {
			return nil // some writers put 0 for "none"
		}
		s.prev = p + f.base
	default:
		return damaged(s.offset, "/Prev is not an integer")
	}
	return nil
}

// parseXRefStream reads a cross-reference stream whose header ref has been taken.
func (f *File) parseXRefStream(l *lexer, off int64, ref Ref) (*section, error) {
	o, err := l.object(0)
	if err != nil {
		return nil, err
	}
	d, ok := o.(Dict)
	if !ok || d.Name("Type") != "XRef" {
		return nil, l.fail("no cross-reference stream where one should be")
	}
	st, err := f.streamBody(l, d, ref, nil)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return nil, l.fail("no cross-reference stream where one should be")
	}
	l.keyword("endobj")
	s := &section{offset: off, kind: XRefStream, trailer: d, self: ref.Num, prev: -1, after: l.offset()}
	data, err := f.decode(st, nil)
	if err != nil {
		return nil, err
	}
	if s.subs, err = f.streamEntries(off, d, data); err != nil {
		return nil, err
	}
	return s, f.setPrev(s)
}

// streamEntries decodes the entries of a cross-reference stream (ISO 32000-2 §7.5.8.3).
func (f *File) streamEntries(off int64, d Dict, data []byte) ([]subsection, error) {
	w, ok := ints(d["W"], 3)
	if !ok || len(w) < 3 || w[0] > 8 || w[1] > 8 || w[2] > 8 || w[0]+w[1]+w[2] == 0 {
		return nil, damaged(off, "malformed /W of a cross-reference stream")
	}
	size, _ := d.Int("Size")
	index := []int64{0, size}
	if d["Index"] != nil {
		if index, ok = ints(d["Index"], f.lim.MaxObjects); !ok || len(index)%2 != 0 {
			return nil, damaged(off, "malformed /Index of a cross-reference stream")
		}
	}
	width := int(w[0] + w[1] + w[2])
	var subs []subsection
	for i := 0; i < len(index); i += 2 {
		first, count := index[i], index[i+1]
		if first > 1<<32-1 || count > 1<<32-1-first {
			return nil, damaged(off, "malformed /Index of a cross-reference stream")
		}
		sub := subsection{first: uint32(first)}
		for ; count > 0 && len(data) >= width; count-- {
			if err := f.countEntry(off); err != nil {
				return nil, err
			}
			sub.entries = append(sub.entries, f.streamEntry(data, w))
			data = data[width:]
		}
		if len(sub.entries) > 0 {
			subs = append(subs, sub)
		}
	}
	return normalize(subs), nil
}

// streamEntry decodes one entry; data is long enough.
func (f *File) streamEntry(data []byte, w []int64) xrefEntry {
	field := func(n int64) (v uint64) {
		for _, b := range data[:n] {
			v = v<<8 | uint64(b)
		}
		data = data[n:]
		return v
	}
	kind := uint64(1)
	if w[0] > 0 {
		kind = field(w[0])
	}
	second, third := field(w[1]), field(w[2])
	if second > 1<<62 || third > 1<<32-1 {
		return xrefEntry{kind: entryUnknown}
	}
	switch kind {
	case 0:
		return xrefEntry{where: int64(second), extra: uint32(third)}
	case 1:
		return xrefEntry{where: int64(second) + f.base, extra: uint32(third), kind: entryOffset}
	case 2:
		return xrefEntry{where: int64(second), extra: uint32(third), kind: entryStream}
	}
	return xrefEntry{kind: entryUnknown}
}

// ints gives an array of at most limit non-negative integers.
func ints(o Object, limit int) ([]int64, bool) {
	a, ok := o.(Array)
	if !ok || len(a) > limit {
		return nil, false
	}
	out := make([]int64, len(a))
	for i, e := range a {
		n, ok := e.(int64)
		if !ok || n < 0 {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}
