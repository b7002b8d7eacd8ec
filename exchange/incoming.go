package exchange

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// IncomingID names a document in an agency's incoming register (UUIDv7).
type IncomingID string

// Status is the business status of a document at its recipient (trạng thái xử
// lý), two digits as on the national axis.
type Status string

// The statuses (QĐ 28/2018 Điều 10.2.h). "" = on its way.
const (
	StatusNone         Status = ""
	StatusArrived      Status = "01" // đã đến
	StatusRefused      Status = "02" // từ chối tiếp nhận
	StatusRegistered   Status = "03" // đã tiếp nhận, vào sổ văn bản đến
	StatusAssigned     Status = "04" // phân công xử lý
	StatusProcessing   Status = "05" // đang xử lý
	StatusFinished     Status = "06" // hoàn thành
	StatusRecall       Status = "13" // yêu cầu lấy lại
	StatusRecallAgreed Status = "15" // đồng ý lấy lại
	StatusRecallDenied Status = "16" // từ chối lấy lại
)

// Statuses are all statuses in order.
func Statuses() []Status {
	return []Status{StatusArrived, StatusRefused, StatusRegistered, StatusAssigned, StatusProcessing, StatusFinished,
		StatusRecall, StatusRecallAgreed, StatusRecallDenied}
}

// Final tells whether nothing more will come: refused, finished, recalled.
func (s Status) Final() bool {
	return s == StatusRefused || s == StatusFinished || s == StatusRecallAgreed
}

// In gives the status's name in lang (vi|en).
func (s Status) In(lang string) string {
	vi, en := "Đang chuyển", "On its way"
	switch s {
	case StatusArrived:
		vi, en = "Đã đến", "Arrived"
	case StatusRefused:
		vi, en = "Từ chối tiếp nhận", "Refused"
	case StatusRegistered:
		vi, en = "Đã tiếp nhận", "Registered"
	case StatusAssigned:
		vi, en = "Đã phân công xử lý", "Assigned"
	case StatusProcessing:
		vi, en = "Đang xử lý", "In progress"
	case StatusFinished:
		vi, en = "Hoàn thành", "Finished"
	case StatusRecall:
		vi, en = "Yêu cầu lấy lại", "Recall asked"
	case StatusRecallAgreed:
		vi, en = "Đồng ý lấy lại", "Recall agreed"
	case StatusRecallDenied:
		vi, en = "Từ chối lấy lại", "Recall declined"
	}
	if lang == "en" {
		return en
	}
	return vi
}

// statusTransitions is the life of a document at its recipient (DOMAIN: 01 then
// 02 or 03; 04 and 05 may be skipped; recall any time before an end; 02, 06 and
// 15 are final; after 16 the work goes on where the register stands).
func statusTransitions() []transition[Status] {
	return []transition[Status]{
		{StatusArrived, ActRegister, StatusRegistered},
		{StatusArrived, ActRefuse, StatusRefused},
		{StatusRegistered, ActAssign, StatusAssigned},
		{StatusRegistered, ActProcess, StatusProcessing},
		{StatusRegistered, ActFinish, StatusFinished},
		{StatusAssigned, ActProcess, StatusProcessing},
		{StatusAssigned, ActFinish, StatusFinished},
		{StatusProcessing, ActFinish, StatusFinished},
		{StatusArrived, ActRecall, StatusRecall},
		{StatusRegistered, ActRecall, StatusRecall},
		{StatusAssigned, ActRecall, StatusRecall},
		{StatusProcessing, ActRecall, StatusRecall},
		{StatusRecallDenied, ActRecall, StatusRecall},
		{StatusRecall, ActAgreeRecall, StatusRecallAgreed},
		{StatusRecall, ActDeclineRecall, StatusRecallDenied},
		{StatusRecallDenied, ActRegister, StatusRegistered}, // when it was recalled before registration
		{StatusRecallDenied, ActAssign, StatusAssigned},
		{StatusRecallDenied, ActProcess, StatusProcessing},
		{StatusRecallDenied, ActFinish, StatusFinished},
		{StatusArrived, ActAgreeUpdate, StatusArrived}, // an update changes data, not where the document stands
		{StatusRegistered, ActAgreeUpdate, StatusRegistered},
		{StatusAssigned, ActAgreeUpdate, StatusAssigned},
		{StatusProcessing, ActAgreeUpdate, StatusProcessing},
		{StatusRecallDenied, ActAgreeUpdate, StatusRecallDenied},
		{StatusArrived, ActDeclineUpdate, StatusArrived},
		{StatusRegistered, ActDeclineUpdate, StatusRegistered},
		{StatusAssigned, ActDeclineUpdate, StatusAssigned},
		{StatusProcessing, ActDeclineUpdate, StatusProcessing},
		{StatusRecallDenied, ActDeclineUpdate, StatusRecallDenied},
	}
}

