package exchange

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"vanthu/exchange/registry"
	"vanthu/signing/pdf"
	"vanthu/storage/blob"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// Searching follows the evidence: what an entry is about is put into the index
// again. The acts pay nothing for it and never fail by it. Two readers follow:
// one puts what the rows say (number, symbol, subject, signer, agency), quick
// enough to run before every search; the other adds the words of the PDF.

// The names of the readers in exchange_search_state.
const (
	readerWords = "words"
	readerTexts = "texts"
)

const (
	searchBatch   = 200  // entries in one transaction
	searchBacklog = 5000 // entries that a search waits for; the rest is read in the background
	maxText       = 1 << 20
)

// searchIndexes are the indexes of outgoing and incoming documents.
type searchIndexes struct{ outgoing, incoming *sqldb.TextIndex }

// openSearch makes the indexes where they are missing; they are filled from the
// beginning of the log then.
func (s *Service) openSearch(ctx context.Context) error {
	for name, at := range map[string]**sqldb.TextIndex{"exchange_outgoing": &s.search.outgoing, "exchange_incoming": &s.search.incoming} {
		x, err := sqldb.NewTextIndex(name)
		if err != nil {
			return err
		}
		if _, err := x.Create(ctx, s.db); err != nil {
			return err
		}
		*at = x
	}
	return nil
}

// IndexDocuments brings the search up to date with the evidence, the words of
// the PDFs too. It gives how many entries it read. The hub calls it as it works.
func (s *Service) IndexDocuments(ctx context.Context) (int, error) {
	n, err := s.readLog(ctx, readerWords, 0)
	if err != nil {
		return n, err
	}
	m, err := s.readLog(ctx, readerTexts, 0)
	return n + m, err
}

// readLog reads the log as one reader, at most most entries (0 = all).
func (s *Service) readLog(ctx context.Context, reader string, most int) (int, error) {
	s.searchMu.Lock()
	defer s.searchMu.Unlock()
	done := 0
	for most == 0 || done < most {
		n, err := s.followBatch(ctx, reader)
		if err != nil {
			return done, storageError("bringing the search up to date", err)
		}
		if n == 0 {
			break
		}
		done += n
	}
	return done, nil
}

// followBatch reads some entries and puts what they are about.
func (s *Service) followBatch(ctx context.Context, reader string) (int, error) {
	var place int64
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		place, err = selectSearchPlace(ctx, tx, reader)
		return err
	})
	if err != nil {
		return 0, err
	}
	records, err := s.ledger.Read(ctx, place, searchBatch)
	if err != nil || len(records) == 0 {
		return 0, err
	}
	outgoing, incoming := aboutDocuments(records)
	texts := map[string]string{}
	if reader == readerTexts {
		if texts, err = s.textsOf(ctx, outgoing, incoming); err != nil {
			return 0, err
		}
	}
	to := records[len(records)-1].Index + 1
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		moved, err := moveSearch(ctx, tx, reader, place, to)
		if err != nil || !moved {
			return err // another process has read them
		}
		documents, err := selectDocumentsByID(ctx, tx, outgoing, query{})
		if err != nil {
			return err
		}
		for i := range documents {
			d := &documents[i]
			if err := s.search.outgoing.Put(ctx, tx, string(d.ID), string(d.Agency), d.words(), texts[string(d.PDF.Digest)]); err != nil {
				return err
			}
		}
		arrivals, err := selectIncomingsByID(ctx, tx, incoming, query{})
		if err != nil {
			return err
		}
		for i := range arrivals {
			in := &arrivals[i]
			if err := s.search.incoming.Put(ctx, tx, string(in.ID), string(in.Agency), in.words(), texts[string(in.PDF.Digest)]); err != nil {
				return err
			}
		}
		return nil
	})
	return len(records), err
}

// aboutDocuments gives the documents and incoming documents whose words entries
// may have changed, in the order of their ids.
func aboutDocuments(records []ledger.Record) (outgoing []DocumentID, incoming []IncomingID) {
	for i := range records {
		r := &records[i]
		switch r.Kind {
		case "document.drafted", "document.numbered", "document.paper", "document.updated":
			outgoing = append(outgoing, DocumentID(r.Subject))
		case "incoming.received", "incoming.rejected", "notice.received":
			incoming = append(incoming, IncomingID(r.Subject))
		}
	}
	slices.Sort(outgoing)
	slices.Sort(incoming)
	return slices.Compact(outgoing), slices.Compact(incoming)
}

// words is what an outgoing document is found by, besides its text.
func (d *Document) words() string {
	return strings.Join([]string{d.Code(), d.Notation, d.Subject, d.SignerName, string(d.Agency)}, " \n ")
}

// words is what an incoming document is found by, besides its text.
func (in *Incoming) words() string {
	return strings.Join([]string{in.Code, in.Subject, in.SignerName, string(in.From)}, " \n ")
}

