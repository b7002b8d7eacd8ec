package signing

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"vanthu/signing/keys"
)

// Names and types of ASiC-E containers with CAdES signatures (ETSI EN 319 162-1 §4.4, annex A).
const (
	asicType      = "application/vnd.etsi.asic-e+zip"
	asicMimetype  = "mimetype"
	asicFolder    = "META-INF/"
	asicManifest  = asicFolder + "ASiCManifest001.xml"
	asicSignature = asicFolder + "signature001.p7s"
	sha256URI     = "http://www.w3.org/2001/04/xmlenc#sha256"
	sha512URI     = "http://www.w3.org/2001/04/xmlenc#sha512"
)

// Bounds of containers: they come from anyone.
const (
	maxASiCFiles     = 1000
	maxASiCDirectory = 4 << 20  // bytes of the list of files at the end
	maxASiCManifest  = 1 << 20  // bytes of one manifest
	maxASiCSignature = 16 << 20 // bytes of one signature
	maxASiCSize      = 1 << 30  // bytes of all files, unpacked; VerifyOptions.MaxSize takes its place
	maxASiCRatio     = 200      // unpacked bytes for each packed one
)

// ErrContainer is wrapped when bytes are no ASiC-E container with CAdES signatures, or one over the limits.
var ErrContainer = errors.New("signing: not a usable ASiC-E container")

// ContainerFile is one file of a container.
type ContainerFile struct {
	Name    string // its path in the container, with /; not under META-INF
	Type    string // media type; "" is found from the name
	Content io.ReaderAt
	Size    int64
}

// SignContainer writes an ASiC-E container (gói tệp ký số; ETSI EN 319 162-1) with the files and one CAdES signature
// over all of them to dst. The files are read twice, never held in memory. Names that are empty, doubled, absolute or
// lead out of the container give ErrContainer.
func SignContainer(ctx context.Context, dst io.Writer, files []ContainerFile, key *keys.Key, o DetachedOptions) error {
	manifest, err := makeManifest(ctx, files)
	if err != nil {
		return err
	}
	signature, err := SignDetached(ctx, bytes.NewReader(manifest), key, o)
	if err != nil {
		return err
	}
	at := o.At
	if at.IsZero() {
		at = time.Now()
	}
	z := zip.NewWriter(dst)
	// A reader tells the type by the first file: stored, and without extra fields (§A.1).
	w, err := z.CreateRaw(&zip.FileHeader{Name: asicMimetype, Method: zip.Store, CRC32: crc32.ChecksumIEEE([]byte(asicType)),
		CompressedSize64: uint64(len(asicType)), UncompressedSize64: uint64(len(asicType))})
	if err == nil {
		_, err = io.WriteString(w, asicType)
	}
	if err != nil {
		return fmt.Errorf("writing the type of the container: %w", err)
	}
	for _, f := range files {
		if err := addFile(z, f.Name, at, stoppable{ctx, io.NewSectionReader(f.Content, 0, f.Size)}); err != nil {
			return err
		}
	}
	if err := addFile(z, asicManifest, at, bytes.NewReader(manifest)); err != nil {
		return err
	}
	if err := addFile(z, asicSignature, at, bytes.NewReader(signature)); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("writing the container: %w", err)
	}
	return nil
}

// addFile writes one file. It is deflated, as its size stands behind it: readers that go through a container from the
// front (java.util.zip.ZipInputStream, and so EU DSS) take no stored file of that kind.
func addFile(z *zip.Writer, name string, at time.Time, r io.Reader) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at})
	if err == nil {
		_, err = io.Copy(w, r)
	}
	if err != nil {
		return fmt.Errorf("writing %q into the container: %w", name, err)
	}
	return nil
}

// manifestXML is META-INF/ASiCManifest*.xml (ETSI EN 319 162-1 annex A.4).
type manifestXML struct {
	XMLName xml.Name       `xml:"http://uri.etsi.org/02918/v1.2.1# ASiCManifest"`
	SigRef  manifestSigRef `xml:"http://uri.etsi.org/02918/v1.2.1# SigReference"`
	Objects []manifestRef  `xml:"http://uri.etsi.org/02918/v1.2.1# DataObjectReference"`
}

type manifestSigRef struct {
	URI  string `xml:"URI,attr"`
	Type string `xml:"MimeType,attr,omitempty"`
}

type manifestRef struct {
	URI    string         `xml:"URI,attr"`
	Type   string         `xml:"MimeType,attr,omitempty"`
	Method manifestMethod `xml:"http://www.w3.org/2000/09/xmldsig# DigestMethod"`
	Value  string         `xml:"http://www.w3.org/2000/09/xmldsig# DigestValue"`
}

type manifestMethod struct {
	Algorithm string `xml:"Algorithm,attr"`
}

// makeManifest digests the files.
func makeManifest(ctx context.Context, files []ContainerFile) ([]byte, error) {
	if len(files) == 0 || len(files) > maxASiCFiles-4 {
		return nil, fmt.Errorf("%d files: %w", len(files), ErrContainer)
	}
	m := manifestXML{SigRef: manifestSigRef{URI: asicSignature, Type: "application/pkcs7-signature"}}
	seen := map[string]bool{asicMimetype: true}
	for _, f := range files {
		if !plainName(f.Name) || strings.HasPrefix(f.Name, asicFolder) || seen[f.Name] {
			return nil, fmt.Errorf("a file cannot be named %q: %w", f.Name, ErrContainer)
		}
		seen[f.Name] = true
		if f.Type == "" {
			f.Type = mime.TypeByExtension(path.Ext(f.Name))
		}
		sum := crypto.SHA256.New()
		if n, err := io.Copy(sum, stoppable{ctx, io.NewSectionReader(f.Content, 0, f.Size)}); err != nil || n != f.Size {
			return nil, fmt.Errorf("reading %q: %w", f.Name, errors.Join(err, io.ErrUnexpectedEOF))
		}
		m.Objects = append(m.Objects, manifestRef{URI: escapeName(f.Name), Type: f.Type, Method: manifestMethod{sha256URI},
			Value: base64.StdEncoding.EncodeToString(sum.Sum(nil))})
	}
	out, err := xml.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing the manifest: %w", err)
	}
	return append([]byte(xml.Header), out...), nil
}

// plainName tells a path that stays in the container and that every program reads the same.
func plainName(name string) bool {
	return name != "" && len(name) < 1024 && utf8.ValidString(name) && path.Clean(name) == name && !path.IsAbs(name) &&
		name != "." && name != ".." && !strings.HasPrefix(name, "../") && !strings.ContainsAny(name, "\\\x00:\r\n")
}
