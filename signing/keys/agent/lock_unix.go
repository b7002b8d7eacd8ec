//go:build unix

package agent

import (
	"os"
	"syscall"
)

// lock waits until this program alone writes to the file.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }

func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
