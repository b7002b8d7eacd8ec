package webhook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// Bounds of subscriptions.
const (
	maxSubscriptions = 20 // of one agency
	maxEvents        = 50
	maxEventLength   = 60
	maxDescription   = 200
	maxReplay        = 10_000
	// MaxRotation is how long an old secret may go on signing.
	MaxRotation = 7 * 24 * time.Hour
)

// Input is what an administrator says of a subscription.
type Input struct {
	URL         string   `json:"url"`
	Description string   `json:"description"`
	Events      []string `json:"events"`
}

func (h *Hooks) clean(in *Input) (err error) {
	if in.URL, err = cleanURL(in.URL, h.cfg.AllowPrivate); err != nil {
		return err
	}
	if in.Description, err = registry.CleanLine("Mô tả", "The description", in.Description, maxDescription); err != nil {
		return err
	}
	var events []string
	for _, kind := range in.Events {
		if kind = strings.TrimSpace(kind); kind == "" {
			continue
		}
		if !validFilter(kind) {
			return registry.NewError(exchange.KindInvalid, fmt.Sprintf("Loại sự kiện %q không hợp lệ.", kind), fmt.Sprintf("%q is not a kind of event.", kind)).
				Advise("Dùng tên như document.sent, hoặc document.* cho cả nhóm.", "Use a name like document.sent, or document.* for a whole group.")
		}
		if !slices.Contains(events, kind) {
			events = append(events, kind)
		}
	}
	if len(events) > maxEvents {
		return registry.NewError(exchange.KindInvalid, fmt.Sprintf("Tối đa %d loại sự kiện.", maxEvents), fmt.Sprintf("At most %d kinds of event.", maxEvents))
	}
	in.Events = events
	return nil
}

// validFilter knows names of lower-case words parted by dots, the last of which
// may be a star.
func validFilter(kind string) bool {
	name := strings.TrimSuffix(kind, ".*")
	return name != "" && len(kind) <= maxEventLength && !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, ".") &&
		strings.IndexFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && r != '.' && r != '-' }) < 0
}

// wants tells whether a subscription is told of a kind.
func (s *Subscription) wants(kind string) bool {
	return len(s.Events) == 0 || slices.ContainsFunc(s.Events, func(filter string) bool {
		group, all := strings.CutSuffix(filter, "*")
		return filter == kind || all && strings.HasPrefix(kind, group)
	})
}

// manages checks that the actor administers the agency.
func (h *Hooks) manages(ctx context.Context, by registry.Actor, agency registry.AgencyID) error {
	ok, err := h.cfg.Registry.Manages(ctx, by, agency)
	if err != nil {
		return err
	}
	if !ok {
		return registry.NewError(exchange.KindForbidden, "Chỉ quản trị viên của cơ quan được quản lý webhook.", "Only an administrator of the agency manages its webhooks.")
	}
	return nil
}

func notFound() error {
	return registry.NewError(exchange.KindNotFound, "Không có webhook này.", "There is no such webhook.")
}

// own gives a subscription that the actor administers.
func (h *Hooks) own(ctx context.Context, by registry.Actor, id ID) (*Subscription, error) {
	var s *Subscription
	err := h.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		s, err = selectSubscription(ctx, tx, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading webhook: %w", err)
	}
	if s == nil || (h.manages(ctx, by, s.Agency) != nil && s.Agency != by.Agency) {
		return nil, notFound()
	}
	return s, h.manages(ctx, by, s.Agency)
}

// Add subscribes a program of the agency (the actor's own when ""). The secret is
// given this once; it is kept sealed. Administrators.
func (h *Hooks) Add(ctx context.Context, by registry.Actor, agency registry.AgencyID, in Input) (s *Subscription, secret string, err error) {
	if agency == "" {
		agency = by.Agency
	}
	if err := h.manages(ctx, by, agency); err != nil {
		return nil, "", err
	}
	if err := h.clean(&in); err != nil {
		return nil, "", err
	}
	secret = newSecret()
	now := h.now()
	s = &Subscription{ID: ID(newID()), Agency: agency, URL: in.URL, Description: in.Description, Events: in.Events, State: StateActive,
		Created: now, Updated: now, createdBy: by.Tag()}
	s.secret = h.sealed(s.ID, secret)
	err = h.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := countSubscriptions(ctx, tx, agency)
		if err != nil {
			return err
		}
		if n >= maxSubscriptions {
			return registry.NewError(exchange.KindConflict, fmt.Sprintf("Cơ quan đã có %d webhook, là mức tối đa.", n), fmt.Sprintf("The agency has %d webhooks, which is the most.", n)).
				Advise("Xóa webhook không dùng nữa.", "Remove one that is not used any more.")
		}
		if err := insertSubscription(ctx, tx, s); err != nil {
			return err
		}
		return h.record(ctx, tx, "webhook.added", by, s, nil)
	})
	if err != nil {
		return nil, "", fmt.Errorf("adding a webhook: %w", err)
	}
	return s, secret, nil
}

