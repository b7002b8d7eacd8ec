package ledger

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"vanthu/storage/sqldb"
)

// Proof shows that an entry is in the log. It stands for itself: VerifyProof
// needs only the log's public key besides.
type Proof struct {
	Leaf       []byte      `json:"leaf"`       // what the log holds
	Index      int64       `json:"index"`      // where
	Hashes     []tlog.Hash `json:"hashes"`     // the path to the root, RFC 6962 §2.1.1
	Checkpoint string      `json:"checkpoint"` // the signed root
	Entry      Entry       `json:"entry"`      // what the leaf's digest hides
	Salt       []byte      `json:"salt"`
}

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
		tree, err := openCheckpoint(l.vkey, text)
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
			Leaf:       leaf(&row.Entry, row.salt),
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
func VerifyProof(vkey string, p *Proof) error {
	if p == nil {
		return fmt.Errorf("%w: there is none", ErrProof)
	}
	tree, err := openCheckpoint(vkey, p.Checkpoint)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	if p.Index < 0 || p.Index >= tree.N {
		return fmt.Errorf("%w: there is no place %d in a log of %d", ErrProof, p.Index, tree.N)
	}
	if len(p.Salt) != saltSize {
		return fmt.Errorf("%w: the salt has %d bytes instead of %d", ErrProof, len(p.Salt), saltSize)
	}
	entry := p.Entry
	if err := entry.check(); err != nil {
		return fmt.Errorf("%w: the entry cannot be ours: %w", ErrProof, err)
	}
	if !bytes.Equal(leaf(&entry, p.Salt), p.Leaf) {
		return fmt.Errorf("%w: the entry is not the one in the log", ErrProof)
	}
	if err := tlog.CheckRecord(p.Hashes, tree.N, tree.Hash, p.Index, tlog.RecordHash(p.Leaf)); err != nil {
		return fmt.Errorf("%w: the entry is not below the signed root: %w", ErrProof, err)
	}
	return nil
}

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
	text := fmt.Sprintf("%s\n%d\n%s\n", l.origin, tree.N, tree.Hash)
	signed, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		return "", fmt.Errorf("signing a checkpoint: %w", err)
	}
	return string(signed), nil
}

// openCheckpoint checks a checkpoint's signature and reads it. The text must
// be exactly what signCheckpoint writes, but for other signers' lines.
func openCheckpoint(vkey, text string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("the log's public key: %w", err)
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("the checkpoint: %w", err)
	}
	for _, sig := range append(opened.Sigs, opened.UnverifiedSigs...) {
		// note reads base64 loosely; there must be one way to write a signature.
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return tlog.Tree{}, fmt.Errorf("the checkpoint: a signature line: %w", err)
		}
	}
	return parseCheckpoint(verifier.Name(), opened.Text)
}

func parseCheckpoint(origin, text string) (tlog.Tree, error) {
	bad := errors.New("the checkpoint is malformed")
	lines := strings.Split(text, "\n")
	const want = 4 // origin, size, root and the empty rest
	if len(lines) < want || lines[0] != origin {
		return tlog.Tree{}, bad
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, bad
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, bad
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}
