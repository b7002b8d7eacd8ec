package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
)

// now is inside every validity that is not itself the point.
func now() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }

func testTrust(tb testing.TB) *Trust {
	return &Trust{Roots: certs.Roots(tb), TimestampRoots: certs.Roots(tb)}
}

// chainOf judges a case of certs-testdata.
func chainOf(t *testing.T, name certs.Name, usage Usage, at time.Time) ChainResult {
	t.Helper()
	_, chain := certs.Identity(t, name)
	return BuildChain(chain[0], chain[1:], testTrust(t), at, usage)
}

func TestCasesOfTheTestPKI(t *testing.T) {
	for _, c := range []struct {
		name  certs.Name
		usage Usage
		at    time.Time
		want  []Code // none: trusted
		sub   Sub
	}{
		{certs.OfficialRSA, UsageSigning, now(), nil, ""},
		{certs.OfficialEC, UsageSigning, now(), nil, ""},
		{certs.SealRSA, UsageSigning, now(), nil, ""},
		{certs.SealEC, UsageSigning, now(), nil, ""},
		{certs.Revoked, UsageSigning, now(), nil, ""}, // revocation is judged apart
		{certs.TSA, UsageTimestamping, now(), nil, ""},
		{certs.OCSP, UsageOCSP, now(), nil, ""},
		{certs.Expired, UsageSigning, now(), []Code{CodeExpired}, OutOfBoundsNoPOE},
		{certs.Expired, UsageSigning, time.Date(2021, 6, 1, 0, 0, 0, 0, time.UTC), nil, ""},
		{certs.NotYetValid, UsageSigning, now(), []Code{CodeNotYetValid}, OutOfBoundsNoPOE},
		{certs.WrongUsage, UsageSigning, now(), []Code{CodeUsage}, ChainConstraints},
		{certs.TSA, UsageSigning, now(), []Code{CodeUsage}, ChainConstraints},
		{certs.OCSP, UsageSigning, now(), []Code{CodeUsage}, ChainConstraints},
		{certs.OfficialEC, UsageTimestamping, now(), []Code{CodeTimestampUsage}, ChainConstraints},
		{certs.OfficialEC, UsageOCSP, now(), []Code{CodeUsage}, ChainConstraints},
		{certs.OfficialEC, UsageCRL, now(), []Code{CodeUsage}, ChainConstraints},
		{certs.IssuingEC, UsageCRL, now(), nil, ""},
		{certs.IssuingEC, UsageSigning, now(), []Code{CodeUsage}, ChainConstraints},
		{certs.WeakKey, UsageSigning, now(), []Code{CodeWeakKey}, CryptoNoPOE},
		{certs.OtherOfficial, UsageSigning, now(), []Code{CodeNoChain}, NoCertificateChain},
		{certs.OtherTSA, UsageTimestamping, now(), []Code{CodeNoChain}, NoCertificateChain},
		{certs.OtherRoot, UsageCRL, now(), []Code{CodeNoChain}, NoCertificateChain},
	} {
		r := chainOf(t, c.name, c.usage, c.at)
		if r.Trusted != (len(c.want) == 0) || len(r.Reasons) != len(c.want) || r.Reasons.Sub() != c.sub {
			t.Errorf("%s for %d: trusted %v, %v", c.name, c.usage, r.Trusted, r.Reasons)
			continue
		}
		for _, code := range c.want {
			if !r.Reasons.Has(code) {
				t.Errorf("%s: no %s in %v", c.name, code, r.Reasons)
			}
		}
		if r.Trusted && (!r.Anchored || !r.Chain[len(r.Chain)-1].Equal(certs.Certificate(t, certs.Root))) {
			t.Errorf("%s: chain of %d does not end in the root", c.name, len(r.Chain))
		}
	}
}

func TestTimestampRootsAreApart(t *testing.T) {
	_, chain := certs.Identity(t, certs.TSA)
	trust := &Trust{Roots: certs.Roots(t)}
	if r := BuildChain(chain[0], chain[1:], trust, now(), UsageTimestamping); r.Trusted {
		t.Error("a root for signatures served for time stamps")
	}
	if r := BuildChain(chain[0], chain[1:], nil, now(), UsageTimestamping); r.Trusted {
		t.Error("trusted without trust")
	}
}

// link is one certificate of a made-up chain with its key.
type link struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// issue makes a certificate; edit may change the template. parent nil means self-signed.
func issue(t *testing.T, name string, parent *link, edit func(c *x509.Certificate)) *link {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issueFor(t, name, key, parent, edit)
}

