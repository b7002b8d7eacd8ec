package receipt_test

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"vanthu/exchange/receipt"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
)

// forger gives a good certificate under the trusted root, of somebody who is no agency.
func (o *office) forger(tb testing.TB, unit ...string) *keys.Key {
	tb.Helper()
	key, err := o.authority.Issue(pki.IssueRequest{Subject: pkix.Name{OrganizationalUnit: unit, CommonName: "Nguyễn Văn Giả"}, Usage: pki.UsageReceipt})
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func expect(tb testing.TB, r *receipt.Result, verdict signing.Verdict, step string) {
	tb.Helper()
	if c := failure(r); r.Verdict != verdict || c.Step != step {
		tb.Errorf("%s at %q (%s: %s), want %s at %q", r.Verdict, c.Step, c.Member, c.TextEN, verdict, step)
	}
}

// TestForgedIssuer: whoever has a certificate under a trusted root, and says in the bundle that it is an agency's and
// every recipient's, is shown by name and passes for nobody.
func TestForgedIssuer(t *testing.T) {
	o := newOffice(t)
	for _, unit := range [][]string{nil, {"H99"}, {"H03", "H99"}} {
		liar := *o
		key := o.forger(t, unit...)
		liar.sender, liar.recipient = key, key
		data := liar.bundle(t, liar.input(t), o.tsa)
		r := verify(t, data, receipt.VerifyOptions{Trust: o.trust})
		expect(t, r, signing.Indeterminate, receipt.StepStatement)
		if r.Signer == nil || !strings.Contains(r.Signer.Subject, "Nguyễn Văn Giả") || r.Signer.Fingerprint != digestOf(key.Certificate.Raw) || r.Signer.Agency != "" {
			t.Errorf("who signed: %+v", r.Signer)
		}
		if !bytes.Contains(data, []byte("Nguyễn Văn Giả")) {
			t.Error("the page in the bundle does not say who signed")
		}
		known := []receipt.Identity{{Agency: "H03", Fingerprint: digestOf(o.sender.Certificate.Raw)}, {Agency: "H03.01", Fingerprint: digestOf(key.Certificate.Raw)}}
		expect(t, verify(t, data, receipt.VerifyOptions{Trust: o.trust, Identities: known}), signing.Indeterminate, receipt.StepStatement)
		known[0].Fingerprint = known[1].Fingerprint
		r = verify(t, data, receipt.VerifyOptions{Trust: o.trust, Identities: known})
		if expect(t, r, signing.TotalPassed, ""); r.Signer.Agency != "H03" {
			t.Errorf("a signer that the reader knows: %+v", r.Signer)
		}
	}
}

// TestForgedRecipient: an honest certificate makes the bundle, and answers for its recipients itself.
func TestForgedRecipient(t *testing.T) {
	o := newOffice(t)
	for name, recipient := range map[string]*keys.Key{"nobody": o.forger(t), "another root": newOffice(t).recipient} {
		liar := *o
		liar.recipient = recipient
		r := verify(t, o.bundle(t, liar.input(t), o.tsa), receipt.VerifyOptions{Trust: o.trust})
		expect(t, r, signing.Indeterminate, receipt.StepReceipts)
		if !slices.ContainsFunc(r.Trail, func(l receipt.Line) bool { return l.Status == "06" && l.Proof == receipt.ProofRegister }) {
			t.Errorf("%s: %+v", name, r.Trail)
		}
	}
	// A neighbour whose root is unknown here passes when the reader knows its certificate.
	liar := *o
	liar.recipient = newOffice(t).recipient
	r := verify(t, o.bundle(t, liar.input(t), o.tsa), receipt.VerifyOptions{Trust: o.trust,
		Identities: []receipt.Identity{{Agency: "H03.01", Fingerprint: digestOf(liar.recipient.Certificate.Raw)}}})
	if expect(t, r, signing.TotalPassed, ""); len(r.Remarks) != 1 {
		t.Errorf("%+v", r.Remarks)
	}
}

// TestRevokedRecipient: what a revoked key signed is no receipt, whatever time it claims.
func TestRevokedRecipient(t *testing.T) {
	o := newOffice(t)
	in := o.input(t)
	o.authority.Revoke(o.recipient.Certificate.SerialNumber, time.Now().Add(-time.Minute), 1)
	expect(t, verify(t, o.bundle(t, in, o.tsa), receipt.VerifyOptions{Trust: o.trust}), signing.Indeterminate, receipt.StepReceipts)
}

// TestStolenStamp: a time-stamp key that was compromised proves nothing, also when that becomes known later; one that was
// replaced goes on proving what it stamped.
func TestStolenStamp(t *testing.T) {
	for reason, want := range map[int]signing.Verdict{1: signing.Indeterminate, 4: signing.TotalPassed} {
		o := newOffice(t)
		data := o.bundle(t, o.input(t), o.tsa)
		o.authority.Revoke(o.stamper.Certificate.SerialNumber, time.Now().Add(30*time.Minute), reason)
		list, err := o.authority.CRL()
		if err != nil {
			t.Fatal(err)
		}
		trust := *o.trust
		trust.CRLs = [][]byte{list}
		if r := verify(t, data, receipt.VerifyOptions{Trust: &trust, At: time.Now().Add(time.Hour)}); r.Verdict != want || want != signing.TotalPassed && failure(r).Step != receipt.StepTime {
			t.Errorf("reason %d: %+v", reason, r)
		}
	}
}

// TestEvidenceContradicts: the sender's evidence says otherwise than what the recipient signed, or what comes twice.
func TestEvidenceContradicts(t *testing.T) {
	accepted := func(status, key, value string) func(*office) {
		return func(o *office) {
			o.alter = func(kind string, f map[string]string) {
				if kind == "receipt.accepted" && f["status"] == status {
					f[key] = value
				}
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*office)
		step   string
	}{
		"status":              {accepted("03", "status", "06"), receipt.StepFacts},
		"who":                 {accepted("03", "from", "H03.02"), receipt.StepFacts},
		"number":              {accepted("03", "arrival_number", "8"), receipt.StepFacts},
		"note":                {accepted("06", "note", "xong"), receipt.StepFacts},
		"successor":           {accepted("06", "successor", "H03.02"), receipt.StepFacts},
		"twice":               {accepted("06", "receipt", "r1"), receipt.StepReceipts},
		"dated later":         {func(o *office) { o.claim = 10 * time.Minute }, receipt.StepFacts},
		"entries after stamp": {func(o *office) { o.begin = time.Hour }, receipt.StepLog},
		"never signed":        {func(o *office) { o.skip = "document.signed" }, receipt.StepFacts},
		"no such successor":   {func(o *office) { o.successor = "H03.02" }, receipt.StepReceipts},
	} {
		o := newOffice(t)
		c.change(o)
		in := o.input(t)
		in.Statement.Parties[2].Certificates = fingerprint(o.recipient)
		t.Run(name, func(t *testing.T) {
			expect(t, verify(t, o.bundle(t, in, o.tsa), receipt.VerifyOptions{Trust: o.trust}), signing.TotalFailed, c.step)
		})
	}
}

// TestSuccessorSigns: an agency that continues another signs in its name, when the register has it so.
func TestSuccessorSigns(t *testing.T) {
	o := newOffice(t)
	o.successor = "H03.02"
	in := o.input(t)
	in.Statement.Parties[1].Successors = []receipt.Succession{{Code: "H03.02", From: time.Now().Add(-24 * time.Hour)}}
	in.Statement.Parties[2].Certificates = fingerprint(o.recipient)
	known := []receipt.Identity{{Agency: "H03.02", Fingerprint: digestOf(o.recipient.Certificate.Raw)}}
	data := o.bundle(t, in, o.tsa)
	expect(t, verify(t, data, receipt.VerifyOptions{Trust: o.trust, Identities: known}), signing.TotalPassed, "")
	in.Statement.Parties[1].Successors[0].From = time.Now().Add(time.Hour)
	expect(t, verify(t, o.bundle(t, in, o.tsa), receipt.VerifyOptions{Trust: o.trust, Identities: known}), signing.TotalFailed, receipt.StepReceipts)
}

// TestMissingReceipts: what no recipient signed is the sender's word, and is told as such.
func TestMissingReceipts(t *testing.T) {
	o := newOffice(t)
	whole := o.input(t)
	for name, list := range map[string][]receipt.Signed{
		"one missing": whole.Receipts[:2], "all missing": nil,
		"unsigned": append(slices.Clone(whole.Receipts[:2]), receipt.Signed{Body: whole.Receipts[2].Body}),
	} {
		in := whole
		in.Receipts = list
		data := o.bundle(t, in, o.tsa)
		r := verify(t, data, receipt.VerifyOptions{Trust: o.trust})
		expect(t, r, signing.Indeterminate, receipt.StepReceipts)
		if !slices.ContainsFunc(r.Trail, func(l receipt.Line) bool {
			return l.Status == "06" && l.Proof == receipt.ProofWord && strings.Contains(l.Text, "theo lời bên gửi")
		}) || !bytes.Contains(data, []byte("theo lời bên gửi")) {
			t.Errorf("%s: %+v", name, r.Trail)
		}
	}
}

// TestStrippedStamp: a bundle that was made with a time stamp is none without it.
func TestStrippedStamp(t *testing.T) {
	o := newOffice(t)
	data := receipt.Strip(t, o.bundle(t, o.input(t), o.tsa), "META-INF/ASiCArchiveManifest001.xml", "META-INF/timestamp001.tst")
	expect(t, verify(t, data, receipt.VerifyOptions{Trust: o.trust}), signing.TotalFailed, receipt.StepStatement)
}

// TestTimesSayWhatProvesThem: the log's time and the recipient's claim stand apart, with the time stamp over both.
func TestTimesSayWhatProvesThem(t *testing.T) {
	o := newOffice(t)
	o.claim = -2 * time.Minute
	in := o.input(t)
	r := verify(t, o.bundle(t, in, o.tsa), receipt.VerifyOptions{Trust: o.trust})
	expect(t, r, signing.TotalPassed, "")
	var b receipt.Body
	if err := json.Unmarshal(in.Receipts[2].Body, &b); err != nil {
		t.Fatal(err)
	}
	for _, l := range r.Trail {
		if l.ProvenBy.IsZero() || l.Status == "06" && (!l.Claimed.Equal(b.At) || !l.At.Equal(b.At.Add(2*time.Minute)) || l.Proof != receipt.ProofSigned) {
			t.Errorf("%+v", l)
		}
	}
	in.CheckpointToken = nil
	r = verify(t, o.bundle(t, in, nil), receipt.VerifyOptions{Trust: o.trust})
	if !slices.ContainsFunc(r.Remarks, func(m receipt.Remark) bool { return strings.Contains(m.TextEN, "No time stamp proves") }) || !r.Trail[0].ProvenBy.IsZero() {
		t.Errorf("%+v", r)
	}
}

// TestTooLarge: what does not go into one bundle is said to be too much.
func TestTooLarge(t *testing.T) {
	o := newOffice(t)
	in := o.input(t)
	for range 20_000 {
		in.Receipts = append(in.Receipts, receipt.Signed{Body: in.Receipts[0].Body})
	}
	if _, err := receipt.Make(context.Background(), in, receipt.Options{Key: o.sender, Trust: o.trust}); err == nil || !strings.Contains(err.Error(), receipt.ErrTooLarge.Error()) {
		t.Errorf("%v", err)
	}
}
