package exchange

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// ChannelAxis marks an agency whose own software fetches from this hub over the API of the national axis.
const ChannelAxis = "axis"

// Consignment is one document on its way to one recipient that another system serves.
type Consignment struct {
	Delivery DeliveryID
	Envelope Envelope
	// Taken records that the channel has the document. The exchange calls it after CarryDocument; a channel that gets the
	// recipient's answer in the same breath calls it before it hands the answer over.
	Taken func(ctx context.Context) error
}

// Carrier is a channel to agencies that this hub does not serve itself. Carrying is at least once: the same consignment
// or receipt may come again and must then change nothing.
type Carrier interface {
	// CarryDocument returns when the channel has the document durably. The recipient need not have it yet.
	CarryDocument(ctx context.Context, c Consignment) error
	// CarryReceipt hands a signed status back to the agency that sent the document which the envelope describes.
	CarryReceipt(ctx context.Context, r *Receipt, about Envelope) error
	// CarryNotice asks the recipient what the sender asks of a document that it was sent: recall, update, replace.
	CarryNotice(ctx context.Context, n *Notice, about Envelope) error
}

// AddCarrier takes on a channel. Call it before the queue starts.
func (s *Service) AddCarrier(channel string, c Carrier) {
	if s.carriers == nil {
		s.carriers = map[string]Carrier{}
	}
	s.carriers[channel] = c
}

// carrier gives the channel of an agency, nil for one that this hub serves itself.
func (s *Service) carrier(ctx context.Context, id registry.AgencyID) (channel string, c Carrier) {
	if len(s.carriers) == 0 {
		return registry.ChannelLocal, nil
	}
	a, err := s.reg.Agency(ctx, id)
	if err != nil {
		return registry.ChannelLocal, nil // whoever asks next meets the error where it is told
	}
	return a.Channel, s.carriers[a.Channel]
}

// reachable tells whether there is a way to an agency.
func (s *Service) reachable(a *registry.Agency) bool {
	return a.Channel == registry.ChannelLocal || s.carriers[a.Channel] != nil
}

// carryAgain is when a consignment is carried again that its channel has, but that nobody has fetched or answered.
const carryAgain = 24 * time.Hour

// carry hands a batch of one recipient to its channel, one by one and in order.
func (s *Service) carry(ctx context.Context, channel string, c Carrier, batch []waiting) error {
	for i := range batch {
		w := &batch[i]
		taken := func(ctx context.Context) error { return s.carried(ctx, channel, w) }
		err := c.CarryDocument(ctx, Consignment{Delivery: w.ID, Envelope: w.document.envelope(w.Recipient), Taken: taken})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if err := s.undelivered(ctx, w, err); err != nil {
				return err
			}
			continue
		}
		if err := taken(ctx); err != nil {
			return err
		}
	}
	return nil
}

// carried records that a channel has a consignment, once.
func (s *Service) carried(ctx context.Context, channel string, w *waiting) error {
	now := s.clock()
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		first, err := markCarried(ctx, tx, w.ID, w.Recipient, channel, now.Add(carryAgain), now)
		if err != nil || !first {
			return err
		}
		f := facts{"agency": string(w.document.Agency), "recipient": string(w.Recipient), "channel": channel, "digest": string(w.document.PDF.Digest)}
		if err := addAddressed(ctx, tx, f, w.Document, w.Recipient); err != nil {
			return err
		}
		return s.evidence(ctx, tx, "delivery.carried", string(w.Document), now, registry.System("deliveries"), f)
	})
	if err != nil {
		return fmt.Errorf("recording a consignment: %w", err)
	}
	return nil
}

// carryNotice hands a request to the channel of its recipient, whose answer comes back as a status.
func (s *Service) carryNotice(ctx context.Context, c Carrier, n *Notice) error {
	var about Envelope
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, err := selectDocument(ctx, tx, n.Document)
		if err == nil && d == nil {
			err = fmt.Errorf("request %s: its document %s is not there", n.Request, n.Document)
		}
		if err == nil {
			about = d.envelope(n.To)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := c.CarryNotice(ctx, n, about); err != nil {
		return err
	}
	asked := RequestCopy{Recipient: n.To, Kind: n.Kind, Fate: FateAsked, At: s.clock()}
	return s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.settle(ctx, tx, n.Request, asked) })
}

// Fetched records in the channel's own transaction that the recipient's system has taken a document of this hub, named
// by its axis id. A repeat changes nothing.
func (s *Service) Fetched(ctx context.Context, tx *sqldb.Tx, sender registry.AgencyID, axis string, recipient registry.AgencyID) error {
	return s.settleCarried(ctx, tx, sender, axis, recipient, TransportDone, "")
}

// NotTaken records in the channel's own transaction that the recipient's system has given a document back.
func (s *Service) NotTaken(ctx context.Context, tx *sqldb.Tx, sender registry.AgencyID, axis string, recipient registry.AgencyID, reason string) error {
	return s.settleCarried(ctx, tx, sender, axis, recipient, TransportFail, reason)
}

// MailReport is what a mail system or program said of a document sent by mail (RFC 3464, RFC 8098).
type MailReport struct {
	Sender, Recipient registry.AgencyID
	Axis              string // the document, by its identifier on the axis
	Kind              string // failed, delayed, delivered, displayed, …
	Address           string // to which it was sent
	Detail            string // the words of the other side
}

