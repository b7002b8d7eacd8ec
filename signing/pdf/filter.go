package pdf

import (
	"bytes"
	"compress/flate"
	"encoding/ascii85"
	"errors"
	"io"
)

// filterStep is one decoder of a stream with its parameters.
type filterStep struct {
	name  Name
	parms Dict
}

// filters lists the decoders of a stream (ISO 32000-2 §7.4).
func filters(s *Stream, v *View) ([]filterStep, error) {
	resolve := func(o Object) (Object, error) {
		if _, ok := o.(Ref); ok && v == nil {
			return nil, damaged(s.Offset, "indirect filter where none may be")
		}
		if v == nil {
			return o, nil
		}
		return v.Resolve(o)
	}
	list := func(key Name) (Array, error) {
		o, err := resolve(s.Dict[key])
		if err != nil || o == nil {
			return nil, err
		}
		if a, ok := o.(Array); ok {
			return a, nil
		}
		return Array{o}, nil
	}
	names, err := list("Filter")
	if err != nil {
		return nil, err
	}
	parms, err := list("DecodeParms")
	if err != nil {
		return nil, err
	}
	if len(names) > 8 {
		return nil, tooLarge(s.Offset, "too many filters")
	}
	var steps []filterStep
	for i, o := range names {
		if o, err = resolve(o); err != nil {
			return nil, err
		}
		name, ok := o.(Name)
		if !ok {
			return nil, damaged(s.Offset, "a filter is not a name")
		}
		step := filterStep{name: name}
		if i < len(parms) {
			if o, err = resolve(parms[i]); err != nil {
				return nil, err
			}
			step.parms, _ = o.(Dict)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// run decodes data into at most limit bytes. complete is false when the encoded data was cut short or failed its
// checksum; what could be read is given.
func (s filterStep) run(data []byte, limit int64, stop func() error) (out []byte, complete bool, err error) {
	switch s.name {
	case "FlateDecode", "Fl":
		out, complete, err = inflate(data, limit, stop)
	case "LZWDecode", "LZW":
		early, ok := s.parms.Int("EarlyChange")
		out, complete, err = unlzw(data, !ok || early != 0, limit)
	case "ASCIIHexDecode", "AHx":
		return asciiHex(data)
	case "ASCII85Decode", "A85":
		return ascii85Decode(data, limit)
	case "RunLengthDecode", "RL":
		return runLength(data, limit)
	case "Crypt":
		return data, true, nil // decryption has taken place already
	default:
		return nil, false, damaged(-1, "filter "+string(s.name)+" is not one of text")
	}
	if err == nil {
		out, err = unpredict(out, s.parms)
	}
	return out, complete, err
}

func inflatesTooFar() error { return tooLarge(-1, "a stream inflates to too many bytes") }

// at gives an error its place in the file.
func at(err error, off int64) error {
	var e *Error
	if errors.As(err, &e) && e.Offset < 0 {
		return &Error{Kind: e.Kind, Offset: off, Msg: e.Msg, Err: e.Err}
	}
	return err
}

// inflate decodes zlib data (RFC 1950). The header and checksum are not insisted on, as in every PDF reader.
func inflate(data []byte, limit int64, stop func() error) (out []byte, complete bool, err error) {
	if len(data) < 2 {
		return nil, len(data) == 0, nil
	}
	r := flate.NewReader(bytes.NewReader(data[2:]))
	buf := bytes.NewBuffer(make([]byte, 0, min(int64(len(data))*4+512, limit+1, 1<<20)))
	for {
		n, err := io.CopyN(buf, r, 1<<20)
		if int64(buf.Len()) > limit {
			return nil, false, inflatesTooFar()
		}
		if errors.Is(err, io.EOF) {
			return buf.Bytes(), true, nil
		}
		if err != nil {
			return buf.Bytes(), false, nil
		}
		if n == 0 {
			return buf.Bytes(), false, nil
		}
		if err := stop(); err != nil {
			return nil, false, &Error{Kind: Stopped, Offset: -1, Msg: "inflating stopped", Err: err}
		}
	}
}

func asciiHex(data []byte) (out []byte, complete bool, err error) {
	out = make([]byte, 0, len(data)/2+1)
	half := -1
	for _, c := range data {
		if c == '>' {
			complete = true
			break
		}
		d := unhex(int(c))
		switch {
		case d < 0 && class(int(c)) == classSpace:
		case d < 0:
			return nil, false, damaged(-1, "not a hexadecimal digit")
		case half < 0:
			half = d
		default:
			out = append(out, byte(half<<4|d))
			half = -1
		}
	}
	if half >= 0 {
		out = append(out, byte(half<<4))
	}
	return out, complete, nil
}

func ascii85Decode(data []byte, limit int64) (out []byte, complete bool, err error) {
	if i := bytes.Index(data, []byte("~>")); i >= 0 {
		data, complete = data[:i], true
	}
	zeros := int64(bytes.Count(data, []byte("z")))
	if size := int64(len(data)) + 4*zeros; size > limit {
		return nil, false, inflatesTooFar()
	}
	out = make([]byte, int64(len(data))+4*zeros+4)
	n, _, err := ascii85.Decode(out, data, true)
	return out[:n], complete && err == nil, nil
}

func runLength(data []byte, limit int64) (out []byte, complete bool, err error) {
	for len(data) > 0 {
		n := int(data[0])
		switch {
		case n == 128:
			return out, true, nil
		case n < 128:
			end := min(n+2, len(data))
			out = append(out, data[1:end]...)
			data = data[end:]
		case len(data) < 2:
			return out, false, nil
		default:
			out = append(out, bytes.Repeat(data[1:2], 257-n)...)
			data = data[2:]
		}
		if int64(len(out)) > limit {
			return nil, false, inflatesTooFar()
		}
	}
	return out, false, nil
}

// lzwTable is the state of an LZW decoder: the strings of the codes, each as its prefix and last byte.
type lzwTable struct {
	prefix              [4096]int16
	suffix, first       [4096]byte
	next, width, before int // the next free code, the width of codes, the code before or -1
	early               int
}

const (
	lzwClear = 256
	lzwEnd   = 257
)

func (t *lzwTable) reset() { t.next, t.width, t.before = lzwEnd+1, 9, -1 }

// add takes the next code into the table and tells whether it is one that may come.
func (t *lzwTable) add(code int) bool {
	if t.before < 0 {
		t.before = code
		return code < lzwClear
	}
	if t.next < len(t.first) {
		if code > t.next {
			return false
		}
		head := t.first[t.before]
		t.prefix[t.next], t.first[t.next] = int16(t.before), head
		if t.suffix[t.next] = head; code < t.next {
			t.suffix[t.next] = t.first[code]
		}
		t.next++
	}
	t.before = code
	for t.width < 12 && t.next+t.early >= 1<<t.width {
		t.width++
	}
	return code < t.next
}

// unlzw decodes LZW data (ISO 32000-2 §7.4.4.2).
func unlzw(data []byte, early bool, limit int64) (out []byte, complete bool, err error) {
	t := &lzwTable{}
	if early {
		t.early = 1
	}
	for i := range lzwClear {
		t.prefix[i], t.suffix[i], t.first[i] = -1, byte(i), byte(i)
	}
	t.reset()
	var acc uint64
	var bits int
	var text [4096]byte
	for _, b := range data {
		if acc, bits = acc<<8|uint64(b), bits+8; bits < t.width {
			continue
		}
		bits -= t.width
		code := int(acc >> bits & (1<<t.width - 1))
		switch {
		case code == lzwClear:
			t.reset()
			continue
		case code == lzwEnd:
			return out, true, nil
		case !t.add(code):
			return out, false, nil
		}
		n := len(text)
		for c := code; c >= 0; c = int(t.prefix[c]) {
			n--
			text[n] = t.suffix[c]
		}
		if out = append(out, text[n:]...); int64(len(out)) > limit {
			return nil, false, inflatesTooFar()
		}
	}
	return out, false, nil
}