// Medium is what an incoming document came on.
type Medium string

// The media. Both are in one series of arrival numbers (NĐ 30/2020 Điều 22.2).
const (
	MediumElectronic Medium = "electronic"
	MediumPaper      Medium = "paper" // registered by the clerk; nothing travels back
)

// Incoming is a document in an agency's incoming register (văn bản đến).
type Incoming struct {
	ID            IncomingID        `json:"id"`
	Agency        registry.AgencyID `json:"agency"`
	From          registry.AgencyID `json:"from"`
	Document      DocumentID        `json:"document"`
	Code          string            `json:"code"`
	Type          string            `json:"type"`
	Subject       string            `json:"subject"`
	SignerName    string            `json:"signer_name"`
	Issued        time.Time         `json:"issued"`
	Priority      Priority          `json:"priority"`
	Due           time.Time         `json:"due,omitzero"`
	PDF           blob.Ref          `json:"pdf"`
	Verdict       signing.Verdict   `json:"verdict"`
	Report        *signing.Report   `json:"report,omitempty"` // from Service.Incoming only
	Status        Status            `json:"status"`
	ArrivalNumber int               `json:"arrival_number,omitempty"` // số đến
	ArrivalYear   int               `json:"arrival_year,omitempty"`
	Received      time.Time         `json:"received"`
	Registered    time.Time         `json:"registered,omitzero"`
	Assigned      time.Time         `json:"assigned,omitzero"`
	Updated       time.Time         `json:"updated"`
	Assignee      registry.PersonID `json:"assignee,omitempty"`
	Note          string            `json:"note,omitempty"` // of the last act; the reason when refused
	Medium        Medium            `json:"medium"`
	SenderName    string            `json:"sender_name,omitempty"` // on paper, of one who has no agency code
	Via           registry.AgencyID `json:"via,omitempty"`         // who forwarded it
	TaskDue       time.Time         `json:"task_due,omitzero"`     // thời hạn giải quyết, a day, set by a leader
	Finished      time.Time         `json:"finished,omitzero"`     // when the work was done
	Reopened      time.Time         `json:"reopened,omitzero"`     // work goes on though the sender was told 06
	Answer        DocumentID        `json:"answer,omitempty"`      // the outgoing document that answers it
	Merged        IncomingID        `json:"merged_into,omitempty"` // the entry with which it is one document
	Details       *Details          `json:"details,omitempty"`     // what else its sender says of it; from Service.Incoming only

	version  int64
	envelope Envelope
	holder   registry.AgencyID // for whom it was read: Agency, or who continues it
	by       string            // the person whose act the next receipt tells; "" = the hub's own
	succeeds registry.AgencyID // who signs the next receipt in the place of Agency
	answer   *answerFacts      // to a request of the sender, in the next receipt
}

// Acts gives what the actor may do with the document now. Recall comes from the
// sender and is not among them, nor are the answers to an update: see Notices.
func (in *Incoming) Acts(by registry.Actor) []Act {
	var out []Act
	if !by.System && by.Agency != in.Agency && by.Agency != in.holder {
		return nil
	}
	for _, t := range statusTransitions() {
		if t.from == in.Status && t.act != ActRecall && t.act != ActAgreeUpdate && t.act != ActDeclineUpdate && may(by, t.act) && in.handler(by, t.act) && in.fits(t.act) {
			out = append(out, t.act)
		}
	}
	return out
}

// handler tells whether by may do a: once a document is assigned, only its
// assignee and leaders work on it.
func (in *Incoming) handler(by registry.Actor, a Act) bool {
	if (a != ActProcess && a != ActFinish) || in.Assignee == "" {
		return true
	}
	return by.Person == in.Assignee || by.Has(registry.RoleLeader)
}

// fits tells whether the register allows the act after a declined recall: what
// has no arrival number can only be registered.
func (in *Incoming) fits(a Act) bool {
	if in.Status != StatusRecallDenied || a == ActRecall {
		return true
	}
	return (in.ArrivalNumber == 0) == (a == ActRegister)
}

// Register enters the document in the incoming register: it gets the next
// arrival number (số đến) of the agency's year (NĐ 30/2020 Điều 22).
func (s *Service) Register(ctx context.Context, by registry.Actor, id IncomingID) (*Incoming, error) {
	return s.act(ctx, by, id, ActRegister, "", func(ctx context.Context, tx *sqldb.Tx, in *Incoming, f facts) error {
		in.ArrivalYear = yearOf(in.Updated)
		n, err := nextNumber(ctx, tx, in.Agency, seriesIncoming, in.ArrivalYear)
		if err != nil {
			return err
		}
		in.ArrivalNumber, in.Registered = n, in.Updated
		f["number"], f["year"] = strconv.Itoa(n), strconv.Itoa(in.ArrivalYear)
		return nil
	})
}

