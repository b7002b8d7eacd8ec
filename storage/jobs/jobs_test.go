package jobs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

const patience = 15 * time.Second

func each(t *testing.T, test func(t *testing.T, db *sqldb.DB, q *jobs.Queue)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		q, err := jobs.New(db, jobs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		test(t, db, q)
	})
}

func start(t *testing.T, q *jobs.Queue) {
	t.Helper()
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := q.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

func add(t *testing.T, db *sqldb.DB, q *jobs.Queue, kind jobs.Kind, args any, opts jobs.AddOptions) {
	t.Helper()
	err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return q.Add(ctx, tx, kind, args, opts)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func stats(t *testing.T, q *jobs.Queue) jobs.Stats {
	t.Helper()
	s, err := q.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRunsWhatWasCommittedWithItsArguments(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, q *jobs.Queue) {
		type args struct {
			Name string
			N    int64
		}
		got := make(chan args, 10)
		q.Handle("test.run", func(_ context.Context, raw json.RawMessage) error {
			var a args
			if err := json.Unmarshal(raw, &a); err != nil {
				return err
			}
			got <- a
			return nil
		})
		start(t, q)
		want := args{Name: "Công văn số 5 \x00\u0001 \"x\"", N: 1<<53 + 1}
		refused := errors.New("no")
		err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return errors.Join(q.Add(ctx, tx, "test.run", args{Name: "rolled back"}, jobs.AddOptions{}), refused)
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		add(t, db, q, "test.run", want, jobs.AddOptions{})
		if a := receive(t, got); a != want {
			t.Errorf("got %+v, want %+v", a, want)
		}
		eventually(t, "the queue is empty", func() bool { return stats(t, q) == jobs.Stats{} })
		if len(got) != 0 {
			t.Errorf("ran too: %+v", <-got)
		}
	})
}

func TestWakesUpAtOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		q, err := jobs.New(db, jobs.Options{PollInterval: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan time.Time, 1)
		q.Handle("test.wake", func(context.Context, json.RawMessage) error { ran <- time.Now(); return nil })
		start(t, q)
		time.Sleep(50 * time.Millisecond)
		var worst time.Duration
		for range 20 {
			began := time.Now()
			add(t, db, q, "test.wake", nil, jobs.AddOptions{})
			worst = max(worst, receive(t, ran).Sub(began))
			time.Sleep(10 * time.Millisecond)
		}
		t.Logf("slowest from Add to handler: %v", worst)
	})
}

func TestFailuresComeBackAndEndAsDeadLetters(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, q *jobs.Queue) {
		var fails, panics, cancels, snoozes atomic.Int64
		q.Handle("test.fail", func(context.Context, json.RawMessage) error { fails.Add(1); return errors.New("no luck") })
		q.Handle("test.panic", func(context.Context, json.RawMessage) error {
			if panics.Add(1) == 1 {
				panic("oh")
			}
			return nil
		})
		q.Handle("test.cancel", func(context.Context, json.RawMessage) error {
			cancels.Add(1)
			return jobs.Cancel(errors.New("never"))
		})
		q.Handle("test.snooze", func(context.Context, json.RawMessage) error {
			if snoozes.Add(1) <= 3 {
				return jobs.Snooze(20 * time.Millisecond)
			}
			return nil
		})
		start(t, q)
		add(t, db, q, "test.fail", nil, jobs.AddOptions{MaxAttempts: 2})
		add(t, db, q, "test.panic", nil, jobs.AddOptions{})
		add(t, db, q, "test.cancel", nil, jobs.AddOptions{})
		add(t, db, q, "test.snooze", nil, jobs.AddOptions{MaxAttempts: 1})
		eventually(t, "two dead, none else", func() bool { return stats(t, q) == jobs.Stats{Dead: 2} })
		if fails.Load() != 2 || panics.Load() != 2 || cancels.Load() != 1 || snoozes.Load() != 4 {
			t.Errorf("ran %d, %d, %d, %d times; want 2, 2, 1, 4", fails.Load(), panics.Load(), cancels.Load(), snoozes.Load())
		}
	})
}

