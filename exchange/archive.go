package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/archive"
	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

type archiveArgs struct {
	Document DocumentID `json:"document"`
}

// The files of an archived package.
const (
	archivedPDF      = "document.pdf"
	archivedMeta     = "document.json"
	archivedReport   = "report.json"
	archivedEvidence = "evidence.json"
)

// archivedEntry is an evidence entry as packed: without its place in the log,
// which it gets later.
type archivedEntry struct {
	ID    ledger.EntryID  `json:"id"`
	Kind  string          `json:"kind"`
	At    time.Time       `json:"at"`
	Actor string          `json:"actor"`
	Body  json.RawMessage `json:"body"`
}

// dossier is what is known of a document when it is archived.
type dossier struct {
	document   *Document
	deliveries []Delivery
	receipts   []Receipt
	report     *signing.Report
	evidence   []ledger.Record
	open       bool
}

// runArchive seals PDF, description, deliveries, receipts, report and evidence of
// a document whose deliveries are all final into one package. Running it again
// makes the same package and changes nothing.
func (s *Service) runArchive(ctx context.Context, raw json.RawMessage) error {
	var args archiveArgs
	if err := json.Unmarshal(raw, &args); err != nil {
		return jobs.Cancel(fmt.Errorf("archive job: %w", err))
	}
	defer s.lanes.lock("archive:" + string(args.Document))()
	d, err := s.dossier(ctx, args.Document)
	if err != nil {
		return fmt.Errorf("reading what to archive: %w", err)
	}
	if d == nil || d.open || !d.document.Archived.IsZero() {
		return nil
	}
	p, err := s.pack(ctx, d)
	if err != nil {
		return err
	}
	now := s.clock()
	ref, err := archive.Seal(ctx, s.cfg.Store.Archive, p, now.Add(s.cfg.Retention))
	if err != nil {
		return fmt.Errorf("sealing the package of %s: %w", args.Document, err)
	}
	f := facts{"agency": string(d.document.Agency), "package": string(ref.Digest), "size": strconv.FormatInt(ref.Size, 10)}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		doc, err := selectDocument(ctx, tx, args.Document)
		if err != nil || doc == nil || !doc.Archived.IsZero() {
			return err
		}
		was := doc.version
		doc.Archived, doc.Updated, doc.Package = now, now, ref
		if err := updateDocument(ctx, tx, doc, was); err != nil {
			return err
		}
		return s.evidence(ctx, tx, "document.archived", string(doc.ID), now, registry.System("archive"), f)
	})
	if err != nil {
		return fmt.Errorf("recording the archived package: %w", err)
	}
	s.recent.drop(d.document.PDF.Digest)
	return nil
}

func (s *Service) dossier(ctx context.Context, id DocumentID) (d *dossier, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		doc, err := selectDocument(ctx, tx, id)
		if err != nil || doc == nil || !doc.Archived.IsZero() {
			return err
		}
		d = &dossier{document: doc}
		if d.open, err = hasOpenDeliveries(ctx, tx, id); err != nil || d.open {
			return err
		}
		if d.deliveries, err = selectDeliveries(ctx, tx, id); err != nil {
			return err
		}
		for _, v := range d.deliveries {
			doc.Recipients = append(doc.Recipients, v.Recipient)
		}
		if d.receipts, err = selectAllReceipts(ctx, tx, id); err != nil {
			return err
		}
		if d.report, err = selectReport(ctx, tx, id); err != nil {
			return err
		}
		d.evidence, err = s.ledger.Entries(ctx, tx, string(id))
		return err
	})
	return d, err
}

func (s *Service) pack(ctx context.Context, d *dossier) (archive.Package, error) {
	pdf, err := s.bytes(ctx, d.document.PDF)
	if err != nil {
		return archive.Package{}, fmt.Errorf("reading the PDF to archive: %w", err)
	}
	p := archive.Package{Kind: "document", ID: string(d.document.ID), Meta: map[string]string{
		"agency": string(d.document.Agency), "code": d.document.Code(), "axis": d.document.Axis, "subject": d.document.Subject,
	}}
	p.Files = append(p.Files, archive.File{Name: archivedPDF, Data: pdf})
	entries := make([]archivedEntry, len(d.evidence))
	for i, r := range d.evidence {
		entries[i] = archivedEntry{ID: r.ID, Kind: r.Kind, At: r.At, Actor: r.Actor, Body: r.Body}
	}
	for name, v := range map[string]any{
		archivedMeta: struct {
			Document   *Document  `json:"document"`
			Deliveries []Delivery `json:"deliveries"`
		}{d.document, d.deliveries},
		archivedReport:   d.report,
		archivedEvidence: entries,
	} {
		data, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			return p, fmt.Errorf("encoding %s: %w", name, err)
		}
		p.Files = append(p.Files, archive.File{Name: name, Data: data})
	}
	for _, r := range d.receipts {
		base := fmt.Sprintf("receipts/%s-%02d-%s", r.From, r.step, r.Status)
		p.Files = append(p.Files, archive.File{Name: base + ".json", Data: r.Body}, archive.File{Name: base + ".p7s", Data: r.Signature})
		if r.At.After(p.Created) {
			p.Created = r.At // the last receipt, not the clock: a repeat makes the same bytes
		}
	}
	return p, nil
}

// openPackage reads an archived package and checks that it holds the document.
func (s *Service) openPackage(ctx context.Context, d *Document) (*archive.Contents, error) {
	c, err := archive.Open(ctx, s.cfg.Store.Archive, d.Package.Digest)
	if err != nil {
		return nil, err
	}
	if blob.Sum(c.Files[archivedPDF]) != d.PDF.Digest {
		return nil, fmt.Errorf("package %s holds another PDF", d.Package.Digest)
	}
	return c, nil
}
