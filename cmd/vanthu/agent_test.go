package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/pki"
)

// deskHub is a hub in this process whose leader has the certificate of a key that is elsewhere.
type deskHub struct {
	hub     *Hub
	base    string
	officer *apiClient
	leader  *apiClient
	keyPEM  []byte
	certPEM []byte
	p12     []byte
	log     *bytes.Buffer // of the hub, everything
	stored  string        // the passphrase of the leader's stored key
}

const deskPIN = "73519284"

func newDeskHub(t *testing.T) *deskHub {
	t.Helper()
	config := demoCmd{Once: true}.config()
	dir := filepath.Join(t.TempDir(), "hub")
	if err := initDataFolder(t.Context(), dir, config, time.Now); err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	hub, err := openHub(t.Context(), hubOptions{dir: dir, config: config, log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	people := plannedProvince(config.Domain)
	people.sender.leader.keyType, people.receivers = pki.P256, people.receivers[:1]
	d := &deskHub{hub: hub, log: log}
	t.Cleanup(func() {
		if d.hub == nil {
			return // closed by the test
		}
		if err := hub.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := people.settle(t.Context(), hub, func() {}); err != nil {
		t.Fatal(err)
	}
	leader := people.sender.leader
	d.stored = leader.pin
	key, err := hub.identity.authority.Issue(pki.IssueRequest{Subject: pkix.Name{CommonName: leader.Name, Organization: []string{provinceName}}, Usage: pki.UsagePerson})
	if err != nil {
		t.Fatal(err)
	}
	d.certPEM, d.keyPEM, err = key.ToPEM()
	if err != nil {
		t.Fatal(err)
	}
	if d.p12, err = key.ToPKCS12(deskPIN); err != nil {
		t.Fatal(err)
	}
	if err := hub.Registry.AddCertificate(t.Context(), registry.System("test"), registry.PersonOwner(leader.ID), key.Certificate); err != nil {
		t.Fatal(err)
	}
	if err := hub.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.base = hub.baseURL()
	for client, who := range map[**apiClient]person{&d.officer: people.sender.officer, &d.leader: leader} {
		if *client, err = login(t.Context(), d.base, httpClient(), who.Login, who.password); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// ticket makes a draft and a ticket for the leader's approval of it.
func (d *deskHub) ticket(t *testing.T) exchange.Ticket {
	t.Helper()
	pdf, err := loadPDF(40_000)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := d.officer.draft(t.Context(), map[string]string{"type": "BC", "subject": "Ký tại bàn", "signer_name": "Trần Quốc Đạt"}, pdf)
	if err != nil {
		t.Fatal(err)
	}
	var ticket exchange.Ticket
	if err := d.leader.post(t.Context(), "/documents/"+string(doc.ID)+"/signing-tickets", map[string]any{"step": "approve"}, &ticket); err != nil {
		t.Fatal(err)
	}
	return ticket
}

// deskAgent is `vanthu agent` in a process of its own; what it prints is gathered.
type deskAgent struct {
	address, code string
	stdin         io.WriteCloser
	said          chan string // what it prints, a line or a question at a time
	all           *bytes.Buffer
}

func startAgent(t *testing.T, first string, args ...string) *deskAgent {
	t.Helper()
	process := exec.Command("vanthu", append([]string{"agent", "--listen", "127.0.0.1:0", "-v"}, args...)...)
	a := &deskAgent{said: make(chan string, 100), all: new(bytes.Buffer)}
	var err error
	if a.stdin, err = process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stderr, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(a.said)
		scanner := bufio.NewScanner(io.TeeReader(stderr, a.all))
		scanner.Split(questions)
		for scanner.Scan() {
			a.said <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		if err := process.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		for range a.said { // what nobody asked for: the reader must not wait for a taker
		}
		<-read
		if err := process.Wait(); err != nil {
			t.Errorf("%v\n%s", err, a.all)
		}
		if strings.Contains(a.all.String(), deskPIN) {
			t.Error("the PIN was printed")
		}
	})
	if first != "" {
		a.reply(t, "PIN", first)
	}
	_, a.address, _ = strings.Cut(a.await(t, "Address|Địa chỉ"), ": ")
	code := a.await(t, "Mã ghép nối")
	a.code = code[strings.LastIndex(code, " ")+1:]
	return a
}

// questions splits what is printed into lines and questions, which end with a colon and a blank.
func questions(data []byte, atEOF bool) (int, []byte, error) {
	for i, b := range data {
		if b == '\n' {
			return i + 1, data[:i], nil
		}
		if b == ' ' && i+1 == len(data) && i > 0 && data[i-1] == ':' {
			return i + 1, data[:i], nil
		}
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// await waits for a line that holds one of the words.
func (a *deskAgent) await(t *testing.T, words string) string {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		select {
		case line, ok := <-a.said:
			if !ok {
				t.Fatalf("the agent has ended before %q:\n%s", words, a.all)
			}
			for word := range strings.SplitSeq(words, "|") {
				if strings.Contains(line, word) {
					return line
				}
			}
		case <-timeout:
			t.Fatalf("no %q from the agent", words)
		}
	}
}

func (a *deskAgent) reply(t *testing.T, question, text string) {
	t.Helper()
	a.await(t, question)
	if _, err := io.WriteString(a.stdin, text+"\n"); err != nil {
		t.Fatal(err)
	}
}

// answer types lines; "last" stands for the last four characters of the digest that is shown.
func (a *deskAgent) answer(t *testing.T, lines ...string) {
	t.Helper()
	shown := strings.TrimSpace(a.await(t, "SHA-256"))
	for i, line := range lines {
		if line == "last" {
			line = shown[len(shown)-4:]
		}
		a.reply(t, []string{"Ký? Gõ", "PIN"}[i], line)
	}
}

// page does what the page's script does.
func (a *deskAgent) page(t *testing.T, origin, ticket string) (status int, value []byte, problem string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.address+"/v1/sign", strings.NewReader(`{"ticket":"`+ticket+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", origin)
	request.Header.Set("Authorization", "Bearer "+a.code)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var out struct {
		Signature []byte
		Error     string
	}
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, out.Signature, out.Error
}

// asPage signs a ticket while the person answers at the desk, and gives the signature back to the hub.
func (d *deskHub) asPage(t *testing.T, a *deskAgent, answer ...string) (problem string) {
	t.Helper()
	ticket := d.ticket(t)
	if len(answer) > 0 {
		answered := make(chan struct{})
		defer func() { <-answered }()
		go func() {
			defer close(answered)
			a.answer(t, answer...)
		}()
	}
	_, value, problem := a.page(t, d.base, ticket.Ticket)
	if problem != "" {
		return problem
	}
	var done signed
	if err := d.leader.post(t.Context(), "/signing-tickets/"+ticket.Ticket, map[string]any{"signature": value}, &done); err != nil {
		t.Fatal(err)
	}
	if done.Document.State != exchange.StateApproved || done.Report.Verdict != signing.TotalPassed {
		t.Errorf("%s, %s", done.Document.State, done.Report.Verdict)
	}
	return ""
}

// TestAgentAtTheDesk: a token signs by the PIN that is typed for each signature, a PKCS#12 file by a yes; an empty
// answer, a no and a wrong PIN sign nothing; the journal tells it all and holds no PIN.
func TestAgentAtTheDesk(t *testing.T) {
	d := newDeskHub(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "me.p12")
	if err := os.WriteFile(file, d.p12, 0o600); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	desk := startAgent(t, deskPIN, "--hub", d.base, "--key", file, "--ask", "yes", "--state", state)
	for _, c := range [][2]string{{"last", ""}, {"", "refused"}, {"y", "refused"}, {"last", ""}} {
		if problem := d.asPage(t, desk, c[0]); problem != c[1] {
			t.Errorf("answer %q: %q", c[0], problem)
		}
	}
	journal, err := os.ReadFile(filepath.Join(state, "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(journal), "\n"); n != 8 || strings.Contains(string(journal), deskPIN) || !strings.Contains(string(journal), "Ký tại bàn") {
		t.Errorf("journal of %d lines:\n%s", n, journal)
	}
	if kept := startAgent(t, "", "--hub", d.base, "--key", file, "--ask", "never", "--state", state, "--passphrase-file", pinFile(t)); kept.code != desk.code {
		t.Error("the pairing code changed")
	} else if problem := d.asPage(t, kept); problem != "" {
		t.Errorf("unattended: %s", problem)
	}
}

func pinFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(name, []byte(deskPIN+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestAgentWithToken is the same with a key in a PKCS#11 token.
func TestAgentWithToken(t *testing.T) {
	if err := haveSoftHSM(); err != nil {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "softhsm") {
			t.Fatal(err)
		}
		t.Skip("SoftHSM2 is not installed")
	}
	d := newDeskHub(t)
	dir := t.TempDir()
	for name, data := range map[string][]byte{"softhsm.conf": []byte("directories.tokendir = " + dir + "\nlog.level = ERROR\n"), "key.pem": d.keyPEM, "cert.pem": d.certPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "softhsm.conf"))
	for _, args := range [][]string{
		{"--init-token", "--free", "--label", "bàn", "--pin", deskPIN, "--so-pin", "12345678"},
		{"--import", filepath.Join(dir, "key.pem"), "--token", "bàn", "--label", "leader", "--id", "01", "--pin", deskPIN},
	} {
		if out, err := exec.Command("softhsm2-util", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	desk := startAgent(t, deskPIN, "--hub", d.base, "--token", softHSMModule, "--certificate", filepath.Join(dir, "cert.pem"), "--state", dir)
	for _, c := range []struct {
		answer []string
		want   string
	}{{[]string{"last", deskPIN}, ""}, {[]string{"last", ""}, "refused"}, {[]string{deskPIN}, "refused"}, {[]string{"last", "00000000"}, "key"}, {[]string{"last", deskPIN}, ""}} {
		if problem := d.asPage(t, desk, c.answer...); problem != c.want {
			t.Errorf("%q: %q, want %q", c.answer, problem, c.want)
		}
	}
}

// TestPINsAreNotLogged signs with a stored key, with a wrong passphrase and with a ticket, and reads all that the hub
// wrote meanwhile, at its most talkative.
func TestPINsAreNotLogged(t *testing.T) {
	d := newDeskHub(t)
	ticket := d.ticket(t)
	const wrong = "wrong-84629175"
	if _, err := d.leader.sign(t.Context(), ticket.Document, signRequest{Step: exchange.StepApprove, Passphrase: wrong}); err == nil {
		t.Error("a wrong passphrase signs")
	} else if strings.Contains(err.Error(), wrong) {
		t.Error("the refusal quotes the passphrase")
	}
	if _, err := d.leader.sign(t.Context(), ticket.Document, signRequest{Step: exchange.StepApprove, Passphrase: d.stored}); err != nil {
		t.Fatal(err)
	}
	if err := d.leader.post(t.Context(), "/signing-tickets/"+ticket.Ticket, map[string]any{"signature": []byte("late")}, nil); err == nil {
		t.Error("a ticket works after the document was signed")
	}
	if err := d.hub.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.hub = nil
	if d.log.Len() == 0 {
		t.Fatal("the hub logged nothing")
	}
	for what, secret := range map[string]string{"the passphrase": d.stored, "a wrong passphrase": wrong, "the ticket": ticket.Ticket, "the session": d.leader.token} {
		if strings.Contains(d.log.String(), secret) {
			t.Errorf("%s stands in the log", what)
		}
	}
}
