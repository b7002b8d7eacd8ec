package pdf

import (
	"slices"
)

// structRoot judges the structure tree (ISO 32000-2 §14.7). It may grow by the elements of annotations and
// widgets that were permitted themselves, and lose those of removed ones.
func (d *diff) structRoot(p *place, o, n Object) {
	if !d.enter(o, n, "structure") {
		return
	}
	a, b := d.dicts(o, n)
	if a == nil || b == nil {
		d.forbid(p, "structure: tree added or removed")
		return
	}
	d.differing(a, b, func(key Name, x, y Object) {
		q := p.at(key, y)
		switch key {
		case "K":
			d.structKids(q, x, y)
		case "ParentTree":
			d.parentTree(q, x, y)
		case "ParentTreeNextKey":
			d.permit(q, "structure: next key")
		case "RoleMap", "ClassMap":
			d.additive(q, x, y)
		default:
			d.frozen(q, x, y, "structure")
		}
	})
}

// additive permits new entries of a dictionary.
func (d *diff) additive(p *place, o, n Object) {
	a, b := d.dicts(o, n)
	if b == nil {
		d.forbid(p, "structure")
		return
	}
	d.differing(a, b, func(key Name, x, y Object) {
		if x == nil {
			d.permit(p.at(key, y), "structure: roles added")
			return
		}
		d.frozen(p.at(key, y), x, y, "structure")
	})
}

// structElem judges a pair of structure elements.
func (d *diff) structElem(p *place, o, n Object) {
	if d.same(o, n) || !d.enter(o, n, "structure") {
		return
	}
	a, b := d.dicts(o, n)
	if a == nil || b == nil {
		d.frozen(p, o, n, "structure")
		return
	}
	if a.Name("Type") == "OBJR" || b.Name("Type") == "OBJR" {
		// The annotation itself is judged on its page.
		if !d.sameContent(a, b) {
			d.forbid(p, "structure: element changed")
		}
		return
	}
	d.differing(a, b, func(key Name, x, y Object) {
		q := p.at(key, y)
		switch key {
		case "K":
			d.structKids(q, x, y)
		case "P", "Pg":
			if !d.sameContent(x, y) {
				d.forbid(q, "structure: element moved")
			}
		default:
			d.frozen(q, x, y, "structure: element changed")
		}
	})
}

// list gives /K as an array: it may be one kid alone.
func (d *diff) list(v *View, o Object) Array {
	switch a := d.in(v, o).(type) {
	case nil:
		return nil
	case Array:
		return a
	}
	return Array{o}
}

// structKids judges the kids of an element: the older ones stay, in their order.
func (d *diff) structKids(p *place, o, n Object) {
	if !d.step() {
		return
	}
	a, b := d.list(d.old, o), d.list(d.new, n)
	where := indexRefs(b)
	j := 0
	for i, e := range a {
		k := d.find(e, b, j, where)
		if k < 0 {
			if d.onlyAnnots(d.old, e, d.removedAnnots, 0) {
				d.permit(p.item(i, e), "structure: element of a removed annotation")
				continue
			}
			d.forbid(p.item(i, e), "structure: element removed or changed")
			continue
		}
		for ; j < k; j++ {
			d.newKid(p.item(j, b[j]), b[j])
		}
		d.structElem(p.item(k, b[k]), e, b[k])
		j = k + 1
	}
	for ; j < len(b); j++ {
		d.newKid(p.item(j, b[j]), b[j])
	}
}

// find tells where a kid stands in b, from j on: by its reference, else by what it says. -1 is nowhere.
func (d *diff) find(e Object, b Array, j int, where map[Ref]int) int {
	if r, ok := e.(Ref); ok {
		if k, ok := where[r]; ok && k >= j {
			return k
		}
		return -1
	}
	for k := j; k < len(b) && d.step(); k++ {
		if d.sameContent(e, b[k]) {
			return k
		}
	}
	return -1
}

// newKid judges a new element.
func (d *diff) newKid(p *place, n Object) {
	if d.onlyAnnots(d.new, n, d.addedAnnots, 0) {
		d.permit(p, "structure: element of a new annotation")
		return
	}
	d.forbid(p, "structure: element added")
}

// onlyAnnots tells whether an element holds nothing but annotations of a set.
func (d *diff) onlyAnnots(v *View, o Object, set map[Ref]bool, depth int) bool {
	if depth > 20 || !d.step() {
		return false
	}
	e, ok := d.in(v, o).(Dict)
	if !ok {
		return false
	}
	if r, ok := o.(Ref); ok && v == d.old {
		d.visited[r.Num] = true
	}
	if e.Name("Type") == "OBJR" {
		r, ok := e["Obj"].(Ref)
		return ok && set[r]
	}
	if r, ok := o.(Ref); !ok || v == d.new && d.in(d.old, r) != nil {
		return false // an older object cannot be a new element
	}
	kids := d.list(v, e["K"])
	return len(kids) > 0 && !slices.ContainsFunc(kids, func(k Object) bool { return !d.onlyAnnots(v, k, set, depth+1) })
}

// parentTree judges the number tree from marked content and annotations to elements: what it said it says still,
// except of annotations that are gone.
func (d *diff) parentTree(p *place, o, n Object) {
	if !d.enter(o, n, "structure") {
		return
	}
	a, b := map[int64]Object{}, map[int64]Object{}
	if !d.numbers(d.old, o, a, 0) || !d.numbers(d.new, n, b, 0) {
		d.doubt(p, "structure: parent tree cannot be read")
		return
	}
	keys := make([]int64, 0, len(a))
	for k := range a {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if _, ok := b[k]; !ok && len(d.removedAnnots) > 0 {
			continue
		}
		if !d.sameParents(a[k], b[k]) {
			d.forbid(p, "structure: parent tree changed")
			return
		}
	}
	d.permit(p, "structure: parent tree")
}

// sameParents compares two values of the parent tree: an element, or an array of elements.
func (d *diff) sameParents(o, n Object) bool {
	if d.sameContent(o, n) {
		if _, ok := o.(Ref); !ok {
			return true
		}
	}
	a, ok1 := d.in(d.old, o).(Array)
	b, ok2 := d.in(d.new, n).(Array)
	if ok1 != ok2 {
		return false
	}
	if !ok1 {
		return d.sameContent(o, n)
	}
	// Marked content is numbered from 0: a page that had none gains none here.
	return slices.EqualFunc(a, b, d.sameContent)
}

// numbers reads a number tree (ISO 32000-2 §7.9.7).
func (d *diff) numbers(v *View, o Object, out map[int64]Object, depth int) bool {
	node, ok := d.in(v, o).(Dict)
	if !ok || depth > 30 || !d.step() {
		return o == nil
	}
	if r, ok := o.(Ref); ok && v == d.old {
		d.visited[r.Num] = true
	}
	nums, _ := d.in(v, node["Nums"]).(Array)
	for i := 0; i+1 < len(nums); i += 2 {
		k, ok := d.in(v, nums[i]).(int64)
		if !ok {
			return false
		}
		out[k] = nums[i+1]
	}
	kids, _ := d.in(v, node["Kids"]).(Array)
	for _, k := range kids {
		if !d.numbers(v, k, out, depth+1) {
			return false
		}
	}
	return true
}
