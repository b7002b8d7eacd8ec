package exchange

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// approvedAs makes a draft of a type and series and has it approved.
func (w *world) approvedAs(t testing.TB, in DraftInput) *Document {
	t.Helper()
	in.Subject, in.SignerName, in.PDF = "Về việc đánh số", "Nguyễn Văn A", bytes.NewReader(samplePDF(1))
	d, err := w.Draft(context.Background(), w.as(officer, "H03"), in)
	if err != nil {
		t.Fatal(err)
	}
	return w.sign(t, d, StepApprove)
}

// TestSeries: types, boards, copies and legal documents have numbers of their own
// where the law or the agency says so, and share one series elsewhere.
func TestSeries(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		a := w.as(admin, "H03")
		for what, c := range map[string]Series{
			"no code": {Name: "x"}, "capital": {Code: "BCD", Name: "x"}, "reserved": {Code: "lane", Name: "x"}, "no name": {Code: "bcd"},
			"secret": {Code: "mat", Name: "Văn bản mật"}, "marked secret": {Code: "x", Name: "x", Secret: true}, "no such type": {Code: "x", Name: "x", Types: []string{"ZZ"}},
			"copies": {Code: "x", Name: "x", Types: []string{"SY"}}, "bad symbol": {Code: "x", Name: "x", Symbol: "b c"},
		} {
			if err := w.SetSeries(ctx, a, c); KindOf(err) != KindInvalid {
				t.Errorf("%s: %v", what, err)
			}
		}
		wantKind(t, w.SetSeries(ctx, w.as(clerk, "H03"), Series{Code: "bcd", Name: "x"}), KindForbidden)
		for _, c := range []Series{
			{Code: "cong-van", Name: "Công văn", Types: []string{"CV", "CV"}},
			{Code: "bcd", Name: "Ban chỉ đạo", Symbol: "BCĐ"},
			{Code: "trung", Name: "Trùng ký hiệu"},
		} {
			if err := w.SetSeries(ctx, a, c); err != nil {
				t.Fatal(err)
			}
		}
		wantKind(t, w.SetSeries(ctx, a, Series{Code: "cv2", Name: "x", Types: []string{"CV"}}), KindConflict)
		var got []string
		for _, in := range []DraftInput{
			{Type: "QĐ"}, {Type: "TB"}, {Type: "CV"}, {Type: "CV", Notation: "UBND-VX"}, {Type: "TB", Series: "bcd"}, {Type: "L.QĐ"}, {Type: "L.NQ"}, {Type: "L.QĐ"},
			{Type: "SY", Details: Details{CopyOf: "05/QĐ-UBND"}}, {Type: "SL", Details: Details{CopyOf: "28/2018/QĐ-TTg"}},
		} {
			d, err := w.Number(ctx, w.as(clerk, "H03"), w.approvedAs(t, in).ID)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, d.Code())
		}
		if want := "01/QĐ-UBND 02/TB-UBND 01/UBND 02/UBND-VX 01/TB-BCĐ 01/2026/QĐ-UBND 01/2026/NQ-UBND 02/2026/QĐ-UBND 01/SY-UBND 02/SL-UBND"; strings.Join(got, " ") != want {
			t.Errorf("%s\nwant %s", strings.Join(got, " "), want)
		}
		// A series without a symbol of its own would make the same number and symbol twice.
		twice := w.approvedAs(t, DraftInput{Type: "QĐ", Series: "trung"})
		_, err := w.Number(ctx, w.as(clerk, "H03"), twice.ID)
		wantKind(t, err, KindConflict)
		if err := w.SetSeries(ctx, a, Series{Code: "bcd", Name: "Ban chỉ đạo", Retired: true}); err != nil {
			t.Fatal(err)
		}
		_, err = w.Draft(ctx, w.as(officer, "H03"), DraftInput{Type: "TB", Series: "bcd", Subject: "x", SignerName: "y", PDF: bytes.NewReader(samplePDF(1))})
		wantKind(t, err, KindInvalid)
		list, err := w.SeriesList(ctx, w.as(clerk, "H03"))
		if err != nil || len(list) != 5 || list[0].Last != 2 || list[1].Last != 2 || !list[2].Retired {
			t.Errorf("%+v, %v", list, err)
		}
		register, err := w.OutgoingRegister(ctx, w.as(clerk, "H03"), 2026)
		if err != nil || len(register) != 10 {
			t.Errorf("%d lines, %v", len(register), err)
		}
		w.clean(t)
	})
}

