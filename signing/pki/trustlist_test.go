package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"vanthu/signing/keys"
)

// listed is one service of a trust list made for a test.
type listed struct {
	kind, status string
	cert         *x509.Certificate
}

// listOf writes a trust list.
func listOf(services ...listed) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><tsl:TrustServiceStatusList xmlns:tsl="http://uri.etsi.org/02231/v2#" TSLTag="http://uri.etsi.org/19612/TSLTag" Id="list">
<tsl:SchemeInformation><tsl:TSLVersionIdentifier>5</tsl:TSLVersionIdentifier><tsl:SchemeTerritory>VN</tsl:SchemeTerritory>
<tsl:NextUpdate><tsl:dateTime>2031-01-01T00:00:00Z</tsl:dateTime></tsl:NextUpdate></tsl:SchemeInformation><tsl:TrustServiceProviderList>`)
	for i, s := range services {
		fmt.Fprintf(&b, `<tsl:TrustServiceProvider><tsl:TSPServices><tsl:TSPService><tsl:ServiceInformation>
<tsl:ServiceTypeIdentifier>http://uri.etsi.org/TrstSvc/Svctype/%s</tsl:ServiceTypeIdentifier><tsl:ServiceName><tsl:Name xml:lang="vi">Dịch vụ %d</tsl:Name></tsl:ServiceName>
<tsl:ServiceDigitalIdentity><tsl:DigitalId><tsl:X509Certificate>
%s</tsl:X509Certificate></tsl:DigitalId></tsl:ServiceDigitalIdentity>
<tsl:ServiceStatus>http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/%s</tsl:ServiceStatus></tsl:ServiceInformation></tsl:TSPService></tsl:TSPServices></tsl:TrustServiceProvider>`,
			s.kind, i, base64.StdEncoding.EncodeToString(s.cert.Raw), s.status)
	}
	b.WriteString(`</tsl:TrustServiceProviderList></tsl:TrustServiceStatusList>`)
	return b.String()
}

// signList signs it the way the publishers of trust lists do, enveloped.
func signList(t testing.TB, list string, key *keys.Key) []byte {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(list); err != nil {
		t.Fatal(err)
	}
	ctx, err := dsig.NewSigningContext(key.Signer, [][]byte{key.Certificate.Raw})
	if err != nil {
		t.Fatal(err)
	}
	ctx.IdAttribute = "Id"
	signed, err := ctx.SignEnveloped(doc.Root())
	if err != nil {
		t.Fatal(err)
	}
	out := etree.NewDocument()
	out.SetRoot(signed)
	data, err := out.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// publisherKey is the key of a publisher of lists.
func publisherKey(t testing.TB, name string) *keys.Key {
	t.Helper()
	a := newAuthority(t, Options{Now: clock})
	key, err := a.Issue(IssueRequest{Subject: subject(name), KeyType: RSA2048})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTrustList(t *testing.T) {
	authority, clocks := newAuthority(t, Options{Now: clock}).Certificate(), newAuthority(t, Options{Now: clock}).Certificate()
	gone, other := newAuthority(t, Options{Now: clock}).Certificate(), newAuthority(t, Options{Now: clock}).Certificate()
	list := listOf(listed{"CA/QC", "granted", authority}, listed{"TSA/QTST", "granted", clocks},
		listed{"CA/QC", "withdrawn", gone}, listed{"ACA", "granted", other}, listed{"CA/PKC", "recognisedatnationallevel", authority})
	publisher := publisherKey(t, "Cơ quan công bố")
	o := ListOptions{Signers: []*x509.Certificate{publisherKey(t, "another").Certificate, publisher.Certificate}, Now: now()}
	data := signList(t, list, publisher)
	trust, notes, err := ParseTrustList(data, o)
	if err != nil || len(notes) != 0 {
		t.Fatal(err, notes)
	}
	if len(trust.Roots) != 1 || !trust.Roots[0].Equal(authority) || len(trust.TimestampRoots) != 1 || !trust.TimestampRoots[0].Equal(clocks) {
		t.Errorf("%d roots, %d time-stamp roots", len(trust.Roots), len(trust.TimestampRoots))
	}
	// The same keys may have ended by the time of a later reading, the list with them.
	if _, notes, err := ParseTrustList([]byte(list), ListOptions{AllowUnsigned: true, Now: now().Add(10 * year)}); err != nil || len(notes) != 1 {
		t.Errorf("an old list: %v, %q", err, notes)
	}
	evil := base64.StdEncoding.EncodeToString(other.Raw)
	good := base64.StdEncoding.EncodeToString(authority.Raw)
	wrapped := bytes.Replace(data, []byte("<tsl:TrustServiceProviderList>"), []byte("<tsl:TrustServiceProviderList></tsl:TrustServiceProviderList><tsl:TrustServiceProviderList>"), 1)
	for name, c := range map[string]struct {
		data []byte
		o    ListOptions
		want error
	}{
		"unsigned":          {[]byte(list), o, ErrListUnsigned},
		"another signer":    {data, ListOptions{Signers: o.Signers[:1], Now: now()}, ErrListUnsigned},
		"no pinned signer":  {data, ListOptions{Now: now()}, ErrListUnsigned},
		"signed by a CA":    {data, ListOptions{Signers: publisher.Chain, Now: now()}, ErrListUnsigned},
		"changed":           {bytes.Replace(data, []byte(good), []byte(evil), 1), o, ErrListUnsigned},
		"something added":   {wrapped, o, ErrListUnsigned},
		"signer has ended":  {data, ListOptions{Signers: o.Signers, Now: now().Add(10 * year)}, ErrListUnsigned},
		"DOCTYPE":           {[]byte(`<!DOCTYPE a [<!ENTITY b "c">]>` + strings.TrimPrefix(list, `<?xml version="1.0" encoding="UTF-8"?>`)), ListOptions{AllowUnsigned: true}, ErrListMalformed},
		"deep":              {[]byte(strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)), ListOptions{AllowUnsigned: true}, ErrListMalformed},
		"not a list":        {[]byte(`<a xmlns="http://uri.etsi.org/02231/v2#"/>`), ListOptions{AllowUnsigned: true}, ErrListMalformed},
		"broken":            {[]byte(list[:len(list)/2]), ListOptions{AllowUnsigned: true}, ErrListMalformed},
		"not a certificate": {[]byte(strings.Replace(list, good, "AAAA", 1)), ListOptions{AllowUnsigned: true}, ErrListMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if trust, _, err := ParseTrustList(c.data, c.o); !errors.Is(err, c.want) || trust != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestSignedListCoversWhatIsRead wraps a signed list into another one: only what the signature covers may be read.
func TestSignedListCoversWhatIsRead(t *testing.T) {
	authority, evil := newAuthority(t, Options{Now: clock}).Certificate(), newAuthority(t, Options{Now: clock}).Certificate()
	publisher := publisherKey(t, "p")
	signed := string(signList(t, listOf(listed{"CA/QC", "granted", authority}), publisher))
	outer := listOf(listed{"CA/QC", "granted", evil})
	for name, data := range map[string]string{
		"signed list inside another": strings.Replace(outer, "</tsl:TrustServiceStatusList>", signed+"</tsl:TrustServiceStatusList>", 1),
		"signature moved": strings.Replace(outer, "</tsl:TrustServiceStatusList>",
			signed[strings.Index(signed, "<ds:Signature"):strings.Index(signed, "</ds:Signature>")]+"</ds:Signature></tsl:TrustServiceStatusList>", 1),
	} {
		t.Run(name, func(t *testing.T) {
			trust, _, err := ParseTrustList([]byte(data), ListOptions{Signers: []*x509.Certificate{publisher.Certificate}, Now: now()})
			if err == nil && held(trust.Roots, evil) {
				t.Error("an authority that nobody signed for is trusted")
			}
		})
	}
}

func TestLoadTrustPaths(t *testing.T) {
	dir := t.TempDir()
	root, listedRoot := newAuthority(t, Options{Now: clock}), newAuthority(t, Options{Now: clock})
	child, err := root.Issue(IssueRequest{Subject: subject("issuing"), Usage: UsageAuthority})
	if err != nil {
		t.Fatal(err)
	}
	crl, err := root.CRL()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	write("root.der", root.Certificate().Raw)
	write("child.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: child.Certificate.Raw}))
	write("list.crl", crl)
	write("readme.txt", []byte("not read"))
	list := write("list.xml", []byte("\xef\xbb\xbf"+listOf(listed{"CA/QC", "granted", listedRoot.Certificate()})))
	if err := os.Mkdir(filepath.Join(dir, "below.pem"), 0o700); err != nil {
		t.Fatal(err)
	}
	trust, notes, err := LoadTrustPaths([]string{dir}, ListOptions{AllowUnsigned: true, Now: now().Add(5 * year)})
	if err != nil {
		t.Fatal(err)
	}
	if len(trust.Roots) != 2 || len(trust.TimestampRoots) != 1 || len(trust.Intermediates) != 1 || len(trust.CRLs) != 1 || len(notes) != 1 {
		t.Errorf("%d roots, %d, %d intermediates, %d CRLs, %q", len(trust.Roots), len(trust.TimestampRoots), len(trust.Intermediates), len(trust.CRLs), notes)
	}
	if _, _, err := LoadTrustPaths([]string{list}, ListOptions{Now: now()}); !errors.Is(err, ErrListUnsigned) {
		t.Errorf("unsigned list: %v", err)
	}
	for _, bad := range []string{filepath.Join(dir, "missing"), filepath.Join(dir, "below.pem"), write("bad.pem", []byte("no certificate"))} {
		if _, _, err := LoadTrustPaths([]string{bad}, ListOptions{}); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

// FuzzTrustList reads any bytes as a list, with and without a pinned signer: no panic, an error or anchors but not both,
// and where a signer is pinned no authority but the one that the publisher signed for.
func FuzzTrustList(f *testing.F) {
	authority, publisher := newAuthority(f, Options{Now: clock}).Certificate(), publisherKey(f, "p")
	list := listOf(listed{"CA/QC", "granted", authority}, listed{"TSA/QTST", "granted", authority})
	f.Add([]byte(list))
	f.Add(signList(f, list, publisher))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`))
	pinned := ListOptions{Signers: []*x509.Certificate{publisher.Certificate}, Now: now()}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		if trust, _, err := ParseTrustList(data, ListOptions{AllowUnsigned: true, Now: now()}); (err == nil) != (trust != nil) {
			t.Errorf("%v beside %v", trust, err)
		}
		trust, _, err := ParseTrustList(data, pinned)
		if (err == nil) != (trust != nil) {
			t.Errorf("%v beside %v", trust, err)
		}
		if trust == nil {
			return
		}
		for _, root := range append(trust.Roots, trust.TimestampRoots...) {
			if !root.Equal(authority) {
				t.Errorf("%s is trusted, and nobody signed for it", root.Subject)
			}
		}
	})
}
