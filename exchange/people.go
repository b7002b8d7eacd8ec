package exchange

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// Delegate lets somebody act for somebody else, for a time and within a scope (see
// registry.Delegation), and leaves evidence of it. The giver and administrators may.
func (s *Service) Delegate(ctx context.Context, by registry.Actor, d registry.Delegation) (out *registry.Delegation, err error) {
	now := s.clock()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if out, err = s.reg.DelegateIn(ctx, tx, by, d); err != nil {
			return err
		}
		return s.evidence(ctx, tx, "delegation.given", out.ID, now, by, s.delegationFacts(by, out))
	})
	if err != nil {
		return nil, storageError("delegating", err)
	}
	return out, nil
}

// RevokeDelegation ends a delegation at once: the giver, the taker and
// administrators may.
func (s *Service) RevokeDelegation(ctx context.Context, by registry.Actor, id, reason string) (out *registry.Delegation, err error) {
	now := s.clock()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if out, err = s.reg.RevokeDelegationIn(ctx, tx, by, id, reason); err != nil {
			return err
		}
		f := s.delegationFacts(by, out)
		if out.Reason != "" {
			f["note"] = out.Reason
		}
		return s.evidence(ctx, tx, "delegation.revoked", out.ID, now, by, f)
	})
	if err != nil {
		return nil, storageError("revoking a delegation", err)
	}
	return out, nil
}

func (s *Service) delegationFacts(by registry.Actor, d *registry.Delegation) facts {
	f := s.facts(by)
	scopes := make([]string, len(d.Scopes))
	for i, scope := range d.Scopes {
		scopes[i] = string(scope)
	}
	f["agency"], f["giver"], f["giver_name"], f["taker"], f["taker_name"] = string(d.Agency), string(d.Giver), d.GiverName, string(d.Taker), d.TakerName
	f["scopes"], f["signs"], f["basis"] = strings.Join(scopes, ","), string(d.Form), d.Basis
	f["valid_from"], f["valid_to"] = pinnedTime(d.From), pinnedTime(d.To)
	return f
}

// Delegations lists the delegations of the actor's agency, those that ended too,
// newest first; people who are no administrators see those they gave or hold.
func (s *Service) Delegations(ctx context.Context, by registry.Actor) ([]registry.Delegation, error) {
	f := registry.DelegationFilter{Agency: by.Agency}
	if !by.Has(registry.RoleAdministrator) {
		f = registry.DelegationFilter{Person: by.Person}
	}
	return s.reg.Delegations(ctx, f)
}

// Mandates gives what the actor may do in others' place now.
func (s *Service) Mandates(ctx context.Context, by registry.Actor) ([]registry.Delegation, error) {
	list, err := s.reg.Delegations(ctx, registry.DelegationFilter{Person: by.Person, At: s.clock()})
	return slices.DeleteFunc(list, func(d registry.Delegation) bool { return d.Taker != by.Person }), err
}

func delegationOf(by registry.Actor) string {
	if by.OnBehalfOf == nil {
		return ""
	}
	return by.OnBehalfOf.Delegation
}

// fitsForm checks that a document says itself that it is signed in another's
// place: competence and name stand above and below the signature (NĐ 30/2020 Phụ
// lục I phần II.I.7), and must be those of who signs.
func (d *Document) fitsForm(by registry.Actor, a Act) error {
	m := by.OnBehalfOf
	if a != ActApprove || m == nil {
		return nil
	}
	if !strings.Contains(strings.ToUpper(d.Competence), string(m.Form)) {
		return unchanged(failf(KindConflict, "Quyền hạn ký ghi trên văn bản là “%[1]s”, còn bạn ký %[3]s %[2]s.",
			"The document is laid out to be signed “%[1]s”; you sign %[3]s %[2]s.", d.Competence, m.Name, string(m.Form)).
			Advise("Trả lại để sửa quyền hạn, chức vụ và họ tên người ký.", "Return it, so that competence, position and name are those of who signs."))
	}
	if !strings.HasSuffix(registry.Fold(d.SignerName), registry.Fold(by.Name)) {
		return unchanged(failf(KindConflict, "Văn bản ghi người ký là %[1]s, không phải %[2]s.", "The document names %[1]s as its signer, not %[2]s.", d.SignerName, by.Name).
			Advise("Trả lại để sửa họ tên người ký.", "Return it, so that the name is that of who signs."))
	}
	return nil
}

