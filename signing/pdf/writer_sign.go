package pdf

import (
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"time"
)

// Sub-filters of signature dictionaries (ISO 32000-2 table 260).
const (
	SubFilterCAdES Name = "ETSI.CAdES.detached"
	SubFilterAdobe Name = "adbe.pkcs7.detached"
	// SubFilterTimestamp makes a document time stamp (ISO 32000-2 §12.8.5, ETSI EN 319 142-1 §5.4.3): the value is an
	// RFC 3161 token over the bytes of the ByteRange instead of a CMS signature.
	SubFilterTimestamp Name = "ETSI.RFC3161"
)

// maxContents bounds the room for a signature, in bytes.
const maxContents = 16 << 20

// byteRangeRoom is what "[0 a b c]" is written over, with numbers of up to 12 digits.
const byteRangeRoom = "                                            "

// ErrRoom is wrapped when a signature is larger than the room reserved for it; see [Prepared.Grow].
var ErrRoom = errors.New("pdf: the signature does not fit the room reserved for it")

// ErrNoArea means that an appearance was given for an invisible field.
var ErrNoArea = errors.New("pdf: the signature field is invisible")

// Drawing stores the appearance of a signature for a box of w × h points on a page shown turned by rotate
// degrees, and returns its form XObject.
type Drawing func(w, h float64, rotate int, add func(Object) Ref) (Ref, error)

// SignatureRequest says where a signature goes and what its dictionary tells.
type SignatureRequest struct {
	Field      string    // an empty field to fill, or the name of a new one; "" takes the next free SignatureN
	Page       int       // of a new field: 1 is the first (as is 0), -1 the last
	Rect       Placement // of a new field; nil is invisible; not for an existing field
	Appearance Drawing   // for a field with an area

	SubFilter                           Name
	Name, Reason, Location, ContactInfo string    // left out when empty
	At                                  time.Time // the claimed time, /M
	Room                                int       // bytes to reserve for the CMS

	Fill    []TextFill // text fields that this very revision fills in
	Certify int        // 1 to 3 certifies the document with that DocMDP permission (ISO 32000-2 table 257); 0 does not
	Lock    *FieldLock // of a field that has none: what the signature closes
}

// Prepared is a file with a signature's place laid out, waiting for the signature itself (digest out, CMS
// in), so that tokens, HSMs and remote services can sign. It holds the appended bytes only.
type Prepared struct {
	src      io.ReaderAt
	update   *Update
	at       time.Time
	value    Ref    // the signature dictionary
	rest     []byte // the dictionary after the value of /Contents, from its '>' to the dictionary's end
	field    string
	room     int
	data     []byte // the appended bytes
	contents int    // offset in data of the '<' of /Contents
	prefix   map[crypto.Hash]hash.Cloner
}

// PrepareSignature lays out a signature as one more revision of f, which must have been opened on src.
// It refuses encrypted files, fields that are signed or read-only, and what earlier signatures forbid
// (ErrNotPermitted).
func PrepareSignature(src io.ReaderAt, f *File, r SignatureRequest) (*Prepared, error) {
	u, err := NewUpdate(f)
	if err != nil {
		return nil, err
	}
	signed, err := u.signatures()
	if err != nil {
		return nil, err
	}
	field, err := u.fieldFor(r, signed)
	if err != nil {
		return nil, err
	}
	for _, text := range r.Fill {
		if err := u.fill(text, signed); err != nil {
			return nil, fmt.Errorf("filling in the field %q: %w", text.Field, err)
		}
	}
	if r.Lock != nil && field.field["Lock"] == nil {
		field.field["Lock"] = u.Add(r.Lock.dict())
	}
	dict := r.dictionary()
	if err := u.lockFields(dict, field.field); err != nil {
		return nil, err
	}
	p := &Prepared{src: src, update: u, at: r.At, field: field.name, prefix: make(map[crypto.Hash]hash.Cloner)}
	p.value = u.Add(nil) // filled by Grow
	if r.Certify != 0 {
		if err := u.certify(dict, p.value, r.Certify, signed); err != nil {
			return nil, err
		}
	}
	field.field["V"] = p.value
	if r.Appearance != nil && !field.visible() {
		return nil, fmt.Errorf("field %q has no area to show the signature in: %w", field.name, ErrNoArea)
	}
	if r.Appearance != nil {
		w, h := field.size()
		form, err := r.Appearance(w, h, field.geometry.Rotate, u.Add)
		if err != nil {
			return nil, fmt.Errorf("drawing the appearance: %w", err)
		}
		field.widget["AP"] = Dict{"N": form}
	}
	p.rest = AppendObject(append(make([]byte, 0, 512), '>'), dict)
	p.rest = append(p.rest[:1], p.rest[1+len("<<"):]...)
	return p, p.Grow(r.Room)
}

