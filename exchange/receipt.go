package exchange

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing/cms"
	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// Receipt is a status signed by the receiving agency (biên nhận).
type Receipt struct {
	ID            string            `json:"id"`
	Document      DocumentID        `json:"document"`
	From          registry.AgencyID `json:"from"` // who received the document and signs
	To            registry.AgencyID `json:"to"`   // who sent it
	Status        Status            `json:"status"`
	Note          string            `json:"note,omitempty"`
	ArrivalNumber int               `json:"arrival_number,omitempty"`
	At            time.Time         `json:"at"`
	Body          []byte            `json:"body"`                // canonical JSON
	Signature     []byte            `json:"signature,omitempty"` // detached CMS over Body, DER; empty until signed

	step     int64
	incoming IncomingID
	attempts int
	fromName string

	Successor registry.AgencyID `json:"successor,omitempty"` // signed in the place of From, which has ended
}

// receiptBody is what is signed: keys in alphabetical order, no space, times in
// UTC. Its form is fixed by v.
type receiptBody struct {
	Answer        *answerFacts      `json:"answer,omitempty"` // to a recall, update or replacement
	ArrivalNumber int               `json:"arrival_number"`
	ArrivalYear   int               `json:"arrival_year"`
	At            string            `json:"at"`
	By            string            `json:"by,omitempty"` // who did it at the receiving agency; "" = its system
	Code          string            `json:"code"`
	Digest        blob.Digest       `json:"digest"` // of the PDF received
	Document      DocumentID        `json:"document"`
	From          registry.AgencyID `json:"from"`
	ID            string            `json:"id"`
	Note          string            `json:"note"`
	Status        Status            `json:"status"`
	Step          int64             `json:"step"`
	Successor     registry.AgencyID `json:"successor,omitempty"` // signs, From having ended
	To            registry.AgencyID `json:"to"`
	V             int               `json:"v"`
}

// receipt makes the receipt of the status the document has now, not yet signed.
func (in *Incoming) receipt(id string, at time.Time) *Receipt {
	r := &Receipt{ID: id, Document: in.Document, From: in.Agency, To: in.From, Status: in.Status, Note: in.Note,
		ArrivalNumber: in.ArrivalNumber, At: at, step: in.version, incoming: in.ID}
	r.Successor = in.succeeds
	r.Body = canonical(receiptBody{
		Answer: in.answer, ArrivalNumber: in.ArrivalNumber, ArrivalYear: in.ArrivalYear, At: at.UTC().Format(time.RFC3339Nano), By: in.by, Code: in.Code,
		Digest: in.PDF.Digest, Document: in.Document, From: in.Agency, ID: id, Note: in.Note, Status: in.Status,
		Step: in.version, Successor: in.succeeds, To: in.From, V: 1,
	})
	in.by = ""
	in.answer = nil // each answer stands in one receipt
	return r
}

