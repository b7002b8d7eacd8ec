package agent_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/keys/agent"
	"vanthu/signing/pdf/pdftest"
	"vanthu/signing/pki"
)

const (
	code   = "ABCD-EFGH-IJKL-MNOP"
	ticket = "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE"
)

// bench is a hub with one ticket, and an agent beside it.
type bench struct {
	key     *keys.Key
	pending *signing.Pending
	base    []byte
	told    map[string]any // what the hub says of the ticket
	hub     *httptest.Server
	agent   *httptest.Server
	consent agent.Consent
	asked   []agent.Job
	journal string
	log     bytes.Buffer
}

func identity(t *testing.T, name certs.Name) *keys.Key {
	t.Helper()
	signer, chain := certs.Identity(t, name)
	key, err := keys.New(signer, chain...)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newBench(t *testing.T, key *keys.Key) *bench {
	t.Helper()
	var err error
	b := &bench{key: key, base: pdftest.New(pdftest.Options{}).Bytes(pdftest.Table), journal: filepath.Join(t.TempDir(), "journal.jsonl")}
	b.pending, err = signing.Begin(t.Context(), bytes.NewReader(b.base), int64(len(b.base)), signing.SignOptions{Key: key, Profile: signing.ProfileBB})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(key.Certificate.Raw)
	b.told = map[string]any{"document": "doc-1", "code": "12/QĐ-UBND", "subject": "Về việc\nký số", "step": "approve", "certificate": hex.EncodeToString(sum[:]),
		"hash": b.pending.Hash.String(), "to_sign": b.pending.ToSign, "attributes": b.pending.Attributes, "digest": b.pending.Digest, "expires": time.Now().Add(time.Minute)}
	b.hub = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/signing-tickets/"+ticket {
			http.Redirect(w, r, "/api/v1/signing-tickets/"+ticket, http.StatusFound)
			return
		}
		if err := json.NewEncoder(w).Encode(b.told); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(b.hub.Close)
	b.consent = func(context.Context, agent.Job) (*keys.Key, func(), error) { return key, func() {}, nil }
	b.start(t)
	return b
}

