package exchange

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

type scanner = sqldb.Scanner

const documentColumns = `id, agency, type, subject, notation, number, year, issued, place, priority, due, signer_name, signer_position,
	competence, state, version, pdf, pdf_size, axis, created_by, created, updated, sent, archived, package, package_size,
	series, returned, send_at, plan, details`

func scanDocument(row scanner) (Document, error) {
	var d Document
	var issued, due, created, updated, sent, archived, sendAt int64
	var returned int
	var details string
	err := row.Scan(&d.ID, &d.Agency, &d.Type, &d.Subject, &d.Notation, &d.Number, &d.Year, &issued, &d.Place, &d.Priority, &due,
		&d.SignerName, &d.SignerPosition, &d.Competence, &d.State, &d.version, &d.PDF.Digest, &d.PDF.Size, &d.Axis, &d.CreatedBy,
		&created, &updated, &sent, &archived, &d.Package.Digest, &d.Package.Size,
		&d.Series, &returned, &sendAt, &d.plan, &details)
	if err == nil && details != "" {
		err = json.Unmarshal([]byte(details), &d.Details)
	}
	d.Returned, d.SendAt = returned != 0, sqldb.Time(sendAt)
	d.Issued, d.Due, d.Created, d.Updated = issueDate(issued), sqldb.Time(due), sqldb.Time(created), sqldb.Time(updated)
	d.Sent, d.Archived = sqldb.Time(sent), sqldb.Time(archived)
	return d, err
}

func insertDocument(ctx context.Context, tx *sqldb.Tx, d *Document) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_document (`+documentColumns+`)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25,$26,$27,$28,$29,$30,$31)`,
		string(d.ID), string(d.Agency), d.Type, d.Subject, d.Notation, d.Number, d.Year, sqldb.Micros(d.Issued), d.Place, int(d.Priority),
		sqldb.Micros(d.Due), d.SignerName, d.SignerPosition, d.Competence, string(d.State), d.version, string(d.PDF.Digest), d.PDF.Size,
		d.Axis, string(d.CreatedBy), sqldb.Micros(d.Created), sqldb.Micros(d.Updated), sqldb.Micros(d.Sent), sqldb.Micros(d.Archived),
		string(d.Package.Digest), d.Package.Size,
		d.Series, bit(d.Returned), sqldb.Micros(d.SendAt), d.plan, d.Details.pinned())
	return err
}

// updateDocument writes what acts may change, provided nobody else was first:
// version is the one that was read.
func updateDocument(ctx context.Context, tx *sqldb.Tx, d *Document, version int64) error {
	d.version = version + 1
	res, err := tx.Exec(ctx, `UPDATE exchange_document SET number = $3, year = $4, issued = $5, state = $6, version = $7, pdf = $8, pdf_size = $9,
		axis = $10, updated = $11, sent = $12, archived = $13, package = $14, package_size = $15,
		series = $16, returned = $17, send_at = $18, plan = $19 WHERE id = $1 AND version = $2`,
		string(d.ID), version, d.Number, d.Year, sqldb.Micros(d.Issued), string(d.State), d.version, string(d.PDF.Digest), d.PDF.Size,
		d.Axis, sqldb.Micros(d.Updated), sqldb.Micros(d.Sent), sqldb.Micros(d.Archived), string(d.Package.Digest), d.Package.Size,
		d.Series, bit(d.Returned), sqldb.Micros(d.SendAt), d.plan)
	return changedOne(res, err)
}

// describeDocument writes what an update of a document that is sent changes.
func describeDocument(ctx context.Context, tx *sqldb.Tx, d *Document) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_document SET subject = $2, priority = $3, due = $4 WHERE id = $1`,
		string(d.ID), d.Subject, int(d.Priority), sqldb.Micros(d.Due))
	return err
}

