package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"vanthu/exchange/registry"
	"vanthu/mail"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// jobDigest tells people of their deadlines, every working day.
const jobDigest jobs.Kind = "exchange.digest" // one lane

// digestHour and digestMinute are when, in Vietnam.
const (
	digestHour   = 7
	digestMinute = 30
	digestRows   = 20_000
	maxBefore    = 20
)

// Preference is what a person wants to be told by mail about deadlines (nhắc việc).
type Preference struct {
	Digest   bool `json:"digest"`   // own work that is due soon or overdue
	Before   int  `json:"before"`   // working days before it is due, 0 to 20
	Escalate bool `json:"escalate"` // leaders: what is overdue in the agency
}

// defaultPreference holds for who has set nothing.
func defaultPreference() Preference { return Preference{Digest: true, Before: 2, Escalate: true} }

// Preference gives what the actor wants to be told.
func (s *Service) Preference(ctx context.Context, by registry.Actor) (p Preference, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		p, err = selectPreference(ctx, tx, by.Person)
		return err
	})
	return p, storageError("reading preferences", err)
}

// SetPreference changes what the actor is told.
func (s *Service) SetPreference(ctx context.Context, by registry.Actor, p Preference) error {
	if by.Person == "" || by.OnBehalfOf != nil {
		return fail(KindForbidden, "Chỉ chính người dùng đặt việc nhắc cho mình.", "People set their own reminders.")
	}
	if p.Before < 0 || p.Before > maxBefore {
		return failf(KindInvalid, "Nhắc trước từ 0 đến %d ngày làm việc.", "Reminders come 0 to %d working days before.", maxBefore)
	}
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return upsertPreference(ctx, tx, by.Person, p) })
	return storageError("keeping preferences", err)
}

// nextDigest is the next time people are told: half past seven of a working day.
func nextDigest(c *Calendar, now time.Time) time.Time {
	day := dateOf(now)
	at := day.Add(digestHour*time.Hour + digestMinute*time.Minute)
	if c.IsWorking(day) && at.After(now) {
		return at
	}
	return c.Next(now).Add(digestHour*time.Hour + digestMinute*time.Minute)
}

// digestAt puts the job of the next digest into the queue.
func (s *Service) digestAt(ctx context.Context, tx *sqldb.Tx, now time.Time) error {
	if s.cfg.Mail == nil {
		return nil
	}
	c, err := s.calendar(ctx, tx)
	if err != nil {
		return err
	}
	at := nextDigest(c, now)
	return s.jobs.Add(ctx, tx, jobDigest, lane{}, jobs.AddOptions{At: at, Lane: "digest@" + strconv.FormatInt(at.Unix(), 10)})
}

// due is open work with the day by which it has to be done.
type due struct {
	Incoming
	day  time.Time
	over int // working days over it, negative = still to come
}

// runDigest tells everybody once a working day: who leads the work, of what is due
// within the days they chose or overdue; the leaders of the agency, of what is overdue,
// with evidence the first time. Mail carries the day in its id, so that a repeat
// reaches a mailbox once.
func (s *Service) runDigest(ctx context.Context, _ json.RawMessage) error {
	now := s.clock()
	var list []due
	var c *Calendar
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if c, err = s.calendar(ctx, tx); err != nil {
			return err
		}
		list, err = selectDue(ctx, tx, c.AddDays(dateOf(now), maxBefore+1), digestRows)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading what is due: %w", err)
	}
	of := map[registry.PersonID][]due{}
	overdue := map[registry.AgencyID][]due{}
	for _, d := range list {
		d.over = -c.DaysBetween(now, d.day)
		if dateOf(now).After(d.day) {
			d.over = max(1, c.DaysBetween(d.day, now))
			overdue[d.Agency] = append(overdue[d.Agency], d)
		}
		if d.Assignee != "" {
			of[d.Assignee] = append(of[d.Assignee], d)
		}
	}
	for person, mine := range of {
		if err := s.remind(ctx, person, mine, now); err != nil {
			return err
		}
	}
	for agency, late := range overdue {
		if err := s.escalate(ctx, agency, late, now); err != nil {
			return err
		}
	}
	return s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.digestAt(ctx, tx, now) })
}

