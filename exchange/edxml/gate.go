package edxml

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// contentElement is the element whose text is an attachment in Base64.
const contentElement = "ContentTransferEncoded"

// gate stands between foreign bytes and the XML decoder. The decoder collects a whole tag, comment or text before it
// gives it out; the gate lets none through that is longer than the limits, refuses every "<!" that is neither comment
// nor CDATA, and leads the text of attachments past the decoder, so that a packet of any size is read in bounded memory.
type gate struct {
	r       *bufio.Reader
	limits  Limits
	content func(text io.Reader) error // takes the text of one ContentTransferEncoded, up to the next "<"
	ready   []byte                     // bytes that the decoder may have
	run     int                        // length of the text since the last tag
	passed  int64                      // bytes that the decoder has been given
	began   bool                       // the first tag has been seen
	divert  bool                       // the next text is an attachment
	failed  error                      // of reading or of the temporary files: not the packet's fault
}

// Read gives the decoder the next bytes.
func (g *gate) Read(p []byte) (int, error) {
	for len(g.ready) == 0 {
		if err := g.fill(); err != nil {
			if AsRefusal(err) == nil && !errors.Is(err, io.EOF) {
				g.failed = err
			}
			return 0, err
		}
	}
	n := copy(p, g.ready)
	g.ready = g.ready[n:]
	if g.passed += int64(n); g.passed > g.limits.Header {
		return 0, refuse(TooLarge, "", "the packet has more than %d bytes beside its attachments", g.limits.Header)
	}
	return n, nil
}

func (g *gate) fill() error {
	if g.divert {
		g.divert = false
		return g.content(&contentText{r: g.r})
	}
	next, err := g.r.Peek(1)
	if err != nil {
		return err
	}
	if next[0] != '<' {
		return g.text()
	}
	g.run = 0
	return g.markup()
}

// text lets text through up to the next "<" or the end of the buffer.
func (g *gate) text() error {
	if _, err := g.r.Peek(1); err != nil {
		return err
	}
	chunk, err := g.r.Peek(g.r.Buffered())
	if err != nil {
		return err
	}
	if i := bytes.IndexByte(chunk, '<'); i >= 0 {
		chunk = chunk[:i]
	}
	if !g.began && len(bytes.TrimSpace(chunk)) > 0 {
		return refuse(Malformed, "", "there are bytes before the XML begins")
	}
	if g.run += len(chunk); g.run > g.limits.Text {
		return refuse(TooLarge, "", "a text is longer than %d bytes", g.limits.Text)
	}
	g.ready = bytes.Clone(chunk)
	_, err = g.r.Discard(len(chunk))
	return err
}

func (g *gate) markup() error {
	g.began = true
	head, err := g.r.Peek(9)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte("<!--")):
		return g.until("<!--", "-->")
	case bytes.HasPrefix(head, []byte("<![CDATA[")):
		return g.until("<![CDATA[", "]]>")
	case bytes.HasPrefix(head, []byte("<!")):
		return refuse(Doctype, "", "a DOCTYPE or declaration has no place in a packet")
	case bytes.HasPrefix(head, []byte("<?")):
		return g.until("<?", "?>")
	}
	return g.tag()
}

// until lets one piece of markup through, from its opening to its closing mark.
func (g *gate) until(opening, closing string) error {
	piece := make([]byte, 0, 128)
	for {
		b, err := g.r.ReadByte()
		if err != nil {
			return truncated(err)
		}
		if piece = append(piece, b); len(piece) > g.limits.Text {
			return refuse(TooLarge, "", "a comment, instruction or CDATA section is longer than %d bytes", g.limits.Text)
		}
		if b == closing[len(closing)-1] && len(piece) >= len(opening)+len(closing) && bytes.HasSuffix(piece, []byte(closing)) {
			g.ready = piece
			return nil
		}
	}
}

// tag lets one tag through and remembers whether an attachment's text follows.
func (g *gate) tag() error {
	piece := make([]byte, 0, 128)
	quote := byte(0)
	for {
		b, err := g.r.ReadByte()
		if err != nil {
			return truncated(err)
		}
		if piece = append(piece, b); len(piece) > g.limits.Text {
			return refuse(TooLarge, "", "a tag is longer than %d bytes", g.limits.Text)
		}
		switch {
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '"' || b == '\'':
			quote = b
		case b == '>':
			g.ready = piece
			opens, closed := opensContent(piece)
			if g.divert = opens && !closed; opens && closed {
				return g.content(bytes.NewReader(nil))
			}
			return nil
		}
	}
}

// opensContent tells whether a tag opens an attachment's text, and whether it closes itself and so has none.
func opensContent(tag []byte) (opens, closed bool) {
	name := tag[1 : len(tag)-1]
	name, closed = bytes.CutSuffix(name, []byte("/"))
	if i := bytes.IndexAny(name, " \t\r\n"); i >= 0 {
		name = name[:i]
	}
	if len(name) > 0 && name[0] == '/' {
		return false, false
	}
	if i := bytes.LastIndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	return string(name) == contentElement, closed
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return refuse(Malformed, "", "the packet ends in the middle of a tag")
	}
	return err
}

// contentText reads the Base64 text of an attachment up to the next "<", leaving blanks out. Nothing but padding may
// follow padding: what comes after the end of a Base64 text would be read differently by every reader.
type contentText struct {
	r      *bufio.Reader
	padded bool
}

// Read gives Base64 characters.
func (c *contentText) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		b, err := c.r.ReadByte()
		if err != nil {
			if n > 0 && errors.Is(err, io.EOF) {
				return n, nil
			}
			return n, err
		}
		switch {
		case b == '<':
			if err := c.r.UnreadByte(); err != nil {
				return n, err
			}
			if n > 0 {
				return n, nil
			}
			return 0, io.EOF
		case b == ' ' || b == '\t' || b == '\r' || b == '\n':
		case c.padded && b != '=':
			return n, refuse(BadBase64, contentElement, "goes on after its padding")
		default:
			c.padded = c.padded || b == '='
			p[n] = b
			n++
		}
	}
	return n, nil
}
