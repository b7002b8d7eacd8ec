package pdf

import (
	"bytes"
	"compress/lzw"
	"compress/zlib"
	"encoding/ascii85"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func never() error { return nil }

func deflate(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFilters(t *testing.T) {
	plain := []byte(strings.Repeat("văn thư, ", 700))
	a85 := make([]byte, ascii85.MaxEncodedLen(len(plain)))
	a85 = append(a85[:ascii85.Encode(a85, plain)], "~>"...)
	var lz bytes.Buffer
	w := lzw.NewWriter(&lz, lzw.MSB, 8)
	if _, err := w.Write([]byte("short text, below the first change of code width")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name Name
		data []byte
		want []byte
	}{
		{"FlateDecode", deflate(t, plain), plain},
		{"ASCIIHexDecode", []byte(hex.EncodeToString(plain) + ">"), plain},
		{"ASCIIHexDecode", []byte("4 1 4>"), []byte("A@")},
		{"ASCII85Decode", a85, plain},
		{"RunLengthDecode", []byte("\x02abc\xfed\x80"), []byte("abcddd")},
		{"LZWDecode", lz.Bytes(), []byte("short text, below the first change of code width")},
		// The example of ISO 32000-2 §7.4.4.2.
		{"LZWDecode", []byte{0x80, 0x0B, 0x60, 0x50, 0x22, 0x0C, 0x0C, 0x85, 0x01}, []byte{45, 45, 45, 45, 45, 65, 45, 45, 45, 66}},
		{"Crypt", plain, plain},
	} {
		got, complete, err := filterStep{name: c.name}.run(c.data, 1<<20, never)
		if err != nil || !complete || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %.60q, %v, %v", c.name, got, complete, err)
		}
	}
}

// The writer of the standard library changes the width of codes late, as /EarlyChange 0 says.
func TestLongLZW(t *testing.T) {
	var plain, packed bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&plain, "%d công văn, ", i*i)
	}
	w := lzw.NewWriter(&packed, lzw.MSB, 8)
	if _, err := w.Write(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, complete, err := filterStep{name: "LZWDecode", parms: Dict{"EarlyChange": int64(0)}}.run(packed.Bytes(), 1<<24, never)
	if err != nil || !complete || !bytes.Equal(got, plain.Bytes()) {
		t.Errorf("%d of %d bytes, %v, %v", len(got), plain.Len(), complete, err)
	}
}

func TestFilterLimits(t *testing.T) {
	bomb := deflate(t, make([]byte, 1<<22))
	runs := bytes.Repeat([]byte{0x81, 0}, 1<<15)
	for name, data := range map[Name][]byte{
		"FlateDecode":     bomb,
		"RunLengthDecode": runs,
		"ASCII85Decode":   bytes.Repeat([]byte("z"), 1<<20),
	} {
		_, _, err := filterStep{name: name}.run(data, 1<<20, never)
		var e *Error
		if !errors.As(err, &e) || e.Kind != TooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := (filterStep{name: "DCTDecode"}).run(nil, 1, never); err == nil {
		t.Error("an image filter is taken for text")
	}
	if out, complete, err := (filterStep{name: "FlateDecode"}).run(bomb[:100], 1<<23, never); complete || err != nil {
		t.Errorf("cut data: %d bytes, %v, %v", len(out), complete, err)
	}
}

func TestPredictors(t *testing.T) {
	parms := func(predictor, colors, bits, columns int64) Dict {
		return Dict{"Predictor": predictor, "Colors": colors, "BitsPerComponent": bits, "Columns": columns}
	}
	for name, c := range map[string]struct {
		in    []byte
		parms Dict
		want  []byte
	}{
		"none":    {[]byte{1, 2}, Dict{}, []byte{1, 2}},
		"sub":     {[]byte{1, 1, 1, 1}, parms(15, 1, 8, 3), []byte{1, 2, 3}},
		"up":      {[]byte{0, 1, 2, 2, 5, 5}, parms(12, 1, 8, 2), []byte{1, 2, 6, 7}},
		"average": {[]byte{0, 4, 8, 3, 2, 2}, parms(13, 1, 8, 2), []byte{4, 8, 4, 8}},
		"paeth":   {[]byte{0, 4, 8, 4, 1, 1}, parms(14, 1, 8, 2), []byte{4, 8, 5, 9}},
		"tiff 8":  {[]byte{1, 1, 1, 5, 1, 1}, parms(2, 1, 8, 3), []byte{1, 2, 3, 5, 6, 7}},
		"tiff 16": {[]byte{0, 255, 0, 1}, parms(2, 1, 16, 2), []byte{0, 255, 1, 0}},
		"tiff 4":  {[]byte{0x11, 0x11}, parms(2, 1, 4, 4), []byte{0x12, 0x34}},
	} {
		got, err := unpredict(bytes.Clone(c.in), c.parms)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, c := range map[string]struct {
		in    []byte
		parms Dict
	}{
		"filter type": {[]byte{9, 1}, parms(15, 1, 8, 1)},
		"columns":     {[]byte{0, 1}, parms(15, 1, 8, 1<<40)},
		"bits":        {[]byte{0, 1}, parms(15, 1, 7, 1)},
		"colors":      {[]byte{0, 1}, parms(15, 0, 8, 1)},
	} {
		if got, err := unpredict(c.in, c.parms); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestObjects(t *testing.T) {
	lim := DefaultLimits()
	for in, want := range map[string]string{
		"true":                        "true",
		"null":                        "<nil>",
		"-12":                         "-12",
		"+.5":                         "0.5",
		"--3":                         "-3",
		"4.":                          "4",
		"99999999999999999999":        "1e+20",
		"12 0 R":                      "12 0 R",
		"[1 2 3 0 R null]":            "[1 2 3 0 R <nil>]",
		"/A#20B#zz":                   "A B#zz",
		"/":                           "",
		"<</A/B/C<</D[/E]>>/F null>>": "map[A:B C:map[D:[E]]]",
		"<</A 1/A 2>>":                "map[A:2]",
		"<</A>>":                      "map[]",
		"<<1 2>>":                     "error",
		"(a\\(b\\)\\101\\\n(c))":      "{a(b)A(c) false}",
		"(a\r\nb)":                    "{a\nb false}",
		"<48 656C6c6F7>":              "{Hellop true}",
		"<4x>":                        "error",
		"(open":                       "error",
		"<41":                         "error",
		"[1":                          "error",
		"%comment\n7":                 "7",
		"word":                        "error",
		")":                           "error",
		"1.2.3":                       "error",
		"12abc":                       "error",
	} {
		l := newMemoryLexer([]byte(in), 0, &lim)
		o, err := l.object(0)
		got := text(o)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s (%v), want %s", in, got, err, want)
		}
	}
}

// text shows an object with its strings as text.
func text(o Object) string {
	if s, ok := o.(String); ok {
		return fmt.Sprintf("{%s %v}", s.B, s.Hex)
	}
	return fmt.Sprint(o)
}
