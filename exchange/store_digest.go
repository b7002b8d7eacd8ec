package exchange

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

func selectPreference(ctx context.Context, tx *sqldb.Tx, id registry.PersonID) (Preference, error) {
	var p Preference
	var digest, escalate int
	err := tx.QueryRow(ctx, `SELECT digest, before, escalate FROM exchange_preference WHERE person = $1`, string(id)).Scan(&digest, &p.Before, &escalate)
	if errors.Is(err, sql.ErrNoRows) {
		return defaultPreference(), nil
	}
	p.Digest, p.Escalate = digest != 0, escalate != 0
	return p, err
}

func upsertPreference(ctx context.Context, tx *sqldb.Tx, id registry.PersonID, p Preference) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_preference (person, digest, before, escalate) VALUES ($1,$2,$3,$4)
		ON CONFLICT (person) DO UPDATE SET digest = excluded.digest, before = excluded.before, escalate = excluded.escalate`,
		string(id), bit(p.Digest), p.Before, bit(p.Escalate))
	return err
}

// selectDue gives open work whose day is before a time, the earliest first.
func selectDue(ctx context.Context, tx *sqldb.Tx, before time.Time, limit int) ([]due, error) {
	const dueDay = `CASE WHEN i.task_due > 0 THEN i.task_due ELSE i.due END`
	return sqldb.Collect(ctx, tx, func(row scanner) (d due, err error) {
		var day int64
		d.Incoming, err = scanIncoming(row, &day)
		d.day = dateOf(sqldb.Time(day))
		return d, err
	}, `SELECT `+incomingColumns+`, `+dueDay+` FROM exchange_incoming i WHERE i.merged_into = '' AND `+workOpen+` AND `+dueDay+` > 0 AND `+dueDay+` < $1
		ORDER BY `+dueDay+`, i.id LIMIT $2`, sqldb.Micros(before), limit)
}

// insertEscalation tells whether it is the first time for this day.
func insertEscalation(ctx context.Context, tx *sqldb.Tx, id IncomingID, day, now time.Time) (bool, error) {
	return changedAny(tx.Exec(ctx, `INSERT INTO exchange_escalation (incoming, due, at) VALUES ($1,$2,$3) ON CONFLICT DO NOTHING`,
		string(id), sqldb.Micros(day), sqldb.Micros(now)))
}
