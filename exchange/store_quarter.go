package exchange

import (
	"context"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// selectReceivers gives the agencies that have incoming registers: one step in the
// index for each, however many entries they have.
func selectReceivers(ctx context.Context, tx *sqldb.Tx) ([]registry.AgencyID, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (a registry.AgencyID, err error) {
		return a, row.Scan(&a)
	}, `WITH RECURSIVE receiver (agency) AS (
			SELECT (SELECT MIN(agency) FROM exchange_incoming)
			UNION ALL SELECT (SELECT MIN(i.agency) FROM exchange_incoming i WHERE i.agency > receiver.agency) FROM receiver WHERE receiver.agency IS NOT NULL
		) SELECT agency FROM receiver WHERE agency IS NOT NULL`)
}

// countReceived counts the entries of an agency's incoming register that came from
// from to before to. Entries merged into another are one with it.
func countReceived(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, from, to time.Time) (r Received, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*), COUNT(CASE WHEN medium = $4 THEN 1 END), COUNT(CASE WHEN medium = $4 AND verdict = $5 THEN 1 END),
			COUNT(CASE WHEN arrival_number > 0 THEN 1 END), COUNT(CASE WHEN status = $6 THEN 1 END)
		FROM exchange_incoming WHERE agency = $1 AND received >= $2 AND received < $3 AND merged_into = ''`,
		string(agency), sqldb.Micros(from), sqldb.Micros(to), string(MediumElectronic), verdictPassed, string(StatusRefused)).
		Scan(&r.Total, &r.Electronic, &r.Signed, &r.Registered, &r.Refused)
	return r, err
}
