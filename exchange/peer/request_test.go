package peer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// TestRequestsBetweenHubs: a copy that nobody opened is taken back at once, one that is registered when the clerk agrees,
// one that is finished too late; each with its proof at the sender.
func TestRequestsBetweenHubs(t *testing.T) {
	ctx := context.Background()
	a, b := newStation(t, "a", nil, "H03"), newStation(t, "b", nil, "H26")
	connect(t, a, b)
	clerkA, clerkB := a.as(registry.RoleClerk, "H03"), b.as(registry.RoleClerk, "H26")
	at := func(d *exchange.Document) exchange.Incoming {
		for _, in := range b.incoming(t, "H26") {
			if in.Document == d.ID {
				return in
			}
		}
		return exchange.Incoming{}
	}
	fate := func(d *exchange.Document) exchange.RequestCopy {
		list, err := a.service.Requests(ctx, clerkA, d.ID)
		check(t, err)
		return list[len(list)-1].Copies[0]
	}
	sent := func(n string) *exchange.Document {
		d := a.send(t, "H03", n, 0, "H26")
		until(t, "01", func() bool { return a.delivery(t, d, "H26").Status == exchange.StatusArrived })
		return d
	}

	unopened := sent("unopened")
	_, err := a.service.RequestRecall(ctx, clerkA, unopened.ID, nil, "Gửi nhầm")
	check(t, err)
	until(t, "the copy back", func() bool { return fate(unopened).Fate == exchange.FateWithdrawn })
	if c := fate(unopened); c.Receipt == "" || a.delivery(t, unopened, "H26").Status != exchange.StatusRecallAgreed {
		t.Errorf("no proof: %+v", c)
	}

	registered := sent("registered")
	_, err = b.service.Register(ctx, clerkB, at(registered).ID)
	check(t, err)
	_, err = a.service.RequestRecall(ctx, clerkA, registered.ID, nil, "Sai nội dung")
	check(t, err)
	until(t, "the status 13", func() bool { return a.delivery(t, registered, "H26").Status == exchange.StatusRecall })
	_, err = b.service.AnswerRequest(ctx, clerkB, at(registered).ID, false, "Đã thực hiện")
	check(t, err)
	until(t, "the status 16", func() bool { return a.delivery(t, registered, "H26").Status == exchange.StatusRecallDenied })
	until(t, "the answer", func() bool { return fate(registered).Fate == exchange.FateDeclined })

	finished := sent("finished")
	_, err = b.service.Register(ctx, clerkB, at(finished).ID)
	check(t, err)
	leader := b.as(registry.RoleLeader, "H26")
	_, err = b.service.Assign(ctx, leader, at(finished).ID, b.as(registry.RoleOfficer, "H26").Person, "")
	check(t, err)
	_, err = b.service.Finish(ctx, leader, at(finished).ID, "xong")
	check(t, err)
	_, err = a.service.RequestRecall(ctx, clerkA, finished.ID, nil, "Muộn")
	check(t, err)
	until(t, "the answer", func() bool { return fate(finished).Fate == exchange.FateTooLate })
	until(t, "the status 06", func() bool { return a.delivery(t, finished, "H26").Status == exchange.StatusFinished })

	updated := sent("updated")
	subject := "Trích yếu mới"
	_, err = a.service.Update(ctx, clerkA, updated.ID, exchange.UpdateInput{Changes: exchange.Changes{Subject: &subject}, Reason: "Sửa trích yếu"})
	check(t, err)
	until(t, "the new subject", func() bool { return at(updated).Subject == subject })
	until(t, "the answer", func() bool { return fate(updated).Fate == exchange.FateApplied })
	a.sound(t)
	b.sound(t)
}

// TestRequestBeforeItsDocument: a recall that overtakes its document waits for it.
func TestRequestBeforeItsDocument(t *testing.T) {
	p := newPair(t)
	ctx := context.Background()
	c, text := p.consignment(t, samplePDF("early", 0), nil)
	p.upload(t, text)
	n := &exchange.Notice{Request: exchange.RequestID(uuid.Must(uuid.NewV7()).String()), To: "H26", From: "H03", Document: c.Envelope.Document,
		Kind: exchange.RequestRecall, Reason: "Gửi nhầm", At: time.Now().UTC()}
	hubA, err := p.b.peers.hub(ctx, p.a.id(t))
	check(t, err)
	check(t, p.b.peers.takeRequest(ctx, hubA, n))
	_, _, err = p.consign(t, c, c.ID)
	check(t, err)
	if in := p.b.incoming(t, "H26"); len(in) != 1 || in[0].Status != exchange.StatusRecallAgreed {
		t.Errorf("%+v", in)
	}
}

