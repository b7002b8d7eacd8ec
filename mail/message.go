package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// MailboxID names a mailbox (UUIDv7).
type MailboxID string

// UID numbers a message in its mailbox (RFC 9051 §2.3.1.1).
type UID uint32

// SpecialUse is a mailbox's role, an attribute of RFC 6154, or empty.
type SpecialUse string

// The roles of the mailboxes that every account is made with.
const (
	UseNone    SpecialUse = ""
	UseSent    SpecialUse = `\Sent`
	UseDrafts  SpecialUse = `\Drafts`
	UseTrash   SpecialUse = `\Trash`
	UseJunk    SpecialUse = `\Junk`
	UseArchive SpecialUse = `\Archive`
)

// Inbox is the mailbox that mail is delivered to (RFC 9051 §5.1).
const Inbox = "INBOX"

// Mailbox is a folder of messages (thư mục thư). UIDNext is the UID that the
// next message gets, ModSeq the highest change number in it (RFC 7162).
type Mailbox struct {
	ID          MailboxID
	Account     AccountID
	Name        string
	Use         SpecialUse
	UIDValidity uint32
	UIDNext     UID
	ModSeq      int64
	Subscribed  bool
	// RecentFrom is the first UID that no read-write session was told of (\Recent, RFC 3501 §2.3.2).
	RecentFrom UID
}

// MailboxStatus counts a mailbox's messages. Sizes are in bytes.
type MailboxStatus struct {
	Messages, Unseen, Deleted, Recent uint32
	Size, DeletedSize                 int64
}

// Flags are the system flags of RFC 9051 §2.3.2 as bits.
type Flags uint8

// The system flags. Their values stand in the database.
const (
	FlagSeen Flags = 1 << iota
	FlagAnswered
	FlagFlagged
	FlagDeleted
	FlagDraft
	allFlags = FlagSeen | FlagAnswered | FlagFlagged | FlagDeleted | FlagDraft
)

// Bounds of keywords (user-defined flags).
const (
	maxKeywords = 64 // on one message
	maxKeyword  = 64 // bytes of one
)

// Message is one message in one mailbox (thư). Its bytes are Prefix followed by
// the blob Digest; Size is both together.
type Message struct {
	Mailbox  MailboxID
	UID      UID
	ModSeq   int64
	Digest   blob.Digest
	Prefix   string // this recipient's own header lines, each ended by CRLF
	Size     int64
	Received time.Time // INTERNALDATE
	Flags    Flags
	Keywords []string // sorted
	Summary  Summary
}

// Summary is what lists show. All of it was parsed when the message was stored.
type Summary struct {
	Subject     string
	From        string // "Name <address>" of the first author
	To          string
	Sent        time.Time // the Date field, zero when it has none
	MessageID   string
	Preview     string // first words of the text, without marks
	Attachments int
}

// Content is what was parsed of a message and FETCH shows.
type Content struct {
	Envelope  MessageEnvelope
	Structure *Part
}

// Snapshot is a mailbox at one moment. UIDs are in order.
type Snapshot struct {
	Mailbox     Mailbox
	UIDs        []UID
	FirstUnseen UID // 0 when all are seen
	Keywords    []string
}

// FlagState is a message's flags after the change ModSeq.
type FlagState struct {
	UID      UID
	ModSeq   int64
	Flags    Flags
	Keywords []string
}

// Changes are what happened to a mailbox after some MODSEQ, up to ModSeq.
type Changes struct {
	ModSeq   int64
	Expunged []UID
	Changed  []FlagState // new messages too
}

// Snapshot reads which messages a mailbox has. With claim set the messages that
// are \Recent now are this session's own.
func (s *Store) Snapshot(ctx context.Context, id MailboxID, claim bool) (*Snapshot, error) {
	var snap *Snapshot
	read := func(ctx context.Context, tx *sqldb.Tx) error {
		m, err := mailboxByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if snap, err = loadSnapshot(ctx, tx, m); err != nil {
			return err
		}
		if claim && m.RecentFrom < m.UIDNext {
			return claimRecent(ctx, tx, id, m.UIDNext)
		}
		return nil
	}
	m, err := s.mailboxByID(ctx, id)
	if err != nil {
		return nil, err
	}
	run := s.db.View
	if claim && m.RecentFrom < m.UIDNext {
		run = s.db.Update
	} else {
		claim = false
	}
	if err := run(ctx, read); err != nil {
		return nil, fmt.Errorf("reading mailbox %s: %w", id, err)
	}
	return snap, nil
}

func (s *Store) mailboxByID(ctx context.Context, id MailboxID) (*Mailbox, error) {
	var m *Mailbox
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		m, err = mailboxByID(ctx, tx, id)
		return err
	})
	return m, err
}

// Changes reads what happened to a mailbox after since. ErrNotFound when the
// mailbox is gone.
func (s *Store) Changes(ctx context.Context, id MailboxID, since int64) (*Changes, error) {
	var c *Changes
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		m, err := mailboxByID(ctx, tx, id)
		if err != nil {
			return err
		}
		c = &Changes{ModSeq: m.ModSeq}
		if m.ModSeq == since {
			return nil
		}
		if c.Expunged, err = expungedSince(ctx, tx, id, since); err != nil {
			return err
		}
		c.Changed, err = changedSince(ctx, tx, id, since)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading changes of mailbox %s: %w", id, err)
	}
	return c, nil
}

// pageSize is the number of messages read at a time: no transaction stays open
// while a slow client is written to.
const pageSize = 500

