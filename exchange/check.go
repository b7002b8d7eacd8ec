package exchange

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"vanthu/exchange/registry"
	"vanthu/storage/archive"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

const checkBatch = 500

// Check rereads what the exchange keeps and reports what does not fit: rows and
// revisions that are not what the evidence says or without bytes, gaps in numbers
// without a cancelled-number record, documents sent without deliveries, statuses
// that are not those of the last receipt or whose receipt does not verify, arrivals
// that do not match their delivery, doubled arrivals, packages that do not open.
// The bytes of blobs and the log are checked by storage. The error is I/O.
func (s *Service) Check(ctx context.Context, yield func(problem string)) error {
	for _, part := range []func(context.Context, func(string)) error{
		s.checkNumbers, s.checkLost, s.checkDocuments, s.checkDeliveries, s.checkReceipts, s.checkForeign, s.checkIncoming, s.checkRate,
	} {
		if err := part(ctx, yield); err != nil {
			return fmt.Errorf("checking the exchange: %w", err)
		}
	}
	return nil
}

// Blobs gives the digest of every PDF that a row names, some more than once, so
// that orphans can be told from what is needed.
func (s *Service) Blobs(ctx context.Context, yield func(blob.Digest) error) error {
	return s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return eachDigest(ctx, tx, yield)
	})
}

func (s *Service) checkNumbers(ctx context.Context, yield func(string)) error {
	return s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, series := range []func(context.Context, *sqldb.Tx) ([]numbering, error){selectOutgoingNumbering, selectIncomingNumbering} {
			list, err := series(ctx, tx)
			if err != nil {
				return err
			}
			for _, n := range list {
				if n.count != n.highest || n.lowest != min(1, n.count) || n.last != n.highest {
					yield(fmt.Sprintf("numbers of %s, %s %d: %d rows, lowest %d, highest %d, counter %d", n.agency, n.series, n.year, n.count, n.lowest, n.highest, n.last))
				}
			}
		}
		strays, err := selectStrayNumbers(ctx, tx)
		for _, id := range strays {
			yield(fmt.Sprintf("document %s: its number and the number register disagree", id))
		}
		return err
	})
}

// checkLost looks for documents that only the evidence knows any more.
func (s *Service) checkLost(ctx context.Context, yield func(string)) error {
	return s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		lost, err := selectLost(ctx, tx)
		for _, id := range lost {
			yield(fmt.Sprintf("document %s stands in the evidence and is gone", id))
		}
		return err
	})
}

func (s *Service) checkDocuments(ctx context.Context, yield func(string)) error {
	for after := ""; ; {
		var list []documentFacts
		err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			list, err = selectDocumentFacts(ctx, tx, after, checkBatch)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			after = string(list[i].ID)
			if err := s.checkDocument(ctx, yield, &list[i]); err != nil {
				return err
			}
		}
	}
}

func (s *Service) checkDocument(ctx context.Context, yield func(string), d *documentFacts) error {
	what := "document " + string(d.ID)
	d.history.compare(what, d.pinned(), yield)
	d.history.revisions(what, d.revisions, yield)
	current := false
	for _, r := range d.revisions {
		if err := s.checkBlob(ctx, yield, fmt.Sprintf("%s, revision %d", what, r.seq), r.pdf); err != nil {
			return err
		}
		current = r.pdf == d.PDF
	}
	if !current && d.State != StatePaper {
		yield(what + ": its file is not the last revision")
		if err := s.checkBlob(ctx, yield, what, d.PDF); err != nil {
			return err
		}
	}
	sent := d.State == StateSent
	if sent != (d.deliveries > 0) || (d.history != nil && d.history.sent != "" && d.history.sent != strconv.Itoa(d.deliveries)) {
		yield(fmt.Sprintf("%s is %s and has %d deliveries", what, d.State, d.deliveries))
	}
	if sent && d.Number == 0 {
		yield(what + " is sent without a number")
	}
	if d.Archived.IsZero() != (d.Package.Digest == "") {
		yield(what + ": its package and the time it was archived do not go together")
	}
	return s.checkPackage(ctx, yield, &d.Document)
}

func (s *Service) checkPackage(ctx context.Context, yield func(string), d *Document) error {
	if d.Archived.IsZero() {
		return nil
	}
	_, err := s.openPackage(ctx, d)
	if err != nil && ctx.Err() == nil {
		yield(fmt.Sprintf("document %s: archived package %s: %v", d.ID, d.Package.Digest, err))
	}
	return ctx.Err()
}

// checkBlob checks that the bytes a row names are there, with their size.
func (s *Service) checkBlob(ctx context.Context, yield func(string), what string, ref blob.Ref) error {
	got, err := s.cfg.Store.Blobs.Stat(ctx, ref.Digest)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		yield(fmt.Sprintf("%s: blob %s is missing", what, ref.Digest))
	case err != nil:
		return fmt.Errorf("looking for blob %s: %w", ref.Digest, err)
	case got.Size != ref.Size:
		yield(fmt.Sprintf("%s: blob %s has %d bytes, the row says %d", what, ref.Digest, got.Size, ref.Size))
	}
	return nil
}

