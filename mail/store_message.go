package mail

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

func loadSnapshot(ctx context.Context, tx *sqldb.Tx, m *Mailbox) (*Snapshot, error) {
	snap := &Snapshot{Mailbox: *m}
	rows, err := tx.Query(ctx, `SELECT uid, flags, keywords FROM mail_message WHERE mailbox = $1 ORDER BY uid`, string(m.ID))
	if err != nil {
		return nil, fmt.Errorf("listing messages: %w", err)
	}
	var uid UID
	var flags Flags
	var keywords sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&uid, &flags, &keywords); err != nil {
			return nil, fmt.Errorf("listing messages: %w", errAnd(err, rows))
		}
		snap.UIDs = append(snap.UIDs, uid)
		if snap.FirstUnseen == 0 && flags&FlagSeen == 0 {
			snap.FirstUnseen = uid
		}
		for w := range strings.FieldsSeq(string(keywords)) {
			if !hasKeyword(snap.Keywords, w) {
				snap.Keywords = append(snap.Keywords, w)
			}
		}
	}
	return snap, errAnd(rows.Err(), rows)
}

func expungedSince(ctx context.Context, tx *sqldb.Tx, id MailboxID, since int64) ([]UID, error) {
	rows, err := tx.Query(ctx, `SELECT uid FROM mail_expunged WHERE mailbox = $1 AND modseq > $2 ORDER BY uid`, string(id), since)
	if err != nil {
		return nil, fmt.Errorf("listing expunged messages: %w", err)
	}
	return collect(rows, func(row scanner) (uid UID, err error) {
		err = row.Scan(&uid)
		return uid, err
	})
}

func changedSince(ctx context.Context, tx *sqldb.Tx, id MailboxID, since int64) ([]FlagState, error) {
	rows, err := tx.Query(ctx, `SELECT uid, modseq, flags, keywords FROM mail_message
		WHERE mailbox = $1 AND modseq > $2 ORDER BY uid`, string(id), since)
	if err != nil {
		return nil, fmt.Errorf("listing changed messages: %w", err)
	}
	return scanFlags(rows)
}

func scanFlags(rows *sql.Rows) ([]FlagState, error) {
	return collect(rows, func(row scanner) (FlagState, error) {
		var f FlagState
		var keywords string
		err := row.Scan(&f.UID, &f.ModSeq, &f.Flags, &keywords)
		f.Keywords = strings.Fields(keywords)
		return f, err
	})
}

// loadFlags reads the flags of a set, in the order of the UIDs.
func loadFlags(ctx context.Context, tx *sqldb.Tx, id MailboxID, set UIDSet) ([]FlagState, error) {
	ranges, sift := set.plan()
	var all []FlagState
	for _, r := range ranges {
		rows, err := tx.Query(ctx, `SELECT uid, modseq, flags, keywords FROM mail_message
			WHERE mailbox = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid`, string(id), int64(r.First), int64(r.Last))
		if err != nil {
			return nil, fmt.Errorf("reading flags: %w", err)
		}
		some, err := scanFlags(rows)
		if err != nil {
			return nil, err
		}
		for _, f := range some {
			if !sift || set.Contains(f.UID) {
				all = append(all, f)
			}
		}
	}
	return all, nil
}

func updateFlags(ctx context.Context, tx *sqldb.Tx, id MailboxID, f *FlagState) error {
	return one(tx.Exec(ctx, `UPDATE mail_message SET flags = $3, keywords = $4, modseq = $5 WHERE mailbox = $1 AND uid = $2`,
		string(id), int64(f.UID), int64(f.Flags), strings.Join(f.Keywords, " "), f.ModSeq))
}

// loadDeleted lists the messages of a set that are \Deleted, and their bytes.
func loadDeleted(ctx context.Context, tx *sqldb.Tx, id MailboxID, set UIDSet) ([]UID, int64, error) {
	return sizes(ctx, tx, `SELECT uid, size FROM mail_message
		WHERE mailbox = $1 AND uid BETWEEN $2 AND $3 AND (flags / 8) % 2 = 1 ORDER BY uid`, id, set)
}

func loadSizes(ctx context.Context, tx *sqldb.Tx, id MailboxID, set UIDSet) ([]UID, int64, error) {
	return sizes(ctx, tx, `SELECT uid, size FROM mail_message WHERE mailbox = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid`, id, set)
}

func sizes(ctx context.Context, tx *sqldb.Tx, query string, id MailboxID, set UIDSet) (uids []UID, total int64, err error) {
	ranges, sift := set.plan()
	for _, r := range ranges {
		rows, err := tx.Query(ctx, query, string(id), int64(r.First), int64(r.Last))
		if err != nil {
			return nil, 0, fmt.Errorf("reading sizes: %w", err)
		}
		for rows.Next() {
			var uid UID
			var size int64
			if err := rows.Scan(&uid, &size); err != nil {
				return nil, 0, fmt.Errorf("reading sizes: %w", errAnd(err, rows))
			}
			if !sift || set.Contains(uid) {
				uids, total = append(uids, uid), total+size
			}
		}
		if err := errAnd(rows.Err(), rows); err != nil {
			return nil, 0, fmt.Errorf("reading sizes: %w", err)
		}
	}
	return uids, total, nil
}

func expungeMessage(ctx context.Context, tx *sqldb.Tx, id MailboxID, uid UID, modseq int64) error {
	if err := one(tx.Exec(ctx, `DELETE FROM mail_message WHERE mailbox = $1 AND uid = $2`, string(id), int64(uid))); err != nil {
		return fmt.Errorf("removing message %d: %w", uid, err)
	}
	_, err := tx.Exec(ctx, `INSERT INTO mail_expunged (mailbox, uid, modseq) VALUES ($1, $2, $3)`, string(id), int64(uid), modseq)
	if err != nil {
		return fmt.Errorf("removing message %d: %w", uid, err)
	}
	return nil
}

