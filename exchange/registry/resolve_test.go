package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

// end closes agencies by an act of the system.
func end(r *Registry, e Ending) error {
	return r.db.Update(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := r.End(ctx, tx, System("test"), e)
		return err
	})
}

// TestResolve: who a code stands for, at which time, and what is refused with which advice.
func TestResolve(t *testing.T) {
	each(t, func(t *testing.T, r *Registry, c *clock) {
		ctx := context.Background()
		province(t, r)
		before := c.Now()
		c.pass(time.Hour)
		noon := c.Now()
		err := end(r, Ending{Act: "merge", Closed: []AgencyID{"H03.01"}, Heirs: map[AgencyID]AgencyID{"H03.01": "H40"}, At: noon, Children: true,
			Founded: []Agency{{ID: "H40", Name: "Sở mới", LegacyCode: "000.00.00.H40"}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := end(r, Ending{Act: "close", Closed: []AgencyID{"H03.01.02"}, At: noon}); err != nil {
			t.Fatal(err)
		}
		r.Forget()
		for _, q := range []struct {
			code string
			at   time.Time
			want AgencyID
			via  int
		}{
			{"H03", noon, "H03", 0}, {"000.00.00.H03", noon, "H03", 0}, {"H03.01", before, "H03.01", 0}, {"001.00.00.H03", before, "H03.01", 0},
			{"H03.01", noon, "H40", 1}, {"001.00.00.H03", noon, "H40", 1}, {"H40", noon, "H40", 0},
		} {
			res, err := r.Resolve(ctx, q.code, q.at)
			if err != nil || res.Agency.ID != q.want || len(res.Via) != q.via {
				t.Errorf("%s at %s: %+v, %v", q.code, q.at, res, err)
				continue
			}
			if (q.via > 0) != (res.Notice != "" && strings.Contains(res.NoticeEN, string(q.want))) {
				t.Errorf("%s: notice %q", q.code, res.Notice)
			}
		}
		for code, advice := range map[string]string{
			"h40": "H40", " H40": "H40", "H 40": "H40", "Н40": "H40" /* Cyrillic */, "Η40": "H40" /* Greek */, "Ｈ４０": "H40", "H4O": "H40",
			"04H": "", "H04": "H40", "H03.01.02": "cấp trên", "H99": "danh bạ", "": "danh bạ", "H40\u200b": "H40", "000.00.40.H03": "danh bạ",
			"H40.": "danh bạ", strings.Repeat("H", 5000): "danh bạ", "H40;DROP": "danh bạ", "H03·01": "H03.01",
		} {
			_, err := r.Resolve(ctx, code, noon)
			wantKind(t, err, KindInvalid)
			e, ok := errors.AsType[*Error](err)
			if !ok || !strings.Contains(e.Advice, advice) || e.AdviceEN == "" || e.MessageEN == "" || len(e.Message) > 400 {
				t.Errorf("%q: %+v", code, err)
			}
		}
		_, err = r.Resolve(ctx, "H40", before)
		wantKind(t, err, KindInvalid)
		// The people went along, and the line tells whose business is whose.
		if people := must[[]Person](t)(r.People(ctx, "H40")); len(people) != 1 {
			t.Errorf("%d people", len(people))
		}
		err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			line := must[[]AgencyID](t)(r.Line(ctx, tx, "H40"))
			if !slices.Equal(line, []AgencyID{"H03.01", "H40"}) || !must[bool](t)(r.Holds(ctx, tx, "H40", "H03.01")) || must[bool](t)(r.Holds(ctx, tx, "H03.01", "H40")) {
				t.Errorf("line %v", line)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(ctx, func(p string) { t.Error(p) }); err != nil {
			t.Fatal(err)
		}
	})
}

// TestHistoryOfNamesAndCodes: what an agency was called stays known, and a code once used is never another's.
func TestHistoryOfNamesAndCodes(t *testing.T) {
	each(t, func(t *testing.T, r *Registry, c *clock) {
		ctx := context.Background()
		admins := province(t, r)
		first := c.Now()
		c.pass(time.Hour)
		a := must[*Agency](t)(r.Agency(ctx, "H03.01"))
		old := a.Name
		a.Name, a.LegacyCode = "Tên mới", "000.00.77.H03"
		if err := r.UpdateAgency(ctx, admins["H03"], *a); err != nil {
			t.Fatal(err)
		}
		then, now := must[*Resolution](t)(r.Resolve(ctx, "H03.01", first)), must[*Resolution](t)(r.Resolve(ctx, "H03.01", c.Now()))
		if then.Agency.Name != old || now.Agency.Name != "Tên mới" {
			t.Errorf("then %q, now %q", then.Agency.Name, now.Agency.Name)
		}
		former := must[*Resolution](t)(r.Resolve(ctx, "001.00.00.H03", c.Now()))
		if former.Agency.ID != "H03.01" || !former.Former || former.Notice == "" {
			t.Errorf("former code: %+v", former)
		}
		codes := must[[]Code](t)(r.Codes(ctx, "H03.01"))
		if len(codes) != 3 || codes[2].Code != "001.00.00.H03" || codes[2].ValidTo.IsZero() {
			t.Errorf("codes %+v", codes)
		}
		wantKind(t, r.AddAgency(ctx, System("test"), Agency{ID: "H77", Name: "x", LegacyCode: "001.00.00.H03"}), KindConflict)
		wantKind(t, r.AddAgency(ctx, System("test"), Agency{ID: "000.00.77.H03", Name: "x"}), KindConflict)
		wantKind(t, r.AddCode(ctx, admins["H03"], "H03", Code{Code: "001.00.00.H03"}), KindConflict)
		wantKind(t, r.AddCode(ctx, admins["H03.01.02"], "H03", Code{Code: "X1"}), KindForbidden)
		if err := r.AddCode(ctx, admins["H03"], "H03", Code{Code: "X1.Y2"}); err != nil {
			t.Fatal(err)
		}
		if got := must[*Agency](t)(r.Agency(ctx, "X1.Y2")); got.ID != "H03" {
			t.Errorf("%+v", got)
		}
		if v := must[int64](t)(r.Version(ctx)); v != 4 {
			t.Errorf("version %d", v)
		}
		if err := r.Check(ctx, func(p string) { t.Error(p) }); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSuccessorsEnd: whatever agencies end in whatever order, every code leads
// to an active agency or is refused, and no chain runs in a circle.
func TestSuccessorsEnd(t *testing.T) {
	c := &clock{now: time.Date(2026, 3, 5, 1, 0, 0, 0, time.UTC)}
	r := must[*Registry](t)(New(sqldbtest.SQLite(t), Options{Now: c.Now}))
	ctx, round := context.Background(), 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		ids := make([]AgencyID, rapid.IntRange(3, 7).Draw(rt, "agencies"))
		for i := range ids {
			ids[i] = AgencyID(fmt.Sprintf("R%d.A%d", round, i))
			if err := r.AddAgency(ctx, System("test"), Agency{ID: ids[i], Name: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		began := c.Now()
		for range rapid.IntRange(1, 10).Draw(rt, "acts") {
			c.pass(time.Minute)
			from, to := rapid.SampledFrom(ids).Draw(rt, "from"), rapid.SampledFrom(append(slices.Clone(ids), "")).Draw(rt, "to")
			err := end(r, Ending{Act: "merge", Closed: []AgencyID{from}, Heirs: map[AgencyID]AgencyID{from: to}, At: c.Now()})
			if k := KindOf(err); err != nil && k != KindConflict && k != KindInvalid {
				rt.Fatal(err)
			}
		}
		for _, id := range ids {
			res, err := r.Resolve(ctx, string(id), c.Now())
			if err == nil && !res.Agency.ActiveAt(c.Now()) || err != nil && KindOf(err) != KindInvalid {
				rt.Fatalf("%s: %+v, %v", id, res, err)
			}
			if then, err := r.Resolve(ctx, string(id), began); err != nil || then.Agency.ID != id {
				rt.Fatalf("%s at the beginning: %+v, %v", id, then, err)
			}
		}
	})
	if err := r.Check(ctx, func(p string) { t.Error(p) }); err != nil {
		t.Fatal(err)
	}
}

// TestCheckFindsFaults plants what must not be.
func TestCheckFindsFaults(t *testing.T) {
	each(t, func(t *testing.T, r *Registry, _ *clock) {
		ctx := context.Background()
		province(t, r)
		for _, fault := range []string{
			`UPDATE registry_agency SET parent = 'H03.01.02' WHERE id = 'H03'`,
			`UPDATE registry_agency SET parent = '' WHERE id = 'H03'`,
			`UPDATE registry_agency SET heir = 'H77' WHERE id = 'H03'`,
			`UPDATE registry_agency SET heir = '' WHERE id = 'H03'`,
			`UPDATE registry_version SET last = 9`,
			`UPDATE registry_version SET last = 3`,
			`INSERT INTO registry_code (code, agency, kind, valid_from, valid_to) VALUES ('H03', 'H03.01', 'qd20', 0, 0)`,
			`DELETE FROM registry_code`,
		} {
			if err := r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, fault)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			found := 0
			if err := r.Check(ctx, func(string) { found++ }); err != nil {
				t.Fatal(err)
			}
			mended := strings.HasSuffix(fault, "'' WHERE id = 'H03'") || strings.HasSuffix(fault, "= 3") || strings.HasPrefix(fault, "DELETE")
			if (found == 0) != mended {
				t.Errorf("%s: %d problems", fault, found)
			}
		}
	})
}

// TestCertificateTerm: a certificate counts from, to, and not after it was revoked.
func TestCertificateTerm(t *testing.T) {
	at := func(d int) time.Time { return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC) }
	c := Certificate{ValidFrom: at(5), ValidTo: at(20)}
	for day, want := range map[int]bool{4: false, 5: true, 10: true, 19: true, 20: false} {
		if c.ValidAt(at(day)) != want {
			t.Errorf("day %d", day)
		}
	}
	c.Revoked = at(10)
	if !c.ValidAt(at(9)) || c.ValidAt(at(10)) {
		t.Error("revocation does not count")
	}
}

func FuzzAgencyCode(f *testing.F) {
	for _, s := range []string{"H40", "h40", "000.00.00.H40", "Н40", "Ｈ４０", "H4O", "", "....", "H\u200b4"} {
		f.Add(s)
	}
	db := sqldbtest.SQLite(f)
	r := must[*Registry](f)(New(db, Options{}))
	if err := r.AddAgency(context.Background(), System("test"), Agency{ID: "H40", Name: "x", LegacyCode: "000.00.00.H40"}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseAgencyID(s)
		if err == nil {
			if again, err := ParseAgencyID(string(id)); err != nil || again != id {
				t.Fatalf("%q: %q, then %q, %v", s, id, again, err)
			}
		}
		res, err := r.Resolve(context.Background(), s, time.Now())
		switch {
		case err == nil && s != "H40" && s != "000.00.00.H40":
			t.Fatalf("%q resolves to %+v", s, res)
		case err != nil && KindOf(err) != KindInvalid:
			t.Fatalf("%q: %v", s, err)
		}
	})
}
