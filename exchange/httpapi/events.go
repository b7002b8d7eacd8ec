package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// Bounds of event streams.
const (
	// streamsOfOne is how many streams one person or token may hold open.
	streamsOfOne = 8
	// streamsOfAll is how many the hub holds open.
	streamsOfAll = 2000
	// heartbeat is the pause after which a comment shows that the stream lives. It is also how late an event of another
	// process on the same database can be.
	heartbeat = 15 * time.Second
	// streamWrite is how long a reader may take to take what is sent.
	streamWrite = 30 * time.Second
	// streamLife ends a stream, so that a token which was withdrawn does not go on; the reader comes back by itself.
	streamLife = 30 * time.Minute
	// retryAfter is the pause of a reader before it comes back, in milliseconds.
	retryAfter = 3000
)

// streams counts the open ones.
type streams struct {
	mu  sync.Mutex
	all int
	of  map[string]int
}

// enter takes a place for a caller; leave gives it back.
func (s *streams) enter(caller string) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = make(map[string]int)
	}
	if s.all >= streamsOfAll || s.of[caller] >= streamsOfOne {
		return nil, false
	}
	s.all++
	s.of[caller]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.of[caller]--; s.of[caller] == 0 {
			delete(s.of, caller)
		}
	}, true
}

type eventsInput struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"number of the last event seen; the stream goes on after it"`
	After       string `query:"after" maxLength:"20" doc:"as Last-Event-ID, for readers that cannot set headers; what happens from now on when both are absent"`
	Kinds       string `query:"kinds" maxLength:"500" doc:"kinds parted by commas, document.* for a group; all when absent"`
}

func (a *api) describeEvents(described huma.API) {
	register(described, huma.Operation{
		OperationID: "events", Method: http.MethodGet, Path: "/api/v1/events", Tags: []string{"events"}, Summary: "Sự kiện của cơ quan (SSE) / Events of the agency (server-sent events)",
		Description: "id is the event's number in the agency, without a gap; event its kind; data an Announcement as JSON. A comment every 15 s shows that the stream lives.",
		Security:    withToken(),
		Responses: map[string]*huma.Response{"200": {
			Description: "text/event-stream", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}},
		}},
	}, a.events)
}

func (a *api) events(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	by := actorOf(ctx)
	from := in.LastEventID
	if from == "" {
		from = in.After
	}
	var after int64
	var err error
	if from == "" {
		after, err = a.service.LastAnnouncement(ctx, by)
	} else if after, err = strconv.ParseInt(from, 10, 64); err != nil || after < 0 {
		err = registry.NewError(exchange.KindInvalid, "Last-Event-ID phải là số của một sự kiện.", "Last-Event-ID must be the number of an event.")
	}
	if err != nil {
		return nil, a.told(ctx, err)
	}
	leave, ok := a.streams.enter(by.Tag())
	if !ok {
		return nil, a.told(ctx, registry.NewError(exchange.KindUnavailable, "Quá nhiều luồng sự kiện đang mở.", "Too many event streams are open.").
			Advise("Đóng bớt luồng không dùng rồi thử lại.", "Close some, then try again."))
	}
	return &huma.StreamResponse{Body: func(call huma.Context) {
		defer leave()
		r, w := humago.Unwrap(call)
		stream(r.Context(), w, a.service, by, after, kindsOf(in.Kinds), heartbeat)
	}}, nil
}

// kindsOf reads a filter; nil takes all.
func kindsOf(list string) func(kind string) bool {
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

// stream writes events as they happen (HTML Living Standard §9.2) until the reader has gone.
func stream(ctx context.Context, w http.ResponseWriter, service *exchange.Service, by registry.Actor, after int64, wants func(string) bool, beat time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, streamLife)
	defer cancel()
	woken, stop := service.Watch(by.Agency)
	defer stop()
	connection := http.NewResponseController(w)
	send := func(text string) bool {
		// A reader that takes nothing is let go; where the connection has no deadlines the server's own hold.
		_ = connection.SetWriteDeadline(time.Now().Add(streamWrite))
		if _, err := w.Write([]byte(text)); err != nil {
			return false
		}
		return connection.Flush() == nil
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no")
	if !send(fmt.Sprintf("retry: %d\n: from %d\n\n", retryAfter, after)) {
		return
	}
	pulse := time.NewTicker(beat)
	defer pulse.Stop()
	for {
		list, err := service.Announcements(ctx, by, after, 0)
		if err != nil {
			return // the reader comes back and goes on where it was
		}
		for i := range list {
			after = list[i].Seq
			if wants != nil && !wants(list[i].Kind) {
				continue
			}
			text, err := eventText(&list[i])
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
func eventText(a *exchange.Announcement) (string, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("encoding event %d: %w", a.Seq, err)
	}
	return fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", a.Seq, a.Kind, data), nil
}
