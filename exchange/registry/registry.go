// Package registry knows who takes part in the exchange: agencies (cơ quan, tổ
// chức) with their identification codes, people with roles, their passwords,
// sessions and tokens, and the keys and certificates of both.
//
// It owns the tables registry_*. It keeps no plaintext secret: passwords are
// argon2id hashes, tokens SHA-256 digests, private keys stay inside PKCS#12
// files under their owner's own passphrase.
package registry

import (
	"context"
	"crypto/x509"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Options of New.
type Options struct {
	Now func() time.Time // nil = time.Now
	Key []byte           // 32 bytes that seal the secrets of second factors; nil = none can be set
}

// Registry answers who is who. It is safe for concurrent use.
type Registry struct {
	db       *sqldb.DB
	now      func() time.Time
	key      []byte
	hasher   *hasher
	limiter  *limiter
	sessions *cache[string, Actor] // by token digest

	agencies     *cache[AgencyID, Agency]
	people       *cache[PersonID, Person]
	keys         *cache[Owner, []byte] // encrypted PKCS#12 files
	certificates *cache[Owner, []Certificate]
}

// New brings the registry's tables up to date and returns it.
func New(db *sqldb.DB, opts Options) (*Registry, error) {
	if db == nil {
		return nil, errors.New("registry needs a database")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	schema, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		return nil, fmt.Errorf("opening the registry schema: %w", err)
	}
	if err := db.Migrate(context.Background(), "registry", schema); err != nil {
		return nil, fmt.Errorf("bringing the registry tables up to date: %w", err)
	}
	const minute, many = time.Minute, 20_000
	return &Registry{
		db: db, now: opts.Now, key: opts.Key,
		hasher:       newHasher(runtime.GOMAXPROCS(0)),
		limiter:      newLimiter(opts.Now),
		sessions:     newCache[string, Actor](sessionCache, many, opts.Now),
		agencies:     newCache[AgencyID, Agency](minute, many, opts.Now),
		people:       newCache[PersonID, Person](minute, many, opts.Now),
		keys:         newCache[Owner, []byte](minute, 1000, opts.Now),
		certificates: newCache[Owner, []Certificate](minute, many, opts.Now),
	}, nil
}

// AgencyID is the identification code of an agency (mã định danh cơ quan) in
// the grammar of QĐ 20/2020/QĐ-TTg or of QCVN 102:2016; ParseAgencyID checks it.
type AgencyID string

// PersonID names a person (UUIDv7).
type PersonID string

// Role is what a person may do in the own agency (vai trò).
type Role string

// The roles. A person may have several.
const (
	RoleClerk         Role = "clerk"         // văn thư: numbers, seals, sends, registers, refuses
	RoleLeader        Role = "leader"        // lãnh đạo: approves, assigns
	RoleOfficer       Role = "officer"       // chuyên viên: drafts, initials, processes
	RoleAdministrator Role = "administrator" // quản trị: agencies, people, keys
)

// Roles are all roles in the order they are shown.
func Roles() []Role { return []Role{RoleClerk, RoleLeader, RoleOfficer, RoleAdministrator} }

// Agency is one body that sends and receives documents (cơ quan, tổ chức).
type Agency struct {
	ID         AgencyID  `json:"id"`
	LegacyCode string    `json:"legacy_code,omitempty"` // mã QCVN 102:2016, 13 characters
	Name       string    `json:"name"`
	Symbol     string    `json:"symbol"`          // chữ viết tắt tên cơ quan in a document's symbol, e.g. UBND
	Place      string    `json:"place"`           // địa danh, e.g. Bắc Kạn
	Level      string    `json:"level,omitempty"` // cấp: ministry, province, department, district, commune, unit
	Mail       string    `json:"mail,omitempty"`  // official address (hộp thư công vụ)
	Parent     AgencyID  `json:"parent,omitempty"`
	ValidFrom  time.Time `json:"valid_from,omitzero"`
	ValidTo    time.Time `json:"valid_to,omitzero"` // first moment it no longer exists; zero = open
	Channel    string    `json:"channel"`           // how documents reach it; ChannelLocal on this hub

	Accepts    string   `json:"accepts,omitempty"`    // codes of the document types it takes, by commas; "" = all
	MaxSize    int64    `json:"max_size,omitempty"`   // bytes of one PDF it takes; 0 = as the hub
	Encryption string   `json:"encryption,omitempty"` // EncryptionRequired, or "" = as the channel does
	Heir       AgencyID `json:"heir,omitempty"`       // who took over what was under way when it ended (cơ quan kế thừa)
	Version    int64    `json:"version,omitempty"`    // of the registry, when it last changed
}

// ChannelLocal marks an agency that lives on this hub.
const ChannelLocal = "local"

// EncryptionRequired marks an agency that takes encrypted documents only.
const EncryptionRequired = "required"

// Takes tells whether the agency takes documents of a type.
func (a *Agency) Takes(docType string) bool {
	if a.Accepts == "" {
		return true
	}
	for t := range strings.SplitSeq(a.Accepts, ",") {
		if t == docType {
			return true
		}
	}
	return false
}

// same tells whether b says the same of an agency as a; Heir and Version are the
// registry's own words and do not count.
func (a Agency) same(b Agency) bool {
	a.Heir, a.Version = b.Heir, b.Version
	return a == b
}

// ActiveAt tells whether the agency exists at t.
func (a *Agency) ActiveAt(t time.Time) bool {
	return !t.Before(a.ValidFrom) && (a.ValidTo.IsZero() || t.Before(a.ValidTo))
}

// Person is one user (người dùng) of one agency.
type Person struct {
	ID       PersonID `json:"id"`
	Login    string   `json:"login"`
	Name     string   `json:"name"`
	Position string   `json:"position,omitempty"` // chức vụ, e.g. Phó Chủ tịch
	Mail     string   `json:"mail,omitempty"`
	Agency   AgencyID `json:"agency"`
	Roles    []Role   `json:"roles"`
	Disabled bool     `json:"disabled,omitempty"`
}

// Actor is who acts; it comes in with every call.
type Actor struct {
	Person PersonID `json:"person"`
	Name   string   `json:"name"`
	Agency AgencyID `json:"agency"`
	Roles  []Role   `json:"roles"`
	System bool     `json:"system,omitempty"` // the hub itself, e.g. a job; may do everything
	// OnBehalfOf is in whose place the actor acts, with the rights of the mandate and
	// no others; nil = for itself. See Registry.ActingFor.
	OnBehalfOf *Mandate `json:"on_behalf_of,omitempty"`
}

// FullName names the actor in words that people read: with whose place it takes.
func (a Actor) FullName() string {
	return a.Name + a.OnBehalfOf.In()
}

// Has tells whether the actor may act in role r. The system has every role.
func (a Actor) Has(r Role) bool { return a.System || slices.Contains(a.Roles, r) }

// Tag names the actor in evidence entries: the person's id, or "system:name".
func (a Actor) Tag() string {
	if a.System {
		return "system:" + a.Name
	}
	return string(a.Person)
}

// System gives the actor of the hub itself, named after the job that acts.
func System(name string) Actor { return Actor{Name: name, System: true} }

// OwnerKind tells whose a key is.
type OwnerKind string

// The owners of keys and certificates.
const (
	OwnerPerson OwnerKind = "person"
	OwnerAgency OwnerKind = "agency"
)

// Owner is whose a key or certificate is.
type Owner struct {
	Kind OwnerKind `json:"kind"`
	ID   string    `json:"id"`
}

// PersonOwner names a person as owner.
func PersonOwner(id PersonID) Owner { return Owner{OwnerPerson, string(id)} }

// AgencyOwner names an agency as owner.
func AgencyOwner(id AgencyID) Owner { return Owner{OwnerAgency, string(id)} }

// Certificate is a certificate registered for an owner: only signatures by a
// registered certificate count as theirs.
type Certificate struct {
	Owner       Owner             `json:"owner"`
	Fingerprint string            `json:"fingerprint"` // SHA-256 of the DER, lower-case hex
	Added       time.Time         `json:"added"`
	ValidFrom   time.Time         `json:"valid_from,omitzero"` // the registered term; zero = no other limit than the certificate's own
	ValidTo     time.Time         `json:"valid_to,omitzero"`   // first moment it no longer counts
	Revoked     time.Time         `json:"revoked,omitzero"`    // from then on it does not count
	Reason      string            `json:"reason,omitempty"`    // why it was revoked
	Certificate *x509.Certificate `json:"-"`
}

// ValidAt tells whether a signature made at t by this certificate is the owner's.
// The dates in the certificate itself are for the validator to judge.
func (c *Certificate) ValidAt(t time.Time) bool {
	return !t.Before(c.ValidFrom) && (c.ValidTo.IsZero() || t.Before(c.ValidTo)) && (c.Revoked.IsZero() || t.Before(c.Revoked))
}

// Filter narrows Agencies. The zero value lists all, in code order.
type Filter struct {
	Query  string   // in code, name or symbol; marks and case are ignored
	Parent AgencyID // only its direct children
	Level  string
	After  AgencyID // keyset: codes greater than this
	Limit  int      // 0 = 200, at most 1000
}

// ImportResult tells what an import did. When Problems is not empty nothing was
// applied.
type ImportResult struct {
	Added     int             `json:"added"`
	Changed   int             `json:"changed"`
	Unchanged int             `json:"unchanged"`
	Problems  []ImportProblem `json:"problems,omitempty"`
}

// ImportProblem is one line that cannot be imported, and why, in both languages.
type ImportProblem struct {
	Line   int    `json:"line"`
	Text   string `json:"text"`
	TextEN string `json:"text_en"`
}
