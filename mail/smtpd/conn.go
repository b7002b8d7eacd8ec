package smtpd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Timeouts of a connection. Deadlines roll: each read sets its own.
const (
	commandTimeout   = 5 * time.Minute // RFC 5321 §4.5.3.2.7
	dataTimeout      = 2 * time.Minute // without a single byte
	writeTimeout     = 2 * time.Minute
	handshakeTimeout = 30 * time.Second
	rateWindow       = time.Minute
	minRate          = 500     // bytes a second over rateWindow while data comes
	maxCommandLine   = 8 << 10 // RFC 5321 §4.5.3.1.4 asks for 512, AUTH (RFC 4954 §4) for 12288 in all: lines beyond go on in pieces
	maxSkipped       = 4       // times the message limit that a refused message may still send
)

// conn is what go-smtp reads from and writes to. It stands between the library
// and the network and does what the library leaves open:
//
//   - It sees every byte the client sends, after TLS, and notes a bare CR, a
//     bare LF or a NUL anywhere: such a connection delivers no message (SMTP
//     smuggling; go-smtp drops some of these bytes before a session sees them,
//     and ends command lines at a bare LF).
//   - It speaks STARTTLS itself, so that it can see those bytes.
//   - Its deadlines roll and ask for a minimum rate, instead of one deadline
//     for a whole message.
//   - It hands over one command line at a time, and can be told to end.
//   - It writes out the bare <postmaster> of RFC 5321 §4.5.1, an address that
//     go-smtp refuses, and words go-smtp's replies (reply.go).
type conn struct {
	net.Conn  // the socket
	tlsConfig *tls.Config
	domain    string // bare <postmaster> is postmaster of this domain
	leave     func()
	closed    sync.Once

	rw     net.Conn   // what plain text is read from and written to: the socket, or TLS on it
	rwMu   sync.Mutex // guards the change of rw against Close
	secure atomic.Bool
	doomed atomic.Bool
	dirty  atomic.Bool // a bare CR, bare LF or NUL was seen

	// The rest belongs to the goroutine that reads; go-smtp reads and writes in one.
	in        []byte // read from the network, not handed over yet
	buf       []byte
	lastCR    bool
	raw       int64 // bytes of a BDAT chunk still to come
	inData    bool  // between 354 and the answer to the message
	inAuth    bool  // after 334: the next line is no command
	swallow   bool  // the answer to our own RSET is not for the client
	shaken    bool  // TLS is up
	midLine   bool  // the last piece handed over did not end its line
	windowEnd time.Time
	window    int64
}

func newConn(c net.Conn, cfg *tls.Config, domain string, implicitTLS bool, leave func()) *conn {
	w := &conn{Conn: c, tlsConfig: cfg, domain: domain, leave: leave, rw: c, buf: make([]byte, 4<<10)}
	if implicitTLS {
		w.rw = tls.Server(c, cfg)
		w.secure.Store(true)
	}
	return w
}

// doom lets the connection end at the next read, after the answer that is being written.
func (c *conn) doom() { c.doomed.Store(true) }