// record writes the evidence of an act on a subscription.
func (h *Hooks) record(ctx context.Context, tx *sqldb.Tx, kind string, by registry.Actor, s *Subscription, params map[string]string) error {
	all := map[string]string{"agency": string(s.Agency), "host": s.host()}
	maps.Copy(all, params)
	return h.cfg.Service.Record(ctx, tx, kind, string(s.ID), by, all)
}

// List gives the subscriptions of an agency (the actor's own when "").
func (h *Hooks) List(ctx context.Context, by registry.Actor, agency registry.AgencyID) (list []Subscription, err error) {
	if agency == "" {
		agency = by.Agency
	}
	if err := h.manages(ctx, by, agency); err != nil {
		return nil, err
	}
	err = h.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = selectSubscriptions(ctx, tx, agency)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing webhooks: %w", err)
	}
	return list, nil
}

// Get gives one subscription.
func (h *Hooks) Get(ctx context.Context, by registry.Actor, id ID) (*Subscription, error) {
	return h.own(ctx, by, id)
}

// Change sets address, description and events. Messages that wait go to the new
// address.
func (h *Hooks) Change(ctx context.Context, by registry.Actor, id ID, in Input) (*Subscription, error) {
	if err := h.clean(&in); err != nil {
		return nil, err
	}
	return h.change(ctx, by, id, "webhook.changed", func(_ context.Context, _ *sqldb.Tx, s *Subscription) error {
		s.URL, s.Description, s.Events = in.URL, in.Description, in.Events
		return nil
	})
}

// change does one act on a subscription with its evidence.
func (h *Hooks) change(ctx context.Context, by registry.Actor, id ID, kind string, act func(context.Context, *sqldb.Tx, *Subscription) error) (*Subscription, error) {
	if _, err := h.own(ctx, by, id); err != nil {
		return nil, err
	}
	var s *Subscription
	err := h.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if s, err = lockSubscription(ctx, tx, id); err != nil {
			return err
		}
		if s == nil {
			return notFound()
		}
		if err := act(ctx, tx, s); err != nil {
			return err
		}
		s.Updated = h.now()
		if err := updateSubscription(ctx, tx, s); err != nil {
			return err
		}
		return h.record(ctx, tx, kind, by, s, nil)
	})
	if err != nil {
		return nil, fmt.Errorf("changing a webhook: %w", err)
	}
	return s, nil
}

// Pause keeps messages back; they gather.
func (h *Hooks) Pause(ctx context.Context, by registry.Actor, id ID) (*Subscription, error) {
	return h.change(ctx, by, id, "webhook.paused", func(_ context.Context, _ *sqldb.Tx, s *Subscription) error {
		if s.State != StateActive {
			return registry.NewError(exchange.KindConflict, "Webhook không đang hoạt động.", "The webhook is not active.")
		}
		s.State = StatePaused
		return nil
	})
}

// Resume lets a paused or disabled subscription go on with the first message that
// was not delivered, at once.
func (h *Hooks) Resume(ctx context.Context, by registry.Actor, id ID) (*Subscription, error) {
	return h.change(ctx, by, id, "webhook.resumed", func(ctx context.Context, tx *sqldb.Tx, s *Subscription) error {
		if s.State == StateActive {
			return registry.NewError(exchange.KindConflict, "Webhook đang hoạt động.", "The webhook is active.")
		}
		s.State, s.Reason, s.Failing = StateActive, "", time.Time{}
		if err := freshenWaiting(ctx, tx, id); err != nil {
			return err
		}
		return h.wake(ctx, tx, id)
	})
}

// Rotate makes a new secret, given this once. The old one signs as well for
// overlap, at most MaxRotation, so that the receiver can change over.
func (h *Hooks) Rotate(ctx context.Context, by registry.Actor, id ID, overlap time.Duration) (*Subscription, string, error) {
	if overlap < 0 || overlap > MaxRotation {
		return nil, "", registry.NewError(exchange.KindInvalid, "Khóa cũ chỉ được dùng thêm tối đa 7 ngày.", "The old secret may go on for at most 7 days.")
	}
	secret := newSecret()
	s, err := h.change(ctx, by, id, "webhook.rotated", func(_ context.Context, _ *sqldb.Tx, s *Subscription) error {
		s.oldSecret, s.OldUntil = "", time.Time{}
		if overlap > 0 {
			s.oldSecret, s.OldUntil = s.secret, h.now().Add(overlap)
		}
		s.secret = h.sealed(id, secret)
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return s, secret, nil
}

// Remove forgets a subscription, its messages and its log; the evidence stays.
func (h *Hooks) Remove(ctx context.Context, by registry.Actor, id ID) error {
	if _, err := h.own(ctx, by, id); err != nil {
		return err
	}
	err := h.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		s, err := lockSubscription(ctx, tx, id)
		if err != nil || s == nil {
			return err
		}
		if err := deleteSubscription(ctx, tx, id); err != nil {
			return err
		}
		return h.record(ctx, tx, "webhook.removed", by, s, nil)
	})
	if err != nil {
		return fmt.Errorf("removing a webhook: %w", err)
	}
	return nil
}

