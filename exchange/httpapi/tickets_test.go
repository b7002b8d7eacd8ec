package httpapi

import (
	"crypto/rand"
	"io"
	"net/http"
	"testing"

	certs "vanthu/certs-testdata"
	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/keys"
)

// TestTicketOverTheAPI: a ticket goes out, a tampered return is refused, the right one signs, once; a file signed with
// another program comes back by the other door.
func TestTicketOverTheAPI(t *testing.T) {
	w := newWorld(t)
	signer, chain := certs.Identity(t, certs.OfficialEC)
	key, err := keys.New(signer, chain...)
	if err != nil {
		t.Fatal(err)
	}
	reg := w.registry()
	person, err := reg.PersonByLogin(t.Context(), testLogin)
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.AddCertificate(t.Context(), registry.System("test"), registry.PersonOwner(person.ID), key.Certificate); err != nil {
		t.Fatal(err)
	}
	begin := func() (string, exchange.Ticket) {
		var doc exchange.Document
		w.call(http.StatusCreated, http.MethodPost, "/api/v1/documents", nil, form(t, map[string]string{"type": "CV", "subject": "ký bằng thiết bị", "signer_name": "A"}, testPDF(t)), &doc)
		var ticket exchange.Ticket
		w.call(http.StatusCreated, http.MethodPost, "/api/v1/documents/"+string(doc.ID)+"/signing-tickets", nil,
			jsonBody(map[string]any{"step": "initial", "certificate": key.Certificate.Raw, "chain": [][]byte{key.Chain[0].Raw}}), &ticket)
		return string(doc.ID), ticket
	}
	_, ticket := begin()
	path := "/api/v1/signing-tickets/" + ticket.Ticket
	w.call(http.StatusUnprocessableEntity, http.MethodPost, "/api/v1/documents/"+string(ticket.Document)+"/signing-tickets", nil, jsonBody(map[string]any{"step": "initial", "certificate": []byte("x")}), nil)

	token := w.token
	w.token = "" // what follows is done by a program that holds nothing but the ticket
	var shown exchange.Ticket
	w.call(http.StatusOK, http.MethodGet, path, nil, content{}, &shown)
	if shown.Subject != "ký bằng thiết bị" || shown.Certificate != registry.Fingerprint(key.Certificate) {
		t.Errorf("shown: %+v", shown)
	}
	value, err := key.Signer.Sign(rand.Reader, shown.ToSign, signing.HashByName(shown.Hash))
	if err != nil {
		t.Fatal(err)
	}
	value[len(value)-1] ^= 1
	w.call(http.StatusUnprocessableEntity, http.MethodPost, path, nil, jsonBody(map[string]any{"signature": value}), nil)
	value[len(value)-1] ^= 1
	var done struct {
		Document exchange.Document
		Report   signing.Report
	}
	w.call(http.StatusOK, http.MethodPost, path, nil, jsonBody(map[string]any{"signature": value}), &done)
	if done.Document.State != exchange.StateInitialled || done.Report.Verdict != signing.TotalPassed {
		t.Errorf("%s, %s", done.Document.State, done.Report.Verdict)
	}
	w.call(http.StatusConflict, http.MethodPost, path, nil, jsonBody(map[string]any{"signature": value}), nil)
	w.call(http.StatusNotFound, http.MethodGet, "/api/v1/signing-tickets/x", nil, content{}, nil)
	w.call(http.StatusUnauthorized, http.MethodGet, path+"/pdf", nil, content{}, nil)
	w.token = token
	uploadSigned(t, w, begin, key)
}

func uploadSigned(t *testing.T, w *world, begin func() (string, exchange.Ticket), key *keys.Key) {
	t.Helper()
	_, ticket := begin()
	path := "/api/v1/signing-tickets/" + ticket.Ticket + "/pdf"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	response, err := w.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	given, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", response.Status, err)
	}
	signed, _, err := signing.SignAndCheck(t.Context(), given, signing.SignOptions{Key: key, Profile: signing.ProfileBB}, signing.VerifyOptions{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	changed := append([]byte(nil), signed...)
	changed[50] ^= 1
	w.call(http.StatusUnprocessableEntity, http.MethodPost, path, nil, form(t, nil, changed), nil)
	var done struct{ Document exchange.Document }
	w.call(http.StatusOK, http.MethodPost, path, nil, form(t, nil, signed), &done)
	if done.Document.State != exchange.StateInitialled {
		t.Errorf("state %s", done.Document.State)
	}
}

func TestTicketsAreNotLogged(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/signing-tickets/secret": "/api/v1/signing-tickets/*/", "/api/v1/signing-tickets/secret/pdf": "/api/v1/signing-tickets/*/pdf", "/api/v1/me": "/api/v1/me",
	} {
		if got := loggedPath(path); got != want {
			t.Errorf("%s is logged as %s", path, got)
		}
	}
}
