// Package stamp draws what a signature looks like on the page (hình ảnh chữ ký số): a PNG or JPEG
// image with true transparency, lines of Vietnamese text in an embedded subset of Liberation Serif
// (metric compatible with Times New Roman), or both, and knows where NĐ 30/2020/NĐ-CP puts them.
//
// The package makes PDF objects only; signing/pdf places them on a page and signs.
package stamp

import (
	"errors"
	"fmt"
	"sync"

	"vanthu/signing/pdf"
)

// Layout says how image and text share the box of an appearance that has both.
type Layout int

// The layouts. With only an image or only text, that one fills the box whatever the layout.
const (
	ImageLeft   Layout = iota // image in the left part, text in the rest
	ImageAbove                // image in the upper part, text below
	ImageBehind               // image over the whole box, text on top of it
)

// Align says where the lines of text stand within their part of the box.
type Align int

// The alignments.
const (
	AlignLeft Align = iota
	AlignCenter
	AlignRight
)

// Color is an opaque sRGB colour; its zero value is black, the colour that NĐ 30/2020 prescribes for text.
type Color struct{ R, G, B uint8 }

// Limits of what an appearance may carry. They keep the appended bytes small and bound the work on
// an image that came from outside.
const (
	MaxImageBytes  = 8 << 20  // encoded PNG or JPEG
	MaxImagePixels = 16 << 20 // width × height
	MaxTextRunes   = 4096     // all lines together
	minFontSize    = 3.0      // points; automatic sizes do not go below
	maxFontSize    = 12.0     // points; automatic sizes do not go above
)

// ErrEmpty is returned for an appearance with neither image nor text.
var ErrEmpty = errors.New("appearance has neither image nor text")

// ErrDoesNotFit is wrapped when text of a fixed size does not fit its box.
var ErrDoesNotFit = errors.New("text does not fit its box")

// Appearance is what a visible signature shows. Image is a PNG (transparent margins are cut off and
// alpha is kept as it is) or a JPEG, or nil. Lines are paragraphs, wrapped at spaces; they are
// normalised to NFC. FontSize is in points; 0 chooses the largest size from 3 to 12 that fits. Within, when set, is the
// part of the field that is drawn in, in mm from the field's top left corner as a reader sees it: fields placed before
// the first signature keep their size, whatever a signer's image has. Field marks the text as a form field's value
// (ISO 32000-2 §12.7.4.3).
type Appearance struct {
	Image    []byte
	Lines    []string
	FontSize float64
	Color    Color
	Layout   Layout
	Align    Align
	Italic   bool
	Within   *RectMM
	Field    bool
}

// MissingGlyphError names a character for which the embedded font has no glyph.
type MissingGlyphError struct {
	Rune rune
	Line string
}

// Error tells the character, its code point and the line it stands in.
func (e *MissingGlyphError) Error() string {
	return fmt.Sprintf("no glyph for %q (U+%04X) in line %q", e.Rune, e.Rune, e.Line)
}

// MustCover returns a *MissingGlyphError for the first character of the lines that the embedded font
// cannot draw, and nil when it draws them all.
func MustCover(lines ...string) error {
	face, err := loadFace(false)
	if err != nil {
		return err
	}
	_, err = cleanLines(face, lines)
	return err
}

// Form draws the appearance into a form XObject of w × h points, turned so that it stands upright on
// a page that is shown turned clockwise by rotate degrees. It stores the objects it needs with add
// and returns the reference of the form.
func (a *Appearance) Form(w, h float64, rotate int, add func(pdf.Object) pdf.Ref) (pdf.Ref, error) {
	if len(a.Image) == 0 && len(a.Lines) == 0 {
		return pdf.Ref{}, ErrEmpty
	}
	if w <= 0 || h <= 0 {
		return pdf.Ref{}, fmt.Errorf("appearance box of %.2f × %.2f points has no area", w, h)
	}
	d := drawing{w: w, h: h, add: add, xobjects: pdf.Dict{}, fonts: pdf.Dict{}}
	whole := box{0, 0, w, h}
	if a.Within != nil {
		var err error
		if whole, err = a.Within.inside(w, h); err != nil {
			return pdf.Ref{}, err
		}
	}
	imageBox, textBox := a.split(whole)
	if len(a.Image) > 0 {
		if err := d.image(a.Image, imageBox); err != nil {
			return pdf.Ref{}, fmt.Errorf("drawing the signature image: %w", err)
		}
	}
	if len(a.Lines) > 0 {
		if err := d.text(a, textBox); err != nil {
			return pdf.Ref{}, fmt.Errorf("drawing the signature text: %w", err)
		}
	}
	return d.finish(rotate), nil
}

