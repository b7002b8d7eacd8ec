package pdf

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"strconv"
)

// lexer parses PDF syntax (ISO 32000-2 §7.2, §7.3) from a file or from an object stream's data.
type lexer struct {
	src  *source // nil when buf is everything
	buf  []byte
	base int64 // position of buf[0]
	pos  int   // next byte in buf
	end  int64 // no byte at or beyond this position is read

	lim    *Limits
	memory int64 // what this lexer may still allocate, estimated
	err    error // an I/O error or a stop; sticky, ends the input

	skim bool // hexadecimal strings are passed over

	file   *File // told of keys that stand twice in a dictionary with different values; nil when nobody is
	fileAt int64 // where such a key stands in the file when src is nil
}

const eof = -1

// newLexer parses the file from off, up to end.
func newLexer(src *source, off, end int64, lim *Limits) lexer {
	return lexer{src: src, base: off, end: min(end, src.size), lim: lim, memory: lim.MaxMemory / 2}
}

// newMemoryLexer parses data from off; positions are offsets in data.
func newMemoryLexer(data []byte, off int64, lim *Limits) *lexer {
	l := &lexer{buf: data, end: int64(len(data)), lim: lim, memory: lim.MaxMemory / 2}
	l.seek(off)
	return l
}

// offset is the position of the next byte.
func (l *lexer) offset() int64 { return l.base + int64(l.pos) }

// seek moves to a position.
func (l *lexer) seek(off int64) {
	if off >= l.base && off <= l.base+int64(len(l.buf)) {
		l.pos = int(off - l.base)
		return
	}
	if l.src == nil {
		l.pos = len(l.buf)
		return
	}
	l.base, l.buf, l.pos = off, nil, 0
}

// peek returns the next byte without taking it, or eof.
func (l *lexer) peek() int {
	if l.pos < len(l.buf) {
		return int(l.buf[l.pos])
	}
	return l.fill()
}

// fill loads the page that holds the next byte.
func (l *lexer) fill() int {
	off := l.offset()
	if l.src == nil || off < 0 || off >= l.end || l.err != nil {
		return eof
	}
	p, err := l.src.page(off / pageSize)
	if err == nil && len(l.buf) > 0 {
		err = l.src.spend(int64(len(l.buf)), off)
	}
	if err != nil {
		l.err = err
		return eof
	}
	start := off / pageSize * pageSize
	l.base, l.pos = start, int(off-start)
	l.buf = p[:min(int64(len(p)), l.end-start)]
	return int(l.buf[l.pos])
}

// take returns the next byte, or eof.
func (l *lexer) take() int {
	c := l.peek()
	if c != eof {
		l.pos++
	}
	return c
}

// fail makes the error for something malformed at the present position.
func (l *lexer) fail(msg string) error {
	if l.err != nil {
		return l.err
	}
	return damaged(l.offset(), msg)
}

// charge counts n bytes of memory against the budget.
func (l *lexer) charge(n int) error {
	if l.memory -= int64(n); l.memory < 0 {
		return tooLarge(l.offset(), "an object needs too much memory")
	}
	return nil
}

const (
	classRegular = iota
	classSpace
	classDelimiter
)

// classes has 's' for white space, 'd' for delimiters and '.' for regular characters below 128 (ISO 32000-2 §7.2.3).
const classes = "s........ss.ss.................." + "s....d..dd.....d............d.d." +
	"...........................d.d.." + "...........................d.d.."

// class tells white space and delimiters from regular characters.
func class(c int) int {
	if c >= len(classes) {
		return classRegular
	}
	if c < 0 { // eof
		return classDelimiter
	}
	switch classes[c] {
	case 's':
		return classSpace
	case 'd':
		return classDelimiter
	}
	return classRegular
}

// space skips white space and comments.
func (l *lexer) space() {
	for {
		c := l.peek()
		switch {
		case c == '%':
			for c != eof && c != '\n' && c != '\r' {
				l.pos++
				c = l.peek()
			}
		case c != eof && class(c) == classSpace:
			l.pos++
		default:
			return
		}
	}
}

// blank skips white space only, so that a %%EOF marker is not taken for a comment.
func (l *lexer) blank() {
	for c := l.peek(); c != eof && class(c) == classSpace; c = l.peek() {
		l.pos++
	}
}

// literal takes the bytes of s if they come next.
func (l *lexer) literal(s string) bool {
	start := l.offset()
	for i := range len(s) {
		if l.take() != int(s[i]) {
			l.seek(start)
			return false
		}
	}
	return true
}

// keyword takes s if it comes next as a whole token, after white space.
func (l *lexer) keyword(s string) bool {
	l.space()
	start := l.offset()
	if !l.literal(s) {
		return false
	}
	if class(l.peek()) == classRegular {
		l.seek(start)
		return false
	}
	return true
}

// uint takes an unsigned decimal integer after white space.
func (l *lexer) uint() (int64, bool) {
	l.space()
	start, n, digits := l.offset(), int64(0), 0
	for c := l.peek(); c >= '0' && c <= '9'; c = l.peek() {
		if digits++; digits > 18 {
			l.seek(start)
			return 0, false
		}
		n = n*10 + int64(c-'0')
		l.pos++
	}
	if digits == 0 {
		return 0, false
	}
	return n, true
}

