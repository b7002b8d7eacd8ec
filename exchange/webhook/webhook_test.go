package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// TestReceiverThatFailsStallsAndComesBackHasEveryEventOnce lets eight writers make events while the receiver refuses,
// stalls, breaks the connection and takes a message without saying so, and the hub is restarted in the middle.
func TestReceiverThatFailsStallsAndComesBackHasEveryEventOnce(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		const writers, perWriter = 8, 12
		release := make(chan struct{})
		receiver := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) bool {
			switch {
			case n < 5:
				w.WriteHeader(http.StatusServiceUnavailable)
				return false
			case n == 5: // stalls: no answer before the hub gives up
				select {
				case <-r.Context().Done():
				case <-release:
				}
				return false
			case n%7 == 6: // takes it and breaks the connection: the hub must send it again
				panic(http.ErrAbortHandler)
			case n%11 == 7: // takes it and says that it did not
				w.WriteHeader(http.StatusInternalServerError)
				return true
			}
			return true
		})
		h := newHub(t, postgres, func(c *Config) { c.Timeout = 500 * time.Millisecond })
		t.Cleanup(func() { close(release) })
		s, _ := h.subscribe(receiver.URL, "test.*")
		var writing sync.WaitGroup
		for i := range writers {
			writing.Go(func() {
				for _, name := range names(strconv.Itoa(i), perWriter) {
					h.happen("H99", "test.made", name)
				}
			})
		}
		writing.Wait()
		eventually(t, "some arrived", func() bool { _, taken := receiver.all(); return len(taken) >= 10 })
		h.close()
		h.open()
		eventually(t, "nothing waits", func() bool { return h.get(s.ID).Waiting == 0 })

		var want []string
		for after := int64(0); ; {
			list, err := h.service.Announcements(t.Context(), h.admin, after, 200)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			for _, a := range list {
				if a.Seq != after+1 {
					t.Fatalf("event %d follows %d", a.Seq, after)
				}
				if after = a.Seq; a.Kind == "test.made" {
					want = append(want, a.Subject)
				}
			}
		}
		if len(want) != writers*perWriter {
			t.Fatalf("%d events, want %d", len(want), writers*perWriter)
		}
		if got := receiver.subjects(t); !slices.Equal(got, want) {
			t.Fatalf("in effect the receiver has %d events %v\nthe agency's order is %v", len(got), got, want)
		}
		calls, _ := receiver.all()
		t.Logf("%d events in %d calls", len(want), len(calls))
		attempts, err := h.hooks.Attempts(t.Context(), h.admin, s.ID, "", 200)
		if err != nil {
			t.Fatal(err)
		}
		var failed int
		for _, a := range attempts {
			if a.Status/100 != 2 {
				failed++
			}
			if a.Status == 0 && a.Error == "" {
				t.Errorf("an attempt without an answer says no reason: %+v", a)
			}
		}
		if failed == 0 || len(attempts) < len(want) {
			t.Errorf("the log has %d attempts, %d of them failed", len(attempts), failed)
		}
	})
}

