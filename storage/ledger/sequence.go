package ledger

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"vanthu/storage/ledger/logproof"
	"vanthu/storage/sqldb"
)

// passLimit is how many entries one pass takes at most.
const passLimit = 4096

// tileHeight is that of C2SP tlog-tiles: 256 hashes.
const tileHeight = 8

// Sequence makes one pass: it adds up to a few thousand waiting entries to the
// log and signs a new checkpoint. It gives how many it added. Passes of several
// processes on one PostgreSQL database do not harm each other: one of them
// works, the others find nothing to do.
//
// The hashing and signing happen outside a write transaction, which then only
// stores a few tiles and the checkpoint.
func (l *Ledger) Sequence(ctx context.Context) (int, error) {
	l.pass.Lock()
	defer l.pass.Unlock()
	if l.db.Engine() == sqldb.Postgres {
		if err := l.assignPositions(ctx); err != nil {
			return 0, err
		}
	}
	var next growth
	err := l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		next, err = l.grow(ctx, tx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("sequencing evidence: %w", err)
	}
	if next.added() == 0 {
		return 0, nil
	}
	text, err := l.signCheckpoint(next.tree)
	if err != nil {
		return 0, err
	}
	stored := false
	err = l.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		stored, err = storeGrowth(ctx, tx, next, text, sqldb.Micros(l.opts.Now()))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("storing a checkpoint: %w", err)
	}
	if !stored {
		return 0, nil // another process was quicker
	}
	return int(next.added()), nil
}

// growth is what a pass adds to the log.
type growth struct {
	old   int64 // size before
	tree  tlog.Tree
	tiles map[tlog.Tile][]byte
}

func (g growth) added() int64 { return g.tree.N - g.old }

// grow computes the log with the waiting entries.
func (l *Ledger) grow(ctx context.Context, tx *sqldb.Tx) (growth, error) {
	var g growth
	text, err := loadNote(ctx, tx)
	if err != nil {
		return g, err
	}
	if text != "" {
		if g.tree, err = logproof.OpenCheckpoint(l.vkey, text); err != nil {
			return g, err
		}
	}
	g.old = g.tree.N
	rows, err := entriesFrom(ctx, tx, g.old, passLimit)
	if err != nil || len(rows) == 0 {
		return g, err
	}
	hashes := newHashes(ctx, tx)
	for i, row := range rows {
		at := g.old + int64(i)
		if row.Index != at {
			return g, fmt.Errorf("entry %s is at place %d, expected at %d", row.ID, row.Index, at)
		}
		added, err := tlog.StoredHashesForRecordHash(at, tlog.RecordHash(logproof.Leaf(&row.Entry, row.salt)), hashes)
		if err != nil {
			return g, err
		}
		hashes.add(at, added)
	}
	g.tree.N = g.old + int64(len(rows))
	if g.tree.Hash, err = tlog.TreeHash(g.tree.N, hashes); err != nil {
		return g, err
	}
	g.tiles = make(map[tlog.Tile][]byte)
	for _, tile := range tlog.NewTiles(tileHeight, g.old, g.tree.N) {
		if g.tiles[tile], err = tlog.ReadTileData(tile, hashes); err != nil {
			return g, err
		}
	}
	return g, nil
}

// hashes reads the log's hashes from the stored tiles and from those added in
// this pass.
type hashes struct {
	ctx   context.Context // of the transaction it reads in
	tx    *sqldb.Tx
	fresh map[int64]tlog.Hash
	tiles map[tlog.Tile][]byte
}

func newHashes(ctx context.Context, tx *sqldb.Tx) *hashes {
	return &hashes{ctx: ctx, tx: tx, fresh: make(map[int64]tlog.Hash), tiles: make(map[tlog.Tile][]byte)}
}

// add keeps the hashes that leaf n completed.
func (h *hashes) add(n int64, added []tlog.Hash) {
	first := tlog.StoredHashIndex(0, n)
	for i, hash := range added {
		h.fresh[first+int64(i)] = hash
	}
}

// ReadHashes is part of tlog.HashReader.
func (h *hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if hash, ok := h.fresh[index]; ok {
			found[i] = hash
			continue
		}
		tile := tlog.TileForIndex(tileHeight, index)
		data, err := h.tile(tile.L, tile.N)
		if err != nil {
			return nil, err
		}
		tile.W = len(data) / tlog.HashSize
		if found[i], err = tlog.HashFromTile(tile, data, index); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (h *hashes) tile(level int, number int64) ([]byte, error) {
	key := tlog.Tile{L: level, N: number}
	if data, ok := h.tiles[key]; ok {
		return data, nil
	}
	text, err := loadTile(h.ctx, h.tx, level, number)
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("tile %d/%d of the log: %w", level, number, err)
	}
	if len(data)%tlog.HashSize != 0 || len(data) > tlog.HashSize<<tileHeight {
		return nil, fmt.Errorf("tile %d/%d of the log has %d bytes", level, number, len(data))
	}
	h.tiles[key] = data
	return data, nil
}

var errNoTile = errors.New("a tile of the log is missing")
