package exchange

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange/registry"
)

// The sums of the rate stand in pages, one per issuing agency and month. A page
// is text, a line per key in order: day of the month, type, unit, cause, marks
// and how many, parted by tabs. It is small enough to be written anew whenever
// one of its sums changes, and a year of all agencies is a few thousand pages.

// ratePageID names a page.
type ratePageID struct {
	Month  int64 // since January 1970 in Vietnam
	Agency registry.AgencyID
}

// monthNumber gives the month of a day, both since 1970.
func monthNumber(day int64) int64 {
	y, m, _ := time.Unix(day*86400, 0).UTC().Date()
	return int64(y-1970)*12 + int64(m) - 1
}

// monthStart gives the first day of a month, both since 1970.
func monthStart(month int64) int64 {
	return time.Date(1970, time.Month(month+1), 1, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// ratePages parts sums by the pages they stand in.
func ratePages(sums map[rateKey]int64) map[ratePageID]map[rateKey]int64 {
	out := map[ratePageID]map[rateKey]int64{}
	for k, n := range sums {
		id := ratePageID{Month: monthNumber(k.Day), Agency: k.Agency}
		if out[id] == nil {
			out[id] = map[rateKey]int64{}
		}
		out[id][k] += n
	}
	return out
}

// rateEscape keeps a type from ending its field; the types of the decree have
// nothing to escape.
var rateEscape = strings.NewReplacer("%", "%25", "\t", "%09", "\n", "%0A")

// encodeRatePage writes the sums of a page; those that came to nothing are left
// out, and a page without any is "".
func encodeRatePage(id ratePageID, sums map[rateKey]int64) string {
	keys := slices.SortedFunc(maps.Keys(sums), func(a, b rateKey) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Marks, b.Marks))
	})
	first := monthStart(id.Month)
	out := make([]byte, 0, 24*len(keys))
	for _, k := range keys {
		if sums[k] == 0 {
			continue
		}
		out = strconv.AppendInt(out, k.Day-first+1, 10)
		out = append(append(append(out, '\t'), rateEscape.Replace(k.Type)...), '\t')
		out = strconv.AppendInt(out, int64(k.Unit), 10)
		out = append(append(append(out, '\t'), k.Cause...), '\t')
		out = strconv.AppendInt(out, k.Marks, 10)
		out = strconv.AppendInt(append(out, '\t'), sums[k], 10)
		out = append(out, '\n')
	}
	return string(out)
}

// decodeRatePage visits the sums of a page in their order.
func decodeRatePage(id ratePageID, body string, visit func(rateKey, int64)) error {
	k := rateKey{Agency: id.Agency}
	first := monthStart(id.Month)
	for len(body) > 0 {
		var line string
		line, body, _ = strings.Cut(body, "\n")
		var field [6]string
		rest, more := line, true
		for i := range field {
			if !more {
				return fmt.Errorf("the page of %s in month %d of the rate has the line %q", id.Agency, id.Month, line)
			}
			field[i], rest, more = strings.Cut(rest, "\t")
		}
		day, err1 := strconv.ParseInt(field[0], 10, 64)
		unit, err2 := strconv.Atoi(field[2])
		marks, err3 := strconv.ParseInt(field[4], 10, 64)
		n, err4 := strconv.ParseInt(field[5], 10, 64)
		if err := cmp.Or(err1, err2, err3, err4); err != nil || more {
			return fmt.Errorf("the page of %s in month %d of the rate has the line %q", id.Agency, id.Month, line)
		}
		k.Day, k.Type, k.Unit, k.Cause, k.Marks = first+day-1, field[1], unit, field[3], marks
		if strings.IndexByte(k.Type, '%') >= 0 {
			k.Type = strings.NewReplacer("%09", "\t", "%0A", "\n", "%25", "%").Replace(k.Type)
		}
		visit(k, n)
	}
	return nil
}
