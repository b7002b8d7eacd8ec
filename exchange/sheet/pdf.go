package sheet

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"codeberg.org/go-fonts/liberation/liberationserifbold"
	"codeberg.org/go-fonts/liberation/liberationserifitalic"
	"codeberg.org/go-fonts/liberation/liberationserifregular"
	"codeberg.org/go-pdf/fpdf"
)

const (
	serif       = "serif"
	lineHeight  = 4.8 // mm, of a line in a cell
	cellPadding = 1.6 // mm, above and below the text of a row together
	cellSize    = 10.5
)

// pen draws a paper. Millimetres throughout.
type pen struct {
	*fpdf.Fpdf
	paper               *Paper
	left, top           float64
	width, bottom, room float64 // room = the most that a page holds below its top margin
}

// PDF writes the paper on A4. Vietnamese text is written with embedded subsets of
// Liberation Serif, which has the metrics of Times New Roman. Rows higher than a
// page go on over the next ones; nothing is cut off.
func (p *Paper) PDF(w io.Writer) error {
	d := p.pen()
	d.AddPage()
	d.head()
	for i := range p.Parts {
		d.part(&p.Parts[i])
	}
	d.closing()
	if err := d.Output(w); err != nil {
		return fmt.Errorf("writing the PDF: %w", err)
	}
	return nil
}

func (p *Paper) pen() *pen {
	d := &pen{paper: p, top: 20}
	orientation, high, right := "L", 210.0, 20.0
	d.left, d.width = 20, 297-20-right
	if p.Portrait {
		orientation, high, right = "P", 297, 15
		d.left, d.width = 30, 210-30-right // Phụ lục I I.2: left 30–35, right 15–20
	}
	d.bottom = high - 20
	d.room = d.bottom - d.top
	d.Fpdf = fpdf.New(orientation, "mm", "A4", "")
	d.SetCatalogSort(true)
	d.SetTitle(clean(p.Title), true)
	d.SetAuthor(clean(p.Agency), true)
	d.SetLang("vi")
	d.SetCreationDate(p.Made)
	d.SetModificationDate(p.Made)
	d.SetMargins(d.left, d.top, right)
	d.SetAutoPageBreak(false, 0)
	d.AddUTF8FontFromBytes(serif, "", liberationserifregular.TTF)
	d.AddUTF8FontFromBytes(serif, "B", liberationserifbold.TTF)
	d.AddUTF8FontFromBytes(serif, "I", liberationserifitalic.TTF)
	d.SetHeaderFunc(func() { // the number of the page, from the second on (Phụ lục I phần I.7)
		if d.PageNo() > 1 {
			d.put(d.left, 10, d.width, "", 13, fmt.Sprint(d.PageNo()))
		}
		d.SetXY(d.left, d.top)
	})
	d.SetDrawColor(70, 70, 70)
	d.SetLineWidth(0.2)
	return d
}

// put writes one line in the middle of a box of width w.
func (d *pen) put(x, y, w float64, style string, size float64, text string) {
	d.SetFont(serif, style, size)
	d.SetXY(x, y)
	d.CellFormat(w, 6, text, "", 0, "C", false, 0, "")
}

// paragraph writes text over as many lines and pages as it needs.
func (d *pen) paragraph(align, style string, size, leading float64, text string) {
	d.SetFont(serif, style, size)
	for _, line := range d.split(text, d.width) {
		if d.turn(leading) {
			d.SetFont(serif, style, size)
		}
		d.SetX(d.left)
		d.CellFormat(d.width, leading, line, "", 0, align, false, 0, "")
		d.Ln(leading)
	}
}

// split breaks text into lines that fit a width, in the font that is set: at
// spaces; a word that is too long, behind a sign that parts it, else anywhere.
func (d *pen) split(text string, width float64) []string {
	width -= 2 * d.GetCellMargin()
	space := d.GetStringWidth(" ")
	var lines []string
	for part := range strings.SplitSeq(clean(text), "\n") {
		line, long := "", 0.0
		for word := range strings.SplitSeq(strings.TrimSpace(part), " ") {
			if word == "" {
				continue
			}
			wide := d.GetStringWidth(word)
			if line != "" && long+space+wide <= width {
				line, long = line+" "+word, long+space+wide
				continue
			}
			if line != "" {
				lines = append(lines, line)
			}
			for wide > width {
				piece := d.piece(word, width)
				lines, word = append(lines, piece), word[len(piece):]
				wide = d.GetStringWidth(word)
			}
			line, long = word, wide
		}
		lines = append(lines, line)
	}
	return lines
}

