package mail

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// maxHops is the number of Received fields at which a message is taken to be
// in a loop (RFC 5321 §6.3 asks for a limit, at least 100).
const maxHops = 100

// ErrLoop says that the message has passed too many servers.
var ErrLoop = errors.New("message has passed too many servers, it runs in a loop")

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

// RecipientError says which recipient an error is about.
type RecipientError struct {
	Recipient Address
	Err       error
}

// Error implements error.
func (e *RecipientError) Error() string { return string(e.Recipient) + ": " + e.Err.Error() }

// Unwrap gives the reason, one of this package's errors.
func (e *RecipientError) Unwrap() error { return e.Err }

// content is a message whose blob is durable, with what was parsed of it.
type content struct {
	ref       blob.Ref
	envelope  string
	structure string
	summary   Summary
	received  int
}

// keep stores the bytes of a message durably and parses them on the way.
func (s *Store) keep(ctx context.Context, r io.Reader) (*content, error) {
	p := NewParser()
	ref, err := s.blobs.Put(ctx, io.TeeReader(&limitedReader{r: r, left: s.maxMessage}, p))
	if err != nil {
		return nil, fmt.Errorf("storing the message: %w", full(err))
	}
	parsed := p.Finish()
	if parsed.Size != ref.Size {
		return nil, fmt.Errorf("storing the message: the store kept %d bytes of %d", ref.Size, parsed.Size)
	}
	c := &content{ref: ref, summary: parsed.summary(), received: parsed.Received}
	if c.envelope, err = encodeJSON(parsed.Envelope); err != nil {
		return nil, fmt.Errorf("keeping the envelope: %w", err)
	}
	if c.structure, err = encodeJSON(parsed.Structure); err != nil {
		return nil, fmt.Errorf("keeping the structure: %w", err)
	}
	return c, nil
}

func encodeJSON(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func (p *Parsed) summary() Summary {
	e := &p.Envelope
	sum := Summary{Subject: e.Subject, Sent: e.Date, MessageID: e.MessageID, Preview: p.Preview}
	if len(e.From) > 0 {
		sum.From = e.From[0].String()
	}
	to := make([]string, 0, 3)
	for _, a := range e.To {
		if a.Host != "" && len(to) < cap(to) {
			to = append(to, a.String())
		}
	}
	sum.To = strings.Join(to, ", ")
	p.Structure.walk(func(part *Part) {
		if part.Attachment() {
			sum.Attachments++
		}
	})
	return sum
}

// limitedReader gives ErrTooLarge beyond its limit, not a silent end.
type limitedReader struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (l *limitedReader) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	if l.left -= int64(n); l.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// recipient is a local recipient on its way into the transaction.
type recipient struct {
	to      Address
	account AccountID
}

// split parses and resolves the recipients. Doubles count once; two addresses
// of one account give one copy, to the first.
func (s *Store) split(ctx context.Context, to []Address) (local []recipient, remote []Address, err error) {
	if len(to) == 0 || len(to) > MaxRecipients {
		return nil, nil, fmt.Errorf("%w: %d recipients", ErrInvalid, len(to))
	}
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, raw := range to {
			addr, err := ParseAddress(string(raw))
			if err != nil {
				return &RecipientError{raw, fmt.Errorf("%w: %w", ErrNoRecipient, err)}
			}
			if !s.IsLocal(addr) {
				if !slices.Contains(remote, addr) {
					remote = append(remote, addr)
				}
				continue
			}
			id, err := s.resolveRecipient(ctx, tx, addr)
			if errors.Is(err, ErrNotFound) {
				return &RecipientError{addr, ErrNoRecipient}
			}
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(local, func(r recipient) bool { return r.account == id }) {
				local = append(local, recipient{addr, id})
			}
		}
		return nil
	})
	// One order for all transactions, so that none waits for another in a circle.
	slices.SortFunc(local, func(a, b recipient) int { return strings.Compare(string(a.account), string(b.account)) })
	return local, remote, err
}

// resolveRecipient finds the account that mail to a local address goes to:
// resolveAddress, and for a postmaster without account the configured one. Only
// mail goes that way; nobody may log in or send as postmaster by it.
func (s *Store) resolveRecipient(ctx context.Context, tx *sqldb.Tx, a Address) (AccountID, error) {
	id, err := resolveAddress(ctx, tx, a)
	if errors.Is(err, ErrNotFound) && a.Local() == "postmaster" && s.postmaster != "" {
		return resolveAddress(ctx, tx, s.postmaster)
	}
	return id, err
}

