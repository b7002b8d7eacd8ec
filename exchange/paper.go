package exchange

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// The reasons for which a document is issued on paper only.
const (
	PaperRecipient = "recipient" // bên nhận chưa nhận được bản điện tử (QĐ 28/2018 Điều 7.1)
	PaperOutage    = "outage"    // hệ thống của bên gửi gián đoạn
	PaperChoice    = "choice"    // theo lựa chọn của cơ quan ban hành
)

// The kinds of exchange_paper.
const (
	paperOnly   = "only"
	paperAlso   = "also"
	paperSecret = "secret"
)

// StatePaper is where a document stands that was issued on paper only; final.
const StatePaper State = "paper" // đã phát hành bản giấy

const maxOthers = 1000 // nơi nhận, NĐ 30/2020 Phụ lục VI phần II

// PaperInput describes an outgoing document that is issued on paper only.
// Recipients are agencies with a code; Others names recipients that have none
// (citizens, enterprises). One of both is needed.
type PaperInput struct {
	Type, Subject, Notation, Place         string
	Priority                               Priority
	SignerName, SignerPosition, Competence string
	Reason                                 string // PaperRecipient, PaperOutage, PaperChoice
	Recipients                             []registry.AgencyID
	Others                                 string
	Note                                   string
	Secrecy                                string // any mark of secrecy: refused, see CountSecret
}

// RegisterPaper enters a document that is issued on paper only in the outgoing
// register: it takes the next number of the same series, so that the exchange
// rate has all documents in its denominator. Clerk.
//
// The reason alone excludes nothing: a document leaves the population only when
// its reason is PaperRecipient and the registry bears it out, that is, has no way
// to any of its recipients (QĐ 28/2018 Điều 7.1). All others count as missing,
// with their cause.
func (s *Service) RegisterPaper(ctx context.Context, by registry.Actor, in PaperInput) (*Document, error) {
	if err := allowed(by, ActNumber); err != nil {
		return nil, err
	}
	t, err := in.clean()
	if err != nil {
		return nil, err
	}
	now := s.clock()
	agency, err := s.party(ctx, by.Agency, now, "ban hành", "issuing")
	if err != nil {
		return nil, err
	}
	if in.Notation == "" {
		in.Notation = defaultNotation(t, agency.Symbol)
	}
	if err := checkNotation(t, in.Notation); err != nil {
		return nil, err
	}
	if in.Place == "" {
		in.Place = agency.Place
	}
	unable, err := s.unable(ctx, by.Agency, &in, now)
	if err != nil {
		return nil, err
	}
	excluded := in.Reason == PaperRecipient && len(unable) == len(in.Recipients)
	d := &Document{ID: DocumentID(newID()), Agency: agency.ID, Type: t.Code, Subject: in.Subject, Notation: in.Notation, Place: in.Place,
		Priority: in.Priority, SignerName: in.SignerName, SignerPosition: in.SignerPosition, Competence: in.Competence,
		State: StatePaper, CreatedBy: by.Person, Created: now, Updated: now, Recipients: in.Recipients, version: 1}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d.Number, d.version = 0, 1
		if err := insertDocument(ctx, tx, d); err != nil {
			return err
		}
		if err := s.number(ctx, tx, by, d, now); err != nil {
			return err
		}
		if err := updateDocument(ctx, tx, d, 1); err != nil {
			return err
		}
		if _, err := insertPaper(ctx, tx, string(d.ID), d.Agency, paperOnly, &in, excluded, now, by.Tag()); err != nil {
			return err
		}
		f := s.facts(by)
		maps.Copy(f, d.described())
		f["reason"], f["excluded"], f["others"], f["note"] = in.Reason, yesNo(excluded), in.Others, in.Note
		f["recipients"], f["unable"] = joinAgencies(in.Recipients), joinAgencies(unable)
		f["code"], f["issued"] = d.Code(), pinnedTime(d.Issued)
		return s.evidence(ctx, tx, "document.paper", string(d.ID), now, by, f)
	})
	if err != nil {
		return nil, storageError("registering a document on paper", err)
	}
	return d, nil
}

func joinAgencies(list []registry.AgencyID) string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = string(a)
	}
	return strings.Join(out, ",")
}

