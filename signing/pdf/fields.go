package pdf

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf16"
)

// Codes of [Field].Problems. Each means that the signature is not one that ISO 32000-2 §12.8.1 allows, or that
// readers could be led to different bytes.
const (
	FieldByteRange  = "byterange-malformed"  // not four non-negative integers
	FieldStart      = "byterange-start"      // does not start at byte 0
	FieldOrder      = "byterange-order"      // ranges overlap, are empty or leave the file
	FieldEnd        = "byterange-end"        // does not end where a revision ends
	FieldGap        = "byterange-gap"        // the gap is not exactly the /Contents string
	FieldContents   = "contents-malformed"   // /Contents is missing, not hexadecimal, or empty
	FieldTwice      = "duplicate-key"        // a key stands twice in the signature dictionary, with different values
	FieldChanged    = "dictionary-changed"   // the signature dictionary differs from the one in the signed revision
	FieldMissing    = "not-in-revision"      // the signed revision has no such signature
	FieldUnreadable = "dictionary-malformed" // the signature dictionary cannot be read where it should stand
)

// form holds the signature fields of one view.
type form struct {
	fields []formField
	err    error
}

// formField is a signature field of one view.
type formField struct {
	name   string
	ref    Ref
	dict   Dict
	value  Dict // nil when empty
	vref   Ref  // zero when the value is direct
	holder Ref  // the object that has the direct value under /V

	outside bool // found through a page only
}

// signatureFields walks the form of a view, once.
func (f *File) signatureFields(v *View) ([]formField, error) {
	if f.fields[v.rev] == nil {
		w := formWalk{v: v, seen: map[Ref]bool{}}
		err := w.start()
		if f.fields == nil {
			f.fields = map[int]*form{}
		}
		f.fields[v.rev] = &form{fields: w.out, err: err}
	}
	return f.fields[v.rev].fields, f.fields[v.rev].err
}

type formWalk struct {
	v     *View
	seen  map[Ref]bool
	count int
	out   []formField
}

// inherited is what a field takes from its parents (ISO 32000-2 table 226).
type inherited struct {
	name   string
	kind   Object
	value  Object
	holder Ref
}

func (w *formWalk) start() error {
	cat, _, err := w.v.Catalog()
	if err != nil {
		return err
	}
	o, err := w.v.Resolve(cat["AcroForm"])
	if err != nil {
		return err
	}
	acro, ok := o.(Dict)
	if !ok {
		return nil
	}
	return w.kids(acro["Fields"], inherited{}, 0)
}

