package exchange

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// Envelope is what travels with a document's PDF from agency to agency.
type Envelope struct {
	Document       DocumentID        `json:"document"`
	From           registry.AgencyID `json:"from"`
	To             registry.AgencyID `json:"to"`
	Axis           string            `json:"axis"`
	Type           string            `json:"type"`
	Number         int               `json:"number"`
	Year           int               `json:"year"`
	Notation       string            `json:"notation"`
	Subject        string            `json:"subject"`
	Issued         time.Time         `json:"issued"`
	Place          string            `json:"place"`
	Priority       Priority          `json:"priority"`
	Due            time.Time         `json:"due,omitzero"`
	SignerName     string            `json:"signer_name"`
	SignerPosition string            `json:"signer_position"`
	Competence     string            `json:"competence,omitempty"`
	Digest         blob.Digest       `json:"digest"` // SHA-256 of the PDF
	Size           int64             `json:"size"`
	Sent           time.Time         `json:"sent"`
	Details        *Details          `json:"details,omitempty"` // what else stands on it; nil = nothing
}

// envelope makes the envelope of a numbered document for one recipient.
func (d *Document) envelope(to registry.AgencyID) Envelope {
	var details *Details
	if !d.Details.empty() {
		more := d.Details
		details = &more
	}
	return Envelope{
		Document: d.ID, From: d.Agency, To: to, Axis: d.Axis, Type: d.Type, Number: d.Number, Year: d.Year, Notation: d.Notation,
		Subject: d.Subject, Issued: d.Issued, Place: d.Place, Priority: d.Priority, Due: d.Due,
		SignerName: d.SignerName, SignerPosition: d.SignerPosition, Competence: d.Competence,
		Digest: d.PDF.Digest, Size: d.PDF.Size, Sent: d.Sent, Details: details,
	}
}

// clean checks an envelope: it comes from outside.
func (e *Envelope) clean() error {
	if !validID(string(e.Document)) {
		return failf(KindInvalid, "Mã văn bản %q không hợp lệ.", "The document id %q is not valid.", string(e.Document))
	}
	if _, err := blob.ParseDigest(string(e.Digest)); err != nil {
		return fail(KindInvalid, "Mã băm của tệp không hợp lệ.", "The digest of the file is not valid.").Because(err)
	}
	if e.Number <= 0 || !notationGrammar.MatchString(e.Notation) {
		return failf(KindInvalid, "Số, ký hiệu %d/%s không hợp lệ.", "The number and symbol %d/%s are not valid.", e.Number, e.Notation)
	}
	if e.Priority < PriorityNormal || e.Priority > PriorityTimed {
		return failf(KindInvalid, "Độ khẩn %d không có.", "There is no urgency %d.", e.Priority)
	}
	var err error
	for _, f := range []struct {
		vi, en string
		at     *string
		max    int
	}{
		{"Trích yếu", "The subject", &e.Subject, maxSubject},
		{"Ký hiệu", "The symbol", &e.Notation, maxNotation},
		{"Loại văn bản", "The type", &e.Type, maxPosition},
		{"Mã trục", "The axis id", &e.Axis, maxPosition},
		{"Địa danh", "The place", &e.Place, maxPlace},
		{"Họ tên người ký", "The signer's name", &e.SignerName, maxSignerName},
		{"Chức vụ người ký", "The signer's position", &e.SignerPosition, maxPosition},
		{"Quyền hạn ký", "The signer's competence", &e.Competence, maxCompetence},
	} {
		if *f.at, err = registry.CleanLine(f.vi, f.en, *f.at, f.max); err != nil {
			return err
		}
	}
	if e.Subject == "" {
		return fail(KindInvalid, "Thiếu trích yếu.", "The subject is missing.")
	}
	if e.Details == nil {
		return nil
	}
	return e.Details.bound()
}

// arrival is a document judged and signed for, ready to be written.
type arrival struct {
	env     Envelope
	channel string
	ref     string // the channel's own name for it
	pdf     blob.Ref
	in      *Incoming // nil when the document was known before
	receipt *Receipt
}

