package mail

import (
	"fmt"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// maxAddress is the longest address taken, in bytes: RFC 5321 §4.5.3.1 allows 64 + 1 + 255.
const maxAddress = 320

// Address is an e-mail address (địa chỉ thư điện tử) as local-part@domain, in
// lower case and NFC when it came from ParseAddress. The empty address is the
// null reverse-path of RFC 5321 §4.5.5.
type Address string

// ParseAddress reads local-part@domain without display name or brackets. The
// result is NFC and lower case on both sides: our accounts do not tell case
// apart, as RFC 5321 §2.4 lets the receiving host decide. UTF-8 local parts
// (RFC 6531) are taken; the domain is kept in its Unicode form.
func ParseAddress(s string) (Address, error) {
	s = norm.NFC.String(strings.TrimSpace(s))
	if len(s) > maxAddress {
		return "", fmt.Errorf("address longer than %d bytes", maxAddress)
	}
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return "", fmt.Errorf("address %q is not local-part@domain", s)
	}
	local, domain := s[:at], s[at+1:]
	if strings.HasPrefix(local, `"`) && strings.HasSuffix(local, `"`) && len(local) > 2 {
		local = strings.ReplaceAll(local[1:len(local)-1], `\`, "")
	}
	if strings.ContainsFunc(local, badInLocal) {
		return "", fmt.Errorf("address %q has a character that is not allowed", s)
	}
	domain, err := normalDomain(domain)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", s, err)
	}
	return Address(strings.ToLower(local) + "@" + domain), nil
}

// badInLocal reports the characters that no local part of ours may hold:
// control characters, blanks and what would break a header or a path.
func badInLocal(r rune) bool {
	return r <= ' ' || r == 0x7f || r == '<' || r == '>' || r == ',' || r == ';' || r == '"' || r == '\ufffd' ||
		r == '\u2028' || r == '\u2029' || (r >= 0x80 && r < 0xa0)
}

// normalDomain gives the lower-case Unicode form of a domain name.
func normalDomain(domain string) (string, error) {
	domain = strings.TrimSuffix(strings.ToLower(domain), ".")
	if strings.HasPrefix(domain, "[") && strings.HasSuffix(domain, "]") {
		return domain, nil // an address literal, RFC 5321 §4.1.3: never local, kept for bounces
	}
	u, err := idna.Lookup.ToUnicode(domain)
	if err != nil || u == "" || len(u) > 255 {
		return "", fmt.Errorf("domain %q is not valid", domain)
	}
	return norm.NFC.String(u), nil
}

// Local is the part before the last @.
func (a Address) Local() string {
	if at := strings.LastIndexByte(string(a), '@'); at >= 0 {
		return string(a[:at])
	}
	return string(a)
}

// Domain is the part after the last @, empty when there is none.
func (a Address) Domain() string {
	if at := strings.LastIndexByte(string(a), '@'); at >= 0 {
		return string(a[at+1:])
	}
	return ""
}

// ASCII reports whether the address can travel without SMTPUTF8 (RFC 6531).
func (a Address) ASCII() bool {
	for i := range len(a) {
		if a[i] >= 0x80 {
			return false
		}
	}
	return true
}
