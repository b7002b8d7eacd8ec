package exchange

import (
	"context"
	"errors"

	"vanthu/storage/sqldb"
)

// forEach visits the rows one by one: there can be as many as documents.
func forEach(ctx context.Context, tx *sqldb.Tx, visit func(scanner) error, q string, args ...any) (err error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
