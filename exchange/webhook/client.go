package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// Bounds of one attempt, beside Config.Timeout.
const (
	maxURL        = 2000
	answerKept    = 512     // characters of an answer that stand in the log
	answerRead    = 4 << 10 // bytes of an answer that are read
	headersRead   = 16 << 10
	dialTimeout   = 10 * time.Second
	idleReceivers = 32
)

// errPrivate is an address inside the house, which a webhook must not reach.
var errPrivate = errors.New("the receiver's address is not public")

// newClient makes the only client that speaks to receivers. The address is judged
// after it was resolved, at the moment of dialling, so that a name which resolves
// differently the second time wins nothing; redirects are not followed and no
// proxy of the environment is used, as either would go around that.
func newClient(allowPrivate bool, timeout time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout}
	if !allowPrivate {
		dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("receiver's address: %w", err)
			}
			if !public(at.Addr()) {
				return errPrivate
			}
			return nil
		}
	}
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: timeout,
			MaxResponseHeaderBytes: headersRead, MaxIdleConns: idleReceivers, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
			DisableCompression: true, // what is read of an answer is what was sent
		},
	}
}

// reserved are the networks that are not on the public Internet or lead back
// inside, beside those that netip knows: IANA's registries of special-purpose
// addresses (RFC 6890), and the translations that carry an IPv4 address.
func reserved() []netip.Prefix {
	names := []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10"}
	out := make([]netip.Prefix, len(names))
	for i, name := range names {
		out[i] = netip.MustParsePrefix(name)
	}
	return out
}

// public tells whether an address is on the public Internet.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, network := range reserved() {
		if network.Contains(a) {
			return false
		}
	}
	return true
}

// cleanURL checks the address of a receiver. Where it leads is judged again at
// every attempt.
func cleanURL(raw string, allowPrivate bool) (string, error) {
	bad := func(vi, en string) error {
		return registry.NewError(exchange.KindInvalid, vi, en).
			Advise("Ví dụ: https://nhan.example.vn/vanthu", "For example: https://receiver.example.vn/vanthu")
	}
	raw, err := registry.CleanLine("Địa chỉ nhận", "The receiver's address", raw, maxURL)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return "", bad("Địa chỉ nhận không phải URL đầy đủ.", "The receiver's address is not a whole URL.")
	}
	switch {
	case u.Scheme == "http" && allowPrivate:
	case u.Scheme != "https":
		return "", bad("Địa chỉ nhận phải bắt đầu bằng https://.", "The receiver's address must begin with https://.")
	}
	if u.User != nil {
		return "", bad("Địa chỉ nhận không được chứa tên và mật khẩu.", "The receiver's address must not hold a name and password.")
	}
	if u.Fragment != "" {
		return "", bad("Địa chỉ nhận không được có phần #.", "The receiver's address must not have a # part.")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !allowPrivate && !public(a) {
		return "", bad("Địa chỉ nhận là địa chỉ nội bộ.", "The receiver's address is a private one.")
	}
	return u.String(), nil
}
