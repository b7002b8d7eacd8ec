package ledger

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"vanthu/storage/ledger/logproof"
	"vanthu/storage/sqldb"
)

// ErrHole says that an entry which the signed log has is gone from the database.
var ErrHole = errors.New("an entry of the log is missing")

// TileData gives the first width hashes of a tile, C2SP tlog-tiles: level from
// 0, width 1 to 256. ErrNotFound when the log is not that large.
func (l *Ledger) TileData(ctx context.Context, level int, number int64, width int) ([]byte, error) {
	const topLevel = 7 // 2^64 entries
	if level < 0 || level > topLevel || number < 0 || width < 1 || width > tileWidth {
		return nil, ErrNotFound
	}
	var data []byte
	err := l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		size, err := loadSize(ctx, tx)
		if err != nil {
			return err
		}
		if have := (size >> (tileHeight * level)) - number*tileWidth; number > size || have < int64(width) {
			return ErrNotFound
		}
		text, err := loadTile(ctx, tx, level, number)
		if err != nil {
			return err
		}
		data, err = base64.StdEncoding.DecodeString(text)
		if err == nil && len(data) < width*tlog.HashSize {
			err = errNoTile
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading a tile: %w", err)
	}
	return data[:width*tlog.HashSize], nil
}

// EntryBundle gives the first width leaves of entry bundle number as C2SP
// tlog-tiles has them: each after its length in two bytes. ErrNotFound when the
// log is not that large, ErrHole when a row was taken away.
func (l *Ledger) EntryBundle(ctx context.Context, number int64, width int) ([]byte, error) {
	if number < 0 || width < 1 || width > tileWidth {
		return nil, ErrNotFound
	}
	var out []byte
	err := l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		size, err := loadSize(ctx, tx)
		if err != nil {
			return err
		}
		first := number * tileWidth
		if number > size || first+int64(width) > size {
			return ErrNotFound
		}
		rows, err := entriesFrom(ctx, tx, first, width)
		if err != nil {
			return err
		}
		out = nil
		for i := range width {
			if i >= len(rows) || rows[i].Index != first+int64(i) {
				return fmt.Errorf("%w: place %d", ErrHole, first+int64(i))
			}
			data := logproof.Leaf(&rows[i].Entry, rows[i].salt)
			out = append(binary.BigEndian.AppendUint16(out, uint16(len(data))), data...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading an entry bundle: %w", err)
	}
	return out, nil
}

// Publication is a checkpoint with what others said of it.
type Publication struct {
	Size         int64
	Note         string    // with the cosignatures, when read
	Token        []byte    // RFC 3161 token over the signed part of the note; nil: none yet
	At           time.Time // when it was published
	Cosignatures []string  // whole lines
}

// Publish keeps a checkpoint of this log with its time stamp and cosignatures.
// Publishing a size again adds what was missing.
func (l *Ledger) Publish(ctx context.Context, p Publication) error {
	tree, err := logproof.OpenCheckpoint(l.vkey, p.Note)
	if err != nil || tree.N != p.Size {
		return fmt.Errorf("publishing a checkpoint of %d: %w", p.Size, errors.Join(ErrKey, err))
	}
	err = l.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return storePublication(ctx, tx, p) })
	if err != nil {
		return fmt.Errorf("publishing a checkpoint: %w", err)
	}
	return nil
}

// Published gives the newest published checkpoint, nil before the first.
// stamped and cosigned ask for the newest that has a time stamp, or
// cosignatures.
func (l *Ledger) Published(ctx context.Context, stamped, cosigned bool) (p *Publication, err error) {
	err = l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		p, err = loadPublication(ctx, tx, stamped, cosigned)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading publications: %w", err)
	}
	return p, nil
}

// Publications gives published checkpoints in order, those larger than after, at
// most 500 of them.
func (l *Ledger) Publications(ctx context.Context, after int64) (list []Publication, err error) {
	err = l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = selectPublications(ctx, tx, after)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading publications: %w", err)
	}
	return list, nil
}

// Consistency proves that the log of size old is the beginning of the log of
// size size (RFC 6962 §2.1.2).
func (l *Ledger) Consistency(ctx context.Context, old, size int64) (proof []tlog.Hash, err error) {
	if old < 0 || size < old {
		return nil, fmt.Errorf("no proof from %d to %d: %w", old, size, ErrNotFound)
	}
	if old == 0 || old == size {
		return nil, nil
	}
	err = l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		proof, err = tlog.ProveTree(size, old, newHashes(ctx, tx))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("proving consistency: %w", err)
	}
	return proof, nil
}

// ProveIn gives the proofs of entries against one checkpoint of this log, in the
// order of the ids. ErrPending when one of them is not below it.
func (l *Ledger) ProveIn(ctx context.Context, checkpoint string, ids []EntryID) ([]Proof, error) {
	tree, err := logproof.OpenCheckpoint(l.vkey, checkpoint)
	if err != nil {
		return nil, err
	}
	var list []Proof
	err = l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = make([]Proof, 0, len(ids))
		hashes := newHashes(ctx, tx)
		for _, id := range ids {
			row, err := loadEntry(ctx, tx, id)
			if err != nil {
				return err
			}
			if row.Index < 0 || row.Index >= tree.N {
				return ErrPending
			}
			path, err := tlog.ProveRecord(tree.N, row.Index, hashes)
			if err != nil {
				return err
			}
			list = append(list, Proof{Leaf: logproof.Leaf(&row.Entry, row.salt), Index: row.Index, Hashes: path,
				Checkpoint: checkpoint, Entry: row.Entry, Salt: row.salt})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("proving evidence: %w", err)
	}
	return list, nil
}

// Root gives the root hash of the log when it had size entries.
func (l *Ledger) Root(ctx context.Context, size int64) (root tlog.Hash, err error) {
	err = l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		have, err := loadSize(ctx, tx)
		if err == nil && (size < 0 || size > have) {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		root, err = tlog.TreeHash(size, newHashes(ctx, tx))
		return err
	})
	if err != nil {
		return root, fmt.Errorf("computing the root at %d: %w", size, err)
	}
	return root, nil
}

// Seen is the last checkpoint of another log that this hub cosigned.
type Seen struct {
	Size int64
	Root tlog.Hash
}

// Witnessed gives what was last cosigned of another log; zero when nothing was.
func (l *Ledger) Witnessed(ctx context.Context, origin string) (s Seen, err error) {
	err = l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		s, err = loadWitnessed(ctx, tx, origin)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("reading what was witnessed of %s: %w", origin, err)
	}
	return s, nil
}

// Witness records that a larger checkpoint of another log is being cosigned, if
// was is still the last one; false when another was first.
func (l *Ledger) Witness(ctx context.Context, origin string, was, now Seen) (ok bool, err error) {
	at := sqldb.Micros(l.opts.Now())
	err = l.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		ok, err = storeWitnessed(ctx, tx, origin, was, now, at)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("recording what is witnessed of %s: %w", origin, err)
	}
	return ok, nil
}

// Origin names the log.
func (l *Ledger) Origin() string { return l.origin }

func withLines(note string, lines []string) string { return note + strings.Join(lines, "") }
