package exchange

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// seriesLane counts the deliveries to one recipient: the counter's row makes
// their order the order of commits.
const seriesLane = "lane"

const deliveryColumns = `id, document, recipient, seq, channel, transport, status, attempts, last_error, next, created, updated, arrival_number, addressed, successor, carried`

func scanDelivery(row scanner) (Delivery, error) {
	var d Delivery
	var next, created, updated, carried int64
	err := row.Scan(&d.ID, &d.Document, &d.Recipient, &d.Seq, &d.Channel, &d.Transport, &d.Status, &d.Attempts, &d.LastError,
		&next, &created, &updated, &d.ArrivalNumber, &d.Addressed, &d.Successor, &carried)
	d.Next, d.Created, d.Updated = sqldb.Time(next), sqldb.Time(created), sqldb.Time(updated)
	d.left = carried > 0
	return d, err
}

// insertDeliveries writes many rows per statement.
func insertDeliveries(ctx context.Context, tx *sqldb.Tx, sender registry.AgencyID, list []Delivery) error {
	const columns, most = 8, 100
	for len(list) > 0 {
		chunk := list[:min(most, len(list))]
		list = list[len(chunk):]
		var q strings.Builder
		q.WriteString(`INSERT INTO exchange_delivery (id, document, sender, recipient, seq, channel, transport, created, updated,
			status, step, final, attempts, last_error, next, arrival_number, arrival_year) VALUES `)
		args := make([]any, 0, columns*len(chunk))
		for i, d := range chunk {
			if i > 0 {
				q.WriteByte(',')
			}
			n := i * columns
			fmt.Fprintf(&q, `($%d,$%d,$%d,$%d,$%d,$%d,$%d,$%d,$%d,'',0,0,0,'',0,0,0)`, n+1, n+2, n+3, n+4, n+5, n+6, n+7, n+8, n+8)
			args = append(args, string(d.ID), string(d.Document), string(sender), string(d.Recipient), d.Seq, d.Channel, d.Transport, sqldb.Micros(d.Created))
		}
		if _, err := tx.Exec(ctx, q.String(), args...); err != nil {
			return err
		}
	}
	return nil
}

func selectDeliveries(ctx context.Context, tx *sqldb.Tx, id DocumentID) ([]Delivery, error) {
	return sqldb.Collect(ctx, tx, scanDelivery, `SELECT `+deliveryColumns+` FROM exchange_delivery WHERE document = $1 ORDER BY recipient`, string(id))
}

func selectRecipients(ctx context.Context, tx *sqldb.Tx, id DocumentID) ([]registry.AgencyID, error) {
	return collectAgencies(ctx, tx, `SELECT recipient FROM exchange_delivery WHERE document = $1 ORDER BY recipient`, string(id))
}

// selectWaiting gives the deliveries of a lane that are due, in order, with
// their documents.
func selectWaiting(ctx context.Context, tx *sqldb.Tx, recipient registry.AgencyID, now time.Time, limit int) ([]waiting, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (waiting, error) {
		var w waiting
		d := &w.document
		var issued, due, sent int64
		var details string
		err := row.Scan(&w.ID, &w.Recipient, &w.Attempts, &w.failure, &d.ID, &d.Agency, &d.Type, &d.Subject, &d.Notation, &d.Number, &d.Year, &issued,
			&d.Place, &d.Priority, &due, &d.SignerName, &d.SignerPosition, &d.Competence, &d.PDF.Digest, &d.PDF.Size, &d.Axis, &sent, &details)
		if err == nil && details != "" {
			err = json.Unmarshal([]byte(details), &d.Details)
		}
		w.Document = d.ID
		d.Issued, d.Due, d.Sent = issueDate(issued), sqldb.Time(due), sqldb.Time(sent)
		return w, err
	}, `SELECT v.id, v.recipient, v.attempts, v.failure, d.id, d.agency, d.type, d.subject, d.notation, d.number, d.year, d.issued,
			d.place, d.priority, d.due, d.signer_name, d.signer_position, d.competence, d.pdf, d.pdf_size, d.axis, d.sent, d.details
		FROM exchange_delivery v JOIN exchange_document d ON d.id = v.document
		WHERE v.recipient = $1 AND v.transport <> 'done' AND v.transport <> 'fail' AND v.transport <> 'withdrawn' AND v.next <= $2 ORDER BY v.seq LIMIT $3`,
		string(recipient), sqldb.Micros(now), limit)
}

