package sheet

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

const (
	mostCell = 32_000 // characters: a cell of a workbook holds 32,767
	mostName = 31     // characters of a sheet's name
)

// book keeps the first error, so that a sheet reads as a list of what is in it.
type book struct {
	file   *excelize.File
	paper  *Paper
	styles map[look]int
	err    error
}

// look is what cells of one kind look like.
type look struct {
	kind         Kind
	align        Align
	bold, struck bool
	use          use
}

type use int

const (
	inTable use = iota
	inHead
	asTitle
	asLine
	asHeading
)

func (b *book) do(err error) {
	if b.err == nil {
		b.err = err
	}
}

// XLSX writes a workbook with a sheet per part, laid out to print as the PDF
// does: A4, as wide as the page, the head repeated. Texts stay texts whatever
// they begin with; counts, shares and dates are numbers a spreadsheet can use.
func (p *Paper) XLSX(w io.Writer) (err error) {
	b := &book{file: excelize.NewFile(), paper: p, styles: map[look]int{}}
	defer func() { err = errors.Join(err, b.file.Close()) }()
	made := p.Made.UTC().Format(time.RFC3339)
	b.do(b.file.SetDocProps(&excelize.DocProperties{
		Title: clean(p.Title), Subject: clean(strings.Join(p.Subtitle, ". ")), Creator: clean(p.Agency), LastModifiedBy: clean(p.Agency),
		Language: "vi", Created: made, Modified: made,
	}))
	taken := map[string]bool{}
	for i := range p.Parts {
		name := sheetName(p.Parts[i].Name, i, taken)
		if i == 0 {
			b.do(b.file.SetSheetName("Sheet1", name))
		} else {
			_, err := b.file.NewSheet(name)
			b.do(err)
		}
		b.part(name, &p.Parts[i], i == 0)
	}
	if b.err == nil {
		b.do(b.file.Write(w))
	}
	if b.err != nil {
		return fmt.Errorf("writing the workbook: %w", b.err)
	}
	return nil
}

// sheetName makes a name that a workbook takes and that is not taken yet.
func sheetName(name string, i int, taken map[string]bool) string {
	name = strings.Trim(strings.Map(func(c rune) rune {
		if strings.ContainsRune(`:\/?*[]`, c) {
			return ' '
		}
		return c
	}, clean(name)), " '")
	if r := []rune(name); len(r) > mostName {
		name = string(r[:mostName])
	}
	if name == "" || taken[strings.ToLower(name)] {
		name = fmt.Sprintf("Bảng %d", i+1)
	}
	taken[strings.ToLower(name)] = true
	return name
}

func (b *book) style(l look) int {
	if id, ok := b.styles[l]; ok {
		return id
	}
	s := excelize.Style{Font: &excelize.Font{Family: "Times New Roman", Size: 11, Bold: l.bold, Strike: l.struck},
		Alignment: &excelize.Alignment{Horizontal: l.align.word(), Vertical: "center", WrapText: true}}
	switch l.use {
	case inTable, inHead:
		for _, side := range []string{"left", "right", "top", "bottom"} {
			s.Border = append(s.Border, excelize.Border{Type: side, Color: "808080", Style: 1})
		}
	case asTitle:
		s.Font.Size, s.Font.Bold = 14, true
	case asHeading:
		s.Font.Bold, s.Alignment.WrapText = true, false
	case asLine:
		s.Font.Italic = true
	}
	if l.use == inHead {
		s.Fill = excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"E7ECF3"}}
	}
	if l.use == inTable {
		const wholeNumber, percent, text = 3, 10, 49 // #,##0 · 0.00% · @
		switch l.kind {
		case Count:
			s.NumFmt = wholeNumber
		case Share, Bar:
			s.NumFmt = percent
		case Date:
			day := "dd/mm/yyyy"
			s.CustomNumFmt = &day
		default:
			s.NumFmt = text
		}
	}
	id, err := b.file.NewStyle(&s)
	b.do(err)
	b.styles[l] = id
	return id
}

// page writes one sheet row by row, in one pass.
type page struct {
	*book
	name    string
	out     *excelize.StreamWriter
	row     int
	columns int
}

// pageLine is a text over the whole width of a sheet.
type pageLine struct {
	look
	text string
}

// above gives the lines that stand above a part's table.
func (b *book) above(part *Part, first bool) []pageLine {
	var all []pageLine
	add := func(use use, align Align, text string) {
		if text = fit(clean(text)); text != "" {
			all = append(all, pageLine{look{use: use, align: align}, text})
		}
	}
	if first {
		add(asHeading, Left, strings.Trim(strings.ToUpper(b.paper.Superior)+"\n"+strings.ToUpper(b.paper.Agency), "\n"))
		add(asTitle, Center, b.paper.Title)
		for _, text := range b.paper.Subtitle {
			add(asLine, Center, text)
		}
		add(asLine, Right, b.paper.dated())
	}
	add(asHeading, Left, part.Heading)
	for _, text := range part.Text {
		add(asLine, Left, text)
	}
	return all
}

