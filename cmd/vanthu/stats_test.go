package main

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/xuri/excelize/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing/pdf"
)

// sampleReport has n agencies, most of them complete, and causes for what is missing.
func sampleReport(n int, by string) statsReport {
	stats := &exchange.Stats{
		Definition: exchange.RateDefinition,
		From:       time.Date(2026, 1, 1, 0, 0, 0, 0, vietnam()),
		To:         time.Date(2026, 4, 1, 0, 0, 0, 0, vietnam()),
	}
	add := func(to *exchange.Counts, c exchange.Counts) {
		to.Population += c.Population
		to.Electronic += c.Electronic
		to.Cancelled += c.Cancelled
		to.Deliveries += c.Deliveries
		to.Arrived += c.Arrived
		to.Registered += c.Registered
		to.Completed += c.Completed
		to.Refused += c.Refused
	}
	for i := range n {
		missing := i % 4
		c := exchange.Counts{
			Population: 1200 + i, Electronic: 1200 + i - missing*i, Cancelled: i % 3,
			Deliveries: 2400, Arrived: 2400 - missing, Registered: 2300, Completed: 2000, Refused: missing,
		}
		c.Rate, c.DeliveryRate = float64(c.Electronic)/float64(c.Population), float64(c.Arrived-c.Refused)/float64(c.Deliveries)
		name := "Sở Nội vụ"
		if i%5 == 1 {
			name = "Ban Quản lý dự án đầu tư xây dựng các công trình giao thông và nông nghiệp tỉnh Bắc Sơn"
		}
		stats.ByAgency = append(stats.ByAgency, exchange.AgencyCounts{Agency: registry.AgencyID(fmt.Sprintf("H99.%02d", i)), Name: name, Counts: c})
		stats.ByDay = append(stats.ByDay, exchange.DayCounts{Day: stats.From.AddDate(0, 0, i).Format(time.DateOnly), Counts: c})
		add(&stats.Counts, c)
	}
	if missing := stats.Population - stats.Electronic; missing > 0 {
		stats.Missing = []exchange.Missing{
			{RateCause: exchange.RateCause{Cause: "unsealed", Text: "Đã cấp số nhưng chưa ký số cơ quan", Owner: registry.RoleClerk, Of: exchange.OfDocument}, Count: missing},
			{RateCause: exchange.RateCause{Cause: "waiting", Text: "Đang chờ chuyển", Of: exchange.OfDelivery}, Count: stats.Deliveries - stats.Arrived},
			{RateCause: exchange.RateCause{Cause: "refused", Text: "Nơi nhận từ chối, trả lại", Owner: registry.RoleClerk, Of: exchange.OfDelivery}, Count: stats.Refused},
		}
	}
	if stats.Population > 0 {
		stats.Rate, stats.DeliveryRate = float64(stats.Electronic)/float64(stats.Population), float64(stats.Arrived-stats.Refused)/float64(stats.Deliveries)
	}
	r := newStatsReport(stats, by)
	r.Publisher, r.Made = "Ủy ban nhân dân tỉnh Bắc Sơn", time.Date(2026, 4, 2, 8, 0, 0, 0, vietnam())
	return r
}

