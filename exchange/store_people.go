package exchange

import (
	"context"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// led is an open document and who gave its lead.
type led struct {
	Incoming
	givenBy string
}

// selectLedBy gives the open documents that a person leads in these registers.
func selectLedBy(ctx context.Context, tx *sqldb.Tx, p registry.PersonID, line []registry.AgencyID) ([]led, error) {
	q := query{text: `SELECT ` + incomingColumns + `, COALESCE((SELECT t.given_by FROM exchange_task t WHERE t.incoming = i.id AND t.person = i.assignee AND t.part = 'lead'
		AND t.ended = 0 LIMIT 1), '') FROM exchange_incoming i WHERE i.merged_into = '' AND ` + workOpen}
	q.and(` AND i.assignee = $%d`, string(p))
	q.anyAgency(line)
	q.text += ` ORDER BY i.id`
	return sqldb.Collect(ctx, tx, func(row scanner) (l led, err error) {
		l.Incoming, err = scanIncoming(row, &l.givenBy)
		return l, err
	}, q.text, q.args...)
}

// withdrawParts ends the parts that a person has in the work of others, and counts them.
func withdrawParts(ctx context.Context, tx *sqldb.Tx, p registry.PersonID, line []registry.AgencyID, reason string, at time.Time) (int, error) {
	q := query{text: `UPDATE exchange_task SET ended = $1, withdrawn = $2 WHERE ended = 0`, args: []any{sqldb.Micros(at), reason}}
	q.and(` AND person = $%d`, string(p))
	q.anyAgency(line)
	res, err := tx.Exec(ctx, q.text, q.args...)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}
