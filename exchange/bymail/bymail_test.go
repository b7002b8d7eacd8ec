package bymail_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/exchange"
	"vanthu/exchange/bymail"
	"vanthu/exchange/registry"
	officemail "vanthu/mail"
	"vanthu/mail/outbound"
	"vanthu/mail/smtpd"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/storage"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func identity(tb testing.TB, name certs.Name) *keys.Key {
	tb.Helper()
	signer, chain := certs.Identity(tb, name)
	k, err := keys.New(signer, chain...)
	check(tb, err)
	return k
}

// world is a hub with one agency, and another mail domain on a server of its own with the mailboxes of agencies that have
// nothing else. Mail goes between the two over SMTP on loopback.
type world struct {
	t       *testing.T
	service *exchange.Service
	bridge  *bymail.Bridge
	mail    *officemail.Store
	mx      string // where the hub takes mail
	far     *officemail.Store
	pages   *httptest.Server
	people  map[registry.Role]registry.Actor
}

func open(t *testing.T) *storage.Store {
	t.Helper()
	dir := t.TempDir()
	check(t, storage.Init(dir))
	store, err := storage.Open(t.Context(), storage.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	check(t, err)
	t.Cleanup(func() { check(t, store.Close(context.Background())) })
	return store
}

func serveMX(t *testing.T, store *officemail.Store) string {
	t.Helper()
	server, err := smtpd.New(smtpd.Config{Store: store, Hostname: store.Hostname(), Insecure: true})
	check(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	go func() { _ = server.ServeMX(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{t: t, people: map[registry.Role]registry.Actor{}}
	other := open(t)
	var err error
	w.far, err = officemail.New(ctx, officemail.Config{DB: other.DB, Blobs: other.Blobs, Jobs: other.Jobs, Domains: []string{"xa.example"}})
	check(t, err)
	farMX := serveMX(t, w.far)

	store := open(t)
	w.mail, err = officemail.New(ctx, officemail.Config{DB: store.DB, Blobs: store.Blobs, Jobs: store.Jobs, Domains: []string{"tinh.example"}, Relay: true})
	check(t, err)
	w.mx = serveMX(t, w.mail)
	_, err = outbound.New(outbound.Config{Store: w.mail, Jobs: store.Jobs, Smarthost: "smtp://" + farMX + "?tls=none"})
	check(t, err)
	reg, err := registry.New(store.DB, registry.Options{Now: time.Now})
	check(t, err)
	receipt := identity(t, certs.SealSecond)
	w.service, err = exchange.New(exchange.Config{Store: store, Registry: reg, Trust: &pki.Trust{Roots: certs.Roots(t)}, Offline: true, AllowTestKeys: true,
		ReceiptKey: func(context.Context, registry.AgencyID) (*keys.Key, error) { return receipt, nil }})
	check(t, err)
	w.bridge, err = bymail.New(bymail.Config{DB: store.DB, Blobs: store.Blobs, Mail: w.mail, Registry: reg, Service: w.service, Key: make([]byte, 32),
		BaseURL: func() string { return w.pages.URL }, SigningKey: func(context.Context, registry.AgencyID) (*keys.Key, error) { return receipt, nil }})
	check(t, err)
	w.pages = httptest.NewServer(w.bridge.Handler())
	t.Cleanup(w.pages.Close)

	system := registry.System("test")
	check(t, reg.AddAgency(ctx, system, registry.Agency{ID: "H03", Name: "Ủy ban nhân dân tỉnh Thử", Symbol: "UBND", Place: "Thử", Mail: "vanthu.h03@tinh.example"}))
	for i := range 5 {
		check(t, reg.AddAgency(ctx, system, registry.Agency{ID: registry.AgencyID(fmt.Sprintf("H03.9%d", i)), Name: fmt.Sprintf("UBND xã %d", i),
			Parent: "H03", Channel: bymail.Channel, Mail: fmt.Sprintf("xa%d@xa.example", i)}))
		if i < 4 { // the fifth mailbox is not there
			_, err := w.far.AddAccount(ctx, officemail.Account{Address: officemail.Address(fmt.Sprintf("xa%d@xa.example", i))}, "mat-khau-xa-dai")
			check(t, err)
		}
	}
	_, err = w.mail.AddAccount(ctx, officemail.Account{Address: "vanthu.h03@tinh.example", Kind: officemail.KindOrganisation}, "mat-khau-tinh-dai")
	check(t, err)
	for _, role := range []registry.Role{registry.RoleClerk, registry.RoleLeader, registry.RoleOfficer} {
		p, err := reg.AddPerson(ctx, system, registry.Person{Login: string(role), Name: string(role), Agency: "H03", Roles: []registry.Role{role}}, "")
		check(t, err)
		w.people[role], err = reg.ActorOf(ctx, p.ID)
		check(t, err)
		check(t, reg.AddCertificate(ctx, system, registry.PersonOwner(p.ID), identity(t, certs.LeaderEC).Certificate))
	}
	check(t, reg.AddCertificate(ctx, system, registry.AgencyOwner("H03"), identity(t, certs.SealEC).Certificate))
	check(t, store.Start(context.WithoutCancel(ctx)))
	return w
}

func (w *world) sent(to ...registry.AgencyID) *exchange.Document {
	w.t.Helper()
	ctx := w.t.Context()
	d, err := w.service.Draft(ctx, w.people[registry.RoleOfficer], exchange.DraftInput{Type: "QĐ", Subject: "Về việc phòng, chống lụt bão",
		SignerName: "Hoàng Văn Mẫu", SignerPosition: "Chủ tịch", PDF: bytes.NewReader(plainPDF())})
	check(w.t, err)
	_, _, err = w.service.Sign(ctx, w.people[registry.RoleLeader], d.ID, exchange.SignInput{Step: exchange.StepApprove, Key: identity(w.t, certs.LeaderEC), Invisible: true})
	check(w.t, err)
	_, _, err = w.service.Sign(ctx, w.people[registry.RoleClerk], d.ID, exchange.SignInput{Step: exchange.StepSeal, Key: identity(w.t, certs.SealEC), Invisible: true})
	check(w.t, err)
	d, _, err = w.service.Send(ctx, w.people[registry.RoleClerk], d.ID, to)
	check(w.t, err)
	return d
}

func (w *world) await(what string, ready func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited for %s in vain", what)
		}
	}
}

// letter waits for the message in a far mailbox.
func (w *world) letter(i int) []byte {
	w.t.Helper()
	ctx := w.t.Context()
	account, err := w.far.Account(ctx, officemail.Address(fmt.Sprintf("xa%d@xa.example", i)))
	check(w.t, err)
	var raw []byte
	w.await("the letter", func() bool {
		box, err := w.far.Mailbox(ctx, account.ID, officemail.Inbox)
		check(w.t, err)
		list, err := w.far.List(ctx, box.ID, 0, 1)
		check(w.t, err)
		if len(list) == 0 {
			return false
		}
		body, err := w.far.Open(ctx, &list[0])
		check(w.t, err)
		raw, err = io.ReadAll(body)
		check(w.t, err)
		return true
	})
	return raw
}

// content gives the text and the attached document of a letter whose signature holds.
func (w *world) content(raw []byte) (text string, pdf []byte) {
	w.t.Helper()
	report, entity, err := signing.VerifyMessage(w.t.Context(), bytes.NewReader(raw), signing.VerifyOptions{Trust: &pki.Trust{Roots: certs.Roots(w.t)}, Offline: true})
	check(w.t, err)
	if report.Verdict != signing.TotalPassed {
		w.t.Fatalf("the letter's signature: %+v", report)
	}
	m, err := mail.ReadMessage(bytes.NewReader(entity))
	check(w.t, err)
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	check(w.t, err)
	parts := multipart.NewReader(m.Body, params["boundary"])
	var got [][]byte
	for {
		p, err := parts.NextPart()
		if err != nil {
			break
		}
		data, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
		check(w.t, err)
		got = append(got, data)
	}
	if len(got) != 2 {
		w.t.Fatalf("%d parts", len(got))
	}
	return string(got[0]), got[1]
}

var (
	linkOf = regexp.MustCompile(`http://[^\s]+`)
	codeOf = regexp.MustCompile(`\): (\d{8})`)
)

func (w *world) delivery(d *exchange.Document, to registry.AgencyID) exchange.Delivery {
	w.t.Helper()
	list, err := w.service.Deliveries(w.t.Context(), w.people[registry.RoleClerk], d.ID)
	check(w.t, err)
	for _, v := range list {
		if v.Recipient == to {
			return v
		}
	}
	w.t.Fatalf("no delivery to %s", to)
	return exchange.Delivery{}
}

func (w *world) kinds(d *exchange.Document) map[string]int {
	w.t.Helper()
	events, err := w.service.Timeline(w.t.Context(), w.people[registry.RoleClerk], d.ID)
	check(w.t, err)
	out := map[string]int{}
	for _, e := range events {
		out[e.Kind]++
	}
	return out
}

func (w *world) call(method, link string, form url.Values) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, link, strings.NewReader(form.Encode()))
	check(w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(r)
	check(w.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(w.t, err)
	return answer.StatusCode, string(body)
}

// TestConfirmAndRefuse: a person with the letter confirms or refuses; a link scanner does not count.
func TestConfirmAndRefuse(t *testing.T) {
	w := newWorld(t)
	d := w.sent("H03.90", "H03.91", "H03.92")
	text, pdf := w.content(w.letter(0))
	if v := w.delivery(d, "H03.90"); v.Status != "" || !bytes.HasPrefix(pdf, []byte("%PDF")) {
		t.Fatalf("%+v", v)
	}
	link, code := linkOf.FindString(text), codeOf.FindStringSubmatch(text)[1]
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodGet} { // the scanner
		if status, body := w.call(method, link, nil); status != http.StatusOK || strings.Contains(body, code) {
			t.Fatalf("%s: %d %s", method, status, body)
		}
	}
	// A scanner that posts what the page offers has no code.
	if status, _ := w.call(http.MethodPost, link, url.Values{"act": {"confirm"}, "who": {"robot"}}); status != http.StatusForbidden {
		t.Errorf("without the code: %d", status)
	}
	if v := w.delivery(d, "H03.90"); v.Status != "" || v.Transport == exchange.TransportDone {
		t.Fatalf("a scanner counted as a receipt: %+v", v)
	}
	if status, _ := w.call(http.MethodPost, link, url.Values{"act": {"confirm"}, "code": {code}}); status != http.StatusUnprocessableEntity {
		t.Errorf("without a name: %d", status)
	}
	for _, want := range []int{http.StatusOK, http.StatusConflict} { // single use
		if status, body := w.call(http.MethodPost, link, url.Values{"act": {"confirm"}, "code": {code}, "who": {"Lò Thị Xã, văn thư"}}); status != want {
			t.Errorf("confirming: %d, want %d: %s", status, want, body)
		}
	}
	if v := w.delivery(d, "H03.90"); v.Status != exchange.StatusArrived || v.Transport != exchange.TransportDone || v.Channel != bymail.Channel {
		t.Errorf("after the confirmation: %+v", v)
	}

	text, _ = w.content(w.letter(1))
	link, code = linkOf.FindString(text), codeOf.FindStringSubmatch(text)[1]
	if status, _ := w.call(http.MethodPost, link, url.Values{"act": {"refuse"}, "code": {code}, "who": {"A"}}); status != http.StatusUnprocessableEntity {
		t.Errorf("refusing without a reason: %d", status)
	}
	if status, _ := w.call(http.MethodPost, link, url.Values{"act": {"refuse"}, "code": {code}, "who": {"A"}, "reason": {"gửi nhầm"}}); status != http.StatusOK {
		t.Errorf("refusing: %d", status)
	}
	if v := w.delivery(d, "H03.91"); v.Status != exchange.StatusRefused {
		t.Errorf("after the refusal: %+v", v)
	}

	text, _ = w.content(w.letter(2))
	link, code = linkOf.FindString(text), codeOf.FindStringSubmatch(text)[1]
	for range 5 {
		w.call(http.MethodPost, link, url.Values{"act": {"confirm"}, "code": {"00000000"}, "who": {"A"}})
	}
	if status, _ := w.call(http.MethodPost, link, url.Values{"act": {"confirm"}, "code": {code}, "who": {"A"}}); status != http.StatusConflict {
		t.Errorf("after five wrong codes: %d", status)
	}
	if status, _ := w.call(http.MethodGet, w.pages.URL+"/mail/aaaaaaaaaaaaaaaa", nil); status != http.StatusNotFound {
		t.Errorf("a link that nobody got: %d", status)
	}
}

// returnPath is the envelope sender that a letter was sent with.
func returnPath(t *testing.T, raw []byte) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	check(t, err)
	return strings.Trim(m.Header.Get("Return-Path"), "<>")
}

