package pdf

import (
	"strings"
)

// newField judges a field or widget that was not in the form: only signature fields may be added, or widgets of
// such a field.
func (d *diff) newField(p *place, n Object, c fieldContext) {
	ref, _ := n.(Ref)
	if !d.enter(nil, n, "new field") {
		return
	}
	b, ok := d.in(d.new, n).(Dict)
	if !ok {
		return // no field
	}
	d.fields[ref.Num] = true
	c = c.into(d, d.new, b)
	if b["T"] == nil && c.name != "" && !c.signing && c.kind != nil {
		d.forbid(p, "form: widget added to a field")
		return
	}
	d.newSignatureField(p, b, c, 0)
}

// newSignatureField judges the dictionary of a new signature field and of its widgets.
func (d *diff) newSignatureField(p *place, b Dict, c fieldContext, depth int) {
	if c.kind != Name("Sig") {
		if kids, ok := d.in(d.new, b["Kids"]).(Array); ok && c.kind == nil && depth < d.f.lim.MaxDepth && b["V"] == nil {
			d.newKids(p, kids, c, depth)
			return
		}
		d.forbid(p, "form: field added")
		return
	}
	stamp := false
	if v := b["V"]; v != nil {
		stamp = d.newSignature(p.at("V", v), v)
	}
	if !d.bound.forms() && !stamp && depth == 0 {
		d.forbid(p, "signature: field added where no change is permitted")
		return
	}
	if _, taken := d.namesAt(d.old)[c.name]; taken && b["T"] != nil {
		d.forbid(p, "form: field added under a name that is in use")
		return
	}
	for key, v := range b {
		if !strings.Contains(newFieldKeys, " "+string(key)+" ") && !d.plain(v, 0) {
			d.doubt(p.at(key, v), "signature: unknown entry of a new field")
		}
	}
	if b["A"] != nil || b["AA"] != nil {
		d.forbid(p, "signature: field with an action added")
		return
	}
	d.emptyField(p, b, c)
	if kids, ok := d.in(d.new, b["Kids"]).(Array); ok && depth < d.f.lim.MaxDepth {
		c.signing = true
		d.newKids(p, kids, c, depth)
	}
}

// emptyField judges a new signature field by whether it was signed. Adding one for somebody to sign later is not signing,
// and no filling in (ISO 32000-2 table 257): a certification that names what is permitted does not permit it, and
// without one a person should look who asks for a signature on what others have signed.
func (d *diff) emptyField(p *place, b Dict, c fieldContext) {
	switch {
	case b["V"] != nil || c.signing:
		d.permit(p, "signature: field added")
	case d.bound.level == levelNone || d.bound.level == levelAnnots:
		d.doubt(p, "signature: empty field added")
	default:
		d.forbid(p, "signature: empty field added where only filling in and signing are permitted")
	}
}

// newFieldKeys are the entries that a signature field and its widget may have (ISO 32000-2 tables 166, 191,
// 226, 235).
const newFieldKeys = " Type Subtype FT T TU TM V F Ff Rect P AP AS MK DA DR Q H BS Border C Lock SV Parent Kids StructParent M NM OC Contents A AA "

func (d *diff) newKids(p *place, kids Array, c fieldContext, depth int) {
	for i, k := range kids {
		q := p.at("Kids", nil).item(i, k)
		ref, _ := k.(Ref)
		if _, was := d.in(d.old, k).(Dict); was && ref != (Ref{}) {
			d.forbid(q, "form: an older object made part of a new field")
			continue
		}
		b, ok := d.in(d.new, k).(Dict)
		if !ok || !d.enter(nil, k, "new field") {
			continue
		}
		d.fields[ref.Num] = true
		d.newSignatureField(q, b, c.into(d, d.new, b), depth+1)
	}
}

// namesAt gives the full names of the signature fields of a view.
func (d *diff) namesAt(v *View) map[string]bool {
	out := map[string]bool{}
	fields, err := d.f.signatureFields(v)
	if err != nil {
		return out
	}
	for _, f := range fields {
		out[f.name] = true
	}
	return out
}

