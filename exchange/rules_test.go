package exchange

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vanthu/exchange/registry"
)

// TestDocumentTransitions walks every pair of state and act.
func TestDocumentTransitions(t *testing.T) {
	want := map[State]map[Act]State{
		StateDraft:      {ActInitial: StateInitialled, ActApprove: StateApproved},
		StateInitialled: {ActApprove: StateApproved},
		StateApproved:   {ActNumber: StateApproved, ActSeal: StateSealed, ActCancelNumber: StateCancelled},
		StateSealed:     {ActNumber: StateSealed, ActSend: StateSent, ActCancelNumber: StateCancelled},
		StateSent:       {},
		StateCancelled:  {},
	}
	acts := []Act{ActDraft, ActInitial, ActApprove, ActNumber, ActSeal, ActSend, ActCancelNumber, ActRegister, ActFinish}
	for _, from := range States() {
		for _, a := range acts {
			d := Document{State: from}
			err := d.advance(a)
			to, ok := want[from][a]
			switch {
			case ok && (err != nil || d.State != to):
				t.Errorf("%s, %s: %s, %v; want %s", from, a, d.State, err, to)
			case !ok && (KindOf(err) != KindConflict || d.State != from):
				t.Errorf("%s, %s: %s, %v; want a conflict", from, a, d.State, err)
			}
		}
	}
}

// TestStatusTransitions walks every pair of status and act.
func TestStatusTransitions(t *testing.T) {
	want := map[Status]map[Act]Status{
		StatusNone:         {},
		StatusArrived:      {ActAgreeUpdate: StatusArrived, ActDeclineUpdate: StatusArrived, ActRegister: StatusRegistered, ActRefuse: StatusRefused, ActRecall: StatusRecall},
		StatusRefused:      {},
		StatusRegistered:   {ActAgreeUpdate: StatusRegistered, ActDeclineUpdate: StatusRegistered, ActAssign: StatusAssigned, ActProcess: StatusProcessing, ActFinish: StatusFinished, ActRecall: StatusRecall},
		StatusAssigned:     {ActAgreeUpdate: StatusAssigned, ActDeclineUpdate: StatusAssigned, ActProcess: StatusProcessing, ActFinish: StatusFinished, ActRecall: StatusRecall},
		StatusProcessing:   {ActAgreeUpdate: StatusProcessing, ActDeclineUpdate: StatusProcessing, ActFinish: StatusFinished, ActRecall: StatusRecall},
		StatusFinished:     {},
		StatusRecall:       {ActAgreeRecall: StatusRecallAgreed, ActDeclineRecall: StatusRecallDenied},
		StatusRecallAgreed: {},
		StatusRecallDenied: {ActAgreeUpdate: StatusRecallDenied, ActDeclineUpdate: StatusRecallDenied, ActRecall: StatusRecall, ActRegister: StatusRegistered, ActAssign: StatusAssigned, ActProcess: StatusProcessing, ActFinish: StatusFinished},
	}
	acts := []Act{ActRegister, ActRefuse, ActAssign, ActProcess, ActFinish, ActRecall, ActAgreeRecall, ActDeclineRecall, ActAgreeUpdate, ActDeclineUpdate, ActSend}
	for _, from := range append(Statuses(), StatusNone) {
		for _, a := range acts {
			got, ok := next(statusTransitions(), from, a)
			if w, wok := want[from][a]; ok != wok || got != w {
				t.Errorf("%q, %s: %q %v, want %q %v", from, a, got, ok, w, wok)
			}
		}
		if from.Final() && len(want[from]) != 0 {
			t.Errorf("%s is final but has acts", from)
		}
	}
}

// TestAlwaysSomebodysTurn: whatever acts are done in whatever order, a document
// is at an end or some role has an act (or the hub has work).
func TestAlwaysSomebodysTurn(t *testing.T) {
	everyone := registry.Actor{Agency: "H03", Roles: registry.Roles()}
	rapid.Check(t, func(t *rapid.T) {
		d := Document{Agency: "H03", State: StateDraft}
		for d.State != StateSent && d.State != StateCancelled {
			acts := d.Acts(everyone)
			if len(acts) == 0 {
				t.Fatalf("nobody can go on from %+v", d)
			}
			a := rapid.SampledFrom(acts).Draw(t, "act")
			if a == ActNumber {
				d.Number = 1
			}
			if err := d.advance(a); err != nil {
				t.Fatalf("%s is offered for %s and refused: %v", a, d.State, err)
			}
			if a == ActSeal && d.Number == 0 && !slices.Contains(d.Acts(everyone), ActSend) {
				t.Fatal("a sealed document without a number cannot be sent")
			}
		}
		in := Incoming{Agency: "H03", Status: StatusArrived}
		for step := 0; !in.Status.Final() && step < 50; step++ {
			acts := in.Acts(everyone)
			if rapid.Bool().Draw(t, "recall") {
				if to, ok := next(statusTransitions(), in.Status, ActRecall); ok {
					in.Status = to
					continue
				}
			}
			if len(acts) == 0 {
				t.Fatalf("nobody can go on from %+v", in)
			}
			a := rapid.SampledFrom(acts).Draw(t, "act")
			to, ok := next(statusTransitions(), in.Status, a)
			if !ok {
				t.Fatalf("%s is offered for %s", a, in.Status)
			}
			if in.Status = to; a == ActRegister {
				if in.ArrivalNumber != 0 {
					t.Fatal("registered twice")
				}
				in.ArrivalNumber = 1
			}
			if (to == StatusAssigned || to == StatusProcessing || to == StatusFinished) && in.ArrivalNumber == 0 {
				t.Fatalf("%s without an arrival number", to)
			}
		}
	})
}

