package agent

import (
	"os"

	"golang.org/x/sys/windows"
)

// beyond is a byte far behind the text of the file: locks are mandatory here, and others may read the text.
func beyond() *windows.Overlapped { return &windows.Overlapped{OffsetHigh: 1} }

// lock waits until this program alone writes to the file.
func lock(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, beyond())
}

func unlock(f *os.File) error {
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, beyond())
}
