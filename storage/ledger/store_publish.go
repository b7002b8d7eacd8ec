package ledger

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"vanthu/storage/sqldb"
)

func storePublication(ctx context.Context, tx *sqldb.Tx, p Publication) error {
	at := sqldb.Micros(p.At)
	_, err := tx.Exec(ctx, `INSERT INTO ledger_publication (size, note, token, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (size) DO UPDATE SET token = excluded.token WHERE ledger_publication.token = ''`,
		p.Size, p.Note, base64.StdEncoding.EncodeToString(p.Token), at)
	if err != nil {
		return err
	}
	for _, line := range p.Cosignatures {
		fields := strings.Fields(line)
		const parts = 3 // dash, name, signature
		if len(fields) != parts {
			return fmt.Errorf("a cosignature of %d parts", len(fields))
		}
		_, err := tx.Exec(ctx, `INSERT INTO ledger_cosignature (size, witness, line, at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (size, witness) DO UPDATE SET line = excluded.line, at = excluded.at`, p.Size, fields[1], line, at)
		if err != nil {
			return err
		}
	}
	return nil
}

const publicationColumns = "SELECT size, note, token, at FROM ledger_publication"

func scanPublication(scan func(...any) error) (p Publication, err error) {
	var token string
	var at int64
	if err := scan(&p.Size, &p.Note, &token, &at); err != nil {
		return p, err
	}
	p.At = sqldb.Time(at)
	if token != "" {
		p.Token, err = base64.StdEncoding.DecodeString(token)
	}
	return p, err
}

func loadPublication(ctx context.Context, tx *sqldb.Tx, stamped, cosigned bool) (*Publication, error) {
	where := " WHERE size > 0"
	if stamped {
		where += " AND token <> ''"
	}
	if cosigned {
		where += " AND EXISTS (SELECT 1 FROM ledger_cosignature c WHERE c.size = ledger_publication.size)"
	}
	p, err := scanPublication(tx.QueryRow(ctx, publicationColumns+where+" ORDER BY size DESC LIMIT 1").Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &p, addCosignatures(ctx, tx, &p)
}

// addCosignatures completes the note.
func addCosignatures(ctx context.Context, tx *sqldb.Tx, p *Publication) error {
	rows, err := tx.Query(ctx, "SELECT line FROM ledger_cosignature WHERE size = $1 ORDER BY witness", p.Size)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		p.Cosignatures = append(p.Cosignatures, line)
	}
	p.Note = withLines(p.Note, p.Cosignatures)
	return rows.Err()
}

func selectPublications(ctx context.Context, tx *sqldb.Tx, after int64) ([]Publication, error) {
	list, err := sqldb.Collect(ctx, tx, func(row sqldb.Scanner) (Publication, error) { return scanPublication(row.Scan) },
		publicationColumns+" WHERE size > $1 ORDER BY size LIMIT 500", after)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if err := addCosignatures(ctx, tx, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func loadWitnessed(ctx context.Context, tx *sqldb.Tx, origin string) (s Seen, err error) {
	var root string
	err = tx.QueryRow(ctx, "SELECT size, root FROM ledger_witnessed WHERE origin = $1", origin).Scan(&s.Size, &root)
	if errors.Is(err, sql.ErrNoRows) {
		return Seen{}, nil
	}
	if err == nil {
		s.Root, err = tlog.ParseHash(root)
	}
	return s, err
}

func storeWitnessed(ctx context.Context, tx *sqldb.Tx, origin string, was, now Seen, at int64) (bool, error) {
	query := "UPDATE ledger_witnessed SET size = $2, root = $3, at = $4 WHERE origin = $1 AND size = $5 AND root = $6"
	if was.Size == 0 {
		query = `INSERT INTO ledger_witnessed (origin, size, root, at) SELECT $1, $2, $3, $4 WHERE $5 = 0 AND $6 <> ''
			ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, at = excluded.at WHERE ledger_witnessed.size = 0`
	}
	res, err := tx.Exec(ctx, query, origin, now.Size, now.Root.String(), at, was.Size, was.Root.String())
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}
