package mail

import (
	"errors"
	"fmt"
	"io"
)

// ErrBareLine says that the message has a bare CR, a bare LF or a NUL, with which another
// message could be smuggled past the next server (RFC 5321 §2.3.8).
var ErrBareLine = fmt.Errorf("%w: bare CR, bare LF or NUL", ErrInvalid)

// LineReader passes a message on and fails with ErrBareLine on a bare CR, a
// bare LF or a NUL in it.
type LineReader struct {
	r      io.Reader
	lastCR bool
	bad    bool
}

// NewLineReader returns a LineReader over r.
func NewLineReader(r io.Reader) *LineReader { return &LineReader{r: r} }

// Read implements io.Reader.
func (l *LineReader) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	for _, x := range b[:n] {
		if x == 0 || (x == '\n') != l.lastCR {
			l.bad = true
		}
		l.lastCR = x == '\r'
	}
	if l.bad || (errors.Is(err, io.EOF) && l.lastCR) {
		return 0, ErrBareLine
	}
	return n, err
}
