// Package transparency opens the evidence log (nhật ký minh bạch) to everybody: its tiles, entries and checkpoints over
// HTTP as C2SP tlog-tiles has them, time stamps and witness cosignatures of its checkpoints, and the hub's own service
// as a witness of other logs.
//
// # What is served
//
//	GET  /log/checkpoint                     the newest signed checkpoint (the newest cosigned one when witnesses are set)
//	GET  /log/checkpoint.tsr                 {"checkpoint","token"}: the newest time-stamped checkpoint and its RFC 3161 token
//	GET  /log/key                            the log's public key, name+id+key
//	GET  /log/tile/<L>/<N>[.p/<W>]           hashes
//	GET  /log/tile/entries/<N>[.p/<W>]       leaves: salted digests, never a name or a subject
//	POST /log/witness/add-checkpoint         C2SP tlog-witness, for the logs in the configuration
//
// Tiles never change and may be cached for ever; a checkpoint may not.
//
// # Time
//
// Run asks the time-stamp authority and the witnesses for every checkpoint that is new after a while. An authority that
// is down stops nothing: the entries since the last stamped checkpoint have their time pending, and the next stamp covers
// them all.
package transparency

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
	"vanthu/storage/ledger"
	"vanthu/storage/ledger/logproof"
)

// DefaultEvery is the time between two published checkpoints of a growing log.
const DefaultEvery = 5 * time.Minute

// Peer is a witness that is asked to cosign our checkpoints.
type Peer struct {
	URL     string // add-checkpoint is put behind it
	Witness logproof.Witness
}

// Log is another log for which this hub is a witness.
type Log struct {
	VerifierKey string // name+id+key; the name is the log's origin
}

// Config of New. Ledger is needed.
type Config struct {
	Ledger    *ledger.Ledger
	TSA       tsa.Client    // nil: checkpoints are not stamped
	Trust     *pki.Trust    // judges the stamps, for Check
	Every     time.Duration // DefaultEvery when 0
	Witnesses []Peer
	Logs      []Log
	// WitnessName and WitnessKey make this hub a witness; nil: it is none.
	WitnessName string
	WitnessKey  ed25519.PrivateKey
	Client      *http.Client // for witnesses; nil: one of our own
	Logger      *slog.Logger
	Now         func() time.Time
}

// Publisher opens a log. Its methods may be called at the same time.
type Publisher struct {
	cfg     Config
	own     *logproof.Witness
	logs    map[string]string // origin to key
	client  *http.Client
	pass    sync.Mutex
	witness sync.Mutex
}

