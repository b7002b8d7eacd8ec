package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
)

// forge prepares a signature in the name of one certificate, lets change alter it, and signs with any key unchecked.
func forge(tb testing.TB, r SignRequest, signer crypto.Signer, change func(p *Prepared)) []byte {
	tb.Helper()
	if r.Digest == nil {
		sum := sha256.Sum256(content())
		r.Digest = sum[:]
	}
	p, err := Prepare(r)
	if err != nil {
		tb.Fatal(err)
	}
	if change != nil {
		change(p)
	}
	_, digest, opts := p.ToSign()
	signature, err := signer.Sign(rand.Reader, digest, opts)
	if err != nil {
		tb.Fatal(err)
	}
	der, err := p.finish(signature)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func verify(tb testing.TB, der []byte) Result {
	tb.Helper()
	sd := parsed(tb, der)
	if len(sd.Signers) != 1 {
		tb.Fatalf("%d signers", len(sd.Signers))
	}
	return sd.Verify(sd.Signers[0], DigestOf(content()))
}

// The victim's public certificate stands first in the unordered set (pdfsign V1): the signer is who signed.
func TestSignerIsNotTheFirstCertificate(t *testing.T) {
	victim, attacker := identity(t, certs.LeaderEC), identity(t, certs.OtherOfficial)
	attacker.Chain = []*x509.Certificate{victim.Certificate}
	der := sign(t, SignRequest{Key: attacker})
	list := parsed(t, der).RawCertificates
	swapped := bytes.Replace(der, slices.Concat(list[0], list[1]), slices.Concat(list[1], list[0]), 1)
	if bytes.Equal(der, swapped) {
		t.Fatal("order not changed")
	}
	for _, der := range [][]byte{der, swapped} {
		res := verify(t, der)
		if !res.Valid || !res.Signer.Equal(attacker.Certificate) {
			t.Errorf("signer %s, %+v", res.Signer.Subject, res)
		}
		chain := pki.BuildChain(res.Signer, parsed(t, der).Certificates(), &pki.Trust{Roots: certs.Roots(t)},
			time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), pki.UsageSigning)
		if chain.Trusted {
			t.Error("the attacker's certificate is trusted")
		}
	}
}

// The identifier names the victim, the signature is the attacker's.
func TestForgedIdentifier(t *testing.T) {
	victim, attacker := identity(t, certs.LeaderEC), identity(t, certs.OtherOfficial)
	res := verify(t, forge(t, SignRequest{Key: victim}, attacker.Signer, nil))
	if res.Valid || res.Authentic || !res.Reasons.Has(pki.CodeSignature) || res.Reasons.Sub() != pki.SigCryptoFailure {
		t.Errorf("%+v", res)
	}
}

// twin makes a certificate with the issuer name and serial number of another one, and the attacker's key.
func twin(t *testing.T, victim *x509.Certificate, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: victim.SerialNumber, RawSubject: victim.RawSubject, NotBefore: victim.NotBefore,
		NotAfter: victim.NotAfter, SubjectKeyId: victim.SubjectKeyId}
	parent := &x509.Certificate{RawSubject: victim.RawIssuer}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A certificate of the attacker's own with the victim's issuer and serial number: with the victim's ESS reference it is
// refused here, with its own reference the chain gives it away.
func TestCertificateSubstitution(t *testing.T) {
	victim, attacker := identity(t, certs.LeaderEC), identity(t, certs.OtherOfficial)
	fake := twin(t, victim.Certificate, attacker.Signer)

	stolen := forge(t, SignRequest{Key: &keys.Key{Signer: attacker.Signer, Certificate: fake}}, attacker.Signer, func(p *Prepared) {
		p.attrs = bytes.Replace(p.attrs, hash(fake), hash(victim.Certificate), 1)
	})
	res := verify(t, stolen)
	if res.Valid || !res.Reasons.Has(pki.CodeSignerMismatch) || res.Reasons.Sub() != pki.NoSigningCertificate {
		t.Errorf("ESS of the victim: %+v", res)
	}

	own := sign(t, SignRequest{Key: &keys.Key{Signer: attacker.Signer, Certificate: fake, Chain: victim.Certificates()}})
	res = verify(t, own)
	if !res.Valid || !res.Signer.Equal(fake) {
		t.Fatalf("ESS of the attacker: %+v", res)
	}
	chain := pki.BuildChain(res.Signer, parsed(t, own).Certificates(), &pki.Trust{Roots: certs.Roots(t)},
		time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), pki.UsageSigning)
	if chain.Trusted || !chain.Reasons.Has(pki.CodeNoChain) {
		t.Errorf("chain %+v", chain)
	}
}

