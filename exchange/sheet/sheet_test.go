package sheet

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"vanthu/signing/pdf"
)

// sample is a register with n rows, some of them hard: long words, formulas, a
// row that no page holds, a crossed out one.
func sample(n int) *Paper {
	t := &Table{Numbered: true, Empty: "Không có văn bản nào.", Columns: []Column{
		{Title: "Số, ký hiệu văn bản", Width: 34}, {Title: "Ngày tháng văn bản", Width: 22, Align: Center, Kind: Date},
		{Title: "Tên loại và trích yếu nội dung văn bản"}, {Title: "Số lượng bản", Width: 16, Align: Right, Kind: Count},
		{Title: "Tỷ lệ", Width: 30, Kind: Bar}, {Title: "Tỷ lệ (%)", Width: 18, Align: Right, Kind: Share}, {Title: "Ghi chú", Width: 40},
	}}
	day := time.Date(2026, 1, 4, 17, 30, 0, 0, time.UTC) // the 5th in Vietnam
	for i := range n {
		row := Row{Cells: []any{fmt.Sprintf("%02d/UBND-VXNV", i+1), day, "Công văn về việc triển khai gửi, nhận văn bản điện tử giữa các cơ quan trong tỉnh", 1200 + i, float64(i) / float64(n), float64(i) / float64(n)}}
		switch i % 40 {
		case 7:
			row.Struck = true
			row.Cells = append(row.Cells, "Hủy số: soạn sai thể thức")
		case 11:
			row.Cells[2] = "=HYPERLINK(\"http://x\")\x07" + strings.Repeat("ĐÂYLÀMỘTTỪRẤTDÀI", 12)
		case 23:
			row.Cells[2] = strings.Repeat("Ủy ban nhân dân xã Nghĩa Tá; ", 180)
		}
		t.Rows = append(t.Rows, row)
	}
	t.Rows = append(t.Rows, Row{Cells: []any{"", nil, "Tổng cộng", 17024, 0.9981, 0.9999}, Bold: true})
	return &Paper{
		Superior: "Ủy ban nhân dân tỉnh Bắc Sơn", Agency: "Văn phòng Ủy ban nhân dân tỉnh", Place: "Bắc Sơn", Made: day,
		Title: "SỔ ĐĂNG KÝ VĂN BẢN ĐI", Subtitle: []string{"Năm 2026", fmt.Sprintf("Từ số 01 đến số %d", n)},
		Parts: []Part{{Name: "Sổ đăng ký", Table: t, Notes: []string{"Số bị hủy được gạch ngang, lý do ghi ở cột cuối."}, Chart: &Chart{
			Title: "Tỷ lệ gửi điện tử theo tháng", Percent: true, Labels: []string{"Tháng 1", "Tháng 2", "Tháng 3"},
			Series: []Series{{"Văn bản", []float64{0.91, 0.97, 1}}, {"Lượt gửi", []float64{0.8, 0.95, 0.992}}},
		}}},
		Signatures: []Signature{{"NGƯỜI LẬP SỔ", "(Ký, ghi rõ họ tên)", ""}, {"THỦ TRƯỞNG CƠ QUAN", "(Ký, đóng dấu)", "Lê Văn An"}},
	}
}

