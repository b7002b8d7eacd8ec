package smtpd_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"vanthu/mail"
	"vanthu/mail/smtpd"
	"vanthu/storage/blob/disk"
	"vanthu/storage/sqldb"
)

// envChild makes the test program a server on the folder it names.
const envChild = "VANTHU_TEST_SMTPD_DIR"

// openDir opens a store on a folder.
func openDir(dir string) (*mail.Store, *sqldb.DB, error) {
	db, err := sqldb.OpenSQLite(context.Background(), filepath.Join(dir, "mail.db"))
	if err != nil {
		return nil, nil, err
	}
	blobs, err := disk.Open(filepath.Join(dir, "blobs"))
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	s, err := mail.New(context.Background(), mail.Config{DB: db, Blobs: blobs, Domains: []string{"tinh.example"},
		PasswordCost: mail.PasswordCost{MemoryKiB: 64, Passes: 1}})
	return s, db, err
}

// TestKilledServer is the server that TestKill kills.
func TestKilledServer(t *testing.T) {
	dir := os.Getenv(envChild)
	if dir == "" {
		return // only as a child
	}
	s, _, err := openDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		_, err := s.AddAccount(t.Context(), mail.Account{Address: mail.Address(fmt.Sprintf("u%d@tinh.example", i))}, password)
		if err != nil && !errors.Is(err, mail.ErrExists) {
			t.Fatal(err)
		}
	}
	srv, err := smtpd.New(smtpd.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("listening %s\n", l.Addr())
	t.Fatal(srv.ServeMX(l))
}

// startChild runs this program as a server and says where it listens.
func startChild(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledServer$")
	cmd.Env = append(os.Environ(), envChild+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		if addr, ok := strings.CutPrefix(sc.Text(), "listening "); ok {
			return cmd, addr
		}
	}
	t.Fatal("the server did not start")
	return nil, ""
}

// TestKill kills the server in the middle of its work, again and again: every
// message that was answered with 250 is there for each of its recipients, once,
// and nothing is torn.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := make(map[string]bool)
	var mu sync.Mutex
	for round := range 5 {
		cmd, addr := startChild(t, dir)
		var wg sync.WaitGroup
		for conn := range 4 {
			wg.Go(func() {
				c, err := smtp.Dial(addr)
				if err != nil {
					return
				}
				defer c.Close()
				for i := 0; ; i++ {
					id := fmt.Sprintf("r%d-c%d-%d", round, conn, i)
					err := c.SendMail("x@else.example", []string{"u0@tinh.example", "u1@tinh.example", "u2@tinh.example"},
						strings.NewReader("Subject: "+id+"\r\n\r\n"+strings.Repeat("văn bản "+id+"\r\n", 50)))
					if err != nil {
						return
					}
					mu.Lock()
					acked[id] = true
					mu.Unlock()
				}
			})
		}
		time.Sleep(time.Duration(150+61*round) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		_ = cmd.Wait()
	}
	if len(acked) == 0 {
		t.Fatal("nothing was acknowledged")
	}
	s, db, err := openDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i := range 3 {
		a, err := s.Account(t.Context(), mail.Address(fmt.Sprintf("u%d@tinh.example", i)))
		if err != nil {
			t.Fatal(err)
		}
		box, err := s.Mailbox(t.Context(), a.ID, mail.Inbox)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]int)
		err = s.Messages(t.Context(), box.ID, mail.UIDSet{{First: 1, Last: mail.MaxUID}}, true, func(m *mail.Message) error {
			seen[m.Summary.Subject]++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for id := range acked {
			if seen[id] != 1 {
				t.Errorf("%s: message %s is there %d times", a.Address, id, seen[id])
			}
		}
		t.Logf("%s: %d acknowledged, %d stored", a.Address, len(acked), len(seen))
	}
	if err := s.Check(t.Context(), func(p string) { t.Errorf("check: %s", p) }); err != nil {
		t.Fatal(err)
	}
}
