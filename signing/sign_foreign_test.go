package signing_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vanthu/signing"
	"vanthu/signing/pdf"
)

// corpusList names the files of the signature corpus with a verdict.
func corpusList(t *testing.T, verdict string) []string {
	t.Helper()
	list, err := os.ReadFile("../../shared/corpus/pdf-signatures/corpus.tsv")
	if err != nil {
		t.Fatal("corpus not found at ../shared/corpus")
	}
	r := csv.NewReader(bytes.NewReader(list))
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, row := range rows {
		if row[7] == verdict {
			out = append(out, row[0])
		}
	}
	return out
}

// TestSignAfterOthers adds our signature to files that other tools have signed. It must be intact, and the
// earlier ones must stay what they were; files that forbid it are refused.
func TestSignAfterOthers(t *testing.T) {
	k := testKeys(t)
	verify := signing.VerifyOptions{Trust: k.trust, Offline: true}
	signed, refused := 0, 0
	for _, name := range corpusList(t, "ACCEPT") {
		data, err := os.ReadFile(filepath.Join("../../shared/corpus/pdf-signatures", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, profile := range profiles()[:3] { // what is added after the signature is the same for all files
			o := signing.SignOptions{Key: k.officer, Profile: profile, TSA: k.tsa, At: time.Now()}
			_, report, err := signing.SignAndCheck(context.Background(), data, o, verify)
			var damaged *pdf.Error
			// Our own judge may be left in doubt where an earlier signature carries vendor's usage rights; it then
			// refuses what was made, which is the safe side.
			doubt := err != nil && report != nil && errors.Is(err, signing.ErrCheck) && !anyFailed(report)
			switch {
			case err == nil:
				signed++
			case errors.Is(err, pdf.ErrNotPermitted), errors.As(err, &damaged), doubt:
				refused++
				t.Logf("%s: %v", name, err)
			default:
				t.Errorf("%s, %s: %v", name, profile, err)
				if report != nil {
					for _, s := range report.Signatures {
						t.Logf("    %s %s %s %s %s", s.Field, s.Integrity, s.Indication, s.LaterChanges, strings.Join(s.Reasons, "; "))
					}
				}
			}
		}
	}
	t.Logf("signed %d, refused %d", signed, refused)
	if signed < 165 {
		t.Errorf("only %d signatures were made", signed)
	}
}

// anyFailed tells whether a signature is worse than in doubt.
func anyFailed(r *signing.Report) bool {
	for _, s := range r.Signatures {
		if s.Indication == signing.TotalFailed || s.Integrity == signing.Altered {
			return true
		}
	}
	return false
}

// TestSignGazettes signs real documents, two of which carry signatures that were broken before.
func TestSignGazettes(t *testing.T) {
	k := testKeys(t)
	files, err := filepath.Glob("../../shared/corpus/real/*.pdf")
	if err != nil || len(files) == 0 {
		t.Fatal("corpus not found at ../shared/corpus")
	}
	for _, file := range files {
		for _, profile := range profiles()[:3] {
			t.Run(filepath.Base(file)+"/"+string(profile), func(t *testing.T) {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				o := signing.SignOptions{Key: k.leader, Profile: profile, TSA: k.tsa, At: time.Now(), Reason: "Sao y"}
				signed, report, err := signing.SignAndCheck(context.Background(), data, o, signing.VerifyOptions{Trust: k.trust, Offline: true})
				if err != nil {
					t.Fatalf("%v\n%+v", err, report)
				}
				for _, s := range report.Signatures {
					t.Logf("%s: %s, %s", s.Field, s.Integrity, s.Indication)
				}
				out := run(t, "pdfsig", "-nocert", save(t, "signed.pdf", signed))
				if !strings.Contains(out, "Total document signed") || !strings.Contains(out, "Signature is Valid.") {
					t.Error(out)
				}
				if !bytes.HasPrefix(signed, data) {
					t.Error("the file's own bytes were changed")
				}
			})
		}
	}
}
