package mail_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vanthu/mail"
	"vanthu/storage/blob/disk"
	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

// cheap keeps password hashing out of the tests' way.
var cheap = mail.PasswordCost{MemoryKiB: 64, Passes: 1}

const password = "mật khẩu dài"

// open opens a store over db and a blob folder of the test.
func open(tb testing.TB, db *sqldb.DB, dir string, change ...func(*mail.Config)) *mail.Store {
	tb.Helper()
	blobs, err := disk.Open(filepath.Join(dir, "blobs"))
	if err != nil {
		tb.Fatal(err)
	}
	cfg := mail.Config{DB: db, Blobs: blobs, Domains: []string{"Tinh.example", "so.example"}, PasswordCost: cheap}
	for _, f := range change {
		f(&cfg)
	}
	s, err := mail.New(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newStore(tb testing.TB, change ...func(*mail.Config)) *mail.Store {
	tb.Helper()
	return open(tb, sqldbtest.SQLite(tb), tb.TempDir(), change...)
}

func addAccount(tb testing.TB, s *mail.Store, addr string) *mail.Account {
	tb.Helper()
	a, err := s.AddAccount(context.Background(), mail.Account{Address: mail.Address(addr)}, password)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func message(subject, body string) string {
	return "From: a@tinh.example\r\nTo: b@so.example\r\nSubject: " + subject +
		"\r\nMessage-ID: <" + subject + "@tinh.example>\r\nDate: Mon, 23 Nov 2026 13:00:00 +0700\r\n\r\n" + body + "\r\n"
}

func inbox(tb testing.TB, s *mail.Store, a *mail.Account) *mail.Mailbox {
	tb.Helper()
	m, err := s.Mailbox(context.Background(), a.ID, "inbox")
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func list(tb testing.TB, s *mail.Store, id mail.MailboxID) []mail.Message {
	tb.Helper()
	all, err := s.List(context.Background(), id, 0, 100)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// check fails the test on every problem that the store finds in itself.
func check(tb testing.TB, s *mail.Store) {
	tb.Helper()
	if err := s.Check(context.Background(), func(p string) { tb.Errorf("check: %s", p) }); err != nil {
		tb.Fatal(err)
	}
}

func deliver(tb testing.TB, s *mail.Store, env mail.Envelope, msg string) []mail.Delivered {
	tb.Helper()
	d, err := s.Deliver(context.Background(), env, strings.NewReader(msg))
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func read(tb testing.TB, s *mail.Store, m *mail.Message) string {
	tb.Helper()
	rc, err := s.Open(context.Background(), m)
	if err != nil {
		tb.Fatal(err)
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func TestAccounts(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := open(t, db, t.TempDir())
		a := addAccount(t, s, "Van.Thu@TINH.example")
		if a.Address != "van.thu@tinh.example" || a.Kind != mail.KindPerson || a.Quota != mail.DefaultQuota {
			t.Errorf("account %+v", a)
		}
		for name, c := range map[string]struct {
			a    mail.Account
			pw   string
			want error
		}{
			"twice":        {mail.Account{Address: "van.thu@tinh.example"}, password, mail.ErrExists},
			"not local":    {mail.Account{Address: "x@elsewhere.example"}, password, mail.ErrNotLocal},
			"no address":   {mail.Account{Address: "x"}, password, mail.ErrInvalid},
			"plus":         {mail.Account{Address: "x+y@so.example"}, password, mail.ErrInvalid},
			"short":        {mail.Account{Address: "x@so.example"}, "ngắn", mail.ErrInvalid},
			"bad kind":     {mail.Account{Address: "x@so.example", Kind: "robot"}, password, mail.ErrInvalid},
			"header in it": {mail.Account{Address: "x\r\ny@so.example"}, password, mail.ErrInvalid},
		} {
			if _, err := s.AddAccount(ctx, c.a, c.pw); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		if got, err := s.Account(ctx, "VAN.THU+to-trinh@tinh.example"); err != nil || got.ID != a.ID {
			t.Errorf("sub-address: %v %v", got, err)
		}
		boxes, err := s.Mailboxes(ctx, a.ID)
		if err != nil || len(boxes) != 6 || boxes[0].Name != "INBOX" {
			t.Errorf("mailboxes: %+v %v", boxes, err)
		}
		got, err := s.Authenticate(ctx, "van.thu@tinh.example", password, "192.0.2.1")
		if err != nil || got.ID != a.ID {
			t.Errorf("login: %v %v", got, err)
		}
		if _, err := s.Authenticate(ctx, "van.thu@tinh.example", "sai mật khẩu", "192.0.2.1"); !errors.Is(err, mail.ErrCredentials) {
			t.Errorf("wrong password: %v", err)
		}
		if _, err := s.Authenticate(ctx, "nobody@tinh.example", password, "192.0.2.1"); !errors.Is(err, mail.ErrCredentials) {
			t.Errorf("unknown login: %v", err)
		}
		if err := s.SetPassword(ctx, a.ID, "một mật khẩu khác"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Authenticate(ctx, "van.thu@tinh.example", "một mật khẩu khác", ""); err != nil {
			t.Errorf("new password: %v", err)
		}
		if err := s.SetDisabled(ctx, a.ID, true); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Authenticate(ctx, "van.thu@tinh.example", "một mật khẩu khác", ""); !errors.Is(err, mail.ErrDisabled) {
			t.Errorf("disabled: %v", err)
		}
		check(t, s)
	})
}

func TestThrottle(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	s := newStore(t, func(c *mail.Config) { c.Now = func() time.Time { return now } })
	addAccount(t, s, "a@tinh.example")
	login := func(pw, from string) error {
		_, err := s.Authenticate(t.Context(), "a@tinh.example", pw, from)
		return err
	}
	for range 10 {
		if err := login("wrong wrong", "192.0.2.1"); !errors.Is(err, mail.ErrCredentials) {
			t.Fatal(err)
		}
	}
	if err := login(password, "192.0.2.1"); !errors.Is(err, mail.ErrThrottled) {
		t.Errorf("after ten failures: %v", err)
	}
	if err := login(password, "192.0.2.2"); err != nil {
		t.Errorf("the official elsewhere is locked out: %v", err)
	}
	now = now.Add(16 * time.Minute)
	if err := login(password, "192.0.2.1"); err != nil {
		t.Errorf("after the window: %v", err)
	}
}

func TestImportAccounts(t *testing.T) {
	s := newStore(t)
	res, err := s.ImportAccounts(t.Context(), strings.NewReader("\ufeffAddress,Name,Kind,Password,Quota\n"+
		"a@so.example,Nguyễn Văn A,person,mật khẩu một,1000000\n"+
		"vt@so.example,Văn thư Sở,position,mật khẩu hai,\n"+
		"a@so.example,again,person,mật khẩu một,\n"+
		"bad,x,person,mật khẩu ba,\n"+
		"c@so.example,x,person,ngắn,\n"))
	if err != nil || res.Added != 2 || res.Skipped != 1 || len(res.Problems) != 2 || !strings.HasPrefix(res.Problems[0], "line 5") {
		t.Fatalf("%+v %v", res, err)
	}
	if _, err := s.ImportAccounts(t.Context(), strings.NewReader("name\nx\n")); !errors.Is(err, mail.ErrInvalid) {
		t.Errorf("without address: %v", err)
	}
}

func TestDeliver(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := open(t, db, t.TempDir(), func(c *mail.Config) { c.MaxMessage = 10_000 })
		a, b := addAccount(t, s, "a@tinh.example"), addAccount(t, s, "b@so.example")
		woken, stop := s.Watch(inbox(t, s, b).ID)
		defer stop()
		env := mail.Envelope{From: "x@else.example", To: []mail.Address{"a@tinh.example", "B@so.example", "b+x@so.example"},
			ID: "delivery/1", Trace: "Received: from x by y; Mon, 23 Nov 2026 13:00:00 +0700\r\n"}
		msg := message("hello", "body")
		if d := deliver(t, s, env, msg); len(d) != 2 || d[0].UID != 1 || d[0].Duplicate {
			t.Fatalf("delivered %+v", d)
		}
		select {
		case <-woken:
		default:
			t.Error("the watcher was not woken")
		}
		if d := deliver(t, s, env, msg); !d[0].Duplicate || !d[1].Duplicate || d[0].UID != 1 {
			t.Errorf("again: %+v", d)
		}
		for _, acc := range []*mail.Account{a, b} {
			all := list(t, s, inbox(t, s, acc).ID)
			if len(all) != 1 || all[0].Summary.Subject != "hello" || all[0].Summary.Preview != "body" {
				t.Fatalf("%s has %+v", acc.Address, all)
			}
			want := "Return-Path: <x@else.example>\r\nDelivered-To: " + string(acc.Address) + "\r\n" + env.Trace + msg
			if got := read(t, s, &all[0]); got != want || all[0].Size != int64(len(want)) {
				t.Errorf("bytes %q, want %q", got, want)
			}
		}
		for name, c := range map[string]struct {
			to   mail.Address
			msg  string
			want error
		}{
			"unknown":   {"nobody@so.example", msg, mail.ErrNoRecipient},
			"elsewhere": {"x@else.example", msg, mail.ErrNotLocal},
			"too large": {"a@tinh.example", msg + strings.Repeat("x", 10_000), mail.ErrTooLarge},
			"loop":      {"a@tinh.example", strings.Repeat("Received: x\r\n", 101) + "\r\n", mail.ErrLoop},
		} {
			if _, err := s.Deliver(ctx, mail.Envelope{To: []mail.Address{"b@so.example", c.to}}, strings.NewReader(c.msg)); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		if n := len(list(t, s, inbox(t, s, b).ID)); n != 1 {
			t.Errorf("after refusals b has %d messages", n)
		}
		if err := s.SetDisabled(ctx, a.ID, true); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Deliver(ctx, mail.Envelope{To: []mail.Address{"b@so.example", "a@tinh.example"}}, strings.NewReader(msg)); !errors.Is(err, mail.ErrDisabled) {
			t.Errorf("disabled: %v", err)
		}
		check(t, s)
	})
}

func TestQuota(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	a := addAccount(t, s, "a@tinh.example")
	if err := s.SetQuota(ctx, a.ID, 300); err != nil {
		t.Fatal(err)
	}
	env := mail.Envelope{To: []mail.Address{a.Address}}
	deliver(t, s, env, message("one", strings.Repeat("x", 300)))
	if _, err := s.Deliver(ctx, env, strings.NewReader(message("two", "x"))); !errors.Is(err, mail.ErrQuota) {
		t.Errorf("delivery over quota: %v", err)
	}
	if err := s.CheckRecipient(ctx, a.Address, 0, false); !errors.Is(err, mail.ErrQuota) {
		t.Errorf("recipient over quota: %v", err)
	}
	box := inbox(t, s, a)
	if _, _, err := s.Append(ctx, box.ID, mail.AppendInput{}, strings.NewReader("x")); !errors.Is(err, mail.ErrQuota) {
		t.Errorf("append over quota: %v", err)
	}
	if _, _, err := s.StoreFlags(ctx, box.ID, mail.UIDs(1), mail.AddFlags, mail.FlagDeleted, nil); err != nil {
		t.Fatal(err)
	}
	if gone, _, err := s.Expunge(ctx, box.ID, nil); err != nil || len(gone) != 1 {
		t.Fatal(gone, err)
	}
	deliver(t, s, env, message("three", "x"))
	check(t, s)
}

func TestFlagsCopyMove(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		s := open(t, db, t.TempDir())
		a := addAccount(t, s, "a@tinh.example")
		box := inbox(t, s, a)
		for i := range 5 {
			deliver(t, s, mail.Envelope{To: []mail.Address{a.Address}}, message(fmt.Sprint("m", i), "x"))
		}
		snap, err := s.Snapshot(ctx, box.ID, true)
		if err != nil || !slices.Equal(snap.UIDs, []mail.UID{1, 2, 3, 4, 5}) || snap.FirstUnseen != 1 || snap.Mailbox.RecentFrom != 1 {
			t.Fatalf("%+v %v", snap, err)
		}
		if again, err := s.Snapshot(ctx, box.ID, true); err != nil || again.Mailbox.RecentFrom != 6 {
			t.Errorf("recent was not claimed: %+v %v", again, err)
		}
		states, seq, err := s.StoreFlags(ctx, box.ID, mail.UIDs(1, 3), mail.AddFlags, mail.FlagSeen|mail.FlagDeleted, []string{"$Work", "$work", "Việc"})
		if !errors.Is(err, mail.ErrInvalid) {
			t.Errorf("bad keyword: %v %v %v", states, seq, err)
		}
		states, seq, err = s.StoreFlags(ctx, box.ID, mail.UIDs(1, 3), mail.AddFlags, mail.FlagSeen|mail.FlagDeleted, []string{"$Work", "$work"})
		if err != nil || len(states) != 2 || states[1].UID != 3 || seq <= snap.Mailbox.ModSeq || !slices.Equal(states[0].Keywords, []string{"$Work"}) {
			t.Fatalf("%+v %d %v", states, seq, err)
		}
		if _, none, err := s.StoreFlags(ctx, box.ID, mail.UIDs(1), mail.AddFlags, mail.FlagSeen, nil); err != nil || none != 0 {
			t.Errorf("nothing changed, yet modseq %d, %v", none, err)
		}
		ch, err := s.Changes(ctx, box.ID, snap.Mailbox.ModSeq)
		if err != nil || len(ch.Changed) != 2 || ch.ModSeq != seq {
			t.Errorf("changes %+v %v", ch, err)
		}
		work, err := s.CreateMailbox(ctx, a.ID, "Việc/2026", mail.UseNone)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Mailbox(ctx, a.ID, "Việc"); err != nil {
			t.Errorf("the level above was not made: %v", err)
		}
		res, err := s.Copy(ctx, box.ID, mail.UIDSet{{2, 3}}, work.ID)
		if err != nil || !slices.Equal(res.From, []mail.UID{2, 3}) || !slices.Equal(res.To, []mail.UID{1, 2}) {
			t.Fatalf("%+v %v", res, err)
		}
		if res, err = s.Move(ctx, box.ID, mail.UIDs(5), work.ID); err != nil || res.To[0] != 3 || res.ModSeq == 0 {
			t.Fatalf("%+v %v", res, err)
		}
		gone, _, err := s.Expunge(ctx, box.ID, mail.UIDs(3, 4))
		if err != nil || !slices.Equal(gone, []mail.UID{3}) {
			t.Fatalf("expunged %v %v", gone, err)
		}
		if ch, err = s.Changes(ctx, box.ID, seq); err != nil || !slices.Equal(ch.Expunged, []mail.UID{3, 5}) {
			t.Errorf("changes %+v %v", ch, err)
		}
		got := list(t, s, work.ID)
		if len(got) != 3 || got[0].Summary.Subject != "m4" || got[1].Flags&mail.FlagDeleted == 0 {
			t.Errorf("copied %+v", got)
		}
		check(t, s)
		testRename(t, s, a)
		check(t, s)
	})
}

func testRename(t *testing.T, s *mail.Store, a *mail.Account) {
	t.Helper()
	ctx := t.Context()
	if err := s.RenameMailbox(ctx, a.ID, "Việc", "Lưu/Việc"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Mailbox(ctx, a.ID, "Lưu/Việc/2026"); err != nil {
		t.Errorf("a mailbox below did not follow: %v", err)
	}
	if err := s.RenameMailbox(ctx, a.ID, "Lưu/Việc", "Lưu/Việc/x"); !errors.Is(err, mail.ErrInvalid) {
		t.Errorf("rename below itself: %v", err)
	}
	if err := s.RenameMailbox(ctx, a.ID, "INBOX", "cũ"); err != nil {
		t.Fatal(err)
	}
	old, err := s.Mailbox(ctx, a.ID, "cũ")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(list(t, s, old.ID)); n != 3 {
		t.Errorf("INBOX renamed: %d messages moved", n)
	}
	if n := len(list(t, s, inbox(t, s, a).ID)); n != 0 {
		t.Errorf("INBOX keeps %d messages", n)
	}
	if err := s.DeleteMailbox(ctx, a.ID, "cũ"); err != nil {
		t.Fatal(err)
	}
	again, err := s.CreateMailbox(ctx, a.ID, "cũ", mail.UseNone)
	if err != nil || again.UIDValidity <= old.UIDValidity {
		t.Errorf("UIDVALIDITY %d after %d: %v", again.UIDValidity, old.UIDValidity, err)
	}
	if err := s.DeleteMailbox(ctx, a.ID, "inbox"); !errors.Is(err, mail.ErrForbidden) {
		t.Errorf("INBOX deleted: %v", err)
	}
	for _, name := range []string{"", "a//b", "a*", "x\n", strings.Repeat("x", 2000), "\xff"} {
		if _, err := s.CreateMailbox(ctx, a.ID, name, mail.UseNone); !errors.Is(err, mail.ErrInvalid) {
			t.Errorf("mailbox %q: %v", name, err)
		}
	}
}

func TestSubmit(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	a, b := addAccount(t, s, "a@tinh.example"), addAccount(t, s, "b@so.example")
	env := mail.Envelope{From: "a@tinh.example", To: []mail.Address{"b@so.example"}}
	if err := s.Submit(ctx, a, env, strings.NewReader("Subject: x\r\n\r\nhello\r\n")); err != nil {
		t.Fatal(err)
	}
	got := list(t, s, inbox(t, s, b).ID)
	if len(got) != 1 || got[0].Summary.MessageID == "" || got[0].Summary.Sent.IsZero() || got[0].Summary.From != "a@tinh.example" {
		t.Errorf("completed: %+v", got)
	}
	if err := s.Submit(ctx, b, env, strings.NewReader("x")); !errors.Is(err, mail.ErrForbidden) {
		t.Errorf("another's address: %v", err)
	}
	env.To = append(env.To, "x@else.example")
	if err := s.Submit(ctx, a, env, strings.NewReader("x")); !errors.Is(err, mail.ErrNoRoute) {
		t.Errorf("no smarthost: %v", err)
	}
	check(t, s)
}

func TestSearch(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	a := addAccount(t, s, "a@tinh.example")
	box := inbox(t, s, a)
	put := func(msg string) {
		if _, _, err := s.Append(ctx, box.ID, mail.AppendInput{Received: time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC)}, strings.NewReader(msg)); err != nil {
			t.Fatal(err)
		}
	}
	put(message("=?utf-8?q?Quy=E1=BA=BFt_=C4=91=E1=BB=8Bnh?=", "khẩn"))
	put(message("two", "nothing\r\nmore lines"))
	put("Content-Type: multipart/mixed; boundary=b\r\nX-Test: yes\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" +
		"PGI+S2jhuqlu\r\nPC9iPg==\r\n--b--\r\n") // <b>Khẩn</b>
	if _, _, err := s.StoreFlags(ctx, box.ID, mail.UIDs(2), mail.SetFlags, mail.FlagSeen, []string{"x"}); err != nil {
		t.Fatal(err)
	}
	twoHundred := int64(200)
	for name, c := range map[string]struct {
		q    mail.Query
		want []mail.UID
	}{
		"all":         {mail.Query{}, []mail.UID{1, 2, 3}},
		"seen":        {mail.Query{With: mail.FlagSeen}, []mail.UID{2}},
		"unseen":      {mail.Query{Without: mail.FlagSeen}, []mail.UID{1, 3}},
		"keyword":     {mail.Query{Keywords: []string{"X"}}, []mail.UID{2}},
		"no keyword":  {mail.Query{NoKeyword: []string{"x"}}, []mail.UID{1, 3}},
		"subject":     {mail.Query{Header: []mail.HeaderQuery{{"Subject", "QUYẾT Đ"}}}, []mail.UID{1}},
		"header":      {mail.Query{Header: []mail.HeaderQuery{{"x-test", ""}}}, []mail.UID{3}},
		"body":        {mail.Query{Body: []string{"KHẨN"}}, []mail.UID{1, 3}},
		"body lines":  {mail.Query{Body: []string{"nothing more"}}, []mail.UID{2}},
		"text":        {mail.Query{Text: []string{"quyết"}}, []mail.UID{1}},
		"not":         {mail.Query{Not: []mail.Query{{Body: []string{"khẩn"}}}}, []mail.UID{2}},
		"or":          {mail.Query{Or: [][2]mail.Query{{{With: mail.FlagSeen}, {Text: []string{"yes"}}}}}, []mail.UID{2, 3}},
		"uids":        {mail.Query{UIDs: []mail.UIDSet{{{2, 3}}, {{3, mail.MaxUID}}}}, []mail.UID{3}},
		"larger":      {mail.Query{Larger: &twoHundred}, []mail.UID{1}},
		"since":       {mail.Query{Since: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)}, []mail.UID{1, 2, 3}},
		"before":      {mail.Query{Before: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)}, nil},
		"sent since":  {mail.Query{SentSince: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}, []mail.UID{1, 2}},
		"sent before": {mail.Query{SentBefore: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}, nil},
	} {
		got, err := s.Search(ctx, box.ID, &c.q)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v %v, want %v", name, got, err, c.want)
		}
	}
}

// TestReopen: what was acknowledged is there when the store is opened anew.
func TestReopen(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	path := filepath.Join(dir, "mail.db")
	db, err := sqldb.OpenSQLite(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, db, dir)
	a := addAccount(t, s, "a@tinh.example")
	for i := range 20 {
		deliver(t, s, mail.Envelope{To: []mail.Address{a.Address}, ID: fmt.Sprint("d", i)}, message(fmt.Sprint("m", i), "x"))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = sqldb.OpenSQLite(ctx, path); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s = open(t, db, dir)
	if n := len(list(t, s, inbox(t, s, a).ID)); n != 20 {
		t.Errorf("%d of 20 messages", n)
	}
	check(t, s)
}
