package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"vanthu/storage/ledger/logproof"
	"vanthu/storage/sqldb"
)

// Transactions follow one another on SQLite, so the next place is known when
// the row is written. On PostgreSQL that would make writers wait for each
// other (or collide, at its SERIALIZABLE level), so the sequencer gives it.
const (
	insertPlaced = `INSERT INTO ledger_entry (id, position, kind, subject, at, actor, salt, body)
		VALUES ($1, (SELECT COALESCE(MAX(position), -1) + 1 FROM ledger_entry), $2, $3, $4, $5, $6, $7)`
	insertUnplaced = `INSERT INTO ledger_entry (id, kind, subject, at, actor, salt, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`
)

func insertEntry(ctx context.Context, tx *sqldb.Tx, e *Entry) error {
	id, err := newEntryID()
	if err != nil {
		return err
	}
	e.ID = id
	query := insertPlaced
	if tx.Engine() == sqldb.Postgres {
		query = insertUnplaced
	}
	_, err = tx.Exec(ctx, query, string(e.ID), e.Kind, e.Subject, sqldb.Micros(e.At), e.Actor,
		hex.EncodeToString(newSalt()), string(e.Body))
	return err
}

func newEntryID() (EntryID, error) {
	id, err := uuid.NewV7() // grows within a process, hence in commit order on SQLite
	if err != nil {
		return "", fmt.Errorf("making an entry id: %w", err)
	}
	return EntryID(id.String()), nil
}

func newSalt() []byte {
	salt := make([]byte, logproof.SaltSize)
	_, _ = rand.Read(salt) // never fails, see crypto/rand
	return salt
}

// entryRow is an entry as it is stored.
type entryRow struct {
	Record
	salt []byte
}

const entryColumns = "id, COALESCE(position, -1), kind, subject, at, actor, salt, body"

func (r *entryRow) scan(scan func(dest ...any) error) error {
	var at int64
	var salt, body string
	if err := scan(&r.ID, &r.Index, &r.Kind, &r.Subject, &at, &r.Actor, &salt, &body); err != nil {
		return err
	}
	r.At, r.Body = sqldb.Time(at), json.RawMessage(body)
	var err error
	if r.salt, err = hex.DecodeString(salt); err != nil {
		return fmt.Errorf("salt of entry %s: %w", r.ID, err)
	}
	return nil
}

func readEntries(ctx context.Context, tx *sqldb.Tx, query string, args ...any) ([]entryRow, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []entryRow
	for rows.Next() {
		var r entryRow
		if err := r.scan(rows.Scan); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func loadEntry(ctx context.Context, tx *sqldb.Tx, id EntryID) (*entryRow, error) {
	var r entryRow
	err := r.scan(tx.QueryRow(ctx, "SELECT "+entryColumns+" FROM ledger_entry WHERE id = $1", string(id)).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	return &r, err
}

// entriesFrom gives entries that have places, from one on.
func entriesFrom(ctx context.Context, tx *sqldb.Tx, from int64, limit int) ([]entryRow, error) {
	return readEntries(ctx, tx, "SELECT "+entryColumns+" FROM ledger_entry WHERE position >= $1 ORDER BY position LIMIT $2", from, limit)
}

func entriesOf(ctx context.Context, tx *sqldb.Tx, subject string) ([]Record, error) {
	size, err := loadSize(ctx, tx)
	if err != nil {
		return nil, err
	}
	rows, err := readEntries(ctx, tx, "SELECT "+entryColumns+` FROM ledger_entry WHERE subject = $1
		ORDER BY CASE WHEN position IS NULL THEN 1 ELSE 0 END, position, id`, subject)
	if err != nil {
		return nil, err
	}
	records := make([]Record, len(rows))
	for i, row := range rows {
		records[i] = row.Record
		if row.Index >= size {
			records[i].Index = -1 // placed, but not in the log yet
		}
	}
	return records, nil
}

func loadSize(ctx context.Context, tx *sqldb.Tx) (int64, error) {
	var size int64
	err := tx.QueryRow(ctx, "SELECT size FROM ledger_checkpoint WHERE name = 'log'").Scan(&size)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return size, err
}

// loadNote gives the latest checkpoint, "" before the first.
func loadNote(ctx context.Context, tx *sqldb.Tx) (string, error) {
	var text string
	err := tx.QueryRow(ctx, "SELECT note FROM ledger_checkpoint WHERE name = 'log'").Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return text, err
}

func loadTile(ctx context.Context, tx *sqldb.Tx, level int, number int64) (string, error) {
	var text string
	err := tx.QueryRow(ctx, "SELECT hashes FROM ledger_tile WHERE level = $1 AND number = $2", level, number).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("%w: %d/%d", errNoTile, level, number)
	}
	return text, err
}

// sequencerLock is the advisory lock of the one sequencer of a PostgreSQL
// schema.
const sequencerLock = 0x76540002

// assignPositions gives places to entries of PostgreSQL that have none, one
// process after the other.
func (l *Ledger) assignPositions(ctx context.Context) error {
	var waiting bool
	err := l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM ledger_entry WHERE position IS NULL)").Scan(&waiting)
	})
	if err == nil && waiting {
		err = l.db.Update(ctx, placeEntries)
	}
	if err != nil {
		return fmt.Errorf("placing evidence: %w", err)
	}
	return nil
}

func placeEntries(ctx context.Context, tx *sqldb.Tx) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))", sequencerLock); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE ledger_entry SET position = placed.position FROM (
		SELECT pending.id AS id,
			(SELECT COALESCE(MAX(position), -1) FROM ledger_entry) + ROW_NUMBER() OVER (ORDER BY pending.id) AS position
		FROM (SELECT id FROM ledger_entry WHERE position IS NULL ORDER BY id LIMIT $1) AS pending
	) AS placed WHERE ledger_entry.id = placed.id`, passLimit)
	return err
}

// storeGrowth stores new tiles and the checkpoint, unless the log has grown
// meanwhile.
func storeGrowth(ctx context.Context, tx *sqldb.Tx, g growth, text string, at int64) (bool, error) {
	query := "UPDATE ledger_checkpoint SET size = $1, note = $2, at = $3 WHERE name = 'log' AND size = $4"
	if g.old == 0 {
		query = `INSERT INTO ledger_checkpoint (name, size, note, at) SELECT 'log', $1, $2, $3 WHERE $4 = 0
			ON CONFLICT (name) DO NOTHING`
	}
	res, err := tx.Exec(ctx, query, g.tree.N, text, at, g.old)
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	for tile, data := range g.tiles {
		_, err := tx.Exec(ctx, `INSERT INTO ledger_tile (level, number, hashes) VALUES ($1, $2, $3)
			ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes`,
			tile.L, tile.N, base64.StdEncoding.EncodeToString(data))
		if err != nil {
			return false, err
		}
	}
	return true, nil
}
