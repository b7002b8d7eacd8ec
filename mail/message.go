package mail

import (
	"time"

	"vanthu/storage/blob"
)

// MailboxID names a mailbox (UUIDv7).
type MailboxID string

// UID numbers a message in its mailbox (RFC 9051 §2.3.1.1).
type UID uint32

// SpecialUse is a mailbox's role, an attribute of RFC 6154, or empty.
type SpecialUse string

// The roles of the mailboxes that every account is made with.
const (
	UseNone    SpecialUse = ""
	UseSent    SpecialUse = `\Sent`
	UseDrafts  SpecialUse = `\Drafts`
	UseTrash   SpecialUse = `\Trash`
	UseJunk    SpecialUse = `\Junk`
	UseArchive SpecialUse = `\Archive`
)

// Inbox is the mailbox that mail is delivered to (RFC 9051 §5.1).
const Inbox = "INBOX"

// Mailbox is a folder of messages (thư mục thư). UIDNext is the UID that the
// next message gets, ModSeq the highest change number in it (RFC 7162).
type Mailbox struct {
	ID          MailboxID
	Account     AccountID
	Name        string
	Use         SpecialUse
	UIDValidity uint32
	UIDNext     UID
	ModSeq      int64
	Subscribed  bool
	// RecentFrom is the first UID that no read-write session has seen (\Recent).
	RecentFrom UID
}

// MailboxStatus counts a mailbox's messages. Size is in bytes.
type MailboxStatus struct {
	Messages, Unseen, Deleted, Recent uint32
	Size, DeletedSize                 int64
}

// Flags are the system flags of RFC 9051 §2.3.2 as bits.
type Flags uint8

// The system flags.
const (
	FlagSeen Flags = 1 << iota
	FlagAnswered
	FlagFlagged
	FlagDeleted
	FlagDraft
)

// Message is one message in one mailbox (thư). Its bytes are Prefix followed by
// the blob Digest.
type Message struct {
	Mailbox  MailboxID
	UID      UID
	ModSeq   int64
	Digest   blob.Digest
	Prefix   string // this recipient's own header lines, each ended by CRLF
	Size     int64  // len(Prefix) + size of the blob, bytes
	Received time.Time
	Flags    Flags
	Keywords []string
	Summary  Summary
}

// Summary is what lists show. All of it was parsed when the message was stored.
type Summary struct {
	Subject     string
	From        string // "Name <address>" of the first author
	To          string
	Sent        time.Time
	MessageID   string
	Preview     string // first words of the text, without marks
	Attachments int
}

// Envelope is an SMTP envelope. From may be empty (null reverse-path).
type Envelope struct {
	From Address
	To   []Address
	// ID makes a delivery idempotent: the same ID to the same account counts once. Empty means always new.
	ID string
	// Trace are header lines (Received: …) to put before the message, each ended by CRLF.
	Trace string
	// UTF8 says that the message needs SMTPUTF8 (RFC 6531) to travel on.
	UTF8 bool
}

// Delivered says where one recipient's copy went. Duplicate is set when the
// same Envelope.ID had been delivered before; nothing was stored then.
type Delivered struct {
	To        Address
	Account   AccountID
	Mailbox   MailboxID
	UID       UID
	Duplicate bool
}
