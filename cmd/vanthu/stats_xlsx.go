package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/xuri/excelize/v2"
)

// Sheets of the workbook.
const (
	sheetRate    = "Tỷ lệ"
	sheetMissing = "Còn thiếu"
)

// workbook keeps the first error, so that a sheet reads as a list of what is in it.
type workbook struct {
	file *excelize.File
	err  error
}

func (b *workbook) do(err error) {
	if b.err == nil {
		b.err = err
	}
}

// row writes values from the first column on; texts stay texts, whatever they begin with.
func (b *workbook) row(sheet string, row int, values ...any) {
	b.do(b.file.SetSheetRow(sheet, fmt.Sprintf("A%d", row), &values))
}

func (b *workbook) style(s excelize.Style) int {
	id, err := b.file.NewStyle(&s)
	b.do(err)
	return id
}

// writeXLSX writes a workbook: the rows with their total, and the causes of what is missing.
func (r statsReport) writeXLSX(w io.Writer) (err error) {
	b := &workbook{file: excelize.NewFile()}
	defer func() { err = errors.Join(err, b.file.Close()) }()
	b.do(b.file.SetSheetName("Sheet1", sheetRate))
	_, err = b.file.NewSheet(sheetMissing)
	b.do(err)
	made := r.Made.UTC().Format(time.RFC3339)
	b.do(b.file.SetDocProps(&excelize.DocProperties{
		Title: statsTitle, Subject: r.period(), Creator: r.Publisher, LastModifiedBy: r.Publisher, Language: "vi", Created: made, Modified: made,
	}))
	r.rateSheet(b)
	r.missingSheet(b)
	if b.err == nil {
		b.do(b.file.Write(w))
	}
	if b.err != nil {
		return fmt.Errorf("write the workbook: %w", b.err)
	}
	return nil
}

// thin is the border of every cell of a table.
func thin() []excelize.Border {
	var all []excelize.Border
	for _, side := range []string{"left", "right", "top", "bottom"} {
		all = append(all, excelize.Border{Type: side, Color: "808080", Style: 1})
	}
	return all
}

func headStyle() excelize.Style {
	return excelize.Style{
		Font: &excelize.Font{Bold: true}, Border: thin(), Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"E7ECF3"}},
		Alignment: &excelize.Alignment{Horizontal: "center", Vertical: "center", WrapText: true},
	}
}

func (r statsReport) rateSheet(b *workbook) {
	const head = 6
	title := b.style(excelize.Style{Font: &excelize.Font{Bold: true, Size: 14}})
	wrap := b.style(excelize.Style{Alignment: &excelize.Alignment{WrapText: true, Vertical: "top"}, Font: &excelize.Font{Italic: true}})
	b.row(sheetRate, 1, statsTitle)
	b.do(b.file.SetCellStyle(sheetRate, "A1", "A1", title))
	b.row(sheetRate, 2, r.period())
	b.row(sheetRate, 3, r.Publisher)
	b.row(sheetRate, 4, r.definition())
	b.do(b.file.MergeCell(sheetRate, "A4", "L4"))
	b.do(b.file.SetCellStyle(sheetRate, "A4", "L4", wrap))
	b.do(b.file.SetRowHeight(sheetRate, 4, 64))

	names := []any{"Mã", r.rowsAre()}
	for _, f := range documentFigures() {
		names = append(names, f.name)
	}
	names = append(names, "Tỷ lệ")
	for _, f := range deliveryFigures() {
		names = append(names, f.name)
	}
	names = append(names, "Tỷ lệ theo lượt")
	b.row(sheetRate, head, names...)
	b.do(b.file.SetRowHeight(sheetRate, head, 32))
	for i, row := range r.Rows {
		b.row(sheetRate, head+1+i, row.cells()...)
	}
	total := head + 1 + len(r.Rows)
	b.row(sheetRate, total, statsRow{"", "Tổng cộng", r.Counts}.cells()...)
	r.rateStyles(b, head, total)
}

