package axis

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	certs "vanthu/certs-testdata"
	"vanthu/exchange"
	"vanthu/exchange/edxml"
	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/storage"
)

// recordedHeaders gives the headers of a recorded call in their order and spelling.
func recordedHeaders(t *testing.T, name string) (order []string, values map[string]string) {
	t.Helper()
	data, err := os.ReadFile(name)
	check(t, err)
	head, _, _ := strings.Cut(string(data), "\n\n")
	values = map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(head))
	lines.Scan()
	for lines.Scan() {
		if key, value, ok := strings.Cut(strings.TrimRight(lines.Text(), "\r"), ": "); ok {
			order = append(order, key)
			values[key] = value
		}
	}
	return order, values
}

// TestCallsLikeTheNationalClient compares what our client sends with what the national client was seen to send: the same
// headers in the same spelling, the same parameters signed in the same order, the signature over the text that travels.
func TestCallsLikeTheNationalClient(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "corpus", "edxml")
	if _, err := os.Stat(filepath.Join(dir, "wire")); err != nil {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "corpus") {
			t.Fatal("corpus not found at ../shared/corpus")
		}
		t.Skip("corpus not found at ../shared/corpus")
	}
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		fmt.Fprint(w, `{"status":"OK","ErrorCode":"0","ErrorDesc":"","DocId":"1","data":""}`)
	}))
	defer server.Close()
	secret := []byte("test-secret")
	c := &Client{URL: server.URL, System: "vxp.test.01", Secret: secret, HTTP: http.DefaultClient, Now: time.Now, Most: 1 << 20}
	packet, err := os.ReadFile(filepath.Join(dir, "01_edoc_new_pdf_docx.edxml"))
	check(t, err)
	sum := sha256.Sum256(packet)
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"01_getAgenciesList.txt": func() error { _, err := c.Agencies(ctx); return err },
		"03_sendEdoc.txt": func() error {
			_, err := c.Send(ctx, "H03", edxml.KindDocument, bytes.NewReader(packet), int64(len(packet)), sum[:])
			return err
		},
		"05_getReceivedEdocList.txt": func() error { _, err := c.Received(ctx, edxml.KindDocument); return err },
		"07_getEdoc.txt":             func() error { _, err := c.Fetch(ctx, "1"); return err },
		"08_updateStatus.txt":        func() error { return c.UpdateStatus(ctx, "1", "done") },
	} {
		check(t, call())
		order, values := recordedHeaders(t, filepath.Join(dir, "wire", name))
		for _, key := range order {
			if strings.HasPrefix(key, headerPrefix) && got.Header.Get(key) == "" {
				t.Errorf("%s: the header %s is missing", name, key)
			}
		}
		for _, key := range []string{"Content-Type", "User-Agent", "XroadVnpt-version", "XroadVnpt-hash-file", "XroadVnpt-from", "XroadVnpt-docId", "XroadVnpt-status", "XroadVnpt-messagetype"} {
			if got.Header.Get(key) != values[key] {
				t.Errorf("%s: %s is %q, recorded %q", name, key, got.Header.Get(key), values[key])
			}
		}
		names := func(list string) []string {
			out := strings.Split(list, ";")
			slices.Sort(out) // the recorded order is a hash map's
			return out
		}
		if a, b := names(got.Header.Get(headerPrefix+"sign-header-key")), names(values[headerPrefix+"sign-header-key"]); !slices.Equal(a, b) {
			t.Errorf("%s: signed are %v, recorded %v", name, a, b)
		}
		signed := got.Header.Get(headerPrefix + "sign-header")
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		if got.Header.Get(headerPrefix+"hash-header") != hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("%s: the signature is not over the text that came", name)
		}
		var told map[string]string
		check(t, json.Unmarshal([]byte(signed), &told))
		for key, value := range told {
			if got.Header.Get(key) != value {
				t.Errorf("%s: %s is %q, signed %q", name, key, got.Header.Get(key), value)
			}
		}
		if name == "03_sendEdoc.txt" && (!bytes.Equal(body, append(bytes.Clone(packet), "\r\n"...)) || fmt.Sprint(len(body)) != values["Content-Length"]) {
			t.Errorf("%s: another body of %d bytes, recorded %s", name, len(body), values["Content-Length"])
		}
	}
	if _, err := c.Send(ctx, "Sở", edxml.KindDocument, bytes.NewReader(nil), 0, sum[:]); err == nil {
		t.Error("a parameter that is not ASCII is sent, which breaks the signature")
	}
}

