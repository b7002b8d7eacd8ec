package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestStatsTerminal: a workbook is not poured over a terminal; the refusal comes before the data folder is opened.
func TestStatsTerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	for _, format := range []string{"xlsx", "pdf"} {
		var stderr bytes.Buffer
		args := []string{"stats", "--data", t.TempDir(), "--from", "2026-01-01", "--to", "2026-01-31", "--format", format}
		if code := run(t.Context(), args, strings.NewReader(""), terminal, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "--out") {
			t.Errorf("%s: exit %d, %s", format, code, stderr.String())
		}
	}
}
