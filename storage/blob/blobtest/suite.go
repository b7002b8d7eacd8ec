// Package blobtest is the one suite that every blob.Backend passes, and the S3
// server that the S3 side is tested against.
package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"vanthu/storage/blob"
)

// Run checks the promises of blob.Backend on stores that open makes. Each store
// must be empty.
func Run(t *testing.T, open func(t *testing.T) blob.Backend) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, b blob.Backend)
	}{
		{"round trip", roundTrip},
		{"same content is kept once", keptOnce},
		{"concurrent writers of the same content", sameWriters},
		{"concurrent writers of different content", otherWriters},
		{"missing", missing},
		{"names that are no digests", badNames},
		{"source fails", sourceFails},
		{"cancelled", cancelled},
		{"limit", limit},
		{"list is sorted and complete", list},
		{"list stops", listStops},
		{"retention", retention},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// Damaged checks that a blob changed behind the store's back is told as
// blob.ErrCorrupt. file returns the file that holds a blob.
func Damaged(t *testing.T, b blob.Backend, file func(d blob.Digest) string) {
	t.Helper()
	for name, damage := range map[string]func([]byte) []byte{
		"one bit":   func(p []byte) []byte { p[len(p)/2] ^= 1; return p },
		"cut short": func(p []byte) []byte { return p[:len(p)-1] },
		"longer":    func(p []byte) []byte { return append(p, 0) },
		"emptied":   func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			ref := put(t, b, random(t, 100_000))
			path := file(ref.Digest)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o600); err != nil {
				t.Fatal(err)
			}
			// In place: an S3 server keeps what it knows of the object in
			// attributes of the file.
			if err := os.WriteFile(path, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := blob.ReadAll(t.Context(), b, ref.Digest, 1<<20); !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("ReadAll = %v, want ErrCorrupt", err)
			}
			if err := blob.Verify(t.Context(), b, ref.Digest); !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("Verify = %v, want ErrCorrupt", err)
			}
		})
	}
}

// random returns n bytes that no other blob has.
func random(t *testing.T, n int) []byte {
	t.Helper()
	data := make([]byte, n)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	return data
}

func put(t *testing.T, b blob.Backend, data []byte) blob.Ref {
	t.Helper()
	ref, err := blob.PutBytes(t.Context(), b, data)
	if err != nil {
		t.Fatalf("Put of %d bytes: %v", len(data), err)
	}
	if want := (blob.Ref{Digest: blob.Sum(data), Size: int64(len(data))}); ref != want {
		t.Fatalf("Put = %v, want %v", ref, want)
	}
	return ref
}

func all(t *testing.T, b blob.Backend) []blob.Ref {
	t.Helper()
	var refs []blob.Ref
	err := b.List(t.Context(), func(r blob.Ref) error {
		refs = append(refs, r)
		return nil
	})
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	return refs
}

func roundTrip(t *testing.T, b blob.Backend) {
	for _, size := range []int{0, 1, 4096, 256<<10 - 1, 256 << 10, 256<<10 + 1, 1 << 20, 1<<20 + 1, 3<<20 + 7} {
		data := random(t, size)
		ref := put(t, b, data)
		got, err := blob.ReadAll(t.Context(), b, ref.Digest, int64(size))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes: ReadAll = %d bytes, %v", size, len(got), err)
		}
		if stat, err := b.Stat(t.Context(), ref.Digest); err != nil || stat != ref {
			t.Fatalf("%d bytes: Stat = %v, %v, want %v", size, stat, err, ref)
		}
	}
	if b.Capabilities().Name == "" {
		t.Error("the store has no name")
	}
}

func keptOnce(t *testing.T, b blob.Backend) {
	for _, size := range []int{100, 2 << 20} {
		data := random(t, size)
		for range 3 {
			put(t, b, data)
		}
	}
	if got := all(t, b); len(got) != 2 {
		t.Errorf("List has %d blobs, want 2", len(got))
	}
}

func sameWriters(t *testing.T, b blob.Backend) {
	for _, size := range []int{5000, 600_000} {
		data := random(t, size)
		errs := writers(t, b, 32, func(int) []byte { return data })
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		got, err := blob.ReadAll(t.Context(), b, blob.Sum(data), int64(size))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("ReadAll = %d bytes, %v", len(got), err)
		}
	}
	if got := all(t, b); len(got) != 2 {
		t.Errorf("List has %d blobs, want 2", len(got))
	}
}

func otherWriters(t *testing.T, b blob.Backend) {
	const n = 64
	data := make([][]byte, n)
	for i := range data {
		data[i] = random(t, 1000+i)
	}
	if err := errors.Join(writers(t, b, n, func(i int) []byte { return data[i] })...); err != nil {
		t.Fatal(err)
	}
	for _, d := range data {
		if err := blob.Verify(t.Context(), b, blob.Sum(d)); err != nil {
			t.Error(err)
		}
	}
}