// verified checks a call by the specification, with code of this test alone.
func verified(t *testing.T, c call, secret string) bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", c.id, c.timestamp, c.body)
	return slices.Contains(strings.Fields(c.signature), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func TestTwoSecretsSignWhileTheyOverlap(t *testing.T) {
	receiver := newReceiver(t, nil)
	h := newHub(t, false, nil)
	s, first := h.subscribe(receiver.URL, "test.made")
	send := func(subject string) call {
		t.Helper()
		h.happen("H99", "test.made", subject)
		eventually(t, "arrived", func() bool { got := receiver.subjects(t); return len(got) > 0 && got[len(got)-1] == subject })
		_, taken := receiver.all()
		return taken[len(taken)-1]
	}
	if c := send("một"); !verified(t, c, first) || len(strings.Fields(c.signature)) != 1 {
		t.Errorf("signature %q", c.signature)
	}
	_, second, err := h.hooks.Rotate(t.Context(), h.admin, s.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if c := send("hai"); !verified(t, c, first) || !verified(t, c, second) {
		t.Errorf("while both are in force: signature %q", c.signature)
	}
	_, third, err := h.hooks.Rotate(t.Context(), h.admin, s.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	if c := send("ba"); verified(t, c, first) || verified(t, c, second) || !verified(t, c, third) {
		t.Errorf("after a change at once: signature %q", c.signature)
	}
	if _, _, err := h.hooks.Rotate(t.Context(), h.admin, s.ID, 8*24*time.Hour); exchange.KindOf(err) != exchange.KindInvalid {
		t.Errorf("a week and a day: %v", err)
	}
	// Neither the database nor the log knows a secret.
	h.close()
	for _, secret := range []string{first, second, third} {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{secret, strings.TrimPrefix(secret, "whsec_"), string(raw)} {
			if strings.Contains(h.log.String(), text) {
				t.Error("a secret stands in the log")
			}
			files, err := filepath.Glob(filepath.Join(h.dir, "vanthu.db*"))
			if err != nil || len(files) == 0 {
				t.Fatalf("database files: %v %v", files, err)
			}
			for _, name := range files {
				data, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(data), text) {
					t.Errorf("a secret stands in %s", filepath.Base(name))
				}
			}
		}
	}
	h.open()
}

// TestForeignVerifierAcceptsTheSignature hands what arrived to the Standard Webhooks project's own library for Python.
func TestForeignVerifierAcceptsTheSignature(t *testing.T) {
	python := os.Getenv("VANTHU_TEST_STANDARDWEBHOOKS")
	if python == "" {
		if slices.Contains(strings.Fields(os.Getenv("VANTHU_TEST_REQUIRE")), "standardwebhooks") {
			t.Fatal("VANTHU_TEST_STANDARDWEBHOOKS must name a python that has the package standardwebhooks")
		}
		t.Skip("no python with the package standardwebhooks: set VANTHU_TEST_STANDARDWEBHOOKS")
	}
	receiver := newReceiver(t, nil)
	h := newHub(t, false, nil)
	s, first := h.subscribe(receiver.URL, "test.made")
	_, second, err := h.hooks.Rotate(t.Context(), h.admin, s.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	h.happen("H99", "test.made", "Tờ trình số 7/TTr-UBND “khẩn”")
	eventually(t, "arrived", func() bool { _, taken := receiver.all(); return len(taken) == 1 })
	_, taken := receiver.all()
	const program = `
import json, sys
from standardwebhooks import Webhook, WebhookVerificationError
c = json.load(sys.stdin)
h = {"webhook-id": c["id"], "webhook-timestamp": c["timestamp"], "webhook-signature": c["signature"]}
for secret in c["secrets"]:
    got = Webhook(secret).verify(c["body"].encode(), h)
    print(got["type"], got["data"]["subject"])
for body, secret in [(c["body"] + " ", c["secrets"][0]), (c["body"], c["other"])]:
    try:
        Webhook(secret).verify(body.encode(), h)
        print("accepted what is false")
    except WebhookVerificationError:
        print("refused")
`
	input, err := json.Marshal(map[string]any{"id": taken[0].id, "timestamp": taken[0].timestamp, "signature": taken[0].signature,
		"body": string(taken[0].body), "secrets": []string{first, second}, "other": newSecret()})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), python, "-c", program)
	command.Stdin = strings.NewReader(string(input))
	command.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	line := "test.made Tờ trình số 7/TTr-UBND “khẩn”\n"
	if want := line + line + "refused\nrefused\n"; string(out) != want {
		t.Errorf("the foreign verifier says %q, want %q", out, want)
	}
}

func TestLongFailureDisablesAndResumeGoesOn(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		var mu sync.Mutex
		status := http.StatusBadGateway
		set := func(s int) { mu.Lock(); status = s; mu.Unlock() }
		receiver := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			w.WriteHeader(status)
			_, _ = w.Write([]byte("không\x00 <b>được</b>\n" + strings.Repeat("dài ", 4000)))
			return status == http.StatusOK
		})
		h := newHub(t, postgres, func(c *Config) { c.Schedule = []time.Duration{time.Millisecond, 2 * time.Millisecond} })
		s, _ := h.subscribe(receiver.URL, "test.made")
		want := names("a", 3)
		for _, name := range want {
			h.happen("H99", "test.made", name)
		}
		eventually(t, "disabled", func() bool { return h.get(s.ID).State == StateDisabled })
		got := h.get(s.ID)
		if got.Reason != "HTTP 502" || got.Failing.IsZero() || got.Waiting != 3 {
			t.Errorf("disabled: %+v", got)
		}
		list, err := h.service.Announcements(t.Context(), h.admin, 0, 200)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(list, func(a exchange.Announcement) bool { return a.Kind == "webhook.disabled" })
		if at < 0 {
			t.Fatal("nobody was told")
		}
		notice := list[at]
		if notice.Kind != "webhook.disabled" || notice.Params["attempts"] != "3" || !strings.Contains(notice.In("vi"), "HTTP 502") {
			t.Errorf("the notice is %+v: %s", notice, notice.In("vi"))
		}
		attempts, err := h.hooks.Attempts(t.Context(), h.admin, s.ID, "", 0)
		if err != nil || len(attempts) != 3 {
			t.Fatalf("%d attempts, %v", len(attempts), err)
		}
		if a := attempts[0].Answer; !strings.HasPrefix(a, "không <b>được</b> dài dài") || len([]rune(a)) > answerKept {
			t.Errorf("the answer in the log is %q", a)
		}
		// What happens meanwhile gathers; the receiver comes back.
		h.happen("H99", "test.made", "b")
		set(http.StatusOK)
		if _, err := h.hooks.Resume(t.Context(), h.admin, s.ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "nothing waits", func() bool { return h.get(s.ID).Waiting == 0 })
		if got := receiver.subjects(t); !slices.Equal(got, append(want, "b")) {
			t.Errorf("got %v", got)
		}
		// A receiver that says it is gone is believed at once.
		set(http.StatusGone)
		h.happen("H99", "test.made", "c")
		eventually(t, "disabled by 410", func() bool { return h.get(s.ID).Reason == "HTTP 410" })
	})
}