// dictionary is the signature dictionary without what depends on the file. A document time stamp claims nothing of its
// own: its time stands in the token.
func (r *SignatureRequest) dictionary() Dict {
	dict := Dict{"Type": Name("Sig"), "Filter": Name("Adobe.PPKLite"), "SubFilter": r.SubFilter}
	if r.SubFilter == SubFilterTimestamp {
		dict["Type"] = Name("DocTimeStamp")
		return dict
	}
	dict["M"], dict["Prop_Build"] = Date(r.At), syntax("<</App<</Name/vanthu>>>>")
	for _, entry := range [...]struct {
		key  Name
		text string
	}{{"Name", r.Name}, {"Reason", r.Reason}, {"Location", r.Location}, {"ContactInfo", r.ContactInfo}} {
		if entry.text != "" {
			dict[entry.key] = Text(entry.text)
		}
	}
	return dict
}

// certify makes the signature the document's certification (ISO 32000-2 §12.8.2.2): the first signature of all, named
// by the catalog's /Perms.
func (u *Update) certify(dict Dict, value Ref, permission int, signed []Field) error {
	if permission < levelClosed || permission > levelAnnots {
		return fmt.Errorf("certification with permission %d, want 1 to 3: %w", permission, ErrUnsupported)
	}
	if len(signed) > 0 {
		return fmt.Errorf("only the first signature certifies, and there are %d already: %w", len(signed), ErrNotPermitted)
	}
	_, catalogRef, err := u.view.Catalog()
	if err != nil {
		return err
	}
	catalog, ok, err := u.dict(catalogRef)
	if err != nil || !ok {
		return errors.Join(fmt.Errorf("the catalog is no dictionary: %w", ErrUnsupported), err)
	}
	perms, _, err := u.dict(catalog["Perms"])
	if err != nil {
		return err
	}
	if perms == nil {
		perms = Dict{}
	}
	perms["DocMDP"] = value
	catalog["Perms"] = perms
	u.Set(catalogRef, catalog)
	references, _ := dict["Reference"].(Array)
	dict["Reference"] = append(references, Dict{"Type": Name("SigRef"), "TransformMethod": Name("DocMDP"), "TransformParams": Dict{
		"Type": Name("TransformParams"), "V": Name("1.2"), "P": int64(permission)}})
	return nil
}

// fieldFor finds the empty field to fill or makes a new one, and checks that it may be signed.
func (u *Update) fieldFor(r SignatureRequest, signed []Field) (*signatureField, error) {
	for _, s := range signed {
		if r.Field != "" && (s.Name == r.Field || slices.Contains(s.Others, r.Field)) {
			return nil, fmt.Errorf("field %q: %w", r.Field, ErrFieldSigned)
		}
	}
	if r.Field != "" {
		for _, empty := range u.file.EmptyFields() {
			if empty.Name == r.Field {
				return u.existingField(empty, r, signed)
			}
		}
	}
	if r.Field == "" && r.SubFilter == SubFilterTimestamp {
		taken, err := u.rootNames()
		if err != nil {
			return nil, err
		}
		r.Field = nextName("Timestamp", taken)
	}
	name, err := u.freeName(r.Field)
	if err != nil {
		return nil, err
	}
	// A document time stamp changes nothing that a signature could forbid (ISO 32000-2 §12.8.2.2.2).
	if r.SubFilter != SubFilterTimestamp {
		if err := u.permit(name, signed); err != nil {
			return nil, err
		}
	}
	return u.placeField(name, FieldSpec{Page: r.Page, Rect: r.Rect})
}

