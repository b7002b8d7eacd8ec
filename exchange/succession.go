package exchange

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing/cms"
	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// The rules of a succession (chuyển giao khi hợp nhất, sáp nhập, chia, giải thể):
//
//   - What had arrived before the moment stays in the old agency's register, in
//     which it is also registered; the successor's people work on it, and its
//     receipts are signed by the successor and name it.
//   - What was on its way goes to the successor, once, even if it was sent to
//     several agencies that merge; the sender sees the new code.
//   - Unsigned drafts become the successor's. What a leader had approved and
//     nobody sealed ends, its number cancelled: no key can seal it any more. What
//     is sealed stays the old agency's and may be sent by the successor's clerk.
//   - The old agency's registers are closed; the successor goes on in its own.
//   - Old codes lead to the successor; receipts keep the codes they were made
//     with and go on to verify.

// SuccessionOptions are what an administrator decides about a succession.
type SuccessionOptions struct {
	Children bool // the agencies below go below the successor
}

// SuccessionResult tells what a succession did.
type SuccessionResult struct {
	Act        string                `json:"act"`
	At         time.Time             `json:"at"`
	Closed     []registry.AgencyID   `json:"closed"`
	Successors []registry.AgencyID   `json:"successors"`
	Rerouted   int                   `json:"rerouted"` // deliveries that go to the successor
	Joined     int                   `json:"joined"`   // deliveries of what it has or gets by another one
	Drafts     int                   `json:"drafts"`   // that became the successor's
	Cancelled  int                   `json:"cancelled"`
	Statements []registry.Succession `json:"statements,omitempty"`
}

// Merge ends agencies at this moment and lets into continue them: one that exists
// (only its ID is read), or one that is founded with it (hợp nhất, sáp nhập).
// Administrators of all agencies concerned may. All of it is one transaction.
func (s *Service) Merge(ctx context.Context, by registry.Actor, from []registry.AgencyID, into registry.Agency, o SuccessionOptions) (*SuccessionResult, error) {
	if len(from) == 0 {
		return nil, fail(KindInvalid, "Chưa chọn cơ quan được hợp nhất.", "No agency to merge is given.")
	}
	heirs := map[registry.AgencyID]registry.AgencyID{}
	for _, a := range from {
		heirs[a] = into.ID
	}
	if len(heirs) != len(from) {
		return nil, fail(KindInvalid, "Một cơ quan đứng hai lần trong danh sách hợp nhất.", "An agency stands twice in the list.")
	}
	return s.succeed(ctx, by, registry.Ending{Act: "merge", Closed: slices.Sorted(slices.Values(from)), Heirs: heirs, Children: o.Children}, []registry.Agency{into})
}

// Split ends an agency and lets several continue it (chia); heir takes over what
// is under way, and the people. See Merge.
func (s *Service) Split(ctx context.Context, by registry.Actor, from registry.AgencyID, into []registry.Agency, heir registry.AgencyID, o SuccessionOptions) (*SuccessionResult, error) {
	var others []registry.AgencyID
	known := false
	for _, a := range into {
		if a.ID == heir {
			known = true
			continue
		}
		others = append(others, a.ID)
	}
	if !known || len(others) == 0 {
		return nil, fail(KindInvalid, "Chia cần ít nhất hai cơ quan mới, một trong đó tiếp nhận việc dở dang.",
			"A split needs two successors or more, one of them to take over what is under way.")
	}
	return s.succeed(ctx, by, registry.Ending{Act: "split", Closed: []registry.AgencyID{from}, Heirs: map[registry.AgencyID]registry.AgencyID{from: heir},
		Others: map[registry.AgencyID][]registry.AgencyID{from: others}, Children: o.Children}, into)
}

// CloseAgency ends an agency (giải thể). heir takes over what is under way; ""
// = nobody: what is on its way to it then fails and tells its sender.
func (s *Service) CloseAgency(ctx context.Context, by registry.Actor, id, heir registry.AgencyID, o SuccessionOptions) (*SuccessionResult, error) {
	e := registry.Ending{Act: "close", Closed: []registry.AgencyID{id}, Heirs: map[registry.AgencyID]registry.AgencyID{id: heir}, Children: o.Children}
	var into []registry.Agency
	if heir != "" {
		into = []registry.Agency{{ID: heir}}
	}
	return s.succeed(ctx, by, e, into)
}

// Renaming is what a rename changes; what is empty stays.
type Renaming struct {
	Name, Symbol, Place, Mail string
	Code                      registry.AgencyID // a new identification code
	LegacyCode                string            // a new QCVN 102 code
}