func pdfOf(t *testing.T, p *Paper) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.PDF(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// text reads the words of each page with pdftotext.
func text(t *testing.T, data []byte) []string {
	t.Helper()
	tool, err := exec.LookPath("pdftotext")
	if err != nil {
		if slices.Contains(strings.Fields(os.Getenv("VANTHU_TEST_REQUIRE")), "pdftotext") {
			t.Fatal(err)
		}
		t.Skip("pdftotext is not here")
	}
	file := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tool, "-layout", file, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\f"), "\f")
}

func TestPDFRepeatsItsHeadAndCutsNothing(t *testing.T) {
	const rows = 90
	pages := text(t, pdfOf(t, sample(rows)))
	if len(pages) < 5 {
		t.Fatalf("%d rows on %d pages", rows, len(pages))
	}
	whole := strings.ReplaceAll(strings.Join(pages, ""), "\u00a0", " ")
	for i := range rows {
		if code := fmt.Sprintf("%02d/UBND-VXNV", i+1); !strings.Contains(whole, code) {
			t.Errorf("%s is missing", code)
		}
	}
	if got := strings.Count(strings.Join(strings.Fields(whole), ""), "NghĩaTá"); got != 2*180 {
		t.Errorf("the names in the high rows: %d, want 360", got)
	}
	for i, page := range pages {
		table := strings.Contains(page, "UBND-VXNV") || strings.Contains(page, "Nghĩa Tá")
		if table && (!strings.Contains(page, "Số, ký hiệu") || !strings.Contains(page, "(7)")) {
			t.Errorf("page %d has rows without a head", i+1)
		}
		if number := strings.TrimSpace(strings.SplitN(strings.TrimLeft(page, "\n"), "\n", 2)[0]); i > 0 && number != fmt.Sprint(i+1) {
			t.Errorf("page %d begins with %q", i+1, number)
		}
	}
	for _, want := range []string{"CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc", "Bắc Sơn, ngày 05 tháng 01 năm 2026",
		"SỔ ĐĂNG KÝ VĂN BẢN ĐI", "Từ số 01 đến số 90", "Hủy số: soạn sai", "17.024", "99,9 %", "THỦ TRƯỞNG CƠ QUAN", "Lê Văn An", "05/01/2026"} {
		if !strings.Contains(whole, want) {
			t.Errorf("the paper does not say %q", want)
		}
	}
}

func TestPDFIsReadByOurReader(t *testing.T) {
	for _, n := range []int{0, 1, 60} {
		for _, portrait := range []bool{false, true} {
			p := sample(n)
			p.Portrait = portrait
			data := pdfOf(t, p)
			f, err := pdf.Open(bytes.NewReader(data), int64(len(data)), pdf.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := f.Latest().Catalog(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(data, pdfOf(t, p)) {
				t.Error("the same paper gives other bytes")
			}
		}
	}
}

func TestXLSXKeepsTextsAndNumbers(t *testing.T) {
	var b bytes.Buffer
	if err := sample(50).XLSX(&b); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	const sheet = "Sổ đăng ký"
	rows, err := f.GetRows(sheet)
	if err != nil {
		t.Fatal(err)
	}
	head := slices.IndexFunc(rows, func(row []string) bool { return len(row) > 1 && row[0] == "(1)" }) + 1
	if head < 3 {
		t.Fatalf("no head in %v", rows[:8])
	}
	at := func(column string, row int) string { return fmt.Sprintf("%s%d", column, head+row) }
	if v, err := f.GetCellValue(sheet, at("B", 1)); err != nil || v != "05/01/2026" {
		t.Errorf("date %q %v", v, err)
	}
	if v, err := f.GetCellValue(sheet, at("D", 1), excelize.Options{RawCellValue: true}); err != nil || v != "1200" {
		t.Errorf("count %q %v", v, err)
	}
	formula, err := f.GetCellFormula(sheet, at("C", 12))
	if kind, err2 := f.GetCellType(sheet, at("C", 12)); err != nil || err2 != nil || formula != "" || (kind != excelize.CellTypeInlineString && kind != excelize.CellTypeSharedString) {
		t.Errorf("a text beginning with = is of type %v, formula %q, %v %v", kind, formula, err, err2)
	}
	if v, err := f.GetCellValue(sheet, at("C", 12)); err != nil || !strings.HasPrefix(v, "=HYPERLINK") {
		t.Errorf("text %q %v", v, err)
	}
	if style, err := f.GetCellStyle(sheet, at("A", 8)); err != nil {
		t.Error(err)
	} else if s, err := f.GetStyle(style); err != nil || !s.Font.Strike {
		t.Errorf("the cancelled number is not crossed out: %+v %v", s, err)
	}
	names := f.GetDefinedName()
	if len(names) != 1 || names[0].RefersTo != fmt.Sprintf("'%s'!$%d:$%d", sheet, head-1, head) {
		t.Errorf("repeated rows: %+v", names)
	}
	wantLayout(t, f, sheet, head)
	if list := f.GetSheetList(); !slices.Equal(list, []string{sheet, "Biểu đồ " + sheet}) {
		t.Errorf("sheets %q", list)
	}
}

// wantLayout: the workbook prints on A4 on its side, as wide as the page, and keeps
// its head in sight.
func wantLayout(t *testing.T, f *excelize.File, sheet string, head int) {
	t.Helper()
	layout, err := f.GetPageLayout(sheet)
	if err != nil || layout.Orientation == nil || *layout.Orientation != "landscape" || layout.Size == nil || *layout.Size != 9 || layout.FitToWidth == nil || *layout.FitToWidth != 1 {
		t.Errorf("page %+v, %v", layout, err)
	}
	if props, err := f.GetSheetProps(sheet); err != nil || props.FitToPage == nil || !*props.FitToPage {
		t.Errorf("sheet %+v, %v", props, err)
	}
	if panes, err := f.GetPanes(sheet); err != nil || !panes.Freeze || panes.YSplit != head {
		t.Errorf("panes %+v, %v", panes, err)
	}
	if foot, err := f.GetHeaderFooter(sheet); err != nil || foot == nil || foot.OddFooter == "" {
		t.Errorf("foot %+v, %v", foot, err)
	}
	if bars, err := f.GetConditionalFormats(sheet); err != nil || len(bars) != 1 {
		t.Errorf("bars %+v, %v", bars, err)
	}
}

func TestCSVGuardsFormulas(t *testing.T) {
	table := &Table{Columns: []Column{{Title: "a"}, {Title: "b", Kind: Share}, {Title: "c", Kind: Date}, {Title: "d"}},
		Rows: []Row{{Cells: []any{"=1+1", 0.5, time.Date(2026, 1, 4, 17, 0, 0, 0, time.UTC)}}, {Cells: []any{"\t-2"}}}}
	var b bytes.Buffer
	if err := table.CSV(&b); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b.Bytes(), []byte("\xEF\xBB\xBF")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"a", "b", "c", "d"}, {"'=1+1", "0.5000", "2026-01-05", ""}, {" -2", "", "", ""}}
	if fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", lines, want)
	}
}

