package pdf

// Pages walks the page tree in order until yield returns false. Pages are numbered from 0 and given as they
// stand, without inherited attributes (see [View.PageAttr]).
func (v *View) Pages(yield func(i int, ref Ref, page Dict) bool) error {
	cat, _, err := v.Catalog()
	if err != nil {
		return err
	}
	root, ok := cat["Pages"].(Ref)
	if !ok {
		return damaged(-1, "the catalog has no /Pages reference")
	}
	w := pageWalk{v: v, yield: yield, seen: map[Ref]bool{}}
	_, err = w.node(root, 0)
	return err
}

type pageWalk struct {
	v     *View
	yield func(i int, ref Ref, page Dict) bool
	seen  map[Ref]bool
	count int
}

// node visits a page or a /Pages node; more is false when the walk is to end.
func (w *pageWalk) node(ref Ref, depth int) (more bool, err error) {
	if depth > w.v.f.lim.MaxDepth {
		return false, tooLarge(-1, "the page tree is too deep")
	}
	if w.seen[ref] {
		return false, damaged(-1, "the page tree has object "+ref.String()+" twice")
	}
	w.seen[ref] = true
	if len(w.seen) > w.v.f.lim.MaxPages {
		return false, tooLarge(-1, "too many pages")
	}
	o, err := w.v.Get(ref)
	if err != nil {
		return false, err
	}
	d, ok := o.(Dict)
	if !ok {
		return true, nil // a missing page is shown as nothing
	}
	kids, err := w.v.Resolve(d["Kids"])
	if err != nil {
		return false, err
	}
	list, ok := kids.(Array)
	if !ok || d.Name("Type") == "Page" {
		w.count++
		return w.yield(w.count-1, ref, d), nil
	}
	for _, k := range list {
		kid, ok := k.(Ref)
		if !ok {
			continue
		}
		if more, err := w.node(kid, depth+1); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// PageAttr gives an attribute of a page, inherited ones included (ISO 32000-2 §7.7.3.4), resolved; nil when absent.
func (v *View) PageAttr(page Dict, key Name) (Object, error) {
	for range v.f.lim.MaxDepth {
		if o, ok := page[key]; ok {
			return v.Resolve(o)
		}
		o, err := v.Resolve(page["Parent"])
		if err != nil {
			return nil, err
		}
		parent, ok := o.(Dict)
		if !ok {
			return nil, nil
		}
		page = parent
	}
	return nil, damaged(-1, "the page tree is too deep")
}
