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

// clean checks and normalises changes.
func (c *Changes) clean() error {
	if c.Subject != nil {
		s, err := registry.CleanLine("Trích yếu", "The subject", *c.Subject, maxSubject)
		if err != nil {
			return err
		}
		if s == "" {
			return fail(KindInvalid, "Thiếu: Trích yếu.", "The subject is missing.")
		}
		c.Subject = &s
	}
	if c.Priority != nil && (*c.Priority < PriorityNormal || *c.Priority > PriorityTimed) {
		return failf(KindInvalid, "Độ khẩn %d không có; dùng 0 đến 4.", "There is no urgency %d; use 0 to 4.", *c.Priority)
	}
	return nil
}

// apply sets what changes on a copy or a document, and says so in f.
func (c *Changes) apply(subject *string, priority *Priority, due *time.Time, f facts) {
	if c.Subject != nil {
		*subject, f["subject"] = *c.Subject, *c.Subject
	}
	if c.Priority != nil {
		*priority, f["priority"] = *c.Priority, strconv.Itoa(int(*c.Priority))
	}
	if c.Due != nil {
		*due = time.Time{}
		if !c.Due.IsZero() {
			*due = c.Due.UTC().Truncate(time.Microsecond)
		}
		f["due"] = pinnedTime(*due)
	}
}

// UpdateInput is an update of a document that was sent: its data, its
// recipients, or both.
type UpdateInput struct {
	Changes
	Add    []registry.AgencyID `json:"add,omitempty"`    // new recipients
	Remove []registry.AgencyID `json:"remove,omitempty"` // their copies are recalled
	Reason string              `json:"reason"`
}

// Update changes what was said about a document that is sent, or to whom it goes
// (cập nhật): one transaction with the new deliveries, the recalls of removed
// recipients and the notices to the others. Copies that nobody has opened take
// it over by rule; elsewhere the clerk agrees or declines, and a removed
// recipient that declines stays one. Clerk. The signed file never changes.
func (s *Service) Update(ctx context.Context, by registry.Actor, id DocumentID, in UpdateInput) (*Request, error) {
	reason, err := needReason(by, in.Reason)
	if err != nil {
		return nil, err
	}
	if in.empty() && len(in.Add) == 0 && len(in.Remove) == 0 {
		return nil, fail(KindInvalid, "Không có gì để cập nhật.", "There is nothing to update.")
	}
	if err := in.clean(); err != nil {
		return nil, err
	}
	now := s.clock()
	var added []registry.AgencyID
	if len(in.Add) > 0 {
		if added, err = s.recipients(ctx, by.Agency, in.Add, now); err != nil {
			return nil, err
		}
	}
	r := &Request{ID: RequestID(newID()), Document: id, Kind: RequestUpdate, Reason: reason, AskedBy: by.FullName(), At: now}
	if !in.empty() {
		r.Changes = &in.Changes
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, list, err := s.requestable(ctx, tx, by, id)
		if err != nil {
			return err
		}
		r.Agency, r.Copies = d.Agency, nil
		if err := s.updateCopies(r, list, &in, added); err != nil {
			return err
		}
		if err := s.updateOwn(ctx, tx, by, d, r, added); err != nil {
			return err
		}
		return s.ask(ctx, tx, by, d, r)
	})
	if err != nil {
		return nil, storageError("updating a document that is sent", err)
	}
	return r, nil
}

// updateCopies puts the copies that an update touches into the request.
func (s *Service) updateCopies(r *Request, list []Delivery, in *UpdateInput, added []registry.AgencyID) error {
	for _, a := range added {
		if slices.ContainsFunc(list, func(v Delivery) bool { return v.Recipient == a }) {
			return failf(KindConflict, "%q đã là nơi nhận của văn bản này.", "%q is a recipient of this document already.", string(a))
		}
	}
	if len(list)+len(added) > maxRecipients {
		return failf(KindTooLarge, "Văn bản sẽ có %d nơi nhận, tối đa %d.", "The document would have %d recipients; at most %d.", len(list)+len(added), maxRecipients)
	}
	removed, err := choose(list, append([]registry.AgencyID{}, in.Remove...))
	if err != nil {
		return err
	}
	for _, v := range removed {
		r.add(v, RequestRecall)
	}
	if r.Changes == nil {
		return nil
	}
	for _, v := range list {
		if !slices.ContainsFunc(removed, func(w Delivery) bool { return w.Recipient == v.Recipient }) {
			r.add(v, RequestUpdate)
		}
	}
	return nil
}

