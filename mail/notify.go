package mail

import "sync"

// hub wakes those who watch a mailbox after a commit that changed it.
type hub struct {
	mu       sync.Mutex
	watchers map[MailboxID]map[chan struct{}]struct{}
}

func newHub() *hub {
	return &hub{watchers: make(map[MailboxID]map[chan struct{}]struct{})}
}

// Watch returns a channel that gets a token after each commit that changed the
// mailbox; tokens that nobody took yet are one. Call stop when done.
func (s *Store) Watch(id MailboxID) (ch <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers[id] == nil {
		h.watchers[id] = make(map[chan struct{}]struct{})
	}
	h.watchers[id][c] = struct{}{}
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers[id], c)
		if len(h.watchers[id]) == 0 {
			delete(h.watchers, id)
		}
	}
}

// notify never waits: it runs inside the commit.
func (h *hub) notify(id MailboxID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.watchers[id] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
