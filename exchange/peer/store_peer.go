package peer

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

type ownRow struct {
	Key
	sealed string
}

// selectOwn gives this hub without its keys, and those as they are kept; nil when there is none yet.
func selectOwn(ctx context.Context, tx *sqldb.Tx) (*self, []ownRow, error) {
	var s self
	err := tx.QueryRow(ctx, `SELECT id, version FROM peer_self WHERE one = 1`).Scan(&s.id, &s.version)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	rows, err := sqldb.Collect(ctx, tx, func(row sqldb.Scanner) (ownRow, error) {
		var r ownRow
		var from, until int64
		err := row.Scan(&r.ID, &r.Public, &r.sealed, &from, &until)
		r.From, r.Until = sqldb.Time(from), sqldb.Time(until)
		return r, err
	}, `SELECT kid, public, sealed, from_time, until FROM peer_own_key ORDER BY from_time, kid`)
	return &s, rows, err
}

func insertSelf(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, `INSERT INTO peer_self (one, id, version) VALUES (1, $1, 0)`, id)
	return err
}

func insertOwnKey(ctx context.Context, tx *sqldb.Tx, k Key, sealed string) error {
	_, err := tx.Exec(ctx, `INSERT INTO peer_own_key (kid, public, sealed, from_time, until) VALUES ($1,$2,$3,$4,0)`, k.ID, k.Public, sealed, sqldb.Micros(k.From))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE peer_self SET version = version + 1 WHERE one = 1`)
	return err
}

// endOwnKeys lets the keys in use end.
func endOwnKeys(ctx context.Context, tx *sqldb.Tx, until time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE peer_own_key SET until = $1 WHERE until = 0`, sqldb.Micros(until))
	return err
}

func upsertHub(ctx context.Context, tx *sqldb.Tx, h *Hub) error {
	_, err := tx.Exec(ctx, `INSERT INTO peer_hub (id, url, name, scope, disabled, tls, chunk, version, registry, pulled, added, seen, problem)
		VALUES ($1,$2,$3,$4,0,$5,$6,$7,0,0,$8,0,'')
		ON CONFLICT (id) DO UPDATE SET url = excluded.url, name = excluded.name, scope = excluded.scope, tls = excluded.tls, chunk = excluded.chunk,
			version = excluded.version, registry = 0`,
		h.ID, h.URL, h.Name, strings.Join(h.Scope, ","), strings.Join(h.tls, ","), h.chunk, h.version, sqldb.Micros(h.Added))
	if err != nil {
		return err
	}
	return replaceKeys(ctx, tx, h.ID, h.Keys)
}

// updateHub takes over what a newer descriptor says.
func updateHub(ctx context.Context, tx *sqldb.Tx, h *Hub, d *Descriptor) error {
	_, err := tx.Exec(ctx, `UPDATE peer_hub SET name = $2, tls = $3, chunk = $4, version = $5 WHERE id = $1 AND version <= $5`,
		h.ID, clip(d.Name, 300), strings.Join(d.TLS, ","), d.Limits.Chunk, d.Version)
	if err != nil {
		return err
	}
	return replaceKeys(ctx, tx, h.ID, d.Keys)
}

func replaceKeys(ctx context.Context, tx *sqldb.Tx, hub string, keys []Key) error {
	if _, err := tx.Exec(ctx, `DELETE FROM peer_hub_key WHERE hub = $1`, hub); err != nil {
		return err
	}
	for _, k := range keys {
		if _, err := tx.Exec(ctx, `INSERT INTO peer_hub_key (hub, kid, public, from_time, until) VALUES ($1,$2,$3,$4,$5)`,
			hub, k.ID, k.Public, sqldb.Micros(k.From), sqldb.Micros(k.Until)); err != nil {
			return err
		}
	}
	return nil
}

const hubColumns = `id, url, name, scope, disabled, tls, chunk, version, registry, pulled, added, seen, problem,
	(SELECT COUNT(*) FROM peer_agency a WHERE a.hub = peer_hub.id), (SELECT COUNT(*) FROM peer_event e WHERE e.hub = peer_hub.id AND e.taken = 0)`

func scanHub(row sqldb.Scanner) (Hub, error) {
	var h Hub
	var scope, pins string
	var disabled int
	var added, seen int64
	err := row.Scan(&h.ID, &h.URL, &h.Name, &scope, &disabled, &pins, &h.chunk, &h.version, &h.registry, &h.pulled, &added, &seen, &h.Problem, &h.Agencies, &h.Waiting)
	h.Disabled, h.Added, h.Seen = disabled == 1, sqldb.Time(added), sqldb.Time(seen)
	if scope != "" {
		h.Scope = strings.Split(scope, ",")
	}
	if pins != "" {
		h.tls = strings.Split(pins, ",")
	}
	return h, err
}

