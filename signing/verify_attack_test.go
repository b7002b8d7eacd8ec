package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vanthu/certs-testdata"
	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
)

// attack is a file that must not pass, and how it is refused.
type attack struct {
	name      string
	data      func(t *testing.T) []byte
	options   func(t *testing.T) VerifyOptions // nil: the trust of the tests
	verdict   Verdict
	sub       SubIndication
	integrity Integrity
}

// certified is a paper whose signature certifies at the given level.
func certified(t *testing.T, level int) *paper {
	t.Helper()
	p := newPaper()
	p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 14 0 R]/SigFlags 3>>/Perms<</DocMDP 6 0 R>>>>")
	p.object(14, "<</FT/Tx/T(so)/V(1)/Type/Annot/Subtype/Widget/P 3 0 R/Rect[50 700 150 720]>>")
	p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[5 0 R 14 0 R]>>")
	p.signWith(5, "ETSI.CAdES.detached", fmt.Sprintf("/Reference[<</Type/SigRef/TransformMethod/DocMDP/TransformParams<</Type/TransformParams/P %d/V/1.2>>>>]", level),
		signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC)}))
	return p
}

// later appends a revision to a good paper.
func later(write func(p *paper)) func(t *testing.T) []byte {
	return func(t *testing.T) []byte {
		t.Helper()
		p := good(t, certs.OfficialEC)
		write(p)
		p.end()
		return p.Bytes()
	}
}

// spoilt changes bytes of a good paper; the length stays.
func spoilt(old, now string) func(t *testing.T) []byte {
	return func(t *testing.T) []byte {
		t.Helper()
		data := good(t, certs.OfficialEC).Bytes()
		if !bytes.Contains(data, []byte(old)) || len(old) != len(now) {
			t.Fatalf("cannot replace %q", old)
		}
		return bytes.Replace(data, []byte(old), []byte(now), 1)
	}
}

// by signs a paper with a request of its own.
func by(subFilter string, request func(t *testing.T) cms.SignRequest) func(t *testing.T) []byte {
	return func(t *testing.T) []byte {
		t.Helper()
		p := newPaper()
		p.sign(5, subFilter, signedBy(t, request(t)))
		return p.Bytes()
	}
}

const stampLook = "<</Type/XObject/Subtype/Form/BBox[0 0 595 842]/Length 3>>stream\nq Q\nendstream"

// TestAttackCatalog rebuilds every attack that a library for signing PDF files was seen to accept (numbers V1 to V16, A to L
// of the study), and the published classes: universal forgery, incremental saving, wrapping (2019), shadow (2020), evil
// annotation and sneaky signature (2021). README.md names the subtest of each class.
func TestAttackCatalog(t *testing.T) {
	attacks := slices.Concat(signerAttacks(), rangeAttacks(), changeAttacks(), timeAttacks(), revocationAttacks())
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			o := VerifyOptions{}
			if a.options != nil {
				o = a.options(t)
			}
			expect(t, judge(t, a.data(t), o), a.verdict, a.sub, a.integrity)
		})
	}
}

