package exchange

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
)

// TestForwardKeepsTheChain forwards a document twice: the last one sees by whom it
// came and the first verdict, the sender hears of nothing but its own recipient, and
// a copy from the sender itself joins the entry that is there.
func TestForwardKeepsTheChain(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		ctx := context.Background()
		w := newWorld(t, worldOptions{postgres: postgres})
		d := w.sent(t, 1, "H03.01")
		w.runLanes(t)
		in := w.incoming(t, "H03.01", d.ID)
		_, err := w.ForwardTo(ctx, w.as(clerk, "H03.01"), in.ID, []registry.AgencyID{"H03.02"}, "")
		wantKind(t, err, KindConflict) // not registered yet
		if in, err = w.Register(ctx, w.as(clerk, "H03.01"), in.ID); err != nil {
			t.Fatal(err)
		}
		_, err = w.ForwardTo(ctx, w.as(officer, "H03.01"), in.ID, []registry.AgencyID{"H03.02"}, "")
		wantKind(t, err, KindForbidden)
		_, err = w.ForwardTo(ctx, w.as(clerk, "H03.01"), in.ID, []registry.AgencyID{"H03.02", "H03"}, "")
		wantKind(t, err, KindInvalid) // not back to the sender, and then to nobody
		if _, err := w.ForwardTo(ctx, w.as(clerk, "H03.01"), in.ID, []registry.AgencyID{"H03.02"}, "thuộc thẩm quyền của Sở Tài chính"); err != nil {
			t.Fatal(err)
		}
		_, err = w.ForwardTo(ctx, w.as(clerk, "H03.01"), in.ID, []registry.AgencyID{"H03.02"}, "")
		wantKind(t, err, KindConflict) // once
		second := w.incoming(t, "H03.02", d.ID)
		if second.Via != "H03.01" || second.From != "H03" || second.Verdict != in.Verdict {
			t.Errorf("forwarded as %+v", second)
		}
		for _, act := range []func() error{
			func() error { _, err := w.Register(ctx, w.as(clerk, "H03.02"), second.ID); return err },
			func() error {
				_, err := w.ForwardTo(ctx, w.as(clerk, "H03.02"), second.ID, []registry.AgencyID{"H03.03"}, "phối hợp")
				return err
			},
			func() error { _, err := w.Finish(ctx, w.as(leader, "H03.02"), second.ID, "đã xong"); return err },
		} {
			if err := act(); err != nil {
				t.Fatal(err)
			}
		}
		w.runLanes(t)
		list, err := w.Forwards(ctx, w.as(clerk, "H03.01"), in.ID)
		if err != nil || len(list) != 1 || list[0].Status != StatusFinished || list[0].Person != "clerk 1" {
			t.Errorf("the forwarder sees %+v %v", list, err)
		}
		third := w.incoming(t, "H03.03", d.ID)
		chain, err := w.ForwardChain(ctx, w.as(clerk, "H03.03"), third.ID)
		if err != nil || len(chain) != 2 || chain[0].Agency != "H03.01" || chain[1].Note != "phối hợp" {
			t.Errorf("the chain is %+v %v", chain, err)
		}
		full, err := w.Incoming(ctx, w.as(clerk, "H03.03"), third.ID)
		if err != nil || full.Report == nil || full.Report.Verdict != in.Verdict || len(full.Report.Signatures) != 3 {
			t.Errorf("the first verdict is lost: %+v %v", full, err)
		}
		deliveries, err := w.Deliveries(ctx, w.as(clerk, "H03"), d.ID)
		if err != nil || len(deliveries) != 1 || deliveries[0].Status != StatusRegistered {
			t.Errorf("the sender was told %+v %v", deliveries, err)
		}
		receipts, err := w.Receipts(ctx, w.as(clerk, "H03"), d.ID)
		if err != nil || slices.ContainsFunc(receipts, func(r Receipt) bool { return r.From != "H03.01" }) {
			t.Errorf("the sender has receipts %+v %v", receipts, err)
		}
		w.clean(t)
	})
}

