package jobs

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"vanthu/storage/sqldb"
)

// soon is how far ahead River's scheduler looks: a job due within it is
// available right away, and taken when its time has come.
const soon = 5 * time.Second

// laneIndex finds the waiting job of a lane. River's unique_key column holds
// the lane's digest, with unique_states empty, so that River's own unique
// index, which could make a retry fail, leaves it alone.
const laneIndex = `CREATE INDEX IF NOT EXISTS vanthu_job_lane ON river_job (unique_key)
	WHERE unique_key IS NOT NULL AND state IN ('available', 'pending', 'retryable', 'scheduled')`

const selectLane = `SELECT id, attempt, scheduled_at FROM river_job
	WHERE unique_key = $1 AND state IN ('available', 'pending', 'retryable', 'scheduled')
	ORDER BY scheduled_at LIMIT 1`

// Migrate brings River's tables up to date. New calls it.
func (q *Queue) Migrate(ctx context.Context) error {
	migrator, err := rivermigrate.New(q.river.Driver, &rivermigrate.Config{Logger: slog.New(errorsOnly{q.opts.Logger.Handler()})})
	if err != nil {
		return fmt.Errorf("preparing River's migrations: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrating River's tables: %w", err)
	}
	err = q.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, laneIndex)
		return err
	})
	if err != nil {
		return fmt.Errorf("indexing the lanes: %w", err)
	}
	return nil
}

func (q *Queue) add(ctx context.Context, tx *sqldb.Tx, kind Kind, args []byte, opts AddOptions) error {
	job := &riverdriver.JobInsertFastParams{
		EncodedArgs: args,
		Kind:        string(kind),
		MaxAttempts: opts.MaxAttempts,
		Metadata:    []byte("{}"),
		Priority:    river.PriorityDefault,
		Queue:       river.QueueDefault,
		State:       rivertype.JobStateAvailable,
		Tags:        []string{},
	}
	if job.MaxAttempts <= 0 {
		job.MaxAttempts = river.MaxAttemptsDefault
	}
	now := q.opts.Now()
	if opts.At.After(now) {
		job.ScheduledAt = &opts.At
		if opts.At.Sub(now) > soon {
			job.State = rivertype.JobStateScheduled
		}
	}
	if opts.Lane != "" {
		digest := sha256.Sum256([]byte(laneText(kind, opts.Lane)))
		joined, err := joinLane(ctx, tx, digest[:], now, opts.At)
		if err != nil || joined {
			return err
		}
		job.UniqueKey = digest[:]
		if job.Metadata, err = json.Marshal(metadata{Lane: opts.Lane}); err != nil {
			return err
		}
	}
	_, err := q.executor(tx).JobInsertFastManyNoReturning(shared(ctx, tx), &riverdriver.JobInsertFastManyParams{
		Jobs: []*riverdriver.JobInsertFastParams{job},
	})
	return err
}

// joinLane looks for a job of the lane that waits and will see what this
// transaction writes. On SQLite transactions follow one another, so it cannot
// be taken before this one is committed; on PostgreSQL its row is locked until
// then (River skips locked rows; if it took the row already, the transaction
// is repeated and finds it running).
func joinLane(ctx context.Context, tx *sqldb.Tx, digest []byte, now, at time.Time) (bool, error) {
	query := selectLane
	if tx.Engine() == sqldb.Postgres {
		query += " FOR UPDATE"
	}
	var id, attempt int64
	var due time.Time
	err := tx.QueryRow(ctx, query, digest).Scan(&id, &attempt, &due)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if at.Before(now) {
		at = now
	}
	// A job that has failed keeps its pause: new work does not make the other
	// side well.
	if attempt > 0 || !due.After(at) {
		return true, nil
	}
	state := rivertype.JobStateAvailable
	if at.Sub(now) > soon {
		state = rivertype.JobStateScheduled
	}
	_, err = tx.Exec(ctx, "UPDATE river_job SET scheduled_at = $1, state = $2 WHERE id = $3", riverTime(tx.Engine(), at), string(state), id)
	return true, err
}

// riverTime writes a time as River does: SQLite has no type for it.
func riverTime(engine sqldb.Engine, t time.Time) any {
	if engine == sqldb.SQLite {
		return t.UTC().Format("2006-01-02 15:04:05.000")
	}
	return t.UTC()
}

// deleteDone ends a job that was done.
func deleteDone(ctx context.Context, tx *sqldb.Tx, id int64) error {
	_, err := tx.Exec(ctx, "DELETE FROM river_job WHERE id = $1 AND state = 'running'", id)
	return err
}

// rescue puts back what a process that died left running, and frees the
// leadership it held. A job whose attempts are used up is dead: it may be what
// killed the process.
func (q *Queue) rescue(ctx context.Context) error {
	return q.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE river_job SET state = 'available' WHERE state = 'running' AND attempt < max_attempts"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE river_job SET state = 'discarded', finalized_at = $1 WHERE state = 'running'",
			riverTime(tx.Engine(), q.opts.Now()))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "DELETE FROM river_leader")
		return err
	})
}

// Stats counts the jobs.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	var stats Stats
	err := q.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		stats = Stats{}
		rows, err := tx.Query(ctx, `SELECT CAST(state AS TEXT), CASE WHEN attempt > 0 THEN 1 ELSE 0 END, count(*)
			FROM river_job GROUP BY 1, 2`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var state string
			var failed, n int64
			if err := rows.Scan(&state, &failed, &n); err != nil {
				return err
			}
			stats.count(rivertype.JobState(state), failed == 1, n)
		}
		return rows.Err()
	})
	if err != nil {
		return Stats{}, fmt.Errorf("counting jobs: %w", err)
	}
	return stats, nil
}

func (s *Stats) count(state rivertype.JobState, failed bool, n int64) {
	switch state {
	case rivertype.JobStateCompleted:
	case rivertype.JobStateRunning:
		s.Running += n
	case rivertype.JobStateCancelled, rivertype.JobStateDiscarded:
		s.Dead += n
	case rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateScheduled:
		if failed {
			s.Retrying += n
		} else {
			s.Waiting += n
		}
	}
}
