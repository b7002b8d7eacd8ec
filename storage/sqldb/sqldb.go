// Package sqldb owns the SQL engines: SQLite inside the program and
// PostgreSQL beside it.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"time"
)

// Engine names the SQL engine behind a DB.
type Engine string

// The engines. One text of SQL serves both.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Errors that callers tell apart.
var (
	ErrClosed = errors.New("database is closed")
	ErrFull   = errors.New("disk is full")
)

// DB is an open database.
type DB struct{ engine Engine }

// Tx is one caller's part of a transaction.
type Tx struct{ engine Engine }

func OpenSQLite(ctx context.Context, path string) (*DB, error)  { return nil, errors.ErrUnsupported }
func OpenPostgres(ctx context.Context, url string) (*DB, error) { return nil, errors.ErrUnsupported }
func (db *DB) Engine() Engine                                   { return db.engine }
func (db *DB) View(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return errors.ErrUnsupported
}
func (db *DB) Update(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return errors.ErrUnsupported
}
func (db *DB) Migrate(ctx context.Context, owner string, files fs.FS) error {
	return errors.ErrUnsupported
}
func (db *DB) Writer() *sql.DB { return nil }
func (db *DB) Close() error    { return nil }
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return nil, errors.ErrUnsupported
}
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return nil, errors.ErrUnsupported
}
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row { return nil }
func (tx *Tx) SQL() *sql.Tx                                                     { return nil }
func (tx *Tx) AfterCommit(fn func())                                            {}
func (tx *Tx) Engine() Engine                                                   { return tx.engine }
func IsConflict(err error) bool                                                 { return false }
func IsFull(err error) bool                                                     { return errors.Is(err, ErrFull) }
func Micros(t time.Time) int64                                                  { return t.UnixMicro() }
func Time(us int64) time.Time                                                   { return time.UnixMicro(us).UTC() }
