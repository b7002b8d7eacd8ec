package pdf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNotPermitted means that an earlier signature or the form forbids the change; the text says which.
var ErrNotPermitted = errors.New("pdf: an earlier signature or the form does not permit this change")

// signatures lists the signed fields; without a form it does not look for any.
func (u *Update) signatures() ([]Field, error) {
	catalog, _, err := u.view.Catalog()
	if err != nil {
		return nil, err
	}
	if catalog["AcroForm"] == nil && catalog["Perms"] == nil {
		return nil, nil
	}
	fields, err := u.file.Signatures()
	if err != nil {
		return nil, fmt.Errorf("reading the signatures: %w", err)
	}
	return fields, nil
}

// Permit tells whether a new signature field of the name may be added and signed: nil, or an error that wraps
// ErrNotPermitted or ErrFieldName.
func (u *Update) Permit(name string) error {
	signed, err := u.signatures()
	if err != nil {
		return err
	}
	if _, err := u.freeName(name); err != nil {
		return err
	}
	return u.permit(name, signed)
}

// permit refuses to sign the field of the name where an earlier signature forbids it: a certification
// without later changes (DocMDP P 1, ISO 32000-2 §12.8.2.2), a lock on the field (FieldMDP, §12.8.2.4), or
// a field lock that ends all changes (/Lock /P 1, table 236).
func (u *Update) permit(name string, signed []Field) error {
	for _, s := range signed {
		if err := u.permitBy(s, name); err != nil {
			return err
		}
	}
	return nil
}

func (u *Update) permitBy(s Field, name string) error {
	references, _, err := u.array(s.Dict["Reference"])
	if err != nil {
		return err
	}
	for _, r := range references {
		reference, _, err := u.dict(r)
		if err != nil {
			return err
		}
		method, err := u.Resolve(reference["TransformMethod"])
		if err != nil {
			return err
		}
		params, _, err := u.dict(reference["TransformParams"])
		if err != nil {
			return err
		}
		switch method {
		case Name("DocMDP"):
			if p, _ := u.Resolve(params["P"]); p == int64(1) {
				return fmt.Errorf("signature %q certifies the document and permits no change (DocMDP P 1): %w", s.Name, ErrNotPermitted)
			}
		case Name("FieldMDP"):
			locked, err := u.locks(params, name)
			if err != nil {
				return err
			}
			if locked {
				return fmt.Errorf("signature %q has locked the field %q (FieldMDP): %w", s.Name, name, ErrNotPermitted)
			}
		}
	}
	lock, _, err := u.dict(s.Field["Lock"])
	if err != nil {
		return err
	}
	if p, _ := u.Resolve(lock["P"]); p == int64(1) {
		return fmt.Errorf("signature %q ended all changes (field lock with P 1): %w", s.Name, ErrNotPermitted)
	}
	return nil
}

// locks tells whether a FieldMDP dictionary locks the field of the name. A name in the list stands for
// the field and all below it.
func (u *Update) locks(params Dict, name string) (bool, error) {
	action, err := u.Resolve(params["Action"])
	if err != nil {
		return false, err
	}
	list, _, err := u.array(params["Fields"])
	if err != nil {
		return false, err
	}
	listed := false
	for _, o := range list {
		e, err := u.Resolve(o)
		if err != nil {
			return false, err
		}
		if s, ok := e.(String); ok {
			n := s.Text()
			listed = listed || n == name || strings.HasPrefix(name, n+".")
		}
	}
	switch action {
	case Name("Include"):
		return listed, nil
	case Name("Exclude"):
		return !listed, nil
	}
	return true, nil // All, and anything unknown
}

// Bits of a seed value dictionary's /Ff: which of its entries are demands (ISO 32000-2 table 237).
const (
	seedFilter    = 1 << 0
	seedSubFilter = 1 << 1
	seedReasons   = 1 << 3
	seedDigest    = 1 << 6
	seedUnmet     = 1<<4 | 1<<5 | 1<<7 | 1<<8 // legal attestation, revocation info, document lock, appearance filter
)

// checkSeed refuses a field whose seed value dictionary demands what the signature will not have.
func (u *Update) checkSeed(field Dict, r SignatureRequest) error {
	seed, ok, err := u.dict(field["SV"])
	if err != nil || !ok {
		return err
	}
	flags, _ := seed.Int("Ff")
	refuse := func(what string) error {
		return fmt.Errorf("the field demands %s (seed value): %w", what, ErrNotPermitted)
	}
	filter, err := u.Resolve(seed["Filter"])
	if err != nil {
		return err
	}
	if flags&seedFilter != 0 && filter != nil && filter != Name("Adobe.PPKLite") {
		return refuse("another signature handler")
	}
	for _, demand := range []struct {
		flag int64
		key  Name
		have string
	}{{seedSubFilter, "SubFilter", string(r.SubFilter)}, {seedDigest, "DigestMethod", "SHA256"}, {seedReasons, "Reasons", r.Reason}} {
		if flags&demand.flag == 0 {
			continue
		}
		list, ok, err := u.texts(seed[demand.key])
		if err != nil {
			return err
		}
		if ok && !slices.Contains(list, demand.have) {
			return refuse(fmt.Sprintf("one of %q for %s", list, demand.key))
		}
	}
	if flags&seedUnmet != 0 {
		return refuse(fmt.Sprintf("what is not supported (flags %#x)", flags))
	}
	return nil
}

// texts reads an array of names and strings.
func (u *Update) texts(o Object) ([]string, bool, error) {
	list, ok, err := u.array(o)
	if err != nil || !ok {
		return nil, false, err
	}
	var out []string
	for _, e := range list {
		if e, err = u.Resolve(e); err != nil {
			return nil, false, err
		}
		switch v := e.(type) {
		case Name:
			out = append(out, string(v))
		case String:
			out = append(out, v.Text())
		}
	}
	return out, true, nil
}
