package console

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/exchange/sheet"
)

// bookYear is the year of a register page: this one when none is asked for.
func (v *visit) bookYear() int {
	if y := yearOf(v.r.URL.Query().Get("year")); y > 0 {
		return y
	}
	return v.srv.cfg.Now().In(hanoi).Year()
}

// bookOf gives the book that is printed for a register page.
func bookOf(kind string) string {
	switch kind {
	case "incoming":
		return string(exchange.BookIncoming)
	case "followup":
		return string(exchange.BookFollowUp)
	}
	return string(exchange.BookOutgoing)
}

func (v *visit) book(kind string, year int, columns []string, rows []registerRow) error {
	title := v.say("register."+kind+".title", strconv.Itoa(year))
	body := registerBody{Title: title, Years: v.yearOptions(year, false), Rows: rows,
		PDF: "/books/" + bookOf(kind) + "/pdf?year=" + strconv.Itoa(year), XLSX: "/books/" + bookOf(kind) + "/xlsx?year=" + strconv.Itoa(year),
		CSV:  "/books/" + bookOf(kind) + "/csv?year=" + strconv.Itoa(year),
		Lead: v.agencyName(v.actor.Agency) + ": " + v.count("register.lines", len(rows))}
	for _, c := range columns {
		body.Columns = append(body.Columns, v.say("book."+c))
	}
	for _, r := range rows {
		for i := range r.Cells {
			r.Cells[i].Label = body.Columns[i]
		}
	}
	return v.show(http.StatusOK, "register", title, body)
}

// outgoingRegister is the sổ đăng ký văn bản đi with its ten columns (NĐ 30/2020 Phụ lục IV).
func (s *server) outgoingRegister(v *visit) error {
	year := v.bookYear()
	entries, err := s.cfg.Service.OutgoingRegister(v.ctx(), v.actor, year)
	if err != nil {
		return err
	}
	rows := make([]registerRow, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		note, copies := e.Note, ""
		if e.Cancelled {
			note = v.say("book.cancelled", e.Note)
		}
		if e.Copies > 0 {
			copies = v.num(e.Copies)
		}
		rows = append(rows, registerRow{Cancelled: e.Cancelled, Cells: cells(registerCell{Text: e.Code, URL: documentURL(e.Document)},
			day(e.Issued), e.Title, e.Signer, strings.Join(v.names(e.Recipients), "; "), e.KeptBy, copies, day(e.Sent), e.SignedFor, note)})
	}
	return v.book("outgoing", year, []string{"code", "date", "title", "signer", "to", "kept", "copies", "sent", "signed", "note"}, rows)
}

// incomingRegister is the sổ đăng ký văn bản đến with its ten columns (NĐ 30/2020 Phụ lục IV).
func (s *server) incomingRegister(v *visit) error {
	year := v.bookYear()
	entries, err := s.cfg.Service.IncomingRegister(v.ctx(), v.actor, year)
	if err != nil {
		return err
	}
	rows := make([]registerRow, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		rows = append(rows, registerRow{Cells: cells(registerCell{Text: twoDigits(e.ArrivalNumber), URL: incomingURL(e.Incoming)},
			day(e.Arrived), e.Author, e.Code, day(e.Issued), e.Title, e.Handler, day(e.Forwarded), e.SignedFor, e.Note)})
	}
	return v.book("incoming", year, []string{"arrival", "arrived", "author", "code", "docdate", "title", "handler", "forwarded", "signed", "note"}, rows)
}

// names shows agencies by name; what is not a known code is shown as it is.
func (v *visit) names(ids []string) []string {
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		names = append(names, v.agencyName(registry.AgencyID(id)))
	}
	return names
}

func cells(first registerCell, others ...string) []registerCell {
	all := []registerCell{first}
	for _, o := range others {
		all = append(all, registerCell{Text: o})
	}
	return all
}

// rate is the electronic exchange rate of a period.
func (s *server) rate(v *visit) error {
	from, to := v.period()
	stats, err := s.cfg.Service.Stats(v.ctx(), v.actor, from, to.AddDate(0, 0, 1))
	if err != nil {
		return err
	}
	body := rateBody{From: from.Format("2006-01-02"), To: to.Format("2006-01-02"), Population: stats.Population,
		Rate: v.percent(stats.Rate), Sentence: v.say("rate.sentence", v.num(stats.Electronic), v.num(stats.Population), day(from), day(to))}
	body.Facts = []fact{{v.say("rate.deliveries"), v.num(stats.Deliveries)}, {v.say("rate.arrived"), v.num(stats.Arrived)},
		{v.say("rate.registered"), v.num(stats.Registered)}, {v.say("rate.completed"), v.num(stats.Completed)},
		{v.say("rate.refused"), v.num(stats.Refused)}, {v.say("rate.excluded"), v.num(stats.Excluded + stats.Cancelled)},
		{v.say("rate.deliveryrate"), v.percent(stats.DeliveryRate)}}
	body.Quarters = v.quarters()
	body.Bars = v.bars(stats.ByAgency)
	for i := range stats.Missing {
		m := &stats.Missing[i]
		body.Causes = append(body.Causes, rateCause{Cause: v.either(m.Text, m.TextEN), Count: v.count("rate.of."+m.Of, m.Count),
			Owner: v.owner(m.Owner), Next: v.either(m.Act, m.ActEN), URL: "/rate/gap?" + url.Values{
				"from": {body.From}, "to": {body.To}, "of": {m.Of}, "cause": {m.Cause}}.Encode()})
	}
	return v.show(http.StatusOK, "rate", v.say("nav.rate"), body)
}

