package exchange

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/exchange/registry"
	"vanthu/storage/blob"
)

// coming is one of the ways on which the same document arrives in a test.
type coming struct {
	channel string
	run     func(ctx context.Context) (*Receipt, error)
}

// comings are the three channels by which a document of this hub reaches H03.01:
// the hub's own lane with the id, axis and mail without one.
func (w *world) comings(d *Document, data []byte) []coming {
	foreign := func(channel, ref string) func(context.Context) (*Receipt, error) {
		return func(ctx context.Context) (*Receipt, error) {
			env := d.envelope("H03.01")
			env.Document = ""
			if channel == ArrivedMail {
				env.Axis = ""
			}
			return w.ReceiveBy(ctx, "H03", Arrival{Channel: channel, Ref: ref, Envelope: env, PDF: bytes.NewReader(data)})
		}
	}
	return []coming{
		{ArrivedLocal, func(ctx context.Context) (*Receipt, error) {
			return w.Receive(ctx, "H03", d.envelope("H03.01"), bytes.NewReader(data))
		}},
		{ArrivedAxis, foreign(ArrivedAxis, "axis-1")},
		{ArrivedMail, foreign(ArrivedMail, "<m1@example>")},
	}
}

// TestArrivalsAreOneEntry lets the same documents arrive by hub, axis and mail in
// random orders, with repeats and with the clerk's acts between: each is one
// entry, three arrivals, one receipt per status.
func TestArrivalsAreOneEntry(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := t.Context()
		r := rand.New(rand.NewPCG(4, 2026))
		for n := range 6 {
			d := w.sent(t, n, "H03.01")
			pdf, _, err := w.PDF(ctx, w.as(clerk, "H03"), d.ID)
			list := w.comings(d, readAll(t, pdf, err))
			list = append(list, list[r.IntN(len(list))]) // one repeats
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			register := r.IntN(len(list))
			receipts := map[string]bool{}
			for i, c := range list {
				got, err := c.run(ctx)
				if err != nil {
					t.Fatalf("document %d by %s: %v", n, c.channel, err)
				}
				receipts[got.ID] = true
				if r.IntN(2) == 0 {
					w.runLanes(t)
				}
				if i == register {
					if _, err := w.Register(ctx, w.as(clerk, "H03.01"), w.incoming(t, "H03.01", d.ID).ID); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.runLanes(t)
			w.wantOneEntry(t, d, receipts)
		}
		w.clean(t)
	})
}

func (w *world) wantOneEntry(t *testing.T, d *Document, receipts map[string]bool) {
	t.Helper()
	ctx := t.Context()
	if len(receipts) != 1 {
		t.Fatalf("%d different first receipts", len(receipts))
	}
	in := w.incoming(t, "H03.01", d.ID)
	arrivals, err := w.Arrivals(ctx, w.as(officer, "H03.01"), in.ID)
	if err != nil {
		t.Fatal(err)
	}
	channels := map[string]int{}
	for _, a := range arrivals {
		channels[a.Channel]++
	}
	if len(arrivals) != 3 || channels[ArrivedLocal] != 1 || channels[ArrivedAxis] != 1 || channels[ArrivedMail] != 1 {
		t.Fatalf("arrivals: %v", channels)
	}
	held, err := w.Receipts(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil || len(held) != 2 || held[0].Status != StatusArrived || held[1].Status != StatusRegistered {
		t.Fatalf("receipts at the sender: %+v, %v", held, err)
	}
	if alike, err := w.Alike(ctx, w.as(clerk, "H03.01")); err != nil || len(alike) != 0 {
		t.Fatalf("taken for a duplicate: %+v, %v", alike, err)
	}
}

// remote takes a sealed document of H03 to the axis as if its sender were on
// another hub: change says what its envelope says otherwise.
func (w *world) remote(t *testing.T, channel string, d *Document, data []byte, change func(*Envelope)) (*Receipt, error) {
	t.Helper()
	env := d.envelope("H03.01")
	env.Digest, env.Size = blob.Sum(data), int64(len(data))
	change(&env)
	return w.ReceiveBy(t.Context(), "H03", Arrival{Channel: channel, Envelope: env, PDF: bytes.NewReader(data)})
}

func TestOtherContentUnderAKnownID(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := t.Context()
		d := w.sent(t, 1, "H03.01")
		w.runLanes(t)
		in := w.incoming(t, "H03.01", d.ID)
		other := samplePDF(77)
		for range 2 { // a repeat is no second difference
			_, err := w.remote(t, ArrivedAxis, d, other, func(e *Envelope) { e.Subject = "Trích yếu khác" })
			wantKind(t, err, KindConflict)
		}
		arrivals, err := w.Arrivals(ctx, w.as(clerk, "H03.01"), in.ID)
		if err != nil || len(arrivals) != 2 || arrivals[0].Differs || !arrivals[1].Differs {
			t.Fatalf("%+v, %v", arrivals, err)
		}
		fields := map[string]bool{}
		for _, f := range arrivals[1].Differences {
			fields[f.Field] = true
		}
		if len(fields) != 2 || !fields["subject"] || !fields["digest"] {
			t.Errorf("differences: %+v", arrivals[1].Differences)
		}
		pdf, _, err := w.ArrivalPDF(ctx, w.as(clerk, "H03.01"), in.ID, arrivals[1].ID)
		if !bytes.Equal(readAll(t, pdf, err), other) {
			t.Error("the other content is not kept")
		}
		events, err := w.IncomingTimeline(ctx, w.as(clerk, "H03.01"), in.ID)
		if err != nil || events[len(events)-1].Kind != "arrival.differs" {
			t.Errorf("%+v, %v", events, err)
		}
		w.clean(t)
	})
}

