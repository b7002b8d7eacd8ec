package exchange

import (
	"context"
	"strings"
	"testing"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// rows counts what a simulation must leave alone.
func (w *world) rows(t *testing.T) (n int) {
	t.Helper()
	err := w.db.View(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM exchange_delivery) + (SELECT COUNT(*) FROM exchange_number) + (SELECT COUNT(*) FROM ledger_entry)
			+ (SELECT COALESCE(SUM(last), 0) FROM exchange_counter)`).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSimulationForetellsTheSending compares what is foretold, before and after there is a history, with what happens.
func TestSimulationForetellsTheSending(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx, by := t.Context(), w.as(clerk, "H03")
		if err := w.reg.AddAgency(ctx, registry.System("test"), registry.Agency{ID: "H03.09", Name: "Sở cũ", Symbol: "SC", Place: "Bắc Kạn", Parent: "H03",
			ValidTo: w.clock.Now().Add(-24 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		d := w.sign(t, w.draft(t, 1), StepInitial, StepApprove)
		before := w.rows(t)
		asked := []registry.AgencyID{"H03.01", "H03.09", "H99.99", "H03", "không phải mã", "H03.02", "H03.01"}
		sim, err := w.Simulate(ctx, by, d.ID, asked)
		if err != nil {
			t.Fatal(err)
		}
		if len(sim.Problems) != 1 || sim.Problems[0].TextEN == "" || len(sim.Forecasts) != len(asked) {
			t.Fatalf("of a document that is not sealed: %+v", sim)
		}
		d = w.sign(t, d, StepSeal)
		before += 2 // the seal's own evidence
		if sim, err = w.Simulate(ctx, by, d.ID, asked); err != nil {
			t.Fatal(err)
		}
		if len(sim.Problems) != 0 || sim.Arrives != 2 || sim.Refused != 5 || sim.Returned != 0 {
			t.Errorf("%+v", sim)
		}
		for _, f := range sim.Forecasts {
			if f.Asked != sim.Forecasts[0].Asked && f.Asked != "H03.02" && (f.Outcome != ForecastRefused || f.Reason == nil || f.Reason.Text == "" || f.Reason.TextEN == "") {
				t.Errorf("%s: %+v", f.Asked, f)
			}
			if f.Expected != 0 || f.Arrivals != 0 {
				t.Errorf("%s has a history: %+v", f.Asked, f)
			}
		}
		if after := w.rows(t); after != before {
			t.Errorf("%d rows after simulating, %d before", after, before)
		}
		// What was foretold comes true: the sending with a bad recipient is refused, the one without goes.
		if _, _, err := w.Send(ctx, by, d.ID, asked[:2]); KindOf(err) != KindInvalid {
			t.Errorf("sending to one that has ended: %v", err)
		}
		if _, _, err := w.Send(ctx, by, d.ID, []registry.AgencyID{"H03.01", "H03.02"}); err != nil {
			t.Fatal(err)
		}
		w.runLanes(t)
		second := w.sign(t, w.draft(t, 2), StepInitial, StepApprove, StepSeal)
		if sim, err = w.Simulate(ctx, by, second.ID, []registry.AgencyID{"H03.01"}); err != nil {
			t.Fatal(err)
		}
		if f := sim.Forecasts[0]; f.Outcome != ForecastArrives || f.Arrivals != 1 || f.Expected <= 0 {
			t.Errorf("with a history: %+v", f)
		}
		// A certificate that no longer counts: the recipient's hub would return it.
		if err := w.reg.RevokeCertificate(ctx, w.as(admin, "H03"), registry.AgencyOwner("H03"), registry.Fingerprint(w.keys[StepSeal].Certificate),
			w.clock.Now().Add(-time.Hour), "lộ khóa"); err != nil {
			t.Fatal(err)
		}
		if sim, err = w.Simulate(ctx, by, second.ID, []registry.AgencyID{"H03.01"}); err != nil {
			t.Fatal(err)
		}
		if sim.Returned != 1 || sim.Forecasts[0].Reason == nil {
			t.Errorf("after the seal was revoked: %+v", sim)
		}
		if _, _, err := w.Send(ctx, by, second.ID, []registry.AgencyID{"H03.01"}); err != nil {
			t.Fatal(err)
		}
		w.runLanes(t)
		if in := w.incoming(t, "H03.01", second.ID); in.Status != StatusRefused || in.Note != sim.Forecasts[0].Reason.Text {
			t.Errorf("foretold %q, the recipient says %s %q", sim.Forecasts[0].Reason.Text, in.Status, in.Note)
		}
		if _, err := w.Simulate(ctx, w.as(clerk, "H03.01"), second.ID, []registry.AgencyID{"H03.02"}); KindOf(err) != KindNotFound {
			t.Errorf("by another agency: %v", err)
		}
		if _, err := w.Simulate(ctx, by, second.ID, make([]registry.AgencyID, maxRecipients+1)); KindOf(err) != KindTooLarge {
			t.Errorf("10,001 recipients: %v", err)
		}
	})
}

// TestBulkGoesOnAfterARefusal: of many, those that can be done are done.
func TestBulkGoesOnAfterARefusal(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := t.Context()
		var ids []string
		for n := range 4 {
			ids = append(ids, string(w.draft(t, n).ID))
		}
		bulk := func(by registry.Actor, in BulkInput, want string) []BulkOutcome {
			t.Helper()
			out, err := w.Bulk(ctx, by, in)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for i, o := range out {
				if o.ID != in.IDs[i] {
					t.Errorf("outcome %d is of %s, want %s", i, o.ID, in.IDs[i])
				}
				if o.Err == nil {
					got.WriteString("+")
				} else {
					got.WriteString("-")
				}
			}
			if got.String() != want {
				t.Errorf("%s: %s, want %s (%+v)", in.Act, got.String(), want, out)
			}
			return out
		}
		bulk(w.as(officer, "H03"), BulkInput{Act: ActInitial, IDs: ids[:2], Sign: SignInput{Key: w.keys[StepInitial], Invisible: true}}, "++")
		bulk(w.as(leader, "H03"), BulkInput{Act: ActApprove, IDs: []string{ids[0], "none", ids[1], ids[2], ids[2]}, Sign: SignInput{Key: w.keys[StepApprove], Invisible: true}}, "+-++-")
		bulk(w.as(clerk, "H03"), BulkInput{Act: ActSeal, IDs: ids, Sign: SignInput{Key: w.keys[StepSeal], Invisible: true}}, "+++-")
		numbered := bulk(w.as(clerk, "H03"), BulkInput{Act: ActNumber, IDs: ids[:1]}, "+")
		if numbered[0].Code != "01/QĐ-UBND" {
			t.Errorf("the number is %q", numbered[0].Code)
		}
		bulk(w.as(clerk, "H03"), BulkInput{Act: ActSend, IDs: ids, Recipients: []registry.AgencyID{"H03.01"}}, "+++-")
		w.runLanes(t)
		var in []string
		for _, id := range ids[:3] {
			in = append(in, string(w.incoming(t, "H03.01", DocumentID(id)).ID))
		}
		registered := bulk(w.as(clerk, "H03.01"), BulkInput{Act: ActRegister, IDs: append([]string{"none"}, in[:2]...)}, "-++")
		if registered[1].Code == "" || registered[1].Code == registered[2].Code {
			t.Errorf("arrival numbers: %+v", registered)
		}
		bulk(w.as(clerk, "H03.01"), BulkInput{Act: ActRefuse, IDs: in, Note: "gửi nhầm"}, "--+")
		bulk(w.as(leader, "H03.01"), BulkInput{Act: ActAssign, IDs: in, Person: w.as(officer, "H03.01").Person, Note: "làm gấp"}, "++-")
		bulk(w.as(officer, "H03.01"), BulkInput{Act: ActProcess, IDs: in[:2]}, "++")
		bulk(w.as(officer, "H03.01"), BulkInput{Act: ActFinish, IDs: in[:2], Note: "xong"}, "++")
		for name, in := range map[string]BulkInput{"no such act": {Act: "eat", IDs: ids}, "none": {Act: ActRegister}, "too many": {Act: ActRegister, IDs: make([]string, MaxBulk+1)}} {
			if _, err := w.Bulk(ctx, w.as(clerk, "H03"), in); KindOf(err) != KindInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := w.Bulk(ctx, w.as(officer, "H03"), BulkInput{Act: ActRegister, IDs: ids}); KindOf(err) != KindForbidden {
			t.Errorf("a role that may not: %v", err)
		}
		w.clean(t)
	})
}