// Rename gives an agency another name, symbol, place or code (đổi tên, đổi mã).
// With a new Code, the agency of the new code continues that of the old one, with
// its people, keys and certificates.
func (s *Service) Rename(ctx context.Context, by registry.Actor, id registry.AgencyID, r Renaming) (*SuccessionResult, error) {
	old, err := s.reg.Agency(ctx, id)
	if err != nil {
		return nil, err
	}
	a := *old
	for _, f := range []struct {
		to  *string
		val string
	}{{&a.Name, r.Name}, {&a.Symbol, r.Symbol}, {&a.Place, r.Place}, {&a.Mail, r.Mail}, {&a.LegacyCode, r.LegacyCode}} {
		if f.val != "" {
			*f.to = f.val
		}
	}
	if r.Code != "" && r.Code != a.ID {
		if _, err := s.reg.Agency(ctx, r.Code); KindOf(err) != KindNotFound {
			if err == nil {
				err = failf(KindConflict, "Mã %s đã là mã của một cơ quan.", "The code %s is an agency's already.", r.Code)
			}
			return nil, err
		}
		a.ID, a.LegacyCode, a.ValidFrom, a.Version = r.Code, r.LegacyCode, time.Time{}, 0
		return s.succeed(ctx, by, registry.Ending{Act: "recode", Closed: []registry.AgencyID{old.ID}, Children: true,
			Heirs: map[registry.AgencyID]registry.AgencyID{old.ID: a.ID}}, []registry.Agency{a})
	}
	now := s.clock()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.reg.UpdateIn(ctx, tx, by, a); err != nil {
			return err
		}
		f := s.facts(by)
		f["predecessor"], f["from_name"], f["to_name"] = string(a.ID), old.Name, a.Name
		return s.evidence(ctx, tx, "agency.renamed", string(a.ID), now, by, f)
	})
	s.reg.Forget()
	if err != nil {
		return nil, storageError("renaming agency", err)
	}
	return &SuccessionResult{Act: "rename", At: now, Closed: []registry.AgencyID{}, Successors: []registry.AgencyID{a.ID}}, nil
}

// statement is what a successor signs: keys in alphabetical order. Its form is fixed by v.
type statement struct {
	Act      string            `json:"act"`
	At       string            `json:"at"`
	From     registry.AgencyID `json:"from"`
	FromName string            `json:"from_name"`
	Kind     string            `json:"kind"` // succession
	To       registry.AgencyID `json:"to"`
	ToName   string            `json:"to_name"`
	V        int               `json:"v"`
}

// succeed ends agencies and hands over what is under way, in one transaction.
// The statements are signed before it: their time is that of the act.
func (s *Service) succeed(ctx context.Context, by registry.Actor, e registry.Ending, into []registry.Agency) (*SuccessionResult, error) {
	if !by.Has(registry.RoleAdministrator) {
		return nil, fail(KindForbidden, "Chỉ quản trị viên được làm việc này.", "Only an administrator may do this.")
	}
	e.At = s.clock()
	res := &SuccessionResult{Act: e.Act, At: e.At, Closed: e.Closed, Successors: []registry.AgencyID{}}
	names := map[registry.AgencyID]string{}
	for i, a := range into {
		existing, err := s.reg.Agency(ctx, a.ID)
		switch {
		case KindOf(err) == KindNotFound && a.Name != "":
			if into[i].ID, err = registry.ParseAgencyID(string(a.ID)); err != nil || into[i].ID != a.ID {
				return nil, failf(KindInvalid, "Mã %q không hợp lệ.", "The code %q is not valid.", string(a.ID)).Because(err)
			}
			e.Founded = append(e.Founded, a)
			names[a.ID] = a.Name
		case err != nil:
			return nil, err
		default:
			names[a.ID] = existing.Name
		}
		res.Successors = append(res.Successors, a.ID)
	}
	proofs, err := s.statements(ctx, e, names)
	if err != nil {
		return nil, err
	}
	e.Prove = func(from, to registry.AgencyID) (statement, signature []byte, err error) {
		p := proofs[[2]registry.AgencyID{from, to}]
		return p.Statement, p.Signature, nil
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		res.Rerouted, res.Joined, res.Drafts, res.Cancelled, res.Statements = 0, 0, 0, 0, nil
		if err := tx.Alone(ctx, "exchange_event_last", "exchange_delivery"); err != nil { // long: beside others it would begin anew for ever
			return err
		}
		if _, err := s.reg.End(ctx, tx, by, e); err != nil {
			return err
		}
		for _, from := range e.Closed {
			if err := s.handOn(ctx, tx, by, e, from, proofs, res); err != nil {
				return err
			}
		}
		tx.AfterCommit(s.reg.Forget)
		return nil
	})
	if err != nil {
		return nil, storageError("ending agencies", err)
	}
	return res, nil
}

