package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPolicyByDate(t *testing.T) {
	last, after := time.Date(2013, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2014, 1, 1, 0, 0, 0, 0, time.UTC)
	rsaKey := func(bits uint) *rsa.PublicKey {
		return &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), bits-1), E: 65537}
	}
	for name, c := range map[string]struct {
		reasons Reasons
		want    Code
	}{
		"SHA-1 on the last day":     {CheckDigest(crypto.SHA1, last), ""},
		"SHA-1 the day after":       {CheckDigest(crypto.SHA1, after), CodeWeakDigest},
		"SHA-1 today":               {CheckDigest(crypto.SHA1, time.Time{}), CodeWeakDigest},
		"MD5 ever":                  {CheckDigest(crypto.MD5, last), CodeWeakDigest},
		"no digest":                 {CheckDigest(0, last), CodeWeakDigest},
		"SHA-224":                   {CheckDigest(crypto.SHA224, after), ""},
		"SHA-512/256":               {CheckDigest(crypto.SHA512_256, after), ""},
		"SHA3-256":                  {CheckDigest(crypto.SHA3_256, time.Time{}), ""},
		"RSA 1024 on the last day":  {CheckKey(rsaKey(1024), last), ""},
		"RSA 2047 the day after":    {CheckKey(rsaKey(2047), after), CodeWeakKey},
		"RSA 1023 ever":             {CheckKey(rsaKey(1023), last), CodeWeakKey},
		"RSA 2048":                  {CheckKey(rsaKey(2048), time.Time{}), ""},
		"P-224":                     {CheckKey(&ecdsa.PublicKey{Curve: elliptic.P224()}, after), ""},
		"a kind that is not listed": {CheckKey("key", after), CodeAlgorithm},
	} {
		if got := c.reasons; (c.want == "") != (len(got) == 0) || c.want != "" && !got.Has(c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestPolicyIsDocumented keeps the table of README.md to the one in force.
func TestPolicyIsDocumented(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Policy() {
		found := false
		for line := range strings.Lines(string(data)) {
			cells := strings.Split(line, "|")
			if len(cells) < 5 || !strings.Contains(strings.TrimSpace(cells[1])+",", r.Algorithm+",") && !strings.HasPrefix(strings.TrimSpace(cells[1]), r.Algorithm+" ") {
				continue
			}
			end := "no end set"
			switch {
			case r.Never:
				end = "never"
			case !r.Until.IsZero():
				end = r.Until.Format(time.DateOnly)
			}
			found = found || strings.Contains(cells[2], end)
		}
		if !found {
			t.Errorf("README.md does not say of %s %d to %d: %v %v", r.Algorithm, r.MinBits, r.MaxBits, r.Until, r.Never)
		}
	}
}
