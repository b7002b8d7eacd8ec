package imapd

import (
	"context"
	"errors"
	"log/slog"

	"github.com/emersion/go-imap/v2"

	"vanthu/mail"
	"vanthu/storage/blob"
)

// no is a NO answer with a response code (RFC 9051 §7.1).
func no(code imap.ResponseCode, text string) *imap.Error {
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: code, Text: text}
}

// bad is a BAD answer: the client broke the protocol.
func bad(text string) *imap.Error {
	return &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: text}
}

// answers maps what can go wrong to what the client is told. The first that
// matches counts.
var answers = []struct {
	err    error
	answer *imap.Error
}{
	{mail.ErrFull, no(imap.ResponseCodeUnavailable, "Server storage is full, nothing was kept, try again later")},
	{mail.ErrTooLarge, no(imap.ResponseCodeTooBig, "Message is larger than this server takes, nothing was kept")},
	{mail.ErrQuota, no(imap.ResponseCodeOverQuota, "The account has no room left, nothing was kept")},
	{mail.ErrThrottled, no(imap.ResponseCodeUnavailable, "Too many failed logins, try again later")},
	{mail.ErrCredentials, no(imap.ResponseCodeAuthenticationFailed, "Login or password is wrong")},
	{mail.ErrDisabled, no(imap.ResponseCodeAuthenticationFailed, "Account is disabled")},
	{mail.ErrExists, no(imap.ResponseCodeAlreadyExists, "There is such a mailbox already")},
	{mail.ErrForbidden, no(imap.ResponseCodeNoPerm, "Not allowed")},
	{mail.ErrInvalid, no(imap.ResponseCodeCannot, "Not valid: a name, flag or form that this server does not take")},
	{mail.ErrNotFound, no(imap.ResponseCodeNonExistent, "There is no such mailbox")},
	{mail.ErrEncoding, no(imap.ResponseCodeUnknownCTE, "The part's transfer encoding is not known")},
	{blob.ErrNotFound, no(imap.ResponseCodeCorruption, "The message's bytes are missing; the administrator was told")},
	{blob.ErrCorrupt, no(imap.ResponseCodeCorruption, "The message's bytes are damaged; the administrator was told")},
	{context.Canceled, no(imap.ResponseCodeUnavailable, "The server is closing")},
}

var (
	errReadOnly    = no("READ-ONLY", "The mailbox was opened read-only")
	errTryCreate   = no(imap.ResponseCodeTryCreate, "There is no such mailbox")
	errPrivacy     = no(imap.ResponseCodePrivacyRequired, "Start TLS before logging in")
	errTooMany     = no(imap.ResponseCodeLimit, "The account has too many connections")
	errUseAttr     = no("USEATTR", "One special use per mailbox, of Archive, Drafts, Junk, Sent and Trash")
	errNotSelected = bad("No mailbox is selected")
	errNoMessage   = bad("There is no message with this number")
	errInternal    = no(imap.ResponseCodeUnavailable, "Local error, try again later")
)

// explain turns an error into an answer and logs what is not the client's fault.
func (s *session) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	if own := (*imap.Error)(nil); errors.As(err, &own) {
		return own
	}
	answer, level := errInternal, slog.LevelError
	for _, a := range answers {
		if errors.Is(err, a.err) {
			answer, level = a.answer, slog.LevelDebug
			if a.answer.Code == imap.ResponseCodeCorruption || errors.Is(err, mail.ErrFull) {
				level = slog.LevelError
			}
			break
		}
	}
	s.server.log.LogAttrs(s.ctx, level, "imap refused", slog.String("doing", doing), slog.String("from", s.from), slog.String("err", err.Error()))
	return answer
}
