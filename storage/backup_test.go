package storage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"vanthu/storage"
	"vanthu/storage/blob"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// TestBackupWhileWorking: a folder is copied while four writers add blobs and the rows that name them; what is restored is
// whole, and a second backup brings only what is new.
func TestBackupWhileWorking(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	if err := storage.Init(dir); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	store, err := storage.Open(ctx, storage.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	store.Ledger.Start(ctx)
	var written atomic.Int64
	stop, failed := make(chan struct{}), make(chan error, 4)
	for writer := range 4 {
		go func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					failed <- nil
					return
				default:
				}
				ref, err := store.Blobs.Put(context.WithoutCancel(ctx), strings.NewReader(fmt.Sprint("văn bản ", writer, i)))
				if err == nil {
					err = store.DB.Update(context.WithoutCancel(ctx), func(ctx context.Context, tx *sqldb.Tx) error {
						_, err := store.Ledger.Append(ctx, tx, ledger.Entry{Kind: "kept", Subject: "s", Body: json.RawMessage(`{"digest":"` + string(ref.Digest) + `"}`)})
						return err
					})
				}
				if err != nil {
					failed <- err
					return
				}
				written.Add(1)
			}
		}()
	}
	for written.Load() < 100 {
		select {
		case err := <-failed:
			t.Fatal(err)
		default:
		}
	}
	before := written.Load()
	first, err := storage.Backup(ctx, dir, to, false, false)
	if err != nil || len(first.Broken) > 0 || first.Files < 100 {
		t.Fatalf("%+v, %v", first, err)
	}
	for written.Load() < before+50 {
		select {
		case err := <-failed:
			t.Fatal(err)
		default:
		}
	}
	second, err := storage.Backup(ctx, dir, to, false, false)
	if err != nil || int64(second.Kept) < before {
		t.Fatalf("%+v, %v", second, err)
	}
	close(stop)
	for range 4 {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	store.Ledger.Stop()
	if err := store.Close(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	whole(t, to, before)
}

// whole restores a backup and finds every blob that its evidence names.
func whole(t *testing.T, backup string, least int64) {
	t.Helper()
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "restored")
	if _, err := storage.Restore(ctx, backup, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Restore(ctx, backup, dir); err == nil {
		t.Error("restored over a folder that has things in it")
	}
	store, err := storage.Open(ctx, storage.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	for _, check := range []func(context.Context, func(string)) error{store.Check, store.Ledger.Check} {
		if err := check(ctx, func(problem string) { t.Error(problem) }); err != nil {
			t.Fatal(err)
		}
	}
	count := int64(0)
	for from := int64(0); ; {
		list, err := store.Ledger.Read(ctx, from, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, r := range list {
			var body struct{ Digest blob.Digest }
			if err := json.Unmarshal(r.Body, &body); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Blobs.Stat(ctx, body.Digest); err != nil {
				t.Fatalf("entry %d: %v", r.Index, err)
			}
			count, from = count+1, r.Index+1
		}
	}
	if count < least {
		t.Errorf("%d entries, %d were there before the backup", count, least)
	}
}

// TestBackupTellsDamage: a blob that is not what its name says is told and not copied.
func TestBackupTellsDamage(t *testing.T) {
	dir := t.TempDir()
	if err := storage.Init(dir); err != nil {
		t.Fatal(err)
	}
	store, err := storage.Open(t.Context(), storage.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := store.Blobs.Put(t.Context(), strings.NewReader("văn bản"))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := string(ref.Digest)
	file := filepath.Join(dir, "blobs", d[:2], d[2:4], d)
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("van bản"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := storage.Backup(t.Context(), dir, filepath.Join(t.TempDir(), "b"), false, false)
	if err != nil || len(r.Broken) != 1 || r.Broken[0] != d {
		t.Errorf("%+v, %v", r, err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thứ khác"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Backup(t.Context(), dir, full, false, false); err == nil {
		t.Error("backed up into a folder that has other things in it")
	}
}
