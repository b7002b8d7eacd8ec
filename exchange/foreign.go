package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// ChannelHub marks an agency that another hub serves.
const ChannelHub = "hub"

// ForeignReceipt is a receipt that an agency of another hub signed, as that hub brought it.
type ForeignReceipt struct {
	Body        []byte // canonical JSON
	Signature   []byte // detached CMS over Body, DER
	Certificate string // fingerprint of the certificate by which the agency is known to sign receipts
	Hub         string // who brought it
}

// AcceptReceipt takes a receipt signed at another hub: the signature has to hold, by the certificate that is named, over
// a body about a document that an agency of this hub sent to the signer. It is kept as it came, and the delivery takes
// its status unless it has a later one. A repeat changes nothing. Errors: KindInvalid when it does not verify,
// KindNotFound when nothing of the kind was sent, KindConflict when another receipt has its place already.
func (s *Service) AcceptReceipt(ctx context.Context, f ForeignReceipt) (*Receipt, error) {
	r, err := foreignReceipt(f)
	if err != nil {
		return nil, err
	}
	if err := s.verifyReceipt(ctx, r, f.Certificate); err != nil {
		return nil, fail(KindInvalid, "Biên nhận không xác thực được.", "The receipt does not verify.").Because(err)
	}
	if a, err := s.reg.Agency(ctx, r.signer()); err == nil {
		r.fromName = a.Name // only for the evidence's text
	}
	now := s.clock()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, err := selectDocument(ctx, tx, r.Document)
		if err != nil {
			return err
		}
		var sentThere bool
		if d != nil && d.Agency == r.To {
			sentThere, err = hasDelivery(ctx, tx, r.Document, r.From)
		}
		if err != nil {
			return err
		}
		if !sentThere {
			return failf(KindNotFound, "%s chưa gửi văn bản %q cho %s.", "%s sent no document %q to %s.", string(r.To), string(r.Document), string(r.From))
		}
		if d.PDF.Digest != r.digest() {
			return fail(KindConflict, "Biên nhận nói về nội dung khác với văn bản đã gửi.", "The receipt is about other content than what was sent.")
		}
		known, err := insertForeignReceipt(ctx, tx, r, f, now)
		if err != nil || known == r.ID {
			return err
		}
		if known != "" {
			return failf(KindConflict, "Biên nhận %s trùng thứ tự với %s.", "The receipt %s has the place of %s.", r.ID, known)
		}
		return s.acceptReceipt(ctx, tx, r, now)
	})
	if err != nil {
		return nil, storageError("accepting a receipt", err)
	}
	return r, nil
}

// maxReceipt bounds a receipt's body in bytes.
const maxReceipt = 64 << 10

func foreignReceipt(f ForeignReceipt) (*Receipt, error) {
	var b receiptBody
	if len(f.Body) > maxReceipt || json.Unmarshal(f.Body, &b) != nil {
		return nil, fail(KindInvalid, "Biên nhận không đọc được.", "The receipt cannot be read.")
	}
	at, err := time.Parse(time.RFC3339Nano, b.At)
	if err != nil || !validID(b.ID) || !validID(string(b.Document)) || b.Step < 1 || !slices.Contains(Statuses(), b.Status) {
		return nil, fail(KindInvalid, "Biên nhận không hợp lệ.", "The receipt is not valid.").Because(err)
	}
	return &Receipt{ID: b.ID, Document: b.Document, From: b.From, To: b.To, Status: b.Status, Note: b.Note, ArrivalNumber: b.ArrivalNumber,
		At: at, Body: f.Body, Signature: f.Signature, Successor: b.Successor, step: b.Step}, nil
}

// digest is that of the PDF which the receipt is about, "" when it cannot be read.
func (r *Receipt) digest() blob.Digest {
	var b receiptBody
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return ""
	}
	return b.Digest
}

// ForeignAnswer takes what another hub says at once about a request of this hub (see Notice), where no signed receipt
// goes with it: the copy had been refused or finished before. Later answers are receipts.
func (s *Service) ForeignAnswer(ctx context.Context, id RequestID, recipient registry.AgencyID, fate Fate, note string) error {
	if fate != FateTooLate {
		return failf(KindInvalid, "Kết quả %q phải có biên nhận.", "The fate %q needs a receipt.", string(fate))
	}
	note, err := registry.CleanLine("Ghi chú", "The note", note, maxNote)
	if err != nil {
		return err
	}
	c := RequestCopy{Recipient: recipient, Kind: RequestRecall, Fate: fate, At: s.clock(), Note: note}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.settle(ctx, tx, id, c) })
	return storageError("taking an answer", err)
}

// Wake lets what waits for these recipients after a failure be tried now, in the caller's transaction: their channel
// has just been seen to work. How often it was tried before does not count against it any more.
func (s *Service) Wake(ctx context.Context, tx *sqldb.Tx, recipients []registry.AgencyID) error {
	for _, a := range recipients {
		woken, err := wakeDeliveries(ctx, tx, a, s.clock())
		if err != nil || !woken {
			if err != nil {
				return err
			}
			continue
		}
		if err := s.jobs.Add(ctx, tx, jobDeliver, lane{a}, jobs.AddOptions{Lane: string(a)}); err != nil {
			return err
		}
	}
	return nil
}

// RegisterLine is what two hubs compare of one document at one recipient.
type RegisterLine struct {
	Document      DocumentID        `json:"document"`
	From          registry.AgencyID `json:"from"`
	To            registry.AgencyID `json:"to"`
	Code          string            `json:"code"`   // number and symbol
	Digest        blob.Digest       `json:"digest"` // of the PDF
	ArrivalNumber int               `json:"arrival_number"`
	Sent          time.Time         `json:"sent"` // by the sender's clock
}

// SentByHub gives the lines of what agencies of this hub sent to other hubs and have a receipt for, with the sender's
// time in [from, to), in no order.
func (s *Service) SentByHub(ctx context.Context, from, to time.Time, yield func(RegisterLine) error) error {
	return s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return eachSentByHub(ctx, tx, from, to, yield) })
}

// CameByHub gives the lines of what came from other hubs, with the sender's time in [from, to), in no order.
func (s *Service) CameByHub(ctx context.Context, from, to time.Time, yield func(RegisterLine) error) error {
	return s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return eachCameByHub(ctx, tx, from, to, yield) })
}

// checkForeign rereads the receipts that other hubs brought.
func (s *Service) checkForeign(ctx context.Context, yield func(string)) error {
	for after := ""; ; {
		var list []foreignRow
		err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			list, err = selectForeignAfter(ctx, tx, after, checkBatch)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			after = list[i].ID
			if err := s.verifyReceipt(ctx, &list[i].Receipt, list[i].certificate); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				yield(fmt.Sprintf("from hub %s: %v", list[i].hub, err))
			}
		}
	}
}
