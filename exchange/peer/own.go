package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vanthu/storage/sqldb"
)

// keyBefore lets a new key count for clocks that are behind.
const keyBefore = 24 * time.Hour

var errNoKey = errors.New("peer: this hub has no key that counts at the time its clock shows")

// self is this hub as others know it.
type self struct {
	id      string
	version int64
	keys    []signer // oldest first
}

// valid gives the keys that count now; the last is the newest.
func (s *self) valid(now time.Time) []signer {
	var out []signer
	for _, k := range s.keys {
		if k.validAt(now) {
			out = append(out, k)
		}
	}
	return out
}

// own gives this hub, made at the first use.
func (p *Peers) own(ctx context.Context) (*self, error) {
	p.mu.Lock()
	known := p.self
	p.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var s *self
	err := p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if s, err = p.selectSelf(ctx, tx); err != nil || s != nil {
			return err
		}
		k, sealed, err := p.newOwnKey()
		if err != nil {
			return err
		}
		sum := sha256.Sum256(k.private.Public().(ed25519.PublicKey))
		s = &self{id: "hx" + hex.EncodeToString(sum[:10]), version: 1, keys: []signer{k}}
		if err := insertSelf(ctx, tx, s.id); err != nil {
			return err
		}
		return insertOwnKey(ctx, tx, k.Key, sealed)
	})
	if err != nil {
		return nil, fmt.Errorf("the identity of this hub: %w", err)
	}
	p.mu.Lock()
	p.self = s
	p.mu.Unlock()
	return s, nil
}

func (p *Peers) selectSelf(ctx context.Context, tx *sqldb.Tx) (*self, error) {
	s, rows, err := selectOwn(ctx, tx)
	if err != nil || s == nil {
		return nil, err
	}
	for _, row := range rows {
		seed, err := p.unseal(row.ID, row.sealed)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, signer{row.Key, ed25519.NewKeyFromSeed(seed)})
	}
	return s, nil
}

func (p *Peers) newOwnKey() (signer, string, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return signer{}, "", fmt.Errorf("making a key: %w", err)
	}
	k := signer{Key{ID: keyID(public), Public: base64.RawURLEncoding.EncodeToString(public), From: p.now().Add(-keyBefore)}, private}
	sealed := p.box.Seal(nil, nil, private.Seed(), []byte(k.ID)) //nolint:gosec // G407: this AEAD makes a random nonce itself
	return k, base64.StdEncoding.EncodeToString(sealed), nil
}

func (p *Peers) unseal(kid, sealed string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, fmt.Errorf("reading the hub's key %s: %w", kid, err)
	}
	seed, err := p.box.Open(nil, nil, data, []byte(kid))
	if err == nil && len(seed) != ed25519.SeedSize {
		err = errors.New("wrong size")
	}
	if err != nil {
		return nil, fmt.Errorf("opening the hub's key %s: %w", kid, err)
	}
	return seed, nil
}

// Rotate makes a new key. The old ones count for the overlap still (at least an hour): in that time every peer has to
// have seen the descriptor that both sign.
func (p *Peers) Rotate(ctx context.Context, overlap time.Duration) (Key, error) {
	k, sealed, err := p.newOwnKey()
	if err != nil {
		return Key{}, err
	}
	until := p.now().Add(max(overlap, time.Hour))
	err = p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := endOwnKeys(ctx, tx, until); err != nil {
			return err
		}
		return insertOwnKey(ctx, tx, k.Key, sealed)
	})
	if err != nil {
		return Key{}, fmt.Errorf("changing the hub's key: %w", err)
	}
	p.mu.Lock()
	p.self = nil
	p.mu.Unlock()
	return k.Key, nil
}

// sign signs a payload as this hub: with its newest key, or (all) with every key that counts.
func (p *Peers) sign(ctx context.Context, typ string, v any, all bool) ([]byte, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", typ, err)
	}
	s, err := p.own(ctx)
	if err != nil {
		return nil, err
	}
	valid := s.valid(p.now())
	if len(valid) == 0 {
		return nil, errNoKey
	}
	if !all {
		valid = valid[:1] // the oldest: a peer may not have seen the newest yet
	}
	return seal(typ, payload, valid)
}

// Descriptor is what a hub says of itself at /.well-known/hx, signed by all its keys. Members that are not known here
// are ignored.
type Descriptor struct {
	V        int       `json:"v"`
	Hub      string    `json:"hub"`
	Name     string    `json:"name"`
	URL      string    `json:"url,omitempty"`
	Version  int64     `json:"version"` // grows with every change of keys
	At       time.Time `json:"at"`
	Keys     []Key     `json:"keys"`
	TLS      []string  `json:"tls,omitempty"` // pins
	Registry int64     `json:"registry"`      // version of its list of agencies
	Limits   Limits    `json:"limits"`
}

// Limits are what a hub takes.
type Limits struct {
	Part  int64 `json:"part"`  // bytes of one encrypted part
	Chunk int64 `json:"chunk"` // bytes of a part in one request
}

// Describe gives this hub's descriptor and the same signed.
func (p *Peers) Describe(ctx context.Context) (*Descriptor, []byte, error) {
	s, err := p.own(ctx)
	if err != nil {
		return nil, nil, err
	}
	version, err := p.cfg.Registry.Version(ctx)
	if err != nil {
		return nil, nil, err
	}
	now := p.now()
	d := &Descriptor{V: 1, Hub: s.id, Name: p.cfg.Name, URL: p.cfg.URL, Version: s.version, At: now, TLS: p.cfg.TLSPins, Registry: version,
		Limits: Limits{Part: p.cfg.MaxPart, Chunk: p.cfg.Chunk}}
	for _, k := range s.valid(now) {
		d.Keys = append(d.Keys, k.Key)
	}
	signed, err := p.sign(ctx, typeDescriptor, d, true)
	return d, signed, err
}

const (
	maxKeys = 8
	maxPins = 8
)

// readDescriptor checks a descriptor that came from outside: signed by a key that is known, of the sizes and the form
// that are allowed, and made within the clocks' tolerance.
func readDescriptor(data []byte, known []Key, now time.Time) (*Descriptor, error) {
	payload, err := open(data, typeDescriptor, known)
	if err != nil {
		return nil, err
	}
	var d Descriptor
	if err := json.Unmarshal(payload, &d); err != nil {
		return nil, fmt.Errorf("%w: the descriptor: %w", errSignature, err)
	}
	switch {
	case d.V != 1:
		return nil, fmt.Errorf("the descriptor has version %d, this hub speaks 1", d.V)
	case !hubGrammar.MatchString(d.Hub):
		return nil, fmt.Errorf("the descriptor names the hub %.60q", d.Hub)
	case len(d.Keys) == 0 || len(d.Keys) > maxKeys || len(d.TLS) > maxPins || len(d.Name) > 300:
		return nil, errors.New("the descriptor has no key or too much of something")
	case d.Limits.Chunk < 0 || d.Limits.Part < 0:
		return nil, errors.New("the descriptor has a limit below zero")
	case d.At.Sub(now).Abs() > maxSkew:
		return nil, fmt.Errorf("the descriptor is of %s, the clock here says %s", d.At.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	for i := range d.Keys {
		public, err := d.Keys[i].bytes()
		if err != nil {
			return nil, err
		}
		if keyID(public) != d.Keys[i].ID {
			return nil, fmt.Errorf("the key %.60q has another name", d.Keys[i].ID)
		}
	}
	return &d, nil
}
