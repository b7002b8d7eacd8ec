package axis

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"vanthu/exchange/edxml"
	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// packet is one packet that the axis holds.
type packet struct {
	id       string
	system   string
	sender   registry.AgencyID
	kind     edxml.Kind
	document string
	notation string
	title    string
	ref      blob.Ref
	hashed   string
	created  time.Time
}

// transfer is one packet on its way to one recipient.
type transfer struct {
	packet
	id        string // of the copy
	recipient registry.AgencyID
	status    string
	said      string
	created   time.Time
	updated   time.Time
}

func insertSystem(ctx context.Context, tx *sqldb.Tx, id, name, sealed string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO axis_system (id, name, secret, disabled, created) VALUES ($1,$2,$3,0,$4)
		ON CONFLICT (id) DO UPDATE SET name = $2, secret = $3, disabled = 0`, id, name, sealed, sqldb.Micros(now))
	return err
}

func bindAgency(ctx context.Context, tx *sqldb.Tx, system string, agency registry.AgencyID) error {
	_, err := tx.Exec(ctx, `INSERT INTO axis_system_agency (agency, system) VALUES ($1,$2) ON CONFLICT (agency) DO UPDATE SET system = $2`,
		string(agency), system)
	return err
}

func unbindAgency(ctx context.Context, tx *sqldb.Tx, system string, agency registry.AgencyID) error {
	_, err := tx.Exec(ctx, `DELETE FROM axis_system_agency WHERE agency = $1 AND system = $2`, string(agency), system)
	return err
}

func disableSystem(ctx context.Context, tx *sqldb.Tx, id string) (bool, error) {
	res, err := tx.Exec(ctx, `UPDATE axis_system SET disabled = 1 WHERE id = $1`, id)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// selectSecret gives the sealed secret of an enabled system, "" for any other.
func selectSecret(ctx context.Context, tx *sqldb.Tx, id string) (string, error) {
	var sealed string
	err := tx.QueryRow(ctx, `SELECT secret FROM axis_system WHERE id = $1 AND disabled = 0`, id).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return sealed, err
}

func selectSystems(ctx context.Context, tx *sqldb.Tx) ([]System, error) {
	list, err := sqldb.Collect(ctx, tx, func(row sqldb.Scanner) (System, error) {
		var s System
		var created int64
		err := row.Scan(&s.ID, &s.Name, &s.Disabled, &created)
		s.Created = sqldb.Time(created)
		return s, err
	}, `SELECT id, name, disabled, created FROM axis_system ORDER BY id`)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Agencies, err = selectAgencies(ctx, tx, list[i].ID); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func selectAgencies(ctx context.Context, tx *sqldb.Tx, system string) ([]registry.AgencyID, error) {
	return sqldb.Collect(ctx, tx, func(row sqldb.Scanner) (registry.AgencyID, error) {
		var a registry.AgencyID
		err := row.Scan(&a)
		return a, err
	}, `SELECT agency FROM axis_system_agency WHERE system = $1 ORDER BY agency`, system)
}

// insertPacket writes a packet with a copy for each recipient; of one that is there already only the recipients that are
// new. It gives the id of the packet that is there.
func insertPacket(ctx context.Context, tx *sqldb.Tx, p *packet, copies []transfer) (id string, err error) {
	err = tx.QueryRow(ctx, `SELECT id FROM axis_packet WHERE sender = $1 AND kind = $2 AND digest = $3`,
		string(p.sender), string(p.kind), string(p.ref.Digest)).Scan(&id)
	if err == nil {
		return id, insertCopies(ctx, tx, id, p.created, copies)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO axis_packet (id, system, sender, kind, document, notation, title, digest, size, hashed, created)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`, p.id, p.system, string(p.sender), string(p.kind), p.document, p.notation, p.title,
		string(p.ref.Digest), p.ref.Size, p.hashed, sqldb.Micros(p.created)); err != nil {
		return "", err
	}
	return p.id, insertCopies(ctx, tx, p.id, p.created, copies)
}

func insertCopies(ctx context.Context, tx *sqldb.Tx, packet string, at time.Time, copies []transfer) error {
	const columns, most = 5, 100
	for len(copies) > 0 {
		chunk := copies[:min(most, len(copies))]
		copies = copies[len(chunk):]
		var q strings.Builder
		q.WriteString(`INSERT INTO axis_copy (id, packet, recipient, status, created, updated, said) VALUES `)
		args := make([]any, 0, columns*len(chunk))
		for i, c := range chunk {
			if i > 0 {
				q.WriteByte(',')
			}
			n := i * columns
			fmt.Fprintf(&q, `($%d,$%d,$%d,$%d,$%d,$%d,'')`, n+1, n+2, n+3, n+4, n+5, n+5)
			args = append(args, c.id, packet, string(c.recipient), c.status, sqldb.Micros(at))
		}
		q.WriteString(` ON CONFLICT (packet, recipient) DO NOTHING`)
		if _, err := tx.Exec(ctx, q.String(), args...); err != nil {
			return err
		}
	}
	return nil
}

