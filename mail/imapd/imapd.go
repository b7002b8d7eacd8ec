// Package imapd shows mailboxes over IMAP.
package imapd

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	"vanthu/mail"
)

// Config of a server.
type Config struct {
	Store  *mail.Store
	TLS    *tls.Config
	Logger *slog.Logger
	// Insecure allows logins without TLS from loopback addresses.
	Insecure bool
}

// Server serves IMAP.
type Server struct{}

// New returns a server.
func New(cfg Config) (*Server, error) { return &Server{}, nil }

// Serve serves IMAP with STARTTLS until Close.
func (s *Server) Serve(l net.Listener) error { return errors.ErrUnsupported }

// ServeTLS serves IMAP over TLS until Close.
func (s *Server) ServeTLS(l net.Listener) error { return errors.ErrUnsupported }

// Close ends all sessions.
func (s *Server) Close() error { return nil }
