package console

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"vanthu/exchange"
)

// browser drives one tab of a real browser and collects what it complains about.
type browser struct {
	t          *testing.T
	ctx        context.Context
	base       string
	mu         sync.Mutex
	complaints []string
	shots      string // folder for pictures, "" = none
	shot       int
	tag        string
}

// newBrowser starts chromium. Where there is none the test fails if VANTHU_TEST_REQUIRE asks for a browser, else it is skipped.
func newBrowser(t *testing.T, base string, width, height int) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "browser") {
			t.Fatal("no browser found, and VANTHU_TEST_REQUIRE asks for one")
		}
		t.Skip("no browser found; VANTHU_TEST_REQUIRE=browser makes this a failure")
	}
	b := &browser{t: t, base: base, shots: os.Getenv("VANTHU_SHOTS"), tag: fmt.Sprint(width)}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WindowSize(width, height), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "vi"),
		chromedp.Flag("hide-scrollbars", false)) // the bars of a desk take room: what is drawn must leave it to them
	allocated, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancelTab := chromedp.NewContext(allocated, chromedp.WithListener(b.listen))
	t.Cleanup(cancelTab)
	ctx, cancelTime := context.WithTimeout(ctx, 10*patience)
	t.Cleanup(cancelTime)
	b.ctx = ctx
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as the context of the first call
		t.Fatalf("starting the browser: %v", err)
	}
	return b
}

// listen keeps what the page's author must know: errors of scripts, and everything the Content-Security-Policy refused.
func (b *browser) listen(event any) {
	text := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Source == log.EntrySourceSecurity || e.Entry.Source == log.EntrySourceJavascript ||
			strings.Contains(e.Entry.Text, "Content Security Policy") {
			text = fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		text = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
	}
	if text != "" {
		b.mu.Lock()
		b.complaints = append(b.complaints, text)
		b.mu.Unlock()
	}
}

// patience is how long anything awaited may take. It is met on the busiest machine and costs nothing on a quiet one.
const patience = time.Minute

func (b *browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.fail("%s: %v", what, err)
	}
}

// fail ends the test with a picture of what stands in the window.
func (b *browser) fail(format string, args ...any) {
	b.t.Helper()
	b.picture("failed")
	address, _ := ask[string](b, "location.href")
	b.t.Fatalf("%s (at %s)", fmt.Sprintf(format, args...), address)
}

// ask evaluates one expression in the page.
func ask[T any](b *browser, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience/4)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// await asks until the page says yes. A page that is on its way out does not answer: then the next one is asked.
func (b *browser) await(what, condition string) {
	b.t.Helper()
	b.awaitText(what, `(`+condition+`) ? "" : "not yet"`)
}

// awaitText asks until the page has nothing to object.
func (b *browser) awaitText(what, objection string) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(25 * time.Millisecond) {
		said, err := ask[string](b, objection)
		if err == nil && said == "" {
			return
		}
		if time.Now().After(deadline) {
			b.fail("%s: %s %v", what, said, err)
		}
	}
}

// open goes to a page. A page that is still coming when another is asked for makes the browser give up one of the two
// (ERR_ABORTED), and it may be the new one: then it is asked for again.
func (b *browser) open(path string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.Navigate(b.base+path))
	for err != nil && strings.Contains(err.Error(), "ERR_ABORTED") && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
		err = chromedp.Do(ctx, chromedp.Navigate(b.base+path))
	}
	if err != nil {
		b.fail("opening %s: %v", path, err)
	}
}

// tap clicks what can be seen. Finding, looking whether anything lies over it, and the click are one step of the page:
// a list that is brought up to date in between cannot swallow the click.
func (b *browser) tap(selector string) {
	b.t.Helper()
	b.awaitText("clicking "+selector, fmt.Sprintf(`(selector => {
		const target = document.querySelector(selector);
		if (!target || document.readyState !== "complete") return "not there";
		target.scrollIntoView({ block: "center", behavior: "instant" });
		const box = target.getClientRects()[0];
		if (!box) return "not to be seen";
		const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
		if (!top || !(target.contains(top) || top.contains(target))) return "covered";
		window.clicked = selector;
		target.click();
		return "";
	})(%q)`, selector))
}

// press clicks what leads to another page and waits for that page.
func (b *browser) press(selector string) {
	b.t.Helper()
	b.tap(selector)
	b.await("the page behind "+selector, `window.clicked === undefined && document.readyState === "complete"`)
	status, err := ask[int](b, `performance.getEntriesByType("navigation")[0].responseStatus`)
	if err != nil || status >= 400 {
		b.fail("pressing %s: status %d: %s %v", selector, status, b.text("main"), err)
	}
}

