package imapd_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"vanthu/mail"
)

// fill delivers n messages of about 4 KB, each another one.
func fill(tb testing.TB, r *rig, n int) {
	tb.Helper()
	var wg sync.WaitGroup
	next := make(chan int)
	for range 32 {
		wg.Go(func() {
			for i := range next {
				msg := fmt.Sprintf("From: =?utf-8?q?V=C4=83n_th=C6=B0_%d?= <u%d@else.example>\r\nTo: <a@tinh.example>\r\nSubject: =?utf-8?q?C=C3=B4ng_v=C4=83n?= %d\r\n"+
					"Date: Mon, 23 Nov 2026 13:00:00 +0700\r\nMessage-ID: <%d@else.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s",
					i, i%100, i, i, strings.Repeat("Kính gửi các đơn vị trực thuộc, số "+fmt.Sprint(i)+"\r\n", 80))
				if _, err := r.store.Deliver(context.Background(), mail.Envelope{From: "x@else.example", To: []mail.Address{r.a.Address}}, strings.NewReader(msg)); err != nil {
					tb.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// BenchmarkFetch measures FETCH of a mailbox of 10,000 messages over TLS, and
// with it SELECT and SEARCH. "first" is with an empty cache of parsed data.
func BenchmarkFetch(b *testing.B) {
	r := newRig(b)
	fill(b, r, 10_000)
	d := r.session(b)
	if err := d.conn.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	d.ok("SELECT INBOX")
	b.Logf("SELECT %v", time.Since(start))
	start = time.Now()
	d.ok("FETCH 1:* (FLAGS UID ENVELOPE)")
	b.Logf("first FETCH ENVELOPE %v", time.Since(start))
	for _, cmd := range []string{"FETCH 1:* (FLAGS UID)", "FETCH 1:* (FLAGS UID ENVELOPE)", "FETCH 1:* (UID BODYSTRUCTURE)",
		"FETCH 1:* (BODY.PEEK[])", "SEARCH UNSEEN", "SEARCH SUBJECT 9999", "SEARCH TEXT 9999", "STATUS INBOX (MESSAGES UNSEEN SIZE)", "SELECT INBOX"} {
		b.Run(strings.ReplaceAll(cmd, " ", "_"), func(b *testing.B) {
			for b.Loop() {
				d.ok(cmd)
			}
		})
	}
}
