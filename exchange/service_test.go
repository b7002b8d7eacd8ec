package exchange

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/storage/blob"
)

func TestDraftRefuses(t *testing.T) {
	w := newWorld(t, worldOptions{change: func(c *Config) { c.MaxPDF = 64 << 10 }})
	ctx := context.Background()
	good := DraftInput{Type: "CV", Subject: "Mời họp", SignerName: "Nguyễn Văn A"}
	pdf := samplePDF(1)
	for name, c := range map[string]struct {
		change func(*DraftInput)
		pdf    []byte
		kind   Kind
	}{
		"no PDF":            {func(*DraftInput) {}, []byte("Kính gửi các cơ quan"), KindInvalid},
		"empty":             {func(*DraftInput) {}, nil, KindInvalid},
		"cut off":           {func(*DraftInput) {}, pdf[:60], KindInvalid},
		"encrypted":         {func(*DraftInput) {}, bytes.Replace(pdf, []byte("/Root 1 0 R"), []byte("/Encrypt << /Filter /Standard /V 4 /R 4 /O (12345678901234567890123456789012) /U (12345678901234567890123456789012) /P -4 >> /ID [(1234567890123456) (1234567890123456)] /Root 1 0 R"), 1), KindInvalid},
		"too large":         {func(*DraftInput) {}, append(bytes.Clone(pdf), make([]byte, 64<<10)...), KindTooLarge},
		"secret":            {func(in *DraftInput) { in.Secrecy = "MẬT" }, pdf, KindInvalid},
		"unknown type":      {func(in *DraftInput) { in.Type = "XX" }, pdf, KindInvalid},
		"no subject":        {func(in *DraftInput) { in.Subject = " " }, pdf, KindInvalid},
		"long subject":      {func(in *DraftInput) { in.Subject = strings.Repeat("ệ", 501) }, pdf, KindInvalid},
		"line in subject":   {func(in *DraftInput) { in.Subject = "Mời họp\r\nBcc: a@b" }, pdf, KindInvalid},
		"hidden in subject": {func(in *DraftInput) { in.Subject = "Mời \u202ehọp" }, pdf, KindInvalid},
		"no signer":         {func(in *DraftInput) { in.SignerName = "" }, pdf, KindInvalid},
		"bad notation":      {func(in *DraftInput) { in.Notation = "QĐ UBND" }, pdf, KindInvalid},
		"bad priority":      {func(in *DraftInput) { in.Priority = 5 }, pdf, KindInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			in := good
			c.change(&in)
			in.PDF = bytes.NewReader(c.pdf)
			_, err := w.Draft(ctx, w.as(officer, "H03"), in)
			wantKind(t, err, c.kind)
		})
	}
	_, err := w.Draft(ctx, w.as(clerk, "H03"), DraftInput{Type: "CV", Subject: "x", SignerName: "y", PDF: bytes.NewReader(pdf)})
	wantKind(t, err, KindForbidden)
	list, err := w.Documents(ctx, w.as(officer, "H03"), ListFilter{})
	if err != nil || len(list.Items) != 0 {
		t.Fatalf("refused drafts left %d rows, %v", len(list.Items), err)
	}
	// 500 characters are allowed, whatever form their marks came in.
	in := good
	in.Subject, in.PDF = strings.Repeat("e\u0323\u0302", 500), bytes.NewReader(pdf)
	d, err := w.Draft(ctx, w.as(officer, "H03"), in)
	if err != nil || d.Subject != strings.Repeat("ệ", 500) || d.Notation != "UBND" || d.Place != "Bắc Kạn" {
		t.Fatalf("%+v, %v", d, err)
	}
}

