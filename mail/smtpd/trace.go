package smtpd

import (
	"crypto/tls"
	"net/netip"
	"strings"
)

// field makes a client's word fit for a header: no blanks, brackets or control characters.
func field(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || strings.ContainsRune("<>()\\\"", r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if s == "" {
		return "unknown"
	}
	if len(s) > 255 {
		s = strings.ToValidUTF8(s[:255], "")
	}
	return s
}

// literal is an address literal of RFC 5321 §4.1.3.
func literal(host string) string {
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "[" + field(host) + "]"
	case ip.Unmap().Is4():
		return "[" + ip.Unmap().String() + "]"
	default:
		return "[IPv6:" + ip.WithZone("").String() + "]"
	}
}

func tlsName(st *tls.ConnectionState) string {
	return strings.ReplaceAll(tls.VersionName(st.Version), " ", "") + " cipher " + tls.CipherSuiteName(st.CipherSuite)
}
