package cms

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"testing"

	certs "vanthu/certs-testdata"
)

// indefinite rewrites a definite encoding so that every constructed value on the way to the leaves, down to depth, has
// an indefinite length.
func indefinite(der []byte, depth int) []byte {
	var out []byte
	for in := reader(der); len(in) > 0; {
		v, ok := in.next()
		if !ok {
			return nil
		}
		if v.tag&0x20 == 0 || depth == 0 {
			out = append(out, v.full...)
			continue
		}
		out = append(out, v.tag, 0x80)
		out = append(out, indefinite(v.body, depth-1)...)
		out = append(out, 0, 0)
	}
	return out
}

func TestIndefiniteLengths(t *testing.T) {
	der := sign(t, SignRequest{Key: identity(t, certs.OfficialEC), Content: content()})
	for depth := 1; depth <= 4; depth++ {
		ber := indefinite(der, depth)
		sd := parsed(t, ber)
		if res := sd.Verify(sd.Signers[0], nil); !res.Valid {
			t.Errorf("depth %d: %+v", depth, res)
		}
	}
	// The signed attributes too: they are signed in DER whatever form they come in.
	ber := indefinite(der, 20)
	sd := parsed(t, ber)
	if res := sd.Verify(sd.Signers[0], nil); !res.Intact || !res.Authentic {
		t.Errorf("all depths: %+v", res)
	}
}

func TestOctetStringInPieces(t *testing.T) {
	der := sign(t, SignRequest{Key: identity(t, certs.OfficialEC), Content: content()})
	whole := wrap(tagContext0, wrap(tagOctets, content()))
	half := len(content()) / 2
	pieces := append([]byte{tagContext0, 0x80, tagOctetsBER, 0x80}, wrap(tagOctets, content()[:half])...)
	pieces = append(pieces, wrap(tagOctetsBER, wrap(tagOctets, content()[half:]))...)
	pieces = append(pieces, 0, 0, 0, 0)
	// The four lengths around it change with it, so they are indefinite.
	ber := bytes.Replace(indefinite(der, 4), whole, pieces, 1)
	if !bytes.Contains(ber, pieces) {
		t.Fatal("pieces not placed")
	}
	sd := parsed(t, ber)
	if !bytes.Equal(sd.Content, content()) {
		t.Fatalf("content %q", sd.Content)
	}
	if res := sd.Verify(sd.Signers[0], nil); !res.Valid {
		t.Errorf("%+v", res)
	}
}

