package pdf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// signedFile is a document with one signature field. The dictionary is written from a template in which RANGE and
// CONTENTS stand for right values; change may spoil the finished file. after, when not nil, appends revisions.
type signedFile struct {
	field, dict string
	after       func(m *maker)
}

func (s signedFile) build() []byte {
	m := simple()
	m.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>>")
	field := s.field
	if field == "" {
		field = "<</FT/Sig/T(Leader)/V 6 0 R>>"
	}
	m.object(5, field)
	dict := s.dict
	if dict == "" {
		dict = "<</Type/Sig/Filter/Adobe.PPKLite/ByteRange RANGE/Contents CONTENTS/Reason(r)>>"
	}
	contents := "<" + strings.Repeat("ab", 40) + ">"
	placeholder := fmt.Sprintf("[0 %-8s %-8s %-8s]", "A", "B", "C")
	dict = strings.Replace(strings.Replace(dict, "RANGE", placeholder, 1), "CONTENTS", contents, 1)
	m.object(6, dict).table("/Root 1 0 R/Size 7")
	data := m.Bytes()
	from := bytes.Index(data, []byte(contents))
	to := from + len(contents)
	right := fmt.Sprintf("[0 %-8d %-8d %-8d]", from, to, len(data)-to)
	copy(data[bytes.Index(data, []byte(placeholder)):], right)
	if s.after != nil {
		s.after(m)
	}
	return m.Bytes()
}

func signatures(t *testing.T, data []byte) []Field {
	t.Helper()
	sigs, err := open(t, data).Signatures()
	if err != nil {
		t.Fatal(err)
	}
	return sigs
}

func TestSignatureFound(t *testing.T) {
	sigs := signatures(t, signedFile{}.build())
	if len(sigs) != 1 || sigs[0].Name != "Leader" || len(sigs[0].Problems) > 0 || sigs[0].Revision != 0 || len(sigs[0].Contents) != 40 {
		t.Fatalf("%+v", sigs)
	}
	parent := signedFile{field: "<</FT/Sig/T(A)/V 6 0 R/Kids[7 0 R]>>", after: func(m *maker) {
		m.object(7, "<</T(B)/Parent 5 0 R>>").table("/Root 1 0 R/Size 8")
	}}
	if sigs = signatures(t, parent.build()); len(sigs) != 1 || sigs[0].Name != "A.B" {
		t.Errorf("inherited type and value: %+v", sigs)
	}
	twice := signedFile{after: func(m *maker) {
		m.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 7 0 R]>>>>").
			object(7, "<</FT/Sig/T(Second)/V 6 0 R>>").table("/Root 1 0 R/Size 8")
	}}
	if sigs = signatures(t, twice.build()); len(sigs) != 1 || !slices.Equal(sigs[0].Others, []string{"Second"}) {
		t.Errorf("one dictionary in two fields: %+v", sigs)
	}
	if sigs = signatures(t, signedFile{field: "<</FT/Tx/T(Leader)/V 6 0 R>>"}.build()); len(sigs) != 0 {
		t.Errorf("a signature in a text field counts: %+v", sigs)
	}
	spaced := signedFile{}.build()
	spaced = append(spaced, "\n\n\n"...)
	spaced = bytes.Replace(spaced, fmt.Appendf(nil, "%-8d]", signatures(t, spaced)[0].ByteRange[3]),
		fmt.Appendf(nil, "%-8d]", signatures(t, spaced)[0].ByteRange[3]+3), 1)
	if sigs = signatures(t, spaced); sigs[0].Revision != 0 || len(sigs[0].Problems) > 0 {
		t.Errorf("white space at the end is covered too: %+v", sigs[0].Problems)
	}
	empty := open(t, signedFile{field: "<</FT/Sig/T(Leader)>>"}.build())
	if fields := empty.EmptyFields(); len(fields) != 1 || fields[0].Name != "Leader" {
		t.Errorf("empty fields %+v", fields)
	}
	loop := signedFile{field: "<</FT/Sig/T(Leader)/Kids[5 0 R 5 0 R]>>"}
	if sigs = signatures(t, loop.build()); len(sigs) != 0 {
		t.Errorf("a loop of fields: %+v", sigs)
	}
}

