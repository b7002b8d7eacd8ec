package console

import (
	"net/http"
	"time"

	"vanthu/exchange/eventstream"
)

// streamTimeout ends a page's stream of events; the page comes back by itself, and its session is looked at again.
const streamTimeout = 10 * time.Minute

// events tells an open page what happens in the agency, so that its lists and counts follow.
func (s *server) events(v *visit) error {
	if !v.known {
		v.w.WriteHeader(http.StatusNoContent) // tells the browser not to come back
		return nil
	}
	q := v.r.URL.Query()
	after, err := eventstream.From(v.ctx(), s.cfg.Service, v.actor, v.r.Header.Get("Last-Event-ID"), q.Get("after"))
	if err != nil {
		return err
	}
	leave, ok := s.streams.Enter(v.actor.Tag())
	if !ok {
		return eventstream.Full()
	}
	defer leave()
	eventstream.Serve(v.ctx(), v.w, s.cfg.Service, v.actor, after, eventstream.Options{Wants: eventstream.Kinds(q.Get("kinds")), Unnamed: true})
	return nil
}
