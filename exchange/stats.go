package exchange

import (
	"context"
	"maps"
	"slices"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// Counts are the figures of the electronic exchange rate (tỷ lệ trao đổi văn bản
// điện tử). Neither QĐ 28/2018 nor NĐ 30/2020 gives a formula; this is the
// working definition, version 1:
//
//   - Population: documents numbered with a date of issue in the period, less
//     cancelled numbers (Cancelled) and less documents a party could not take
//     electronically (Excluded, QĐ 28/2018 Điều 7.1; none can be registered yet).
//     Secret documents are never in it: the exchange refuses them (Điều 1.2).
//   - Electronic: of these, sent through the system with a valid signature of the
//     agency (Điều 4.1). Rate = Electronic / Population, by document.
//   - Deliveries: document × recipient of the documents sent. Arrived are those
//     for which the recipient's signed receipt is held. DeliveryRate = (Arrived
//   - Refused - Recalled) / Deliveries.
//   - Registered, Completed, Refused, Recalled by the latest receipt.
//
// Missing names the cause of everything that Electronic and DeliveryRate lack:
// per kind (Of) the counts add up to the gap exactly.
type Counts struct {
	Population int     `json:"population"`
	Electronic int     `json:"electronic"`
	Rate       float64 `json:"rate"` // 0..1; 1 when the population is empty
	Cancelled  int     `json:"cancelled"`
	Excluded   int     `json:"excluded"`

	Deliveries   int     `json:"deliveries"`
	Arrived      int     `json:"arrived"`
	Registered   int     `json:"registered"`
	Completed    int     `json:"completed"`
	Refused      int     `json:"refused"`
	Recalled     int     `json:"recalled"`
	DeliveryRate float64 `json:"delivery_rate"` // 0..1; 1 when there is none
}

// What Missing.Of counts.
const (
	OfDocument = "document"
	OfDelivery = "delivery"
)

// Missing is one cause of documents or deliveries that are not electronic, and
// whose turn it is.
type Missing struct {
	Cause  string        `json:"cause"` // unsealed, unsent; waiting, retrying, failed, refused, recalled
	Text   string        `json:"text"`
	TextEN string        `json:"text_en"`
	Owner  registry.Role `json:"owner"` // the role whose turn it is; "" = the hub works on it
	Count  int           `json:"count"`
	Of     string        `json:"of"` // OfDocument or OfDelivery
}

// AgencyCounts are the figures of one agency.
type AgencyCounts struct {
	Agency registry.AgencyID `json:"agency"`
	Name   string            `json:"name"`
	Counts
}

// TypeCounts are the figures of one type of document (loại văn bản).
type TypeCounts struct {
	Type   string `json:"type"` // DocType.Code
	Name   string `json:"name"`
	NameEN string `json:"name_en"`
	Counts
}

// DayCounts are the figures of the documents issued on one day in Vietnam, with
// all that has become of them since.
type DayCounts struct {
	Day string `json:"day"` // YYYY-MM-DD
	Counts
}

// Stats is the electronic exchange rate of a period, with its causes; see Counts.
// Each breakdown has a row for what documents there are, and adds up to the
// figures of the period.
type Stats struct {
	Definition int       `json:"definition"` // version of the definition
	From       time.Time `json:"from"`
	To         time.Time `json:"to"` // exclusive
	Counts
	Missing  []Missing      `json:"missing"`
	ByAgency []AgencyCounts `json:"by_agency"` // by code
	ByType   []TypeCounts   `json:"by_type"`   // in the order of DocTypes
	ByDay    []DayCounts    `json:"by_day"`    // in order of time
}

// causes gives all causes in the order they are shown.
func causes() []Missing {
	return []Missing{
		{Cause: "unsealed", Text: "Đã cấp số nhưng chưa ký số cơ quan", TextEN: "Numbered, not sealed by the agency", Owner: registry.RoleClerk, Of: OfDocument},
		{Cause: "unsent", Text: "Đã ký số cơ quan nhưng chưa gửi", TextEN: "Sealed, not sent", Owner: registry.RoleClerk, Of: OfDocument},
		{Cause: "waiting", Text: "Đang chờ chuyển", TextEN: "Waiting for its turn", Of: OfDelivery},
		{Cause: "retrying", Text: "Chuyển lỗi, hệ thống đang thử lại", TextEN: "Failed, being tried again", Of: OfDelivery},
		{Cause: "failed", Text: "Không chuyển được, đã thôi thử lại", TextEN: "Not delivered, given up", Owner: registry.RoleAdministrator, Of: OfDelivery},
		{Cause: "refused", Text: "Nơi nhận từ chối, trả lại", TextEN: "Refused by the recipient", Owner: registry.RoleClerk, Of: OfDelivery},
		{Cause: "recalled", Text: "Đã lấy lại", TextEN: "Recalled", Of: OfDelivery},
	}
}

// group is what the documents that are counted together have in common.
type group struct {
	agency  registry.AgencyID
	docType string
	day     int64 // since 1 January 1970 in Vietnam
	count   int
}

// documentGroup and deliveryGroup are what the store counts.
type documentGroup struct {
	group
	state State
}

type deliveryGroup struct {
	group
	transport  string
	status     Status
	registered bool
}

// Stats counts the documents issued from from to before to, by days in Vietnam.
// People see their own agency, administrators also those below it, the system
// all.
func (s *Service) Stats(ctx context.Context, by registry.Actor, from, to time.Time) (*Stats, error) {
	if !from.Before(to) {
		return nil, fail(KindInvalid, "Khoảng thời gian rỗng: ngày đầu phải trước ngày cuối.", "The period is empty: its first day must be before its last.")
	}
	scope, only, err := s.scope(ctx, by)
	if err != nil {
		return nil, err
	}
	t := newTally(scope)
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := countDocuments(ctx, tx, only, from, to, t.addDocuments); err != nil {
			return err
		}
		return countDeliveries(ctx, tx, only, from, to, t.addDeliveries)
	})
	if err != nil {
		return nil, storageError("counting", err)
	}
	st := t.stats()
	st.From, st.To = from, to
	for i := range st.ByAgency {
		if a, err := s.reg.Agency(ctx, st.ByAgency[i].Agency); err == nil {
			st.ByAgency[i].Name = a.Name
		}
	}
	return st, nil
}

