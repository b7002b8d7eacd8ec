package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"time"
)

// ErrSchema says that the database and the program's migrations do not fit
// together: a file was edited after it had been applied, or the database was
// made by a newer program.
var ErrSchema = errors.New("database schema does not fit this program")

var migrationName = regexp.MustCompile(`^([0-9]{4})_[a-z0-9_]+\.sql$`)

const createMigrationTable = `CREATE TABLE IF NOT EXISTS vanthu_migration (
	owner TEXT NOT NULL,
	number BIGINT NOT NULL,
	name TEXT NOT NULL,
	digest TEXT NOT NULL,
	applied BIGINT NOT NULL,
	PRIMARY KEY (owner, number)
)`

// migrationLock is the advisory lock under which programs that share a
// PostgreSQL database migrate one at a time.
const migrationLock = 0x76616e7468750001 // "vanthu" 1

type migration struct {
	number int64
	name   string
	digest string
	text   string
}

// Migrate brings the tables of owner (one package) up to date: the files
// NNNN_name.sql at the top of files run in the order of their numbers, each
// once, all in one transaction. The SHA-256 of each is kept in the table
// vanthu_migration. It gives ErrSchema, and changes nothing, when a file that
// was applied differs now, when the database holds a number the program does
// not know, or when a new file stands before an applied one.
func (db *DB) Migrate(ctx context.Context, owner string, files fs.FS) error {
	if owner == "" {
		return errors.New("a migration needs an owner")
	}
	wanted, err := readMigrations(files)
	if err != nil {
		return fmt.Errorf("reading the migrations of %s: %w", owner, err)
	}
	run := func(ctx context.Context, tx *Tx) error { return migrate(ctx, tx, owner, wanted) }
	if db.engine == SQLite {
		err = db.Update(ctx, run)
	} else if err = db.usable(ctx); err == nil {
		err = db.updatePostgres(ctx, sql.LevelReadCommitted, func(ctx context.Context, tx *Tx) error {
			if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
				return err
			}
			return run(ctx, tx)
		})
	}
	if err != nil {
		return fmt.Errorf("migrating %s: %w", owner, err)
	}
	return nil
}

func readMigrations(files fs.FS) ([]migration, error) {
	entries, err := fs.ReadDir(files, ".") // sorted by name, hence by number
	if err != nil {
		return nil, err
	}
	var all []migration
	for _, entry := range entries {
		match := migrationName.FindStringSubmatch(entry.Name())
		if match == nil {
			return nil, fmt.Errorf("%s is not named NNNN_name.sql", entry.Name())
		}
		text, err := fs.ReadFile(files, entry.Name())
		if err != nil {
			return nil, err
		}
		number, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil {
			return nil, err
		}
		if len(all) > 0 && all[len(all)-1].number == number {
			return nil, fmt.Errorf("two files have the number %s", match[1])
		}
		digest := sha256.Sum256(text)
		all = append(all, migration{number: number, name: entry.Name(), digest: hex.EncodeToString(digest[:]), text: string(text)})
	}
	return all, nil
}

func migrate(ctx context.Context, tx *Tx, owner string, wanted []migration) error {
	if _, err := tx.Exec(ctx, createMigrationTable); err != nil {
		return err
	}
	applied, err := appliedMigrations(ctx, tx, owner)
	if err != nil {
		return err
	}
	last := int64(-1)
	known := make(map[int64]bool)
	for _, m := range wanted {
		known[m.number] = true
	}
	for number, m := range applied {
		last = max(last, number)
		if !known[number] {
			return fmt.Errorf("%w: it has %s, which a newer program made; use that program or a backup", ErrSchema, m.name)
		}
	}
	for _, m := range wanted {
		if old, ok := applied[m.number]; ok {
			if old.digest != m.digest {
				return fmt.Errorf("%w: %s was edited after it had been applied; add a new file instead", ErrSchema, m.name)
			}
			continue
		}
		if m.number < last {
			return fmt.Errorf("%w: %s stands before a migration that was applied already", ErrSchema, m.name)
		}
		if err := apply(ctx, tx, owner, m); err != nil {
			return fmt.Errorf("applying %s: %w", m.name, err)
		}
	}
	return nil
}

func appliedMigrations(ctx context.Context, tx *Tx, owner string) (map[int64]migration, error) {
	rows, err := tx.Query(ctx, "SELECT number, name, digest FROM vanthu_migration WHERE owner = $1", owner)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	applied := make(map[int64]migration)
	for rows.Next() {
		var m migration
		if err := rows.Scan(&m.number, &m.name, &m.digest); err != nil {
			return nil, err
		}
		applied[m.number] = m
	}
	return applied, rows.Err()
}

func apply(ctx context.Context, tx *Tx, owner string, m migration) error {
	if _, err := tx.Exec(ctx, m.text); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "INSERT INTO vanthu_migration (owner, number, name, digest, applied) VALUES ($1, $2, $3, $4, $5)",
		owner, m.number, m.name, m.digest, Micros(time.Now()))
	return err
}
