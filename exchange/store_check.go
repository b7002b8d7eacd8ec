package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// numbering is what a year's series looks like.
type numbering struct {
	agency                       registry.AgencyID
	series                       string
	year                         int
	count, lowest, highest, last int
}

func scanNumbering(row scanner) (numbering, error) {
	var n numbering
	err := row.Scan(&n.agency, &n.series, &n.year, &n.last, &n.count, &n.lowest, &n.highest)
	return n, err
}

func selectOutgoingNumbering(ctx context.Context, tx *sqldb.Tx) ([]numbering, error) {
	return sqldb.Collect(ctx, tx, scanNumbering, `SELECT c.agency, c.series, c.year, c.last, COUNT(n.number), COALESCE(MIN(n.number), 0), COALESCE(MAX(n.number), 0)
		FROM exchange_counter c LEFT JOIN exchange_number n ON n.agency = c.agency AND n.series = c.series AND n.year = c.year
		WHERE c.series IN ($1, $2) OR c.series LIKE 'L.%' OR EXISTS (SELECT 1 FROM exchange_series s WHERE s.agency = c.agency AND s.code = c.series)
		GROUP BY c.agency, c.series, c.year, c.last`, seriesOutgoing, seriesCopy)
}

func selectIncomingNumbering(ctx context.Context, tx *sqldb.Tx) ([]numbering, error) {
	return sqldb.Collect(ctx, tx, scanNumbering, `SELECT c.agency, c.series, c.year, c.last, COUNT(i.arrival_number), COALESCE(MIN(i.arrival_number), 0), COALESCE(MAX(i.arrival_number), 0)
		FROM exchange_counter c LEFT JOIN exchange_incoming i ON i.agency = c.agency AND i.arrival_year = c.year AND i.arrival_number > 0
		WHERE c.series = $1 GROUP BY c.agency, c.series, c.year, c.last`, seriesIncoming)
}

// selectStrayNumbers finds documents and number records that disagree: missing on
// one side, a different number, or cancelled on one side only.
func selectStrayNumbers(ctx context.Context, tx *sqldb.Tx) ([]DocumentID, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (DocumentID, error) {
		var id DocumentID
		err := row.Scan(&id)
		return id, err
	}, `SELECT d.id FROM exchange_document d LEFT JOIN exchange_number n ON n.document = d.id
			WHERE (d.number > 0 AND n.number IS NULL) OR n.number <> d.number OR n.year <> d.year OR n.agency <> d.agency OR n.series <> d.series
				OR (d.state = 'cancelled' AND n.cancelled = 0) OR (d.state <> 'cancelled' AND n.cancelled > 0)
		UNION ALL SELECT n.agency || ' ' || n.series || ' ' || CAST(n.number AS TEXT) FROM exchange_number n
			WHERE n.document = '' AND n.reserved = 0`)
}

// selectLost gives the outgoing and incoming documents whose beginning stands in
// the evidence and that have no row.
func selectLost(ctx context.Context, tx *sqldb.Tx) ([]string, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (id string, err error) {
		return id, row.Scan(&id)
	}, `SELECT l.subject FROM ledger_entry l WHERE l.kind IN ('document.drafted', 'document.paper')
			AND NOT EXISTS (SELECT 1 FROM exchange_document d WHERE d.id = l.subject)
		UNION ALL SELECT l.subject FROM ledger_entry l WHERE l.kind IN ('incoming.received', 'incoming.rejected')
			AND NOT EXISTS (SELECT 1 FROM exchange_incoming i WHERE i.id = l.subject)`)
}

// documentFacts is a document, its revisions, how many deliveries it has, and
// what the evidence says of it.
type documentFacts struct {
	Document
	deliveries int
	revisions  []revision
	history    *history // nil = no evidence
}

// plus scans more columns behind those that a scan function knows.
type plus struct {
	scanner
	more []any
}

func (p plus) Scan(dest ...any) error { return p.scanner.Scan(append(dest, p.more...)...) }

