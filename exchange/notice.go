package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// NoticeState is where a sender's request stands at the recipient.
type NoticeState string

// The states of a notice.
const (
	NoticeWaiting  NoticeState = "waiting" // the document itself has not arrived yet
	NoticeOpen     NoticeState = "open"    // the clerk has to answer
	NoticeApplied  NoticeState = "applied" // done by rule: nobody had opened or registered the copy
	NoticeAgreed   NoticeState = "agreed"
	NoticeDeclined NoticeState = "declined"
	NoticeTooLate  NoticeState = "too-late" // the document had been refused, finished or given back
)

// Notice is a sender's request at one recipient (thông báo thu hồi, cập nhật,
// thay thế).
type Notice struct {
	Request     RequestID         `json:"request"`
	To          registry.AgencyID `json:"to"`
	From        registry.AgencyID `json:"from"`
	Document    DocumentID        `json:"document"`
	Kind        RequestKind       `json:"kind"`
	Reason      string            `json:"reason"`
	Replacement string            `json:"replacement,omitempty"` // number and symbol of the document that takes the place
	Changes     *Changes          `json:"changes,omitempty"`
	At          time.Time         `json:"at"` // asked by the sender
	Received    time.Time         `json:"received,omitzero"`
	State       NoticeState       `json:"state,omitempty"`
	Answered    time.Time         `json:"answered,omitzero"`
	AnsweredBy  string            `json:"answered_by,omitempty"`
}

// answerFacts is what a receipt says about a request: signed with it, they are
// the proof of what became of the copy. Keys in alphabetical order.
type answerFacts struct {
	Fate     Fate      `json:"fate"`
	Opened   string    `json:"opened"`    // RFC 3339, "" = nobody has opened the file
	OpenedBy string    `json:"opened_by"` // who did first
	Request  RequestID `json:"request"`
}

// clean checks a notice: it comes from outside.
func (n *Notice) clean() (err error) {
	if !validID(string(n.Request)) || !validID(string(n.Document)) {
		return fail(KindInvalid, "Mã yêu cầu hoặc mã văn bản không hợp lệ.", "The id of the request or of the document is not valid.")
	}
	if n.Kind != RequestRecall && n.Kind != RequestUpdate && n.Kind != RequestReplace {
		return failf(KindInvalid, "Không có loại yêu cầu %q.", "There is no kind of request %q.", string(n.Kind))
	}
	if n.Reason, err = registry.CleanLine("Lý do", "The reason", n.Reason, maxNote); err != nil {
		return err
	}
	n.Replacement, err = registry.CleanLine("Văn bản thay thế", "The replacement", n.Replacement, maxNotation+12)
	if err != nil || n.Changes == nil {
		return err
	}
	return n.Changes.clean()
}

// ReceiveNotice takes a sender's request for an agency of this hub; channels
// that come from outside call it. It may come before its document: then it waits
// and takes effect in the transaction in which the document arrives. Repeats
// change nothing. It gives what has become of the copy so far; later answers
// travel as receipts.
func (s *Service) ReceiveNotice(ctx context.Context, from registry.AgencyID, n Notice) (fate Fate, err error) {
	if n.From != from {
		return "", fail(KindForbidden, "Cơ quan gửi trong yêu cầu không phải là bên đang gửi.", "The sender in the request is not the one who sends.")
	}
	if err := n.clean(); err != nil {
		return "", err
	}
	now := s.clock()
	if _, err := s.party(ctx, n.To, now, "nhận", "receiving"); err != nil {
		return "", err
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		copied := n
		c, err := s.takeNotice(ctx, tx, &copied, now)
		fate = c.Fate
		return err
	})
	return fate, storageError("receiving a request", err)
}

// takeNotice writes a notice at the recipient and lets it take effect.
func (s *Service) takeNotice(ctx context.Context, tx *sqldb.Tx, n *Notice, now time.Time) (RequestCopy, error) {
	c := RequestCopy{Recipient: n.To, Kind: n.Kind, Fate: FateAsked, At: now}
	n.Received, n.State = now, NoticeWaiting
	fresh, err := insertNotice(ctx, tx, n)
	if err != nil || !fresh {
		return c, err
	}
	in, err := selectIncomingOf(ctx, tx, n.To, n.From, n.Document)
	if err != nil {
		return c, err
	}
	if in == nil {
		f := facts{"agency": string(n.To), "from": string(n.From), "request": string(n.Request), "note": n.Reason}
		return c, s.evidence(ctx, tx, "notice.early", string(n.Document), now, registry.System("requests"), f)
	}
	if in.Status.Final() {
		n.State, n.Answered, n.AnsweredBy = NoticeTooLate, now, registry.System("requests").Tag()
		if c.Receipt, err = lastReceipt(ctx, tx, in); err != nil {
			return c, err
		}
		c.Fate, c.Note = FateTooLate, in.Status.In("vi")
		return c, updateNotice(ctx, tx, n)
	}
	return c, s.applyNotice(ctx, tx, n, in, now)
}

