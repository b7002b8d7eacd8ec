package mail

import (
	"time"
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

// ImportResult counts what an import did.
type ImportResult struct {
	Added, Skipped int
	Problems       []string
}
