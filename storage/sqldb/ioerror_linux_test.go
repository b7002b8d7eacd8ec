package sqldb_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"vanthu/storage/sqldb"
)

const ioErrorEnv = "VANTHU_TEST_SQLDB_IOERROR"

// After an I/O error at commit nothing more is written, even when the disk
// seems well again: a second fsync would say yes to pages the kernel dropped.
// A limit on the size of files makes the error, in a process of its own.
func TestSQLiteStopsAfterAnIOError(t *testing.T) {
	if path := os.Getenv(ioErrorEnv); path != "" {
		failCommit(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "io.db")
	child := exec.Command(os.Args[0], "-test.run=^TestSQLiteStopsAfterAnIOError$")
	child.Env = append(os.Environ(), ioErrorEnv+"="+path)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	db, err := sqldb.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	want(t, db, "a")
}

func failCommit(t *testing.T, path string) {
	db, err := sqldb.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), "test", schema); err != nil {
		t.Fatal(err)
	}
	add(t, db, "a")
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := func(l syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	update := func(id string) error {
		return db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, id) })
	}
	limit(syscall.Rlimit{Cur: uint64(info.Size()), Max: old.Max})
	if err := update("b"); !errors.Is(err, sqldb.ErrBroken) {
		t.Errorf("with a failing disk: got %v, want ErrBroken", err)
	}
	limit(old)
	if err := update("c"); !errors.Is(err, sqldb.ErrBroken) {
		t.Errorf("afterwards: got %v, want ErrBroken", err)
	}
	want(t, db, "a") // reading goes on
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
