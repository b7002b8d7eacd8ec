package signing

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"vanthu/certs-testdata"
	"vanthu/signing/pdf"
	"vanthu/signing/pki"
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
	data, err := os.ReadFile(filepath.Join(corpusFolder(tb, "pdf-signatures"), "corpus.tsv"))
	if err != nil {
		tb.Fatal(err)
	}
	r := csv.NewReader(bytes.NewReader(data))
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

// judgeCorpus judges one file and holds it to the bounds of time and memory.
func judgeCorpus(t *testing.T, path string) *Report {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	report, err := VerifyPDF(context.Background(), bytes.NewReader(data), int64(len(data)), VerifyOptions{Offline: true})
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	name := filepath.Base(path)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	// All that was ever allocated is more than was held at any time.
	if used := after.TotalAlloc - before.TotalAlloc; used > 512<<20 {
		t.Errorf("%s: %d MiB allocated", name, used>>20)
	}
	if took > 10*time.Second {
		t.Errorf("%s: took %v", name, took)
	}
	return report
}

// TestCorpus holds the verdicts to the labels: no REJECT file is intact, and README.md argues each
// ACCEPT file that is not.
func TestCorpus(t *testing.T) {
	dir := corpusFolder(t, "pdf-signatures")
	count, agree := map[string]int{}, map[string]int{}
	for _, c := range corpusFiles(t) {
		report := judgeCorpus(t, filepath.Join(dir, c.name))
		count[c.label]++
		if c.label == "REJECT" && report.Integrity != Intact || c.label == "ACCEPT" && report.Integrity == Intact {
			agree[c.label]++
			continue
		}
		if c.label == "ACCEPT" && report.Integrity == Altered {
			t.Errorf("%s [%s] is altered", c.name, c.what)
		}
		t.Logf("%s [%s: %s] is %s", c.name, c.label, c.what, report.Integrity)
		for _, s := range report.Signatures {
			t.Logf("    %s %s: %s %s/%s: %s", s.Kind, s.Field, s.Integrity, s.Indication, s.SubIndication, strings.Join(s.Reasons, "; "))
		}
	}
	t.Logf("REJECT not intact %d of %d, ACCEPT intact %d of %d", agree["REJECT"], count["REJECT"], agree["ACCEPT"], count["ACCEPT"])
	if agree["REJECT"] < 47 || agree["ACCEPT"] < 58 {
		t.Error("fewer files agree with their labels than before")
	}
}

// Documents as agencies publish them are read. Those of Công báo were rewritten after they had been signed: the form is
// gone, the signature's widget is still on a page, and its ByteRange leads beyond the file.
func TestRealDocuments(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpusFolder(t, "real"), "*.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		r, name := judgeCorpus(t, path), filepath.Base(path)
		if !strings.HasPrefix(name, "congbao") {
			if r.Verdict != NoSignature || len(r.Reasons) > 0 {
				t.Errorf("%s: %s %q", name, r.Verdict, r.Reasons)
			}
			continue
		}
		expect(t, r, TotalFailed, FormatFailure, Altered)
		if s := r.Signatures[0]; len(r.Signatures) != 1 || !strings.HasPrefix(s.Field, "Signature") || !hasCode(&s, codeOutsideForm) || !hasCode(&s, pdf.FieldOrder) {
			t.Errorf("%s: %+v", name, r.Signatures)
		}
		signOver(t, path)
	}
}

// signOver signs a document whose earlier signature is broken: the new one holds, and the report says whose fault the
// verdict is.
func signOver(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, r, err := SignAndCheck(context.Background(), data, SignOptions{Key: testKey(t, certs.OfficialEC), Profile: ProfileBB, At: judgedAt()},
		VerifyOptions{Trust: testTrust(t), At: judgedAt()})
	if err != nil {
		t.Fatalf("%s: %v", filepath.Base(path), err)
	}
	last := r.Signatures[len(r.Signatures)-1]
	if r.Verdict != TotalFailed || len(r.Signatures) != 2 || last.Indication != TotalPassed || last.Covers != "document" ||
		len(r.Reasons) != 1 || !strings.HasPrefix(r.Reasons[0], string(codeEarlier)+": ") || !strings.Contains(r.Sentence("vi"), r.Signatures[0].Signer) {
		t.Errorf("%s: %s %q %q %+v", filepath.Base(path), r.Verdict, r.Reasons, r.Sentence("vi"), last)
	}
}

func hasCode(s *Signature, code pki.Code) bool {
	return slices.ContainsFunc(s.Reasons, func(r string) bool { return strings.HasPrefix(r, string(code)+":") })
}

// Spoiled copies of the corpus: bytes replaced at random places by bytes that mean something in PDF. Nothing may panic,
// hang, or fail in another way than with an *pdf.Error.
func TestSpoiledCorpus(t *testing.T) {
	const rounds = 3
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range corpusFiles(t) {
		data, err := os.ReadFile(filepath.Join(corpusFolder(t, "pdf-signatures"), c.name))
		if err != nil {
			t.Fatal(err)
		}
		for range rounds {
			spoilAndJudge(t, c, data, random)
		}
	}
}

func spoilAndJudge(t *testing.T, c corpusFile, data []byte, random *rand.Rand) {
	t.Helper()
	const meaning = "<>[]()/%0123456789 \nRobjendstream"
	spoiled := bytes.Clone(data)
	for range 1 + random.IntN(4) {
		spoiled[random.IntN(len(spoiled))] = meaning[random.IntN(len(meaning))]
	}
	if random.IntN(8) == 0 {
		spoiled = spoiled[:random.IntN(len(spoiled))]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	report, err := VerifyPDF(ctx, bytes.NewReader(spoiled), int64(len(spoiled)), VerifyOptions{})
	var e *pdf.Error
	switch {
	case ctx.Err() != nil:
		t.Errorf("%s: too slow", c.name)
	case err != nil && !errors.As(err, &e):
		t.Errorf("%s: %v", c.name, err)
	case err == nil && report.Verdict == TotalPassed:
		t.Errorf("%s passes without any trust", c.name)
	}
}
