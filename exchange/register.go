package exchange

import (
	"context"
	"fmt"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// advance takes the document to the state the act leads to, or says why it
// cannot.
func (d *Document) advance(a Act) error {
	to, ok := next(documentTransitions(), d.State, a)
	if !ok {
		return failf(KindConflict, "Văn bản đang ở trạng thái “%[1]s”, không làm được việc này.",
			"The document is in the state “%[2]s”; this cannot be done now.", d.State.In("vi"), d.State.In("en")).
			Advise("Tải lại trang để xem trạng thái mới nhất.", "Reload to see where it stands.").
			Keeping("Văn bản vẫn giữ nguyên.", "The document is as it was.")
	}
	d.State = to
	return nil
}

// Number gives the document the next number of its series (see Series) and year,
// with today as date of issue (NĐ 30/2020 Điều 15: one series per year from 01;
// the system gives number and date of electronic documents). Clerk; after
// approval.
func (s *Service) Number(ctx context.Context, by registry.Actor, id DocumentID) (*Document, error) {
	return s.numbered(ctx, by, id, 0)
}

// CancelNumber cancels a number that was given but whose document is not sent:
// the number stays in the register with the reason and is not given again; the
// document ends. Clerk.
func (s *Service) CancelNumber(ctx context.Context, by registry.Actor, id DocumentID, reason string) error {
	if err := allowed(by, ActCancelNumber); err != nil {
		return err
	}
	reason, err := registry.CleanLine("Lý do", "The reason", reason, maxNote)
	if err != nil {
		return err
	}
	if reason == "" {
		return fail(KindInvalid, "Phải nêu lý do hủy số.", "Cancelling a number needs a reason.")
	}
	now := s.clock()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, err := s.ownDocument(ctx, tx, by, id)
		if err != nil {
			return err
		}
		if d.Number == 0 && d.State != StateSent && d.State != StateCancelled {
			return fail(KindConflict, "Văn bản chưa có số.", "The document has no number.")
		}
		if err := d.advance(ActCancelNumber); err != nil {
			return err
		}
		was := d.version
		d.Updated, d.SendAt, d.plan = now, time.Time{}, ""
		if err := updateDocument(ctx, tx, d, was); err != nil {
			return err
		}
		if err := cancelNumber(ctx, tx, d.ID, reason, now); err != nil {
			return err
		}
		f := s.facts(by)
		f["code"], f["note"] = d.Code(), reason
		return s.evidence(ctx, tx, "document.number-cancelled", string(d.ID), now, by, f)
	})
	return storageError("cancelling number", err)
}

// OutgoingEntry is one line of the outgoing register (sổ đăng ký văn bản đi, NĐ
// 30/2020 Phụ lục IV; the column's number stands behind each field).
type OutgoingEntry struct {
	Number     int        `json:"number"`
	Year       int        `json:"year"`
	Code       string     `json:"code"`          // 1 số, ký hiệu
	Issued     time.Time  `json:"issued"`        // 2 ngày tháng
	Title      string     `json:"title"`         // 3 tên loại và trích yếu
	Signer     string     `json:"signer"`        // 4 người ký
	Recipients []string   `json:"recipients"`    // 5 nơi nhận
	KeptBy     string     `json:"kept_by"`       // 6 đơn vị, người nhận bản lưu
	Copies     int        `json:"copies"`        // 7 số lượng bản
	Sent       time.Time  `json:"sent,omitzero"` // 8 ngày chuyển
	SignedFor  string     `json:"signed_for"`    // 9 ký nhận: recipients that took it, of all
	Note       string     `json:"note"`          // 10 ghi chú; the reason when Cancelled
	Cancelled  bool       `json:"cancelled"`
	Reserved   bool       `json:"reserved,omitempty"` // kept for a document to come (giữ số)
	Series     string     `json:"series"`
	Document   DocumentID `json:"document"`
}

// IncomingEntry is one line of the incoming register (sổ đăng ký văn bản đến).
type IncomingEntry struct {
	Arrived       time.Time  `json:"arrived"`            // 1 ngày đến
	ArrivalNumber int        `json:"arrival_number"`     // 2 số đến
	Author        string     `json:"author"`             // 3 tác giả
	Code          string     `json:"code"`               // 4 số, ký hiệu
	Issued        time.Time  `json:"issued"`             // 5 ngày tháng văn bản
	Title         string     `json:"title"`              // 6 tên loại và trích yếu
	Handler       string     `json:"handler"`            // 7 đơn vị hoặc người nhận
	Forwarded     time.Time  `json:"forwarded,omitzero"` // 8 ngày chuyển
	SignedFor     string     `json:"signed_for"`         // 9 ký nhận: the handler and the day on which it was opened
	Note          string     `json:"note"`               // 10 ghi chú
	Medium        Medium     `json:"medium"`
	Opened        time.Time  `json:"opened,omitzero"` // by the handler
	Incoming      IncomingID `json:"incoming"`
	Status        Status     `json:"status"`

	named bool // Author is a name, of one who has no agency code
}

func title(typ, subject string) string {
	return typeName(typ) + " " + subject
}

func checkYear(year int) error {
	if year < 1945 || year > 9999 {
		return failf(KindInvalid, "Năm %d không hợp lệ.", "The year %d is not valid.", year)
	}
	return nil
}

// OutgoingRegister gives the agency's outgoing register of a year in number
// order, cancelled numbers with their reason. Everyone of the agency may read it.
func (s *Service) OutgoingRegister(ctx context.Context, by registry.Actor, year int) (out []OutgoingEntry, err error) {
	if err := checkYear(year); err != nil {
		return nil, err
	}
	agency, err := s.reg.Agency(ctx, by.Agency)
	if err != nil {
		return nil, err
	}
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out, err = selectOutgoingRegister(ctx, tx, by.Agency, year)
		return err
	})
	for i := range out {
		out[i].KeptBy = "Văn thư " + agency.Name
	}
	return out, storageError("reading outgoing register", err)
}

// IncomingRegister gives the agency's incoming register of a year in the order
// of arrival numbers, with the handler's name.
func (s *Service) IncomingRegister(ctx context.Context, by registry.Actor, year int) ([]IncomingEntry, error) {
	if err := checkYear(year); err != nil {
		return nil, err
	}
	var out []IncomingEntry
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = selectIncomingRegister(ctx, tx, by.Agency, year)
		return err
	})
	if err != nil {
		return nil, storageError("reading incoming register", err)
	}
	names := s.namer(ctx)
	for i := range out {
		e := &out[i]
		if name := names.agency(registry.AgencyID(e.Author)); !e.named && name != e.Author {
			e.Author = fmt.Sprintf("%s (%s)", name, e.Author)
		}
		if e.Handler == "" {
			continue
		}
		e.Handler = names.person(registry.PersonID(e.Handler))
		if !e.Opened.IsZero() {
			e.SignedFor = e.Handler + ", " + e.Opened.In(Vietnam()).Format("02/01/2006")
		}
	}
	return out, nil
}