// moveArgs is the argument of jobMove.
type moveArgs struct {
	Move string `json:"move"`
}

// Moved tells what a move did; Move.Done is zero when it is to come.
type Moved struct {
	registry.Move
	Handed      int `json:"handed"`      // documents whose lead was handed over
	Withdrawn   int `json:"withdrawn"`   // other parts in the work that ended
	Delegations int `json:"delegations"` // that ended
	Ended       int `json:"certificates_ended"`
}

// MovePerson moves a person to another agency, gives other roles or a position, or
// closes the account, now or at a date (see registry.Move). At the date, in one
// transaction: rights, sessions and delegations of the former place end; open work
// goes to HandOver, or back to the leader who gave it; drafts stay with the agency;
// what has been done keeps the name it was done in. Administrators of both
// agencies.
func (s *Service) MovePerson(ctx context.Context, by registry.Actor, m registry.Move) (*Moved, error) {
	if by.OnBehalfOf != nil || !by.Has(registry.RoleAdministrator) {
		return nil, fail(KindForbidden, "Chỉ quản trị viên được làm việc này.", "Only an administrator may do this.")
	}
	now := s.clock()
	var out *Moved
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		planned, err := s.reg.PlanMoveIn(ctx, tx, by, m)
		if err != nil {
			return err
		}
		if planned.At.After(now.Add(time.Minute)) {
			out = &Moved{Move: *planned}
			if err := s.evidence(ctx, tx, "person.move-planned", string(planned.Person), now, by, s.moveFacts(by, planned)); err != nil {
				return err
			}
			return s.jobs.Add(ctx, tx, jobMove, moveArgs{planned.ID}, jobs.AddOptions{At: planned.At, Lane: planned.ID})
		}
		out, err = s.moveIn(ctx, tx, by, planned.ID)
		return err
	})
	if err != nil {
		return nil, storageError("moving a person", err)
	}
	return out, nil
}

func (s *Service) moveFacts(by registry.Actor, m *registry.Move) facts {
	f := s.facts(by)
	roles := make([]string, len(m.Roles))
	for i, r := range m.Roles {
		roles[i] = string(r)
	}
	f["agency"], f["move"], f["name"], f["from"], f["to"] = string(m.From), m.ID, m.Name, string(m.From), string(m.Agency)
	f["position"], f["roles"], f["disabled"], f["at"], f["note"] = m.Position, strings.Join(roles, ","), strconv.FormatBool(m.Disable), pinnedTime(m.At), m.Reason
	return f
}

// moveIn does a planned move with its evidence; nil = it was done before.
func (s *Service) moveIn(ctx context.Context, tx *sqldb.Tx, by registry.Actor, id string) (*Moved, error) {
	m, ended, err := s.reg.MoveIn(ctx, tx, id)
	if err != nil || m == nil {
		return nil, err
	}
	tx.AfterCommit(s.reg.ForgetPeople)
	now := s.clock()
	out := &Moved{Move: *m, Delegations: len(ended.Delegations), Ended: len(ended.Certificates)}
	if m.Leaves() {
		if err := s.handOverWork(ctx, tx, by, m, out, now); err != nil {
			return nil, err
		}
	}
	kind := "person.moved"
	switch {
	case m.Disable:
		kind = "person.disabled"
	case m.From == m.Agency:
		kind = "person.roles"
	}
	f := s.moveFacts(by, m)
	f["handed"], f["withdrawn"] = strconv.Itoa(out.Handed), strconv.Itoa(out.Withdrawn)
	f["delegations"], f["certificates"] = strings.Join(ended.Delegations, ","), strings.Join(ended.Certificates, ",")
	if err := s.evidence(ctx, tx, kind, string(m.Person), now, by, f); err != nil {
		return nil, err
	}
	if m.Agency == m.From {
		return out, nil
	}
	there := s.moveFacts(by, m)
	there["agency"] = string(m.Agency)
	return out, s.evidence(ctx, tx, "person.joined", string(m.Person), now, by, there)
}

