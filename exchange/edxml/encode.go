package edxml

import (
	"archive/zip"
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"
)

// Encode writes the packet as the national library writes it: elements in its order and with its prefixes, CRLF, empty
// texts left out, numbers always there. Files are read as they are written, so that memory does not grow with them.
// A text that XML cannot hold, an unsafe file name or a packet without header or status is a *Refusal.
func Encode(w io.Writer, p *Packet) error {
	e := &encoder{w: bufio.NewWriterSize(w, 64<<10)}
	e.raw(`<?xml version="1.0" encoding="UTF-8"?>`)
	e.line()
	e.raw(`<edXML xmlns="` + Namespace + `">`)
	e.level = 1
	e.open("edXML:edXMLEnvelope", `xmlns:edXML="`+Namespace+`"`)
	e.open("edXML:edXMLHeader", "")
	switch {
	case p.Kind == KindStatus && p.Status != nil:
		e.status(p.Status)
		e.shut("edXML:edXMLHeader")
	case p.Kind == KindDocument && p.Header != nil:
		e.header(p.Header)
		e.trace(p)
		e.shut("edXML:edXMLHeader")
		e.manifest(p.Attachments)
	default:
		return refuse(Missing, "MessageHeader", "is missing: kind %q", p.Kind)
	}
	e.shut("edXML:edXMLEnvelope")
	if p.Kind == KindDocument {
		e.attachments(p.Attachments)
	}
	e.level = 0
	e.line()
	e.raw("</edXML>")
	e.line()
	if e.err != nil {
		return e.err
	}
	if err := e.w.Flush(); err != nil {
		return fmt.Errorf("writing an edXML packet: %w", err)
	}
	return nil
}

// encoder writes elements and keeps the first error.
type encoder struct {
	w     *bufio.Writer
	level int
	err   error
}

func (e *encoder) raw(s string) {
	if e.err == nil {
		_, e.err = e.w.WriteString(s)
	}
}

func (e *encoder) line() { e.raw("\r\n" + strings.Repeat("  ", e.level)) }

func (e *encoder) open(name, attributes string) {
	e.line()
	if attributes != "" {
		name += " " + attributes
	}
	e.raw("<" + name + ">")
	e.level++
}

func (e *encoder) shut(name string) {
	e.level--
	e.line()
	e.raw("</" + name + ">")
}

// named writes an element, empty or not.
func (e *encoder) named(name string, value Text) {
	e.line()
	e.raw("<" + name + ">" + e.escape(name, string(value)) + "</" + name + ">")
}

// text writes an element of the header's namespace unless it is empty.
func (e *encoder) text(name string, value Text) {
	if value != "" {
		e.named("edXML:"+name, value)
	}
}

func (e *encoder) number(name string, value int) { e.named("edXML:"+name, Text(strconv.Itoa(value))) }

func (e *encoder) escape(name, value string) string {
	value = norm.NFC.String(value)
	if e.err == nil && (!utf8.ValidString(value) || strings.ContainsFunc(value, notXML)) {
		e.err = refuse(BadValue, name, "holds a character that XML cannot hold")
	}
	return escaper().Replace(value)
}

func notXML(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff || r == utf8.RuneError
}

func escaper() *strings.Replacer {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")
}

func (e *encoder) organ(name string, o Organ) {
	e.open("edXML:"+name, "")
	e.text("OrganId", o.ID)
	e.text("OrganizationInCharge", o.InCharge)
	e.text("OrganName", o.Name)
	e.text("OrganAdd", o.Address)
	e.text("Email", o.Email)
	e.text("Telephone", o.Telephone)
	e.text("Fax", o.Fax)
	e.text("Website", o.Website)
	e.shut("edXML:" + name)
}