// piece gives the part of a long word that goes on a line: one character at least.
func (d *pen) piece(word string, width float64) string {
	long, end, sign := 0.0, 0, 0
	for i, c := range word {
		if long += d.GetStringWidth(string(c)); long > width && i > 0 {
			break
		}
		end = i + utf8.RuneLen(c)
		if strings.ContainsRune("/-.,;:_@", c) {
			sign = end
		}
	}
	if sign > 0 && end < len(word) {
		return word[:sign]
	}
	return word[:end]
}

// turn begins a new page when there is less than h left on this one, and tells so.
func (d *pen) turn(h float64) bool {
	if d.GetY()+h <= d.bottom {
		return false
	}
	d.AddPage()
	return true
}

// head is the heading of an official document: who issues it, Quốc hiệu and Tiêu
// ngữ, place and date, title (Phụ lục I II.1–5).
func (d *pen) head() {
	left, right := d.width*0.42, d.width*0.54
	size := 12.0
	if d.paper.Portrait {
		size = 11
	}
	y := d.top
	for _, who := range []struct{ text, style string }{{d.paper.Superior, ""}, {d.paper.Agency, "B"}} {
		if who.text == "" {
			continue
		}
		d.SetFont(serif, who.style, size)
		for _, line := range d.split(strings.ToUpper(who.text), left) {
			d.put(d.left, y, left, who.style, size, line)
			y += 5.5
		}
	}
	d.Line(d.left+left/2-14, y+1, d.left+left/2+14, y+1)
	x := d.left + d.width - right
	d.put(x, d.top, right, "B", size, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM")
	d.put(x, d.top+5.5, right, "B", size+1, "Độc lập - Tự do - Hạnh phúc")
	rule := d.GetStringWidth("Độc lập - Tự do - Hạnh phúc")
	d.Line(x+(right-rule)/2, d.top+12, x+(right+rule)/2, d.top+12)
	d.put(x, d.top+14, right, "I", size+1, d.paper.dated())
	d.SetY(max(y+4, d.top+23))
	if d.paper.Title != "" {
		d.paragraph("C", "B", 14, 7, d.paper.Title)
	}
	for _, line := range d.paper.Subtitle {
		d.paragraph("C", "I", 13, 6.5, line)
	}
	d.Ln(3)
}

func (d *pen) part(p *Part) {
	if p.Heading != "" {
		d.turn(20) // a heading stands over something
		d.paragraph("L", "B", 13, 7.5, p.Heading)
	}
	for _, text := range p.Text {
		d.paragraph("L", "", 13, 6.5, text)
		d.Ln(0.8)
	}
	if p.Chart != nil {
		d.chart(p.Chart)
	}
	if p.Table != nil {
		d.table(p.Table)
	}
	for _, text := range p.Notes {
		d.paragraph("L", "I", 11, 5, text)
	}
	d.Ln(3)
}

func (d *pen) table(t *Table) {
	g := &grid{pen: d, table: t, widths: t.widths(d.width)}
	g.measureHead()
	g.head(2 * lineHeight)
	for _, row := range t.Rows {
		g.row(row)
	}
	if len(t.Rows) == 0 && t.Empty != "" {
		d.SetFont(serif, "I", cellSize)
		d.SetX(d.left)
		d.CellFormat(d.width, 2*lineHeight, clean(t.Empty), "1", 0, "C", false, 0, "")
		d.Ln(2 * lineHeight)
	}
	d.Ln(2)
}

// grid draws one table.
type grid struct {
	*pen
	table  *Table
	widths []float64
	titles [][]string
	high   float64 // of the titles
}

const numbersHigh = 5.0 // of the line (1) (2) …

func (g *grid) measureHead() {
	g.SetFont(serif, "B", cellSize)
	most := 1
	for i, c := range g.table.Columns {
		lines := g.split(c.Title, g.widths[i])
		g.titles = append(g.titles, lines)
		most = max(most, len(lines))
	}
	g.high = float64(most)*lineHeight + cellPadding
}

// head draws the head, on a new page when it and what must follow do not fit.
func (g *grid) head(follows float64) {
	whole := g.high
	if g.table.Numbered {
		whole += numbersHigh
	}
	g.turn(whole + follows)
	x, y := g.left, g.GetY()
	g.SetFont(serif, "B", cellSize)
	g.SetFillColor(231, 236, 243)
	for i := range g.table.Columns {
		g.Rect(x, y, g.widths[i], g.high, "FD")
		g.lines(x, y, g.widths[i], g.high, "C", g.titles[i])
		x += g.widths[i]
	}
	if g.table.Numbered {
		x = g.left
		g.SetFont(serif, "I", 9)
		for i := range g.table.Columns {
			g.Rect(x, y+g.high, g.widths[i], numbersHigh, "D")
			g.lines(x, y+g.high, g.widths[i], numbersHigh, "C", []string{fmt.Sprintf("(%d)", i+1)})
			x += g.widths[i]
		}
	}
	g.SetXY(g.left, y+whole)
}

// row draws one row as high as its longest text: on the next page, with the head
// again, when this one has no room; over several pages when one page is not enough.
func (g *grid) row(row Row) {
	font := func() { g.SetFont(serif, map[bool]string{true: "B"}[row.Bold], cellSize) }
	font()
	texts := make([][]string, len(g.table.Columns))
	most := 1
	for i, c := range g.table.Columns {
		if c.Kind != Bar {
			texts[i] = g.split(c.Kind.text(row.cell(i)), g.widths[i])
			most = max(most, len(texts[i]))
		}
	}
	high := float64(most)*lineHeight + cellPadding
	whole := g.room - g.high - numbersHigh
	if g.GetY()+high > g.bottom && (high <= whole || g.GetY()+4*lineHeight > g.bottom) {
		g.AddPage()
		g.head(0)
		font()
	}
	for from := 0; ; {
		fits := min(most-from, max(1, int((g.bottom-g.GetY()-cellPadding)/lineHeight)))
		g.slice(row, texts, from, fits)
		if from += fits; from >= most {
			return
		}
		g.AddPage()
		g.head(0)
		font()
	}
}

// slice draws n lines of a row from one on, with the cells around them.
func (g *grid) slice(row Row, texts [][]string, from, n int) {
	high := float64(n)*lineHeight + cellPadding
	x, y := g.left, g.GetY()
	for i, c := range g.table.Columns {
		if share, ok := row.cell(i).(float64); ok && c.Kind == Bar && from == 0 {
			g.bar(x, y, g.widths[i], high, share)
		}
		g.Rect(x, y, g.widths[i], high, "D")
		if from < len(texts[i]) {
			part := texts[i][from:min(from+n, len(texts[i]))]
			start := g.lines(x, y, g.widths[i], high, c.Align.letter(), part)
			if row.Struck && i < len(g.table.Columns)-1 {
				g.strike(x, start, g.widths[i], c.Align, part)
			}
		}
		x += g.widths[i]
	}
	g.SetXY(g.left, y+high)
}

// lines writes lines in the middle of a cell and gives where the first one stands.
func (d *pen) lines(x, y, w, h float64, align string, lines []string) float64 {
	y += (h - float64(len(lines))*lineHeight) / 2
	for i, line := range lines {
		d.SetXY(x, y+float64(i)*lineHeight)
		d.CellFormat(w, lineHeight, line, "", 0, align, false, 0, "")
	}
	return y
}

// strike crosses lines out.
func (d *pen) strike(x, y, w float64, align Align, lines []string) {
	margin := d.GetCellMargin()
	for i, line := range lines {
		long := d.GetStringWidth(line)
		if long == 0 {
			continue
		}
		from := x + margin
		switch align {
		case Center:
			from = x + (w-long)/2
		case Right:
			from = x + w - margin - long
		}
		at := y + (float64(i)+0.55)*lineHeight
		d.Line(from, at, from+long, at)
	}
}

// bar draws a share on a ground that is all.
func (d *pen) bar(x, y, w, h, share float64) {
	const thick, side = 3.4, 1.5
	y += (h - thick) / 2
	d.SetFillColor(222, 226, 232)
	d.Rect(x+side, y, w-2*side, thick, "F")
	d.SetFillColor(31, 78, 121)
	d.Rect(x+side, y, (w-2*side)*max(0, min(1, share)), thick, "F")
}

// closing leaves room for those who answer for the paper.
func (d *pen) closing() {
	n := len(d.paper.Signatures)
	if n == 0 {
		return
	}
	d.Ln(3)
	d.turn(36)
	y, wide := d.GetY(), d.width/float64(max(n, 2))
	x := d.left
	if n == 1 {
		x += wide // one alone signs on the right
	}
	for _, who := range d.paper.Signatures {
		d.put(x, y, wide, "B", 13, clean(who.Title))
		if who.Hint != "" {
			d.put(x, y+6, wide, "I", 11, clean(who.Hint))
		}
		if who.Name != "" {
			d.put(x, y+28, wide, "B", 13, clean(who.Name))
		}
		x += wide
	}
	d.SetY(y + 34)
}
