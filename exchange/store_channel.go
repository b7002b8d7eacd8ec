package exchange

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// selectDeliveryByAxis finds the delivery of a document, named as on the axis, to a recipient; nil when there is none. One
// that went on to a successor is found by the code to which it was addressed, and has the successor's as its Recipient.
func selectDeliveryByAxis(ctx context.Context, tx *sqldb.Tx, sender registry.AgencyID, axis string, recipient registry.AgencyID) (*Delivery, error) {
	d, err := scanDelivery(tx.QueryRow(ctx, `SELECT `+deliveryColumns+` FROM exchange_delivery
		WHERE (recipient = $3 OR addressed = $3) AND document IN (SELECT id FROM exchange_document WHERE agency = $1 AND axis = $2)
		ORDER BY CASE WHEN recipient = $3 THEN 0 ELSE 1 END LIMIT 1`, string(sender), axis, string(recipient)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &d, err
}

// settleDelivery writes how a delivery ended at its channel. What failed there came back: it has not left any more.
func settleDelivery(ctx context.Context, tx *sqldb.Tx, id DeliveryID, transport, reason, failure string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_delivery SET transport = $2, last_error = $3, updated = $4, failure = $5,
		carried = CASE WHEN $2 = 'fail' THEN 0 ELSE carried END WHERE id = $1`,
		string(id), transport, reason, sqldb.Micros(now), failure)
	return err
}

// markCarried notes that the channel has a delivery for a recipient; it tells whether it is the first time. One that was
// settled, taken back or given to a successor meanwhile stays as it is.
func markCarried(ctx context.Context, tx *sqldb.Tx, id DeliveryID, recipient registry.AgencyID, channel string, again, now time.Time) (bool, error) {
	var was, failed, to string
	err := tx.QueryRow(ctx, `SELECT transport, last_error, recipient FROM exchange_delivery WHERE id = $1`, string(id)).Scan(&was, &failed, &to)
	if err != nil || was == TransportDone || was == TransportFail || was == TransportWithdrawn || to != string(recipient) {
		return false, err
	}
	_, err = tx.Exec(ctx, `UPDATE exchange_delivery SET transport = 'processing', channel = $4, last_error = '', next = $2, updated = $3,
		carried = CASE WHEN carried = 0 THEN $3 ELSE carried END WHERE id = $1`,
		string(id), sqldb.Micros(again), sqldb.Micros(now), channel)
	return was == TransportInitial || failed != "", err
}

// nextStep gives the step of a status that carries none of its own.
func nextStep(ctx context.Context, tx *sqldb.Tx, id DeliveryID) (int64, error) {
	var step int64
	err := tx.QueryRow(ctx, `SELECT step FROM exchange_delivery WHERE id = $1`, string(id)).Scan(&step)
	return step + 1, err
}

// selectEnvelopeOf gives the envelope with which the document of a receipt arrived.
func selectEnvelopeOf(ctx context.Context, tx *sqldb.Tx, id IncomingID) (string, error) {
	var envelope string
	err := tx.QueryRow(ctx, `SELECT envelope FROM exchange_incoming WHERE id = $1`, string(id)).Scan(&envelope)
	return envelope, err
}

// selectAsked gives the latest request about a document that a recipient has not answered, "" when there is none.
func selectAsked(ctx context.Context, tx *sqldb.Tx, id DocumentID, recipient registry.AgencyID) (RequestID, error) {
	var request RequestID
	err := tx.QueryRow(ctx, `SELECT c.request FROM exchange_request_copy c JOIN exchange_request r ON r.id = c.request
		WHERE r.document = $1 AND c.recipient = $2 AND (c.fate = 'asked' OR c.fate = 'on-its-way') ORDER BY c.request DESC LIMIT 1`,
		string(id), string(recipient)).Scan(&request)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return request, err
}
