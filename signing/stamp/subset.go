package stamp

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// Flags of a composite glyph's component (OpenType "glyf" table).
const (
	compArgsAreWords     = 0x0001
	compHaveScale        = 0x0008
	compMoreComponents   = 0x0020
	compHaveXYScale      = 0x0040
	compHaveTwoByTwo     = 0x0080
	compHaveInstructions = 0x0100
)

// subset is a font cut down to the glyphs in use, renumbered from 0 (.notdef). Hinting is left out:
// it is a third of the size, and no viewer needs it at the resolutions of print and screen.
type subset struct {
	face  *face
	order []int          // new number → glyph of the face
	gid   map[int]uint16 // glyph of the face → new number
	text  []rune         // new number → the character it stands for, 0 for parts of composites
}

func newSubset(f *face) *subset {
	return &subset{face: f, order: []int{0}, gid: map[int]uint16{0: 0}, text: []rune{0}}
}

// use adds the character and returns its number in the subset.
func (s *subset) use(r rune) uint16 {
	g := s.face.glyph(r)
	n := s.number(g)
	if s.text[n] == 0 {
		s.text[n] = r
	}
	return n
}

func (s *subset) number(glyph int) uint16 {
	n, ok := s.gid[glyph]
	if !ok {
		n = uint16(len(s.order))
		s.gid[glyph] = n
		s.order = append(s.order, glyph)
		s.text = append(s.text, 0)
	}
	return n
}

// tag is the six capitals that mark a subset's name (ISO 32000-2 §9.9.2), derived from its glyphs so
// that equal subsets get equal names.
func (s *subset) tag() string {
	h := sha256.New()
	for _, g := range s.order {
		fmt.Fprintf(h, "%d,", g)
	}
	sum := h.Sum(nil)
	tag := make([]byte, 6)
	for i := range tag {
		tag[i] = 'A' + sum[i]%26
	}
	return string(tag)
}

// font builds the TrueType file of the subset with the tables that an embedded CIDFontType2 needs
// (ISO 32000-2 §9.9.1, table 125).
func (s *subset) font() ([]byte, error) {
	var glyf []byte
	loca := []byte{0, 0, 0, 0}
	// order grows while composites name their parts.
	for i := 0; i < len(s.order); i++ {
		outline, err := s.face.outline(s.order[i])
		if err != nil {
			return nil, err
		}
		if outline, err = s.rewrite(outline); err != nil {
			return nil, fmt.Errorf("glyph %d: %w", s.order[i], err)
		}
		glyf = append(glyf, outline...)
		for len(glyf)%4 != 0 {
			glyf = append(glyf, 0)
		}
		loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))
	}
	head := slices.Clone(s.face.tables["head"])
	binary.BigEndian.PutUint32(head[8:], 0)  // checkSumAdjustment, set by assemble
	binary.BigEndian.PutUint16(head[50:], 1) // long loca
	hhea := slices.Clone(s.face.tables["hhea"])
	binary.BigEndian.PutUint16(hhea[34:], uint16(len(s.order)))
	maxp := slices.Clone(s.face.tables["maxp"])
	binary.BigEndian.PutUint16(maxp[4:], uint16(len(s.order)))
	for at := 14; at < 28; at += 2 { // no hinting programs: zones 1, the rest 0
		binary.BigEndian.PutUint16(maxp[at:], 0)
	}
	binary.BigEndian.PutUint16(maxp[14:], 1)
	return assemble([]table{
		{"glyf", glyf}, {"head", head}, {"hhea", hhea}, {"hmtx", s.metrics()}, {"loca", loca}, {"maxp", maxp},
	}), nil
}

func (s *subset) metrics() []byte {
	hmtx, n := s.face.tables["hmtx"], s.face.numHMetric
	var out []byte
	for _, g := range s.order {
		bearing := 0
		switch at := 4*n + 2*(g-n); {
		case g < n:
			bearing = i16(hmtx, 4*g+2)
		case at+2 <= len(hmtx):
			bearing = i16(hmtx, at)
		}
		out = binary.BigEndian.AppendUint16(out, uint16(s.face.advance(g)))
		out = binary.BigEndian.AppendUint16(out, uint16(int16(bearing)))
	}
	return out
}

// rewrite strips the hinting of one outline and renumbers the parts of a composite.
func (s *subset) rewrite(outline []byte) ([]byte, error) {
	if len(outline) == 0 {
		return nil, nil
	}
	if len(outline) < 10 {
		return nil, errFont
	}
	if contours := i16(outline, 0); contours >= 0 {
		return stripSimple(outline, contours)
	}
	out := slices.Clone(outline)
	for at := 10; ; {
		if at+4 > len(out) {
			return nil, errFont
		}
		flags := u16(out, at)
		binary.BigEndian.PutUint16(out[at:], uint16(flags&^compHaveInstructions))
		binary.BigEndian.PutUint16(out[at+2:], s.number(u16(out, at+2)))
		at += 6
		if flags&compArgsAreWords != 0 {
			at += 2
		}
		switch {
		case flags&compHaveScale != 0:
			at += 2
		case flags&compHaveXYScale != 0:
			at += 4
		case flags&compHaveTwoByTwo != 0:
			at += 8
		}
		if at > len(out) {
			return nil, errFont
		}
		if flags&compMoreComponents == 0 {
			return out[:at], nil
		}
	}
}

func stripSimple(outline []byte, contours int) ([]byte, error) {
	at := 10 + 2*contours
	if at+2 > len(outline) {
		return nil, errFont
	}
	points := at + 2 + u16(outline, at)
	if points > len(outline) {
		return nil, errFont
	}
	out := append(slices.Clone(outline[:at]), 0, 0)
	return append(out, outline[points:]...), nil
}

type table struct {
	tag  string
	data []byte
}

// assemble writes the table directory, the tables and their checksums (OpenType "otff").
func assemble(tables []table) []byte {
	n := len(tables)
	power, selector := 1, 0
	for power*2 <= n {
		power, selector = power*2, selector+1
	}
	out := []byte{0, 1, 0, 0}
	for _, v := range []int{n, power * 16, selector, (n - power) * 16} {
		out = binary.BigEndian.AppendUint16(out, uint16(v))
	}
	offset, headAt := 12+16*n, 0
	for _, t := range tables {
		if t.tag == "head" {
			headAt = offset
		}
		out = append(out, t.tag...)
		for _, v := range []int{int(checksum(t.data)), offset, len(t.data)} {
			out = binary.BigEndian.AppendUint32(out, uint32(v))
		}
		offset += (len(t.data) + 3) &^ 3
	}
	for _, t := range tables {
		out = append(out, t.data...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	binary.BigEndian.PutUint32(out[headAt+8:], 0xB1B0AFBA-checksum(out))
	return out
}

func checksum(b []byte) uint32 {
	var sum uint32
	for len(b) >= 4 {
		sum += binary.BigEndian.Uint32(b)
		b = b[4:]
	}
	if len(b) > 0 {
		var last [4]byte
		copy(last[:], b)
		sum += binary.BigEndian.Uint32(last[:])
	}
	return sum
}
