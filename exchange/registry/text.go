package registry

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// CleanLine normalises one line of text typed by a person or sent by a program:
// NFC, outer space removed. It refuses invalid UTF-8, control characters (which
// would break headers, registers and receipts), line separators, and the
// invisible characters that make two different texts look alike. field names
// the text in the error, in both languages; max counts characters, 0 = no text
// allowed beyond empty is not checked.
func CleanLine(field, fieldEN, s string, max int) (string, error) {
	if !utf8.ValidString(s) {
		return "", NewError(KindInvalid, field+": không phải văn bản UTF-8.", fieldEN+" is not UTF-8 text.")
	}
	s = strings.TrimSpace(norm.NFC.String(s))
	n := 0
	for _, r := range s {
		n++
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Cf, unicode.Co, unicode.Cs) {
			return "", NewError(KindInvalid,
				field+": có ký tự điều khiển hoặc ký tự ẩn.", fieldEN+" has a control or invisible character.").
				Advise("Gõ lại nội dung trên một dòng.", "Type it again on one line.")
		}
	}
	if max > 0 && n > max {
		return "", NewError(KindInvalid,
			field+": dài "+itoa(n)+" ký tự, tối đa "+itoa(max)+".",
			fieldEN+" has "+itoa(n)+" characters, at most "+itoa(max)+" are allowed.")
	}
	return s, nil
}

// Fold reduces text for searching: marks removed, lower case, đ as d, runs of
// space as one.
func Fold(s string) string {
	var b strings.Builder
	space := false
	for _, r := range norm.NFD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r):
			continue
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		r = unicode.ToLower(r)
		if r == 'đ' {
			r = 'd'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// LikePattern gives the LIKE pattern (with ESCAPE '!') that finds a folded query
// anywhere in a folded text.
func LikePattern(query string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(Fold(query)) + "%"
}
