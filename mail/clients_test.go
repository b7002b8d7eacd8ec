package mail_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vanthu/mail"
	"vanthu/mail/imapd"
	"vanthu/mail/smtpd"
)

// hubRig is a mail hub with two accounts for foreign clients.
type hubRig struct {
	store                            *mail.Store
	a, b                             *mail.Account
	cacert                           string // PEM file that trusts the hub
	mx, submission, smtps, imap, tls string // ports
}

func newHubRig(t *testing.T) *hubRig {
	t.Helper()
	r := &hubRig{store: newStore(t)}
	r.a, r.b = addAccount(t, r.store, "a@tinh.example"), addAccount(t, r.store, "b@tinh.example")
	cfg := r.certificate(t)
	smtp, err := smtpd.New(smtpd.Config{Store: r.store, Hostname: "localhost", TLS: cfg})
	if err != nil {
		t.Fatal(err)
	}
	imap, err := imapd.New(imapd.Config{Store: r.store, TLS: cfg})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		port  *string
		serve func(net.Listener) error
	}{{&r.mx, smtp.ServeMX}, {&r.submission, smtp.ServeSubmission}, {&r.smtps, smtp.ServeSubmissionTLS}, {&r.imap, imap.Serve}, {&r.tls, imap.ServeTLS}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, *s.port, _ = net.SplitHostPort(l.Addr().String())
		done := make(chan error, 1)
		go func() { done <- s.serve(l) }()
		t.Cleanup(func() {
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		if err := smtp.Close(); err != nil {
			t.Error(err)
		}
		if err := imap.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *hubRig) certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	r.cacert = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(r.cacert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// tool finds a foreign client. One that is missing skips the test, unless
// VANTHU_TEST_REQUIRE names it.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), name) {
		t.Fatalf("%s is required and not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// run runs a foreign client in a home of its own and gives back what it printed.
func run(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir, "LC_ALL=C.UTF-8", "TERM=dumb")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func contains(t *testing.T, what, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%s: %q has no %q", what, got, want)
		}
	}
}

func TestSwaks(t *testing.T) {
	r := newHubRig(t)
	out := run(t, "", "swaks", "--server", "127.0.0.1", "--port", r.mx, "--from", "x@else.example", "--to", "a@tinh.example,b@tinh.example",
		"--header", "Subject: swaks to the door", "--body", "hello", "--pipeline")
	contains(t, "swaks", out, "250 2.0.0 OK", "STARTTLS", "SIZE", "CHUNKING")
	if got := list(t, r.store, inbox(t, r.store, r.a).ID); len(got) != 1 || got[0].Summary.Subject != "swaks to the door" {
		t.Errorf("a has %+v", got)
	}
	if got := list(t, r.store, inbox(t, r.store, r.b).ID); len(got) != 1 {
		t.Errorf("b has %+v", got)
	}
}

func TestCurl(t *testing.T) {
	r := newHubRig(t)
	user := "a@tinh.example:" + password
	msg := "From: a@tinh.example\r\nTo: b@tinh.example\r\nSubject: qua curl\r\n\r\nKính gửi\r\n"
	for name, url := range map[string]string{"starttls": "smtp://localhost:" + r.submission, "tls": "smtps://localhost:" + r.smtps} {
		run(t, msg, "curl", "-sS", "--ssl-reqd", "--cacert", r.cacert, "--url", url, "--user", user, "--mail-from", "a@tinh.example",
			"--mail-rcpt", "b@tinh.example", "--upload-file", "-")
		t.Log(name)
	}
	user = "b@tinh.example:" + password
	draft := filepath.Join(t.TempDir(), "draft.eml")
	if err := os.WriteFile(draft, []byte("Subject: tu curl\r\n\r\nx\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"imaps://localhost:" + r.tls, "imap://localhost:" + r.imap} {
		base := []string{"-sS", "--ssl-reqd", "--cacert", r.cacert, "--user", user, "--url"}
		contains(t, "list", run(t, "", "curl", append(base, url)...), `* LIST (\HasNoChildren) "/" INBOX`, `\Sent`)
		contains(t, "fetch", run(t, "", "curl", append(base, url+"/INBOX;MAILINDEX=2")...), "Subject: qua curl", "Kính gửi")
		contains(t, "search", run(t, "", "curl", append(base, url+"/INBOX", "-X", "SEARCH SUBJECT curl")...), "* SEARCH 1 2")
		run(t, "", "curl", append(base, url+"/Drafts", "--upload-file", draft)...)
	}
	box, err := r.store.Mailbox(t.Context(), r.b.ID, "Drafts")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(list(t, r.store, box.ID)); n != 2 {
		t.Errorf("%d drafts", n)
	}
}

// pythonExchange has two accounts write to each other with smtplib and imaplib.
const pythonExchange = `
import imaplib, smtplib, ssl, sys, email, email.policy
from email.message import EmailMessage
cacert, submission, imap, password = sys.argv[1:5]
ctx = ssl.create_default_context(cafile=cacert)
def send(frm, to, subject, attachment):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = frm, to, subject
    m.set_content("Kính gửi ông/bà,\nđính kèm công văn.\n")
    m.add_attachment(attachment, maintype="application", subtype="pdf", filename="Công văn.pdf")
    with smtplib.SMTP("localhost", int(submission)) as s:
        s.starttls(context=ctx)
        s.login(frm, password)
        s.send_message(m)
def login(who):
    c = imaplib.IMAP4("localhost", int(imap))
    c.starttls(ssl_context=ctx)
    c.authenticate("PLAIN", lambda _: b"\0" + who.encode() + b"\0" + password.encode())
    return c
def check(ok, what):
    if not ok:
        sys.exit("failed: " + what)
send("a@tinh.example", "b@tinh.example", "Công văn số 05", b"%PDF-1.7 first")
b = login("b@tinh.example")
typ, n = b.select("INBOX")
check(typ == "OK" and n == [b"1"], "select %r" % n)
typ, data = b.uid("FETCH", "1", "(BODY.PEEK[] FLAGS)")
m = email.message_from_bytes(data[0][1], policy=email.policy.default)
check(m["Subject"] == "Công văn số 05", "subject %r" % m["Subject"])
att = next(m.iter_attachments())
check(att.get_filename() == "Công văn.pdf" and att.get_content() == b"%PDF-1.7 first", "attachment")
typ, data = b.search("UTF-8", "TEXT", '"first"')
send("b@tinh.example", "a@tinh.example", "Trả lời: Công văn số 05", b"%PDF-1.7 second")
check(b.store("1", "+FLAGS", r"(\Answered \Deleted)")[0] == "OK", "store")
check(b.copy("1", "Archive")[0] == "OK", "copy")
check(b.expunge() == ("OK", [b"1"]), "expunge")
check(b.select("Archive")[1] == [b"1"], "archive")
typ, quota = b.status("INBOX", "(MESSAGES UIDNEXT UNSEEN)")
check(b"MESSAGES 0 UIDNEXT 2" in quota[0], "status %r" % quota)
b.logout()
a = login("a@tinh.example")
a.select("INBOX")
typ, data = a.fetch("1", "(ENVELOPE BODYSTRUCTURE)")
check(b'"application" "pdf"' in data[0], "structure %r" % data)
typ, data = a.search(None, "FROM", "b@tinh.example", "UNSEEN")
check(data == [b"1"], "search %r" % data)
a.create("Viec")
check(a.list()[0] == "OK" and a.rename("Viec", "Viec2")[0] == "OK" and a.delete("Viec2")[0] == "OK", "mailboxes")
a.logout()
print("exchanged")
`

func TestPython(t *testing.T) {
	r := newHubRig(t)
	const ascii = "for smtplib, which knows no other" // its passwords are ASCII
	for _, a := range []*mail.Account{r.a, r.b} {
		if err := r.store.SetPassword(t.Context(), a.ID, ascii); err != nil {
			t.Fatal(err)
		}
	}
	contains(t, "python3", run(t, "", "python3", "-c", pythonExchange, r.cacert, r.submission, r.imap, ascii), "exchanged")
	check(t, r.store)
}

func TestMutt(t *testing.T) {
	r := newHubRig(t)
	rc := filepath.Join(t.TempDir(), "muttrc")
	config := fmt.Sprintf("set ssl_starttls=yes ssl_force_tls=yes certificate_file=%q ssl_verify_host=yes\n"+
		"set from=a@tinh.example realname='Ông A' envelope_from_address=a@tinh.example use_envelope_from=yes\n"+
		"set smtp_url=\"smtps://a%%40tinh.example@localhost:%s/\" smtp_pass=%q copy=no charset=utf-8\n"+
		"set imap_user=b@tinh.example imap_pass=%q folder=\"imaps://localhost:%s/\" spoolfile=+INBOX\n"+
		"set header_cache=\"\" wait_key=no quit=yes\n", r.cacert, r.smtps, password, password, r.tls)
	if err := os.WriteFile(rc, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "Kính gửi ông B\n", "mutt", "-F", rc, "-s", "Thư từ mutt", "b@tinh.example")
	got := list(t, r.store, inbox(t, r.store, r.b).ID)
	if len(got) != 1 || got[0].Summary.Subject != "Thư từ mutt" || got[0].Summary.Preview != "Kính gửi ông B" {
		t.Fatalf("b has %+v", got)
	}
	// mutt reads it, on a terminal of its own.
	command := fmt.Sprintf("mutt -F %s -f imaps://localhost:%s/INBOX -e \"push '<display-message><exit><sync-mailbox><exit>'\"", rc, r.tls)
	out := run(t, "", "script", "-qec", command, "/dev/null")
	contains(t, "mutt", out, "Selecting INBOX")
	if got := list(t, r.store, inbox(t, r.store, r.b).ID); got[0].Flags&mail.FlagSeen == 0 {
		t.Errorf("mutt displayed it, yet it is unseen: %+v", got[0])
	}
}

// TestMbsync fetches a mailbox into a Maildir, pushes a message back, and finds
// nothing to do the second time.
func TestMbsync(t *testing.T) {
	r := newHubRig(t)
	for i := range 50 {
		deliver(t, r.store, mail.Envelope{To: []mail.Address{r.a.Address}}, message(fmt.Sprint("m", i), strings.Repeat("x\r\n", i)))
	}
	home := t.TempDir()
	config := fmt.Sprintf("IMAPAccount hub\nHost localhost\nPort %s\nUser a@tinh.example\nPass %q\nSSLType IMAPS\nCertificateFile %s\n\n"+
		"IMAPStore far\nAccount hub\n\nMaildirStore near\nSubFolders Verbatim\nPath %s/mail/\nInbox %s/mail/INBOX\n\n"+
		"Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n", r.tls, password, r.cacert, home, home)
	rc := filepath.Join(home, "mbsyncrc")
	if err := os.WriteFile(rc, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(home, "mail"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, "", "mbsync", "-c", rc, "-a")
	files, err := filepath.Glob(filepath.Join(home, "mail", "INBOX", "*", "*,U=*"))
	if err != nil || len(files) != 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if err := os.WriteFile(filepath.Join(home, "mail", "INBOX", "new", "1.local"), []byte("Subject: from here\n\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "", "mbsync", "-c", rc, "-a")
	if n := len(list(t, r.store, inbox(t, r.store, r.a).ID)); n != 51 {
		t.Errorf("%d messages after the push", n)
	}
	before := inbox(t, r.store, r.a).ModSeq
	run(t, "", "mbsync", "-c", rc, "-a")
	if after := inbox(t, r.store, r.a).ModSeq; after != before {
		t.Errorf("the third sync changed something: %d, %d", before, after)
	}
	check(t, r.store)
}
