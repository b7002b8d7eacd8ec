package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

// BenchmarkJobs measures jobs added one per transaction by 16 callers and
// worked meanwhile, until the last is done.
func BenchmarkJobs(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchJobs(b, sqldbtest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { benchJobs(b, sqldbtest.Postgres(b)) })
}

func benchJobs(b *testing.B, db *sqldb.DB) {
	q, err := jobs.New(db, jobs.Options{Workers: 64})
	if err != nil {
		b.Fatal(err)
	}
	var done sync.WaitGroup
	q.Handle("bench.run", func(context.Context, json.RawMessage) error { done.Done(); return nil })
	if err := q.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	const callers = 16
	done.Add(b.N)
	errs := make(chan error, callers)
	for c := range callers {
		go func() {
			for i := c; i < b.N; i += callers {
				err := db.Update(b.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
					return q.Add(ctx, tx, "bench.run", map[string]string{"document": fmt.Sprint(i)}, jobs.AddOptions{})
				})
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	added := b.Elapsed()
	done.Wait()
	b.ReportMetric(float64(b.N)/added.Seconds(), "added/s")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.StopTimer()
	if err := q.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
}
