package mail

import "strings"

// Part is one entity of a message's MIME structure (RFC 2045), as it was parsed
// when the message was stored. Offsets count bytes of the blob: [HeaderStart,
// BodyStart) is the entity's header with its blank line, [BodyStart, End) its body.
type Part struct {
	Type        string            `json:"t"` // lower case
	Subtype     string            `json:"s"` // lower case
	Params      map[string]string `json:"p,omitempty"`
	ID          string            `json:"i,omitempty"`
	Description string            `json:"d,omitempty"`
	Encoding    string            `json:"c,omitempty"` // Content-Transfer-Encoding, lower case, empty means 7bit
	MD5         string            `json:"m,omitempty"`
	Disposition string            `json:"x,omitempty"`
	DispParams  map[string]string `json:"y,omitempty"`
	Language    []string          `json:"g,omitempty"`
	Location    string            `json:"u,omitempty"`
	HeaderStart int64             `json:"h"`
	BodyStart   int64             `json:"b"`
	End         int64             `json:"e"`
	Lines       int64             `json:"l"` // line ends in the body
	// Envelope is set for the root of a message inside a message/rfc822 part.
	Envelope *MessageEnvelope `json:"n,omitempty"`
	// Children are the parts of a multipart, or the one message inside a message/rfc822 part.
	Children []*Part `json:"k,omitempty"`
}

// Multipart reports whether the part holds parts.
func (p *Part) Multipart() bool { return p.Type == "multipart" }

// Message reports whether the part holds a message that was parsed.
func (p *Part) Message() bool { return p.Type == "message" && len(p.Children) == 1 }

// Size is the body's size in bytes, as encoded.
func (p *Part) Size() int64 { return p.End - p.BodyStart }

// Filename is the decoded name of an attachment, empty when it has none.
func (p *Part) Filename() string {
	if name := paramValue(p.DispParams, "filename"); name != "" {
		return name
	}
	return paramValue(p.Params, "name")
}

// Attachment reports whether people would call the part an attachment.
func (p *Part) Attachment() bool {
	switch {
	case p.Multipart():
		return false
	case p.Disposition == "attachment":
		return true
	case p.Type == "text" || p.Disposition == "inline":
		return false
	default:
		return p.Filename() != "" || p.Type == "message" || p.Type == "application"
	}
}

// walk calls f for the part and all parts in it.
func (p *Part) walk(f func(*Part)) {
	f(p)
	for _, c := range p.Children {
		c.walk(f)
	}
}

// find resolves an IMAP section path (RFC 9051 §6.4.5.1). inner is the root of
// the message inside, when the part found is a message (or the path is empty).
func (p *Part) find(path []int) (part, inner *Part) {
	cur, root := p, true
	for _, n := range path {
		if !root && cur.Message() {
			cur, root = cur.Children[0], true
		}
		switch {
		case cur.Multipart():
			if n < 1 || n > len(cur.Children) {
				return nil, nil
			}
			cur, root = cur.Children[n-1], false
		case root && n == 1:
			root = false // the only part of a message that is no multipart
		default:
			return nil, nil
		}
	}
	if root {
		return cur, cur
	}
	if cur.Message() {
		return cur, cur.Children[0]
	}
	return cur, nil
}

// paramValue decodes a MIME parameter: plain, RFC 2047 (common though wrong) or
// RFC 2231 with charset and continuations.
func paramValue(params map[string]string, name string) string {
	if v, ok := params[name+"*"]; ok {
		return decode2231(v)
	}
	if v, ok := params[name]; ok {
		return decodeWords(v)
	}
	var b strings.Builder
	extended := false
	for i := range maxContinuations {
		key := name + "*" + itoa(i)
		if v, ok := params[key]; ok {
			b.WriteString(v)
		} else if v, ok := params[key+"*"]; ok {
			extended = true
			b.WriteString(v)
		} else {
			break
		}
	}
	if extended {
		return decode2231(b.String())
	}
	return decodeWords(b.String())
}
