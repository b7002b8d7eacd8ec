#!/bin/sh
# Renews the verifier in the page: verify.wasm.gz and the toolchain's support file that goes with it.
set -e
GOOS=js GOARCH=wasm go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o verify.wasm ./wasm
gzip -9 -n -f verify.wasm
cp "$(go env GOROOT)/lib/wasm/wasm_exec.js" thirdparty/wasm_exec.js
