package cms

import "fmt"

// AddUnsigned gives a SignedData with more unsigned attributes in its one SignerInfo, behind those that it has; every
// signed byte stays. The result is DER where der was, else as much of it as the reader turned into definite lengths.
func AddUnsigned(der []byte, attributes ...Attribute) ([]byte, error) {
	flat, used, err := normalise(der, Limits{}.withDefaults())
	if err != nil {
		return nil, err
	}
	if used != len(der) {
		return nil, malformed("bytes after the end")
	}
	in := reader(flat)
	outer, ok := in.want(tagSequence)
	if !ok {
		return nil, malformed("no ContentInfo")
	}
	in = outer.body
	oid, _ := in.want(tagOID)
	explicit, ok := in.want(tagContext0)
	if !ok {
		return nil, malformed("ContentInfo")
	}
	in = explicit.body
	signed, ok := in.want(tagSequence)
	if !ok {
		return nil, malformed("SignedData")
	}
	var parts [][]byte
	in = signed.body
	var last value
	for len(in) > 0 {
		if last, ok = in.next(); !ok {
			return nil, malformed("SignedData")
		}
		parts = append(parts, last.full)
	}
	if last.tag != tagSet {
		return nil, malformed("signerInfos")
	}
	signer, err := withUnsigned(last.body, attributes)
	if err != nil {
		return nil, err
	}
	parts[len(parts)-1] = wrap(tagSet, signer)
	return wrap(tagSequence, oid.full, wrap(tagContext0, wrap(tagSequence, parts...))), nil
}

func withUnsigned(signers []byte, attributes []Attribute) ([]byte, error) {
	in := reader(signers)
	signer, ok := in.want(tagSequence)
	if !ok || len(in) > 0 {
		return nil, fmt.Errorf("%w: not exactly one SignerInfo", ErrMalformed)
	}
	var parts, members [][]byte
	in = signer.body
	for len(in) > 0 {
		v, ok := in.next()
		if !ok {
			return nil, malformed("SignerInfo")
		}
		if v.tag != tagContext1 {
			parts = append(parts, v.full)
			continue
		}
		rest := reader(v.body)
		for len(rest) > 0 {
			member, ok := rest.next()
			if !ok {
				return nil, malformed("unsigned attributes")
			}
			members = append(members, member.full)
		}
	}
	for _, a := range attributes {
		members = append(members, encodeAttribute(a))
	}
	return wrap(tagSequence, append(parts, wrapSet(tagContext1, members))...), nil
}
