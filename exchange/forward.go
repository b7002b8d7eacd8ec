package exchange

import (
	"context"
	"slices"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// ArrivedForward is the channel of what another agency forwarded.
const ArrivedForward = "forward"

// maxForwards bounds the recipients of one forwarding, maxChain its steps.
const (
	maxForwards = 500
	maxChain    = 16
)

// Forward is one forwarding of an incoming document to another agency (chuyển tiếp).
type Forward struct {
	ID        string            `json:"id"`
	Incoming  IncomingID        `json:"incoming"` // at the agency that forwards
	Agency    registry.AgencyID `json:"agency"`
	Recipient registry.AgencyID `json:"recipient"`
	From      registry.AgencyID `json:"from"` // the document's own sender
	Document  DocumentID        `json:"document"`
	Person    string            `json:"person"` // who forwarded, by name
	At        time.Time         `json:"at"`
	Note      string            `json:"note,omitempty"`
	Status    Status            `json:"status"` // at Recipient
	Updated   time.Time         `json:"updated"`

	target IncomingID
	step   int64
}

// ForwardTo hands a registered document on to other agencies of this hub (clerk).
// Each gets an entry of its own with the same bytes, the document's own sender, the
// verdict of the first reception and who forwarded it with which words. The sender
// is told nothing of it: the statuses of these entries go to the agency that
// forwarded, and the sender's rate counts the deliveries that the sender made. An
// agency that has the document already gets one arrival more on its entry.
func (s *Service) ForwardTo(ctx context.Context, by registry.Actor, id IncomingID, to []registry.AgencyID, note string) ([]Forward, error) {
	if err := allowed(by, ActForward); err != nil {
		return nil, err
	}
	note, err := registry.CleanLine("Ý kiến chuyển", "The note", note, maxNote)
	if err != nil {
		return nil, err
	}
	now := s.clock()
	recipients, err := s.forwardRecipients(ctx, to, now)
	if err != nil {
		return nil, err
	}
	var out []Forward
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out = nil
		in, err := s.ownIncoming(ctx, tx, by, id)
		if err != nil {
			return err
		}
		if in.ArrivalNumber == 0 || in.Merged != "" || in.Status == StatusRefused || in.Status == StatusRecall || in.Status == StatusRecallAgreed {
			return in.cannot()
		}
		if in.Report, err = selectIncomingReport(ctx, tx, id); err != nil {
			return err
		}
		arrivals, err := selectArrivals(ctx, tx, id)
		if err != nil || len(arrivals) == 0 {
			return err
		}
		in.envelope = arrivals[0].Envelope
		for _, r := range recipients {
			f, err := s.forwardOne(ctx, tx, by, in, r, note, now)
			if err != nil {
				return err
			}
			out = append(out, *f)
		}
		names := make([]string, len(recipients))
		for i, r := range recipients {
			names[i] = string(r)
		}
		f := s.facts(by)
		f["code"], f["recipients"] = in.Code, strings.Join(names, ",")
		if note != "" {
			f["note"] = note
		}
		return s.evidence(ctx, tx, "work.forwarded", string(in.ID), now, by, f)
	})
	if err != nil {
		return nil, storageError("forwarding", err)
	}
	return out, nil
}

// forwardRecipients checks to whom a document may be handed on.
func (s *Service) forwardRecipients(ctx context.Context, to []registry.AgencyID, now time.Time) ([]registry.AgencyID, error) {
	if len(to) == 0 || len(to) > maxForwards {
		return nil, failf(KindInvalid, "Chọn từ 1 đến %d nơi nhận chuyển tiếp.", "Choose 1 to %d agencies to forward to.", maxForwards)
	}
	var out []registry.AgencyID
	for _, raw := range to {
		found, err := s.reg.Resolve(ctx, string(raw), now)
		if err != nil {
			return nil, err
		}
		a := &found.Agency
		if a.Channel != registry.ChannelLocal {
			return nil, failf(KindInvalid, "%s (%s) không ở hệ thống này; chưa chuyển cho ai.", "%s (%s) is not at this hub; nothing was forwarded.", a.Name, string(a.ID)).
				Advise("Gửi bằng văn bản đi có bản sao kèm theo.", "Send it with an outgoing document instead.")
		}
		if !slices.Contains(out, a.ID) {
			out = append(out, a.ID)
		}
	}
	return out, nil
}

// forwardOne hands the document to one agency.
func (s *Service) forwardOne(ctx context.Context, tx *sqldb.Tx, by registry.Actor, in *Incoming, to registry.AgencyID, note string, now time.Time) (*Forward, error) {
	if to == in.Agency || to == in.From {
		return nil, failf(KindInvalid, "Không chuyển tiếp cho chính cơ quan mình hoặc nơi đã gửi văn bản (%s).", "Not to the own agency, nor back to the sender (%s).", string(to))
	}
	f := &Forward{ID: newID(), Incoming: in.ID, Agency: in.Agency, Recipient: to, From: in.From, Document: in.Document, Person: by.FullName(), At: now, Note: note,
		Status: StatusArrived, Updated: now, step: 1}
	env := in.envelope
	env.To = to
	known, err := findEntry(ctx, tx, env)
	if err != nil {
		return nil, err
	}
	a := &arrival{env: env, channel: ArrivedForward, ref: f.ID, pdf: in.PDF}
	if known != nil {
		f.target = known.id
		there, err := selectIncoming(ctx, tx, known.id)
		if err != nil {
			return nil, err
		}
		f.Status, f.step = there.Status, there.version
		if err := s.addArrival(ctx, tx, known.id, a, now, false); err != nil {
			return nil, err
		}
	} else if f.target, err = s.forwardNew(ctx, tx, by, in, a, note, now); err != nil {
		return nil, err
	}
	added, err := insertForward(ctx, tx, f)
	if err == nil && !added {
		err = failf(KindConflict, "Văn bản đã được chuyển tiếp cho %s trước đây.", "The document was forwarded to %s before.", string(to))
	}
	return f, err
}

