package pdf

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of Text, beside those of the file.
const (
	textMaxForms  = 2000    // form XObjects over all pages
	textMaxCodes  = 100_000 // entries of one ToUnicode map
	textMaxSpans  = 4096    // ranges of one ToUnicode map
	textMaxFonts  = 2000
	textMaxStream = 16 << 20 // bytes of contents of one page
	textWideGap   = -180.0   // in TJ, thousandths of the font's size: a space between words
)

// Text gives the text that the pages show, as far as their fonts say which
// characters they draw (ISO 32000-2 §9.10): for searching, not for reading. Lines
// and columns stand in the order in which they are drawn. Text of pictures,
// annotations and form fields is not in it. It stops after most bytes.
//
// The text read before an error is given with it; the error is that of a damaged
// or too large file.
func (v *View) Text(most int) (string, error) {
	t := &textReader{v: v, most: most, fonts: map[Ref]*textFont{}}
	var inner error
	err := v.Pages(func(_ int, _ Ref, page Dict) bool {
		inner = t.page(page)
		t.gap('\n')
		return inner == nil && t.out.Len() < t.most
	})
	if err == nil {
		err = inner
	}
	text := t.out.String()
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text, err
}

type textReader struct {
	v     *View
	most  int
	out   strings.Builder
	fonts map[Ref]*textFont
	forms int
}

// gap parts what was drawn from what comes.
func (t *textReader) gap(c byte) {
	if s := t.out.String(); s != "" && s[len(s)-1] != ' ' && s[len(s)-1] != '\n' {
		t.out.WriteByte(c)
	}
}

func (t *textReader) page(page Dict) error {
	contents, err := t.v.Resolve(page["Contents"])
	if err != nil {
		return err
	}
	list, ok := contents.(Array)
	if !ok {
		list = Array{contents}
	}
	var data []byte // the parts of a page are one program
	for _, item := range list {
		o, err := t.v.Resolve(item)
		if err != nil {
			return err
		}
		stream, ok := o.(*Stream)
		if !ok {
			continue
		}
		part, err := t.v.StreamData(stream)
		if err != nil {
			return err
		}
		if len(data)+len(part) > textMaxStream {
			return tooLarge(-1, "the contents of a page are too large")
		}
		data = append(append(data, part...), '\n')
	}
	resources, err := t.v.PageAttr(page, "Resources")
	if err != nil {
		return err
	}
	dict, _ := resources.(Dict)
	return t.draw(data, dict, 0)
}

// draw reads a content stream. An operator that makes no sense is left out, as
// readers do.
func (t *textReader) draw(data []byte, resources Dict, depth int) error {
	lim := t.v.f.lim
	l := newMemoryLexer(data, 0, &lim)
	var operands []Object
	var font *textFont
	for t.out.Len() < t.most {
		l.space()
		c := l.peek()
		if c == eof {
			return nil
		}
		if class(c) == classRegular && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			op := operator(l)
			var err error
			switch op {
			case "true", "false", "null":
				operands = append(operands, nil)
				continue
			case "Tf":
				font, err = t.font(resources, operands)
			case "Do":
				err = t.form(resources, operands, depth)
			case "BI":
				skipImage(l)
			default:
				t.show(op, font, operands)
			}
			if err != nil {
				return err
			}
			operands = operands[:0]
			continue
		}
		o, err := l.object(0)
		if err != nil {
			if l.take() == eof { // step over what cannot be read
				return nil
			}
			continue
		}
		if len(operands) < 64 {
			operands = append(operands, o)
		}
	}
	return nil
}

// operator takes a word.
func operator(l *lexer) string {
	var word [16]byte
	n := 0
	for c := l.peek(); class(c) == classRegular; c = l.peek() {
		if n < len(word) {
			word[n] = byte(c)
			n++
		}
		l.pos++
	}
	return string(word[:n])
}

