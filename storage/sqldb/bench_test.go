package sqldb_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"testing"

	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

const insertItem = "INSERT INTO test_item (id, owner, made) VALUES ($1, $2, $3)"

// BenchmarkUpdate measures durable transactions of three rows each, asked for
// by 1, 8 and 64 callers at once. "single" is the same work on the same file
// with a transaction per caller, as database/sql offers it.
func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("grouped/%d", callers), func(b *testing.B) {
			db := benchDB(b)
			inParallel(b, callers, func(ctx context.Context, id string) error {
				return db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
					for i := range 3 {
						if _, err := tx.Exec(ctx, insertItem, fmt.Sprint(id, i), "someone", i); err != nil {
							return err
						}
					}
					return nil
				})
			})
		})
		b.Run(fmt.Sprintf("single/%d", callers), func(b *testing.B) {
			db := benchDB(b)
			inParallel(b, callers, func(ctx context.Context, id string) error {
				tx, err := db.Writer().BeginTx(ctx, nil)
				if err != nil {
					return err
				}
				defer func() { _ = tx.Rollback() }() // a no-op after the commit
				for i := range 3 {
					if _, err := tx.ExecContext(ctx, insertItem, fmt.Sprint(id, i), "someone", i); err != nil {
						return err
					}
				}
				return tx.Commit()
			})
		})
	}
}

// BenchmarkView measures one look-up by key per snapshot.
func BenchmarkView(b *testing.B) {
	for _, callers := range []int{1, 8} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			db := benchDB(b)
			inParallel(b, callers, func(ctx context.Context, id string) error {
				return db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
					var n int
					return tx.QueryRow(ctx, "SELECT count(*) FROM test_item WHERE id = $1", id).Scan(&n)
				})
			})
		})
	}
}

func benchDB(b *testing.B) *sqldb.DB {
	db := sqldbtest.SQLite(b)
	if err := db.Migrate(b.Context(), "test", schema); err != nil {
		b.Fatal(err)
	}
	return db
}

func inParallel(b *testing.B, callers int, op func(ctx context.Context, id string) error) {
	prefix := rand.Text()
	var n atomic.Int64
	done := make(chan error, callers)
	b.ResetTimer()
	for range callers {
		go func() {
			for {
				i := n.Add(1)
				if i > int64(b.N) {
					done <- nil
					return
				}
				if err := op(context.Background(), fmt.Sprint(prefix, i)); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range callers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
}
