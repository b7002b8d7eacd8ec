package edxml

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
)

// Limits bound what Decode does for foreign bytes.
type Limits struct {
	Packet      int64  // bytes of the packet
	Header      int64  // bytes of the packet beside the attachments' text
	Attachment  int64  // bytes of one attachment, unpacked
	Attachments int    // count
	Recipients  int    // count
	Text        int    // bytes of one tag, text, comment
	Elements    int    // count
	Attributes  int    // of one element
	Depth       int    // of elements
	ZipEntries  int    // of a wrapped attachment
	ZipRatio    int64  // unpacked to packed
	Dir         string // where temporary files go; "" = the system's folder
}

// DefaultLimits are those of a hub: packets of 2 GiB, 10,000 recipients, 1,000 attachments.
func DefaultLimits() Limits {
	return Limits{Packet: 2 << 30, Header: 16 << 20, Attachment: 2 << 30, Attachments: 1000, Recipients: 10000, Text: 256 << 10, Elements: 200000,
		Attributes: 64, Depth: 32, ZipEntries: 1000, ZipRatio: 200}
}

// Decode reads one packet. What cannot be taken is a *Refusal; other errors are of reading or of the temporary files.
// The packet is the caller's to close.
func Decode(r io.Reader, limits Limits) (*Packet, error) {
	p := &Packet{}
	if err := p.decode(r, limits); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Packet) decode(r io.Reader, limits Limits) error {
	sum := sha256.New()
	counted := &countingReader{r: io.TeeReader(r, sum), limit: limits.Packet}
	in := bufio.NewReaderSize(counted, 64<<10)
	if mark, err := in.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		if _, err := in.Discard(3); err != nil {
			return err
		}
	}
	var contents []*spool
	g := &gate{r: in, limits: limits, content: func(text io.Reader) error {
		if len(contents) >= limits.Attachments {
			return refuse(TooLarge, "AttachmentEncoded", "has more than %d attachments", limits.Attachments)
		}
		s := newSpool(p, limits.Dir, limits.Attachment)
		if _, err := io.Copy(s, base64.NewDecoder(base64.StdEncoding, text)); err != nil {
			var corrupt base64.CorruptInputError
			if errors.As(err, &corrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
				return refuse(BadBase64, contentElement, "is not Base64: %v", err)
			}
			return err
		}
		contents = append(contents, s)
		return nil
	}}
	root, err := readTree(g, limits)
	if err != nil {
		return err
	}
	p.SHA256, p.Size = hex.EncodeToString(sum.Sum(nil)), counted.n
	return p.fill(root, contents, limits)
}

// countingReader counts and bounds the bytes of a packet.
type countingReader struct {
	r        io.Reader
	n, limit int64
}

// Read refuses what is over the limit.
func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if c.n += int64(n); c.n > c.limit {
		return 0, refuse(TooLarge, "", "the packet is larger than %d bytes", c.limit)
	}
	return n, err
}

func (p *Packet) fill(root *node, contents []*spool, limits Limits) error {
	r := &reader{}
	envelope := r.one(root, "edXMLEnvelope")
	head := r.one(envelope, "edXMLHeader")
	message := r.one(head, "MessageHeader")
	if message == nil {
		return refuse(Missing, "MessageHeader", "is missing")
	}
	for _, c := range head.children {
		p.Signed = p.Signed || c.name == "Signature" && len(c.children) > 0
	}
	if status := r.text(message, "StatusCode"); status != "" {
		p.Kind = KindStatus
		p.Status = r.status(message)
	} else {
		p.Kind = KindDocument
		p.Header = r.header(message, limits)
		p.Business, p.Trace = r.trace(head)
		if r.err == nil {
			r.fail(p.takeAttachments(r, root, r.manifest(envelope), contents, limits))
		}
	}
	if r.err != nil {
		return r.err
	}
	return p.demand()
}

// demand refuses a packet that says too little to be acted on: whose it is, and of which document.
func (p *Packet) demand() error {
	if p.Kind == KindStatus {
		if p.Status.From.ID == "" {
			return refuse(Missing, "From/OrganId", "is missing")
		}
		if p.Status.ResponseFor == (ResponseFor{}) {
			return refuse(Missing, "ResponseFor", "is missing: a status of no document")
		}
		return nil
	}
	if p.Header.From.ID == "" {
		return refuse(Missing, "From/OrganId", "is missing")
	}
	if len(p.Header.To) == 0 {
		return refuse(Missing, "To", "is missing: a packet to nobody")
	}
	seen := map[Text]bool{}
	for _, to := range p.Header.To {
		if to.ID == "" {
			return refuse(Missing, "To/OrganId", "is missing")
		}
		if seen[to.ID] {
			return refuse(Duplicate, "To", "names %s twice", to.ID)
		}
		seen[to.ID] = true
	}
	return nil
}

