package smtpd_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-smtp"

	"vanthu/mail"
	"vanthu/storage/blob"
	"vanthu/storage/blob/disk"
	"vanthu/storage/sqldb"
	"vanthu/storage/sqldb/sqldbtest"
)

// body is a message of about size bytes, another one for each n.
func body(n int64, size int) string {
	head := fmt.Sprintf("From: <x@else.example>\r\nTo: <a@tinh.example>\r\nSubject: load %d\r\nDate: Mon, 23 Nov 2026 13:00:00 +0700\r\nMessage-ID: <%d@else.example>\r\n\r\n", n, n)
	line := strings.Repeat("x", 70) + "\r\n"
	return head + strings.Repeat(line, max(1, (size-len(head))/len(line)))
}

// BenchmarkDeliver measures messages from DATA to durable, over SMTP on
// loopback, 20 recipients' mailboxes in turn.
func BenchmarkDeliver(b *testing.B) {
	for _, size := range []int{4 << 10, 100 << 10} {
		for _, conns := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("size=%dK/conns=%d", size>>10, conns), func(b *testing.B) { benchDeliver(b, size, conns) })
		}
	}
}

func benchDeliver(b *testing.B, size, conns int) {
	r := newRig(b)
	for i := range 20 {
		if _, err := r.store.AddAccount(b.Context(), mail.Account{Address: mail.Address(fmt.Sprintf("u%d@tinh.example", i))}, password); err != nil {
			b.Fatal(err)
		}
	}
	var n atomic.Int64
	b.ResetTimer()
	parallel(b, conns, func() func() error {
		c, err := smtp.Dial(r.mx)
		if err != nil {
			b.Error(err)
			return nil
		}
		return func() error {
			i := n.Add(1)
			return c.SendMail("x@else.example", []string{fmt.Sprintf("u%d@tinh.example", i%20)}, strings.NewReader(body(i, size)))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// parallel runs b.N operations on conns workers.
func parallel(b *testing.B, conns int, worker func() func() error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	for range conns {
		go func() {
			defer func() { done <- struct{}{} }()
			op := worker()
			for op != nil && left.Add(-1) >= 0 {
				if err := op(); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	for range conns {
		<-done
	}
}

// BenchmarkBound is what a delivery is made of at least: the blob, durable, and
// one transaction with one row, durable.
func BenchmarkBound(b *testing.B) {
	for _, size := range []int{4 << 10, 100 << 10} {
		for _, conns := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("size=%dK/conns=%d", size>>10, conns), func(b *testing.B) { benchBound(b, size, conns) })
		}
	}
}

func benchBound(b *testing.B, size, conns int) {
	blobs, err := disk.Open(filepath.Join(b.TempDir(), "blobs"))
	if err != nil {
		b.Fatal(err)
	}
	db := sqldbtest.SQLite(b)
	update := func(query string, args ...any) error {
		return db.Update(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		})
	}
	if err := update(`CREATE TABLE bound (id BIGINT PRIMARY KEY, digest TEXT NOT NULL)`); err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	b.ResetTimer()
	parallel(b, conns, func() func() error {
		return func() error {
			i := n.Add(1)
			ref, err := blob.PutBytes(context.Background(), blobs, []byte(body(i, size)))
			if err != nil {
				return err
			}
			return update(`INSERT INTO bound (id, digest) VALUES ($1, $2)`, i, string(ref.Digest))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
