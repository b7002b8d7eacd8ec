package exchange

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"image"
	"image/color"
	"image/png"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"

	"vanthu/exchange/registry"
	vmail "vanthu/mail"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// TestRetry: what was given up can be sent again by a person, and a restart
// brings back lanes without a job.
func TestRetry(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	d := w.sent(t, 1, "H03.01", "H03.02")
	// H03.01 is closed while the document is on its way.
	a, err := w.reg.Agency(ctx, "H03.01")
	if err != nil {
		t.Fatal(err)
	}
	closed := *a
	closed.ValidTo = w.clock.Now().Add(-time.Second)
	closed.ValidFrom = closed.ValidTo.AddDate(-1, 0, 0)
	if err := w.reg.UpdateAgency(ctx, registry.System("test"), closed); err != nil {
		t.Fatal(err)
	}
	w.runLanes(t)
	list, err := w.Deliveries(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil || list[0].Transport != TransportFail || list[1].Status != StatusArrived {
		t.Fatalf("%+v, %v", list, err)
	}
	st, err := w.Stats(ctx, w.as(clerk, "H03"), w.clock.Now().AddDate(0, 0, -1), w.clock.Now())
	if err != nil || len(st.Missing) != 2 || st.Missing[0].Cause != "recipient-inactive" || st.Missing[0].Owner != clerk {
		t.Fatalf("%+v, %v", st, err)
	}
	if err := w.reg.UpdateAgency(ctx, registry.System("test"), *a); err != nil {
		t.Fatal(err)
	}
	_, err = w.Retry(ctx, w.as(officer, "H03"), d.ID)
	wantKind(t, err, KindForbidden)
	if n, err := w.Retry(ctx, w.as(clerk, "H03"), d.ID); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	_, err = w.Retry(ctx, w.as(clerk, "H03"), d.ID)
	wantKind(t, err, KindConflict)
	before, err := w.jobs.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Resume(ctx); err != nil { // the lane's job is there: no second one
		t.Fatal(err)
	}
	if after, err := w.jobs.Stats(ctx); err != nil || after != before {
		t.Fatalf("%+v then %+v, %v", before, after, err)
	}
	w.runLanes(t)
	list, err = w.Deliveries(ctx, w.as(clerk, "H03"), d.ID)
	if err != nil || list[0].Status != StatusArrived {
		t.Fatalf("%+v, %v", list, err)
	}
	w.clean(t)
}

// TestNotify: one mail a document in the official mailbox, whatever is repeated.
func TestNotify(t *testing.T) {
	var store *vmail.Store
	w := newWorld(t, worldOptions{change: func(c *Config) {
		var err error
		store, err = vmail.New(context.Background(), vmail.Config{DB: c.Store.DB, Blobs: c.Store.Blobs, Domains: []string{"backan.gov.vn"}})
		if err != nil {
			t.Fatal(err)
		}
		c.Mail, c.Domain = store, "backan.gov.vn"
	}})
	ctx := context.Background()
	account, err := store.AddAccount(ctx, vmail.Account{Address: "sonoivu@backan.gov.vn", Name: "Sở Nội vụ", Kind: vmail.KindOrganisation}, "một mật khẩu dài")
	if err != nil {
		t.Fatal(err)
	}
	for id, address := range map[registry.AgencyID]string{"H03.01": "sonoivu@backan.gov.vn", "H03.02": "khongco@backan.gov.vn"} {
		a, err := w.reg.Agency(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		a.Mail = address
		if err := w.reg.UpdateAgency(ctx, registry.System("test"), *a); err != nil {
			t.Fatal(err)
		}
	}
	d := w.sent(t, 1, "H03.01", "H03.02", "H03.03") // an account, an address without one, no address
	w.runLanes(t)
	err = w.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { // as after a crash before the mark
		return markNotified(ctx, tx, w.incoming(t, "H03.01", d.ID).ID, notifyWaiting)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.runLanes(t)
	inbox, err := store.Mailbox(ctx, account.ID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	list, err := store.List(ctx, inbox.ID, 0, 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d messages, %v", len(list), err)
	}
}

func TestNotificationMessage(t *testing.T) {
	at := time.Date(2026, 3, 5, 1, 2, 3, 0, time.UTC)
	in := &Incoming{ID: "0198", Code: "05/QĐ-UBND", From: "H03", Subject: strings.Repeat("Về việc kiện toàn tổ chức ", 18), SignerName: "Nguyễn Văn A",
		Issued: at, Received: at, Priority: PriorityExpress}
	raw := notification(in, "UBND tỉnh Bắc Kạn", "vanthu@bk.vn", "snv@bk.vn", "bk.vn")
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		if len(line) > 78 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("line of %d bytes: %q", len(line), line)
		}
		for _, r := range line {
			if r > 126 {
				t.Fatalf("not ASCII: %q", line)
			}
		}
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || !strings.HasPrefix(subject, "[Văn bản đến] 05/QĐ-UBND: Về việc kiện toàn") {
		t.Errorf("subject %q, %v", subject, err)
	}
	if date, err := m.Header.Date(); err != nil || !date.Equal(at) {
		t.Errorf("date %v, %v", date, err)
	}
}

// TestAppearances: text and image, at each step, judged by our validator.
func TestAppearances(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	picture := image.NewNRGBA(image.Rect(0, 0, 60, 60))
	for i := range 60 {
		picture.Set(i, i, color.NRGBA{200, 0, 0, 255})
	}
	var seal bytes.Buffer
	if err := png.Encode(&seal, picture); err != nil {
		t.Fatal(err)
	}
	for name, img := range map[string][]byte{"text": nil, "image": seal.Bytes()} {
		d := w.draft(t, len(name))
		for step, role := range map[Step]registry.Role{StepInitial: officer} {
			_, _, err := w.Sign(ctx, w.as(role, "H03"), d.ID, SignInput{Step: step, Key: w.keys[step], Image: img})
			if err != nil {
				t.Fatalf("%s, %s: %v", name, step, err)
			}
		}
		_, _, err := w.Sign(ctx, w.as(leader, "H03"), d.ID, SignInput{Step: StepApprove, Key: w.keys[StepApprove], Image: img})
		if err != nil {
			t.Fatalf("%s, approve: %v", name, err)
		}
		_, report, err := w.Sign(ctx, w.as(clerk, "H03"), d.ID, SignInput{Step: StepSeal, Key: w.keys[StepSeal], Image: img})
		if err != nil || report.Verdict != signing.TotalPassed || len(report.Signatures) != 3 {
			t.Fatalf("%s, seal: %+v, %v", name, report, err)
		}
	}
	d := w.draft(t, 9)
	_, _, err := w.Sign(ctx, w.as(officer, "H03"), d.ID, SignInput{Step: StepInitial, Key: w.keys[StepInitial], Image: []byte("no picture")})
	wantKind(t, err, KindInvalid)
}

type brokenTSA struct{}

func (brokenTSA) Timestamp(context.Context, []byte, crypto.Hash) ([]byte, error) {
	return nil, errors.New("tsa does not answer")
}

// TestSignerBreaks: a key that fails in the middle leaves the document as it was
// and its trace in the evidence.
func TestSignerBreaks(t *testing.T) {
	w := newWorld(t, worldOptions{change: func(c *Config) { c.TSA = brokenTSA{} }})
	ctx := context.Background()
	d := w.draft(t, 1)
	_, _, err := w.Sign(ctx, w.as(officer, "H03"), d.ID, SignInput{Step: StepInitial, Key: w.keys[StepInitial], Invisible: true})
	wantKind(t, err, KindUnavailable)
	var e *Error
	if !errors.As(err, &e) || e.Kept == "" || e.Advice == "" || strings.Contains(e.Message, "tsa") {
		t.Errorf("%+v", e)
	}
	after, err := w.Document(ctx, w.as(officer, "H03"), d.ID)
	if err != nil || after.State != StateDraft || after.PDF != d.PDF {
		t.Fatalf("%+v, %v", after, err)
	}
	events, err := w.Timeline(ctx, w.as(officer, "H03"), d.ID)
	if err != nil || len(events) != 3 || events[2].Kind != "document.sign-failed" {
		t.Fatalf("%+v, %v", events, err)
	}
}

// TestCheckFindsFaults plants one fault at a time.
func TestCheckFindsFaults(t *testing.T) {
	for name, plant := range map[string]string{
		"gap":                `DELETE FROM exchange_number WHERE number = 1`,
		"counter":            `UPDATE exchange_counter SET last = last + 1 WHERE series = 'outgoing'`,
		"arrival number":     `UPDATE exchange_incoming SET arrival_number = 7 WHERE arrival_number = 1`,
		"lost delivery":      `DELETE FROM exchange_delivery`,
		"other status":       `UPDATE exchange_delivery SET status = '06'`,
		"status, no receipt": `DELETE FROM exchange_receipt WHERE step = 2`,
		"forged receipt":     `UPDATE exchange_receipt SET body = replace(body, '"status":"03"', '"status":"06"') WHERE step = 2`,
		"lost arrival":       `DELETE FROM exchange_incoming`,
		"other PDF":          `UPDATE exchange_incoming SET pdf = '` + strings.Repeat("ab", 32) + `'`,
		"lost blob":          `UPDATE exchange_document SET pdf = '` + strings.Repeat("ab", 32) + `'`,
		"wrong size":         `UPDATE exchange_document SET pdf_size = 1`,
		"lost package":       `UPDATE exchange_document SET archived = 1, package = '` + strings.Repeat("ab", 32) + `'`,
		"cancelled, in use":  `UPDATE exchange_number SET cancelled = 1`,
		"no revisions":       `DELETE FROM exchange_revision`,
		"no first revision":  `DELETE FROM exchange_revision WHERE seq = 1`,
		"other revision":     `UPDATE exchange_revision SET pdf = (SELECT pdf FROM exchange_revision WHERE seq = 2 LIMIT 1) WHERE seq = 1`,
		"subject":            `UPDATE exchange_document SET subject = 'Về việc khác'`,
		"signer":             `UPDATE exchange_document SET signer_name = 'Người khác'`,
		"notation":           `UPDATE exchange_document SET notation = 'QĐ-XYZ'`,
		"date of issue":      `UPDATE exchange_document SET issued = issued - 86400000000`,
		"state":              `UPDATE exchange_document SET state = 'sealed'`,
		"lost document":      `DELETE FROM exchange_document WHERE number = 2`,
		"incoming status":    `UPDATE exchange_incoming SET status = '01' WHERE status = '03'`,
		"incoming, back":     `UPDATE exchange_incoming SET status = '01', version = 1, arrival_number = 0 WHERE status = '03'`,
		"incoming subject":   `UPDATE exchange_incoming SET subject = 'Về việc khác'`,
		"incoming signer":    `UPDATE exchange_incoming SET signer_name = 'Người khác'`,
		"incoming note":      `UPDATE exchange_incoming SET note = 'khác'`,
		"delivery, back":     `UPDATE exchange_delivery SET status = '01', step = 1, arrival_number = 0`,
		"delivery final":     `UPDATE exchange_delivery SET final = 1`,
		"delivery unsent":    `UPDATE exchange_delivery SET status = '', step = 0, transport = 'initial'`,
		"receipt note":       `UPDATE exchange_receipt SET note = 'khác'`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			ctx := context.Background()
			d := w.sent(t, 1, "H03.01")
			w.sent(t, 2, "H03.01")
			w.runLanes(t)
			if _, err := w.Register(ctx, w.as(clerk, "H03.01"), w.incoming(t, "H03.01", d.ID).ID); err != nil {
				t.Fatal(err)
			}
			w.runLanes(t)
			w.clean(t)
			db := w.store.DB.Writer()
			if _, err := db.ExecContext(ctx, `PRAGMA foreign_keys = OFF`); err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(ctx, plant); err != nil {
				t.Fatal(err)
			}
			found := 0
			if err := w.Check(ctx, func(p string) { found++ }); err != nil {
				t.Fatal(err)
			}
			if found == 0 {
				t.Error("not found")
			}
		})
	}
}

// TestVerdictOnce: many arrivals of one content cost one judgement.
func TestVerdictOnce(t *testing.T) {
	w := newWorld(t, worldOptions{})
	d := w.sent(t, 1, "H03.01", "H03.02", "H03.03")
	key := verdictKey{d.PDF.Digest, w.trust.Load().generation}
	kept := w.verdicts.get(key, w.clock.Now())
	if kept == nil {
		t.Fatal("what was judged when sealed is judged again")
	}
	got, err := w.judge(context.Background(), d.PDF)
	if err != nil || got != kept {
		t.Errorf("judged again: %v", err)
	}
	w.SetTrust(nil)
	if got, err = w.judge(context.Background(), d.PDF); err != nil || got.Verdict != signing.Indeterminate {
		t.Errorf("after the roots changed: %+v, %v", got, err)
	}
}

func TestRecentBytesAreBounded(t *testing.T) {
	c := newRecentBytes(1000)
	for i := range 100 {
		data := bytes.Repeat([]byte{byte(i)}, 100)
		c.put(blob.Sum(data), data)
	}
	if c.size > 1000 || len(c.items) != 10 || c.order.Len() != 10 {
		t.Errorf("%d bytes in %d items", c.size, len(c.items))
	}
	last := bytes.Repeat([]byte{99}, 100)
	if !bytes.Equal(c.get(blob.Sum(last)), last) {
		t.Error("the last is gone")
	}
	c.drop(blob.Sum(last))
	if c.get(blob.Sum(last)) != nil || c.size != 900 {
		t.Error("dropped and still there")
	}
}

// TestUnlockedKeysEnd: an opened key is forgotten, and only the right passphrase
// finds it.
func TestUnlockedKeysEnd(t *testing.T) {
	w := newWorld(t, worldOptions{})
	owner := registry.PersonOwner("p")
	p12, err := w.keys[StepInitial].ToPKCS12("a")
	if err != nil {
		t.Fatal(err)
	}
	first, err := w.unlocked.open(owner, p12, "a")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.unlocked.open(owner, p12, "a"); err != nil || again != first {
		t.Errorf("opened again: %v", err)
	}
	if _, err := w.unlocked.open(owner, p12, "b"); !errors.Is(err, keys.ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	w.clock.set(w.clock.Now().Add(unlockLife))
	if again, err := w.unlocked.open(owner, p12, "a"); err != nil || again == first {
		t.Errorf("not forgotten: %v", err)
	}
}
