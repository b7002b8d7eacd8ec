package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// TestOffice goes through the pages of the registry office with plain links and forms, then looks at them in a browser
// that is told what happens.
func TestOffice(t *testing.T) {
	h := newHub(t)
	d := h.draft(t, "Về việc thu hồi thử", exchange.PriorityUrgent, time.Now().Add(72*time.Hour))
	h.signed(t, d, exchange.StepSeal)
	t.Run("simulation", func(t *testing.T) { testSimulation(t, h, d) })
	_, _, err := h.service.Send(t.Context(), h.actor(t, "mai"), d.ID, []registry.AgencyID{"H03.12", "H03.14"})
	check(t, err)
	h.until(t, "arrival", func() bool { return len(h.inbox(t, "lan")) == 1 })
	t.Run("recall", func(t *testing.T) { testRecall(t, h, d) })
	t.Run("webhooks", func(t *testing.T) { testWebhookPages(t, h) })
	t.Run("books and gaps", func(t *testing.T) { testBooksAndGaps(t, h) })
	t.Run("live", func(t *testing.T) { testPagesFollow(t, h) })
}

func testSimulation(t *testing.T, h *hub, d *exchange.Document) {
	clerk := newVisitor(t, h)
	clerk.login("mai")
	body := clerk.post(documentURL(d.ID)+"/simulate", http.StatusOK, url.Values{"to": {"H03.12", "H03.14", "H77"}})
	wants(t, body, "2 nơi sẽ nhận được", "1 nơi không gửi được", "Sở Nội vụ tỉnh Bắc Kạn", "H77")
	wants(t, clerk.get(documentURL(d.ID)+"/send?to=H03.12", http.StatusOK), "Gửi thử")
	wants(t, clerk.post(documentURL(d.ID)+"/simulate", http.StatusUnprocessableEntity, nil), "Chọn ít nhất một nơi nhận")
}

func testRecall(t *testing.T, h *hub, d *exchange.Document) {
	clerk, other := newVisitor(t, h), newVisitor(t, h)
	clerk.login("mai")
	other.login("lan")
	in := incomingURL(h.inbox(t, "lan")[0].ID)
	other.get(in+"/pdf", http.StatusOK) // opened: its clerk has to be asked
	wants(t, clerk.post(documentURL(d.ID)+"/recall", http.StatusUnprocessableEntity, nil), `id="problem"`)
	wants(t, clerk.post(documentURL(d.ID)+"/recall", http.StatusOK, url.Values{"to": {"H03.12", "H03.14"}, "note": {"gửi nhầm bản"}}), "Đã gửi yêu cầu thu hồi", "gửi nhầm bản")
	h.until(t, "the question", func() bool { return strings.Contains(other.get(in, http.StatusOK), "gửi nhầm bản") })
	wants(t, other.get(in, http.StatusOK), "Nơi gửi yêu cầu thu hồi", "Đồng ý")
	wants(t, other.post(in+"/agree", http.StatusOK, nil), "Đã đồng ý")
	h.until(t, "the answer", func() bool {
		body := clerk.get(documentURL(d.ID), http.StatusOK)
		return strings.Contains(body, exchange.FateAgreed.In("vi")) && strings.Contains(body, exchange.FateWithdrawn.In("vi"))
	})
	wants(t, clerk.get(documentURL(d.ID)+"?lang=en", http.StatusOK), exchange.FateAgreed.In("en"), "Signed receipt")
	clerk.get(documentURL(d.ID)+"?lang=vi", http.StatusOK)
}

