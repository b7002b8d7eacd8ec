package stamp

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"

	"vanthu/signing/pdf"
)

const (
	lineHeight   = 1.15 // of the font size; Liberation Serif needs 1.107
	textPadding  = 1.0  // points around the text
	sizeStep     = 0.25 // points between automatic sizes
	unbrokenSize = 8.0  // points; down to here lines are made smaller rather than broken
	italicAngle  = -16  // degrees, of Liberation Serif Italic
)

// cleanLines normalises to NFC, turns tabs and newlines into spaces and line breaks, and refuses what
// the font cannot draw.
func cleanLines(f *face, lines []string) ([]string, error) {
	var out []string
	runes := 0
	for _, line := range lines {
		line = strings.ReplaceAll(norm.NFC.String(line), "\r\n", "\n")
		for part := range strings.SplitSeq(line, "\n") {
			part = strings.ReplaceAll(part, "\t", " ")
			for _, r := range part {
				runes++
				if unicode.IsControl(r) || f.glyph(r) == 0 {
					return nil, &MissingGlyphError{Rune: r, Line: part}
				}
			}
			out = append(out, part)
		}
	}
	if runes > MaxTextRunes {
		return nil, fmt.Errorf("text of %d characters, at most %d: %w", runes, MaxTextRunes, ErrDoesNotFit)
	}
	return out, nil
}

// text sets the lines into the box.
func (d *drawing) text(a *Appearance, b box) error {
	f, err := loadFace(a.Italic)
	if err != nil {
		return err
	}
	paragraphs, err := cleanLines(f, a.Lines)
	if err != nil {
		return err
	}
	b = box{b.x + textPadding, b.y + textPadding, b.w - 2*textPadding, b.h - 2*textPadding}
	size, lines, err := fit(f, paragraphs, a.FontSize, b)
	if err != nil {
		return err
	}
	s := newSubset(f)
	d.show(a, s, lines, size, b)
	ref, err := s.embed(d.add)
	if err != nil {
		return fmt.Errorf("embedding the font: %w", err)
	}
	d.fonts["F"] = ref
	return nil
}

// fit wraps the paragraphs at the given size, or at the largest automatic size that fits.
func fit(f *face, paragraphs []string, size float64, b box) (float64, []string, error) {
	fits := func(size float64) ([]string, bool) {
		lines, ok := wrap(f, paragraphs, b.w*1000/size)
		return lines, ok && float64(len(lines))*size*lineHeight <= b.h+0.01
	}
	if size > 0 {
		lines, ok := fits(size)
		if !ok {
			return 0, nil, fmt.Errorf("%d lines at %g points in %.1f × %.1f mm: %w", len(lines), size,
				b.w/PointsPerMM, b.h/PointsPerMM, ErrDoesNotFit)
		}
		return size, lines, nil
	}
	// A little smaller reads better than a paragraph broken before its last word.
	for size := maxFontSize; size >= unbrokenSize; size -= sizeStep {
		if lines, ok := fits(size); ok && len(lines) == len(paragraphs) {
			return size, lines, nil
		}
	}
	for size := maxFontSize; size >= minFontSize; size -= sizeStep {
		if lines, ok := fits(size); ok {
			return size, lines, nil
		}
	}
	return 0, nil, fmt.Errorf("at %g points in %.1f × %.1f mm: %w", minFontSize, b.w/PointsPerMM, b.h/PointsPerMM, ErrDoesNotFit)
}

// wrap breaks paragraphs at spaces into lines of at most width thousandths of the font size; ok is
// false when a single word is wider.
func wrap(f *face, paragraphs []string, width float64) (lines []string, ok bool) {
	ok = true
	space := f.width(" ")
	for _, p := range paragraphs {
		line, used := "", 0.0
		for word := range strings.SplitSeq(p, " ") {
			w := f.width(word)
			ok = ok && w <= width
			switch {
			case line == "":
				line, used = word, w
			case used+space+w <= width:
				line, used = line+" "+word, used+space+w
			default:
				lines = append(lines, line)
				line, used = word, w
			}
		}
		lines = append(lines, line)
	}
	return lines, ok
}

// show writes the text operators. The text is marked as Vietnamese for readers aloud and extraction.
func (d *drawing) show(a *Appearance, s *subset, lines []string, size float64, b box) {
	f := s.face
	if a.Field {
		d.content = append(d.content, "/Tx BMC\n"...)
		defer func() { d.content = append(d.content, "EMC\n"...) }()
	}
	block := float64(len(lines)) * size * lineHeight
	baseline := b.y + b.h - (b.h-block)/2 - size*lineHeight/2 -
		size*float64(f.ascent+f.descent)/float64(2*f.unitsPerEm)
	d.content = fmt.Appendf(d.content, "/Span <</Lang (vi-VN)>> BDC\nBT\n/F %s Tf\n", num(size))
	if a.Color != (Color{}) {
		d.content = fmt.Appendf(d.content, "%s %s %s rg\n", num(float64(a.Color.R)/255), num(float64(a.Color.G)/255), num(float64(a.Color.B)/255))
	}
	for i, line := range lines {
		x := b.x
		switch spare := b.w - f.width(line)*size/1000; a.Align {
		case AlignCenter:
			x += spare / 2
		case AlignRight:
			x += spare
		}
		d.content = fmt.Appendf(d.content, "1 0 0 1 %s %s Tm <", num(x), num(baseline-float64(i)*size*lineHeight))
		for _, r := range line {
			d.content = fmt.Appendf(d.content, "%04X", s.use(r))
		}
		d.content = append(d.content, "> Tj\n"...)
	}
	d.content = append(d.content, "ET\nEMC\n"...)
}