// owner is whose turn it is: a role, or the hub itself.
func (v *voice) owner(r registry.Role) string {
	if r == "" {
		return v.say("role.hub")
	}
	return v.sayOr("role."+string(r), string(r))
}

// bars draws each agency's share on a scale from 0 to 100%.
func (v *visit) bars(by []exchange.AgencyCounts) []rateBar {
	const fullWidth = 1000
	bars := make([]rateBar, 0, len(by))
	for i := range by {
		a := &by[i]
		bars = append(bars, rateBar{Name: a.Name, Rate: v.percent(a.Rate), Population: v.num(a.Population),
			Electronic: v.num(a.Electronic), Width: int(a.Rate*fullWidth + 0.5), Low: a.Rate < 1})
	}
	return bars
}

// paper answers with a printed paper: PDF, XLSX, or its first table as CSV.
func (v *visit) paper(paper *sheet.Paper, name, format string) error {
	var b bytes.Buffer
	var kind string
	var err error
	switch format {
	case "pdf":
		kind, err = "application/pdf", paper.PDF(&b)
	case "xlsx":
		kind, err = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", paper.XLSX(&b)
	case "csv":
		i := slices.IndexFunc(paper.Parts, func(p sheet.Part) bool { return p.Table != nil })
		if i < 0 {
			return errNoPage
		}
		kind, err = "text/csv; charset=utf-8", paper.Parts[i].Table.CSV(&b)
	default:
		return errNoPage
	}
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", kind)
	v.w.Header().Set("Content-Disposition", `attachment; filename="`+plainName(name)+"."+format+`"`)
	_, _ = b.WriteTo(v.w) // the reader has gone away: nobody to tell
	return nil
}

// followUpRegister is the sổ theo dõi giải quyết văn bản đến with its seven columns (NĐ 30/2020 Phụ lục IV).
func (s *server) followUpRegister(v *visit) error {
	year := v.bookYear()
	entries, err := s.cfg.Service.FollowUpRegister(v.ctx(), v.actor, year)
	if err != nil {
		return err
	}
	rows := make([]registerRow, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		who := strings.Join(append([]string{e.Handler}, e.CoHandlers...), "; ")
		rows = append(rows, registerRow{Cancelled: e.Overdue, Cells: cells(registerCell{Text: twoDigits(e.ArrivalNumber), URL: incomingURL(e.Incoming)},
			e.Title, strings.TrimPrefix(who, "; "), day(e.Due), e.Progress, e.Answer, e.Note)})
	}
	return v.book("followup", year, []string{"arrival", "origin", "handler", "due", "progress", "answer", "note"}, rows)
}

// quarterFile is the quarterly report on the exchange (QĐ 28/2018 Điều 15) of the actor's agency and all below it.
func (s *server) quarterFile(v *visit) error {
	quarter := v.r.URL.Query().Get("quarter")
	report, err := s.cfg.Service.QuarterReport(v.ctx(), v.actor, quarter, v.actor.Agency)
	if err != nil {
		return err
	}
	if v.r.PathValue("format") == "csv" {
		return v.paper(&sheet.Paper{Parts: []sheet.Part{{Table: report.Table()}}}, "bao-cao-"+quarter, "csv")
	}
	return v.paper(report.Paper(), "bao-cao-"+quarter, v.r.PathValue("format"))
}

// quarters are this quarter and the three before it: 2026Q4.
func (v *visit) quarters() (out []fact) {
	now := v.srv.cfg.Now().In(hanoi)
	y, q := now.Year(), (int(now.Month())+2)/3
	for range 4 {
		name := strconv.Itoa(y) + "Q" + strconv.Itoa(q)
		out = append(out, fact{v.say("quarter", strconv.Itoa(q), strconv.Itoa(y)), "?quarter=" + name})
		if q--; q == 0 {
			y, q = y-1, 4
		}
	}
	return out
}
