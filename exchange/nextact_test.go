package exchange

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// TestNobodyIsForgotten walks every state that the tables allow, of documents, of
// copies at their recipients and of deliveries: each has a next step with an
// owner or a time, or is finished, and finished states have none.
func TestNobodyIsForgotten(t *testing.T) {
	c, now := &Calendar{}, vn(2026, 3, 5, 8, 0)
	documents := map[State]bool{StateDraft: true, StatePaper: true}
	for grew := true; grew; {
		grew = false
		for _, l := range documentTransitions() {
			if documents[l.from] && !documents[l.to] {
				documents[l.to], grew = true, true
			}
		}
	}
	if len(documents) != len(States()) {
		t.Errorf("%d of %d states can be reached", len(documents), len(States()))
	}
	for state := range documents {
		for _, returned := range []bool{false, true} {
			for _, requireInitial := range []bool{false, true} {
				for _, at := range []time.Time{{}, now.AddDate(0, 0, 3)} {
					d := &Document{Agency: "H03", CreatedBy: "p", State: state, Returned: returned, SendAt: at}
					n := nextOfDocument(d, requireInitial, now, c, now)
					if end := state == StateSent || state == StateCancelled || state == StatePaper; end != (n == nil) {
						t.Errorf("%s: next step %+v", state, n)
					} else if n != nil && !n.owned() {
						t.Errorf("%s: nobody's: %+v", state, n)
					}
				}
			}
		}
	}
	incoming := reachableIncoming(t)
	seen := map[Status]bool{}
	for in := range incoming {
		seen[in.Status] = true
		copied := in
		n := nextOfIncoming(&copied, c)
		if in.Status.Final() != (n == nil) {
			t.Errorf("%+v: next step %+v", in, n)
		} else if n != nil && !n.owned() {
			t.Errorf("%+v: nobody's: %+v", in, n)
		}
		if n != nil && n.Act != ActAgreeRecall && !slices.Contains(in.Acts(registry.Actor{Agency: in.Agency, Person: in.Assignee, Roles: registry.Roles()}), n.Act) {
			t.Errorf("%+v: the next step %s is none of its acts", in, n.Act)
		}
		for _, transport := range []string{TransportInitial, TransportProcessing, TransportDone, TransportFail, TransportWithdrawn} {
			v := &Delivery{Recipient: in.Agency, Transport: transport, Status: in.Status, ArrivalNumber: in.ArrivalNumber}
			n := nextOfDelivery(v, "H03", now)
			end := transport == TransportWithdrawn || (transport == TransportDone && in.Status.Final())
			if end != (n == nil) || (n != nil && !n.owned()) {
				t.Errorf("delivery %s %s: next step %+v", transport, in.Status, n)
			}
		}
	}
	if len(seen) != len(Statuses()) {
		t.Errorf("%d of %d statuses can be reached", len(seen), len(Statuses()))
	}
}

// reachableIncoming gives every combination of status, arrival number and
// assignee to which the acts lead.
func reachableIncoming(t *testing.T) map[Incoming]bool {
	t.Helper()
	all := map[Incoming]bool{}
	work := []Incoming{{Agency: "H03.01", Status: StatusArrived}, {Agency: "H03.01", Status: StatusRefused}}
	for len(work) > 0 {
		in := work[0]
		if work = work[1:]; all[in] {
			continue
		}
		all[in] = true
		for _, l := range statusTransitions() {
			if l.from != in.Status || !in.fits(l.act) {
				continue
			}
			to := in
			to.Status = l.to
			switch l.act {
			case ActRegister:
				to.ArrivalNumber = 1
			case ActAssign:
				to.Assignee = "p"
			}
			work = append(work, to)
		}
	}
	return all
}

// walk is one document led at random through the real service.
type walk struct {
	*world
	t  *rapid.T
	id DocumentID
}

// TestRandomLives does at random whatever the service offers to anybody, and
// after each act asks it whose turn it is.
func TestRandomLives(t *testing.T) {
	w := newWorld(t, worldOptions{})
	fewer(t, "25")
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		d := w.draft(t, n)
		r := &walk{world: w, t: rt, id: d.ID}
		for range rapid.IntRange(4, 16).Draw(rt, "acts") {
			r.act()
			w.clock.set(w.clock.Now().Add(time.Duration(rapid.IntRange(1, 40).Draw(rt, "hours")) * time.Hour))
			r.check()
		}
	})
	w.settled(t)
	w.clean(t)
}

// fewer bounds a property test: each of its cases signs real files.
func fewer(t *testing.T, checks string) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	was := f.Value.String()
	if err := f.Value.Set(checks); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Value.Set(was); err != nil {
			t.Error(err)
		}
	})
}

