package mail

import (
	"bytes"
	"strings"
	"time"
)

// Bounds of the message parser. What lies beyond them is kept in the blob and
// served as bytes; only its structure is not looked at.
const (
	maxParts       = 1000      // entities in one message
	maxDepth       = 40        // entities inside entities
	maxHeaderBlock = 256 << 10 // bytes of one entity's header that are parsed
	maxAllHeaders  = 4 << 20   // bytes of all headers together that are parsed
	maxBoundary    = 256       // bytes of a boundary; RFC 2046 §5.1.1 allows 70
	maxLinePiece   = 4 << 10   // bytes of a line that are looked at as one piece
	previewBytes   = 8 << 10   // bytes of the first text that the preview is made of
	previewRunes   = 160
)

// MessageEnvelope is what ENVELOPE shows (RFC 9051 §7.5.2), decoded.
type MessageEnvelope struct {
	Date      time.Time         `json:"d,omitzero"`
	Subject   string            `json:"s,omitempty"`
	From      []EnvelopeAddress `json:"f,omitempty"`
	Sender    []EnvelopeAddress `json:"e,omitempty"`
	ReplyTo   []EnvelopeAddress `json:"r,omitempty"`
	To        []EnvelopeAddress `json:"t,omitempty"`
	Cc        []EnvelopeAddress `json:"c,omitempty"`
	Bcc       []EnvelopeAddress `json:"b,omitempty"`
	InReplyTo []string          `json:"i,omitempty"`
	MessageID string            `json:"m,omitempty"`
}

// Parsed is what is kept of a message beside its bytes.
type Parsed struct {
	Envelope  MessageEnvelope
	Structure *Part
	Preview   string
	// Received counts the Received fields of the message's own header: the hops so far (RFC 5321 §6.3).
	Received int
	// Has tells which fields the message's header has; used to complete a submission (RFC 6409 §8).
	HasDate, HasMessageID, HasFrom bool
	Size                           int64
}

// Parser reads a message that is written to it, in one pass and bounded memory,
// whatever the message is: there is no message it refuses (RFC 5321 §2.3.1: the
// server does not judge content). Call Finish after the last Write.
type Parser struct {
	stack   []*entity
	root    *Part
	out     Parsed
	line    []byte // the current line piece
	cont    bool   // the piece continues a line longer than maxLinePiece
	offset  int64  // bytes handed to feed so far
	lines   int64  // line ends so far
	parts   int
	headers int
	lastEnd int // length of the line end before the current line
	text    textSample
}

// entity is a part that is still open.
type entity struct {
	part      *Part
	inHeader  bool
	header    []byte
	boundary  string // set while a multipart waits for its delimiter
	bodyLines int64
	isRoot    bool // the root of a message, which has an envelope
}

// textSample gathers the start of the first text for the preview.
type textSample struct {
	part *Part
	raw  []byte
}

// NewParser returns a parser for one message.
func NewParser() *Parser {
	p := &Parser{root: &Part{}}
	p.push(p.root, true)
	return p
}

func (p *Parser) push(part *Part, isRoot bool) {
	part.HeaderStart = p.offset
	p.parts++
	p.stack = append(p.stack, &entity{part: part, inHeader: true, isRoot: isRoot})
}

// Write takes the next bytes of the message. It never fails.
func (p *Parser) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		nl := bytes.IndexByte(b, '\n')
		piece := b
		if nl >= 0 {
			piece = b[:nl+1]
		}
		if room := maxLinePiece - len(p.line); len(piece) > room {
			piece = piece[:room]
		}
		b = b[len(piece):]
		ended := piece[len(piece)-1] == '\n'
		if len(p.line) == 0 && ended {
			p.feed(piece, true)
			continue
		}
		p.line = append(p.line, piece...)
		if ended || len(p.line) == maxLinePiece {
			p.feed(p.line, ended)
			p.line = p.line[:0]
		}
	}
	return n, nil
}

// feed takes one line, or a piece of a long one.
func (p *Parser) feed(line []byte, ended bool) {
	whole := !p.cont
	p.cont = !ended
	if whole && p.delimiter(line) {
		p.advance(line, ended)
		return
	}
	top := p.stack[len(p.stack)-1]
	if !top.inHeader {
		p.sample(top.part, line)
		p.advance(line, ended)
		return
	}
	if whole && blank(line) {
		p.advance(line, ended)
		p.endHeader(top)
		return
	}
	if len(top.header) < maxHeaderBlock && p.headers < maxAllHeaders {
		top.header = append(top.header, line...)
		p.headers += len(line)
	}
	p.advance(line, ended)
}

func blank(line []byte) bool {
	return len(line) == 1 && line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n'
}

// advance counts a line as read.
func (p *Parser) advance(line []byte, ended bool) {
	p.offset += int64(len(line))
	p.lastEnd = 0
	if ended {
		p.lines++
		p.lastEnd = 1
		if len(line) > 1 && line[len(line)-2] == '\r' {
			p.lastEnd = 2
		}
	}
}

