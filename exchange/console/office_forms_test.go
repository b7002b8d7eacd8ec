package console

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"vanthu/exchange"
)

// TestOfficeForms goes through the forms of the registry office as a browser without scripts does: by the right and the
// wrong role, with what cannot be read, twice.
func TestOfficeForms(t *testing.T) {
	h := newHub(t)
	d := h.draft(t, "Về việc kiểm kê tài sản công", exchange.PriorityNormal, time.Time{})
	t.Run("drafts", func(t *testing.T) { testDraftForms(t, h) })
	h.sent(t, d, "H03.12", "H03.14")
	t.Run("work", func(t *testing.T) { testWorkForms(t, h) })
	t.Run("paper", func(t *testing.T) { testPaperForm(t, h) })
	t.Run("requests", func(t *testing.T) { testRequestForms(t, h, d) })
	t.Run("numbers", func(t *testing.T) { testNumberForms(t, h) })
	t.Run("search and calendar", func(t *testing.T) { testSearchAndCalendar(t, h) })
}

func testDraftForms(t *testing.T, h *hub) {
	d := h.draft(t, "Về việc dự thảo quy chế", exchange.PriorityNormal, time.Time{})
	officer, leader := newVisitor(t, h), newVisitor(t, h)
	officer.login("duc")
	leader.login("hai")
	path := documentURL(d.ID)
	wants(t, leader.post(path+"/return", http.StatusUnprocessableEntity, url.Values{"note": {" "}}), `id="problem"`, `href="#f-return-note"`, `id="e-return-note"`)
	wants(t, leader.post(path+"/comment", http.StatusOK, url.Values{"note": {"Bổ sung\r\ncăn cứ"}}), "Bổ sung căn cứ", "Bản 1")
	wants(t, leader.post(path+"/return", http.StatusOK, url.Values{"note": {"Sai thể thức"}}), "Dự thảo bị trả lại", "Sai thể thức")
	wants(t, officer.get(path+"/revise", http.StatusOK), "Sai thể thức", "Về việc dự thảo quy chế")
	fields := url.Values{"subject": {""}, "type": {"QC"}, "signer": {"Lý Thái Hải"}, "due": {"32/13"}, "priority": {"1"}}
	body := officer.upload(path+"/revise", http.StatusUnprocessableEntity, "pdf", "", nil, fields)
	wants(t, body, `href="#f-revise-subject"`, `href="#f-revise-due"`, `value="32/13"`, `<option value="QC" selected>`)
	fields.Set("subject", "Về việc ban hành quy chế")
	fields.Set("due", "")
	wants(t, officer.upload(path+"/revise", http.StatusOK, "pdf", "", nil, fields), "Đã lưu bản mới", "2 bản dự thảo", "Về việc ban hành quy chế")
	wants(t, officer.get(path+"?lang=en", http.StatusOK), "2 versions", "Given back")
	officer.get(path+"?lang=vi", http.StatusOK)
}

