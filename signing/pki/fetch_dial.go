package pki

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// publicDialer connects to public addresses only, unless private ones are allowed. The check is made on the address
// that is connected to, after the name was resolved: a name that leads elsewhere the second time gains nothing.
func publicDialer(o FetchOptions) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: o.Timeout}
	if !o.AllowPrivate {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !public(to.Addr()) {
				return fmt.Errorf("%w: it leads to a private address", ErrHostRefused)
			}
			return nil
		}
	}
	return d.DialContext
}

// public tells addresses of the open Internet: no loopback, private, link-local, shared, documentation, benchmark,
// multicast or reserved range, and no IPv6 form that carries an IPv4 address (RFC 6890, RFC 6052, RFC 3056, RFC 4380).
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, block := range reserved() {
		if block.Contains(a) {
			return false
		}
	}
	return true
}

func reserved() []netip.Prefix {
	blocks := []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10",
	}
	out := make([]netip.Prefix, len(blocks))
	for i, b := range blocks {
		out[i] = netip.MustParsePrefix(b)
	}
	return out
}
