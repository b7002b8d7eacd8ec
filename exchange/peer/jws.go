package peer

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// What is signed names its sort, so that nothing signed as one thing passes for another.
const (
	typeDescriptor  = "hx-descriptor"
	typeDelta       = "hx-delta"
	typeCapability  = "hx-capability"
	typeConsignment = "hx-consignment"
	typeAnswer      = "hx-answer"
	typeEvidence    = "hx-evidence"
	typeTree        = "hx-reconcile"
	typeMinutes     = "hx-minutes"
)

// errSignature is wrapped when nothing proves that the hub in question signed.
var errSignature = errors.New("peer: no valid signature of the hub")

// signature is one signature of a JWS in the general JSON serialisation (RFC 7515 §7.2.1).
type signature struct {
	Protected string `json:"protected"`
	Signature string `json:"signature"`
}

type jws struct {
	Payload    string      `json:"payload"`
	Signatures []signature `json:"signatures"`
}

type protectedHeader struct {
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Typ string `json:"typ"`
}

// maxSignatures bounds the signatures of one object: a hub has few keys at a time.
const maxSignatures = 16

// Key is an Ed25519 key of a hub, with the time in which it counts.
type Key struct {
	ID     string    `json:"kid"`
	Public string    `json:"public"` // base64url, 32 bytes
	From   time.Time `json:"from"`
	Until  time.Time `json:"until,omitzero"` // zero = open
}

// validAt tells whether the key counts at t.
func (k *Key) validAt(t time.Time) bool {
	return !t.Before(k.From) && (k.Until.IsZero() || t.Before(k.Until))
}

func (k *Key) bytes() (ed25519.PublicKey, error) {
	b, err := base64.RawURLEncoding.DecodeString(k.Public)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("the key %.60q is not an Ed25519 key in base64url", k.Public)
	}
	return b, nil
}

// keyID names a key by its SHA-256.
func keyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

type signer struct {
	Key
	private ed25519.PrivateKey
}

// seal signs a payload as JWS with every key given (EdDSA, RFC 8037).
func seal(typ string, payload []byte, keys []signer) ([]byte, error) {
	out := jws{Payload: base64.RawURLEncoding.EncodeToString(payload)}
	for _, k := range keys {
		head, err := json.Marshal(protectedHeader{Alg: "EdDSA", Kid: k.ID, Typ: typ})
		if err != nil {
			return nil, err
		}
		protected := base64.RawURLEncoding.EncodeToString(head)
		sig := ed25519.Sign(k.private, []byte(protected+"."+out.Payload))
		out.Signatures = append(out.Signatures, signature{protected, base64.RawURLEncoding.EncodeToString(sig)})
	}
	return json.Marshal(out)
}

// open gives the payload of a JWS of this sort that one of the keys signed. Which keys count at which time is the
// caller's business.
func open(data []byte, typ string, keys []Key) ([]byte, error) {
	var in jws
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("%w: not a JWS: %w", errSignature, err)
	}
	if len(in.Signatures) > maxSignatures {
		return nil, fmt.Errorf("%w: %d signatures", errSignature, len(in.Signatures))
	}
	for _, s := range in.Signatures {
		raw, err := base64.RawURLEncoding.DecodeString(s.Protected)
		var head protectedHeader
		if err != nil || json.Unmarshal(raw, &head) != nil || head.Alg != "EdDSA" || head.Typ != typ {
			continue
		}
		sig, err := base64.RawURLEncoding.DecodeString(s.Signature)
		if err != nil {
			continue
		}
		for i := range keys {
			public, err := keys[i].bytes()
			if err != nil || keys[i].ID != head.Kid || !ed25519.Verify(public, []byte(s.Protected+"."+in.Payload), sig) {
				continue
			}
			payload, err := base64.RawURLEncoding.DecodeString(in.Payload)
			if err != nil {
				return nil, fmt.Errorf("%w: its payload: %w", errSignature, err)
			}
			return payload, nil
		}
	}
	return nil, fmt.Errorf("%w as %s", errSignature, typ)
}
