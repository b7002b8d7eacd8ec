package receipt_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vanthu/exchange/receipt"
	"vanthu/signing"
	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
	"vanthu/storage/ledger"
	"vanthu/storage/ledger/logproof"
	"vanthu/storage/sqldb"
)

// office is a hub's worth of keys, real ones of an authority made for the test.
type office struct {
	authority *pki.Authority
	tsa       tsa.Client
	sender    *keys.Key
	recipient *keys.Key
	trust     *pki.Trust
	stamper   *keys.Key // of the tsa

	// What a test's forger changes in input.
	begin     time.Duration // of the first entry, from now; 0 = an hour ago
	claim     time.Duration // by how much receipts are dated after the log took them
	successor string
	skip      string // kind of evidence that is left out
	alter     func(kind string, facts map[string]string)
}

// Fetch implements signing.RevocationSource with the authority's own list.
func (o *office) Fetch(context.Context, *x509.Certificate, *x509.Certificate) (pki.Evidence, error) {
	list, err := o.authority.CRL()
	return pki.Evidence{CRLs: [][]byte{list}}, err
}

func newOffice(tb testing.TB) *office {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	authority, err := pki.NewAuthority(pkix.Name{Organization: []string{"UBND tỉnh Thử"}, CommonName: "Gốc thử"}, pki.Options{})
	must(err)
	issue := func(name string, usage pki.IssuedUsage) *keys.Key {
		key, err := authority.Issue(pki.IssueRequest{Subject: pkix.Name{OrganizationalUnit: []string{name}, CommonName: name}, Usage: usage})
		must(err)
		return key
	}
	stamper := issue("Dấu thời gian", pki.UsageTSA)
	clock, err := tsa.NewAuthority(stamper, tsa.AuthorityOptions{})
	must(err)
	root := []*x509.Certificate{authority.Certificate()}
	return &office{authority: authority, tsa: clock, sender: issue("H03", pki.UsageReceipt), recipient: issue("H03.01", pki.UsageReceipt),
		trust: &pki.Trust{Roots: root, TimestampRoots: root}, stamper: stamper, begin: -time.Hour}
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func fingerprint(k *keys.Key) []receipt.Certificate {
	return []receipt.Certificate{{Fingerprint: digestOf(k.Certificate.Raw), From: k.Certificate.NotBefore, To: k.Certificate.NotAfter}}
}

const documentID = "0199f000-0000-7000-8000-000000000001"

func paper() []byte { return []byte("%PDF-1.7\n" + strings.Repeat("văn bản ", 500)) }

// input is a document that was sent to two agencies: one registered it as number 7 and finished, of the other nothing came.
func (o *office) input(tb testing.TB) receipt.Input {
	tb.Helper()
	ctx := context.Background()
	db, err := sqldb.OpenSQLite(ctx, filepath.Join(tb.TempDir(), "log.db"))
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	log, err := ledger.New(db, ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", ed25519.SeedSize))), "hub.example/log", ledger.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	digest, at := digestOf(paper()), time.Now().UTC().Add(o.begin).Truncate(time.Microsecond)
	in := receipt.Input{PDF: paper(), Statement: receipt.Statement{
		Made: time.Now().UTC().Truncate(time.Second), Issuer: "H03", Log: receipt.Log{Key: log.VerifierKey()},
		Document: receipt.Facts{ID: documentID, From: "H03", Code: "05/QĐ-UBND", Type: "QĐ", Subject: "Về việc thử <biên bản>", Issued: "2026-11-23", Digest: digest, Size: int64(len(paper()))},
		Parties: []receipt.Party{
			{Code: "H03", Name: "UBND tỉnh Thử", Certificates: fingerprint(o.sender)},
			{Code: "H03.01", Name: "Sở Nội vụ", Recipient: true, Certificates: fingerprint(o.recipient)},
			{Code: "H03.02", Name: "Sở Tài chính", Recipient: true},
		},
	}}
	var ids []ledger.EntryID
	add := func(kind string, f map[string]string) {
		tb.Helper()
		if kind == o.skip {
			return
		}
		if o.alter != nil {
			o.alter(kind, f)
		}
		body, err := json.Marshal(f)
		if err != nil {
			tb.Fatal(err)
		}
		err = db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			id, err := log.Append(ctx, tx, ledger.Entry{Kind: kind, Subject: documentID, At: at, Actor: "p", Body: body})
			ids = append(ids, id)
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
		at = at.Add(time.Minute)
	}
	add("document.drafted", map[string]string{"subject": in.Statement.Document.Subject, "type": "QĐ", "digest": "other"})
	add("document.signed", map[string]string{"digest": digest, "actor_name": "Trần Thị Lãnh Đạo"})
	add("document.numbered", map[string]string{"code": "05/QĐ-UBND", "axis": ""})
	add("document.sent", map[string]string{"count": "2"})
	for i, status := range []string{"01", "03", "06"} {
		body := receipt.Body{At: at.Add(o.claim), Successor: o.successor, Digest: digest, Document: documentID, From: "H03.01", To: "H03", ID: fmt.Sprint("r", i), Status: status, Step: int64(i + 1), V: 1, ArrivalYear: 2026, Code: "05/QĐ-UBND"}
		f := map[string]string{"receipt": body.ID, "from": "H03.01", "status": status}
		if o.successor != "" {
			f["successor"] = o.successor
		}
		if i > 0 {
			body.By, body.ArrivalNumber, f["arrival_number"] = "Lê Văn Thư", 7, "7"
		}
		raw, err := json.Marshal(body)
		if err != nil {
			tb.Fatal(err)
		}
		sum := sha256.Sum256(raw)
		signature, err := cms.Sign(cms.SignRequest{Key: o.recipient, Digest: sum[:], SigningTime: &at})
		if err != nil {
			tb.Fatal(err)
		}
		in.Receipts = append(in.Receipts, receipt.Signed{Body: raw, Signature: signature})
		f["digest"] = digestOf(raw)
		add("receipt.accepted", f)
	}
	add("delivery.undelivered", map[string]string{"recipient": "H03.02", "hours": "24"})
	if _, err := log.Sequence(ctx); err != nil {
		tb.Fatal(err)
	}
	if in.Checkpoint, err = log.Checkpoint(ctx); err != nil {
		tb.Fatal(err)
	}
	text, err := logproof.SignedText(log.VerifierKey(), in.Checkpoint)
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	if in.CheckpointToken, err = o.tsa.Timestamp(ctx, sum[:], crypto.SHA256); err != nil {
		tb.Fatal(err)
	}
	if in.Proofs, err = log.ProveIn(ctx, in.Checkpoint, ids); err != nil {
		tb.Fatal(err)
	}
	return in
}

func (o *office) bundle(tb testing.TB, in receipt.Input, clock tsa.Client) []byte {
	tb.Helper()
	data, err := receipt.Make(context.Background(), in, receipt.Options{Key: o.sender, TSA: clock, Trust: o.trust, Revocation: o})
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func verify(tb testing.TB, data []byte, o receipt.VerifyOptions) *receipt.Result {
	tb.Helper()
	r, err := receipt.Verify(context.Background(), data, o)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func failure(r *receipt.Result) receipt.Check {
	for _, c := range r.Checks {
		if c.Verdict != signing.TotalPassed {
			return c
		}
	}
	return receipt.Check{}
}

// TestBundleStandsAlone: now, with the document, and 20 years ahead when every certificate has ended.
func TestBundleStandsAlone(t *testing.T) {
	o := newOffice(t)
	data := o.bundle(t, o.input(t), o.tsa)
	r := verify(t, data, receipt.VerifyOptions{Trust: o.trust, Document: paper()})
	if r.Verdict != signing.TotalPassed || len(r.Checks) != 8 || len(r.Remarks) != 0 {
		t.Fatalf("%+v", r)
	}
	var text strings.Builder
	for _, line := range r.Trail {
		text.WriteString(line.Text + "\n")
	}
	for _, want := range []string{"Đã cấp số 05/QĐ-UBND", "Sở Nội vụ (H03.01) đã vào sổ, số đến 7, người thực hiện Lê Văn Thư", "hoàn thành", "Không phát được cho Sở Tài chính (H03.02) trong 24 giờ"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the trail lacks %q:\n%s", want, text.String())
		}
	}
	later := time.Now().AddDate(20, 0, 0)
	if !later.After(o.authority.Certificate().NotAfter) {
		t.Fatal("the authority lives too long for this test")
	}
	r = verify(t, data, receipt.VerifyOptions{Trust: o.trust, At: later})
	if r.Verdict != signing.TotalPassed || time.Since(r.ValidAt).Abs() > time.Hour || len(r.Remarks) != 1 || !strings.Contains(r.Remarks[0].TextEN, "has ended") {
		t.Errorf("20 years ahead: %+v", r)
	}
	if c := failure(verify(t, data, receipt.VerifyOptions{Trust: o.trust, At: time.Now().AddDate(-1, 0, 0)})); c.Step != receipt.StepTime {
		t.Errorf("a clock before the time stamp: %+v", c)
	}
	if c := failure(verify(t, data, receipt.VerifyOptions{Trust: o.trust, Document: []byte("văn bản khác")})); c.Step != receipt.StepDocument {
		t.Errorf("another document: %+v", c)
	}
	if c := failure(verify(t, data, receipt.VerifyOptions{Trust: o.trust, LogKey: "other"})); c.Step != receipt.StepLog {
		t.Errorf("another log: %+v", c)
	}
	r = verify(t, data, receipt.VerifyOptions{})
	if r.Verdict != signing.Indeterminate || len(r.Authorities) != 1 || r.Authorities[0].Fingerprint != digestOf(o.authority.Certificate().Raw) {
		t.Errorf("without a root: %+v", r)
	}
	other := newOffice(t)
	if r := verify(t, data, receipt.VerifyOptions{Trust: other.trust}); r.Verdict != signing.Indeterminate {
		t.Errorf("another root: %+v", r)
	}
}

// TestTimePending: without an authority the bundle says so and is judged as of now.
func TestTimePending(t *testing.T) {
	o := newOffice(t)
	data := o.bundle(t, o.input(t), nil)
	r := verify(t, data, receipt.VerifyOptions{Trust: o.trust})
	if r.Verdict != signing.TotalPassed || !r.ValidAt.IsZero() || len(r.Remarks) == 0 || !bytes.Contains(data, []byte("chưa được xác nhận")) {
		t.Errorf("%+v", r)
	}
	if r := verify(t, data, receipt.VerifyOptions{Trust: o.trust, At: time.Now().AddDate(20, 0, 0)}); r.Verdict == signing.TotalPassed {
		t.Errorf("20 years ahead without a time stamp: %+v", r)
	}
}

// TestRevokedSigner: a certificate that was revoked before the bundle was made does not speak.
func TestRevokedSigner(t *testing.T) {
	o := newOffice(t)
	in := o.input(t)
	o.authority.Revoke(o.sender.Certificate.SerialNumber, time.Now().Add(-time.Minute), 1)
	r := verify(t, o.bundle(t, in, o.tsa), receipt.VerifyOptions{Trust: o.trust})
	if c := failure(r); r.Verdict == signing.TotalPassed || c.Step != receipt.StepSignature {
		t.Errorf("%+v", r)
	}
}

// TestEveryBitCounts flips single bits all over the file: each is refused, and what broke is named.
func TestEveryBitCounts(t *testing.T) {
	o := newOffice(t)
	data := o.bundle(t, o.input(t), o.tsa)
	random := rand.New(rand.NewPCG(1, 2))
	named := map[string]int{}
	for range 1000 {
		bit := random.IntN(len(data) * 8)
		data[bit/8] ^= 1 << (bit % 8)
		r := verify(t, data, receipt.VerifyOptions{Trust: o.trust})
		data[bit/8] ^= 1 << (bit % 8)
		c := failure(r)
		if r.Verdict != signing.TotalFailed || c.Text == "" || c.TextEN == "" {
			t.Fatalf("bit %d of byte %d: %+v", bit%8, bit/8, r)
		}
		named[c.Member]++
	}
	if r := verify(t, data, receipt.VerifyOptions{Trust: o.trust}); r.Verdict != signing.TotalPassed {
		t.Fatalf("the whole file: %+v", r)
	}
	t.Logf("%d bytes; flips by member: %v", len(data), named)
}

// TestEveryMemberIsProtected flips bits and repairs the checksums: signature and time stamp see it in every member but the
// time-stamp token itself, in whose wrapping a few bytes (version, algorithm list) stand under no signature and say nothing.
func TestEveryMemberIsProtected(t *testing.T) {
	o := newOffice(t)
	data := o.bundle(t, o.input(t), o.tsa)
	random := rand.New(rand.NewPCG(3, 4))
	_, _, count := receipt.Repack(t, data, 0, 0)
	for index := range count {
		for range 10 {
			changed, name, _ := receipt.Repack(t, data, index, random.IntN(1<<30))
			r := verify(t, changed, receipt.VerifyOptions{Trust: o.trust})
			if c := failure(r); r.Verdict == signing.TotalPassed && name != "META-INF/timestamp001.tst" || r.Verdict != signing.TotalPassed && c.Text == "" {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}