// TestForwardedAndSent sends to one who has the document by a forward already.
func TestForwardedAndSent(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, worldOptions{})
	d := w.sign(t, w.draft(t, 1), StepInitial, StepApprove, StepSeal)
	d, _, err := w.Send(ctx, w.as(clerk, "H03"), d.ID, []registry.AgencyID{"H03.01", "H03.02"})
	if err != nil {
		t.Fatal(err)
	}
	lane1 := canonical(lane{"H03.01"})
	if err := w.runDeliveries(ctx, lane1); err != nil { // the other is still on its way
		t.Fatal(err)
	}
	in := w.incoming(t, "H03.01", d.ID)
	if _, err := w.Register(ctx, w.as(clerk, "H03.01"), in.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ForwardTo(ctx, w.as(clerk, "H03.01"), in.ID, []registry.AgencyID{"H03.02"}, ""); err != nil {
		t.Fatal(err)
	}
	other := w.incoming(t, "H03.02", d.ID)
	if _, err := w.Register(ctx, w.as(clerk, "H03.02"), other.ID); err != nil {
		t.Fatal(err)
	}
	w.runLanes(t)
	w.runLanes(t)
	deliveries, err := w.Deliveries(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil || len(deliveries) != 2 || deliveries[1].Status != StatusRegistered {
		t.Errorf("the sender was told %+v %v", deliveries, err)
	}
	arrivals, err := w.Arrivals(ctx, w.as(clerk, "H03.02"), other.ID)
	if err != nil || len(arrivals) != 2 || arrivals[0].Channel != ArrivedForward || arrivals[1].Channel != ArrivedLocal {
		t.Errorf("arrivals %+v %v", arrivals, err)
	}
	w.clean(t)
}

// TestSendLater sends at the time that was set, and not when it was taken back.
func TestSendLater(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		ctx := context.Background()
		w := newWorld(t, worldOptions{postgres: postgres})
		by := w.as(clerk, "H03")
		sealed := func(n int) DocumentID { return w.sign(t, w.draft(t, n), StepInitial, StepApprove, StepSeal).ID }
		first, second := sealed(1), sealed(2)
		at := w.clock.Now().Add(24 * time.Hour)
		to := []registry.AgencyID{"H03.01"}
		_, err := w.SendLater(ctx, by, first, w.clock.Now().Add(-time.Hour), to)
		wantKind(t, err, KindInvalid)
		_, err = w.SendLater(ctx, by, first, at, []registry.AgencyID{"H99"})
		wantKind(t, err, KindInvalid)
		for _, id := range []DocumentID{first, second} {
			if d, err := w.SendLater(ctx, by, id, at, to); err != nil || !d.SendAt.Equal(at.Truncate(time.Microsecond)) {
				t.Fatal(d, err)
			}
		}
		if steps, err := w.NextAct(ctx, by, first); err != nil || len(steps) != 1 || !steps[0].Hub {
			t.Errorf("next: %+v %v", steps, err)
		}
		if _, err := w.CancelSendLater(ctx, by, second); err != nil {
			t.Fatal(err)
		}
		run := func() {
			for _, id := range []DocumentID{first, second} {
				if err := w.runLater(ctx, canonical(archiveArgs{id})); err != nil {
					t.Fatal(err)
				}
			}
		}
		run() // too early
		if d, err := w.Document(ctx, by, first); err != nil || d.State != StateSealed {
			t.Fatal(d.State, err)
		}
		w.clock.set(at.Add(time.Second))
		run()
		run()
		d, err := w.Document(ctx, by, first)
		if err != nil || d.State != StateSent || !d.SendAt.IsZero() || d.Number == 0 {
			t.Errorf("%+v %v", d, err)
		}
		if d, err := w.Document(ctx, by, second); err != nil || d.State != StateSealed {
			t.Errorf("sent though it was taken back: %v %v", d.State, err)
		}
		// a recipient that is closed when the time comes
		if _, err := w.SendLater(ctx, by, second, w.clock.Now().Add(time.Hour), []registry.AgencyID{"H03.03"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.CloseAgency(ctx, w.as(admin, "H03"), "H03.03", "", SuccessionOptions{}); err != nil {
			t.Fatal(err)
		}
		w.clock.set(w.clock.Now().Add(2 * time.Hour))
		run()
		if d, err := w.Document(ctx, by, second); err != nil || d.State != StateSealed || !d.SendAt.IsZero() {
			t.Errorf("what cannot be sent: %+v %v", d, err)
		}
		events, err := w.Timeline(ctx, by, second)
		if err != nil || events[len(events)-1].Kind != "document.schedule-failed" {
			t.Errorf("timeline ends with %+v %v", events[len(events)-1], err)
		}
	})
}

// TestRecipientLists names lists, and agencies below one.
func TestRecipientLists(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		ctx := context.Background()
		w := newWorld(t, worldOptions{postgres: postgres})
		by, other := w.as(clerk, "H03"), w.as(clerk, "H03.01")
		l, err := w.SaveList(ctx, by, RecipientList{Name: "Các sở", Root: "H03"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.SaveList(ctx, by, RecipientList{Name: "Các sở", Members: []registry.AgencyID{"H03.01"}})
		wantKind(t, err, KindConflict)
		_, err = w.SaveList(ctx, by, RecipientList{Name: "Sai", Members: []registry.AgencyID{"H99"}})
		wantKind(t, err, KindInvalid)
		got, err := w.Recipients(ctx, by, RecipientQuery{Lists: []string{l.ID}, Codes: []registry.AgencyID{"H03.01"}, Except: []registry.AgencyID{"H03.03"}})
		if err != nil || !slices.Equal(got, []registry.AgencyID{"H03.01", "H03.02"}) {
			t.Errorf("%v %v", got, err)
		}
		_, err = w.Recipients(ctx, other, RecipientQuery{Lists: []string{l.ID}})
		wantKind(t, err, KindNotFound) // not theirs
		wantKind(t, w.DeleteList(ctx, other, l.ID), KindNotFound)
		if err := w.DeleteList(ctx, by, l.ID); err != nil {
			t.Fatal(err)
		}
		got, err = w.Recipients(ctx, by, RecipientQuery{Root: "H03", Level: "commune"})
		if err != nil || len(got) != 0 {
			t.Errorf("%v %v", got, err)
		}
	})
}

// TestCheckDraft names every field that is wrong, and what the draft repeats.
func TestCheckDraft(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, worldOptions{})
	by := w.as(officer, "H03")
	d := w.draft(t, 1)
	check, err := w.CheckDraft(ctx, by, DraftInput{Type: "QĐ", Subject: d.Subject, SignerName: "A", PDF: bytes.NewReader(samplePDF(1))}, "")
	if err != nil || len(check.Problems) != 0 || check.Notation != "QĐ-UBND" {
		t.Fatal(check, err)
	}
	if len(check.Duplicates) != 1 || check.Duplicates[0].Document != d.ID || !slices.Equal(check.Duplicates[0].Why, []string{DuplicateContent, DuplicateSubject}) {
		t.Errorf("duplicates %+v", check.Duplicates)
	}
	signed := w.sign(t, d, StepInitial, StepApprove)
	check, err = w.CheckDraft(ctx, by, DraftInput{Type: "CV", Subject: "khác", SignerName: "A"}, blob.Sum(samplePDF(1)))
	if err != nil || len(check.Duplicates) != 1 || check.Duplicates[0].Document != signed.ID || check.Duplicates[0].State != StateApproved {
		t.Errorf("after it was signed: %+v %v", check, err)
	}
	check, err = w.CheckDraft(ctx, by, DraftInput{Type: "Q-D", Subject: strings.Repeat("a", 501), SignerName: "A\r\nBcc: b", Place: strings.Repeat("b", 51), Priority: 9}, "")
	var fields []string
	for _, p := range check.Problems {
		if p.Text == "" || p.En == "" {
			t.Errorf("%s without words", p.Field)
		}
		fields = append(fields, p.Field)
	}
	if err != nil || !slices.Equal(fields, []string{"type", "subject", "place", "signer_name", "priority"}) {
		t.Errorf("fields %v %v", fields, err)
	}
	if other, err := w.CheckDraft(ctx, w.as(officer, "H03.01"), DraftInput{Type: "QĐ", Subject: d.Subject, SignerName: "A"}, blob.Sum(samplePDF(1))); err != nil || len(other.Duplicates) != 0 {
		t.Errorf("another agency sees %+v %v", other, err)
	}
}