func issueFor(t *testing.T, name string, key crypto.Signer, parent *link, edit func(c *x509.Certificate)) *link {
	t.Helper()
	serial, err := newSerial()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"TEST ONLY"}},
		NotBefore: now().AddDate(-5, 0, 0), NotAfter: now().AddDate(5, 0, 0), BasicConstraintsValid: true, MaxPathLen: -1}
	if edit != nil {
		edit(template)
	}
	p := &link{template, key}
	if parent != nil {
		p = parent
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.cert, key.Public(), p.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &link{c, key}
}

func ca(c *x509.Certificate) {
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
}

// judge builds the chain of the last of links, the first being the root.
func judge(links ...*link) ChainResult {
	var pool []*x509.Certificate
	for _, l := range links[1 : len(links)-1] {
		pool = append(pool, l.cert)
	}
	slices.Reverse(pool)
	anchors := []*x509.Certificate{links[0].cert}
	return BuildChain(links[len(links)-1].cert, pool, &Trust{Roots: anchors, TimestampRoots: anchors}, now(), UsageSigning)
}

func critical(oid string, value []byte) pkix.Extension {
	var id asn1.ObjectIdentifier
	for _, e := range [...]struct {
		s  string
		id asn1.ObjectIdentifier
	}{
		{"2.5.29.30", asn1.ObjectIdentifier{2, 5, 29, 30}},
		{"1.2.3.4", asn1.ObjectIdentifier{1, 2, 3, 4}},
		{"2.5.29.36", asn1.ObjectIdentifier{2, 5, 29, 36}},
	} {
		if e.s == oid {
			id = e.id
		}
	}
	return pkix.Extension{Id: id, Critical: true, Value: value}
}

func TestPathRules(t *testing.T) {
	root := issue(t, "root", nil, ca)
	with := func(edit func(c *x509.Certificate)) func(c *x509.Certificate) {
		return func(c *x509.Certificate) { ca(c); edit(c) }
	}
	for name, c := range map[string]struct {
		issuer func(c *x509.Certificate)
		leaf   func(c *x509.Certificate)
		want   Code
	}{
		"plain":            {ca, nil, ""},
		"no CA":            {func(c *x509.Certificate) {}, nil, CodeNotAuthority},
		"no certSign":      {with(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), nil, CodeNotAuthority},
		"expired CA":       {with(func(c *x509.Certificate) { c.NotAfter = now().Add(-time.Hour) }), nil, CodeExpired},
		"future CA":        {with(func(c *x509.Certificate) { c.NotBefore = now().Add(time.Hour) }), nil, CodeNotYetValid},
		"critical on CA":   {with(func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{critical("1.2.3.4", []byte{5, 0})} }), nil, CodeCritical},
		"critical on leaf": {ca, func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{critical("1.2.3.4", []byte{5, 0})} }, CodeCritical},
		"nonRepudiation":   {ca, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment }, ""},
		"key encipherment": {ca, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, CodeUsage},
		"unknown usage":    {ca, func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} }, ""},
		"server and signer": {ca, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageEmailProtection}
		}, ""},
		"policy demanded, none there": {with(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{critical("2.5.29.36", []byte{0x30, 3, 0x80, 1, 0})}
		}), nil, CodePolicy},
		"policy demanded, one there": {with(func(c *x509.Certificate) {
			c.Policies = []x509.OID{oid(t, "1.2.3.5")}
			c.ExtraExtensions = []pkix.Extension{critical("2.5.29.36", []byte{0x30, 3, 0x80, 1, 0})}
		}), func(c *x509.Certificate) { c.Policies = []x509.OID{oid(t, "1.2.3.5")} }, ""},
		"policy demanded, another there": {with(func(c *x509.Certificate) {
			c.Policies = []x509.OID{oid(t, "1.2.3.5")}
			c.ExtraExtensions = []pkix.Extension{critical("2.5.29.36", []byte{0x30, 3, 0x80, 1, 0})}
		}), func(c *x509.Certificate) { c.Policies = []x509.OID{oid(t, "1.2.3.6")} }, CodePolicy},
	} {
		issuer := issue(t, "issuer", root, c.issuer)
		r := judge(root, issuer, issue(t, "leaf", issuer, c.leaf))
		if r.Trusted != (c.want == "") || c.want != "" && (len(r.Reasons) != 1 || !r.Reasons.Has(c.want)) || !r.Anchored {
			t.Errorf("%s: trusted %v, %v, want %q", name, r.Trusted, r.Reasons, c.want)
		}
	}
}