// TestReserved: numbers kept for documents to come; two clerks on one, the wrong
// year, and a number given up.
func TestReserved(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		by := w.as(clerk, "H03")
		_, err := w.Reserve(ctx, w.as(officer, "H03"), "", 1, "x")
		wantKind(t, err, KindForbidden)
		for _, n := range []int{0, mostReserved + 1} {
			_, err = w.Reserve(ctx, by, "", n, "x")
			wantKind(t, err, KindInvalid)
		}
		_, err = w.Reserve(ctx, by, "", 1, " ")
		wantKind(t, err, KindInvalid)
		_, err = w.Reserve(ctx, by, "nope", 1, "x")
		wantKind(t, err, KindInvalid)
		kept, err := w.Reserve(ctx, by, "", 3, "Kỳ họp thứ 5")
		if err != nil || len(kept) != 3 || kept[2].Number != 3 {
			t.Fatalf("%+v, %v", kept, err)
		}
		next, err := w.Number(ctx, by, w.approvedAs(t, DraftInput{Type: "QĐ"}).ID)
		if err != nil || next.Number != 4 {
			t.Fatalf("%+v, %v", next, err)
		}
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 2 {
			d := w.approvedAs(t, DraftInput{Type: "QĐ"})
			wg.Go(func() {
				switch _, err := w.NumberReserved(ctx, by, d.ID, 2); {
				case err == nil:
					won.Add(1)
				case KindOf(err) != KindConflict:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d clerks have number 2", won.Load())
		}
		if err := w.CancelReserved(ctx, by, "outgoing", 2026, 3, "Không ban hành"); err != nil {
			t.Fatal(err)
		}
		wantKind(t, w.CancelReserved(ctx, by, "outgoing", 2026, 3, "Lần nữa"), KindConflict)
		wantKind(t, w.CancelReserved(ctx, by, "outgoing", 2026, 2, "Đã dùng"), KindConflict)
		w.clock.set(time.Date(2026, 12, 31, 17, 0, 0, 0, time.UTC)) // midnight in Vietnam
		_, err = w.NumberReserved(ctx, by, w.approvedAs(t, DraftInput{Type: "QĐ"}).ID, 1)
		wantKind(t, err, KindConflict)
		open, err := w.ReservedNumbers(ctx, by)
		if err != nil || len(open) != 1 || open[0].String() != "01/2026" {
			t.Errorf("%+v, %v", open, err)
		}
		register, err := w.OutgoingRegister(ctx, by, 2026)
		if err != nil || len(register) != 4 || !register[0].Reserved || register[1].Code != "02/QĐ-UBND" || !register[2].Cancelled || register[2].Note != "Không ban hành" {
			t.Errorf("%+v, %v", register, err)
		}
		w.clean(t)
	})
}

// TestNumbersAtScale: 64 clerks at once in 40 series, no gap and no double;
// 100,000 numbers with VANTHU_SCALE, fewer without.
func TestNumbersAtScale(t *testing.T) {
	total := 2_000
	if os.Getenv("VANTHU_SCALE") != "" {
		total = 100_000
	}
	const clerks, series = 64, 40
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		ids := w.manyApproved(t, total, series)
		next := make(chan DocumentID)
		given := make([]map[string]int, clerks)
		var wg sync.WaitGroup
		begun := time.Now()
		for i := range given {
			given[i] = map[string]int{}
			wg.Go(func() {
				for id := range next {
					d, err := w.Number(ctx, w.as(clerk, "H03"), id)
					if err != nil {
						t.Error(err)
						continue
					}
					given[i][fmt.Sprintf("%s/%d", d.Series, d.Number)]++
				}
			})
		}
		for _, id := range ids {
			next <- id
		}
		close(next)
		wg.Wait()
		t.Logf("%d numbers in %s", total, time.Since(begun))
		all := map[string]int{}
		for _, m := range given {
			for k, n := range m {
				all[k] += n
			}
		}
		for i := range series {
			for n := 1; n <= total/series; n++ {
				if k := fmt.Sprintf("so-%02d/%d", i, n); all[k] != 1 {
					t.Fatalf("%s given %d times", k, all[k])
				}
			}
		}
		if len(all) != total {
			t.Errorf("%d numbers of %d", len(all), total)
		}
		err := w.checkNumbers(ctx, func(p string) { t.Error(p) })
		if err != nil {
			t.Fatal(err)
		}
	})
}

