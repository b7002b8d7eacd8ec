//go:build js && wasm

// Command page is the verifier of receipt bundles for a browser: it is compiled to WebAssembly and put into the page that
// package receipt/page gives out. It gives JavaScript one function, vanthuVerify(bundle, roots, document, at, logKey).
package main

import (
	"context"
	"encoding/json"
	"syscall/js"
	"time"

	"vanthu/exchange/receipt"
	"vanthu/signing/pki"
)

func main() {
	js.Global().Set("vanthuVerify", js.FuncOf(verify))
	select {}
}

// bytesOf copies a Uint8Array; nil for anything else.
func bytesOf(v js.Value) []byte {
	if v.Type() != js.TypeObject {
		return nil
	}
	data := make([]byte, v.Get("length").Int())
	js.CopyBytesToGo(data, v)
	return data
}

// verify answers with the JSON of receipt.Result, or {"error"}.
func verify(_ js.Value, args []js.Value) any {
	const bundle, roots, document, at, logKey, count = 0, 1, 2, 3, 4, 5
	if len(args) != count {
		return `{"error":"vanthuVerify takes five arguments"}`
	}
	o := receipt.VerifyOptions{At: time.Now(), Document: bytesOf(args[document]), LogKey: args[logKey].String()}
	var files [][]byte
	for i := range args[roots].Length() {
		files = append(files, bytesOf(args[roots].Index(i)))
	}
	var err error
	if o.Trust, err = pki.LoadTrust(files...); err != nil {
		return failed(err)
	}
	if text := args[at].String(); text != "" {
		if o.At, err = time.Parse(time.RFC3339, text); err != nil {
			return failed(err)
		}
	}
	result, err := receipt.Verify(context.Background(), bytesOf(args[bundle]), o)
	if err != nil {
		return failed(err)
	}
	return encoded(result)
}

func failed(err error) string { return encoded(map[string]string{"error": err.Error()}) }

func encoded(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return `{"error":"the result cannot be written"}`
	}
	return string(data)
}
