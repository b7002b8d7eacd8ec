package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

type bookCmd struct {
	dataFlags
	Agency string `required:"" help:"Mã định danh cơ quan. | Code of the agency."`
	Year   int    `help:"Năm của số đi, số đến; mặc định năm nay. | Year of the numbers; this one by default."`
	Kind   string `default:"in" enum:"out,in,followup,report-in,report-out" help:"Sổ văn bản đi, sổ văn bản đến, sổ theo dõi giải quyết, hay báo cáo tình hình giải quyết văn bản đến, đi. | Outgoing, incoming or follow-up register, or a handling report."`
	From   string `help:"Từ ngày, YYYY-MM-DD. | First day."`
	To     string `help:"Đến hết ngày, YYYY-MM-DD. | Last day."`
	Format string `default:"pdf" enum:"pdf,xlsx,csv,json" help:"Dạng kết quả. | Form of the result."`
	Out    string `help:"Ghi vào tệp này thay cho đầu ra chuẩn. | Write to this file, not to standard output." type:"path"`
}

// registerLines is a register for programs.
type registerLines struct {
	Kind    string            `json:"kind"`
	Agency  registry.AgencyID `json:"agency"`
	Year    int               `json:"year"`
	Entries any               `json:"entries"`
}

// Run prints a register or handling report of an agency with all its columns (NĐ 30/2020 Phụ lục IV).
func (c bookCmd) Run(a *app) error {
	agency, err := registry.ParseAgencyID(c.Agency)
	if err != nil {
		return unreadable(err)
	}
	if c.Year == 0 {
		c.Year = time.Now().In(vietnam()).Year()
	}
	q := exchange.BookQuery{Book: exchange.Book(c.Kind), Year: c.Year}
	if q.From, err = dayOf("--from", c.From); err != nil {
		return unreadable(err)
	}
	if q.To, err = dayOf("--to", c.To); err != nil {
		return unreadable(err)
	}
	if !q.To.IsZero() {
		if q.To.Before(q.From) {
			return unreadable(fmt.Errorf("--to %s is before --from %s", c.To, c.From))
		}
		q.To = q.To.AddDate(0, 0, 1)
	}
	if binary := c.Format == "xlsx" || c.Format == "pdf"; binary && c.Out == "" && isTerminal(a.stdout) {
		return unreadable(fmt.Errorf("--format %s: không in tệp nhị phân ra màn hình; dùng --out TỆP | not written to a terminal; use --out FILE", c.Format))
	}
	return c.with(a, func(hub *Hub) error {
		by := registry.System("register")
		by.Agency = agency
		write, err := c.writer(a, hub, by, q)
		if err != nil {
			return err
		}
		if c.Out != "" {
			return writeOnce(c.Out, write)
		}
		return write(a.stdout)
	})
}

// writer reads the register and gives what writes it in the form asked for.
func (c bookCmd) writer(a *app, hub *Hub, by registry.Actor, q exchange.BookQuery) (func(io.Writer) error, error) {
	if c.Format == "json" {
		entries, err := c.entries(a, hub, by, q)
		return func(w io.Writer) error {
			return json.NewEncoder(w).Encode(registerLines{c.Kind, by.Agency, c.Year, entries})
		}, err
	}
	paper, err := hub.Service.Book(a.ctx, by, q)
	if err != nil {
		return nil, err
	}
	switch c.Format {
	case "xlsx":
		return paper.XLSX, nil
	case "csv":
		return paper.Parts[0].Table.CSV, nil
	}
	return paper.PDF, nil
}

// entries gives a register's lines for programs; a report's, as rows of its first table.
func (c bookCmd) entries(a *app, hub *Hub, by registry.Actor, q exchange.BookQuery) (any, error) {
	switch q.Book {
	case exchange.BookOutgoing:
		list, err := hub.Service.OutgoingRegister(a.ctx, by, q.Year)
		return within(list, q, func(e exchange.OutgoingEntry) time.Time { return e.Issued }), err
	case exchange.BookIncoming:
		list, err := hub.Service.IncomingRegister(a.ctx, by, q.Year)
		return within(list, q, func(e exchange.IncomingEntry) time.Time { return e.Arrived }), err
	case exchange.BookFollowUp:
		list, err := hub.Service.FollowUpRegister(a.ctx, by, q.Year)
		return within(list, q, func(e exchange.FollowUpEntry) time.Time { return e.Arrived }), err
	}
	paper, err := hub.Service.Book(a.ctx, by, q)
	if err != nil {
		return nil, err
	}
	rows := []map[string]any{}
	for _, row := range paper.Parts[0].Table.Rows {
		named := map[string]any{}
		for i, column := range paper.Parts[0].Table.Columns {
			named[column.Title] = row.Cells[i]
		}
		rows = append(rows, named)
	}
	return rows, nil
}

// within keeps the entries whose day is in the period; the result is never nil, so that JSON has a list.
func within[E any](list []E, q exchange.BookQuery, day func(E) time.Time) []E {
	out := make([]E, 0, len(list))
	for _, e := range list {
		if q.Holds(day(e)) {
			out = append(out, e)
		}
	}
	return out
}

// dayOf reads a day in Vietnam time; "" is the zero time.
func dayOf(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.ParseInLocation(time.DateOnly, text, vietnam())
	if err != nil {
		return day, fmt.Errorf("%s: %w", flag, err)
	}
	return day, nil
}
