package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Tx is one caller's transaction. It is valid until the function that got it
// returns, and belongs to one goroutine.
type Tx struct {
	sql      *sql.Tx
	engine   Engine
	grouped  bool // shares its transaction with other callers
	after    []func()
	failure  error // the first failed statement: the transaction is doomed
	finished atomic.Bool
}

// Engine tells which engine the transaction runs on.
func (tx *Tx) Engine() Engine { return tx.engine }

// SQL gives the transaction underneath. It is for storage/jobs alone (River
// inserts through it); on SQLite other callers share it, so it must never be
// committed or rolled back.
func (tx *Tx) SQL() *sql.Tx { return tx.sql }

// Alone lets nobody else write the tables until the transaction ends; others read
// on. It is for long transactions, which many short ones would else make begin
// anew time after time, and has to be the first statement: PostgreSQL takes the
// snapshot after it. On SQLite, which has one writer, it does nothing. The names
// are those of the caller's own tables.
func (tx *Tx) Alone(ctx context.Context, tables ...string) error {
	if tx.engine == SQLite {
		return nil
	}
	_, err := tx.Exec(ctx, "LOCK TABLE "+strings.Join(tables, ", ")+" IN EXCLUSIVE MODE")
	return err
}

// AfterCommit has fn run once the transaction is durable, after those asked
// for earlier, before Update returns; never after a rollback. fn must be quick
// and must not wait: it is for wake-ups, other writers wait for it.
func (tx *Tx) AfterCommit(fn func()) { tx.after = append(tx.after, fn) }

// Exec runs a statement that gives no rows.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx = tx.statementContext(ctx)
	res, err := tx.sql.ExecContext(ctx, query, args...)
	if err != nil {
		return nil, tx.doom(err)
	}
	return res, nil
}

// Query runs a statement that gives rows. The caller closes them.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx = tx.statementContext(ctx)
	rows, err := tx.sql.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, tx.doom(err)
	}
	return rows, nil
}

// QueryRow runs a statement that gives at most one row; Scan reports
// sql.ErrNoRows when there is none, which dooms nothing.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	ctx = tx.statementContext(ctx)
	row := tx.sql.QueryRowContext(ctx, query, args...)
	if err := row.Err(); err != nil {
		_ = tx.doom(err) // Scan hands the error to the caller
	}
	return row
}

func (tx *Tx) doom(err error) error {
	if tx.failure == nil {
		tx.failure = fmt.Errorf("an earlier statement failed: %w", err)
	}
	return err
}

func (tx *Tx) finish() { tx.finished.Store(true) }

// statementContext gives the context a statement runs under. A grouped SQLite
// statement is never interrupted half way: SQLite answers an interrupt by
// rolling back the whole transaction, other callers' work included. So ctx is
// looked at before each statement and the statement runs without it.
func (tx *Tx) statementContext(ctx context.Context) context.Context {
	switch {
	case tx.finished.Load():
		return failed{errFinished}
	case tx.failure != nil:
		return failed{tx.failure}
	case !tx.grouped:
		return ctx
	case ctx.Err() != nil:
		return failed{ctx.Err()}
	}
	return context.Background()
}

// failed is a context that ended with an error of ours: database/sql gives it
// back from any statement without touching the connection, also through
// QueryRow, whose *sql.Row only database/sql can make.
type failed struct{ err error }

func (f failed) Deadline() (time.Time, bool) { return time.Time{}, false }
func (f failed) Value(any) any               { return nil }
func (f failed) Err() error                  { return f.err }
func (f failed) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// outcome is what fn's end means for its transaction: nil keeps the work.
func (tx *Tx) outcome(ctx context.Context, err error) error {
	switch {
	case err != nil:
		return err
	case tx.failure != nil:
		return tx.failure
	}
	return ctx.Err()
}

var errAbandoned = errors.New("the function panicked or ended its goroutine")

// Scanner is one row of an answer, or the only one.
type Scanner interface{ Scan(...any) error }

// Collect reads all rows of a query, each by scan, and closes them. The error is the query's or scan's.
func Collect[T any](ctx context.Context, tx *Tx, scan func(Scanner) (T, error), query string, args ...any) (out []T, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
