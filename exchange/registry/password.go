package registry

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Argon2id parameters (RFC 9106; the OWASP minimum for it): 19 MiB, two passes.
const (
	argonMemory  = 19 * 1024 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16

	minPassword = 8
	maxPassword = 256
)

// hasher bounds how many hashes run at once: each takes 19 MiB and a core.
type hasher struct{ slots chan struct{} }

func newHasher(parallel int) *hasher { return &hasher{make(chan struct{}, max(1, parallel))} }

func (h *hasher) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hasher) leave() { <-h.slots }

func checkPassword(password string) error {
	n := utf8.RuneCountInString(password)
	if n < minPassword || n > maxPassword {
		return NewError(KindInvalid, fmt.Sprintf("Mật khẩu phải dài từ %d đến %d ký tự.", minPassword, maxPassword),
			fmt.Sprintf("A password has %d to %d characters.", minPassword, maxPassword))
	}
	return nil
}

// hash gives the PHC form of argon2id.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails: crypto/rand ends the program instead
	key := argon2.IDKey([]byte(norm.NFC.String(password)), salt, argonTime, argonMemory, argonThreads, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// verify compares in constant time. An empty or unreadable hash costs the same
// as a good one, so that time does not tell whether a login exists.
func (h *hasher) verify(ctx context.Context, phc, password string) (bool, error) {
	salt, want, m, t, p, ok := parsePHC(phc)
	if !ok {
		salt, want, m, t, p = make([]byte, argonSalt), make([]byte, argonKey), argonMemory, argonTime, argonThreads
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	got := argon2.IDKey([]byte(norm.NFC.String(password)), salt, t, m, p, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && ok, nil
}

func parsePHC(phc string) (salt, key []byte, m, t uint32, p uint8, ok bool) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, nil, 0, 0, 0, false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &m, &t, &p); err != nil || m > 1<<20 || t == 0 || t > 64 || p == 0 {
		return nil, nil, 0, 0, 0, false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	return salt, key, m, t, p, err1 == nil && err2 == nil && len(key) >= 16 && len(key) <= 64
}

// Limits of failed logins within failureWindow. The pair limit stops guessing at
// one account without letting a stranger lock its owner out from elsewhere.
const (
	failureWindow   = 15 * time.Minute
	maxPairFailures = 5
	maxFromFailures = 50
	maxNameFailures = 100
	maxFailureKeys  = 20_000
)

type failureKey struct{ login, from string }

type failures struct {
	count int
	since time.Time
}

// limiter counts failed logins in memory: a restart forgets them, which costs an
// attacker more than it gives.
type limiter struct {
	mu     sync.Mutex
	seen   map[failureKey]failures
	pruned time.Time
	now    func() time.Time
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{seen: map[failureKey]failures{}, now: now}
}

func limits(login, from string) map[failureKey]int {
	return map[failureKey]int{
		{login, from}: maxPairFailures,
		{"", from}:    maxFromFailures,
		{login, ""}:   maxNameFailures,
	}
}

// try counts an attempt before it is made, so that many at once do not slip
// through together; it gives how long to wait when there were too many.
func (l *limiter) try(login, from string) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for k, limit := range limits(login, from) {
		if f := l.seen[k]; f.count >= limit {
			wait = max(wait, f.since.Add(failureWindow).Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	if len(l.seen) > maxFailureKeys && now.Sub(l.pruned) >= time.Minute {
		l.pruned = now
		for k, f := range l.seen {
			if now.Sub(f.since) >= failureWindow {
				delete(l.seen, k)
			}
		}
	}
	for k := range limits(login, from) {
		f, known := l.seen[k]
		if !known && len(l.seen) > 2*maxFailureKeys {
			continue // memory is bounded before fairness
		}
		if now.Sub(f.since) >= failureWindow {
			f = failures{since: now}
		}
		f.count++
		l.seen[k] = f
	}
	return 0
}

// succeeded takes the attempt back and forgives the pair its failures.
func (l *limiter) succeeded(login, from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seen, failureKey{login, from})
	for _, k := range []failureKey{{"", from}, {login, ""}} {
		if f, ok := l.seen[k]; ok {
			f.count--
			l.seen[k] = f
		}
	}
}
