package axis

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/edxml"
	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// Link is another axis (the national one, a province's platform) to which this hub connects as a client.
type Link struct {
	ID       string    `json:"id"`
	URL      string    `json:"url"`
	System   string    `json:"system"`
	Disabled bool      `json:"disabled"`
	Agencies int       `json:"agencies"` // that are reached there
	Waiting  int       `json:"waiting"`  // sent, and not yet taken by the recipient
	Created  time.Time `json:"created"`
	Asked    time.Time `json:"asked,omitzero"`
	Problem  string    `json:"problem,omitempty"`

	sealed string
}

// jobAsk asks a link for news; its lane is the link.
const jobAsk jobs.Kind = "axis.ask"

type linkArgs struct {
	Link string `json:"link"`
}

const defaultAskEvery = time.Minute

var linkGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Connect connects this hub with another axis under a name, or gives a connection that is there another address or
// secret. The agencies that the axis lists are taken into the registry unless they are known.
func (s *Server) Connect(ctx context.Context, l Link, secret string) error {
	u, err := url.Parse(strings.TrimSuffix(l.URL, "/"))
	switch {
	case !linkGrammar.MatchString(l.ID):
		return registry.NewError(registry.KindInvalid, "Tên kết nối gồm 1–32 chữ thường, số, dấu gạch.", "The name of a connection is 1–32 small letters, digits and dashes.")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return registry.NewError(registry.KindInvalid, "Địa chỉ trục không hợp lệ.", "The address of the axis is not valid.")
	case !systemGrammar.MatchString(l.System) || secret == "":
		return registry.NewError(registry.KindInvalid, "Thiếu mã hệ thống hoặc khóa bí mật.", "The system id or the secret is missing.")
	}
	sealed, err := s.seal("link "+l.ID, secret)
	if err != nil {
		return err
	}
	client := s.client(u.String(), l.System, []byte(secret))
	listed, err := client.Agencies(ctx)
	if err != nil {
		return registry.NewError(registry.KindUnavailable, "Trục không trả lời đúng; chưa kết nối.", "The axis does not answer as it should; nothing was connected.").
			Advise("Kiểm tra địa chỉ, mã hệ thống và khóa bí mật.", "Look at the address, the system id and the secret.").Because(err)
	}
	l.URL, l.sealed, l.Created = u.String(), sealed, s.cfg.Now()
	err = s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := upsertLink(ctx, tx, &l); err != nil {
			return err
		}
		return s.cfg.Jobs.Add(ctx, tx, jobAsk, linkArgs{l.ID}, jobs.AddOptions{Lane: l.ID})
	})
	if err != nil {
		return fmt.Errorf("keeping the connection %s: %w", l.ID, err)
	}
	return s.reach(ctx, l.ID, listed)
}

// Disconnect lets a connection rest; what was sent and learnt there is kept.
func (s *Server) Disconnect(ctx context.Context, id string) error {
	found := false
	err := s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		found, err = disableLink(ctx, tx, id)
		return err
	})
	if err == nil && !found {
		err = registry.NewError(registry.KindNotFound, "Không có kết nối này.", "There is no such connection.")
	}
	return err
}

// Links lists the connections by name.
func (s *Server) Links(ctx context.Context) (list []Link, err error) {
	err = s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = selectLinks(ctx, tx)
		return err
	})
	return list, err
}

func (s *Server) client(base, system string, secret []byte) *Client {
	return &Client{URL: base, System: system, Secret: secret, HTTP: s.http, Now: s.cfg.Now, Most: s.cfg.MaxPacket}
}

// newHTTP makes the client of all links: an axis answers where it is asked.
func newHTTP() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// reach takes the agencies of a list over: those that are not known come into the registry with the channel "axis". An
// agency that this hub or a system here serves stays as it is.
func (s *Server) reach(ctx context.Context, link string, list []Listing) error {
	system := registry.System("axis")
	for _, l := range list {
		id, err := registry.ParseAgencyID(l.Code)
		if err != nil {
			continue // lists in the field have rows that are no agencies
		}
		a, err := s.known(ctx, string(id))
		if err != nil {
			return err
		}
		if a == nil {
			added := registry.Agency{ID: id, Name: clip(strings.Join(strings.Fields(l.Name), " "), 200), Channel: exchange.ChannelAxis}
			if err := s.cfg.Registry.AddAgency(ctx, system, added); err != nil {
				s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "agency of an axis not taken over", slog.String("agency", string(id)), slog.String("error", err.Error()))
				continue
			}
			a = &added
		}
		if a.Channel != exchange.ChannelAxis {
			continue
		}
		err = s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return insertReach(ctx, tx, a.ID, link) })
		if err != nil {
			return fmt.Errorf("noting where %s is reached: %w", a.ID, err)
		}
	}
	return nil
}

