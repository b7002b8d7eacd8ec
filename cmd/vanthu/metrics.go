package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"

	"vanthu/signing"
)

// metricsHandler answers monitoring: /healthz and the Prometheus text format at /metrics.
func (h *Hub) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		stats, err := h.Store.Jobs.Stats(r.Context())
		if err != nil {
			http.Error(w, "the job queue does not answer", http.StatusServiceUnavailable)
			return
		}
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintf(w, "# HELP vanthu_jobs Jobs by state.\n# TYPE vanthu_jobs gauge\n")
		for state, n := range map[string]int64{"waiting": stats.Waiting, "running": stats.Running, "retrying": stats.Retrying, "dead": stats.Dead} {
			fmt.Fprintf(w, "vanthu_jobs{state=%q} %d\n", state, n)
		}
		fmt.Fprintf(w, "# HELP vanthu_heap_bytes Bytes of live heap.\n# TYPE vanthu_heap_bytes gauge\nvanthu_heap_bytes %d\n", memory.HeapAlloc)
		fmt.Fprintf(w, "# HELP vanthu_goroutines Goroutines.\n# TYPE vanthu_goroutines gauge\nvanthu_goroutines %d\n", runtime.NumGoroutine())
	})
	return mux
}

// verify judges a PDF of the console's check page, as this hub judges what it receives.
func (h *Hub) verify(ctx context.Context, r io.ReaderAt, size int64) (*signing.Report, error) {
	return signing.VerifyPDF(ctx, r, size, h.verifyOptions())
}