// Test sends a message of the kind webhook.test through the same lane.
func (h *Hooks) Test(ctx context.Context, by registry.Actor, id ID) (m *Message, err error) {
	s, err := h.own(ctx, by, id)
	if err != nil {
		return nil, err
	}
	if s.State != StateActive {
		return nil, registry.NewError(exchange.KindConflict, "Webhook không đang hoạt động.", "The webhook is not active.").
			Advise("Cho hoạt động lại rồi thử.", "Resume it, then test it.")
	}
	err = h.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		a := &exchange.Announcement{Agency: s.Agency, Kind: "webhook.test", Subject: string(id), At: h.now(), Actor: by.Tag(), Params: map[string]string{"actor_name": by.Name}}
		m, err = h.message(ctx, tx, id, newID(), a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("testing a webhook: %w", err)
	}
	return m, nil
}

// Replay sends messages again, delivered or not, in order, at once: those
// numbered from to to, at most 10,000. Their ids stay, so that a receiver knows
// what it has. It gives how many.
func (h *Hooks) Replay(ctx context.Context, by registry.Actor, id ID, from, to int64) (n int64, err error) {
	if from < 1 || to < from || to-from >= maxReplay {
		return 0, registry.NewError(exchange.KindInvalid, "Khoảng gửi lại phải từ 1, tối đa 10.000 thông báo.", "Give a range from 1 upwards of at most 10,000 messages.")
	}
	s, err := h.own(ctx, by, id)
	if err != nil {
		return 0, err
	}
	if s.State != StateActive {
		return 0, registry.NewError(exchange.KindConflict, "Webhook không đang hoạt động.", "The webhook is not active.").
			Advise("Cho hoạt động lại rồi gửi lại.", "Resume it, then replay.")
	}
	err = h.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if n, err = replayMessages(ctx, tx, id, from, to); err != nil {
			return err
		}
		if n == 0 {
			return registry.NewError(exchange.KindNotFound, "Không có thông báo nào trong khoảng này.", "There is no message in this range.")
		}
		if err := h.wake(ctx, tx, id); err != nil {
			return err
		}
		return h.record(ctx, tx, "webhook.replayed", by, s, map[string]string{"count": strconv.FormatInt(n, 10)})
	})
	if err != nil {
		return 0, fmt.Errorf("replaying a webhook: %w", err)
	}
	return n, nil
}

// Skip lets the lane pass over a message that the receiver will never take.
func (h *Hooks) Skip(ctx context.Context, by registry.Actor, id ID, seq int64) error {
	s, err := h.own(ctx, by, id)
	if err != nil {
		return err
	}
	err = h.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		done, err := skipMessage(ctx, tx, id, seq)
		if err != nil {
			return err
		}
		if !done {
			return registry.NewError(exchange.KindConflict, "Thông báo này không đang chờ gửi.", "This message does not wait.")
		}
		if err := h.wake(ctx, tx, id); err != nil {
			return err
		}
		return h.record(ctx, tx, "webhook.skipped", by, s, map[string]string{"seq": strconv.FormatInt(seq, 10)})
	})
	if err != nil {
		return fmt.Errorf("skipping a webhook message: %w", err)
	}
	return nil
}

// Messages gives the messages of a subscription, newest first, before a number
// (0 = from the newest), at most limit (1 to 200).
func (h *Hooks) Messages(ctx context.Context, by registry.Actor, id ID, before int64, limit int) (list []Message, err error) {
	if _, err := h.own(ctx, by, id); err != nil {
		return nil, err
	}
	err = h.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = selectMessages(ctx, tx, id, before, bounded(limit))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing webhook messages: %w", err)
	}
	return list, nil
}

// Attempts gives the log of a subscription, newest first, before an attempt
// ("" = from the newest), at most limit (1 to 200).
func (h *Hooks) Attempts(ctx context.Context, by registry.Actor, id ID, before string, limit int) (list []Attempt, err error) {
	if _, err := h.own(ctx, by, id); err != nil {
		return nil, err
	}
	err = h.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = selectAttempts(ctx, tx, id, before, bounded(limit))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing webhook attempts: %w", err)
	}
	return list, nil
}

func bounded(limit int) int {
	if limit <= 0 {
		return 50
	}
	return min(limit, 200)
}

func (h *Hooks) wake(ctx context.Context, tx *sqldb.Tx, id ID) error {
	return h.cfg.Jobs.Add(ctx, tx, jobDeliver, lane{id}, jobs.AddOptions{Lane: string(id)})
}
