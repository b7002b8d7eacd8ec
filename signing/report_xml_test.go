package signing

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"vanthu/certs-testdata"
	"vanthu/signing/cms"
)

func TestReportXML(t *testing.T) {
	at := time.Date(2021, 6, 1, 8, 0, 0, 0, time.UTC)
	p := newPaper()
	p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.Expired), UnsignedAttributes: stamper(t, certs.TSA, at)}))
	p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 8 0 R]/SigFlags 3>>>>")
	p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[5 0 R 8 0 R]>>")
	p.sign(8, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.OtherOfficial)}))
	r := judge(t, p.Bytes(), VerifyOptions{})
	r.File = "văn bản <1>.pdf"
	data, err := r.XML()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{}
	ids, references := map[string]bool{}, map[string]bool{}
	d := xml.NewDecoder(strings.NewReader(string(data)))
	name := ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			name = x.Name.Local
			for _, a := range x.Attr {
				switch a.Name.Local {
				case "id":
					if ids[a.Value] {
						t.Errorf("identifier %s twice", a.Value)
					}
					ids[a.Value] = true
				case "VOReference":
					references[a.Value] = true
				}
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(x)); s != "" {
				values[name] = append(values[name], s)
			}
		}
	}
	for ref := range references {
		if !ids[ref] {
			t.Errorf("reference to %s, which is not there", ref)
		}
	}
	has := func(name string, want ...string) {
		t.Helper()
		all := strings.Join(values[name], "\n")
		for _, w := range want {
			if !strings.Contains(all, w) {
				t.Errorf("%s has no %q: %q", name, w, values[name])
			}
		}
	}
	has("MainIndication", "urn:etsi:019102:mainindication:total-passed", "urn:etsi:019102:mainindication:indeterminate")
	has("SubIndication", "urn:etsi:019102:subindication:NO_CERTIFICATE_CHAIN_FOUND")
	has("Identifier", PolicyID)
	has("POETime", "2021-06-01T08:00:00Z")
	has("ObjectType", "urn:etsi:019102:validationObject:certificate", "urn:etsi:019102:validationObject:timestamp")
	has("SignersDocumentRef", "văn bản <1>.pdf")
	has("SignatureValue", base64.StdEncoding.EncodeToString(r.Signatures[0].evidence.value))
	has("base64", base64.StdEncoding.EncodeToString(testKey(t, certs.Expired).Certificate.Raw))
	has("SignatureValidationProcessID", "urn:etsi:019102:validationprocess:LTVM")
	if !strings.HasPrefix(string(data), xml.Header) || !strings.Contains(string(data), `xmlns="http://uri.etsi.org/19102/v1.4.1#"`) {
		t.Error(string(data[:200]))
	}
	if _, err := (&Report{}).XML(); !errors.Is(err, ErrNothingToReport) {
		t.Error(err)
	}
}

func TestChangedPages(t *testing.T) {
	p := newPaper()
	p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 14 0 R]/SigFlags 3>>>>")
	p.object(2, "<</Type/Pages/Kids[3 0 R 15 0 R]/Count 2>>")
	p.object(14, "<</FT/Tx/T(so)/V(1)/Type/Annot/Subtype/Widget/P 15 0 R/Rect[50 700 150 720]>>")
	p.object(15, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 16 0 R/Annots[14 0 R]>>")
	p.object(16, "<</Length 14>>stream\nBT (two) Tj ET\nendstream")
	p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC)}))
	end := p.Len()
	p.object(14, "<</FT/Tx/T(so)/V(2)/Type/Annot/Subtype/Widget/P 15 0 R/Rect[50 700 150 720]>>")
	p.end()
	s := judge(t, p.Bytes(), VerifyOptions{}).Signatures[0]
	if s.LaterChanges != ChangesPermitted || len(s.ChangedPages) != 1 || s.ChangedPages[0] != 2 || s.CoversTo != int64(end) {
		t.Errorf("filled in: %s, pages %v, covers %d of %d", s.LaterChanges, s.ChangedPages, s.CoversTo, end)
	}
	if len(s.Changes) == 0 || s.Changes[0].Object != 14 || s.Changes[0].Page != 2 || !strings.Contains(s.Changes[0].Path, "AcroForm/Fields[1]/V") {
		t.Errorf("changes %+v", s.Changes)
	}
	p.object(4, "<</Length 14>>stream\nBT (six) Tj ET\nendstream")
	p.end()
	s = judge(t, p.Bytes(), VerifyOptions{}).Signatures[0]
	if s.LaterChanges != ChangesForbidden || len(s.ChangedPages) != 2 || s.Changes[0].Outcome != ChangesForbidden || s.Changes[0].Page != 1 {
		t.Errorf("replaced: %s, pages %v, %+v", s.LaterChanges, s.ChangedPages, s.Changes)
	}
}
