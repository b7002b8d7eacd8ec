package pdf

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// objects are what a revision writes: number to text; "free" frees the number.
type objects map[uint32]string

// base is a signed document with something of everything. Object 20 holds what the signature permits.
func base() objects {
	stream := func(dict, data string) string {
		return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", dict, len(data), data)
	}
	return objects{
		1: "<</Type/Catalog/Pages 2 0 R/AcroForm 10 0 R/Outlines 30 0 R/StructTreeRoot 40 0 R/Names<</Dests<</Names[(a)[4 0 R/Fit]]>>>>/Lang(vi)/Extensions 50 0 R/Perms<</DocMDP 20 0 R>>>>",
		2: "<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2/MediaBox[0 0 595 842]>>",
		3: "<</Type/Page/Parent 2 0 R/Contents 5 0 R/Resources<</Font<</F1 6 0 R>>/XObject<</P 7 0 R>>>>/Annots[11 0 R 13 0 R 14 0 R 15 0 R 17 0 R]/StructParents 0>>",
		4: "<</Type/Page/Parent 2 0 R/Contents 8 0 R/Resources<</Font<</F1 6 0 R>>>>/Annots 18 0 R>>",
		5: stream("", "BT /F1 12 Tf (Quyet dinh) Tj ET /P Do"),
		6: "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
		7: stream("/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</Font<</F2 9 0 R>>>>", "BT ET"),
		8: stream("", "BT /F1 12 Tf (Trang hai) Tj ET"),
		9: "<</Type/Font/Subtype/Type1/BaseFont/Times-Roman>>",

		10: "<</Fields[11 0 R 13 0 R 14 0 R 16 0 R]/SigFlags 3/DR<</Font<</Helv 6 0 R>>>>/DA(/Helv 0 Tf)>>",
		11: "<</FT/Sig/T(Sig1)/Type/Annot/Subtype/Widget/Rect[50 50 150 100]/P 3 0 R/F 132/V 20 0 R/AP<</N 12 0 R>>/Lock 21 0 R>>",
		12: stream("/Type/XObject/Subtype/Form/BBox[0 0 100 50]", "q Q"),
		13: "<</FT/Sig/T(Sig2)/Type/Annot/Subtype/Widget/Rect[200 50 300 100]/P 3 0 R/F 132/StructParent 1>>",
		14: "<</FT/Tx/T(text)/Type/Annot/Subtype/Widget/Rect[50 200 150 220]/P 3 0 R/V(old)/AP<</N 19 0 R>>>>",
		15: "<</Type/Annot/Subtype/Link/Rect[0 0 50 50]/P 3 0 R/Dest[4 0 R/Fit]>>",
		16: "<</T(group)/Kids[17 0 R]>>",
		17: "<</FT/Btn/T(box)/Parent 16 0 R/Type/Annot/Subtype/Widget/Rect[50 300 60 310]/P 3 0 R/V/Off/AS/Off/AP<</N<</Yes 12 0 R>>>>>>",
		18: "[22 0 R]",
		19: stream("/Type/XObject/Subtype/Form/BBox[0 0 100 20]", "BT (old) Tj ET"),
		20: "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/ByteRange[0 1 2 3]/Contents<00>/Reason(Ky)/Reference[]>>",
		21: "<</Type/SigFieldLock/Action/Include/Fields[]>>",
		22: "<</Type/Annot/Subtype/Text/Rect[10 10 30 30]/P 4 0 R/Contents(ghi chu)>>",

		30: "<</Type/Outlines/First 31 0 R/Last 31 0 R/Count 1>>",
		31: "<</Title(Muc)/Parent 30 0 R/Dest[3 0 R/Fit]>>",
		40: "<</Type/StructTreeRoot/K 41 0 R/ParentTree 42 0 R/ParentTreeNextKey 2>>",
		41: "<</Type/StructElem/S/Document/P 40 0 R/K[43 0 R 44 0 R]>>",
		42: "<</Nums[0[43 0 R]1 44 0 R]>>",
		43: "<</Type/StructElem/S/P/P 41 0 R/Pg 3 0 R/K 0>>",
		44: "<</Type/StructElem/S/Form/P 41 0 R/Pg 3 0 R/K<</Type/OBJR/Obj 13 0 R>>>>",
		50: "<</ADBE<</BaseVersion/1.7/ExtensionLevel 3>>>>",
	}
}

