// Package pdftest builds small PDF files for tests of signing: the same document in every form of
// cross-reference, with the features that signing has to keep (annotations, forms, odd strings). Only tests
// import it.
package pdftest

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"vanthu/signing/pdf"
)

// Form is how a file writes its cross-references.
type Form string

// The forms.
const (
	Table         Form = "table"          // classic cross-reference table
	Stream        Form = "stream"         // cross-reference stream, objects by themselves
	ObjectStreams Form = "object-streams" // cross-reference stream, objects in an object stream
	Hybrid        Form = "hybrid"         // table with /XRefStm for some objects
)

// Forms lists all forms.
func Forms() []Form { return []Form{Table, Stream, ObjectStreams, Hybrid} }

// Options choose what the document has. The zero value is two plain upright A4 pages.
type Options struct {
	Rotate          int      // degrees, of the first page
	CropBox         bool     // a crop box that does not start at the origin
	UserUnit        float64  // 0 leaves it out
	DirectAnnots    bool     // a link annotation directly in /Annots
	IndirectAnnots  bool     // /Annots is an object of its own
	AcroForm        bool     // a form with a text field, /DR, /DA and /CO
	NeedAppearances bool     // the form's text field has no appearance, and /NeedAppearances says so
	OddCatalog      bool     // strings and names that need escapes
	LooseTrailer    bool     // two spaces in the trailer's references
	NoInfo          bool     // no document information dictionary
	NoID            bool     // no file identifier
	NoFinalEOL      bool     // the file ends right after %%EOF
	Tagged          bool     // a structure tree over the first page (ISO 32000-2 §14.7), as accessible documents have
	Padding         int      // bytes of incompressible content on page 2
	Text            []string // lines on page 1
}

// Document is a file under construction.
type Document struct {
	objects []pdf.Object // number 1 first
	loose   bool
	noID    bool
	noEOL   bool
	info    pdf.Ref
}

// Add appends an object and returns its reference.
func (d *Document) Add(o pdf.Object) pdf.Ref {
	d.objects = append(d.objects, o)
	return pdf.Ref{Num: uint32(len(d.objects))}
}

// Set replaces an object. In documents of New the catalog is number 1, the first page number 5.
func (d *Document) Set(r pdf.Ref, o pdf.Object) { d.objects[r.Num-1] = o }

// Dict gives the dictionary of that number, to be changed in place.
func (d *Document) Dict(num uint32) pdf.Dict {
	dict, _ := d.objects[num-1].(pdf.Dict)
	return dict
}

// New makes a document of two pages.
func New(o Options) *Document {
	d := &Document{loose: o.LooseTrailer, noID: o.NoID, noEOL: o.NoFinalEOL}
	catalogRef, pagesRef := d.Add(nil), d.Add(nil)
	catalog := pdf.Dict{"Type": pdf.Name("Catalog"), "Pages": pagesRef}
	if o.OddCatalog {
		catalog["Lang"] = pdf.String{B: []byte(`vi\) x`)}
		catalog["Odd Key"] = pdf.Name("A B/(#)")
		catalog["ViewerPreferences"] = pdf.Dict{"DisplayDocTitle": true, "Direction": pdf.Name("L2R"), "X": pdf.String{B: []byte("(((\r\n\\")}}
	}
	font := d.Add(pdf.Dict{"Type": pdf.Name("Font"), "Subtype": pdf.Name("Type1"), "BaseFont": pdf.Name("Helvetica")})
	var text bytes.Buffer
	text.WriteString("BT /F1 14 Tf 72 700 Td 18 TL\n")
	for _, line := range append([]string{"Page one of the document"}, o.Text...) {
		text.Write(pdf.AppendObject(nil, pdf.String{B: []byte(line)}))
		text.WriteString(" Tj T*\n")
	}
	text.WriteString("ET\n")
	if o.Tagged {
		text = *bytes.NewBufferString("/P <</MCID 0>> BDC\n" + text.String() + "EMC\n")
	}
	contents := d.Add(flate(text.Bytes()))
	first := pdf.Dict{"Type": pdf.Name("Page"), "Parent": pagesRef, "Contents": contents}
	firstRef := d.Add(first)
	if o.Tagged {
		d.tag(catalog, firstRef, first)
	}
	if o.Rotate != 0 {
		first["Rotate"] = int64(o.Rotate)
	}
	if o.CropBox {
		first["CropBox"] = pdf.Array{int64(20), int64(30), int64(560), int64(800)}
	}
	if o.UserUnit != 0 {
		first["UserUnit"] = o.UserUnit
	}
	d.annotate(first, o)
	filler := []byte("BT /F1 12 Tf 72 700 Td (Page two) Tj ET\n% ")
	second := d.Add(pdf.Dict{"Type": pdf.Name("Page"), "Parent": pagesRef, "Contents": d.Add(&pdf.Stream{Dict: pdf.Dict{}, Raw: pad(filler, o.Padding)})})
	d.Set(pagesRef, pdf.Dict{"Type": pdf.Name("Pages"), "Kids": pdf.Array{firstRef, second}, "Count": int64(2),
		"MediaBox":  pdf.Array{int64(0), int64(0), int64(595), int64(842)},
		"Resources": pdf.Dict{"Font": pdf.Dict{"F1": font}}})
	if o.AcroForm {
		d.form(catalog, firstRef, first, font, o.NeedAppearances)
	}
	if !o.NoInfo {
		d.info = d.Add(pdf.Dict{"Title": pdf.Text("Tài liệu thử"), "Producer": pdf.Text("vanthu test")})
	}
	d.Set(catalogRef, catalog)
	return d
}

