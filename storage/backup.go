package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vanthu/storage/sqldb"
)

// BackupResult says what a backup or restore did.
type BackupResult struct {
	Files  int      `json:"files"`  // copied now
	Kept   int      `json:"kept"`   // blobs that an earlier backup had brought
	Bytes  int64    `json:"bytes"`  // copied now
	Notes  []string `json:"notes"`  // what has to be kept by other means
	Broken []string `json:"broken"` // blobs whose bytes are not those of their name; not copied
}

// Backup copies the data folder dir to the folder to, also while a hub works in it. The database is taken first, as of one
// moment; the blobs that it names were durable before it named them and are never deleted, so copying them afterwards
// gives a whole. Backing up to the same folder again brings only what is new. postgres and remote say that the
// database, or blobs and archive, are elsewhere: see the notes of the result.
func Backup(ctx context.Context, dir, to string, postgres, remote bool) (*BackupResult, error) {
	if err := checkVersion(dir); err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(to); err == nil && len(entries) > 0 && checkVersion(to) != nil {
		return nil, fmt.Errorf("%s is neither empty nor an earlier backup", to)
	}
	if err := os.MkdirAll(to, privateFolder); err != nil {
		return nil, fmt.Errorf("making the backup folder: %w", err)
	}
	r := &BackupResult{}
	if postgres {
		r.Notes = append(r.Notes, "the database is in PostgreSQL: run pg_dump --format=custom before this command, so that the dump is the older part")
	} else if err := r.snapshot(ctx, filepath.Join(dir, databaseName), filepath.Join(to, databaseName)); err != nil {
		return r, err
	}
	if remote {
		r.Notes = append(r.Notes, "blobs or archive are in an S3 store: its own versions and replication keep them")
	}
	return r, r.copyTree(ctx, dir, to)
}

// snapshot writes the database as of one moment, whole or not at all.
func (r *BackupResult) snapshot(ctx context.Context, from, to string) error {
	fresh := to + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("backing up the database: %w", err)
	}
	if err := sqldb.SnapshotSQLite(ctx, from, fresh); err != nil {
		return fmt.Errorf("backing up the database: %w", err)
	}
	info, err := os.Stat(fresh)
	if err == nil {
		err = errors.Join(os.Chmod(fresh, 0o600), syncFile(fresh), os.Rename(fresh, to))
	}
	if err != nil {
		return fmt.Errorf("backing up the database: %w", err)
	}
	r.Files, r.Bytes = r.Files+1, r.Bytes+info.Size()
	return nil
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// copyTree copies all but the database, locks and half-written files.
func (r *BackupResult) copyTree(ctx context.Context, dir, to string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a temporary file that is gone again
			}
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		parts := strings.Split(filepath.ToSlash(name), "/")
		blob := len(parts) > 1 && (parts[0] == "blobs" || parts[0] == "archive")
		switch {
		case name == "lock" || strings.HasPrefix(name, databaseName) || strings.HasPrefix(d.Name(), ".new-"):
			return nil
		case d.IsDir() && blob && parts[1] == "tmp":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), privateFolder)
		case !d.Type().IsRegular():
			return nil
		}
		return r.copyFile(path, filepath.Join(to, name), blob)
	})
}

// copyFile copies a file whole or not at all. A blob's bytes are checked against its name.
func (r *BackupResult) copyFile(from, to string, blob bool) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if have, err := os.Stat(to); blob && err == nil && have.Size() == info.Size() {
		r.Kept++
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	out, err := os.CreateTemp(filepath.Dir(to), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) //nolint:errcheck // gone already when all went well
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), in)
	if err = errors.Join(err, out.Chmod(info.Mode().Perm()), out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	if blob && hex.EncodeToString(sum.Sum(nil)) != filepath.Base(from) {
		r.Broken = append(r.Broken, filepath.Base(from))
		return nil
	}
	if err := os.Rename(out.Name(), to); err != nil {
		return err
	}
	r.Files, r.Bytes = r.Files+1, r.Bytes+n
	return nil
}

// Restore makes the data folder dir from a backup. dir must not exist or be empty.
func Restore(ctx context.Context, from, dir string) (*BackupResult, error) {
	if err := checkVersion(from); err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty; nothing was restored", dir)
	}
	if err := os.MkdirAll(dir, privateFolder); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	r := &BackupResult{}
	database := filepath.Join(from, databaseName)
	if _, err := os.Stat(database); err == nil {
		if err := r.copyFile(database, filepath.Join(dir, databaseName), false); err != nil {
			return r, err
		}
	} else {
		r.Notes = append(r.Notes, "the backup has no database: restore the dump of PostgreSQL before the hub is started")
	}
	return r, r.copyTree(ctx, from, dir)
}
