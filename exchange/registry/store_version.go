package registry

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

// nextVersions takes n version numbers and gives the first. The row is locked
// until the transaction ends, and goes back with it: no gap.
func nextVersions(ctx context.Context, tx *sqldb.Tx, n int) (int64, error) {
	if n == 0 {
		return 0, nil
	}
	var last int64
	err := tx.QueryRow(ctx, `UPDATE registry_version SET last = last + $1 WHERE name = 'agency' RETURNING last`, n).Scan(&last)
	return last - int64(n) + 1, err
}

func selectVersion(ctx context.Context, tx *sqldb.Tx) (last int64, err error) {
	err = tx.QueryRow(ctx, `SELECT last FROM registry_version WHERE name = 'agency'`).Scan(&last)
	return last, err
}

// insertHistory keeps what the rows say before they are changed: version, act
// and actor are taken from the rows themselves.
func insertHistory(ctx context.Context, tx *sqldb.Tx, changes []change, now time.Time) error {
	for _, c := range changes {
		body, err := json.Marshal(c.from)
		if err != nil {
			return fmt.Errorf("encoding agency %s: %w", c.from.ID, err)
		}
		_, err = tx.Exec(ctx, `INSERT INTO registry_history (version, agency, act, changed_by, since, until, body)
			SELECT version, id, act, changed_by, updated, $2, $3 FROM registry_agency WHERE id = $1`,
			string(c.from.ID), sqldb.Micros(now), string(body))
		if err != nil {
			return err
		}
	}
	return nil
}

// formerCodes keeps the QCVN 102 codes that agencies give up.
func formerCodes(ctx context.Context, tx *sqldb.Tx, changes []change, now time.Time) error {
	for _, c := range changes {
		if c.from.LegacyCode == "" || c.from.LegacyCode == c.to.LegacyCode {
			continue
		}
		code := Code{Code: c.from.LegacyCode, Kind: CodeQCVN102, ValidFrom: c.from.ValidFrom, ValidTo: now}
		if err := insertCode(ctx, tx, c.from.ID, code); err != nil {
			return err
		}
	}
	return nil
}

func insertCode(ctx context.Context, tx *sqldb.Tx, a AgencyID, c Code) error {
	_, err := tx.Exec(ctx, `INSERT INTO registry_code (code, agency, kind, valid_from, valid_to) VALUES ($1,$2,$3,$4,$5)
		ON CONFLICT (code) DO UPDATE SET valid_to = excluded.valid_to WHERE registry_code.agency = excluded.agency`,
		c.Code, string(a), c.Kind, sqldb.Micros(c.ValidFrom), sqldb.Micros(c.ValidTo))
	return err
}

func selectCodes(ctx context.Context, tx *sqldb.Tx, a AgencyID) ([]Code, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (c Code, err error) {
		var from, to int64
		err = row.Scan(&c.Code, &c.Kind, &from, &to)
		c.ValidFrom, c.ValidTo = sqldb.Time(from), sqldb.Time(to)
		return c, err
	}, `SELECT code, kind, valid_from, valid_to FROM registry_code WHERE agency = $1 ORDER BY valid_from, code`, string(a))
}

// codeOwner gives the agency whose code this is or was; "" when nobody's.
func codeOwner(ctx context.Context, tx *sqldb.Tx, code string) (AgencyID, error) {
	var id AgencyID
	err := tx.QueryRow(ctx, `SELECT id FROM registry_agency WHERE id = $1
		UNION ALL SELECT id FROM registry_agency WHERE legacy_code = $1 AND legacy_code <> ''
		UNION ALL SELECT agency FROM registry_code WHERE code = $1 LIMIT 1`, code).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// selectFormerCodes gives every code of registry_code with its owner.
func selectFormerCodes(ctx context.Context, tx *sqldb.Tx) (map[string]AgencyID, error) {
	return ownersOf(ctx, tx, `SELECT code, agency FROM registry_code`)
}

// selectAsOf gives what an agency was at a time before its last change; nil when
// the row says what holds (or when it did not exist).
func selectAsOf(ctx context.Context, tx *sqldb.Tx, a AgencyID, at time.Time) (*Agency, error) {
	var body string
	err := tx.QueryRow(ctx, `SELECT body FROM registry_history WHERE agency = $1 AND until > $2 ORDER BY until, version LIMIT 1`,
		string(a), sqldb.Micros(at)).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	old := new(Agency)
	if err := json.Unmarshal([]byte(body), old); err != nil {
		return nil, fmt.Errorf("decoding the history of %s: %w", a, err)
	}
	return old, nil
}

// selectChanged gives agencies that changed after a version, in version order.
func selectChanged(ctx context.Context, tx *sqldb.Tx, since int64, limit int) ([]Delta, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (d Delta, err error) {
		var created, at int64
		var act string
		d.Agency, err = scanAgency(more{row, []any{&created, &act, &at}})
		d.Version, d.At, d.Op = d.Agency.Version, sqldb.Time(at), Op(act)
		if created > since && d.Op != OpDelete {
			d.Op = OpCreate
		}
		return d, err
	}, `SELECT `+agencyColumns+`, created_version, act, updated FROM registry_agency WHERE version > $1 ORDER BY version LIMIT $2`, since, limit)
}

