package pdf_test

import (
	"bytes"
	"crypto"
	"errors"
	"maps"
	"math"
	"reflect"
	"testing"

	"vanthu/signing/pdf"
	"vanthu/signing/pdf/pdftest"
)

// withField gives a document with one empty signature field; kid puts its widget into an object of its own.
func withField(entries pdf.Dict, kid bool) []byte {
	d := pdftest.New(pdftest.Options{Rotate: 90, UserUnit: 2})
	field := pdf.Dict{"FT": pdf.Name("Sig"), "T": pdf.Text("Ký nháy")}
	widget := pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "Rect": pdf.Array{int64(200), int64(150), int64(100), int64(100)}, "F": int64(4)}
	maps.Copy(field, entries)
	var ref, widgetRef pdf.Ref
	if kid {
		ref = d.Add(field)
		widget["Parent"] = ref
		widgetRef = d.Add(widget)
		field["Kids"] = pdf.Array{widgetRef}
	} else {
		maps.Copy(field, widget)
		ref = d.Add(field)
		widgetRef = ref
	}
	d.Dict(5)["Annots"] = pdf.Array{widgetRef}
	d.Dict(1)["AcroForm"] = pdf.Dict{"Fields": pdf.Array{ref}, "SigFlags": int64(3)}
	return d.Bytes(pdftest.Table)
}

func TestFieldOfAnotherProgram(t *testing.T) {
	for _, kid := range []bool{false, true} {
		lock := pdf.Dict{"Type": pdf.Name("SigFieldLock"), "Action": pdf.Name("Include"), "Fields": pdf.Array{pdf.Text("a")}, "P": int64(2)}
		data := withField(pdf.Dict{"Lock": lock}, kid)
		r := request()
		r.Field = "Ký nháy"
		var gotW, gotH float64
		var gotRotate int
		r.Appearance = func(w, h float64, rotate int, add func(pdf.Object) pdf.Ref) (pdf.Ref, error) {
			gotW, gotH, gotRotate = w, h, rotate
			return cross(w, h, rotate, add)
		}
		signed := sign(t, data, r)
		checkSigned(t, data, signed, "Ký nháy")
		// 100 × 50 units of 2 points on a page that is turned by 90 degrees.
		if gotW != 100 || gotH != 200 || gotRotate != 90 {
			t.Errorf("drawn at %g × %g, turned by %d; want 100 × 200, 90", gotW, gotH, gotRotate)
		}
		all, err := open(t, signed).Signatures()
		if err != nil {
			t.Fatal(err)
		}
		refs, _ := all[0].Dict["Reference"].(pdf.Array)
		want := pdf.Dict{"Type": pdf.Name("TransformParams"), "V": pdf.Name("1.2"), "Action": pdf.Name("Include"), "Fields": pdf.Array{pdf.Text("a")}, "P": int64(2)}
		if len(refs) != 1 || refs[0].(pdf.Dict).Name("TransformMethod") != "FieldMDP" || !reflect.DeepEqual(refs[0].(pdf.Dict)["TransformParams"], want) {
			t.Errorf("the field's lock became %s", pdf.AppendObject(nil, refs))
		}
	}
}