// delimiter handles a line that is a boundary of an open multipart (RFC 2046
// §5.1.1). The innermost match wins; parts left open inside end here.
func (p *Parser) delimiter(line []byte) bool {
	if len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return false
	}
	text := string(bytes.TrimRight(line[2:], " \t\r\n"))
	for i := len(p.stack) - 1; i >= 0; i-- {
		e := p.stack[i]
		if e.boundary == "" || e.inHeader || !strings.HasPrefix(text, e.boundary) {
			continue
		}
		switch text[len(e.boundary):] {
		case "":
			p.closeAbove(i, true)
			if p.parts >= maxParts {
				e.boundary = "" // the rest is kept as this part's epilogue
				return true
			}
			child := &Part{}
			e.part.Children = append(e.part.Children, child)
			p.push(child, false)
			child.HeaderStart = p.offset + int64(len(line))
			return true
		case "--":
			p.closeAbove(i, true)
			e.boundary = ""
			return true
		}
	}
	return false
}

// closeAbove ends every part inside stack[i]. The line end before a delimiter
// belongs to the delimiter.
func (p *Parser) closeAbove(i int, beforeDelimiter bool) {
	for len(p.stack) > i+1 {
		p.close(beforeDelimiter)
	}
}

// close ends the innermost open part at the current offset.
func (p *Parser) close(beforeDelimiter bool) {
	e := p.stack[len(p.stack)-1]
	if e.inHeader { // no blank line: the header is all there is
		p.endHeaderAt(e, p.offset)
		if top := p.stack[len(p.stack)-1]; top != e {
			p.close(beforeDelimiter)
		}
	}
	p.stack = p.stack[:len(p.stack)-1]
	end, lines := p.offset, p.lines-e.bodyLines
	if beforeDelimiter && end-int64(p.lastEnd) >= e.part.BodyStart && p.lastEnd > 0 {
		end -= int64(p.lastEnd)
		lines--
	}
	e.part.End, e.part.Lines = max(end, e.part.BodyStart), max(lines, 0)
	if n := len(e.part.Children); n > 0 { // an inner header's blank line may be the delimiter's line end
		e.part.End = max(e.part.End, e.part.Children[n-1].End)
	}
	if e.part.Multipart() && len(e.part.Children) == 0 {
		// BODYSTRUCTURE has no form for a multipart without parts: show one empty text, as RFC 2045 §5.2's default.
		e.part.Children = []*Part{{Type: "text", Subtype: "plain", HeaderStart: e.part.End, BodyStart: e.part.End, End: e.part.End}}
	}
}

func (p *Parser) endHeader(e *entity) { p.endHeaderAt(e, p.offset) }

// endHeaderAt parses the header of e, whose body starts at the given offset,
// and opens the message inside a message/rfc822 part.
func (p *Parser) endHeaderAt(e *entity, bodyStart int64) {
	e.inHeader = false
	e.part.BodyStart = bodyStart
	e.bodyLines = p.lines
	h := entityHeader{part: e.part, root: e.isRoot, parsed: &p.out, top: e.part == p.root}
	h.parse(e.header)
	e.header = nil
	if e.isRoot {
		if h.top {
			p.out.Envelope = h.envelope
		} else {
			env := h.envelope
			e.part.Envelope = &env
		}
	}
	p.defaultType(e)
	tooDeep := len(p.stack) >= maxDepth || p.parts >= maxParts
	switch {
	case e.part.Multipart():
		e.boundary = e.part.Params["boundary"]
		if e.boundary == "" || len(e.boundary) > maxBoundary || tooDeep {
			e.boundary = ""
			opaque(e.part)
		}
	case e.part.Type == "message" && (e.part.Subtype == "rfc822" || e.part.Subtype == "global"):
		if tooDeep || !identity(e.part.Encoding) {
			opaque(e.part)
			return
		}
		child := &Part{}
		e.part.Children = []*Part{child}
		p.push(child, true)
	}
}

// defaultType gives a part without a usable Content-Type the default of its place (RFC 2046 §5.1.5).
func (p *Parser) defaultType(e *entity) {
	if e.part.Type != "" {
		return
	}
	e.part.Type, e.part.Subtype = "text", "plain"
	if n := len(p.stack); n >= 2 && !e.isRoot {
		if up := p.stack[n-2].part; up.Type == "multipart" && up.Subtype == "digest" {
			e.part.Type, e.part.Subtype = "message", "rfc822"
		}
	}
}

// opaque turns a part whose inside is not looked at into plain bytes, so that
// BODYSTRUCTURE stays well-formed.
func opaque(part *Part) {
	part.Type, part.Subtype = "application", "octet-stream"
}

func identity(encoding string) bool {
	return encoding == "" || encoding == "7bit" || encoding == "8bit" || encoding == "binary"
}

// sample keeps the start of the first text part; plain text is preferred to HTML.
func (p *Parser) sample(part *Part, line []byte) {
	if part.Type != "text" || part.Disposition == "attachment" {
		return
	}
	t := &p.text
	switch {
	case t.part == nil, t.part != part && t.part.Subtype == "html" && part.Subtype == "plain":
		t.part, t.raw = part, t.raw[:0]
	case t.part != part:
		return
	}
	if room := previewBytes - len(t.raw); room > 0 {
		t.raw = append(t.raw, line[:min(room, len(line))]...)
	}
}

// Finish ends the message and returns what was found. The parser is used up.
func (p *Parser) Finish() *Parsed {
	if len(p.line) > 0 {
		p.feed(p.line, false)
		p.line = nil
	}
	for len(p.stack) > 0 {
		p.close(false)
	}
	p.out.Structure = p.root
	p.out.Size = p.offset
	p.out.Preview = p.text.preview()
	return &p.out
}

// Parse parses a whole message held in memory.
func Parse(msg []byte) *Parsed {
	p := NewParser()
	_, _ = p.Write(msg) // never fails
	return p.Finish()
}
