// Package sqldbtest runs a test on every SQL engine: on SQLite always, on
// PostgreSQL when VANTHU_TEST_POSTGRES holds the URL of a database in which
// schemas may be made. When VANTHU_TEST_REQUIRE names "postgres", a missing
// URL fails the test instead of leaving PostgreSQL out.
package sqldbtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vanthu/storage/sqldb"
)

// The environment the tests look at.
const (
	envPostgres = "VANTHU_TEST_POSTGRES"
	envRequire  = "VANTHU_TEST_REQUIRE"
)

// Each runs test once per engine, each time on an empty database that goes
// away with the test.
func Each(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	t.Run(string(sqldb.SQLite), func(t *testing.T) { test(t, SQLite(t)) })
	t.Run(string(sqldb.Postgres), func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite opens an empty SQLite database in a temporary folder.
func SQLite(tb testing.TB) *sqldb.DB {
	tb.Helper()
	db, err := sqldb.OpenSQLite(context.Background(), filepath.Join(tb.TempDir(), "test.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// Postgres opens an empty schema of its own in the test server's database, or
// skips the test when there is no server and none is required.
func Postgres(tb testing.TB) *sqldb.DB {
	tb.Helper()
	db, err := sqldb.OpenPostgres(context.Background(), PostgresURL(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// PostgresURL makes an empty schema and gives a URL that leads into it, for
// tests that open it more than once.
func PostgresURL(tb testing.TB) string {
	tb.Helper()
	base := os.Getenv(envPostgres)
	if base == "" {
		if strings.Contains(os.Getenv(envRequire), "postgres") {
			tb.Fatalf("%s requires postgres, but %s is not set", envRequire, envPostgres)
		}
		tb.Skipf("%s is not set", envPostgres)
	}
	schema := "test_" + strings.ToLower(rand.Text())
	exec(tb, base, "CREATE SCHEMA "+schema)
	tb.Cleanup(func() { exec(tb, base, "DROP SCHEMA "+schema+" CASCADE") })
	u, err := url.Parse(base)
	if err != nil {
		tb.Fatalf("%s is not a URL", envPostgres)
	}
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String()
}

func exec(tb testing.TB, base, statement string) {
	tb.Helper()
	err := func() error {
		db, err := sqldb.OpenPostgres(context.Background(), base)
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		_, err = db.Writer().ExecContext(context.Background(), statement)
		return err
	}()
	if err != nil {
		tb.Fatal(fmt.Errorf("%s: %w", statement, err))
	}
}
