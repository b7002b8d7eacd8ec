package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"vanthu/exchange"
	"vanthu/exchange/axis"
	"vanthu/exchange/bymail"
	"vanthu/exchange/console"
	"vanthu/exchange/cscd"
	"vanthu/exchange/httpapi"
	"vanthu/exchange/peer"
	"vanthu/exchange/receipt/page"
	"vanthu/exchange/registry"
	"vanthu/exchange/transparency"
	"vanthu/exchange/webhook"
	"vanthu/mail"
	"vanthu/mail/imapd"
	"vanthu/mail/outbound"
	"vanthu/mail/smtpd"
	"vanthu/signing"
	"vanthu/signing/pdf/picture"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
	"vanthu/storage"
)

// Hub is every part of vanthu put together over one data folder.
type Hub struct {
	config   Config
	identity *identity
	tsa      tsa.Client
	trust    *pki.Trust
	fetcher  *pki.Fetcher // nil when nobody is asked about revocation

	Store    *storage.Store
	Registry *registry.Registry
	Service  *exchange.Service
	Mail     *mail.Store
	Webhooks *webhook.Hooks
	axis     *axis.Server
	pictures *picture.Renderer
	peers    *peer.Peers
	log      *slog.Logger
	evidence *transparency.Publisher
	letters  *bymail.Bridge

	http          *http.Server
	smtp          *smtpd.Server
	imap          *imapd.Server
	metrics       *http.Server
	serving       errgroup.Group
	stopFollowing context.CancelFunc // the evidence
	addresses     []Address
	started       bool
}

// Address is one open door of a running hub.
type Address struct {
	Door string `json:"door"`
	Addr string `json:"address"`
}

// hubOptions are what a command decides beside the configuration.
type hubOptions struct {
	dir      string
	config   Config
	log      *slog.Logger
	now      func() time.Time
	readOnly bool // for check: no job runs, nothing is written
}

// Memory of a hub, unless GOGC or GOMEMLIMIT say otherwise: a document passes through in short-lived buffers of its own
// size, so collecting at the usual pace costs a fifth of the processor; above the soft limit the pace rises by itself.
const (
	gcPercent   = 400
	memoryLimit = 2 << 30
)

func tuneMemory(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// openHub opens the data folder and wires the parts. Nothing listens and no job runs before start.
func openHub(ctx context.Context, o hubOptions) (_ *Hub, err error) {
	store, err := storage.Open(ctx, storage.Config{
		Dir: o.dir, PostgresURL: o.config.Storage.Postgres, BlobURL: o.config.Storage.Blobs, ArchiveURL: o.config.Storage.Archive,
		Logger: o.log, Now: o.now, LogOrigin: o.config.Domain + "/log", ReadOnly: o.readOnly,
	})
	if err != nil {
		return nil, err
	}
	h := &Hub{config: o.config, log: o.log, Store: store, pictures: picture.New(picture.Options{Cache: filepath.Join(o.dir, "cache")})}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close(ctx))
		}
	}()
	if h.identity, err = loadIdentity(o.dir, o.config.Name, o.config.Trust.PublicURL, o.now); err != nil {
		return nil, err
	}
	if err := h.loadTrust(o.now); err != nil {
		return nil, err
	}
	if err := h.openFetcher(o); err != nil {
		return nil, err
	}
	if err := h.openClock(o.now); err != nil {
		return nil, err
	}
	if err := errors.Join(h.openEvidence(o.now), h.openMail(ctx, o.now)); err != nil {
		return nil, err
	}
	factorKey, err := h.identity.sealKey("totp")
	if err != nil {
		return nil, err
	}
	if h.Registry, err = registry.New(store.DB, registry.Options{Now: o.now, Key: factorKey}); err != nil {
		return nil, fmt.Errorf("open the registry: %w", err)
	}
	h.Service, err = exchange.New(exchange.Config{
		Store: store, Registry: h.Registry, Mail: h.Mail, ReceiptKey: h.identity.receiptKey, TSA: h.tsa, Trust: h.trust,
		Now: o.now, Logger: o.log, MaxPDF: o.config.Limits.MaxPDF, Retention: o.config.Retention(),
		AllowTestKeys: o.config.Insecure, Domain: o.config.Domain,
		Fetcher: h.fetcher, RequireRevocation: o.config.Trust.RequireRevocation, Revocation: &revocationSource{h.identity.authority, h.fetcher},
	})
	if err != nil {
		return nil, fmt.Errorf("open the exchange: %w", err)
	}
	if err := errors.Join(h.openWebhooks(o.now), h.openAxis(o.now), h.openLetters(o.now), h.openPeers(ctx, o)); err != nil {
		return nil, err
	}
	return h, nil
}