// scope gives which agencies the actor may count: nil = all; only is the one
// agency when there is just one.
func (s *Service) scope(ctx context.Context, by registry.Actor) (set map[registry.AgencyID]bool, only registry.AgencyID, err error) {
	if by.System && by.Agency == "" {
		return nil, "", nil
	}
	if !by.Has(registry.RoleAdministrator) {
		return map[registry.AgencyID]bool{by.Agency: true}, by.Agency, nil
	}
	list, err := s.reg.Subtree(ctx, by.Agency)
	if err != nil {
		return nil, "", err
	}
	set = make(map[registry.AgencyID]bool, len(list))
	for _, id := range list {
		set[id] = true
	}
	if len(list) == 1 {
		only = list[0]
	}
	return set, only, nil
}

// tally turns groups into figures. It is pure.
type tally struct {
	scope    map[registry.AgencyID]bool // nil: every agency
	all      Counts
	missing  map[string]int // by cause
	byAgency map[registry.AgencyID]*Counts
	byType   map[string]*Counts
	byDay    map[int64]*Counts
}

func newTally(scope map[registry.AgencyID]bool) *tally {
	return &tally{
		scope: scope, missing: map[string]int{},
		byAgency: map[registry.AgencyID]*Counts{}, byType: map[string]*Counts{}, byDay: map[int64]*Counts{},
	}
}

// rows gives all the figures that a group is part of; none when it is out of scope.
func (t *tally) rows(g group) []*Counts {
	if t.scope != nil && !t.scope[g.agency] {
		return nil
	}
	return []*Counts{&t.all, rowOf(t.byAgency, g.agency), rowOf(t.byType, g.docType), rowOf(t.byDay, g.day)}
}