// Receive takes a document for an agency of this hub and gives its signed
// receipt, durable on return: 01, or 02 when the signature is bad, with the
// reason; the refused document is kept in the register too. Repeats of the same
// document (sender, id and digest) give the first receipt again; the same id
// with other content is a conflict.
func (s *Service) Receive(ctx context.Context, from registry.AgencyID, env Envelope, pdf io.Reader) (*Receipt, error) {
	if !validID(string(env.Document)) {
		return nil, env.clean()
	}
	return s.ReceiveBy(ctx, from, Arrival{Channel: ArrivedLocal, Envelope: env, PDF: pdf})
}

// ReceiveStored is Receive for a PDF that is in the blob store already.
func (s *Service) ReceiveStored(ctx context.Context, from registry.AgencyID, env Envelope, pdf blob.Ref) (*Receipt, error) {
	return s.receive(ctx, from, ArrivedLocal, "", env, pdf)
}

// prepare does all that needs no transaction: checks envelope and agencies,
// judges the PDF (once per content), decides, and signs the receipt. sent is when
// this hub let the document go, for which the sender had to exist then; zero = it
// comes from outside, and the sender has to exist now.
func (s *Service) prepare(ctx context.Context, from registry.AgencyID, env Envelope, pdf blob.Ref, sent time.Time) (*arrival, error) {
	if env.From != from {
		return nil, fail(KindForbidden, "Cơ quan gửi trong bì thư không phải là bên đang gửi.", "The sender in the envelope is not the one who sends.")
	}
	if err := env.clean(); err != nil {
		return nil, err
	}
	now := s.clock()
	if err := checkIssued(env.Issued, now); err != nil {
		return nil, err
	}
	to, err := s.party(ctx, env.To, now, "nhận", "receiving")
	if err != nil {
		return nil, err
	}
	if to.Channel != registry.ChannelLocal {
		return nil, failf(KindInvalid, "Cơ quan %q không nhận văn bản tại hệ thống này.", "The agency %q does not receive at this hub.", string(to.ID)).Because(errNoChannel)
	}
	if err := s.sender(ctx, from, now, sent); err != nil {
		return nil, err
	}
	env.To = to.ID
	report, err := s.judge(ctx, pdf)
	if err != nil {
		return nil, err
	}
	reason, err := s.refusal(ctx, from, report, cmp.Or(sent, now))
	if err != nil {
		return nil, err
	}
	in := &Incoming{
		ID: IncomingID(newID()), Agency: to.ID, From: from, Document: env.Document, Code: codeOf(env.Type, env.Number, env.Year, env.Notation),
		Type: env.Type, Subject: env.Subject, SignerName: env.SignerName, Issued: env.Issued, Priority: env.Priority, Due: env.Due,
		PDF: pdf, Verdict: report.Verdict, Report: report, Status: StatusArrived, Received: now, Updated: now, Medium: MediumElectronic, version: 1, envelope: env,
	}
	if reason != "" {
		in.Status, in.Note = StatusRefused, reason
	}
	a := &arrival{env: env, channel: ArrivedLocal, pdf: pdf, in: in, receipt: in.receipt(newID(), now)}
	return a, s.signReceipt(ctx, a.receipt)
}

// party gives an agency that takes part in the exchange now.
func (s *Service) party(ctx context.Context, id registry.AgencyID, now time.Time, vi, en string) (*registry.Agency, error) {
	a, err := s.reg.Agency(ctx, id)
	if KindOf(err) == KindNotFound {
		return nil, failf(KindInvalid, "Không biết cơ quan %[1]s %[3]q.", "The %[2]s agency %[3]q is unknown.", vi, en, string(id)).Because(errInactive)
	}
	if err != nil {
		return nil, err
	}
	if !a.ActiveAt(now) {
		return nil, failf(KindInvalid, "Cơ quan %[1]s %[3]q không còn hoạt động.", "The %[2]s agency %[3]q is not active.", vi, en, string(id)).Because(errInactive)
	}
	return a, nil
}

