// Package eventstream tells a reader over HTTP what happens in an agency, as it
// happens: server-sent events (HTML Living Standard §9.2), for programs and for
// the pages of the console alike.
package eventstream

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// Bounds of event streams.
const (
	// PlacesOfOne is how many streams one person or token may hold open.
	PlacesOfOne = 8
	// PlacesOfAll is how many a door holds open.
	PlacesOfAll = 2000
	// Heartbeat is the pause after which a comment shows that the stream lives. It is also how late an event of another
	// process on the same database can be.
	Heartbeat = 15 * time.Second

	// writeTime is how long a reader may take to take what is sent.
	writeTime = 30 * time.Second
	// life ends a stream, so that a token which was withdrawn does not go on; the reader comes back by itself.
	life = 30 * time.Minute
	// comeBack is the pause of a reader before it comes back, in milliseconds.
	comeBack = 3000
)

// Places counts the open streams of a door. The zero value is empty.
type Places struct {
	mu  sync.Mutex
	all int
	of  map[string]int
}

// Enter takes a place for a caller; ok is false when there is none left, leave gives it back.
func (p *Places) Enter(caller string) (leave func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = make(map[string]int)
	}
	if p.all >= PlacesOfAll || p.of[caller] >= PlacesOfOne {
		return nil, false
	}
	p.all++
	p.of[caller]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		if p.of[caller]--; p.of[caller] == 0 {
			delete(p.of, caller)
		}
	}, true
}

// From reads the number after which a reader wants to go on: of the header
// Last-Event-ID, or of the parameter after for those that cannot set headers.
// Without either it begins with what happens next.
func From(ctx context.Context, service *exchange.Service, by registry.Actor, lastEventID, after string) (int64, error) {
	if lastEventID == "" {
		lastEventID = after
	}
	if lastEventID == "" {
		return service.LastAnnouncement(ctx, by)
	}
	n, err := strconv.ParseInt(lastEventID, 10, 64)
	if err != nil || n < 0 {
		return 0, registry.NewError(exchange.KindInvalid, "Last-Event-ID phải là số của một sự kiện.", "Last-Event-ID must be the number of an event.")
	}
	return n, nil
}

// Full is the error for a reader that finds no place.
func Full() error {
	return registry.NewError(exchange.KindUnavailable, "Quá nhiều luồng sự kiện đang mở.", "Too many event streams are open.").
		Advise("Đóng bớt luồng không dùng rồi thử lại.", "Close some, then try again.")
}

// Kinds reads a filter: kinds parted by commas, document.* for a group. nil, for an empty one, takes all.
func Kinds(list string) func(kind string) bool {
	if strings.TrimSpace(list) == "" {
		return nil
	}
	filters := strings.Split(list, ",")
	return func(kind string) bool {
		for _, f := range filters {
			f = strings.TrimSpace(f)
			if group, all := strings.CutSuffix(f, "*"); f == kind || all && strings.HasPrefix(kind, group) {
				return true
			}
		}
		return false
	}
}

// Options of Serve. The zero value tells everything.
type Options struct {
	Wants   func(kind string) bool // nil takes all kinds
	Unnamed bool                   // no event line: a page's EventSource hears all of them as messages
	Beat    time.Duration          // between signs of life; 0 = Heartbeat
}

// Serve writes the events of the actor's agency after a number, as they happen, until the reader has gone or ctx ends.
func Serve(ctx context.Context, w http.ResponseWriter, service *exchange.Service, by registry.Actor, after int64, o Options) {
	if o.Beat <= 0 {
		o.Beat = Heartbeat
	}
	ctx, cancel := context.WithTimeout(ctx, life)
	defer cancel()
	woken, stop := service.Watch(by.Agency)
	defer stop()
	connection := http.NewResponseController(w)
	send := func(text string) bool {
		// A reader that takes nothing is let go; where the connection has no deadlines the server's own hold.
		_ = connection.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := w.Write([]byte(text)); err != nil {
			return false
		}
		return connection.Flush() == nil
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no")
	if !send(fmt.Sprintf("retry: %d\n: from %d\n\n", comeBack, after)) {
		return
	}
	pulse := time.NewTicker(o.Beat)
	defer pulse.Stop()
	for {
		list, err := service.Announcements(ctx, by, after, 0)
		if err != nil {
			return // the reader comes back and goes on where it was
		}
		for i := range list {
			after = list[i].Seq
			if o.Wants != nil && !o.Wants(list[i].Kind) {
				continue
			}
			text, err := eventText(&list[i], o.Unnamed)
			if err != nil || !send(text) {
				return
			}
		}
		if len(list) > 0 {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
			return
		case <-woken:
		case <-pulse.C:
			if !send(": alive\n\n") {
				return
			}
		}
	}
}

// eventText is one event of the stream. JSON has no line ends, so one data line holds it.
func eventText(a *exchange.Announcement, unnamed bool) (string, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("encoding event %d: %w", a.Seq, err)
	}
	if unnamed {
		return fmt.Sprintf("id: %d\ndata: %s\n\n", a.Seq, data), nil
	}
	return fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", a.Seq, a.Kind, data), nil
}
