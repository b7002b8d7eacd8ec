package exchange

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// Assignment is what a leader decides on an incoming document (phân công xử lý).
type Assignment struct {
	Lead        registry.PersonID   // chủ trì
	With        []registry.PersonID // phối hợp, at most 50
	Due         time.Time           // thời hạn giải quyết, a day of Vietnam; zero = none
	Instruction string              // bút phê, at most 500 characters
}

const maxCoHandlers = 50

// Part is what somebody does in a task.
type Part string

// The parts.
const (
	PartLead Part = "lead" // chủ trì
	PartCo   Part = "co"   // phối hợp
)

// Task is one person's part in the work on an incoming document.
type Task struct {
	ID        string            `json:"id"`
	Incoming  IncomingID        `json:"incoming"`
	Person    registry.PersonID `json:"person"`
	Part      Part              `json:"part"`
	GivenBy   string            `json:"given_by"`
	Given     time.Time         `json:"given"`
	Due       time.Time         `json:"due,omitzero"`
	Note      string            `json:"note,omitempty"`
	Ended     time.Time         `json:"ended,omitzero"`
	Result    string            `json:"result,omitempty"`
	Withdrawn string            `json:"withdrawn,omitempty"` // why it was taken back
}

// workers reads those an assignment names and refuses who does not work at the agency.
func (s *Service) workers(ctx context.Context, agency registry.AgencyID, ids ...registry.PersonID) ([]*registry.Person, error) {
	out := make([]*registry.Person, 0, len(ids))
	for _, id := range ids {
		p, err := s.reg.Person(ctx, id)
		if err != nil && KindOf(err) != KindNotFound {
			return nil, err
		}
		if err != nil || p.Agency != agency || p.Disabled {
			return nil, fail(KindInvalid, "Người được giao phải là người đang làm việc tại cơ quan nhận.",
				"The person must be an active one of the receiving agency.")
		}
		out = append(out, p)
	}
	return out, nil
}

// AssignTo gives a registered document to who leads the work and to those who
// take part in it, with the leader's instruction and the day by which it is due.
func (s *Service) AssignTo(ctx context.Context, by registry.Actor, id IncomingID, a Assignment) (*Incoming, error) {
	if len(a.With) > maxCoHandlers {
		return nil, failf(KindTooLarge, "Tối đa %d người phối hợp.", "At most %d co-handlers.", maxCoHandlers)
	}
	agency, err := s.incomingAgency(ctx, by, id)
	if err != nil {
		return nil, err
	}
	people, err := s.workers(ctx, agency, append([]registry.PersonID{a.Lead}, a.With...)...)
	if err != nil {
		return nil, err
	}
	return s.act(ctx, by, id, ActAssign, a.Instruction, func(ctx context.Context, tx *sqldb.Tx, in *Incoming, f facts) error {
		lead := people[0]
		in.Assignee, in.Assigned = lead.ID, in.Updated
		if !a.Due.IsZero() {
			in.TaskDue = dateOf(a.Due)
			f["task_due"] = pinnedTime(in.TaskDue)
		}
		f["to"], f["to_name"] = string(lead.ID), lead.Name
		if err := s.give(ctx, tx, by, in, PartLead, a.Due, in.Note, lead); err != nil {
			return err
		}
		if in.Note != "" {
			if err := s.opinion(ctx, tx, by, in, OpinionInstruction, in.Note, in.Updated); err != nil {
				return err
			}
		}
		return s.coHandlers(ctx, tx, by, in, a.Due, in.Note, people[1:])
	})
}

// incomingAgency gives whose register a document stands in; only its own people see it.
func (s *Service) incomingAgency(ctx context.Context, by registry.Actor, id IncomingID) (agency registry.AgencyID, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		in, err := s.ownIncoming(ctx, tx, by, id)
		if err == nil {
			agency = cmp.Or(in.holder, in.Agency)
		}
		return err
	})
	return agency, storageError("reading incoming document", err)
}

