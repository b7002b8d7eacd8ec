package cscd

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/keys/csc"
	"vanthu/signing/pdf/pdftest"
	"vanthu/signing/pki"
	"vanthu/storage"
	"vanthu/storage/sqldb"
)

const (
	pin      = "73519284"
	password = "mat-khau-dang-nhap-1"
)

// office is a hub's registry with two people who have keys, and the service before it.
type office struct {
	t      *testing.T
	store  *storage.Store
	server *httptest.Server
	ca     *pki.Authority
	tokens map[string]string // by login
	now    time.Time
	log    bytes.Buffer
}

func newOffice(t *testing.T, kind pki.KeyType) *office {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	o := &office{t: t, tokens: map[string]string{}, now: time.Now()}
	dir := t.TempDir() + "/data"
	must(storage.Init(dir))
	var err error
	o.store, err = storage.Open(t.Context(), storage.Config{Dir: dir})
	must(err)
	t.Cleanup(func() { must(o.store.Close(context.Background())) })
	reg, err := registry.New(o.store.DB, registry.Options{})
	must(err)
	o.ca, err = pki.NewAuthority(pkix.Name{CommonName: "Gốc thử nghiệm"}, pki.Options{})
	must(err)
	by := registry.System("test")
	must(reg.AddAgency(t.Context(), by, registry.Agency{ID: "H03", Name: "Ủy ban nhân dân tỉnh", Symbol: "UBND"}))
	set := func(owner registry.Owner, name string) {
		key, err := o.ca.Issue(pki.IssueRequest{Subject: pkix.Name{CommonName: name}, Usage: pki.UsagePerson, KeyType: kind})
		must(err)
		p12, err := key.ToPKCS12(pin)
		must(err)
		must(reg.SetKey(t.Context(), by, owner, p12, pin))
	}
	set(registry.AgencyOwner("H03"), "Ủy ban nhân dân tỉnh")
	for login, role := range map[string]registry.Role{"hai": registry.RoleLeader, "mai": registry.RoleClerk} {
		p, err := reg.AddPerson(t.Context(), by, registry.Person{Login: login, Name: login, Agency: "H03", Roles: []registry.Role{role}}, password)
		must(err)
		set(registry.PersonOwner(p.ID), login)
		o.tokens[login], _, err = reg.Login(t.Context(), login, password, "127.0.0.1")
		must(err)
	}
	server, err := New(Config{Registry: reg, DB: o.store.DB, Ledger: o.store.Ledger, Name: "thử", Now: func() time.Time { return o.now },
		Logger: slog.New(slog.NewTextHandler(&o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	must(err)
	o.server = httptest.NewTLSServer(server)
	t.Cleanup(o.server.Close)
	return o
}

// call is one request of the API.
func (o *office) call(login, method string, in map[string]any) (status int, out map[string]any) {
	o.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		o.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, o.server.URL+Path+method, bytes.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+o.tokens[login])
	response, err := o.server.Client().Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		o.t.Fatal(err)
	}
	return response.StatusCode, out
}

func (o *office) mine(login string) string {
	o.t.Helper()
	_, out := o.call(login, "credentials/list", map[string]any{})
	list, _ := out["credentialIDs"].([]any)
	if len(list) == 0 {
		o.t.Fatalf("%s has no credentials: %v", login, out)
	}
	id, _ := list[0].(string)
	return id
}

// evidence are the kinds of what was recorded for a credential, in order.
func (o *office) evidence(credential string) string {
	o.t.Helper()
	var kinds []string
	err := o.store.DB.View(o.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		records, err := o.store.Ledger.Entries(ctx, tx, credential)
		kinds = nil
		for _, r := range records {
			kinds = append(kinds, r.Kind)
			if strings.Contains(string(r.Body), pin) {
				o.t.Error("the PIN stands in the evidence")
			}
		}
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return strings.Join(kinds, " ")
}

// TestRoundTrip: our own client signs a PDF by the service, and our verdict passes it.
func TestRoundTrip(t *testing.T) {
	for name, kind := range map[string]pki.KeyType{"P-256": pki.P256, "RSA": pki.RSA2048} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, kind)
			client, err := csc.New(csc.Options{URL: o.server.URL + "/csc/v2", Token: o.tokens["hai"], PIN: pin, Transport: o.server.Client().Transport})
			if err != nil {
				t.Fatal(err)
			}
			ids, err := client.Credentials(t.Context())
			if err != nil || len(ids) != 1 {
				t.Fatalf("%v %v", ids, err)
			}
			key, err := client.Key(t.Context(), ids[0])
			if err != nil {
				t.Fatal(err)
			}
			_, report, err := signing.SignAndCheck(t.Context(), pdftest.New(pdftest.Options{}).Bytes(pdftest.Table), signing.SignOptions{Key: key, Profile: signing.ProfileBB},
				signing.VerifyOptions{Trust: o.ca.Trust(), Offline: true})
			if err != nil || report.Verdict != signing.TotalPassed {
				t.Fatalf("%v %+v", err, report)
			}
			if got := o.evidence(ids[0]); got != "key.authorized key.signing key.signed" {
				t.Errorf("evidence: %s", got)
			}
			if strings.Contains(o.log.String(), pin) {
				t.Error("the PIN was logged")
			}
		})
	}
	o := newOffice(t, pki.P256)
	if status, out := o.call("", "info", map[string]any{}); status != http.StatusOK || out["specs"] == "" {
		t.Errorf("info: %d %v", status, out)
	}
	if _, out := o.call("mai", "credentials/list", map[string]any{}); len(out["credentialIDs"].([]any)) != 2 {
		t.Errorf("a clerk has the own key and the seal: %v", out)
	}
}

