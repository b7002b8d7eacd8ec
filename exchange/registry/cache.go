package registry

import (
	"fmt"
	"sync"
	"time"
)

// cache keeps answers for a short time so that an API call costs no transaction.
// Whoever changes the data clears it; the time bounds what another process on
// the same database may have changed.
type cache[K comparable, V any] struct {
	mu    sync.Mutex
	items map[K]cached[V]
	gen   uint64 // counts clears: an answer read before a clear is not kept after it
	ttl   time.Duration
	max   int
	now   func() time.Time
}

type cached[V any] struct {
	value V
	until time.Time
}

func newCache[K comparable, V any](ttl time.Duration, max int, now func() time.Time) *cache[K, V] {
	return &cache[K, V]{items: map[K]cached[V]{}, ttl: ttl, max: max, now: now}
}

func (c *cache[K, V]) get(k K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[k]
	if !ok || !c.now().Before(e.until) {
		return v, false
	}
	return e.value, true
}

func (c *cache[K, V]) generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gen
}

func (c *cache[K, V]) put(generation uint64, k K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.gen {
		return
	}
	if len(c.items) >= c.max {
		clear(c.items)
	}
	c.items[k] = cached[V]{v, c.now().Add(c.ttl)}
}

func (c *cache[K, V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	clear(c.items)
}

// wrap says what was being done, and leaves errors for people as they are.
func wrap(doing string, err error) error {
	if err == nil || KindOf(err) != "" {
		return err
	}
	return fmt.Errorf("%s: %w", doing, err)
}
