package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"vanthu/mail"
)

// Limits of one session.
const (
	maxFailedLogins = 3
	failureDelay    = time.Second
	storeTimeout    = 10 * time.Minute // for one message, from its first byte to its commit
	lookupTimeout   = time.Minute
)

// session is one SMTP session. go-smtp runs Data of a BDAT message in a
// goroutine of its own, so the transaction is guarded by mu.
type session struct {
	server     *Server
	smtp       *smtp.Conn
	conn       *conn
	submission bool
	from       string // the client's address
	failed     int

	mu      sync.Mutex
	account *mail.Account
	env     mail.Envelope
	size    int64
}

func (s *Server) newSession(c *smtp.Conn, submission bool) (smtp.Session, error) {
	w, ok := c.Conn().(*conn)
	if !ok {
		return nil, errTempFailure // cannot happen: the listener makes no other
	}
	return &session{server: s, smtp: c, conn: w, submission: submission, from: mail.HostOf(w.RemoteAddr())}, nil
}

// Reset implements smtp.Session.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.env, s.size = mail.Envelope{}, 0
}

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// explain turns an error into a reply and logs what is not the client's fault.
func (s *session) explain(ctx context.Context, doing string, err error) error {
	r, internal := answer(err)
	level := slog.LevelInfo
	if internal {
		level = slog.LevelError
	}
	s.server.log.LogAttrs(ctx, level, "smtp refused", slog.String("doing", doing), slog.String("from", s.from),
		slog.Int("code", r.Code), slog.String("err", err.Error()))
	if s.server.ctx.Err() != nil {
		s.conn.doom()
	}
	return r
}

// mayLogin reports whether a password may travel on this connection.
func (s *session) mayLogin() bool {
	return s.submission && (s.conn.secure.Load() || (s.server.cfg.Insecure && mail.IsLoopback(s.from)))
}

