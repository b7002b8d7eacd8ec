package exchange

import (
	"context"
	"strings"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// Capabilities is what an agency takes, asked before sending (khả năng tiếp nhận).
type Capabilities struct {
	Asked      string            `json:"asked"`  // the code as it was asked for
	Agency     registry.AgencyID `json:"agency"` // that answers to it now
	Name       string            `json:"name"`
	Channel    string            `json:"channel"`
	Reachable  bool              `json:"reachable"`        // this hub has a way to it
	Types      []string          `json:"types"`            // of documents it takes
	MaxSize    int64             `json:"max_size"`         // bytes of one PDF, of its own limit and the hub's the smaller
	Encryption string            `json:"encryption"`       // required, or ""
	Sealed     bool              `json:"sealed"`           // it has a certificate that holds now, so that its receipts and documents can be told from others'
	Through    []string          `json:"through,omitzero"` // codes that led here, where the one asked for has ended
}

// CapabilitiesOf tells what the agency behind a code, old or new, takes now.
func (s *Service) CapabilitiesOf(ctx context.Context, code string) (*Capabilities, error) {
	now := s.clock()
	found, err := s.reg.Resolve(ctx, code, now)
	if err != nil {
		return nil, err
	}
	a := &found.Agency
	out := &Capabilities{Asked: code, Agency: a.ID, Name: a.Name, Channel: a.Channel, Reachable: s.reachable(a) && a.ActiveAt(now), MaxSize: s.cfg.MaxPDF,
		Encryption: a.Encryption, Types: []string{}}
	if a.Encryption == registry.EncryptionRequired && a.Channel == registry.ChannelLocal {
		out.Reachable = false
	}
	if a.MaxSize > 0 {
		out.MaxSize = min(a.MaxSize, out.MaxSize)
	}
	if a.Accepts != "" {
		out.Types = strings.Split(a.Accepts, ",")
	} else {
		for _, t := range AllTypes() {
			out.Types = append(out.Types, t.Code)
		}
	}
	for _, via := range found.Via {
		out.Through = append(out.Through, string(via))
	}
	certificates, err := s.reg.Certificates(ctx, registry.AgencyOwner(a.ID))
	for i := range certificates {
		c := &certificates[i]
		out.Sealed = out.Sealed || (c.ValidAt(now) && !now.Before(c.Certificate.NotBefore) && now.Before(c.Certificate.NotAfter))
	}
	return out, err
}

// DocumentViews gives who of the actor's agency has opened an outgoing document or
// its draft (NĐ 30/2020 Phụ lục VI: the history of views is kept).
func (s *Service) DocumentViews(ctx context.Context, by registry.Actor, id DocumentID) (out []View, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		out, err = selectViews(ctx, tx, string(id))
		return err
	})
	return out, storageError("reading views", err)
}
