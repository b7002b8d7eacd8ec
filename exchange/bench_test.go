package exchange

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"vanthu/exchange/registry"
)

// BenchmarkMainJob takes documents of 200 KB the whole way: draft, three
// signatures, number, three recipients, statuses 01, 03 and 06 back, archive.
// 16 officials work at the same time; the jobs run as they do in the hub.
func BenchmarkMainJob(b *testing.B) {
	w := newWorld(b, worldOptions{start: true, change: func(c *Config) { c.Now = time.Now }})
	w.reg = mustRegistry(b, w)
	base := largePDF(200_000)
	b.SetBytes(int64(len(base)))
	b.ResetTimer()
	work := make(chan int)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for n := range work {
				w.mainJob(b, base, n)
			}
		})
	}
	for n := range b.N {
		work <- n
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "docs/s")
}

func mustRegistry(tb testing.TB, w *world) *registry.Registry {
	tb.Helper()
	r, err := registry.New(w.store.DB, registry.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// largePDF is a one-page PDF with a stream of ballast.
func largePDF(size int) []byte {
	ballast := make([]byte, size)
	for i := range ballast {
		ballast[i] = byte(i*7 + i>>8)
	}
	return onePage(fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(ballast), ballast))
}

func (w *world) mainJob(tb testing.TB, base []byte, n int) {
	ctx := context.Background()
	data := append(bytes.Clone(base), fmt.Sprintf("%% %d\n", n)...)
	d, err := w.Draft(ctx, w.as(officer, "H03"), DraftInput{Type: "QĐ", Subject: fmt.Sprintf("Về việc đo tải số %d", n), SignerName: "Nguyễn Văn A",
		PDF: bytes.NewReader(data)})
	if err != nil {
		tb.Error(err)
		return
	}
	d = w.sign(tb, d, StepInitial, StepApprove, StepSeal)
	to := []registry.AgencyID{"H03.01", "H03.02", "H03.03"}
	if _, _, err = w.Send(ctx, w.as(clerk, "H03"), d.ID, to); err != nil {
		tb.Error(err)
		return
	}
	var wg sync.WaitGroup
	for _, a := range to {
		wg.Go(func() {
			in := w.awaitIncoming(tb, a, d.ID)
			if in == nil {
				return
			}
			if _, err := w.Register(ctx, w.as(clerk, a), in.ID); err != nil {
				tb.Error(err)
			}
			if _, err := w.Finish(ctx, w.as(leader, a), in.ID, ""); err != nil {
				tb.Error(err)
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		got, err := w.Document(ctx, w.as(clerk, "H03"), d.ID)
		if err != nil || time.Now().After(deadline) {
			tb.Errorf("document %s was not archived: %v", d.ID, err)
			return
		}
		if !got.Archived.IsZero() {
			return
		}
	}
}

func (w *world) awaitIncoming(tb testing.TB, a registry.AgencyID, d DocumentID) *Incoming {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		list, err := w.Incomings(context.Background(), w.as(clerk, a), IncomingFilter{Limit: 100, Status: StatusArrived})
		if err != nil {
			tb.Error(err)
			return nil
		}
		for i := range list.Items {
			if list.Items[i].Document == d {
				return &list.Items[i]
			}
		}
	}
	tb.Errorf("document %s has not arrived at %s", d, a)
	return nil
}