func written(t *testing.T, r statsReport, format string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := r.write(&out, format); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestStatsCSV(t *testing.T) {
	r := sampleReport(3, "agency")
	r.Rows[0].Name = "=HYPERLINK(\"http://x\")"
	r.Rows[1].Name = "Sở \"A\", B"
	data, ok := bytes.CutPrefix(written(t, r, "csv"), []byte("\xEF\xBB\xBF"))
	if !ok {
		t.Fatal("no byte-order mark")
	}
	lines, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || len(lines) != 5 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	if lines[0][0] != "agency" || lines[1][1] != "'=HYPERLINK(\"http://x\")" || lines[2][1] != "Sở \"A\", B" || lines[4][1] != "Tổng" {
		t.Errorf("%q", lines)
	}
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	for _, name := range []string{"population", "electronic", "deliveries", "arrived", "registered", "completed", "refused", "recalled", "cancelled", "excluded"} {
		sum := 0
		for _, line := range lines[1:4] {
			n, err := strconv.Atoi(line[column[name]])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if total := lines[4][column[name]]; total != strconv.Itoa(sum) {
			t.Errorf("%s: rows %d, total %s", name, sum, total)
		}
	}
}

func TestStatsCell(t *testing.T) {
	for text, want := range map[string]string{"": "", "Sở": "Sở", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@a": "'@a", "\t=1": "'\t=1", "\r=1": "'\r=1"} {
		if got := cell(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestStatsXLSX(t *testing.T) {
	r := sampleReport(60, "agency")
	r.Rows[0].Name = "=1+1"
	book, err := excelize.OpenReader(bytes.NewReader(written(t, r, "xlsx")))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	value := func(sheet, cell string) string {
		t.Helper()
		v, err := book.GetCellValue(sheet, cell, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for cell, want := range map[string]string{
		"A1": statsTitle, "A2": "Từ ngày 01/01/2026 đến hết ngày 31/03/2026", "B6": "Cơ quan", "A7": "H99.00", "B7": "=1+1",
		"C8": "1201", "D8": "1200", "B67": "Tổng cộng", "C67": strconv.Itoa(r.Population), "D67": strconv.Itoa(r.Electronic), "F67": strconv.Itoa(r.Deliveries),
		"K67": strconv.Itoa(r.Recalled),
	} {
		if got := value(sheetRate, cell); got != want {
			t.Errorf("%s: %q, want %q", cell, got, want)
		}
	}
	if formula, err := book.GetCellFormula(sheetRate, "B7"); err != nil || formula != "" {
		t.Errorf("formula %q, %v", formula, err)
	}
	if got, err := book.GetCellValue(sheetRate, "E7"); err != nil || got != "100.00%" {
		t.Errorf("rate %q, %v", got, err)
	}
	if got := value(sheetMissing, "B2"); got != strconv.Itoa(r.Population-r.Electronic) {
		t.Errorf("missing %q", got)
	}
	empty, err := excelize.OpenReader(bytes.NewReader(written(t, sampleReport(0, "type"), "xlsx")))
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if got, err := empty.GetCellValue(sheetRate, "E7"); err != nil || got != "" {
		t.Errorf("the rate of nothing is %q, %v", got, err)
	}
}

// pagesOf reads a PDF with our own reader: what is drawn on each page.
func pagesOf(t *testing.T, data []byte) []string {
	t.Helper()
	file, err := pdf.Open(bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	view := file.Latest()
	var pages []string
	if err := view.Pages(func(_ int, _ pdf.Ref, page pdf.Dict) bool {
		contents, err := view.Resolve(page["Contents"])
		if err != nil {
			t.Fatal(err)
		}
		stream, ok := contents.(*pdf.Stream)
		if !ok {
			t.Fatalf("contents are %T", contents)
		}
		drawn, err := view.StreamData(stream)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, string(drawn))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return pages
}

// glyphs is how the text stands in a page: UTF-16BE in a literal string.
func glyphs(text string) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.BigEndian.AppendUint16(out, unit)
	}
	return strings.NewReplacer("\\", "\\\\", "(", "\\(", ")", "\\)", "\r", "\\r").Replace(string(out))
}

func TestStatsPDF(t *testing.T) {
	for _, test := range []struct {
		rows, pages int
		by          string
		wants       []string
	}{
		{0, 1, "type", []string{"Không có văn bản nào được phát hành trong kỳ.", nothingMissing, "Loại văn bản"}},
		{1, 1, "agency", []string{"BÁO CÁO", "Từ ngày 01/01/2026 đến hết ngày 31/03/2026", "100 %", "1.200", "Tổng cộng", nothingMissing, "NGƯỜI LẬP BIỂU"}},
		{60, 5, "agency", []string{"BÁO CÁO", "Tổng cộng", "Đang chờ chuyển", "Văn thư", "60"}},
		{60, 4, "day", []string{"Ngày ban hành", "01/03/2026"}},
	} {
		t.Run(fmt.Sprintf("%d by %s", test.rows, test.by), func(t *testing.T) {
			report := sampleReport(test.rows, test.by)
			pages := pagesOf(t, written(t, report, "pdf"))
			if len(pages) != test.pages {
				t.Errorf("%d pages, want %d", len(pages), test.pages)
			}
			all := strings.Join(pages, "\n")
			for _, want := range test.wants {
				if !strings.Contains(all, glyphs(want)) {
					t.Errorf("%q is not in the report", want)
				}
			}
			for i := 1; i < len(pages); i++ {
				if !strings.Contains(pages[i], glyphs(strconv.Itoa(i+1))) {
					t.Errorf("page %d has no number", i+1)
				}
			}
		})
	}
}

// TestStatsPDFOddNames: what the font cannot hold does not break the report.
func TestStatsPDFOddNames(t *testing.T) {
	r := sampleReport(2, "agency")
	r.Rows[0].Name = "Sở \U0001F600\tA\nB"
	r.Rows[1].Name = strings.Repeat("Kiểmtra", 60)
	if pages := pagesOf(t, written(t, r, "pdf")); len(pages) == 0 {
		t.Error("no page")
	}
}

func TestStatsShare(t *testing.T) {
	for _, test := range []struct {
		part, whole int
		want        string
	}{{0, 0, "–"}, {0, 5, "0 %"}, {5, 5, "100 %"}, {9999, 10000, "99,9 %"}, {1, 3, "33,3 %"}, {17024, 17025, "99,9 %"}} {
		if got := share(test.part, test.whole); got != test.want {
			t.Errorf("%d/%d: %q", test.part, test.whole, got)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 17024: "17.024", 1234567: "1.234.567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestStatsJSONHasAll(t *testing.T) {
	var got exchange.Stats
	if err := json.Unmarshal(written(t, sampleReport(3, "day"), "json"), &got); err != nil || len(got.ByAgency) != 3 || len(got.ByDay) != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestStatsTerminal: a workbook is not poured over a terminal; the refusal comes before the data folder is opened.
func TestStatsTerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	for _, format := range []string{"xlsx", "pdf"} {
		var stderr bytes.Buffer
		args := []string{"stats", "--data", t.TempDir(), "--from", "2026-01-01", "--to", "2026-01-31", "--format", format}
		if code := run(t.Context(), args, strings.NewReader(""), terminal, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "--out") {
			t.Errorf("%s: exit %d, %s", format, code, stderr.String())
		}
	}
}
