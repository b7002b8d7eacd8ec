package exchange

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// upsertList writes a list; false when the id is another agency's.
func upsertList(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, l *RecipientList) (bool, error) {
	codes := make([]string, len(l.Members))
	for i, m := range l.Members {
		codes[i] = string(m)
	}
	res, err := tx.Exec(ctx, `INSERT INTO exchange_list (id, agency, name, members, root, level, updated, by_name) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, members = excluded.members, root = excluded.root, level = excluded.level,
			updated = excluded.updated, by_name = excluded.by_name WHERE exchange_list.agency = excluded.agency`,
		l.ID, string(agency), l.Name, strings.Join(codes, ","), string(l.Root), l.Level, sqldb.Micros(l.Updated), l.By)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func selectLists(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, limit int) ([]RecipientList, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (RecipientList, error) {
		l := RecipientList{Members: []registry.AgencyID{}}
		var members string
		var updated int64
		err := row.Scan(&l.ID, &l.Name, &members, &l.Root, &l.Level, &updated, &l.By)
		l.Updated = sqldb.Time(updated)
		for code := range strings.SplitSeq(members, ",") {
			if code != "" {
				l.Members = append(l.Members, registry.AgencyID(code))
			}
		}
		return l, err
	}, `SELECT id, name, members, root, level, updated, by_name FROM exchange_list WHERE agency = $1 ORDER BY name LIMIT $2`, string(agency), limit)
}

// deleteList gives the name of the list that was there, "" when there was none.
func deleteList(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, id string) (name string, err error) {
	err = tx.QueryRow(ctx, `DELETE FROM exchange_list WHERE id = $1 AND agency = $2 RETURNING name`, id, string(agency)).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return name, err
}

// selectLater gives the documents that are to be sent at a time.
func selectLater(ctx context.Context, tx *sqldb.Tx) ([]Document, error) {
	return sqldb.Collect(ctx, tx, scanDocument, `SELECT `+documentColumns+` FROM exchange_document WHERE send_at > 0 AND state = 'sealed' ORDER BY send_at`)
}

// selectDuplicates finds documents of an agency with the same bytes, as drafted or
// as signed since, or the same type and subject, newest first.
func selectDuplicates(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, digest, typ, subject string, since int64, limit int) ([]Document, map[DocumentID]bool, error) {
	same := map[DocumentID]bool{}
	if digest != "" {
		ids, err := sqldb.Collect(ctx, tx, func(row scanner) (id DocumentID, err error) {
			err = row.Scan(&id)
			return id, err
		}, `SELECT DISTINCT r.document FROM exchange_revision r JOIN exchange_document d ON d.id = r.document WHERE r.pdf = $1 AND d.agency = $2`, digest, string(agency))
		if err != nil {
			return nil, nil, err
		}
		for _, id := range ids {
			same[id] = true
		}
	}
	list, err := sqldb.Collect(ctx, tx, scanDocument, `SELECT `+documentColumns+` FROM exchange_document WHERE agency = $1 AND subject = $2 AND type = $3 AND created >= $4
		AND state <> 'cancelled' ORDER BY id DESC LIMIT $5`, string(agency), subject, typ, since, limit)
	if err != nil {
		return nil, nil, err
	}
	for id := range same {
		d, err := selectDocument(ctx, tx, id)
		if err != nil {
			return nil, nil, err
		}
		known := d == nil || d.State == StateCancelled
		for i := range list {
			known = known || list[i].ID == id
		}
		if !known {
			list = append(list, *d)
		}
	}
	return list, same, nil
}
