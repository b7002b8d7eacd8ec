package peer

import (
	"bytes"
	"context"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"vanthu/exchange"
	bundles "vanthu/exchange/receipt"
	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/pki"
)

// TestTwoHubs is the whole way: a document sealed at one hub arrives at the other once, and its statuses come back.
func TestTwoHubs(t *testing.T) {
	ctx := context.Background()
	a, b := newStation(t, "a", nil, "H03", "H03.01"), newStation(t, "b", nil, "H26", "H26.07")
	connect(t, a, b)
	d := a.send(t, "H03", "canary-7f3a", 0, "H26", "H26.07")
	until(t, "the receipt 01", func() bool { return a.delivery(t, d, "H26").Status == exchange.StatusArrived })
	until(t, "the receipt 01", func() bool { return a.delivery(t, d, "H26.07").Status == exchange.StatusArrived })
	if v := a.delivery(t, d, "H26"); v.Channel != exchange.ChannelHub || v.Transport != exchange.TransportDone {
		t.Errorf("the delivery is %+v", v)
	}
	list := b.incoming(t, "H26")
	if len(list) != 1 || list[0].Document != d.ID || list[0].PDF.Digest != d.PDF.Digest || list[0].Code != d.Code() {
		t.Fatalf("arrived: %+v", list)
	}
	in, err := b.service.Register(ctx, b.as(registry.RoleClerk, "H26"), list[0].ID)
	check(t, err)
	until(t, "the status 03", func() bool { return a.delivery(t, d, "H26").Status == exchange.StatusRegistered })
	if got := a.delivery(t, d, "H26").ArrivalNumber; got != in.ArrivalNumber || got == 0 {
		t.Errorf("arrival number %d, want %d", got, in.ArrivalNumber)
	}
	receipts, err := a.service.Receipts(ctx, a.as(registry.RoleClerk, "H03"), d.ID)
	check(t, err)
	if len(receipts) != 3 {
		t.Errorf("%d receipts, want 01 twice and 03", len(receipts))
	}
	bundle, err := a.service.ReceiptBundle(ctx, a.as(registry.RoleClerk, "H03"), d.ID, true)
	check(t, err)
	known := []bundles.Identity{{Agency: "H03", Fingerprint: registry.Fingerprint(mustKey(t, a, "H03"))}}
	for _, code := range []registry.AgencyID{"H26", "H26.07"} {
		known = append(known, bundles.Identity{Agency: string(code), Fingerprint: registry.Fingerprint(mustKey(t, b, code))})
	}
	verdict, err := bundles.Verify(ctx, bundle.Data, bundles.VerifyOptions{Trust: &pki.Trust{Roots: []*x509.Certificate{a.authority.Certificate(), b.authority.Certificate()}}, At: a.now(), Identities: known})
	check(t, err)
	signed := 0
	for _, line := range verdict.Trail {
		if line.Proof == bundles.ProofSigned {
			signed++
		}
	}
	if verdict.Verdict != signing.TotalPassed || signed != 3 {
		t.Errorf("the bundle with the receipts of the other hub: %d signed, %+v", signed, verdict)
	}
	m, err := a.peers.Reconcile(ctx, b.id(t), d.Sent.Format(dayForm), d.Sent.Format(dayForm))
	check(t, err)
	if len(m.Differences) != 0 || m.Lines != 2 {
		t.Errorf("minutes: %+v", m)
	}
	a.sound(t)
	b.sound(t)
	noCanary(t, filepath.Join(a.dir, "parts"), "canary-7f3a")
	noCanary(t, filepath.Join(b.dir, "parts"), "canary-7f3a")
}

// noCanary looks for plaintext in a folder.
func noCanary(t *testing.T, dir, canary string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) || err == nil && e.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(canary)) {
			t.Errorf("%s holds plaintext", path)
		}
		return err
	})
	check(t, err)
}
