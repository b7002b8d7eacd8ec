package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"

	"vanthu/signing/keys/cryptoki"
)

// Sign implements crypto.Signer: RSA PKCS#1 v1.5 and PSS, ECDSA (in DER) and Ed25519 (the message, crypto.Hash(0)). The
// value is checked against the certificate before it is given out. The random source is the token's own.
func (s *tokenSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	how, input, err := s.mechanism(digest, opts)
	if err != nil {
		return nil, err
	}
	var value []byte
	t := s.key.token
	err = t.with(func(session *session) error {
		object, err := s.find(session)
		if err != nil {
			return err
		}
		if err := t.module.SignInit(session.handle, how, object); err != nil {
			return fmt.Errorf("beginning a signature: %w", err)
		}
		if s.key.confirm {
			if err := t.module.Confirm(session.handle, t.pin()); err != nil {
				return pinError(t.Label(), err)
			}
		}
		value, err = t.module.Sign(session.handle, input)
		if err != nil {
			return fmt.Errorf("signing: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, ok := s.public.(*ecdsa.PublicKey); ok {
		if value, err = ecdsaDER(value); err != nil {
			return nil, err
		}
	}
	if !Verifies(s.public, digest, opts, value) {
		return nil, fmt.Errorf("%w: the token's signature does not fit its certificate", ErrToken)
	}
	return value, nil
}

// find gives the handle of the private key in a session; handles live as long as the log-in.
func (s *tokenSigner) find(session *session) (cryptoki.Object, error) {
	name := s.key.id + "\x00" + s.key.label
	if o, ok := session.keys[name]; ok {
		return o, nil
	}
	conditions := []cryptoki.Condition{cryptoki.Ulong(cryptoki.AttrClass, cryptoki.ClassPrivateKey)}
	if s.key.id != "" {
		conditions = append(conditions, cryptoki.Condition{Attribute: cryptoki.AttrID, Value: []byte(s.key.id)})
	}
	if s.key.label != "" {
		conditions = append(conditions, cryptoki.Condition{Attribute: cryptoki.AttrLabel, Value: []byte(s.key.label)})
	}
	found, err := s.key.token.module.Find(session.handle, conditions...)
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		// Private objects are not seen after a log-out: as good as a lost log-in.
		return 0, fmt.Errorf("key %q is not in the token: %w", s.key.label, cryptoki.ErrKeyHandle)
	}
	session.keys[name] = found[0]
	return found[0], nil
}

// mechanism chooses how the token signs and what it is given.
func (s *tokenSigner) mechanism(digest []byte, opts crypto.SignerOpts) (cryptoki.Mechanism, []byte, error) {
	hash := opts.HashFunc()
	if hash != 0 && len(digest) != hash.Size() {
		return cryptoki.Mechanism{}, nil, fmt.Errorf("%w: digest of %d bytes", ErrUnsupported, len(digest))
	}
	switch s.public.(type) {
	case ed25519.PublicKey:
		if hash == 0 {
			return cryptoki.EdDSA(), digest, nil
		}
	case *ecdsa.PublicKey:
		return cryptoki.ECDSA(), digest, nil
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			salt := pss.SaltLength
			if salt <= 0 { // automatic, or as long as the digest
				salt = len(digest)
			}
			how, err := cryptoki.PSS(len(digest), salt)
			return how, digest, err
		}
		info, err := digestInfo(hash, digest)
		return cryptoki.RSA(), info, err
	}
	return cryptoki.Mechanism{}, nil, fmt.Errorf("%w: %T with digest algorithm %v", ErrUnsupported, s.public, hash)
}

// digestInfo is what RSASSA-PKCS1-v1_5 pads (RFC 8017 §9.2).
func digestInfo(hash crypto.Hash, digest []byte) ([]byte, error) {
	var last int
	switch hash {
	case crypto.SHA256:
		last = 1
	case crypto.SHA384:
		last = 2
	case crypto.SHA512:
		last = 3
	default:
		return nil, fmt.Errorf("%w: digest algorithm %v", ErrUnsupported, hash)
	}
	type algorithm struct {
		OID  asn1.ObjectIdentifier
		Null asn1.RawValue
	}
	return asn1.Marshal(struct {
		Algorithm algorithm
		Digest    []byte
	}{algorithm{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, last}, asn1.NullRawValue}, digest})
}

// ecdsaDER turns r and s, side by side as tokens give them, into ECDSA-Sig-Value (RFC 3279 §2.2.3).
func ecdsaDER(value []byte) ([]byte, error) {
	if len(value) == 0 || len(value)%2 != 0 {
		return nil, fmt.Errorf("%w: ECDSA value of %d bytes", ErrToken, len(value))
	}
	half := len(value) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(value[:half]), new(big.Int).SetBytes(value[half:])})
}

// Verifies checks a signature value, whoever made it.
func Verifies(public crypto.PublicKey, digest []byte, opts crypto.SignerOpts, value []byte) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(k, opts.HashFunc(), digest, value, pss) == nil
		}
		return rsa.VerifyPKCS1v15(k, opts.HashFunc(), digest, value) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, value)
	case ed25519.PublicKey:
		return ed25519.Verify(k, digest, value)
	}
	return false
}