// TestRoles says who may do what, for every role and act.
func TestRoles(t *testing.T) {
	want := map[Act]string{
		ActDraft: "leader officer", ActInitial: "leader officer", ActApprove: "leader", ActNumber: "clerk", ActSeal: "clerk", ActSend: "clerk",
		ActCancelNumber: "clerk", ActRegister: "clerk", ActRefuse: "clerk", ActAssign: "leader", ActProcess: "leader officer", ActFinish: "leader officer",
	}
	for a, roles := range want {
		for _, r := range registry.Roles() {
			err := allowed(registry.Actor{Roles: []registry.Role{r}}, a)
			if ok := strings.Contains(roles, string(r)); ok != (err == nil) || (!ok && KindOf(err) != KindForbidden) {
				t.Errorf("%s by %s: %v", a, r, err)
			}
		}
		if err := allowed(registry.System("test"), a); err != nil {
			t.Errorf("%s by the system: %v", a, err)
		}
	}
}

func TestCodes(t *testing.T) {
	for n, want := range map[int]string{0: "", 1: "01/QĐ-UBND", 9: "09/QĐ-UBND", 10: "10/QĐ-UBND", 1234: "1234/QĐ-UBND"} {
		if got := FormatCode(n, "QĐ-UBND"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for s, want := range map[string]string{
		"15/QĐ-BNV": "15 0 QĐ-BNV", "05/BNV-VP": "5 0 BNV-VP", "28/2018/QĐ-TTg": "28 2018 QĐ-TTg", "03/SY-UBND": "3 0 SY-UBND", "12/UBND": "12 0 UBND",
		"07/TTr-SNV": "7 0 TTr-SNV", "5/QĐ-UBND": "", "05/qđ-ubnd": "", "05/QĐ UBND": "", "05/QĐ-": "", "QĐ-UBND": "", "05/QĐ--UBND": "", "05/QĐ-UBND\nX": "",
	} {
		n, y, notation, err := ParseCode(s)
		got := ""
		if err == nil {
			got = strings.Join([]string{itoa(n), itoa(y), notation}, " ")
		}
		if got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 999_999).Draw(t, "n")
		notation := rapid.SampledFrom([]string{"QĐ-UBND", "TTr-SNV", "UBND-VX", "QyĐ-BNV", "SNV"}).Draw(t, "notation")
		got, _, back, err := ParseCode(FormatCode(n, notation))
		if err != nil || got != n || back != notation {
			t.Fatalf("%d %s: %d %s %v", n, notation, got, back, err)
		}
	})
}

func itoa(n int) string {
	if n == 0 {
		return "0"
	}
	return strings.TrimPrefix(strings.TrimSuffix(FormatCode(n, "A"), "/A"), "0")
}

// TestPlaceAndDate: zeros before days below 10 and the months 1 and 2 only.
func TestPlaceAndDate(t *testing.T) {
	for in, want := range map[string]string{
		"2020-03-05T01:00:00Z": "Bắc Kạn, ngày 05 tháng 3 năm 2020",
		"2020-01-15T01:00:00Z": "Bắc Kạn, ngày 15 tháng 01 năm 2020",
		"2020-02-09T01:00:00Z": "Bắc Kạn, ngày 09 tháng 02 năm 2020",
		"2020-12-31T17:00:00Z": "Bắc Kạn, ngày 01 tháng 01 năm 2021",
	} {
		at, err := time.Parse(time.RFC3339, in)
		if err != nil {
			t.Fatal(err)
		}
		if got := PlaceAndDate("Bắc Kạn", at); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestDocTypes(t *testing.T) {
	seen := map[string]bool{}
	for _, typ := range DocTypes() {
		if seen[typ.Code] || typ.Name == "" || typ.NameEN == "" {
			t.Errorf("%+v", typ)
		}
		seen[typ.Code] = true
		if notation := defaultNotation(typ, "UBND"); checkNotation(typ, notation) != nil {
			t.Errorf("%s: default notation %q is refused", typ.Code, notation)
		}
	}
	if len(seen) != 29 {
		t.Errorf("%d types, NĐ 30/2020 Điều 7 has 29", len(seen))
	}
	if err := checkNotation(DocTypes()[1], "CV-UBND"); KindOf(err) != KindInvalid {
		t.Errorf("QĐ with the symbol of another type: %v", err)
	}
}

func TestEventTexts(t *testing.T) {
	e := Event{Kind: "receipt.accepted", Params: map[string]string{"from": "H03.01", "from_name": "Sở Nội vụ", "status": "03", "arrival_number": "7"}}
	if got := e.In("vi"); got != "Sở Nội vụ: Đã tiếp nhận, số đến 7" {
		t.Errorf("%q", got)
	}
	if got := e.In("en"); got != "Sở Nội vụ: Registered, arrival number 7" {
		t.Errorf("%q", got)
	}
	e = Event{Kind: "receipt.accepted", Params: map[string]string{"from": "H03.01", "status": "02", "note": "Sai nơi nhận"}}
	if got := e.In("vi"); got != "H03.01: Từ chối tiếp nhận – Sai nơi nhận" {
		t.Errorf("%q", got)
	}
	e = Event{Kind: "document.signed", Params: map[string]string{"step": "seal", "signer": "UBND tỉnh"}}
	if got := e.In("en"); got != "Signed (agency seal): UBND tỉnh" {
		t.Errorf("%q", got)
	}
}
