package exchange

import (
	"bytes"
	"context"
	"testing"
	"time"

	"vanthu/exchange/registry"
)

// TestStatsBreakdowns: on both engines a document counts on its day in Vietnam, a second before midnight and at
// it, and every breakdown adds up to the whole.
func TestStatsBreakdowns(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		midnight := time.Date(2026, 3, 7, 0, 0, 0, 0, Vietnam())
		w.clock.set(midnight.Add(-time.Second))
		w.sent(t, 1, "H03.01", "H03.02")
		w.clock.set(midnight)
		w.sent(t, 2, "H03.03")
		letter, err := w.Draft(ctx, w.as(officer, "H03.01"), DraftInput{
			Type: "CV", Subject: "Về việc phối hợp", SignerName: "Nguyễn Văn A", SignerPosition: "Giám đốc", PDF: bytes.NewReader(samplePDF(3)),
		})
		if err != nil {
			t.Fatal(err)
		}
		letter = w.sign(t, letter, StepApprove)
		if _, err := w.Number(ctx, w.as(clerk, "H03.01"), letter.ID); err != nil {
			t.Fatal(err)
		}
		w.runLanes(t)

		st, err := w.Stats(ctx, registry.System("test"), midnight.AddDate(0, 0, -1), midnight.AddDate(0, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		if st.Population != 3 || st.Electronic != 2 || st.Deliveries != 3 || st.Arrived != 3 {
			t.Fatalf("%+v", st.Counts)
		}
		var types, days []Counts
		for _, row := range st.ByType {
			types = append(types, row.Counts)
		}
		for _, row := range st.ByDay {
			days = append(days, row.Counts)
		}
		if sumOf(types) != st.Counts || sumOf(days) != st.Counts {
			t.Fatalf("by type %+v, by day %+v of %+v", types, days, st.Counts)
		}
		if len(types) != 2 || st.ByType[0].Type != "QĐ" || st.ByType[0].Electronic != 2 || st.ByType[1].Name != "Công văn" || st.ByType[1].Rate != 0 {
			t.Fatalf("by type %+v", st.ByType)
		}
		if len(days) != 2 || st.ByDay[0].Day != "2026-03-06" || st.ByDay[0].Deliveries != 2 || st.ByDay[1].Day != "2026-03-07" || st.ByDay[1].Population != 2 {
			t.Fatalf("by day %+v", st.ByDay)
		}
		// One day, one agency: what is beside it is in no row.
		st, err = w.Stats(ctx, w.as(clerk, "H03.01"), midnight, midnight.AddDate(0, 0, 1))
		if err != nil || st.Population != 1 || len(st.ByType) != 1 || len(st.ByDay) != 1 || len(st.ByAgency) != 1 {
			t.Fatalf("%+v, %v", st, err)
		}
	})
}
