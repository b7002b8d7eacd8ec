package exchange

import (
	"fmt"
	"slices"
	"time"
)

// level is a level of agencies as registry.Agency.Level writes it.
type level struct{ code, name, nameEN string }

// levels are the levels in the order in which reports have them.
func levels() []level {
	return []level{
		{"ministry", "Bộ, ngành", "Ministries"},
		{"province", "Ủy ban nhân dân tỉnh", "Provincial committee"},
		{"department", "Sở, ban, ngành", "Provincial offices"},
		{"district", "Cấp huyện", "Districts"},
		{"commune", "Cấp xã", "Communes"},
		{"unit", "Đơn vị trực thuộc", "Subordinate units"},
		{"", "Chưa ghi cấp", "Level not said"},
	}
}

// byLevel adds agencies up by their level, in the order of levels and then of
// codes for those not known here.
func byLevel(agencies []AgencyCounts) []LevelCounts {
	known := levels()
	at := map[string]*LevelCounts{}
	order := []string{}
	for _, a := range agencies {
		row := at[a.Level]
		if row == nil {
			row = &LevelCounts{Level: a.Level, Name: a.Level, NameEN: a.Level}
			at[a.Level] = row
			order = append(order, a.Level)
		}
		row.plus(a.Counts)
		row.Agencies++
	}
	rank := func(code string) int {
		if i := slices.IndexFunc(known, func(l level) bool { return l.code == code }); i >= 0 {
			return i
		}
		return len(known)
	}
	slices.SortFunc(order, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return compareText(a, b)
	})
	out := make([]LevelCounts, 0, len(order))
	for _, code := range order {
		row := *at[code]
		if i := rank(code); i < len(known) {
			row.Name, row.NameEN = known[i].name, known[i].nameEN
		}
		row.Counts = row.rated()
		out = append(out, row)
	}
	return out
}

// byPeriod adds days up to weeks, months or quarters.
func byPeriod(days []DayCounts, period string) []PeriodCounts {
	out := []PeriodCounts{}
	for _, d := range days {
		day, err := time.Parse(time.DateOnly, d.Day)
		if err != nil {
			continue // cannot happen: written by dayText
		}
		name, from, to := periodOf(day, period)
		if len(out) == 0 || out[len(out)-1].Period != name {
			out = append(out, PeriodCounts{Period: name, From: from.Format(time.DateOnly), To: to.Format(time.DateOnly)})
		}
		out[len(out)-1].plus(d.Counts)
	}
	for i := range out {
		out[i].Counts = out[i].rated()
	}
	return out
}

// periodOf names the week, month or quarter of a day, with its first and last
// day. Weeks begin on Monday and are numbered by ISO 8601.
func periodOf(day time.Time, period string) (name string, from, to time.Time) {
	y, m, _ := day.Date()
	switch period {
	case PeriodWeek:
		from = day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
		year, week := day.ISOWeek()
		return fmt.Sprintf("%d-W%02d", year, week), from, from.AddDate(0, 0, 6)
	case PeriodMonth:
		from = time.Date(y, m, 1, 0, 0, 0, 0, day.Location())
		return from.Format("2006-01"), from, from.AddDate(0, 1, -1)
	case PeriodQuarter:
		q := (int(m) - 1) / 3
		from = time.Date(y, time.Month(3*q+1), 1, 0, 0, 0, 0, day.Location())
		return fmt.Sprintf("%dQ%d", y, q+1), from, from.AddDate(0, 3, -1)
	}
	return day.Format(time.DateOnly), day, day
}

// Quarter gives the first day of a quarter written as 2026Q4 and the first day
// after it, in Vietnam.
func Quarter(s string) (from, to time.Time, err error) {
	var y, q int
	if n, err := fmt.Sscanf(s, "%4dQ%1d", &y, &q); err != nil || n != 2 || q < 1 || q > 4 || s != fmt.Sprintf("%04dQ%d", y, q) || checkYear(y) != nil {
		return from, to, failf(KindInvalid, "Quý %q không hợp lệ; dùng dạng 2026Q4.", "The quarter %q is not valid; write it as 2026Q4.", s)
	}
	from = time.Date(y, time.Month(3*q-2), 1, 0, 0, 0, 0, Vietnam())
	return from, from.AddDate(0, 3, 0), nil
}
