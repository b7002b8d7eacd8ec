package ledger_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

const origin = "vanthu.example/log"

func testKey(fill byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(fill)), ed25519.SeedSize)))
}

func open(t testing.TB, db *sqldb.DB) *ledger.Ledger {
	t.Helper()
	l, err := ledger.New(db, testKey('k'), origin, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func each(t *testing.T, test func(t *testing.T, db *sqldb.DB, l *ledger.Ledger)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, db, open(t, db)) })
}

func entry(i int) ledger.Entry {
	return ledger.Entry{
		Kind:    "document.signed",
		Subject: fmt.Sprintf("document-%d", i%10),
		At:      time.Date(2026, 11, 23, 8, 0, 0, 123456000, time.UTC).Add(time.Duration(i) * time.Second),
		Actor:   "Nguyễn Văn A",
		Body:    json.RawMessage(fmt.Sprintf(`{ "z": [%d, 1.50, true, null], "a": "Quyết định \"5\" <&>" }`, i)),
	}
}

func appendAll(t testing.TB, db *sqldb.DB, l *ledger.Ledger, entries ...ledger.Entry) []ledger.EntryID {
	t.Helper()
	ids := make([]ledger.EntryID, len(entries))
	err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for i, e := range entries {
			id, err := l.Append(ctx, tx, e)
			if err != nil {
				return err
			}
			ids[i] = id
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func fill(t testing.TB, db *sqldb.DB, l *ledger.Ledger, n int) []ledger.EntryID {
	t.Helper()
	entries := make([]ledger.Entry, n)
	for i := range entries {
		entries[i] = entry(i)
	}
	return appendAll(t, db, l, entries...)
}

func sequence(t testing.TB, l *ledger.Ledger) int {
	t.Helper()
	total := 0
	for {
		n, err := l.Sequence(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return total
		}
		total += n
	}
}

func problems(t testing.TB, l *ledger.Ledger) []string {
	t.Helper()
	var all []string
	if err := l.Check(t.Context(), func(p string) { all = append(all, p) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func prove(t testing.TB, l *ledger.Ledger, id ledger.EntryID) *ledger.Proof {
	t.Helper()
	p, err := l.Prove(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The log grows by all sorts of steps, over tile borders, and every entry can
// be proved after each.
func TestProvesEveryEntryOfAGrowingLog(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, l *ledger.Ledger) {
		var ids []ledger.EntryID
		for _, step := range []int{1, 1, 2, 3, 1, 250, 5, 256, 300, 1} {
			ids = append(ids, fill(t, db, l, step)...)
			if n := sequence(t, l); n != step {
				t.Fatalf("sequenced %d entries, want %d", n, step)
			}
			for i := 0; i < len(ids); i += 1 + len(ids)/40 {
				p := prove(t, l, ids[i])
				if p.Index != int64(i) {
					t.Fatalf("entry %d is at place %d", i, p.Index)
				}
				if err := ledger.VerifyProof(l.VerifierKey(), p); err != nil {
					t.Fatalf("entry %d of %d: %v", i, len(ids), err)
				}
			}
			if p := problems(t, l); len(p) > 0 {
				t.Fatalf("after %d entries: %q", len(ids), p)
			}
		}
		if n, err := l.Sequence(t.Context()); n != 0 || err != nil {
			t.Errorf("an idle pass gave %d, %v", n, err)
		}
	})
}

func TestEntriesAndPlaces(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, l *ledger.Ledger) {
		entries := func() (records []ledger.Record) {
			t.Helper()
			err := db.View(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				var err error
				records, err = l.Entries(ctx, tx, "document-3")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return records
		}
		ids := fill(t, db, l, 20)
		if _, err := l.Prove(t.Context(), ids[0]); !errors.Is(err, ledger.ErrPending) {
			t.Errorf("got %v, want ErrPending", err)
		}
		if _, err := l.Prove(t.Context(), "none"); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		for _, places := range [][]int64{{-1, -1}, {3, 13}} {
			got := entries()
			if len(got) != 2 || got[0].ID != ids[3] || got[1].ID != ids[13] {
				t.Fatalf("got %+v", got)
			}
			if got[0].Index != places[0] || got[1].Index != places[1] {
				t.Errorf("places %d, %d; want %v", got[0].Index, got[1].Index, places)
			}
			want := entry(3)
			if !got[0].At.Equal(want.At) || got[0].Actor != want.Actor || got[0].Kind != want.Kind {
				t.Errorf("got %+v", got[0])
			}
			if string(got[0].Body) != `{"a":"Quyết định \"5\" <&>","z":[3,1.50,true,null]}` {
				t.Errorf("body %s", got[0].Body)
			}
			sequence(t, l)
		}
	})
}

func TestRolledBackEntriesLeaveNoGap(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, l *ledger.Ledger) {
		fill(t, db, l, 2)
		refused := errors.New("no")
		err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := l.Append(ctx, tx, entry(99))
			return errors.Join(err, refused)
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		ids := fill(t, db, l, 2)
		if n := sequence(t, l); n != 4 {
			t.Errorf("sequenced %d", n)
		}
		if p := prove(t, l, ids[1]); p.Index != 3 {
			t.Errorf("place %d", p.Index)
		}
	})
}

func TestRefusesBadEntries(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, l *ledger.Ledger) {
		for name, change := range map[string]func(*ledger.Entry){
			"no kind":       func(e *ledger.Entry) { e.Kind = "" },
			"no subject":    func(e *ledger.Entry) { e.Subject = "" },
			"long actor":    func(e *ledger.Entry) { e.Actor = strings.Repeat("x", 201) },
			"broken text":   func(e *ledger.Entry) { e.Actor = "a\xff" },
			"NUL":           func(e *ledger.Entry) { e.Actor = "a\x00" },
			"no JSON":       func(e *ledger.Entry) { e.Body = json.RawMessage(`{"a":`) },
			"two values":    func(e *ledger.Entry) { e.Body = json.RawMessage(`{} {}`) },
			"doubled key":   func(e *ledger.Entry) { e.Body = json.RawMessage(`{"a":1,"\u0061":2}`) },
			"too deep":      func(e *ledger.Entry) { e.Body = json.RawMessage(strings.Repeat("[", 200) + strings.Repeat("]", 200)) },
			"too large":     func(e *ledger.Entry) { e.Body = json.RawMessage(`"` + strings.Repeat("x", 256<<10) + `"`) },
			"broken string": func(e *ledger.Entry) { e.Body = json.RawMessage("\"a\xff\"") },
		} {
			e := entry(1)
			change(&e)
			err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := l.Append(ctx, tx, e)
				return err
			})
			if err == nil {
				t.Errorf("%s: not refused", name)
			}
		}
		appendAll(t, db, l, ledger.Entry{Kind: "k", Subject: "s"}) // the least there is
	})
}

