package exchange

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"vanthu/storage/sqldb"
)

func selectSearchPlace(ctx context.Context, tx *sqldb.Tx, reader string) (int64, error) {
	var place int64
	err := tx.QueryRow(ctx, `SELECT place FROM exchange_search_state WHERE name = $1`, reader).Scan(&place)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return place, err
}

// moveSearch takes a reader's place further, unless another process has.
func moveSearch(ctx context.Context, tx *sqldb.Tx, reader string, from, to int64) (bool, error) {
	text, args := `UPDATE exchange_search_state SET place = $2 WHERE name = $1 AND place = $3`, []any{reader, to, from}
	if from == 0 {
		text, args = `INSERT INTO exchange_search_state (name, place) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, []any{reader, to}
	}
	res, err := tx.Exec(ctx, text, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// selectDocumentsByID gives documents of a list that fit further conditions.
func selectDocumentsByID(ctx context.Context, tx *sqldb.Tx, ids []DocumentID, further query) (out []Document, err error) {
	for part := range slices.Chunk(ids, hitsPage) {
		args := slices.Clone(further.args)
		q := `SELECT ` + documentColumns + ` FROM exchange_document WHERE 1 = 1` + further.text + ` AND id IN ` + inList(&args, part) + ` ORDER BY id`
		list, err := sqldb.Collect(ctx, tx, scanDocument, q, args...)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// selectIncomingsByID gives incoming documents of a list that fit further
// conditions.
func selectIncomingsByID(ctx context.Context, tx *sqldb.Tx, ids []IncomingID, further query) (out []Incoming, err error) {
	for part := range slices.Chunk(ids, hitsPage) {
		args := slices.Clone(further.args)
		q := `SELECT ` + incomingColumns + ` FROM exchange_incoming WHERE merged_into = ''` + further.text + ` AND id IN ` + inList(&args, part) + ` ORDER BY id`
		list, err := sqldb.Collect(ctx, tx, func(row scanner) (Incoming, error) { return scanIncoming(row) }, q, args...)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}
