package imapd

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"vanthu/mail"
)

// Bounds of the front.
const (
	maxLine          = 64 << 10 // bytes of one line; go-imap ends a command at 50 KiB
	bufferedLiteral  = 4 << 10  // bytes of a literal that is no message, as go-imap takes
	handshakeTimeout = 30 * time.Second
	writeTimeout     = 2 * time.Minute // for what was gathered, 16 KiB or one message
	idleBuffer       = 2 << 10
	outBuffer        = 16 << 10 // answers are gathered up to here: the library flushes each line
)

// conn is what go-imap reads from and writes to. It stands between the library
// and the network, follows commands and literals, and does what the library
// leaves open:
//
//   - ID (RFC 2971), also before login, where the library would hang up.
//   - STARTTLS, so that it can go on reading commands behind TLS.
//   - No password without TLS: LOGIN and AUTHENTICATE are refused before the
//     library asks for it, and CAPABILITY says so.
//   - A literal that is too large is refused at once and, when it comes unasked
//     (LITERAL+), swallowed; the library would wait for ever, or take its bytes
//     for commands.
//   - It can be told to end.
//
// It hands over one line at a time. The library runs one command at a time and
// reads the next line only when it has written the answer, so that what conn
// writes itself never falls into the middle of another answer.
type conn struct {
	net.Conn    // the socket; its deadlines are the library's business
	tlsConfig   *tls.Config
	insecure    bool // passwords without TLS are allowed
	appendLimit int64
	leave       func()
	closed      sync.Once

	rw     net.Conn   // what plain text is read from and written to: the socket, or TLS on it
	rwMu   sync.Mutex // guards the change of rw against Close
	secure atomic.Bool
	authed atomic.Bool
	doomed atomic.Bool

	// The rest belongs to the goroutine that reads commands; IDLE writes from
	// another one, while this one waits for DONE.
	in      []byte // read from the network, not handed over yet
	buf     []byte
	command string // the command being run, upper case, "" in the greeting
	state   lineState
	pass    int   // bytes of in that were looked at and go to the library
	raw     int64 // bytes of a literal still to come
	pending int64 // size of a literal that the client sends when it is asked for it
	swallow bool  // the rest of the command is not for the library

	asked atomic.Bool // the last thing written was a continuation request

	outMu   sync.Mutex
	out     []byte // written by the library, not sent yet
	waiting bool   // for the client: what is written now goes out at once
}

// lineState says what the next line is.
type lineState int

const (
	lineCommand lineState = iota // a command
	lineMiddle                   // the rest of a command, after a literal
	lineAsk                      // the rest of a command if the library asks for its literal, else a command
	lineDone                     // ends IDLE
)

func newConn(c net.Conn, cfg *Config, implicitTLS bool, leave func()) *conn {
	w := &conn{Conn: c, tlsConfig: cfg.TLS, leave: leave, rw: c, appendLimit: cfg.Store.MaxMessage(),
		insecure: cfg.Insecure && mail.IsLoopback(mail.HostOf(c.RemoteAddr()))}
	if implicitTLS {
		w.rw = tls.Server(c, cfg.TLS)
		w.secure.Store(true)
	}
	return w
}

// doom lets the connection end at the next read, after the answer that is being written.
func (c *conn) doom() { c.doomed.Store(true) }

// mayLogin reports whether a password may travel on this connection.
func (c *conn) mayLogin() bool { return c.secure.Load() || c.insecure }

