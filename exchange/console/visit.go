package console

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// visit is one request: who asks, in which language, and the names looked up for the page.
type visit struct {
	*voice
	w      http.ResponseWriter
	r      *http.Request
	srv    *server
	actor  registry.Actor
	known  bool // actor is logged in
	id     string
	agency map[registry.AgencyID]*registry.Agency

	refused *form // the form that was sent: the page shows it as it was filled in
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// handler serves one route; an error becomes an error page.
type handler func(v *visit) error

// errNoPage is an address that does not exist.
var errNoPage = errors.New("no such page")

// pageTimeout bounds one page, uploads included.
const pageTimeout = 60 * time.Second

type visitKey struct{}

// guard is around every request, static files too.
func (s *server) guard(mux http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(s.foreign))
	inner := protection.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID()
		start := s.cfg.Now()
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		securityHeaders(rec.Header())
		rec.Header().Set("X-Request-Id", id)
		defer func() {
			if p := recover(); p != nil {
				s.panicked(rec, r, id, p)
			}
			s.log.LogAttrs(r.Context(), slog.LevelInfo, "console request", slog.String("request", id),
				slog.String("method", r.Method), slog.String("path", loggedPath(r.URL.Path)), slog.Int("status", rec.status),
				slog.Int64("bytes", rec.bytes), slog.Duration("took", s.cfg.Now().Sub(start)))
		}()
		limit := pageTimeout
		if r.URL.Path == "/events" {
			limit = streamTimeout
		}
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), visitKey{}, id), limit)
		defer cancel()
		r = r.WithContext(ctx)
		if r.Body != nil {
			r.Body = http.MaxBytesReader(rec, r.Body, s.bodyLimit(r))
		}
		inner.ServeHTTP(rec, r)
	})
}

// bodyLimit is room for a PDF where one is uploaded and for a form elsewhere.
func (s *server) bodyLimit(r *http.Request) int64 {
	const form = 1 << 20
	switch path := r.URL.Path; {
	case path == "/compose", path == "/check", path == "/scan", strings.HasSuffix(path, "/revise"),
		strings.HasSuffix(path, "/ticket/upload"), strings.HasPrefix(path, ticketDoor):
		return s.cfg.MaxPDF + form
	case strings.HasSuffix(path, "/sign"):
		return imageLimit + form
	}
	return form
}

func (s *server) panicked(rec *recorder, r *http.Request, id string, p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http panics with exactly this value
		panic(p)
	}
	s.log.LogAttrs(r.Context(), slog.LevelError, "console panic", slog.String("request", id),
		slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
	if !rec.wrote {
		v := s.visit(rec, r)
		v.fail(errors.New("panic"))
	}
}

// contentPolicy allows our own files and nothing inline; viewer pages also run the image decoders of pdf.js.
func contentPolicy(viewer bool) string {
	script, worker := "script-src 'self'", ""
	if viewer {
		script, worker = "script-src 'self' 'wasm-unsafe-eval'", "; worker-src 'self'"
	}
	return "default-src 'none'; " + script + "; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'" + worker
}

func securityHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy(false))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", "no-store")
}

// recorder remembers what was answered, for the log.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	wrote  bool
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if !r.wrote {
		r.status, r.wrote = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand.Read
	return hex.EncodeToString(b[:])
}

func (s *server) visit(w http.ResponseWriter, r *http.Request) *visit {
	id, _ := r.Context().Value(visitKey{}).(string)
	return &visit{voice: s.voices[chooseLanguage(w, r, s.cfg.Secure)], w: w, r: r, srv: s, id: id,
		agency: make(map[registry.AgencyID]*registry.Agency)}
}

// open serves people who are not logged in too.
func (s *server) open(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := s.visit(w, r)
		if err := v.recognise(); err != nil {
			v.fail(err)
			return
		}
		if err := h(v); err != nil {
			v.fail(err)
		}
	})
}

// user serves only people who are logged in.
func (s *server) user(h handler) http.Handler {
	return s.open(func(v *visit) error {
		if !v.known {
			return v.askLogin()
		}
		return h(v)
	})
}

// recognise finds the actor of the session cookie; no or a dead session is not an error.
func (v *visit) recognise() error {
	c, err := v.r.Cookie(v.srv.cookieName())
	if err != nil || c.Value == "" {
		return nil
	}
	actor, err := v.srv.cfg.Registry.Authenticate(v.ctx(), c.Value)
	switch {
	case err == nil:
		v.actor, v.known = actor, true
	case exchange.KindOf(err) != exchange.KindUnauthenticated:
		return err
	}
	return nil
}

// askLogin sends a reader to the login page and back; an act is told that nothing happened.
func (v *visit) askLogin() error {
	if v.r.Method == http.MethodGet {
		q := url.Values{"next": {v.r.URL.RequestURI()}}
		if _, err := v.r.Cookie(v.srv.cookieName()); err == nil {
			q.Set("expired", "1")
		}
		http.Redirect(v.w, v.r, "/login?"+q.Encode(), http.StatusSeeOther)
		return nil
	}
	return v.show(http.StatusUnauthorized, "login", v.say("login.title"), loginBody{Next: "/", Lost: true})
}

