package exchange

import (
	"context"
	"errors"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// dayOfIssue is the day in Vietnam, counted from 1 January 1970 there: integer
// division is the floor, since a numbered document is issued after that day.
const dayOfIssue = `(d.issued + 25200000000) / 86400000000 AS day` // 7 h, 24 h in microseconds

// countDocuments counts numbered documents issued in the period by agency, type,
// day and state; only "" is every agency.
func countDocuments(ctx context.Context, tx *sqldb.Tx, only registry.AgencyID, from, to time.Time, add func(documentGroup)) error {
	q := issuedIn(`SELECT d.agency, d.type, `+dayOfIssue+`, d.state, COUNT(*) FROM exchange_document d WHERE d.number > 0`, only, from, to)
	return forEach(ctx, tx, func(row scanner) error {
		var g documentGroup
		err := row.Scan(&g.agency, &g.docType, &g.day, &g.state, &g.count)
		add(g)
		return err
	}, q.text+` GROUP BY d.agency, d.type, day, d.state`, q.args...)
}

// countDeliveries counts the deliveries of the same documents.
func countDeliveries(ctx context.Context, tx *sqldb.Tx, only registry.AgencyID, from, to time.Time, add func(deliveryGroup)) error {
	q := issuedIn(`SELECT d.agency, d.type, `+dayOfIssue+`, v.transport, v.status, CASE WHEN v.arrival_number > 0 THEN 1 ELSE 0 END AS registered, COUNT(*)
		FROM exchange_document d JOIN exchange_delivery v ON v.document = d.id WHERE d.number > 0`, only, from, to)
	return forEach(ctx, tx, func(row scanner) error {
		var g deliveryGroup
		var registered int
		err := row.Scan(&g.agency, &g.docType, &g.day, &g.transport, &g.status, &registered, &g.count)
		g.registered = registered != 0
		add(g)
		return err
	}, q.text+` GROUP BY d.agency, d.type, day, v.transport, v.status, registered`, q.args...)
}

// issuedIn adds the period and the agency to a query over exchange_document d.
func issuedIn(text string, only registry.AgencyID, from, to time.Time) query {
	q := query{text: text}
	q.and(` AND d.issued >= $%d`, sqldb.Micros(from))
	q.and(` AND d.issued < $%d`, sqldb.Micros(to))
	if only != "" {
		q.and(` AND d.agency = $%d`, string(only))
	}
	return q
}

// forEach visits the rows one by one: there can be as many groups as documents.
func forEach(ctx context.Context, tx *sqldb.Tx, visit func(scanner) error, q string, args ...any) (err error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
