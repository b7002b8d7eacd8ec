package exchange

import (
	"context"
	"slices"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// CalendarDay is a day that is not as the rule of weekdays and fixed holidays
// says: a day of Tết or Hùng Vương (lunar, so announced every year), the second
// day of Quốc khánh, or a day swapped with another (ngày làm việc hoán đổi).
type CalendarDay struct {
	Day     string `json:"day"` // YYYY-MM-DD in Vietnam
	Working bool   `json:"working"`
	Name    string `json:"name"`
}

// Calendar tells working days (ngày làm việc) in Vietnam: Monday to Friday
// without public holidays, with an administrator's exceptions. Days are those of
// +07:00, whatever the zone of the times given. It is not changed after it was
// made and safe for concurrent use; the zero Calendar has no exceptions.
type Calendar struct {
	exceptions map[string]CalendarDay // by day
}

// NewCalendar makes a calendar with exceptions; of two for a day the later counts.
func NewCalendar(exceptions []CalendarDay) *Calendar {
	c := &Calendar{exceptions: make(map[string]CalendarDay, len(exceptions))}
	for _, d := range exceptions {
		c.exceptions[d.Day] = d
	}
	return c
}

// fixedHoliday tells whether a day is one of the holidays with a date in the
// solar calendar: 1 January, 30 April, 1 May and 2 September (Bộ luật Lao động
// 2019 Điều 112.1). The others are announced every year: see CalendarDay.
func fixedHoliday(day time.Time) bool {
	switch _, m, d := day.Date(); {
	case m == time.January && d == 1, m == time.April && d == 30, m == time.May && d == 1, m == time.September && d == 2:
		return true
	}
	return false
}

func weekend(day time.Time) bool {
	return day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
}

// instead tells whether a weekday is off in place of fixed holidays that fell on
// the weekend just before it, each giving one following working day (Điều
// 111.3). At most the four days before a Monday or Tuesday can do so.
func instead(day time.Time) bool {
	owed := 0
	for d := day.AddDate(0, 0, -4); d.Before(day); d = d.AddDate(0, 0, 1) {
		switch {
		case fixedHoliday(d) && weekend(d):
			owed++
		case !fixedHoliday(d) && !weekend(d) && owed > 0:
			owed--
		}
	}
	return owed > 0
}

// IsWorking tells whether the day in Vietnam on which t falls is worked.
func (c *Calendar) IsWorking(t time.Time) bool {
	day := dateOf(t)
	if e, ok := c.exceptions[day.Format(time.DateOnly)]; ok {
		return e.Working
	}
	return !weekend(day) && !fixedHoliday(day) && !instead(day)
}

// maxDaysOff bounds the search for a working day; no exceptions take more days
// in a row, since SetCalendarDay refuses it.
const maxDaysOff = 31

// Next gives the midnight in Vietnam at which the first working day after the
// day of t begins.
func (c *Calendar) Next(t time.Time) time.Time {
	day := dateOf(t)
	for range maxDaysOff {
		if day = day.AddDate(0, 0, 1); c.IsWorking(day) {
			break
		}
	}
	return day
}

// AddDays gives the midnight at which the n-th working day after the day of t
// begins (Bộ luật Dân sự 2015 Điều 147: the day of the event does not count);
// with n <= 0 the day of t itself, or the next working day when it is off.
// A time limit of n working days ends at EndOfDay of it.
func (c *Calendar) AddDays(t time.Time, n int) time.Time {
	day := dateOf(t)
	if n <= 0 && !c.IsWorking(day) {
		return c.Next(day)
	}
	for range n {
		day = c.Next(day)
	}
	return day
}

// DaysBetween counts the working days after the day of from, up to and with the
// day of to; 0 when to is not later. Periods over ten years count as ten.
func (c *Calendar) DaysBetween(from, to time.Time) int {
	const tooFar = 3660
	n, end := 0, dateOf(to)
	for day, i := dateOf(from).AddDate(0, 0, 1), 0; !day.After(end) && i < tooFar; day, i = day.AddDate(0, 0, 1), i+1 {
		if c.IsWorking(day) {
			n++
		}
	}
	return n
}

// EndOfDay gives the last microsecond of the day of t in Vietnam.
func (c *Calendar) EndOfDay(t time.Time) time.Time {
	return dateOf(t).AddDate(0, 0, 1).Add(-time.Microsecond)
}

// NoonNext gives the end of the morning of the next working day after the day of
// t: the latest time to send what was signed at t (QĐ 28/2018 Điều 6.2).
func (c *Calendar) NoonNext(t time.Time) time.Time { return c.Next(t).Add(12 * time.Hour) }

// EndOfNext gives the end of the next working day after the day of t: the latest
// time to register what came at t (NĐ 30/2020 Điều 4.2.c).
func (c *Calendar) EndOfNext(t time.Time) time.Time { return c.EndOfDay(c.Next(t)) }

// Calendar gives the calendar with the exceptions that are kept now.
func (s *Service) Calendar(ctx context.Context) (c *Calendar, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		c, err = s.calendar(ctx, tx)
		return err
	})
	return c, storageError("reading the calendar", err)
}

