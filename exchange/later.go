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

// jobLater sends a document at its time.
const jobLater jobs.Kind = "exchange.send-later" // lane by document and time

// maxLater is how far ahead a sending may be set.
const maxLater = 366 * 24 * time.Hour

// plan is a sending to come.
type plan struct {
	To         []registry.AgencyID `json:"to"`
	Person     registry.PersonID   `json:"person"`
	Delegation string              `json:"delegation,omitempty"`
}

// SendLater has a sealed document sent by the hub at a time (hẹn giờ gửi), to
// recipients that are checked now and again then. A new time or other recipients
// take the place of what was set. Number and date of issue, where it has none yet,
// are those of the sending. Clerk; until then CancelSendLater takes it back.
func (s *Service) SendLater(ctx context.Context, by registry.Actor, id DocumentID, at time.Time, to []registry.AgencyID) (*Document, error) {
	if err := allowed(by, ActSchedule); err != nil {
		return nil, err
	}
	now := s.clock()
	at = at.UTC().Truncate(time.Microsecond)
	if !at.After(now) || at.Sub(now) > maxLater {
		return nil, fail(KindInvalid, "Giờ hẹn gửi phải ở tương lai và không quá 366 ngày.", "The time to send must be in the future, at most 366 days ahead.").
			Advise("Gửi ngay nếu giờ hẹn đã qua.", "Send it now if the time has passed.")
	}
	recipients, err := s.recipients(ctx, by.Agency, to, now)
	if err != nil {
		return nil, err
	}
	text, err := marshal(plan{To: recipients, Person: by.Person, Delegation: delegationOf(by)})
	if err != nil {
		return nil, err
	}
	var d *Document
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if d, err = s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		check := *d
		if err := check.advance(ActSend); err != nil {
			return err
		}
		was := d.version
		d.SendAt, d.plan, d.Updated = at, text, now
		if err := updateDocument(ctx, tx, d, was); err != nil {
			return err
		}
		f := s.facts(by)
		f["send_at"], f["count"] = pinnedTime(at), strconv.Itoa(len(recipients))
		f["when"] = at.In(Vietnam()).Format("15:04 02/01/2006")
		if err := s.evidence(ctx, tx, "document.scheduled", string(d.ID), now, by, f); err != nil {
			return err
		}
		return s.addLater(ctx, tx, d.ID, at)
	})
	if err != nil {
		return nil, storageError("setting a time to send", err)
	}
	return d, nil
}

func (s *Service) addLater(ctx context.Context, tx *sqldb.Tx, id DocumentID, at time.Time) error {
	return s.jobs.Add(ctx, tx, jobLater, archiveArgs{id}, jobs.AddOptions{At: at, Lane: string(id) + "@" + strconv.FormatInt(at.Unix(), 10)})
}

// CancelSendLater takes back a sending to come. Clerk.
func (s *Service) CancelSendLater(ctx context.Context, by registry.Actor, id DocumentID) (d *Document, err error) {
	if err := allowed(by, ActSchedule); err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if d, err = s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		if d.SendAt.IsZero() {
			return fail(KindConflict, "Văn bản không có giờ hẹn gửi.", "No time to send is set.")
		}
		return s.unschedule(ctx, tx, by, d, "")
	})
	if err != nil {
		return nil, storageError("taking back a time to send", err)
	}
	return d, nil
}

func (s *Service) unschedule(ctx context.Context, tx *sqldb.Tx, by registry.Actor, d *Document, reason string) error {
	was, now := d.version, s.clock()
	d.SendAt, d.plan, d.Updated = time.Time{}, "", now
	if err := updateDocument(ctx, tx, d, was); err != nil {
		return err
	}
	f := s.facts(by)
	f["agency"] = string(d.Agency)
	kind := "document.unscheduled"
	if reason != "" {
		kind, f["reason"] = "document.schedule-failed", reason
	}
	return s.evidence(ctx, tx, kind, string(d.ID), now, by, f)
}

// runLater is the job that sends a document whose time has come: in the name of the
// clerk who set it where that one still may, else by the hub. What can never be sent
// loses its time and is the clerk's to send again, with the reason in the evidence.
func (s *Service) runLater(ctx context.Context, raw json.RawMessage) error {
	var args archiveArgs
	if err := json.Unmarshal(raw, &args); err != nil {
		return jobs.Cancel(fmt.Errorf("sending to come: %w", err))
	}
	var d *Document
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		d, err = selectDocument(ctx, tx, args.Document)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading a sending to come: %w", err)
	}
	if d == nil || d.SendAt.IsZero() || d.SendAt.After(s.clock()) || d.State != StateSealed {
		return nil // taken back, set anew, or sent
	}
	var p plan
	if err := json.Unmarshal([]byte(d.plan), &p); err != nil {
		return jobs.Cancel(fmt.Errorf("decoding a sending to come: %w", err))
	}
	by := s.plannedBy(ctx, p, d.Agency)
	_, _, err = s.Send(ctx, by, d.ID, p.To)
	if err == nil || KindOf(err) == "" || KindOf(err) == KindUnavailable || ctx.Err() != nil {
		return err
	}
	return s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now, err2 := selectDocument(ctx, tx, d.ID)
		if err2 != nil || now.State != StateSealed || now.SendAt.IsZero() {
			return err2
		}
		return s.unschedule(ctx, tx, registry.System("send-later"), now, failureText(err))
	})
}

// plannedBy gives who sends: the clerk who set the time, or the hub.
func (s *Service) plannedBy(ctx context.Context, p plan, agency registry.AgencyID) registry.Actor {
	hub := registry.System("send-later")
	hub.Agency = agency
	by, err := s.reg.ActorOf(ctx, p.Person)
	if err == nil && p.Delegation != "" {
		by, err = s.reg.ActingFor(ctx, by, p.Delegation)
	}
	if err != nil || by.Agency != agency || !may(by, ActSend) {
		return hub
	}
	return by
}

// resumeLater puts the sendings to come back into the queue.
func (s *Service) resumeLater(ctx context.Context, tx *sqldb.Tx) error {
	list, err := selectLater(ctx, tx)
	for i := range list {
		if err == nil {
			err = s.addLater(ctx, tx, list[i].ID, list[i].SendAt)
		}
	}
	return err
}
