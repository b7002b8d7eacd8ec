package smtpd_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"vanthu/mail"
	"vanthu/mail/smtpd"
	"vanthu/storage/blob/disk"
	"vanthu/storage/sqldb/sqldbtest"
)

const password = "mật khẩu dài"

// selfSigned makes a certificate for localhost and what trusts it.
func selfSigned(tb testing.TB) (server, client *tls.Config) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
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
		&tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

// rig is a server with two accounts, a@ and b@tinh.example.
type rig struct {
	store                *mail.Store
	a, b                 *mail.Account
	client               *tls.Config
	mx, submission, smtp string // addresses
}

func newRig(tb testing.TB, change ...func(*smtpd.Config)) *rig {
	tb.Helper()
	blobs, err := disk.Open(filepath.Join(tb.TempDir(), "blobs"))
	if err != nil {
		tb.Fatal(err)
	}
	store, err := mail.New(context.Background(), mail.Config{DB: sqldbtest.SQLite(tb), Blobs: blobs, Domains: []string{"tinh.example"},
		MaxMessage: 1 << 20, PasswordCost: mail.PasswordCost{MemoryKiB: 64, Passes: 1}})
	if err != nil {
		tb.Fatal(err)
	}
	r := &rig{store: store}
	for name, dst := range map[string]**mail.Account{"a": &r.a, "b": &r.b} {
		if *dst, err = store.AddAccount(context.Background(), mail.Account{Address: mail.Address(name + "@tinh.example")}, password); err != nil {
			tb.Fatal(err)
		}
	}
	server, client := selfSigned(tb)
	r.client = client
	cfg := smtpd.Config{Store: store, Hostname: "mx.tinh.example", TLS: server}
	for _, f := range change {
		f(&cfg)
	}
	srv, err := smtpd.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	serve := func(f func(net.Listener) error) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- f(l) }()
		tb.Cleanup(func() {
			if err := <-done; err != nil {
				tb.Error(err)
			}
		})
		return l.Addr().String()
	}
	r.mx, r.submission, r.smtp = serve(srv.ServeMX), serve(srv.ServeSubmission), serve(srv.ServeSubmissionTLS)
	tb.Cleanup(func() {
		if err := srv.Close(); err != nil {
			tb.Error(err)
		}
	})
	return r
}