func oid(t *testing.T, s string) x509.OID {
	t.Helper()
	id, err := x509.ParseOID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestPathLength(t *testing.T) {
	root := issue(t, "root", nil, func(c *x509.Certificate) { ca(c); c.MaxPathLen = 1 })
	one := issue(t, "one", root, ca)
	two := issue(t, "two", one, ca)
	if r := judge(root, one, issue(t, "leaf", one, nil)); !r.Trusted {
		t.Errorf("one authority: %v", r.Reasons)
	}
	if r := judge(root, one, two, issue(t, "leaf", two, nil)); r.Trusted || !r.Reasons.Has(CodePathLength) {
		t.Errorf("two authorities: %v", r.Reasons)
	}
	zero := issue(t, "zero", root, func(c *x509.Certificate) { ca(c); c.MaxPathLen, c.MaxPathLenZero = 0, true })
	below := issue(t, "below", zero, ca)
	if r := judge(root, zero, below, issue(t, "leaf", below, nil)); r.Trusted || !r.Reasons.Has(CodePathLength) {
		t.Errorf("below zero: %v", r.Reasons)
	}
}

func TestLongChainsAndLoopsEnd(t *testing.T) {
	root := issue(t, "root", nil, ca)
	links := []*link{root}
	for i := range maxPath {
		links = append(links, issue(t, string(rune('a'+i)), links[i], ca))
	}
	links = append(links, issue(t, "leaf", links[len(links)-1], nil))
	if r := judge(links...); r.Trusted || !r.Reasons.Has(CodeLimit) {
		t.Errorf("chain of %d: %v", len(links), r.Reasons)
	}
	// Two authorities that certify each other, and a crowd of certificates of one name.
	a := issue(t, "a", nil, ca)
	b := issue(t, "b", a, ca)
	a2 := issueFor(t, "a", a.key, b, ca)
	pool := []*x509.Certificate{a.cert, b.cert, a2.cert}
	for range 150 {
		pool = append(pool, issueFor(t, "b", b.key, a, ca).cert)
	}
	start := time.Now()
	r := BuildChain(issue(t, "leaf", b, nil).cert, pool, &Trust{Roots: []*x509.Certificate{root.cert}}, now(), UsageSigning)
	if r.Trusted || !r.Reasons.Has(CodeNoChain) {
		t.Errorf("loop: %v", r.Reasons)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %s", d)
	}
}

// Of two paths the good one is found, whichever the pool gives first.
func TestCrossCertificates(t *testing.T) {
	root, old := issue(t, "root", nil, ca), issue(t, "old root", nil, ca)
	good := issue(t, "issuer", root, ca)
	expired := issueFor(t, "issuer", good.key, old, func(c *x509.Certificate) { ca(c); c.NotAfter = now().Add(-time.Hour) })
	leaf := issue(t, "leaf", good, nil)
	trust := &Trust{Roots: []*x509.Certificate{old.cert, root.cert}}
	for _, pool := range [][]*x509.Certificate{{good.cert, expired.cert}, {expired.cert, good.cert}} {
		r := BuildChain(leaf.cert, pool, trust, now(), UsageSigning)
		if !r.Trusted || !r.Chain[1].Equal(good.cert) {
			t.Errorf("%v", r.Reasons)
		}
	}
	r := BuildChain(leaf.cert, []*x509.Certificate{expired.cert}, trust, now(), UsageSigning)
	if r.Trusted || !r.Anchored || !r.Reasons.Has(CodeExpired) {
		t.Errorf("only the expired one: %v", r.Reasons)
	}
}

// An issuer of the right name with another key issues nothing.
func TestNameIsNotEnough(t *testing.T) {
	root := issue(t, "root", nil, ca)
	impostor := issue(t, "root", nil, ca)
	r := BuildChain(issue(t, "leaf", impostor, nil).cert, []*x509.Certificate{impostor.cert},
		&Trust{Roots: []*x509.Certificate{root.cert}}, now(), UsageSigning)
	if r.Trusted || r.Anchored || !r.Reasons.Has(CodeNoChain) {
		t.Errorf("%+v", r)
	}
}

func TestAnchorMayBeTheLeafOrAnIntermediate(t *testing.T) {
	_, chain := certs.Identity(t, certs.OfficialEC)
	for _, anchor := range chain {
		r := BuildChain(chain[0], nil, &Trust{Roots: []*x509.Certificate{anchor}}, now(), UsageSigning)
		if !r.Trusted {
			t.Errorf("%s: %v", anchor.Subject, r.Reasons)
		}
	}
}

// dirName is a GeneralName of choice directoryName.
func dirName(t *testing.T, n pkix.Name) []byte {
	t.Helper()
	der, err := asn1.Marshal(n.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{0xa4, byte(len(der))}, der...)
}

func TestNameConstraints(t *testing.T) {
	root := issue(t, "root", nil, ca)
	constrain := func(edit func(c *x509.Certificate)) func(c *x509.Certificate) {
		return func(c *x509.Certificate) { ca(c); c.PermittedDNSDomainsCritical = true; edit(c) }
	}
	inVietnam := func(c *x509.Certificate) {
		base := dirName(t, pkix.Name{Country: []string{"VN"}})
		tree := append([]byte{0x30, byte(len(base))}, base...)
		list := append([]byte{0xa0, byte(len(tree))}, tree...)
		c.ExtraExtensions = []pkix.Extension{critical("2.5.29.30", append([]byte{0x30, byte(len(list))}, list...))}
		ca(c)
	}
	_, block, _ := net.ParseCIDR("10.1.0.0/16")
	dns := constrain(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"gov.example"} })
	noDNS := constrain(func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{"gov.example"} })
	mail := constrain(func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"gov.example"} })
	mailBelow := constrain(func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{".gov.example"} })
	ip := constrain(func(c *x509.Certificate) { c.PermittedIPRanges = []*net.IPNet{block} })
	uri := constrain(func(c *x509.Certificate) { c.PermittedURIDomains = []string{".gov.example"} })
	for name, c := range map[string]struct {
		issuer, leaf func(c *x509.Certificate)
		ok           bool
	}{
		"dns inside":        {dns, func(c *x509.Certificate) { c.DNSNames = []string{"a.gov.example"} }, true},
		"dns equal":         {dns, func(c *x509.Certificate) { c.DNSNames = []string{"GOV.example"} }, true},
		"dns suffix only":   {dns, func(c *x509.Certificate) { c.DNSNames = []string{"notgov.example"} }, false},
		"dns one outside":   {dns, func(c *x509.Certificate) { c.DNSNames = []string{"a.gov.example", "evil.example"} }, false},
		"dns excluded":      {noDNS, func(c *x509.Certificate) { c.DNSNames = []string{"a.gov.example"} }, false},
		"dns not excluded":  {noDNS, func(c *x509.Certificate) { c.DNSNames = []string{"a.com.example"} }, true},
		"no dns name":       {dns, nil, true},
		"mail inside":       {mail, func(c *x509.Certificate) { c.EmailAddresses = []string{"a@gov.example"} }, true},
		"mail below":        {mail, func(c *x509.Certificate) { c.EmailAddresses = []string{"a@x.gov.example"} }, false},
		"mail in subdomain": {mailBelow, func(c *x509.Certificate) { c.EmailAddresses = []string{"a@x.gov.example"} }, true},
		"mail in subject": {mail, func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "a@evil.example"}}
		}, false},
		"ip inside":   {ip, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 1, 2, 3)} }, true},
		"ip outside":  {ip, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 2, 2, 3)} }, false},
		"uri inside":  {uri, func(c *x509.Certificate) { c.URIs = append(c.URIs, mustURL(t, "https://a.gov.example/x")) }, true},
		"uri outside": {uri, func(c *x509.Certificate) { c.URIs = append(c.URIs, mustURL(t, "https://gov.example.evil/x")) }, false},
		"dn inside":   {inVietnam, func(c *x509.Certificate) { c.Subject.Country = []string{"VN"} }, true},
		"dn case":     {inVietnam, func(c *x509.Certificate) { c.Subject.Country = []string{"vn"} }, true},
		"dn outside":  {inVietnam, func(c *x509.Certificate) { c.Subject.Country = []string{"XX"} }, false},
	} {
		issuer := issue(t, "issuer", root, c.issuer)
		leaf := issue(t, "leaf", issuer, c.leaf)
		r := judge(root, issuer, leaf)
		if r.Trusted != c.ok || !c.ok && !r.Reasons.Has(CodeNameConstraints) {
			t.Errorf("%s: trusted %v, %v", name, r.Trusted, r.Reasons)
		}
		// crypto/x509 must agree wherever it knows the form.
		if name[:2] != "dn" || name[:3] == "dns" {
			roots, pool := x509.NewCertPool(), x509.NewCertPool()
			roots.AddCert(root.cert)
			pool.AddCert(issuer.cert)
			_, err := leaf.cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: pool, CurrentTime: now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			// It applies a host to everything below it, and leaves the subject out: RFC 5280 §4.2.1.10 does not.
			if name != "mail in subject" && name != "mail below" && (err == nil) != c.ok {
				t.Errorf("%s: crypto/x509 says %v", name, err)
			}
		}
	}
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A digest or key that was sound then is judged by its time.
func TestStrengthByDate(t *testing.T) {
	then := time.Date(2012, 1, 1, 0, 0, 0, 0, time.UTC)
	if len(CheckDigest(crypto.SHA1, then)) != 0 || len(CheckDigest(crypto.SHA1, now())) == 0 || len(CheckDigest(crypto.SHA1, time.Time{})) == 0 {
		t.Error("SHA-1 must count until 2013 and not after")
	}
	if len(CheckDigest(crypto.MD5, then)) == 0 || len(CheckDigest(0, then)) == 0 {
		t.Error("MD5 must never count")
	}
	weak := certs.Certificate(t, certs.WeakKey).PublicKey
	if len(CheckKey(weak, then)) != 0 || len(CheckKey(weak, now())) == 0 || len(CheckKey(nil, now())) == 0 {
		t.Error("RSA-1024 must count until 2013 and not after")
	}
}

