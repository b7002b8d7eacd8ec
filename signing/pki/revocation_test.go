package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	certs "vanthu/certs-testdata"
)

func status(t *testing.T, name certs.Name, ev Evidence, at time.Time) Revocation {
	t.Helper()
	_, chain := certs.Identity(t, name)
	return CheckRevocation(chain[0], chain[1], ev, RevocationOptions{At: at, Now: now(), Trust: testTrust(t)})
}

func TestTestCRLs(t *testing.T) {
	ev := Evidence{CRLs: certs.CRL(t)}
	if r := status(t, certs.OfficialEC, ev, now()); r.Status != StatusGood || len(r.Reasons) != 0 || r.Source != "crl" {
		t.Errorf("official: %+v", r)
	}
	r := status(t, certs.Revoked, ev, now())
	if r.Status != StatusRevoked || r.ReasonCode != 1 || !r.At.Equal(time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)) ||
		r.Reasons.Sub() != Revoked {
		t.Errorf("revoked: %+v", r)
	}
	if r := status(t, certs.OfficialEC, Evidence{}, now()); r.Status != StatusUnknown || !r.Reasons.Has(CodeNoRevocation) || r.Reasons.Sub() != TryLater {
		t.Errorf("no data: %+v", r)
	}
	if r := status(t, certs.OfficialEC, Evidence{CRLs: certs.CRL(t, certs.IssuingRSA)}, now()); r.Status != StatusUnknown || !r.Reasons.Has(CodeNoRevocation) {
		t.Errorf("CRL of another authority: %+v", r)
	}
	_, chain := certs.Identity(t, certs.Revoked)
	full := append(chain, certs.Roots(t)...)
	all := CheckChain(full, Evidence{}, RevocationOptions{At: now(), Trust: &Trust{CRLs: certs.CRL(t)}})
	if len(all) != 2 || all[0].Status != StatusRevoked || all[1].Status != StatusGood {
		t.Errorf("chain with configured CRLs: %+v", all)
	}
	armoured := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: certs.CRL(t, certs.IssuingEC)[0]})
	if r := status(t, certs.Revoked, Evidence{CRLs: [][]byte{armoured}}, now()); r.Status != StatusRevoked {
		t.Errorf("PEM: %+v", r)
	}
}

// world is a root, an issuing authority and a leaf.
type world struct{ root, issuer, leaf *link }

func newWorld(t *testing.T) world {
	t.Helper()
	root := issue(t, "root", nil, ca)
	issuer := issue(t, "issuer", root, ca)
	leaf := issue(t, "leaf", issuer, func(c *x509.Certificate) {
		c.CRLDistributionPoints = []string{"http://crl.example/a.crl"}
	})
	return world{root, issuer, leaf}
}

func (w world) check(ev Evidence, edit func(o *RevocationOptions)) Revocation {
	o := RevocationOptions{At: now(), Now: now(), Trust: &Trust{Roots: []*x509.Certificate{w.root.cert}},
		Pool: []*x509.Certificate{w.issuer.cert, w.root.cert}}
	if edit != nil {
		edit(&o)
	}
	return CheckRevocation(w.leaf.cert, w.issuer.cert, ev, o)
}

// crl signs a CRL; edit may change it.
func crl(t *testing.T, signer *link, edit func(l *x509.RevocationList)) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now().Add(-time.Hour), NextUpdate: now().Add(time.Hour)}
	if edit != nil {
		edit(list)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, signer.cert, signer.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func revoking(serial *big.Int, at time.Time) func(l *x509.RevocationList) {
	return func(l *x509.RevocationList) {
		l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: serial, RevocationTime: at, ReasonCode: 4}}
	}
}

func extended(id asn1.ObjectIdentifier, crit bool, value []byte) func(l *x509.RevocationList) {
	return func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: id, Critical: crit, Value: value}}
	}
}

func idp() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 28} }

