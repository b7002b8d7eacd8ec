package ledger_test

import (
	"testing"

	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// TestReadGivesAllInLogOrder: page by page, without a gap, also what no
// checkpoint covers yet.
func TestReadGivesAllInLogOrder(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, l *ledger.Ledger) {
		const n = 25
		ids := fill(t, db, l, n)
		var got []ledger.Record
		for {
			list, err := l.Read(t.Context(), int64(len(got)), 7)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			got = append(got, list...)
		}
		if len(got) != n {
			t.Fatalf("%d entries of %d", len(got), n)
		}
		known := map[ledger.EntryID]bool{}
		for _, id := range ids {
			known[id] = true
		}
		for i, r := range got {
			if r.Index != int64(i) || !known[r.ID] {
				t.Fatalf("place %d holds %+v", i, r)
			}
			delete(known, r.ID)
		}
		if list, err := l.Read(t.Context(), n, 0); err != nil || len(list) != 0 {
			t.Fatalf("after the end: %d, %v", len(list), err)
		}
	})
}
