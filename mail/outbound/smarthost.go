package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// tlsMode says how the connection to the smarthost is protected.
type tlsMode string

const (
	tlsImplicit      tlsMode = "implicit"      // from the first byte
	tlsRequired      tlsMode = "required"      // STARTTLS, or nothing is sent
	tlsOpportunistic tlsMode = "opportunistic" // STARTTLS where it is offered, the certificate unchecked
	tlsNone          tlsMode = "none"
)

// smarthost is the server that mail to the outside is handed to.
type smarthost struct {
	addr, host         string
	username, password string
	mode               tlsMode
}

// parseSmarthost reads host:port, smtp://[user:password@]host[:port][?tls=…] or
// smtps://…. With a password TLS is required unless tls=none is written, and
// tls=none with a password is for this machine only.
func parseSmarthost(s string) (*smarthost, error) {
	if !strings.Contains(s, "://") {
		s = "smtp://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("the smarthost is not smtp://[user:password@]host:port") // err would show the password
	}
	h := &smarthost{host: u.Hostname()}
	h.username = u.User.Username()
	h.password, _ = u.User.Password()
	port := u.Port()
	switch u.Scheme {
	case "smtps":
		h.mode = tlsImplicit
		port = cmpOr(port, "465")
	case "smtp":
		h.mode = tlsMode(cmpOr(u.Query().Get("tls"), string(tlsOpportunistic)))
		if h.username != "" && h.mode == tlsOpportunistic {
			h.mode = tlsRequired
		}
		port = cmpOr(port, "25")
	default:
		return nil, fmt.Errorf("the smarthost's scheme is %q, not smtp or smtps", u.Scheme)
	}
	if h.host == "" {
		return nil, errors.New("the smarthost has no host")
	}
	switch h.mode {
	case tlsImplicit, tlsRequired, tlsOpportunistic:
	case tlsNone:
		if ip := net.ParseIP(h.host); h.username != "" && h.host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, errors.New("the smarthost would get a password without TLS")
		}
	default:
		return nil, fmt.Errorf("the smarthost's tls is %q, not required, opportunistic or none", h.mode)
	}
	h.addr = net.JoinHostPort(h.host, port)
	return h, nil
}

func cmpOr(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// authError says that the smarthost did not take our login: the message is not at fault.
type authError struct{ err error }

func (e *authError) Error() string { return "logging in to the smarthost: " + e.err.Error() }
func (e *authError) Unwrap() error { return e.err }

// dial connects, starts TLS and logs in. The connection ends with ctx.
func (h *smarthost) dial(ctx context.Context, hostname string, cfg *tls.Config) (*smtp.Client, error) {
	if cfg = cfg.Clone(); cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg.ServerName == "" {
		cfg.ServerName = h.host
	}
	mode := h.mode
	if mode == tlsOpportunistic {
		cfg.InsecureSkipVerify = true // RFC 7435: encryption without proof is better than none
		mode = tlsRequired
	}
	c, err := h.open(ctx, hostname, mode, cfg)
	if err != nil && h.mode == tlsOpportunistic && ctx.Err() == nil {
		c, err = h.open(ctx, hostname, tlsNone, cfg)
	}
	if err != nil {
		return nil, err
	}
	if h.username != "" {
		if err := c.Auth(sasl.NewPlainClient("", h.username, h.password)); err != nil {
			return nil, errors.Join(&authError{err}, c.Close())
		}
	}
	return c, nil
}

// open makes one connection in one mode and greets.
func (h *smarthost) open(ctx context.Context, hostname string, mode tlsMode, cfg *tls.Config) (*smtp.Client, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", h.addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to the smarthost: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	var c *smtp.Client
	switch mode {
	case tlsImplicit:
		c = smtp.NewClient(tls.Client(conn, cfg))
	case tlsRequired:
		c, err = smtp.NewClientStartTLS(conn, cfg)
	default:
		c = smtp.NewClient(conn)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting TLS with the smarthost: %w", err), conn.Close())
	}
	c.CommandTimeout, c.SubmissionTimeout = commandTimeout, submissionTimeout
	if err := c.Hello(hostname); err != nil {
		return nil, errors.Join(fmt.Errorf("greeting the smarthost: %w", err), c.Close())
	}
	return c, nil
}
