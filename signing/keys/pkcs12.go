package keys

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"software.sslmate.com/src/go-pkcs12"
)

// p12Iterations is the count of PBKDF2 rounds in files that we write: slow enough against guessing; opening such a file
// takes some 50 ms, so whoever signs often keeps the Key.
const p12Iterations = 100_000

// maxIterations bounds the key derivation rounds that a file may demand, about two seconds for each derivation.
const maxIterations = 5_000_000

// FromPKCS12 opens a PKCS#12 file (.p12, .pfx) with one private key. A wrong passphrase gives ErrPassphrase; a file
// over MaxFile or one that is no PKCS#12 gives ErrDamaged; BER-encoded files, unknown ciphers and files that demand more
// than five million key derivation rounds give ErrUnsupported.
func FromPKCS12(data []byte, passphrase string) (*Key, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%w: over %d bytes", ErrDamaged, MaxFile)
	}
	if !affordable(data, 0) {
		return nil, fmt.Errorf("%w: more than %d key derivation rounds", ErrUnsupported, maxIterations)
	}
	private, leaf, chain, err := pkcs12.DecodeChain(data, passphrase)
	if err != nil {
		return nil, p12Error(err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: private key of type %T", ErrUnsupported, private)
	}
	return New(signer, append([]*x509.Certificate{leaf}, chain...)...)
}

// ToPKCS12 writes the key and its chain as a PKCS#12 file: PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC.
// It returns ErrUnsupported when the private key cannot leave its holder, as in a token.
func (k *Key) ToPKCS12(passphrase string) ([]byte, error) {
	if _, err := x509.MarshalPKCS8PrivateKey(k.Signer); err != nil {
		return nil, fmt.Errorf("%w: the private key cannot be exported", ErrUnsupported)
	}
	data, err := pkcs12.Modern.WithIterations(p12Iterations).Encode(k.Signer, k.Certificate, k.Chain, passphrase)
	if err != nil {
		return nil, fmt.Errorf("writing PKCS#12: %w", err)
	}
	return data, nil
}

func p12Error(err error) error {
	var syntax asn1.SyntaxError
	var structure asn1.StructuralError
	var unsupported pkcs12.NotImplementedError
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return ErrPassphrase
	case errors.As(err, &unsupported):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	case errors.As(err, &syntax), errors.As(err, &structure):
		return fmt.Errorf("%w: not a PKCS#12 file", ErrDamaged)
	default:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
}

// affordable looks through everything that can be read without the passphrase for a salt followed by a number of rounds
// (PKCS#12 MacData, PBE and PBKDF2 parameters).
func affordable(der []byte, depth int) bool {
	const maxDepth = 20
	in := cryptobyte.String(der)
	salt := false
	for depth < maxDepth && !in.Empty() {
		var element, body cryptobyte.String
		var tag cbasn1.Tag
		if !in.ReadAnyASN1Element(&element, &tag) {
			return true // not DER: the decoder, or nobody, will make sense of it
		}
		rounds := element
		if !element.ReadAnyASN1(&body, &tag) {
			return true
		}
		switch {
		case tag == cbasn1.INTEGER && salt:
			var n int64
			if !rounds.ReadASN1Integer(&n) || n > maxIterations {
				return false
			}
		case tag == cbasn1.OCTET_STRING, tag&0x20 != 0:
			if !affordable(body, depth+1) {
				return false
			}
		}
		salt = tag == cbasn1.OCTET_STRING
	}
	return true
}
