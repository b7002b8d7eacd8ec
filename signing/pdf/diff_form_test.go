package pdf

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// withField names a new field in the form and on the page.
func withField() map[uint32][2]string {
	return map[uint32][2]string{10: {"16 0 R]", "16 0 R 70 0 R]"}, 3: {"17 0 R]", "17 0 R 70 0 R]"}}
}

func TestFormFilled(t *testing.T) {
	text := map[uint32][2]string{14: {"/V(old)/AP<</N 19 0 R>>", "/V(new)/AP<</N 70 0 R>>"}}
	shown := map[uint32][2]string{14: {"/AP<</N 19 0 R>>", "/AP<</N 70 0 R>>"}}
	box := map[uint32][2]string{17: {"/V/Off/AS/Off", "/V/Yes/AS/Yes"}}
	drawn := objects{70: form100}
	for level, want := range map[int]Outcome{0: OutcomePermitted, 1: OutcomeForbidden, 2: OutcomePermitted, 3: OutcomePermitted} {
		alone := OutcomeForbidden
		if level == levelAnnots { // annotations may be changed, and a widget is one
			alone = OutcomeUnclear
		}
		runCases(t, []changeCase{
			{name: fmt.Sprintf("text at P=%d", level), level: level, edits: text, objs: drawn, want: want},
			{name: fmt.Sprintf("box at P=%d", level), level: level, edits: box, want: want},
			{name: fmt.Sprintf("resources at P=%d", level), level: level, edits: one(10, "/Helv 6 0 R", "/Helv 6 0 R/F9 9 0 R"), want: OutcomePermitted},
			{name: fmt.Sprintf("shown without a value at P=%d", level), level: level, edits: shown, objs: drawn, want: alone},
			{name: fmt.Sprintf("drawing overwritten at P=%d", level), level: level, objs: objects{19: form100}, want: alone},
			{name: fmt.Sprintf("closed at P=%d", level), level: level, edits: one(14, "/T(text)", "/T(text)/Ff 1"), want: want},
			{name: fmt.Sprintf("another flag at P=%d", level), level: level, edits: one(14, "/T(text)", "/T(text)/Ff 2"), want: OutcomeForbidden},
			{name: fmt.Sprintf("default font at P=%d", level), level: level, edits: one(10, "/Helv 6 0 R", "/Helv 9 0 R"), want: OutcomeForbidden},
			{name: fmt.Sprintf("field removed at P=%d", level), level: level, edits: one(10, "14 0 R 16 0 R]", "16 0 R]"), want: OutcomeForbidden},
			{name: fmt.Sprintf("field renamed at P=%d", level), level: level, edits: one(14, "/T(text)", "/T(other)"), want: OutcomeForbidden},
			{name: fmt.Sprintf("field of another kind at P=%d", level), level: level, edits: one(14, "/FT/Tx", "/FT/Ch"), want: OutcomeForbidden},
			{name: fmt.Sprintf("field with an action at P=%d", level), level: level, edits: one(14, "/T(text)", "/T(text)/AA<</K<</S/JavaScript/JS(x)>>>>"), want: OutcomeForbidden},
			{
				name: fmt.Sprintf("text field added at P=%d", level), level: level, want: OutcomeForbidden, edits: withField(),
				objs: objects{70: "<</FT/Tx/T(more)/Type/Annot/Subtype/Widget/Rect[0 0 9 9]/P 3 0 R>>"},
			},
		})
	}
	runCases(t, []changeCase{
		{name: "default appearance", edits: one(10, "/Helv 0 Tf", "/Helv 9 Tf"), want: OutcomeForbidden},
		{name: "appearance shared with a page", edits: box, objs: objects{6: "<</Type/Font/Subtype/Type1/BaseFont/Courier>>"}, want: OutcomeForbidden},
	})
}

// TestEmptyFieldAdded: who asks for one more signature on what others have signed is not signing.
func TestEmptyFieldAdded(t *testing.T) {
	for level, want := range map[int]Outcome{0: OutcomeUnclear, 1: OutcomeForbidden, 2: OutcomeForbidden, 3: OutcomeUnclear} {
		runCases(t, []changeCase{{
			name: fmt.Sprintf("P=%d", level), level: level, want: want, edits: withField(),
			objs: objects{70: field("[400 50 500 100]", "", "")},
		}})
	}
}

