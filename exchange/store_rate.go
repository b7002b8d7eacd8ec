package exchange

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// selectRatePlace gives the place of the next entry to count, -1 when nothing is
// counted by this definition.
func selectRatePlace(ctx context.Context, tx *sqldb.Tx) (int64, error) {
	var place int64
	err := tx.QueryRow(ctx, `SELECT place FROM exchange_rate_state WHERE name = 'rate' AND definition = $1`, RateDefinition).Scan(&place)
	if errors.Is(err, sql.ErrNoRows) {
		return -1, nil
	}
	return place, err
}

// moveRate takes the place further, unless somebody else has.
func moveRate(ctx context.Context, tx *sqldb.Tx, from, to int64) (bool, error) {
	text, args := `UPDATE exchange_rate_state SET place = $1 WHERE name = 'rate' AND definition = $2 AND place = $3`, []any{to, RateDefinition, from}
	if from < 0 {
		text, args = `INSERT INTO exchange_rate_state (name, definition, place) VALUES ('rate', $2, $1)
			ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, place = excluded.place WHERE exchange_rate_state.definition <> excluded.definition`,
			[]any{to, RateDefinition}
	}
	res, err := tx.Exec(ctx, text, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func clearRate(ctx context.Context, tx *sqldb.Tx) error {
	for _, table := range []string{"exchange_rate_document", "exchange_rate_delivery", "exchange_rate_month"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table); err != nil {
			return err
		}
	}
	return nil
}

// insertRows writes rows of as many values as there are columns, some 210 values per
// statement: SQLite's driver looks each $n up by its name, which costs the square of
// how many there are.
func insertRows(ctx context.Context, tx *sqldb.Tx, head, tail string, columns int, rows [][]any) error {
	most := max(1, 210/columns)
	for len(rows) > 0 {
		chunk := rows[:min(most, len(rows))]
		rows = rows[len(chunk):]
		var q strings.Builder
		q.WriteString(head)
		args := make([]any, 0, columns*len(chunk))
		for i, row := range chunk {
			q.WriteString(map[bool]string{true: "(", false: ",("}[i == 0])
			for c := range columns {
				if c > 0 {
					q.WriteByte(',')
				}
				fmt.Fprintf(&q, "$%d", len(args)+c+1)
			}
			q.WriteByte(')')
			args = append(args, row...)
		}
		q.WriteString(tail)
		if _, err := tx.Exec(ctx, q.String(), args...); err != nil {
			return err
		}
	}
	return nil
}

const rateDocumentColumns = `id, agency, type, day, code, flags, send_by, sent, failure, reason`

func putRateDocuments(ctx context.Context, tx *sqldb.Tx, list []*rateDocument) error {
	rows := make([][]any, len(list))
	for i, d := range list {
		k, _ := d.key(0)
		rows[i] = []any{string(d.ID), string(d.Agency), d.Type, d.Day, d.Code, d.flags, d.SendBy, d.Sent, d.Failure, d.Reason, k.Cause, k.Marks}
	}
	return insertRows(ctx, tx, `INSERT INTO exchange_rate_document (`+rateDocumentColumns+`, cause, marks) VALUES `,
		` ON CONFLICT (id) DO UPDATE SET agency = excluded.agency, type = excluded.type, day = excluded.day, code = excluded.code, flags = excluded.flags,
			send_by = excluded.send_by, sent = excluded.sent, failure = excluded.failure, reason = excluded.reason, cause = excluded.cause, marks = excluded.marks`,
		12, rows)
}

const rateDeliveryColumns = `document, recipient, agency, type, day, state, failure, status, flags, since`

func putRateDeliveries(ctx context.Context, tx *sqldb.Tx, list []*rateDelivery) error {
	rows := make([][]any, len(list))
	for i, v := range list {
		k := v.key(0)
		rows[i] = []any{string(v.Document), string(v.Recipient), string(v.Agency), v.Type, v.Day, v.State, v.Failure, string(v.Status), v.flags, v.Since, k.Cause, k.Marks}
	}
	return insertRows(ctx, tx, `INSERT INTO exchange_rate_delivery (`+rateDeliveryColumns+`, cause, marks) VALUES `,
		` ON CONFLICT (document, recipient) DO UPDATE SET state = excluded.state, failure = excluded.failure, status = excluded.status,
			flags = excluded.flags, since = excluded.since, cause = excluded.cause, marks = excluded.marks`, 12, rows)
}

// addRateSums adds to the sums, page by page; pages that come to nothing go.
func addRateSums(ctx context.Context, tx *sqldb.Tx, delta map[rateKey]int64) error {
	pages := ratePages(delta)
	ids := slices.SortedFunc(maps.Keys(pages), func(a, b ratePageID) int {
		return cmp.Or(cmp.Compare(a.Month, b.Month), compareText(a.Agency, b.Agency))
	})
	for part := range slices.Chunk(ids, 200) {
		if err := changeRatePages(ctx, tx, part, pages); err != nil {
			return err
		}
	}
	return nil
}

func changeRatePages(ctx context.Context, tx *sqldb.Tx, ids []ratePageID, delta map[ratePageID]map[rateKey]int64) error {
	sums := make(map[ratePageID]map[rateKey]int64, len(ids))
	q := query{text: `SELECT month, agency, body FROM exchange_rate_month WHERE`}
	for i, id := range ids {
		sums[id] = maps.Clone(delta[id])
		q.args = append(q.args, id.Month, string(id.Agency))
		q.text += fmt.Sprintf(`%s (month = $%d AND agency = $%d)`, map[bool]string{false: " OR"}[i == 0], len(q.args)-1, len(q.args))
	}
	err := eachRatePage(ctx, tx, q, func(k rateKey, n int64) {
		sums[ratePageID{Month: monthNumber(k.Day), Agency: k.Agency}][k] += n
	})
	if err != nil {
		return err
	}
	rows := make([][]any, 0, len(ids))
	for _, id := range ids {
		if body := encodeRatePage(id, sums[id]); body != "" {
			rows = append(rows, []any{id.Month, string(id.Agency), body})
		} else if _, err := tx.Exec(ctx, `DELETE FROM exchange_rate_month WHERE month = $1 AND agency = $2`, id.Month, string(id.Agency)); err != nil {
			return err
		}
	}
	return insertRows(ctx, tx, `INSERT INTO exchange_rate_month (month, agency, body) VALUES `, ` ON CONFLICT (month, agency) DO UPDATE SET body = excluded.body`, 3, rows)
}

// eachRatePage visits the sums of the pages that a query gives.
func eachRatePage(ctx context.Context, tx *sqldb.Tx, q query, visit func(rateKey, int64)) error {
	return forEach(ctx, tx, func(row scanner) error {
		var id ratePageID
		var body string
		if err := row.Scan(&id.Month, &id.Agency, &body); err != nil {
			return err
		}
		return decodeRatePage(id, body, visit)
	}, q.text, q.args...)
}

func scanRateDocument(row scanner, more ...any) (rateDocument, error) {
	var d rateDocument
	err := row.Scan(append([]any{&d.ID, &d.Agency, &d.Type, &d.Day, &d.Code, &d.flags, &d.SendBy, &d.Sent, &d.Failure, &d.Reason}, more...)...)
	return d, err
}

func scanRateDelivery(row scanner, more ...any) (rateDelivery, error) {
	var v rateDelivery
	err := row.Scan(append([]any{&v.Document, &v.Recipient, &v.Agency, &v.Type, &v.Day, &v.State, &v.Failure, &v.Status, &v.flags, &v.Since}, more...)...)
	return v, err
}

// inList gives "($n,$n+1,…)" and adds the values to args.
func inList[T ~string](args *[]any, values []T) string {
	var q strings.Builder
	q.WriteByte('(')
	for i, v := range values {
		if i > 0 {
			q.WriteByte(',')
		}
		*args = append(*args, string(v))
		fmt.Fprintf(&q, "$%d", len(*args))
	}
	q.WriteByte(')')
	return q.String()
}

func selectRateDocuments(ctx context.Context, tx *sqldb.Tx, ids []DocumentID) (out []rateDocument, err error) {
	for part := range slices.Chunk(ids, 500) {
		var args []any
		in := inList(&args, part)
		list, err := sqldb.Collect(ctx, tx, func(row scanner) (rateDocument, error) { return scanRateDocument(row) },
			`SELECT `+rateDocumentColumns+` FROM exchange_rate_document WHERE id IN `+in, args...)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

func selectRateDeliveries(ctx context.Context, tx *sqldb.Tx, documents []DocumentID, visit func(rateDelivery)) error {
	for part := range slices.Chunk(documents, 500) {
		var args []any
		in := inList(&args, part)
		err := forEach(ctx, tx, func(row scanner) error {
			v, err := scanRateDelivery(row)
			visit(v)
			return err
		}, `SELECT `+rateDeliveryColumns+` FROM exchange_rate_delivery WHERE document IN `+in, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

func eachRateDocument(ctx context.Context, tx *sqldb.Tx, visit func(d rateDocument, cause string, marks int64)) error {
	return forEach(ctx, tx, func(row scanner) error {
		var cause string
		var marks int64
		d, err := scanRateDocument(row, &cause, &marks)
		if err == nil {
			visit(d, cause, marks)
		}
		return err
	}, `SELECT `+rateDocumentColumns+`, cause, marks FROM exchange_rate_document ORDER BY id`)
}

func eachRateDelivery(ctx context.Context, tx *sqldb.Tx, visit func(v rateDelivery, cause string, marks int64)) error {
	return forEach(ctx, tx, func(row scanner) error {
		var cause string
		var marks int64
		v, err := scanRateDelivery(row, &cause, &marks)
		if err == nil {
			visit(v, cause, marks)
		}
		return err
	}, `SELECT `+rateDeliveryColumns+`, cause, marks FROM exchange_rate_delivery ORDER BY document, recipient`)
}

func eachRateSum(ctx context.Context, tx *sqldb.Tx, visit func(rateKey, int64)) error {
	return eachRatePage(ctx, tx, query{text: `SELECT month, agency, body FROM exchange_rate_month`}, visit)
}

// ratePart is which rows of the projection are asked for; days count from 1
// January 1970, to exclusive.
type ratePart struct {
	from, to int64
	only     registry.AgencyID // "" = every agency
	docType  string            // "" = every type
}

func (p ratePart) query(text string) query {
	q := query{text: text}
	q.and(` WHERE day >= $%d`, p.from)
	q.and(` AND day < $%d`, p.to)
	if p.only != "" {
		q.and(` AND agency = $%d`, string(p.only))
	}
	if p.docType != "" {
		q.and(` AND type = $%d`, p.docType)
	}
	return q
}

// sumRate visits the sums of a part of the projection.
func sumRate(ctx context.Context, tx *sqldb.Tx, p ratePart, visit func(rateKey, int64)) error {
	q := query{text: `SELECT month, agency, body FROM exchange_rate_month`}
	q.and(` WHERE month >= $%d`, monthNumber(p.from))
	q.and(` AND month <= $%d`, monthNumber(p.to-1))
	if p.only != "" {
		q.and(` AND agency = $%d`, string(p.only))
	}
	return eachRatePage(ctx, tx, q, func(k rateKey, n int64) {
		if k.Day >= p.from && k.Day < p.to && (p.docType == "" || k.Type == p.docType) {
			visit(k, n)
		}
	})
}

// lateRate visits the documents and deliveries whose cause depends on the time
// and is another one now than the sums say.
func lateRate(ctx context.Context, tx *sqldb.Tx, p ratePart, now int64, visit func(before, after rateKey)) error {
	q := p.query(`SELECT ` + rateDocumentColumns + ` FROM exchange_rate_document`)
	q.and(` AND cause <> '' AND cause = 'unsent' AND send_by > 0 AND send_by < $%d`, now)
	err := forEach(ctx, tx, func(row scanner) error {
		d, err := scanRateDocument(row)
		if err != nil {
			return err
		}
		before, _ := d.key(0)
		after, _ := d.key(now)
		visit(before, after)
		return nil
	}, q.text, q.args...)
	if err != nil {
		return err
	}
	q = p.query(`SELECT ` + rateDeliveryColumns + ` FROM exchange_rate_delivery`)
	q.and(` AND cause <> '' AND cause = 'waiting' AND since < $%d`, now-stalledAfter.Microseconds())
	return forEach(ctx, tx, func(row scanner) error {
		v, err := scanRateDelivery(row)
		if err == nil {
			visit(v.key(0), v.key(now))
		}
		return err
	}, q.text, q.args...)
}

// gapRow is one missing document or delivery as it stands in the projection.
type gapRow struct {
	document  rateDocument
	delivery  rateDelivery
	unit      int
	subject   string
	delivered string // the last error of the delivery
}

// selectGap gives missing documents (unitDocument) or deliveries of one stored
// cause in the order of day and id, behind a position.
func selectGap(ctx context.Context, tx *sqldb.Tx, p ratePart, unit int, cause string, after gapAt, limit int) ([]gapRow, error) {
	if unit == unitDocument {
		q := query{text: `SELECT r.id, r.agency, r.type, r.day, r.code, r.flags, r.send_by, r.sent, r.failure, r.reason, COALESCE(d.subject, '')
			FROM exchange_rate_document r LEFT JOIN exchange_document d ON d.id = r.id WHERE r.cause <> ''`}
		p.narrow(&q, cause)
		q.args = append(q.args, after.day, after.document)
		q.text += fmt.Sprintf(` AND (r.day, r.id) > ($%d, $%d)`, len(q.args)-1, len(q.args))
		q.and(` ORDER BY r.day, r.id LIMIT $%d`, limit)
		return sqldb.Collect(ctx, tx, func(row scanner) (gapRow, error) {
			g := gapRow{unit: unitDocument}
			var err error
			g.document, err = scanRateDocument(row, &g.subject)
			return g, err
		}, q.text, q.args...)
	}
	q := query{text: `SELECT r.document, r.recipient, r.agency, r.type, r.day, r.state, r.failure, r.status, r.flags, r.since,
			COALESCE(c.code, ''), COALESCE(d.subject, ''), COALESCE(v.last_error, '')
		FROM exchange_rate_delivery r LEFT JOIN exchange_rate_document c ON c.id = r.document LEFT JOIN exchange_document d ON d.id = r.document
			LEFT JOIN exchange_delivery v ON v.document = r.document AND v.recipient = r.recipient WHERE r.cause <> ''`}
	p.narrow(&q, cause)
	q.args = append(q.args, after.day, after.document, after.recipient)
	q.text += fmt.Sprintf(` AND (r.day, r.document, r.recipient) > ($%d, $%d, $%d)`, len(q.args)-2, len(q.args)-1, len(q.args))
	q.and(` ORDER BY r.day, r.document, r.recipient LIMIT $%d`, limit)
	return sqldb.Collect(ctx, tx, func(row scanner) (gapRow, error) {
		g := gapRow{unit: unitDelivery}
		var err error
		g.delivery, err = scanRateDelivery(row, &g.document.Code, &g.subject, &g.delivered)
		return g, err
	}, q.text, q.args...)
}

func (p ratePart) narrow(q *query, cause string) {
	q.and(` AND r.cause = $%d`, cause)
	q.and(` AND r.day >= $%d`, p.from)
	q.and(` AND r.day < $%d`, p.to)
	if p.only != "" {
		q.and(` AND r.agency = $%d`, string(p.only))
	}
	if p.docType != "" {
		q.and(` AND r.type = $%d`, p.docType)
	}
}

// insertPaper keeps what is known of a document on paper, or the mark of one.
func insertPaper(ctx context.Context, tx *sqldb.Tx, id string, agency registry.AgencyID, kind string, in *PaperInput, excluded bool, at time.Time, by string) (bool, error) {
	codes := make([]string, len(in.Recipients))
	for i, a := range in.Recipients {
		codes[i] = string(a)
	}
	out := 0
	if excluded {
		out = 1
	}
	res, err := tx.Exec(ctx, `INSERT INTO exchange_paper (id, agency, kind, reason, excluded, recipients, others, note, day, at, by_actor)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) ON CONFLICT (id) DO NOTHING`,
		id, string(agency), kind, in.Reason, out, strings.Join(codes, ","), in.Others, in.Note, dayText(dayNumber(at)), sqldb.Micros(at), by)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// selectRateStrays gives the documents whose row, or one of whose deliveries,
// says something else than what is counted.
func selectRateStrays(ctx context.Context, tx *sqldb.Tx) ([]string, error) {
	flags := fmt.Sprintf(`(r.flags & %d)`, rateSent|rateCancelled|ratePaper)
	return sqldb.Collect(ctx, tx, func(row scanner) (id string, err error) {
		return id, row.Scan(&id)
	}, `SELECT d.id FROM exchange_document d LEFT JOIN exchange_rate_document r ON r.id = d.id
			WHERE r.id IS NULL OR r.agency <> d.agency OR (r.day > 0) <> (d.number > 0)
				OR `+flags+fmt.Sprintf(` <> CASE d.state WHEN 'sent' THEN %d WHEN 'cancelled' THEN %d WHEN 'paper' THEN %d ELSE 0 END`, rateSent, rateCancelled, ratePaper)+`
		UNION SELECT v.document FROM exchange_delivery v
			LEFT JOIN exchange_delivery c ON c.document = v.document AND c.recipient = CASE v.joined WHEN '' THEN v.recipient ELSE v.joined END
			LEFT JOIN exchange_rate_delivery r ON r.document = v.document AND r.recipient = CASE v.addressed WHEN '' THEN v.recipient ELSE v.addressed END
			WHERE r.document IS NULL OR c.document IS NULL OR r.status <> c.status
				OR CASE WHEN r.state IN ('done', 'failed', 'withdrawn') THEN r.state ELSE 'open' END
					<> CASE c.transport WHEN 'done' THEN 'done' WHEN 'fail' THEN 'failed' WHEN 'withdrawn' THEN 'withdrawn' ELSE 'open' END
		UNION SELECT r.document FROM exchange_rate_delivery r WHERE r.state <> 'paper'
			AND NOT EXISTS (SELECT 1 FROM exchange_delivery v WHERE v.document = r.document AND (v.recipient = r.recipient OR v.addressed = r.recipient))`)
}
