package exchange

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"vanthu/exchange/registry"
	"vanthu/signing/cms"
	"vanthu/storage/sqldb"
)

// communes adds three communes below H03, each with a clerk, a leader and an
// officer, and gives their codes.
func (w *world) communes(tb testing.TB) []registry.AgencyID {
	tb.Helper()
	ctx, system := context.Background(), registry.System("test")
	var out []registry.AgencyID
	for i := range 3 {
		id := registry.AgencyID(fmt.Sprintf("H03.9%d", i))
		if err := w.reg.AddAgency(ctx, system, registry.Agency{ID: id, Name: fmt.Sprintf("UBND xã %d", i), Symbol: "UBND", Place: "Xã", Parent: "H03",
			LegacyCode: fmt.Sprintf("000.00.9%d.H03", i)}); err != nil {
			tb.Fatal(err)
		}
		for _, role := range registry.Roles() {
			p, err := w.reg.AddPerson(ctx, system, registry.Person{Login: fmt.Sprintf("%s-xa%d", role, i), Name: fmt.Sprintf("%s xã %d", role, i), Agency: id,
				Roles: []registry.Role{role}}, "")
			if err != nil {
				tb.Fatal(err)
			}
			for _, k := range []Step{StepInitial, StepApprove} {
				w.vouch(tb, registry.PersonOwner(p.ID), w.keys[k].Certificate)
			}
			w.person(tb, p.ID, string(role)+"@"+string(id))
		}
		w.vouch(tb, registry.AgencyOwner(id), w.keys[StepSeal].Certificate)
		w.agencies = append(w.agencies, id)
		out = append(out, id)
	}
	return out
}

// person notes who somebody is now.
func (w *world) person(tb testing.TB, id registry.PersonID, name string) {
	tb.Helper()
	a, err := w.reg.ActorOf(context.Background(), id)
	if err != nil {
		tb.Fatal(err)
	}
	w.people[name] = a
}

// await waits for a condition; the test's own deadline ends a wait in vain.
func await(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	for end := time.Now().Add(5 * time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("in vain: %s", what)
		}
	}
}

// mergerSize is how many documents are in flight: 500 where VANTHU_SCALE is set.
func mergerSize() int {
	if os.Getenv("VANTHU_SCALE") != "" {
		return 500
	}
	return 24
}