// textsOf reads the words of the PDFs, by digest. A file that cannot be read has
// none: the document is found by its description.
func (s *Service) textsOf(ctx context.Context, outgoing []DocumentID, incoming []IncomingID) (map[string]string, error) {
	var refs []blob.Ref
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		documents, err := selectDocumentsByID(ctx, tx, outgoing, query{})
		if err != nil {
			return err
		}
		for i := range documents {
			refs = append(refs, documents[i].PDF)
		}
		arrivals, err := selectIncomingsByID(ctx, tx, incoming, query{})
		for i := range arrivals {
			refs = append(refs, arrivals[i].PDF)
		}
		return err
	})
	texts := map[string]string{}
	for _, ref := range refs {
		if _, known := texts[string(ref.Digest)]; known || ref.Digest == "" {
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		texts[string(ref.Digest)] = s.textOf(ctx, ref)
	}
	return texts, err
}

func (s *Service) textOf(ctx context.Context, ref blob.Ref) string {
	data, err := s.bytes(ctx, ref)
	if err != nil {
		return ""
	}
	f, err := pdf.OpenContext(ctx, bytes.NewReader(data), int64(len(data)), pdf.Limits{MaxSize: s.cfg.MaxPDF})
	if err != nil {
		return ""
	}
	text, err := f.Latest().Text(maxText)
	if err != nil {
		return text // what was read before the damage
	}
	return text
}

// beforeSearch brings the words of the rows up to date, so that whoever has just
// written something finds it. A long backlog, as after the first start with an
// old database, is left to the background.
func (s *Service) beforeSearch(ctx context.Context, agency registry.AgencyID, text string) error {
	switch {
	case text == "":
		return nil
	case agency == "":
		return fail(KindInvalid, "Tìm kiếm cần một cơ quan.", "A search needs an agency.")
	}
	_, err := s.readLog(ctx, readerWords, searchBacklog)
	return err
}

// hitsPage is how many hits are looked at in one step; hitsMost bounds how many
// are looked at for one page where other conditions leave few.
const (
	hitsPage = 200
	hitsMost = 10_000
)

// searchRows looks for a page of rows: hits of the index, newest first, behind
// after, of which read gives those that fit the other conditions, in any order.
func searchRows[T any, K ~string](ctx context.Context, tx *sqldb.Tx, x *sqldb.TextIndex, agency registry.AgencyID, text, after string, limit int,
	id func(T) string, read func(ids []K) ([]T, error)) ([]T, error) {
	var before int64
	if after != "" {
		var err error
		if before, err = x.Place(ctx, tx, after); err != nil || before == 0 {
			return nil, err
		}
	}
	var out []T
	for looked := 0; looked < hitsMost && len(out) < limit; {
		hits, err := x.Search(ctx, tx, string(agency), text, before, hitsPage)
		if err != nil || len(hits) == 0 {
			return out, err
		}
		ids := make([]K, len(hits))
		for i, h := range hits {
			ids[i] = K(h.Key)
		}
		rows, err := read(ids)
		if err != nil {
			return nil, err
		}
		at := make(map[string]int, len(rows))
		for i, r := range rows {
			at[id(r)] = i
		}
		for _, k := range ids {
			if i, ok := at[string(k)]; ok && len(out) < limit {
				out = append(out, rows[i])
			}
		}
		looked += len(hits)
		before = hits[len(hits)-1].Seq
		if len(hits) < hitsPage {
			break
		}
	}
	return out, nil
}

// Found is a document found by Search: one of the two is set.
type Found struct {
	Document *Document `json:"document,omitempty"` // outgoing
	Incoming *Incoming `json:"incoming,omitempty"`
}

func (f *Found) id() string {
	if f.Document != nil {
		return string(f.Document.ID)
	}
	return string(f.Incoming.ID)
}

// Search looks through the agency's outgoing and incoming documents at once:
// description and text, marks and case ignored, newest first. The query is that
// of sqldb.TextIndex: words, "phrases", numbers and symbols, codes of agencies.
func (s *Service) Search(ctx context.Context, by registry.Actor, text, after string, limit int) (Page[Found], error) {
	limit = pageLimit(limit)
	afterOut, afterIn, _ := strings.Cut(after, "|")
	if after != "" && !strings.Contains(after, "|") {
		return Page[Found]{}, failf(KindInvalid, "Trang %q không có.", "There is no page %q.", after)
	}
	documents, err := s.Documents(ctx, by, ListFilter{Query: text, After: afterOut, Limit: limit})
	if err != nil {
		return Page[Found]{}, err
	}
	arrivals, err := s.Incomings(ctx, by, IncomingFilter{Query: text, After: afterIn, Limit: limit})
	if err != nil {
		return Page[Found]{}, err
	}
	all := make([]Found, 0, len(documents.Items)+len(arrivals.Items))
	for i := range documents.Items {
		all = append(all, Found{Document: &documents.Items[i]})
	}
	for i := range arrivals.Items {
		all = append(all, Found{Incoming: &arrivals.Items[i]})
	}
	slices.SortStableFunc(all, func(a, b Found) int { return compareText(b.id(), a.id()) })
	out := Page[Found]{Items: all[:min(limit, len(all))]}
	for _, f := range out.Items {
		if f.Document != nil {
			afterOut = f.id()
		} else {
			afterIn = f.id()
		}
	}
	if len(all) > limit || documents.Next != "" || arrivals.Next != "" {
		out.Next = fmt.Sprintf("%s|%s", afterOut, afterIn)
	}
	return out, nil
}