func (e *encoder) header(h *MessageHeader) {
	e.open("edXML:MessageHeader", "")
	e.organ("From", h.From)
	for _, to := range h.To {
		e.organ("To", to)
	}
	e.text("DocumentId", h.DocumentID)
	e.open("edXML:Code", "")
	e.text("CodeNumber", h.Code.Number)
	e.text("CodeNotation", h.Code.Notation)
	e.shut("edXML:Code")
	e.open("edXML:PromulgationInfo", "")
	e.text("Place", h.Promulgation.Place)
	e.text("PromulgationDate", h.Promulgation.Date)
	e.shut("edXML:PromulgationInfo")
	e.open("edXML:DocumentType", "")
	e.number("Type", h.Type.Type)
	e.number("TypeDetail", h.Type.Detail)
	e.text("TypeName", h.Type.Name)
	e.shut("edXML:DocumentType")
	e.text("Subject", h.Subject)
	e.text("Content", h.Content)
	if h.Signer != (Signer{}) {
		e.open("edXML:SignerInfo", "")
		e.text("Competence", h.Signer.Competence)
		e.text("Position", h.Signer.Position)
		e.text("FullName", h.Signer.FullName)
		e.shut("edXML:SignerInfo")
	}
	e.text("DueDate", h.Due)
	e.other(h.Other)
	for _, r := range h.ResponseFor {
		e.responseFor(r)
	}
	e.number("SteeringType", h.SteeringType)
	e.list("ResponseForTask", "TaskCode", h.ResponseForTask)
	e.text("ApplicationType", h.ApplicationType)
	e.list("ToPlaces", "Place", h.ToPlaces)
	e.shut("edXML:MessageHeader")
}

func (e *encoder) other(o OtherInfo) {
	e.open("edXML:OtherInfo", "")
	e.number("Priority", o.Priority)
	e.text("SphereOfPromulgation", o.Sphere)
	e.text("TyperNotation", o.TyperNotation)
	e.number("PromulgationAmount", o.Amount)
	e.number("PageAmount", o.Pages)
	e.text("ReplyFors", o.ReplyFors)
	e.named("edXML:Direction", Text(strconv.FormatBool(o.Direction)))
	e.text("ReferenceCodes", o.ReferenceCodes)
	e.list("Appendixes", "Appendix", o.Appendixes)
	e.shut("edXML:OtherInfo")
}

func (e *encoder) list(list, item string, values []Text) {
	if len(values) == 0 {
		return
	}
	e.open("edXML:"+list, "")
	for _, v := range values {
		e.named("edXML:"+item, v)
	}
	e.shut("edXML:" + list)
}

func (e *encoder) responseFor(r ResponseFor) {
	e.open("edXML:ResponseFor", "")
	e.text("OrganId", r.OrganID)
	e.text("Code", r.Code)
	e.text("DocumentId", r.DocumentID)
	e.text("PromulgationDate", r.Date)
	e.shut("edXML:ResponseFor")
}

func (e *encoder) staff(s Staff) {
	e.open("edXML:StaffInfo", "")
	e.text("Department", s.Department)
	e.text("DepartmentId", s.DepartmentID)
	e.text("Staff", s.Name)
	e.text("StaffId", s.StaffID)
	e.text("Email", s.Email)
	e.text("Mobile", s.Mobile)
	e.shut("edXML:StaffInfo")
}

func (e *encoder) trace(p *Packet) {
	if p.Business == nil && len(p.Trace) == 0 {
		return
	}
	e.open("edXML:TraceHeaderList", "")
	if b := p.Business; b != nil {
		e.business(b)
	}
	for _, hop := range p.Trace {
		e.open("edXML:TraceHeader", "")
		e.text("OrganId", hop.OrganID)
		e.text("Timestamp", hop.Timestamp)
		e.shut("edXML:TraceHeader")
	}
	e.shut("edXML:TraceHeaderList")
}

func (e *encoder) business(b *Business) {
	e.open("edXML:"+businessElement, "")
	e.text("DocumentId", b.DocumentID)
	e.text("BussinessDocType", b.DocType)
	e.text("BussinessDocReason", b.Reason)
	e.text("Paper", b.Paper)
	for _, c := range b.Changes {
		e.open("edXML:BussinessDocumentInfo", "")
		e.text("DocumentInfo", c.Document)
		e.text("DocumentReceiver", c.Receiver)
		if len(c.Receivers) > 0 {
			e.open("edXML:ReceiverList", "")
			for _, to := range c.Receivers {
				e.open("edXML:Receiver", "")
				e.text("OrganId", to.OrganID)
				e.text("ReceiverType", to.Type)
				e.shut("edXML:Receiver")
			}
			e.shut("edXML:ReceiverList")
		}
		e.shut("edXML:BussinessDocumentInfo")
	}
	if len(b.Replacements) > 0 {
		e.open("edXML:ReplacementInfoList", "")
		for _, r := range b.Replacements {
			e.open("edXML:ReplacementInfo", "")
			e.text("DocumentId", r.DocumentID)
			e.list("OrganIdList", "OrganId", r.OrganIDs)
			e.shut("edXML:ReplacementInfo")
		}
		e.shut("edXML:ReplacementInfoList")
	}
	for _, s := range b.Staff {
		e.staff(s)
	}
	e.shut("edXML:" + businessElement)
}

