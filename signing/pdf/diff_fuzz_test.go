package pdf

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"testing"
)

// FuzzCompare changes a signed file with an update at will: no panic, no endless work, and the outcome is one of
// the four.
func FuzzCompare(f *testing.F) {
	old := base()
	data := write(nil, old, "")
	for num, text := range old {
		f.Add(uint16(num), []byte(text), uint16(91), []byte(old[1]))
	}
	f.Add(uint16(3), []byte("<</Type/Page/Parent 2 0 R/Annots 2 0 R/Contents[3 0 R]>>"), uint16(2), []byte("<</Type/Pages/Kids[2 0 R 3 0 R]>>"))
	f.Add(uint16(41), []byte("<</K[41 0 R 40 0 R]/P 41 0 R>>"), uint16(42), []byte("<</Kids[42 0 R]/Nums[0 42 0 R]>>"))
	f.Add(uint16(16), []byte("<</T(g)/Kids[16 0 R 11 0 R]/Parent 16 0 R>>"), uint16(10), []byte("<</Fields 10 0 R>>"))
	f.Fuzz(func(t *testing.T, n1 uint16, o1 []byte, n2 uint16, o2 []byte) {
		full := write(data, objects{uint32(n1%120) + 1: string(o1), uint32(n2%120) + 1: string(o2)}, "")
		ctx, cancel := context.WithTimeout(t.Context(), fuzzTime)
		defer cancel()
		file, err := Open(bytes.NewReader(full), int64(len(full)), Limits{})
		if err != nil {
			return
		}
		for rev := range file.Revisions() {
			ch, err := Compare(ctx, file, rev, CompareOptions{})
			if ctx.Err() != nil {
				t.Fatalf("takes over %v", fuzzTime)
			}
			if err == nil && ch.Outcome.rank() < 0 {
				t.Fatalf("outcome %q", ch.Outcome)
			}
		}
	})
}

// large makes a document of n objects and signatures later updates, each a new signature field.
func large(n, size, signatures int) []byte {
	old := base()
	body := bytes.Repeat([]byte("0"), size/n)
	var kids bytes.Buffer
	for i := range n {
		num := uint32(1000 + i)
		old[num] = fmt.Sprintf("<</Length %d/N %d>>\nstream\n%s\nendstream", len(body), i, body)
		fmt.Fprintf(&kids, "%d 0 R ", num)
	}
	old[5] = "[" + kids.String() + "]"
	data := write(nil, old, "")
	fields, annots := old[10], old[3]
	for i := range signatures {
		num := uint32(100 + 2*i)
		ref := fmt.Sprintf(" %d 0 R]", num)
		fields = replaceFirst(fields, "]/SigFlags", ref+"/SigFlags")
		annots = replaceFirst(annots, "]/StructParents", ref+"/StructParents")
		later := objects{
			10: fields, 3: annots, num + 1: newSig,
			num: fmt.Sprintf("<</FT/Sig/T(S%d)/Type/Annot/Subtype/Widget/P 3 0 R/Rect[0 0 0 0]/V %d 0 R>>", i, num+1),
		}
		data = write(data, maps.Clone(later), "")
	}
	return data
}

func replaceFirst(s, old, now string) string {
	return string(bytes.Replace([]byte(s), []byte(old), []byte(now), 1))
}

// BenchmarkCompare judges files of 50 MB with 20,000 objects: the cost of further signatures is that of what they
// change.
func BenchmarkCompare(b *testing.B) {
	for _, signatures := range []int{1, 10} {
		data := large(20_000, 50<<20, signatures)
		b.Run(fmt.Sprintf("signatures=%d", signatures), func(b *testing.B) {
			for b.Loop() {
				f, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
				if err != nil {
					b.Fatal(err)
				}
				c := NewComparer(f)
				for rev := range f.Revisions() {
					ch, err := c.Compare(b.Context(), rev, CompareOptions{})
					if err != nil || ch.Outcome.rank() > OutcomePermitted.rank() {
						b.Fatal(ch, err)
					}
				}
			}
		})
	}
}
