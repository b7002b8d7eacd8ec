// Package agent signs for the pages of a hub with a key that is on the official's own machine: a token, a smart card or
// a PKCS#12 file (ký bằng thiết bị trên máy của người ký). The page gives nothing but a signing ticket; what is to be
// signed comes from the hub itself, is checked to be a signature over the digest that is shown, is shown to the person
// outside the browser, and is signed only when the person says so there. The page gets the signature value back.
//
// The door is plain HTTP on a loopback address, which browsers take for a secure context (W3C Secure Contexts §3.1). It
// answers only requests whose Origin is one of the hubs given at start, whose Host is the loopback address itself (a name
// that was bound to it later is refused), and that carry the pairing code. One request is served at a time, a ticket
// makes one signature, and every use stands in a Journal before and after.
package agent

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"vanthu/signing/keys"
)

// Version is that of the door's protocol; pages ask for it.
const Version = 1

// maxRequest bounds what a page may send, in bytes.
const maxRequest = 4 << 10

var (
	// ErrRefused means that the person said no, or said nothing in time.
	ErrRefused = errors.New("agent: the person did not agree")
	// ErrTicket means that what a ticket asks for cannot be signed here.
	ErrTicket = errors.New("agent: the ticket cannot be signed with this key")
	// ErrHub means that the hub did not give the ticket.
	ErrHub = errors.New("agent: the hub did not give the ticket")
)

// Job is one signature as it is shown to the person (việc cần ký).
type Job struct {
	Hub      string // origin
	Document string // identifier
	Code     string // số, ký hiệu; may be empty for a draft
	Subject  string // trích yếu
	Step     string
	Digest   []byte // of the document's bytes, which the attributes to be signed name
	Hash     string
	Expires  time.Time
}

// Consent shows a job to the person and gives the key that may sign it, with what releases it after use. A PIN is asked
// for here, outside the browser. ErrRefused is a no. The context ends when the page has gone away or time is up.
type Consent func(ctx context.Context, job Job) (*keys.Key, func(), error)

// Config of New. All but HTTP, Logger and Now are required.
type Config struct {
	// Hubs are the origins of the hubs whose pages may ask: https://host[:port], or http to loopback.
	Hubs []string
	// Pairing is the code that a page must give; the person copies it from here into the page once.
	Pairing string
	// Certificate is the one that signs, SHA-256 in lower-case hex, and Holder whom it names.
	Certificate, Holder string
	// NotAfter is until when the certificate is valid.
	NotAfter time.Time
	Consent  Consent
	Journal  *Journal
	HTTP     *http.Client // to the hubs; nil = a client of its own. Redirects are never followed.
	Logger   *slog.Logger // nil = no log. Neither tickets nor codes are written to it.
	Now      func() time.Time
}

// Agent is the door as an http.Handler.
type Agent struct {
	cfg  Config
	http *http.Client
	busy sync.Mutex // held by the one request that is being answered
}

// consentTime is how long the person may take.
const consentTime = 5 * time.Minute