func TestFigures(t *testing.T) {
	for share, want := range map[float64]string{1: "100\u00a0%", 0.99999: "99,9\u00a0%", 0.57: "57\u00a0%", 0: "0\u00a0%", 0.123: "12,3\u00a0%"} {
		if got := Percent(share); got != want {
			t.Errorf("Percent(%v) = %q, want %q", share, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 17024: "17.024", -1234567: "-1.234.567"} {
		if got := Grouped(n); got != want {
			t.Errorf("Grouped(%d) = %q, want %q", n, got, want)
		}
	}
	p := &Paper{Made: time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)}
	if got := p.dated(); got != "Ngày 09 tháng 3 năm 2026" {
		t.Errorf("%q", got)
	}
}

// FuzzPDF writes cells of any text in a narrow column: it must end, and without a panic.
func FuzzPDF(f *testing.F) {
	f.Add("Công văn", "=1")
	f.Add(strings.Repeat("Đ", 3000), "\n\n\r\t\x00")
	f.Add("\xff\xfe", "\U0001F600\u0301")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 20_000 || len(b) > 20_000 {
			return
		}
		p := &Paper{Agency: a, Title: b, Parts: []Part{{Name: a, Heading: b, Table: &Table{
			Columns: []Column{{Title: a, Width: 20}, {Title: b}}, Rows: []Row{{Cells: []any{a, b}}, {Cells: []any{b, a}, Struck: true}}}}}}
		if err := p.PDF(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		if err := p.XLSX(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
	})
}

// BenchmarkPDF writes a register of 5,000 rows.
func BenchmarkPDF(b *testing.B) {
	p := sample(5000)
	for b.Loop() {
		if err := p.PDF(&bytes.Buffer{}); err != nil {
			b.Fatal(err)
		}
	}
}
