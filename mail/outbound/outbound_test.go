package outbound_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vanthu/mail"
	"vanthu/mail/outbound"
	"vanthu/mail/smtpd"
	"vanthu/storage/blob/disk"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

const password = "mật khẩu dài"

func newStore(tb testing.TB, domain string, q func(*sqldb.DB) *jobs.Queue) *mail.Store {
	tb.Helper()
	blobs, err := disk.Open(filepath.Join(tb.TempDir(), "blobs"))
	if err != nil {
		tb.Fatal(err)
	}
	db := sqldbtest.SQLite(tb)
	cfg := mail.Config{DB: db, Blobs: blobs, Domains: []string{domain}, Relay: true, PasswordCost: mail.PasswordCost{MemoryKiB: 64, Passes: 1}}
	if q != nil {
		cfg.Jobs = q(db)
	}
	s, err := mail.New(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// rig is our side: a store with the account a@tinh.example and a sender.
type rig struct {
	store *mail.Store
	a     *mail.Account
}

func newRig(tb testing.TB, smarthost string, change ...func(*outbound.Config)) *rig {
	tb.Helper()
	var queue *jobs.Queue
	store := newStore(tb, "tinh.example", func(db *sqldb.DB) *jobs.Queue {
		var err error
		if queue, err = jobs.New(db, jobs.Options{PollInterval: 20 * time.Millisecond}); err != nil {
			tb.Fatal(err)
		}
		return queue
	})
	cfg := outbound.Config{Store: store, Jobs: queue, Smarthost: smarthost, Hostname: "mx.tinh.example",
		Backoff: func(int) time.Duration { return 10 * time.Millisecond }}
	for _, f := range change {
		f(&cfg)
	}
	if _, err := outbound.New(cfg); err != nil {
		tb.Fatal(err)
	}
	if err := queue.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := queue.Stop(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	a, err := store.AddAccount(context.Background(), mail.Account{Address: "a@tinh.example"}, password)
	if err != nil {
		tb.Fatal(err)
	}
	return &rig{store, a}
}

func (r *rig) submit(tb testing.TB, to ...mail.Address) {
	tb.Helper()
	err := r.store.Submit(context.Background(), r.a, mail.Envelope{From: r.a.Address, To: to},
		strings.NewReader("From: a@tinh.example\r\nSubject: ra ngoài\r\n\r\n.dot\r\nbody\r\n"))
	if err != nil {
		tb.Fatal(err)
	}
}

func inbox(tb testing.TB, s *mail.Store, a *mail.Account) []mail.Message {
	tb.Helper()
	box, err := s.Mailbox(context.Background(), a.ID, mail.Inbox)
	if err != nil {
		tb.Fatal(err)
	}
	all, err := s.List(context.Background(), box.ID, 0, 100)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	tb.Fatalf("%s: did not happen", what)
}

// drained says that nothing is left in the queue, and checks the store.
func (r *rig) drained(tb testing.TB) {
	tb.Helper()
	eventually(tb, "the queue drains", func() bool {
		rows, err := r.store.Queue(context.Background(), 100)
		if err != nil {
			tb.Fatal(err)
		}
		return len(rows) == 0
	})
	if err := r.store.Check(context.Background(), func(p string) { tb.Errorf("check: %s", p) }); err != nil {
		tb.Fatal(err)
	}
}

func selfSigned(tb testing.TB) (server, client *tls.Config) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

func listen(tb testing.TB, serve func(net.Listener) error) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(l) }()
	tb.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// TestToAnotherServer sends through STARTTLS with a checked certificate to a
// real server, which has one of two recipients.
func TestToAnotherServer(t *testing.T) {
	server, client := selfSigned(t)
	other := newStore(t, "else.example", nil)
	b, err := other.AddAccount(t.Context(), mail.Account{Address: "b@else.example"}, password)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := smtpd.New(smtpd.Config{Store: other, TLS: server})
	if err != nil {
		t.Fatal(err)
	}
	addr := listen(t, srv.ServeMX)
	t.Cleanup(func() { _ = srv.Close() })
	r := newRig(t, "smtp://"+addr+"?tls=required", func(c *outbound.Config) { c.TLS = client })
	r.submit(t, "b@else.example", "nobody@else.example")
	eventually(t, "b gets it", func() bool { return len(inbox(t, other, b)) == 1 })
	got := inbox(t, other, b)
	rc, err := other.Open(t.Context(), &got[0])
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	text, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"from mx.tinh.example", "ESMTPS", "Subject: ra ngoài\r\n\r\n.dot\r\nbody\r\n", "Message-ID: <"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("message %q has no %q", text, want)
		}
	}
	r.drained(t)
	bounces := inbox(t, r.store, r.a)
	if len(bounces) != 1 {
		t.Fatalf("%d bounces", len(bounces))
	}
	bounce, err := r.store.Open(t.Context(), &bounces[0])
	if err != nil {
		t.Fatal(err)
	}
	defer bounce.Close()
	text, err = io.ReadAll(bounce)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Return-Path: <>\r\n", "multipart/report; report-type=delivery-status", "Final-Recipient: rfc822; nobody@else.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 No such recipient here",
		"Subject: ra ngoài\r\n", "Auto-Submitted: auto-replied"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("bounce %q has no %q", text, want)
		}
	}
}

