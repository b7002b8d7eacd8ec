package pki

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Cached is an answer that is kept until it should be renewed.
type Cached struct {
	Data  []byte    `json:"data"`
	Until time.Time `json:"until"`
}

// Cache keeps answers of authorities by key (lower-case hexadecimal SHA-256). It need not be trustworthy: a Fetcher
// judges what it gets from it. Implementations are safe for concurrent use.
type Cache interface {
	// Get gives what is kept; ok is false when there is nothing that can be read.
	Get(ctx context.Context, key string) (c Cached, ok bool)
	// Put keeps an answer in place of the one before.
	Put(ctx context.Context, key string, c Cached) error
}

// MemoryCache is a Cache that ends with the process.
type MemoryCache struct {
	mu    sync.Mutex
	limit int
	bytes int
	kept  map[string]Cached
}

// NewMemoryCache makes a MemoryCache of at most limit bytes; 0 means 64 MiB.
func NewMemoryCache(limit int) *MemoryCache {
	if limit <= 0 {
		limit = 64 << 20
	}
	return &MemoryCache{limit: limit, kept: map[string]Cached{}}
}

// Get implements Cache.
func (m *MemoryCache) Get(_ context.Context, key string) (Cached, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.kept[key]
	return c, ok
}

// Put implements Cache. A full cache drops what ends first; what is larger than the cache is not kept.
func (m *MemoryCache) Put(_ context.Context, key string, c Cached) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
	if len(c.Data) > m.limit {
		return nil
	}
	for m.bytes+len(c.Data) > m.limit {
		first := ""
		for k, other := range m.kept {
			if first == "" || other.Until.Before(m.kept[first].Until) {
				first = k
			}
		}
		m.drop(first)
	}
	m.kept[key] = c
	m.bytes += len(c.Data)
	return nil
}

func (m *MemoryCache) drop(key string) {
	m.bytes -= len(m.kept[key].Data)
	delete(m.kept, key)
}

// FolderCache is a Cache of one file per answer, which outlives the process.
type FolderCache struct{ dir string }

// NewFolderCache opens a folder, making it when it is not there.
func NewFolderCache(dir string) (*FolderCache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the revocation cache: %w", err)
	}
	return &FolderCache{dir: dir}, nil
}

// Get implements Cache; a file that cannot be read is as good as none.
func (d *FolderCache) Get(_ context.Context, key string) (Cached, bool) {
	var c Cached
	info, err := os.Stat(d.path(key))
	if err != nil || info.Size() > 2*defaultMaxCRL {
		return c, false
	}
	data, err := os.ReadFile(d.path(key))
	return c, err == nil && json.Unmarshal(data, &c) == nil
}

// Put implements Cache. A crash leaves the old answer or the new one.
func (d *FolderCache) Put(_ context.Context, key string, c Cached) error {
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("keeping an answer: %w", err)
	}
	if err := writeFile(d.path(key), data, 0o600); err != nil {
		return fmt.Errorf("keeping an answer: %w", err)
	}
	return nil
}

// Prune removes the answers that ended before the given time and tells how many they were.
func (d *FolderCache) Prune(ctx context.Context, before time.Time) (int, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return 0, fmt.Errorf("clearing the revocation cache: %w", err)
	}
	removed := 0
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" {
			continue
		}
		key := e.Name()[:len(e.Name())-len(".json")]
		if c, ok := d.Get(ctx, key); ok && !c.Until.Before(before) {
			continue
		}
		if err := os.Remove(d.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("clearing the revocation cache: %w", err)
		}
		removed++
	}
	return removed, nil
}

func (d *FolderCache) path(key string) string {
	return filepath.Join(d.dir, filepath.Base(key)+".json")
}
