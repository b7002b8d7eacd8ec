// Package ledger owns the evidence of what was done: entries written in the
// transaction of the act itself, and the Merkle log made of them, which shows
// to anybody that an entry was there and that none was changed since.
//
// # Life of an entry
//
//  1. Append writes the entry in the acting transaction: the act and its
//     evidence are kept together or not at all.
//  2. The sequencer, woken by the commit, gives entries their places in the log
//     in the order of their commits (SQLite; on PostgreSQL an entry never comes
//     before one that was committed when it began), adds the leaves' hashes to
//     the tiles, and signs a checkpoint: the size and root hash of the log.
//  3. Prove gives the entry with its path to the root; VerifyProof checks it
//     with the log's public key and nothing else.
//  4. Check reads all entries again and compares them with the log.
//
// # What stands in the log
//
// A leaf is canonical JSON {"at","digest","id","kind","v"}. digest is the
// SHA-256 of a random salt of 16 bytes followed by the canonical JSON of
// {"actor","body","subject"}: nothing personal is in the log, which can never
// forget, and who has an entry and its salt can prove it.
//
// Hashes are those of RFC 6962 §2.1, checkpoints those of C2SP tlog-checkpoint
// signed with Ed25519, tiles those of C2SP tlog-tiles.
package ledger

import (
	"context"
	"crypto/ed25519"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"vanthu/storage/ledger/logproof"
	"vanthu/storage/sqldb"
)

//go:embed schema/*.sql
var schema embed.FS

// Errors that callers tell apart.
var (
	// ErrNotFound says that there is no such entry.
	ErrNotFound = errors.New("evidence entry not found")
	// ErrPending says that the entry is not in the log yet; it will be within
	// a second.
	ErrPending = errors.New("evidence entry is not in the log yet")
	// ErrProof says that a proof does not prove its entry.
	ErrProof = logproof.ErrProof
	// ErrKey says that the log in the database was signed by another key, or
	// under another origin, than the one given.
	ErrKey = errors.New("the log was signed by another key")
)

// EntryID names one entry: a UUIDv7.
type EntryID = logproof.EntryID

// Entry is one piece of evidence (chứng cứ).
type Entry = logproof.Entry

// Record is an entry and its place in the log.
type Record struct {
	Entry
	Index int64 // from 0; -1 until it is sequenced
}

// Options of a ledger. The zero value works.
type Options struct {
	Logger *slog.Logger     // failures of the sequencer; nil: silent
	Now    func() time.Time // nil: time.Now
	// Interval is the least time between two passes of the sequencer, so that
	// one signature serves many entries; 0 means 50 ms.
	Interval time.Duration
}

// Ledger is the evidence of one database. Its methods may be called from many
// goroutines.
type Ledger struct {
	db     *sqldb.DB
	origin string
	signer signer
	vkey   string
	opts   Options
	wake   chan struct{}

	pass sync.Mutex // one sequencing pass at a time
	mu   sync.Mutex // guards stop
	stop func()
}

// New opens the ledger and brings its tables up to date. origin names the log
// in its checkpoints, as a URL without scheme ("vanthu.example.gov.vn/log"),
// and must stay the same, as must the key.
func New(db *sqldb.DB, key ed25519.PrivateKey, origin string, opts Options) (*Ledger, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Interval <= 0 {
		opts.Interval = 50 * time.Millisecond
	}
	sign, vkey, err := newSigner(key, origin)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	l := &Ledger{db: db, origin: origin, signer: sign, vkey: vkey, opts: opts, wake: make(chan struct{}, 1)}
	files, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := db.Migrate(ctx, "ledger", files); err != nil {
		return nil, err
	}
	if err := l.checkKey(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// checkKey makes sure that the checkpoints so far are this key's.
func (l *Ledger) checkKey(ctx context.Context) error {
	return l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		text, err := loadNote(ctx, tx)
		if err != nil || text == "" {
			return err
		}
		if _, err := logproof.OpenCheckpoint(l.vkey, text); err != nil {
			return fmt.Errorf("%w: %w", ErrKey, err)
		}
		return nil
	})
}

// VerifierKey gives the public key of the log in the form of the Go checksum
// database: origin+hash+key.
func (l *Ledger) VerifierKey() string { return l.vkey }

// Append writes an entry as part of tx, makes its ID and salt, and has the
// sequencer woken after the commit.
func (l *Ledger) Append(ctx context.Context, tx *sqldb.Tx, e Entry) (EntryID, error) {
	if e.At.IsZero() {
		e.At = l.opts.Now()
	}
	e.At = e.At.UTC().Truncate(time.Microsecond)
	if err := e.Normalise(); err != nil {
		return "", fmt.Errorf("appending evidence: %w", err)
	}
	if err := insertEntry(ctx, tx, &e); err != nil {
		return "", fmt.Errorf("appending evidence: %w", err)
	}
	tx.AfterCommit(l.ring)
	return e.ID, nil
}

func (l *Ledger) ring() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Entries gives what was recorded of a subject, in order.
func (l *Ledger) Entries(ctx context.Context, tx *sqldb.Tx, subject string) ([]Record, error) {
	records, err := entriesOf(ctx, tx, subject)
	if err != nil {
		return nil, fmt.Errorf("reading evidence: %w", err)
	}
	return records, nil
}

// Start begins to sequence, beginning with what an earlier run left. ctx
// governs the start only: the sequencer works until Stop.
func (l *Ledger) Start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(ctx)
	}()
	l.stop = func() {
		cancel()
		<-done
	}
}

// Stop ends the sequencer after a last pass. Stopping twice is harmless.
func (l *Ledger) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop == nil {
		return
	}
	l.stop()
	l.stop = nil
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l.drain(ctx)
}

// run sequences until ctx ends. The timer is a net: for entries of other
// processes on PostgreSQL, and after a failed pass.
func (l *Ledger) run(ctx context.Context) {
	const net = time.Second
	for {
		l.drain(ctx)
		if !sleep(ctx, l.opts.Interval, nil) || !sleep(ctx, net, l.wake) {
			return
		}
	}
}

// drain sequences all there is.
func (l *Ledger) drain(ctx context.Context) {
	for {
		n, err := l.Sequence(ctx)
		if err != nil && ctx.Err() == nil {
			l.opts.Logger.Warn("sequencing the evidence failed; it will be tried again", slog.Any("error", err))
		}
		if err != nil || n < passLimit {
			return
		}
	}
}

// sleep waits for d, or a wake-up; false means that ctx ended.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-wake:
		return true
	case <-ctx.Done():
		return false
	}
}

// signer signs checkpoints.
type signer struct {
	verifier note.Verifier
	key      ed25519.PrivateKey
}

func newSigner(key ed25519.PrivateKey, origin string) (signer, string, error) {
	if len(key) != ed25519.PrivateKeySize {
		return signer{}, "", errors.New("the log's key is not an Ed25519 key")
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return signer{}, "", errors.New("the log's key has no Ed25519 public key")
	}
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return signer{}, "", fmt.Errorf("log origin %q: %w", origin, err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return signer{}, "", fmt.Errorf("log origin %q: %w", origin, err)
	}
	return signer{verifier: verifier, key: key}, vkey, nil
}

// Name is part of note.Signer.
func (s signer) Name() string { return s.verifier.Name() }

// KeyHash is part of note.Signer.
func (s signer) KeyHash() uint32 { return s.verifier.KeyHash() }

// Sign is part of note.Signer.
func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }
