package storage

import (
	"os"

	"golang.org/x/sys/windows"
)

// errHeld is what lockFile gives when another process holds the lock.
const errHeld = windows.ERROR_LOCK_VIOLATION

// lockFile locks an open file without waiting, alone or shared. The locked byte lies far beyond the text in the file,
// which others must be able to read: locks are mandatory here.
func lockFile(f *os.File, shared bool) error {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if !shared {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
}
