package exchange

import (
	"context"
	"time"

	"vanthu/storage/sqldb"
)

func selectCalendarDays(ctx context.Context, tx *sqldb.Tx) ([]CalendarDay, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (CalendarDay, error) {
		var d CalendarDay
		var working int
		err := row.Scan(&d.Day, &working, &d.Name)
		d.Working = working != 0
		return d, err
	}, `SELECT day, working, name FROM exchange_calendar_day ORDER BY day`)
}

func putCalendarDay(ctx context.Context, tx *sqldb.Tx, d CalendarDay, by string, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_calendar_day (day, working, name, set_by, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (day) DO UPDATE SET working = excluded.working, name = excluded.name, set_by = excluded.set_by, at = excluded.at`,
		d.Day, bit(d.Working), d.Name, by, sqldb.Micros(at))
	return err
}

func deleteCalendarDay(ctx context.Context, tx *sqldb.Tx, day string) (bool, error) {
	res, err := tx.Exec(ctx, `DELETE FROM exchange_calendar_day WHERE day = $1`, day)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// bit is how a truth is kept.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