// Each case is a form of the attacks on ByteRange, /Contents and the signature dictionary.
func TestSignatureProblems(t *testing.T) {
	spoil := func(old, new string) func([]byte) []byte {
		return func(data []byte) []byte { return bytes.Replace(data, []byte(old), []byte(new), 1) }
	}
	same := func(data []byte) []byte { return data }
	for name, c := range map[string]struct {
		file  signedFile
		spoil func([]byte) []byte
		want  string
	}{
		"starts later":    {signedFile{}, spoil("Range [0", "Range [1"), FieldStart},
		"negative":        {signedFile{}, spoil("Range [0 ", "Range [-1"), FieldByteRange},
		"reals":           {signedFile{}, spoil("Range [0 ", "Range [.5"), FieldByteRange},
		"two numbers":     {signedFile{dict: "<</ByteRange[0 20]/Contents CONTENTS/Old RANGE>>"}, same, FieldByteRange},
		"six numbers":     {signedFile{dict: "<</ByteRange[0 1 2 3 4 5]/Contents CONTENTS/Old RANGE>>"}, same, FieldByteRange},
		"overlap":         {signedFile{dict: "<</ByteRange[0 200 100 200]/Contents CONTENTS/Old RANGE>>"}, same, FieldOrder},
		"outside":         {signedFile{dict: "<</ByteRange[0 200 300 99999]/Contents CONTENTS/Old RANGE>>"}, same, FieldOrder},
		"overflow":        {signedFile{dict: "<</ByteRange[0 200 300 9223372036854775807]/Contents CONTENTS/Old RANGE>>"}, same, FieldOrder},
		"small":           {signedFile{dict: "<</ByteRange[0 20 40 20]/Contents CONTENTS/Old RANGE>>"}, same, FieldEnd},
		"space in gap":    {signedFile{}, spoil("/Contents <", "/Contents  <"), FieldGap},
		"literal":         {signedFile{dict: "<</ByteRange RANGE/Contents(abc)/Old CONTENTS>>"}, same, FieldContents},
		"missing":         {signedFile{dict: "<</ByteRange RANGE/Old CONTENTS>>"}, same, FieldContents},
		"empty":           {signedFile{}, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("ab"), []byte("00")) }, FieldContents},
		"two contents":    {signedFile{dict: "<</Contents<cd>/ByteRange RANGE/Contents CONTENTS>>"}, same, FieldTwice},
		"two byte ranges": {signedFile{dict: "<</ByteRange[0 1 2 3]/ByteRange RANGE/Contents CONTENTS>>"}, same, FieldTwice},
		"appended byte": {signedFile{}, func(b []byte) []byte {
			return bytes.Replace(b, []byte("%%EOF"), []byte("%%EOX"), 1)
		}, FieldEnd},
		"replaced dictionary": {signedFile{after: func(m *maker) {
			m.object(6, strings.Replace(string(lastObject(m, 6)), "(r)", "(x)", 1)).table("/Root 1 0 R/Size 7")
		}}, same, FieldChanged},
		"moved to another object": {signedFile{after: func(m *maker) {
			m.object(5, "<</FT/Sig/T(Leader)/V 9 0 R>>").object(9, string(lastObject(m, 6))).table("/Root 1 0 R/Size 10")
		}}, same, FieldMissing},
	} {
		t.Run(name, func(t *testing.T) {
			sigs := signatures(t, c.spoil(c.file.build()))
			if len(sigs) != 1 {
				t.Fatalf("%d signatures", len(sigs))
			}
			if !slices.ContainsFunc(sigs[0].Problems, func(p string) bool { return strings.HasPrefix(p, c.want) }) {
				t.Errorf("problems %q, want %s", sigs[0].Problems, c.want)
			}
		})
	}
}

// lastObject is the body of an object as written last.
func lastObject(m *maker, num int) []byte {
	data := m.Bytes()
	head := fmt.Appendf(nil, "\n%d 0 obj\n", num)
	start := bytes.LastIndex(data, head) + len(head)
	return data[start : start+bytes.Index(data[start:], []byte("\nendobj"))]
}

