package exchange

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

const fileColumns = `id, agency, code, title, maintenance, description, keeper, keeper_name, opened, closed, handed, receiver, package, package_size`

func scanFile(row scanner) (WorkFile, error) {
	var w WorkFile
	var opened, closed, handed int64
	err := row.Scan(&w.ID, &w.Agency, &w.Code, &w.Title, &w.Maintenance, &w.Description, &w.Keeper, &w.KeeperName, &opened, &closed, &handed, &w.Receiver,
		&w.Package.Digest, &w.Package.Size)
	w.Opened, w.Closed, w.Handed = sqldb.Time(opened), sqldb.Time(closed), sqldb.Time(handed)
	return w, err
}

func insertFile(ctx context.Context, tx *sqldb.Tx, w *WorkFile) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_file (`+fileColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,0,0,'','',0)`,
		w.ID, string(w.Agency), w.Code, w.Title, w.Maintenance, w.Description, string(w.Keeper), w.KeeperName, sqldb.Micros(w.Opened))
	return err
}

func updateFile(ctx context.Context, tx *sqldb.Tx, w *WorkFile) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_file SET closed = $2, handed = $3, receiver = $4, package = $5, package_size = $6 WHERE id = $1`,
		w.ID, sqldb.Micros(w.Closed), sqldb.Micros(w.Handed), w.Receiver, string(w.Package.Digest), w.Package.Size)
	return err
}

// selectFile gives nil when there is none.
func selectFile(ctx context.Context, tx *sqldb.Tx, id string) (*WorkFile, error) {
	w, err := scanFile(tx.QueryRow(ctx, `SELECT `+fileColumns+` FROM exchange_file WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &w, nil
}

func selectFiles(ctx context.Context, tx *sqldb.Tx, agency registry.AgencyID, after string, limit int) ([]WorkFile, error) {
	q := query{text: `SELECT ` + fileColumns + ` FROM exchange_file WHERE 1 = 1`}
	q.and(` AND agency = $%d`, string(agency))
	if after != "" {
		q.and(` AND id < $%d`, after)
	}
	q.and(` ORDER BY id DESC LIMIT $%d`, limit)
	return sqldb.Collect(ctx, tx, scanFile, q.text, q.args...)
}

// insertFileItem adds a document at the end; false when it is there or the file is full.
func insertFileItem(ctx context.Context, tx *sqldb.Tx, file, kind, subject, by string, at time.Time, most int) (bool, error) {
	var last int
	if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(ordinal), 0) FROM exchange_file_item WHERE file = $1`, file).Scan(&last); err != nil || last >= most {
		return false, err
	}
	res, err := tx.Exec(ctx, `INSERT INTO exchange_file_item (file, subject, kind, ordinal, added, person) VALUES ($1,$2,$3,$4,$5,$6) ON CONFLICT DO NOTHING`,
		file, subject, kind, last+1, sqldb.Micros(at), by)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// selectFileItems reads the table of contents; Author is a code.
func selectFileItems(ctx context.Context, tx *sqldb.Tx, file string) ([]FileItem, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (FileItem, error) {
		var it FileItem
		var typ, subject, notation, code, name string
		var number, year int
		var issued int64
		err := row.Scan(&it.Ordinal, &it.Kind, &it.Subject, &typ, &subject, &number, &year, &notation, &code, &issued, &it.Author, &name, &it.Digest, &it.Size)
		it.Title, it.Issued, it.Code = title(typ, subject), issueDate(issued), code
		if it.Kind == ItemOutgoing {
			it.Code = codeOf(typ, number, year, notation)
		}
		if name != "" {
			it.Author = name
		}
		return it, err
	}, `SELECT i.ordinal, i.kind, i.subject, COALESCE(d.type, n.type), COALESCE(d.subject, n.subject), COALESCE(d.number, 0), COALESCE(d.year, 0), COALESCE(d.notation, ''),
			COALESCE(n.code, ''), COALESCE(d.issued, n.issued), COALESCE(d.agency, n.sender), COALESCE(n.sender_name, ''), COALESCE(d.pdf, n.pdf), COALESCE(d.pdf_size, n.pdf_size)
		FROM exchange_file_item i LEFT JOIN exchange_document d ON d.id = i.subject AND i.kind = 'outgoing'
			LEFT JOIN exchange_incoming n ON n.id = i.subject AND i.kind = 'incoming' WHERE i.file = $1 ORDER BY i.ordinal`, file)
}
