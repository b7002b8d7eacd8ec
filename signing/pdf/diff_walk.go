package pdf

import (
	"slices"
)

// maxSteps bounds the pairs of objects that one comparison looks at.
const maxSteps = 5_000_000

// step counts work; false means to stop.
func (d *diff) step() bool {
	if d.stop != nil {
		return false
	}
	if d.steps++; d.steps > maxSteps {
		d.stop = tooLarge(-1, "the revisions differ in too many places")
	} else if d.steps%1024 == 0 {
		d.stop = d.ctx.Err()
	}
	return d.stop == nil
}

// broken stands for an object that cannot be read; it equals nothing.
type broken struct{}

// in resolves an object of a view.
func (d *diff) in(v *View, o Object) Object {
	o, err := v.Resolve(o)
	if err != nil {
		return broken{}
	}
	return o
}

// both resolves the two sides of a pair.
func (d *diff) both(o, n Object) (older, newer Object) { return d.in(d.old, o), d.in(d.new, n) }

// dicts resolves both sides to dictionaries; a side that is none is nil.
func (d *diff) dicts(o, n Object) (older, newer Dict) {
	a, b := d.both(o, n)
	older, _ = a.(Dict)
	newer, _ = b.(Dict)
	return older, newer
}

// same tells that a pair is equal all the way down, without looking further: equal references must lead to
// objects that reach no change.
func (d *diff) same(o, n Object) bool {
	switch o := o.(type) {
	case Ref:
		return n == Object(o) && !d.affected[o.Num]
	case Array:
		a, ok := n.(Array)
		return ok && slices.EqualFunc(o, a, d.same)
	case Dict:
		m, ok := n.(Dict)
		if !ok || len(o) != len(m) {
			return false
		}
		for k, v := range o {
			if w, ok := m[k]; !ok || !d.same(v, w) {
				return false
			}
		}
		return true
	}
	return d.sameContent(o, n)
}

// enter marks a pair of references as judged by a rule; false when it was before, or the work is to stop.
func (d *diff) enter(o, n Object, rule string) bool {
	or, ok1 := o.(Ref)
	nr, ok2 := n.(Ref)
	if ok1 {
		d.visited[or.Num] = true
	}
	if ok1 || ok2 {
		key := seenKey{or, nr, rule}
		if d.seen[key] {
			return false
		}
		d.seen[key] = true
	}
	return d.step()
}

