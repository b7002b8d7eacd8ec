package exchange

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// RequestID names what a sender asks about a document it has sent (UUIDv7).
type RequestID string

// RequestKind is what the sender asks (nghiệp vụ): BussinessDocType 1, 2, 3 of
// edXML.
type RequestKind string

// The kinds of request.
const (
	RequestRecall  RequestKind = "recall"  // thu hồi
	RequestUpdate  RequestKind = "update"  // cập nhật
	RequestReplace RequestKind = "replace" // thay thế
)

// In gives the kind's name in lang (vi|en).
func (k RequestKind) In(lang string) string {
	vi, en := string(k), string(k)
	switch k {
	case RequestRecall:
		vi, en = "thu hồi", "recall"
	case RequestUpdate:
		vi, en = "cập nhật", "update"
	case RequestReplace:
		vi, en = "thay thế", "replacement"
	}
	if lang == "en" {
		return en
	}
	return vi
}

// Fate is what became of one recipient's copy.
type Fate string

// The fates of a copy. All but the first two are ends.
const (
	FateOnItsWay  Fate = "on-its-way" // the request is on its way to the recipient
	FateAsked     Fate = "asked"      // its clerk has to answer
	FateNotSent   Fate = "not-sent"   // the copy never left: taken out of the lane
	FateWithdrawn Fate = "withdrawn"  // nobody had opened or registered it: taken back at once
	FateApplied   Fate = "applied"    // the update stands in an unopened copy, or in one not yet handed over
	FateAgreed    Fate = "agreed"     // the clerk agreed (15)
	FateDeclined  Fate = "declined"   // the clerk declined (16)
	FateTooLate   Fate = "too-late"   // the recipient had refused or finished it before
)

// Settled tells whether the fate is an end.
func (f Fate) Settled() bool { return f != FateOnItsWay && f != FateAsked }

// back tells whether the sender has the copy back.
func (f Fate) back() bool { return f == FateNotSent || f == FateWithdrawn || f == FateAgreed }

// In gives the fate in words, in lang (vi|en).
func (f Fate) In(lang string) string {
	vi, en := string(f), string(f)
	switch f {
	case FateOnItsWay:
		vi, en = "Đang chuyển yêu cầu", "The request is on its way"
	case FateAsked:
		vi, en = "Chờ nơi nhận trả lời", "Waits for the recipient's answer"
	case FateNotSent:
		vi, en = "Chưa chuyển đi, đã rút lại", "Never left, taken back"
	case FateWithdrawn:
		vi, en = "Chưa ai mở, đã rút lại", "Unopened, taken back"
	case FateApplied:
		vi, en = "Đã cập nhật", "Updated"
	case FateAgreed:
		vi, en = "Nơi nhận đồng ý", "The recipient agreed"
	case FateDeclined:
		vi, en = "Nơi nhận từ chối", "The recipient declined"
	case FateTooLate:
		vi, en = "Đã kết thúc trước đó", "Had ended before"
	}
	if lang == "en" {
		return en
	}
	return vi
}

// Changes are the data of a document that an update sets; nil leaves them. The
// signed file never changes: for that, replace the document.
type Changes struct {
	Subject  *string    `json:"subject,omitempty"`
	Priority *Priority  `json:"priority,omitempty"`
	Due      *time.Time `json:"due,omitempty"` // zero = no longer any
}

func (c Changes) empty() bool { return c.Subject == nil && c.Priority == nil && c.Due == nil }

// Request is what a sender has asked about a document, with the fate of each copy.
type Request struct {
	ID          RequestID         `json:"id"`
	Document    DocumentID        `json:"document"`
	Agency      registry.AgencyID `json:"agency"`
	Kind        RequestKind       `json:"kind"`
	Reason      string            `json:"reason"`
	Replacement DocumentID        `json:"replacement,omitempty"` // takes the place of Document
	Changes     *Changes          `json:"changes,omitempty"`
	AskedBy     string            `json:"asked_by"`
	At          time.Time         `json:"at"`
	Closed      time.Time         `json:"closed,omitzero"` // when the last copy's fate was known
	Copies      []RequestCopy     `json:"copies"`          // by recipient
}

// RequestCopy is the fate of one recipient's copy and its proof.
type RequestCopy struct {
	Recipient registry.AgencyID `json:"recipient"`
	Kind      RequestKind       `json:"kind"` // an update recalls the copies of removed recipients
	Fate      Fate              `json:"fate"`
	At        time.Time         `json:"at"`
	Receipt   string            `json:"receipt,omitempty"` // id of the signed receipt that says so
	Opened    time.Time         `json:"opened,omitzero"`   // by the recipient's word; zero = nobody
	OpenedBy  string            `json:"opened_by,omitempty"`
	Note      string            `json:"note,omitempty"`
}

