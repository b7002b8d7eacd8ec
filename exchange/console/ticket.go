package console

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing"
)

// Programs beside the browser that can sign, at the addresses where a page finds them.
const (
	// agentAddress is where `vanthu agent` listens.
	agentAddress = "http://127.0.0.1:8989"
	// connectorAddress is where the signing service of the Government Cipher Committee listens (VGCA Sign Service), as
	// public integrations of it agree; its maker publishes no specification.
	connectorAddress = "wss://127.0.0.1:8987"
)

// ticketDoor is the address under which the connector, which has no session, fetches and gives back one file. What
// follows it is the ticket, which lives ten minutes, and a word that only a page of this console gives: whoever has the
// ticket by the API is not given the file.
const ticketDoor = "/sign/"

// doorOf is the connector's address for a ticket, "" of nothing that is one.
func (s *server) doorOf(secret string) string {
	mac := hmac.New(sha256.New, s.doorKey)
	mac.Write([]byte(secret))
	return ticketDoor + secret + "." + hex.EncodeToString(mac.Sum(nil)[:16])
}

// atDoor gives the ticket in the address of a request; its door must be ours.
func (v *visit) atDoor() (secret string, err error) {
	given := v.r.PathValue("ticket")
	secret, _, _ = strings.Cut(given, ".")
	if !hmac.Equal([]byte(v.srv.doorOf(secret)), []byte(ticketDoor+given)) {
		return "", errNoPage
	}
	_, err = v.srv.cfg.Service.OpenTicket(v.ctx(), secret)
	return secret, err
}

// loggedPath is a path without the ticket in it.
func loggedPath(path string) string {
	if rest, ok := strings.CutPrefix(path, ticketDoor); ok {
		_, door, _ := strings.Cut(rest, "/")
		return ticketDoor + "*/" + door
	}
	return path
}

func (s *server) ticketRoutes(mux *http.ServeMux) {
	mux.Handle("POST /documents/{id}/ticket", s.user(s.beginTicket))
	mux.Handle("POST /documents/{id}/ticket/pdf", s.user(s.ticketFile))
	mux.Handle("POST /documents/{id}/ticket/value", s.user(s.ticketValue))
	mux.Handle("POST /documents/{id}/ticket/upload", s.user(s.ticketUpload))
	mux.Handle("GET "+ticketDoor+"{ticket}/{file}", s.open(s.connectorFile))
	mux.Handle("POST "+ticketDoor+"{ticket}/upload", s.open(s.connectorUpload))
}

// ticketBody is the page on which one signature is made with a key that is elsewhere.
type ticketBody struct {
	URL, DocumentURL, Subject, Code, Step, StepName, Ticket string
	Certificate                                             string // SHA-256 of the one that must sign
	Agent, Connector, Method                                string
	File, Upload                                            string // for the connector
	Name                                                    string // of the file
	Limit                                                   string
	Facts                                                   []fact
	Certificates                                            []option // where the signer has several
}

// deviceAction offers to sign with a key that the hub does not hold.
func (v *visit) deviceAction(url, step string) action {
	return action{Key: "device-" + step, URL: url + "/ticket", Label: v.say("act.device", v.say("act."+step+".button")), Hint: v.say("act.device.hint"),
		Button: v.say("act.device.button"), Hidden: []fact{{"step", step}}}
}

// beginTicket gives a ticket and shows the ways to use it.
func (s *server) beginTicket(v *visit) error {
	if err := v.r.ParseForm(); err != nil {
		return formError(err)
	}
	in := exchange.TicketInput{Step: exchange.Step(v.r.PostFormValue("step")), Invisible: v.r.PostFormValue("invisible") != ""}
	known, err := v.signersCertificates(in.Step)
	if err != nil {
		return err
	}
	for i := range known {
		if known[i].Fingerprint == v.r.PostFormValue("certificate") {
			in.Certificate = known[i].Certificate
		}
	}
	ticket, err := s.cfg.Service.BeginSigning(v.ctx(), v.actor, v.documentID(), in)
	if err != nil {
		return v.document(v.documentID(), err)
	}
	return v.ticket(ticket, ticket.Ticket, nil)
}

