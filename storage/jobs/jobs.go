// Package jobs owns the durable work queue: whatever leaves the process is a
// job, written in the transaction that decided it. River keeps the jobs, on
// SQLite and on PostgreSQL.
//
// A job runs at least once: after a crash, a job that was running runs again.
// Handlers are therefore idempotent. A handler's error brings the job back
// after a growing, jittered pause; when its attempts are used up it becomes a
// dead letter, kept for 90 days and counted by [Queue.Stats].
//
// # Lanes
//
// A lane is work that has an order of its own, such as the deliveries to one
// recipient. The job says only "look at this lane"; the handler reads the
// lane's rows and does what is due. So one waiting job per lane is enough, and
// Add makes no second one. When a job of the lane is running already, which
// may have read its rows before the new one was written, Add makes another.
// Inside one process a lane is worked by one handler at a time; hubs that
// share a PostgreSQL database must lock the lane's rows besides.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"vanthu/storage/sqldb"
)

// Kind names a sort of job: two characters or more, letters, digits and
// . _ - : (River's rule).
type Kind string

// Handler does one job. Its error brings the job back later; see Cancel and
// Snooze for other ends. ctx ends when the job's time is up (Options.Timeout)
// or Stop can wait no longer.
type Handler func(ctx context.Context, args json.RawMessage) error

// Options of a queue. The zero value works.
type Options struct {
	Logger *slog.Logger // failures of jobs; nil: silent
	// Workers is how many jobs run at the same time; 0 means 32.
	Workers int
	// PollInterval is how long a due job may wait when no wake-up told of it: a
	// retry, a job for later, another hub's job on PostgreSQL. 0 means 100 ms.
	PollInterval time.Duration
	// Timeout is the longest a handler may take; 0 means 5 minutes.
	Timeout time.Duration
	Now     func() time.Time // nil: time.Now
}

// AddOptions of one job. The zero value is a job for now.
type AddOptions struct {
	At   time.Time // not before; zero means now
	Lane string    // see the package comment
	// MaxAttempts is how often the job is tried before it is dead; 0 means 25,
	// which takes about half a day.
	MaxAttempts int
}

// Stats counts the jobs by what they wait for.
type Stats struct {
	Waiting  int64 `json:"waiting"`  // due now or later, never failed
	Running  int64 `json:"running"`  // taken by a worker
	Retrying int64 `json:"retrying"` // failed, will be tried again
	Dead     int64 `json:"dead"`     // given up: after the last attempt, or by Cancel
}

// Queue is the durable work queue of one database.
type Queue struct {
	db     *sqldb.DB
	opts   Options
	river  riverDriver
	bell   *bell
	lanes  lanes
	faults []error // of Handle, reported by Start

	mu       sync.Mutex
	handlers map[Kind]Handler
	client   *river.Client[sqlTx]
}

var kindPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:\-]{1,99}$`)

// New opens the queue and brings River's tables up to date.
func New(db *sqldb.DB, opts Options) (*Queue, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Workers <= 0 {
		opts.Workers = 32
	}
	if opts.PollInterval <= 0 {
		opts.PollInterval = 100 * time.Millisecond
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Minute
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	q := &Queue{
		db:       db,
		opts:     opts,
		bell:     newBell(),
		lanes:    lanes{busy: make(map[string]bool)},
		handlers: make(map[Kind]Handler),
	}
	q.river = newRiverDriver(q)
	if err := q.Migrate(context.Background()); err != nil {
		return nil, err
	}
	return q, nil
}

// Handle sets the handler of a kind. It must be called before Start, which
// reports a bad or doubled kind. Jobs of a kind without a handler wait.
func (q *Queue) Handle(kind Kind, h Handler) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case !kindPattern.MatchString(string(kind)):
		q.faults = append(q.faults, fmt.Errorf("job kind %q must have 2 to 100 letters, digits or any of . _ : -, the first no sign", kind))
	case h == nil:
		q.faults = append(q.faults, fmt.Errorf("job kind %q has no handler", kind))
	case q.handlers[kind] != nil:
		q.faults = append(q.faults, fmt.Errorf("job kind %q has two handlers", kind))
	case q.client != nil:
		q.faults = append(q.faults, fmt.Errorf("job kind %q came after the start", kind))
	default:
		q.handlers[kind] = h
	}
}

// Add puts a job into the queue, as part of tx: it runs if and only if tx is
// committed, and workers wake up then. args is encoded as JSON (64 KiB at
// most; large things go into blobs).
//
// With a Lane, nothing is added while a job of the same kind and lane waits;
// if that one was to run later than opts.At and has not failed, it is brought
// forward.
func (q *Queue) Add(ctx context.Context, tx *sqldb.Tx, kind Kind, args any, opts AddOptions) error {
	if !kindPattern.MatchString(string(kind)) {
		return fmt.Errorf("adding a job: bad kind %q", kind)
	}
	raw, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("adding a %s job: %w", kind, err)
	}
	encoded, err := json.Marshal(payload{Args: string(raw)})
	if err != nil {
		return fmt.Errorf("adding a %s job: %w", kind, err)
	}
	if len(encoded) > maxArgs {
		return fmt.Errorf("adding a %s job: arguments of %d bytes are too large", kind, len(encoded))
	}
	if err := q.add(ctx, tx, kind, encoded, opts); err != nil {
		return fmt.Errorf("adding a %s job: %w", kind, err)
	}
	tx.AfterCommit(q.bell.ring)
	return nil
}

const maxArgs = 64 << 10

// Start begins to work. On SQLite, where the data folder is locked for this
// process, jobs that a crashed process left running are put back at once; on
// PostgreSQL that happens when their Timeout has passed. ctx governs the start
// only: the queue works until Stop.
func (q *Queue) Start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := errors.Join(q.faults...); err != nil {
		return err
	}
	if q.client != nil {
		return errors.New("the job queue was started already")
	}
	if q.db.Engine() == sqldb.SQLite {
		if err := q.rescue(ctx); err != nil {
			return fmt.Errorf("putting back jobs of the last run: %w", err)
		}
	}
	client, err := river.NewClient(q.river, q.riverConfig())
	if err != nil {
		return fmt.Errorf("making the River client: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting River: %w", err)
	}
	q.client = client
	return nil
}

// Stop takes no further jobs and waits for those that run. When ctx ends
// first, their contexts are cancelled; they run again after the next start.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	client := q.client
	q.client = nil
	q.mu.Unlock()
	if client == nil {
		return nil
	}
	err := client.Stop(ctx)
	if err == nil {
		return nil
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(fmt.Errorf("waiting for running jobs: %w", err), client.StopAndCancel(hard))
}

// Cancel wraps err for a handler that gives its job up: it is not tried again
// and counts as dead.
func Cancel(err error) error { return river.JobCancel(err) }

// Snooze as the result of a handler runs the job again after d without
// counting an attempt.
func Snooze(d time.Duration) error { return river.JobSnooze(max(d, 0)) }
