package exchange

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

const foreignColumns = `id, document, '', from_agency, to_agency, status, step, note, arrival_number, at, body, signature, 0`

// insertForeignReceipt keeps a receipt; where one has its place already it gives that one's id.
func insertForeignReceipt(ctx context.Context, tx *sqldb.Tx, r *Receipt, f ForeignReceipt, now time.Time) (known string, err error) {
	err = tx.QueryRow(ctx, `SELECT id FROM exchange_foreign_receipt WHERE id = $1 OR (document = $2 AND from_agency = $3 AND step = $4)`,
		r.ID, string(r.Document), string(r.From), r.step).Scan(&known)
	if !errors.Is(err, sql.ErrNoRows) {
		return known, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO exchange_foreign_receipt (id, document, from_agency, to_agency, status, step, note, arrival_number, at, body, signature, certificate, hub, accepted)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`, r.ID, string(r.Document), string(r.From), string(r.To), string(r.Status), r.step, r.Note,
		r.ArrivalNumber, sqldb.Micros(r.At), string(r.Body), base64.StdEncoding.EncodeToString(r.Signature), f.Certificate, f.Hub, sqldb.Micros(now))
	return "", err
}

// selectAllReceipts gives the receipts held for a document, of this hub and of others, by recipient and step.
func selectAllReceipts(ctx context.Context, tx *sqldb.Tx, id DocumentID) ([]Receipt, error) {
	list, err := selectReceipts(ctx, tx, `document`, string(id), true)
	if err != nil {
		return nil, err
	}
	foreign, err := sqldb.Collect(ctx, tx, scanReceipt, `SELECT `+foreignColumns+` FROM exchange_foreign_receipt WHERE document = $1 ORDER BY from_agency, step`, string(id))
	if err != nil || len(foreign) == 0 {
		return list, err
	}
	list = append(list, foreign...)
	slices.SortStableFunc(list, func(a, b Receipt) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.step, b.step)) })
	return list, nil
}

// foreignRow is a receipt of another hub with what it was accepted by.
type foreignRow struct {
	Receipt
	certificate, hub string
}

// selectForeignCertificates gives the fingerprints by which receipts of other hubs for a document were taken, by the agency
// that signed.
func selectForeignCertificates(ctx context.Context, tx *sqldb.Tx, id DocumentID) (map[registry.AgencyID][]string, error) {
	type row struct{ body, certificate string }
	list, err := sqldb.Collect(ctx, tx, func(s scanner) (r row, err error) { return r, s.Scan(&r.body, &r.certificate) },
		`SELECT body, certificate FROM exchange_foreign_receipt WHERE document = $1 ORDER BY from_agency, step`, string(id))
	if err != nil {
		return nil, err
	}
	out := map[registry.AgencyID][]string{}
	for _, r := range list {
		var b receiptBody
		if err := json.Unmarshal([]byte(r.body), &b); err != nil {
			return nil, fmt.Errorf("a receipt of another hub: %w", err)
		}
		signer := cmp.Or(b.Successor, b.From)
		if !slices.Contains(out[signer], r.certificate) {
			out[signer] = append(out[signer], r.certificate)
		}
	}
	return out, nil
}

func selectForeignAfter(ctx context.Context, tx *sqldb.Tx, after string, limit int) ([]foreignRow, error) {
	list, err := sqldb.Collect(ctx, tx, scanReceipt, `SELECT `+foreignColumns+` FROM exchange_foreign_receipt WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]foreignRow, len(list))
	for i, r := range list {
		out[i].Receipt = r
		err := tx.QueryRow(ctx, `SELECT certificate, hub FROM exchange_foreign_receipt WHERE id = $1`, r.ID).Scan(&out[i].certificate, &out[i].hub)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func hasDelivery(ctx context.Context, tx *sqldb.Tx, id DocumentID, to registry.AgencyID) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM exchange_delivery WHERE document = $1 AND recipient = $2`, string(id), string(to)).Scan(&n)
	return n > 0, err
}

// wakeDeliveries makes due what waits after a failure; it tells whether there is any.
func wakeDeliveries(ctx context.Context, tx *sqldb.Tx, to registry.AgencyID, now time.Time) (bool, error) {
	const most = 8 // attempts that still count: the next failure waits for minutes, not for an hour
	return changedAny(tx.Exec(ctx, `UPDATE exchange_delivery SET next = $2, attempts = CASE WHEN attempts > $3 THEN $3 ELSE attempts END
		WHERE recipient = $1 AND transport = 'processing' AND last_error <> '' AND next > $2`, string(to), sqldb.Micros(now), most))
}

func eachSentByHub(ctx context.Context, tx *sqldb.Tx, from, to time.Time, yield func(RegisterLine) error) error {
	rows, err := tx.Query(ctx, `SELECT v.document, v.sender, v.recipient, d.type, d.number, d.year, d.notation, d.pdf, v.arrival_number, d.sent
		FROM exchange_delivery v JOIN exchange_document d ON d.id = v.document
		WHERE v.channel = 'hub' AND v.transport = 'done' AND v.created >= $1 AND d.sent >= $1 AND d.sent < $2`, sqldb.Micros(from), sqldb.Micros(to))
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err says it
	for rows.Next() {
		var l RegisterLine
		var kind, notation string
		var number, year int
		var sent int64
		if err := rows.Scan(&l.Document, &l.From, &l.To, &kind, &number, &year, &notation, &l.Digest, &l.ArrivalNumber, &sent); err != nil {
			return fmt.Errorf("reading the register: %w", err)
		}
		l.Code, l.Sent = codeOf(kind, number, year, notation), sqldb.Time(sent)
		if err := yield(l); err != nil {
			return err
		}
	}
	return rows.Err()
}

func eachCameByHub(ctx context.Context, tx *sqldb.Tx, from, to time.Time, yield func(RegisterLine) error) error {
	rows, err := tx.Query(ctx, `SELECT a.document, a.sender, a.agency, i.code, i.pdf, i.arrival_number, a.sent
		FROM exchange_arrival a JOIN exchange_incoming i ON i.id = a.incoming
		WHERE a.channel = 'peer' AND a.differs = 0 AND a.sent >= $1 AND a.sent < $2`, sqldb.Micros(from), sqldb.Micros(to))
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err says it
	for rows.Next() {
		var l RegisterLine
		var sent int64
		if err := rows.Scan(&l.Document, &l.From, &l.To, &l.Code, &l.Digest, &l.ArrivalNumber, &sent); err != nil {
			return fmt.Errorf("reading the register: %w", err)
		}
		l.Sent = sqldb.Time(sent)
		if err := yield(l); err != nil {
			return err
		}
	}
	return rows.Err()
}
