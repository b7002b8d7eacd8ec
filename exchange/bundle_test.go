package exchange

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	certs "vanthu/certs-testdata"
	"vanthu/exchange/receipt"
	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
	"vanthu/storage/ledger/logproof"
)

// TestReceiptBundle: a document that one agency finished, one refused and of which one has only heard; the bundle proves
// it by itself, and openssl agrees on its members.
func TestReceiptBundle(t *testing.T) {
	w := newWorld(t, worldOptions{start: true, change: func(c *Config) {
		authority, err := tsa.NewAuthority(identity(t, certs.TSA), tsa.AuthorityOptions{Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		c.TSA = authority
		c.Trust = &pki.Trust{Roots: certs.Roots(t), TimestampRoots: certs.Roots(t), CRLs: certs.CRL(t)}
		c.Revocation = signing.Supplied{CRLs: certs.CRL(t)}
	}})
	ctx := context.Background()
	draft := w.sealedMany(t, 1)[0]
	if _, err := w.ReceiptBundle(ctx, w.as(clerk, "H03"), draft.ID, false); KindOf(err) != KindConflict {
		t.Errorf("a document that was not sent: %v", err)
	}
	d := w.commented(t)
	w.await(t, d, func(v Delivery) bool { return v.Status == StatusArrived })
	w.process(t, w.incoming(t, "H03.01", d.ID))
	if _, err := w.Refuse(ctx, w.as(clerk, "H03.02"), w.incoming(t, "H03.02", d.ID).ID, "gửi nhầm nơi nhận"); err != nil {
		t.Fatal(err)
	}
	w.await(t, d, func(v Delivery) bool {
		return v.Recipient == "H03.01" && v.Status == StatusFinished || v.Recipient == "H03.02" && v.Status == StatusRefused || v.Recipient == "H03.03"
	})
	if _, err := w.ReceiptBundle(ctx, w.as(clerk, "H03.01"), d.ID, false); KindOf(err) != KindNotFound {
		t.Errorf("another agency: %v", err)
	}
	b, err := w.ReceiptBundle(ctx, w.as(clerk, "H03"), d.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	if b.TimePending || !strings.HasPrefix(b.Name, "bien-ban-") || !strings.HasSuffix(b.Name, "-QD-UBND.asice") {
		t.Errorf("%+v", b.Name)
	}
	trust := &pki.Trust{Roots: certs.Roots(t), TimestampRoots: certs.Roots(t)}
	own := registry.Fingerprint(identity(t, certs.SealSecond).Certificate)
	var known []receipt.Identity
	for _, code := range []string{"H03", "H03.01", "H03.02", "H03.03"} {
		known = append(known, receipt.Identity{Agency: code, Fingerprint: own})
	}
	r, err := receipt.Verify(ctx, b.Data, receipt.VerifyOptions{Trust: trust, At: w.clock.Now().AddDate(20, 0, 0), Identities: known})
	if err != nil || r.Verdict != signing.TotalPassed {
		t.Fatalf("%v, %+v", err, r)
	}
	// The one certificate of this test names no agency: without the reader's knowledge it could be anybody's.
	if r, err := receipt.Verify(ctx, b.Data, receipt.VerifyOptions{Trust: trust}); err != nil || r.Verdict != signing.Indeterminate || r.Signer == nil || r.Signer.Agency != "" {
		t.Errorf("%v, %+v", err, r)
	}
	nothingInternal(t, b.Data)
	w.onlySome(t, d, receipt.VerifyOptions{Trust: trust, At: w.clock.Now(), Identities: known})
	var told strings.Builder
	for _, line := range r.Trail {
		told.WriteString(line.Text + "\n")
	}
	clerkName := w.as(clerk, "H03.01").Name
	for _, want := range []string{"số đến 1, người thực hiện " + clerkName, "đã hoàn thành xử lý", "từ chối, người thực hiện", "gửi nhầm nơi nhận"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("the trail lacks %q:\n%s", want, told.String())
		}
	}
	opensslAgrees(t, b.Data)
}

const inside = "chỉ nội bộ cơ quan biết"

// commented sends a document to three agencies after it was commented on and signed.
func (w *world) commented(t *testing.T) *Document {
	t.Helper()
	ctx := context.Background()
	d := w.draft(t, 2)
	if _, err := w.CommentDraft(ctx, w.as(leader, "H03"), d.ID, inside); err != nil {
		t.Fatal(err)
	}
	d = w.sign(t, d, StepInitial, StepApprove, StepSeal)
	d, _, err := w.Send(ctx, w.as(clerk, "H03"), d.ID, []registry.AgencyID{"H03.01", "H03.02", "H03.03"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// nothingInternal reads a bundle for what the agency did before it sent the document.
func nothingInternal(t *testing.T, bundle []byte) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, f := range z.File {
		if !strings.HasPrefix(f.Name, "evidence/") {
			continue
		}
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var p logproof.Proof
		if err := json.NewDecoder(in).Decode(&p); err != nil {
			t.Fatal(err)
		}
		count++
		if strings.Contains(string(p.Entry.Body), inside) || p.Entry.Kind == "document.commented" || p.Entry.Kind == "document.returned" || p.Entry.Kind == "document.signing" {
			t.Errorf("%s tells outsiders of %s: %s", f.Name, p.Entry.Kind, p.Entry.Body)
		}
	}
	if count < 10 {
		t.Errorf("%d pieces of evidence", count)
	}
}

// onlySome asks for a bundle about one recipient: it speaks of no other, and says so.
func (w *world) onlySome(t *testing.T, d *Document, o receipt.VerifyOptions) {
	t.Helper()
	ctx := context.Background()
	if _, err := w.ReceiptBundle(ctx, w.as(clerk, "H03"), d.ID, false, "H26"); KindOf(err) != KindNotFound {
		t.Errorf("an agency to which it was not sent: %v", err)
	}
	b, err := w.ReceiptBundle(ctx, w.as(clerk, "H03"), d.ID, false, "H03.02")
	if err != nil {
		t.Fatal(err)
	}
	r, err := receipt.Verify(ctx, b.Data, o)
	if err != nil || r.Verdict != signing.TotalPassed || len(r.Only) != 1 || r.Only[0] != "H03.02" {
		t.Errorf("%v, %+v", err, r)
	}
	refused := false
	for _, l := range r.Trail {
		if refused = refused || l.Status == string(StatusRefused); l.Agency != "" && l.Agency != "H03.02" {
			t.Errorf("it speaks of %s: %s", l.Agency, l.Text)
		}
	}
	if !refused {
		t.Error("it does not say that H03.02 refused")
	}
}

// opensslAgrees has openssl judge the issuer's signature, the archive time stamp and a recipient's receipt.
func opensslAgrees(t *testing.T, bundle []byte) {
	t.Helper()
	dir := t.TempDir()
	z, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	base := ""
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f.Name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if name, ok := strings.CutSuffix(f.Name, ".p7s"); ok && strings.HasPrefix(name, "receipts/") {
			base = name
		}
	}
	root, _ := certs.PEM(t, certs.Root)
	if err := os.WriteFile(filepath.Join(dir, "root.pem"), root, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(want bool, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); (err == nil) != want {
			t.Errorf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	when := "1772675000" // of the test's clock, for certificates of the test authority any time of theirs would do
	cms := func(content, signature string) []string {
		return []string{"cms", "-verify", "-binary", "-inform", "DER", "-in", signature, "-content", content, "-CAfile", "root.pem", "-purpose", "any", "-attime", when, "-out", os.DevNull}
	}
	run(true, cms("META-INF/ASiCManifest001.xml", "META-INF/signature001.p7s")...)
	run(false, cms("META-INF/ASiCArchiveManifest001.xml", "META-INF/signature001.p7s")...)
	run(true, cms(base+".json", base+".p7s")...)
	run(false, cms("receipt.json", base+".p7s")...)
	stamp := func(data string) []string {
		return []string{"ts", "-verify", "-data", data, "-in", "META-INF/timestamp001.tst", "-token_in", "-CAfile", "root.pem", "-attime", when}
	}
	run(true, stamp("META-INF/ASiCArchiveManifest001.xml")...)
	run(false, stamp("META-INF/ASiCManifest001.xml")...)
}
