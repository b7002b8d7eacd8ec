package console

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"vanthu/exchange"
)

// versionRow is one version of a draft, with what its description changed.
type versionRow struct {
	Label, Name, Note, Digest string
	At                        time.Time
	Changed                   []differenceRow
	FileChanged               bool
}

// commentRow is what somebody said about a version of a draft.
type commentRow struct {
	Label, Name, Text string
	At                time.Time
	Return            bool
}

// versionRows are the versions of a draft, where there is more than the first.
func (v *visit) versionRows(id exchange.DocumentID) ([]versionRow, error) {
	list, err := v.srv.cfg.Service.DraftVersions(v.ctx(), v.actor, id)
	if err != nil || len(list) < 2 {
		return nil, err
	}
	rows := make([]versionRow, 0, len(list))
	for i := range list {
		d := &list[i]
		row := versionRow{Label: v.say("version", v.num(i+1)), Name: d.Name, Note: d.Note, Digest: clip(string(d.PDF.Digest), 17), At: d.At,
			FileChanged: i > 0 && d.PDF.Digest != list[i-1].PDF.Digest}
		for _, c := range d.Changed {
			row.Changed = append(row.Changed, differenceRow{v.fieldName(c.Field), v.fieldValue(c.Field, c.From), v.fieldValue(c.Field, c.To)})
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// commentRows are what was said about a draft, each with the version it was said about.
func (v *visit) commentRows(id exchange.DocumentID) ([]commentRow, error) {
	comments, err := v.srv.cfg.Service.Comments(v.ctx(), v.actor, id)
	if err != nil || len(comments) == 0 {
		return nil, err
	}
	versions, err := v.srv.cfg.Service.DraftVersions(v.ctx(), v.actor, id)
	if err != nil {
		return nil, err
	}
	rows := make([]commentRow, 0, len(comments))
	for i := range comments {
		c := &comments[i]
		n := 1
		for j := range versions { // the newest version that was there
			if versions[j].Seq <= c.Version {
				n = j + 1
			}
		}
		rows = append(rows, commentRow{Label: v.say("version", v.num(n)), Name: c.Name, Text: c.Text, At: c.At, Return: c.Kind == exchange.CommentReturn})
	}
	return rows, nil
}

// revisePage is the form for a new version of a draft.
func (s *server) revisePage(v *visit) error { return v.revise(nil) }

func (v *visit) reviseForm(d *exchange.Document, signed bool) *form {
	url := documentURL(d.ID) + "/revise"
	hint := v.say("revise.pdf.hint")
	if signed {
		hint = v.say("revise.pdf.signed")
	}
	return v.form("revise", url,
		field{Name: "pdf", Label: v.say("revise.pdf"), Hint: hint, Kind: fieldFile, Accept: "application/pdf,.pdf", Required: signed, Wide: true},
		field{Name: "subject", Label: v.say("fact.subject"), Kind: fieldLong, Required: true, Max: limitSubject, Value: d.Subject, Wide: true},
		field{Name: "type", Label: v.say("fact.type"), Kind: fieldSelect, Required: true, Value: d.Type, Options: v.typeOptions(true)},
		field{Name: "notation", Label: v.say("fact.notation"), Hint: v.say("compose.notation.example"), Max: 30, Value: d.Notation},
		field{Name: "signer", Label: v.say("fact.signer"), Required: true, Max: 50, Value: d.SignerName},
		field{Name: "position", Label: v.say("fact.position"), Max: 100, Value: d.SignerPosition},
		field{Name: "competence", Label: v.say("fact.competence"), Kind: fieldSelect, Value: d.Competence, Options: v.competenceOptions()},
		field{Name: "priority", Label: v.say("fact.priority"), Kind: fieldSelect, Value: v.num(int(d.Priority)), Options: v.priorityOptions()},
		field{Name: "due", Label: v.say("fact.due"), Kind: fieldDate, Value: dateValue(d.Due)},
		v.note(v.say("revise.note"), false))
}

func (v *voice) competenceOptions() []option {
	var out []option
	for _, c := range []string{"", "TM.", "Q.", "KT.", "TL.", "TUQ."} {
		key := c
		if key == "" {
			key = "none"
		}
		out = append(out, option{Value: c, Label: v.say("competence." + key)})
	}
	return out
}

// signed tells whether the file of a document carries signatures: a new version then needs a new file.
func (v *visit) signed(id exchange.DocumentID) (bool, error) {
	report, err := v.srv.cfg.Service.Report(v.ctx(), v.actor, id)
	if exchange.KindOf(err) == exchange.KindNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return len(report.Signatures) > 0, nil
}

func (v *visit) revise(problem error) error {
	d, err := v.srv.cfg.Service.Document(v.ctx(), v.actor, v.documentID())
	if err != nil {
		return err
	}
	signed, err := v.signed(d.ID)
	if err != nil {
		return err
	}
	body := formBody{Title: v.say("act.revise"), Lead: d.Subject, Crumb: fact{v.code(d), documentURL(d.ID)}, Form: v.reviseForm(d, signed)}
	comments, err := v.commentRows(d.ID)
	if err != nil {
		return err
	}
	for i := range comments {
		c := &comments[i]
		body.Facts = append(body.Facts, fact{c.Name + " · " + c.Label + " · " + moment(c.At), c.Text})
	}
	return v.showForm(body, problem)
}

// reviseDraft stores a new version: the file that stays is the one of the version before.
func (s *server) reviseDraft(v *visit) error {
	defer v.done()
	d, err := s.cfg.Service.Document(v.ctx(), v.actor, v.documentID())
	if err != nil {
		return err
	}
	signed, err := v.signed(d.ID)
	if err != nil {
		return err
	}
	f := v.reviseForm(d, signed)
	if err := v.fill(f); err != nil {
		return v.revise(err)
	}
	in := exchange.DraftInput{Type: f.get("type"), Subject: f.get("subject"), Notation: f.get("notation"), Place: d.Place, Priority: exchange.Priority(f.int("priority")),
		Due: f.date("due"), SignerName: f.get("signer"), SignerPosition: f.get("position"), Competence: f.get("competence"), Series: d.Series, Details: d.Details}
	file, err := v.upload("pdf")
	if err != nil {
		return err
	}
	if file != nil {
		defer func() { _ = file.Close() }() // only read
		in.PDF = file
	} else {
		r, _, err := s.cfg.Service.PDF(v.ctx(), v.actor, d.ID)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }() // only read
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		in.PDF = bytes.NewReader(data)
	}
	if _, err := s.cfg.Service.Revise(v.ctx(), v.actor, d.ID, in, f.get("note")); err != nil {
		return v.revise(err)
	}
	return v.see(documentURL(d.ID), "revise")
}

// officeRoutes are the pages of the registry office.
func (s *server) officeRoutes(mux *http.ServeMux) {
	get := func(path string, h handler) { mux.Handle("GET "+path, s.user(h)) }
	post := func(path string, h handler) { mux.Handle("POST "+path, s.user(h)) }
	get("/tasks", s.tasks)
	get("/alike", s.alike)
	get("/scan", s.scanPage)
	post("/scan", s.registerScan)
	get("/incoming/{id}/slip/{format}", s.slip)
	get("/incoming/{id}/arrivals/{arrival}", s.arrivalPDF)
	get("/incoming/{id}/compare/{other}", s.comparePage)
	get("/documents/{id}/revise", s.revisePage)
	post("/documents/{id}/revise", s.reviseDraft)
	get("/documents/{id}/recall", s.requestPage)
	post("/documents/{id}/recall", s.recall)
	get("/documents/{id}/update", s.requestPage)
	post("/documents/{id}/update", s.update)
	get("/documents/{id}/replace", s.requestPage)
	post("/documents/{id}/replace", s.replace)
	get("/search", s.search)
	get("/calendar", s.calendarPage)
	post("/calendar", s.setCalendar)
	post("/calendar/{day}/remove", s.removeCalendar)
	s.numberRoutes(mux)
}
