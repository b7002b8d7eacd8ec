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

// findEntry finds the entry of the envelope's document: under its id, under
// another id by which it has arrived, else with the same number, date and
// content. nil = none.
func findEntry(ctx context.Context, tx *sqldb.Tx, env Envelope) (*entry, error) {
	var e entry
	err := tx.QueryRow(ctx, `SELECT id, pdf, merged_into FROM exchange_incoming WHERE agency = $1 AND sender = $2 AND document = $3`,
		string(env.To), string(env.From), string(env.Document)).Scan(&e.id, &e.digest, &e.into)
	if !errors.Is(err, sql.ErrNoRows) {
		return &e, err
	}
	err = tx.QueryRow(ctx, `SELECT incoming, pdf FROM exchange_arrival WHERE agency = $1 AND sender = $2 AND document = $3 AND differs = 0 ORDER BY id LIMIT 1`,
		string(env.To), string(env.From), string(env.Document)).Scan(&e.id, &e.digest)
	if !errors.Is(err, sql.ErrNoRows) {
		return &e, err
	}
	err = tx.QueryRow(ctx, `SELECT id, pdf FROM exchange_incoming WHERE agency = $1 AND sender = $2 AND code = $3 AND issued = $4 AND pdf = $5
		AND status <> '02' AND medium = 'electronic' AND merged_into = ''`,
		string(env.To), string(env.From), codeOf(env.Type, env.Number, env.Year, env.Notation), sqldb.Micros(env.Issued), string(env.Digest)).Scan(&e.id, &e.digest)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &e, err
}

// insertArrivalRow adds an arrival unless the same bytes came under the same id
// by the same channel before.
func insertArrivalRow(ctx context.Context, tx *sqldb.Tx, id IncomingID, a *arrival, now time.Time, differs bool) (bool, error) {
	envelope, err := marshal(a.env)
	if err != nil {
		return false, err
	}
	flag := 0
	if differs {
		flag = 1
	}
	res, err := tx.Exec(ctx, `INSERT INTO exchange_arrival (id, incoming, agency, sender, document, channel, ref, at, pdf, pdf_size, envelope, differs, settled, settler, note, sent)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,0,'','',$13) ON CONFLICT DO NOTHING`,
		newID(), string(id), string(a.env.To), string(a.env.From), string(a.env.Document), a.channel, a.ref, sqldb.Micros(now), string(a.pdf.Digest), a.pdf.Size, envelope, flag, sqldb.Micros(a.env.Sent))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func selectArrivals(ctx context.Context, tx *sqldb.Tx, id IncomingID) ([]ArrivalRecord, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (ArrivalRecord, error) {
		var a ArrivalRecord
		var at, settled int64
		var differs int
		var envelope string
		err := row.Scan(&a.ID, &a.Incoming, &a.agency, &a.From, &a.Document, &a.Channel, &a.Ref, &at, &a.PDF.Digest, &a.PDF.Size, &envelope, &differs, &settled, &a.Note)
		if err != nil {
			return a, err
		}
		a.At, a.Settled, a.Differs = sqldb.Time(at), sqldb.Time(settled), differs != 0
		if err := json.Unmarshal([]byte(envelope), &a.Envelope); err != nil {
			return a, fmt.Errorf("decoding the envelope of arrival %s: %w", a.ID, err)
		}
		return a, nil
	}, `SELECT id, incoming, agency, sender, document, channel, ref, at, pdf, pdf_size, envelope, differs, settled, note
		FROM exchange_arrival WHERE incoming = $1 ORDER BY id`, string(id))
}

func moveArrivals(ctx context.Context, tx *sqldb.Tx, from, to IncomingID) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_arrival SET incoming = $2 WHERE incoming = $1`, string(from), string(to))
	return err
}

func selectMerged(ctx context.Context, tx *sqldb.Tx, id IncomingID) ([]Incoming, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Incoming, error) { return scanIncoming(row) },
		`SELECT `+incomingColumns+` FROM exchange_incoming WHERE merged_into = $1 AND medium = 'electronic' ORDER BY id`, string(id))
}

// selectByAxis finds an outgoing document of this hub by its identifier on the axis.
func selectByAxis(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, axis string) (id DocumentID, err error) {
	err = tx.QueryRow(ctx, `SELECT id FROM exchange_document WHERE agency = $1 AND axis = $2 AND number > 0 ORDER BY id LIMIT 1`, string(agency), axis).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

const mostAlike = 20 // entries that a new one is compared with

// selectAlike finds entries of the agency with the new one's bytes, or with its
// number, date and author; on paper the author may have no code.
func selectAlike(ctx context.Context, tx *sqldb.Tx, in *Incoming) ([]Likeness, error) {
	const open = ` AND id <> $2 AND status <> '02' AND merged_into = ''`
	return sqldb.Collect(ctx, tx, func(row scanner) (Likeness, error) {
		var l Likeness
		return l, row.Scan(&l.Other, &l.Why)
	}, `SELECT id, MIN(why) FROM (
			SELECT id, 'content' AS why FROM exchange_incoming WHERE agency = $1 AND pdf = $3`+open+`
			UNION ALL SELECT id, 'number' AS why FROM exchange_incoming WHERE agency = $1 AND code = $4 AND issued = $5 AND (sender = $6 OR sender = '' OR $6 = '')`+open+`
		) AS alike GROUP BY id ORDER BY id LIMIT $7`,
		string(in.Agency), string(in.ID), string(in.PDF.Digest), in.Code, sqldb.Micros(in.Issued), string(in.From), mostAlike)
}

func insertLikeness(ctx context.Context, tx *sqldb.Tx, l Likeness) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_likeness (incoming, other, agency, why, at, decision, decided, decider, reason)
		VALUES ($1,$2,$3,$4,$5,'',0,'','') ON CONFLICT DO NOTHING`, string(l.Incoming), string(l.Other), string(l.Agency), l.Why, sqldb.Micros(l.At))
	return err
}

func selectLikeness(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID) ([]Likeness, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Likeness, error) {
		var l Likeness
		var at int64
		err := row.Scan(&l.Incoming, &l.Other, &l.Agency, &l.Why, &at)
		l.At = sqldb.Time(at)
		return l, err
	}, `SELECT incoming, other, agency, why, at FROM exchange_likeness WHERE agency = $1 AND decision = '' ORDER BY at, incoming, other LIMIT 500`, string(agency))
}

// decideLikeness writes the word on a pair in either order, also on one that the
// hub had not found alike.
func decideLikeness(ctx context.Context, tx *sqldb.Tx, a, b IncomingID, decision, reason, by string, now time.Time) error {
	res, err := tx.Exec(ctx, `UPDATE exchange_likeness SET decision = $3, reason = $4, decider = $5, decided = $6
		WHERE (incoming = $1 AND other = $2) OR (incoming = $2 AND other = $1)`, string(a), string(b), decision, reason, by, sqldb.Micros(now))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO exchange_likeness (incoming, other, agency, why, at, decision, decided, decider, reason)
		SELECT $1, $2, agency, 'clerk', $6, $3, $6, $5, $4 FROM exchange_incoming WHERE id = $1`, string(a), string(b), decision, reason, by, sqldb.Micros(now))
	return err
}
