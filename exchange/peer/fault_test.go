package peer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// badLine is a bad line to one hub: it drops requests and answers, delays them (so that they overtake each other) and sends
// them twice.
type badLine struct {
	to     func() string
	rate   atomic.Int64 // per mille of each fault
	counts [4]atomic.Int64
}

const (
	dropRequest = iota
	dropAnswer
	delay
	double
)

func (l *badLine) hit(fault int) bool {
	if rand.Int64N(1000) >= l.rate.Load() {
		return false
	}
	l.counts[fault].Add(1)
	return true
}

func (l *badLine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || l.hit(dropRequest) {
		panic(http.ErrAbortHandler)
	}
	if l.hit(delay) {
		time.Sleep(rand.N(150 * time.Millisecond))
	}
	res, answer, err := l.forward(r, body)
	if l.hit(double) {
		if again, other, err := l.forward(r, body); err == nil && rand.IntN(2) == 0 {
			res, answer = again, other
		}
	}
	if err != nil || l.hit(dropAnswer) {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), res.Header)
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(answer)
}

func (l *badLine) forward(r *http.Request, body []byte) (*http.Response, []byte, error) {
	again, err := http.NewRequestWithContext(r.Context(), r.Method, l.to()+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	again.Header = r.Header.Clone()
	res, err := http.DefaultTransport.RoundTrip(again)
	if err != nil {
		return nil, nil, err
	}
	answer, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return res, answer, err
}

func scale(small, large int) int {
	if os.Getenv("VANTHU_SCALE") != "" {
		if n, err := strconv.Atoi(os.Getenv("VANTHU_SCALE_DOCUMENTS")); err == nil {
			return n
		}
		return large
	}
	return small
}

// network is three hubs of two agencies each, with a bad line from each to each.
type network struct {
	hubs  []*station
	lines []*badLine
}

func newNetwork(t *testing.T) *network {
	n := &network{}
	quick := func(c *Config) { c.PollEvery = 2 * time.Second }
	for i, name := range []string{"a", "b", "c"} {
		n.hubs = append(n.hubs, newStation(t, name, quick, fmt.Sprintf("H0%d", i+1), fmt.Sprintf("H0%d.01", i+1)))
	}
	ctx := context.Background()
	for _, from := range n.hubs {
		for _, to := range n.hubs {
			if from == to {
				continue
			}
			l := &badLine{to: func() string { return to.http.URL }}
			server := httptest.NewServer(l)
			t.Cleanup(server.Close)
			n.lines = append(n.lines, l)
			d, _, err := to.peers.Describe(ctx)
			check(t, err)
			_, err = from.peers.Add(ctx, Addition{URL: server.URL, Key: d.Keys[0].Public})
			check(t, err)
		}
	}
	for _, from := range n.hubs {
		for _, to := range n.hubs {
			if from != to {
				check(t, from.peers.Sync(ctx, to.id(t)))
			}
		}
	}
	return n
}

func (n *network) disturb(rate int64) {
	for _, l := range n.lines {
		l.rate.Store(rate)
	}
}

// shipment is a document and where it went.
type shipment struct {
	from *station
	doc  *exchange.Document
	to   []registry.AgencyID
}

func (n *network) at(a registry.AgencyID) *station {
	for _, s := range n.hubs {
		for _, own := range s.agencies {
			if own.ID == a {
				return s
			}
		}
	}
	return nil
}

// ship sends documents from everywhere to everywhere else while the lines are bad and hubs are restarted.
func (n *network) ship(t *testing.T, count int) []shipment {
	var (
		mu   sync.Mutex
		out  []shipment
		wg   sync.WaitGroup
		next atomic.Int64
	)
	for _, s := range n.hubs {
		var others []registry.AgencyID
		for _, o := range n.hubs {
			if o != s {
				others = append(others, o.agencies[0].ID, o.agencies[1].ID)
			}
		}
		wg.Go(func() {
			for i := next.Add(1); i <= int64(count) && !t.Failed(); i = next.Add(1) {
				to := append([]registry.AgencyID(nil), others...)
				rand.Shuffle(len(to), func(i, j int) { to[i], to[j] = to[j], to[i] })
				to = to[:1+rand.IntN(2)]
				d := s.send(t, s.agencies[rand.IntN(2)].ID, fmt.Sprintf("%s-%d", s.name, i), rand.IntN(20_000), to...)
				mu.Lock()
				out = append(out, shipment{s, d, to})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return out
}

// TestThreeHubs: nothing lost, nothing doubled, every receipt verifies, the registers agree, whatever the lines do.
func TestThreeHubs(t *testing.T) {
	n := newNetwork(t)
	count := scale(24, 10_000)
	n.disturb(60)
	started := time.Now()
	shipped := n.ship(t, count/2)
	restarts := 0
	for _, s := range n.hubs { // in the middle of whatever they do
		s.restart(t)
		restarts++
	}
	shipped = append(shipped, n.ship(t, count-count/2)...)
	n.restartOften(t, &restarts)
	n.disturb(0)
	copies := n.arrived(t, shipped)
	for _, s := range n.hubs {
		for i, in := range s.incoming(t, s.agencies[0].ID) {
			if i < 20 { // and on to a status that travels back
				_, err := s.service.Register(context.Background(), s.as(registry.RoleClerk, in.Agency), in.ID)
				check(t, err)
			}
		}
	}
	n.settled(t, shipped)
	n.agree(t)
	var faults [4]int64
	for _, l := range n.lines {
		for i := range faults {
			faults[i] += l.counts[i].Load()
		}
	}
	t.Logf("%d documents, %d copies, %s; requests dropped %d, answers dropped %d, delayed %d, doubled %d; %d restarts", len(shipped), copies,
		time.Since(started).Round(time.Millisecond), faults[dropRequest], faults[dropAnswer], faults[delay], faults[double], restarts)
}

// restartOften restarts a hub twice while documents are on their way.
func (n *network) restartOften(t *testing.T, restarts *int) {
	for range 2 {
		time.Sleep(200 * time.Millisecond)
		n.hubs[rand.IntN(len(n.hubs))].restart(t)
		*restarts++
	}
}

// arrived waits until every copy has its receipt and looks for each in its register, once.
func (n *network) arrived(t *testing.T, shipped []shipment) (copies int) {
	t.Helper()
	limit := time.Now().Add(2*time.Minute + time.Duration(len(shipped))*50*time.Millisecond)
	for _, s := range shipped {
		for _, to := range s.to {
			copies++
			for s.from.delivery(t, s.doc, to).Transport != exchange.TransportDone {
				if time.Now().After(limit) {
					t.Fatalf("%s to %s: %+v", s.doc.ID, to, s.from.delivery(t, s.doc, to))
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	type place struct {
		to  registry.AgencyID
		doc exchange.DocumentID
	}
	seen := map[place]int{}
	for _, s := range n.hubs {
		for _, a := range s.agencies {
			for _, in := range s.incoming(t, a.ID) {
				seen[place{a.ID, in.Document}]++
			}
		}
	}
	for _, s := range shipped {
		for _, to := range s.to {
			if got := seen[place{to, s.doc.ID}]; got != 1 {
				t.Errorf("%s arrived %d times at %s", s.doc.ID, got, to)
			}
			delete(seen, place{to, s.doc.ID})
		}
	}
	if len(seen) > 0 {
		t.Errorf("%d documents in the registers that nobody sent", len(seen))
	}
	return copies
}

// settled waits until no evidence is on its way.
func (n *network) settled(t *testing.T, shipped []shipment) {
	t.Helper()
	for _, s := range shipped {
		for _, to := range s.to {
			var there exchange.Status
			for _, in := range n.at(to).incoming(t, to) {
				if in.Document == s.doc.ID {
					there = in.Status
				}
			}
			until(t, "the status of "+string(s.doc.ID), func() bool { return s.from.delivery(t, s.doc, to).Status == there })
		}
		if len(shipped) > 200 {
			break // the registers are compared as a whole after this
		}
	}
	until(t, "evidence on its way", func() bool {
		for _, s := range n.hubs {
			hubs, err := s.peers.Hubs(context.Background())
			check(t, err)
			for _, h := range hubs {
				if h.Waiting > 0 {
					return false
				}
			}
		}
		return true
	})
}

// agree has everything checked and the registers of each two hubs compared.
func (n *network) agree(t *testing.T) {
	t.Helper()
	now := time.Now().UTC()
	for _, s := range n.hubs {
		s.sound(t)
		for _, o := range n.hubs {
			if s == o {
				continue
			}
			m, err := s.peers.Reconcile(context.Background(), o.id(t), now.AddDate(0, 0, -1).Format(dayForm), now.Format(dayForm))
			check(t, err)
			if len(m.Differences) > 0 {
				t.Errorf("%s and %s differ: %+v", s.name, o.name, m.Differences)
			}
		}
	}
}
