package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"maps"
	"net"
	"net/url"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Choices of GeneralName (RFC 5280 §4.2.1.6) that are understood.
const (
	nameEmail = 1
	nameDNS   = 2
	nameDN    = 4
	nameURI   = 6
	nameIP    = 7
)

// generalName is one name: the choice and its contents (the whole Name for nameDN).
type generalName struct {
	choice int
	value  []byte
}

// maxComparisons bounds names times constraints of one path.
const maxComparisons = 100_000

// checkNames applies the name constraints of every authority in the path to everything below it (RFC 5280 §6.1.3 b, c).
func checkNames(path []*x509.Certificate) Reasons {
	budget := maxComparisons
	for i := len(path) - 1; i > 0; i-- {
		raw := extension(path[i], "2.5.29.30")
		if raw == nil {
			continue
		}
		permitted, excluded, ok := parseNameConstraints(raw)
		if !ok {
			return Reasons{{Code: CodeNameConstraints, Sub: ChainConstraints, Detail: "malformed in " + path[i].Subject.String()}}
		}
		for j := i - 1; j >= 0; j-- {
			c := path[j]
			if j > 0 && bytes.Equal(c.RawSubject, c.RawIssuer) {
				continue // self-issued authorities are exempt
			}
			if detail := violation(c, permitted, excluded, &budget); detail != "" {
				return Reasons{{Code: CodeNameConstraints, Sub: ChainConstraints, Detail: detail}}
			}
		}
	}
	return nil
}

// violation returns what in the certificate's names lies outside, or "".
func violation(c *x509.Certificate, permitted, excluded []generalName, budget *int) string {
	names, ok := certificateNames(c)
	if !ok {
		return "malformed names in " + c.Subject.String()
	}
	for _, n := range names {
		restricted, allowed := false, false
		for _, p := range permitted {
			if *budget--; p.choice == n.choice {
				restricted = true
				allowed = allowed || within(n, p)
			}
		}
		if restricted && !allowed {
			return "not permitted: " + n.String()
		}
		for _, e := range excluded {
			// An excluded form that cannot be compared excludes every name of that form.
			if *budget--; e.choice == n.choice && (within(n, e) || !comparable(n.choice)) {
				return "excluded: " + n.String()
			}
		}
		if *budget < 0 {
			return "too many names"
		}
	}
	return ""
}

func comparable(choice int) bool {
	switch choice {
	case nameEmail, nameDNS, nameDN, nameURI, nameIP:
		return true
	}
	return false
}

// String is for reasons.
func (n generalName) String() string {
	if n.choice == nameDN {
		var seq pkix.RDNSequence
		if _, err := asn1.Unmarshal(n.value, &seq); err == nil {
			return seq.String()
		}
	}
	if n.choice == nameIP {
		return net.IP(n.value).String()
	}
	return fmt.Sprintf("%q", n.value)
}

// certificateNames lists the subject and the alternative names; addresses in the subject count when no alternative
// e-mail name is there (RFC 5280 §4.2.1.10).
func certificateNames(c *x509.Certificate) ([]generalName, bool) {
	var names []generalName
	if len(c.Subject.Names) > 0 {
		names = append(names, generalName{nameDN, c.RawSubject})
	}
	hasEmail := false
	if raw := extension(c, "2.5.29.17"); raw != nil {
		in := cryptobyte.String(raw)
		var seq cryptobyte.String
		if !in.ReadASN1(&seq, cbasn1.SEQUENCE) {
			return nil, false
		}
		for !seq.Empty() {
			n, ok := readGeneralName(&seq)
			if !ok {
				return nil, false
			}
			hasEmail = hasEmail || n.choice == nameEmail
			names = append(names, n)
		}
	}
	for _, a := range c.Subject.Names {
		if s, ok := a.Value.(string); ok && !hasEmail && a.Type.String() == "1.2.840.113549.1.9.1" {
			names = append(names, generalName{nameEmail, []byte(s)})
		}
	}
	return names, true
}

func readGeneralName(in *cryptobyte.String) (generalName, bool) {
	var value cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&value, &tag) {
		return generalName{}, false
	}
	return generalName{int(tag & 0x1f), value}, tag&0x80 != 0
}

// parseNameConstraints reads the extension of RFC 5280 §4.2.1.10; minimum and maximum are not used by it and refused.
func parseNameConstraints(raw []byte) (permitted, excluded []generalName, ok bool) {
	in := cryptobyte.String(raw)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, nil, false
	}
	for i, list := range []*[]generalName{&permitted, &excluded} {
		var trees cryptobyte.String
		var has bool
		if !seq.ReadOptionalASN1(&trees, &has, cbasn1.Tag(i).Constructed().ContextSpecific()) {
			return nil, nil, false
		}
		for !trees.Empty() {
			var tree cryptobyte.String
			if !trees.ReadASN1(&tree, cbasn1.SEQUENCE) {
				return nil, nil, false
			}
			n, good := readGeneralName(&tree)
			if !good || !tree.Empty() {
				return nil, nil, false
			}
			*list = append(*list, n)
		}
	}
	return permitted, excluded, seq.Empty()
}

