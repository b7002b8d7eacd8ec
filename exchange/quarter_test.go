package exchange

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vanthu/exchange/registry"
)

// TestQuarterReport: on both engines the report has what was exchanged in the
// quarter, by agency and level, beside the quarter before, and nothing of the next.
func TestQuarterReport(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := t.Context()
		for id, level := range map[registry.AgencyID]string{"H03": "province", "H03.01": "department", "H03.02": "department", "H03.03": "department"} {
			a, err := w.reg.Agency(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			a.Level = level
			if err := w.reg.UpdateAgency(ctx, registry.System("test"), *a); err != nil {
				t.Fatal(err)
			}
		}
		w.sent(t, 1, "H03.01")
		w.runLanes(t)
		w.clock.set(time.Date(2026, 4, 1, 8, 0, 0, 0, Vietnam()))
		d := w.sent(t, 2, "H03.01", "H03.02")
		w.runLanes(t)
		if _, err := w.Register(ctx, w.as(clerk, "H03.01"), w.incoming(t, "H03.01", d.ID).ID); err != nil {
			t.Fatal(err)
		}
		w.runLanes(t)
		_, err := w.RegisterPaper(ctx, w.as(clerk, "H03.02"), PaperInput{Type: "CV", Subject: "Về việc gửi bản giấy", SignerName: "Nguyễn Văn A",
			SignerPosition: "Giám đốc", Reason: PaperChoice, Recipients: []registry.AgencyID{"H03.01"}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := w.QuarterReport(ctx, registry.System("test"), "2026Q2", "H03")
		if err != nil {
			t.Fatal(err)
		}
		if r.Total.Out.Population != 2 || r.Total.Out.Electronic != 1 || r.Total.Out.OnTime != 1 || r.Total.In != (Received{Total: 2, Electronic: 2, Signed: 2, Registered: 1}) {
			t.Errorf("total %+v", r.Total)
		}
		if r.Previous.Out.Population != 1 || r.Previous.In.Total != 1 || r.Total.Before == nil || *r.Total.Before != 1 {
			t.Errorf("the quarter before: %+v", r.Previous)
		}
		if len(r.Agencies) != 3 || r.Agencies[0].Code != "H03" || r.Agencies[1].In.Total != 1 || r.Agencies[1].Out.Population != 0 || r.Agencies[2].Out.Rate != 0 {
			t.Errorf("agencies %+v", r.Agencies)
		}
		if len(r.Levels) != 2 || r.Levels[0].Code != "province" || *r.Levels[0].Before != 1 || r.Levels[1].In.Total != 2 || r.Levels[1].Before != nil {
			t.Errorf("levels %+v", r.Levels)
		}
		pages, book := shown(t, "bao-cao-quy", r.Paper())
		all := strings.Join(strings.Fields(strings.Join(pages, " ")), " ")
		for _, want := range []string{"BÁO CÁO", "quý II năm 2026", "Sở Tài chính", "Tổng cộng", "-50,0 điểm", "NGƯỜI LẬP BIỂU", "Chỉ phát hành bản giấy"} {
			if len(pages) > 0 && !strings.Contains(all, want) {
				t.Errorf("%q is not on paper", want)
			}
		}
		if names := strings.Join(book.GetSheetList(), ", "); !strings.HasPrefix(names, "Kết quả, Theo cấp, ") || !strings.Contains(names, "Biểu đồ Theo cấp") {
			t.Errorf("sheets %s", names)
		}
		var csv bytes.Buffer
		if err := r.Table().CSV(&csv); err != nil || !strings.Contains(csv.String(), "\n3,Sở Tài chính,1,0,0,0.0000,,,1,1,1.0000\n") {
			t.Errorf("%s, %v", csv.String(), err)
		}
		mine, err := w.QuarterReport(ctx, w.as(clerk, "H03.01"), "2026Q2", "")
		if err != nil || len(mine.Agencies) != 1 || mine.Total.In.Total != 1 {
			t.Errorf("%+v, %v", mine, err)
		}
		_, err = w.QuarterReport(ctx, registry.System("test"), "2026Q5", "")
		wantKind(t, err, KindInvalid)
	})
}