// New checks the configuration.
func New(cfg Config) (*Agent, error) {
	if len(cfg.Hubs) == 0 || cfg.Pairing == "" || cfg.Consent == nil || cfg.Journal == nil || cfg.Certificate == "" {
		return nil, errors.New("agent: Hubs, Pairing, Certificate, Consent and Journal are required")
	}
	for i, hub := range cfg.Hubs {
		origin, err := Origin(hub)
		if err != nil {
			return nil, err
		}
		cfg.Hubs[i] = origin
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client := http.Client{Timeout: 30 * time.Second}
	if cfg.HTTP != nil {
		client = *cfg.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Agent{cfg: cfg, http: &client}, nil
}

// Origin gives an address's origin as browsers write it (RFC 6454 §6.2). Plain HTTP is refused but for loopback.
func Origin(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("agent: %q is no origin: want https://host", address)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return "", fmt.Errorf("agent: %q must be https", address)
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
	return u.Scheme + "://" + host, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// ServeHTTP implements http.Handler: GET /v1/status and POST /v1/sign, with their preflights.
func (a *Agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Origin")
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	origin := r.Header.Get("Origin")
	if !loopback(strings.Trim(host, "[]")) || !slices.Contains(a.cfg.Hubs, origin) {
		a.refuse(w, http.StatusForbidden, "origin", "Trang này không được phép dùng khóa trên máy này.", "This page may not use the key on this machine.")
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if r.Method == http.MethodOptions {
		a.preflight(w, r)
		return
	}
	paired := a.paired(r)
	switch {
	case r.URL.Path == "/v1/status" && r.Method == http.MethodGet:
		a.status(w, paired)
	case r.URL.Path != "/v1/sign":
		a.refuse(w, http.StatusNotFound, "path", "Không có địa chỉ này.", "There is no such address.")
	case r.Method != http.MethodPost:
		a.refuse(w, http.StatusMethodNotAllowed, "method", "Sai phương thức.", "Wrong method.")
	case !paired:
		a.refuse(w, http.StatusUnauthorized, "pairing", "Sai mã ghép nối. Chép lại mã ở cửa sổ vanthu agent.", "Wrong pairing code. Copy it again from the window of vanthu agent.")
	default:
		a.sign(w, r, origin)
	}
}

// preflight answers CORS, and the Private Network Access request header of browsers that send it.
func (a *Agent) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "authorization, content-type")
	h.Set("Access-Control-Max-Age", "600")
	h.Add("Vary", "Access-Control-Request-Private-Network")
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *Agent) paired(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(PlainCode(given)), []byte(PlainCode(a.cfg.Pairing))) == 1
}

// PlainCode is a pairing code without what people add to it.
func PlainCode(code string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
}

// status tells a page that the agent is there, and a paired page which certificate it has.
func (a *Agent) status(w http.ResponseWriter, paired bool) {
	out := map[string]any{"agent": "vanthu", "version": Version, "paired": paired}
	if paired {
		out["certificate"], out["holder"], out["not_after"] = a.cfg.Certificate, a.cfg.Holder, a.cfg.NotAfter.UTC().Format(time.RFC3339)
	}
	answer(w, http.StatusOK, out)
}

func answer(w http.ResponseWriter, status int, out any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out) // the page has gone away: nobody to tell
}

// refuse tells the page why, in both languages.
func (a *Agent) refuse(w http.ResponseWriter, status int, code, vi, en string) {
	answer(w, status, map[string]string{"error": code, "message": vi, "message_en": en})
}

