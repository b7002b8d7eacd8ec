package mail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"vanthu/storage/sqldb"
)

// findDelivery looks for an earlier delivery of the same id to the account.
func findDelivery(ctx context.Context, tx *sqldb.Tx, id AccountID, delivery string, d *Delivered) (bool, error) {
	err := tx.QueryRow(ctx, `SELECT mailbox, uid FROM mail_delivery WHERE account = $1 AND delivery = $2`,
		string(id), delivery).Scan(&d.Mailbox, &d.UID)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for an earlier delivery: %w", err)
	}
	d.Duplicate = true
	return true, nil
}

func insertDelivery(ctx context.Context, tx *sqldb.Tx, delivery string, d *Delivered, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO mail_delivery (account, delivery, mailbox, uid, created) VALUES ($1, $2, $3, $4, $5)`,
		string(d.Account), delivery, string(d.Mailbox), int64(d.UID), sqldb.Micros(now))
	if err != nil {
		return fmt.Errorf("noting the delivery: %w", err)
	}
	return nil
}