// write appends a revision with a classic cross-reference table.
func write(data []byte, objs objects, trailer string) []byte {
	prev := bytes.LastIndex(data, []byte("startxref"))
	buf := bytes.NewBuffer(slices.Clone(data))
	if len(data) == 0 {
		buf.WriteString("%PDF-1.7\n")
	}
	nums := slices.Sorted(maps.Keys(objs))
	entries := map[uint32]string{}
	for _, n := range nums {
		if objs[n] == "free" {
			entries[n] = "0000000000 00001 f\r\n"
			continue
		}
		entries[n] = fmt.Sprintf("%010d 00000 n\r\n", buf.Len())
		fmt.Fprintf(buf, "%d 0 obj\n%s\nendobj\n", n, objs[n])
	}
	start := buf.Len()
	buf.WriteString("xref\n0 1\n0000000000 65535 f\r\n")
	for _, n := range nums {
		fmt.Fprintf(buf, "%d 1\n%s", n, entries[n])
	}
	if prev >= 0 {
		var at int
		if _, err := fmt.Sscanf(string(data[prev:]), "startxref\n%d", &at); err == nil {
			trailer += fmt.Sprintf("/Prev %d", at)
		}
	}
	if !strings.Contains(trailer, "/Root") {
		trailer += "/Root 1 0 R"
	}
	fmt.Fprintf(buf, "trailer\n<</Size 200%s>>\nstartxref\n%d\n%%%%EOF\n", trailer, start)
	return buf.Bytes()
}

// compareBytes opens a file and compares its first revision with the last.
func compareBytes(t testing.TB, data []byte) Changes {
	t.Helper()
	f, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ch, err := Compare(t.Context(), f, 0, CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// edit replaces text in the object of a revision; it must be there.
func edit(t *testing.T, objs objects, num uint32, old, now string) string {
	t.Helper()
	if !strings.Contains(objs[num], old) {
		t.Fatalf("object %d has no %q", num, old)
	}
	return strings.Replace(objs[num], old, now, 1)
}

const (
	newSig    = "<</Type/Sig/SubFilter/ETSI.CAdES.detached/Contents<00>/ByteRange[0 1 2 3]>>"
	newStamp  = "<</Type/DocTimeStamp/SubFilter/ETSI.RFC3161/Contents<00>/ByteRange[0 1 2 3]>>"
	certifies = "<</Type/Sig/SubFilter/ETSI.CAdES.detached/Contents<00>/ByteRange[0 1 2 3]/Reference[<</TransformMethod/DocMDP/TransformParams<</P 2>>>>]>>"
	form100   = "<</Type/XObject/Subtype/Form/BBox[0 0 100 100]/Length 3>>\nstream\nq Q\nendstream"
)

func field(rect, value, more string) string {
	return "<</FT/Sig/T(Sig3)/Type/Annot/Subtype/Widget/P 3 0 R/F 132/Rect" + rect + value + more + ">>"
}

// changeCase is one later revision. Replacements are made in the base object of that number.
type changeCase struct {
	name    string
	level   int    // DocMDP, 0 is none
	lock    string // FieldMDP parameters
	edits   map[uint32][2]string
	objs    objects
	trailer string
	want    Outcome
}

func (c changeCase) run(t *testing.T) Changes {
	t.Helper()
	old := base()
	refs := ""
	if c.level > 0 {
		refs += fmt.Sprintf("<</TransformMethod/DocMDP/TransformParams<</P %d/V/1.2>>>>", c.level)
	}
	if c.lock != "" {
		refs += "<</TransformMethod/FieldMDP/TransformParams<<" + c.lock + ">>>>"
	}
	old[20] = edit(t, old, 20, "/Reference[]", "/Reference["+refs+"]")
	data := write(nil, old, "")
	later := objects{}
	maps.Copy(later, c.objs)
	for num, e := range c.edits {
		later[num] = edit(t, old, num, e[0], e[1])
	}
	return compareBytes(t, write(data, later, c.trailer))
}

func runCases(t *testing.T, cases []changeCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := c.run(t); got.Outcome != c.want {
				t.Errorf("%s, want %s: %v", got.Outcome, c.want, got.Findings)
			}
		})
	}
}

// one edits one object.
func one(num uint32, old, now string) map[uint32][2]string {
	return map[uint32][2]string{num: {old, now}}
}

