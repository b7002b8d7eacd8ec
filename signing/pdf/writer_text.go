package pdf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// TextSpec describes a text field of one line, empty until it is filled in.
type TextSpec struct {
	Align int // 0 left, 1 centred, 2 right (ISO 32000-2 §12.7.4.3, /Q)
	// Font stores the font that a reader would fill the field in with, under the name FontName with FontSize in points.
	Font     func(add func(Object) Ref) (Ref, error)
	FontName Name
	FontSize float64
}

// TextFill is a text field to be filled in: its value and what it shows in the style that the field asks for.
type TextFill struct {
	Field, Value string
	Appearance   func(TextStyle) Drawing
}

// TextStyle is how a text field wants its value set: the name of its font among the form's resources, the size in
// points (0: as fits) and the alignment of TextSpec.
type TextStyle struct {
	Font  Name
	Size  float64
	Align int
}

var (
	// ErrNoField means that there is no field of the name, or that it is of another kind.
	ErrNoField = errors.New("pdf: no such text field")
	// ErrFieldFilled means that a text field has another value already.
	ErrFieldFilled = errors.New("pdf: the text field is filled in already")
)

// makeText turns a new field into a text field, its font among the form's resources.
func (u *Update) makeText(field Dict, t *TextSpec) error {
	field["FT"] = Name("Tx")
	field["Q"] = int64(t.Align)
	field["DA"] = String{B: AppendObject(append(appendName(nil, t.FontName), ' '), t.FontSize)}
	da, _ := field["DA"].(String)
	field["DA"] = String{B: append(da.B, " Tf 0 g"...)}
	form, put, err := u.formDict()
	if err != nil {
		return err
	}
	resources, _, err := u.dict(form["DR"])
	if err != nil {
		return err
	}
	if resources == nil {
		resources = Dict{}
	}
	fonts, _, err := u.dict(resources["Font"])
	if err != nil {
		return err
	}
	if fonts[t.FontName] != nil {
		return nil
	}
	if fonts == nil {
		fonts = Dict{}
	}
	if fonts[t.FontName], err = t.Font(u.Add); err != nil {
		return fmt.Errorf("storing the font: %w", err)
	}
	resources["Font"] = fonts
	form["DR"] = resources
	put(form)
	return nil
}

// formDict gives a copy of the form's dictionary, a new one where there is none, and how to store it.
func (u *Update) formDict() (form Dict, put func(Dict), err error) {
	_, catalogRef, err := u.view.Catalog()
	if err != nil {
		return nil, nil, err
	}
	catalog, ok, err := u.dict(catalogRef)
	if err != nil || !ok {
		return nil, nil, errors.Join(fmt.Errorf("the catalog is no dictionary: %w", ErrUnsupported), err)
	}
	if form, _, err = u.dict(catalog["AcroForm"]); err != nil {
		return nil, nil, err
	}
	if form == nil {
		form = Dict{"Fields": Array{}}
	}
	return form, func(d Dict) {
		if ref, indirect := catalog["AcroForm"].(Ref); indirect {
			u.Set(ref, d)
			return
		}
		catalog["AcroForm"] = d
		u.Set(catalogRef, catalog)
	}, nil
}

// fill gives a text field its value and appearance. The field must be empty, or have the value already (nothing is
// changed then), and no earlier signature may have closed it.
func (u *Update) fill(t TextFill, signed []Field) error {
	ref, err := u.textField(t.Field)
	if err != nil {
		return err
	}
	field, ok, err := u.dict(ref)
	if err != nil || !ok {
		return errors.Join(ErrNoField, err)
	}
	if err := u.permit(t.Field, signed); err != nil {
		return err
	}
	value, err := u.Resolve(field["V"])
	if err != nil {
		return err
	}
	if s, ok := value.(String); ok && s.Text() == t.Value {
		return nil
	} else if ok && len(s.B) > 0 {
		return fmt.Errorf("its value is %q: %w", s.Text(), ErrFieldFilled)
	}
	if flags, err := u.Resolve(field["Ff"]); err != nil {
		return err
	} else if n, _ := flags.(int64); n&fieldReadOnly != 0 {
		return fmt.Errorf("it is read-only: %w", ErrNotPermitted)
	}
	s := &signatureField{name: t.Field, ref: ref, field: field}
	u.Set(ref, field)
	if err := u.findWidget(s); err != nil {
		return err
	}
	field["V"] = Text(t.Value)
	if !s.visible() || t.Appearance == nil {
		return nil
	}
	if err := u.findPage(s); err != nil {
		return err
	}
	w, h := s.size()
	style, err := u.textStyle(field)
	if err != nil {
		return err
	}
	look, err := t.Appearance(style)(w, h, s.geometry.Rotate, u.Add)
	if err != nil {
		return fmt.Errorf("drawing the text: %w", err)
	}
	s.widget["AP"] = Dict{"N": look}
	return nil
}

// textStyle reads the default appearance of a field, or else of the form, and its alignment.
func (u *Update) textStyle(field Dict) (style TextStyle, err error) {
	form, _, err := u.formDict()
	if err != nil {
		return style, err
	}
	da, err := u.Resolve(field["DA"])
	if err == nil && da == nil {
		da, err = u.Resolve(form["DA"])
	}
	if err != nil {
		return style, err
	}
	if s, ok := da.(String); ok {
		words := strings.Fields(string(s.B))
		for i, w := range words {
			if w == "Tf" && i >= 2 {
				style.Font = Name(strings.TrimPrefix(words[i-2], "/"))
				if size, err := strconv.ParseFloat(words[i-1], 64); err == nil && size >= 0 && size < 1000 {
					style.Size = size
				}
			}
		}
	}
	q, err := u.Resolve(field["Q"])
	if align, ok := q.(int64); ok && align >= 0 && align <= 2 {
		style.Align = int(align)
	}
	return style, err
}

// textField finds a text field at the top of the form's tree by its name.
func (u *Update) textField(name string) (Ref, error) {
	form, _, err := u.formDict()
	if err != nil {
		return Ref{}, err
	}
	list, _, err := u.array(form["Fields"])
	if err != nil {
		return Ref{}, err
	}
	for _, o := range list {
		ref, indirect := o.(Ref)
		field, ok, err := u.dict(o)
		if err != nil {
			return Ref{}, err
		}
		if !ok || !indirect {
			continue
		}
		t, err := u.Resolve(field["T"])
		if err != nil {
			return Ref{}, err
		}
		kind, err := u.Resolve(field["FT"])
		if err != nil {
			return Ref{}, err
		}
		if s, ok := t.(String); ok && s.Text() == name && kind == Name("Tx") {
			return ref, nil
		}
	}
	return Ref{}, ErrNoField
}

// TextFields lists the text fields at the top of the latest revision's form with their values.
func TextFields(f *File) (map[string]string, error) {
	u := &Update{file: f, view: f.Latest()}
	form, _, err := u.formDict()
	if err != nil {
		return nil, err
	}
	list, _, err := u.array(form["Fields"])
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, o := range list {
		field, _, err := u.dict(o)
		if err != nil {
			return nil, err
		}
		if kind, err := u.Resolve(field["FT"]); err != nil || kind != Name("Tx") {
			continue
		}
		t, err := u.Resolve(field["T"])
		name, ok := t.(String)
		if err != nil || !ok {
			continue
		}
		value, err := u.Resolve(field["V"])
		if err != nil {
			return nil, err
		}
		s, _ := value.(String)
		out[name.Text()] = s.Text()
	}
	return out, nil
}
