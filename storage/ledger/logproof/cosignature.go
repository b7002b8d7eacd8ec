package logproof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// cosignatureType is the signature type of a timestamped Ed25519 witness cosignature (C2SP tlog-cosignature).
const cosignatureType = 0x04

// Length of a cosignature: key id, time, signature.
const cosignatureSize = 4 + 8 + ed25519.SignatureSize

// ErrCosignature says that a line is no good cosignature of a witness.
var ErrCosignature = errors.New("cosignature does not hold")

// Witness is the public side of a witness: a party that cosigns a checkpoint once it has seen that the log only grew.
type Witness struct {
	Name   string
	key    ed25519.PublicKey
	keyID  uint32
	encode string
}

// NewWitness gives the witness of a name and key. The name is a URL without scheme; it has neither spaces nor plus signs.
func NewWitness(name string, key ed25519.PublicKey) (Witness, error) {
	if name == "" || len(name) > 256 || strings.ContainsFunc(name, unicode.IsSpace) || strings.Contains(name, "+") || len(key) != ed25519.PublicKeySize {
		return Witness{}, fmt.Errorf("witness %q: not a name and an Ed25519 key", name)
	}
	typed := append([]byte{cosignatureType}, key...)
	sum := sha256.Sum256(append([]byte(name+"\n"), typed...))
	id := binary.BigEndian.Uint32(sum[:4])
	return Witness{Name: name, key: key, keyID: id, encode: fmt.Sprintf("%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(typed))}, nil
}

// ParseWitness reads a verifier key, name+id+key with signature type 4.
func ParseWitness(vkey string) (Witness, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	id, key, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(key)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != cosignatureType {
		return Witness{}, fmt.Errorf("witness key of %q: not a cosignature/v1 Ed25519 key", name)
	}
	w, err := NewWitness(name, ed25519.PublicKey(raw[1:]))
	if err != nil {
		return Witness{}, err
	}
	if n, err := strconv.ParseUint(id, 16, 32); err != nil || uint32(n) != w.keyID || len(id) != 8 {
		return Witness{}, fmt.Errorf("witness key of %q: its id is not that of its key", name)
	}
	return w, nil
}

// VerifierKey gives the witness in the form that ParseWitness reads.
func (w Witness) VerifierKey() string { return w.encode }

func cosigned(text string, at int64) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text)
}

// Cosign makes the signature line of a witness over the signed part of a checkpoint.
func Cosign(w Witness, key ed25519.PrivateKey, text string, at time.Time) string {
	raw := binary.BigEndian.AppendUint32(nil, w.keyID)
	raw = binary.BigEndian.AppendUint64(raw, uint64(at.Unix()))
	raw = append(raw, ed25519.Sign(key, cosigned(text, at.Unix()))...)
	return "— " + w.Name + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

// Verify checks one signature line over the signed part of a checkpoint and gives the time at which the witness saw it.
func (w Witness) Verify(text, line string) (time.Time, error) {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "— "+w.Name+" ")
	raw, err := base64.StdEncoding.Strict().DecodeString(rest)
	if !ok || err != nil || len(raw) != cosignatureSize || binary.BigEndian.Uint32(raw) != w.keyID {
		return time.Time{}, fmt.Errorf("%w: not a line of %s", ErrCosignature, w.Name)
	}
	const last = 1 << 40 // the year 36812: no time is negative or beyond what programs can write
	at := binary.BigEndian.Uint64(raw[4:])
	if at > last || !ed25519.Verify(w.key, cosigned(text, int64(at)), raw[12:]) {
		return time.Time{}, fmt.Errorf("%w: the signature of %s is not over this checkpoint", ErrCosignature, w.Name)
	}
	return time.Unix(int64(at), 0).UTC(), nil
}

// Cosigned finds a witness's good line among the signature lines of a checkpoint.
func (w Witness) Cosigned(checkpoint, text string) (time.Time, error) {
	_, lines, _ := strings.Cut(checkpoint, "\n\n")
	err := fmt.Errorf("%w: %s has no line there", ErrCosignature, w.Name)
	for line := range strings.Lines(lines) {
		var at time.Time
		if at, err = w.Verify(text, line); err == nil {
			return at, nil
		}
	}
	return time.Time{}, err
}
