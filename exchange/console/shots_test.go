package console

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestSampleShots takes pictures of every screen with sample views into the folder named by VANTHU_SHOTS, so that a
// person can look at them; without that variable it has nothing to do.
func TestSampleShots(t *testing.T) {
	dir := os.Getenv("VANTHU_SHOTS")
	if dir == "" {
		return
	}
	a, err := newAssets()
	if err != nil {
		t.Fatal(err)
	}
	srv := &server{assets: a, voices: testVoices(t), files: http.StripPrefix("/static/", http.FileServerFS(a.files))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/", srv.static)
	mux.HandleFunc("GET /s/{lang}/{screen}", func(w http.ResponseWriter, r *http.Request) {
		v := srv.voices[r.PathValue("lang")]
		name := r.PathValue("screen")
		p := &page{Title: name, Body: sampleBodies(v)[name][0], Langs: []langLink{{Code: "vi", Label: "VI", URL: "/", Current: true}, {Code: "en", Label: "EN", URL: "/"}}}
		if name != "login" && name != "error" {
			p.Actor = &actorView{Name: "Hoàng Thị Mai", Roles: "Văn thư", Agency: "Ủy ban nhân dân tỉnh Bắc Kạn", CanDraft: true}
			p.Nav = []navItem{{Label: v.say("nav.home"), URL: "/"}, {Label: v.say("nav.documents"), Group: true}, {Label: v.say("nav.incoming"), URL: "/incoming", Current: true}}
		}
		html, err := v.render(name, p)
		if err != nil {
			t.Error(err)
		}
		securityHeaders(w.Header())
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = html.WriteTo(w)
	})
	hs := httptest.NewServer(mux)
	defer hs.Close()
	for _, name := range screens() {
		for _, size := range []string{"1366,900", "390,844"} {
			shoot(t, hs.URL+"/s/vi/"+name, filepath.Join(dir, fmt.Sprintf("sample-%s-%s.png", name, size[:3])), size)
		}
	}
}

// shoot lets chromium take one picture of a page.
func shoot(t *testing.T, url, file, size string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+t.TempDir(), "--window-size="+size, "--screenshot="+file, url).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v %s", url, err, out)
	}
}
