package stamp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"codeberg.org/go-fonts/liberation/liberationserifitalic"
	"codeberg.org/go-fonts/liberation/liberationserifregular"
)

// face is a parsed TrueType font: just enough of it to measure, to find glyphs and to cut a subset.
type face struct {
	tables     map[string][]byte
	unitsPerEm int
	numGlyphs  int
	numHMetric int
	longLoca   bool
	ascent     int // font units
	descent    int // font units, negative
	bbox       [4]int
	cmap       []byte // the format 4 subtable
	italic     bool
}

var errFont = errors.New("embedded font is damaged")

// loadFace parses Liberation Serif, whose widths are those of Times New Roman, the face that NĐ 30/2020 Phụ lục I
// prescribes: upright, or slanted as place and date are set.
func loadFace(italic bool) (*face, error) {
	if !italic {
		return parseFace(liberationserifregular.TTF)
	}
	f, err := parseFace(liberationserifitalic.TTF)
	if err == nil {
		f.italic = true
	}
	return f, err
}

// parseFace reads the table directory and the few header fields in use (OpenType 1.9 "otff").
func parseFace(ttf []byte) (*face, error) {
	if len(ttf) < 12 {
		return nil, errFont
	}
	n := int(binary.BigEndian.Uint16(ttf[4:]))
	if len(ttf) < 12+16*n {
		return nil, errFont
	}
	f := &face{tables: make(map[string][]byte, n)}
	for i := range n {
		rec := ttf[12+16*i:]
		off, length := int(binary.BigEndian.Uint32(rec[8:])), int(binary.BigEndian.Uint32(rec[12:]))
		if off > len(ttf) || length > len(ttf)-off {
			return nil, errFont
		}
		f.tables[string(rec[:4])] = ttf[off : off+length]
	}
	return f, f.readHeaders()
}

func (f *face) readHeaders() error {
	for table, size := range map[string]int{"head": 54, "hhea": 36, "maxp": 32, "hmtx": 4, "loca": 4, "glyf": 10, "cmap": 4} {
		if len(f.tables[table]) < size {
			return fmt.Errorf("table %s: %w", table, errFont)
		}
	}
	head, hhea := f.tables["head"], f.tables["hhea"]
	f.unitsPerEm = u16(head, 18)
	for i := range f.bbox {
		f.bbox[i] = i16(head, 36+2*i)
	}
	f.longLoca = u16(head, 50) == 1
	f.ascent, f.descent = i16(hhea, 4), i16(hhea, 6)
	f.numHMetric = u16(hhea, 34)
	f.numGlyphs = u16(f.tables["maxp"], 4)
	if f.unitsPerEm == 0 || f.numHMetric == 0 || len(f.tables["hmtx"]) < 4*f.numHMetric {
		return errFont
	}
	return f.findCmap()
}

// findCmap picks the Windows Unicode BMP subtable (platform 3, encoding 1, format 4); every
// Vietnamese letter is in the BMP.
func (f *face) findCmap() error {
	t := f.tables["cmap"]
	for i := range u16(t, 2) {
		rec := 4 + 8*i
		if rec+8 > len(t) {
			return errFont
		}
		off := int(binary.BigEndian.Uint32(t[rec+4:]))
		if u16(t, rec) != 3 || u16(t, rec+2) != 1 || off+14 > len(t) || u16(t, off) != 4 {
			continue
		}
		f.cmap = t[off:]
		if length := u16(f.cmap, 2); length <= len(f.cmap) && length >= 16+4*u16(f.cmap, 6) {
			f.cmap = f.cmap[:length]
			return nil
		}
	}
	return fmt.Errorf("no Unicode character map: %w", errFont)
}

// glyph gives the glyph of a character, 0 when the font has none.
func (f *face) glyph(r rune) int {
	if r > 0xFFFF {
		return 0
	}
	c, segX2 := int(r), u16(f.cmap, 6)
	for i := 0; i < segX2; i += 2 {
		end := u16(f.cmap, 14+i)
		if c > end {
			continue
		}
		start, delta := u16(f.cmap, 16+segX2+i), u16(f.cmap, 16+2*segX2+i)
		at := 16 + 3*segX2 + i
		offset := u16(f.cmap, at)
		switch {
		case c < start:
			return 0
		case offset == 0:
			return (c + delta) & 0xFFFF
		}
		at += offset + 2*(c-start)
		if at+2 > len(f.cmap) {
			return 0
		}
		if g := u16(f.cmap, at); g != 0 {
			return (g + delta) & 0xFFFF
		}
		return 0
	}
	return 0
}

// advance is the glyph's width in font units.
func (f *face) advance(gid int) int {
	return u16(f.tables["hmtx"], 4*min(gid, f.numHMetric-1))
}

// width is the width of a text in thousandths of the font size.
func (f *face) width(s string) float64 {
	sum := 0
	for _, r := range s {
		sum += f.advance(f.glyph(r))
	}
	return float64(sum) * 1000 / float64(f.unitsPerEm)
}

// em converts font units to the thousandths that PDF font dictionaries use.
func (f *face) em(units int) int64 { return int64(units) * 1000 / int64(f.unitsPerEm) }

// outline gives the glyf entry of a glyph, empty for one without contours.
func (f *face) outline(gid int) ([]byte, error) {
	loca, glyf := f.tables["loca"], f.tables["glyf"]
	size := 2
	if f.longLoca {
		size = 4
	}
	if gid < 0 || (gid+2)*size > len(loca) {
		return nil, fmt.Errorf("glyph %d: %w", gid, errFont)
	}
	var start, end int
	if f.longLoca {
		start, end = int(binary.BigEndian.Uint32(loca[4*gid:])), int(binary.BigEndian.Uint32(loca[4*gid+4:]))
	} else {
		start, end = 2*u16(loca, 2*gid), 2*u16(loca, 2*gid+2)
	}
	if start > end || end > len(glyf) {
		return nil, fmt.Errorf("glyph %d: %w", gid, errFont)
	}
	return glyf[start:end], nil
}

func u16(b []byte, at int) int { return int(binary.BigEndian.Uint16(b[at:])) }
func i16(b []byte, at int) int { return int(int16(binary.BigEndian.Uint16(b[at:]))) }