// Read implements net.Conn: one line, or what there is of a literal. The
// library reads when it has answered: what was gathered goes out before.
func (c *conn) Read(b []byte) (int, error) {
	if err := c.wait(true); err != nil {
		return 0, err
	}
	defer c.wait(false) //nolint:errcheck // only the begin of waiting can fail
	for {
		if c.doomed.Load() {
			return 0, io.EOF
		}
		if c.raw > 0 && len(c.in) == 0 && !c.swallow { // a message on its way in: no detour
			n, err := c.rw.Read(b[:min(int64(len(b)), c.raw)])
			c.raw -= int64(n)
			return n, err
		}
		if n := c.take(b); n > 0 {
			return n, nil
		}
		if c.doomed.Load() {
			return 0, io.EOF
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

func (c *conn) fill() error {
	if c.buf == nil {
		c.buf = make([]byte, idleBuffer)
	}
	n, err := c.rw.Read(c.buf)
	c.in = append(c.in, c.buf[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

// take hands over from c.in as much as the state allows; 0 means more must be read.
func (c *conn) take(b []byte) int {
	for len(c.in) > 0 && !c.doomed.Load() {
		switch {
		case c.pass > 0:
			n := c.hand(b, c.pass)
			c.pass -= n
			return n
		case c.raw > 0 && c.swallow:
			n := int(min(c.raw, int64(len(c.in))))
			c.in, c.raw = c.in[n:], c.raw-int64(n)
			continue
		case c.raw > 0:
			n := c.hand(b, int(min(c.raw, int64(len(c.in)))))
			c.raw -= int64(n)
			return n
		}
		if c.state == lineAsk {
			c.state = lineCommand
			if c.asked.Load() {
				c.state, c.raw = lineMiddle, c.pending
				continue
			}
		}
		end := bytes.IndexByte(c.in, '\n') + 1
		if end == 0 {
			if len(c.in) >= maxLine {
				c.say("* BYE Command line is too long\r\n")
				c.doom()
			}
			return 0
		}
		c.line(end)
	}
	if len(c.in) == 0 {
		c.in = nil // an idle connection keeps no buffer
	}
	return 0
}

// hand copies up to n bytes out of c.in.
func (c *conn) hand(b []byte, n int) int {
	n = copy(b, c.in[:n])
	c.in = c.in[n:]
	return n
}

// line looks at the line that c.in begins with and decides what becomes of it.
func (c *conn) line(end int) {
	if c.swallow {
		c.swallowLine(end)
		return
	}
	if c.state == lineDone {
		c.state, c.pass = lineCommand, end
		return
	}
	if c.state == lineCommand {
		tag, verb := splitCommand(c.in[:end])
		c.command = verb
		if c.own(tag, verb, end) {
			return
		}
	}
	c.state, c.pass = lineCommand, end
	size, sync, ok := literal(c.in[:end])
	limit := int64(bufferedLiteral)
	if c.command == "APPEND" {
		limit = c.appendLimit
	}
	switch {
	case !ok && c.command == "IDLE":
		c.state = lineDone
	case !ok:
	case size > limit && c.command != "APPEND":
		// go-imap would wait for more instead of refusing it, and take what comes
		// unasked for commands: it gets a syntax error, the literal goes to nobody.
		open := bytes.LastIndexByte(c.in[:end], '{')
		c.in = append(append(append([]byte(nil), c.in[:open]...), ")\r\n"...), c.in[end:]...)
		c.pass = open + 3
		if !sync {
			c.raw, c.swallow = size, true
		}
	case sync:
		c.state, c.pending = lineAsk, size
		c.asked.Store(false)
	case size > limit:
		// A message too large that comes unasked: go-imap sees one that waits to be
		// asked for, and refuses it; the client sends it all the same, to nobody.
		plus := bytes.LastIndexByte(c.in[:end], '+')
		c.in = append(c.in[:plus], c.in[plus+1:]...)
		c.pass, c.raw, c.swallow = end-1, size, true
	default:
		c.state, c.raw = lineMiddle, size
	}
}

// swallowLine drops a line of a command that was refused, and the literal that follows it unasked.
func (c *conn) swallowLine(end int) {
	size, sync, ok := literal(c.in[:end])
	c.in = c.in[end:]
	c.swallow = ok && !sync
	if c.swallow {
		c.raw = size
	}
	c.state = lineCommand
}

// literal reads the {n} or {n+} at the end of a line (RFC 9051 §4.3, RFC 7888).
func literal(line []byte) (size int64, sync, ok bool) {
	line = bytes.TrimRight(line, "\r\n")
	open := bytes.LastIndexByte(line, '{')
	if open < 0 || len(line) == 0 || line[len(line)-1] != '}' {
		return 0, false, false
	}
	digits := string(line[open+1 : len(line)-1])
	digits, nonSync := strings.CutSuffix(digits, "+")
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, false, false
	}
	return int64(n), !nonSync, true
}

// splitCommand gives a command's tag and its verb in upper case; UID FETCH and its kin count as UID.
func splitCommand(line []byte) (tag, verb string) {
	tag, after, _ := strings.Cut(strings.TrimRight(string(line[:min(len(line), 200)]), "\r\n"), " ")
	verb, _, _ = strings.Cut(after, " ")
	return tag, strings.ToUpper(verb)
}

// own answers the commands that are not for the library.
func (c *conn) own(tag, verb string, end int) bool {
	if tag == "" || strings.ContainsAny(tag, "(){%*\"\\+") {
		return false // no tag: the library says what is wrong
	}
	switch {
	case verb == "ID":
		c.swallowLine(end)
		c.say(`* ID ("name" "vanthu" "vendor" "vanthu")` + "\r\n" + tag + " OK ID completed\r\n")
	case (verb == "LOGIN" || verb == "AUTHENTICATE") && !c.mayLogin():
		c.swallowLine(end)
		c.say(tag + " NO [PRIVACYREQUIRED] Start TLS before logging in\r\n")
	case verb == "STARTTLS" && c.tlsConfig != nil && !c.secure.Load() && !c.authed.Load():
		c.startTLS(tag, end)
	default:
		return false
	}
	return true
}

// say writes an answer of our own; a failure shows at the next read.
func (c *conn) say(s string) {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	c.out = append(c.out, s...)
	if c.flush() != nil {
		c.doom()
	}
}

// SetWriteDeadline is this type's own business: the library's answers do not
// go out when it writes them.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// startTLS answers STARTTLS and does the handshake. Clear text behind the
// command ends the connection: the client could not know the answer yet
// (command injection, RFC 8314 and RFC 9051 §11.1).
func (c *conn) startTLS(tag string, end int) {
	if len(c.in) > end {
		c.in = nil
		c.doom()
		return
	}
	c.in = nil
	c.say(tag + " OK Begin TLS negotiation now\r\n")
	t := tls.Server(c.Conn, c.tlsConfig)
	if c.SetDeadline(time.Now().Add(handshakeTimeout)) != nil || t.Handshake() != nil {
		c.doom()
		return
	}
	_ = c.SetDeadline(time.Now().Add(handshakeTimeout)) // the library sets the next at its next command
	c.setRW(t)
	c.secure.Store(true)
}

// wait begins or ends the waiting for the client. While it lasts, IDLE writes
// from another goroutine, and every line goes out at once.
func (c *conn) wait(begin bool) error {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	c.waiting = begin
	if !begin {
		return nil
	}
	return c.flush()
}

// flush sends what was gathered; the caller holds outMu.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.rw.Write(c.out)
	c.out = c.out[:0]
	if c.waiting {
		c.out = nil // an idle connection keeps no buffer
	}
	return err
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	c.asked.Store(bytes.HasPrefix(b, []byte("+ ")))
	c.outMu.Lock()
	defer c.outMu.Unlock()
	switch c.command {
	case "", "CAPABILITY", "LOGIN", "AUTHENTICATE":
		c.out = append(c.out, c.capabilities(b)...)
	default:
		c.out = append(c.out, b...)
	}
	if c.waiting || len(c.out) >= outBuffer {
		return len(b), c.flush()
	}
	return len(b), nil
}

// capabilities rewrites a CAPABILITY list: ID is ours, and so is whether there
// is TLS and whether one may log in.
func (c *conn) capabilities(b []byte) []byte {
	end := bytes.IndexByte(b, '\r')
	if bracket := bytes.Index(b, []byte("[CAPABILITY ")); bracket >= 0 {
		end = bracket + bytes.IndexByte(b[bracket:], ']')
	} else if !bytes.HasPrefix(b, []byte("* CAPABILITY ")) {
		return b
	}
	if end < 0 {
		return b
	}
	list := string(b[:end]) + " ID"
	if !c.secure.Load() && c.tlsConfig != nil && !c.authed.Load() {
		list += " STARTTLS"
	}
	if !c.mayLogin() {
		list = strings.Replace(list, " AUTH=PLAIN", " LOGINDISABLED", 1)
	}
	return append([]byte(list), b[end:]...)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closed.Do(func() {
		c.leave()
		if c.outMu.TryLock() { // else a write is stuck, and closing ends it
			_ = c.flush()
			c.outMu.Unlock()
		}
		c.rwMu.Lock()
		rw := c.rw
		c.rwMu.Unlock()
		err = rw.Close() // TLS says goodbye first
	})
	return err
}

// setRW changes what plain text goes through.
func (c *conn) setRW(rw net.Conn) {
	c.rwMu.Lock()
	defer c.rwMu.Unlock()
	c.rw = rw
}