// TestMergeAtNoon merges three communes while documents are on their way to them,
// lanes run and others send: none is lost, none comes twice, all are answered.
func TestMergeAtNoon(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		xa := w.communes(t)
		system := w.as(admin, "H03")
		inFlight := mergerSize()
		sets := [][]registry.AgencyID{{xa[0]}, {xa[1], "H03.01"}, xa, {xa[2], xa[0]}}
		// Some have arrived: one is registered and given to somebody, others wait.
		arrived := []*Document{w.sent(t, 1, xa...), w.sent(t, 2, xa...)}
		w.runLanes(t)
		task := w.incoming(t, xa[0], arrived[0].ID)
		if _, err := w.Register(ctx, w.as(clerk, xa[0]), task.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Assign(ctx, w.as(leader, xa[0]), task.ID, w.as(officer, xa[0]).Person, "Làm gấp"); err != nil {
			t.Fatal(err)
		}
		own := w.communeDraft(t, xa[0]) // a draft, and a document that waits for its seal
		approved := w.sign(t, w.communeDraft(t, xa[1]), StepInitial, StepApprove)
		approved, err := w.Number(ctx, w.as(clerk, xa[1]), approved.ID)
		if err != nil {
			t.Fatal(err)
		}
		// The rest is sealed before; half is sent before noon, half by others at noon.
		docs := w.sealedMany(t, inFlight)
		for i, d := range docs[:inFlight/2] {
			if _, _, err := w.Send(ctx, w.as(clerk, "H03"), d.ID, sets[i%len(sets)]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.store.Start(ctx); err != nil {
			t.Fatal(err)
		}
		var g errgroup.Group
		g.SetLimit(4)
		g.Go(func() error {
			res, err := w.Merge(ctx, system, xa, registry.Agency{ID: "H03.99", Name: "UBND xã mới", Symbol: "UBND", Place: "Xã mới", Parent: "H03"}, SuccessionOptions{})
			if err == nil && (res.Drafts != 1 || res.Cancelled != 1 || len(res.Statements) != 3) {
				err = fmt.Errorf("merge: %+v", res)
			}
			if err == nil {
				t.Logf("%d rerouted, %d joined", res.Rerouted, res.Joined)
			}
			return err
		})
		for i, d := range docs[inFlight/2:] {
			g.Go(func() error {
				_, _, err := w.Send(ctx, w.as(clerk, "H03"), d.ID, sets[i%len(sets)])
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		for name, a := range w.people {
			if strings.Contains(name, "H03.9") {
				w.person(t, a.Person, name)
			}
		}
		clerkD := w.as(clerk, xa[1])
		if clerkD.Agency != "H03.99" {
			t.Fatalf("the people did not move: %+v", clerkD)
		}
		// By an old code, by the QCVN 102 code of one that ended: it reaches the successor.
		for i, code := range []registry.AgencyID{xa[0], "000.00.91.H03"} {
			_, list, err := w.Send(ctx, w.as(clerk, "H03"), w.sealedMany(t, 1)[0].ID, []registry.AgencyID{code})
			if err != nil || len(list) != 1 || list[0].Recipient != "H03.99" {
				t.Fatalf("%d: %+v, %v", i, list, err)
			}
		}
		w.finishAll(t, "H03.99", w.as(clerk, xa[1]), w.as(leader, xa[2]), w.as(clerk, "H03.01"), w.as(leader, "H03.01"))
		w.answered99(t, append(docs, arrived...))
		w.inheritance(t, own, approved, task, clerkD)
		w.clean(t)
		if err := w.reg.Check(ctx, func(p string) { t.Error(p) }); err != nil {
			t.Fatal(err)
		}
	})
}

func (w *world) communeDraft(tb testing.TB, a registry.AgencyID) *Document {
	tb.Helper()
	d, err := w.Draft(context.Background(), w.as(officer, a), DraftInput{Type: "QĐ", Subject: "Việc của xã", SignerName: "Trần Văn B", PDF: bytes.NewReader(samplePDF(7))})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// sealedMany makes sealed documents of H03, several at a time.
func (w *world) sealedMany(tb testing.TB, n int) []*Document {
	tb.Helper()
	out := make([]*Document, n)
	var g errgroup.Group
	g.SetLimit(4)
	for i := range n {
		g.Go(func() error {
			ctx := context.Background()
			d, err := w.Draft(ctx, w.as(officer, "H03"), DraftInput{Type: "QĐ", Subject: fmt.Sprintf("Việc số %d", i), SignerName: "Nguyễn Văn A", PDF: bytes.NewReader(samplePDF(1000 + i))})
			for _, step := range []Step{StepApprove, StepSeal} {
				if err != nil {
					return err
				}
				role := map[Step]registry.Role{StepApprove: leader, StepSeal: clerk}[step]
				d, _, err = w.Sign(ctx, w.as(role, "H03"), d.ID, SignInput{Step: step, Key: w.keys[step], Invisible: true})
			}
			out[i] = d
			return err
		})
	}
	if err := g.Wait(); err != nil {
		tb.Fatal(err)
	}
	return out
}

// finishAll waits until everything has arrived, and does the work that waits at
// two agencies.
func (w *world) finishAll(tb testing.TB, successor registry.AgencyID, actors ...registry.Actor) {
	tb.Helper()
	ctx := context.Background()
	await(tb, "all deliveries have arrived", func() bool { return w.openTransports(tb) == 0 })
	for i := 0; i < len(actors); i += 2 {
		for after := ""; ; {
			page, err := w.Incomings(ctx, actors[i], IncomingFilter{Limit: 100, After: after})
			if err != nil {
				tb.Fatal(err)
			}
			for _, in := range page.Items {
				if in.Status == StatusArrived {
					if _, err := w.Register(ctx, actors[i], in.ID); err != nil {
						tb.Fatalf("%s at %s: %v", in.ID, in.Agency, err)
					}
				}
				if _, err := w.Finish(ctx, actors[i+1], in.ID, "xong"); err != nil {
					tb.Fatalf("%s at %s: %v", in.ID, in.Agency, err)
				}
			}
			if after = page.Next; after == "" {
				break
			}
		}
	}
	await(tb, "all receipts are back with their senders at "+string(successor), func() bool {
		open := 0
		w.eachDelivery(tb, func(v Delivery) {
			if v.Transport == TransportDone && !v.Status.Final() {
				open++
			}
		})
		return open == 0
	})
}

func (w *world) openTransports(tb testing.TB) (open int) {
	w.eachDelivery(tb, func(v Delivery) {
		switch v.Transport {
		case TransportDone, TransportWithdrawn:
		case TransportFail:
			tb.Fatalf("given up: %+v", v)
		default:
			open++
		}
	})
	return open
}

func (w *world) eachDelivery(tb testing.TB, visit func(Delivery)) {
	tb.Helper()
	ctx := context.Background()
	for after := ""; ; {
		page, err := w.Documents(ctx, w.as(clerk, "H03"), ListFilter{State: StateSent, Limit: 200, After: after})
		if err != nil {
			tb.Fatal(err)
		}
		for _, d := range page.Items {
			list, err := w.Deliveries(ctx, w.as(clerk, "H03"), d.ID)
			if err != nil {
				tb.Fatal(err)
			}
			for _, v := range list {
				visit(v)
			}
		}
		if after = page.Next; after == "" {
			return
		}
	}
}

// answered99: each document stands exactly once at the successor, or in the
// register of each commune where it had arrived before; each delivery to a
// commune is answered by the successor.
func (w *world) answered99(tb testing.TB, docs []*Document) {
	tb.Helper()
	ctx := context.Background()
	copies := map[DocumentID]map[registry.AgencyID]int{}
	for after := ""; ; {
		page, err := w.Incomings(ctx, w.as(clerk, "H03.91"), IncomingFilter{Limit: 200, After: after})
		if err != nil {
			tb.Fatal(err)
		}
		for _, in := range page.Items {
			if copies[in.Document] == nil {
				copies[in.Document] = map[registry.AgencyID]int{}
			}
			copies[in.Document][in.Agency]++
		}
		if after = page.Next; after == "" {
			break
		}
	}
	for _, d := range docs {
		deliveries, err := w.Deliveries(ctx, w.as(clerk, "H03"), d.ID)
		if err != nil {
			tb.Fatal(err)
		}
		answers := 0
		for _, v := range deliveries {
			if v.Recipient == "H03.01" {
				continue
			}
			if v.Successor != "H03.99" && v.Recipient != "H03.99" {
				tb.Errorf("%s: %+v", d.ID, v)
			}
			if v.Transport == TransportDone {
				answers++
			}
		}
		total := 0
		for a, n := range copies[d.ID] {
			total += n
			if n != 1 {
				tb.Errorf("%s: %d copies at %s", d.ID, n, a)
			}
		}
		if total == 0 || total != answers {
			tb.Errorf("%s: %d copies, %d answers, %+v", d.ID, total, answers, deliveries)
		}
		receipts, err := w.Receipts(ctx, w.as(clerk, "H03"), d.ID)
		if err != nil {
			tb.Fatal(err)
		}
		for _, r := range receipts {
			if r.Status == StatusFinished && r.From != "H03.99" && r.From != "H03.01" && r.Successor != "H03.99" {
				tb.Errorf("answered by %s, successor %q", r.From, r.Successor)
			}
		}
	}
}

// inheritance: what became of the commune's own documents, its task, its codes
// and its figures.
func (w *world) inheritance(tb testing.TB, draft, approved *Document, task *Incoming, clerkD registry.Actor) {
	tb.Helper()
	ctx := context.Background()
	d, err := w.Document(ctx, clerkD, draft.ID)
	if err != nil || d.Agency != "H03.99" {
		tb.Errorf("the draft: %+v, %v", d, err)
	}
	if d, err = w.Document(ctx, clerkD, approved.ID); err != nil || d.State != StateCancelled || d.Agency != "H03.91" {
		tb.Errorf("the document without a seal: %+v, %v", d, err)
	}
	_, err = w.Document(ctx, w.as(clerk, "H03.02"), approved.ID)
	wantKind(tb, err, KindNotFound) // others still see nothing
	events, err := w.IncomingTimeline(ctx, clerkD, task.ID)
	if err != nil || len(events) != 4 || events[0].Agency != "H03.90" || events[3].Agency != "H03.99" {
		tb.Errorf("timeline of the task: %+v, %v", events, err)
	}
	st, err := w.Stats(ctx, w.as(admin, "H03"), w.clock.Now().AddDate(0, 0, -1), w.clock.Now().AddDate(0, 0, 1))
	if err != nil || len(st.ByAgency) != 2 || st.ByAgency[1].Agency != "H03.91" || st.ByAgency[1].Cancelled != 1 {
		tb.Errorf("figures: %+v, %v", st, err)
	}
	mine, err := w.Stats(ctx, clerkD, w.clock.Now().AddDate(0, 0, -1), w.clock.Now().AddDate(0, 0, 1))
	if err != nil || len(mine.ByAgency) != 1 || mine.ByAgency[0].Agency != "H03.91" {
		tb.Errorf("the successor does not see the figures of those it continues: %+v, %v", mine, err)
	}
	old, err := w.IncomingRegister(ctx, registry.Actor{Agency: "H03.90", System: true, Name: "test"}, 2026)
	if err != nil || len(old) < 1 || old[0].ArrivalNumber != 1 {
		tb.Errorf("the old register: %+v, %v", old, err)
	}
	before, err := w.reg.Predecessors(ctx, "H03.99")
	if err != nil || len(before) != 3 {
		tb.Fatalf("%+v, %v", before, err)
	}
	for _, s := range before {
		sd, err := cms.Parse(s.Signature, cms.DefaultLimits())
		if err != nil || !sd.Verify(sd.Signers[0], cms.DigestOf(s.Statement)).Valid || !bytes.Contains(s.Statement, []byte(`"to":"H03.99"`)) {
			tb.Errorf("statement %s: %v", s.Statement, err)
		}
	}
}

// TestSuccessionsInARow merges two communes into one and that one into another,
// with documents on their way: each document comes to the last once, and each
// rerouting of each document has an entry of its own. With VANTHU_SCALE there are
// 6,000 documents, which are not delivered.
func TestSuccessionsInARow(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		n, deliver := 12, true
		if os.Getenv("VANTHU_SCALE") != "" {
			n, deliver = 6000, false
		}
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx, by := t.Context(), w.as(admin, "H03")
		xa := w.communes(t)
		var docs []DocumentID
		if deliver {
			for _, d := range w.sealedMany(t, n) {
				docs = append(docs, d.ID)
			}
		} else {
			docs = w.sealedAlike(t, n)
		}
		for i, d := range docs {
			if _, _, err := w.Send(ctx, w.as(clerk, "H03"), d, [][]registry.AgencyID{{xa[0]}, {xa[1]}, {xa[0], xa[1]}}[i%3]); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		first, err := w.Merge(ctx, by, xa[:2], registry.Agency{ID: "H03.98", Name: "UBND xã C", Symbol: "UBND", Place: "Xã C", Parent: "H03"}, SuccessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		second, err := w.Merge(ctx, by, []registry.AgencyID{"H03.98"}, registry.Agency{ID: "H03.99", Name: "UBND xã D", Symbol: "UBND", Place: "Xã D", Parent: "H03"}, SuccessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d and %d rerouted, %d joined, in %v", first.Rerouted, second.Rerouted, first.Joined, time.Since(began).Round(time.Millisecond))
		if first.Rerouted != n || first.Joined != n/3 || second.Rerouted != n {
			t.Errorf("rerouted %d and %d, joined %d", first.Rerouted, second.Rerouted, first.Joined)
		}
		entries := map[string]int{}
		for at := int64(0); ; {
			records, err := w.ledger.Read(ctx, at, 0)
			if err != nil {
				t.Fatal(err)
			}
			if len(records) == 0 {
				break
			}
			for i := range records {
				if records[i].Kind == "delivery.rerouted" {
					entries[records[i].Subject]++
				}
			}
			at = records[len(records)-1].Index + 1
		}
		for _, d := range docs {
			if entries[string(d)] != 2 {
				t.Fatalf("%s: %d entries of its reroutings, want 2", d, entries[string(d)])
			}
		}
		if !deliver {
			return
		}
		w.agencies = append(w.agencies, "H03.98", "H03.99")
		w.runLanes(t)
		w.arrivedOnce(t, docs, "H03.99")
		w.clean(t)
	})
}

// arrivedOnce: each document stands once in the incoming register of an agency, and
// every code that it was sent to has its answer.
func (w *world) arrivedOnce(t *testing.T, docs []DocumentID, at registry.AgencyID) {
	t.Helper()
	copies := map[DocumentID]int{}
	page, err := w.Incomings(t.Context(), registry.Actor{System: true, Agency: at, Name: "test"}, IncomingFilter{Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range page.Items {
		if in.Agency == at {
			copies[in.Document]++
		}
	}
	for _, id := range docs {
		list, err := w.Deliveries(t.Context(), w.as(clerk, "H03"), id)
		if err != nil {
			t.Fatal(err)
		}
		done := 0
		for _, v := range list {
			if v.Transport == TransportDone && v.Status == StatusArrived && v.Recipient == at {
				done++
			}
		}
		if copies[id] != 1 || done != 1 {
			t.Errorf("%s: %d copies, %d answered of %+v", id, copies[id], done, list)
		}
	}
	st, err := w.Stats(t.Context(), w.as(admin, "H03"), w.clock.Now().AddDate(0, 0, -1), w.clock.Now().AddDate(0, 0, 1))
	if err != nil || st.Deliveries != st.Arrived || st.Deliveries != len(docs)+len(docs)/3 {
		t.Errorf("the rate: %+v, %v", st, err)
	}
}

// sealedAlike writes sealed documents of H03 with one and the same file, without
// signing each.
func (w *world) sealedAlike(t *testing.T, n int) []DocumentID {
	t.Helper()
	pattern := w.sealedMany(t, 1)[0]
	ids := make([]DocumentID, n)
	err := w.db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for i := range ids {
			d := *pattern
			d.ID = DocumentID(newID())
			if err := insertDocument(ctx, tx, &d); err != nil {
				return err
			}
			ids[i] = d.ID
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestSuccessionRefusals: who may not, and what makes no sense.
func TestSuccessionRefusals(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	by := w.as(admin, "H03")
	into := registry.Agency{ID: "H03.50", Name: "Sở mới", Parent: "H03"}
	for name, c := range map[string]struct {
		do   func() error
		kind Kind
	}{
		"a clerk": {func() error {
			_, err := w.Merge(ctx, w.as(clerk, "H03"), []registry.AgencyID{"H03.01"}, into, SuccessionOptions{})
			return err
		}, KindForbidden},
		"a neighbour": {func() error {
			_, err := w.Merge(ctx, w.as(admin, "H03.02"), []registry.AgencyID{"H03.01"}, into, SuccessionOptions{})
			return err
		}, KindForbidden},
		"nobody": {func() error { _, err := w.Merge(ctx, by, nil, into, SuccessionOptions{}); return err }, KindInvalid},
		"twice": {func() error {
			_, err := w.Merge(ctx, by, []registry.AgencyID{"H03.01", "H03.01"}, into, SuccessionOptions{})
			return err
		}, KindInvalid},
		"into itself": {func() error {
			_, err := w.Merge(ctx, by, []registry.AgencyID{"H03.01"}, registry.Agency{ID: "H03.01"}, SuccessionOptions{})
			return err
		}, KindInvalid},
		"into nothing": {func() error {
			_, err := w.Merge(ctx, by, []registry.AgencyID{"H03.01"}, registry.Agency{ID: "H77"}, SuccessionOptions{})
			return err
		}, KindNotFound},
		"unknown": {func() error { _, err := w.CloseAgency(ctx, by, "H77", "", SuccessionOptions{}); return err }, KindNotFound},
		"a split in one": {func() error {
			_, err := w.Split(ctx, by, "H03.01", []registry.Agency{into}, "H03.50", SuccessionOptions{})
			return err
		}, KindInvalid},
		"a taken code": {func() error {
			_, err := w.Rename(ctx, by, "H03.01", Renaming{Code: "H03.02"})
			return err
		}, KindConflict},
	} {
		if err := c.do(); KindOf(err) != c.kind {
			t.Errorf("%s: %v, want %s", name, err, c.kind)
		}
	}
	if v, err := w.reg.Version(ctx); err != nil || v != 4 {
		t.Errorf("something was changed: version %d, %v", v, err)
	}
	w.clean(t)
}

// TestRenameSplitClose: the other three, one after the other, with documents on their way.
func TestRenameSplitClose(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		by := w.as(admin, "H03")
		if _, err := w.Rename(ctx, by, "H03.01", Renaming{Name: "Sở Nội vụ và Lao động"}); err != nil {
			t.Fatal(err)
		}
		d := w.sent(t, 1, "H03.01", "H03.02", "H03.03")
		if _, err := w.Rename(ctx, by, "H03.01", Renaming{Code: "H03.A1"}); err != nil {
			t.Fatal(err)
		}
		into := []registry.Agency{{ID: "H03.B1", Name: "Sở Kế hoạch", Parent: "H03"}, {ID: "H03.B2", Name: "Sở Ngân sách", Parent: "H03"}}
		if _, err := w.Split(ctx, by, "H03.02", into, "H03.B2", SuccessionOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.CloseAgency(ctx, by, "H03.03", "", SuccessionOptions{}); err != nil {
			t.Fatal(err)
		}
		w.agencies = append(w.agencies, "H03.A1", "H03.B1", "H03.B2")
		w.runLanes(t)
		got := map[registry.AgencyID]Delivery{}
		list, err := w.Deliveries(ctx, w.as(clerk, "H03"), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			got[v.Recipient] = v
		}
		if got["H03.A1"].Status != StatusArrived || got["H03.A1"].Addressed != "H03.01" || got["H03.B2"].Status != StatusArrived || got["H03.03"].Transport != TransportFail {
			t.Errorf("%+v", list)
		}
		// The certificates went along with the code: it can seal at once.
		if known, err := w.reg.Certificates(ctx, registry.AgencyOwner("H03.A1")); err != nil || len(known) != 1 {
			t.Errorf("%d certificates, %v", len(known), err)
		}
		_, _, err = w.Send(ctx, w.as(clerk, "H03"), w.sealedMany(t, 1)[0].ID, []registry.AgencyID{"H03.03"})
		wantKind(t, err, KindInvalid)
		events, err := w.Timeline(ctx, w.as(clerk, "H03"), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		if said := asJSON(t, events); !strings.Contains(said, "chuyển tới Sở Nội vụ và Lao động (H03.A1)") || !strings.Contains(said, "H03.B2") {
			t.Errorf("timeline:\n%s", said)
		}
		w.clean(t)
	})
}
