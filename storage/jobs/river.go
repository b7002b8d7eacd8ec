package jobs

import (
	"context"
	"database/sql"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivershared/baseservice"
	"github.com/riverqueue/river/rivershared/riverpilot"
	"github.com/riverqueue/river/rivertype"

	"vanthu/storage/sqldb"
)

type sqlTx = *sql.Tx

// riverDriver is River's own driver for the engine, with two changes: its
// listener is a bell inside the process (River's SQLite listener polls a
// table, and its database/sql driver has none), and its pilot works through
// sqldb's group commit. The versions of River's modules are pinned exactly,
// since these seams are not promised to stay.
type riverDriver struct {
	riverdriver.Driver[sqlTx]
	queue *Queue
}

func newRiverDriver(q *Queue) riverDriver {
	if q.db.Engine() == sqldb.SQLite {
		return riverDriver{Driver: riversqlite.New(q.db.Writer()), queue: q}
	}
	return riverDriver{Driver: riverdatabasesql.New(q.db.Writer()), queue: q}
}

// SupportsListener says that River should wait for the bell.
func (d riverDriver) SupportsListener() bool { return true }

// SupportsListenNotify keeps River from writing notifications: Add rings the
// bell after the commit.
func (d riverDriver) SupportsListenNotify() bool { return false }

// GetListener gives the bell.
func (d riverDriver) GetListener(*riverdriver.GetListenenerParams) riverdriver.Listener {
	return d.queue.bell
}

// PluginInit is part of River's plugin seam.
func (d riverDriver) PluginInit(*baseservice.Archetype) {}

// PluginPilot gives the pilot.
func (d riverDriver) PluginPilot() riverpilot.Pilot {
	if d.queue.db.Engine() == sqldb.SQLite {
		return &sqlitePilot{queue: d.queue}
	}
	return &riverpilot.StandardPilot{}
}

// sqlitePilot takes and finishes jobs inside sqldb's group commit, where they
// share the fsync of other callers, and deletes a job that is done instead of
// keeping it: what was done is in the ledger.
type sqlitePilot struct {
	riverpilot.StandardPilot
	queue *Queue
}

// JobGetAvailable takes jobs for work.
func (p *sqlitePilot) JobGetAvailable(ctx context.Context, _ riverdriver.Executor, _ riverpilot.ProducerState, params *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	result := &riverdriver.JobGetAvailableResult{}
	if params.MaxToLock <= 0 {
		return result, nil
	}
	err := p.queue.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		taken, err := p.queue.executor(tx).JobGetAvailable(shared(ctx, tx), params)
		if err == nil {
			result = taken
		}
		return err
	})
	return result, err
}

// JobSetStateIfRunningMany ends attempts.
func (p *sqlitePilot) JobSetStateIfRunningMany(ctx context.Context, _ riverdriver.Executor, params *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	done, others := split(params)
	var rows []*rivertype.JobRow
	err := p.queue.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		rows = nil
		for _, id := range done {
			if err := deleteDone(ctx, tx, id); err != nil {
				return err
			}
		}
		if len(others.ID) == 0 {
			return nil
		}
		var err error
		rows, err = p.queue.executor(tx).JobSetStateIfRunningMany(shared(ctx, tx), others)
		return err
	})
	return rows, err
}

// split tells the jobs that are done from those that have another end.
func split(params *riverdriver.JobSetStateIfRunningManyParams) (done []int64, others *riverdriver.JobSetStateIfRunningManyParams) {
	others = &riverdriver.JobSetStateIfRunningManyParams{Now: params.Now, Schema: params.Schema}
	for i, id := range params.ID {
		if params.State[i] == rivertype.JobStateCompleted {
			done = append(done, id)
			continue
		}
		others.ID = append(others.ID, id)
		others.Attempt = append(others.Attempt, params.Attempt[i])
		others.ErrData = append(others.ErrData, params.ErrData[i])
		others.FinalizedAt = append(others.FinalizedAt, params.FinalizedAt[i])
		others.MetadataDoMerge = append(others.MetadataDoMerge, params.MetadataDoMerge[i])
		others.MetadataUpdates = append(others.MetadataUpdates, params.MetadataUpdates[i])
		others.ScheduledAt = append(others.ScheduledAt, params.ScheduledAt[i])
		others.State = append(others.State, params.State[i])
	}
	return done, others
}

// executor lets River's statements run in tx.
func (q *Queue) executor(tx *sqldb.Tx) riverdriver.ExecutorTx {
	return q.river.UnwrapExecutor(tx.SQL())
}

// shared gives the context for a River statement in tx. On SQLite other
// callers share the transaction, and an interrupted statement would undo their
// work too.
func shared(ctx context.Context, tx *sqldb.Tx) context.Context {
	if tx.Engine() == sqldb.SQLite {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

func (q *Queue) riverConfig() *river.Config {
	const (
		kept      = 90 * 24 * time.Hour
		completed = time.Minute // PostgreSQL only, see sqlitePilot
		cooldown  = 5 * time.Millisecond
	)
	workers := river.NewWorkers()
	for kind, handler := range q.handlers {
		river.AddWorkerArgs(workers, payload{kind: kind}, &worker{queue: q, kind: kind, handler: handler})
	}
	return &river.Config{
		CancelledJobRetentionPeriod: kept,
		CompletedJobRetentionPeriod: completed,
		DiscardedJobRetentionPeriod: kept,
		FetchCooldown:               min(cooldown, q.opts.PollInterval),
		FetchOnlyKnownKinds:         true,
		FetchPollInterval:           q.opts.PollInterval,
		JobTimeout:                  q.opts.Timeout,
		Logger:                      slog.New(errorsOnly{q.opts.Logger.Handler()}),
		Queues:                      map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: q.opts.Workers}},
		ReindexerIndexNames:         []string{}, // locks out writers on SQLite
		RescueStuckJobsAfter:        q.opts.Timeout + 30*time.Second,
		RetryPolicy:                 backoff{now: q.opts.Now},
		Workers:                     workers,
	}
}

// backoff is the pause after a failure: half a second, doubled each time up to
// an hour, a quarter more or less at random so that many do not come at once.
type backoff struct{ now func() time.Time }

const (
	firstPause = 500 * time.Millisecond
	lastPause  = time.Hour
)

// NextRetry tells when a failed job is tried again.
func (b backoff) NextRetry(job *rivertype.JobRow) time.Time {
	pause := lastPause
	if n := max(job.Attempt, 1) - 1; n < 13 {
		pause = min(firstPause<<n, lastPause)
	}
	spread := rand.N(pause / 2) //nolint:gosec // spreads retries, guards nothing
	return b.now().Add(pause*3/4 + spread)
}

// payload is the arguments of any kind: River wants a type that names it and
// is a JSON object. The arguments stand inside as text, since jsonb on its way
// through the PostgreSQL driver rounds large numbers and refuses \u0000.
type payload struct {
	kind Kind
	Args string `json:"args"`
}

// Kind names the job for River.
func (p payload) Kind() string { return string(p.kind) }

// errorsOnly hides River's own chatter; failures of jobs are logged by worker.
type errorsOnly struct{ slog.Handler }

// Enabled lets errors through.
func (h errorsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && h.Handler.Enabled(ctx, level)
}

// WithAttrs keeps the filter.
func (h errorsOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return errorsOnly{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the filter.
func (h errorsOnly) WithGroup(name string) slog.Handler { return errorsOnly{h.Handler.WithGroup(name)} }
