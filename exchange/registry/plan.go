package registry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"vanthu/storage/sqldb"
)

// FieldChange is one field before and after.
type FieldChange struct {
	Field string `json:"field"` // a column of ImportHeader
	Old   string `json:"old"`
	New   string `json:"new"`
}

// Difference is what an import would do to one agency.
type Difference struct {
	Line   int           `json:"line"`
	Code   AgencyID      `json:"code"`
	Name   string        `json:"name"`
	Fields []FieldChange `json:"fields,omitempty"`
}

// ImportPlan is what an import would do: the difference between a file and the
// registry. Digest names exactly this difference from exactly this version of
// the registry; ApplyImport does nothing else than what was seen.
type ImportPlan struct {
	Digest    string          `json:"digest"`
	Version   int64           `json:"version"` // of the registry it was made from
	Added     []Difference    `json:"added"`
	Changed   []Difference    `json:"changed"`
	Closed    []Difference    `json:"closed"` // get a last day
	Unchanged int             `json:"unchanged"`
	Missing   int             `json:"missing"`             // in the registry, not in the file; they stay as they are
	Conflicts []ImportProblem `json:"conflicts,omitempty"` // the first 100; with any of them nothing can be applied

	add     []Agency
	changes []change
}

// PreviewImport reads agencies as UTF-8 CSV with the header ImportHeader and
// tells what importing them would do, without doing it: added, changed field by
// field, closed, and the conflicts (wrong lines, codes that are or were
// another's, ended agencies that would begin again, missing parents, loops,
// agencies outside the importer's reach). The error is about the file as a
// whole, or about the actor's rights.
func (r *Registry) PreviewImport(ctx context.Context, by Actor, from io.Reader) (*ImportPlan, error) {
	lines, problems, err := readAgencyCSV(from)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return &ImportPlan{Conflicts: problems}, nil
	}
	var p *ImportPlan
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		p, err = planImport(ctx, tx, by, lines)
		return err
	})
	if err != nil {
		return nil, wrap("comparing agencies", err)
	}
	return p, nil
}

// ApplyImport imports the file of a preview: in one transaction, provided that
// the difference is still the one with this digest ("" = whatever it is now).
// A registry or a file that changed since the preview is a conflict; with
// conflicts in the plan nothing is applied and the result lists them.
func (r *Registry) ApplyImport(ctx context.Context, by Actor, from io.Reader, digest string) (ImportResult, error) {
	lines, problems, err := readAgencyCSV(from)
	if err != nil {
		return ImportResult{}, err
	}
	var res ImportResult
	if len(problems) == 0 {
		now := r.now()
		err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			p, err := planImport(ctx, tx, by, lines)
			if err != nil {
				return err
			}
			if problems = p.Conflicts; len(problems) > 0 {
				return errImport
			}
			if digest != "" && digest != p.Digest {
				return NewError(KindConflict, "Danh bạ hoặc tệp đã thay đổi sau khi xem trước; chưa nhập gì.",
					"The registry or the file changed after the preview; nothing was imported.").
					Advise("Xem trước lại rồi nhập.", "Preview it again, then import.")
			}
			res = ImportResult{Added: len(p.add), Changed: len(p.changes), Unchanged: p.Unchanged}
			return p.write(ctx, tx, by.Tag(), now)
		})
		r.agencies.clear()
	}
	if len(problems) > 0 {
		res = ImportResult{Problems: problems}
		return res, NewError(KindInvalid,
			fmt.Sprintf("Tệp có %d dòng sai; chưa nhập cơ quan nào. Dòng %d: %s", len(problems), problems[0].Line, problems[0].Text),
			fmt.Sprintf("The file has %d bad lines; no agency was imported. Line %d: %s", len(problems), problems[0].Line, problems[0].TextEN)).
			Advise("Sửa các dòng đã nêu rồi nhập lại cả tệp.", "Mend the lines named and import the whole file again.")
	}
	if sqldb.IsConflict(err) {
		err = NewError(KindConflict, "Một mã QCVN 102 trong tệp đã thuộc về cơ quan khác.",
			"A QCVN 102 code in the file belongs to another agency already.").Because(err)
	}
	return res, wrap("importing agencies", err)
}

// ImportAgencies is ApplyImport without a preview: all lines or none.
func (r *Registry) ImportAgencies(ctx context.Context, by Actor, from io.Reader) (ImportResult, error) {
	return r.ApplyImport(ctx, by, from, "")
}

var errImport = errors.New("import has problems")

// write applies a plan without conflicts. Codes that move between agencies of
// one file are no conflict of the rows, since changes go before additions.
func (p *ImportPlan) write(ctx context.Context, tx *sqldb.Tx, by string, now time.Time) error {
	if err := updateAgencies(ctx, tx, p.changes, by, now); err != nil {
		return err
	}
	return insertAgencies(ctx, tx, p.add, by, now)
}