// Assign gives the document to a person of the agency, with an instruction (bút
// phê); see AssignTo.
func (s *Service) Assign(ctx context.Context, by registry.Actor, id IncomingID, to registry.PersonID, note string) (*Incoming, error) {
	return s.AssignTo(ctx, by, id, Assignment{Lead: to, Instruction: note})
}

// Process says that work has begun.
func (s *Service) Process(ctx context.Context, by registry.Actor, id IncomingID, note string) (*Incoming, error) {
	return s.act(ctx, by, id, ActProcess, note, nil)
}

// Finish says that the work is done; final. Work that was opened again ends
// without a new status.
func (s *Service) Finish(ctx context.Context, by registry.Actor, id IncomingID, note string) (*Incoming, error) {
	return s.FinishWith(ctx, by, id, "", note)
}

// Refuse returns the document to its sender with a reason (NĐ 30/2020 Điều
// 21.2.b); final.
func (s *Service) Refuse(ctx context.Context, by registry.Actor, id IncomingID, reason string) (*Incoming, error) {
	reason, err := registry.CleanLine("Lý do", "The reason", reason, maxNote)
	if err != nil {
		return nil, err
	}
	if reason == "" {
		return nil, fail(KindInvalid, "Phải nêu lý do từ chối.", "A refusal needs a reason.")
	}
	return s.act(ctx, by, id, ActRefuse, reason, nil)
}

// act takes an incoming document one status further: status, evidence, the body
// of the receipt and the job that signs and carries it are one transaction.
func (s *Service) act(ctx context.Context, by registry.Actor, id IncomingID, a Act, note string,
	more func(ctx context.Context, tx *sqldb.Tx, in *Incoming, f facts) error) (*Incoming, error) {
	note, err := registry.CleanLine("Ghi chú", "The note", note, maxNote)
	if err != nil {
		return nil, err
	}
	if err := allowed(by, a); err != nil {
		return nil, err
	}
	now := s.clock()
	var in *Incoming
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if in, err = s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		if _, ok := next(statusTransitions(), in.Status, a); !ok || !in.fits(a) {
			return in.cannot()
		}
		if !in.handler(by, a) {
			return fail(KindForbidden, "Văn bản đã được giao cho người khác.", "The document is assigned to somebody else.")
		}
		f := s.facts(by)
		f["code"], f["from"] = in.Code, string(in.From)
		return s.step(ctx, tx, by, in, a, note, f, now, more)
	})
	if err != nil {
		return nil, storageError(fmt.Sprintf("act %s on incoming document", a), err)
	}
	return in, nil
}

// step is act inside a transaction, for people and for the hub's own rules.
func (s *Service) step(ctx context.Context, tx *sqldb.Tx, by registry.Actor, in *Incoming, a Act, note string, f facts, now time.Time,
	more func(ctx context.Context, tx *sqldb.Tx, in *Incoming, f facts) error) error {
	to, ok := next(statusTransitions(), in.Status, a)
	if !ok || !in.fits(a) {
		return in.cannot()
	}
	if note != "" {
		f["note"] = note
	}
	was := in.version
	in.Status, in.Note, in.Updated = to, note, now
	if !by.System {
		in.by = by.Name
	}
	in.version++
	var err error
	if in.succeeds, err = s.successor(ctx, tx, in.Agency, now); err != nil {
		return err
	}
	if more != nil {
		if err := more(ctx, tx, in, f); err != nil {
			return err
		}
	}
	if err := updateIncoming(ctx, tx, in, was); err != nil {
		return err
	}
	if err := s.evidence(ctx, tx, "incoming."+string(a), string(in.ID), now, by, f); err != nil {
		return err
	}
	if err := s.tell(ctx, tx, in, now); err != nil {
		return err
	}
	return s.followAll(ctx, tx, by, in, now)
}

// tell writes the receipt of the status and the job that signs and carries it;
// paper has no way back, and what was forwarded is told to who forwarded it.
func (s *Service) tell(ctx context.Context, tx *sqldb.Tx, in *Incoming, now time.Time) error {
	if err := s.tellForwarders(ctx, tx, in, now); err != nil {
		return err
	}
	if in.Medium == MediumPaper {
		return nil
	}
	if unheard, err := s.unheard(ctx, tx, in); err != nil || unheard {
		return err
	}
	r := in.receipt(newID(), now)
	if err := insertReceipt(ctx, tx, r, in.ID, in.version, time.Time{}); err != nil {
		return err
	}
	return s.jobs.Add(ctx, tx, jobReceipts, lane{in.From}, jobs.AddOptions{Lane: string(in.From)})
}