// Messages calls f for each message of the set, in the order of the UIDs,
// without a transaction around f. Summaries are filled when summary is set.
func (s *Store) Messages(ctx context.Context, id MailboxID, set UIDSet, summary bool, f func(*Message) error) error {
	ranges, sift := set.plan()
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b UIDRange) int { return int(int64(a.First) - int64(b.First)) })
	next := UID(0)
	for _, r := range ranges {
		r.First = max(r.First, next)
		for r.First <= r.Last {
			var page []Message
			err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
				page, err = loadMessages(ctx, tx, id, r, pageSize, summary)
				return err
			})
			if err != nil {
				return fmt.Errorf("reading messages: %w", err)
			}
			for i := range page {
				if sift && !set.Contains(page[i].UID) {
					continue
				}
				if err := f(&page[i]); err != nil {
					return err
				}
			}
			if len(page) < pageSize || page[len(page)-1].UID == MaxUID {
				break
			}
			r.First = page[len(page)-1].UID + 1
		}
		if r.Last == MaxUID {
			break
		}
		next = r.Last + 1
	}
	return nil
}

// List returns messages with their summaries, newest first: at most limit of
// those with a UID below before (0 means from the newest).
func (s *Store) List(ctx context.Context, id MailboxID, before UID, limit int) ([]Message, error) {
	if limit <= 0 || limit > pageSize {
		limit = pageSize
	}
	last := MaxUID
	if before > 0 {
		last = before - 1
	}
	var page []Message
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		page, err = loadNewest(ctx, tx, id, last, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing messages: %w", err)
	}
	return page, nil
}

// Message returns one message with its summary, or ErrNotFound.
func (s *Store) Message(ctx context.Context, id MailboxID, uid UID) (*Message, error) {
	var found *Message
	err := s.Messages(ctx, id, UIDs(uid), true, func(m *Message) error {
		found = m
		return nil
	})
	if err == nil && found == nil {
		err = ErrNotFound
	}
	return found, err
}

// Content returns the envelope and structure that were parsed when the message
// was stored. The result is shared: do not change it.
func (s *Store) Content(ctx context.Context, d blob.Digest) (*Content, error) {
	if c, ok := s.parsed.get(d); ok {
		return c, nil
	}
	var c *Content
	var cost int
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		c, cost, err = loadContent(ctx, tx, d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what is known of message %s: %w", d, err)
	}
	s.parsed.put(d, c, int64(cost))
	return c, nil
}

// Contents makes sure that Content finds the given messages in memory, read in one go.
func (s *Store) Contents(ctx context.Context, digests []blob.Digest) error {
	missing := make([]blob.Digest, 0, len(digests))
	for _, d := range digests {
		if _, ok := s.parsed.get(d); !ok {
			missing = append(missing, d)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, d := range missing {
			c, cost, err := loadContent(ctx, tx, d)
			if err != nil {
				return fmt.Errorf("reading what is known of message %s: %w", d, err)
			}
			s.parsed.put(d, c, int64(cost))
		}
		return nil
	})
}

// Open returns the message as it is shown: its own header lines, then the blob,
// checked as it is read (blob.ErrCorrupt in place of the end).
func (s *Store) Open(ctx context.Context, m *Message) (io.ReadCloser, error) {
	rc, _, err := s.blobs.Open(ctx, m.Digest)
	if err != nil {
		return nil, fmt.Errorf("opening message %d: %w", m.UID, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(m.Prefix), rc), rc}, nil
}

// Expunge removes messages: of the set (nil means all) those that are
// \Deleted. Their UIDs are kept with the MODSEQ of this change.
func (s *Store) Expunge(ctx context.Context, id MailboxID, set UIDSet) (gone []UID, modseq int64, err error) {
	all := set == nil
	if all {
		set = UIDSet{{1, MaxUID}}
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		gone, modseq = nil, 0
		m, err := mailboxByID(ctx, tx, id)
		if err != nil {
			return err
		}
		doomed, size, err := loadDeleted(ctx, tx, id, set)
		if err != nil || len(doomed) == 0 {
			return err
		}
		gone = doomed
		modseq, err = s.remove(ctx, tx, m, doomed, size)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("expunging: %w", err)
	}
	return gone, modseq, nil
}

// remove takes messages out of a mailbox within tx.
func (s *Store) remove(ctx context.Context, tx *sqldb.Tx, m *Mailbox, uids []UID, size int64) (int64, error) {
	modseq, _, err := nextModSeq(ctx, tx, m.Account, -size)
	if err != nil {
		return 0, err
	}
	for _, uid := range uids {
		if err := expungeMessage(ctx, tx, m.ID, uid, modseq); err != nil {
			return 0, err
		}
	}
	tx.AfterCommit(func() { s.hub.notify(m.ID) })
	return modseq, touchMailbox(ctx, tx, m.ID, modseq)
}

// full adds ErrFull to an error of the engines that means it.
func full(err error) error {
	if err != nil && (sqldb.IsFull(err) || errors.Is(err, sqldb.ErrFull) || errors.Is(err, blob.ErrFull)) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// Logger is where the store writes; the servers around it share it.
func (s *Store) Logger() *slog.Logger { return s.log }

// RecentFrom returns the first UID that no session was told of before now, and,
// with claim, notes that this one was told of all up to newest.
func (s *Store) RecentFrom(ctx context.Context, id MailboxID, newest UID, claim bool) (from UID, err error) {
	m, err := s.mailboxByID(ctx, id)
	if err != nil || !claim || m.RecentFrom > newest {
		if err != nil {
			return 0, fmt.Errorf("reading what is recent: %w", err)
		}
		return m.RecentFrom, nil
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		m, err := mailboxByID(ctx, tx, id)
		if err != nil {
			return err
		}
		from = m.RecentFrom
		if from > newest {
			return nil
		}
		return claimRecent(ctx, tx, id, newest+1)
	})
	if err != nil {
		return 0, fmt.Errorf("claiming what is recent: %w", err)
	}
	return from, nil
}