// updateOwn writes what an update changes on the sender's side, with new
// deliveries, and pins it in the evidence.
func (s *Service) updateOwn(ctx context.Context, tx *sqldb.Tx, by registry.Actor, d *Document, r *Request, added []registry.AgencyID) error {
	f := s.facts(by)
	f["request"], f["note"], f["added"] = string(r.ID), r.Reason, strconv.Itoa(len(added))
	if r.Changes != nil {
		r.Changes.apply(&d.Subject, &d.Priority, &d.Due, f)
	}
	was := d.version
	d.Updated = r.At
	if err := updateDocument(ctx, tx, d, was); err != nil {
		return err
	}
	if err := describeDocument(ctx, tx, d); err != nil {
		return err
	}
	if len(added) > 0 {
		names := make([]string, len(added))
		for i, a := range added {
			names[i] = string(a)
		}
		f["recipients"] = strings.Join(names, ",")
		if err := s.enqueue(ctx, tx, d, added, make([]Delivery, len(added)), r.At); err != nil {
			return err
		}
	}
	return s.evidence(ctx, tx, "document.updated", string(d.ID), r.At, by, f)
}

// enqueue writes a delivery per recipient and the jobs that carry them.
// Recipients are in code order, so that two senders take the lanes' counters in
// the same order.
func (s *Service) enqueue(ctx context.Context, tx *sqldb.Tx, d *Document, to []registry.AgencyID, list []Delivery, at time.Time) error {
	if err := s.stillThere(ctx, tx, d, to); err != nil {
		return err
	}
	for i, r := range to {
		seq, err := nextNumber(ctx, tx, r, seriesLane, 0)
		if err != nil {
			return err
		}
		list[i] = Delivery{ID: DeliveryID(newID()), Document: d.ID, Recipient: r, Seq: int64(seq), Channel: registry.ChannelLocal,
			Transport: TransportInitial, Created: at, Updated: at}
	}
	if err := insertDeliveries(ctx, tx, d.Agency, list); err != nil {
		return err
	}
	for _, r := range to {
		if err := s.jobs.Add(ctx, tx, jobDeliver, lane{r}, jobs.AddOptions{Lane: string(r)}); err != nil {
			return err
		}
	}
	return s.watchAt(ctx, tx, at.Add(overdueAfter))
}

// Replace sends a sealed document in the place of one that was sent (thay thế):
// the new one goes to the recipients (nil = those of the old one), the copies of
// the old one are asked back as in a recall, all in one transaction. A document
// that has been replaced is not replaced again; its replacement is. Clerk.
func (s *Service) Replace(ctx context.Context, by registry.Actor, old, replacement DocumentID, to []registry.AgencyID, reason string) (*Request, error) {
	reason, err := needReason(by, reason)
	if err != nil {
		return nil, err
	}
	if to == nil {
		if to, err = s.keepers(ctx, by, old); err != nil {
			return nil, err
		}
	}
	now := s.clock()
	if to, err = s.recipients(ctx, by.Agency, to, now); err != nil {
		return nil, err
	}
	r := &Request{ID: RequestID(newID()), Document: old, Kind: RequestReplace, Reason: reason, Replacement: replacement, AskedBy: by.FullName(), At: now}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, list, err := s.requestable(ctx, tx, by, old)
		if err != nil {
			return err
		}
		if err := s.replaceable(ctx, tx, d, replacement); err != nil {
			return err
		}
		r.Agency, r.Copies = d.Agency, nil
		for _, v := range list {
			r.add(v, RequestReplace)
		}
		if _, _, err := s.sendIn(ctx, tx, by, replacement, to, now); err != nil {
			return err
		}
		return s.ask(ctx, tx, by, d, r)
	})
	if err != nil {
		return nil, storageError("replacing a document", err)
	}
	return r, nil
}

// keepers gives the recipients of a document whose copies were not taken back.
func (s *Service) keepers(ctx context.Context, by registry.Actor, id DocumentID) (to []registry.AgencyID, err error) {
	list, err := s.Deliveries(ctx, by, id)
	for _, v := range list {
		if v.Transport != TransportWithdrawn && v.Status != StatusRecallAgreed {
			to = append(to, v.Recipient)
		}
	}
	return to, err
}

// replaceable refuses circles and second replacements.
func (s *Service) replaceable(ctx context.Context, tx *sqldb.Tx, d *Document, replacement DocumentID) error {
	if replacement == d.ID {
		return fail(KindInvalid, "Văn bản không thể thay thế chính nó.", "A document cannot take its own place.")
	}
	earlier, err := selectRequests(ctx, tx, d.ID)
	if err != nil {
		return err
	}
	for _, r := range earlier {
		if r.Kind == RequestReplace && slices.ContainsFunc(r.Copies, func(c RequestCopy) bool { return c.Fate.back() }) {
			return fail(KindConflict, "Văn bản này đã được thay thế.", "This document has been replaced already.").
				Advise("Thay thế văn bản mới nhất trong chuỗi.", "Replace the newest document of the chain.")
		}
	}
	return nil
}
