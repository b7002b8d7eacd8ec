package console

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/eventstream"
	"vanthu/exchange/registry"
	"vanthu/exchange/webhook"
	"vanthu/signing"
)

// Config of New. Service, Registry and Verify are required.
type Config struct {
	Service  *exchange.Service
	Registry *registry.Registry
	Webhooks *webhook.Hooks // nil = no page for them
	// Verify judges any PDF for the page "Kiểm tra chữ ký".
	Verify func(ctx context.Context, r io.ReaderAt, size int64) (*signing.Report, error)
	// Pictures shows on that page what was changed after signing; nil = no pictures.
	Pictures Pictures
	Logger   *slog.Logger     // nil = no log
	Secure   bool             // served over TLS: the session cookie carries the __Host- prefix
	MaxPDF   int64            // bytes of an uploaded PDF; 0 = 50 MiB
	Now      func() time.Time // nil = time.Now
	// Agent and Connector are where a page finds the programs beside the browser that sign: `vanthu agent` and the VGCA
	// signing service. "" = their own addresses.
	Agent, Connector string
}

// server holds what every request needs; but for the count of open streams it never changes after New.
type server struct {
	cfg     Config
	voices  map[string]*voice
	assets  *assets
	log     *slog.Logger
	streams eventstream.Places
	files   http.Handler // the embedded files under /static/
	doorKey []byte       // of the connector's addresses, as old as the process
	handler http.Handler
}

// New gives the console as one handler for "/" and everything below it.
func New(cfg Config) (http.Handler, error) {
	if cfg.Service == nil || cfg.Registry == nil || cfg.Verify == nil {
		return nil, errors.New("console: Service, Registry and Verify are required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxPDF == 0 {
		cfg.MaxPDF = 50 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Agent, cfg.Connector = cmp.Or(cfg.Agent, agentAddress), cmp.Or(cfg.Connector, connectorAddress)
	s := &server{cfg: cfg, log: cfg.Logger, doorKey: make([]byte, 32)}
	rand.Read(s.doorKey) // never fails: crypto/rand ends the program instead
	var err error
	if s.assets, err = newAssets(); err != nil {
		return nil, err
	}
	s.files = http.StripPrefix("/static/", http.FileServerFS(s.assets.files))
	if s.voices, err = newVoices(s.assets); err != nil {
		return nil, err
	}
	s.handler = s.guard(s.routes())
	return s.handler, nil
}

func (s *server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/", s.static)
	mux.Handle("GET /login", s.open(s.loginPage))
	mux.Handle("POST /login", s.open(s.login))
	mux.Handle("POST /logout", s.open(s.logout))

	mux.Handle("GET /{$}", s.user(s.home))
	mux.Handle("GET /events", s.open(s.events))
	mux.Handle("GET /incoming", s.user(s.incomingList))
	mux.Handle("GET /incoming/{id}", s.user(s.incomingPage))
	mux.Handle("GET /incoming/{id}/pdf", s.user(s.incomingPDF))
	mux.Handle("POST /incoming/{id}/{act}", s.user(s.incomingAct))

	mux.Handle("GET /outgoing", s.user(s.outgoingList))
	mux.Handle("GET /sent", s.user(s.sent))
	mux.Handle("GET /compose", s.user(s.composePage))
	mux.Handle("POST /compose", s.user(s.compose))
	mux.Handle("GET /documents/{id}", s.user(s.documentPage))
	mux.Handle("GET /documents/{id}/pdf", s.user(s.documentPDF))
	mux.Handle("GET /documents/{id}/bundle", s.user(s.documentBundle))
	mux.Handle("GET /documents/{id}/receipts/{receipt}", s.user(s.receipt))
	mux.Handle("POST /documents/{id}/sign", s.user(s.sign))
	mux.Handle("POST /documents/{id}/number", s.user(s.number))
	mux.Handle("POST /documents/{id}/cancel-number", s.user(s.withNote("cancel-number", "cancel", s.cancelNumber)))
	mux.Handle("POST /documents/{id}/return", s.user(s.withNote("return", "return", s.returnDraft)))
	mux.Handle("POST /documents/{id}/comment", s.user(s.withNote("comment", "comment", s.commentDraft)))
	s.officeRoutes(mux)
	mux.Handle("GET /documents/{id}/send", s.user(s.sendPage))
	mux.Handle("POST /documents/{id}/send", s.user(s.send))

	mux.Handle("POST /documents/{id}/simulate", s.user(s.simulate))
	mux.Handle("POST /documents/{id}/retry", s.user(s.retry))
	mux.Handle("GET /overdue", s.user(s.overdue))
	mux.Handle("GET /rate/gap", s.user(s.gap))
	mux.Handle("GET /books/{book}/{format}", s.user(s.bookFile))
	s.hookRoutes(mux)
	s.ticketRoutes(mux)

	mux.Handle("GET /registers/outgoing", s.user(s.outgoingRegister))
	mux.Handle("GET /registers/incoming", s.user(s.incomingRegister))
	mux.Handle("GET /registers/followup", s.user(s.followUpRegister))
	mux.Handle("GET /rate/quarter/{format}", s.user(s.quarterFile))
	mux.Handle("GET /rate", s.user(s.rate))
	mux.Handle("GET /check", s.user(s.checkPage))
	mux.Handle("POST /check", s.user(s.check))
	mux.Handle("GET /agencies", s.user(s.agencies))
	mux.Handle("POST /agencies", s.user(s.addAgency))
	mux.Handle("GET /people", s.user(s.people))
	mux.Handle("POST /people", s.user(s.addPerson))
	mux.Handle("GET /account", s.user(s.account))
	mux.Handle("POST /account/key", s.user(s.setKey))
	mux.Handle("/", s.open(func(*visit) error { return errNoPage }))
	return mux
}
