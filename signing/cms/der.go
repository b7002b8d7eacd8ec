package cms

import (
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
)

// Identifier octets that CMS uses.
const (
	tagInteger     = 0x02
	tagOctets      = 0x04
	tagNull        = 0x05
	tagOID         = 0x06
	tagUTCTime     = 0x17
	tagGeneralized = 0x18
	tagSequence    = 0x30
	tagSet         = 0x31
	tagOctetsBER   = 0x24 // octet string in pieces
	tagContext0    = 0xa0
	tagContext1    = 0xa1
	tagContext2    = 0xa2
	tagPlain0      = 0x80 // [0] IMPLICIT, primitive
)

// value is one ASN.1 value: its identifier octet, its contents, and both with the length.
type value struct {
	tag  byte
	body []byte
	full []byte
}

// header reads identifier and length octets. length is -1 for the indefinite form. Tag numbers above 30 are skipped
// over and reported as their first octet; lengths over four octets are refused.
func header(in []byte) (tag byte, size, length int, ok bool) {
	if len(in) < 2 {
		return 0, 0, 0, false
	}
	tag, size = in[0], 1
	if tag&0x1f == 0x1f {
		for {
			if size >= len(in) || size > 5 {
				return 0, 0, 0, false
			}
			size++
			if in[size-1]&0x80 == 0 {
				break
			}
		}
	}
	if size >= len(in) {
		return 0, 0, 0, false
	}
	first := in[size]
	size++
	switch {
	case first < 0x80:
		return tag, size, int(first), true
	case first == 0x80:
		return tag, size, -1, tag&0x20 != 0
	}
	octets := int(first & 0x7f)
	if octets > 4 || size+octets > len(in) {
		return 0, 0, 0, false
	}
	for _, b := range in[size : size+octets] {
		length = length<<8 | int(b)
	}
	size += octets
	return tag, size, length, length <= 1<<31-1
}

// reader takes values off the front of a definite-length encoding.
type reader []byte

// next returns the next value, false at the end or when it does not fit.
func (r *reader) next() (value, bool) {
	tag, size, length, ok := header(*r)
	if !ok || length < 0 || length > len(*r)-size {
		return value{}, false
	}
	v := value{tag: tag, body: (*r)[size : size+length], full: (*r)[:size+length]}
	*r = (*r)[size+length:]
	return v, true
}

// want returns the next value when it has the tag.
func (r *reader) want(tag byte) (value, bool) {
	if len(*r) == 0 || (*r)[0] != tag {
		return value{}, false
	}
	return r.next()
}

// optional returns the next value when it has the tag; ok is false only when a value with that tag does not fit.
func (r *reader) optional(tag byte) (v value, has, ok bool) {
	if len(*r) == 0 || (*r)[0] != tag {
		return value{}, false, true
	}
	v, ok = r.next()
	return v, ok, ok
}

// oid reads an object identifier.
func (r *reader) oid() (asn1.ObjectIdentifier, bool) {
	v, ok := r.want(tagOID)
	if !ok || len(v.body) > 64 {
		return nil, false
	}
	var oid asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(v.full, &oid)
	return oid, err == nil && len(rest) == 0
}

// algorithm reads an AlgorithmIdentifier; params is nil when absent.
func (r *reader) algorithm() (oid asn1.ObjectIdentifier, params []byte, ok bool) {
	v, ok := r.want(tagSequence)
	if !ok {
		return nil, nil, false
	}
	in := reader(v.body)
	if oid, ok = in.oid(); !ok {
		return nil, nil, false
	}
	if len(in) > 0 {
		params = in
	}
	return oid, params, true
}

// smallInt reads a non-negative INTEGER of one octet, such as a version.
func (r *reader) smallInt() (int, bool) {
	v, ok := r.want(tagInteger)
	if !ok || len(v.body) != 1 || v.body[0] > 127 {
		return 0, false
	}
	return int(v.body[0]), true
}

// bigInt reads an INTEGER of up to 64 octets.
func (r *reader) bigInt() (*big.Int, bool) {
	v, ok := r.want(tagInteger)
	if !ok || len(v.body) == 0 || len(v.body) > 64 {
		return nil, false
	}
	n := new(big.Int).SetBytes(v.body)
	if v.body[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v.body))))
	}
	return n, true
}

// normaliser turns BER as old programs write it into definite lengths, within bounds. Values that are definite inside
// and out are kept octet for octet, so that signatures over them hold.
type normaliser struct {
	lim      Limits
	elements int
	copied   int // octets written; bounds the work that deeply nested indefinite lengths cause
	maxCopy  int
}

// normalise returns the first value of in with definite lengths and how many octets of in it took.
func normalise(in []byte, lim Limits) (der []byte, used int, err error) {
	n := normaliser{lim: lim, maxCopy: 16*len(in) + 1024}
	der, used, _, err = n.element(in, 0)
	return der, used, err
}

