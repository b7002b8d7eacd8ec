package mail

import (
	"context"
	"errors"
	"fmt"

	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// Check rereads all mail and yields, in one sentence each, what is wrong:
// message rows whose blob is missing or damaged, UIDs at or above UIDNEXT or
// both present and expunged, MODSEQs out of order, parsed data that is missing
// or does not match the bytes, used bytes that do not add up, queue rows that
// contradict themselves. The error is about the checking itself.
func (s *Store) Check(ctx context.Context, yield func(problem string)) error {
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, rule := range checkRules {
			if err := runRule(ctx, tx, rule, yield); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("checking mail: %w", err)
	}
	return s.checkContents(ctx, yield)
}

// checkContents rereads every blob that a message or a queued submission names.
func (s *Store) checkContents(ctx context.Context, yield func(problem string)) error {
	after := blob.Digest("")
	for {
		var page []blob.Ref
		err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			page, err = contentsAfter(ctx, tx, after, pageSize)
			return err
		})
		if err != nil {
			return fmt.Errorf("checking messages: %w", err)
		}
		for _, ref := range page {
			if err := s.checkContent(ctx, ref, yield); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].Digest
	}
}

func (s *Store) checkContent(ctx context.Context, ref blob.Ref, yield func(problem string)) error {
	data, err := blob.ReadAll(ctx, s.blobs, ref.Digest, ref.Size)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		yield(fmt.Sprintf("message %s: its bytes are missing", ref.Digest))
		return nil
	case errors.Is(err, blob.ErrCorrupt), errors.Is(err, blob.ErrTooLarge):
		yield(fmt.Sprintf("message %s: its bytes are damaged: %v", ref.Digest, err))
		return nil
	case err != nil:
		return fmt.Errorf("checking message %s: %w", ref.Digest, err)
	}
	if int64(len(data)) != ref.Size {
		yield(fmt.Sprintf("message %s: has %d bytes, the row says %d", ref.Digest, len(data), ref.Size))
	}
	kept, err := s.Content(ctx, ref.Digest)
	if err != nil {
		yield(fmt.Sprintf("message %s: what was parsed cannot be read: %v", ref.Digest, err))
		return nil
	}
	parsed := Parse(data)
	if kept.Structure.End != parsed.Structure.End || kept.Structure.BodyStart != parsed.Structure.BodyStart ||
		kept.Envelope.Subject != parsed.Envelope.Subject || kept.Envelope.MessageID != parsed.Envelope.MessageID {
		yield(fmt.Sprintf("message %s: what was parsed does not match its bytes", ref.Digest))
	}
	return nil
}
