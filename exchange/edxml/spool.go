package edxml

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// spoolMemory is how much of an attachment is kept in memory before it goes to a temporary file.
const spoolMemory = 256 << 10

// spool keeps the bytes of one attachment: in memory while they are few, else in a temporary file of the packet.
type spool struct {
	p      *Packet
	dir    string
	limit  int64
	memory []byte
	file   *os.File
	size   int64
	sum    hash.Hash
}

func newSpool(p *Packet, dir string, limit int64) *spool {
	return &spool{p: p, dir: dir, limit: limit, sum: sha256.New()}
}

// Write keeps bytes; over the limit it is a *Refusal.
func (s *spool) Write(data []byte) (int, error) {
	if s.size+int64(len(data)) > s.limit {
		return 0, refuse(TooLarge, "Attachment", "is larger than %d bytes", s.limit)
	}
	if s.file == nil && len(s.memory)+len(data) > spoolMemory {
		file, err := os.CreateTemp(s.dir, "edxml-*")
		if err != nil {
			return 0, fmt.Errorf("making a temporary file for an attachment: %w", err)
		}
		s.p.spools = append(s.p.spools, file)
		s.file = file
		if _, err := file.Write(s.memory); err != nil {
			return 0, fmt.Errorf("writing an attachment to its temporary file: %w", err)
		}
		s.memory = nil
	}
	if s.file != nil {
		if _, err := s.file.Write(data); err != nil {
			return 0, fmt.Errorf("writing an attachment to its temporary file: %w", err)
		}
	} else {
		s.memory = append(s.memory, data...)
	}
	s.sum.Write(data)
	s.size += int64(len(data))
	return len(data), nil
}

func (s *spool) at() io.ReaderAt {
	if s.file != nil {
		return s.file
	}
	return bytes.NewReader(s.memory)
}

func (s *spool) open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.at(), 0, s.size)), nil
}

func (s *spool) digest() string { return hex.EncodeToString(s.sum.Sum(nil)) }

// unwrap undoes the zip that writers put around files other than pdf, doc, docx and zip: the first entry is the file.
func (s *spool) unwrap(name string, limits Limits) (*spool, error) {
	archive, err := zip.NewReader(s.at(), s.size)
	if err != nil {
		return nil, refuse(BadZip, quoted(name), "is said to be zipped but is no zip: %v", err)
	}
	if len(archive.File) > limits.ZipEntries {
		return nil, refuse(BadZip, quoted(name), "has %d entries, the limit is %d", len(archive.File), limits.ZipEntries)
	}
	for _, entry := range archive.File {
		if unsafeName(entry.Name) && !strings.HasSuffix(entry.Name, "/") || strings.Contains(entry.Name, "..") {
			return nil, refuse(UnsafeName, quoted(name), "holds an entry whose name leaves its folder")
		}
	}
	for _, entry := range archive.File {
		if entry.FileInfo().IsDir() {
			continue
		}
		return s.inflate(entry, name, limits)
	}
	return nil, refuse(BadZip, quoted(name), "is an empty zip")
}

func (s *spool) inflate(entry *zip.File, name string, limits Limits) (*spool, error) {
	if entry.Flags&1 != 0 {
		return nil, refuse(BadZip, quoted(name), "is encrypted")
	}
	limit := min(limits.Attachment, max(s.size*limits.ZipRatio, 1<<20))
	in, err := entry.Open()
	if err != nil {
		return nil, refuse(BadZip, quoted(name), "cannot be unzipped: %v", err)
	}
	out := newSpool(s.p, s.dir, limit)
	if _, err = io.Copy(out, in); err != nil { //nolint:gosec // G110: the spool refuses what is over its limit
		if AsRefusal(err) != nil {
			return nil, refuse(BadZip, quoted(name), "unpacks to more than %d bytes", limit)
		}
		return nil, refuse(BadZip, quoted(name), "cannot be unzipped: %v", err)
	}
	if err := in.Close(); err != nil {
		return nil, refuse(BadZip, quoted(name), "cannot be unzipped: %v", err)
	}
	return out, nil
}

func quoted(name string) string { return fmt.Sprintf("attachment %q", name) }

// unsafeName tells whether a file name is more than a name: a path, a drive, a device of one, or a control character.
func unsafeName(name string) bool {
	if name == "." || name == ".." || strings.ContainsAny(name, "/\\") || filepath.VolumeName(name) != "" {
		return true
	}
	if len(name) > 1 && name[1] == ':' {
		return true
	}
	return strings.ContainsFunc(name, func(r rune) bool {
		return r < ' ' || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	})
}