func TestFieldThatForbids(t *testing.T) {
	seed := func(flags int64, entries pdf.Dict) pdf.Dict {
		entries["Ff"] = flags
		return pdf.Dict{"SV": entries}
	}
	for name, c := range map[string]struct {
		entries pdf.Dict
		rect    bool
		want    error
	}{
		"nothing":             {pdf.Dict{}, false, nil},
		"place of its own":    {pdf.Dict{}, true, pdf.ErrFieldPlaced},
		"read-only":           {pdf.Dict{"Ff": int64(1)}, false, pdf.ErrNotPermitted},
		"other handler":       {seed(1, pdf.Dict{"Filter": pdf.Name("Other")}), false, pdf.ErrNotPermitted},
		"handler only wished": {seed(0, pdf.Dict{"Filter": pdf.Name("Other")}), false, nil},
		"other form":          {seed(2, pdf.Dict{"SubFilter": pdf.Array{pdf.SubFilterAdobe}}), false, pdf.ErrNotPermitted},
		"our form":            {seed(2, pdf.Dict{"SubFilter": pdf.Array{pdf.SubFilterAdobe, pdf.SubFilterCAdES}}), false, nil},
		"other reason":        {seed(8, pdf.Dict{"Reasons": pdf.Array{pdf.Text("Sao y")}}), false, pdf.ErrNotPermitted},
		"our reason":          {seed(8, pdf.Dict{"Reasons": pdf.Array{pdf.Text("Phê duyệt")}}), false, nil},
		"other digest":        {seed(64, pdf.Dict{"DigestMethod": pdf.Array{pdf.Text("SHA512")}}), false, pdf.ErrNotPermitted},
		"document lock":       {seed(128, pdf.Dict{}), false, pdf.ErrNotPermitted},
	} {
		t.Run(name, func(t *testing.T) {
			r := request()
			r.Field = "Ký nháy"
			if c.rect {
				r = visible(r)
			}
			if _, err := trySign(withField(c.entries, false), r); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestOddStructures: what cannot be extended is refused, never repaired on the way.
func TestOddStructures(t *testing.T) {
	for name, change := range map[string]func(*pdftest.Document){
		"annotations are a name": func(d *pdftest.Document) { d.Dict(5)["Annots"] = pdf.Name("x") },
		"fields are a name":      func(d *pdftest.Document) { d.Dict(1)["AcroForm"] = pdf.Dict{"Fields": pdf.Name("x")} },
		"annotations in a loop":  func(d *pdftest.Document) { d.Dict(5)["Annots"] = d.Add(pdf.Ref{Num: uint32(9)}) },
	} {
		t.Run(name, func(t *testing.T) {
			d := pdftest.New(pdftest.Options{NoInfo: true})
			change(d)
			signed, err := trySign(d.Bytes(pdftest.Table), request())
			if err == nil {
				t.Errorf("signed into %d bytes", len(signed))
			}
		})
	}
	// What is missing or null counts as absent.
	for name, change := range map[string]func(*pdftest.Document){
		"annotations are null":   func(d *pdftest.Document) { d.Dict(5)["Annots"] = pdf.Ref{Num: 4711} },
		"the form is null":       func(d *pdftest.Document) { d.Dict(1)["AcroForm"] = pdf.Ref{Num: 4711} },
		"the form has no fields": func(d *pdftest.Document) { d.Dict(1)["AcroForm"] = pdf.Dict{} },
		"the form is an object":  func(d *pdftest.Document) { d.Dict(1)["AcroForm"] = d.Add(pdf.Dict{"Fields": pdf.Array{}}) },
		"the fields are an object": func(d *pdftest.Document) {
			d.Dict(1)["AcroForm"] = d.Add(pdf.Dict{"Fields": d.Add(pdf.Array{}), "SigFlags": int64(1)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := pdftest.New(pdftest.Options{})
			change(d)
			data := d.Bytes(pdftest.Table)
			signed := sign(t, data, request())
			if f := open(t, signed); len(mustSignatures(t, f)) != 1 {
				t.Error("the signature is not found")
			}
			checkSyntax(t, signed)
		})
	}
}

func mustSignatures(t *testing.T, f *pdf.File) []pdf.Field {
	t.Helper()
	all, err := f.Signatures()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBytesBeforeTheHeader(t *testing.T) {
	data := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	junk := append([]byte("some mail header\r\n\r\n"), data...)
	signed := sign(t, junk, request())
	s := mustSignatures(t, open(t, signed))
	if len(s) != 1 || len(s[0].Problems) > 0 {
		t.Errorf("signatures %+v", s)
	}
	checkSyntax(t, signed)
}

func TestGeometry(t *testing.T) {
	d := pdftest.New(pdftest.Options{Rotate: -90, CropBox: true, UserUnit: 1.5})
	v := open(t, d.Bytes(pdftest.Table)).Latest()
	_, page, err := v.Page(1)
	if err != nil {
		t.Fatal(err)
	}
	g, err := v.Geometry(page)
	if want := (pdf.PageGeometry{Box: [4]float64{20, 30, 560, 800}, Rotate: 270, UserUnit: 1.5}); err != nil || g != want {
		t.Errorf("got %+v, %v, want %+v", g, err, want)
	}
	if w, h := g.Size([4]float64{0, 0, 10, 20}); math.Abs(w-30) > 1e-9 || math.Abs(h-15) > 1e-9 {
		t.Errorf("size %g × %g", w, h)
	}
	_, last, err := v.Page(-1)
	if err != nil {
		t.Fatal(err)
	}
	if g, err = v.Geometry(last); err != nil || g.Box != [4]float64{0, 0, 595, 842} || g.Rotate != 0 {
		t.Errorf("inherited: %+v, %v", g, err)
	}
	d.Dict(5)["MediaBox"], d.Dict(5)["CropBox"], d.Dict(5)["Rotate"], d.Dict(5)["UserUnit"] = pdf.Name("x"), pdf.Array{int64(1)}, int64(45), int64(-1)
	_, page, err = open(t, d.Bytes(pdftest.Table)).Latest().Page(0)
	if err != nil {
		t.Fatal(err)
	}
	if g, err = v.Geometry(page); err != nil || g != (pdf.PageGeometry{Box: [4]float64{0, 0, 612, 792}, UserUnit: 1}) {
		t.Errorf("nonsense: %+v, %v", g, err)
	}
}

// FuzzSign signs whatever the reader accepts: no panic, and the result has our signature, or an error.
func FuzzSign(f *testing.F) {
	for _, form := range pdftest.Forms() {
		f.Add(pdftest.New(pdftest.Options{DirectAnnots: true, AcroForm: true}).Bytes(form))
		f.Add(pdftest.New(pdftest.Options{IndirectAnnots: true, Rotate: 90}).Bytes(form))
	}
	f.Add(withField(pdf.Dict{"Lock": pdf.Dict{"Action": pdf.Name("All")}}, true))
	f.Fuzz(func(t *testing.T, data []byte) {
		src := bytes.NewReader(data)
		file, err := pdf.Open(src, int64(len(data)), pdf.Limits{})
		if err != nil {
			return
		}
		r := visible(request())
		p, err := pdf.PrepareSignature(src, file, r)
		if err != nil {
			return
		}
		if _, err := p.Digest(crypto.SHA256); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := p.Embed(fakeCMS(), &out); err != nil {
			t.Fatal(err)
		}
		signed, err := pdf.Open(bytes.NewReader(out.Bytes()), int64(out.Len()), pdf.Limits{})
		if err != nil {
			t.Fatalf("the signed file cannot be read: %v", err)
		}
		all, err := signed.Signatures()
		if err != nil || len(all) == 0 {
			t.Fatalf("the signature is not found: %v", err)
		}
	})
}
