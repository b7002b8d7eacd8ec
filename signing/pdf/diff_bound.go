package pdf

import (
	"strings"
)

// Permission levels of DocMDP (ISO 32000-2 table 257).
const (
	levelNone   = 0 // no certification: nothing is said about later changes
	levelClosed = 1 // no changes
	levelForms  = 2 // filling in forms, signing
	levelAnnots = 3 // and annotations
)

// restrictions are what the signatures of a revision permit to be changed after it.
type restrictions struct {
	level int
	locks []fieldLock
}

// fieldLock is what FieldMDP or a signature field lock closes (ISO 32000-2 §12.8.2.4, table 236).
type fieldLock struct {
	action Name // All, Include, Exclude
	names  []string
}

// covers tells whether the lock closes a field.
func (l fieldLock) covers(name string) bool {
	listed := false
	for _, n := range l.names {
		if name == n || strings.HasPrefix(name, n+".") {
			listed = true
		}
	}
	switch l.action {
	case "Include":
		return listed
	case "Exclude":
		return !listed
	}
	return true // All, and what cannot be understood
}

// locked tells whether a signature has closed a field.
func (r restrictions) locked(name string) bool {
	for _, l := range r.locks {
		if l.covers(name) {
			return true
		}
	}
	return false
}

// tighten lowers the level to what one more signature permits.
func (r *restrictions) tighten(p int64) {
	level := int(min(max(p, levelClosed), levelAnnots))
	if r.level == levelNone || level < r.level {
		r.level = level
	}
}

// forms tells whether forms may be filled in and signed.
func (r restrictions) forms() bool { return r.level != levelClosed }

// annots tells whether annotations may be made and changed.
func (r restrictions) annots() bool { return r.level == levelAnnots || r.level == levelNone }

// restrictionsAt reads them from the signatures of a revision.
func restrictionsAt(f *File, v *View) (restrictions, error) {
	sigs, err := f.SignaturesAt(v.Revision())
	if err != nil {
		return restrictions{}, err
	}
	var r restrictions
	for _, s := range sigs {
		r.add(v, s)
	}
	return r, nil
}

func (r *restrictions) add(v *View, s Field) {
	refs, err := v.Resolve(s.Dict["Reference"])
	if list, ok := refs.(Array); ok && err == nil {
		for _, e := range list {
			r.addTransform(v, v.dict(e))
		}
	}
	lock := v.dict(s.Field["Lock"])
	if lock == nil {
		return
	}
	r.addLock(v, lock)
	if p, ok := intAt(v, lock, "P"); ok {
		r.tighten(p)
	}
}

func (r *restrictions) addTransform(v *View, ref Dict) {
	params := v.dict(ref["TransformParams"])
	method, err := v.Resolve(ref["TransformMethod"])
	if err != nil {
		r.tighten(levelClosed) // unreadable: permit nothing
		return
	}
	switch method {
	case Name("DocMDP"):
		p, ok := intAt(v, params, "P")
		if !ok {
			p = levelForms // the default of table 257
		}
		r.tighten(p)
	case Name("FieldMDP"):
		r.addLock(v, params)
		if p, ok := intAt(v, params, "P"); ok {
			r.tighten(p)
		}
	}
}

func (r *restrictions) addLock(v *View, params Dict) {
	l := fieldLock{}
	action, err := v.Resolve(params["Action"])
	if err == nil {
		l.action, _ = action.(Name)
	}
	names, err := v.Resolve(params["Fields"])
	list, _ := names.(Array)
	if err != nil && l.action == "Include" {
		l.action = "All"
	}
	for _, e := range list {
		if o, err := v.Resolve(e); err == nil {
			if s, ok := o.(String); ok {
				l.names = append(l.names, s.Text())
			}
		}
	}
	r.locks = append(r.locks, l)
}

func intAt(v *View, d Dict, key Name) (int64, bool) {
	o, err := v.Resolve(d[key])
	n, ok := o.(int64)
	return n, ok && err == nil
}
