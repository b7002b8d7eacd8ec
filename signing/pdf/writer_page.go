package pdf

import (
	"errors"
	"fmt"
)

// PageGeometry is how a page is shown: Box is the visible part of its user space [x0 y0 x1 y1] (the crop
// box within the media box), Rotate the clockwise turn in degrees (0, 90, 180, 270), UserUnit the size of
// a user space unit in points.
type PageGeometry struct {
	Box      [4]float64
	Rotate   int
	UserUnit float64
}

// Size is the width and height in points of a rectangle of the page's user space, as it is shown.
func (g PageGeometry) Size(rect [4]float64) (w, h float64) {
	w, h = (rect[2]-rect[0])*g.UserUnit, (rect[3]-rect[1])*g.UserUnit
	if g.Rotate%180 != 0 {
		w, h = h, w
	}
	return w, h
}

// ErrNoPage is wrapped when a document has no page of the number asked for.
var ErrNoPage = errors.New("no such page")

// Page finds page n, counted from 1; n = 0 means the first and n < 0 counts from the last (-1).
func (v *View) Page(n int) (Ref, Dict, error) {
	type found struct {
		ref  Ref
		page Dict
	}
	var all []found
	var hit *found
	err := v.Pages(func(i int, ref Ref, page Dict) bool {
		if n >= 0 {
			if i == max(n, 1)-1 {
				hit = &found{ref, page}
			}
			return hit == nil
		}
		if all = append(all, found{ref, page}); len(all) > -n {
			all = all[1:] // only the last -n pages matter
		}
		return true
	})
	if err != nil {
		return Ref{}, nil, fmt.Errorf("walking the pages: %w", err)
	}
	if n < 0 && len(all) == -n {
		hit = &all[0]
	}
	if hit == nil {
		return Ref{}, nil, fmt.Errorf("page %d: %w", n, ErrNoPage)
	}
	if hit.ref.Num == 0 {
		return Ref{}, nil, fmt.Errorf("page %d is not an indirect object: %w", n, ErrNoPage)
	}
	return hit.ref, hit.page, nil
}

// Geometry reads a page's boxes, rotation and unit, inherited ones from its parents (ISO 32000-2
// §7.7.3.4). Values that make no sense take their defaults, as viewers do: US Letter, 0 and 1.
func (v *View) Geometry(page Dict) (PageGeometry, error) {
	g := PageGeometry{Box: [4]float64{0, 0, 612, 792}, UserUnit: 1}
	media, hasMedia, err := v.inheritedBox(page, "MediaBox")
	if err != nil {
		return g, err
	}
	if hasMedia {
		g.Box = media
	}
	crop, hasCrop, err := v.inheritedBox(page, "CropBox")
	if err != nil {
		return g, err
	}
	if hasCrop {
		cut := [4]float64{max(crop[0], g.Box[0]), max(crop[1], g.Box[1]), min(crop[2], g.Box[2]), min(crop[3], g.Box[3])}
		if cut[0] < cut[2] && cut[1] < cut[3] {
			g.Box = cut
		}
	}
	rotate, err := v.PageAttr(page, "Rotate")
	if err != nil {
		return g, err
	}
	if r, ok := number(rotate); ok && int64(r)%90 == 0 {
		g.Rotate = int((int64(r)%360 + 360) % 360)
	}
	unit, err := v.Resolve(page["UserUnit"])
	if err != nil {
		return g, err
	}
	if u, ok := number(unit); ok && u > 0 && u <= 1e6 {
		g.UserUnit = u
	}
	return g, nil
}

func (v *View) inheritedBox(page Dict, key Name) (box [4]float64, ok bool, err error) {
	o, err := v.PageAttr(page, key)
	if err != nil {
		return box, false, err
	}
	return v.rectangle(o)
}

// rectangle reads a rectangle and puts its corners in order (ISO 32000-2 §7.9.5).
func (v *View) rectangle(o Object) (box [4]float64, ok bool, err error) {
	a, _ := o.(Array)
	if len(a) != 4 {
		return box, false, nil
	}
	for i := range box {
		e, err := v.Resolve(a[i])
		if err != nil {
			return box, false, err
		}
		f, isNumber := number(e)
		if !isNumber {
			return box, false, nil
		}
		box[i] = f
	}
	box = [4]float64{min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])}
	return box, box[0] < box[2] && box[1] < box[3], nil
}

func number(o Object) (float64, bool) {
	switch n := o.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
