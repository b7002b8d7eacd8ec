package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

const agencyColumns = `id, legacy_code, name, symbol, place, level, mail, parent, valid_from, valid_to, channel,
	accepts, max_size, encryption, heir, version`

func scanAgency(row scanner) (Agency, error) {
	var a Agency
	var from, to int64
	err := row.Scan(&a.ID, &a.LegacyCode, &a.Name, &a.Symbol, &a.Place, &a.Level, &a.Mail, &a.Parent, &from, &to, &a.Channel,
		&a.Accepts, &a.MaxSize, &a.Encryption, &a.Heir, &a.Version)
	a.ValidFrom, a.ValidTo = sqldb.Time(from), sqldb.Time(to)
	return a, err
}

func agencySearch(a Agency) string {
	return Fold(string(a.ID) + " " + a.LegacyCode + " " + a.Name + " " + a.Symbol)
}

// insertAgencies writes many rows per statement: an import is one transaction
// that holds up the only writer, so it has to be short. Each row gets a version.
// Ten rows are best measured: SQLite's driver looks each $n up by its name, which
// costs the square of how many there are.
func insertAgencies(ctx context.Context, tx *sqldb.Tx, agencies []Agency, by string, now time.Time) error {
	const columns, most = 21, 10
	version, err := nextVersions(ctx, tx, len(agencies))
	if err != nil {
		return err
	}
	full := ""
	for len(agencies) > 0 {
		chunk := agencies[:min(most, len(agencies))]
		agencies = agencies[len(chunk):]
		q := full
		if q == "" || len(chunk) < most {
			q = `INSERT INTO registry_agency (` + agencyColumns + `, search, created, updated, created_version, changed_by) VALUES ` +
				placeholders(len(chunk), columns)
		}
		if len(chunk) == most {
			full = q
		}
		args := make([]any, 0, columns*len(chunk))
		for _, a := range chunk {
			args = append(args, string(a.ID), a.LegacyCode, a.Name, a.Symbol, a.Place, a.Level, a.Mail, string(a.Parent),
				sqldb.Micros(a.ValidFrom), sqldb.Micros(a.ValidTo), a.Channel, a.Accepts, a.MaxSize, a.Encryption, string(a.Heir), version,
				agencySearch(a), sqldb.Micros(now), sqldb.Micros(now), version, by)
			version++
		}
		if _, err := tx.Exec(ctx, q, args...); err != nil {
			return err
		}
	}
	return nil
}

// placeholders gives "($1,$2),($3,$4)…" for so many rows.
func placeholders(rows, columns int) string {
	var q strings.Builder
	for i := range rows {
		for c := range columns {
			switch {
			case c > 0:
				q.WriteByte(',')
			case i > 0:
				q.WriteString("),(")
			default:
				q.WriteByte('(')
			}
			fmt.Fprintf(&q, "$%d", i*columns+c+1)
		}
	}
	return q.String() + ")"
}

// updateAgencies replaces rows; what they said before goes into the history.
// act is what Deltas tells of it; each change gets a version.
func updateAgencies(ctx context.Context, tx *sqldb.Tx, changes []change, by string, now time.Time) error {
	version, err := nextVersions(ctx, tx, len(changes))
	if err != nil {
		return err
	}
	if err := insertHistory(ctx, tx, changes, now); err != nil {
		return err
	}
	for i, c := range changes {
		a := c.to
		_, err := tx.Exec(ctx, `UPDATE registry_agency SET legacy_code = $2, name = $3, symbol = $4, place = $5, level = $6, mail = $7,
			parent = $8, valid_from = $9, valid_to = $10, channel = $11, search = $12, updated = $13, accepts = $14, max_size = $15,
			encryption = $16, heir = $17, version = $18, act = $19, changed_by = $20 WHERE id = $1`,
			string(a.ID), a.LegacyCode, a.Name, a.Symbol, a.Place, a.Level, a.Mail, string(a.Parent), sqldb.Micros(a.ValidFrom),
			sqldb.Micros(a.ValidTo), a.Channel, agencySearch(a), sqldb.Micros(now), a.Accepts, a.MaxSize, a.Encryption, string(a.Heir),
			version+int64(i), c.act(), by)
		if err != nil {
			return err
		}
	}
	return formerCodes(ctx, tx, changes, now)
}

