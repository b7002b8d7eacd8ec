package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vanthu/exchange/receipt/page"
)

// TestPagePinsTheLog: the page that a hub gives out takes evidence of that hub's log only, and is the same file each time.
func TestPagePinsTheLog(t *testing.T) {
	const key = "hub.example/log+5f3c1a22+AXyz"
	handler, err := page.Handler(nil, key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	get := func(tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/verify?download", nil)
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	w := get("")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"log_key":"`+key+`"`) || !strings.Contains(w.Body.String(), "trust.log_key))") {
		t.Errorf("status %d; the page does not pin the log", w.Code)
	}
	if again := get(w.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("asked again: status %d", again.Code)
	}
}