// more scans columns behind those that a scan function knows.
type more struct {
	scanner
	dest []any
}

func (m more) Scan(dest ...any) error { return m.scanner.Scan(append(dest, m.dest...)...) }

// selectByCodes gives the agencies among candidates, by id or QCVN 102 code.
func selectByCodes(ctx context.Context, tx *sqldb.Tx, candidates []string) ([]AgencyID, error) {
	if len(candidates) == 0 {
		return nil, nil
	}
	in, args := anyOf(candidates)
	return collectIDs(ctx, tx, `SELECT id FROM registry_agency WHERE id IN (`+in+`) OR legacy_code IN (`+in+`) ORDER BY id LIMIT 5`, args...)
}

// selectWithCodes gives the agencies that have one of the codes as id or QCVN 102
// code, and the owners of those that are in registry_code.
func selectWithCodes(ctx context.Context, tx *sqldb.Tx, codes []string) ([]Agency, map[string]AgencyID, error) {
	in, args := anyOf(codes)
	list, err := collectAgencies(ctx, tx, `SELECT `+agencyColumns+` FROM registry_agency WHERE id IN (`+in+`)
		UNION SELECT `+agencyColumns+` FROM registry_agency WHERE legacy_code <> '' AND legacy_code IN (`+in+`)`, args...)
	if err != nil {
		return nil, nil, err
	}
	former, err := ownersOf(ctx, tx, `SELECT code, agency FROM registry_code WHERE code IN (`+in+`)`, args...)
	return list, former, err
}

// anyOf gives the list and the arguments of an IN.
func anyOf(values []string) (in string, args []any) {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "$%d", i+1)
		args = append(args, v)
	}
	return b.String(), args
}

func ownersOf(ctx context.Context, tx *sqldb.Tx, q string, args ...any) (map[string]AgencyID, error) {
	type pair struct {
		code  string
		owner AgencyID
	}
	list, err := sqldb.Collect(ctx, tx, func(row scanner) (p pair, err error) {
		return p, row.Scan(&p.code, &p.owner)
	}, q, args...)
	m := make(map[string]AgencyID, len(list))
	for _, p := range list {
		m[p.code] = p.owner
	}
	return m, err
}

func insertSuccession(ctx context.Context, tx *sqldb.Tx, s Succession) error {
	_, err := tx.Exec(ctx, `INSERT INTO registry_succession (predecessor, successor, act, at, heir, statement, signature) VALUES ($1,$2,$3,$4,$5,$6,$7)`,
		string(s.Predecessor), string(s.Successor), s.Act, sqldb.Micros(s.At), flag(s.Heir), string(s.Statement),
		base64.StdEncoding.EncodeToString(s.Signature))
	return err
}

// selectSuccessions reads by column predecessor or successor.
func selectSuccessions(ctx context.Context, tx *sqldb.Tx, column string, a AgencyID) ([]Succession, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (s Succession, err error) {
		var at int64
		var heir int
		var statement, signature string
		if err = row.Scan(&s.Predecessor, &s.Successor, &s.Act, &at, &heir, &statement, &signature); err != nil {
			return s, err
		}
		s.At, s.Heir, s.Statement = sqldb.Time(at), heir != 0, []byte(statement)
		s.Signature, err = base64.StdEncoding.DecodeString(signature)
		return s, err
	}, `SELECT predecessor, successor, act, at, heir, statement, signature FROM registry_succession WHERE `+column+` = $1
		ORDER BY at, predecessor, successor`, string(a))
}

// selectLine gives an agency and all whose business came to it, by the heir of each.
func selectLine(ctx context.Context, tx *sqldb.Tx, a AgencyID) ([]AgencyID, error) {
	return collectIDs(ctx, tx, `WITH RECURSIVE line (id, depth) AS (
			SELECT id, 1 FROM registry_agency WHERE id = $1
			UNION ALL
			SELECT p.id, line.depth + 1 FROM registry_agency p JOIN line ON p.heir = line.id AND p.heir <> '' WHERE line.depth < $2
		) SELECT DISTINCT id FROM line ORDER BY id`, string(a), maxSuccession)
}

// selectSource gives what was applied from another registry: version and digest by agency.
func selectSource(ctx context.Context, tx *sqldb.Tx, source string) (map[AgencyID]applied, error) {
	type row struct {
		id AgencyID
		applied
	}
	list, err := sqldb.Collect(ctx, tx, func(s scanner) (r row, err error) {
		return r, s.Scan(&r.id, &r.version, &r.digest)
	}, `SELECT agency, version, digest FROM registry_source WHERE source = $1`, source)
	m := make(map[AgencyID]applied, len(list))
	for _, r := range list {
		m[r.id] = r.applied
	}
	return m, err
}