// applyNotice lets a notice take effect on the copy that is there: at once and
// by rule when nobody has opened or registered it, else the clerk is asked.
func (s *Service) applyNotice(ctx context.Context, tx *sqldb.Tx, n *Notice, in *Incoming, now time.Time) error {
	opened, err := selectViews(ctx, tx, string(in.ID))
	if err != nil {
		return err
	}
	system := registry.System("requests")
	untouched := in.Status == StatusArrived && len(opened) == 0
	n.State = NoticeOpen
	if n.Kind != RequestUpdate {
		f := s.noticeFacts(system, n, in)
		in.answer = answerOf(n, FateAsked, opened)
		if err := s.step(ctx, tx, system, in, ActRecall, n.Reason, f, now, nil); err != nil {
			return err
		}
	} else if !untouched {
		f := s.noticeFacts(system, n, in)
		if err := s.evidence(ctx, tx, "notice.received", string(in.ID), now, system, f); err != nil {
			return err
		}
	}
	if !untouched {
		return updateNotice(ctx, tx, n)
	}
	n.State, n.Answered, n.AnsweredBy = NoticeApplied, now, system.Tag()
	return s.answer(ctx, tx, system, n, in, opened, n.Reason, now)
}

func (s *Service) noticeFacts(by registry.Actor, n *Notice, in *Incoming) facts {
	f := s.facts(by)
	f["agency"], f["code"], f["from"], f["request"], f["kind"] = string(in.Agency), in.Code, string(in.From), string(n.Request), string(n.Kind)
	if n.Replacement != "" {
		f["replacement"] = n.Replacement
	}
	return f
}

func answerOf(n *Notice, fate Fate, opened []View) *answerFacts {
	a := &answerFacts{Request: n.Request, Fate: fate}
	if len(opened) > 0 {
		a.Opened, a.OpenedBy = pinnedTime(opened[0].First), opened[0].Name
	}
	return a
}

// answer writes the end of a notice whose state has been set: the status or the
// new data of the copy, the evidence, and the receipt that tells the sender.
func (s *Service) answer(ctx context.Context, tx *sqldb.Tx, by registry.Actor, n *Notice, in *Incoming, opened []View, note string, now time.Time) error {
	act, fate := ActDeclineRecall, FateDeclined
	switch agreed := n.State != NoticeDeclined; {
	case n.Kind == RequestUpdate && agreed:
		act, fate = ActAgreeUpdate, FateAgreed
	case n.Kind == RequestUpdate:
		act = ActDeclineUpdate
	case agreed:
		act, fate = ActAgreeRecall, FateAgreed
	}
	if n.State == NoticeApplied {
		fate = FateApplied
		if n.Kind != RequestUpdate {
			fate = FateWithdrawn
		}
	}
	f := s.noticeFacts(by, n, in)
	f["fate"] = string(fate)
	if act == ActAgreeUpdate && n.Changes != nil {
		n.Changes.apply(&in.Subject, &in.Priority, &in.Due, f)
		if err := describeIncoming(ctx, tx, in); err != nil {
			return err
		}
	}
	if err := updateNotice(ctx, tx, n); err != nil {
		return err
	}
	in.answer = answerOf(n, fate, opened)
	return s.step(ctx, tx, by, in, act, note, f, now, nil)
}

// AnswerRequest answers the sender's open request about an incoming document:
// agree (15) gives the copy back or takes the update over, decline (16) keeps it
// as it is, with a reason. Clerk. A copy given back keeps its line and number in
// the register; its file is closed to everybody at the recipient (QĐ 28/2018
// Điều 9.2).
func (s *Service) AnswerRequest(ctx context.Context, by registry.Actor, id IncomingID, agree bool, note string) (*Incoming, error) {
	if err := allowed(by, ActAgreeRecall); err != nil {
		return nil, err
	}
	note, err := registry.CleanLine("Ghi chú", "The note", note, maxNote)
	if err != nil {
		return nil, err
	}
	if !agree && note == "" {
		return nil, fail(KindInvalid, "Phải nêu lý do từ chối.", "A refusal needs a reason.")
	}
	now := s.clock()
	var in *Incoming
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if in, err = s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		open, err := selectNotices(ctx, tx, in.Agency, in.From, in.Document, NoticeOpen)
		if err != nil {
			return err
		}
		if len(open) == 0 {
			return fail(KindConflict, "Không có yêu cầu nào của nơi gửi đang chờ trả lời.", "No request of the sender waits for an answer.").
				Advise("Tải lại trang để xem trạng thái mới nhất.", "Reload to see where it stands.")
		}
		opened, err := selectViews(ctx, tx, string(in.ID))
		if err != nil {
			return err
		}
		n := &open[0]
		n.State, n.Answered, n.AnsweredBy = NoticeDeclined, now, by.FullName()
		if agree {
			n.State = NoticeAgreed
		}
		return s.answer(ctx, tx, by, n, in, opened, note, now)
	})
	if err != nil {
		return nil, storageError("answering a request", err)
	}
	return in, nil
}

// Notices gives what the sender has asked about an incoming document of the
// actor's agency, oldest first.
func (s *Service) Notices(ctx context.Context, by registry.Actor, id IncomingID) (out []Notice, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		in, err := s.ownIncoming(ctx, tx, by, id)
		if err != nil {
			return err
		}
		out, err = selectNotices(ctx, tx, in.Agency, in.From, in.Document, "")
		return err
	})
	return out, storageError("reading requests", err)
}

