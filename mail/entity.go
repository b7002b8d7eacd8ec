package mail

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"strings"
)

// entityHeader fills a part, and an envelope where the entity is a message,
// from a header block. Of a field that stands twice the first counts, except
// address lists, which are joined.
type entityHeader struct {
	part     *Part
	root     bool // the entity is a message
	top      bool // it is the outermost message
	parsed   *Parsed
	envelope MessageEnvelope
	typed    bool
}

func (h *entityHeader) parse(block []byte) {
	headerFields(block, func(name, value string) {
		if strings.HasPrefix(name, "content-") {
			h.content(name, value)
			return
		}
		if h.root {
			h.message(name, value)
		}
	})
}

func (h *entityHeader) content(name, value string) {
	switch name {
	case "content-type":
		if h.typed {
			return
		}
		h.typed = true
		v, params := parseParams(value)
		typ, sub, ok := strings.Cut(v, "/")
		typ, sub = strings.TrimSpace(typ), strings.TrimSpace(sub)
		if !ok || !token(typ) || !token(sub) {
			return // unreadable: the default of the place (RFC 2045 §5.2)
		}
		h.part.Type, h.part.Subtype, h.part.Params = typ, sub, params
	case "content-transfer-encoding":
		setOnce(&h.part.Encoding, strings.ToLower(strings.TrimSpace(stripComments(value))), 64)
	case "content-id":
		setOnce(&h.part.ID, value, 998)
	case "content-description":
		setOnce(&h.part.Description, value, 998)
	case "content-md5":
		setOnce(&h.part.MD5, value, 64)
	case "content-location":
		setOnce(&h.part.Location, value, 998)
	case "content-disposition":
		if h.part.Disposition == "" {
			v, params := parseParams(value)
			if token(v) {
				h.part.Disposition, h.part.DispParams = v, params
			}
		}
	case "content-language":
		for lang := range strings.SplitSeq(stripComments(value), ",") {
			if lang = strings.TrimSpace(lang); lang != "" && token(lang) && len(h.part.Language) < 16 {
				h.part.Language = append(h.part.Language, lang)
			}
		}
	}
}

func setOnce(dst *string, value string, limit int) {
	if *dst == "" {
		*dst = sanitizeLine(strings.ToValidUTF8(value, "\ufffd"), limit)
	}
}

// token reports whether s is a token of RFC 2045 §5.1, of bounded length.
func token(s string) bool {
	if s == "" || len(s) > 127 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return true
}

func (h *entityHeader) message(name, value string) {
	e := &h.envelope
	switch name {
	case "date":
		if e.Date.IsZero() {
			e.Date = parseDate(value)
		}
		h.mark(&h.parsed.HasDate)
	case "subject":
		if e.Subject == "" {
			e.Subject = decodeWords(value)
		}
	case "from":
		e.From = joinAddresses(e.From, value)
		h.mark(&h.parsed.HasFrom)
	case "sender":
		e.Sender = joinAddresses(e.Sender, value)
	case "reply-to":
		e.ReplyTo = joinAddresses(e.ReplyTo, value)
	case "to":
		e.To = joinAddresses(e.To, value)
	case "cc":
		e.Cc = joinAddresses(e.Cc, value)
	case "bcc":
		e.Bcc = joinAddresses(e.Bcc, value)
	case "in-reply-to":
		if e.InReplyTo == nil {
			e.InReplyTo = messageIDs(value, 50)
		}
	case "message-id":
		if ids := messageIDs(value, 1); e.MessageID == "" && len(ids) == 1 {
			e.MessageID = ids[0]
		}
		h.mark(&h.parsed.HasMessageID)
	case "received":
		if h.top {
			h.parsed.Received++
		}
	}
}

// mark notes that the outermost message has a field.
func (h *entityHeader) mark(has *bool) {
	if h.top {
		*has = true
	}
}

func joinAddresses(have []EnvelopeAddress, value string) []EnvelopeAddress {
	if len(have) >= maxAddresses {
		return have
	}
	return append(have, parseAddressList(value)...)
}

// decodeTransfer returns a reader that undoes a Content-Transfer-Encoding
// (RFC 2045 §6); ok is false when the encoding is not known.
func decodeTransfer(encoding string, r io.Reader) (_ io.Reader, ok bool) {
	switch encoding {
	case "", "7bit", "8bit", "binary":
		return r, true
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, &base64Filter{r: r}), true
	case "quoted-printable":
		return quotedprintable.NewReader(r), true
	default:
		return nil, false
	}
}

// base64Filter drops what is not of the base64 alphabet, as RFC 2045 §6.8 asks.
type base64Filter struct{ r io.Reader }

func (f *base64Filter) Read(b []byte) (int, error) {
	for {
		n, err := f.r.Read(b)
		kept := 0
		for _, c := range b[:n] {
			if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' {
				b[kept] = c
				kept++
			}
		}
		if kept > 0 || err != nil {
			return kept, err
		}
	}
}

// preview is the first words of the sampled text, in one line.
func (t *textSample) preview() string {
	if t.part == nil {
		return ""
	}
	text := decodedText(t.part, t.raw)
	words := strings.Fields(text)
	var b strings.Builder
	runes := 0
	for _, w := range words {
		n := len([]rune(w)) + 1
		if runes+n > previewRunes {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
		runes += n
	}
	return cleanText(b.String())
}

// decodedText decodes the raw bytes of a text part to UTF-8, without HTML marks.
// Damaged encodings give what could be read.
func decodedText(part *Part, raw []byte) string {
	data := raw
	if r, ok := decodeTransfer(part.Encoding, bytes.NewReader(raw)); ok {
		data, _ = io.ReadAll(r)
	}
	text := string(toUTF8(data, part.Params["charset"]))
	if part.Subtype == "html" {
		text = stripHTML(text)
	}
	return text
}

// stripHTML drops tags, comments, scripts and styles, and resolves the common
// entities. It is for previews and search only, never for display as HTML.
func stripHTML(s string) string {
	var b strings.Builder
	for s != "" {
		lt := strings.IndexByte(s, '<')
		if lt < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:lt])
		b.WriteByte(' ')
		s = s[lt:]
		end := ">"
		switch {
		case strings.HasPrefix(s, "<!--"):
			end = "-->"
		case hasPrefixFold(s, "<script"):
			end = "</script>"
		case hasPrefixFold(s, "<style"):
			end = "</style>"
		}
		i := indexFold(s, end)
		if i < 0 {
			break
		}
		s = s[i+len(end):]
	}
	return strings.NewReplacer("&nbsp;", " ", "&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#39;", "'", "&amp;", "&").Replace(b.String())
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// indexFold finds an ASCII string that starts with '<', '-' or '>' without regard to case.
func indexFold(s, sub string) int {
	for i := 0; i+len(sub) <= len(s); i++ {
		j := strings.IndexByte(s[i:], sub[0])
		if j < 0 {
			return -1
		}
		i += j
		if hasPrefixFold(s[i:], sub) {
			return i
		}
	}
	return -1
}
