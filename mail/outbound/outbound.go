// Package outbound sends queued mail to other servers.
package outbound

import (
	"log/slog"
	"time"

	"vanthu/mail"
	"vanthu/storage/jobs"
)

// Config of a sender.
type Config struct {
	Store *mail.Store
	Jobs  *jobs.Queue
	// Smarthost is smtp://[user:password@]host:port[?tls=required|opportunistic|none] or smtps://…
	Smarthost string
	Hostname  string
	Logger    *slog.Logger
	Now       func() time.Time
}

// Sender sends queued mail.
type Sender struct{}

// New registers the job handler; call it before the queue is started.
func New(cfg Config) (*Sender, error) { return &Sender{}, nil }