func hash(c *x509.Certificate) []byte {
	sum := sha256.Sum256(c.Raw)
	return sum[:]
}

// A key used under two certificates: the one that ESS binds is the signer, whichever is found first.
func TestESSChoosesAmongCertificatesOfOneKey(t *testing.T) {
	k := identity(t, certs.LeaderEC)
	other := twin(t, k.Certificate, k.Signer)
	for _, bound := range []*x509.Certificate{k.Certificate, other} {
		rest := []*x509.Certificate{k.Certificate, other}
		res := verify(t, sign(t, SignRequest{Key: &keys.Key{Signer: k.Signer, Certificate: bound, Chain: rest}}))
		if !res.Valid || !res.Signer.Equal(bound) {
			t.Errorf("%+v", res)
		}
	}
}

func TestWrongESS(t *testing.T) {
	k := identity(t, certs.LeaderEC)
	res := verify(t, forge(t, SignRequest{Key: k}, k.Signer, func(p *Prepared) {
		p.attrs = bytes.Replace(p.attrs, hash(k.Certificate), make([]byte, 32), 1)
	}))
	if res.Valid || !res.Authentic || !res.Reasons.Has(pki.CodeSignerMismatch) {
		t.Errorf("%+v", res)
	}
}

// essV1 is a signing-certificate attribute (RFC 2634) with a SHA-1 reference.
func essV1(sum []byte) Attribute {
	ref := wrap(tagSequence, wrap(tagOctets, sum))
	return Attribute{oidSigningCertificate(), [][]byte{wrap(tagSequence, wrap(tagSequence, ref))}}
}

func TestESSVersion1(t *testing.T) {
	k := identity(t, certs.LeaderEC)
	sum, _ := DigestOf(k.Certificate.Raw)(crypto.SHA1)
	res := verify(t, sign(t, SignRequest{Key: k, OmitESS: true, SignedAttributes: []Attribute{essV1(sum)}}))
	if !res.Valid || !res.HasESS {
		t.Errorf("%+v", res)
	}
	sum[0] ^= 1
	res = verify(t, sign(t, SignRequest{Key: k, SignedAttributes: []Attribute{essV1(sum)}}))
	if res.Valid || !res.Reasons.Has(pki.CodeSignerMismatch) {
		t.Errorf("v2 right, v1 wrong: %+v", res)
	}
}

func TestSignedAttributeFaults(t *testing.T) {
	k := identity(t, certs.LeaderEC)
	sum := sha256.Sum256(content())
	for name, c := range map[string]struct {
		attrs []Attribute
		want  pki.Code
	}{
		"two digests":       {[]Attribute{{oidMessageDigest(), [][]byte{wrap(tagOctets, sum[:])}}}, pki.CodeDuplicate},
		"two content types": {[]Attribute{{oidContentType(), [][]byte{encodeOID(oidData())}}}, pki.CodeDuplicate},
		"two times":         {[]Attribute{{oidSigningTime(), [][]byte{encodeTime(time.Now()), encodeTime(time.Now().Add(time.Hour))}}}, pki.CodeDuplicate},
		"malformed ESS":     {[]Attribute{{oidSigningCertificate(), [][]byte{{5, 0}}}}, pki.CodeMissingAttribute},
		"algorithm defence": {[]Attribute{{oidAlgorithmProtection(), [][]byte{wrap(tagSequence, wrap(tagSequence, encodeOID(oidData())))}}}, pki.CodeDigestMismatch},
		"malformed defence": {[]Attribute{{oidAlgorithmProtection(), [][]byte{{5, 0}}}}, pki.CodeDigestMismatch},
	} {
		res := verify(t, sign(t, SignRequest{Key: k, SignedAttributes: c.attrs}))
		if res.Valid || !res.Reasons.Has(c.want) {
			t.Errorf("%s: %+v", name, res)
		}
	}
	for name, c := range map[string]struct {
		drop asn1.ObjectIdentifier
		want pki.Code
	}{"no digest": {oidMessageDigest(), pki.CodeMissingAttribute}, "no content type": {oidContentType(), pki.CodeMissingAttribute}} {
		res := verify(t, forge(t, SignRequest{Key: k}, k.Signer, func(p *Prepared) { p.attrs = without(p.attrs, c.drop) }))
		if res.Valid || !res.Reasons.Has(c.want) {
			t.Errorf("%s: %+v", name, res)
		}
	}
	other := forge(t, SignRequest{Key: k}, k.Signer, func(p *Prepared) { p.request.ContentType = oidSignedData() })
	if res := verify(t, other); res.Valid || !res.Reasons.Has(pki.CodeContentType) {
		t.Errorf("content type: %+v", res)
	}
}