func (r *rig) inbox(tb testing.TB, a *mail.Account) []mail.Message {
	tb.Helper()
	box, err := r.store.Mailbox(context.Background(), a.ID, mail.Inbox)
	if err != nil {
		tb.Fatal(err)
	}
	all, err := r.store.List(context.Background(), box.ID, 0, 500)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func (r *rig) read(tb testing.TB, m *mail.Message) string {
	tb.Helper()
	rc, err := r.store.Open(context.Background(), m)
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

func send(c *smtp.Client, from string, to []string, msg string) error {
	return c.SendMail(from, to, strings.NewReader(msg))
}

func code(err error) int {
	var e *smtp.SMTPError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

const msg = "From: <x@else.example>\r\nTo: a@tinh.example\r\nSubject: xin =?utf-8?q?ch=C3=A0o?=\r\n\r\n..dots\r\nline\r\n"

func TestMX(t *testing.T) {
	r := newRig(t)
	c, err := smtp.DialStartTLS(r.mx, r.client)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := send(c, "x@else.example", []string{"a@tinh.example", "B+tag@TINH.example"}, msg); err != nil {
		t.Fatal(err)
	}
	if err := send(c, "", []string{"a@tinh.example"}, msg); err != nil {
		t.Errorf("null reverse-path: %v", err)
	}
	for to, want := range map[string]int{"nobody@tinh.example": 550, "x@else.example": 550, "a@tinh.example.": 0} {
		if err := send(c, "x@else.example", []string{to}, msg); code(err) != want {
			t.Errorf("to %s: %v, want %d", to, err, want)
		}
		if err := c.Reset(); err != nil {
			t.Fatal(err)
		}
	}
	got := r.inbox(t, r.a)
	if len(got) != 3 {
		t.Fatalf("a has %d messages", len(got))
	}
	text := r.read(t, &got[2])
	for _, want := range []string{"Return-Path: <x@else.example>\r\nDelivered-To: a@tinh.example\r\nReceived: from localhost ([127.0.0.1])\r\n\tby mx.tinh.example with ESMTPS", "\r\n\r\n..dots\r\nline\r\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("message %q has no %q", text, want)
		}
	}
	if ok, _ := c.Extension("AUTH"); ok {
		t.Error("MX offers AUTH")
	}
	if len(r.inbox(t, r.b)) != 1 {
		t.Error("b did not get his copy")
	}
}

func TestSubmission(t *testing.T) {
	r := newRig(t)
	plain, err := smtp.Dial(r.submission)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.Hello("me"); err != nil {
		t.Fatal(err)
	}
	if ok, _ := plain.Extension("AUTH"); ok {
		t.Error("AUTH is offered without TLS")
	}
	if ok, _ := plain.Extension("STARTTLS"); !ok {
		t.Error("STARTTLS is not offered")
	}
	if err := plain.Auth(sasl.NewPlainClient("", "a@tinh.example", password)); code(err) != 538 {
		t.Errorf("login without TLS: %v", err)
	}
	if err := plain.Mail("a@tinh.example", nil); code(err) != 530 {
		t.Errorf("without login: %v", err)
	}
	for name, dial := range map[string]func() (*smtp.Client, error){
		"starttls": func() (*smtp.Client, error) { return smtp.DialStartTLS(r.submission, r.client) },
		"tls":      func() (*smtp.Client, error) { return smtp.DialTLS(r.smtp, r.client) },
	} {
		t.Run(name, func(t *testing.T) { testSubmission(t, r, dial) })
	}
	got := r.inbox(t, r.b)
	if len(got) != 4 || got[0].Summary.MessageID == "" {
		t.Errorf("b has %+v", got)
	}
}

func testSubmission(t *testing.T, r *rig, dial func() (*smtp.Client, error)) {
	for _, mech := range []sasl.Client{sasl.NewPlainClient("", "a@tinh.example", password), sasl.NewLoginClient("a@tinh.example", password)} {
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Auth(mech); err != nil {
			t.Fatal(err)
		}
		if err := send(c, "a@tinh.example", []string{"b@tinh.example"}, "From: Ông A <a@tinh.example>\r\nSubject: s\r\n\r\nx\r\n"); err != nil {
			t.Error(err)
		}
		if err := send(c, "b@tinh.example", []string{"b@tinh.example"}, msg); code(err) != 550 {
			t.Errorf("as another: %v", err)
		}
		if err := c.Reset(); err != nil {
			t.Fatal(err)
		}
		if err := send(c, "a@tinh.example", []string{"b@tinh.example"}, "From: b@tinh.example\r\n\r\nx\r\n"); code(err) != 550 {
			t.Errorf("with another as author: %v", err)
		}
		if err := send(c, "a@tinh.example", []string{"x@else.example"}, msg); code(err) != 550 || !strings.Contains(err.Error(), "smarthost") {
			t.Errorf("to the outside without a smarthost: %v", err)
		}
	}
}

func TestLoginLimits(t *testing.T) {
	r := newRig(t)
	c, err := smtp.DialTLS(r.smtp, r.client)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	for i, want := range []int{535, 535, 421} {
		if err := c.Auth(sasl.NewPlainClient("", "a@tinh.example", "wrong password")); code(err) != want {
			t.Errorf("failure %d: %v, want %d", i+1, err, want)
		}
	}
	if d := time.Since(start); d < 5*time.Second {
		t.Errorf("three failures took %v: no delay", d)
	}
	if err := c.Noop(); err == nil {
		t.Error("the connection is still open after three failures")
	}
}

// dialog speaks raw SMTP.
type dialog struct {
	tb   testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func dial(tb testing.TB, addr string) *dialog {
	tb.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	d := &dialog{tb, c, bufio.NewReader(c)}
	d.expect("220")
	return d
}

func (d *dialog) write(s string) {
	d.tb.Helper()
	if _, err := io.WriteString(d.conn, s); err != nil {
		d.tb.Fatal(err)
	}
}

// line reads one whole reply, "" at the end of the connection.
func (d *dialog) reply() string {
	all := ""
	for {
		line, err := d.r.ReadString('\n')
		if err != nil {
			return all
		}
		all += line
		if len(line) < 4 || line[3] == ' ' {
			return all
		}
	}
}

func (d *dialog) expect(code string) string {
	d.tb.Helper()
	got := d.reply()
	if !strings.HasPrefix(got[strings.LastIndex(strings.TrimSuffix(got, "\n"), "\n")+1:], code) {
		d.tb.Fatalf("got %q, want %s", got, code)
	}
	return got
}

func (d *dialog) begin() {
	d.tb.Helper()
	d.write("EHLO me\r\n")
	d.expect("250")
	d.write("MAIL FROM:<x@else.example>\r\nRCPT TO:<a@tinh.example>\r\n") // PIPELINING
	d.expect("250")
	d.expect("250")
}

// TestSmuggling: every odd end of data is refused, nothing is stored, and the
// second message in the stream is never seen as one.
func TestSmuggling(t *testing.T) {
	r := newRig(t)
	for name, end := range map[string]string{
		"LF.LF": "\n.\n", "LF.CRLF": "\n.\r\n", "CRLF.LF": "\r\n.\n",
		"CRCRLF.CRCRLF": "\r\r\n.\r\r\n",
		"CR.CR":         "\r.\r", "CR.CRLF": "\r.\r\n", "CRLF.CR": "\r\n.\r", "LF.CR": "\n.\r",
		"CRLF.NUL CRLF": "\r\n.\x00\r\n", "NUL": "\x00", "bare CR": "a\rb", "bare LF": "a\nb", "CR at the end": "x\r",
	} {
		t.Run(name, func(t *testing.T) {
			d := dial(t, r.mx)
			d.begin()
			d.write("DATA\r\n")
			d.expect("354")
			d.write("Subject: first\r\n\r\nbody" + end + "MAIL FROM:<evil@else.example>\r\nRCPT TO:<a@tinh.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\nMAIL FROM:<y@else.example>\r\n")
			d.expect("554")
			if got := d.reply(); !strings.HasPrefix(got, "421") {
				t.Errorf("after a refused message: %q", got)
			}
			if got := d.reply(); got != "" {
				t.Errorf("the connection went on: %q", got)
			}
		})
		t.Run(name+" BDAT", func(t *testing.T) {
			d := dial(t, r.mx)
			d.begin()
			body := "Subject: first\r\n\r\nbody" + end + "x\r\n"
			d.write(fmt.Sprintf("BDAT %d LAST\r\n%s", len(body), body))
			d.expect("554")
		})
	}
	if n := len(r.inbox(t, r.a)); n != 0 {
		t.Errorf("%d messages were stored", n)
	}
}

func TestDataAndBDAT(t *testing.T) {
	r := newRig(t)
	d := dial(t, r.mx)
	d.begin()
	d.write("DATA\r\n")
	d.expect("354")
	d.write("Subject: one\r\n\r\n..stuffed\r\nSTARTTLS\r\n.\r\nNOOP\r\n") // a command line inside a message is text
	d.expect("250")
	d.expect("250")
	d.begin()
	d.write("BDAT 29\r\nSubject: two\r\n\r\nSTARTTLS\r\n123BDAT 3 LAST\r\n4\r\nQUIT\r\n")
	d.expect("250")
	d.expect("250")
	d.expect("221")
	got := r.inbox(t, r.a)
	if len(got) != 2 {
		t.Fatalf("%d messages", len(got))
	}
	if text := r.read(t, &got[1]); !strings.HasSuffix(text, "\r\n\r\n.stuffed\r\nSTARTTLS\r\n") {
		t.Errorf("DATA gave %q", text)
	}
	if text := r.read(t, &got[0]); !strings.HasSuffix(text, "Subject: two\r\n\r\nSTARTTLS\r\n1234\r\n") {
		t.Errorf("BDAT gave %q", text)
	}
}

func TestOversize(t *testing.T) {
	r := newRig(t)
	d := dial(t, r.mx)
	d.write("EHLO me\r\n")
	if hello := d.expect("250"); !strings.Contains(hello, "SIZE 1048576\r\n") || !strings.Contains(hello, "SMTPUTF8") || !strings.Contains(hello, "250-STARTTLS\r\n") {
		t.Errorf("EHLO: %q", hello)
	}
	d.write("MAIL FROM:<x@else.example> SIZE=2000000\r\n")
	d.expect("552")
	d.begin()
	d.write("DATA\r\n")
	d.expect("354")
	d.write("Subject: too large\r\n\r\n")
	line := strings.Repeat("x", 998) + "\r\n"
	for range 1100 {
		d.write(line)
	}
	d.write(".\r\n")
	d.expect("552")
	d.begin()
	d.write("DATA\r\n")
	d.expect("354")
	d.write("Subject: after\r\n\r\nx\r\n.\r\n")
	d.expect("250")
	if n := len(r.inbox(t, r.a)); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// TestInjection: what comes in clear text behind STARTTLS is never obeyed.
func TestInjection(t *testing.T) {
	r := newRig(t)
	d := dial(t, r.mx)
	d.write("EHLO me\r\n")
	d.expect("250")
	d.write("STARTTLS\r\nMAIL FROM:<x@else.example>\r\n")
	if got := d.reply(); got != "" {
		t.Errorf("answered %q", got)
	}
}

func TestTooManyConnections(t *testing.T) {
	r := newRig(t, func(c *smtpd.Config) { c.Conns = 3 })
	for range 3 {
		dial(t, r.mx)
	}
	c, err := net.Dial("tcp", r.mx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, _ := io.ReadAll(c); !strings.HasPrefix(string(b), "421 ") {
		t.Errorf("the fourth got %q", b)
	}
}

func TestSMTPUTF8(t *testing.T) {
	r := newRig(t)
	if _, err := r.store.AddAccount(t.Context(), mail.Account{Address: "văn.thư@tinh.example"}, password); err != nil {
		t.Fatal(err)
	}
	c, err := smtp.Dial(r.mx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Mail("gửi@else.example", &smtp.MailOptions{UTF8: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("Văn.Thư@tinh.example", nil); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "Subject: chào\r\n\r\nx\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
