package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// DeliveryID names one document on its way to one recipient (UUIDv7).
type DeliveryID string

// The transport states of a delivery, as on the national axis.
const (
	TransportInitial    = "initial"    // waiting for its turn
	TransportProcessing = "processing" // tried, will be tried again
	TransportDone       = "done"       // the recipient has it and has signed for it
	TransportFail       = "fail"       // given up: somebody has to act
	TransportWithdrawn  = "withdrawn"  // recalled before it left, or its Successor has it by another delivery: it never will
)

// Delivery is one document on its way to one recipient.
type Delivery struct {
	ID            DeliveryID        `json:"id"`
	Document      DocumentID        `json:"document"`
	Recipient     registry.AgencyID `json:"recipient"`
	Addressed     registry.AgencyID `json:"addressed,omitempty"` // the code it was sent to, where that agency has ended since
	Successor     registry.AgencyID `json:"successor,omitempty"` // who answers for a recipient that has ended
	Seq           int64             `json:"seq"`                 // order in the recipient's lane
	Channel       string            `json:"channel"`
	Transport     string            `json:"transport"`
	Status        Status            `json:"status,omitempty"` // by the recipient's latest receipt
	Attempts      int               `json:"attempts"`
	LastError     string            `json:"last_error,omitempty"`
	Next          time.Time         `json:"next,omitzero"` // not tried before
	Created       time.Time         `json:"created"`
	Updated       time.Time         `json:"updated"`
	ArrivalNumber int               `json:"arrival_number,omitempty"` // số đến at the recipient

	left bool // a channel has had the copy, and nobody has given it back
}

// The jobs of this package.
const (
	jobDeliver  jobs.Kind = "exchange.deliver"  // lane by recipient
	jobReceipts jobs.Kind = "exchange.receipts" // lane by sender
	jobNotify   jobs.Kind = "exchange.notify"   // lane by recipient
	jobArchive  jobs.Kind = "exchange.archive"  // lane by document
	jobNotices  jobs.Kind = "exchange.notices"  // lane by recipient
	jobWatch    jobs.Kind = "exchange.watch"    // one lane
	jobMove     jobs.Kind = "exchange.move"     // lane by move
)

// lane is the argument of lane jobs.
type lane struct {
	Agency registry.AgencyID `json:"agency"`
}

const (
	deliveryBatch       = 32
	maxDeliveryAttempts = 40
)

// backoff is how long to wait after n failed attempts: 5 s doubling to 1 h.
func backoff(n int) time.Duration {
	return min(time.Hour, 5*time.Second<<min(n, 10))
}

// retryAt is when something that failed is tried again, at a full second: what waits in one retry lane is due at the same
// moment then, so that its one job finds all of it.
func retryAt(now time.Time, wait time.Duration) time.Time {
	return now.Add(wait + time.Second - time.Microsecond).Truncate(time.Second)
}

// retryLane names a lane for a retry at a later time: a job that waits there
// must not take the place of one that can run now, nor of a later retry.
func retryLane(a registry.AgencyID, at time.Time) string {
	return string(a) + "@" + strconv.FormatInt(at.Unix(), 10)
}

// Send numbers the document if it has no number, makes a delivery per recipient
// and the jobs that carry them, with the evidence, in one transaction. Clerk;
// the document must be sealed. Nothing is sent when one recipient is wrong.
func (s *Service) Send(ctx context.Context, by registry.Actor, id DocumentID, to []registry.AgencyID) (*Document, []Delivery, error) {
	if err := allowed(by, ActSend); err != nil {
		return nil, nil, err
	}
	for try := 1; ; try++ {
		d, list, err := s.sendOnce(ctx, by, id, to)
		if errors.Is(err, errSucceeded) && try < 3 {
			continue // a recipient ended while this began: the code leads to its successor now
		}
		return d, list, err
	}
}

var errSucceeded = errors.New("the recipient has ended")

func (s *Service) sendOnce(ctx context.Context, by registry.Actor, id DocumentID, to []registry.AgencyID) (d *Document, list []Delivery, err error) {
	now := s.clock()
	recipients, err := s.recipients(ctx, by.Agency, to, now)
	if err != nil {
		return nil, nil, s.sendRefused(ctx, by, id, err)
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, list, err = s.sendIn(ctx, tx, by, id, recipients, now)
		return err
	})
	if err != nil {
		return nil, nil, storageError("sending document", err)
	}
	return d, list, nil
}

