package exchange

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"

	"vanthu/exchange/registry"
	"vanthu/signing/cms"
	"vanthu/storage/sqldb"
)

// The names inside an ASiC-E container (ETSI EN 319 162-1 §4.4).
const (
	asicType      = "application/vnd.etsi.asic-e+zip"
	asicManifest  = "META-INF/ASiCManifest.xml"
	asicSignature = "META-INF/signature.p7s"
)

type asicReference struct {
	URI    string `xml:"URI,attr"`
	MIME   string `xml:"MimeType,attr"`
	Method struct {
		Algorithm string `xml:"Algorithm,attr"`
	} `xml:"http://www.w3.org/2000/09/xmldsig# DigestMethod"`
	Value string `xml:"http://www.w3.org/2000/09/xmldsig# DigestValue"`
}

type asicSigReference struct {
	URI  string `xml:"URI,attr"`
	MIME string `xml:"MimeType,attr"`
}

type asicManifestXML struct {
	XMLName    xml.Name         `xml:"http://uri.etsi.org/02918/v1.2.1# ASiCManifest"`
	Signature  asicSigReference `xml:"SigReference"`
	References []asicReference  `xml:"DataObjectReference"`
}

// exported is one file of a signed export.
type exported struct {
	name, mime string
	data       []byte
}

// ExportBook gives a register or handling report of the actor's agency as a signed
// archive: PDF, XLSX and CSV in one ASiC-E container with a CAdES signature of the
// agency over the digests of all of them (ETSI EN 319 162-1 §4.4). The signature is
// by the agency's receipt key.
func (s *Service) ExportBook(ctx context.Context, by registry.Actor, q BookQuery, out io.Writer) error {
	paper, err := s.Book(ctx, by, q)
	if err != nil {
		return err
	}
	var pdf, xlsx, csv bytes.Buffer
	for _, w := range []struct {
		write func(io.Writer) error
		to    *bytes.Buffer
	}{{paper.PDF, &pdf}, {paper.XLSX, &xlsx}, {paper.Parts[0].Table.CSV, &csv}} {
		if err := w.write(w.to); err != nil {
			return fmt.Errorf("writing the register: %w", err)
		}
	}
	files := []exported{{"register.pdf", "application/pdf", pdf.Bytes()}, {"register.csv", "text/csv", csv.Bytes()},
		{"register.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", xlsx.Bytes()}}
	container, err := s.asic(ctx, by.Agency, files)
	if err != nil {
		return err
	}
	now := s.clock()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		f := s.facts(by)
		f["title"], f["year"] = paper.Title, strconv.Itoa(q.Year)
		f["digest"] = fmt.Sprintf("%x", sha256.Sum256(container))
		return s.evidence(ctx, tx, "register.exported", string(by.Agency), now, by, f)
	})
	if err != nil {
		return storageError("recording an export", err)
	}
	_, err = out.Write(container)
	return err
}

// asic makes an ASiC-E container signed by an agency of this hub.
func (s *Service) asic(ctx context.Context, agency registry.AgencyID, files []exported) ([]byte, error) {
	key, err := s.cfg.ReceiptKey(ctx, agency)
	if err != nil {
		return nil, fmt.Errorf("receipt key of %s: %w", agency, err)
	}
	manifest := asicManifestXML{Signature: asicSigReference{asicSignature, "application/pkcs7-signature"}}
	for _, f := range files {
		r := asicReference{URI: f.name, MIME: f.mime}
		sum := sha256.Sum256(f.data)
		r.Method.Algorithm, r.Value = "http://www.w3.org/2001/04/xmlenc#sha256", base64.StdEncoding.EncodeToString(sum[:])
		manifest.References = append(manifest.References, r)
	}
	text, err := xml.MarshalIndent(manifest, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	text = append([]byte(xml.Header), text...)
	now := s.clock()
	signature, err := cms.Sign(cms.SignRequest{Key: key, Digest: digest(text), SigningTime: &now})
	if err != nil {
		return nil, fmt.Errorf("signing the export: %w", err)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	all := append([]exported{{"mimetype", "", []byte(asicType)}}, files...) // first and stored: EN 319 162-1 §A.1
	all = append(all, exported{asicManifest, "", text}, exported{asicSignature, "", signature})
	for i, f := range all {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		if i == 0 {
			h.Method = zip.Store
		}
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write(f.data)
		}
		if err != nil {
			return nil, fmt.Errorf("writing the container: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("closing the container: %w", err)
	}
	return out.Bytes(), nil
}