// signersCertificates are those that may sign a step now, the newest first.
func (v *visit) signersCertificates(step exchange.Step) ([]registry.Certificate, error) {
	owner := registry.PersonOwner(v.actor.Person)
	if step == exchange.StepSeal {
		owner = registry.AgencyOwner(v.actor.Agency)
	}
	all, err := v.srv.cfg.Registry.Certificates(v.ctx(), owner)
	if err != nil {
		return nil, err
	}
	var valid []registry.Certificate
	for i := range all {
		if all[i].ValidAt(v.srv.cfg.Now()) {
			valid = append(valid, all[i])
		}
	}
	return valid, nil
}

// ticket shows the page of a ticket, with the problem that a return met.
func (v *visit) ticket(t *exchange.Ticket, secret string, problem error) error {
	known, err := v.signersCertificates(t.Step)
	if err != nil {
		return err
	}
	url := documentURL(t.Document)
	d, err := v.srv.cfg.Service.Document(v.ctx(), v.actor, t.Document)
	if err != nil {
		return err
	}
	name := plainName(pdfName(d.Code(), d.Type)) + ".pdf"
	step := string(t.Step)
	body := ticketBody{URL: url + "/ticket", DocumentURL: url, Subject: t.Subject, Code: v.code(d), Step: step, StepName: v.say("act." + step),
		Ticket: secret, Certificate: t.Certificate, Agent: v.srv.cfg.Agent, Connector: v.srv.cfg.Connector, Method: connectorMethod(t.Step),
		File: v.srv.doorOf(secret) + "/" + name, Upload: v.srv.doorOf(secret) + "/upload", Name: name, Limit: v.say("compose.limit", v.bytes(v.srv.cfg.MaxPDF))}
	signer := ""
	for i := range known {
		chosen := known[i].Fingerprint == t.Certificate
		label := known[i].Certificate.Subject.CommonName + " · " + v.say("ticket.until", day(known[i].Certificate.NotAfter))
		if chosen {
			signer = label
		}
		body.Certificates = append(body.Certificates, option{known[i].Fingerprint, label, chosen})
	}
	if len(body.Certificates) < 2 {
		body.Certificates = nil
	}
	body.Facts = facts(fact{v.say("ticket.certificate"), signer}, fact{v.say("ticket.digest", t.Hash), hex.EncodeToString(t.Digest)},
		fact{v.say("ticket.expires"), moment(t.Expires)})
	return v.showWith("ticket", body.StepName, body, problem)
}

// connectorMethod is the connector's word for a step.
func connectorMethod(step exchange.Step) string {
	if step == exchange.StepSeal {
		return "SignIssued"
	}
	return "SignApproved"
}

// heldTicket reads the ticket that a form carries; it must be of the document in the address, which the reader may see.
func (v *visit) heldTicket() (*exchange.Ticket, string, error) {
	secret := v.r.PostFormValue("ticket")
	t, err := v.srv.cfg.Service.OpenTicket(v.ctx(), secret)
	if err != nil {
		return nil, "", err
	}
	if t.Document != v.documentID() {
		return nil, "", errNoPage
	}
	if _, err := v.srv.cfg.Service.Document(v.ctx(), v.actor, t.Document); err != nil {
		return nil, "", err
	}
	return t, secret, nil
}

// returnedTo shows the result of a return: the signed document, or the ticket again with what was wrong.
func (v *visit) returnedTo(t *exchange.Ticket, secret string, err error) error {
	if err == nil {
		return v.see(documentURL(t.Document), string(t.Step))
	}
	if _, dead := v.srv.cfg.Service.OpenTicket(v.ctx(), secret); dead != nil {
		return v.document(t.Document, err) // the ticket cannot be used again
	}
	return v.ticket(t, secret, err)
}

