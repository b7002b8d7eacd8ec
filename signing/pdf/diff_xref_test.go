package pdf

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// streamRevision appends a revision whose objects stand in an object stream of the given number, under a
// cross-reference stream (ISO 32000-2 §7.5.7, §7.5.8).
func streamRevision(t *testing.T, data []byte, container uint32, objs objects) []byte {
	t.Helper()
	buf := bytes.NewBuffer(bytes.Clone(data))
	var prev int
	if _, err := fmt.Sscanf(string(data[bytes.LastIndex(data, []byte("startxref")):]), "startxref\n%d", &prev); err != nil {
		t.Fatal(err)
	}
	var head, body strings.Builder
	var index, rows strings.Builder
	row := func(kind, a, b int) { fmt.Fprintf(&rows, "%02x%08x%04x", kind, a, b) }
	i := 0
	for num, text := range objs {
		fmt.Fprintf(&head, "%d %d ", num, body.Len())
		body.WriteString(text + " ")
		fmt.Fprintf(&index, "%d 1 ", num)
		row(2, int(container), i)
		i++
	}
	fmt.Fprintf(&index, "%d 1 ", container)
	row(1, buf.Len(), 0)
	fmt.Fprintf(buf, "%d 0 obj\n<</Type/ObjStm/N %d/First %d/Length %d>>\nstream\n%s%s\nendstream\nendobj\n",
		container, len(objs), head.Len(), head.Len()+body.Len(), head.String(), body.String())
	start, self := buf.Len(), container+1
	fmt.Fprintf(&index, "%d 1", self)
	row(1, start, 0)
	hex := rows.String() + ">"
	fmt.Fprintf(buf, "%d 0 obj\n<</Type/XRef/Size 200/Root 1 0 R/Prev %d/W[1 4 2]/Index[%s]/Filter/ASCIIHexDecode/Length %d>>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n",
		self, prev, index.String(), len(hex), hex, start)
	return buf.Bytes()
}

// TestThroughStreams: changes are found wherever the objects stand.
func TestThroughStreams(t *testing.T) {
	old := base()
	delete(old, 6)
	first := write(nil, old, "")
	font := base()[6]
	for name, c := range map[string]struct {
		data []byte
		want Outcome
	}{
		"object moved into a stream":    {streamRevision(t, write(nil, base(), ""), 150, objects{6: font}), OutcomeNone},
		"object changed in a stream":    {streamRevision(t, write(nil, base(), ""), 150, objects{6: "<</Type/Font/BaseFont/Courier>>"}), OutcomeForbidden},
		"object appears in a stream":    {streamRevision(t, first, 150, objects{6: font}), OutcomeForbidden},
		"metadata in a stream":          {streamRevision(t, write(nil, base(), ""), 150, objects{99: "(nothing names it)"}), OutcomeNone},
		"object freed by a later table": {write(write(nil, base(), ""), objects{6: "free"}, ""), OutcomeForbidden},
	} {
		if got := compareBytes(t, c.data); got.Outcome != c.want {
			t.Errorf("%s: %s, want %s: %v", name, got.Outcome, c.want, got.Findings)
		}
	}
}

// TestStreamReplaced: an object stream that is written again changes the objects in it, though no later section
// lists them.
func TestStreamReplaced(t *testing.T) {
	old := base()
	delete(old, 6)
	signed := streamRevision(t, write(nil, old, ""), 150, objects{6: base()[6]})
	replaced := "<</Type/ObjStm/N 1/First 4/Length 36>>\nstream\n6 0 <</Type/Font/BaseFont/Courier>>\nendstream"
	data := write(signed, objects{150: replaced}, "")
	f, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Compare(t.Context(), f, 1, CompareOptions{})
	if err != nil || got.Outcome != OutcomeForbidden {
		t.Errorf("%v, %v, want forbidden", got, err)
	}
}

// TestOffsetMoved: a later table that leads an object to other signed bytes changes it.
func TestOffsetMoved(t *testing.T) {
	data := write(nil, base(), "")
	hidden := bytes.Index(data, []byte("8 0 obj"))
	moved := bytes.Replace(data, []byte("\n8 0 obj"), []byte("\n5 0 obj"), 1) // a second object 5, not listed
	var prev int
	if _, err := fmt.Sscanf(string(moved[bytes.LastIndex(moved, []byte("startxref")):]), "startxref\n%d", &prev); err != nil {
		t.Fatal(err)
	}
	moved = bytes.Replace(moved, []byte("8 0 R"), []byte("5 0 R"), 1)
	start := len(moved)
	moved = append(moved, fmt.Sprintf("xref\n0 1\n0000000000 65535 f\r\n5 1\n%010d 00000 n\r\ntrailer\n<</Size 200/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", hidden, prev, start)...)
	if got := compareBytes(t, moved); got.Outcome != OutcomeForbidden {
		t.Errorf("%v, want forbidden", got)
	}
}