func (s *Service) checkDeliveries(ctx context.Context, yield func(string)) error {
	for after := ""; ; {
		var list []deliveryFacts
		err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			list, err = selectDeliveryFacts(ctx, tx, after, checkBatch)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			after = string(list[i].id)
			list[i].check(yield)
		}
	}
}

// check judges what a delivery says of itself against its receipts and arrivals.
func (d *deliveryFacts) check(yield func(string)) {
	if (d.transport == TransportDone) != (d.status != StatusNone) {
		yield(fmt.Sprintf("delivery %s: transport %s with status %q", d.id, d.transport, d.status))
	}
	if d.channel != registry.ChannelLocal && d.channel != ChannelHub {
		return // statuses of other channels bear no receipt of ours
	}
	if d.last != d.step {
		yield(fmt.Sprintf("delivery %s: its status is that of step %d, the last receipt's is %d", d.id, d.step, d.last))
	}
	if d.status == StatusNone {
		return
	}
	if d.receipts != 1 {
		yield(fmt.Sprintf("delivery %s: status %s has %d receipts that say so", d.id, d.status, d.receipts))
	}
	if d.channel == registry.ChannelLocal && d.arrivals != 1 {
		yield(fmt.Sprintf("delivery %s of document %s: %d matching arrivals at %s", d.id, d.document, d.arrivals, d.recipient))
	}
}

func (s *Service) checkReceipts(ctx context.Context, yield func(string)) error {
	own := map[registry.AgencyID]string{}
	for after := ""; ; {
		var list []Receipt
		err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			list, err = selectReceiptsAfter(ctx, tx, after, checkBatch)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			r := &list[i]
			after = r.ID
			if _, ok := own[r.signer()]; !ok {
				own[r.signer()] = ""
				if key, err := s.cfg.ReceiptKey(ctx, r.signer()); err == nil {
					own[r.signer()] = registry.Fingerprint(key.Certificate)
				}
			}
			if err := s.verifyReceipt(ctx, r, own[r.signer()]); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				yield(err.Error())
			}
		}
	}
}

func (s *Service) checkIncoming(ctx context.Context, yield func(string)) error {
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		doubled, err := selectDoubledIncoming(ctx, tx)
		for _, d := range doubled {
			yield("arrived more than once: " + d)
		}
		return err
	})
	if err != nil {
		return err
	}
	for after := ""; ; {
		var list []incomingFacts
		err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			list, err = selectIncomingFacts(ctx, tx, after, checkBatch)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			after = string(list[i].ID)
			if err := s.checkArrival(ctx, yield, &list[i]); err != nil {
				return err
			}
		}
	}
}

func (s *Service) checkArrival(ctx context.Context, yield func(string), in *incomingFacts) error {
	what := "incoming document " + string(in.ID)
	if err := s.checkBlob(ctx, yield, what, in.PDF); err != nil {
		return err
	}
	in.history.compare(what, in.pinned(), yield)
	if in.history != nil && in.history.entries != int(in.version) {
		yield(fmt.Sprintf("%s: the evidence has %d statuses, the row %d", what, in.history.entries, in.version))
	}
	if in.arrivals == 0 && in.Merged == "" {
		yield(what + ": there is no record of how it arrived")
	}
	if in.Medium == MediumPaper {
		return nil // nothing travels back
	}
	if in.Via != "" { // the sender knows of it only when it came from there too
		if in.receipts > int(in.version) {
			yield(fmt.Sprintf("%s: %d receipts for %d statuses", what, in.receipts, in.version))
		}
		return nil
	}
	if in.senderHere && in.deliveries != 1 {
		yield(fmt.Sprintf("%s: %d deliveries of document %s to %s", what, in.deliveries, in.Document, in.Agency))
	}
	if in.receipts != int(in.version) {
		yield(fmt.Sprintf("%s: %d receipts for %d statuses", what, in.receipts, in.version))
	}
	if in.last != 1 {
		yield(fmt.Sprintf("%s: its status %s is not that of its last receipt", what, in.Status))
	}
	return nil
}

// Package opens the archived package of a document of the actor's agency, every
// file checked against its manifest.
func (s *Service) Package(ctx context.Context, by registry.Actor, id DocumentID) (*archive.Contents, error) {
	d, err := s.Document(ctx, by, id)
	if err != nil {
		return nil, err
	}
	if d.Archived.IsZero() {
		return nil, fail(KindNotFound, "Văn bản chưa được lưu trữ.", "The document is not archived yet.").
			Advise("Gói hồ sơ được lập khi mọi nơi nhận đã hoàn thành hoặc từ chối.", "The package is made when every recipient has finished or refused.")
	}
	c, err := s.openPackage(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("opening archived package: %w", err)
	}
	return c, nil
}
