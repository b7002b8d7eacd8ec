package exchange

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// generateRate fills the projection of the rate with n deliveries of n/10
// documents in a year: 200 agencies, ten recipients each, eight types, one in
// fifty with a fault.
func (w *world) generateRate(tb testing.TB, year, n int) {
	tb.Helper()
	ctx := context.Background()
	random := rand.New(rand.NewPCG(1, 2))
	first := dayNumber(time.Date(year, time.January, 1, 0, 0, 0, 0, Vietnam()))
	types := []string{"CV", "QĐ", "KH", "TB", "BC", "TTr", "NQ", "GM"}
	const batch = 500 // documents
	for from := 0; from < n/10; from += batch {
		b := newRateBook()
		for i := from; i < min(from+batch, n/10); i++ {
			day := first + int64(i)*365/int64(n/10)
			d := &rateDocument{ID: DocumentID(fmt.Sprintf("%08d", i)), Agency: registry.AgencyID(fmt.Sprintf("H03.%03d", random.IntN(200))), Type: types[random.IntN(len(types))],
				Day: day, Code: "1/QĐ", flags: rateNumbered | rateApproved | rateSealed | rateSent, SendBy: day * 86_400_000_000, Sent: day*86_400_000_000 - int64(random.IntN(3)) + 1}
			if random.IntN(50) == 0 {
				d.flags = []int64{rateNumbered | rateApproved, rateNumbered | rateApproved | rateSealed, ratePaper}[random.IntN(3)]
				d.Reason = PaperChoice
			}
			b.documents[d.ID] = d
			for range 10 {
				to := registry.AgencyID(fmt.Sprintf("H03.%03d", random.IntN(1000)))
				v := &rateDelivery{Document: d.ID, Recipient: to, Agency: d.Agency, Type: d.Type, Day: day, State: deliveryDone,
					Status: []Status{StatusRegistered, StatusFinished, StatusFinished}[random.IntN(3)], flags: rateEntered}
				if random.IntN(50) == 0 {
					v.flags, v.Status = 0, []Status{StatusArrived, StatusRefused, StatusNone}[random.IntN(3)]
					v.State = map[bool]string{true: deliveryWaiting, false: deliveryDone}[v.Status == StatusNone]
				}
				b.deliveries[deliveryKey{d.ID, to}] = v
			}
		}
		all := b.changed(rateCopies{})
		err := w.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if err := putRateDocuments(ctx, tx, all.documents); err != nil {
				return err
			}
			if err := putRateDeliveries(ctx, tx, all.deliveries); err != nil {
				return err
			}
			return addRateSums(ctx, tx, b.sums())
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkRateOfAYear prints the median time of the rate of a year of
// VANTHU_SCALE deliveries (20,000 by default): of all agencies, of one, and of a
// quarter, of the list behind one cause, and of the quarterly report with as many
// arrivals.
func BenchmarkRateOfAYear(b *testing.B) {
	n := scaled(20_000)
	for _, postgres := range []bool{false, true} {
		b.Run(map[bool]string{false: "sqlite", true: "postgres"}[postgres], func(b *testing.B) {
			w := newWorld(b, worldOptions{postgres: postgres})
			ctx, by := b.Context(), registry.System("bench")
			if _, err := w.CountRate(ctx); err != nil {
				b.Fatal(err)
			}
			for i := range 200 {
				a := registry.Agency{ID: registry.AgencyID(fmt.Sprintf("H03.%03d", i)), Name: fmt.Sprintf("Cơ quan %d", i), Level: []string{"department", "commune"}[i%2], Parent: "H03"}
				if err := w.reg.AddAgency(ctx, by, a); err != nil {
					b.Fatal(err)
				}
			}
			began := time.Now()
			w.generateRate(b, 2026, n)
			b.Logf("%d deliveries made in %v", n, time.Since(began))
			w.generateArrivals(b, 2026, n)
			w.askRate(b)
			year := RateQuery{From: time.Date(2026, 1, 1, 0, 0, 0, 0, Vietnam()), To: time.Date(2027, 1, 1, 0, 0, 0, 0, Vietnam())}
			for b.Loop() {
				if _, err := w.Rate(ctx, by, year); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// askRate logs the medians of what people ask of the rate.
func (w *world) askRate(b *testing.B) {
	b.Helper()
	ctx, by := b.Context(), registry.System("bench")
	year := RateQuery{From: time.Date(2026, 1, 1, 0, 0, 0, 0, Vietnam()), To: time.Date(2027, 1, 1, 0, 0, 0, 0, Vietnam()), Period: PeriodQuarter}
	w.clock.set(year.To)
	one, quarter, below, letters := year, year, year, year
	one.Agency = "H03.007"
	quarter.From = time.Date(2026, 10, 1, 0, 0, 0, 0, Vietnam())
	below.Level = "commune"
	letters.Type = "CV"
	rate := func(q RateQuery) func(int) int {
		return func(int) int {
			st, err := w.Rate(ctx, by, q)
			if err != nil {
				b.Fatal(err)
			}
			return st.Deliveries
		}
	}
	medians(b, "year", 9, rate(year))
	medians(b, "year of one agency", 9, rate(one))
	medians(b, "year of one level", 9, rate(below))
	medians(b, "year of one type", 9, rate(letters))
	medians(b, "last quarter", 9, rate(quarter))
	medians(b, "gap", 9, func(int) int {
		page, err := w.Gap(ctx, by, GapQuery{RateQuery: year, Of: OfDelivery, Cause: "refused"})
		if err != nil {
			b.Fatal(err)
		}
		return len(page.Items)
	})
	medians(b, "quarterly report", 5, func(int) int {
		r, err := w.QuarterReport(ctx, by, "2026Q4", "")
		if err != nil {
			b.Fatal(err)
		}
		return r.Total.In.Total
	})
}
