package sqldb

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors that callers tell apart.
var (
	// ErrClosed says that the database was closed.
	ErrClosed = errors.New("database is closed")
	// ErrFull says that the disk is full. Nothing of the refused work was kept,
	// all earlier work was; it can be asked again when there is room.
	ErrFull = errors.New("disk is full")
	// ErrBroken says that a commit met an I/O error. Whether that work reached
	// the disk is unknown, and a second fsync would not tell (the kernel drops
	// the pages it could not write), so nothing more is written until the
	// program is started anew and has recovered the database.
	ErrBroken = errors.New("database stopped writing after an I/O error; check the disk and restart")

	errNested   = errors.New("a View or Update inside a View or Update: use the tx at hand")
	errFinished = errors.New("transaction used after its function returned")
)

// PostgreSQL error codes (PostgreSQL manual, appendix A).
const (
	pgUniqueViolation      = "23505"
	pgSerializationFailure = "40001"
	pgDeadlockDetected     = "40P01"
	pgDiskFull             = "53100"
)

// sqliteCode gives the extended result code of a SQLite error, 0 if err is none.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// pgCode gives the SQLSTATE of a PostgreSQL error, "" if err is none.
func pgCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// IsConflict reports whether err is the violation of a unique constraint or
// primary key, by the driver's code.
func IsConflict(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return true
	}
	return pgCode(err) == pgUniqueViolation
}

// IsFull reports whether err means that the disk is full.
func IsFull(err error) bool {
	return errors.Is(err, ErrFull) || sqliteCode(err)&0xff == sqlite3.SQLITE_FULL || pgCode(err) == pgDiskFull
}

// isIOError reports an I/O error of SQLite: after one at commit, what is on
// disk is unknown.
func isIOError(err error) bool {
	return sqliteCode(err)&0xff == sqlite3.SQLITE_IOERR
}

func isCollision(err error) bool {
	code := pgCode(err)
	return code == pgSerializationFailure || code == pgDeadlockDetected
}

// Micros gives t as the database keeps it: microseconds since 1970 UTC, and 0
// for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the inverse of Micros, in UTC: 0 gives the zero time.
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