// Whatever byte of a proof is changed, it does not hold any more.
func TestProofHoldsNoChangedByte(t *testing.T) {
	db := sqldbtest.SQLite(t)
	l := open(t, db)
	ids := fill(t, db, l, 300)
	sequence(t, l)
	good := prove(t, l, ids[257])
	vkey := l.VerifierKey()
	verify := func(what string, change func(p *ledger.Proof)) {
		t.Helper()
		p := *good
		p.Leaf, p.Salt, p.Hashes = slices.Clone(good.Leaf), slices.Clone(good.Salt), slices.Clone(good.Hashes)
		p.Entry.Body = slices.Clone(good.Entry.Body)
		change(&p)
		if err := ledger.VerifyProof(vkey, &p); !errors.Is(err, ledger.ErrProof) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	flipBytes := func(what string, bytes func(p *ledger.Proof) []byte) {
		t.Helper()
		for i := range bytes(good) {
			for bit := range 8 {
				verify(fmt.Sprintf("%s, byte %d, bit %d", what, i, bit), func(p *ledger.Proof) { bytes(p)[i] ^= 1 << bit })
			}
		}
	}
	flipString := func(what string, field func(p *ledger.Proof) *string) {
		t.Helper()
		for i := range len(*field(good)) {
			for bit := range 8 {
				verify(fmt.Sprintf("%s, byte %d, bit %d", what, i, bit), func(p *ledger.Proof) {
					b := []byte(*field(p))
					b[i] ^= 1 << bit
					*field(p) = string(b)
				})
			}
		}
	}
	flipBytes("leaf", func(p *ledger.Proof) []byte { return p.Leaf })
	flipBytes("salt", func(p *ledger.Proof) []byte { return p.Salt })
	flipBytes("body", func(p *ledger.Proof) []byte { return p.Entry.Body })
	for i := range good.Hashes {
		flipBytes(fmt.Sprint("hash ", i), func(p *ledger.Proof) []byte { return p.Hashes[i][:] })
	}
	flipString("checkpoint", func(p *ledger.Proof) *string { return &p.Checkpoint })
	flipString("id", func(p *ledger.Proof) *string { return (*string)(&p.Entry.ID) })
	flipString("kind", func(p *ledger.Proof) *string { return &p.Entry.Kind })
	flipString("subject", func(p *ledger.Proof) *string { return &p.Entry.Subject })
	flipString("actor", func(p *ledger.Proof) *string { return &p.Entry.Actor })
	for bit := range 63 {
		verify(fmt.Sprint("index, bit ", bit), func(p *ledger.Proof) { p.Index ^= 1 << bit })
	}
	for _, d := range []time.Duration{1, -1, time.Microsecond, -time.Microsecond, time.Hour} {
		verify(fmt.Sprint("time ", d), func(p *ledger.Proof) { p.Entry.At = p.Entry.At.Add(d) })
	}
	verify("fewer hashes", func(p *ledger.Proof) { p.Hashes = p.Hashes[1:] })
	verify("more hashes", func(p *ledger.Proof) { p.Hashes = append(p.Hashes, tlog.Hash{}) })
	verify("no salt", func(p *ledger.Proof) { p.Salt = nil })
	verify("another body", func(p *ledger.Proof) { p.Entry.Body = json.RawMessage("{}") })
	if err := ledger.VerifyProof(vkey, nil); !errors.Is(err, ledger.ErrProof) {
		t.Error("no proof at all was taken for one")
	}

	// The same in the form in which proofs travel.
	data, err := json.MarshalIndent(good, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	parse := func(data []byte) (*ledger.Proof, bool) {
		var p ledger.Proof
		return &p, json.Unmarshal(data, &p) == nil
	}
	pretty, ok := parse(data)
	if !ok || ledger.VerifyProof(vkey, pretty) != nil {
		t.Fatalf("the proof did not survive JSON: %v", ledger.VerifyProof(vkey, pretty))
	}
	compact := *pretty
	compact.Entry.Body = good.Entry.Body
	for i := range data {
		changed := slices.Clone(data)
		changed[i] ^= 4
		p, ok := parse(changed)
		if !ok || ledger.VerifyProof(vkey, p) != nil {
			continue
		}
		if p.Entry.Body = good.Entry.Body; !reflect.DeepEqual(*p, compact) {
			t.Errorf("byte %d of the JSON: another proof holds too", i)
		}
	}
}

func TestProofNeedsTheRightKey(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, l *ledger.Ledger) {
		ids := fill(t, db, l, 3)
		sequence(t, l)
		p := prove(t, l, ids[1])
		other := open(t, sqldbtest.SQLite(t))
		if err := ledger.VerifyProof(other.VerifierKey(), p); err != nil {
			t.Errorf("the same key and origin: %v", err)
		}
		for name, l := range map[string]struct {
			key    ed25519.PrivateKey
			origin string
		}{"key": {testKey('x'), origin}, "origin": {testKey('k'), "vanthu.example/other"}} {
			if _, err := ledger.New(db, l.key, l.origin, ledger.Options{}); !errors.Is(err, ledger.ErrKey) {
				t.Errorf("another %s on this database: got %v, want ErrKey", name, err)
			}
			stranger, err := ledger.New(sqldbtest.SQLite(t), l.key, l.origin, ledger.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := ledger.VerifyProof(stranger.VerifierKey(), p); !errors.Is(err, ledger.ErrProof) {
				t.Errorf("another %s: got %v", name, err)
			}
		}
		if _, err := ledger.New(db, nil, origin, ledger.Options{}); err == nil {
			t.Error("no key was taken")
		}
		if _, err := ledger.New(db, testKey('k'), "two words", ledger.Options{}); err == nil {
			t.Error("a bad origin was taken")
		}
	})
}

func TestCheckpoint(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, l *ledger.Ledger) {
		for _, size := range []int{0, 5} {
			fill(t, db, l, size)
			sequence(t, l)
			text, err := l.Checkpoint(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%s\n%d\n", origin, size); !strings.HasPrefix(text, want) || !strings.Contains(text, "\n\n— "+origin+" ") {
				t.Errorf("got %q", text)
			}
		}
	})
}

func TestCheckNamesWhatWasChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change, want string
	}{
		"body":         {"UPDATE ledger_entry SET body = '{}' WHERE position = 300", "place 300"},
		"actor":        {"UPDATE ledger_entry SET actor = 'B' WHERE position = 0", "place 0"},
		"time":         {"UPDATE ledger_entry SET at = at + 1 WHERE position = 599", "place 599"},
		"salt":         {"UPDATE ledger_entry SET salt = '00000000000000000000000000000000' WHERE position = 5", "place 5"},
		"deleted":      {"DELETE FROM ledger_entry WHERE position = 17", "place 17 is missing"},
		"last deleted": {"DELETE FROM ledger_entry WHERE position = 599", "place 599 is missing"},
		"tile":         {"UPDATE ledger_tile SET hashes = 'AAAA' || substr(hashes, 5) WHERE level = 0 AND number = 1", "place 256"},
		"no tile":      {"DELETE FROM ledger_tile WHERE level = 0 AND number = 2", "place 512"},
		"upper tile":   {"UPDATE ledger_tile SET hashes = 'AAAA' || substr(hashes, 5) WHERE level = 1", "places 0 to 255"},
		"signature":    {"UPDATE ledger_checkpoint SET note = replace(note, '600', '599')", "checkpoint"},
		"size":         {"UPDATE ledger_checkpoint SET size = 599", "row says 599"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db *sqldb.DB, l *ledger.Ledger) {
				fill(t, db, l, 600)
				sequence(t, l)
				if p := problems(t, l); len(p) > 0 {
					t.Fatalf("before: %q", p)
				}
				if _, err := db.Writer().ExecContext(t.Context(), c.change); err != nil {
					t.Fatal(err)
				}
				found := problems(t, l)
				if len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), c.want) {
					t.Errorf("got %q, want %q", found, c.want)
				}
				if len(found) > 260 {
					t.Errorf("%d problems for one change", len(found))
				}
			})
		})
	}
}

