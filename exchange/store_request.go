package exchange

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

const requestColumns = `id, document, agency, kind, reason, replacement, changes, asked_by, at, closed`

func scanRequest(row scanner) (Request, error) {
	var r Request
	var changes string
	var at, closed int64
	err := row.Scan(&r.ID, &r.Document, &r.Agency, &r.Kind, &r.Reason, &r.Replacement, &changes, &r.AskedBy, &at, &closed)
	if err != nil {
		return r, err
	}
	r.At, r.Closed = sqldb.Time(at), sqldb.Time(closed)
	r.Changes, err = parseChanges(changes)
	return r, err
}

func parseChanges(text string) (*Changes, error) {
	if text == "" {
		return nil, nil
	}
	c := new(Changes)
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return nil, fmt.Errorf("decoding stored changes: %w", err)
	}
	return c, nil
}

func changesText(c *Changes) (string, error) {
	if c == nil {
		return "", nil
	}
	return marshal(c)
}

func insertRequest(ctx context.Context, tx *sqldb.Tx, r *Request) error {
	changes, err := changesText(r.Changes)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO exchange_request (`+requestColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`,
		string(r.ID), string(r.Document), string(r.Agency), string(r.Kind), r.Reason, string(r.Replacement), changes, r.AskedBy,
		sqldb.Micros(r.At), sqldb.Micros(r.Closed))
	for _, c := range r.Copies {
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO exchange_request_copy (request, recipient, document, sender, kind, fate, at, receipt, opened, opened_by, note)
			VALUES ($1,$2,$3,$4,$5,$6,$7,'',0,'','')`,
			string(r.ID), string(c.Recipient), string(r.Document), string(r.Agency), string(c.Kind), string(c.Fate), sqldb.Micros(c.At))
	}
	return err
}

// selectOpenRequest gives the request about a document that is not answered by
// all yet, without its copies; nil when there is none.
func selectOpenRequest(ctx context.Context, tx *sqldb.Tx, id DocumentID) (*Request, error) {
	return oneRequest(tx.QueryRow(ctx, `SELECT `+requestColumns+` FROM exchange_request WHERE document = $1 AND closed = 0`, string(id)))
}

func oneRequest(row scanner) (*Request, error) {
	r, err := scanRequest(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// selectRequest gives a request with its copies; nil when there is none.
func selectRequest(ctx context.Context, tx *sqldb.Tx, id RequestID) (*Request, error) {
	r, err := oneRequest(tx.QueryRow(ctx, `SELECT `+requestColumns+` FROM exchange_request WHERE id = $1`, string(id)))
	if err != nil || r == nil {
		return r, err
	}
	r.Copies, err = selectRequestCopies(ctx, tx, id)
	return r, err
}

func selectRequests(ctx context.Context, tx *sqldb.Tx, id DocumentID) ([]Request, error) {
	list, err := sqldb.Collect(ctx, tx, scanRequest, `SELECT `+requestColumns+` FROM exchange_request WHERE document = $1 ORDER BY id`, string(id))
	for i := range list {
		if err != nil {
			return nil, err
		}
		list[i].Copies, err = selectRequestCopies(ctx, tx, list[i].ID)
	}
	return list, err
}

func selectRequestCopies(ctx context.Context, tx *sqldb.Tx, id RequestID) ([]RequestCopy, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (RequestCopy, error) {
		var c RequestCopy
		var at, opened int64
		err := row.Scan(&c.Recipient, &c.Kind, &c.Fate, &at, &c.Receipt, &opened, &c.OpenedBy, &c.Note)
		c.At, c.Opened = sqldb.Time(at), sqldb.Time(opened)
		return c, err
	}, `SELECT recipient, kind, fate, at, receipt, opened, opened_by, note FROM exchange_request_copy WHERE request = $1 ORDER BY recipient`, string(id))
}

// updateRequestCopy writes a copy's fate unless it has come to an end before.
func updateRequestCopy(ctx context.Context, tx *sqldb.Tx, id RequestID, c RequestCopy) (bool, error) {
	return changedAny(tx.Exec(ctx, `UPDATE exchange_request_copy SET fate = $3, at = $4, receipt = $5, opened = $6, opened_by = $7, note = $8
		WHERE request = $1 AND recipient = $2 AND fate IN ('on-its-way', 'asked')`, string(id), string(c.Recipient), string(c.Fate), sqldb.Micros(c.At),
		c.Receipt, sqldb.Micros(c.Opened), c.OpenedBy, c.Note))
}

func changedAny(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// closeRequest closes a request without open copies and gives its document; ""
// when there are some, or it is closed.
func closeRequest(ctx context.Context, tx *sqldb.Tx, id RequestID, at time.Time) (d DocumentID, err error) {
	err = tx.QueryRow(ctx, `UPDATE exchange_request SET closed = $2 WHERE id = $1 AND closed = 0
		AND NOT EXISTS (SELECT 1 FROM exchange_request_copy c WHERE c.request = $1 AND c.fate IN ('on-its-way', 'asked')) RETURNING document`,
		string(id), sqldb.Micros(at)).Scan(&d)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return d, err
}

// withdrawDelivery takes what has not left out of its lane.
func withdrawDelivery(ctx context.Context, tx *sqldb.Tx, id DocumentID, to registry.AgencyID, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_delivery SET transport = 'withdrawn', final = 1, updated = $3
		WHERE document = $1 AND recipient = $2 AND transport <> 'done' AND carried = 0`, string(id), string(to), sqldb.Micros(at))
	return err
}

