//go:build !linux

package disk

// renameOnce renames from to to unless to is there: fs.ErrExist.
func renameOnce(from, to string) error { return linkOnce(from, to) }
