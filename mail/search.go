package mail

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"vanthu/storage/blob"
)

// Query is a search. All of its fields must hold; zero fields do not matter.
type Query struct {
	UIDs      []UIDSet // in each of these sets
	With      Flags    // all of these
	Without   Flags    // none of these
	Keywords  []string
	NoKeyword []string
	// Received and sent days; only the date counts (RFC 9051 §6.4.4). Before is exclusive.
	Since, Before         time.Time
	SentSince, SentBefore time.Time
	Larger, Smaller       *int64
	Header                []HeaderQuery
	Body                  []string // in the text of the body
	Text                  []string // in the header or the body
	Not                   []Query
	Or                    [][2]Query
}

// HeaderQuery asks for a header field that contains Value; an empty Value asks that the field is there.
type HeaderQuery struct{ Name, Value string }

// within narrows what is read to the query's own sets.
func (q *Query) within() UIDSet {
	if len(q.UIDs) == 0 {
		return UIDSet{{1, MaxUID}}
	}
	return q.UIDs[0]
}

// Search returns the UIDs of the messages that match, in order.
func (s *Store) Search(ctx context.Context, id MailboxID, q *Query) ([]UID, error) {
	var found []UID
	err := s.Messages(ctx, id, q.within(), true, func(m *Message) error {
		c := candidate{store: s, msg: m}
		ok, err := c.matches(ctx, q)
		if err == nil && ok {
			found = append(found, m.UID)
		}
		return err
	})
	return found, err
}

// candidate is a message that is being looked at; its text is loaded once, and
// only when a query needs it.
type candidate struct {
	store  *Store
	msg    *Message
	loaded bool
	header map[string][]string // folded values by lower-case name
	text   []string            // folded texts of the body
}

func (c *candidate) matches(ctx context.Context, q *Query) (bool, error) {
	if !c.matchesRow(q) {
		return false, nil
	}
	for i := range q.Header {
		if ok, err := c.matchesHeader(ctx, &q.Header[i]); err != nil || !ok {
			return false, err
		}
	}
	if len(q.Body)+len(q.Text) > 0 {
		if err := c.load(ctx); err != nil {
			return false, err
		}
		if !c.matchesText(q) {
			return false, nil
		}
	}
	for i := range q.Not {
		ok, err := c.matches(ctx, &q.Not[i])
		if err != nil || ok {
			return false, err
		}
	}
	for i := range q.Or {
		ok, err := c.matches(ctx, &q.Or[i][0])
		if err == nil && !ok {
			ok, err = c.matches(ctx, &q.Or[i][1])
		}
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (c *candidate) matchesRow(q *Query) bool {
	m := c.msg
	for _, set := range q.UIDs {
		if !set.Contains(m.UID) {
			return false
		}
	}
	if m.Flags&q.With != q.With || m.Flags&q.Without != 0 {
		return false
	}
	for _, w := range q.Keywords {
		if !hasKeyword(m.Keywords, w) {
			return false
		}
	}
	for _, w := range q.NoKeyword {
		if hasKeyword(m.Keywords, w) {
			return false
		}
	}
	if q.Larger != nil && m.Size <= *q.Larger || q.Smaller != nil && m.Size >= *q.Smaller {
		return false
	}
	return inDays(m.Received, q.Since, q.Before) &&
		((q.SentSince.IsZero() && q.SentBefore.IsZero()) || !m.Summary.Sent.IsZero() && inDays(m.Summary.Sent, q.SentSince, q.SentBefore))
}

// inDays compares days without regard to time or zone (RFC 9051 §6.4.4).
func inDays(t, since, before time.Time) bool {
	day := func(t time.Time) int { return t.Year()*1000 + t.YearDay() }
	return (since.IsZero() || day(t) >= day(since)) && (before.IsZero() || day(t) < day(before))
}

// matchesHeader looks at what was parsed when the message was stored, and at
// the message itself only for other fields.
func (c *candidate) matchesHeader(ctx context.Context, h *HeaderQuery) (bool, error) {
	name, needle := strings.ToLower(h.Name), foldText(h.Value)
	if name == "subject" && needle != "" {
		return strings.Contains(foldText(c.msg.Summary.Subject), needle), nil
	}
	content, err := c.store.Content(ctx, c.msg.Digest)
	if err != nil {
		return false, err
	}
	e := &content.Envelope
	if list, ok := map[string][]EnvelopeAddress{"from": e.From, "to": e.To, "cc": e.Cc, "bcc": e.Bcc}[name]; ok && needle != "" {
		return slices.ContainsFunc(list, func(a EnvelopeAddress) bool { return strings.Contains(foldText(a.String()), needle) }), nil
	}
	if err := c.load(ctx); err != nil {
		return false, err
	}
	values, ok := c.header[name]
	return ok && containsAny(values, needle), nil
}

func (c *candidate) matchesText(q *Query) bool {
	for _, w := range q.Body {
		if !containsAny(c.text, foldText(w)) {
			return false
		}
	}
	for _, w := range q.Text {
		needle := foldText(w)
		if containsAny(c.text, needle) {
			continue
		}
		found := false
		for _, values := range c.header {
			found = found || containsAny(values, needle)
		}
		if !found {
			return false
		}
	}
	return true
}

func containsAny(texts []string, needle string) bool {
	return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, needle) })
}