func (r *reader) organ(n *node) Organ {
	return Organ{ID: r.text(n, "OrganId"), InCharge: r.text(n, "OrganizationInCharge"), Name: r.text(n, "OrganName"), Address: r.text(n, "OrganAdd"),
		Email: r.text(n, "Email"), Telephone: r.text(n, "Telephone"), Fax: r.text(n, "Fax"), Website: r.text(n, "Website")}
}

func (r *reader) header(n *node, limits Limits) *MessageHeader {
	code, place, kind := r.one(n, "Code"), r.one(n, "PromulgationInfo"), r.one(n, "DocumentType")
	signer, other := r.one(n, "SignerInfo"), r.one(n, "OtherInfo")
	h := &MessageHeader{
		From:            r.organ(r.one(n, "From")),
		Code:            Code{Number: r.text(code, "CodeNumber"), Notation: r.text(code, "CodeNotation")},
		Promulgation:    Promulgation{Place: r.text(place, "Place"), Date: r.date(place, "PromulgationDate")},
		DocumentID:      r.text(n, "DocumentId"),
		SteeringType:    r.number(n, "SteeringType", 0),
		Type:            DocumentType{Type: r.number(kind, "Type", 2), Detail: r.number(kind, "TypeDetail", -1), Name: r.text(kind, "TypeName")},
		Subject:         r.text(n, "Subject"),
		Content:         r.text(n, "Content"),
		Signer:          Signer{Competence: r.text(signer, "Competence"), Position: r.text(signer, "Position"), FullName: r.text(signer, "FullName")},
		Due:             r.date(n, "DueDate"),
		ToPlaces:        r.texts(n, "ToPlaces", "Place"),
		ResponseForTask: r.texts(n, "ResponseForTask", "TaskCode"),
		ApplicationType: r.text(n, "ApplicationType"),
		Other: OtherInfo{
			Priority: r.number(other, "Priority", 0), Sphere: r.text(other, "SphereOfPromulgation"), TyperNotation: r.text(other, "TyperNotation"),
			Amount: r.number(other, "PromulgationAmount", 1), Pages: r.number(other, "PageAmount", 1),
			Direction: strings.EqualFold(string(r.text(other, "Direction")), "true"),
			ReplyFors: r.text(other, "ReplyFors"), ReferenceCodes: r.text(other, "ReferenceCodes"), Appendixes: r.texts(other, "Appendixes", "Appendix"),
		},
	}
	recipients := n.all("To")
	if len(recipients) > limits.Recipients {
		r.fail(refuse(TooLarge, "To", "names %d recipients, the limit is %d", len(recipients), limits.Recipients))
		return h
	}
	for _, to := range recipients {
		h.To = append(h.To, r.organ(to))
	}
	for _, c := range n.all("ResponseFor") {
		if answered := r.responseFor(c); answered != (ResponseFor{}) {
			h.ResponseFor = append(h.ResponseFor, answered)
		}
	}
	return h
}

func (r *reader) responseFor(n *node) ResponseFor {
	return ResponseFor{OrganID: r.text(n, "OrganId"), Code: r.text(n, "Code"), DocumentID: r.text(n, "DocumentId"), Date: r.date(n, "PromulgationDate")}
}

func (r *reader) staff(n *node) Staff {
	return Staff{Department: r.text(n, "Department"), DepartmentID: r.text(n, "DepartmentId"), Name: r.text(n, "Staff"), StaffID: r.text(n, "StaffId"),
		Mobile: r.text(n, "Mobile"), Email: r.text(n, "Email")}
}

func (r *reader) status(n *node) *Status {
	s := &Status{ResponseFor: r.responseFor(r.one(n, "ResponseFor")), From: r.organ(r.one(n, "From")), Code: r.text(n, "StatusCode"),
		Description: r.text(n, "Description"), Timestamp: r.text(n, "Timestamp")}
	if staff := r.one(n, "StaffInfo"); staff != nil {
		who := r.staff(staff)
		s.Staff = &who
	}
	return s
}

