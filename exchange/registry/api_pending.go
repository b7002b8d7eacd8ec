package registry

import (
	"context"
	"crypto/x509"
	"io"
	"time"

	"vanthu/storage/sqldb"
)

// Options of New.
type Options struct {
	Now func() time.Time // nil = time.Now
}

// Registry answers who is who.
type Registry struct {
	db  *sqldb.DB
	now func() time.Time
}

var errPending = NewError(KindUnavailable, "chưa sẵn sàng", "not ready")

// New migrates the tables and gives the registry.
func New(db *sqldb.DB, opts Options) (*Registry, error) { return &Registry{db: db, now: opts.Now}, nil }

// ParseAgencyID checks an identification code against both grammars.
func ParseAgencyID(s string) (AgencyID, error) { return AgencyID(s), nil }

// AddAgency registers an agency.
func (r *Registry) AddAgency(ctx context.Context, by Actor, a Agency) error { return errPending }

// UpdateAgency replaces what is known of an agency.
func (r *Registry) UpdateAgency(ctx context.Context, by Actor, a Agency) error { return errPending }

// Agency gives one agency by either of its codes.
func (r *Registry) Agency(ctx context.Context, id AgencyID) (*Agency, error) { return nil, errPending }

// Agencies lists agencies in code order.
func (r *Registry) Agencies(ctx context.Context, f Filter) ([]Agency, error) { return nil, errPending }

// ImportAgencies reads agencies as CSV.
func (r *Registry) ImportAgencies(ctx context.Context, by Actor, csv io.Reader) (ImportResult, error) {
	return ImportResult{}, errPending
}

// AddPerson registers a person; ID is made here. password "" = may not log in yet.
func (r *Registry) AddPerson(ctx context.Context, by Actor, p Person, password string) (*Person, error) {
	return nil, errPending
}

// UpdatePerson changes name, position, mail, roles and Disabled.
func (r *Registry) UpdatePerson(ctx context.Context, by Actor, p Person) error { return errPending }

// Person gives one person.
func (r *Registry) Person(ctx context.Context, id PersonID) (*Person, error) { return nil, errPending }

// PersonByLogin gives one person.
func (r *Registry) PersonByLogin(ctx context.Context, login string) (*Person, error) {
	return nil, errPending
}

// People lists the people of an agency.
func (r *Registry) People(ctx context.Context, a AgencyID) ([]Person, error) { return nil, errPending }

// SetPassword changes a password; the person itself or an administrator may.
func (r *Registry) SetPassword(ctx context.Context, by Actor, id PersonID, password string) error {
	return errPending
}

// Login checks a password and opens a session; from is the caller's address.
func (r *Registry) Login(ctx context.Context, login, password, from string) (token string, a Actor, err error) {
	return "", Actor{}, errPending
}

// Authenticate gives the actor of a session or API token.
func (r *Registry) Authenticate(ctx context.Context, token string) (Actor, error) {
	return Actor{}, errPending
}

// Logout ends a session.
func (r *Registry) Logout(ctx context.Context, token string) error { return errPending }

// CreateToken makes an API token of the actor; it is shown once.
func (r *Registry) CreateToken(ctx context.Context, by Actor, name string, ttl time.Duration) (string, error) {
	return "", errPending
}

// SetKey stores an owner's PKCS#12 file and registers its certificate. The
// passphrase opens it once to check it and is not kept.
func (r *Registry) SetKey(ctx context.Context, by Actor, o Owner, p12 []byte, passphrase string) error {
	return errPending
}

// Key gives the owner's PKCS#12 file, still encrypted.
func (r *Registry) Key(ctx context.Context, o Owner) ([]byte, error) { return nil, errPending }

// AddCertificate registers a certificate whose key is kept elsewhere.
func (r *Registry) AddCertificate(ctx context.Context, by Actor, o Owner, c *x509.Certificate) error {
	return errPending
}

// Certificates lists the registered certificates of an owner, newest first.
func (r *Registry) Certificates(ctx context.Context, o Owner) ([]Certificate, error) {
	return nil, errPending
}

// ActorOf gives the actor a person acts as; cmd and tests use it instead of a login.
func (r *Registry) ActorOf(ctx context.Context, id PersonID) (Actor, error) {
	return Actor{}, errPending
}