// script is a server that answers from a list for each command.
type script struct {
	mu      sync.Mutex
	answers map[string][]string // verb: answers in turn, the last for ever
	seen    []string
}

func (s *script) answer(line string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, line)
	verb := strings.ToUpper(strings.Fields(line + " ")[0])
	list := s.answers[verb]
	if len(list) == 0 {
		return "250 2.0.0 ok"
	}
	if len(list) > 1 {
		s.answers[verb] = list[1:]
	}
	return list[0]
}

func (s *script) serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go s.talk(c)
	}
}

func (s *script) talk(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	fmt.Fprint(c, "220 script\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		a := s.answer(line)
		if a == "hang up" {
			return
		}
		fmt.Fprint(c, a+"\r\n")
		if strings.HasPrefix(a, "354") {
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			fmt.Fprint(c, s.answer("FINAL")+"\r\n")
		}
		if strings.HasPrefix(line, "QUIT") {
			return
		}
	}
}

func (s *script) count(verb string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, line := range s.seen {
		if strings.HasPrefix(line, verb) {
			n++
		}
	}
	return n
}

func TestTemporaryThenSent(t *testing.T) {
	s := &script{answers: map[string][]string{"DATA": {"354 go"}, "RCPT": {"450 4.2.0 greylisted", "250 2.1.5 ok"}, "FINAL": {"hang up", "451 4.3.0 later", "250 2.0.0 queued as 1"}}}
	r := newRig(t, listen(t, s.serve))
	r.submit(t, "b@else.example")
	r.drained(t)
	if n := s.count("FINAL"); n != 3 {
		t.Errorf("%d transfers", n)
	}
	if n := len(inbox(t, r.store, r.a)); n != 0 {
		t.Errorf("%d bounces for a message that was sent", n)
	}
}

func TestRefused(t *testing.T) {
	for name, answers := range map[string]map[string][]string{
		"sender":    {"MAIL": {"550 5.7.1 no"}},
		"recipient": {"RCPT": {"550 5.1.1 no"}},
		"message":   {"DATA": {"354 go"}, "FINAL": {"554 5.6.0 no"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{answers: answers}
			r := newRig(t, listen(t, s.serve))
			r.submit(t, "b@else.example", "c@else.example")
			r.drained(t)
			if n := len(inbox(t, r.store, r.a)); n != 1 {
				t.Errorf("%d bounces, want one for both", n)
			}
		})
	}
}

func TestExpired(t *testing.T) {
	s := &script{answers: map[string][]string{"MAIL": {"451 4.3.0 never"}}}
	now := time.Now()
	r := newRig(t, listen(t, s.serve), func(c *outbound.Config) {
		c.Now = func() time.Time { return now.Add(6 * 24 * time.Hour) }
	})
	r.submit(t, "b@else.example")
	r.drained(t)
	got := inbox(t, r.store, r.a)
	if len(got) != 1 || !strings.Contains(got[0].Summary.Preview, "không đến được") {
		t.Errorf("bounces: %+v", got)
	}
}

func TestLogin(t *testing.T) {
	s := &script{answers: map[string][]string{"EHLO": {"250-me\r\n250-AUTH PLAIN\r\n250 8BITMIME"}, "AUTH": {"535 5.7.8 no", "235 2.7.0 ok"}, "DATA": {"354 go"}}}
	r := newRig(t, "smtp://user:secret@"+listen(t, s.serve)+"?tls=none")
	r.submit(t, "b@else.example")
	r.drained(t)
	if s.count("AUTH") != 2 || len(inbox(t, r.store, r.a)) != 0 {
		t.Errorf("a refused login bounced the message: %v", s.seen)
	}
}

func TestSmarthostAddress(t *testing.T) {
	q, err := jobs.New(sqldbtest.SQLite(t), jobs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store := newStore(t, "tinh.example", nil)
	for _, bad := range []string{"http://x", "smtp://", "smtp://u:p@mx.example?tls=none", "smtp://x?tls=maybe", "smtp://u:top\x7fsecret@x"} {
		_, err := outbound.New(outbound.Config{Store: store, Jobs: q, Smarthost: bad})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
