package registry

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
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