// FormFont gives a font for form fields: a subset with the characters given, which readers need when they fill a field
// in by themselves. The caller stores it among the form's resources. The font is made when it is first asked for, and
// then stored in any number of documents, by several goroutines too.
func FormFont(characters string, italic bool) func(add func(pdf.Object) pdf.Ref) (pdf.Ref, error) {
	made := sync.OnceValues(func() (*packedFont, error) {
		f, err := loadFace(italic)
		if err != nil {
			return nil, err
		}
		lines, err := cleanLines(f, []string{characters})
		if err != nil {
			return nil, err
		}
		s := newSubset(f)
		for _, line := range lines {
			for _, r := range line {
				s.use(r)
			}
		}
		return s.pack()
	})
	return func(add func(pdf.Object) pdf.Ref) (pdf.Ref, error) {
		font, err := made()
		if err != nil {
			return pdf.Ref{}, err
		}
		return font.store(add), nil
	}
}

// box is a rectangle in points, its origin at the lower left.
type box struct{ x, y, w, h float64 }

// inside is the rectangle as a box in a field of w × h points, cut to the field.
func (r RectMM) inside(w, h float64) (box, error) {
	if err := r.check(); err != nil {
		return box{}, err
	}
	left, right := max(0, r.X*PointsPerMM), min(w, (r.X+r.W)*PointsPerMM)
	top, bottom := max(0, r.Y*PointsPerMM), min(h, (r.Y+r.H)*PointsPerMM)
	if right <= left || bottom <= top {
		return box{}, fmt.Errorf("%g,%g,%g,%g mm in a field of %.0f × %.0f mm: %w", r.X, r.Y, r.W, r.H, w/PointsPerMM, h/PointsPerMM, ErrOffPage)
	}
	return box{left, h - bottom, right - left, bottom - top}, nil
}

// split divides the box between image and text.
func (a *Appearance) split(b box) (image, text box) {
	if len(a.Image) == 0 || len(a.Lines) == 0 || a.Layout == ImageBehind {
		return b, b
	}
	if a.Layout == ImageAbove {
		cut := b.h * 0.55
		return box{b.x, b.y + b.h - cut, b.w, cut}, box{b.x, b.y, b.w, b.h - cut}
	}
	cut := min(b.w*0.4, b.h*1.2)
	return box{b.x, b.y, cut, b.h}, box{b.x + cut, b.y, b.w - cut, b.h}
}

// drawing gathers the content stream and resources of one form.
type drawing struct {
	w, h            float64
	add             func(pdf.Object) pdf.Ref
	content         []byte
	xobjects, fonts pdf.Dict
}

// finish stores the form. Its matrix turns it against the page's rotation; the reader of the PDF then
// fits the turned box into the annotation's rectangle (ISO 32000-2 §12.5.5, algorithm 8.1).
func (d *drawing) finish(rotate int) pdf.Ref {
	resources := pdf.Dict{}
	if len(d.xobjects) > 0 {
		resources["XObject"] = d.xobjects
	}
	if len(d.fonts) > 0 {
		resources["Font"] = d.fonts
	}
	form := pdf.Dict{
		"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"),
		"BBox":      pdf.Array{int64(0), int64(0), round(d.w), round(d.h)},
		"Resources": resources,
	}
	if m := uprightMatrix(rotate); m != nil {
		form["Matrix"] = m
	}
	return d.add(flate(form, d.content))
}

// uprightMatrix is the rotation that undoes the page's, nil for none.
func uprightMatrix(rotate int) pdf.Array {
	var m [4]int64
	switch ((rotate % 360) + 360) % 360 {
	case 90:
		m = [4]int64{0, 1, -1, 0}
	case 180:
		m = [4]int64{-1, 0, 0, -1}
	case 270:
		m = [4]int64{0, -1, 1, 0}
	default:
		return nil
	}
	return pdf.Array{m[0], m[1], m[2], m[3], int64(0), int64(0)}
}