func TestReplaySkipPauseAndTest(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		var mu sync.Mutex
		refuse := ""
		receiver := newReceiver(t, nil)
		receiver.answer = func(n int, w http.ResponseWriter, _ *http.Request) bool {
			calls, _ := receiver.all()
			mu.Lock()
			defer mu.Unlock()
			if refuse != "" && strings.Contains(string(calls[n].body), refuse) {
				w.WriteHeader(http.StatusBadRequest)
				return false
			}
			return true
		}
		h := newHub(t, postgres, nil)
		s, _ := h.subscribe(receiver.URL, "test.made", "webhook.test")
		idle := func() {
			t.Helper()
			eventually(t, "nothing waits", func() bool { return h.get(s.ID).Waiting == 0 })
		}
		for _, name := range names("a", 5) {
			h.happen("H99", "test.made", name)
		}
		h.happen("H99", "test.other", "not wanted")
		h.happen("H98", "test.made", "of another agency")
		idle()
		n, err := h.hooks.Replay(t.Context(), h.admin, s.ID, 2, 4)
		if err != nil || n != 3 {
			t.Fatalf("replayed %d: %v", n, err)
		}
		idle()
		calls, taken := receiver.all()
		if len(taken) != 5 || len(calls) != 8 {
			t.Fatalf("%d calls, %d in effect", len(calls), len(taken))
		}
		for i, c := range calls[5:] {
			if c.id != calls[i+1].id || string(c.body) != string(calls[i+1].body) {
				t.Errorf("replay %d is %s, was %s", i, c.id, calls[i+1].id)
			}
		}

		mu.Lock()
		refuse = "b-000"
		mu.Unlock()
		h.happen("H99", "test.made", "b-000")
		h.happen("H99", "test.made", "b-001")
		eventually(t, "it was refused", func() bool { return !h.get(s.ID).Failing.IsZero() })
		if err := h.hooks.Skip(t.Context(), h.admin, s.ID, 6); err != nil {
			t.Fatal(err)
		}
		idle()
		if got := receiver.subjects(t); !slices.Equal(got, append(names("a", 5), "b-001")) {
			t.Errorf("after skipping: %v", got)
		}
		if err := h.hooks.Skip(t.Context(), h.admin, s.ID, 6); exchange.KindOf(err) != exchange.KindConflict {
			t.Errorf("skipping twice: %v", err)
		}

		if _, err := h.hooks.Pause(t.Context(), h.admin, s.ID); err != nil {
			t.Fatal(err)
		}
		h.happen("H99", "test.made", "c-000")
		if _, err := h.hooks.Test(t.Context(), h.admin, s.ID); exchange.KindOf(err) != exchange.KindConflict {
			t.Errorf("testing a paused one: %v", err)
		}
		if _, err := h.hooks.Resume(t.Context(), h.admin, s.ID); err != nil {
			t.Fatal(err)
		}
		m, err := h.hooks.Test(t.Context(), h.admin, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		idle()
		_, taken = receiver.all()
		if last := taken[len(taken)-1]; last.id != m.ID || !strings.Contains(string(last.body), `"type":"webhook.test"`) {
			t.Errorf("the test message is %s", last.body)
		}
		messages, err := h.hooks.Messages(t.Context(), h.admin, s.ID, 0, 3)
		if err != nil || len(messages) != 3 || messages[0].Seq != m.Seq || messages[0].State != MessageDelivered {
			t.Errorf("messages %+v, %v", messages, err)
		}
		if err := h.hooks.Remove(t.Context(), h.admin, s.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := h.hooks.Get(t.Context(), h.admin, s.ID); exchange.KindOf(err) != exchange.KindNotFound {
			t.Errorf("after removal: %v", err)
		}
	})
}

