package exchange

import (
	"context"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// sumReceived counts the entries of the incoming registers that came from from to
// before to, by agency. Entries merged into another are one with it.
func sumReceived(ctx context.Context, tx *sqldb.Tx, from, to time.Time, add func(registry.AgencyID, Received)) error {
	return forEach(ctx, tx, func(row scanner) error {
		var agency registry.AgencyID
		var r Received
		err := row.Scan(&agency, &r.Total, &r.Electronic, &r.Signed, &r.Registered, &r.Refused)
		if err == nil {
			add(agency, r)
		}
		return err
	}, `SELECT agency, COUNT(*), COUNT(CASE WHEN medium = $3 THEN 1 END), COUNT(CASE WHEN medium = $3 AND verdict = $4 THEN 1 END),
			COUNT(CASE WHEN arrival_number > 0 THEN 1 END), COUNT(CASE WHEN status = $5 THEN 1 END)
		FROM exchange_incoming WHERE received >= $1 AND received < $2 AND merged_into = '' GROUP BY agency`,
		sqldb.Micros(from), sqldb.Micros(to), string(MediumElectronic), verdictPassed, string(StatusRefused))
}