// selectGone gives the documents that no longer go to a recipient: withdrawn from
// its lane or rerouted since the lane was read. What has arrived before is not gone.
func selectGone(ctx context.Context, tx *sqldb.Tx, to registry.AgencyID, list []*arrival) (map[DocumentID]bool, error) {
	q := query{text: `SELECT document FROM exchange_delivery WHERE transport <> 'withdrawn'`}
	q.and(` AND recipient = $%d AND document IN (''`, string(to))
	out := map[DocumentID]bool{}
	for _, a := range list {
		q.and(`, $%d`, string(a.env.Document))
		out[a.env.Document] = true
	}
	err := forEach(ctx, tx, func(row scanner) error {
		var id DocumentID
		err := row.Scan(&id)
		delete(out, id)
		return err
	}, q.text+`)`, q.args...)
	return out, err
}

// selectNoticesFor gives the requests on their way to a recipient whose document
// it has, oldest first.
func selectNoticesFor(ctx context.Context, tx *sqldb.Tx, to registry.AgencyID, limit int) ([]Notice, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Notice, error) {
		n := Notice{To: to}
		var changes string
		var number int
		var notation string
		var at int64
		err := row.Scan(&n.Request, &n.From, &n.Document, &n.Kind, &n.Reason, &changes, &at, &number, &notation)
		if err != nil {
			return n, err
		}
		n.At, n.Replacement = sqldb.Time(at), FormatCode(number, notation)
		n.Changes, err = parseChanges(changes)
		return n, err
	}, `SELECT r.id, r.agency, r.document, c.kind, r.reason, r.changes, r.at, COALESCE(d.number, 0), COALESCE(d.notation, '')
		FROM exchange_request_copy c JOIN exchange_request r ON r.id = c.request LEFT JOIN exchange_document d ON d.id = r.replacement
		WHERE c.recipient = $1 AND c.fate = 'on-its-way' ORDER BY c.request LIMIT $2`, string(to), limit)
}

func selectNoticeLanes(ctx context.Context, tx *sqldb.Tx) ([]registry.AgencyID, error) {
	return collectAgencies(ctx, tx, `SELECT DISTINCT recipient FROM exchange_request_copy WHERE fate = 'on-its-way' ORDER BY recipient`)
}

const noticeColumns = `request, agency, sender, document, kind, reason, replacement, changes, asked, received, state, answered, answered_by`

