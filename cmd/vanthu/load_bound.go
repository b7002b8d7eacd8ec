package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing/fstest"
	"time"

	"golang.org/x/sync/errgroup"

	"vanthu/storage/sqldb"
)

// boundCounts is the least work that one document of the main job takes, whatever the program around it is like.
type boundCounts struct {
	Signatures    int     `json:"signatures"`    // ECDSA P-256: three in the PDF, one for each receipt (01, 03, 06)
	Verifications int     `json:"verifications"` // each signature once when it is made, those in the PDF once more on arrival
	HashedBytes   int     `json:"hashed_bytes"`  // each revision to sign it, to judge it and to name it; once more on arrival and twice in the archive
	Files         int     `json:"files"`         // the draft, three signed revisions, the archived package: written, fsynced, renamed, folder fsynced
	Messages      int     `json:"messages"`      // a notification mail at each recipient, 1 KB, kept in the same way
	Commits       int     `json:"commits"`       // one durable row for each act: draft, 3 signatures, number, send, archive; arrival, mail, register, finish at each recipient; grouped
	SecondsEach   float64 `json:"seconds_each"`
}

func countsFor(c loadExchangeCmd) boundCounts {
	receipts := 3 * c.Recipients
	return boundCounts{
		Signatures: 3 + receipts, Verifications: 3 + 3 + receipts, HashedBytes: (3*3 + 1 + 3 + 2) * c.Size, Files: 5,
		Messages: c.Recipients, Commits: 7 + 4*c.Recipients,
	}
}

// measureBound does the least work of the same number of documents with the same number of workers on the same disk.
func measureBound(ctx context.Context, dir string, c loadExchangeCmd) (boundCounts, float64, error) {
	counts := countsFor(c)
	db, err := sqldb.OpenSQLite(ctx, filepath.Join(dir, "bound.db"))
	if err != nil {
		return counts, 0, err
	}
	err = db.Migrate(ctx, "bound", fstest.MapFS{"0001_act.sql": {Data: []byte("CREATE TABLE bound_act (id TEXT PRIMARY KEY, at BIGINT NOT NULL);")}})
	if err != nil {
		return counts, 0, errors.Join(err, db.Close())
	}
	var next, done atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	documents := min(c.Documents, 300)
	began := time.Now()
	for worker := range c.Workers {
		group.Go(func() error {
			w, err := newBoundWorker(db, dir, worker, c.Size)
			for err == nil && next.Add(1) <= int64(documents) {
				if err = w.document(groupCtx, counts); err == nil {
					done.Add(1)
				}
			}
			return err
		})
	}
	err = errors.Join(group.Wait(), db.Close())
	took := time.Since(began).Seconds()
	counts.SecondsEach = took / float64(documents)
	return counts, float64(done.Load()) / took, err
}

type boundWorker struct {
	db     *sqldb.DB
	dir    string
	key    *ecdsa.PrivateKey
	data   []byte
	serial int
	name   string
}

func newBoundWorker(db *sqldb.DB, dir string, worker, size int) (*boundWorker, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	w := &boundWorker{db: db, key: key, data: make([]byte, size), name: fmt.Sprintf("w%d", worker), dir: filepath.Join(dir, fmt.Sprintf("bound-%d", worker))}
	if _, err := rand.Read(w.data); err != nil {
		return nil, err
	}
	return w, os.Mkdir(w.dir, 0o700)
}

func (w *boundWorker) document(ctx context.Context, n boundCounts) error {
	sum := sha256.Sum256(w.data)
	for range n.HashedBytes/len(w.data) - 1 {
		sum = sha256.Sum256(w.data)
	}
	signature, err := ecdsa.SignASN1(rand.Reader, w.key, sum[:])
	for range n.Signatures - 1 {
		if err != nil {
			return err
		}
		signature, err = ecdsa.SignASN1(rand.Reader, w.key, sum[:])
	}
	for range n.Verifications {
		if err != nil || !ecdsa.VerifyASN1(&w.key.PublicKey, sum[:], signature) {
			return errors.Join(err, errors.New("a signature just made does not verify"))
		}
	}
	for range n.Files {
		if err := w.file(w.data); err != nil {
			return err
		}
	}
	for range n.Messages {
		if err := w.file(w.data[:1000]); err != nil {
			return err
		}
	}
	for range n.Commits {
		w.serial++
		id := fmt.Sprintf("%s-%d-%s", w.name, w.serial, hex.EncodeToString(sum[:8]))
		if err := w.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO bound_act (id, at) VALUES ($1, $2)`, id, time.Now().UnixMicro())
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// file writes the bytes as a durable file: written, fsynced, renamed, its folder fsynced.
func (w *boundWorker) file(data []byte) error {
	w.serial++
	name := filepath.Join(w.dir, fmt.Sprint(w.serial))
	file, err := os.Create(name + ".new")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	folder, err := os.Open(w.dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
