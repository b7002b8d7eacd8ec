package storage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vanthu/storage"
	"vanthu/storage/blob"
	"vanthu/storage/blob/blobtest"
	"vanthu/storage/blob/s3"
)

const heldDir = "VANTHU_STORAGE_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(heldDir); dir != "" {
		if err := hold(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// hold keeps a data folder open until its standard input ends.
func hold(dir string) error {
	s, err := storage.Open(context.Background(), storage.Config{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println("open")
	_, _ = os.Stdin.Read(make([]byte, 1)) // any end will do
	return s.Close(context.Background())
}

func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := storage.Init(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, cfg storage.Config) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func problems(t *testing.T, s *storage.Store) []string {
	t.Helper()
	var got []string
	if err := s.Check(t.Context(), func(p string) { got = append(got, p) }); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestInit(t *testing.T) {
	dir := folder(t)
	if err := storage.Init(dir); err != nil {
		t.Errorf("Init again: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "keys", "log.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("log.key: %v, %v, want mode 0600", info, err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "thesis.doc"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := storage.Init(other); !errors.Is(err, storage.ErrVersion) {
		t.Errorf("Init of a folder with other things = %v, want ErrVersion", err)
	}
	if entries, err := os.ReadDir(other); err != nil || len(entries) != 1 {
		t.Errorf("the other folder has %d files now", len(entries))
	}
}

func TestVersion(t *testing.T) {
	for version, want := range map[string]string{"99\n": "newer", "0\n": "version 0", "one\n": "no number"} {
		dir := folder(t)
		if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte(version), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := storage.Open(t.Context(), storage.Config{Dir: dir})
		if !errors.Is(err, storage.ErrVersion) || !strings.Contains(err.Error(), want) {
			t.Errorf("VERSION %q: %v, want %q", version, err, want)
		}
	}
	if _, err := storage.Open(t.Context(), storage.Config{Dir: t.TempDir()}); !errors.Is(err, storage.ErrVersion) {
		t.Errorf("no VERSION: %v, want ErrVersion", err)
	}
}

// TestLock: a second process is refused and told who holds the folder, whatever
// it wants; a killed process holds nothing.
func TestLock(t *testing.T) {
	dir := folder(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), heldDir+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{false, true} {
		_, err := storage.Open(t.Context(), storage.Config{Dir: dir, ReadOnly: readOnly})
		if !errors.Is(err, storage.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", cmd.Process.Pid)) {
			t.Errorf("read only %v: %v, want ErrLocked with process %d", readOnly, err, cmd.Process.Pid)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	open(t, storage.Config{Dir: dir})
}

func TestReadOnly(t *testing.T) {
	dir := folder(t)
	s, err := storage.Open(t.Context(), storage.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := blob.PutBytes(t.Context(), s.Blobs, []byte("kept"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	ro := open(t, storage.Config{Dir: dir, ReadOnly: true})
	open(t, storage.Config{Dir: dir, ReadOnly: true}) // readers share
	if _, err := blob.PutBytes(t.Context(), ro.Blobs, []byte("new")); !errors.Is(err, storage.ErrReadOnly) {
		t.Errorf("Put = %v, want ErrReadOnly", err)
	}
	if err := ro.Start(t.Context()); !errors.Is(err, storage.ErrReadOnly) {
		t.Errorf("Start = %v, want ErrReadOnly", err)
	}
	if got, err := blob.ReadAll(t.Context(), ro.Blobs, ref.Digest, 10); err != nil || string(got) != "kept" {
		t.Errorf("ReadAll = %q, %v", got, err)
	}
	if got := problems(t, ro); len(got) != 0 {
		t.Errorf("Check = %q", got)
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	dir := folder(t)
	s := open(t, storage.Config{Dir: dir})
	var refs []blob.Ref
	for i := range 10 {
		ref, err := blob.PutBytes(t.Context(), s.Blobs, bytes.Repeat([]byte{byte(i)}, 1000))
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	if got := problems(t, s); len(got) != 0 {
		t.Fatalf("Check = %q, want none", got)
	}
	bad := string(refs[3].Digest)
	path := filepath.Join(dir, "blobs", bad[:2], bad[2:4], bad)
	stray := filepath.Join(dir, "archive", "copy of something")
	for _, err := range []error{os.Chmod(path, 0o600), os.WriteFile(path, []byte("x"), 0o600), os.WriteFile(stray, nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := problems(t, s)
	if len(got) != 2 || !strings.Contains(got[0], bad) || !strings.Contains(got[1], "copy of something") {
		t.Errorf("Check = %q, want the corrupt blob and the stray file", got)
	}
}

func TestStartStop(t *testing.T) {
	s, err := storage.Open(t.Context(), storage.Config{Dir: folder(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.Jobs.Handle("storage_test", func(context.Context, json.RawMessage) error { return nil })
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestLogKeyStays: the key of the log is made once, and never a second one for a
// log that exists.
func TestLogKeyStays(t *testing.T) {
	dir := folder(t)
	var keys []string
	for range 2 {
		s, err := storage.Open(t.Context(), storage.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, s.Ledger.VerifierKey())
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if keys[0] != keys[1] {
		t.Errorf("the log had the key %s, then %s", keys[0], keys[1])
	}
	if err := os.Remove(filepath.Join(dir, "keys", "log.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Open(t.Context(), storage.Config{Dir: dir}); err == nil {
		t.Error("Open made a second key for the log")
	}
}

func TestArchiveInS3(t *testing.T) {
	srv := blobtest.StartS3(t)
	url := fmt.Sprintf("s3://%s:%s@%s/hub/archive?tls=0&create=1", srv.AccessKey, srv.SecretKey, srv.Endpoint)
	s := open(t, storage.Config{Dir: folder(t), ArchiveURL: url})
	if _, ok := s.Archive.(*s3.Store); !ok || !s.Archive.Capabilities().ObjectLock {
		t.Errorf("the archive is %T %+v", s.Archive, s.Archive.Capabilities())
	}
	if _, err := blob.PutBytes(t.Context(), s.Archive, []byte("package")); err != nil {
		t.Error(err)
	}
	if got := problems(t, s); len(got) != 0 {
		t.Errorf("Check = %q", got)
	}
	for _, bad := range []string{"ftp://x", "s3://nohost", "s3://a:secret@127.0.0.1:1/b?tls=0&timeout=1s"} {
		_, err := storage.Open(t.Context(), storage.Config{Dir: folder(t), ArchiveURL: bad})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("archive %s: %v", bad, err)
		}
	}
}