// calendar is Calendar inside a transaction.
func (s *Service) calendar(ctx context.Context, tx *sqldb.Tx) (*Calendar, error) {
	list, err := selectCalendarDays(ctx, tx)
	return NewCalendar(list), err
}

// CalendarDays lists the exceptions in order of days.
func (s *Service) CalendarDays(ctx context.Context) (list []CalendarDay, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = selectCalendarDays(ctx, tx)
		return err
	})
	return list, storageError("reading the calendar", err)
}

// SetCalendarDays writes exceptions, all or none, with their evidence.
// Administrator. A day may stand once; more than maxDaysOff days off in a row
// are refused, since every deadline would be lost in them.
func (s *Service) SetCalendarDays(ctx context.Context, by registry.Actor, days []CalendarDay) error {
	if err := allowed(by, ActSetCalendar); err != nil {
		return err
	}
	if len(days) == 0 || len(days) > 366 {
		return failf(KindInvalid, "Cần từ 1 đến 366 ngày, có %d.", "1 to 366 days are needed, there are %d.", len(days))
	}
	days = slices.Clone(days)
	for i := range days {
		if err := days[i].clean(); err != nil {
			return err
		}
	}
	slices.SortFunc(days, func(a, b CalendarDay) int { return strings.Compare(a.Day, b.Day) })
	for i := 1; i < len(days); i++ {
		if days[i].Day == days[i-1].Day {
			return failf(KindInvalid, "Ngày %s bị lặp.", "The day %s stands twice.", days[i].Day)
		}
	}
	now := s.clock()
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, d := range days {
			if err := putCalendarDay(ctx, tx, d, by.Tag(), now); err != nil {
				return err
			}
			f := s.facts(by)
			f["day"], f["name"], f["working"] = d.Day, d.Name, yesNo(d.Working)
			if err := s.evidence(ctx, tx, "calendar.set", "calendar/"+d.Day, now, by, f); err != nil {
				return err
			}
		}
		c, err := s.calendar(ctx, tx)
		if err != nil {
			return err
		}
		return c.checkRuns(days)
	})
	return storageError("writing the calendar", err)
}

// RemoveCalendarDay takes an exception back: the rule counts again. Administrator.
func (s *Service) RemoveCalendarDay(ctx context.Context, by registry.Actor, day string) error {
	if err := allowed(by, ActSetCalendar); err != nil {
		return err
	}
	now := s.clock()
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		removed, err := deleteCalendarDay(ctx, tx, day)
		if err != nil {
			return err
		}
		if !removed {
			return failf(KindNotFound, "Ngày %q không có trong bảng ngày nghỉ, ngày làm bù.", "The day %q is no exception in the calendar.", day)
		}
		f := s.facts(by)
		f["day"] = day
		return s.evidence(ctx, tx, "calendar.removed", "calendar/"+day, now, by, f)
	})
	return storageError("writing the calendar", err)
}

// clean checks a day and normalises its name.
func (d *CalendarDay) clean() (err error) {
	if t, err := time.Parse(time.DateOnly, d.Day); err != nil || checkYear(t.Year()) != nil {
		return failf(KindInvalid, "Ngày %q không hợp lệ; dùng dạng 2026-02-16.", "The day %q is not valid; write it as 2026-02-16.", d.Day)
	}
	if d.Name, err = registry.CleanLine("Tên ngày", "The day's name", d.Name, 100); err != nil {
		return err
	}
	if d.Name == "" {
		return failf(KindInvalid, "Thiếu lý do nghỉ hoặc làm bù của ngày %s.", "The reason for %s is missing.", d.Day)
	}
	return nil
}

// checkRuns refuses a calendar in which the days changed make a run of days off
// that is too long.
func (c *Calendar) checkRuns(changed []CalendarDay) error {
	for _, d := range changed {
		if d.Working {
			continue
		}
		day, err := time.ParseInLocation(time.DateOnly, d.Day, Vietnam())
		if err != nil {
			return err
		}
		run := 1
		for _, step := range []int{-1, 1} {
			for at := day.AddDate(0, 0, step); run <= maxDaysOff && !c.IsWorking(at); at = at.AddDate(0, 0, step) {
				run++
			}
		}
		if run >= maxDaysOff {
			return failf(KindInvalid, "Quanh ngày %s có quá %d ngày nghỉ liền nhau.", "Around %s there are more than %d days off in a row.", d.Day, maxDaysOff-1)
		}
	}
	return nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