// clean checks and normalises what is typed.
func (in *PaperInput) clean() (DocType, error) {
	draft := DraftInput{Type: in.Type, Subject: in.Subject, Notation: in.Notation, Place: in.Place, Priority: in.Priority, SignerName: in.SignerName,
		SignerPosition: in.SignerPosition, Competence: in.Competence, Secrecy: in.Secrecy, PDF: strings.NewReader("")}
	t, err := draft.clean()
	if err != nil {
		return t, err
	}
	in.Subject, in.Notation, in.Place, in.SignerName = draft.Subject, draft.Notation, draft.Place, draft.SignerName
	in.SignerPosition, in.Competence = draft.SignerPosition, draft.Competence
	if !slices.Contains([]string{PaperRecipient, PaperOutage, PaperChoice}, in.Reason) {
		return t, failf(KindInvalid, "Không có lý do phát hành giấy %q.", "There is no reason %q for paper.", in.Reason).
			Advise("Dùng recipient (bên nhận chưa nhận được bản điện tử), outage (hệ thống gián đoạn) hoặc choice (theo lựa chọn).",
				"Use recipient (the recipient cannot take it electronically), outage (the system is down) or choice.")
	}
	if in.Others, err = registry.CleanLine("Nơi nhận khác", "Other recipients", in.Others, maxOthers); err != nil {
		return t, err
	}
	if in.Note, err = registry.CleanLine("Ghi chú", "The note", in.Note, maxNote); err != nil {
		return t, err
	}
	if len(in.Recipients) == 0 && in.Others == "" {
		return t, fail(KindInvalid, "Chưa có nơi nhận.", "No recipient is given.")
	}
	if len(in.Recipients) > maxRecipients {
		return t, failf(KindTooLarge, "Có %d nơi nhận, tối đa %d.", "There are %d recipients; at most %d.", len(in.Recipients), maxRecipients)
	}
	return t, nil
}

// unable orders the recipients and gives those to which no way leads by the
// registry.
func (s *Service) unable(ctx context.Context, from registry.AgencyID, in *PaperInput, now time.Time) ([]registry.AgencyID, error) {
	out := make([]registry.AgencyID, 0, len(in.Recipients))
	list := make([]registry.AgencyID, 0, len(in.Recipients))
	for _, raw := range in.Recipients {
		id, err := registry.ParseAgencyID(string(raw))
		if err != nil {
			return nil, err
		}
		a, err := s.reg.Agency(ctx, id)
		switch {
		case KindOf(err) == KindNotFound:
			return nil, failf(KindInvalid, "Nơi nhận %q không có trong danh bạ.", "The recipient %q is unknown.", string(id)).
				Advise("Ghi nơi nhận không có mã vào phần nơi nhận khác.", "Put recipients without a code among the others.").Because(err)
		case err != nil:
			return nil, err
		case a.ID == from:
			return nil, fail(KindInvalid, "Không thể gửi văn bản cho chính cơ quan ban hành.", "A document cannot be sent to its own agency.")
		}
		list = append(list, a.ID)
		if !s.reachable(a) || !a.ActiveAt(now) {
			out = append(out, a.ID)
		}
	}
	slices.Sort(list)
	slices.Sort(out)
	in.Recipients = slices.Compact(list)
	return slices.Compact(out), nil
}

// AlsoOnPaper records that a document that is sent electronically goes on paper
// too (QĐ 28/2018 Điều 7.2); doing so twice changes nothing. Clerk; the document
// must have a number.
func (s *Service) AlsoOnPaper(ctx context.Context, by registry.Actor, id DocumentID, note string) error {
	if err := allowed(by, ActSend); err != nil {
		return err
	}
	note, err := registry.CleanLine("Ghi chú", "The note", note, maxNote)
	if err != nil {
		return err
	}
	now := s.clock()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, err := s.ownDocument(ctx, tx, by, id)
		if err != nil {
			return err
		}
		if d.Number == 0 || d.State == StateCancelled || d.State == StatePaper {
			return fail(KindConflict, "Chỉ ghi bản giấy kèm theo cho văn bản điện tử đã có số.", "A paper copy is recorded only for an electronic document with a number.")
		}
		added, err := insertPaper(ctx, tx, string(id), d.Agency, paperAlso, &PaperInput{Note: note}, false, now, by.Tag())
		if err != nil || !added {
			return err
		}
		f := s.facts(by)
		f["code"], f["note"] = d.Code(), note
		return s.evidence(ctx, tx, "document.paper-copy", string(id), now, by, f)
	})
	return storageError("recording a paper copy", err)
}

// CountSecret records that the actor's agency issued a secret document today: it
// goes by the rules for secrets, outside of the exchange (QĐ 28/2018 Điều 1.2),
// takes no number of its series, and nothing of it is kept but that it was, so
// that the reports can say how many stand outside. Clerk.
func (s *Service) CountSecret(ctx context.Context, by registry.Actor) error {
	if err := allowed(by, ActNumber); err != nil {
		return err
	}
	now := s.clock()
	if _, err := s.party(ctx, by.Agency, now, "ban hành", "issuing"); err != nil {
		return err
	}
	id := newID()
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := insertPaper(ctx, tx, id, by.Agency, paperSecret, &PaperInput{}, true, now, by.Tag()); err != nil {
			return err
		}
		f := s.facts(by)
		f["issued"] = pinnedTime(dateOf(now))
		return s.evidence(ctx, tx, "document.secret", id, now, by, f)
	})
	return storageError("counting a secret document", err)
}
