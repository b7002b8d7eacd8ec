package exchange

import (
	"testing"

	"vanthu/exchange/registry"
)

// TestEveryActIsAnnouncedToItsAgency takes a document from draft to done: the evidence of both agencies is what each is
// told, in order, without a gap, in words.
func TestEveryActIsAnnouncedToItsAgency(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		woken, stop := w.Watch("H03.01")
		defer stop()
		d := w.sent(t, 1, "H03.01")
		w.runLanes(t)
		in := w.incoming(t, "H03.01", d.ID)
		if _, err := w.Register(t.Context(), w.as(clerk, "H03.01"), in.ID); err != nil {
			t.Fatal(err)
		}
		w.runLanes(t)
		select {
		case <-woken:
		default:
			t.Error("nobody was woken")
		}
		for agency, subject := range map[registry.AgencyID]string{"H03": string(d.ID), "H03.01": string(in.ID)} {
			told, err := w.Announcements(t.Context(), w.as(clerk, agency), 0, 200)
			if err != nil {
				t.Fatal(err)
			}
			var events []Event
			if agency == "H03" {
				events, err = w.Timeline(t.Context(), w.as(clerk, agency), d.ID)
			} else {
				events, err = w.IncomingTimeline(t.Context(), w.as(clerk, agency), in.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
			next := 0
			for i, a := range told {
				if a.Seq != int64(i+1) {
					t.Errorf("%s: announcement %d has number %d", agency, i, a.Seq)
				}
				if a.In("vi") == "" || a.In("vi") == a.Kind || a.In("en") == a.In("vi") {
					t.Errorf("%s has no words: %q, %q", a.Kind, a.In("vi"), a.In("en"))
				}
				if a.Subject != subject {
					continue
				}
				if next >= len(events) || events[next].Entry != a.Entry || events[next].Kind != a.Kind {
					t.Fatalf("%s was told %s, evidence %d is another", agency, a.Kind, next)
				}
				next++
			}
			if next != len(events) || next == 0 {
				t.Errorf("%s was told %d of %d acts", agency, next, len(events))
			}
			last, err := w.LastAnnouncement(t.Context(), w.as(clerk, agency))
			if err != nil || last != int64(len(told)) {
				t.Errorf("the last is %d, %v", last, err)
			}
		}
	})
}
