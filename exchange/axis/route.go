package axis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange"
	"vanthu/exchange/edxml"
	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// jobRoute hands what systems sent to an agency of this hub over to the exchange; its lane is the agency.
const jobRoute jobs.Kind = "axis.route"

type routeArgs struct {
	Agency registry.AgencyID `json:"agency"`
}

const routeBatch = 32

// runRoute takes what waits for an agency in order. A packet that cannot be taken ends as failed with its reason; one
// that cannot be taken now is left for the next run and does not hold up the others.
func (s *Server) runRoute(ctx context.Context, raw json.RawMessage) error {
	var args routeArgs
	if err := json.Unmarshal(raw, &args); err != nil {
		return jobs.Cancel(fmt.Errorf("axis lane: %w", err))
	}
	var list []transfer
	err := s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = selectOpen(ctx, tx, args.Agency, routeBatch)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading packets to route: %w", err)
	}
	var later []error
	for i := range list {
		if err := s.route(ctx, &list[i]); err != nil {
			later = append(later, fmt.Errorf("packet %s: %w", list[i].packet.id, err))
		}
	}
	switch {
	case len(later) > 0:
		return errors.Join(later...)
	case len(list) == routeBatch:
		return jobs.Snooze(0)
	}
	return nil
}

// route hands one packet over; an error is one that may pass.
func (s *Server) route(ctx context.Context, t *transfer) error {
	err := s.handOver(ctx, t)
	status, said := statusDone, statusDone
	var refusal *registry.Error
	switch {
	case errors.As(err, &refusal) && permanent(refusal.Kind):
		status, said = statusFail, refusal.Message
	case edxml.AsRefusal(err) != nil, errors.Is(err, errNoPDF):
		status, said = statusFail, err.Error()
	case err != nil:
		return err
	}
	if status == statusFail {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "axis packet not taken", slog.String("packet", t.packet.id), slog.String("recipient", string(t.recipient)),
			slog.String("error", err.Error()))
		if err := s.sendBack(ctx, t, said); err != nil {
			return err
		}
	}
	return s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := setStatus(ctx, tx, t.id, status, said, s.cfg.Now())
		return err
	})
}

func permanent(k registry.Kind) bool {
	return k == exchange.KindInvalid || k == exchange.KindForbidden || k == exchange.KindConflict || k == exchange.KindNotFound || k == exchange.KindTooLarge
}

