package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vanthu/exchange/registry"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// sumOf adds rows field by field and works out the rates anew.
func sumOf(rows []Counts) Counts {
	var sum Counts
	for _, r := range rows {
		sum.plus(r)
	}
	return sum.rated()
}

// drawEntries makes a random history: documents take random acts in a random
// order, also such as the exchange would not allow.
func drawEntries(t *rapid.T, now time.Time) []ledger.Record {
	kinds := []string{"document.drafted", "document.signed", "document.sign-failed", "document.numbered", "document.number-cancelled", "document.sent",
		"document.send-refused", "document.paper", "document.paper-copy", "document.secret", "delivery.failed", "delivery.postponed", "delivery.carried",
		"delivery.retried", "receipt.accepted", "request.recall", "request.replace", "document.updated", "document.inherited", "delivery.joined", "incoming.received"}
	agencies := []string{"H03", "H03.01", "H03.02", "H03.03"}
	failures := []string{failKey, failValidator, failOther, failInactive, failChannel, failCertificate, failConflict, failFile, failUnreachable, ""}
	statuses := append(Statuses(), StatusNone)
	n := rapid.IntRange(0, 60).Draw(t, "entries")
	list := make([]ledger.Record, n)
	for i := range list {
		id := rapid.IntRange(0, 7).Draw(t, "document")
		pick := func(from []string, name string) string { return rapid.SampledFrom(from).Draw(t, name) }
		issued := dateOf(now).AddDate(0, 0, -rapid.IntRange(0, 3).Draw(t, "age"))
		if rapid.IntRange(0, 3).Draw(t, "new year") == 0 { // a second before midnight in Vietnam, or at it
			issued = time.Date(now.Year(), time.January, 1, 0, 0, -rapid.IntRange(0, 1).Draw(t, "before"), 0, Vietnam())
		}
		f := facts{"agency": agencies[id%len(agencies)], "type": pick([]string{"QĐ", "CV", "NQ"}, "type"), "step": pick([]string{"initial", "approve", "seal", "1", "2"}, "step"),
			"failure": pick(failures, "failure"), "issued": pinnedTime(issued), "send_by": pinnedTime(issued.Add(36 * time.Hour)), "code": "01/QĐ-UBND",
			"recipient": pick(agencies, "recipient"), "from": pick(agencies, "from"), "recipients": strings.Join(agencies[:rapid.IntRange(0, 4).Draw(t, "to")], ","),
			"unable": pick([]string{"", "H03.01", "H03,H03.02"}, "unable"), "excluded": pick([]string{"yes", "no"}, "excluded"),
			"reason": pick([]string{PaperChoice, PaperOutage, PaperRecipient}, "reason"), "status": string(rapid.SampledFrom(statuses).Draw(t, "status")),
			"withdrawn": pick([]string{"", "H03.01", "H03,H03.02"}, "withdrawn"), "arrival_number": pick([]string{"", "7"}, "arrival"),
			"predecessor": pick(agencies, "predecessor"), "joined_to": pick(append(agencies, ""), "joined"), "addressed": pick([]string{"", "", "H03.02,H03.03"}, "addressed")}
		if f["kind"] = pick(kinds, "kind"); f["kind"] == "document.inherited" {
			f["agency"] = pick(agencies, "heir")
		}
		body, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		at := now.Add(-time.Duration(rapid.IntRange(0, 60*24*3).Draw(t, "minutes")) * time.Minute).UTC().Truncate(time.Microsecond)
		list[i] = ledger.Record{Entry: ledger.Entry{Kind: f["kind"], Subject: fmt.Sprintf("d%d", id), At: at, Body: body}, Index: int64(i)}
	}
	return list
}

