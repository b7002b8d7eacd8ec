package mail

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// PasswordCost is the cost of one argon2id hash (RFC 9106). The zero value
// means 19 MiB and 2 passes.
type PasswordCost struct {
	MemoryKiB uint32
	Passes    uint32
}

// Bounds of passwords and of stored hashes.
const (
	minPassword = 8
	maxPassword = 1024
	hashLen     = 32
	saltLen     = 16
	maxCostKiB  = 1 << 20
)

// hasher hashes and checks passwords, no more at a time than there are cores:
// a flood of logins must not take all memory.
type hasher struct {
	cost  PasswordCost
	slots chan struct{}
	dummy string
}

func newHasher(cost PasswordCost) *hasher {
	if cost.MemoryKiB == 0 {
		cost.MemoryKiB = 19 << 10
	}
	if cost.Passes == 0 {
		cost.Passes = 2
	}
	h := &hasher{cost: cost, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	h.dummy = h.encode(make([]byte, saltLen), make([]byte, hashLen))
	return h
}

// checkPassword says whether a new password may be used.
func checkPassword(password string) error {
	switch {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return fmt.Errorf("%w: password is not text", ErrInvalid)
	case utf8.RuneCountInString(password) < minPassword:
		return fmt.Errorf("%w: password has fewer than %d characters", ErrInvalid, minPassword)
	case len(password) > maxPassword:
		return fmt.Errorf("%w: password is longer than %d bytes", ErrInvalid, maxPassword)
	}
	return nil
}

// hash gives the PHC string of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltLen)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("making a salt: %w", err)
	}
	key, err := h.key(ctx, password, salt, h.cost, hashLen)
	if err != nil {
		return "", err
	}
	return h.encode(salt, key), nil
}

func (h *hasher) encode(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, h.cost.MemoryKiB, h.cost.Passes,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// key computes argon2id in one of the slots. NFC, so that one password typed on
// two systems is the same (RFC 8265).
func (h *hasher) key(ctx context.Context, password string, salt []byte, cost PasswordCost, size uint32) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to check a password: %w", context.Cause(ctx))
	}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(norm.NFC.String(password)), salt, cost.Passes, cost.MemoryKiB, 1, size), nil
}

// verify reports whether the password matches the stored hash. An empty stored
// hash costs the same time and never matches.
func (h *hasher) verify(ctx context.Context, stored, password string) (bool, error) {
	known := stored != ""
	if !known {
		stored = h.dummy
	}
	cost, salt, want, err := parseHash(stored)
	if err != nil {
		return false, err
	}
	got, err := h.key(ctx, password, salt, cost, uint32(len(want)))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

// parseHash reads $argon2id$v=19$m=…,t=…,p=1$salt$hash.
func parseHash(s string) (cost PasswordCost, salt, key []byte, err error) {
	fields := strings.Split(s, "$")
	var version, threads uint32
	if len(fields) != 6 || fields[1] != "argon2id" {
		return cost, nil, nil, errors.New("stored password hash is not argon2id")
	}
	if _, err = fmt.Sscanf(fields[2]+" "+fields[3], "v=%d m=%d,t=%d,p=%d", &version, &cost.MemoryKiB, &cost.Passes, &threads); err != nil {
		return cost, nil, nil, fmt.Errorf("reading a stored password hash: %w", err)
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(fields[4])
	key, err2 := base64.RawStdEncoding.DecodeString(fields[5])
	if err = errors.Join(err1, err2); err != nil {
		return cost, nil, nil, fmt.Errorf("reading a stored password hash: %w", err)
	}
	if version != argon2.Version || threads != 1 || cost.Passes == 0 || cost.MemoryKiB == 0 ||
		cost.MemoryKiB > maxCostKiB || len(key) < 16 || len(key) > math.MaxUint8 {
		return cost, nil, nil, errors.New("stored password hash has parameters out of range")
	}
	return cost, salt, key, nil
}
