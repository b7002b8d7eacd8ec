package cms

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"strings"
	"testing"

	certs "vanthu/certs-testdata"
	"vanthu/signing/pki"
)

// The encodings that are written down are those that the encoder makes.
func TestKnownEncodings(t *testing.T) {
	for known, oid := range map[string]asn1.ObjectIdentifier{
		derData: oidData(), derSignedData: oidSignedData(), derContentType: oidContentType(), derMessageDigest: oidMessageDigest(),
		derSigningTime: oidSigningTime(), derSigningCertificateV2: oidSigningCertificateV2(),
	} {
		if made := encodeOID(oid); known != string(made) {
			t.Errorf("%v: %x, want %x", oid, known, made)
		}
	}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		want := wrap(tagSequence, encodeOID(pki.OIDByHash(h)))
		if got := digestAlgorithm(h); !bytes.Equal(got, want) {
			t.Errorf("%v: %x, want %x", h, got, want)
		}
	}
	for _, a := range []pki.SignatureAlgorithm{{Scheme: pki.PKCS1v15, Hash: crypto.SHA256}, {Scheme: pki.ECDSA, Hash: crypto.SHA256},
		{Scheme: pki.EdDSA, Hash: crypto.SHA512}} {
		oid, _ := a.OID()
		body := encodeOID(oid)
		if a.Scheme == pki.PKCS1v15 {
			body = append(body, tagNull, 0)
		}
		if got, want := knownAlgorithm(a), string(wrap(tagSequence, body)); got != want {
			t.Errorf("%v: %x, want %x", a, got, want)
		}
	}
}

// Values nest, in lengths of every form, and the buffer grows when its room was too small.
func TestEncoder(t *testing.T) {
	for _, n := range []int{0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000} {
		body := bytes.Repeat([]byte{7}, n)
		want := wrap(tagSequence, []byte{tagInteger, 1, 3}, wrap(tagOctets, body))
		for _, room := range []int{0, 3, len(want), 2 * len(want)} {
			e := newEncoder(room)
			e.value(tagOctets, body)
			e.version(3)
			e.head(tagSequence, 0)
			if !bytes.Equal(e.encoded(), want) || e.size() != len(want) {
				t.Errorf("%d bytes in a room of %d: %d bytes, want %d", n, room, e.size(), len(want))
			}
		}
	}
	e := newEncoder(8)
	e.set(tagSet, [][]byte{{4, 1, 9}, {4, 0}, {2, 1, 1}})
	if want := wrapSet(tagSet, [][]byte{{4, 1, 9}, {4, 0}, {2, 1, 1}}); !bytes.Equal(e.encoded(), want) {
		t.Errorf("set %x, want %x", e.encoded(), want)
	}
}

// The room that is set aside is never too small, and hardly too large.
func TestRoom(t *testing.T) {
	sum := make([]byte, 32)
	for _, name := range []certs.Name{certs.OfficialEC, certs.OfficialRSA} {
		token := []byte(strings.Repeat("x", 3000))
		p, err := Prepare(SignRequest{Key: identity(t, name), Digest: sum, CRLs: [][]byte{{tagSequence, 1, 5}},
			UnsignedAttributes: func([]byte) ([]Attribute, error) { return []Attribute{TimestampAttribute(wrap(tagOctets, token))}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		der, err := p.Sign()
		if err != nil {
			t.Fatal(err)
		}
		if room := p.Room(len(token) + 4); room < len(der) || room > len(der)+16 {
			t.Errorf("%s: room %d for %d bytes", name, room, len(der))
		}
	}
}