// part writes one sheet. How it prints is said before the first row or the last:
// what is said of a sheet later is lost.
func (b *book) part(name string, part *Part, first bool) {
	yes := true
	b.do(b.file.SetSheetProps(name, &excelize.SheetPropsOptions{FitToPage: &yes}))
	out, err := b.file.NewStreamWriter(name)
	b.do(err)
	if b.err != nil {
		return
	}
	p := &page{book: b, name: name, out: out, columns: 1}
	widths := []float64{b.width()}
	if part.Table != nil && len(part.Table.Columns) > 0 {
		p.columns = len(part.Table.Columns)
		widths = part.Table.widths(b.width())
	}
	const perMillimetre = 0.5 // width of a column in characters of its font
	for i, w := range widths {
		p.do(out.SetColWidth(i+1, i+1, w*perMillimetre))
	}
	lines := b.above(part, first)
	p.layout(part.Table, len(lines))
	for _, l := range lines {
		p.line(l.look, l.text)
	}
	if part.Table != nil {
		p.table(part.Table)
	}
	for _, text := range part.Notes {
		p.line(look{use: asLine, align: Left}, text)
	}
	if first {
		p.signatures()
	}
	p.do(out.Flush())
	if part.Chart != nil {
		b.chart(name, part.Chart)
	}
}

// width is that of the printed page between its margins, in mm.
func (b *book) width() float64 {
	if b.paper.Portrait {
		return 165
	}
	return 257
}

func cellName(column, row int) string {
	name, err := excelize.CoordinatesToCellName(column, row)
	if err != nil {
		panic("cannot happen: columns and rows are counted from 1: " + err.Error())
	}
	return name
}

// line writes a text over the whole width, as high as it needs.
func (p *page) line(l look, text string) {
	if text = fit(clean(text)); text == "" {
		return
	}
	p.row++
	l.kind = Text
	style := p.style(l)
	perLine := int(p.width() / 1.9) // characters, about
	high := 0
	for part := range strings.SplitSeq(text, "\n") {
		high += 1 + len([]rune(part))/perLine
	}
	p.do(p.out.SetRow(cellName(1, p.row), []any{excelize.Cell{StyleID: style, Value: text}}, excelize.RowOpts{Height: min(float64(high)*17, 400)}))
	if p.columns > 1 {
		p.do(p.out.MergeCell(cellName(1, p.row), cellName(p.columns, p.row)))
	}
}

// fit cuts what no cell can hold.
func fit(text string) string {
	if r := []rune(text); len(r) > mostCell {
		return string(r[:mostCell]) + " … (còn nữa, xem bản PDF)"
	}
	return text
}

// table writes head and rows.
func (p *page) table(t *Table) {
	p.row++
	style := p.style(look{use: inHead, align: Center, bold: true})
	cells := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		cells[i] = excelize.Cell{StyleID: style, Value: fit(clean(c.Title))}
	}
	p.do(p.out.SetRow(cellName(1, p.row), cells, excelize.RowOpts{Height: 34}))
	if t.Numbered {
		p.row++
		style := p.style(look{use: inTable, align: Center})
		for i := range t.Columns {
			cells[i] = excelize.Cell{StyleID: style, Value: fmt.Sprintf("(%d)", i+1)}
		}
		p.do(p.out.SetRow(cellName(1, p.row), cells))
	}
	for _, row := range t.Rows {
		p.row++
		for i, c := range t.Columns {
			l := look{kind: c.Kind, align: c.Align, bold: row.Bold, struck: row.Struck && i < len(t.Columns)-1}
			cells[i] = excelize.Cell{StyleID: p.style(l), Value: value(row.cell(i))}
		}
		p.do(p.out.SetRow(cellName(1, p.row), cells))
	}
	if len(t.Rows) == 0 && t.Empty != "" {
		p.line(look{use: asLine, align: Center}, t.Empty)
	}
}

// value gives what a workbook keeps for a cell.
func value(cell any) any {
	switch v := cell.(type) {
	case nil, int, float64:
		return cell
	case time.Time:
		if v.IsZero() {
			return nil
		}
		at := v.In(vietnam()) // a workbook has no zones: the day itself
		return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
	}
	return fit(Text.text(cell))
}

