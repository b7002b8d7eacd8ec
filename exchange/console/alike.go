package console

import (
	"slices"
	"time"

	"vanthu/exchange"
)

// arrivalRow is one coming of a document.
type arrivalRow struct {
	Channel, Ref, PDF string
	At                time.Time
	State             chip
	Differences       []differenceRow
}

type differenceRow struct{ Field, Entry, Here string }

// alikeView is a question to the clerk: is this the same document as another entry?
type alikeView struct {
	Other, Code, Subject, Why, Compare string
	Merge, Apart                       *form
}

// arrivalRows are how a document came, where it came more than once.
func (v *visit) arrivalRows(id exchange.IncomingID) ([]arrivalRow, error) {
	list, err := v.srv.cfg.Service.Arrivals(v.ctx(), v.actor, id)
	if err != nil || len(list) < 2 {
		return nil, err
	}
	var rows []arrivalRow
	for i := range list {
		a := &list[i]
		row := arrivalRow{Channel: v.sayOr("channel."+a.Channel, a.Channel), Ref: a.Ref, At: a.At, PDF: incomingURL(id) + "/arrivals/" + a.ID,
			State: chip{"ok", "ok", v.say("arrival.same")}}
		switch {
		case a.Differs:
			row.State = chip{"bad", "bad", v.say("arrival.differs")}
		case i == 0:
			row.State = chip{"ok", "ok", v.say("arrival.first")}
		}
		for _, d := range a.Differences {
			row.Differences = append(row.Differences, differenceRow{v.fieldName(d.Field), v.fieldValue(d.Field, d.Entry), v.fieldValue(d.Field, d.Here)})
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// fieldName is the name of a field of an envelope or a description.
func (v *voice) fieldName(field string) string { return v.sayOr("field."+field, field) }

// fieldValue shows a pinned value as people read it.
func (v *visit) fieldValue(field, value string) string {
	switch field {
	case "issued", "due", "task_due":
		if t, err := time.Parse(time.RFC3339Nano, value); err == nil {
			if t.IsZero() || t.Year() < 1900 {
				return v.say("field.empty")
			}
			return v.dueText(t)
		}
	case "type":
		return v.typeName(value)
	case "priority":
		if len(value) == 1 && value[0] >= '0' && value[0] <= '4' {
			return exchange.Priority(value[0] - '0').In(v.lang)
		}
	case "digest":
		return clip(value, 17)
	}
	if value == "" {
		return v.say("field.empty")
	}
	return value
}

// arrivalPDF opens the bytes of one arrival.
func (s *server) arrivalPDF(v *visit) error {
	in, err := s.cfg.Service.Incoming(v.ctx(), v.actor, v.incomingID())
	if err != nil {
		return err
	}
	list, err := s.cfg.Service.Arrivals(v.ctx(), v.actor, in.ID)
	if err != nil {
		return err
	}
	id := v.r.PathValue("arrival")
	for i := range list {
		if list[i].ID == id {
			r, size, err := s.cfg.Service.ArrivalPDF(v.ctx(), v.actor, in.ID, id)
			if err != nil {
				return err
			}
			return v.pdf(r, size, pdfName(in.Code, in.Type), string(list[i].PDF.Digest))
		}
	}
	return errNoPage
}

// alikeViews are the open questions about one entry.
func (v *visit) alikeViews(in *exchange.Incoming) ([]alikeView, error) {
	if !v.can(exchange.ActRegister) {
		return nil, nil
	}
	list, err := v.srv.cfg.Service.Alike(v.ctx(), v.actor)
	if err != nil {
		return nil, err
	}
	var out []alikeView
	for i := range list {
		l := &list[i]
		other := l.Other
		if l.Decision != "" || l.Incoming != in.ID && l.Other != in.ID {
			continue
		}
		if l.Other == in.ID {
			other = l.Incoming
		}
		view, err := v.alikeView(in, other, l.Why)
		if err != nil {
			return nil, err
		}
		out = append(out, *view)
	}
	return out, nil
}

// alikeView asks about a pair; of the two the one that waits for registration can be merged into the other.
func (v *visit) alikeView(in *exchange.Incoming, other exchange.IncomingID, why string) (*alikeView, error) {
	o, err := v.srv.cfg.Service.Incoming(v.ctx(), v.actor, other)
	if err != nil {
		return nil, err
	}
	view := &alikeView{Other: incomingURL(o.ID), Code: o.Code, Subject: o.Subject, Why: v.say("alike.why." + why), Compare: incomingURL(in.ID) + "/compare/" + string(o.ID)}
	keep, child := o, in
	if in.Status != exchange.StatusArrived {
		keep, child = in, o
	}
	if child.Status == exchange.StatusArrived {
		view.Merge = v.form("merge", incomingURL(keep.ID)+"/merge", v.note(v.say("act.reason"), true)).hide("other", string(child.ID))
		view.Merge.Hint = v.say("alike.merge.hint", v.entryName(child), v.entryName(keep))
	}
	view.Apart = v.form("apart", incomingURL(in.ID)+"/apart", v.note(v.say("act.reason"), true)).hide("other", string(o.ID))
	return view, nil
}

// entryName names a line of the register: its arrival number, else when it came.
func (v *visit) entryName(in *exchange.Incoming) string {
	if in.ArrivalNumber > 0 {
		return v.say("arrival.number", twoDigits(in.ArrivalNumber))
	}
	return v.say("alike.arrived", moment(in.Received))
}

// can tells whether the actor's roles allow an act.
func (v *visit) can(a exchange.Act) bool {
	return slices.ContainsFunc(exchange.RolesFor(a), v.actor.Has)
}

// compareBody puts two entries beside each other.
type compareBody struct {
	Crumb           fact
	Left, Right     registerCell
	LeftPDF         string
	RightPDF        string
	Rows            []differenceRow
	Same            int
	Question        *alikeView
	LeftIs, RightIs chip
}

func (s *server) comparePage(v *visit) error {
	return v.compare(v.incomingID(), exchange.IncomingID(v.r.PathValue("other")), nil)
}

// compare shows in what two entries differ, and asks whether they are one.
func (v *visit) compare(a, b exchange.IncomingID, problem error) error {
	left, err := v.srv.cfg.Service.Incoming(v.ctx(), v.actor, a)
	if err != nil {
		return err
	}
	right, err := v.srv.cfg.Service.Incoming(v.ctx(), v.actor, b)
	if err != nil {
		return err
	}
	body := compareBody{Crumb: fact{v.say("alike.title"), "/alike"}, Left: registerCell{Text: v.entryName(left), URL: incomingURL(a)}, Right: registerCell{Text: v.entryName(right), URL: incomingURL(b)},
		LeftPDF: incomingURL(a) + "/pdf", RightPDF: incomingURL(b) + "/pdf", LeftIs: v.statusChip(left.Status), RightIs: v.statusChip(right.Status)}
	for _, f := range []struct{ name, a, b string }{
		{"from", v.sender(left), v.sender(right)}, {"code", left.Code, right.Code}, {"issued", day(left.Issued), day(right.Issued)},
		{"type", v.typeName(left.Type), v.typeName(right.Type)}, {"subject", left.Subject, right.Subject}, {"signer_name", left.SignerName, right.SignerName},
		{"priority", left.Priority.In(v.lang), right.Priority.In(v.lang)}, {"due", day(left.Due), day(right.Due)},
		{"medium", v.say("medium." + string(left.Medium)), v.say("medium." + string(right.Medium))},
		{"verdict", v.indicationChip(left.Verdict).Label, v.indicationChip(right.Verdict).Label}, {"digest", string(left.PDF.Digest), string(right.PDF.Digest)},
	} {
		if f.a == f.b {
			body.Same++
			continue
		}
		body.Rows = append(body.Rows, differenceRow{v.fieldName(f.name), v.fieldValue(f.name, f.a), v.fieldValue(f.name, f.b)})
	}
	questions, err := v.alikeViews(left)
	if err != nil {
		return err
	}
	for i := range questions {
		if questions[i].Other == incomingURL(b) {
			body.Question = &questions[i]
		}
	}
	return v.showWith("compare", v.say("alike.compare"), body, problem)
}

// sender names who a document is from: an agency, or a name where it has no code.
func (v *visit) sender(in *exchange.Incoming) string {
	if in.SenderName != "" {
		return in.SenderName
	}
	return v.agencyName(in.From)
}

// alike lists the pairs on which the clerk has to decide.
func (s *server) alike(v *visit) error {
	list, err := s.cfg.Service.Alike(v.ctx(), v.actor)
	if err != nil {
		return err
	}
	body := tableBody{Title: v.say("alike.title"), Lead: v.say("alike.lead"), Empty: v.say("alike.empty"), Crumb: fact{v.say("nav.incoming"), "/incoming"}}
	for i := range list {
		l := &list[i]
		if l.Decision != "" {
			continue
		}
		in, err := s.cfg.Service.Incoming(v.ctx(), v.actor, l.Incoming)
		if err != nil {
			return err
		}
		other, err := s.cfg.Service.Incoming(v.ctx(), v.actor, l.Other)
		if err != nil {
			return err
		}
		body.Rows = append(body.Rows, registerRow{Cells: cells(registerCell{Text: in.Subject, URL: incomingURL(in.ID) + "/compare/" + string(other.ID)},
			in.Code, v.sender(in), v.entryName(in), v.entryName(other), v.say("alike.why."+l.Why))})
	}
	return v.table(body, v.say("col.document"), v.say("fact.code"), v.say("col.from"), v.say("alike.this"), v.say("alike.other"), v.say("alike.why"))
}

// decide merges two entries or keeps them apart, by the clerk's word.
func (s *server) decide(v *visit) error {
	act := v.r.PathValue("act")
	f := v.form(act, v.r.URL.Path, v.note(v.say("act.reason"), true)).hide("other", "")
	err := v.fill(f)
	other := exchange.IncomingID(f.get("other"))
	if err == nil && act == "merge" {
		_, err = s.cfg.Service.MergeArrival(v.ctx(), v.actor, v.incomingID(), other, f.get("note"))
	} else if err == nil {
		err = s.cfg.Service.KeepApart(v.ctx(), v.actor, v.incomingID(), other, f.get("note"))
	}
	if err != nil {
		if other == "" {
			return v.incoming(v.incomingID(), err)
		}
		return v.compare(v.incomingID(), other, err)
	}
	return v.see(incomingURL(v.incomingID()), act)
}
