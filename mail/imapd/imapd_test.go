package imapd_test

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
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"vanthu/mail"
	"vanthu/mail/imapd"
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

// rig is a server with one account, a@tinh.example.
type rig struct {
	store      *mail.Store
	a          *mail.Account
	client     *tls.Config
	blobs      string // the folder of the blobs
	plain, tls string // addresses
}

func newRig(tb testing.TB, change ...func(*imapd.Config)) *rig {
	tb.Helper()
	r := &rig{blobs: filepath.Join(tb.TempDir(), "blobs")}
	blobs, err := disk.Open(r.blobs)
	if err != nil {
		tb.Fatal(err)
	}
	r.store, err = mail.New(context.Background(), mail.Config{DB: sqldbtest.SQLite(tb), Blobs: blobs, Domains: []string{"tinh.example"},
		MaxMessage: 1 << 20, PasswordCost: mail.PasswordCost{MemoryKiB: 64, Passes: 1}})
	if err != nil {
		tb.Fatal(err)
	}
	if r.a, err = r.store.AddAccount(context.Background(), mail.Account{Address: "a@tinh.example"}, password); err != nil {
		tb.Fatal(err)
	}
	cfg := imapd.Config{Store: r.store}
	cfg.TLS, r.client = selfSigned(tb)
	for _, f := range change {
		f(&cfg)
	}
	srv, err := imapd.New(cfg)
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
	r.plain, r.tls = serve(srv.Serve), serve(srv.ServeTLS)
	tb.Cleanup(func() {
		if err := srv.Close(); err != nil {
			tb.Error(err)
		}
	})
	return r
}

func (r *rig) deliver(tb testing.TB, msg string) {
	tb.Helper()
	_, err := r.store.Deliver(context.Background(), mail.Envelope{To: []mail.Address{r.a.Address}}, strings.NewReader(msg))
	if err != nil {
		tb.Fatal(err)
	}
}

func (r *rig) login(tb testing.TB) *imapclient.Client {
	tb.Helper()
	c, err := imapclient.DialTLS(r.tls, &imapclient.Options{TLSConfig: r.client})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	if err := c.Login("a@tinh.example", password).Wait(); err != nil {
		tb.Fatal(err)
	}
	return c
}

// dialog speaks raw IMAP.
type dialog struct {
	tb   testing.TB
	conn net.Conn
	r    *bufio.Reader
	n    int
}

func (r *rig) dial(tb testing.TB) *dialog {
	tb.Helper()
	c, err := net.Dial("tcp", r.plain)
	if err != nil {
		tb.Fatal(err)
	}
	return newDialog(tb, c)
}

func newDialog(tb testing.TB, c net.Conn) *dialog {
	tb.Helper()
	tb.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	d := &dialog{tb: tb, conn: c, r: bufio.NewReader(c)}
	if got := d.line(); !strings.HasPrefix(got, "* OK") {
		tb.Fatalf("greeting %q", got)
	}
	return d
}

// session logs in over TLS and speaks raw IMAP.
func (r *rig) session(tb testing.TB) *dialog {
	tb.Helper()
	c, err := tls.Dial("tcp", r.tls, r.client)
	if err != nil {
		tb.Fatal(err)
	}
	d := newDialog(tb, c)
	d.ok("LOGIN a@tinh.example \"" + password + "\"")
	return d
}

func (d *dialog) write(s string) {
	d.tb.Helper()
	if _, err := io.WriteString(d.conn, s); err != nil {
		d.tb.Fatal(err)
	}
}

func (d *dialog) line() string {
	line, err := d.r.ReadString('\n')
	if err != nil {
		return ""
	}
	return line
}

// run sends a command and returns all up to its tagged answer.
func (d *dialog) run(cmd string) string {
	d.tb.Helper()
	d.n++
	tag := fmt.Sprint("t", d.n)
	d.write(tag + " " + cmd + "\r\n")
	return d.until(tag + " ")
}

func (d *dialog) until(prefix string) string {
	d.tb.Helper()
	var all strings.Builder
	for {
		line := d.line()
		all.WriteString(line)
		if line == "" || strings.HasPrefix(line, prefix) {
			return all.String()
		}
	}
}

