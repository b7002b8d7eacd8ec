package console

import (
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/text/unicode/norm"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// listSize is a page of a list; sentSize is smaller, as each line brings its deliveries.
const (
	listSize = 50
	sentSize = 15
)

// query reads a search field as it is stored: NFC.
func query(r *http.Request) string { return norm.NFC.String(strings.TrimSpace(r.URL.Query().Get("q"))) }

// pager links to the next page and, from a later one, back to the first.
func pager(r *http.Request, next string) pagerView {
	link := func(after string) string {
		q := r.URL.Query()
		q.Del("after")
		q.Del("done")
		if after != "" {
			q.Set("after", after)
		}
		if len(q) == 0 {
			return r.URL.Path
		}
		return r.URL.Path + "?" + q.Encode()
	}
	var p pagerView
	if next != "" {
		p.Next = link(next)
	}
	if r.URL.Query().Get("after") != "" {
		p.First = link("")
	}
	return p
}

func (v *visit) filter(placeholder string, q url.Values) filterView {
	return filterView{Action: v.r.URL.Path, Query: query(v.r), Placeholder: v.say(placeholder),
		Active: q.Get("q") != "" || q.Get("state") != "" || q.Get("year") != "" || q.Get("mine") != ""}
}

func (s *server) incomingList(v *visit) error {
	q := v.r.URL.Query()
	f := exchange.IncomingFilter{Status: exchange.Status(q.Get("state")), Query: query(v.r), Year: yearOf(q.Get("year")),
		After: q.Get("after"), Limit: listSize}
	if q.Get("mine") != "" {
		f.Assignee = v.actor.Person
	}
	found, err := s.cfg.Service.Incomings(v.ctx(), v.actor, f)
	if err != nil {
		return err
	}
	body := incomingListBody{Filter: v.filter("filter.incoming", q), Pager: pager(v.r, found.Next), CanScan: v.can(exchange.ActRegister)}
	for _, st := range []exchange.Status{exchange.StatusArrived, exchange.StatusRegistered, exchange.StatusAssigned,
		exchange.StatusProcessing, exchange.StatusFinished, exchange.StatusRefused} {
		body.Filter.States = append(body.Filter.States, option{Value: string(st),
			Label: v.say("status." + string(st)), Selected: st == f.Status})
	}
	body.Filter.Years = v.yearOptions(f.Year, true)
	for i := range found.Items {
		body.Rows = append(body.Rows, v.incomingRow(&found.Items[i]))
	}
	return v.show(http.StatusOK, "incoming_list", v.say("nav.incoming"), body)
}

func (s *server) outgoingList(v *visit) error {
	q := v.r.URL.Query()
	f := exchange.ListFilter{State: exchange.State(q.Get("state")), Query: query(v.r), Year: yearOf(q.Get("year")),
		After: q.Get("after"), Limit: listSize}
	found, err := s.cfg.Service.Documents(v.ctx(), v.actor, f)
	if err != nil {
		return err
	}
	body := outgoingListBody{Filter: v.filter("filter.outgoing", q), Pager: pager(v.r, found.Next), CanDraft: v.canDraft()}
	for _, st := range exchange.States() {
		body.Filter.States = append(body.Filter.States, option{Value: string(st),
			Label: st.In(v.lang), Selected: st == f.State})
	}
	body.Filter.Years = v.yearOptions(f.Year, true)
	for i := range found.Items {
		body.Rows = append(body.Rows, v.outgoingRow(&found.Items[i]))
	}
	return v.show(http.StatusOK, "outgoing_list", v.say("nav.outgoing"), body)
}

func (s *server) sent(v *visit) error {
	q := v.r.URL.Query()
	f := exchange.ListFilter{State: exchange.StateSent, Query: query(v.r), Year: yearOf(q.Get("year")),
		After: q.Get("after"), Limit: sentSize}
	found, err := s.cfg.Service.Documents(v.ctx(), v.actor, f)
	if err != nil {
		return err
	}
	body := sentBody{Filter: v.filter("filter.outgoing", q), Pager: pager(v.r, found.Next)}
	body.Filter.Years = v.yearOptions(f.Year, true)
	for i := range found.Items {
		d := &found.Items[i]
		rows, _, err := v.deliveryRows(d.ID, nil)
		if err != nil {
			return err
		}
		body.Documents = append(body.Documents, sentDocument{URL: documentURL(d.ID), Code: v.code(d), Subject: d.Subject,
			Sent: d.Sent, Deliveries: rows})
	}
	return v.show(http.StatusOK, "sent", v.say("nav.sent"), body)
}

// agencyOptions are the agencies to choose from, in the order of the directory.
func agencyOptions(all []registry.Agency, chosen registry.AgencyID) []option {
	options := make([]option, 0, len(all))
	for _, a := range all {
		options = append(options, option{Value: string(a.ID), Label: a.Name + " (" + string(a.ID) + ")", Selected: a.ID == chosen})
	}
	return options
}
