package webhook

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// secretPrefix marks a symmetric secret (Standard Webhooks, "Signing secrets").
const secretPrefix = "whsec_"

// secretSize is within the 24 to 64 bytes of the specification.
const secretSize = 32

// newSecret makes a secret as it is shown, once.
func newSecret() string {
	b := make([]byte, secretSize)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}

// sign gives one signature of the header webhook-signature: HMAC-SHA256 over
// "id.timestamp.body" (Standard Webhooks, "Signature scheme").
func sign(secret, id string, at time.Time, body []byte) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil {
		return "", fmt.Errorf("decoding a webhook secret: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// newSeal makes the cipher that keeps secrets in the database.
func newSeal(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("the key for webhook secrets has %d bytes, want %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("the key for webhook secrets: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealed hides a secret; it opens for the same subscription only.
func (h *Hooks) sealed(id ID, secret string) string {
	//nolint:gosec // this cipher makes its own random nonce and takes none
	return base64.StdEncoding.EncodeToString(h.seal.Seal(nil, nil, []byte(secret), []byte(id)))
}

func (h *Hooks) unsealed(id ID, text string) (string, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", fmt.Errorf("decoding a sealed secret: %w", err)
	}
	secret, err := h.seal.Open(nil, nil, data, []byte(id))
	if err != nil {
		return "", errors.New("the secret of a webhook does not open: was the key of the data folder changed?")
	}
	return string(secret), nil
}

// signatures gives the header for all secrets that are in force.
func (h *Hooks) signatures(s *Subscription, id string, at time.Time, body []byte) (string, error) {
	sealed := []string{s.secret}
	if s.oldSecret != "" && at.Before(s.OldUntil) {
		sealed = append(sealed, s.oldSecret)
	}
	out := make([]string, len(sealed))
	for i, text := range sealed {
		secret, err := h.unsealed(s.ID, text)
		if err != nil {
			return "", err
		}
		if out[i], err = sign(secret, id, at, body); err != nil {
			return "", err
		}
	}
	return strings.Join(out, " "), nil
}
