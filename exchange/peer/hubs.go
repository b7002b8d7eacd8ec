package peer

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// Hub is another hub as this one knows it.
type Hub struct {
	ID       string    `json:"id"`
	URL      string    `json:"url"`
	Name     string    `json:"name"`
	Scope    []string  `json:"scope,omitempty"` // codes that it may speak for, with all below; none = any that nobody else has
	Disabled bool      `json:"disabled"`
	Keys     []Key     `json:"keys"`
	Agencies int       `json:"agencies"` // that it speaks for
	Waiting  int       `json:"waiting"`  // evidence on its way to it
	Added    time.Time `json:"added"`
	Seen     time.Time `json:"seen,omitzero"`
	Problem  string    `json:"problem,omitempty"`

	tls      []string
	chunk    int64
	version  int64
	registry int64
	pulled   int64
}

// covers tells whether the hub may speak for a code.
func (h *Hub) covers(code registry.AgencyID) bool {
	return len(h.Scope) == 0 || slices.ContainsFunc(h.Scope, func(s string) bool {
		return string(code) == s || strings.HasPrefix(string(code), s+".")
	})
}

// Addition is what an administrator says of a hub to connect with.
type Addition struct {
	URL   string
	Key   string   // its public key, base64url: learnt from its administrator, not from the network
	Scope []string // see Hub
}

// Add connects with a hub: its descriptor has to be signed by the key that is given, which pins it. A hub that is known
// gets the address, the keys and the scope anew.
func (p *Peers) Add(ctx context.Context, a Addition) (*Hub, error) {
	base, err := p.baseURL(a.URL)
	if err != nil {
		return nil, err
	}
	given := Key{Public: strings.TrimSpace(a.Key)}
	public, err := given.bytes()
	if err != nil {
		return nil, registry.NewError(exchange.KindInvalid, "Khóa của máy chủ không hợp lệ.", "The key of the hub is not valid.").
			Advise("Hỏi quản trị bên kia kết quả của `vanthu peer key`.", "Ask its administrator for what `vanthu peer key` prints.").Because(err)
	}
	given.ID = keyID(public)
	var scope []string
	for _, c := range a.Scope {
		id, err := registry.ParseAgencyID(c)
		if err != nil {
			return nil, err
		}
		scope = append(scope, string(id))
	}
	data, err := p.fetchDescriptor(ctx, &Hub{URL: base}, true)
	if err != nil {
		return nil, registry.NewError(exchange.KindUnavailable, "Không đọc được "+base+wellKnown+".", "Cannot read "+base+wellKnown+".").Because(err)
	}
	d, err := readDescriptor(data, []Key{given}, p.now())
	if err != nil {
		return nil, registry.NewError(exchange.KindForbidden, "Máy chủ ở địa chỉ này không có khóa đã cho.", "The hub at this address has not the key that was given.").Because(err)
	}
	s, err := p.own(ctx)
	if err == nil && d.Hub == s.id {
		err = registry.NewError(exchange.KindInvalid, "Đây là chính máy chủ này.", "That is this hub itself.")
	}
	if err != nil {
		return nil, err
	}
	h := &Hub{ID: d.Hub, URL: base, Name: d.Name, Scope: scope, Added: p.now(), tls: d.TLS, chunk: d.Limits.Chunk, version: d.Version, Keys: d.Keys}
	err = p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := upsertHub(ctx, tx, h); err != nil {
			return err
		}
		return p.wakeHub(ctx, tx, h.ID)
	})
	if err != nil {
		return nil, fmt.Errorf("adding the hub %s: %w", h.ID, err)
	}
	p.forget(h.ID)
	return h, nil
}

// baseURL checks an address: https, or http where nobody listens in.
func (p *Peers) baseURL(text string) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return "", registry.NewError(exchange.KindInvalid, "Địa chỉ phải có dạng https://máy-chủ[:cổng].", "An address has the form https://host[:port].")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && !p.cfg.AllowPlain && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", registry.NewError(exchange.KindInvalid, "Chỉ dùng http trong cùng một máy; hãy dùng https.", "http is for the same machine only; use https.")
	}
	return u.String(), nil
}

// Hubs lists the hubs that are known, by id.
func (p *Peers) Hubs(ctx context.Context) (list []Hub, err error) {
	err = p.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = selectHubs(ctx, tx)
		return err
	})
	return list, err
}

// Disable shuts a hub out, or lets it in again. What waits for its agencies goes on waiting.
func (p *Peers) Disable(ctx context.Context, id string, disabled bool) error {
	found := false
	err := p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if found, err = setDisabled(ctx, tx, id, disabled); err != nil || !found || disabled {
			return err
		}
		return p.wakeHub(ctx, tx, id)
	})
	if err == nil && !found {
		err = registry.NewError(exchange.KindNotFound, "Không có máy chủ này.", "There is no such hub.")
	}
	p.forget(id)
	return err
}

// hub gives a hub by id, nil when it is not known.
func (p *Peers) hub(ctx context.Context, id string) (h *Hub, err error) {
	l := p.link(id)
	if h := l.known(p.now()); h != nil {
		return h, nil
	}
	err = p.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		h, err = selectHub(ctx, tx, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the hub: %w", err)
	}
	if h != nil {
		l.know(h, p.now())
	}
	return h, nil
}

