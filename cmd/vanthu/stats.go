package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

type statsCmd struct {
	dataFlags
	From      string `help:"Từ ngày, YYYY-MM-DD. | First day."`
	To        string `help:"Đến hết ngày, YYYY-MM-DD. | Last day."`
	Report    string `default:"rate" enum:"rate,quarter" help:"Tỷ lệ của một khoảng ngày, hay báo cáo quý (cần --quarter). | The rate of a period of days, or the quarterly report (needs --quarter)."`
	Quarter   string `help:"Quý của báo cáo quý, ví dụ 2026Q4. | Quarter of the quarterly report, such as 2026Q4."`
	Agency    string `help:"Báo cáo quý của cơ quan có mã này và các cơ quan trực thuộc; không ghi thì tất cả. | Quarterly report of this agency and all below it; of all when it is left out."`
	By        string `default:"agency" enum:"agency,type,day" help:"Theo cơ quan, loại văn bản hay ngày ban hành; JSON luôn có cả ba. | By agency, type or day of issue; JSON always has all three."`
	Format    string `default:"json" enum:"json,csv,xlsx,pdf" help:"Dạng kết quả. | Form of the result."`
	Recompute bool   `help:"Tính lại chỉ từ nhật ký chứng cứ và so với số đang có; khác nhau thì kết thúc với mã 1. | Make the figures from the evidence log alone and compare; ends with 1 where they differ."`
	Out       string `help:"Ghi vào tệp này thay cho đầu ra chuẩn. | Write to this file, not to standard output." type:"path"`
}

// vietnam is the zone of every official date (UTC+7, without summer time).
func vietnam() *time.Location { return time.FixedZone("+07", 7*60*60) }

// period reads the days asked for, whole days in Vietnam time, to exclusive.
func (c statsCmd) period() (from, to time.Time, err error) {
	if from, err = time.ParseInLocation(time.DateOnly, c.From, vietnam()); err != nil {
		return from, to, unreadable(fmt.Errorf("--from: %w", err))
	}
	if to, err = time.ParseInLocation(time.DateOnly, c.To, vietnam()); err != nil {
		return from, to, unreadable(fmt.Errorf("--to: %w", err))
	}
	if to.Before(from) {
		return from, to, unreadable(fmt.Errorf("--to %s is before --from %s", c.To, c.From))
	}
	return from, to.AddDate(0, 0, 1), nil
}

// Run gives the exchange rate of a period or the report of a quarter.
func (c statsCmd) Run(a *app) error {
	if binary := c.Format == "xlsx" || c.Format == "pdf"; binary && c.Out == "" && isTerminal(a.stdout) {
		return unreadable(fmt.Errorf("--format %s: không in tệp nhị phân ra màn hình; dùng --out TỆP | not written to a terminal; use --out FILE", c.Format))
	}
	if c.Report == "quarter" {
		return c.quarter(a)
	}
	from, to, err := c.period()
	if err != nil {
		return err
	}
	return c.with(a, func(hub *Hub) error {
		query := exchange.RateQuery{From: from, To: to}
		if c.Recompute {
			return c.recompute(a, hub, query)
		}
		stats, err := hub.Service.Rate(a.ctx, registry.System("stats"), query)
		if err != nil {
			return err
		}
		report := newStatsReport(stats, c.By)
		report.Publisher, report.Made = hub.config.Name, time.Now()
		return c.deliver(a, func(w io.Writer) error { return report.write(w, c.Format) })
	})
}

// deliver writes a result to where it was asked for.
func (c statsCmd) deliver(a *app, write func(io.Writer) error) error {
	if c.Out != "" {
		return writeOnce(c.Out, write)
	}
	return write(a.stdout)
}