const transferColumns = `c.id, c.recipient, c.status, c.said, c.created, c.updated, p.id, p.system, p.sender, p.kind, p.document, p.notation, p.title, p.digest, p.size`

const transferTables = ` FROM axis_copy c JOIN axis_packet p ON p.id = c.packet `

func scanTransfer(row sqldb.Scanner) (transfer, error) {
	var t transfer
	var created, updated int64
	err := row.Scan(&t.id, &t.recipient, &t.status, &t.said, &created, &updated, &t.packet.id, &t.system, &t.sender, &t.kind, &t.document, &t.notation,
		&t.title, &t.ref.Digest, &t.ref.Size)
	t.created, t.updated = sqldb.Time(created), sqldb.Time(updated)
	t.packet.created = t.created
	return t, err
}

// listWindow is what a list call asks for; zero times mean: what is still to be fetched.
type listWindow struct {
	kind     edxml.Kind // "" = both
	from, to time.Time
	docID    string
}

// mostListed bounds one answer of a list call; the rest comes when these are done.
const mostListed = 2000

// selectInbox gives the copies for the agencies of a system, oldest first.
func selectInbox(ctx context.Context, tx *sqldb.Tx, system string, w listWindow) ([]transfer, error) {
	where := `WHERE c.recipient IN (SELECT agency FROM axis_system_agency WHERE system = $1) AND ($2 = '' OR p.kind = $2)`
	args := []any{system, string(w.kind)}
	if w.from.IsZero() && w.to.IsZero() {
		where += ` AND (c.status = 'initial' OR c.status = 'processing')`
	} else {
		where += ` AND c.created >= $3 AND c.created < $4`
		args = append(args, sqldb.Micros(w.from), sqldb.Micros(w.to))
	}
	return sqldb.Collect(ctx, tx, scanTransfer, `SELECT `+transferColumns+transferTables+where+fmt.Sprintf(` ORDER BY c.created, c.id LIMIT %d`, mostListed), args...)
}

// selectSent gives the copies of what the agencies of a system sent, newest first.
func selectSent(ctx context.Context, tx *sqldb.Tx, system string, w listWindow) ([]transfer, error) {
	where := `WHERE p.sender IN (SELECT agency FROM axis_system_agency WHERE system = $1) AND ($2 = '' OR p.kind = $2) AND ($3 = '' OR p.id = $3)`
	args := []any{system, string(w.kind), w.docID}
	if !w.from.IsZero() || !w.to.IsZero() {
		where += ` AND p.created >= $4 AND p.created < $5`
		args = append(args, sqldb.Micros(w.from), sqldb.Micros(w.to))
	}
	return sqldb.Collect(ctx, tx, scanTransfer, `SELECT `+transferColumns+transferTables+where+fmt.Sprintf(` ORDER BY p.created DESC, p.id, c.id LIMIT %d`, mostListed), args...)
}

// selectTransferFor gives the copy that a system may see under an id: of one of its agencies, or of a packet they sent.
func selectTransferFor(ctx context.Context, tx *sqldb.Tx, system, id string) (*transfer, error) {
	t, err := scanTransfer(tx.QueryRow(ctx, `SELECT `+transferColumns+transferTables+`WHERE (c.id = $2 OR p.id = $2)
		AND (c.recipient IN (SELECT agency FROM axis_system_agency WHERE system = $1) OR p.sender IN (SELECT agency FROM axis_system_agency WHERE system = $1))
		ORDER BY CASE WHEN c.recipient IN (SELECT agency FROM axis_system_agency WHERE system = $1) THEN 0 ELSE 1 END, c.id LIMIT 1`, system, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &t, err
}

// setStatus moves a copy on; a copy that is done or failed stays so. It tells whether anything changed.
func setStatus(ctx context.Context, tx *sqldb.Tx, id, status, said string, now time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `UPDATE axis_copy SET status = $2, said = $3, updated = $4 WHERE id = $1 AND status <> 'done' AND status <> 'fail'`,
		id, status, said, sqldb.Micros(now))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// selectOpen gives what waits for an agency of this hub itself, oldest first.
func selectOpen(ctx context.Context, tx *sqldb.Tx, recipient registry.AgencyID, limit int) ([]transfer, error) {
	return sqldb.Collect(ctx, tx, scanTransfer, `SELECT `+transferColumns+transferTables+
		`WHERE c.recipient = $1 AND (c.status = 'initial' OR c.status = 'processing') ORDER BY c.created, c.id LIMIT $2`, string(recipient), limit)
}