func (d *dialog) answer(want, cmd string) string {
	d.tb.Helper()
	got := d.run(cmd)
	if !strings.Contains(got, fmt.Sprintf("t%d %s", d.n, want)) {
		d.tb.Fatalf("%s: %q, want %s", cmd, got, want)
	}
	return got
}

func (d *dialog) ok(cmd string) string { d.tb.Helper(); return d.answer("OK", cmd) }

func (d *dialog) has(cmd string, wants ...string) {
	d.tb.Helper()
	got := d.ok(cmd)
	for _, want := range wants {
		if !strings.Contains(got, want) {
			d.tb.Errorf("%s: %q has no %q", cmd, got, want)
		}
	}
}

func TestBeforeLogin(t *testing.T) {
	r := newRig(t)
	d := r.dial(t)
	d.has(`ID ("name" "Mail")`, `* ID ("name" "vanthu"`)
	d.has("CAPABILITY", " STARTTLS", " LOGINDISABLED", " ID")
	if got := d.ok("CAPABILITY"); strings.Contains(got, "AUTH=") {
		t.Errorf("a login is offered without TLS: %q", got)
	}
	d.answer("NO [PRIVACYREQUIRED]", "LOGIN a@tinh.example x")
	d.answer("NO [PRIVACYREQUIRED]", "AUTHENTICATE PLAIN")
	d.answer("NO [PRIVACYREQUIRED]", "LOGIN a@tinh.example {5+}\r\nhello")
	d.ok("NOOP")
	d.ok("STARTTLS")
	c := tls.Client(d.conn, r.client)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	d.conn, d.r = c, bufio.NewReader(c)
	d.has("ID NIL", "* ID (")
	d.has("CAPABILITY", " AUTH=PLAIN", " ID", "IMAP4rev2")
	d.ok("LOGIN {14+}\r\na@tinh.example \"" + password + "\"")
	d.has("ID NIL", "* ID (")
	d.has("CAPABILITY", " UIDPLUS", " MOVE", " SPECIAL-USE", " APPENDLIMIT=1048576", " ID")
}

func TestInjection(t *testing.T) {
	r := newRig(t)
	d := r.dial(t)
	d.write("a STARTTLS\r\nb NOOP\r\n")
	if got := d.until("b "); got != "" {
		t.Errorf("answered %q", got)
	}
}

func TestLoginLimits(t *testing.T) {
	r := newRig(t)
	c, err := tls.Dial("tcp", r.tls, r.client)
	if err != nil {
		t.Fatal(err)
	}
	d := newDialog(t, c)
	start := time.Now()
	for range 3 {
		d.answer("NO [AUTHENTICATIONFAILED]", "LOGIN a@tinh.example wrong")
	}
	if time.Since(start) < 5*time.Second {
		t.Error("failures cost no time")
	}
	d.write("x NOOP\r\n")
	if got := d.line(); got != "" {
		t.Errorf("after three failures: %q", got)
	}
}

// TestLiterals: a literal is text whatever stands in it, and one that is too
// large is never taken for commands.
func TestLiterals(t *testing.T) {
	r := newRig(t)
	d := r.session(t)
	evil := "x1 DELETE Sent\r\n"
	d.answer("BAD", fmt.Sprintf("STATUS {%d+}\r\n%s (MESSAGES)", 6000+len(evil), strings.Repeat("a", 6000)+evil))
	d.has(`STATUS Sent (MESSAGES)`, "MESSAGES 0")
	big := strings.Repeat("y1 DELETE Sent\r\n", 1<<17)
	d.answer("NO [TOOBIG]", fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(big), big))
	d.has(`STATUS Sent (MESSAGES)`, "MESSAGES 0")
	msg := "Subject: x\r\n\r\nz1 ID NIL\r\nz2 LOGOUT\r\n"
	d.has(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(msg), msg), "APPENDUID")
	d.write(fmt.Sprintf("s1 APPEND INBOX (\\Seen $Việc) {%d}\r\n", len(msg)))
	if got := d.until("s1 "); !strings.Contains(got, "s1 BAD") && !strings.Contains(got, "s1 NO") {
		t.Errorf("bad flag: %q", got)
	}
	d.has("ID NIL", "* ID (") // the refused literal was not waited for
	d.write(fmt.Sprintf("s2 APPEND INBOX (\\Seen) \"20-Nov-2026 10:00:00 +0700\" {%d}\r\n", len(msg)))
	if got := d.line(); !strings.HasPrefix(got, "+ ") {
		t.Fatalf("no continuation: %q", got)
	}
	d.write(msg + "\r\n")
	if got := d.until("s2 "); !strings.Contains(got, "s2 OK [APPENDUID") {
		t.Errorf("append: %q", got)
	}
	d.ok("SELECT INBOX")
	d.has("FETCH 1:* (BODY.PEEK[TEXT] INTERNALDATE)", "z1 ID NIL\r\nz2 LOGOUT\r\n", `"20-Nov-2026 03:00:00 +0000"`)
	d.write("q1 " + strings.Repeat("x", 70_000) + "\r\n")
	if got := d.until("q1 "); !strings.Contains(got, "BYE") {
		t.Errorf("endless line: %q", got)
	}
}