// TestNoWayInside tries to have the hub call addresses of its own house.
func TestNoWayInside(t *testing.T) {
	inside := newReceiver(t, nil)
	port := inside.URL[strings.LastIndex(inside.URL, ":")+1:]
	h := newHub(t, false, func(c *Config) {
		c.AllowPrivate = false
		c.Schedule = []time.Duration{time.Millisecond}
	})
	for _, url := range []string{"http://example.vn/", "https://127.0.0.1/", "https://[::1]:8443/x", "https://10.1.2.3/", "https://169.254.169.254/latest/meta-data/",
		"https://[::ffff:192.168.1.1]/", "https://user:secret@example.vn/", "ftp://example.vn/", "https:///path", "//example.vn", "https://example.vn/#part", "https://a\r\nb/",
		"https://" + strings.Repeat("a", 3000) + ".vn/"} {
		if _, _, err := h.hooks.Add(t.Context(), h.admin, "", Input{URL: url}); exchange.KindOf(err) != exchange.KindInvalid {
			t.Errorf("%.60q: %v", url, err)
		}
	}
	// A name that leads inside is found out when it is dialled.
	s, _ := h.subscribe("https://localhost:"+port+"/?token=khong-ai-duoc-thay", "test.made")
	h.happen("H99", "test.made", "x")
	eventually(t, "disabled", func() bool { return h.get(s.ID).State == StateDisabled })
	if got := h.get(s.ID).Reason; got != errPrivate.Error() {
		t.Errorf("the reason is %q", got)
	}
	if calls, _ := inside.all(); len(calls) != 0 {
		t.Errorf("%d calls came inside", len(calls))
	}
	if strings.Contains(h.log.String(), "khong-ai-duoc-thay") {
		t.Error("a receiver's token stands in the log")
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	target := newReceiver(t, nil)
	receiver := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
		return false
	})
	h := newHub(t, false, func(c *Config) { c.Schedule = []time.Duration{time.Millisecond} })
	s, _ := h.subscribe(receiver.URL, "test.made")
	h.happen("H99", "test.made", "x")
	eventually(t, "disabled", func() bool { return h.get(s.ID).State == StateDisabled })
	if got := h.get(s.ID).Reason; got != "HTTP 307" {
		t.Errorf("the reason is %q", got)
	}
	if calls, _ := target.all(); len(calls) != 0 {
		t.Error("the redirect was followed")
	}
}

func TestPublicAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "203.162.4.191": true, "2405:4800::1": true, "127.0.0.1": false, "10.0.0.1": false, "172.16.0.1": false,
		"192.168.0.1": false, "169.254.169.254": false, "100.64.1.1": false, "0.0.0.0": false, "0.1.2.3": false, "255.255.255.255": false,
		"224.0.0.1": false, "198.18.0.1": false, "192.0.0.8": false, "240.0.0.1": false, "::": false, "::1": false, "fe80::1": false, "fc00::1": false,
		"fd00:ec2::254": false, "::ffff:127.0.0.1": false, "::ffff:8.8.8.8": true, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false,
		"ff02::1": false, "2001:db8::1": false, "fec0::1": false, "2001::1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("public(%s) = %v", address, got)
		}
	}
}

