package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"vanthu/storage/blob"
)

// dosEpoch is the time of every member, in the form of a zip file: 1980-01-01.
const dosEpoch = 1<<5 | 1

// utf8Names is the zip flag for names in UTF-8 (APPNOTE 4.4.4, bit 11).
const utf8Names = 1 << 11

// writeZip writes the members with their sizes and check sums before them, so
// that every reader can stream the package.
func writeZip(ctx context.Context, w io.Writer, members []source) error {
	zw := zip.NewWriter(w)
	for _, m := range members {
		if err := writeMember(ctx, zw, m); err != nil {
			return fmt.Errorf("file %q: %w", m.Name, err)
		}
	}
	return zw.Close()
}

func writeMember(ctx context.Context, zw *zip.Writer, m source) error {
	w, err := zw.CreateRaw(&zip.FileHeader{
		Name: m.Name, Method: zip.Store, Flags: utf8Names, CRC32: m.crc,
		ModifiedDate:     dosEpoch, //nolint:staticcheck // CreateRaw writes this one and not Modified
		CompressedSize64: uint64(m.Size), UncompressedSize64: uint64(m.Size),
	})
	if err != nil {
		return err
	}
	r, err := m.file.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // reading: the digest decides, not Close
	n, err := io.Copy(w, r)
	if err == nil && n != m.Size {
		err = fmt.Errorf("%d bytes, %d when it was hashed: %w", n, m.Size, ErrInvalid)
	}
	return err
}

// Contents is an opened package; every byte of it was checked.
type Contents struct {
	Kind    string
	ID      string
	Created time.Time
	Meta    map[string]string
	Members []Member // by name
	Files   map[string][]byte
}

// Open reads the package d into memory and checks it: the package against its
// digest, every member against the manifest, and that there is nothing else.
// Errors are those of blob.ReadAll and ErrInvalid.
func Open(ctx context.Context, from blob.Backend, d blob.Digest) (*Contents, error) {
	data, err := blob.ReadAll(ctx, from, d, MaxSize)
	if err != nil {
		return nil, fmt.Errorf("opening package: %w", err)
	}
	c, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("opening package %s: %w", d, err)
	}
	return c, nil
}

// parse reads untrusted bytes. Members are not compressed, so what it makes is
// no larger than what it is given.
func parse(data []byte) (*Contents, error) {
	zr, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(zr.File) < 2 || len(zr.File) > MaxFiles+1 || zr.File[0].Name != manifestName {
		return nil, fmt.Errorf("%d members, the first must be %s: %w", len(zr.File), manifestName, ErrInvalid)
	}
	left := int64(len(data))
	head, err := readMember(zr.File[0], min(left, maxManifest))
	if err != nil {
		return nil, err
	}
	left -= int64(len(head))
	c, err := parseManifest(head)
	if err != nil {
		return nil, err
	}
	if len(c.Members) != len(zr.File)-1 {
		return nil, fmt.Errorf("%d members, the manifest has %d: %w", len(zr.File)-1, len(c.Members), ErrInvalid)
	}
	for i, m := range c.Members {
		f := zr.File[i+1]
		if f.Name != m.Name {
			return nil, fmt.Errorf("member %.300q stands where the manifest has %q: %w", f.Name, m.Name, ErrInvalid)
		}
		body, err := readMember(f, left)
		if err != nil {
			return nil, err
		}
		left -= int64(len(body))
		if int64(len(body)) != m.Size || blob.Sum(body) != m.SHA256 {
			return nil, fmt.Errorf("file %q is not what the manifest says: %w", m.Name, ErrInvalid)
		}
		c.Files[m.Name] = body
	}
	return c, nil
}

// parseManifest reads the manifest; its members must be sorted and named once.
func parseManifest(head []byte) (*Contents, error) {
	var m manifest
	if err := json.Unmarshal(head, &m); err != nil {
		return nil, fmt.Errorf("manifest: %w: %w", ErrInvalid, err)
	}
	if m.Format != formatName || m.Version != formatVersion {
		return nil, fmt.Errorf("format %.40q version %d: %w", m.Format, m.Version, ErrInvalid)
	}
	created, err := time.Parse(time.RFC3339, m.Created)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w: %w", ErrInvalid, err)
	}
	last := ""
	for _, f := range m.Files {
		if err := checkName(f.Name); err != nil {
			return nil, err
		}
		if f.Name <= last {
			return nil, fmt.Errorf("manifest is not sorted at %q: %w", f.Name, ErrInvalid)
		}
		last = f.Name
	}
	return &Contents{
		Kind: m.Kind, ID: m.ID, Created: created, Meta: m.Meta,
		Members: m.Files, Files: make(map[string][]byte, len(m.Files)),
	}, nil
}

func readMember(f *zip.File, limit int64) ([]byte, error) {
	if f.Method != zip.Store || f.UncompressedSize64 != f.CompressedSize64 || f.UncompressedSize64 > uint64(limit) {
		return nil, fmt.Errorf("member %.300q has a size or method that no package has: %w", f.Name, ErrInvalid)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("member %.300q: %w: %w", f.Name, ErrInvalid, err)
	}
	defer r.Close() //nolint:errcheck // memory
	body, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return nil, fmt.Errorf("member %.300q: %w: %w", f.Name, ErrInvalid, err)
	}
	return body, nil
}
