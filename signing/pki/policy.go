package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"strings"
	"time"
)

// Rule is one line of the policy of algorithms (chính sách thuật toán): until when something counts.
type Rule struct {
	// Algorithm is a digest as HashName gives it, or the kind of a key: "RSA", "EC", "Ed25519".
	Algorithm string
	// MinBits and MaxBits are the key sizes of the line, both included; 0 for digests and for no upper end.
	MinBits, MaxBits int
	// Until is the last day (UTC) on which new signatures count; zero when no end is set.
	Until time.Time
	// Never is set for what counts at no time.
	Never bool
	// Source is where the date is from.
	Source string
}

// Policy is the table by which CheckDigest and CheckKey judge. What stands in no line does not count. It is made on each
// call, so that nobody can change it for others.
//
// The ends are those after which ETSI TS 119 312 and NIST SP 800-131A r2 accept no new signatures; where they differ, the
// later one, since a verdict says what can be relied on, and a good document must not be refused. For RSA below 3000
// bits and for SHA-224 both set the end of 112-bit security to dates ahead of us (NIST: 2030-12-31), which is not yet a
// reason to refuse; their lines get their ends when the dates are near.
func Policy() []Rule {
	day := func(year int, month time.Month, d int) time.Time {
		return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
	}
	const both, nist = "ETSI TS 119 312, NIST SP 800-131A r2", "NIST SP 800-131A r2 §3, §9"
	rules := []Rule{
		{Algorithm: "MD5", Never: true, Source: "collisions since 2004 (RFC 6151)"},
		{Algorithm: "SHA1", Until: day(2013, time.December, 31), Source: nist},
	}
	for _, h := range []string{"SHA224", "SHA256", "SHA384", "SHA512", "SHA512-224", "SHA512-256", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512"} {
		rules = append(rules, Rule{Algorithm: h, Source: both})
	}
	return append(rules,
		Rule{Algorithm: "RSA", MaxBits: 1023, Never: true, Source: nist},
		Rule{Algorithm: "RSA", MinBits: 1024, MaxBits: 2047, Until: day(2013, time.December, 31), Source: nist},
		Rule{Algorithm: "RSA", MinBits: 2048, Source: both},
		Rule{Algorithm: "EC", MaxBits: 223, Never: true, Source: nist},
		Rule{Algorithm: "EC", MinBits: 224, Source: both},
		Rule{Algorithm: "Ed25519", Source: "RFC 8032, RFC 8419, FIPS 186-5"},
	)
}

// holds tells whether a line lets something count at a time; a zero time asks for lines without an end.
func (r Rule) holds(at time.Time) bool {
	return !r.Never && (r.Until.IsZero() || !at.IsZero() && at.Before(r.Until.AddDate(0, 0, 1)))
}

// CheckDigest judges a digest algorithm as of a date by the Policy (a zero time: as of today's rules).
func CheckDigest(h crypto.Hash, at time.Time) Reasons {
	switch h {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512: // the usual ones, without a walk through the table
		return nil
	}
	name := strings.ReplaceAll(HashName(h), "/", "-")
	for _, r := range Policy() {
		if h != 0 && r.Algorithm == name && r.holds(at) {
			return nil
		}
	}
	return Reasons{{Code: CodeWeakDigest, Sub: CryptoNoPOE, Detail: HashName(h)}}
}

// CheckKey judges the kind and size of a public key as of a date by the Policy (a zero time: as of today's rules).
func CheckKey(public crypto.PublicKey, at time.Time) Reasons {
	var kind string
	var bits int
	switch key := public.(type) {
	case *rsa.PublicKey:
		kind, bits = "RSA", key.N.BitLen()
	case *ecdsa.PublicKey:
		kind, bits = "EC", key.Curve.Params().BitSize
	case ed25519.PublicKey:
		return nil
	default:
		return Reasons{{Code: CodeAlgorithm, Sub: CryptoConstraints, Detail: "public key type"}}
	}
	for _, r := range Policy() {
		if r.Algorithm == kind && bits >= r.MinBits && (r.MaxBits == 0 || bits <= r.MaxBits) && r.holds(at) {
			return nil
		}
	}
	return Reasons{{Code: CodeWeakKey, Sub: CryptoNoPOE, Detail: fmt.Sprintf("%s-%d", kind, bits)}}
}
