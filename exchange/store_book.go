package exchange

import (
	"context"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// workOpen is where work on an incoming document of table i goes on: registered
// and not at an end, or opened again after its end.
const workOpen = `(i.arrival_number > 0 AND (i.status IN ('03', '04', '05', '13', '16') OR (i.status = '06' AND i.reopened > 0)))`

// selectFollowUp reads a year's follow-up register without names.
func selectFollowUp(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, year int) ([]FollowUpEntry, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (FollowUpEntry, error) {
		var e FollowUpEntry
		var issued, due, registered, finished int64
		var answered, open int
		var notation string
		err := row.Scan(&e.Incoming, &e.ArrivalNumber, &e.typ, &e.code, &issued, &e.sender, &e.senderName, &e.handler, &due, &e.Status, &registered, &finished,
			&e.Note, &answered, &notation, &open)
		e.issued, e.Due, e.Arrived, e.Finished = issueDate(issued), issueDate(due), sqldb.Time(registered), sqldb.Time(finished)
		e.Answer, e.open = FormatCode(answered, notation), open != 0
		return e, err
	}, `SELECT i.id, i.arrival_number, i.type, i.code, i.issued, i.sender, i.sender_name, i.assignee,
			CASE WHEN i.task_due > 0 THEN i.task_due ELSE i.due END, i.status, i.registered, i.finished, i.note,
			COALESCE(d.number, 0), COALESCE(d.notation, ''), CASE WHEN `+workOpen+` THEN 1 ELSE 0 END
		FROM exchange_incoming i LEFT JOIN exchange_document d ON d.id = i.answer
		WHERE i.agency = $1 AND i.arrival_year = $2 AND i.arrival_number > 0 ORDER BY i.arrival_number`, string(agency), year)
}

// eachCoHandler visits who takes or took part in the work of a year.
func eachCoHandler(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, year int, visit func(IncomingID, registry.PersonID)) error {
	return forEach(ctx, tx, func(row scanner) error {
		var id IncomingID
		var p registry.PersonID
		err := row.Scan(&id, &p)
		visit(id, p)
		return err
	}, `SELECT t.incoming, t.person FROM exchange_incoming i JOIN exchange_task t ON t.incoming = i.id
		WHERE i.agency = $1 AND i.arrival_year = $2 AND i.arrival_number > 0 AND t.part = 'co' AND t.withdrawn = '' ORDER BY t.incoming, t.id`, string(agency), year)
}

// countIssued counts an agency's numbered documents of a period by type and state.
func countIssued(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, from, to time.Time, add func(docType string, state State, n int)) error {
	return forEach(ctx, tx, func(row scanner) error {
		var docType string
		var state State
		var n int
		err := row.Scan(&docType, &state, &n)
		add(docType, state, n)
		return err
	}, `SELECT d.type, d.state, COUNT(*) FROM exchange_document d WHERE d.number > 0 AND d.issued >= $1 AND d.issued < $2 AND d.agency = $3
		GROUP BY d.type, d.state`, sqldb.Micros(from), sqldb.Micros(to), string(agency))
}

// countOutgoing counts the deliveries of the same documents.
func countOutgoing(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, from, to time.Time, add func(outgoingGroup)) error {
	return forEach(ctx, tx, func(row scanner) error {
		var g outgoingGroup
		err := row.Scan(&g.docType, &g.status, &g.count)
		add(g)
		return err
	}, `SELECT d.type, v.status, COUNT(*) FROM exchange_document d JOIN exchange_delivery v ON v.document = d.id
		WHERE d.number > 0 AND d.issued >= $1 AND d.issued < $2 AND d.agency = $3 GROUP BY d.type, v.status`, sqldb.Micros(from), sqldb.Micros(to), string(agency))
}
