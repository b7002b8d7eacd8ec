package exchange

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/sqldb"
)

const incomingColumns = `id, agency, sender, document, code, type, subject, signer_name, issued, priority, due, pdf, pdf_size, verdict, status, version,
	arrival_number, arrival_year, received, registered, assigned, updated, assignee, note, medium, sender_name, via, task_due, finished, reopened, answer, merged_into`

// scanIncoming reads incomingColumns and then more.
func scanIncoming(row scanner, more ...any) (Incoming, error) {
	var in Incoming
	var issued, due, received, registered, assigned, updated, taskDue, finished, reopened int64
	err := row.Scan(append([]any{&in.ID, &in.Agency, &in.From, &in.Document, &in.Code, &in.Type, &in.Subject, &in.SignerName, &issued, &in.Priority, &due,
		&in.PDF.Digest, &in.PDF.Size, &in.Verdict, &in.Status, &in.version, &in.ArrivalNumber, &in.ArrivalYear,
		&received, &registered, &assigned, &updated, &in.Assignee, &in.Note, &in.Medium, &in.SenderName, &in.Via, &taskDue, &finished, &reopened, &in.Answer, &in.Merged}, more...)...)
	in.Issued, in.Due, in.Received, in.Registered = issueDate(issued), sqldb.Time(due), sqldb.Time(received), sqldb.Time(registered)
	in.Assigned, in.Updated = sqldb.Time(assigned), sqldb.Time(updated)
	in.TaskDue, in.Finished, in.Reopened = issueDate(taskDue), sqldb.Time(finished), sqldb.Time(reopened)
	return in, err
}

