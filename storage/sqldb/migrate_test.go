package sqldb_test

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"

	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func tableExists(t *testing.T, db *sqldb.DB, table string) bool {
	t.Helper()
	return db.View(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		var n int
		return tx.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n)
	}) == nil
}

func TestMigrate(t *testing.T) {
	const one, two = "CREATE TABLE m_one (id TEXT PRIMARY KEY)", "CREATE TABLE m_two (id TEXT PRIMARY KEY); INSERT INTO m_two (id) VALUES ('x')"
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		steps := []struct {
			name  string
			owner string
			files fstest.MapFS
			err   error
		}{
			{"first", "m", files("0001_one.sql", one), nil},
			{"again", "m", files("0001_one.sql", one), nil},
			{"second", "m", files("0001_one.sql", one, "0003_two.sql", two), nil},
			{"edited", "m", files("0001_one.sql", one+" ", "0003_two.sql", two), sqldb.ErrSchema},
			{"newer database", "m", files("0001_one.sql", one), sqldb.ErrSchema},
			{"late file", "m", files("0001_one.sql", one, "0002_late.sql", "CREATE TABLE m_late (id TEXT)", "0003_two.sql", two), sqldb.ErrSchema},
			{"another owner", "n", files("0001_one.sql", "CREATE TABLE n_one (id TEXT PRIMARY KEY)"), nil},
		}
		for _, step := range steps {
			if err := db.Migrate(t.Context(), step.owner, step.files); !errors.Is(err, step.err) {
				t.Errorf("%s: got %v, want %v", step.name, err, step.err)
			}
		}
		for _, table := range []string{"m_one", "m_two", "n_one"} {
			if !tableExists(t, db, table) {
				t.Errorf("%s is missing", table)
			}
		}
	})
}

func TestMigrateIsAllOrNothing(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Migrate(t.Context(), "m", files("0001_one.sql", "CREATE TABLE m_one (id TEXT)", "0002_bad.sql", "CREATE NONSENSE"))
		if err == nil {
			t.Fatal("nonsense was applied")
		}
		if tableExists(t, db, "m_one") {
			t.Error("half a migration was kept")
		}
		for name, bad := range map[string]fstest.MapFS{
			"name":   files("start.sql", "SELECT 1"),
			"double": files("0001_a.sql", "SELECT 1", "0001_b.sql", "SELECT 1"),
		} {
			if err := db.Migrate(t.Context(), "m", bad); err == nil {
				t.Errorf("%s: not refused", name)
			}
		}
		if err := db.Migrate(t.Context(), "", files("0001_one.sql", "SELECT 1")); err == nil {
			t.Error("no owner: not refused")
		}
	})
}
