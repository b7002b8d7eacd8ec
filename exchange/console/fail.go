package console

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"vanthu/exchange"
)

// statusOf is the one table from the kinds of exchange.Error to HTTP.
func statusOf(k exchange.Kind) int {
	switch k {
	case exchange.KindInvalid:
		return http.StatusUnprocessableEntity
	case exchange.KindUnauthenticated:
		return http.StatusUnauthorized
	case exchange.KindForbidden:
		return http.StatusForbidden
	case exchange.KindNotFound:
		return http.StatusNotFound
	case exchange.KindConflict:
		return http.StatusConflict
	case exchange.KindUnavailable:
		return http.StatusServiceUnavailable
	case exchange.KindTooLarge:
		return http.StatusRequestEntityTooLarge
	case exchange.KindFull:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}

// fail answers with the error page; what people are not told goes to the log.
func (v *visit) fail(err error) {
	status, body := v.errorBody(err)
	v.logged(status, err)
	body.Heading = v.say("error." + strconv.Itoa(status))
	body.Ref = v.id
	body.BackURL, body.Back = "/", v.say("error.back.home")
	if !v.known {
		body.BackURL, body.Back = "/login", v.say("error.back.login")
	}
	if err := v.show(status, "error", body.Heading, body); err != nil {
		http.Error(v.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

// logged keeps the cause of what is the hub's fault, not the reader's.
func (v *visit) logged(status int, err error) {
	if status >= http.StatusInternalServerError {
		v.srv.log.LogAttrs(v.ctx(), slog.LevelError, "console error", slog.String("request", v.id),
			slog.String("path", loggedPath(v.r.URL.Path)), slog.Any("error", err))
	}
}

func (v *visit) errorBody(err error) (int, errorBody) {
	if told, ok := errors.AsType[*exchange.Error](err); ok {
		message, advice, kept := told.Text(v.lang)
		return statusOf(told.Kind), errorBody{Message: message, Advice: advice, Kept: kept}
	}
	if errors.Is(err, errNoPage) {
		return http.StatusNotFound, errorBody{Message: v.say("error.404.text"), Advice: v.say("error.404.advice")}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, errorBody{
			Message: v.say("error.toolarge.text", v.bytes(v.srv.cfg.MaxPDF)), Advice: v.say("error.toolarge.advice")}
	}
	if errors.Is(err, errBadForm) {
		return http.StatusBadRequest, errorBody{Message: v.say("error.403.advice")}
	}
	return http.StatusInternalServerError, errorBody{Message: v.say("error.500.text"),
		Advice: v.say("error.500.advice"), Kept: v.say("error.500.kept")}
}

// errBadForm is a request body that no form of ours sends.
var errBadForm = errors.New("form cannot be read")

// foreign answers a request that another site made in the user's name.
func (s *server) foreign(w http.ResponseWriter, r *http.Request) {
	v := s.visit(w, r)
	body := errorBody{Heading: v.say("error.403"), Message: v.say("error.403.text"), Advice: v.say("error.403.advice"),
		BackURL: "/", Back: v.say("error.back.home"), Ref: v.id}
	if err := v.show(http.StatusForbidden, "error", body.Heading, body); err != nil {
		v.fail(err)
	}
}
