package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
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
	"vanthu/signing/pki"
)

// acknowledged is what the hub has said yes to: none of it may be missing or doubled after any crash.
type acknowledged struct {
	mu         sync.Mutex
	drafted    map[exchange.DocumentID]exchange.State // the furthest state that was acknowledged
	numbers    map[int]exchange.DocumentID
	sent       map[exchange.DocumentID][]registry.AgencyID
	registered map[exchange.IncomingID]int
	finished   map[exchange.IncomingID]bool
	mails      map[string]bool
	refused    []error
}

func (k *acknowledged) note(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// crashHub is a hub in a process of its own, over one data folder, killed and started again.
type crashHub struct {
	dir      string
	config   Config
	province province
	tokens   map[string]string
	process  *exec.Cmd
	stderr   bytes.Buffer
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func newCrashHub(t *testing.T) *crashHub {
	t.Helper()
	return newCrashHubOf(t, func(p *province) { p.receivers = p.receivers[:3] })
}

// newCrashHubOf makes a hub of a province that change has its way with.
func newCrashHubOf(t *testing.T, change func(*province)) *crashHub {
	t.Helper()
	h := &crashHub{dir: filepath.Join(t.TempDir(), "hub"), tokens: make(map[string]string)}
	h.config = demoCmd{Once: true}.config()
	h.config.Peers.PollSeconds = 1
	l := &h.config.Listen
	for _, address := range []*string{&l.HTTP, &l.SMTP, &l.Submission, &l.SubmissionTLS, &l.IMAP, &l.IMAPTLS, &l.Metrics} {
		*address = freeAddress(t)
	}
	if err := initDataFolder(t.Context(), h.dir, h.config, time.Now); err != nil {
		t.Fatal(err)
	}
	hub, err := openHub(t.Context(), hubOptions{dir: h.dir, config: h.config, log: slog.New(slog.DiscardHandler), now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	h.province = plannedProvince(h.config.Domain)
	h.province.sender.leader.keyType = pki.P256
	change(&h.province)
	if err := h.province.settle(t.Context(), hub, func() {}); err != nil {
		t.Fatal(err)
	}
	if err := hub.Store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *crashHub) start(t *testing.T) {
	t.Helper()
	h.stderr.Reset()
	h.process = exec.Command("vanthu", "serve", "--data", h.dir)
	h.process.Stderr = &h.stderr
	if err := h.process.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(60 * time.Second)
	for {
		response, err := http.Get("http://" + h.config.Listen.Metrics + "/healthz")
		if err == nil {
			response.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the hub does not start:\n%s", h.stderr.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (h *crashHub) kill(t *testing.T) {
	t.Helper()
	if err := h.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = h.process.Wait() // says that it was killed
}

func (h *crashHub) check(t *testing.T) {
	t.Helper()
	out, err := exec.Command("vanthu", "check", "--data", h.dir).CombinedOutput()
	if err != nil {
		t.Fatalf("check after a kill: %v\n%s\nthe hub said:\n%s", err, out, h.stderr.String())
	}
}

// client logs in once for the whole test: sessions outlive the process too.
func (h *crashHub) client(ctx context.Context, member person, client *http.Client) (*apiClient, error) {
	base := "http://" + h.config.Listen.HTTP
	if token, ok := h.tokens[member.Login]; ok {
		return &apiClient{base: base, token: token, http: client}, nil
	}
	c, err := login(ctx, base, client, member.Login, member.password)
	if err == nil {
		h.tokens[member.Login] = c.token
	}
	return c, err
}

// load works until the context ends; errors after that are the crash's doing.
func (h *crashHub) load(ctx context.Context, t *testing.T, acks *acknowledged, round int) {
	t.Helper()
	client := httpClient()
	defer client.CloseIdleConnections()
	clients := make(map[string]*apiClient)
	for _, o := range h.province.offices() {
		for _, member := range o.everyone() {
			c, err := h.client(ctx, *member, client)
			if err != nil {
				return // killed while logging in
			}
			clients[member.Login] = c
		}
	}
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for ctx.Err() == nil {
				h.sendOne(ctx, clients, acks)
			}
		})
	}
	for i := range h.province.receivers {
		group.Go(func() {
			for ctx.Err() == nil {
				h.receiveAll(ctx, clients, &h.province.receivers[i], acks)
			}
		})
	}
	group.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			h.mailOne(ctx, fmt.Sprintf("thu-%d-%d", round, n), acks)
		}
	})
	group.Wait()
}

