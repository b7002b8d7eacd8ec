package console

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// formMemory is how much of an upload stays in memory; the rest goes to a temporary file of the form parser.
const formMemory = 8 << 20

func (s *server) composePage(v *visit) error {
	body, err := v.composeBody(composeValues{Type: "CV", Priority: "0"})
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "compose", v.say("nav.compose"), *body)
}

func (v *visit) composeBody(values composeValues) (*composeBody, error) {
	body := &composeBody{Steps: v.steps("draft"), Limit: v.say("compose.limit", v.bytes(v.srv.cfg.MaxPDF)), Values: values,
		Errors: map[string]string{"pdf": "", "subject": "", "type": "", "notation": "", "due": ""}}
	for _, t := range exchange.DocTypes() {
		body.Types = append(body.Types, option{Value: t.Code, Label: v.typeName(t.Code), Selected: t.Code == values.Type})
	}
	for p := range 5 {
		n := strconv.Itoa(p)
		body.Priorities = append(body.Priorities, option{Value: n, Label: exchange.Priority(p).In(v.lang), Selected: n == values.Priority})
	}
	for _, c := range []string{"", "TM.", "Q.", "KT.", "TL.", "TUQ."} {
		key := c
		if key == "" {
			key = "none"
		}
		body.Competences = append(body.Competences, option{Value: c, Label: v.say("competence." + key), Selected: c == values.Competence})
	}
	people, err := v.srv.cfg.Registry.People(v.ctx(), v.actor.Agency)
	if err != nil {
		return nil, err
	}
	for _, p := range people {
		for _, r := range p.Roles {
			if r == registry.RoleLeader && !p.Disabled {
				body.Signers = append(body.Signers, option{Value: p.Name, Label: p.Position})
				if body.Values.Signer == "" {
					body.Values.Signer, body.Values.Position = p.Name, p.Position
				}
			}
		}
	}
	if a := v.agencyOf(v.actor.Agency); a != nil {
		body.Symbol = a.Symbol
	}
	return body, nil
}

func (s *server) compose(v *visit) error {
	if err := v.r.ParseMultipartForm(formMemory); err != nil {
		return formError(err)
	}
	defer func() { _ = v.r.MultipartForm.RemoveAll() }() // temporary files of the parser
	values := composeValues{Subject: v.line("subject"), Type: v.line("type"), Notation: v.line("notation"), Due: v.line("due"),
		Signer: v.line("signer"), Position: v.line("position"), Competence: v.line("competence"), Priority: v.line("priority")}
	in := exchange.DraftInput{Type: values.Type, Subject: values.Subject, Notation: values.Notation, SignerName: values.Signer,
		SignerPosition: values.Position, Competence: values.Competence}
	wrong := map[string]string{}
	if values.Subject == "" {
		wrong["subject"] = v.say("compose.subject.missing")
	}
	if values.Due != "" {
		due, err := time.ParseInLocation(time.DateOnly, values.Due, hanoi)
		if err != nil {
			wrong["due"] = v.say("compose.due.wrong")
		}
		in.Due = due
	}
	priority, err := strconv.Atoi(values.Priority)
	if err == nil {
		in.Priority = exchange.Priority(priority)
	}
	file, err := v.upload("pdf")
	if err != nil {
		return err
	}
	if file == nil {
		wrong["pdf"] = v.say("compose.pdf.missing")
	}
	if len(wrong) > 0 {
		return v.composeAgain(values, wrong, nil)
	}
	defer func() { _ = file.Close() }() // only read
	in.PDF = file
	d, err := s.cfg.Service.Draft(v.ctx(), v.actor, in)
	if err != nil {
		return v.composeAgain(values, nil, err)
	}
	return v.see(documentURL(d.ID), "draft")
}

// composeAgain shows the form with what was typed and what is wrong with it.
func (v *visit) composeAgain(values composeValues, wrong map[string]string, problem error) error {
	body, err := v.composeBody(values)
	if err != nil {
		return err
	}
	if problem != nil {
		return v.showWith("compose", v.say("nav.compose"), *body, problem)
	}
	p := v.screenPage(v.say("nav.compose"), nil)
	p.Problem = &problemView{Message: v.say("compose.problem"), Advice: v.say("compose.problem.advice")}
	for _, name := range []string{"pdf", "subject", "due"} {
		if m := wrong[name]; m != "" {
			body.Errors[name] = m
			p.Problem.Fields = append(p.Problem.Fields, fieldProblem{Name: name, Message: m})
		}
	}
	p.Body = *body
	return v.send(http.StatusUnprocessableEntity, "compose", p)
}

// upload gives the file of a field, nil when none was chosen.
func (v *visit) upload(field string) (multipart.File, error) {
	file, _, err := v.r.FormFile(field)
	switch {
	case errors.Is(err, http.ErrMissingFile):
		return nil, nil
	case err != nil:
		return nil, formError(err)
	}
	return file, nil
}

// readUpload reads the file of a field whole, with its name.
func (v *visit) readUpload(field string, limit int64) ([]byte, string, error) {
	file, header, err := v.r.FormFile(field)
	switch {
	case errors.Is(err, http.ErrMissingFile):
		return nil, "", nil
	case err != nil:
		return nil, "", formError(err)
	}
	defer func() { _ = file.Close() }() // only read
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(file, limit+1)); err != nil {
		return nil, "", err
	}
	if int64(b.Len()) > limit {
		return nil, "", &http.MaxBytesError{Limit: limit}
	}
	name := norm.NFC.String(header.Filename[strings.LastIndexAny(header.Filename, `/\`)+1:])
	return b.Bytes(), name, nil
}
