package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestPrintedConfigReadsBackAsTheDefault(t *testing.T) {
	var printed bytes.Buffer
	if err := PrintConfig(&printed, DefaultConfig()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), configName)
	if err := os.WriteFile(file, printed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultConfig()
	want.Signing.Roots, want.Signing.TimestampRoots = []string{}, []string{}
	want.Trust.Lists, want.Trust.ListSigners, want.Trust.RevocationHosts = []string{}, []string{}, []string{}
	want.Log.Witnesses, want.Log.Logs = []string{}, []string{}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("read back %+v, want %+v", got, want)
	}
}

func TestConfigRefusals(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"unknown key":          {"lissten = 1\n", "lissten"},
		"not TOML":             {"name = \n", "read configuration"},
		"address without port": {"[listen]\nhttp = \"localhost\"\n", "listen.http"},
		"insecure in the open": {"insecure = true\n[listen]\nhttp = \"0.0.0.0:80\"\n", "loopback"},
		"domain":               {"domain = \"a b\"\n", "mail domain"},
		"limit":                {"[limits]\nmax_pdf = 3\n", "max_pdf"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), configName)
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := LoadConfig(file); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}