// inject gives a message to the hub's mail server with swaks, a program that is not ours.
func (w *world) inject(to, data string) {
	w.t.Helper()
	host, port, err := net.SplitHostPort(w.mx)
	check(w.t, err)
	cmd := exec.CommandContext(w.t.Context(), "swaks", "--server", host, "--port", port, "--from", "<>", "--to", to, "--data", "-", "--suppress-data")
	cmd.Stdin = strings.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("swaks: %v\n%s", err, out)
	}
}

func report(kind, fields string) string {
	return "From: MAILER-DAEMON@xa.example\nTo: x\nSubject: report\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=" + kind + "; boundary=b\n\n" +
		"--b\nContent-Type: text/plain\n\nreport\n--b\nContent-Type: message/" + kind + "\n\n" + fields + "\n--b--\n"
}

// TestReports: what mail systems and programs send back. A bounce after acceptance and a full mailbox end the delivery as
// negative evidence that says what to do; a delay, an automatic answer and a disposition do not.
func TestReports(t *testing.T) {
	w := newWorld(t)
	d := w.sent("H03.90", "H03.91")
	ctx := t.Context()
	quiet := returnPath(t, w.letter(0))
	for name, data := range map[string]string{
		"auto-reply": "From: xa0@xa.example\nSubject: Vắng mặt\nAuto-Submitted: auto-replied\n\nTôi đi vắng.\n",
		"delay":      report("delivery-status", "Reporting-MTA: dns; xa.example\n\nFinal-Recipient: rfc822; xa0@xa.example\nAction: delayed\nStatus: 4.2.2\n"),
		"displayed":  report("disposition-notification", "Final-Recipient: rfc822; xa0@xa.example\nDisposition: manual-action/MDN-sent-manually; displayed\n"),
	} {
		w.inject(quiet, data)
		check(t, w.bridge.ReadReports(ctx))
		if v := w.delivery(d, "H03.90"); v.Status != "" || v.Transport != exchange.TransportProcessing {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if got := w.kinds(d)["delivery.reported"]; got != 2 {
		t.Errorf("%d reports in the evidence, want those of the delay and the disposition", got)
	}
	// A report to a tag that was never given out, and one to the account itself, are about nothing.
	failed := report("delivery-status", "Reporting-MTA: dns; xa.example\n\nFinal-Recipient: rfc822; xa1@xa.example\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 mailbox full\n")
	w.inject("vanthu.h03+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@tinh.example", failed)
	w.inject("vanthu.h03@tinh.example", failed)
	check(t, w.bridge.ReadReports(ctx))
	if v := w.delivery(d, "H03.91"); v.Transport == exchange.TransportFail {
		t.Errorf("a report about nothing ended a delivery: %+v", v)
	}
	text, _ := w.content(w.letter(1)) // accepted, then bounced
	w.inject(returnPath(t, w.letter(1)), failed)
	check(t, w.bridge.ReadReports(ctx))
	check(t, w.bridge.ReadReports(ctx)) // once
	if v := w.delivery(d, "H03.91"); v.Transport != exchange.TransportFail || !strings.Contains(v.LastError, "Hộp thư nơi nhận đầy") {
		t.Errorf("a full mailbox: %+v", v)
	}
	if status, body := w.call(http.MethodGet, linkOf.FindString(text), nil); status != http.StatusOK || strings.Contains(body, "<form") {
		t.Errorf("the page of a letter that bounced: %d", status)
	}
	// The mailbox that is not there: the far server refuses, our own mail system reports.
	gone := w.sent("H03.94")
	w.await("the bounce", func() bool {
		check(t, w.bridge.ReadReports(ctx))
		return w.delivery(gone, "H03.94").Transport == exchange.TransportFail
	})
	if v := w.delivery(gone, "H03.94"); !strings.Contains(v.LastError, "Địa chỉ thư nơi nhận không còn") {
		t.Errorf("a mailbox that is not there: %+v", v)
	}
	if got := w.kinds(d); got["delivery.failed"] != 1 || got["delivery.carried"] != 2 {
		t.Errorf("evidence: %v", got)
	}
}
func plainPDF() []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n")
	var at []int
	for i, body := range []string{"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>"} {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, body)
	}
	start := b.Len()
	b.WriteString("xref\n0 4\n0000000000 65535 f \n")
	for _, a := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", a)
	}
	fmt.Fprintf(&b, "trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", start)
	return b.Bytes()
}
