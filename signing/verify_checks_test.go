package signing

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"vanthu/certs-testdata"
	"vanthu/signing/cms"
)

// checksOf writes the five checks as one letter each: y, n, or ? when undecided.
func checksOf(s *Signature) string {
	var out strings.Builder
	for _, c := range s.Checks {
		switch {
		case c.OK == nil:
			out.WriteByte('?')
		case *c.OK:
			out.WriteByte('y')
		default:
			out.WriteByte('n')
		}
	}
	return out.String()
}

// Each check says its own: content, signature value, signer, time, changes. The level follows the form, whatever holds.
func TestChecksAreIndependent(t *testing.T) {
	at := judgedAt().Add(-time.Hour)
	papers := func(subFilter string, r cms.SignRequest) []byte {
		p := newPaper()
		p.sign(5, subFilter, signedBy(t, r))
		return p.Bytes()
	}
	key := testKey(t, certs.OfficialEC)
	request := func(tsa certs.Name) cms.SignRequest {
		return cms.SignRequest{Key: key, UnsignedAttributes: stamper(t, tsa, at)}
	}
	const etsi, adobe = "ETSI.CAdES.detached", "adbe.pkcs7.detached"
	content := func(data []byte) []byte { return bytes.Replace(data, []byte("(one)"), []byte("(two)"), 1) }
	beyond := func(data []byte) []byte {
		at := bytes.LastIndex(data, []byte("/ByteRange [0 "))
		out := bytes.Clone(data)
		end := at + bytes.IndexByte(out[at:], ']')
		copy(out[end-9:end], "99999999 ")
		return out
	}
	for _, c := range []struct {
		name   string
		data   []byte
		sub    SubIndication
		level  string
		checks string
		reason string
	}{
		{"good", papers(etsi, cms.SignRequest{Key: key}), "", LevelB, "yyy?y", ""},
		{"B-B, content altered", content(papers(etsi, cms.SignRequest{Key: key})), HashFailure, LevelB, "nyy?y", "digest: "},
		{"B-T, content altered", content(papers(etsi, request(certs.TSA))), HashFailure, LevelT, "nyyyy", "digest: "},
		{"adbe, content altered", content(papers(adobe, cms.SignRequest{Key: key})), HashFailure, LevelAdobe, "nyy?y", "digest: "},
		{"B-T, nobody trusts the time", papers(etsi, request(certs.OtherTSA)), "", LevelT, "yyy?y", "timestamp-untrusted: "},
		{"B-T, time stamp of something else", papers(etsi, cms.SignRequest{Key: key, UnsignedAttributes: func([]byte) ([]cms.Attribute, error) {
			return stamper(t, certs.TSA, at)([]byte("another signature"))
		}}), SigConstraintsFailure, LevelB, "yyyny", "timestamp-broken: "},
		{"ByteRange beyond the file", beyond(papers(etsi, cms.SignRequest{Key: key})), FormatFailure, LevelB, "nyy??", "byterange-order: "},
		{"no signing certificate named", papers(etsi, cms.SignRequest{Key: key, OmitESS: true}), SigConstraintsFailure, LevelAdobe, "yyy?y", "no-signing-certificate-attribute: "},
		{"unknown signer", papers(etsi, cms.SignRequest{Key: testKey(t, certs.OtherOfficial)}), NoCertificateChainFound, LevelB, "yyn?y", "no-chain: "},
	} {
		s := judge(t, c.data, VerifyOptions{}).Signatures[0]
		found := c.reason == "" || slices.ContainsFunc(s.Reasons, func(r string) bool { return strings.HasPrefix(r, c.reason) })
		if s.SubIndication != c.sub || s.Level != c.level || checksOf(&s) != c.checks || !found {
			t.Errorf("%s: %s, level %s, checks %s, reasons %q; want %s %s %s %s", c.name, s.SubIndication, s.Level, checksOf(&s), s.Reasons, c.sub, c.level, c.checks, c.reason)
		}
	}
}

// A wrong signature value over the right content fails that check alone.
func TestWrongSignatureValue(t *testing.T) {
	p := newPaper()
	p.sign(5, "ETSI.CAdES.detached", func(digest []byte) []byte {
		der := signedBy(t, cms.SignRequest{Key: testKey(t, certs.OfficialRSA)})(digest)
		der[len(der)-1] ^= 1 // the value stands last
		return der
	})
	r := judge(t, p.Bytes(), VerifyOptions{})
	expect(t, r, TotalFailed, SigCryptoFailure, Altered)
	if s := r.Signatures[0]; checksOf(&s) != "yny?y" || s.Level != LevelB {
		t.Errorf("checks %s, level %s", checksOf(&s), s.Level)
	}
}
