package peer

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing/keys"
	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Defaults of Config.
const (
	DefaultMaxPart   = 4 << 30
	DefaultChunk     = 4 << 20
	DefaultMaxStored = 32 << 30
	DefaultPollEvery = 5 * time.Minute

	maxSkew     = 5 * time.Minute
	partKept    = 24 * time.Hour // a part that nothing has named
	nonceKept   = 3 * maxSkew
	maxJSON     = 4 << 20 // of a body that is not a part
	maxChunk    = 64 << 20
	eventBatch  = 100
	deltaBatch  = 1000
	cardKept    = 10 * time.Minute
	maxReceiver = 1 // of one consignment
)

// Config of New. All but Now, Logger, HTTP, URL, TLSPins and the numbers are required.
type Config struct {
	DB       *sqldb.DB
	Blobs    blob.Backend
	Jobs     *jobs.Queue
	Registry *registry.Registry
	Service  *exchange.Service
	Key      []byte // 32 bytes that seal this hub's private keys and derive content keys
	Dir      string // for parts on their way; made when it is not there
	Name     string // of this hub, for people
	URL      string // under which other hubs reach this one, "" = they do not (it pulls)
	// ReceiptKey and ContentKey give the keys of an agency of this hub that sign receipts and open content.
	ReceiptKey func(ctx context.Context, a registry.AgencyID) (*keys.Key, error)
	ContentKey func(ctx context.Context, a registry.AgencyID) (*keys.Key, error)
	TLSPins    []string // SHA-256 of this hub's TLS keys (SubjectPublicKeyInfo, base64url)
	Now        func() time.Time
	Logger     *slog.Logger
	HTTP       *http.Transport // nil = one of its own for each hub
	AllowPlain bool            // http without TLS elsewhere than on loopback

	MaxPart   int64         // bytes of one encrypted part; 0 = DefaultMaxPart
	MaxStored int64         // bytes of parts that wait, for one hub; 0 = DefaultMaxStored
	Chunk     int64         // bytes of a part in one request; 0 = DefaultChunk
	PollEvery time.Duration // how often other hubs are asked for news; 0 = DefaultPollEvery
}

// Peers is this hub among others. It is safe for concurrent use.
type Peers struct {
	cfg   Config
	box   cipher.AEAD
	parts *parts
	mux   *http.ServeMux

	mu    sync.Mutex
	self  *self
	links map[string]*link // by hub
	cards map[registry.AgencyID]card
	trees map[treeKey]*keptTree
}

// New brings the tables up to date, takes on the channel "hub" of the exchange and registers its jobs. Call it before
// the queue starts.
func New(ctx context.Context, cfg Config) (*Peers, error) {
	if cfg.DB == nil || cfg.Blobs == nil || cfg.Jobs == nil || cfg.Registry == nil || cfg.Service == nil || cfg.ReceiptKey == nil ||
		cfg.ContentKey == nil || cfg.Dir == "" || len(cfg.Key) != 32 {
		return nil, errors.New("exchange between hubs needs a database, blobs, jobs, the registry, the exchange, keys of agencies, a folder and a key of 32 bytes")
	}
	cfg.setDefaults()
	schema, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		return nil, fmt.Errorf("opening the schema of peers: %w", err)
	}
	if err := cfg.DB.Migrate(ctx, "peer", schema); err != nil {
		return nil, fmt.Errorf("bringing the tables of peers up to date: %w", err)
	}
	block, err := aes.NewCipher(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("the key of peers: %w", err)
	}
	p := &Peers{cfg: cfg, links: map[string]*link{}, cards: map[registry.AgencyID]card{}, trees: map[treeKey]*keptTree{}}
	if p.box, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("the key of peers: %w", err)
	}
	p.parts = newParts(filepath.Join(cfg.Dir, "parts"), cfg.MaxPart, cfg.MaxStored, cfg.Now)
	if _, err := p.own(ctx); err != nil {
		return nil, err
	}
	p.routes()
	cfg.Jobs.Handle(jobPush, p.runPush)
	cfg.Jobs.Handle(jobPoll, p.runPoll)
	cfg.Service.AddCarrier(exchange.ChannelHub, p)
	return p, nil
}

func (cfg *Config) setDefaults() {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxPart <= 0 {
		cfg.MaxPart = DefaultMaxPart
	}
	if cfg.MaxStored <= 0 {
		cfg.MaxStored = DefaultMaxStored
	}
	if cfg.Chunk <= 0 {
		cfg.Chunk = DefaultChunk
	}
	cfg.Chunk = min(cfg.Chunk, maxChunk)
	if cfg.PollEvery <= 0 {
		cfg.PollEvery = DefaultPollEvery
	}
}

func (p *Peers) now() time.Time { return p.cfg.Now().UTC().Truncate(time.Microsecond) }

// Resume puts the jobs in place that ask other hubs for news and bring them theirs. The hub calls it when it starts.
func (p *Peers) Resume(ctx context.Context) error {
	err := p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		hubs, err := selectHubs(ctx, tx)
		for i := range hubs {
			if err == nil && !hubs[i].Disabled {
				err = p.wakeHub(ctx, tx, hubs[i].ID)
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("resuming the exchange with other hubs: %w", err)
	}
	return nil
}

// wakeHub puts the jobs of one hub into the queue.
func (p *Peers) wakeHub(ctx context.Context, tx *sqldb.Tx, hub string) error {
	for _, kind := range []jobs.Kind{jobPush, jobPoll} {
		if err := p.cfg.Jobs.Add(ctx, tx, kind, hubArgs{hub}, jobs.AddOptions{Lane: hub}); err != nil {
			return err
		}
	}
	return nil
}

// ServeHTTP answers /.well-known/hx and /hx/v1.
func (p *Peers) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }
