package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// table shows rows under columns, on the one screen for lists that nobody filters.
func (v *visit) table(body tableBody, columns ...string) error {
	body.Columns = columns
	for _, r := range body.Rows {
		for i := range r.Cells {
			r.Cells[i].Label = columns[i]
		}
	}
	return v.show(http.StatusOK, "table", body.Title, body)
}

// overdue lists what is late and the actor's to do.
func (s *server) overdue(v *visit) error {
	list, err := s.cfg.Service.Overdue(v.ctx(), v.actor)
	if err != nil {
		return err
	}
	body := tableBody{Title: v.say("overdue.title"), Lead: v.say("overdue.lead"), Empty: v.say("overdue.empty")}
	for i := range list {
		o := &list[i]
		to := documentURL(o.Document)
		if o.Document == "" {
			to = incomingURL(o.Incoming)
		}
		body.Rows = append(body.Rows, registerRow{Cells: cells(registerCell{Text: o.Subject, URL: to}, o.Code, v.sayOr("act."+string(o.Step.Act), string(o.Step.Act)),
			moment(o.Step.Due), v.num(o.Days), o.Step.Rule)})
	}
	return v.table(body, v.say("col.document"), v.say("fact.code"), v.say("next.title"), v.say("col.due"), v.say("overdue.days"), v.say("overdue.rule"))
}

// gap lists the documents or deliveries behind a cause of the exchange rate.
func (s *server) gap(v *visit) error {
	q := v.r.URL.Query()
	from, to := v.period()
	found, err := s.cfg.Service.Gap(v.ctx(), v.actor, exchange.GapQuery{
		RateQuery: exchange.RateQuery{From: from, To: to.AddDate(0, 0, 1)}, Of: q.Get("of"), Cause: q.Get("cause"), After: q.Get("after"), Limit: listSize,
	})
	if err != nil {
		return err
	}
	body := tableBody{Title: v.say("gap.title"), Empty: v.say("gap.empty"), Pager: pager(v.r, found.Next),
		Crumb: fact{v.say("nav.rate"), "/rate?" + url.Values{"from": {from.Format(time.DateOnly)}, "to": {to.Format(time.DateOnly)}}.Encode()}}
	for i := range found.Items {
		g := &found.Items[i]
		if i == 0 {
			body.Lead = v.either(g.Text, g.TextEN) + " – " + v.either(g.Act, g.ActEN)
		}
		first := registerCell{Text: g.Code}
		if g.Agency == v.actor.Agency {
			first.URL = documentURL(g.Document)
		}
		if first.Text == "" {
			first.Text = v.say("code.none")
		}
		body.Rows = append(body.Rows, registerRow{Cells: cells(first, v.typeName(g.Type), dayOf(g.Day), g.AgencyName, g.Subject, g.RecipientIs, moment(g.Since), v.agencyName(g.Whose), g.Error)})
	}
	return v.table(body, v.say("fact.code"), v.say("fact.type"), v.say("fact.issued"), v.say("gap.issuer"), v.say("fact.subject"), v.say("col.recipient"), v.say("gap.since"), v.say("rate.owner"), v.say("gap.error"))
}

// dayOf shows a day that is given as YYYY-MM-DD; anything else stays as it is.
func dayOf(s string) string {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return s
	}
	return t.Format("02/01/2006")
}

// either gives the Vietnamese or the English text.
func (v *voice) either(vi, en string) string {
	if v.lang == "en" && en != "" {
		return en
	}
	return vi
}

// simulate shows what would happen if the document were sent to the chosen recipients now.
func (s *server) simulate(v *visit) error {
	if err := v.r.ParseForm(); err != nil {
		return formError(err)
	}
	var to []registry.AgencyID
	for _, c := range v.r.PostForm["to"] {
		to = append(to, registry.AgencyID(c))
	}
	if len(to) == 0 {
		return v.recipients(v.documentID(), nil, "", s.told("send.none"))
	}
	sim, err := s.cfg.Service.Simulate(v.ctx(), v.actor, v.documentID(), to)
	if err != nil {
		return v.recipients(v.documentID(), v.r.PostForm["to"], "", err)
	}
	body := tableBody{Title: v.say("simulate.title"), Lead: v.say("simulate.lead", v.num(sim.Arrives), v.num(sim.Returned), v.num(sim.Refused)),
		Crumb: fact{v.say("send.title"), documentURL(v.documentID()) + "/send?" + url.Values{"to": v.r.PostForm["to"]}.Encode()}}
	for _, p := range sim.Problems {
		body.Notes = append(body.Notes, strings.TrimSpace(v.either(p.Text, p.TextEN)+" "+v.either(p.Advice, p.AdviceEN)))
	}
	for i := range sim.Forecasts {
		body.Rows = append(body.Rows, v.forecastRow(&sim.Forecasts[i]))
	}
	return v.table(body, v.say("col.recipient"), v.say("col.code"), v.say("col.channel"), v.say("simulate.outcome"), v.say("simulate.expected"), v.say("simulate.why"))
}