func (s *Service) give(ctx context.Context, tx *sqldb.Tx, by registry.Actor, in *Incoming, part Part, due time.Time, note string, p *registry.Person) error {
	t := Task{ID: newID(), Incoming: in.ID, Person: p.ID, Part: part, GivenBy: by.Tag(), Given: in.Updated, Note: note}
	if !due.IsZero() {
		t.Due = dateOf(due)
	}
	return insertTask(ctx, tx, in.Agency, t)
}

func (s *Service) coHandlers(ctx context.Context, tx *sqldb.Tx, by registry.Actor, in *Incoming, due time.Time, note string, people []*registry.Person) error {
	if len(people) == 0 {
		return nil
	}
	var ids, names []string
	for _, p := range people {
		if p.ID == in.Assignee || slices.Contains(ids, string(p.ID)) {
			continue
		}
		if err := s.give(ctx, tx, by, in, PartCo, due, note, p); err != nil {
			return err
		}
		ids, names = append(ids, string(p.ID)), append(names, p.Name)
	}
	f := s.facts(by)
	f["to"], f["names"] = strings.Join(ids, ","), strings.Join(names, ", ")
	return s.evidence(ctx, tx, "work.co-handlers", string(in.ID), in.Updated, by, f)
}

// work is an act inside the agency that changes no status: in is written with
// what change did to it, in the transaction of the evidence that change writes.
func (s *Service) work(ctx context.Context, by registry.Actor, id IncomingID, doing string, change func(ctx context.Context, tx *sqldb.Tx, in *Incoming, now time.Time) error) (*Incoming, error) {
	now := s.clock()
	var in *Incoming
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if in, err = s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		in.Updated = now
		if err := change(ctx, tx, in, now); err != nil {
			return err
		}
		return updateIncoming(ctx, tx, in, in.version)
	})
	if err != nil {
		return nil, storageError(doing, err)
	}
	return in, nil
}

// open tells whether somebody has to work on the document.
func (in *Incoming) open() bool {
	if in.ArrivalNumber == 0 || in.Merged != "" {
		return false
	}
	return !in.Status.Final() || (in.Status == StatusFinished && !in.Reopened.IsZero())
}

// reason checks the words that explain an act.
func reasonOf(reason string) (string, error) {
	reason, err := registry.CleanLine("Lý do", "The reason", reason, maxNote)
	if err == nil && reason == "" {
		err = fail(KindInvalid, "Phải nêu lý do.", "A reason is needed.")
	}
	return reason, err
}

// Reassign gives the lead to somebody else, with a reason: by a leader, or by the
// one who has it (chuyển tiếp trong cơ quan). The status stays.
func (s *Service) Reassign(ctx context.Context, by registry.Actor, id IncomingID, to registry.PersonID, reason string) (*Incoming, error) {
	reason, err := reasonOf(reason)
	if err != nil {
		return nil, err
	}
	agency, err := s.incomingAgency(ctx, by, id)
	if err != nil {
		return nil, err
	}
	people, err := s.workers(ctx, agency, to)
	if err != nil {
		return nil, err
	}
	return s.work(ctx, by, id, "reassigning incoming document", func(ctx context.Context, tx *sqldb.Tx, in *Incoming, now time.Time) error {
		if !in.open() || in.Assignee == people[0].ID || (in.Assignee == "" && in.Status == StatusRegistered) {
			return in.cannot()
		}
		if !by.System && by.Person != in.Assignee && !by.Has(registry.RoleLeader) {
			return fail(KindForbidden, "Chỉ lãnh đạo hoặc người đang chủ trì được chuyển việc.", "Only a leader or the one who leads the work may pass it on.")
		}
		f := s.facts(by)
		f["before"], f["to"], f["to_name"], f["note"] = string(in.Assignee), string(people[0].ID), people[0].Name, reason
		if err := endTasks(ctx, tx, in.ID, in.Assignee, PartLead, "", reason, now); err != nil {
			return err
		}
		in.Assignee, in.Assigned = people[0].ID, now
		if err := s.give(ctx, tx, by, in, PartLead, in.TaskDue, reason, people[0]); err != nil {
			return err
		}
		return s.evidence(ctx, tx, "incoming.reassign", string(in.ID), now, by, f)
	})
}