func TestSignOrderAndRoles(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	d := w.draft(t, 1)
	sign := func(role registry.Role, step Step) error {
		_, _, err := w.Sign(ctx, w.as(role, "H03"), d.ID, SignInput{Step: step, Key: w.keys[step]})
		return err
	}
	wantKind(t, sign(clerk, StepSeal), KindConflict)
	wantKind(t, sign(officer, StepApprove), KindForbidden)
	wantKind(t, sign(clerk, StepInitial), KindForbidden)
	wantKind(t, sign(leader, Step("stamp")), KindInvalid)
	if err := sign(officer, StepInitial); err != nil {
		t.Fatal(err)
	}
	wantKind(t, sign(officer, StepInitial), KindConflict)
	_, err := w.Number(ctx, w.as(clerk, "H03"), d.ID)
	wantKind(t, err, KindConflict)
	if err := sign(leader, StepApprove); err != nil {
		t.Fatal(err)
	}
	wantKind(t, sign(leader, StepSeal), KindForbidden)
	_, _, err = w.Send(ctx, w.as(clerk, "H03"), d.ID, []registry.AgencyID{"H03.01"})
	wantKind(t, err, KindConflict)
	numbered, err := w.Number(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil || numbered.Number != 1 {
		t.Fatalf("%+v, %v", numbered, err)
	}
	_, err = w.Number(ctx, w.as(clerk, "H03"), d.ID)
	wantKind(t, err, KindConflict)
	if err := sign(clerk, StepSeal); err != nil {
		t.Fatal(err)
	}
	report, err := w.Report(ctx, w.as(officer, "H03"), d.ID)
	if err != nil || report.Verdict != signing.TotalPassed || len(report.Signatures) != 3 {
		t.Fatalf("%+v, %v", report, err)
	}
	events, err := w.Timeline(ctx, w.as(officer, "H03"), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, strings.TrimPrefix(e.Kind, "document."))
	}
	if got := strings.Join(kinds, " "); got != "drafted signing signed signing signed numbered signing signed" {
		t.Errorf("timeline: %s", got)
	}
}

func TestSignRefusesKeys(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	d := w.draft(t, 1)
	by := w.as(officer, "H03")
	try := func(in SignInput) error {
		in.Step = StepInitial
		_, _, err := w.Sign(ctx, by, d.ID, in)
		return err
	}
	wantKind(t, try(SignInput{Passphrase: "x"}), KindNotFound)
	wantKind(t, try(SignInput{Key: w.keys[StepSeal]}), KindForbidden) // not registered for this person
	for name, kind := range map[certs.Name]Kind{certs.Expired: KindInvalid, certs.NotYetValid: KindInvalid, certs.WrongUsage: KindInvalid,
		certs.WeakKey: KindInvalid, certs.OtherOfficial: KindInvalid} {
		k := identity(t, name)
		w.vouch(t, registry.PersonOwner(by.Person), k.Certificate)
		if err := try(SignInput{Key: k}); KindOf(err) != kind {
			t.Errorf("%s: %v, want %s", name, err, kind)
		}
	}
	p12, err := w.keys[StepInitial].ToPKCS12("mật khẩu")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.reg.SetKey(ctx, by, registry.PersonOwner(by.Person), p12, "mật khẩu"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, try(SignInput{Passphrase: "sai"}), KindInvalid)
	after, err := w.Document(ctx, by, d.ID)
	if err != nil || after.State != StateDraft || after.PDF != d.PDF {
		t.Fatalf("failed signatures changed the document: %+v, %v", after, err)
	}
	for range 2 { // the second comes from the cache of opened keys
		if err := try(SignInput{Passphrase: "mật khẩu"}); err != nil {
			t.Fatal(err)
		}
		d = w.draft(t, 2)
	}
	w.cfg.AllowTestKeys = false
	wantKind(t, try(SignInput{Passphrase: "mật khẩu"}), KindForbidden)
}

func TestRequireInitial(t *testing.T) {
	w := newWorld(t, worldOptions{change: func(c *Config) { c.RequireInitial = true }})
	d := w.draft(t, 1)
	_, _, err := w.Sign(context.Background(), w.as(leader, "H03"), d.ID, SignInput{Step: StepApprove, Key: w.keys[StepApprove]})
	wantKind(t, err, KindConflict)
	w.sign(t, d, StepInitial, StepApprove, StepSeal)
}

