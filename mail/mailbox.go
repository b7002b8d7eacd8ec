package mail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"vanthu/storage/sqldb"
)

// Delimiter parts the levels of a mailbox name.
const Delimiter = '/'

// Bounds of mailboxes.
const (
	maxMailboxName = 1000 // bytes
	maxMailboxes   = 5000 // per account
	maxLevels      = 20
)

// MailboxName brings a name into the form that is stored: NFC, INBOX in upper
// case, no delimiter at the end. Names with control characters, wildcards or
// empty levels are ErrInvalid (RFC 9051 §5.1, Net-Unicode RFC 5198).
func MailboxName(name string) (string, error) {
	name = norm.NFC.String(strings.TrimSuffix(name, string(Delimiter)))
	if name == "" || len(name) > maxMailboxName || !utf8.ValidString(name) {
		return "", fmt.Errorf("%w: mailbox name is empty, too long or not UTF-8", ErrInvalid)
	}
	levels := strings.Split(name, string(Delimiter))
	if len(levels) > maxLevels || slices.Contains(levels, "") {
		return "", fmt.Errorf("%w: mailbox name has empty or too many levels", ErrInvalid)
	}
	if strings.ContainsFunc(name, func(r rune) bool {
		return r < ' ' || (r >= 0x7f && r < 0xa0) || r == '*' || r == '%' || r == 0x2028 || r == 0x2029
	}) {
		return "", fmt.Errorf("%w: mailbox name has a character that is not allowed", ErrInvalid)
	}
	if strings.EqualFold(levels[0], Inbox) {
		levels[0] = Inbox
	}
	return strings.Join(levels, string(Delimiter)), nil
}

// Mailboxes lists an account's mailboxes by name, INBOX first.
func (s *Store) Mailboxes(ctx context.Context, id AccountID) ([]Mailbox, error) {
	var all []Mailbox
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		all, err = listMailboxes(ctx, tx, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing mailboxes: %w", err)
	}
	slices.SortFunc(all, func(a, b Mailbox) int {
		if (a.Name == Inbox) != (b.Name == Inbox) {
			if a.Name == Inbox {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all, nil
}

// Mailbox returns one mailbox by name, or ErrNotFound.
func (s *Store) Mailbox(ctx context.Context, id AccountID, name string) (*Mailbox, error) {
	name, err := MailboxName(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	var m *Mailbox
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		m, err = mailboxByName(ctx, tx, id, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("mailbox %q: %w", name, err)
	}
	return m, nil
}

// CreateMailbox makes a mailbox and the levels above it that are missing (RFC
// 9051 §6.3.4). A role (RFC 6154 §3) may be given to one mailbox only. Errors:
// ErrExists, ErrInvalid.
func (s *Store) CreateMailbox(ctx context.Context, id AccountID, name string, use SpecialUse) (*Mailbox, error) {
	name, err := MailboxName(name)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]SpecialUse{UseNone, UseSent, UseDrafts, UseTrash, UseJunk, UseArchive}, use) {
		return nil, fmt.Errorf("%w: special use %s", ErrInvalid, use)
	}
	var made *Mailbox
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		have, err := listMailboxes(ctx, tx, id)
		if err != nil {
			return err
		}
		if len(have) >= maxMailboxes {
			return fmt.Errorf("%w: the account has %d mailboxes already", ErrInvalid, len(have))
		}
		if use != UseNone && slices.ContainsFunc(have, func(m Mailbox) bool { return m.Use == use }) {
			return fmt.Errorf("%w: another mailbox is %s", ErrExists, use)
		}
		exists := func(name string) bool {
			return slices.ContainsFunc(have, func(m Mailbox) bool { return m.Name == name })
		}
		if exists(name) {
			return ErrExists
		}
		for i, r := range name {
			if r == Delimiter && !exists(name[:i]) {
				if _, err := s.insertMailbox(ctx, tx, id, name[:i], UseNone); err != nil {
					return err
				}
			}
		}
		made, err = s.insertMailbox(ctx, tx, id, name, use)
		return err
	})
	if sqldb.IsConflict(err) {
		err = ErrExists
	}
	if err != nil {
		return nil, fmt.Errorf("creating mailbox %q: %w", name, err)
	}
	return made, nil
}

// DeleteMailbox removes a mailbox with its messages; mailboxes below it stay.
// INBOX cannot go (RFC 9051 §6.3.5). Errors: ErrNotFound, ErrForbidden.
func (s *Store) DeleteMailbox(ctx context.Context, id AccountID, name string) error {
	name, err := MailboxName(name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if name == Inbox {
		return fmt.Errorf("deleting %s: %w", name, ErrForbidden)
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		m, err := mailboxByName(ctx, tx, id, name)
		if err != nil {
			return err
		}
		size, err := deleteMailboxRows(ctx, tx, m.ID)
		if err != nil {
			return err
		}
		if _, _, err := nextModSeq(ctx, tx, id, -size); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.hub.notify(m.ID) })
		return nil
	})
	if err != nil {
		return fmt.Errorf("deleting mailbox %q: %w", name, err)
	}
	return nil
}