// signerAttacks: whose signature is it?
func signerAttacks() []attack {
	return []attack{
		{"V1-A victim's certificate first in the CMS", by("adbe.pkcs7.detached", func(t *testing.T) cms.SignRequest {
			stranger, victim := testKey(t, certs.OtherOfficial), testKey(t, certs.OfficialEC)
			forged := &keys.Key{Signer: stranger.Signer, Certificate: stranger.Certificate, Chain: append([]*x509.Certificate{victim.Certificate}, victim.Chain...)}
			return cms.SignRequest{Key: forged, OmitESS: true}
		}), nil, Indeterminate, NoCertificateChainFound, Intact},
		{"V1 victim's certificate named as signer", func(t *testing.T) []byte {
			p := newPaper()
			p.sign(5, "ETSI.CAdES.detached", func(digest []byte) []byte {
				return inTheNameOf(t, signedBy(t, cms.SignRequest{Key: testKey(t, certs.OtherOfficial)})(digest), signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC)})(digest))
			})
			return p.Bytes()
		}, nil, TotalFailed, SigCryptoFailure, Altered},
		{"V2-B garbage CMS", spoilt("/Contents <30", "/Contents <ff"), nil, TotalFailed, FormatFailure, Altered},
		{"V2-B2 empty CMS", func(t *testing.T) []byte {
			p := newPaper()
			p.sign(5, "ETSI.CAdES.detached", func([]byte) []byte { return []byte{0x30, 0} })
			return p.Bytes()
		}, nil, TotalFailed, FormatFailure, Altered},
		{"USF no signature value at all", func(t *testing.T) []byte {
			p := newPaper()
			p.sign(5, "ETSI.CAdES.detached", func([]byte) []byte { return nil })
			return p.Bytes()
		}, nil, TotalFailed, FormatFailure, Altered},
		{"two signers in one signature", func(t *testing.T) []byte {
			p := newPaper()
			p.sign(5, "ETSI.CAdES.detached", func(digest []byte) []byte {
				return twoSigners(t, signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC)})(digest), signedBy(t, cms.SignRequest{Key: testKey(t, certs.SealRSA)})(digest))
			})
			return p.Bytes()
		}, nil, Indeterminate, SigConstraintsFailure, Intact},
		{"V16 self-signed certificate brought along", by("ETSI.CAdES.detached", func(t *testing.T) cms.SignRequest {
			own, err := pki.NewAuthority(testKey(t, certs.OfficialEC).Certificate.Subject, pki.Options{Now: func() time.Time { return judgedAt().AddDate(-1, 0, 0) }})
			if err != nil {
				t.Fatal(err)
			}
			return cms.SignRequest{Key: own.Key()}
		}), nil, Indeterminate, NoCertificateChainFound, Intact},
	}
}

// rangeAttacks: which bytes are signed?
func rangeAttacks() []attack {
	return []attack{
		{"V4-E byte range of twenty bytes", func(t *testing.T) []byte {
			return rewriteRange(t, "[0 20 20 0]")
		}, nil, TotalFailed, FormatFailure, Altered},
		{"V4-E2 two numbers", func(t *testing.T) []byte { return rewriteRange(t, "[0 20]") }, nil, TotalFailed, FormatFailure, Altered},
		{"USF no byte range", spoilt("/ByteRange [0 ", "/ByteRangf [0 "), nil, TotalFailed, FormatFailure, Altered},
		{"USF negative byte range", func(t *testing.T) []byte { return rewriteRange(t, "[0 -1 1 1]") }, nil, TotalFailed, FormatFailure, Altered},
		{"byte range starts later", spoilt("/ByteRange [0 ", "/ByteRange [3 "), nil, TotalFailed, FormatFailure, Altered},
		{"SWA dictionary replaced", later(func(p *paper) {
			p.object(6, "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/ByteRange[0 1 2 3]/Contents<00>>>")
		}), nil, TotalFailed, FormatFailure, Altered},
		{"SWA reason added to the dictionary", func(t *testing.T) []byte {
			p := good(t, certs.OfficialEC)
			data := p.Bytes()
			start := bytes.Index(data, []byte("6 0 obj\n")) + len("6 0 obj\n")
			dict := string(data[start : start+bytes.Index(data[start:], []byte("\nendobj"))])
			p.object(6, strings.Replace(dict, "/Filter/", "/Reason(Da phe duyet)/Filter/", 1))
			p.end()
			return p.Bytes()
		}, nil, TotalFailed, FormatFailure, Altered},
		{"ISA bytes without a revision", func(t *testing.T) []byte {
			return append(good(t, certs.OfficialEC).Bytes(), "4 0 obj\n<</Length 14>>stream\nBT (two) Tj ET\nendstream\nendobj\n"...)
		}, nil, TotalFailed, FormatFailure, Altered},
		{"ISA trailer without cross-references", func(t *testing.T) []byte {
			return append(good(t, certs.OfficialEC).Bytes(), "4 0 obj\n<</Length 14>>stream\nBT (two) Tj ET\nendstream\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n"...)
		}, nil, TotalFailed, FormatFailure, Altered},
	}
}

