package exchange

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// NextStep is what has to happen to a document now, and by whom or when. A
// document without one is finished: that is the invariant of this package, and
// TestNobodyIsForgotten shows it for every reachable state.
type NextStep struct {
	Act    Act               `json:"act"`
	Agency registry.AgencyID `json:"agency"`           // whose people act
	Roles  []registry.Role   `json:"roles,omitempty"`  // one of them
	Person registry.PersonID `json:"person,omitempty"` // when it is one person's
	Hub    bool              `json:"hub,omitempty"`    // the hub acts by itself, at the latest At
	At     time.Time         `json:"at,omitzero"`
	Due    time.Time         `json:"due,omitzero"`      // zero = the law gives no time
	AtOnce bool              `json:"at_once,omitempty"` // urgent (NĐ 30/2020 Điều 4.2.c): without waiting for Due
	Rule   string            `json:"rule,omitempty"`    // source of Due
	To     registry.AgencyID `json:"to,omitempty"`      // the recipient that it is about
}

// owned tells whether somebody or some time stands behind the step.
func (n NextStep) owned() bool {
	return n.Act != "" && ((n.Hub && !n.At.IsZero()) || (n.Agency != "" && (n.Person != "" || len(n.Roles) > 0)))
}

// overdue tells whether the step should have been made by now.
func (n NextStep) overdue(now time.Time) bool { return !n.Due.IsZero() && now.After(n.Due) }

// mine tells whether the step is the actor's.
func (n NextStep) mine(by registry.Actor) bool {
	if n.Hub || n.Agency != by.Agency {
		return by.System
	}
	if by.OnBehalfOf != nil {
		return may(by, n.Act)
	}
	return by.Person == n.Person && n.Person != "" || slices.ContainsFunc(n.Roles, by.Has)
}

// The sources of deadlines.
const (
	ruleSend     = "QĐ 28/2018/QĐ-TTg Điều 6.2"
	ruleRegister = "NĐ 30/2020/NĐ-CP Điều 4.2.c, 23.1"
	ruleDue      = "Hạn xử lý của văn bản"
	ruleAnswer   = "Quy định của hệ thống: ngày làm việc kế tiếp"
)

// nextOfDocument gives the step of a document that is not sent; nil = finished.
// approved is when the competent person signed.
func nextOfDocument(d *Document, requireInitial bool, approved time.Time, c *Calendar, now time.Time) *NextStep {
	n := &NextStep{Agency: d.Agency}
	switch d.State {
	case StateDraft:
		if d.Returned {
			n.Act, n.Person = ActRevise, d.CreatedBy
			n.Roles = RolesFor(ActRevise)
			return n
		}
		n.Act = ActApprove
		if requireInitial {
			n.Act = ActInitial
		}
	case StateInitialled:
		n.Act = ActApprove
	case StateApproved:
		n.Act = ActSeal
	case StateSealed:
		n.Act = ActSend
		if !d.SendAt.IsZero() {
			n.Hub, n.At = true, later(d.SendAt, now)
			return n
		}
	default:
		return nil
	}
	n.Roles = RolesFor(n.Act)
	if (n.Act == ActSeal || n.Act == ActSend) && !approved.IsZero() {
		n.Due, n.Rule, n.AtOnce = c.NoonNext(approved), ruleSend, d.Priority > PriorityNormal
		if n.AtOnce {
			n.Due = c.EndOfDay(approved)
		}
	}
	return n
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// nextOfDelivery gives the step of one copy as its sender sees it; nil =
// finished.
func nextOfDelivery(v *Delivery, sender registry.AgencyID, now time.Time) *NextStep {
	n := &NextStep{Agency: sender, To: v.Recipient}
	switch v.Transport {
	case TransportWithdrawn:
		return nil
	case TransportFail:
		n.Act, n.Roles = ActRetry, RolesFor(ActRetry)
		return n
	case TransportDone:
		in := Incoming{Agency: v.Recipient, Status: v.Status, ArrivalNumber: v.ArrivalNumber}
		n = nextOfIncoming(&in, &Calendar{})
		if n != nil {
			n.Due, n.Rule, n.To = time.Time{}, "", v.Recipient // their times are theirs
		}
		return n
	}
	n.Act, n.Hub, n.At = ActSend, true, later(v.Next, now)
	return n
}

// nextOfIncoming gives the step of a document at its recipient; nil = finished.
func nextOfIncoming(in *Incoming, c *Calendar) *NextStep {
	n := &NextStep{Agency: in.Agency}
	switch {
	case in.Status == StatusArrived, in.Status == StatusRecallDenied && in.ArrivalNumber == 0:
		n.Act = ActRegister
	case in.Status == StatusRegistered, in.Status == StatusRecallDenied && in.Assignee == "":
		n.Act = ActAssign
	case in.Status == StatusAssigned:
		n.Act = ActProcess
	case in.Status == StatusProcessing, in.Status == StatusRecallDenied:
		n.Act = ActFinish
	case in.Status == StatusRecall:
		n.Act = ActAgreeRecall
	default:
		return nil
	}
	n.Roles = RolesFor(n.Act)
	switch n.Act {
	case ActRegister, ActAssign:
		if in.Received.IsZero() {
			break
		}
		n.Due, n.Rule, n.AtOnce = c.EndOfNext(in.Received), ruleRegister, in.Priority > PriorityNormal
		if n.AtOnce {
			n.Due = c.EndOfDay(in.Received)
		}
	case ActAgreeRecall:
		if !in.Updated.IsZero() {
			n.Due, n.Rule = c.EndOfNext(in.Updated), ruleAnswer
		}
	default:
		n.Person = in.Assignee
		if !in.Due.IsZero() {
			n.Due, n.Rule = in.Due, ruleDue
		}
	}
	return n
}

// NextAct tells what has to happen to an outgoing document of the actor's agency:
// one step while it is on its way to being sent, then one per copy that has not
// come to an end. None = finished.
func (s *Service) NextAct(ctx context.Context, by registry.Actor, id DocumentID) (out []NextStep, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, err := s.ownDocument(ctx, tx, by, id)
		if err != nil {
			return err
		}
		out, err = s.nextOf(ctx, tx, d)
		return err
	})
	return out, storageError("looking for the next act", err)
}