// A revision that no /Prev leads to is no state of the document; neither is what a last startxref skips.
func TestSkippedRevision(t *testing.T) {
	f := signedFile{}
	f.after = func(m *maker) {
		m.last = 0
		m.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>>").
			object(2, "<</Type/Pages/Kids[]/Count 0>>").object(5, "<</FT/Sig/T(Leader)/V 6 0 R>>").
			object(6, string(lastObject(m, 6))).table("/Root 1 0 R/Size 7")
	}
	sigs := signatures(t, f.build())
	if len(sigs) != 1 || sigs[0].Revision >= 0 || len(sigs[0].Problems) == 0 {
		t.Errorf("the signed revision is unreachable: %+v", sigs)
	}
	f.after = func(m *maker) {
		signed := m.last
		m.object(4, "<</Length 5>>stream\nSECND\nendstream").table("/Root 1 0 R/Size 7")
		fmt.Fprintf(&m.Buffer, "startxref\n%d\n%%%%EOF\n", signed)
	}
	if file := open(t, f.build()); !hasProblem(file, ProblemTrailing) || len(file.Revisions()) != 1 {
		t.Errorf("what the last startxref skips: %v, %d revisions", file.Problems(), len(file.Revisions()))
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"\xFE\xFF\x1E\xCF":  "ỏ",
		"\xFF\xFE\xCF\x1E":  "ỏ",
		"\xEF\xBB\xBFphó":   "phó",
		"caf\xE9":           "café",
		"\xFE\xFF\x00A\x00": "A",
	} {
		if got := (String{B: []byte(in)}).Text(); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// Signatures that only a page leads to are found, once, and told from those of the form.
func TestSignatureOutsideForm(t *testing.T) {
	const widget = "<</Type/Annot/Subtype/Widget/FT/Sig/T(Leader)/V 6 0 R/Rect[0 0 0 0]>>"
	rewrite := func(catalog, page string, more ...string) func(m *maker) {
		return func(m *maker) {
			m.object(1, catalog).object(3, page)
			for i, body := range more {
				m.object(7+i, body)
			}
			m.table("/Root 1 0 R/Size 9")
		}
	}
	const catalog, formless = "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>>", "<</Type/Catalog/Pages 2 0 R>>"
	page := func(annots string) string {
		return "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Annots" + annots + ">>"
	}
	for name, c := range map[string]struct {
		field string
		after func(m *maker)
		want  string // names, those outside the form in brackets
	}{
		"in the form, on a page":  {widget, rewrite(catalog, page("[5 0 R]")), "Leader"},
		"form dropped":            {widget, rewrite(formless, page("[5 0 R 5 0 R]")), "[Leader]"},
		"form emptied":            {widget, rewrite("<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[]>>>>", page("[5 0 R]")), "[Leader]"},
		"no widget":               {"<</FT/Sig/T(Leader)/V 6 0 R>>", rewrite(formless, page("[5 0 R]")), ""},
		"another type":            {strings.Replace(widget, "/Sig", "/Tx", 1), rewrite(formless, page("[5 0 R]")), ""},
		"direct annotation":       {widget, rewrite(formless, page("["+widget+"]")), "[Leader]"},
		"second widget of a form": {widget, rewrite(catalog, page("[7 0 R]"), "<</Subtype/Widget/Parent 5 0 R>>"), "Leader"},
		"beside the form":         {widget, rewrite(catalog, page("[5 0 R 7 0 R]"), strings.Replace(widget, "6 0 R", "8 0 R", 1), "<</Type/Sig>>"), "[Leader] Leader"},
		"type and name above":     {widget, rewrite(formless, page("[7 0 R]"), "<</Subtype/Widget/Parent 8 0 R/T(b)>>", "<</FT/Sig/T(a)/V 6 0 R>>"), "[a.b]"},
		"parents in a circle":     {widget, rewrite(formless, page("[7 0 R]"), "<</Subtype/Widget/Parent 8 0 R>>", "<</Parent 7 0 R/V 6 0 R>>"), ""},
	} {
		var got []string
		for _, s := range signatures(t, signedFile{field: c.field, after: c.after}.build()) {
			if s.OutsideForm {
				s.Name = "[" + s.Name + "]"
			}
			got = append(got, s.Name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
