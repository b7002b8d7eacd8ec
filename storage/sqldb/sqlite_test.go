package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

func TestSQLiteFileIsPrivateAndAnyNameWorks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "văn thư #1? 100%.db")
	db, err := sqldb.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), "test", schema); err != nil {
		t.Fatal(err)
	}
	add(t, db, "a")
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", filepath.Base(name), info.Mode())
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = sqldb.OpenSQLite(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	want(t, db, "a")
}

func TestSQLiteRefusesWhatIsNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err := sqldb.OpenSQLite(t.Context(), path); err == nil {
		t.Error(db.Close())
		t.Error("opened a file that is no database")
	}
}

// A full disk refuses the caller that needs the room, keeps what was
// acknowledged, and writes again once there is room.
func TestSQLiteFull(t *testing.T) {
	db := sqldbtest.SQLite(t)
	if err := db.Migrate(t.Context(), "test", schema); err != nil {
		t.Fatal(err)
	}
	add(t, db, "a")
	limit := func(pages int) {
		if _, err := db.Writer().ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(20)
	fill := func(ctx context.Context, tx *sqldb.Tx) error {
		for i := range 100 {
			if err := insert(ctx, tx, fmt.Sprintf("%04d%s", i, strings.Repeat("x", 3000))); err != nil {
				return err
			}
		}
		return nil
	}
	errs := together(t, db,
		func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "b") },
		fill,
		func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "c") },
	)
	if !errors.Is(errs[1], sqldb.ErrFull) || !sqldb.IsFull(errs[1]) {
		t.Errorf("got %v, want ErrFull", errs[1])
	}
	expect := []string{"a"}
	for i, id := range map[int]string{0: "b", 2: "c"} {
		if errs[i] == nil {
			expect = append(expect, id)
		}
	}
	if got := strings.Fields(ids(t, db)); len(got) != len(expect) {
		t.Errorf("rows %v, acknowledged %v", got, expect)
	}
	limit(1 << 30)
	add(t, db, "d")
}

func TestSQLiteCloseServesThoseWhoWait(t *testing.T) {
	db, err := sqldb.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "close.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), "test", schema); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				return insert(ctx, tx, fmt.Sprint(i))
			})
			if err != nil && !errors.Is(err, sqldb.ErrClosed) {
				t.Error(err)
			}
		})
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// When SQLite gives up the whole transaction (as it may on a full disk or an
// I/O error; here a caller does it), nobody in it is told that it was kept,
// and those who had no turn yet lose nothing.
func TestSQLiteLostTransaction(t *testing.T) {
	db := sqldbtest.SQLite(t)
	if err := db.Migrate(t.Context(), "test", schema); err != nil {
		t.Fatal(err)
	}
	errs := together(t, db,
		func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "a") },
		func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "ROLLBACK")
			return err
		},
		func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "c") },
	)
	if errs[0] == nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("got %v", errs)
	}
	want(t, db, "c")
	add(t, db, "d")
	want(t, db, "c d")
}
