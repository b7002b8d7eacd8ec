// Package sqldb owns the SQL engines: SQLite inside the program (the default)
// and PostgreSQL beside it. Nothing else in the repository knows a driver.
//
// # One text, two engines
//
// Owners write one text of SQL for both: $1…$n, TEXT, BIGINT (times in
// microseconds UTC, see [Micros]), SMALLINT 0/1, hex digests, ids made by the
// program, ON CONFLICT, RETURNING. Both engines behave alike on purpose:
//
//   - Updates are serialisable. SQLite runs them one after another; PostgreSQL
//     runs them at its SERIALIZABLE level and this package repeats those that
//     collide, so fn must be re-runnable: start from nothing, set results last.
//   - A failed statement dooms its transaction. PostgreSQL insists on that, so
//     SQLite does the same here: later statements return the first error, and
//     the transaction is rolled back even when fn returns nil. Write
//     ON CONFLICT instead of catching [IsConflict] and going on.
//   - Close rows before the next statement of the same Tx: one PostgreSQL
//     connection serves one result at a time.
//
// # Durability
//
// Update returns nil only when the work is on disk. SQLite runs in WAL mode
// with synchronous=FULL; one goroutine owns the write connection and commits
// the work of many waiting callers with one fsync, a SAVEPOINT each, so that
// an error undoes one caller's work only.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Engine names the SQL engine behind a DB.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// DB is an open database. Its methods may be called from many goroutines.
type DB struct {
	engine  Engine
	writers *sql.DB       // SQLite: one connection; PostgreSQL: the pool
	readers *sql.DB       // SQLite: query_only connections; PostgreSQL: the same pool
	group   *group        // SQLite only: the group commit
	turn    chan struct{} // PostgreSQL only: one place, for who tries again; see updatePostgres
	gate    sync.RWMutex  // PostgreSQL only: held alone by who collides again and again
	closed  atomic.Bool
}

// Engine tells which engine is behind db.
func (db *DB) Engine() Engine { return db.engine }

// Writer gives the pool that writes. It is for storage/jobs alone: River needs
// a *sql.DB of its own. On SQLite it holds one connection, which the group
// commit takes for the time of each batch.
func (db *DB) Writer() *sql.DB { return db.writers }

// View runs fn on a read-only snapshot: everything fn reads belongs to one
// moment, and every Update that had returned before is part of it. Statements
// end early when ctx does. View must not be called inside Update.
func (db *DB) View(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	if err := db.usable(ctx); err != nil {
		return err
	}
	opts := &sql.TxOptions{ReadOnly: true}
	if db.engine == Postgres {
		opts.Isolation = sql.LevelRepeatableRead
	}
	sqlTx, err := db.readers.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("beginning a view: %w", db.explain(err))
	}
	defer func() { _ = sqlTx.Rollback() }() // a view has nothing to lose
	tx := &Tx{sql: sqlTx, engine: db.engine}
	defer tx.finish()
	if err := fn(inside(ctx), tx); err != nil {
		return err
	}
	return tx.failure
}

// Update runs fn in a transaction that writes, and returns nil only when that
// is durable. Any error of fn, a failed statement, a cancelled ctx or a panic
// undoes all that fn did, and nothing else.
//
// fn does SQL on tx and nothing more: no I/O, no waiting, no nested Update or
// View (refused), since on SQLite every writer waits for it. It may run more
// than once (PostgreSQL repeats it after a collision). It runs in the caller's
// goroutine.
//
// The error is fn's own, or wraps ErrFull (nothing was kept; free space and
// try again), ErrBroken or ErrClosed. Once fn has returned, ctx no longer
// matters: the answer of the commit is waited for, because only it tells
// whether the work was kept.
func (db *DB) Update(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	if err := db.usable(ctx); err != nil {
		return err
	}
	var err error
	if db.engine == SQLite {
		err = db.group.update(ctx, fn)
	} else {
		err = db.updatePostgres(ctx, sql.LevelSerializable, fn)
	}
	return db.explain(err)
}

// Close waits for the Updates already asked for and closes the engine. Later
// calls give ErrClosed. Closing twice is harmless.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	if db.group != nil {
		db.group.close()
	}
	var err error
	if db.readers != db.writers {
		err = db.readers.Close() // first, so that the writer can empty the WAL
	}
	return errors.Join(err, db.writers.Close())
}

func (db *DB) usable(ctx context.Context) error {
	if db.closed.Load() {
		return ErrClosed
	}
	if ctx.Value(insideKey{}) != nil {
		return errNested
	}
	return ctx.Err()
}

// explain adds ErrFull or ErrClosed to errors that mean it.
func (db *DB) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case IsFull(err) && !errors.Is(err, ErrFull):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case db.closed.Load() && errors.Is(err, sql.ErrConnDone):
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}

// insideKey marks the context that fn gets, so that a nested call, which would
// wait for itself on SQLite, is refused instead.
type insideKey struct{}

func inside(ctx context.Context) context.Context {
	return context.WithValue(ctx, insideKey{}, true)
}
