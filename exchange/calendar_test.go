package exchange

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func vn(year int, month time.Month, day, hour, minute int) time.Time {
	return time.Date(year, month, day, hour, minute, 0, 0, Vietnam())
}

// TestWorkingDays: the rule, the holidays of the labour code with their days in
// place of a weekend, and an administrator's exceptions.
func TestWorkingDays(t *testing.T) {
	c := NewCalendar([]CalendarDay{
		{Day: "2026-02-16", Name: "Tết Bính Ngọ"}, {Day: "2026-02-17", Name: "Tết Bính Ngọ"}, {Day: "2026-02-21", Working: true, Name: "Làm bù"},
	})
	for day, want := range map[string]bool{
		"2026-03-05": true, "2026-03-07": false, "2026-03-08": false, "2026-03-09": true,
		"2026-01-01": false, "2026-04-30": false, "2026-05-01": false, "2026-09-02": false, "2026-01-02": true,
		"2022-04-30": false, "2022-05-01": false, "2022-05-02": false, "2022-05-03": false, "2022-05-04": true, // Saturday, Sunday
		"2022-01-01": false, "2022-01-03": false, "2022-01-04": true, // Saturday
		"2023-04-30": false, "2023-05-01": false, "2023-05-02": false, "2023-05-03": true, // Sunday, and 1 May itself on Monday
		"2021-04-30": false, "2021-05-01": false, "2021-05-03": false, "2021-05-04": true, // Friday, Saturday
		"2026-02-16": false, "2026-02-17": false, "2026-02-18": true, "2026-02-21": true, "2026-02-22": false,
	} {
		at, err := time.ParseInLocation(time.DateOnly, day, Vietnam())
		if err != nil {
			t.Fatal(err)
		}
		for _, hour := range []int{0, 12, 23} { // the whole day, in whatever zone it is said
			if got := c.IsWorking(at.Add(time.Duration(hour) * time.Hour).UTC()); got != want {
				t.Errorf("%s %02d:00 (%s): working %v", day, hour, at.Weekday(), got)
			}
		}
	}
	if new(Calendar).IsWorking(vn(2026, 3, 8, 12, 0)) {
		t.Error("the zero calendar works on a Sunday")
	}
}

func TestDeadlines(t *testing.T) {
	c := NewCalendar([]CalendarDay{{Day: "2026-04-27", Name: "Nghỉ bù Giỗ Tổ Hùng Vương"}})
	for _, x := range []struct{ what, got, want string }{
		{"next of Thursday", c.Next(vn(2026, 3, 5, 8, 0)).String(), vn(2026, 3, 6, 0, 0).String()},
		{"next of Friday, 23:59", c.Next(vn(2026, 3, 6, 23, 59)).String(), vn(2026, 3, 9, 0, 0).String()},
		{"next over the holidays", c.Next(vn(2026, 4, 29, 8, 0)).String(), vn(2026, 5, 4, 0, 0).String()},
		{"the zone decides", c.Next(time.Date(2026, 3, 5, 17, 0, 0, 0, time.UTC)).String(), vn(2026, 3, 9, 0, 0).String()},
		{"noon of Monday", c.NoonNext(vn(2026, 4, 24, 16, 0)).String(), vn(2026, 4, 28, 12, 0).String()},
		{"end of next", c.EndOfNext(vn(2026, 3, 5, 16, 0)).String(), vn(2026, 3, 6, 23, 59).Add(time.Minute - time.Microsecond).String()},
		{"five days", c.AddDays(vn(2026, 4, 28, 8, 0), 5).String(), vn(2026, 5, 7, 0, 0).String()},
		{"none, working", c.AddDays(vn(2026, 3, 5, 8, 0), 0).String(), vn(2026, 3, 5, 0, 0).String()},
		{"none, off", c.AddDays(vn(2026, 3, 7, 8, 0), 0).String(), vn(2026, 3, 9, 0, 0).String()},
	} {
		if x.got != x.want {
			t.Errorf("%s: %s, want %s", x.what, x.got, x.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		at := vn(2020, 1, 1, 0, 0).Add(time.Duration(rapid.Int64Range(0, int64(20*365*24*time.Hour)).Draw(t, "at")))
		n := rapid.IntRange(1, 40).Draw(t, "n")
		end := c.AddDays(at, n)
		if !c.IsWorking(end) || c.DaysBetween(at, end) != n || c.DaysBetween(end, at) != 0 || !c.NoonNext(at).After(c.EndOfDay(at)) {
			t.Fatalf("%d days from %s: %s (%d)", n, at, end, c.DaysBetween(at, end))
		}
	})
}

// TestCalendarKept: exceptions are kept with evidence, refused when they make no sense.
func TestCalendarKept(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		a := w.as(admin, "H03")
		tet := []CalendarDay{{Day: "2027-02-08", Name: "Tết Đinh Mùi"}, {Day: "2027-02-05", Name: "Tết Đinh Mùi"}}
		wantKind(t, w.SetCalendarDays(ctx, w.as(clerk, "H03"), tet), KindForbidden)
		for what, days := range map[string][]CalendarDay{
			"none": nil, "no name": {{Day: "2027-02-05"}}, "no day": {{Day: "5/2/2027", Name: "x"}}, "no such day": {{Day: "2027-02-30", Name: "x"}},
			"twice": {tet[0], tet[0]}, "line": {{Day: "2027-02-05", Name: "a\nb"}}, "a month off": monthOff(),
		} {
			if err := w.SetCalendarDays(ctx, a, days); KindOf(err) != KindInvalid {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := w.SetCalendarDays(ctx, a, tet); err != nil {
			t.Fatal(err)
		}
		if err := w.SetCalendarDays(ctx, a, []CalendarDay{{Day: "2027-02-08", Name: "Làm việc", Working: true}}); err != nil {
			t.Fatal(err)
		}
		wantKind(t, w.RemoveCalendarDay(ctx, a, "2027-03-05"), KindNotFound)
		c, err := w.Calendar(ctx)
		if err != nil || c.IsWorking(vn(2027, 2, 5, 8, 0)) || !c.IsWorking(vn(2027, 2, 8, 8, 0)) {
			t.Fatalf("%+v, %v", c, err)
		}
		if err := w.RemoveCalendarDay(ctx, a, "2027-02-05"); err != nil {
			t.Fatal(err)
		}
		if list, err := w.CalendarDays(ctx); err != nil || len(list) != 1 || !list[0].Working {
			t.Fatalf("%+v, %v", list, err)
		}
	})
}

func monthOff() (days []CalendarDay) {
	for d := vn(2027, 6, 1, 0, 0); d.Month() == time.June; d = d.AddDate(0, 0, 1) {
		days = append(days, CalendarDay{Day: d.Format(time.DateOnly), Name: "nghỉ"})
	}
	return append(days, CalendarDay{Day: "2027-07-01", Name: "nghỉ"})
}