// RequestRecall asks recipients to give a document back (thu hồi, NĐ 30/2020
// Điều 18.4): to is nil for all of them. A copy that has not left is taken out
// of its lane at once; one that nobody at the recipient has opened or registered
// is taken back by rule when the request gets there; in every other case the
// recipient's clerk agrees (15) or declines (16). Clerk.
func (s *Service) RequestRecall(ctx context.Context, by registry.Actor, id DocumentID, to []registry.AgencyID, reason string) (*Request, error) {
	reason, err := needReason(by, reason)
	if err != nil {
		return nil, err
	}
	r := &Request{ID: RequestID(newID()), Document: id, Kind: RequestRecall, Reason: reason, AskedBy: by.FullName(), At: s.clock()}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, list, err := s.requestable(ctx, tx, by, id)
		if err != nil {
			return err
		}
		chosen, err := choose(list, to)
		if err != nil {
			return err
		}
		r.Agency, r.Copies = d.Agency, nil
		for _, v := range chosen {
			r.add(v, RequestRecall)
		}
		return s.ask(ctx, tx, by, d, r)
	})
	if err != nil {
		return nil, storageError("asking for a document back", err)
	}
	return r, nil
}

// needReason checks who asks and why.
func needReason(by registry.Actor, reason string) (string, error) {
	if err := allowed(by, ActRecall); err != nil {
		return "", err
	}
	reason, err := registry.CleanLine("Lý do", "The reason", reason, maxNote)
	if err == nil && reason == "" {
		err = fail(KindInvalid, "Phải nêu lý do thu hồi, cập nhật hoặc thay thế.", "A recall, update or replacement needs a reason.")
	}
	return reason, err
}

// requestable gives a document of which something may be asked now, with its
// deliveries: sent, and without a request that is still open.
func (s *Service) requestable(ctx context.Context, tx *sqldb.Tx, by registry.Actor, id DocumentID) (*Document, []Delivery, error) {
	d, err := s.ownDocument(ctx, tx, by, id)
	if err != nil {
		return nil, nil, err
	}
	if d.State != StateSent {
		return nil, nil, failf(KindConflict, "Văn bản đang ở trạng thái “%[1]s”, chưa phát hành.", "The document is in the state “%[2]s”; it is not sent.",
			d.State.In("vi"), d.State.In("en")).Advise("Văn bản chưa phát hành thì sửa hoặc hủy số.", "What is not sent is changed, or its number cancelled.")
	}
	if !d.Archived.IsZero() {
		return nil, nil, fail(KindConflict, "Văn bản đã kết thúc ở mọi nơi nhận và đã lưu trữ.", "The document has ended at every recipient and is archived.").
			Advise("Gửi một văn bản mới.", "Send a new document.")
	}
	open, err := selectOpenRequest(ctx, tx, id)
	if err != nil {
		return nil, nil, err
	}
	if open != nil {
		return nil, nil, failf(KindConflict, "Còn yêu cầu %[1]s ngày %[3]s chưa được trả lời xong.", "The %[2]s asked for on %[3]s is not answered by all yet.",
			open.Kind.In("vi"), open.Kind.In("en"), open.At.In(Vietnam()).Format("02/01/2006")).
			Advise("Chờ các nơi nhận trả lời rồi làm tiếp.", "Wait for the recipients' answers.")
	}
	list, err := selectDeliveries(ctx, tx, id)
	return d, list, err
}

// choose gives the deliveries to some recipients; nil = all.
func choose(list []Delivery, to []registry.AgencyID) ([]Delivery, error) {
	if to == nil {
		return list, nil
	}
	var out []Delivery
	for _, a := range to {
		i := slices.IndexFunc(list, func(v Delivery) bool { return v.Recipient == a })
		if i < 0 {
			return nil, failf(KindInvalid, "Văn bản không gửi tới %q.", "The document was not sent to %q.", string(a))
		}
		if slices.ContainsFunc(out, func(v Delivery) bool { return v.Recipient == a }) {
			return nil, failf(KindInvalid, "Nơi nhận %q bị lặp.", "The recipient %q stands twice.", string(a))
		}
		out = append(out, list[i])
	}
	slices.SortFunc(out, func(a, b Delivery) int { return strings.Compare(string(a.Recipient), string(b.Recipient)) })
	return out, nil
}

// add puts a delivery's copy into the request with the fate that is known at
// once. What was taken back before is left out.
func (r *Request) add(v Delivery, kind RequestKind) {
	fate := FateOnItsWay
	switch {
	case v.Transport == TransportWithdrawn || v.Status == StatusRecallAgreed:
		return
	case v.Transport != TransportDone && v.left:
		// Whoever has a letter or a packet that nobody has confirmed or fetched has to be asked.
	case v.Transport != TransportDone && kind == RequestUpdate:
		fate = FateApplied // the envelope is made when it leaves
	case v.Transport != TransportDone:
		fate = FateNotSent
	case v.Status.Final():
		fate = FateTooLate
	}
	r.Copies = append(r.Copies, RequestCopy{Recipient: v.Recipient, Kind: kind, Fate: fate, At: r.At})
}

