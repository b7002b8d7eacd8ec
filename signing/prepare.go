package signing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"golang.org/x/text/unicode/norm"

	"vanthu/signing/pdf"
	"vanthu/signing/stamp"
)

// ErrOrder is wrapped when a signature comes before another that must be there first, or by the wrong person.
var ErrOrder = errors.New("signing: the order of signatures is not kept")

// FieldPlace is a field to be placed before the first signature.
type FieldPlace struct {
	Name string
	Page int           // 1 is the first (as is 0), -1 the last
	Rect *stamp.RectMM // nil: a signature field that shows nothing
	Tip  string        // what it is for

	Lock *pdf.FieldLock // of a signature field: what its signature closes
	Text *TextField     // makes it a text field
}

// TextField is a text of one line that a later signature fills in (SignOptions.Fill).
type TextField struct {
	Size   float64 // points
	Align  stamp.Align
	Italic bool
}

// PrepareOptions say which fields a document gets.
type PrepareOptions struct {
	Fields  []FieldPlace
	At      time.Time // of the revision; zero means time.Now
	MaxSize int64     // bytes, 0 means the default of pdf.DefaultLimits
}

// Prepare writes src, unchanged, and one revision with empty fields for signatures and texts (ô ký, ô số và ngày đặt
// sẵn): signatures made in them later change neither pages nor the form, and what they fill in is a change that the
// earlier signatures permit. A document that carries signatures is refused with pdf.ErrNotPermitted, a name that the
// form has already with pdf.ErrFieldName.
func Prepare(ctx context.Context, src io.ReaderAt, size int64, dst io.Writer, o PrepareOptions) error {
	g := &growing{src: src, size: size}
	f, err := g.open(ctx, o.MaxSize)
	if err != nil {
		return fmt.Errorf("reading the file to prepare: %w", err)
	}
	if o.At.IsZero() {
		o.At = time.Now()
	}
	specs := make([]pdf.FieldSpec, 0, len(o.Fields))
	for _, place := range o.Fields {
		specs = append(specs, place.spec())
	}
	_, tail, err := pdf.FieldsTail(g, f, o.At, specs...)
	if err != nil {
		return fmt.Errorf("placing the fields: %w", err)
	}
	g.add(tail)
	return g.writeTo(dst)
}

// Fonts of text fields among the form's resources.
const (
	uprightFont pdf.Name = "VanThu"
	italicFont  pdf.Name = "VanThuItalic"
)

// formCharacters are what the fonts of text fields can write: numbers and dates of documents.
const formCharacters = " 0123456789/-.,:SốngàythángnămBCDĐĂÂÊGHKLMNOÔƠPQRTUƯVXY"

// The fonts of text fields are the same in every document; each is made when it is first asked for.
var (
	uprightFormFont = stamp.FormFont(formCharacters, false)
	italicFormFont  = stamp.FormFont(formCharacters, true)
)

func (p FieldPlace) spec() pdf.FieldSpec {
	s := pdf.FieldSpec{Name: p.Name, Page: p.Page, Tip: p.Tip, Lock: p.Lock}
	if p.Rect != nil {
		s.Rect = p.Rect.On
	}
	if t := p.Text; t != nil {
		s.Text = &pdf.TextSpec{Align: int(t.Align), FontName: uprightFont, FontSize: t.Size, Font: uprightFormFont}
		if t.Italic {
			s.Text.FontName, s.Text.Font = italicFont, italicFormFont
		}
	}
	return s
}

// fills are the texts that the revision of the signature fills in, in the order of their names.
func (o *SignOptions) fills() []pdf.TextFill {
	var out []pdf.TextFill
	for _, name := range slices.Sorted(maps.Keys(o.Fill)) {
		value := norm.NFC.String(o.Fill[name])
		out = append(out, pdf.TextFill{Field: name, Value: value, Appearance: func(style pdf.TextStyle) pdf.Drawing {
			a := stamp.Appearance{Lines: []string{value}, FontSize: style.Size, Align: stamp.Align(style.Align), Italic: style.Font == italicFont, Field: true}
			return func(w, h float64, rotate int, add func(pdf.Object) pdf.Ref) (pdf.Ref, error) {
				ref, err := a.Form(w, h, rotate, add)
				if errors.Is(err, stamp.ErrDoesNotFit) && a.FontSize > 0 {
					a.FontSize = 0 // smaller rather than not at all
					ref, err = a.Form(w, h, rotate, add)
				}
				return ref, err
			}
		}})
	}
	return out
}

// Layout is what a document has to be signed in.
type Layout struct {
	Signatures int               // signatures and time stamps that are there
	Empty      []EmptyField      // signature fields that wait for a signature
	Texts      map[string]string // text fields with their values
}

// EmptyField is a signature field without a signature; its size is in mm as a reader sees it, 0 when it shows nothing.
type EmptyField struct {
	Name          string
	Width, Height float64
}

// Inspect reads the fields of a document. maxSize is in bytes, 0 means the default of pdf.DefaultLimits.
func Inspect(ctx context.Context, src io.ReaderAt, size, maxSize int64) (*Layout, error) {
	f, err := (&growing{src: src, size: size}).open(ctx, maxSize)
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	signed, err := f.Signatures()
	if err != nil {
		return nil, fmt.Errorf("reading the signatures: %w", err)
	}
	l := &Layout{Signatures: len(signed)}
	for _, s := range f.EmptyFields() {
		w, h, err := f.Latest().FieldSize(s)
		if err != nil {
			return nil, fmt.Errorf("reading the field %q: %w", s.Name, err)
		}
		l.Empty = append(l.Empty, EmptyField{Name: s.Name, Width: w / stamp.PointsPerMM, Height: h / stamp.PointsPerMM})
	}
	if l.Texts, err = pdf.TextFields(f); err != nil {
		return nil, fmt.Errorf("reading the form: %w", err)
	}
	return l, nil
}

// checkOrder sees that the signatures which must come first are there, whole, and made with another certificate: the
// agency seals what a competent person has signed (NĐ 30/2020 Điều 32.2.d), and nobody takes both parts.
func checkOrder(ctx context.Context, g *growing, f *pdf.File, o *SignOptions) error {
	if len(o.After) == 0 {
		return nil
	}
	fields, err := f.Signatures()
	if err != nil {
		return fmt.Errorf("reading the signatures: %w", err)
	}
	for _, name := range o.After {
		i := slices.IndexFunc(fields, func(s pdf.Field) bool { return s.Name == name })
		if i < 0 {
			return fmt.Errorf("field %q must be signed first: %w", name, ErrOrder)
		}
		v := newVerifier(ctx, f, g, VerifyOptions{At: o.At})
		it, err := v.examine(&fields[i])
		if err != nil {
			return err
		}
		if it.signed == nil || it.integrity != Intact {
			return fmt.Errorf("the signature in field %q cannot be read: %w", name, ErrOrder)
		}
		res := v.checkCMS(it, v.evidence().certs)
		if it.integrity != Intact || res.Signer == nil {
			return fmt.Errorf("the signature in field %q does not hold: %w", name, ErrOrder)
		}
		if res.Signer.Equal(o.Key.Certificate) {
			return fmt.Errorf("field %q was signed with the same certificate: %w", name, ErrOrder)
		}
	}
	return nil
}
