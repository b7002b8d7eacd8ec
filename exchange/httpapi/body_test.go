package httpapi

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestWorkOutlivesTheBodysDeadline: a deadline left on the connection after the body would end the request's context
// while the work goes on, and a signature that waits for a time-stamp authority would fail for no fault of anybody.
func TestWorkOutlivesTheBodysDeadline(t *testing.T) {
	a := &api{log: slog.New(slog.DiscardHandler), maxBody: 1 << 20, pause: 20 * time.Millisecond}
	server := httptest.NewServer(a.outer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		select {
		case <-r.Context().Done():
			w.WriteHeader(http.StatusServiceUnavailable)
		case <-time.After(20 * a.pause):
			w.WriteHeader(http.StatusNoContent)
		}
	})))
	defer server.Close()
	response, err := http.Post(server.URL, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Fatalf("the work was cut off: status %d", response.StatusCode)
	}
}
