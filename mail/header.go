package mail

import (
	"bytes"
	"io"
	"mime"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/unicode/norm"
)

// Bounds of header parsing; what lies beyond is kept in the blob but not parsed.
const (
	maxContinuations = 64       // RFC 2231 pieces of one parameter
	maxParams        = 64       // parameters of one field
	maxField         = 64 << 10 // bytes of one unfolded field that are looked at
	maxText          = 4 << 10  // bytes of one decoded text (subject, name)
)

func itoa(i int) string { return strconv.Itoa(i) }

// headerFields splits a header block into unfolded fields, in order, and calls
// f with the lower-case name and the trimmed value. Lines that are no field are skipped.
func headerFields(block []byte, f func(name, value string)) {
	for len(block) > 0 {
		field, rest := nextField(block)
		block = rest
		name, value, ok := bytes.Cut(field, []byte{':'})
		if !ok {
			continue
		}
		n := strings.ToLower(strings.TrimRight(string(name), " \t"))
		if n == "" || strings.ContainsAny(n, " \t\r\n") {
			continue
		}
		if len(value) > maxField {
			value = value[:maxField]
		}
		f(n, unfold(value))
	}
}

// nextField cuts the first field with its continuation lines off a header block.
func nextField(block []byte) (field, rest []byte) {
	end := 0
	for end < len(block) {
		nl := bytes.IndexByte(block[end:], '\n')
		if nl < 0 {
			return block, nil
		}
		end += nl + 1
		if end == len(block) || (block[end] != ' ' && block[end] != '\t') {
			break
		}
	}
	return block[:end], block[end:]
}

// unfold joins continuation lines (RFC 5322 §2.2.3) and trims blanks.
func unfold(v []byte) string {
	if bytes.IndexByte(v, '\n') < 0 {
		return strings.TrimSpace(string(v))
	}
	out := make([]byte, 0, len(v))
	for _, c := range v {
		if c != '\r' && c != '\n' {
			out = append(out, c)
		}
	}
	return strings.TrimSpace(string(out))
}

// wordDecoder decodes RFC 2047 words in any charset of the web (htmlindex),
// Vietnamese windows-1258 among them.
func wordDecoder() *mime.WordDecoder {
	return &mime.WordDecoder{CharsetReader: charsetReader}
}

func charsetReader(charset string, input io.Reader) (io.Reader, error) {
	enc, err := htmlindex.Get(charset)
	if err != nil {
		return nil, err
	}
	return enc.NewDecoder().Reader(input), nil
}

// decodeWords decodes RFC 2047 words; text that cannot be decoded stays as it is, as valid UTF-8 in NFC.
func decodeWords(s string) string {
	if strings.Contains(s, "=?") {
		if d, err := wordDecoder().DecodeHeader(s); err == nil {
			s = d
		}
	}
	return cleanText(s)
}

// cleanText makes one bounded line of valid UTF-8 in NFC.
func cleanText(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return norm.NFC.String(sanitizeLine(s, maxText))
}

// decode2231 decodes charset'language'percent-encoded (RFC 2231 §4).
func decode2231(v string) string {
	charset, rest, ok := strings.Cut(v, "'")
	if !ok {
		return cleanText(v)
	}
	_, enc, ok := strings.Cut(rest, "'")
	if !ok {
		return cleanText(v)
	}
	raw := make([]byte, 0, len(enc))
	for i := 0; i < len(enc); i++ {
		if enc[i] == '%' && i+2 < len(enc) {
			if n, err := strconv.ParseUint(enc[i+1:i+3], 16, 8); err == nil {
				raw = append(raw, byte(n))
				i += 2
				continue
			}
		}
		raw = append(raw, enc[i])
	}
	return cleanText(string(toUTF8(raw, charset)))
}

// toUTF8 decodes text in a charset; unknown charsets leave valid UTF-8 alone and replace the rest.
func toUTF8(raw []byte, charset string) []byte {
	if charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		if enc, err := htmlindex.Get(charset); err == nil {
			if d, err := enc.NewDecoder().Bytes(raw); err == nil {
				return d
			}
		}
	}
	return bytes.ToValidUTF8(raw, []byte("\ufffd"))
}

// parseParams reads "value; name=val; …" leniently (RFC 2045 §5.1): value in
// lower case, parameter names in lower case, RFC 2231 names kept as written, so
// that a client that asks for BODYSTRUCTURE sees the original form.
func parseParams(s string) (value string, params map[string]string) {
	value, rest, _ := strings.Cut(s, ";")
	value = strings.ToLower(strings.TrimSpace(stripComments(value)))
	for rest != "" && len(params) < maxParams {
		var name, val string
		name, rest = cutParamName(rest)
		if rest == "" && name == "" {
			break
		}
		val, rest = cutParamValue(rest)
		if name == "" {
			continue
		}
		if params == nil {
			params = make(map[string]string)
		}
		if _, twice := params[name]; !twice {
			params[name] = val
		}
	}
	return value, params
}

// cutParamName reads up to the '=' of a parameter; a piece without one is skipped.
func cutParamName(s string) (name, rest string) {
	eq := strings.IndexByte(s, '=')
	semi := strings.IndexByte(s, ';')
	if eq < 0 || (semi >= 0 && semi < eq) {
		if semi < 0 {
			return "", ""
		}
		return "", s[semi:]
	}
	name = strings.ToLower(strings.TrimSpace(stripComments(s[:eq])))
	if strings.ContainsAny(name, " \t\"()<>@,:\\/[]?") {
		name = ""
	}
	return name, s[eq+1:]
}

// cutParamValue reads a token or quoted string and the ';' after it.
func cutParamValue(s string) (val, rest string) {
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		val, rest, _ = strings.Cut(s, ";")
		return cleanParam(stripComments(val)), rest
	}
	var b strings.Builder
	i := 1
	for ; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	_, rest, _ = strings.Cut(s[min(i+1, len(s)):], ";")
	return cleanParam(b.String()), rest
}

func cleanParam(s string) string {
	return sanitizeLine(strings.ToValidUTF8(strings.TrimSpace(s), "\ufffd"), maxText)
}

// stripComments removes RFC 5322 comments outside quoted strings.
func stripComments(s string) string {
	if strings.IndexByte(s, '(') < 0 {
		return s
	}
	var b strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			if depth == 0 {
				b.WriteString(s[i : i+2])
			}
			i++
			continue
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			depth++
			continue
		case c == ')' && !quoted && depth > 0:
			depth--
			continue
		}
		if depth == 0 {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// parseDate reads a Date field; the zero time when it cannot be read.
func parseDate(s string) time.Time {
	if len(s) > 200 {
		return time.Time{}
	}
	t, err := mail.ParseDate(s)
	if err != nil {
		t, err = mail.ParseDate(strings.TrimSpace(stripComments(s)))
	}
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	if _, offset := t.Zone(); offset <= -24*3600 || offset >= 24*3600 {
		return t.UTC() // no such zone: keep the moment only
	}
	return t
}

// messageIDs reads the <…> identifiers of a field, without brackets, at most limit.
func messageIDs(s string, limit int) []string {
	var ids []string
	for len(ids) < limit {
		_, after, ok := strings.Cut(s, "<")
		if !ok {
			break
		}
		id, rest, ok := strings.Cut(after, ">")
		if !ok {
			break
		}
		if id = sanitizeLine(strings.ToValidUTF8(strings.TrimSpace(id), "\ufffd"), 998); id != "" {
			ids = append(ids, id)
		}
		s = rest
	}
	return ids
}