// canonical writes JSON without HTML escapes and without a line end. The struct
// gives the order of keys.
func canonical(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("cannot happen: plain struct does not encode: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// signReceipt signs the body with the receiving agency's receipt key and has our
// own validator judge the result before it counts.
func (s *Service) signReceipt(ctx context.Context, r *Receipt) error {
	if a, err := s.reg.Agency(ctx, r.signer()); err == nil {
		r.fromName = a.Name // only for the evidence's text
	}
	key, err := s.cfg.ReceiptKey(ctx, r.signer())
	if err != nil {
		return fmt.Errorf("receipt key of %s: %w: %w", r.signer(), errReceiptKey, err)
	}
	if r.At.After(key.Certificate.NotAfter) {
		return fmt.Errorf("%w: the receipt certificate of %s ended on %s", errReceiptKey, r.signer(), key.Certificate.NotAfter.Format(time.DateOnly))
	}
	// CAdES-B-B: content digest, signing time, ESS signing-certificate-v2.
	r.Signature, err = cms.Sign(cms.SignRequest{Key: key, Digest: digest(r.Body), SigningTime: &r.At})
	if err != nil {
		return fmt.Errorf("signing receipt: %w", err)
	}
	return s.verifyReceipt(ctx, r, registry.Fingerprint(key.Certificate))
}

// signer gives the agency whose key signs the receipt.
func (r *Receipt) signer() registry.AgencyID { return cmp.Or(r.Successor, r.From) }

// verifyReceipt checks a receipt as its sender's side does: the body says what
// the fields say, the signature holds, and its certificate is known to be the
// agency's: its receipt certificate here (own), or a registered one.
func (s *Service) verifyReceipt(ctx context.Context, r *Receipt, own string) error {
	var b receiptBody
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return fmt.Errorf("receipt %s is not JSON: %w", r.ID, err)
	}
	if b.ID != r.ID || b.Document != r.Document || b.From != r.From || b.To != r.To || b.Status != r.Status ||
		b.Step != r.step || b.ArrivalNumber != r.ArrivalNumber || b.Note != r.Note || b.Successor != r.Successor || b.V != 1 {
		return fmt.Errorf("receipt %s: its body is about something else", r.ID)
	}
	sd, err := cms.Parse(r.Signature, cms.DefaultLimits())
	if err != nil || len(sd.Signers) != 1 {
		return fmt.Errorf("receipt %s: no signature that can be read: %w", r.ID, err)
	}
	result := sd.Verify(sd.Signers[0], cms.DigestOf(r.Body))
	if !result.Valid {
		return fmt.Errorf("receipt %s: the signature does not hold: %v", r.ID, result.Reasons)
	}
	if r.Successor != "" { // it has to be the one that the registry names
		then, err := s.reg.Resolve(ctx, string(r.From), r.At)
		if err != nil || then.Agency.ID != r.Successor {
			return fmt.Errorf("receipt %s: %s does not continue %s: %w", r.ID, r.Successor, r.From, err)
		}
	}
	// The certificate is pinned to the agency, which says more than any chain.
	if fingerprint := registry.Fingerprint(result.Signer); fingerprint == own {
		return nil
	} else if known, err := s.registered(ctx, registry.AgencyOwner(r.signer()), fingerprint, r.At); known || err != nil {
		return err
	}
	return fmt.Errorf("receipt %s: %w: its certificate is not one of %s", r.ID, errReceiptKey, r.signer())
}

func digest(b []byte) []byte {
	d := sha256.Sum256(b)
	return d[:]
}

// registered tells whether a certificate spoke for an owner at a time.
func (s *Service) registered(ctx context.Context, o registry.Owner, fingerprint string, at time.Time) (bool, error) {
	list, err := s.reg.Certificates(ctx, o)
	if err != nil {
		return false, err
	}
	for _, c := range list {
		if c.Fingerprint == fingerprint && c.ValidAt(at) {
			return true, nil
		}
	}
	return false, nil
}

// acceptReceipt is the sender's side: the delivery takes the status (unless a
// later one is there already), the evidence says so, and a document whose
// deliveries are all final is archived by a job.
func (s *Service) acceptReceipt(ctx context.Context, tx *sqldb.Tx, r *Receipt, now time.Time) error {
	changed, successor, err := applyStatus(ctx, tx, r, now)
	if err != nil || !changed {
		return err
	}
	if r.step == 1 {
		if err := s.arrivedLate(ctx, tx, r, now); err != nil {
			return err
		}
	}
	if err := s.answered(ctx, tx, r, now); err != nil {
		return err
	}
	f := facts{"receipt": r.ID, "from": string(r.From), "agency": string(r.To), "status": string(r.Status), "digest": string(blob.Sum(r.Body)),
		"step": strconv.FormatInt(r.step, 10)}
	if r.fromName != "" {
		f["from_name"] = r.fromName
	}
	if r.Note != "" {
		f["note"] = r.Note
	}
	if r.Successor != "" {
		f["successor"] = string(r.Successor)
		if err := answeredBy(ctx, tx, r, r.Successor); err != nil {
			return err
		}
	}
	if r.ArrivalNumber > 0 {
		f["arrival_number"] = fmt.Sprint(r.ArrivalNumber)
	}
	if successor != "" || r.Successor != "" {
		if err := addAddressed(ctx, tx, f, r.Document, r.From); err != nil {
			return err
		}
	}
	if err := s.evidence(ctx, tx, "receipt.accepted", string(r.Document), now, registry.System("receipts"), f); err != nil {
		return err
	}
	if !r.Status.Final() {
		return nil
	}
	return s.archiveWhenFinal(ctx, tx, r.Document)
}

const receiptBatch = 64

// runReceipts is the lane job of statuses on their way back to one sender: it
// signs what is waiting, in order, and hands it over in few transactions.
func (s *Service) runReceipts(ctx context.Context, raw json.RawMessage) error {
	var to lane
	if err := json.Unmarshal(raw, &to); err != nil {
		return jobs.Cancel(fmt.Errorf("receipt lane: %w", err))
	}
	defer s.lanes.lock("receipts:" + string(to.Agency))()
	for turn := newTurn(); ; {
		var batch []*Receipt
		err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			batch, err = selectPendingReceipts(ctx, tx, to.Agency, s.clock(), receiptBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("reading receipts to send: %w", err)
		}
		if len(batch) == 0 {
			return nil
		}
		good := batch[:0]
		for _, r := range batch {
			if err := s.readyReceipt(ctx, r); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err := s.postponeReceipt(ctx, r, err); err != nil {
					return err
				}
				continue
			}
			good = append(good, r)
		}
		if err := s.acceptReceipts(ctx, good); err != nil {
			return fmt.Errorf("handing over receipts: %w", err)
		}
		if len(batch) < receiptBatch {
			return nil
		}
		if err := turn.over(); err != nil {
			return err
		}
	}
}

