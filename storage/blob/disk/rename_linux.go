package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// renameOnce renames from to to unless to is there: fs.ErrExist.
func renameOnce(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return linkOnce(from, to) // not every file system has the flag
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