// writers stores n blobs at the same time.
func writers(t *testing.T, b blob.Backend, n int, data func(i int) []byte) []error {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			<-start
			ref, err := blob.PutBytes(t.Context(), b, data(i))
			if err == nil && ref.Digest != blob.Sum(data(i)) {
				err = fmt.Errorf("another name came back: %v", ref)
			}
			errs[i] = err
		})
	}
	close(start)
	wg.Wait()
	return errs
}

func missing(t *testing.T, b blob.Backend) {
	d := blob.Sum(random(t, 10))
	if _, _, err := b.Open(t.Context(), d); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open = %v, want ErrNotFound", err)
	}
	if _, err := b.Stat(t.Context(), d); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat = %v, want ErrNotFound", err)
	}
	if _, err := blob.ReadAll(t.Context(), b, d, 10); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("ReadAll = %v, want ErrNotFound", err)
	}
	if got := all(t, b); len(got) != 0 {
		t.Errorf("List = %v, want none", got)
	}
}

func badNames(t *testing.T, b blob.Backend) {
	for _, d := range []blob.Digest{"", "ab", "../../../../etc/passwd", blob.Digest(bytes.Repeat([]byte("A"), 64)), blob.Digest(bytes.Repeat([]byte("/"), 64))} {
		if _, _, err := b.Open(t.Context(), d); err == nil {
			t.Errorf("Open(%q) worked", d)
		}
		if _, err := b.Stat(t.Context(), d); err == nil {
			t.Errorf("Stat(%q) worked", d)
		}
	}
}

var errSource = errors.New("source failed")

func sourceFails(t *testing.T, b blob.Backend) {
	for _, size := range []int{0, 1000, 2 << 20} {
		r := io.MultiReader(bytes.NewReader(random(t, size)), failing{})
		if _, err := b.Put(t.Context(), r); !errors.Is(err, errSource) {
			t.Errorf("Put of a source that fails after %d bytes = %v", size, err)
		}
	}
	if got := all(t, b); len(got) != 0 {
		t.Errorf("List = %v, want none", got)
	}
}

type failing struct{}

// Read implements io.Reader.
func (failing) Read([]byte) (int, error) { return 0, errSource }

func cancelled(t *testing.T, b blob.Backend) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Put(ctx, bytes.NewReader(random(t, 10))); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want context.Canceled", err)
	}
	if _, err := b.Stat(ctx, blob.Sum(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("Stat = %v, want context.Canceled", err)
	}
	if got := all(t, b); len(got) != 0 {
		t.Errorf("List = %v, want none", got)
	}
}

func limit(t *testing.T, b blob.Backend) {
	ref := put(t, b, random(t, 1000))
	if _, err := blob.ReadAll(t.Context(), b, ref.Digest, 999); !errors.Is(err, blob.ErrTooLarge) {
		t.Errorf("ReadAll = %v, want ErrTooLarge", err)
	}
}

func list(t *testing.T, b blob.Backend) {
	var want []blob.Ref
	for i := range 20 {
		want = append(want, put(t, b, random(t, 10+i)))
	}
	slices.SortFunc(want, func(a, b blob.Ref) int { return bytes.Compare([]byte(a.Digest), []byte(b.Digest)) })
	if got := all(t, b); !slices.Equal(got, want) {
		t.Errorf("List = %v\nwant %v", got, want)
	}
}

func listStops(t *testing.T, b blob.Backend) {
	put(t, b, random(t, 10))
	put(t, b, random(t, 11))
	n := 0
	err := b.List(t.Context(), func(blob.Ref) error {
		n++
		return errSource
	})
	if !errors.Is(err, errSource) || n != 1 {
		t.Errorf("List = %v after %d, want the error of yield after 1", err, n)
	}
}

func retention(t *testing.T, b blob.Backend) {
	ref := put(t, b, random(t, 100))
	until := time.Now().Add(time.Minute)
	err := b.Retain(t.Context(), ref.Digest, until)
	if !b.Capabilities().ObjectLock {
		if !errors.Is(err, blob.ErrUnsupported) {
			t.Errorf("Retain = %v, want ErrUnsupported", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("Retain: %v", err)
	}
	for name, other := range map[string]time.Time{"shorter": until.Add(-30 * time.Second), "longer": until.Add(time.Minute)} {
		if err := b.Retain(t.Context(), ref.Digest, other); err != nil {
			t.Errorf("Retain, %s: %v", name, err)
		}
	}
	if err := b.Retain(t.Context(), blob.Sum(random(t, 5)), until); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Retain of a missing blob = %v, want ErrNotFound", err)
	}
}
