package mail

import (
	"net"
	"net/netip"
	"sync"
)

// Gate bounds the connections of a server: in all, and from one address (an
// IPv6 /64 counts as one). Loopback addresses count in all only: what stands
// before the server there is the administrator's.
type Gate struct {
	total, per int
	mu         sync.Mutex
	open       int
	from       map[string]int
}

// NewGate returns a gate for at most total connections, per from one address.
func NewGate(total, per int) *Gate {
	return &Gate{total: total, per: per, from: make(map[string]int)}
}

// Enter counts a connection in and returns the function that counts it out, to
// be called once. ok is false when the gate is full; leave is nil then.
func (g *Gate) Enter(addr net.Addr) (leave func(), ok bool) {
	host := HostOf(addr)
	key := network(host)
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		key = ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open >= g.total || (key != "" && g.from[key] >= g.per) {
		return nil, false
	}
	g.open++
	if key != "" {
		g.from[key]++
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.open--
		if key == "" {
			return
		}
		if g.from[key]--; g.from[key] <= 0 {
			delete(g.from, key)
		}
	}, true
}

// HostOf is the address of a peer without its port.
func HostOf(addr net.Addr) string {
	if addr == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return host
}

// IsLoopback reports whether a host as HostOf gives it is this machine.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
