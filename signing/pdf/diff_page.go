package pdf

import (
	"slices"
)

// pageNode judges a page or a node of the page tree. The tree itself must stay as it is.
func (d *diff) pageNode(p *place, o, n Object) {
	if d.same(o, n) {
		return
	}
	or, ok1 := o.(Ref)
	nr, ok2 := n.(Ref)
	if !ok1 || !ok2 || or != nr {
		d.forbid(p, "page tree: another page")
		return
	}
	if !d.enter(o, n, "page tree") {
		return
	}
	a, b := d.dicts(o, n)
	if a == nil || b == nil {
		d.forbid(p, "page tree")
		return
	}
	if !d.same(a["Kids"], b["Kids"]) {
		d.pageKids(p.at("Kids", b["Kids"]), a["Kids"], b["Kids"])
	}
	d.differing(a, b, func(key Name, x, y Object) {
		q := p.at(key, y)
		switch key {
		case "Kids":
		case "Annots":
			d.annots(q, x, y)
		case "Parent":
			if !d.sameContent(x, y) {
				d.forbid(q, "page tree: another parent")
			}
		case "Tabs":
			d.tabs(q)
		case "StructParents":
			if x == nil && d.bound.forms() {
				d.permit(q, "structure: page is named in the parent tree")
				return
			}
			d.forbid(q, "structure")
		case "Metadata", "LastModified", "PieceInfo":
			d.permit(q, "metadata")
		case "ITXT": // the name of the writing program
			if _, ok := d.in(d.new, y).(String); ok {
				d.permit(q, "metadata")
				return
			}
			d.frozen(q, x, y, "page")
		case "MediaBox", "CropBox", "Rotate", "UserUnit", "Resources":
			if a["Kids"] == nil && b["Kids"] == nil && d.sameAttr(a, b, key) {
				d.permit(q, "page: written as it was inherited")
				return
			}
			d.frozen(q, x, y, "page")
		default:
			d.frozen(q, x, y, "page")
		}
	})
}

// sameAttr compares what a page has of an attribute with its inheritance and default (ISO 32000-2 table 31).
func (d *diff) sameAttr(o, n Dict, key Name) bool {
	x, y := d.pageAttr(d.old, o, key), d.pageAttr(d.new, n, key)
	return x != nil && y != nil && d.unchanged(x, y)
}

func (d *diff) pageAttr(v *View, page Dict, key Name) Object {
	o, err := v.PageAttr(page, key)
	switch {
	case err != nil:
		return broken{}
	case o != nil:
		return o
	case key == "CropBox":
		return d.pageAttr(v, page, "MediaBox")
	case key == "Rotate":
		return int64(0)
	case key == "UserUnit":
		return int64(1)
	}
	return nil
}

// tabs judges the order in which a key moves between annotations; writers set it with the first one they add.
func (d *diff) tabs(p *place) {
	if d.bound.forms() {
		d.permit(p, "page: order of annotations")
		return
	}
	d.forbid(p, "page: order of annotations")
}

func (d *diff) pageKids(p *place, o, n Object) {
	if !d.enter(o, n, "page tree") {
		return
	}
	a, ok1 := d.in(d.old, o).(Array)
	b, ok2 := d.in(d.new, n).(Array)
	if !ok1 || !ok2 || !slices.EqualFunc(a, b, d.sameContent) {
		d.forbid(p, "page tree: pages added, removed or moved")
		return
	}
	for i := range a {
		d.pageNode(p.item(i, b[i]), a[i], b[i])
	}
}

// annots judges the list of annotations of a page.
func (d *diff) annots(p *place, o, n Object) {
	if !d.enter(o, n, "annotations") {
		return
	}
	x, y := d.both(o, n)
	a, ok1 := x.(Array)
	b, ok2 := y.(Array)
	if !ok1 && x != nil || !ok2 && y != nil {
		d.forbid(p, "annotations: no list")
		return
	}
	where := indexRefs(b)
	last := -1
	for i, e := range a {
		ref, ok := e.(Ref)
		j, found := where[ref]
		if !ok {
			j = slices.IndexFunc(b, func(f Object) bool { return d.step() && d.same(e, f) })
			found = j >= 0
		}
		switch {
		case !found:
			d.removedAnnot(p.item(i, e), e)
			continue
		case j < last:
			d.doubt(p.item(j, b[j]), "annotations: put in another order")
		}
		last = max(last, j)
		d.annot(p.item(j, b[j]), e, b[j])
	}
	kept := indexRefs(a)
	for j, e := range b {
		ref, ok := e.(Ref)
		_, found := kept[ref]
		if !ok {
			found = slices.ContainsFunc(a, func(f Object) bool { return d.step() && d.same(f, e) })
		}
		if !found {
			d.addedAnnot(p.item(j, e), e, a)
		}
	}
}

// indexRefs tells where each reference of a list stands.
func indexRefs(list Array) map[Ref]int {
	out := make(map[Ref]int, len(list))
	for i, e := range list {
		if r, ok := e.(Ref); ok {
			out[r] = i
		}
	}
	return out
}

