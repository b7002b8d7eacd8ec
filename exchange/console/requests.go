package console

import (
	"slices"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// noticeText says what the sender asks: what stands in the place, what changes.
func (v *visit) noticeText(n *exchange.Notice) string {
	var parts []string
	if n.Replacement != "" {
		parts = append(parts, v.say("request.replacement", n.Replacement))
	}
	for _, c := range v.changeRows(n.Changes) {
		parts = append(parts, c.Name+": "+c.Value)
	}
	return strings.Join(append(parts, v.say("act.answer.hint")), " · ")
}

// changeRows are the data that an update sets.
func (v *visit) changeRows(c *exchange.Changes) (out []fact) {
	if c == nil {
		return nil
	}
	if c.Subject != nil {
		out = append(out, fact{v.say("fact.subject"), *c.Subject})
	}
	if c.Priority != nil {
		out = append(out, fact{v.say("fact.priority"), c.Priority.In(v.lang)})
	}
	if c.Due != nil {
		value := day(*c.Due)
		if value == "" {
			value = v.say("field.empty")
		}
		out = append(out, fact{v.say("fact.due"), value})
	}
	return out
}

// requestKind is the last part of the address: recall, update, replace.
func (v *visit) requestKind() string {
	return v.r.URL.Path[strings.LastIndexByte(v.r.URL.Path, '/')+1:]
}

func (s *server) requestPage(v *visit) error { return v.request(nil) }

// request is the page on which a sender asks recipients something about a document that was sent.
func (v *visit) request(problem error) error {
	d, err := v.srv.cfg.Service.Document(v.ctx(), v.actor, v.documentID())
	if err != nil {
		return err
	}
	f, err := v.requestForm(d)
	if err != nil {
		return err
	}
	kind := v.requestKind()
	return v.showForm(formBody{Title: v.say("act." + kind), Lead: d.Code() + " · " + d.Subject, Crumb: fact{v.code(d), documentURL(d.ID)},
		Notes: []string{v.say("request." + kind + ".lead")}, Form: f}, problem)
}

func (v *visit) requestForm(d *exchange.Document) (*form, error) {
	url := documentURL(d.ID) + "/" + v.requestKind()
	copies, err := v.copyOptions(d.ID)
	if err != nil {
		return nil, err
	}
	reason := v.note(v.say("act.reason"), true)
	switch v.requestKind() {
	case "update":
		return v.form("update", url,
			field{Name: "subject", Label: v.say("fact.subject"), Kind: fieldLong, Required: true, Max: limitSubject, Value: d.Subject, Wide: true},
			field{Name: "priority", Label: v.say("fact.priority"), Kind: fieldSelect, Value: v.num(int(d.Priority)), Options: v.priorityOptions()},
			field{Name: "due", Label: v.say("fact.due"), Kind: fieldDate, Value: dateValue(d.Due)},
			field{Name: "add", Label: v.say("request.add"), Hint: v.say("request.add.hint"), Max: 2000, Wide: true},
			field{Name: "remove", Label: v.say("request.remove"), Hint: v.say("request.remove.hint"), Kind: fieldMany, Options: copies, Wide: true}, reason), nil
	case "replace":
		ready, err := v.replacements(d)
		if err != nil {
			return nil, err
		}
		return v.form("replace", url,
			field{Name: "replacement", Label: v.say("request.with"), Hint: v.say("request.with.hint"), Kind: fieldSelect, Required: true, Options: ready, Wide: true}, reason), nil
	}
	for i := range copies {
		copies[i].Selected = true
	}
	f := v.form("recall", url, field{Name: "to", Label: v.say("request.from"), Kind: fieldMany, Required: true, Options: copies, Wide: true}, reason)
	f.Danger = true
	return f, nil
}

// copyOptions are the recipients who have a copy, with where it stands.
func (v *visit) copyOptions(id exchange.DocumentID) ([]option, error) {
	list, err := v.srv.cfg.Service.Deliveries(v.ctx(), v.actor, id)
	if err != nil {
		return nil, err
	}
	var out []option
	for i := range list {
		x := &list[i]
		if x.Transport != exchange.TransportWithdrawn && x.Status != exchange.StatusRecallAgreed {
			out = append(out, option{Value: string(x.Recipient), Label: v.agencyName(x.Recipient) + " · " + v.deliveryChip(x).Label})
		}
	}
	return out, nil
}

// replacements are the documents that are sealed and not sent.
func (v *visit) replacements(d *exchange.Document) ([]option, error) {
	found, err := v.srv.cfg.Service.Documents(v.ctx(), v.actor, exchange.ListFilter{State: exchange.StateSealed, Limit: 200})
	if err != nil {
		return nil, err
	}
	out := []option{{Label: v.say("request.choose")}}
	for i := range found.Items {
		x := &found.Items[i]
		if x.ID != d.ID {
			out = append(out, option{Value: string(x.ID), Label: clip(v.code(x)+" · "+x.Subject, 90)})
		}
	}
	return out, nil
}

// asked reads the form of a request, lets do ask it, and shows what came of it.
func (v *visit) asked(do func(d *exchange.Document, f *form) error) error {
	d, err := v.srv.cfg.Service.Document(v.ctx(), v.actor, v.documentID())
	if err != nil {
		return err
	}
	f, err := v.requestForm(d)
	if err != nil {
		return err
	}
	if err = v.fill(f); err == nil {
		err = do(d, f)
	}
	if err != nil {
		return v.request(err)
	}
	return v.see(documentURL(d.ID), v.requestKind())
}

func (s *server) recall(v *visit) error {
	return v.asked(func(d *exchange.Document, f *form) error {
		_, err := s.cfg.Service.RequestRecall(v.ctx(), v.actor, d.ID, f.agencies("to"), f.get("note"))
		return err
	})
}

func (s *server) update(v *visit) error {
	return v.asked(func(d *exchange.Document, f *form) error {
		in := exchange.UpdateInput{Remove: f.agencies("remove"), Reason: f.get("note")}
		if subject := f.get("subject"); subject != d.Subject {
			in.Subject = &subject
		}
		if p := exchange.Priority(f.int("priority")); f.get("priority") != "" && p != d.Priority {
			in.Priority = &p
		}
		if f.get("due") != dateValue(d.Due) {
			var due time.Time
			if !f.date("due").IsZero() {
				due = f.date("due")
			}
			in.Due = &due
		}
		for code := range strings.FieldsFuncSeq(f.get("add"), func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
			if a := registry.AgencyID(code); !slices.Contains(in.Add, a) {
				in.Add = append(in.Add, a)
			}
		}
		_, err := s.cfg.Service.Update(v.ctx(), v.actor, d.ID, in)
		return err
	})
}

func (s *server) replace(v *visit) error {
	return v.asked(func(d *exchange.Document, f *form) error {
		_, err := s.cfg.Service.Replace(v.ctx(), v.actor, d.ID, exchange.DocumentID(f.get("replacement")), nil, f.get("note"))
		return err
	})
}