// rewriteRange writes another byte range over that of a good paper, filled with spaces.
func rewriteRange(t *testing.T, now string) []byte {
	t.Helper()
	data := good(t, certs.OfficialEC).Bytes()
	at := bytes.Index(data, []byte("/ByteRange [")) + len("/ByteRange ")
	end := at + bytes.IndexByte(data[at:], ']') + 1
	copy(data[at:end], now+strings.Repeat(" ", end-at-len(now)))
	return data
}

// changeAttacks: what was added later?
func changeAttacks() []attack {
	stamp := func(p *paper, page string) {
		p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots["+page+" 15 0 R]>>")
		p.object(15, "<</Type/Annot/Subtype/Stamp/Rect[0 0 595 842]/P 3 0 R/F 4/AP<</N 16 0 R>>>>")
		p.object(16, stampLook)
		p.end()
	}
	return []attack{
		{"V3-D0-ISA page text replaced", later(func(p *paper) { p.object(4, "<</Length 14>>stream\nBT (two) Tj ET\nendstream") }), nil, TotalFailed, FormatFailure, Altered},
		{"D2 content of a certified page replaced", func(t *testing.T) []byte {
			p := certified(t, 2)
			p.object(4, "<</Length 14>>stream\nBT (two) Tj ET\nendstream")
			p.end()
			return p.Bytes()
		}, nil, TotalFailed, FormatFailure, Altered},
		{"V10-D6-EAA stamp over a page certified for forms", func(t *testing.T) []byte {
			p := certified(t, 2)
			stamp(p, "5 0 R 14 0 R")
			return p.Bytes()
		}, nil, TotalFailed, FormatFailure, Altered},
		{"EAA stamp over a page certified for annotations", func(t *testing.T) []byte {
			p := certified(t, 3)
			stamp(p, "5 0 R 14 0 R")
			return p.Bytes()
		}, nil, Indeterminate, Generic, Unclear},
		{"EAA stamp over a page that is signed only", later(func(p *paper) { stamp(p, "5 0 R") }), nil, Indeterminate, Generic, Unclear},
		{"SSA signature field over a certified page", func(t *testing.T) []byte {
			p := certified(t, 2)
			p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 14 0 R 17 0 R]/SigFlags 3>>/Perms<</DocMDP 6 0 R>>>>")
			p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[5 0 R 14 0 R 17 0 R]>>")
			p.object(17, "<</FT/Sig/T(Sneaky)/Type/Annot/Subtype/Widget/Rect[0 0 595 842]/P 3 0 R/F 132/V 18 0 R/AP<</N 16 0 R>>>>")
			p.object(18, "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/ByteRange[0 1 2 3]/Contents<00>>>")
			p.object(16, stampLook)
			p.end()
			return p.Bytes()
		}, nil, TotalFailed, FormatFailure, Altered},
		{"field filled in where nothing may change", func(t *testing.T) []byte {
			p := certified(t, 1)
			p.object(14, "<</FT/Tx/T(so)/V(2)/Type/Annot/Subtype/Widget/P 3 0 R/Rect[50 700 150 720]>>")
			p.end()
			return p.Bytes()
		}, nil, TotalFailed, FormatFailure, Altered},
		{"V15 permissions taken away", func(t *testing.T) []byte {
			p := certified(t, 2)
			p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 14 0 R]/SigFlags 3>>>>")
			p.end()
			return p.Bytes()
		}, nil, TotalFailed, FormatFailure, Altered},
		{"shadow hide: an overlay removed", shadow(func(p *paper) {
			p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[5 0 R]>>")
		}), nil, TotalFailed, FormatFailure, Altered},
		{"shadow hide: an overlay emptied", shadow(func(p *paper) {
			p.object(16, "<</Type/XObject/Subtype/Form/BBox[0 0 0 0]/Length 0>>stream\n\nendstream")
		}), nil, Indeterminate, Generic, Unclear},
		{"shadow replace: a font redefined", shadow(func(p *paper) { p.object(11, "<</Type/Font/Subtype/Type1/BaseFont/Symbol>>") }), nil, TotalFailed, FormatFailure, Altered},
		{"shadow replace: a field shown otherwise", shadow(func(p *paper) {
			p.object(13, "<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Length 8>>stream\n(999) Tj\nendstream")
		}), nil, TotalFailed, FormatFailure, Altered},
		{"shadow hide and replace: an object that was prepared comes into use", shadow(func(p *paper) {
			p.object(2, "<</Type/Pages/Kids[19 0 R]/Count 1>>")
		}), nil, TotalFailed, FormatFailure, Altered},
	}
}

