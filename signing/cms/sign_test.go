package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
)

func identity(tb testing.TB, name certs.Name) *keys.Key {
	tb.Helper()
	signer, chain := certs.Identity(tb, name)
	k, err := keys.New(signer, chain...)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// selfSigned makes a key of a kind that certs-testdata has not.
func selfSigned(tb testing.TB, signer crypto.Signer) *keys.Key {
	tb.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(99), NotBefore: time.Now().Add(-time.Hour), SubjectKeyId: []byte{1, 2, 3, 4},
		NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: "Tự ký", Organization: []string{"TEST ONLY"}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &keys.Key{Signer: signer, Certificate: c}
}

func ecKey(tb testing.TB, curve elliptic.Curve) crypto.Signer {
	tb.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func edKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

var errBroken = errors.New("disk broke")

// variants are the ways in which a SignedData can be made.
func variants(tb testing.TB) map[string]SignRequest {
	at := time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)
	return map[string]SignRequest{
		"rsa":         {Key: identity(tb, certs.OfficialRSA)},
		"rsa-sha512":  {Key: identity(tb, certs.OfficialRSA), Hash: crypto.SHA512},
		"rsa-sha3":    {Key: identity(tb, certs.OfficialRSA), Hash: crypto.SHA3_256},
		"pss":         {Key: identity(tb, certs.OfficialRSA), PSS: true},
		"pss-sha384":  {Key: identity(tb, certs.OfficialRSA), PSS: true, Hash: crypto.SHA384},
		"p256":        {Key: identity(tb, certs.OfficialEC)},
		"p256-time":   {Key: identity(tb, certs.OfficialEC), SigningTime: &at},
		"p256-no-ess": {Key: identity(tb, certs.OfficialEC), OmitESS: true},
		"p384":        {Key: selfSigned(tb, ecKey(tb, elliptic.P384())), Hash: crypto.SHA384},
		"p521":        {Key: selfSigned(tb, ecKey(tb, elliptic.P521())), Hash: crypto.SHA512},
		"ed25519":     {Key: selfSigned(tb, edKey(tb))},
	}
}

func content() []byte {
	return []byte("Quyết định số 05/QĐ-UBND\nĐiều 1. Thử nghiệm.\n")
}

// sign signs content() detached.
func sign(tb testing.TB, r SignRequest) []byte {
	tb.Helper()
	if r.Hash == 0 {
		r.Hash = crypto.SHA256
		if _, ok := r.Key.Certificate.PublicKey.(ed25519.PublicKey); ok {
			r.Hash = crypto.SHA512
		}
	}
	if r.Digest == nil && r.Content == nil {
		var err error
		if r.Digest, err = DigestOf(content())(r.Hash); err != nil {
			tb.Fatal(err)
		}
	}
	der, err := Sign(r)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func parsed(tb testing.TB, der []byte) *SignedData {
	tb.Helper()
	sd, err := Parse(der, Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	return sd
}

func TestSignAndVerify(t *testing.T) {
	for name, r := range variants(t) {
		t.Run(name, func(t *testing.T) {
			der := sign(t, r)
			sd := parsed(t, der)
			if len(sd.Signers) != 1 || sd.HasContent || sd.Version != 1 {
				t.Fatalf("signers %d, content %v, version %d", len(sd.Signers), sd.HasContent, sd.Version)
			}
			si := sd.Signers[0]
			res := sd.Verify(si, DigestOf(content()))
			if !res.Valid || !res.Intact || !res.Authentic || len(res.Weak) != 0 || res.HasESS == r.OmitESS {
				t.Fatalf("%+v", res)
			}
			if !res.Signer.Equal(r.Key.Certificate) {
				t.Errorf("signer is %s", res.Signer.Subject)
			}
			at, has := si.SigningTime()
			if has != (r.SigningTime != nil) || has && !at.Equal(*r.SigningTime) {
				t.Errorf("signing time %v %v", at, has)
			}
			if len(sd.Certificates()) != len(r.Key.Certificates()) {
				t.Errorf("%d certificates", len(sd.Certificates()))
			}
			size, err := EstimateSize(r, 0)
			if err != nil || size < len(der) || size > len(der)+12 {
				t.Errorf("estimated %d for %d bytes (%v)", size, len(der), err)
			}
			changed := sd.Verify(si, DigestOf(append(content(), '.')))
			if changed.Valid || changed.Intact || !changed.Authentic || changed.Reasons.Sub() != pki.HashFailure {
				t.Errorf("changed content: %+v", changed)
			}
		})
	}
}

func TestVerifyReportsReadErrors(t *testing.T) {
	sd := parsed(t, sign(t, SignRequest{Key: identity(t, certs.OfficialEC)}))
	res := sd.Verify(sd.Signers[0], func(crypto.Hash) ([]byte, error) { return nil, errBroken })
	if !errors.Is(res.ReadError, errBroken) || res.Valid || res.Intact || !res.Authentic || len(res.Reasons) > 0 {
		t.Errorf("%+v", res)
	}
	if res := sd.Verify(sd.Signers[0], nil); res.Valid || !res.Reasons.Has(pki.CodeNoContent) {
		t.Errorf("without content: %+v", res)
	}
}

func TestEmbeddedContent(t *testing.T) {
	der := sign(t, SignRequest{Key: identity(t, certs.OfficialEC), Content: content()})
	sd := parsed(t, der)
	if !sd.HasContent || !bytes.Equal(sd.Content, content()) {
		t.Fatalf("content %q", sd.Content)
	}
	if res := sd.Verify(sd.Signers[0], nil); !res.Valid {
		t.Errorf("%+v", res)
	}
	if _, err := Sign(SignRequest{Key: identity(t, certs.OfficialEC), Content: content(), Digest: make([]byte, 32)}); err == nil {
		t.Error("a digest of other content was signed")
	}
}

// remote signs elsewhere, like a token.
type remote struct{ crypto.Signer }

func (r remote) Sign(rnd io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return r.Signer.Sign(rnd, digest, opts)
}

func TestTwoPhases(t *testing.T) {
	for name, r := range variants(t) {
		signer := r.Key.Signer
		r.Key = &keys.Key{Certificate: r.Key.Certificate, Chain: r.Key.Chain}
		if r.Hash == 0 {
			r.Hash = crypto.SHA256
			if name == "ed25519" {
				r.Hash = crypto.SHA512
			}
		}
		r.Digest, _ = DigestOf(content())(r.Hash)
		p, err := Prepare(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, digest, opts := p.ToSign()
		signature, err := signer.Sign(rand.Reader, digest, opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		der, err := p.Complete(signature)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sd := parsed(t, der)
		if res := sd.Verify(sd.Signers[0], DigestOf(content())); !res.Valid {
			t.Errorf("%s: %+v", name, res)
		}
		signature[len(signature)-1] ^= 1
		if _, err := p.Complete(signature); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: a wrong value was accepted: %v", name, err)
		}
	}
}

func TestForeignKeyIsRefused(t *testing.T) {
	k := identity(t, certs.OfficialEC)
	other, _ := certs.Identity(t, certs.LeaderEC)
	for _, signer := range []crypto.Signer{other, remote{other}} {
		_, err := Sign(SignRequest{Key: &keys.Key{Signer: signer, Certificate: k.Certificate}, Digest: make([]byte, 32)})
		if !errors.Is(err, ErrSignature) {
			t.Errorf("%T: %v", signer, err)
		}
	}
	if _, err := Sign(SignRequest{Key: &keys.Key{Signer: remote{k.Signer}, Certificate: k.Certificate}, Digest: make([]byte, 32)}); err != nil {
		t.Errorf("the right key behind an interface: %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	k := identity(t, certs.OfficialEC)
	for name, r := range map[string]SignRequest{
		"no key":          {Digest: make([]byte, 32)},
		"short digest":    {Key: k, Digest: make([]byte, 31)},
		"sha1":            {Key: k, Hash: crypto.SHA1, Digest: make([]byte, 20)},
		"md5":             {Key: k, Hash: crypto.MD5, Digest: make([]byte, 16)},
		"ed25519 sha256":  {Key: selfSigned(t, edKey(t)), Hash: crypto.SHA256, Digest: make([]byte, 32)},
		"empty attribute": {Key: k, Digest: make([]byte, 32), SignedAttributes: []Attribute{{}}},
		"no signer":       {Key: &keys.Key{Certificate: k.Certificate}, Digest: make([]byte, 32)},
		"attribute error": {Key: k, Digest: make([]byte, 32),
			UnsignedAttributes: func([]byte) ([]Attribute, error) { return nil, errBroken }},
	} {
		if _, err := Sign(r); err == nil {
			t.Errorf("%s was signed", name)
		}
	}
}

func TestUnsignedAttributesAndSize(t *testing.T) {
	token := []byte{0x30, 0x03, 2, 1, 5}
	var seen []byte
	r := SignRequest{Key: identity(t, certs.OfficialEC), UnsignedAttributes: func(signature []byte) ([]Attribute, error) {
		seen = bytes.Clone(signature)
		return []Attribute{TimestampAttribute(token)}, nil
	}}
	der := sign(t, r)
	si := parsed(t, der).Signers[0]
	if !bytes.Equal(seen, si.Signature) || len(si.Timestamps()) != 1 || !bytes.Equal(si.Timestamps()[0], token) {
		t.Errorf("time stamps %x over %x", si.Timestamps(), seen)
	}
	if size, err := EstimateSize(r, len(token)); err != nil || size < len(der) || size > len(der)+12 {
		t.Errorf("estimated %d for %d bytes (%v)", size, len(der), err)
	}
}

func TestRevocationDataIsEmbedded(t *testing.T) {
	crl := certs.CRL(t, certs.IssuingEC)[0]
	ocsp := []byte{0x30, 0x03, 0x0a, 1, 0}
	sd := parsed(t, sign(t, SignRequest{Key: identity(t, certs.OfficialEC), CRLs: [][]byte{crl}, OCSPs: [][]byte{ocsp}}))
	if len(sd.RawCRLs) != 1 || !bytes.Equal(sd.RawCRLs[0], crl) || len(sd.RawOCSPs) != 1 || !bytes.Equal(sd.RawOCSPs[0], ocsp) {
		t.Errorf("crls %d, ocsps %d", len(sd.RawCRLs), len(sd.RawOCSPs))
	}
	if sd.Version != 5 {
		t.Errorf("version %d, want 5 (RFC 5652 §5.1)", sd.Version)
	}
}

// openssl runs the program, or tells that it is not there.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "openssl") {
			t.Fatal("openssl is required and not installed")
		}
		t.Skip("openssl is not installed")
	}
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func writeFile(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func certificatePEM(list ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range list {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

func TestOpenSSLAccepts(t *testing.T) {
	for name, r := range variants(t) {
		if name == "ed25519" {
			continue // OpenSSL 3.0 gives EdDSA a digest and so refuses every RFC 8419 signature
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			signed := writeFile(t, dir, "sig.der", sign(t, r))
			data := writeFile(t, dir, "data", content())
			roots := certs.Roots(t)
			if len(r.Key.Chain) == 0 {
				roots = []*x509.Certificate{r.Key.Certificate}
			}
			trust := writeFile(t, dir, "roots.pem", certificatePEM(roots...))
			args := []string{"cms", "-verify", "-binary", "-inform", "DER", "-in", signed, "-content", data, "-CAfile", trust,
				"-purpose", "any", "-out", filepath.Join(dir, "out")}
			if !r.OmitESS {
				args = append(args, "-cades")
			}
			if out := openssl(t, args...); !strings.Contains(out, "successful") {
				t.Error(out)
			}
		})
	}
}

func TestWeAcceptOpenSSL(t *testing.T) {
	dir := t.TempDir()
	data := writeFile(t, dir, "data", content())
	c, p := certs.PEM(t, certs.OfficialRSA)
	cert, key := writeFile(t, dir, "c.pem", c), writeFile(t, dir, "k.pem", p)
	for name, flags := range map[string][]string{
		"plain":         nil,
		"cades":         {"-cades"},
		"skid":          {"-keyid"},
		"pss":           {"-keyopt", "rsa_padding_mode:pss"},
		"pss mgf":       {"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha512", "-keyopt", "rsa_pss_saltlen:17"},
		"pss no salt":   {"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:0"},
		"no attributes": {"-noattr"},
		"indefinite":    {"-stream"},
		"attached":      {"-nodetach"},
		"attached ber":  {"-nodetach", "-stream", "-indef"},
		"sha1":          {"-md", "sha1"},
		"sha512":        {"-md", "sha512"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "sig")
			args := append([]string{"cms", "-sign", "-binary", "-in", data, "-signer", cert, "-inkey", key, "-outform", "DER", "-out", out}, flags...)
			if name != "sha1" && name != "sha512" {
				args = append(args, "-md", "sha256")
			}
			openssl(t, args...)
			der, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			sd := parsed(t, der)
			digest := DigestOf(content())
			if sd.HasContent {
				digest = nil
			}
			res := sd.Verify(sd.Signers[0], digest)
			if !res.Valid {
				t.Errorf("%+v", res)
			}
			if weak := name == "sha1"; weak != res.Weak.Has(pki.CodeWeakDigest) {
				t.Errorf("weak: %v", res.Weak)
			}
		})
	}
}

// TestDigestSetLater lays the attributes out before the digest is known: the bytes to sign are the same.
func TestDigestSetLater(t *testing.T) {
	sum := sha256.Sum256([]byte("văn bản"))
	at := time.Now()
	r := SignRequest{Key: identity(t, certs.OfficialEC), Hash: crypto.SHA256, Digest: sum[:], SigningTime: &at}
	known, err := Prepare(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Digest = make([]byte, len(sum))
	later, err := Prepare(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := later.SetDigest(sum[:20]); err == nil {
		t.Error("a digest of another length was taken")
	}
	if err := later.SetDigest(sum[:]); err != nil {
		t.Fatal(err)
	}
	want, _, _ := known.ToSign()
	if got, _, _ := later.ToSign(); !bytes.Equal(got, want) {
		t.Errorf("to sign: %x, want %x", got, want)
	}
}