func (b *browser) fill(selector, text string) {
	b.t.Helper()
	b.do("filling "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (b *browser) text(selector string) string {
	b.t.Helper()
	b.await("reading "+selector, fmt.Sprintf("document.querySelector(%q)", selector))
	s, err := ask[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
	if err != nil {
		b.fail("reading %s: %v", selector, err)
	}
	return s
}

// wants waits until a part of the page says something.
func (b *browser) wants(selector, text string) {
	b.t.Helper()
	b.awaitText("waiting for "+text, fmt.Sprintf(`((selector, text) => {
		const said = Array.from(document.querySelectorAll(selector), e => e.innerText);
		return said.some(s => s.includes(text)) ? "" : JSON.stringify(said);
	})(%q, %q)`, selector, text))
}

func (b *browser) login(name string) {
	b.t.Helper()
	b.open("/login")
	b.fill("#f-login", name)
	b.fill("#f-password", testPassword)
	b.press("main button")
	b.do("the home page", chromedp.WaitVisible(chromedp.CSS("#main .queue")))
}

func (b *browser) logout() {
	b.t.Helper()
	b.press("form[action='/logout'] button")
	b.do("the page of the log-in", chromedp.WaitVisible(chromedp.CSS("#f-login")))
}

// picture keeps a screenshot where VANTHU_SHOTS names a folder.
func (b *browser) picture(name string) {
	if b.shots == "" {
		return
	}
	b.shot++
	take := chromedp.CaptureScreenshot()
	if strings.HasPrefix(name, "whole") {
		take = chromedp.FullScreenshot(100)
	}
	png, err := chromedp.Run(b.ctx, take)
	if err == nil {
		err = os.WriteFile(filepath.Join(b.shots, fmt.Sprintf("%s-%02d-%s.png", b.tag, b.shot, name)), png, 0o600)
	}
	if err != nil {
		b.t.Logf("picture %s: %v", name, err)
	}
}

// seen waits until pdf.js has drawn the first page.
func (b *browser) seen() {
	b.t.Helper()
	b.do("drawing the PDF", chromedp.WaitVisible(chromedp.CSS("canvas[data-drawn]")))
}

func (b *browser) calm() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the browser complains: %s", c)
	}
}

// TestMainJobInTheBrowser does the main job as officials do: log in, upload, three signatures, number, send, register
// at the recipient, and the rate.
func TestMainJobInTheBrowser(t *testing.T) {
	h := newHub(t)
	b := newBrowser(t, h.server.URL, 1366, 900)
	file := filepath.Join(t.TempDir(), "công văn.pdf")
	check(t, os.WriteFile(file, letter(t, "tăng cường gửi, nhận văn bản điện tử", 2), 0o600))

	b.open("/")
	b.picture("login")
	b.login("duc")
	b.picture("home-officer")
	b.press(".shell .nav .btn")
	b.do("choosing the file", chromedp.SetUploadFiles(chromedp.CSS("#f-pdf"), []string{file}))
	b.seen()
	b.fill("#f-subject", "V/v tăng cường gửi, nhận văn bản điện tử")
	b.picture("compose")
	b.press("form[action='/compose'] .btn:not(.plain)")
	b.seen()
	b.wants(".chips", "Dự thảo")
	b.signStep("Đã ký nháy", "initialled")
	address, err := chromedp.Run(b.ctx, chromedp.Location())
	check(t, err)
	document := strings.Split(strings.TrimPrefix(address, b.base), "?")[0]
	b.logout()

	b.login("hai")
	b.picture("home-leader")
	b.open(document)
	b.signStep("Đã ký duyệt", "approved")
	b.logout()

	b.login("mai")
	b.open(document)
	b.press(".actionbar form[action$='/number'] .btn")
	b.wants(".chips", "01/UBND")
	b.signStep("Đã ký số cơ quan", "sealed")
	b.press(".actionbar a.btn")
	b.fill("#f-q", "so noi vu")
	b.tap("input[value='H03.12']")
	b.picture("send")
	b.press(".actionbar button.btn:not(.plain)")
	b.wants(".note", "Đã gửi")
	b.do("arrival", chromedp.WaitVisible(chromedp.Search("//*[@id='deliveries']//*[contains(text(),'01 Đã đến')]")))
	b.seen()
	b.picture("sent-document")
	b.do("the last page", chromedp.Evaluate[chromedp.Void]("document.querySelector('[data-pdf]').scrollTop = 1e6"))
	b.await("drawing the last page", "document.querySelector('[data-pdf] canvas:last-of-type').dataset.drawn")
	b.picture("last-page")
	b.logout()

	b.login("lan")
	b.press("#main .queue[href^='/incoming']")
	b.press("a.subject")
	b.seen()
	b.wants(".verdict .sentence", "có chữ ký hợp lệ")
	b.picture("arrived")
	b.press(".actionbar form[action$='/register'] .btn")
	b.wants(".arrival", "01")
	b.seen()
	b.picture("registered")
	b.open("/registers/incoming")
	b.wants("table", "01/UBND")
	b.logout()

	b.login("mai")
	b.until(document, "#deliveries", "03")
	b.seen()
	b.picture("whole-document")
	b.open("/rate")
	b.wants(".figure .big", "100%")
	b.picture("rate")
	b.calm()
}

// signStep gives the passphrase and signs.
func (b *browser) signStep(state, picture string) {
	b.t.Helper()
	b.fill(".actionbar input[name=passphrase]", testPassphrase)
	b.tap(".actionbar .look summary")
	b.picture("signing-" + picture)
	b.press(".actionbar form[action$='/sign'] .btn")
	b.wants(".chips", state)
	b.seen()
	b.picture(picture)
}

// until opens a page again and again until a part of it says what is awaited.
func (b *browser) until(path, selector, text string) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		b.open(path)
		if strings.Contains(b.text(selector), text) {
			return
		}
	}
	b.fail("%s of %s never said %q", selector, path, text)
}

