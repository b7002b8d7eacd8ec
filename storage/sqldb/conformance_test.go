package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

var schema = fstest.MapFS{"0001_start.sql": {Data: []byte(`
CREATE TABLE test_item (id TEXT PRIMARY KEY, owner TEXT NOT NULL, made BIGINT NOT NULL);
CREATE INDEX test_item_owner ON test_item (owner);
CREATE TABLE test_counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
`)}}

// each migrates the test tables on every engine.
func each(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if err := db.Migrate(t.Context(), "test", schema); err != nil {
			t.Fatal(err)
		}
		test(t, db)
	})
}

func insert(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, "INSERT INTO test_item (id, owner, made) VALUES ($1, $2, $3)", id, "someone", 1)
	return err
}

func add(t *testing.T, db *sqldb.DB, id string) {
	t.Helper()
	err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, id) })
	if err != nil {
		t.Fatal(err)
	}
}

// ids lists what another reader sees.
func ids(t *testing.T, db *sqldb.DB) string {
	t.Helper()
	var all []string
	err := db.View(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		all = nil
		rows, err := tx.Query(ctx, "SELECT id FROM test_item ORDER BY id")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			all = append(all, id)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func want(t *testing.T, db *sqldb.DB, expect string) {
	t.Helper()
	if got := ids(t, db); got != expect {
		t.Errorf("rows: got %q, want %q", got, expect)
	}
}

// together runs the functions so that SQLite has them in one batch: the first
// caller holds its turn until the others wait.
func together(t *testing.T, db *sqldb.DB, fns ...func(ctx context.Context, tx *sqldb.Tx) error) []error {
	t.Helper()
	errs := make([]error, len(fns))
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	wg.Go(func() {
		err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			once.Do(func() { close(begun) })
			<-release
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	for i, fn := range fns {
		wg.Go(func() { errs[i] = db.Update(t.Context(), fn) })
		time.Sleep(5 * time.Millisecond) // keeps their order
	}
	close(release)
	wg.Wait()
	return errs
}

func TestErrorUndoesOnlyItsOwnWork(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		own := errors.New("own error")
		errs := together(t, db,
			func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "a") },
			func(ctx context.Context, tx *sqldb.Tx) error { return errors.Join(insert(ctx, tx, "b"), own) },
			func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "c") },
		)
		if errs[0] != nil || !errors.Is(errs[1], own) || errs[2] != nil {
			t.Errorf("got %v", errs)
		}
		want(t, db, "a c")
	})
}

func TestFailedStatementDoomsTheTransaction(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		add(t, db, "a")
		var conflict, later error
		err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			if err := insert(ctx, tx, "b"); err != nil {
				return err
			}
			conflict = insert(ctx, tx, "a")
			later = insert(ctx, tx, "c")
			return nil // swallowed: the work must not be kept all the same
		})
		if !sqldb.IsConflict(conflict) || !sqldb.IsConflict(later) || !sqldb.IsConflict(err) {
			t.Errorf("got %v, %v, %v; want conflicts", conflict, later, err)
		}
		if sqldb.IsConflict(errors.New("UNIQUE constraint failed")) {
			t.Error("IsConflict must look at the code, not at the text")
		}
		want(t, db, "a")
	})
}

func TestFailedQueryRowDooms(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		add(t, db, "a")
		err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			var id string
			_ = tx.QueryRow(ctx, "INSERT INTO test_item (id, owner, made) VALUES ($1, '', 0) RETURNING id", "a").Scan(&id)
			return nil
		})
		if !sqldb.IsConflict(err) {
			t.Errorf("got %v, want a conflict", err)
		}
		err = db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			var id string
			err := tx.QueryRow(ctx, "SELECT id FROM test_item WHERE id = $1", "none").Scan(&id)
			if !errors.Is(err, sql.ErrNoRows) {
				t.Errorf("got %v, want ErrNoRows", err)
			}
			return insert(ctx, tx, "b") // no rows dooms nothing
		})
		if err != nil {
			t.Error(err)
		}
		want(t, db, "a b")
	})
}

func TestPanicUndoesAndReachesTheCaller(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		func() {
			defer func() {
				if r := recover(); r != "boom" {
					t.Errorf("recovered %v", r)
				}
			}()
			_ = db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				if err := insert(ctx, tx, "a"); err != nil {
					return err
				}
				panic("boom")
			})
		}()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				defer runtime.Goexit()
				return insert(ctx, tx, "b")
			})
		}()
		<-done
		add(t, db, "c")
		want(t, db, "c")
	})
}

func TestCancelledContext(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		err := db.Update(gone, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "a") })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("before: got %v", err)
		}
		running, cancel := context.WithCancel(t.Context())
		err = db.Update(running, func(ctx context.Context, tx *sqldb.Tx) error {
			if err := insert(ctx, tx, "b"); err != nil {
				return err
			}
			cancel()
			if err := insert(ctx, tx, "c"); !errors.Is(err, context.Canceled) {
				t.Errorf("statement after the cancel: got %v", err)
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("while running: got %v", err)
		}
		add(t, db, "d")
		want(t, db, "d")
	})
}

