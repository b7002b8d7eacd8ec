package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"vanthu/storage/blob"
)

// SectionKind says which bytes of a part are meant (RFC 9051 §6.4.5.1).
type SectionKind int

// The kinds of section.
const (
	// SectionAll is the whole message, or a part's body as encoded.
	SectionAll SectionKind = iota
	// SectionHeader is the header of a message, filtered by Fields.
	SectionHeader
	// SectionText is a message without its header.
	SectionText
	// SectionMIME is a part's own header.
	SectionMIME
)

// Section names bytes of a message. Path is the part's number, empty for the
// message itself.
type Section struct {
	Path   []int
	Kind   SectionKind
	Fields []string // with SectionHeader: only these fields, in any case
	Not    bool     // all but Fields
}

// ErrNoSection says that the message has no such part.
var ErrNoSection = errors.New("message has no such part")

// ErrEncoding says that the part's transfer encoding is not known (UNKNOWN-CTE, RFC 3516).
var ErrEncoding = errors.New("content transfer encoding is not known")

// maxFilteredHeader bounds a header that is filtered by fields; what lies
// beyond is not looked at.
const maxFilteredHeader = 1 << 20

// span is a piece of a message: bytes of the prefix or a range of the blob.
type span struct {
	prefix     string
	start, end int64
}

func (s span) size() int64 { return int64(len(s.prefix)) + s.end - s.start }

// locate finds a section's bytes from the stored structure alone.
func (m *Message) locate(root *Part, sec Section) (span, error) {
	part, inner := root.find(sec.Path)
	top := len(sec.Path) == 0
	switch {
	case part == nil:
		return span{}, ErrNoSection
	case sec.Kind == SectionMIME && !top:
		return span{start: part.HeaderStart, end: part.BodyStart}, nil
	case sec.Kind == SectionAll && !top:
		return span{start: part.BodyStart, end: part.End}, nil
	case sec.Kind == SectionAll:
		return span{prefix: m.Prefix, end: root.End}, nil
	case inner == nil:
		return span{}, ErrNoSection
	case sec.Kind == SectionText:
		return span{start: inner.BodyStart, end: inner.End}, nil
	case top: // SectionHeader or SectionMIME of the message itself
		return span{prefix: m.Prefix, end: root.BodyStart}, nil
	default:
		return span{start: inner.HeaderStart, end: inner.BodyStart}, nil
	}
}

// OpenSection returns the bytes of a section and their number. Errors:
// ErrNoSection, blob.ErrNotFound, blob.ErrCorrupt.
func (s *Store) OpenSection(ctx context.Context, m *Message, sec Section) (io.ReadCloser, int64, error) {
	c, err := s.Content(ctx, m.Digest)
	if err != nil {
		return nil, 0, err
	}
	sp, err := m.locate(c.Structure, sec)
	if err != nil {
		return nil, 0, err
	}
	if sec.Kind == SectionHeader && len(sec.Fields) > 0 {
		sp.end = min(sp.end, sp.start+maxFilteredHeader)
	}
	rc, err := s.openSpan(ctx, m.Digest, sp)
	if err != nil {
		return nil, 0, fmt.Errorf("opening a part of message %d: %w", m.UID, err)
	}
	if sec.Kind != SectionHeader || len(sec.Fields) == 0 {
		return rc, sp.size(), nil
	}
	block, err := io.ReadAll(rc)
	if err = errors.Join(err, rc.Close()); err != nil {
		return nil, 0, fmt.Errorf("reading the header of message %d: %w", m.UID, err)
	}
	block = filterHeader(block, sec.Fields, sec.Not)
	return io.NopCloser(bytes.NewReader(block)), int64(len(block)), nil
}

// openSpan opens a range. A blob that fits the cache is read whole, checked and
// kept, since clients fetch a message piece by piece.
func (s *Store) openSpan(ctx context.Context, d blob.Digest, sp span) (io.ReadCloser, error) {
	prefix := strings.NewReader(sp.prefix)
	if sp.start == sp.end {
		return io.NopCloser(prefix), nil
	}
	if data, ok := s.bodies.get(d); ok {
		return io.NopCloser(io.MultiReader(prefix, bytes.NewReader(data[sp.start:sp.end]))), nil
	}
	data, err := s.loadBody(ctx, d, sp.end)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) < sp.end {
		return nil, fmt.Errorf("blob %s has %d bytes, wanted up to %d: %w", d, len(data), sp.end, blob.ErrCorrupt)
	}
	return io.NopCloser(io.MultiReader(prefix, bytes.NewReader(data[sp.start:sp.end]))), nil
}

// loadBody reads a blob into the cache, few large ones at a time.
func (s *Store) loadBody(ctx context.Context, d blob.Digest, need int64) ([]byte, error) {
	weight := min(max(need, 1), bodyCacheBytes)
	if err := s.loading.Acquire(ctx, weight); err != nil {
		return nil, fmt.Errorf("waiting to read a message: %w", err)
	}
	defer s.loading.Release(weight)
	if data, ok := s.bodies.get(d); ok {
		return data, nil
	}
	data, err := blob.ReadAll(ctx, s.blobs, d, s.maxMessage)
	if err != nil {
		return nil, err
	}
	s.bodies.put(d, data, int64(len(data)))
	return data, nil
}

// filterHeader keeps the named fields (or all others), in order, and the blank line.
func filterHeader(block []byte, fields []string, not bool) []byte {
	var out []byte
	for len(block) > 0 {
		field, rest := nextField(block)
		block = rest
		name, _, ok := bytes.Cut(field, []byte{':'})
		if !ok {
			continue // the blank line, or no field
		}
		n := strings.TrimRight(string(name), " \t")
		named := false
		for _, f := range fields {
			named = named || strings.EqualFold(f, n)
		}
		if named != not {
			out = append(out, field...)
		}
	}
	return append(out, "\r\n"...)
}

// OpenBinary returns a part without its transfer encoding (RFC 3516) and the
// number of bytes. The empty path is the whole message. Errors: ErrNoSection,
// ErrEncoding.
func (s *Store) OpenBinary(ctx context.Context, m *Message, path []int) ([]byte, error) {
	c, err := s.Content(ctx, m.Digest)
	if err != nil {
		return nil, err
	}
	part, _ := c.Structure.find(path)
	if part == nil {
		return nil, ErrNoSection
	}
	rc, _, err := s.OpenSection(ctx, m, Section{Path: path})
	if err != nil {
		return nil, err
	}
	defer rc.Close() //nolint:errcheck // memory
	r := io.Reader(rc)
	if len(path) > 0 && !part.Multipart() {
		var ok bool
		if r, ok = decodeTransfer(part.Encoding, rc); !ok {
			return nil, ErrEncoding
		}
	}
	data, err := io.ReadAll(r)
	if errors.Is(err, blob.ErrCorrupt) || errors.Is(err, blob.ErrNotFound) {
		return nil, err
	}
	return data, nil // a damaged encoding: what could be decoded
}