func TestPadding(t *testing.T) {
	der := sign(t, SignRequest{Key: identity(t, certs.OfficialEC)})
	padded := append(bytes.Clone(der), make([]byte, 5000)...)
	sd, used, err := ParsePadded(padded, Limits{})
	if err != nil || used != len(der) || sd.Trailing != 0 {
		t.Fatalf("used %d of %d, trailing %d: %v", used, len(der), sd.Trailing, err)
	}
	if _, err := Parse(padded, Limits{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("Parse took padding: %v", err)
	}
	padded[len(der)+9] = 'x'
	if sd, _, err = ParsePadded(padded, Limits{}); err != nil || sd.Trailing != 10 {
		t.Errorf("trailing bytes: %v", err)
	}
	if _, _, err := ParsePadded(append(bytes.Clone(der), make([]byte, 1<<20)...), Limits{MaxSize: 1 << 16}); err != nil {
		t.Errorf("padding counted as size: %v", err)
	}
}

func TestTwoSignersAreBothGiven(t *testing.T) {
	a := sign(t, SignRequest{Key: identity(t, certs.OfficialEC)})
	b := sign(t, SignRequest{Key: identity(t, certs.LeaderEC)})
	merged := mergeSigners(t, a, b)
	sd := parsed(t, merged)
	if len(sd.Signers) != 2 {
		t.Fatalf("%d signers", len(sd.Signers))
	}
	for i, si := range sd.Signers {
		res := sd.Verify(si, DigestOf(content()), identity(t, certs.LeaderEC).Certificate)
		if !res.Valid {
			t.Errorf("signer %d: %+v", i, res)
		}
	}
	none := mergeSigners(t, a, nil)
	if sd := parsed(t, none); len(sd.Signers) != 0 {
		t.Errorf("%d signers, want none", len(sd.Signers))
	}
}

// mergeSigners puts the SignerInfos of both into the first SignedData; a nil second takes all of them out.
func mergeSigners(t *testing.T, a, b []byte) []byte {
	t.Helper()
	open := func(der []byte) (before, infos []byte) {
		in := reader(der)
		outer, _ := in.want(tagSequence)
		in = outer.body
		in.next()
		explicit, _ := in.want(tagContext0)
		in = explicit.body
		sd, _ := in.want(tagSequence)
		for rest := reader(sd.body); len(rest) > 0; {
			v, _ := rest.next()
			if len(rest) == 0 {
				return before, v.body
			}
			before = append(before, v.full...)
		}
		return nil, nil
	}
	before, infos := open(a)
	if b == nil {
		infos = nil
	} else {
		_, more := open(b)
		infos = append(bytes.Clone(infos), more...)
	}
	return wrap(tagSequence, encodeOID(oidSignedData()),
		wrap(tagContext0, wrap(tagSequence, before, wrap(tagSet, infos))))
}

func TestLimits(t *testing.T) {
	k := identity(t, certs.OfficialEC)
	der := sign(t, SignRequest{Key: k})
	two := mergeSigners(t, der, der)
	deep := bytes.Repeat([]byte{0x30, 0x80}, 100_000)
	deepDefinite := []byte{5, 0}
	for range 200 {
		deepDefinite = wrap(tagSequence, deepDefinite)
	}
	for name, c := range map[string]struct {
		der []byte
		lim Limits
	}{
		"size":         {der, Limits{MaxSize: 100}},
		"depth":        {deep, Limits{}},
		"depth, DER":   {deepDefinite, Limits{}},
		"elements":     {der, Limits{MaxElements: 10}},
		"certificates": {der, Limits{MaxCertificates: 1}},
		"signers":      {two, Limits{MaxSigners: 1}},
		"attributes":   {der, Limits{MaxAttributes: 2}},
		"nesting":      {nested(1<<20, 60), Limits{}},
	} {
		if _, err := Parse(c.der, c.lim); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// nested is a large value inside many indefinite lengths, each of which would copy it.
func nested(size, depth int) []byte {
	out := bytes.Repeat([]byte{0x30, 0x80}, depth)
	out = append(out, wrap(tagOctets, make([]byte, size))...)
	return append(out, make([]byte, 2*depth)...)
}

func TestHeader(t *testing.T) {
	for name, in := range map[string][]byte{
		"empty": nil, "tag only": {0x30}, "no length octets": {0x30, 0x82, 1}, "five length octets": {4, 0x85, 0, 0, 0, 0, 1, 0},
		"indefinite primitive": {4, 0x80, 0, 0}, "endless tag": {0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0},
		"length over 2 GiB": {4, 0x84, 0xff, 0xff, 0xff, 0xff},
	} {
		if _, _, _, ok := header(in); ok {
			t.Errorf("%s was read", name)
		}
	}
	if tag, size, length, ok := header([]byte{0x3f, 0x81, 0x01, 0x81, 0x80}); !ok || tag != 0x3f || size != 5 || length != 128 {
		t.Errorf("high tag: %x %d %d %v", tag, size, length, ok)
	}
}

// Adobe's archive of revocation data, ISO 32000-2 §12.8.3.3.2: [0] CRLs, [1] OCSP responses, [2] others.
func TestRevocationArchive(t *testing.T) {
	crl, ocsp := []byte{tagSequence, 0}, []byte{tagSequence, 2, tagNull, 0}
	archive := wrap(tagSequence, wrap(tagContext0, wrap(tagSequence, crl, crl)), wrap(tagContext1, wrap(tagSequence, ocsp)))
	for name, c := range map[string]struct {
		value       []byte
		crls, ocsps int
	}{
		"both":      {archive, 2, 1},
		"OCSP only": {wrap(tagSequence, wrap(tagContext1, wrap(tagSequence, ocsp))), 0, 1},
		"empty":     {wrap(tagSequence), 0, 0},
		"malformed": {wrap(tagSequence, wrap(tagContext0, []byte{5, 0})), 0, 0},
		"null":      {[]byte{5, 0}, 0, 0},
	} {
		r := SignRequest{Key: identity(t, certs.OfficialEC), SignedAttributes: []Attribute{{oidRevocationArchival(), [][]byte{c.value}}}}
		crls, ocsps := parsed(t, sign(t, r)).Signers[0].RevocationInfo()
		if len(crls) != c.crls || len(ocsps) != c.ocsps {
			t.Errorf("%s: %d CRLs, %d OCSP responses", name, len(crls), len(ocsps))
		}
	}
}

func TestEncodeOID(t *testing.T) {
	for _, oid := range []asn1.ObjectIdentifier{{1, 2}, {2, 999, 3}, {0, 4, 0, 2023, 1, 1}, {1, 2, 840, 113549, 1, 9, 16, 2, 47},
		{2, 16, 840, 1, 101, 3, 4, 2, 1}, {1, 3, 6, 1, 4, 1, 1<<31 - 1}, {1}, {}, {3, 1}, {1, 40}} {
		want, err := asn1.Marshal(oid)
		if err != nil {
			want = nil
		}
		if got := encodeOID(oid); !bytes.Equal(got, want) {
			t.Errorf("%v: %x, want %x", oid, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	der := sign(f, SignRequest{Key: identity(f, certs.OfficialEC), Content: content()})
	f.Add(der)
	f.Add(indefinite(der, 4))
	f.Add(sign(f, SignRequest{Key: identity(f, certs.OfficialRSA), PSS: true}))
	f.Add(nested(10, 5))
	f.Fuzz(func(t *testing.T, data []byte) {
		sd, used, err := ParsePadded(data, Limits{})
		if err != nil {
			return
		}
		if used > len(data) {
			t.Fatalf("used %d of %d bytes", used, len(data))
		}
		sd.Certificates()
		for _, si := range sd.Signers {
			res := sd.Verify(si, DigestOf(content()))
			if res.Valid && (!res.Intact || !res.Authentic || res.Signer == nil || len(res.Reasons) > 0) {
				t.Fatalf("inconsistent: %+v", res)
			}
			sd.Verify(si, nil)
			si.SigningTime()
			si.Timestamps()
			si.RevocationInfo()
		}
	})
}
