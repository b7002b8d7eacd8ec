package exchange

import (
	"context"
	"testing"
	"time"

	"vanthu/signing"
	"vanthu/storage/blob"
)

// TestJourney takes one document the whole way by the jobs themselves.
func TestJourney(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres, start: true})
		ctx := context.Background()
		d := w.sent(t, 1, "H03.01", "H03.02", "H03.03")
		if d.Code() != "01/QĐ-UBND" || d.Axis != "H03,2026/03/05,01/QĐ-UBND" || d.State != StateSent {
			t.Fatalf("code %q, axis %q, state %s", d.Code(), d.Axis, d.State)
		}
		arrived := w.await(t, d, func(v Delivery) bool { return v.Status == StatusArrived })
		for _, v := range arrived {
			in := w.incoming(t, v.Recipient, d.ID)
			full, err := w.Incoming(ctx, w.as(clerk, v.Recipient), in.ID)
			if err != nil {
				t.Fatal(err)
			}
			if full.Report.Verdict != signing.TotalPassed || len(full.Report.Signatures) != 3 {
				t.Fatalf("verdict at %s: %s with %d signatures", v.Recipient, full.Report.Verdict, len(full.Report.Signatures))
			}
			pdf, _, err := w.IncomingPDF(ctx, w.as(clerk, v.Recipient), in.ID)
			if got := blob.Sum(readAll(t, pdf, err)); got != d.PDF.Digest {
				t.Fatalf("PDF at %s is %s", v.Recipient, got)
			}
			w.process(t, in)
		}
		for _, v := range w.await(t, d, func(v Delivery) bool { return v.Status == StatusFinished }) {
			if v.ArrivalNumber != 1 || v.Transport != TransportDone {
				t.Errorf("delivery %+v", v)
			}
		}
		w.awaitArchived(t, d.ID)
		receipts, err := w.Receipts(ctx, w.as(clerk, "H03"), d.ID)
		if err != nil || len(receipts) != 15 {
			t.Fatalf("%d receipts, %v; want five from each of three", len(receipts), err)
		}
		pkg, err := w.Package(ctx, w.as(clerk, "H03"), d.ID)
		if err != nil || len(pkg.Files) != 4+2*15 {
			t.Fatalf("package: %v, %d files", err, len(pkg.Files))
		}
		st, err := w.Stats(ctx, w.as(admin, "H03"), w.clock.Now().AddDate(0, 0, -1), w.clock.Now())
		if err != nil || st.Population != 1 || st.Electronic != 1 || st.Rate != 1 || st.Completed != 3 || st.DeliveryRate != 1 || len(st.Missing) != 0 {
			t.Fatalf("stats %+v, %v", st, err)
		}
		w.clean(t)
	})
}

// process takes an arrival through statuses 03 to 06.
func (w *world) process(tb testing.TB, in *Incoming) {
	tb.Helper()
	ctx := context.Background()
	if _, err := w.Register(ctx, w.as(clerk, in.Agency), in.ID); err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Assign(ctx, w.as(leader, in.Agency), in.ID, w.as(officer, in.Agency).Person, "xử lý trong tuần"); err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Process(ctx, w.as(officer, in.Agency), in.ID, ""); err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Finish(ctx, w.as(officer, in.Agency), in.ID, "đã xong"); err != nil {
		tb.Fatal(err)
	}
}

func (w *world) await(tb testing.TB, d *Document, ready func(Delivery) bool) []Delivery {
	tb.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		list, err := w.Deliveries(context.Background(), w.as(clerk, d.Agency), d.ID)
		if err != nil {
			tb.Fatal(err)
		}
		all := true
		for _, v := range list {
			all = all && ready(v)
		}
		if all {
			return list
		}
		if time.Now().After(deadline) {
			tb.Fatalf("deliveries are still %+v", list)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *world) awaitArchived(tb testing.TB, id DocumentID) *Document {
	tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		d, err := w.Document(context.Background(), w.as(clerk, "H03"), id)
		if err != nil {
			tb.Fatal(err)
		}
		if !d.Archived.IsZero() {
			return d
		}
		if time.Now().After(deadline) {
			tb.Fatal("the document was not archived")
		}
	}
}