func TestNothingChanged(t *testing.T) {
	same := base()
	runCases(t, []changeCase{
		{name: "empty update", want: OutcomeNone},
		{name: "objects written again", objs: objects{5: same[5], 3: same[3], 6: same[6]}, want: OutcomeNone},
		{name: "object that nothing names", objs: objects{90: "(x)"}, want: OutcomeNone},
		{name: "number written otherwise", edits: one(2, "595 842", "595.0 842"), want: OutcomeNone},
		{name: "inherited size written in the page", edits: one(3, "/StructParents 0", "/StructParents 0/MediaBox[0 0 595 842]/Rotate 0/CropBox[0 0 595 842]"), want: OutcomePermitted},
		{name: "catalog under another number", objs: objects{91: same[1]}, trailer: "/Root 91 0 R", want: OutcomeNone},
	})
}

func TestDocumentChanged(t *testing.T) {
	cases := []changeCase{
		{name: "content replaced", edits: one(5, "Quyet dinh", "QUYET DINH")},
		{name: "content of another object", edits: one(3, "/Contents 5 0 R", "/Contents 8 0 R")},
		{name: "content emptied by freeing it", objs: objects{5: "free"}},
		{name: "font replaced", edits: one(6, "Helvetica", "Courier")},
		{name: "font within a form XObject named P", edits: one(9, "Times-Roman", "Courier")},
		{name: "form XObject named P", edits: one(7, "BT ET", "bt et")},
		{name: "page size", edits: one(2, "595 842", "595 400")},
		{name: "page cropped", edits: one(3, "/StructParents 0", "/StructParents 0/CropBox[0 0 595 400]")},
		{name: "page turned", edits: one(3, "/StructParents 0", "/StructParents 0/Rotate 180")},
		{name: "page added", edits: one(2, "/Kids[3 0 R 4 0 R]/Count 2", "/Kids[3 0 R 4 0 R 90 0 R]/Count 3"), objs: objects{90: "<</Type/Page/Parent 2 0 R>>"}},
		{name: "page removed", edits: one(2, "/Kids[3 0 R 4 0 R]/Count 2", "/Kids[3 0 R]/Count 1")},
		{name: "pages swapped", edits: one(2, "[3 0 R 4 0 R]", "[4 0 R 3 0 R]")},
		{name: "page replaced under its number", objs: objects{4: "<</Type/Page/Parent 2 0 R/Contents 5 0 R>>"}},
		{name: "another page tree", edits: one(1, "/Pages 2 0 R", "/Pages 90 0 R"), objs: objects{90: "<</Type/Pages/Kids[4 0 R 3 0 R]/Count 2>>"}},
		{name: "another catalog", objs: objects{91: "<</Type/Catalog/Pages 2 0 R>>"}, trailer: "/Root 91 0 R"},
		{name: "outlines", edits: one(31, "Muc", "Khac")},
		{name: "open action", edits: one(1, "/Lang(vi)", "/Lang(vi)/OpenAction<</S/JavaScript/JS(app.alert)>>")},
		{name: "JavaScript names", edits: one(1, "/Names<<", "/Names<</JavaScript<</Names[(x)<</S/JavaScript/JS(y)>>]>>")},
		{name: "attachment", edits: one(1, "/Names<<", "/Names<</EmbeddedFiles<</Names[(x)<</Type/Filespec>>]>>")},
		{name: "destinations", edits: one(1, "[4 0 R/Fit]", "[3 0 R/Fit]")},
		{name: "optional content", edits: one(1, "/Lang(vi)", "/Lang(vi)/OCProperties<<>>")},
		{name: "form removed", edits: one(1, "/AcroForm 10 0 R", "")},
		{name: "extensions hide a stream", objs: objects{50: "<</ADBE 12 0 R>>"}},
		{name: "structure text", edits: one(43, "/K 0", "/K 0/ActualText(khac)")},
		{name: "structure content moved", edits: one(41, "[43 0 R 44 0 R]", "[44 0 R 43 0 R]")},
		{name: "structure element removed", edits: one(41, "[43 0 R 44 0 R]", "[43 0 R]")},
		{name: "structure element of page content added", edits: one(41, "[43 0 R 44 0 R]", "[43 0 R 44 0 R 90 0 R]"), objs: objects{90: "<</Type/StructElem/S/P/P 41 0 R/Pg 3 0 R/K 1>>"}},
		{name: "parent tree", edits: one(42, "1 44 0 R", "1 43 0 R")},
		{name: "encryption", trailer: "/Encrypt 6 0 R"},
		{name: "validation data that is a font", edits: one(1, "/Lang(vi)", "/Lang(vi)/DSS 6 0 R"), objs: objects{6: "<</Type/Font/Subtype/Type1/BaseFont/Courier>>"}},
	}
	for i := range cases {
		cases[i].want = OutcomeForbidden
	}
	for _, level := range []int{0, 1, 3} {
		for i := range cases {
			cases[i].level = level
		}
		t.Run(fmt.Sprintf("P=%d", level), func(t *testing.T) {
			// An encrypted file is not opened at all.
			runCases(t, slices.DeleteFunc(slices.Clone(cases), func(c changeCase) bool { return c.trailer == "/Encrypt 6 0 R" }))
		})
	}
}