// manyApproved writes approved documents without signing each, spread over series
// with symbols of their own.
func (w *world) manyApproved(t *testing.T, total, series int) []DocumentID {
	t.Helper()
	ctx := context.Background()
	pattern := w.approvedAs(t, DraftInput{Type: "QĐ"})
	for i := range series {
		if err := w.SetSeries(ctx, w.as(admin, "H03"), Series{Code: fmt.Sprintf("so-%02d", i), Name: fmt.Sprintf("Sổ %d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	ids := make([]DocumentID, 0, total)
	for len(ids) < total {
		err := w.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			for range min(1000, total-len(ids)) {
				d := *pattern
				n := len(ids) % series
				d.ID, d.Series, d.Notation = DocumentID(newID()), fmt.Sprintf("so-%02d", n), fmt.Sprintf("QĐ-S%d", n)
				if err := insertDocument(ctx, tx, &d); err != nil {
					return err
				}
				ids = append(ids, d.ID)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

func TestSymbols(t *testing.T) {
	for code, want := range map[string]Symbol{
		"15/QĐ-BNV":         {15, 0, "QĐ", "BNV", ""},
		"05/BNV-VP":         {5, 0, "", "BNV", "VP"},
		"12/UBND":           {12, 0, "", "UBND", ""},
		"28/2018/QĐ-TTg":    {28, 2018, "L.QĐ", "TTg", ""},
		"30/2020/NĐ-CP":     {30, 2020, "L.NĐ", "CP", ""},
		"07/TTr-SNV":        {7, 0, "TTr", "SNV", ""},
		"03/SY-UBND":        {3, 0, "SY", "UBND", ""},
		"03/TrS-UBND":       {3, 0, "TrS", "UBND", ""},
		"09/QyĐ-BNV-VP":     {9, 0, "QyĐ", "BNV-VP", ""},
		"7816/VPCP-TTĐT":    {7816, 0, "", "VPCP", "TTĐT"},
		"01/2022/UBTVQH-XV": {1, 2022, "", "UBTVQH", "XV"},
	} {
		got, err := ParseSymbol(code)
		if err != nil || got != want || got.String() != code {
			t.Errorf("%s: %+v (%s), %v", code, got, got, err)
		}
	}
	seen := map[string]bool{}
	for _, typ := range AllTypes() {
		if seen[typ.Code] || typ.Name == "" || typ.NameEN == "" || typ.Legal != isLegal(typ.Code) {
			t.Errorf("%+v", typ)
		}
		seen[typ.Code] = true
	}
}

// FuzzParseSymbol: whatever is accepted prints and reads back as the same.
func FuzzParseSymbol(f *testing.F) {
	for _, s := range []string{"15/QĐ-BNV", "28/2018/QĐ-TTg", "05/BNV-VP", "012/A", "99999999999999999999/A", "05/QĐ-", "05//QĐ", "05/\u0110-A", "05/QĐ-UBND\r\nX"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseSymbol(s)
		if err != nil {
			if KindOf(err) != KindInvalid {
				t.Fatal(err)
			}
			return
		}
		if strings.ContainsAny(s[:len(strings.TrimSpace(s))], "\r\n") {
			t.Fatalf("%q is accepted", s)
		}
		if got.Number == 0 {
			return // 00/…: read, and refused where a number is needed
		}
		again, err := ParseSymbol(got.String())
		if err != nil || again != got {
			t.Fatalf("%q is %+v, printed %q, read %+v, %v", s, got, got.String(), again, err)
		}
	})
}

// TestFutureDates: what says it was issued tomorrow is refused, by the day in
// Vietnam.
func TestFutureDates(t *testing.T) {
	now := time.Date(2026, 3, 5, 16, 59, 0, 0, time.UTC) // 23:59 in Vietnam
	if err := checkIssued(vn(2026, 3, 5, 0, 0), now); err != nil {
		t.Error(err)
	}
	wantKind(t, checkIssued(vn(2026, 3, 6, 0, 0), now), KindInvalid)
	if err := checkIssued(vn(2026, 3, 6, 0, 0), now.Add(time.Minute)); err != nil {
		t.Error(err)
	}
	w := newWorld(t, worldOptions{})
	d := w.sent(t, 1, "H03.01")
	env := d.envelope("H03.02")
	env.Issued = env.Issued.AddDate(0, 0, 1)
	_, err := w.ReceiveStored(context.Background(), registry.AgencyID("H03"), env, d.PDF)
	wantKind(t, err, KindInvalid)
}
