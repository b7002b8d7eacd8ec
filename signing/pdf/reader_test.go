package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// maker writes PDF files for tests, in exactly the form asked for.
type maker struct {
	bytes.Buffer
	offsets map[int]int // of the objects written since the last section
	last    int         // offset of the last section
}

func newMaker() *maker {
	m := &maker{offsets: map[int]int{}}
	m.WriteString("%PDF-1.7\n")
	return m
}

func (m *maker) object(num int, body string) *maker {
	m.offsets[num] = m.Len()
	fmt.Fprintf(&m.Buffer, "%d 0 obj\n%s\nendobj\n", num, body)
	return m
}

// table ends a revision with a classic section.
func (m *maker) table(trailer string) *maker {
	at := m.Len()
	m.WriteString("xref\n")
	for _, num := range m.numbers() {
		fmt.Fprintf(&m.Buffer, "%d 1\n%010d 00000 n \n", num, m.offsets[num])
	}
	return m.finish(at, "trailer\n<<"+trailer+m.prev()+">>\n")
}

// stream ends a revision with a cross-reference stream, object num. packed are further entries (object, stream, index).
func (m *maker) stream(num int, trailer string, packed ...[3]int) *maker {
	at := m.Len()
	m.offsets[num] = at
	var index, data bytes.Buffer
	for _, n := range m.numbers() {
		fmt.Fprintf(&index, "%d 1 ", n)
		data.Write([]byte{1, byte(m.offsets[n] >> 8), byte(m.offsets[n]), 0})
	}
	for _, p := range packed {
		fmt.Fprintf(&index, "%d 1 ", p[0])
		data.Write([]byte{2, byte(p[1] >> 8), byte(p[1]), byte(p[2])})
	}
	body := fmt.Sprintf("%d 0 obj\n<</Type/XRef/W[1 2 1]/Index[%s]/Length %d%s%s>>stream\n%s\nendstream\nendobj\n",
		num, index.String(), data.Len(), trailer, m.prev(), data.String())
	return m.finish(at, body)
}

func (m *maker) prev() string {
	if m.last == 0 {
		return ""
	}
	return fmt.Sprintf("/Prev %d", m.last)
}

func (m *maker) numbers() []int {
	var nums []int
	for n := range m.offsets {
		nums = append(nums, n)
	}
	slices.Sort(nums)
	return nums
}

func (m *maker) finish(at int, body string) *maker {
	m.WriteString(body)
	fmt.Fprintf(&m.Buffer, "startxref\n%d\n%%%%EOF\n", at)
	m.last, m.offsets = at, map[int]int{}
	return m
}

// simple is a document of one page.
func simple() *maker {
	return newMaker().
		object(1, "<</Type/Catalog/Pages 2 0 R>>").
		object(2, "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]>>").
		object(3, "<</Type/Page/Parent 2 0 R/Contents 4 0 R>>").
		object(4, "<</Length 5>>stream\nBT ET\nendstream")
}