// ticketFile gives the exact bytes that are to be signed elsewhere.
func (s *server) ticketFile(v *visit) error {
	if err := v.r.ParseForm(); err != nil {
		return formError(err)
	}
	t, secret, err := v.heldTicket()
	if err != nil {
		return v.document(v.documentID(), err)
	}
	return v.givenOut(secret, hex.EncodeToString(t.Digest))
}

func (v *visit) givenOut(secret, tag string) error {
	r, size, err := v.srv.cfg.Service.TicketPDF(v.ctx(), secret)
	if err != nil {
		return err
	}
	v.r.URL.RawQuery = url.Values{"download": {"1"}}.Encode()
	return v.pdf(r, size, v.say("ticket.file"), tag)
}

// ticketValue takes the signature that the agent made.
func (s *server) ticketValue(v *visit) error {
	if err := v.r.ParseForm(); err != nil {
		return formError(err)
	}
	t, secret, err := v.heldTicket()
	if err != nil {
		return v.document(v.documentID(), err)
	}
	var r signing.Returned
	if err := json.Unmarshal([]byte(`"`+v.r.PostFormValue("signature")+`"`), &r.Signature); err != nil || len(r.Signature) == 0 {
		return v.ticket(t, secret, s.told("ticket.value.bad"))
	}
	_, _, err = s.cfg.Service.FinishSigning(v.ctx(), secret, r)
	return v.returnedTo(t, secret, err)
}

// ticketUpload takes the whole file, signed by any program.
func (s *server) ticketUpload(v *visit) error {
	if err := v.r.ParseMultipartForm(formMemory); err != nil {
		return formError(err)
	}
	defer func() { _ = v.r.MultipartForm.RemoveAll() }() // temporary files of the parser
	t, secret, err := v.heldTicket()
	if err != nil {
		return v.document(v.documentID(), err)
	}
	data, _, err := v.readUpload("pdf", s.cfg.MaxPDF)
	if err != nil {
		return err
	}
	if data == nil {
		return v.ticket(t, secret, s.told("compose.pdf.missing"))
	}
	_, _, err = s.cfg.Service.UploadSigned(v.ctx(), secret, bytes.NewReader(data))
	return v.returnedTo(t, secret, err)
}

// connectorFile is what the connector fetches.
func (s *server) connectorFile(v *visit) error {
	secret, err := v.atDoor()
	if err != nil {
		return err
	}
	return v.givenOut(secret, v.id)
}

// connectorUpload is where the connector brings the signed file: the first file of the form, whatever its field is
// called. The rule is that of every other return. The answer has the members that public integrations of the connector
// give; a refusal is told in them, as the connector shows Message to the person.
func (s *server) connectorUpload(v *visit) error {
	answer := struct {
		Status                        int
		Message, FileName, FileServer string
	}{}
	if err := v.connectorReturn(); err != nil {
		told, ok := errors.AsType[*exchange.Error](err)
		if !ok {
			return err
		}
		message, advice, _ := told.Text(v.lang)
		answer.Status, answer.Message = 1, strings.TrimSpace(message+" "+advice)
		v.logged(statusOf(told.Kind), err)
	} else {
		answer.FileName, answer.FileServer = "signed.pdf", "signed.pdf"
	}
	v.w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(v.w).Encode(answer)
}

func (v *visit) connectorReturn() error {
	secret, err := v.atDoor()
	if err != nil {
		return err
	}
	parts, err := v.r.MultipartReader()
	if err != nil {
		return formError(err)
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return v.srv.told("compose.pdf.missing")
		}
		if err != nil {
			return formError(err)
		}
		if part.FileName() == "" {
			continue
		}
		_, _, err = v.srv.cfg.Service.UploadSigned(v.ctx(), secret, part)
		return err
	}
}