// without removes the attributes of a type from a SET OF.
func without(attrs []byte, oid asn1.ObjectIdentifier) []byte {
	in := reader(attrs)
	set, _ := in.want(tagSet)
	var kept [][]byte
	for rest := reader(set.body); len(rest) > 0; {
		v, _ := rest.next()
		body := reader(v.body)
		if have, _ := body.oid(); !have.Equal(oid) {
			kept = append(kept, v.full)
		}
	}
	return wrap(tagSet, kept...)
}

// Some signers sign the attributes in DER order and send them in another, or the other way round.
func TestAttributesOutOfOrder(t *testing.T) {
	k := identity(t, certs.OfficialRSA)
	at := time.Now()
	r := SignRequest{Key: k, SigningTime: &at}
	reversed := func(attrs []byte) []byte {
		in := reader(attrs)
		set, _ := in.want(tagSet)
		var members [][]byte
		for rest := reader(set.body); len(rest) > 0; {
			v, _ := rest.next()
			members = append([][]byte{v.full}, members...)
		}
		return wrap(tagSet, members...)
	}
	sent := forge(t, r, k.Signer, func(p *Prepared) { p.attrs = reversed(p.attrs) })
	if res := verify(t, sent); !res.Valid {
		t.Errorf("signed and sent reversed: %+v", res)
	}
	der := sign(t, r)
	in := reader(parsed(t, der).Signers[0].signedBody)
	body := []byte(in)
	swapped := bytes.Replace(der, body, reversed(wrap(tagSet, body))[len(wrap(tagSet, body))-len(body):], 1)
	if bytes.Equal(der, swapped) {
		t.Fatal("order not changed")
	}
	if res := verify(t, swapped); !res.Valid {
		t.Errorf("signed in order, sent reversed: %+v", res)
	}
}

// RSA signatures whose identifier names another digest than the one used exist in archives: the value names its own.
func TestDigestMismatch(t *testing.T) {
	k := identity(t, certs.OfficialRSA)
	der := forge(t, SignRequest{Key: k}, k.Signer, func(p *Prepared) {
		a := p.algorithm
		a.Hash = crypto.SHA512
		p.encoded, _ = encodeAlgorithm(a)
	})
	if res := verify(t, der); !res.Valid || !res.Weak.Has(pki.CodeDigestMismatch) {
		t.Errorf("RSA: %+v", res)
	}
	ec := identity(t, certs.OfficialEC)
	der = forge(t, SignRequest{Key: ec}, ec.Signer, func(p *Prepared) { p.algorithm.Hash = crypto.SHA512; p.encoded, _ = encodeAlgorithm(p.algorithm) })
	if res := verify(t, der); res.Valid || !res.Reasons.Has(pki.CodeDigestMismatch) {
		t.Errorf("ECDSA: %+v", res)
	}
}

