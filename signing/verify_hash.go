package signing

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"io"

	"vanthu/signing/pdf"
)

// hasher computes digests of ByteRanges. The part before a signature's /Contents also lies before that of every
// later signature, so a running digest is kept and cloned: all signatures of a file together cost little more
// than reading it once, when they are asked for in the order of the file.
type hasher struct {
	ctx     context.Context
	r       io.ReaderAt
	running map[crypto.Hash]*prefix
	piece   func(off, n int64) []byte // nil for a file that is not in memory
	buf     []byte
}

// prefix is the digest of the first n bytes.
type prefix struct {
	h hash.Hash
	n int64
}

func newHasher(ctx context.Context, r io.ReaderAt) *hasher {
	return &hasher{ctx: ctx, r: r, running: map[crypto.Hash]*prefix{}, piece: pdf.Pieces(r)}
}

// sum digests bytes [0, first) and [from, to).
func (h *hasher) sum(alg crypto.Hash, first, from, to int64) ([]byte, error) {
	if !alg.Available() {
		return nil, fmt.Errorf("digest algorithm %d is not available", alg)
	}
	p := h.running[alg]
	if p == nil || p.n > first {
		p = &prefix{h: alg.New()}
		h.running[alg] = p
	}
	if err := h.feed(p.h, p.n, first); err != nil {
		delete(h.running, alg)
		return nil, err
	}
	p.n = first
	digest := p.h
	if c, ok := p.h.(hash.Cloner); ok {
		clone, err := c.Clone()
		if err != nil {
			return nil, fmt.Errorf("cloning a digest: %w", err)
		}
		digest = clone
	} else {
		delete(h.running, alg)
	}
	if err := h.feed(digest, from, to); err != nil {
		return nil, err
	}
	return digest.Sum(nil), nil
}

// feed writes bytes [from, to) of the file.
func (h *hasher) feed(w hash.Hash, from, to int64) error {
	const chunk, large = 16 << 10, 1 << 20
	for from < to {
		if err := h.ctx.Err(); err != nil {
			return err
		}
		if h.piece != nil {
			if p := h.piece(from, min(large, to-from)); p != nil {
				w.Write(p)
				from += int64(len(p))
				continue
			}
		}
		if h.buf == nil {
			h.buf = make([]byte, chunk)
		}
		n, err := h.r.ReadAt(h.buf[:min(chunk, to-from)], from)
		w.Write(h.buf[:n])
		from += int64(n)
		if err != nil && from < to {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("reading the signed bytes: %w", err)
		}
	}
	return nil
}
