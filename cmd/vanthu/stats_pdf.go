package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"codeberg.org/go-fonts/liberation/liberationserifbold"
	"codeberg.org/go-fonts/liberation/liberationserifitalic"
	"codeberg.org/go-fonts/liberation/liberationserifregular"
	"codeberg.org/go-pdf/fpdf"
)

// The sheet: A4 on its side as NĐ 30/2020 Phụ lục I allows for tables, 20 mm of margin, millimetres throughout.
const (
	sheetMargin = 20.0
	sheetWidth  = 297 - 2*sheetMargin
	sheetBottom = 210 - sheetMargin
	lineHeight  = 5.0
	cellPadding = 1.5 // above and below the text of a row
)

// statsPaper draws a report.
type statsPaper struct {
	*fpdf.Fpdf
	report statsReport
}

// column is one column of the table; the text of a row comes from text, or draw fills its cell.
type column struct {
	name  string
	width float64
	align string
	text  func(n int, row statsRow) string
	draw  func(x, y, w, h float64, row statsRow)
}

// writePDF writes the report as an official table: title, period, rate, a line with a bar per row, what is missing.
func (r statsReport) writePDF(w io.Writer) error {
	p := &statsPaper{Fpdf: fpdf.New("L", "mm", "A4", ""), report: r}
	p.SetCatalogSort(true)
	p.SetTitle(statsTitle+". "+r.period(), true)
	p.SetAuthor(drawable(r.Publisher), true)
	p.SetLang("vi")
	p.SetCreationDate(r.Made)
	p.SetModificationDate(r.Made)
	p.SetMargins(sheetMargin, sheetMargin, sheetMargin)
	p.SetAutoPageBreak(false, 0)
	p.AddUTF8FontFromBytes(serif, "", liberationserifregular.TTF)
	p.AddUTF8FontFromBytes(serif, "B", liberationserifbold.TTF)
	p.AddUTF8FontFromBytes(serif, "I", liberationserifitalic.TTF)
	p.SetHeaderFunc(func() { // the number of the page, from the second on (Phụ lục I phần I.7)
		if p.PageNo() > 1 {
			p.SetFont(serif, "", 13)
			p.SetXY(sheetMargin, 10)
			p.CellFormat(sheetWidth, 6, fmt.Sprint(p.PageNo()), "", 0, "C", false, 0, "")
		}
		p.SetXY(sheetMargin, sheetMargin)
	})
	p.SetDrawColor(70, 70, 70)
	p.SetLineWidth(0.2)
	p.AddPage()
	p.head()
	p.summary()
	p.table()
	p.causes()
	p.closing()
	if err := p.Output(w); err != nil {
		return fmt.Errorf("write the PDF: %w", err)
	}
	return nil
}

// drawable leaves out what the font program cannot hold: control characters and those beyond the basic plane.
func drawable(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsControl(c):
			return ' '
		case c > 0xFFFF:
			return unicode.ReplacementChar
		}
		return c
	}, text)
}

// put writes one line in the middle of a box of width w.
func (p *statsPaper) put(x, y, w float64, style string, size float64, text string) {
	p.SetFont(serif, style, size)
	p.SetXY(x, y)
	p.CellFormat(w, 6, text, "", 0, "C", false, 0, "")
}

// paragraph writes text over as many lines as it needs, from the left margin plus x on.
func (p *statsPaper) paragraph(x, w float64, align, style string, size, leading float64, text string) {
	p.SetFont(serif, style, size)
	p.SetX(sheetMargin + x)
	p.MultiCell(w, leading, text, "", align, false)
}

// room begins a new page when there is less than h left on this one, and tells so.
func (p *statsPaper) room(h float64) bool {
	if p.GetY()+h <= sheetBottom {
		return false
	}
	p.AddPage()
	return true
}