// TestCausesExplainTheGap: whatever the evidence says and whenever it is asked,
// causes add up to every gap exactly, and each breakdown to the whole.
func TestCausesExplainTheGap(t *testing.T) {
	now := time.Date(2026, 3, 9, 10, 0, 0, 0, Vietnam())
	rapid.Check(t, func(t *rapid.T) {
		b := newRateBook()
		for _, r := range drawEntries(t, now) {
			if err := b.apply(&r); err != nil {
				t.Fatal(err)
			}
		}
		var scope map[registry.AgencyID]bool
		if rapid.Bool().Draw(t, "scoped") {
			scope = map[registry.AgencyID]bool{"H03.01": true, "H03.02": true}
		}
		counting := newTally(scope)
		at := sqldb.Micros(now.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, "hours")) * time.Hour))
		for _, d := range b.documents {
			if k, ok := d.key(at); ok {
				counting.add(k, 1)
			}
		}
		for _, v := range b.deliveries {
			counting.add(v.key(at), 1)
		}
		st := counting.stats() // panics when a gap is not explained
		if got := st.explained(); got != st.Gap || st.Gap.Documents < 0 || st.Gap.Arrival < 0 || st.Gap.Deliveries < st.Gap.Arrival {
			t.Fatalf("explained %+v of %+v", got, st.Gap)
		}
		if st.Electronic != st.ElectronicOnly+st.WithPaper || st.Signed < st.Electronic || st.OnTime > st.Electronic || st.Exchanged > st.Registered {
			t.Fatalf("%+v", st.Counts)
		}
		var agencyRows, typeRows, dayRows, levelRows, weekRows []Counts
		for _, row := range st.ByAgency {
			agencyRows = append(agencyRows, row.Counts)
			if scope != nil && !scope[row.Agency] {
				t.Fatalf("%s is out of scope", row.Agency)
			}
		}
		for _, row := range st.ByType {
			typeRows = append(typeRows, row.Counts)
		}
		for _, row := range st.ByDay {
			dayRows = append(dayRows, row.Counts)
		}
		for _, row := range byLevel(st.ByAgency) {
			levelRows = append(levelRows, row.Counts)
		}
		for _, row := range byPeriod(st.ByDay, PeriodWeek) {
			weekRows = append(weekRows, row.Counts)
		}
		for by, rows := range map[string][]Counts{"agency": agencyRows, "type": typeRows, "day": dayRows, "level": levelRows, "week": weekRows} {
			if sum := sumOf(rows); sum != st.Counts {
				t.Fatalf("by %s the rows add up to %+v of %+v", by, sum, st.Counts)
			}
		}
	})
}

// TestCausesAreATable: codes are unique within a unit, complete in both
// languages, and the last of each unit fits whatever is left.
func TestCausesAreATable(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range RateCauses() {
		if seen[c.Of+c.Cause] || c.Text == "" || c.TextEN == "" || c.Act == "" || c.ActEN == "" || c.Stage == "" || c.Side == "" {
			t.Errorf("%+v", c)
		}
		seen[c.Of+c.Cause] = true
	}
	if !documentCauseTable[len(documentCauseTable)-1].document(&rateDocument{}, 0) || !deliveryCauseTable[len(deliveryCauseTable)-1].delivery(&rateDelivery{}, 0) {
		t.Error("something may be missing without a cause")
	}
}

// TestLiveIsRecomputed: over random histories, counted in random portions, the
// live figures are those recomputed from the log, on both engines; what is
// changed behind the back is found.
func TestLiveIsRecomputed(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := t.Context()
		now := w.clock.Now()
		q := RateQuery{From: dateOf(now).AddDate(0, 0, -100), To: dateOf(now).AddDate(0, 0, 10), Period: PeriodMonth} // from the year before on
		runs := 0
		rapid.Check(t, func(t *rapid.T) {
			runs++
			if runs > 12 {
				return // each run counts all runs before it anew
			}
			for _, r := range drawEntries(t, now) {
				r.Subject = fmt.Sprintf("%d-%s", runs, r.Subject)
				err := w.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
					_, err := w.ledger.Append(ctx, tx, r.Entry)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				if rapid.IntRange(0, 20).Draw(t, "anew") == 0 { // as a new definition of the rate has it
					err := w.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
						_, err := tx.Exec(ctx, `DELETE FROM exchange_rate_state`)
						return err
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				if rapid.IntRange(0, 5).Draw(t, "count") == 0 {
					if _, err := w.CountRate(ctx); err != nil {
						t.Fatal(err)
					}
				}
			}
			live, err := w.Rate(ctx, registry.System("test"), q)
			if err != nil {
				t.Fatal(err)
			}
			again, err := w.Recompute(ctx, registry.System("test"), q)
			if err != nil {
				t.Fatal(err)
			}
			live.At = again.At
			if a, b := asJSON(t, live), asJSON(t, again.Stats); a != b || len(again.Differences) > 0 {
				t.Fatalf("live\n%s\nrecomputed\n%s\n%v", a, b, again.Differences)
			}
		})
		for _, c := range [][2]string{
			{`UPDATE exchange_rate_month SET body = substr(body, 1, length(body) - 1) || '9'`, "the sum is"},
			{`UPDATE exchange_rate_document SET cause = 'unsent' WHERE cause = ''`, "counted as"},
			{`UPDATE exchange_rate_delivery SET status = '06'`, "the row is"},
		} {
			if _, err := w.store.DB.Writer().ExecContext(ctx, c[0]); err != nil {
				t.Fatal(err)
			}
			again, err := w.Recompute(ctx, registry.System("test"), q)
			if err != nil || !strings.Contains(strings.Join(again.Differences, "\n"), c[1]) {
				t.Errorf("%s: %v, %v", c[0], again.Differences, err)
			}
		}
	})
}

func asJSON(t interface{ Fatal(...any) }, v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