// Reported keeps a mail report as evidence in the channel's own transaction. It changes no status: a report is not the
// recipient's word.
func (s *Service) Reported(ctx context.Context, tx *sqldb.Tx, m MailReport) error {
	d, err := selectDeliveryByAxis(ctx, tx, m.Sender, m.Axis, m.Recipient)
	if err != nil || d == nil {
		return err
	}
	f := facts{"agency": string(m.Sender), "recipient": string(d.Recipient), "report": m.Kind, "address": m.Address}
	if err := addAddressed(ctx, tx, f, d.Document, d.Recipient); err != nil {
		return err
	}
	if m.Detail != "" {
		f["detail"] = m.Detail
	}
	return s.evidence(ctx, tx, "delivery.reported", string(d.Document), s.clock(), registry.System("mail"), f)
}

// settleCarried ends a delivery as its channel says. What becomes of the copy of an agency that has ended says nothing of
// the one that goes to its successor: only the successor's own ends the delivery.
func (s *Service) settleCarried(ctx context.Context, tx *sqldb.Tx, sender registry.AgencyID, axis string, recipient registry.AgencyID, transport, reason string) error {
	d, err := selectDeliveryByAxis(ctx, tx, sender, axis, recipient)
	if err != nil || d == nil || d.Recipient != recipient || d.Transport == TransportDone || d.Transport == TransportWithdrawn || d.Transport == transport {
		return err
	}
	now := s.clock()
	kind, failure, f := "delivery.fetched", "", facts{"agency": string(sender), "recipient": string(d.Recipient)}
	if transport == TransportFail {
		kind, failure = "delivery.failed", failOther
		f["attempts"], f["reason"], f["error"], f["failure"] = strconv.Itoa(d.Attempts+1), reason, reason, failure
	}
	if err := settleDelivery(ctx, tx, d.ID, transport, reason, failure, now); err != nil {
		return err
	}
	if err := addAddressed(ctx, tx, f, d.Document, d.Recipient); err != nil {
		return err
	}
	return s.evidence(ctx, tx, kind, string(d.Document), now, registry.System("deliveries"), f)
}

// ForeignStatus is a status that came over a channel whose statuses bear no signature of ours to check.
type ForeignStatus struct {
	Axis      string            // the document, by its identifier on the axis
	Sender    registry.AgencyID // who sent the document: an agency of this hub
	Recipient registry.AgencyID // who says the status
	Status    Status
	Note      string
	Channel   string
	Digest    blob.Digest // of what carried it
}

// ForeignStatus gives a delivery the status that its recipient says. A repeat, a step back and a status after the end
// change nothing; a status of a document that was never sent there is KindNotFound.
func (s *Service) ForeignStatus(ctx context.Context, said ForeignStatus) error {
	if !slices.Contains(Statuses(), said.Status) || said.Status == StatusRecall {
		return failf(KindInvalid, "Không có trạng thái %q.", "There is no status %q.", string(said.Status))
	}
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, err := selectDeliveryByAxis(ctx, tx, said.Sender, said.Axis, said.Recipient)
		if err != nil {
			return err
		}
		if d == nil {
			return failf(KindNotFound, "%s chưa gửi văn bản %q cho %s.", "%s sent no document %q to %s.", string(said.Sender), said.Axis, string(said.Recipient))
		}
		if !follows(d.Status, said.Status) {
			return nil
		}
		if d.Recipient != said.Recipient && d.Status != StatusNone && said.Status == StatusRefused {
			return nil // the old address gives back what has arrived at the successor
		}
		now := s.clock()
		r := &Receipt{Document: d.Document, From: d.Recipient, To: said.Sender, Status: said.Status, Note: said.Note, At: now}
		if r.step, err = nextStep(ctx, tx, d.ID); err != nil {
			return err
		}
		r.ID = said.Channel + ":" + string(said.Digest)
		// Nobody of ours signed it: the body, whose digest the evidence keeps, names the packet that said so.
		r.Body = canonical(receiptBody{At: now.Format(time.RFC3339Nano), Digest: said.Digest, Document: d.Document, From: d.Recipient, ID: r.ID,
			Note: said.Note, Status: said.Status, Step: r.step, To: said.Sender, V: 1})
		if err := s.acceptReceipt(ctx, tx, r, now); err != nil {
			return err
		}
		return s.foreignAnswer(ctx, tx, d, r)
	})
	return storageError("taking a status", err)
}

// foreignAnswer takes 15 and 16 as the answer to what was last asked of the recipient.
func (s *Service) foreignAnswer(ctx context.Context, tx *sqldb.Tx, d *Delivery, r *Receipt) error {
	c := RequestCopy{Recipient: r.From, At: r.At, Note: r.Note, Fate: FateAgreed}
	switch r.Status {
	case StatusRecallAgreed:
	case StatusRecallDenied:
		c.Fate = FateDeclined
	default:
		return nil
	}
	asked, err := selectAsked(ctx, tx, d.Document, r.From)
	if err != nil || asked == "" {
		return err
	}
	return s.settle(ctx, tx, asked, c)
}

// follows tells whether a status may come after another: 02 only at the door, then forward only, nothing after an end;
// an answer to a recall any time before it.
func follows(was, now Status) bool {
	switch {
	case was.Final() || was == now:
		return false
	case now == StatusRefused:
		return was == StatusNone || was == StatusArrived
	case now == StatusRecallAgreed || now == StatusRecallDenied:
		return true
	case was == StatusRecall || was == StatusRecallDenied:
		return true
	}
	return now > was
}
