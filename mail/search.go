package mail

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/cases"

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
	fold := cases.Fold()
	err := s.Messages(ctx, id, q.within(), true, func(m *Message) error {
		c := candidate{store: s, msg: m, fold: &fold}
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
	fold   *cases.Caser
	loaded bool
	header map[string][]string // folded values by lower-case name
	text   []string            // folded texts of the body
}

func (c *candidate) matches(ctx context.Context, q *Query) (bool, error) {
	if !c.matchesRow(q) {
		return false, nil
	}
	if len(q.Header)+len(q.Body)+len(q.Text) > 0 {
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

func (c *candidate) matchesText(q *Query) bool {
	for _, h := range q.Header {
		values, ok := c.header[strings.ToLower(h.Name)]
		if !ok || !containsAny(values, c.fold.String(cleanText(h.Value))) {
			return false
		}
	}
	for _, w := range q.Body {
		if !containsAny(c.text, c.fold.String(cleanText(w))) {
			return false
		}
	}
	for _, w := range q.Text {
		needle := c.fold.String(cleanText(w))
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
		c.header[name] = append(c.header[name], c.fold.String(decodeWords(value)))
	}
	headerFields([]byte(c.msg.Prefix), add)
	headerFields(data[:min(root.BodyStart, maxHeaderBlock)], add)
	root.walk(func(p *Part) {
		if p != root && p.Envelope != nil || p.Type != "text" && p != root {
			headerFields(data[p.HeaderStart:min(p.BodyStart, p.HeaderStart+maxHeaderBlock)], func(_, value string) {
				c.text = append(c.text, c.fold.String(decodeWords(value)))
			})
		}
		if p.Type == "text" {
			raw := data[p.BodyStart:min(p.End, p.BodyStart+maxSearchedText)]
			c.text = append(c.text, c.fold.String(oneLine(decodedText(p, raw))))
		}
	})
	return nil
}

// oneLine brings text into the form of a search string: NFC, blanks for line ends.
func oneLine(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		for len(line) > maxText { // cleanText takes bounded lines
			b.WriteString(cleanText(line[:maxText]))
			line = line[maxText:]
		}
		b.WriteString(strings.TrimRight(cleanText(line), " "))
		b.WriteByte(' ')
	}
	return b.String()
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
