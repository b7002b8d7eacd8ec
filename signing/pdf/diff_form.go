package pdf

// form judges the interactive form (ISO 32000-2 table 224).
func (d *diff) form(p *place, o, n Object) {
	if !d.enter(o, n, "form") {
		return
	}
	a, b := d.dicts(o, n)
	if b == nil {
		d.forbid(p, "form: removed")
		return
	}
	if !d.same(a["Fields"], b["Fields"]) {
		d.fieldList(p.at("Fields", b["Fields"]), a["Fields"], b["Fields"], fieldContext{})
	}
	d.differing(a, b, func(key Name, x, y Object) {
		q := p.at(key, y)
		switch key {
		case "Fields":
		case "SigFlags":
			d.sigFlags(q, x, y)
		case "DR":
			d.resources(q, x, y)
		case "DA", "Q":
			if x == nil {
				d.permit(q, "form: default appearance")
				return
			}
			d.frozen(q, x, y, "form: default appearance")
		case "NeedAppearances":
			d.permit(q, "form: appearances to be made")
		case "XFA":
			d.doubt(q, "form: XFA")
		default:
			d.frozen(q, x, y, "form")
		}
	})
}

// sigFlags: the bits that say "signed" and "append only" are never taken back (ISO 32000-2 table 225).
func (d *diff) sigFlags(p *place, o, n Object) {
	a, b := d.both(o, n)
	older, _ := a.(int64)
	newer, ok := b.(int64)
	if ok && older&^newer == 0 {
		d.permit(p, "form: signature flags")
		return
	}
	d.doubt(p, "form: signature flags taken back")
}

// resources permits new default resources; those that were there may be in use.
func (d *diff) resources(p *place, o, n Object) {
	if !d.enter(o, n, "resources") {
		return
	}
	a, b := d.dicts(o, n)
	d.differing(a, b, func(kind Name, x, y Object) {
		q := p.at(kind, y)
		if x == nil || kind == "XObject" || kind == "ProcSet" {
			// Default appearances name fonts, and with them encodings and colours, never a drawing; writers
			// leave the drawing of the latest signature here.
			d.permit(q, "form: resources added")
			return
		}
		old, now := d.dicts(x, y)
		if old == nil || now == nil {
			d.frozen(q, x, y, "form: resources")
			return
		}
		if !d.enter(x, y, "resources") {
			return
		}
		d.differing(old, now, func(name Name, r, s Object) {
			if r == nil {
				d.permit(q.at(name, s), "form: resources added")
				return
			}
			d.frozen(q.at(name, s), r, s, "form: resources")
		})
	})
}

// fieldContext is what a field has from its parents.
type fieldContext struct {
	name    string
	kind    Object // inherited /FT
	signed  bool   // holds a signature in the signed revision
	signing bool   // is given one
	filled  bool   // has another value than before
}

// into goes down to a field, given its old or only dictionary.
func (c fieldContext) into(d *diff, v *View, f Dict) fieldContext {
	if s, ok := d.in(v, f["T"]).(String); ok {
		if c.name != "" {
			c.name += "."
		}
		c.name += s.Text()
	}
	if kind := d.in(v, f["FT"]); kind != nil {
		c.kind = kind
	}
	return c
}

// fieldList judges /Fields or /Kids.
func (d *diff) fieldList(p *place, o, n Object, c fieldContext) {
	if !d.enter(o, n, "fields") {
		return
	}
	x, y := d.both(o, n)
	a, ok1 := x.(Array)
	b, ok2 := y.(Array)
	if !ok1 && x != nil || !ok2 && y != nil {
		d.forbid(p, "form: no list of fields")
		return
	}
	where := indexRefs(b)
	for i, e := range a {
		ref, indirect := e.(Ref)
		j, found := where[ref]
		switch {
		case indirect && found:
			d.field(p.item(j, b[j]), e, b[j], c)
		case !indirect && i < len(b):
			d.field(p.item(i, b[i]), e, b[i], c)
		default:
			d.removedField(p.item(i, e), e, c)
		}
	}
	kept := indexRefs(a)
	for j, e := range b {
		ref, indirect := e.(Ref)
		if _, found := kept[ref]; indirect && !found {
			d.newField(p.item(j, e), e, c)
		} else if !indirect && (j >= len(a) || !isDirect(a[j])) {
			d.forbid(p.item(j, e), "form: field added")
		}
	}
}

func isDirect(o Object) bool {
	_, ok := o.(Ref)
	return !ok
}

// removedField: fields stay. A mere widget may go where annotations may.
func (d *diff) removedField(p *place, o Object, c fieldContext) {
	if r, ok := o.(Ref); ok {
		d.visited[r.Num] = true
	}
	a, ok := d.in(d.old, o).(Dict)
	if !ok {
		return
	}
	c = c.into(d, d.old, a)
	if a["T"] == nil && a["Kids"] == nil && !c.signed && d.bound.level == levelAnnots && !d.bound.locked(c.name) {
		d.permit(p, "form: widget removed")
		return
	}
	d.forbid(p, "form: field removed")
}

// field judges a field or widget that is still in the form.
func (d *diff) field(p *place, o, n Object, c fieldContext) {
	still := d.unchanged(o, n)
	if r, ok := n.(Ref); ok {
		d.fields[r.Num] = true
	}
	if still || !d.enter(o, n, "field") {
		return
	}
	a, b := d.dicts(o, n)
	if a == nil && b == nil {
		return
	}
	if a == nil || b == nil {
		d.forbid(p, "form: not a field any more")
		return
	}
	c = c.into(d, d.old, a)
	if !d.unchanged(a["V"], b["V"]) {
		c.filled = true
	}
	if c.kind == Name("Sig") {
		_, was := d.in(d.old, a["V"]).(Dict)
		_, is := d.in(d.new, b["V"]).(Dict)
		c.signed = c.signed || was
		c.signing = c.signing || is && !c.signed
	}
	if !d.same(a["Kids"], b["Kids"]) {
		d.fieldList(p.at("Kids", b["Kids"]), a["Kids"], b["Kids"], c)
	}
	d.fieldEntries(p, a, b, c)
}