// away gives the link by which an agency is reached, nil for one whose system fetches here.
func (s *Server) away(ctx context.Context, agency registry.AgencyID) (l *Link, err error) {
	err = s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		l, err = selectLinkOf(ctx, tx, agency)
		return err
	})
	if err == nil && l != nil && l.Disabled {
		err = registry.NewError(registry.KindUnavailable, "Kết nối với trục "+l.ID+" đang tạm khóa.", "The connection with the axis "+l.ID+" is shut.")
	}
	return l, err
}

func (s *Server) clientOf(l *Link) (*Client, error) {
	secret, err := s.unseal("link "+l.ID, l.sealed)
	if err != nil {
		return nil, err
	}
	return s.client(l.URL, l.System, secret), nil
}

// sendAway sends a packet of an agency of this hub to another axis, once: what that axis has taken is not sent again.
func (s *Server) sendAway(ctx context.Context, l *Link, content *edxml.Packet, p *packet, recipient registry.AgencyID) error {
	var b bytes.Buffer
	if err := edxml.Encode(&b, content); err != nil {
		return err
	}
	sum := sha256.Sum256(b.Bytes())
	ref, err := s.cfg.Blobs.Put(ctx, bytes.NewReader(b.Bytes()))
	if err != nil {
		return fmt.Errorf("keeping a packet: %w", err)
	}
	sent := sentAway{link: l.ID, digest: string(ref.Digest), recipient: recipient, kind: content.Kind, sender: p.sender, document: p.document}
	err = s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		sent.docID, err = selectSentAway(ctx, tx, &sent)
		return err
	})
	if err != nil || sent.docID != "" {
		return err
	}
	client, err := s.clientOf(l)
	if err != nil {
		return err
	}
	if sent.docID, err = client.Send(ctx, string(p.sender), content.Kind, bytes.NewReader(b.Bytes()), int64(b.Len()), sum[:]); err != nil {
		return s.notSent(ctx, l, err)
	}
	return s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return insertSentAway(ctx, tx, &sent, s.cfg.Now()) })
}

// notSent turns what an axis answers into an error of the exchange: what it will never take is told as such.
func (s *Server) notSent(ctx context.Context, l *Link, cause error) error {
	s.note(ctx, l.ID, cause)
	kind := registry.KindUnavailable
	var f *Fault
	if errors.As(cause, &f) {
		switch f.Code {
		case CodeUnknownRecipient, CodeRecipientLocked, CodeBadPacket, CodeBadFile:
			kind = registry.KindInvalid
		}
	}
	return registry.NewError(kind, "Trục "+l.ID+" chưa nhận gói tin.", "The axis "+l.ID+" did not take the packet.").Because(cause)
}

func (s *Server) note(ctx context.Context, link string, problem error) {
	text := ""
	if problem != nil {
		text = clip(problem.Error(), 300)
	}
	err := s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return noteLink(ctx, tx, link, text, s.cfg.Now()) })
	if err != nil && ctx.Err() == nil {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "noting the state of an axis", slog.String("link", link), slog.String("error", err.Error()))
	}
}

// runAsk asks one link for news and comes back after a while.
func (s *Server) runAsk(ctx context.Context, raw json.RawMessage) error {
	var args linkArgs
	if err := json.Unmarshal(raw, &args); err != nil {
		return jobs.Cancel(fmt.Errorf("asking an axis: %w", err))
	}
	var l *Link
	err := s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		l, err = selectLink(ctx, tx, args.Link)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the connection %s: %w", args.Link, err)
	}
	if l == nil || l.Disabled {
		return nil // connecting again puts the job back
	}
	err = s.askFor(ctx, l)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.note(ctx, l.ID, err)
	if err != nil {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "asking an axis for news", slog.String("link", l.ID), slog.String("error", err.Error()))
	}
	return jobs.Snooze(s.cfg.AskEvery)
}

// askFor fetches what waits at an axis and learns what became of what was sent there. One packet that cannot be taken does
// not block the next.
func (s *Server) askFor(ctx context.Context, l *Link) error {
	client, err := s.clientOf(l)
	if err != nil {
		return err
	}
	var failed []error
	for _, kind := range []edxml.Kind{edxml.KindDocument, edxml.KindStatus} {
		list, err := client.Received(ctx, kind)
		if err != nil {
			return err
		}
		for _, item := range list {
			if item.Status == statusDone || item.Status == statusFail || item.DocID == "" {
				continue
			}
			if err := s.fetch(ctx, client, l, item); err != nil {
				failed = append(failed, fmt.Errorf("packet %.60q: %w", item.DocID, err))
			}
		}
	}
	return errors.Join(append(failed, s.follow(ctx, client, l))...)
}

