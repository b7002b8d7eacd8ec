package mail

import (
	"context"
	"fmt"
	"io"
	"time"

	"vanthu/storage/sqldb"
)

// CopyResult says which UIDs became which (RFC 4315 COPYUID), in order. ModSeq
// is the change in the source, set by Move.
type CopyResult struct {
	UIDValidity uint32
	From, To    []UID
	ModSeq      int64
}

// Copy copies messages to another mailbox of the same account, or the same one;
// all or none (RFC 9051 §6.4.7). Errors: ErrNotFound (the destination), ErrQuota.
func (s *Store) Copy(ctx context.Context, from MailboxID, set UIDSet, to MailboxID) (*CopyResult, error) {
	return s.copyMessages(ctx, from, set, to, false)
}

// Move moves messages to another mailbox of the same account in one
// transaction (RFC 6851).
func (s *Store) Move(ctx context.Context, from MailboxID, set UIDSet, to MailboxID) (*CopyResult, error) {
	return s.copyMessages(ctx, from, set, to, true)
}

func (s *Store) copyMessages(ctx context.Context, from MailboxID, set UIDSet, to MailboxID, move bool) (*CopyResult, error) {
	var res *CopyResult
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		res = &CopyResult{}
		src, err := mailboxByID(ctx, tx, from)
		if err != nil {
			return err
		}
		dst, err := mailboxByID(ctx, tx, to)
		if err != nil {
			return err
		}
		if src.Account != dst.Account {
			return ErrForbidden
		}
		res.UIDValidity = dst.UIDValidity
		uids, size, err := loadSizes(ctx, tx, from, set)
		if err != nil || len(uids) == 0 {
			return err
		}
		modseq, a, err := nextModSeq(ctx, tx, dst.Account, size)
		if err != nil {
			return err
		}
		if !move && a.Used > a.Quota {
			return ErrQuota
		}
		first, _, err := takeUIDs(ctx, tx, to, len(uids), modseq)
		if err != nil {
			return err
		}
		for i, uid := range uids {
			if err := copyMessage(ctx, tx, from, uid, to, first+UID(i), modseq); err != nil {
				return err
			}
			res.From, res.To = append(res.From, uid), append(res.To, first+UID(i))
		}
		tx.AfterCommit(func() { s.hub.notify(to) })
		if move {
			res.ModSeq, err = s.remove(ctx, tx, src, uids, size)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("copying messages: %w", err)
	}
	return res, nil
}

// AppendInput describes a message that a client puts into a mailbox.
type AppendInput struct {
	Flags    Flags
	Keywords []string
	Received time.Time // INTERNALDATE; zero means now
}

// Append stores a message in a mailbox (RFC 9051 §6.3.12). Errors: ErrNotFound,
// ErrQuota, ErrTooLarge, ErrFull, ErrInvalid.
func (s *Store) Append(ctx context.Context, id MailboxID, in AppendInput, r io.Reader) (uid UID, validity uint32, err error) {
	keywords, err := ParseKeywords(in.Keywords)
	if err != nil {
		return 0, 0, fmt.Errorf("appending: %w", err)
	}
	if in.Received.IsZero() {
		in.Received = s.now()
	}
	c, err := s.keep(ctx, r)
	if err != nil {
		return 0, 0, fmt.Errorf("appending: %w", err)
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		m, err := mailboxByID(ctx, tx, id)
		if err != nil {
			return err
		}
		modseq, a, err := nextModSeq(ctx, tx, m.Account, c.ref.Size)
		if err != nil {
			return err
		}
		if a.Used > a.Quota {
			return ErrQuota
		}
		if uid, validity, err = takeUIDs(ctx, tx, id, 1, modseq); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.hub.notify(id) })
		if err := insertContent(ctx, tx, c); err != nil {
			return err
		}
		return insertMessage(ctx, tx, &Message{Mailbox: id, UID: uid, ModSeq: modseq, Digest: c.ref.Digest, Size: c.ref.Size,
			Received: in.Received, Flags: in.Flags & allFlags, Keywords: keywords})
	})
	if err != nil {
		return 0, 0, fmt.Errorf("appending: %w", full(err))
	}
	return uid, validity, nil
}