// existingField copies an empty field and its first widget into the update.
func (u *Update) existingField(empty Field, r SignatureRequest, signed []Field) (*signatureField, error) {
	if r.Rect != nil {
		return nil, fmt.Errorf("field %q: %w", empty.Name, ErrFieldPlaced)
	}
	if empty.Ref == (Ref{}) {
		return nil, fmt.Errorf("field %q is not an indirect object: %w", empty.Name, ErrUnsupported)
	}
	if err := u.permit(empty.Name, signed); err != nil {
		return nil, err
	}
	s := &signatureField{name: empty.Name, ref: empty.Ref}
	var ok bool
	var err error
	if s.field, ok, err = u.dict(empty.Ref); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("field %q is no dictionary: %w", empty.Name, ErrUnsupported), err)
	}
	if flags, _ := u.Resolve(s.field["Ff"]); flags != nil {
		if n, _ := flags.(int64); n&fieldReadOnly != 0 {
			return nil, fmt.Errorf("field %q is read-only: %w", empty.Name, ErrNotPermitted)
		}
	}
	if err := u.checkSeed(s.field, r); err != nil {
		return nil, err
	}
	u.Set(s.ref, s.field)
	if err := u.findWidget(s); err != nil {
		return nil, fmt.Errorf("field %q: %w", empty.Name, err)
	}
	if s.visible() {
		if err := u.findPage(s); err != nil {
			return nil, fmt.Errorf("field %q: %w", empty.Name, err)
		}
	}
	return s, u.register(Ref{})
}

// findWidget takes the field itself where it is merged with its widget, else its first kid.
func (u *Update) findWidget(s *signatureField) error {
	s.widget = s.field
	kids, _, err := u.array(s.field["Kids"])
	if err != nil {
		return err
	}
	if len(kids) > 0 {
		ref, isRef := kids[0].(Ref)
		widget, ok, err := u.dict(kids[0])
		if err != nil || !ok || !isRef {
			return errors.Join(fmt.Errorf("its widget is no object of its own: %w", ErrUnsupported), err)
		}
		s.widget = widget
		u.Set(ref, widget)
	}
	rect, err := u.Resolve(s.widget["Rect"])
	if err != nil {
		return err
	}
	s.rect, _, err = u.view.rectangle(rect)
	return err
}

// findPage reads the geometry of the page that the widget names, or else of the one that lists it.
func (u *Update) findPage(s *signatureField) error {
	page, ok, err := u.dict(s.widget["P"])
	if err != nil {
		return err
	}
	if !ok {
		widget := s.ref
		if kids, _, _ := u.array(s.field["Kids"]); len(kids) > 0 {
			widget, _ = kids[0].(Ref)
		}
		err := u.view.Pages(func(_ int, _ Ref, candidate Dict) bool {
			annots, _, _ := u.array(candidate["Annots"])
			for _, a := range annots {
				if a == widget {
					page = candidate
				}
			}
			return page == nil
		})
		if err != nil {
			return err
		}
	}
	s.geometry, err = u.view.Geometry(page)
	return err
}

// lockFields carries the field's /Lock over into the signature, which makes it effective (ISO 32000-2
// §12.7.5.5, §12.8.2.4).
func (u *Update) lockFields(dict, field Dict) error {
	lock, err := u.look(field["Lock"])
	if err != nil || lock == nil {
		return err
	}
	params := Dict{"Type": Name("TransformParams"), "V": Name("1.2")}
	for _, key := range []Name{"Action", "Fields", "P"} {
		if o := lock[key]; o != nil {
			params[key] = o
		}
	}
	_, catalog, err := u.view.Catalog()
	if err != nil {
		return err
	}
	dict["Reference"] = Array{Dict{"Type": Name("SigRef"), "TransformMethod": Name("FieldMDP"), "TransformParams": params, "Data": catalog}}
	return nil
}

