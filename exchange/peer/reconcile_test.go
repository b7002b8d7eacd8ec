package peer

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// seedRegister writes n documents from H03 of a to H26 of b into both registers, and n/10 to another hub's agency into
// a's, as they stand after a quarter.
func seedRegister(t *testing.T, a, b *station, n int, day time.Time) {
	t.Helper()
	const most = 250
	id := func(kind string, i int) string { return fmt.Sprintf("%s-%010d", kind, i) }
	insert := func(s *station, table, columns string, row func(i int) string) {
		for from := 0; from < n; from += most {
			check(t, s.store.DB.Update(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
				var q strings.Builder
				q.WriteString("INSERT INTO " + table + " (" + columns + ") VALUES ")
				for i := from; i < min(n, from+most); i++ {
					if i > from {
						q.WriteByte(',')
					}
					q.WriteString(row(i))
				}
				_, err := tx.Exec(ctx, q.String())
				return err
			}))
		}
	}
	at := func(i int) int64 { return sqldb.Micros(day.Add(time.Duration(i) * time.Millisecond)) }
	digest := func(i int) blob.Digest { return blob.Sum([]byte(id("pdf", i))) }
	insert(a, "exchange_document", `id, agency, type, subject, notation, number, year, issued, place, priority, due, signer_name, signer_position, competence, state,
		version, pdf, pdf_size, axis, created_by, created, updated, sent, archived, package, package_size`, func(i int) string {
		return fmt.Sprintf(`('%s','H03','CV','x','UBND',%d,2026,0,'',0,0,'','','','sent',1,'%s',1,'','p',0,0,%d,0,'',0)`, id("d", i), i+1, digest(i), at(i))
	})
	insert(a, "exchange_delivery", `id, document, sender, recipient, seq, channel, transport, status, step, final, attempts, last_error, next, created, updated,
		arrival_number, arrival_year`, func(i int) string {
		to := "H26"
		if i%10 == 9 {
			to = "H77" // of some other hub
		}
		return fmt.Sprintf(`('%s','%s','H03','%s',%d,'hub','done','03',2,0,0,'',0,%d,0,%d,2026)`, id("v", i), id("d", i), to, i+1, at(i), i+1)
	})
	insert(b, "exchange_incoming", `id, agency, sender, document, code, type, subject, signer_name, issued, priority, due, pdf, pdf_size, envelope, verdict, report,
		status, version, arrival_number, arrival_year, received, registered, assigned, updated, assignee, note, notified`, func(i int) string {
		agency := "H26"
		if i%10 == 9 {
			agency = "H26x" // never came
		}
		return fmt.Sprintf(`('%s','%s','H03','%s','%s','CV','x','',0,0,0,'%s',1,'','','','03',2,%d,2026,0,0,0,0,'','',1)`,
			id("i", i), agency, id("d", i), exchange.FormatCode(i+1, "UBND"), digest(i), i+1)
	})
	insert(b, "exchange_arrival", `id, incoming, agency, sender, document, channel, ref, at, pdf, pdf_size, envelope, differs, settled, settler, note, sent`, func(i int) string {
		channel := "peer"
		if i%10 == 9 {
			channel = "local"
		}
		return fmt.Sprintf(`('%s','%s','H26','H03','%s','%s','',0,'%s',1,'',0,0,'','',%d)`, id("r", i), id("i", i), id("d", i), channel, digest(i), at(i))
	})
}