// failed tells whether an act failed. A failure of a running hub that is no crash is kept for the report.
func failed(ctx context.Context, acks *acknowledged, err error) bool {
	if err == nil {
		return false
	}
	if problem := new(apiError); ctx.Err() == nil && asAPIError(err, &problem) && problem.Status < 500 {
		acks.note(func() { acks.refused = append(acks.refused, err) })
	}
	time.Sleep(2 * time.Millisecond)
	return true
}

func (h *crashHub) sendOne(ctx context.Context, clients map[string]*apiClient, acks *acknowledged) {
	people := h.province.sender
	officer, leader, clerk := clients[people.officer.Login], clients[people.leader.Login], clients[people.clerk.Login]
	doc, err := officer.draft(ctx, map[string]string{"type": "BC", "subject": "Văn bản thử", "signer_name": people.leader.Name, "signer_position": "CHỦ TỊCH"}, crashPDF())
	if failed(ctx, acks, err) {
		return
	}
	acks.note(func() { acks.drafted[doc.ID] = exchange.StateDraft })
	for _, step := range []struct {
		by   *apiClient
		step exchange.Step
		pin  string
	}{{officer, exchange.StepInitial, people.officer.pin}, {leader, exchange.StepApprove, people.leader.pin}, {clerk, exchange.StepSeal, people.sealPIN}} {
		if step.step == exchange.StepSeal {
			numbered, err := clerk.number(ctx, doc.ID)
			if failed(ctx, acks, err) {
				return
			}
			acks.note(func() {
				if other, taken := acks.numbers[numbered.Number]; taken && other != doc.ID {
					acks.refused = append(acks.refused, fmt.Errorf("number %d given to %s and to %s", numbered.Number, other, doc.ID))
				}
				acks.numbers[numbered.Number] = doc.ID
			})
		}
		out, err := step.by.sign(ctx, doc.ID, signRequest{Step: step.step, Passphrase: step.pin, Profile: "pades-b-b", Invisible: true})
		if failed(ctx, acks, err) {
			return
		}
		acks.note(func() { acks.drafted[doc.ID] = out.Document.State })
	}
	var to []registry.AgencyID
	for _, o := range h.province.receivers {
		to = append(to, o.agency.ID)
	}
	if _, err := clerk.send(ctx, doc.ID, to); failed(ctx, acks, err) {
		return
	}
	acks.note(func() { acks.drafted[doc.ID], acks.sent[doc.ID] = exchange.StateSent, to })
}

func (h *crashHub) receiveAll(ctx context.Context, clients map[string]*apiClient, o *office, acks *acknowledged) {
	clerk, officer := clients[o.clerk.Login], clients[o.officer.Login]
	for _, status := range []exchange.Status{exchange.StatusArrived, exchange.StatusRegistered} {
		found, err := clerk.incoming(ctx, "&status="+string(status))
		if failed(ctx, acks, err) {
			return
		}
		for _, in := range found {
			if status == exchange.StatusArrived {
				out, err := clerk.act(ctx, in.ID, "register", nil)
				if failed(ctx, acks, err) {
					return
				}
				acks.note(func() { acks.registered[in.ID] = out.ArrivalNumber })
			}
			if _, err := officer.act(ctx, in.ID, "finish", map[string]string{"note": "xong"}); failed(ctx, acks, err) {
				return
			}
			acks.note(func() { acks.finished[in.ID] = true })
		}
	}
	time.Sleep(5 * time.Millisecond)
}