// start opens the agent, a second time as after a crash.
func (b *bench) start(t *testing.T) {
	t.Helper()
	journal, err := agent.OpenJournal(b.journal, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.key.Certificate.Raw)
	door, err := agent.New(agent.Config{Hubs: []string{b.hub.URL + "/"}, Pairing: code, Certificate: hex.EncodeToString(sum[:]), Holder: "Người ký",
		NotAfter: b.key.Certificate.NotAfter, Journal: journal, Logger: slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Consent: func(ctx context.Context, job agent.Job) (*keys.Key, func(), error) {
			b.asked = append(b.asked, job)
			return b.consent(ctx, job)
		}})
	if err != nil {
		t.Fatal(err)
	}
	b.agent = httptest.NewServer(door)
	t.Cleanup(func() {
		b.agent.Close()
		if err := journal.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
}

type reply struct {
	status                    int
	header                    http.Header
	Error, Message            string
	Paired                    bool
	Signature                 []byte
	Agent, Holder, Certifcate string
}

// ask is what a page's script can send; nil headers mean a page of the hub that is paired.
func (b *bench) ask(t *testing.T, method, path, body string, header map[string]string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, b.agent.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header == nil {
		header = map[string]string{"Origin": b.hub.URL, "Authorization": "Bearer abcd efgh-IJKLmnop"}
	}
	for name, value := range header {
		if request.Header.Set(name, value); name == "Host" {
			request.Host = value
		}
	}
	response, err := b.agent.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	out := reply{status: response.StatusCode, header: response.Header}
	if response.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func (b *bench) sign(t *testing.T) reply {
	t.Helper()
	return b.ask(t, http.MethodPost, "/v1/sign", `{"ticket":"`+ticket+`"}`, nil)
}

// TestAgentSigns: what comes back makes a file that our validator passes; the ticket works once, even after a restart;
// the journal has both records and its chain.
func TestAgentSigns(t *testing.T) {
	ca, err := pki.NewAuthority(pkix.Name{CommonName: "Gốc thử nghiệm"}, pki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edwards, err := ca.Issue(pki.IssueRequest{Subject: pkix.Name{CommonName: "Người ký"}, Usage: pki.UsagePerson, Key: private})
	if err != nil {
		t.Fatal(err)
	}
	trust := &pki.Trust{Roots: append(certs.Roots(t), ca.Trust().Roots...)}
	for name, key := range map[string]*keys.Key{"P-256": identity(t, certs.OfficialEC), "RSA": identity(t, certs.LeaderRSA), "Ed25519": edwards} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, key)
			got := b.sign(t)
			if got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != b.hub.URL {
				t.Fatalf("%+v", got)
			}
			var out bytes.Buffer
			if err := signing.Finish(t.Context(), bytes.NewReader(b.base), int64(len(b.base)), &out, b.pending, signing.Returned{Signature: got.Signature}, signing.FinishOptions{}); err != nil {
				t.Fatal(err)
			}
			report, err := signing.VerifyPDF(t.Context(), bytes.NewReader(out.Bytes()), int64(out.Len()), signing.VerifyOptions{Trust: trust, Offline: true})
			if err != nil || report.Verdict != signing.TotalPassed {
				t.Fatalf("%v %+v", err, report)
			}
			if len(b.asked) != 1 || b.asked[0].Subject != "Về việc ký số" || !bytes.Equal(b.asked[0].Digest, b.pending.Digest) {
				t.Errorf("the person saw %+v", b.asked)
			}
			if again := b.sign(t); again.Error != "used" {
				t.Errorf("used twice: %+v", again)
			}
			b.start(t)
			if again := b.sign(t); again.Error != "used" {
				t.Errorf("used again after a restart: %+v", again)
			}
			lines := journalLines(t, b.journal)
			if len(lines) != 2 || lines[0].Event != agent.EventSigning || lines[1].Event != agent.EventSigned || lines[1].Signature == "" {
				t.Errorf("journal %+v", lines)
			}
			if text := b.log.String() + read(t, b.journal); strings.Contains(text, ticket) || strings.Contains(text, code) {
				t.Error("a secret stands in the log or the journal")
			}
		})
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func journalLines(t *testing.T, name string) (list []agent.Record) {
	t.Helper()
	for line := range strings.Lines(read(t, name)) {
		var r agent.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// TestAgentDoor: who may knock, and what a browser asks before.
func TestAgentDoor(t *testing.T) {
	b := newBench(t, identity(t, certs.OfficialEC))
	bearer := "Bearer " + code
	body := `{"ticket":"` + ticket + `"}`
	for name, c := range map[string]struct {
		method, path, body string
		header             map[string]string
		want               int
	}{
		"another site":      {"POST", "/v1/sign", body, map[string]string{"Origin": "https://evil.example", "Authorization": bearer}, 403},
		"no origin":         {"POST", "/v1/sign", body, map[string]string{"Authorization": bearer}, 403},
		"null origin":       {"POST", "/v1/sign", body, map[string]string{"Origin": "null", "Authorization": bearer}, 403},
		"rebound name":      {"POST", "/v1/sign", body, map[string]string{"Origin": b.hub.URL, "Authorization": bearer, "Host": "evil.example"}, 403},
		"not paired":        {"POST", "/v1/sign", body, map[string]string{"Origin": b.hub.URL}, 401},
		"wrong code":        {"POST", "/v1/sign", body, map[string]string{"Origin": b.hub.URL, "Authorization": "Bearer ABCD"}, 401},
		"GET":               {"GET", "/v1/sign", "", nil, 405},
		"elsewhere":         {"GET", "/", "", nil, 404},
		"no ticket":         {"POST", "/v1/sign", "{}", nil, 400},
		"a path as ticket":  {"POST", "/v1/sign", `{"ticket":"../../../admin/everything"}`, nil, 400},
		"not JSON":          {"POST", "/v1/sign", "x", nil, 400},
		"too much":          {"POST", "/v1/sign", strings.Repeat(" ", 5<<10) + body, nil, 400},
		"status without":    {"GET", "/v1/status", "", map[string]string{"Origin": b.hub.URL}, 200},
		"preflight":         {"OPTIONS", "/v1/sign", "", map[string]string{"Origin": b.hub.URL, "Access-Control-Request-Private-Network": "true"}, 204},
		"foreign preflight": {"OPTIONS", "/v1/sign", "", map[string]string{"Origin": "https://evil.example"}, 403},
	} {
		got := b.ask(t, c.method, c.path, c.body, c.header)
		if got.status != c.want {
			t.Errorf("%s: %+v", name, got)
		}
		if c.want == 403 && got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: the refusal may be read by another site", name)
		}
		if name == "preflight" && (got.header.Get("Access-Control-Allow-Private-Network") != "true" || got.header.Get("Access-Control-Allow-Headers") == "") {
			t.Errorf("preflight %v", got.header)
		}
		if name == "status without" && (got.Agent != "vanthu" || got.Paired || got.Holder != "") {
			t.Errorf("status %+v", got)
		}
	}
	if got := b.ask(t, http.MethodGet, "/v1/status", "", nil); !got.Paired || got.Holder != "Người ký" {
		t.Errorf("status of a paired page: %+v", got)
	}
	if len(b.asked) > 0 {
		t.Errorf("the person was asked: %+v", b.asked)
	}
}

// TestAgentRefusesTickets: what a hub, or somebody who poses as it, may ask for in vain.
func TestAgentRefusesTickets(t *testing.T) {
	for name, spoil := range map[string]func(*bench){
		"another certificate": func(b *bench) { b.told["certificate"] = strings.Repeat("0", 64) },
		"expired":             func(b *bench) { b.told["expires"] = time.Now() },
		"another digest":      func(b *bench) { b.told["digest"] = make([]byte, 32) },
		"short digest":        func(b *bench) { b.told["digest"] = []byte("x") },
		"weak algorithm":      func(b *bench) { b.told["hash"] = "SHA-1" },
		"bytes of its own":    func(b *bench) { b.told["to_sign"] = make([]byte, 32) },
		"no attributes":       func(b *bench) { b.told["attributes"] = []byte("pay everything to me") },
		"bare digest":         func(b *bench) { b.told["attributes"] = b.pending.Digest },
		"not a ticket":        func(b *bench) { b.told = map[string]any{"document": 7} },
		"hub away":            func(b *bench) { b.hub.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, identity(t, certs.OfficialEC))
			spoil(b)
			got := b.sign(t)
			if got.status < 400 || len(got.Signature) > 0 || got.Message == "" || strings.Contains(got.Message, ticket) {
				t.Errorf("%+v", got)
			}
		})
	}
	b := newBench(t, identity(t, certs.OfficialEC))
	if got := b.ask(t, http.MethodPost, "/v1/sign", `{"ticket":"another-ticket-that-redirects"}`, nil); got.Error != "hub" {
		t.Errorf("a redirect is followed: %+v", got)
	}
}

// TestAgentAsks: a no, a wrong PIN and another key make no signature; while one person is asked nobody else is served.
func TestAgentAsks(t *testing.T) {
	b := newBench(t, identity(t, certs.OfficialEC))
	other := newBench(t, identity(t, certs.LeaderRSA))
	for _, c := range []struct {
		err   error
		key   *keys.Key
		want  string
		event string
	}{
		{err: agent.ErrRefused, want: "refused", event: agent.EventRefused},
		{err: keys.ErrPassphrase, want: "key", event: agent.EventFailed},
		{key: other.key, want: "key", event: agent.EventFailed},
	} {
		b.consent = func(context.Context, agent.Job) (*keys.Key, func(), error) { return c.key, func() {}, c.err }
		if got := b.sign(t); got.Error != c.want || len(got.Signature) > 0 {
			t.Errorf("%+v: %+v", c, got)
		}
		lines := journalLines(t, b.journal)
		if last := lines[len(lines)-1]; last.Event != c.event || last.Reason == "" {
			t.Errorf("journal %+v", last)
		}
	}
	asked, answer := make(chan bool), make(chan bool)
	b.consent = func(context.Context, agent.Job) (*keys.Key, func(), error) {
		asked <- true
		<-answer
		return b.key, func() {}, nil
	}
	first := make(chan reply)
	go func() { first <- b.sign(t) }()
	<-asked
	if got := b.sign(t); got.Error != "busy" {
		t.Errorf("a second request meanwhile: %+v", got)
	}
	answer <- true
	if got := <-first; got.status != http.StatusOK {
		t.Errorf("the first: %+v", got)
	}
}

// TestJournal: a changed line is seen, one that a crash cut off is not held against the file.
func TestJournal(t *testing.T) {
	name := filepath.Join(t.TempDir(), "journal.jsonl")
	open := func() (*agent.Journal, error) { return agent.OpenJournal(name, time.Now) }
	j, err := open()
	if err != nil {
		t.Fatal(err)
	}
	add := func(event string) {
		t.Helper()
		if err := j.Add(event, agent.Record{Ticket: event}); err != nil {
			t.Fatal(err)
		}
	}
	add(agent.EventSigning)
	add(agent.EventSigned)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	whole := read(t, name)
	if err := os.WriteFile(name, []byte(whole+`{"at":"20`), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time with a line after the one that was cut off
		if j, err = open(); err != nil {
			t.Fatal(err)
		}
		if !j.Used(agent.EventSigned) || j.Used(agent.EventSigning) {
			t.Error("used tickets are not as written")
		}
		add(agent.EventFailed)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(name, []byte(strings.Replace(whole, `"step":""`, `"step":"x"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); !errors.Is(err, agent.ErrJournal) {
		t.Errorf("a changed line: %v", err)
	}
	if _, err := agent.OpenJournal(filepath.Join(name, "x"), time.Now); !errors.Is(err, agent.ErrJournal) {
		t.Errorf("no such folder: %v", err)
	}
}

// TestJournalOfTwo: two programs with one journal write one chain, and each knows what the other used.
func TestJournalOfTwo(t *testing.T) {
	name := filepath.Join(t.TempDir(), "journal.jsonl")
	var both [2]*agent.Journal
	for i := range both {
		j, err := agent.OpenJournal(name, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		both[i] = j
	}
	var wait sync.WaitGroup
	for i, j := range both {
		wait.Go(func() {
			for n := range 20 {
				if err := j.Add(agent.EventSigned, agent.Record{Ticket: fmt.Sprint(i, n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	j, err := agent.OpenJournal(name, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if strings.Count(read(t, name), "\n") != 40 || !j.Used("0 19") || !j.Used("1 19") {
		t.Errorf("not all is there:\n%s", read(t, name))
	}
}

func TestOrigin(t *testing.T) {
	for in, want := range map[string]string{"https://Hub.Example": "https://hub.example", "https://hub.example:443/": "https://hub.example",
		"http://127.0.0.1:8080": "http://127.0.0.1:8080", "http://localhost": "http://localhost",
		"http://hub.example": "", "hub.example": "", "https://hub.example/x": "", "https://u:p@hub.example": "", "file:///x": "", "*": ""} {
		if got, err := agent.Origin(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}
