package logproof

import (
	"encoding/json"
	"testing"
)

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		` { "b" : 1 , "a" : [ ] } `: `{"a":[],"b":1}`,
		`{"\u20ac":1,"\r":2,"\ud83d\ude02":3,"1":4,"\u00f6":5,"\ufb33":6,"\u0080":7}`: "{\"\\r\":2,\"1\":4,\"\u0080\":7,\"ö\":5,\"€\":1,\"😂\":3,\"\ufb33\":6}", // RFC 8785 §3.2.3
		`"\u000f\u000aA'\u0042\u0022\u005c\\\"\/"`:                                    `"\u000f\nA'B\"\\\\\"/"`,                                                // RFC 8785 §3.2.2.2
		`"\u2028<&>"`:             "\"\u2028<&>\"",
		`[1e5,1E5,1.50,-0]`:       `[1e5,1E5,1.50,-0]`, // numbers stay as written
		`[true,false,null]`:       `[true,false,null]`,
		`9007199254740993`:        `9007199254740993`,
		`{"a":{"d":1,"c":[{}]}} `: `{"a":{"c":[{}],"d":1}}`,
	} {
		got, err := canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "{", "[1,]", `{"a"}`, "nul", `"a`, "1 2", "]", `{"a":1,}`, "\xff"} {
		if got, err := canonical([]byte(in)); err == nil {
			t.Errorf("%q: got %s, want an error", in, got)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"b":[1,2,{"c":null}],"a":"\u0001ế"}`, `[-0.0e+1]`, `"\ud800"`, "{}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := canonical(data)
		if err != nil {
			return
		}
		if !json.Valid(once) {
			t.Fatalf("%q became %q, which is no JSON", data, once)
		}
		if twice, err := canonical(once); err != nil || string(twice) != string(once) {
			t.Fatalf("%q became %q, then %q (%v)", data, once, twice, err)
		}
	})
}
