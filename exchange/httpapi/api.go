// Package httpapi is the exchange's door for programs: JSON over HTTP under /api/v1, described by OpenAPI 3.1 at
// /api/openapi.json, errors by RFC 9457, every POST repeatable with an Idempotency-Key. It holds no rule of its own:
// a request is parsed, handed to the exchange, and the answer rendered.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"

	"vanthu/exchange"
	"vanthu/exchange/eventstream"
	"vanthu/exchange/registry"
	"vanthu/exchange/webhook"
	"vanthu/storage/sqldb"
)

// Config of New. Service, Registry and DB are required.
type Config struct {
	Service  *exchange.Service
	Registry *registry.Registry
	Webhooks *webhook.Hooks // nil = none
	DB       *sqldb.DB      // keeps the answers given under an Idempotency-Key
	Logger   *slog.Logger
	Now      func() time.Time // nil = time.Now
	MaxBody  int64            // bytes of one request; 0 = 64 MiB
}

// defaultMaxBody bounds a request where the configuration does not.
const defaultMaxBody = 64 << 20

// maxJSON bounds the body of every call but an upload.
const maxJSON = 2 << 20

// api joins what the handlers need.
type api struct {
	service  *exchange.Service
	registry *registry.Registry
	webhooks *webhook.Hooks
	streams  eventstream.Places
	keep     *kept
	log      *slog.Logger
	maxBody  int64
	pause    time.Duration // how long a caller may pause while a body is on its way
}

// New returns the handler of /api/. It brings the table of idempotency keys up to date.
func New(cfg Config) (http.Handler, error) {
	if cfg.Service == nil || cfg.Registry == nil || cfg.DB == nil {
		return nil, errors.New("the API needs the exchange, the registry and a database")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = defaultMaxBody
	}
	keep, err := openKept(cfg.DB, cfg.Now)
	if err != nil {
		return nil, err
	}
	a := &api{service: cfg.Service, registry: cfg.Registry, webhooks: cfg.Webhooks, keep: keep, log: cfg.Logger, maxBody: cfg.MaxBody, pause: bodyPause}
	mux := http.NewServeMux()
	a.routes(mux)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, r, problemOf(a.log, r.Context(), registry.NewError(exchange.KindNotFound, "Không có địa chỉ này trong API.", "There is no such address in the API.")))
	})
	return a.outer(a.idempotent(mux)), nil
}

// routes describes every call; the description and the behaviour are one.
func (a *api) routes(mux *http.ServeMux) huma.API {
	config := huma.DefaultConfig("vanthu", "1")
	config.Info.Description = "Văn thư: ký, cấp số, gửi, nhận, lưu trữ văn bản. / The registry office: sign, number, send, receive and archive documents."
	config.OpenAPIPath = "/api/openapi"
	config.DocsPath = ""
	config.SchemasPath = "/api/schemas"
	config.CreateHooks = nil
	config.Transformers = []huma.Transformer{localiseProblem}
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	described := humago.New(mux, config)
	described.UseMiddleware(a.authenticate)
	a.describeSessions(described)
	a.describeRegistry(described)
	a.describePlaces(described)
	a.describeFactors(described)
	a.describeReminders(described)
	a.describeDocuments(described)
	a.describeTickets(described)
	a.describeIncoming(described)
	a.describeWork(described)
	a.describeDrafts(described)
	a.describeComposing(described)
	a.describeOffice(described)
	a.describeFiles(described)
	a.describeEndings(described)
	a.describeReports(described)
	a.describeRate(described)
	a.describeRequests(described)
	a.describeMany(described)
	a.describeSearch(described)
	a.describeSuccession(described)
	a.describeWebhooks(described)
	a.describeEvents(described)
	return described
}

