package pdf

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"testing"
	"time"
)

// textPage makes a file of one page with the given contents, whose font F1 has
// a ToUnicode map and F2 has none.
func textPage(contents string) []byte {
	toUnicode := "1 begincodespacerange <0000> <FFFF> endcodespacerange 3 beginbfchar <0001> <0110> <0002> <1EA5> <0003> <00740020> endbfchar " +
		"2 beginbfrange <0010> <0013> <0061> <0020> <0021> [<0079> <007A>] endbfrange"
	stream := func(s, more string) string {
		return "<<" + more + "/Length " + strconv.Itoa(len(s)) + ">>stream\n" + s + "\nendstream"
	}
	return newMaker().object(1, "<</Type/Catalog/Pages 2 0 R>>").
		object(2, "<</Type/Pages/Kids[3 0 R]/Count 1/Resources<</Font<</F1 5 0 R/F2 7 0 R>>/XObject<</X 8 0 R>>>>>>").
		object(3, "<</Type/Page/Parent 2 0 R/Contents[4 0 R]>>").object(4, stream(contents, "")).
		object(5, "<</Type/Font/Subtype/Type0/ToUnicode 6 0 R>>").object(6, stream(toUnicode, "")).
		object(7, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>").
		object(8, stream("BT /F2 9 Tf (form) Tj ET /X Do", "/Type/XObject/Subtype/Form")).
		table("/Root 1 0 R/Size 9").Bytes()
}

func textOf(t testing.TB, data []byte, most int) string {
	t.Helper()
	f, err := Open(bytes.NewReader(data), int64(len(data)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := f.Latest().Text(most)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPageText(t *testing.T) {
	for contents, want := range map[string]string{
		"BT /F1 12 Tf <00010002001000110003> Tj ET":                 "Đấabt ",
		"BT /F1 12 Tf [<0010> -20 <0011> -300 <0020>] TJ ET":        "ab y\n",
		"BT /F2 12 Tf 1 0 0 1 0 0 Tm (one) Tj 0 -14 Td (two) ' ET":  "one\ntwo\n",
		"BT /F2 12 Tf (a\\(b\\)) Tj 5 0 Td (c) Tj ET":               "a(b) c\n",
		"q BI /W 1 /H 1 ID \xFF(EI\nEI Q BT /F2 9 Tf (after) Tj ET": "after\n",
		"/X Do":                       "form\nform\nform\nform\nform\n",
		"BT (no font) Tj ET":          "",
		"BT /F9 1 Tf (unknown) Tj ET": "",
		"1 0 0 RG 0 0 1 rg ] >> BT /F2 9 Tf (still) Tj ET": "still\n",
	} {
		if got := textOf(t, textPage(contents), 1000); got != want {
			t.Errorf("%s: %q, want %q", contents, got, want)
		}
	}
	if got := textOf(t, textPage("BT /F2 9 Tf "+strings.Repeat("(0123456789) Tj ", 50)+"ET"), 95); len(got) != 95 {
		t.Errorf("%d bytes", len(got))
	}
}

// FuzzText reads the text of any contents: no panic, no hang.
func FuzzText(f *testing.F) {
	f.Add([]byte("BT /F1 12 Tf [<0010> -20 <0011>] TJ ET /X Do BI ID EI"))
	f.Fuzz(func(t *testing.T, contents []byte) {
		data := textPage(string(contents))
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		file, err := OpenContext(ctx, bytes.NewReader(data), int64(len(data)), fuzzLimits())
		if err != nil {
			return
		}
		if text, _ := file.Latest().Text(1000); len(text) > 1000 {
			t.Errorf("%d bytes", len(text))
		}
	})
}
