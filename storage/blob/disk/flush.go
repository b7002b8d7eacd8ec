package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"vanthu/storage/blob"
)

// flushFolder makes the names in a folder durable.
func flushFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("flushing folder: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("flushing folder %s: %w", dir, err)
	}
	return nil
}

// flusher groups concurrent flushes of one folder: while one runs, all callers
// that come share the next one.
//
// A flush that failed may have lost what it was to make durable, and a second
// one would report success (the kernel reports such an error once). So after a
// failure every later flush fails too, until the store is opened anew. A full
// disk is the exception: what it refused is still there to be tried again.
type flusher struct {
	flush func(dir string) error

	mu     sync.Mutex
	dirs   map[string]*flushRun
	failed error
}

type flushRun struct {
	done chan struct{}
	err  error
	next *flushRun
}

// Flush returns once everything that was in dir before the call is durable.
func (f *flusher) Flush(dir string) error {
	f.mu.Lock()
	if f.failed != nil {
		defer f.mu.Unlock()
		return fmt.Errorf("an earlier flush failed, restart after looking at the disk: %w", f.failed)
	}
	if f.dirs == nil {
		f.dirs = make(map[string]*flushRun)
	}
	running := f.dirs[dir]
	if running != nil && running.next != nil {
		joined := running.next
		f.mu.Unlock()
		<-joined.done
		return joined.err
	}
	own := &flushRun{done: make(chan struct{})}
	if running == nil {
		f.dirs[dir] = own
	} else {
		running.next = own
	}
	f.mu.Unlock()
	if running != nil {
		<-running.done
	}
	f.run(dir, own)
	return own.err
}

func (f *flusher) run(dir string, own *flushRun) {
	own.err = f.flush(dir)
	f.mu.Lock()
	defer f.mu.Unlock()
	if own.err != nil && f.failed == nil && !errors.Is(full(own.err), blob.ErrFull) {
		f.failed = own.err
	}
	if own.next != nil {
		f.dirs[dir] = own.next
	} else {
		delete(f.dirs, dir)
	}
	close(own.done)
}

// shard is one of the 256 folders aa/, with those of its folders aa/bb/ whose
// own name is known to be durable.
type shard struct {
	mu    sync.Mutex
	ready bool // what was in aa/ when this process first came there is in known
	known [256]bool
}

// isKnown says whether the folder of a digest is there, durably.
func (s *Store) isKnown(d string) bool {
	sh := &s.shards[hexByte(d[:2])]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.known[hexByte(d[2:4])]
}

// makeFolder makes aa/bb/ for a digest. It is called before the blob's file is
// flushed, so that file systems with a journal write both in one go.
func (s *Store) makeFolder(d string) error {
	if s.isKnown(d) {
		return nil
	}
	parent := filepath.Join(s.dir, d[:2])
	for _, dir := range []string{parent, filepath.Join(parent, d[2:4])} {
		if err := os.Mkdir(dir, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making blob folder: %w", err)
		}
	}
	return nil
}

// settleFolder makes the name of aa/bb/ durable. Each folder costs one flush of
// its parent in the life of a process, and none if it was there before.
func (s *Store) settleFolder(d string) error {
	if s.isKnown(d) {
		return nil
	}
	parent := filepath.Join(s.dir, d[:2])
	sh := &s.shards[hexByte(d[:2])]
	sh.mu.Lock()
	ready := sh.ready
	sh.mu.Unlock()
	found := []int{hexByte(d[2:4])}
	if !ready {
		entries, err := os.ReadDir(parent)
		if err != nil {
			return fmt.Errorf("listing blob folder: %w", err)
		}
		for _, e := range entries {
			if v, err := strconv.ParseUint(e.Name(), 16, 8); err == nil && e.IsDir() {
				found = append(found, int(v))
			}
		}
		if err := s.flusher.Flush(s.dir); err != nil {
			return err
		}
	}
	if err := s.flusher.Flush(parent); err != nil {
		return err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.ready = true
	for _, b := range found {
		sh.known[b] = true
	}
	return nil
}

// hexByte reads two hex digits of a digest that was already checked.
func hexByte(s string) int {
	v, err := strconv.ParseUint(s, 16, 8)
	if err != nil {
		return 0 // cannot happen: digests are made by hex.EncodeToString
	}
	return int(v)
}