func (s *Service) nextOf(ctx context.Context, tx *sqldb.Tx, d *Document) (out []NextStep, err error) {
	now := s.clock()
	if d.State != StateSent {
		c, err := s.calendar(ctx, tx)
		if err != nil {
			return nil, err
		}
		approved, err := selectApproved(ctx, tx, d.ID)
		if n := nextOfDocument(d, s.cfg.RequireInitial, approved, c, now); n != nil && err == nil {
			out = append(out, *n)
		}
		return out, err
	}
	if !d.Archived.IsZero() {
		return nil, nil
	}
	list, err := selectDeliveries(ctx, tx, d.ID)
	for i := range list {
		if n := nextOfDelivery(&list[i], d.Agency, now); n != nil {
			out = append(out, *n)
		}
	}
	if len(out) == 0 && err == nil {
		out = []NextStep{{Act: ActArchive, Agency: d.Agency, Hub: true, At: now}}
	}
	return out, err
}

// NextIncoming tells what the actor's agency has to do with an incoming document,
// the answer to its sender's open request first. None = finished.
func (s *Service) NextIncoming(ctx context.Context, by registry.Actor, id IncomingID) (out []NextStep, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		in, err := s.ownIncoming(ctx, tx, by, id)
		if err != nil {
			return err
		}
		c, err := s.calendar(ctx, tx)
		if err != nil {
			return err
		}
		open, err := selectNotices(ctx, tx, in.Agency, in.From, in.Document, NoticeOpen)
		if err != nil {
			return err
		}
		out = nil
		for _, n := range open {
			if n.Kind == RequestUpdate {
				out = append(out, NextStep{Act: ActAgreeUpdate, Agency: in.Agency, Roles: RolesFor(ActAgreeUpdate), Due: c.EndOfNext(n.Received), Rule: ruleAnswer})
			}
		}
		if n := nextOfIncoming(in, c); n != nil {
			out = append(out, *n)
		}
		return nil
	})
	return out, storageError("looking for the next act", err)
}

// Overdue is one thing that should have been done by now (việc quá hạn).
type Overdue struct {
	Document DocumentID `json:"document,omitempty"` // of an outgoing one
	Incoming IncomingID `json:"incoming,omitempty"`
	Code     string     `json:"code,omitempty"`
	Subject  string     `json:"subject"`
	Step     NextStep   `json:"step"`
	Days     int        `json:"days"` // working days over the time
	Reason   string     `json:"reason,omitempty"`
}

// mostOverdue bounds each part of Overdue; the oldest are in it.
const mostOverdue = 500

// Overdue lists what is late and the actor's to do, the longest late first;
// administrators see all of their agency's, the system sees none (it has no
// agency). Deliveries that were given up are late from the moment they were.
func (s *Service) Overdue(ctx context.Context, by registry.Actor) (out []Overdue, err error) {
	now := s.clock()
	var c *Calendar
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if c, err = s.calendar(ctx, tx); err != nil {
			return err
		}
		out, err = s.unfinished(ctx, tx, by.Agency, c, now)
		return err
	})
	if err != nil {
		return nil, storageError("listing what is overdue", err)
	}
	out = slices.DeleteFunc(out, func(o Overdue) bool {
		return !o.Step.overdue(now) || (!o.Step.mine(by) && !by.Has(registry.RoleAdministrator))
	})
	for i := range out {
		out[i].Days = c.DaysBetween(out[i].Step.Due, now)
	}
	slices.SortStableFunc(out, func(a, b Overdue) int {
		return cmp.Or(a.Step.Due.Compare(b.Step.Due), strings.Compare(string(a.Document)+string(a.Incoming), string(b.Document)+string(b.Incoming)))
	})
	return out, nil
}

// unfinished lists what somebody of an agency has to do.
func (s *Service) unfinished(ctx context.Context, tx *sqldb.Tx, a registry.AgencyID, c *Calendar, now time.Time) (out []Overdue, err error) {
	unissued, err := selectUnissued(ctx, tx, a, mostOverdue)
	if err != nil {
		return nil, err
	}
	for i := range unissued {
		u := &unissued[i]
		if n := nextOfDocument(&u.Document, s.cfg.RequireInitial, u.approved, c, now); n != nil {
			out = append(out, Overdue{Document: u.ID, Code: u.Code(), Subject: u.Subject, Step: *n})
		}
	}
	incoming, err := selectUnfinished(ctx, tx, a, mostOverdue)
	if err != nil {
		return nil, err
	}
	for i := range incoming {
		in := &incoming[i]
		if n := nextOfIncoming(in, c); n != nil {
			out = append(out, Overdue{Incoming: in.ID, Code: in.Code, Subject: in.Subject, Step: *n})
		}
	}
	failed, err := selectFailed(ctx, tx, a, mostOverdue)
	for i := range failed {
		v := &failed[i]
		if n := nextOfDelivery(&v.Delivery, a, now); n != nil {
			n.Due = v.Updated
			out = append(out, Overdue{Document: v.Document, Code: v.code, Subject: v.subject, Step: *n, Reason: v.LastError})
		}
	}
	return out, err
}
