package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

const (
	// keptFor is how long messages and attempts are kept, delivered or not.
	keptFor = 30 * 24 * time.Hour
	// sweepEvery is after how many messages of a subscription the old are deleted.
	sweepEvery = 200
	// turn bounds one run of a lane: others have their turn then.
	turn = time.Minute
	// mostRetryAfter bounds how long a receiver may ask us to wait.
	mostRetryAfter = 24 * time.Hour
	// leaseSpare is how much longer than an attempt a lane is held.
	leaseSpare = 15 * time.Second
)

// lane is the argument of the lane job.
type lane struct {
	Subscription ID `json:"subscription"`
}

// payload is what is sent (Standard Webhooks, "Payload structure").
type payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Agency  registry.AgencyID `json:"agency"`
	Event   int64             `json:"event,omitempty"` // the number as /api/v1/events gives it
	Entry   string            `json:"entry,omitempty"` // of the evidence log
	Subject string            `json:"subject"`
	Actor   string            `json:"actor"`
	Text    string            `json:"text"`
	TextEN  string            `json:"text_en"`
	Params  map[string]string `json:"params,omitempty"`
}

// follow makes a message of an event for every subscription that wants it, in the
// transaction of the act.
func (h *Hooks) follow(ctx context.Context, tx *sqldb.Tx, a *exchange.Announcement) error {
	list, err := selectFilters(ctx, tx, a.Agency)
	if err != nil {
		return fmt.Errorf("reading webhooks: %w", err)
	}
	for i := range list {
		if !list[i].wants(a.Kind) {
			continue
		}
		if _, err := h.message(ctx, tx, list[i].ID, string(a.Entry), a); err != nil {
			return fmt.Errorf("telling a webhook: %w", err)
		}
	}
	return nil
}

// message writes one message and the job that carries it.
func (h *Hooks) message(ctx context.Context, tx *sqldb.Tx, id ID, event string, a *exchange.Announcement) (*Message, error) {
	body, err := json.Marshal(payload{Type: a.Kind, Timestamp: a.At.UTC(), Data: data{Agency: a.Agency, Event: a.Seq, Entry: string(a.Entry),
		Subject: a.Subject, Actor: a.Actor, Text: a.In("vi"), TextEN: a.In("en"), Params: a.Params}})
	if err != nil {
		return nil, fmt.Errorf("encoding a webhook message: %w", err)
	}
	m := &Message{Subscription: id, ID: "msg_" + event, Kind: a.Kind, Subject: a.Subject, At: a.At, State: MessageWaiting, body: string(body)}
	if m.Seq, err = insertMessage(ctx, tx, m); err != nil {
		return nil, err
	}
	if m.Seq%sweepEvery == 0 {
		if err := sweep(ctx, tx, id, h.now().Add(-keptFor)); err != nil {
			return nil, err
		}
	}
	return m, h.wake(ctx, tx, id)
}

// deliver works a lane: message after message while the receiver takes them.
func (h *Hooks) deliver(ctx context.Context, raw json.RawMessage) error {
	var args lane
	if err := json.Unmarshal(raw, &args); err != nil {
		return jobs.Cancel(fmt.Errorf("decoding a webhook job: %w", err))
	}
	end := h.now().Add(turn)
	for h.now().Before(end) {
		s, m, err := h.take(ctx, args.Subscription)
		switch {
		case errors.Is(err, errBusy):
			return jobs.Snooze(time.Second)
		case err != nil:
			return fmt.Errorf("taking a webhook message: %w", err)
		case m == nil:
			return nil
		}
		taken, err := h.attempt(ctx, s, m)
		if err != nil || !taken {
			return err
		}
	}
	return jobs.Snooze(0)
}

// errBusy means that another worker has the lane.
var errBusy = errors.New("another worker has the lane")

// take leases the lane and gives its first message that waits; nil when there is
// nothing to do now.
func (h *Hooks) take(ctx context.Context, id ID) (s *Subscription, m *Message, err error) {
	now := h.now()
	err = h.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		s, m = nil, nil
		leased, err := leaseLane(ctx, tx, id, now, now.Add(h.cfg.Timeout+leaseSpare))
		if err != nil {
			return err
		}
		if s, err = selectSubscription(ctx, tx, id); err != nil || s == nil {
			return err
		}
		if !leased {
			return errBusy
		}
		if s.State == StateActive {
			if m, err = selectFirst(ctx, tx, id); err != nil {
				return err
			}
		}
		if m != nil && m.Next.After(now) {
			// This run is early: the retry has a job of its own, made again here in case it was given up.
			next := m.Next
			m = nil
			if err := h.later(ctx, tx, id, next); err != nil {
				return err
			}
		}
		if m == nil {
			return releaseLane(ctx, tx, id)
		}
		return nil
	})
	return s, m, err
}

