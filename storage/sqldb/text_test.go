package sqldb_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

func textIndex(tb testing.TB, db *sqldb.DB) *sqldb.TextIndex {
	tb.Helper()
	x, err := sqldb.NewTextIndex("test_words")
	if err != nil {
		tb.Fatal(err)
	}
	if created, err := x.Create(tb.Context(), db); err != nil || !created {
		tb.Fatalf("created %v, %v", created, err)
	}
	if created, err := x.Create(tb.Context(), db); err != nil || created {
		tb.Fatalf("created again %v, %v", created, err)
	}
	return x
}

func put(tb testing.TB, db *sqldb.DB, x *sqldb.TextIndex, key, scope string, fields ...string) {
	tb.Helper()
	err := db.Update(tb.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return x.Put(ctx, tx, key, scope, fields...) })
	if err != nil {
		tb.Fatal(err)
	}
}

func found(tb testing.TB, db *sqldb.DB, x *sqldb.TextIndex, scope, query string, before int64, limit int) []sqldb.TextHit {
	tb.Helper()
	var hits []sqldb.TextHit
	err := db.View(tb.Context(), func(ctx context.Context, tx *sqldb.Tx) (err error) {
		hits, err = x.Search(ctx, tx, scope, query, before, limit)
		return err
	})
	if err != nil {
		tb.Fatalf("%q: %v", query, err)
	}
	return hits
}

func keysOf(hits []sqldb.TextHit) string {
	keys := make([]string, len(hits))
	for i, h := range hits {
		keys[i] = h.Key
	}
	return strings.Join(keys, " ")
}

// TestTextIndexFinds: what is asked for is found on both engines alike, newest
// first, within the scope, whatever the marks; nothing is a syntax error.
func TestTextIndexFinds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		x := textIndex(t, db)
		put(t, db, x, "a", "H03.01", "05/QĐ-UBND", "Về việc phê duyệt dự án đầu tư xây dựng", "nội dung toàn văn")
		put(t, db, x, "b", "H03.01", "15/UBND-VX", "Đề nghị báo cáo quý")
		put(t, db, x, "c", "H03.01", "15/QĐ-UBND", "phê duyệt kế hoạch")
		put(t, db, x, "d", "H03.01", "16/QĐ-UBND", "xóa")
		put(t, db, x, "e", "H03.02", "15/QĐ-UBND", "phê duyệt của nơi khác")
		for query, want := range map[string]string{
			"phe duyet": "c a", "phê duyệt": "c a", "PHÊ  DUYỆT": "c a", "Phe\u0302 duye\u0323\u0302t": "c a",
			"duyet phe": "c a", `"duyet phe"`: "", `"phe duyet"`: "c a", "“phê duyệt dự án”": "a",
			"15/QĐ-UBND": "c", "15/qd-ubnd": "c", "5/QĐ-UBND": "a", "05/QĐ-UBND": "a", "/QĐ-UBND": "d c a", "15": "c b",
			"de nghi": "b", "đề nghị": "b", "du": "c a", "du ": "a", "d": "", "toan van": "a",
			`"xay dung noi dung"`: "", "xay dung noi dung": "a", // no phrase over the end of a field
			"nơi khác": "", "khong co gi": "",
			"": "", "   ": "", `"`: "", `""`: "", "*": "", "(((": "", "a:b": "", "'": "", `\`: "", "& | !": "",
			`AND OR NOT NEAR(`: "", "duyet' OR 1=1 --": "", "phe\x00duyet": "c a", "\xff\xfe": "", "phe*": "c a", "-phe": "c a",
			strings.Repeat("phe ", 600): "c a", strings.Repeat("(", 3000): "",
		} {
			if got := keysOf(found(t, db, x, "H03.01", query, 0, 10)); got != want {
				t.Errorf("%q: %q, want %q", query, got, want)
			}
		}
		for scope, want := range map[string]string{"H03.02": "e", "H03.0": "", "H03": "", "": ""} {
			if got := keysOf(found(t, db, x, scope, "phe duyet", 0, 10)); got != want {
				t.Errorf("in %q: %q, want %q", scope, got, want)
			}
		}
		first := found(t, db, x, "H03.01", "ubnd", 0, 2)
		if next := found(t, db, x, "H03.01", "ubnd", first[1].Seq, 10); keysOf(first) != "d c" || keysOf(next) != "b a" {
			t.Errorf("pages %v, %v", first, next)
		}
	})
}

// TestTextIndexFollows: a change replaces the words and keeps the place; what is
// deleted, moved to another scope or rolled back is not found.
func TestTextIndexFollows(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		x := textIndex(t, db)
		put(t, db, x, "a", "s", "cũ")
		put(t, db, x, "b", "s", "khác")
		put(t, db, x, "a", "s", "mới", strings.Repeat("dài ", 20_000))
		for query, want := range map[string]string{"cũ": "", "mới": "a", "dài": "a"} {
			if got := keysOf(found(t, db, x, "s", query, 0, 10)); got != want {
				t.Errorf("%q: %q, want %q", query, got, want)
			}
		}
		put(t, db, x, "a", "other", "khác")
		if got := keysOf(found(t, db, x, "other", "khác", 0, 10)); got != "a" {
			t.Errorf("%q", got)
		}
		if got := keysOf(found(t, db, x, "s", "khác", 0, 10)); got != "b" {
			t.Errorf("%q", got)
		}
		undone := fmt.Errorf("undone")
		err := db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			if err := x.Put(ctx, tx, "c", "s", "khác"); err != nil {
				return err
			}
			return undone
		})
		if err != undone { //nolint:errorlint // the same error comes back
			t.Fatal(err)
		}
		err = db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			if err := x.Delete(ctx, tx, "nothing"); err != nil {
				return err
			}
			return x.Delete(ctx, tx, "b")
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := keysOf(found(t, db, x, "other", "khác", 0, 10)); got != "a" {
			t.Errorf("%q", got)
		}
	})
}

func TestTextIndexNames(t *testing.T) {
	for _, name := range []string{"", "A", "1a", "a b", "a;drop", strings.Repeat("a", 32)} {
		if _, err := sqldb.NewTextIndex(name); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

func FuzzTextQuery(f *testing.F) {
	for _, s := range []string{"", `"a b" c*`, "15/QĐ-UBND", "đ\u0323", `'":*&|!<->\`, "\xff"} {
		f.Add(s)
	}
	db := sqldbtest.SQLite(f)
	x := textIndex(f, db)
	put(f, db, x, "a", "s", "quyết định 15")
	f.Fuzz(func(t *testing.T, query string) {
		found(t, db, x, "s", query, 0, 10)
	})
}