// fetch takes one packet over: it is this hub's when it is durable here, and only then the axis is told so. The same
// packet again, under whatever id, is the same packet.
func (s *Server) fetch(ctx context.Context, client *Client, l *Link, item Listed) error {
	data, err := client.Fetch(ctx, item.DocID)
	if err != nil {
		return err
	}
	err = s.takeOver(ctx, l, item, data)
	var refused *Fault
	switch {
	case errors.As(err, &refused):
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "packet of an axis not taken", slog.String("link", l.ID), slog.String("doc", clip(item.DocID, 60)), slog.String("error", err.Error()))
		return client.UpdateStatus(ctx, item.DocID, statusFail)
	case err != nil:
		return err
	}
	return client.UpdateStatus(ctx, item.DocID, statusDone)
}

// takeOver keeps a packet and hands it to the agencies of this hub. A *Fault is for ever.
func (s *Server) takeOver(ctx context.Context, l *Link, item Listed, data []byte) (err error) {
	limits := edxml.DefaultLimits()
	limits.Packet, limits.Attachment, limits.Dir = s.cfg.MaxPacket, s.cfg.MaxPacket, s.cfg.Dir
	content, err := edxml.Decode(bytes.NewReader(data), limits)
	if refusal := edxml.AsRefusal(err); refusal != nil {
		return fault(CodeBadPacket, "%s", refusal.Error())
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	p, from, to := outlined(content, s.cfg.Now())
	if item.To != "" {
		to = []string{item.To}
	}
	sender, err := s.senderAway(ctx, l, from)
	if err != nil {
		return err
	}
	copies, err := s.ours(ctx, to)
	if err != nil {
		return err
	}
	p.system, p.sender = "link:"+l.ID, sender
	if p.ref, err = s.cfg.Blobs.Put(ctx, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("keeping a packet: %w", err)
	}
	_, err = s.accept(ctx, p, copies)
	return err
}

// senderAway gives the agency that sent a packet at another axis. One that is not known yet comes into the registry; an
// agency of this hub never sends from there.
func (s *Server) senderAway(ctx context.Context, l *Link, from edxml.Organ) (registry.AgencyID, error) {
	a, err := s.known(ctx, string(from.ID))
	if err != nil {
		return "", err
	}
	if a == nil {
		if err := s.reach(ctx, l.ID, []Listing{{Code: string(from.ID), Name: string(from.Name)}}); err != nil {
			return "", err
		}
		if a, err = s.known(ctx, string(from.ID)); err != nil {
			return "", err
		}
	}
	if a == nil || a.Channel != exchange.ChannelAxis {
		return "", fault(CodeUnknownSender, "Cơ quan gửi %.40q không ở trên trục này.", string(from.ID))
	}
	return a.ID, nil
}

// ours gives the copies for those agencies of a list that this hub itself serves.
func (s *Server) ours(ctx context.Context, to []string) ([]transfer, error) {
	var copies []transfer
	for _, code := range to {
		a, err := s.known(ctx, code)
		if err != nil {
			return nil, err
		}
		if a != nil && a.Channel == registry.ChannelLocal && a.ActiveAt(s.cfg.Now()) {
			copies = append(copies, transfer{id: newID(), recipient: a.ID, status: statusInitial})
		}
	}
	if len(copies) == 0 {
		return nil, fault(CodeUnknownRecipient, "Không có nơi nhận nào của gói tin ở đây.")
	}
	return copies, nil
}

// follow learns from an axis whether the recipients have taken what was sent.
func (s *Server) follow(ctx context.Context, client *Client, l *Link) error {
	var open []sentAway
	err := s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		open, err = selectOpenAway(ctx, tx, l.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading what was sent: %w", err)
	}
	for _, sent := range open {
		list, err := client.Sent(ctx, sent.docID)
		if err != nil {
			return err
		}
		for _, state := range list {
			if a, err := s.known(ctx, state.To); err != nil || a == nil || a.ID != sent.recipient || state.Status != statusDone && state.Status != statusFail {
				continue
			}
			err := s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				if err := endAway(ctx, tx, &sent, s.cfg.Now()); err != nil {
					return err
				}
				return s.fetched(ctx, tx, &transfer{packet: packet{sender: sent.sender, document: sent.document}, recipient: sent.recipient}, state.Status)
			})
			if err != nil {
				return fmt.Errorf("noting what became of a packet: %w", err)
			}
		}
	}
	return nil
}
