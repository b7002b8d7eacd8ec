package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/exchange/registry"
	"vanthu/signing/keys"
	"vanthu/signing/tsa"
	"vanthu/storage/blob"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// The agencies of the faults beside those of the world.
const (
	closedAgency   registry.AgencyID = "H03.04"
	channelless    registry.AgencyID = "H03.05"
	unreachable    registry.AgencyID = "H03.06"
	silent         registry.AgencyID = "H03.07"
	carriedChannel                   = "carried"
)

// planter plants one fault after the other in a world, by the acts of people and
// the failures of the machines around them.
type planter struct {
	*world
	t     *testing.T
	n     int
	found map[string][]DocumentID // by unit and cause: what has to be found
}

// faultyCarrier does not reach one agency; of the other it never hears again.
type faultyCarrier struct{}

func (faultyCarrier) CarryDocument(_ context.Context, c Consignment) error {
	if c.Envelope.To == unreachable {
		return fmt.Errorf("carrying: %w", &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")})
	}
	return nil
}

func (faultyCarrier) CarryReceipt(context.Context, *Receipt, Envelope) error { return nil }
func (faultyCarrier) CarryNotice(context.Context, *Notice, Envelope) error   { return nil }

func newPlanter(t *testing.T, o worldOptions) *planter {
	p := &planter{world: newWorld(t, o), t: t, found: map[string][]DocumentID{}}
	for _, a := range []registry.Agency{
		{ID: closedAgency, Name: "Ban Dân tộc", Parent: "H03", ValidTo: p.clock.Now().AddDate(0, -1, 0)},
		{ID: channelless, Name: "Sở Ngoại vụ", Parent: "H03", Channel: "none"},
		{ID: unreachable, Name: "Bộ Nội vụ", Channel: carriedChannel},
		{ID: silent, Name: "Bộ Tài chính", Channel: carriedChannel},
	} {
		if err := p.reg.AddAgency(t.Context(), registry.System("test"), a); err != nil {
			t.Fatal(err)
		}
	}
	p.AddCarrier(carriedChannel, faultyCarrier{})
	return p
}

func (p *planter) expect(of, cause string, d DocumentID) {
	p.found[of+" "+cause] = append(p.found[of+" "+cause], d)
}

func (p *planter) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// numbered gives a document with its number, approved and not sealed.
func (p *planter) numbered() *Document {
	p.n++
	d, err := p.Number(p.t.Context(), p.as(clerk, "H03"), p.sign(p.t, p.draft(p.t, p.n), StepApprove).ID)
	p.must(err)
	return d
}

// gone sends a document; its lane is not run.
func (p *planter) gone(to registry.AgencyID) *Document {
	p.n++
	return p.sent(p.t, p.n, to)
}

func (p *planter) lane(a registry.AgencyID) {
	p.t.Helper()
	p.must(p.runDeliveries(p.t.Context(), canonical(lane{a})))
}

// unsealable tries to seal with a key that cannot, or with a time-stamp authority
// that does not answer.
func (p *planter) unsealable(cause string, key *keys.Key, clock tsa.Client) {
	d := p.numbered()
	p.vouch(p.t, registry.AgencyOwner("H03"), key.Certificate)
	p.cfg.TSA = clock
	_, _, err := p.Sign(p.t.Context(), p.as(clerk, "H03"), d.ID, SignInput{Step: StepSeal, Key: key, Invisible: true})
	p.cfg.TSA = nil
	if err == nil {
		p.t.Fatalf("%s: sealed all the same", cause)
	}
	p.expect(OfDocument, cause, d.ID)
}

// unsendable tries to send to whom nothing can be sent.
func (p *planter) unsendable(cause string, to registry.AgencyID) {
	d := p.sign(p.t, p.numbered(), StepSeal)
	if _, _, err := p.Send(p.t.Context(), p.as(clerk, "H03"), d.ID, []registry.AgencyID{to}); err == nil {
		p.t.Fatalf("%s: sent all the same", cause)
	}
	p.expect(OfDocument, cause, d.ID)
}

// plantDocuments plants what keeps documents from being signed or sent.
func (p *planter) plantDocuments() {
	p.unsealable("sender-key", identity(p.t, certs.Expired), nil)
	p.unsealable("signature-refused", identity(p.t, certs.OtherOfficial), nil)
	p.unsealable("signing-failed", p.keys[StepSeal], brokenTSA{})
	p.expect(OfDocument, "unsealed", p.numbered().ID)
	p.expect(OfDocument, "unsent-late", p.sign(p.t, p.numbered(), StepSeal).ID)
	p.unsendable("recipient-inactive", closedAgency)
	p.unsendable("no-channel", channelless)
	for reason, cause := range map[string]string{PaperChoice: "paper-choice", PaperOutage: "paper-outage", PaperRecipient: "paper-recipient"} {
		d, err := p.RegisterPaper(p.t.Context(), p.as(clerk, "H03"), PaperInput{Type: "CV", Subject: "Về việc gửi bản giấy", SignerName: "Nguyễn Văn A",
			SignerPosition: "Chủ tịch", Reason: reason, Recipients: []registry.AgencyID{"H03.01"}})
		p.must(err)
		p.expect(OfDocument, cause, d.ID)
		p.expect(OfDelivery, "paper", d.ID)
	}
}

// plantDeliveries plants what keeps deliveries from arriving or from being
// registered. The last takes the sender's certificate.
func (p *planter) plantDeliveries() {
	ctx := p.t.Context()
	d := p.gone("H03.01")
	_, err := p.RequestRecall(ctx, p.as(clerk, "H03"), d.ID, nil, "Ban hành nhầm")
	p.must(err)
	p.expect(OfDelivery, "recalled", d.ID)

	d = p.gone("H03.01")
	p.lane("H03.01")
	_, err = p.Refuse(ctx, p.as(clerk, "H03.01"), p.incoming(p.t, "H03.01", d.ID).ID, "Sai nơi nhận")
	p.must(err)
	p.must(p.runReceipts(ctx, canonical(lane{"H03"})))
	p.expect(OfDelivery, "refused", d.ID)

	d = p.gone("H03.01")
	p.lane("H03.01")
	p.expect(OfDelivery, "unregistered", d.ID)

	d = p.gone("H03.01")
	other := samplePDF(0)
	env := d.envelope("H03.01")
	env.Digest, env.Size = blob.Sum(other), int64(len(other))
	_, err = p.Receive(ctx, "H03", env, bytes.NewReader(other))
	p.must(err)
	p.lane("H03.01")
	p.expect(OfDelivery, "content-conflict", d.ID)

	p.expect(OfDelivery, "unreachable", p.gone(unreachable).ID)
	p.lane(unreachable)
	p.expect(OfDelivery, "unanswered", p.gone(silent).ID)
	p.lane(silent)

	down := true
	working := p.cfg.ReceiptKey
	p.cfg.ReceiptKey = p.keyless(&down, "H03.02")
	p.expect(OfDelivery, "recipient-certificate", p.gone("H03.02").ID)
	p.lane("H03.02")
	p.cfg.ReceiptKey = working

	p.expect(OfDelivery, "stalled", p.gone("H03.03").ID)

	d = p.gone("H03.01")
	owner := registry.AgencyOwner("H03")
	p.vouch(p.t, owner, identity(p.t, certs.SealSecond).Certificate)
	p.must(p.reg.RevokeCertificate(ctx, registry.System("test"), owner, registry.Fingerprint(p.keys[StepSeal].Certificate), p.clock.Now().Add(-time.Hour), "Thay chứng thư số"))
	p.lane("H03.01")
	p.expect(OfDelivery, "signature-invalid", d.ID)
}

// faultless adds the evidence of n documents of two agencies that are signed,
// sent and registered by their recipients, a week's worth of days.
func (w *world) faultless(tb testing.TB, n int) {
	tb.Helper()
	ctx := context.Background()
	const batch = 200
	for from := 0; from < n; from += batch {
		err := w.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			for i := from; i < min(from+batch, n); i++ {
				if err := w.appendFaultless(ctx, tx, i, time.Duration(i%7)*24*time.Hour); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func (w *world) appendFaultless(ctx context.Context, tx *sqldb.Tx, i int, ago time.Duration) error {
	at := w.clock.Now().Add(-ago)
	agency := string(w.agencies[2+i%2])
	to := string(w.agencies[i%2])
	for _, e := range []struct {
		kind string
		f    facts
	}{
		{"document.drafted", facts{"type": []string{"QĐ", "CV", "BC"}[i%3]}},
		{"document.signed", facts{"step": string(StepApprove)}},
		{"document.numbered", facts{"code": FormatCode(i+1, "QĐ-STC"), "issued": pinnedTime(dateOf(at)), "send_by": pinnedTime(at.Add(36 * time.Hour))}},
		{"document.signed", facts{"step": string(StepSeal)}},
		{"document.sent", facts{"recipients": to}},
		{"receipt.accepted", facts{"from": to, "step": "1", "status": string(StatusArrived)}},
		{"receipt.accepted", facts{"from": to, "step": "2", "status": string(StatusRegistered), "arrival_number": fmt.Sprint(i + 1)}},
	} {
		e.f["agency"] = agency
		at = at.Add(time.Microsecond)
		_, err := w.ledger.Append(ctx, tx, ledger.Entry{Kind: e.kind, Subject: fmt.Sprintf("bulk-%06d", i), At: at, Actor: "test", Body: canonical(e.f)})
		if err != nil {
			return err
		}
	}
	return nil
}

// TestPlantedFaults: among many documents without a fault (10,000 with
// VANTHU_SCALE) each planted one is named with its cause, and with no other; the
// causes add up to the gap; the log alone gives the same.
func TestPlantedFaults(t *testing.T) {
	n := 300
	if os.Getenv("VANTHU_SCALE") != "" {
		n = 10_000
	}
	p := newPlanter(t, worldOptions{})
	p.faultless(t, n)
	p.plantDocuments()
	p.plantDeliveries()
	p.clock.set(p.clock.Now().AddDate(0, 0, 2))
	ctx, by := t.Context(), registry.System("test")
	q := RateQuery{From: p.clock.Now().AddDate(0, 0, -20), To: p.clock.Now().AddDate(0, 0, 1)}
	st, err := p.Rate(ctx, by, q)
	if err != nil {
		t.Fatal(err)
	}
	documents, deliveries := 0, 0
	for _, m := range st.Missing {
		want := p.found[m.Of+" "+m.Cause]
		page, err := p.Gap(ctx, by, GapQuery{RateQuery: q, Of: m.Of, Cause: m.Cause, Limit: 200})
		if err != nil {
			t.Fatal(err)
		}
		var got []DocumentID
		for _, item := range page.Items {
			got = append(got, item.Document)
			if item.Cause != m.Cause || item.Act == "" || item.Whose == "" || item.Code == "" {
				t.Errorf("%+v", item)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) || m.Count != len(want) {
			t.Errorf("%s %s: %d, listed %v; planted %v", m.Of, m.Cause, m.Count, got, want)
		}
		if m.Of == OfDocument {
			documents += m.Count
		} else {
			deliveries += m.Count
		}
		delete(p.found, m.Of+" "+m.Cause)
	}
	for cause, ids := range p.found {
		t.Errorf("%s: not found, planted %v", cause, ids)
	}
	if len(st.Missing) < 12 || documents != st.Population-st.Electronic || deliveries != st.Deliveries-st.Exchanged || st.Population != n+documents+9 {
		t.Errorf("%d causes of %d documents and %d deliveries: %+v", len(st.Missing), documents, deliveries, st.Counts)
	}
	again, err := p.Recompute(ctx, by, q)
	if err != nil || len(again.Differences) > 0 || again.Counts != st.Counts {
		t.Errorf("recomputed: %v, %v", again, err)
	}
}