// changedOne gives a conflict when a guarded update found nothing to change.
func changedOne(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return fail(KindConflict, "Người khác vừa thay đổi văn bản này trước bạn.", "Somebody else has just changed this document.").
			Advise("Tải lại trang rồi xem lại trước khi làm tiếp.", "Reload and look again before you go on.").
			Keeping("Thay đổi của người kia được giữ; việc của bạn chưa được ghi.", "Their change is kept; yours was not written.")
	}
	return nil
}

// selectDocument gives nil when there is none.
func selectDocument(ctx context.Context, tx *sqldb.Tx, id DocumentID) (*Document, error) {
	d, err := scanDocument(tx.QueryRow(ctx, `SELECT `+documentColumns+` FROM exchange_document WHERE id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// query builds a SELECT whose conditions are known only at run time.
type query struct {
	text string
	args []any
}

func (q *query) and(cond string, arg any) {
	q.args = append(q.args, arg)
	q.text += fmt.Sprintf(cond, len(q.args))
}

// anyAgency narrows to rows of the agencies; nil or "" = all.
func (q *query) anyAgency(agencies []registry.AgencyID) {
	switch {
	case len(agencies) == 0, len(agencies) == 1 && agencies[0] == "":
	case len(agencies) == 1:
		q.and(` AND agency = $%d`, string(agencies[0]))
	default:
		q.text += ` AND agency IN (''`
		for _, a := range agencies {
			q.and(`, $%d`, string(a))
		}
		q.text += `)`
	}
}

// searched gives the agencies whose words are looked through; "" = every agency's.
func searched(line []registry.AgencyID) []registry.AgencyID {
	if len(line) == 0 {
		return []registry.AgencyID{""}
	}
	return line
}

// selectDocuments lists newest first; agencies nil is all of them.
func selectDocuments(ctx context.Context, tx *sqldb.Tx, agencies []registry.AgencyID, f ListFilter, limit int) ([]Document, error) {
	q := f.conditions(agencies)
	if f.After != "" {
		q.and(` AND id < $%d`, f.After)
	}
	q.and(` ORDER BY id DESC LIMIT $%d`, limit)
	return sqldb.Collect(ctx, tx, scanDocument, `SELECT `+documentColumns+` FROM exchange_document WHERE 1 = 1`+q.text, q.args...)
}

// conditions are those of the filter but its words and page.
func (f *ListFilter) conditions(agencies []registry.AgencyID) query {
	var q query
	q.anyAgency(agencies)
	if f.State != "" {
		q.and(` AND state = $%d`, string(f.State))
	}
	if f.Year != 0 {
		q.and(` AND year = $%d`, f.Year)
	}
	return q
}

// revision is one PDF that a document has been.
type revision struct {
	document    DocumentID
	seq         int64
	pdf         blob.Ref
	step        Step
	person      registry.PersonID
	certificate string
	report      *signing.Report
	at          time.Time
}

func insertRevision(ctx context.Context, tx *sqldb.Tx, r revision) error {
	report, err := marshal(r.report)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO exchange_revision (document, seq, pdf, size, step, person, certificate, report, at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)`,
		string(r.document), r.seq, string(r.pdf.Digest), r.pdf.Size, string(r.step), string(r.person), r.certificate, report, sqldb.Micros(r.at))
	return err
}

// selectReport gives the report on the newest revision.
func selectReport(ctx context.Context, tx *sqldb.Tx, id DocumentID) (*signing.Report, error) {
	var text string
	err := tx.QueryRow(ctx, `SELECT report FROM exchange_revision WHERE document = $1 ORDER BY seq DESC LIMIT 1`, string(id)).Scan(&text)
	if err != nil {
		return nil, err
	}
	return parseReport(text)
}

func parseReport(text string) (*signing.Report, error) {
	r := new(signing.Report)
	if err := json.Unmarshal([]byte(text), r); err != nil {
		return nil, fmt.Errorf("decoding a stored report: %w", err)
	}
	return r, nil
}

// nextNumber takes the next number of a series. The counter's row is locked
// until the transaction ends, and goes back with it.
func nextNumber(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, series string, year int) (int, error) {
	var n int
	err := tx.QueryRow(ctx, `INSERT INTO exchange_counter (agency, series, year, last) VALUES ($1, $2, $3, 1)
		ON CONFLICT (agency, series, year) DO UPDATE SET last = exchange_counter.last + 1 RETURNING last`, string(agency), series, year).Scan(&n)
	return n, err
}

func insertNumber(ctx context.Context, tx *sqldb.Tx, d *Document, at time.Time, by string) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_number (agency, series, year, number, document, at, given_by, cancelled, reason)
		VALUES ($1,$2,$3,$4,$5,$6,$7,0,'')`, string(d.Agency), d.Series, d.Year, d.Number, string(d.ID), sqldb.Micros(at), by)
	return err
}

func cancelNumber(ctx context.Context, tx *sqldb.Tx, id DocumentID, reason string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_number SET cancelled = $2, reason = $3 WHERE document = $1 AND cancelled = 0`, string(id), sqldb.Micros(at), reason)
	return err
}

