package console

import (
	"net/http"
	"slices"
	"strings"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// foundRow is one document that was found.
type foundRow struct {
	URL, Subject, Code, Who, Kind string
	Day                           string
	State                         chip
}

type searchBody struct {
	Query string
	Rows  []foundRow
	Pager pagerView
}

// search looks through outgoing and incoming documents at once: subject, number, agency and text, marks ignored.
func (s *server) search(v *visit) error {
	body := searchBody{Query: query(v.r)}
	if body.Query == "" {
		return v.show(http.StatusOK, "search", v.say("search.title"), body)
	}
	found, err := s.cfg.Service.Search(v.ctx(), v.actor, body.Query, v.r.URL.Query().Get("after"), listSize)
	if err != nil {
		return v.showWith("search", v.say("search.title"), body, err)
	}
	for i := range found.Items {
		body.Rows = append(body.Rows, v.foundRow(&found.Items[i]))
	}
	body.Pager = pager(v.r, found.Next)
	return v.show(http.StatusOK, "search", v.say("search.title"), body)
}

func (v *visit) foundRow(f *exchange.Found) foundRow {
	if d := f.Document; d != nil {
		return foundRow{URL: documentURL(d.ID), Subject: d.Subject, Code: v.code(d), Who: d.SignerName, Kind: v.say("nav.outgoing"), Day: day(d.Created), State: v.stateChip(d.State)}
	}
	in := f.Incoming
	return foundRow{URL: incomingURL(in.ID), Subject: in.Subject, Code: in.Code, Who: v.sender(in), Kind: v.say("nav.incoming"), Day: day(in.Received), State: v.statusChip(in.Status)}
}

// piece is a part of a text; Hit marks what was looked for.
type piece struct {
	Text string
	Hit  bool
}

// marked parts a text at the words of a query, marks and case ignored.
func marked(text, query string) []piece {
	words := strings.Fields(registry.Fold(query))
	var out []piece
	for i, w := range strings.Split(text, " ") {
		folded := registry.Fold(w)
		hit := folded != "" && slices.ContainsFunc(words, func(q string) bool { return strings.HasPrefix(strings.TrimLeft(folded, "“\"(/"), q) })
		if i > 0 {
			w = " " + w
		}
		if n := len(out); n > 0 && out[n-1].Hit == hit {
			out[n-1].Text += w
			continue
		}
		out = append(out, piece{w, hit})
	}
	return out
}
