package sheet

import (
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// CSV writes the head and the rows, with a byte-order mark so that spreadsheets
// read Vietnamese as UTF-8. Dates are written 2026-11-23, shares 0.9981. A text
// that a spreadsheet would run as a formula gets an apostrophe before it.
func (t *Table) CSV(w io.Writer) error {
	if _, err := io.WriteString(w, "\xEF\xBB\xBF"); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	line := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		line[i] = guarded(c.Title)
	}
	err := out.Write(line)
	for _, row := range t.Rows {
		for i := range t.Columns {
			line[i] = plain(row.cell(i))
		}
		err = errors.Join(err, out.Write(line))
	}
	out.Flush()
	return errors.Join(err, out.Error())
}

func plain(cell any) string {
	switch v := cell.(type) {
	case nil:
		return ""
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'f', 4, 64)
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.In(vietnam()).Format(time.DateOnly)
	}
	return guarded(Text.text(cell))
}

// guarded keeps a spreadsheet from running a text as a formula.
func guarded(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
