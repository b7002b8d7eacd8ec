package exchange

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// selectSeries gives the series that an agency has set up, by code, with the
// last number of a year.
func selectSeries(ctx context.Context, tx *sqldb.Tx, a registry.AgencyID, year int) ([]Series, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Series, error) {
		var c Series
		var types string
		var retired int64
		err := row.Scan(&c.Code, &c.Name, &types, &c.Symbol, &retired, &c.Last)
		if types != "" {
			c.Types = strings.Split(types, ",")
		}
		c.Retired = retired != 0
		return c, err
	}, `SELECT s.code, s.name, s.types, s.symbol, s.retired, COALESCE((SELECT c.last FROM exchange_counter c
			WHERE c.agency = s.agency AND c.series = s.code AND c.year = $2), 0)
		FROM exchange_series s WHERE s.agency = $1 ORDER BY s.code`, string(a), year)
}

// selectSeriesOf gives the series that could number a document: the one chosen
// for it, and those that list its type.
func selectSeriesOf(ctx context.Context, tx *sqldb.Tx, d *Document) ([]Series, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Series, error) {
		var c Series
		var types string
		err := row.Scan(&c.Code, &types)
		c.Types = strings.Split(types, ",")
		return c, err
	}, `SELECT code, types FROM exchange_series WHERE agency = $1 AND retired = 0 AND (code = $2 OR types <> '') ORDER BY code`, string(d.Agency), d.Series)
}

func putSeries(ctx context.Context, tx *sqldb.Tx, a registry.AgencyID, c *Series, at time.Time) error {
	retired := int64(0)
	if c.Retired {
		retired = sqldb.Micros(at)
	}
	_, err := tx.Exec(ctx, `INSERT INTO exchange_series (agency, code, name, types, symbol, retired, at) VALUES ($1,$2,$3,$4,$5,$6,$7)
		ON CONFLICT (agency, code) DO UPDATE SET name = excluded.name, types = excluded.types, symbol = excluded.symbol,
			retired = excluded.retired, at = excluded.at`, string(a), c.Code, c.Name, strings.Join(c.Types, ","), c.Symbol, retired, sqldb.Micros(at))
	return err
}

func lastNumber(ctx context.Context, tx *sqldb.Tx, a registry.AgencyID, series string, year int) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT last FROM exchange_counter WHERE agency = $1 AND series = $2 AND year = $3`, string(a), series, year).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// codeTaken tells whether another document of the agency and year has the same
// number and symbol; those of legal types have the year in them besides.
func codeTaken(ctx context.Context, tx *sqldb.Tx, d *Document) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM exchange_document WHERE agency = $1 AND year = $2 AND number = $3 AND number > 0 AND notation = $4 AND id <> $5
			AND CASE WHEN type LIKE 'L.%' THEN 1 ELSE 0 END = $6`,
		string(d.Agency), d.Year, d.Number, d.Notation, string(d.ID), bit(isLegal(d.Type))).Scan(&n)
	return n > 0, err
}

func insertReserved(ctx context.Context, tx *sqldb.Tx, a registry.AgencyID, r *ReservedNumber) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_number (agency, series, year, number, document, at, given_by, cancelled, reason, reserved, purpose)
		VALUES ($1,$2,$3,$4,'',$5,$6,0,'',$5,$7)`, string(a), r.Series, r.Year, r.Number, sqldb.Micros(r.Since), r.By, r.Purpose)
	return err
}

// takeReserved gives a reserved number to a document; false when it is not free.
func takeReserved(ctx context.Context, tx *sqldb.Tx, d *Document, at time.Time) (bool, error) {
	return changedAny(tx.Exec(ctx, `UPDATE exchange_number SET document = $5, at = $6
		WHERE agency = $1 AND series = $2 AND year = $3 AND number = $4 AND document = '' AND reserved > 0 AND cancelled = 0`,
		string(d.Agency), d.Series, d.Year, d.Number, string(d.ID), sqldb.Micros(at)))
}

func cancelReserved(ctx context.Context, tx *sqldb.Tx, a registry.AgencyID, series string, year, number int, reason string, at time.Time) (bool, error) {
	return changedAny(tx.Exec(ctx, `UPDATE exchange_number SET cancelled = $5, reason = $6
		WHERE agency = $1 AND series = $2 AND year = $3 AND number = $4 AND document = '' AND reserved > 0 AND cancelled = 0`,
		string(a), series, year, number, sqldb.Micros(at), reason))
}

func selectReserved(ctx context.Context, tx *sqldb.Tx, a registry.AgencyID) ([]ReservedNumber, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (ReservedNumber, error) {
		var r ReservedNumber
		var since int64
		err := row.Scan(&r.Series, &r.Year, &r.Number, &r.Purpose, &since, &r.By)
		r.Since = sqldb.Time(since)
		return r, err
	}, `SELECT series, year, number, purpose, reserved, given_by FROM exchange_number
		WHERE agency = $1 AND document = '' AND reserved > 0 AND cancelled = 0 ORDER BY series, year, number`, string(a))
}