// sendIn is Send inside a transaction.
func (s *Service) sendIn(ctx context.Context, tx *sqldb.Tx, by registry.Actor, id DocumentID, recipients []registry.AgencyID, now time.Time) (*Document, []Delivery, error) {
	d, err := s.ownDocument(ctx, tx, by, id)
	if err != nil {
		return nil, nil, err
	}
	if slices.Contains(recipients, d.Agency) {
		return nil, nil, fail(KindInvalid, "Không thể gửi văn bản cho chính cơ quan ban hành.", "A document cannot be sent to its own agency.")
	}
	if err := d.advance(ActSend); err != nil {
		return nil, nil, err
	}
	if d.Number == 0 {
		if err := s.number(ctx, tx, by, d, now); err != nil {
			return nil, nil, err
		}
	}
	was := d.version
	d.Sent, d.Updated, d.Recipients = now, now, recipients
	d.SendAt, d.plan = time.Time{}, ""
	if err := updateDocument(ctx, tx, d, was); err != nil {
		return nil, nil, err
	}
	list := make([]Delivery, len(recipients))
	return d, list, s.dispatch(ctx, tx, by, d, list)
}

// dispatch writes deliveries, jobs and evidence.
func (s *Service) dispatch(ctx context.Context, tx *sqldb.Tx, by registry.Actor, d *Document, list []Delivery) error {
	names := make([]string, len(list))
	for i, r := range d.Recipients {
		names[i] = string(r)
	}
	if err := s.enqueue(ctx, tx, d, d.Recipients, list, d.Sent); err != nil {
		return err
	}
	f := s.facts(by)
	f["code"], f["recipients"], f["count"], f["digest"] = d.Code(), strings.Join(names, ","), strconv.Itoa(len(names)), string(d.PDF.Digest)
	return s.evidence(ctx, tx, "document.sent", string(d.ID), d.Sent, by, f)
}

// recipients checks and orders the recipients of one sending.
func (s *Service) recipients(ctx context.Context, from registry.AgencyID, to []registry.AgencyID, now time.Time) ([]registry.AgencyID, error) {
	if len(to) == 0 {
		return nil, fail(KindInvalid, "Chưa chọn nơi nhận.", "No recipient is given.")
	}
	if len(to) > maxRecipients {
		return nil, failf(KindTooLarge, "Có %d nơi nhận, tối đa %d cho một lần gửi.", "There are %d recipients; at most %d in one sending.", len(to), maxRecipients).
			Advise("Chia danh sách thành nhiều lần gửi.", "Send in several parts.")
	}
	out := make([]registry.AgencyID, 0, len(to))
	continued := map[registry.AgencyID]bool{}
	for _, raw := range to {
		found, err := s.reg.Resolve(ctx, string(raw), now)
		if err != nil {
			var e *Error
			if errors.As(err, &e) && e.Kind == KindInvalid {
				return nil, failf(KindInvalid, "Nơi nhận: %[1]s Chưa gửi cho ai.", "%[2]s Nothing was sent.", e.Message, e.MessageEN).Advise(e.Advice, e.AdviceEN).Because(errInactive)
			}
			return nil, err
		}
		a := &found.Agency
		switch {
		case a.Encryption == registry.EncryptionRequired && a.Channel == registry.ChannelLocal:
			return nil, failf(KindInvalid, "%s (%s) chỉ nhận văn bản mã hóa; kênh này chưa mã hóa được.", "%s (%s) takes encrypted documents only; this channel cannot encrypt.", a.Name, string(a.ID))
		case !s.reachable(a):
			return nil, failf(KindInvalid, "Chưa có kênh gửi tới %s (%s); chưa gửi cho ai.", "There is no channel to %s (%s) yet; nothing was sent.", a.Name, string(a.ID)).Because(errNoChannel)
		case a.ID == from:
			return nil, fail(KindInvalid, "Không thể gửi văn bản cho chính cơ quan ban hành.", "A document cannot be sent to its own agency.")
		}
		continued[a.ID] = continued[a.ID] || len(found.Via) > 0
		out = append(out, a.ID)
	}
	slices.Sort(out)
	for i := len(out) - 1; i > 0; i-- {
		if out[i] == out[i-1] {
			if continued[out[i]] { // two that one successor continues get it once
				out = slices.Delete(out, i, i+1)
				continue
			}
			return nil, failf(KindInvalid, "Nơi nhận %q bị lặp; chưa gửi cho ai.", "The recipient %q stands twice; nothing was sent.", string(out[i]))
		}
	}
	return out, nil
}