// TestPagesInEveryLook opens every page on a phone, on a desk, and dark in English: nothing may be wider than the
// window, nothing refused by the policy.
func TestPagesInEveryLook(t *testing.T) {
	h := newHub(t)
	h.fill(t)
	pages := []string{"/", "/incoming", "/outgoing", "/sent", "/compose", "/registers/outgoing", "/registers/incoming", "/rate", "/check",
		"/agencies", "/people", "/account", "/webhooks", "/overdue", "/nowhere", "/registers/followup", "/tasks", "/alike", "/scan", "/numbers",
		"/calendar", "/search?q=mua+lu", "/search"}
	for i, d := range h.documents(t) {
		pages = append(pages, "/documents/"+string(d.ID))
		if i == 0 {
			pages = append(pages, "/documents/"+string(d.ID)+"/revise")
		}
	}
	b := newBrowser(t, h.server.URL, 1366, 900)
	for _, look := range []look{{"phone", 390, 844, "vi", "light"}, {"desk", 1366, 900, "vi", "light"}, {"dark", 1366, 900, "en", "dark"}} {
		b.tag = look.name
		b.do("look", chromedp.EmulateViewport(int64(look.width), int64(look.height)), prefer(look.preferred))
		b.login("mai")
		b.open("/?lang=" + look.language)
		for _, p := range pages {
			b.open(p)
			b.narrow(p, look.width)
			b.accessible(p)
			b.picture("page" + strings.NewReplacer("/", "-", "?", "-").Replace(strings.Split(p, "-")[0]))
		}
		b.filters()
		b.logout()
		b.turned(look)
		b.logout()
	}
	b.calm()
}

// look is a window and its reader.
type look struct {
	name                string
	width, height       int
	language, preferred string
}

// narrow tells whether a page is wider than its window.
func (b *browser) narrow(page string, width int) {
	b.t.Helper()
	b.await("the letters of "+page, `document.readyState === "complete" && document.fonts.status === "loaded"`)
	wide, err := ask[int](b, "document.documentElement.scrollWidth")
	check(b.t, err)
	if wide > width {
		b.t.Errorf("%s is %d pixels wide in a window of %d", page, wide, width)
	}
}

// turned opens the arrived document and turns the window: the page of the PDF is fitted anew.
func (b *browser) turned(look look) {
	b.t.Helper()
	b.login("lan")
	b.open("/?lang=" + look.language)
	b.press("#main .queue[href^='/incoming']")
	b.press("a.subject")
	b.seen()
	b.fits("as opened")
	b.picture("incoming-document")
	b.do("turning the window", chromedp.EmulateViewport(int64(look.height), int64(look.width)))
	b.fits("turned")
	b.do("turning it back", chromedp.EmulateViewport(int64(look.width), int64(look.height)))
	b.fits("turned back")
}

