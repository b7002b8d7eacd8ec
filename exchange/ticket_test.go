package exchange

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"strings"
	"testing"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/keys"
)

// ticketFor begins a step whose key is elsewhere.
func (w *world) ticketFor(t *testing.T, d *Document, step Step) (*Ticket, registry.Actor) {
	t.Helper()
	by := w.as(map[Step]registry.Role{StepInitial: officer, StepApprove: leader, StepSeal: clerk}[step], d.Agency)
	ticket, err := w.BeginSigning(context.Background(), by, d.ID, TicketInput{Step: step, Certificate: w.keys[step].Certificate, Chain: w.keys[step].Chain})
	if err != nil {
		t.Fatal(err)
	}
	return ticket, by
}

func answer(t *testing.T, key *keys.Key, ticket *Ticket) signing.Returned {
	t.Helper()
	value, err := key.Signer.Sign(rand.Reader, ticket.ToSign, signing.HashByName(ticket.Hash))
	if err != nil {
		t.Fatal(err)
	}
	return signing.Returned{Signature: value}
}

func (w *world) evidenceKinds(t *testing.T, by registry.Actor, d DocumentID) string {
	t.Helper()
	events, err := w.Timeline(context.Background(), by, d)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	return strings.Join(kinds, " ")
}

// TestTicketsSign goes through all three steps with keys that are elsewhere.
func TestTicketsSign(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		d := w.draft(t, 1)
		for _, step := range []Step{StepInitial, StepApprove, StepSeal} {
			ticket, by := w.ticketFor(t, d, step)
			shown, err := w.OpenTicket(ctx, ticket.Ticket)
			if err != nil || !bytes.Equal(shown.ToSign, ticket.ToSign) || shown.Ticket != "" {
				t.Fatalf("%+v, %v", shown, err)
			}
			// Wrong returns are refused with a reason, leave a trace, and do not use the ticket up.
			bad := answer(t, w.keys[step], ticket)
			bad.Signature[len(bad.Signature)-1] ^= 1
			if _, _, err := w.FinishSigning(ctx, ticket.Ticket, bad); KindOf(err) != KindInvalid {
				t.Fatalf("a tampered return: %v", err)
			}
			signed, report, err := w.FinishSigning(ctx, ticket.Ticket, answer(t, w.keys[step], ticket))
			if err != nil || report.Verdict != signing.TotalPassed {
				t.Fatalf("%s: %v, %+v", step, err, report)
			}
			if _, _, err := w.FinishSigning(ctx, ticket.Ticket, answer(t, w.keys[step], ticket)); KindOf(err) != KindConflict {
				t.Errorf("%s: used twice: %v", step, err)
			}
			if kinds := w.evidenceKinds(t, by, d.ID); !strings.HasSuffix(kinds, "document.signing document.sign-failed document.signed") {
				t.Errorf("%s: evidence %s", step, kinds)
			}
			d = signed
		}
		if d.State != StateSealed {
			t.Errorf("state %s", d.State)
		}
		w.clean(t)
	})
}

func TestTicketsRefuse(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	refused := func(name, ticket string, r signing.Returned, want Kind) {
		t.Helper()
		if _, _, err := w.FinishSigning(ctx, ticket, r); KindOf(err) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := w.draft(t, 1)
	ticket, by := w.ticketFor(t, d, StepInitial)
	right := answer(t, w.keys[StepInitial], ticket)
	refused("no such ticket", "x", right, KindNotFound)
	refused("another key", ticket.Ticket, answer(t, w.keys[StepSeal], ticket), KindInvalid)
	for range ticketTries {
		_, _, _ = w.FinishSigning(ctx, ticket.Ticket, signing.Returned{Signature: []byte("x")})
	}
	refused("after too many", ticket.Ticket, right, KindConflict)

	ticket, _ = w.ticketFor(t, d, StepInitial)
	w.clock.set(w.clock.Now().Add(ticketLife))
	refused("expired", ticket.Ticket, answer(t, w.keys[StepInitial], ticket), KindConflict)

	ticket, _ = w.ticketFor(t, d, StepInitial)
	w.sign(t, d, StepInitial)
	refused("signed in between", ticket.Ticket, answer(t, w.keys[StepInitial], ticket), KindConflict)

	_, err := w.BeginSigning(ctx, by, d.ID, TicketInput{Step: StepInitial, Certificate: w.keys[StepSeal].Certificate})
	if KindOf(err) != KindForbidden {
		t.Errorf("a certificate that is not registered for the signer: %v", err)
	}
	if _, err := w.BeginSigning(ctx, by, d.ID, TicketInput{Step: StepApprove, Certificate: w.keys[StepApprove].Certificate}); KindOf(err) != KindForbidden {
		t.Errorf("another's step: %v", err)
	}
	if _, err := w.BeginSigning(ctx, by, d.ID, TicketInput{Step: "x"}); KindOf(err) != KindInvalid {
		t.Errorf("no such step: %v", err)
	}
}

// TestTicketUpload is download, sign with any program, upload.
func TestTicketUpload(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	ticket, _ := w.ticketFor(t, w.draft(t, 1), StepInitial)
	body, _, err := w.TicketPDF(ctx, ticket.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	given, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	by := func(key *keys.Key) []byte {
		var out bytes.Buffer
		o := signing.SignOptions{Key: key, Profile: signing.ProfileBB, At: w.clock.Now()}
		if err := signing.SignPDF(ctx, bytes.NewReader(given), int64(len(given)), &out, o); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	good := by(w.keys[StepInitial])
	tampered := bytes.Clone(good)
	tampered[100] ^= 1
	for name, file := range map[string][]byte{"another's": by(w.keys[StepSeal]), "changed": tampered, "unsigned": given, "no PDF": []byte("x")} {
		if _, _, err := w.UploadSigned(ctx, ticket.Ticket, bytes.NewReader(file)); KindOf(err) != KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	d, report, err := w.UploadSigned(ctx, ticket.Ticket, bytes.NewReader(good))
	if err != nil || report.Verdict != signing.TotalPassed || d.State != StateInitialled {
		t.Fatalf("%v, %+v", err, report)
	}
	w.clean(t)
}

// TestTicketsDoNotOutliveTheCertificate: what was allowed when the ticket was given must be allowed still.
func TestTicketsDoNotOutliveTheCertificate(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	ticket, by := w.ticketFor(t, w.draft(t, 1), StepInitial)
	if err := w.reg.RevokeCertificate(ctx, registry.System("test"), registry.PersonOwner(by.Person), registry.Fingerprint(w.keys[StepInitial].Certificate), w.clock.Now(), "mất thiết bị"); err != nil {
		t.Fatal(err)
	}
	w.clock.set(w.clock.Now().Add(time.Second))
	if _, _, err := w.FinishSigning(ctx, ticket.Ticket, answer(t, w.keys[StepInitial], ticket)); KindOf(err) != KindForbidden {
		t.Errorf("a revoked certificate: %v", err)
	}
}
