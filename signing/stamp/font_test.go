package stamp

import (
	"bytes"
	"compress/zlib"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"reflect"
	"testing"

	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"

	"vanthu/signing/pdf"
)

// TestSubsetKeepsOutlines compares every glyph of a subset with the whole font, as another TrueType reader
// sees them. Most Vietnamese letters are composites.
func TestSubsetKeepsOutlines(t *testing.T) {
	f, err := loadFace(false)
	if err != nil {
		t.Fatal(err)
	}
	s := newSubset(f)
	for _, r := range "Ủy ban nhân dân tỉnh Bắc Kạn: ĐÃ KÝ SỐ 0123456789/+ ẵẫễỡữ" {
		s.use(r)
	}
	text := append([]rune(nil), s.text...)
	data, err := s.font()
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 16<<10 {
		t.Errorf("a subset of %d glyphs takes %d bytes", len(s.order), len(data))
	}
	// Another reader wants the tables that an embedded font may leave out.
	small := reread(t, s, data)
	whole, err := sfnt.Parse(assembleAll(f))
	if err != nil {
		t.Fatal(err)
	}
	var a, b sfnt.Buffer
	for gid, r := range text {
		if r == 0 {
			continue
		}
		index, err := whole.GlyphIndex(&a, r)
		if err != nil || int(index) != s.order[gid] {
			t.Fatalf("%c: glyph %d, want %d (%v)", r, s.order[gid], index, err)
		}
		ppem := fixed.I(f.unitsPerEm)
		want, err := whole.LoadGlyph(&a, index, ppem, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := small.LoadGlyph(&b, sfnt.GlyphIndex(gid), ppem, nil)
		if err != nil {
			t.Fatalf("%c: %v", r, err)
		}
		if !reflect.DeepEqual([]sfnt.Segment(got), []sfnt.Segment(want)) {
			t.Errorf("%c has another outline", r)
		}
	}
}

// assembleAll gives the original font anew, reread its subset with the missing tables from it.
func assembleAll(f *face) []byte { return withTables(f, nil) }

func reread(t *testing.T, s *subset, data []byte) *sfnt.Font {
	t.Helper()
	cut, err := parseTables(data)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := sfnt.Parse(withTables(s.face, cut))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// parseTables reads a table directory without asking for more tables than there are.
func parseTables(data []byte) (map[string][]byte, error) {
	f := &face{tables: map[string][]byte{}}
	for i := range u16(data, 4) {
		rec := data[12+16*i:]
		off, n := u16(rec, 8)<<16|u16(rec, 10), u16(rec, 12)<<16|u16(rec, 14)
		f.tables[string(rec[:4])] = data[off : off+n]
	}
	return f.tables, nil
}

func withTables(f *face, over map[string][]byte) []byte {
	var list []table
	for _, tag := range []string{"OS/2", "cmap", "glyf", "head", "hhea", "hmtx", "loca", "maxp", "name", "post"} {
		data := f.tables[tag]
		if o, ok := over[tag]; ok {
			data = o
		}
		if tag == "post" && over != nil { // names of glyphs that are not there any more
			data = append([]byte{0, 3, 0, 0}, data[4:32]...)
		}
		list = append(list, table{tag, data})
	}
	return assemble(list)
}

func TestFontTag(t *testing.T) {
	f, err := loadFace(false)
	if err != nil {
		t.Fatal(err)
	}
	a, b := newSubset(f), newSubset(f)
	a.use('a')
	b.use('b')
	if a.tag() == b.tag() || len(a.tag()) != 6 {
		t.Errorf("tags %q and %q", a.tag(), b.tag())
	}
	if f.glyph('漢') != 0 || f.glyph(0x1F600) != 0 || f.glyph('A') == 0 {
		t.Error("the character map is read wrong")
	}
	if _, err := parseFace([]byte("not a font at all")); err == nil {
		t.Error("garbage is read as a font")
	}
}

// inflate undoes flate and the predictor of predicted.
func inflate(t *testing.T, s *pdf.Stream, row int) []byte {
	t.Helper()
	r, err := zlib.NewReader(bytes.NewReader(s.Raw))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if s.Dict["DecodeParms"] == nil {
		return data
	}
	var out []byte
	previous := make([]byte, row)
	for ; len(data) > 0; data = data[row+1:] {
		for i, v := range data[1 : row+1] {
			previous[i] += v
		}
		out = append(out, previous...)
	}
	return out
}

// TestAlphaIsStraight: colours of half-transparent pixels come through as they are in the PNG.
func TestAlphaIsStraight(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for y := 2; y < 60; y++ {
		for x := 5; x < 62; x++ {
			img.SetNRGBA(x, y, color.NRGBA{R: uint8(4 * x), G: uint8(3 * y), B: 200, A: uint8(x + y)})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	var mask *pdf.Stream
	x, w, h, err := encodeImage(b.Bytes(), func(o pdf.Object) pdf.Ref { mask, _ = o.(*pdf.Stream); return pdf.Ref{Num: 9} })
	if err != nil || w != 57 || h != 58 {
		t.Fatalf("%d × %d, %v; want the image without its margins, 57 × 58", w, h, err)
	}
	rgb, alpha := inflate(t, x, 3*w), inflate(t, mask, w)
	for y := range h {
		for px := range w {
			want := img.NRGBAAt(px+5, y+2)
			i := y*w + px
			if got := (color.NRGBA{R: rgb[3*i], G: rgb[3*i+1], B: rgb[3*i+2], A: alpha[i]}); got != want {
				t.Fatalf("pixel %d,%d is %v, want %v", px, y, got, want)
			}
		}
	}
	if x.Dict["SMask"] != (pdf.Ref{Num: 9}) {
		t.Errorf("image dictionary %v", x.Dict)
	}
}

func TestImagesThatAreRefused(t *testing.T) {
	add := func(pdf.Object) pdf.Ref { return pdf.Ref{Num: 1} }
	var clear, jpg bytes.Buffer
	if err := png.Encode(&clear, image.NewNRGBA(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&jpg, image.NewGray(image.Rect(0, 0, 30, 20)), nil); err != nil {
		t.Fatal(err)
	}
	huge := append([]byte(nil), clear.Bytes()...)
	copy(huge[16:], []byte{0, 1, 0, 0, 0, 1, 0, 0}) // 65,536 × 65,536 in the header
	for name, data := range map[string][]byte{
		"no image": []byte("hello"), "empty": {}, "wholly transparent": clear.Bytes(), "truncated PNG": clear.Bytes()[:50],
		"truncated JPEG": jpg.Bytes()[:len(jpg.Bytes())/2], "huge": huge, "many bytes": make([]byte, MaxImageBytes+1),
	} {
		if _, _, _, err := encodeImage(data, add); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	x, w, h, err := encodeImage(jpg.Bytes(), add)
	if err != nil || w != 30 || h != 20 || x.Dict["Filter"] != pdf.Name("DCTDecode") || x.Dict["ColorSpace"] != pdf.Name("DeviceGray") {
		t.Errorf("JPEG: %v, %d × %d, %v", x, w, h, err)
	}
}