// handOverWork gives what a person leads to its heir, or back to the leader who
// gave it, and ends the other parts.
func (s *Service) handOverWork(ctx context.Context, tx *sqldb.Tx, by registry.Actor, m *registry.Move, out *Moved, now time.Time) error {
	line, err := s.reg.Line(ctx, tx, m.From)
	if err != nil {
		return err
	}
	if len(line) == 0 {
		line = []registry.AgencyID{m.From}
	}
	list, err := selectLedBy(ctx, tx, m.Person, line)
	if err != nil {
		return err
	}
	leaders, err := s.reg.LeadersIn(ctx, tx, m.From)
	if err != nil {
		return err
	}
	reason := clip(m.Name + ": " + m.Reason)
	for i := range list {
		in := &list[i]
		to := m.HandOver
		if to == "" {
			to = backTo(leaders, in.givenBy, m.Person)
		}
		if err := s.handOverOne(ctx, tx, by, &in.Incoming, m, to, reason, now); err != nil {
			return err
		}
		out.Handed++
	}
	out.Withdrawn, err = withdrawParts(ctx, tx, m.Person, line, reason, now)
	return err
}

// backTo gives the leader to whom work goes back: who gave it, else any; "" = the
// agency has none.
func backTo(leaders []registry.PersonID, givenBy string, but registry.PersonID) registry.PersonID {
	for _, p := range leaders {
		if string(p) == givenBy && p != but {
			return p
		}
	}
	for _, p := range leaders {
		if p != but {
			return p
		}
	}
	return ""
}

func (s *Service) handOverOne(ctx context.Context, tx *sqldb.Tx, by registry.Actor, in *Incoming, m *registry.Move, to registry.PersonID, reason string, now time.Time) error {
	if err := endTasks(ctx, tx, in.ID, in.Assignee, PartLead, "", reason, now); err != nil {
		return err
	}
	f := s.facts(by)
	f["agency"], f["before"], f["to"], f["note"] = string(in.Agency), string(in.Assignee), string(to), reason
	in.Assignee, in.Updated = to, now
	if to != "" {
		in.Assigned = now
		name, err := s.reg.NameIn(ctx, tx, to)
		if err != nil {
			return err
		}
		f["to_name"] = name
		if err := s.give(ctx, tx, by, in, PartLead, in.TaskDue, reason, &registry.Person{ID: to}); err != nil {
			return err
		}
	}
	if err := updateIncoming(ctx, tx, in, in.version); err != nil {
		return err
	}
	f["moved"] = m.ID
	return s.evidence(ctx, tx, "incoming.handed-over", string(in.ID), now, by, f)
}

// CancelMove takes back a move that is to come.
func (s *Service) CancelMove(ctx context.Context, by registry.Actor, id string) error {
	now := s.clock()
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		m, err := s.reg.CancelMoveIn(ctx, tx, by, id)
		if err != nil {
			return err
		}
		return s.evidence(ctx, tx, "person.move-cancelled", string(m.Person), now, by, s.moveFacts(by, m))
	})
	return storageError("cancelling a move", err)
}

// runMove is the job that does a move at its time.
func (s *Service) runMove(ctx context.Context, raw json.RawMessage) error {
	var args moveArgs
	if err := json.Unmarshal(raw, &args); err != nil {
		return jobs.Cancel(fmt.Errorf("move: %w", err))
	}
	hub := registry.System("moves")
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := s.moveIn(ctx, tx, hub, args.Move)
		return err
	})
	if err == nil || KindOf(err) == "" || ctx.Err() != nil {
		return err
	}
	failed := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.reg.FailMoveIn(ctx, tx, args.Move, err); err != nil {
			return err
		}
		return s.evidence(ctx, tx, "person.move-failed", args.Move, s.clock(), hub, facts{"agency": "", "reason": failureText(err)})
	})
	return cmp.Or(failed, jobs.Cancel(err))
}

