package exchange

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"vanthu/exchange/registry"
)

// delegate lets the officer of H03 act for its leader.
func (w *world) delegate(tb testing.TB, d registry.Delegation) *registry.Delegation {
	tb.Helper()
	if d.To.IsZero() {
		d.To = w.clock.Now().Add(48 * time.Hour)
	}
	out, err := w.Delegate(context.Background(), w.as(admin, "H03"), d)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func (w *world) acting(tb testing.TB, by registry.Actor, delegation string) registry.Actor {
	tb.Helper()
	a, err := w.reg.ActingFor(context.Background(), by, delegation)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// TestDelegationSigns lets an officer sign for the leader: both names stand in the
// evidence and the signature, the form has to be that of the document, and the
// right ends by itself.
func TestDelegationSigns(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		ctx := context.Background()
		w := newWorld(t, worldOptions{postgres: postgres})
		boss, taker := w.as(leader, "H03"), w.as(officer, "H03")
		given := w.delegate(t, registry.Delegation{Giver: boss.Person, Taker: taker.Person, Scopes: []registry.Scope{registry.ScopeApprove},
			Form: "tuq", Basis: "Văn bản ủy quyền số 12/UQ-UBND"})
		if given.Form != registry.FormTUQ || given.Agency != "H03" {
			t.Fatalf("given %+v", given)
		}
		sign := func(by registry.Actor, d *Document) error {
			_, _, err := w.Sign(ctx, by, d.ID, SignInput{Step: StepApprove, Key: w.keys[StepInitial]})
			return err
		}
		draft := func(signer, competence string) *Document {
			d, err := w.Draft(ctx, taker, DraftInput{Type: "QĐ", Subject: "Ủy quyền", SignerName: signer, SignerPosition: "Chánh Văn phòng", Competence: competence,
				PDF: bytes.NewReader(samplePDF(len(signer) + len(competence)))})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		right := draft(taker.Name, "TUQ. CHỦ TỊCH")
		wantKind(t, sign(taker, right), KindForbidden) // without the other's hat
		acting := w.acting(t, taker, given.ID)
		wantKind(t, sign(acting, draft(taker.Name, "TM. ỦY BAN NHÂN DÂN")), KindConflict)
		wantKind(t, sign(acting, draft("Nguyễn Văn A", "TUQ. CHỦ TỊCH")), KindConflict)
		_, err := w.Draft(ctx, acting, DraftInput{}) // drafting is not in the scope
		wantKind(t, err, KindForbidden)
		if err := sign(acting, right); err != nil {
			t.Fatal(err)
		}
		events, err := w.Timeline(ctx, taker, right.ID)
		if err != nil {
			t.Fatal(err)
		}
		last := events[len(events)-1]
		if last.Kind != "document.signed" || last.Actor != taker.Name || last.By != taker.Name+" (TUQ. "+boss.Name+")" || last.Params["delegation"] != given.ID {
			t.Errorf("the timeline says %+v", last)
		}
		if got := signReason(StepApprove, right, acting.OnBehalfOf); got != "Ký duyệt (TUQ. leader 0)" {
			t.Errorf("the signature's reason is %q", got)
		}
		_, err = w.Delegate(ctx, acting, registry.Delegation{Giver: boss.Person, Taker: w.as(clerk, "H03").Person, Scopes: []registry.Scope{registry.ScopeAssign}, To: w.clock.Now().Add(time.Hour)})
		wantKind(t, err, KindForbidden) // never passed on
		w.clock.set(given.To)
		if _, err := w.reg.ActingFor(ctx, taker, given.ID); KindOf(err) != KindForbidden {
			t.Errorf("after its end: %v", err)
		}
	})
}

// TestDelegationRules refuses what the law has no form for.
func TestDelegationRules(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, worldOptions{})
	boss, off, clk := w.as(leader, "H03"), w.as(officer, "H03"), w.as(clerk, "H03")
	to := w.clock.Now().Add(24 * time.Hour)
	for name, d := range map[string]struct {
		by   registry.Actor
		d    registry.Delegation
		want Kind
	}{
		"no form":         {boss, registry.Delegation{Giver: boss.Person, Taker: off.Person, Scopes: []registry.Scope{registry.ScopeApprove}, To: to}, KindInvalid},
		"invented form":   {boss, registry.Delegation{Giver: boss.Person, Taker: off.Person, Scopes: []registry.Scope{registry.ScopeApprove}, Form: "TT.", To: to}, KindInvalid},
		"no basis":        {boss, registry.Delegation{Giver: boss.Person, Taker: off.Person, Scopes: []registry.Scope{registry.ScopeApprove}, Form: "TUQ.", To: to}, KindInvalid},
		"KT of officer":   {boss, registry.Delegation{Giver: boss.Person, Taker: off.Person, Scopes: []registry.Scope{registry.ScopeApprove}, Form: "KT.", To: to}, KindInvalid},
		"form, no sign":   {boss, registry.Delegation{Giver: boss.Person, Taker: off.Person, Scopes: []registry.Scope{registry.ScopeAssign}, Form: "KT.", To: to}, KindInvalid},
		"no end":          {boss, registry.Delegation{Giver: boss.Person, Taker: off.Person, Scopes: []registry.Scope{registry.ScopeAssign}}, KindInvalid},
		"too long":        {boss, registry.Delegation{Giver: boss.Person, Taker: off.Person, Scopes: []registry.Scope{registry.ScopeAssign}, To: to.AddDate(2, 0, 0)}, KindInvalid},
		"oneself":         {boss, registry.Delegation{Giver: boss.Person, Taker: boss.Person, Scopes: []registry.Scope{registry.ScopeAssign}, To: to}, KindInvalid},
		"not the giver's": {off, registry.Delegation{Giver: boss.Person, Taker: off.Person, Scopes: []registry.Scope{registry.ScopeAssign}, To: to}, KindForbidden},
		"not a right":     {clk, registry.Delegation{Giver: clk.Person, Taker: off.Person, Scopes: []registry.Scope{registry.ScopeAssign}, To: to}, KindForbidden},
		"other agency":    {w.as(leader, "H03.01"), registry.Delegation{Giver: w.as(leader, "H03.01").Person, Taker: off.Person, Scopes: []registry.Scope{registry.ScopeAssign}, To: to}, KindInvalid},
	} {
		if _, err := w.Delegate(ctx, d.by, d.d); KindOf(err) != d.want {
			t.Errorf("%s: %v, want %s", name, err, d.want)
		}
	}
	given, err := w.Delegate(ctx, boss, registry.Delegation{Giver: boss.Person, Taker: w.as(leader, "H03.01").Person, Scopes: []registry.Scope{registry.ScopeAssign}, To: to})
	if err != nil {
		t.Fatal(err) // to somebody of an agency below
	}
	acting := w.acting(t, w.as(leader, "H03.01"), given.ID)
	if acting.Agency != "H03" || !acting.Has(leader) || acting.FullName() != "leader 1 (thay leader 0)" {
		t.Errorf("acts as %+v", acting)
	}
	if list, err := w.Mandates(ctx, w.as(leader, "H03.01")); err != nil || len(list) != 1 {
		t.Errorf("%d mandates, %v", len(list), err)
	}
	if _, err := w.RevokeDelegation(ctx, off, given.ID, ""); KindOf(err) != KindForbidden {
		t.Errorf("a stranger revokes: %v", err)
	}
	if _, err := w.RevokeDelegation(ctx, boss, given.ID, "đã về"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.reg.ActingFor(ctx, w.as(leader, "H03.01"), given.ID); KindOf(err) != KindForbidden {
		t.Errorf("after the revocation: %v", err)
	}
	_, err = w.RevokeDelegation(ctx, boss, given.ID, "")
	wantKind(t, err, KindConflict)
}

// TestPersonMoves moves an officer who has work, a delegation and a session.
func TestPersonMoves(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		ctx := context.Background()
		w := newWorld(t, worldOptions{postgres: postgres})
		boss, off, system := w.as(leader, "H03.01"), w.as(officer, "H03.01"), registry.System("test")
		d := w.sent(t, 1, "H03.01")
		other := w.sent(t, 2, "H03.01")
		w.runLanes(t)
		for _, id := range []DocumentID{d.ID, other.ID} {
			in := w.incoming(t, "H03.01", id)
			if _, err := w.Register(ctx, w.as(clerk, "H03.01"), in.ID); err != nil {
				t.Fatal(err)
			}
			a := Assignment{Lead: off.Person, Instruction: "xử lý"}
			if id == other.ID {
				a = Assignment{Lead: boss.Person, With: []registry.PersonID{off.Person}}
			}
			if _, err := w.AssignTo(ctx, boss, in.ID, a); err != nil {
				t.Fatal(err)
			}
		}
		given := w.delegate2(t, boss, off)
		if err := w.reg.SetPassword(ctx, system, off.Person, "mat-khau-dai-va-kho-doan"); err != nil {
			t.Fatal(err)
		}
		token, _, err := w.reg.Login(ctx, "officer1", "mat-khau-dai-va-kho-doan", "local")
		if err != nil {
			t.Fatal(err)
		}
		at := w.clock.Now().Add(72 * time.Hour)
		move := registry.Move{Person: off.Person, Agency: "H03.02", Position: "Phó Giám đốc", Roles: []registry.Role{leader}, Reason: "QĐ điều động 15", At: at}
		_, err = w.MovePerson(ctx, w.as(admin, "H03.01"), move)
		wantKind(t, err, KindForbidden) // not of the other agency
		planned, err := w.MovePerson(ctx, w.as(admin, "H03"), move)
		if err != nil || !planned.Done.IsZero() {
			t.Fatal(planned, err)
		}
		if a, err := w.reg.Authenticate(ctx, token); err != nil || a.Agency != "H03.01" {
			t.Fatal("moved before its date", a, err)
		}
		w.clock.set(at)
		if err := w.runMove(ctx, canonical(moveArgs{planned.ID})); err != nil {
			t.Fatal(err)
		}
		if _, err := w.reg.Authenticate(ctx, token); KindOf(err) != KindUnauthenticated {
			t.Errorf("the session goes on: %v", err)
		}
		in := w.incoming(t, "H03.01", d.ID)
		if in.Assignee != boss.Person {
			t.Errorf("the work is %s's, not the leader's", in.Assignee)
		}
		h, err := w.Handling(ctx, boss, w.incoming(t, "H03.01", other.ID).ID)
		if err != nil || h.Tasks[len(h.Tasks)-1].Withdrawn == "" && h.Tasks[0].Withdrawn == "" {
			t.Errorf("the part goes on: %+v %v", h.Tasks, err)
		}
		if _, err := w.reg.ActingFor(ctx, off, given.ID); KindOf(err) == "" {
			t.Error("the delegation goes on")
		}
		certificates, err := w.reg.Certificates(ctx, registry.PersonOwner(off.Person))
		if err != nil || len(certificates) == 0 || certificates[0].ValidAt(w.clock.Now()) {
			t.Errorf("the certificate goes on: %v %v", certificates, err)
		}
		terms, err := w.reg.Terms(ctx, off.Person)
		if err != nil || len(terms) != 2 || terms[0].Agency != "H03.01" || terms[1].Agency != "H03.02" || terms[1].Position != "Phó Giám đốc" {
			t.Errorf("terms %+v %v", terms, err)
		}
		if err := w.runMove(ctx, canonical(moveArgs{planned.ID})); err != nil { // once in effect
			t.Fatal(err)
		}
		events, err := w.IncomingTimeline(ctx, boss, in.ID)
		if err != nil || !strings.Contains(events[len(events)-1].Text, "Bàn giao việc cho leader 1") {
			t.Errorf("timeline %+v %v", events[len(events)-1], err)
		}
		w.clean(t)
	})
}

