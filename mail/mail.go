package mail

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// Limits of a store whose Config leaves them zero.
const (
	// DefaultMaxMessage is the largest message in bytes, headers included.
	DefaultMaxMessage = 50 << 20
	// DefaultQuota is what one account may hold, in bytes.
	DefaultQuota = 5 << 30
	// MaxRecipients is the number of recipients of one message (RFC 5321 §4.5.3.1.8 asks for 100 or more).
	MaxRecipients = 1000
)

// Errors that callers tell apart. smtpd and imapd have one table each that maps
// them to reply codes.
var (
	// ErrNotFound: there is no such account, mailbox or message.
	ErrNotFound = errors.New("not found")
	// ErrExists: the account, address or mailbox is there already.
	ErrExists = errors.New("already exists")
	// ErrNoRecipient: no account has that address.
	ErrNoRecipient = errors.New("no account has this address")
	// ErrNotLocal: the address is outside our domains and cannot be served here.
	ErrNotLocal = errors.New("address is not in a domain of this server")
	// ErrNoRoute: the recipient is outside and no smarthost is configured.
	ErrNoRoute = errors.New("recipient is outside this server and no smarthost is configured")
	// ErrCredentials: the login or the password is wrong. Which of the two is not said.
	ErrCredentials = errors.New("login or password is wrong")
	// ErrThrottled: too many failed logins; try again later.
	ErrThrottled = errors.New("too many failed logins, try again later")
	// ErrDisabled: the account is switched off.
	ErrDisabled = errors.New("account is disabled")
	// ErrQuota: the account has no room left.
	ErrQuota = errors.New("account is over its quota")
	// ErrTooLarge: the message is larger than the server takes.
	ErrTooLarge = errors.New("message is larger than the limit")
	// ErrFull: the disk or the store is full; nothing was kept.
	ErrFull = errors.New("storage is full")
	// ErrInvalid: what was given breaks a rule; the text says which.
	ErrInvalid = errors.New("not valid")
	// ErrSpoofed: a sender in our domains, from a client that did not log in.
	ErrSpoofed = errors.New("sender is in a domain of this server and did not log in")
	// ErrForbidden: the account may not do that.
	ErrForbidden = errors.New("not allowed")
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Config is what a Store needs. DB, Blobs and Domains are required.
type Config struct {
	DB    *sqldb.DB
	Blobs blob.Backend
	// Jobs carries outbound mail; without it no remote recipient is taken.
	Jobs *jobs.Queue
	// Domains are ours: mail to them is delivered here, never sent on.
	Domains []string
	// Hostname names this server in Received, Message-ID and bounces; the first domain when empty.
	Hostname string
	// Postmaster is the account that gets the mail to postmaster@ (RFC 5321
	// §4.5.1) of those of our domains that have no account or alias of that
	// name. Optional; it must be in our domains. The account may be made later:
	// until then that mail is refused.
	Postmaster Address
	// Relay says that outbound can send to other domains (a smarthost is configured).
	Relay bool
	// MaxMessage is the largest message in bytes; zero means DefaultMaxMessage.
	MaxMessage int64
	// Quota is what a new account may hold in bytes when it does not say; zero means DefaultQuota.
	Quota int64
	// PasswordCost scales the password hash; zero means the recommended cost.
	PasswordCost PasswordCost
	Now          func() time.Time
	Logger       *slog.Logger
}

// Store keeps accounts, mailboxes, messages and the outbound queue. It is safe
// for concurrent use.
type Store struct {
	db         *sqldb.DB
	blobs      blob.Backend
	jobs       *jobs.Queue
	domains    map[string]bool
	domain     string
	hostname   string
	postmaster Address
	relay      bool
	maxMessage int64
	quota      int64
	now        func() time.Time
	log        *slog.Logger
	hasher     *hasher
	throttle   *throttle
	hub        *hub
	parsed     *cache[*Content]
	bodies     *cache[[]byte]
	loading    *semaphore.Weighted
}

// New brings the mail tables up to date and returns the store.
func New(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.DB == nil || cfg.Blobs == nil {
		return nil, errors.New("mail needs a database and a blob store")
	}
	if len(cfg.Domains) == 0 {
		return nil, errors.New("mail needs at least one domain")
	}
	s := &Store{
		db: cfg.DB, blobs: cfg.Blobs, jobs: cfg.Jobs, domains: make(map[string]bool, len(cfg.Domains)),
		hostname: cfg.Hostname, relay: cfg.Relay && cfg.Jobs != nil, maxMessage: cfg.MaxMessage, quota: cfg.Quota,
		now: cfg.Now, log: cfg.Logger, hub: newHub(), parsed: newCache[*Content](parsedCacheBytes), bodies: newCache[[]byte](bodyCacheBytes), loading: semaphore.NewWeighted(2 * bodyCacheBytes),
	}
	for _, d := range cfg.Domains {
		n, err := normalDomain(d)
		if err != nil {
			return nil, fmt.Errorf("mail domain: %w", err)
		}
		s.domains[n] = true
		if s.domain == "" {
			s.domain = n
		}
		if s.hostname == "" {
			s.hostname = n
		}
	}
	if cfg.Postmaster != "" {
		addr, err := ParseAddress(string(cfg.Postmaster))
		if err == nil && !s.IsLocal(addr) {
			err = fmt.Errorf("%w: %s", ErrNotLocal, addr)
		}
		if err != nil {
			return nil, fmt.Errorf("mail postmaster: %w", err)
		}
		s.postmaster = addr
	}
	if s.maxMessage <= 0 {
		s.maxMessage = DefaultMaxMessage
	}
	if s.quota <= 0 {
		s.quota = DefaultQuota
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.hasher = newHasher(cfg.PasswordCost)
	s.throttle = newThrottle(s.now)
	schema, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		return nil, fmt.Errorf("opening the mail schema: %w", err)
	}
	if err := s.db.Migrate(ctx, "mail", schema); err != nil {
		return nil, fmt.Errorf("bringing the mail tables up to date: %w", err)
	}
	return s, nil
}

// Domain is the first of our domains.
func (s *Store) Domain() string { return s.domain }

// Hostname is the name this server gives itself.
func (s *Store) Hostname() string { return s.hostname }

// MaxMessage is the largest message taken, in bytes.
func (s *Store) MaxMessage() int64 { return s.maxMessage }

// IsLocal reports whether mail to this address is delivered here.
func (s *Store) IsLocal(a Address) bool { return s.domains[a.Domain()] }

// sanitizeLine makes s fit for one header line: no control characters, bounded.
func sanitizeLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