// header takes "N G obj".
func (l *lexer) header() (Ref, bool) {
	num, ok := l.uint()
	if !ok || num > 1<<32-1 {
		return Ref{}, false
	}
	gen, ok := l.uint()
	if !ok || gen > 65535 || !l.keyword("obj") {
		return Ref{}, false
	}
	return Ref{Num: uint32(num), Gen: uint16(gen)}, true
}

// object parses one object; streams are left to the caller, who sees the dictionary.
func (l *lexer) object(depth int) (Object, error) {
	if depth > l.lim.MaxDepth {
		return nil, tooLarge(l.offset(), "objects are nested too deep")
	}
	l.space()
	switch c := l.peek(); {
	case c == '/':
		name, err := l.name()
		if err != nil {
			return nil, err
		}
		return name, nil
	case c == '(':
		return l.literalString()
	case c == '<':
		l.pos++
		if l.peek() == '<' {
			l.pos++
			return l.dict(depth)
		}
		return l.hexString()
	case c == '[':
		l.pos++
		return l.array(depth)
	case c >= '0' && c <= '9':
		return l.numberOrRef()
	case c == '+' || c == '-' || c == '.':
		return l.number()
	case c == eof:
		return nil, l.fail("the file ends inside an object")
	case class(c) == classRegular:
		return l.word()
	}
	return nil, l.fail("unexpected delimiter")
}

// word parses true, false and null.
func (l *lexer) word() (Object, error) {
	switch {
	case l.keyword("true"):
		return true, nil
	case l.keyword("false"):
		return false, nil
	case l.keyword("null"):
		return nil, nil
	}
	return nil, l.fail("unknown keyword")
}

// numberOrRef parses a number that starts with a digit, or a reference.
func (l *lexer) numberOrRef() (Object, error) {
	start := l.offset()
	if num, ok := l.uint(); ok && num <= 1<<32-1 && class(l.peek()) == classSpace {
		after := l.offset()
		if gen, ok := l.uint(); ok && gen <= 65535 && class(l.peek()) == classSpace && l.keyword("R") {
			return Ref{Num: uint32(num), Gen: uint16(gen)}, l.charge(24)
		}
		l.seek(after)
		return num, l.charge(24)
	}
	l.seek(start)
	return l.number()
}

// number parses an integer or a real. Integers beyond 64 bits become reals.
func (l *lexer) number() (Object, error) {
	var text [64]byte
	n := 0
	for c := l.peek(); class(c) == classRegular; c = l.peek() {
		if n == len(text) {
			return nil, l.fail("number too long")
		}
		text[n] = byte(c)
		n++
		l.pos++
	}
	s := string(text[:n])
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, l.charge(24)
	}
	// Some writers double the sign ("--5"); readers take one of them.
	for len(s) > 1 && s[0] == '-' && s[1] == '-' {
		s = s[1:]
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' {
			return nil, l.fail("malformed number")
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, l.fail("malformed number")
	}
	return f, l.charge(24)
}

// name parses a name with its #xx escapes.
func (l *lexer) name() (Name, error) {
	l.pos++ // the slash
	if plain := l.plain(); plain != nil && len(plain) <= l.lim.MaxToken {
		l.pos += len(plain)
		return internName(plain), l.charge(32 + len(plain))
	}
	var small [64]byte
	b := small[:0]
	for c := l.peek(); class(c) == classRegular; c = l.peek() {
		l.pos++
		if c == '#' {
			at := l.offset()
			hi, lo := unhex(l.take()), unhex(l.take())
			if hi >= 0 && lo >= 0 {
				c = hi<<4 | lo
			} else {
				l.seek(at)
			}
		}
		if b = append(b, byte(c)); len(b) > l.lim.MaxToken {
			return "", tooLarge(l.offset(), "a name is too long")
		}
	}
	return internName(b), l.charge(32 + len(b))
}

// plain looks ahead for a name without escapes that lies wholly in the buffer and is of usual length; nil for any other.
func (l *lexer) plain() []byte {
	rest := l.buf[min(l.pos, len(l.buf)):]
	for i, c := range rest[:min(len(rest), 64)] {
		if c == '#' {
			return nil
		}
		if class(int(c)) != classRegular {
			return rest[:i:i]
		}
	}
	return nil
}

// internName makes a name; the most frequent ones cost no memory of their own.
func internName(b []byte) Name {
	known := "" // names of that length, one behind the other
	switch len(b) {
	case 1:
		known = "TVFPWN"
	case 2:
		known = "IDFT"
	case 3:
		known = "Sig"
	case 4:
		known = "TypePageKidsRootSizePrevInfoFontRectXRef"
	case 5:
		known = "CountPagesAnnotNamesIndexFirst"
	case 6:
		known = "ParentLengthFilterAnnotsWidgetFieldsObjStm"
	case 7:
		known = "CatalogSubtypeXObject"
	case 8:
		known = "ContentsMediaBoxAcroFormSigFlags"
	case 9:
		known = "Resources"
	case 11:
		known = "FlateDecode"
	}
	for ; known != ""; known = known[len(b):] {
		if name := known[:len(b)]; name == string(b) {
			return Name(name)
		}
	}
	return Name(b)
}