// openAxis opens the axis for the systems of agencies around this hub.
func (h *Hub) openAxis(now func() time.Time) error {
	key, err := h.identity.sealKey("axis")
	if err != nil {
		return err
	}
	h.axis, err = axis.NewServer(axis.Config{
		DB: h.Store.DB, Blobs: h.Store.Blobs, Jobs: h.Store.Jobs, Registry: h.Registry, Service: h.Service, Key: key, Now: now, Logger: h.log,
		MaxPacket: h.config.Limits.MaxPDF/2*3 + 16<<20, // Base64 and the header
	})
	if err != nil {
		return fmt.Errorf("open the axis: %w", err)
	}
	return nil
}

// openPeers opens the exchange with other hubs.
func (h *Hub) openPeers(ctx context.Context, o hubOptions) error {
	key, err := h.identity.sealKey("peer")
	if err != nil {
		return err
	}
	var pins []string
	if h.config.Listen.HTTPTLS {
		pin, err := h.identity.tlsPin()
		if err != nil {
			return err
		}
		pins = append(pins, pin)
	}
	h.peers, err = peer.New(ctx, peer.Config{
		DB: h.Store.DB, Blobs: h.Store.Blobs, Jobs: h.Store.Jobs, Registry: h.Registry, Service: h.Service, Key: key, Dir: o.dir,
		Name: h.config.Name, URL: h.config.Peers.URL, ReceiptKey: h.identity.receiptKey, ContentKey: h.identity.contentKey, TLSPins: pins,
		Now: o.now, Logger: h.log, AllowPlain: h.config.Insecure,
		MaxPart:   h.config.Limits.MaxPDF + h.config.Limits.MaxPDF/1024 + 1<<10, // encrypted
		PollEvery: time.Duration(h.config.Peers.PollSeconds) * time.Second,
	})
	if err != nil {
		return fmt.Errorf("open the exchange with other hubs: %w", err)
	}
	return nil
}

// openClock picks the time-stamp authority: the configured one, or the embedded one.
func (h *Hub) openClock(now func() time.Time) error {
	if h.config.Signing.TSA != "" {
		client, err := tsa.NewHTTP(h.config.Signing.TSA, tsa.HTTPOptions{})
		if err != nil {
			return fmt.Errorf("signing.tsa: %w", err)
		}
		h.tsa = client
		return nil
	}
	key, err := h.identity.load("keys/tsa")
	if err != nil {
		return fmt.Errorf("load the time-stamp key: %w", err)
	}
	h.tsa, err = tsa.NewAuthority(key, tsa.AuthorityOptions{Now: now, Logger: h.log})
	if err != nil {
		return fmt.Errorf("open the time-stamp authority: %w", err)
	}
	return nil
}

func (h *Hub) openWebhooks(now func() time.Time) error {
	key, err := h.identity.sealKey("webhook")
	if err != nil {
		return err
	}
	h.Webhooks, err = webhook.New(webhook.Config{
		Service: h.Service, Registry: h.Registry, DB: h.Store.DB, Jobs: h.Store.Jobs, Key: key, Now: now, Logger: h.log,
		AllowPrivate: h.config.Webhooks.AllowPrivate,
	})
	if err != nil {
		return fmt.Errorf("open the webhooks: %w", err)
	}
	return nil
}