// RenameMailbox renames a mailbox and those below it. Renaming INBOX moves its
// messages to a new mailbox and leaves INBOX empty (RFC 9051 §6.3.6). Errors:
// ErrNotFound, ErrExists, ErrInvalid.
func (s *Store) RenameMailbox(ctx context.Context, id AccountID, from, to string) error {
	from, err := MailboxName(from)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if to, err = MailboxName(to); err != nil {
		return err
	}
	if from != Inbox && strings.HasPrefix(to, from+string(Delimiter)) {
		return fmt.Errorf("renaming mailbox %q: %w: the new name lies below it", from, ErrInvalid)
	}
	if from == Inbox {
		return s.renameInbox(ctx, id, to)
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		have, err := listMailboxes(ctx, tx, id)
		if err != nil {
			return err
		}
		return renameAll(ctx, tx, have, from, to)
	})
	if sqldb.IsConflict(err) {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("renaming mailbox %q to %q: %w", from, to, err)
	}
	return nil
}

// renameAll renames a mailbox and those below it.
func renameAll(ctx context.Context, tx *sqldb.Tx, have []Mailbox, from, to string) error {
	named := func(name string) func(Mailbox) bool { return func(m Mailbox) bool { return m.Name == name } }
	switch {
	case slices.ContainsFunc(have, named(to)):
		return ErrExists
	case !slices.ContainsFunc(have, named(from)):
		return ErrNotFound
	}
	below := from + string(Delimiter)
	for _, m := range have {
		if m.Name != from && !strings.HasPrefix(m.Name, below) {
			continue
		}
		if err := setMailboxName(ctx, tx, m.ID, to+strings.TrimPrefix(m.Name, from)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) renameInbox(ctx context.Context, id AccountID, to string) error {
	dest, err := s.CreateMailbox(ctx, id, to, UseNone)
	if err != nil {
		return err
	}
	inbox, err := s.Mailbox(ctx, id, Inbox)
	if err != nil {
		return err
	}
	_, err = s.Move(ctx, inbox.ID, UIDSet{{1, MaxUID}}, dest.ID)
	return err
}

// Subscribe notes that a client wants to see the mailbox; it need not exist.
func (s *Store) Subscribe(ctx context.Context, id AccountID, name string, on bool) error {
	name, err := MailboxName(name)
	if err != nil {
		return err
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if !on {
			return unsubscribe(ctx, tx, id, name)
		}
		return subscribe(ctx, tx, id, name)
	})
	if err != nil {
		return fmt.Errorf("subscribing to %q: %w", name, err)
	}
	return nil
}

// Subscriptions lists the names subscribed to that have no mailbox (any more).
func (s *Store) Subscriptions(ctx context.Context, id AccountID) ([]string, error) {
	var names []string
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		names, err = danglingSubscriptions(ctx, tx, id)
		return err
	})
	return names, err
}

// Status counts a mailbox's messages. ErrNotFound when it is gone.
func (s *Store) Status(ctx context.Context, id MailboxID) (*MailboxStatus, error) {
	var st *MailboxStatus
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		m, err := mailboxByID(ctx, tx, id)
		if err != nil {
			return err
		}
		st, err = countMessages(ctx, tx, m)
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("counting messages: %w", err)
	}
	return st, err
}