func (p *page) signatures() {
	n := len(p.paper.Signatures)
	if n == 0 {
		return
	}
	p.row++ // a line between
	var titles, hints []any
	titles, hints = make([]any, p.columns), make([]any, p.columns)
	for i, who := range p.paper.Signatures {
		at := i * p.columns / n
		if n == 1 {
			at = p.columns / 2
		}
		titles[at] = excelize.Cell{StyleID: p.style(look{use: asHeading, align: Left}), Value: clean(who.Title)}
		hints[at] = clean(who.Hint)
	}
	p.row++
	p.do(p.out.SetRow(cellName(1, p.row), titles))
	p.row++
	p.do(p.out.SetRow(cellName(1, p.row), hints))
}

// layout makes the sheet print on A4, as wide as the page, the head of its table
// on each page; so many lines stand above it.
func (p *page) layout(t *Table, above int) {
	orientation, a4, fit, none := "landscape", 9, 1, 0
	if p.paper.Portrait {
		orientation = "portrait"
	}
	p.do(p.file.SetPageLayout(p.name, &excelize.PageLayoutOptions{Size: &a4, Orientation: &orientation, FitToWidth: &fit, FitToHeight: &none}))
	p.do(p.file.SetHeaderFooter(p.name, &excelize.HeaderFooterOptions{OddFooter: "&C&P/&N"}))
	if t == nil {
		return
	}
	first, head := above+1, above+1
	if t.Numbered {
		head++
	}
	p.do(p.out.SetPanes(&excelize.Panes{Freeze: true, YSplit: head, TopLeftCell: cellName(1, head+1), ActivePane: "bottomLeft"}))
	p.do(p.file.SetDefinedName(&excelize.DefinedName{
		Name: "_xlnm.Print_Titles", RefersTo: fmt.Sprintf("'%s'!$%d:$%d", strings.ReplaceAll(p.name, "'", "''"), first, head), Scope: p.name,
	}))
	p.bars(t, head)
}

// bars shows shares as bars in their cells.
func (p *page) bars(t *Table, head int) {
	for i, c := range t.Columns {
		if c.Kind != Bar || len(t.Rows) == 0 {
			continue
		}
		p.do(p.file.SetConditionalFormat(p.name, cellName(i+1, head+1)+":"+cellName(i+1, head+len(t.Rows)), []excelize.ConditionalFormatOptions{{
			Type: "data_bar", Criteria: "=", MinType: "num", MaxType: "num", MinValue: "0", MaxValue: "1", BarColor: "#9DB7D9", BarSolid: true,
		}}))
	}
}

// chart puts a chart and its figures on a sheet of their own.
func (b *book) chart(of string, c *Chart) {
	if len(c.Labels) == 0 || len(c.Series) == 0 {
		return
	}
	name := []rune("Biểu đồ " + of)
	sheet := string(name[:min(len(name), mostName)])
	_, err := b.file.NewSheet(sheet)
	b.do(err)
	b.do(b.file.SetColWidth(sheet, "A", "A", 28))
	quoted := "'" + strings.ReplaceAll(sheet, "'", "''") + "'"
	last := len(c.Labels) + 1
	for i, label := range c.Labels {
		b.do(b.file.SetCellStr(sheet, cellName(1, i+2), fit(clean(label))))
	}
	var series []excelize.ChartSeries
	for n, s := range c.Series {
		b.do(b.file.SetCellStr(sheet, cellName(n+2, 1), fit(clean(s.Name))))
		for i, v := range s.Values[:min(len(s.Values), len(c.Labels))] {
			b.do(b.file.SetCellFloat(sheet, cellName(n+2, i+2), v, -1, 64))
		}
		column, err := excelize.ColumnNumberToName(n + 2)
		b.do(err)
		r, g, blue := colour(n)
		series = append(series, excelize.ChartSeries{
			Name: fmt.Sprintf("%s!$%s$1", quoted, column), Categories: fmt.Sprintf("%s!$A$2:$A$%d", quoted, last),
			Values: fmt.Sprintf("%s!$%s$2:$%s$%d", quoted, column, column, last),
			Fill:   excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{fmt.Sprintf("%02X%02X%02X", r, g, blue)}},
		})
	}
	axis := excelize.ChartAxis{MajorGridLines: true}
	if c.Percent {
		axis.NumFmt = excelize.ChartNumFmt{CustomNumFmt: "0%"}
		full := 1.0
		axis.Maximum = &full
	}
	b.do(b.file.AddChart(sheet, cellName(len(c.Series)+3, 2), &excelize.Chart{
		Type: excelize.Col, Series: series, Title: excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: clean(c.Title)}}},
		Dimension: excelize.ChartDimension{Width: 900, Height: 420}, Legend: excelize.ChartLegend{Position: "bottom"}, YAxis: axis,
	}))
}
