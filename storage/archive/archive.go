// Package archive seals what belongs together into one package that can be read
// with nothing but a zip program.
//
// A package is a zip file, its members stored and not compressed, the first of
// them manifest.json with the name, size and SHA-256 of every other. The same
// content gives the same bytes, hence the same digest, so sealing twice keeps
// one package.
package archive

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"crypto/sha256"

	"vanthu/storage/blob"
)

// Limits of a package.
const (
	MaxFiles    = 10_000  // members beside the manifest
	MaxName     = 255     // bytes of a member's name
	MaxSize     = 1 << 30 // bytes of a package that Open reads into memory
	maxManifest = 8 << 20
)

const (
	manifestName  = "manifest.json"
	formatName    = "vanthu-archive"
	formatVersion = 1
)

// ErrInvalid says that a package, or what was to become one, breaks the format.
var ErrInvalid = errors.New("not a sound archive package")

// File is one member of a package. Its bytes are Data, or, when From is set, the
// blob Ref of that store.
type File struct {
	Name string // relative, slashes, no ".."
	Data []byte
	Ref  blob.Ref
	From blob.Backend
}

// Package is what is sealed together.
type Package struct {
	Kind    string // e.g. "document"
	ID      string
	Created time.Time // kept to the second, UTC
	Files   []File
	Meta    map[string]string
}

// Member is a line of the manifest.
type Member struct {
	Name   string      `json:"name"`
	Size   int64       `json:"size"`
	SHA256 blob.Digest `json:"sha256"`
}

type manifest struct {
	Format  string            `json:"format"`
	Version int               `json:"version"`
	Kind    string            `json:"kind"`
	ID      string            `json:"id"`
	Created string            `json:"created"`
	Meta    map[string]string `json:"meta,omitempty"` // encoding/json sorts the keys
	Files   []Member          `json:"files"`
}

// Seal stores p as one package and keeps it undeletable until retainUntil where
// the store can (zero: no retention). The members are read twice when they are
// blobs: their check sums stand before them in the zip.
func Seal(ctx context.Context, to blob.Backend, p Package, retainUntil time.Time) (blob.Ref, error) {
	members, err := describe(ctx, p.Files)
	if err != nil {
		return blob.Ref{}, fmt.Errorf("sealing %s %s: %w", p.Kind, p.ID, err)
	}
	m := manifest{
		Format: formatName, Version: formatVersion, Kind: p.Kind, ID: p.ID,
		Created: p.Created.UTC().Format(time.RFC3339), Meta: p.Meta,
	}
	for _, s := range members {
		m.Files = append(m.Files, s.Member)
	}
	head, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return blob.Ref{}, fmt.Errorf("sealing %s %s: %w", p.Kind, p.ID, err)
	}
	first := source{Member: Member{Name: manifestName, Size: int64(len(head))}, crc: crc32.ChecksumIEEE(head), file: File{Data: head}}

	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(writeZip(ctx, pw, append([]source{first}, members...))) }()
	ref, err := to.Put(ctx, pr)
	pr.CloseWithError(err) // ends the writer when Put stopped early
	if err != nil {
		return blob.Ref{}, fmt.Errorf("sealing %s %s: %w", p.Kind, p.ID, err)
	}
	if retainUntil.IsZero() {
		return ref, nil
	}
	if err := to.Retain(ctx, ref.Digest, retainUntil); err != nil && !errors.Is(err, blob.ErrUnsupported) {
		return blob.Ref{}, fmt.Errorf("sealing %s %s: %w", p.Kind, p.ID, err)
	}
	return ref, nil
}

// source is a member on its way into a package.
type source struct {
	Member
	crc  uint32
	file File
}

// describe checks the members, hashes them, and sorts them by name.
func describe(ctx context.Context, files []File) ([]source, error) {
	if len(files) == 0 || len(files) > MaxFiles {
		return nil, fmt.Errorf("%d files, want 1 to %d: %w", len(files), MaxFiles, ErrInvalid)
	}
	out := make([]source, 0, len(files))
	for _, f := range files {
		if err := checkName(f.Name); err != nil {
			return nil, err
		}
		s, err := measure(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("file %q: %w", f.Name, err)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b source) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(out); i++ {
		if out[i].Name == out[i-1].Name {
			return nil, fmt.Errorf("two files are named %q: %w", out[i].Name, ErrInvalid)
		}
	}
	return out, nil
}

func measure(ctx context.Context, f File) (source, error) {
	r, err := f.open(ctx)
	if err != nil {
		return source{}, err
	}
	defer r.Close() //nolint:errcheck // reading: the digest decides, not Close
	sum, crc := sha256.New(), crc32.NewIEEE()
	n, err := io.Copy(io.MultiWriter(sum, crc), r)
	if err != nil {
		return source{}, err
	}
	d := blob.Digest(hex.EncodeToString(sum.Sum(nil)))
	return source{Member: Member{Name: f.Name, Size: n, SHA256: d}, crc: crc.Sum32(), file: f}, nil
}

// open returns the bytes of a file.
func (f File) open(ctx context.Context) (io.ReadCloser, error) {
	if f.From == nil {
		return io.NopCloser(bytes.NewReader(f.Data)), nil
	}
	r, _, err := f.From.Open(ctx, f.Ref.Digest)
	return r, err
}

// checkName accepts relative slash paths that mean the same on every system.
func checkName(name string) error {
	switch {
	case name == "" || len(name) > MaxName || name == manifestName:
	case !utf8.ValidString(name) || strings.ContainsAny(name, "\\:\x00") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
	case path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../") || name == ".":
	default:
		return nil
	}
	return fmt.Errorf("file name %.300q: %w", name, ErrInvalid)
}
