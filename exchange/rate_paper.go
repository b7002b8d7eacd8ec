package exchange

import (
	"fmt"
	"time"

	"vanthu/exchange/registry"
	"vanthu/exchange/sheet"
)

// The breakdowns that Paper and Table of Stats may show.
const (
	ByAgency = "agency"
	ByType   = "type"
	ByDay    = "day"
)

// rateRow is one agency, type of document or day.
type rateRow struct {
	code, name string
	Counts
}

// rows gives the rows of a breakdown, by agency where there is no such breakdown.
func (st *Stats) rows(by string) []rateRow {
	var out []rateRow
	switch by {
	case ByType:
		for _, row := range st.ByType {
			out = append(out, rateRow{row.Type, row.Name, row.Counts})
		}
	case ByDay:
		for _, row := range st.ByDay {
			name := row.Day
			if day, err := time.Parse(time.DateOnly, row.Day); err == nil {
				name = day.Format("02/01/2006")
			}
			out = append(out, rateRow{row.Day, name, row.Counts})
		}
	default:
		for _, row := range st.ByAgency {
			out = append(out, rateRow{string(row.Agency), row.Name, row.Counts})
		}
	}
	return out
}

// Table gives a breakdown (ByAgency, ByType or ByDay) for programs: a row each and
// one for all, the columns named as in JSON, the first for what the rows are.
func (st *Stats) Table(by string) *sheet.Table {
	t := &sheet.Table{}
	for _, title := range []string{by, "name", "population", "electronic", "rate", "deliveries", "arrived", "registered", "completed", "refused",
		"recalled", "delivery_rate", "cancelled", "excluded"} {
		t.Columns = append(t.Columns, sheet.Column{Title: title})
	}
	for _, r := range append(st.rows(by), rateRow{"", "Tổng", st.Counts}) {
		t.Rows = append(t.Rows, sheet.Row{Cells: []any{r.code, r.name, r.Population, r.Electronic, r.Rate, r.Deliveries, r.Arrived, r.Registered,
			r.Completed, r.Refused, r.Recalled, r.DeliveryRate, r.Cancelled, r.Excluded}})
	}
	return t
}

// Paper makes the figures ready to print: what they are in words, a chart, a table
// of one breakdown (ByAgency, ByType or ByDay), and what is missing with its causes.
func (st *Stats) Paper(by, publisher string) *sheet.Paper {
	const day = "02/01/2006"
	from, last := st.From.In(Vietnam()), st.To.Add(-time.Microsecond).In(Vietnam())
	p := &sheet.Paper{Agency: publisher, Made: st.At, Title: "BÁO CÁO", Signatures: reportSignatures(),
		Subtitle: []string{"Tỷ lệ gửi, nhận văn bản điện tử", "Từ ngày " + from.Format(day) + " đến hết ngày " + last.Format(day)}}
	rows := st.rows(by)
	p.Parts = []sheet.Part{
		{Name: "Tỷ lệ", Heading: "I. Kết quả", Text: st.sentences(), Chart: rateChart(rows), Table: rateTable(rowsAre(by), rows, st.Counts)},
		{Name: "Còn thiếu", Heading: "II. Phần còn thiếu và nguyên nhân", Table: missingTable(st.Missing), Notes: []string{st.definition()}},
	}
	return p
}

// sentences say the two rates in words, by document and by delivery.
func (st *Stats) sentences() []string {
	if st.Population == 0 {
		return []string{"Không có văn bản nào được phát hành trong kỳ."}
	}
	said := []string{fmt.Sprintf("Tỷ lệ gửi điện tử: %s (%s trên %s văn bản phát hành trong kỳ được gửi điện tử có chữ ký số hợp lệ của cơ quan).",
		shareOf(st.Electronic, st.Population), sheet.Grouped(st.Electronic), sheet.Grouped(st.Population))}
	if st.Deliveries > 0 {
		good := st.Arrived - st.Refused - st.Recalled
		said = append(said, fmt.Sprintf("Theo lượt gửi: %s (%s trên %s lượt đến nơi nhận, không bị trả lại hay lấy lại).",
			shareOf(good, st.Deliveries), sheet.Grouped(good), sheet.Grouped(st.Deliveries)))
	}
	return said
}