// resumeMoves puts the moves to come back into the queue.
func (s *Service) resumeMoves(ctx context.Context, tx *sqldb.Tx) error {
	list, err := s.reg.MovesIn(ctx, tx)
	for i := range list {
		if err == nil {
			err = s.jobs.Add(ctx, tx, jobMove, moveArgs{list[i].ID}, jobs.AddOptions{At: list[i].At, Lane: list[i].ID})
		}
	}
	return err
}

// peopleTemplate gives the sentences about people and those who act for them.
func peopleTemplate(kind string) (vi, en string) {
	switch kind {
	case "delegation.given":
		return "{giver_name} giao quyền cho {taker_name}: {scopes}[, ký {signs}][; căn cứ {basis}]", "{giver_name} delegates to {taker_name}: {scopes}[, signing {signs}][; by {basis}]"
	case "delegation.revoked":
		return "Thôi giao quyền của {giver_name} cho {taker_name}[: {note}]", "The delegation of {giver_name} to {taker_name} ended[: {note}]"
	case "person.move-planned":
		return "Sẽ điều động {name} từ {from} đến {to} lúc {at}: {note}", "{name} is to move from {from} to {to} at {at}: {note}"
	case "person.move-cancelled":
		return "Hủy điều động {name}", "The move of {name} is cancelled"
	case "person.move-failed":
		return "Không điều động được: {reason}", "A move could not be done: {reason}"
	case "person.moved":
		return "Điều động {name} đến {to}, bàn giao {handed} văn bản: {note}", "{name} moved to {to}, {handed} documents were handed over: {note}"
	case "person.joined":
		return "{name} đến từ {from}: {note}", "{name} came from {from}: {note}"
	case "person.disabled":
		return "Khóa tài khoản {name}, bàn giao {handed} văn bản: {note}", "The account of {name} was closed, {handed} documents were handed over: {note}"
	case "person.roles":
		return "Đổi vai trò, chức vụ của {name}: {roles}[, {position}] – {note}", "Roles or position of {name} changed: {roles}[, {position}] – {note}"
	case "incoming.handed-over":
		return "Bàn giao việc[ cho {to_name}]: {note}", "The work was handed over[ to {to_name}]: {note}"
	}
	return officeTemplate(kind)
}

// officeTemplate gives the sentences about forwarding, sendings to come and lists.
func officeTemplate(kind string) (vi, en string) {
	switch kind {
	case "work.forwarded":
		return "Chuyển tiếp tới {recipients}[: {note}]", "Forwarded to {recipients}[: {note}]"
	case "forward.status":
		return "{recipient}, nơi nhận chuyển tiếp: {status}[ – {note}]", "{recipient}, to whom it was forwarded: {status}[ – {note}]"
	case "work.forward-recalled":
		return "{via} đã trả lại văn bản đã chuyển tiếp này cho nơi gửi", "{via}, who forwarded it, has given the document back to its sender"
	case "document.scheduled":
		return "Hẹn gửi lúc {when} tới {count} nơi nhận", "To be sent at {when} to {count} recipients"
	case "document.unscheduled":
		return "Hủy giờ hẹn gửi", "The time to send was taken back"
	case "document.schedule-failed":
		return "Không gửi được theo giờ hẹn: {reason}", "Not sent at its time: {reason}"
	case "list.added", "list.changed":
		return "Lưu danh sách nơi nhận {name}", "Kept the list of recipients {name}"
	case "list.removed":
		return "Xóa danh sách nơi nhận {name}", "Removed the list of recipients {name}"
	}
	return fileTemplate(kind)
}
