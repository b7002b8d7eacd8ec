package exchange

import (
	"context"
	"fmt"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// insertEvent numbers an agency's events: the counter's row makes their order the
// order of commits, so that nobody who follows them can pass one by.
func insertEvent(ctx context.Context, tx *sqldb.Tx, a *Announcement, body string) (n int64, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO exchange_event_last (agency, last) VALUES ($1, 1)
		ON CONFLICT (agency) DO UPDATE SET last = exchange_event_last.last + 1 RETURNING last`, string(a.Agency)).Scan(&n)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO exchange_event (agency, seq, entry, kind, subject, at, actor, body) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		string(a.Agency), n, string(a.Entry), a.Kind, a.Subject, sqldb.Micros(a.At), a.Actor, body)
	return n, err
}

func deleteEvents(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, upTo int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM exchange_event WHERE agency = $1 AND seq <= $2`, string(agency), upTo)
	return err
}

func selectEvents(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, after int64, limit int) ([]Announcement, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Announcement, error) {
		a := Announcement{Agency: agency}
		var at int64
		var body string
		if err := row.Scan(&a.Seq, &a.Entry, &a.Kind, &a.Subject, &at, &a.Actor, &body); err != nil {
			return a, err
		}
		a.At = sqldb.Time(at)
		var err error
		if a.Params, err = paramsOf(body); err != nil {
			return a, fmt.Errorf("decoding event %d of %s: %w", a.Seq, agency, err)
		}
		return a, nil
	}, `SELECT seq, entry, kind, subject, at, actor, body FROM exchange_event WHERE agency = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
		string(agency), after, limit)
}

func lastEvent(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT COALESCE(MAX(last), 0) FROM exchange_event_last WHERE agency = $1`, string(agency)).Scan(&n)
	return n, err
}

// selectArrivalTimes gives how long the latest documents took from sending to the
// agency's receipt of arrival.
func selectArrivalTimes(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, limit int) ([]time.Duration, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (time.Duration, error) {
		var us int64
		err := row.Scan(&us)
		return time.Duration(max(us, 0)) * time.Microsecond, err
	}, `SELECT r.at - v.created FROM exchange_receipt r JOIN exchange_delivery v ON v.document = r.document AND v.recipient = r.from_agency
		WHERE r.from_agency = $1 AND r.status = '01' ORDER BY r.at DESC LIMIT $2`, string(agency), limit)
}
