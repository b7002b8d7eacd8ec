package registry

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

type totpRow struct {
	person             PersonID
	secret             string // sealed
	created, confirmed time.Time
	step               int64
	recovery           []string
}

// selectTOTP gives nil when there is none.
func selectTOTP(ctx context.Context, tx *sqldb.Tx, id PersonID) (*totpRow, error) {
	t := &totpRow{person: id}
	var created, confirmed int64
	var recovery string
	err := tx.QueryRow(ctx, `SELECT secret, created, confirmed, step, recovery FROM registry_totp WHERE person = $1`, string(id)).
		Scan(&t.secret, &created, &confirmed, &t.step, &recovery)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t.created, t.confirmed = sqldb.Time(created), sqldb.Time(confirmed)
	if recovery != "" {
		t.recovery = strings.Split(recovery, ",")
	}
	return t, nil
}

func upsertTOTP(ctx context.Context, tx *sqldb.Tx, t *totpRow) error {
	_, err := tx.Exec(ctx, `INSERT INTO registry_totp (person, secret, created, confirmed, step, recovery) VALUES ($1,$2,$3,$4,$5,$6)
		ON CONFLICT (person) DO UPDATE SET secret = excluded.secret, created = excluded.created, confirmed = excluded.confirmed, step = excluded.step, recovery = excluded.recovery`,
		string(t.person), t.secret, sqldb.Micros(t.created), sqldb.Micros(t.confirmed), t.step, strings.Join(t.recovery, ","))
	return err
}

func deleteTOTP(ctx context.Context, tx *sqldb.Tx, id PersonID) error {
	_, err := tx.Exec(ctx, `DELETE FROM registry_totp WHERE person = $1`, string(id))
	return err
}