func (h *crashHub) mailOne(ctx context.Context, subject string, acks *acknowledged) {
	from, to := h.province.sender.clerk, h.province.receivers[0].officer
	identity, err := loadIdentity(h.dir, h.config.Name, "", time.Now)
	if err != nil {
		acks.note(func() { acks.refused = append(acks.refused, err) })
		return
	}
	err = submitMail(ctx, h.config.Listen.Submission, clientTLS(identity.authority.Certificate()), from.Mail, from.password, []string{to.Mail}, subject, "thử")
	if err == nil {
		acks.note(func() { acks.mails[subject] = true })
	} else {
		time.Sleep(2 * time.Millisecond)
	}
}

// crashPDF is one small document, made once.
func crashPDF() []byte { return crashDocument() }

var crashDocument = sync.OnceValue(func() []byte {
	pdf, err := loadPDF(40_000)
	if err != nil {
		panic(err)
	}
	return pdf
})

// TestKilledAtAnyMomentLosesNothing kills a working hub with SIGKILL at random moments. VANTHU_CRASHES says how often
// (default 3). After every kill `vanthu check` must be clean; at the end nothing acknowledged is missing or doubled.
func TestKilledAtAnyMomentLosesNothing(t *testing.T) {
	crashes := 3
	if text := os.Getenv("VANTHU_CRASHES"); text != "" {
		var err error
		if crashes, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	h := newCrashHub(t)
	acks := &acknowledged{
		drafted: make(map[exchange.DocumentID]exchange.State), numbers: make(map[int]exchange.DocumentID), sent: make(map[exchange.DocumentID][]registry.AgencyID),
		registered: make(map[exchange.IncomingID]int), finished: make(map[exchange.IncomingID]bool), mails: make(map[string]bool),
	}
	h.start(t)
	for _, o := range h.province.offices() {
		for _, member := range o.everyone() {
			if _, err := h.client(t.Context(), *member, http.DefaultClient); err != nil {
				t.Fatal(err)
			}
		}
	}
	once := h.warmUp(t, acks)
	h.kill(t)
	for round := range crashes {
		h.start(t)
		ctx, cancel := context.WithCancel(t.Context())
		var working sync.WaitGroup
		working.Go(func() { h.load(ctx, t, acks, round) })
		time.Sleep(50*time.Millisecond + rand.N(3*once))
		h.kill(t)
		cancel()
		working.Wait()
		h.check(t)
	}
	for _, err := range acks.refused {
		t.Errorf("refused while it ran: %v", err)
	}
	h.start(t)
	h.settleAfter(t, acks)
	h.compare(t, acks)
	h.kill(t)
	h.check(t)
	t.Logf("%d kills: %d documents, %d numbers, %d sent, %d registered, %d finished, %d mails acknowledged; none missing, none doubled",
		crashes, len(acks.drafted), len(acks.numbers), len(acks.sent), len(acks.registered), len(acks.finished), len(acks.mails))
	if len(acks.sent) == 0 || len(acks.mails) == 0 || len(acks.finished) == 0 {
		t.Error("the load did nothing, so the kills proved nothing")
	}
}

// warmUp takes one document the whole way and tells how long that took just after a start, keys still locked: the kills
// fall within three times as long, on a fast machine and on a slow one.
func (h *crashHub) warmUp(t *testing.T, acks *acknowledged) time.Duration {
	t.Helper()
	clients := make(map[string]*apiClient)
	for login, token := range h.tokens {
		clients[login] = &apiClient{base: "http://" + h.config.Listen.HTTP, token: token, http: http.DefaultClient}
	}
	began := time.Now()
	h.sendOne(t.Context(), clients, acks)
	h.mailOne(t.Context(), "thu-dau", acks)
	h.settleAfter(t, acks)
	for i := range h.province.receivers {
		h.receiveAll(t.Context(), clients, &h.province.receivers[i], acks)
	}
	return time.Since(began)
}

// settleAfter lets the jobs of the last crash run out: every acknowledged send must arrive.
func (h *crashHub) settleAfter(t *testing.T, acks *acknowledged) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	clerk, err := h.client(ctx, h.province.sender.clerk, httpClient())
	if err != nil {
		t.Fatal(err)
	}
	for id := range acks.sent {
		if err := poll(ctx, "arrival of "+string(id), func() (bool, error) {
			list, err := clerk.deliveries(ctx, id)
			return err == nil && !slices.ContainsFunc(list, func(d exchange.Delivery) bool { return d.Status == "" }), err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *crashHub) compare(t *testing.T, acks *acknowledged) {
	t.Helper()
	ctx := t.Context()
	clerk, err := h.client(ctx, h.province.sender.clerk, httpClient())
	if err != nil {
		t.Fatal(err)
	}
	order := []exchange.State{exchange.StateDraft, exchange.StateInitialled, exchange.StateApproved, exchange.StateSealed, exchange.StateSent}
	for id, state := range acks.drafted {
		doc, err := clerk.document(ctx, id)
		if err != nil {
			t.Errorf("acknowledged document is gone: %v", err)
			continue
		}
		if slices.Index(order, doc.State) < slices.Index(order, state) {
			t.Errorf("document %s is %s, acknowledged was %s", id, doc.State, state)
		}
	}
	h.compareNumbers(t, clerk, acks)
	for i := range h.province.receivers {
		h.compareArrivals(t, &h.province.receivers[i], acks)
	}
	h.compareMail(t, acks)
}

func (h *crashHub) compareNumbers(t *testing.T, clerk *apiClient, acks *acknowledged) {
	t.Helper()
	var register listed[exchange.OutgoingEntry]
	if err := clerk.get(t.Context(), fmt.Sprintf("/registers/outgoing?year=%d", time.Now().In(vietnam()).Year()), &register); err != nil {
		t.Fatal(err)
	}
	byNumber := make(map[int]exchange.OutgoingEntry)
	highest := 0
	for _, line := range register.Items {
		if _, twice := byNumber[line.Number]; twice {
			t.Errorf("number %d stands twice in the register", line.Number)
		}
		byNumber[line.Number] = line
		highest = max(highest, line.Number)
	}
	for n := 1; n <= highest; n++ {
		if _, ok := byNumber[n]; !ok {
			t.Errorf("number %d is missing from the register", n)
		}
	}
	for n, id := range acks.numbers {
		if byNumber[n].Document != id {
			t.Errorf("number %d was acknowledged for %s, the register has %q", n, id, byNumber[n].Document)
		}
	}
}

func (h *crashHub) compareArrivals(t *testing.T, o *office, acks *acknowledged) {
	t.Helper()
	clerk, err := h.client(t.Context(), o.clerk, httpClient())
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[exchange.DocumentID]int)
	for after := ""; ; {
		var page listed[exchange.Incoming]
		if err := clerk.get(t.Context(), "/incoming?limit=200&after="+after, &page); err != nil {
			t.Fatal(err)
		}
		for _, in := range page.Items {
			seen[in.Document]++
			if n, ok := acks.registered[in.ID]; ok && in.ArrivalNumber != n {
				t.Errorf("incoming %s has arrival number %d, acknowledged was %d", in.ID, in.ArrivalNumber, n)
			}
			if acks.finished[in.ID] && in.Status != exchange.StatusFinished {
				t.Errorf("incoming %s is %s, acknowledged was finished", in.ID, in.Status)
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	for id := range acks.sent {
		if seen[id] != 1 {
			t.Errorf("%s: document %s is there %d times", o.agency.ID, id, seen[id])
		}
	}
}

func (h *crashHub) compareMail(t *testing.T, acks *acknowledged) {
	t.Helper()
	identity, err := loadIdentity(h.dir, h.config.Name, "", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	to := h.province.receivers[0].officer
	session, err := dialIMAP(t.Context(), h.config.Listen.IMAPTLS, clientTLS(identity.authority.Certificate()), to.Mail, to.password)
	if err != nil {
		t.Fatal(err)
	}
	subjects, err := session.subjects()
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for _, subject := range subjects {
		count[strings.TrimSpace(subject)]++
	}
	for subject := range acks.mails {
		if count[subject] != 1 {
			t.Errorf("mail %q is there %d times", subject, count[subject])
		}
	}
}