// act does one thing: an act on the document, one on a copy, a request, or the
// hub's own work. A conflict is an answer; anything else is not.
func (r *walk) act() {
	ctx := context.Background()
	by := func(role registry.Role) registry.Actor { return r.as(role, "H03") }
	d, err := r.Document(ctx, by(clerk), r.id)
	r.must(err)
	switch rapid.SampledFrom([]string{"own", "own", "own", "lanes", "copy", "copy", "request", "answer"}).Draw(r.t, "kind") {
	case "own":
		r.own(d)
	case "lanes":
		for _, a := range r.agencies {
			for _, run := range []func(context.Context, []byte) error{
				func(ctx context.Context, b []byte) error { return r.runDeliveries(ctx, b) },
				func(ctx context.Context, b []byte) error { return r.runNotices(ctx, b) },
				func(ctx context.Context, b []byte) error { return r.runReceipts(ctx, b) },
			} {
				r.must(run(ctx, canonical(lane{a})))
			}
		}
		r.must(r.runWatch(ctx, nil))
	case "copy":
		if in := r.copy(); in != nil {
			r.handle(in)
		}
	case "request":
		if rapid.Bool().Draw(r.t, "recall") {
			_, err = r.RequestRecall(ctx, by(clerk), r.id, nil, "thu hồi")
		} else {
			urgent := PriorityUrgent
			_, err = r.Update(ctx, by(clerk), r.id, UpdateInput{Changes: Changes{Priority: &urgent}, Remove: []registry.AgencyID{"H03.01"}, Reason: "sửa"})
		}
		r.allowed(err)
	case "answer":
		if in := r.copy(); in != nil {
			_, err = r.AnswerRequest(ctx, r.as(clerk, in.Agency), in.ID, rapid.Bool().Draw(r.t, "agree"), "trả lời")
			r.allowed(err)
		}
	}
}

func (r *walk) own(d *Document) {
	ctx := context.Background()
	acts := d.Acts(registry.Actor{Agency: "H03", Roles: registry.Roles()})
	if len(acts) == 0 {
		return
	}
	var err error
	switch a := rapid.SampledFrom(acts).Draw(r.t, "act"); a {
	case ActInitial, ActApprove, ActSeal:
		step := map[Act]Step{ActInitial: StepInitial, ActApprove: StepApprove, ActSeal: StepSeal}[a]
		role := map[Act]registry.Role{ActInitial: officer, ActApprove: leader, ActSeal: clerk}[a]
		_, _, err = r.Sign(ctx, r.as(role, "H03"), d.ID, SignInput{Step: step, Key: r.keys[step], Invisible: true})
	case ActNumber:
		_, err = r.Number(ctx, r.as(clerk, "H03"), d.ID)
	case ActSend:
		_, _, err = r.Send(ctx, r.as(clerk, "H03"), d.ID, []registry.AgencyID{"H03.01", "H03.02"})
	case ActCancelNumber:
		err = r.CancelNumber(ctx, r.as(clerk, "H03"), d.ID, "thừa")
	}
	r.allowed(err)
}

// copy gives one recipient's copy, nil when none has arrived.
func (r *walk) copy() *Incoming {
	a := rapid.SampledFrom([]registry.AgencyID{"H03.01", "H03.02"}).Draw(r.t, "recipient")
	var in *Incoming
	r.must(r.db.View(context.Background(), func(ctx context.Context, tx *sqldb.Tx) (err error) {
		in, err = selectIncomingOf(ctx, tx, a, "H03", r.id)
		return err
	}))
	return in
}

func (r *walk) handle(in *Incoming) {
	ctx := context.Background()
	acts := in.Acts(registry.Actor{Agency: in.Agency, Person: in.Assignee, Roles: registry.Roles()})
	if len(acts) == 0 {
		return
	}
	var err error
	switch rapid.SampledFrom(acts).Draw(r.t, "act") {
	case ActRegister:
		_, err = r.Register(ctx, r.as(clerk, in.Agency), in.ID)
	case ActRefuse:
		_, err = r.Refuse(ctx, r.as(clerk, in.Agency), in.ID, "sai nơi nhận")
	case ActAssign:
		_, err = r.Assign(ctx, r.as(leader, in.Agency), in.ID, r.as(officer, in.Agency).Person, "")
	case ActProcess:
		_, err = r.Process(ctx, r.as(leader, in.Agency), in.ID, "")
	case ActFinish:
		_, err = r.Finish(ctx, r.as(leader, in.Agency), in.ID, "")
	}
	r.allowed(err)
}

func (r *walk) must(err error) {
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *walk) allowed(err error) {
	if err != nil && KindOf(err) != KindConflict {
		r.t.Fatal(err)
	}
}

