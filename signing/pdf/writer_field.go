package pdf

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Flags of widget annotations (ISO 32000-2 §12.5.3). Invisible signatures have a rectangle without area
// and are not marked hidden as well: PDF/A wants Print set and Hidden clear, and §12.7.5.5 takes the empty
// rectangle as invisible.
const (
	annotPrint  = 1 << 2
	annotLocked = 1 << 7
)

// fieldReadOnly is the ReadOnly flag of form fields (ISO 32000-2 table 227).
const fieldReadOnly = 1

var (
	// ErrFieldSigned means that the signature field asked for holds a signature already.
	ErrFieldSigned = errors.New("pdf: the signature field is signed already")
	// ErrFieldName means that a name cannot be given to a new signature field.
	ErrFieldName = errors.New("pdf: not usable as the name of a signature field")
	// ErrFieldPlaced means that a place was given for a field that has one.
	ErrFieldPlaced = errors.New("pdf: the field exists and keeps its own place")
)

// Placement computes the rectangle of a field in the user space of its page.
type Placement func(PageGeometry) ([4]float64, error)

// FieldSpec describes a new, empty signature field.
type FieldSpec struct {
	Name string    // "" takes the next free SignatureN
	Page int       // 1 is the first (as is 0), -1 the last
	Rect Placement // nil makes an invisible field

	Tip  string     // what the field is for, read aloud and shown on hovering (/TU)
	Lock *FieldLock // what its signature closes; nil closes nothing
	Text *TextSpec  // makes a text field instead of a signature field
}

// FieldLock names the form fields that a signature closes (khóa trường; ISO 32000-2 table 236).
type FieldLock struct {
	Action string // "All", "Include" or "Exclude"
	Fields []string
}

func (l *FieldLock) dict() Dict {
	d := Dict{"Type": Name("SigFieldLock"), "Action": Name(l.Action)}
	if len(l.Fields) > 0 {
		list := make(Array, len(l.Fields))
		for i, name := range l.Fields {
			list[i] = Text(name)
		}
		d["Fields"] = list
	}
	return d
}

// AddFields writes src, unchanged, and one more revision with empty fields for signatures and text (ô đặt sẵn),
// so that later signatures change neither pages nor the list of fields. It must be done before the first
// signature: after one it gives ErrNotPermitted. It returns the names of the new fields.
func AddFields(src io.ReaderAt, f *File, at time.Time, w io.Writer, specs ...FieldSpec) ([]string, error) {
	names, tail, err := FieldsTail(src, f, at, specs...)
	if err != nil {
		return nil, err
	}
	return names, writeAll(w, src, f.Size(), tail)
}

// FieldsTail is AddFields giving only the bytes that are to stand behind the file.
func FieldsTail(src io.ReaderAt, f *File, at time.Time, specs ...FieldSpec) (names []string, added []byte, err error) {
	u, err := NewUpdate(f)
	if err != nil {
		return nil, nil, err
	}
	signed, err := u.signatures()
	if err != nil {
		return nil, nil, err
	}
	if len(signed) > 0 {
		return nil, nil, fmt.Errorf("the document carries %d signatures, and fields must be placed before the first: %w", len(signed), ErrNotPermitted)
	}
	for _, s := range specs {
		field, err := u.newField(s)
		if err != nil {
			return nil, nil, fmt.Errorf("adding the field %q: %w", s.Name, err)
		}
		if field.visible() {
			// An empty appearance: PDF 2.0 and PDF/A require one of every widget with an area.
			field.widget["AP"] = Dict{"N": u.Add(&Stream{Dict: Dict{"Type": Name("XObject"), "Subtype": Name("Form"),
				"BBox": Array{int64(0), int64(0), int64(1), int64(1)}, "Resources": Dict{}}})}
		}
		names = append(names, field.name)
	}
	t, err := u.encode(src, at)
	if err != nil {
		return nil, nil, err
	}
	return names, t.data, nil
}

// writeAll copies the file and then the parts behind it.
func writeAll(w io.Writer, src io.ReaderAt, size int64, parts ...[]byte) error {
	n, err := io.Copy(w, io.NewSectionReader(src, 0, size))
	if err != nil {
		return fmt.Errorf("copying the file: %w", err)
	}
	if n != size {
		return fmt.Errorf("copying the file: %d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return fmt.Errorf("writing the new revision: %w", err)
		}
	}
	return nil
}

