package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/peer"
	"vanthu/exchange/registry"
)

// vanthuSays runs the program on a hub's folder and gives what it prints.
func (h *crashHub) vanthuSays(t *testing.T, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("vanthu", append(args, "--data", h.dir)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("vanthu %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// introduce has an administrator connect a hub with another one that runs, by the key that the other side prints.
func (h *crashHub) introduce(t *testing.T, other *crashHub) (id string) {
	t.Helper()
	var d peer.Descriptor
	if err := json.Unmarshal([]byte(other.vanthuSays(t, "peer", "key", "--json")), &d); err != nil {
		t.Fatal(err)
	}
	other.start(t)
	h.vanthuSays(t, "peer", "add", "http://"+other.config.Listen.HTTP, "--key", d.Keys[0].Public, "--scope", string(other.province.sender.agency.ID))
	other.kill(t)
	return d.Hub
}

// post takes one document from draft to sending and gives its id; false when the hub was killed on the way.
func (h *crashHub) post(ctx context.Context, t *testing.T, to []registry.AgencyID) (exchange.DocumentID, bool) {
	t.Helper()
	people := h.province.sender
	clients := map[string]*apiClient{}
	for _, member := range []person{people.officer, people.leader, people.clerk} {
		c, err := h.client(ctx, member, httpClient())
		if err != nil {
			return "", false
		}
		clients[member.Login] = c
	}
	officer, leader, clerk := clients[people.officer.Login], clients[people.leader.Login], clients[people.clerk.Login]
	doc, err := officer.draft(ctx, map[string]string{"type": "BC", "subject": "Văn bản liên thông", "signer_name": people.leader.Name, "signer_position": "CHỦ TỊCH"}, crashPDF())
	if err != nil {
		return "", false
	}
	if _, err := leader.sign(ctx, doc.ID, signRequest{Step: exchange.StepApprove, Passphrase: people.leader.pin, Profile: "pades-b-b", Invisible: true}); err != nil {
		return "", false
	}
	if _, err := clerk.number(ctx, doc.ID); err != nil {
		return "", false
	}
	if _, err := clerk.sign(ctx, doc.ID, signRequest{Step: exchange.StepSeal, Passphrase: people.sealPIN, Profile: "pades-b-b", Invisible: true}); err != nil {
		return "", false
	}
	_, err = clerk.send(ctx, doc.ID, to)
	return doc.ID, err == nil
}

// TestTwoHubsKilled lets two programs exchange documents and kills one or the other with SIGKILL: whatever was sent
// arrives once, its receipt comes back, and the two registers agree.
func TestTwoHubsKilled(t *testing.T) {
	a := newCrashHubOf(t, func(p *province) { p.receivers = nil })
	b := newCrashHubOf(t, func(p *province) {
		p.receivers = p.receivers[:1]
		for _, o := range p.offices() {
			move := func(code string) string { return strings.Replace(code, "H99", "H88", 1) }
			o.agency.ID, o.agency.LegacyCode, o.agency.Parent = registry.AgencyID(move(string(o.agency.ID))), move(o.agency.LegacyCode), registry.AgencyID(move(string(o.agency.Parent)))
			for _, member := range o.everyone() {
				member.Agency = o.agency.ID
			}
		}
		p.admin.Agency = p.sender.agency.ID
	})
	hubB := a.introduce(t, b)
	b.introduce(t, a)
	a.start(t)
	b.start(t)
	to := []registry.AgencyID{b.province.sender.agency.ID, b.province.receivers[0].agency.ID}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var sent []exchange.DocumentID
	if err := poll(ctx, "the agencies of the other hub", func() (bool, error) { // they are learnt as soon as both run
		id, ok := a.post(ctx, t, to)
		if ok {
			sent = append(sent, id)
		}
		return ok, nil
	}); err != nil {
		t.Fatalf("%v\n%s", err, a.stderr.String())
	}
	kills := 0
	for i := range 8 {
		if id, ok := a.post(ctx, t, to); ok {
			sent = append(sent, id)
		}
		if i%3 != 2 {
			continue
		}
		time.Sleep(rand.N(50 * time.Millisecond))
		victim := []*crashHub{a, b}[i/3%2]
		victim.kill(t)
		victim.start(t)
		kills++
	}
	clerk, err := a.client(ctx, a.province.sender.clerk, httpClient())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range sent {
		if err := poll(ctx, "the receipts of "+string(id), func() (bool, error) {
			list, err := clerk.deliveries(ctx, id)
			done := 0
			for _, d := range list {
				if d.Transport == exchange.TransportDone && d.Channel == exchange.ChannelHub {
					done++
				}
			}
			return err == nil && done == len(to), err
		}); err != nil {
			t.Fatalf("%v\n%s\n%s", err, a.stderr.String(), b.stderr.String())
		}
	}
	for _, o := range b.province.offices() {
		b.once(ctx, t, o, sent)
	}
	today := time.Now().UTC()
	a.kill(t)
	out := a.vanthuSays(t, "reconcile", hubB, "--from", today.AddDate(0, 0, -1).Format(time.DateOnly), "--to", today.Format(time.DateOnly))
	if !strings.Contains(out, ", 0 chỗ khác nhau") {
		t.Error(out)
	}
	b.kill(t)
	a.check(t)
	b.check(t)
	t.Logf("%d documents for %d agencies of another hub, %d kills: each arrived once with its receipt; %s", len(sent), len(to), kills, strings.TrimSpace(out))
}

// once looks for each document in an office's register.
func (h *crashHub) once(ctx context.Context, t *testing.T, o *office, sent []exchange.DocumentID) {
	t.Helper()
	clerk, err := h.client(ctx, o.clerk, httpClient())
	if err != nil {
		t.Fatal(err)
	}
	list, err := clerk.incoming(ctx, "&limit=200")
	if err != nil {
		t.Fatal(err)
	}
	count := map[exchange.DocumentID]int{}
	for _, in := range list {
		count[in.Document]++
	}
	for _, id := range sent {
		if count[id] != 1 {
			t.Errorf("%s arrived %d times at %s", id, count[id], o.agency.ID)
		}
	}
}
