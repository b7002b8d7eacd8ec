package webhook

import (
	"context"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

const subscriptionColumns = `id, agency, url, description, events, state, reason, secret, old_secret, old_until, last, failing, created, created_by, updated,
	(SELECT COUNT(*) FROM webhook_message m WHERE m.subscription = webhook_subscription.id AND m.state = 'waiting')`

func scanSubscription(row sqldb.Scanner) (Subscription, error) {
	var s Subscription
	var events string
	var oldUntil, failing, created, updated int64
	err := row.Scan(&s.ID, &s.Agency, &s.URL, &s.Description, &events, &s.State, &s.Reason, &s.secret, &s.oldSecret, &oldUntil, &s.Last, &failing,
		&created, &s.createdBy, &updated, &s.Waiting)
	s.Events = splitEvents(events)
	s.OldUntil, s.Failing, s.Created, s.Updated = sqldb.Time(oldUntil), sqldb.Time(failing), sqldb.Time(created), sqldb.Time(updated)
	return s, err
}

func splitEvents(s string) []string {
	if s == "" {
		return []string{}
	}
	return strings.Split(s, ",")
}

func insertSubscription(ctx context.Context, tx *sqldb.Tx, s *Subscription) error {
	_, err := tx.Exec(ctx, `INSERT INTO webhook_subscription (id, agency, url, description, events, state, secret, created, created_by, updated,
			reason, old_secret, old_until, last, failing, lease) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$8,'','',0,0,0,0)`,
		string(s.ID), string(s.Agency), s.URL, s.Description, strings.Join(s.Events, ","), string(s.State), s.secret, sqldb.Micros(s.Created), s.createdBy)
	return err
}

// updateSubscription writes what acts change; messages and lease have their own
// statements.
func updateSubscription(ctx context.Context, tx *sqldb.Tx, s *Subscription) error {
	_, err := tx.Exec(ctx, `UPDATE webhook_subscription SET url = $2, description = $3, events = $4, state = $5, reason = $6, secret = $7,
			old_secret = $8, old_until = $9, failing = $10, updated = $11 WHERE id = $1`,
		string(s.ID), s.URL, s.Description, strings.Join(s.Events, ","), string(s.State), s.Reason, s.secret, s.oldSecret, sqldb.Micros(s.OldUntil),
		sqldb.Micros(s.Failing), sqldb.Micros(s.Updated))
	return err
}

func selectSubscription(ctx context.Context, tx *sqldb.Tx, id ID) (*Subscription, error) {
	return first(sqldb.Collect(ctx, tx, scanSubscription, `SELECT `+subscriptionColumns+` FROM webhook_subscription WHERE id = $1`, string(id)))
}

// lockSubscription reads a subscription that the transaction is going to change.
func lockSubscription(ctx context.Context, tx *sqldb.Tx, id ID) (*Subscription, error) {
	if _, err := tx.Exec(ctx, `UPDATE webhook_subscription SET updated = updated WHERE id = $1`, string(id)); err != nil {
		return nil, err
	}
	return selectSubscription(ctx, tx, id)
}

func first[T any](list []T, err error) (*T, error) {
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func selectSubscriptions(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID) ([]Subscription, error) {
	return sqldb.Collect(ctx, tx, scanSubscription, `SELECT `+subscriptionColumns+` FROM webhook_subscription WHERE agency = $1 ORDER BY id`, string(agency))
}

// selectFilters gives what follow needs, in order of id so that all transactions
// take the rows in the same order.
func selectFilters(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID) ([]Subscription, error) {
	return sqldb.Collect(ctx, tx, func(row sqldb.Scanner) (Subscription, error) {
		var s Subscription
		var events string
		err := row.Scan(&s.ID, &events)
		s.Events = splitEvents(events)
		return s, err
	}, `SELECT id, events FROM webhook_subscription WHERE agency = $1 ORDER BY id`, string(agency))
}

func countSubscriptions(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM webhook_subscription WHERE agency = $1`, string(agency)).Scan(&n)
	return n, err
}

func deleteSubscription(ctx context.Context, tx *sqldb.Tx, id ID) error {
	for _, q := range []string{`DELETE FROM webhook_attempt WHERE subscription = $1`, `DELETE FROM webhook_message WHERE subscription = $1`,
		`DELETE FROM webhook_subscription WHERE id = $1`} {
		if _, err := tx.Exec(ctx, q, string(id)); err != nil {
			return err
		}
	}
	return nil
}

// insertMessage numbers the message: the subscription's row makes the order of
// numbers the order of commits.
func insertMessage(ctx context.Context, tx *sqldb.Tx, m *Message) (seq int64, err error) {
	err = tx.QueryRow(ctx, `UPDATE webhook_subscription SET last = last + 1 WHERE id = $1 RETURNING last`, string(m.Subscription)).Scan(&seq)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO webhook_message (subscription, seq, id, kind, subject, at, body, state, attempts, next, delivered)
		VALUES ($1,$2,$3,$4,$5,$6,$7,'waiting',0,0,0)`, string(m.Subscription), seq, m.ID, m.Kind, m.Subject, sqldb.Micros(m.At), m.body)
	return seq, err
}

func sweep(ctx context.Context, tx *sqldb.Tx, id ID, before time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM webhook_attempt WHERE subscription = $1 AND at < $2`, string(id), sqldb.Micros(before)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM webhook_message WHERE subscription = $1 AND at < $2`, string(id), sqldb.Micros(before))
	return err
}