// fits waits until a page of the PDF can be seen from edge to edge without moving it.
func (b *browser) fits(when string) {
	b.t.Helper()
	b.awaitText(b.tag+" "+when+": the page fits the viewer", `(() => {
		const box = document.querySelector("[data-pdf]"), page = box.querySelector("canvas");
		const outer = box.getBoundingClientRect(), inner = page.getBoundingClientRect();
		const whole = inner.left >= outer.left && inner.right <= outer.left + box.clientWidth && box.scrollWidth <= box.clientWidth;
		const filled = inner.width > 0.8 * Math.min(box.clientWidth, 1000);
		return whole && filled ? "" : JSON.stringify({ outer, inner, client: box.clientWidth, scroll: box.scrollWidth });
	})()`)
}

// filters types into the search box of a list: htmx exchanges the rows and the address without a reload.
func (b *browser) filters() {
	b.t.Helper()
	b.open("/outgoing")
	b.fill("#f-q", "mua lu")
	b.await("one row left", "document.querySelectorAll('#list tbody tr').length === 1 && location.search.includes('mua')")
	b.wants("#list", "thiệt hại do mưa lũ")
}

// accessible runs axe-core where VANTHU_AXE names its script (npm package axe-core, axe.min.js).
func (b *browser) accessible(page string) {
	b.t.Helper()
	name := os.Getenv("VANTHU_AXE")
	if name == "" {
		return
	}
	script, err := os.ReadFile(name)
	check(b.t, err)
	b.do("loading axe", chromedp.Evaluate[chromedp.Void](string(script)+";void 0"))
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`axe.run({runOnly:["wcag2a","wcag2aa","wcag21a","wcag21aa","wcag22aa"]}).then(r =>
		r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + " " + n.html.slice(0, 120))))`, chromedp.EvalAwaitPromise))
	check(b.t, err)
	for _, f := range found {
		b.t.Errorf("%s %s: %s", b.tag, page, f)
	}
}

// prefer makes the page believe that its reader likes light or dark.
func prefer(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
}

func (h *hub) documents(t *testing.T) []exchange.Document {
	t.Helper()
	page, err := h.service.Documents(t.Context(), h.actor(t, "mai"), exchange.ListFilter{})
	check(t, err)
	return page.Items
}

// fill brings the sample province to life: documents in every state, some answered, one refused.
func (h *hub) fill(t *testing.T) {
	t.Helper()
	soon := time.Now().AddDate(0, 0, 5)
	h.draft(t, "V/v chuẩn bị nội dung họp giao ban tháng 12", exchange.PriorityNormal, time.Time{})
	h.signed(t, h.draft(t, "V/v góp ý dự thảo Quy chế công tác văn thư, lưu trữ", exchange.PriorityNormal, soon), exchange.StepInitial)
	h.signed(t, h.draft(t, "V/v báo cáo tình hình thiệt hại do mưa lũ", exchange.PriorityExpress, soon), exchange.StepSeal)
	first := h.draft(t, "V/v tăng cường gửi, nhận văn bản điện tử giữa các cơ quan hành chính nhà nước trên địa bàn tỉnh", exchange.PriorityUrgent, soon)
	h.sent(t, first, "H03.12", "H03.14", "H03.31")
	second := h.draft(t, "V/v rà soát danh mục thủ tục hành chính", exchange.PriorityNormal, time.Time{})
	h.sent(t, second, "H03.12", "H03.15")
	ctx := t.Context()
	lan := h.actor(t, "lan")
	for _, in := range h.inbox(t, "lan") {
		if in.Document == second.ID {
			_, err := h.service.Register(ctx, lan, in.ID)
			check(t, err)
			_, err = h.service.Assign(ctx, h.actor(t, "son"), in.ID, h.people["thuy"].ID, "Chủ trì rà soát, báo cáo Giám đốc trước ngày 28.")
			check(t, err)
		}
	}
	for _, in := range h.inbox(t, "binh") {
		_, err := h.service.Refuse(ctx, h.actor(t, "binh"), in.ID, "Không thuộc thẩm quyền giải quyết của Sở Tài chính.")
		check(t, err)
	}
}

func (h *hub) inbox(t *testing.T, login string) []exchange.Incoming {
	t.Helper()
	page, err := h.service.Incomings(t.Context(), h.actor(t, login), exchange.IncomingFilter{})
	check(t, err)
	return page.Items
}