func testWebhookPages(t *testing.T, h *hub) {
	var calls, refuse atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if refuse.Load() != 0 {
			http.Error(w, "máy nhận <đang> bảo trì", http.StatusServiceUnavailable)
			return
		}
		calls.Add(1)
	}))
	defer receiver.Close()
	clerk, admin := newVisitor(t, h), newVisitor(t, h)
	clerk.login("lan")
	admin.login("mai")
	wants(t, clerk.get("/webhooks", http.StatusForbidden), "quản trị")
	wants(t, admin.get("/webhooks", http.StatusOK), "Chưa có webhook nào")
	wants(t, admin.post("/webhooks", http.StatusUnprocessableEntity, url.Values{"url": {"ftp://x"}}), "https://", `value="ftp://x"`)
	body := admin.post("/webhooks", http.StatusOK, url.Values{"url": {receiver.URL}, "description": {"Một cửa"}, "events": {"webhook.test, document.*"}})
	wants(t, body, "whsec_", "Đang hoạt động")
	path := regexp.MustCompile(`action="(/webhooks/[^"/]+)/test"`).FindStringSubmatch(body)[1]
	if strings.Contains(admin.get(path, http.StatusOK), "whsec_") {
		t.Error("the secret is shown a second time")
	}
	wants(t, admin.post(path+"/test", http.StatusOK, nil), "Đã xếp thông báo thử")
	h.until(t, "the test message", func() bool { return calls.Load() == 1 })
	h.until(t, "its log", func() bool { return strings.Contains(admin.get(path, http.StatusOK), "200") })
	wants(t, admin.post(path+"/replay", http.StatusOK, url.Values{"from": {"1"}}), "Đã xếp lại")
	h.until(t, "the replay", func() bool { return calls.Load() == 2 })
	refuse.Store(1)
	admin.post(path+"/test", http.StatusOK, nil)
	h.until(t, "the failure", func() bool {
		return strings.Contains(admin.get(path, http.StatusOK), "máy nhận &lt;đang&gt; bảo trì")
	})
	wants(t, admin.get("/webhooks?lang=en", http.StatusOK), "Failing")
	admin.get("/webhooks?lang=vi", http.StatusOK)
	wants(t, admin.post(path+"/skip", http.StatusOK, url.Values{"from": {"2"}}), "Đã bỏ qua")
	wants(t, admin.post(path+"/pause", http.StatusOK, nil), "Tạm dừng")
	wants(t, admin.post(path+"/resume", http.StatusOK, nil), "Đang hoạt động")
	wants(t, admin.post(path+"/secret", http.StatusOK, nil), "whsec_", "Khóa cũ còn ký đến")
	wants(t, admin.post(path+"/change", http.StatusOK, url.Values{"url": {receiver.URL}, "description": {"Đổi tên"}}), "Đổi tên", "Mọi sự kiện")
	admin.post(path+"/nothing", http.StatusNotFound, nil)
}

func testBooksAndGaps(t *testing.T, h *hub) {
	clerk := newVisitor(t, h)
	clerk.login("mai")
	body := clerk.get("/registers/outgoing", http.StatusOK)
	for format, head := range map[string]string{"pdf": "%PDF-", "xlsx": "PK"} {
		file := regexp.MustCompile(`href="(/books/out/` + format + `[^"]*)"`).FindStringSubmatch(body)[1]
		if got := clerk.get(strings.ReplaceAll(file, "&amp;", "&"), http.StatusOK); !strings.HasPrefix(got, head) {
			t.Errorf("%s begins with %q", file, got[:min(len(got), 8)])
		}
	}
	clerk.get("/books/out/doc", http.StatusNotFound)
	h.until(t, "the rate", func() bool { return strings.Contains(clerk.get("/rate", http.StatusOK), "/rate/gap?") })
	link := regexp.MustCompile(`href="(/rate/gap[^"]*)"`).FindStringSubmatch(clerk.get("/rate", http.StatusOK))[1]
	wants(t, clerk.get(strings.ReplaceAll(link, "&amp;", "&"), http.StatusOK), "01/UBND", "Sở Nội vụ tỉnh Bắc Kạn")
	wants(t, clerk.get("/overdue", http.StatusOK), "Không có việc nào quá hạn")
	wants(t, clerk.get("/", http.StatusOK), "Quá hạn")
}

// testPagesFollow looks at a list while something arrives: it shows without anybody asking.
func testPagesFollow(t *testing.T, h *hub) {
	b := newBrowser(t, h.server.URL, 1366, 900)
	b.login("lan")
	b.open("/incoming")
	b.wants("#list", "Về việc thu hồi thử")
	d := h.draft(t, "Về việc tự cập nhật danh sách", exchange.PriorityExpress, time.Time{})
	h.sent(t, d, "H03.12")
	b.wants("#list", "Về việc tự cập nhật danh sách")
	b.logout()
	b.login("mai")
	hooks, err := h.hooks.List(t.Context(), h.actor(t, "mai"), "")
	check(t, err)
	recalled := h.documents(t)[len(h.documents(t))-1]
	gap := "/rate/gap?" + url.Values{"of": {exchange.OfDelivery}, "cause": {"recalled"}}.Encode()
	for _, width := range []int{1366, 390} {
		b.tag = strconv.Itoa(width)
		b.do("look", chromedp.EmulateViewport(int64(width), 900))
		for _, page := range []struct{ path, name string }{{"/", "home"}, {"/webhooks", "webhooks"}, {hookURL(hooks[0].ID), "webhook"}, {"/overdue", "overdue"},
			{gap, "gap"}, {"/rate", "rate"}, {documentURL(recalled.ID), "document"}} {
			b.open(page.path)
			b.narrow(page.path, width)
			b.accessible(page.path)
			b.picture("office-" + page.name)
		}
	}
	b.calm()
}