// insertIncoming adds the row, or tells that the document has arrived before.
func insertIncoming(ctx context.Context, tx *sqldb.Tx, in *Incoming) (added bool, err error) {
	report, err := marshal(in.Report)
	if err != nil {
		return false, err
	}
	envelope, err := marshal(in.envelope)
	if err != nil {
		return false, err
	}
	res, err := tx.Exec(ctx, `INSERT INTO exchange_incoming (`+incomingColumns+`, report, envelope, notified)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25,$26,$27,$28,$29,$30,$31,$32,$33,$34,$35)
		ON CONFLICT DO NOTHING`, // by id, or by number, date and content
		string(in.ID), string(in.Agency), string(in.From), string(in.Document), in.Code, in.Type, in.Subject, in.SignerName, sqldb.Micros(in.Issued),
		int(in.Priority), sqldb.Micros(in.Due), string(in.PDF.Digest), in.PDF.Size, string(in.Verdict), string(in.Status), in.version,
		in.ArrivalNumber, in.ArrivalYear, sqldb.Micros(in.Received), sqldb.Micros(in.Registered), sqldb.Micros(in.Assigned), sqldb.Micros(in.Updated),
		string(in.Assignee), in.Note, string(in.Medium), in.SenderName, string(in.Via), sqldb.Micros(in.TaskDue), sqldb.Micros(in.Finished),
		sqldb.Micros(in.Reopened), string(in.Answer), string(in.Merged), report, envelope, notifiedAtFirst(in.Status))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// notifiedAtFirst: what was refused at the door needs no mail.
func notifiedAtFirst(s Status) int {
	if s == StatusRefused {
		return notifyNone
	}
	return notifyWaiting
}

func updateIncoming(ctx context.Context, tx *sqldb.Tx, in *Incoming, version int64) error {
	res, err := tx.Exec(ctx, `UPDATE exchange_incoming SET status = $3, version = $4, arrival_number = $5, arrival_year = $6, registered = $7,
		assigned = $8, updated = $9, assignee = $10, note = $11, task_due = $12, finished = $13, reopened = $14, answer = $15, merged_into = $16
		WHERE id = $1 AND version = $2`,
		string(in.ID), version, string(in.Status), in.version, in.ArrivalNumber, in.ArrivalYear, sqldb.Micros(in.Registered),
		sqldb.Micros(in.Assigned), sqldb.Micros(in.Updated), string(in.Assignee), in.Note,
		sqldb.Micros(in.TaskDue), sqldb.Micros(in.Finished), sqldb.Micros(in.Reopened), string(in.Answer), string(in.Merged))
	return changedOne(res, err)
}

// selectIncoming gives nil when there is none. The report is left out, since acts
// do not need it.
func selectIncoming(ctx context.Context, tx *sqldb.Tx, id IncomingID) (*Incoming, error) {
	in, err := scanIncoming(tx.QueryRow(ctx, `SELECT `+incomingColumns+` FROM exchange_incoming WHERE id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &in, nil
}

// selectIncomingReport gives the report made when the document came.
func selectIncomingReport(ctx context.Context, tx *sqldb.Tx, id IncomingID) (*signing.Report, error) {
	var text string
	if err := tx.QueryRow(ctx, `SELECT report FROM exchange_incoming WHERE id = $1`, string(id)).Scan(&text); err != nil {
		return nil, err
	}
	return parseReport(text)
}

// selectIncomingEnvelope gives the envelope as it came.
func selectIncomingEnvelope(ctx context.Context, tx *sqldb.Tx, id IncomingID) (env Envelope, err error) {
	var text string
	if err := tx.QueryRow(ctx, `SELECT envelope FROM exchange_incoming WHERE id = $1`, string(id)).Scan(&text); err != nil {
		return env, err
	}
	err = json.Unmarshal([]byte(text), &env)
	return env, err
}

// selectIncomings lists newest first; agencies nil is all of them.
func selectIncomings(ctx context.Context, tx *sqldb.Tx, agencies []registry.AgencyID, f IncomingFilter, limit int) ([]Incoming, error) {
	q := f.conditions(agencies)
	if f.After != "" {
		q.and(` AND id < $%d`, f.After)
	}
	q.and(` ORDER BY id DESC LIMIT $%d`, limit)
	return sqldb.Collect(ctx, tx, func(row scanner) (Incoming, error) { return scanIncoming(row) },
		`SELECT `+incomingColumns+` FROM exchange_incoming WHERE merged_into = ''`+q.text, q.args...)
}

// conditions are those of the filter but its words and page.
func (f *IncomingFilter) conditions(agencies []registry.AgencyID) query {
	var q query
	q.anyAgency(agencies)
	if f.Status != "" {
		q.and(` AND status = $%d`, string(f.Status))
	}
	if f.Year != 0 {
		q.and(` AND arrival_year = $%d`, f.Year)
	}
	if f.Assignee != "" {
		q.and(` AND assignee = $%d`, string(f.Assignee))
	}
	return q
}

// selectIncomingRegister reads a year's register; codes stand in for names.
func selectIncomingRegister(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, year int) ([]IncomingEntry, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (IncomingEntry, error) {
		var e IncomingEntry
		var typ, subject, senderName string
		var registered, issued, assigned, opened int64
		err := row.Scan(&e.Incoming, &registered, &e.ArrivalNumber, &e.Author, &senderName, &e.Code, &issued, &typ, &subject, &e.Handler, &assigned, &e.Note,
			&e.Status, &e.Medium, &opened)
		e.Arrived, e.Issued, e.Forwarded, e.Title = sqldb.Time(registered), issueDate(issued), sqldb.Time(assigned), title(typ, subject)
		e.Opened, e.named = sqldb.Time(opened), senderName != ""
		if e.named {
			e.Author = senderName
		}
		return e, err
	}, `SELECT i.id, i.registered, i.arrival_number, i.sender, i.sender_name, i.code, i.issued, i.type, i.subject, i.assignee, i.assigned, i.note, i.status,
			i.medium, COALESCE(v.first, 0)
		FROM exchange_incoming i LEFT JOIN exchange_view v ON v.subject = i.id AND v.person = i.assignee
		WHERE i.agency = $1 AND i.arrival_year = $2 AND i.arrival_number > 0 ORDER BY i.arrival_number`, string(agency), year)
}

// The values of exchange_incoming.notified.
const (
	notifyWaiting = 0
	notifyDone    = 1
	notifyNone    = 2 // no address, or nothing to tell
)

func selectUnnotified(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, limit int) ([]Incoming, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Incoming, error) { return scanIncoming(row) },
		`SELECT `+incomingColumns+` FROM exchange_incoming WHERE agency = $1 AND notified = 0 ORDER BY id LIMIT $2`, string(agency), limit)
}

func markNotified(ctx context.Context, tx *sqldb.Tx, id IncomingID, state int) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_incoming SET notified = $2 WHERE id = $1`, string(id), state)
	return err
}
