package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

func validID(s string) bool {
	u, err := uuid.Parse(s)
	return err == nil && u.String() == s
}

// maxAnswer bounds what is read of another hub's answer.
const maxAnswer = 8 << 20

// callTimeout is the longest that one request may take.
const callTimeout = 3 * time.Minute

func (p *Peers) fetchDescriptor(ctx context.Context, h *Hub, first bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+wellKnown, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := p.httpClient(h, first).Do(r)
	if err != nil {
		return nil, p.unreachable(ctx, h, err, !first)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, p.unreachable(ctx, h, err, !first)
	}
	if res.StatusCode != http.StatusOK {
		return nil, p.unreachable(ctx, h, fmt.Errorf("HTTP status %d", res.StatusCode), !first)
	}
	return data, nil
}

// unreachable notes that a hub does not answer, and tells it as an error that passes.
func (p *Peers) unreachable(ctx context.Context, h *Hub, cause error, note bool) error {
	if note && ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) && note {
		p.lost(context.WithoutCancel(ctx), h, cause)
	}
	return registry.NewError(exchange.KindUnavailable, fmt.Sprintf("Không kết nối được máy chủ %s.", h.Name), fmt.Sprintf("The hub %s cannot be reached.", h.Name)).
		Advise("Hệ thống tự gửi lại; kiểm tra mạng nếu kéo dài.", "It is tried again by itself; look at the network if it lasts.").Because(cause)
}

// reply is another hub's answer to a request.
type reply struct {
	status int
	header http.Header
	data   []byte
}

// call makes a signed request, once more where the way there had doubled it.
func (p *Peers) call(ctx context.Context, h *Hub, method, path string, body []byte, header map[string]string) (*reply, error) {
	got, err := p.callOnce(ctx, h, method, path, body, header)
	var said *refusal
	if errors.As(err, &said) && said.Code == codeReplay {
		return p.callOnce(ctx, h, method, path, body, header)
	}
	return got, err
}

// callOnce makes one signed request. A refusal of the other hub is a *refusal; when it cannot be reached, KindUnavailable.
func (p *Peers) callOnce(ctx context.Context, h *Hub, method, path string, body []byte, header map[string]string) (*reply, error) {
	if rest := p.link(h.ID).rest(p.now()); rest > 0 {
		return nil, p.unreachable(ctx, h, fmt.Errorf("it did not answer; it is tried again in %s", rest.Round(time.Second)), false)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, h.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	if err := p.signRequest(ctx, r, h.ID, body); err != nil {
		return nil, err
	}
	res, err := p.httpClient(h, false).Do(r)
	if err != nil {
		return nil, p.unreachable(ctx, h, err, true)
	}
	got := &reply{status: res.StatusCode, header: res.Header}
	got.data, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, p.unreachable(ctx, h, err, true)
	}
	if got.status/100 == 2 {
		p.sighted(ctx, h)
		return got, nil
	}
	said := &refusal{}
	if got.header.Get("Content-Type") != "application/json; charset=utf-8" || json.Unmarshal(got.data, said) != nil || said.Code == "" {
		return nil, p.unreachable(ctx, h, fmt.Errorf("HTTP status %d that is not the hub's own", got.status), true)
	}
	if said.Code == codeOffset {
		said.Offset, _ = strconv.ParseInt(got.header.Get(headerOffset), 10, 64) // 0 = from the start
	}
	return nil, said
}

// get reads something that the other hub has signed.
func (p *Peers) get(ctx context.Context, h *Hub, path, typ string, into any) error {
	got, err := p.call(ctx, h, http.MethodGet, path, nil, nil)
	if err != nil {
		return asTold(h, err)
	}
	return p.read(h, got.data, typ, into)
}

// read opens an answer that the other hub has signed.
func (p *Peers) read(h *Hub, data []byte, typ string, into any) error {
	payload, err := open(data, typ, valid(h.Keys, p.now()))
	if err != nil {
		return fmt.Errorf("the answer of hub %s: %w", h.ID, err)
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return fmt.Errorf("the answer of hub %s: %w", h.ID, err)
	}
	return nil
}

// asTold turns a refusal into an error of the exchange.
func asTold(h *Hub, err error) error {
	var r *refusal
	if errors.As(err, &r) {
		return r.told(h)
	}
	return err
}