// maxSearchedText bounds the text of one part that a search looks at, in bytes.
const maxSearchedText = 2 << 20

// load reads the message's header and texts, folded for comparison.
func (c *candidate) load(ctx context.Context) error {
	if c.loaded {
		return nil
	}
	c.loaded, c.header = true, make(map[string][]string)
	content, err := c.store.Content(ctx, c.msg.Digest)
	if err != nil {
		return err
	}
	data, err := blob.ReadAll(ctx, c.store.blobs, c.msg.Digest, c.store.maxMessage)
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrCorrupt) {
		return nil // a damaged message matches no text; check reports it
	}
	if err != nil {
		return err
	}
	root := content.Structure
	add := func(name, value string) {
		c.header[name] = append(c.header[name], foldText(decodeWords(value)))
	}
	headerFields([]byte(c.msg.Prefix), add)
	headerFields(data[:min(root.BodyStart, maxHeaderBlock)], add)
	root.walk(func(p *Part) {
		if p != root && p.Envelope != nil || p.Type != "text" && p != root {
			headerFields(data[p.HeaderStart:min(p.BodyStart, p.HeaderStart+maxHeaderBlock)], func(_, value string) {
				c.text = append(c.text, foldText(decodeWords(value)))
			})
		}
		if p.Type == "text" {
			raw := data[p.BodyStart:min(p.End, p.BodyStart+maxSearchedText)]
			c.text = append(c.text, foldText(decodedText(p, raw)))
		}
	})
	return nil
}

// foldText brings text into the form that is compared: NFC, lower case, one
// blank for a line end.
func foldText(s string) string {
	b := make([]byte, 0, len(s))
	ascii := true
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c >= 'A' && c <= 'Z':
				c += 'a' - 'A'
			case c == '\r' && i < len(s) && s[i] == '\n':
				continue
			case c < ' ':
				c = ' '
			}
			b = append(b, c)
			continue
		}
		ascii = false
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		b = utf8.AppendRune(b, unicode.ToLower(r))
	}
	if !ascii && !norm.NFC.IsNormal(b) {
		b = norm.NFC.Bytes(b)
	}
	return string(b)
}

// ReadText returns the first text of a message as plain UTF-8, at most limit
// bytes of it, for people to read.
func (s *Store) ReadText(ctx context.Context, m *Message, limit int64) (string, error) {
	c, err := s.Content(ctx, m.Digest)
	if err != nil {
		return "", err
	}
	var part *Part
	c.Structure.walk(func(p *Part) {
		if p.Type != "text" || p.Disposition == "attachment" {
			return
		}
		if part == nil || part.Subtype == "html" && p.Subtype == "plain" {
			part = p
		}
	})
	if part == nil {
		return "", nil
	}
	rc, err := s.openSpan(ctx, m.Digest, span{start: part.BodyStart, end: part.End})
	if err != nil {
		return "", err
	}
	defer rc.Close() //nolint:errcheck // memory
	raw, err := io.ReadAll(io.LimitReader(rc, limit))
	if err != nil {
		return "", err
	}
	return decodedText(part, bytes.TrimRight(raw, "\r\n")), nil
}
