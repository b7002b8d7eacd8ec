package exchange

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
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
			day := first + int64(random.IntN(365))
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
// quarter, and of the list behind one cause.
func BenchmarkRateOfAYear(b *testing.B) {
	n := 20_000
	if s, err := strconv.Atoi(os.Getenv("VANTHU_SCALE")); err == nil {
		n = s
	}
	w := newWorld(b, worldOptions{})
	ctx, by := b.Context(), registry.System("bench")
	if _, err := w.CountRate(ctx); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	w.generateRate(b, 2026, n)
	b.Logf("%d deliveries made in %v", n, time.Since(began))
	year := RateQuery{From: time.Date(2026, 1, 1, 0, 0, 0, 0, Vietnam()), To: time.Date(2027, 1, 1, 0, 0, 0, 0, Vietnam()), Period: PeriodQuarter}
	w.clock.set(year.To)
	one, quarter := year, year
	one.Agency = "H03.007"
	quarter.From = time.Date(2026, 10, 1, 0, 0, 0, 0, Vietnam())
	rate := func(q RateQuery) func() (int, error) {
		return func() (int, error) {
			st, err := w.Rate(ctx, by, q)
			if err != nil {
				return 0, err
			}
			return st.Deliveries, nil
		}
	}
	for _, ask := range []struct {
		name string
		do   func() (int, error)
	}{
		{"year", rate(year)}, {"year of one agency", rate(one)}, {"quarter", rate(quarter)},
		{"gap", func() (int, error) {
			page, err := w.Gap(ctx, by, GapQuery{RateQuery: year, Of: OfDelivery, Cause: "refused"})
			return len(page.Items), err
		}},
	} {
		b.Run(ask.name, func(b *testing.B) {
			var times []time.Duration
			got := 0
			for b.Loop() {
				began := time.Now()
				var err error
				if got, err = ask.do(); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(began))
			}
			slices.Sort(times)
			b.Logf("%d: median %v, longest %v", got, times[len(times)/2], times[len(times)-1])
		})
	}
}
