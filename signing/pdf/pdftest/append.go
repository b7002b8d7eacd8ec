package pdftest

import (
	"bytes"
	"fmt"
	"regexp"
)

// Append gives a file with a classic table one more revision, in which objects are what the map says, as an attacker
// would. A file without such a table is a fault of the test: it panics.
func Append(file []byte, objects map[int]string) []byte {
	size := regexp.MustCompile(`/Size (\d+)`).FindAllSubmatch(file, -1)
	start := regexp.MustCompile(`startxref\s+(\d+)`).FindAllSubmatch(file, -1)
	if size == nil || start == nil {
		panic("pdftest: no classic trailer")
	}
	var out, table bytes.Buffer
	out.Write(file)
	for number, body := range objects {
		fmt.Fprintf(&table, "%d 1\n%010d 00000 n \n", number, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", number, body)
	}
	at := out.Len()
	fmt.Fprintf(&out, "xref\n%strailer\n<</Size %s /Root 1 0 R /Prev %s>>\nstartxref\n%d\n%%%%EOF\n", table.Bytes(), size[len(size)-1][1], start[len(start)-1][1], at)
	return out.Bytes()
}
