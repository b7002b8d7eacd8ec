package stamp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"vanthu/signing/pdf"
	"vanthu/signing/stamp"
)

// letters are the letters of Vietnamese with every tone mark, in both cases.
const letters = "aàáảãạăằắẳẵặâầấẩẫậ eèéẻẽẹêềếểễệ iìíỉĩị oòóỏõọôồốổỗộơờớởỡợ uùúủũụưừứửữự yỳýỷỹỵ đ " +
	"AÀÁẢÃẠĂẰẮẲẴẶÂẦẤẨẪẬ EÈÉẺẼẸÊỀẾỂỄỆ IÌÍỈĨỊ OÒÓỎÕỌÔỒỐỔỖỘƠỜỚỞỠỢ UÙÚỦŨỤƯỪỨỬỮỰ YỲÝỶỸỴ Đ"

// page is one page of a test document with appearances as annotations.
type page struct {
	media, crop [4]float64
	rotate      int
	unit        float64
	stamps      []placed
}

type placed struct {
	a *stamp.Appearance
	r stamp.RectMM
}

// document writes a classic PDF of the pages, without help of the writer under test elsewhere.
func document(t *testing.T, pages ...page) []byte {
	t.Helper()
	objects := []pdf.Object{nil, nil} // catalog and pages, set below
	add := func(o pdf.Object) pdf.Ref {
		objects = append(objects, o)
		return pdf.Ref{Num: uint32(len(objects))}
	}
	var kids pdf.Array
	for _, p := range pages {
		kids = append(kids, add(pageObject(t, p, add)))
	}
	objects[0] = pdf.Dict{"Type": pdf.Name("Catalog"), "Pages": pdf.Ref{Num: 2}}
	objects[1] = pdf.Dict{"Type": pdf.Name("Pages"), "Kids": kids, "Count": int64(len(kids))}
	out := []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	var xref []byte
	for i, o := range objects {
		xref = fmt.Appendf(xref, "%010d 00000 n \n", len(out))
		out = fmt.Appendf(out, "%d 0 obj\n", i+1)
		out = append(pdf.AppendObject(out, o), "\nendobj\n"...)
	}
	start := len(out)
	out = fmt.Appendf(out, "xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n",
		len(objects)+1, xref, len(objects)+1, start)
	return out
}

func pageObject(t *testing.T, p page, add func(pdf.Object) pdf.Ref) pdf.Dict {
	t.Helper()
	if p.unit == 0 {
		p.unit = 1
	}
	if p.media == [4]float64{} {
		p.media = [4]float64{0, 0, 595, 842}
	}
	dict := pdf.Dict{"Type": pdf.Name("Page"), "Parent": pdf.Ref{Num: 2}, "MediaBox": numbers(p.media), "Rotate": int64(p.rotate), "UserUnit": p.unit}
	g := pdf.PageGeometry{Box: p.media, Rotate: p.rotate, UserUnit: p.unit}
	if p.crop != [4]float64{} {
		dict["CropBox"], g.Box = numbers(p.crop), p.crop
	}
	var annots pdf.Array
	for _, s := range p.stamps {
		rect, err := s.r.On(g)
		if err != nil {
			t.Fatal(err)
		}
		w, h := (rect[2]-rect[0])*p.unit, (rect[3]-rect[1])*p.unit
		if p.rotate%180 != 0 {
			w, h = h, w
		}
		form, err := s.a.Form(w, h, p.rotate, add)
		if err != nil {
			t.Fatal(err)
		}
		annots = append(annots, add(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Stamp"), "F": int64(4),
			"Rect": numbers(rect), "AP": pdf.Dict{"N": form}}))
	}
	dict["Annots"] = annots
	return dict
}

func numbers(v [4]float64) pdf.Array { return pdf.Array{v[0], v[1], v[2], v[3]} }

// run executes an outside program on a file that holds data.
func run(t *testing.T, data []byte, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), name) {
			t.Fatalf("%s is required and missing", name)
		}
		t.Skipf("%s is not installed", name)
	}
	file := filepath.Join(t.TempDir(), "in.pdf")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "FILE", file)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return out
}

