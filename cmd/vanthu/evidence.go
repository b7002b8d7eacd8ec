package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"vanthu/exchange/bymail"
	"vanthu/exchange/transparency"
	"vanthu/signing/pki"
	"vanthu/storage/ledger/logproof"
)

// openEvidence opens the evidence log to everybody and makes the hub a witness of the logs in the configuration.
func (h *Hub) openEvidence(now func() time.Time) error {
	seed, err := h.identity.sealKey("witness")
	if err != nil {
		return err
	}
	cfg := transparency.Config{
		Ledger: h.Store.Ledger, TSA: h.tsa, Trust: h.trust, Every: time.Duration(h.config.Log.Minutes) * time.Minute,
		WitnessName: h.config.Domain + "/log/witness", WitnessKey: ed25519.NewKeyFromSeed(seed), Logger: h.log, Now: now,
	}
	for _, text := range h.config.Log.Witnesses {
		address, key, _ := strings.Cut(text, " ")
		witness, err := logproof.ParseWitness(strings.TrimSpace(key))
		if err != nil {
			return fmt.Errorf("log.witnesses: %w", err)
		}
		cfg.Witnesses = append(cfg.Witnesses, transparency.Peer{URL: address, Witness: witness})
	}
	for _, key := range h.config.Log.Logs {
		cfg.Logs = append(cfg.Logs, transparency.Log{VerifierKey: key})
	}
	if h.evidence, err = transparency.New(cfg); err != nil {
		return fmt.Errorf("open the evidence log: %w", err)
	}
	return nil
}

// openLetters opens the channel to agencies that have an official mailbox and no software.
func (h *Hub) openLetters(now func() time.Time) error {
	key, err := h.identity.sealKey("bymail")
	if err != nil {
		return err
	}
	h.letters, err = bymail.New(bymail.Config{
		DB: h.Store.DB, Blobs: h.Store.Blobs, Mail: h.Mail, Registry: h.Registry, Service: h.Service, Key: key, TSA: h.tsa,
		BaseURL: func() string { return cmp.Or(h.config.Trust.PublicURL, h.baseURL()) }, SigningKey: h.identity.receiptKey,
		MaxPDF: h.config.Limits.MaxPDF, Now: now, Logger: h.log,
	})
	if err != nil {
		return fmt.Errorf("open the mail channel: %w", err)
	}
	return nil
}

// revocationSource tells of the hub's own certificates from its own list, of others by asking.
type revocationSource struct {
	own     *pki.Authority
	fetcher *pki.Fetcher // nil when nobody is asked
}

// Fetch implements signing.RevocationSource.
func (s *revocationSource) Fetch(ctx context.Context, cert, issuer *x509.Certificate) (pki.Evidence, error) {
	if bytes.Equal(issuer.Raw, s.own.Certificate().Raw) {
		list, err := s.own.CRL()
		return pki.Evidence{CRLs: [][]byte{list}}, err
	}
	if s.fetcher == nil {
		return pki.Evidence{}, nil
	}
	return s.fetcher.Fetch(ctx, cert, issuer)
}
