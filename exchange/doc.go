// Package exchange is the life of an official document: drafted, signed by
// people and sealed by the agency, numbered, sent to other agencies with proof
// of every step, received, registered, answered, archived and counted.
//
// It owns the tables exchange_*. Every act and its evidence entry are one
// transaction; what leaves the process is a job written in that transaction;
// bytes are stored before the row that names them; our own validator judges
// every PDF and every receipt, received or just signed.
package exchange

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange/registry"
	"vanthu/mail"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
	"vanthu/storage"
	"vanthu/storage/jobs"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Defaults of Config.
const (
	DefaultMaxPDF    = 50 << 20
	DefaultRetention = 10 * 365 * 24 * time.Hour
	DefaultSealSize  = 25.0 // mm, the circle of the drawing in NĐ 30/2020 Phụ lục I; the real size is the agency's
)

// Config of New. Store, Registry and ReceiptKey are required.
type Config struct {
	Store    *storage.Store
	Registry *registry.Registry
	Mail     *mail.Store // nil = no notification mail
	// ReceiptKey gives the key with which an agency of this hub signs its receipts.
	ReceiptKey func(ctx context.Context, a registry.AgencyID) (*keys.Key, error)
	TSA        tsa.Client // nil = signatures without a time stamp
	Trust      *pki.Trust
	Offline    bool // never ask the network for revocation data
	// Fetcher asks the authorities of trusted chains about revocation; nil asks nobody. RequireRevocation lets no
	// signature pass whose status cannot be learnt.
	Fetcher           *pki.Fetcher
	RequireRevocation bool
	Revocation        signing.RevocationSource // for what is signed here and has to last; nil = Trust and nothing else
	Now               func() time.Time
	Logger            *slog.Logger
	MaxPDF            int64         // bytes; 0 = DefaultMaxPDF
	Retention         time.Duration // of archived packages; 0 = DefaultRetention
	AllowTestKeys     bool          // let keys of the test authority sign
	RequireInitial    bool          // nobody approves a draft that nobody initialled
	NumberOnPaper     bool          // drafts bring number and date in print: no fields are placed for the seal to fill in
	SealSize          float64       // width and height of the seal's image in mm; 0 = DefaultSealSize
	Domain            string        // of the notification mail's sender; "" = vanthu.local
}

// Service is the life of documents. It is safe for concurrent use.
type Service struct {
	cfg    Config
	db     *sqldb.DB
	jobs   *jobs.Queue
	ledger *ledger.Ledger
	reg    *registry.Registry
	log    *slog.Logger

	trust    atomic.Pointer[trustState]
	verdicts *verdicts
	unlocked *unlocked
	recent   *recentBytes
	lanes    lanes
	rateMu   sync.Mutex // one counting of the evidence at a time
	search   searchIndexes
	searchMu sync.Mutex // one reader at a time

	followers []Follower
	watchers  watchers
	carriers  map[string]Carrier
}

// New brings the tables up to date and registers the job handlers. Call it
// before Store.Start.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Registry == nil || cfg.ReceiptKey == nil {
		return nil, errors.New("exchange needs a store, a registry and receipt keys")
	}
	cfg.setDefaults()
	s := &Service{cfg: cfg, db: cfg.Store.DB, jobs: cfg.Store.Jobs, ledger: cfg.Store.Ledger, reg: cfg.Registry, log: cfg.Logger}
	schema, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		return nil, fmt.Errorf("opening the exchange schema: %w", err)
	}
	if err := s.db.Migrate(context.Background(), "exchange", schema); err != nil {
		return nil, fmt.Errorf("bringing the exchange tables up to date: %w", err)
	}
	if err := s.openSearch(context.Background()); err != nil {
		return nil, err
	}
	s.SetTrust(cfg.Trust)
	s.verdicts = newVerdicts()
	s.unlocked = newUnlocked(cfg.Now)
	s.recent = newRecentBytes(recentBudget)
	s.jobs.Handle(jobDeliver, s.runDeliveries)
	s.jobs.Handle(jobReceipts, s.runReceipts)
	s.jobs.Handle(jobNotify, s.runNotify)
	s.jobs.Handle(jobArchive, s.runArchive)
	s.jobs.Handle(jobNotices, s.runNotices)
	s.jobs.Handle(jobWatch, s.runWatch)
	s.jobs.Handle(jobMove, s.runMove)
	s.jobs.Handle(jobLater, s.runLater)
	s.jobs.Handle(jobDigest, s.runDigest)
	return s, nil
}

func (cfg *Config) setDefaults() {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxPDF <= 0 {
		cfg.MaxPDF = DefaultMaxPDF
	}
	if cfg.Retention <= 0 {
		cfg.Retention = DefaultRetention
	}
	if cfg.SealSize <= 0 {
		cfg.SealSize = DefaultSealSize
	}
	if cfg.Domain == "" {
		cfg.Domain = "vanthu.local"
	}
}

// SetTrust replaces the trusted roots; verdicts kept from before are forgotten.
func (s *Service) SetTrust(t *pki.Trust) {
	var generation uint64
	if old := s.trust.Load(); old != nil {
		generation = old.generation + 1
	}
	s.trust.Store(&trustState{t, generation})
}

type trustState struct {
	trust      *pki.Trust
	generation uint64
}

// clock gives the time as rows keep it: UTC, microseconds.
func (s *Service) clock() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// newID makes a UUIDv7: ordered by time, so that lists page by id.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

func validID(s string) bool {
	u, err := uuid.Parse(s)
	return err == nil && u.String() == s
}

// facts is the body of an evidence entry and the parameters of an event.
type facts map[string]string

func (s *Service) facts(by registry.Actor) facts {
	f := facts{"actor_name": by.Name, "agency": string(by.Agency)}
	if m := by.OnBehalfOf; m != nil {
		f["on_behalf_of"], f["on_behalf_name"], f["delegation"], f["form"] = string(m.Person), m.Name, m.Delegation, string(m.Form)
	}
	return f
}

// evidence writes an entry in the acting transaction and announces it to those
// who follow the agency.
func (s *Service) evidence(ctx context.Context, tx *sqldb.Tx, kind, subject string, at time.Time, by registry.Actor, f facts) error {
	body, err := json.Marshal(f) // keys in order: a map of strings
	if err != nil {
		return fmt.Errorf("encoding evidence: %w", err)
	}
	e := ledger.Entry{Kind: kind, Subject: subject, At: at, Actor: by.Tag(), Body: body}
	id, err := s.ledger.Append(ctx, tx, e)
	if err != nil {
		return err
	}
	return s.announce(ctx, tx, id, &e, f)
}

// lanes lets one handler at a time work on a lane in this process, whatever the
// name of the job that woke it.
type lanes struct {
	mu   sync.Mutex
	held map[string]*laneLock
}

type laneLock struct {
	sync.Mutex
	users int
}

func (l *lanes) lock(name string) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*laneLock{}
	}
	h := l.held[name]
	if h == nil {
		h = &laneLock{}
		l.held[name] = h
	}
	h.users++
	l.mu.Unlock()
	h.Lock()
	return func() {
		h.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.held, name)
		}
	}
}

// Page is one page of a list; Next is the After of the following one, "" at the end.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

func pageLimit(n int) int {
	if n <= 0 {
		return 50
	}
	return min(n, 200)
}

// page makes a page of a list that was read with one item too many.
func page[T any](list []T, limit int, key func(T) string) Page[T] {
	if len(list) <= limit {
		return Page[T]{Items: list}
	}
	return Page[T]{Items: list[:limit], Next: key(list[limit-1])}
}
