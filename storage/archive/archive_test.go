package archive

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"vanthu/storage/blob"
	"vanthu/storage/blob/blobtest"
	"vanthu/storage/blob/disk"
	"vanthu/storage/blob/s3"
)

func store(t testing.TB) *disk.Store {
	t.Helper()
	s, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sample(t testing.TB, from blob.Backend) Package {
	t.Helper()
	ref, err := blob.PutBytes(t.Context(), from, bytes.Repeat([]byte("%PDF"), 100_000))
	if err != nil {
		t.Fatal(err)
	}
	return Package{
		Kind: "document", ID: "0192f0c0-0000-7000-8000-000000000001",
		Created: time.Date(2026, 3, 1, 8, 0, 0, 123, time.FixedZone("ICT", 7*3600)),
		Meta:    map[string]string{"code": "05/QĐ-UBND", "subject": "Về việc lưu trữ", "agency": "H05"},
		Files: []File{
			{Name: "văn bản.pdf", Ref: ref, From: from},
			{Name: "receipts/2.json", Data: []byte(`{"status":"06"}`)},
			{Name: "receipts/1.json", Data: []byte(`{"status":"01"}`)},
			{Name: "empty", Data: nil},
		},
	}
}

func TestSealOpen(t *testing.T) {
	s := store(t)
	p := sample(t, s)
	ref, err := Seal(t.Context(), s, p, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), s, ref.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if c.Kind != p.Kind || c.ID != p.ID || !c.Created.Equal(p.Created.Truncate(time.Second)) || c.Meta["code"] != "05/QĐ-UBND" {
		t.Errorf("Open = %+v", c)
	}
	if len(c.Files) != len(p.Files) || string(c.Files["receipts/2.json"]) != `{"status":"06"}` || len(c.Files["văn bản.pdf"]) != 400_000 {
		t.Errorf("Open has %d files", len(c.Files))
	}
	var names []string
	for _, m := range c.Members {
		names = append(names, m.Name)
	}
	if want := []string{"empty", "receipts/1.json", "receipts/2.json", "văn bản.pdf"}; !slices.Equal(names, want) {
		t.Errorf("members %q, want %q", names, want)
	}
}

// TestDeterministic: the order in which files are given does not matter.
func TestDeterministic(t *testing.T) {
	s := store(t)
	p := sample(t, s)
	one, err := Seal(t.Context(), s, p, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(p.Files)
	p.Created = p.Created.UTC()
	two, err := Seal(t.Context(), store(t), p, time.Time{})
	if err != nil || one != two {
		t.Errorf("sealed as %v, then as %v, %v", one, two, err)
	}
}

// TestForeignReader: a plain zip reader takes the package apart, streaming too.
func TestForeignReader(t *testing.T) {
	s := store(t)
	ref, err := Seal(t.Context(), s, sample(t, s), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := blob.ReadAll(t.Context(), s, ref.Digest, MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	zr, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	for i, f := range zr.File {
		if f.Flags&8 != 0 || f.Method != zip.Store {
			t.Errorf("%s has flags %x and method %d: cannot be streamed", f.Name, f.Flags, f.Method)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := json.Unmarshal(body, &m); err != nil {
				t.Fatal(err)
			}
			continue
		}
		sum := sha256.Sum256(body)
		if string(m.Files[i-1].SHA256) != hex.EncodeToString(sum[:]) {
			t.Errorf("%s does not match the manifest", f.Name)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	s := store(t)
	for _, name := range []string{"", ".", "..", "../x", "/x", "a//b", "a/../b", "a/", `a\b`, "c:x", "a\x00", "a\nb", "\xff", manifestName, strings.Repeat("x", 256)} {
		if _, err := Seal(t.Context(), s, Package{Files: []File{{Name: name}}}, time.Time{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("file name %q: %v, want ErrInvalid", name, err)
		}
	}
	for name, files := range map[string][]File{"none": nil, "two of a name": {{Name: "a"}, {Name: "a"}}, "too many": make([]File, MaxFiles+1)} {
		if _, err := Seal(t.Context(), s, Package{Files: files}, time.Time{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	missing := File{Name: "a", From: s, Ref: blob.Ref{Digest: blob.Sum([]byte("nowhere"))}}
	if _, err := Seal(t.Context(), s, Package{Files: []File{missing}}, time.Time{}); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("missing blob: %v, want ErrNotFound", err)
	}
}

// build makes a package by hand, to get one wrong.
func build(t testing.TB, m manifest, names []string, bodies ...string) []byte {
	t.Helper()
	head, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	for i, name := range append([]string{manifestName}, names...) {
		w, err := zw.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		body := string(head)
		if i > 0 {
			body = bodies[i-1]
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func member(name, body string) Member {
	return Member{Name: name, Size: int64(len(body)), SHA256: blob.Sum([]byte(body))}
}

func TestOpenRefuses(t *testing.T) {
	good := manifest{Format: formatName, Version: 1, Created: "2026-01-01T00:00:00Z", Files: []Member{member("a", "one"), member("b", "two")}}
	with := func(change func(*manifest)) manifest {
		m := good
		m.Files = slices.Clone(good.Files)
		change(&m)
		return m
	}
	names := []string{"a", "b"}
	if _, err := parse(build(t, good, names, "one", "two")); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for name, data := range map[string][]byte{
		"empty":          nil,
		"no zip":         []byte("PK but not really"),
		"changed member": build(t, good, names, "one", "twO"),
		"extra member":   build(t, good, []string{"a", "b", "c"}, "one", "two", "three"),
		"fewer members":  build(t, good, []string{"a"}, "one"),
		"other order":    build(t, good, []string{"b", "a"}, "two", "one"),
		"other format":   build(t, with(func(m *manifest) { m.Format = "zip" }), names, "one", "two"),
		"other version":  build(t, with(func(m *manifest) { m.Version = 2 }), names, "one", "two"),
		"bad time":       build(t, with(func(m *manifest) { m.Created = "yesterday" }), names, "one", "two"),
		"unsorted":       build(t, with(func(m *manifest) { slices.Reverse(m.Files) }), []string{"b", "a"}, "two", "one"),
		"climbing name":  build(t, with(func(m *manifest) { m.Files[0].Name = "../a" }), []string{"../a", "b"}, "one", "two"),
		"wrong size":     build(t, with(func(m *manifest) { m.Files[0].Size++ }), names, "one", "two"),
	} {
		if _, err := parse(data); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// TestOpenMissing: a package that is not there is told as such.
func TestOpenMissing(t *testing.T) {
	if _, err := Open(t.Context(), store(t), blob.Sum(nil)); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open = %v, want ErrNotFound", err)
	}
}

// TestS3 seals into a bucket with Object Lock.
func TestS3(t *testing.T) {
	srv := blobtest.StartS3(t)
	to, err := s3.Open(t.Context(), s3.Config{Endpoint: srv.Endpoint, Bucket: "archive", AccessKey: srv.AccessKey, SecretKey: srv.SecretKey, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	p := sample(t, store(t))
	ref, err := Seal(t.Context(), to, p, until)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := to.Retained(t.Context(), ref.Digest); err != nil || !got.Equal(until) {
		t.Errorf("Retained = %v, %v, want %v", got, err, until)
	}
	if again, err := Seal(t.Context(), to, p, until); err != nil || again != ref {
		t.Errorf("sealed again = %v, %v, want %v", again, err, ref)
	}
	c, err := Open(t.Context(), to, ref.Digest)
	if err != nil || len(c.Files) != len(p.Files) {
		t.Errorf("Open = %v, %v", c, err)
	}
}

// FuzzParse: untrusted packages give ErrInvalid, never a panic.
func FuzzParse(f *testing.F) {
	m := manifest{Format: formatName, Version: 1, Created: "2026-01-01T00:00:00Z", Files: []Member{member("a", "one")}}
	f.Add(build(f, m, []string{"a"}, "one"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse(data)
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("parse = %v, want ErrInvalid", err)
		}
		if err == nil && len(c.Files) != len(c.Members) {
			t.Error(fmt.Sprint(c))
		}
	})
}
