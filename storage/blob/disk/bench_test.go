package disk

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"vanthu/storage/blob"
)

// The size of a document as the load tests have it.
const benchSize = 200 << 10

// content returns bytes of which no two are alike.
func content(buf []byte, n uint64) []byte {
	binary.BigEndian.PutUint64(buf, n)
	return buf
}

// BenchmarkPut stores documents of 200 KiB, durably, by 1, 8 and 32 writers, in
// a store that has all its folders, as one does after some 100,000 blobs.
func BenchmarkPut(b *testing.B) {
	dir := b.TempDir()
	for i := range 1 << 16 {
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprintf("%02x", i>>8), fmt.Sprintf("%02x", i&255)), folderMode); err != nil {
			b.Fatal(err)
		}
	}
	benchPut(b, dir)
}

// BenchmarkPutNew is BenchmarkPut in a new store, where most blobs need a new
// folder.
func BenchmarkPutNew(b *testing.B) { benchPut(b, b.TempDir()) }

func benchPut(b *testing.B, dir string) {
	s := open(b, dir)
	writers(b, func(buf []byte, n uint64) error {
		_, err := blob.PutBytes(b.Context(), s, content(buf, n))
		return err
	})
}

// BenchmarkRaw does to plain files what makes them as durable, without names
// made of digests: the bound of BenchmarkPut.
func BenchmarkRaw(b *testing.B) {
	dir := b.TempDir()
	for i := range 256 {
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprintf("%02x", i)), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	writers(b, func(buf []byte, n uint64) error {
		sum := blob.Sum(content(buf, n)) // hashing is part of the bound
		folder := filepath.Join(dir, string(sum[:2]))
		name := filepath.Join(folder, string(sum))
		f, err := os.Create(name + ".new")
		if err != nil {
			return err
		}
		if _, err := f.Write(buf); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		if err := os.Rename(name+".new", name); err != nil {
			return err
		}
		return flushFolder(folder)
	})
}

func writers(b *testing.B, put func(buf []byte, n uint64) error) {
	var count atomic.Uint64
	for _, n := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			b.SetBytes(benchSize)
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					buf := make([]byte, benchSize)
					for left.Add(-1) >= 0 {
						if err := put(buf, count.Add(1)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "blobs/s")
		})
	}
}