const multipart = "From: =?utf-8?q?V=C4=83n_th=C6=B0?= <vt@tinh.example>\r\nTo: a@tinh.example\r\nSubject: =?utf-8?q?=C4=91=C3=ADnh_k=C3=A8m?=\r\n" +
	"Date: Mon, 23 Nov 2026 13:00:00 +0700\r\nMessage-ID: <m1@tinh.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nK=C3=ADnh g=E1=BB=ADi\r\n" +
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inside\r\n\r\ninner\r\n" +
	"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--\r\n"

func TestFetch(t *testing.T) {
	r := newRig(t)
	r.deliver(t, multipart)
	d := r.session(t)
	d.has("SELECT INBOX", "* 1 EXISTS", "* 1 RECENT", "UIDVALIDITY", "UIDNEXT 2", "[UNSEEN 1]", "[READ-WRITE]", `\*`)
	d.has("FETCH 1 (FLAGS UID ENVELOPE RFC822.SIZE)", `\Recent`, "UID 1", `"Mon, 23 Nov 2026 13:00:00 +0700" "=?utf-8?q?=C4=91=C3=ADnh_k=C3=A8m?="`,
		`"vt" "tinh.example"`, `"<m1@tinh.example>"`)
	d.has("FETCH 1 BODYSTRUCTURE", `("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 21 0 NIL NIL NIL NIL)`,
		`("message" "rfc822" NIL NIL NIL "7bit" 24 (NIL "inside"`, `"application" "pdf" NIL NIL NIL "base64" 8 NIL ("attachment" ("filename" "a.pdf"))`)
	for cmd, want := range map[string]string{
		"BODY.PEEK[1]":                                "BODY[1] {21}\r\nK=C3=ADnh g=E1=BB=ADi)",
		"BODY.PEEK[2.TEXT]":                           "BODY[2.TEXT] {5}\r\ninner)",
		"BODY.PEEK[2.HEADER]":                         "{19}\r\nSubject: inside\r\n\r\n)",
		"BODY.PEEK[2.1]":                              "{5}\r\ninner)",
		"BODY.PEEK[3.MIME]":                           "Content-Type: application/pdf\r\n",
		"BODY.PEEK[9]":                                "BODY[9] {0}\r\n)",
		"BODY.PEEK[1]<2.4>":                           "BODY[1]<2> {4}\r\nC3=A)",
		"BODY.PEEK[1]<200.4>":                         "BODY[1]<200> {0}\r\n)",
		"BODY.PEEK[HEADER.FIELDS (message-id X)]":     "{33}\r\nMessage-ID: <m1@tinh.example>\r\n\r\n)",
		"BODY.PEEK[HEADER.FIELDS.NOT (From To Date)]": "Delivered-To: a@tinh.example",
		"BINARY.PEEK[1]":                              "BINARY[1] ~{11}\r\nKính gửi)",
		"BINARY.PEEK[3]":                              "~{5}\r\n%PDF-)",
		"BINARY.SIZE[3]":                              "BINARY.SIZE[3] 5)",
		"RFC822.HEADER":                               "RFC822.HEADER {",
	} {
		d.has("FETCH 1 "+cmd, want)
	}
	if got := d.ok("FETCH 1 FLAGS"); strings.Contains(got, `\Seen`) {
		t.Errorf("PEEK marked it seen: %q", got)
	}
	d.has("UID FETCH 1 BODY[]", `FLAGS (\Seen \Recent)`, "Return-Path: <>\r\nDelivered-To: a@tinh.example\r\n"+multipart)
	d.answer("BAD", "FETCH 7 FLAGS")
	d.ok("UID FETCH 7 FLAGS")
}

