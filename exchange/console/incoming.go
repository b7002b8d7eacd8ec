package console

import (
	"slices"
	"strconv"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

func (v *visit) incomingID() exchange.IncomingID { return exchange.IncomingID(v.r.PathValue("id")) }

func (s *server) incomingPage(v *visit) error { return v.incoming(v.incomingID(), nil) }

// incoming shows a received document, with the problem an act on it met.
func (v *visit) incoming(id exchange.IncomingID, problem error) error {
	svc := v.srv.cfg.Service
	in, err := svc.Incoming(v.ctx(), v.actor, id)
	if err != nil {
		return err
	}
	events, err := svc.IncomingTimeline(v.ctx(), v.actor, id)
	if err != nil {
		return err
	}
	next, err := v.srv.cfg.Service.NextIncoming(v.ctx(), v.actor, id)
	if err != nil {
		return err
	}
	work, err := v.handling(in)
	if err != nil {
		return err
	}
	arrivals, err := v.arrivalRows(id)
	if err != nil {
		return err
	}
	alike, err := v.alikeViews(in)
	if err != nil {
		return err
	}
	actions, err := v.allIncomingActions(in)
	if err != nil {
		return err
	}
	body := incomingBody{PDF: incomingURL(id) + "/pdf", Subject: in.Subject, Code: in.Code, Type: v.typeName(in.Type),
		Priority: v.priority(in.Priority), FromLine: v.fromLine(in), Next: v.nextRows(next), Work: work, Arrivals: arrivals, Alike: alike,
		Status: v.statusChip(in.Status), Verdict: v.verdictView(in.Report), Facts: v.incomingFacts(in),
		Details: facts(fact{v.say("fact.size"), v.bytes(in.PDF.Size)}, fact{v.say("fact.digest"), string(in.PDF.Digest)}),
		Events:  v.trail(events), Actions: actions}
	if in.Merged != "" {
		body.Merged = incomingURL(in.Merged)
	}
	if in.ArrivalNumber > 0 {
		body.Stamp = &stampView{Agency: v.agencyName(in.Agency), Number: twoDigits(in.ArrivalNumber), Day: day(in.Registered)}
	}
	return v.showWith("incoming", in.Subject, body, problem)
}

// fromLine names the sender with its code, and what the document came on where that is paper.
func (v *visit) fromLine(in *exchange.Incoming) string {
	line := v.sender(in)
	if in.From != "" {
		line += " (" + string(in.From) + ")"
	}
	if in.Medium == exchange.MediumPaper {
		line += " · " + v.say("medium.paper")
	}
	return line
}

// allIncomingActions puts the answer to the sender's open request first, then the next act, then the work inside the agency.
func (v *visit) allIncomingActions(in *exchange.Incoming) ([]action, error) {
	acts, err := v.answers(in)
	if err != nil {
		return nil, err
	}
	if in.Merged != "" {
		return nil, nil
	}
	if len(acts) == 0 { // a request of the sender comes first
		if acts, err = v.incomingActions(in); err != nil {
			return nil, err
		}
	}
	h, err := v.srv.cfg.Service.Handling(v.ctx(), v.actor, in.ID)
	if err != nil {
		return nil, err
	}
	inside, err := v.workActions(in, &h)
	if err != nil {
		return nil, err
	}
	if len(acts) > 0 && acts[0].Wait && len(inside) > 0 && inside[0].Key == "part" {
		inside[0].Primary = true // whose turn it is has a part of the work
		acts = nil
	}
	return append(acts, inside...), nil
}

func (v *visit) incomingFacts(in *exchange.Incoming) []fact {
	arrival := ""
	if in.ArrivalNumber > 0 {
		arrival = twoDigits(in.ArrivalNumber) + "/" + strconv.Itoa(in.ArrivalYear)
	}
	return facts(fact{v.say("fact.from"), v.sender(in)}, fact{v.say("fact.code"), in.Code},
		fact{v.say("fact.issued"), day(in.Issued)}, fact{v.say("fact.signer"), in.SignerName},
		fact{v.say("fact.priority"), in.Priority.In(v.lang)},
		fact{v.say("fact.received"), moment(in.Received)}, fact{v.say("fact.arrival"), arrival},
		fact{v.say("fact.registered"), moment(in.Registered)}, fact{v.say("fact.due"), day(in.Due)},
		fact{v.say("work.due"), day(in.TaskDue)}, fact{v.say("fact.assignee"), v.personName(in.Assignee)}, fact{v.say("fact.note"), in.Note})
}

func (v *visit) personName(id registry.PersonID) string {
	if id == "" {
		return ""
	}
	p, err := v.srv.cfg.Registry.Person(v.ctx(), id)
	if err != nil {
		return string(id)
	}
	if p.Position != "" {
		return p.Name + " (" + p.Position + ")"
	}
	return p.Name
}

// incomingActions offers what the exchange says the actor may do now, the usual next act first.
func (v *visit) incomingActions(in *exchange.Incoming) ([]action, error) {
	var acts []action
	may := in.Acts(v.actor)
	for _, act := range []exchange.Act{exchange.ActRegister, exchange.ActAssign, exchange.ActProcess, exchange.ActFinish, exchange.ActRefuse} {
		if !slices.Contains(may, act) {
			continue
		}
		key := string(act)
		f, err := v.incomingForm(in, act)
		if err != nil {
			return nil, err
		}
		acts = append(acts, action{Key: key, Primary: len(acts) == 0 && act != exchange.ActRefuse, Big: len(f.Fields) > 1, Form: f,
			Label: v.say("act." + key), Hint: v.sayOr("act."+key+".hint", "")})
	}
	waiting := map[exchange.Status]string{exchange.StatusArrived: "register", exchange.StatusRegistered: "assign",
		exchange.StatusAssigned: "process", exchange.StatusProcessing: "process"}[in.Status]
	if len(acts) == 0 && waiting != "" {
		acts = append(acts, action{Key: waiting, Primary: true, Wait: true, Label: v.say("act.wait." + waiting), Hint: v.say("act.wait.hint")})
	}
	return acts, nil
}

// colleagues are the people of the actor's agency who can be given work.
func (v *visit) colleagues() ([]option, error) {
	people, err := v.srv.cfg.Registry.People(v.ctx(), v.actor.Agency)
	if err != nil {
		return nil, err
	}
	var options []option
	for _, p := range people {
		if !p.Disabled {
			options = append(options, option{Value: string(p.ID), Label: p.Name + " · " + v.roleNames(p.Roles)})
		}
	}
	return options, nil
}

func (s *server) incomingAct(v *visit) error {
	act := v.r.PathValue("act")
	if act == "merge" || act == "apart" {
		return s.decide(v)
	}
	in, err := s.cfg.Service.Incoming(v.ctx(), v.actor, v.incomingID())
	if err != nil {
		return err
	}
	f, err := v.actForm(in, act)
	if err != nil {
		return err
	}
	if err = v.fill(f); err == nil {
		err = v.incomingWork(act, f)
	}
	if err != nil {
		return v.incoming(in.ID, err)
	}
	return v.see(incomingURL(in.ID), act)
}

// actForm is the form of an act as the page shows it to this actor. Where the page does not offer the act, it is a form
// of the fields that the service asks for, so that the service says why it may not be done.
func (v *visit) actForm(in *exchange.Incoming, act string) (*form, error) {
	offered, err := v.allIncomingActions(in)
	if err != nil {
		return nil, err
	}
	for i := range offered {
		if offered[i].Key == act && offered[i].Form != nil {
			return offered[i].Form, nil
		}
	}
	return v.form(act, v.r.URL.Path, field{Name: "person"}, field{Name: "due", Kind: fieldDate}, field{Name: "with"}, field{Name: "kind"},
		field{Name: "answer"}, field{Name: "note", Kind: fieldLong, Max: limitNote}), nil
}

func (s *server) incomingPDF(v *visit) error {
	in, err := s.cfg.Service.Incoming(v.ctx(), v.actor, v.incomingID())
	if err != nil {
		return err
	}
	r, size, err := s.cfg.Service.IncomingPDF(v.ctx(), v.actor, v.incomingID())
	if err != nil {
		return err
	}
	return v.pdf(r, size, pdfName(in.Code, in.Type), string(in.PDF.Digest))
}
