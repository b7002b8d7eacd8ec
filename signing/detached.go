package signing

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"io"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
)

// DetachedOptions of SignDetached. The zero value makes CAdES-B-B.
type DetachedOptions struct {
	// TSA, when set, time-stamps the signature value: CAdES-B-T.
	TSA tsa.Client
	// At is the claimed signing time; zero means none is claimed.
	At time.Time
	// Level is LevelB, LevelT, LevelLT or LevelLTA; "" is LevelT with a TSA and LevelB without.
	Level string
	// Trust and Revocation are those of SignOptions, for LevelLT and LevelLTA.
	Trust      *pki.Trust
	Revocation RevocationSource
}

// check settles the level.
func (o *DetachedOptions) check() error {
	switch o.Level {
	case "":
		o.Level = LevelB
		if o.TSA != nil {
			o.Level = LevelT
		}
	case LevelB:
		o.TSA = nil
	case LevelT, LevelLT, LevelLTA:
		if o.TSA == nil {
			return fmt.Errorf("level %s needs a time-stamp authority: %w", o.Level, ErrUnsupported)
		}
	default:
		return fmt.Errorf("level %q, want %s, %s, %s or %s: %w", o.Level, LevelB, LevelT, LevelLT, LevelLTA, ErrUnsupported)
	}
	return nil
}

// SignDetached signs content of any kind and returns CMS SignedData in DER without the content (CAdES-B-B to B-LTA,
// ETSI EN 319 122-1): SHA-256, or SHA-512 with Ed25519 (RFC 8419), and the ESS signing-certificate-v2 attribute
// (RFC 5035). The content is read once as a stream. It returns keys.ErrUnsupported for a key that cannot sign and the
// TSA's own error when the time stamp is not to be had.
func SignDetached(ctx context.Context, content io.Reader, key *keys.Key, o DetachedOptions) ([]byte, error) {
	if key == nil || key.Signer == nil {
		return nil, keys.ErrNoKey
	}
	algorithm := crypto.SHA256
	if _, ok := key.Signer.Public().(ed25519.PublicKey); ok {
		algorithm = crypto.SHA512
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	// The archive time stamp is by the same algorithm, so that the content is read once.
	running := algorithm.New()
	if _, err := io.Copy(running, stoppable{ctx, content}); err != nil {
		return nil, fmt.Errorf("reading the content to sign: %w", err)
	}
	request := cms.SignRequest{Key: key, Hash: algorithm, Digest: running.Sum(nil)}
	if !o.At.IsZero() {
		request.SigningTime = &o.At
	}
	if o.TSA != nil {
		request.UnsignedAttributes = func(signature []byte) ([]cms.Attribute, error) { return timestamp(ctx, o.TSA, signature) }
	}
	der, err := cms.Sign(request)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return extendCMS(ctx, der, algorithm, request.Digest, o)
}