func copyMessage(ctx context.Context, tx *sqldb.Tx, from MailboxID, uid UID, to MailboxID, newUID UID, modseq int64) error {
	err := one(tx.Exec(ctx, `INSERT INTO mail_message (mailbox, uid, modseq, digest, prefix, size, received, flags, keywords)
		SELECT $3, $4, $5, digest, prefix, size, received, flags, keywords FROM mail_message WHERE mailbox = $1 AND uid = $2`,
		string(from), int64(uid), string(to), int64(newUID), modseq))
	if err != nil {
		return fmt.Errorf("copying message %d: %w", uid, err)
	}
	return nil
}

func insertMessage(ctx context.Context, tx *sqldb.Tx, m *Message) error {
	_, err := tx.Exec(ctx, `INSERT INTO mail_message (mailbox, uid, modseq, digest, prefix, size, received, flags, keywords)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, string(m.Mailbox), int64(m.UID), m.ModSeq, string(m.Digest), m.Prefix,
		m.Size, sqldb.Micros(m.Received), int64(m.Flags), strings.Join(m.Keywords, " "))
	if err != nil {
		return fmt.Errorf("inserting the message: %w", err)
	}
	return nil
}

func insertContent(ctx context.Context, tx *sqldb.Tx, c *content) error {
	_, err := tx.Exec(ctx, `INSERT INTO mail_content
		(digest, size, envelope, structure, subject, author, recipients, sent, message_id, preview, attachments)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (digest) DO NOTHING`,
		string(c.ref.Digest), c.ref.Size, c.envelope, c.structure, c.summary.Subject, c.summary.From, c.summary.To,
		sentMicros(c.summary.Sent), c.summary.MessageID, c.summary.Preview, c.summary.Attachments)
	if err != nil {
		return fmt.Errorf("inserting what was parsed: %w", err)
	}
	return nil
}

// sentMicros keeps dates that BIGINT microseconds can hold: all that parseDate lets through.
func sentMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return sqldb.Micros(t)
}

const messageColumns = `m.uid, m.modseq, m.digest, m.prefix, m.size, m.received, m.flags, m.keywords`

const summaryColumns = `, c.subject, c.author, c.recipients, c.sent, c.message_id, c.preview, c.attachments`

func loadMessages(ctx context.Context, tx *sqldb.Tx, id MailboxID, r UIDRange, limit int, summary bool) ([]Message, error) {
	query := `SELECT ` + messageColumns + ` FROM mail_message m`
	if summary {
		query = `SELECT ` + messageColumns + summaryColumns + ` FROM mail_message m JOIN mail_content c ON c.digest = m.digest`
	}
	rows, err := tx.Query(ctx, query+` WHERE m.mailbox = $1 AND m.uid BETWEEN $2 AND $3 ORDER BY m.uid LIMIT $4`,
		string(id), int64(r.First), int64(r.Last), limit)
	if err != nil {
		return nil, fmt.Errorf("reading messages: %w", err)
	}
	return scanMessages(rows, id, summary)
}

func loadNewest(ctx context.Context, tx *sqldb.Tx, id MailboxID, last UID, limit int) ([]Message, error) {
	rows, err := tx.Query(ctx, `SELECT `+messageColumns+summaryColumns+` FROM mail_message m
		JOIN mail_content c ON c.digest = m.digest
		WHERE m.mailbox = $1 AND m.uid <= $2 ORDER BY m.uid DESC LIMIT $3`, string(id), int64(last), limit)
	if err != nil {
		return nil, fmt.Errorf("reading messages: %w", err)
	}
	return scanMessages(rows, id, true)
}

func scanMessages(rows *sql.Rows, id MailboxID, summary bool) ([]Message, error) {
	return collect(rows, func(row scanner) (Message, error) {
		m := Message{Mailbox: id}
		var received, sent int64
		var keywords string
		dest := []any{&m.UID, &m.ModSeq, &m.Digest, &m.Prefix, &m.Size, &received, &m.Flags, &keywords}
		if summary {
			s := &m.Summary
			dest = append(dest, &s.Subject, &s.From, &s.To, &sent, &s.MessageID, &s.Preview, &s.Attachments)
		}
		if err := row.Scan(dest...); err != nil {
			return m, fmt.Errorf("reading messages: %w", err)
		}
		m.Received = sqldb.Time(received)
		if keywords != "" {
			m.Keywords = strings.Fields(keywords)
		}
		if sent != 0 {
			m.Summary.Sent = sqldb.Time(sent)
		}
		return m, nil
	})
}

func loadContent(ctx context.Context, tx *sqldb.Tx, d blob.Digest) (*Content, int, error) {
	var envelope, structure []byte
	err := tx.QueryRow(ctx, `SELECT envelope, structure FROM mail_content WHERE digest = $1`, string(d)).Scan(&envelope, &structure)
	if err != nil {
		return nil, 0, notFound(err)
	}
	c := &Content{Structure: &Part{}}
	if err := json.Unmarshal(envelope, &c.Envelope); err != nil {
		return nil, 0, fmt.Errorf("reading a stored envelope: %w", err)
	}
	if err := json.Unmarshal(structure, c.Structure); err != nil {
		return nil, 0, fmt.Errorf("reading a stored structure: %w", err)
	}
	return c, 256 + 2*(len(envelope)+len(structure)), nil
}