// kids visits the fields of an array.
func (w *formWalk) kids(o Object, from inherited, depth int) error {
	if depth > w.v.f.lim.MaxDepth {
		return tooLarge(-1, "the form is too deep")
	}
	o, err := w.v.Resolve(o)
	if err != nil {
		return err
	}
	list, _ := o.(Array)
	for _, k := range list {
		w.count++
		w.v.f.visited++
		if w.count > w.v.f.lim.MaxFields || w.v.f.visited > 40*w.v.f.lim.MaxFields {
			return tooLarge(-1, "too many form fields")
		}
		ref, indirect := k.(Ref)
		if indirect && w.seen[ref] {
			continue
		}
		w.seen[ref] = true
		if k, err = w.v.Resolve(k); err != nil {
			return err
		}
		if d, ok := k.(Dict); ok {
			if err := w.field(d, ref, from, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// field visits one field.
func (w *formWalk) field(d Dict, ref Ref, from inherited, depth int) error {
	if part, err := w.v.Resolve(d["T"]); err != nil {
		return err
	} else if s, ok := part.(String); ok {
		if from.name != "" {
			from.name += "."
		}
		if from.name += s.Text(); len(from.name) > w.v.f.lim.MaxToken {
			return tooLarge(-1, "a field name is too long")
		}
	}
	if d["FT"] != nil {
		kind, err := w.v.Resolve(d["FT"])
		if err != nil {
			return err
		}
		from.kind = kind
	}
	if d["V"] != nil {
		from.value, from.holder = d["V"], ref
	}
	if w.hasFields(d["Kids"]) {
		return w.kids(d["Kids"], from, depth+1)
	}
	if from.kind != Name("Sig") {
		return nil
	}
	out := formField{name: from.name, ref: ref, dict: d, holder: from.holder}
	vref, _ := from.value.(Ref)
	value, err := w.v.Resolve(from.value)
	if err != nil {
		return err
	}
	if sig, ok := value.(Dict); ok {
		out.value, out.vref = sig, vref
	}
	w.out = append(w.out, out)
	return nil
}

// hasFields tells fields among /Kids from mere widgets, which have no name.
func (w *formWalk) hasFields(o Object) bool {
	o, err := w.v.Resolve(o)
	list, ok := o.(Array)
	if err != nil || !ok {
		return false
	}
	for _, k := range list {
		if d := w.v.dict(k); d["T"] != nil || d["Kids"] != nil {
			return true
		}
	}
	return false
}

// EmptyFields lists the signature fields that hold no signature yet, in document order.
func (f *File) EmptyFields() []Field {
	fields, err := f.signatureFields(f.Latest())
	if err != nil {
		return nil
	}
	var out []Field
	for _, s := range fields {
		if s.value == nil {
			out = append(out, Field{Name: s.name, Ref: s.ref, Field: s.dict, ContentsStart: -1, ContentsEnd: -1, Revision: -1})
		}
	}
	return out
}

// Signatures lists the signed signature fields, ordered by the end of their ByteRange. A signature dictionary
// that several fields share is listed once; one in a field of another type is none. Signatures that only a page
// leads to, not the form, come first (see Field.OutsideForm).
func (f *File) Signatures() ([]Field, error) { return f.SignaturesAt(len(f.revs) - 1) }

// SignaturesAt is [File.Signatures] as of revision rev; in older revisions than the last only the form counts.
func (f *File) SignaturesAt(rev int) ([]Field, error) {
	v := f.View(rev)
	if v == nil {
		return nil, nil
	}
	fields, err := f.signatureFields(v)
	if err != nil {
		return nil, err
	}
	if rev == len(f.revs)-1 {
		outside, err := f.outsideForm(fields)
		if err != nil {
			return nil, err
		}
		fields = append(outside[:len(outside):len(outside)], fields...)
	}
	var out []Field
	shared := map[Ref]int{}
	for _, s := range fields {
		if s.value == nil {
			continue
		}
		if i, ok := shared[s.vref]; ok && s.vref != (Ref{}) {
			out[i].Others = append(out[i].Others, s.name)
			continue
		}
		shared[s.vref] = len(out)
		out = append(out, f.signature(v, s))
	}
	slices.SortStableFunc(out, func(a, b Field) int {
		if a.OutsideForm != b.OutsideForm {
			if a.OutsideForm {
				return -1
			}
			return 1
		}
		return int(min(max(a.Covered()-b.Covered(), -1), 1))
	})
	return out, nil
}

// Covered is one past the last byte that the ByteRange covers; a malformed one sorts last.
func (s *Field) Covered() int64 {
	if len(s.ByteRange) != 4 {
		return 1<<62 - 1
	}
	return s.ByteRange[2] + s.ByteRange[3]
}

func (s *Field) problem(code, detail string) {
	if detail != "" {
		code += ": " + detail
	}
	s.Problems = append(s.Problems, code)
}

// signature examines one signature of view v.
func (f *File) signature(v *View, s formField) Field {
	out := Field{
		Name: s.name, Ref: s.ref, ValueRef: s.vref, Field: s.dict, Dict: s.value,
		ContentsStart: -1, ContentsEnd: -1, Revision: -1, OutsideForm: s.outside,
	}
	f.checkByteRange(v, &out)
	signed, where := v, s
	if out.Revision >= 0 && out.Revision <= v.rev {
		signed = f.View(out.Revision)
		if w, ok := f.sameField(signed, s); ok {
			where = w
			if key, same := sameDict(v, s.value, signed, w.value, 0); !same {
				out.problem(FieldChanged, "/"+string(key))
			}
		} else {
			out.problem(FieldMissing, "")
			signed = v
		}
	}
	f.locate(signed, where, &out)
	if len(out.ByteRange) == 4 && out.ContentsStart >= 0 &&
		(out.ByteRange[0]+out.ByteRange[1] != out.ContentsStart || out.ByteRange[2] != out.ContentsEnd) {
		out.problem(FieldGap, fmt.Sprintf("gap %d to %d, /Contents %d to %d",
			out.ByteRange[0]+out.ByteRange[1], out.ByteRange[2], out.ContentsStart, out.ContentsEnd))
	}
	return out
}

// checkByteRange checks the four numbers and finds the revision that they close.
func (f *File) checkByteRange(v *View, out *Field) {
	o, err := v.Resolve(out.Dict["ByteRange"])
	br, ok := ints(o, 4)
	if err != nil || !ok || len(br) != 4 {
		out.problem(FieldByteRange, "")
		return
	}
	out.ByteRange = br
	if br[0] != 0 {
		out.problem(FieldStart, fmt.Sprintf("starts at %d", br[0]))
	}
	size := f.src.size
	if br[0] > size || br[1] > size-br[0] || br[2] > size || br[3] > size-br[2] ||
		br[1] == 0 || br[3] == 0 || br[0]+br[1] >= br[2] {
		out.problem(FieldOrder, fmt.Sprint(br))
		return
	}
	if out.Revision = f.Closing(br[2] + br[3]); out.Revision < 0 {
		out.problem(FieldEnd, fmt.Sprintf("ends at %d", br[2]+br[3]))
	}
}

// sameField finds the field of another view that has the same signature dictionary.
func (f *File) sameField(v *View, s formField) (formField, bool) {
	fields, err := f.signatureFields(v)
	if err != nil {
		return formField{}, false
	}
	for _, w := range fields {
		if w.value != nil && w.vref == s.vref && (s.vref != (Ref{}) || w.holder == s.holder && w.ref == s.ref) {
			return w, true
		}
	}
	if s.outside && s.ref != (Ref{}) {
		w, ok, err := v.signatureWidget(s.ref)
		return w, err == nil && ok && w.vref == s.vref && w.holder == s.holder
	}
	return formField{}, false
}

// sameDict compares signature dictionaries of two views, following references; key is where they differ. What a
// /Reference entry calls /Data is the document itself and is judged by the comparison of revisions.
func sameDict(av *View, a Dict, bv *View, b Dict, depth int) (key Name, same bool) {
	for k := range b {
		if _, ok := a[k]; !ok {
			return k, false
		}
	}
	for k, o := range a {
		if k == "Data" && depth > 0 {
			continue
		}
		if p, ok := b[k]; !ok || !sameObject(av, o, bv, p, depth+1) {
			return k, false
		}
	}
	return "", true
}

func sameObject(av *View, a Object, bv *View, b Object, depth int) bool {
	if depth > 12 {
		return false
	}
	a, errA := av.Resolve(a)
	b, errB := bv.Resolve(b)
	if errA != nil || errB != nil {
		return false
	}
	switch a := a.(type) {
	case String:
		s, ok := b.(String)
		return ok && bytes.Equal(a.B, s.B)
	case Array:
		s, ok := b.(Array)
		return ok && slices.EqualFunc(a, s, func(x, y Object) bool { return sameObject(av, x, bv, y, depth+1) })
	case Dict:
		s, ok := b.(Dict)
		if !ok {
			return false
		}
		_, same := sameDict(av, a, bv, s, depth)
		return same
	case *Stream:
		s, ok := b.(*Stream)
		return ok && s.Offset == a.Offset && s.Length == a.Length
	case Ref:
		return false
	}
	if _, ok := b.(Array); ok {
		return false
	}
	switch b.(type) {
	case String, Dict:
		return false
	}
	return a == b
}

// locate finds the bytes of /Contents in the file as they stand in view v, and decodes them.
func (f *File) locate(v *View, s formField, out *Field) {
	ref := s.vref
	if ref == (Ref{}) {
		ref = s.holder
	}
	spans, err := v.spans(ref)
	if err == nil && s.vref == (Ref{}) {
		if i := lastSpan(spans, "V"); i >= 0 {
			spans, err = v.spansAt(spans[i].start)
		}
	}
	if err != nil {
		out.problem(FieldUnreadable, "")
		return
	}
	if twice := repeated(spans); len(twice) > 0 {
		out.problem(FieldTwice, "/"+string(twice[0]))
	}
	i := lastSpan(spans, "Contents")
	if i < 0 {
		out.problem(FieldContents, "missing")
		return
	}
	at := spans[i]
	if r, ok := at.value.(Ref); ok {
		if at, err = v.valueSpan(r); err != nil {
			out.problem(FieldContents, "its object cannot be read")
			return
		}
	}
	str, ok := at.value.(String)
	if ok && str.B == nil {
		decoded, _ := s.value["Contents"].(String) // read already; the spans only tell where it stands
		str.B = decoded.B
	}
	out.ContentsStart, out.ContentsEnd, out.Contents = at.start, at.end, str.B
	switch {
	case !ok || !str.Hex:
		out.problem(FieldContents, "not a hexadecimal string")
	case len(bytes.Trim(str.B, "\x00")) == 0:
		out.problem(FieldContents, "empty")
	}
}

// span is a dictionary entry with the place of its value in the file.
type span struct {
	key        Name
	value      Object
	start, end int64
}

func lastSpan(spans []span, key Name) int {
	for i := len(spans) - 1; i >= 0; i-- {
		if spans[i].key == key {
			return i
		}
	}
	return -1
}

// lexerFor gives a lexer at the value of an object that stands in the file by itself.
func (v *View) lexerFor(r Ref) (lexer, error) {
	e, ok := v.lookup(r.Num)
	if !ok || e.kind != entryOffset || e.extra != uint32(r.Gen) {
		return lexer{}, damaged(-1, "object "+r.String()+" does not stand in the file by itself")
	}
	l := v.f.lexerAt(e.where, v.r.End)
	if got, ok := l.header(); !ok || got != r {
		return lexer{}, l.fail("the cross-reference does not lead to object " + r.String())
	}
	return l, nil
}

// spans lists the entries of the dictionary that is object r.
func (v *View) spans(r Ref) ([]span, error) {
	l, err := v.lexerFor(r)
	if err != nil {
		return nil, err
	}
	return l.spans()
}

// spansAt lists the entries of the dictionary at off.
func (v *View) spansAt(off int64) ([]span, error) {
	l := v.f.lexerAt(off, v.r.End)
	return l.spans()
}

// valueSpan is the place of the whole object r.
func (v *View) valueSpan(r Ref) (span, error) {
	l, err := v.lexerFor(r)
	if err != nil {
		return span{}, err
	}
	l.space()
	s := span{start: l.offset()}
	s.value, err = l.object(0)
	s.end = l.offset()
	return s, err
}

// repeated lists the keys that stand twice with different values; a second /Contents is never harmless.
func repeated(spans []span) []Name {
	var out []Name
	first := map[Name]Object{}
	for _, s := range spans {
		before, twice := first[s.key]
		switch {
		case !twice:
			first[s.key] = s.value
		case s.key == "Contents" || !reflect.DeepEqual(before, s.value):
			out = append(out, s.key)
		}
	}
	return out
}

// spans parses a dictionary and notes where its values stand. Hexadecimal strings are not decoded, unless a key
// stands twice and values have to be compared.
func (l *lexer) spans() ([]span, error) {
	start := l.offset()
	l.skim = true
	spans, err := l.entries()
	l.skim = false
	if err != nil {
		return nil, err
	}
	keys := map[Name]bool{}
	for _, s := range spans {
		keys[s.key] = true
	}
	if len(keys) == len(spans) {
		return spans, nil
	}
	l.seek(start)
	return l.entries()
}

func (l *lexer) entries() ([]span, error) {
	l.space()
	if !l.literal("<<") {
		return nil, l.fail("not a dictionary")
	}
	var out []span
	for {
		key, done, err := l.key()
		if err != nil || done {
			return out, err
		}
		l.space()
		if l.peek() == '>' {
			continue
		}
		s := span{key: key, start: l.offset()}
		if s.value, err = l.object(1); err != nil {
			return nil, err
		}
		s.end = l.offset()
		if err := l.charge(96); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
}

// Text decodes a text string: UTF-16 or UTF-8 with a byte order mark, else PDFDocEncoding, of which only the part
// that is Latin-1 is decoded (ISO 32000-2 §7.9.2).
func (s String) Text() string {
	b := s.B
	switch {
	case bytes.HasPrefix(b, []byte{0xFE, 0xFF}):
		return utf16Text(b[2:], 1, 0)
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE}):
		return utf16Text(b[2:], 0, 1)
	case bytes.HasPrefix(b, []byte{0xEF, 0xBB, 0xBF}):
		return strings.ToValidUTF8(string(b[3:]), "\uFFFD")
	}
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}

func utf16Text(b []byte, lo, hi int) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i+lo]) | uint16(b[2*i+hi])<<8
	}
	return string(utf16.Decode(units))
}