// AddCoHandlers asks more people to take part: by a leader or who leads the work.
func (s *Service) AddCoHandlers(ctx context.Context, by registry.Actor, id IncomingID, people []registry.PersonID, due time.Time, note string) (*Incoming, error) {
	note, err := registry.CleanLine("Ghi chú", "The note", note, maxNote)
	if err != nil {
		return nil, err
	}
	agency, err := s.incomingAgency(ctx, by, id)
	if err != nil {
		return nil, err
	}
	if len(people) == 0 || len(people) > maxCoHandlers {
		return nil, failf(KindInvalid, "Chọn từ 1 đến %d người phối hợp.", "Choose 1 to %d co-handlers.", maxCoHandlers)
	}
	found, err := s.workers(ctx, agency, people...)
	if err != nil {
		return nil, err
	}
	return s.work(ctx, by, id, "adding co-handlers", func(ctx context.Context, tx *sqldb.Tx, in *Incoming, _ time.Time) error {
		if in.Assignee == "" || !in.open() {
			return in.cannot()
		}
		if !by.System && by.Person != in.Assignee && !by.Has(registry.RoleLeader) {
			return fail(KindForbidden, "Chỉ lãnh đạo hoặc người đang chủ trì được giao phối hợp.", "Only a leader or the one who leads the work may ask others to take part.")
		}
		return s.coHandlers(ctx, tx, by, in, due, note, found)
	})
}

// FinishPart ends the actor's own part in the work, with its result.
func (s *Service) FinishPart(ctx context.Context, by registry.Actor, id IncomingID, result string) (*Incoming, error) {
	result, err := registry.CleanLine("Kết quả", "The result", result, maxNote)
	if err != nil {
		return nil, err
	}
	return s.work(ctx, by, id, "finishing a part", func(ctx context.Context, tx *sqldb.Tx, in *Incoming, now time.Time) error {
		mine, err := hasTask(ctx, tx, in.ID, by.Person, PartCo)
		if err != nil {
			return err
		}
		if !mine {
			return fail(KindConflict, "Bạn không có phần phối hợp nào đang mở ở văn bản này.", "You have no open part in the work on this document.")
		}
		if err := endTasks(ctx, tx, in.ID, by.Person, PartCo, result, "", now); err != nil {
			return err
		}
		f := s.facts(by)
		f["note"] = result
		return s.evidence(ctx, tx, "work.part-done", string(in.ID), now, by, f)
	})
}

// OpinionKind is what kind of words are said about an incoming document.
type OpinionKind string

// The kinds, as the phiếu giải quyết văn bản đến has them (NĐ 30/2020 Phụ lục IV.VII).
const (
	OpinionInstruction OpinionKind = "instruction" // ý kiến của lãnh đạo (bút phê)
	OpinionProposal    OpinionKind = "proposal"    // ý kiến đề xuất của người giải quyết
	OpinionComment     OpinionKind = "comment"     // ý kiến khác
)

// Opinion is one opinion, kept as it was said.
type Opinion struct {
	ID       string            `json:"id"`
	Incoming IncomingID        `json:"incoming"`
	Kind     OpinionKind       `json:"kind"`
	Person   registry.PersonID `json:"person"`
	Name     string            `json:"name"`
	At       time.Time         `json:"at"`
	Text     string            `json:"text"`
}

func (s *Service) opinion(ctx context.Context, tx *sqldb.Tx, by registry.Actor, in *Incoming, kind OpinionKind, text string, now time.Time) error {
	return insertOpinion(ctx, tx, Opinion{ID: newID(), Incoming: in.ID, Kind: kind, Person: by.Person, Name: by.FullName(), At: now, Text: text})
}