func selectHubs(ctx context.Context, tx *sqldb.Tx) ([]Hub, error) {
	list, err := sqldb.Collect(ctx, tx, scanHub, `SELECT `+hubColumns+` FROM peer_hub ORDER BY id`)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Keys, err = selectKeys(ctx, tx, list[i].ID); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func selectHub(ctx context.Context, tx *sqldb.Tx, id string) (*Hub, error) {
	h, err := scanHub(tx.QueryRow(ctx, `SELECT `+hubColumns+` FROM peer_hub WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	h.Keys, err = selectKeys(ctx, tx, id)
	return &h, err
}

func selectKeys(ctx context.Context, tx *sqldb.Tx, hub string) ([]Key, error) {
	return sqldb.Collect(ctx, tx, func(row sqldb.Scanner) (Key, error) {
		var k Key
		var from, until int64
		err := row.Scan(&k.ID, &k.Public, &from, &until)
		k.From, k.Until = sqldb.Time(from), sqldb.Time(until)
		return k, err
	}, `SELECT kid, public, from_time, until FROM peer_hub_key WHERE hub = $1 ORDER BY from_time, kid`, hub)
}

func setDisabled(ctx context.Context, tx *sqldb.Tx, id string, disabled bool) (bool, error) {
	flag := 0
	if disabled {
		flag = 1
	}
	return changed(tx.Exec(ctx, `UPDATE peer_hub SET disabled = $2 WHERE id = $1`, id, flag))
}

func changed(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// setSeen notes the last problem of a hub, and when it was seen unless that is zero.
func setSeen(ctx context.Context, tx *sqldb.Tx, id, problem string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE peer_hub SET problem = $2, seen = CASE WHEN $3 > 0 THEN $3 ELSE seen END WHERE id = $1`, id, problem, sqldb.Micros(at))
	return err
}

func setRegistry(ctx context.Context, tx *sqldb.Tx, id string, version int64) error {
	_, err := tx.Exec(ctx, `UPDATE peer_hub SET registry = $2 WHERE id = $1`, id, version)
	return err
}

func setPulled(ctx context.Context, tx *sqldb.Tx, id string, seq int64) error {
	_, err := tx.Exec(ctx, `UPDATE peer_hub SET pulled = $2 WHERE id = $1 AND pulled < $2`, id, seq)
	return err
}

// selectHolder gives the hub that speaks for a code at a time, "" for none.
func selectHolder(ctx context.Context, tx *sqldb.Tx, code registry.AgencyID, at time.Time) (string, error) {
	var hub string
	err := tx.QueryRow(ctx, `SELECT hub FROM peer_agency WHERE code = $1 AND from_time <= $2 AND (until = 0 OR until > $2)`, string(code), sqldb.Micros(at)).Scan(&hub)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return hub, err
}

// selectEver gives the hub that a code was last given to, "" for none, and whether it has not ended by now: an end that is
// still to come gives the code to nobody else.
func selectEver(ctx context.Context, tx *sqldb.Tx, code registry.AgencyID, now time.Time) (hub string, open bool, err error) {
	var until int64
	err = tx.QueryRow(ctx, `SELECT hub, until FROM peer_agency WHERE code = $1`, string(code)).Scan(&hub, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return hub, until == 0 || until > sqldb.Micros(now), err
}

func selectHeld(ctx context.Context, tx *sqldb.Tx, hub string) ([]registry.AgencyID, error) {
	return sqldb.Collect(ctx, tx, func(row sqldb.Scanner) (registry.AgencyID, error) {
		var a registry.AgencyID
		err := row.Scan(&a)
		return a, err
	}, `SELECT code FROM peer_agency WHERE hub = $1 ORDER BY code`, hub)
}

func upsertAgency(ctx context.Context, tx *sqldb.Tx, code registry.AgencyID, hub string, from, until time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO peer_agency (code, hub, from_time, until) VALUES ($1,$2,$3,$4)
		ON CONFLICT (code) DO UPDATE SET hub = excluded.hub, from_time = excluded.from_time, until = excluded.until`,
		string(code), hub, sqldb.Micros(from), sqldb.Micros(until))
	return err
}

// insertNonce keeps a nonce; false when it was there. Old ones are thrown away on the way.
func insertNonce(ctx context.Context, tx *sqldb.Tx, hub, nonce string, now time.Time) (bool, error) {
	if _, err := tx.Exec(ctx, `DELETE FROM peer_nonce WHERE at < $1`, sqldb.Micros(now.Add(-nonceKept))); err != nil {
		return false, err
	}
	return changed(tx.Exec(ctx, `INSERT INTO peer_nonce (hub, nonce, at) VALUES ($1,$2,$3) ON CONFLICT DO NOTHING`, hub, nonce, sqldb.Micros(now)))
}

// taken is a consignment that this hub has accepted.
type taken struct {
	id, hub, sender, recipient, document, digest, answer string
	signed                                               string // the consignment as it came
	at                                                   time.Time
}

func selectTaken(ctx context.Context, tx *sqldb.Tx, id string) (*taken, error) {
	t := taken{id: id}
	var at int64
	err := tx.QueryRow(ctx, `SELECT hub, sender, recipient, document, digest, answer, signed, at FROM peer_consignment WHERE id = $1`, id).
		Scan(&t.hub, &t.sender, &t.recipient, &t.document, &t.digest, &t.answer, &t.signed, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	t.at = sqldb.Time(at)
	return &t, err
}

func insertTaken(ctx context.Context, tx *sqldb.Tx, t *taken) error {
	_, err := tx.Exec(ctx, `INSERT INTO peer_consignment (id, hub, sender, recipient, document, digest, answer, signed, at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT (id) DO NOTHING`, t.id, t.hub, t.sender, t.recipient, t.document, t.digest, t.answer, t.signed, sqldb.Micros(t.at))
	return err
}

// event is one piece of evidence on its way to a hub.
type eventRow struct {
	seq  int64
	body string
}

// insertEvent numbers and keeps an event for a hub; one that is there already stays as it is.
func insertEvent(ctx context.Context, tx *sqldb.Tx, hub, id, about, body string, now time.Time) error {
	var n int
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM peer_event WHERE hub = $1 AND id = $2`, hub, id).Scan(&n); err != nil || n > 0 {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO peer_event (hub, seq, id, about, body, at, taken, said)
		SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5, 0, '' FROM peer_event WHERE hub = $1`, hub, id, about, body, sqldb.Micros(now))
	return err
}

func scanEvent(row sqldb.Scanner) (eventRow, error) {
	var e eventRow
	err := row.Scan(&e.seq, &e.body)
	return e, err
}

func selectOpenEvents(ctx context.Context, tx *sqldb.Tx, hub string, after int64, limit int) ([]eventRow, error) {
	return sqldb.Collect(ctx, tx, scanEvent, `SELECT seq, body FROM peer_event WHERE hub = $1 AND taken = 0 AND seq > $2 ORDER BY seq LIMIT $3`, hub, after, limit)
}

func selectEvents(ctx context.Context, tx *sqldb.Tx, hub string, after int64, limit int) ([]eventRow, error) {
	return sqldb.Collect(ctx, tx, scanEvent, `SELECT seq, body FROM peer_event WHERE hub = $1 AND seq > $2 ORDER BY seq LIMIT $3`, hub, after, limit)
}

func selectEventsAbout(ctx context.Context, tx *sqldb.Tx, hub, document string, limit int) ([]eventRow, error) {
	return sqldb.Collect(ctx, tx, scanEvent, `SELECT seq, body FROM peer_event WHERE hub = $1 AND about = $2 ORDER BY seq LIMIT $3`, hub, document, limit)
}

// settleEvent notes that a hub has an event, or why it never takes it.
func settleEvent(ctx context.Context, tx *sqldb.Tx, hub string, seq int64, said string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE peer_event SET taken = $3, said = $4 WHERE hub = $1 AND seq = $2 AND taken = 0`, hub, seq, sqldb.Micros(now), said)
	return err
}

func settleEventsUpTo(ctx context.Context, tx *sqldb.Tx, hub string, seq int64, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE peer_event SET taken = $3 WHERE hub = $1 AND seq <= $2 AND taken = 0`, hub, seq, sqldb.Micros(now))
	return err
}

func insertMinutes(ctx context.Context, tx *sqldb.Tx, id, hub string, from, to, at time.Time, body string) error {
	_, err := tx.Exec(ctx, `INSERT INTO peer_minutes (id, hub, from_time, to_time, at, body) VALUES ($1,$2,$3,$4,$5,$6)`,
		id, hub, sqldb.Micros(from), sqldb.Micros(to), sqldb.Micros(at), body)
	return err
}
