package s3_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"vanthu/storage/blob"
	"vanthu/storage/blob/blobtest"
	"vanthu/storage/blob/s3"
)

func config(srv blobtest.S3Server, bucket string) s3.Config {
	return s3.Config{Endpoint: srv.Endpoint, Bucket: bucket, Prefix: "a/b", AccessKey: srv.AccessKey, SecretKey: srv.SecretKey, Create: true}
}

func open(t *testing.T, cfg s3.Config) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	srv := blobtest.StartS3(t)
	n := 0
	blobtest.Run(t, func(t *testing.T) blob.Backend {
		n++
		return open(t, config(srv, fmt.Sprintf("suite-%d", n)))
	})
}

func TestDamaged(t *testing.T) {
	srv := blobtest.StartS3(t)
	blobtest.Damaged(t, open(t, config(srv, "damaged")), func(d blob.Digest) string {
		return filepath.Join(srv.Root, "damaged", "a/b", string(d[:2]), string(d[2:4]), string(d))
	})
}

func TestCapabilities(t *testing.T) {
	srv := blobtest.StartS3(t)
	for _, when := range []string{"first", "second"} {
		got := open(t, config(srv, "caps")).Capabilities()
		if !got.CreateOnce || !got.Checksum || !got.ObjectLock || !got.Versioning {
			t.Errorf("%s start: %+v, want all", when, got)
		}
		if strings.Contains(got.Name, srv.SecretKey) {
			t.Errorf("the name %q holds the secret", got.Name)
		}
	}
}

// TestParts stores more than one request takes.
func TestParts(t *testing.T) {
	srv := blobtest.StartS3(t)
	cfg := config(srv, "parts")
	cfg.Retention = time.Minute
	s := open(t, cfg)
	data := make([]byte, 65<<20)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ref, err := blob.PutBytes(t.Context(), s, data)
		if err != nil || ref.Digest != blob.Sum(data) {
			t.Fatalf("Put = %v, %v", ref, err)
		}
	}
	got, err := blob.ReadAll(t.Context(), s, blob.Sum(data), int64(len(data)))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("ReadAll = %d bytes, %v", len(got), err)
	}
	if until, err := s.Retained(t.Context(), blob.Sum(data)); err != nil || until.IsZero() {
		t.Errorf("Retained = %v, %v", until, err)
	}
}

// TestRetention asks the server itself whether it lets a retained blob go.
func TestRetention(t *testing.T) {
	srv := blobtest.StartS3(t)
	cfg := config(srv, "locked")
	cfg.Retention = time.Hour
	s := open(t, cfg)
	ref, err := blob.PutBytes(t.Context(), s, []byte("kept by retention of the store"))
	if err != nil {
		t.Fatal(err)
	}
	until, err := s.Retained(t.Context(), ref.Digest)
	if err != nil || time.Until(until) < 59*time.Minute {
		t.Fatalf("Retained = %v, %v, want an hour from now", until, err)
	}
	if err := s.Retain(t.Context(), ref.Digest, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if again, err := s.Retained(t.Context(), ref.Digest); err != nil || again.Before(until) {
		t.Errorf("Retained = %v, %v after a shorter Retain, want %v", again, err, until)
	}
	longer := time.Now().Add(2 * time.Hour).Truncate(time.Second)
	if err := s.Retain(t.Context(), ref.Digest, longer); err != nil {
		t.Fatal(err)
	}
	if again, err := s.Retained(t.Context(), ref.Digest); err != nil || !again.Equal(longer) {
		t.Errorf("Retained = %v, %v, want %v", again, err, longer)
	}

	raw, err := minio.New(srv.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(srv.AccessKey, srv.SecretKey, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("a/b/%s/%s/%s", ref.Digest[:2], ref.Digest[2:4], ref.Digest)
	info, err := raw.StatObject(t.Context(), "locked", key, minio.StatObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = raw.RemoveObject(t.Context(), "locked", key, minio.RemoveObjectOptions{VersionID: info.VersionID, GovernanceBypass: true})
	if err == nil {
		t.Error("the server deleted a retained blob")
	}
	if err := blob.Verify(t.Context(), s, ref.Digest); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	srv := blobtest.StartS3(t)
	for name, change := range map[string]func(*s3.Config){
		"wrong secret": func(c *s3.Config) { c.SecretKey = "guess" },
		"no bucket":    func(c *s3.Config) { c.Create = false },
	} {
		cfg := config(srv, "absent")
		change(&cfg)
		if _, err := s3.Open(t.Context(), cfg); err == nil || strings.Contains(err.Error(), cfg.SecretKey) {
			t.Errorf("%s: Open = %v", name, err)
		}
	}
}

// TestSilentServer: a server that accepts and says nothing costs the timeout.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = s3.Open(t.Context(), s3.Config{Endpoint: l.Addr().String(), Bucket: "any", AccessKey: "a", SecretKey: "b", Timeout: 200 * time.Millisecond})
	if err == nil {
		t.Error("a silent server was opened")
	}
}

func TestParseURL(t *testing.T) {
	got, err := s3.ParseURL("s3://key:se%2Fcret@host:9000/bucket/some/prefix?tls=0&region=vn-1&create=1&retention=1h&timeout=5s")
	want := s3.Config{
		Endpoint: "host:9000", Bucket: "bucket", Prefix: "some/prefix", Region: "vn-1", AccessKey: "key", SecretKey: "se/cret",
		Create: true, Retention: time.Hour, Timeout: 5 * time.Second,
	}
	if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("ParseURL = %+v, %v\nwant %+v", got, err, want)
	}
	if got, err := s3.ParseURL("s3://h/b"); err != nil || !got.TLS || got.Prefix != "" {
		t.Errorf("ParseURL = %+v, %v, want TLS", got, err)
	}
	for _, bad := range []string{"", "http://h/b", "s3://h", "s3://h/b?tls=maybe", "s3://h/b?tlss=0", "s3://key:hush%zz@h/b"} {
		if _, err := s3.ParseURL(bad); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("ParseURL(%q) = %v", bad, err)
		}
	}
}