// CheckRecipient says whether mail of size bytes to an address would be taken
// now: nil, or a RecipientError of ErrNoRecipient, ErrDisabled, ErrQuota,
// ErrNotLocal, or, for a submission to the outside, ErrNoRoute.
func (s *Store) CheckRecipient(ctx context.Context, to Address, size int64, submission bool) error {
	addr, err := ParseAddress(string(to))
	if err != nil {
		return &RecipientError{to, fmt.Errorf("%w: %w", ErrNoRecipient, err)}
	}
	switch {
	case s.IsLocal(addr):
	case !submission:
		return &RecipientError{addr, ErrNotLocal}
	case !s.relay:
		return &RecipientError{addr, ErrNoRoute}
	default:
		return nil
	}
	var a *Account
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		id, err := s.resolveRecipient(ctx, tx, addr)
		if err != nil {
			return err
		}
		a, err = accountByID(ctx, tx, id)
		return err
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return &RecipientError{addr, ErrNoRecipient}
	case err != nil:
		return fmt.Errorf("looking up recipient %s: %w", addr, err)
	case a.Disabled:
		return &RecipientError{addr, ErrDisabled}
	case a.Used >= a.Quota || a.Used+size > a.Quota:
		return &RecipientError{addr, ErrQuota}
	}
	return nil
}

// Deliver stores a message in the INBOX of every recipient: the bytes once, a
// row for each, all in one transaction or none. When it returns nil everything
// is durable. Errors: RecipientError (ErrNoRecipient, ErrNotLocal, ErrDisabled,
// ErrQuota), ErrTooLarge, ErrLoop, ErrFull; nothing was delivered then.
//
// A recipient is over quota when it was full before: one message may carry an
// account past its limit, so that a message to many cannot be refused for one
// after it was read.
func (s *Store) Deliver(ctx context.Context, env Envelope, r io.Reader) ([]Delivered, error) {
	local, remote, err := s.split(ctx, env.To)
	if err == nil && len(remote) > 0 {
		err = &RecipientError{remote[0], ErrNotLocal}
	}
	if err != nil {
		return nil, fmt.Errorf("delivering: %w", err)
	}
	c, err := s.keep(ctx, r)
	if err == nil && c.received > maxHops {
		err = ErrLoop
	}
	if err != nil {
		return nil, fmt.Errorf("delivering: %w", err)
	}
	var done []Delivered
	err = s.retryConflict(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		done, err = s.deliver(ctx, tx, &env, local, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("delivering: %w", full(err))
	}
	return done, nil
}

// retryConflict runs fn again when another transaction took the same delivery
// id in between; the second time fn sees it.
func (s *Store) retryConflict(ctx context.Context, fn func(ctx context.Context, tx *sqldb.Tx) error) error {
	err := s.db.Update(ctx, fn)
	if sqldb.IsConflict(err) {
		err = s.db.Update(ctx, fn)
	}
	return err
}

// deliver writes the rows of all local recipients.
func (s *Store) deliver(ctx context.Context, tx *sqldb.Tx, env *Envelope, local []recipient, c *content) ([]Delivered, error) {
	if err := insertContent(ctx, tx, c); err != nil {
		return nil, err
	}
	done := make([]Delivered, 0, len(local))
	now := s.now()
	for _, to := range local {
		d := Delivered{To: to.to, Account: to.account}
		if env.ID != "" {
			found, err := findDelivery(ctx, tx, to.account, env.ID, &d)
			if err != nil {
				return nil, err
			}
			if found {
				done = append(done, d)
				continue
			}
		}
		m := Message{Digest: c.ref.Digest, Prefix: deliveryPrefix(env, to.to), Received: now}
		m.Size = int64(len(m.Prefix)) + c.ref.Size
		modseq, a, err := nextModSeq(ctx, tx, to.account, m.Size)
		if err != nil {
			return nil, err
		}
		if a.Disabled {
			return nil, &RecipientError{to.to, ErrDisabled}
		}
		if a.Used-m.Size >= a.Quota {
			return nil, &RecipientError{to.to, ErrQuota}
		}
		m.ModSeq = modseq
		if m.Mailbox, m.UID, err = takeInboxUID(ctx, tx, to.account, modseq); err != nil {
			return nil, err
		}
		if err := insertMessage(ctx, tx, &m); err != nil {
			return nil, err
		}
		d.Mailbox, d.UID = m.Mailbox, m.UID
		if env.ID != "" {
			if err := insertDelivery(ctx, tx, env.ID, &d, now); err != nil {
				return nil, err
			}
		}
		tx.AfterCommit(func() { s.hub.notify(m.Mailbox) })
		done = append(done, d)
	}
	return done, nil
}

// deliveryPrefix makes a recipient's own header lines: Return-Path on top (RFC
// 5321 §4.4), then where it was delivered, then the trace.
func deliveryPrefix(env *Envelope, to Address) string {
	return "Return-Path: <" + sanitizeLine(string(env.From), maxAddress) + ">\r\n" +
		"Delivered-To: " + string(to) + "\r\n" + env.Trace
}

// JobSend is the kind of the job that sends a submission to the outside.
const JobSend jobs.Kind = "mail.send"

// SendJob are the arguments of a JobSend.
type SendJob struct {
	Submission SubmissionID `json:"submission"`
}

// Submit takes a message from an account: local recipients get it at once, the
// others are queued, with the job that sends them, in the same transaction. A
// missing Date, Message-ID or From is added (RFC 6409 §8). The envelope's
// sender and every author in From must be addresses of the account. Errors as
// Deliver, and ErrForbidden (another's address), ErrNoRoute, ErrBareLine, ErrInvalid.
func (s *Store) Submit(ctx context.Context, from *Account, env Envelope, r io.Reader) error {
	local, remote, err := s.split(ctx, env.To)
	if err == nil && len(remote) > 0 && !s.relay {
		err = &RecipientError{remote[0], ErrNoRoute}
	}
	if err == nil {
		r, err = s.complete(ctx, from, &env, NewLineReader(r))
	}
	if err != nil {
		return fmt.Errorf("submitting: %w", err)
	}
	c, err := s.keep(ctx, r)
	if err == nil && c.received > maxHops {
		err = ErrLoop
	}
	if err != nil {
		return fmt.Errorf("submitting: %w", err)
	}
	err = s.retryConflict(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.deliver(ctx, tx, &env, local, c); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, from, &env, remote, c)
	})
	if err != nil {
		return fmt.Errorf("submitting: %w", full(err))
	}
	return nil
}