func (e *encoder) status(s *Status) {
	e.open("edXML:MessageHeader", "")
	e.organ("From", s.From)
	e.responseFor(s.ResponseFor)
	if s.Staff != nil {
		e.staff(*s.Staff)
	}
	e.text("StatusCode", s.Code)
	e.text("Description", s.Description)
	e.text("Timestamp", s.Timestamp)
	e.shut("edXML:MessageHeader")
}

func (e *encoder) manifest(attachments []*Attachment) {
	e.open("edXML:edXMLBody", "")
	if len(attachments) == 0 {
		e.line()
		e.raw(`<edXML:edXMLManifest version="1.0" />`)
	} else {
		e.open("edXML:edXMLManifest", `version="1.0"`)
		for _, a := range attachments {
			e.open("edXML:Reference", "")
			e.text("ContentId", "cid:"+a.ContentID)
			e.text("ContentType", "application/zip") // whatever the file: readers go by the attachment's own
			e.text("Description", a.Description)
			e.text("AttachmentName", a.Name)
			e.shut("edXML:Reference")
		}
		e.shut("edXML:edXMLManifest")
	}
	e.shut("edXML:edXMLBody")
}

func (e *encoder) attachments(attachments []*Attachment) {
	if len(attachments) == 0 {
		e.line()
		e.raw("<AttachmentEncoded />")
		return
	}
	e.open("AttachmentEncoded", "")
	for _, a := range attachments {
		if unsafeName(string(a.Name)) && e.err == nil {
			e.err = refuse(UnsafeName, quoted(string(a.Name)), "has a name that leaves its folder")
		}
		kind, plain := plainType(string(a.Name))
		e.open("Attachment", "")
		e.named("ContentId", "cid:"+a.ContentID)
		e.named("AttachmentName", a.Name)
		if a.Description != "" {
			e.named("Description", a.Description)
		}
		e.named("ContentType", Text(kind))
		e.line()
		e.raw(`<edXML:` + contentElement + ` xmlns:edXML="` + Namespace + `">`)
		if e.err == nil {
			e.err = a.encode(e.w, plain)
		}
		e.raw(`</edXML:` + contentElement + `>`)
		e.shut("Attachment")
	}
	e.shut("AttachmentEncoded")
}

// plainType gives the packet's content type of a file and whether the file goes in as it is: pdf, doc, docx and zip do,
// everything else is zipped first.
func plainType(name string) (kind string, plain bool) {
	switch extension := strings.ToLower(strings.TrimPrefix(path.Ext(name), ".")); extension {
	case "pdf", "doc", "docx", "zip":
		return "application/" + extension, true
	}
	return "application/zip", false
}

func (a *Attachment) encode(w io.Writer, plain bool) error {
	in, err := a.Open()
	if err != nil {
		return fmt.Errorf("opening attachment %s: %w", a.Name, err)
	}
	out := base64.NewEncoder(base64.StdEncoding, w)
	if plain {
		_, err = io.Copy(out, in)
	} else {
		err = a.wrap(out, in)
	}
	if err = errors.Join(err, in.Close(), out.Close()); err != nil {
		return fmt.Errorf("writing attachment %s: %w", a.Name, err)
	}
	return nil
}

// wrap zips the file as an entry named by a UUID, made from its content id so that the same packet is the same bytes.
func (a *Attachment) wrap(w io.Writer, r io.Reader) error {
	archive := zip.NewWriter(w)
	name := uuid.NewSHA1(uuid.NameSpaceOID, []byte(a.ContentID)).String() + path.Ext(string(a.Name))
	entry, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		return err
	}
	if _, err := io.Copy(entry, r); err != nil {
		return err
	}
	return archive.Close()
}