// TestBadEvidence: a receipt counts only from the hub that speaks for who signed it, about what was sent, unaltered.
func TestBadEvidence(t *testing.T) {
	ctx := context.Background()
	a, b, c := newStation(t, "a", nil, "H03"), newStation(t, "b", nil, "H26"), newStation(t, "c", nil, "H30")
	connect(t, a, b)
	connect(t, a, c)
	d := a.send(t, "H03", "evidence", 0, "H26")
	until(t, "01", func() bool { return a.delivery(t, d, "H26").Status == exchange.StatusArrived })
	_, err := b.service.Register(ctx, b.as(registry.RoleClerk, "H26"), b.incoming(t, "H26")[0].ID)
	check(t, err)
	until(t, "03", func() bool { return a.delivery(t, d, "H26").Status == exchange.StatusRegistered })
	var list []exchange.Receipt
	until(t, "the receipt", func() bool {
		list, err = a.service.Receipts(ctx, a.as(registry.RoleClerk, "H03"), d.ID)
		check(t, err)
		return len(list) == 2
	})
	good, err := b.peers.travelling(ctx, &list[1])
	check(t, err)
	hub := func(s *station) *Hub {
		h, err := a.peers.hub(ctx, s.id(t))
		check(t, err)
		return h
	}
	check(t, a.peers.takeReceipt(ctx, hub(b), good)) // a repeat changes nothing
	wantCode(t, a.peers.takeReceipt(ctx, hub(c), good), codeAuthority)
	altered := good
	body, err := base64.StdEncoding.DecodeString(good.Body)
	check(t, err)
	var loose map[string]any
	check(t, json.Unmarshal(body, &loose))
	loose["status"], loose["step"], loose["id"] = "06", 9, uuid.Must(uuid.NewV7()).String()
	altered.Body = base64.StdEncoding.EncodeToString(mustJSON(t, loose))
	if err := a.peers.takeReceipt(ctx, hub(b), altered); exchange.KindOf(err) != exchange.KindInvalid {
		t.Errorf("an altered receipt: %v", err)
	}
	other := good
	k, err := c.key(ctx, "H30")
	check(t, err)
	other.Certificate = base64.StdEncoding.EncodeToString(k.Certificate.Raw)
	if err := a.peers.takeReceipt(ctx, hub(b), other); exchange.KindOf(err) != exchange.KindInvalid {
		t.Errorf("a receipt by another certificate: %v", err)
	}
	if s := a.delivery(t, d, "H26").Status; s != exchange.StatusRegistered {
		t.Errorf("the status is %s now", s)
	}
	results, err := a.peers.takeBatch(ctx, hub(b), &Batch{Events: []numbered{{1, json.RawMessage(`{`)}, {2, json.RawMessage(`{"kind":"later-kind"}`)},
		{3, mustJSON(t, Event{ID: list[1].ID, Kind: eventReceipt, Receipt: &good})}}})
	check(t, err)
	if results[0].Result != resultRefused || results[1].Result != resultRefused || results[2].Result != resultTaken {
		t.Errorf("one bad event blocks the next: %+v", results)
	}
}

// TestAwayAndBack: what waits for a hub that is away goes as soon as it is seen again, also by pulling alone.
func TestAwayAndBack(t *testing.T) {
	ctx := context.Background()
	a, b := newStation(t, "a", nil, "H03"), newStation(t, "b", nil, "H26")
	connect(t, a, b)
	b.close(t)
	d := a.send(t, "H03", "away", 0, "H26")
	until(t, "a failed try", func() bool { return a.delivery(t, d, "H26").Attempts > 0 })
	if v := a.delivery(t, d, "H26"); v.Transport != exchange.TransportProcessing || v.LastError == "" {
		t.Errorf("%+v", v)
	}
	b.open(t)
	check(t, b.service.Resume(ctx))
	check(t, b.peers.Resume(ctx)) // asks a for news, by which a sees it
	check(t, b.store.Start(ctx))
	until(t, "01", func() bool { return a.delivery(t, d, "H26").Status == exchange.StatusArrived })

	_, err := b.service.Register(ctx, b.as(registry.RoleClerk, "H26"), b.incoming(t, "H26")[0].ID)
	check(t, err)
	until(t, "03", func() bool { return a.delivery(t, d, "H26").Status == exchange.StatusRegistered })
	hubB, err := a.peers.hub(ctx, b.id(t))
	check(t, err)
	hubB.pulled = 0
	check(t, a.peers.pull(ctx, hubB)) // the same evidence by pulling changes nothing
	hubs, err := a.peers.Hubs(ctx)
	check(t, err)
	if hubs[0].pulled != 1 {
		t.Errorf("pulled up to %d", hubs[0].pulled)
	}
	a.sound(t)
}
