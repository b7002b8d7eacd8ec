package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// rateBatch is how many entries of the log are counted in one transaction.
const rateBatch = 500

// CountRate counts the entries of the log that are not counted yet, so that the
// figures are those of this moment. The acts themselves pay nothing for it. It
// gives how many entries it took. Several processes may do it at once: one
// counts, the others find it done.
func (s *Service) CountRate(ctx context.Context) (int, error) {
	s.rateMu.Lock()
	defer s.rateMu.Unlock()
	taken := 0
	for {
		n, err := s.countRateBatch(ctx)
		if errors.Is(err, errRateMoved) {
			continue // another process counted meanwhile
		}
		if err != nil {
			return taken, storageError("counting the evidence", err)
		}
		if n == 0 {
			return taken, nil
		}
		taken += n
	}
}

// FollowEvidence counts the rate and brings the search up to date as the evidence
// grows, until ctx ends, so that whoever asks has not to wait.
func (s *Service) FollowEvidence(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		_, err := s.CountRate(ctx)
		_, searchErr := s.IndexDocuments(ctx)
		if err := errors.Join(err, searchErr); err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "following the evidence failed; it will be tried again", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// errRateMoved says that another process has counted the same entries.
var errRateMoved = errors.New("the rate was counted by another process")

// rateBookAt gives what the tables say of the documents of some records. A count from the beginning starts with nothing:
// what stands there of an earlier one is thrown away with it.
func (s *Service) rateBookAt(ctx context.Context, place int64, records []ledger.Record) (*rateBook, error) {
	if place < 0 {
		return newRateBook(), nil
	}
	return s.rateBookFor(ctx, records)
}

func (s *Service) countRateBatch(ctx context.Context) (int, error) {
	place, err := s.ratePlace(ctx)
	if err != nil {
		return 0, err
	}
	records, err := s.ledger.Read(ctx, max(place, 0), rateBatch)
	if err != nil || (len(records) == 0 && place >= 0) {
		return 0, err
	}
	book, err := s.rateBookAt(ctx, place, records)
	if err != nil {
		return 0, err
	}
	before := book.sums()
	was := book.copies()
	for i := range records {
		if err := book.apply(&records[i]); err != nil {
			return 0, err
		}
	}
	to := max(place, 0)
	if n := len(records); n > 0 {
		to = records[n-1].Index + 1
	}
	delta := book.sums()
	for k, n := range before {
		if delta[k] -= n; delta[k] == 0 {
			delete(delta, k)
		}
	}
	changed := book.changed(was)
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		moved, err := moveRate(ctx, tx, place, to)
		if err != nil {
			return err
		}
		if !moved {
			return errRateMoved
		}
		if place < 0 {
			if err := clearRate(ctx, tx); err != nil {
				return err
			}
		}
		if err := putRateDocuments(ctx, tx, changed.documents); err != nil {
			return err
		}
		if err := putRateDeliveries(ctx, tx, changed.deliveries); err != nil {
			return err
		}
		return addRateSums(ctx, tx, delta)
	})
	return max(len(records), 1), err
}

// ratePlace gives how far the log is counted; -1 when it has to be counted anew,
// as under a new definition.
func (s *Service) ratePlace(ctx context.Context) (place int64, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		place, err = selectRatePlace(ctx, tx)
		return err
	})
	return place, err
}

// rateBookFor reads the documents and deliveries that entries are about.
func (s *Service) rateBookFor(ctx context.Context, records []ledger.Record) (*rateBook, error) {
	documents := map[DocumentID]bool{}
	deliveries := map[DocumentID]bool{}
	for i := range records {
		r := &records[i]
		if !counts(r.Kind) {
			continue
		}
		documents[DocumentID(r.Subject)] = true
		switch r.Kind {
		case "document.sent", "document.paper", "delivery.failed", "delivery.postponed", "delivery.carried", "delivery.retried", "receipt.accepted",
			"document.updated", "delivery.joined", "request.recall", "request.update", "request.replace":
			deliveries[DocumentID(r.Subject)] = true
		}
	}
	b := newRateBook()
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err := selectRateDocuments(ctx, tx, slices.Sorted(maps.Keys(documents)))
		if err != nil {
			return err
		}
		for i := range list {
			b.documents[list[i].ID] = &list[i]
		}
		return selectRateDeliveries(ctx, tx, slices.Sorted(maps.Keys(deliveries)), func(v rateDelivery) {
			b.deliveries[deliveryKey{v.Document, v.Recipient}] = &v
		})
	})
	return b, err
}

