package exchange

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

var (
	// codeGrammar is number, year for legal normative documents, and symbol (NĐ 30/2020 Điều 15, Phụ lục III).
	codeGrammar = regexp.MustCompile(`^(\d{2,9})/(?:(\d{4})/)?(\p{Lu}[\p{L}\d.&]*(?:-[\p{L}\d.&]+)*)$`)
	// notationGrammar is the symbol alone: groups of letters joined by hyphens.
	notationGrammar = regexp.MustCompile(`^\p{Lu}[\p{L}\d.&]*(?:-[\p{L}\d.&]+)*$`)
)

const (
	seriesOutgoing = "outgoing" // số văn bản đi: one series for administrative documents
	seriesIncoming = "incoming" // số đến: one series for all
)

// Vietnam is the zone of every legal date and of the year of a number: UTC+7
// without summer time (QĐ 28/2018 Điều 14.4).
func Vietnam() *time.Location { return time.FixedZone("+07", 7*3600) }

// dateOf gives the day in Vietnam on which t falls, as its midnight there.
func dateOf(t time.Time) time.Time {
	y, m, d := t.In(Vietnam()).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, Vietnam())
}

// issueDate gives a stored date of issue in the zone in which it is a date: as
// UTC it would read as the day before.
func issueDate(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return sqldb.Time(micros).In(Vietnam())
}

// yearOf gives the year in Vietnam: numbers begin again at its midnight of 1 January.
func yearOf(t time.Time) int { return t.In(Vietnam()).Year() }

// FormatCode writes number and symbol, "05/QĐ-UBND": a zero before numbers
// below 10 (NĐ 30/2020 Phụ lục I phần I.II.3). It gives "" without a number.
func FormatCode(number int, notation string) string {
	if number <= 0 {
		return ""
	}
	return fmt.Sprintf("%02d/%s", number, notation)
}

// ParseCode reads number and symbol; year is 0 where the symbol carries none.
func ParseCode(s string) (number, year int, notation string, err error) {
	m := codeGrammar.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, 0, "", failf(KindInvalid, "Số và ký hiệu %q không hợp lệ.", "The number and symbol %q are not valid.", s).
			Advise("Ví dụ: 05/QĐ-UBND, 12/UBND-VX, 28/2018/QĐ-TTg.", "Examples: 05/QĐ-UBND, 12/UBND-VX, 28/2018/QĐ-TTg.")
	}
	number, _ = strconv.Atoi(m[1]) // at most nine digits, by the grammar
	if m[2] != "" {
		year, _ = strconv.Atoi(m[2])
	}
	return number, year, m[3], nil
}

// axisID makes the identifier used on the national axis: agency, date of issue,
// number and symbol (QĐ 28/2018 Điều 10.2.b).
func axisID(a registry.AgencyID, issued time.Time, code string) string {
	return fmt.Sprintf("%s,%s,%s", a, issued.In(Vietnam()).Format("2006/01/02"), code)
}

// PlaceAndDate writes the line of place and date: a zero before days below 10
// and before the months 1 and 2 only (NĐ 30/2020 Phụ lục I phần I.II.4).
func PlaceAndDate(place string, t time.Time) string {
	y, m, d := t.In(Vietnam()).Date()
	month := strconv.Itoa(int(m))
	if m < 3 {
		month = "0" + month
	}
	return fmt.Sprintf("%s, ngày %02d tháng %s năm %d", place, d, month, y)
}

// defaultNotation makes the symbol of a type at an agency: ABBR-ORG, or ORG
// alone for công văn, to which a unit may be added.
func defaultNotation(t DocType, symbol string) string {
	if t.Abbr == "" {
		return symbol
	}
	return t.Abbr + "-" + symbol
}

func checkNotation(t DocType, notation string) error {
	if !notationGrammar.MatchString(notation) {
		return failf(KindInvalid, "Ký hiệu %q không hợp lệ.", "The symbol %q is not valid.", notation).
			Advise("Ký hiệu gồm các nhóm chữ in hoa nối bằng gạch ngang, không có dấu cách, ví dụ QĐ-UBND.",
				"A symbol is groups of capital letters joined by hyphens, without spaces, such as QĐ-UBND.")
	}
	if t.Abbr != "" && notation != t.Abbr && !strings.HasPrefix(notation, t.Abbr+"-") {
		return failf(KindInvalid, "Ký hiệu %q không khớp với loại văn bản: phải bắt đầu bằng %s-.",
			"The symbol %q does not fit the type: it must begin with %s-.", notation, t.Abbr)
	}
	return nil
}