func TestLoadTrust(t *testing.T) {
	file := func(names ...certs.Name) []byte {
		var out []byte
		for _, n := range names {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs.Certificate(t, n).Raw})...)
		}
		return out
	}
	crl := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: certs.CRL(t)[0]})
	tr, err := LoadTrust(file(certs.IssuingEC, certs.Root), append(file(certs.OtherRoot), crl...))
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.Roots) != 2 || len(tr.TimestampRoots) != 2 || len(tr.Intermediates) != 1 || len(tr.CRLs) != 1 {
		t.Errorf("%d roots, %d intermediates, %d CRLs", len(tr.Roots), len(tr.Intermediates), len(tr.CRLs))
	}
	// An authority named alone is an anchor; an official's certificate is none.
	if tr, err = LoadTrust(file(certs.IssuingEC, certs.OfficialRSA)); err != nil || len(tr.Roots) != 1 || len(tr.Intermediates) != 1 {
		t.Errorf("partial: %+v, %v", tr, err)
	}
	for name, data := range map[string][]byte{"empty": nil, "text": []byte("x"),
		"broken": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}}), "large": make([]byte, maxTrustFile+1)} {
		if _, err := LoadTrust(data); err == nil {
			t.Errorf("%s was loaded", name)
		}
	}
}

