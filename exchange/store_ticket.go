package exchange

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// ticketRow is a signing ticket as it is kept.
type ticketRow struct {
	id          string
	document    DocumentID
	version     int64
	person      registry.PersonID
	step        Step
	profile     signing.Profile
	certificate string
	pdf         blob.Digest
	base        blob.Ref
	pending     string
	delegation  string // under which the person signs, "" = in the own right
	created     time.Time
	expires     time.Time
	tries       int
	spent       time.Time
}

func insertTicket(ctx context.Context, tx *sqldb.Tx, t *ticketRow) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_ticket (id, document, version, person, step, profile, certificate, pdf, base, base_size, pending, created, expires, tries, spent, delegation)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,0,0,$14)`,
		t.id, string(t.document), t.version, string(t.person), string(t.step), string(t.profile), t.certificate, string(t.pdf),
		string(t.base.Digest), t.base.Size, t.pending, sqldb.Micros(t.created), sqldb.Micros(t.expires), t.delegation)
	return err
}

// selectTicket gives nil when there is none.
func selectTicket(ctx context.Context, tx *sqldb.Tx, id string) (*ticketRow, error) {
	t := &ticketRow{id: id}
	var created, expires, spent int64
	err := tx.QueryRow(ctx, `SELECT document, version, person, step, profile, certificate, pdf, base, base_size, pending, created, expires, tries, spent, delegation
		FROM exchange_ticket WHERE id = $1`, id).Scan(&t.document, &t.version, &t.person, &t.step, &t.profile, &t.certificate, &t.pdf,
		&t.base.Digest, &t.base.Size, &t.pending, &created, &expires, &t.tries, &spent, &t.delegation)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	t.created, t.expires, t.spent = sqldb.Time(created), sqldb.Time(expires), sqldb.Time(spent)
	return t, err
}

func countTry(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_ticket SET tries = tries + 1 WHERE id = $1`, id)
	return err
}

// spendTicket marks a ticket as used; a conflict says that it was before.
func spendTicket(ctx context.Context, tx *sqldb.Tx, id string, at time.Time) error {
	res, err := tx.Exec(ctx, `UPDATE exchange_ticket SET spent = $2, pending = '' WHERE id = $1 AND spent = 0`, id, sqldb.Micros(at))
	return changedOne(res, err)
}

// dropTickets removes the tickets of a document that nobody can use any more.
func dropTickets(ctx context.Context, tx *sqldb.Tx, id DocumentID, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM exchange_ticket WHERE document = $1 AND expires < $2`, string(id), sqldb.Micros(before))
	return err
}
