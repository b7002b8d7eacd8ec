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
// điện tử) by the definition RateDefinition; RATE.md has it in words.
//
// By document: Population = Signed + those missing at StageSigned; Electronic =
// Population less all missing documents; Rate = Electronic / Population.
// By delivery (document × recipient): DeliveryRate = (Arrived - Refused -
// Recalled) / Deliveries = 1 - missing before StageRegistered / Deliveries;
// Exchanged = Deliveries less all missing ones. Cancelled, Excluded and
// ExcludedDeliveries stand outside of the population.
type Counts struct {
	Population     int     `json:"population"`
	Signed         int     `json:"signed"`          // of it, with a valid signature of the agency
	Electronic     int     `json:"electronic"`      // of it, signed and sent through the system
	ElectronicOnly int     `json:"electronic_only"` // of the electronic, without a paper copy
	WithPaper      int     `json:"with_paper"`      // of the electronic, with a paper copy (QĐ 28/2018 Điều 7.2)
	PaperOnly      int     `json:"paper_only"`      // of the population, on paper only
	OnTime         int     `json:"on_time"`         // of the electronic, sent by noon of the next working day (Điều 6.2)
	Rate           float64 `json:"rate"`            // 0..1; 1 when the population is empty
	SignedRate     float64 `json:"signed_rate"`     // Signed / Population
	OnTimeRate     float64 `json:"on_time_rate"`    // OnTime / Electronic
	Cancelled      int     `json:"cancelled"`
	Excluded       int     `json:"excluded"` // secret ones among them
	Secret         int     `json:"secret"`

	Deliveries         int     `json:"deliveries"`
	SentDeliveries     int     `json:"sent_deliveries"` // through the system
	Arrived            int     `json:"arrived"`         // the recipient has given a status, refusals among them
	Registered         int     `json:"registered"`      // have an arrival number
	Completed          int     `json:"completed"`
	Refused            int     `json:"refused"`
	Recalled           int     `json:"recalled"`          // after they had arrived
	Withdrawn          int     `json:"withdrawn"`         // recalled before they left
	Exchanged          int     `json:"exchanged"`         // registered, not refused or recalled
	DeliveryRate       float64 `json:"delivery_rate"`     // 0..1; 1 when there is none
	RegisteredRate     float64 `json:"registered_rate"`   // Exchanged / Deliveries
	ExcludedDeliveries int     `json:"excluded_delivery"` // to those who cannot take them electronically
}

// Missing is how many documents or deliveries a cause keeps from counting.
type Missing struct {
	RateCause
	Count int `json:"count"`
}

// AgencyCounts are the figures of one agency.
type AgencyCounts struct {
	Agency registry.AgencyID `json:"agency"`
	Name   string            `json:"name"`
	Level  string            `json:"level"`
	Counts
}