func (w *world) delegate2(tb testing.TB, giver, taker registry.Actor) *registry.Delegation {
	tb.Helper()
	d, err := w.Delegate(context.Background(), giver, registry.Delegation{Giver: giver.Person, Taker: taker.Person,
		Scopes: []registry.Scope{registry.ScopeAssign}, To: w.clock.Now().Add(300 * 24 * time.Hour)})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// TestPersonDisabled closes an account and gives the work to a named person.
func TestPersonDisabled(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, worldOptions{})
	off := w.as(officer, "H03.01")
	d := w.sent(t, 1, "H03.01")
	w.runLanes(t)
	in := w.incoming(t, "H03.01", d.ID)
	if _, err := w.Register(ctx, w.as(clerk, "H03.01"), in.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Assign(ctx, w.as(leader, "H03.01"), in.ID, off.Person, ""); err != nil {
		t.Fatal(err)
	}
	move := registry.Move{Person: off.Person, Disable: true, HandOver: w.as(clerk, "H03.02").Person, Reason: "nghỉ hưu"}
	_, err := w.MovePerson(ctx, w.as(admin, "H03.01"), move)
	wantKind(t, err, KindInvalid) // the heir is of another agency
	move.HandOver = w.as(clerk, "H03.01").Person
	moved, err := w.MovePerson(ctx, w.as(admin, "H03.01"), move)
	if err != nil || moved.Handed != 1 {
		t.Fatal(moved, err)
	}
	if in = w.incoming(t, "H03.01", d.ID); in.Assignee != move.HandOver {
		t.Errorf("the work is %s's", in.Assignee)
	}
	if _, err := w.reg.ActorOf(ctx, off.Person); KindOf(err) != KindForbidden {
		t.Errorf("still active: %v", err)
	}
	w.clean(t)
}

// TestMovePlannedBefore: a move that comes due neither opens an account that was closed meanwhile nor brings back a role
// that was withdrawn.
func TestMovePlannedBefore(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, worldOptions{})
	off, boss := w.as(officer, "H03.01"), w.as(leader, "H03.01")
	at := w.clock.Now().Add(72 * time.Hour)
	var planned []string
	for _, p := range []registry.PersonID{off.Person, boss.Person} {
		m, err := w.MovePerson(ctx, w.as(admin, "H03"), registry.Move{Person: p, Agency: "H03.02", Reason: "QĐ 15", At: at})
		if err != nil {
			t.Fatal(err)
		}
		planned = append(planned, m.ID)
	}
	if _, err := w.MovePerson(ctx, w.as(admin, "H03.01"), registry.Move{Person: off.Person, Disable: true, HandOver: boss.Person, Reason: "đình chỉ"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.MovePerson(ctx, w.as(admin, "H03.01"), registry.Move{Person: boss.Person, Roles: []registry.Role{officer}, Reason: "thôi giữ chức"}); err != nil {
		t.Fatal(err)
	}
	w.clock.set(at)
	for i, id := range planned {
		if err := w.runMove(ctx, canonical(moveArgs{id})); (err == nil) != (i == 1) {
			t.Fatal(i, err)
		}
	}
	if _, err := w.reg.ActorOf(ctx, off.Person); KindOf(err) != KindForbidden {
		t.Errorf("the closed account is open again: %v", err)
	}
	if a, err := w.reg.ActorOf(ctx, boss.Person); err != nil || a.Agency != "H03.02" || a.Has(leader) {
		t.Errorf("moved as %+v, %v", a, err)
	}
}
