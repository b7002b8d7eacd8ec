package disk

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"vanthu/storage/blob"
	"vanthu/storage/blob/blobtest"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("VANTHU_DISK_TEST_ROLE"); role != "" {
		if err := child(role, os.Getenv("VANTHU_DISK_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Backend { return open(t, filepath.Join(t.TempDir(), "blobs")) })
}

func TestDamaged(t *testing.T) {
	s := open(t, t.TempDir())
	blobtest.Damaged(t, s, s.path)
}

func TestLayout(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	ref, err := blob.PutBytes(t.Context(), s, []byte("abc"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "ba/78/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2 B.1
	info, err := os.Stat(filepath.Join(dir, want))
	if err != nil || info.Mode() != blobMode {
		t.Fatalf("Stat = %v, %v, want mode %v", info, err, blobMode)
	}
	if got := stat(t, info).Nlink; got != 1 {
		t.Errorf("the file has %d names, want 1", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "ba", "78", "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var strays []string
	err = s.Strays(t.Context(), func(p string) error { strays = append(strays, p); return nil })
	if err != nil || len(strays) != 1 || strays[0] != "ba/78/notes.txt" {
		t.Errorf("Strays = %v, %v", strays, err)
	}
	if got := len(listed(t, s)); got != 1 || ref.Size != 3 {
		t.Errorf("List has %d blobs, want 1", got)
	}
}

func stat(t *testing.T, info fs.FileInfo) *syscall.Stat_t {
	t.Helper()
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no stat")
	}
	return st
}

func listed(t *testing.T, s *Store) map[blob.Digest]bool {
	t.Helper()
	got := make(map[blob.Digest]bool)
	err := s.List(t.Context(), func(r blob.Ref) error {
		got[r.Digest] = true
		return blob.Verify(t.Context(), s, r.Digest)
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestHeals: a blob whose file has the wrong size is replaced by its next Put.
func TestHeals(t *testing.T) {
	s := open(t, t.TempDir())
	data := []byte("some content")
	ref, err := blob.PutBytes(t.Context(), s, data)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(s.path(ref.Digest), 0o600), os.Truncate(s.path(ref.Digest), 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := blob.PutBytes(t.Context(), s, data); err != nil {
		t.Fatal(err)
	}
	if err := blob.Verify(t.Context(), s, ref.Digest); err != nil {
		t.Error(err)
	}
}

func tempFiles(t *testing.T, dir string) int {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(dir, tmpName))
	if err != nil {
		t.Fatal(err)
	}
	return len(left)
}

// TestFullDevice writes to /dev/full, which refuses every byte as a full disk does.
func TestFullDevice(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.create = func(tmp string) (*os.File, error) {
		// A link in tmp/, so that what is cleaned up is the link.
		name := filepath.Join(tmp, "put-full")
		if err := os.Symlink("/dev/full", name); err != nil {
			return nil, err
		}
		return os.OpenFile(name, os.O_WRONLY, 0)
	}
	for _, size := range []int{100, 1 << 20} {
		if _, err := s.Put(t.Context(), bytes.NewReader(make([]byte, size))); !errors.Is(err, blob.ErrFull) {
			t.Errorf("Put of %d bytes = %v, want ErrFull", size, err)
		}
		if n := tempFiles(t, dir); n != 0 {
			t.Errorf("%d files left in %s", n, tmpName)
		}
	}
	if got := listed(t, s); len(got) != 0 {
		t.Errorf("List = %v, want none", got)
	}
}

// TestFullFileSystem fills a small file system of its own, where mounting one is
// allowed, and goes on once there is room again.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "VANTHU_DISK_TEST_ROLE=full", "VANTHU_DISK_TEST_DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil && (errors.Is(err, syscall.EPERM) || bytes.Contains(out, []byte(mountRefused))) {
		t.Logf("no own file system allowed here, TestFullDevice stands alone: %v %s", err, out)
		return
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

const mountRefused = "mounting refused"

// child is what the test program does when it is started as its own helper.
func child(role, dir string) error {
	switch role {
	case "full":
		return childFull(dir)
	case "write":
		return childWrite(dir)
	}
	n, err := strconv.Atoi(role)
	if err != nil {
		return err
	}
	return childCrash(dir, n)
}

// childFull stores blobs on a file system of 1 MiB until it is full.
func childFull(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%s: %w", mountRefused, err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		return fmt.Errorf("%s: %w", mountRefused, err)
	}
	s, err := Open(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	var kept []blob.Ref
	for {
		data := make([]byte, 100_000)
		if _, err := rand.Read(data); err != nil {
			return err
		}
		ref, err := blob.PutBytes(ctx, s, data)
		if errors.Is(err, blob.ErrFull) {
			break
		}
		if err != nil || len(kept) > 100 {
			return fmt.Errorf("after %d blobs: %w, want ErrFull", len(kept), err)
		}
		kept = append(kept, ref)
	}
	left, err := os.ReadDir(filepath.Join(dir, tmpName))
	if err != nil || len(left) != 0 || len(kept) < 5 {
		return fmt.Errorf("%d blobs kept, %d files left in %s: %w", len(kept), len(left), tmpName, err)
	}
	for _, r := range kept {
		if err := blob.Verify(ctx, s, r.Digest); err != nil {
			return err
		}
	}
	if err := os.Remove(s.path(kept[0].Digest)); err != nil {
		return err
	}
	_, err = blob.PutBytes(ctx, s, make([]byte, 50_000))
	return err
}
