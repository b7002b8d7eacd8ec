package httpapi

import (
	"context"
	"database/sql"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"vanthu/storage/sqldb"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// keepFor is how long the answer to a key is kept.
const keepFor = 24 * time.Hour

// sweepEvery is after how many new keys the old ones are deleted.
const sweepEvery = 1000

// kept holds the answers given under an Idempotency-Key.
type kept struct {
	db    *sqldb.DB
	now   func() time.Time
	begun atomic.Int64
}

// keptAnswer is one of them; status 0 means that the request is still running, or that the hub ended while it ran.
type keptAnswer struct {
	request string // SHA-256 of method, path and body
	status  int
	header  string
	body    []byte
}

func openKept(db *sqldb.DB, now func() time.Time) (*kept, error) {
	schema, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		return nil, fmt.Errorf("open the API's schema: %w", err)
	}
	if err := db.Migrate(context.Background(), "httpapi", schema); err != nil {
		return nil, fmt.Errorf("bring the API's tables up to date: %w", err)
	}
	return &kept{db: db, now: now}, nil
}

// begin claims a key. It returns the earlier answer when the key is known, nil when it is new.
func (k *kept) begin(ctx context.Context, caller, key, request string) (*keptAnswer, error) {
	var earlier *keptAnswer
	sweep := k.begun.Add(1)%sweepEvery == 0
	err := k.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		earlier = nil
		now := k.now()
		if sweep {
			if _, err := tx.Exec(ctx, `DELETE FROM httpapi_idempotency WHERE created < $1`, sqldb.Micros(now.Add(-keepFor))); err != nil {
				return err
			}
		}
		done, err := tx.Exec(ctx, `INSERT INTO httpapi_idempotency (caller, key, request, status, header, body, created)
			VALUES ($1, $2, $3, 0, '', '', $4)
			ON CONFLICT (caller, key) DO UPDATE SET request = excluded.request, status = 0, header = '', body = '', created = excluded.created
			WHERE httpapi_idempotency.created < $5`, caller, key, request, sqldb.Micros(now), sqldb.Micros(now.Add(-keepFor)))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 1 {
			return err
		}
		earlier, err = load(ctx, tx, caller, key)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim the idempotency key: %w", err)
	}
	return earlier, nil
}

func load(ctx context.Context, tx *sqldb.Tx, caller, key string) (*keptAnswer, error) {
	var answer keptAnswer
	var body string
	err := tx.QueryRow(ctx, `SELECT request, status, header, body FROM httpapi_idempotency WHERE caller = $1 AND key = $2`, caller, key).
		Scan(&answer.request, &answer.status, &answer.header, &body)
	if err != nil {
		return nil, err
	}
	answer.body, err = base64.StdEncoding.DecodeString(body)
	return &answer, err
}

// finish keeps the answer of a claimed key.
func (k *kept) finish(ctx context.Context, caller, key string, answer keptAnswer) error {
	err := k.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE httpapi_idempotency SET status = $1, header = $2, body = $3 WHERE caller = $4 AND key = $5`,
			answer.status, answer.header, base64.StdEncoding.EncodeToString(answer.body), caller, key)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the answer of the idempotency key: %w", err)
	}
	return nil
}

// release gives a claimed key back: the request failed in a way that a repeat may mend.
func (k *kept) release(ctx context.Context, caller, key string) error {
	err := k.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM httpapi_idempotency WHERE caller = $1 AND key = $2 AND status = 0`, caller, key)
		return err
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("give the idempotency key back: %w", err)
	}
	return nil
}