func (v *visit) forecastRow(f *exchange.Forecast) registerRow {
	var why []string
	if f.Reason != nil {
		why = append(why, v.either(f.Reason.Text, f.Reason.TextEN), v.either(f.Reason.Advice, f.Reason.AdviceEN))
	}
	for _, w := range f.Warnings {
		why = append(why, v.either(w.Text, w.TextEN))
	}
	name, channel, expected := f.Name, "", ""
	if name == "" {
		name = string(f.Asked)
	}
	if f.Channel != "" {
		channel = v.channelChip(f.Channel).Label
	}
	if f.Arrivals > 0 {
		expected = v.say("simulate.seconds", v.num(int(f.Expected+1)), v.num(f.Arrivals))
	}
	return registerRow{Cancelled: f.Outcome != exchange.ForecastArrives, Cells: cells(registerCell{Text: name}, string(f.Asked), channel,
		v.sayOr("simulate."+f.Outcome, f.Outcome), expected, strings.TrimSpace(strings.Join(why, " ")))}
}

// requestViews are what the sender has asked about a document, with the fate of each copy.
func (v *visit) requestViews(id exchange.DocumentID) ([]requestView, error) {
	list, err := v.srv.cfg.Service.Requests(v.ctx(), v.actor, id)
	if err != nil {
		return nil, err
	}
	var out []requestView
	for i := range list {
		r := &list[i]
		view := requestView{Title: v.say("request.title", r.Kind.In(v.lang), r.Reason), At: r.At}
		for _, c := range r.Copies {
			row := deliveryRow{Name: v.agencyName(c.Recipient), Recipient: string(c.Recipient), Updated: c.At, Trouble: c.Note, Status: v.fateChip(c.Fate)}
			if !c.Opened.IsZero() {
				row.Arrival = v.say("request.opened", c.OpenedBy, moment(c.Opened))
			}
			if c.Receipt != "" {
				row.Receipts = []receiptRow{{URL: documentURL(id) + "/receipts/" + c.Receipt, Label: v.say("request.proof"), At: c.At}}
			}
			view.Copies = append(view.Copies, row)
		}
		out = append(out, view)
	}
	return out, nil
}

func (v *visit) fateChip(f exchange.Fate) chip {
	c := chip{"ok", "ok", f.In(v.lang)}
	switch {
	case !f.Settled():
		c.Tone, c.Icon = "wait", "wait"
	case f == exchange.FateDeclined || f == exchange.FateTooLate:
		c.Tone, c.Icon = "bad", "bad"
	}
	return c
}

// afterSending are the acts on a document that has been sent.
func (v *visit) afterSending(d *exchange.Document) ([]action, error) {
	if d.State != exchange.StateSent {
		return nil, nil
	}
	var acts []action
	if slices.ContainsFunc(exchange.RolesFor(exchange.ActRetry), v.actor.Has) {
		deliveries, err := v.srv.cfg.Service.Deliveries(v.ctx(), v.actor, d.ID)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(deliveries, func(x exchange.Delivery) bool { return x.Transport == exchange.TransportFail }) {
			acts = append(acts, action{Key: "retry", URL: documentURL(d.ID) + "/retry", Primary: true, Label: v.say("act.retry"), Hint: v.say("act.retry.hint"), Button: v.say("act.retry.button")})
		}
	}
	if v.can(exchange.ActRecall) && d.Archived.IsZero() {
		for _, kind := range []string{"recall", "update", "replace"} {
			acts = append(acts, action{Key: kind, URL: documentURL(d.ID) + "/" + kind, Link: true, Label: v.say("act." + kind), Hint: v.say("act." + kind + ".hint"), Button: v.say("act." + kind + ".open")})
		}
	}
	return acts, nil
}

func (s *server) retry(v *visit) error {
	_, err := s.cfg.Service.Retry(v.ctx(), v.actor, v.documentID())
	return v.acted(err, "retry")
}

// answers are the acts on a request of the sender that waits for the clerk.
func (v *visit) answers(in *exchange.Incoming) ([]action, error) {
	if !slices.ContainsFunc(exchange.RolesFor(exchange.ActAgreeRecall), v.actor.Has) {
		return nil, nil
	}
	notices, err := v.srv.cfg.Service.Notices(v.ctx(), v.actor, in.ID)
	if err != nil {
		return nil, err
	}
	for i := range notices {
		n := &notices[i]
		if n.State != exchange.NoticeOpen {
			continue
		}
		label := v.say("act.answer", n.Kind.In(v.lang), n.Reason)
		decline := v.form("decline", incomingURL(in.ID)+"/decline", v.note(v.say("act.decline.reason"), true))
		decline.Danger = true
		return []action{
			{Key: "agree", Primary: true, Label: label, Hint: v.noticeText(n), Form: v.form("agree", incomingURL(in.ID)+"/agree", v.note(v.say("act.note"), false))},
			{Key: "decline", Label: v.say("act.decline"), Form: decline},
		}, nil
	}
	return nil, nil
}

// bookFile prints a register or a report as a file, with all its legal columns.
func (s *server) bookFile(v *visit) error {
	year := v.bookYear()
	paper, err := s.cfg.Service.Book(v.ctx(), v.actor, exchange.BookQuery{Book: exchange.Book(v.r.PathValue("book")), Year: year})
	if err != nil {
		return err
	}
	return v.paper(paper, v.r.PathValue("book")+"-"+strconv.Itoa(year), v.r.PathValue("format"))
}