func TestFlagsAndKeywords(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.deliver(t, fmt.Sprintf("Subject: %d\r\n\r\nx\r\n", i))
	}
	d, other := r.session(t), r.session(t)
	d.ok("SELECT INBOX")
	other.has("SELECT INBOX", "* 0 RECENT")
	got := d.ok(`STORE 1,3 +FLAGS (\Flagged $Khan)`)
	if f, k := strings.Index(got, "* FLAGS"), strings.Index(got, "FETCH"); f < 0 || k < f || !strings.Contains(got, `* 3 FETCH (UID 3 FLAGS (\Flagged $Khan \Recent))`) {
		t.Errorf("store: %q", got)
	}
	if got := d.ok("NOOP"); strings.Contains(got, "FETCH") {
		t.Errorf("own change told twice: %q", got)
	}
	other.has("NOOP", "* FLAGS (", `* 1 FETCH (UID 1 FLAGS (\Flagged $Khan))`)
	if got := d.ok(`STORE 2 +FLAGS.SILENT (\Deleted)`); strings.Contains(got, "FETCH") {
		t.Errorf("silent store: %q", got)
	}
	d.answer("BAD", `STORE 2 FLAGS (\Nonsense)`)
	d.has("SEARCH KEYWORD $khan", "* SEARCH 1 3\r\n")
	d.has("SEARCH RECENT DELETED", "* SEARCH 2\r\n")
	d.has("SEARCH OLD", "* SEARCH\r\n")
	d.has("UID SEARCH RETURN (MIN MAX COUNT SAVE) FLAGGED", "MIN 1", "MAX 3", "COUNT 2")
	d.has("FETCH $ (UID)", "* 1 FETCH", "* 3 FETCH")
	d.has("EXPUNGE", "* 2 EXPUNGE")
	if got := other.ok("FETCH 1:3 FLAGS"); strings.Contains(got, "EXPUNGE") {
		t.Errorf("expunge told within FETCH: %q", got)
	}
	other.has("NOOP", "* 2 EXPUNGE")
	other.has("STATUS INBOX (MESSAGES UNSEEN DELETED SIZE RECENT)", "MESSAGES 2", "UNSEEN 2", "DELETED 0")
}

// TestReadOnly: EXAMINE changes nothing, and CLOSE after it removes nothing.
func TestReadOnly(t *testing.T) {
	r := newRig(t)
	r.deliver(t, "Subject: x\r\n\r\nx\r\n")
	d := r.session(t)
	d.ok("SELECT INBOX")
	d.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	d.has("EXAMINE INBOX", "[READ-ONLY]", "[CLOSED]")
	d.answer("NO [READ-ONLY]", `STORE 1 -FLAGS (\Deleted)`)
	d.answer("NO [READ-ONLY]", `EXPUNGE`)
	d.answer("NO [READ-ONLY]", `MOVE 1 Trash`)
	d.ok("FETCH 1 BODY[]")
	d.ok("CLOSE")
	d.has("SELECT INBOX", "* 1 EXISTS", "[UNSEEN 1]")
	d.ok("UNSELECT")
	d.has("SELECT INBOX", "* 1 EXISTS")
	d.ok("CLOSE")
	d.has("SELECT INBOX", "* 0 EXISTS")
}

