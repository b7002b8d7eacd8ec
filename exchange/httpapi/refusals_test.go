package httpapi

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// TestBadInputIsAnswered gives each a clear answer in words, and leaves nothing behind.
func TestBadInputIsAnswered(t *testing.T) {
	w := newWorld(t)
	post, get := http.MethodPost, http.MethodGet
	draft := func(status int, changed map[string]string) {
		t.Helper()
		fields := map[string]string{"type": "CV", "subject": "a", "signer_name": "A"}
		maps.Copy(fields, changed)
		w.call(status, post, "/api/v1/documents", nil, form(t, fields, testPDF(t)), nil)
	}
	draft(http.StatusUnprocessableEntity, map[string]string{"subject": strings.Repeat("ă", 501)})
	draft(http.StatusUnprocessableEntity, map[string]string{"subject": "a\r\nBcc: nguoi@khac.vn"})
	draft(http.StatusUnprocessableEntity, map[string]string{"signer_name": "A\nB"})
	draft(http.StatusUnprocessableEntity, map[string]string{"secrecy": "Mật"})
	draft(http.StatusUnprocessableEntity, map[string]string{"type": "XX"})
	draft(http.StatusUnprocessableEntity, map[string]string{"notation": "qđ/UBND"})
	var list struct{ Items []exchange.Document }
	w.call(http.StatusOK, get, "/api/v1/documents", nil, content{}, &list)
	if len(list.Items) != 0 {
		t.Fatalf("%d drafts were kept of what was refused", len(list.Items))
	}
	scan := map[string]string{"from_name": "A", "type": "Đơn", "subject": "b", "issued": "2999-01-05"}
	w.call(http.StatusUnprocessableEntity, post, "/api/v1/incoming", nil, form(t, scan, testPDF(t)), nil)

	var doc exchange.Document
	w.call(http.StatusCreated, post, "/api/v1/documents", nil, form(t, map[string]string{"type": "CV", "subject": "a", "signer_name": "A"}, testPDF(t)), &doc)
	one := "/api/v1/documents/" + string(doc.ID)
	many := make([]string, 10_001)
	for i := range many {
		many[i] = fmt.Sprintf("H99.%05d", i)
	}
	reg, system := w.registry(), registry.System("test")
	if err := reg.AddAgency(t.Context(), system, registry.Agency{ID: "H99.01", Name: "Xã Cũ", Symbol: "UBND", Parent: "H99", Channel: registry.ChannelLocal}); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string][]string{
		"10,001": many, "none": {}, "twice": {"H99.01", "H99.01"}, "unknown": {"H97"}, "Cyrillic look-alike": {"Н99.01"}, "letter O": {"H99.O1"}, "itself": {"H99"},
	} {
		t.Run(name, func(t *testing.T) {
			w.call(http.StatusUnprocessableEntity, post, one+"/send", nil, jsonBody(map[string]any{"recipients": to}), nil)
		})
	}
	w.call(http.StatusForbidden, post, one+"/signatures", nil, jsonBody(map[string]any{"step": "approve", "passphrase": "x"}), nil)
	w.call(http.StatusConflict, post, one+"/number", nil, content{}, nil) // nobody has approved it
	var outcome struct {
		Done, Refused int
	}
	w.call(http.StatusOK, post, "/api/v1/bulk", nil, jsonBody(map[string]any{"act": "return", "ids": []string{"none", string(doc.ID)}, "note": "sửa"}), &outcome)
	if outcome.Done != 1 || outcome.Refused != 1 {
		t.Errorf("one refused blocks the next: %+v", outcome)
	}
	var now exchange.Document
	w.call(http.StatusOK, get, one, nil, content{}, &now)
	if now.State != exchange.StateDraft || now.Number != 0 || !now.Returned {
		t.Errorf("left as %+v", now)
	}
}