// point is an issuing distribution point with a full name.
func point(uri string) []byte {
	name := append([]byte{0x86, byte(len(uri))}, uri...)
	full := append([]byte{0xa0, byte(len(name))}, name...)
	dp := append([]byte{0xa0, byte(len(full))}, full...)
	return append([]byte{0x30, byte(len(dp))}, dp...)
}

func TestCRLRules(t *testing.T) {
	w := newWorld(t)
	selfMade := issue(t, "issuer", nil, ca) // the attacker's, of the same name
	for name, c := range map[string]struct {
		der    []byte
		status Status
		code   Code
	}{
		"good":                {crl(t, w.issuer, nil), StatusGood, ""},
		"revoked":             {crl(t, w.issuer, revoking(w.leaf.cert.SerialNumber, now().Add(-time.Hour))), StatusRevoked, CodeRevoked},
		"self-made":           {crl(t, selfMade, nil), StatusUnknown, CodeRevocationSignature},
		"self-made, revoking": {crl(t, selfMade, revoking(w.leaf.cert.SerialNumber, now())), StatusUnknown, CodeRevocationSignature},
		"stale": {crl(t, w.issuer, func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = now().AddDate(0, 0, -9), now().AddDate(0, 0, -2)
		}), StatusUnknown, CodeRevocationStale},
		"future": {crl(t, w.issuer, func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = now().AddDate(0, 0, 1), now().AddDate(0, 0, 2)
		}), StatusUnknown, CodeRevocationFuture},
		"delta":                  {crl(t, w.issuer, extended(asn1.ObjectIdentifier{2, 5, 29, 27}, true, []byte{2, 1, 1})), StatusUnknown, CodeRevocationScope},
		"unknown critical":       {crl(t, w.issuer, extended(asn1.ObjectIdentifier{1, 2, 3}, true, []byte{5, 0})), StatusUnknown, CodeRevocationScope},
		"unknown":                {crl(t, w.issuer, extended(asn1.ObjectIdentifier{1, 2, 3}, false, []byte{5, 0})), StatusGood, ""},
		"user certificates only": {crl(t, w.issuer, extended(idp(), true, []byte{0x30, 3, 0x81, 1, 0xff})), StatusGood, ""},
		"authorities only":       {crl(t, w.issuer, extended(idp(), true, []byte{0x30, 3, 0x82, 1, 0xff})), StatusUnknown, CodeRevocationScope},
		"indirect":               {crl(t, w.issuer, extended(idp(), true, []byte{0x30, 3, 0x84, 1, 0xff})), StatusUnknown, CodeRevocationScope},
		"attributes only":        {crl(t, w.issuer, extended(idp(), true, []byte{0x30, 3, 0x85, 1, 0xff})), StatusUnknown, CodeRevocationScope},
		"some reasons":           {crl(t, w.issuer, extended(idp(), true, []byte{0x30, 4, 0x83, 2, 5, 0x60})), StatusUnknown, CodeRevocationScope},
		"its point":              {crl(t, w.issuer, extended(idp(), true, point("http://crl.example/a.crl"))), StatusGood, ""},
		"another point":          {crl(t, w.issuer, extended(idp(), true, point("http://crl.example/b.crl"))), StatusUnknown, CodeRevocationScope},
		"malformed point":        {crl(t, w.issuer, extended(idp(), true, []byte{5, 0})), StatusUnknown, CodeRevocationScope},
		"garbage":                {[]byte("CRL"), StatusUnknown, CodeRevocationMalformed},
		"empty":                  {nil, StatusUnknown, CodeRevocationMalformed},
	} {
		r := w.check(Evidence{CRLs: [][]byte{c.der}}, nil)
		if r.Status != c.status || c.code != "" && !r.Reasons.Has(c.code) || c.status == StatusGood && len(r.Reasons) > 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestCRLTimes(t *testing.T) {
	w := newWorld(t)
	old := crl(t, w.issuer, func(l *x509.RevocationList) {
		l.ThisUpdate, l.NextUpdate = now().AddDate(0, -2, 0), now().AddDate(0, -1, 0)
	})
	// The list was made after the signing time, so it covers it however old it is now.
	r := w.check(Evidence{CRLs: [][]byte{old}}, func(o *RevocationOptions) { o.At = now().AddDate(0, -3, 0) })
	if r.Status != StatusGood {
		t.Errorf("made after the signature: %+v", r)
	}
	// A revocation stays one, however old the list is.
	gone := crl(t, w.issuer, func(l *x509.RevocationList) {
		revoking(w.leaf.cert.SerialNumber, now().AddDate(0, -3, 0))(l)
		l.ThisUpdate, l.NextUpdate = now().AddDate(0, -2, 0), now().AddDate(0, -1, 0)
	})
	good := crl(t, w.issuer, nil)
	for _, list := range [][][]byte{{gone, good}, {good, gone}} {
		if r := w.check(Evidence{CRLs: list}, nil); r.Status != StatusRevoked {
			t.Errorf("revoked in one of two: %+v", r)
		}
	}
	// After expiry a list may drop the entry: it only counts when it promises not to.
	late := func(edit func(l *x509.RevocationList)) []byte {
		return crl(t, w.issuer, func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = now().AddDate(6, 0, 0), now().AddDate(7, 0, 0)
			if edit != nil {
				edit(l)
			}
		})
	}
	after := func(o *RevocationOptions) { o.At, o.Now = now(), now().AddDate(6, 1, 0) }
	if r := w.check(Evidence{CRLs: [][]byte{late(nil)}}, after); r.Status != StatusUnknown || !r.Reasons.Has(CodeRevocationScope) {
		t.Errorf("list after expiry: %+v", r)
	}
	keeps := late(extended(asn1.ObjectIdentifier{2, 5, 29, 60}, false, append([]byte{0x18, 15}, "20250101000000Z"...)))
	if r := w.check(Evidence{CRLs: [][]byte{keeps}}, after); r.Status != StatusGood {
		t.Errorf("list that keeps expired ones: %+v", r)
	}
	tooLate := late(extended(asn1.ObjectIdentifier{2, 5, 29, 60}, false, append([]byte{0x18, 15}, "20360101000000Z"...)))
	if r := w.check(Evidence{CRLs: [][]byte{tooLate}}, after); r.Status != StatusUnknown {
		t.Errorf("list that keeps those expired later: %+v", r)
	}
}

