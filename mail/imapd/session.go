package imapd

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"vanthu/mail"
)

// Limits of one session.
const (
	maxFailedLogins = 3
	failureDelay    = time.Second
	idlePoll        = time.Minute // a net under the wake-ups
)

// session is one IMAP session. go-imap calls it from one goroutine, except
// Idle, which runs beside the reading of DONE and may still run when Close is
// called: Close waits for it.
type session struct {
	server *Server
	imap   *imapserver.Conn
	conn   *conn
	from   string          // the client's address
	ctx    context.Context //nolint:containedctx // go-imap's methods have none
	cancel context.CancelFunc
	idle   sync.Mutex // held by Idle as long as it runs, and by Close
	closed bool       // guarded by idle
	failed int

	account *mail.Account
	view    *view
	saved   []mail.UID // the last SEARCH RETURN (SAVE), RFC 5182
}

var (
	_ imapserver.SessionIMAP4rev2         = (*session)(nil)
	_ imapserver.SessionUnauthenticate    = (*session)(nil)
	_ imapserver.SessionAppendLimit       = (*session)(nil)
	_ func() (*imap.NamespaceData, error) = (*session)(nil).Namespace
)

func (s *Server) newSession(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	w, ok := c.NetConn().(*conn)
	if !ok {
		return nil, nil, errInternal // cannot happen: the listener makes no other
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, &imap.Error{Type: imap.StatusResponseTypeBye, Text: "The server is closing"}
	}
	s.sessions.Add(1)
	sess := &session{server: s, imap: c, conn: w, from: mail.HostOf(w.RemoteAddr())}
	sess.ctx, sess.cancel = context.WithCancel(s.ctx)
	return sess, nil, nil
}

// Close implements imapserver.Session.
func (s *session) Close() error {
	s.cancel()
	s.idle.Lock() // Idle may still run, or not have begun
	defer s.idle.Unlock()
	s.closed = true
	s.drop()
	s.server.sessions.Done()
	return nil
}

// drop ends what the login began.
func (s *session) drop() {
	s.unselect()
	if s.account != nil {
		s.server.leave(s.account.ID)
		s.account = nil
	}
}

// Login implements imapserver.Session. Failures cost time, and a few end the connection.
func (s *session) Login(username, password string) error {
	if !s.conn.mayLogin() {
		return errPrivacy
	}
	a, err := s.server.cfg.Store.Authenticate(s.ctx, username, password, s.from)
	if err != nil {
		s.failed++
		select {
		case <-time.After(failureDelay * time.Duration(s.failed)):
		case <-s.ctx.Done():
		}
		if s.failed >= maxFailedLogins {
			s.conn.doom()
		}
		return s.explain("login", err)
	}
	if !s.server.enter(a.ID) {
		return errTooMany
	}
	s.account = a
	s.conn.authed.Store(true)
	return nil
}

// Unauthenticate implements imapserver.SessionUnauthenticate (RFC 8437).
func (s *session) Unauthenticate() error {
	s.drop()
	s.conn.authed.Store(false)
	return nil
}

// AppendLimit implements imapserver.SessionAppendLimit (RFC 7889).
func (s *session) AppendLimit() uint32 {
	return uint32(min(s.server.cfg.Store.MaxMessage(), 1<<31))
}

// Namespace implements imapserver.SessionNamespace (RFC 2342).
func (s *session) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Prefix: "", Delim: mail.Delimiter}}}, nil
}

// rev2 reports whether the client enabled IMAP4rev2, which knows no \Recent.
func (s *session) rev2() bool { return s.imap.EnabledCaps().Has(imap.CapIMAP4rev2) }

// Create implements imapserver.Session.
func (s *session) Create(name string, options *imap.CreateOptions) error {
	use := mail.UseNone
	if options != nil && len(options.SpecialUse) > 0 {
		use = mail.SpecialUse(options.SpecialUse[0])
		known := []mail.SpecialUse{mail.UseArchive, mail.UseDrafts, mail.UseJunk, mail.UseSent, mail.UseTrash}
		if len(options.SpecialUse) > 1 || !slices.Contains(known, use) {
			return errUseAttr
		}
	}
	_, err := s.server.cfg.Store.CreateMailbox(s.ctx, s.account.ID, name, use)
	return s.explain("create", err)
}

// Delete implements imapserver.Session.
func (s *session) Delete(name string) error {
	return s.explain("delete", s.server.cfg.Store.DeleteMailbox(s.ctx, s.account.ID, name))
}

