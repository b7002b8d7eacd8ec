package pdf

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestCorpusFields(t *testing.T) {
	for _, path := range corpus(t, "pdf-signatures") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
		if err != nil {
			continue
		}
		sigs, err := f.Signatures()
		if err != nil {
			t.Logf("%s: %v", filepath.Base(path), err)
		}
		for _, s := range sigs {
			t.Logf("%s: %q rev %d/%d %v %v %v", filepath.Base(path), s.Name, s.Revision, len(f.Revisions()), s.Dict["SubFilter"], s.Problems, s.Others)
		}
	}
}