func TestJobForLater(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, q *jobs.Queue) {
		ran := make(chan time.Time, 1)
		q.Handle("test.later", func(context.Context, json.RawMessage) error { ran <- time.Now(); return nil })
		start(t, q)
		at := time.Now().Add(400 * time.Millisecond)
		add(t, db, q, "test.later", nil, jobs.AddOptions{At: at})
		if s := stats(t, q); s.Waiting != 1 {
			t.Errorf("got %+v", s)
		}
		// River keeps milliseconds.
		if got := receive(t, ran); got.Before(at.Add(-2 * time.Millisecond)) {
			t.Errorf("ran %v too early", at.Sub(got))
		}
	})
}

func TestLaneHasOneWaitingJob(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, q *jobs.Queue) {
		for range 5 {
			add(t, db, q, "test.lane", nil, jobs.AddOptions{Lane: "a"})
			add(t, db, q, "test.lane", nil, jobs.AddOptions{Lane: "b"})
			add(t, db, q, "test.lane2", nil, jobs.AddOptions{Lane: "b"})
		}
		if s := stats(t, q); s.Waiting != 3 {
			t.Errorf("got %+v, want 3 waiting", s)
		}
	})
}

func TestLaneJobForLaterIsBroughtForward(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, q *jobs.Queue) {
		ran := make(chan bool, 10)
		q.Handle("test.lane", func(context.Context, json.RawMessage) error { ran <- true; return nil })
		start(t, q)
		for _, wait := range []time.Duration{time.Hour, 24 * time.Hour} { // only the second job can bring it forward
			add(t, db, q, "test.lane", nil, jobs.AddOptions{Lane: "a", At: time.Now().Add(wait)})
			add(t, db, q, "test.lane", nil, jobs.AddOptions{Lane: "a"})
			receive(t, ran)
		}
		eventually(t, "nothing is left", func() bool { return stats(t, q) == jobs.Stats{} })
	})
}

// What is added to a lane while its handler runs must be seen by a later run,
// however the present one ends, and never by two at once.
func TestLaneAddedWhileRunning(t *testing.T) {
	ends := map[string]error{"nil": nil, "error": errors.New("x"), "cancel": jobs.Cancel(errors.New("x")), "snooze": jobs.Snooze(time.Hour)}
	each(t, func(t *testing.T, db *sqldb.DB, q *jobs.Queue) {
		var mu sync.Mutex
		first := make(map[string]bool)
		entered, proceed := make(chan string, 10), make(map[string]chan bool)
		seen := make(chan string, 10)
		for name := range ends {
			proceed[name] = make(chan bool)
		}
		q.Handle("test.lane", func(_ context.Context, raw json.RawMessage) error {
			var name string
			if err := json.Unmarshal(raw, &name); err != nil {
				return err
			}
			mu.Lock()
			again := first[name]
			first[name] = true
			mu.Unlock()
			if again {
				seen <- name
				return nil
			}
			entered <- name
			<-proceed[name]
			return ends[name]
		})
		start(t, q)
		for name := range ends {
			add(t, db, q, "test.lane", name, jobs.AddOptions{Lane: name})
			receive(t, entered)
			add(t, db, q, "test.lane", name, jobs.AddOptions{Lane: name})
		}
		time.Sleep(200 * time.Millisecond)
		if len(seen) != 0 {
			t.Errorf("lane %s was entered twice at a time", <-seen)
		}
		for name := range ends {
			close(proceed[name])
		}
		got := make(map[string]bool)
		for range ends {
			got[receive(t, seen)] = true
		}
		if len(got) != len(ends) {
			t.Errorf("seen %v", got)
		}
	})
}

