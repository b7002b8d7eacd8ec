package blobtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// S3Server is a versitygw that serves a folder on a loopback port.
type S3Server struct {
	Endpoint  string // host:port, no TLS
	AccessKey string
	SecretKey string
	Root      string // Root/bucket/key is the file of an object
}

// StartS3 runs versitygw (the program in VANTHU_TEST_VERSITYGW, else found in
// PATH or the folder of "go install") for the length of the test. When there is
// none the test is skipped, or failed if VANTHU_TEST_REQUIRE contains "s3".
func StartS3(t *testing.T) S3Server {
	t.Helper()
	program := findVersityGW()
	if program == "" {
		const how = "versitygw not found; go install github.com/versity/versitygw/cmd/versitygw@v1.8.0"
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "s3") {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	dir := t.TempDir()
	s := S3Server{AccessKey: "vanthu-test", Root: filepath.Join(dir, "root"), Endpoint: freePort(t)}
	s.SecretKey = s.AccessKey + "-secret" // of a server that lives as long as the test
	versions := filepath.Join(dir, "versions")
	for _, d := range []string{s.Root, versions} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	//nolint:gosec // the program is the tester's choice
	cmd := exec.Command(program, "--access", s.AccessKey, "--secret", s.SecretKey, "--port", s.Endpoint,
		"--region", "us-east-1", "--quiet", "posix", "--versioning-dir", versions, s.Root)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if err := cmd.Wait(); err != nil {
			fmt.Fprintln(&log, err) // the program writes no more
		}
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Logf("ending versitygw: %v", err) // it may have ended by itself
		}
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			if err := cmd.Process.Kill(); err != nil {
				t.Logf("killing versitygw: %v", err)
			}
			<-gone
		}
		if t.Failed() && log.Len() > 0 {
			t.Logf("versitygw said:\n%s", log.String())
		}
	})
	waitFor(t, s.Endpoint, gone)
	return s
}

func findVersityGW() string {
	if p := os.Getenv("VANTHU_TEST_VERSITYGW"); p != "" {
		return p
	}
	if p, err := exec.LookPath("versitygw"); err == nil {
		return p
	}
	dirs := []string{os.Getenv("GOBIN")}
	gopath := os.Getenv("GOPATH")
	if home, err := os.UserHomeDir(); err == nil && gopath == "" {
		gopath = filepath.Join(home, "go")
	}
	for _, p := range filepath.SplitList(gopath) {
		dirs = append(dirs, filepath.Join(p, "bin"))
	}
	for _, d := range dirs {
		p := filepath.Join(d, "versitygw")
		if info, err := os.Stat(p); d != "" && err == nil && info.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

// freePort returns a loopback address that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return addr
}

// waitFor returns once the server answers.
func waitFor(t *testing.T, endpoint string, gone <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+endpoint+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			if err := resp.Body.Close(); err != nil {
				t.Log(err) // any answer will do
			}
			return
		}
		select {
		case <-gone:
			t.Fatalf("versitygw ended: %v", err)
		case <-ctx.Done():
			t.Fatalf("versitygw does not answer on %s: %v", endpoint, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