func rowOf[K comparable](rows map[K]*Counts, key K) *Counts {
	c := rows[key]
	if c == nil {
		c = &Counts{}
		rows[key] = c
	}
	return c
}

func (t *tally) addDocuments(g documentGroup) {
	rows := t.rows(g.group)
	for _, c := range rows {
		c.addDocuments(g)
	}
	if rows != nil {
		t.missing[documentCause(g.state)] += g.count
	}
}

func (t *tally) addDeliveries(g deliveryGroup) {
	rows := t.rows(g.group)
	for _, c := range rows {
		c.addDeliveries(g)
	}
	if rows != nil {
		t.missing[deliveryCause(g)] += g.count
	}
}

// stats gives the figures of all that was added; the names of agencies are not known here.
func (t *tally) stats() *Stats {
	st := &Stats{Definition: 1, Counts: t.all.rated(), ByAgency: []AgencyCounts{}, ByType: []TypeCounts{}, ByDay: []DayCounts{}}
	for _, m := range causes() {
		m.Count = t.missing[m.Cause]
		if m.Count > 0 {
			st.Missing = append(st.Missing, m)
		}
	}
	for _, a := range slices.Sorted(maps.Keys(t.byAgency)) {
		st.ByAgency = append(st.ByAgency, AgencyCounts{Agency: a, Counts: t.byAgency[a].rated()})
	}
	for _, known := range DocTypes() {
		if c := t.byType[known.Code]; c != nil {
			st.ByType = append(st.ByType, TypeCounts{Type: known.Code, Name: known.Name, NameEN: known.NameEN, Counts: c.rated()})
		}
	}
	for _, code := range slices.Sorted(maps.Keys(t.byType)) {
		if _, known := DocTypeOf(code); !known {
			st.ByType = append(st.ByType, TypeCounts{Type: code, Name: code, NameEN: code, Counts: t.byType[code].rated()})
		}
	}
	for _, day := range slices.Sorted(maps.Keys(t.byDay)) {
		st.ByDay = append(st.ByDay, DayCounts{Day: time.Unix(day*86400, 0).UTC().Format(time.DateOnly), Counts: t.byDay[day].rated()})
	}
	return st
}

func (c *Counts) addDocuments(g documentGroup) {
	if g.state == StateCancelled {
		c.Cancelled += g.count
		return
	}
	c.Population += g.count
	if documentCause(g.state) == "" {
		c.Electronic += g.count
	}
}

func (c *Counts) addDeliveries(g deliveryGroup) {
	c.Deliveries += g.count
	if g.status != StatusNone {
		c.Arrived += g.count
	}
	if g.registered {
		c.Registered += g.count
	}
	switch g.status {
	case StatusFinished:
		c.Completed += g.count
	case StatusRefused:
		c.Refused += g.count
	case StatusRecallAgreed:
		c.Recalled += g.count
	}
}

// rated gives the counts with their rates.
func (c Counts) rated() Counts {
	ratio := func(part, whole int) float64 {
		if whole == 0 {
			return 1
		}
		return float64(part) / float64(whole)
	}
	c.Rate = ratio(c.Electronic, c.Population)
	c.DeliveryRate = ratio(c.Arrived-c.Refused-c.Recalled, c.Deliveries)
	return c
}

// documentCause tells why a numbered document does not count as electronic; ""
// when it does, or is out of the population.
func documentCause(s State) string {
	switch s {
	case StateSent, StateCancelled:
		return ""
	case StateSealed:
		return "unsent"
	}
	return "unsealed"
}

// deliveryCause tells why a delivery does not count; "" when it does.
func deliveryCause(g deliveryGroup) string {
	switch g.status {
	case StatusRefused:
		return "refused"
	case StatusRecallAgreed:
		return "recalled"
	case StatusNone:
		switch g.transport {
		case TransportWithdrawn:
			return "recalled"
		case TransportFail:
			return "failed"
		case TransportProcessing:
			return "retrying"
		}
		return "waiting"
	}
	return ""
}
