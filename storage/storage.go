// Package storage opens what the hub keeps: the SQL engine, the blobs, the
// archive, the job queue and the evidence log of one data folder. It is the
// only place that picks engines, and it knows nothing of documents or mail.
//
// The folder holds VERSION, lock, vanthu.db, blobs/, archive/ and keys/; tls/
// and vanthu.toml belong to the program that runs the hub.
package storage

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"vanthu/storage/blob"
	"vanthu/storage/blob/disk"
	"vanthu/storage/blob/s3"
	"vanthu/storage/jobs"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// DefaultLogOrigin names the evidence log of a hub that was given no name.
const DefaultLogOrigin = "vanthu.local/log"

// Errors of opening.
var (
	// ErrLocked says that another process has the data folder open. The error's
	// text names it.
	ErrLocked = errors.New("data folder is in use")
	// ErrVersion says that the folder is no data folder of this program, or one
	// of another version.
	ErrVersion = errors.New("not a data folder of this version")
	// ErrReadOnly says that the store was opened for reading only.
	ErrReadOnly = errors.New("storage is open for reading only")
)

// Config says what to open.
type Config struct {
	Dir         string
	PostgresURL string // empty: SQLite in Dir
	BlobURL     string // empty: Dir/blobs; file:/path; s3://… (see s3.ParseURL)
	ArchiveURL  string // empty: Dir/archive; likewise
	Logger      *slog.Logger
	LogKey      ed25519.PrivateKey // nil: Dir/keys/log.key, made at first
	LogOrigin   string             // empty: DefaultLogOrigin
	Now         func() time.Time   // nil: time.Now
	Workers     int                // jobs at a time; 0: the queue's default
	ReadOnly    bool               // for checks: Start and Put fail; several may hold the folder so
}

// Store is an open data folder.
type Store struct {
	DB      *sqldb.DB
	Blobs   blob.Backend
	Archive blob.Backend
	Jobs    *jobs.Queue
	Ledger  *ledger.Ledger
	Dir     string

	readOnly bool
	started  bool
	lock     *folderLock
}

// Open checks the version of the folder, takes its lock, and opens the engines.
// It returns ErrVersion, ErrLocked or the error of an engine; then nothing is
// left open.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := checkVersion(cfg.Dir); err != nil {
		return nil, err
	}
	lock, err := lockFolder(cfg.Dir, cfg.ReadOnly)
	if err != nil {
		return nil, err
	}
	s := &Store{Dir: cfg.Dir, readOnly: cfg.ReadOnly, lock: lock}
	if err := s.open(ctx, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("opening storage: %w", err), s.Close(ctx))
	}
	return s, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.LogOrigin == "" {
		cfg.LogOrigin = DefaultLogOrigin
	}
	return cfg
}

// open fills s; what it opened stays in s also when it fails.
func (s *Store) open(ctx context.Context, cfg Config) error {
	var err error
	if cfg.LogKey == nil {
		if cfg.LogKey, err = s.logKey(cfg); err != nil {
			return err
		}
	}
	if s.Blobs, err = openBlobs(ctx, cfg, cfg.BlobURL, "blobs"); err != nil {
		return fmt.Errorf("blobs: %w", err)
	}
	if s.Archive, err = openBlobs(ctx, cfg, cfg.ArchiveURL, "archive"); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if cfg.PostgresURL != "" {
		s.DB, err = sqldb.OpenPostgres(ctx, cfg.PostgresURL)
	} else {
		s.DB, err = sqldb.OpenSQLite(ctx, filepath.Join(cfg.Dir, databaseName))
	}
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	s.Jobs, err = jobs.New(s.DB, jobs.Options{Logger: cfg.Logger, Workers: cfg.Workers, Now: cfg.Now})
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	s.Ledger, err = ledger.New(s.DB, cfg.LogKey, cfg.LogOrigin, ledger.Options{Logger: cfg.Logger, Now: cfg.Now})
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// openBlobs opens the blob store that a URL names.
func openBlobs(ctx context.Context, cfg Config, url, folder string) (blob.Backend, error) {
	var b blob.Backend
	switch {
	case strings.HasPrefix(url, "s3://"):
		c, err := s3.ParseURL(url)
		if err != nil {
			return nil, err
		}
		c.Now = cfg.Now
		if b, err = s3.Open(ctx, c); err != nil {
			return nil, err
		}
	case url == "" || strings.HasPrefix(url, "file:"):
		dir := filepath.Join(cfg.Dir, folder)
		if url != "" {
			dir = strings.TrimPrefix(strings.TrimPrefix(url, "file:"), "//")
		}
		open := disk.Open
		if cfg.ReadOnly {
			open = disk.OpenReadOnly
		}
		d, err := open(dir)
		if err != nil {
			return nil, err
		}
		b = d
	default:
		return nil, errors.New("the URL must begin with s3:// or file:, or be empty")
	}
	if cfg.ReadOnly {
		b = readOnlyBlobs{b}
	}
	return b, nil
}

// Start runs the jobs and the sequencer of the evidence log. Job handlers must
// have been registered before.
func (s *Store) Start(ctx context.Context) error {
	if s.readOnly {
		return ErrReadOnly
	}
	if err := s.Jobs.Start(ctx); err != nil {
		return fmt.Errorf("starting jobs: %w", err)
	}
	s.Ledger.Start(ctx)
	s.started = true
	return nil
}

// Close stops what Start started, closes the engines, and gives up the lock.
// ctx bounds the wait for running jobs.
func (s *Store) Close(ctx context.Context) error {
	var errs []error
	if s.started {
		errs = append(errs, s.Jobs.Stop(ctx))
		s.Ledger.Stop()
		s.started = false
	}
	if s.DB != nil {
		errs = append(errs, s.DB.Close())
		s.DB = nil
	}
	errs = append(errs, s.lock.release())
	return errors.Join(errs...)
}