// tag puts the text of a page under a structure tree: Document, P, and the marked content.
func (d *Document) tag(catalog pdf.Dict, pageRef pdf.Ref, page pdf.Dict) {
	root, document, paragraph := d.Add(nil), d.Add(nil), d.Add(nil)
	element := func(kind pdf.Name, parent pdf.Ref, kids pdf.Object) pdf.Dict {
		return pdf.Dict{"Type": pdf.Name("StructElem"), "S": kind, "P": parent, "K": kids}
	}
	d.Set(document, element("Document", root, pdf.Array{paragraph}))
	p := element("P", document, int64(0))
	p["Pg"] = pageRef
	d.Set(paragraph, p)
	parents := d.Add(pdf.Dict{"Nums": pdf.Array{int64(0), pdf.Array{paragraph}}})
	d.Set(root, pdf.Dict{"Type": pdf.Name("StructTreeRoot"), "K": pdf.Array{document}, "ParentTree": parents, "ParentTreeNextKey": int64(1)})
	catalog["StructTreeRoot"], catalog["MarkInfo"], catalog["Lang"] = root, pdf.Dict{"Marked": true}, pdf.Text("vi-VN")
	page["StructParents"], page["Tabs"] = int64(0), pdf.Name("S")
}

// annotate gives the page a link, directly or not.
func (d *Document) annotate(page pdf.Dict, o Options) {
	link := pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Link"), "Rect": pdf.Array{int64(72), int64(650), int64(200), int64(670)},
		"Border": pdf.Array{int64(0), int64(0), int64(1)}, "A": pdf.Dict{"S": pdf.Name("URI"), "URI": pdf.String{B: []byte("https://example.org/(a)")}}}
	switch {
	case o.IndirectAnnots:
		page["Annots"] = d.Add(pdf.Array{d.Add(link)})
	case o.DirectAnnots:
		page["Annots"] = pdf.Array{link}
	}
}

func (d *Document) form(catalog pdf.Dict, pageRef pdf.Ref, page pdf.Dict, font pdf.Ref, needAppearances bool) {
	text := pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "FT": pdf.Name("Tx"), "T": pdf.Text("Họ tên"),
		"V": pdf.Text("Nguyen"), "P": pageRef, "F": int64(4), "Rect": pdf.Array{int64(72), int64(600), int64(250), int64(620)},
		"DA": pdf.String{B: []byte("/F1 10 Tf 0 g")}}
	form := pdf.Dict{"CO": pdf.Array{}, "DA": pdf.String{B: []byte("/F1 0 Tf 0 g")}, "DR": pdf.Dict{"Font": pdf.Dict{"F1": font}}}
	if needAppearances {
		form["NeedAppearances"] = true
	} else {
		look := flate([]byte("/Tx BMC BT /F1 10 Tf 2 6 Td (Nguyen) Tj ET EMC"))
		look.Dict["Type"], look.Dict["Subtype"] = pdf.Name("XObject"), pdf.Name("Form")
		look.Dict["BBox"] = pdf.Array{int64(0), int64(0), int64(178), int64(20)}
		look.Dict["Resources"] = pdf.Dict{"Font": pdf.Dict{"F1": font}}
		text["AP"] = pdf.Dict{"N": d.Add(look)}
	}
	field := d.Add(text)
	form["Fields"] = pdf.Array{field}
	catalog["AcroForm"] = form
	switch annots := page["Annots"].(type) {
	case pdf.Array:
		page["Annots"] = append(annots, field)
	case pdf.Ref:
		list, _ := d.objects[annots.Num-1].(pdf.Array)
		d.Set(annots, append(list, field))
	default:
		page["Annots"] = pdf.Array{field}
	}
}

// pad fills with bytes that do not compress and stay within a comment line.
func pad(b []byte, n int) []byte {
	state := uint64(0x9E3779B97F4A7C15)
	for range n {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		b = append(b, '!'+byte(state%90))
	}
	return append(b, '\n')
}

func flate(data []byte) *pdf.Stream {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(data) // a buffer does not fail
	_ = w.Close()
	return &pdf.Stream{Dict: pdf.Dict{"Filter": pdf.Name("FlateDecode")}, Raw: b.Bytes()}
}

