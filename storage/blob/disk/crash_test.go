package disk

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"vanthu/storage/blob"
)

// startChild runs the test program as a process of its own.
func startChild(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "VANTHU_DISK_TEST_ROLE="+role, "VANTHU_DISK_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

func killSelf() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

var crashContent = bytes.Repeat([]byte("crash"), 200_000)

// childCrash stores one blob and dies at the n-th point of its way: 0 while its
// bytes come in, then at each flush of a folder.
func childCrash(dir string, n int) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	flushes := 0
	s.flusher.flush = func(folder string) error {
		if flushes++; flushes == n {
			killSelf()
		}
		return flushFolder(folder)
	}
	if n == 0 {
		half := bytes.NewReader(crashContent[:len(crashContent)/2])
		_, err := s.Put(context.Background(), &dying{half})
		return err
	}
	_, err = blob.PutBytes(context.Background(), s, crashContent)
	return err
}

// dying kills the process where its bytes end.
type dying struct{ r *bytes.Reader }

// Read implements io.Reader.
func (d *dying) Read(p []byte) (int, error) {
	if d.r.Len() == 0 {
		killSelf()
	}
	return d.r.Read(p)
}

// TestCrashPoints: whatever the point, the next Open finds no half blob, cleans
// up, and stores the content.
func TestCrashPoints(t *testing.T) {
	for n := 0; ; n++ {
		dir := t.TempDir()
		err := startChild(t, strconv.Itoa(n), dir).Run()
		if err == nil {
			if n < 4 {
				t.Errorf("only %d points to crash at", n)
			}
			return // there are only n points
		}
		if n < 3 && tempFiles(t, dir) != 1 {
			t.Errorf("point %d: %d unfinished files, want 1", n, tempFiles(t, dir))
		}
		s := open(t, dir)
		if got := tempFiles(t, dir); got != 0 {
			t.Errorf("point %d: %d unfinished files after Open", n, got)
		}
		for d := range listed(t, s) {
			if d != blob.Sum(crashContent) {
				t.Errorf("point %d: blob %s appeared", n, d)
			}
		}
		if _, err := blob.PutBytes(t.Context(), s, crashContent); err != nil {
			t.Errorf("point %d: %v", n, err)
		}
		if len(listed(t, s)) != 1 {
			t.Errorf("point %d: want 1 blob", n)
		}
	}
}

// childWrite stores blobs with several writers and prints each digest once Put
// has returned.
func childWrite(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			for i := 0; ; i++ {
				data := make([]byte, 1+(i*7919)%300_000)
				_, _ = rand.Read(data)
				ref, err := blob.PutBytes(context.Background(), s, data)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				mu.Lock()
				fmt.Println(ref.Digest)
				mu.Unlock()
			}
		})
	}
	g.Wait()
	return errors.New("writers ended")
}

// TestKill kills a writing process at some moment; every blob it had
// acknowledged must be there.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := make(map[blob.Digest]bool)
	for round := range 5 {
		cmd := startChild(t, "write", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(100+round*37)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				break // a line that was cut was not acknowledged
			}
			acked[blob.Digest(strings.TrimSpace(line))] = true
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the writer ended by itself")
		}
		got := listed(t, open(t, dir))
		for d := range acked {
			if !got[d] {
				t.Fatalf("round %d: acknowledged blob %s is missing", round, d)
			}
		}
	}
	if len(acked) < 20 {
		t.Errorf("only %d blobs were acknowledged", len(acked))
	}
	t.Logf("%d acknowledged blobs, none missing", len(acked))
}

// TestFlushGroups: flushes of one folder that come while one runs are done by
// the next one together.
func TestFlushGroups(t *testing.T) {
	var runs atomic.Int32
	enter, leave := make(chan struct{}), make(chan struct{})
	f := flusher{flush: func(string) error {
		runs.Add(1)
		enter <- struct{}{}
		<-leave
		return nil
	}}
	var wg sync.WaitGroup
	call := func() {
		wg.Go(func() {
			if err := f.Flush("dir"); err != nil {
				t.Error(err)
			}
		})
	}
	call()
	<-enter
	for range 32 {
		call()
	}
	for { // until all have joined the next flush, or will
		f.mu.Lock()
		joined := f.dirs["dir"].next != nil
		f.mu.Unlock()
		if joined {
			break
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	leave <- struct{}{}
	go func() {
		for range enter {
			leave <- struct{}{}
		}
	}()
	wg.Wait()
	close(enter)
	if n := runs.Load(); n > 3 {
		t.Errorf("33 calls made %d flushes, want 2", n)
	}
}

// TestFlushFails: after a flush has failed nothing is acknowledged any more,
// except when the disk was full.
func TestFlushFails(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var fail error
	s.flusher.flush = func(folder string) error {
		if fail != nil {
			return &os.PathError{Op: "sync", Path: folder, Err: fail}
		}
		return flushFolder(folder)
	}
	fail = syscall.ENOSPC
	if _, err := blob.PutBytes(t.Context(), s, []byte("one")); !errors.Is(err, blob.ErrFull) {
		t.Errorf("Put = %v, want ErrFull", err)
	}
	fail = nil
	if _, err := blob.PutBytes(t.Context(), s, []byte("one")); err != nil {
		t.Errorf("Put after room was made = %v", err)
	}
	fail = syscall.EIO
	if _, err := blob.PutBytes(t.Context(), s, []byte("two")); !errors.Is(err, syscall.EIO) {
		t.Errorf("Put = %v, want EIO", err)
	}
	fail = nil
	if _, err := blob.PutBytes(t.Context(), s, []byte("two")); !errors.Is(err, syscall.EIO) {
		t.Errorf("Put after a failed flush = %v, want EIO", err)
	}
	if _, err := blob.PutBytes(t.Context(), open(t, dir), []byte("two")); err != nil {
		t.Errorf("Put after a new start = %v", err)
	}
}

// TestOneByteReader: sources that yield little at a time are stored the same.
func TestOneByteReader(t *testing.T) {
	s := open(t, t.TempDir())
	data := crashContent[:300_000]
	ref, err := s.Put(t.Context(), iotest.OneByteReader(bytes.NewReader(data)))
	if err != nil || ref.Digest != blob.Sum(data) {
		t.Errorf("Put = %v, %v", ref, err)
	}
}
