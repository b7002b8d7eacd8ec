package pdf

import (
	"bytes"
	"errors"
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

// Real files are read to the last object; what cannot be read is an *Error.
func TestCorpusReads(t *testing.T) {
	unopened, objects, faults := 0, 0, 0
	for _, path := range corpus(t, "pdf-signatures", "real") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
		var e *Error
		if err != nil {
			if unopened++; !errors.As(err, &e) {
				t.Errorf("%s: %v", filepath.Base(path), err)
			}
			continue
		}
		n, errs := walk(f)
		for _, err := range errs {
			if !errors.As(err, &e) {
				t.Errorf("%s: %v", filepath.Base(path), err)
			}
		}
		objects, faults = objects+n, faults+len(errs)
		if sigs, err := f.Signatures(); err != nil && len(sigs) > 0 {
			t.Errorf("%s: signatures beside an error: %v", filepath.Base(path), err)
		}
	}
	t.Logf("%d objects, %d could not be read or decoded, %d files could not be opened", objects, faults, unopened)
	if unopened > 3 || faults*1000 > objects {
		t.Error("too much could not be read")
	}
}
