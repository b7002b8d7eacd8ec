package exchange

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// Marks inside errors by which the evidence names what failed; people read the
// error around them.
var (
	errNotAccepted = errors.New("the validator does not accept the signature")
	errInactive    = errors.New("the agency takes no part in the exchange")
	errNoChannel   = errors.New("no channel leads to the agency")
	errReceiptKey  = errors.New("the receiving agency cannot sign its receipt")
)

// signFailure names what stopped a signature.
func signFailure(err error) string {
	switch {
	case errors.Is(err, signing.ErrKey):
		return failKey
	case errors.Is(err, errNotAccepted):
		return failValidator
	}
	return failOther
}

// deliveryFailure names what stopped a delivery; the first that fits counts.
func deliveryFailure(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, errInactive):
		return failInactive
	case errors.Is(err, errNoChannel):
		return failChannel
	case errors.Is(err, blob.ErrCorrupt), errors.Is(err, blob.ErrNotFound):
		return failFile
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		return failUnreachable
	case errors.Is(err, errReceiptKey), errors.Is(err, signing.ErrKey):
		return failCertificate
	case KindOf(err) == KindConflict:
		return failConflict
	}
	return failOther
}

// sendRefused leaves evidence that a document could not be sent because of a
// recipient, so that the rate can say why it is missing, and gives the error
// back. Other reasons are those of whoever sends and leave none.
func (s *Service) sendRefused(ctx context.Context, by registry.Actor, id DocumentID, cause error) error {
	failure := deliveryFailure(cause)
	if failure != failInactive && failure != failChannel {
		return cause
	}
	now := s.clock()
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, err := s.ownDocument(ctx, tx, by, id)
		if err != nil || d.State != StateSealed {
			return err
		}
		f := s.facts(by)
		f["reason"], f["failure"] = failureText(cause), failure
		return s.evidence(ctx, tx, "document.send-refused", string(id), now, by, f)
	})
	if err != nil { // the refusal itself is what the caller has to know
		s.log.LogAttrs(ctx, slog.LevelWarn, "evidence of a refused sending not written", slog.String("document", string(id)), slog.String("error", err.Error()))
	}
	return cause
}