// shadow is a paper that was prepared before it was signed (shadow documents): an overlay, a font, a second page.
func shadow(attack func(p *paper)) func(t *testing.T) []byte {
	return func(t *testing.T) []byte {
		t.Helper()
		p := newPaper()
		p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 12 0 R]/SigFlags 3>>>>")
		p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 11 0 R>>>>/Annots[5 0 R 15 0 R 12 0 R]>>")
		p.object(11, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
		p.object(12, "<</FT/Tx/T(tien)/V(100)/Type/Annot/Subtype/Widget/P 3 0 R/Rect[50 700 150 720]/AP<</N 13 0 R>>>>")
		p.object(13, "<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Length 8>>stream\n(100) Tj\nendstream")
		p.object(15, "<</Type/Annot/Subtype/Stamp/Rect[0 0 595 842]/P 3 0 R/F 4/AP<</N 16 0 R>>>>")
		p.object(16, stampLook)
		p.object(19, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 16 0 R>>")
		p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialEC)}))
		attack(p)
		p.end()
		return p.Bytes()
	}
}

// timeAttacks: is it older than it is?
func timeAttacks() []attack {
	within := time.Date(2021, 6, 1, 8, 0, 0, 0, time.UTC)
	stamped := func(change func(token []byte) []byte) func(t *testing.T) []byte {
		return by("ETSI.CAdES.detached", func(t *testing.T) cms.SignRequest {
			stamp := stamper(t, certs.OtherTSA, within)
			return cms.SignRequest{Key: testKey(t, certs.Expired), UnsignedAttributes: func(sig []byte) ([]cms.Attribute, error) {
				attributes, err := stamp(sig)
				if err == nil && change != nil {
					attributes[0].Values[0] = change(attributes[0].Values[0])
				}
				return attributes, err
			}}
		})
	}
	return []attack{
		{"V5-C0 expired, no time stamp", by("ETSI.CAdES.detached", func(t *testing.T) cms.SignRequest {
			return cms.SignRequest{Key: testKey(t, certs.Expired)}
		}), nil, Indeterminate, OutOfBoundsNoPOE, Intact},
		{"V5-C3 backdated by a time stamp of one's own", stamped(nil), nil, Indeterminate, OutOfBoundsNoPOE, Intact},
		{"V5-C2 time stamp with a wrong signature", stamped(func(token []byte) []byte {
			out := slices.Clone(token)
			out[len(out)-1] ^= 1
			return out
		}), nil, Indeterminate, SigConstraintsFailure, Altered},
		{"V5-C time stamp without certificates", func(t *testing.T) []byte {
			p := newPaper()
			p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: testKey(t, certs.Expired), UnsignedAttributes: func(sig []byte) ([]cms.Attribute, error) {
				h := crypto.SHA256.New()
				h.Write(sig)
				return []cms.Attribute{cms.TimestampAttribute(bareToken(t, testKey(t, certs.OtherTSA), h.Sum(nil), within))}, nil
			}}))
			return p.Bytes()
		}, nil, Indeterminate, SigConstraintsFailure, Unclear},
	}
}

