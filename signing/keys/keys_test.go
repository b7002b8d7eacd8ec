package keys

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	certs "vanthu/certs-testdata"
)

const passphrase = "mật khẩu thử nghiệm"

func identity(t *testing.T, name certs.Name) *Key {
	t.Helper()
	signer, chain := certs.Identity(t, name)
	k, err := New(signer, chain...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ed25519Key(t *testing.T) *Key {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Ed25519"},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	k, err := New(private, c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// same checks that two keys hold the same certificates and private key.
func same(t *testing.T, got, want *Key) {
	t.Helper()
	if !samePublic(got.Signer.Public(), want.Signer.Public()) || !samePublic(got.Signer.Public(), got.Certificate.PublicKey) {
		t.Error("another key came back")
	}
	a, b := got.Certificates(), want.Certificates()
	if len(a) != len(b) {
		t.Fatalf("%d certificates, want %d", len(a), len(b))
	}
	for i := range a {
		if !a[i].Equal(b[i]) {
			t.Errorf("certificate %d differs", i)
		}
	}
}

func TestPKCS12RoundTrip(t *testing.T) {
	for name, k := range map[string]*Key{
		"rsa": identity(t, certs.OfficialRSA), "ec": identity(t, certs.OfficialEC), "ed25519": ed25519Key(t),
	} {
		t.Run(name, func(t *testing.T) {
			data, err := k.ToPKCS12(passphrase)
			if err != nil {
				t.Fatal(err)
			}
			back, err := FromPKCS12(data, passphrase)
			if err != nil {
				t.Fatal(err)
			}
			same(t, back, k)
			if _, err := FromPKCS12(data, "wrong"); !errors.Is(err, ErrPassphrase) {
				t.Errorf("wrong passphrase: %v", err)
			}
		})
	}
}

func TestPKCS12ReadsOldCiphers(t *testing.T) {
	k := identity(t, certs.OfficialRSA)
	for name, encoder := range map[string]*pkcs12.Encoder{"3des": pkcs12.LegacyDES, "rc2": pkcs12.LegacyRC2} {
		data, err := encoder.Encode(k.Signer, k.Certificate, k.Chain, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		back, err := FromPKCS12(data, passphrase)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		same(t, back, k)
	}
}

func TestPKCS12BadFiles(t *testing.T) {
	k := identity(t, certs.OfficialEC)
	good, err := k.ToPKCS12(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := pkcs12.Modern.WithIterations(0x10000).Encode(k.Signer, k.Certificate, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	// The same file that demands 8 million rounds instead of 65,536.
	slow = bytes.ReplaceAll(slow, []byte{2, 3, 1, 0, 0}, []byte{2, 3, 0x7f, 0xff, 0xff})
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"empty":     {nil, ErrDamaged},
		"text":      {[]byte("not a key"), ErrDamaged},
		"cut":       {good[:len(good)/2], ErrDamaged},
		"too large": {make([]byte, MaxFile+1), ErrDamaged},
		"too slow":  {slow, ErrUnsupported},
	} {
		if _, err := FromPKCS12(c.data, passphrase); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for i := range good { // no byte makes it panic
		bad := bytes.Clone(good)
		bad[i] ^= 0x55
		affordable(bad, 0)
	}
}

func TestPEM(t *testing.T) {
	for _, name := range []certs.Name{certs.OfficialRSA, certs.OfficialEC} {
		k := identity(t, name)
		c, p, err := k.ToPEM()
		if err != nil {
			t.Fatal(err)
		}
		back, err := FromPEM(c, p)
		if err != nil {
			t.Fatal(err)
		}
		same(t, back, k)
		both := append(bytes.Clone(p), c...)
		if back, err = FromPEM(both, both); err != nil {
			t.Fatal(err)
		}
		same(t, back, k)
	}
}

func TestPEMBadFiles(t *testing.T) {
	c, p := certs.PEM(t, certs.OfficialEC)
	_, other := certs.PEM(t, certs.OfficialRSA)
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}})
	broken := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")})
	for name, bad := range map[string]struct {
		cert, key []byte
		want      error
	}{
		"no key":           {c, nil, ErrNoKey},
		"no certificate":   {nil, p, ErrNoCertificate},
		"other key":        {c, other, ErrNoCertificate},
		"encrypted":        {c, encrypted, ErrUnsupported},
		"broken key":       {c, broken, ErrDamaged},
		"broken cert":      {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}}), p, ErrDamaged},
		"too large":        {make([]byte, MaxFile+1), p, ErrDamaged},
		"certificate only": {c, c, ErrNoKey},
	} {
		_, err := FromPEM(bad.cert, bad.key)
		if !errors.Is(err, bad.want) {
			t.Errorf("%s: %v, want %v", name, err, bad.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes the file", name)
		}
	}
}

func TestNewOrdersTheChain(t *testing.T) {
	signer, chain := certs.Identity(t, certs.OfficialEC)
	root, stranger := certs.Certificate(t, certs.Root), certs.Certificate(t, certs.OtherRoot)
	k, err := New(signer, stranger, root, nil, chain[1], chain[0], chain[0])
	if err != nil {
		t.Fatal(err)
	}
	want := []*x509.Certificate{chain[0], chain[1], root, stranger}
	got := k.Certificates()
	if len(got) != len(want) {
		t.Fatalf("%d certificates, want %d", len(got), len(want))
	}
	for i := range want {
		if !got[i].Equal(want[i]) {
			t.Errorf("certificate %d is %s", i, got[i].Subject)
		}
	}
	if _, err := New(nil, chain...); !errors.Is(err, ErrNoKey) {
		t.Errorf("no signer: %v", err)
	}
	if _, err := New(signer, root); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("no certificate: %v", err)
	}
}

// token is a key that cannot leave its holder.
type token struct{ inner crypto.Signer }

func (o token) Public() crypto.PublicKey { return o.inner.Public() }
func (o token) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return o.inner.Sign(r, digest, opts)
}

func TestTokenKeysAreNotExported(t *testing.T) {
	signer, chain := certs.Identity(t, certs.SealEC)
	k, err := New(token{signer}, chain...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.ToPKCS12(passphrase); !errors.Is(err, ErrUnsupported) {
		t.Errorf("PKCS#12: %v", err)
	}
	if _, _, err := k.ToPEM(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("PEM: %v", err)
	}
}