func (r *reader) trace(head *node) (*Business, []TraceHeader) {
	list := r.one(head, "TraceHeaderList")
	var hops []TraceHeader
	for _, c := range list.all("TraceHeader") {
		hops = append(hops, TraceHeader{OrganID: r.text(c, "OrganId"), Timestamp: r.text(c, "Timestamp")})
	}
	n := r.one(list, businessElement)
	if n == nil {
		return nil, hops
	}
	b := &Business{DocType: r.text(n, "BussinessDocType"), Reason: r.text(n, "BussinessDocReason"), DocumentID: r.text(n, "DocumentId"), Paper: r.text(n, "Paper")}
	for _, c := range n.all("BussinessDocumentInfo") {
		change := BusinessChange{Document: r.text(c, "DocumentInfo"), Receiver: r.text(c, "DocumentReceiver")}
		for _, to := range r.one(c, "ReceiverList").all("Receiver") {
			change.Receivers = append(change.Receivers, ChangeReceiver{OrganID: r.text(to, "OrganId"), Type: r.text(to, "ReceiverType")})
		}
		b.Changes = append(b.Changes, change)
	}
	for _, list := range n.all("ReplacementInfoList") {
		for _, c := range list.all("ReplacementInfo") {
			b.Replacements = append(b.Replacements, Replacement{DocumentID: r.text(c, "DocumentId"), OrganIDs: r.texts(c, "OrganIdList", "OrganId")})
		}
	}
	for _, c := range n.all("StaffInfo") {
		b.Staff = append(b.Staff, r.staff(c))
	}
	return b, hops
}

// date gives a date as yyyy/MM/dd. One in another form is no date: the national library reads it as none, and guessing
// day and month would be worse.
func (r *reader) date(n *node, name string) Text {
	text := r.text(n, name)
	if _, err := time.Parse("2006/01/02", string(text)); err != nil {
		return ""
	}
	return text
}

func (r *reader) number(n *node, name string, missing int) int {
	text := r.text(n, name)
	if text == "" {
		return missing
	}
	value, err := strconv.ParseInt(string(text), 10, 32)
	if err != nil {
		r.fail(refuse(BadValue, name, "is %q, not a number", text))
	}
	return int(value)
}

// manifest gives the descriptions of the files by content id; the body's list is called by either of two names.
func (r *reader) manifest(envelope *node) map[Text]Text {
	described := map[Text]Text{}
	body := r.one(envelope, "edXMLBody")
	list := r.one(body, "edXMLManifest")
	if list == nil {
		list = r.one(body, "Manifest")
	}
	for _, c := range list.all("Reference") {
		described[contentID(r.text(c, "ContentId"))] = r.text(c, "Description")
	}
	return described
}

// contentID takes every cid: off: writers put it there once, twice or not at all.
func contentID(id Text) Text {
	for {
		rest, found := strings.CutPrefix(string(id), "cid:")
		if !found {
			return id
		}
		id = Text(rest)
	}
}

func (p *Packet) takeAttachments(r *reader, root *node, described map[Text]Text, contents []*spool, limits Limits) error {
	for _, n := range r.one(root, "AttachmentEncoded").all("Attachment") {
		a := &Attachment{ContentID: contentID(r.text(n, "ContentId")), Name: r.text(n, "AttachmentName"), Description: r.text(n, "Description")}
		if a.Description == "" {
			a.Description = described[a.ContentID]
		}
		kind := r.text(n, "ContentType")
		encoded := r.one(n, contentElement)
		if r.err != nil {
			return r.err
		}
		if unsafeName(string(a.Name)) {
			return refuse(UnsafeName, quoted(string(a.Name)), "has a name that leaves its folder")
		}
		if encoded == nil {
			return refuse(Missing, quoted(string(a.Name)), "has no content")
		}
		if encoded.content >= len(contents) || encoded.hidden || len(encoded.children) > 0 || strings.TrimSpace(encoded.text.String()) != "" {
			return refuse(HiddenMarkup, quoted(string(a.Name)), "has markup inside its content")
		}
		file := contents[encoded.content]
		if strings.EqualFold(string(kind), "application/zip") && !strings.EqualFold(path.Ext(string(a.Name)), ".zip") {
			var err error
			if file, err = file.unwrap(string(a.Name), limits); err != nil {
				return err
			}
		}
		a.Size, a.SHA256, a.Open = file.size, file.digest(), file.open
		p.Attachments = append(p.Attachments, a)
	}
	return nil
}
