package exchange

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/exchange/sheet"
	"vanthu/storage/sqldb"
)

// ScanInput is a document that came on paper or by ordinary mail, as the clerk
// enters it: who it is from, an agency's code or a name; what stands on it; its
// scan as PDF (NĐ 30/2020 Điều 22.2: paper and electronic documents share one
// series of arrival numbers).
type ScanInput struct {
	Channel    string            // ArrivedPaper, or ArrivedMail for what came by mail and is no packet
	From       registry.AgencyID // "" = FromName
	FromName   string            // at most 200 characters
	Code       string            // số, ký hiệu, e.g. 05/QĐ-UBND; "" = it has none (đơn, thư)
	Type       string            // a DocType's code, or a name of at most 100 characters
	Subject    string            // trích yếu
	SignerName string
	Issued     time.Time // ngày tháng văn bản
	Priority   Priority
	Due        time.Time
	Note       string
	Secrecy    string // any mark of secrecy: refused
	PDF        io.Reader
}

const maxAgencyName = 200 // NĐ 30/2020 Phụ lục VI phần II, OrganName

// clean checks and normalises what the clerk typed.
func (in *ScanInput) clean(now time.Time) error {
	if in.Secrecy != "" {
		return fail(KindInvalid, "Văn bản mật không được đăng ký trong hệ thống này.", "Secret documents are not registered in this system.").
			Advise("Đăng ký vào sổ văn bản mật (NĐ 30/2020 Điều 15.2, QĐ 28/2018 Điều 1.2).", "Register it in the register of secret documents.")
	}
	if in.Channel == "" {
		in.Channel = ArrivedPaper
	}
	if in.Channel != ArrivedPaper && in.Channel != ArrivedMail {
		return failf(KindInvalid, "Không có kênh nhận %q.", "There is no channel %q.", in.Channel)
	}
	for _, f := range []struct {
		vi, en   string
		at       *string
		max      int
		required bool
	}{
		{"Nơi gửi", "The sender", &in.FromName, maxAgencyName, in.From == ""},
		{"Số, ký hiệu", "The number and symbol", &in.Code, 11 + 1 + maxNotation, false},
		{"Loại văn bản", "The type", &in.Type, maxPosition, true},
		{"Trích yếu", "The subject", &in.Subject, maxSubject, true},
		{"Họ tên người ký", "The signer's name", &in.SignerName, maxSignerName, false},
		{"Ghi chú", "The note", &in.Note, maxNote, false},
	} {
		s, err := registry.CleanLine(f.vi, f.en, *f.at, f.max)
		if err != nil {
			return err
		}
		if s == "" && f.required {
			return fail(KindInvalid, "Thiếu: "+f.vi+".", f.en+" is missing.")
		}
		*f.at = s
	}
	if in.Issued.IsZero() || dateOf(in.Issued).After(now) {
		return fail(KindInvalid, "Ngày tháng của văn bản bị thiếu hoặc ở tương lai.", "The date of the document is missing or in the future.")
	}
	if in.Priority < PriorityNormal || in.Priority > PriorityTimed {
		return failf(KindInvalid, "Độ khẩn %d không có.", "There is no urgency %d.", in.Priority)
	}
	if in.PDF == nil {
		return fail(KindInvalid, "Thiếu bản quét PDF.", "The scan is missing.")
	}
	in.Issued = dateOf(in.Issued)
	return nil
}

// RegisterScan enters a document that came on paper or by ordinary mail in the
// incoming register: reception and arrival number are one act of the clerk.
// Nothing travels back. What may be a document that came electronically too is
// marked for the clerk, see Alike.
func (s *Service) RegisterScan(ctx context.Context, by registry.Actor, scan ScanInput) (*Incoming, error) {
	if err := allowed(by, ActRegister); err != nil {
		return nil, err
	}
	now := s.clock()
	if err := scan.clean(now); err != nil {
		return nil, err
	}
	if scan.From != "" {
		a, err := s.reg.Agency(ctx, scan.From)
		if err != nil {
			return nil, err
		}
		scan.From = a.ID
	}
	data, err := s.readPDF(scan.PDF)
	if err != nil {
		return nil, err
	}
	ref, err := s.put(ctx, data)
	if err != nil {
		return nil, err
	}
	report, err := s.judge(ctx, ref)
	if err != nil {
		return nil, storageError("judging the scan", err)
	}
	in := &Incoming{ID: IncomingID(newID()), Agency: by.Agency, From: scan.From, SenderName: scan.FromName, Document: DocumentID(newID()), Code: scan.Code, Type: scan.Type,
		Subject: scan.Subject, SignerName: scan.SignerName, Issued: scan.Issued, Priority: scan.Priority, Due: scan.Due, PDF: ref, Verdict: report.Verdict, Report: report,
		Medium: MediumPaper, Received: now, Registered: now, Updated: now, Note: scan.Note}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return s.insertScan(ctx, tx, by, in, scan.Channel, now)
	})
	if err != nil {
		return nil, storageError("registering a scan", err)
	}
	return in, nil
}

