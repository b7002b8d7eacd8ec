package bymail

import (
	"context"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

// TestLettersKept: letters of before are there after the table is made anew, and a delivery may have one for each recipient.
func TestLettersKept(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		ctx := t.Context()
		files, err := fs.Sub(schema, "schema")
		must(err)
		const first = "0001_bymail.sql"
		text, err := fs.ReadFile(files, first)
		must(err)
		must(db.Migrate(ctx, "bymail", fstest.MapFS{first: {Data: text}}))
		created := time.Date(2026, 3, 5, 1, 0, 0, 0, time.UTC)
		old := letter{ID: "a", Delivery: "v", Recipient: "H03.90", State: stateSent, Note: "n", Digest: "d", Tries: 2, Created: created, Expires: created.Add(lifetime)}
		must(db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO bymail_letter (id, delivery, document, axis, sender, recipient, address, account, link, verp, digest, code, subject,
				sender_name, recipient_name, state, tries, created, expires, settled, note)
				VALUES ('a', 'v', '', '', '', 'H03.90', '', '', 'l', 't', 'd', '', '', '', '', 'sent', 2, $1, $2, 0, 'n')`, sqldb.Micros(old.Created), sqldb.Micros(old.Expires))
			return err
		}))
		must(db.Migrate(ctx, "bymail", files))
		var byLink, byDelivery, other *letter
		must(db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			for _, id := range []string{"b", "c"} { // the second of one recipient is not kept
				next := letter{ID: id, Delivery: "v", Recipient: "H03.91", State: stateNew}
				if err := insertLetter(ctx, tx, &next, "link "+id, "verp "+id); err != nil {
					return err
				}
			}
			if byLink, err = letterBy(ctx, tx, "link", "l"); err != nil {
				return err
			}
			if byDelivery, err = letterTo(ctx, tx, "v", "H03.90"); err != nil {
				return err
			}
			other, err = letterTo(ctx, tx, "v", "H03.91")
			return err
		}))
		if byLink == nil || byDelivery == nil || *byLink != old || *byDelivery != old {
			t.Errorf("the letter of before: %+v, %+v; want %+v", byLink, byDelivery, old)
		}
		if other == nil || other.ID != "b" {
			t.Errorf("the letter to the successor: %+v", other)
		}
	})
}
