package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

// The headers of a request between hubs. What is signed is these lines, each ended by a line feed: "HX1", method, path
// with query, receiving hub, sending hub, time, nonce, SHA-256 of the body, Content-Range.
const (
	headerHub       = "Hx-Hub"
	headerTo        = "Hx-To"
	headerKey       = "Hx-Key"
	headerTime      = "Hx-Time"
	headerNonce     = "Hx-Nonce"
	headerDigest    = "Hx-Digest"
	headerSignature = "Hx-Signature"
	headerOffset    = "Hx-Offset"
	headerRange     = "Content-Range"
)

var (
	hubGrammar   = regexp.MustCompile(`^hx[0-9a-f]{20}$`)
	nonceGrammar = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)
)

func signedLines(r *http.Request, to, from, at, nonce, digest string) []byte {
	return []byte(strings.Join([]string{"HX1", r.Method, r.URL.RequestURI(), to, from, at, nonce, digest, r.Header.Get(headerRange), ""}, "\n"))
}

// signRequest signs a request to a hub.
func (p *Peers) signRequest(ctx context.Context, r *http.Request, to string, body []byte) error {
	s, err := p.own(ctx)
	if err != nil {
		return err
	}
	now := p.now()
	valid := s.valid(now)
	if len(valid) == 0 {
		return errNoKey
	}
	key := valid[0] // the oldest: the other hub may not have seen the newest yet
	sum := sha256.Sum256(body)
	nonce := make([]byte, 16)
	rand.Read(nonce) // never fails: crypto/rand ends the program instead
	h := r.Header
	h.Set(headerHub, s.id)
	h.Set(headerTo, to)
	h.Set(headerKey, key.ID)
	h.Set(headerTime, now.Format(time.RFC3339Nano))
	h.Set(headerNonce, base64.RawURLEncoding.EncodeToString(nonce))
	h.Set(headerDigest, hex.EncodeToString(sum[:]))
	lines := signedLines(r, to, s.id, h.Get(headerTime), h.Get(headerNonce), h.Get(headerDigest))
	h.Set(headerSignature, base64.RawURLEncoding.EncodeToString(ed25519.Sign(key.private, lines)))
	return nil
}

// authenticate finds out which hub calls. The digest of the body is signed; that the body has it is for the caller to
// check when it has read it.
func (p *Peers) authenticate(r *http.Request) (*Hub, error) {
	ctx := r.Context()
	h := r.Header
	id, at, nonce, digest := h.Get(headerHub), h.Get(headerTime), h.Get(headerNonce), h.Get(headerDigest)
	if !hubGrammar.MatchString(id) || !nonceGrammar.MatchString(nonce) || len(at) > 40 || len(digest) != 2*sha256.Size {
		return nil, refuse(codeSignature, "Yêu cầu chưa được ký theo HX/1.", "The request is not signed as HX/1 wants it.")
	}
	hub, err := p.hub(ctx, id)
	if err != nil {
		return nil, err
	}
	if hub == nil {
		return nil, refuse(codeUnknownHub, "Máy chủ này chưa kết nối với bên gọi.", "This hub does not know the one that calls.")
	}
	s, err := p.own(ctx)
	if err != nil {
		return nil, err
	}
	if h.Get(headerTo) != s.id {
		return nil, refuse(codeSignature, "Yêu cầu được ký cho máy chủ khác.", "The request is signed for another hub.")
	}
	now := p.now()
	if !signedBy(hub, h.Get(headerKey), signedLines(r, s.id, id, at, nonce, digest), h.Get(headerSignature), now) {
		return nil, refuse(codeSignature, "Chữ ký của yêu cầu không hợp lệ.", "The signature of the request does not hold.")
	}
	if hub.Disabled {
		return nil, refuse(codeDisabled, "Kết nối với bên gọi đang tạm khóa.", "The connection with the calling hub is shut.")
	}
	signedAt, err := time.Parse(time.RFC3339Nano, at)
	if err != nil || signedAt.Sub(now).Abs() > maxSkew {
		e := refuse(codeClock, "Đồng hồ hai bên lệch quá 5 phút.", "The clocks are more than 5 minutes apart.")
		e.Time = now
		return nil, e
	}
	fresh := false
	err = p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		fresh, err = insertNonce(ctx, tx, id, nonce, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !fresh {
		return nil, refuse(codeReplay, "Yêu cầu này đã được nhận trước đó.", "This very request came before.")
	}
	p.sighted(ctx, hub)
	return hub, nil
}

func signedBy(hub *Hub, kid string, lines []byte, text string, now time.Time) bool {
	sig, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(sig) != ed25519.SignatureSize {
		return false
	}
	for i := range hub.Keys {
		k := &hub.Keys[i]
		public, err := k.bytes()
		if err == nil && k.ID == kid && k.validAt(now) && ed25519.Verify(public, lines, sig) {
			return true
		}
	}
	return false
}