// within tells whether a name falls under a constraint of the same choice.
func within(n, constraint generalName) bool {
	switch n.choice {
	case nameDN:
		return dnWithin(n.value, constraint.value)
	case nameDNS:
		return domainWithin(string(n.value), string(constraint.value))
	case nameEmail:
		return emailWithin(string(n.value), string(constraint.value))
	case nameURI:
		u, err := url.Parse(string(n.value))
		return err == nil && u.Hostname() != "" && hostWithin(u.Hostname(), string(constraint.value))
	case nameIP:
		mask := constraint.value
		if len(mask) != 2*len(n.value) {
			return false
		}
		for i, b := range n.value {
			if (b^mask[i])&mask[len(n.value)+i] != 0 {
				return false
			}
		}
		return true
	}
	return false
}

// domainWithin: a constraint covers the domain and everything below it.
func domainWithin(name, constraint string) bool {
	name, constraint = strings.ToLower(strings.TrimSuffix(name, ".")), strings.ToLower(strings.TrimPrefix(constraint, "."))
	return constraint == "" || name == constraint || strings.HasSuffix(name, "."+constraint)
}

// hostWithin: a leading dot means hosts below only, else exactly that host (URI and e-mail rule).
func hostWithin(host, constraint string) bool {
	host, constraint = strings.ToLower(host), strings.ToLower(constraint)
	if strings.HasPrefix(constraint, ".") {
		return strings.HasSuffix(host, constraint)
	}
	return host == constraint
}

func emailWithin(address, constraint string) bool {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return false
	}
	if c := strings.LastIndexByte(constraint, '@'); c >= 0 {
		return address[:at] == constraint[:c] && strings.EqualFold(address[at:], constraint[c:])
	}
	return constraint == "" || hostWithin(address[at+1:], constraint)
}

// dnWithin: the constraint's RDNs are the first of the name's; letter case and spaces in excess do not count.
func dnWithin(name, constraint []byte) bool {
	var n, c pkix.RDNSequence
	if rest, err := asn1.Unmarshal(name, &n); err != nil || len(rest) > 0 {
		return false
	}
	if rest, err := asn1.Unmarshal(constraint, &c); err != nil || len(rest) > 0 || len(c) > len(n) {
		return false
	}
	for i := range c {
		if len(c[i]) != len(n[i]) {
			return false
		}
		for _, want := range c[i] {
			found := false
			for _, have := range n[i] {
				found = found || have.Type.Equal(want.Type) && sameText(have.Value, want.Value)
			}
			if !found {
				return false
			}
		}
	}
	return true
}

func sameText(a, b any) bool {
	fold := func(v any) string { return strings.ToLower(strings.Join(strings.Fields(fmt.Sprint(v)), " ")) }
	return fold(a) == fold(b)
}

func extension(c *x509.Certificate, oid string) []byte {
	for _, e := range c.Extensions {
		if e.Id.String() == oid {
			return e.Value
		}
	}
	return nil
}

// policySet is the policies that hold so far in a path.
type policySet struct {
	all   bool // every policy
	named map[string]bool
}

// next is the set after one more certificate (RFC 5280 §6.1.3 d): anyPolicy holds for every policy; a mapping lets the
// subject's policy stand for the issuer's.
func (p policySet) next(c *x509.Certificate) policySet {
	const anyPolicy = "2.5.29.32.0"
	n := policySet{named: map[string]bool{}}
	for _, oid := range c.PolicyIdentifiers {
		switch name := oid.String(); {
		case name == anyPolicy && p.all:
			n.all = true
		case name == anyPolicy:
			maps.Copy(n.named, p.named)
		case p.all || p.named[name]:
			n.named[name] = true
		}
	}
	for _, m := range c.PolicyMappings {
		if n.all || n.named[m.IssuerDomainPolicy.String()] {
			n.named[m.SubjectDomainPolicy.String()] = true
		}
	}
	return n
}

// checkPolicies is RFC 5280 §6.1 for policies, reduced to what a relying party without policy wishes needs: where an
// authority requires explicit policies, some policy must hold from the anchor down to the leaf.
func checkPolicies(path []*x509.Certificate) Reasons {
	required := -1 // certificates until an explicit policy is required; negative: not required
	valid := policySet{all: true}
	for i := len(path) - 2; i >= 0; i-- {
		c := path[i]
		valid = valid.next(c)
		if required > 0 && !bytes.Equal(c.RawSubject, c.RawIssuer) {
			required--
		}
		if (c.RequireExplicitPolicy > 0 || c.RequireExplicitPolicyZero) &&
			(required < 0 || c.RequireExplicitPolicy < required) {
			required = c.RequireExplicitPolicy
		}
	}
	if required == 0 && !valid.all && len(valid.named) == 0 {
		return Reasons{{Code: CodePolicy, Sub: ChainConstraints}}
	}
	return nil
}
