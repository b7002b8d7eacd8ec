package ledger

import (
	"context"
	"encoding/base64"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"vanthu/storage/ledger/logproof"
	"vanthu/storage/sqldb"
)

// Check reads every entry again, computes the log anew and compares it with
// the stored hashes and the signed root. Each thing that does not fit is given
// to yield in words that name it; the error is for what could not be read.
// Entries that wait to be sequenced are no problem.
func (l *Ledger) Check(ctx context.Context, yield func(problem string)) error {
	err := l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		text, err := loadNote(ctx, tx)
		if err != nil {
			return err
		}
		var signed tlog.Tree
		if text != "" {
			if signed, err = logproof.OpenCheckpoint(l.vkey, text); err != nil {
				yield(fmt.Sprintf("evidence log: %v", err))
			}
		}
		size, err := loadSize(ctx, tx)
		if err != nil {
			return err
		}
		if text != "" && signed.N != size {
			yield(fmt.Sprintf("evidence log: the checkpoint is for %d entries, its row says %d", signed.N, size))
		}
		c := &checker{yield: yield, signed: signed, stored: newHashes(ctx, tx), rebuilt: newHashes(ctx, tx)}
		return c.run(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("checking the evidence: %w", err)
	}
	return nil
}

// checker rebuilds the log.
type checker struct {
	yield   func(problem string)
	signed  tlog.Tree
	stored  *hashes // as the database has them
	rebuilt *hashes // as the entries give them
	bad     int
}

// maxProblems keeps a destroyed log from filling the screen.
const maxProblems = 1000

func (c *checker) report(format string, args ...any) {
	c.bad++
	if c.bad <= maxProblems {
		c.yield(fmt.Sprintf(format, args...))
	}
	if c.bad == maxProblems {
		c.yield("evidence log: further problems are not listed")
	}
}

func (c *checker) run(ctx context.Context, tx *sqldb.Tx) error {
	next := int64(0)
	for next < c.signed.N {
		rows, err := entriesFrom(ctx, tx, next, passLimit)
		if err != nil {
			return err
		}
		for i := range rows {
			if rows[i].Index >= c.signed.N {
				break
			}
			if err := c.missing(next, rows[i].Index); err != nil {
				return err
			}
			if err := c.entry(&rows[i]); err != nil {
				return err
			}
			next = rows[i].Index + 1
		}
		if len(rows) < passLimit {
			break
		}
	}
	if err := c.missing(next, c.signed.N); err != nil {
		return err
	}
	if err := c.root(ctx, tx); err != nil {
		return err
	}
	waiting, err := entriesFrom(ctx, tx, c.signed.N, 1)
	if err == nil && len(waiting) > 0 && waiting[0].Index != c.signed.N {
		c.report("evidence log: the entry at place %d is missing, so those after it cannot be sequenced", c.signed.N)
	}
	return err
}

// missing reports the places from up to, but not including, to. Their stored
// hashes stand in, so that later entries can still be judged.
func (c *checker) missing(from, to int64) error {
	for at := from; at < to; at++ {
		c.report("evidence log: the entry at place %d is missing", at)
		hash, _ := c.storedLeaf(at)
		if err := c.add(at, hash); err != nil {
			return err
		}
	}
	return nil
}

// entry compares one entry with its leaf in the log.
func (c *checker) entry(row *entryRow) error {
	hash := tlog.RecordHash(logproof.Leaf(&row.Entry, row.salt))
	logged, ok := c.storedLeaf(row.Index)
	if ok && logged != hash {
		c.report("evidence entry %s (%s of %s, place %d) is not what the log says", row.ID, row.Kind, row.Subject, row.Index)
		hash = logged
	}
	return c.add(row.Index, hash)
}

// storedLeaf gives the leaf hash at a place, and false after reporting that it
// cannot be read.
func (c *checker) storedLeaf(at int64) (tlog.Hash, bool) {
	found, err := c.stored.ReadHashes([]int64{tlog.StoredHashIndex(0, at)})
	if err != nil {
		c.report("evidence log: the hash at place %d: %v", at, err)
		return tlog.Hash{}, false
	}
	if at&(tileWidth-1) == tileWidth-1 {
		clear(c.stored.tiles) // this tile is done with
	}
	return found[0], true
}

const tileWidth = 1 << tileHeight

// add takes the next leaf. When a group of leaves is complete, its root is
// compared with the next level's tile, and the hashes below are forgotten: no
// later one needs them.
func (c *checker) add(at int64, hash tlog.Hash) error {
	added, err := tlog.StoredHashesForRecordHash(at, hash, c.rebuilt)
	if err != nil {
		return err
	}
	c.rebuilt.add(at, added)
	if at&(tileWidth-1) != tileWidth-1 {
		return nil
	}
	group := at >> tileHeight
	index := tlog.StoredHashIndex(tileHeight, group)
	logged, err := c.stored.ReadHashes([]int64{index})
	switch {
	case err != nil:
		c.report("evidence log: the hash over places %d to %d: %v", at-tileWidth+1, at, err)
	case logged[0] != c.rebuilt.fresh[index]:
		c.report("evidence log: the entries at places %d to %d do not give the hash above them", at-tileWidth+1, at)
	}
	for level := range tileHeight {
		for n := group << (tileHeight - level); n < (group+1)<<(tileHeight-level); n++ {
			delete(c.rebuilt.fresh, tlog.StoredHashIndex(level, n))
		}
	}
	return nil
}

// root compares the root and the upper tiles with what the leaves give.
func (c *checker) root(ctx context.Context, tx *sqldb.Tx) error {
	if c.signed.N == 0 {
		return nil
	}
	root, err := tlog.TreeHash(c.signed.N, c.rebuilt)
	if err != nil {
		return err
	}
	if root != c.signed.Hash {
		c.report("evidence log: its entries give the root %s, the signed root is %s", root, c.signed.Hash)
	}
	for _, tile := range tlog.NewTiles(tileHeight, 0, c.signed.N) {
		if tile.L == 0 {
			continue // compared leaf by leaf
		}
		want, err := tlog.ReadTileData(tile, c.rebuilt)
		if err != nil {
			return err
		}
		text, err := loadTile(ctx, tx, tile.L, tile.N)
		if err != nil || text != base64.StdEncoding.EncodeToString(want) {
			c.report("evidence log: tile %d/%d is not what the entries give", tile.L, tile.N)
		}
	}
	return nil
}
