// Package outbound hands queued mail to the smarthost and tells senders what
// could not be delivered. The queue itself is kept by package mail: a row for
// each recipient, and a job for each submission that was written in the
// transaction that took the message.
//
// A job sends to all recipients that are due in as few SMTP transactions as it
// can, records each one's answer, and comes back when the next is due. Permanent
// refusals, and those that outlived the queue, go to the sender as one delivery
// status notification (RFC 3464).
package outbound

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/semaphore"

	"vanthu/mail"
	"vanthu/storage/jobs"
)

// Timeouts and sizes of one attempt.
const (
	dialTimeout       = 30 * time.Second
	commandTimeout    = time.Minute
	submissionTimeout = 2 * time.Minute
	maxPerTransaction = 100 // recipients (RFC 5321 §4.5.3.1.8)
	maxConnections    = 4   // to the smarthost at a time
	bounceRetry       = 15 * time.Minute
	noRouteRetry      = time.Hour
)

// Config of a sender. Store and Jobs are required.
type Config struct {
	Store *mail.Store
	Jobs  *jobs.Queue
	// Smarthost is host:port, smtp://[user:password@]host[:port][?tls=required|opportunistic|none]
	// or smtps://…. Empty means that nothing can be sent: what is queued waits.
	Smarthost string
	// Hostname is the name in EHLO; the store's when empty.
	Hostname string
	// TLS is used with the smarthost; nil means the system's roots.
	TLS    *tls.Config
	Logger *slog.Logger
	Now    func() time.Time
	// Backoff is the wait after the n-th failed attempt (from 1); nil means 5
	// minutes at first, doubling to 4 hours.
	Backoff func(attempt int) time.Duration
}

// Sender sends queued mail. It works through the job queue alone.
type Sender struct {
	cfg   Config
	host  *smarthost
	slots *semaphore.Weighted
	log   *slog.Logger
}

// New registers the job handler; call it before the queue is started. An error
// says what is wrong with the smarthost's address.
func New(cfg Config) (*Sender, error) {
	if cfg.Store == nil || cfg.Jobs == nil {
		return nil, errors.New("outbound needs a mail store and a job queue")
	}
	s := &Sender{cfg: cfg, slots: semaphore.NewWeighted(maxConnections), log: cfg.Logger}
	if cfg.Smarthost != "" {
		h, err := parseSmarthost(cfg.Smarthost)
		if err != nil {
			return nil, err
		}
		s.host = h
	}
	if s.cfg.Hostname == "" {
		s.cfg.Hostname = cfg.Store.Hostname()
	}
	if s.cfg.Now == nil {
		s.cfg.Now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.Backoff == nil {
		s.cfg.Backoff = backoff
	}
	cfg.Jobs.Handle(mail.JobSend, s.handle)
	return s, nil
}

// backoff is the default schedule.
func backoff(attempt int) time.Duration {
	d := 5 * time.Minute
	for i := 1; i < attempt && d < 4*time.Hour; i++ {
		d *= 2
	}
	return min(d, 4*time.Hour)
}

// handle does the job of one submission.
func (s *Sender) handle(ctx context.Context, raw json.RawMessage) error {
	var args mail.SendJob
	if err := json.Unmarshal(raw, &args); err != nil {
		return jobs.Cancel(fmt.Errorf("reading a send job: %w", err))
	}
	sub, rows, err := s.cfg.Store.Submission(ctx, args.Submission)
	if errors.Is(err, mail.ErrNotFound) {
		return jobs.Cancel(err)
	}
	if err != nil {
		return err
	}
	if wait, err := s.bounce(ctx, sub, rows); err != nil || wait > 0 { // what an earlier run left
		return again(wait, err)
	}
	due := s.due(sub, rows)
	if len(due) > 0 && s.host == nil {
		return jobs.Snooze(noRouteRetry)
	}
	for len(due) > 0 {
		n := min(len(due), maxPerTransaction)
		if err := s.attempt(ctx, sub, due[:n]); err != nil {
			return err
		}
		due = due[n:]
	}
	if sub, rows, err = s.cfg.Store.Submission(ctx, args.Submission); err != nil {
		return err
	}
	if wait, err := s.bounce(ctx, sub, rows); err != nil || wait > 0 {
		return again(wait, err)
	}
	return again(s.next(rows), nil)
}

// again ends a run: with its error, to come back later, or for good.
func again(wait time.Duration, err error) error {
	if err != nil || wait <= 0 {
		return err
	}
	return jobs.Snooze(wait)
}

// due lists the rows to send now.
func (s *Sender) due(sub *mail.Submission, rows []mail.QueueRow) []mail.QueueRow {
	var due []mail.QueueRow
	now := s.cfg.Now()
	for _, r := range rows {
		if r.State == mail.QueueWaiting && (!r.Next.After(now) || now.After(sub.Expires)) {
			due = append(due, r)
		}
	}
	return due
}

// next is the wait until the next row is due, 0 when none waits.
func (s *Sender) next(rows []mail.QueueRow) time.Duration {
	wait := time.Duration(0)
	for _, r := range rows {
		if r.State != mail.QueueWaiting {
			continue
		}
		d := max(r.Next.Sub(s.cfg.Now()), time.Second)
		if wait == 0 || d < wait {
			wait = d
		}
	}
	return wait
}

// bounce tells the sender of failures he was not told of. It gives a wait when
// that is not possible now (his mailbox is full).
func (s *Sender) bounce(ctx context.Context, sub *mail.Submission, rows []mail.QueueRow) (time.Duration, error) {
	var failed []mail.QueueRow
	for _, r := range rows {
		if r.State == mail.QueueFailed && !r.Bounced {
			failed = append(failed, r)
		}
	}
	if len(failed) == 0 {
		return 0, nil
	}
	err := s.cfg.Store.Bounce(ctx, sub, failed)
	switch {
	case errors.Is(err, mail.ErrQuota) && s.cfg.Now().Before(sub.Expires.Add(24*time.Hour)):
		return bounceRetry, nil
	case errors.Is(err, mail.ErrQuota), errors.Is(err, mail.ErrDisabled), errors.Is(err, mail.ErrNoRecipient):
		// Nobody is there to read it; a bounce must not bounce (RFC 5321 §6.1).
		s.log.LogAttrs(ctx, slog.LevelWarn, "mail bounce dropped", slog.String("submission", string(sub.ID)), slog.String("err", err.Error()))
	case err != nil:
		return 0, err
	}
	for i := range failed {
		failed[i].Bounced = true
	}
	return 0, s.cfg.Store.RecordAttempt(ctx, failed)
}
