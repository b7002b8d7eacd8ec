package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"modernc.org/sqlite"
)

// Milliseconds to wait for a lock that another process holds (a backup, the
// sqlite3 shell); the hub itself never competes for one.
const busyTimeout = "10000"

// OpenSQLite opens, or makes, the database file at path: WAL mode,
// synchronous=FULL, foreign keys enforced, one connection that writes and
// several that only read. A new file is readable by its owner alone.
func OpenSQLite(ctx context.Context, path string) (*DB, error) {
	if err := createFile(path); err != nil {
		return nil, fmt.Errorf("creating %s: %w", path, err)
	}
	writers, err := openPool(ctx, path, 1, url.Values{
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(" + busyTimeout + ")", "journal_mode(WAL)", "synchronous(FULL)",
			"foreign_keys(1)", "cache_size(-65536)", "temp_store(MEMORY)", "trusted_schema(0)",
			"journal_size_limit(67108864)",
		},
	})
	if err != nil {
		return nil, err
	}
	if err := checkPragmas(ctx, writers); err != nil {
		return nil, errors.Join(err, writers.Close())
	}
	readers, err := openPool(ctx, path, max(4, 2*runtime.GOMAXPROCS(0)), url.Values{
		"_pragma": {
			"busy_timeout(" + busyTimeout + ")", "query_only(1)", "cache_size(-16384)",
			"temp_store(MEMORY)", "trusted_schema(0)",
		},
	})
	if err != nil {
		return nil, errors.Join(err, writers.Close())
	}
	return &DB{engine: SQLite, writers: writers, readers: readers, group: newGroup(writers)}, nil
}

func openPool(ctx context.Context, path string, conns int, options url.Values) (*sql.DB, error) {
	// A file: URI, escaped, so that any character may stand in the path.
	dsn := "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + options.Encode()
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	pool := sql.OpenDB(cachingConnector{connector})
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), pool.Close())
	}
	return pool, nil
}

// checkPragmas makes sure that durability is what we promise: SQLite answers a
// journal mode it cannot have (a file system without shared memory, say) with
// another one, not with an error.
func checkPragmas(ctx context.Context, pool *sql.DB) error {
	var mode string
	var synchronous, foreignKeys int
	if err := pool.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return fmt.Errorf("reading the journal mode: %w", err)
	}
	if err := pool.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return fmt.Errorf("reading the synchronous setting: %w", err)
	}
	if err := pool.QueryRowContext(ctx, "PRAGMA foreign_keys").Scan(&foreignKeys); err != nil {
		return fmt.Errorf("reading the foreign key setting: %w", err)
	}
	const full = 2
	if mode != "wal" || synchronous != full || foreignKeys != 1 {
		return fmt.Errorf("SQLite refused durable settings: journal_mode=%s synchronous=%d foreign_keys=%d", mode, synchronous, foreignKeys)
	}
	return nil
}

// createFile makes an empty database file with the owner's rights only (the
// WAL takes its rights from it) and makes its name durable.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
