package mail

import (
	"context"
	"fmt"

	"vanthu/storage/sqldb"
)

const mailboxQuery = `SELECT m.id, m.account, m.name, m.special_use, m.uidvalidity, m.uidnext, m.modseq, m.recent_from,
	CASE WHEN s.name IS NULL THEN 0 ELSE 1 END
	FROM mail_mailbox m LEFT JOIN mail_subscription s ON s.account = m.account AND s.name = m.name `

func scanMailbox(row scanner) (*Mailbox, error) {
	var m Mailbox
	var subscribed int64
	err := row.Scan(&m.ID, &m.Account, &m.Name, &m.Use, &m.UIDValidity, &m.UIDNext, &m.ModSeq, &m.RecentFrom, &subscribed)
	if err != nil {
		return nil, notFound(err)
	}
	m.Subscribed = subscribed != 0
	return &m, nil
}

// insertMailbox makes a mailbox. Its UIDVALIDITY is larger than that of every
// mailbox the account ever had, so that a name made anew is seen to be new
// (RFC 9051 §2.3.1.1).
func (s *Store) insertMailbox(ctx context.Context, tx *sqldb.Tx, id AccountID, name string, use SpecialUse) (*Mailbox, error) {
	now := s.now()
	m := &Mailbox{ID: MailboxID(newID()), Account: id, Name: name, Use: use, UIDNext: 1, RecentFrom: 1}
	err := tx.QueryRow(ctx, `UPDATE mail_account SET modseq = modseq + 1,
		uidvalidity = CASE WHEN uidvalidity >= $2 THEN uidvalidity + 1 ELSE $2 END
		WHERE id = $1 RETURNING uidvalidity, modseq`, string(id), now.Unix()).Scan(&m.UIDValidity, &m.ModSeq)
	if err != nil {
		return nil, fmt.Errorf("making mailbox %q: %w", name, notFound(err))
	}
	_, err = tx.Exec(ctx, `INSERT INTO mail_mailbox
		(id, account, name, special_use, uidvalidity, uidnext, modseq, recent_from, created)
		VALUES ($1, $2, $3, $4, $5, 1, $6, 1, $7)`,
		string(m.ID), string(id), name, string(use), int64(m.UIDValidity), m.ModSeq, sqldb.Micros(now))
	if err != nil {
		return nil, fmt.Errorf("making mailbox %q: %w", name, err)
	}
	return m, nil
}

func listMailboxes(ctx context.Context, tx *sqldb.Tx, id AccountID) ([]Mailbox, error) {
	rows, err := tx.Query(ctx, mailboxQuery+`WHERE m.account = $1 ORDER BY m.name`, string(id))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (Mailbox, error) {
		m, err := scanMailbox(row)
		if err != nil {
			return Mailbox{}, err
		}
		return *m, nil
	})
}

func mailboxByName(ctx context.Context, tx *sqldb.Tx, id AccountID, name string) (*Mailbox, error) {
	return scanMailbox(tx.QueryRow(ctx, mailboxQuery+`WHERE m.account = $1 AND m.name = $2`, string(id), name))
}

func mailboxByID(ctx context.Context, tx *sqldb.Tx, id MailboxID) (*Mailbox, error) {
	return scanMailbox(tx.QueryRow(ctx, mailboxQuery+`WHERE m.id = $1`, string(id)))
}

func setMailboxName(ctx context.Context, tx *sqldb.Tx, id MailboxID, name string) error {
	return one(tx.Exec(ctx, `UPDATE mail_mailbox SET name = $2 WHERE id = $1`, string(id), name))
}

// takeUIDs reserves n UIDs and moves the mailbox's MODSEQ forward.
func takeUIDs(ctx context.Context, tx *sqldb.Tx, id MailboxID, n int, modseq int64) (first UID, validity uint32, err error) {
	err = tx.QueryRow(ctx, `UPDATE mail_mailbox SET uidnext = uidnext + $2, modseq = $3 WHERE id = $1
		RETURNING uidnext - $2, uidvalidity`, string(id), n, modseq).Scan(&first, &validity)
	if err != nil {
		return 0, 0, fmt.Errorf("taking UIDs: %w", notFound(err))
	}
	return first, validity, nil
}

