package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/eventstream"
	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// heard is one event as a reader of the stream has it.
type heard struct {
	id, kind string
	data     exchange.Announcement
}

// listen opens a stream and gives its events; the stream ends with the test or by end.
func listen(t *testing.T, url, token string, header map[string]string) (events <-chan heard, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("status %d, %s", response.StatusCode, response.Header.Get("Content-Type"))
	}
	out := make(chan heard, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(out)
		defer response.Body.Close()
		var e heard
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.kind = value
			case "data":
				if err := json.Unmarshal([]byte(value), &e.data); err != nil {
					t.Errorf("data %q: %v", value, err)
				}
			case "":
				if value == "" && e.id != "" {
					out <- e
					e = heard{}
				} else if value == "alive" {
					out <- heard{kind: "alive"}
				}
			}
		}
	}()
	end = func() { cancel(); <-done }
	t.Cleanup(end)
	return out, end
}

func next(t *testing.T, events <-chan heard) heard {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the stream ended")
		}
		return e
	case <-time.After(60 * time.Second):
		t.Fatal("no event came")
	}
	panic("unreachable")
}

// happen makes one event of an agency.
func (w *world) happen(agency, kind, subject string) {
	w.t.Helper()
	err := w.store.DB.Update(w.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return w.service.Record(ctx, tx, kind, subject, registry.System("test"), map[string]string{"agency": agency})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestStreamOfEventsGoesOnWhereItWas(t *testing.T) {
	w := newWorld(t)
	url := w.server.URL + "/api/v1/events"
	events, end := listen(t, url, w.token, nil)
	w.happen("H99", "test.one", "một")
	w.happen("H98", "test.one", "of another agency")
	w.happen("H99", "test.two", "hai\nba")
	first, second := next(t, events), next(t, events)
	if first.kind != "test.one" || first.data.Subject != "một" || second.kind != "test.two" || second.data.Subject != "hai\nba" {
		t.Fatalf("heard %+v, %+v", first, second)
	}
	end()
	for i := range 250 { // more than one page of them
		w.happen("H99", "test.away", strconv.Itoa(i))
	}
	again, end := listen(t, url, w.token, map[string]string{"Last-Event-ID": first.id})
	want, err := strconv.Atoi(first.id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 251 {
		e := next(t, again)
		if want++; e.id != strconv.Itoa(want) {
			t.Fatalf("event %s, want %d", e.id, want)
		}
		if i > 0 && e.data.Subject != strconv.Itoa(i-1) {
			t.Fatalf("event %d is about %s", i, e.data.Subject)
		}
	}
	end()
	filtered, end := listen(t, url+"?after=0&kinds=test.t*,nothing", w.token, nil)
	if e := next(t, filtered); e.kind != "test.two" {
		t.Errorf("the filter let %s through", e.kind)
	}
	end()
	w.call(http.StatusUnprocessableEntity, http.MethodGet, "/api/v1/events?after=x", nil, content{}, nil)
}

func TestStreamsAreBounded(t *testing.T) {
	w := newWorld(t)
	url := w.server.URL + "/api/v1/events"
	var ends []func()
	for range eventstream.PlacesOfOne {
		_, end := listen(t, url, w.token, nil)
		ends = append(ends, end)
	}
	w.call(http.StatusServiceUnavailable, http.MethodGet, "/api/v1/events", nil, content{}, nil)
	ends[0]()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+w.token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a place that was given back is not given out")
		}
	}
}

func TestStreamShowsThatItLives(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		eventstream.Serve(r.Context(), rw, w.service, registry.Actor{Agency: "H99"}, 0, eventstream.Options{Wants: eventstream.Kinds("test.*"), Beat: 20 * time.Millisecond})
	}))
	defer server.Close()
	events, end := listen(t, server.URL, "", nil)
	defer end()
	if e := next(t, events); e.kind != "alive" {
		t.Errorf("heard %+v", e)
	}
}