func TestExtensionsOnlyGrow(t *testing.T) {
	const old = "<</ADBE<</BaseVersion/1.7/ExtensionLevel 3>>>>"
	for now, want := range map[string]Outcome{
		"<</ADBE<</BaseVersion/1.7/ExtensionLevel 8>>>>": OutcomePermitted,
		"<</ADBE<</BaseVersion/2.0/ExtensionLevel 1>>>>": OutcomePermitted,
		"<</ADBE[<</BaseVersion/1.7/ExtensionLevel 3>><</BaseVersion/1.7/ExtensionLevel 5>>]/ESIC<</BaseVersion/1.7/ExtensionLevel 2>>>>": OutcomePermitted,
		"<</ADBE<</BaseVersion/1.7/ExtensionLevel 2>>>>": OutcomeUnclear,
		"<</ADBE<</BaseVersion/1.6/ExtensionLevel 9>>>>": OutcomeUnclear,
		"<</ESIC<</BaseVersion/1.7/ExtensionLevel 2>>>>": OutcomeUnclear,
	} {
		runCases(t, []changeCase{{name: now, edits: one(50, old, now), want: want}})
	}
}

func TestFieldLocks(t *testing.T) {
	text := map[uint32][2]string{14: {"/V(old)", "/V(new)"}}
	box := map[uint32][2]string{17: {"/V/Off/AS/Off", "/V/Yes/AS/Yes"}}
	sign := map[uint32][2]string{13: {"/StructParent 1", "/StructParent 1/V 71 0 R"}}
	signed := objects{71: newSig}
	runCases(t, []changeCase{
		{name: "all", lock: "/Action/All", edits: text, want: OutcomeUnclear},
		{name: "included", lock: "/Action/Include/Fields[(text)]", edits: text, want: OutcomeUnclear},
		{name: "included by its parent", lock: "/Action/Include/Fields[(group)]", edits: box, want: OutcomeUnclear},
		{name: "included by its full name", lock: "/Action/Include/Fields[(group.box)]", edits: box, want: OutcomeUnclear},
		{name: "not included", lock: "/Action/Include/Fields[(box)(tex)]", edits: text, want: OutcomePermitted},
		{name: "excluded", lock: "/Action/Exclude/Fields[(text)]", edits: text, want: OutcomePermitted},
		{name: "not excluded", lock: "/Action/Exclude/Fields[(text)]", edits: box, want: OutcomeUnclear},
		{name: "unknown action", lock: "/Action/Nonsense", edits: text, want: OutcomeUnclear},
		{name: "with a level", lock: "/Action/Include/Fields[]/P 1", edits: text, want: OutcomeForbidden},
		{name: "levels add up", level: 3, lock: "/Action/Include/Fields[]/P 1", edits: text, want: OutcomeForbidden},
		{name: "value and size", lock: "/Action/All", edits: one(14, "[50 200 150 220]/P 3 0 R/V(old)", "[0 0 500 800]/P 3 0 R/V(new)"), want: OutcomeForbidden},
		{name: "value and action", lock: "/Action/All", edits: one(14, "/V(old)", "/V(new)/AA<</F<</S/JavaScript/JS(x)>>>>"), want: OutcomeForbidden},
		{name: "filled in where nothing may change", level: 1, lock: "/Action/All", edits: text, want: OutcomeForbidden},
		{name: "locked appearance", lock: "/Action/Include/Fields[(text)]", objs: objects{19: form100}, want: OutcomeForbidden},
		{name: "locked signature field", lock: "/Action/Include/Fields[(Sig2)]", edits: sign, objs: signed, want: OutcomeForbidden},
		{name: "kid removed", lock: "/Action/Include/Fields[(group)]", level: 3, edits: one(16, "/Kids[17 0 R]", ""), want: OutcomeForbidden},
		{name: "widget removed", lock: "/Action/Include/Fields[(text)]", level: 3, edits: one(3, "14 0 R 15 0 R", "15 0 R"), want: OutcomeForbidden},
	})
	// The lock of the signed field itself counts too.
	old := base()
	old[21] = "<</Type/SigFieldLock/Action/All>>"
	later := objects{14: edit(t, old, 14, "(old)", "(new)")}
	if got := compareBytes(t, write(write(nil, old, ""), later, "")); got.Outcome != OutcomeUnclear {
		t.Errorf("lock of the field: %v", got)
	}
}