const messageColumns = `subscription, seq, id, kind, subject, at, state, attempts, next, delivered, body`

func scanMessage(row sqldb.Scanner) (Message, error) {
	var m Message
	var at, next, delivered int64
	err := row.Scan(&m.Subscription, &m.Seq, &m.ID, &m.Kind, &m.Subject, &at, &m.State, &m.Attempts, &next, &delivered, &m.body)
	m.At, m.Next, m.Delivered = sqldb.Time(at), sqldb.Time(next), sqldb.Time(delivered)
	return m, err
}

func selectFirst(ctx context.Context, tx *sqldb.Tx, id ID) (*Message, error) {
	return first(sqldb.Collect(ctx, tx, scanMessage, `SELECT `+messageColumns+` FROM webhook_message
		WHERE subscription = $1 AND state = 'waiting' ORDER BY seq LIMIT 1`, string(id)))
}

func selectMessages(ctx context.Context, tx *sqldb.Tx, id ID, before int64, limit int) ([]Message, error) {
	return sqldb.Collect(ctx, tx, scanMessage, `SELECT `+messageColumns+` FROM webhook_message
		WHERE subscription = $1 AND ($2 = 0 OR seq < $2) ORDER BY seq DESC LIMIT $3`, string(id), before, limit)
}

// leaseLane takes the lane unless another worker has it.
func leaseLane(ctx context.Context, tx *sqldb.Tx, id ID, now, until time.Time) (bool, error) {
	result, err := tx.Exec(ctx, `UPDATE webhook_subscription SET lease = $3 WHERE id = $1 AND lease <= $2`, string(id), sqldb.Micros(now), sqldb.Micros(until))
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

func releaseLane(ctx context.Context, tx *sqldb.Tx, id ID) error {
	_, err := tx.Exec(ctx, `UPDATE webhook_subscription SET lease = 0 WHERE id = $1`, string(id))
	return err
}

func settleDelivered(ctx context.Context, tx *sqldb.Tx, id ID, seq int64, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE webhook_message SET state = 'delivered', attempts = attempts + 1, delivered = $3 WHERE subscription = $1 AND seq = $2`,
		string(id), seq, sqldb.Micros(now))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE webhook_subscription SET failing = 0, lease = 0 WHERE id = $1`, string(id))
	return err
}

// settleFailed leaves alone a message that an administrator skipped meanwhile.
func settleFailed(ctx context.Context, tx *sqldb.Tx, id ID, seq int64, next, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE webhook_message SET attempts = attempts + 1, next = $3 WHERE subscription = $1 AND seq = $2 AND state = 'waiting'`,
		string(id), seq, sqldb.Micros(next))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE webhook_subscription SET failing = CASE WHEN failing = 0 THEN $2 ELSE failing END, lease = 0 WHERE id = $1`,
		string(id), sqldb.Micros(now))
	return err
}

func disable(ctx context.Context, tx *sqldb.Tx, id ID, reason string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE webhook_subscription SET state = 'disabled', reason = $2, updated = $3 WHERE id = $1`, string(id), reason, sqldb.Micros(now))
	return err
}

// freshenWaiting lets what waits be tried at once and by the whole schedule.
func freshenWaiting(ctx context.Context, tx *sqldb.Tx, id ID) error {
	_, err := tx.Exec(ctx, `UPDATE webhook_message SET attempts = 0, next = 0 WHERE subscription = $1 AND state = 'waiting'`, string(id))
	return err
}

func replayMessages(ctx context.Context, tx *sqldb.Tx, id ID, from, to int64) (int64, error) {
	result, err := tx.Exec(ctx, `UPDATE webhook_message SET state = 'waiting', attempts = 0, next = 0, delivered = 0
		WHERE subscription = $1 AND seq >= $2 AND seq <= $3`, string(id), from, to)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func skipMessage(ctx context.Context, tx *sqldb.Tx, id ID, seq int64) (bool, error) {
	result, err := tx.Exec(ctx, `UPDATE webhook_message SET state = 'skipped' WHERE subscription = $1 AND seq = $2 AND state = 'waiting'`, string(id), seq)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

func insertAttempt(ctx context.Context, tx *sqldb.Tx, id ID, a *Attempt) error {
	_, err := tx.Exec(ctx, `INSERT INTO webhook_attempt (id, subscription, seq, at, took, status, error, answer) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		a.ID, string(id), a.Seq, sqldb.Micros(a.At), a.Took.Microseconds(), a.Status, a.Error, a.Answer)
	return err
}

func selectAttempts(ctx context.Context, tx *sqldb.Tx, id ID, before string, limit int) ([]Attempt, error) {
	return sqldb.Collect(ctx, tx, func(row sqldb.Scanner) (Attempt, error) {
		var a Attempt
		var at, took int64
		err := row.Scan(&a.ID, &a.Seq, &at, &took, &a.Status, &a.Error, &a.Answer)
		a.At, a.Took = sqldb.Time(at), time.Duration(took)*time.Microsecond
		return a, err
	}, `SELECT id, seq, at, took, status, error, answer FROM webhook_attempt WHERE subscription = $1 AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3`,
		string(id), before, limit)
}