// New makes a Publisher; nothing is asked or served yet.
func New(cfg Config) (*Publisher, error) {
	if cfg.Every <= 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Publisher{cfg: cfg, logs: map[string]string{}, client: cfg.Client}
	if p.client == nil {
		p.client = &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if cfg.WitnessKey != nil {
		public, ok := cfg.WitnessKey.Public().(ed25519.PublicKey)
		if !ok {
			return nil, errors.New("the witness key is not an Ed25519 key")
		}
		own, err := logproof.NewWitness(cfg.WitnessName, public)
		if err != nil {
			return nil, err
		}
		p.own = &own
	}
	for _, l := range cfg.Logs {
		origin, err := originOf(l.VerifierKey)
		if err != nil {
			return nil, err
		}
		p.logs[origin] = l.VerifierKey
	}
	return p, nil
}

// VerifierKey gives this hub's key as a witness, "" when it is none.
func (p *Publisher) VerifierKey() string {
	if p.own == nil {
		return ""
	}
	return p.own.VerifierKey()
}

// Run publishes until ctx ends.
func (p *Publisher) Run(ctx context.Context) {
	wait := time.NewTicker(p.cfg.Every)
	defer wait.Stop()
	for {
		if err := p.Publish(ctx); err != nil && ctx.Err() == nil {
			p.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "publishing the evidence log; it will be tried again", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
	}
}

// Publish has the newest checkpoint time-stamped and cosigned, unless that was done. What an authority or a witness did
// not give is told in the error and asked for again the next time; what was given is kept.
func (p *Publisher) Publish(ctx context.Context) error {
	p.pass.Lock()
	defer p.pass.Unlock()
	checkpoint, err := p.cfg.Ledger.Checkpoint(ctx)
	if err != nil {
		return err
	}
	tree, err := logproof.OpenCheckpoint(p.cfg.Ledger.VerifierKey(), checkpoint)
	if err != nil || tree.N == 0 {
		return err
	}
	last, err := p.cfg.Ledger.Published(ctx, false, false)
	if err != nil {
		return err
	}
	next := ledger.Publication{Size: tree.N, Note: checkpoint, At: p.cfg.Now()}
	known := map[string]bool{}
	stamped := false
	if last != nil && last.Size == tree.N {
		stamped = last.Token != nil
		for _, w := range p.cfg.Witnesses {
			text, _ := logproof.SignedText(p.cfg.Ledger.VerifierKey(), checkpoint)
			_, err := w.Witness.Cosigned(last.Note, text)
			known[w.Witness.Name] = err == nil
		}
	}
	var failed []error
	if !stamped && p.cfg.TSA != nil {
		if next.Token, err = p.stamp(ctx, checkpoint); err != nil {
			failed = append(failed, fmt.Errorf("the evidence from the last stamp to place %d has its time pending: %w", tree.N-1, err))
		}
	}
	for _, w := range p.cfg.Witnesses {
		if known[w.Witness.Name] {
			continue
		}
		line, err := p.ask(ctx, w, checkpoint, tree)
		if err != nil {
			failed = append(failed, fmt.Errorf("witness %s: %w", w.Witness.Name, err))
			continue
		}
		next.Cosignatures = append(next.Cosignatures, line)
	}
	if next.Token != nil || len(next.Cosignatures) > 0 {
		failed = append(failed, p.cfg.Ledger.Publish(ctx, next))
	}
	return errors.Join(failed...)
}

// stamp asks for a token over the signed part of a checkpoint, and judges it before it counts.
func (p *Publisher) stamp(ctx context.Context, checkpoint string) ([]byte, error) {
	text, err := logproof.SignedText(p.cfg.Ledger.VerifierKey(), checkpoint)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(text))
	token, err := p.cfg.TSA.Timestamp(ctx, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	if err := p.judge(token, text); err != nil {
		return nil, err
	}
	return token, nil
}

// judge checks the token over a checkpoint's signed part.
func (p *Publisher) judge(der []byte, text string) error {
	token, err := tsa.ParseToken(der)
	if err != nil {
		return err
	}
	result := token.Verify(cms.DigestOf([]byte(text)), tsa.VerifyOptions{Trust: p.cfg.Trust})
	if !result.Intact || p.cfg.Trust != nil && !result.Trusted {
		return fmt.Errorf("the time stamp of the checkpoint does not hold: %v", result.Reasons)
	}
	return nil
}

// Proven gives when the newest time stamp was made and how many entries it covers; those from there on have their time
// pending.
func (p *Publisher) Proven(ctx context.Context) (at time.Time, size int64, err error) {
	last, err := p.cfg.Ledger.Published(ctx, true, false)
	if err != nil || last == nil {
		return time.Time{}, 0, err
	}
	token, err := tsa.ParseToken(last.Token)
	if err != nil {
		return time.Time{}, 0, err
	}
	return token.Time, last.Size, nil
}

// Check reads every published checkpoint again: it must be signed by the log, be the log's root at its size, and its
// time stamp and cosignatures must hold.
func (p *Publisher) Check(ctx context.Context, yield func(problem string)) error {
	for after := int64(0); ; {
		list, err := p.cfg.Ledger.Publications(ctx, after)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, one := range list {
			after = one.Size
			if err := p.check(ctx, &one); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				yield(fmt.Sprintf("published checkpoint of %d entries: %v", one.Size, err))
			}
		}
	}
}

func (p *Publisher) check(ctx context.Context, one *ledger.Publication) error {
	key := p.cfg.Ledger.VerifierKey()
	tree, err := logproof.OpenCheckpoint(key, one.Note)
	if err != nil {
		return err
	}
	root, err := p.cfg.Ledger.Root(ctx, one.Size)
	if err != nil {
		return err
	}
	if root != tree.Hash || tree.N != one.Size {
		return fmt.Errorf("its root is %s, the log's is %s", tree.Hash, root)
	}
	text, err := logproof.SignedText(key, one.Note)
	if err != nil {
		return err
	}
	if one.Token != nil {
		err = p.judge(one.Token, text)
	}
	return err
}
