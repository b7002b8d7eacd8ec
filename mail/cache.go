package mail

import (
	"container/list"
	"sync"

	"vanthu/storage/blob"
)

// Bounds of the two caches of a store, in bytes (roughly counted).
const (
	parsedCacheBytes = 48 << 20
	bodyCacheBytes   = 64 << 20
)

// cache keeps immutable things by digest, the least recently used go first.
type cache[V any] struct {
	mu    sync.Mutex
	limit int64
	used  int64
	order *list.List
	items map[blob.Digest]*list.Element
}

type cacheItem[V any] struct {
	digest blob.Digest
	value  V
	cost   int64
}

func newCache[V any](limit int64) *cache[V] {
	return &cache[V]{limit: limit, order: list.New(), items: make(map[blob.Digest]*list.Element)}
}

func (c *cache[V]) get(d blob.Digest) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[d]
	if !ok {
		var none V
		return none, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cacheItem[V]).value, true
}

func (c *cache[V]) put(d blob.Digest, v V, cost int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[d]; ok || cost > c.limit {
		return
	}
	c.items[d] = c.order.PushFront(&cacheItem[V]{digest: d, value: v, cost: cost})
	c.used += cost
	for c.used > c.limit {
		e := c.order.Back()
		item := e.Value.(*cacheItem[V])
		c.order.Remove(e)
		delete(c.items, item.digest)
		c.used -= item.cost
	}
}
