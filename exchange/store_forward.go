package exchange

import (
	"context"
	"time"

	"vanthu/storage/sqldb"
)

const forwardColumns = `id, incoming, agency, recipient, sender, document, target, person, at, note, status, step, updated`

func scanForward(row scanner) (Forward, error) {
	var f Forward
	var at, updated int64
	err := row.Scan(&f.ID, &f.Incoming, &f.Agency, &f.Recipient, &f.From, &f.Document, &f.target, &f.Person, &at, &f.Note, &f.Status, &f.step, &updated)
	f.At, f.Updated = sqldb.Time(at), sqldb.Time(updated)
	return f, err
}

func insertForward(ctx context.Context, tx *sqldb.Tx, f *Forward) (added bool, err error) {
	res, err := tx.Exec(ctx, `INSERT INTO exchange_forward (`+forwardColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13) ON CONFLICT DO NOTHING`,
		f.ID, string(f.Incoming), string(f.Agency), string(f.Recipient), string(f.From), string(f.Document), string(f.target), f.Person,
		sqldb.Micros(f.At), f.Note, string(f.Status), f.step, sqldb.Micros(f.Updated))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// selectForwards lists by column incoming or target, oldest first.
func selectForwards(ctx context.Context, tx *sqldb.Tx, column string, id IncomingID) ([]Forward, error) {
	return sqldb.Collect(ctx, tx, scanForward, `SELECT `+forwardColumns+` FROM exchange_forward WHERE `+column+` = $1 ORDER BY id`, string(id))
}

// followForward writes the status of an entry into the forwards that led to it.
func followForward(ctx context.Context, tx *sqldb.Tx, in *Incoming, now time.Time) ([]Forward, error) {
	return sqldb.Collect(ctx, tx, scanForward, `UPDATE exchange_forward SET status = $2, step = $3, updated = $4 WHERE target = $1 AND step < $3 RETURNING `+forwardColumns,
		string(in.ID), string(in.Status), in.version, sqldb.Micros(now))
}

func hasDirectArrival(ctx context.Context, tx *sqldb.Tx, id IncomingID) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM exchange_arrival WHERE incoming = $1 AND channel <> 'forward' AND differs = 0`, string(id)).Scan(&n)
	return n > 0, err
}

// hasReceipts tells whether the sender of an entry was ever told of it.
func hasReceipts(ctx context.Context, tx *sqldb.Tx, id IncomingID) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM exchange_receipt WHERE incoming = $1`, string(id)).Scan(&n)
	return n > 0, err
}
