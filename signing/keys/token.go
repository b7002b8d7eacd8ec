package keys

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"vanthu/signing/keys/cryptoki"
)

var (
	// ErrToken means that a PKCS#11 token cannot be used: no such token, no key in it, or a module that fails.
	ErrToken = errors.New("keys: the token cannot be used")
	// ErrTokenGone means that a token that was open is no longer there, and did not come back when it was asked again.
	ErrTokenGone = errors.New("keys: the token is gone; plug it in again")
	// ErrPINLocked means that the token refuses every PIN until its administrator unblocks it.
	ErrPINLocked = errors.New("keys: the token's PIN is locked")
)

// defaultSessions is how many signatures a token makes at the same time unless TokenOptions.Sessions says otherwise.
const defaultSessions = 4

// TokenOptions names a PKCS#11 token or HSM partition.
type TokenOptions struct {
	// Module is the path of the PKCS#11 library of the token's maker.
	Module string
	// Label or Serial choose the token; both may be empty when only one is present.
	Label, Serial string
	// PIN opens the token. It is held in memory to log in again after the token was pulled out, and goes nowhere else;
	// after one refusal it is never presented again. Empty: a reader with a keypad of its own asks.
	PIN string
	// Certificates stand in for those that the token does not hold.
	Certificates []*x509.Certificate
	// Sessions is the most sessions open at the same time; 0 means four. A token that gives fewer gets fewer.
	Sessions int
}

// Token is an open PKCS#11 token (thiết bị lưu khóa). It is safe for use by several goroutines.
type Token struct {
	module     *cryptoki.Module
	want       cryptoki.Token // Label, Serial as asked for
	pin        func() []byte  // a closure, so that no way of printing a Token shows it
	extra      []*x509.Certificate
	slots      chan struct{} // room for one session each
	mu         sync.Mutex
	token      cryptoki.Token
	generation int // counts log-ins; sessions of an older one are void
	idle       []*session
	first      cryptoki.Session // holds the log-in, makes no signatures
	loggedIn   bool
	refused    error // the PIN was wrong: never try again, tokens lock themselves
	closed     bool
}

// session is one that a signature has for itself.
type session struct {
	handle     cryptoki.Session
	generation int
	keys       map[string]cryptoki.Object // by CKA_ID
}

// LogValue shows a token in logs by its label only.
func (t *Token) LogValue() slog.Value { return slog.StringValue("token " + t.Label()) }

// Label is what the token calls itself.
func (t *Token) Label() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token.Label
}

// OpenToken loads the module, finds the token and logs in. A wrong PIN is ErrPassphrase, a blocked one ErrPINLocked;
// ErrToken says that no token fits, or that several do.
func OpenToken(o TokenOptions) (*Token, error) {
	module, err := cryptoki.Load(o.Module)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if o.Sessions <= 0 {
		o.Sessions = defaultSessions
	}
	pin := []byte(o.PIN)
	t := &Token{module: module, want: cryptoki.Token{Label: o.Label, Serial: o.Serial}, pin: func() []byte { return pin },
		extra: o.Certificates, slots: make(chan struct{}, o.Sessions)}
	for range o.Sessions {
		t.slots <- struct{}{}
	}
	if err := t.connect(0); err != nil {
		return nil, err
	}
	return t, nil
}

// Close ends the log-in. Keys of the token give ErrToken from then on. That the token is gone already is no error.
func (t *Token) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	open := []cryptoki.Session{t.first}
	for _, s := range t.idle {
		open = append(open, s.handle)
	}
	t.idle = nil
	var problems error
	for _, handle := range open {
		var rv cryptoki.Error
		if err := t.module.Close(handle); err != nil && (!errors.As(err, &rv) || !rv.Lost()) {
			problems = errors.Join(problems, err)
		}
	}
	return problems
}

// connect finds the token and logs in, unless another goroutine has done so since generation was seen.
func (t *Token) connect(generation int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return fmt.Errorf("%w: it was closed", ErrToken)
	case t.refused != nil:
		return t.refused
	case t.loggedIn && t.generation > generation:
		return nil
	}
	t.loggedIn = false
	for _, s := range t.idle {
		_ = t.module.Close(s.handle) // void already, or about to be
	}
	t.idle = nil
	if t.generation > 0 {
		_ = t.module.Close(t.first)
	}
	found, err := t.find()
	if err != nil {
		return err
	}
	first, err := t.module.Open(found.Slot)
	if err != nil {
		return fmt.Errorf("%w: opening a session with %q: %w", ErrToken, found.Label, err)
	}
	if err := t.module.Login(first, t.pin()); err != nil {
		err = pinError(found.Label, err)
		if errors.Is(err, ErrPassphrase) || errors.Is(err, ErrPINLocked) {
			t.refused = err
		}
		return errors.Join(err, t.module.Close(first))
	}
	t.token, t.first, t.loggedIn = found, first, true
	t.generation++
	return nil
}

