package mail

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"vanthu/storage/sqldb"
)

// FlagOp says what to do with flags.
type FlagOp int

// The ways to change flags (RFC 9051 §6.4.6).
const (
	SetFlags FlagOp = iota
	AddFlags
	RemoveFlags
)

// ParseKeywords checks user-defined flags and brings them into one order.
// Case does not matter (RFC 9051 §2.3.2), the first spelling is kept.
func ParseKeywords(words []string) ([]string, error) {
	var out []string
	for _, w := range words {
		if w == "" || len(w) > maxKeyword || strings.ContainsFunc(w, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r)
		}) {
			return nil, fmt.Errorf("%w: keyword %q", ErrInvalid, w)
		}
		if !hasKeyword(out, w) {
			out = append(out, w)
		}
	}
	if len(out) > maxKeywords {
		return nil, fmt.Errorf("%w: more than %d keywords", ErrInvalid, maxKeywords)
	}
	slices.Sort(out)
	return out, nil
}

func hasKeyword(words []string, w string) bool {
	return slices.ContainsFunc(words, func(x string) bool { return strings.EqualFold(x, w) })
}

// apply changes flags by op and reports whether they are others now.
func (op FlagOp) apply(f *FlagState, flags Flags, keywords []string) (changed bool, err error) {
	before := FlagState{Flags: f.Flags, Keywords: slices.Clone(f.Keywords)}
	switch op {
	case SetFlags:
		f.Flags, f.Keywords = flags&allFlags, slices.Clone(keywords)
	case AddFlags:
		f.Flags |= flags & allFlags
		for _, w := range keywords {
			if !hasKeyword(f.Keywords, w) {
				f.Keywords = append(f.Keywords, w)
			}
		}
		slices.Sort(f.Keywords)
	case RemoveFlags:
		f.Flags &^= flags
		f.Keywords = slices.DeleteFunc(f.Keywords, func(w string) bool { return hasKeyword(keywords, w) })
	}
	if len(f.Keywords) > maxKeywords {
		return false, fmt.Errorf("%w: more than %d keywords", ErrInvalid, maxKeywords)
	}
	return f.Flags != before.Flags || !slices.Equal(f.Keywords, before.Keywords), nil
}

// StoreFlags changes the flags of the messages of a set and returns their state
// after it, those that did not change with their old MODSEQ. modseq is the
// number of this change, 0 when nothing changed.
func (s *Store) StoreFlags(ctx context.Context, id MailboxID, set UIDSet, op FlagOp, flags Flags, keywords []string) (states []FlagState, modseq int64, err error) {
	if keywords, err = ParseKeywords(keywords); err != nil {
		return nil, 0, err
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		states, modseq = nil, 0
		m, err := mailboxByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if states, err = loadFlags(ctx, tx, id, set); err != nil {
			return err
		}
		var changed []*FlagState
		for i := range states {
			news, err := op.apply(&states[i], flags, keywords)
			if err != nil {
				return err
			}
			if news {
				changed = append(changed, &states[i])
			}
		}
		modseq, err = s.saveFlags(ctx, tx, m, changed)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("changing flags: %w", err)
	}
	return states, modseq, nil
}

// saveFlags writes the flags of messages under a new change number, 0 for none.
func (s *Store) saveFlags(ctx context.Context, tx *sqldb.Tx, m *Mailbox, changed []*FlagState) (int64, error) {
	if len(changed) == 0 {
		return 0, nil
	}
	modseq, _, err := nextModSeq(ctx, tx, m.Account, 0)
	if err != nil {
		return 0, err
	}
	for _, f := range changed {
		f.ModSeq = modseq
		if err := updateFlags(ctx, tx, m.ID, f); err != nil {
			return 0, err
		}
	}
	tx.AfterCommit(func() { s.hub.notify(m.ID) })
	return modseq, touchMailbox(ctx, tx, m.ID, modseq)
}
