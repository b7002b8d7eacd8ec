package registry

import (
	"errors"
	"fmt"
)

// Kind sorts the errors that a person or a program outside is told about; each
// door (JSON, HTML, command line) maps a kind to its own answer in one table.
type Kind string

// The kinds of Error.
const (
	KindInvalid         Kind = "invalid"         // what was given cannot be used as it is
	KindUnauthenticated Kind = "unauthenticated" // nobody is logged in, or the password is wrong
	KindForbidden       Kind = "forbidden"       // known, but not allowed by role or agency
	KindNotFound        Kind = "notfound"        // no such thing, or none the actor may see
	KindConflict        Kind = "conflict"        // somebody else was first, or the state does not allow it
	KindUnavailable     Kind = "unavailable"     // a part this needs does not answer now; try again
	KindTooLarge        Kind = "toolarge"        // over a stated limit
	KindFull            Kind = "full"            // no room on the disk or in the store
)

// Error is an error told to people: what happened, what to do, what was kept.
// Message, Advice and Kept are Vietnamese; the EN fields say the same in
// English. None of them holds a secret or the content of a document.
type Error struct {
	Kind                        Kind
	Message, Advice, Kept       string
	MessageEN, AdviceEN, KeptEN string
	Err                         error // the cause for the log; may be nil
}

// Error gives the English sentence and the cause, for logs.
func (e *Error) Error() string {
	m := e.MessageEN
	if m == "" {
		m = e.Message
	}
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Kind, m, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Kind, m)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Text gives message, advice and what was kept in lang ("en", anything else is
// Vietnamese), falling back to the other language where one is missing.
func (e *Error) Text(lang string) (message, advice, kept string) {
	pick := func(vi, en string) string {
		if (lang == "en" && en != "") || vi == "" {
			return en
		}
		return vi
	}
	return pick(e.Message, e.MessageEN), pick(e.Advice, e.AdviceEN), pick(e.Kept, e.KeptEN)
}

// Advise returns e with what the person should do next.
func (e *Error) Advise(vi, en string) *Error {
	e.Advice, e.AdviceEN = vi, en
	return e
}

// Keeping returns e with what was kept although the act failed.
func (e *Error) Keeping(vi, en string) *Error {
	e.Kept, e.KeptEN = vi, en
	return e
}

// Because returns e with its cause, for the log.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}

// NewError makes an Error with its message in both languages.
func NewError(k Kind, vi, en string) *Error {
	return &Error{Kind: k, Message: vi, MessageEN: en}
}

// KindOf gives the kind of the first Error in err's chain, "" when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