func (st *Stats) definition() string {
	return fmt.Sprintf("Cách tính (định nghĩa làm việc, phiên bản %s): tỷ lệ là số văn bản đã gửi qua hệ thống với chữ ký số hợp lệ của cơ quan "+
		"(QĐ 28/2018/QĐ-TTg Điều 4) chia cho số văn bản đã cấp số, phát hành trong kỳ; không tính %s số đã hủy và %s văn bản mà một bên không "+
		"nhận được bằng điện tử (Điều 7). Văn bản mật không thuộc phạm vi (Điều 1). QĐ 28/2018/QĐ-TTg và NĐ 30/2020/NĐ-CP không ấn định công thức.",
		st.Definition, sheet.Grouped(st.Cancelled), sheet.Grouped(st.Excluded))
}

func rowsAre(by string) string {
	switch by {
	case ByType:
		return "Loại văn bản"
	case ByDay:
		return "Ngày ban hành"
	}
	return "Cơ quan"
}

// mostBars is how many rows a chart is still read with.
const mostBars = 24

// rateChart shows the rate row by row; nil when there are too few or too many.
func rateChart(rows []rateRow) *sheet.Chart {
	if len(rows) < 2 || len(rows) > mostBars {
		return nil
	}
	c := &sheet.Chart{Title: "Tỷ lệ gửi văn bản điện tử", Percent: true, Series: []sheet.Series{{}}}
	for _, r := range rows {
		share := 0.0
		if r.Population > 0 {
			share = r.Rate
		}
		c.Labels, c.Series[0].Values = append(c.Labels, r.name), append(c.Series[0].Values, share)
	}
	return c
}

func rateTable(rowsAre string, rows []rateRow, total Counts) *sheet.Table {
	count := func(title string) sheet.Column {
		return sheet.Column{Title: title, Width: 17, Align: sheet.Right, Kind: sheet.Count}
	}
	t := &sheet.Table{Columns: []sheet.Column{
		{Title: "TT", Width: 10, Align: sheet.Center, Kind: sheet.Count}, {Title: rowsAre}, count("Văn bản phát hành"), count("Gửi điện tử"),
		{Title: "Tỷ lệ gửi điện tử", Width: 34, Kind: sheet.Bar}, {Title: "%", Width: 17, Align: sheet.Right, Kind: sheet.Share},
		count("Lượt gửi"), count("Đã đến"), count("Đã vào sổ"), count("Hoàn thành"), count("Bị trả lại"), count("Đã lấy lại"),
	}}
	row := func(n any, r rateRow) sheet.Row {
		share := shareCell(r.Electronic, r.Population)
		return sheet.Row{Cells: []any{n, r.name, r.Population, r.Electronic, share, share, r.Deliveries, r.Arrived, r.Registered, r.Completed, r.Refused, r.Recalled}}
	}
	for i, r := range rows {
		t.Rows = append(t.Rows, row(i+1, r))
	}
	sum := row(nil, rateRow{name: "Tổng cộng", Counts: total})
	sum.Bold = true
	t.Rows = append(t.Rows, sum)
	return t
}

func missingTable(missing []Missing) *sheet.Table {
	t := &sheet.Table{Empty: "Không có văn bản hay lượt gửi nào còn thiếu.", Columns: []sheet.Column{{Title: "Nguyên nhân"},
		{Title: "Số lượng", Width: 20, Align: sheet.Right, Kind: sheet.Count}, {Title: "Đơn vị", Width: 20}, {Title: "Thuộc bên", Width: 20},
		{Title: "Người xử lý", Width: 25}, {Title: "Việc cần làm", Width: 82}}}
	for _, m := range missing {
		unit, side := "văn bản", "bên gửi"
		if m.Of == OfDelivery {
			unit = "lượt gửi"
		}
		if m.Side == SideRecipient {
			side = "bên nhận"
		}
		t.Rows = append(t.Rows, sheet.Row{Cells: []any{m.Text, m.Count, unit, side, ownerName(m.Owner), m.Act}})
	}
	return t
}

// ownerName says whose turn it is; the hub's where no person has to do anything.
func ownerName(role registry.Role) string {
	switch role {
	case registry.RoleClerk:
		return "Văn thư"
	case registry.RoleLeader:
		return "Lãnh đạo"
	case registry.RoleOfficer:
		return "Chuyên viên"
	case registry.RoleAdministrator:
		return "Quản trị"
	}
	return "Hệ thống"
}
