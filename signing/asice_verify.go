package signing

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"vanthu/signing/pki"
)

// escapeName writes a path as a relative URI reference.
func escapeName(name string) string { return (&url.URL{Path: name}).EscapedPath() }

// VerifyContainer judges every signature of an ASiC-E container with CAdES signatures, and that each file in it is
// signed by all of them. names are the files that the container carries. An error is I/O, the end of ctx, or ErrContainer
// for bytes that are no such container or are over the limits; bad signatures and changed files are results.
func VerifyContainer(ctx context.Context, r io.ReaderAt, size int64, o VerifyOptions) (report *Report, names []string, err error) {
	c, err := openContainer(ctx, r, size, o.MaxSize)
	if err != nil {
		return nil, nil, err
	}
	for name := range c.files {
		if name != asicMimetype && !strings.HasPrefix(name, asicFolder) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	report = &Report{Verdict: TotalPassed, Integrity: Intact, Signatures: []Signature{}}
	for _, name := range slices.Sorted(c.manifests()) {
		if err := c.judge(name, names, report, o); err != nil {
			return nil, nil, err
		}
	}
	if len(report.Signatures) == 0 && report.Verdict == TotalPassed {
		report.Verdict, report.Integrity = NoSignature, Unclear
	}
	return report, names, nil
}

// container is a zip file within the limits.
type container struct {
	ctx   context.Context
	files map[string]*zip.File
	left  int64 // bytes that may still be unpacked
}

// openContainer reads the list of files. It is bounded before it is read: its place and length stand at the end of the
// file, and nothing may stand before or behind it that other programs would read differently.
func openContainer(ctx context.Context, r io.ReaderAt, size, limit int64) (*container, error) {
	if limit <= 0 {
		limit = maxASiCSize
	}
	const endLength = 22
	tail := make([]byte, min(size, endLength+1<<16))
	if n, err := r.ReadAt(tail, size-int64(len(tail))); n != len(tail) {
		return nil, fmt.Errorf("reading the container: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if size > limit || at < 0 || at+endLength > len(tail) {
		return nil, fmt.Errorf("no list of files within %d bytes: %w", limit, ErrContainer)
	}
	end := tail[at:]
	count, length, from := binary.LittleEndian.Uint16(end[10:]), binary.LittleEndian.Uint32(end[12:]), binary.LittleEndian.Uint32(end[16:])
	whole := size - int64(len(tail)) + int64(at)
	if int(count) > maxASiCFiles || length > maxASiCDirectory || int64(from)+int64(length) != whole ||
		int(binary.LittleEndian.Uint16(end[20:])) != len(end)-endLength {
		return nil, fmt.Errorf("%d files, their list of %d bytes: %w", count, length, ErrContainer)
	}
	z, err := zip.NewReader(io.NewSectionReader(r, 0, size), size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContainer, err)
	}
	c := &container{ctx: ctx, files: map[string]*zip.File{}, left: limit}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") && f.UncompressedSize64 == 0 {
			continue
		}
		if c.files[f.Name] != nil || !plainName(f.Name) {
			return nil, fmt.Errorf("file name %q: %w", f.Name, ErrContainer)
		}
		c.files[f.Name] = f
	}
	kind, err := c.read(asicMimetype, 256)
	if err != nil || strings.TrimSpace(string(kind)) != asicType {
		return nil, fmt.Errorf("its type is %q: %w", kind, errors.Join(ErrContainer, err))
	}
	return c, nil
}

// manifests lists the manifests of signatures.
func (c *container) manifests() func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range c.files {
			if strings.HasPrefix(name, asicFolder+"ASiCManifest") && strings.HasSuffix(name, ".xml") && !yield(name) {
				return
			}
		}
	}
}

// open unpacks a file under all limits.
func (c *container) open(name string, w io.Writer, limit int64) error {
	f := c.files[name]
	if f == nil {
		return fmt.Errorf("no file %q: %w", name, ErrContainer)
	}
	limit = min(limit, c.left, int64(f.CompressedSize64)*maxASiCRatio+1<<16)
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("reading %q: %w: %w", name, ErrContainer, err)
	}
	n, err := io.Copy(w, io.LimitReader(stoppable{c.ctx, in}, limit+1))
	c.left -= n
	switch err = errors.Join(err, in.Close()); {
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case err != nil:
		return fmt.Errorf("reading %q: %w: %w", name, ErrContainer, err)
	case n > limit:
		return fmt.Errorf("%q is over the limit of %d bytes: %w", name, limit, ErrContainer)
	}
	return nil
}