// Read implements net.Conn: one command line, or what there is of a message.
func (c *conn) Read(b []byte) (int, error) {
	for {
		if c.doomed.Load() {
			return 0, io.EOF
		}
		if n := c.take(b); n > 0 {
			return n, nil
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// take hands over from c.in as much as the state allows; 0 means more must be read.
func (c *conn) take(b []byte) int {
	switch {
	case len(c.in) == 0:
		return 0
	case c.inData:
		return c.hand(b, len(c.in))
	case c.raw > 0:
		n := c.hand(b, int(min(c.raw, int64(len(c.in)))))
		c.raw -= int64(n)
		return n
	}
	end := bytes.IndexByte(c.in, '\n') + 1
	if end == 0 {
		if len(c.in) < maxCommandLine {
			return 0
		}
		c.midLine = true
		return c.hand(b, len(c.in))
	}
	if c.midLine || c.inAuth {
		n := c.hand(b, end)
		c.midLine = c.midLine && n < end
		return n
	}
	return c.command(b, end)
}

// hand copies up to n bytes out of c.in.
func (c *conn) hand(b []byte, n int) int {
	n = copy(b, c.in[:n])
	c.in = c.in[n:]
	return n
}

// command looks at a whole command line before it is handed over.
func (c *conn) command(b []byte, end int) int {
	fields := strings.Fields(string(c.in[:end]))
	if len(fields) == 1 && strings.EqualFold(fields[0], "STARTTLS") && c.tlsConfig != nil && !c.secure.Load() {
		c.startTLS(end)
		// go-smtp forgets the transaction as RFC 3207 §4.2 asks; the client does not see this.
		c.swallow = true
		return copy(b, "RSET\r\n")
	}
	if end > len(b) { // go-smtp reads through 4 KiB; a longer line goes on in pieces
		c.midLine = true
		return c.hand(b, len(b))
	}
	c.raw = chunkSize(fields)
	if rest, ok := barePostmaster(c.in[:end]); ok {
		line := "RCPT TO:<postmaster@" + c.domain + ">" + rest
		if len(line) <= len(b) {
			c.in = c.in[end:]
			return copy(b, line)
		}
	}
	return c.hand(b, end)
}

// barePostmaster reports whether a command names the recipient <postmaster>
// without a domain, in any case (RFC 5321 §4.5.1); rest is what follows it.
func barePostmaster(line []byte) (rest string, ok bool) {
	const command = "RCPT TO:<postmaster>"
	if len(line) < len(command) || !strings.EqualFold(string(line[:len(command)]), command) {
		return "", false
	}
	return string(line[len(command):]), true
}

// chunkSize is the number of raw bytes that follow a BDAT line (RFC 3030), as go-smtp counts them.
func chunkSize(fields []string) int64 {
	if len(fields) < 2 || len(fields) > 3 || !strings.EqualFold(fields[0], "BDAT") {
		return 0
	}
	if len(fields) == 3 && !strings.EqualFold(fields[2], "LAST") {
		return 0
	}
	n, err := strconv.ParseUint(fields[1], 10, 32)
	if err != nil {
		return 0
	}
	return int64(n)
}

// startTLS answers STARTTLS and does the handshake. What the client sent in
// clear text behind the command is thrown away with the connection: it could
// not know the answer yet (RFC 3207 §6, command injection).
func (c *conn) startTLS(end int) {
	injected := len(c.in) > end
	c.in = nil
	if injected {
		c.doom()
		return
	}
	if _, err := c.Write([]byte("220 2.0.0 Ready to start TLS\r\n")); err != nil {
		c.doom()
		return
	}
	c.setRW(tls.Server(c.Conn, c.tlsConfig))
	c.lastCR = false
	if err := c.handshake(); err != nil {
		c.doom()
		return
	}
	c.secure.Store(true)
}

// handshake does the TLS handshake under a deadline of its own, once.
func (c *conn) handshake() error {
	t, ok := c.rw.(*tls.Conn)
	if !ok || c.shaken {
		return nil
	}
	if err := c.Conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	if err := t.Handshake(); err != nil {
		return err
	}
	c.shaken = true
	return c.Conn.SetDeadline(time.Time{}) // each read and write sets its own
}

// fill reads from the network under a rolling deadline.
func (c *conn) fill() error {
	timeout := commandTimeout
	if c.inData || c.raw > 0 {
		timeout = dataTimeout
	}
	if err := c.Conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	n, err := c.rw.Read(c.buf)
	if n > 0 {
		c.inspect(c.buf[:n])
		c.in = append(c.in, c.buf[:n]...)
		err = c.checkRate(n)
		if c.inData && len(c.buf) < 64<<10 {
			c.buf = make([]byte, 64<<10)
		}
	}
	return err
}

// inspect notes bytes that no SMTP client may send (RFC 5321 §2.3.8).
func (c *conn) inspect(b []byte) {
	if c.lastCR && b[0] != '\n' {
		c.dirty.Store(true)
	}
	for i, x := range b {
		switch x {
		case 0:
			c.dirty.Store(true)
		case '\n':
			if (i == 0 && !c.lastCR) || (i > 0 && b[i-1] != '\r') {
				c.dirty.Store(true)
			}
		case '\r':
			if i+1 < len(b) && b[i+1] != '\n' {
				c.dirty.Store(true)
			}
		}
	}
	c.lastCR = b[len(b)-1] == '\r'
}

var errTooSlow = errors.New("client sends too slowly")

// checkRate ends a connection that drips a message.
func (c *conn) checkRate(n int) error {
	if !c.inData && c.raw == 0 {
		c.windowEnd = time.Time{}
		return nil
	}
	now := time.Now()
	if c.windowEnd.IsZero() {
		c.windowEnd, c.window = now.Add(rateWindow), 0
	}
	c.window += int64(n)
	if now.Before(c.windowEnd) {
		return nil
	}
	slow := c.window < minRate*int64(rateWindow/time.Second)
	c.windowEnd, c.window = now.Add(rateWindow), 0
	if slow {
		return errTooSlow
	}
	return nil
}

// Write implements net.Conn. go-smtp writes one line at a time; the first
// digits tell what the client sends next.
func (c *conn) Write(b []byte) (int, error) {
	if c.swallow {
		c.swallow = false
		return len(b), nil
	}
	if err := c.handshake(); err != nil {
		return 0, err
	}
	c.inData = bytes.HasPrefix(b, []byte("354 "))
	c.inAuth = bytes.HasPrefix(b, []byte("334 "))
	length := len(b)
	b = worded(b)
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	n, err := c.rw.Write(b)
	if err == nil && string(b) == "250-PIPELINING\r\n" && c.tlsConfig != nil && !c.secure.Load() {
		_, err = c.rw.Write([]byte("250-STARTTLS\r\n"))
	}
	if err == nil {
		n = length // the caller counts its own bytes, not the reworded ones
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closed.Do(func() {
		c.leave()
		c.rwMu.Lock()
		rw := c.rw
		c.rwMu.Unlock()
		err = rw.Close() // TLS says goodbye first
	})
	return err
}

// SetDeadline and its kin are this type's own business.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// tlsState is the state of TLS, nil without.
func (c *conn) tlsState() *tls.ConnectionState {
	t, ok := c.rw.(*tls.Conn)
	if !ok {
		return nil
	}
	st := t.ConnectionState()
	return &st
}

// setRW changes what plain text goes through.
func (c *conn) setRW(rw net.Conn) {
	c.rwMu.Lock()
	defer c.rwMu.Unlock()
	c.rw = rw
}