func planImport(ctx context.Context, tx *sqldb.Tx, by Actor, lines []importLine) (*ImportPlan, error) {
	if err := mayManage(ctx, tx, by, by.Agency, false); err != nil {
		return nil, err
	}
	known, err := readAll(ctx, tx)
	if err != nil {
		return nil, err
	}
	p := &ImportPlan{Added: []Difference{}, Changed: []Difference{}, Closed: []Difference{}}
	if p.Version, err = selectVersion(ctx, tx); err != nil {
		return nil, err
	}
	parents := make(map[AgencyID]AgencyID, len(lines))
	for i, l := range lines {
		if old, exists := known.byID[l.ID]; exists {
			lines[i].Agency = l.merged(old)
		}
		parents[l.ID] = lines[i].Parent
	}
	parent := func(id AgencyID) (AgencyID, bool) {
		if up, ok := parents[id]; ok {
			return up, true
		}
		a, ok := known.byID[id]
		return a.Parent, ok
	}
	root := by.System || known.byID[by.Agency].Parent == ""
	for _, l := range lines {
		if err := known.conflict(parent, by, root, l.Agency); err != nil {
			if len(p.Conflicts) < maxImportProblems {
				p.Conflicts = append(p.Conflicts, problem(l.line, err))
			}
			continue
		}
		p.plan(known, l)
	}
	p.Missing = len(known.byID) - p.Unchanged - len(p.changes)
	p.Digest = p.digest()
	return p, nil
}

// conflict tells why a line cannot be imported.
func (k *knownAgencies) conflict(parent func(AgencyID) (AgencyID, bool), by Actor, root bool, a Agency) error {
	if err := importPlace(parent, by, root, a); err != nil {
		return err
	}
	for _, code := range []string{string(a.ID), a.LegacyCode} {
		if owner := k.owner(code); owner != "" && owner != a.ID {
			return errTaken(code, owner)
		}
	}
	old, exists := k.byID[a.ID]
	if exists && old.Heir != "" && !old.ValidTo.Equal(a.ValidTo) {
		return NewError(KindConflict, fmt.Sprintf("Mã %s đã kết thúc, cơ quan %s kế thừa; không dùng lại được.", a.ID, old.Heir),
			fmt.Sprintf("The code %s has ended and %s continues it; it cannot be used again.", a.ID, old.Heir))
	}
	return nil
}

func (p *ImportPlan) plan(known *knownAgencies, l importLine) {
	d := Difference{Line: l.line, Code: l.ID, Name: l.Name}
	old, exists := known.byID[l.ID]
	if !exists {
		p.Added = append(p.Added, d)
		p.add = append(p.add, l.Agency)
		return
	}
	if old.same(l.Agency) {
		p.Unchanged++
		return
	}
	p.changes = append(p.changes, change{old, l.Agency})
	d.Fields = differences(old, l.Agency)
	if old.ValidTo.IsZero() && !l.ValidTo.IsZero() {
		p.Closed = append(p.Closed, d)
		return
	}
	p.Changed = append(p.Changed, d)
}

// differences names the fields in which two states of an agency differ.
func differences(old, to Agency) (out []FieldChange) {
	a, b := old.fields(), to.fields()
	for i := range a {
		if a[i][1] != b[i][1] {
			out = append(out, FieldChange{a[i][0], a[i][1], b[i][1]})
		}
	}
	return out
}

// fields gives what ImportHeader names, with its values as in a CSV.
func (a Agency) fields() [][2]string {
	day := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.In(vietnam()).Format(time.DateOnly)
	}
	size := ""
	if a.MaxSize > 0 {
		size = fmt.Sprint(a.MaxSize)
	}
	return [][2]string{
		{"code", string(a.ID)}, {"legacy_code", a.LegacyCode}, {"name", a.Name}, {"symbol", a.Symbol}, {"place", a.Place}, {"level", a.Level},
		{"mail", a.Mail}, {"parent", string(a.Parent)}, {"valid_from", day(a.ValidFrom)}, {"valid_to", day(a.ValidTo)}, {"channel", a.Channel},
		{"accepts", a.Accepts}, {"max_size", size}, {"encryption", a.Encryption},
	}
}

// digest names the plan: the version it starts from and every state it leads to,
// in code order.
func (p *ImportPlan) digest() string {
	all := slices.Clone(p.add)
	for _, c := range p.changes {
		all = append(all, c.to)
	}
	slices.SortFunc(all, func(a, b Agency) int { return cmp.Compare(a.ID, b.ID) })
	h := sha256.New()
	fmt.Fprintf(h, "vanthu agency import 1\n%d\n", p.Version)
	e := json.NewEncoder(h)
	for _, a := range all {
		if err := e.Encode(a); err != nil {
			panic("cannot happen: plain struct does not encode: " + err.Error())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