// earlyNotices lets the notices take effect that came before their document,
// unless it was returned at the door.
func (s *Service) earlyNotices(ctx context.Context, tx *sqldb.Tx, in *Incoming, now time.Time) error {
	early, err := selectNotices(ctx, tx, in.Agency, in.From, in.Document, NoticeWaiting)
	for i := range early {
		if err != nil {
			return err
		}
		n := &early[i]
		if in.Status.Final() {
			n.State, n.Answered, n.AnsweredBy = NoticeTooLate, now, registry.System("requests").Tag()
			err = updateNotice(ctx, tx, n)
			continue
		}
		err = s.applyNotice(ctx, tx, n, in, now)
	}
	return err
}

const noticeBatch = 64

// runNotices is the lane job of the requests on their way to one recipient of
// this hub. One that fails does not block the next; the job comes back for it.
func (s *Service) runNotices(ctx context.Context, raw json.RawMessage) error {
	var to lane
	if err := json.Unmarshal(raw, &to); err != nil {
		return jobs.Cancel(fmt.Errorf("notice lane: %w", err))
	}
	defer s.lanes.lock("notices:" + string(to.Agency))()
	for turn := newTurn(); ; {
		var batch []Notice
		err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			batch, err = selectNoticesFor(ctx, tx, to.Agency, noticeBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("reading requests: %w", err)
		}
		var failed []error
		for i := range batch {
			if err := s.handOver(ctx, &batch[i]); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				s.log.LogAttrs(ctx, slog.LevelWarn, "request not handed over", slog.String("request", string(batch[i].Request)),
					slog.String("recipient", string(to.Agency)), slog.String("error", err.Error()))
				failed = append(failed, err)
			}
		}
		if err := errors.Join(failed...); err != nil || len(batch) < noticeBatch {
			return err
		}
		if err := turn.over(); err != nil {
			return err
		}
	}
}

// handOver is both sides of a request in one transaction: both agencies live on
// this hub.
func (s *Service) handOver(ctx context.Context, n *Notice) error {
	if _, c := s.carrier(ctx, n.To); c != nil {
		return s.carryNotice(ctx, c, n)
	}
	now := s.clock()
	return s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		copied := *n
		c, err := s.takeNotice(ctx, tx, &copied, now)
		if err != nil {
			return err
		}
		return s.settle(ctx, tx, n.Request, c)
	})
}

// answered takes what a receipt says about a request to the sender's side.
func (s *Service) answered(ctx context.Context, tx *sqldb.Tx, r *Receipt, now time.Time) error {
	var body receiptBody
	if err := json.Unmarshal(r.Body, &body); err != nil || body.Answer == nil {
		return err // bodies without an answer are the rule; verifyReceipt has read them all
	}
	c := RequestCopy{Recipient: r.From, Fate: body.Answer.Fate, At: now, Receipt: r.ID, OpenedBy: body.Answer.OpenedBy, Note: r.Note}
	if body.Answer.Opened != "" {
		at, err := time.Parse(time.RFC3339Nano, body.Answer.Opened)
		if err != nil {
			return fmt.Errorf("receipt %s: time of opening: %w", r.ID, err)
		}
		c.Opened = at
	}
	return s.settle(ctx, tx, body.Answer.Request, c)
}

// View is who has looked at a file, and when (lịch sử xem).
type View struct {
	Person string    `json:"person"` // id, or system:name
	Name   string    `json:"name"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	Times  int       `json:"times"`
}

// viewed keeps who opens a file; the first time is evidence. What was given back
// to its sender cannot be opened any more.
func (s *Service) viewed(ctx context.Context, by registry.Actor, id IncomingID) (in *Incoming, err error) {
	now := s.clock()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if in, err = s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		if in.Status == StatusRecallAgreed {
			return fail(KindConflict, "Văn bản đã được thu hồi, không mở được nữa.", "The document was recalled and can no longer be opened.").
				Keeping("Thông tin đăng ký và quá trình thu hồi vẫn còn.", "Its line in the register and the history of the recall are kept.")
		}
		return s.look(ctx, tx, by, string(id), "view.incoming", in.Agency, now)
	})
	return in, err
}

// look counts a view of subject by a person, with evidence of the first.
func (s *Service) look(ctx context.Context, tx *sqldb.Tx, by registry.Actor, subject, kind string, agency registry.AgencyID, now time.Time) error {
	if by.System {
		return nil
	}
	first, err := putView(ctx, tx, subject, by, now)
	if err != nil || !first {
		return err
	}
	f := s.facts(by)
	f["agency"] = string(agency)
	return s.evidence(ctx, tx, kind, subject, now, by, f)
}

// IncomingViews gives who of the actor's agency has opened an incoming document.
func (s *Service) IncomingViews(ctx context.Context, by registry.Actor, id IncomingID) (out []View, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		out, err = selectViews(ctx, tx, string(id))
		return err
	})
	return out, storageError("reading views", err)
}
