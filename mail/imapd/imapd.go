// Package imapd shows mailboxes over IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC
// 3501). It translates between go-imap's server and package mail and holds no
// rule of its own, except the guards around the library that conn.go describes.
//
// A session keeps of a selected mailbox the UIDs in the order of their sequence
// numbers and the MODSEQ up to which the client was told; everything else is
// read when it is asked for. What others change is found by MODSEQ, so that it
// does not matter who changed it or where.
package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"vanthu/mail"
)

// Limits that a Config leaves zero.
const (
	defaultConns      = 20_000
	defaultPerAddress = 500
	defaultPerAccount = 100
)

// Config of a server. Store is required.
type Config struct {
	Store *mail.Store
	// TLS offers STARTTLS and serves ServeTLS; nil means no TLS.
	TLS    *tls.Config
	Logger *slog.Logger
	// Insecure allows logins without TLS from loopback addresses.
	Insecure bool
	// Conns, PerAddress and PerAccount bound the connections in all, from one
	// address and of one account.
	Conns, PerAddress, PerAccount int
}

// Server serves IMAP on any number of listeners.
type Server struct {
	cfg      Config
	lib      *imapserver.Server
	gate     *mail.Gate
	log      *slog.Logger
	ctx      context.Context //nolint:containedctx // the sessions' lifetime: go-imap gives none
	cancel   context.CancelFunc
	sessions sync.WaitGroup

	mu     sync.Mutex
	per    map[mail.AccountID]int
	closed bool
}

// New returns a server that does not listen yet.
func New(cfg Config) (*Server, error) {
	if cfg.Store == nil {
		return nil, errors.New("imapd needs a mail store")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	for limit, def := range map[*int]int{&cfg.Conns: defaultConns, &cfg.PerAddress: defaultPerAddress, &cfg.PerAccount: defaultPerAccount} {
		if *limit <= 0 {
			*limit = def
		}
	}
	s := &Server{cfg: cfg, gate: mail.NewGate(cfg.Conns, cfg.PerAddress), log: cfg.Logger, per: make(map[mail.AccountID]int)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.lib = imapserver.New(&imapserver.Options{
		NewSession:   s.newSession,
		Caps:         capabilities(),
		Logger:       logAdapter{s.log},
		InsecureAuth: true, // our conn decides: it speaks TLS below go-imap
	})
	return s, nil
}

// capabilities are what the library carries and the session backs; conn adds ID and STARTTLS.
func capabilities() imap.CapSet {
	set := make(imap.CapSet)
	for _, c := range []imap.Cap{
		imap.CapIMAP4rev1, imap.CapIMAP4rev2, imap.CapNamespace, imap.CapUIDPlus, imap.CapESearch, imap.CapSearchRes,
		imap.CapListExtended, imap.CapListStatus, imap.CapMove, imap.CapStatusSize, imap.CapBinary, imap.CapChildren,
		imap.CapSpecialUse, imap.CapCreateSpecialUse, imap.CapLiteralPlus, imap.CapUnauthenticate, imap.CapAppendLimit,
	} {
		set[c] = struct{}{}
	}
	return set
}

// Serve serves IMAP until Close. TLS starts with STARTTLS and is needed to log in.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, false) }

// ServeTLS serves IMAP over TLS from the first byte (RFC 8314).
func (s *Server) ServeTLS(l net.Listener) error {
	if s.cfg.TLS == nil {
		return errors.New("imapd: no certificate configured for IMAP over TLS")
	}
	return s.serve(l, true)
}

func (s *Server) serve(l net.Listener, implicitTLS bool) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return errors.Join(net.ErrClosed, l.Close())
	}
	err := s.lib.Serve(&listener{Listener: l, server: s, implicitTLS: implicitTLS})
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serving IMAP: %w", err)
	}
	return nil
}

// Close ends all sessions and waits for them.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	err := s.lib.Close()
	s.sessions.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// enter counts an account's session in; false when it has too many.
func (s *Server) enter(id mail.AccountID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.per[id] >= s.cfg.PerAccount {
		return false
	}
	s.per[id]++
	return true
}

func (s *Server) leave(id mail.AccountID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.per[id]--; s.per[id] <= 0 {
		delete(s.per, id)
	}
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
		if leave, ok := l.server.gate.Enter(c.RemoteAddr()); ok {
			return newConn(c, &l.server.cfg, l.implicitTLS, leave), nil
		}
		l.server.log.LogAttrs(l.server.ctx, slog.LevelWarn, "imap connection refused: too many", slog.String("from", mail.HostOf(c.RemoteAddr())))
		if !l.implicitTLS { // it must not hold up Accept: into the socket's buffer or nowhere
			_ = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			_, _ = c.Write([]byte("* BYE Too many connections, try again later\r\n"))
		}
		_ = c.Close()
	}
}

// logAdapter takes go-imap's messages: mostly clients that hung up.
type logAdapter struct{ log *slog.Logger }

// Printf implements imapserver.Logger.
func (a logAdapter) Printf(format string, v ...any) {
	a.log.LogAttrs(context.Background(), slog.LevelDebug, "imap", slog.String("note", fmt.Sprintf(format, v...)))
}