// cells are the row's values; a rate of nothing is left empty.
func (row statsRow) cells() []any {
	values := []any{row.Code, row.Name}
	for _, f := range documentFigures() {
		values = append(values, f.of(row.Counts))
	}
	values = append(values, rateCell(row.Rate, row.Population))
	for _, f := range deliveryFigures() {
		values = append(values, f.of(row.Counts))
	}
	return append(values, rateCell(row.DeliveryRate, row.Deliveries))
}

func rateCell(rate float64, of int) any {
	if of == 0 {
		return nil
	}
	return rate
}

func (r statsReport) rateStyles(b *workbook, head, total int) {
	const number = 3   // #,##0
	const percent = 10 // 0.00%
	at := func(column string, row int) string { return fmt.Sprintf("%s%d", column, row) }
	b.do(b.file.SetCellStyle(sheetRate, at("A", head), at("L", head), b.style(headStyle())))
	for _, part := range []struct {
		from, to int
		bold     bool
	}{{head + 1, total - 1, false}, {total, total, true}} {
		if part.to < part.from {
			continue
		}
		font := &excelize.Font{Bold: part.bold}
		text := b.style(excelize.Style{Font: font, Border: thin(), Alignment: &excelize.Alignment{WrapText: true, Vertical: "center"}})
		count := b.style(excelize.Style{Font: font, Border: thin(), NumFmt: number})
		rate := b.style(excelize.Style{Font: font, Border: thin(), NumFmt: percent})
		b.do(b.file.SetCellStyle(sheetRate, at("A", part.from), at("B", part.to), text))
		b.do(b.file.SetCellStyle(sheetRate, at("C", part.from), at("L", part.to), count))
		for _, column := range []string{"E", "L"} {
			b.do(b.file.SetCellStyle(sheetRate, at(column, part.from), at(column, part.to), rate))
		}
	}
	b.do(b.file.SetConditionalFormat(sheetRate, at("E", head+1)+":"+at("E", total), []excelize.ConditionalFormatOptions{{
		Type: "data_bar", Criteria: "=", MinType: "num", MaxType: "num", MinValue: "0", MaxValue: "1", BarColor: "#9DB7D9", BarSolid: true,
	}}))
	for column, width := range map[string]float64{"A": 16, "B": 44, "C": 12, "D": 12, "E": 14, "F": 11, "G": 11, "H": 11, "I": 11, "J": 11, "K": 11, "L": 12} {
		b.do(b.file.SetColWidth(sheetRate, column, column, width))
	}
	b.do(b.file.SetPanes(sheetRate, &excelize.Panes{Freeze: true, YSplit: head, TopLeftCell: at("A", head+1), ActivePane: "bottomLeft"}))
	landscape, a4, fit, none, yes := "landscape", 9, 1, 0, true
	b.do(b.file.SetSheetProps(sheetRate, &excelize.SheetPropsOptions{FitToPage: &yes}))
	b.do(b.file.SetPageLayout(sheetRate, &excelize.PageLayoutOptions{Size: &a4, Orientation: &landscape, FitToWidth: &fit, FitToHeight: &none}))
	b.do(b.file.SetDefinedName(&excelize.DefinedName{
		Name: "_xlnm.Print_Titles", RefersTo: fmt.Sprintf("'%s'!$%d:$%d", sheetRate, head, head), Scope: sheetRate,
	}))
}

func (r statsReport) missingSheet(b *workbook) {
	b.row(sheetMissing, 1, "Nguyên nhân", "Số lượng", "Đơn vị", "Người xử lý")
	b.do(b.file.SetCellStyle(sheetMissing, "A1", "D1", b.style(headStyle())))
	for i, m := range r.Missing {
		b.row(sheetMissing, 2+i, m.Text, m.Count, unitOf(m), ownerOf(m))
	}
	if len(r.Missing) == 0 {
		b.row(sheetMissing, 2, nothingMissing)
	}
	last := fmt.Sprintf("D%d", 1+max(1, len(r.Missing)))
	b.do(b.file.SetCellStyle(sheetMissing, "A2", last, b.style(excelize.Style{Border: thin()})))
	b.do(b.file.SetColWidth(sheetMissing, "A", "A", 48))
	b.do(b.file.SetColWidth(sheetMissing, "B", "D", 16))
}
