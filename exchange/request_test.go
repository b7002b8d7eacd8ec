package exchange

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"vanthu/exchange/registry"
)

// settled runs every lane until both sides know what the other did.
func (w *world) settled(tb testing.TB) {
	tb.Helper()
	w.runLanes(tb)
	w.runLanes(tb)
}

// fates gives "recipient:fate" of the document's last request.
func (w *world) fates(tb testing.TB, d DocumentID) string {
	tb.Helper()
	list, err := w.Requests(context.Background(), w.as(clerk, "H03"), d)
	if err != nil || len(list) == 0 {
		tb.Fatalf("%d requests, %v", len(list), err)
	}
	var out []string
	r := list[len(list)-1]
	open := false
	for _, c := range r.Copies {
		out = append(out, fmt.Sprintf("%s:%s", c.Recipient, c.Fate))
		open = open || !c.Fate.Settled()
	}
	if open != r.Closed.IsZero() {
		tb.Errorf("request %+v is closed at %s", r.Copies, r.Closed)
	}
	return strings.Join(out, " ")
}

func (w *world) opens(tb testing.TB, role registry.Role, in *Incoming) {
	tb.Helper()
	pdf, _, err := w.IncomingPDF(context.Background(), w.as(role, in.Agency), in.ID)
	if data := readAll(tb, pdf, err); !bytes.HasPrefix(data, []byte("%PDF-")) {
		tb.Fatal("no PDF")
	}
}

// TestRecall: every fate of a copy at once, with its proof on the sender's side.
func TestRecall(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		d := w.sent(t, 1, "H03.01", "H03.02", "H03.03")
		for _, a := range []registry.AgencyID{"H03.01", "H03.02"} { // H03.03 does not get it in time
			if err := w.runDeliveries(ctx, canonical(lane{a})); err != nil {
				t.Fatal(err)
			}
		}
		opened := w.incoming(t, "H03.02", d.ID)
		w.opens(t, clerk, opened)
		w.opens(t, clerk, opened)
		_, err := w.RequestRecall(ctx, w.as(clerk, "H03"), d.ID, nil, " ")
		wantKind(t, err, KindInvalid)
		_, err = w.RequestRecall(ctx, w.as(officer, "H03"), d.ID, nil, "Gửi nhầm")
		wantKind(t, err, KindForbidden)
		_, err = w.RequestRecall(ctx, w.as(clerk, "H03"), d.ID, []registry.AgencyID{"H99"}, "Gửi nhầm")
		wantKind(t, err, KindInvalid)
		_, err = w.RequestRecall(ctx, w.as(clerk, "H03.01"), d.ID, nil, "Gửi nhầm")
		wantKind(t, err, KindNotFound)
		if _, err = w.RequestRecall(ctx, w.as(clerk, "H03"), d.ID, nil, "Gửi nhầm"); err != nil {
			t.Fatal(err)
		}
		_, err = w.RequestRecall(ctx, w.as(clerk, "H03"), d.ID, nil, "Lần nữa")
		wantKind(t, err, KindConflict)
		w.settled(t)
		if got := w.fates(t, d.ID); got != "H03.01:withdrawn H03.02:asked H03.03:not-sent" {
			t.Fatal(got)
		}
		_, _, err = w.IncomingPDF(ctx, w.as(clerk, "H03.01"), w.incoming(t, "H03.01", d.ID).ID)
		wantKind(t, err, KindConflict)
		page, err := w.Incomings(ctx, w.as(clerk, "H03.03"), IncomingFilter{})
		if err != nil || len(page.Items) != 0 {
			t.Fatalf("what was withdrawn arrived: %+v, %v", page.Items, err)
		}
		_, err = w.Register(ctx, w.as(clerk, "H03.02"), opened.ID)
		wantKind(t, err, KindConflict) // first the answer
		_, err = w.AnswerRequest(ctx, w.as(leader, "H03.02"), opened.ID, true, "")
		wantKind(t, err, KindForbidden)
		_, err = w.AnswerRequest(ctx, w.as(clerk, "H03.02"), opened.ID, false, "")
		wantKind(t, err, KindInvalid)
		if _, err = w.AnswerRequest(ctx, w.as(clerk, "H03.02"), opened.ID, true, "Đã hủy bản nhận"); err != nil {
			t.Fatal(err)
		}
		_, err = w.AnswerRequest(ctx, w.as(clerk, "H03.02"), opened.ID, true, "")
		wantKind(t, err, KindConflict)
		w.settled(t)
		if got := w.fates(t, d.ID); got != "H03.01:withdrawn H03.02:agreed H03.03:not-sent" {
			t.Fatal(got)
		}
		w.proven(t, d.ID)
		if err := w.runArchive(ctx, canonical(archiveArgs{d.ID})); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Document(ctx, w.as(clerk, "H03"), d.ID); err != nil || got.Archived.IsZero() {
			t.Fatalf("not archived: %+v, %v", got, err)
		}
		w.clean(t)
	})
}

