package storage

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// folderVersion is the layout of the data folder that this program reads and
// writes.
const folderVersion = 1

// Names within the data folder.
const (
	versionName  = "VERSION"
	lockName     = "lock"
	databaseName = "vanthu.db"
	keysName     = "keys"
	logKeyName   = "log.key"
)

const privateFolder fs.FileMode = 0o700

// Init makes dir a data folder: its version and the key of its evidence log. It
// refuses a folder that has other things in it, and does nothing to one that is
// a data folder already.
func Init(dir string) error {
	if err := os.MkdirAll(dir, privateFolder); err != nil {
		return fmt.Errorf("making data folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("making data folder: %w", err)
	}
	if len(entries) > 0 {
		return checkVersion(dir)
	}
	if err := writeDurably(filepath.Join(dir, versionName), []byte(strconv.Itoa(folderVersion)+"\n"), 0o644); err != nil {
		return fmt.Errorf("making data folder: %w", err)
	}
	_, err = makeLogKey(dir)
	return err
}

// checkVersion returns nil for a data folder of this version.
func checkVersion(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, versionName))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no file %s; make a data folder with \"vanthu init\": %w", dir, versionName, ErrVersion)
	}
	if err != nil {
		return fmt.Errorf("reading the version of the data folder: %w", err)
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	switch {
	case err != nil:
		return fmt.Errorf("%s of %s holds no number: %w", versionName, dir, ErrVersion)
	case v > folderVersion:
		return fmt.Errorf("%s was written by a newer program (version %d, this one has %d); run that one: %w", dir, v, folderVersion, ErrVersion)
	case v < folderVersion:
		return fmt.Errorf("%s has version %d, want %d: %w", dir, v, folderVersion, ErrVersion)
	}
	return nil
}

// logKey reads the key of the evidence log. It makes one only in a folder that
// has no database yet: a log continued under another key is another log.
func (s *Store) logKey(cfg Config) (ed25519.PrivateKey, error) {
	path := filepath.Join(cfg.Dir, keysName, logKeyName)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, dbErr := os.Stat(filepath.Join(cfg.Dir, databaseName))
		if cfg.ReadOnly || cfg.PostgresURL != "" || dbErr == nil {
			return nil, fmt.Errorf("the key of the evidence log is missing; bring %s back from a backup", path)
		}
		return makeLogKey(cfg.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of the evidence log: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key; bring it back from a backup", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no key; bring it back from a backup: %w", path, err)
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a key of another kind, want Ed25519", path)
	}
	return ed, nil
}

func makeLogKey(dir string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of the evidence log: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("making the key of the evidence log: %w", err)
	}
	folder := filepath.Join(dir, keysName)
	if err := os.MkdirAll(folder, privateFolder); err != nil {
		return nil, fmt.Errorf("making the key of the evidence log: %w", err)
	}
	raw := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := writeDurably(filepath.Join(folder, logKeyName), raw, 0o600); err != nil {
		return nil, fmt.Errorf("making the key of the evidence log: %w", err)
	}
	return key, flush(dir)
}

// writeDurably writes a small file as a whole or not at all.
func writeDurably(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return flush(filepath.Dir(path))
}

// flush makes the names in a folder durable.
func flush(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// folderLock keeps other processes out of a data folder while it is open. The
// kernel gives it up when the process ends, however it ends.
type folderLock struct{ file *os.File }

// lockFolder takes the lock, alone or shared with other readers.
func lockFolder(dir string, shared bool) (*folderLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking data folder: %w", err)
	}
	if err := lockFile(f, shared); err != nil {
		holder := holderOf(f)
		err = errors.Join(err, f.Close())
		if errors.Is(err, errHeld) {
			return nil, fmt.Errorf("%s is in use by %s; stop it first: %w", dir, holder, ErrLocked)
		}
		return nil, fmt.Errorf("locking data folder: %w", err)
	}
	if !shared {
		// For the message above only: the lock is the kernel's, not this text.
		err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())+"\n"))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("locking data folder: %w", err), f.Close())
		}
	}
	return &folderLock{file: f}, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

func holderOf(f *os.File) string {
	buf := make([]byte, 32)
	n, _ := f.ReadAt(buf, 0) // short files end in io.EOF; an unreadable one names nobody
	if pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n]))); err == nil {
		return fmt.Sprintf("process %d", pid)
	}
	return "another process"
}

// release gives the lock up; closing the file does.
func (l *folderLock) release() error {
	if l == nil || l.file == nil {
		return nil
	}
	// A reader may hold the folder next: its message must not name us.
	err := errors.Join(l.file.Truncate(0), l.file.Close())
	l.file = nil
	return err
}