// sums counts what the book holds, whatever the time.
func (b *rateBook) sums() map[rateKey]int64 {
	out := map[rateKey]int64{}
	for _, d := range b.documents {
		if k, ok := d.key(0); ok {
			out[k]++
		}
	}
	for _, v := range b.deliveries {
		out[v.key(0)]++
	}
	return out
}

// copies gives the book as it is now, by value.
func (b *rateBook) copies() rateCopies {
	c := rateCopies{documents: make(map[DocumentID]rateDocument, len(b.documents)), deliveries: make(map[deliveryKey]rateDelivery, len(b.deliveries))}
	for id, d := range b.documents {
		c.documents[id] = *d
	}
	for k, v := range b.deliveries {
		c.deliveries[k] = *v
	}
	return c
}

type rateCopies struct {
	documents  map[DocumentID]rateDocument
	deliveries map[deliveryKey]rateDelivery
}

// rateChanges are the rows to write, in order, so that two writers take them in
// the same order.
type rateChanges struct {
	documents  []*rateDocument
	deliveries []*rateDelivery
}

func (b *rateBook) changed(was rateCopies) rateChanges {
	var out rateChanges
	for _, id := range slices.Sorted(maps.Keys(b.documents)) {
		if old, ok := was.documents[id]; !ok || old != *b.documents[id] {
			out.documents = append(out.documents, b.documents[id])
		}
	}
	for k, v := range b.deliveries {
		if old, ok := was.deliveries[k]; !ok || old != *v {
			out.deliveries = append(out.deliveries, v)
		}
	}
	slices.SortFunc(out.deliveries, func(a, c *rateDelivery) int {
		if a.Document != c.Document {
			return compareText(a.Document, c.Document)
		}
		return compareText(a.Recipient, c.Recipient)
	})
	return out
}

