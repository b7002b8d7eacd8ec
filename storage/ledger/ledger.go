// Package ledger owns the evidence: entries written in the acting transaction
// and the Merkle log made of them.
package ledger

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"vanthu/storage/sqldb"
)

// EntryID names one entry (UUIDv7).
type EntryID string

// Entry is one piece of evidence.
type Entry struct {
	ID      EntryID
	Kind    string
	Subject string
	At      time.Time
	Actor   string
	Body    json.RawMessage
}

// Record is an entry and its place in the log.
type Record struct {
	Entry
	Index int64 // -1 until sequenced
}

// Proof shows that an entry is in the log.
type Proof struct {
	Leaf       []byte      `json:"leaf"`
	Index      int64       `json:"index"`
	Hashes     []tlog.Hash `json:"hashes"`
	Checkpoint string      `json:"checkpoint"`
	Entry      Entry       `json:"entry"`
	Salt       []byte      `json:"salt"`
}

// Options of a ledger.
type Options struct {
	Logger   *slog.Logger
	Now      func() time.Time
	Interval time.Duration
}

// ErrNotFound: no such entry; ErrPending: the entry is not in the log yet.
var (
	ErrNotFound = errors.New("entry not found")
	ErrPending  = errors.New("entry is not in the log yet")
)

// Ledger is the evidence store.
type Ledger struct{ db *sqldb.DB }

func New(db *sqldb.DB, key ed25519.PrivateKey, origin string, opts Options) (*Ledger, error) {
	return &Ledger{db: db}, nil
}
func (l *Ledger) Append(ctx context.Context, tx *sqldb.Tx, e Entry) (EntryID, error) {
	return "", errors.ErrUnsupported
}
func (l *Ledger) Entries(ctx context.Context, tx *sqldb.Tx, subject string) ([]Record, error) {
	return nil, errors.ErrUnsupported
}
func (l *Ledger) Start(ctx context.Context)                      {}
func (l *Ledger) Stop()                                          {}
func (l *Ledger) Sequence(ctx context.Context) (int, error)      { return 0, errors.ErrUnsupported }
func (l *Ledger) Checkpoint(ctx context.Context) (string, error) { return "", errors.ErrUnsupported }
func (l *Ledger) Prove(ctx context.Context, id EntryID) (*Proof, error) {
	return nil, errors.ErrUnsupported
}
func (l *Ledger) Check(ctx context.Context, yield func(problem string)) error {
	return errors.ErrUnsupported
}
func (l *Ledger) VerifierKey() string { return "" }

// VerifyProof checks a proof with the log's public key alone.
func VerifyProof(vkey string, p *Proof) error { return errors.ErrUnsupported }
