package signing

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	digitorus "github.com/digitorus/pdf"

	"vanthu/signing/pdf"
)

const (
	maxPdfsign        = 64 << 20 // bytes: pdfsign keeps several copies of the file in memory
	maxPdfsignObjects = 200_000  // pdfsign's reader keeps a table of all numbers
)

// obstacleError is why pdfsign would damage a document, lose part of it, or cannot sign it at all.
type obstacleError struct{ reason string }

func (o *obstacleError) Error() string { return "pdfsign cannot sign this soundly: " + o.reason }

// extract is the part of a document that pdfsign looks at, read by our reader and written anew: catalog, form,
// one page. pdfsign and its reader never parse the document itself, so that no file can crash or mislead them.
// Strings and names are escaped once more, because pdfsign copies them without escapes.
type extract struct {
	size       int64
	kind       pdf.XRefKind
	prev       int64  // the cross-reference section to continue
	next       uint32 // the first free object number
	trailer    []byte // the text that pdfsign edits
	oldTrailer pdf.Dict

	catalogRef pdf.Ref
	catalog    pdf.Dict
	fields     pdf.Array
	field      string // the name that pdfsign will give
	number     int    // how many of the fields to show as signatures for it to do so

	pageRef  pdf.Ref
	page     pdf.Dict // with references in its entries resolved
	annots   pdf.Array
	visible  bool
	rect     [4]float64
	geometry pdf.PageGeometry
}

// newExtract reads what pdfsign needs. It gives an *obstacleError where pdfsign must not be used.
func newExtract(f *pdf.File, o *SignOptions) (*extract, error) {
	if err := suitable(f, o); err != nil {
		return nil, err
	}
	u, err := pdf.NewUpdate(f)
	if err != nil {
		return nil, err
	}
	v, revisions := f.Latest(), f.Revisions()
	x := &extract{size: f.Size(), kind: v.XRefKind(), prev: revisions[len(revisions)-1].XRefOffset, next: u.Next(), oldTrailer: v.Trailer()}
	if x.next > maxPdfsignObjects {
		return nil, &obstacleError{"its object numbers are too large"}
	}
	if x.catalog, x.catalogRef, err = v.Catalog(); err != nil {
		return nil, err
	}
	refersToItself := false
	eachRef(x.catalog, func(r pdf.Ref) { refersToItself = refersToItself || r.Num == x.catalogRef.Num })
	if refersToItself || !exactReals(x.catalog) {
		return nil, &obstacleError{"it would not copy the catalog exactly"}
	}
	if err := x.readForm(v, u); err != nil {
		return nil, err
	}
	if err := x.readPage(v, o); err != nil {
		return nil, err
	}
	trailer := u.Trailer(o.At)
	delete(trailer, "Prev")
	if x.kind == pdf.XRefStream {
		for key := range trailer {
			if key != "Root" && key != "ID" {
				return nil, &obstacleError{"it would drop /" + string(key) + " from the trailer"}
			}
		}
	}
	delete(trailer, "Root")
	// pdfsign replaces the texts "Root N G R" and "Size N"; anything that looks alike must not be there.
	rest := pdf.AppendObject(nil, trailer)
	if bytes.Contains(rest, []byte("Root ")) || bytes.Contains(rest, []byte("Size ")) || bytes.Contains(rest, []byte("Prev ")) {
		return nil, &obstacleError{"the trailer has entries that it would confuse"}
	}
	x.trailer = fmt.Appendf(nil, "trailer\n<</Root %s/Size %d%s\nstartxref", x.catalogRef, x.highest()+1, rest[len("<<"):])
	return x, nil
}

// suitable looks at what can be seen without reading objects.
func suitable(f *pdf.File, o *SignOptions) error {
	switch {
	case o.Field != "":
		return &obstacleError{"it names its fields itself and fills no existing one"}
	case f.Size() > maxPdfsign:
		return &obstacleError{"the file is too large"}
	case len(f.Problems()) > 0:
		return &obstacleError{"the file is irregular: " + f.Problems()[0].Code}
	}
	for _, text := range []string{o.Name, o.Reason, o.Location, o.ContactInfo} {
		if !plainInUTF16(text) {
			return &obstacleError{fmt.Sprintf("it does not escape the UTF-16 of %q", text)}
		}
	}
	return nil
}

