package pdf

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// corpus lists the PDF files of the shared corpora.
func corpus(tb testing.TB, dirs ...string) []string {
	tb.Helper()
	var files []string
	for _, dir := range dirs {
		found, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "corpus", dir, "*.pdf"))
		if err != nil {
			tb.Fatal(err)
		}
		if len(found) == 0 {
			tb.Fatalf("corpus not found at ../shared/corpus/%s", dir)
		}
		files = append(files, found...)
	}
	return files
}

// walk reads every object of every view and decodes every stream that it can.
func walk(f *File) (objects int, errs []error) {
	for i := range f.Revisions() {
		v := f.View(i)
		for ref := range v.Refs() {
			o, err := v.Get(ref)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			objects++
			if s, ok := o.(*Stream); ok {
				if _, err := v.StreamData(s); err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	return objects, errs
}

func TestCorpusOpens(t *testing.T) {
	for _, path := range corpus(t, "pdf-signatures", "real") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
		if err != nil {
			t.Logf("%s: %v", filepath.Base(path), err)
			continue
		}
		n, errs := walk(f)
		t.Logf("%s: %d revisions, %d objects, problems %v, errors %.300q", filepath.Base(path), len(f.Revisions()), n, f.Problems(), errs)
	}
}