// TestRefused: wrong SAD, one used before, another's, for other hashes, too many hashes, and wrong PINs.
func TestRefused(t *testing.T) {
	o := newOffice(t, pki.P256)
	id := o.mine("hai")
	const sha = "2.16.840.1.101.3.4.2.1"
	first, second := sha256.Sum256([]byte("một")), sha256.Sum256([]byte("hai"))
	hashes := func(list ...[32]byte) (out [][]byte) {
		for i := range list {
			out = append(out, list[i][:])
		}
		return out
	}
	grant := func(list [][]byte, with string) (int, map[string]any) {
		return o.call("hai", "credentials/authorize", map[string]any{"credentialID": id, "numSignatures": len(list), "hashes": list, "hashAlgorithmOID": sha,
			"authData": []map[string]string{{"id": "PIN", "value": with}}})
	}
	sign := func(login, sad string, list [][]byte) int {
		status, out := o.call(login, "signatures/signHash", map[string]any{"credentialID": id, "SAD": sad, "hashes": list, "hashAlgorithmOID": sha, "signAlgo": "1.2.840.10045.4.3.2"})
		if values, _ := out["signatures"].([]any); (status == http.StatusOK) != (len(values) == len(list)) {
			t.Errorf("%d with %v", status, out)
		}
		return status
	}
	sad := func(list ...[32]byte) string {
		t.Helper()
		status, out := grant(hashes(list...), pin)
		if status != http.StatusOK {
			t.Fatalf("%d %v", status, out)
		}
		return out["SAD"].(string)
	}
	both := sad(first, second)
	for name, got := range map[string]int{
		"no SAD":        sign("hai", "", hashes(first)),
		"a guess":       sign("hai", rand.Text(), hashes(first)),
		"another's":     sign("mai", both, hashes(first, second)),
		"other hash":    sign("hai", sad(first), hashes(second)),
		"one of two":    sign("hai", sad(first, second), hashes(first)),
		"one twice":     sign("hai", sad(first, second), hashes(first, first)),
		"one more":      sign("hai", sad(first), hashes(first, second)),
		"short hash":    sign("hai", sad(first), [][]byte{first[:31]}),
		"unknown token": sign("nobody", sad(first), hashes(first)),
	} {
		if got == http.StatusOK {
			t.Errorf("%s: signed", name)
		}
	}
	if got := sign("hai", both, hashes(second, first)); got != http.StatusOK {
		t.Errorf("the right one: %d", got)
	}
	if got := sign("hai", both, hashes(first, second)); got == http.StatusOK {
		t.Error("an authorisation was used twice")
	}
	late := sad(first)
	o.now = o.now.Add(sadLife)
	if got := sign("hai", late, hashes(first)); got == http.StatusOK {
		t.Error("an authorisation that had expired was used")
	}
	many := make([][]byte, MaxHashes+1)
	for i := range many {
		many[i] = first[:]
	}
	if status, _ := grant(many, pin); status == http.StatusOK {
		t.Error("too many hashes were authorised")
	}
	for range maxFailures {
		if status, out := grant(hashes(first), "00000000"); status == http.StatusOK || out["error"] != "invalid_pin" {
			t.Errorf("a wrong PIN: %d %v", status, out)
		}
	}
	if status, _ := grant(hashes(first), pin); status != http.StatusTooManyRequests {
		t.Errorf("after too many wrong PINs: %d", status)
	}
	o.now = o.now.Add(failureTime + time.Second)
	if status, _ := grant(hashes(first), pin); status != http.StatusOK {
		t.Errorf("after the wait: %d", status)
	}
	if got := o.evidence(id); !strings.Contains(got, "key.refused") || strings.Count(got, "key.signing") != 1 || strings.Count(got, "key.signed") != 1 {
		t.Errorf("evidence: %s", got)
	}
}