func (p *Peers) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, id)
	clear(p.cards)
}

// hubOf gives the hub that speaks for an agency now.
func (p *Peers) hubOf(ctx context.Context, code registry.AgencyID) (*Hub, error) {
	var id string
	err := p.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		id, err = selectHolder(ctx, tx, code, p.now())
		return err
	})
	if err != nil {
		return nil, err
	}
	var h *Hub
	if id != "" {
		if h, err = p.hub(ctx, id); err != nil {
			return nil, err
		}
	}
	switch {
	case h == nil:
		return nil, registry.NewError(exchange.KindUnavailable, fmt.Sprintf("Chưa có máy chủ nào đại diện cho %s.", code), fmt.Sprintf("No hub speaks for %s yet.", code)).
			Advise("Kết nối với máy chủ của cơ quan này bằng `vanthu peer add`.", "Connect with the hub of that agency by `vanthu peer add`.")
	case h.Disabled:
		return nil, registry.NewError(exchange.KindUnavailable, fmt.Sprintf("Kết nối với máy chủ %s đang tạm khóa.", h.Name), fmt.Sprintf("The connection with the hub %s is shut.", h.Name))
	}
	return h, nil
}

// link is the way to a hub: whether it works, and what was just read of it. It lives in memory only.
type link struct {
	mu       sync.Mutex
	hub      *Hub
	until    time.Time // the hub read is good for
	failures int
	down     time.Time // not tried before
	seen     bool      // since this process started
	client   *http.Client
	pins     string
}

const hubKept = 10 * time.Second

func (p *Peers) link(id string) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.links[id]
	if l == nil {
		l = &link{}
		p.links[id] = l
	}
	return l
}

func (l *link) known(now time.Time) *Hub {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hub == nil || now.After(l.until) {
		return nil
	}
	return l.hub
}

func (l *link) know(h *Hub, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hub, l.until = h, now.Add(hubKept)
}

// linkPause is how long a link rests after n failures: 1 s doubling to 10 min, each by chance between half and all of it,
// so that hubs do not come back all at once.
func linkPause(n int) time.Duration {
	most := min(10*time.Minute, time.Second<<min(n, 10))
	return most/2 + rand.N(most/2+1) //nolint:gosec // spreads load, keeps no secret
}

// rest tells how long a link still rests.
func (l *link) rest(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.down.Sub(now))
}

func (l *link) failed(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = now.Add(linkPause(l.failures))
	l.failures++
}

// up notes that the link works and tells whether that is news.
func (l *link) up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := l.failures > 0 || !l.seen
	l.failures, l.down, l.seen = 0, time.Time{}, true
	return news
}

// sighted wakes what waits for a hub that has just been seen for the first time since it failed (or since this process
// started).
func (p *Peers) sighted(ctx context.Context, h *Hub) {
	if !p.link(h.ID).up() {
		return
	}
	err := p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := setSeen(ctx, tx, h.ID, "", p.now()); err != nil {
			return err
		}
		agencies, err := selectHeld(ctx, tx, h.ID)
		if err != nil {
			return err
		}
		if err := p.cfg.Service.Wake(ctx, tx, agencies); err != nil {
			return err
		}
		return p.wakeHub(ctx, tx, h.ID)
	})
	if err != nil {
		p.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "waking what waits for a hub", slog.String("hub", h.ID), slog.String("error", err.Error()))
	}
}

// lost notes that a hub cannot be reached.
func (p *Peers) lost(ctx context.Context, h *Hub, cause error) {
	p.link(h.ID).failed(p.now())
	err := p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return setSeen(ctx, tx, h.ID, clip(cause.Error(), 300), time.Time{})
	})
	if err != nil && ctx.Err() == nil {
		p.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "noting that a hub is away", slog.String("hub", h.ID), slog.String("error", err.Error()))
	}
}

// httpClient gives the client for a hub. Where the hub has named its TLS keys, those count and no authority does; on
// first contact (open) nothing is checked: what is read there is signed by the key that the administrator gave.
func (p *Peers) httpClient(h *Hub, first bool) *http.Client {
	pins := strings.Join(h.tls, ",")
	l := p.link(h.ID)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil && l.pins == pins && !first {
		return l.client
	}
	transport := p.cfg.HTTP
	if transport == nil {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	}
	transport = transport.Clone()
	transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	transport.TLSHandshakeTimeout, transport.ResponseHeaderTimeout = 10*time.Second, 2*time.Minute
	transport.MaxIdleConnsPerHost, transport.IdleConnTimeout = 16, time.Minute
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if first || len(h.tls) > 0 {
		allowed := slices.Clone(h.tls)
		transport.TLSClientConfig.InsecureSkipVerify = true // the pins of the descriptor are checked instead
		transport.TLSClientConfig.VerifyConnection = func(state tls.ConnectionState) error {
			if first || len(state.PeerCertificates) > 0 && slices.Contains(allowed, Pin(state.PeerCertificates[0].RawSubjectPublicKeyInfo)) {
				return nil
			}
			return errors.New("peer: the TLS key is none of those that the hub has named")
		}
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if !first {
		l.client, l.pins = client, pins
	}
	return client
}

// Pin is the SHA-256 of a SubjectPublicKeyInfo in base64url.
func Pin(spki []byte) string {
	sum := sha256.Sum256(spki)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