// element handles one value and everything in it.
func (n *normaliser) element(in []byte, depth int) (out []byte, used int, changed bool, err error) {
	if n.elements++; n.elements > n.lim.MaxElements || depth > n.lim.MaxDepth {
		return nil, 0, false, fmt.Errorf("%w: ASN.1 nesting or number of values", ErrLimit)
	}
	tag, size, length, ok := header(in)
	if !ok || length > len(in)-size {
		return nil, 0, false, fmt.Errorf("%w: length does not fit", ErrMalformed)
	}
	indefinite := length < 0
	if !indefinite {
		used = size + length
		if tag&0x20 == 0 {
			return in[:used], used, false, nil
		}
	}
	body := in[size:]
	if !indefinite {
		body = in[size:used]
	}
	content, taken, changed, err := n.contents(body, indefinite, tag == tagOctetsBER, depth+1)
	if err != nil {
		return nil, 0, false, err
	}
	if indefinite {
		used = size + taken
	}
	if !indefinite && !changed && tag != tagOctetsBER {
		return in[:used], used, false, nil
	}
	if tag == tagOctetsBER {
		tag = tagOctets
	} else if tag&0x1f == 0x1f {
		return nil, 0, false, fmt.Errorf("%w: indefinite length with a high tag", ErrMalformed)
	}
	if n.copied += len(content); n.copied > n.maxCopy {
		return nil, 0, false, fmt.Errorf("%w: nested indefinite lengths", ErrLimit)
	}
	return wrap(tag, content), used, true, nil
}

// contents handles the values inside a constructed one, up to the end of in or, when indefinite, the end-of-contents
// octets, which count as taken. pieces joins the contents of octet strings.
func (n *normaliser) contents(in []byte, indefinite, pieces bool, depth int) (out []byte, taken int, changed bool, err error) {
	changed = indefinite || pieces
	ended := func() bool { return indefinite && len(in)-taken >= 2 && in[taken] == 0 && in[taken+1] == 0 }
	for !ended() {
		if taken == len(in) {
			if indefinite {
				return nil, 0, false, fmt.Errorf("%w: no end of contents", ErrMalformed)
			}
			break
		}
		child, used, different, err := n.element(in[taken:], depth)
		if err != nil {
			return nil, 0, false, err
		}
		if different && !changed {
			changed = true
			out = append(out, in[:taken]...)
		}
		taken += used
		switch {
		case pieces:
			if child[0] != tagOctets {
				return nil, 0, false, fmt.Errorf("%w: octet string of other values", ErrMalformed)
			}
			_, size, _, _ := header(child)
			out = append(out, child[size:]...)
		case changed:
			out = append(out, child...)
		}
		if len(out) > n.lim.MaxSize {
			return nil, 0, false, fmt.Errorf("%w: size", ErrLimit)
		}
	}
	if !changed {
		out = in[:taken]
	}
	if indefinite {
		taken += 2
	}
	return out, taken, changed, nil
}

// wrap encodes one value from the concatenation of parts.
func wrap(tag byte, parts ...[]byte) []byte {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	out := make([]byte, 0, length+6)
	out = appendHeader(out, tag, length)
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func appendHeader(out []byte, tag byte, length int) []byte {
	out = append(out, tag)
	switch {
	case length < 0x80:
		return append(out, byte(length))
	case length < 0x100:
		return append(out, 0x81, byte(length))
	case length < 0x10000:
		return append(out, 0x82, byte(length>>8), byte(length))
	case length < 0x1000000:
		return append(out, 0x83, byte(length>>16), byte(length>>8), byte(length))
	}
	return append(out, 0x84, byte(length>>24), byte(length>>16), byte(length>>8), byte(length))
}

// wrapSet encodes a SET OF in DER: members in ascending order of their encodings (X.690 §11.6).
func wrapSet(tag byte, members [][]byte) []byte {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, slices.Compare)
	return wrap(tag, sorted...)
}

// encodeOID encodes an object identifier (X.690 §8.19); an invalid one gives nil.
func encodeOID(oid asn1.ObjectIdentifier) []byte {
	if len(oid) < 2 || oid[0] < 0 || oid[0] > 2 || oid[1] < 0 || oid[0] < 2 && oid[1] > 39 {
		return nil
	}
	body := appendBase128(make([]byte, 2, 2+3*len(oid)), 40*oid[0]+oid[1])
	for _, arc := range oid[2:] {
		if arc < 0 {
			return nil
		}
		body = appendBase128(body, arc)
	}
	length := len(body) - 2
	if length > 127 {
		return nil
	}
	body[0], body[1] = tagOID, byte(length)
	return body
}

// appendBase128 writes a number in groups of seven bits, all but the last marked.
func appendBase128(out []byte, n int) []byte {
	shift := 0
	for n>>shift >= 128 {
		shift += 7
	}
	for ; shift > 0; shift -= 7 {
		out = append(out, byte(n>>shift)|0x80)
	}
	return append(out, byte(n&0x7f))
}
