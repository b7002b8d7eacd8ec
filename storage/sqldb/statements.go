package sqldb

import (
	"context"
	"database/sql"
)

// Limits of the statement cache.
const (
	maxStatements = 256
	usesToPrepare = 3
)

// statements keeps prepared statements of the write connection: parsing a
// statement costs SQLite more than running a small one. A text is prepared
// once it was used a few times, between two batches, because while a batch
// runs it holds the only connection. It is used by the group's goroutine and
// the caller whose turn it is, never by two at once.
type statements struct {
	pool     *sql.DB
	uses     map[string]int
	wanted   []string
	prepared map[string]*sql.Stmt
}

func newStatements(pool *sql.DB) *statements {
	return &statements{
		pool:     pool,
		uses:     make(map[string]int),
		wanted:   []string{sqlSavepoint, sqlRelease, sqlRollback},
		prepared: make(map[string]*sql.Stmt),
	}
}

// get gives the prepared statement for query, nil when it has none yet.
func (s *statements) get(query string) *sql.Stmt {
	if stmt, ok := s.prepared[query]; ok {
		return stmt
	}
	if len(s.uses) >= 4*maxStatements {
		clear(s.uses) // texts that were made on the fly must not pile up
	}
	s.uses[query]++
	if s.uses[query] == usesToPrepare && len(s.prepared) < maxStatements {
		s.wanted = append(s.wanted, query)
	}
	return nil
}

// prepare prepares the wanted texts. One that cannot be prepared (a script of
// several statements, say) goes on being parsed at each use.
func (s *statements) prepare() {
	for _, query := range s.wanted {
		if _, ok := s.prepared[query]; ok {
			continue
		}
		stmt, err := s.pool.PrepareContext(context.Background(), query)
		if err != nil {
			continue
		}
		s.prepared[query] = stmt
	}
	s.wanted = nil
}

func (s *statements) close() {
	for _, stmt := range s.prepared {
		_ = stmt.Close() // the connection is closed next
	}
}