// newProvince is a hub with the agency H26 of its own, which connects to the axis of an office as a client.
func newProvince(t *testing.T, o *office) (*Server, *exchange.Service, map[registry.Role]registry.Actor) {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	check(t, storage.Init(dir))
	store, err := storage.Open(ctx, storage.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	check(t, err)
	t.Cleanup(func() { check(t, store.Close(ctx)) })
	reg, err := registry.New(store.DB, registry.Options{Now: time.Now})
	check(t, err)
	receipt := o.key(certs.SealSecond)
	service, err := exchange.New(exchange.Config{Store: store, Registry: reg, Trust: &pki.Trust{Roots: certs.Roots(t)}, Offline: true, AllowTestKeys: true,
		ReceiptKey: func(context.Context, registry.AgencyID) (*keys.Key, error) { return receipt, nil }})
	check(t, err)
	system := registry.System("test")
	check(t, reg.AddAgency(ctx, system, registry.Agency{ID: "H26", Name: "UBND thành phố Hà Nội", Symbol: "UBND", Place: "Hà Nội"}))
	people := map[registry.Role]registry.Actor{}
	for _, role := range []registry.Role{registry.RoleClerk, registry.RoleLeader, registry.RoleOfficer} {
		p, err := reg.AddPerson(ctx, system, registry.Person{Login: string(role), Name: string(role), Agency: "H26", Roles: []registry.Role{role}}, "")
		check(t, err)
		people[role], err = reg.ActorOf(ctx, p.ID)
		check(t, err)
		check(t, reg.AddCertificate(ctx, system, registry.PersonOwner(p.ID), o.key(certs.LeaderEC).Certificate))
	}
	check(t, reg.AddCertificate(ctx, system, registry.AgencyOwner("H26"), o.key(certs.SealEC).Certificate))
	s, err := NewServer(Config{DB: store.DB, Blobs: store.Blobs, Jobs: store.Jobs, Registry: reg, Service: service, Key: make([]byte, 32), Dir: t.TempDir(), AskEvery: 200 * time.Millisecond})
	check(t, err)
	check(t, store.Start(ctx))
	return s, service, people
}

// TestConnectedToAnAxis: documents and statuses go both ways between a hub that is a client and the axis of another, each
// once, although the line drops answers.
func TestConnectedToAnAxis(t *testing.T) {
	ctx := t.Context()
	o := newOffice(t, false)
	check(t, o.server.cfg.Registry.AddAgency(ctx, registry.System("test"), registry.Agency{ID: "H26", Name: "UBND thành phố Hà Nội", Channel: exchange.ChannelAxis}))
	_, err := o.server.AddSystem(ctx, System{ID: "vanthu.hanoi", Agencies: []registry.AgencyID{"H26"}}, testSecret)
	check(t, err)
	var calls atomic.Int64
	line := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept := httptest.NewRecorder()
		o.server.ServeHTTP(kept, r)
		if n := calls.Add(1); n > 1 && n%3 == 0 { // done, and the answer lost
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(kept.Body.Bytes())
	}))
	t.Cleanup(line.Close)
	s, service, people := newProvince(t, o)
	if err := s.Connect(ctx, Link{ID: "truc", URL: line.URL + "/axis", System: "vanthu.hanoi"}, "wrong-secret-0000"); exchange.KindOf(err) != exchange.KindUnavailable {
		t.Fatalf("a wrong secret: %v", err)
	}
	calls.Store(0)
	check(t, s.Connect(ctx, Link{ID: "truc", URL: line.URL + "/axis", System: "vanthu.hanoi"}, testSecret))

	// Out: from H26 over the axis to H03, which lives on the hub of the axis.
	d, err := service.Draft(ctx, people[registry.RoleOfficer], exchange.DraftInput{Type: "CV", Subject: "Về việc kết nối", SignerName: "Nguyễn Văn A", SignerPosition: "Chủ tịch", PDF: bytes.NewReader(plainPDF())})
	check(t, err)
	d, _, err = service.Sign(ctx, people[registry.RoleLeader], d.ID, exchange.SignInput{Step: exchange.StepApprove, Key: o.key(certs.LeaderEC), Profile: signing.ProfileBB, Invisible: true})
	check(t, err)
	d, _, err = service.Sign(ctx, people[registry.RoleClerk], d.ID, exchange.SignInput{Step: exchange.StepSeal, Key: o.key(certs.SealEC), Profile: signing.ProfileBB, Invisible: true})
	check(t, err)
	d, _, err = service.Send(ctx, people[registry.RoleClerk], d.ID, []registry.AgencyID{"H03"})
	check(t, err)
	inbox := func(svc *exchange.Service, by registry.Actor) []exchange.Incoming {
		page, err := svc.Incomings(ctx, by, exchange.IncomingFilter{Limit: 100})
		check(t, err)
		return page.Items
	}
	until(t, "the document at H03", func() bool { return len(inbox(o.service, o.people[registry.RoleClerk])) > 0 })
	in := inbox(o.service, o.people[registry.RoleClerk])[0]
	if in.From != "H26" || in.Code != d.Code() || in.PDF.Digest != d.PDF.Digest {
		t.Errorf("arrived: %+v", in)
	}
	_, err = o.service.Register(ctx, o.people[registry.RoleClerk], in.ID)
	check(t, err)
	status := func() exchange.Delivery {
		list, err := service.Deliveries(ctx, people[registry.RoleClerk], d.ID)
		check(t, err)
		return list[0]
	}
	until(t, "the status 03", func() bool { return status().Status == exchange.StatusRegistered })

	// In: from a system of the axis to H26.
	a := o.client("vxp.test.01")
	packet := letter(t, o, "H03.12", 8, "H26")
	for range 2 { // the sender repeats
		if r := a.send(t, packet, "from", "H03.12", "messagetype", "edoc"); r.Status != "OK" {
			t.Fatalf("%+v", r)
		}
	}
	until(t, "the document at H26", func() bool { return len(inbox(service, people[registry.RoleClerk])) > 0 })
	got := inbox(service, people[registry.RoleClerk])
	if got[0].From != "H03.12" {
		t.Errorf("arrived: %+v", got)
	}
	_, err = service.Register(ctx, people[registry.RoleClerk], got[0].ID)
	check(t, err)
	until(t, "the statuses at the system", func() bool {
		list := a.call(t, "getReceivedEdocList", nil, "servicetype", "eDoc", "messagetype", "status").list(t)
		return len(list) >= 2
	})
	if n := len(inbox(service, people[registry.RoleClerk])); n != 1 {
		t.Errorf("%d documents at H26", n)
	}
	if n := len(inbox(o.service, o.people[registry.RoleClerk])); n != 1 {
		t.Errorf("%d documents at H03", n)
	}
	links, err := s.Links(ctx)
	check(t, err)
	if len(links) != 1 || links[0].Agencies < 3 {
		t.Errorf("%+v", links)
	}
	check(t, s.Disconnect(ctx, "truc"))
}