// see answers an act with the page that shows its result.
func (v *visit) see(path, done string) error {
	if done != "" {
		path += "?done=" + done
	}
	v.w.Header().Set("Location", path) // ours, or checked by localPath
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// screenPage is the frame of a screen for this visit.
func (v *visit) screenPage(title string, body any) *page {
	p := &page{Title: title, Langs: v.langLinks(), Body: body}
	if !v.known {
		return p
	}
	p.Actor = &actorView{Name: v.actor.Name, Roles: v.roleNames(v.actor.Roles), Agency: v.agencyName(v.actor.Agency), CanDraft: v.canDraft()}
	p.Nav = v.nav()
	if done := v.r.URL.Query().Get("done"); done != "" && v.r.Method == http.MethodGet {
		p.Done = v.sayOr("done."+done, "")
	}
	return p
}

// show renders a screen that is not an error.
func (v *visit) show(status int, screen, title string, body any) error {
	return v.send(status, screen, v.screenPage(title, body))
}

func (v *visit) send(status int, screen string, p *page) error {
	switch p.Body.(type) {
	case documentBody, incomingBody, composeBody:
		p.Viewer = true
		v.w.Header().Set("Content-Security-Policy", contentPolicy(true))
	case ticketBody: // the programs beside the browser that can sign
		v.w.Header().Set("Content-Security-Policy", strings.Replace(contentPolicy(false), "connect-src 'self'",
			"connect-src 'self' "+v.srv.cfg.Agent+" "+v.srv.cfg.Connector, 1))
	}
	html, err := v.render(screen, p)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = html.WriteTo(v.w) // if the reader has gone, there is nobody to tell
	}
	return nil
}

// showWith renders a screen again with the problem that an act met.
func (v *visit) showWith(screen, title string, body any, problem error) error {
	p := v.screenPage(title, body)
	status := http.StatusOK
	if problem != nil {
		told, ok := errors.AsType[*exchange.Error](problem)
		if !ok {
			return problem
		}
		status = statusOf(told.Kind)
		p.Problem = v.problem(told)
		if v.refused != nil {
			p.Problem.Fields = v.refused.wrongFields()
		}
		v.logged(status, problem)
	}
	return v.send(status, screen, p)
}

func (v *visit) problem(e *exchange.Error) *problemView {
	message, advice, kept := e.Text(v.lang)
	return &problemView{Message: message, Advice: advice, Kept: kept}
}

func (v *visit) nav() []navItem {
	item := func(key, path string) navItem {
		return navItem{Label: v.say(key), URL: path, Current: v.r.URL.Path == path}
	}
	group := func(key string) navItem { return navItem{Label: v.say(key), Group: true} }
	items := []navItem{item("nav.home", "/"), group("nav.documents"), item("nav.tasks", "/tasks"), item("nav.incoming", "/incoming"),
		item("nav.outgoing", "/outgoing"), item("nav.sent", "/sent"), group("nav.books"),
		item("nav.book.incoming", "/registers/incoming"), item("nav.book.outgoing", "/registers/outgoing"),
		item("nav.book.followup", "/registers/followup"), item("nav.numbers", "/numbers"),
		group("nav.tools"), item("nav.rate", "/rate"), item("nav.check", "/check"), item("nav.agencies", "/agencies"), item("nav.calendar", "/calendar"),
		item("nav.account", "/account")}
	if v.actor.Has(registry.RoleAdministrator) {
		items = append(items, group("nav.admin"), item("nav.people", "/people"))
		if v.srv.cfg.Webhooks != nil {
			items = append(items, item("nav.webhooks", "/webhooks"))
		}
	}
	for i := range items { // a document belongs under its list
		items[i].Current = items[i].Current ||
			items[i].URL == "/incoming" && strings.HasPrefix(v.r.URL.Path, "/incoming/") ||
			items[i].URL == "/outgoing" && strings.HasPrefix(v.r.URL.Path, "/documents/")
	}
	return items
}

// agencyOf looks an agency up once per page; an unknown one gives nil.
func (v *visit) agencyOf(id registry.AgencyID) *registry.Agency {
	if a, ok := v.agency[id]; ok {
		return a
	}
	a, err := v.srv.cfg.Registry.Agency(v.ctx(), id)
	if err != nil {
		a = nil
	}
	v.agency[id] = a
	return a
}

// agencyName is the agency's name, or its code where the directory does not know it.
func (v *visit) agencyName(id registry.AgencyID) string {
	if a := v.agencyOf(id); a != nil && a.Name != "" {
		return a.Name
	}
	return string(id)
}

func (v *visit) roleNames(roles []registry.Role) string {
	names := make([]string, 0, len(roles))
	for _, r := range roles {
		names = append(names, v.sayOr("role."+string(r), string(r)))
	}
	return strings.Join(names, ", ")
}

func (v *visit) canDraft() bool {
	return slices.ContainsFunc(exchange.RolesFor(exchange.ActDraft), v.actor.Has)
}

// from is the caller's address, for the limit on failed logins.
func from(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
