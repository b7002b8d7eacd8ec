package console

import (
	"slices"

	"golang.org/x/text/unicode/norm"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// recipientLimit is how many agencies the list of recipients shows at once.
const recipientLimit = 500

func (s *server) sendPage(v *visit) error {
	return v.recipients(v.documentID(), v.r.URL.Query()["to"], v.r.URL.Query().Get("q"), nil)
}

// recipients shows the choice of recipients; what was chosen stays chosen whatever the filter shows.
func (v *visit) recipients(id exchange.DocumentID, chosen []string, search string, problem error) error {
	d, err := v.srv.cfg.Service.Document(v.ctx(), v.actor, id)
	if err != nil {
		return err
	}
	search = norm.NFC.String(search)
	found, err := v.srv.cfg.Registry.Agencies(v.ctx(), registry.Filter{Query: search, Limit: recipientLimit})
	if err != nil {
		return err
	}
	body := sendBody{DocumentURL: documentURL(id), Code: v.code(d), Subject: d.Subject, Query: search, Steps: v.steps("send"),
		More: len(found) == recipientLimit, Hint: v.say("send.hint.unnumbered")}
	if d.Number > 0 {
		body.Hint = v.say("send.hint.numbered", d.Code())
	}
	add := func(a *registry.Agency) {
		if a.ID == d.Agency || !a.ActiveAt(v.srv.cfg.Now()) {
			return
		}
		body.Recipients = append(body.Recipients, recipientRow{ID: string(a.ID), Name: a.Name,
			Search: a.Name + " " + string(a.ID) + " " + a.Symbol + " " + a.LegacyCode, Checked: slices.Contains(chosen, string(a.ID)),
			Channel: v.channelChip(a.Channel)})
	}
	for _, c := range chosen {
		if !slices.ContainsFunc(found, func(a registry.Agency) bool { return string(a.ID) == c }) {
			if a := v.agencyOf(registry.AgencyID(c)); a != nil {
				add(a)
			}
		}
	}
	for i := range found {
		add(&found[i])
	}
	return v.showWith("send", v.say("send.title"), body, problem)
}

func (s *server) send(v *visit) error {
	if err := v.r.ParseForm(); err != nil {
		return formError(err)
	}
	chosen := v.r.PostForm["to"]
	to := make([]registry.AgencyID, 0, len(chosen))
	for _, c := range chosen {
		to = append(to, registry.AgencyID(c))
	}
	if len(to) == 0 {
		return v.recipients(v.documentID(), nil, "", s.told("send.none"))
	}
	_, _, err := s.cfg.Service.Send(v.ctx(), v.actor, v.documentID(), to)
	if err != nil {
		return v.recipients(v.documentID(), chosen, "", err)
	}
	return v.see(documentURL(v.documentID()), "send")
}
