package pdf_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vanthu/signing/pdf"
	"vanthu/signing/pdf/pdftest"
)

var signingTime = time.Date(2026, 11, 23, 13, 5, 4, 0, time.FixedZone("", 7*3600))

// need ends the test where an outside program is missing: as a failure when it is required.
func need(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), name) {
		t.Fatalf("%s is required and missing", name)
	}
	t.Skipf("%s is not installed", name)
}

// tool runs an outside program on a file that holds data and gives its output.
func tool(t *testing.T, data []byte, name string, args ...string) string {
	t.Helper()
	need(t, name)
	file := filepath.Join(t.TempDir(), "in.pdf")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "FILE", file)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func checkSyntax(t *testing.T, data []byte) {
	t.Helper()
	if out := tool(t, data, "qpdf", "--check", "FILE"); strings.Contains(out, "WARNING") || strings.Contains(out, "ERROR") {
		t.Errorf("qpdf --check:\n%s", out)
	}
}

func open(t *testing.T, data []byte) *pdf.File {
	t.Helper()
	f, err := pdf.Open(bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// cross is an appearance without resources.
func cross(w, h float64, _ int, add func(pdf.Object) pdf.Ref) (pdf.Ref, error) {
	return add(&pdf.Stream{Dict: pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"),
		"BBox": pdf.Array{int64(0), int64(0), w, h}}, Raw: fmt.Appendf(nil, "0 0 m %g %g l S", w, h)}), nil
}

func request() pdf.SignatureRequest {
	return pdf.SignatureRequest{SubFilter: pdf.SubFilterCAdES, At: signingTime, Room: 300, Name: "Trần Nghĩa (Chủ tịch)", Reason: "Phê duyệt"}
}

func visible(r pdf.SignatureRequest) pdf.SignatureRequest {
	r.Rect = func(pdf.PageGeometry) ([4]float64, error) { return [4]float64{100, 100, 200, 150}, nil }
	r.Appearance = cross
	return r
}

// sign puts bytes that are no real signature into the file: the writer does not look at them.
func sign(t *testing.T, data []byte, r pdf.SignatureRequest) []byte {
	t.Helper()
	signed, err := trySign(data, r)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func fakeCMS() []byte {
	return append([]byte{0x30, 0x82, 0x01, 0x00}, bytes.Repeat([]byte{0xAB}, 256)...)
}

func trySign(data []byte, r pdf.SignatureRequest) ([]byte, error) {
	src := bytes.NewReader(data)
	f, err := pdf.Open(src, int64(len(data)), pdf.Limits{})
	if err != nil {
		return nil, err
	}
	p, err := pdf.PrepareSignature(src, f, r)
	if err != nil {
		return nil, err
	}
	digest, err := p.Digest(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := p.Embed(fakeCMS(), &out); err != nil {
		return nil, err
	}
	br, signed := p.ByteRange(), out.Bytes()
	sum := sha256.Sum256(slices.Concat(signed[:br[1]], signed[br[2]:br[2]+br[3]]))
	if !bytes.Equal(sum[:], digest) {
		return nil, errors.New("digest is not that of the ByteRange")
	}
	return signed, nil
}

// checkSigned looks at the newest signature of a file made from data.
func checkSigned(t *testing.T, data, signed []byte, field string) {
	t.Helper()
	if !bytes.HasPrefix(signed, data) {
		t.Fatal("the file's own bytes were changed")
	}
	f := open(t, signed)
	all, err := f.Signatures()
	if err != nil || len(all) == 0 {
		t.Fatalf("signatures: %v, %v", all, err)
	}
	s := all[len(all)-1]
	if s.Name != field || len(s.Problems) > 0 || s.Revision != len(f.Revisions())-1 || !bytes.HasPrefix(s.Contents, fakeCMS()) {
		t.Errorf("field %q, problems %q, revision %d of %d", s.Name, s.Problems, s.Revision, len(f.Revisions()))
	}
	if len(f.Problems()) > 0 {
		t.Errorf("problems of the file: %v", f.Problems())
	}
	if end := s.ByteRange[2] + s.ByteRange[3]; end != int64(len(signed)) {
		t.Errorf("ByteRange %v of a file of %d bytes", s.ByteRange, len(signed))
	}
	checkKept(t, open(t, data), f)
	checkSyntax(t, signed)
}

// checkKept compares the catalog, the form and the pages before and after.
func checkKept(t *testing.T, before, after *pdf.File) {
	t.Helper()
	a, b := before.Latest(), after.Latest()
	catalogA, refA, errA := a.Catalog()
	catalogB, refB, errB := b.Catalog()
	if errA != nil || errB != nil || refA != refB {
		t.Fatalf("catalog %v %v, %v %v", refA, errA, refB, errB)
	}
	sameBut(t, "catalog", catalogA, catalogB, "AcroForm")
	formA, _ := a.Resolve(catalogA["AcroForm"])
	formB, _ := b.Resolve(catalogB["AcroForm"])
	if old, ok := formA.(pdf.Dict); ok {
		sameBut(t, "form", old, formB.(pdf.Dict), "Fields", "SigFlags")
	}
	if formB.(pdf.Dict)["SigFlags"] != int64(3) {
		t.Errorf("SigFlags are %v, want 3", formB.(pdf.Dict)["SigFlags"])
	}
	sameBut(t, "trailer", a.Trailer(), b.Trailer(), "Prev", "Size", "ID", "XRefStm", "W", "Index", "Filter", "Length", "Type", "DecodeParms")
	pages := map[pdf.Ref]pdf.Dict{}
	if err := a.Pages(func(_ int, ref pdf.Ref, page pdf.Dict) bool { pages[ref] = page; return true }); err != nil {
		t.Fatal(err)
	}
	err := b.Pages(func(i int, ref pdf.Ref, page pdf.Dict) bool {
		sameBut(t, fmt.Sprintf("page %d", i+1), pages[ref], page, "Annots")
		oldList, _ := a.Resolve(pages[ref]["Annots"])
		newList, _ := b.Resolve(page["Annots"])
		oldAnnots, _ := oldList.(pdf.Array)
		newAnnots, _ := newList.(pdf.Array)
		if len(newAnnots) < len(oldAnnots) || !slices.EqualFunc(oldAnnots, newAnnots[:len(oldAnnots)], func(a, b pdf.Object) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("annotations of page %d: %v became %v", i+1, oldAnnots, newAnnots)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

func sameBut(t *testing.T, what string, a, b pdf.Dict, except ...pdf.Name) {
	t.Helper()
	a, b = maps.Clone(a), maps.Clone(b)
	for _, key := range except {
		delete(a, key)
		delete(b, key)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%s changed from %s to %s", what, pdf.AppendObject(nil, a), pdf.AppendObject(nil, b))
	}
}

func TestSignEveryForm(t *testing.T) {
	for _, form := range pdftest.Forms() {
		for name, o := range map[string]pdftest.Options{
			"plain":     {},
			"rotated":   {Rotate: 90, CropBox: true, UserUnit: 2},
			"direct":    {DirectAnnots: true, OddCatalog: true, LooseTrailer: true},
			"indirect":  {IndirectAnnots: true, NoInfo: true, NoID: true},
			"form":      {DirectAnnots: true, AcroForm: true, NeedAppearances: true, NoFinalEOL: true},
			"form-list": {IndirectAnnots: true, AcroForm: true, OddCatalog: true},
		} {
			t.Run(string(form)+"/"+name, func(t *testing.T) {
				data := pdftest.New(o).Bytes(form)
				one := sign(t, data, request())
				checkSigned(t, data, one, "Signature1")
				two := sign(t, one, visible(request()))
				checkSigned(t, one, two, "Signature2")
				r := visible(request())
				r.Page, r.Field = -1, "Con dấu"
				three := sign(t, two, r)
				checkSigned(t, two, three, "Con dấu")
			})
		}
	}
}

func TestSignLinearized(t *testing.T) {
	need(t, "qpdf")
	for _, streams := range []string{"preserve", "generate"} {
		in, out := filepath.Join(t.TempDir(), "in.pdf"), filepath.Join(t.TempDir(), "out.pdf")
		if err := os.WriteFile(in, pdftest.New(pdftest.Options{DirectAnnots: true, AcroForm: true}).Bytes(pdftest.Table), 0o600); err != nil {
			t.Fatal(err)
		}
		if msg, err := exec.Command("qpdf", "--linearize", "--object-streams="+streams, in, out).CombinedOutput(); err != nil {
			t.Fatalf("qpdf: %v\n%s", err, msg)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		one := sign(t, data, visible(request()))
		if !bytes.HasPrefix(one, data) {
			t.Fatal("the file's own bytes were changed")
		}
		checkKept(t, open(t, data), open(t, one))
		checkSigned(t, one, sign(t, one, request()), "Signature2")
	}
}

func TestPreplacedFields(t *testing.T) {
	for _, form := range pdftest.Forms() {
		t.Run(string(form), func(t *testing.T) {
			data := pdftest.New(pdftest.Options{DirectAnnots: true}).Bytes(form)
			src := bytes.NewReader(data)
			var out bytes.Buffer
			rect := func(x float64) pdf.Placement {
				return func(pdf.PageGeometry) ([4]float64, error) { return [4]float64{x, 100, x + 80.1234, 150}, nil }
			}
			names, err := pdf.AddFields(src, open(t, data), signingTime, &out,
				pdf.FieldSpec{Name: "initials"}, pdf.FieldSpec{Name: "leader", Rect: rect(300)}, pdf.FieldSpec{Rect: rect(250), Page: 2})
			if err != nil {
				t.Fatal(err)
			}
			if want := []string{"initials", "leader", "Signature1"}; !slices.Equal(names, want) {
				t.Fatalf("fields %q, want %q", names, want)
			}
			placed := out.Bytes()
			checkKept(t, open(t, data), open(t, placed))
			checkSyntax(t, placed)
			file := placed
			for i, name := range names {
				r := request()
				r.Field = name
				if i > 0 {
					r.Appearance = cross
				}
				signed := sign(t, file, r)
				checkSigned(t, file, signed, name)
				f := open(t, signed)
				touched := f.Touched(len(f.Revisions())-2, len(f.Revisions())-1)
				if _, ref, _ := f.Latest().Catalog(); slices.Contains(touched, ref.Num) {
					t.Errorf("signing field %q rewrote the catalog", name)
				}
				err := f.Latest().Pages(func(n int, ref pdf.Ref, _ pdf.Dict) bool {
					if slices.Contains(touched, ref.Num) {
						t.Errorf("signing field %q rewrote page %d", name, n+1)
					}
					return true
				})
				if err != nil {
					t.Fatal(err)
				}
				file = signed
			}
			r := request()
			r.Field = "leader"
			if _, err := trySign(file, r); !errors.Is(err, pdf.ErrFieldSigned) {
				t.Errorf("signing a signed field: %v, want ErrFieldSigned", err)
			}
			if _, err := pdf.AddFields(bytes.NewReader(file), open(t, file), signingTime, &out, pdf.FieldSpec{}); !errors.Is(err, pdf.ErrNotPermitted) {
				t.Errorf("adding fields after a signature: %v, want ErrNotPermitted", err)
			}
		})
	}
}

func TestRoom(t *testing.T) {
	data := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	src := bytes.NewReader(data)
	r := request()
	r.Room = 100
	p, err := pdf.PrepareSignature(src, open(t, data), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Digest(crypto.SHA256); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.Embed(fakeCMS(), &out); !errors.Is(err, pdf.ErrRoom) || out.Len() > 0 {
		t.Fatalf("embedding too much: %v, %d bytes written", err, out.Len())
	}
	if err := p.Grow(260); err != nil {
		t.Fatal(err)
	}
	digest, err := p.Digest(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Embed(fakeCMS(), &out); err != nil {
		t.Fatal(err)
	}
	br := p.ByteRange()
	if sum := sha256.Sum256(slices.Concat(out.Bytes()[:br[1]], out.Bytes()[br[2]:])); !bytes.Equal(sum[:], digest) {
		t.Error("digest after Grow is not that of the ByteRange")
	}
	checkSigned(t, data, out.Bytes(), "Signature1")
	if p.Appended() != out.Len()-len(data) {
		t.Errorf("Appended is %d, want %d", p.Appended(), out.Len()-len(data))
	}
	if p.Appended()-2*260 > 1500 {
		t.Errorf("an invisible signature appends %d bytes besides its value", p.Appended()-2*260)
	}
}

// TestWhatIsNotSigned makes documents that forbid a signature.
func TestWhatIsNotSigned(t *testing.T) {
	plain := pdftest.New(pdftest.Options{AcroForm: true}).Bytes(pdftest.Table)
	signed := sign(t, plain, request())
	mdp := func(method, params string) []byte {
		return bytes.Replace(signed, []byte("/SubFilter /ETSI.CAdES.detached"),
			[]byte("/SubFilter/ETSI.CAdES.detached/Reference[<</TransformMethod/"+method+"/TransformParams<<"+params+">>>>]"), 1)
	}
	for name, c := range map[string]struct {
		data   []byte
		change func(*pdf.SignatureRequest)
		want   error
	}{
		"period in the name":   {plain, func(r *pdf.SignatureRequest) { r.Field = "a.b" }, pdf.ErrFieldName},
		"name of a text field": {plain, func(r *pdf.SignatureRequest) { r.Field = "Họ tên" }, pdf.ErrFieldName},
		"no such page":         {plain, func(r *pdf.SignatureRequest) { r.Page = 3 }, pdf.ErrNoPage},
		"no such last page":    {plain, func(r *pdf.SignatureRequest) { r.Page = -3 }, pdf.ErrNoPage},
		"picture without area": {plain, func(r *pdf.SignatureRequest) { r.Appearance = cross }, pdf.ErrNoArea},
		"certified":            {grown(t, mdp("DocMDP", "/P 1")), nil, pdf.ErrNotPermitted},
		"all fields locked":    {grown(t, mdp("FieldMDP", "/Action/All")), nil, pdf.ErrNotPermitted},
		"field locked":         {grown(t, mdp("FieldMDP", "/Action/Include/Fields[(x)(seal)]")), func(r *pdf.SignatureRequest) { r.Field = "seal" }, pdf.ErrNotPermitted},
		"other field locked":   {grown(t, mdp("FieldMDP", "/Action/Include/Fields[(x)(seal)]")), nil, nil},
		"field not excluded":   {grown(t, mdp("FieldMDP", "/Action/Exclude/Fields[(seal)]")), nil, pdf.ErrNotPermitted},
		"field excluded":       {grown(t, mdp("FieldMDP", "/Action/Exclude/Fields[(seal)]")), func(r *pdf.SignatureRequest) { r.Field = "seal" }, nil},
		"forms allowed":        {grown(t, mdp("DocMDP", "/P 2")), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := request()
			if c.change != nil {
				c.change(&r)
			}
			if _, err := trySign(c.data, r); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	need(t, "qpdf")
	in, out := filepath.Join(t.TempDir(), "in.pdf"), filepath.Join(t.TempDir(), "out.pdf")
	if err := os.WriteFile(in, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command("qpdf", "--encrypt", "", "owner", "256", "--", in, out).CombinedOutput(); err != nil {
		t.Fatalf("qpdf: %v\n%s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var e *pdf.Error
	if _, err := trySign(data, request()); !errors.As(err, &e) || e.Kind != pdf.Encrypted {
		t.Errorf("encrypted file: %v, want an Error of kind Encrypted", err)
	}
}

// grown repairs the offsets of a file in which text was replaced by longer text.
func grown(t *testing.T, data []byte) []byte {
	t.Helper()
	need(t, "qpdf")
	in, out := filepath.Join(t.TempDir(), "in.pdf"), filepath.Join(t.TempDir(), "out.pdf")
	if err := os.WriteFile(in, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command("qpdf", "--warning-exit-0", in, out).CombinedOutput(); err != nil {
		t.Fatalf("qpdf: %v\n%s", err, msg)
	}
	fixed, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return fixed
}

func TestAppendObjectReadsBack(t *testing.T) {
	o := pdf.Dict{
		"A B#/()": pdf.Array{nil, true, int64(-5), 1.25, pdf.Name(""), pdf.Name("Đỏ"), pdf.Ref{Num: 1}},
		"S":       pdf.String{B: []byte("a(b)\\c\r\n\x00\xff")}, "H": pdf.String{B: []byte{0, 255}, Hex: true},
		"T": pdf.Text("Ủy ban"), "D": pdf.Date(signingTime), "N": pdf.Dict{"x": pdf.Dict{}},
	}
	d := pdftest.New(pdftest.Options{})
	ref := d.Add(o)
	for _, form := range pdftest.Forms() {
		got, err := open(t, d.Bytes(form)).Latest().Get(ref)
		if err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("%s: read back %s, %v, want %s", form, pdf.AppendObject(nil, got), err, pdf.AppendObject(nil, o))
		}
	}
	if s := string(pdf.Date(signingTime).B); s != "D:20261123130504+07'00'" {
		t.Errorf("date %s", s)
	}
	if s := string(pdf.AppendObject(nil, 1e-7)); s != "0.0000001" {
		t.Errorf("real %s", s)
	}
}

// TestSignRealFiles signs gazette files as they were published; two carry broken signatures.
func TestSignRealFiles(t *testing.T) {
	files, err := filepath.Glob("../../../shared/corpus/real/*.pdf")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("corpus not found at ../shared/corpus")
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			r := visible(request())
			r.Field = "vanthu"
			signed := sign(t, data, r)
			if !bytes.HasPrefix(signed, data) {
				t.Fatal("the file's own bytes were changed")
			}
			f := open(t, signed)
			checkKept(t, open(t, data), f)
			all, err := f.Signatures()
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(all, func(s pdf.Field) bool { return s.Name == "vanthu" })
			if i < 0 || len(all[i].Problems) > 0 {
				t.Errorf("our signature is missing or has problems in %+v", all)
			}
		})
	}
}