// plainInUTF16 tells whether a text survives pdfsign, which writes UTF-16 into literal strings as it is: the
// letter ĩ (U+0129), as in the name Nghĩa, ends with the byte of a closing parenthesis.
func plainInUTF16(s string) bool {
	if !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7F }) {
		return true
	}
	for _, u := range utf16.Encode([]rune(s)) {
		for _, b := range []byte{byte(u >> 8), byte(u)} {
			if b == '(' || b == ')' || b == '\\' || b == '\r' || b == '\n' {
				return false
			}
		}
	}
	return true
}

// readForm reads the fields and picks the name of the new one.
func (x *extract) readForm(v *pdf.View, u *pdf.Update) error {
	form, err := v.Resolve(x.catalog["AcroForm"])
	if err != nil {
		return err
	}
	dict, _ := form.(pdf.Dict)
	for key := range dict {
		if key != "Fields" && key != "SigFlags" {
			return &obstacleError{"it would drop /" + string(key) + " from the form"}
		}
	}
	fields, err := v.Resolve(dict["Fields"])
	if err != nil {
		return err
	}
	x.fields, _ = fields.(pdf.Array)
	for _, o := range x.fields {
		if r, ok := o.(pdf.Ref); !ok || r.Gen != 0 || r.Num == 0 {
			return &obstacleError{"it would drop a direct field from the form"}
		}
	}
	for x.number = 0; ; x.number++ {
		x.field = fmt.Sprintf("Signature %d", x.number+1)
		err := u.Permit(x.field)
		if err == nil || !errors.Is(err, pdf.ErrFieldName) {
			return err
		}
		if x.number == len(x.fields) {
			return &obstacleError{"no name is free for the new field"}
		}
	}
}

// readPage reads the page of the field; for a visible signature pdfsign rewrites it.
func (x *extract) readPage(v *pdf.View, o *SignOptions) error {
	ref, page, err := v.Page(o.Page)
	if err != nil {
		return err
	}
	x.pageRef, x.page = ref, pdf.Dict{}
	if o.Appearance == nil {
		return nil
	}
	if o.Rect == nil {
		return fmt.Errorf("the appearance has no area on the page: %w", pdf.ErrNoArea)
	}
	x.visible = true
	if x.geometry, err = v.Geometry(page); err != nil {
		return err
	}
	if x.rect, err = o.Rect.On(x.geometry); err != nil {
		return err
	}
	if ref.Gen != 0 {
		return &obstacleError{"it would lose the generation of the page"}
	}
	annots, err := v.Resolve(page["Annots"])
	if err != nil {
		return err
	}
	x.annots, _ = annots.(pdf.Array)
	for _, a := range x.annots {
		if r, ok := a.(pdf.Ref); !ok || r.Gen != 0 || r.Num == 0 {
			return &obstacleError{"it would destroy a direct annotation"}
		}
	}
	return x.readEntries(v, page)
}

// readEntries keeps the page's entries as pdfsign will write them: it turns references into what they lead to,
// so entries with references are left to our own writer, but for those that pdfsign knows.
func (x *extract) readEntries(v *pdf.View, page pdf.Dict) error {
	for key, value := range page {
		switch o := value.(type) {
		case pdf.Ref:
			if key == "Contents" {
				if direct, err := v.Resolve(o); err != nil {
					return err
				} else if _, isArray := direct.(pdf.Array); isArray {
					return &obstacleError{"it would rewrite the list of contents"}
				}
			} else if key != "Parent" && key != "Annots" {
				return &obstacleError{"it would rewrite /" + string(key) + " of the page"}
			}
			if o.Gen != 0 {
				return &obstacleError{"it would lose a generation in the page"}
			}
		case pdf.String:
			if bytes.ContainsFunc(o.B, func(r rune) bool { return r > 0x7F }) {
				return &obstacleError{"it would rewrite the text /" + string(key) + " of the page"}
			}
		}
		x.page[key] = value
	}
	return nil
}

// highest is the object number that pdfsign must take for the highest: it continues with the second one after.
func (x *extract) highest() uint32 {
	highest := x.next - 2
	for num := range x.objects() {
		highest = max(highest, num)
	}
	return highest
}

