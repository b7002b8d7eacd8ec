package cms

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"fmt"
	"slices"

	"vanthu/signing/pki"
)

// Amendment is what is added to a SignedData with one signer, outside of what was signed.
type Amendment struct {
	Certificates, CRLs, OCSPs [][]byte    // DER; what is there already is not added again
	Unsigned                  []Attribute // unsigned attributes of the signer
}

// parts is a SignedData taken apart into the encodings of its elements.
type parts struct {
	version, digests, content []byte
	certs, crls               [][]byte // members of the two optional sets
	signer                    [][]byte // version to signature, in order
	unsigned                  [][]byte
}

// take splits a SignedData in DER or BER with exactly one signer.
func take(der []byte) (*parts, error) {
	sd, err := Parse(der, DefaultLimits())
	if err != nil {
		return nil, err
	}
	if len(sd.Signers) != 1 {
		return nil, malformed(fmt.Sprintf("%d signers, want 1", len(sd.Signers)))
	}
	plain, _, err := normalise(der, DefaultLimits())
	if err != nil {
		return nil, err
	}
	in := reader(plain)
	outer, _ := in.want(tagSequence)
	in = outer.body
	if _, ok := in.oid(); !ok {
		return nil, malformed("ContentInfo")
	}
	explicit, _ := in.want(tagContext0)
	in = explicit.body
	body, _ := in.want(tagSequence)
	in = body.body
	p := &parts{}
	for _, into := range []*[]byte{&p.version, &p.digests, &p.content} {
		v, ok := in.next()
		if !ok {
			return nil, malformed("SignedData")
		}
		*into = v.full
	}
	for len(in) > 0 {
		v, ok := in.next()
		if !ok {
			return nil, malformed("SignedData")
		}
		switch v.tag {
		case tagContext0:
			p.certs = members(v.body)
		case tagContext1:
			p.crls = members(v.body)
		default:
			p.takeSigner(v.body)
		}
	}
	return p, nil
}

// takeSigner splits the one SignerInfo of a set.
func (p *parts) takeSigner(set []byte) {
	in := reader(set)
	info, _ := in.want(tagSequence)
	for _, m := range members(info.body) {
		if m[0] != tagContext1 {
			p.signer = append(p.signer, m)
			continue
		}
		inner := reader(m)
		v, _ := inner.next()
		p.unsigned = members(v.body)
	}
}

// members lists the encodings in a constructed value's body.
func members(body []byte) (list [][]byte) {
	for in := reader(body); len(in) > 0; {
		v, ok := in.next()
		if !ok {
			return list
		}
		list = append(list, v.full)
	}
	return list
}

func addMember(list [][]byte, der []byte) [][]byte {
	if slices.ContainsFunc(list, func(other []byte) bool { return bytes.Equal(other, der) }) {
		return list
	}
	return append(list, der)
}

// Amend adds to a SignedData with exactly one signer and gives the new one in DER; what was signed stays as it is.
func Amend(der []byte, a Amendment) ([]byte, error) {
	p, err := take(der)
	if err != nil {
		return nil, err
	}
	for _, c := range a.Certificates {
		p.certs = addMember(p.certs, c)
	}
	for _, c := range a.CRLs {
		p.crls = addMember(p.crls, c)
	}
	for _, o := range a.OCSPs {
		p.crls = addMember(p.crls, wrap(tagContext1, encodeOID(oidOCSPInfo()), o))
	}
	if len(a.OCSPs) > 0 {
		p.version = []byte{tagInteger, 1, 5} // RFC 5652 §5.1: other revocation information
	}
	for _, attr := range a.Unsigned {
		p.unsigned = append(p.unsigned, encodeAttribute(attr))
	}
	return p.join(), nil
}

// join puts the parts together again.
func (p *parts) join() []byte {
	list := [][]byte{p.version, p.digests, p.content}
	if len(p.certs) > 0 {
		list = append(list, wrapSet(tagContext0, p.certs))
	}
	if len(p.crls) > 0 {
		list = append(list, wrapSet(tagContext1, p.crls))
	}
	info := p.signer
	if len(p.unsigned) > 0 {
		info = append(slices.Clone(info), wrapSet(tagContext1, p.unsigned))
	}
	list = append(list, wrap(tagSet, wrap(tagSequence, info...)))
	return wrap(tagSequence, encodeOID(oidSignedData()), wrap(tagContext0, wrap(tagSequence, list...)))
}

// oidArchiveTimestampV3 and oidHashIndexV3 are ETSI EN 319 122-1 §5.5.3 and §5.5.2.
func oidArchiveTimestampV3() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 4}
}
func oidHashIndexV3() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{0, 4, 0, 19122, 1, 5} }