// revocationAttacks: was the certificate revoked?
func revocationAttacks() []attack {
	required := func(t *testing.T) VerifyOptions {
		t.Helper()
		return VerifyOptions{Trust: &pki.Trust{Roots: certs.Roots(t)}, RequireRevocation: true}
	}
	return []attack{
		{"V6-F0 revoked", by("ETSI.CAdES.detached", func(t *testing.T) cms.SignRequest {
			return cms.SignRequest{Key: testKey(t, certs.Revoked)}
		}), nil, TotalFailed, Revoked, Intact},
		{"V6-F own CRL brought along", by("ETSI.CAdES.detached", func(t *testing.T) cms.SignRequest {
			key := testKey(t, certs.Revoked)
			return cms.SignRequest{Key: key, CRLs: [][]byte{selfMadeCRL(t, key)}}
		}), nil, TotalFailed, Revoked, Intact},
		{"V6-F own CRL and nothing else known", by("ETSI.CAdES.detached", func(t *testing.T) cms.SignRequest {
			key := testKey(t, certs.Revoked)
			return cms.SignRequest{Key: key, CRLs: [][]byte{selfMadeCRL(t, key)}}
		}), required, Indeterminate, TryLater, Intact},
		{"V7-F2 nobody answers", by("ETSI.CAdES.detached", func(t *testing.T) cms.SignRequest {
			return cms.SignRequest{Key: testKey(t, certs.OfficialEC)}
		}), func(t *testing.T) VerifyOptions {
			o := required(t)
			o.Fetcher = pki.NewFetcher(pki.FetchOptions{Hosts: []string{"nobody.invalid"}, Now: judgedAt})
			return o
		}, Indeterminate, TryLater, Intact},
	}
}

