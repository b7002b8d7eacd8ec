package main

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"vanthu/signing/pki"
)

// loadTrust gathers whom the operator trusts. The hub's own authority is always among them: its receipts and its
// embedded time stamps are checked like any other.
func (h *Hub) loadTrust(now func() time.Time) error {
	signers, err := readPEMs(h.config.Signing.Roots)
	if err != nil {
		return err
	}
	clocks, err := readPEMs(h.config.Signing.TimestampRoots)
	if err != nil {
		return err
	}
	lists, err := h.loadLists(now())
	if err != nil {
		return err
	}
	own := h.identity.authority.Certificate()
	ownCRL, err := h.identity.authority.CRL()
	if err != nil {
		return fmt.Errorf("sign the list of revoked certificates: %w", err)
	}
	h.trust = &pki.Trust{
		Roots:          append(append([]*x509.Certificate{own}, signers.Roots...), lists.Roots...),
		TimestampRoots: append(append([]*x509.Certificate{own}, clocks.Roots...), lists.TimestampRoots...),
		Intermediates:  append(append(signers.Intermediates, clocks.Intermediates...), lists.Intermediates...),
		CRLs:           append(append(append([][]byte{ownCRL}, signers.CRLs...), clocks.CRLs...), lists.CRLs...),
	}
	return nil
}

// loadLists reads the folders and trust lists of [trust].
func (h *Hub) loadLists(now time.Time) (*pki.Trust, error) {
	c := h.config.Trust
	o, err := listOptions(c.ListSigners, c.UnsignedLists, now)
	if err != nil {
		return nil, err
	}
	lists, notes, err := pki.LoadTrustPaths(c.Lists, o)
	if err != nil {
		return nil, fmt.Errorf("trust.lists: %w", err)
	}
	for _, note := range notes {
		h.log.Warn("trust lists", slog.String("note", note))
	}
	return lists, nil
}

// listOptions pins the signers of trust lists.
func listOptions(signers []string, unsigned bool, now time.Time) (pki.ListOptions, error) {
	pinned, err := readPEMs(signers)
	if err != nil {
		return pki.ListOptions{}, err
	}
	return pki.ListOptions{Signers: append(pinned.Roots, pinned.Intermediates...), AllowUnsigned: unsigned, Now: now}, nil
}

func readPEMs(names []string) (*pki.Trust, error) {
	pems := make([][]byte, 0, len(names))
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read trusted certificates: %w", err)
		}
		pems = append(pems, data)
	}
	return pki.LoadTrust(pems...)
}

// openFetcher makes what asks authorities about revocation; answers are kept in the data folder.
func (h *Hub) openFetcher(o hubOptions) error {
	c := o.config.Trust
	if !c.Revocation {
		return nil
	}
	options := pki.FetchOptions{Hosts: c.RevocationHosts, AllowPrivate: c.RevocationPrivate, Now: o.now}
	if !o.readOnly {
		cache, err := pki.NewFolderCache(filepath.Join(o.dir, "cache", "revocation"))
		if err != nil {
			return err
		}
		options.Cache = cache
	}
	h.fetcher = pki.NewFetcher(options)
	return nil
}