// selectDocumentFacts reads a batch in three queries, all of one snapshot.
func selectDocumentFacts(ctx context.Context, tx *sqldb.Tx, after string, limit int) ([]documentFacts, error) {
	list, err := sqldb.Collect(ctx, tx, func(row scanner) (f documentFacts, err error) {
		f.Document, err = scanDocument(plus{row, []any{&f.deliveries}})
		return f, err
	}, `SELECT `+documentColumns+`, (SELECT COUNT(*) FROM exchange_delivery v WHERE v.document = exchange_document.id)
		FROM exchange_document WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	last := string(list[len(list)-1].ID)
	at := make(map[DocumentID]*documentFacts, len(list))
	for i := range list {
		at[list[i].ID] = &list[i]
	}
	err = forEach(ctx, tx, func(row scanner) error {
		var r revision
		if err := row.Scan(&r.document, &r.seq, &r.pdf.Digest, &r.pdf.Size); err != nil {
			return err
		}
		at[r.document].revisions = append(at[r.document].revisions, r)
		return nil
	}, `SELECT r.document, r.seq, r.pdf, r.size FROM exchange_document d JOIN exchange_revision r ON r.document = d.id
		WHERE d.id > $1 AND d.id <= $2 ORDER BY r.document, r.seq`, after, last)
	if err != nil {
		return nil, err
	}
	histories := map[string]*history{}
	err = readEvidence(ctx, tx, func(subject, kind string, body facts) { historyOf(histories, subject).outgoing(kind, body) },
		`SELECT l.id, l.subject, l.kind, l.body FROM exchange_document d JOIN ledger_entry l ON l.subject = d.id WHERE d.id > $1 AND d.id <= $2
			AND l.kind IN ('document.drafted', 'document.signed', 'document.numbered', 'document.number-cancelled', 'document.sent', 'document.updated',
				'document.revised', 'document.returned', 'document.inherited', 'document.archived', 'document.paper')`,
		after, last)
	for id, f := range at {
		f.history = histories[string(id)]
	}
	return list, err
}

// readEvidence visits what a query over ledger_entry l finds, each subject's
// entries in the order in which they were written.
func readEvidence(ctx context.Context, tx *sqldb.Tx, visit func(subject, kind string, body facts), q string, args ...any) error {
	return forEach(ctx, tx, func(row scanner) error {
		var id, subject, kind, text string
		if err := row.Scan(&id, &subject, &kind, &text); err != nil {
			return err
		}
		var body facts
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			return fmt.Errorf("decoding evidence %s: %w", id, err)
		}
		visit(subject, kind, body)
		return nil
	}, q+` ORDER BY l.subject, CASE WHEN l.position IS NULL THEN 1 ELSE 0 END, l.position, l.id`, args...)
}

// deliveryFacts is a delivery, the receipts that give its status, the step of
// the last one that the sender has, and the arrivals with the same content.
type deliveryFacts struct {
	id                 DeliveryID
	document           DocumentID
	recipient          registry.AgencyID
	channel, transport string
	status             Status
	step, last         int64
	receipts, arrivals int
}

func selectDeliveryFacts(ctx context.Context, tx *sqldb.Tx, after string, limit int) ([]deliveryFacts, error) {
	// Receipts are found by their arrival, whose indexes serve one delivery each;
	// those of a document are as many as its deliveries.
	const receipts = ` FROM exchange_incoming i JOIN exchange_receipt r ON r.incoming = i.id
		WHERE i.agency = v.recipient AND i.sender = v.sender AND i.document = v.document AND r.accepted > 0`
	const foreign = ` FROM exchange_foreign_receipt r WHERE r.document = v.document AND r.from_agency = v.recipient`
	const same = ` AND r.step = v.step AND r.status = v.status AND r.arrival_number = v.arrival_number
				AND v.final = CASE WHEN r.status IN ('02', '06', '15') THEN 1 ELSE 0 END`
	return sqldb.Collect(ctx, tx, func(row scanner) (deliveryFacts, error) {
		var f deliveryFacts
		err := row.Scan(&f.id, &f.document, &f.recipient, &f.channel, &f.transport, &f.status, &f.step, &f.last, &f.receipts, &f.arrivals)
		return f, err
	}, `SELECT v.id, v.document, v.recipient, v.channel, v.transport, v.status, v.step,
			(SELECT COALESCE(MAX(r.step), 0)`+receipts+`) + (SELECT COALESCE(MAX(r.step), 0)`+foreign+`),
			(SELECT COUNT(*)`+receipts+same+`) + (SELECT COUNT(*)`+foreign+same+`),
			(SELECT COUNT(*) FROM exchange_incoming i WHERE i.agency = v.recipient AND i.sender = v.sender AND i.document = v.document AND i.pdf = d.pdf)
		FROM exchange_delivery v JOIN exchange_document d ON d.id = v.document WHERE v.id > $1 ORDER BY v.id LIMIT $2`, after, limit)
}

// selectReceiptsAfter gives signed receipts in the order of ids.
func selectReceiptsAfter(ctx context.Context, tx *sqldb.Tx, after string, limit int) ([]Receipt, error) {
	return sqldb.Collect(ctx, tx, scanReceipt, `SELECT `+receiptColumns+` FROM exchange_receipt WHERE id > $1 AND accepted > 0 ORDER BY id LIMIT $2`, after, limit)
}

func selectDoubledIncoming(ctx context.Context, tx *sqldb.Tx) ([]string, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (string, error) {
		var agency, sender, document string
		err := row.Scan(&agency, &sender, &document)
		return document + " from " + sender + " at " + agency, err
	}, `SELECT agency, sender, document FROM exchange_incoming GROUP BY agency, sender, document HAVING COUNT(*) > 1`)
}

// incomingFacts is an arrival, its receipts (last: those that give its status),
// the deliveries it belongs to, and what the evidence says of it.
type incomingFacts struct {
	Incoming
	receipts, last, deliveries, arrivals int
	senderHere                           bool
	history                              *history // nil = no evidence
}

func selectIncomingFacts(ctx context.Context, tx *sqldb.Tx, after string, limit int) ([]incomingFacts, error) {
	list, err := sqldb.Collect(ctx, tx, func(row scanner) (f incomingFacts, err error) {
		var here int
		f.Incoming, err = scanIncoming(row, &f.receipts, &f.last, &f.deliveries, &here, &f.arrivals)
		f.senderHere = here > 0
		return f, err
	}, `SELECT `+incomingColumns+`,
			(SELECT COUNT(*) FROM exchange_receipt r WHERE r.incoming = exchange_incoming.id),
			(SELECT COUNT(*) FROM exchange_receipt r WHERE r.incoming = exchange_incoming.id AND r.step = exchange_incoming.version
				AND r.status = exchange_incoming.status),
			(SELECT COUNT(*) FROM exchange_delivery v WHERE v.document = exchange_incoming.document AND v.recipient = exchange_incoming.agency
				AND v.sender = exchange_incoming.sender),
			(SELECT COUNT(*) FROM exchange_document d WHERE d.id = exchange_incoming.document AND d.agency = exchange_incoming.sender),
			(SELECT COUNT(*) FROM exchange_arrival a WHERE a.incoming = exchange_incoming.id AND a.differs = 0 AND a.pdf = exchange_incoming.pdf)
		FROM exchange_incoming WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	histories := map[string]*history{}
	err = readEvidence(ctx, tx, func(subject, kind string, body facts) { historyOf(histories, subject).incoming(kind, body) },
		`SELECT l.id, l.subject, l.kind, l.body FROM exchange_incoming i JOIN ledger_entry l ON l.subject = i.id WHERE i.id > $1 AND i.id <= $2
			AND l.kind LIKE 'incoming.%'`, after, string(list[len(list)-1].ID))
	for i := range list {
		list[i].history = histories[string(list[i].ID)]
	}
	return list, err
}

func eachDigest(ctx context.Context, tx *sqldb.Tx, yield func(blob.Digest) error) (err error) {
	rows, err := tx.Query(ctx, `SELECT pdf FROM exchange_document WHERE pdf <> '' UNION ALL SELECT pdf FROM exchange_revision UNION ALL SELECT pdf FROM exchange_incoming UNION ALL SELECT pdf FROM exchange_arrival`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var d blob.Digest
		if err := rows.Scan(&d); err != nil {
			return err
		}
		if err := yield(d); err != nil {
			return err
		}
	}
	return rows.Err()
}