func testWorkForms(t *testing.T, h *hub) {
	clerk, leader, officer := newVisitor(t, h), newVisitor(t, h), newVisitor(t, h)
	clerk.login("lan")
	leader.login("son")
	officer.login("thuy")
	in := incomingURL(h.inbox(t, "lan")[0].ID)
	wants(t, clerk.get(in, http.StatusOK), "Việc tiếp theo", "Đến lượt: Văn thư")
	clerk.post(in+"/register", http.StatusOK, nil)
	thuy, son, lan := string(h.people["thuy"].ID), string(h.people["son"].ID), string(h.people["lan"].ID)
	wants(t, clerk.post(in+"/assign", http.StatusForbidden, url.Values{"person": {thuy}}), `id="problem"`)
	body := leader.post(in+"/assign", http.StatusUnprocessableEntity, url.Values{"person": {""}, "due": {"mai"}, "note": {"Giữ lại câu này"}, "with": {lan}})
	wants(t, body, `href="#f-assign-person"`, `href="#f-assign-due"`, "Giữ lại câu này", `value="`+lan+`" checked`)
	wants(t, leader.post(in+"/assign", http.StatusUnprocessableEntity, url.Values{"person": {thuy}, "note": {strings.Repeat("ơ", 501)}}), "501", "tối đa 500")
	day := time.Now().AddDate(0, 0, 9).In(hanoi)
	body = leader.post(in+"/assign", http.StatusOK, url.Values{"person": {thuy}, "with": {lan, son}, "due": {day.Format(time.DateOnly)}, "note": {"Chủ trì tham mưu"}})
	wants(t, body, "04 Đã phân công", "Chủ trì tham mưu", "phối hợp", day.Format("02/01/2006"))
	wants(t, leader.post(in+"/assign", http.StatusConflict, url.Values{"person": {thuy}}), `id="problem"`) // a second press
	wants(t, officer.get("/tasks", http.StatusOK), "Về việc kiểm kê tài sản công", day.Format("02/01/2006"))
	wants(t, clerk.get("/tasks?view=co", http.StatusOK), "Về việc kiểm kê tài sản công")
	officer.get("/tasks?view=nothing", http.StatusUnprocessableEntity)
	wants(t, clerk.post(in+"/part", http.StatusOK, url.Values{"note": {"Đã rà soát"}}), "Đã báo xong phần phối hợp", "Đã rà soát")
	clerk.post(in+"/part", http.StatusConflict, url.Values{"note": {"lần nữa"}})
	wants(t, officer.post(in+"/opinion", http.StatusOK, url.Values{"kind": {"proposal"}, "note": {"Đề xuất gia hạn"}}), "Đề xuất gia hạn")
	clerk.post(in+"/opinion", http.StatusUnprocessableEntity, url.Values{"kind": {"instruction"}, "note": {"x"}})
	wants(t, leader.post(in+"/reassign", http.StatusOK, url.Values{"person": {son}, "note": {"Đi công tác"}}), "Đã chuyển người chủ trì")
	wants(t, leader.post(in+"/finish", http.StatusOK, url.Values{"note": {"Xong"}}), "06 Hoàn thành")
	officer.post(in+"/reopen", http.StatusForbidden, url.Values{"note": {"x"}})
	wants(t, leader.post(in+"/reopen", http.StatusOK, url.Values{"note": {"Bổ sung số liệu"}}), "Đã mở lại việc")
	if got := leader.get(in+"/slip/pdf", http.StatusOK); !strings.HasPrefix(got, "%PDF-") {
		t.Error("the handling slip is no PDF")
	}
	wants(t, leader.get("/registers/followup", http.StatusOK), "Đang xử lý lại")
	if got := leader.get("/books/followup/csv", http.StatusOK); !strings.Contains(got, "Số đến") {
		t.Errorf("follow-up register as CSV: %.80q", got)
	}
}

func testPaperForm(t *testing.T, h *hub) {
	clerk, leader := newVisitor(t, h), newVisitor(t, h)
	clerk.login("lan")
	leader.login("son")
	first := h.inbox(t, "lan")[0]
	fields := url.Values{"from": {"H03"}, "code": {first.Code}, "type": {first.Type}, "subject": {first.Subject}, "issued": {first.Issued.In(hanoi).Format(time.DateOnly)}, "channel": {"paper"}}
	wants(t, clerk.upload("/scan", http.StatusUnprocessableEntity, "pdf", "", nil, fields), `href="#f-scan-pdf"`, first.Subject)
	scan := letter(t, "bản giấy", 1)
	leader.upload("/scan", http.StatusForbidden, "pdf", "a.pdf", scan, fields)
	body := clerk.upload("/scan", http.StatusOK, "pdf", "a.pdf", scan, fields)
	wants(t, body, "Đã vào sổ văn bản giấy", "bản giấy", "Có phải cùng một văn bản?")
	wants(t, clerk.get("/alike", http.StatusOK), first.Subject)
	compare := regexp.MustCompile(`href="(/incoming/[^"]+/compare/[^"]+)"`).FindStringSubmatch(body)[1]
	wants(t, clerk.get(compare, http.StatusOK), "bản giấy", "điện tử")
	apart := regexp.MustCompile(`action="(/incoming/[^"]+/apart)"`).FindStringSubmatch(body)[1]
	other := regexp.MustCompile(`name="other" value="([^"]+)"`).FindStringSubmatch(body)[1]
	wants(t, clerk.post(apart, http.StatusUnprocessableEntity, url.Values{"other": {other}}), `href="#f-apart-note"`)
	wants(t, clerk.post(apart, http.StatusOK, url.Values{"other": {other}, "note": {"Hai bản khác nhau"}}), "Đã ghi nhận")
	wants(t, clerk.get("/alike", http.StatusOK), "Không có cặp nào")
}