// Bytes writes the document.
func (d *Document) Bytes(form Form) []byte {
	w := &writer{out: []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), entries: map[uint32]entry{}}
	var packed []uint32 // the objects that go into an object stream
	for i, o := range d.objects {
		num := uint32(i + 1)
		_, isStream := o.(*pdf.Stream)
		// Programs without knowledge of hybrid files need catalog, pages and fonts: the first three.
		if (form == ObjectStreams && !isStream) || (form == Hybrid && !isStream && i > 4) {
			packed = append(packed, num)
			continue
		}
		w.object(num, o)
	}
	next := uint32(len(d.objects) + 1)
	if len(packed) > 0 {
		d.pack(w, next, packed)
		next++
	}
	trailer := pdf.Dict{"Root": pdf.Ref{Num: 1}}
	if d.info.Num != 0 {
		trailer["Info"] = d.info
	}
	if !d.noID {
		id := pdf.String{B: []byte("0123456789abcdef"), Hex: true}
		trailer["ID"] = pdf.Array{id, id}
	}
	switch form {
	case Table:
		w.table(next, trailer, d.loose)
	case Hybrid:
		w.hybrid(next, trailer, packed)
	default:
		w.stream(next, trailer)
	}
	if d.noEOL {
		return bytes.TrimRight(w.out, "\n")
	}
	return w.out
}

// pack writes an object stream of the objects.
func (d *Document) pack(w *writer, num uint32, packed []uint32) {
	var head, body []byte
	for i, n := range packed {
		head = fmt.Appendf(head, "%d %d ", n, len(body))
		body = append(pdf.AppendObject(body, d.objects[n-1]), '\n')
		w.entries[n] = entry{2, int64(num), int64(i)}
	}
	s := flate(append(head, body...))
	s.Dict["Type"], s.Dict["N"], s.Dict["First"] = pdf.Name("ObjStm"), int64(len(packed)), int64(len(head))
	w.object(num, s)
}

// entry is a cross-reference: kind 1 at an offset, kind 2 in a stream at an index.
type entry struct{ kind, a, b int64 }

type writer struct {
	out     []byte
	entries map[uint32]entry
}

func (w *writer) object(num uint32, o pdf.Object) {
	w.entries[num] = entry{1, int64(len(w.out)), 0}
	w.out = fmt.Appendf(w.out, "%d 0 obj\n", num)
	w.out = append(pdf.AppendObject(w.out, o), "\nendobj\n"...)
}

func (w *writer) table(size uint32, trailer pdf.Dict, loose bool) {
	start := len(w.out)
	w.out = fmt.Appendf(w.out, "xref\n0 %d\n0000000000 65535 f \n", size)
	for n := uint32(1); n < size; n++ {
		if e, ok := w.entries[n]; ok && e.kind == 1 {
			w.out = fmt.Appendf(w.out, "%010d 00000 n \n", e.a)
		} else {
			w.out = append(w.out, "0000000000 65535 f \n"...)
		}
	}
	trailer["Size"] = int64(size)
	text := pdf.AppendObject(nil, trailer)
	if loose {
		text = bytes.ReplaceAll(text, []byte("/Root 1 0 R"), []byte("/Root  1  0  R"))
	}
	w.out = append(append(w.out, "trailer\n"...), text...)
	w.out = fmt.Appendf(w.out, "\nstartxref\n%d\n%%%%EOF\n", start)
}

func (w *writer) stream(num uint32, trailer pdf.Dict) {
	start := int64(len(w.out))
	w.xrefStream(num, trailer, slices.Sorted(maps.Keys(w.entries)))
	w.out = fmt.Appendf(w.out, "startxref\n%d\n%%%%EOF\n", start)
}

func (w *writer) xrefStream(num uint32, dict pdf.Dict, list []uint32) {
	w.entries[num] = entry{1, int64(len(w.out)), 0}
	var data []byte
	var index pdf.Array
	for _, n := range append(list, num) {
		e := w.entries[n]
		data = append(data, byte(e.kind))
		data = binary.BigEndian.AppendUint32(data, uint32(e.a))
		data = binary.BigEndian.AppendUint16(data, uint16(e.b))
		index = append(index, int64(n), int64(1))
	}
	s := flate(data)
	maps.Copy(s.Dict, dict)
	s.Dict["Type"], s.Dict["W"], s.Dict["Index"], s.Dict["Size"] = pdf.Name("XRef"), pdf.Array{int64(1), int64(4), int64(2)}, index, int64(num)+1
	w.object(num, s)
}

// hybrid writes a table and behind it an empty section with /XRefStm, as Word does: programs that look at
// tables only see the hidden objects as free, all others find them in the newer section first.
func (w *writer) hybrid(num uint32, trailer pdf.Dict, packed []uint32) {
	hidden := len(w.out)
	w.xrefStream(num, pdf.Dict{}, packed)
	main := len(w.out)
	w.table(num+1, maps.Clone(trailer), false)
	trailer["XRefStm"], trailer["Prev"], trailer["Size"] = int64(hidden), int64(main), int64(num)+1
	start := len(w.out)
	w.out = append(w.out, "xref\n0 0\ntrailer\n"...)
	w.out = append(w.out, pdf.AppendObject(nil, trailer)...)
	w.out = fmt.Appendf(w.out, "\nstartxref\n%d\n%%%%EOF\n", start)
}