func TestCancelWhileWaiting(t *testing.T) {
	db := sqldbtest.SQLite(t)
	begun, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := db.Update(t.Context(), func(context.Context, *sqldb.Tx) error {
			close(begun)
			<-release
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := db.Update(ctx, func(context.Context, *sqldb.Tx) error {
		t.Error("ran although its caller had left")
		return nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(release)
	wg.Wait()
}

func TestAfterCommit(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		var mu sync.Mutex
		var ran []string
		note := func(tx *sqldb.Tx, id string) {
			tx.AfterCommit(func() {
				mu.Lock()
				defer mu.Unlock()
				if !strings.Contains(" "+ids(t, db)+" ", " "+id+" ") {
					t.Errorf("%s: ran before its row could be seen", id)
				}
				ran = append(ran, id)
			})
		}
		err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			note(tx, "a")
			note(tx, "a")
			return insert(ctx, tx, "a")
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(ran, " "); got != "a a" {
			t.Errorf("ran %q when Update returned", got)
		}
		_ = db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			tx.AfterCommit(func() { t.Error("ran after a rollback") })
			return errors.New("no")
		})
		if db.Engine() != sqldb.SQLite {
			return // callers commit on their own, in any order
		}
		ran = nil
		together(t, db,
			func(ctx context.Context, tx *sqldb.Tx) error { note(tx, "b"); return insert(ctx, tx, "b") },
			func(ctx context.Context, tx *sqldb.Tx) error { note(tx, "c"); return insert(ctx, tx, "c") },
			func(ctx context.Context, tx *sqldb.Tx) error { note(tx, "d"); return insert(ctx, tx, "d") },
		)
		if got := strings.Join(ran, " "); got != "b c d" {
			t.Errorf("ran %q, want the order of the callers", got)
		}
	})
}

func TestManyWritersSeeTheirOwnCommits(t *testing.T) {
	const writers, rounds = 64, 10
	each(t, func(t *testing.T, db *sqldb.DB) {
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for r := range rounds {
					id := fmt.Sprintf("%d-%d", w, r)
					err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, id) })
					if err != nil {
						t.Error(err)
						return
					}
					err = db.View(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
						var found string
						return tx.QueryRow(ctx, "SELECT id FROM test_item WHERE id = $1", id).Scan(&found)
					})
					if err != nil {
						t.Errorf("%s: %v", id, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// Reading, deciding and writing must be safe without a lock: both engines
// serialise Updates.
func TestUpdatesAreSerialisable(t *testing.T) {
	const writers, rounds = 8, 10
	each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO test_counter (name, value) VALUES ($1, 0)", "n")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var runs atomic.Int64
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range rounds {
					err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
						runs.Add(1)
						var value int64
						if err := tx.QueryRow(ctx, "SELECT value FROM test_counter WHERE name = $1", "n").Scan(&value); err != nil {
							return err
						}
						_, err := tx.Exec(ctx, "UPDATE test_counter SET value = $1 WHERE name = $2", value+1, "n")
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		err = db.View(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			var value int64
			if err := tx.QueryRow(ctx, "SELECT value FROM test_counter WHERE name = $1", "n").Scan(&value); err != nil {
				return err
			}
			if value != writers*rounds {
				t.Errorf("counted %d, want %d", value, writers*rounds)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		t.Logf("%d runs for %d updates", runs.Load(), writers*rounds)
	})
}

func TestViewIsASnapshotAndReadOnly(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		add(t, db, "a")
		err := db.View(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			count := func() (n int) {
				if err := tx.QueryRow(ctx, "SELECT count(*) FROM test_item").Scan(&n); err != nil {
					t.Error(err)
				}
				return n
			}
			before := count()
			add(t, db, "b")
			if after := count(); after != before {
				t.Errorf("the view changed from %d to %d rows", before, after)
			}
			if err := insert(ctx, tx, "c"); err == nil {
				t.Error("a view could write")
			}
			return nil
		})
		if err == nil {
			t.Error("the failed statement was forgotten")
		}
		want(t, db, "a b")
	})
}

func TestNestedAndLateUseAreRefused(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		var kept *sqldb.Tx
		err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			kept = tx
			if err := db.Update(ctx, func(context.Context, *sqldb.Tx) error { return nil }); err == nil {
				t.Error("a nested Update was not refused")
			}
			if err := db.View(ctx, func(context.Context, *sqldb.Tx) error { return nil }); err == nil {
				t.Error("a nested View was not refused")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := insert(t.Context(), kept, "late"); err == nil {
			t.Error("a finished transaction could write")
		}
		want(t, db, "")
	})
}

func TestClosed(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		nothing := func(context.Context, *sqldb.Tx) error { return nil }
		if err := db.Update(t.Context(), nothing); !errors.Is(err, sqldb.ErrClosed) {
			t.Errorf("Update: %v", err)
		}
		if err := db.View(t.Context(), nothing); !errors.Is(err, sqldb.ErrClosed) {
			t.Errorf("View: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("closing twice: %v", err)
		}
	})
}

func TestTimes(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 11, 12, 345678000, time.FixedZone("ICT", 7*3600))
	if got := sqldb.Time(sqldb.Micros(at)); !got.Equal(at) || got.Location() != time.UTC {
		t.Errorf("got %v", got)
	}
	if sqldb.Micros(time.Time{}) != 0 || !sqldb.Time(0).IsZero() {
		t.Error("the zero time is 0")
	}
}
