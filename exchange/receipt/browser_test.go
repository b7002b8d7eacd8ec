package receipt_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vanthu/exchange/receipt"
	"vanthu/exchange/receipt/page"
	"vanthu/signing"
)

// tab is a browser without a network, with the verification page opened as a file.
type tab struct {
	t   *testing.T
	ctx context.Context
}

const patience = 2 * time.Minute

func openPage(t *testing.T, file string, width, height int) *tab {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			program = p
			break
		}
	}
	if program == "" {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "browser") {
			t.Fatal("no browser found, and VANTHU_TEST_REQUIRE asks for one")
		}
		t.Skip("no browser found; VANTHU_TEST_REQUIRE=browser makes this a failure")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WindowSize(width, height), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("lang", "vi"), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND"), chromedp.Flag("proxy-server", "127.0.0.1:9")) // no name resolves, no proxy answers
	allocated, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancelTab := chromedp.NewContext(allocated)
	t.Cleanup(cancelTab)
	ctx, cancelTime := context.WithTimeout(ctx, 5*patience)
	t.Cleanup(cancelTime)
	b := &tab{t, ctx}
	if err := chromedp.Do(ctx, chromedp.Navigate("file://"+file)); err != nil {
		t.Fatalf("opening the page: %v", err)
	}
	return b
}

func (b *tab) ask(expression string) string {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return got
}

// judge drops a bundle into the page and gives the verdict and the member that it names.
func (b *tab) judge(file, clock string) (verdict, member string) {
	b.t.Helper()
	b.ask(fmt.Sprintf(`window.vanthuClock = %q; document.getElementById("result").dataset.verdict = ""; document.getElementById("bundle").value = ""; ""`, clock))
	if err := chromedp.Do(b.ctx, chromedp.SetUploadFiles(chromedp.CSS("#bundle"), []string{file})); err != nil {
		b.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); verdict == ""; time.Sleep(20 * time.Millisecond) {
		verdict = b.ask(`document.getElementById("result").dataset.verdict || ""`)
		if time.Now().After(deadline) {
			b.t.Fatalf("no verdict: %s", b.ask(`document.body.innerText`))
		}
	}
	return verdict, b.ask(`[...document.querySelectorAll("#result .mark:not(.ok)")].map(m => m.parentElement.querySelector("code")?.textContent ?? "")[0] ?? ""`)
}

func (b *tab) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("VANTHU_SHOTS")
	if dir == "" {
		return
	}
	data, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(90))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), data, 0o600)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// TestPageAgreesWithTheCommand: opened from a file, without a network, the page says of whole, changed and old bundles
// what Verify says.
func TestPageAgreesWithTheCommand(t *testing.T) {
	o := newOffice(t)
	in := o.input(t)
	data := o.bundle(t, in, o.tsa)
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	html, err := page.HTML(o.trust.Roots, in.Statement.Log.Key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b := openPage(t, write("verify.html", html), 1366, 900)
	good := write("good.asice", data)
	for name, clock := range map[string]string{"now": "", "in 20 years": time.Now().AddDate(20, 0, 0).UTC().Format(time.RFC3339)} {
		if verdict, member := b.judge(good, clock); verdict != string(signing.TotalPassed) || member != "" {
			t.Errorf("%s: %s, %q", name, verdict, member)
		}
	}
	for _, want := range []string{"05/QĐ-UBND", "số đến 7, người thực hiện Lê Văn Thư", "Biên bản hợp lệ"} {
		if text := b.ask(`document.body.innerText`); !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	b.picture("verify-1366")
	b.ask(`document.getElementById("lang").click(); ""`)
	if text := b.ask(`document.body.innerText`); !strings.Contains(text, "The bundle is genuine") || strings.Contains(text, "Biên bản hợp lệ") {
		t.Errorf("in English:\n%s", text)
	}
	random := rand.New(rand.NewPCG(5, 6))
	for range 12 {
		changed, _, _ := receipt.Repack(t, data, random.IntN(1000), random.IntN(1<<30))
		if random.IntN(2) == 0 {
			changed = append([]byte{}, data...)
			changed[random.IntN(len(changed))] ^= 1 << random.IntN(8)
		}
		want := verify(t, changed, receipt.VerifyOptions{Trust: o.trust})
		verdict, member := b.judge(write("changed.asice", changed), "")
		if c := failure(want); verdict != string(want.Verdict) || member != c.Member {
			t.Errorf("the page says %s of %q, the command %s of %q", verdict, member, want.Verdict, c.Member)
		}
	}
	b.picture("verify-changed-1366")
	html, err = page.HTML(nil, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	phone := openPage(t, write("bare.html", html), 390, 844)
	if verdict, _ := phone.judge(good, ""); verdict != string(signing.Indeterminate) {
		t.Errorf("a page without roots: %s", verdict)
	}
	phone.picture("verify-390")
	if phone.ask(`String(document.documentElement.scrollWidth <= document.documentElement.clientWidth)`) != "true" {
		t.Error("the page is wider than a phone")
	}
}