// selectAgency gives nil when there is none.
func selectAgency(ctx context.Context, tx *sqldb.Tx, id AgencyID) (*Agency, error) {
	a, err := scanAgency(tx.QueryRow(ctx, `SELECT `+agencyColumns+` FROM registry_agency WHERE id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) && id != "" {
		a, err = scanAgency(tx.QueryRow(ctx, `SELECT `+agencyColumns+` FROM registry_agency WHERE legacy_code = $1 AND legacy_code <> ''`, string(id)))
	}
	if errors.Is(err, sql.ErrNoRows) && id != "" {
		a, err = scanAgency(tx.QueryRow(ctx, `SELECT `+agencyColumns+` FROM registry_agency WHERE id = (SELECT agency FROM registry_code WHERE code = $1)`, string(id)))
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &a, nil
}

func selectAgencies(ctx context.Context, tx *sqldb.Tx, f Filter) ([]Agency, error) {
	q := `SELECT ` + agencyColumns + ` FROM registry_agency WHERE id > $1`
	args := []any{string(f.After)}
	and := func(cond string, arg any) {
		args = append(args, arg)
		q += fmt.Sprintf(cond, len(args))
	}
	if f.Query != "" {
		and(` AND search LIKE $%d ESCAPE '!'`, LikePattern(f.Query))
	}
	if f.Parent != "" {
		and(` AND parent = $%d`, string(f.Parent))
	}
	if f.Level != "" {
		and(` AND level = $%d`, f.Level)
	}
	and(` ORDER BY id LIMIT $%d`, f.Limit)
	return collectAgencies(ctx, tx, q, args...)
}

func collectAgencies(ctx context.Context, tx *sqldb.Tx, q string, args ...any) ([]Agency, error) {
	return sqldb.Collect(ctx, tx, scanAgency, q, args...)
}

type scanner = sqldb.Scanner

func selectAllAgencies(ctx context.Context, tx *sqldb.Tx) (map[AgencyID]Agency, error) {
	list, err := collectAgencies(ctx, tx, `SELECT `+agencyColumns+` FROM registry_agency`)
	if err != nil {
		return nil, err
	}
	m := make(map[AgencyID]Agency, len(list))
	for _, a := range list {
		m[a.ID] = a
	}
	return m, nil
}

// selectAncestors gives the agency and everything above it, nearest first; it
// stops after maxDepth levels, so that a loop cannot hold it.
func selectAncestors(ctx context.Context, tx *sqldb.Tx, id AgencyID) ([]AgencyID, error) {
	return collectIDs(ctx, tx, `WITH RECURSIVE up (id, parent, depth) AS (
			SELECT id, parent, 1 FROM registry_agency WHERE id = $1
			UNION ALL
			SELECT a.id, a.parent, up.depth + 1 FROM registry_agency a JOIN up ON a.id = up.parent WHERE up.depth < $2
		) SELECT id FROM up ORDER BY depth`, string(id), maxDepth)
}

func selectSubtree(ctx context.Context, tx *sqldb.Tx, root AgencyID) ([]AgencyID, error) {
	return collectIDs(ctx, tx, `WITH RECURSIVE down (id, depth) AS (
			SELECT id, 1 FROM registry_agency WHERE id = $1
			UNION ALL
			SELECT a.id, down.depth + 1 FROM registry_agency a JOIN down ON a.parent = down.id WHERE down.depth < $2
		) SELECT id FROM down ORDER BY id`, string(root), maxDepth)
}

func collectIDs(ctx context.Context, tx *sqldb.Tx, q string, args ...any) ([]AgencyID, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (AgencyID, error) {
		var id AgencyID
		err := row.Scan(&id)
		return id, err
	}, q, args...)
}

// selectBelow gives what exists below an agency at a time, of one level or all ("").
func selectBelow(ctx context.Context, tx *sqldb.Tx, root AgencyID, level string, at time.Time) ([]AgencyID, error) {
	return collectIDs(ctx, tx, `WITH RECURSIVE down (id, depth) AS (
			SELECT id, 1 FROM registry_agency WHERE id = $1
			UNION ALL
			SELECT a.id, down.depth + 1 FROM registry_agency a JOIN down ON a.parent = down.id WHERE down.depth < $2
		) SELECT a.id FROM registry_agency a JOIN down ON down.id = a.id WHERE a.id <> $1 AND (CAST($3 AS TEXT) = '' OR a.level = $3)
			AND a.valid_from <= $4 AND (a.valid_to = 0 OR a.valid_to > $4) ORDER BY a.id`, string(root), maxDepth, level, sqldb.Micros(at))
}
