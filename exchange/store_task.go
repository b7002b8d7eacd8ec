package exchange

import (
	"context"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

func insertTask(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, t Task) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_task (id, incoming, agency, person, part, given_by, given, due, note, ended, result, withdrawn)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,0,'','') ON CONFLICT DO NOTHING`, // who has the part already keeps it
		t.ID, string(t.Incoming), string(agency), string(t.Person), string(t.Part), t.GivenBy, sqldb.Micros(t.Given), sqldb.Micros(t.Due), t.Note)
	return err
}

// endTasks ends a person's open part: done with a result, or withdrawn with a reason.
func endTasks(ctx context.Context, tx *sqldb.Tx, id IncomingID, person registry.PersonID, part Part, result, withdrawn string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_task SET ended = $4, result = $5, withdrawn = $6 WHERE incoming = $1 AND person = $2 AND part = $3 AND ended = 0`,
		string(id), string(person), string(part), sqldb.Micros(at), result, withdrawn)
	return err
}

// endAllTasks ends what is open when the whole work is done.
func endAllTasks(ctx context.Context, tx *sqldb.Tx, id IncomingID, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_task SET ended = $2 WHERE incoming = $1 AND ended = 0`, string(id), sqldb.Micros(at))
	return err
}

func hasTask(ctx context.Context, tx *sqldb.Tx, id IncomingID, person registry.PersonID, part Part) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM exchange_task WHERE incoming = $1 AND person = $2 AND part = $3 AND ended = 0`, string(id), string(person), string(part)).Scan(&n)
	return n > 0, err
}

func selectTaskRows(ctx context.Context, tx *sqldb.Tx, id IncomingID) ([]Task, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Task, error) {
		var t Task
		var given, due, ended int64
		err := row.Scan(&t.ID, &t.Incoming, &t.Person, &t.Part, &t.GivenBy, &given, &due, &t.Note, &ended, &t.Result, &t.Withdrawn)
		t.Given, t.Due, t.Ended = sqldb.Time(given), issueDate(due), sqldb.Time(ended)
		return t, err
	}, `SELECT id, incoming, person, part, given_by, given, due, note, ended, result, withdrawn FROM exchange_task WHERE incoming = $1 ORDER BY id`, string(id))
}

func insertOpinion(ctx context.Context, tx *sqldb.Tx, r Opinion) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_remark (id, incoming, kind, person, name, position, at, text) VALUES ($1,$2,$3,$4,$5,'',$6,$7)`,
		r.ID, string(r.Incoming), string(r.Kind), string(r.Person), r.Name, sqldb.Micros(r.At), r.Text)
	return err
}

func selectOpinions(ctx context.Context, tx *sqldb.Tx, id IncomingID) ([]Opinion, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Opinion, error) {
		var r Opinion
		var at int64
		err := row.Scan(&r.ID, &r.Incoming, &r.Kind, &r.Person, &r.Name, &at, &r.Text)
		r.At = sqldb.Time(at)
		return r, err
	}, `SELECT id, incoming, kind, person, name, at, text FROM exchange_remark WHERE incoming = $1 ORDER BY id`, string(id))
}

func insertAnswer(ctx context.Context, tx *sqldb.Tx, d DocumentID, in IncomingID, at time.Time, by string) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_answer (document, incoming, at, person) VALUES ($1,$2,$3,$4) ON CONFLICT DO NOTHING`,
		string(d), string(in), sqldb.Micros(at), by)
	return err
}

// selectTasks lists open work of table i by view.
func selectTasks(ctx context.Context, tx *sqldb.Tx, by registry.Actor, view TaskView, now time.Time, after string, limit int) ([]Incoming, error) {
	const dueDay = `CASE WHEN i.task_due > 0 THEN i.task_due ELSE i.due END`
	q := query{text: `SELECT ` + incomingColumns + ` FROM exchange_incoming i WHERE i.merged_into = '' AND ` + workOpen}
	q.and(` AND i.agency = $%d`, string(by.Agency))
	switch view {
	case TasksMine:
		q.and(` AND i.assignee = $%d`, string(by.Person))
	case TasksCo:
		q.and(` AND EXISTS (SELECT 1 FROM exchange_task t WHERE t.incoming = i.id AND t.part = 'co' AND t.ended = 0 AND t.person = $%d)`, string(by.Person))
	case TasksUnassigned:
		q.text += ` AND i.assignee = ''`
	case TasksOverdue:
		q.text += ` AND ` + dueDay + ` > 0`
		q.and(` AND `+dueDay+` < $%d`, sqldb.Micros(dateOf(now)))
		if !by.System && !by.Has(registry.RoleLeader) && !by.Has(registry.RoleClerk) {
			q.and(` AND i.assignee = $%d`, string(by.Person))
		}
	}
	if after != "" {
		q.and(` AND i.id < $%d`, after)
	}
	q.and(` ORDER BY i.id DESC LIMIT $%d`, limit)
	return sqldb.Collect(ctx, tx, func(row scanner) (Incoming, error) { return scanIncoming(row) }, q.text, q.args...)
}