func testRequestForms(t *testing.T, h *hub, d *exchange.Document) {
	clerk, officer := newVisitor(t, h), newVisitor(t, h)
	clerk.login("mai")
	officer.login("duc")
	path := documentURL(d.ID)
	fields := url.Values{"subject": {d.Subject + " (đính chính)"}, "priority": {"1"}, "due": {""}, "note": {"Sai trích yếu"}}
	officer.post(path+"/update", http.StatusForbidden, fields)
	wants(t, clerk.post(path+"/update", http.StatusUnprocessableEntity, url.Values{"subject": {"x"}, "note": {""}}), `href="#f-update-note"`, ">x</textarea>")
	wants(t, clerk.post(path+"/update", http.StatusOK, fields), "Đã gửi yêu cầu cập nhật", "(đính chính)")
	wants(t, clerk.get(path+"/replace", http.StatusOK), "Chọn văn bản")
	wants(t, clerk.post(path+"/replace", http.StatusUnprocessableEntity, url.Values{"note": {"x"}}), `href="#f-replace-replacement"`)
}

func testNumberForms(t *testing.T, h *hub) {
	clerk, leader := newVisitor(t, h), newVisitor(t, h)
	clerk.login("mai")
	leader.login("hai")
	leader.post("/numbers", http.StatusForbidden, url.Values{"series": {"outgoing"}, "count": {"1"}, "note": {"x"}})
	body := clerk.get("/numbers", http.StatusOK)
	series := regexp.MustCompile(`<select id="f-reserve-series"[^>]*><option value="([^"]+)"`).FindStringSubmatch(body)[1]
	wants(t, clerk.post("/numbers", http.StatusUnprocessableEntity, url.Values{"series": {series}, "count": {"ba"}, "note": {"Nghị quyết"}}), `href="#f-reserve-count"`, "Nghị quyết")
	body = clerk.post("/numbers", http.StatusOK, url.Values{"series": {series}, "count": {"2"}, "note": {"Nghị quyết kỳ họp"}})
	wants(t, body, "Đã giữ số", "Nghị quyết kỳ họp")
	number := regexp.MustCompile(`name="number" value="(\d+)"`).FindStringSubmatch(body)[1]
	year := time.Now().In(hanoi).Format("2006")
	wants(t, clerk.post("/numbers/cancel", http.StatusOK, url.Values{"series": {series}, "year": {year}, "number": {number}, "note": {"Thôi không ban hành"}}), "Đã hủy số đang giữ")
	clerk.post("/numbers/cancel", http.StatusConflict, url.Values{"series": {series}, "year": {year}, "number": {number}, "note": {"lần nữa"}})
	wants(t, clerk.post("/numbers/series", http.StatusOK, url.Values{"code": {"ban-chi-dao"}, "name": {"Ban Chỉ đạo 389"}, "symbol": {"BCĐ"}}), "Ban Chỉ đạo 389")
	leader.post("/numbers/series", http.StatusForbidden, url.Values{"code": {"x-y"}, "name": {"X"}})
}

func testSearchAndCalendar(t *testing.T, h *hub) {
	clerk, leader := newVisitor(t, h), newVisitor(t, h)
	clerk.login("mai")
	leader.login("hai")
	wants(t, clerk.get("/search?q=kiem+ke+tai+san", http.StatusOK), "<mark>", "kiểm kê", "Văn bản đi")
	wants(t, clerk.get("/search?q=khongcogica", http.StatusOK), "Không có kết quả phù hợp")
	clerk.get("/search?q=a&after=b", http.StatusUnprocessableEntity)
	wants(t, clerk.post("/calendar", http.StatusUnprocessableEntity, url.Values{"day": {"2027-02-30"}, "working": {"off"}, "name": {"Tết"}}), `href="#f-calendar-day"`, `value="Tết"`)
	wants(t, clerk.post("/calendar", http.StatusOK, url.Values{"day": {"2027-02-08"}, "working": {"off"}, "name": {"Tết Nguyên đán"}}), "08/02/2027", "Tết Nguyên đán")
	leader.post("/calendar", http.StatusForbidden, url.Values{"day": {"2027-02-09"}, "working": {"off"}, "name": {"Tết"}})
	wants(t, clerk.post("/calendar/2027-02-08/remove", http.StatusOK, nil), "Đã bỏ ngày")
	if got := clerk.get("/rate/quarter/csv?quarter="+clerkQuarter(), http.StatusOK); !strings.Contains(got, "Tỷ lệ điện tử") {
		t.Errorf("quarterly report: %.80q", got)
	}
}

func clerkQuarter() string {
	now := time.Now().In(hanoi)
	return now.Format("2006") + "Q" + string(rune('1'+(int(now.Month())-1)/3))
}
