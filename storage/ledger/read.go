package ledger

import (
	"context"
	"fmt"

	"vanthu/storage/sqldb"
)

// readLimit is how many entries Read gives at most.
const readLimit = 4096

// Read gives entries in the order of the log, from a place on, at most limit of
// them (at most 4096 with a limit that is 0 or more than that). It is how the
// whole evidence is read with little memory: begin at 0, go on after the last
// Index, end at an empty answer. Every entry committed before the call is given,
// also one that no checkpoint covers yet; its place is final all the same.
func (l *Ledger) Read(ctx context.Context, from int64, limit int) ([]Record, error) {
	if limit <= 0 || limit > readLimit {
		limit = readLimit
	}
	list, err := l.placed(ctx, from, limit)
	if err != nil || len(list) == limit || l.db.Engine() != sqldb.Postgres {
		return list, err
	}
	// Near its end the log of PostgreSQL has entries that wait for their place.
	l.pass.Lock()
	err = l.assignPositions(ctx)
	l.pass.Unlock()
	if err != nil {
		return nil, err
	}
	return l.placed(ctx, from, limit)
}

func (l *Ledger) placed(ctx context.Context, from int64, limit int) ([]Record, error) {
	var rows []entryRow
	err := l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		rows, err = entriesFrom(ctx, tx, from, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading evidence: %w", err)
	}
	list := make([]Record, len(rows))
	for i := range rows {
		list[i] = rows[i].Record
	}
	return list, nil
}
