package exchange

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vanthu/exchange/registry"
	"vanthu/exchange/sheet"
	"vanthu/signing"
	"vanthu/storage/sqldb"
)

// verdictPassed is how the register keeps the verdict on a valid signature.
const verdictPassed = string(signing.TotalPassed)

// Received counts the entries of incoming registers by the time of arrival.
type Received struct {
	Total      int `json:"total"`      // văn bản đến, electronic and on paper
	Electronic int `json:"electronic"` // of it, through the exchange
	Signed     int `json:"signed"`     // of the electronic, with valid signatures
	Registered int `json:"registered"` // of the total, with an arrival number
	Refused    int `json:"refused"`    // of the total, given back
}

func (r *Received) plus(o Received) {
	r.Total += o.Total
	r.Electronic += o.Electronic
	r.Signed += o.Signed
	r.Registered += o.Registered
	r.Refused += o.Refused
}

// QuarterLine is what an agency, a level or all of them exchanged in a quarter,
// beside the rate of the quarter before.
type QuarterLine struct {
	Code   string   `json:"code,omitempty"`  // of the agency or level
	Name   string   `json:"name"`            // in Vietnamese
	Level  string   `json:"level,omitempty"` // of an agency
	Out    Counts   `json:"out"`
	In     Received `json:"in"`
	Before *float64 `json:"rate_before"` // Rate of the quarter before; nil when it had no documents
}

// QuarterReport is the quarterly report on the exchange of electronic documents
// (báo cáo tình hình gửi, nhận văn bản điện tử, QĐ 28/2018/QĐ-TTg Điều 15), made
// of the evidence and the registers alone. The decision gives no form: the
// columns are ours. Documents out count by their day of issue, documents in by
// their time of arrival.
type QuarterReport struct {
	Quarter    string            `json:"quarter"` // 2026Q4
	Definition string            `json:"definition"`
	Agency     registry.AgencyID `json:"agency,omitempty"` // with all below it; "" = all agencies
	Issuer     string            `json:"issuer"`           // who gives the report
	Superior   string            `json:"superior,omitempty"`
	Place      string            `json:"place,omitempty"`
	From       time.Time         `json:"from"`
	To         time.Time         `json:"to"` // exclusive
	At         time.Time         `json:"at"` // when these were the figures
	Total      QuarterLine       `json:"total"`
	Previous   QuarterLine       `json:"previous"` // the quarter before
	Levels     []QuarterLine     `json:"levels"`
	Agencies   []QuarterLine     `json:"agencies"` // by code
	Missing    []Missing         `json:"missing"`
}

// QuarterReport makes the report of a quarter (2026Q4) of an agency with all
// below it, of all agencies when it is "". What each may see is as for Rate.
func (s *Service) QuarterReport(ctx context.Context, by registry.Actor, quarter string, agency registry.AgencyID) (*QuarterReport, error) {
	from, to, err := Quarter(quarter)
	if err != nil {
		return nil, err
	}
	r := &QuarterReport{Quarter: quarter, Definition: RateDefinition, Agency: agency, From: from, To: to}
	if agency != "" {
		a, err := s.reg.Agency(ctx, agency)
		if err != nil {
			return nil, err
		}
		if r.Issuer, r.Place = a.Name, a.Place; a.Parent != "" {
			r.Superior = s.namer(ctx).agency(a.Parent)
		}
	}
	q := RateQuery{From: from, To: to, Agency: agency, Below: true}
	now, err := s.Rate(ctx, by, q)
	if err != nil {
		return nil, err
	}
	r.At, r.Missing = now.At, now.Missing
	q.From, q.To = from.AddDate(0, -3, 0), from
	before, err := s.Rate(ctx, by, q)
	if err != nil {
		return nil, err
	}
	received, err := s.received(ctx, by, RateQuery{From: from, To: to, Agency: agency, Below: true})
	if err != nil {
		return nil, err
	}
	receivedBefore, err := s.received(ctx, by, q)
	if err != nil {
		return nil, err
	}
	if err := s.quarterLines(ctx, r, now, received, before); err != nil {
		return nil, err
	}
	r.Previous = QuarterLine{Name: "Quý trước", Out: before.Counts}
	for _, in := range receivedBefore {
		r.Previous.In.plus(in)
	}
	return r, nil
}

