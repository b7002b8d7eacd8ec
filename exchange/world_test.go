package exchange

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/exchange/registry"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/storage"
	"vanthu/storage/sqldb/sqldbtest"
)

// world is a small province on a hub: four agencies with a clerk, a leader and
// an officer each, keys of the test authority, real storage in a temp folder.
type world struct {
	*Service
	store    *storage.Store
	agencies []registry.AgencyID
	people   map[string]registry.Actor // "clerk@H03"
	clock    *testClock
	keys     map[Step]*keys.Key
}

// testClock moves only when told, by a microsecond a reading so that times order.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Microsecond)
	return c.now
}

func (c *testClock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

type worldOptions struct {
	postgres bool
	change   func(*Config)
	start    bool   // run the jobs
	dir      string // a data folder that is there already; "" = a new one
}

// each runs a test on SQLite, and on PostgreSQL where there is one.
func each(t *testing.T, test func(t *testing.T, postgres bool)) {
	t.Run("sqlite", func(t *testing.T) { test(t, false) })
	t.Run("postgres", func(t *testing.T) { test(t, true) })
}

func newWorld(tb testing.TB, o worldOptions) *world {
	tb.Helper()
	ctx := context.Background()
	dir := o.dir
	if dir == "" {
		dir = tb.TempDir()
		if err := storage.Init(dir); err != nil {
			tb.Fatal(err)
		}
	}
	clock := &testClock{now: time.Date(2026, 3, 5, 1, 0, 0, 0, time.UTC)}
	cfg := storage.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler), Now: time.Now}
	if o.postgres {
		cfg.PostgresURL = sqldbtest.PostgresURL(tb)
	}
	store, err := storage.Open(ctx, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := store.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	reg, err := registry.New(store.DB, registry.Options{Now: clock.Now})
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{store: store, clock: clock, people: map[string]registry.Actor{}, keys: map[Step]*keys.Key{
		StepInitial: identity(tb, certs.OfficialEC), StepApprove: identity(tb, certs.LeaderEC), StepSeal: identity(tb, certs.SealEC),
	}}
	receipt := identity(tb, certs.SealSecond)
	c := Config{
		Store: store, Registry: reg, Trust: &pki.Trust{Roots: certs.Roots(tb)}, Offline: true, AllowTestKeys: true, Now: clock.Now,
		ReceiptKey: func(context.Context, registry.AgencyID) (*keys.Key, error) { return receipt, nil },
	}
	if o.change != nil {
		o.change(&c)
	}
	if w.Service, err = New(c); err != nil {
		tb.Fatal(err)
	}
	w.populate(tb, reg)
	if o.start {
		if err := store.Start(ctx); err != nil {
			tb.Fatal(err)
		}
	}
	return w
}

func identity(tb testing.TB, name certs.Name) *keys.Key {
	tb.Helper()
	signer, chain := certs.Identity(tb, name)
	k, err := keys.New(signer, chain...)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func (w *world) populate(tb testing.TB, reg *registry.Registry) {
	tb.Helper()
	ctx := context.Background()
	system := registry.System("test")
	for i, a := range []registry.Agency{
		{ID: "H03", Name: "UBND tỉnh Bắc Kạn", Symbol: "UBND", Place: "Bắc Kạn"},
		{ID: "H03.01", Name: "Sở Nội vụ", Symbol: "SNV", Place: "Bắc Kạn", Parent: "H03"},
		{ID: "H03.02", Name: "Sở Tài chính", Symbol: "STC", Place: "Bắc Kạn", Parent: "H03"},
		{ID: "H03.03", Name: "Sở Y tế", Symbol: "SYT", Place: "Bắc Kạn", Parent: "H03"},
	} {
		if err := reg.AddAgency(ctx, system, a); err != nil {
			tb.Fatal(err)
		}
		w.agencies = append(w.agencies, a.ID)
		for _, role := range registry.Roles() {
			p, err := reg.AddPerson(ctx, system, registry.Person{Login: fmt.Sprintf("%s%d", role, i), Name: fmt.Sprintf("%s %d", role, i),
				Agency: a.ID, Roles: []registry.Role{role}}, "")
			if err != nil {
				tb.Fatal(err)
			}
			actor, err := reg.ActorOf(ctx, p.ID)
			if err != nil {
				tb.Fatal(err)
			}
			w.people[fmt.Sprintf("%s@%s", role, a.ID)] = actor
			for _, k := range []Step{StepInitial, StepApprove} {
				w.vouch(tb, registry.PersonOwner(p.ID), w.keys[k].Certificate)
			}
		}
		w.vouch(tb, registry.AgencyOwner(a.ID), w.keys[StepSeal].Certificate)
	}
}

func (w *world) vouch(tb testing.TB, o registry.Owner, c *x509.Certificate) {
	tb.Helper()
	if err := w.reg.AddCertificate(context.Background(), registry.System("test"), o, c); err != nil {
		tb.Fatal(err)
	}
}

func (w *world) as(role registry.Role, a registry.AgencyID) registry.Actor {
	return w.people[fmt.Sprintf("%s@%s", role, a)]
}

const (
	clerk   = registry.RoleClerk
	leader  = registry.RoleLeader
	officer = registry.RoleOfficer
	admin   = registry.RoleAdministrator
)

// samplePDF makes a one-page A4 PDF with a classic cross-reference table; n
// makes each one different.
func samplePDF(n int) []byte {
	content := fmt.Sprintf("BT /F1 12 Tf 72 700 Td (Document %d) Tj ET", n)
	return onePage(fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(content), content))
}