// Say adds an opinion: an instruction by a leader, a proposal by those who work on
// the document, a comment by anyone of the agency. At most 500 characters.
func (s *Service) Say(ctx context.Context, by registry.Actor, id IncomingID, kind OpinionKind, text string) (*Incoming, error) {
	text, err := registry.CleanLine("Ý kiến", "The text", text, maxNote)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, fail(KindInvalid, "Chưa có nội dung ý kiến.", "The text is missing.")
	}
	return s.work(ctx, by, id, "adding a remark", func(ctx context.Context, tx *sqldb.Tx, in *Incoming, now time.Time) error {
		switch kind {
		case OpinionComment:
		case OpinionInstruction:
			if !by.Has(registry.RoleLeader) {
				return fail(KindForbidden, "Chỉ lãnh đạo cho ý kiến chỉ đạo.", "Only a leader gives instructions.")
			}
		case OpinionProposal:
			if by.Person == in.Assignee {
				break
			}
			if mine, err := hasTask(ctx, tx, in.ID, by.Person, PartCo); err != nil || !mine {
				if err == nil {
					err = fail(KindForbidden, "Chỉ người được giao xử lý mới ghi ý kiến đề xuất.", "Only those who work on it make proposals.")
				}
				return err
			}
		default:
			return failf(KindInvalid, "Không có loại ý kiến %q.", "There is no kind of remark %q.", string(kind))
		}
		if err := s.opinion(ctx, tx, by, in, kind, text, now); err != nil {
			return err
		}
		f := s.facts(by)
		f["note"] = text
		return s.evidence(ctx, tx, "work."+string(kind), string(in.ID), now, by, f)
	})
}

// FinishWith ends the work with the outgoing document that answers it (văn bản
// trả lời): one of the agency, sent; "" = no answer is needed. The answer stands
// in column 6 of the follow-up register.
func (s *Service) FinishWith(ctx context.Context, by registry.Actor, id IncomingID, answer DocumentID, note string) (*Incoming, error) {
	again, err := s.reopened(ctx, by, id)
	if err != nil {
		return nil, err
	}
	done := func(ctx context.Context, tx *sqldb.Tx, in *Incoming, f facts) error {
		in.Finished, in.Reopened = in.Updated, time.Time{}
		if answer != "" {
			if err := s.answerWith(ctx, tx, by, in, answer, f); err != nil {
				return err
			}
		}
		return endAllTasks(ctx, tx, in.ID, in.Updated)
	}
	if !again {
		return s.act(ctx, by, id, ActFinish, note, done)
	}
	if note, err = registry.CleanLine("Ghi chú", "The note", note, maxNote); err != nil {
		return nil, err
	}
	return s.work(ctx, by, id, "finishing work again", func(ctx context.Context, tx *sqldb.Tx, in *Incoming, now time.Time) error {
		if in.Reopened.IsZero() {
			return in.cannot()
		}
		if !by.System && !in.handler(by, ActFinish) {
			return fail(KindForbidden, "Văn bản đã được giao cho người khác.", "The document is assigned to somebody else.")
		}
		f := s.facts(by)
		f["note"] = note
		if err := done(ctx, tx, in, f); err != nil {
			return err
		}
		return s.evidence(ctx, tx, "work.closed", string(in.ID), now, by, f)
	})
}

// reopened tells whether the work on a finished document goes on.
func (s *Service) reopened(ctx context.Context, by registry.Actor, id IncomingID) (again bool, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		in, err := s.ownIncoming(ctx, tx, by, id)
		again = err == nil && in.Status == StatusFinished && !in.Reopened.IsZero()
		return err
	})
	return again, storageError("reading incoming document", err)
}