// check is the invariant, asked of the service on both sides.
func (r *walk) check() {
	ctx := context.Background()
	by := r.as(clerk, "H03")
	d, err := r.Document(ctx, by, r.id)
	r.must(err)
	next, err := r.NextAct(ctx, by, r.id)
	r.must(err)
	if finished := d.State == StateCancelled || !d.Archived.IsZero(); finished != (len(next) == 0) {
		r.t.Fatalf("%s: %d next steps", d.State, len(next))
	}
	for _, n := range next {
		if !n.owned() {
			r.t.Fatalf("%s: nobody's: %+v", d.State, n)
		}
	}
	for _, a := range []registry.AgencyID{"H03.01", "H03.02"} {
		page, err := r.Incomings(ctx, r.as(clerk, a), IncomingFilter{Limit: 1})
		r.must(err)
		if len(page.Items) == 0 || page.Items[0].Document != r.id {
			continue
		}
		steps, err := r.NextIncoming(ctx, r.as(clerk, a), page.Items[0].ID)
		r.must(err)
		if page.Items[0].Status.Final() != (len(steps) == 0) || slices.ContainsFunc(steps, func(n NextStep) bool { return !n.owned() }) {
			r.t.Fatalf("%s at %s: %+v", page.Items[0].Status, a, steps)
		}
	}
}

// kinds counts the evidence of a document by kind.
func (w *world) kinds(t *testing.T, id DocumentID) map[string]int {
	t.Helper()
	events, err := w.Timeline(context.Background(), w.as(clerk, "H03"), id)
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, e := range events {
		if n[e.Kind]++; strings.ContainsAny(e.Text, "{}") || e.Text == e.Kind {
			t.Errorf("no words for %s: %s", e.Kind, e.Text)
		}
	}
	return n
}

// TestNegativeEvidence: one warning, one non-delivery and one late arrival each,
// whatever is repeated, while retrying goes on.
func TestNegativeEvidence(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		down := true
		w.cfg.ReceiptKey = w.keyless(&down, "H03.01")
		d := w.sent(t, 1, "H03.01", "H03.02")
		sent := w.clock.Now()
		var trail []string
		for _, hours := range []int{1, 11, 13, 14, 23, 25, 26, 40} {
			w.clock.set(sent.Add(time.Duration(hours) * time.Hour))
			if hours == 40 {
				down = false
			}
			w.runLanes(t)
			for range 2 {
				if err := w.runWatch(ctx, nil); err != nil {
					t.Fatal(err)
				}
			}
			n := w.kinds(t, d.ID)
			trail = append(trail, fmt.Sprintf("%d:%d%d%d", hours, n["delivery.overdue"], n["delivery.undelivered"], n["delivery.arrived-late"]))
		}
		if got := strings.Join(trail, " "); got != "1:000 11:000 13:100 14:100 23:100 25:110 26:110 40:111" {
			t.Error(got)
		}
		list, err := w.Deliveries(ctx, w.as(clerk, "H03"), d.ID)
		if err != nil || list[0].Status != StatusArrived || list[0].Attempts != 7 {
			t.Errorf("%+v, %v", list, err)
		}
		w.clean(t)
	})
}

// TestOverdue: who is late with what, by the clocks of the law.
func TestOverdue(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	if err := w.SetCalendarDays(ctx, w.as(admin, "H03"), []CalendarDay{{Day: "2026-03-06", Name: "Nghỉ bù"}}); err != nil {
		t.Fatal(err)
	}
	w.sign(t, w.draft(t, 1), StepApprove) // Thursday morning: to be sent by Monday noon
	d := w.sent(t, 2, "H03.01")
	w.settled(t)
	count := func(by registry.Actor) string {
		t.Helper()
		list, err := w.Overdue(ctx, by)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, o := range list {
			out = append(out, fmt.Sprintf("%s+%d", o.Step.Act, o.Days))
		}
		return strings.Join(out, " ")
	}
	for _, x := range []struct {
		at            time.Time
		sender, taker string
	}{
		{vn(2026, 3, 9, 11, 59), "", ""},
		{vn(2026, 3, 9, 12, 1), "seal+0", ""},
		{vn(2026, 3, 10, 0, 1), "seal+1", "register+1"},
		{vn(2026, 3, 13, 8, 0), "seal+4", "register+4"},
	} {
		w.clock.set(x.at)
		if got := count(w.as(clerk, "H03")); got != x.sender {
			t.Errorf("%s: the sender's clerk: %q, want %q", x.at, got, x.sender)
		}
		if got := count(w.as(clerk, "H03.01")); got != x.taker {
			t.Errorf("%s: the recipient's clerk: %q, want %q", x.at, got, x.taker)
		}
		if got := count(w.as(officer, "H03")); got != "" {
			t.Errorf("%s: not the officer's: %q", x.at, got)
		}
		if got := count(w.as(admin, "H03")); got != x.sender {
			t.Errorf("%s: the administrator sees %q", x.at, got)
		}
	}
	if _, err := w.Register(ctx, w.as(clerk, "H03.01"), w.incoming(t, "H03.01", d.ID).ID); err != nil {
		t.Fatal(err)
	}
	if got := count(w.as(leader, "H03.01")); got != "assign+4" {
		t.Errorf("the leader: %q", got)
	}
}