func selectOutgoingRegister(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, year int) ([]OutgoingEntry, error) {
	list, err := sqldb.Collect(ctx, tx, func(row scanner) (OutgoingEntry, error) {
		var e OutgoingEntry
		var typ, subject, notation, competence, purpose string
		var issued, sent, cancelled, reserved int64
		err := row.Scan(&e.Number, &e.Year, &e.Document, &cancelled, &e.Note, &typ, &subject, &notation, &issued, &e.Signer, &competence, &sent,
			&e.Series, &reserved, &purpose)
		e.Code, e.Title, e.Issued, e.Sent, e.Cancelled = codeOf(typ, e.Number, e.Year, notation), title(typ, subject), issueDate(issued), sqldb.Time(sent), cancelled != 0
		if e.Document == "" { // a number without a document: its purpose is all there is to say
			e.Code, e.Title, e.Issued, e.Reserved = fmt.Sprintf("%02d", e.Number), "Giữ số: "+purpose, sqldb.Time(reserved).In(Vietnam()), cancelled == 0
		}
		if competence != "" {
			e.Signer = competence + " " + e.Signer
		}
		return e, err
	}, `SELECT n.number, n.year, n.document, n.cancelled, n.reason, COALESCE(d.type, ''), COALESCE(d.subject, ''), COALESCE(d.notation, ''),
			COALESCE(d.issued, 0), COALESCE(d.signer_name, ''), COALESCE(d.competence, ''), COALESCE(d.sent, 0), n.series, n.reserved, n.purpose
		FROM exchange_number n LEFT JOIN exchange_document d ON d.id = n.document
		WHERE n.agency = $1 AND n.year = $2 ORDER BY CASE WHEN n.series = 'outgoing' THEN 0 ELSE 1 END, n.series, n.number`, string(agency), year)
	if err != nil {
		return nil, err
	}
	at := make(map[DocumentID]*OutgoingEntry, len(list))
	for i := range list {
		at[list[i].Document] = &list[i]
	}
	type line struct {
		document  DocumentID
		recipient string
		status    Status
	}
	deliveries, err := sqldb.Collect(ctx, tx, func(row scanner) (line, error) {
		var l line
		err := row.Scan(&l.document, &l.recipient, &l.status)
		return l, err
	}, `SELECT v.document, v.recipient, v.status FROM exchange_number n JOIN exchange_delivery v ON v.document = n.document
		WHERE n.agency = $1 AND n.year = $2 AND v.transport <> 'withdrawn' ORDER BY v.document, v.recipient`, string(agency), year)
	if err != nil {
		return nil, err
	}
	held := map[DocumentID]int{}
	for _, l := range deliveries {
		e := at[l.document]
		e.Recipients = append(e.Recipients, l.recipient)
		e.Copies++
		if l.status != StatusNone && l.status != StatusRefused {
			held[l.document]++
		}
		e.SignedFor = fmt.Sprintf("%d/%d", held[l.document], e.Copies)
	}
	return list, nil
}
