package registry

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/signing/keys"
	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func each(t *testing.T, test func(t *testing.T, r *Registry, c *clock)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := &clock{now: time.Date(2026, 3, 5, 1, 0, 0, 0, time.UTC)}
		r, err := New(db, Options{Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		test(t, r, c)
	})
}

func wantKind(tb testing.TB, err error, k Kind) {
	tb.Helper()
	if KindOf(err) != k {
		tb.Fatalf("error %v, want kind %q", err, k)
	}
}

func must[T any](tb testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// province adds H03 with H03.01 and H03.01.02 below, and an administrator of each.
func province(tb testing.TB, r *Registry) map[AgencyID]Actor {
	tb.Helper()
	ctx := context.Background()
	admins := map[AgencyID]Actor{}
	parent := AgencyID("")
	for i, id := range []AgencyID{"H03", "H03.01", "H03.01.02"} {
		a := Agency{ID: id, Name: fmt.Sprintf("Cơ quan %d", i), Symbol: "CQ", Parent: parent, LegacyCode: fmt.Sprintf("%03d.00.00.H03", i)}
		if err := r.AddAgency(ctx, System("test"), a); err != nil {
			tb.Fatal(err)
		}
		p := must[*Person](tb)(r.AddPerson(ctx, System("test"), Person{Login: fmt.Sprintf("admin%d", i), Name: "Quản trị", Agency: id, Roles: []Role{RoleAdministrator}}, "mật khẩu dài"))
		admins[id] = must[Actor](tb)(r.ActorOf(ctx, p.ID))
		parent = id
	}
	return admins
}

func TestParseAgencyID(t *testing.T) {
	for in, want := range map[string]string{
		"H03": "H03", " h37.dn.001 ": "H37.DN.001", "000.00.12.H03": "000.00.12.H03", "0100109106": "0100109106",
		"Н03": "", "": "", "H03..1": "", ".H03": "", "H03/1": "", "H03\n": "H03", "Đ03": "", strings.Repeat("A", 36): "", "H03 1": "", "К15": "",
	} {
		got, err := ParseAgencyID(in)
		if string(got) != want || (want == "") != (KindOf(err) == KindInvalid) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestAgencies(t *testing.T) {
	each(t, func(t *testing.T, r *Registry, c *clock) {
		ctx := context.Background()
		admins := province(t, r)
		byLegacy := must[*Agency](t)(r.Agency(ctx, "001.00.00.H03"))
		if byLegacy.ID != "H03.01" {
			t.Fatalf("%+v", byLegacy)
		}
		_, err := r.Agency(ctx, "H99")
		wantKind(t, err, KindNotFound)
		wantKind(t, r.AddAgency(ctx, System("test"), Agency{ID: "H03", Name: "x"}), KindConflict)
		wantKind(t, r.AddAgency(ctx, System("test"), Agency{ID: "H04", Name: "x", LegacyCode: "000.00.00.H03"}), KindConflict)
		wantKind(t, r.AddAgency(ctx, System("test"), Agency{ID: "H04", Name: "x", Parent: "H98"}), KindInvalid)
		wantKind(t, r.AddAgency(ctx, System("test"), Agency{ID: "H04", Name: "x\u0000"}), KindInvalid)
		wantKind(t, r.AddAgency(ctx, System("test"), Agency{ID: "H04", Name: "x", Mail: "Lãnh đạo <a@b.vn>"}), KindInvalid)
		wantKind(t, r.AddAgency(ctx, System("test"), Agency{ID: "H04", Name: "x", Parent: "H04"}), KindInvalid)
		// The tree bounds what an administrator may touch.
		mid := admins["H03.01"]
		if err := r.AddAgency(ctx, mid, Agency{ID: "H03.01.03", Name: "Phòng", Parent: "H03.01"}); err != nil {
			t.Fatal(err)
		}
		wantKind(t, r.AddAgency(ctx, mid, Agency{ID: "H03.02", Name: "Sở", Parent: "H03"}), KindForbidden)
		wantKind(t, r.AddAgency(ctx, mid, Agency{ID: "H05", Name: "Gốc"}), KindForbidden)
		wantKind(t, r.AddAgency(ctx, Actor{Agency: "H03", Roles: []Role{RoleClerk}}, Agency{ID: "H03.02", Name: "Sở", Parent: "H03"}), KindForbidden)
		if err := r.AddAgency(ctx, admins["H03"], Agency{ID: "H05", Name: "Gốc khác"}); err != nil {
			t.Fatal(err)
		}
		a := must[*Agency](t)(r.Agency(ctx, "H03.01.02"))
		a.Name = "Đội Quản lý trật tự"
		wantKind(t, r.UpdateAgency(ctx, admins["H03.01.02"], Agency{ID: "H03", Name: "x"}), KindForbidden)
		if err := r.UpdateAgency(ctx, mid, *a); err != nil {
			t.Fatal(err)
		}
		if got := must[*Agency](t)(r.Agency(ctx, "H03.01.02")); got.Name != a.Name {
			t.Errorf("the change is not seen: %+v", got)
		}
		root := must[*Agency](t)(r.Agency(ctx, "H03"))
		root.Parent = "H03.01.02"
		wantKind(t, r.UpdateAgency(ctx, System("test"), *root), KindInvalid) // a loop
		found := must[[]Agency](t)(r.Agencies(ctx, Filter{Query: "doi quan ly"}))
		if len(found) != 1 || found[0].ID != "H03.01.02" {
			t.Errorf("search: %+v", found)
		}
		page := must[[]Agency](t)(r.Agencies(ctx, Filter{After: "H03", Limit: 2}))
		if len(page) != 2 || page[0].ID != "H03.01" {
			t.Errorf("page: %+v", page)
		}
		tree := must[[]AgencyID](t)(r.Subtree(ctx, "H03.01"))
		if !slices.Equal(tree, []AgencyID{"H03.01", "H03.01.02", "H03.01.03"}) {
			t.Errorf("subtree %v", tree)
		}
	})
}

func TestImport(t *testing.T) {
	each(t, func(t *testing.T, r *Registry, c *clock) {
		ctx := context.Background()
		head := "code,legacy_code,name,symbol,place,level,mail,parent,valid_from,valid_to,channel\n"
		good := "\ufeff" + head +
			"H03.01.01,,\"Phòng Nội vụ, Văn xã\",PNV,Bắc Kạn,unit,,H03.01,,,\n" + // its parent stands below
			"H03,000.00.00.H03,UBND tỉnh Bắc Kạn,UBND,Bắc Kạn,province,vanthu@bk.vn,,2020-09-15,,\n" +
			"H03.01,,Sở Nội vụ,SNV,Bắc Kạn,department,,H03,,2030-01-01,local\n"
		res, err := r.ImportAgencies(ctx, System("test"), strings.NewReader(good))
		if err != nil || res.Added != 3 {
			t.Fatalf("%+v, %v", res, err)
		}
		res, err = r.ImportAgencies(ctx, System("test"), strings.NewReader(strings.Replace(good, "Sở Nội vụ", "Sở Nội Vụ", 1)))
		if err != nil || res.Added != 0 || res.Changed != 1 || res.Unchanged != 2 {
			t.Fatalf("again: %+v, %v", res, err)
		}
		a := must[*Agency](t)(r.Agency(ctx, "H03"))
		if !a.ActiveAt(time.Date(2020, 9, 14, 17, 0, 0, 0, time.UTC)) || a.ActiveAt(time.Date(2020, 9, 14, 16, 59, 0, 0, time.UTC)) {
			t.Errorf("dates are not those of Vietnam: %v", a.ValidFrom)
		}
		for name, c := range map[string]struct {
			csv   string
			lines []int
		}{
			"empty": {"", nil}, "no header": {"H03,x\n", nil}, "unknown column": {"code,name,colour\n", nil}, "no name column": {"code\nH03\n", nil},
			"bad lines": {head + "H1,,A,,,,,,,,\nН2,,A,,,,,,,,\nH3,,,,,,,,,,\nH4,,A,,,,,,2020-13-01,,\nH5,12,A,,,,,,,,\nH6,x\nH1,,B,,,,,,,,\n", []int{3, 4, 5, 6, 7, 8}},
			"no parent": {head + "H7,,A,,,,,H77,,,\n", []int{2}}, "loop": {head + "H8,,A,,,,,H9,,,\nH9,,A,,,,,H8,,,\n", []int{2, 3}},
			"broken quote": {head + "H7,,\"A,,,,,,,,\n", []int{2}},
		} {
			res, err := r.ImportAgencies(ctx, System("test"), strings.NewReader(c.csv))
			wantKind(t, err, KindInvalid)
			var lines []int
			for _, p := range res.Problems {
				lines = append(lines, p.Line)
				if p.Text == "" || p.TextEN == "" {
					t.Errorf("%s: no text for line %d", name, p.Line)
				}
			}
			if !slices.Equal(lines, c.lines) {
				t.Errorf("%s: problems %+v, want lines %v", name, res.Problems, c.lines)
			}
		}
		if all := must[[]Agency](t)(r.Agencies(ctx, Filter{})); len(all) != 3 {
			t.Errorf("a refused import left something: %d agencies", len(all))
		}
	})
}

// BenchmarkImport loads a country's agencies: 111,000 of them.
func BenchmarkImport(b *testing.B) {
	var csv strings.Builder
	csv.WriteString("code,name,symbol,parent\n")
	for i := range 100 {
		fmt.Fprintf(&csv, "X%d,Tỉnh %d,UBND,\n", i, i)
		for j := range 1109 {
			fmt.Fprintf(&csv, "X%d.%d,Cơ quan %d của tỉnh %d,CQ,X%d\n", i, j, j, i, i)
		}
	}
	for b.Loop() {
		r := must[*Registry](b)(New(sqldbtest.SQLite(b), Options{}))
		res := must[ImportResult](b)(r.ImportAgencies(context.Background(), System("test"), strings.NewReader(csv.String())))
		if res.Added != 111_000 {
			b.Fatalf("%+v", res)
		}
	}
}

func TestPeople(t *testing.T) {
	each(t, func(t *testing.T, r *Registry, c *clock) {
		ctx := context.Background()
		admins := province(t, r)
		by := admins["H03.01"]
		good := Person{Login: " An.Nguyen ", Name: "Nguyễn Văn An", Position: "Chuyên viên", Agency: "H03.01.02", Roles: []Role{RoleOfficer, RoleClerk}}
		p := must[*Person](t)(r.AddPerson(ctx, by, good, "một mật khẩu dài"))
		if p.Login != "an.nguyen" || !slices.Equal(p.Roles, []Role{RoleClerk, RoleOfficer}) {
			t.Fatalf("%+v", p)
		}
		for name, c := range map[string]struct {
			change func(*Person)
			by     Actor
			kind   Kind
		}{
			"taken":          {func(p *Person) {}, by, KindConflict},
			"bad login":      {func(p *Person) { p.Login = "ă b" }, by, KindInvalid},
			"no name":        {func(p *Person) { p.Login, p.Name = "b2", "" }, by, KindInvalid},
			"no role":        {func(p *Person) { p.Login, p.Roles = "b2", nil }, by, KindInvalid},
			"unknown role":   {func(p *Person) { p.Login, p.Roles = "b2", []Role{"boss"} }, by, KindInvalid},
			"above":          {func(p *Person) { p.Login, p.Agency = "b2", "H03" }, by, KindForbidden},
			"nowhere":        {func(p *Person) { p.Login, p.Agency = "b2", "H88" }, by, KindNotFound},
			"by a clerk":     {func(p *Person) { p.Login = "b2" }, must[Actor](t)(r.ActorOf(ctx, p.ID)), KindForbidden},
			"of a neighbour": {func(p *Person) { p.Login, p.Agency = "b2", "H03.01" }, admins["H03.01.02"], KindForbidden},
		} {
			q := good
			c.change(&q)
			_, err := r.AddPerson(ctx, c.by, q, "một mật khẩu dài")
			if KindOf(err) != c.kind {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := r.AddPerson(ctx, by, Person{Login: "ngan", Name: "Ngắn", Agency: "H03.01", Roles: []Role{RoleOfficer}}, "ngắn")
		wantKind(t, err, KindInvalid)
		token, _, err := r.Login(ctx, "AN.NGUYEN", "một mật khẩu dài", "10.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		p.Disabled = true
		if err := r.UpdatePerson(ctx, by, *p); err != nil {
			t.Fatal(err)
		}
		_, err = r.Authenticate(ctx, token)
		wantKind(t, err, KindUnauthenticated)
		_, _, err = r.Login(ctx, "an.nguyen", "một mật khẩu dài", "10.0.0.1")
		wantKind(t, err, KindUnauthenticated)
		if list := must[[]Person](t)(r.People(ctx, "H03.01.02")); len(list) != 2 {
			t.Errorf("%d people", len(list))
		}
	})
}

func TestSessions(t *testing.T) {
	each(t, func(t *testing.T, r *Registry, c *clock) {
		ctx := context.Background()
		admins := province(t, r)
		login := func() string {
			t.Helper()
			token, _, err := r.Login(ctx, "admin0", "mật khẩu dài", "10.0.0.1")
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		token := login()
		if !strings.HasPrefix(token, "vt_") || len(token) != 3+43 {
			t.Errorf("token %q", token)
		}
		a := must[Actor](t)(r.Authenticate(ctx, token))
		if a.Person != admins["H03"].Person || !a.Has(RoleAdministrator) {
			t.Errorf("%+v", a)
		}
		// In use it lives 8 hours, not longer.
		for passed := time.Duration(0); passed < SessionLife-20*time.Minute; passed += 20 * time.Minute {
			c.pass(20 * time.Minute)
			if _, err := r.Authenticate(ctx, token); err != nil {
				t.Fatalf("after %s: %v", passed, err)
			}
		}
		c.pass(21 * time.Minute)
		_, err := r.Authenticate(ctx, token)
		wantKind(t, err, KindUnauthenticated)
		// Unused it ends after 30 minutes.
		token = login()
		c.pass(31 * time.Minute)
		_, err = r.Authenticate(ctx, token)
		wantKind(t, err, KindUnauthenticated)

		token = login()
		if err := r.Logout(ctx, token); err != nil {
			t.Fatal(err)
		}
		_, err = r.Authenticate(ctx, token)
		wantKind(t, err, KindUnauthenticated)
		for _, bad := range []string{"", "vt_", "x", "vt_" + strings.Repeat("A", 43), strings.Repeat("vt_", 1000)} {
			_, err = r.Authenticate(ctx, bad)
			wantKind(t, err, KindUnauthenticated)
		}
		// A new password ends what the old one opened.
		token = login()
		wantKind(t, r.SetPassword(ctx, admins["H03.01"], a.Person, "mật khẩu mới"), KindForbidden)
		if err := r.SetPassword(ctx, a, a.Person, "mật khẩu mới"); err != nil {
			t.Fatal(err)
		}
		_, err = r.Authenticate(ctx, token)
		wantKind(t, err, KindUnauthenticated)

		api := must[string](t)(r.CreateToken(ctx, a, "kiểm thử", 48*time.Hour))
		c.pass(47 * time.Hour)
		must[Actor](t)(r.Authenticate(ctx, api))
		c.pass(2 * time.Hour)
		_, err = r.Authenticate(ctx, api)
		wantKind(t, err, KindUnauthenticated)
		_, err = r.CreateToken(ctx, a, "lâu quá", 2*MaxTokenTTL)
		wantKind(t, err, KindInvalid)
		_, err = r.CreateToken(ctx, System("x"), "hệ thống", time.Hour)
		wantKind(t, err, KindForbidden)
	})
}

// TestSecretsAreNotKept: neither token nor password can be read from the tables.
func TestSecretsAreNotKept(t *testing.T) {
	db := sqldbtest.SQLite(t)
	r := must[*Registry](t)(New(db, Options{}))
	province(t, r)
	ctx := context.Background()
	token, _, err := r.Login(ctx, "admin0", "mật khẩu dài", "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var session, password string
		if err := tx.QueryRow(ctx, `SELECT token FROM registry_session`).Scan(&session); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT password FROM registry_person WHERE login = $1`, "admin0").Scan(&password); err != nil {
			return err
		}
		if strings.Contains(session, token[3:]) || len(session) != 64 {
			t.Errorf("session is kept as %q", session)
		}
		if !strings.HasPrefix(password, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("password is kept as %q", password)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLoginLimits(t *testing.T) {
	c := &clock{now: time.Date(2026, 3, 5, 1, 0, 0, 0, time.UTC)}
	r := must[*Registry](t)(New(sqldbtest.SQLite(t), Options{Now: c.Now}))
	province(t, r)
	ctx := context.Background()
	for range maxPairFailures {
		_, _, err := r.Login(ctx, "admin0", "sai mật khẩu", "10.0.0.1")
		wantKind(t, err, KindUnauthenticated)
	}
	_, _, err := r.Login(ctx, "admin0", "mật khẩu dài", "10.0.0.1")
	wantKind(t, err, KindUnauthenticated) // even with the right one
	if _, _, err := r.Login(ctx, "admin0", "mật khẩu dài", "10.0.0.2"); err != nil {
		t.Errorf("its owner is locked out from elsewhere: %v", err)
	}
	c.pass(failureWindow)
	if _, _, err := r.Login(ctx, "admin0", "mật khẩu dài", "10.0.0.1"); err != nil {
		t.Errorf("still locked: %v", err)
	}
	l := newLimiter(c.Now)
	try := func(login, from string) bool {
		end, wait, err := l.begin(ctx, login, from)
		if err != nil {
			t.Fatal(err)
		}
		if wait == 0 {
			end(failed)
		}
		return wait == 0
	}
	for i := range maxFromFailures {
		try(fmt.Sprintf("user%d", i), "10.9.9.9")
	}
	if try("someone", "10.9.9.9") {
		t.Error("one address may guess at every account")
	}
	guesses := 0
	for i := range 10 * maxNameFailures {
		if try("minister", fmt.Sprintf("10.8.%d.%d", i/250, i%250)) {
			guesses++
		}
	}
	if guesses != maxNameFailures {
		t.Errorf("%d guesses at one account from many addresses", guesses)
	}
	for i := range 5 * maxFailureKeys {
		try(fmt.Sprintf("u%d", i), fmt.Sprintf("a%d", i))
	}
	if len(l.seen) > 2*maxFailureKeys+3 {
		t.Errorf("the table of failures grows to %d", len(l.seen))
	}
}

// TestLoginsAtOnce: many right logins of one person at once all succeed, and
// many wrong ones at once are no more guesses than one after the other.
func TestLoginsAtOnce(t *testing.T) {
	c := &clock{now: time.Date(2026, 3, 5, 1, 0, 0, 0, time.UTC)}
	r := must[*Registry](t)(New(sqldbtest.SQLite(t), Options{Now: c.Now}))
	province(t, r)
	ctx := t.Context()
	atOnce := func(n int, do func() bool) int {
		var yes atomic.Int64
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				if do() {
					yes.Add(1)
				}
			})
		}
		all.Wait()
		return int(yes.Load())
	}
	in := atOnce(3*maxPairFailures, func() bool {
		_, _, err := r.Login(ctx, "admin0", "mật khẩu dài", "10.0.0.1")
		return err == nil
	})
	if in != 3*maxPairFailures || len(r.limiter.seen) != 0 {
		t.Errorf("%d right logins succeed, %d things are remembered of them", in, len(r.limiter.seen))
	}
	guesses := atOnce(4*maxPairFailures, func() bool {
		end, wait, err := r.limiter.begin(ctx, "admin0", "10.0.0.1")
		if err != nil || wait > 0 {
			return false
		}
		time.Sleep(time.Millisecond)
		end(failed)
		return true
	})
	if guesses != maxPairFailures {
		t.Errorf("%d guesses at once, want %d", guesses, maxPairFailures)
	}
	if _, _, err := r.Login(ctx, "admin0", "mật khẩu dài", "10.0.0.2"); err != nil {
		t.Errorf("its owner is locked out from elsewhere: %v", err)
	}
	for range maxPairFailures { // under way and never decided: the next waits as long as its caller wants
		if _, _, err := r.limiter.begin(ctx, "admin1", "10.0.0.1"); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, _, err := r.Login(short, "admin1", "mật khẩu dài", "10.0.0.1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for others: %v", err)
	}
}

func TestKeys(t *testing.T) {
	each(t, func(t *testing.T, r *Registry, c *clock) {
		ctx := context.Background()
		admins := province(t, r)
		signer, chain := certs.Identity(t, certs.OfficialEC)
		key := must[*keys.Key](t)(keys.New(signer, chain...))
		p12 := must[[]byte](t)(key.ToPKCS12("bí mật"))
		p := must[*Person](t)(r.AddPerson(ctx, System("t"), Person{Login: "an", Name: "An", Agency: "H03.01", Roles: []Role{RoleOfficer}}, ""))
		self := must[Actor](t)(r.ActorOf(ctx, p.ID))
		_, err := r.Key(ctx, PersonOwner(p.ID))
		wantKind(t, err, KindNotFound)
		wantKind(t, r.SetKey(ctx, self, PersonOwner(p.ID), p12, "sai"), KindInvalid)
		wantKind(t, r.SetKey(ctx, self, PersonOwner(p.ID), []byte("không phải tệp khóa"), "bí mật"), KindInvalid)
		wantKind(t, r.SetKey(ctx, self, AgencyOwner("H03.01"), p12, "bí mật"), KindForbidden)
		wantKind(t, r.SetKey(ctx, admins["H03.01.02"], PersonOwner(p.ID), p12, "bí mật"), KindForbidden)
		wantKind(t, r.SetKey(ctx, self, PersonOwner("nobody"), p12, "bí mật"), KindNotFound)
		if err := r.SetKey(ctx, self, PersonOwner(p.ID), p12, "bí mật"); err != nil {
			t.Fatal(err)
		}
		if got := must[[]byte](t)(r.Key(ctx, PersonOwner(p.ID))); !slices.Equal(got, p12) {
			t.Error("the stored file is another")
		}
		list := must[[]Certificate](t)(r.Certificates(ctx, PersonOwner(p.ID)))
		if len(list) != 1 || list[0].Fingerprint != Fingerprint(key.Certificate) || !list[0].Certificate.Equal(key.Certificate) {
			t.Errorf("%+v", list)
		}
		seal := certs.Certificate(t, certs.SealEC)
		wantKind(t, r.AddCertificate(ctx, self, PersonOwner(p.ID), seal), KindForbidden) // nobody vouches for the own one
		add := func(c *x509.Certificate) error { return r.AddCertificate(ctx, admins["H03"], AgencyOwner("H03.01"), c) }
		if err := add(seal); err != nil {
			t.Fatal(err)
		}
		if err := add(seal); err != nil {
			t.Fatal(err)
		}
		if list := must[[]Certificate](t)(r.Certificates(ctx, AgencyOwner("H03.01"))); len(list) != 1 {
			t.Errorf("%d certificates", len(list))
		}
	})
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{"Sở  Nội vụ Đắk Lắk": "so noi vu dak lak", "QĐ-UBND": "qd-ubnd", "": "", " ĐƯỜNG ": "duong"} {
		if got := Fold(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	if got := LikePattern("50%_!"); got != "%50!%!_!!%" {
		t.Errorf("%q", got)
	}
}