func TestMailboxes(t *testing.T) {
	r := newRig(t)
	d := r.session(t)
	d.has(`LIST "" ""`, `* LIST (\Noselect) "/" ""`)
	d.has(`LIST "" *`, `* LIST (\HasNoChildren) "/" INBOX`, `* LIST (\HasNoChildren \Sent) "/" "Sent"`)
	d.ok("CREATE Viec/2026/11")
	d.has(`LIST "" %`, `* LIST (\HasChildren) "/" "Viec"`)
	if got := d.ok(`LIST "" %`); strings.Contains(got, "2026") {
		t.Errorf("%% crosses levels: %q", got)
	}
	d.ok("DELETE Viec")
	d.has(`LIST "" %`, `* LIST (\NonExistent \HasChildren) "/" "Viec"`)
	d.answer("NO [NONEXISTENT]", "SELECT Viec")
	d.answer("NO [ALREADYEXISTS]", "CREATE inbox")
	d.answer("NO [TRYCREATE]", "APPEND Nowhere {1+}\r\nx")
	d.answer("NO [USEATTR]", `CREATE All (USE (\All))`)
	d.answer("NO [ALREADYEXISTS]", `CREATE Trash2 (USE (\Trash))`)
	d.ok("SUBSCRIBE Viec/2026")
	d.ok("SUBSCRIBE Gone/Away")
	d.has(`LSUB "" *`, `* LSUB () "/" "Viec/2026"`, `* LSUB (\Noselect) "/" "Gone/Away"`)
	d.has(`LSUB "" %`, `* LSUB (\Noselect) "/" "Viec"`, `* LSUB (\Noselect) "/" "Gone"`)
	d.has(`LIST (SUBSCRIBED) "" *`, `* LIST (\NonExistent \HasNoChildren \Subscribed) "/" "Gone/Away"`)
	d.has(`LIST (SUBSCRIBED RECURSIVEMATCH) "" %`, `"/" "Viec" (CHILDINFO ("SUBSCRIBED"))`)
	d.has(`LIST (SPECIAL-USE) "" *`, `\Junk`)
	d.has(`LIST "" (INBOX S*) RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT))`, `* LIST (\HasNoChildren \Subscribed) "/" INBOX`, "* STATUS INBOX (MESSAGES 0 UIDNEXT 1)", `"Sent"`)
	d.ok("RENAME Viec/2026 Nam")
	d.has(`LIST Nam/ *`, `"Nam/11"`)
	d.has("NAMESPACE", `* NAMESPACE (("" "/")) NIL NIL`)
	d.ok(`CREATE "C&APQ-ng v&AQM-n"`)
	d.ok("ENABLE IMAP4rev2")
	d.has(`LIST "" C*`, `"Công văn"`)
}

func TestCopyMove(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.deliver(t, fmt.Sprintf("Subject: %d\r\n\r\nx\r\n", i))
	}
	c := r.login(t)
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	data, err := c.Copy(imap.UIDSetNum(1, 2), "Archive").Wait()
	if err != nil || data.DestUIDs.String() != "1:2" || data.SourceUIDs.String() != "1:2" {
		t.Fatalf("%+v %v", data, err)
	}
	moved, err := c.Move(imap.SeqSetNum(3), "Archive").Wait()
	if err != nil || moved.DestUIDs.String() != "3" {
		t.Fatalf("%+v %v", moved, err)
	}
	if _, err := c.Copy(imap.UIDSetNum(99), "Archive").Wait(); err != nil {
		t.Errorf("copy of nothing: %v", err)
	}
	if _, err := c.Copy(imap.SeqSetNum(1), "Nowhere").Wait(); err == nil || !strings.Contains(err.Error(), "TRYCREATE") {
		t.Errorf("copy to nowhere: %v", err)
	}
	if _, err := c.Move(imap.SeqSetNum(1), "INBOX").Wait(); err != nil {
		t.Errorf("move to the same mailbox: %v", err)
	}
	st, err := c.Status("INBOX", &imap.StatusOptions{NumMessages: true, UIDNext: true}).Wait()
	if err != nil || *st.NumMessages != 2 || st.UIDNext != 5 {
		t.Errorf("%+v %v", st, err)
	}
	msgs, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{UID: true, Envelope: true}).Collect()
	if err != nil || len(msgs) != 2 || msgs[0].UID != 2 || msgs[1].UID != 4 || msgs[1].Envelope.Subject != "0" {
		t.Errorf("%+v %v", msgs, err)
	}
}