// insertScan writes row, arrival, number and evidence of a scan.
func (s *Service) insertScan(ctx context.Context, tx *sqldb.Tx, by registry.Actor, in *Incoming, channel string, now time.Time) error {
	in.Status, in.version, in.ArrivalYear = StatusRegistered, 2, yearOf(now) // arrived and registered at once
	var err error
	if in.ArrivalNumber, err = nextNumber(ctx, tx, in.Agency, seriesIncoming, in.ArrivalYear); err != nil {
		return err
	}
	if added, err := insertIncoming(ctx, tx, in); err != nil || !added {
		return fmt.Errorf("cannot happen: a new id is taken: %w", err)
	}
	if err := markNotified(ctx, tx, in.ID, notifyNone); err != nil {
		return err
	}
	a := &arrival{channel: channel, pdf: in.PDF, env: Envelope{Document: in.Document, From: in.From, To: in.Agency, Type: in.Type, Subject: in.Subject,
		Issued: in.Issued, Priority: in.Priority, Due: in.Due, SignerName: in.SignerName, Digest: in.PDF.Digest, Size: in.PDF.Size}}
	if err := s.addArrival(ctx, tx, in.ID, a, now, true); err != nil {
		return err
	}
	f := in.described()
	f["medium"], f["sender_name"] = string(in.Medium), in.SenderName
	maps.Copy(f, s.facts(by))
	if err := s.evidence(ctx, tx, "incoming.received", string(in.ID), now, by, f); err != nil {
		return err
	}
	f = s.facts(by)
	f["code"], f["from"], f["number"], f["year"] = in.Code, string(in.From), strconv.Itoa(in.ArrivalNumber), strconv.Itoa(in.ArrivalYear)
	if in.Note != "" {
		f["note"] = in.Note
	}
	if err := s.evidence(ctx, tx, "incoming."+string(ActRegister), string(in.ID), now, by, f); err != nil {
		return err
	}
	return s.markAlike(ctx, tx, in, now)
}

// HandlingSlip makes the phiếu giải quyết văn bản đến of a registered document
// (NĐ 30/2020 Phụ lục IV.VII): what leaders decided, what those who work on it
// propose, each with its date.
func (s *Service) HandlingSlip(ctx context.Context, by registry.Actor, id IncomingID) (*sheet.Paper, error) {
	in, err := s.Incoming(ctx, by, id)
	if err != nil {
		return nil, err
	}
	h, err := s.Handling(ctx, by, id)
	if err != nil {
		return nil, err
	}
	by.Agency = in.Agency
	p, err := s.letterhead(ctx, by)
	if err != nil {
		return nil, err
	}
	names := s.namer(ctx)
	author := in.SenderName
	if author == "" {
		author = names.agency(in.From)
	}
	p.Portrait, p.Title = true, "PHIẾU GIẢI QUYẾT VĂN BẢN ĐẾN"
	p.Subtitle = []string{fmt.Sprintf("%s số %s ngày %s của %s", typeName(in.Type), in.Code, in.Issued.In(Vietnam()).Format("02/01/2006"), author), in.Subject,
		fmt.Sprintf("Số đến: %02d, ngày đến: %s", in.ArrivalNumber, in.Registered.In(Vietnam()).Format("02/01/2006"))}
	var leaders, handlers, others []string
	for _, t := range h.Tasks {
		role := "chủ trì"
		if t.Part == PartCo {
			role = "phối hợp"
		}
		line := fmt.Sprintf("- Ngày %s: giao %s %s%s.", t.Given.In(Vietnam()).Format("02/01/2006"), names.person(t.Person), role, dueText(t.Due))
		if t.Withdrawn != "" {
			line = strings.TrimSuffix(line, ".") + "; đã chuyển người khác: " + t.Withdrawn + "."
		}
		leaders = append(leaders, line)
	}
	for _, o := range h.Opinions {
		line := fmt.Sprintf("- Ngày %s, %s: %s", o.At.In(Vietnam()).Format("02/01/2006"), o.Name, o.Text)
		switch o.Kind {
		case OpinionInstruction:
			leaders = append(leaders, line)
		case OpinionProposal:
			handlers = append(handlers, line)
		default:
			others = append(others, line)
		}
	}
	none := func(lines []string) []string {
		if len(lines) == 0 {
			return []string{"(chưa có)"}
		}
		return lines
	}
	p.Parts = []sheet.Part{
		{Name: "Phiếu giải quyết", Heading: "1. Ý kiến của lãnh đạo: giao chủ trì, phối hợp, thời hạn giải quyết", Text: none(leaders)},
		{Name: "Ý kiến khác", Heading: "2. Ý kiến của đơn vị, cá nhân có liên quan", Text: none(others)},
		{Name: "Đề xuất", Heading: "3. Ý kiến đề xuất của người giải quyết", Text: none(handlers)},
	}
	return p, nil
}
