package exchange

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// GapQuery asks for the documents or deliveries behind one cause.
type GapQuery struct {
	RateQuery
	Of    string // OfDocument or OfDelivery
	Cause string // a RateCause's code
	After string // Next of the page before
	Limit int    // 0 = 50, at most 200
}

// GapItem is one document that is missing, or one delivery, with why and who
// mends it.
type GapItem struct {
	RateCause
	Document    DocumentID        `json:"document"`
	Agency      registry.AgencyID `json:"agency"` // that issued it
	AgencyName  string            `json:"agency_name"`
	Code        string            `json:"code"` // number and symbol
	Type        string            `json:"type"`
	Day         string            `json:"day"`               // of issue, YYYY-MM-DD
	Subject     string            `json:"subject,omitempty"` // of the actor's own agency only
	Recipient   registry.AgencyID `json:"recipient,omitempty"`
	RecipientIs string            `json:"recipient_name,omitempty"`
	Since       time.Time         `json:"since,omitzero"`   // when a delivery came to where it stands
	SendBy      time.Time         `json:"send_by,omitzero"` // the latest time to send a document
	Whose       registry.AgencyID `json:"whose"`            // the agency whose turn it is
	Error       string            `json:"error,omitempty"`  // what stopped the delivery the last time; of the own agency only
}

// gapAt is a place in a list of missing ones.
type gapAt struct {
	day       int64
	document  string
	recipient string
}

func (a gapAt) text() string { return fmt.Sprintf("%d|%s|%s", a.day, a.document, a.recipient) }

func parseGapAt(s string) (a gapAt, err error) {
	if s == "" {
		return a, nil
	}
	parts := strings.Split(s, "|")
	if len(parts) == 3 {
		a.day, err = strconv.ParseInt(parts[0], 10, 64)
		a.document, a.recipient = parts[1], parts[2]
	}
	if len(parts) != 3 || err != nil {
		return a, failf(KindInvalid, "Trang %q không có.", "There is no page %q.", s)
	}
	return a, nil
}

// Gap lists the documents or deliveries that a cause keeps from counting, oldest
// day first: as many as Missing.Count says. What each may see is as for Rate.
func (s *Service) Gap(ctx context.Context, by registry.Actor, q GapQuery) (Page[GapItem], error) {
	var out Page[GapItem]
	cause, unit := causeOf(q.Of, q.Cause)
	if cause == nil {
		return out, failf(KindInvalid, "Không có nguyên nhân %q (%s).", "There is no cause %q (%s).", q.Cause, q.Of)
	}
	after, err := parseGapAt(q.After)
	if err != nil {
		return out, err
	}
	only, err := s.narrow(ctx, by, &q.RateQuery)
	if err != nil {
		return out, err
	}
	if _, err := s.CountRate(ctx); err != nil {
		return out, err
	}
	limit := pageLimit(q.Limit)
	part := ratePart{from: firstDay(q.From), to: firstDay(q.To), only: only, docType: q.Type}
	now := sqldb.Micros(s.clock())
	items := []GapItem{}
	const batch = 500
	for len(items) <= limit {
		var rows []gapRow
		err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			rows, err = selectGap(ctx, tx, part, unit, storedCause(q.Cause), after, batch)
			return err
		})
		if err != nil {
			return out, storageError("listing what is missing", err)
		}
		for i := range rows {
			after = rows[i].place()
			if k := rows[i].key(now); k.Cause == q.Cause && (q.set == nil || q.set[k.Agency]) && len(items) <= limit {
				items = append(items, rows[i].item(by, *cause))
			}
		}
		if len(rows) < batch {
			break
		}
	}
	out = page(items, limit, func(i GapItem) string { return i.place().text() })
	s.nameGap(ctx, out.Items)
	return out, nil
}

// causeOf finds a cause in the table; nil when there is none.
func causeOf(of, code string) (*RateCause, int) {
	for _, c := range RateCauses() {
		if c.Of == of && c.Cause == code {
			if of == OfDelivery {
				return &c, unitDelivery
			}
			return &c, unitDocument
		}
	}
	return nil, 0
}

// storedCause gives the cause that rows carry: those that depend on the time are
// kept as what they are before it has passed.
func storedCause(code string) string {
	switch code {
	case "unsent-late":
		return "unsent"
	case "stalled":
		return "waiting"
	}
	return code
}

func (g *gapRow) key(now int64) rateKey {
	if g.unit == unitDelivery {
		return g.delivery.key(now)
	}
	k, _ := g.document.key(now)
	return k
}

func (g *gapRow) place() gapAt {
	if g.unit == unitDelivery {
		return gapAt{g.delivery.Day, string(g.delivery.Document), string(g.delivery.Recipient)}
	}
	return gapAt{g.document.Day, string(g.document.ID), ""}
}

func (g *gapRow) item(by registry.Actor, c RateCause) GapItem {
	i := GapItem{RateCause: c, Code: g.document.Code}
	if g.unit == unitDelivery {
		v := &g.delivery
		i.Document, i.Agency, i.Type, i.Day = v.Document, v.Agency, v.Type, dayText(v.Day)
		i.Recipient, i.Since, i.Error = v.Recipient, sqldb.Time(v.Since), g.delivered
	} else {
		d := &g.document
		i.Document, i.Agency, i.Type, i.Day, i.SendBy = d.ID, d.Agency, d.Type, dayText(d.Day), sqldb.Time(d.SendBy)
	}
	i.Whose = i.Agency
	if c.Side == SideRecipient && i.Recipient != "" {
		i.Whose = i.Recipient
	}
	if i.Subject = g.subject; !by.System && by.Agency != i.Agency {
		i.Subject, i.Error = "", ""
	}
	return i
}

func (i *GapItem) place() gapAt {
	day, err := time.Parse(time.DateOnly, i.Day)
	if err != nil {
		return gapAt{} // cannot happen: written by dayText
	}
	return gapAt{day.Unix() / 86400, string(i.Document), string(i.Recipient)}
}

// nameGap puts names to the codes of agencies.
func (s *Service) nameGap(ctx context.Context, items []GapItem) {
	for n := range items {
		i := &items[n]
		if a, err := s.reg.Agency(ctx, i.Agency); err == nil {
			i.AgencyName = a.Name
		}
		if a, err := s.reg.Agency(ctx, i.Recipient); i.Recipient != "" && err == nil {
			i.RecipientIs = a.Name
		}
	}
}
