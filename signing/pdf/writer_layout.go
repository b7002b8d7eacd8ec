package pdf

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
)

// Layout is what remains of a [Prepared] when the signature is made later, perhaps by another process: the bytes to
// append, with the place for the signature. It can be stored.
type Layout struct {
	// Appended is the revision, its /Contents filled with zeros.
	Appended []byte `json:"appended"`
	// Contents is the offset in Appended of the '<' of /Contents, Room how many bytes the signature may have.
	Contents int `json:"contents"`
	Room     int `json:"room"`
}

// Layout gives the bytes as they stand, in slices of the caller's own.
func (p *Prepared) Layout() Layout {
	return Layout{Appended: slices.Clone(p.data), Contents: p.contents, Room: p.room}
}

// Fill gives the appended bytes with a signature (CMS in DER) in its place. ErrRoom says that it is too large.
func (l Layout) Fill(cms []byte) ([]byte, error) {
	end := l.Contents + 1 + 2*l.Room
	if l.Room <= 0 || l.Contents < 0 || end >= len(l.Appended) || l.Appended[l.Contents] != '<' || l.Appended[end] != '>' {
		return nil, fmt.Errorf("a layout without a place for a signature: %w", ErrUnsupported)
	}
	if len(cms) > l.Room {
		return nil, fmt.Errorf("%d bytes in a room of %d: %w", len(cms), l.Room, ErrRoom)
	}
	out := slices.Clone(l.Appended)
	place := out[l.Contents+1 : end]
	copy(place, bytes.Repeat([]byte{'0'}, len(place)))
	hex.Encode(place, cms)
	return out, nil
}
