package exchange

import (
	"context"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// countDocuments counts numbered documents issued in the period by agency and
// state; only "" is every agency.
func countDocuments(ctx context.Context, tx *sqldb.Tx, only registry.AgencyID, from, to time.Time) ([]documentGroup, error) {
	q := query{text: `SELECT agency, state, COUNT(*) FROM exchange_document WHERE number > 0`}
	q.and(` AND issued >= $%d`, sqldb.Micros(from))
	q.and(` AND issued < $%d`, sqldb.Micros(to))
	if only != "" {
		q.and(` AND agency = $%d`, string(only))
	}
	return collect(ctx, tx, func(row scanner) (documentGroup, error) {
		var g documentGroup
		err := row.Scan(&g.agency, &g.state, &g.count)
		return g, err
	}, q.text+` GROUP BY agency, state`, q.args...)
}

// countDeliveries counts the deliveries of the same documents.
func countDeliveries(ctx context.Context, tx *sqldb.Tx, only registry.AgencyID, from, to time.Time) ([]deliveryGroup, error) {
	q := query{text: `SELECT d.agency, v.transport, v.status, CASE WHEN v.arrival_number > 0 THEN 1 ELSE 0 END AS registered, COUNT(*)
		FROM exchange_document d JOIN exchange_delivery v ON v.document = d.id WHERE d.number > 0`}
	q.and(` AND d.issued >= $%d`, sqldb.Micros(from))
	q.and(` AND d.issued < $%d`, sqldb.Micros(to))
	if only != "" {
		q.and(` AND d.agency = $%d`, string(only))
	}
	return collect(ctx, tx, func(row scanner) (deliveryGroup, error) {
		var g deliveryGroup
		var registered int
		err := row.Scan(&g.agency, &g.transport, &g.status, &registered, &g.count)
		g.registered = registered != 0
		return g, err
	}, q.text+` GROUP BY d.agency, v.transport, v.status, registered`, q.args...)
}
