// Package jobs owns the durable work queue: what leaves the process is a job,
// written in the transaction that decided it (River underneath).
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"vanthu/storage/sqldb"
)

// Kind names a sort of job; two characters or more.
type Kind string

// Handler does one job.
type Handler func(ctx context.Context, args json.RawMessage) error

// Options of a queue.
type Options struct {
	Logger       *slog.Logger
	Workers      int
	PollInterval time.Duration
	Now          func() time.Time
}

// AddOptions of one job.
type AddOptions struct {
	At          time.Time
	Lane        string
	MaxAttempts int
}

// Stats counts jobs by state.
type Stats struct{ Waiting, Running, Retrying, Dead int64 }

// Queue is the durable work queue.
type Queue struct{ db *sqldb.DB }

func New(db *sqldb.DB, opts Options) (*Queue, error) { return &Queue{db: db}, nil }
func (q *Queue) Handle(kind Kind, h Handler)         {}
func (q *Queue) Add(ctx context.Context, tx *sqldb.Tx, kind Kind, args any, opts AddOptions) error {
	return errors.ErrUnsupported
}
func (q *Queue) Start(ctx context.Context) error          { return errors.ErrUnsupported }
func (q *Queue) Stop(ctx context.Context) error           { return errors.ErrUnsupported }
func (q *Queue) Stats(ctx context.Context) (Stats, error) { return Stats{}, errors.ErrUnsupported }
func (q *Queue) Migrate(ctx context.Context) error        { return errors.ErrUnsupported }

// Cancel wraps err so that the job is given up: it is not tried again.
func Cancel(err error) error { return err }

// Snooze as the result of a handler runs the job again after d without counting an attempt.
func Snooze(d time.Duration) error { return errors.ErrUnsupported }