// removedAnnot judges that an annotation is gone from its page.
func (d *diff) removedAnnot(p *place, o Object) {
	if r, ok := o.(Ref); ok {
		d.visited[r.Num] = true
		d.removedAnnots[r] = true
	}
	a, ok := d.in(d.old, o).(Dict)
	if !ok {
		return // nothing was shown
	}
	if a.Name("Subtype") == "Widget" {
		name, signed := d.fieldOf(d.old, a)
		if signed || d.bound.locked(name) {
			d.forbid(p, "annotations: widget of a signed or locked field removed")
			return
		}
	}
	switch {
	case d.bound.level == levelAnnots:
		d.permit(p, "annotations: removed")
	case d.bound.level == levelNone && a["AP"] == nil:
		d.doubt(p, "annotations: removed")
	default:
		d.forbid(p, "annotations: removed")
	}
}

// fieldOf finds the full name of the field to which a widget belongs, and whether it is a signed signature field.
func (d *diff) fieldOf(v *View, w Dict) (name string, signed bool) {
	var kind Object
	for range v.f.lim.MaxDepth {
		if s, ok := d.in(v, w["T"]).(String); ok {
			if name != "" {
				name = "." + name
			}
			name = s.Text() + name
		}
		if kind == nil {
			kind = d.in(v, w["FT"])
		}
		if _, ok := d.in(v, w["V"]).(Dict); ok {
			signed = true
		}
		parent, ok := d.in(v, w["Parent"]).(Dict)
		if !ok {
			break
		}
		w = parent
	}
	return name, signed && kind == Name("Sig")
}

// annot judges an annotation that is still on its page.
func (d *diff) annot(p *place, o, n Object) {
	if d.unchanged(o, n) {
		return
	}
	a, b := d.dicts(o, n)
	if a == nil || b == nil {
		if d.enter(o, n, "annotation") {
			d.forbid(p, "annotations: not an annotation any more")
		}
		return
	}
	if r, ok := n.(Ref); ok && d.fields[r.Num] {
		return // judged with its field
	}
	if !d.enter(o, n, "annotation") {
		return
	}
	if a.Name("Subtype") == "Widget" || b.Name("Subtype") == "Widget" {
		// A widget that no field holds: as a field of its own.
		name, signed := d.fieldOf(d.old, a)
		d.fieldEntries(p, a, b, fieldContext{name: name, kind: d.in(d.old, a["FT"]), signed: signed})
		return
	}
	if !d.bound.annots() {
		d.frozen(p, o, n, "annotations: changed")
		return
	}
	if !d.enter(o, n, "annotation entries") {
		return
	}
	d.differing(a, b, func(key Name, x, y Object) {
		q := p.at(key, y)
		switch key {
		case "Subtype", "P":
			if !d.sameContent(x, y) {
				d.forbid(q, "annotations: made another kind")
			}
		case "AP", "Rect", "F", "OC":
			if d.bound.level == levelAnnots {
				d.shownAnnot(q, b, "annotations: changed")
				return
			}
			d.doubt(q, "annotations: changed where it is seen")
		case "A", "AA":
			d.action(q, y)
		default:
			d.permit(q, "annotations: changed")
		}
	})
	if r, ok := o.(Ref); ok {
		d.loose[r.Num] = p
	}
}

// addedAnnot judges a new annotation; others are those that were on the page.
func (d *diff) addedAnnot(p *place, n Object, others Array) {
	if !d.step() {
		return
	}
	ref, _ := n.(Ref)
	b, ok := d.in(d.new, n).(Dict)
	if !ok {
		return // shows nothing
	}
	d.addedAnnots[ref] = true
	if b.Name("Subtype") == "Widget" {
		if d.fields[ref.Num] {
			d.newWidget(p, b, others)
			return
		}
		d.forbid(p, "annotations: widget of no field added")
		return
	}
	if !d.bound.annots() {
		d.forbid(p, "annotations: added")
		return
	}
	d.action(p.at("A", b["A"]), b["A"])
	d.action(p.at("AA", b["AA"]), b["AA"])
	d.shownAnnot(p, b, "annotations: added")
}

// shownAnnot judges what an annotation shows. Without a stream of its own the reader draws a note, a link or a
// mark, which cannot be taken for content of the page; with one, and for kinds that carry text or media, it can.
func (d *diff) shownAnnot(p *place, a Dict, rule string) {
	switch a.Name("Subtype") {
	case "Text", "Popup", "Link":
		d.permit(p, rule)
	case "Highlight", "Underline", "Squiggly", "StrikeOut", "Caret", "Ink", "Line", "Square", "Circle", "Polygon", "PolyLine":
		if a["AP"] == nil {
			d.permit(p, rule)
			return
		}
		d.doubt(p, rule+" with a drawing of its own")
	case "FreeText", "Stamp", "Watermark", "Redact", "FileAttachment":
		d.doubt(p, rule+": can cover or pass for content")
	default:
		d.forbid(p, rule+": of a kind that no reader should run")
	}
}

// action judges a new or changed action: leading somewhere is permitted, doing something is not.
func (d *diff) action(p *place, n Object) {
	if n == nil {
		return
	}
	a, ok := d.in(d.new, n).(Dict)
	kind := d.in(d.new, a["S"])
	if ok && a["Next"] == nil && (kind == Name("URI") || kind == Name("GoTo") || kind == Name("GoToR") || kind == Name("Named")) {
		d.permit(p, "annotations: link")
		return
	}
	d.forbid(p, "annotations: action")
}