// find looks for the token among those that are present.
func (t *Token) find() (cryptoki.Token, error) {
	present, err := t.module.Tokens()
	if err != nil {
		return cryptoki.Token{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	want := t.want
	if t.generation > 0 { // the very same one as before, not another with its label
		want.Label, want.Serial = t.token.Label, t.token.Serial
	}
	var fit []cryptoki.Token
	for _, p := range present {
		named := want.Label != "" || want.Serial != ""
		if (want.Label != "" && p.Label != want.Label) || (want.Serial != "" && p.Serial != want.Serial) || (!named && p.Label == "") {
			continue
		}
		fit = append(fit, p)
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) == 0 && t.generation > 0:
		return cryptoki.Token{}, fmt.Errorf("%w: %q", ErrTokenGone, t.token.Label)
	case len(fit) == 0:
		return cryptoki.Token{}, fmt.Errorf("%w: no token %q among %d present", ErrToken, want.Label+want.Serial, len(present))
	}
	return cryptoki.Token{}, fmt.Errorf("%w: %d tokens fit; name one by label or serial", ErrToken, len(fit))
}

func pinError(label string, err error) error {
	switch {
	case errors.Is(err, cryptoki.ErrPINLocked):
		return fmt.Errorf("%w: %q", ErrPINLocked, label)
	case errors.Is(err, cryptoki.ErrPIN), errors.Is(err, cryptoki.ErrPINInvalid), errors.Is(err, cryptoki.ErrPINLength):
		return fmt.Errorf("%w (PIN of token %q)", ErrPassphrase, label)
	}
	return fmt.Errorf("%w: logging in to %q: %w", ErrToken, label, err)
}

// with runs do with a session of its own, once more on a fresh log-in when the token was away in between.
func (t *Token) with(do func(*session) error) error {
	<-t.slots
	defer func() { t.slots <- struct{}{} }()
	for try := 1; ; try++ {
		generation, err := t.once(do)
		var rv cryptoki.Error
		if err == nil || try == 2 || !errors.As(err, &rv) || !rv.Lost() {
			return t.said(err)
		}
		if err := t.connect(generation); err != nil {
			return err
		}
	}
}

// said gives what a module says the words of this package.
func (t *Token) said(err error) error {
	var rv cryptoki.Error
	if !errors.As(err, &rv) {
		return err
	}
	if rv.Lost() {
		return fmt.Errorf("%w: %w", ErrTokenGone, err)
	}
	return fmt.Errorf("%w: %w", ErrToken, err)
}

func (t *Token) once(do func(*session) error) (generation int, err error) {
	s, err := t.take()
	if err != nil {
		return s.generation, err
	}
	err = do(s)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && s.generation == t.generation && !t.closed {
		t.idle = append(t.idle, s)
		return s.generation, nil
	}
	_ = t.module.Close(s.handle) // it may be void; an operation may be half done in it
	return s.generation, err
}

// take gives an idle session or opens one; with an error only the generation of what it gives counts.
func (t *Token) take() (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return &session{}, fmt.Errorf("%w: it was closed", ErrToken)
	}
	if n := len(t.idle); n > 0 {
		s := t.idle[n-1]
		t.idle = t.idle[:n-1]
		return s, nil
	}
	s := &session{generation: t.generation, keys: map[string]cryptoki.Object{}}
	var err error
	s.handle, err = t.module.Open(t.token.Slot)
	if err != nil {
		err = fmt.Errorf("opening a session: %w", err)
	}
	return s, err
}

// Keys lists the private keys of the token that have a certificate, in the token or among TokenOptions.Certificates.
func (t *Token) Keys() ([]*Key, error) {
	entries, certs, err := t.inventory()
	if err != nil {
		return nil, err
	}
	var out []*Key
	for _, e := range entries {
		if key, err := e.join(certs); err == nil {
			out = append(out, key)
		}
	}
	return out, nil
}

// Key gives the one private key with the label, or the only one that has a certificate when label is empty. ErrNoKey
// says that none fits, ErrNoCertificate that its certificate is missing, ErrToken that several fit.
func (t *Token) Key(label string) (*Key, error) {
	entries, certs, err := t.inventory()
	if err != nil {
		return nil, err
	}
	var found *Key
	problem := fmt.Errorf("%w in token %q", ErrNoKey, t.Label())
	for _, e := range entries {
		if label != "" && e.label != label {
			continue
		}
		key, err := e.join(certs)
		switch {
		case err != nil:
			problem = fmt.Errorf("%w: key %q of token %q", err, e.label, t.Label())
		case found != nil:
			return nil, fmt.Errorf("%w: several keys fit; name one by its label", ErrToken)
		default:
			found = key
		}
	}
	if found == nil {
		return nil, problem
	}
	return found, nil
}