func TestLaterSignatures(t *testing.T) {
	signOld := map[uint32][2]string{13: {"/StructParent 1", "/StructParent 1/V 71 0 R/AP<</N 70 0 R>>"}}
	for level, want := range map[int]Outcome{0: OutcomePermitted, 1: OutcomeForbidden, 2: OutcomePermitted, 3: OutcomePermitted} {
		runCases(t, []changeCase{
			{name: fmt.Sprintf("in a placed field at P=%d", level), level: level, edits: signOld, objs: objects{70: form100, 71: newSig}, want: want},
			{
				name: fmt.Sprintf("in a new field at P=%d", level), level: level, want: want, edits: withField(),
				objs: objects{70: field("[400 50 500 100]", "/V 71 0 R", "/AP<</N 72 0 R>>"), 71: newSig, 72: form100},
			},
			{
				name: fmt.Sprintf("in a field and a widget at P=%d", level), level: level, want: want,
				edits: map[uint32][2]string{10: {"16 0 R]", "16 0 R 70 0 R]"}, 3: {"17 0 R]", "17 0 R 72 0 R]"}},
				objs: objects{
					70: "<</FT/Sig/T(Sig3)/Kids[72 0 R]/V 71 0 R>>", 71: newSig,
					72: "<</Type/Annot/Subtype/Widget/Parent 70 0 R/P 3 0 R/F 132/Rect[0 0 0 0]>>",
				},
			},
		})
	}
	added := func(f string, more objects) changeCase {
		objs := objects{70: f, 71: newSig, 72: form100}
		maps.Copy(objs, more)
		return changeCase{edits: withField(), objs: objs}
	}
	for name, c := range map[string]struct {
		changeCase
		want Outcome
	}{
		"empty field":           {added(field("[400 50 500 100]", "", ""), nil), OutcomeUnclear},
		"covers the page":       {added(field("[0 0 595 842]", "/V 71 0 R", "/AP<</N 72 0 R>>"), nil), OutcomeUnclear},
		"covers a text field":   {added(field("[40 190 160 230]", "/V 71 0 R", "/AP<</N 72 0 R>>"), nil), OutcomeUnclear},
		"seal on a signature":   {added(field("[100 50 200 100]", "/V 71 0 R", "/AP<</N 72 0 R>>"), nil), OutcomePermitted},
		"with an action":        {added(field("[0 0 0 0]", "/V 71 0 R", "/AA<<>>"), nil), OutcomeForbidden},
		"under a name in use":   {added(strings.Replace(field("[0 0 0 0]", "/V 71 0 R", ""), "(Sig3)", "(Sig2)", 1), nil), OutcomeForbidden},
		"certifies":             {added(field("[0 0 0 0]", "/V 71 0 R", ""), objects{71: certifies}), OutcomeForbidden},
		"value is no signature": {added(field("[0 0 0 0]", "/V(x)", ""), nil), OutcomeUnclear},
	} {
		c.name, c.changeCase.want = name, c.want
		runCases(t, []changeCase{c.changeCase})
	}
}

// TestSignedFieldFixed: what belongs to a signature cannot be changed by anyone (SWA, overwritten appearance).
func TestSignedFieldFixed(t *testing.T) {
	for _, level := range []int{0, 3} {
		cases := []changeCase{
			{name: "reason", edits: one(20, "/Reason(Ky)", "/Reason(Khac)")},
			{name: "contents", edits: one(20, "/Contents<00>", "/Contents<01>")},
			{name: "byte range", edits: one(20, "[0 1 2 3]", "[0 1 2 4]")},
			{name: "value of another object", edits: one(11, "/V 20 0 R", "/V 71 0 R"), objs: objects{71: newSig}},
			{name: "value removed", edits: one(11, "/V 20 0 R", "")},
			{name: "value is text", edits: one(11, "/V 20 0 R", "/V(x)")},
			{name: "appearance overwritten", objs: objects{12: form100}},
			{name: "appearance of another object", edits: one(11, "/N 12 0 R", "/N 70 0 R"), objs: objects{70: form100}},
			{name: "moved", edits: one(11, "[50 50 150 100]", "[0 0 1 1]")},
			{name: "hidden", edits: one(11, "/F 132", "/F 2")},
			{name: "lock removed", edits: one(11, "/Lock 21 0 R", "")},
			{name: "lock loosened", edits: one(21, "/Action/Include", "/Action/Exclude")},
			{name: "field removed", edits: one(10, "[11 0 R ", "[")},
			{name: "widget removed", edits: one(3, "[11 0 R ", "[")},
		}
		for i := range cases {
			cases[i].want, cases[i].level = OutcomeForbidden, level
		}
		runCases(t, cases)
	}
}

