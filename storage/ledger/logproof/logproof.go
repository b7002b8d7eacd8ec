// Package logproof judges what the evidence log gives away: entries with their proofs of inclusion, checkpoints and the
// cosignatures of witnesses. It needs no database, so that whoever holds a proof can check it anywhere, in a browser too.
//
// A leaf is canonical JSON {"at","digest","id","kind","v"}; digest is the SHA-256 of the entry's salt followed by the
// canonical JSON of {"actor","body","subject"}. Hashes are those of RFC 6962 §2.1, checkpoints those of C2SP
// tlog-checkpoint, cosignatures those of C2SP tlog-cosignature.
package logproof

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrProof says that a proof does not prove its entry.
var ErrProof = errors.New("proof does not hold")

// Proof shows that an entry is in the log. It stands for itself: Verify needs only the log's public key besides.
type Proof struct {
	Leaf       []byte      `json:"leaf"`       // what the log holds
	Index      int64       `json:"index"`      // where
	Hashes     []tlog.Hash `json:"hashes"`     // the path to the root, RFC 6962 §2.1.1
	Checkpoint string      `json:"checkpoint"` // the signed root
	Entry      Entry       `json:"entry"`      // what the leaf's digest hides
	Salt       []byte      `json:"salt"`
}

// Verify checks a proof with the log's public key and nothing else. Its error wraps ErrProof and says what does not hold.
func Verify(vkey string, p *Proof) error {
	if p == nil {
		return fmt.Errorf("%w: there is none", ErrProof)
	}
	tree, err := OpenCheckpoint(vkey, p.Checkpoint)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return VerifyIn(tree, p)
}

// VerifyIn checks a proof against a tree head that is known to be the log's; the proof's own checkpoint is not looked at.
func VerifyIn(tree tlog.Tree, p *Proof) error {
	if p.Index < 0 || p.Index >= tree.N {
		return fmt.Errorf("%w: there is no place %d in a log of %d", ErrProof, p.Index, tree.N)
	}
	if len(p.Salt) != SaltSize {
		return fmt.Errorf("%w: the salt has %d bytes instead of %d", ErrProof, len(p.Salt), SaltSize)
	}
	entry := p.Entry
	if err := entry.check(); err != nil {
		return fmt.Errorf("%w: the entry cannot be ours: %w", ErrProof, err)
	}
	if !bytes.Equal(Leaf(&entry, p.Salt), p.Leaf) {
		return fmt.Errorf("%w: the entry is not the one in the log", ErrProof)
	}
	if err := tlog.CheckRecord(p.Hashes, tree.N, tree.Hash, p.Index, tlog.RecordHash(p.Leaf)); err != nil {
		return fmt.Errorf("%w: the entry is not below the signed root: %w", ErrProof, err)
	}
	return nil
}

// CheckpointText is what is signed of a tree head: origin, size and root.
func CheckpointText(origin string, tree tlog.Tree) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, tree.N, tree.Hash)
}

// OpenCheckpoint checks a checkpoint's signature and reads it. The text must be exactly what the log writes, but for
// other signers' lines.
func OpenCheckpoint(vkey, text string) (tlog.Tree, error) {
	tree, _, err := openNote(vkey, text)
	return tree, err
}

// SignedText gives the signed part of a checkpoint after checking its signature: what time stamps are made over.
func SignedText(vkey, text string) (string, error) {
	_, opened, err := openNote(vkey, text)
	if err != nil {
		return "", err
	}
	return opened.Text, nil
}

func openNote(vkey, text string) (tlog.Tree, *note.Note, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, nil, fmt.Errorf("the log's public key: %w", err)
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, nil, fmt.Errorf("the checkpoint: %w", err)
	}
	for _, sig := range append(opened.Sigs, opened.UnverifiedSigs...) {
		// note reads base64 loosely; there must be one way to write a signature.
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return tlog.Tree{}, nil, fmt.Errorf("the checkpoint: a signature line: %w", err)
		}
	}
	tree, err := ParseCheckpoint(verifier.Name(), opened.Text)
	return tree, opened, err
}

// ParseCheckpoint reads the signed part of a checkpoint of the named log.
func ParseCheckpoint(origin, text string) (tlog.Tree, error) {
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