// received counts what arrived, by agency, as far as the actor may see it.
func (s *Service) received(ctx context.Context, by registry.Actor, q RateQuery) (map[registry.AgencyID]Received, error) {
	if _, err := s.narrow(ctx, by, &q); err != nil {
		return nil, err
	}
	out := map[registry.AgencyID]Received{}
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		agencies, err := selectReceivers(ctx, tx)
		for _, a := range agencies {
			if err == nil && (q.set == nil || q.set[a]) {
				var r Received
				if r, err = countReceived(ctx, tx, a, q.From, q.To); r.Total > 0 {
					out[a] = r
				}
			}
		}
		return err
	})
	return out, storageError("counting what arrived", err)
}

// quarterLines puts what went out and what came in on one line per agency and
// level, beside the quarter before.
func (s *Service) quarterLines(ctx context.Context, r *QuarterReport, now *Stats, received map[registry.AgencyID]Received, before *Stats) error {
	rows := slices.Clone(now.ByAgency)
	for id := range received {
		if !slices.ContainsFunc(now.ByAgency, func(c AgencyCounts) bool { return c.Agency == id }) {
			a, err := s.reg.Agency(ctx, id)
			if err != nil {
				return err
			}
			rows = append(rows, AgencyCounts{Agency: id, Name: a.Name, Level: a.Level, Counts: Counts{}.rated()})
		}
	}
	slices.SortFunc(rows, func(a, b AgencyCounts) int { return compareText(a.Agency, b.Agency) })
	rate := func(c Counts) *float64 {
		if c.Population == 0 {
			return nil
		}
		return &c.Rate
	}
	wasAgency, wasLevel, in := map[registry.AgencyID]*float64{}, map[string]*float64{}, map[string]Received{}
	for _, row := range before.ByAgency {
		wasAgency[row.Agency] = rate(row.Counts)
	}
	for _, row := range before.ByLevel {
		wasLevel[row.Level] = rate(row.Counts)
	}
	r.Total = QuarterLine{Name: "Tổng cộng", Out: now.Counts, Before: rate(before.Counts)}
	r.Agencies, r.Levels = []QuarterLine{}, []QuarterLine{}
	for _, row := range rows {
		came := received[row.Agency]
		r.Total.In.plus(came)
		level := in[row.Level]
		level.plus(came)
		in[row.Level] = level
		r.Agencies = append(r.Agencies, QuarterLine{Code: string(row.Agency), Name: row.Name, Level: row.Level, Out: row.Counts, In: came, Before: wasAgency[row.Agency]})
	}
	for _, row := range byLevel(rows) {
		r.Levels = append(r.Levels, QuarterLine{Code: row.Level, Name: row.Name, Out: row.Counts, In: in[row.Level], Before: wasLevel[row.Level]})
	}
	return nil
}

// roman writes the number of a quarter as documents do.
func roman(quarter int) string { return [...]string{"I", "II", "III", "IV"}[quarter-1] }

func quarterName(from time.Time) string {
	from = from.In(Vietnam())
	return fmt.Sprintf("quý %s năm %d", roman((int(from.Month())+2)/3), from.Year())
}

// Paper makes the report ready to print: results beside the quarter before, a
// chart, a table by level and one by agency, and what is missing with its causes.
func (r *QuarterReport) Paper() *sheet.Paper {
	const day = "02/01/2006"
	from, last := r.From.In(Vietnam()), r.To.Add(-time.Microsecond).In(Vietnam())
	p := &sheet.Paper{Superior: r.Superior, Agency: r.Issuer, Place: r.Place, Made: r.At, Title: "BÁO CÁO",
		Subtitle:   []string{"Tình hình gửi, nhận văn bản điện tử " + quarterName(r.From), "Từ ngày " + from.Format(day) + " đến hết ngày " + last.Format(day)},
		Signatures: reportSignatures()}
	p.Parts = []sheet.Part{
		{Name: "Kết quả", Heading: "I. Kết quả chung", Text: r.sentences(), Table: r.comparison()},
		{Name: "Theo cấp", Heading: "II. Kết quả theo cấp", Chart: r.chart(), Table: quarterTable("Cấp", r.Levels, r.Total)},
		{Name: "Theo cơ quan", Heading: "III. Kết quả theo cơ quan", Table: quarterTable("Cơ quan", r.Agencies, r.Total)},
		{Name: "Còn thiếu", Heading: "IV. Phần chưa gửi, nhận được bằng điện tử và nguyên nhân", Table: missingTable(r.Missing), Notes: []string{r.definition()}},
	}
	return p
}