// statements has each successor sign that it continues each predecessor.
func (s *Service) statements(ctx context.Context, e registry.Ending, names map[registry.AgencyID]string) (map[[2]registry.AgencyID]registry.Succession, error) {
	out := map[[2]registry.AgencyID]registry.Succession{}
	for _, from := range e.Closed {
		old, err := s.reg.Agency(ctx, from)
		if err != nil {
			return nil, err
		}
		for _, to := range append([]registry.AgencyID{e.Heirs[from]}, e.Others[from]...) {
			if to == "" {
				continue
			}
			key, err := s.cfg.ReceiptKey(ctx, to)
			if err != nil {
				return nil, fmt.Errorf("receipt key of %s: %w", to, err)
			}
			body := canonical(statement{Act: e.Act, At: e.At.Format(time.RFC3339Nano), From: from, FromName: old.Name, Kind: "succession", To: to, ToName: names[to], V: 1})
			signature, err := cms.Sign(cms.SignRequest{Key: key, Digest: digest(body), SigningTime: &e.At})
			if err != nil {
				return nil, fmt.Errorf("signing the statement of %s: %w", to, err)
			}
			out[[2]registry.AgencyID{from, to}] = registry.Succession{Predecessor: from, Successor: to, Act: e.Act, At: e.At,
				Heir: to == e.Heirs[from], Statement: body, Signature: signature}
		}
	}
	return out, nil
}

// handOn gives what is under way at one closed agency to its heir, with the evidence.
func (s *Service) handOn(ctx context.Context, tx *sqldb.Tx, by registry.Actor, e registry.Ending, from registry.AgencyID,
	proofs map[[2]registry.AgencyID]registry.Succession, res *SuccessionResult) error {
	heir := e.Heirs[from]
	f := s.facts(by)
	f["predecessor"], f["successor"], f["act"], f["at"] = string(from), string(heir), e.Act, pinnedTime(e.At)
	for _, to := range append([]registry.AgencyID{heir}, e.Others[from]...) {
		if p, ok := proofs[[2]registry.AgencyID{from, to}]; ok {
			res.Statements = append(res.Statements, p)
			f["statement."+string(to)] = string(blob.Sum(p.Statement))
		}
	}
	cancelled, err := s.endUnsealed(ctx, tx, by, from, heir, e.At)
	if err != nil {
		return err
	}
	res.Cancelled += cancelled
	f["cancelled"] = strconv.Itoa(cancelled)
	if heir != "" {
		if err := s.reroute(ctx, tx, by, e, from, f, res); err != nil {
			return err
		}
	}
	return s.evidence(ctx, tx, "agency.succeeded", string(from), e.At, by, f)
}

// reroute gives deliveries and drafts to the heir.
func (s *Service) reroute(ctx context.Context, tx *sqldb.Tx, by registry.Actor, e registry.Ending, from registry.AgencyID, f facts, res *SuccessionResult) error {
	heir := e.Heirs[from]
	line, err := s.reg.Line(ctx, tx, heir)
	if err != nil {
		return err
	}
	joined, err := joinDeliveries(ctx, tx, from, heir, line, e.At)
	if err != nil {
		return err
	}
	rerouted, err := rerouteDeliveries(ctx, tx, from, heir, e.At)
	if err != nil {
		return err
	}
	drafts, err := inheritDrafts(ctx, tx, from, heir, e.At)
	if err != nil {
		return err
	}
	if len(rerouted) > 0 {
		if err := s.jobs.Add(ctx, tx, jobDeliver, lane{heir}, jobs.AddOptions{Lane: string(heir)}); err != nil {
			return err
		}
	}
	for _, id := range joined {
		if err := s.archiveWhenFinal(ctx, tx, id); err != nil {
			return err
		}
	}
	told := func(kind string, list []DocumentID, more func(DocumentID, facts) error) error {
		for _, id := range list {
			one := s.facts(by)
			one["predecessor"], one["successor"] = string(from), string(heir)
			if err := more(id, one); err != nil {
				return err
			}
			if err := s.evidence(ctx, tx, kind, string(id), e.At, by, one); err != nil {
				return err
			}
		}
		return nil
	}
	if err := told("delivery.rerouted", rerouted, func(DocumentID, facts) error { return nil }); err != nil {
		return err
	}
	err = told("delivery.joined", joined, func(id DocumentID, one facts) error {
		code, err := shareCopy(ctx, tx, id, from, heir, line)
		one["joined_to"] = string(code)
		return err
	})
	if err != nil {
		return err
	}
	res.Rerouted, res.Joined, res.Drafts = res.Rerouted+len(rerouted), res.Joined+len(joined), res.Drafts+len(drafts)
	f["rerouted"], f["joined"], f["drafts"] = strconv.Itoa(len(rerouted)), strconv.Itoa(len(joined)), strconv.Itoa(len(drafts))
	return told("document.inherited", drafts, func(_ DocumentID, one facts) error {
		one["agency"] = string(heir)
		return nil
	})
}

