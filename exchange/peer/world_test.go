package peer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/storage"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// station is a hub with its agencies, which can be stopped and opened again over the same data.
type station struct {
	name     string
	dir      string
	agencies []registry.Agency
	cfg      storage.Config
	change   func(*Config)
	now      func() time.Time

	authority *pki.Authority
	keysMu    sync.Mutex
	receipts  map[registry.AgencyID]*keys.Key
	signing   *keys.Key

	store   *storage.Store
	reg     *registry.Registry
	service *exchange.Service
	peers   *Peers
	people  map[string]registry.Actor

	mu   sync.RWMutex
	http *httptest.Server
}

func identity(tb testing.TB, name certs.Name) *keys.Key {
	tb.Helper()
	signer, chain := certs.Identity(tb, name)
	k, err := keys.New(signer, chain...)
	check(tb, err)
	return k
}

// newStation makes a hub that serves agencies with these codes.
func newStation(tb testing.TB, name string, change func(*Config), codes ...string) *station {
	tb.Helper()
	dir := tb.TempDir()
	check(tb, storage.Init(dir))
	authority, err := pki.NewAuthority(pkix.Name{CommonName: name}, pki.Options{})
	check(tb, err)
	s := &station{name: name, dir: dir, authority: authority, receipts: map[registry.AgencyID]*keys.Key{}, signing: identity(tb, certs.SealEC), change: change,
		now: time.Now, people: map[string]registry.Actor{}, cfg: storage.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler), Now: time.Now}}
	for i, code := range codes {
		s.agencies = append(s.agencies, registry.Agency{ID: registry.AgencyID(code), Name: fmt.Sprintf("Cơ quan %s %d", name, i), Symbol: "UBND", Place: "Bắc Kạn"})
	}
	// The address stays while the hub behind it is stopped, and does not answer then.
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.RLock()
		p := s.peers
		s.mu.RUnlock()
		if p == nil {
			panic(http.ErrAbortHandler)
		}
		p.ServeHTTP(w, r)
	}))
	tb.Cleanup(s.http.Close)
	s.open(tb)
	tb.Cleanup(func() { s.close(tb) })
	s.populate(tb)
	check(tb, s.store.Start(context.Background()))
	return s
}

func (s *station) key(_ context.Context, a registry.AgencyID) (*keys.Key, error) {
	s.keysMu.Lock()
	defer s.keysMu.Unlock()
	if k := s.receipts[a]; k != nil {
		return k, nil
	}
	k, err := s.authority.Issue(pki.IssueRequest{Subject: pkix.Name{CommonName: "Biên nhận " + string(a)}, Usage: pki.UsageReceipt})
	s.receipts[a] = k
	return k, err
}

func (s *station) open(tb testing.TB) {
	tb.Helper()
	ctx := context.Background()
	store, err := storage.Open(ctx, s.cfg)
	check(tb, err)
	s.store = store
	s.reg, err = registry.New(store.DB, registry.Options{Now: s.now})
	check(tb, err)
	s.service, err = exchange.New(exchange.Config{Store: store, Registry: s.reg, Trust: &pki.Trust{Roots: certs.Roots(tb)}, Offline: true, AllowTestKeys: true,
		ReceiptKey: s.key, Now: s.now})
	check(tb, err)
	cfg := Config{DB: store.DB, Blobs: store.Blobs, Jobs: store.Jobs, Registry: s.reg, Service: s.service, Key: bytes.Repeat([]byte(s.name[:1]), 32), Dir: s.dir,
		Name: "Máy chủ " + s.name, URL: s.http.URL, ReceiptKey: s.key, ContentKey: s.key, Now: s.now}
	if os.Getenv("VANTHU_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With(slog.String("at", s.name))
	}
	if s.change != nil {
		s.change(&cfg)
	}
	p, err := New(ctx, cfg)
	check(tb, err)
	s.mu.Lock()
	s.peers = p
	s.mu.Unlock()
}

func (s *station) close(tb testing.TB) {
	tb.Helper()
	s.mu.Lock()
	open := s.peers != nil
	s.peers = nil
	s.mu.Unlock()
	if open {
		check(tb, s.store.Close(context.Background()))
	}
}

// restart stops the hub in the middle of whatever it does and opens it again.
func (s *station) restart(tb testing.TB) {
	tb.Helper()
	s.close(tb)
	s.open(tb)
	check(tb, s.service.Resume(context.Background()))
	check(tb, s.peers.Resume(context.Background()))
	check(tb, s.store.Start(context.Background()))
}

func (s *station) populate(tb testing.TB) {
	tb.Helper()
	ctx := context.Background()
	system := registry.System("test")
	for _, a := range s.agencies {
		check(tb, s.reg.AddAgency(ctx, system, a))
		for _, role := range registry.Roles() {
			p, err := s.reg.AddPerson(ctx, system, registry.Person{Login: string(role) + string(a.ID), Name: string(role), Agency: a.ID, Roles: []registry.Role{role}}, "")
			check(tb, err)
			actor, err := s.reg.ActorOf(ctx, p.ID)
			check(tb, err)
			s.people[string(role)+"@"+string(a.ID)] = actor
			check(tb, s.reg.AddCertificate(ctx, system, registry.PersonOwner(p.ID), identity(tb, certs.LeaderEC).Certificate))
		}
		check(tb, s.reg.AddCertificate(ctx, system, registry.AgencyOwner(a.ID), s.signing.Certificate))
	}
}