func TestIsTestCertificate(t *testing.T) {
	for _, name := range certs.Names() {
		if !IsTestCertificate(certs.Certificate(t, name)) {
			t.Errorf("%s is not recognised", name)
		}
	}
	if IsTestCertificate(&x509.Certificate{Subject: pkix.Name{Organization: []string{"UBND tỉnh"}}}) {
		t.Error("a real one is taken for a test")
	}
}

func TestNegativeSerialNumber(t *testing.T) {
	c := certs.Certificate(t, certs.OfficialEC)
	der := slices.Clone(c.Raw)
	serial := c.SerialNumber.Bytes()
	i := slices.Index(der, serial[0])
	for ; !slices.Equal(der[i:i+len(serial)], serial); i++ {
	}
	der[i] |= 0x80
	got, err := ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if got.SerialNumber.Sign() >= 0 || !slices.Equal(got.Raw, der) || got.Subject.String() != c.Subject.String() {
		t.Errorf("serial %s", got.SerialNumber)
	}
	want := new(big.Int).SetBytes(der[i : i+len(serial)])
	want.Sub(want, new(big.Int).Lsh(big.NewInt(1), uint(8*len(serial))))
	if got.SerialNumber.Cmp(want) != 0 {
		t.Errorf("serial %s, want %s", got.SerialNumber, want)
	}
	if _, ok := signedBy(got.Raw, certs.Certificate(t, certs.IssuingEC)); ok {
		t.Error("the changed certificate still verifies")
	}
}
