package pdf

// trailer judges the trailer, and through /Root the document. The other entries are about the file: /Info and
// /ID change with every update; nothing that is shown hangs on them.
func (d *diff) trailer() {
	o, n := d.old.Trailer(), d.new.Trailer()
	for _, key := range []Name{"Encrypt"} {
		d.frozen((*place)(nil).at(key, n[key]), o[key], n[key], "trailer")
	}
	for _, key := range []Name{"Info", "ID"} {
		if !d.same(o[key], n[key]) && d.enter(o[key], n[key], "info") {
			d.permit((*place)(nil).at(key, n[key]), "metadata")
		}
	}
	d.catalog((*place)(nil).at("Root", n["Root"]), o["Root"], n["Root"])
}

// catalog judges the document catalog (ISO 32000-2 table 29). A new number for it is no change: what it holds
// is compared.
func (d *diff) catalog(p *place, o, n Object) {
	if d.same(o, n) || !d.enter(o, n, "catalog") {
		return
	}
	a, b := d.dicts(o, n)
	if a == nil || b == nil {
		d.forbid(p, "catalog")
		return
	}
	// Fields first: other places may name them.
	if !d.same(a["AcroForm"], b["AcroForm"]) {
		d.form(p.at("AcroForm", b["AcroForm"]), a["AcroForm"], b["AcroForm"])
	}
	if !d.same(a["Pages"], b["Pages"]) {
		d.pageNode(p.at("Pages", b["Pages"]), a["Pages"], b["Pages"])
	}
	d.differing(a, b, func(key Name, x, y Object) {
		if key != "AcroForm" && key != "Pages" {
			d.catalogEntry(p.at(key, y), key, x, y)
		}
	})
}

func (d *diff) catalogEntry(p *place, key Name, o, n Object) {
	switch key {
	case "DSS":
		d.dss(p, o, n)
	case "Perms":
		d.perms(p, o, n)
	case "StructTreeRoot":
		d.structRoot(p, o, n)
	case "Metadata":
		if d.enter(o, n, "metadata") {
			d.permit(p, "metadata")
		}
	case "Extensions":
		d.extensions(p, o, n)
	case "Version":
		d.version(p, o, n)
	case "PieceInfo":
		d.doubt(p, "catalog: private data")
	default:
		d.frozen(p, o, n, "catalog")
	}
}

// version permits a later version of the language (ISO 32000-2 §7.2.2).
func (d *diff) version(p *place, o, n Object) {
	a, b := d.both(o, n)
	older, _ := a.(Name)
	newer, ok := b.(Name)
	if ok && newer >= older {
		d.permit(p, "version")
		return
	}
	d.doubt(p, "version: lowered")
}

// extensions permits what tells readers which extensions are used (ISO 32000-2 §7.12): names, versions, text.
func (d *diff) extensions(p *place, o, n Object) {
	if !d.enter(o, n, "extensions") {
		return
	}
	a, b := d.both(o, n)
	if _, ok := b.(Dict); !ok && (b != nil || a != nil) {
		d.forbid(p, "extensions")
		return
	}
	if d.plain(b, 0) {
		if d.fewerExtensions(a, b) {
			d.doubt(p, "extensions: removed or lowered")
			return
		}
		d.permit(p, "extensions")
		return
	}
	d.forbid(p, "extensions: not of their form")
}

// fewerExtensions tells that a developer's extension is gone, or has a lower base version or level than before (ISO
// 32000-2 §7.12.2 and §7.12.3). It changes nothing that is shown, but no writer that only adds does it.
func (d *diff) fewerExtensions(o, n Object) bool {
	older, _ := o.(Dict)
	newer, _ := n.(Dict)
	for key, x := range older {
		if key == "Type" {
			continue
		}
		a, b := d.extensionLevels(d.old, x), d.extensionLevels(d.new, newer[key])
		if len(a) > 0 && len(b) == 0 {
			return true
		}
		if len(a) == 1 && len(b) == 1 && (b[0].base < a[0].base || b[0].base == a[0].base && b[0].level < a[0].level) {
			return true
		}
	}
	return false
}