func (p *statsPaper) head() {
	const left, right = 110.0, 120.0
	y := sheetMargin
	p.SetFont(serif, "B", 12)
	for _, line := range p.SplitText(strings.ToUpper(drawable(p.report.Publisher)), left) {
		p.put(sheetMargin, y, left, "B", 12, line)
		y += 6
	}
	p.Line(sheetMargin+left/2-14, y+1, sheetMargin+left/2+14, y+1)
	x := sheetMargin + sheetWidth - right
	p.put(x, sheetMargin, right, "B", 12, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM")
	p.put(x, sheetMargin+6, right, "B", 13, "Độc lập - Tự do - Hạnh phúc")
	rule := p.GetStringWidth("Độc lập - Tự do - Hạnh phúc")
	p.Line(x+(right-rule)/2, sheetMargin+13, x+(right+rule)/2, sheetMargin+13)
	p.put(x, sheetMargin+15, right, "I", 13, p.report.Made.In(vietnam()).Format("Ngày 02 tháng 01 năm 2006"))
	p.SetY(max(y+4, sheetMargin+23))
	p.paragraph(0, sheetWidth, "C", "B", 14, 7, "BÁO CÁO")
	p.paragraph(0, sheetWidth, "C", "B", 14, 7, statsTitle)
	p.paragraph(0, sheetWidth, "C", "I", 13, 6.5, p.report.period())
	p.Ln(3)
}

// summary sets the one figure that is asked for large, beside what it means.
func (p *statsPaper) summary() {
	const wide = 58.0
	top := p.GetY()
	p.SetFont(serif, "B", 38)
	p.SetXY(sheetMargin, top)
	p.CellFormat(wide, 16, share(p.report.Electronic, p.report.Population), "", 0, "C", false, 0, "")
	p.SetXY(sheetMargin, top+1)
	for _, sentence := range p.report.sentences() {
		p.paragraph(wide+4, sheetWidth-wide-4, "L", "", 13, 6.5, sentence)
	}
	p.SetY(max(p.GetY(), top+17) + 1)
	p.paragraph(0, sheetWidth, "J", "I", 11, 5, p.report.definition())
	p.Ln(3)
}

func (p *statsPaper) columns() []column {
	number := func(f figure) column {
		return column{name: f.name, width: 16, align: "R", text: func(_ int, row statsRow) string { return grouped(f.of(row.Counts)) }}
	}
	columns := []column{
		{name: "TT", width: 10, align: "C", text: func(n int, _ statsRow) string {
			if n == 0 {
				return ""
			}
			return grouped(n)
		}},
		{name: p.report.rowsAre(), align: "L", text: func(_ int, row statsRow) string { return drawable(row.Name) }},
	}
	for _, f := range documentFigures() {
		columns = append(columns, number(f))
	}
	columns = append(columns,
		column{name: "Tỷ lệ gửi điện tử", width: 38, draw: p.bar},
		column{name: "%", width: 17, align: "R", text: func(_ int, row statsRow) string { return share(row.Electronic, row.Population) }})
	for _, f := range deliveryFigures() {
		columns = append(columns, number(f))
	}
	rest := sheetWidth
	for _, c := range columns {
		rest -= c.width
	}
	columns[1].width = rest
	return columns
}

// bar draws the part of the row's documents that went electronically, on a ground that is all of them.
func (p *statsPaper) bar(x, y, w, h float64, row statsRow) {
	if row.Population == 0 {
		return
	}
	const thick, side = 3.4, 1.5
	y += (h - thick) / 2
	p.SetFillColor(222, 226, 232)
	p.Rect(x+side, y, w-2*side, thick, "F")
	p.SetFillColor(31, 78, 121)
	p.Rect(x+side, y, (w-2*side)*float64(row.Electronic)/float64(row.Population), thick, "F")
}

func (p *statsPaper) table() {
	columns := p.columns()
	p.tableHead(columns)
	for i, row := range p.report.Rows {
		p.tableRow(columns, i+1, row, "")
	}
	p.tableRow(columns, 0, statsRow{Name: "Tổng cộng", Counts: p.report.Counts}, "B")
	p.Ln(3)
}

func (p *statsPaper) tableHead(columns []column) {
	p.SetFont(serif, "B", 10.5)
	most := 1
	for _, c := range columns {
		most = max(most, len(p.SplitText(c.name, c.width)))
	}
	high := float64(most)*lineHeight + cellPadding
	p.room(high + 2*lineHeight) // a head stands over a row
	x, y := sheetMargin, p.GetY()
	p.SetFont(serif, "B", 10.5)
	p.SetFillColor(231, 236, 243)
	for _, c := range columns {
		p.Rect(x, y, c.width, high, "FD")
		p.lines(x, y, c.width, high, "C", p.SplitText(c.name, c.width))
		x += c.width
	}
	p.SetXY(sheetMargin, y+high)
}

// tableRow draws one row, as high as its longest text, on the next page with the head again when this one is full.
func (p *statsPaper) tableRow(columns []column, n int, row statsRow, style string) {
	p.SetFont(serif, style, 11)
	texts := make([][]string, len(columns))
	most := 1
	for i, c := range columns {
		if c.text != nil {
			texts[i] = p.SplitText(c.text(n, row), c.width)
			most = max(most, len(texts[i]))
		}
	}
	high := float64(most)*lineHeight + cellPadding
	if p.room(high) {
		p.tableHead(columns)
		p.SetFont(serif, style, 11)
	}
	x, y := sheetMargin, p.GetY()
	for i, c := range columns {
		if c.draw != nil {
			c.draw(x, y, c.width, high, row)
		}
		p.Rect(x, y, c.width, high, "D")
		p.lines(x, y, c.width, high, c.align, texts[i])
		x += c.width
	}
	p.SetXY(sheetMargin, y+high)
}

// lines writes lines in the middle of a cell.
func (p *statsPaper) lines(x, y, w, h float64, align string, lines []string) {
	y += (h - float64(len(lines))*lineHeight) / 2
	for i, line := range lines {
		p.SetXY(x, y+float64(i)*lineHeight)
		p.CellFormat(w, lineHeight, strings.TrimSpace(line), "", 0, align, false, 0, "")
	}
}

// causes tells what is missing and whose turn it is.
func (p *statsPaper) causes() {
	const name, count, unit, owner, high = 120.0, 24.0, 30.0, 40.0, 6.5
	p.room(8 + high*float64(1+min(3, len(p.report.Missing))))
	p.paragraph(0, sheetWidth, "L", "B", 13, 8, "Phần còn thiếu và nguyên nhân")
	if len(p.report.Missing) == 0 {
		p.paragraph(0, sheetWidth, "L", "", 12, 6, nothingMissing)
		return
	}
	line := func(style string, fill bool, texts ...string) {
		p.room(high)
		p.SetFont(serif, style, 11)
		p.SetX(sheetMargin)
		p.SetFillColor(231, 236, 243)
		for i, width := range []float64{name, count, unit, owner} {
			align := "L"
			if i == 1 && !fill {
				align = "R"
			} else if fill {
				align = "C"
			}
			p.CellFormat(width, high, texts[i], "1", 0, align, fill, 0, "")
		}
		p.Ln(high)
	}
	line("B", true, "Nguyên nhân", "Số lượng", "Đơn vị", "Người xử lý")
	for _, m := range p.report.Missing {
		line("", false, m.Text, grouped(m.Count), unitOf(m), ownerOf(m))
	}
}

// closing leaves room for those who answer for the figures.
func (p *statsPaper) closing() {
	const wide, high = 90.0, 30.0
	p.Ln(5)
	p.room(high)
	y := p.GetY()
	for i, who := range []string{"NGƯỜI LẬP BIỂU", "THỦ TRƯỞNG CƠ QUAN"} {
		x := sheetMargin + float64(i)*(sheetWidth-wide)
		p.put(x, y, wide, "B", 13, who)
		p.put(x, y+6, wide, "I", 11, "(Ký, ghi rõ họ tên)")
	}
}
