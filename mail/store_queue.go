package mail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"vanthu/storage/sqldb"
)

func hasSubmission(ctx context.Context, tx *sqldb.Tx, id AccountID, ident string) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT 1 FROM mail_submission WHERE account = $1 AND ident = $2`, string(id), ident).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for an earlier submission: %w", err)
	}
	return true, nil
}

func insertSubmission(ctx context.Context, tx *sqldb.Tx, sub *Submission, ident string) error {
	_, err := tx.Exec(ctx, `INSERT INTO mail_submission (id, account, ident, sender, digest, prefix, utf8, created, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, string(sub.ID), string(sub.Account), ident, string(sub.Sender),
		string(sub.Digest), sub.Trace, smallint(sub.UTF8), sqldb.Micros(sub.Created), sqldb.Micros(sub.Expires))
	if err != nil {
		return fmt.Errorf("inserting the submission: %w", err)
	}
	return nil
}

func insertQueueRow(ctx context.Context, tx *sqldb.Tx, r *QueueRow) error {
	_, err := tx.Exec(ctx, `INSERT INTO mail_queue (id, submission, recipient, state, attempts, next, code, response, bounced, updated)
		VALUES ($1, $2, $3, $4, 0, $5, '', '', 0, $6)`, r.ID, string(r.Submission), string(r.Recipient), string(r.State),
		sqldb.Micros(r.Next), sqldb.Micros(r.Updated))
	if err != nil {
		return fmt.Errorf("inserting a queue row: %w", err)
	}
	return nil
}

func loadSubmission(ctx context.Context, tx *sqldb.Tx, id SubmissionID) (*Submission, error) {
	sub := &Submission{ID: id}
	var utf8, created, expires int64
	err := tx.QueryRow(ctx, `SELECT account, sender, digest, prefix, utf8, created, expires FROM mail_submission WHERE id = $1`,
		string(id)).Scan(&sub.Account, &sub.Sender, &sub.Digest, &sub.Trace, &utf8, &created, &expires)
	if err != nil {
		return nil, notFound(err)
	}
	sub.UTF8, sub.Created, sub.Expires = utf8 != 0, sqldb.Time(created), sqldb.Time(expires)
	return sub, nil
}

const queueColumns = `id, submission, recipient, state, attempts, next, code, response, bounced, updated`

func loadQueueRows(ctx context.Context, tx *sqldb.Tx, id SubmissionID) ([]QueueRow, error) {
	rows, err := tx.Query(ctx, `SELECT `+queueColumns+` FROM mail_queue WHERE submission = $1 ORDER BY id`, string(id))
	if err != nil {
		return nil, fmt.Errorf("reading the queue: %w", err)
	}
	return scanQueueRows(rows)
}

func loadOpenRows(ctx context.Context, tx *sqldb.Tx, limit int) ([]QueueRow, error) {
	rows, err := tx.Query(ctx, `SELECT `+queueColumns+` FROM mail_queue
		WHERE state = 'waiting' OR (state = 'failed' AND bounced = 0) ORDER BY id LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("reading the queue: %w", err)
	}
	return scanQueueRows(rows)
}

func scanQueueRows(rows *sql.Rows) ([]QueueRow, error) {
	return collect(rows, func(row scanner) (QueueRow, error) {
		var r QueueRow
		var next, bounced, updated int64
		err := row.Scan(&r.ID, &r.Submission, &r.Recipient, &r.State, &r.Attempts, &next, &r.Code, &r.Response, &bounced, &updated)
		if err != nil {
			return r, fmt.Errorf("reading the queue: %w", err)
		}
		r.Next, r.Bounced, r.Updated = sqldb.Time(next), bounced != 0, sqldb.Time(updated)
		return r, nil
	})
}

func updateQueueRow(ctx context.Context, tx *sqldb.Tx, r *QueueRow) error {
	err := one(tx.Exec(ctx, `UPDATE mail_queue SET state = $2, attempts = $3, next = $4, code = $5, response = $6, bounced = $7, updated = $8
		WHERE id = $1`, r.ID, string(r.State), r.Attempts, sqldb.Micros(r.Next), r.Code, r.Response, smallint(r.Bounced),
		sqldb.Micros(r.Updated)))
	if err != nil {
		return fmt.Errorf("updating queue row %s: %w", r.ID, err)
	}
	return nil
}
