package axis

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange"
	"vanthu/exchange/edxml"
	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// sendEdoc takes a packet: durable before it is answered, the same packet again is answered with the same DocId.
func (s *Server) sendEdoc(ctx context.Context, c *call, r *http.Request) (_ map[string]any, err error) {
	body, err := s.spool(r.Body)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.close()) }()
	hashed, size := body.match(c.params["hash-file"])
	if hashed == "" {
		return nil, fault(CodeBadFile, "Nội dung gói tin không khớp hash-file; hãy gửi lại.")
	}
	limits := edxml.DefaultLimits()
	limits.Packet, limits.Attachment, limits.Dir = s.cfg.MaxPacket, s.cfg.MaxPacket, s.cfg.Dir
	content, err := edxml.Decode(io.NewSectionReader(body.file, 0, size), limits)
	if refusal := edxml.AsRefusal(err); refusal != nil {
		return nil, fault(CodeBadPacket, "%s", refusal.Error())
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	p, copies, err := s.address(ctx, c, content)
	if err != nil {
		return nil, err
	}
	if p.ref, err = s.cfg.Blobs.Put(ctx, io.NewSectionReader(body.file, 0, size)); err != nil {
		return nil, fmt.Errorf("keeping a packet: %w", err)
	}
	p.hashed = hashed
	id, err := s.accept(ctx, p, copies)
	return map[string]any{"DocId": id}, err
}

// spooled is the body of a call in a temporary file, with its digest as it came and without its last line end: clients
// put CR LF behind the file that they hashed.
type spooled struct {
	file       *os.File
	size       int64
	trimmed    int64
	sum, inner []byte
}

func (s *Server) spool(body io.Reader) (*spooled, error) {
	file, err := os.CreateTemp(s.cfg.Dir, "axis-*")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file for a packet: %w", err)
	}
	b := &spooled{file: file}
	if err := b.fill(body, s.cfg.MaxPacket); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *spooled) fill(body io.Reader, limit int64) error {
	whole := sha256.New()
	n, err := io.Copy(io.MultiWriter(b.file, whole), io.LimitReader(body, limit+3))
	if err != nil {
		return fmt.Errorf("reading a packet: %w", err)
	}
	if n > limit+2 {
		return fault(CodeBadFile, "the packet is larger than %d bytes", limit)
	}
	b.size, b.trimmed, b.sum = n, n, whole.Sum(nil)
	tail := make([]byte, min(n, 2))
	if _, err := b.file.ReadAt(tail, n-int64(len(tail))); err != nil {
		return fmt.Errorf("reading a packet again: %w", err)
	}
	if bytes.Equal(tail, []byte("\r\n")) {
		b.trimmed -= 2
	}
	inner := sha256.New()
	if _, err := io.Copy(inner, io.NewSectionReader(b.file, 0, b.trimmed)); err != nil {
		return fmt.Errorf("reading a packet again: %w", err)
	}
	b.inner = inner.Sum(nil)
	return nil
}

func (b *spooled) close() error { return errors.Join(b.file.Close(), os.Remove(b.file.Name())) }

// match gives the form in which the client's hash matched and how many bytes of the body are the file.
func (b *spooled) match(given string) (form string, size int64) {
	if form = matchHash(given, b.inner); form != "" {
		return form, b.trimmed
	}
	return matchHash(given, b.sum), b.size
}

// outlined gives what a packet says of itself: what it is, who sends it, and to whom.
func outlined(content *edxml.Packet, now time.Time) (p *packet, from edxml.Organ, to []string) {
	p = &packet{id: newID(), kind: content.Kind, created: now}
	if content.Kind == edxml.KindStatus {
		p.document, p.notation = string(content.Status.ResponseFor.DocumentID), string(content.Status.ResponseFor.Code)
		return p, content.Status.From, []string{string(content.Status.ResponseFor.OrganID)}
	}
	h := content.Header
	p.document, p.title = string(h.DocumentID), string(h.Subject)
	p.notation = string(h.Code.Number) + "/" + string(h.Code.Notation)
	for _, t := range h.To {
		to = append(to, string(t.ID))
	}
	return p, h.From, to
}

// address finds out who sends to whom and refuses what this system may not send or nobody can get.
func (s *Server) address(ctx context.Context, c *call, content *edxml.Packet) (*packet, []transfer, error) {
	p, organ, to := outlined(content, s.cfg.Now())
	p.system = c.system
	from := organ.ID
	if said := c.params["messagetype"]; said != "" && !strings.EqualFold(said, string(content.Kind)) {
		return nil, nil, fault(CodeBadPacket, "messagetype is %.20q, the packet is %q", said, content.Kind)
	}
	to, err := s.narrowed(ctx, to, c.params["to"])
	if err != nil {
		return nil, nil, err
	}
	if p.sender, err = s.senderOf(ctx, c, string(from)); err != nil {
		return nil, nil, err
	}
	copies, err := s.copiesFor(ctx, to)
	return p, copies, err
}

