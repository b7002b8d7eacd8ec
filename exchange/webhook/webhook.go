// Package webhook tells programs of other parties what happens, by the Standard
// Webhooks specification 1.0: a signed HTTPS POST per event, in order,
// repeated until the receiver has it, with a log of every attempt and replay.
//
// An event becomes a message per subscription in the transaction of the act, so
// that none is lost and none is told that did not happen. A lane job per
// subscription carries the messages one after the other: the next is not sent
// before the one before it has been taken. A receiver sees a message at least
// once; its webhook-id stays the same, so that it can be taken once in effect.
package webhook

import (
	"context"
	"crypto/cipher"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// KeySize is the length of Config.Key in bytes (AES-256).
const KeySize = 32

// Config of New. Service, Registry, DB, Jobs and Key are required.
type Config struct {
	Service  *exchange.Service
	Registry *registry.Registry
	DB       *sqldb.DB
	Jobs     *jobs.Queue
	Key      []byte // KeySize bytes: seals the secrets at rest
	Now      func() time.Time
	Logger   *slog.Logger
	// AllowPrivate lets a receiver stand on a loopback or private address, and be
	// spoken to without TLS: for receivers beside the hub and for trials.
	AllowPrivate bool
	// Schedule is how long to wait after each failed attempt; nil = Schedule().
	// When it is used up the subscription is disabled.
	Schedule []time.Duration
	Timeout  time.Duration // of one attempt; 0 = 15 s
}

// Schedule is the default of Config.Schedule: 12 attempts over three days and
// three hours, as the specification recommends.
func Schedule() []time.Duration {
	return []time.Duration{5 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 10 * time.Hour, 12 * time.Hour, 12 * time.Hour, 24 * time.Hour}
}

// Hooks keeps the subscriptions and carries their messages. It is safe for
// concurrent use.
type Hooks struct {
	cfg    Config
	db     *sqldb.DB
	log    *slog.Logger
	seal   cipher.AEAD
	client *http.Client
}

const jobDeliver jobs.Kind = "webhook.deliver" // lane by subscription

// New brings the tables up to date, follows the exchange's events and registers
// the job handler. Call it before Store.Start.
func New(cfg Config) (*Hooks, error) {
	if cfg.Service == nil || cfg.Registry == nil || cfg.DB == nil || cfg.Jobs == nil {
		return nil, errors.New("webhooks need the exchange, the registry, a database and a queue")
	}
	seal, err := newSeal(cfg.Key)
	if err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Schedule == nil {
		cfg.Schedule = Schedule()
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 15 * time.Second
	}
	schema, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		return nil, fmt.Errorf("opening the webhook schema: %w", err)
	}
	if err := cfg.DB.Migrate(context.Background(), "webhook", schema); err != nil {
		return nil, fmt.Errorf("bringing the webhook tables up to date: %w", err)
	}
	h := &Hooks{cfg: cfg, db: cfg.DB, log: cfg.Logger, seal: seal, client: newClient(cfg.AllowPrivate, cfg.Timeout)}
	cfg.Service.Follow(h.follow)
	cfg.Jobs.Handle(jobDeliver, h.deliver)
	return h, nil
}

// ID names a subscription (UUIDv7).
type ID string

// State is whether a subscription is told of events.
type State string

// The states of a subscription.
const (
	StateActive   State = "active"   // đang hoạt động
	StatePaused   State = "paused"   // tạm dừng: messages gather
	StateDisabled State = "disabled" // đã ngắt after long failure: no more messages are made
)

// Subscription is a program of one agency that is told of events.
type Subscription struct {
	ID          ID                `json:"id"`
	Agency      registry.AgencyID `json:"agency"`
	URL         string            `json:"url"`
	Description string            `json:"description"`
	Events      []string          `json:"events"` // kinds, "document.*" for all of a group; empty = every event
	State       State             `json:"state"`
	Reason      string            `json:"reason,omitempty"`       // why it was disabled
	OldUntil    time.Time         `json:"old_until,omitzero"`     // the secret before the last rotation signs too until then
	Last        int64             `json:"last"`                   // number of the latest message
	Waiting     int64             `json:"waiting"`                // messages not delivered yet
	Failing     time.Time         `json:"failing_since,omitzero"` // nothing has got through since
	Created     time.Time         `json:"created"`
	Updated     time.Time         `json:"updated"`

	secret, oldSecret string // sealed
	createdBy         string
}

// Message is one event for one subscription.
type Message struct {
	Subscription ID        `json:"subscription"`
	Seq          int64     `json:"seq"`
	ID           string    `json:"id"` // the header webhook-id
	Kind         string    `json:"kind"`
	Subject      string    `json:"subject"`
	At           time.Time `json:"at"`
	State        string    `json:"state"` // waiting, delivered, skipped
	Attempts     int       `json:"attempts"`
	Next         time.Time `json:"next,omitzero"`
	Delivered    time.Time `json:"delivered,omitzero"`

	body string
}

// The states of a message.
const (
	MessageWaiting   = "waiting"
	MessageDelivered = "delivered"
	MessageSkipped   = "skipped" // by an administrator
)

// Attempt is one try to deliver a message.
type Attempt struct {
	ID     string        `json:"id"`
	Seq    int64         `json:"seq"`
	At     time.Time     `json:"at"`
	Took   time.Duration `json:"took_ns"`
	Status int           `json:"status"`           // HTTP; 0 = no answer
	Error  string        `json:"error,omitempty"`  // why there was no answer
	Answer string        `json:"answer,omitempty"` // its first characters, at most 512
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func (h *Hooks) now() time.Time { return h.cfg.Now().UTC().Truncate(time.Microsecond) }
