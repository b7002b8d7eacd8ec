package smtpd_test

import (
	"fmt"
	"strings"
	"testing"

	"vanthu/mail"
)

// TestSpoofedSender: the MX door takes no mail in our name.
func TestSpoofedSender(t *testing.T) {
	r := newRig(t)
	d := dial(t, r.mx)
	d.write("EHLO me\r\n")
	d.expect("250")
	for _, from := range []string{"b@tinh.example", "nobody@TINH.example", "b@tinh.example."} {
		d.write("MAIL FROM:<" + from + ">\r\n")
		if got := d.expect("550"); !strings.HasPrefix(got, "550 5.7.1 ") || !strings.Contains(got, "submission") {
			t.Errorf("from %s: %q", from, got)
		}
		d.write("RCPT TO:<a@tinh.example>\r\n")
		d.expect("502")
	}
	spoofed := "From: B <b@tinh.example>\r\nSubject: s\r\n\r\nx\r\n"
	d.begin()
	d.write("DATA\r\n")
	d.expect("354")
	d.write(spoofed + strings.Repeat("x\r\n", 50_000) + ".\r\n")
	if got := d.expect("550"); !strings.HasPrefix(got, "550 5.7.1 ") || !strings.Contains(got, "submission") {
		t.Errorf("author of ours: %q", got)
	}
	d.write(fmt.Sprintf("MAIL FROM:<>\r\nRCPT TO:<a@tinh.example>\r\nBDAT %d LAST\r\n%s", len(spoofed), spoofed))
	d.expect("250")
	d.expect("250")
	d.expect("550")
	if n := len(r.inbox(t, r.a)); n != 0 {
		t.Errorf("%d messages were stored", n)
	}
	d.write("MAIL FROM:<>\r\nRCPT TO:<a@tinh.example>\r\nDATA\r\n")
	d.expect("250")
	d.expect("250")
	d.expect("354")
	d.write("From: MAILER-DAEMON@else.example\r\n\r\nFrom: b@tinh.example\r\n.\r\n")
	d.expect("250")
	if n := len(r.inbox(t, r.a)); n != 1 {
		t.Errorf("the bounce did not arrive: %d messages", n)
	}
}

// TestWording: whole dialogues, as a client sees them.
func TestWording(t *testing.T) {
	r := newRig(t)
	d := dial(t, r.mx)
	for _, step := range [][2]string{
		{"MAIL FROM:<x@else.example>", "502 5.5.1 Send EHLO or HELO first"},
		{"HELO me", "250 2.0.0 Hello me"},
		{"NOOP", "250 2.0.0 OK"},
		{"MAIL FROM:<x@else.example>", "250 2.1.0 Sender accepted"},
		{"RCPT TO:<a@tinh.example>", "250 2.1.5 Recipient accepted"},
		{"DATA", "354 Start mail input; end with <CRLF>.<CRLF>"},
		{"Subject: x\r\n\r\nx\r\n.", "250 2.0.0 OK: message accepted"},
		{"QUIT", "221 2.0.0 Service closing transmission channel"},
	} {
		d.write(step[0] + "\r\n")
		if got := d.reply(); got != step[1]+"\r\n" {
			t.Errorf("%.30q: %q, want %q", step[0], got, step[1])
		}
	}
}

func TestPostmaster(t *testing.T) {
	r := newRig(t)
	d := dial(t, r.mx)
	d.write("EHLO me\r\nMAIL FROM:<x@else.example>\r\nRCPT TO:<postmaster@tinh.example>\r\n")
	d.expect("250")
	d.expect("250")
	d.expect("550")
	if _, err := r.store.AddAccount(t.Context(), mail.Account{Address: "postmaster@tinh.example"}, password); err != nil {
		t.Fatal(err)
	}
	d.write("RCPT TO:<Postmaster@tinh.example>\r\nRCPT TO:<POSTMASTER>\r\n")
	d.expect("250")
	d.expect("250")
}
