package exchange

import (
	"context"
	"encoding/json"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// redescribe writes the whole description of a draft.
func redescribe(ctx context.Context, tx *sqldb.Tx, d *Document) error {
	_, err := tx.Exec(ctx, `UPDATE exchange_document SET type = $2, subject = $3, notation = $4, place = $5, priority = $6, due = $7, signer_name = $8,
		signer_position = $9, competence = $10, details = $11 WHERE id = $1`, string(d.ID), d.Type, d.Subject, d.Notation, d.Place, int(d.Priority),
		sqldb.Micros(d.Due), d.SignerName, d.SignerPosition, d.Competence, d.Details.pinned())
	return err
}

func insertDraftVersion(ctx context.Context, tx *sqldb.Tx, d *Document, seq int64, note string, by registry.Actor, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_draft_version (document, seq, description, note, person, name, at) VALUES ($1,$2,$3,$4,$5,$6,$7)`,
		string(d.ID), seq, string(canonical(d.described())), note, string(by.Person), by.FullName(), sqldb.Micros(at))
	return err
}

func selectDraftVersions(ctx context.Context, tx *sqldb.Tx, id DocumentID) ([]DraftVersion, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (DraftVersion, error) {
		var v DraftVersion
		var text string
		var at int64
		err := row.Scan(&v.Seq, &text, &v.Note, &v.Person, &v.Name, &at, &v.PDF.Digest, &v.PDF.Size)
		if err != nil {
			return v, err
		}
		v.At = sqldb.Time(at)
		return v, json.Unmarshal([]byte(text), &v.description)
	}, `SELECT v.seq, v.description, v.note, v.person, v.name, v.at, r.pdf, r.size FROM exchange_draft_version v
		JOIN exchange_revision r ON r.document = v.document AND r.seq = v.seq WHERE v.document = $1 ORDER BY v.seq`, string(id))
}

func insertComment(ctx context.Context, tx *sqldb.Tx, id DocumentID, c *Comment) error {
	_, err := tx.Exec(ctx, `INSERT INTO exchange_comment (id, document, version, person, name, kind, text, at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		c.ID, string(id), c.Version, string(c.Person), c.Name, c.Kind, c.Text, sqldb.Micros(c.At))
	return err
}

func selectComments(ctx context.Context, tx *sqldb.Tx, id DocumentID) ([]Comment, error) {
	return sqldb.Collect(ctx, tx, func(row scanner) (Comment, error) {
		var c Comment
		var at int64
		err := row.Scan(&c.ID, &c.Version, &c.Person, &c.Name, &c.Kind, &c.Text, &at)
		c.At = sqldb.Time(at)
		return c, err
	}, `SELECT id, version, person, name, kind, text, at FROM exchange_comment WHERE document = $1 ORDER BY id`, string(id))
}
