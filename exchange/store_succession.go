package exchange

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// openDelivery is the condition of a delivery that has not reached anybody.
const openDelivery = ` AND (transport = 'initial' OR transport = 'processing' OR transport = 'fail')`

// joinDeliveries withdraws the open deliveries to an agency whose document its
// successor has or gets by another one, or has sent itself, and gives their
// documents. One statement, however many there are.
func joinDeliveries(ctx context.Context, tx *sqldb.Tx, from, to registry.AgencyID, line []registry.AgencyID, now time.Time) ([]DocumentID, error) {
	q := query{text: `UPDATE exchange_delivery SET transport = 'withdrawn', final = 1, last_error = ''`}
	q.and(`, updated = $%d`, sqldb.Micros(now))
	q.and(`, successor = $%d`, string(to))
	q.and(` WHERE recipient = $%d`+openDelivery, string(from))
	q.and(` AND (sender = $%d`, string(to))
	q.and(` OR EXISTS (SELECT 1 FROM exchange_delivery o WHERE o.document = exchange_delivery.document
		AND ((o.recipient = $%d AND o.transport <> 'withdrawn') OR (o.transport = 'done' AND o.recipient IN (''`, string(to))
	for _, a := range line {
		if a != from {
			q.and(`, $%d`, string(a))
		}
	}
	return collectDocuments(ctx, tx, q.text+`))))) RETURNING document`, q.args...)
}

// rerouteDeliveries gives the other open deliveries to the successor, behind what
// waits in its lane, in their order, and gives their documents.
func rerouteDeliveries(ctx context.Context, tx *sqldb.Tx, from, to registry.AgencyID, now time.Time) ([]DocumentID, error) {
	var width, base int64
	err := tx.QueryRow(ctx, `SELECT last FROM exchange_counter WHERE agency = $1 AND series = $2 AND year = 0`, string(from), seriesLane).Scan(&width)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil // nothing was ever sent to it
	}
	if err != nil {
		return nil, err
	}
	err = tx.QueryRow(ctx, `INSERT INTO exchange_counter (agency, series, year, last) VALUES ($1, $2, 0, $3)
		ON CONFLICT (agency, series, year) DO UPDATE SET last = exchange_counter.last + $3 RETURNING last`, string(to), seriesLane, width).Scan(&base)
	if err != nil {
		return nil, err
	}
	moved, err := collectDocuments(ctx, tx, `UPDATE exchange_delivery SET addressed = CASE WHEN addressed = '' THEN recipient ELSE addressed END, recipient = $2,
		successor = $2, seq = seq + $3, transport = 'initial', attempts = 0, next = 0, last_error = '', updated = $4
		WHERE recipient = $1`+openDelivery+` RETURNING document`, string(from), string(to), base-width, sqldb.Micros(now))
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `UPDATE exchange_delivery SET joined = $2, successor = $2 WHERE joined = $1 AND joined <> ''
		AND EXISTS (SELECT 1 FROM exchange_delivery o WHERE o.document = exchange_delivery.document AND o.recipient = $2 AND o.transport <> 'withdrawn')
		AND NOT EXISTS (SELECT 1 FROM exchange_delivery o WHERE o.document = exchange_delivery.document AND o.recipient = $1 AND o.transport <> 'withdrawn')`,
		string(from), string(to))
	return moved, err // what shared a copy that moved goes on to share it
}

func collectDocuments(ctx context.Context, tx *sqldb.Tx, q string, args ...any) ([]DocumentID, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (id DocumentID, err error) { return id, row.Scan(&id) }, q, args...)
}

// inheritDrafts gives the unsigned drafts of an agency to another and gives their ids.
func inheritDrafts(ctx context.Context, tx *sqldb.Tx, from, to registry.AgencyID, now time.Time) ([]DocumentID, error) {
	return collectDocuments(ctx, tx, `UPDATE exchange_document SET agency = $2, version = version + 1, updated = $3
		WHERE agency = $1 AND (state = 'draft' OR state = 'initialled') AND number = 0 RETURNING id`, string(from), string(to), sqldb.Micros(now))
}

// selectUnsealed gives the documents that nobody can seal any more.
func selectUnsealed(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID) ([]Document, error) {
	return sqldb.Collect(ctx, tx, scanDocument, `SELECT `+documentColumns+` FROM exchange_document WHERE agency = $1 AND state = 'approved' ORDER BY id`, string(agency))
}

// selectAddressed gives the codes to which the sender sent what becomes of one
// copy: the code before it was rerouted, and those that share it.
func selectAddressed(ctx context.Context, tx *sqldb.Tx, id DocumentID, recipient registry.AgencyID) ([]string, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (code string, err error) { return code, row.Scan(&code) },
		`SELECT addressed FROM exchange_delivery WHERE document = $1 AND recipient = $2 AND addressed <> ''
		UNION SELECT recipient FROM exchange_delivery WHERE document = $1 AND joined = $2 AND joined <> '' ORDER BY 1`,
		string(id), string(recipient))
}

// addAddressed puts the codes that the sender used into the facts of what has
// become of copies at recipients: the rate counts by them.
func addAddressed(ctx context.Context, tx *sqldb.Tx, f facts, id DocumentID, recipients ...registry.AgencyID) error {
	var all []string
	for _, r := range recipients {
		codes, err := selectAddressed(ctx, tx, id, r)
		if err != nil {
			return err
		}
		all = append(all, codes...)
	}
	if len(all) > 0 {
		f["addressed"] = strings.Join(all, ",")
	}
	return nil
}

// shareCopy says of a delivery that was joined whose copy it shares, and
// gives the code to which that one was sent; "" when there is none.
func shareCopy(ctx context.Context, tx *sqldb.Tx, id DocumentID, from, to registry.AgencyID, line []registry.AgencyID) (code registry.AgencyID, err error) {
	q := query{text: `SELECT recipient, addressed FROM exchange_delivery WHERE transport <> 'withdrawn'`}
	q.and(` AND document = $%d`, string(id))
	q.and(` AND (recipient = $%d OR (transport = 'done' AND recipient IN (''`, string(to)) // as joinDeliveries has it
	for _, a := range line {
		q.and(`, $%d`, string(a))
	}
	var copyAt, addressed registry.AgencyID
	err = tx.QueryRow(ctx, q.text+`))) ORDER BY recipient LIMIT 1`, q.args...).Scan(&copyAt, &addressed)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `UPDATE exchange_delivery SET joined = $3 WHERE document = $1 AND (recipient = $2 OR (joined = $2 AND joined <> ''))`, string(id), string(from), string(copyAt))
	return cmp.Or(addressed, copyAt), err
}

// answeredBy says in a delivery who answers in the place of its recipient.
func answeredBy(ctx context.Context, tx *sqldb.Tx, r *Receipt, successor registry.AgencyID) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_delivery SET successor = $3 WHERE document = $1 AND recipient = $2 AND successor <> $3`,
		string(r.Document), string(r.From), string(successor))
	return err
}