// signatureField is a field being written: its dictionary and that of its widget, the same where the two
// are merged. Both are copies already set in the update.
type signatureField struct {
	name     string
	ref      Ref
	field    Dict
	widget   Dict
	rect     [4]float64
	geometry PageGeometry
}

func (s *signatureField) visible() bool { return s.rect[0] < s.rect[2] && s.rect[1] < s.rect[3] }

// size is that of the shown box in points.
func (s *signatureField) size() (w, h float64) { return s.geometry.Size(s.rect) }

// FieldSize is the width and height in points of a field's first widget as a reader sees it, 0 when it shows nothing.
func (v *View) FieldSize(field Field) (w, h float64, err error) {
	u := &Update{file: v.f, view: v, objects: map[uint32]object{}}
	s := &signatureField{ref: field.Ref}
	if s.field, _, err = u.dict(field.Field); err != nil {
		return 0, 0, err
	}
	if err := u.findWidget(s); err != nil || !s.visible() {
		return 0, 0, nil //nolint:nilerr // a widget of a form that the writer does not know shows nothing that it could draw
	}
	if err := u.findPage(s); err != nil {
		return 0, 0, err
	}
	w, h = s.size()
	return w, h, nil
}

// newField adds a merged field and widget, puts it on its page and into the form.
func (u *Update) newField(spec FieldSpec) (*signatureField, error) {
	name, err := u.freeName(spec.Name)
	if err != nil {
		return nil, err
	}
	return u.placeField(name, spec)
}

// placeField is newField with a name that is known to be free, whatever the spec says.
func (u *Update) placeField(name string, spec FieldSpec) (*signatureField, error) {
	pageRef, page, err := u.view.Page(spec.Page)
	if err != nil {
		return nil, err
	}
	s := &signatureField{name: name}
	if s.geometry, err = u.view.Geometry(page); err != nil {
		return nil, fmt.Errorf("reading the geometry of page %d: %w", spec.Page, err)
	}
	if spec.Rect != nil {
		if s.rect, err = spec.Rect(s.geometry); err != nil {
			return nil, fmt.Errorf("placing the field: %w", err)
		}
	}
	rect := make(Array, 4)
	for i, v := range s.rect {
		rect[i] = roundTo(v)
	}
	s.field = Dict{
		"Type": Name("Annot"), "Subtype": Name("Widget"), "FT": Name("Sig"), "T": Text(name),
		"F": int64(annotPrint | annotLocked), "Rect": rect, "P": pageRef,
	}
	if spec.Tip != "" {
		s.field["TU"] = Text(spec.Tip)
	}
	if spec.Lock != nil {
		s.field["Lock"] = u.Add(spec.Lock.dict())
	}
	if spec.Text != nil {
		if err := u.makeText(s.field, spec.Text); err != nil {
			return nil, err
		}
	}
	s.widget = s.field
	s.ref = u.Add(s.field)
	if err := u.attach(pageRef, s.ref); err != nil {
		return nil, fmt.Errorf("putting the field on page %d: %w", spec.Page, err)
	}
	return s, u.register(s.ref)
}

// roundTo keeps three decimals, fine enough for any page.
func roundTo(f float64) Object {
	n := int64(f*1000 + 0.5)
	if f < 0 {
		n = int64(f*1000 - 0.5)
	}
	if n%1000 == 0 {
		return n / 1000
	}
	return float64(n) / 1000
}

// attach appends a widget to its page's annotations. Annotations that are there stay as they are, direct
// or not; where the list is an object of its own, only that is replaced.
func (u *Update) attach(pageRef, widget Ref) error {
	page, ok, err := u.dict(pageRef)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("page %s is no dictionary: %w", pageRef, ErrUnsupported)
	}
	list, isArray, err := u.array(page["Annots"])
	if err != nil {
		return err
	}
	if ref, isRef := page["Annots"].(Ref); isRef && isArray {
		u.Set(ref, append(list, widget))
		return nil
	}
	if old, err := u.Resolve(page["Annots"]); err != nil || (old != nil && !isArray) {
		return errors.Join(fmt.Errorf("/Annots of page %s is no array: %w", pageRef, ErrUnsupported), err)
	}
	page["Annots"] = append(list, widget)
	u.Set(pageRef, page)
	return nil
}

