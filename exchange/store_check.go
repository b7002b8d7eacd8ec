package exchange

import (
	"context"
	"errors"

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
	return collect(ctx, tx, scanNumbering, `SELECT c.agency, c.series, c.year, c.last, COUNT(n.number), COALESCE(MIN(n.number), 0), COALESCE(MAX(n.number), 0)
		FROM exchange_counter c LEFT JOIN exchange_number n ON n.agency = c.agency AND n.series = c.series AND n.year = c.year
		WHERE c.series = $1 GROUP BY c.agency, c.series, c.year, c.last`, seriesOutgoing)
}

func selectIncomingNumbering(ctx context.Context, tx *sqldb.Tx) ([]numbering, error) {
	return collect(ctx, tx, scanNumbering, `SELECT c.agency, c.series, c.year, c.last, COUNT(i.arrival_number), COALESCE(MIN(i.arrival_number), 0), COALESCE(MAX(i.arrival_number), 0)
		FROM exchange_counter c LEFT JOIN exchange_incoming i ON i.agency = c.agency AND i.arrival_year = c.year AND i.arrival_number > 0
		WHERE c.series = $1 GROUP BY c.agency, c.series, c.year, c.last`, seriesIncoming)
}

// selectStrayNumbers finds documents and number records that disagree: missing on
// one side, a different number, or cancelled on one side only.
func selectStrayNumbers(ctx context.Context, tx *sqldb.Tx) ([]DocumentID, error) {
	return collect(ctx, tx, func(row scanner) (DocumentID, error) {
		var id DocumentID
		err := row.Scan(&id)
		return id, err
	}, `SELECT d.id FROM exchange_document d LEFT JOIN exchange_number n ON n.document = d.id
			WHERE (d.number > 0 AND n.number IS NULL) OR n.number <> d.number OR n.year <> d.year OR n.agency <> d.agency
				OR (d.state = 'cancelled' AND n.cancelled = 0) OR (d.state <> 'cancelled' AND n.cancelled > 0)`)
}

// documentFacts is a document and how many deliveries it has.
type documentFacts struct {
	Document
	deliveries int
}

func selectDocumentFacts(ctx context.Context, tx *sqldb.Tx, after string, limit int) ([]documentFacts, error) {
	return collect(ctx, tx, func(row scanner) (documentFacts, error) {
		var f documentFacts
		var archived int64
		err := row.Scan(&f.ID, &f.State, &f.Number, &f.PDF.Digest, &f.PDF.Size, &archived, &f.Package.Digest, &f.Package.Size, &f.deliveries)
		f.Archived = sqldb.Time(archived)
		return f, err
	}, `SELECT d.id, d.state, d.number, d.pdf, d.pdf_size, d.archived, d.package, d.package_size,
			(SELECT COUNT(*) FROM exchange_delivery v WHERE v.document = d.id)
		FROM exchange_document d WHERE d.id > $1 ORDER BY d.id LIMIT $2`, after, limit)
}

// deliveryFacts is a delivery, the receipts that give its status, and the
// arrivals with the same content.
type deliveryFacts struct {
	id                 DeliveryID
	document           DocumentID
	recipient          registry.AgencyID
	channel, transport string
	status             Status
	receipts, arrivals int
}

func selectDeliveryFacts(ctx context.Context, tx *sqldb.Tx, after string, limit int) ([]deliveryFacts, error) {
	return collect(ctx, tx, func(row scanner) (deliveryFacts, error) {
		var f deliveryFacts
		err := row.Scan(&f.id, &f.document, &f.recipient, &f.channel, &f.transport, &f.status, &f.receipts, &f.arrivals)
		return f, err
	}, `SELECT v.id, v.document, v.recipient, v.channel, v.transport, v.status,
			(SELECT COUNT(*) FROM exchange_receipt r WHERE r.document = v.document AND r.from_agency = v.recipient
				AND r.step = v.step AND r.status = v.status AND r.accepted > 0),
			(SELECT COUNT(*) FROM exchange_incoming i WHERE i.agency = v.recipient AND i.sender = v.sender AND i.document = v.document AND i.pdf = d.pdf)
		FROM exchange_delivery v JOIN exchange_document d ON d.id = v.document WHERE v.id > $1 ORDER BY v.id LIMIT $2`, after, limit)
}

// selectReceiptsAfter gives signed receipts in the order of ids.
func selectReceiptsAfter(ctx context.Context, tx *sqldb.Tx, after string, limit int) ([]Receipt, error) {
	return collect(ctx, tx, scanReceipt, `SELECT `+receiptColumns+` FROM exchange_receipt WHERE id > $1 AND accepted > 0 ORDER BY id LIMIT $2`, after, limit)
}

func selectDoubledIncoming(ctx context.Context, tx *sqldb.Tx) ([]string, error) {
	return collect(ctx, tx, func(row scanner) (string, error) {
		var agency, sender, document string
		err := row.Scan(&agency, &sender, &document)
		return document + " from " + sender + " at " + agency, err
	}, `SELECT agency, sender, document FROM exchange_incoming GROUP BY agency, sender, document HAVING COUNT(*) > 1`)
}

// incomingFacts is an arrival, its receipts, and the deliveries it belongs to.
type incomingFacts struct {
	id                   IncomingID
	agency               registry.AgencyID
	document             DocumentID
	pdf                  blob.Ref
	version              int64
	receipts, deliveries int
	senderHere           bool
}

func selectIncomingFacts(ctx context.Context, tx *sqldb.Tx, after string, limit int) ([]incomingFacts, error) {
	return collect(ctx, tx, func(row scanner) (incomingFacts, error) {
		var f incomingFacts
		var here int
		err := row.Scan(&f.id, &f.agency, &f.document, &f.pdf.Digest, &f.pdf.Size, &f.version, &f.receipts, &f.deliveries, &here)
		f.senderHere = here > 0
		return f, err
	}, `SELECT i.id, i.agency, i.document, i.pdf, i.pdf_size, i.version,
			(SELECT COUNT(*) FROM exchange_receipt r WHERE r.incoming = i.id),
			(SELECT COUNT(*) FROM exchange_delivery v WHERE v.document = i.document AND v.recipient = i.agency AND v.sender = i.sender),
			(SELECT COUNT(*) FROM exchange_document d WHERE d.id = i.document AND d.agency = i.sender)
		FROM exchange_incoming i WHERE i.id > $1 ORDER BY i.id LIMIT $2`, after, limit)
}

func eachDigest(ctx context.Context, tx *sqldb.Tx, yield func(blob.Digest) error) (err error) {
	rows, err := tx.Query(ctx, `SELECT pdf FROM exchange_document UNION ALL SELECT pdf FROM exchange_revision UNION ALL SELECT pdf FROM exchange_incoming`)
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
