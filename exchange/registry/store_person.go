package registry

import (
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

const personColumns = `id, login, name, position, mail, agency, roles, disabled, password`

func scanPerson(row scanner) (p Person, phc string, err error) {
	var roles string
	var disabled int
	err = row.Scan(&p.ID, &p.Login, &p.Name, &p.Position, &p.Mail, &p.Agency, &roles, &disabled, &phc)
	p.Disabled = disabled != 0
	p.Roles = splitRoles(roles)
	return p, phc, err
}

func joinRoles(roles []Role) string {
	s := make([]string, len(roles))
	for i, r := range roles {
		s[i] = string(r)
	}
	return strings.Join(s, ",")
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func insertPerson(ctx context.Context, tx *sqldb.Tx, p Person, phc string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO registry_person (`+personColumns+`, created, updated) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$10)`,
		string(p.ID), p.Login, p.Name, p.Position, p.Mail, string(p.Agency), joinRoles(p.Roles), flag(p.Disabled), phc, sqldb.Micros(now))
	return err
}

func updatePerson(ctx context.Context, tx *sqldb.Tx, p Person, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE registry_person SET name = $2, position = $3, mail = $4, agency = $5, roles = $6, disabled = $7, updated = $8 WHERE id = $1`,
		string(p.ID), p.Name, p.Position, p.Mail, string(p.Agency), joinRoles(p.Roles), flag(p.Disabled), sqldb.Micros(now))
	return err
}

func updatePassword(ctx context.Context, tx *sqldb.Tx, id PersonID, phc string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE registry_person SET password = $2, updated = $3 WHERE id = $1`, string(id), phc, sqldb.Micros(now))
	return err
}

// selectPerson finds by column id or login; nil when there is none.
func selectPerson(ctx context.Context, tx *sqldb.Tx, column, value string) (*Person, string, error) {
	p, phc, err := scanPerson(tx.QueryRow(ctx, `SELECT `+personColumns+` FROM registry_person WHERE `+column+` = $1`, value))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	return &p, phc, nil
}

func selectPeople(ctx context.Context, tx *sqldb.Tx, a AgencyID) ([]Person, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Person, error) {
		p, _, err := scanPerson(row)
		return p, err
	}, `SELECT `+personColumns+` FROM registry_person WHERE agency = $1 ORDER BY login`, string(a))
}

func insertSession(ctx context.Context, tx *sqldb.Tx, s session) error {
	_, err := tx.Exec(ctx, `INSERT INTO registry_session (token, person, kind, name, created, last_used, expires) VALUES ($1,$2,$3,$4,$5,$6,$7)`,
		s.token, string(s.person), s.kind, s.name, sqldb.Micros(s.created), sqldb.Micros(s.lastUsed), sqldb.Micros(s.expires))
	return err
}

func selectSession(ctx context.Context, tx *sqldb.Tx, digest string) (*session, error) {
	s := session{token: digest}
	var created, lastUsed, expires int64
	err := tx.QueryRow(ctx, `SELECT person, kind, name, created, last_used, expires FROM registry_session WHERE token = $1`, digest).
		Scan(&s.person, &s.kind, &s.name, &created, &lastUsed, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.created, s.lastUsed, s.expires = sqldb.Time(created), sqldb.Time(lastUsed), sqldb.Time(expires)
	return &s, nil
}

func touchSession(ctx context.Context, tx *sqldb.Tx, digest string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE registry_session SET last_used = $2 WHERE token = $1 AND last_used < $2`, digest, sqldb.Micros(now))
	return err
}

func deleteSession(ctx context.Context, tx *sqldb.Tx, digest string) error {
	_, err := tx.Exec(ctx, `DELETE FROM registry_session WHERE token = $1`, digest)
	return err
}

func deleteSessions(ctx context.Context, tx *sqldb.Tx, p PersonID) error {
	_, err := tx.Exec(ctx, `DELETE FROM registry_session WHERE person = $1`, string(p))
	return err
}

func deleteExpired(ctx context.Context, tx *sqldb.Tx, now time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM registry_session WHERE expires < $1`, sqldb.Micros(now))
	return err
}

func upsertKey(ctx context.Context, tx *sqldb.Tx, o Owner, p12 []byte, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO registry_key (owner_kind, owner, p12, updated) VALUES ($1,$2,$3,$4)
		ON CONFLICT (owner_kind, owner) DO UPDATE SET p12 = excluded.p12, updated = excluded.updated`,
		string(o.Kind), o.ID, base64.StdEncoding.EncodeToString(p12), sqldb.Micros(now))
	return err
}

func selectKey(ctx context.Context, tx *sqldb.Tx, o Owner) ([]byte, error) {
	var s string
	err := tx.QueryRow(ctx, `SELECT p12 FROM registry_key WHERE owner_kind = $1 AND owner = $2`, string(o.Kind), o.ID).Scan(&s)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(s)
}

func insertCertificate(ctx context.Context, tx *sqldb.Tx, o Owner, fingerprint string, der []byte, by string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO registry_certificate (owner_kind, owner, fingerprint, der, added, added_by) VALUES ($1,$2,$3,$4,$5,$6)
		ON CONFLICT (owner_kind, owner, fingerprint) DO NOTHING`,
		string(o.Kind), o.ID, fingerprint, base64.StdEncoding.EncodeToString(der), sqldb.Micros(now), by)
	return err
}

func selectCertificates(ctx context.Context, tx *sqldb.Tx, o Owner) ([]Certificate, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Certificate, error) {
		c := Certificate{Owner: o}
		var der string
		var added, from, to, revoked int64
		if err := row.Scan(&c.Fingerprint, &der, &added, &from, &to, &revoked, &c.Reason); err != nil {
			return c, err
		}
		c.Added, c.Revoked = sqldb.Time(added), sqldb.Time(revoked)
		raw, err := base64.StdEncoding.DecodeString(der)
		if err != nil {
			return c, fmt.Errorf("certificate %s: %w", c.Fingerprint, err)
		}
		if c.Certificate, err = x509.ParseCertificate(raw); err != nil {
			return c, fmt.Errorf("certificate %s: %w", c.Fingerprint, err)
		}
		c.ValidFrom, c.ValidTo = sqldb.Time(from), sqldb.Time(to)
		return c, nil
	}, `SELECT fingerprint, der, added, valid_from, valid_to, revoked, reason FROM registry_certificate
		WHERE owner_kind = $1 AND owner = $2 ORDER BY added DESC, fingerprint`, string(o.Kind), o.ID)
}

// limitCertificate sets the term in which a certificate speaks for its owner.
func limitCertificate(ctx context.Context, tx *sqldb.Tx, o Owner, fingerprint string, from, to time.Time) (int64, error) {
	res, err := tx.Exec(ctx, `UPDATE registry_certificate SET valid_from = $4, valid_to = $5 WHERE owner_kind = $1 AND owner = $2 AND fingerprint = $3`,
		string(o.Kind), o.ID, fingerprint, sqldb.Micros(from), sqldb.Micros(to))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
