package smtpd

import (
	"bytes"
	"context"
	"errors"

	"github.com/emersion/go-smtp"

	"vanthu/mail"
)

// reply is an SMTP answer with its enhanced status code (RFC 3463).
func reply(code, class, subject, detail int, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, subject, detail}, Message: text}
}

// answers maps what can go wrong to what the client is told. The first that
// matches counts.
var answers = []struct {
	err    error
	answer *smtp.SMTPError
}{
	{mail.ErrBareLine, reply(554, 5, 6, 0, "Message refused: it has a bare CR, a bare LF or a NUL (RFC 5321 section 2.3.8)")},
	{mail.ErrFull, reply(452, 4, 3, 1, "Server storage is full, nothing was kept, try again later")},
	{mail.ErrTooLarge, reply(552, 5, 3, 4, "Message is larger than this server takes, nothing was kept")},
	{mail.ErrNoRoute, reply(550, 5, 7, 1, "This server sends to its own domains only: no smarthost is configured")},
	{mail.ErrNotLocal, reply(550, 5, 7, 1, "Relaying denied: not a domain of this server")},
	{mail.ErrNoRecipient, reply(550, 5, 1, 1, "No such recipient here")},
	{mail.ErrDisabled, reply(550, 5, 2, 1, "Account is disabled")},
	{mail.ErrQuota, reply(452, 4, 2, 2, "Recipient's mailbox is full, try again later")},
	{mail.ErrLoop, reply(554, 5, 4, 6, "Message has passed too many servers")},
	{mail.ErrThrottled, reply(454, 4, 7, 0, "Too many failed logins, try again later")},
	{mail.ErrCredentials, reply(535, 5, 7, 8, "Login or password is wrong")},
	{mail.ErrSpoofed, reply(550, 5, 7, 1, "Sender is in a domain of this server: log in and use the submission service to send as it")},
	{mail.ErrForbidden, reply(550, 5, 7, 1, "The sender is not an address of the account that logged in")},
	{mail.ErrInvalid, reply(554, 5, 6, 0, "Message refused: its form is not valid")},
	{context.Canceled, reply(421, 4, 3, 2, "Server is closing, nothing was kept, try again later")},
}

var (
	errAuthRequired  = reply(530, 5, 7, 0, "Log in first")
	errTLSRequired   = reply(538, 5, 7, 11, "Start TLS before logging in")
	errTempFailure   = reply(451, 4, 3, 0, "Local error, nothing was kept, try again later")
	errMechanism     = reply(504, 5, 5, 4, "This login mechanism is not offered")
	errBadSender     = reply(553, 5, 1, 7, "Sender address is not valid")
	errTooManyFails  = reply(421, 4, 7, 0, "Too many failed logins, closing the connection")
	errClosing       = reply(421, 4, 3, 2, "This connection is closing, try again on another")
	errAlreadyAuthed = reply(503, 5, 5, 1, "Logged in already")
)

// answer finds the reply to an error; internal is true when the client learns
// only that something failed here.
func answer(err error) (r *smtp.SMTPError, internal bool) {
	if errors.As(err, &r) { // go-smtp's own, such as its size limit
		return r, false
	}
	for _, a := range answers {
		if errors.Is(err, a.err) {
			return a.answer, false
		}
	}
	return errTempFailure, true
}

// wording are the replies of go-smtp that it offers no way to choose, by how
// they begin, and what our connection sends in their place. A reply's code never changes,
// only its text and, for MAIL and RCPT, the detail of the status (RFC 3463
// §3.2). What a client sent is never echoed before these beginnings end, so it
// cannot take part in the choice.
var wording = [...]struct{ begins, reply string }{
	{"250 2.0.0 Roger, accepting mail from <", "250 2.1.0 Sender accepted\r\n"},
	{"250 2.0.0 I'll make sure <", "250 2.1.5 Recipient accepted\r\n"},
	{"250 2.0.0 I have successfully done nothing", "250 2.0.0 OK\r\n"},
	{"250 2.0.0 OK: queued", "250 2.0.0 OK: message accepted\r\n"},
	{"354 Go ahead. ", "354 Start mail input; end with <CRLF>.<CRLF>\r\n"},
	{"221 2.0.0 Bye", "221 2.0.0 Service closing transmission channel\r\n"},
	{"421 4.4.2 Idle timeout", "421 4.4.2 Idle timeout, closing transmission channel\r\n"},
	{"500 5.5.1 Too many errors.", "500 5.5.1 Too many errors, closing transmission channel\r\n"},
	{"502 5.5.1 Please introduce yourself first.", "502 5.5.1 Send EHLO or HELO first\r\n"},
}

// worded gives a reply line of go-smtp its official wording. Anything but one
// whole line stays as it is.
func worded(line []byte) []byte {
	if bytes.IndexByte(line, '\n') != len(line)-1 {
		return line
	}
	for _, w := range wording {
		if bytes.HasPrefix(line, []byte(w.begins)) {
			return []byte(w.reply)
		}
	}
	return line
}