func postponeDelivery(ctx context.Context, tx *sqldb.Tx, id DeliveryID, to registry.AgencyID, cause, failure string, at, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_delivery SET transport = 'processing', attempts = attempts + 1, last_error = $2, next = $3, updated = $4, failure = $6
		WHERE id = $1 AND recipient = $5 AND transport <> 'done' AND transport <> 'withdrawn'`, string(id), cause, sqldb.Micros(at), sqldb.Micros(now), string(to), failure)
	return err
}

// failDelivery gives a delivery up, and tells whether it is not that recipient's any more.
func failDelivery(ctx context.Context, tx *sqldb.Tx, id DeliveryID, to registry.AgencyID, cause, failure string, now time.Time) (moved bool, err error) {
	changed, err := changedAny(tx.Exec(ctx, `UPDATE exchange_delivery SET transport = 'fail', attempts = attempts + 1, last_error = $2, updated = $3, failure = $5
		WHERE id = $1 AND recipient = $4 AND transport <> 'done' AND transport <> 'withdrawn'`, string(id), cause, sqldb.Micros(now), string(to), failure))
	return !changed, err
}

// applyStatus gives a delivery the status of a receipt, unless it has a later
// one. It tells whether anything changed, and who answers for the recipient where
// that has ended.
func applyStatus(ctx context.Context, tx *sqldb.Tx, r *Receipt, now time.Time) (changed bool, successor registry.AgencyID, err error) {
	final := 0
	if r.Status.Final() {
		final = 1
	}
	err = tx.QueryRow(ctx, `UPDATE exchange_delivery SET transport = 'done', status = $3, step = $4, final = $5, arrival_number = $6, updated = $7, last_error = ''
		WHERE document = $1 AND recipient = $2 AND step < $4 RETURNING successor`,
		string(r.Document), string(r.From), string(r.Status), r.step, final, r.ArrivalNumber, sqldb.Micros(now)).Scan(&successor)
	if errors.Is(err, sql.ErrNoRows) {
		return false, "", nil
	}
	return err == nil, successor, err
}

func hasOpenDeliveries(ctx context.Context, tx *sqldb.Tx, id DocumentID) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM exchange_delivery WHERE document = $1 AND final = 0 LIMIT 1) AS open`, string(id)).Scan(&n)
	return n > 0, err
}

const receiptColumns = `id, document, incoming, from_agency, to_agency, status, step, note, arrival_number, at, body, signature, attempts`

func scanReceipt(row scanner) (Receipt, error) {
	var r Receipt
	var at int64
	var body, signature string
	err := row.Scan(&r.ID, &r.Document, &r.incoming, &r.From, &r.To, &r.Status, &r.step, &r.Note, &r.ArrivalNumber, &at, &body, &signature, &r.attempts)
	if err != nil {
		return r, err
	}
	r.At, r.Body = sqldb.Time(at), []byte(body)
	if strings.Contains(body, `"successor":`) { // rare: most receipts are the recipient's own
		var b receiptBody
		if err := json.Unmarshal(r.Body, &b); err != nil {
			return r, fmt.Errorf("receipt %s is not JSON: %w", r.ID, err)
		}
		r.Successor = b.Successor
	}
	r.Signature, err = base64.StdEncoding.DecodeString(signature)
	return r, err
}

