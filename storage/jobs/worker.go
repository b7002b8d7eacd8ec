package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"vanthu/storage/sqldb"
)

// worker runs one kind's handler for River.
type worker struct {
	river.WorkerDefaults[payload]
	queue   *Queue
	kind    Kind
	handler Handler
}

// Work runs one attempt of a job.
func (w *worker) Work(ctx context.Context, job *river.Job[payload]) error {
	lane, err := laneOf(job.Metadata)
	if err != nil {
		return err
	}
	if lane == "" {
		return w.logged(job, w.run(ctx, job))
	}
	return w.logged(job, w.inLane(ctx, job, lane))
}

// inLane runs the handler as the only one of its lane. A job that finds the
// lane busy ends at once: the one inside goes round again for it, and if the
// process dies meanwhile, the one inside is put back.
func (w *worker) inLane(ctx context.Context, job *river.Job[payload], lane string) error {
	key := laneText(w.kind, lane)
	if !w.queue.lanes.enter(key) {
		return nil
	}
	for {
		err := w.run(ctx, job)
		final := isCancel(err) || (err != nil && !isSnooze(err) && job.Attempt >= job.MaxAttempts)
		retried := err != nil && !isSnooze(err) && !final
		again := w.queue.lanes.leave(key, !retried && !final && ctx.Err() == nil)
		if !again || retried {
			return err // a retry looks at the lane again
		}
		if !final && ctx.Err() == nil {
			continue // still inside
		}
		// Somebody counts on another round, and this job will not make it.
		if addErr := w.queue.addAgain(ctx, w.kind, job, lane); addErr != nil {
			return Snooze(time.Second) // then it has to
		}
		return err
	}
}

// run calls the handler; a panic is an error like others.
func (w *worker) run(ctx context.Context, job *river.Job[payload]) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("handler panicked: %v\n%s", r, debug.Stack())
		}
	}()
	return w.handler(ctx, json.RawMessage(job.Args.Args))
}

func (w *worker) logged(job *river.Job[payload], err error) error {
	switch {
	case err == nil || isSnooze(err):
	case isCancel(err) || job.Attempt >= job.MaxAttempts:
		w.queue.opts.Logger.Error("job given up", slog.String("kind", string(w.kind)), slog.Int64("job", job.ID),
			slog.Int("attempt", job.Attempt), slog.Any("error", err))
	default:
		w.queue.opts.Logger.Warn("job failed", slog.String("kind", string(w.kind)), slog.Int64("job", job.ID),
			slog.Int("attempt", job.Attempt), slog.Any("error", err))
	}
	return err
}

// addAgain adds a fresh job for a lane whose job ends for good.
func (q *Queue) addAgain(ctx context.Context, kind Kind, job *river.Job[payload], lane string) error {
	return q.db.Update(context.WithoutCancel(ctx), func(ctx context.Context, tx *sqldb.Tx) error {
		return q.Add(ctx, tx, kind, json.RawMessage(job.Args.Args), AddOptions{Lane: lane, MaxAttempts: job.MaxAttempts})
	})
}

func isCancel(err error) bool {
	_, ok := errors.AsType[*rivertype.JobCancelError](err)
	return ok
}

func isSnooze(err error) bool {
	_, ok := errors.AsType[*rivertype.JobSnoozeError](err)
	return ok
}

// lanes holds the lanes that are being worked; the value tells whether another
// round was asked for.
type lanes struct {
	mu   sync.Mutex
	busy map[string]bool
}

// enter takes a free lane, or asks the one inside for another round.
func (l *lanes) enter(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.busy[key]; ok {
		l.busy[key] = true
		return false
	}
	l.busy[key] = false
	return true
}

// leave tells whether another round was asked for. The lane is free afterwards
// unless there is another round and stay is set.
func (l *lanes) leave(key string, stay bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	again := l.busy[key]
	if again && stay {
		l.busy[key] = false
	} else {
		delete(l.busy, key)
	}
	return again
}

// metadata is what we keep beside a job.
type metadata struct {
	Lane string `json:"lane,omitempty"`
}

func laneOf(data []byte) (string, error) {
	var m metadata
	if err := json.Unmarshal(data, &m); err != nil {
		return "", fmt.Errorf("reading the job's metadata: %w", err)
	}
	return m.Lane, nil
}

func laneText(kind Kind, lane string) string { return string(kind) + " " + lane }
