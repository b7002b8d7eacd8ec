package pdf

import (
	"fmt"
	"slices"
)

// findEnd finds the startxref and %%EOF that close a section.
func (f *File) findEnd(s *section) {
	s.eof, s.end, s.starts = -1, -1, -1
	l := f.lexerAt(s.after, f.src.size)
	if !l.keyword("startxref") {
		return
	}
	n, ok := l.uint()
	if !ok {
		return
	}
	l.blank()
	if !l.literal("%%EOF") {
		return
	}
	s.starts, s.eof = n, l.offset()
	l.blank()
	s.end = l.offset()
}

// chain follows /Prev from the section at off; newest first.
func (f *File) chain(off int64) ([]*section, error) {
	var out []*section
	for off >= 0 {
		if slices.ContainsFunc(out, func(s *section) bool { return s.offset == off }) {
			return nil, damaged(off, "the cross-reference sections form a loop")
		}
		s, err := f.readSection(off)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
		off = s.prev
	}
	return out, nil
}

// buildRevisions groups the chain into revisions. A section whose /Prev points forward in the file belongs to
// the same revision as the one it points at: that is how linearized files are built (ISO 32000-2 Annex F).
func (f *File) buildRevisions(secs []*section) {
	var newest []revision
	for i := 0; i < len(secs); {
		j := i + 1
		for j < len(secs) && secs[j].offset > secs[j-1].offset {
			j++
		}
		if j-i > 1 && j < len(secs) {
			f.problem(ProblemOrder, secs[i].offset, "a later update refers forward")
		}
		r := revision{sections: secs[i:], own: j - i}
		r.XRefOffset = secs[i].offset
		last := secs[j-1]
		r.EOF, r.End = last.eof, last.end
		if last.eof < 0 || last.starts+f.base != secs[i].offset {
			f.problem(ProblemBoundary, last.offset, "")
		}
		newest = append(newest, r)
		i = j
	}
	slices.Reverse(newest)
	start := int64(0)
	for i := range newest {
		r := &newest[i]
		if r.End < 0 { // no %%EOF: it reaches to the next revision, or to the end of the file
			r.EOF, r.End = r.sections[r.own-1].after, f.src.size
			if i+1 < len(newest) {
				r.End = r.EOF
			}
		}
		r.Start = start
		for _, s := range r.sections[:r.own] {
			if s.offset < start {
				f.problem(ProblemOrder, s.offset, fmt.Sprintf("revision %d starts inside an older one", i))
			}
		}
		start = max(start, r.End)
	}
	f.revs = newest
}

// revision is a Revision with what its view needs.
type revision struct {
	Revision
	sections []*section // newest first: its own and all older ones
	own      int        // how many of them belong to this revision
}

// checkTail reports what stands after the last revision.
func (f *File) checkTail(startxref int64) error {
	last := f.revs[len(f.revs)-1]
	l := f.lexerAt(last.End, f.src.size)
	l.blank()
	if l.err != nil {
		return l.err
	}
	if l.offset() < f.src.size || startxref >= last.End {
		f.problem(ProblemTrailing, last.End, fmt.Sprintf("%d bytes after the last revision", f.src.size-last.End))
	}
	return nil
}

// Revisions lists the revisions, oldest first.
func (f *File) Revisions() []Revision {
	out := make([]Revision, len(f.revs))
	for i, r := range f.revs {
		out[i] = r.Revision
	}
	return out
}

// Closing gives the revision that ends at byte end (white space after %%EOF may be left out), or -1.
func (f *File) Closing(end int64) int {
	for i, r := range f.revs {
		if end >= r.EOF && end <= r.End && r.sections[r.own-1].eof >= 0 {
			return i
		}
	}
	return -1
}

// Touched lists, sorted, the object numbers that the revisions after..upto (exclusive..inclusive) write or free,
// those inside a rewritten object stream among them.
func (f *File) Touched(after, upto int) []uint32 {
	set := map[uint32]bool{}
	for i := max(after+1, 0); i <= upto && i < len(f.revs); i++ {
		r := f.revs[i]
		for _, s := range r.sections[:r.own] {
			for _, subs := range [][]subsection{s.subs, s.hidden} {
				for _, sub := range subs {
					for k := range sub.entries {
						set[sub.first+uint32(k)] = true
					}
				}
			}
		}
	}
	if after >= 0 && after < len(f.revs) {
		f.revs[after].eachEntry(func(num uint32, e xrefEntry) {
			if e.kind == entryStream && set[uint32(e.where)] {
				set[num] = true
			}
		})
	}
	out := make([]uint32, 0, len(set))
	for n := range set {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// eachEntry visits the entries of all sections that the revision sees, overridden ones too.
func (r *revision) eachEntry(visit func(num uint32, e xrefEntry)) {
	for _, s := range r.sections {
		for _, subs := range [][]subsection{s.subs, s.hidden} {
			for _, sub := range subs {
				for k, e := range sub.entries {
					visit(sub.first+uint32(k), e)
				}
			}
		}
	}
}
