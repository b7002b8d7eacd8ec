//go:build !((darwin || linux || windows) && (amd64 || arm64))

package cryptoki

import "encoding/binary"

const (
	ulongSize   = 8
	listOffset  = 8
	entryLength = 16
)

func appendUlong(dst []byte, v uint64) []byte { return binary.NativeEndian.AppendUint64(dst, v) }

func ulong(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

func openLibrary(string) (uintptr, error) { return 0, ErrPlatform }

func call(uintptr, ...uintptr) uint64 { return uint64(ErrDevice) }