// sender checks the sending agency. What left before it ended is let in after; so
// is what its successor's clerk sends of what it had sealed.
func (s *Service) sender(ctx context.Context, from registry.AgencyID, now, sent time.Time) error {
	if !sent.IsZero() {
		a, err := s.reg.Agency(ctx, from)
		if err != nil {
			return err
		}
		if a.ActiveAt(sent) || a.Heir != "" {
			return nil
		}
	}
	_, err := s.party(ctx, from, now, "gửi", "sending")
	return err
}

// refusal gives the reason to return a document at the door, "" to let it in: a
// bad signature, an unreadable file, or no signature by the sending agency where
// we know its certificates (NĐ 30/2020 Điều 21.2: completeness, integrity,
// authenticity). An unsigned document, or one that cannot be judged for want of
// data, is let in for the clerk to decide; its verdict stands in the register.
// The certificate has to be the agency's at the time of the signature where that
// is proven, else at the time given: a claimed time would let a revoked one in.
func (s *Service) refusal(ctx context.Context, from registry.AgencyID, report *signing.Report, at time.Time) (string, error) {
	switch {
	case report.Verdict == signing.TotalFailed:
		return "Chữ ký số không hợp lệ: " + clip(report.Sentence("vi")), nil
	case report.Integrity == signing.Altered:
		return "Văn bản đã bị thay đổi sau khi ký: " + clip(report.Sentence("vi")), nil
	case report.Verdict != signing.TotalPassed:
		return "", nil
	}
	known, err := s.reg.Certificates(ctx, registry.AgencyOwner(from))
	if err != nil || len(known) == 0 {
		return "", err
	}
	for _, sig := range report.Signatures {
		when := at
		if sig.ProvenTime != nil {
			when = *sig.ProvenTime
		}
		for _, c := range known {
			if c.Fingerprint == sig.Fingerprint && sig.Indication == signing.TotalPassed && c.ValidAt(when) {
				return "", nil
			}
		}
	}
	return "Văn bản không có chữ ký số còn hiệu lực của cơ quan gửi (" + string(from) + ").", nil
}

// clip shortens a reason to what a note may hold.
func clip(s string) string {
	const most = maxNote - 100
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// insertArrival writes the register's row, the signed receipt and the evidence;
// a repeat changes nothing and gives the receipt that is there.
func (s *Service) insertArrival(ctx context.Context, tx *sqldb.Tx, a *arrival, now time.Time) (*Receipt, error) {
	known, err := findEntry(ctx, tx, a.env)
	if err != nil {
		return nil, err
	}
	if known != nil {
		return s.again(ctx, tx, known, a, now)
	}
	if a.in == nil {
		return nil, errors.New("cannot happen: the entry of an arrival is gone")
	}
	added, err := insertIncoming(ctx, tx, a.in)
	if err != nil {
		return nil, err
	}
	if !added { // on PostgreSQL another transaction was first: this one is run again
		return nil, errors.New("another arrival of the document is being written")
	}
	if err := s.addArrival(ctx, tx, a.in.ID, a, now, true); err != nil {
		return nil, err
	}
	if err := insertReceipt(ctx, tx, a.receipt, a.in.ID, a.in.version, now); err != nil {
		return nil, err
	}
	f := a.in.described()
	kind := "incoming.received"
	if a.in.Status == StatusRefused {
		kind = "incoming.rejected"
		f["note"] = a.in.Note
	}
	if err := s.evidence(ctx, tx, kind, string(a.in.ID), now, registry.System("reception"), f); err != nil {
		return nil, err
	}
	if err := s.markAlike(ctx, tx, a.in, now); err != nil {
		return nil, err
	}
	if err := s.earlyNotices(ctx, tx, a.in, now); err != nil {
		return nil, err
	}
	if a.in.Status == StatusArrived && s.cfg.Mail != nil {
		err = s.jobs.Add(ctx, tx, jobNotify, lane{a.in.Agency}, jobs.AddOptions{Lane: string(a.in.Agency)})
	}
	return a.receipt, err
}

// marshal writes what is stored as JSON in a row.
func marshal(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encoding %T: %w", v, err)
	}
	return string(b), nil
}
