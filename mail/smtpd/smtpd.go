// Package smtpd takes mail in over SMTP (RFC 5321): from other servers for our
// accounts (MX), and from our accounts for anyone (submission, RFC 6409). It
// translates between go-smtp and package mail and holds no rule of its own,
// except the guards around the library that conn.go describes.
package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"vanthu/mail"
)

// Limits that a Config leaves zero.
const (
	defaultConns      = 2000
	defaultPerAddress = 50
	maxLine           = 256 << 10 // bytes of one line of a message; RFC 5322 §2.1.1 allows 998, the world sends more
)

// Config of a server. Store is required.
type Config struct {
	Store *mail.Store
	// Hostname is the name in the greeting; the store's when empty.
	Hostname string
	// TLS offers STARTTLS and serves ServeSubmissionTLS; nil means no TLS.
	TLS *tls.Config
	// MaxMessage is the largest message in bytes; the store's when zero or larger.
	MaxMessage int64
	Logger     *slog.Logger
	// Insecure allows logins without TLS from loopback addresses.
	Insecure bool
	// Conns and PerAddress bound the connections in all and from one address.
	Conns, PerAddress int
}

// Server serves SMTP on any number of listeners.
type Server struct {
	cfg    Config
	gate   *mail.Gate
	log    *slog.Logger
	ctx    context.Context //nolint:containedctx // the sessions' lifetime: go-smtp gives none
	cancel context.CancelFunc
	work   sync.WaitGroup // what is being stored

	mu      sync.Mutex
	servers []*smtp.Server
	closed  bool
}

// New returns a server that does not listen yet.
func New(cfg Config) (*Server, error) {
	if cfg.Store == nil {
		return nil, errors.New("smtpd needs a mail store")
	}
	if cfg.Hostname == "" {
		cfg.Hostname = cfg.Store.Hostname()
	}
	if cfg.MaxMessage <= 0 || cfg.MaxMessage > cfg.Store.MaxMessage() {
		cfg.MaxMessage = cfg.Store.MaxMessage()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Conns <= 0 {
		cfg.Conns = defaultConns
	}
	if cfg.PerAddress <= 0 {
		cfg.PerAddress = defaultPerAddress
	}
	s := &Server{cfg: cfg, gate: mail.NewGate(cfg.Conns, cfg.PerAddress), log: cfg.Logger}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// ServeMX takes mail for local recipients, without login, until Close.
func (s *Server) ServeMX(l net.Listener) error { return s.serve(l, false, false) }

// ServeSubmission takes mail from accounts that logged in, until Close. TLS
// starts with STARTTLS and is needed to log in.
func (s *Server) ServeSubmission(l net.Listener) error { return s.serve(l, true, false) }

// ServeSubmissionTLS is ServeSubmission over TLS from the first byte (RFC 8314).
func (s *Server) ServeSubmissionTLS(l net.Listener) error {
	if s.cfg.TLS == nil {
		return errors.New("smtpd: no certificate configured for submission over TLS")
	}
	return s.serve(l, true, true)
}

func (s *Server) serve(l net.Listener, submission, implicitTLS bool) error {
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return s.newSession(c, submission)
	}))
	srv.Domain = s.cfg.Hostname
	srv.MaxMessageBytes = s.cfg.MaxMessage
	srv.MaxRecipients = mail.MaxRecipients
	srv.MaxLineLength = maxLine
	srv.EnableSMTPUTF8 = true
	srv.AllowInsecureAuth = true // the session decides: our conn speaks TLS below go-smtp
	srv.ErrorLog = logAdapter{s.log}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(net.ErrClosed, l.Close())
	}
	s.servers = append(s.servers, srv)
	s.mu.Unlock()
	err := srv.Serve(&listener{Listener: l, server: s, implicitTLS: implicitTLS})
	if err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serving SMTP: %w", err)
	}
	return nil
}

// Close ends all sessions and waits until nothing is being stored any more.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	servers := s.servers
	s.servers = nil
	s.mu.Unlock()
	var err error
	for _, srv := range servers {
		if cerr := srv.Close(); !errors.Is(cerr, smtp.ErrServerClosed) && !errors.Is(cerr, net.ErrClosed) {
			err = errors.Join(err, cerr)
		}
	}
	s.work.Wait()
	s.cancel()
	return err
}

// begin counts work that Close waits for. It reports false once closed.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// listener admits connections through the gate and wraps them.
type listener struct {
	net.Listener
	server      *Server
	implicitTLS bool
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		leave, ok := l.server.gate.Enter(c.RemoteAddr())
		if ok {
			return newConn(c, l.server.cfg.TLS, l.server.cfg.Store.Domain(), l.implicitTLS, leave), nil
		}
		l.server.log.LogAttrs(l.server.ctx, slog.LevelWarn, "smtp connection refused: too many", slog.String("from", mail.HostOf(c.RemoteAddr())))
		refuse(c, l.implicitTLS)
	}
}

// refuse tells a client that there are too many connections; it must not hold
// up Accept, so the few bytes go to the socket's buffer or nowhere.
func refuse(c net.Conn, implicitTLS bool) {
	if !implicitTLS {
		_ = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		_, _ = c.Write([]byte("421 4.7.0 Too many connections, try again later\r\n"))
	}
	_ = c.Close()
}

// logAdapter takes go-smtp's messages.
type logAdapter struct{ log *slog.Logger }

// Printf implements smtp.Logger.
func (a logAdapter) Printf(format string, v ...any) {
	a.log.LogAttrs(context.Background(), slog.LevelInfo, "smtp", slog.String("note", fmt.Sprintf(format, v...)))
}

// Println implements smtp.Logger.
func (a logAdapter) Println(v ...any) {
	a.log.LogAttrs(context.Background(), slog.LevelInfo, "smtp", slog.String("note", fmt.Sprint(v...)))
}