// readyReceipt signs a receipt and, where another system serves the sender, hands it to that channel.
func (s *Service) readyReceipt(ctx context.Context, r *Receipt) error {
	if err := s.signReceipt(ctx, r); err != nil {
		return err
	}
	_, c := s.carrier(ctx, r.To)
	if c == nil {
		return nil
	}
	var about Envelope
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		text, err := selectEnvelopeOf(ctx, tx, r.incoming)
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &about)
	})
	if err != nil {
		return fmt.Errorf("reading the envelope of a receipt: %w", err)
	}
	return c.CarryReceipt(ctx, r, about)
}

func (s *Service) acceptReceipts(ctx context.Context, list []*Receipt) error {
	if len(list) == 0 {
		return nil
	}
	now := s.clock()
	return s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, r := range list {
			fresh, err := storeSignature(ctx, tx, r, now)
			if err != nil {
				return err
			}
			if !fresh {
				continue // another process was first
			}
			if err := s.acceptReceipt(ctx, tx, r, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// postponeReceipt keeps a receipt that cannot be signed now for a later try; the
// others of the lane go on.
func (s *Service) postponeReceipt(ctx context.Context, r *Receipt, cause error) error {
	wait := backoff(r.attempts)
	s.log.LogAttrs(ctx, slog.LevelWarn, "receipt waits", slog.String("receipt", r.ID), slog.String("agency", string(r.From)),
		slog.Duration("retry_in", wait), slog.String("error", cause.Error()))
	at := retryAt(s.clock(), wait)
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := postponeReceipt(ctx, tx, r.ID, cause.Error(), at); err != nil {
			return err
		}
		return s.jobs.Add(ctx, tx, jobReceipts, lane{r.To}, jobs.AddOptions{At: at, Lane: retryLane(r.To, at)})
	})
	if err != nil {
		return fmt.Errorf("postponing receipt: %w", errors.Join(err, cause))
	}
	return nil
}

// Receipts gives the receipts held for an outgoing document of the actor's
// agency, oldest first.
func (s *Service) Receipts(ctx context.Context, by registry.Actor, id DocumentID) (out []Receipt, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		out, err = selectAllReceipts(ctx, tx, id)
		return err
	})
	return out, storageError("reading receipts", err)
}

// IncomingReceipts gives the receipts that the actor's agency has made for an
// incoming document, oldest first.
func (s *Service) IncomingReceipts(ctx context.Context, by registry.Actor, id IncomingID) (out []Receipt, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		out, err = selectReceipts(ctx, tx, `incoming`, string(id), false)
		return err
	})
	return out, storageError("reading receipts", err)
}
