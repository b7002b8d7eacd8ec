package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// How often a colliding transaction is tried before its caller gets the error.
const maxCollisions = 100

// After how many tries a transaction is tried alone.
const aloneAfter = 3

// OpenPostgres opens the PostgreSQL database at a postgres:// URL (or a libpq
// connection string) through pgx.
func OpenPostgres(ctx context.Context, url string) (*DB, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		// The text of pgx may quote the URL, and with it the password.
		return nil, errors.New("the PostgreSQL URL cannot be read")
	}
	pool := stdlib.OpenDB(*config)
	conns := max(16, 4*runtime.GOMAXPROCS(0))
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening PostgreSQL at %s: %w", config.Host, err), pool.Close())
	}
	return &DB{engine: Postgres, writers: pool, readers: pool, turn: make(chan struct{}, 1)}, nil
}

// updatePostgres runs fn in a transaction of its own and repeats it from the
// start when PostgreSQL reports a collision with another. Who has collided more
// than once waits for a turn: of the many that want one row, as the clerks of an
// agency want its counters, one at a time tries again, so that each gets through
// and few work in vain. A long one, which short ones would make begin anew for
// ever, works alone in this process from its fourth try on.
func (db *DB) updatePostgres(ctx context.Context, level sql.IsolationLevel, fn func(context.Context, *Tx) error) error {
	for try := 1; ; try++ {
		err := db.tryBeside(ctx, level, fn, try > aloneAfter)
		if err == nil || !isCollision(err) || try == maxCollisions {
			return err
		}
		if try == 2 {
			select {
			case db.turn <- struct{}{}:
				defer func() { <-db.turn }()
			case <-ctx.Done():
				return errors.Join(ctx.Err(), err)
			}
			continue
		}
		limit := min(time.Millisecond<<min(try, 7), 100*time.Millisecond)
		select {
		case <-time.After(rand.N(limit)): //nolint:gosec // spreads retries, guards nothing
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// tryBeside tries once, beside others or alone.
func (db *DB) tryBeside(ctx context.Context, level sql.IsolationLevel, fn func(context.Context, *Tx) error, alone bool) error {
	if alone {
		db.gate.Lock()
		defer db.gate.Unlock()
	} else {
		db.gate.RLock()
		defer db.gate.RUnlock()
	}
	return db.tryPostgres(ctx, level, fn)
}

func (db *DB) tryPostgres(ctx context.Context, level sql.IsolationLevel, fn func(context.Context, *Tx) error) error {
	sqlTx, err := db.writers.BeginTx(ctx, &sql.TxOptions{Isolation: level})
	if err != nil {
		return fmt.Errorf("beginning an update: %w", err)
	}
	defer func() { _ = sqlTx.Rollback() }() // a no-op after the commit
	tx := &Tx{sql: sqlTx, engine: Postgres}
	err = tx.outcome(ctx, fn(inside(ctx), tx))
	tx.finish()
	if err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	for _, fn := range tx.after {
		fn()
	}
	return nil
}