// insertReceipt writes a receipt; accepted is when the sender's side had it, zero
// = the lane job still has to sign it and hand it over.
func insertReceipt(ctx context.Context, tx *sqldb.Tx, r *Receipt, in IncomingID, step int64, accepted time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_receipt (`+receiptColumns+`, accepted, next, last_error)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,0,$13,0,'')`,
		r.ID, string(r.Document), string(in), string(r.From), string(r.To), string(r.Status), step, r.Note, r.ArrivalNumber, sqldb.Micros(r.At),
		string(r.Body), base64.StdEncoding.EncodeToString(r.Signature), sqldb.Micros(accepted))
	return err
}

// storeSignature completes a receipt; false when it is complete already.
func storeSignature(ctx context.Context, tx *sqldb.Tx, r *Receipt, now time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `UPDATE exchange_receipt SET signature = $2, accepted = $3, last_error = '' WHERE id = $1 AND accepted = 0`,
		r.ID, base64.StdEncoding.EncodeToString(r.Signature), sqldb.Micros(now))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func postponeReceipt(ctx context.Context, tx *sqldb.Tx, id, cause string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_receipt SET attempts = attempts + 1, last_error = $2, next = $3 WHERE id = $1 AND accepted = 0`,
		id, cause, sqldb.Micros(at))
	return err
}

func selectPendingReceipts(ctx context.Context, tx *sqldb.Tx, to registry.AgencyID, now time.Time, limit int) ([]*Receipt, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (*Receipt, error) {
		r, err := scanReceipt(row)
		return &r, err
	}, `SELECT `+receiptColumns+` FROM exchange_receipt WHERE to_agency = $1 AND accepted = 0 AND next <= $2 ORDER BY at, id LIMIT $3`,
		string(to), sqldb.Micros(now), limit)
}

// selectReceipts reads by column document or incoming, oldest first; accepted
// leaves out those the sender does not have yet.
func selectReceipts(ctx context.Context, tx *sqldb.Tx, column, value string, accepted bool) ([]Receipt, error) {
	q := `SELECT ` + receiptColumns + ` FROM exchange_receipt WHERE ` + column + ` = $1`
	if accepted {
		q += ` AND accepted > 0`
	}
	return sqldb.Collect(ctx, tx, scanReceipt, q+` ORDER BY from_agency, step`, value)
}

// retryDeliveries puts the failed deliveries of a document back and gives their
// recipients in code order.
func retryDeliveries(ctx context.Context, tx *sqldb.Tx, id DocumentID, now time.Time) ([]registry.AgencyID, error) {
	list, err := collectAgencies(ctx, tx, `SELECT recipient FROM exchange_delivery WHERE document = $1 AND transport = 'fail' ORDER BY recipient`, string(id))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	_, err = tx.Exec(ctx, `UPDATE exchange_delivery SET transport = 'initial', attempts = 0, next = 0, updated = $2, failure = '' WHERE document = $1 AND transport = 'fail'`,
		string(id), sqldb.Micros(now))
	return list, err
}

func collectAgencies(ctx context.Context, tx *sqldb.Tx, q string, args ...any) ([]registry.AgencyID, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (registry.AgencyID, error) {
		var a registry.AgencyID
		err := row.Scan(&a)
		return a, err
	}, q, args...)
}

func selectWaitingLanes(ctx context.Context, tx *sqldb.Tx) ([]registry.AgencyID, error) {
	return collectAgencies(ctx, tx, `SELECT DISTINCT recipient FROM exchange_delivery WHERE transport <> 'done' AND transport <> 'fail' AND transport <> 'withdrawn' ORDER BY recipient`)
}

func selectReceiptLanes(ctx context.Context, tx *sqldb.Tx) ([]registry.AgencyID, error) {
	return collectAgencies(ctx, tx, `SELECT DISTINCT to_agency FROM exchange_receipt WHERE accepted = 0 ORDER BY to_agency`)
}

func selectNotifyLanes(ctx context.Context, tx *sqldb.Tx) ([]registry.AgencyID, error) {
	return collectAgencies(ctx, tx, `SELECT DISTINCT agency FROM exchange_incoming WHERE notified = 0 ORDER BY agency`)
}

// selectUnarchived gives documents whose deliveries are all final and that have
// no package.
func selectUnarchived(ctx context.Context, tx *sqldb.Tx) ([]DocumentID, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (DocumentID, error) {
		var id DocumentID
		err := row.Scan(&id)
		return id, err
	}, `SELECT d.id FROM exchange_document d WHERE d.state = 'sent' AND d.archived = 0
		AND NOT EXISTS (SELECT 1 FROM exchange_delivery v WHERE v.document = d.id AND v.final = 0) ORDER BY d.id`)
}
