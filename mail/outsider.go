package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// CheckOutsider says whether a client that did not log in may use an address
// as envelope sender: ErrSpoofed when it is in our domains, whose accounts send
// through submission. The null reverse-path (bounces, RFC 5321 §4.5.5) may be used.
func (s *Store) CheckOutsider(sender Address) error {
	if s.IsLocal(sender) {
		return fmt.Errorf("%s: %w", sender, ErrSpoofed)
	}
	return nil
}

// Receive is Deliver for a message from a client that did not log in (another
// server, MX): neither the envelope's sender nor an author in From may be in our
// domains, whatever the envelope says. The lines of r end in CRLF (LineReader
// sees to it). Errors as Deliver, and ErrSpoofed, and ErrInvalid when the header
// is too long to be looked at; nothing was kept then.
func (s *Store) Receive(ctx context.Context, env Envelope, r io.Reader) ([]Delivered, error) {
	if err := s.CheckOutsider(env.From); err != nil {
		return nil, fmt.Errorf("receiving: %w", err)
	}
	head, err := readHead(&limitedReader{r: r, left: s.maxMessage})
	if err != nil {
		return nil, fmt.Errorf("receiving: %w", err)
	}
	if d := s.authorDomain(head); d != "" {
		return nil, fmt.Errorf("receiving: author in %s: %w", d, ErrSpoofed)
	}
	return s.Deliver(ctx, env, io.MultiReader(bytes.NewReader(head), r))
}

// readHead reads until it has the whole header of a message, its blank line
// included, or the whole message when it has none; some of the body may follow.
func readHead(r io.Reader) ([]byte, error) {
	head := make([]byte, 0, 4<<10)
	for {
		if len(head) == cap(head) {
			head = append(head, 0)[:len(head)]
		}
		seen := max(len(head)-3, 0)
		n, err := r.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return nil, err
		}
		if ended || bytes.HasPrefix(head, []byte("\r\n")) || bytes.Contains(head[seen:], []byte("\r\n\r\n")) {
			return head, nil
		}
		if len(head) >= maxHeaderBlock {
			return nil, fmt.Errorf("%w: the header is longer than %d bytes", ErrInvalid, maxHeaderBlock)
		}
	}
}

// authorDomain is the first of our domains that an address in a From field of
// the header has, or empty. It reads more strictly than the parser, which takes one address
// of a broken mailbox where another reader may take the other: every @ outside
// quotes and comments counts.
func (s *Store) authorDomain(head []byte) string {
	if bytes.HasPrefix(head, []byte("\r\n")) {
		return "" // no header
	}
	if end := bytes.Index(head, []byte("\r\n\r\n")); end >= 0 {
		head = head[:end+2]
	}
	for len(head) > 0 {
		var field []byte
		field, head = nextField(head)
		name, value, ok := bytes.Cut(field, []byte{':'})
		if !ok || !strings.EqualFold(strings.Trim(string(name), " \t\r\n"), "from") {
			continue
		}
		parts := strings.Split(unquoted(stripComments(unfold(value))), "@")
		for _, after := range parts[1:] {
			if d := s.ourDomain(after); d != "" {
				return d
			}
		}
	}
	return ""
}

// unquoted drops the quoted strings of a field (RFC 5322 §3.2.4). A quote that
// is never closed hides nothing.
func unquoted(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, `"`)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		end := 0
		for end < len(after) && after[end] != '"' {
			if after[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(after) {
			b.WriteString(after)
			return b.String()
		}
		s = after[end+1:]
	}
}

// maxDomainWords bounds the pieces of one domain that blanks part.
const maxDomainWords = 32

// ourDomain is the domain of ours that a text behind an @ begins with, or
// empty. Blanks may stand inside a domain (RFC 5322 §4.4) or end it.
func (s *Store) ourDomain(after string) string {
	if end := strings.IndexAny(after, "<>,;:\"\\"); end >= 0 {
		after = after[:end]
	}
	words := strings.Fields(after)
	for n := range min(len(words), maxDomainWords) {
		if d, err := normalDomain(strings.Join(words[:n+1], "")); err == nil && s.domains[d] {
			return d
		}
	}
	return ""
}