func TestAlwaysPermitted(t *testing.T) {
	stream := "<</Length 1>>\nstream\nx\nendstream"
	dss := objects{60: "<</Certs[61 0 R]/VRI<</AA<</Cert[61 0 R]/TU(D:2026)>>>>>>", 61: stream}
	withDSS := one(1, "/Lang(vi)", "/Lang(vi)/DSS 60 0 R")
	stampField := objects{70: field("[0 0 0 0]", "/V 71 0 R", ""), 71: newStamp}
	for _, level := range []int{0, 1, 2, 3} {
		runCases(t, []changeCase{
			{name: "validation data", level: level, edits: withDSS, objs: dss, want: OutcomePermitted},
			{name: "validation data of odd form", level: level, edits: withDSS, objs: objects{60: "<</Certs[5 0 R]/Strange 5 0 R>>"}, want: OutcomeUnclear},
			{name: "metadata", level: level, edits: one(1, "/Lang(vi)", "/Lang(vi)/Metadata 61 0 R"), objs: objects{61: stream}, want: OutcomePermitted},
			{name: "information", level: level, objs: objects{62: "<</Producer(x)>>"}, trailer: "/Info 62 0 R", want: OutcomePermitted},
			{name: "extensions", level: level, edits: one(50, "ExtensionLevel 3", "ExtensionLevel 8"), want: OutcomePermitted},
			{name: "version", level: level, edits: one(1, "/Lang(vi)", "/Lang(vi)/Version/2.0"), want: OutcomePermitted},
			{
				name: "document time stamp", level: level, objs: stampField, want: OutcomePermitted,
				edits: map[uint32][2]string{10: {"16 0 R]", "16 0 R 70 0 R]"}, 3: {"17 0 R]", "17 0 R 70 0 R]"}},
			},
		})
	}
}

func TestPermissionsKept(t *testing.T) {
	runCases(t, []changeCase{
		{name: "removed", level: 2, edits: one(1, "/Perms<</DocMDP 20 0 R>>", ""), want: OutcomeForbidden},
		{name: "another certification", level: 2, edits: one(1, "/DocMDP 20 0 R", "/DocMDP 71 0 R"), objs: objects{71: certifies}, want: OutcomeForbidden},
		{name: "usage rights added", level: 2, edits: one(1, "/DocMDP 20 0 R", "/DocMDP 20 0 R/UR3<<>>"), want: OutcomeForbidden},
		{name: "certified after a signature", edits: map[uint32][2]string{13: {"/StructParent 1", "/StructParent 1/V 71 0 R"}}, objs: objects{71: certifies}, want: OutcomeForbidden},
		{name: "signature flags taken back", edits: one(10, "/SigFlags 3", "/SigFlags 0"), want: OutcomeUnclear},
	})
	// Validation data that was there may be replaced, not removed.
	old := base()
	old[1] = edit(t, old, 1, "/Lang(vi)", "/Lang(vi)/DSS 60 0 R")
	old[60] = "<</Certs[61 0 R]>>"
	old[61] = "<</Length 1>>\nstream\nx\nendstream"
	for now, want := range map[string]Outcome{"": OutcomeForbidden, "/DSS<</Certs[]>>": OutcomePermitted} {
		later := objects{1: edit(t, old, 1, "/DSS 60 0 R", now)}
		if got := compareBytes(t, write(write(nil, old, ""), later, "")); got.Outcome != want {
			t.Errorf("validation data now %q: %v, want %s", now, got, want)
		}
	}
}
