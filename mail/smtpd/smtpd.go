// Package smtpd takes mail in over SMTP.
package smtpd

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	"vanthu/mail"
)

// Config of a server.
type Config struct {
	Store      *mail.Store
	Hostname   string
	TLS        *tls.Config
	MaxMessage int64
	Logger     *slog.Logger
	// Insecure allows logins without TLS from loopback addresses.
	Insecure bool
}

// Server serves SMTP.
type Server struct{}

// New returns a server.
func New(cfg Config) (*Server, error) { return &Server{}, nil }

// ServeMX takes mail for local recipients until Close.
func (s *Server) ServeMX(l net.Listener) error { return errors.ErrUnsupported }

// ServeSubmission takes mail from our accounts (STARTTLS) until Close.
func (s *Server) ServeSubmission(l net.Listener) error { return errors.ErrUnsupported }

// ServeSubmissionTLS takes mail from our accounts over TLS until Close.
func (s *Server) ServeSubmissionTLS(l net.Listener) error { return errors.ErrUnsupported }

// Close ends all sessions.
func (s *Server) Close() error { return nil }
