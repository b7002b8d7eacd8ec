package registry

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

// TestImportPreview: the preview says field by field what will happen, applies exactly that or nothing.
func TestImportPreview(t *testing.T) {
	each(t, func(t *testing.T, r *Registry, c *clock) {
		ctx := context.Background()
		admins := province(t, r)
		by := admins["H03"]
		csv := "code,name,legacy_code,parent,valid_to,accepts,max_size\n" +
			"H03,Cơ quan 0,000.00.00.H03,,,,\n" + // as it is
			"H03.01,Tên mới,001.00.00.H03,H03,,\"QĐ,CV\",1000\n" + // changed
			"H03.01.02,Cơ quan 2,002.00.00.H03,H03.01,2030-01-01,,\n" + // closed
			"H03.03,Sở Y tế,,H03,,,\n" // added
		plan := must[*ImportPlan](t)(r.PreviewImport(ctx, by, strings.NewReader(csv)))
		if len(plan.Added) != 1 || len(plan.Changed) != 1 || len(plan.Closed) != 1 || plan.Unchanged != 1 || len(plan.Conflicts) != 0 || plan.Version != 3 {
			t.Fatalf("%+v", plan)
		}
		want := []FieldChange{{"name", "Cơ quan 1", "Tên mới"}, {"accepts", "", "QĐ,CV"}, {"max_size", "", "1000"}}
		if d := plan.Changed[0]; d.Line != 3 || !slices.Equal(d.Fields, want) {
			t.Errorf("%+v", d)
		}
		if a := must[*Agency](t)(r.Agency(ctx, "H03.01")); a.Name != "Cơ quan 1" {
			t.Errorf("a preview changed something: %+v", a)
		}
		_, err := r.ApplyImport(ctx, by, strings.NewReader(strings.Replace(csv, "Sở Y tế", "Sở khác", 1)), plan.Digest)
		wantKind(t, err, KindConflict)
		res := must[ImportResult](t)(r.ApplyImport(ctx, by, strings.NewReader(csv), plan.Digest))
		if res.Added != 1 || res.Changed != 2 || res.Unchanged != 1 {
			t.Errorf("%+v", res)
		}
		_, err = r.ApplyImport(ctx, by, strings.NewReader(csv), plan.Digest) // the registry is another now
		wantKind(t, err, KindConflict)
		a := must[*Agency](t)(r.Agency(ctx, "H03.01"))
		if a.Symbol != "CQ" || !a.Takes("CV") || a.Takes("TTr") || a.MaxSize != 1000 {
			t.Errorf("a column that the file has not changed, or one it has did not: %+v", a)
		}
		// Conflicts.
		if err := end(r, Ending{Act: "merge", Closed: []AgencyID{"H03.03"}, Heirs: map[AgencyID]AgencyID{"H03.03": "H03.01"}, At: c.Now()}); err != nil {
			t.Fatal(err)
		}
		plan = must[*ImportPlan](t)(r.PreviewImport(ctx, by, strings.NewReader("code,name,legacy_code,parent,valid_to\n"+
			"H03.03,Sở Y tế,,H03,\n"+ // ended, would begin again
			"H03.04,x,001.00.00.H03,H03,\n"+ // another's QCVN 102 code
			"H03.05,x,,H03.99,\n"+ // no parent
			"H03.06,x,,H03.07,\nH03.07,x,,H03.06,\n"))) // a loop
		var lines []int
		for _, p := range plan.Conflicts {
			lines = append(lines, p.Line)
		}
		if !slices.Equal(lines, []int{2, 3, 4, 5, 6}) {
			t.Errorf("%+v", plan.Conflicts)
		}
		if err := r.Check(ctx, func(p string) { t.Error(p) }); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDeltas: another registry that follows the changes ends up the same, and says what conflicts.
func TestDeltas(t *testing.T) {
	each(t, func(t *testing.T, r *Registry, c *clock) {
		ctx := context.Background()
		province(t, r)
		follower := must[*Registry](t)(New(sqldbtest.SQLite(t), Options{Now: c.Now}))
		system, since := System("sync"), int64(0)
		follow := func(want ...string) {
			t.Helper()
			list := must[[]Delta](t)(r.Deltas(ctx, since, 0))
			outcomes := must[[]Outcome](t)(follower.ApplyDeltas(ctx, system, "trung ương", list))
			var got []string
			for i, o := range outcomes {
				got = append(got, string(list[i].Op)+" "+string(o.Code)+" "+o.Result)
				if (o.Result == DeltaConflict) != (o.Reason != "" && o.ReasonEN != "") {
					t.Errorf("%+v", o)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%q, want %q", got, want)
			}
			again := must[[]Outcome](t)(follower.ApplyDeltas(ctx, system, "trung ương", list))
			if !slices.Equal(outcomes, again) {
				t.Errorf("again: %+v", again)
			}
			since = must[int64](t)(r.Version(ctx))
		}
		follow("CREATE H03 VALID", "CREATE H03.01 VALID", "CREATE H03.01.02 VALID")
		a := must[*Agency](t)(r.Agency(ctx, "H03.01"))
		for _, name := range []string{"Một", "Hai"} { // two changes are one delta
			a.Name = name
			if err := r.UpdateAgency(ctx, system, *a); err != nil {
				t.Fatal(err)
			}
		}
		if err := end(r, Ending{Act: "close", Closed: []AgencyID{"H03.01.02"}, At: c.Now()}); err != nil {
			t.Fatal(err)
		}
		follow("MODIFY H03.01 VALID", "DELETE H03.01.02 VALID")
		if got := must[*Agency](t)(follower.Agency(ctx, "H03.01")); got.Name != "Hai" {
			t.Errorf("%+v", got)
		}
		// What was changed at the follower is not overwritten, and the others go on.
		mine := must[*Agency](t)(follower.Agency(ctx, "H03"))
		mine.Name = "Sửa tại chỗ"
		if err := follower.UpdateAgency(ctx, system, *mine); err != nil {
			t.Fatal(err)
		}
		if err := follower.AddAgency(ctx, system, Agency{ID: "H50", Name: "Của tôi", LegacyCode: "000.00.50.H03"}); err != nil {
			t.Fatal(err)
		}
		b := must[*Agency](t)(r.Agency(ctx, "H03"))
		b.Name = "Sửa ở trung ương"
		if err := r.UpdateAgency(ctx, system, *b); err != nil {
			t.Fatal(err)
		}
		for _, x := range []Agency{{ID: "H50", Name: "Của trên"}, {ID: "H51", Name: "x", LegacyCode: "000.00.50.H03"}, {ID: "H52", Name: "Được"}} {
			if err := r.AddAgency(ctx, system, x); err != nil {
				t.Fatal(err)
			}
		}
		follow("MODIFY H03 CONFLICT", "CREATE H50 CONFLICT", "CREATE H51 CONFLICT", "CREATE H52 VALID")
		bad := must[[]Outcome](t)(follower.ApplyDeltas(ctx, system, "khác", []Delta{
			{1, OpModify, Agency{ID: "H60", Name: "x"}, c.Now()}, {2, "DROP", Agency{ID: "H61", Name: "x"}, c.Now()},
			{3, OpDelete, Agency{ID: "H52", Name: "Được"}, c.Now()}, {4, OpCreate, Agency{ID: "H62", Name: "x", Parent: "H63"}, c.Now()},
			{5, OpCreate, Agency{ID: "h 6", Name: "x"}, c.Now()}, {6, OpCreate, Agency{ID: "H64", Name: "x", Parent: "H64"}, c.Now()}}))
		for _, o := range bad {
			if o.Result != DeltaConflict && o.Code != "H52" {
				t.Errorf("%+v", o)
			}
		}
		_, err := follower.ApplyDeltas(ctx, Actor{Agency: "H03", Roles: []Role{RoleClerk}}, "x", nil)
		wantKind(t, err, KindForbidden)
		for _, reg := range []*Registry{r, follower} {
			if err := reg.Check(ctx, func(p string) { t.Error(p) }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// country gives agencies as CSV: 34 provinces, communes below.
func country(agencies int) string {
	var csv strings.Builder
	csv.WriteString("code,legacy_code,name,symbol,place,level,mail,parent\n")
	const provinces = 34
	for i := range provinces {
		fmt.Fprintf(&csv, "X%02d,,Ủy ban nhân dân tỉnh %d,UBND,Tỉnh %d,province,x%d@example.vn,\n", i, i, i, i)
	}
	for i := range agencies - provinces {
		fmt.Fprintf(&csv, "X%02d.%d,,Ủy ban nhân dân xã %d,UBND,Xã %d,commune,x%d@example.vn,X%02d\n", i%provinces, i, i, i, i, i%provinces)
	}
	return csv.String()
}

// TestCountry prints the figures of a whole country's registry: 111,000 agencies
// where VANTHU_SCALE is set, else 3,000.
func TestCountry(t *testing.T) {
	agencies, changed := 3_000, 100
	if os.Getenv("VANTHU_SCALE") != "" {
		agencies, changed = 111_000, 1_000
	}
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { figures(t, db, agencies, changed) })
}

func figures(t *testing.T, db *sqldb.DB, agencies, changed int) {
	ctx, system := context.Background(), System("test")
	r := must[*Registry](t)(New(db, Options{}))
	csv := country(agencies)
	took := func(what string, since time.Time) { t.Logf("%s: %s", what, time.Since(since).Round(time.Millisecond)) }
	began := time.Now()
	plan := must[*ImportPlan](t)(r.PreviewImport(ctx, system, strings.NewReader(csv)))
	took(fmt.Sprintf("preview of %d agencies", agencies), began)
	second := time.Now()
	res := must[ImportResult](t)(r.ApplyImport(ctx, system, strings.NewReader(csv), plan.Digest))
	took("import", second)
	took("preview and import", began)
	if len(plan.Added) != agencies || res.Added != agencies {
		t.Fatalf("%d previewed, %d added", len(plan.Added), res.Added)
	}
	version := must[int64](t)(r.Version(ctx))
	edited := csv
	for i := range changed {
		edited = strings.Replace(edited, fmt.Sprintf("nhân dân xã %d,", i), fmt.Sprintf("nhân dân phường %d,", i), 1)
	}
	began = time.Now()
	again := must[*ImportPlan](t)(r.PreviewImport(ctx, system, strings.NewReader(edited)))
	took(fmt.Sprintf("preview with %d changes", changed), began)
	if len(again.Changed) != changed || again.Unchanged != agencies-changed {
		t.Fatalf("%d changed, %d unchanged", len(again.Changed), again.Unchanged)
	}
	began = time.Now()
	must[ImportResult](t)(r.ApplyImport(ctx, system, strings.NewReader(edited), again.Digest))
	took("import of the changes", began)
	began = time.Now()
	deltas := must[[]Delta](t)(r.Deltas(ctx, version, 10_000))
	took(fmt.Sprintf("delta of %d changes read", len(deltas)), began)
	if len(deltas) != changed {
		t.Fatalf("%d deltas", len(deltas))
	}
	follower := must[*Registry](t)(New(sqldbtest.SQLite(t), Options{}))
	must[ImportResult](t)(follower.ImportAgencies(ctx, system, strings.NewReader(edited)))
	for i := range deltas { // what the follower has, said by the source once, then changed there
		deltas[i].Op = OpModify
	}
	if all := must[[]Outcome](t)(follower.ApplyDeltas(ctx, system, "nguồn", deltas)); slices.ContainsFunc(all, func(o Outcome) bool { return o.Result != DeltaValid }) {
		t.Fatal("the follower does not take what it has")
	}
	for i := range deltas {
		deltas[i].Agency.Name += " mới"
		deltas[i].Version += int64(changed)
	}
	began = time.Now()
	outcomes := must[[]Outcome](t)(follower.ApplyDeltas(ctx, system, "nguồn", deltas))
	took(fmt.Sprintf("delta of %d changes applied", len(outcomes)), began)
	if slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.Result != DeltaValid }) {
		t.Fatalf("%+v", outcomes[:3])
	}
	const looks = 2000
	began = time.Now()
	for i := range looks {
		id := fmt.Sprintf("X%02d.%d", (i*7)%34, (i*7)%(agencies-34))
		if _, err := r.Resolve(ctx, id, time.Now()); err != nil && (i*7)%34 == (i*7)%(agencies-34)%34 {
			t.Fatal(err)
		}
	}
	t.Logf("look-up: %s on average of %d", (time.Since(began) / looks).Round(time.Microsecond), looks)
	for _, reg := range []*Registry{r, follower} {
		if err := reg.Check(ctx, func(p string) { t.Error(p) }); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkResolve looks codes up among 111,000 agencies, each another one.
func BenchmarkResolve(b *testing.B) {
	ctx := context.Background()
	r := must[*Registry](b)(New(sqldbtest.SQLite(b), Options{}))
	must[ImportResult](b)(r.ImportAgencies(ctx, System("test"), strings.NewReader(country(111_000))))
	i := 0
	for b.Loop() {
		i = (i + 7919) % (111_000 - 34)
		if _, err := r.Resolve(ctx, fmt.Sprintf("X%02d.%d", i%34, i), time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzImport(f *testing.F) {
	f.Add("code,name\nH1,A\n")
	f.Add(ImportHeader + "\nH1,,A,,,,,H2,2020-01-01,,,\"QĐ,CV\",10,required\n")
	f.Add("\ufeffcode,name\n\"H1")
	r := must[*Registry](f)(New(sqldbtest.SQLite(f), Options{}))
	f.Fuzz(func(t *testing.T, csv string) {
		plan, err := r.PreviewImport(context.Background(), System("test"), strings.NewReader(csv))
		if err != nil && KindOf(err) == "" {
			t.Fatal(err)
		}
		if err == nil && len(plan.Conflicts) == 0 && len(plan.Digest) != 64 {
			t.Fatalf("%+v", plan)
		}
	})
}
