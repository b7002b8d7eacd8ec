package picture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/requests"

	"vanthu/signing/pdf/pdftest"
)

func stream(content string) string {
	return fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(content), content)
}

func plain() []byte { return pdftest.New(pdftest.Options{}).Bytes(pdftest.Table) }

func changes(t *testing.T, r *Renderer, before, after []byte) *Changes {
	t.Helper()
	out, err := r.Changes(t.Context(), bytes.NewReader(after), int64(len(before)), int64(len(after)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newRenderer(t *testing.T, o Options) *Renderer {
	t.Helper()
	r := New(o)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestChanges finds the text that was replaced, the page that was taken away, and nothing where nothing differs.
func TestChanges(t *testing.T) {
	r := newRenderer(t, Options{})
	before := plain()
	same := changes(t, r, before, pdftest.Append(before, map[int]string{3: "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"}))
	if len(same.Pairs) != 0 || same.Looked != 2 || same.PagesAfter != 2 {
		t.Errorf("nothing differs: %+v", same)
	}
	text := changes(t, r, before, pdftest.Append(before, map[int]string{4: stream("BT /F1 14 Tf 72 700 Td (Page 0ne of the document) Tj ET 400 100 80 40 re f")}))
	if len(text.Pairs) != 1 || text.Pairs[0].Page != 1 || len(text.Pairs[0].Regions) != 2 {
		t.Fatalf("replaced text: %+v", text)
	}
	pair := text.Pairs[0]
	scale := float64(pair.After.Bounds().Dy()) / 842
	line, block := pair.Regions[0], pair.Regions[1]
	if y := float64(line.Min.Y+line.Dy()/2) / scale; y < 120 || y > 150 || line.Dx() > 80 {
		t.Errorf("the letter is marked at %v", line)
	}
	if want := image.Pt(int(440*scale), int((842-120)*scale)); !want.In(block) {
		t.Errorf("the block is marked at %v, it is at %v", block, want)
	}
	Mark(pair.After, pair.Regions)
	if got := pair.After.RGBAAt(block.Min.X+5, block.Min.Y-3); got != (color.RGBA{0xc0, 0x10, 0x20, 0xff}) {
		t.Errorf("no frame: %v", got)
	}
	gone := changes(t, r, before, pdftest.Append(before, map[int]string{2: "<</Type/Pages/Kids[5 0 R]/Count 1/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>>>"}))
	if len(gone.Pairs) != 1 || gone.Pairs[0].Page != 2 || gone.Pairs[0].After != nil || gone.Pairs[0].Before == nil {
		t.Errorf("a page that is gone: %+v", gone)
	}
	if _, err := r.Page(t.Context(), bytes.NewReader(before), int64(len(before)), 3); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a page that is not there: %v", err)
	}
}

// endless is a page of lines in dashes of a thousandth of a point: some 10^9 of them.
func endless() string {
	return "%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<<>>>>endobj\n4 0 obj" +
		stream("[0.001 0.001] 0 d "+strings.Repeat("0 0 m 500 800 l S ", 2000)) + "\nendobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
}

// greedy is a page with a picture of 30,000 by 30,000 points out of a few bytes.
func greedy() string {
	return "%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 14400 14400]/UserUnit 75000/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>/Pattern<</P 6 0 R>>>>>>endobj\n4 0 obj" +
		stream("q 14400 0 0 14400 0 0 cm /X Do Q /Pattern cs /P scn 0 0 14400 14400 re f") + "\nendobj\n" +
		"5 0 obj<</Type/XObject/Subtype/Image/Width 30000/Height 30000/BitsPerComponent 16/ColorSpace/DeviceCMYK/Length 3>>\nstream\nabc\nendstream endobj\n" +
		"6 0 obj<</Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 1 1]/XStep 0.0001/YStep 0.0001/Resources<<>>/Length 12>>\nstream\n0 0 1 1 re f\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
}

// TestHostileFiles: a file that loops, one that eats memory and ones that are no files end in a clear error or in a
// picture of the usual size, and the next job is as good as any.
func TestHostileFiles(t *testing.T) {
	r := newRenderer(t, Options{Time: 3 * time.Second, Memory: 64 << 20})
	good := plain()
	for _, c := range []struct {
		name, file string
		want       error // nil: a picture or any error of this package
	}{
		{"loops", endless(), ErrLimit}, {"memory", greedy(), nil}, {"empty", "", ErrUnreadable}, {"no PDF", strings.Repeat("x", 5000), ErrUnreadable},
		{"cut off", string(good[:len(good)/2]), nil},
		{"page tree that loops", "%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2000000000>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n", nil},
	} {
		picture, err := r.Page(t.Context(), strings.NewReader(c.file), int64(len(c.file)), 1)
		switch {
		case c.want != nil && !errors.Is(err, c.want):
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		case err != nil && !errors.Is(err, ErrLimit) && !errors.Is(err, ErrUnreadable):
			t.Errorf("%s: %v", c.name, err)
		case err == nil && (picture.Bounds().Dx() > defaultWidth || picture.Bounds().Dy() > defaultHeight):
			t.Errorf("%s: a picture of %v", c.name, picture.Bounds())
		}
		if _, err := r.Page(t.Context(), bytes.NewReader(good), int64(len(good)), 1); err != nil {
			t.Fatalf("after %q a good file fails: %v", c.name, err)
		}
	}
}

// TestSandbox: the program sees no file of the host, and a job that nobody waits for ends.
func TestSandbox(t *testing.T) {
	r := newRenderer(t, Options{})
	name := filepath.Join(t.TempDir(), "secret.pdf")
	if err := os.WriteFile(name, plain(), 0o600); err != nil {
		t.Fatal(err)
	}
	err := r.job(t.Context(), func(p pdfium.Pdfium) error {
		_, err := p.OpenDocument(&requests.OpenDocument{FilePath: &name})
		return err
	})
	if err == nil {
		t.Error("a file of the host was opened")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Page(ctx, bytes.NewReader(plain()), 1, 1); err == nil {
		t.Error("a cancelled job gave a picture")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Page(t.Context(), bytes.NewReader(plain()), 1, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