// objects are those of the extract under their numbers in the file. Objects that are only pointed at are empty.
func (x *extract) objects() map[uint32]pdf.Object {
	all := map[uint32]pdf.Object{}
	stub := func(r pdf.Ref) { all[r.Num] = pdf.Dict{} }
	eachRef(x.catalog, stub)
	eachRef(x.page, stub)
	eachRef(x.annots, stub)
	eachRef(x.fields, stub)
	for i, f := range x.fields {
		if i < x.number {
			all[f.(pdf.Ref).Num] = pdf.Dict{"FT": pdf.Name("Sig")} // readForm has seen that all are references
		}
	}
	page := escaped(x.page).(pdf.Dict)
	for key, value := range x.page {
		if _, ok := value.(pdf.String); ok {
			page[key] = value // pdfsign escapes these
		}
	}
	page["Type"] = pdf.Name("Page")
	if x.page["Annots"] != nil {
		page["Annots"] = x.annots
	}
	all[x.pageRef.Num] = page
	catalog := escaped(x.catalog).(pdf.Dict)
	if len(x.fields) > 0 {
		catalog["AcroForm"] = pdf.Dict{"Fields": x.fields}
	} else {
		delete(catalog, "AcroForm")
	}
	all[x.catalogRef.Num] = catalog
	if pages, ok := x.catalog["Pages"].(pdf.Ref); ok {
		all[pages.Num] = pdf.Dict{"Type": pdf.Name("Pages"), "Kids": pdf.Array{x.pageRef}, "Count": int64(1)}
	}
	return all
}

func eachRef(o pdf.Object, yield func(pdf.Ref)) {
	switch v := o.(type) {
	case pdf.Ref:
		yield(v)
	case pdf.Array:
		for _, e := range v {
			eachRef(e, yield)
		}
	case pdf.Dict:
		for _, e := range v {
			eachRef(e, yield)
		}
	}
}

// escaped writes the escapes of strings and names into their values.
func escaped(o pdf.Object) pdf.Object {
	switch v := o.(type) {
	case pdf.Name:
		return pdf.Name(pdf.AppendObject(nil, v)[1:])
	case pdf.String:
		text := pdf.AppendObject(nil, pdf.String{B: v.B})
		return pdf.String{B: text[1 : len(text)-1], Hex: true}
	case pdf.Array:
		out := make(pdf.Array, len(v))
		for i, e := range v {
			out[i] = escaped(e)
		}
		return out
	case pdf.Dict:
		out := make(pdf.Dict, len(v))
		for key, e := range v {
			out[escaped(key).(pdf.Name)] = escaped(e)
		}
		return out
	}
	return o
}

// reader gives pdfsign's reader of the extract, told what it needs to know of the file itself.
func (x *extract) reader() (*digitorus.Reader, error) {
	objects := x.objects()
	highest := x.highest()
	if _, ok := objects[highest]; !ok {
		objects[highest] = pdf.Dict{}
	}
	// Its reader looks at blocks of 200 bytes from the end, and needs that many.
	out := []byte("%PDF-1.7\n%" + strings.Repeat(" ", 400) + "\n")
	var xref []byte
	for _, num := range slices.Sorted(maps.Keys(objects)) {
		gen := uint16(0)
		if num == x.catalogRef.Num {
			gen = x.catalogRef.Gen
		}
		xref = fmt.Appendf(xref, "%d 1\n%010d %05d n \n", num, len(out), gen)
		out = fmt.Appendf(out, "%d %d obj\n", num, gen)
		out = append(pdf.AppendObject(out, objects[num]), "\nendobj\n"...)
	}
	start := len(out)
	out = append(append(out, "xref\n"...), xref...)
	trailer := pdf.Dict{"Root": x.catalogRef, "Size": int64(highest) + 1}
	if id, ok := x.oldTrailer["ID"].(pdf.Array); ok && len(id) == 2 {
		trailer["ID"] = id
	}
	out = append(append(out, "trailer\n"...), pdf.AppendObject(nil, trailer)...)
	out = fmt.Appendf(out, "\nstartxref\n%d\n%%%%EOF\n", start)
	r, err := digitorus.NewReader(bytes.NewReader(out), int64(len(out)))
	if err != nil {
		return nil, err
	}
	info := &r.XrefInformation
	info.StartPos, info.ItemCount = x.prev, int64(highest)+1
	info.Type = "table"
	if x.kind == pdf.XRefStream {
		info.Type = "stream"
	}
	info.EndPos, info.IncludingTrailerEndPos = x.size, x.size+int64(len(x.trailer))
	return r, nil
}

// exactReals tells whether pdfsign, which writes six decimals, keeps the reals of the catalog.
func exactReals(o pdf.Object) bool {
	switch v := o.(type) {
	case float64:
		f, err := strconv.ParseFloat(fmt.Sprintf("%f", v), 64)
		return err == nil && f == v
	case pdf.Array:
		return !slices.ContainsFunc(v, func(e pdf.Object) bool { return !exactReals(e) })
	case pdf.Dict:
		for _, e := range v {
			if !exactReals(e) {
				return false
			}
		}
	}
	return true
}
