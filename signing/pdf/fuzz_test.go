package pdf

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// fuzzLimits are small, so that the fuzzer finds where a bound does not hold rather than how long the work takes.
func fuzzLimits() Limits {
	return Limits{
		MaxSize: 1 << 20, MaxStream: 1 << 20, MaxInflated: 4 << 20, MaxMemory: 8 << 20,
		MaxDepth: 50, MaxObjects: 20_000, MaxRevisions: 50, MaxFields: 1000, MaxPages: 1000, MaxToken: 1 << 18,
	}
}

// paged hides that a file is in memory, so that it is read in pages as one on disk is.
type paged struct{ io.ReaderAt }

// fuzzTime is how long one input may take. It is generous, since fuzzing also runs behind other work.
const fuzzTime = 20 * time.Second

// FuzzOpen opens any bytes, in memory or in pages, and reads all that is in them: no panic, no hang.
func FuzzOpen(f *testing.F) {
	f.Add(simple().table("/Root 1 0 R/Size 5").Bytes())
	f.Add(signedFile{}.build())
	packed := newMaker().object(2, "<</Type/Pages/Kids[]/Count 0>>").
		object(5, "<</Type/ObjStm/N 2/First 8/Length 44>>stream\n1 0 3 30<</Type/Catalog/Pages 2 0 R>> (three)\nendstream")
	f.Add(packed.stream(6, "/Root 1 0 R/Size 7", [3]int{1, 5, 0}, [3]int{3, 5, 1}).Bytes())
	seeds, err := filepath.Glob(filepath.Join("testdata", "*.pdf"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range seeds {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), fuzzTime)
		defer cancel()
		var src io.ReaderAt = bytes.NewReader(data)
		if len(data)%2 == 1 {
			src = paged{src}
		}
		file, err := OpenContext(ctx, src, int64(len(data)), fuzzLimits())
		if err != nil {
			file, err = OpenDamaged(ctx, src, int64(len(data)), fuzzLimits())
		}
		if err == nil {
			walk(file)
			for i := range file.Revisions() {
				_, _ = file.SignaturesAt(i)
				_ = file.View(i).Pages(func(_ int, _ Ref, page Dict) bool {
					_, _ = file.View(i).PageAttr(page, "MediaBox")
					return true
				})
				file.Touched(i-1, i)
			}
			file.EmptyFields()
		}
		if ctx.Err() != nil {
			t.Error("too slow")
		}
	})
}

// FuzzFilters decodes any bytes with every filter.
func FuzzFilters(f *testing.F) {
	f.Add([]byte("\x80\x0b\x60\x50"), byte(1), int64(12), int64(4))
	f.Add(deflate(f, []byte("\x02abcabc\x02abc")), byte(0), int64(15), int64(3))
	f.Fuzz(func(t *testing.T, data []byte, which byte, predictor, columns int64) {
		names := []Name{"FlateDecode", "LZWDecode", "ASCIIHexDecode", "ASCII85Decode", "RunLengthDecode"}
		step := filterStep{name: names[int(which)%len(names)], parms: Dict{"Predictor": predictor, "Columns": columns}}
		out, _, err := step.run(data, 1<<20, never)
		if err == nil && len(out) > 1<<20 {
			t.Errorf("%d bytes over the limit", len(out))
		}
	})
}
