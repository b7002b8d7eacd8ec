package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// Times after which a delivery without a receipt is evidence by itself, as in
// registered mail (PEC: a warning, then non-delivery). Hours, not working hours.
const (
	overdueAfter     = 12 * time.Hour
	undeliveredAfter = 24 * time.Hour
)

// The kinds of exchange_watch.
const (
	watchOverdue     = "overdue"
	watchUndelivered = "undelivered"
	watchArrived     = "arrived"
)

const watchBatch = 200

// unseen is a delivery that is late and of which nothing has said so.
type unseen struct {
	Delivery
	agency registry.AgencyID // the sender
	code   string
}

// watchLane is the one lane of the watchdog: one job waits, at the time of the
// next delivery that may become late.
const watchLane = "watch"

func (s *Service) watchAt(ctx context.Context, tx *sqldb.Tx, at time.Time) error {
	return s.jobs.Add(ctx, tx, jobWatch, struct{}{}, jobs.AddOptions{At: at, Lane: watchLane})
}

// runWatch makes the negative evidence that is due, exactly once each whatever is
// repeated, while retrying goes on, and comes back when the next is due.
func (s *Service) runWatch(ctx context.Context, _ json.RawMessage) error {
	defer s.lanes.lock(watchLane)()
	for turn := newTurn(); ; {
		n := 0
		for _, w := range []struct {
			kind  string
			after time.Duration
		}{{watchOverdue, overdueAfter}, {watchUndelivered, undeliveredAfter}} {
			m, err := s.watchBatch(ctx, w.kind, w.after)
			if err != nil {
				return fmt.Errorf("watching deliveries: %w", err)
			}
			n += m
		}
		if n == 0 {
			break
		}
		if err := turn.over(); err != nil {
			return err
		}
	}
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		at, err := nextWatch(ctx, tx)
		if err != nil || at.IsZero() {
			return err
		}
		return s.watchAt(ctx, tx, at)
	})
	if err != nil {
		return fmt.Errorf("planning the next watch: %w", err)
	}
	return nil
}

// watchBatch writes one kind of negative evidence for a batch of deliveries.
func (s *Service) watchBatch(ctx context.Context, kind string, after time.Duration) (n int, err error) {
	now := s.clock()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err := selectUnseen(ctx, tx, kind, now.Add(-after), watchBatch)
		n = len(list)
		for _, v := range list {
			if err != nil {
				return err
			}
			fresh, err := insertWatch(ctx, tx, v.ID, kind, now)
			if err != nil {
				return err
			}
			if !fresh {
				continue
			}
			f := facts{"agency": string(v.agency), "recipient": string(v.Recipient), "code": v.code, "delivery": string(v.ID),
				"since": pinnedTime(v.Created), "hours": strconv.Itoa(int(after / time.Hour)), "attempts": strconv.Itoa(v.Attempts)}
			if v.LastError != "" {
				f["reason"] = v.LastError
			}
			if err := s.evidence(ctx, tx, "delivery."+kind, string(v.Document), now, registry.System("watch"), f); err != nil {
				return err
			}
		}
		return err
	})
	return n, err
}

// arrivedLate is the other half of negative evidence: what was reported late or
// not delivered has come after all. Once per delivery.
func (s *Service) arrivedLate(ctx context.Context, tx *sqldb.Tx, r *Receipt, now time.Time) error {
	since, err := insertArrivedLate(ctx, tx, r, now)
	if err != nil || since.IsZero() {
		return err
	}
	f := facts{"agency": string(r.To), "recipient": string(r.From), "since": pinnedTime(since), "receipt": r.ID,
		"hours": strconv.Itoa(int(now.Sub(since) / time.Hour))}
	return s.evidence(ctx, tx, "delivery.arrived-late", string(r.Document), now, registry.System("watch"), f)
}