func (h *Hub) openMail(ctx context.Context, now func() time.Time) error {
	var err error
	h.Mail, err = mail.New(ctx, mail.Config{
		DB: h.Store.DB, Blobs: h.Store.Blobs, Jobs: h.Store.Jobs, Domains: []string{h.config.Domain}, Hostname: h.config.Domain,
		Postmaster: mail.Address(h.config.Mail.Postmaster), Relay: h.config.Mail.Smarthost != "", MaxMessage: h.config.Limits.MaxMessage, Now: now, Logger: h.log,
	})
	if err != nil {
		return fmt.Errorf("open the mail store: %w", err)
	}
	if h.config.Mail.Smarthost == "" {
		return nil
	}
	address := h.config.Mail.Smarthost
	if !strings.Contains(address, "://") {
		address = "smtp://" + address
	}
	smarthost, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("mail.smarthost: %w", err)
	}
	if h.config.Mail.SmarthostUser != "" {
		smarthost.User = url.UserPassword(h.config.Mail.SmarthostUser, h.config.Mail.SmarthostPassword)
	}
	_, err = outbound.New(outbound.Config{
		Store: h.Mail, Jobs: h.Store.Jobs, Smarthost: smarthost.String(), Hostname: h.config.Domain, Logger: h.log, Now: now,
	})
	if err != nil {
		return fmt.Errorf("open outbound mail: %w", err)
	}
	return nil
}

// start opens every configured door, then lets the jobs run.
func (h *Hub) start(ctx context.Context) error {
	secure, err := h.identity.tlsConfig()
	if err != nil {
		return err
	}
	h.started = true
	if err := h.startMail(ctx); err != nil {
		return err
	}
	handler, err := h.handler()
	if err != nil {
		return err
	}
	h.http = &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, TLSConfig: secure,
		ReadTimeout: 15 * time.Minute, WriteTimeout: 15 * time.Minute, // a large PDF over a slow line
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug), BaseContext: func(net.Listener) context.Context { return ctx },
	}
	serve := h.http.Serve
	if h.config.Listen.HTTPTLS {
		serve = func(l net.Listener) error { return h.http.ServeTLS(l, "", "") }
	}
	h.metrics = &http.Server{Handler: h.metricsHandler(), ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	tuneMemory(os.Getenv)
	if err := errors.Join(h.Service.Resume(ctx), h.peers.Resume(ctx)); err != nil {
		return fmt.Errorf("resume the deliveries: %w", err)
	}
	if err := errors.Join(
		h.listen(ctx, "http", h.config.Listen.HTTP, serve),
		h.listen(ctx, "metrics", h.config.Listen.Metrics, h.metrics.Serve),
	); err != nil {
		return err
	}
	following, stop := context.WithCancel(ctx)
	h.stopFollowing = stop
	h.serving.Go(func() error {
		h.Service.FollowEvidence(following, followEvery)
		return nil
	})
	h.serving.Go(func() error {
		h.evidence.Run(following)
		return nil
	})
	h.serving.Go(func() error {
		h.letters.Run(following)
		return nil
	})
	return h.Store.Start(ctx)
}

// followEvery is how often the evidence is counted for the exchange rate and read
// for the search.
const followEvery = 5 * time.Second

func (h *Hub) startMail(ctx context.Context) error {
	secure, err := h.identity.tlsConfig()
	if err != nil {
		return err
	}
	h.smtp, err = smtpd.New(smtpd.Config{
		Store: h.Mail, Hostname: h.config.Domain, TLS: secure, MaxMessage: h.config.Limits.MaxMessage, Logger: h.log, Insecure: h.config.Insecure,
	})
	if err != nil {
		return fmt.Errorf("open SMTP: %w", err)
	}
	h.imap, err = imapd.New(imapd.Config{Store: h.Mail, TLS: secure, Logger: h.log, Insecure: h.config.Insecure})
	if err != nil {
		return fmt.Errorf("open IMAP: %w", err)
	}
	return errors.Join(
		h.listen(ctx, "smtp", h.config.Listen.SMTP, h.smtp.ServeMX),
		h.listen(ctx, "submission", h.config.Listen.Submission, h.smtp.ServeSubmission),
		h.listen(ctx, "submission-tls", h.config.Listen.SubmissionTLS, h.smtp.ServeSubmissionTLS),
		h.listen(ctx, "imap", h.config.Listen.IMAP, h.imap.Serve),
		h.listen(ctx, "imap-tls", h.config.Listen.IMAPTLS, h.imap.ServeTLS),
	)
}