func scanNotice(row scanner) (Notice, error) {
	var n Notice
	var changes string
	var asked, received, answered int64
	err := row.Scan(&n.Request, &n.To, &n.From, &n.Document, &n.Kind, &n.Reason, &n.Replacement, &changes, &asked, &received, &n.State, &answered, &n.AnsweredBy)
	if err != nil {
		return n, err
	}
	n.At, n.Received, n.Answered = sqldb.Time(asked), sqldb.Time(received), sqldb.Time(answered)
	n.Changes, err = parseChanges(changes)
	return n, err
}

// insertNotice gives false when the notice is here already.
func insertNotice(ctx context.Context, tx *sqldb.Tx, n *Notice) (bool, error) {
	changes, err := changesText(n.Changes)
	if err != nil {
		return false, err
	}
	return changedAny(tx.Exec(ctx, `INSERT INTO exchange_notice (`+noticeColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,0,'')
		ON CONFLICT (request, agency) DO NOTHING`, string(n.Request), string(n.To), string(n.From), string(n.Document), string(n.Kind), n.Reason,
		n.Replacement, changes, sqldb.Micros(n.At), sqldb.Micros(n.Received), string(n.State)))
}

func updateNotice(ctx context.Context, tx *sqldb.Tx, n *Notice) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_notice SET state = $3, answered = $4, answered_by = $5 WHERE request = $1 AND agency = $2`,
		string(n.Request), string(n.To), string(n.State), sqldb.Micros(n.Answered), n.AnsweredBy)
	return err
}

// selectNotices gives the notices about a document that an agency has in one
// state, or in all for "", oldest first.
func selectNotices(ctx context.Context, tx *sqldb.Tx, to, from registry.AgencyID, id DocumentID, state NoticeState) ([]Notice, error) {
	return sqldb.Collect(ctx, tx, scanNotice, `SELECT `+noticeColumns+` FROM exchange_notice WHERE agency = $1 AND sender = $2 AND document = $3
		AND (state = $4 OR $4 = '') ORDER BY request`, string(to), string(from), string(id), string(state))
}

// selectIncomingOf finds a document in an agency's register; nil when it is not there.
func selectIncomingOf(ctx context.Context, tx *sqldb.Tx, to, from registry.AgencyID, id DocumentID) (*Incoming, error) {
	in, err := scanIncoming(tx.QueryRow(ctx, `SELECT `+incomingColumns+` FROM exchange_incoming WHERE agency = $1 AND sender = $2 AND document = $3`,
		string(to), string(from), string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &in, nil
}

// describeIncoming writes what an update of its sender changes.
func describeIncoming(ctx context.Context, tx *sqldb.Tx, in *Incoming) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_incoming SET subject = $2, priority = $3, due = $4 WHERE id = $1`,
		string(in.ID), in.Subject, int(in.Priority), sqldb.Micros(in.Due))
	return err
}

// putView counts a look at a file; it tells whether it was the person's first.
func putView(ctx context.Context, tx *sqldb.Tx, subject string, by registry.Actor, at time.Time) (bool, error) {
	var times int
	err := tx.QueryRow(ctx, `INSERT INTO exchange_view (subject, person, name, first, last, times) VALUES ($1,$2,$3,$4,$4,1)
		ON CONFLICT (subject, person) DO UPDATE SET last = excluded.last, times = exchange_view.times + 1 RETURNING times`,
		subject, by.Tag(), by.FullName(), sqldb.Micros(at)).Scan(&times)
	return times == 1, err
}

func selectViews(ctx context.Context, tx *sqldb.Tx, subject string) ([]View, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (View, error) {
		var v View
		var first, last int64
		err := row.Scan(&v.Person, &v.Name, &first, &last, &v.Times)
		v.First, v.Last = sqldb.Time(first), sqldb.Time(last)
		return v, err
	}, `SELECT person, name, first, last, times FROM exchange_view WHERE subject = $1 ORDER BY first, person`, subject)
}

// lastReceipt gives the id of the newest receipt that a recipient made.
func lastReceipt(ctx context.Context, tx *sqldb.Tx, in *Incoming) (id string, err error) {
	err = tx.QueryRow(ctx, `SELECT id FROM exchange_receipt WHERE incoming = $1 AND step = $2`, string(in.ID), in.version).Scan(&id)
	return id, err
}
