package pdf

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
)

// AppendObject writes an object in PDF syntax (ISO 32000-2 §7.3) to dst. Dictionary keys are sorted, so
// that equal objects give equal bytes. A stream must be one made in memory (Raw); its /Length is set.
// Values of a Go type that is not an [Object] are written as null.
func AppendObject(dst []byte, o Object) []byte {
	switch v := o.(type) {
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return appendReal(dst, v)
	case Name:
		return appendName(dst, v)
	case String:
		return appendString(dst, v)
	case Array:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = AppendObject(dst, e)
		}
		return append(dst, ']')
	case Dict:
		return appendDict(dst, v)
	case *Stream:
		dict := make(Dict, len(v.Dict)+1)
		maps.Copy(dict, v.Dict)
		dict["Length"] = int64(len(v.Raw))
		dst = append(appendDict(dst, dict), "\nstream\n"...)
		dst = append(dst, v.Raw...)
		return append(dst, "\nendstream"...)
	case Ref:
		dst = strconv.AppendUint(dst, uint64(v.Num), 10)
		dst = append(dst, ' ')
		dst = strconv.AppendUint(dst, uint64(v.Gen), 10)
		return append(dst, " R"...)
	case syntax:
		return append(dst, v...)
	default:
		return append(dst, "null"...)
	}
}

// syntax is an object that is written as it stands.
type syntax string

// appendReal writes a real without an exponent, which PDF does not have (ISO 32000-2 §7.3.3).
func appendReal(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, '0')
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

func appendDict(dst []byte, d Dict) []byte {
	var few [16]Name // in most dictionaries there are no more
	keys := few[:0]
	for k := range d {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	dst = append(dst, "<<"...)
	for _, k := range keys {
		dst = appendName(dst, k)
		dst = append(dst, ' ')
		dst = AppendObject(dst, d[k])
	}
	return append(dst, ">>"...)
}

// appendName escapes everything that is not a regular printable character (ISO 32000-2 §7.3.5).
func appendName(dst []byte, n Name) []byte {
	dst = append(dst, '/')
	for i := range len(n) {
		if c := n[i]; c <= ' ' || c >= 0x7F || c == '#' || class(int(c)) != classRegular {
			dst = fmt.Appendf(dst, "#%02X", c)
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

func appendString(dst []byte, s String) []byte {
	if s.Hex {
		dst = append(dst, '<')
		dst = hex.AppendEncode(dst, s.B)
		return append(dst, '>')
	}
	dst = append(dst, '(')
	for _, c := range s.B {
		switch c {
		case '(', ')', '\\':
			dst = append(dst, '\\', c)
		case '\r': // an unescaped CR would read back as LF
			dst = append(dst, `\r`...)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, ')')
}

// Text makes a text string (ISO 32000-2 §7.9.2.2): as it is when it is plain ASCII, else UTF-16BE with
// its byte order mark.
func Text(s string) String {
	ascii := true
	for _, r := range s {
		ascii = ascii && r < 0x7F && (r >= ' ' || r == '\n' || r == '\t')
	}
	if ascii {
		return String{B: []byte(s)}
	}
	b := []byte{0xFE, 0xFF}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return String{B: b, Hex: true}
}

// Date makes a date string with its offset from UTC (ISO 32000-2 §7.9.4), to the second.
func Date(t time.Time) String {
	s := t.Format("D:20060102150405")
	_, offset := t.Zone()
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	b := append(make([]byte, 0, len(s)+len("+00'00'")), s...)
	b = append(appendPadded(append(b, sign), int64(offset/3600), 2), '\'')
	return String{B: append(appendPadded(b, int64(offset/60%60), 2), '\'')}
}