// An authority may sign its CRLs with another key of its own, if that chains to an anchor too.
func TestCRLOfAnotherKey(t *testing.T) {
	w := newWorld(t)
	second := issue(t, "issuer", w.root, ca)
	der := crl(t, second, nil)
	if r := w.check(Evidence{CRLs: [][]byte{der}}, nil); r.Status != StatusUnknown || !r.Reasons.Has(CodeRevocationSignature) {
		t.Errorf("unknown key: %+v", r)
	}
	with := func(c *x509.Certificate) func(o *RevocationOptions) {
		return func(o *RevocationOptions) { o.Pool = append(o.Pool, c) }
	}
	if r := w.check(Evidence{CRLs: [][]byte{der}}, with(second.cert)); r.Status != StatusGood {
		t.Errorf("known key: %+v", r)
	}
	foreign := issue(t, "issuer", nil, ca)
	if r := w.check(Evidence{CRLs: [][]byte{crl(t, foreign, nil)}}, with(foreign.cert)); r.Status != StatusUnknown {
		t.Errorf("foreign key brought along: %+v", r)
	}
}

// response makes an OCSP response by signer with its own certificate inside when embed is set.
func response(t *testing.T, issuer, signer *link, serial *big.Int, embed bool, edit func(r *ocsp.Response)) []byte {
	t.Helper()
	template := ocsp.Response{Status: ocsp.Good, SerialNumber: serial, ThisUpdate: now().Add(-time.Hour), NextUpdate: now().Add(time.Hour),
		IssuerHash: crypto.SHA256}
	if embed {
		template.Certificate = signer.cert
	}
	if edit != nil {
		edit(&template)
	}
	der, err := ocsp.CreateResponse(issuer.cert, signer.cert, template, signer.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// judged is after now and after what x/crypto/ocsp writes as producedAt, the time of the run.
func judged() time.Time {
	if t := time.Now().Add(time.Minute); t.After(now()) {
		return t
	}
	return now()
}

func responder(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	c.NotAfter = time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC) // it must be valid whenever the test runs
}

func TestOCSPRules(t *testing.T) {
	w := newWorld(t)
	serial := w.leaf.cert.SerialNumber
	delegate := issue(t, "responder", w.issuer, responder)
	noUsage := issue(t, "responder", w.issuer, nil)
	ofRoot := issue(t, "responder", w.root, responder)
	selfMade := issue(t, "issuer", nil, ca)
	ended := issue(t, "responder", w.issuer, func(c *x509.Certificate) {
		responder(c)
		c.NotBefore, c.NotAfter = time.Now().AddDate(-2, 0, 0), time.Now().AddDate(-1, 0, 0)
	})
	at := now().Add(-2 * time.Hour)
	for name, c := range map[string]struct {
		der    []byte
		status Status
		code   Code
	}{
		"by the issuer":        {response(t, w.issuer, w.issuer, serial, false, nil), StatusGood, ""},
		"certID with SHA-1":    {response(t, w.issuer, w.issuer, serial, false, func(r *ocsp.Response) { r.IssuerHash = crypto.SHA1 }), StatusGood, ""},
		"by a delegate":        {response(t, w.issuer, delegate, serial, true, nil), StatusGood, ""},
		"delegate unknown":     {response(t, w.issuer, delegate, serial, false, nil), StatusUnknown, CodeRevocationSignature},
		"without the usage":    {response(t, w.issuer, noUsage, serial, true, nil), StatusUnknown, CodeRevocationSignature},
		"delegate of the root": {response(t, w.issuer, ofRoot, serial, true, nil), StatusUnknown, CodeRevocationSignature},
		"expired delegate":     {response(t, w.issuer, ended, serial, true, nil), StatusUnknown, CodeRevocationSignature},
		"self-made issuer":     {response(t, w.issuer, selfMade, serial, true, nil), StatusUnknown, CodeRevocationSignature},
		"by the leaf itself":   {response(t, w.issuer, w.leaf, serial, true, nil), StatusUnknown, CodeRevocationSignature},
		"of another issuer":    {response(t, selfMade, selfMade, serial, false, nil), StatusUnknown, CodeNoRevocation},
		"another serial":       {response(t, w.issuer, w.issuer, big.NewInt(5), false, nil), StatusUnknown, CodeNoRevocation},
		"revoked": {response(t, w.issuer, delegate, serial, true, func(r *ocsp.Response) {
			r.Status, r.RevokedAt, r.RevocationReason = ocsp.Revoked, at, ocsp.KeyCompromise
		}), StatusRevoked, CodeRevoked},
		"unknown": {response(t, w.issuer, delegate, serial, true, func(r *ocsp.Response) { r.Status = ocsp.Unknown }), StatusUnknown, CodeRevocationUnknown},
		"stale": {response(t, w.issuer, delegate, serial, true, func(r *ocsp.Response) {
			r.ThisUpdate, r.NextUpdate = now().AddDate(0, 0, -9), now().AddDate(0, 0, -2)
		}), StatusUnknown, CodeRevocationStale},
		"future": {response(t, w.issuer, delegate, serial, true, func(r *ocsp.Response) {
			r.ThisUpdate, r.NextUpdate = judged().AddDate(0, 0, 2), judged().AddDate(0, 0, 3)
		}), StatusUnknown, CodeRevocationFuture},
		"no next update, old": {response(t, w.issuer, delegate, serial, true, func(r *ocsp.Response) {
			r.ThisUpdate, r.NextUpdate = now().AddDate(0, 0, -2), time.Time{}
		}), StatusUnknown, CodeRevocationStale},
		"no next update, new": {response(t, w.issuer, delegate, serial, true, func(r *ocsp.Response) { r.NextUpdate = time.Time{} }), StatusGood, ""},
		"critical extension": {response(t, w.issuer, delegate, serial, true, func(r *ocsp.Response) {
			r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}), StatusUnknown, CodeCritical},
		"refusal": {ocsp.UnauthorizedErrorResponse, StatusUnknown, CodeRevocationMalformed},
		"garbage": {[]byte("OCSP"), StatusUnknown, CodeRevocationMalformed},
	} {
		r := w.check(Evidence{OCSPs: [][]byte{c.der}}, func(o *RevocationOptions) { o.Now = judged() })
		if r.Status != c.status || c.code != "" && !r.Reasons.Has(c.code) || c.status == StatusGood && len(r.Reasons) > 0 {
			t.Errorf("%s: %+v", name, r)
		}
		if r.Status == StatusRevoked && (!r.At.Equal(at) || r.ReasonCode != ocsp.KeyCompromise) {
			t.Errorf("%s: at %s, reason %d", name, r.At, r.ReasonCode)
		}
	}
}

func TestOCSPFoundElsewhere(t *testing.T) {
	w := newWorld(t)
	delegate := issue(t, "responder", w.issuer, responder)
	der := response(t, w.issuer, delegate, w.leaf.cert.SerialNumber, false, nil)
	r := w.check(Evidence{OCSPs: [][]byte{der}}, func(o *RevocationOptions) { o.Pool = append(o.Pool, delegate.cert); o.Now = judged() })
	if r.Status != StatusGood || r.Source != "ocsp" {
		t.Errorf("responder from the pool: %+v", r)
	}
	// The basic response alone, as CAdES embeds it.
	parsed, ok := parseOCSP(der)
	if !ok {
		t.Fatal("not read")
	}
	r = w.check(Evidence{OCSPs: [][]byte{parsed.raw}}, func(o *RevocationOptions) { o.Pool = append(o.Pool, delegate.cert); o.Now = judged() })
	if r.Status != StatusGood {
		t.Errorf("basic response: %+v", r)
	}
	// A good answer does not hide a revocation in a CRL.
	gone := crl(t, w.issuer, revoking(w.leaf.cert.SerialNumber, now().Add(-time.Hour)))
	r = w.check(Evidence{OCSPs: [][]byte{der}, CRLs: [][]byte{gone}}, func(o *RevocationOptions) { o.Pool = append(o.Pool, delegate.cert); o.Now = judged() })
	if r.Status != StatusRevoked {
		t.Errorf("good and revoked: %+v", r)
	}
}

// The responder of certs-testdata answers for its authority.
func TestResponderOfTheTestPKI(t *testing.T) {
	signer, chain := certs.Identity(t, certs.OCSP)
	_, official := certs.Identity(t, certs.OfficialEC)
	der := response(t, &link{cert: chain[1]}, &link{chain[0], signer}, official[0].SerialNumber, true, nil)
	r := CheckRevocation(official[0], official[1], Evidence{OCSPs: [][]byte{der}}, RevocationOptions{At: now(), Now: judged()})
	if r.Status != StatusGood {
		t.Errorf("%+v", r)
	}
}

func TestTooMuchEvidence(t *testing.T) {
	w := newWorld(t)
	junk := make([][]byte, maxEvidence+10)
	r := w.check(Evidence{CRLs: append(junk, crl(t, w.issuer, nil))}, nil)
	if r.Status != StatusUnknown || !r.Reasons.Has(CodeLimit) {
		t.Errorf("%v", r.Status)
	}
}

func FuzzOCSP(f *testing.F) {
	f.Add([]byte{0x30, 0x03, 0x0a, 1, 0})
	signer, chain := certs.Identity(f, certs.OCSP)
	der, err := ocsp.CreateResponse(chain[1], chain[0], ocsp.Response{SerialNumber: big.NewInt(1), Certificate: chain[0],
		ThisUpdate: now(), NextUpdate: now()}, signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	_, official := certs.Identity(f, certs.OfficialEC)
	f.Fuzz(func(t *testing.T, data []byte) {
		CheckRevocation(official[0], official[1], Evidence{OCSPs: [][]byte{data}, CRLs: [][]byte{data}}, RevocationOptions{At: now()})
	})
}