// skipImage steps over an inline image: to EI between white space.
func skipImage(l *lexer) {
	before := 0
	for c := l.take(); c != eof; c = l.take() {
		if c == 'E' && class(before) == classSpace && l.peek() == 'I' {
			l.take()
			if next := l.peek(); next == eof || class(next) == classSpace {
				return
			}
		}
		before = c
	}
}

// show does the operators that draw or place text (ISO 32000-2 §9.4).
func (t *textReader) show(op string, font *textFont, operands []Object) {
	last := func() Object {
		if len(operands) == 0 {
			return nil
		}
		return operands[len(operands)-1]
	}
	switch op {
	case "Td", "TD":
		if len(operands) == 2 && amount(operands[1]) == 0 {
			t.gap(' ')
			return
		}
		t.gap('\n')
	case "T*", "ET":
		t.gap('\n')
	case "Tm":
		t.gap(' ')
	case "'", `"`:
		t.gap('\n')
		t.write(font, last())
	case "Tj":
		t.write(font, last())
	case "TJ":
		list, _ := last().(Array)
		for _, o := range list {
			if _, text := o.(String); text {
				t.write(font, o)
			} else if amount(o) < textWideGap {
				t.gap(' ')
			}
		}
	}
}

func amount(o Object) float64 {
	switch n := o.(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	return 0
}

func (t *textReader) write(font *textFont, o Object) {
	if s, ok := o.(String); ok && font != nil {
		font.decode(s.B, &t.out)
	}
}

// form reads a form XObject.
func (t *textReader) form(resources Dict, operands []Object, depth int) error {
	const deepest = 5
	if len(operands) != 1 || depth >= deepest || t.forms >= textMaxForms {
		return nil
	}
	name, _ := operands[0].(Name)
	o, _, err := t.resource(resources, "XObject", name)
	stream, ok := o.(*Stream)
	if err != nil || !ok || stream.Dict.Name("Subtype") != "Form" {
		return err
	}
	t.forms++
	data, err := t.v.StreamData(stream)
	if err != nil {
		return err
	}
	own, err := t.v.Resolve(stream.Dict["Resources"])
	if err != nil {
		return err
	}
	if dict, ok := own.(Dict); ok {
		resources = dict
	}
	t.gap('\n')
	return t.draw(data, resources, depth+1)
}

// resource gives a named resource, with its reference where it has one.
func (t *textReader) resource(resources Dict, kind, name Name) (Object, Ref, error) {
	o, err := t.v.Resolve(resources[kind])
	if err != nil {
		return nil, Ref{}, err
	}
	dict, _ := o.(Dict)
	ref, _ := dict[name].(Ref)
	o, err = t.v.Resolve(dict[name])
	return o, ref, err
}

// textFont tells what the codes of a font mean.
type textFont struct {
	wide  bool // codes of two bytes; else of one
	codes map[uint32]string
	spans []textSpan
}

// textSpan is a range of codes and what it begins with, or a list of what each means.
type textSpan struct {
	low, high uint32
	to        Object
}

// font gives the font that Tf chooses; nil when it cannot be read.
func (t *textReader) font(resources Dict, operands []Object) (*textFont, error) {
	if len(operands) != 2 {
		return nil, nil
	}
	name, _ := operands[0].(Name)
	o, ref, err := t.resource(resources, "Font", name)
	if err != nil {
		return nil, err
	}
	if known, ok := t.fonts[ref]; ok && ref != (Ref{}) {
		return known, nil
	}
	dict, ok := o.(Dict)
	if !ok || len(t.fonts) >= textMaxFonts {
		return nil, nil
	}
	font := &textFont{wide: dict.Name("Subtype") == "Type0"}
	o, err = t.v.Resolve(dict["ToUnicode"])
	if err != nil {
		return nil, err
	}
	if stream, ok := o.(*Stream); ok {
		data, err := t.v.StreamData(stream)
		if err != nil {
			return nil, err
		}
		lim := t.v.f.lim
		font.read(newMemoryLexer(data, 0, &lim))
	}
	if ref != (Ref{}) {
		t.fonts[ref] = font
	}
	return font, nil
}

// read takes the entries of a ToUnicode map (ISO 32000-2 §9.10.3). It reads what
// it can.
func (f *textFont) read(l *lexer) {
	f.codes = map[uint32]string{}
	var held []Object
	for {
		l.space()
		c := l.peek()
		if c == eof {
			return
		}
		if class(c) == classRegular && (c < '0' || c > '9') {
			switch operator(l) {
			case "endbfchar":
				for i := 0; i+1 < len(held); i += 2 {
					f.add(held[i], held[i+1])
				}
			case "endbfrange":
				f.ranges(held)
			}
			held = held[:0]
			continue
		}
		o, err := l.object(0)
		if err != nil {
			if l.take() == eof {
				return
			}
			continue
		}
		if len(held) < textMaxCodes {
			held = append(held, o)
		}
	}
}

func (f *textFont) ranges(held []Object) {
	for i := 0; i+2 < len(held) && len(f.spans) < textMaxSpans; i += 3 {
		low, okLow := codeOf(held[i])
		high, okHigh := codeOf(held[i+1])
		if okLow && okHigh && high >= low && high-low <= 0xFFFF {
			f.spans = append(f.spans, textSpan{low: low, high: high, to: held[i+2]})
		}
	}
}

// add takes one entry.
func (f *textFont) add(code, to Object) {
	if c, ok := codeOf(code); ok && len(f.codes) < textMaxCodes {
		f.codes[c] = unicodeOf(to, 0)
	}
}

// char gives what a code stands for. Ranges are looked into only for the codes that a page shows: many fonts map all
// 65,536 codes and a page shows a few dozen.
func (f *textFont) char(c uint32) (string, bool) {
	if text, known := f.codes[c]; known {
		return text, true
	}
	for i := len(f.spans) - 1; i >= 0; i-- {
		span := f.spans[i]
		if c < span.low || c > span.high {
			continue
		}
		text, n := "", c-span.low
		if list, isList := span.to.(Array); !isList {
			text = unicodeOf(span.to, n)
		} else if int(n) < len(list) {
			text = unicodeOf(list[n], 0)
		}
		if len(f.codes) < textMaxCodes {
			f.codes[c] = text
		}
		return text, true
	}
	return "", false
}

func codeOf(o Object) (uint32, bool) {
	s, ok := o.(String)
	if !ok || len(s.B) == 0 || len(s.B) > 4 {
		return 0, false
	}
	var c uint32
	for _, b := range s.B {
		c = c<<8 | uint32(b)
	}
	return c, true
}

// unicodeOf reads UTF-16BE, its last unit raised by n.
func unicodeOf(o Object, n uint32) string {
	s, ok := o.(String)
	if !ok || len(s.B) < 2 || len(s.B) > 64 {
		return ""
	}
	units := make([]uint16, len(s.B)/2)
	for i := range units {
		units[i] = uint16(s.B[2*i])<<8 | uint16(s.B[2*i+1])
	}
	units[len(units)-1] += uint16(n)
	return string(utf16.Decode(units))
}

// decode writes the characters of a string. A font without a map is taken as
// Latin, which holds for its letters and digits without marks; one with codes of
// two bytes then says nothing.
func (f *textFont) decode(b []byte, out *strings.Builder) {
	step := 1
	if f.wide {
		step = 2
	}
	for ; len(b) >= step; b = b[step:] {
		c := uint32(b[0])
		if f.wide {
			c = c<<8 | uint32(b[1])
		}
		text, known := f.char(c)
		switch {
		case known:
			for _, r := range text {
				if r == utf8.RuneError || r < ' ' {
					r = ' '
				}
				out.WriteRune(r)
			}
		case !f.wide && c >= ' ' && c != 0x7F:
			out.WriteRune(rune(c))
		}
	}
}
