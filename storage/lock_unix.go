//go:build unix

package storage

import (
	"os"
	"syscall"
)

// errHeld is what lockFile gives when another process holds the lock.
const errHeld = syscall.EWOULDBLOCK

// lockFile locks an open file without waiting, alone or shared.
func lockFile(f *os.File, shared bool) error {
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	return syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
}