// inventory reads all private keys and certificates.
func (t *Token) inventory() (entries []tokenKey, certs []*x509.Certificate, err error) {
	err = t.with(func(s *session) error {
		entries, certs = nil, slices.Clone(t.extra)
		objects, err := t.module.Find(s.handle, cryptoki.Ulong(cryptoki.AttrClass, cryptoki.ClassCertificate))
		if err != nil {
			return err
		}
		ids := map[string]*x509.Certificate{}
		for _, o := range objects {
			der, err := t.module.Attribute(s.handle, o, cryptoki.AttrValue)
			if err != nil {
				return err
			}
			c, err := x509.ParseCertificate(der)
			if err != nil {
				continue // not X.509, or one that Go cannot read
			}
			id, err := t.module.Attribute(s.handle, o, cryptoki.AttrID)
			if err != nil {
				return err
			}
			certs = append(certs, c)
			ids[string(id)] = c
		}
		objects, err = t.module.Find(s.handle, cryptoki.Ulong(cryptoki.AttrClass, cryptoki.ClassPrivateKey))
		if err != nil {
			return err
		}
		for _, o := range objects {
			e, err := t.describe(s, o)
			if err != nil {
				return err
			}
			e.leaf = ids[e.id]
			entries = append(entries, e)
		}
		return nil
	})
	return entries, certs, err
}

// tokenKey is a private key as the token describes it.
type tokenKey struct {
	token     *Token
	id, label string
	kind      uint64
	modulus   []byte // of an RSA key
	confirm   bool   // the PIN is wanted for each signature
	leaf      *x509.Certificate
}

func (t *Token) describe(s *session, o cryptoki.Object) (tokenKey, error) {
	e := tokenKey{token: t}
	var values [4][]byte
	for i, a := range []cryptoki.Attribute{cryptoki.AttrID, cryptoki.AttrLabel, cryptoki.AttrModulus, cryptoki.AttrAlwaysAuth} {
		v, err := t.module.Attribute(s.handle, o, a)
		if err != nil {
			return e, err
		}
		values[i] = v
	}
	e.id, e.label, e.modulus = string(values[0]), string(values[1]), values[2]
	e.confirm = bytes.Equal(values[3], []byte{1})
	kind, _, err := t.module.AttributeUlong(s.handle, o, cryptoki.AttrKeyType)
	e.kind = kind
	return e, err
}

// join finds the certificate of the key: the one with its CKA_ID, else one with its modulus, else the only one that was
// handed in. Whether it truly belongs shows with the first signature, which is checked before it leaves.
func (e tokenKey) join(certs []*x509.Certificate) (*Key, error) {
	leaf := e.leaf
	if leaf != nil && !e.fits(leaf) {
		leaf = nil
	}
	if leaf == nil && e.modulus != nil {
		for _, c := range certs {
			if e.fits(c) {
				leaf = c
				break
			}
		}
	}
	if leaf == nil && e.modulus == nil {
		for _, c := range e.token.extra {
			if !c.IsCA {
				leaf = c
				break
			}
		}
	}
	if leaf == nil {
		return nil, ErrNoCertificate
	}
	return New(&tokenSigner{key: e, public: leaf.PublicKey}, append([]*x509.Certificate{leaf}, issuers(leaf, certs)...)...)
}

// issuers are those of a token's certificates that lead upwards from the leaf: it may hold those of other keys too.
func issuers(leaf *x509.Certificate, certs []*x509.Certificate) (chain []*x509.Certificate) {
	for current := leaf; len(chain) < len(certs) && !bytes.Equal(current.RawIssuer, current.RawSubject); {
		i := slices.IndexFunc(certs, func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, current.RawIssuer) && current.CheckSignatureFrom(c) == nil
		})
		if i < 0 {
			break
		}
		current = certs[i]
		chain = append(chain, current)
	}
	return chain
}

func (e tokenKey) fits(c *x509.Certificate) bool {
	public, isRSA := c.PublicKey.(*rsa.PublicKey)
	if e.modulus == nil {
		return !isRSA
	}
	return isRSA && bytes.Equal(bytes.TrimLeft(e.modulus, "\x00"), public.N.Bytes())
}

// tokenSigner is a private key that never leaves its token.
type tokenSigner struct {
	key    tokenKey
	public crypto.PublicKey
}

// Public is the key of the certificate.
func (s *tokenSigner) Public() crypto.PublicKey { return s.public }