func onePage(content string) []byte {
	var b bytes.Buffer
	var offsets []int
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	for i, o := range []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		content,
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	} {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, xref)
	return b.Bytes()
}

func (w *world) draft(tb testing.TB, n int) *Document {
	tb.Helper()
	d, err := w.Draft(context.Background(), w.as(officer, "H03"), DraftInput{
		Type: "QĐ", Subject: fmt.Sprintf("Về việc thử nghiệm số %d", n), SignerName: "Nguyễn Văn A", SignerPosition: "Chủ tịch", Competence: "TM.",
		PDF: bytes.NewReader(samplePDF(n)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (w *world) sign(tb testing.TB, d *Document, steps ...Step) *Document {
	tb.Helper()
	for _, step := range steps {
		role := map[Step]registry.Role{StepInitial: officer, StepApprove: leader, StepSeal: clerk}[step]
		signed, _, err := w.Sign(context.Background(), w.as(role, d.Agency), d.ID, SignInput{Step: step, Key: w.keys[step], Invisible: true})
		if err != nil {
			tb.Fatalf("%s: %v", step, err)
		}
		d = signed
	}
	return d
}

// sent takes a document through everything up to sending.
func (w *world) sent(tb testing.TB, n int, to ...registry.AgencyID) *Document {
	tb.Helper()
	d := w.sign(tb, w.draft(tb, n), StepInitial, StepApprove, StepSeal)
	d, _, err := w.Send(context.Background(), w.as(clerk, "H03"), d.ID, to)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// runLanes does by hand what the queue does: everything that waits, once.
func (w *world) runLanes(tb testing.TB) {
	tb.Helper()
	ctx := context.Background()
	for _, a := range w.agencies {
		arg := canonical(lane{a})
		for _, run := range []func(context.Context, []byte) error{
			func(ctx context.Context, b []byte) error { return w.runDeliveries(ctx, b) },
			func(ctx context.Context, b []byte) error { return w.runNotices(ctx, b) },
			func(ctx context.Context, b []byte) error { return w.runReceipts(ctx, b) },
			func(ctx context.Context, b []byte) error { return w.runNotify(ctx, b) },
		} {
			if err := run(ctx, arg); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

func (w *world) incoming(tb testing.TB, a registry.AgencyID, d DocumentID) *Incoming {
	tb.Helper()
	list, err := w.Incomings(context.Background(), w.as(clerk, a), IncomingFilter{Limit: 200})
	if err != nil {
		tb.Fatal(err)
	}
	for _, in := range list.Items {
		if in.Document == d {
			return &in
		}
	}
	tb.Fatalf("document %s has not arrived at %s", d, a)
	return nil
}

func (w *world) clean(tb testing.TB) {
	tb.Helper()
	if _, err := w.CountRate(context.Background()); err != nil { // so that Check has a projection to judge
		tb.Fatal(err)
	}
	if err := w.Check(context.Background(), func(p string) { tb.Errorf("check: %s", p) }); err != nil {
		tb.Fatal(err)
	}
}

func readAll(tb testing.TB, r io.ReadCloser, err error) []byte {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func wantKind(tb testing.TB, err error, k Kind) {
	tb.Helper()
	if KindOf(err) != k {
		tb.Fatalf("error %v, want kind %q", err, k)
	}
}

// keyless makes an agency's receipt key fail while *down.
func (w *world) keyless(down *bool, agency registry.AgencyID) func(context.Context, registry.AgencyID) (*keys.Key, error) {
	old := w.cfg.ReceiptKey
	return func(ctx context.Context, a registry.AgencyID) (*keys.Key, error) {
		if *down && a == agency {
			return nil, errors.New("the key store does not answer")
		}
		return old(ctx, a)
	}
}