// Table gives the lines by agency and their total, for spreadsheets.
func (r *QuarterReport) Table() *sheet.Table { return quarterTable("Cơ quan", r.Agencies, r.Total) }

func (r *QuarterReport) definition() string {
	return fmt.Sprintf("Cách tính theo định nghĩa làm việc, phiên bản %s: văn bản đi tính theo ngày ban hành, văn bản đến theo thời điểm đến. Tỷ lệ gửi điện tử là số "+
		"văn bản có chữ ký số hợp lệ của cơ quan đã gửi qua hệ thống chia cho số văn bản phát hành, không tính %s số đã hủy và %s văn bản ngoài phạm vi (Điều 1.2, "+
		"Điều 7.1 QĐ 28/2018/QĐ-TTg). Đúng hạn là gửi trước 12 giờ ngày làm việc tiếp theo (Điều 6.2). Số liệu lấy từ nhật ký chứng cứ lúc %s.",
		r.Definition, sheet.Grouped(r.Total.Out.Cancelled), sheet.Grouped(r.Total.Out.Excluded), r.At.In(Vietnam()).Format("15:04 ngày 02/01/2006"))
}

func (r *QuarterReport) sentences() []string {
	out, in := r.Total.Out, r.Total.In
	if out.Population == 0 && in.Total == 0 {
		return []string{"Trong kỳ không có văn bản đi, văn bản đến."}
	}
	said := []string{fmt.Sprintf("Trong kỳ phát hành %s văn bản đi, gửi điện tử có ký số %s văn bản, đạt %s; gửi đúng hạn %s văn bản.",
		sheet.Grouped(out.Population), sheet.Grouped(out.Electronic), shareOf(out.Electronic, out.Population), sheet.Grouped(out.OnTime))}
	return append(said, fmt.Sprintf("Văn bản đến: %s, trong đó bằng điện tử %s (%s).", sheet.Grouped(in.Total), sheet.Grouped(in.Electronic), shareOf(in.Electronic, in.Total)))
}

// shareOf writes a part of a whole; a dash when there is no whole.
func shareOf(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return sheet.Percent(float64(part) / float64(whole))
}

// comparison sets each figure of the quarter beside that of the quarter before.
func (r *QuarterReport) comparison() *sheet.Table {
	t := &sheet.Table{Columns: []sheet.Column{{Title: "Chỉ tiêu"}, {Title: "Quý này", Width: 40, Align: sheet.Right}, {Title: "Quý trước", Width: 40, Align: sheet.Right},
		{Title: "Tăng, giảm", Width: 40, Align: sheet.Right}}}
	now, before := &r.Total, &r.Previous
	for _, f := range []struct {
		name string
		of   func(*QuarterLine) int
	}{
		{"Văn bản đi phát hành", func(l *QuarterLine) int { return l.Out.Population }},
		{"Văn bản đi có chữ ký số của cơ quan", func(l *QuarterLine) int { return l.Out.Signed }},
		{"Văn bản đi gửi điện tử có ký số", func(l *QuarterLine) int { return l.Out.Electronic }},
		{"Văn bản đi gửi đúng hạn", func(l *QuarterLine) int { return l.Out.OnTime }},
		{"Văn bản đi chỉ có bản giấy", func(l *QuarterLine) int { return l.Out.PaperOnly }},
		{"Lượt gửi", func(l *QuarterLine) int { return l.Out.Deliveries }},
		{"Lượt gửi nơi nhận đã vào sổ", func(l *QuarterLine) int { return l.Out.Exchanged }},
		{"Văn bản đến", func(l *QuarterLine) int { return l.In.Total }},
		{"Văn bản đến bằng điện tử", func(l *QuarterLine) int { return l.In.Electronic }},
		{"Văn bản đến bằng điện tử có chữ ký số hợp lệ", func(l *QuarterLine) int { return l.In.Signed }},
	} {
		a, b := f.of(now), f.of(before)
		change := sheet.Grouped(a - b)
		if a > b {
			change = "+" + change
		}
		t.Rows = append(t.Rows, sheet.Row{Cells: []any{f.name, sheet.Grouped(a), sheet.Grouped(b), change}})
	}
	for _, f := range []struct {
		name string
		of   func(*QuarterLine) (part, whole int)
	}{
		{"Tỷ lệ văn bản có ký số", func(l *QuarterLine) (int, int) { return l.Out.Signed, l.Out.Population }},
		{"Tỷ lệ gửi điện tử", func(l *QuarterLine) (int, int) { return l.Out.Electronic, l.Out.Population }},
		{"Tỷ lệ gửi đúng hạn", func(l *QuarterLine) (int, int) { return l.Out.OnTime, l.Out.Electronic }},
		{"Tỷ lệ văn bản đến bằng điện tử", func(l *QuarterLine) (int, int) { return l.In.Electronic, l.In.Total }},
	} {
		part, whole := f.of(now)
		partBefore, wholeBefore := f.of(before)
		t.Rows = append(t.Rows, sheet.Row{Bold: true, Cells: []any{f.name, shareOf(part, whole), shareOf(partBefore, wholeBefore), points(part, whole, partBefore, wholeBefore)}})
	}
	return t
}

