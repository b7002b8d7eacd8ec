package imapd_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"

	"vanthu/mail"
	"vanthu/mail/imapd"
)

func TestIdle(t *testing.T) {
	r := newRig(t)
	woken := make(chan uint32, 10)
	c, err := imapclient.DialTLS(r.tls, &imapclient.Options{TLSConfig: r.client, UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				woken <- *data.NumMessages
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("a@tinh.example", password).Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	idle, err := c.Idle()
	if err != nil {
		t.Fatal(err)
	}
	var waits []time.Duration
	for i := range 20 {
		start := time.Now()
		r.deliver(t, "Subject: x\r\n\r\nx\r\n")
		stored := time.Now()
		select {
		case n := <-woken:
			if n != uint32(i)+1 {
				t.Fatalf("EXISTS %d after %d messages", n, i+1)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("IDLE did not wake")
		}
		waits = append(waits, time.Since(stored))
		_ = start
	}
	slices.Sort(waits)
	t.Logf("IDLE wake-up after the commit: p50 %v, max %v", waits[len(waits)/2], waits[len(waits)-1])
	if err := idle.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Noop().Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestIdleHangUp: a client that vanishes out of IDLE while mail comes in harms nothing.
func TestIdleHangUp(t *testing.T) {
	r := newRig(t)
	for range 20 {
		d := r.session(t)
		d.ok("SELECT INBOX")
		d.write("i IDLE\r\n")
		if got := d.line(); !strings.HasPrefix(got, "+") {
			t.Fatal(got)
		}
		r.deliver(t, "Subject: x\r\n\r\nx\r\n")
		_ = d.conn.Close()
	}
}

func TestTooManyConnections(t *testing.T) {
	r := newRig(t, func(c *imapd.Config) { c.Conns, c.PerAccount = 3, 2 })
	r.session(t)
	r.session(t)
	c, err := tls.Dial("tcp", r.tls, r.client)
	if err != nil {
		t.Fatal(err)
	}
	d := newDialog(t, c)
	d.answer("NO [LIMIT]", "LOGIN a@tinh.example \""+password+"\"")
	extra, err := net.Dial("tcp", r.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer extra.Close()
	if b, _ := io.ReadAll(extra); !strings.HasPrefix(string(b), "* BYE") {
		t.Errorf("the fourth got %q", b)
	}
}

func TestUnauthenticate(t *testing.T) {
	r := newRig(t)
	d := r.session(t)
	d.ok("SELECT INBOX")
	d.ok("UNAUTHENTICATE")
	d.answer("BAD", "SELECT INBOX")
	d.ok("AUTHENTICATE PLAIN AGFAdGluaC5leGFtcGxlAG3huq10IGto4bqpdSBkw6Bp")
	d.ok("SELECT INBOX")
}

// TestDamaged: a message whose bytes are damaged is said to be, the others are
// shown, and the connection goes on; the check names it.
func TestDamaged(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.deliver(t, fmt.Sprintf("Subject: number %d\r\n\r\nbody %d\r\n", i+1, i+1))
	}
	box, err := r.store.Mailbox(t.Context(), r.a.ID, mail.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.store.Message(t.Context(), box.ID, 2)
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(r.blobs, "*", "*", string(m.Digest)))
	if err != nil || len(found) != 1 {
		t.Fatalf("blob of message 2: %v %v", found, err)
	}
	if err := os.Chmod(found[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(found[0], []byte("Subject: number 2\r\n\r\nbodY 2\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := r.session(t)
	d.ok("SELECT INBOX")
	got := d.answer("NO [CORRUPTION]", "FETCH 1:3 (UID BODY.PEEK[])")
	if !strings.Contains(got, "body 1") || !strings.Contains(got, "body 3") || strings.Contains(got, "bodY") {
		t.Errorf("fetch: %q", got)
	}
	d.has("FETCH 2 ENVELOPE", "number 2")
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	d.answer("NO [CORRUPTION]", "FETCH 2 BODY[TEXT]")
	var problems []string
	if err := r.store.Check(t.Context(), func(p string) { problems = append(problems, p) }); err != nil {
		t.Fatal(err)
	}
	if len(problems) != 1 || !strings.Contains(problems[0], "missing") || !strings.Contains(problems[0], string(m.Digest)) {
		t.Errorf("check: %q", problems)
	}
}