// takeInboxUID is takeUIDs for one message to an account's INBOX, in one statement.
func takeInboxUID(ctx context.Context, tx *sqldb.Tx, id AccountID, modseq int64) (mailbox MailboxID, uid UID, err error) {
	err = tx.QueryRow(ctx, `UPDATE mail_mailbox SET uidnext = uidnext + 1, modseq = $3 WHERE account = $1 AND name = $2
		RETURNING id, uidnext - 1`, string(id), Inbox, modseq).Scan(&mailbox, &uid)
	if err != nil {
		return "", 0, fmt.Errorf("taking a UID: %w", notFound(err))
	}
	return mailbox, uid, nil
}

func touchMailbox(ctx context.Context, tx *sqldb.Tx, id MailboxID, modseq int64) error {
	return one(tx.Exec(ctx, `UPDATE mail_mailbox SET modseq = $2 WHERE id = $1`, string(id), modseq))
}

// claimRecent notes that a session has been told of all messages below next.
func claimRecent(ctx context.Context, tx *sqldb.Tx, id MailboxID, next UID) error {
	return one(tx.Exec(ctx, `UPDATE mail_mailbox SET recent_from = $2 WHERE id = $1`, string(id), int64(next)))
}

// deleteMailboxRows removes a mailbox with all that hangs on it and says how many bytes it held.
func deleteMailboxRows(ctx context.Context, tx *sqldb.Tx, id MailboxID) (size int64, err error) {
	err = tx.QueryRow(ctx, `SELECT COALESCE(SUM(size), 0) FROM mail_message WHERE mailbox = $1`, string(id)).Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("summing the mailbox: %w", err)
	}
	for _, query := range []string{
		`DELETE FROM mail_message WHERE mailbox = $1`,
		`DELETE FROM mail_expunged WHERE mailbox = $1`,
		`DELETE FROM mail_mailbox WHERE id = $1`,
	} {
		if _, err := tx.Exec(ctx, query, string(id)); err != nil {
			return 0, fmt.Errorf("deleting the mailbox: %w", err)
		}
	}
	return size, nil
}

func subscribe(ctx context.Context, tx *sqldb.Tx, id AccountID, name string) error {
	_, err := tx.Exec(ctx, `INSERT INTO mail_subscription (account, name) VALUES ($1, $2) ON CONFLICT DO NOTHING`, string(id), name)
	return err
}

func unsubscribe(ctx context.Context, tx *sqldb.Tx, id AccountID, name string) error {
	_, err := tx.Exec(ctx, `DELETE FROM mail_subscription WHERE account = $1 AND name = $2`, string(id), name)
	return err
}

func danglingSubscriptions(ctx context.Context, tx *sqldb.Tx, id AccountID) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT s.name FROM mail_subscription s
		LEFT JOIN mail_mailbox m ON m.account = s.account AND m.name = s.name
		WHERE s.account = $1 AND m.id IS NULL ORDER BY s.name`, string(id))
	if err != nil {
		return nil, fmt.Errorf("listing subscriptions: %w", err)
	}
	return collect(rows, func(row scanner) (name string, err error) {
		err = row.Scan(&name)
		return name, err
	})
}

func countMessages(ctx context.Context, tx *sqldb.Tx, m *Mailbox) (*MailboxStatus, error) {
	var st MailboxStatus
	err := tx.QueryRow(ctx, `SELECT COUNT(*),
		COALESCE(SUM(CASE WHEN flags % 2 = 0 THEN 1 ELSE 0 END), 0),
		COALESCE(SUM((flags / 8) % 2), 0),
		COALESCE(SUM(CASE WHEN uid >= $2 THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(size), 0),
		COALESCE(SUM(size * ((flags / 8) % 2)), 0)
		FROM mail_message WHERE mailbox = $1`, string(m.ID), int64(m.RecentFrom)).
		Scan(&st.Messages, &st.Unseen, &st.Deleted, &st.Recent, &st.Size, &st.DeletedSize)
	if err != nil {
		return nil, fmt.Errorf("counting messages: %w", err)
	}
	return &st, nil
}