// TestDetailsTravel carries the rest of Phụ lục VI to the recipient.
func TestDetailsTravel(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, worldOptions{})
	want := Details{Circulation: CirculationInternal, Content: "tóm tắt", Drafter: "NVA", Pages: 3, Copies: 2, ToPlaces: []string{"Như trên"}, Appendixes: []string{"Phụ lục 1"}}
	d, err := w.Draft(ctx, w.as(officer, "H03"), DraftInput{Type: "CV", Subject: "Chi tiết", SignerName: "A", Details: want, PDF: bytes.NewReader(samplePDF(1))})
	if err != nil {
		t.Fatal(err)
	}
	d = w.sign(t, d, StepInitial, StepApprove, StepSeal)
	if d, _, err = w.Send(ctx, w.as(clerk, "H03"), d.ID, []registry.AgencyID{"H03.01"}); err != nil {
		t.Fatal(err)
	}
	w.runLanes(t)
	in, err := w.Incoming(ctx, w.as(clerk, "H03.01"), w.incoming(t, "H03.01", d.ID).ID)
	if err != nil || in.Details == nil || in.Details.pinned() != want.pinned() {
		t.Errorf("details %+v %v", in.Details, err)
	}
}

// TestBulkMore gives back, forwards and reassigns many at once; one that cannot
// stops no other.
func TestBulkMore(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, worldOptions{})
	a, b := w.draft(t, 1), w.sign(t, w.draft(t, 2), StepInitial, StepApprove)
	if _, err := w.Number(ctx, w.as(clerk, "H03"), b.ID); err != nil {
		t.Fatal(err)
	}
	out, err := w.Bulk(ctx, w.as(leader, "H03"), BulkInput{Act: ActReturn, IDs: []string{string(b.ID), "none", string(a.ID)}, Note: "sửa thể thức"})
	if err != nil || KindOf(out[0].Err) != KindConflict || KindOf(out[1].Err) != KindNotFound || out[2].Err != nil {
		t.Errorf("%+v %v", out, err)
	}
	out, err = w.Bulk(ctx, w.as(clerk, "H03"), BulkInput{Act: ActCancelNumber, IDs: []string{string(a.ID), string(b.ID)}, Note: "sai"})
	if err != nil || out[0].Err == nil || out[1].Err != nil || out[1].Code == "" {
		t.Errorf("%+v %v", out, err)
	}
	d := w.sent(t, 3, "H03.01")
	w.runLanes(t)
	in := w.incoming(t, "H03.01", d.ID)
	ids := []string{string(in.ID)}
	for _, bulk := range []struct {
		by registry.Actor
		in BulkInput
	}{
		{w.as(clerk, "H03.01"), BulkInput{Act: ActRegister, IDs: ids}},
		{w.as(leader, "H03.01"), BulkInput{Act: ActAssign, IDs: ids, Person: w.as(officer, "H03.01").Person, With: []registry.PersonID{w.as(leader, "H03.01").Person}}},
		{w.as(leader, "H03.01"), BulkInput{Act: ActReassign, IDs: ids, Person: w.as(clerk, "H03.01").Person, Note: "nghỉ phép"}},
		{w.as(clerk, "H03.01"), BulkInput{Act: ActForward, IDs: ids, Recipients: []registry.AgencyID{"H03.02"}}},
	} {
		if out, err := w.Bulk(ctx, bulk.by, bulk.in); err != nil || out[0].Err != nil {
			t.Errorf("%s: %+v %v", bulk.in.Act, out, err)
		}
	}
	if in = w.incoming(t, "H03.01", d.ID); in.Assignee != w.as(clerk, "H03.01").Person {
		t.Errorf("the work is %s's", in.Assignee)
	}
}
