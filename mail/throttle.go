package mail

import (
	"net/netip"
	"sync"
	"time"
)

// Limits of failed logins within throttleWindow. A login is limited together
// with where it comes from, so that a stranger cannot lock an official out;
// the limit on the login alone is far higher and stops a spread attack.
const (
	throttleWindow   = 15 * time.Minute
	limitLoginFrom   = 10
	limitFrom        = 100
	limitLogin       = 200
	maxThrottleRows  = 100_000
	loginFromKind    = 'l'
	fromKind         = 'f'
	loginKind        = 'g'
	throttleIPv6Bits = 64
)

// throttleKey names one counter.
type throttleKey struct {
	kind  rune
	login string
	from  string
}

type throttleRow struct {
	failures int
	since    time.Time
}

// throttle counts failed logins in memory. It forgets on restart, which an
// attacker cannot cause.
type throttle struct {
	now  func() time.Time
	mu   sync.Mutex
	rows map[throttleKey]throttleRow
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, rows: make(map[throttleKey]throttleRow)}
}

// network is the unit an address is counted in: IPv4 alone, IPv6 by its /64.
func network(from string) string {
	a, err := netip.ParseAddr(from)
	if err != nil {
		return from
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(throttleIPv6Bits); err == nil {
			return p.String()
		}
	}
	return a.String()
}

func throttleKeys(login, from string) map[throttleKey]int {
	from = network(from)
	keys := map[throttleKey]int{{kind: loginKind, login: login}: limitLogin}
	if from != "" {
		keys[throttleKey{kind: loginFromKind, login: login, from: from}] = limitLoginFrom
		keys[throttleKey{kind: fromKind, from: from}] = limitFrom
	}
	return keys
}

// allowed reports whether a login may be tried.
func (t *throttle) allowed(login, from string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for key, limit := range throttleKeys(login, from) {
		if row, ok := t.rows[key]; ok && now.Sub(row.since) < throttleWindow && row.failures >= limit {
			return false
		}
	}
	return true
}

// failed counts a failed login.
func (t *throttle) failed(login, from string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if len(t.rows) > maxThrottleRows {
		t.prune(now)
	}
	for key := range throttleKeys(login, from) {
		row := t.rows[key]
		if row.failures == 0 || now.Sub(row.since) >= throttleWindow {
			row = throttleRow{since: now}
		}
		row.failures++
		t.rows[key] = row
	}
}

// succeeded forgets the failures of this login from this place.
func (t *throttle) succeeded(login, from string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.rows, throttleKey{kind: loginFromKind, login: login, from: network(from)})
}

// prune drops what has run out; when that is not enough, everything: memory is
// bounded even under attack, and the counting starts anew.
func (t *throttle) prune(now time.Time) {
	for key, row := range t.rows {
		if now.Sub(row.since) >= throttleWindow {
			delete(t.rows, key)
		}
	}
	if len(t.rows) > maxThrottleRows {
		clear(t.rows)
	}
}