// fieldEntries judges the entries of a field, a widget, or both in one, except /Kids.
func (d *diff) fieldEntries(p *place, a, b Dict, c fieldContext) {
	locked := d.bound.locked(c.name)
	filled := c.filled || !d.unchanged(a["AS"], b["AS"]) || !d.unchanged(a["RV"], b["RV"]) || !d.unchanged(a["I"], b["I"])
	d.differing(a, b, func(key Name, x, y Object) {
		q := p.at(key, y)
		switch {
		case key == "Kids":
		case key == "Parent":
			if !d.sameContent(x, y) {
				d.forbid(q, "form: field moved")
			}
		case (key == "P" || key == "StructParent") && x == nil, key == "M" && !c.signed:
			d.permit(q, "form: bookkeeping")
		case key == "P" && d.sameContent(x, y): // the page itself is judged with the pages
		case locked && filled && c.kind != Name("Sig") && d.bound.forms() && isFilling(key):
			d.lockedFill(q)
		case locked:
			d.frozen(q, x, y, "form: locked field")
			if x == nil || y == nil {
				d.forbid(q, "form: locked field")
			}
		case c.kind == Name("Sig"):
			d.signatureEntry(q, key, x, y, c)
		default:
			d.valueEntry(q, key, x, y, filled)
		}
	})
}

// RuleLockedFill is the rule of a finding that a field was filled in although a signature locks it.
const RuleLockedFill = "form: locked field filled in"

// isFilling tells the entries that filling in a field writes.
func isFilling(key Name) bool {
	switch key {
	case "V", "AS", "I", "RV", "AP", "DA", "DS", "MK":
		return true
	}
	return false
}

// lockedFill judges that a locked field was filled in the way forms are: value and appearance together, nothing else
// touched. FieldMDP (ISO 32000-2 §12.8.2.4) is what its signer demands of those who come later, not a part of the
// signature's cryptography: who breaks it breaks a constraint, which leaves the signature undecided (ETSI EN 319 102-1
// §5.2.8, SIG_CONSTRAINTS_FAILURE). Anything else done to a locked field is forbidden.
func (d *diff) lockedFill(p *place) { d.doubt(p, RuleLockedFill) }

// valueEntry judges an entry of a field that holds a value. Filling it in changes the value and what is shown
// of it; what is shown without the value is the "replace" attack (shadow documents).
func (d *diff) valueEntry(p *place, key Name, o, n Object, filled bool) {
	switch key {
	case "V", "AS", "I", "RV":
		if !d.bound.forms() {
			d.forbid(p, "form: filled in where no change is permitted")
			return
		}
		d.permit(p, "form: filled in")
	case "AP":
		switch {
		case !d.bound.forms():
			d.forbid(p, "form: filled in where no change is permitted")
		case !filled && d.bound.level == levelAnnots: // a widget is an annotation
			d.doubt(p, "form: shown otherwise without another value")
		case !filled:
			d.forbid(p, "form: shown otherwise without another value")
		default:
			d.permit(p, "form: filled in")
		}
	case "MK", "BS", "Border", "C", "H", "TU", "F", "Rect":
		if d.bound.level == levelAnnots {
			d.permit(p, "annotations: changed")
			return
		}
		d.frozen(p, o, n, "form: field")
	case "Ff":
		if d.bound.forms() && d.closed(o, n) {
			d.permit(p, "form: closed for filling in")
			return
		}
		d.frozen(p, o, n, "form: field")
	case "DA", "DS", "TI":
		if d.bound.forms() && filled {
			d.permit(p, "form: filled in")
			return
		}
		d.frozen(p, o, n, "form: field")
	default:
		d.frozen(p, o, n, "form: field")
	}
}

// closed tells that field flags became read-only and nothing else (ISO 32000-2 table 227), as they do when a
// later signature locks the field.
func (d *diff) closed(o, n Object) bool {
	a, b := d.both(o, n)
	older, _ := a.(int64)
	newer, ok := b.(int64)
	return ok && newer == older|1
}

// signatureEntry judges an entry of a signature field: all is fixed once it is signed; signing gives it a value,
// an appearance and flags.
func (d *diff) signatureEntry(p *place, key Name, o, n Object, c fieldContext) {
	if c.signed {
		d.frozen(p, o, n, "form: signed field")
		if o == nil || n == nil {
			d.forbid(p, "form: signed field")
		}
		return
	}
	if !c.signing {
		if key == "V" || key == "AP" {
			d.doubt(p, "form: empty signature field changed")
			return
		}
		d.frozen(p, o, n, "form: empty signature field")
		return
	}
	switch key {
	case "V":
		d.newSignature(p, n)
	case "AP", "AS", "MK", "DA", "DR", "H", "Type", "Subtype", "BS", "Border", "M":
		d.permit(p, "signature: appearance")
	case "F", "Ff":
		d.permit(p, "signature: flags")
	case "Rect":
		if zeroRect(d, d.old, o) || o == nil {
			d.permit(p, "signature: appearance")
			return
		}
		d.doubt(p, "signature: field moved")
	case "Lock":
		if o == nil {
			d.permit(p, "signature: locks fields")
			return
		}
		d.frozen(p, o, n, "form: field lock")
	default:
		d.frozen(p, o, n, "form: signature field")
	}
}
