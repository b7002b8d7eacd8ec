package axis

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"vanthu/exchange/edxml"
	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

func upsertLink(ctx context.Context, tx *sqldb.Tx, l *Link) error {
	_, err := tx.Exec(ctx, `INSERT INTO axis_link (id, url, system, secret, disabled, created, asked, problem) VALUES ($1,$2,$3,$4,0,$5,0,'')
		ON CONFLICT (id) DO UPDATE SET url = excluded.url, system = excluded.system, secret = excluded.secret, disabled = 0, problem = ''`,
		l.ID, l.URL, l.System, l.sealed, sqldb.Micros(l.Created))
	return err
}

func disableLink(ctx context.Context, tx *sqldb.Tx, id string) (bool, error) {
	res, err := tx.Exec(ctx, `UPDATE axis_link SET disabled = 1 WHERE id = $1`, id)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func noteLink(ctx context.Context, tx *sqldb.Tx, id, problem string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE axis_link SET problem = $2, asked = $3 WHERE id = $1`, id, problem, sqldb.Micros(at))
	return err
}

const linkColumns = `id, url, system, secret, disabled, created, asked, problem, (SELECT COUNT(*) FROM axis_link_agency a WHERE a.link = axis_link.id),
	(SELECT COUNT(*) FROM axis_link_sent s WHERE s.link = axis_link.id AND s.ended = 0 AND s.kind = 'edoc')`

func scanLink(row sqldb.Scanner) (Link, error) {
	var l Link
	var disabled int
	var created, asked int64
	err := row.Scan(&l.ID, &l.URL, &l.System, &l.sealed, &disabled, &created, &asked, &l.Problem, &l.Agencies, &l.Waiting)
	l.Disabled, l.Created, l.Asked = disabled == 1, sqldb.Time(created), sqldb.Time(asked)
	return l, err
}

func selectLinks(ctx context.Context, tx *sqldb.Tx) ([]Link, error) {
	return sqldb.Collect(ctx, tx, scanLink, `SELECT `+linkColumns+` FROM axis_link ORDER BY id`)
}

// selectLink gives a link, nil when there is none.
func selectLink(ctx context.Context, tx *sqldb.Tx, id string) (*Link, error) {
	return oneLink(tx.QueryRow(ctx, `SELECT `+linkColumns+` FROM axis_link WHERE id = $1`, id))
}

// selectLinkOf gives the link by which an agency is reached; nil where a system here speaks for it, or nothing leads to it.
func selectLinkOf(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID) (*Link, error) {
	return oneLink(tx.QueryRow(ctx, `SELECT `+linkColumns+` FROM axis_link WHERE id = (SELECT link FROM axis_link_agency WHERE agency = $1)
		AND NOT EXISTS (SELECT 1 FROM axis_system_agency WHERE agency = $1)`, string(agency)))
}

func oneLink(row sqldb.Scanner) (*Link, error) {
	l, err := scanLink(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &l, err
}

// insertReach notes by which link an agency is reached; the first stays.
func insertReach(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, link string) error {
	_, err := tx.Exec(ctx, `INSERT INTO axis_link_agency (agency, link) VALUES ($1,$2) ON CONFLICT (agency) DO NOTHING`, string(agency), link)
	return err
}

// sentAway is a packet that another axis has taken for a recipient.
type sentAway struct {
	link, digest string
	recipient    registry.AgencyID
	kind         edxml.Kind
	sender       registry.AgencyID
	document     string
	docID        string
}

// selectSentAway gives the id under which a packet was sent, "" when it was not.
func selectSentAway(ctx context.Context, tx *sqldb.Tx, s *sentAway) (docID string, err error) {
	err = tx.QueryRow(ctx, `SELECT doc_id FROM axis_link_sent WHERE link = $1 AND digest = $2 AND recipient = $3`, s.link, s.digest, string(s.recipient)).Scan(&docID)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return docID, err
}

func insertSentAway(ctx context.Context, tx *sqldb.Tx, s *sentAway, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO axis_link_sent (link, digest, recipient, kind, sender, document, doc_id, at, ended)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,0) ON CONFLICT DO NOTHING`,
		s.link, s.digest, string(s.recipient), string(s.kind), string(s.sender), s.document, s.docID, sqldb.Micros(at))
	return err
}

// mostFollowed bounds how many packets are asked about at a time.
const mostFollowed = 500

func selectOpenAway(ctx context.Context, tx *sqldb.Tx, link string) ([]sentAway, error) {
	return sqldb.Collect(ctx, tx, func(row sqldb.Scanner) (sentAway, error) {
		s := sentAway{link: link}
		err := row.Scan(&s.digest, &s.recipient, &s.kind, &s.sender, &s.document, &s.docID)
		return s, err
	}, `SELECT digest, recipient, kind, sender, document, doc_id FROM axis_link_sent WHERE link = $1 AND ended = 0 AND kind = 'edoc' ORDER BY at DESC LIMIT $2`, link, mostFollowed)
}

func endAway(ctx context.Context, tx *sqldb.Tx, s *sentAway, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE axis_link_sent SET ended = $4 WHERE link = $1 AND digest = $2 AND recipient = $3`,
		s.link, s.digest, string(s.recipient), sqldb.Micros(at))
	return err
}
