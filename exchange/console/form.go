package console

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// The kinds of field.
const (
	fieldText   = "text"
	fieldLong   = "textarea"
	fieldDate   = "date"
	fieldNumber = "number"
	fieldMail   = "email"
	fieldSelect = "select"
	fieldMany   = "many" // check boxes, none or several
	fieldOne    = "one"  // radio buttons
	fieldFile   = "file"
	fieldSecret = "password"
	fieldHidden = "hidden"
)

// The limits of what is typed, in characters; the service has the last word (NĐ 30/2020 Phụ lục VI phần II).
const (
	limitNote    = 500
	limitSubject = 500
	limitName    = 200
	limitCode    = 42
	limitID      = 64
)

// field is one input. What was typed comes back in it when its form is refused.
type field struct {
	ID, Name, Label, Hint, Kind, Value, Error, Accept, Min string
	Max                                                    int // characters, 0 = no limit shown
	Required, Wide                                         bool
	Options                                                []option
}

// form is what a person fills in for one act; Key tells the forms of one page apart.
type form struct {
	Key, URL, Button, Hint string
	Danger, Upload, Open   bool
	Fields                 []field

	typed map[string][]string
}

// form gives the form of a key: as it was filled in when it has just been refused, else fresh.
func (v *visit) form(key, url string, fields ...field) *form {
	if v.refused != nil && v.refused.Key == key {
		return v.refused
	}
	f := &form{Key: key, URL: url, Button: v.say("act." + key + ".button"), Fields: fields}
	for i := range f.Fields {
		x := &f.Fields[i]
		if x.Kind == "" {
			x.Kind = fieldText
		}
		x.ID = strings.ReplaceAll(key, ".", "-") + "-" + x.Name
		f.Upload = f.Upload || x.Kind == fieldFile
		if x.Kind == fieldSelect && !slices.ContainsFunc(x.Options, func(o option) bool { return o.Selected }) {
			mark(x.Options, []string{x.Value})
		}
	}
	return f
}

// note is the field of a reason or a remark.
func (v *visit) note(label string, required bool) field {
	return field{Name: "note", Label: label, Kind: fieldLong, Max: limitNote, Required: required, Wide: true}
}

func mark(options []option, chosen []string) {
	for i := range options {
		options[i].Selected = slices.Contains(chosen, options[i].Value)
	}
}

var lineEnds = regexp.MustCompile(`\s*[\r\n]+\s*`)

// fill reads what was sent into the form and looks whether each field can be read at all: what is missing, too long, no
// date, no number stands beside its field. From then on the page shows the form as it was filled in.
func (v *visit) fill(f *form) error {
	if err := v.readForm(); err != nil {
		return err
	}
	v.refused, f.Open, f.typed = f, true, map[string][]string{}
	wrong := false
	for i := range f.Fields {
		x := &f.Fields[i]
		var given []string
		for _, s := range v.r.PostForm[x.Name] {
			given = append(given, norm.NFC.String(strings.TrimSpace(lineEnds.ReplaceAllString(s, " "))))
		}
		f.typed[x.Name] = given
		x.Value, x.Error = "", ""
		if len(given) > 0 && x.Kind != fieldSecret {
			x.Value = given[0]
		}
		mark(x.Options, given)
		x.Error = v.objection(x, f.get(x.Name))
		wrong = wrong || x.Error != ""
	}
	if wrong {
		return v.srv.told("form.problem")
	}
	return nil
}

// readForm parses the body, with files or without.
func (v *visit) readForm() error {
	err := v.r.ParseMultipartForm(formMemory) //nolint:gosec // G120: the body was bounded when the request came in
	if errors.Is(err, http.ErrNotMultipart) {
		err = v.r.ParseForm()
	}
	if err != nil {
		return formError(err)
	}
	return nil
}

// done removes the temporary files of an upload.
func (v *visit) done() {
	if v.r.MultipartForm != nil {
		_ = v.r.MultipartForm.RemoveAll() // the system's folder for temporary files is swept anyway
	}
}

// objection says what is wrong with a field by itself, "" = nothing.
func (v *visit) objection(x *field, value string) string {
	if x.Kind == fieldFile {
		if x.Required && (v.r.MultipartForm == nil || len(v.r.MultipartForm.File[x.Name]) == 0) {
			return v.say("form.file", x.Label)
		}
		return ""
	}
	n := utf8.RuneCountInString(value)
	switch {
	case value == "" && x.Required:
		return v.say("form.missing", x.Label)
	case value == "":
		return ""
	case x.Max > 0 && n > x.Max:
		return v.say("form.long", x.Label, v.num(n), v.num(x.Max))
	case x.Kind == fieldDate:
		if _, err := time.ParseInLocation(time.DateOnly, value, hanoi); err != nil {
			return v.say("form.date", x.Label)
		}
	case x.Kind == fieldNumber:
		if _, err := strconv.Atoi(value); err != nil {
			return v.say("form.number", x.Label)
		}
	case x.Kind == fieldSelect || x.Kind == fieldOne || x.Kind == fieldMany:
		if !slices.ContainsFunc(x.Options, func(o option) bool { return o.Selected }) {
			return v.say("form.choice", x.Label)
		}
	}
	return ""
}

// get gives a field as it was typed: trimmed, NFC, on one line.
func (f *form) get(name string) string {
	if given := f.typed[name]; len(given) > 0 {
		return given[0]
	}
	return ""
}

func (f *form) all(name string) []string { return f.typed[name] }

// date gives a day of Vietnam; zero when it was left empty.
func (f *form) date(name string) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, f.get(name), hanoi)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (f *form) int(name string) int {
	n, err := strconv.Atoi(f.get(name))
	if err != nil {
		return 0
	}
	return n
}

func (f *form) people(name string) []registry.PersonID {
	var out []registry.PersonID
	for _, id := range f.all(name) {
		out = append(out, registry.PersonID(id))
	}
	return out
}

func (f *form) agencies(name string) []registry.AgencyID {
	var out []registry.AgencyID
	for _, id := range f.all(name) {
		out = append(out, registry.AgencyID(id))
	}
	return out
}

// hide adds what goes with the form and is not typed.
func (f *form) hide(name, value string) *form {
	if f.typed == nil {
		f.Fields = append(f.Fields, field{ID: f.Key + "-" + name, Name: name, Kind: fieldHidden, Value: value})
	}
	return f
}

// wrongFields links the summary of a refused form to its fields.
func (f *form) wrongFields() (out []fieldProblem) {
	for i := range f.Fields {
		if f.Fields[i].Error != "" {
			out = append(out, fieldProblem{f.Fields[i].ID, f.Fields[i].Error})
		}
	}
	return out
}

// formBody is a screen with one form and what helps to fill it in.
type formBody struct {
	Title, Lead string
	Crumb       fact
	Notes       []string
	Facts       []fact
	Form        *form
}

func (v *visit) showForm(body formBody, problem error) error {
	return v.showWith("form", body.Title, body, problem)
}

// priorityOptions are the urgencies to choose from.
func (v *voice) priorityOptions() []option {
	var out []option
	for p := exchange.PriorityNormal; p <= exchange.PriorityTimed; p++ {
		out = append(out, option{Value: strconv.Itoa(int(p)), Label: p.In(v.lang)})
	}
	return out
}

// typeOptions are the 29 types, then those of legal documents and copies.
func (v *voice) typeOptions(all bool) []option {
	types := exchange.DocTypes()
	if all {
		types = exchange.AllTypes()
	}
	out := make([]option, 0, len(types))
	for _, t := range types {
		out = append(out, option{Value: t.Code, Label: t.In(v.lang)})
	}
	return out
}