func (s *Server) handOver(ctx context.Context, t *transfer) (err error) {
	in, _, err := s.cfg.Blobs.Open(ctx, t.ref.Digest)
	if err != nil {
		return err
	}
	limits := edxml.DefaultLimits()
	limits.Packet, limits.Attachment, limits.Dir = s.cfg.MaxPacket, s.cfg.MaxPacket, s.cfg.Dir
	content, err := edxml.Decode(in, limits)
	if err = errors.Join(err, in.Close()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	if content.Kind == edxml.KindStatus {
		said := content.Status
		if exchange.Status(said.Code) == exchange.StatusRecall {
			return s.ask(ctx, t, exchange.RequestRecall, string(said.ResponseFor.DocumentID), string(said.Description), nil)
		}
		return s.cfg.Service.ForeignStatus(ctx, exchange.ForeignStatus{Axis: string(said.ResponseFor.DocumentID), Sender: t.recipient, Recipient: t.sender,
			Status: exchange.Status(said.Code), Note: clip(string(said.Description), 500), Channel: exchange.ChannelAxis, Digest: t.ref.Digest})
	}
	return s.business(ctx, t, content)
}

// business does what a document packet is for.
func (s *Server) business(ctx context.Context, t *transfer, content *edxml.Packet) error {
	b := content.Business
	if b == nil {
		b = &edxml.Business{DocType: edxml.BusinessNew} // real answers leave it out
	}
	switch b.DocType {
	case edxml.BusinessRecall:
		return s.ask(ctx, t, exchange.RequestRecall, named(b, content), string(b.Reason), nil)
	case edxml.BusinessUpdate:
		return s.update(ctx, t, content, b)
	case edxml.BusinessReplace:
		if err := s.receive(ctx, t, content); err != nil {
			return err
		}
		for _, r := range b.Replacements {
			if len(r.OrganIDs) > 0 && !s.concerns(ctx, r.OrganIDs, t.recipient) {
				continue
			}
			if err := s.ask(ctx, t, exchange.RequestReplace, string(r.DocumentID), string(b.Reason), nil); err != nil {
				return err
			}
		}
		return nil
	case edxml.BusinessNew, "":
		return s.receive(ctx, t, content)
	}
	return registry.NewError(registry.KindInvalid, "Không có nghiệp vụ "+string(b.DocType)+".", "There is no business type "+string(b.DocType)+".")
}

// named gives the document that a recall or update is about: some systems name it in the header only.
func named(b *edxml.Business, content *edxml.Packet) string {
	if b.DocumentID != "" {
		return string(b.DocumentID)
	}
	return string(content.Header.DocumentID)
}

func (s *Server) concerns(ctx context.Context, codes []edxml.Text, recipient registry.AgencyID) bool {
	for _, code := range codes {
		if a, err := s.known(ctx, string(code)); err == nil && a != nil && a.ID == recipient {
			return true
		}
	}
	return false
}

// update changes the data of a document that is here, takes it back from a recipient that is removed, and brings it to
// one that is added. A changed file is another document that takes the old one's place.
func (s *Server) update(ctx context.Context, t *transfer, content *edxml.Packet, b *edxml.Business) error {
	for _, c := range b.Changes {
		for _, to := range c.Receivers {
			if to.Type == "0" && s.concerns(ctx, []edxml.Text{to.OrganID}, t.recipient) {
				return s.ask(ctx, t, exchange.RequestRecall, named(b, content), string(b.Reason), nil)
			}
		}
	}
	if pdfOf(content) != nil {
		err := s.receive(ctx, t, content)
		var conflict *registry.Error
		switch {
		case errors.As(err, &conflict) && conflict.Kind == exchange.KindConflict: // another file under the same id
			content.Header.DocumentID += edxml.Text("#" + string(t.ref.Digest)[:16])
			if err := s.receive(ctx, t, content); err != nil {
				return err
			}
			return s.ask(ctx, t, exchange.RequestReplace, named(b, content), string(b.Reason), nil)
		case err != nil:
			return err
		}
	}
	h := content.Header
	subject, priority := clip(string(h.Subject), 500), exchange.Priority(h.Other.Priority)
	changes := &exchange.Changes{Subject: &subject, Priority: &priority}
	if due, err := time.ParseInLocation(packetDate, string(h.Due), vietnam()); err == nil {
		changes.Due = &due
	}
	return s.ask(ctx, t, exchange.RequestUpdate, named(b, content), string(b.Reason), changes)
}

// ask puts a sender's request before the recipient, once for each packet. What became of the copy at once is told by a
// status packet; a clerk's later answer comes as a receipt.
func (s *Server) ask(ctx context.Context, t *transfer, kind exchange.RequestKind, axis, reason string, changes *exchange.Changes) error {
	n := exchange.Notice{
		Request: exchange.RequestID(uuid.NewSHA1(uuid.NameSpaceOID, []byte(string(t.ref.Digest)+"\n"+axis)).String()),
		To:      t.recipient, From: t.sender, Document: documentID(t.sender, &edxml.MessageHeader{DocumentID: edxml.Text(axis)}),
		Kind: kind, Reason: clip(reason, 500), Changes: changes, At: t.packet.created,
	}
	_, err := s.cfg.Service.ReceiveNotice(ctx, t.sender, n)
	return err
}

// receive puts a document into the recipient's register and sends its first receipt back as a status packet.
func (s *Server) receive(ctx context.Context, t *transfer, content *edxml.Packet) error {
	file := pdfOf(content)
	if file == nil {
		return errNoPDF
	}
	pdf, err := file.Open()
	if err != nil {
		return fmt.Errorf("opening the packet's PDF: %w", err)
	}
	ref, err := s.cfg.Blobs.Put(ctx, pdf)
	if err = errors.Join(err, pdf.Close()); err != nil {
		return fmt.Errorf("keeping the packet's PDF: %w", err)
	}
	env := envelopeOf(t.sender, t.recipient, content, ref, t.packet.created)
	receipt, err := s.cfg.Service.ReceiveStoredBy(ctx, t.sender, exchange.ArrivedAxis, "", env, ref)
	if err != nil {
		return err
	}
	return s.CarryReceipt(ctx, receipt, env)
}

// sendBack tells the sender's system by status 02 that a packet was not taken, and why (NĐ 30/2020 Điều 21.2.b). A
// status that was not taken is not answered: answers to answers would never end.
func (s *Server) sendBack(ctx context.Context, t *transfer, reason string) error {
	if t.kind == edxml.KindStatus {
		return nil
	}
	from, err := s.organ(ctx, t.recipient)
	if err != nil {
		return err
	}
	content := &edxml.Packet{Kind: edxml.KindStatus, Status: &edxml.Status{From: from, Code: edxml.Text(exchange.StatusRefused),
		Description: edxml.Text(clip(exchange.StatusRefused.In("vi")+": "+reason, 500)), Timestamp: edxml.Text(t.packet.created.In(vietnam()).Format(packetTime)),
		ResponseFor: edxml.ResponseFor{OrganID: edxml.Text(t.sender), Code: edxml.Text(t.notation), DocumentID: edxml.Text(t.document)}}}
	return s.put(ctx, content, &packet{sender: t.recipient, document: t.document, notation: t.notation}, t.sender)
}