// TestWebhooksOverTheAPI goes through the calls once; what they do is tested where it is done.
func TestWebhooksOverTheAPI(t *testing.T) {
	w := newWorld(t)
	if _, err := w.registry().AddPerson(t.Context(), registry.System("test"), registry.Person{Login: "quantri", Name: "Quản trị", Agency: "H99",
		Roles: []registry.Role{registry.RoleAdministrator}}, testPassword); err != nil {
		t.Fatal(err)
	}
	w.call(http.StatusForbidden, http.MethodGet, "/api/v1/webhooks", nil, content{}, nil)
	var session struct{ Token string }
	w.call(http.StatusOK, http.MethodPost, "/api/v1/login", nil, jsonBody(map[string]string{"login": "quantri", "password": testPassword}), &session)
	w.token = session.Token
	arrived := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.Header.Get("webhook-id") }))
	defer receiver.Close()
	wait := func() string {
		t.Helper()
		select {
		case id := <-arrived:
			return id
		case <-time.After(60 * time.Second):
			t.Fatal("nothing came")
		}
		panic("unreachable")
	}
	var added struct {
		Webhook struct{ ID, State string }
		Secret  string
	}
	w.call(http.StatusCreated, http.MethodPost, "/api/v1/webhooks", map[string]string{"Idempotency-Key": "k"},
		jsonBody(map[string]any{"url": receiver.URL, "events": []string{"test.*", "webhook.test"}}), &added)
	if !strings.HasPrefix(added.Secret, "whsec_") || added.Webhook.State != "active" {
		t.Fatalf("added %+v", added)
	}
	var kept int
	if err := w.store.DB.View(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM httpapi_idempotency`).Scan(&kept)
	}); err != nil || kept != 0 {
		t.Fatalf("%d answers were kept, %v: one holds a secret", kept, err)
	}
	one := "/api/v1/webhooks/" + added.Webhook.ID
	w.call(http.StatusAccepted, http.MethodPost, one+"/test", nil, content{}, nil)
	first := wait()
	w.happen("H99", "test.made", "x")
	wait()
	w.call(http.StatusAccepted, http.MethodPost, one+"/replay", nil, jsonBody(map[string]any{"from": 1}), nil)
	if again := wait(); again != first {
		t.Errorf("the replay has id %s, was %s", again, first)
	}
	w.call(http.StatusCreated, http.MethodPost, one+"/secret", nil, jsonBody(map[string]any{"overlap_hours": 24}), nil)
	w.call(http.StatusOK, http.MethodPut, one, nil, jsonBody(map[string]any{"url": receiver.URL, "description": "sổ văn bản"}), nil)
	w.call(http.StatusOK, http.MethodPost, one+"/pause", nil, content{}, nil)
	w.call(http.StatusOK, http.MethodPost, one+"/resume", nil, content{}, nil)
	seen := 0
	for path := one + "/messages?limit=1"; path != ""; seen++ {
		var list struct{ Items []map[string]any }
		response := w.call(http.StatusOK, http.MethodGet, path, nil, content{}, &list)
		path, _, _ = strings.Cut(strings.TrimPrefix(response.Header.Get("Link"), "<"), ">")
	}
	if seen < 3 {
		t.Errorf("%d messages on pages of one", seen)
	}
	var log struct {
		Items []struct{ Status int }
	}
	w.call(http.StatusOK, http.MethodGet, one+"/attempts", nil, content{}, &log)
	if len(log.Items) < 3 || log.Items[0].Status != http.StatusOK {
		t.Errorf("the log is %+v", log)
	}
	w.call(http.StatusConflict, http.MethodPost, one+"/messages/1/skip", nil, content{}, nil)
	w.call(http.StatusNoContent, http.MethodDelete, one, nil, content{}, nil)
	w.call(http.StatusNotFound, http.MethodGet, one, nil, content{}, nil)
	w.call(http.StatusUnprocessableEntity, http.MethodPost, "/api/v1/webhooks", nil, jsonBody(map[string]any{"url": "ftp://x"}), nil)
	w.call(http.StatusUnprocessableEntity, http.MethodGet, fmt.Sprintf("%s/messages?after=%s", one, "abc"), nil, content{}, nil)
}