// ask writes a request: copies that have not left are taken out of their lanes,
// the others get a job that carries it. It refuses a request that touches nothing.
func (s *Service) ask(ctx context.Context, tx *sqldb.Tx, by registry.Actor, d *Document, r *Request) error {
	counts := map[Fate]int{}
	for _, c := range r.Copies {
		counts[c.Fate]++
	}
	if len(r.Copies) == counts[FateTooLate] && r.Kind != RequestUpdate {
		return failf(KindConflict, "Không còn bản nào để %[1]s: các nơi nhận đã từ chối, hoàn thành hoặc đã trả lại.",
			"There is no copy left for a %[2]s: the recipients have refused, finished or given back theirs.", r.Kind.In("vi"), r.Kind.In("en"))
	}
	if counts[FateOnItsWay] == 0 {
		r.Closed = r.At
	}
	if err := insertRequest(ctx, tx, r); err != nil {
		return err
	}
	if len(r.Copies) == 0 { // an update that only adds recipients
		return nil
	}
	names := make([]string, 0, len(r.Copies))
	var withdrawn []registry.AgencyID
	for _, c := range r.Copies {
		names = append(names, string(c.Recipient))
		switch c.Fate {
		case FateNotSent:
			withdrawn = append(withdrawn, c.Recipient)
			if err := withdrawDelivery(ctx, tx, d.ID, c.Recipient, r.At); err != nil {
				return err
			}
		case FateOnItsWay:
			if err := s.jobs.Add(ctx, tx, jobNotices, lane{c.Recipient}, jobs.AddOptions{Lane: string(c.Recipient)}); err != nil {
				return err
			}
		}
	}
	f := s.facts(by)
	f["request"], f["code"], f["note"], f["recipients"] = string(r.ID), d.Code(), r.Reason, strings.Join(names, ",")
	f["count"], f["not_sent"] = strconv.Itoa(len(names)), strconv.Itoa(counts[FateNotSent])
	if len(withdrawn) > 0 {
		f["withdrawn"] = joinAgencies(withdrawn) // the rate counts these as recalled
		if err := addAddressed(ctx, tx, f, d.ID, withdrawn...); err != nil {
			return err
		}
	}
	if r.Replacement != "" {
		f["replacement"] = string(r.Replacement)
	}
	if err := s.evidence(ctx, tx, "request."+string(r.Kind), string(d.ID), r.At, by, f); err != nil {
		return err
	}
	if r.Closed.IsZero() {
		return nil
	}
	return s.archiveWhenFinal(ctx, tx, d.ID)
}

// archiveWhenFinal adds the job that archives a document whose copies have all
// come to an end.
func (s *Service) archiveWhenFinal(ctx context.Context, tx *sqldb.Tx, id DocumentID) error {
	open, err := hasOpenDeliveries(ctx, tx, id)
	if err != nil || open {
		return err
	}
	return s.jobs.Add(ctx, tx, jobArchive, archiveArgs{id}, jobs.AddOptions{Lane: string(id)})
}

// Requests gives what was asked about a document of the actor's agency, oldest
// first, with the fate of every copy.
func (s *Service) Requests(ctx context.Context, by registry.Actor, id DocumentID) (out []Request, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		out, err = selectRequests(ctx, tx, id)
		return err
	})
	return out, storageError("reading requests", err)
}

// settle writes the fate of a copy as the recipient's side tells it; the request
// is closed with its last copy. A fate that is an end stays.
func (s *Service) settle(ctx context.Context, tx *sqldb.Tx, id RequestID, c RequestCopy) error {
	changed, err := updateRequestCopy(ctx, tx, id, c)
	if err != nil || !changed || !c.Fate.Settled() {
		return err
	}
	document, err := closeRequest(ctx, tx, id, c.At)
	if err != nil || document == "" {
		return err
	}
	f := facts{"request": string(id)}
	if r, err := selectRequest(ctx, tx, id); err != nil {
		return err
	} else if r != nil {
		back, kept := 0, 0
		for _, c := range r.Copies {
			if c.Fate.back() || c.Fate == FateApplied {
				back++
			} else {
				kept++
			}
		}
		f["agency"], f["kind"], f["settled"], f["kept"] = string(r.Agency), string(r.Kind), strconv.Itoa(back), strconv.Itoa(kept)
	}
	return s.evidence(ctx, tx, "request.closed", string(document), c.At, registry.System("requests"), f)
}