// schemaName keeps types apart that have one name in two packages.
func schemaName(t reflect.Type, hint string) string {
	switch t {
	case reflect.TypeFor[exchange.FieldChange]():
		return "DraftFieldChange"
	case reflect.TypeFor[exchange.Difference]():
		return "ArrivalDifference"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

// register describes one call and its behaviour. The body has been read before a call is reached (see readBody), so no
// deadline is left on the connection: one that passes while the work goes on would end the request's context.
func register[I, O any](described huma.API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.BodyReadTimeout = -1
	huma.Register(described, op, handler)
}

type contextKey int

const (
	actorKey contextKey = iota
	requestIDKey
	tokenKey
	overKey
	languageKey
)

// actorOf returns who asks; only calls behind authenticate reach it.
func actorOf(ctx context.Context) registry.Actor {
	actor, _ := ctx.Value(actorKey).(registry.Actor)
	return actor
}

// languageIn returns the reader's language, for problems inside an answer.
func languageIn(ctx context.Context) string {
	lang, _ := ctx.Value(languageKey).(string)
	return lang
}

// outer bounds, names and logs each request, and keeps a panic from ending the process.
func (a *api) outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		id := uuid.NewString()
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey, id))
		r = r.WithContext(context.WithValue(r.Context(), languageKey, languageOf(r.Header.Get("Accept-Language"))))
		over := &overFlag{limit: a.maxBody}
		r = r.WithContext(context.WithValue(r.Context(), overKey, over))
		r.Body = &boundedBody{ReadCloser: http.MaxBytesReader(w, r.Body, a.maxBody), over: over}
		header := w.Header()
		header.Set("X-Request-Id", id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		recorder := &statusRecorder{ResponseWriter: w, over: over}
		defer func() {
			if cause := recover(); cause != nil {
				if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(cause)
				}
				a.log.ErrorContext(r.Context(), "request failed", slog.String("request", id), slog.Any("cause", cause), slog.String("stack", string(debug.Stack())))
				if recorder.status == 0 {
					writeProblem(recorder, r, internalProblem(r.Context()))
				}
			}
			a.log.InfoContext(r.Context(), "api", slog.String("request", id), slog.String("method", r.Method), slog.String("path", loggedPath(r.URL.Path)),
				slog.Int("status", recorder.status), slog.Duration("took", time.Since(began)))
		}()
		body, err := a.readBody(w, r)
		if err != nil {
			writeProblem(recorder, r, problemOf(a.log, r.Context(), err))
			return
		}
		defer body.Close() //nolint:errcheck // a temporary file of ours, removed already
		r.Body = body
		next.ServeHTTP(recorder, r)
	})
}

// bodyPause is the pause of a hub.
const bodyPause = 30 * time.Second

// readBody takes the whole body in, with a deadline that moves on as bytes arrive, and takes the deadline away.
func (a *api) readBody(w http.ResponseWriter, r *http.Request) (*spooled, error) {
	connection := http.NewResponseController(w)
	body, err := spool(&patient{from: r.Body, connection: connection, pause: a.pause})
	if err != nil {
		return nil, err
	}
	if err := connection.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, errors.Join(fmt.Errorf("read the request: %w", err), body.Close())
	}
	return body, nil
}

// patient is a reader whose connection may pause, but not for ever.
type patient struct {
	from       io.Reader
	connection *http.ResponseController
	pause      time.Duration
}

// Read implements io.Reader.
func (p *patient) Read(data []byte) (int, error) {
	if err := p.connection.SetReadDeadline(time.Now().Add(p.pause)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.from.Read(data)
}

// overFlag says whether a request was over its limit.
type overFlag struct {
	hit   atomic.Bool
	limit int64 // bytes
}

// boundedBody notes that a request was over the limit, however deep in a parser its error ends.
type boundedBody struct {
	io.ReadCloser
	over *overFlag
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		b.over.hit.Store(true)
	}
	return n, err
}

// statusRecorder remembers the status for the log, and calls a request over the limit by its name.
type statusRecorder struct {
	http.ResponseWriter
	status int
	over   *overFlag
}

func (s *statusRecorder) WriteHeader(status int) {
	if status == http.StatusUnprocessableEntity && s.over.hit.Load() {
		status = http.StatusRequestEntityTooLarge
	}
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(data []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(data)
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
