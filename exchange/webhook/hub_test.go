package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/storage"
	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// hub is an exchange with webhooks over a data folder that can be closed and opened again.
type hub struct {
	t        *testing.T
	dir      string
	postgres string
	key      []byte
	change   func(*Config)
	log      lockedBuffer
	store    *storage.Store
	service  *exchange.Service
	registry *registry.Registry
	hooks    *Hooks
	admin    registry.Actor
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func each(t *testing.T, test func(t *testing.T, postgres bool)) {
	t.Run("sqlite", func(t *testing.T) { test(t, false) })
	t.Run("postgres", func(t *testing.T) { test(t, true) })
}

func newHub(t *testing.T, postgres bool, change func(*Config)) *hub {
	t.Helper()
	h := &hub{t: t, dir: t.TempDir(), key: make([]byte, KeySize), change: change}
	rand.Read(h.key) // never fails
	if postgres {
		h.postgres = sqldbtest.PostgresURL(t)
	}
	if err := storage.Init(h.dir); err != nil {
		t.Fatal(err)
	}
	h.open()
	t.Cleanup(func() { h.close() })
	by := registry.System("test")
	for _, a := range []registry.Agency{{ID: "H99", Name: "Tỉnh Bắc Sơn"}, {ID: "H98", Name: "Tỉnh Nam Sơn"}} {
		a.Symbol, a.Place, a.Channel = "UBND", "Bắc Sơn", registry.ChannelLocal
		if err := h.registry.AddAgency(t.Context(), by, a); err != nil {
			t.Fatal(err)
		}
	}
	h.admin = h.person("quantri", "H99", registry.RoleAdministrator)
	return h
}

func (h *hub) person(login string, agency registry.AgencyID, roles ...registry.Role) registry.Actor {
	h.t.Helper()
	p, err := h.registry.AddPerson(h.t.Context(), registry.System("test"), registry.Person{Login: login, Name: "Nguyễn " + login, Agency: agency, Roles: roles}, "mat-khau-dai-va-kho-doan")
	if err != nil {
		h.t.Fatal(err)
	}
	return registry.Actor{Person: p.ID, Name: p.Name, Agency: agency, Roles: roles}
}

func (h *hub) open() {
	h.t.Helper()
	ctx := context.Background()
	log := slog.New(slog.NewTextHandler(&h.log, nil))
	var err error
	if h.store, err = storage.Open(ctx, storage.Config{Dir: h.dir, PostgresURL: h.postgres, LogOrigin: "test/log", Logger: log}); err != nil {
		h.t.Fatal(err)
	}
	if h.registry, err = registry.New(h.store.DB, registry.Options{}); err != nil {
		h.t.Fatal(err)
	}
	h.service, err = exchange.New(exchange.Config{
		Store: h.store, Registry: h.registry, Trust: &pki.Trust{}, Logger: log,
		ReceiptKey: func(context.Context, registry.AgencyID) (*keys.Key, error) { return nil, keys.ErrNoKey },
	})
	if err != nil {
		h.t.Fatal(err)
	}
	cfg := Config{
		Service: h.service, Registry: h.registry, DB: h.store.DB, Jobs: h.store.Jobs, Key: h.key, Logger: log, AllowPrivate: true,
		Schedule: make([]time.Duration, 200), Timeout: 10 * time.Second,
	}
	for i := range cfg.Schedule {
		cfg.Schedule[i] = 20 * time.Millisecond
	}
	if h.change != nil {
		h.change(&cfg)
	}
	if h.hooks, err = New(cfg); err != nil {
		h.t.Fatal(err)
	}
	if err := h.store.Start(ctx); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hub) close() {
	if err := h.store.Close(context.Background()); err != nil {
		h.t.Error(err)
	}
}

// happen makes one event of an agency.
func (h *hub) happen(agency registry.AgencyID, kind, subject string) {
	err := h.store.DB.Update(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		return h.service.Record(ctx, tx, kind, subject, registry.System("test"), map[string]string{"agency": string(agency), "code": subject})
	})
	if err != nil {
		h.t.Error(err)
	}
}

func (h *hub) subscribe(url string, events ...string) (*Subscription, string) {
	h.t.Helper()
	s, secret, err := h.hooks.Add(h.t.Context(), h.admin, "", Input{URL: url, Events: events})
	if err != nil {
		h.t.Fatal(err)
	}
	return s, secret
}

func (h *hub) get(id ID) *Subscription {
	h.t.Helper()
	s, err := h.hooks.Get(h.t.Context(), h.admin, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// call is one request as a receiver had it.
type call struct {
	id, timestamp, signature string
	body                     []byte
}

// receiver is the other party's program. It keeps what it has taken, once by id.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []call
	taken  []call // in effect
	seen   map[string]bool
	answer func(n int, w http.ResponseWriter, r *http.Request) (taken bool)
}

// newReceiver answers the nth request (from 0) by answer; nil takes everything.
func newReceiver(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request) bool) *receiver {
	t.Helper()
	r := &receiver{seen: make(map[string]bool), answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c := call{request.Header.Get("webhook-id"), request.Header.Get("webhook-timestamp"), request.Header.Get("webhook-signature"), body}
	r.mu.Lock()
	n := len(r.calls)
	r.calls = append(r.calls, c)
	r.mu.Unlock()
	taken := true
	if r.answer != nil {
		taken = r.answer(n, w, request)
	}
	if !taken {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.seen[c.id] {
		r.seen[c.id] = true
		r.taken = append(r.taken, c)
	}
}

func (r *receiver) all() (calls, taken []call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]call{}, r.calls...), append([]call{}, r.taken...)
}

func (r *receiver) subjects(t *testing.T) []string {
	t.Helper()
	_, taken := r.all()
	var out []string
	for _, c := range taken {
		_, rest, _ := strings.Cut(string(c.body), `"subject":"`)
		subject, _, ok := strings.Cut(rest, `"`)
		if !ok {
			t.Fatalf("no subject in %s", c.body)
		}
		out = append(out, subject)
	}
	return out
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%03d", prefix, i)
	}
	return out
}