// literalString parses "(…)" (ISO 32000-2 §7.3.4.2).
func (l *lexer) literalString() (Object, error) {
	l.pos++ // the parenthesis
	var b []byte
	for depth := 1; ; {
		c := l.take()
		switch c {
		case eof:
			return nil, l.fail("the file ends inside a string")
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return String{B: b}, l.charge(48 + 2*len(b))
			}
		case '\r':
			if l.peek() == '\n' {
				l.pos++
			}
			c = '\n'
		case '\\':
			if c = l.escape(); c == eof {
				continue
			}
		}
		if b = append(b, byte(c)); len(b) > l.lim.MaxToken {
			return nil, tooLarge(l.offset(), "a string is too long")
		}
	}
}

// escape parses what follows a backslash; eof means that nothing is to be added.
func (l *lexer) escape() int {
	switch c := l.take(); c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case '\r':
		if l.peek() == '\n' {
			l.pos++
		}
		return eof
	case '\n':
		return eof
	case '0', '1', '2', '3', '4', '5', '6', '7':
		v := c - '0'
		for range 2 {
			d := l.peek()
			if d < '0' || d > '7' {
				break
			}
			v = v<<3 | (d - '0')
			l.pos++
		}
		return v & 0xff
	default:
		return c
	}
}

// hexString parses the rest of "<…>". Signature values are long, so whole pieces without white space are decoded at
// once.
func (l *lexer) hexString() (Object, error) {
	var b []byte
	half := -1
	for closed := false; !closed; {
		if l.peek() == eof {
			return nil, l.fail("the file ends inside a string")
		}
		piece := l.buf[l.pos:]
		if i := bytes.IndexByte(piece, '>'); i >= 0 {
			piece, closed = piece[:i], true
		}
		if l.skim {
			l.pos += len(piece)
			continue
		}
		if half < 0 {
			even := len(piece) &^ 1
			b = slices.Grow(b, even/2)
			n, err := hex.Decode(b[len(b):cap(b)], piece[:even])
			b = b[:len(b)+n]
			if err == nil {
				n = even / 2
			}
			l.pos += 2 * n
			piece = piece[2*n:]
		}
		for _, c := range piece {
			d := unhex(int(c))
			switch {
			case d < 0 && class(int(c)) == classSpace:
			case d < 0:
				return nil, l.fail("not a hexadecimal digit")
			case half < 0:
				half = d
			default:
				b = append(b, byte(half<<4|d))
				half = -1
			}
		}
		l.pos += len(piece)
		if len(b) > l.lim.MaxToken {
			return nil, tooLarge(l.offset(), "a string is too long")
		}
	}
	l.pos++ // the bracket
	if half >= 0 {
		b = append(b, byte(half<<4))
	}
	return String{B: b, Hex: true}, l.charge(48 + 2*len(b))
}

// array parses the rest of "[…]".
func (l *lexer) array(depth int) (Object, error) {
	var few [8]Object // most arrays have no more
	a := Array(few[:0])
	for {
		l.space()
		if l.peek() == ']' {
			l.pos++
			if len(a) <= len(few) {
				a = append(make(Array, 0, len(a)), a...)
			}
			return a, l.charge(48)
		}
		o, err := l.object(depth + 1)
		if err != nil {
			return nil, err
		}
		a = append(a, o)
		if err := l.charge(32); err != nil {
			return nil, err
		}
	}
}

// dict parses the rest of "<<…>>". Null values are left out: they mean absence (ISO 32000-2 §7.3.7).
func (l *lexer) dict(depth int) (Object, error) {
	d := Dict{}
	if err := l.charge(320); err != nil {
		return nil, err
	}
	for {
		key, done, err := l.key()
		if err != nil || done {
			return d, err
		}
		at := l.offset()
		l.space()
		if l.peek() == '>' {
			continue // a key without a value; the next round ends the dictionary
		}
		o, err := l.object(depth + 1)
		if err != nil {
			return nil, err
		}
		if old, twice := d[key]; twice && l.file != nil && !reflect.DeepEqual(old, o) {
			if l.src == nil {
				at = l.fileAt
			}
			l.file.problem(ProblemDuplicate, at, "/"+string(key))
		}
		if o == nil {
			delete(d, key)
			continue
		}
		d[key] = o
		if err := l.charge(96); err != nil {
			return nil, err
		}
	}
}

// key takes the next key of a dictionary, or its end.
func (l *lexer) key() (key Name, done bool, err error) {
	l.space()
	switch l.peek() {
	case '/':
		key, err = l.name()
		return key, false, err
	case '>':
		l.pos++
		if l.take() == '>' {
			return "", true, nil
		}
	}
	return "", false, l.fail("a dictionary key is not a name")
}

// unhex gives the value of a hexadecimal digit, or -1.
func unhex(c int) int {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return -1
}