// differing visits the keys, sorted, whose values are not the same.
func (d *diff) differing(o, n Dict, visit func(key Name, o, n Object)) {
	keys := make([]Name, 0, len(o)+len(n))
	for k := range o {
		keys = append(keys, k)
	}
	for k := range n {
		if _, ok := o[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if !d.unchanged(o[k], n[k]) {
			visit(k, o[k], n[k])
		}
	}
}

// unchanged tells that a pair is equal all the way down, but for what is judged elsewhere.
func (d *diff) unchanged(o, n Object) bool {
	if d.same(o, n) {
		return true
	}
	trial := map[Ref]bool{}
	if !d.still(o, n, trial, 0) {
		return false
	}
	// Loops were taken to be equal on the way; now that nothing differs, they are.
	for r := range trial {
		d.kept[r] = true
		d.visited[r.Num] = true
	}
	return true
}

func (d *diff) still(o, n Object, trial map[Ref]bool, depth int) bool {
	if depth > 10_000 || !d.step() {
		return false
	}
	switch a := o.(type) {
	case Ref:
		return n == o && d.stillRef(a, trial, depth)
	case Array:
		b, ok := n.(Array)
		return ok && slices.EqualFunc(a, b, func(x, y Object) bool { return d.still(x, y, trial, depth+1) })
	case Dict:
		b, ok := n.(Dict)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, x := range a {
			y, ok := b[k]
			ref, _ := x.(Ref)
			switch {
			case !ok:
				return false
			case (k == "Parent" || k == "P" || k == "Pg") && d.graph.parents[ref.Num]: // see checkBackReferences
				if x != y {
					return false
				}
			case !d.still(x, y, trial, depth+1):
				return false
			}
		}
		return true
	case *Stream:
		b, ok := n.(*Stream)
		return ok && d.still(a.Dict, b.Dict, trial, depth+1) && d.sameBytes(a, b)
	}
	return d.sameContent(o, n)
}

func (d *diff) stillRef(r Ref, trial map[Ref]bool, depth int) bool {
	if !d.affected[r.Num] || d.kept[r] || trial[r] || d.judgedElsewhere(r) {
		return true
	}
	if d.differs[r] {
		return false
	}
	trial[r] = true
	a, b := d.both(r, r)
	if !d.still(a, b, trial, depth+1) {
		d.differs[r] = true
		return false
	}
	return true
}

// frozen judges what must not change at all.
func (d *diff) frozen(p *place, o, n Object, rule string) {
	if d.same(o, n) {
		return
	}
	or, ok1 := o.(Ref)
	nr, ok2 := n.(Ref)
	if ok1 && ok2 && or == nr {
		if d.judgedElsewhere(or) || !d.enter(o, n, rule) {
			return
		}
		a, b := d.both(o, n)
		d.frozenValue(p, a, b, rule)
		return
	}
	if !d.enter(o, n, rule) {
		return
	}
	a, b := d.both(o, n)
	if !ok1 && !ok2 {
		d.frozenValue(p, a, b, rule)
		return
	}
	if a == nil && b == nil {
		return // a reference to nothing, and nothing
	}
	// Another object stands where the signed one stood. Also when it reads the same it was made later, and a
	// reader that follows the signed reference may see something else.
	if d.equal(a, b, 0) {
		d.doubt(p, rule+": replaced by an equal object")
		return
	}
	d.forbid(p, rule)
}

// judgedElsewhere tells references that do not make their target a part of the place: to pages, to the catalog,
// and to form fields. Those are judged where they belong; checkBackReferences sees to it for pages.
func (d *diff) judgedElsewhere(r Ref) bool {
	if root, ok := d.old.Trailer()["Root"].(Ref); ok && r == root || d.fields[r.Num] {
		return true
	}
	return d.graph.pages[r.Num] && isPageNode(d.in(d.old, r))
}

// frozenValue judges the content of a pair.
func (d *diff) frozenValue(p *place, o, n Object, rule string) {
	switch a := o.(type) {
	case Dict:
		if b, ok := n.(Dict); ok {
			d.differing(a, b, func(k Name, x, y Object) { d.frozen(p.at(k, y), x, y, rule) })
			return
		}
	case Array:
		if b, ok := n.(Array); ok && len(a) == len(b) {
			for i := range a {
				d.frozen(p.item(i, b[i]), a[i], b[i], rule)
			}
			return
		}
	case *Stream:
		if b, ok := n.(*Stream); ok && d.sameBytes(a, b) {
			d.differing(a.Dict, b.Dict, func(k Name, x, y Object) { d.frozen(p.at(k, y), x, y, rule) })
			return
		}
	}
	if !d.sameContent(o, n) {
		d.forbid(p, rule)
	}
}

// equal tells whether two objects read the same, whatever their numbers. References to pages, and any that lead
// too deep, must be equal as they are.
func (d *diff) equal(o, n Object, depth int) bool {
	if d.same(o, n) {
		return true
	}
	if depth > 30 || !d.step() {
		return false
	}
	if r, ok := n.(Ref); ok && (d.graph.pages[r.Num] || d.fields[r.Num]) {
		return o == n
	}
	a, b := d.both(o, n)
	switch a := a.(type) {
	case Dict:
		b, ok := b.(Dict)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !d.equal(v, w, depth+1) {
				return false
			}
		}
		return true
	case Array:
		b, ok := b.(Array)
		return ok && slices.EqualFunc(a, b, func(x, y Object) bool { return d.equal(x, y, depth+1) })
	case *Stream:
		b, ok := b.(*Stream)
		return ok && d.equal(a.Dict, b.Dict, depth+1) && d.sameBytes(a, b)
	}
	return d.sameContent(a, b)
}
