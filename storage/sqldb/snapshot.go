package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
)

// SnapshotSQLite writes the database in file from as of one moment to the new file to, while others read and write it
// (SQLite VACUUM INTO). to must not exist. The result is one file without a write-ahead log.
func SnapshotSQLite(ctx context.Context, from, to string) error {
	address := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: from}).EscapedPath(), RawQuery: "mode=ro&_pragma=busy_timeout(60000)"}).String()
	db, err := sql.Open("sqlite", address)
	if err != nil {
		return fmt.Errorf("opening %s: %w", from, err)
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("taking a snapshot of %s: %w", from, err)
	}
	return nil
}