// ArchiveTimestampAttribute is the archive-time-stamp-v3 unsigned attribute of a token in DER.
func ArchiveTimestampAttribute(token []byte) Attribute {
	return Attribute{Type: oidArchiveTimestampV3(), Values: [][]byte{token}}
}

// HashIndexAttribute is the ats-hash-index-v3 attribute, which stands unsigned in an archive time stamp's own token.
func HashIndexAttribute(index []byte) Attribute {
	return Attribute{Type: oidHashIndexV3(), Values: [][]byte{index}}
}

// ArchiveTimestamps are the tokens of archive-time-stamp-v3 attributes.
func (si *SignerInfo) ArchiveTimestamps() (tokens [][]byte) {
	for _, a := range si.UnsignedAttributes {
		if a.Type.Equal(oidArchiveTimestampV3()) {
			tokens = append(tokens, a.Values...)
		}
	}
	return tokens
}

// HashIndex is the ats-hash-index-v3 of an archive time stamp's token; nil when there is not exactly one.
func (si *SignerInfo) HashIndex() []byte {
	value, attributes, values := attribute(si.UnsignedAttributes, oidHashIndexV3())
	if attributes != 1 || values != 1 {
		return nil
	}
	return value
}

// MakeHashIndex lists the digests of all certificates, revocation data and unsigned attributes of a SignedData with one
// signer (ETSI EN 319 122-1 §5.5.2, ATSHashIndexV3).
func MakeHashIndex(der []byte, h crypto.Hash) ([]byte, error) {
	p, err := take(der)
	if err != nil {
		return nil, err
	}
	certs, crls, attrs := p.digestsOf(h)
	return wrap(tagSequence, wrap(tagSequence, encodeOID(pki.OIDByHash(h))), octets(certs), octets(crls), octets(attrs)), nil
}

func octets(list [][]byte) []byte {
	encoded := make([][]byte, len(list))
	for i, d := range list {
		encoded[i] = wrap(tagOctets, d)
	}
	return wrap(tagSequence, encoded...)
}

// digestsOf hashes each certificate, each piece of revocation data, and each value of each unsigned attribute behind
// the attribute's type.
func (p *parts) digestsOf(h crypto.Hash) (certs, crls, attrs [][]byte) {
	sum := func(pieces ...[]byte) []byte {
		d := h.New()
		for _, piece := range pieces {
			d.Write(piece)
		}
		return d.Sum(nil)
	}
	for _, c := range p.certs {
		certs = append(certs, sum(c))
	}
	for _, c := range p.crls {
		crls = append(crls, sum(c))
	}
	for _, a := range p.unsigned {
		in := reader(a)
		attr, _ := in.want(tagSequence)
		in = attr.body
		kind, _ := in.next()
		values, _ := in.next()
		for _, v := range members(values.body) {
			attrs = append(attrs, sum(kind.full, v))
		}
	}
	return certs, crls, attrs
}

// ArchiveData is what an archive-time-stamp-v3 covers (ETSI EN 319 122-1 §5.5.3): content type, the digest of the
// content by h, the signer's fields up to the signature value, and the hash index. It fails with ErrMalformed when the
// index names something that is not in the SignedData any more.
func ArchiveData(der []byte, h crypto.Hash, contentDigest, index []byte) ([]byte, error) {
	p, err := take(der)
	if err != nil {
		return nil, err
	}
	if err := p.holds(index); err != nil {
		return nil, err
	}
	in := reader(p.content)
	encap, _ := in.want(tagSequence)
	in = encap.body
	kind, ok := in.next()
	if !ok || len(contentDigest) != h.Size() {
		return nil, malformed("content")
	}
	return slices.Concat(kind.full, contentDigest, bytes.Join(p.signer, nil), index), nil
}

// holds sees that everything that an index names is there.
func (p *parts) holds(index []byte) error {
	in := reader(index)
	outer, ok := in.want(tagSequence)
	if !ok || len(in) != 0 {
		return malformed("hash index")
	}
	in = outer.body
	oid, _, ok := in.algorithm()
	h := pki.HashByOID(oid)
	if !ok || !h.Available() {
		return malformed("hash index: algorithm")
	}
	certs, crls, attrs := p.digestsOf(h)
	for _, have := range [][][]byte{certs, crls, attrs} {
		list, ok := in.want(tagSequence)
		if !ok {
			return malformed("hash index")
		}
		for _, m := range members(list.body) {
			one := reader(m)
			v, ok := one.want(tagOctets)
			if !ok || !slices.ContainsFunc(have, func(d []byte) bool { return bytes.Equal(d, v.body) }) {
				return malformed("hash index: it names data that is not there")
			}
		}
	}
	if len(in) != 0 {
		return malformed("hash index")
	}
	return nil
}
