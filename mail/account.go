package mail

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"

	"vanthu/storage/sqldb"
)

// AccountID names an account (UUIDv7).
type AccountID string

// AccountKind says whose mailbox it is.
type AccountKind string

// The kinds of account.
const (
	// KindPerson is an official's own account (hộp thư cá nhân).
	KindPerson AccountKind = "person"
	// KindPosition belongs to a post, whoever holds it (hộp thư chức danh).
	KindPosition AccountKind = "position"
	// KindOrganisation is an agency's official account (hộp thư cơ quan).
	KindOrganisation AccountKind = "organisation"
)

// Account is a mail account (tài khoản thư). Quota and Used are bytes.
type Account struct {
	ID       AccountID
	Address  Address
	Name     string
	Kind     AccountKind
	Quota    int64
	Used     int64
	Disabled bool
	Created  time.Time
}

// ImportResult says what an import did; Problems names the lines left out and why.
type ImportResult struct {
	Added, Skipped int
	Problems       []string
}

// maxName bounds display names, in bytes.
const maxName = 300

// newID makes an identifier that sorts by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// normalise checks an account and brings it into the form that is stored.
func (s *Store) normalise(a *Account) error {
	addr, err := ParseAddress(string(a.Address))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !s.IsLocal(addr) {
		return fmt.Errorf("%w: %s", ErrNotLocal, addr)
	}
	if strings.Contains(addr.Local(), "+") {
		return fmt.Errorf("%w: address %s has a +, which marks sub-addresses", ErrInvalid, addr)
	}
	a.Address = addr
	a.Name = norm.NFC.String(sanitizeLine(strings.TrimSpace(strings.ToValidUTF8(a.Name, "")), maxName))
	if a.Name == "" {
		a.Name = addr.Local()
	}
	if a.Kind == "" {
		a.Kind = KindPerson
	}
	if !slices.Contains([]AccountKind{KindPerson, KindPosition, KindOrganisation}, a.Kind) {
		return fmt.Errorf("%w: account kind %q", ErrInvalid, a.Kind)
	}
	if a.Quota < 0 {
		return fmt.Errorf("%w: quota below zero", ErrInvalid)
	}
	if a.Quota == 0 {
		a.Quota = s.quota
	}
	return nil
}

// AddAccount makes an account with its INBOX, Sent, Drafts, Trash, Junk and
// Archive. A zero Quota takes the store's, an empty Kind is KindPerson. Errors:
// ErrInvalid, ErrNotLocal, ErrExists.
func (s *Store) AddAccount(ctx context.Context, a Account, password string) (*Account, error) {
	if err := s.normalise(&a); err != nil {
		return nil, fmt.Errorf("adding account %s: %w", a.Address, err)
	}
	if err := checkPassword(password); err != nil {
		return nil, fmt.Errorf("adding account %s: %w", a.Address, err)
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return nil, fmt.Errorf("adding account %s: %w", a.Address, err)
	}
	a.ID, a.Used, a.Created = AccountID(newID()), 0, s.now()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := resolveAddress(ctx, tx, a.Address); !errors.Is(err, ErrNotFound) {
			return errors.Join(err, ErrExists)
		}
		if err := insertAccount(ctx, tx, &a, hash); err != nil {
			return err
		}
		return s.makeFirstMailboxes(ctx, tx, a.ID)
	})
	if sqldb.IsConflict(err) {
		err = ErrExists
	}
	if err != nil {
		return nil, fmt.Errorf("adding account %s: %w", a.Address, err)
	}
	return &a, nil
}

// firstMailboxes are made with every account (RFC 6154 roles).
var firstMailboxes = [...]struct {
	name string
	use  SpecialUse
}{{Inbox, UseNone}, {"Sent", UseSent}, {"Drafts", UseDrafts}, {"Trash", UseTrash}, {"Junk", UseJunk}, {"Archive", UseArchive}}

func (s *Store) makeFirstMailboxes(ctx context.Context, tx *sqldb.Tx, id AccountID) error {
	for _, m := range firstMailboxes {
		if _, err := s.insertMailbox(ctx, tx, id, m.name, m.use); err != nil {
			return err
		}
		if err := subscribe(ctx, tx, id, m.name); err != nil {
			return err
		}
	}
	return nil
}

// Account returns the account whose own address or alias this is; a
// sub-address (name+tag@domain) leads to name@domain. ErrNotFound when none does.
func (s *Store) Account(ctx context.Context, address Address) (*Account, error) {
	addr, err := ParseAddress(string(address))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	var a *Account
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		id, err := resolveAddress(ctx, tx, addr)
		if err != nil {
			return err
		}
		a, err = accountByID(ctx, tx, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("account %s: %w", addr, err)
	}
	return a, nil
}

// AccountByID returns an account, or ErrNotFound.
func (s *Store) AccountByID(ctx context.Context, id AccountID) (*Account, error) {
	var a *Account
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		a, err = accountByID(ctx, tx, id)
		return err
	})
	return a, err
}

// Accounts lists every account in the order of its address.
func (s *Store) Accounts(ctx context.Context) ([]Account, error) {
	var all []Account
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		all, err = listAccounts(ctx, tx)
		return err
	})
	return all, err
}