// newSignature judges a signature made later; it tells whether it is a document time stamp.
func (d *diff) newSignature(p *place, n Object) (stamp bool) {
	sig, ok := d.in(d.new, n).(Dict)
	if !ok {
		d.doubt(p, "signature: no signature dictionary")
		return false
	}
	if r, ok := n.(Ref); ok && d.in(d.old, r) != nil && !d.same(r, r) {
		d.doubt(p, "signature: an older object made a signature")
	}
	refs, _ := d.in(d.new, sig["Reference"]).(Array)
	for _, e := range refs {
		if t, ok := d.in(d.new, e).(Dict); ok && d.in(d.new, t["TransformMethod"]) == Name("DocMDP") {
			// ISO 32000-2 §12.8.2.2.1: one certification, and it is the first signature.
			d.forbid(p, "signature: certified after a signature")
			return false
		}
	}
	stamp = d.in(d.new, sig["SubFilter"]) == Name("ETSI.RFC3161")
	switch {
	case stamp:
		d.permit(p, "signature: document time stamp")
	case !d.bound.forms():
		d.forbid(p, "signature: made where no change is permitted")
	default:
		d.permit(p, "signature: made")
	}
	return stamp
}

// newWidget judges where the widget of a new signature field stands: it may not cover what was signed. Text and
// images of the page are not known here, the other annotations are.
func (d *diff) newWidget(p *place, b Dict, others Array) {
	box, ok := d.rect(d.new, b["Rect"])
	if !ok || box[0] == box[2] || box[1] == box[3] || b["AP"] == nil {
		d.permit(p, "signature: widget added")
		return
	}
	if !d.bound.forms() {
		d.forbid(p, "signature: visible where no change is permitted")
		return
	}
	if page, ok := d.in(d.new, b["P"]).(Dict); ok {
		if g, err := d.new.Geometry(page); err == nil {
			whole := (g.Box[2] - g.Box[0]) * (g.Box[3] - g.Box[1])
			if (box[2]-box[0])*(box[3]-box[1]) > whole/3 {
				d.doubt(p, "signature: covers a large part of the page")
				return
			}
		}
	}
	for _, e := range others {
		if d.covers(box, e) {
			d.doubt(p, "signature: covers an older annotation")
			return
		}
	}
	d.permit(p, "signature: widget added")
}

// covers tells whether a box overlaps an annotation of the signed revision that can be seen. Agencies put their
// seal over a part of the signature before it (NĐ 30/2020), so other signatures do not count.
func (d *diff) covers(box [4]float64, o Object) bool {
	a, ok := d.in(d.old, o).(Dict)
	if !ok || a["AP"] == nil {
		return false
	}
	if f, ok := d.in(d.old, a["F"]).(int64); ok && f&(1<<1|1<<5) != 0 { // hidden, no view
		return false
	}
	if a.Name("Subtype") == "Widget" {
		kind := d.in(d.old, a["FT"])
		if parent, ok := d.in(d.old, a["Parent"]).(Dict); ok && kind == nil {
			kind = d.in(d.old, parent["FT"])
		}
		if kind == Name("Sig") {
			return false
		}
	}
	r, ok := d.rect(d.old, a["Rect"])
	return ok && box[0] < r[2] && r[0] < box[2] && box[1] < r[3] && r[1] < box[3]
}

// rect reads a rectangle with its corners in order.
func (d *diff) rect(v *View, o Object) (r [4]float64, ok bool) {
	list, ok := d.in(v, o).(Array)
	if !ok || len(list) != 4 {
		return r, false
	}
	for i, e := range list {
		switch n := d.in(v, e).(type) {
		case int64:
			r[i] = float64(n)
		case float64:
			r[i] = n
		default:
			return r, false
		}
	}
	return [4]float64{min(r[0], r[2]), min(r[1], r[3]), max(r[0], r[2]), max(r[1], r[3])}, true
}

func zeroRect(d *diff, v *View, o Object) bool {
	r, ok := d.rect(v, o)
	return ok && (r[0] == r[2] || r[1] == r[3])
}
