package stamp

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"vanthu/signing/pdf"
)

// PointsPerMM converts millimetres to points (1/72 inch).
const PointsPerMM = 72 / 25.4

// The A4 sheet upright, in millimetres.
const a4Width, a4Height = 210, 297

// RectMM is a rectangle on the page as a reader sees it: millimetres, X and Y from the top left
// corner of the shown page (after /CropBox and /Rotate).
type RectMM struct{ X, Y, W, H float64 }

var (
	// ErrRect is wrapped when a rectangle cannot be read or has no area.
	ErrRect = errors.New("not a rectangle X,Y,W,H in millimetres")
	// ErrOffPage is wrapped when no part of a rectangle is on the page.
	ErrOffPage = errors.New("the rectangle is completely off the page")
)

// ParseRectMM reads "X,Y,W,H" in millimetres, the form of the command line.
func ParseRectMM(s string) (RectMM, error) {
	parts := strings.Split(s, ",")
	if len(parts) != 4 {
		return RectMM{}, fmt.Errorf("%q: %w", s, ErrRect)
	}
	var v [4]float64
	for i, p := range parts {
		f, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return RectMM{}, fmt.Errorf("%q: %w", s, ErrRect)
		}
		v[i] = f
	}
	r := RectMM{v[0], v[1], v[2], v[3]}
	return r, r.check()
}

func (r RectMM) check() error {
	for _, f := range []float64{r.X, r.Y, r.W, r.H} {
		if math.IsNaN(f) || math.Abs(f) > 20000 {
			return fmt.Errorf("%v: %w", r, ErrRect)
		}
	}
	if r.W <= 0 || r.H <= 0 {
		return fmt.Errorf("%v has no area: %w", r, ErrRect)
	}
	return nil
}

// Size is the rectangle's width and height in points.
func (r RectMM) Size() (w, h float64) { return r.W * PointsPerMM, r.H * PointsPerMM }

// On converts the rectangle to the default user space of a page, [x0 y0 x1 y1] with x0<x1 and y0<y1.
// A rectangle that reaches over an edge of the page is moved inside; one larger than the page is cut
// to the page's size; one that has no part on the page is refused with ErrOffPage, since a mistake is
// likelier than the wish to see it at the edge. The places of NĐ 30/2020 Phụ lục I are measured on an upright
// A4 sheet: what lies on that is still moved inside a smaller or turned page.
func (r RectMM) On(p pdf.PageGeometry) ([4]float64, error) {
	if err := r.check(); err != nil {
		return [4]float64{}, err
	}
	unit := PointsPerMM / p.UserUnit
	x0, y0, x1, y1 := p.Box[0], p.Box[1], p.Box[2], p.Box[3]
	pw, ph := x1-x0, y1-y0
	if p.Rotate == 90 || p.Rotate == 270 {
		pw, ph = ph, pw
	}
	if r.X+r.W <= 0 || r.Y+r.H <= 0 || r.X >= max(pw/unit, a4Width) || r.Y >= max(ph/unit, a4Height) {
		return [4]float64{}, fmt.Errorf("%g,%g,%g,%g mm on a page of %.0f × %.0f mm: %w", r.X, r.Y, r.W, r.H, pw/unit, ph/unit, ErrOffPage)
	}
	w, h := min(r.W*unit, pw), min(r.H*unit, ph)
	x := max(0, min(r.X*unit, pw-w))
	y := max(0, min(r.Y*unit, ph-h))
	switch p.Rotate {
	case 90: // shown right is user up, shown down is user right
		return [4]float64{x0 + y, y0 + x, x0 + y + h, y0 + x + w}, nil
	case 180:
		return [4]float64{x1 - x - w, y0 + y, x1 - x, y0 + y + h}, nil
	case 270:
		return [4]float64{x1 - y - h, y1 - x - w, x1 - y, y1 - x}, nil
	default:
		return [4]float64{x0 + x, y1 - y - h, x0 + x + w, y1 - y}, nil
	}
}