// TestReconcile plants seven differences and finds those and no others, in little traffic that says nothing of what
// goes on with other hubs.
func TestReconcile(t *testing.T) {
	ctx := context.Background()
	a, b := newStation(t, "a", nil, "H03"), newStation(t, "b", nil, "H26")
	connect(t, a, b)
	n := scale(4000, 110_000)
	day := time.Now().UTC().Truncate(24 * time.Hour)
	seedRegister(t, a, b, n, day)
	first := day.Format(dayForm)
	m, err := a.peers.Reconcile(ctx, b.id(t), first, first)
	check(t, err)
	if len(m.Differences) != 0 || m.Lines != n-n/10 {
		t.Fatalf("%d differences in %d lines before any was planted: %+v", len(m.Differences), m.Lines, m.Differences)
	}
	plant := func(s *station, query string) {
		check(t, s.store.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, query)
			return err
		}))
	}
	at := func(part int) string { return fmt.Sprintf("%010d", n/100*part*10) } // never one of the other hub's
	plant(b, `DELETE FROM exchange_arrival WHERE id = 'r-`+at(1)+`'`)
	plant(b, `DELETE FROM exchange_arrival WHERE id = 'r-`+at(2)+`'`)
	plant(a, `DELETE FROM exchange_delivery WHERE id = 'v-`+at(3)+`'`)
	plant(a, `UPDATE exchange_delivery SET transport = 'fail' WHERE id = 'v-`+at(4)+`'`)
	plant(b, `UPDATE exchange_incoming SET pdf = '`+string(blob.Sum([]byte("other")))+`' WHERE id = 'i-`+at(5)+`'`)
	plant(b, `UPDATE exchange_incoming SET arrival_number = 999999999 WHERE id = 'i-`+at(6)+`'`)
	plant(b, `UPDATE exchange_incoming SET code = '1/UBND' WHERE id = 'i-`+at(7)+`'`)
	b.peers.mu.Lock()
	clear(b.peers.trees)
	b.peers.mu.Unlock()
	started := time.Now()
	m, err = a.peers.Reconcile(ctx, b.id(t), first, first)
	took := time.Since(started)
	check(t, err)
	kinds := map[string]int{}
	for _, d := range m.Differences {
		kinds[d.Kind]++
	}
	if len(m.Differences) != 7 || kinds[OnlyHere] != 2 || kinds[OnlyThere] != 2 || kinds[OtherDigest] != 1 || kinds[OtherNumber] != 2 {
		t.Errorf("found %v", kinds)
	}
	if m.Bytes > 100_000 {
		t.Errorf("%d bytes of answers", m.Bytes)
	}
	t.Logf("%d lines, %d differences, %d bytes in %d answers, %s", m.Lines, len(m.Differences), m.Bytes, m.Requests, took.Round(time.Millisecond))
	if payload, err := open([]byte(m.Signed), typeMinutes, []Key{mustSelf(t, a)}); err != nil || !strings.Contains(string(payload), m.ID) || strings.Contains(string(payload), "H77") {
		t.Errorf("the minutes: %v", err)
	}
	other, err := b.peers.Reconcile(ctx, a.id(t), first, first) // seen from the other side
	check(t, err)
	if len(other.Differences) != 7 {
		t.Errorf("the other side finds %d", len(other.Differences))
	}
}

// TestTree: whatever two sets of lines are, going down finds exactly how they differ.
func TestTree(t *testing.T) {
	line := func(i int, number int) exchange.RegisterLine {
		return exchange.RegisterLine{Document: exchange.DocumentID(fmt.Sprint("d", i)), From: "H03", To: "H26", Code: "1/UBND", ArrivalNumber: number}
	}
	for _, size := range []int{0, 1, 7, 8, 9, 40, 3000} {
		var mine, theirs []exchange.RegisterLine
		want := 0
		for i := range size {
			switch i % 17 {
			case 3:
				mine = append(mine, line(i, 1))
				want++
			case 5:
				theirs = append(theirs, line(i, 1))
				want++
			case 9:
				mine, theirs = append(mine, line(i, 1)), append(theirs, line(i, 2))
				want++
			default:
				mine, theirs = append(mine, line(i, 1)), append(theirs, line(i, 1))
			}
		}
		a, b := newTree(mine), newTree(theirs)
		found := map[string]bool{}
		for open := []string{""}; len(open) > 0; {
			c := a.compare(open[0], b.children(open[0]))
			open = append(open[1:], c.descend...)
			for _, l := range c.mine {
				found[l.at()] = true
			}
			for _, l := range c.theirs {
				found[l.Place] = true
			}
		}
		if len(found) != want {
			t.Errorf("%d lines: %d differences found, want %d", size, len(found), want)
		}
	}
}
