package pdf

import "time"

// ParseTime parses a PDF date (ISO 32000-2 §7.9.4): D:YYYYMMDDHHmmSSOHH'mm'. Missing parts take their defaults;
// a time without an offset is taken as UTC.
func ParseTime(s string) (time.Time, bool) {
	p := timeParser{s: s}
	p.skip("D:")
	year, ok := p.digits(4)
	if !ok {
		return time.Time{}, false
	}
	part := func(def, lo, hi int) int {
		v, have := p.digits(2)
		if !have {
			return def
		}
		ok = ok && v >= lo && v <= hi
		return v
	}
	month, day := part(1, 1, 12), part(1, 1, 31)
	hour, minute, second := part(0, 0, 23), part(0, 0, 59), part(0, 0, 60)
	zone := time.UTC
	if sign, have := p.sign(); have {
		h := part(0, 0, 23)
		p.skip("'")
		m := part(0, 0, 59)
		p.skip("'")
		if offset := sign * (h*3600 + m*60); offset != 0 {
			zone = time.FixedZone("", offset)
		}
	}
	if !ok || p.s != "" {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, zone)
	return t, t.Day() == day || second == 60
}

type timeParser struct{ s string }

func (p *timeParser) skip(prefix string) {
	if len(p.s) >= len(prefix) && p.s[:len(prefix)] == prefix {
		p.s = p.s[len(prefix):]
	}
}

func (p *timeParser) digits(n int) (v int, ok bool) {
	if len(p.s) < n {
		return 0, false
	}
	for i := range n {
		c := p.s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	p.s = p.s[n:]
	return v, true
}

func (p *timeParser) sign() (int, bool) {
	if p.s == "" {
		return 0, false
	}
	c := p.s[0]
	switch c {
	case '+', 'Z':
		p.s = p.s[1:]
		return 1, true
	case '-':
		p.s = p.s[1:]
		return -1, true
	}
	return 0, false
}
