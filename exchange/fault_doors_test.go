package exchange_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/console"
	"vanthu/signing"
)

// TestPlantedFaultsAtTheDoors: the rate page of the console and, with VANTHU_SCALE,
// the program vanthu stats name each planted fault with its cause, whose turn it is
// and what mends it, as often as it was planted; the causes add up to the gap; the
// evidence alone gives the same.
func TestPlantedFaultsAtTheDoors(t *testing.T) {
	if os.Getenv("VANTHU_SCALE") == "" {
		p := (*planted)(exchange.PlantFaults(t, ""))
		defer p.Close()
		p.thePage(t)
		return
	}
	program, dir := filepath.Join(t.TempDir(), "vanthu.exe"), filepath.Join(t.TempDir(), "hub")
	run(t, "go", "build", "-o", program, "vanthu/cmd/vanthu")
	run(t, program, "init", dir)
	p := (*planted)(exchange.PlantFaults(t, dir))
	p.thePage(t)
	p.Close()
	stats := []string{"stats", "--data", dir, "--from", p.From.In(exchange.Vietnam()).Format(time.DateOnly), "--to", p.To.In(exchange.Vietnam()).Format(time.DateOnly)}
	p.theProgram(t, run(t, program, stats...))
	var again exchange.Recomputed
	if err := json.Unmarshal(run(t, program, append(stats, "--recompute")...), &again); err != nil || len(again.Differences) > 0 {
		t.Fatalf("recomputed: %v, %v", again.Differences, err)
	}
}

// run runs a program and gives what it prints.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Logf("%s", exit.Stderr)
		}
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return out
}

// causeOf finds a cause in the table by what a planter calls it: unit and code.
func causeOf(t *testing.T, name string) exchange.RateCause {
	t.Helper()
	for _, c := range exchange.RateCauses() {
		if c.Of+" "+c.Cause == name {
			return c
		}
	}
	t.Fatalf("no cause %q", name)
	return exchange.RateCause{}
}

// planted is a hub with planted faults.
type planted exchange.Planted

// theProgram judges what vanthu stats prints.
func (p *planted) theProgram(t *testing.T, out []byte) {
	t.Helper()
	var st exchange.Stats
	if err := json.Unmarshal(out, &st); err != nil {
		t.Fatal(err)
	}
	documents, deliveries := 0, 0
	for _, m := range st.Missing {
		name := m.Of + " " + m.Cause
		want := causeOf(t, name)
		if m.Count != len(p.Found[name]) || m.Text != want.Text || m.TextEN != want.TextEN || m.Owner != want.Owner || m.Side != want.Side || m.Act == "" || m.Act != want.Act {
			t.Errorf("vanthu stats: %+v, planted %d", m, len(p.Found[name]))
		}
		if m.Of == exchange.OfDocument {
			documents += m.Count
		} else {
			deliveries += m.Count
		}
	}
	if len(st.Missing) != len(p.Found) || len(p.Found) < 12 || documents != st.Population-st.Electronic || deliveries != st.Deliveries-st.Exchanged {
		t.Errorf("vanthu stats: %d causes of %d planted, %d documents and %d deliveries of %+v", len(st.Missing), len(p.Found), documents, deliveries, st.Counts)
	}
	t.Logf("vanthu stats: %d documents, %d causes, %d documents and %d deliveries missing", st.Population, len(st.Missing), documents, deliveries)
}

// thePage judges the rate page of the console, as the province's administrator
// sees it.
func (p *planted) thePage(t *testing.T) {
	t.Helper()
	handler, err := console.New(console.Config{Service: p.Service, Registry: p.Registry, Now: p.Now,
		Verify: func(context.Context, io.ReaderAt, int64) (*signing.Report, error) {
			return nil, errors.New("not asked for here")
		}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path string, form url.Values, cookies []*http.Cookie) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		for _, c := range cookies {
			r.AddCookie(c)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	in, _ := ask(http.MethodPost, "/login", url.Values{"login": {"tinh"}, "password": {p.Password}, "next": {"/"}}, nil)
	period := url.Values{"from": {p.From.In(exchange.Vietnam()).Format(time.DateOnly)}, "to": {p.To.In(exchange.Vietnam()).Format(time.DateOnly)}, "lang": {"vi"}}
	res, body := ask(http.MethodGet, "/rate?"+period.Encode(), nil, in.Cookies())
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the rate page: %d after a login with %d", res.StatusCode, in.StatusCode)
	}
	rows := map[string]string{}
	for row := range strings.SplitSeq(body, "<tr>") {
		if _, link, ok := strings.Cut(row, `href="/rate/gap?`); ok {
			link, _, _ = strings.Cut(link, `"`)
			q, err := url.ParseQuery(html.UnescapeString(link))
			if err != nil {
				t.Fatal(err)
			}
			rows[q.Get("of")+" "+q.Get("cause")] = html.UnescapeString(row)
		}
	}
	owners := map[string]string{"clerk": "Văn thư", "leader": "Lãnh đạo", "officer": "Chuyên viên", "administrator": "Quản trị", "": "Hệ thống"}
	units := map[string]string{exchange.OfDocument: "văn bản", exchange.OfDelivery: "lượt gửi"}
	for name, ids := range p.Found {
		c := causeOf(t, name)
		for _, want := range []string{c.Text, c.Act, ">" + owners[string(c.Owner)] + "<", fmt.Sprintf(">%d %s<", len(ids), units[c.Of])} {
			if !strings.Contains(rows[name], want) {
				t.Errorf("the rate page, %s: %q is not in %q", name, want, rows[name])
			}
		}
	}
	if len(rows) != len(p.Found) {
		t.Errorf("the rate page has %d causes, planted were %d", len(rows), len(p.Found))
	}
}