func TestProbableDuplicates(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := t.Context()
		clerk1 := w.as(clerk, "H03.01")
		d := w.sent(t, 1, "H03.01")
		w.runLanes(t)
		in := w.incoming(t, "H03.01", d.ID)
		pdf, _, err := w.PDF(ctx, w.as(clerk, "H03"), d.ID)
		data := readAll(t, pdf, err)
		// The same bytes under another number, and the same number with other bytes.
		again := func(change func(*Envelope), data []byte) IncomingID {
			t.Helper()
			id := DocumentID(newID())
			r, err := w.remote(t, ArrivedAxis, d, data, func(e *Envelope) { e.Document = id; change(e) })
			if err != nil || r.Status != StatusArrived {
				t.Fatalf("%+v, %v", r, err)
			}
			return w.incoming(t, "H03.01", id).ID
		}
		sameBytes := again(func(e *Envelope) { e.Number = 99 }, data)
		sameNumber := again(func(*Envelope) {}, samplePDF(8))
		alike, err := w.Alike(ctx, clerk1)
		if err != nil || len(alike) != 2 || alike[0].Why != AlikeContent || alike[1].Why != AlikeNumber || alike[0].Other != in.ID || alike[1].Other != in.ID {
			t.Fatalf("%+v, %v", alike, err)
		}
		_, err = w.MergeArrival(ctx, w.as(officer, "H03.01"), in.ID, sameNumber, "trùng")
		wantKind(t, err, KindForbidden)
		_, err = w.MergeArrival(ctx, clerk1, in.ID, sameNumber, " ")
		wantKind(t, err, KindInvalid)
		if err := w.KeepApart(ctx, clerk1, sameBytes, in.ID, "hai văn bản khác nhau"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Register(ctx, clerk1, in.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.MergeArrival(ctx, clerk1, in.ID, sameNumber, "cùng một văn bản"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Finish(ctx, w.as(leader, "H03.01"), in.ID, "xong"); err != nil {
			t.Fatal(err)
		}
		w.runLanes(t)
		merged, err := w.Incoming(ctx, clerk1, sameNumber)
		if err != nil || merged.Merged != in.ID || merged.Status != StatusFinished || merged.ArrivalNumber != 0 {
			t.Fatalf("%+v, %v", merged, err)
		}
		if r, err := w.remote(t, ArrivedAxis, d, samplePDF(8), func(e *Envelope) { e.Document = merged.Document }); err != nil || r.Document != merged.Document {
			t.Fatalf("a repeat of the merged one: %v", err)
		}
		receipts, err := w.IncomingReceipts(ctx, clerk1, sameNumber)
		if err != nil || len(receipts) != 3 || receipts[1].ArrivalNumber != 1 || receipts[2].Status != StatusFinished {
			t.Fatalf("what the merged one's sender was told: %+v, %v", receipts, err)
		}
		if arrivals, err := w.Arrivals(ctx, clerk1, in.ID); err != nil || len(arrivals) != 2 {
			t.Errorf("%+v, %v", arrivals, err)
		}
		if alike, err := w.Alike(ctx, clerk1); err != nil || len(alike) != 0 {
			t.Errorf("undecided: %+v, %v", alike, err)
		}
		w.clean(t)
	})
}

func TestWrongAgencysCertificateIsRefusedAtTheDoor(t *testing.T) {
	w := newWorld(t, worldOptions{})
	d := w.sent(t, 1, "H03.01")
	pdf, _, err := w.PDF(t.Context(), w.as(clerk, "H03"), d.ID)
	data := readAll(t, pdf, err)
	env := d.envelope("H03.01")
	env.Document, env.From = "", "H03.02"
	// H03.02's own certificate is another one from now on.
	owner := registry.AgencyOwner("H03.02")
	w.vouch(t, owner, identity(t, certs.SealSecond).Certificate)
	if err := w.reg.RevokeCertificate(t.Context(), registry.System("test"), owner, registry.Fingerprint(w.keys[StepSeal].Certificate), w.clock.Now().Add(-time.Hour), "thay chứng thư"); err != nil {
		t.Fatal(err)
	}
	r, err := w.ReceiveBy(t.Context(), "H03.02", Arrival{Channel: ArrivedMail, Ref: "<x@y>", Envelope: env, PDF: bytes.NewReader(data)})
	if err != nil || r.Status != StatusRefused || r.Note == "" {
		t.Fatalf("status %s, note %q, %v", r.Status, r.Note, err)
	}
	for name, a := range map[string]Arrival{
		"no channel": {Channel: "fax", Envelope: env}, "line in ref": {Channel: ArrivedAxis, Ref: "a\nb", Envelope: env},
	} {
		a.PDF = bytes.NewReader(data)
		if _, err := w.ReceiveBy(t.Context(), "H03.02", a); KindOf(err) != KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = w.ReceiveBy(t.Context(), "H03.03", Arrival{Channel: ArrivedAxis, Envelope: env, PDF: bytes.NewReader(data)})
	wantKind(t, err, KindForbidden)
}

func TestScansShareTheSeries(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := t.Context()
		clerk1 := w.as(clerk, "H03.01")
		d := w.sent(t, 1, "H03.01")
		scan := func(code, from string) ScanInput {
			return ScanInput{FromName: from, Code: code, Type: "CV", Subject: "Đơn đề nghị", Issued: time.Date(2026, 3, 4, 12, 0, 0, 0, Vietnam()), PDF: bytes.NewReader(samplePDF(len(code)))}
		}
		first, err := w.RegisterScan(ctx, clerk1, scan("12/CTY", "Công ty Khoáng sản Bắc Sơn"))
		if err != nil || first.ArrivalNumber != 1 || first.Status != StatusRegistered {
			t.Fatalf("%+v, %v", first, err)
		}
		w.runLanes(t)
		in, err := w.Register(ctx, clerk1, w.incoming(t, "H03.01", d.ID).ID)
		if err != nil || in.ArrivalNumber != 2 {
			t.Fatalf("%+v, %v", in, err)
		}
		// The paper copy of what came electronically is marked.
		paper := scan(d.Code(), "")
		paper.From, paper.Issued = "H03", d.Issued
		third, err := w.RegisterScan(ctx, clerk1, paper)
		if err != nil || third.ArrivalNumber != 3 {
			t.Fatalf("%+v, %v", third, err)
		}
		alike, err := w.Alike(ctx, clerk1)
		if err != nil || len(alike) != 1 || alike[0].Incoming != third.ID || alike[0].Other != in.ID {
			t.Errorf("%+v, %v", alike, err)
		}
		if _, err := w.Finish(ctx, w.as(leader, "H03.01"), first.ID, ""); err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(*ScanInput){
			"secret": func(s *ScanInput) { s.Secrecy = "MẬT" }, "no sender": func(s *ScanInput) { s.FromName = "" }, "no scan": func(s *ScanInput) { s.PDF = nil },
			"tomorrow": func(s *ScanInput) { s.Issued = w.clock.Now().AddDate(0, 0, 2) }, "long subject": func(s *ScanInput) { s.Subject = fmt.Sprintf("%0501d", 1) },
		} {
			s := scan("1/X", "Ông A")
			change(&s)
			if _, err := w.RegisterScan(ctx, clerk1, s); KindOf(err) != KindInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err = w.RegisterScan(ctx, w.as(officer, "H03.01"), scan("1/X", "Ông A"))
		wantKind(t, err, KindForbidden)
		w.runLanes(t)
		w.clean(t)
	})
}