func open(t *testing.T, data []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRevisions(t *testing.T) {
	m := simple().table("/Root 1 0 R/Size 5")
	first := m.Len()
	m.object(4, "<</Length 5>>stream\nSECND\nendstream").object(5, "(new)").table("/Root 1 0 R/Size 6")
	m.stream(6, "/Root 1 0 R/Size 7")
	f := open(t, m.Bytes())
	revs := f.Revisions()
	if len(revs) != 3 || revs[0].End != int64(first) || revs[1].Start != int64(first) || revs[2].End != f.Size() {
		t.Fatalf("revisions %+v", revs)
	}
	if len(f.Problems()) > 0 {
		t.Errorf("problems %v", f.Problems())
	}
	want := []string{"BT ET", "SECND", "SECND"}
	for i, w := range want {
		o, err := f.View(i).Get(Ref{Num: 4})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := f.View(i).StreamData(o.(*Stream)); string(got) != w {
			t.Errorf("revision %d: %q", i, got)
		}
	}
	if o, err := f.View(0).Get(Ref{Num: 5}); o != nil || err != nil {
		t.Errorf("an object of a later revision is seen in the first: %v, %v", o, err)
	}
	if got := f.Touched(0, 1); !slices.Equal(got, []uint32{4, 5}) {
		t.Errorf("touched %v", got)
	}
	if f.View(1).XRefKind() != XRefTable || f.Latest().XRefKind() != XRefStream || f.Latest().MaxObject() != 6 {
		t.Errorf("kinds %v, %v, highest %d", f.View(1).XRefKind(), f.Latest().XRefKind(), f.Latest().MaxObject())
	}
	if n := len(slices.Collect(f.Latest().Refs())); n != 6 {
		t.Errorf("%d live objects", n)
	}
}

func TestObjectStream(t *testing.T) {
	m := newMaker().
		object(2, "<</Type/Pages/Kids[]/Count 0>>").
		object(5, "<</Type/ObjStm/N 2/First 8/Length 44>>stream\n1 0 3 30<</Type/Catalog/Pages 2 0 R>> (three)\nendstream")
	m.stream(6, "/Root 1 0 R/Size 7", [3]int{1, 5, 0}, [3]int{3, 5, 1})
	f := open(t, m.Bytes())
	o, err := f.Latest().Get(Ref{Num: 3})
	if s, ok := o.(String); !ok || string(s.B) != "three" {
		t.Fatalf("%v, %v", o, err)
	}
	// A later revision that replaces the object stream touches what is in it.
	m.object(5, "<</Type/ObjStm/N 2/First 8/Length 44>>stream\n1 0 3 30<</Type/Catalog/Pages 2 0 R>> (other)\nendstream")
	m.stream(6, "/Root 1 0 R/Size 7")
	f = open(t, m.Bytes())
	if got := f.Touched(0, 1); !slices.Equal(got, []uint32{1, 3, 5, 6}) {
		t.Errorf("touched %v", got)
	}
}

func TestHybrid(t *testing.T) {
	m := simple()
	m.object(9, "(shown)")
	hidden := m.offsets[9]
	delete(m.offsets, 9)
	at := m.Len()
	fmt.Fprintf(&m.Buffer, "10 0 obj\n<</Type/XRef/W[1 2 1]/Index[9 1]/Size 11/Length 4>>stream\n%s\nendstream\nendobj\n",
		[]byte{1, byte(hidden >> 8), byte(hidden), 0})
	m.table(fmt.Sprintf("/Root 1 0 R/Size 11/XRefStm %d", at))
	f := open(t, m.Bytes())
	if f.Latest().XRefKind() != XRefHybrid {
		t.Errorf("kind %v", f.Latest().XRefKind())
	}
	if o, err := f.Latest().Get(Ref{Num: 9}); err != nil || string(o.(String).B) != "shown" {
		t.Errorf("%v, %v", o, err)
	}
}

func TestTolerated(t *testing.T) {
	junk := "junk before the header\n"
	data := append([]byte(junk), simple().table("/Root 1 0 R/Size 5").Bytes()...)
	f := open(t, data) // offsets count from the header
	if !hasProblem(f, ProblemHeader) {
		t.Error("junk before the header is not reported")
	}
	data = simple().table("/Root 1 0 R/Size 5").Bytes()
	f = open(t, append(slices.Clone(data), " \n\r\x00"...))
	if len(f.Problems()) > 0 {
		t.Errorf("white space at the end: %v", f.Problems())
	}
	f = open(t, append(slices.Clone(data), "x"...))
	if !hasProblem(f, ProblemTrailing) {
		t.Error("bytes after the last revision are not reported")
	}
	f = open(t, bytes.Replace(data, []byte("\n4 1\n"), []byte("\n4 7\n"), 1)) // a count that promises too much
	if o, err := f.Latest().Get(Ref{Num: 4}); o == nil || err != nil {
		t.Errorf("%v, %v", o, err)
	}
	wrongLength := bytes.Replace(data, []byte("/Length 5"), []byte("/Length 7"), 1)
	f = open(t, wrongLength)
	o, err := f.Latest().Get(Ref{Num: 4})
	if err != nil || o.(*Stream).Length != 5 || !hasProblem(f, ProblemLength) {
		t.Errorf("wrong /Length: %v, %v, %v", o, err, f.Problems())
	}
}

func hasProblem(f *File, code string) bool {
	return slices.ContainsFunc(f.Problems(), func(p Problem) bool { return p.Code == code })
}

func TestRefused(t *testing.T) {
	good := simple().table("/Root 1 0 R/Size 5").String()
	loop := simple().table("/Root 1 0 R/Size 5")
	loopData := strings.Replace(loop.String(), "/Size 5", fmt.Sprintf("/Size 5/Prev %d", loop.last), 1)
	deep := newMaker().object(1, strings.Repeat("[", 5000)).table("/Root 1 0 R/Size 2").String()
	widths := func(w string) string {
		return "%PDF-1.5\n1 0 obj\n<</Type/XRef/W[" + w + "]/Size 4000000000/Root 1 0 R/Length 3>>stream\nabc\nendstream\nendobj\nstartxref\n9\n%%EOF\n"
	}
	for name, c := range map[string]struct {
		data string
		kind Kind
	}{
		"empty":                {"", NotPDF},
		"text":                 {"hello", NotPDF},
		"no startxref":         {"%PDF-1.7\n", Damaged},
		"startxref outside":    {"%PDF-1.7\nstartxref\n99999\n%%EOF", Damaged},
		"prev loop":            {loopData, Damaged},
		"no root":              {strings.Replace(good, "/Root", "/Boot", 1), Damaged},
		"wrong offset of root": {strings.Replace(good, "0000000009 00000 n", "0000000010 00000 n", 1), Damaged},
		"huge count":           {strings.Replace(good, "xref\n1 1\n", "xref\n1 4000000000\n", 1), Damaged},
		"nested arrays":        {deep, TooLarge},
		"zero widths":          {widths("0 0 0"), Damaged},
		"negative widths":      {widths("1 -1 1"), Damaged},
		"huge widths":          {widths("1 2147483647 1"), Damaged},
		"huge size":            {widths("1 1 1"), Damaged},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(strings.NewReader(c.data), int64(len(c.data)), Limits{})
			var e *Error
			if !errors.As(err, &e) || e.Kind != c.kind {
				t.Errorf("got %v, want kind %s", err, c.kind)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	data := simple().table("/Root 1 0 R/Size 5").Bytes()
	for name, lim := range map[string]Limits{
		"size":    {MaxSize: 10},
		"objects": {MaxObjects: 3},
		"memory":  {MaxMemory: 200},
	} {
		_, err := Open(bytes.NewReader(data), int64(len(data)), lim)
		var e *Error
		if !errors.As(err, &e) || e.Kind != TooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := simple().table("/Root 1 0 R/Size 5")
	for range 5 {
		m.table("/Root 1 0 R/Size 5")
	}
	if _, err := Open(bytes.NewReader(m.Bytes()), int64(m.Len()), Limits{MaxRevisions: 3}); err == nil {
		t.Error("the limit of revisions does not hold")
	}
}

// slowReader ends the context after the first read.
type slowReader struct {
	io.ReaderAt
	cancel func()
}

func (r slowReader) ReadAt(p []byte, off int64) (int, error) {
	r.cancel()
	return r.ReaderAt.ReadAt(p, off)
}

func TestStops(t *testing.T) {
	m := simple().object(5, "("+strings.Repeat("x", 3*pageSize)+")").table("/Root 1 0 R/Size 6")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := OpenContext(ctx, slowReader{bytes.NewReader(m.Bytes()), cancel}, int64(m.Len()), Limits{})
	var e *Error
	if !errors.As(err, &e) || e.Kind != Stopped || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// An object of the signed revision must not be found in bytes that were appended later.
func TestObjectBeyondRevision(t *testing.T) {
	m := simple()
	m.offsets[5] = 4000
	m.table("/Root 1 0 R/Size 6")
	m.WriteString(strings.Repeat("\n", 4000-m.Len()))
	m.object(5, "(added later)").table("/Root 1 0 R/Size 6")
	f := open(t, m.Bytes())
	if o, err := f.View(0).Get(Ref{Num: 5}); err == nil {
		t.Errorf("the first revision sees %v", o)
	}
	if o, err := f.Latest().Get(Ref{Num: 5}); err != nil || o == nil {
		t.Errorf("the second revision does not see its object: %v", err)
	}
	if o, err := f.View(0).Get(Ref{Num: 5}); err == nil {
		t.Errorf("the first revision sees the cached %v", o)
	}
}

func TestIndirectLengthPerRevision(t *testing.T) {
	m := newMaker().
		object(1, "<</Type/Catalog>>").
		object(4, "<</Length 5 0 R>>stream\nABendstream\nendobj CD\nendstream").
		object(5, "2").table("/Root 1 0 R/Size 6")
	m.object(5, "21").table("/Root 1 0 R/Size 6")
	f := open(t, m.Bytes())
	for i, want := range []int64{2, 21} {
		o, err := f.View(i).Get(Ref{Num: 4})
		if err != nil || o.(*Stream).Length != want {
			t.Errorf("revision %d: %v, %v", i, o, err)
		}
	}
}

func TestPages(t *testing.T) {
	f := open(t, simple().table("/Root 1 0 R/Size 5").Bytes())
	count := 0
	err := f.Latest().Pages(func(i int, ref Ref, page Dict) bool {
		count++
		box, err := f.Latest().PageAttr(page, "MediaBox")
		if a, ok := box.(Array); err != nil || !ok || a[3] != int64(842) || ref.Num != 3 || i != 0 {
			t.Errorf("page %v: %v, %v", ref, box, err)
		}
		return true
	})
	if err != nil || count != 1 {
		t.Errorf("%d pages, %v", count, err)
	}
	loop := simple()
	loop.object(3, "<</Type/Pages/Parent 2 0 R/Kids[2 0 R]>>")
	f = open(t, loop.table("/Root 1 0 R/Size 5").Bytes())
	if err := f.Latest().Pages(func(int, Ref, Dict) bool { return true }); err == nil {
		t.Error("a page tree with a loop is walked")
	}
}

func TestOpenDamaged(t *testing.T) {
	data := simple().Bytes() // no cross-references at all
	f, err := OpenDamaged(context.Background(), bytes.NewReader(data), int64(len(data)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ref, err := f.Latest().Catalog(); err != nil || ref.Num != 1 || !hasProblem(f, ProblemRepaired) {
		t.Errorf("catalog %v, %v, %v", ref, err, f.Problems())
	}
}

// Objects that all reach to the end of the file must not be read to there each time.
// countingReader counts the bytes that are asked of it.
type countingReader struct {
	*bytes.Reader
	read int64
}

func (c *countingReader) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.Reader.ReadAt(p, at)
	c.read += int64(n)
	return n, err
}

// TestReadingIsBounded: files made so that every object runs to the end of the file are read a bounded number of times
// over, not once for each object.
func TestReadingIsBounded(t *testing.T) {
	var many strings.Builder
	many.WriteString("%PDF-1.7\n")
	for i := range 100_000 {
		fmt.Fprintf(&many, "%d 0 obj (\n", i+1)
	}
	for name, data := range map[string]string{
		"one number":   "%PDF-1.7\n" + strings.Repeat("1 0 obj (\n", 200_000),
		"many numbers": many.String(),
	} {
		t.Run(name, func(t *testing.T) {
			file := &countingReader{Reader: bytes.NewReader([]byte(data))}
			f, err := OpenDamaged(context.Background(), file, int64(len(data)), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := f.Latest().Catalog(); err == nil {
				t.Error("a catalog is found")
			}
			if found, err := f.Signatures(); err == nil {
				t.Errorf("signatures are found: %d", len(found))
			}
			t.Logf("read %.1f times over", float64(file.read)/float64(len(data)))
			if limit := 20 * int64(len(data)); file.read > limit {
				t.Errorf("read %d bytes of a file of %d", file.read, len(data))
			}
		})
	}
}

func TestParseTime(t *testing.T) {
	for in, want := range map[string]string{
		"D:20261123131258+07'00'": "2026-11-23T13:12:58+07:00",
		"D:20261123131258+07'00":  "2026-11-23T13:12:58+07:00",
		"D:20261123131258Z":       "2026-11-23T13:12:58Z",
		"D:20261123131258Z00'00'": "2026-11-23T13:12:58Z",
		"20261123":                "2026-11-23T00:00:00Z",
		"D:2026":                  "2026-01-01T00:00:00Z",
		"D:20261123131258-0330":   "2026-11-23T13:12:58-03:30",
		"D:20261323":              "",
		"D:20260231":              "",
		"D:20261123131258 junk":   "",
		"today":                   "",
	} {
		got, ok := ParseTime(in)
		if ok != (want != "") || ok && got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", in, got, ok)
		}
	}
}