// maxComplete is how much of a submission's header is looked at.
const maxComplete = 64 << 10

// complete holds a submission's senders to the account and puts the fields that
// it must have before it when they are missing.
func (s *Store) complete(ctx context.Context, from *Account, env *Envelope, r io.Reader) (io.Reader, error) {
	br := bufio.NewReaderSize(r, maxComplete)
	head, err := br.Peek(maxComplete)
	end := bytes.Index(head, []byte("\r\n\r\n"))
	if end < 0 && err == nil {
		return nil, fmt.Errorf("%w: the header is longer than %d bytes", ErrInvalid, maxComplete)
	}
	if end >= 0 {
		head = head[:end+2]
	}
	has := make(map[string]bool)
	authors := []EnvelopeAddress{}
	headerFields(head, func(name, value string) {
		has[name] = true
		if name == "from" {
			authors = joinAddresses(authors, value)
		}
	})
	senders := []Address{env.From}
	for _, a := range authors {
		senders = append(senders, Address(a.Mailbox+"@"+a.Host))
	}
	for _, a := range senders {
		ok, err := s.SenderAllowed(ctx, from, a)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("sending as %s: %w", a, ErrForbidden)
		}
	}
	var add strings.Builder
	if !has["date"] {
		add.WriteString("Date: " + s.now().Format("Mon, 02 Jan 2006 15:04:05 -0700") + "\r\n")
	}
	if !has["message-id"] {
		add.WriteString("Message-ID: <" + newID() + "@" + s.hostname + ">\r\n")
	}
	if !has["from"] {
		add.WriteString("From: <" + string(env.From) + ">\r\n")
	}
	if len(has) == 0 && !bytes.HasPrefix(head, []byte("\r\n")) {
		add.WriteString("\r\n") // no header at all: what came is the body
	}
	return io.MultiReader(strings.NewReader(add.String()), br), nil
}