// Retry sends again what was given up: the failed deliveries of a document go
// back into their lanes. Clerk or administrator. It gives how many there were.
func (s *Service) Retry(ctx context.Context, by registry.Actor, id DocumentID) (int, error) {
	if err := allowed(by, ActRetry); err != nil {
		return 0, err
	}
	now := s.clock()
	var again []registry.AgencyID
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if _, err = s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		if again, err = retryDeliveries(ctx, tx, id, now); err != nil || len(again) == 0 {
			return err
		}
		names := make([]string, len(again))
		for i, r := range again {
			names[i] = string(r)
			if err := s.jobs.Add(ctx, tx, jobDeliver, lane{r}, jobs.AddOptions{Lane: string(r)}); err != nil {
				return err
			}
		}
		f := s.facts(by)
		f["recipients"], f["count"] = strings.Join(names, ","), strconv.Itoa(len(names))
		if err := addAddressed(ctx, tx, f, id, again...); err != nil {
			return err
		}
		return s.evidence(ctx, tx, "delivery.retried", string(id), now, by, f)
	})
	if err != nil {
		return 0, storageError("sending again", err)
	}
	if len(again) == 0 {
		return 0, fail(KindConflict, "Không có nơi nhận nào bị lỗi để gửi lại.", "There is no failed delivery to send again.")
	}
	return len(again), nil
}

// Resume puts a job into every lane where something waits. The queue keeps its
// jobs over a restart; this brings back lanes whose job was given up meanwhile,
// as after a day with a full disk. The hub calls it when it starts.
func (s *Service) Resume(ctx context.Context) error {
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.resumeLanes(ctx, tx); err != nil {
			return err
		}
		atNow := func(do func(context.Context, *sqldb.Tx, time.Time) error) func(context.Context, *sqldb.Tx) error {
			return func(ctx context.Context, tx *sqldb.Tx) error { return do(ctx, tx, s.clock()) }
		}
		for _, resume := range []func(context.Context, *sqldb.Tx) error{atNow(s.watchAt), s.resumeMoves, s.resumeLater, atNow(s.digestAt)} {
			if err := resume(ctx, tx); err != nil {
				return err
			}
		}
		ready, err := selectUnarchived(ctx, tx)
		if err != nil {
			return err
		}
		for _, id := range ready {
			if err := s.jobs.Add(ctx, tx, jobArchive, archiveArgs{id}, jobs.AddOptions{Lane: string(id)}); err != nil {
				return err
			}
		}
		return nil
	})
	return storageError("resuming lanes", err)
}

