//go:build amd64 || arm64

package cryptoki

import (
	"encoding/binary"
	"fmt"
	"syscall"
)

// CK_ULONG is a C unsigned long, of 32 bits here, and structures are packed to one byte (§2, platform notes).
const (
	ulongSize   = 4
	listOffset  = 2
	entryLength = 12 // of ulValueLen in CK_ATTRIBUTE
)

func appendUlong(dst []byte, v uint64) []byte {
	return binary.NativeEndian.AppendUint32(dst, uint32(v))
}

func ulong(b []byte) uint64 { return uint64(binary.NativeEndian.Uint32(b)) }

// openLibrary gives the address of C_GetFunctionList.
func openLibrary(path string) (uintptr, error) {
	handle, err := syscall.LoadLibrary(path)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", ErrModule, path, err)
	}
	entry, err := syscall.GetProcAddress(handle, "C_GetFunctionList")
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", ErrModule, path, err)
	}
	return entry, nil
}

// call gives the CK_RV of a C function: the lower half of what the register holds.
func call(f uintptr, args ...uintptr) uint64 {
	rv, _, _ := syscall.SyscallN(f, args...)
	return uint64(uint32(rv))
}
