package mail

import "strings"

// maxAddresses bounds the addresses kept of one field.
const maxAddresses = 2000

// EnvelopeAddress is an address as ENVELOPE shows it (RFC 9051 §7.5.2): Name is decoded. An
// entry with Mailbox and no Host opens a group, one with neither closes it.
type EnvelopeAddress struct {
	Name    string `json:"n,omitempty"`
	Mailbox string `json:"m,omitempty"`
	Host    string `json:"h,omitempty"`
}

// String is the address as people read it.
func (a EnvelopeAddress) String() string {
	addr := a.Mailbox
	if a.Host != "" {
		addr += "@" + a.Host
	}
	if a.Name == "" {
		return addr
	}
	return a.Name + " <" + addr + ">"
}

// parseAddressList reads an address list of RFC 5322 §3.4 leniently: what is no
// address is kept as the mailbox name, so that a reader sees something.
func parseAddressList(s string) []EnvelopeAddress {
	p := addressParser{s: s}
	return p.list()
}

// addressParser walks one field once; every step consumes at least one byte.
type addressParser struct {
	s   string
	pos int
	out []EnvelopeAddress
}

func (p *addressParser) list() []EnvelopeAddress {
	inGroup := false
	for p.pos < len(p.s) && len(p.out) < maxAddresses {
		words, angle, stop := p.phrase()
		switch stop {
		case ':': // a group: its name is what came before
			if !inGroup {
				p.out = append(p.out, EnvelopeAddress{Mailbox: decodeWords(words)})
				inGroup = true
			}
			continue
		default:
			p.add(words, angle)
		}
		if stop == ';' && inGroup {
			p.out = append(p.out, EnvelopeAddress{})
			inGroup = false
		}
	}
	if inGroup {
		p.out = append(p.out, EnvelopeAddress{})
	}
	return p.out
}

func (p *addressParser) add(words, angle string) {
	addr, name := angle, words
	if angle == "" {
		addr, name = strings.ReplaceAll(words, " ", ""), ""
		if !strings.Contains(addr, "@") {
			addr = words
		}
	}
	if addr == "" && name == "" {
		return
	}
	a := EnvelopeAddress{Name: decodeWords(name), Mailbox: cleanText(addr)}
	if at := strings.LastIndexByte(addr, '@'); at >= 0 {
		a.Mailbox, a.Host = cleanText(addr[:at]), cleanText(addr[at+1:])
	}
	if a.Host == "" { // a host is required, else the entry would read as a group
		a.Host = "invalid"
	}
	if a.Mailbox == "" {
		a.Mailbox = "unknown"
	}
	p.out = append(p.out, a)
}

// phrase reads up to the next ',', ';' or ':' outside quotes, comments and
// brackets. stop is that byte, 0 at the end.
func (p *addressParser) phrase() (words, angle string, stop byte) {
	var b strings.Builder
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		p.pos++
		switch c {
		case ',', ';', ':':
			return strings.TrimSpace(b.String()), angle, c
		case '"':
			p.quoted(&b)
		case '(':
			p.comment()
		case '<':
			angle = p.angle()
		case '[':
			b.WriteByte(c)
			p.until(']', &b)
		case '\\':
			if p.pos < len(p.s) {
				b.WriteByte(p.s[p.pos])
				p.pos++
			}
		default:
			b.WriteByte(c)
		}
	}
	return strings.TrimSpace(b.String()), angle, 0
}

func (p *addressParser) quoted(b *strings.Builder) {
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		p.pos++
		if c == '"' {
			return
		}
		if c == '\\' && p.pos < len(p.s) {
			c = p.s[p.pos]
			p.pos++
		}
		b.WriteByte(c)
	}
}

func (p *addressParser) comment() {
	depth := 1
	for p.pos < len(p.s) && depth > 0 {
		switch p.s[p.pos] {
		case '\\':
			p.pos++
		case '(':
			depth++
		case ')':
			depth--
		}
		p.pos++
	}
	p.pos = min(p.pos, len(p.s))
}

// angle reads <…>, without a source route (RFC 5322 §4.4).
func (p *addressParser) angle() string {
	var b strings.Builder
	p.until('>', &b)
	s := strings.TrimSuffix(b.String(), ">")
	if strings.HasPrefix(s, "@") {
		if _, after, ok := strings.Cut(s, ":"); ok {
			s = after
		}
	}
	return strings.TrimSpace(s)
}

func (p *addressParser) until(end byte, b *strings.Builder) {
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		p.pos++
		if c == '"' && end == '>' {
			p.quoted(b)
			continue
		}
		b.WriteByte(c)
		if c == end {
			return
		}
	}
}
