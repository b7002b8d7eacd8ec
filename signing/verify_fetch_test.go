package signing

import (
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
)

// doorsAt is the time of judging here: responses carry the time of the machine, which comes before it.
func doorsAt() time.Time { return time.Date(2040, 1, 1, 8, 0, 0, 0, time.UTC) }

// openDoors is an authority whose certificates name its own OCSP door, and the number of questions it was asked.
func openDoors(t *testing.T) (*pki.Authority, *keys.Key, *atomic.Int32) {
	t.Helper()
	asked := &atomic.Int32{}
	var authority *pki.Authority
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		authority.OCSP().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	authority, err := pki.NewAuthority(pkix.Name{CommonName: "CA"}, pki.Options{Now: doorsAt, OCSPURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	key, err := authority.Issue(pki.IssueRequest{Subject: pkix.Name{CommonName: "Nguyễn Văn A"}, NotBefore: doorsAt().Add(-24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return authority, key, asked
}

func TestRevocationFromTheNetwork(t *testing.T) {
	authority, key, asked := openDoors(t)
	p := newPaper()
	p.sign(5, "ETSI.CAdES.detached", signedBy(t, cms.SignRequest{Key: key}))
	data := p.Bytes()
	online := func() VerifyOptions {
		return VerifyOptions{At: doorsAt(), Trust: authority.Trust(), RequireRevocation: true, Fetcher: pki.NewFetcher(pki.FetchOptions{AllowPrivate: true, Now: doorsAt})}
	}
	r := judge(t, data, online())
	expect(t, r, TotalPassed, "", Intact)
	if asked.Load() != 1 || len(r.Signatures[0].Reasons) != 0 {
		t.Errorf("asked %d times, reasons %q", asked.Load(), r.Signatures[0].Reasons)
	}
	o := online()
	o.Offline = true
	expect(t, judge(t, data, o), Indeterminate, TryLater, Intact)
	// Nobody is asked about a chain that anybody could have made.
	o = online()
	o.Trust = &pki.Trust{}
	expect(t, judge(t, data, o), Indeterminate, NoCertificateChainFound, Intact)
	if asked.Load() != 1 {
		t.Error("an untrusted authority was asked")
	}
	// Nor is a private address, unless that is permitted: unknown, so it does not pass.
	o = online()
	o.Fetcher = pki.NewFetcher(pki.FetchOptions{Now: doorsAt})
	r = judge(t, data, o)
	expect(t, r, Indeterminate, TryLater, Intact)
	if !strings.HasPrefix(r.Signatures[0].Reasons[0], "revocation-unreachable: ") || asked.Load() != 1 {
		t.Errorf("reasons %q, asked %d times", r.Signatures[0].Reasons, asked.Load())
	}
	o.RequireRevocation = false
	r = judge(t, data, o)
	expect(t, r, TotalPassed, "", Intact)
	if !strings.HasPrefix(r.Signatures[0].Reasons[0], "revocation-not-checked: ") {
		t.Errorf("reasons %q", r.Signatures[0].Reasons)
	}
	authority.Revoke(key.Certificate.SerialNumber, judgedAt().AddDate(0, -1, 0), 1) // before the time that the signer claims
	expect(t, judge(t, data, online()), TotalFailed, Revoked, Intact)
}

// The time stamp's authority is asked about too: a stamp of unknown standing proves nothing where status is required.
func TestUnknownTimestampAuthorityProvesNothing(t *testing.T) {
	authority, _, asked := openDoors(t)
	clock, err := authority.Issue(pki.IssueRequest{Subject: pkix.Name{CommonName: "TSA"}, Usage: pki.UsageTSA, NotBefore: doorsAt().Add(-24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	p := newPaper()
	p.sign(5, "ETSI.RFC3161", stampedBy(t, clock, doorsAt().Add(-time.Hour)))
	o := VerifyOptions{At: doorsAt(), Trust: authority.Trust(), RequireRevocation: true}
	r := judge(t, p.Bytes(), o)
	expect(t, r, Indeterminate, TryLater, Intact)
	if r.Signatures[0].ProvenTime != nil {
		t.Error("a time is proven")
	}
	o.Fetcher = pki.NewFetcher(pki.FetchOptions{AllowPrivate: true, Now: doorsAt})
	r = judge(t, p.Bytes(), o)
	expect(t, r, TotalPassed, "", Intact)
	if r.Signatures[0].ProvenTime == nil || asked.Load() != 1 {
		t.Errorf("proven %v, asked %d times", r.Signatures[0].ProvenTime, asked.Load())
	}
}
