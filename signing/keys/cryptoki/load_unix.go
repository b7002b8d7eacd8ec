//go:build (darwin || linux) && (amd64 || arm64)

package cryptoki

import (
	"encoding/binary"
	"fmt"

	"github.com/ebitengine/purego"
)

// CK_ULONG is a C unsigned long, and structures are aligned as the platform does.
const (
	ulongSize   = 8
	listOffset  = 8
	entryLength = 16 // of ulValueLen in CK_ATTRIBUTE
)

func appendUlong(dst []byte, v uint64) []byte { return binary.NativeEndian.AppendUint64(dst, v) }

func ulong(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

// openLibrary gives the address of C_GetFunctionList.
func openLibrary(path string) (uintptr, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrModule, err)
	}
	entry, err := purego.Dlsym(handle, "C_GetFunctionList")
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", ErrModule, path, err)
	}
	return entry, nil
}

// call gives the CK_RV of a C function.
func call(f uintptr, args ...uintptr) uint64 {
	rv, _, _ := purego.SyscallN(f, args...)
	return uint64(rv)
}
