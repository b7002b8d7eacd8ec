package smtpd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-smtp"

	"vanthu/mail"
	"vanthu/mail/smtpd"
	"vanthu/storage/blob"
	"vanthu/storage/blob/disk"
	"vanthu/storage/sqldb/sqldbtest"
)

// fullBlobs is a blob store whose disk fills up in the middle of a message.
type fullBlobs struct {
	blob.Backend
	full atomic.Bool
}

// Put implements blob.Backend.
func (f *fullBlobs) Put(ctx context.Context, r io.Reader) (blob.Ref, error) {
	if !f.full.Load() {
		return f.Backend.Put(ctx, r)
	}
	_, err := io.CopyN(io.Discard, r, 1000)
	return blob.Ref{}, errors.Join(fmt.Errorf("writing: %w", blob.ErrFull), err)
}

// TestDiskFull: 452, nothing kept, and once there is room the same message goes through.
func TestDiskFull(t *testing.T) {
	d, err := disk.Open(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	blobs := &fullBlobs{Backend: d}
	store, err := mail.New(t.Context(), mail.Config{DB: sqldbtest.SQLite(t), Blobs: blobs, Domains: []string{"tinh.example"},
		PasswordCost: mail.PasswordCost{MemoryKiB: 64, Passes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := store.AddAccount(t.Context(), mail.Account{Address: "a@tinh.example"}, password)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := smtpd.New(smtpd.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.ServeMX(l) }()
	defer func() {
		if err := errors.Join(srv.Close(), <-done); err != nil {
			t.Error(err)
		}
	}()
	c, err := smtp.Dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	long := "Subject: x\r\n\r\n" + strings.Repeat("a line\r\n", 10_000)
	blobs.full.Store(true)
	if err := send(c, "x@else.example", []string{"a@tinh.example"}, long); code(err) != 452 {
		t.Errorf("full disk: %v", err)
	}
	blobs.full.Store(false)
	r := &rig{store: store}
	if n := len(r.inbox(t, a)); n != 0 {
		t.Errorf("%d messages were kept", n)
	}
	if err := send(c, "x@else.example", []string{"a@tinh.example"}, long); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if n := len(r.inbox(t, a)); n != 1 {
		t.Errorf("%d messages", n)
	}
}
