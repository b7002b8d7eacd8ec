package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// queueLifetime is how long delivery to the outside is tried (RFC 5321 §4.5.4.1: at least 4–5 days).
const queueLifetime = 5 * 24 * time.Hour

// SubmissionID names a message on its way out (UUIDv7).
type SubmissionID string

// Submission is a message on its way out.
type Submission struct {
	ID      SubmissionID
	Account AccountID
	Sender  Address
	Digest  blob.Digest
	Trace   string
	UTF8    bool
	Created time.Time
	Expires time.Time
}

// QueueState is how far one recipient of a submission is.
type QueueState string

// The states of a queue row.
const (
	QueueWaiting QueueState = "waiting"
	QueueSent    QueueState = "sent"
	QueueFailed  QueueState = "failed"
)

// QueueRow is one recipient of a submission (dòng hàng đợi).
type QueueRow struct {
	ID         string
	Submission SubmissionID
	Recipient  Address
	State      QueueState
	Attempts   int
	Next       time.Time
	Code       string // enhanced status code of the last answer (RFC 3463)
	Response   string // the last answer, one line
	Bounced    bool   // the sender was told of the failure
	Updated    time.Time
}

// Done reports whether nothing is left to do for the row.
func (r *QueueRow) Done() bool {
	return r.State == QueueSent || (r.State == QueueFailed && r.Bounced)
}

// enqueue writes the rows of the remote recipients and the job that sends them.
func (s *Store) enqueue(ctx context.Context, tx *sqldb.Tx, from *Account, env *Envelope, remote []Address, c *content) error {
	if len(remote) == 0 {
		return nil
	}
	if env.ID != "" {
		known, err := hasSubmission(ctx, tx, from.ID, env.ID)
		if err != nil || known {
			return err
		}
	}
	now := s.now()
	sub := &Submission{ID: SubmissionID(newID()), Account: from.ID, Sender: env.From, Digest: c.ref.Digest, Trace: env.Trace,
		UTF8: env.UTF8, Created: now, Expires: now.Add(queueLifetime)}
	if err := insertSubmission(ctx, tx, sub, env.ID); err != nil {
		return err
	}
	for _, to := range remote {
		row := &QueueRow{ID: newID(), Submission: sub.ID, Recipient: to, State: QueueWaiting, Next: now, Updated: now}
		if err := insertQueueRow(ctx, tx, row); err != nil {
			return err
		}
	}
	if err := s.jobs.Add(ctx, tx, JobSend, SendJob{sub.ID}, jobs.AddOptions{}); err != nil {
		return fmt.Errorf("adding the job that sends: %w", err)
	}
	return nil
}

// Submission returns a submission and its rows, or ErrNotFound.
func (s *Store) Submission(ctx context.Context, id SubmissionID) (*Submission, []QueueRow, error) {
	var sub *Submission
	var rows []QueueRow
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if sub, err = loadSubmission(ctx, tx, id); err != nil {
			return err
		}
		rows, err = loadQueueRows(ctx, tx, id)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("submission %s: %w", id, err)
	}
	return sub, rows, nil
}

// Queue lists the rows that are not done, oldest first, at most limit.
func (s *Store) Queue(ctx context.Context, limit int) ([]QueueRow, error) {
	var rows []QueueRow
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		rows, err = loadOpenRows(ctx, tx, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the queue: %w", err)
	}
	return rows, nil
}

// RecordAttempt keeps what became of rows: State, Attempts, Next, Code,
// Response and Bounced are written.
func (s *Store) RecordAttempt(ctx context.Context, rows []QueueRow) error {
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for i := range rows {
			rows[i].Updated = s.now()
			rows[i].Response = sanitizeLine(strings.ToValidUTF8(rows[i].Response, "\ufffd"), 500)
			if err := updateQueueRow(ctx, tx, &rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("recording an attempt to send: %w", err)
	}
	return nil
}

// OpenSubmission returns the bytes to send and their number.
func (s *Store) OpenSubmission(ctx context.Context, sub *Submission) (io.ReadCloser, int64, error) {
	rc, size, err := s.blobs.Open(ctx, sub.Digest)
	if err != nil {
		return nil, 0, fmt.Errorf("opening submission %s: %w", sub.ID, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(sub.Trace), rc), rc}, size + int64(len(sub.Trace)), nil
}

// Bounce tells the sender which recipients could not be reached: a delivery
// status notification (RFC 3464) in his INBOX, once for the same rows.
func (s *Store) Bounce(ctx context.Context, sub *Submission, failed []QueueRow) error {
	header, err := s.submissionHeader(ctx, sub)
	if err != nil {
		return fmt.Errorf("bouncing %s: %w", sub.ID, err)
	}
	ids := make([]string, 0, len(failed))
	for i := range failed {
		ids = append(ids, failed[i].ID)
	}
	slices.Sort(ids)
	id := "bounce/" + string(blob.Sum([]byte(strings.Join(ids, " "))))
	msg := s.bounceMessage(sub, failed, header, id)
	if _, err := s.Deliver(ctx, Envelope{To: []Address{sub.Sender}, ID: id}, strings.NewReader(msg)); err != nil {
		return fmt.Errorf("bouncing %s: %w", sub.ID, err)
	}
	return nil
}

// submissionHeader reads the header of a submission, bounded.
func (s *Store) submissionHeader(ctx context.Context, sub *Submission) (string, error) {
	c, err := s.Content(ctx, sub.Digest)
	if err != nil {
		return "", err
	}
	rc, _, err := s.blobs.Open(ctx, sub.Digest)
	if err != nil {
		return "", err
	}
	head, err := io.ReadAll(io.LimitReader(rc, min(c.Structure.BodyStart, maxHeaderBlock)))
	return string(head), errors.Join(err, rc.Close())
}