// cannot says that the act is none of those of the document's status.
func (in *Incoming) cannot() error {
	return failf(KindConflict, "Văn bản đang ở trạng thái “%[1]s”, không làm được việc này.",
		"The document is “%[2]s”; this cannot be done now.", in.Status.In("vi"), in.Status.In("en")).
		Advise("Tải lại trang để xem trạng thái mới nhất.", "Reload to see where it stands.")
}

// allowed checks the actor's role for an act.
func allowed(by registry.Actor, a Act) error {
	if may(by, a) {
		return nil
	}
	vi, en := roleNames(RolesFor(a))
	return failf(KindForbidden, "Chỉ %[1]s được làm việc này.", "Only a %[2]s may do this.", vi, en)
}

func roleNames(roles []registry.Role) (vi, en string) {
	for i, r := range roles {
		if i > 0 {
			vi, en = vi+" hoặc ", en+" or "
		}
		switch r {
		case registry.RoleClerk:
			vi += "văn thư"
		case registry.RoleLeader:
			vi += "lãnh đạo"
		case registry.RoleOfficer:
			vi += "chuyên viên"
		case registry.RoleAdministrator:
			vi += "quản trị"
		}
		en += string(r)
	}
	return vi, en
}

// ownIncoming gives a document in the register of the actor's own agency;
// others' look as if they were not there.
func (s *Service) ownIncoming(ctx context.Context, tx *sqldb.Tx, by registry.Actor, id IncomingID) (*Incoming, error) {
	in, err := selectIncoming(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	held := false
	if in != nil {
		if held, err = s.holds(ctx, tx, by, in.Agency); err != nil {
			return nil, err
		}
	}
	if !held {
		return nil, fail(KindNotFound, "Không có văn bản đến này trong sổ của cơ quan.", "There is no such document in your agency's incoming register.")
	}
	in.holder = by.Agency
	return in, nil
}

// Incoming gives one document of the agency's incoming register, with the report
// made when it came.
func (s *Service) Incoming(ctx context.Context, by registry.Actor, id IncomingID) (in *Incoming, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if in, err = s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		if in.Report, err = selectIncomingReport(ctx, tx, id); err != nil {
			return err
		}
		env, err := selectIncomingEnvelope(ctx, tx, id)
		in.Details = env.Details
		return err
	})
	if err != nil {
		return nil, storageError("reading incoming document", err)
	}
	return in, nil
}

// IncomingFilter narrows Incomings; newest first.
type IncomingFilter struct {
	Status   Status
	Query    string // words of description and text; see Search
	Year     int    // of the arrival number
	Assignee registry.PersonID
	After    string // Next of the page before
	Limit    int    // 0 = 50, at most 200
}

// Incomings lists the agency's incoming register and those of agencies it
// continues, newest first, without reports.
// The system sees every agency's.
func (s *Service) Incomings(ctx context.Context, by registry.Actor, f IncomingFilter) (Page[Incoming], error) {
	if f.Status != "" && !slices.Contains(Statuses(), f.Status) {
		return Page[Incoming]{}, failf(KindInvalid, "Không có trạng thái %q.", "There is no status %q.", string(f.Status))
	}
	f.Limit = pageLimit(f.Limit)
	if err := s.beforeSearch(ctx, by.Agency, f.Query); err != nil {
		return Page[Incoming]{}, err
	}
	var list []Incoming
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		line, err := s.line(ctx, tx, by)
		if err != nil {
			return err
		}
		if f.Query == "" {
			list, err = selectIncomings(ctx, tx, line, f, f.Limit+1)
			return err
		}
		key := func(in Incoming) string { return string(in.ID) }
		for _, agency := range searched(line) {
			found, err := searchRows(ctx, tx, s.search.incoming, agency, f.Query, f.After, f.Limit+1, key, func(ids []IncomingID) ([]Incoming, error) {
				return selectIncomingsByID(ctx, tx, ids, f.conditions([]registry.AgencyID{agency}))
			})
			if err != nil {
				return err
			}
			list = append(list, found...)
		}
		slices.SortFunc(list, func(a, b Incoming) int { return strings.Compare(key(b), key(a)) }) // newest first
		list = list[:min(len(list), f.Limit+1)]
		return nil
	})
	for i := range list {
		list[i].holder = by.Agency
	}
	return page(list, f.Limit, func(in Incoming) string { return string(in.ID) }), storageError("listing incoming documents", err)
}