func compareText[T ~string](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// readRate makes the book of the whole log, up to a place (exclusive; < 0 = all),
// page by page. It gives how many entries it read.
func (s *Service) readRate(ctx context.Context, to int64) (*rateBook, int64, error) {
	b := newRateBook()
	for at := int64(0); ; {
		records, err := s.ledger.Read(ctx, at, 0)
		if err != nil {
			return nil, at, err
		}
		for i := range records {
			if to >= 0 && records[i].Index >= to {
				return b, at, nil
			}
			if err := b.apply(&records[i]); err != nil {
				return nil, at, err
			}
			at = records[i].Index + 1
		}
		if len(records) == 0 {
			return b, at, nil
		}
	}
}

// Recomputed is the rate made from the evidence log alone, and where it differs
// from the live figures.
type Recomputed struct {
	*Stats
	Entries     int64    `json:"entries"`     // of the log that were read
	Differences []string `json:"differences"` // from the live figures; empty when they agree
}

// maxDifferences bounds the list of a projection that is wrong throughout.
const maxDifferences = 1000

// Recompute makes the rate of a period from the evidence log alone and compares
// it with the live one, document by document, and sum by sum. It needs about 400
// bytes of memory for each document and delivery ever sent.
func (s *Service) Recompute(ctx context.Context, by registry.Actor, q RateQuery) (*Recomputed, error) {
	if _, err := s.narrow(ctx, by, &q); err != nil {
		return nil, err
	}
	if _, err := s.CountRate(ctx); err != nil {
		return nil, err
	}
	place, err := s.ratePlace(ctx)
	if err != nil {
		return nil, storageError("recomputing the rate", err)
	}
	book, entries, err := s.readRate(ctx, place)
	if err != nil {
		return nil, storageError("recomputing the rate", err)
	}
	out := &Recomputed{Entries: entries, Differences: []string{}}
	yield := func(p string) {
		if len(out.Differences) < maxDifferences {
			out.Differences = append(out.Differences, p)
		}
	}
	if err := s.compareRate(ctx, book, yield); err != nil {
		return nil, storageError("comparing the rate", err)
	}
	now := sqldb.Micros(s.clock())
	t := newTally(q.set)
	from, to := firstDay(q.From), firstDay(q.To)
	for _, d := range book.documents {
		if k, ok := d.key(now); ok && k.Day >= from && k.Day < to && (q.Type == "" || k.Type == q.Type) {
			t.add(k, 1)
		}
	}
	for _, v := range book.deliveries {
		if k := v.key(now); k.Day >= from && k.Day < to && (q.Type == "" || k.Type == q.Type) {
			t.add(k, 1)
		}
	}
	out.Stats = s.finish(ctx, t, q)
	return out, nil
}

// compareRate reports where the rows and sums of the projection are not what the
// book of the same entries says.
func (s *Service) compareRate(ctx context.Context, book *rateBook, yield func(string)) error {
	sums := book.sums()
	return s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		seen := 0
		err := eachRateDocument(ctx, tx, func(d rateDocument, cause string, marks int64) {
			seen++
			want := book.documents[d.ID]
			switch k, _ := d.key(0); {
			case want == nil:
				yield(fmt.Sprintf("rate of document %s: the evidence does not know it", d.ID))
			case *want != d:
				yield(fmt.Sprintf("rate of document %s: the row is %+v, the evidence gives %+v", d.ID, d, *want))
			case k.Cause != cause || k.Marks != marks:
				yield(fmt.Sprintf("rate of document %s: counted as %q/%d, the evidence gives %q/%d", d.ID, cause, marks, k.Cause, k.Marks))
			}
		})
		if err != nil {
			return err
		}
		if seen != len(book.documents) {
			yield(fmt.Sprintf("rate: %d documents, the evidence has %d", seen, len(book.documents)))
		}
		seen = 0
		err = eachRateDelivery(ctx, tx, func(v rateDelivery, cause string, marks int64) {
			seen++
			want := book.deliveries[deliveryKey{v.Document, v.Recipient}]
			switch k := v.key(0); {
			case want == nil:
				yield(fmt.Sprintf("rate of document %s at %s: the evidence does not know it", v.Document, v.Recipient))
			case *want != v:
				yield(fmt.Sprintf("rate of document %s at %s: the row is %+v, the evidence gives %+v", v.Document, v.Recipient, v, *want))
			case k.Cause != cause || k.Marks != marks:
				yield(fmt.Sprintf("rate of document %s at %s: counted as %q/%d, the evidence gives %q/%d", v.Document, v.Recipient, cause, marks, k.Cause, k.Marks))
			}
		})
		if err != nil {
			return err
		}
		if seen != len(book.deliveries) {
			yield(fmt.Sprintf("rate: %d deliveries, the evidence has %d", seen, len(book.deliveries)))
		}
		err = eachRateSum(ctx, tx, func(k rateKey, n int64) {
			if sums[k] != n {
				yield(fmt.Sprintf("rate of %s on %s, %s %s, cause %q, marks %d: the sum is %d, the evidence gives %d",
					k.Agency, dayText(k.Day), unitName(k.Unit), k.Type, k.Cause, k.Marks, n, sums[k]))
			}
			delete(sums, k)
		})
		for k, n := range sums {
			yield(fmt.Sprintf("rate of %s on %s, %s %s, cause %q, marks %d: there is no sum, the evidence gives %d",
				k.Agency, dayText(k.Day), unitName(k.Unit), k.Type, k.Cause, k.Marks, n))
		}
		return err
	})
}

func unitName(unit int) string {
	if unit == unitDelivery {
		return OfDelivery
	}
	return OfDocument
}

// checkRate compares the projection of the rate with the evidence it was made of,
// and with the documents and deliveries themselves.
func (s *Service) checkRate(ctx context.Context, yield func(string)) error {
	place, err := s.ratePlace(ctx)
	if err != nil || place < 0 {
		return err // nothing is counted yet
	}
	book, _, err := s.readRate(ctx, place)
	if err != nil {
		return err
	}
	if err := s.compareRate(ctx, book, yield); err != nil {
		return err
	}
	last, err := s.ledger.Read(ctx, place, 1)
	if err != nil || len(last) > 0 {
		return err // acts that are not counted yet: rows may be further than the projection
	}
	return s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		strays, err := selectRateStrays(ctx, tx)
		for _, id := range strays {
			yield("rate of document " + id + ": what is counted is not what its row or its deliveries say")
		}
		return err
	})
}
