package exchange

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// selectUnseen gives deliveries made before a time that nobody has signed for
// and of which there is no evidence of this kind.
func selectUnseen(ctx context.Context, tx *sqldb.Tx, kind string, before time.Time, limit int) ([]unseen, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (unseen, error) {
		var u unseen
		var created int64
		var number int
		var notation string
		err := row.Scan(&u.ID, &u.Document, &u.Recipient, &u.Attempts, &u.LastError, &created, &u.agency, &number, &notation)
		u.Created, u.code = sqldb.Time(created), FormatCode(number, notation)
		return u, err
	}, `SELECT v.id, v.document, v.recipient, v.attempts, v.last_error, v.created, v.sender, d.number, d.notation
		FROM exchange_delivery v JOIN exchange_document d ON d.id = v.document
		WHERE v.transport <> 'done' AND v.transport <> 'withdrawn' AND v.created <= $1
			AND NOT EXISTS (SELECT 1 FROM exchange_watch w WHERE w.delivery = v.id AND w.kind = $2)
		ORDER BY v.created LIMIT $3`, sqldb.Micros(before), kind, limit)
}

func insertWatch(ctx context.Context, tx *sqldb.Tx, id DeliveryID, kind string, at time.Time) (bool, error) {
	return changedAny(tx.Exec(ctx, `INSERT INTO exchange_watch (delivery, kind, at) VALUES ($1, $2, $3) ON CONFLICT (delivery, kind) DO NOTHING`,
		string(id), kind, sqldb.Micros(at)))
}

// insertArrivedLate marks a delivery that was reported late, and gives when it
// was made; zero when it was not, or is marked.
func insertArrivedLate(ctx context.Context, tx *sqldb.Tx, r *Receipt, at time.Time) (since time.Time, err error) {
	var id DeliveryID
	var created int64
	err = tx.QueryRow(ctx, `SELECT v.id, v.created FROM exchange_delivery v WHERE v.document = $1 AND v.recipient = $2
		AND EXISTS (SELECT 1 FROM exchange_watch w WHERE w.delivery = v.id)`, string(r.Document), string(r.From)).Scan(&id, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	if fresh, err := insertWatch(ctx, tx, id, watchArrived, at); err != nil || !fresh {
		return time.Time{}, err
	}
	return sqldb.Time(created), nil
}

// nextWatch gives when the next delivery may become late; zero when none waits.
func nextWatch(ctx context.Context, tx *sqldb.Tx) (time.Time, error) {
	var at time.Time
	for kind, after := range map[string]time.Duration{watchOverdue: overdueAfter, watchUndelivered: undeliveredAfter} {
		var oldest sql.NullInt64
		err := tx.QueryRow(ctx, `SELECT MIN(v.created) FROM exchange_delivery v WHERE v.transport <> 'done' AND v.transport <> 'withdrawn'
			AND NOT EXISTS (SELECT 1 FROM exchange_watch w WHERE w.delivery = v.id AND w.kind = $1)`, kind).Scan(&oldest)
		if err != nil {
			return at, err
		}
		if !oldest.Valid {
			continue
		}
		if due := sqldb.Time(oldest.Int64).Add(after); at.IsZero() || due.Before(at) {
			at = due
		}
	}
	return at, nil
}

// unissued is a document signed by the competent person and not sent yet, with
// the time of that signature.
type unissued struct {
	Document
	approved time.Time
}

// selectUnissued gives them oldest signature first.
func selectUnissued(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, limit int) ([]unissued, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (u unissued, err error) {
		var approved int64
		u.Document, err = scanDocument(plus{row, []any{&approved}})
		u.approved = sqldb.Time(approved)
		return u, err
	}, `SELECT `+documentColumns+`, (SELECT MAX(r.at) FROM exchange_revision r WHERE r.document = exchange_document.id AND r.step = 'approve') AS approved
		FROM exchange_document WHERE agency = $1 AND state IN ('approved', 'sealed') ORDER BY approved, id LIMIT $2`, string(agency), limit)
}

// selectApproved gives when the competent person signed; zero = not yet.
func selectApproved(ctx context.Context, tx *sqldb.Tx, id DocumentID) (time.Time, error) {
	var at sql.NullInt64
	err := tx.QueryRow(ctx, `SELECT MAX(at) FROM exchange_revision WHERE document = $1 AND step = 'approve'`, string(id)).Scan(&at)
	return sqldb.Time(at.Int64), err
}

// selectUnfinished gives an agency's incoming documents on which somebody has to
// act, oldest first.
func selectUnfinished(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, limit int) ([]Incoming, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Incoming, error) { return scanIncoming(row) },
		`SELECT `+incomingColumns+` FROM exchange_incoming WHERE agency = $1 AND status IN ('01', '03', '04', '05', '13', '16')
		ORDER BY CASE WHEN status IN ('04', '05') THEN CASE WHEN due > 0 THEN due ELSE 9000000000000000000 END ELSE received END, id LIMIT $2`, string(agency), limit)
}

// failedDelivery is a delivery that was given up, with its document's words.
type failedDelivery struct {
	Delivery
	code, subject string
}

func selectFailed(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, limit int) ([]failedDelivery, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (failedDelivery, error) {
		var f failedDelivery
		var created, updated int64
		var number int
		var notation string
		err := row.Scan(&f.ID, &f.Document, &f.Recipient, &f.Transport, &f.Attempts, &f.LastError, &created, &updated, &number, &notation, &f.subject)
		f.Created, f.Updated, f.code = sqldb.Time(created), sqldb.Time(updated), FormatCode(number, notation)
		return f, err
	}, `SELECT v.id, v.document, v.recipient, v.transport, v.attempts, v.last_error, v.created, v.updated, d.number, d.notation, d.subject
		FROM exchange_delivery v JOIN exchange_document d ON d.id = v.document
		WHERE v.sender = $1 AND v.transport = 'fail' ORDER BY v.created, v.id LIMIT $2`, string(agency), limit)
}