// endUnsealed ends what was approved and can no longer be sealed; numbers stay in
// the register, cancelled with the reason.
func (s *Service) endUnsealed(ctx context.Context, tx *sqldb.Tx, by registry.Actor, from, heir registry.AgencyID, at time.Time) (int, error) {
	list, err := selectUnsealed(ctx, tx, from)
	if err != nil {
		return 0, err
	}
	reason := fmt.Sprintf("Cơ quan %s kết thúc hoạt động trước khi ký số văn bản.", from)
	if heir != "" {
		reason += fmt.Sprintf(" %s ban hành lại.", heir)
	}
	for i := range list {
		d := &list[i]
		if err := d.advance(ActCancelNumber); err != nil {
			return 0, err
		}
		was := d.version
		d.Updated = at
		if err := updateDocument(ctx, tx, d, was); err != nil {
			return 0, err
		}
		if d.Number > 0 {
			if err := cancelNumber(ctx, tx, d.ID, reason, at); err != nil {
				return 0, err
			}
		}
		f := s.facts(by)
		f["code"], f["note"] = d.Code(), reason
		if err := s.evidence(ctx, tx, "document.number-cancelled", string(d.ID), at, by, f); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// holds tells whether what belongs to an agency is the actor's to work on: the
// own agency's, or that of one that ended and left it to the own.
func (s *Service) holds(ctx context.Context, tx *sqldb.Tx, by registry.Actor, agency registry.AgencyID) (bool, error) {
	if by.System || by.Agency == agency {
		return true, nil
	}
	return s.reg.Holds(ctx, tx, by.Agency, agency)
}

// line gives the agencies whose documents the actor's agency holds; nil = all of them.
func (s *Service) line(ctx context.Context, tx *sqldb.Tx, by registry.Actor) ([]registry.AgencyID, error) {
	if by.Agency == "" {
		return nil, nil
	}
	list, err := s.reg.Line(ctx, tx, by.Agency)
	if err == nil && len(list) == 0 {
		list = []registry.AgencyID{by.Agency} // an agency that is not in the registry has nothing
	}
	return list, err
}

// successor gives who acts for an agency that has ended, "" while it goes on.
func (s *Service) successor(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, at time.Time) (registry.AgencyID, error) {
	r, err := s.reg.ResolveIn(ctx, tx, string(agency), at)
	if KindOf(err) == KindInvalid {
		return "", nil // ended without a successor: the hub signs with the old agency's key
	}
	if err != nil || r.Agency.ID == agency {
		return "", err
	}
	return r.Agency.ID, nil
}

// stillThere tells that a recipient is the one it was when the sending began, in
// the transaction that sends, so that no document goes to one that has ended; and
// that it takes such a document.
func (s *Service) stillThere(ctx context.Context, tx *sqldb.Tx, d *Document, to []registry.AgencyID) error {
	at := s.clock() // not when the act began: the agency may have ended since
	for _, id := range to {
		r, err := s.reg.ResolveIn(ctx, tx, string(id), at)
		if err != nil {
			return err
		}
		if r.Agency.ID != id {
			return failf(KindConflict, "Nơi nhận %s vừa được %s kế thừa; chưa gửi cho ai.", "The recipient %s has just been succeeded by %s; nothing was sent.", id, r.Agency.ID).
				Advise("Gửi lại: văn bản sẽ đi theo mã mới.", "Send again: the document then goes by the new code.").Because(errSucceeded)
		}
		if !r.Agency.Takes(d.Type) {
			return failf(KindInvalid, "%[1]s (%[2]s) không nhận loại văn bản %[3]s; chưa gửi cho ai.", "%[1]s (%[2]s) does not take documents of type %[3]s; nothing was sent.",
				r.Agency.Name, id, d.Type)
		}
		if r.Agency.MaxSize > 0 && d.PDF.Size > r.Agency.MaxSize {
			return failf(KindTooLarge, "%s (%s) chỉ nhận tệp đến %d byte, tệp này có %d; chưa gửi cho ai.", "%s (%s) takes files up to %d bytes, this one has %d; nothing was sent.",
				r.Agency.Name, id, r.Agency.MaxSize, d.PDF.Size)
		}
	}
	return nil
}
