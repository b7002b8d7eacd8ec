package ledger_test

import (
	"testing"

	"vanthu/storage/ledger"
	"vanthu/storage/sqldb/sqldbtest"
)

// BenchmarkAppend measures entries appended 256 to a transaction: what the
// evidence adds to an act.
func BenchmarkAppend(b *testing.B) {
	db := sqldbtest.SQLite(b)
	l := open(b, db)
	entries := make([]ledger.Entry, 256)
	for i := range entries {
		entries[i] = entry(i)
	}
	b.ResetTimer()
	for n := 0; n < b.N; n += len(entries) {
		appendAll(b, db, l, entries...)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkSequence measures how fast waiting entries get into the log.
func BenchmarkSequence(b *testing.B) {
	db := sqldbtest.SQLite(b)
	l := open(b, db)
	fill(b, db, l, b.N)
	b.ResetTimer()
	sequence(b, l)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkProve measures making and verifying a proof in a log of 20,000.
func BenchmarkProve(b *testing.B) {
	db := sqldbtest.SQLite(b)
	l := open(b, db)
	ids := fill(b, db, l, 20_000)
	sequence(b, l)
	b.ResetTimer()
	for i := range b.N {
		if err := ledger.VerifyProof(l.VerifierKey(), prove(b, l, ids[i%len(ids)])); err != nil {
			b.Fatal(err)
		}
	}
}