// embed stores the subset as a font.
func (s *subset) embed(add func(pdf.Object) pdf.Ref) (pdf.Ref, error) {
	p, err := s.pack()
	if err != nil {
		return pdf.Ref{}, err
	}
	return p.store(add), nil
}

// packedFont is a font ready to be stored in any number of documents. It is not changed.
type packedFont struct {
	file, toUnicode              *pdf.Stream
	descriptor, descendant, font pdf.Dict // without the references among them
}

// pack makes a Type 0 font with Identity-H encoding (ISO 32000-2 §9.7.4) and a ToUnicode map, so that the text can be
// searched and copied.
func (s *subset) pack() (*packedFont, error) {
	f := s.face
	file, err := s.font()
	if err != nil {
		return nil, err
	}
	name, flags, angle := pdf.Name(s.tag()+"+LiberationSerif"), int64(6), int64(0) // serif, symbolic: glyphs are chosen by number
	if f.italic {
		name, flags, angle = name+"-Italic", flags|1<<6, italicAngle
	}
	widths := make(pdf.Array, len(s.order))
	for i, g := range s.order {
		widths[i] = f.em(f.advance(g))
	}
	return &packedFont{
		file: flate(pdf.Dict{"Length1": int64(len(file))}, file), toUnicode: flate(pdf.Dict{}, s.toUnicode()),
		descriptor: pdf.Dict{
			"Type": pdf.Name("FontDescriptor"), "FontName": name,
			"Flags": flags,
			"FontBBox": pdf.Array{f.em(f.bbox[0]), f.em(f.bbox[1]), f.em(f.bbox[2]),
				f.em(f.bbox[3])},
			"ItalicAngle": angle, "Ascent": f.em(f.ascent), "Descent": f.em(f.descent),
			"CapHeight": int64(662), "StemV": int64(84),
		},
		descendant: pdf.Dict{
			"Type": pdf.Name("Font"), "Subtype": pdf.Name("CIDFontType2"), "BaseFont": name,
			"CIDSystemInfo": pdf.Dict{"Registry": pdf.String{B: []byte("Adobe")}, "Ordering": pdf.String{B: []byte("Identity")},
				"Supplement": int64(0)},
			"CIDToGIDMap": pdf.Name("Identity"), "DW": int64(0), "W": pdf.Array{int64(0), widths},
		},
		font: pdf.Dict{"Type": pdf.Name("Font"), "Subtype": pdf.Name("Type0"), "BaseFont": name, "Encoding": pdf.Name("Identity-H")},
	}, nil
}

// store adds the font's objects to a document.
func (p *packedFont) store(add func(pdf.Object) pdf.Ref) pdf.Ref {
	descriptor, descendant, font := maps.Clone(p.descriptor), maps.Clone(p.descendant), maps.Clone(p.font)
	descriptor["FontFile2"] = add(p.file)
	descendant["FontDescriptor"] = add(descriptor)
	font["DescendantFonts"] = pdf.Array{add(descendant)}
	font["ToUnicode"] = add(p.toUnicode)
	return add(font)
}

// toUnicode is the CMap from glyph numbers to UTF-16BE (ISO 32000-2 §9.10.3).
func (s *subset) toUnicode() []byte {
	var pairs []string
	for gid, r := range s.text {
		if r == 0 {
			continue
		}
		var hex strings.Builder
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&hex, "%04X", unit)
		}
		pairs = append(pairs, fmt.Sprintf("<%04X> <%s>\n", gid, hex.String()))
	}
	var b strings.Builder
	b.WriteString("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n" +
		"/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n" +
		"/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n" +
		"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n")
	for len(pairs) > 0 { // at most 100 entries a block
		n := min(100, len(pairs))
		fmt.Fprintf(&b, "%d beginbfchar\n%sendbfchar\n", n, strings.Join(pairs[:n], ""))
		pairs = pairs[n:]
	}
	b.WriteString("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n")
	return []byte(b.String())
}

// num formats a coordinate with at most three decimals.
func num(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", f), "0"), ".")
}

// round keeps three decimals, as an integer where there are none.
func round(f float64) pdf.Object {
	f = math.Round(f*1000) / 1000
	if f == math.Trunc(f) {
		return int64(f)
	}
	return f
}