// BenchmarkTextSearch prints the median time of searches in VANTHU_SCALE texts
// (10,000 by default) of some 40 words, on each engine that is there.
func BenchmarkTextSearch(b *testing.B) {
	n := 10_000
	if s, err := strconv.Atoi(os.Getenv("VANTHU_SCALE")); err == nil {
		n = s
	}
	open := map[string]func(testing.TB) *sqldb.DB{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.Postgres}
	for engine, open := range open {
		b.Run(engine, func(b *testing.B) {
			db := open(b)
			x := textIndex(b, db)
			fillTexts(b, db, x, n)
			queries := []string{"phê duyệt", "quyết định phê duyệt dự án", `"báo cáo quý"`, "15/QĐ-UBND", "12345/QĐ-UBND", "hồ sơ dat", "xa777 huyện", "ve viec", "quy"}
			for _, q := range queries {
				var times []time.Duration
				hits := 0
				for i := range 21 {
					scope := fmt.Sprintf("H03.%03d", i*9)
					began := time.Now()
					hits += len(found(b, db, x, scope, q, 0, 50))
					times = append(times, time.Since(began))
				}
				slices.Sort(times)
				b.Logf("%s, %d texts, %q: median %v, longest %v, %d hits a page", engine, n, q, times[len(times)/2], times[len(times)-1], hits/21)
			}
			for i := 0; b.Loop(); i++ {
				found(b, db, x, fmt.Sprintf("H03.%03d", i%200), queries[i%len(queries)], 0, 50)
			}
		})
	}
}

func fillTexts(tb testing.TB, db *sqldb.DB, x *sqldb.TextIndex, n int) {
	tb.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	common := strings.Fields("về việc phê duyệt dự án đầu tư xây dựng quyết định báo cáo quý kế hoạch triển khai thực hiện nghị quyết hội đồng nhân dân tỉnh huyện đất đai hồ sơ thủ tục hành chính")
	began := time.Now()
	for from := 0; from < n; from += 1000 {
		err := db.Update(tb.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			for i := from; i < min(n, from+1000); i++ {
				var text strings.Builder
				for range 40 {
					w := common[random.IntN(len(common))]
					if random.IntN(4) == 0 {
						w = fmt.Sprintf("xa%d", random.IntN(20_000))
					}
					text.WriteString(w + " ")
				}
				if err := x.Put(ctx, tx, fmt.Sprintf("%08d", i), fmt.Sprintf("H03.%03d", i%200), fmt.Sprintf("%d/QĐ-UBND", i/200+1), text.String()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	if db.Engine() == sqldb.Postgres {
		if _, err := db.Writer().ExecContext(tb.Context(), "ANALYZE test_words_key"); err != nil {
			tb.Fatal(err)
		}
	}
	if b, ok := tb.(*testing.B); ok {
		b.Logf("%d texts put in %v", n, time.Since(began))
	}
}
