package registry

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

func splitRoles(s string) []Role {
	if s == "" {
		return []Role{}
	}
	var out []Role
	for r := range strings.SplitSeq(s, ",") {
		out = append(out, Role(r))
	}
	return out
}

const moveColumns = `m.id, m.person, m.from_agency, m.agency, m.position, m.roles, m.disabled, m.heir, m.keep, m.reason, m.at, m.created, m.created_by, m.done, m.cancelled, m.problem, p.name
	FROM registry_move m JOIN registry_person p ON p.id = m.person`

func scanMove(row scanner) (Move, error) {
	var m Move
	var roles string
	var disabled, keep int
	var at, created, done, cancelled int64
	err := row.Scan(&m.ID, &m.Person, &m.From, &m.Agency, &m.Position, &roles, &disabled, &m.HandOver, &keep, &m.Reason, &at, &created, &m.By,
		&done, &cancelled, &m.Problem, &m.Name)
	m.Roles, m.Disable, m.KeepCertificates = splitRoles(roles), disabled != 0, keep != 0
	m.At, m.Created, m.Done, m.Cancelled = sqldb.Time(at), sqldb.Time(created), sqldb.Time(done), sqldb.Time(cancelled)
	return m, err
}

func insertMove(ctx context.Context, tx *sqldb.Tx, m *Move) error {
	_, err := tx.Exec(ctx, `INSERT INTO registry_move (id, person, from_agency, agency, position, roles, disabled, heir, keep, reason, at, created, created_by, done, cancelled, problem)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,0,0,'')`,
		m.ID, string(m.Person), string(m.From), string(m.Agency), m.Position, joinRoles(m.Roles), flag(m.Disable), string(m.HandOver), flag(m.KeepCertificates),
		m.Reason, sqldb.Micros(m.At), sqldb.Micros(m.Created), m.By)
	return err
}

// selectMove gives nil when there is none.
func selectMove(ctx context.Context, tx *sqldb.Tx, id string) (*Move, error) {
	m, err := scanMove(tx.QueryRow(ctx, `SELECT `+moveColumns+` WHERE m.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &m, nil
}

func selectMoves(ctx context.Context, tx *sqldb.Tx, id PersonID) ([]Move, error) {
	if id == "" {
		return sqldb.Collect(ctx, tx, scanMove, `SELECT `+moveColumns+` WHERE m.done = 0 AND m.cancelled = 0 ORDER BY m.at, m.id`)
	}
	return sqldb.Collect(ctx, tx, scanMove, `SELECT `+moveColumns+` WHERE m.person = $1 ORDER BY m.id DESC`, string(id))
}

func finishMove(ctx context.Context, tx *sqldb.Tx, id string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE registry_move SET done = $2 WHERE id = $1`, id, sqldb.Micros(at))
	return err
}

func cancelMove(ctx context.Context, tx *sqldb.Tx, id, problem string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE registry_move SET cancelled = $2, problem = $3 WHERE id = $1 AND done = 0 AND cancelled = 0`, id, sqldb.Micros(at), problem)
	return err
}

// insertTerm closes what a person is now.
func insertTerm(ctx context.Context, tx *sqldb.Tx, p *Person, by, reason string, until time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO registry_term (person, since, until, agency, name, position, roles, disabled, changed_by, reason)
		SELECT id, COALESCE((SELECT MAX(t.until) FROM registry_term t WHERE t.person = registry_person.id), created), $2, agency, name, position, roles, disabled, $3, $4
		FROM registry_person WHERE id = $1`, string(p.ID), sqldb.Micros(until), by, reason)
	return err
}

func selectTerms(ctx context.Context, tx *sqldb.Tx, p *Person) ([]Term, error) {
	list, err := sqldb.Collect(ctx, tx, func(row scanner) (Term, error) {
		var t Term
		var roles string
		var disabled int
		var since, until int64
		err := row.Scan(&since, &until, &t.Agency, &t.Name, &t.Position, &roles, &disabled, &t.ChangedBy, &t.Reason)
		t.Since, t.Until, t.Roles, t.Disabled = sqldb.Time(since), sqldb.Time(until), splitRoles(roles), disabled != 0
		return t, err
	}, `SELECT since, until, agency, name, position, roles, disabled, changed_by, reason FROM registry_term WHERE person = $1 ORDER BY until`, string(p.ID))
	if err != nil {
		return nil, err
	}
	var created int64
	if err := tx.QueryRow(ctx, `SELECT created FROM registry_person WHERE id = $1`, string(p.ID)).Scan(&created); err != nil {
		return nil, err
	}
	now := Term{Since: sqldb.Time(created), Agency: p.Agency, Name: p.Name, Position: p.Position, Roles: p.Roles, Disabled: p.Disabled}
	if n := len(list); n > 0 {
		now.Since = list[n-1].Until
	}
	return append(list, now), nil
}

// endCertificates ends the term of every certificate of an owner that has not
// ended, and tells which they were.
func endCertificates(ctx context.Context, tx *sqldb.Tx, o Owner, at time.Time) ([]string, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (fingerprint string, err error) {
		err = row.Scan(&fingerprint)
		return fingerprint, err
	}, `UPDATE registry_certificate SET valid_to = $3 WHERE owner_kind = $1 AND owner = $2 AND revoked = 0 AND (valid_to = 0 OR valid_to > $3) RETURNING fingerprint`,
		string(o.Kind), o.ID, sqldb.Micros(at))
}
