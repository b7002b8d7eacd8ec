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
	ready bool
	known [256]bool
}

// folder makes aa/bb/ durably and returns its path. Each folder costs one flush
// of its parent in the life of a process, and none if it was there before.
func (s *Store) folder(d string) (string, error) {
	a, b := d[:2], d[2:4]
	ai, bi := hexByte(a), hexByte(b)
	parent := filepath.Join(s.dir, a)
	dir := filepath.Join(parent, b)
	sh := &s.shards[ai]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.known[bi] {
		return dir, nil
	}
	if !sh.ready {
		if err := s.openShard(sh, parent); err != nil {
			return "", err
		}
	}
	if sh.known[bi] {
		return dir, nil
	}
	if err := os.Mkdir(dir, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", full(fmt.Errorf("making blob folder: %w", err))
	}
	if err := s.flusher.Flush(parent); err != nil {
		return "", full(err)
	}
	sh.known[bi] = true
	return dir, nil
}

// openShard makes aa/ durable, together with the folders already in it.
func (s *Store) openShard(sh *shard, parent string) error {
	if err := os.Mkdir(parent, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return full(fmt.Errorf("making blob folder: %w", err))
	}
	if err := s.flusher.Flush(s.dir); err != nil {
		return full(err)
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return fmt.Errorf("listing blob folder: %w", err)
	}
	if len(entries) > 0 {
		if err := s.flusher.Flush(parent); err != nil {
			return full(err)
		}
	}
	for _, e := range entries {
		if e.IsDir() && len(e.Name()) == 2 {
			if v, err := strconv.ParseUint(e.Name(), 16, 8); err == nil {
				sh.known[v] = true
			}
		}
	}
	sh.ready = true
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
