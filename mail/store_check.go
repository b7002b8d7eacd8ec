package mail

import (
	"context"
	"fmt"

	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// checkRule is a query that gives one row (what, detail) for each breach.
type checkRule struct{ problem, query string }

var checkRules = []checkRule{
	{"mailbox %s: message %s has a UID that is not below UIDNEXT",
		`SELECT m.mailbox, CAST(m.uid AS TEXT) FROM mail_message m JOIN mail_mailbox b ON b.id = m.mailbox WHERE m.uid >= b.uidnext OR m.uid < 1`},
	{"mailbox %s: UID %s is both there and expunged",
		`SELECT m.mailbox, CAST(m.uid AS TEXT) FROM mail_message m JOIN mail_expunged e ON e.mailbox = m.mailbox AND e.uid = m.uid`},
	{"mailbox %s: message %s has a MODSEQ above its mailbox's",
		`SELECT m.mailbox, CAST(m.uid AS TEXT) FROM mail_message m JOIN mail_mailbox b ON b.id = m.mailbox WHERE m.modseq > b.modseq`},
	{"mailbox %s: expunged UID %s has a MODSEQ or UID above its mailbox's",
		`SELECT e.mailbox, CAST(e.uid AS TEXT) FROM mail_expunged e JOIN mail_mailbox b ON b.id = e.mailbox
		WHERE e.modseq > b.modseq OR e.uid >= b.uidnext`},
	{"account %s: mailbox %s has a MODSEQ or UIDVALIDITY above the account's",
		`SELECT a.address, b.name FROM mail_mailbox b JOIN mail_account a ON a.id = b.account
		WHERE b.modseq > a.modseq OR b.uidvalidity > a.uidvalidity OR b.uidvalidity < 1`},
	{"mailbox %s: nothing was parsed of message %s",
		`SELECT m.mailbox, CAST(m.uid AS TEXT) FROM mail_message m LEFT JOIN mail_content c ON c.digest = m.digest WHERE c.digest IS NULL`},
	{"mailbox %s: message %s has a size that is less than its bytes",
		`SELECT m.mailbox, CAST(m.uid AS TEXT) FROM mail_message m JOIN mail_content c ON c.digest = m.digest WHERE m.size < c.size`},
	{"account %s: delivered message %s is neither there nor expunged",
		`SELECT d.account, CAST(d.uid AS TEXT) FROM mail_delivery d
		LEFT JOIN mail_message m ON m.mailbox = d.mailbox AND m.uid = d.uid
		LEFT JOIN mail_expunged e ON e.mailbox = d.mailbox AND e.uid = d.uid WHERE m.uid IS NULL AND e.uid IS NULL`},
	{"account %s has no INBOX%s",
		`SELECT a.address, '' FROM mail_account a LEFT JOIN mail_mailbox b ON b.account = a.id AND b.name = 'INBOX' WHERE b.id IS NULL`},
	{"account %s counts %s bytes too many (or, below zero, too few) as used",
		`SELECT a.address, CAST(a.used - COALESCE(SUM(m.size), 0) AS TEXT) FROM mail_account a
		JOIN mail_mailbox b ON b.account = a.id LEFT JOIN mail_message m ON m.mailbox = b.id
		GROUP BY a.id, a.address, a.used HAVING a.used <> COALESCE(SUM(m.size), 0)`},
	{"queue: submission %s names message %s, of which nothing was parsed",
		`SELECT s.id, s.digest FROM mail_submission s LEFT JOIN mail_content c ON c.digest = s.digest WHERE c.digest IS NULL`},
	{"queue: submission %s has no recipient%s",
		`SELECT s.id, '' FROM mail_submission s LEFT JOIN mail_queue q ON q.submission = s.id WHERE q.id IS NULL`},
	{"queue: row %s to %s contradicts itself",
		`SELECT q.id, q.recipient FROM mail_queue q WHERE (q.state = 'waiting' AND q.bounced <> 0)
		OR (q.state <> 'waiting' AND q.attempts = 0) OR q.attempts < 0`},
}

func runRule(ctx context.Context, tx *sqldb.Tx, rule checkRule, yield func(problem string)) error {
	rows, err := tx.Query(ctx, rule.query)
	if err != nil {
		return fmt.Errorf("rule %q: %w", rule.problem, err)
	}
	breaches, err := collect(rows, func(row scanner) (string, error) {
		var what, detail string
		err := row.Scan(&what, &detail)
		return fmt.Sprintf(rule.problem, what, detail), err
	})
	if err != nil {
		return fmt.Errorf("rule %q: %w", rule.problem, err)
	}
	for _, b := range breaches {
		yield(b)
	}
	return nil
}

// contentsAfter lists contents in the order of their digests.
func contentsAfter(ctx context.Context, tx *sqldb.Tx, after blob.Digest, limit int) ([]blob.Ref, error) {
	rows, err := tx.Query(ctx, `SELECT digest, size FROM mail_content WHERE digest > $1 ORDER BY digest LIMIT $2`, string(after), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (ref blob.Ref, err error) {
		err = row.Scan(&ref.Digest, &ref.Size)
		return ref, err
	})
}