// sign serves one page; a second one is told to wait.
func (a *Agent) sign(w http.ResponseWriter, r *http.Request, origin string) {
	var in struct {
		Ticket string `json:"ticket"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	if err := decoder.Decode(&in); err != nil || !plainTicket(in.Ticket) {
		a.refuse(w, http.StatusBadRequest, "ticket", "Phiếu ký không đọc được.", "The ticket cannot be read.")
		return
	}
	if !a.busy.TryLock() {
		a.refuse(w, http.StatusConflict, "busy", "Đang có một yêu cầu ký khác chờ trả lời ở cửa sổ vanthu agent.", "Another request waits for an answer in the window of vanthu agent.")
		return
	}
	defer a.busy.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), consentTime)
	defer cancel()
	value, err := a.use(ctx, origin, in.Ticket)
	a.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "signature asked for", slog.String("hub", origin), slog.Bool("signed", err == nil))
	if err == nil {
		answer(w, http.StatusOK, map[string]any{"signature": value})
		return
	}
	a.tell(w, err)
}

// tell gives the page the reason of a refusal.
func (a *Agent) tell(w http.ResponseWriter, err error) {
	why := new(refusal)
	errors.As(err, &why)
	switch {
	case errors.Is(err, ErrRefused):
		a.refuse(w, http.StatusForbidden, "refused", "Người ký không đồng ý ký.", "The person did not agree to sign.")
	case errors.Is(err, ErrUsed):
		a.refuse(w, http.StatusConflict, "used", "Phiếu ký này đã được dùng.", "This ticket was used.")
	case errors.Is(err, ErrTicket):
		a.refuse(w, http.StatusConflict, "key", "Khóa trên máy này không ký phiếu này: "+why.vi+".", "The key here does not sign this ticket: "+why.en+".")
	case errors.Is(err, ErrHub):
		a.refuse(w, http.StatusBadGateway, "hub", "Chưa lấy được phiếu ký từ máy chủ: "+why.vi+".", "The hub did not give the ticket: "+why.en+".")
	case errors.Is(err, keys.ErrPassphrase):
		a.refuse(w, http.StatusForbidden, "key", "Sai mã PIN hoặc mật khẩu khóa; chưa ký.", "Wrong PIN or passphrase; nothing was signed.")
	case errors.Is(err, keys.ErrPINLocked):
		a.refuse(w, http.StatusForbidden, "key", "Thiết bị đã khóa mã PIN. Nhờ nơi cấp mở khóa.", "The token has locked its PIN. Ask its issuer to unlock it.")
	case errors.Is(err, keys.ErrTokenGone):
		a.refuse(w, http.StatusConflict, "key", "Không thấy thiết bị. Cắm lại rồi thử lại.", "The token is gone. Plug it in again.")
	default:
		a.refuse(w, http.StatusInternalServerError, "key", "Chưa ký được ("+err.Error()+").", "Nothing was signed ("+err.Error()+").")
	}
}

// refusal is a reason in both languages.
type refusal struct {
	kind   error
	vi, en string
}

func no(kind error, vi, en string) error { return &refusal{kind, vi, en} }

// Error is the English text.
func (r *refusal) Error() string { return r.kind.Error() + ": " + r.en }

// Unwrap is the kind.
func (r *refusal) Unwrap() error { return r.kind }

// plainTicket keeps what stands in an address to the characters of base64url.
func plainTicket(s string) bool {
	return len(s) >= 16 && len(s) <= 64 && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}

// use makes the signature of one ticket, with its records before and after.
func (a *Agent) use(ctx context.Context, origin, secret string) ([]byte, error) {
	sum := sha256.Sum256([]byte(secret))
	id := hex.EncodeToString(sum[:])
	if a.cfg.Journal.Used(id) {
		return nil, ErrUsed
	}
	t, err := a.fetch(ctx, origin, secret)
	if err != nil {
		return nil, err
	}
	if err := t.check(a.cfg.Certificate, a.cfg.Now()); err != nil {
		return nil, err
	}
	record := Record{Hub: origin, Ticket: id, Document: t.Document, Code: t.Code, Subject: t.Subject, Step: t.Step,
		Digest: hex.EncodeToString(t.Digest), Certificate: a.cfg.Certificate}
	if err := a.cfg.Journal.Add(EventSigning, record); err != nil {
		return nil, err // what cannot be recorded is not signed
	}
	value, err := a.make(ctx, origin, t)
	if err != nil {
		event := EventFailed
		if errors.Is(err, ErrRefused) {
			event = EventRefused
		}
		record.Reason = err.Error()
		return nil, errors.Join(err, a.cfg.Journal.Add(event, record))
	}
	made := sha256.Sum256(value)
	record.Signature = hex.EncodeToString(made[:])
	if err := a.cfg.Journal.Add(EventSigned, record); err != nil {
		return nil, err // a signature that is not recorded does not leave
	}
	return value, nil
}

// make asks the person and signs.
func (a *Agent) make(ctx context.Context, origin string, t *ticket) ([]byte, error) {
	key, release, err := a.cfg.Consent(ctx, Job{Hub: origin, Document: t.Document, Code: t.Code, Subject: t.Subject, Step: t.Step,
		Digest: t.Digest, Hash: t.Hash, Expires: t.Expires})
	if err != nil {
		return nil, err
	}
	defer release()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: the page has gone away or time is up", ErrRefused)
	}
	own := sha256.Sum256(key.Certificate.Raw)
	if hex.EncodeToString(own[:]) != t.Certificate {
		return nil, no(ErrTicket, "khóa đang mở là của "+key.Certificate.Subject.CommonName, "the open key is that of "+key.Certificate.Subject.CommonName)
	}
	hash, err := t.toSign(key.Certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	value, err := key.Signer.Sign(rand.Reader, t.ToSign, hash)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if !keys.Verifies(key.Certificate.PublicKey, t.ToSign, hash, value) {
		return nil, no(ErrTicket, "chữ ký không khớp chứng thư", "the signature does not fit the certificate")
	}
	return value, nil
}

// toSign sees that the bytes to sign are what the attributes give: nothing else is ever signed.
func (t *ticket) toSign(public crypto.PublicKey) (crypto.Hash, error) {
	var want []byte
	hash := t.hash()
	if _, ok := public.(ed25519.PublicKey); ok {
		want, hash = t.Attributes, 0
	} else {
		h := hash.New()
		h.Write(t.Attributes)
		want = h.Sum(nil)
	}
	if subtle.ConstantTimeCompare(want, t.ToSign) != 1 {
		return 0, no(ErrTicket, "dữ liệu cần ký không phải mã băm của thuộc tính ký", "what is to be signed is not the digest of its attributes")
	}
	return hash, nil
}