// TestTwoAtOnce: of many who do the same act on one document, one wins and the
// others get a conflict.
func TestTwoAtOnce(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		d := w.draft(t, 1)
		race := func(name string, act func() error) {
			t.Helper()
			var won, lost atomic.Int32
			var wg sync.WaitGroup
			for range 6 {
				wg.Go(func() {
					switch err := act(); {
					case err == nil:
						won.Add(1)
					case KindOf(err) == KindConflict:
						lost.Add(1)
					default:
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 || lost.Load() != 5 {
				t.Errorf("%s: %d won, %d lost", name, won.Load(), lost.Load())
			}
		}
		for _, step := range []Step{StepInitial, StepApprove, StepSeal} {
			role := map[Step]registry.Role{StepInitial: officer, StepApprove: leader, StepSeal: clerk}[step]
			race(string(step), func() error {
				_, _, err := w.Sign(ctx, w.as(role, "H03"), d.ID, SignInput{Step: step, Key: w.keys[step], Invisible: true})
				return err
			})
		}
		race("number", func() error { _, err := w.Number(ctx, w.as(clerk, "H03"), d.ID); return err })
		race("send", func() error {
			_, _, err := w.Send(ctx, w.as(clerk, "H03"), d.ID, []registry.AgencyID{"H03.01"})
			return err
		})
		w.runLanes(t)
		in := w.incoming(t, "H03.01", d.ID)
		race("register", func() error { _, err := w.Register(ctx, w.as(clerk, "H03.01"), in.ID); return err })
		race("finish", func() error { _, err := w.Finish(ctx, w.as(leader, "H03.01"), in.ID, ""); return err })
		w.runLanes(t)
		w.clean(t)
	})
}

// TestNumbersUnderLoad: 64 clerks at once, no gap, no double.
func TestNumbersUnderLoad(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		const clerks = 64
		ids := make([]DocumentID, clerks)
		for i := range ids {
			ids[i] = w.sign(t, w.draft(t, i), StepApprove).ID
		}
		numbers := make([]int, clerks)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				d, err := w.Number(ctx, w.as(clerk, "H03"), ids[i])
				if err != nil {
					t.Error(err)
					return
				}
				numbers[i] = d.Number
				if i%8 == 0 {
					if err := w.CancelNumber(ctx, w.as(clerk, "H03"), ids[i], "ban hành nhầm"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		seen := map[int]bool{}
		for _, n := range numbers {
			if n < 1 || n > clerks || seen[n] {
				t.Fatalf("numbers %v", numbers)
			}
			seen[n] = true
		}
		register, err := w.OutgoingRegister(ctx, w.as(officer, "H03"), 2026)
		if err != nil || len(register) != clerks {
			t.Fatalf("%d lines, %v", len(register), err)
		}
		cancelled := 0
		for i, e := range register {
			if e.Number != i+1 {
				t.Fatalf("line %d has number %d", i, e.Number)
			}
			if e.Cancelled {
				cancelled++
				if e.Note != "ban hành nhầm" {
					t.Errorf("cancelled without reason: %+v", e)
				}
			}
		}
		if cancelled != clerks/8 {
			t.Errorf("%d cancelled", cancelled)
		}
		w.clean(t)
	})
}

// TestYearChange: the year of a number begins at midnight in Vietnam.
func TestYearChange(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	midnight := time.Date(2026, 12, 31, 17, 0, 0, 0, time.UTC)
	w.clock.set(midnight.Add(-time.Minute))
	var codes []string
	var arrivals []string
	for i := range 4 {
		if i == 2 {
			w.clock.set(midnight)
		}
		d := w.sent(t, i, "H03.01")
		codes = append(codes, fmt.Sprintf("%d:%s:%s", d.Year, d.Code(), d.Axis))
		w.runLanes(t)
		in, err := w.Register(ctx, w.as(clerk, "H03.01"), w.incoming(t, "H03.01", d.ID).ID)
		if err != nil {
			t.Fatal(err)
		}
		arrivals = append(arrivals, fmt.Sprintf("%d/%d", in.ArrivalNumber, in.ArrivalYear))
	}
	if got, want := strings.Join(codes, " "), "2026:01/QĐ-UBND:H03,2026/12/31,01/QĐ-UBND 2026:02/QĐ-UBND:H03,2026/12/31,02/QĐ-UBND "+
		"2027:01/QĐ-UBND:H03,2027/01/01,01/QĐ-UBND 2027:02/QĐ-UBND:H03,2027/01/01,02/QĐ-UBND"; got != want {
		t.Errorf("codes %s", got)
	}
	if got := strings.Join(arrivals, " "); got != "1/2026 2/2026 1/2027 2/2027" {
		t.Errorf("arrival numbers %s", got)
	}
	w.clean(t)
}

func TestSendRefuses(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	system := registry.System("test")
	for _, a := range []registry.Agency{
		{ID: "H04", Name: "Ngoài hệ thống", Channel: "axis"},
		{ID: "H05", Name: "Đã giải thể", ValidTo: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if err := w.reg.AddAgency(ctx, system, a); err != nil {
			t.Fatal(err)
		}
	}
	d := w.sign(t, w.draft(t, 1), StepApprove, StepSeal)
	many := make([]registry.AgencyID, maxRecipients+1)
	for name, c := range map[string]struct {
		to   []registry.AgencyID
		kind Kind
	}{
		"nobody": {nil, KindInvalid}, "unknown": {[]registry.AgencyID{"H03.01", "H99"}, KindInvalid}, "look-alike": {[]registry.AgencyID{"Н03.01"}, KindInvalid},
		"twice": {[]registry.AgencyID{"H03.01", "h03.01"}, KindInvalid}, "itself": {[]registry.AgencyID{"H03"}, KindInvalid},
		"no channel": {[]registry.AgencyID{"H04"}, KindInvalid}, "closed": {[]registry.AgencyID{"H05"}, KindInvalid}, "10001": {many, KindTooLarge},
	} {
		_, _, err := w.Send(ctx, w.as(clerk, "H03"), d.ID, c.to)
		if KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _, err := w.Send(ctx, w.as(leader, "H03"), d.ID, []registry.AgencyID{"H03.01"})
	wantKind(t, err, KindForbidden)
	after, err := w.Document(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil || after.State != StateSealed || after.Number != 0 {
		t.Fatalf("a refused sending changed the document: %+v, %v", after, err)
	}
}

// TestBoundaries: people of another agency see nothing, in either direction.
func TestBoundaries(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	d := w.sent(t, 1, "H03.01")
	w.runLanes(t)
	in := w.incoming(t, "H03.01", d.ID)
	for _, other := range []registry.Actor{w.as(clerk, "H03.02"), w.as(leader, "H03.02"), w.as(admin, "H03.02")} {
		_, err := w.Document(ctx, other, d.ID)
		wantKind(t, err, KindNotFound)
		_, _, err = w.PDF(ctx, other, d.ID)
		wantKind(t, err, KindNotFound)
		_, err = w.Timeline(ctx, other, d.ID)
		wantKind(t, err, KindNotFound)
		_, err = w.Receipts(ctx, other, d.ID)
		wantKind(t, err, KindNotFound)
		_, err = w.Deliveries(ctx, other, d.ID)
		wantKind(t, err, KindNotFound)
		_, err = w.Report(ctx, other, d.ID)
		wantKind(t, err, KindNotFound)
		_, err = w.Incoming(ctx, other, in.ID)
		wantKind(t, err, KindNotFound)
		_, _, err = w.IncomingPDF(ctx, other, in.ID)
		wantKind(t, err, KindNotFound)
		_, err = w.IncomingTimeline(ctx, other, in.ID)
		wantKind(t, err, KindNotFound)
		list, err := w.Documents(ctx, other, ListFilter{})
		if err != nil || len(list.Items) != 0 {
			t.Errorf("%v sees %d documents, %v", other.Roles, len(list.Items), err)
		}
	}
	_, err := w.Register(ctx, w.as(clerk, "H03.02"), in.ID)
	wantKind(t, err, KindNotFound)
	_, err = w.Incoming(ctx, w.as(clerk, "H03"), in.ID) // the sender does not see the register of the recipient
	wantKind(t, err, KindNotFound)
	_, err = w.Document(ctx, w.as(clerk, "H03.01"), d.ID) // nor the recipient the sender's
	wantKind(t, err, KindNotFound)
	_, err = w.Register(ctx, w.as(clerk, "H03.01"), in.ID)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Assign(ctx, w.as(leader, "H03.01"), in.ID, w.as(officer, "H03.02").Person, "")
	wantKind(t, err, KindInvalid)
}

// TestReceiveTwice: repeats, one after another and at once, give one row and the
// same receipt; the same id with other content is a conflict.
func TestReceiveTwice(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		d := w.sent(t, 1, "H03.01")
		pdf, _, err := w.PDF(ctx, w.as(clerk, "H03"), d.ID)
		data := readAll(t, pdf, err)
		var mu sync.Mutex
		ids := map[string]int{}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				r, err := w.Receive(ctx, "H03", d.envelope("H03.01"), bytes.NewReader(data))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				ids[r.ID]++
				if r.Status != StatusArrived || w.verifyReceipt(ctx, r, registry.Fingerprint(identity(t, certs.SealSecond).Certificate)) != nil {
					t.Errorf("receipt %+v", r)
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 {
			t.Fatalf("%d different receipts", len(ids))
		}
		w.runLanes(t) // the lane finds it there, and the delivery takes the receipt that exists
		list, err := w.Incomings(ctx, w.as(clerk, "H03.01"), IncomingFilter{})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("%d rows, %v", len(list.Items), err)
		}
		other := samplePDF(77)
		env := d.envelope("H03.01")
		env.Digest, env.Size = blob.Sum(other), int64(len(other))
		_, err = w.Receive(ctx, "H03", env, bytes.NewReader(other))
		wantKind(t, err, KindConflict)
		w.clean(t)
	})
}

func TestReceiveRefuses(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	d := w.sent(t, 1, "H03.01")
	pdf, _, err := w.PDF(ctx, w.as(clerk, "H03"), d.ID)
	data := readAll(t, pdf, err)
	receive := func(change func(*Envelope), from registry.AgencyID, data []byte) (*Receipt, error) {
		env := d.envelope("H03.02")
		env.Document, env.Digest, env.Size = DocumentID(newID()), blob.Sum(data), int64(len(data))
		change(&env)
		return w.Receive(ctx, from, env, bytes.NewReader(data))
	}
	for name, c := range map[string]struct {
		change func(*Envelope)
		from   registry.AgencyID
		kind   Kind
	}{
		"unknown sender":    {func(e *Envelope) { e.From = "H88" }, "H88", KindInvalid},
		"unknown receiver":  {func(e *Envelope) { e.To = "H88" }, "H03", KindInvalid},
		"somebody else's":   {func(e *Envelope) {}, "H03.03", KindForbidden},
		"no id":             {func(e *Envelope) { e.Document = "../../x" }, "H03", KindInvalid},
		"wrong digest":      {func(e *Envelope) { e.Digest = blob.Sum(nil) }, "H03", KindInvalid},
		"header injection":  {func(e *Envelope) { e.Subject = "a\r\nb" }, "H03", KindInvalid},
		"number zero":       {func(e *Envelope) { e.Number = 0 }, "H03", KindInvalid},
		"impossible symbol": {func(e *Envelope) { e.Notation = "<script>" }, "H03", KindInvalid},
	} {
		if _, err := receive(c.change, c.from, data); KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	altered := bytes.Replace(data, []byte("(Document 1)"), []byte("(Document 9)"), 1)
	for name, bad := range map[string][]byte{"altered": altered, "no PDF": []byte("không phải PDF")} {
		r, err := receive(func(*Envelope) {}, "H03", bad)
		if err != nil || r.Status != StatusRefused || r.Note == "" {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
	}
	// A good signature, but not by the agency that sends.
	foreign := w.sign(t, w.draft(t, 5), StepInitial)
	pdf, _, err = w.PDF(ctx, w.as(clerk, "H03"), foreign.ID)
	r, err := receive(func(*Envelope) {}, "H03", readAll(t, pdf, err))
	if err != nil || r.Status != StatusRefused || !strings.Contains(r.Note, "cơ quan gửi") {
		t.Fatalf("without the sender's seal: %+v, %v", r, err)
	}
	kept, err := w.Incomings(ctx, w.as(clerk, "H03.02"), IncomingFilter{Status: StatusRefused})
	if err != nil || len(kept.Items) != 3 {
		t.Fatalf("%d kept in the register of refused, %v", len(kept.Items), err)
	}
	// An unsigned one is let in for information; the clerk sees the verdict.
	r, err = receive(func(*Envelope) {}, "H03", samplePDF(3))
	if err != nil || r.Status != StatusArrived {
		t.Fatalf("unsigned: %+v, %v", r, err)
	}
}

// TestRefuseAndArchive: a refusal is final and travels back; the package is made
// when all are final.
func TestRefuseAndArchive(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	d := w.sent(t, 1, "H03.01", "H03.02")
	w.runLanes(t)
	in := w.incoming(t, "H03.01", d.ID)
	_, err := w.Refuse(ctx, w.as(clerk, "H03.01"), in.ID, " ")
	wantKind(t, err, KindInvalid)
	_, err = w.Refuse(ctx, w.as(officer, "H03.01"), in.ID, "Sai nơi nhận")
	wantKind(t, err, KindForbidden)
	if _, err = w.Refuse(ctx, w.as(clerk, "H03.01"), in.ID, "Sai nơi nhận"); err != nil {
		t.Fatal(err)
	}
	_, err = w.Register(ctx, w.as(clerk, "H03.01"), in.ID)
	wantKind(t, err, KindConflict)
	w.process(t, w.incoming(t, "H03.02", d.ID))
	arg := canonical(archiveArgs{d.ID})
	if err := w.runArchive(ctx, arg); err != nil { // too early: nothing happens
		t.Fatal(err)
	}
	w.runLanes(t)
	for range 2 {
		if err := w.runArchive(ctx, arg); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.Document(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil || got.Archived.IsZero() || got.Package.Size == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	events, err := w.Timeline(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, e := range events {
		count[e.Kind]++
		if e.Text == "" || e.In("en") == e.Kind {
			t.Errorf("no text for %+v", e)
		}
	}
	if count["document.archived"] != 1 || count["receipt.accepted"] != 7 {
		t.Errorf("timeline %v", count)
	}
	st, err := w.Stats(ctx, registry.System("test"), w.clock.Now().AddDate(0, 0, -1), w.clock.Now())
	if err != nil || st.Deliveries != 2 || st.Refused != 1 || st.DeliveryRate != 0.5 || len(st.Missing) != 1 || st.Missing[0].Cause != "refused" || st.Missing[0].Stage != StageArrived {
		t.Fatalf("%+v, %v", st, err)
	}
	w.clean(t)
}

// TestLaneSurvivesABadOne: a delivery whose bytes are gone does not block the next.
func TestLaneSurvivesABadOne(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	down := true
	w.cfg.ReceiptKey = func(old func(context.Context, registry.AgencyID) (k *keys.Key, err error)) func(context.Context, registry.AgencyID) (*keys.Key, error) {
		return func(ctx context.Context, a registry.AgencyID) (*keys.Key, error) {
			if down && a == "H03.01" {
				return nil, fmt.Errorf("the key store does not answer")
			}
			return old(ctx, a)
		}
	}(w.cfg.ReceiptKey)
	d := w.sent(t, 1, "H03.01", "H03.02")
	w.runLanes(t)
	list, err := w.Deliveries(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	if list[0].Transport != TransportProcessing || list[0].Attempts != 1 || list[0].LastError == "" || list[1].Status != StatusArrived {
		t.Fatalf("%+v", list)
	}
	st, err := w.Stats(ctx, w.as(clerk, "H03"), w.clock.Now().AddDate(0, 0, -1), w.clock.Now())
	if err != nil || len(st.Missing) != 2 || st.Missing[0].Cause != "recipient-certificate" || st.Missing[1].Cause != "unregistered" || st.DeliveryRate != 0.5 {
		t.Fatalf("%+v, %v", st, err)
	}
	down = false
	w.runLanes(t) // not due yet
	w.clock.set(w.clock.Now().Add(time.Minute))
	w.runLanes(t)
	list, err = w.Deliveries(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil || list[0].Status != StatusArrived || list[0].Transport != TransportDone {
		t.Fatalf("%+v, %v", list, err)
	}
	w.clean(t)
}
