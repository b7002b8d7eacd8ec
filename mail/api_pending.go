package mail

import (
	"context"
	"errors"
	"io"
)

type PasswordCost struct{ MemoryKiB, Passes uint32 }
type hasher struct{}
type throttle struct{}
type hub struct{}
type contentCache struct{}

const cacheBytes = 1

func newHub() *hub                      { return nil }
func newContentCache(int) *contentCache { return nil }
func newHasher(PasswordCost) *hasher    { return nil }
func newThrottle(any) *throttle         { return nil }

func (s *Store) AddAccount(ctx context.Context, a Account, password string) (*Account, error) {
	return nil, errors.ErrUnsupported
}
func (s *Store) Account(ctx context.Context, address Address) (*Account, error) {
	return nil, errors.ErrUnsupported
}
func (s *Store) Accounts(ctx context.Context) ([]Account, error) { return nil, errors.ErrUnsupported }
func (s *Store) ImportAccounts(ctx context.Context, r io.Reader) (*ImportResult, error) {
	return nil, errors.ErrUnsupported
}
func (s *Store) SetPassword(ctx context.Context, id AccountID, password string) error {
	return errors.ErrUnsupported
}
func (s *Store) SetDisabled(ctx context.Context, id AccountID, disabled bool) error {
	return errors.ErrUnsupported
}
func (s *Store) SetQuota(ctx context.Context, id AccountID, bytes int64) error {
	return errors.ErrUnsupported
}

// Authenticate checks login (the address) and password; from is the client's address without port.
func (s *Store) Authenticate(ctx context.Context, login, password, from string) (*Account, error) {
	return nil, errors.ErrUnsupported
}
func (s *Store) Mailboxes(ctx context.Context, id AccountID) ([]Mailbox, error) {
	return nil, errors.ErrUnsupported
}
func (s *Store) Mailbox(ctx context.Context, id AccountID, name string) (*Mailbox, error) {
	return nil, errors.ErrUnsupported
}
func (s *Store) Status(ctx context.Context, id MailboxID) (*MailboxStatus, error) {
	return nil, errors.ErrUnsupported
}

// List returns messages newest first, those with a UID below before (0 = from the newest).
func (s *Store) List(ctx context.Context, id MailboxID, before UID, limit int) ([]Message, error) {
	return nil, errors.ErrUnsupported
}

// Open returns the message as it is shown: its own header lines, then the blob.
func (s *Store) Open(ctx context.Context, m *Message) (io.ReadCloser, error) {
	return nil, errors.ErrUnsupported
}

// Deliver stores the message in the INBOX of every recipient; durable when nil is returned.
func (s *Store) Deliver(ctx context.Context, env Envelope, r io.Reader) ([]Delivered, error) {
	return nil, errors.ErrUnsupported
}

// Submit delivers to local recipients and queues the others, in one transaction.
func (s *Store) Submit(ctx context.Context, from *Account, env Envelope, r io.Reader) error {
	return errors.ErrUnsupported
}

// Watch returns a channel that gets a token after each commit that changed the mailbox.
func (s *Store) Watch(id MailboxID) (ch <-chan struct{}, stop func()) { return nil, nil }

// Check rereads everything and yields what is wrong.
func (s *Store) Check(ctx context.Context, yield func(problem string)) error {
	return errors.ErrUnsupported
}
