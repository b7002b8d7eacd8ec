package exchange

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// eventsKept is how many events of an agency are remembered for those who come
// back; the evidence log keeps all of them for ever.
const eventsKept = 50_000

// eventsSweep is after how many events of an agency the oldest are dropped.
const eventsSweep = 500

// Announcement is one act as those are told who follow an agency as it works:
// the same facts as the evidence entry, written in the same transaction.
type Announcement struct {
	Agency  registry.AgencyID `json:"agency"`
	Seq     int64             `json:"seq"` // counts the agency's announcements from 1, without a gap
	Entry   ledger.EntryID    `json:"entry"`
	Kind    string            `json:"kind"`    // of the evidence, e.g. document.sent
	Subject string            `json:"subject"` // the document, incoming document, …
	At      time.Time         `json:"at"`
	Actor   string            `json:"actor"`
	Params  map[string]string `json:"params,omitempty"`
}

// Follower hears of every announcement inside the transaction of the act. It may
// only write rows and jobs in tx; its error undoes the act.
type Follower func(ctx context.Context, tx *sqldb.Tx, a *Announcement) error

// Follow adds a follower. Call it before Store.Start.
func (s *Service) Follow(f Follower) { s.followers = append(s.followers, f) }

// Record writes an evidence entry for an act on something that hangs on the
// exchange (a subscription), in the acting transaction, and announces it.
func (s *Service) Record(ctx context.Context, tx *sqldb.Tx, kind, subject string, by registry.Actor, params map[string]string) error {
	f := s.facts(by)
	maps.Copy(f, params)
	return s.evidence(ctx, tx, kind, subject, s.clock(), by, f)
}

// announce tells the followers of the acting agency. What the system does for no
// agency is evidence only.
func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, id ledger.EntryID, e *ledger.Entry, f facts) error {
	agency := registry.AgencyID(f["agency"])
	if agency == "" {
		return nil
	}
	a := &Announcement{Agency: agency, Entry: id, Kind: e.Kind, Subject: e.Subject, At: e.At, Actor: e.Actor, Params: f}
	var err error
	if a.Seq, err = insertEvent(ctx, tx, a, string(e.Body)); err != nil {
		return err
	}
	if a.Seq%eventsSweep == 0 {
		if err := deleteEvents(ctx, tx, agency, a.Seq-eventsKept); err != nil {
			return err
		}
	}
	for _, follow := range s.followers {
		if err := follow(ctx, tx, a); err != nil {
			return err
		}
	}
	tx.AfterCommit(func() { s.watchers.wake(agency) })
	return nil
}

// Announcements gives the events of the actor's agency after a number, oldest
// first, at most limit (1 to 200). A number older than what is kept begins at
// the oldest that is kept: compare Seq to see a gap.
func (s *Service) Announcements(ctx context.Context, by registry.Actor, after int64, limit int) (list []Announcement, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = selectEvents(ctx, tx, by.Agency, after, pageLimit(limit))
		return err
	})
	return list, storageError("reading events", err)
}

// LastAnnouncement is the number of the agency's latest event, 0 before the first.
func (s *Service) LastAnnouncement(ctx context.Context, by registry.Actor) (seq int64, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		seq, err = lastEvent(ctx, tx, by.Agency)
		return err
	})
	return seq, storageError("reading events", err)
}

// Watch gives a channel that holds a token whenever something has been announced
// for the agency by this process since the last was taken. stop ends it.
func (s *Service) Watch(agency registry.AgencyID) (woken <-chan struct{}, stop func()) {
	return s.watchers.add(agency)
}

// In puts an announcement in words, as timelines do (vi|en); agencies stand by
// their codes.
func (a *Announcement) In(lang string) string {
	e := Event{At: a.At, Kind: a.Kind, Actor: a.Params["actor_name"], Agency: string(a.Agency), Params: a.Params, Entry: a.Entry}
	return e.In(lang)
}

// watchers wakes those who wait for events of an agency.
type watchers struct {
	mu sync.Mutex
	of map[registry.AgencyID]map[chan struct{}]struct{}
}

func (w *watchers) add(agency registry.AgencyID) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[registry.AgencyID]map[chan struct{}]struct{}{}
	}
	if w.of[agency] == nil {
		w.of[agency] = map[chan struct{}]struct{}{}
	}
	w.of[agency][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.of[agency], c)
		if len(w.of[agency]) == 0 {
			delete(w.of, agency)
		}
	}
}

func (w *watchers) wake(agency registry.AgencyID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.of[agency] {
		select {
		case c <- struct{}{}:
		default: // a token is there already
		}
	}
}

// paramsOf reads the facts of an event.
func paramsOf(body string) (map[string]string, error) {
	var out map[string]string
	err := json.Unmarshal([]byte(body), &out)
	return out, err
}

// hookTemplate gives the sentences about subscriptions of programs.
func hookTemplate(kind string) (vi, en string) {
	switch kind {
	case "webhook.added":
		return "Thêm webhook tới {host}", "Webhook to {host} added"
	case "webhook.changed":
		return "Sửa webhook tới {host}", "Webhook to {host} changed"
	case "webhook.paused":
		return "Tạm dừng webhook tới {host}", "Webhook to {host} paused"
	case "webhook.resumed":
		return "Cho webhook tới {host} chạy lại", "Webhook to {host} resumed"
	case "webhook.rotated":
		return "Đổi khóa webhook tới {host}", "Secret of the webhook to {host} changed"
	case "webhook.removed":
		return "Xóa webhook tới {host}", "Webhook to {host} removed"
	case "webhook.replayed":
		return "Gửi lại {count} thông báo tới {host}", "{count} messages replayed to {host}"
	case "webhook.skipped":
		return "Bỏ qua thông báo {seq} tới {host}", "Message {seq} to {host} skipped"
	case "webhook.disabled":
		return "Ngắt webhook tới {host} sau {attempts} lần gửi không được: {reason}", "Webhook to {host} disabled after {attempts} failed attempts: {reason}"
	case "webhook.test":
		return "Thông báo thử", "Test message"
	}
	return kind, kind
}