func (h *Hooks) later(ctx context.Context, tx *sqldb.Tx, id ID, at time.Time) error {
	// A lane of its own: a job that waits must not take the place of one that can run now.
	return h.cfg.Jobs.Add(ctx, tx, jobDeliver, lane{id}, jobs.AddOptions{At: at, Lane: string(id) + "@" + strconv.FormatInt(at.UnixMicro(), 10)})
}

// attempt sends one message and writes down what came of it.
func (h *Hooks) attempt(ctx context.Context, s *Subscription, m *Message) (taken bool, err error) {
	at := h.now()
	a := Attempt{ID: newID(), Seq: m.Seq, At: at}
	wait := h.post(ctx, s, m, &a)
	if ctx.Err() != nil {
		return false, ctx.Err() // the hub stops: this was no failure of the receiver
	}
	a.Took = h.now().Sub(at)
	taken = a.Status/100 == 2
	// The outcome is written although the hub may be stopping: the receiver has seen the message.
	settle := context.WithoutCancel(ctx)
	err = h.db.Update(settle, func(ctx context.Context, tx *sqldb.Tx) error {
		still, err := lockSubscription(ctx, tx, s.ID)
		if err != nil || still == nil {
			return err // removed meanwhile: nothing is left to write down
		}
		if err := insertAttempt(ctx, tx, s.ID, &a); err != nil {
			return err
		}
		if taken {
			return settleDelivered(ctx, tx, s.ID, m.Seq, h.now())
		}
		return h.failed(ctx, tx, s, m, &a, wait)
	})
	if err != nil {
		return false, fmt.Errorf("recording a webhook attempt: %w", err)
	}
	if !taken {
		h.log.LogAttrs(ctx, slog.LevelWarn, "webhook not taken", slog.String("webhook", string(s.ID)), slog.String("host", s.host()),
			slog.Int64("message", m.Seq), slog.Int("attempt", m.Attempts+1), slog.Int("status", a.Status), slog.String("error", a.Error))
	}
	return taken, nil
}

// failed makes a message wait, or disables the subscription when that has gone on
// for the whole schedule or the receiver says that it is gone.
func (h *Hooks) failed(ctx context.Context, tx *sqldb.Tx, s *Subscription, m *Message, a *Attempt, wait time.Duration) error {
	now := h.now()
	used := m.Attempts >= len(h.cfg.Schedule)
	if !used && a.Status != http.StatusGone {
		next := now.Add(max(h.cfg.Schedule[m.Attempts], wait))
		if err := settleFailed(ctx, tx, s.ID, m.Seq, next, now); err != nil {
			return err
		}
		return h.later(ctx, tx, s.ID, next)
	}
	reason := a.Error
	if reason == "" {
		reason = "HTTP " + strconv.Itoa(a.Status)
	}
	if err := settleFailed(ctx, tx, s.ID, m.Seq, now, now); err != nil {
		return err
	}
	if err := disable(ctx, tx, s.ID, reason, now); err != nil {
		return err
	}
	return h.record(ctx, tx, "webhook.disabled", registry.System("webhooks"), s, map[string]string{"reason": reason, "attempts": strconv.Itoa(m.Attempts + 1)})
}

// post sends one message; what came of it goes into the attempt. wait is what the
// receiver asks for.
func (h *Hooks) post(ctx context.Context, s *Subscription, m *Message, a *Attempt) (wait time.Duration) {
	body := []byte(m.body)
	signature, err := h.signatures(s, m.ID, a.At, body)
	if err != nil {
		a.Error = err.Error()
		return 0
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		a.Error = networkError(err)
		return 0
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "vanthu-webhook/1")
	request.Header.Set("webhook-id", m.ID)
	request.Header.Set("webhook-timestamp", strconv.FormatInt(a.At.Unix(), 10))
	request.Header.Set("webhook-signature", signature)
	response, err := h.client.Do(request)
	if err != nil {
		a.Error = networkError(err)
		return 0
	}
	defer response.Body.Close() //nolint:errcheck // only read
	a.Status = response.StatusCode
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerRead))
	a.Answer = firstText(answer)
	if err != nil && a.Status/100 == 2 {
		a.Status, a.Error = 0, networkError(err) // the answer did not come whole: the receiver may not have kept the message
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		wait = time.Duration(min(seconds, int(mostRetryAfter/time.Second))) * time.Second
	}
	return wait
}

// networkError says why there was no answer, without the address: its path and
// query may hold a secret of the receiver.
func networkError(err error) string {
	var inner *url.Error
	if errors.As(err, &inner) {
		if inner.Timeout() {
			return "no answer in time"
		}
		err = inner.Err
	}
	if errors.Is(err, errPrivate) {
		return errPrivate.Error()
	}
	return firstText([]byte(err.Error()))
}

// firstText is the beginning of an answer as it can stand on a page.
func firstText(b []byte) string {
	text := []rune(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(b), "")))
	return strings.TrimSpace(string(text[:min(len(text), answerKept)]))
}

// host is all of the address that goes into logs and evidence.
func (s *Subscription) host() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	return u.Host
}