// register appends a field to the form and says that the document is signed and to be extended by
// appending only (/SigFlags 3, ISO 32000-2 table 225). Other entries of the form stay. A zero field only
// sets the flags.
func (u *Update) register(field Ref) error {
	_, catalogRef, err := u.view.Catalog()
	if err != nil {
		return err
	}
	catalog, ok, err := u.dict(catalogRef)
	if err != nil || !ok {
		return errors.Join(fmt.Errorf("the catalog is no dictionary: %w", ErrUnsupported), err)
	}
	form, hasForm, err := u.dict(catalog["AcroForm"])
	if err != nil {
		return err
	}
	if !hasForm {
		catalog["AcroForm"] = Dict{"Fields": Array{field}, "SigFlags": int64(3)}
		u.Set(catalogRef, catalog)
		return nil
	}
	changed := false
	if field != (Ref{}) {
		if changed, err = u.appendField(form, field); err != nil {
			return err
		}
	}
	flags, err := u.Resolve(form["SigFlags"])
	if err != nil {
		return err
	}
	if n, _ := flags.(int64); n&3 != 3 {
		form["SigFlags"] = n | 3
		changed = true
	}
	switch ref, indirect := catalog["AcroForm"].(Ref); {
	case !changed:
	case indirect:
		u.Set(ref, form)
	default:
		catalog["AcroForm"] = form
		u.Set(catalogRef, catalog)
	}
	return nil
}

// appendField reports whether the form dictionary itself was changed.
func (u *Update) appendField(form Dict, field Ref) (bool, error) {
	list, isArray, err := u.array(form["Fields"])
	if err != nil {
		return false, err
	}
	if ref, isRef := form["Fields"].(Ref); isRef && isArray {
		u.Set(ref, append(list, field))
		return false, nil
	}
	if old, err := u.Resolve(form["Fields"]); err != nil || (old != nil && !isArray) {
		return false, errors.Join(fmt.Errorf("/Fields of the form is no array: %w", ErrUnsupported), err)
	}
	form["Fields"] = append(list, field)
	return true, nil
}

// freeName checks a name for a new field, or finds the next free SignatureN.
func (u *Update) freeName(name string) (string, error) {
	taken, err := u.rootNames()
	if err != nil {
		return "", err
	}
	if name != "" {
		if strings.ContainsRune(name, '.') {
			return "", fmt.Errorf("%q: a period parts the levels of a name: %w", name, ErrFieldName)
		}
		if slices.Contains(taken, name) {
			return "", fmt.Errorf("%q is taken by another form field: %w", name, ErrFieldName)
		}
		return name, nil
	}
	return nextName("Signature", taken), nil
}

// nextName is the prefix with the first number that is free.
func nextName(prefix string, taken []string) string {
	for n := 1; ; n++ {
		if name := prefix + strconv.Itoa(n); !slices.Contains(taken, name) {
			return name
		}
	}
}

// rootNames lists the partial names of the form's fields at the top of the tree.
func (u *Update) rootNames() ([]string, error) {
	_, catalogRef, err := u.view.Catalog()
	if err != nil {
		return nil, err
	}
	catalog, err := u.look(catalogRef)
	if err != nil {
		return nil, err
	}
	form, err := u.look(catalog["AcroForm"])
	if err != nil {
		return nil, err
	}
	list, err := u.list(form["Fields"])
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list))
	for _, o := range list {
		field, err := u.Resolve(o)
		if err != nil {
			return nil, err
		}
		d, _ := field.(Dict)
		t, err := u.Resolve(d["T"])
		if err != nil {
			return nil, err
		}
		if s, ok := t.(String); ok {
			names = append(names, s.Text())
		}
	}
	outside, err := u.outsideNames()
	return append(names, outside...), err
}

// outsideNames lists the names of signatures that stand on pages only: a new field of such a name would be mistaken.
func (u *Update) outsideNames() ([]string, error) {
	fields, err := u.file.signatureFields(u.file.Latest())
	if err != nil {
		return nil, err
	}
	outside, err := u.file.outsideForm(fields)
	names := make([]string, 0, len(outside))
	for _, s := range outside {
		names = append(names, s.name)
	}
	return names, err
}