func (s *station) as(role registry.Role, a registry.AgencyID) registry.Actor {
	return s.people[string(role)+"@"+string(a)]
}

// connect lets two hubs know each other and waits until each knows the other's agencies.
func connect(tb testing.TB, a, b *station) {
	tb.Helper()
	ctx := context.Background()
	for _, pair := range [][2]*station{{a, b}, {b, a}} {
		from, to := pair[0], pair[1]
		d, _, err := to.peers.Describe(ctx)
		check(tb, err)
		_, err = from.peers.Add(ctx, Addition{URL: to.http.URL, Key: d.Keys[0].Public})
		check(tb, err)
	}
	for _, pair := range [][2]*station{{a, b}, {b, a}} {
		d, _, err := pair[1].peers.Describe(ctx)
		check(tb, err)
		check(tb, pair[0].peers.Sync(ctx, d.Hub))
	}
}

func (s *station) id(tb testing.TB) string {
	tb.Helper()
	d, _, err := s.peers.Describe(context.Background())
	check(tb, err)
	return d.Hub
}

// samplePDF makes a one-page PDF; n makes each one different.
func samplePDF(n string, padding int) []byte {
	content := fmt.Sprintf("BT /F1 12 Tf 72 700 Td (Document %s) Tj ET %% %s", n, bytes.Repeat([]byte("x"), padding))
	var b bytes.Buffer
	var offsets []int
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	for i, o := range []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(content), content),
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

// send takes a document through everything up to sending.
func (s *station) send(tb testing.TB, from registry.AgencyID, n string, padding int, to ...registry.AgencyID) *exchange.Document {
	tb.Helper()
	ctx := context.Background()
	d, err := s.service.Draft(ctx, s.as(registry.RoleOfficer, from), exchange.DraftInput{Type: "QĐ", Subject: "Về việc " + n, SignerName: "Nguyễn Văn A",
		SignerPosition: "Chủ tịch", Competence: "TM.", PDF: bytes.NewReader(samplePDF(n, padding))})
	check(tb, err)
	d, _, err = s.service.Sign(ctx, s.as(registry.RoleLeader, from), d.ID, exchange.SignInput{Step: exchange.StepApprove, Key: identity(tb, certs.LeaderEC), Invisible: true})
	check(tb, err)
	d, _, err = s.service.Sign(ctx, s.as(registry.RoleClerk, from), d.ID, exchange.SignInput{Step: exchange.StepSeal, Key: s.signing, Invisible: true})
	check(tb, err)
	d, _, err = s.service.Send(ctx, s.as(registry.RoleClerk, from), d.ID, to)
	check(tb, err)
	return d
}

// until waits for a condition.
func until(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(90 * time.Second); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}

func (s *station) delivery(tb testing.TB, d *exchange.Document, to registry.AgencyID) exchange.Delivery {
	tb.Helper()
	list, err := s.service.Deliveries(context.Background(), s.as(registry.RoleClerk, d.Agency), d.ID)
	check(tb, err)
	for _, v := range list {
		if v.Recipient == to {
			return v
		}
	}
	tb.Fatalf("no delivery of %s to %s", d.ID, to)
	return exchange.Delivery{}
}

func (s *station) incoming(tb testing.TB, a registry.AgencyID) []exchange.Incoming {
	tb.Helper()
	var out []exchange.Incoming
	for after := ""; ; {
		page, err := s.service.Incomings(context.Background(), s.as(registry.RoleClerk, a), exchange.IncomingFilter{Limit: 200, After: after})
		check(tb, err)
		out = append(out, page.Items...)
		if after = page.Next; after == "" {
			return out
		}
	}
}

// sound has everything judged that a hub keeps.
func (s *station) sound(tb testing.TB) {
	tb.Helper()
	_, err := s.service.CountRate(context.Background())
	check(tb, err)
	check(tb, s.service.Check(context.Background(), func(problem string) { tb.Errorf("%s: check: %s", s.name, problem) }))
}

func mustKey(tb testing.TB, s *station, a registry.AgencyID) *x509.Certificate {
	tb.Helper()
	k, err := s.key(context.Background(), a)
	check(tb, err)
	return k.Certificate
}

func mustSelf(tb testing.TB, s *station) Key {
	tb.Helper()
	d, _, err := s.peers.Describe(context.Background())
	check(tb, err)
	return d.Keys[0]
}

func mustJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := json.Marshal(v)
	check(tb, err)
	return b
}

func testSigner(now time.Time) signer {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := private.Public().(ed25519.PublicKey)
	return signer{Key{ID: keyID(public), Public: base64.RawURLEncoding.EncodeToString(public), From: now.Add(-time.Hour)}, private}
}
