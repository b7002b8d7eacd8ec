package mail_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"vanthu/mail"
)

// TestReceiveSenders: a client that did not log in writes as nobody of ours,
// however From is written.
func TestReceiveSenders(t *testing.T) {
	s := newStore(t)
	b := addAccount(t, s, "b@tinh.example")
	to := []mail.Address{b.Address}
	for _, head := range []string{
		"From: a@tinh.example\r\n",
		"Subject: x\r\nFROM : Ông A <A@TINH.Example.>\r\n",
		"From: x@else.example,\r\n\ta@so.example\r\n",
		"From: x@else.example\r\nFrom: a@tinh.example\r\n",
		"From: <a@tinh.example> <x@else.example>\r\n",
		"From: a@tinh.example <x@else.example>\r\n",
		"From: <a@tinh (x) . example>\r\n",
		"From: Nhóm: x@else.example, a@tinh.example;\r\n",
		"From: \"a b\"@tinh.example\r\n",
		"From: \"never closed <a@tinh.example>\r\n",
		"From: \"a\\\"\" <a@tinh.example>\r\n",
		"From: " + strings.Repeat("x@else.example,\r\n ", 6000) + "a@tinh.example\r\n",
	} {
		for name, rest := range map[string]string{"body": "\r\nx\r\n", "no body": ""} {
			env := mail.Envelope{From: "x@else.example", To: to}
			_, err := s.Receive(t.Context(), env, iotest.HalfReader(strings.NewReader(head+rest)))
			if !errors.Is(err, mail.ErrSpoofed) {
				t.Errorf("%.80q, %s: %v", head, name, err)
			}
			env.From = "" // a bounce may not either
			if _, err = s.Receive(t.Context(), env, strings.NewReader(head+rest)); !errors.Is(err, mail.ErrSpoofed) {
				t.Errorf("%.80q, %s, null reverse-path: %v", head, name, err)
			}
		}
	}
	if _, err := s.Receive(t.Context(), mail.Envelope{From: "any@so.example", To: to}, strings.NewReader("\r\nx\r\n")); !errors.Is(err, mail.ErrSpoofed) {
		t.Errorf("envelope sender of ours: %v", err)
	}
	long := "Subject: " + strings.Repeat("x", 300<<10) + "\r\nFrom: a@tinh.example\r\n\r\n"
	if _, err := s.Receive(t.Context(), mail.Envelope{To: to}, strings.NewReader(long)); !errors.Is(err, mail.ErrInvalid) {
		t.Errorf("endless header: %v", err)
	}
	gone := io.MultiReader(strings.NewReader("From: x@else.example\r\n"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := s.Receive(t.Context(), mail.Envelope{To: to}, gone); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the client went away: %v", err)
	}
	if n := len(list(t, s, inbox(t, s, b).ID)); n != 0 {
		t.Errorf("%d messages were stored", n)
	}
}

// TestReceiveTakes: mail of others arrives, byte for byte.
func TestReceiveTakes(t *testing.T) {
	s := newStore(t)
	b := addAccount(t, s, "b@tinh.example")
	box := inbox(t, s, b).ID
	for n, text := range []string{
		"From: x@else.example\r\nTo: b@tinh.example\r\n\r\nFrom: a@tinh.example\r\n",
		"From: x@sub.tinh.example, x@tinh.example.else.example, y@xtinh.example\r\n\r\nx\r\n",
		"From: \"a@tinh.example\" (a@tinh.example) <x@else.example>\r\n\r\nx\r\n",
		"From: MAILER-DAEMON@else.example\r\nSubject: bounce\r\nX-From: a@tinh.example\r\n from: a@tinh.example\r\n\r\nx\r\n",
		"\r\nFrom: a@tinh.example\r\n\r\nno header\r\n",
		"no header at all\r\n" + strings.Repeat("x\r\n", 20_000),
		"",
	} {
		for _, from := range []mail.Address{"x@else.example", ""} {
			if _, err := s.Receive(t.Context(), mail.Envelope{From: from, To: []mail.Address{b.Address}}, iotest.OneByteReader(strings.NewReader(text))); err != nil {
				t.Fatalf("%d: %v", n, err)
			}
		}
		got := list(t, s, box)
		if len(got) != 2*(n+1) {
			t.Fatalf("%d: %d messages", n, len(got))
		}
		if read := read(t, s, &got[0]); !strings.HasSuffix(read, "\r\n"+text) {
			t.Errorf("%d: stored %.200q", n, read)
		}
	}
	check(t, s)
}