// extensionLevel is one developer extensions dictionary.
type extensionLevel struct {
	base  Name
	level int64
}

// extensionLevels reads one, or an array of them (PDF 2.0).
func (d *diff) extensionLevels(v *View, o Object) []extensionLevel {
	list := Array{o}
	if a, ok := d.in(v, o).(Array); ok {
		list = a
	}
	var out []extensionLevel
	for _, e := range list {
		if x, ok := d.in(v, e).(Dict); ok && d.step() {
			base, _ := d.in(v, x["BaseVersion"]).(Name)
			level, _ := d.in(v, x["ExtensionLevel"]).(int64)
			out = append(out, extensionLevel{base, level})
		}
	}
	return out
}

// plain tells data without streams, of bounded depth.
func (d *diff) plain(n Object, depth int) bool {
	if depth > 6 {
		return false
	}
	switch n := d.in(d.new, n).(type) {
	case Dict:
		for _, v := range n {
			if !d.plain(v, depth+1) {
				return false
			}
		}
	case Array:
		for _, v := range n {
			if !d.plain(v, depth+1) {
				return false
			}
		}
	case *Stream, broken:
		return false
	}
	return d.step()
}

// dss judges the document security store (ETSI EN 319 142-1 §5.4.2.2). Validation data may be added and
// replaced: it proves itself. It may not be taken away altogether.
func (d *diff) dss(p *place, o, n Object) {
	if !d.enter(o, n, "dss") {
		return
	}
	a, b := d.both(o, n)
	store, ok := b.(Dict)
	if !ok {
		if a != nil {
			d.forbid(p, "dss: removed")
		}
		return
	}
	for key, v := range store {
		q := p.at(key, v)
		switch key {
		case "Certs", "CRLs", "OCSPs":
			d.streams(q, v)
		case "VRI":
			vri, ok := d.in(d.new, v).(Dict)
			if !ok {
				d.doubt(q, "dss: not of its form")
			}
			for name, e := range vri {
				d.vri(q.at(name, e), e)
			}
		case "Type":
		default:
			if old, ok := a.(Dict); !ok || !d.same(old[key], v) {
				d.doubt(q, "dss: unknown entry")
			}
		}
	}
	d.permit(p, "dss: validation data")
}

// vri judges the validation data of one signature.
func (d *diff) vri(p *place, n Object) {
	e, ok := d.in(d.new, n).(Dict)
	if !ok {
		d.doubt(p, "dss: not of its form")
		return
	}
	for key, v := range e {
		switch key {
		case "Cert", "CRL", "OCSP":
			d.streams(p.at(key, v), v)
		case "TS":
			if _, ok := d.in(d.new, v).(*Stream); !ok {
				d.doubt(p.at(key, v), "dss: not of its form")
			}
		}
	}
}

// streams judges an array of streams.
func (d *diff) streams(p *place, n Object) {
	list, ok := d.in(d.new, n).(Array)
	if !ok {
		d.doubt(p, "dss: not of its form")
		return
	}
	for i, e := range list {
		if s, ok := d.in(d.new, e).(*Stream); !ok || s.Dict["Subtype"] != nil || !d.step() {
			d.doubt(p.item(i, e), "dss: not of its form")
			return
		}
	}
}

// perms judges the permissions dictionary (ISO 32000-2 §12.8.6): what a certification or usage rights said stays.
func (d *diff) perms(p *place, o, n Object) {
	if !d.enter(o, n, "perms") {
		return
	}
	a, b := d.dicts(o, n)
	d.differing(a, b, func(key Name, x, y Object) {
		switch {
		case (key == "UR3" || key == "UR") && y == nil:
			// Rights that one vendor's reader was given; readers of others take them away when they write.
			d.permit(p.at(key, y), "permissions: usage rights removed")
		case key == "DocMDP" && x == nil:
			d.forbid(p.at(key, y), "permissions: certified after a signature")
		default:
			d.frozen(p.at(key, y), x, y, "permissions")
		}
	})
}
