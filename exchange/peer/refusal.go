package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// code names why a hub refuses; the table stands in README.md.
type code string

// The codes of HX/1.
const (
	codeSignature   code = "bad-signature"
	codeUnknownHub  code = "unknown-hub"
	codeDisabled    code = "hub-disabled"
	codeClock       code = "clock"
	codeReplay      code = "replay"
	codeAuthority   code = "not-your-agency"
	codeEarly       code = "unknown-sender"
	codeRecipient   code = "unknown-recipient"
	codeNotFound    code = "not-found"
	codeConflict    code = "other-content"
	codeInvalid     code = "invalid"
	codeTooLarge    code = "too-large"
	codeOffset      code = "offset"
	codeDigest      code = "digest"
	codePartMissing code = "part-missing"
	codeKey         code = "wrong-key"
	codeBusy        code = "busy"
	codeFull        code = "full"
	codeUnavailable code = "unavailable"
)

// status gives the HTTP status of a code and whether trying again can help.
func (c code) status() (status int, again bool) {
	switch c {
	case codeSignature, codeUnknownHub, codeClock, codeReplay:
		return http.StatusUnauthorized, true // an administrator or the next request mends it
	case codeDisabled:
		return http.StatusForbidden, true
	case codeAuthority:
		return http.StatusForbidden, false
	case codeEarly:
		return http.StatusTooEarly, true
	case codeRecipient, codeNotFound:
		return http.StatusNotFound, false
	case codeConflict:
		return http.StatusConflict, false
	case codeTooLarge:
		return http.StatusRequestEntityTooLarge, false
	case codeOffset:
		return http.StatusRequestedRangeNotSatisfiable, true
	case codeDigest, codePartMissing, codeKey:
		return http.StatusFailedDependency, true
	case codeBusy:
		return http.StatusTooManyRequests, true
	case codeFull:
		return http.StatusInsufficientStorage, true
	case codeInvalid:
		return http.StatusUnprocessableEntity, false
	case codeUnavailable:
		return http.StatusServiceUnavailable, true
	}
	return http.StatusInternalServerError, true
}

// refusal is an answer other than yes.
type refusal struct {
	Code      code      `json:"code"`
	Message   string    `json:"message"`
	MessageEN string    `json:"message_en"`
	Time      time.Time `json:"time,omitzero"`   // of the hub that refuses, where clocks matter
	Offset    int64     `json:"offset,omitzero"` // where a part goes on
}

// Error says the code and why.
func (r *refusal) Error() string { return fmt.Sprintf("hub refuses (%s): %s", r.Code, r.MessageEN) }

func refuse(c code, vi, en string) *refusal { return &refusal{Code: c, Message: vi, MessageEN: en} }

// refusalOf gives what the other hub is told of an error.
func refusalOf(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return refuse(codeTooLarge, "Nội dung quá lớn.", "The body is too large.")
	}
	if sqldb.IsFull(err) || errors.Is(err, blob.ErrFull) {
		return refuse(codeFull, "Hết chỗ lưu trữ.", "No room left.")
	}
	var e *registry.Error
	if !errors.As(err, &e) {
		return refuse(codeUnavailable, "Lỗi hệ thống, hãy thử lại.", "An internal error; try again.")
	}
	c := codeInvalid
	switch e.Kind {
	case exchange.KindForbidden:
		c = codeAuthority
	case exchange.KindNotFound:
		c = codeNotFound
	case exchange.KindConflict:
		c = codeConflict
	case exchange.KindTooLarge:
		c = codeTooLarge
	case exchange.KindFull:
		c = codeFull
	case exchange.KindUnavailable:
		c = codeUnavailable
	}
	return refuse(c, e.Message, e.MessageEN)
}

func (p *Peers) fail(w http.ResponseWriter, r *http.Request, err error) {
	said := refusalOf(err)
	status, _ := said.Code.status()
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	p.cfg.Logger.LogAttrs(r.Context(), level, "hub refused", slog.String("hub", clip(r.Header.Get(headerHub), 40)), slog.String("method", r.Method),
		slog.String("path", clip(r.URL.Path, 100)), slog.String("code", string(said.Code)), slog.String("error", err.Error()))
	if said.Code == codeOffset {
		w.Header().Set(headerOffset, fmt.Sprint(said.Offset))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(said); err != nil {
		p.cfg.Logger.LogAttrs(r.Context(), slog.LevelDebug, "refusal not delivered", slog.String("error", err.Error()))
	}
}

// clip bounds what is repeated of foreign words.
func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// told turns a refusal of another hub into an error of the exchange, by which it is decided whether to try again.
func (r *refusal) told(hub *Hub) error {
	kind := exchange.KindUnavailable
	if _, again := r.Code.status(); !again {
		kind = exchange.KindInvalid
		if r.Code == codeConflict {
			kind = exchange.KindConflict
		}
	}
	return registry.NewError(kind, fmt.Sprintf("Máy chủ %s không nhận: %s", hub.Name, clip(r.Message, 300)),
		fmt.Sprintf("The hub %s does not take it: %s", hub.Name, clip(r.MessageEN, 300))).Because(r)
}