// narrowed gives the recipients that the call's own list chooses among those of the packet. A list with one that the
// packet does not address is left over from an earlier call of the same client object, and then the packet is right.
func (s *Server) narrowed(ctx context.Context, addressed []string, list string) ([]string, error) {
	if list == "" {
		return addressed, nil
	}
	var chosen []string
	if err := json.Unmarshal([]byte(list), &chosen); err != nil {
		return nil, fault(CodeBadFile, "to is not a JSON array of codes")
	}
	there := make(map[registry.AgencyID]bool, len(addressed))
	for _, code := range addressed {
		a, err := s.known(ctx, code)
		if err != nil {
			return nil, err
		}
		if a != nil {
			there[a.ID] = true
		}
	}
	for _, code := range chosen {
		a, err := s.known(ctx, code)
		if err != nil {
			return nil, err
		}
		if a == nil || !there[a.ID] {
			return addressed, nil
		}
	}
	if len(chosen) == 0 {
		return addressed, nil
	}
	return chosen, nil
}

// senderOf gives the agency that sends: the packet's own sender, which must be one that this system speaks for.
func (s *Server) senderOf(ctx context.Context, c *call, from string) (registry.AgencyID, error) {
	sender, err := s.known(ctx, from)
	if err != nil {
		return "", err
	}
	if sender == nil {
		return "", fault(CodeUnknownSender, "Cơ quan gửi %.40q không có trong danh bạ.", from)
	}
	if said := c.params["from"]; said != "" && said != from {
		other, err := s.known(ctx, said)
		if err != nil {
			return "", err
		}
		if other == nil || other.ID != sender.ID {
			return "", fault(CodeUnknownSender, "from là %.40q, gói tin là của %.40q.", said, from)
		}
	}
	var ours []registry.AgencyID
	err = s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		ours, err = selectAgencies(ctx, tx, c.system)
		return err
	})
	if err == nil && !slices.Contains(ours, sender.ID) {
		err = fault(CodeUnknownSender, "Hệ thống %s không đại diện cho cơ quan gửi %.40q.", c.system, from)
	}
	return sender.ID, err
}

// known gives an agency by any of its codes, nil when there is none.
func (s *Server) known(ctx context.Context, code string) (*registry.Agency, error) {
	id, err := registry.ParseAgencyID(code)
	if err != nil {
		return nil, nil //nolint:nilerr // a code that is none names no agency
	}
	a, err := s.cfg.Registry.Agency(ctx, id)
	if registry.KindOf(err) == registry.KindNotFound {
		return nil, nil
	}
	return a, err
}

func (s *Server) copiesFor(ctx context.Context, to []string) ([]transfer, error) {
	var copies []transfer
	now := s.cfg.Now()
	for _, code := range to {
		a, err := s.known(ctx, code)
		switch {
		case err != nil:
			return nil, err
		case a == nil:
			return nil, fault(CodeUnknownRecipient, "Nơi nhận %.40q không có trong danh bạ; chưa gửi cho ai.", code)
		case !a.ActiveAt(now):
			return nil, fault(CodeRecipientLocked, "Nơi nhận %s (%.40q) không còn hoạt động; chưa gửi cho ai.", a.Name, code)
		}
		if !slices.ContainsFunc(copies, func(t transfer) bool { return t.recipient == a.ID }) {
			copies = append(copies, transfer{id: newID(), recipient: a.ID, status: statusInitial})
		}
	}
	if len(copies) == 0 {
		return nil, fault(CodeUnknownRecipient, "Gói tin không có nơi nhận.")
	}
	slices.SortFunc(copies, func(a, b transfer) int { return strings.Compare(string(a.recipient), string(b.recipient)) })
	return copies, nil
}

