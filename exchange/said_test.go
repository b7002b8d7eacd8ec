package exchange

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"vanthu/signing/stamp"
)

// TestTimelineWords: the hub's own jobs and agencies stand in people's words.
func TestTimelineWords(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := t.Context()
	d := w.sent(t, 1, "H03.01", "H03.02")
	w.runLanes(t)
	events, err := w.Timeline(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	in, err := w.IncomingTimeline(ctx, w.as(clerk, "H03.01"), w.incoming(t, "H03.01", d.ID).ID)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][3]string{
		"document.drafted":  {"officer 0", "officer 0", "Tạo dự thảo: Về việc thử nghiệm số 1"},
		"document.sent":     {"clerk 0", "clerk 0", "Phát hành 01/QĐ-UBND tới 2 nơi nhận: Sở Nội vụ (H03.01), Sở Tài chính (H03.02)"},
		"incoming.received": {"Hệ thống", "The hub", "Đã đến: 01/QĐ-UBND từ UBND tỉnh Bắc Kạn (H03), chữ ký TOTAL_PASSED"},
	}
	for _, e := range append(events, in...) {
		if e.By == "" || strings.Contains(e.By+e.Text, "system:") {
			t.Errorf("%s: by %q, %q", e.Kind, e.By, e.Text)
		}
		if s, ok := want[e.Kind]; ok && (e.By != s[0] || e.ByIn("en") != s[1] || e.Text != s[2]) {
			t.Errorf("%s: by %q (%q), %q; want %q", e.Kind, e.By, e.ByIn("en"), e.Text, s)
		}
		if e.Kind == "receipt.accepted" && (!strings.HasPrefix(e.Text, "Sở ") || e.By != "Hệ thống") {
			t.Errorf("receipt by %q: %q", e.By, e.Text)
		}
	}
	e := Event{Kind: "document.sent", Params: map[string]string{"recipients": strings.Repeat("H01,", mostNames+1) + "H02", "count": "14"}}
	if !strings.HasSuffix(e.In("vi"), "H01 và 2 nơi khác") || !strings.HasSuffix(e.In("en"), "H01 and 2 more") {
		t.Errorf("many recipients: %q, %q", e.In("vi"), e.In("en"))
	}
}

// TestDateOfIssueIsADate: whoever reads the JSON reads the day of issue.
func TestDateOfIssueIsADate(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := t.Context()
	w.clock.set(time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)) // 03:00 of the 23rd in Vietnam
	d := w.sent(t, 1, "H03.01")
	w.runLanes(t)
	in := w.incoming(t, "H03.01", d.ID)
	if _, err := w.Register(ctx, w.as(clerk, "H03.01"), in.ID); err != nil {
		t.Fatal(err)
	}
	again, err := w.Document(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := w.OutgoingRegister(ctx, w.as(clerk, "H03"), 2026)
	if err != nil {
		t.Fatal(err)
	}
	came, err := w.IncomingRegister(ctx, w.as(clerk, "H03.01"), 2026)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"as sent": d, "document": again, "envelope": again.envelope("H03.01"), "incoming": in, "outgoing register": sent, "incoming register": came,
	} {
		data, err := json.Marshal(v)
		if err != nil || !strings.Contains(string(data), `"issued":"2026-11-23T00:00:00+07:00"`) {
			t.Errorf("%s: %s, %v", name, data, err)
		}
	}
	draft, err := json.Marshal(w.draft(t, 2))
	if err != nil || strings.Contains(string(draft), `"issued"`) {
		t.Errorf("a draft has no date of issue: %s, %v", draft, err)
	}
}

// TestAppearancesStandApart: without pictures no signature hides another, nor does
// the text of one hide the picture of the one before it.
func TestAppearancesStandApart(t *testing.T) {
	leader := stamp.LeaderCell()
	places := []stamp.RectMM{initialRect(), approveText(), sealText()}
	for i, a := range places {
		for _, b := range places[i+1:] {
			if overlap(a, b) {
				t.Errorf("%v and %v overlap", a, b)
			}
		}
	}
	if overlap(sealText(), leader) || overlap(initialRect(), leader) {
		t.Error("text stands over the leader's picture")
	}
}

func overlap(a, b stamp.RectMM) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}