func TestAnnotations(t *testing.T) {
	add := func(annot string) (map[uint32][2]string, objects) {
		return one(18, "[22 0 R]", "[22 0 R 70 0 R]"), objects{70: annot, 71: form100}
	}
	annot := func(kind, more string) string {
		return "<</Type/Annot/Subtype/" + kind + "/Rect[0 0 500 500]/P 4 0 R" + more + ">>"
	}
	for _, c := range []struct {
		name, annot string
		at          [4]Outcome
	}{
		{"note", annot("Text", "/Contents(x)"), [4]Outcome{OutcomePermitted, OutcomeForbidden, OutcomeForbidden, OutcomePermitted}},
		{"link", annot("Link", "/A<</S/URI/URI(x)>>"), [4]Outcome{OutcomePermitted, OutcomeForbidden, OutcomeForbidden, OutcomePermitted}},
		{"mark", annot("Highlight", ""), [4]Outcome{OutcomePermitted, OutcomeForbidden, OutcomeForbidden, OutcomePermitted}},
		{"mark with a drawing", annot("Highlight", "/AP<</N 71 0 R>>"), [4]Outcome{OutcomeUnclear, OutcomeForbidden, OutcomeForbidden, OutcomeUnclear}},
		{"text over content", annot("FreeText", "/AP<</N 71 0 R>>"), [4]Outcome{OutcomeUnclear, OutcomeForbidden, OutcomeForbidden, OutcomeUnclear}},
		{"stamp", annot("Stamp", "/AP<</N 71 0 R>>"), [4]Outcome{OutcomeUnclear, OutcomeForbidden, OutcomeForbidden, OutcomeUnclear}},
		{"redaction", annot("Redact", ""), [4]Outcome{OutcomeUnclear, OutcomeForbidden, OutcomeForbidden, OutcomeUnclear}},
		{"film", annot("RichMedia", ""), [4]Outcome{OutcomeForbidden, OutcomeForbidden, OutcomeForbidden, OutcomeForbidden}},
		{"script", annot("Link", "/A<</S/JavaScript/JS(x)>>"), [4]Outcome{OutcomeForbidden, OutcomeForbidden, OutcomeForbidden, OutcomeForbidden}},
		{"widget of no field", annot("Widget", "/AP<</N 71 0 R>>"), [4]Outcome{OutcomeForbidden, OutcomeForbidden, OutcomeForbidden, OutcomeForbidden}},
	} {
		for level, want := range c.at {
			edits, objs := add(c.annot)
			runCases(t, []changeCase{{name: fmt.Sprintf("%s at P=%d", c.name, level), level: level, edits: edits, objs: objs, want: want}})
		}
	}
	runCases(t, []changeCase{
		{name: "note changed", level: 3, edits: one(22, "ghi chu", "khac"), want: OutcomePermitted},
		{name: "note changed where forms only", level: 2, edits: one(22, "ghi chu", "khac"), want: OutcomeForbidden},
		{name: "note removed", level: 3, edits: one(18, "[22 0 R]", "[]"), objs: objects{22: "free"}, want: OutcomePermitted},
		{name: "note removed without certification", edits: one(18, "[22 0 R]", "[]"), want: OutcomeUnclear},
		{name: "note removed where forms only", level: 2, edits: one(18, "[22 0 R]", "[]"), want: OutcomeForbidden},
		{name: "note freed where forms only", level: 2, objs: objects{22: "free"}, want: OutcomeForbidden},
		{name: "order of keys", level: 2, edits: one(3, "/StructParents 0", "/StructParents 0/Tabs/S"), want: OutcomePermitted},
		{name: "annotations reordered", level: 3, edits: one(3, "11 0 R 13 0 R", "13 0 R 11 0 R"), want: OutcomeUnclear},
		{name: "link leads elsewhere", level: 2, edits: one(15, "[4 0 R/Fit]", "[3 0 R/Fit]"), want: OutcomeForbidden},
	})
}

// TestTagged: the structure tree grows with permitted widgets and annotations.
func TestTagged(t *testing.T) {
	elem := "<</Type/StructElem/S/Form/P 41 0 R/Pg 3 0 R/K<</Type/OBJR/Obj 70 0 R>>>>"
	edits := withField()
	edits[41] = [2]string{"44 0 R]", "44 0 R 73 0 R]"}
	edits[42] = [2]string{"1 44 0 R]", "1 44 0 R 2 73 0 R]"}
	edits[40] = [2]string{"NextKey 2", "NextKey 3"}
	objs := objects{70: field("[0 0 0 0]", "/V 71 0 R", "/StructParent 2"), 71: newSig, 73: elem}
	runCases(t, []changeCase{
		{name: "widget", level: 2, edits: edits, objs: objs, want: OutcomePermitted},
		{name: "widget not permitted", level: 1, edits: edits, objs: objs, want: OutcomeForbidden},
		{name: "placed field signed", level: 2, edits: one(13, "/StructParent 1", "/StructParent 1/V 71 0 R"), objs: objects{71: newSig}, want: OutcomePermitted},
	})
	hides := objects{70: objs[70], 71: newSig, 73: "<</Type/StructElem/S/P/P 41 0 R/Pg 3 0 R/K[0<</Type/OBJR/Obj 70 0 R>>]>>"}
	runCases(t, []changeCase{{name: "widget with page content", level: 3, edits: edits, objs: hides, want: OutcomeForbidden}})
}
