// Package sheet makes tables for paper and for spreadsheets: registers and
// reports with the heading of an official document (NĐ 30/2020 Phụ lục I), as
// PDF, XLSX and CSV from one description. It knows nothing of documents.
//
// What comes in may hold anything a sender wrote: control characters are left
// out, and no text is ever a formula in a spreadsheet.
package sheet

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Paper is a whole paper: heading, parts, places for signatures.
type Paper struct {
	Superior   string    // cơ quan chủ quản, printed above Agency; "" = none
	Agency     string    // who issues the paper
	Place      string    // địa danh before the date; "" = the date alone
	Made       time.Time // date of the paper, its day in Vietnam; zero = blanks to fill in
	Title      string    // on its own line in capitals as given
	Subtitle   []string  // lines below it: the period, the numbers from and to
	Portrait   bool      // A4 upright; else on its side, as Phụ lục I allows for tables
	Parts      []Part
	Signatures []Signature // at the end, side by side; at most three
}

// Part is one part of a paper and one sheet of a workbook. Everything in it may
// be left out; what is there comes in this order.
type Part struct {
	Name    string   // of the workbook's sheet; "" = Bảng n
	Heading string   // bold, before all else
	Text    []string // paragraphs
	Chart   *Chart
	Table   *Table
	Notes   []string // paragraphs after the table, smaller and in italics
}

// Table has a head that every page repeats.
type Table struct {
	Columns  []Column
	Numbered bool // a line (1) (2) … below the head, as in the forms of NĐ 30/2020 Phụ lục IV
	Rows     []Row
	Empty    string // said in place of rows when there are none
}

// Row is one line. Cells beyond the columns are not shown; missing ones are empty.
type Row struct {
	Cells  []any // string, int, float64 or time.Time as the column's Kind says; nil or a zero time = empty
	Bold   bool  // a total
	Struck bool  // crossed out but for the last cell, which says why (số bị hủy)
}

// Column is one column of a table.
type Column struct {
	Title string
	Width float64 // mm on paper; 0 = an equal share of what the others leave
	Align Align
	Kind  Kind
}

// Align is where a column's text stands.
type Align int

// The alignments.
const (
	Left Align = iota
	Center
	Right
)

func (a Align) letter() string { return [...]string{"L", "C", "R"}[a] }

func (a Align) word() string { return [...]string{"left", "center", "right"}[a] }

// Kind is what a column's cells hold.
type Kind int

// The kinds.
const (
	Text  Kind = iota // string; line ends are kept
	Count             // int, written 17.024
	Share             // float64 from 0 to 1, written as a percentage that is cut and not rounded: only all is 100 %
	Bar               // float64 from 0 to 1, drawn as a bar
	Date              // time.Time, its day in Vietnam
)

// Signature is a place to sign: "NGƯỜI LẬP BIỂU", "(Ký, ghi rõ họ tên)", a name.
type Signature struct {
	Title, Hint, Name string
}

// Chart shows columns side by side, one group per label.
type Chart struct {
	Title   string
	Labels  []string
	Series  []Series // each with a value per label; at most six
	Percent bool     // the values are shares from 0 to 1
}

// Series is one colour of a chart.
type Series struct {
	Name   string
	Values []float64
}

// vietnam is the zone of every official date (UTC+7, without summer time).
func vietnam() *time.Location { return time.FixedZone("+07", 7*60*60) }

// clean leaves out what fonts and XML cannot hold: control characters (line ends
// stay) and characters beyond the basic plane.
func clean(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n':
			return c
		case unicode.IsControl(c):
			return ' '
		case c > 0xFFFF, c == 0xFFFE, c == 0xFFFF:
			return unicode.ReplacementChar
		}
		return c
	}, text)
}

// text gives a cell as it is printed.
func (k Kind) text(cell any) string {
	switch v := cell.(type) {
	case nil:
		return ""
	case string:
		return clean(v)
	case int:
		if k == Count {
			return Grouped(v)
		}
		return strconv.Itoa(v)
	case float64:
		return Percent(v)
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.In(vietnam()).Format("02/01/2006")
	}
	return clean(fmt.Sprint(cell))
}

// Grouped writes a number as is usual in Vietnam: 17.024.
func Grouped(n int) string {
	digits, sign := strconv.Itoa(n), ""
	if n < 0 {
		digits, sign = digits[1:], "-"
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "." + digits[at:]
	}
	return sign + digits
}

// Percent writes a share with a decimal comma and a space that does not break, "99,9 %". It cuts and does not
// round: only 1 is 100 %.
func Percent(share float64) string {
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return "–"
	}
	const slack = 1e-9 // of binary fractions: 0.57*1000 is below 570
	tenths := int(math.Floor(share*1000 + slack))
	if share < 1 {
		tenths = min(tenths, 999)
	}
	if tenths%10 == 0 {
		return fmt.Sprintf("%d\u00a0%%", tenths/10)
	}
	return fmt.Sprintf("%d,%d\u00a0%%", tenths/10, tenths%10)
}

// dated is the line of place and date (NĐ 30/2020 Phụ lục I II.4): days below 10
// and the months 1 and 2 have a leading 0.
func (p *Paper) dated() string {
	place := clean(p.Place)
	if place != "" {
		place += ", "
	}
	day := "ngày … tháng … năm …"
	if !p.Made.IsZero() {
		at := p.Made.In(vietnam())
		month := strconv.Itoa(int(at.Month()))
		if at.Month() <= time.February {
			month = "0" + month
		}
		day = fmt.Sprintf("ngày %02d tháng %s năm %d", at.Day(), month, at.Year())
	}
	if place == "" {
		return "N" + day[1:]
	}
	return place + day
}

// widths shares the room of a page among the columns.
func (t *Table) widths(room float64) []float64 {
	widths := make([]float64, len(t.Columns))
	left, open := room, 0
	for i, c := range t.Columns {
		widths[i] = c.Width
		left -= c.Width
		if c.Width == 0 {
			open++
		}
	}
	const least = 12.0 // mm that a column without a width of its own has at least
	each := 0.0
	if open > 0 {
		each = max(left/float64(open), least)
	}
	total := 0.0
	for i := range widths {
		if widths[i] == 0 {
			widths[i] = each
		}
		total += widths[i]
	}
	if total > room { // more than the page has: all shrink alike
		for i := range widths {
			widths[i] *= room / total
		}
	}
	return widths
}

// cell gives the i-th cell, nil when the row is shorter.
func (r Row) cell(i int) any {
	if i < len(r.Cells) {
		return r.Cells[i]
	}
	return nil
}