// Field is the full name of the field that is being signed.
func (p *Prepared) Field() string { return p.field }

// Appended is how many bytes are added to the file.
func (p *Prepared) Appended() int { return len(p.data) }

// Grow lays the signature out anew with room for room bytes. Digests taken before are void.
func (p *Prepared) Grow(room int) error {
	if room <= 0 || room > maxContents {
		return fmt.Errorf("room for a signature of %d bytes: %w", room, ErrUnsupported)
	}
	const head = "<</ByteRange " + byteRangeRoom + "/Contents <"
	p.update.Set(p.value, &rawObject{head: head, zeros: 2 * room, rest: p.rest})
	t, err := p.update.encode(p.src, p.at)
	if err != nil {
		return err
	}
	body := t.body(p.value.Num)
	p.room, p.data, p.contents = room, t.data, body+len(head)-1
	var digits [96]byte
	text := append(digits[:0], '[')
	for i, n := range p.ByteRange() {
		if i > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendInt(text, n, 10)
	}
	text = append(text, ']')
	if len(text) > len(byteRangeRoom) {
		return fmt.Errorf("file of %d bytes: %w", p.update.file.Size(), ErrUnsupported)
	}
	copy(p.data[body+len("<</ByteRange "):], text)
	return nil
}

// ByteRange is the signed part of the file: all but the value of /Contents with its angle brackets.
func (p *Prepared) ByteRange() [4]int64 {
	start := p.update.file.Size() + int64(p.contents)
	end := start + int64(2*p.room) + 2
	return [4]int64{0, start, end, p.update.file.Size() + int64(len(p.data)) - end}
}

// copyAll writes a file of the given size; a source that can do so by itself spares the copying.
func copyAll(w io.Writer, src io.ReaderAt, size int64) (int64, error) {
	if c, ok := src.(interface {
		CopyTo(w io.Writer) (int64, error)
	}); ok {
		return c.CopyTo(w)
	}
	return io.Copy(w, io.NewSectionReader(src, 0, size))
}

// Digest hashes the bytes of the ByteRange. The file's own bytes are read once per algorithm, also when
// Grow is called in between.
func (p *Prepared) Digest(h crypto.Hash) ([]byte, error) {
	prefix := p.prefix[h]
	if prefix == nil {
		if !h.Available() {
			return nil, fmt.Errorf("hash algorithm %v: %w", h, ErrUnsupported)
		}
		d := h.New()
		n, err := copyAll(d, p.src, p.update.file.Size())
		if err != nil {
			return nil, fmt.Errorf("hashing the file: %w", err)
		}
		if n != p.update.file.Size() {
			return nil, fmt.Errorf("hashing the file: %d of %d bytes: %w", n, p.update.file.Size(), io.ErrUnexpectedEOF)
		}
		cloner, ok := d.(hash.Cloner)
		if !ok {
			return nil, fmt.Errorf("hash algorithm %v: %w", h, ErrUnsupported)
		}
		prefix, p.prefix[h] = cloner, cloner
	}
	d, err := prefix.Clone()
	if err != nil {
		return nil, fmt.Errorf("hashing the file: %w", err)
	}
	d.Write(p.data[:p.contents])
	d.Write(p.data[p.contents+2*p.room+2:])
	return d.Sum(nil), nil
}

// Tail gives the bytes of the revision with the signature, a CMS SignedData in DER: what is to stand behind the file.
// They are the writer's own until Grow is called.
func (p *Prepared) Tail(cms []byte) ([]byte, error) {
	if len(cms) > p.room {
		return nil, fmt.Errorf("%d bytes in a room of %d: %w", len(cms), p.room, ErrRoom)
	}
	value := p.data[p.contents+1 : p.contents+1+2*p.room]
	fillZeros(value[hex.Encode(value, cms):])
	return p.data, nil
}

// Embed writes the file, unchanged, and the revision with the signature, a CMS SignedData in DER.
func (p *Prepared) Embed(cms []byte, w io.Writer) error {
	tail, err := p.Tail(cms)
	if err != nil {
		return err
	}
	return writeAll(w, p.src, p.update.file.Size(), tail)
}
