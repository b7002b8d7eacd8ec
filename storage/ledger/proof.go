package ledger

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"vanthu/storage/ledger/logproof"
	"vanthu/storage/sqldb"
)

// Proof shows that an entry is in the log; see package logproof.
type Proof = logproof.Proof

// Prove gives the proof of an entry against the latest checkpoint: ErrNotFound
// when there is no such entry, ErrPending when it is not in the log yet.
func (l *Ledger) Prove(ctx context.Context, id EntryID) (*Proof, error) {
	var proof *Proof
	err := l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		row, err := loadEntry(ctx, tx, id)
		if err != nil {
			return err
		}
		text, err := loadNote(ctx, tx)
		if err != nil {
			return err
		}
		if text == "" {
			return ErrPending
		}
		tree, err := logproof.OpenCheckpoint(l.vkey, text)
		if err != nil {
			return err
		}
		if row.Index < 0 || row.Index >= tree.N {
			return ErrPending
		}
		hashes, err := tlog.ProveRecord(tree.N, row.Index, newHashes(ctx, tx))
		if err != nil {
			return err
		}
		proof = &Proof{
			Leaf:       logproof.Leaf(&row.Entry, row.salt),
			Index:      row.Index,
			Hashes:     hashes,
			Checkpoint: text,
			Entry:      row.Entry,
			Salt:       row.salt,
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("proving evidence entry %s: %w", id, err)
	}
	return proof, nil
}

// VerifyProof checks a proof with the log's public key (Ledger.VerifierKey) and
// nothing else. Its error wraps ErrProof and says what does not hold.
func VerifyProof(vkey string, p *Proof) error { return logproof.Verify(vkey, p) }

// Checkpoint gives the latest signed checkpoint, C2SP tlog-checkpoint: origin,
// size, root hash, signature. An empty log has one too.
func (l *Ledger) Checkpoint(ctx context.Context) (string, error) {
	var text string
	err := l.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		text, err = loadNote(ctx, tx)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading the checkpoint: %w", err)
	}
	if text != "" {
		return text, nil
	}
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		return "", err
	}
	return l.signCheckpoint(tlog.Tree{Hash: empty})
}

func (l *Ledger) signCheckpoint(tree tlog.Tree) (string, error) {
	signed, err := note.Sign(&note.Note{Text: logproof.CheckpointText(l.origin, tree)}, l.signer)
	if err != nil {
		return "", fmt.Errorf("signing a checkpoint: %w", err)
	}
	return string(signed), nil
}