// SetPassword changes an account's password.
func (s *Store) SetPassword(ctx context.Context, id AccountID, password string) error {
	if err := checkPassword(password); err != nil {
		return fmt.Errorf("setting a password: %w", err)
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return fmt.Errorf("setting a password: %w", err)
	}
	return s.changeAccount(ctx, "password", setHash, id, hash)
}

// SetDisabled switches an account off or on: a disabled one cannot log in and
// its mail is refused; what it holds stays.
func (s *Store) SetDisabled(ctx context.Context, id AccountID, disabled bool) error {
	return s.changeAccount(ctx, "state", setDisabled, id, smallint(disabled))
}

// SetQuota changes what an account may hold, in bytes.
func (s *Store) SetQuota(ctx context.Context, id AccountID, bytes int64) error {
	if bytes <= 0 {
		return fmt.Errorf("setting a quota: %w: quota of %d bytes", ErrInvalid, bytes)
	}
	return s.changeAccount(ctx, "quota", setQuota, id, bytes)
}

func (s *Store) changeAccount(ctx context.Context, what, query string, id AccountID, value any) error {
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return setAccount(ctx, tx, query, id, value)
	})
	if err != nil {
		return fmt.Errorf("changing the %s of account %s: %w", what, id, err)
	}
	return nil
}

// Authenticate checks a login (an account's address) and its password; from is
// the client's address without port. Failures are counted per login and per
// place. Errors: ErrCredentials, ErrThrottled, ErrDisabled (only when the
// password was right).
func (s *Store) Authenticate(ctx context.Context, login, password, from string) (*Account, error) {
	key := s.loginAddress(login)
	if !s.throttle.allowed(string(key), from) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "mail login throttled", slog.String("login", string(key)), slog.String("from", from))
		return nil, ErrThrottled
	}
	var a *Account
	var hash string
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		a, hash, err = accountForLogin(ctx, tx, key)
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("looking up a login: %w", err)
	}
	if len(password) > maxPassword {
		password = ""
	}
	ok, err := s.hasher.verify(ctx, hash, password)
	if err != nil {
		return nil, fmt.Errorf("checking a password: %w", err)
	}
	if !ok {
		s.throttle.failed(string(key), from)
		s.log.LogAttrs(ctx, slog.LevelInfo, "mail login failed", slog.String("login", string(key)), slog.String("from", from))
		return nil, ErrCredentials
	}
	s.throttle.succeeded(string(key), from)
	if a.Disabled {
		return nil, ErrDisabled
	}
	return a, nil
}

// loginAddress is the address that a login means. A bare name stands for the
// address in our domain when there is but one.
func (s *Store) loginAddress(login string) Address {
	if !strings.Contains(login, "@") && len(s.domains) == 1 {
		for d := range s.domains {
			login += "@" + d
		}
	}
	addr, err := ParseAddress(login)
	if err != nil {
		return Address(sanitizeLine(login, maxAddress))
	}
	return addr
}

// SenderAllowed reports whether an account may send as the address: it must
// be one of its own, in our domains. The null reverse-path is for servers only.
func (s *Store) SenderAllowed(ctx context.Context, a *Account, sender Address) (bool, error) {
	addr, err := ParseAddress(string(sender))
	if err != nil {
		return false, nil //nolint:nilerr // an unreadable address is nobody's
	}
	owner, err := s.Account(ctx, addr)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return owner.ID == a.ID, nil
}

// ImportAccounts adds accounts from CSV with a header line that names the
// columns address, password and, optionally, name, kind and quota (bytes).
// Accounts that are there already are skipped. A bad line is reported and left
// out; the others are added.
func (s *Store) ImportAccounts(ctx context.Context, r io.Reader) (*ImportResult, error) {
	rd := csv.NewReader(r)
	rd.FieldsPerRecord = -1
	rd.TrimLeadingSpace = true
	head, err := rd.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the header line of the accounts: %w", err)
	}
	columns := make(map[string]int, len(head))
	for i, name := range head {
		columns[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))] = i
	}
	if _, ok := columns["address"]; !ok {
		return nil, fmt.Errorf("%w: the header line has no column address", ErrInvalid)
	}
	res := &ImportResult{}
	for {
		row, err := rd.Read()
		if errors.Is(err, io.EOF) {
			return res, nil
		}
		if err != nil {
			return res, fmt.Errorf("reading accounts: %w", err)
		}
		line, _ := rd.FieldPos(0)
		if err := s.importRow(ctx, columns, row, res); err != nil {
			if ctx.Err() != nil || errors.Is(err, sqldb.ErrFull) {
				return res, err
			}
			res.Problems = append(res.Problems, fmt.Sprintf("line %d: %v", line, err))
		}
	}
}

func (s *Store) importRow(ctx context.Context, columns map[string]int, row []string, res *ImportResult) error {
	field := func(name string) string {
		if i, ok := columns[name]; ok && i < len(row) {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	a := Account{Address: Address(field("address")), Name: field("name"), Kind: AccountKind(field("kind"))}
	if q := field("quota"); q != "" {
		n, err := strconv.ParseInt(q, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: quota %q", ErrInvalid, q)
		}
		a.Quota = n
	}
	if _, err := s.Account(ctx, a.Address); err == nil {
		res.Skipped++
		return nil
	}
	if _, err := s.AddAccount(ctx, a, field("password")); err != nil {
		return err
	}
	res.Added++
	return nil
}
