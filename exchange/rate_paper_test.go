package exchange

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"vanthu/exchange/registry"
)

// sampleStats has n agencies and days, most of them complete, and causes for what
// is missing.
func sampleStats(n int) *Stats {
	st := &Stats{Definition: RateDefinition, From: time.Date(2026, 1, 1, 0, 0, 0, 0, Vietnam()), To: time.Date(2026, 4, 1, 0, 0, 0, 0, Vietnam()),
		At: time.Date(2026, 4, 2, 8, 0, 0, 0, Vietnam())}
	for i := range n {
		missing := i % 4
		c := Counts{Population: 1200 + i, Electronic: 1200 + i - missing*i, Cancelled: i % 3, Deliveries: 2400, Arrived: 2400 - missing, Registered: 2300, Completed: 2000, Refused: missing}.rated()
		name := "Sở Nội vụ"
		if i%5 == 1 {
			name = "Ban Quản lý dự án đầu tư xây dựng các công trình giao thông và nông nghiệp tỉnh Bắc Sơn"
		}
		st.ByAgency = append(st.ByAgency, AgencyCounts{Agency: registry.AgencyID(fmt.Sprintf("H99.%02d", i)), Name: name, Counts: c})
		st.ByDay = append(st.ByDay, DayCounts{Day: st.From.AddDate(0, 0, i).Format(time.DateOnly), Counts: c})
		st.plus(c)
	}
	st.Counts = st.rated()
	for _, c := range RateCauses() {
		if c.Cause == "unsealed" || c.Cause == "waiting" || c.Cause == "refused" {
			st.Missing = append(st.Missing, Missing{RateCause: c, Count: n})
		}
	}
	return st
}

// TestRatePaper: the figures are on paper and in the workbook, with rows, total,
// causes, whose turn it is and what mends them; an empty period says so.
func TestRatePaper(t *testing.T) {
	for _, test := range []struct {
		rows  int
		by    string
		wants []string
	}{
		{0, ByType, []string{"Không có văn bản nào được phát hành trong kỳ.", "Không có văn bản hay lượt gửi nào còn thiếu.", "Loại văn bản"}},
		{2, ByAgency, []string{"BÁO CÁO", "Từ ngày 01/01/2026 đến hết ngày 31/03/2026", "99,9", "1.200", "Tổng cộng", "NGƯỜI LẬP BIỂU"}},
		{60, ByAgency, []string{"Sở Nội vụ", "Tổng cộng", "Đang chờ chuyển", "Văn thư", "Hệ thống", "Xem lý do trả lại, sửa rồi gửi lại", "60"}},
		{20, ByDay, []string{"Ngày ban hành", "15/01/2026"}},
	} {
		t.Run(fmt.Sprintf("%d by %s", test.rows, test.by), func(t *testing.T) {
			st := sampleStats(test.rows)
			if test.rows == 0 {
				st.Missing = nil
			}
			pages, book := shown(t, fmt.Sprintf("rate-%s-%d", test.by, test.rows), st.Paper(test.by, "Ủy ban nhân dân tỉnh Bắc Sơn"))
			all := strings.Join(strings.Fields(strings.Join(pages, " ")), " ")
			for _, want := range test.wants {
				if len(pages) > 0 && !strings.Contains(all, want) {
					t.Errorf("%q is not on paper", want)
				}
			}
			for i, page := range pages {
				if i > 0 && !strings.HasPrefix(strings.TrimSpace(page), strconv.Itoa(i+1)) {
					t.Errorf("page %d has no number", i+1)
				}
			}
			wantWorkbook(t, book, st, test.rows)
		})
	}
}

func wantWorkbook(t *testing.T, book *excelize.File, st *Stats, rows int) {
	t.Helper()
	lines, err := book.GetRows("Tỷ lệ", excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, line := range lines {
		if len(line) > 6 && line[1] == "Tổng cộng" {
			found = line[2] == strconv.Itoa(st.Population) && line[3] == strconv.Itoa(st.Electronic) && line[6] == strconv.Itoa(st.Deliveries)
		}
	}
	if !found || len(lines) < rows {
		t.Errorf("%d lines, total found: %v", len(lines), found)
	}
}

// TestRateCSV: a line per row and one for all, which is their sum; no text is a formula.
func TestRateCSV(t *testing.T) {
	st := sampleStats(3)
	st.ByAgency[0].Name, st.ByAgency[1].Name = "=HYPERLINK(\"http://x\")", "Sở \"A\", B"
	var out bytes.Buffer
	if err := st.Table(ByAgency).CSV(&out); err != nil {
		t.Fatal(err)
	}
	data, ok := bytes.CutPrefix(out.Bytes(), []byte("\xEF\xBB\xBF"))
	lines, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || !ok || len(lines) != 5 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	if lines[0][0] != "agency" || lines[1][1] != "'=HYPERLINK(\"http://x\")" || lines[2][1] != "Sở \"A\", B" || lines[4][1] != "Tổng" || lines[4][4] != "0.9986" {
		t.Errorf("%q", lines)
	}
	for i, name := range lines[0] {
		if i < 2 || strings.HasSuffix(name, "rate") {
			continue
		}
		sum := 0
		for _, line := range lines[1:4] {
			n, err := strconv.Atoi(line[i])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if total := lines[4][i]; total != strconv.Itoa(sum) {
			t.Errorf("%s: rows %d, total %s", name, sum, total)
		}
	}
}