func (c *container) read(name string, limit int64) ([]byte, error) {
	var b bytes.Buffer
	err := c.open(name, &b, limit)
	return b.Bytes(), err
}

// judge takes one manifest with its signature into the report.
func (c *container) judge(name string, names []string, report *Report, o VerifyOptions) error {
	raw, err := c.read(name, maxASiCManifest)
	if err != nil {
		return err
	}
	manifest, err := parseManifest(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	signature, err := c.read(manifest.SigRef.URI, maxASiCSignature)
	if err != nil {
		return err
	}
	one, err := VerifyDetached(c.ctx, bytes.NewReader(raw), signature, o)
	if err != nil {
		return err
	}
	if one.Verdict == TotalFailed && len(one.Signatures) == 0 {
		report.Verdict, report.Integrity = TotalFailed, Altered
		report.Reasons, report.ReasonsVI = append(report.Reasons, one.Reasons...), append(report.ReasonsVI, one.ReasonsVI...)
		return nil
	}
	reasons, err := c.compare(manifest, names)
	if err != nil {
		return err
	}
	for _, s := range one.Signatures {
		s.Field = manifest.SigRef.URI
		report.add(s.with(reasons))
	}
	return nil
}

// with adds reasons that concern the signed files: a changed one is a failure, an unsigned one a doubt.
func (s Signature) with(reasons pki.Reasons) Signature {
	if len(reasons) == 0 {
		return s
	}
	en, vi := reasonTexts(reasons)
	s.Reasons, s.ReasonsVI = append(en, s.Reasons...), append(vi, s.ReasonsVI...)
	indication, sub := indication(reasons)
	switch {
	case indication == TotalFailed:
		s.Integrity = Altered
	case s.Integrity == Intact:
		s.Integrity = Unclear
	}
	if s.Indication != TotalFailed {
		s.Indication, s.SubIndication = indication, sub
	}
	return s
}

// compare digests every file that a manifest names, and finds those that it does not name.
func (c *container) compare(m *manifestXML, names []string) (pki.Reasons, error) {
	var reasons pki.Reasons
	named := map[string]bool{}
	for _, ref := range m.Objects {
		name, err := url.PathUnescape(ref.URI)
		if err != nil || named[name] {
			return nil, fmt.Errorf("the manifest names %q: %w", ref.URI, ErrContainer)
		}
		named[name] = true
		want, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(ref.Value), ""))
		h := map[string]crypto.Hash{sha256URI: crypto.SHA256, sha512URI: crypto.SHA512}[ref.Method.Algorithm]
		switch {
		case err != nil || h == 0:
			reasons = append(reasons, pki.Reason{Code: pki.CodeAlgorithm, Sub: pki.Generic, Detail: name})
			continue
		case c.files[name] == nil:
			reasons = append(reasons, pki.Reason{Code: pki.CodeNoContent, Sub: pki.SignedDataNotFound, Detail: name})
			continue
		}
		sum := h.New()
		if err := c.open(name, sum, c.left); err != nil {
			return nil, err
		}
		if subtle.ConstantTimeCompare(want, sum.Sum(nil)) != 1 {
			reasons = append(reasons, pki.Reason{Code: pki.CodeDigest, Sub: pki.HashFailure, Detail: name})
		}
	}
	for _, name := range names {
		if !named[name] {
			reasons = append(reasons, pki.Reason{Code: pki.CodeNoContent, Sub: pki.SignedDataNotFound, Detail: name})
		}
	}
	return reasons, nil
}

// parseManifest reads a manifest: no DOCTYPE, no processing instruction but the declaration, bounded depth.
func parseManifest(raw []byte) (*manifestXML, error) {
	d := xml.NewDecoder(bytes.NewReader(raw))
	for depth := 0; ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrContainer, err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		case xml.Directive:
			return nil, fmt.Errorf("it has a DOCTYPE: %w", ErrContainer)
		case xml.ProcInst:
			if t.Target != "xml" {
				return nil, fmt.Errorf("it has a processing instruction: %w", ErrContainer)
			}
		}
		if depth > 16 {
			return nil, fmt.Errorf("it is nested too deep: %w", ErrContainer)
		}
	}
	m := &manifestXML{}
	if err := xml.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContainer, err)
	}
	if len(m.Objects) == 0 || len(m.Objects) > maxASiCFiles || !strings.HasPrefix(m.SigRef.URI, asicFolder) {
		return nil, fmt.Errorf("it names %d files and the signature %q: %w", len(m.Objects), m.SigRef.URI, ErrContainer)
	}
	return m, nil
}