// V9-G: nobody is asked on behalf of a stranger's certificate.
func TestAttackSSRF(t *testing.T) {
	asked := atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	stranger, err := pki.NewAuthority(testKey(t, certs.OfficialEC).Certificate.Subject, pki.Options{
		Now: judgedAt, CRLURL: server.URL + "/latest/meta-data", OCSPURL: server.URL + "/latest/meta-data"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := stranger.Issue(pki.IssueRequest{Subject: testKey(t, certs.OfficialEC).Certificate.Subject})
	if err != nil {
		t.Fatal(err)
	}
	data := by("ETSI.CAdES.detached", func(*testing.T) cms.SignRequest { return cms.SignRequest{Key: key} })(t)
	o := VerifyOptions{RequireRevocation: true, Fetcher: pki.NewFetcher(pki.FetchOptions{AllowPrivate: true, Now: judgedAt})}
	expect(t, judge(t, data, o), Indeterminate, NoCertificateChainFound, Intact)
	if asked.Load() != 0 {
		t.Error("a stranger's address was asked")
	}
}

// V11-L: one byte that leaves an array without an end took a process down; it must give a verdict or an error, soon.
func TestAttackEveryByte(t *testing.T) {
	data := good(t, certs.OfficialEC).Bytes()
	hole := bytes.Index(data, []byte("/Contents <3")) + 40
	for i := range data {
		if i > hole && i < hole+contentsRoom-100 {
			continue // the signature value, which TestSpoiledCorpus spoils
		}
		b := "[<(%"[i%4]
		if data[i] == b {
			continue
		}
		changed := slices.Clone(data)
		changed[i] = b
		r, err := VerifyPDF(context.Background(), bytes.NewReader(changed), int64(len(changed)), VerifyOptions{})
		if err == nil && r.Integrity == Intact {
			t.Fatalf("byte %d as %q: intact", i, b)
		}
	}
}

// What was refused wrongly: V12 a page written again by a permitted update, V13 structures that were not read, V14 K a
// certificate without extended key usage.
func TestNotAttacks(t *testing.T) {
	for name, data := range map[string]func(t *testing.T) []byte{
		"V12 field filled in and page written again": func(t *testing.T) []byte {
			p := certified(t, 2)
			p.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[5 0 R 14 0 R]>>")
			p.object(14, "<</FT/Tx/T(so)/V(2)/Type/Annot/Subtype/Widget/P 3 0 R/Rect[50 700 150 720]>>")
			p.end()
			return p.Bytes()
		},
		"V12 validation data added at P=1": func(t *testing.T) []byte {
			p := certified(t, 1)
			p.object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 14 0 R]/SigFlags 3>>/Perms<</DocMDP 6 0 R>>/DSS<</Certs[]>>>>")
			p.end()
			return p.Bytes()
		},
		"V13 RSASSA-PSS": by("ETSI.CAdES.detached", func(t *testing.T) cms.SignRequest {
			return cms.SignRequest{Key: testKey(t, certs.OfficialRSA), PSS: true}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			r := judge(t, data(t), VerifyOptions{})
			expect(t, r, TotalPassed, "", Intact)
		})
	}
	t.Run("V14-K no extended key usage", func(t *testing.T) {
		authority, err := pki.NewAuthority(testKey(t, certs.OfficialEC).Certificate.Subject, pki.Options{Now: judgedAt})
		if err != nil {
			t.Fatal(err)
		}
		key, err := authority.Issue(pki.IssueRequest{Usage: pki.UsageOCSPResponder})
		if err != nil {
			t.Fatal(err)
		}
		plain := *key.Certificate
		plain.ExtKeyUsage, plain.UnknownExtKeyUsage = nil, nil
		if reasons := pki.CheckUsage(&plain, pki.UsageSigning); len(reasons) != 0 {
			t.Error(reasons)
		}
		if reasons := pki.CheckUsage(key.Certificate, pki.UsageSigning); len(reasons) == 0 {
			t.Error("a responder's certificate may sign documents")
		}
	})
}

// bareToken is a time-stamp token that carries no certificate.
func bareToken(t *testing.T, key *keys.Key, digest []byte, at time.Time) []byte {
	t.Helper()
	authority, err := tsa.NewAuthority(key, tsa.AuthorityOptions{Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	der, err := authority.Timestamp(context.Background(), digest, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return without(t, der)
}

// parts takes CMS data apart into the fields of its SignedData, and gives what puts them together again.
func parts(t *testing.T, der []byte) (fields []asn1.RawValue, join func([]asn1.RawValue) []byte) {
	t.Helper()
	var info struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(info.Content.Bytes, &fields); err != nil {
		t.Fatal(err)
	}
	return fields, func(fields []asn1.RawValue) []byte {
		body, err := asn1.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		info.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: body}
		out, err := asn1.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// twoSigners puts the certificates and the signer of b beside those of a.
func twoSigners(t *testing.T, a, b []byte) []byte {
	t.Helper()
	one, join := parts(t, a)
	two, _ := parts(t, b)
	for i := 3; i < len(one); i++ {
		one[i].FullBytes = nil
		one[i].Bytes = append(slices.Clone(one[i].Bytes), two[i].Bytes...)
	}
	return join(one)
}

// without leaves the certificates out.
func without(t *testing.T, der []byte) []byte {
	t.Helper()
	fields, join := parts(t, der)
	return join(slices.DeleteFunc(fields, func(f asn1.RawValue) bool {
		return f.Class == asn1.ClassContextSpecific && f.Tag == 0
	}))
}

// inTheNameOf takes a signature and puts the identifier and the certificates of another signer in place of its own.
func inTheNameOf(t *testing.T, mine, victims []byte) []byte {
	t.Helper()
	fields, join := parts(t, mine)
	theirs, _ := parts(t, victims)
	last := len(fields) - 1
	var own, other []asn1.RawValue
	for from, to := range map[*asn1.RawValue]*[]asn1.RawValue{&fields[last]: &own, &theirs[last]: &other} {
		if _, err := asn1.Unmarshal(from.Bytes, to); err != nil {
			t.Fatal(err)
		}
	}
	own[1] = other[1]
	signer, err := asn1.Marshal(own)
	if err != nil {
		t.Fatal(err)
	}
	fields[3] = theirs[3]
	fields[last].FullBytes, fields[last].Bytes = nil, signer
	return join(fields)
}
