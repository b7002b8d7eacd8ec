package pdf

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// labels reads the corpus table: file name to its row.
func labels(t *testing.T) map[string]map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "corpus", "pdf-signatures", "corpus.tsv"))
	if err != nil {
		t.Fatalf("corpus not found at ../shared/corpus: %v", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for _, row := range rows[1:] {
		m := map[string]string{}
		for i, v := range row {
			m[rows[0][i]] = v
		}
		out[m["file"]] = m
	}
	return out
}

// worstOf compares all signatures of a file; formOK is false when one of them fails before any comparison.
func worstOf(t *testing.T, path string) (worst Outcome, findings []string, formOK bool) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
	if err != nil {
		return OutcomeUnclear, []string{err.Error()}, false
	}
	sigs, err := f.Signatures()
	if err != nil {
		return OutcomeUnclear, []string{err.Error()}, false
	}
	c := NewComparer(f)
	worst, formOK = OutcomeNone, len(sigs) > 0
	for _, s := range sigs {
		if s.Revision < 0 || len(s.Problems) > 0 {
			formOK = false
		}
		if s.Revision < 0 {
			continue
		}
		ch, err := c.Compare(t.Context(), s.Revision, CompareOptions{Signature: s, Fields: sigs})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		if ch.Outcome.rank() > worst.rank() {
			worst = ch.Outcome
		}
		for _, x := range ch.Findings {
			if x.Outcome.rank() > OutcomePermitted.rank() {
				findings = append(findings, s.Name+": "+x.String())
			}
		}
	}
	return worst, findings, formOK
}

// disputed are labels that the standard does not bear out, with the outcome that it asks for and the reason.
func disputed() map[string]dispute {
	return map[string]dispute{
		"dss-test-with-vri.pdf": {want: OutcomeUnclear, rule: RuleLockedFill,
			why: "its signature has FieldMDP /All (and the field a lock /All), and the last revision gives the text field " +
				"another value: against ISO 32000-2 §12.8.2.4, but filled in the usual way, so that a constraint is broken " +
				"(ETSI EN 319 102-1 §5.2.8) and not the document. The suite's test looks at the VRI only."},
	}
}

// dispute is what a file with a label that is not followed must come to, and by which rule.
type dispute struct {
	want Outcome
	rule string
	why  string
}

// TestCorpusChanges compares the verdict on later changes with the labels of the suites. A file that is refused
// for its form, its digest or its algorithm is not this test's matter.
func TestCorpusChanges(t *testing.T) {
	for _, path := range corpus(t, "pdf-signatures") {
		name := filepath.Base(path)
		row, ok := labels(t)[name]
		if !ok {
			continue
		}
		worst, findings, formOK := worstOf(t, path)
		if d, ok := disputed()[name]; ok {
			if worst != d.want || !strings.Contains(strings.Join(findings, "\n"), d.rule) {
				t.Errorf("%s: changes %s by %v, want %s by %q: %s", name, worst, findings, d.want, d.rule, d.why)
			}
			continue
		}
		clean := worst.rank() <= OutcomePermitted.rank()
		t.Logf("%-9s form %-5v %-7s %-14s %s\n    %s", worst, formOK, row["verdict"], row["class"], name, strings.Join(findings, "\n    "))
		switch {
		case row["verdict"] == "ACCEPT" && !clean:
			t.Errorf("%s: changes %s, want none or permitted", name, worst)
		case strings.HasPrefix(row["class"], "mod-") && row["verdict"] == "REJECT" && clean && formOK:
			t.Errorf("%s: changes %s, want forbidden or unclear (%s)", name, worst, row["what"])
		}
	}
}
