package pdf

import (
	"strings"
	"testing"
)

// Characters are told apart as ISO 32000-2 tables 1 and 2 say.
func TestClasses(t *testing.T) {
	for c := range 256 {
		want := classRegular
		switch {
		case strings.IndexByte("\x00\t\n\f\r ", byte(c)) >= 0:
			want = classSpace
		case strings.IndexByte("()<>[]{}/%", byte(c)) >= 0:
			want = classDelimiter
		}
		if got := class(c); got != want {
			t.Errorf("%#x: %d, want %d", c, got, want)
		}
	}
	if class(eof) != classDelimiter {
		t.Error("the end of the file does not end a token")
	}
}

// Names mean the same however they are spelt and wherever they stand: plain, with escapes, long, at the end of a page of
// the file, at its very end.
func TestNames(t *testing.T) {
	lim := DefaultLimits()
	for text, want := range map[string]Name{
		"/Type ": "Type", "/Type": "Type", "/": "", "/ ": "", "/T#79pe": "Type", "/Typ#65/": "Type", "/A#2": "A#2", "/A##42": "A#B", "/Tpye>>": "Tpye",
		"/V": "V", "/SigFlags[": "SigFlags", "/" + strings.Repeat("x", 64) + " ": Name(strings.Repeat("x", 64)),
		"/" + strings.Repeat("y", 200): Name(strings.Repeat("y", 200)), "/\x80\xff(": "\x80\xff",
	} {
		for _, before := range []int{0, pageSize - 3, pageSize - 1, pageSize} {
			data := strings.Repeat(" ", before) + text
			src := &source{r: strings.NewReader(data), size: int64(len(data)), stop: never, work: 1 << 30}
			l := newLexer(src, int64(before), src.size, &lim)
			if got, err := l.name(); err != nil || got != want {
				t.Errorf("%q behind %d bytes: %q, %v, want %q", text, before, got, err, want)
			}
		}
	}
	small := Limits{MaxToken: 3}.orDefault()
	if _, err := newMemoryLexer([]byte("/Type "), 0, &small).name(); err == nil {
		t.Error("a name beyond the limit is read")
	}
	for _, name := range []Name{"Type", "T", "ID", "Sig", "First", "Annots", "XObject", "AcroForm", "Resources", "FlateDecode"} {
		if got := internName([]byte(name)); got != name {
			t.Errorf("%q, want %q", got, name)
		}
	}
}

// A source in memory gives the same as one that is read in pages.
func TestSourcesAgree(t *testing.T) {
	data := []byte(strings.Repeat("0123456789abcdef", 2000) + "startxref")
	paged := &source{r: strings.NewReader(string(data)), size: int64(len(data)), stop: never, work: 1 << 30}
	held := *paged
	held.piece = (&kept{data}).piece
	for _, s := range []*source{paged, &held} {
		if at, err := s.lastIndex("startxref", 0, s.size); err != nil || at != 32000 {
			t.Errorf("last at %d, %v", at, err)
		}
		if at, err := s.index("startxref", 0, s.size); err != nil || at != 32000 {
			t.Errorf("at %d, %v", at, err)
		}
		if at, err := s.index("f0", 8190, s.size); err != nil || at != 8191 {
			t.Errorf("across pages at %d, %v", at, err)
		}
		for _, n := range []int64{0, 1, 16, pageSize, 2 * pageSize} {
			for _, off := range []int64{0, 5, pageSize - 1, pageSize} {
				got, err := s.view(off, n)
				if err != nil || string(got) != string(data[off:off+n]) {
					t.Errorf("view of %d bytes at %d: %v", n, off, err)
				}
			}
		}
		if _, err := s.view(s.size-1, 2); err == nil {
			t.Error("bytes beyond the end are given")
		}
	}
	if Pieces(strings.NewReader("x")) != nil {
		t.Error("a source that does not show its bytes gives them")
	}
}