// proven: the copy that was opened says so under the recipient's signature.
func (w *world) proven(t *testing.T, d DocumentID) {
	t.Helper()
	ctx := context.Background()
	list, err := w.Requests(ctx, w.as(clerk, "H03"), d)
	if err != nil {
		t.Fatal(err)
	}
	c := list[0].Copies[1]
	if c.Opened.IsZero() || c.OpenedBy != w.as(clerk, "H03.02").Name || c.Receipt == "" || c.Note != "Đã hủy bản nhận" {
		t.Errorf("%+v", c)
	}
	if c := list[0].Copies[0]; !c.Opened.IsZero() || c.Receipt == "" {
		t.Errorf("%+v", c)
	}
	receipts, err := w.Receipts(ctx, w.as(clerk, "H03"), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range receipts {
		if r.ID == c.Receipt && (len(r.Signature) == 0 || r.Status != StatusRecallAgreed || !bytes.Contains(r.Body, []byte(`"fate":"agreed","opened":"2026-`))) {
			t.Errorf("%s %s", r.Status, r.Body)
		}
	}
	views, err := w.IncomingViews(ctx, w.as(officer, "H03.02"), w.incoming(t, "H03.02", d).ID)
	if err != nil || len(views) != 1 || views[0].Times != 2 {
		t.Errorf("%+v, %v", views, err)
	}
	events, err := w.Timeline(ctx, w.as(clerk, "H03"), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Text == e.Kind || strings.ContainsAny(e.Text, "{}") {
			t.Errorf("no words for %s: %s", e.Kind, e.Text)
		}
	}
}

// TestRecallDeclined: after a refusal the work goes on, and recall may be asked
// again; what has ended is too late.
func TestRecallDeclined(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	d := w.sent(t, 1, "H03.01", "H03.02")
	w.settled(t)
	in := w.incoming(t, "H03.01", d.ID)
	if _, err := w.Register(ctx, w.as(clerk, "H03.01"), in.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Refuse(ctx, w.as(clerk, "H03.02"), w.incoming(t, "H03.02", d.ID).ID, "Sai nơi nhận"); err != nil {
		t.Fatal(err)
	}
	w.settled(t)
	ask := func() {
		t.Helper()
		if _, err := w.RequestRecall(ctx, w.as(clerk, "H03"), d.ID, nil, "Sai nội dung"); err != nil {
			t.Fatal(err)
		}
		w.settled(t)
	}
	ask()
	if got := w.fates(t, d.ID); got != "H03.01:asked H03.02:too-late" {
		t.Fatal(got)
	}
	if _, err := w.AnswerRequest(ctx, w.as(clerk, "H03.01"), in.ID, false, "Đã thực hiện"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Assign(ctx, w.as(leader, "H03.01"), in.ID, w.as(officer, "H03.01").Person, ""); err != nil {
		t.Fatal(err)
	}
	w.settled(t)
	if got := w.fates(t, d.ID); got != "H03.01:declined H03.02:too-late" {
		t.Fatal(got)
	}
	ask()
	if got, err := w.AnswerRequest(ctx, w.as(clerk, "H03.01"), in.ID, true, ""); err != nil || got.Status != StatusRecallAgreed || got.ArrivalNumber != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	w.settled(t)
	_, err := w.RequestRecall(ctx, w.as(clerk, "H03"), d.ID, nil, "Lần nữa")
	wantKind(t, err, KindConflict)
	w.clean(t)
}

// TestRecallRaces: recall against registration, opening and handing over at the
// same moment; whoever wins, both sides tell the same.
func TestRecallRaces(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		for i := range 6 {
			d := w.sent(t, i, "H03.01", "H03.02", "H03.03")
			for _, a := range []registry.AgencyID{"H03.01", "H03.02"} {
				if err := w.runDeliveries(ctx, canonical(lane{a})); err != nil {
					t.Fatal(err)
				}
			}
			toRegister, toOpen := w.incoming(t, "H03.01", d.ID), w.incoming(t, "H03.02", d.ID)
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := w.RequestRecall(ctx, w.as(clerk, "H03"), d.ID, nil, "Gửi nhầm"); err != nil {
					t.Error(err)
				}
				for _, a := range []registry.AgencyID{"H03.01", "H03.02"} {
					if err := w.runNotices(ctx, canonical(lane{a})); err != nil {
						t.Error(err)
					}
				}
			})
			wg.Go(func() {
				if _, err := w.Register(ctx, w.as(clerk, "H03.01"), toRegister.ID); err != nil && KindOf(err) != KindConflict {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if _, _, err := w.IncomingPDF(ctx, w.as(clerk, "H03.02"), toOpen.ID); err != nil && KindOf(err) != KindConflict {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if err := w.runDeliveries(ctx, canonical(lane{"H03.03"})); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			w.settled(t)
			w.sameStory(t, d.ID)
		}
		w.clean(t)
	})
}

// sameStory compares what the sender knows of each copy with what the recipient has.
func (w *world) sameStory(t *testing.T, id DocumentID) {
	t.Helper()
	ctx := context.Background()
	list, err := w.Requests(ctx, w.as(clerk, "H03"), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list[len(list)-1].Copies {
		page, err := w.Incomings(ctx, w.as(clerk, c.Recipient), IncomingFilter{Limit: 200})
		if err != nil {
			t.Fatal(err)
		}
		var status Status
		var views []View
		number := 0
		for _, in := range page.Items {
			if in.Document == id {
				status, number = in.Status, in.ArrivalNumber
				if views, err = w.IncomingViews(ctx, w.as(clerk, c.Recipient), in.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		ok := false
		switch c.Fate {
		case FateNotSent:
			ok = status == StatusNone
		case FateWithdrawn:
			ok = status == StatusRecallAgreed && number == 0 && len(views) == 0
		case FateAsked:
			ok = status == StatusRecall && (number > 0 || len(views) > 0)
		}
		if !ok {
			t.Errorf("%s: the sender says %s; the recipient has status %q, number %d, %d views", c.Recipient, c.Fate, status, number, len(views))
		}
	}
}

// TestNoticeBeforeDocument: a recall that overtakes its document takes it back as
// it arrives; repeats change nothing.
func TestNoticeBeforeDocument(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	d := w.sent(t, 1, "H03.01")
	n := Notice{Request: RequestID(newID()), To: "H03.02", From: "H03", Document: d.ID, Kind: RequestRecall, Reason: "Gửi nhầm", At: w.clock.Now()}
	for range 2 {
		if fate, err := w.ReceiveNotice(ctx, "H03", n); err != nil || fate != FateAsked {
			t.Fatalf("%s, %v", fate, err)
		}
	}
	_, err := w.ReceiveNotice(ctx, "H03.03", n)
	wantKind(t, err, KindForbidden)
	for _, bad := range []func(*Notice){
		func(n *Notice) { n.Request = "1" }, func(n *Notice) { n.Kind = "burn" }, func(n *Notice) { n.Reason = "a\r\nBcc: b" }, func(n *Notice) { n.To = "H99" },
	} {
		copied := n
		bad(&copied)
		_, err := w.ReceiveNotice(ctx, "H03", copied)
		wantKind(t, err, KindInvalid)
	}
	pdf, _, err := w.PDF(ctx, w.as(clerk, "H03"), d.ID)
	data := readAll(t, pdf, err)
	r, err := w.Receive(ctx, "H03", d.envelope("H03.02"), bytes.NewReader(data))
	if err != nil || r.Status != StatusArrived {
		t.Fatalf("%+v, %v", r, err)
	}
	in := w.incoming(t, "H03.02", d.ID)
	if in.Status != StatusRecallAgreed || in.version != 3 {
		t.Fatalf("%+v", in)
	}
	notices, err := w.Notices(ctx, w.as(clerk, "H03.02"), in.ID)
	if err != nil || len(notices) != 1 || notices[0].State != NoticeApplied {
		t.Fatalf("%+v, %v", notices, err)
	}
}

// TestReplace: the new document arrives, the old one is taken back, and only the
// newest of a chain can be replaced.
func TestReplace(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	by := w.as(clerk, "H03")
	old := w.sent(t, 1, "H03.01", "H03.02")
	w.settled(t)
	if _, err := w.Register(ctx, w.as(clerk, "H03.02"), w.incoming(t, "H03.02", old.ID).ID); err != nil {
		t.Fatal(err)
	}
	w.settled(t)
	fresh := w.sign(t, w.draft(t, 2), StepApprove, StepSeal)
	_, err := w.Replace(ctx, by, old.ID, old.ID, nil, "Sai phụ lục")
	wantKind(t, err, KindInvalid)
	_, err = w.Replace(ctx, by, old.ID, w.draft(t, 3).ID, nil, "Sai phụ lục")
	wantKind(t, err, KindConflict) // not sealed
	r, err := w.Replace(ctx, by, old.ID, fresh.ID, nil, "Sai phụ lục")
	if err != nil || r.Replacement != fresh.ID {
		t.Fatalf("%+v, %v", r, err)
	}
	w.settled(t)
	if got := w.fates(t, old.ID); got != "H03.01:withdrawn H03.02:asked" {
		t.Fatal(got)
	}
	if in := w.incoming(t, "H03.01", fresh.ID); in.Status != StatusArrived {
		t.Fatalf("%+v", in)
	}
	waiting := w.incoming(t, "H03.02", old.ID)
	notices, err := w.Notices(ctx, w.as(clerk, "H03.02"), waiting.ID)
	if err != nil || len(notices) != 1 || notices[0].Replacement != "02/QĐ-UBND" {
		t.Fatalf("%+v, %v", notices, err)
	}
	if _, err := w.AnswerRequest(ctx, w.as(clerk, "H03.02"), waiting.ID, false, "Đã thi hành"); err != nil {
		t.Fatal(err)
	}
	w.settled(t)
	newest := w.sign(t, w.draft(t, 4), StepApprove, StepSeal)
	_, err = w.Replace(ctx, by, old.ID, newest.ID, nil, "Sai lần nữa")
	wantKind(t, err, KindConflict)
	if _, err := w.Replace(ctx, by, fresh.ID, newest.ID, nil, "Sai lần nữa"); err != nil {
		t.Fatal(err)
	}
	w.settled(t)
	if got := w.fates(t, fresh.ID); got != "H03.01:withdrawn H03.02:withdrawn" {
		t.Fatal(got)
	}
	w.clean(t)
}

// TestUpdate: data and recipients change together; a removed recipient that has
// registered keeps its copy when it says so.
func TestUpdate(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		by := w.as(clerk, "H03")
		d := w.sent(t, 1, "H03.01", "H03.02")
		w.settled(t)
		removed := w.incoming(t, "H03.01", d.ID)
		if _, err := w.Register(ctx, w.as(clerk, "H03.01"), removed.ID); err != nil {
			t.Fatal(err)
		}
		w.settled(t)
		subject, due, long := "Về việc đã sửa", vn(2026, 3, 20, 17, 0), strings.Repeat("ệ", 501)
		for what, in := range map[string]UpdateInput{
			"nothing": {Reason: "x"}, "no reason": {Changes: Changes{Subject: &subject}}, "too long": {Changes: Changes{Subject: &long}, Reason: "x"},
			"not a recipient": {Remove: []registry.AgencyID{"H03.03"}, Reason: "x"}, "unknown": {Add: []registry.AgencyID{"H99"}, Reason: "x"},
		} {
			if _, err := w.Update(ctx, by, d.ID, in); KindOf(err) != KindInvalid {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err := w.Update(ctx, by, d.ID, UpdateInput{Add: []registry.AgencyID{"H03.02"}, Reason: "x"})
		wantKind(t, err, KindConflict)
		if _, err := w.Update(ctx, by, d.ID, UpdateInput{Changes: Changes{Subject: &subject, Due: &due}, Add: []registry.AgencyID{"H03.03"},
			Remove: []registry.AgencyID{"H03.01"}, Reason: "Bổ sung nơi nhận"}); err != nil {
			t.Fatal(err)
		}
		w.settled(t)
		if got := w.fates(t, d.ID); got != "H03.01:asked H03.02:applied" {
			t.Fatal(got)
		}
		for _, a := range []registry.AgencyID{"H03.02", "H03.03"} {
			if in := w.incoming(t, a, d.ID); in.Subject != subject || !in.Due.Equal(due) || in.Status != StatusArrived {
				t.Fatalf("%s: %+v", a, in)
			}
		}
		if _, err := w.AnswerRequest(ctx, w.as(clerk, "H03.01"), removed.ID, false, "Đang xử lý"); err != nil {
			t.Fatal(err)
		}
		w.settled(t)
		got, err := w.Document(ctx, by, d.ID)
		if err != nil || got.Subject != subject || len(got.Recipients) != 3 {
			t.Fatalf("%+v, %v", got, err)
		}
		w.updateAnswered(t, d.ID)
		w.clean(t)
	})
}

// updateAnswered: who has opened the copy is asked; agreeing changes the data and
// not where the work stands.
func (w *world) updateAnswered(t *testing.T, d DocumentID) {
	t.Helper()
	ctx := context.Background()
	in := w.incoming(t, "H03.02", d)
	if _, err := w.Register(ctx, w.as(clerk, "H03.02"), in.ID); err != nil {
		t.Fatal(err)
	}
	w.settled(t)
	urgent, none := PriorityUrgent, time.Time{}
	if _, err := w.Update(ctx, w.as(clerk, "H03"), d, UpdateInput{Changes: Changes{Priority: &urgent, Due: &none}, Reason: "Khẩn"}); err != nil {
		t.Fatal(err)
	}
	w.settled(t)
	if got := w.fates(t, d); got != "H03.01:asked H03.02:asked H03.03:applied" {
		t.Fatal(got)
	}
	for a, agree := range map[registry.AgencyID]bool{"H03.01": false, "H03.02": true} {
		got, err := w.AnswerRequest(ctx, w.as(clerk, a), w.incoming(t, a, d).ID, agree, "Đã xem")
		if err != nil || (got.Priority == PriorityUrgent) != agree || !got.Due.IsZero() {
			t.Fatalf("%s: %+v, %v", a, got, err)
		}
	}
	w.settled(t)
	if got := w.fates(t, d); got != "H03.01:declined H03.02:agreed H03.03:applied" {
		t.Fatal(got)
	}
	if in := w.incoming(t, "H03.02", d); in.Status != StatusRegistered {
		t.Fatalf("%+v", in)
	}
}
