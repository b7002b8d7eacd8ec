package registry

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

const delegationColumns = `d.id, d.agency, d.giver, d.taker, d.scopes, d.form, d.basis, d.valid_from, d.valid_to, d.created, d.created_by, d.revoked, d.reason,
	g.name, g.position, t.name FROM registry_delegation d JOIN registry_person g ON g.id = d.giver JOIN registry_person t ON t.id = d.taker`

func scanDelegation(row scanner) (Delegation, error) {
	var d Delegation
	var scopes string
	var from, to, created, revoked int64
	err := row.Scan(&d.ID, &d.Agency, &d.Giver, &d.Taker, &scopes, &d.Form, &d.Basis, &from, &to, &created, &d.By, &revoked, &d.Reason,
		&d.GiverName, &d.GiverPosition, &d.TakerName)
	d.From, d.To, d.Created, d.Revoked = sqldb.Time(from), sqldb.Time(to), sqldb.Time(created), sqldb.Time(revoked)
	for s := range strings.SplitSeq(scopes, ",") {
		d.Scopes = append(d.Scopes, Scope(s))
	}
	return d, err
}

func insertDelegation(ctx context.Context, tx *sqldb.Tx, d *Delegation) error {
	scopes := make([]string, len(d.Scopes))
	for i, s := range d.Scopes {
		scopes[i] = string(s)
	}
	_, err := tx.Exec(ctx, `INSERT INTO registry_delegation (id, agency, giver, taker, scopes, form, basis, valid_from, valid_to, created, created_by, revoked, revoked_by, reason)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,0,'','')`,
		d.ID, string(d.Agency), string(d.Giver), string(d.Taker), strings.Join(scopes, ","), string(d.Form), d.Basis,
		sqldb.Micros(d.From), sqldb.Micros(d.To), sqldb.Micros(d.Created), d.By)
	return err
}

// selectDelegation gives nil when there is none.
func selectDelegation(ctx context.Context, tx *sqldb.Tx, id string) (*Delegation, error) {
	d, err := scanDelegation(tx.QueryRow(ctx, `SELECT `+delegationColumns+` WHERE d.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &d, nil
}

func selectDelegations(ctx context.Context, tx *sqldb.Tx, f DelegationFilter) ([]Delegation, error) {
	at := sqldb.Micros(f.At)
	return sqldb.Collect(ctx, tx, scanDelegation, `SELECT `+delegationColumns+` WHERE ($1 = '' OR d.agency = $1) AND ($2 = '' OR d.giver = $2 OR d.taker = $2)
		AND (CAST($3 AS BIGINT) = 0 OR (d.valid_from <= $3 AND d.valid_to > $3 AND (d.revoked = 0 OR d.revoked > $3))) ORDER BY d.id DESC LIMIT 1000`,
		string(f.Agency), string(f.Person), at)
}

func endDelegation(ctx context.Context, tx *sqldb.Tx, id, reason, by string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE registry_delegation SET revoked = $2, revoked_by = $3, reason = $4 WHERE id = $1 AND revoked = 0`,
		id, sqldb.Micros(at), by, reason)
	return err
}

// endDelegationsOf ends every delegation of a person that has not ended, given and
// taken, and tells which they were.
func endDelegationsOf(ctx context.Context, tx *sqldb.Tx, p PersonID, reason, by string, at time.Time) ([]string, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (id string, err error) {
		err = row.Scan(&id)
		return id, err
	}, `UPDATE registry_delegation SET revoked = $2, revoked_by = $3, reason = $4 WHERE (giver = $1 OR taker = $1) AND revoked = 0 AND valid_to > $2 RETURNING id`,
		string(p), sqldb.Micros(at), by, reason)
}
