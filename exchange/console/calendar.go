package console

import (
	"slices"
	"strings"

	"vanthu/exchange"
)

// calendarBody is the table of days off and days worked instead.
type calendarBody struct {
	Days []calendarRow
	Set  *form // nil = only an administrator changes it
}

type calendarRow struct {
	Day, Name string
	State     chip
	Remove    string // address that takes the day out, "" = may not
}

func (s *server) calendarPage(v *visit) error { return v.calendar(nil) }

func (v *visit) calendarForm() *form {
	return v.form("calendar", "/calendar", field{Name: "day", Label: v.say("calendar.day"), Kind: fieldDate, Required: true},
		field{Name: "working", Label: v.say("calendar.kind"), Kind: fieldSelect, Required: true, Value: "off",
			Options: []option{{Value: "off", Label: v.say("calendar.off")}, {Value: "on", Label: v.say("calendar.working")}}},
		field{Name: "name", Label: v.say("calendar.name"), Hint: v.say("calendar.name.hint"), Required: true, Max: 100})
}

func (v *visit) calendar(problem error) error {
	list, err := v.srv.cfg.Service.CalendarDays(v.ctx())
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b exchange.CalendarDay) int { return strings.Compare(b.Day, a.Day) })
	body := calendarBody{}
	may := v.can(exchange.ActSetCalendar)
	for _, d := range list {
		row := calendarRow{Day: dayOf(d.Day), Name: d.Name, State: chip{"wait", "dot", v.say("calendar.off")}}
		if d.Working {
			row.State = chip{"ok", "pen", v.say("calendar.working")}
		}
		if may {
			row.Remove = "/calendar/" + d.Day + "/remove"
		}
		body.Days = append(body.Days, row)
	}
	if may {
		body.Set = v.calendarForm()
	}
	return v.showWith("calendar", v.say("nav.calendar"), body, problem)
}

func (s *server) setCalendar(v *visit) error {
	f := v.calendarForm()
	err := v.fill(f)
	if err == nil {
		err = s.cfg.Service.SetCalendarDays(v.ctx(), v.actor, []exchange.CalendarDay{{Day: f.get("day"), Working: f.get("working") == "on", Name: f.get("name")}})
	}
	if err != nil {
		return v.calendar(err)
	}
	return v.see("/calendar", "calendar")
}

func (s *server) removeCalendar(v *visit) error {
	if err := s.cfg.Service.RemoveCalendarDay(v.ctx(), v.actor, v.r.PathValue("day")); err != nil {
		return v.calendar(err)
	}
	return v.see("/calendar", "calendarremoved")
}