// quarter gives the quarterly report on the exchange (QĐ 28/2018/QĐ-TTg Điều 15).
func (c statsCmd) quarter(a *app) error {
	if _, _, err := exchange.Quarter(c.Quarter); err != nil {
		return unreadable(fmt.Errorf("--quarter: %w", err))
	}
	if c.Recompute || c.From != "" || c.To != "" {
		return unreadable(errors.New("--report quarter: không dùng cùng --from, --to, --recompute | not with --from, --to, --recompute"))
	}
	return c.with(a, func(hub *Hub) error {
		report, err := hub.Service.QuarterReport(a.ctx, registry.System("stats"), c.Quarter, registry.AgencyID(c.Agency))
		if err != nil {
			return err
		}
		if report.Issuer == "" {
			report.Issuer = hub.config.Name
		}
		return c.deliver(a, func(w io.Writer) error {
			switch c.Format {
			case "csv":
				return report.Table().CSV(w)
			case "xlsx":
				return report.Paper().XLSX(w)
			case "pdf":
				return report.Paper().PDF(w)
			}
			return json.NewEncoder(w).Encode(report)
		})
	})
}

// recompute prints the figures made from the evidence log alone, with their differences from the live ones.
func (c statsCmd) recompute(a *app, hub *Hub, query exchange.RateQuery) error {
	if c.Format != "json" {
		return unreadable(errors.New("--recompute: chỉ có dạng json | only as json"))
	}
	again, err := hub.Service.Recompute(a.ctx, registry.System("stats"), query)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(a.stdout).Encode(again); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	if n := len(again.Differences); n > 0 {
		return fmt.Errorf("%d chỗ khác với số đang có | %d differences from the live figures", n, n)
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// statsReport is the exchange rate of a period as rows of one kind, for a person to read.
type statsReport struct {
	*exchange.Stats
	By        string // agency, type, day
	Rows      []statsRow
	Publisher string    // who gives the report
	Made      time.Time // when
}

// statsRow is one agency, type of document or day.
type statsRow struct {
	Code, Name string
	exchange.Counts
}

func newStatsReport(stats *exchange.Stats, by string) statsReport {
	r := statsReport{Stats: stats, By: by}
	switch by {
	case "type":
		for _, row := range stats.ByType {
			r.Rows = append(r.Rows, statsRow{row.Type, row.Name, row.Counts})
		}
	case "day":
		for _, row := range stats.ByDay {
			name := row.Day
			if day, err := time.Parse(time.DateOnly, row.Day); err == nil {
				name = day.Format("02/01/2006")
			}
			r.Rows = append(r.Rows, statsRow{row.Day, name, row.Counts})
		}
	default:
		for _, row := range stats.ByAgency {
			r.Rows = append(r.Rows, statsRow{string(row.Agency), row.Name, row.Counts})
		}
	}
	return r
}

func (r statsReport) write(w io.Writer, format string) error {
	switch format {
	case "csv":
		return r.writeCSV(w)
	case "xlsx":
		return r.writeXLSX(w)
	case "pdf":
		return r.writePDF(w)
	}
	return json.NewEncoder(w).Encode(r.Stats)
}

// writeCSV writes one line per row and one for all, with a byte-order mark so that spreadsheets read the Vietnamese
// names as UTF-8. The first column is named for what the rows are.
func (r statsReport) writeCSV(w io.Writer) error {
	if _, err := io.WriteString(w, "\xEF\xBB\xBF"); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	err := out.Write([]string{
		r.By, "name", "population", "electronic", "rate", "deliveries", "arrived", "registered", "completed", "refused",
		"recalled", "delivery_rate", "cancelled", "excluded",
	})
	for _, row := range append(r.Rows[:len(r.Rows):len(r.Rows)], statsRow{"", "Tổng", r.Counts}) {
		line := []string{cell(row.Code), cell(row.Name)}
		line = append(line, integers(row.Population, row.Electronic)...)
		line = append(line, ratio(row.Rate))
		line = append(line, integers(row.Deliveries, row.Arrived, row.Registered, row.Completed, row.Refused, row.Recalled)...)
		line = append(line, ratio(row.DeliveryRate))
		line = append(line, integers(row.Cancelled, row.Excluded)...)
		err = errors.Join(err, out.Write(line))
	}
	out.Flush()
	return errors.Join(err, out.Error())
}

func integers(numbers ...int) []string {
	texts := make([]string, 0, len(numbers))
	for _, n := range numbers {
		texts = append(texts, strconv.Itoa(n))
	}
	return texts
}

func ratio(r float64) string { return strconv.FormatFloat(r, 'f', 4, 64) }

// cell keeps a spreadsheet from running a text as a formula.
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}

// What a person reads is the same in every form: title, period, sentences, names of columns.
const (
	statsTitle     = "Tỷ lệ gửi, nhận văn bản điện tử"
	nothingMissing = "Không có văn bản hay lượt gửi nào còn thiếu."
)

func (r statsReport) period() string {
	return "Từ ngày " + r.From.In(vietnam()).Format("02/01/2006") + " đến hết ngày " + r.To.In(vietnam()).Add(-time.Microsecond).Format("02/01/2006")
}

func (r statsReport) definition() string {
	return fmt.Sprintf("Cách tính (định nghĩa làm việc, phiên bản %s): tỷ lệ là số văn bản đã gửi qua hệ thống với chữ ký số hợp lệ của cơ quan "+
		"(QĐ 28/2018/QĐ-TTg Điều 4) chia cho số văn bản đã cấp số, phát hành trong kỳ; không tính %s số đã hủy và %s văn bản mà một bên không "+
		"nhận được bằng điện tử (Điều 7). Văn bản mật không thuộc phạm vi (Điều 1). QĐ 28/2018/QĐ-TTg và NĐ 30/2020/NĐ-CP không ấn định công thức.",
		r.Definition, grouped(r.Cancelled), grouped(r.Excluded))
}

// sentences say the two rates in words, by document and by delivery.
func (r statsReport) sentences() []string {
	if r.Population == 0 {
		return []string{"Không có văn bản nào được phát hành trong kỳ."}
	}
	said := []string{fmt.Sprintf("%s trên %s văn bản phát hành trong kỳ được gửi điện tử có chữ ký số hợp lệ của cơ quan.", grouped(r.Electronic), grouped(r.Population))}
	if r.Deliveries > 0 {
		good := r.Arrived - r.Refused - r.Recalled
		said = append(said, fmt.Sprintf("Theo lượt gửi: %s (%s trên %s lượt đến nơi nhận, không bị trả lại hay lấy lại).", share(good, r.Deliveries), grouped(good), grouped(r.Deliveries)))
	}
	return said
}

func (r statsReport) rowsAre() string {
	switch r.By {
	case "type":
		return "Loại văn bản"
	case "day":
		return "Ngày ban hành"
	}
	return "Cơ quan"
}

// figure is one column of numbers.
type figure struct {
	name string
	of   func(exchange.Counts) int
}

func documentFigures() []figure {
	return []figure{
		{"Văn bản phát hành", func(c exchange.Counts) int { return c.Population }},
		{"Gửi điện tử", func(c exchange.Counts) int { return c.Electronic }},
	}
}

func deliveryFigures() []figure {
	return []figure{
		{"Lượt gửi", func(c exchange.Counts) int { return c.Deliveries }},
		{"Đã đến", func(c exchange.Counts) int { return c.Arrived }},
		{"Đã vào sổ", func(c exchange.Counts) int { return c.Registered }},
		{"Hoàn thành", func(c exchange.Counts) int { return c.Completed }},
		{"Bị trả lại", func(c exchange.Counts) int { return c.Refused }},
		{"Đã lấy lại", func(c exchange.Counts) int { return c.Recalled }},
	}
}

// unitOf names what a cause counts.
func unitOf(m exchange.Missing) string {
	if m.Of == exchange.OfDocument {
		return "văn bản"
	}
	return "lượt gửi"
}

// ownerOf names whose turn it is.
func ownerOf(m exchange.Missing) string {
	switch m.Owner {
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

// grouped writes a number as is usual in Vietnam: 17.024.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "." + digits[at:]
	}
	return digits
}

// share writes a part as a percentage with a decimal comma. It cuts and does not round: only all is 100 %.
func share(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	tenths := part * 1000 / whole
	if tenths%10 == 0 {
		return fmt.Sprintf("%d %%", tenths/10)
	}
	return fmt.Sprintf("%d,%d %%", tenths/10, tenths%10)
}