// AuthMechanisms implements smtp.AuthSession; EHLO lists them.
func (s *session) AuthMechanisms() []string {
	if !s.mayLogin() {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(mech string) (sasl.Server, error) {
	switch {
	case !s.submission:
		return nil, smtp.ErrAuthUnsupported
	case !s.mayLogin():
		return nil, errTLSRequired
	case s.loggedIn() != nil:
		return nil, errAlreadyAuthed
	case mech == sasl.Plain:
		return sasl.NewPlainServer(func(identity, username, password string) error {
			if identity != "" && !strings.EqualFold(identity, username) {
				return reply(535, 5, 7, 8, "Acting for another identity is not offered")
			}
			return s.login(username, password)
		}), nil
	case mech == sasl.Login:
		return &loginServer{login: s.login}, nil
	default:
		return nil, errMechanism
	}
}

func (s *session) loggedIn() *mail.Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.account
}

// login checks a password; failures cost time, and a few end the connection.
func (s *session) login(username, password string) error {
	ctx, cancel := context.WithTimeout(s.server.ctx, lookupTimeout)
	defer cancel()
	a, err := s.server.cfg.Store.Authenticate(ctx, username, password, s.from)
	if err == nil {
		s.mu.Lock()
		s.account = a
		s.mu.Unlock()
		return nil
	}
	s.failed++
	select {
	case <-time.After(failureDelay * time.Duration(s.failed)):
	case <-ctx.Done():
	}
	if s.failed >= maxFailedLogins {
		s.conn.doom()
		return errTooManyFails
	}
	if errors.Is(err, mail.ErrDisabled) {
		return reply(535, 5, 7, 8, "Account is disabled")
	}
	return s.explain(ctx, "login", err)
}

// loginServer is the server side of LOGIN, an old mechanism that Outlook still asks for.
type loginServer struct {
	login    func(username, password string) error
	username *string
	asked    bool
}

// Next implements sasl.Server.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case l.username == nil && response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case l.username == nil:
		name := string(response)
		l.username = &name
		return []byte("Password:"), false, nil
	default:
		return nil, true, l.login(*l.username, string(response))
	}
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	ctx, cancel := context.WithTimeout(s.server.ctx, lookupTimeout)
	defer cancel()
	if s.conn.doomed.Load() {
		return errClosing
	}
	account := s.loggedIn()
	if s.submission && account == nil {
		return errAuthRequired
	}
	var sender mail.Address
	if from != "" {
		addr, err := mail.ParseAddress(from)
		if err != nil {
			return errBadSender
		}
		sender = addr
	}
	if s.submission {
		ok, err := s.server.cfg.Store.SenderAllowed(ctx, account, sender)
		if err == nil && !ok {
			err = mail.ErrForbidden
		}
		if err != nil {
			return s.explain(ctx, "MAIL", err)
		}
	}
	if !s.submission {
		if err := s.server.cfg.Store.CheckOutsider(sender); err != nil {
			return s.explain(ctx, "MAIL", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.env = mail.Envelope{From: sender, UTF8: opts.UTF8}
	s.size = opts.Size
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	ctx, cancel := context.WithTimeout(s.server.ctx, lookupTimeout)
	defer cancel()
	s.mu.Lock()
	size := s.size
	s.mu.Unlock()
	addr := mail.Address(to)
	if err := s.server.cfg.Store.CheckRecipient(ctx, addr, size, s.submission); err != nil {
		return s.explain(ctx, "RCPT", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.env.To = append(s.env.To, addr)
	return nil
}

// Data implements smtp.Session: when it returns nil the message is durable.
func (s *session) Data(r io.Reader) error {
	if !s.server.begin() {
		s.conn.doom()
		return errClosing
	}
	defer s.server.work.Done()
	ctx, cancel := context.WithTimeout(s.server.ctx, storeTimeout)
	defer cancel()
	s.mu.Lock()
	env, account := s.env, s.account
	s.mu.Unlock()
	env.Trace = s.trace(&env, time.Now())
	body := &lineGuard{r: mail.NewLineReader(r), conn: s.conn}
	var err error
	if s.submission {
		if account == nil {
			return errAuthRequired
		}
		err = s.server.cfg.Store.Submit(ctx, account, env, body)
	} else {
		_, err = s.server.cfg.Store.Receive(ctx, env, body)
	}
	if err != nil {
		s.drain(r)
		return s.explain(ctx, "DATA", err)
	}
	return nil
}

// drain reads on to the end of a refused message, so that the client hears the
// answer, but not for ever. A client that smuggles or floods is let go after it.
func (s *session) drain(r io.Reader) {
	limit := maxSkipped * s.server.cfg.MaxMessage
	n, err := io.CopyN(io.Discard, r, limit)
	if s.conn.dirty.Load() || (err == nil && n == limit) {
		s.conn.doom()
	}
}

// trace writes the Received field (RFC 5321 §4.4) of a message.
func (s *session) trace(env *mail.Envelope, now time.Time) string {
	with := "ESMTP"
	if env.UTF8 {
		with = "UTF8SMTP" // RFC 6531 §4.3
	}
	if s.conn.secure.Load() {
		with += "S"
	}
	if s.submission {
		with += "A"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Received: from %s (%s)\r\n\tby %s with %s", field(s.smtp.Hostname()), literal(s.from), s.server.cfg.Hostname, with)
	if st := s.conn.tlsState(); st != nil {
		fmt.Fprintf(&b, "\r\n\t(%s)", tlsName(st))
	}
	if len(env.To) == 1 {
		fmt.Fprintf(&b, "\r\n\tfor <%s>", field(string(env.To[0])))
	}
	fmt.Fprintf(&b, ";\r\n\t%s\r\n", now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	return b.String()
}

// lineGuard fails also when the connection has seen a bare CR, bare LF or NUL
// that go-smtp took out of the message.
type lineGuard struct {
	r    *mail.LineReader
	conn *conn
}

// Read implements io.Reader.
func (g *lineGuard) Read(b []byte) (int, error) {
	n, err := g.r.Read(b)
	if errors.Is(err, mail.ErrBareLine) {
		g.conn.dirty.Store(true)
	}
	if g.conn.dirty.Load() {
		return 0, mail.ErrBareLine
	}
	return n, err
}
