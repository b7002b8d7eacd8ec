package pdf

import "errors"

// outsideForm finds signatures whose widgets stand on pages only: programs that rewrite a file may drop the form
// (ISO 32000-2 §12.7.3 wants every field in it), and readers show such signatures all the same. It is searched for in
// the latest revision, once; pages that cannot be read, and annotations beyond Limits.MaxFields, are passed over.
func (f *File) outsideForm(fields []formField) ([]formField, error) {
	if f.outside == nil {
		w := pageWidgets{v: f.Latest(), known: map[Ref]bool{}, values: map[Ref]bool{}}
		for _, s := range fields {
			w.known[s.ref], w.values[s.vref] = true, true
		}
		delete(w.known, Ref{})
		delete(w.values, Ref{})
		err := w.v.Pages(w.page)
		if !stopped(err) {
			err = nil
		}
		f.outside = &form{fields: w.out, err: errors.Join(err, w.stop)}
	}
	return f.outside.fields, f.outside.err
}

// stopped tells the end of the context from a fault of the file.
func stopped(err error) bool {
	if err == nil {
		return false
	}
	var e *Error
	return errors.As(err, &e) && e.Kind == Stopped
}

// pageWidgets collects the signature widgets of pages.
type pageWidgets struct {
	v      *View
	known  map[Ref]bool // fields of the form, and widgets seen
	values map[Ref]bool // signature dictionaries that fields of the form have
	count  int
	out    []formField
	stop   error
}

func (w *pageWidgets) page(_ int, _ Ref, page Dict) bool {
	o, err := w.v.Resolve(page["Annots"])
	annots, ok := o.(Array)
	if err != nil || !ok {
		w.stop = onlyStopped(err)
		return w.stop == nil
	}
	for _, a := range annots {
		if w.count++; w.count > w.v.f.lim.MaxFields {
			return false
		}
		ref, _ := a.(Ref)
		if w.known[ref] {
			continue
		}
		if ref != (Ref{}) {
			w.known[ref] = true
		}
		s, ok, err := w.v.signatureWidget(a)
		if w.stop = onlyStopped(err); w.stop != nil {
			return false
		}
		if ok && err == nil && !w.values[s.vref] && (s.vref != (Ref{}) || s.holder == ref) {
			w.out = append(w.out, s)
		}
	}
	return true
}

func onlyStopped(err error) error {
	if stopped(err) {
		return err
	}
	return nil
}

// signatureWidget reads an annotation as the widget of a signed signature field that is its own form; ok is false for
// any other.
func (v *View) signatureWidget(annot Object) (s formField, ok bool, err error) {
	o, err := v.Resolve(annot)
	d, isDict := o.(Dict)
	if err != nil || !isDict {
		return s, false, err
	}
	if subtype, err := v.Resolve(d["Subtype"]); err != nil || subtype != Name("Widget") {
		return s, false, err
	}
	ref, _ := annot.(Ref)
	s = formField{ref: ref, dict: d, outside: true}
	kind, value, err := v.widgetField(d, &s)
	if err != nil || kind != Name("Sig") {
		return s, false, err
	}
	if value, err = v.Resolve(value); err != nil {
		return s, false, err
	}
	s.value, ok = value.(Dict)
	return s, ok, nil
}

// widgetField takes a widget's type, value and name from itself and its parents (ISO 32000-2 §12.7.4.2).
func (v *View) widgetField(d Dict, s *formField) (kind, value Object, err error) {
	ref := s.ref
	for range v.f.lim.MaxDepth {
		part, err := v.Resolve(d["T"])
		if err != nil {
			return nil, nil, err
		}
		if text, ok := part.(String); ok && len(text.B)+len(s.name) < v.f.lim.MaxToken {
			if s.name != "" {
				s.name = "." + s.name
			}
			s.name = text.Text() + s.name
		}
		if kind == nil {
			if kind, err = v.Resolve(d["FT"]); err != nil {
				return nil, nil, err
			}
		}
		if value == nil && d["V"] != nil {
			value, s.holder = d["V"], ref
			s.vref, _ = value.(Ref)
		}
		parent, err := v.Resolve(d["Parent"])
		if err != nil {
			return nil, nil, err
		}
		ref, _ = d["Parent"].(Ref)
		var ok bool
		if d, ok = parent.(Dict); !ok {
			break
		}
	}
	return kind, value, nil
}
