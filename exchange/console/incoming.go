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
	actions, err := v.answers(in)
	if err != nil {
		return err
	}
	if len(actions) == 0 { // a request of the sender comes first
		if actions, err = v.incomingActions(in); err != nil {
			return err
		}
	}
	body := incomingBody{PDF: incomingURL(id) + "/pdf", Subject: in.Subject, Code: in.Code, Type: v.typeName(in.Type),
		Priority: v.priority(in.Priority), FromLine: v.agencyName(in.From) + " (" + string(in.From) + ")",
		Status: v.statusChip(in.Status), Verdict: v.verdictView(in.Report), Facts: v.incomingFacts(in),
		Details: facts(fact{v.say("fact.size"), v.bytes(in.PDF.Size)}, fact{v.say("fact.digest"), string(in.PDF.Digest)}),
		Events:  v.trail(events), Actions: actions}
	if in.ArrivalNumber > 0 {
		body.Stamp = &stampView{Agency: v.agencyName(in.Agency), Number: twoDigits(in.ArrivalNumber), Day: day(in.Registered)}
	}
	return v.showWith("incoming", in.Subject, body, problem)
}

func (v *visit) incomingFacts(in *exchange.Incoming) []fact {
	arrival := ""
	if in.ArrivalNumber > 0 {
		arrival = twoDigits(in.ArrivalNumber) + "/" + strconv.Itoa(in.ArrivalYear)
	}
	return facts(fact{v.say("fact.from"), v.agencyName(in.From)}, fact{v.say("fact.code"), in.Code},
		fact{v.say("fact.issued"), day(in.Issued)}, fact{v.say("fact.signer"), in.SignerName},
		fact{v.say("fact.priority"), in.Priority.In(v.lang)},
		fact{v.say("fact.received"), moment(in.Received)}, fact{v.say("fact.arrival"), arrival},
		fact{v.say("fact.registered"), moment(in.Registered)}, fact{v.say("fact.due"), day(in.Due)},
		fact{v.say("fact.assignee"), v.personName(in.Assignee)}, fact{v.say("fact.note"), in.Note})
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
		a := action{Key: key, URL: incomingURL(in.ID) + "/" + key, Primary: len(acts) == 0 && act != exchange.ActRefuse,
			Label: v.say("act." + key), Hint: v.sayOr("act."+key+".hint", ""), Button: v.say("act." + key + ".button"),
			NoteLabel: v.say("act.note")}
		switch act {
		case exchange.ActAssign:
			a.Assign, a.Note = true, true
			people, err := v.colleagues()
			if err != nil {
				return nil, err
			}
			a.People = people
		case exchange.ActFinish:
			a.Note = true
		case exchange.ActRefuse:
			a.Danger, a.Note, a.NoteRequired, a.NoteLabel = true, true, true, v.say("act.refuse.reason")
		}
		acts = append(acts, a)
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
	if err := v.r.ParseForm(); err != nil {
		return formError(err)
	}
	id, note, act := v.incomingID(), v.line("note"), v.r.PathValue("act")
	var err error
	switch act {
	case "register":
		_, err = s.cfg.Service.Register(v.ctx(), v.actor, id)
	case "assign":
		_, err = s.cfg.Service.Assign(v.ctx(), v.actor, id, registry.PersonID(v.r.PostFormValue("person")), note)
	case "process":
		_, err = s.cfg.Service.Process(v.ctx(), v.actor, id, note)
	case "finish":
		_, err = s.cfg.Service.Finish(v.ctx(), v.actor, id, note)
	case "refuse":
		_, err = s.cfg.Service.Refuse(v.ctx(), v.actor, id, note)
	case "agree", "decline":
		_, err = s.cfg.Service.AnswerRequest(v.ctx(), v.actor, id, act == "agree", note)
	default:
		return errNoPage
	}
	if err != nil {
		return v.incoming(id, err)
	}
	return v.see(incomingURL(id), act)
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
