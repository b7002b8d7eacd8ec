package mail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"vanthu/storage/sqldb"
)

const accountColumns = `id, address, name, kind, quota, used, disabled, created`

// The columns of an account that are changed alone.
const (
	setHash     = `UPDATE mail_account SET password = $2 WHERE id = $1`
	setDisabled = `UPDATE mail_account SET disabled = $2 WHERE id = $1`
	setQuota    = `UPDATE mail_account SET quota = $2 WHERE id = $1`
)

func smallint(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// scanner is a row or rows.
type scanner interface{ Scan(dest ...any) error }

func scanAccount(row scanner, more ...any) (*Account, error) {
	var a Account
	var disabled, created int64
	dest := append([]any{&a.ID, &a.Address, &a.Name, &a.Kind, &a.Quota, &a.Used, &disabled, &created}, more...)
	if err := row.Scan(dest...); err != nil {
		return nil, notFound(err)
	}
	a.Disabled, a.Created = disabled != 0, sqldb.Time(created)
	return &a, nil
}

// collect scans all rows and closes them.
func collect[T any](rows *sql.Rows, scan func(scanner) (T, error)) ([]T, error) {
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, errAnd(err, rows)
		}
		all = append(all, v)
	}
	return all, errAnd(rows.Err(), rows)
}

// errAnd closes rows and keeps the first error.
func errAnd(err error, rows *sql.Rows) error {
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	return err
}

// notFound turns "no rows" into ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

func insertAccount(ctx context.Context, tx *sqldb.Tx, a *Account, hash string) error {
	_, err := tx.Exec(ctx, `INSERT INTO mail_account
		(id, address, name, kind, password, quota, used, modseq, uidvalidity, disabled, created)
		VALUES ($1, $2, $3, $4, $5, $6, 0, 1, 0, $7, $8)`,
		string(a.ID), string(a.Address), a.Name, string(a.Kind), hash, a.Quota, smallint(a.Disabled), sqldb.Micros(a.Created))
	if err != nil {
		return fmt.Errorf("inserting the account: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO mail_address (address, account, is_own) VALUES ($1, $2, 1)`, string(a.Address), string(a.ID))
	if err != nil {
		return fmt.Errorf("inserting the address: %w", err)
	}
	return nil
}

// resolveAddress finds the account an address leads to, ErrNotFound if none.
// The exact address wins; else name+tag@domain is name@domain (RFC 5233).
func resolveAddress(ctx context.Context, tx *sqldb.Tx, a Address) (AccountID, error) {
	const query = `SELECT account FROM mail_address WHERE address = $1`
	var id AccountID
	err := tx.QueryRow(ctx, query, string(a)).Scan(&id)
	if name, _, ok := strings.Cut(a.Local(), "+"); errors.Is(err, sql.ErrNoRows) && ok && name != "" {
		err = tx.QueryRow(ctx, query, name+"@"+a.Domain()).Scan(&id)
	}
	return id, notFound(err)
}

func accountByID(ctx context.Context, tx *sqldb.Tx, id AccountID) (*Account, error) {
	return scanAccount(tx.QueryRow(ctx, `SELECT `+accountColumns+` FROM mail_account WHERE id = $1`, string(id)))
}

// accountForLogin finds an account by one of its addresses, with its password hash.
func accountForLogin(ctx context.Context, tx *sqldb.Tx, login Address) (*Account, string, error) {
	var hash string
	a, err := scanAccount(tx.QueryRow(ctx, `SELECT a.id, a.address, a.name, a.kind, a.quota, a.used, a.disabled, a.created, a.password
		FROM mail_account a JOIN mail_address d ON d.account = a.id WHERE d.address = $1`, string(login)), &hash)
	return a, hash, err
}

func listAccounts(ctx context.Context, tx *sqldb.Tx) ([]Account, error) {
	rows, err := tx.Query(ctx, `SELECT `+accountColumns+` FROM mail_account ORDER BY address`)
	if err != nil {
		return nil, fmt.Errorf("listing accounts: %w", err)
	}
	return collect(rows, func(row scanner) (Account, error) {
		a, err := scanAccount(row)
		if err != nil {
			return Account{}, fmt.Errorf("listing accounts: %w", err)
		}
		return *a, nil
	})
}

func setAccount(ctx context.Context, tx *sqldb.Tx, query string, id AccountID, value any) error {
	return one(tx.Exec(ctx, query, string(id), value))
}

// one turns "no row was changed" into ErrNotFound.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// nextModSeq takes the next change number of an account and counts delta bytes
// as used. The row is locked until the transaction ends, which puts the changes
// of one account in order.
func nextModSeq(ctx context.Context, tx *sqldb.Tx, id AccountID, delta int64) (modseq int64, a *Account, err error) {
	a, err = scanAccount(tx.QueryRow(ctx, `UPDATE mail_account SET modseq = modseq + 1, used = used + $2 WHERE id = $1
		RETURNING `+accountColumns+`, modseq`, string(id), delta), &modseq)
	if err != nil {
		return 0, nil, fmt.Errorf("taking a change number: %w", err)
	}
	return modseq, a, nil
}