func TestUnsupportedAlgorithms(t *testing.T) {
	k := identity(t, certs.OfficialRSA)
	for name, c := range map[string]struct {
		change func(der []byte) []byte
		want   pki.Code
	}{
		"md5 digest": {func(der []byte) []byte {
			return bytes.ReplaceAll(der, encodeOID(pki.OIDByHash(crypto.SHA256)), pad(encodeOID(asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}), 11))
		}, pki.CodeAlgorithm},
		"md5 signature": {func(der []byte) []byte {
			last := bytes.LastIndex(der, encodeOID(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}))
			out := bytes.Clone(der)
			out[last+10] = 4
			return out
		}, pki.CodeAlgorithm},
		"pss without parameters": {func(der []byte) []byte {
			last := bytes.LastIndex(der, encodeOID(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}))
			out := bytes.Clone(der)
			out[last+10] = 10
			return out
		}, pki.CodeAlgorithm},
	} {
		res := verify(t, c.change(sign(t, SignRequest{Key: k})))
		if res.Valid || !res.Reasons.Has(c.want) {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

// pad makes an object identifier n octets long by arcs of its own.
func pad(der []byte, n int) []byte {
	for len(der) < n {
		der = append(der, 1)
		der[1]++
	}
	return der
}

func TestWeakKeyIsReported(t *testing.T) {
	res := verify(t, sign(t, SignRequest{Key: identity(t, certs.WeakKey)}))
	if !res.Valid || !res.Weak.Has(pki.CodeWeakKey) {
		t.Errorf("%+v", res)
	}
}

func TestSignerCertificateElsewhere(t *testing.T) {
	k := identity(t, certs.OfficialEC)
	sd := parsed(t, sign(t, SignRequest{Key: k, OmitCertificates: true}))
	si := sd.Signers[0]
	if res := sd.Verify(si, DigestOf(content())); res.Valid || !res.Reasons.Has(pki.CodeNoSigner) {
		t.Errorf("without certificate: %+v", res)
	}
	if res := sd.Verify(si, DigestOf(content()), nil, identity(t, certs.LeaderEC).Certificate, k.Certificate); !res.Valid {
		t.Errorf("certificate from the document: %+v", res)
	}
	if sd.SignerCertificate(si) != nil {
		t.Error("a certificate was made up")
	}
}

// Keys marked id-RSASSA-PSS, which crypto/x509 leaves unread.
func TestPSSOnlyCertificate(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := pssCertificate(t, key)
	if c.PublicKey != nil || pki.PublicKey(c) == nil {
		t.Fatalf("public key %T", c.PublicKey)
	}
	res := verify(t, forge(t, SignRequest{Key: &keys.Key{Certificate: c}}, key, nil))
	if !res.Valid || res.Algorithm != "RSA-PSS-SHA256" {
		t.Errorf("%+v", res)
	}
}

// pssCertificate rewrites the key type of a certificate; its own signature does not matter here.
func pssCertificate(t *testing.T, key *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	var tbs struct {
		Raw        asn1.RawContent
		Version    int `asn1:"explicit,tag:0"`
		Serial     asn1.RawValue
		Algorithm  pkix.AlgorithmIdentifier
		Issuer     asn1.RawValue
		Validity   asn1.RawValue
		Subject    asn1.RawValue
		SPKI       asn1.RawValue
		Extensions asn1.RawValue `asn1:"optional,explicit,tag:3"`
	}
	c := selfSigned(t, key).Certificate
	if _, err := asn1.Unmarshal(c.RawTBSCertificate, &tbs); err != nil {
		t.Fatal(err)
	}
	tbs.Raw = nil
	spki, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}},
		asn1.BitString{Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey), BitLength: 8 * len(x509.MarshalPKCS1PublicKey(&key.PublicKey))}})
	if err != nil {
		t.Fatal(err)
	}
	tbs.SPKI = asn1.RawValue{FullBytes: spki}
	der, err := asn1.Marshal(tbs)
	if err != nil {
		t.Fatal(err)
	}
	in := reader(c.Raw)
	outer, _ := in.want(tagSequence)
	in = outer.body
	in.next()
	made, err := x509.ParseCertificate(wrap(tagSequence, der, in))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestErrorsAreNotForSignatures(t *testing.T) {
	for name, der := range map[string][]byte{
		"empty": nil, "garbage": []byte("garbage CMS bytes"), "zeros": make([]byte, 100),
		"other content": wrap(tagSequence, encodeOID(oidData()), wrap(tagContext0, wrap(tagOctets, []byte("x")))),
	} {
		if _, err := Parse(der, Limits{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