func upsertSource(ctx context.Context, tx *sqldb.Tx, source string, a AgencyID, v applied) error {
	_, err := tx.Exec(ctx, `INSERT INTO registry_source (source, agency, version, digest) VALUES ($1,$2,$3,$4)
		ON CONFLICT (source, agency) DO UPDATE SET version = excluded.version, digest = excluded.digest`, source, string(a), v.version, v.digest)
	return err
}

func movePeople(ctx context.Context, tx *sqldb.Tx, from, to AgencyID, now time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM registry_session WHERE person IN (SELECT id FROM registry_person WHERE agency = $1)`, string(from)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE registry_person SET agency = $2, updated = $3 WHERE agency = $1`, string(from), string(to), sqldb.Micros(now))
	return err
}

func moveChildren(ctx context.Context, tx *sqldb.Tx, from AgencyID) ([]Agency, error) {
	return collectAgencies(ctx, tx, `SELECT `+agencyColumns+` FROM registry_agency WHERE parent = $1 ORDER BY id`, string(from))
}

func revokeCertificate(ctx context.Context, tx *sqldb.Tx, o Owner, fingerprint string, at time.Time, by, reason string) (int64, error) {
	res, err := tx.Exec(ctx, `UPDATE registry_certificate SET revoked = $4, revoked_by = $5, reason = $6
		WHERE owner_kind = $1 AND owner = $2 AND fingerprint = $3 AND (revoked = 0 OR revoked > $4)`,
		string(o.Kind), o.ID, fingerprint, sqldb.Micros(at), by, reason)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// copyKeys gives another owner the same keys and certificates.
func copyKeys(ctx context.Context, tx *sqldb.Tx, from, to Owner) error {
	_, err := tx.Exec(ctx, `INSERT INTO registry_key (owner_kind, owner, p12, updated) SELECT owner_kind, $3, p12, updated FROM registry_key
		WHERE owner_kind = $1 AND owner = $2 ON CONFLICT (owner_kind, owner) DO NOTHING`, string(from.Kind), from.ID, to.ID)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO registry_certificate (owner_kind, owner, fingerprint, der, added, added_by, valid_from, valid_to, revoked, revoked_by, reason)
		SELECT owner_kind, $3, fingerprint, der, added, added_by, valid_from, valid_to, revoked, revoked_by, reason FROM registry_certificate
		WHERE owner_kind = $1 AND owner = $2 ON CONFLICT (owner_kind, owner, fingerprint) DO NOTHING`, string(from.Kind), from.ID, to.ID)
	return err
}

// The checks of the registry's own tables.

func selectVersionGaps(ctx context.Context, tx *sqldb.Tx) (last, count, highest int64, err error) {
	if last, err = selectVersion(ctx, tx); err != nil {
		return 0, 0, 0, err
	}
	err = tx.QueryRow(ctx, `SELECT COUNT(DISTINCT version), COALESCE(MAX(version), 0) FROM
		(SELECT version FROM registry_agency UNION ALL SELECT version FROM registry_history) AS v`).Scan(&count, &highest)
	return last, count, highest, err
}

func selectDangling(ctx context.Context, tx *sqldb.Tx) ([]string, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (s string, err error) { return s, row.Scan(&s) },
		`SELECT 'agency ' || a.id || ': its heir ' || a.heir || ' is not known' FROM registry_agency a
			WHERE a.heir <> '' AND NOT EXISTS (SELECT 1 FROM registry_agency b WHERE b.id = a.heir)
		UNION ALL SELECT 'agency ' || a.id || ' has the heir ' || a.heir || ' and is not closed' FROM registry_agency a WHERE a.heir <> '' AND a.valid_to = 0
		UNION ALL SELECT 'agency ' || a.id || ': its parent ' || a.parent || ' is not known' FROM registry_agency a
			WHERE a.parent <> '' AND NOT EXISTS (SELECT 1 FROM registry_agency b WHERE b.id = a.parent)
		UNION ALL SELECT 'agency ' || s.predecessor || ': its successor ' || s.successor || ' is not known' FROM registry_succession s
			WHERE s.successor <> '' AND NOT EXISTS (SELECT 1 FROM registry_agency b WHERE b.id = s.successor)
		UNION ALL SELECT 'the code ' || c.code || ' belongs to ' || c.agency || ' and to ' || b.id FROM registry_code c JOIN registry_agency b
			ON (b.id = c.code OR b.legacy_code = c.code) AND b.id <> c.agency`)
}

// selectLinks gives one kind of link between agencies: parent or heir.
func selectLinks(ctx context.Context, tx *sqldb.Tx, column string) (map[AgencyID]AgencyID, error) {
	type link struct{ from, to AgencyID }
	list, err := sqldb.Collect(ctx, tx, func(row scanner) (l link, err error) { return l, row.Scan(&l.from, &l.to) },
		`SELECT id, `+column+` FROM registry_agency WHERE `+column+` <> ''`)
	m := make(map[AgencyID]AgencyID, len(list))
	for _, l := range list {
		m[l.from] = l.to
	}
	return m, err
}
