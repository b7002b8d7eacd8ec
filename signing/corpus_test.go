package signing

import (
	"bytes"
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// corpusFolder is the shared corpus beside the repository.
func corpusFolder(tb testing.TB, name string) string {
	tb.Helper()
	dir := filepath.Join("..", "..", "shared", "corpus", name)
	if _, err := os.Stat(dir); err != nil {
		tb.Fatalf("corpus not found at ../shared/corpus/%s", name)
	}
	return dir
}

// corpusFile is one labelled file.
type corpusFile struct{ name, class, what, label string }

func corpusFiles(tb testing.TB) []corpusFile {
	tb.Helper()
	f, err := os.Open(filepath.Join(corpusFolder(tb, "pdf-signatures"), "corpus.tsv"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var out []corpusFile
	for _, row := range rows[1:] {
		out = append(out, corpusFile{row[column["file"]], row[column["class"]], row[column["what"]], row[column["verdict"]]})
	}
	return out
}

func TestCorpus(t *testing.T) {
	dir := corpusFolder(t, "pdf-signatures")
	var reject, rejected, accept, accepted int
	for _, c := range corpusFiles(t) {
		data, err := os.ReadFile(filepath.Join(dir, c.name))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		report, err := VerifyPDF(context.Background(), bytes.NewReader(data), int64(len(data)), VerifyOptions{Offline: true})
		took := time.Since(start)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		wrong := ""
		switch c.label {
		case "REJECT":
			reject++
			if report.Integrity != Intact {
				rejected++
			} else {
				wrong = "WRONG "
			}
		case "ACCEPT":
			accept++
			if report.Integrity == Intact {
				accepted++
			} else {
				wrong = "WRONG "
			}
		}
		t.Logf("%s%s [%s, %s] %s %s %v", wrong, c.name, c.label, c.what, report.Integrity, report.Verdict, took.Round(time.Millisecond))
		t.Logf("    %s", strings.Join(report.Reasons, "; "))
		for _, s := range report.Signatures {
			t.Logf("    %s %s %s %s/%s %s %s", s.Kind, s.Field, s.Integrity, s.Indication, s.SubIndication, s.Level, strings.Join(s.Reasons, "; "))
		}
	}
	t.Logf("REJECT not intact %d of %d, ACCEPT intact %d of %d", rejected, reject, accepted, accept)
}