// render gives page n as a picture of dpi dots an inch.
func render(t *testing.T, data []byte, n, dpi int) image.Image {
	t.Helper()
	out := run(t, data, "pdftoppm", "-q", "-png", "-r", fmt.Sprint(dpi), "-f", fmt.Sprint(n), "-l", fmt.Sprint(n), "-cropbox", "FILE")
	img, err := png.Decode(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("VANTHU_TEST_PICTURES"); dir != "" { // to look at what was drawn
		name := strings.ReplaceAll(t.Name(), "/", "_")
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d.png", name, n)), out, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

// picture draws a test image: an ellipse of the colour whose alpha falls to its edge, within
// transparent margins.
func picture(w, h, margin int, c color.NRGBA) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := margin; y < h-margin; y++ {
		for x := margin; x < w-margin; x++ {
			dx := float64(2*x+1-w) / float64(w-2*margin)
			dy := float64(2*y+1-h) / float64(h-2*margin)
			if d := math.Hypot(dx, dy); d <= 1 {
				img.SetNRGBA(x, y, color.NRGBA{R: c.R, G: c.G, B: c.B, A: uint8(255 - 200*d)})
			}
		}
	}
	return encodePNG(img)
}

func encodePNG(img image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // a buffer does not fail
	}
	return b.Bytes()
}

func TestVietnameseTextIsExtractable(t *testing.T) {
	if err := stamp.MustCover(letters, norm.NFD.String(letters)); err != nil {
		t.Fatalf("the font lacks a Vietnamese letter: %v", err)
	}
	lines := []string{"Ký bởi: Ủy ban nhân dân tỉnh Bắc Kạn", norm.NFD.String("Cơ quan: Văn phòng Ủy ban"), letters}
	data := document(t, page{stamps: []placed{{&stamp.Appearance{Lines: lines, FontSize: 11}, stamp.RectMM{X: 20, Y: 20, W: 170, H: 60}}}})
	text := strings.Join(strings.Fields(string(run(t, data, "pdftotext", "-enc", "UTF-8", "FILE", "-"))), " ")
	for _, want := range append(strings.Fields(letters), "Ký bởi: Ủy ban nhân dân tỉnh Bắc Kạn", "Cơ quan: Văn phòng Ủy ban") {
		if !strings.Contains(text, want) {
			t.Errorf("pdftotext does not show %q in %q", want, text)
		}
	}
	fonts := string(run(t, data, "pdffonts", "FILE"))
	if !strings.Contains(fonts, "+LiberationSerif") || !strings.Contains(fonts, "Identity-H       yes yes yes") {
		t.Errorf("font is not embedded as a subset with a Unicode map:\n%s", fonts)
	}
	if len(data) > 32<<10 {
		t.Errorf("text with every Vietnamese letter takes %d bytes, want at most 32 KiB", len(data))
	}
	render(t, data, 1, 110)
}

func TestMissingGlyphIsNamed(t *testing.T) {
	var missing *stamp.MissingGlyphError
	err := stamp.MustCover("Số 漢")
	if !errors.As(err, &missing) || missing.Rune != '漢' || !strings.Contains(err.Error(), "U+6F22") {
		t.Fatalf("got %v, want the missing glyph named", err)
	}
	_, err = (&stamp.Appearance{Lines: []string{"😀"}}).Form(100, 50, 0, func(pdf.Object) pdf.Ref { return pdf.Ref{Num: 1} })
	if !errors.As(err, &missing) || missing.Rune != '😀' {
		t.Fatalf("got %v, want the missing glyph named", err)
	}
}

func TestTextThatDoesNotFit(t *testing.T) {
	a := &stamp.Appearance{Lines: []string{strings.Repeat("Quyết định ", 40)}, FontSize: 10}
	add := func(pdf.Object) pdf.Ref { return pdf.Ref{Num: 1} }
	if _, err := a.Form(100, 30, 0, add); !errors.Is(err, stamp.ErrDoesNotFit) {
		t.Fatalf("fixed size: got %v, want ErrDoesNotFit", err)
	}
	a.FontSize = 0
	if _, err := a.Form(60, 20, 0, add); !errors.Is(err, stamp.ErrDoesNotFit) {
		t.Fatalf("automatic size: got %v, want ErrDoesNotFit", err)
	}
	if _, err := a.Form(300, 200, 0, add); err != nil {
		t.Fatalf("automatic size in a large box: %v", err)
	}
	if _, err := (&stamp.Appearance{}).Form(1, 1, 0, add); !errors.Is(err, stamp.ErrEmpty) {
		t.Fatalf("got %v, want ErrEmpty", err)
	}
}

// TestPlacement looks at the picture of the page: the mark must be where the rectangle says, upright,
// on pages that are turned, cropped and scaled.
func TestPlacement(t *testing.T) {
	// Left half red, right half blue, so that a wrong turn shows.
	img := image.NewNRGBA(image.Rect(0, 0, 40, 20))
	for y := range 20 {
		for x := range 40 {
			c := color.NRGBA{R: 255, A: 255}
			if x >= 20 {
				c = color.NRGBA{B: 255, A: 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	mark := &stamp.Appearance{Image: encodePNG(img)}
	r := stamp.RectMM{X: 60, Y: 25, W: 40, H: 20}
	for _, rotate := range []int{0, 90, 180, 270} {
		for name, p := range map[string]page{
			"plain":   {},
			"cropped": {media: [4]float64{-50, 30, 700, 900}, crop: [4]float64{-20, 60, 480, 860}},
			"unit":    {media: [4]float64{0, 0, 300, 420}, unit: 2},
		} {
			t.Run(fmt.Sprintf("%s-%d", name, rotate), func(t *testing.T) {
				p.rotate = rotate
				p.stamps = []placed{{mark, r}}
				// pdftoppm leaves UserUnit out of account, so a unit of 2 halves the picture.
				dpi := 72.0
				if p.unit > 0 {
					dpi /= p.unit
				}
				shot := render(t, document(t, p), 1, 72)
				check := func(xmm, ymm float64, want color.NRGBA) {
					t.Helper()
					x, y := int(xmm*dpi/25.4), int(ymm*dpi/25.4)
					if got := color.NRGBAModel.Convert(shot.At(x, y)).(color.NRGBA); got != want {
						t.Errorf("at %g, %g mm the page is %v, want %v", xmm, ymm, got, want)
					}
				}
				red, blue, white := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 0, 255, 255}, color.NRGBA{255, 255, 255, 255}
				check(62, 27, red)
				check(77, 43, red)
				check(83, 27, blue)
				check(98, 43, blue)
				check(58, 35, white)
				check(102, 35, white)
				check(80, 23, white)
				check(80, 47, white)
			})
		}
	}
}

func TestRectIsKeptOnThePage(t *testing.T) {
	g := pdf.PageGeometry{Box: [4]float64{10, 20, 605, 862}, UserUnit: 1}
	got, err := stamp.RectMM{X: 200, Y: -5, W: 50, H: 20}.On(g)
	if err != nil {
		t.Fatal(err)
	}
	if got[2] != 605 || got[3] != 862 || math.Abs(got[2]-got[0]-50*stamp.PointsPerMM) > 1e-9 {
		t.Errorf("moved to %v", got)
	}
	if got, err = (stamp.RectMM{X: 1, Y: 1, W: 900, H: 900}).On(g); err != nil || got != g.Box {
		t.Errorf("cut to %v, %v, want the page %v", got, err, g.Box)
	}
	for _, off := range []stamp.RectMM{{X: 900, Y: 900, W: 50, H: 20}, {X: 0, Y: 298, W: 50, H: 20}, {X: -50, Y: 0, W: 50, H: 20}, {X: 0, Y: -30, W: 50, H: 20}} {
		if got, err := off.On(g); !errors.Is(err, stamp.ErrOffPage) {
			t.Errorf("%v is put at %v, %v, want ErrOffPage", off, got, err)
		}
	}
	g.Rotate = 90
	for _, on := range []stamp.RectMM{{X: 250, Y: 10, W: 20, H: 20}, {X: 122, Y: 214, W: 52, H: 20}} {
		if _, err := on.On(g); err != nil {
			t.Errorf("%v on a turned page: %v", on, err)
		}
	}
	if _, err := (stamp.RectMM{X: 298, Y: 10, W: 20, H: 20}).On(g); !errors.Is(err, stamp.ErrOffPage) {
		t.Errorf("beside a turned page: %v, want ErrOffPage", err)
	}
	for _, bad := range []string{"", "1,2,3", "1,2,0,4", "1,2,3,-4", "a,b,c,d", "1,2,3,NaN", "1e9,0,1,1"} {
		if r, err := stamp.ParseRectMM(bad); !errors.Is(err, stamp.ErrRect) {
			t.Errorf("ParseRectMM(%q) = %v, %v, want ErrRect", bad, r, err)
		}
	}
	if r, err := stamp.ParseRectMM("10, 20.5,30,40"); err != nil || r != (stamp.RectMM{X: 10, Y: 20.5, W: 30, H: 40}) {
		t.Errorf("got %v, %v", r, err)
	}
}

// TestDecreePositions draws a page with the leader's signature, the seal and the corner text.
func TestDecreePositions(t *testing.T) {
	blue, red := color.NRGBA{20, 40, 200, 255}, color.NRGBA{220, 20, 30, 255}
	leader, leaderRect, err := stamp.LeaderSignature(picture(300, 120, 10, blue), 36)
	if err != nil {
		t.Fatal(err)
	}
	seal, sealRect, err := stamp.AgencySeal(picture(400, 400, 20, red), leaderRect, 36, 36)
	if err != nil {
		t.Fatal(err)
	}
	if centre := leaderRect.X + leaderRect.W/2; math.Abs(centre-148) > 0.01 {
		t.Errorf("signature is centred on %g mm, want on the column of position and name, 148", centre)
	}
	if over := sealRect.X + sealRect.W - leaderRect.X; math.Abs(over-leaderRect.W/3) > 0.01 {
		t.Errorf("seal covers %g mm of a signature %g mm wide, want a third", over, leaderRect.W)
	}
	at := time.Date(2026, 11, 23, 6, 5, 4, 0, time.UTC)
	annex, annexRect, err := stamp.AnnexText("05/QĐ-UBND", at, 210)
	if err != nil {
		t.Fatal(err)
	}
	cp, cpRect, err := stamp.CopyText(stamp.CopyWhole, "Văn phòng Ủy ban nhân dân tỉnh Bắc Kạn", at, 210)
	if err != nil {
		t.Fatal(err)
	}
	if right := annexRect.X + annexRect.W; math.Abs(right-201) > 0.01 || annexRect.Y != 7 {
		t.Errorf("annex text at %v, want the top right corner", annexRect)
	}
	data := document(t,
		page{stamps: []placed{{leader, leaderRect}, {seal, sealRect}, {annex, annexRect}}},
		page{stamps: []placed{{cp, cpRect}}})
	text := strings.Join(strings.Fields(string(run(t, data, "pdftotext", "FILE", "-"))), " ")
	for _, want := range []string{"Số: 05/QĐ-UBND; 23/11/2026 13:05:04 +07:00", "SAO Y; Văn phòng Ủy ban nhân dân tỉnh Bắc Kạn; 23/11/2026 13:05:04 +07:00"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	render(t, data, 1, 100)
	render(t, data, 2, 100)
	if _, _, err := stamp.AgencySeal(picture(40, 40, 2, red), leaderRect, 0, 0); !errors.Is(err, stamp.ErrRect) {
		t.Errorf("seal without its real size: got %v, want ErrRect", err)
	}
}

// TestLayouts draws image and text together in every layout, for the eye and for pdftotext.
func TestLayouts(t *testing.T) {
	lines := []string{"Ký bởi: Ủy ban nhân dân tỉnh Bắc Kạn", "Email: ubnd@backan.gov.vn", "Thời gian ký: 23/11/2026 13:05:04 +07:00"}
	red := picture(200, 200, 5, color.NRGBA{220, 20, 30, 255})
	var p page
	for i, layout := range []stamp.Layout{stamp.ImageLeft, stamp.ImageAbove, stamp.ImageBehind} {
		for j, align := range []stamp.Align{stamp.AlignLeft, stamp.AlignCenter, stamp.AlignRight} {
			a := &stamp.Appearance{Image: red, Lines: lines, Layout: layout, Align: align, Color: stamp.Color{B: 160}}
			p.stamps = append(p.stamps, placed{a, stamp.RectMM{X: 10 + 65*float64(i), Y: 20 + 50*float64(j), W: 60, H: 40}})
		}
	}
	data := document(t, p)
	text := strings.Join(strings.Fields(string(run(t, data, "pdftotext", "-layout", "FILE", "-"))), " ")
	if n := strings.Count(text, "ubnd@backan.gov.vn"); n != 9 {
		t.Errorf("the address is found %d times, want 9, in %q", n, text)
	}
	render(t, data, 1, 110)
}