func TestCheckSeesAGapBeforeTheSequencer(t *testing.T) {
	db := sqldbtest.SQLite(t) // PostgreSQL gives no places before
	l := open(t, db)
	fill(t, db, l, 3)
	sequence(t, l)
	fill(t, db, l, 3)
	if p := problems(t, l); len(p) > 0 {
		t.Errorf("waiting entries are no problem: %q", p)
	}
	if _, err := db.Writer().ExecContext(t.Context(), "DELETE FROM ledger_entry WHERE position = 3"); err != nil {
		t.Fatal(err)
	}
	if p := problems(t, l); len(p) != 1 || !strings.Contains(p[0], "place 3") {
		t.Errorf("got %q", p)
	}
	if _, err := l.Sequence(t.Context()); err == nil {
		t.Error("the sequencer went over the gap")
	}
}

// Many writers, the sequencer running: all entries get into the log, each
// subject's in the order of its commits.
func TestConcurrentWritersWhileSequencing(t *testing.T) {
	const writers, rounds = 16, 20
	each(t, func(t *testing.T, db *sqldb.DB, l *ledger.Ledger) {
		l.Start(t.Context())
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				subject := fmt.Sprint("writer-", w)
				for r := range rounds {
					err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
						_, err := l.Append(ctx, tx, ledger.Entry{Kind: "test.round", Subject: subject, Body: json.RawMessage(fmt.Sprint(r))})
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		l.Stop()
		l.Stop()
		if p := problems(t, l); len(p) > 0 {
			t.Errorf("problems: %q", p)
		}
		text, err := l.Checkpoint(t.Context())
		if err != nil || !strings.HasPrefix(text, fmt.Sprintf("%s\n%d\n", origin, writers*rounds)) {
			t.Errorf("checkpoint %q, %v", text, err)
		}
		for w := range writers {
			err := db.View(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				records, err := l.Entries(ctx, tx, fmt.Sprint("writer-", w))
				last := int64(-1)
				for i, r := range records {
					if string(r.Body) != fmt.Sprint(i) || r.Index <= last {
						t.Errorf("writer %d: entry %d is %s at place %d after %d", w, i, r.Body, r.Index, last)
					}
					last = r.Index
				}
				if len(records) != rounds {
					t.Errorf("writer %d has %d entries", w, len(records))
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func TestTwoSequencersOnPostgres(t *testing.T) {
	url := sqldbtest.PostgresURL(t)
	var ledgers []*ledger.Ledger
	var dbs []*sqldb.DB
	for range 2 {
		db, err := sqldb.OpenPostgres(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		dbs, ledgers = append(dbs, db), append(ledgers, open(t, db))
	}
	for _, l := range ledgers {
		l.Start(t.Context())
	}
	var wg sync.WaitGroup
	for i, l := range ledgers {
		wg.Go(func() {
			for range 50 {
				fill(t, dbs[i], l, 5)
			}
		})
	}
	wg.Wait()
	for _, l := range ledgers {
		l.Stop()
	}
	sequence(t, ledgers[0])
	if p := problems(t, ledgers[0]); len(p) > 0 {
		t.Errorf("problems: %q", p)
	}
	if text, err := ledgers[1].Checkpoint(t.Context()); err != nil || !strings.HasPrefix(text, origin+"\n500\n") {
		t.Errorf("checkpoint %q, %v", text, err)
	}
}

func TestRestartGoesOn(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB, l *ledger.Ledger) {
		ids := fill(t, db, l, 10)
		sequence(t, l)
		ids = append(ids, fill(t, db, l, 10)...)
		again := open(t, db)
		again.Start(t.Context())
		again.Stop()
		for i, id := range ids {
			if p := prove(t, again, id); p.Index != int64(i) {
				t.Errorf("entry %d is at place %d", i, p.Index)
			}
		}
	})
}