// remind mails a person what is due soon or overdue.
func (s *Service) remind(ctx context.Context, person registry.PersonID, mine []due, now time.Time) error {
	p, pref, err := s.wants(ctx, person)
	if err != nil || p == nil || !pref.Digest {
		return err
	}
	mine = slices.DeleteFunc(mine, func(d due) bool { return d.over < -pref.Before })
	if len(mine) == 0 {
		return nil
	}
	return s.mailWork(ctx, p, "digest", "[Nhắc việc] "+strconv.Itoa(len(mine))+" văn bản sắp đến hạn hoặc quá hạn", mine, now)
}

// escalate mails the leaders of an agency what is overdue in it.
func (s *Service) escalate(ctx context.Context, agency registry.AgencyID, late []due, now time.Time) error {
	people, err := s.reg.People(ctx, agency)
	if err != nil {
		return fmt.Errorf("leaders to tell: %w", err)
	}
	for i := range people {
		if people[i].Disabled || !slices.Contains(people[i].Roles, registry.RoleLeader) {
			continue
		}
		p, pref, err := s.wants(ctx, people[i].ID)
		if err != nil {
			return err
		}
		if p == nil || !pref.Escalate {
			continue
		}
		if err := s.mailWork(ctx, p, "escalation", "[Quá hạn] "+strconv.Itoa(len(late))+" văn bản của cơ quan", late, now); err != nil {
			return err
		}
	}
	return s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, d := range late {
			first, err := insertEscalation(ctx, tx, d.ID, d.day, now)
			if err != nil {
				return err
			}
			if !first {
				continue
			}
			f := facts{"agency": string(agency), "days": strconv.Itoa(d.over), "assignee": string(d.Assignee)}
			if err := s.evidence(ctx, tx, "work.escalated", string(d.ID), now, registry.System("digest"), f); err != nil {
				return err
			}
		}
		return nil
	})
}

// wants gives an active person and what they want to be told; nil = nobody to tell.
func (s *Service) wants(ctx context.Context, id registry.PersonID) (*registry.Person, Preference, error) {
	p, err := s.reg.Person(ctx, id)
	if err != nil || p.Disabled || p.Mail == "" {
		if KindOf(err) == KindNotFound {
			err = nil
		}
		return nil, Preference{}, err
	}
	pref, err := s.Preference(ctx, registry.Actor{Person: id})
	return p, pref, err
}

// mailWork delivers one list of work, once a day and person.
func (s *Service) mailWork(ctx context.Context, p *registry.Person, kind, subject string, list []due, now time.Time) error {
	to, err := mail.ParseAddress(p.Mail)
	if err != nil {
		return nil //nolint:nilerr // an address that cannot be one has nobody behind it
	}
	from, err := mail.ParseAddress("vanthu@" + s.cfg.Domain)
	if err != nil {
		return fmt.Errorf("address of the digest's sender: %w", err)
	}
	slices.SortFunc(list, func(a, b due) int { return a.day.Compare(b.day) })
	var lines []string
	for _, d := range list {
		state := "còn " + strconv.Itoa(-d.over) + " ngày làm việc"
		switch {
		case d.over > 0:
			state = "QUÁ HẠN " + strconv.Itoa(d.over) + " ngày làm việc"
		case d.over == 0:
			state = "hạn hôm nay"
		}
		lines = append(lines, fmt.Sprintf("- %s, số đến %d/%d, hạn %s (%s): %s", d.Code, d.ArrivalNumber, d.ArrivalYear, d.day.In(Vietnam()).Format("02/01/2006"), state, d.Subject))
	}
	id := kind + "-" + string(p.ID) + "-" + now.In(Vietnam()).Format("20060102")
	message := plainMessage(string(from), string(to), subject, "<"+id+"@"+s.cfg.Domain+">", now, lines)
	_, err = s.cfg.Mail.Deliver(ctx, mail.Envelope{From: from, To: []mail.Address{to}, ID: id}, bytes.NewReader(message))
	if errors.Is(err, mail.ErrNoRecipient) || errors.Is(err, mail.ErrNotLocal) || errors.Is(err, mail.ErrQuota) || errors.Is(err, mail.ErrDisabled) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "reminder not delivered", slog.String("person", string(p.ID)), slog.String("error", err.Error()))
		return nil
	}
	if err != nil {
		return fmt.Errorf("delivering a reminder: %w", err)
	}
	return nil
}
