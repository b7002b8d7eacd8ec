package exchange

import (
	"context"
	"testing"
	"time"

	"vanthu/exchange/registry"
	vmail "vanthu/mail"
)

// TestDigestAndEscalation tells who leads the work before it is due, and the leader
// when it is overdue; once a day, and with evidence once.
func TestDigestAndEscalation(t *testing.T) {
	ctx := context.Background()
	var boxes *vmail.Store
	w := newWorld(t, worldOptions{change: func(c *Config) {
		var err error
		boxes, err = vmail.New(context.Background(), vmail.Config{DB: c.Store.DB, Blobs: c.Store.Blobs, Domains: []string{"backan.gov.vn"}})
		if err != nil {
			t.Fatal(err)
		}
		c.Mail, c.Domain = boxes, "backan.gov.vn"
	}})
	accounts := map[registry.Role]*vmail.Account{}
	for _, role := range []registry.Role{officer, leader} {
		address := vmail.Address(string(role) + "@backan.gov.vn")
		a, err := boxes.AddAccount(ctx, vmail.Account{Address: address, Name: string(role), Kind: "person"}, "mat-khau-dai-va-kho-doan")
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.reg.Person(ctx, w.as(role, "H03.01").Person)
		if err != nil {
			t.Fatal(err)
		}
		p.Mail = string(address)
		if err := w.reg.UpdatePerson(ctx, registry.System("test"), *p); err != nil {
			t.Fatal(err)
		}
		accounts[role] = a
	}
	d := w.sent(t, 1, "H03.01")
	w.runLanes(t)
	in := w.incoming(t, "H03.01", d.ID)
	if _, err := w.Register(ctx, w.as(clerk, "H03.01"), in.ID); err != nil {
		t.Fatal(err)
	}
	day := dateOf(w.clock.Now()).AddDate(0, 0, 7)
	if _, err := w.AssignTo(ctx, w.as(leader, "H03.01"), in.ID, Assignment{Lead: w.as(officer, "H03.01").Person, Due: day}); err != nil {
		t.Fatal(err)
	}
	mails := func(role registry.Role) int {
		t.Helper()
		a, err := boxes.Account(ctx, accounts[role].Address)
		if err != nil {
			t.Fatal(err)
		}
		if a.Used == 0 {
			return 0
		}
		return int(a.Used)
	}
	run := func(at time.Time) {
		t.Helper()
		w.clock.set(at)
		if err := w.runDigest(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	run(w.clock.Now())
	if mails(officer) != 0 || mails(leader) != 0 {
		t.Error("told a week before")
	}
	run(day.Add(8*time.Hour).AddDate(0, 0, -1))
	first := mails(officer)
	if first == 0 || mails(leader) != 0 {
		t.Errorf("the day before: %d and %d bytes of mail", first, mails(leader))
	}
	run(w.clock.Now())
	if mails(officer) != first {
		t.Error("told twice a day")
	}
	run(day.Add(32 * time.Hour))
	run(day.Add(56 * time.Hour))
	if mails(leader) == 0 {
		t.Error("the leader was not told of what is overdue")
	}
	events, err := w.IncomingTimeline(ctx, w.as(leader, "H03.01"), in.ID)
	n := 0
	for _, e := range events {
		if e.Kind == "work.escalated" {
			n++
		}
	}
	if err != nil || n != 1 {
		t.Errorf("%d escalations in the evidence, %v", n, err)
	}
	by := w.as(leader, "H03.01")
	wantKind(t, w.SetPreference(ctx, by, Preference{Before: 21}), KindInvalid)
	if err := w.SetPreference(ctx, by, Preference{}); err != nil {
		t.Fatal(err)
	}
	before := mails(leader)
	run(day.Add(24 * 5 * time.Hour))
	if mails(leader) != before {
		t.Error("told though it was switched off")
	}
}