// accept writes the packet, its copies and the jobs of those that this hub serves itself, in one transaction.
func (s *Server) accept(ctx context.Context, p *packet, copies []transfer) (id string, err error) {
	var local []registry.AgencyID
	for _, t := range copies {
		a, err := s.cfg.Registry.Agency(ctx, t.recipient)
		if err != nil {
			return "", err
		}
		if a.Channel == registry.ChannelLocal {
			local = append(local, t.recipient)
		}
	}
	err = s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if id, err = insertPacket(ctx, tx, p, copies); err != nil {
			return err
		}
		for _, a := range local {
			if err := s.cfg.Jobs.Add(ctx, tx, jobRoute, routeArgs{a}, jobs.AddOptions{Lane: string(a)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("accepting a packet: %w", err)
	}
	return id, nil
}

// put writes a packet that this hub itself sends and gives it to the recipient's system to fetch, or to the axis where
// that system fetches.
func (s *Server) put(ctx context.Context, content *edxml.Packet, p *packet, recipient registry.AgencyID) (err error) {
	if l, err := s.away(ctx, recipient); err != nil {
		return err
	} else if l != nil {
		return s.sendAway(ctx, l, content, p, recipient)
	}
	file, err := os.CreateTemp(s.cfg.Dir, "axis-*")
	if err != nil {
		return fmt.Errorf("making a temporary file for a packet: %w", err)
	}
	b := &spooled{file: file}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := edxml.Encode(file, content); err != nil {
		return err
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	p.id, p.created, p.kind, p.hashed = newID(), s.cfg.Now(), content.Kind, hashedNone
	if p.ref, err = s.cfg.Blobs.Put(ctx, io.NewSectionReader(file, 0, size)); err != nil {
		return fmt.Errorf("keeping a packet: %w", err)
	}
	_, err = s.accept(ctx, p, []transfer{{id: newID(), recipient: recipient, status: statusInitial}})
	return err
}

// CarryDocument writes the document's packet for the recipient's system. Carrying it again is the same packet, since its
// bytes are.
func (s *Server) CarryDocument(ctx context.Context, c exchange.Consignment) error {
	content, err := s.packetOf(ctx, c)
	if err != nil {
		return err
	}
	return s.put(ctx, content, &packet{sender: c.Envelope.From, document: c.Envelope.Axis, title: c.Envelope.Subject,
		notation: string(content.Header.Code.Number) + "/" + c.Envelope.Notation}, c.Envelope.To)
}

// CarryReceipt writes a status packet for the sender's system.
func (s *Server) CarryReceipt(ctx context.Context, r *exchange.Receipt, about exchange.Envelope) error {
	content, err := s.statusOf(ctx, r, about)
	if err != nil {
		return err
	}
	return s.put(ctx, content, &packet{sender: r.From, document: about.Axis, notation: string(content.Status.ResponseFor.Code)}, r.To)
}

// CarryNotice writes the packet of a request: thu hồi, or cập nhật. A document that takes another's place travels by
// itself; the old copy is asked back.
func (s *Server) CarryNotice(ctx context.Context, n *exchange.Notice, about exchange.Envelope) error {
	content, err := s.packetOf(ctx, exchange.Consignment{Envelope: about})
	if err != nil {
		return err
	}
	reason := n.Reason
	if n.Replacement != "" {
		reason += " (thay thế bằng " + n.Replacement + ")"
	}
	content.Attachments = nil
	content.Trace[0].Timestamp = edxml.Text(n.At.In(vietnam()).Format(packetTime))
	content.Business = &edxml.Business{DocType: edxml.BusinessRecall, DocumentID: content.Header.DocumentID, Reason: edxml.Text(reason), Paper: "0"}
	if n.Kind == exchange.RequestUpdate {
		content.Business.DocType = edxml.BusinessUpdate
		content.Business.Changes = []edxml.BusinessChange{{Document: "1", Receiver: "0"}}
	}
	return s.put(ctx, content, &packet{sender: n.From, document: about.Axis, title: about.Subject,
		notation: string(content.Header.Code.Number) + "/" + about.Notation}, n.To)
}

// fetched tells the exchange that the recipient's system has taken or refused a document of this hub.
func (s *Server) fetched(ctx context.Context, tx *sqldb.Tx, t *transfer, status string) error {
	switch status {
	case statusDone:
		return s.cfg.Service.Fetched(ctx, tx, t.sender, t.document, t.recipient)
	case statusFail:
		return s.cfg.Service.NotTaken(ctx, tx, t.sender, t.document, t.recipient, "Hệ thống của nơi nhận trả lại gói tin.")
	}
	return nil
}

var errNoPDF = errors.New("the packet holds no PDF")

// pdfOf gives the first PDF of a packet, nil when it has none.
func pdfOf(content *edxml.Packet) *edxml.Attachment {
	for _, a := range content.Attachments {
		if strings.HasSuffix(strings.ToLower(string(a.Name)), ".pdf") {
			return a
		}
	}
	return nil
}