// listen opens a door and serves it until close.
func (h *Hub) listen(ctx context.Context, door, address string, serve func(net.Listener) error) error {
	if address == "" {
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		setting := "listen." + strings.ReplaceAll(door, "-", "_")
		return fmt.Errorf("open %s on %s: %w; choose another address by %s in %s", door, address, err, setting, configName)
	}
	h.addresses = append(h.addresses, Address{Door: door, Addr: listener.Addr().String()})
	h.serving.Go(func() error {
		if err := serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("serve %s: %w", door, err)
		}
		return nil
	})
	return nil
}

// address is where a door listens, "" when it is closed.
func (h *Hub) address(door string) string {
	for _, a := range h.addresses {
		if a.Door == door {
			return a.Addr
		}
	}
	return ""
}

// baseURL is where the console and the API are.
func (h *Hub) baseURL() string {
	if h.config.Listen.HTTPTLS {
		return "https://" + h.address("http")
	}
	return "http://" + h.address("http")
}

// handler joins the doors over HTTP.
func (h *Hub) handler() (http.Handler, error) {
	api, err := httpapi.New(httpapi.Config{Service: h.Service, Registry: h.Registry, Webhooks: h.Webhooks, DB: h.Store.DB, Logger: h.log, MaxBody: h.config.Limits.MaxPDF + 1<<20})
	if err != nil {
		return nil, fmt.Errorf("open the API: %w", err)
	}
	pages, err := console.New(console.Config{
		Service: h.Service, Registry: h.Registry, Webhooks: h.Webhooks, Logger: h.log, Secure: h.config.Listen.HTTPTLS,
		Verify: h.verify, Pictures: h.pictures.Changes, MaxPDF: h.config.Limits.MaxPDF,
	})
	if err != nil {
		return nil, fmt.Errorf("open the console: %w", err)
	}
	verifier, err := page.Handler([]*x509.Certificate{h.identity.authority.Certificate()}, h.Store.Ledger.VerifierKey(), time.Now())
	if err != nil {
		return nil, fmt.Errorf("open the verification page: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.Handle("/axis/", h.axis)
	mux.Handle("/.well-known/hx", h.peers)
	mux.Handle("/hx/v1/", h.peers)
	mux.Handle(transparency.Prefix, h.evidence.Handler())
	mux.Handle("GET /verify", verifier)
	mux.Handle(bymail.PagePath, h.letters.Handler())
	if authority, ok := h.tsa.(http.Handler); ok {
		mux.Handle("POST /tsa", authority)
	}
	mux.Handle(ocspPath, h.identity.authority.OCSP())
	mux.Handle(ocspPath+"/", h.identity.authority.OCSP())
	mux.Handle(crlPath, h.identity.authority.CRLDoor())
	if h.config.Signing.Remote {
		remote, err := cscd.New(cscd.Config{Registry: h.Registry, DB: h.Store.DB, Ledger: h.Store.Ledger, Name: h.config.Name, AllowTestKeys: h.config.Insecure, Logger: h.log})
		if err != nil {
			return nil, fmt.Errorf("open remote signing: %w", err)
		}
		mux.Handle(cscd.Path, remote)
	}
	mux.Handle("/", pages)
	return mux, nil
}

// verifyOptions are how this hub judges a document from outside.
func (h *Hub) verifyOptions() signing.VerifyOptions {
	return signing.VerifyOptions{
		Trust: h.trust, Now: time.Now, Fetcher: h.fetcher, RequireRevocation: h.config.Trust.RequireRevocation, MaxSize: h.config.Limits.MaxPDF,
	}
}

// close stops taking work, lets what runs end, and closes the engines.
func (h *Hub) close(ctx context.Context) error {
	var errs []error
	for _, server := range []*http.Server{h.http, h.metrics} {
		if server != nil {
			errs = append(errs, server.Shutdown(ctx))
		}
	}
	if h.smtp != nil {
		errs = append(errs, h.smtp.Close())
	}
	if h.imap != nil {
		errs = append(errs, h.imap.Close())
	}
	if h.stopFollowing != nil {
		h.stopFollowing()
	}
	errs = append(errs, h.serving.Wait(), h.pictures.Close(), h.Store.Close(ctx))
	return errors.Join(errs...)
}