// points writes the difference of two shares in points of a percentage; a dash
// when one of them has no whole.
func points(part, whole, partBefore, wholeBefore int) string {
	if whole == 0 || wholeBefore == 0 {
		return "–"
	}
	tenths := int(1000*float64(part)/float64(whole)+1e-9) - int(1000*float64(partBefore)/float64(wholeBefore)+1e-9)
	sign := ""
	switch {
	case tenths > 0:
		sign = "+"
	case tenths < 0:
		sign, tenths = "-", -tenths
	}
	return fmt.Sprintf("%s%d,%d điểm", sign, tenths/10, tenths%10)
}

// chart shows the rate by level, in both quarters.
func (r *QuarterReport) chart() *sheet.Chart {
	c := &sheet.Chart{Title: "Tỷ lệ gửi văn bản điện tử theo cấp", Percent: true}
	before, now := sheet.Series{Name: "Quý trước"}, sheet.Series{Name: "Quý này"}
	add := func(l QuarterLine) {
		was := 0.0
		if l.Before != nil {
			was = *l.Before
		}
		is := l.Out.Rate
		if l.Out.Population == 0 {
			is = 0
		}
		c.Labels = append(c.Labels, l.Name)
		before.Values, now.Values = append(before.Values, was), append(now.Values, is)
	}
	for _, l := range r.Levels {
		add(l)
	}
	if len(r.Levels) > 1 {
		add(r.Total)
	}
	c.Series = []sheet.Series{before, now}
	return c
}

func quarterTable(rowsAre string, lines []QuarterLine, total QuarterLine) *sheet.Table {
	count := func(title string) sheet.Column {
		return sheet.Column{Title: title, Width: 19, Align: sheet.Right, Kind: sheet.Count}
	}
	share := func(title string) sheet.Column {
		return sheet.Column{Title: title, Width: 18, Align: sheet.Right, Kind: sheet.Share}
	}
	t := &sheet.Table{Empty: "Trong kỳ không có văn bản.", Columns: []sheet.Column{
		{Title: "TT", Width: 10, Align: sheet.Center, Kind: sheet.Count}, {Title: rowsAre}, count("Văn bản đi"), count("Có ký số"), count("Gửi điện tử"),
		share("Tỷ lệ điện tử"), share("Tỷ lệ quý trước"), share("Tỷ lệ đúng hạn"), count("Văn bản đến"), count("Đến bằng điện tử"), share("Tỷ lệ đến điện tử"),
	}}
	row := func(n any, l QuarterLine, bold bool) sheet.Row {
		var before any
		if l.Before != nil {
			before = *l.Before
		}
		return sheet.Row{Bold: bold, Cells: []any{n, l.Name, l.Out.Population, l.Out.Signed, l.Out.Electronic, shareCell(l.Out.Electronic, l.Out.Population), before,
			shareCell(l.Out.OnTime, l.Out.Electronic), l.In.Total, l.In.Electronic, shareCell(l.In.Electronic, l.In.Total)}}
	}
	for i, l := range lines {
		t.Rows = append(t.Rows, row(i+1, l, false))
	}
	if len(lines) > 0 {
		t.Rows = append(t.Rows, row(nil, total, true))
	}
	return t
}

// shareCell is a share as a spreadsheet holds it; empty when there is no whole.
func shareCell(part, whole int) any {
	if whole == 0 {
		return nil
	}
	return float64(part) / float64(whole)
}