// LevelCounts are the figures of the agencies of one level (cấp).
type LevelCounts struct {
	Level    string `json:"level"` // registry.Agency.Level, "" = not said
	Name     string `json:"name"`
	NameEN   string `json:"name_en"`
	Agencies int    `json:"agencies"` // that issued anything
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

// PeriodCounts are the figures of a week (from Monday), month or quarter; the
// first and last may be cut by the period asked for.
type PeriodCounts struct {
	Period string `json:"period"` // 2026-W09, 2026-03, 2026Q1
	From   string `json:"from"`   // YYYY-MM-DD
	To     string `json:"to"`     // last day
	Counts
}

// Stats is the electronic exchange rate of a period, with its causes; see Counts.
// Each breakdown has a row for what documents there are, and adds up to the
// figures of the period.
type Stats struct {
	Definition string    `json:"definition"` // RateDefinition
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`  // exclusive
	At         time.Time `json:"at"`  // when these were the figures
	Gap        Gaps      `json:"gap"` // what Missing adds up to
	Counts
	Missing  []Missing      `json:"missing"`             // in the order of RateCauses
	ByAgency []AgencyCounts `json:"by_agency"`           // by code
	ByLevel  []LevelCounts  `json:"by_level"`            // in the order of levels
	ByType   []TypeCounts   `json:"by_type"`             // in the order of DocTypes
	ByDay    []DayCounts    `json:"by_day"`              // in order of time
	ByPeriod []PeriodCounts `json:"by_period,omitempty"` // where RateQuery.Period asks for one
}

// Gaps are what is missing: of documents (Population - Electronic), of deliveries
// up to arrival and up to registration. The causes add up to each exactly.
type Gaps struct {
	Documents  int `json:"documents"`
	Arrival    int `json:"arrival"`
	Deliveries int `json:"deliveries"`
}

// The periods of RateQuery.
const (
	PeriodDay     = "day"
	PeriodWeek    = "week"
	PeriodMonth   = "month"
	PeriodQuarter = "quarter"
)

// RateQuery narrows Rate and Gap. The zero value of each field but the times is
// everything.
type RateQuery struct {
	From, To time.Time         // days in Vietnam, To exclusive
	Agency   registry.AgencyID // the issuing agency
	Below    bool              // with the agencies below Agency
	Level    string            // of the issuing agency
	Type     string            // DocType.Code
	Period   string            // week, month or quarter: fills ByPeriod

	set map[registry.AgencyID]bool // nil: every agency
}

// Stats is Rate of a period without any narrowing.
func (s *Service) Stats(ctx context.Context, by registry.Actor, from, to time.Time) (*Stats, error) {
	return s.Rate(ctx, by, RateQuery{From: from, To: to})
}

// Rate counts the documents issued from From to before To, by days in Vietnam,
// as of now. People see their own agency, administrators also those below it,
// the system all.
func (s *Service) Rate(ctx context.Context, by registry.Actor, q RateQuery) (*Stats, error) {
	only, err := s.narrow(ctx, by, &q)
	if err != nil {
		return nil, err
	}
	if _, err := s.CountRate(ctx); err != nil {
		return nil, err
	}
	t := newTally(q.set)
	part := ratePart{from: firstDay(q.From), to: firstDay(q.To), only: only, docType: q.Type}
	now := sqldb.Micros(s.clock())
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return t.read(ctx, tx, part, now) })
	if err != nil {
		return nil, storageError("counting", err)
	}
	return s.finish(ctx, t, q), nil
}

// narrow checks the query and gives it the set of agencies that the actor may
// see; only is the one agency when there is just one.
func (s *Service) narrow(ctx context.Context, by registry.Actor, q *RateQuery) (only registry.AgencyID, err error) {
	if !q.From.Before(q.To) {
		return "", fail(KindInvalid, "Khoảng thời gian rỗng: ngày đầu phải trước ngày cuối.", "The period is empty: its first day must be before its last.")
	}
	if !slices.Contains([]string{"", PeriodDay, PeriodWeek, PeriodMonth, PeriodQuarter}, q.Period) {
		return "", failf(KindInvalid, "Không có kỳ %q.", "There is no period %q.", q.Period).
			Advise("Dùng day, week, month hoặc quarter.", "Use day, week, month or quarter.")
	}
	if q.set, only, err = s.scope(ctx, by); err != nil {
		return "", err
	}
	if q.Agency != "" {
		list := []registry.AgencyID{q.Agency}
		if q.Below {
			if list, err = s.reg.Subtree(ctx, q.Agency); err != nil {
				return "", err
			}
		}
		wanted := make(map[registry.AgencyID]bool, len(list))
		for _, a := range list {
			if q.set == nil || q.set[a] {
				wanted[a] = true
			}
		}
		if q.set, only = wanted, ""; len(list) == 1 && len(wanted) == 1 {
			only = list[0]
		}
	}
	if q.Level == "" {
		return only, nil
	}
	return only, s.narrowLevel(ctx, q)
}

// narrowLevel leaves the agencies of one level in the query's set.
func (s *Service) narrowLevel(ctx context.Context, q *RateQuery) error {
	at := map[registry.AgencyID]bool{}
	for after := registry.AgencyID(""); ; {
		list, err := s.reg.Agencies(ctx, registry.Filter{Level: q.Level, After: after, Limit: 1000})
		if err != nil {
			return err
		}
		for i := range list {
			if after = list[i].ID; q.set == nil || q.set[after] {
				at[after] = true
			}
		}
		if len(list) == 0 {
			q.set = at
			return nil
		}
	}
}

// scope gives which agencies the actor may count: nil = all; only is the one
// agency when there is just one.
func (s *Service) scope(ctx context.Context, by registry.Actor) (set map[registry.AgencyID]bool, only registry.AgencyID, err error) {
	if by.System && by.Agency == "" {
		return nil, "", nil
	}
	list := []registry.AgencyID{by.Agency}
	if by.Has(registry.RoleAdministrator) {
		if list, err = s.reg.Subtree(ctx, by.Agency); err != nil {
			return nil, "", err
		}
	}
	if list, err = s.continued(ctx, list); err != nil {
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

// continued adds the agencies that those of the list continue: their figures stay
// apart, and whoever continues them sees both.
func (s *Service) continued(ctx context.Context, list []registry.AgencyID) (out []registry.AgencyID, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out, err = s.reg.Lines(ctx, tx, list)
		return err
	})
	return out, storageError("reading the agencies continued", err)
}

// finish makes figures of a tally and names what is in it.
func (s *Service) finish(ctx context.Context, t *tally, q RateQuery) *Stats {
	st := t.stats()
	st.From, st.To, st.At = q.From, q.To, s.clock()
	for i := range st.ByAgency {
		row := &st.ByAgency[i]
		if a, err := s.reg.Agency(ctx, row.Agency); err == nil {
			row.Name, row.Level = a.Name, a.Level
		}
	}
	st.ByLevel = byLevel(st.ByAgency)
	if q.Period != "" && q.Period != PeriodDay {
		st.ByPeriod = byPeriod(st.ByDay, q.Period)
	}
	return st
}

// tally turns sums into figures. It is pure.
type tally struct {
	scope    map[registry.AgencyID]bool // nil: every agency
	all      Counts
	missing  map[missingKey]int
	byAgency map[registry.AgencyID]*Counts
	byType   map[string]*Counts
	byDay    map[int64]*Counts
}

type missingKey struct {
	unit  int
	cause string
}

func newTally(scope map[registry.AgencyID]bool) *tally {
	return &tally{
		scope: scope, missing: map[missingKey]int{},
		byAgency: map[registry.AgencyID]*Counts{}, byType: map[string]*Counts{}, byDay: map[int64]*Counts{},
	}
}

func rowOf[K comparable](rows map[K]*Counts, key K) *Counts {
	c := rows[key]
	if c == nil {
		c = &Counts{}
		rows[key] = c
	}
	return c
}

// read takes the sums of a part of the projection, and what time alone has
// changed since they were made.
func (t *tally) read(ctx context.Context, tx *sqldb.Tx, p ratePart, now int64) error {
	if err := sumRate(ctx, tx, p, func(k rateKey, n int64) { t.add(k, int(n)) }); err != nil {
		return err
	}
	return lateRate(ctx, tx, p, now, func(before, after rateKey) {
		t.add(before, -1)
		t.add(after, 1)
	})
}

// add counts n alike in every breakdown.
func (t *tally) add(k rateKey, n int) {
	if t.scope != nil && !t.scope[k.Agency] {
		return
	}
	t.whole(k, n)
	rowOf(t.byAgency, k.Agency).add(k, n)
	rowOf(t.byType, k.Type).add(k, n)
	rowOf(t.byDay, k.Day).add(k, n)
}

func (t *tally) whole(k rateKey, n int) {
	t.all.add(k, n)
	if k.Cause != "" {
		t.missing[missingKey{k.Unit, k.Cause}] += n
	}
}

// add counts n documents or deliveries that are alike.
func (c *Counts) add(k rateKey, n int) {
	marked := func(mark int64) bool { return k.Marks&mark != 0 }
	sum := func(to *int, when bool) {
		if when {
			*to += n
		}
	}
	if k.Unit == unitDelivery {
		if marked(markExcluded) {
			c.ExcludedDeliveries += n
			return
		}
		c.Deliveries += n
		sum(&c.SentDeliveries, marked(markSent))
		sum(&c.Arrived, marked(markArrived))
		sum(&c.Registered, marked(markRegistered))
		sum(&c.Completed, marked(markCompleted))
		sum(&c.Refused, marked(markRefused))
		sum(&c.Recalled, marked(markRecalled))
		sum(&c.Withdrawn, marked(markWithdrawn))
		sum(&c.Exchanged, k.Cause == "")
		return
	}
	if marked(markCancelled | markExcluded) {
		sum(&c.Cancelled, marked(markCancelled))
		sum(&c.Excluded, marked(markExcluded))
		sum(&c.Secret, marked(markSecret))
		return
	}
	electronic := k.Cause == ""
	c.Population += n
	sum(&c.Signed, marked(markSigned))
	sum(&c.Electronic, electronic)
	sum(&c.ElectronicOnly, electronic && !marked(markPaper))
	sum(&c.WithPaper, electronic && marked(markPaper))
	sum(&c.PaperOnly, !electronic && marked(markPaper) && !marked(markSigned))
	sum(&c.OnTime, electronic && marked(markOnTime))
}

// rated gives the counts with their rates.
func (c Counts) rated() Counts {
	ratio := func(part, whole int) float64 {
		if whole == 0 {
			return 1
		}
		return float64(part) / float64(whole)
	}
	c.Rate, c.SignedRate, c.OnTimeRate = ratio(c.Electronic, c.Population), ratio(c.Signed, c.Population), ratio(c.OnTime, c.Electronic)
	c.DeliveryRate, c.RegisteredRate = ratio(c.Arrived-c.Refused-c.Recalled, c.Deliveries), ratio(c.Exchanged, c.Deliveries)
	return c
}

// plus adds up counts; rates are those of rated.
func (c *Counts) plus(o Counts) {
	for _, f := range [][2]*int{
		{&c.Population, &o.Population}, {&c.Signed, &o.Signed}, {&c.Electronic, &o.Electronic}, {&c.ElectronicOnly, &o.ElectronicOnly},
		{&c.WithPaper, &o.WithPaper}, {&c.PaperOnly, &o.PaperOnly}, {&c.OnTime, &o.OnTime}, {&c.Cancelled, &o.Cancelled}, {&c.Excluded, &o.Excluded},
		{&c.Secret, &o.Secret}, {&c.Deliveries, &o.Deliveries}, {&c.SentDeliveries, &o.SentDeliveries}, {&c.Arrived, &o.Arrived},
		{&c.Registered, &o.Registered}, {&c.Completed, &o.Completed}, {&c.Refused, &o.Refused}, {&c.Recalled, &o.Recalled}, {&c.Withdrawn, &o.Withdrawn},
		{&c.Exchanged, &o.Exchanged}, {&c.ExcludedDeliveries, &o.ExcludedDeliveries},
	} {
		*f[0] += *f[1]
	}
}

// gaps tells what is missing, from the figures alone and not from the causes.
func (c *Counts) gaps() Gaps {
	return Gaps{Documents: c.Population - c.Electronic, Arrival: c.Deliveries - (c.Arrived - c.Refused - c.Recalled), Deliveries: c.Deliveries - c.Exchanged}
}

// stats gives the figures of all that was added; the names of agencies are not known here.
func (t *tally) stats() *Stats {
	st := &Stats{Definition: RateDefinition, Counts: t.all.rated(), Gap: t.all.gaps(), Missing: []Missing{},
		ByAgency: []AgencyCounts{}, ByLevel: []LevelCounts{}, ByType: []TypeCounts{}, ByDay: []DayCounts{}}
	for _, c := range RateCauses() {
		unit := unitDocument
		if c.Of == OfDelivery {
			unit = unitDelivery
		}
		if n := t.missing[missingKey{unit, c.Cause}]; n > 0 {
			st.Missing = append(st.Missing, Missing{RateCause: c, Count: n})
		}
	}
	st.mustExplain()
	none := Counts{}
	for _, a := range slices.Sorted(maps.Keys(t.byAgency)) {
		if c := t.byAgency[a]; *c != none {
			st.ByAgency = append(st.ByAgency, AgencyCounts{Agency: a, Counts: c.rated()})
		}
	}
	for _, known := range DocTypes() {
		if c := t.byType[known.Code]; c != nil && *c != none {
			st.ByType = append(st.ByType, TypeCounts{Type: known.Code, Name: known.Name, NameEN: known.NameEN, Counts: c.rated()})
		}
	}
	for _, code := range slices.Sorted(maps.Keys(t.byType)) {
		if _, known := DocTypeOf(code); !known && *t.byType[code] != none {
			name, nameEN := code, code
			if code == "" {
				name, nameEN = "Văn bản mật", "Secret documents"
			}
			st.ByType = append(st.ByType, TypeCounts{Type: code, Name: name, NameEN: nameEN, Counts: t.byType[code].rated()})
		}
	}
	for _, day := range slices.Sorted(maps.Keys(t.byDay)) {
		if c := t.byDay[day]; *c != none {
			st.ByDay = append(st.ByDay, DayCounts{Day: dayText(day), Counts: c.rated()})
		}
	}
	return st
}

// explained adds the causes up to gaps.
func (st *Stats) explained() Gaps {
	var g Gaps
	for _, m := range st.Missing {
		switch {
		case m.Of == OfDocument:
			g.Documents += m.Count
		case m.Stage == StageRegistered:
			g.Deliveries += m.Count
		default:
			g.Arrival += m.Count
			g.Deliveries += m.Count
		}
	}
	return g
}

// mustExplain holds the promise of the table of causes: they add up to the gap.
func (st *Stats) mustExplain() {
	if got := st.explained(); got != st.Gap {
		panic("cannot happen: the causes of the exchange rate do not add up to its gap")
	}
}