func (s *Service) resumeLanes(ctx context.Context, tx *sqldb.Tx) error {
	for kind, find := range map[jobs.Kind]func(context.Context, *sqldb.Tx) ([]registry.AgencyID, error){
		jobDeliver: selectWaitingLanes, jobReceipts: selectReceiptLanes, jobNotify: selectNotifyLanes, jobNotices: selectNoticeLanes,
	} {
		if kind == jobNotify && s.cfg.Mail == nil {
			continue
		}
		list, err := find(ctx, tx)
		if err != nil {
			return err
		}
		for _, a := range list {
			if err := s.jobs.Add(ctx, tx, kind, lane{a}, jobs.AddOptions{Lane: string(a)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// laneTurn is how long a lane may work before it gives others their turn; the
// queue would end a job that works for minutes and count it as failed.
const laneTurn = 30 * time.Second

type turn struct{ until time.Time }

func newTurn() turn { return turn{time.Now().Add(laneTurn)} }

// over gives the result that brings the job back at once when its time is up.
func (t turn) over() error {
	if time.Now().Before(t.until) {
		return nil
	}
	return jobs.Snooze(0)
}

// Deliveries gives where an outgoing document of the actor's agency stands at
// each recipient, by recipient code.
func (s *Service) Deliveries(ctx context.Context, by registry.Actor, id DocumentID) (out []Delivery, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		out, err = selectDeliveries(ctx, tx, id)
		return err
	})
	return out, storageError("reading deliveries", err)
}

// waiting is a delivery whose turn has come, with its document.
type waiting struct {
	Delivery
	document Document
	failure  string // of the attempt before, "" = there was none
}

// runDeliveries is the lane job of one recipient on this hub: it takes what is
// waiting in order and hands many over in one transaction.
func (s *Service) runDeliveries(ctx context.Context, raw json.RawMessage) error {
	var to lane
	if err := json.Unmarshal(raw, &to); err != nil {
		return jobs.Cancel(fmt.Errorf("delivery lane: %w", err))
	}
	defer s.lanes.lock("deliver:" + string(to.Agency))()
	for turn := newTurn(); ; {
		var batch []waiting
		err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			batch, err = selectWaiting(ctx, tx, to.Agency, s.clock(), deliveryBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("reading deliveries: %w", err)
		}
		if len(batch) == 0 {
			return nil
		}
		if err := s.deliver(ctx, batch); err != nil {
			return err
		}
		if len(batch) < deliveryBatch {
			return nil
		}
		if err := turn.over(); err != nil {
			return err
		}
	}
}

// deliver prepares each delivery (verdict, signed receipt) outside of any
// transaction and lets those that can go arrive together. One that cannot be
// prepared is postponed or given up; it never blocks the next.
func (s *Service) deliver(ctx context.Context, batch []waiting) error {
	if channel, c := s.carrier(ctx, batch[0].Recipient); c != nil {
		return s.carry(ctx, channel, c, batch)
	}
	ready := make([]*arrival, 0, len(batch))
	for i := range batch {
		w := &batch[i]
		a, err := s.prepare(ctx, w.document.Agency, w.document.envelope(w.Recipient), w.document.PDF, w.document.Sent)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := s.undelivered(ctx, w, err); err != nil {
				return err
			}
			continue
		}
		ready = append(ready, a)
	}
	err := s.arrive(ctx, ready)
	if err == nil || ctx.Err() != nil || len(ready) == 0 {
		return err
	}
	if len(ready) == 1 {
		return s.undelivered(ctx, waitingFor(batch, ready[0]), err)
	}
	for _, a := range ready { // find the one that stopped the others
		if err := s.arrive(ctx, []*arrival{a}); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := s.undelivered(ctx, waitingFor(batch, a), err); err != nil {
				return err
			}
		}
	}
	return nil
}

func waitingFor(batch []waiting, a *arrival) *waiting {
	for i := range batch {
		if batch[i].Document == a.env.Document {
			return &batch[i]
		}
	}
	return nil // cannot happen: every arrival was made from the batch
}

// arrive writes arrivals, their receipts and the senders' side in one transaction.
func (s *Service) arrive(ctx context.Context, list []*arrival) error {
	if len(list) == 0 {
		return nil
	}
	now := s.clock()
	return s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		gone, err := selectGone(ctx, tx, list[0].env.To, list)
		if err != nil {
			return err
		}
		for _, a := range list {
			if gone[a.env.Document] {
				continue // recalled or rerouted since the lane was read
			}
			r, err := s.insertArrival(ctx, tx, a, now)
			if err != nil {
				return err
			}
			if err := s.acceptReceipt(ctx, tx, r, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// undelivered records a failed attempt: postponed with a job for the next try,
// or given up when it can never succeed or has been tried too often.
func (s *Service) undelivered(ctx context.Context, w *waiting, cause error) error {
	now := s.clock()
	failure := deliveryFailure(cause)
	permanent := false
	switch KindOf(cause) {
	case KindInvalid, KindForbidden, KindConflict, KindNotFound:
		permanent = true
	}
	permanent = permanent || errors.Is(cause, blob.ErrCorrupt) || w.Attempts+1 >= maxDeliveryAttempts
	wait := backoff(w.Attempts)
	s.log.LogAttrs(ctx, slog.LevelWarn, "delivery failed", slog.String("delivery", string(w.ID)), slog.String("recipient", string(w.Recipient)),
		slog.Int("attempt", w.Attempts+1), slog.Bool("given_up", permanent), slog.String("error", cause.Error()))
	at := retryAt(now, wait)
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if permanent {
			moved, err := failDelivery(ctx, tx, w.ID, w.Recipient, cause.Error(), failure, now)
			if err != nil || moved {
				return err
			}
			f := facts{"agency": string(w.document.Agency), "recipient": string(w.Recipient), "attempts": strconv.Itoa(w.Attempts + 1), "reason": failureText(cause), "failure": failure}
			if err := addAddressed(ctx, tx, f, w.Document, w.Recipient); err != nil {
				return err
			}
			return s.evidence(ctx, tx, "delivery.failed", string(w.Document), now, registry.System("delivery"), f)
		}
		if err := postponeDelivery(ctx, tx, w.ID, w.Recipient, cause.Error(), failure, at, now); err != nil {
			return err
		}
		if w.Attempts == 0 || w.failure != failure { // once for each cause, however often it is tried
			f := facts{"agency": string(w.document.Agency), "recipient": string(w.Recipient), "reason": failureText(cause), "failure": failure}
			if err := addAddressed(ctx, tx, f, w.Document, w.Recipient); err != nil {
				return err
			}
			if err := s.evidence(ctx, tx, "delivery.postponed", string(w.Document), now, registry.System("delivery"), f); err != nil {
				return err
			}
		}
		return s.jobs.Add(ctx, tx, jobDeliver, lane{w.Recipient}, jobs.AddOptions{At: at, Lane: retryLane(w.Recipient, at)})
	})
	if err != nil {
		return fmt.Errorf("recording a failed delivery: %w", errors.Join(err, cause))
	}
	return nil
}

// failureText is a cause in words for people.
func failureText(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	if errors.Is(err, blob.ErrCorrupt) {
		return "Tệp lưu trữ bị hỏng."
	}
	return "Lỗi nội bộ, xem nhật ký của hệ thống."
}