func TestWhoMayAndWhatIsRefused(t *testing.T) {
	h := newHub(t, false, nil)
	s, _ := h.subscribe("http://127.0.0.1:9/", "document.*")
	clerk, stranger := h.person("vanthu", "H99", registry.RoleClerk), h.person("khach", "H98", registry.RoleAdministrator)
	ctx := t.Context()
	for name, act := range map[string]func(by registry.Actor) error{
		"get": func(by registry.Actor) error { _, err := h.hooks.Get(ctx, by, s.ID); return err },
		"change": func(by registry.Actor) error {
			_, err := h.hooks.Change(ctx, by, s.ID, Input{URL: "http://127.0.0.1:9/"})
			return err
		},
		"pause":  func(by registry.Actor) error { _, err := h.hooks.Pause(ctx, by, s.ID); return err },
		"resume": func(by registry.Actor) error { _, err := h.hooks.Resume(ctx, by, s.ID); return err },
		"rotate": func(by registry.Actor) error { _, _, err := h.hooks.Rotate(ctx, by, s.ID, 0); return err },
		"test":   func(by registry.Actor) error { _, err := h.hooks.Test(ctx, by, s.ID); return err },
		"replay": func(by registry.Actor) error { _, err := h.hooks.Replay(ctx, by, s.ID, 1, 1); return err },
		"skip":   func(by registry.Actor) error { return h.hooks.Skip(ctx, by, s.ID, 1) },
		"log":    func(by registry.Actor) error { _, err := h.hooks.Attempts(ctx, by, s.ID, "", 0); return err },
		"list":   func(by registry.Actor) error { _, err := h.hooks.List(ctx, by, "H99"); return err },
		"remove": func(by registry.Actor) error { return h.hooks.Remove(ctx, by, s.ID) },
	} {
		if err := act(clerk); exchange.KindOf(err) != exchange.KindForbidden {
			t.Errorf("%s by a clerk: %v", name, err)
		}
		want := exchange.KindNotFound
		if name == "list" {
			want = exchange.KindForbidden
		}
		if err := act(stranger); exchange.KindOf(err) != want {
			t.Errorf("%s by a stranger: %v", name, err)
		}
	}
	for _, events := range [][]string{{"Document.sent"}, {"*"}, {".*"}, {"document..*x"}, {"a,b"}, {strings.Repeat("a", 100)}} {
		if _, _, err := h.hooks.Add(ctx, h.admin, "", Input{URL: "https://example.vn/", Events: events}); exchange.KindOf(err) != exchange.KindInvalid {
			t.Errorf("events %q: %v", events, err)
		}
	}
	for {
		_, _, err := h.hooks.Add(ctx, h.admin, "", Input{URL: "https://example.vn/", Events: []string{" document.sent ", "document.sent", ""}})
		if exchange.KindOf(err) == exchange.KindConflict {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	list, err := h.hooks.List(ctx, h.admin, "")
	if err != nil || len(list) != maxSubscriptions {
		t.Fatalf("%d subscriptions, %v", len(list), err)
	}
	if got := list[len(list)-1].Events; !slices.Equal(got, []string{"document.sent"}) {
		t.Errorf("events kept: %q", got)
	}
}

// TestUndoneActTellsNobody: an act that is undone leaves no message.
func TestUndoneActTellsNobody(t *testing.T) {
	receiver := newReceiver(t, nil)
	h := newHub(t, false, nil)
	s, _ := h.subscribe(receiver.URL, "test.made")
	undone := errors.New("undone")
	err := h.store.DB.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return errors.Join(h.service.Record(ctx, tx, "test.made", "never", registry.System("test"), map[string]string{"agency": "H99"}), undone)
	})
	if !errors.Is(err, undone) {
		t.Fatal(err)
	}
	h.happen("H99", "test.made", "once")
	eventually(t, "nothing waits", func() bool { return h.get(s.ID).Waiting == 0 })
	if got := receiver.subjects(t); !slices.Equal(got, []string{"once"}) {
		t.Errorf("got %v", got)
	}
	if last := h.get(s.ID).Last; last != 1 {
		t.Errorf("the message has number %d", last)
	}
}
