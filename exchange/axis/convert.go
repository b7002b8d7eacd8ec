package axis

import (
	"context"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange"
	"vanthu/exchange/edxml"
	"vanthu/exchange/registry"
	"vanthu/storage/blob"
)

// typeAdministrative is DocumentType/Type of an administrative document; documents of law are 1.
const typeAdministrative = 2

const (
	packetDate = "2006/01/02"
	packetTime = "2006/01/02 15:04:05"
)

// packetOf makes the packet of a document of this hub for one recipient. Nothing in it depends on when it is made.
func (s *Server) packetOf(ctx context.Context, c exchange.Consignment) (*edxml.Packet, error) {
	e := c.Envelope
	from, err := s.organ(ctx, e.From)
	if err != nil {
		return nil, err
	}
	to, err := s.organ(ctx, e.To)
	if err != nil {
		return nil, err
	}
	kind := edxml.DocumentType{Type: typeAdministrative, Detail: -1, Name: edxml.Text(e.Type)}
	if t, known := exchange.DocTypeOf(e.Type); known {
		kind.Detail, kind.Name = t.TypeDetail, edxml.Text(t.Name)
	}
	number, notation, _ := strings.Cut(exchange.FormatCode(e.Number, e.Notation), "/")
	h := &edxml.MessageHeader{
		From: from, To: []edxml.Organ{to}, DocumentID: edxml.Text(e.Axis),
		Code:         edxml.Code{Number: edxml.Text(number), Notation: edxml.Text(notation)},
		Promulgation: edxml.Promulgation{Place: edxml.Text(e.Place), Date: edxml.Text(e.Issued.In(vietnam()).Format(packetDate))},
		Type:         kind, Subject: edxml.Text(e.Subject),
		Signer: edxml.Signer{Competence: edxml.Text(e.Competence), Position: edxml.Text(e.SignerPosition), FullName: edxml.Text(e.SignerName)},
		Other:  edxml.OtherInfo{Priority: int(e.Priority), Amount: 1, Pages: 1},
	}
	if e.Details != nil {
		fillDetails(h, e.Details)
	}
	if !e.Due.IsZero() {
		h.Due = edxml.Text(e.Due.In(vietnam()).Format(packetDate))
	}
	name := strings.NewReplacer("/", "_", `\`, "_").Replace(exchange.FormatCode(e.Number, e.Notation)) + ".pdf"
	return &edxml.Packet{
		Kind: edxml.KindDocument, Header: h,
		Business: &edxml.Business{DocType: edxml.BusinessNew, Reason: "Văn bản điện tử mới", Paper: "0"},
		Trace:    []edxml.TraceHeader{{OrganID: from.ID, Timestamp: edxml.Text(e.Sent.In(vietnam()).Format(packetTime))}},
		Attachments: []*edxml.Attachment{{
			ContentID: edxml.Text(uuid.NewSHA1(uuid.NameSpaceOID, []byte(e.Digest)).String()), Name: edxml.Text(name), Size: e.Size, SHA256: string(e.Digest),
			Open: func() (io.ReadCloser, error) {
				r, _, err := s.cfg.Blobs.Open(ctx, e.Digest)
				return r, err
			},
		}},
	}, nil
}

// fillDetails writes what else stands on a document.
func fillDetails(h *edxml.MessageHeader, d *exchange.Details) {
	h.Content, h.Other.Amount, h.Other.Pages = edxml.Text(d.Content), max(1, d.Copies), max(1, d.Pages)
	h.Other.Sphere, h.Other.TyperNotation = edxml.Text(d.Circulation.In("vi")), edxml.Text(d.Drafter)
	for _, place := range d.ToPlaces {
		h.ToPlaces = append(h.ToPlaces, edxml.Text(place))
	}
	for _, name := range d.Appendixes {
		h.Other.Appendixes = append(h.Other.Appendixes, edxml.Text(name))
	}
}

// described reads what else a packet says of its document, as much as a register holds.
func described(h *edxml.MessageHeader) *exchange.Details {
	d := &exchange.Details{Content: clip(string(h.Content), 500), Drafter: clip(string(h.Other.TyperNotation), 10)}
	for _, mark := range []exchange.Circulation{exchange.CirculationReturn, exchange.CirculationInternal} {
		if registry.Fold(mark.In("vi")) == registry.Fold(string(h.Other.Sphere)) {
			d.Circulation = mark
		}
	}
	const most, many, places = 999, 100, 1000
	d.Pages, d.Copies = min(max(0, h.Other.Pages), most), min(max(0, h.Other.Amount), most)
	sum := 0
	for _, p := range h.ToPlaces[:min(many, len(h.ToPlaces))] {
		line := clip(string(p), 150)
		if sum += len([]rune(line)); line != "" && sum <= places {
			d.ToPlaces = append(d.ToPlaces, line)
		}
	}
	for _, name := range h.Other.Appendixes[:min(many, len(h.Other.Appendixes))] {
		if line := clip(string(name), 250); line != "" {
			d.Appendixes = append(d.Appendixes, line)
		}
	}
	return d
}

func (s *Server) organ(ctx context.Context, id registry.AgencyID) (edxml.Organ, error) {
	a, err := s.cfg.Registry.Agency(ctx, id)
	if err != nil {
		return edxml.Organ{}, err
	}
	return edxml.Organ{ID: edxml.Text(a.ID), InCharge: edxml.Text(a.Parent), Name: edxml.Text(a.Name), Email: edxml.Text(a.Mail)}, nil
}

// statusOf makes the status packet of a receipt.
func (s *Server) statusOf(ctx context.Context, r *exchange.Receipt, about exchange.Envelope) (*edxml.Packet, error) {
	from, err := s.organ(ctx, r.From)
	if err != nil {
		return nil, err
	}
	said := r.Status.In("vi")
	if r.Note != "" {
		said += ": " + r.Note
	}
	return &edxml.Packet{Kind: edxml.KindStatus, Status: &edxml.Status{
		From: from, Code: edxml.Text(r.Status), Description: edxml.Text(said), Timestamp: edxml.Text(r.At.In(vietnam()).Format(packetTime)),
		ResponseFor: edxml.ResponseFor{OrganID: edxml.Text(r.To), Code: edxml.Text(exchange.FormatCode(about.Number, about.Notation)),
			DocumentID: edxml.Text(about.Axis), Date: edxml.Text(about.Issued.In(vietnam()).Format(packetDate))},
	}}, nil
}

var leadingNumber = regexp.MustCompile(`^0*(\d{1,9})`)

// documentID names a document of the axis at this hub: always the same for the same sender and DocumentId, or for the
// same sender, number and date where the packet has no DocumentId.
func documentID(from registry.AgencyID, h *edxml.MessageHeader) exchange.DocumentID {
	id := string(h.DocumentID)
	if id == "" {
		id = string(from) + "," + string(h.Promulgation.Date) + "," + string(h.Code.Number) + "/" + string(h.Code.Notation)
	}
	return exchange.DocumentID(uuid.NewSHA1(uuid.NameSpaceOID, []byte("edxml\n"+string(from)+"\n"+id)).String())
}

// envelopeOf makes the envelope of a document packet for one recipient. Texts longer than a register holds are cut with
// an ellipsis: the packet as it came is kept, and a long title is no reason to lose a document.
func envelopeOf(from, to registry.AgencyID, content *edxml.Packet, pdf blob.Ref, at time.Time) exchange.Envelope {
	h := content.Header
	e := exchange.Envelope{
		Document: documentID(from, h), From: from, To: to, Axis: string(h.DocumentID), Type: typeCode(h.Type), Notation: string(h.Code.Notation),
		Subject: clip(string(h.Subject), 500), Place: clip(string(h.Promulgation.Place), 50), Priority: exchange.Priority(h.Other.Priority),
		SignerName: clip(string(h.Signer.FullName), 50), SignerPosition: clip(string(h.Signer.Position), 100), Competence: clip(string(h.Signer.Competence), 100),
		Digest: pdf.Digest, Size: pdf.Size, Sent: at, Details: described(h),
	}
	if m := leadingNumber.FindStringSubmatch(string(h.Code.Number)); m != nil {
		e.Number, _ = strconv.Atoi(m[1]) // at most nine digits, by the pattern
	}
	if t, err := time.ParseInLocation(packetDate, string(h.Promulgation.Date), vietnam()); err == nil {
		e.Issued, e.Year = t, t.Year()
	}
	if t, err := time.ParseInLocation(packetDate, string(h.Due), vietnam()); err == nil {
		e.Due = t
	}
	for _, hop := range content.Trace {
		if t, err := time.ParseInLocation(packetTime, string(hop.Timestamp), vietnam()); err == nil {
			e.Sent = t
			break
		}
	}
	return e
}

// typeCode gives the type by its name, which is to be trusted over the numbers, then by the number.
func typeCode(t edxml.DocumentType) string {
	for _, known := range exchange.DocTypes() {
		if registry.Fold(known.Name) == registry.Fold(string(t.Name)) || registry.Fold(strings.TrimSuffix(known.Name, " (cá biệt)")) == registry.Fold(string(t.Name)) {
			return known.Code
		}
	}
	for _, known := range exchange.DocTypes() {
		if t.Type == typeAdministrative && known.TypeDetail == t.Detail && t.Detail > 0 {
			return known.Code
		}
	}
	return clip(string(t.Name), 100)
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