// Rename implements imapserver.Session.
func (s *session) Rename(name, newName string, _ *imap.RenameOptions) error {
	return s.explain("rename", s.server.cfg.Store.RenameMailbox(s.ctx, s.account.ID, name, newName))
}

// Subscribe implements imapserver.Session.
func (s *session) Subscribe(name string) error {
	return s.explain("subscribe", s.server.cfg.Store.Subscribe(s.ctx, s.account.ID, name, true))
}

// Unsubscribe implements imapserver.Session.
func (s *session) Unsubscribe(name string) error {
	return s.explain("unsubscribe", s.server.cfg.Store.Subscribe(s.ctx, s.account.ID, name, false))
}

// Status implements imapserver.Session.
func (s *session) Status(name string, options *imap.StatusOptions) (*imap.StatusData, error) {
	m, err := s.server.cfg.Store.Mailbox(s.ctx, s.account.ID, name)
	if err != nil {
		return nil, s.explain("status", err)
	}
	data, err := s.status(m, options)
	if err != nil {
		return nil, s.explain("status", err)
	}
	data.Mailbox = name
	return data, nil
}

func (s *session) status(m *mail.Mailbox, options *imap.StatusOptions) (*imap.StatusData, error) {
	limit := s.AppendLimit()
	data := &imap.StatusData{Mailbox: m.Name, UIDNext: imap.UID(m.UIDNext), UIDValidity: m.UIDValidity, AppendLimit: &limit}
	if options.NumMessages || options.NumUnseen || options.NumDeleted || options.NumRecent || options.Size || options.DeletedStorage {
		st, err := s.server.cfg.Store.Status(s.ctx, m.ID)
		if err != nil {
			return nil, err
		}
		data.NumMessages, data.NumUnseen, data.NumDeleted = &st.Messages, &st.Unseen, &st.Deleted
		data.NumRecent, data.Size, data.DeletedStorage = &st.Recent, &st.Size, &st.DeletedSize
	}
	return data, nil
}

// Append implements imapserver.Session.
func (s *session) Append(name string, r imap.LiteralReader, options *imap.AppendOptions) (*imap.AppendData, error) {
	m, err := s.server.cfg.Store.Mailbox(s.ctx, s.account.ID, name)
	if errors.Is(err, mail.ErrNotFound) {
		return nil, errTryCreate
	}
	if err != nil {
		return nil, s.explain("append", err)
	}
	flags, keywords, err := parseFlags(options.Flags)
	if err != nil {
		return nil, err
	}
	uid, validity, err := s.server.cfg.Store.Append(s.ctx, m.ID, mail.AppendInput{Flags: flags, Keywords: keywords, Received: options.Time}, r)
	if err != nil {
		return nil, s.explain("append", err)
	}
	return &imap.AppendData{UID: imap.UID(uid), UIDValidity: validity}, nil
}

// flagNames are the system flags as IMAP writes them.
var flagNames = []struct {
	flag mail.Flags
	name imap.Flag
}{
	{mail.FlagAnswered, imap.FlagAnswered}, {mail.FlagFlagged, imap.FlagFlagged}, {mail.FlagDeleted, imap.FlagDeleted},
	{mail.FlagSeen, imap.FlagSeen}, {mail.FlagDraft, imap.FlagDraft},
}

// flagRecent is the server's own flag of IMAP4rev1; clients cannot change it.
const flagRecent imap.Flag = `\Recent`

// parseFlags parts system flags from keywords.
func parseFlags(list []imap.Flag) (flags mail.Flags, keywords []string, err error) {
next:
	for _, f := range list {
		for _, known := range flagNames {
			if strings.EqualFold(string(f), string(known.name)) {
				flags |= known.flag
				continue next
			}
		}
		switch {
		case strings.EqualFold(string(f), string(flagRecent)):
		case strings.HasPrefix(string(f), `\`):
			return 0, nil, bad("There is no system flag " + string(f))
		default:
			keywords = append(keywords, string(f))
		}
	}
	return flags, keywords, nil
}

// formatFlags writes a message's flags.
func formatFlags(flags mail.Flags, keywords []string, recent bool) []imap.Flag {
	list := make([]imap.Flag, 0, len(keywords)+3)
	for _, known := range flagNames {
		if flags&known.flag != 0 {
			list = append(list, known.name)
		}
	}
	for _, w := range keywords {
		list = append(list, imap.Flag(w))
	}
	if recent {
		list = append(list, flagRecent)
	}
	return list
}