// Many writers and one lane: the last run begins after the last commit.
func TestLaneLosesNothing(t *testing.T) {
	const writers, rounds = 8, 25
	each(t, func(t *testing.T, db *sqldb.DB, q *jobs.Queue) {
		err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "CREATE TABLE test_work (id TEXT PRIMARY KEY)")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var done, inside atomic.Int64
		q.Handle("test.lane", func(ctx context.Context, _ json.RawMessage) error {
			if inside.Add(1) != 1 {
				t.Error("two handlers in one lane")
			}
			defer inside.Add(-1)
			return db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				res, err := tx.Exec(ctx, "DELETE FROM test_work")
				if err != nil {
					return err
				}
				n, err := res.RowsAffected()
				tx.AfterCommit(func() { done.Add(n) })
				return err
			})
		})
		start(t, q)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for r := range rounds {
					err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
						if _, err := tx.Exec(ctx, "INSERT INTO test_work (id) VALUES ($1)", string(rune('a'+w))+string(rune('a'+r))); err != nil {
							return err
						}
						return q.Add(ctx, tx, "test.lane", nil, jobs.AddOptions{Lane: "one"})
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "all work is done", func() bool { return done.Load() == writers*rounds })
	})
}

func TestStopWaitsForRunningJobs(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, q *jobs.Queue) {
		entered := make(chan bool, 1)
		var finished atomic.Bool
		q.Handle("test.slow", func(context.Context, json.RawMessage) error {
			entered <- true
			time.Sleep(200 * time.Millisecond)
			finished.Store(true)
			return nil
		})
		if err := q.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		add(t, db, q, "test.slow", nil, jobs.AddOptions{})
		receive(t, entered)
		if err := q.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if !finished.Load() {
			t.Error("Stop did not wait")
		}
		if s := stats(t, q); s != (jobs.Stats{}) {
			t.Errorf("left %+v", s)
		}
	})
}

func TestStopCancelsWhatTakesTooLong(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, q *jobs.Queue) {
		entered := make(chan bool, 1)
		q.Handle("test.endless", func(ctx context.Context, _ json.RawMessage) error {
			entered <- true
			<-ctx.Done()
			return ctx.Err()
		})
		if err := q.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		add(t, db, q, "test.endless", nil, jobs.AddOptions{})
		receive(t, entered)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := q.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if s := stats(t, q); s.Running != 0 || s.Retrying+s.Waiting != 1 {
			t.Errorf("left %+v", s)
		}
	})
}

func TestBadKinds(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, q *jobs.Queue) {
		nothing := func(context.Context, json.RawMessage) error { return nil }
		q.Handle("x", nothing)
		q.Handle("test.twice", nothing)
		q.Handle("test.twice", nothing)
		if err := q.Start(t.Context()); err == nil {
			t.Error("bad kinds were not refused")
		}
		err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return q.Add(ctx, tx, "x", nil, jobs.AddOptions{})
		})
		if err == nil {
			t.Error("a kind of one letter was not refused")
		}
	})
}

const crashEnv = "VANTHU_TEST_JOBS_CRASH"

// TestCrashChild is the process that TestRunsAgainAfterKill kills.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(crashEnv)
	if path == "" {
		return // it is no test of its own
	}
	db, err := sqldb.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	q, err := jobs.New(db, jobs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q.Handle("test.crash", func(context.Context, json.RawMessage) error {
		fmt.Println("running")
		select {}
	})
	start(t, q)
	add(t, db, q, "test.crash", nil, jobs.AddOptions{Lane: "a"})
	add(t, db, q, "test.crash", nil, jobs.AddOptions{MaxAttempts: 1})
	select {}
}

func TestRunsAgainAfterKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crash.db")
	child := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	child.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; n < 2 && lines.Scan(); {
		if lines.Text() == "running" {
			n++
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed

	db, err := sqldb.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	q, err := jobs.New(db, jobs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan bool, 10)
	q.Handle("test.crash", func(context.Context, json.RawMessage) error { ran <- true; return nil })
	start(t, q)
	receive(t, ran)
	eventually(t, "the one with no attempt left is dead", func() bool { return stats(t, q) == jobs.Stats{Dead: 1} })
}
