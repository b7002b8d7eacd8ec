package bymail

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"vanthu/storage/sqldb"
)

const letterColumns = `SELECT id, delivery, document, axis, sender, recipient, address, account, digest, code, subject, sender_name, recipient_name,
	state, note, tries, created, expires, settled FROM bymail_letter`

// insertLetter keeps the first letter of a delivery to a recipient.
func insertLetter(ctx context.Context, tx *sqldb.Tx, l *letter, link, verp string) error {
	_, err := tx.Exec(ctx, `INSERT INTO bymail_letter (id, delivery, document, axis, sender, recipient, address, account, link, verp, digest, code, subject,
		sender_name, recipient_name, state, tries, created, expires, settled, note)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, $17, $18, 0, '') ON CONFLICT (delivery, recipient) DO NOTHING`,
		l.ID, l.Delivery, l.Document, l.Axis, l.Sender, l.Recipient, l.Address, l.Account, link, verp, l.Digest, l.Code, l.Subject,
		l.SenderName, l.ToName, l.State, sqldb.Micros(l.Created), sqldb.Micros(l.Expires))
	return err
}

// letterBy finds a letter by link or verp; nil when there is none.
func letterBy(ctx context.Context, tx *sqldb.Tx, column, value string) (*letter, error) {
	where := map[string]string{"link": " WHERE link = $1", "verp": " WHERE verp = $1"}[column]
	return oneLetter(ctx, tx, where, value)
}

// letterTo finds the letter of a delivery to a recipient; nil when there is none.
func letterTo(ctx context.Context, tx *sqldb.Tx, delivery, recipient string) (*letter, error) {
	return oneLetter(ctx, tx, " WHERE delivery = $1 AND recipient = $2", delivery, recipient)
}

func oneLetter(ctx context.Context, tx *sqldb.Tx, where string, args ...any) (*letter, error) {
	var l letter
	var created, expires, settled int64
	err := tx.QueryRow(ctx, letterColumns+where, args...).Scan(&l.ID, &l.Delivery, &l.Document, &l.Axis, &l.Sender, &l.Recipient, &l.Address, &l.Account,
		&l.Digest, &l.Code, &l.Subject, &l.SenderName, &l.ToName, &l.State, &l.Note, &l.Tries, &created, &expires, &settled)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l.Created, l.Expires, l.Settled = sqldb.Time(created), sqldb.Time(expires), sqldb.Time(settled)
	return &l, nil
}

func markSent(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, `UPDATE bymail_letter SET state = $2 WHERE id = $1 AND state = $3`, id, stateSent, stateNew)
	return err
}

// settle ends a letter that waits; false when it was settled before.
func settle(ctx context.Context, tx *sqldb.Tx, id, state, note string, at time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `UPDATE bymail_letter SET state = $2, note = $3, settled = $4 WHERE id = $1 AND state IN ($5, $6)`,
		id, state, note, sqldb.Micros(at), stateNew, stateSent)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func countTry(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, `UPDATE bymail_letter SET tries = tries + 1, state = CASE WHEN tries + 1 >= $2 THEN $3 ELSE state END WHERE id = $1 AND state = $4`,
		id, maxTries, stateClosed, stateSent)
	return err
}

// reading is a mailbox that may hold reports, and how far it was read.
type reading struct {
	account string
	uid     int64
}

// readings are the accounts that sent letters lately: reports come within days.
func readings(ctx context.Context, tx *sqldb.Tx, since time.Time) ([]reading, error) {
	rows, err := tx.Query(ctx, `SELECT DISTINCT l.account, COALESCE(r.uid, 0) FROM bymail_letter l
		LEFT JOIN bymail_reader r ON r.account = l.account WHERE l.created > $1`, sqldb.Micros(since))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []reading
	for rows.Next() {
		var r reading
		if err := rows.Scan(&r.account, &r.uid); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

func keepReading(ctx context.Context, tx *sqldb.Tx, r reading) error {
	_, err := tx.Exec(ctx, `INSERT INTO bymail_reader (account, uid) VALUES ($1, $2) ON CONFLICT (account) DO UPDATE SET uid = excluded.uid`, r.account, r.uid)
	return err
}