// forwardNew writes the entry at the recipient.
func (s *Service) forwardNew(ctx context.Context, tx *sqldb.Tx, by registry.Actor, in *Incoming, a *arrival, note string, now time.Time) (IncomingID, error) {
	there := &Incoming{ID: IncomingID(newID()), Agency: a.env.To, From: in.From, SenderName: in.SenderName, Document: in.Document, Code: in.Code, Type: in.Type,
		Subject: in.Subject, SignerName: in.SignerName, Issued: in.Issued, Priority: in.Priority, Due: in.Due, PDF: in.PDF, Verdict: in.Verdict, Report: in.Report,
		Status: StatusArrived, Received: now, Updated: now, Medium: in.Medium, Via: in.Agency, version: 1, envelope: a.env}
	if there.Report == nil {
		there.Report = &signing.Report{Verdict: in.Verdict}
	}
	added, err := insertIncoming(ctx, tx, there)
	if err != nil {
		return "", err
	}
	if !added {
		return "", failf(KindConflict, "Nơi nhận %s đã có văn bản này.", "%s has this document already.", string(a.env.To))
	}
	if err := s.addArrival(ctx, tx, there.ID, a, now, true); err != nil {
		return "", err
	}
	f := there.described()
	f["via"], f["forwarded_by"] = string(in.Agency), by.FullName()
	if note != "" {
		f["words"] = note
	}
	if err := s.evidence(ctx, tx, "incoming.received", string(there.ID), now, registry.System("reception"), f); err != nil {
		return "", err
	}
	if err := s.markAlike(ctx, tx, there, now); err != nil {
		return "", err
	}
	if s.cfg.Mail != nil {
		err = s.jobs.Add(ctx, tx, jobNotify, lane{there.Agency}, jobs.AddOptions{Lane: string(there.Agency)})
	}
	return there.ID, err
}

// tellForwarders gives the status of an entry to the agencies that forwarded it, and
// tells those it was forwarded to when its sender has it back.
func (s *Service) tellForwarders(ctx context.Context, tx *sqldb.Tx, in *Incoming, now time.Time) error {
	list, err := followForward(ctx, tx, in, now)
	if err != nil {
		return err
	}
	for i := range list {
		v := &list[i]
		f := facts{"agency": string(v.Agency), "recipient": string(v.Recipient), "status": string(in.Status)}
		if in.Note != "" {
			f["note"] = in.Note
		}
		if err := s.evidence(ctx, tx, "forward.status", string(v.Incoming), now, registry.System("forwarding"), f); err != nil {
			return err
		}
	}
	if in.Status != StatusRecallAgreed {
		return nil
	}
	if list, err = selectForwards(ctx, tx, `incoming`, in.ID); err != nil {
		return err
	}
	for i := range list {
		f := facts{"agency": string(list[i].Recipient), "via": string(in.Agency), "code": in.Code}
		if err := s.evidence(ctx, tx, "work.forward-recalled", string(list[i].target), now, registry.System("forwarding"), f); err != nil {
			return err
		}
	}
	return nil
}

// unheard tells whether the sender of an entry knows nothing of it: it was
// forwarded, and has not come from the sender itself since.
func (s *Service) unheard(ctx context.Context, tx *sqldb.Tx, in *Incoming) (bool, error) {
	if in.Via == "" {
		return false, nil
	}
	direct, err := hasDirectArrival(ctx, tx, in.ID)
	return !direct, err
}

// heard makes an entry that was forwarded to the agency one that its sender has
// delivered too: the sender gets the first receipt, and the status it stands at.
func (s *Service) heard(ctx context.Context, tx *sqldb.Tx, id IncomingID, first *Receipt, now time.Time) (*Receipt, error) {
	in, err := selectIncoming(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if err := insertReceipt(ctx, tx, first, id, 1, now); err != nil {
		return nil, err
	}
	if in.version > 1 {
		if in.succeeds, err = s.successor(ctx, tx, in.Agency, now); err != nil {
			return nil, err
		}
		err = s.tell(ctx, tx, in, now)
	}
	return first, err
}

// Forwards gives to whom a document of the actor's agency was forwarded, and where
// it stands there, oldest first.
func (s *Service) Forwards(ctx context.Context, by registry.Actor, id IncomingID) (out []Forward, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		out, err = selectForwards(ctx, tx, `incoming`, id)
		return err
	})
	return out, storageError("reading forwards", err)
}

// ForwardChain gives by whom a document came to the actor's agency, the first
// forwarding first; none = from its sender.
func (s *Service) ForwardChain(ctx context.Context, by registry.Actor, id IncomingID) (out []Forward, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		out = nil
		for at := id; len(out) < maxChain; {
			list, err := selectForwards(ctx, tx, `target`, at)
			if err != nil || len(list) == 0 {
				return err
			}
			out = append(out, list[0])
			at = list[0].Incoming
		}
		return nil
	})
	slices.Reverse(out)
	return out, storageError("reading the chain of forwards", err)
}