// answerWith links the document that answers.
func (s *Service) answerWith(ctx context.Context, tx *sqldb.Tx, by registry.Actor, in *Incoming, answer DocumentID, f facts) error {
	d, err := selectDocument(ctx, tx, answer)
	if err != nil {
		return err
	}
	if d == nil || d.Agency != in.Agency {
		return fail(KindInvalid, "Không có văn bản trả lời này trong sổ văn bản đi của cơ quan.", "The answer is not in your agency's outgoing register.")
	}
	if d.Number == 0 || d.State == StateCancelled {
		return fail(KindConflict, "Văn bản trả lời chưa có số hoặc đã hủy số.", "The answer has no number, or it was cancelled.").
			Advise("Cấp số, phát hành văn bản trả lời rồi kết thúc việc.", "Number and send the answer, then finish.")
	}
	in.Answer = d.ID
	f["answer"], f["answer_code"] = string(d.ID), d.Code()
	return insertAnswer(ctx, tx, d.ID, in.ID, in.Updated, by.Tag())
}

// Reopen lets the work on a finished document go on (leader, with a reason, within
// the year of its arrival number or the next): the sender was told 06, which is
// final and stays; inside the agency it is a task again until it is finished.
func (s *Service) Reopen(ctx context.Context, by registry.Actor, id IncomingID, reason string, due time.Time) (*Incoming, error) {
	if err := allowed(by, ActAssign); err != nil {
		return nil, err
	}
	reason, err := reasonOf(reason)
	if err != nil {
		return nil, err
	}
	return s.work(ctx, by, id, "reopening incoming document", func(ctx context.Context, tx *sqldb.Tx, in *Incoming, now time.Time) error {
		if in.Status != StatusFinished || !in.Reopened.IsZero() || yearOf(now) > in.ArrivalYear+1 {
			return in.cannot()
		}
		in.Reopened, in.TaskDue = now, time.Time{}
		f := s.facts(by)
		f["note"] = reason
		if !due.IsZero() {
			in.TaskDue = dateOf(due)
			f["task_due"] = pinnedTime(in.TaskDue)
		}
		return s.evidence(ctx, tx, "work.reopened", string(in.ID), now, by, f)
	})
}

// TaskView is a list of work.
type TaskView string

// The lists.
const (
	TasksMine       TaskView = "mine"       // that the actor leads
	TasksCo         TaskView = "co"         // in which the actor takes part
	TasksOverdue    TaskView = "overdue"    // of the agency, past the day they are due; an officer's own
	TasksUnassigned TaskView = "unassigned" // registered and not assigned
)

// Tasks lists open work, newest first.
func (s *Service) Tasks(ctx context.Context, by registry.Actor, view TaskView, after string, limit int) (Page[Incoming], error) {
	if !slices.Contains([]TaskView{TasksMine, TasksCo, TasksOverdue, TasksUnassigned}, view) {
		return Page[Incoming]{}, failf(KindInvalid, "Không có danh sách %q.", "There is no list %q.", string(view))
	}
	limit = pageLimit(limit)
	var list []Incoming
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = selectTasks(ctx, tx, by, view, s.clock(), after, limit+1)
		return err
	})
	return page(list, limit, func(in Incoming) string { return string(in.ID) }), storageError("listing tasks", err)
}

// Handling is all that an agency did with an incoming document.
type Handling struct {
	Tasks    []Task    `json:"tasks"`
	Opinions []Opinion `json:"opinions"`
}

// Handling gives tasks and remarks on an incoming document, oldest first.
func (s *Service) Handling(ctx context.Context, by registry.Actor, id IncomingID) (h Handling, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		if h.Tasks, err = selectTaskRows(ctx, tx, id); err != nil {
			return err
		}
		h.Opinions, err = selectOpinions(ctx, tx, id)
		return err
	})
	return h, storageError("reading the handling", err)
}

// dueText says a day in words of a form.
func dueText(due time.Time) string {
	if due.IsZero() {
		return ""
	}
	return fmt.Sprintf(" (thời hạn: %s)", due.In(Vietnam()).Format("02/01/2006"))
}
