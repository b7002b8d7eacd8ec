package axis

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/edxml"
	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// The transport states, as the axis writes them.
const (
	statusInitial    = "initial"
	statusProcessing = "processing"
	statusDone       = "done"
	statusFail       = "fail"
)

// describe says a transport state in words.
func describe(status string) string {
	switch status {
	case statusInitial:
		return "Chưa lấy"
	case statusProcessing:
		return "Đang xử lý"
	case statusFail:
		return "Thất bại"
	}
	return "Thành công"
}

func stamp(t time.Time) string { return t.In(vietnam()).Format("2006-01-02 15:04:05") }

func window(c *call) (listWindow, error) {
	w := listWindow{docID: c.params["docid"]}
	switch kind := strings.ToLower(c.params["messagetype"]); kind {
	case "", "edoc", "status":
		w.kind = edxml.Kind(kind)
	default:
		return w, fault(CodeBadFile, "messagetype %.40q is neither edoc nor status", kind)
	}
	for _, bound := range []struct {
		name string
		at   *time.Time
		plus time.Duration
	}{{"fromdate", &w.from, 0}, {"todate", &w.to, 24 * time.Hour}} {
		text := c.params[bound.name]
		if text == "" {
			continue
		}
		day, err := time.ParseInLocation("2006/01/02", strings.ReplaceAll(text, "-", "/"), vietnam())
		if err != nil {
			return w, fault(CodeBadFile, "%s %.40q is no date yyyy/MM/dd", bound.name, text)
		}
		*bound.at = day.Add(bound.plus)
	}
	if !w.from.IsZero() && w.to.IsZero() {
		w.to = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return w, nil
}

func (s *Server) receivedList(ctx context.Context, c *call, _ *http.Request) (map[string]any, error) {
	list, err := s.list(ctx, c, selectInbox)
	if err != nil {
		return nil, err
	}
	data := make([]map[string]any, len(list))
	for i, t := range list {
		data[i] = map[string]any{"docId": t.id, "serviceType": "eDoc", "messageType": string(t.kind), "created_time": stamp(t.created),
			"updated_time": stamp(t.updated), "from": string(t.sender), "to": string(t.recipient), "status": t.status, "status_desc": describe(t.status)}
	}
	return map[string]any{"data": data}, nil
}

func (s *Server) sentList(ctx context.Context, c *call, _ *http.Request) (map[string]any, error) {
	list, err := s.list(ctx, c, selectSent)
	if err != nil {
		return nil, err
	}
	data := make([]map[string]any, len(list))
	for i, t := range list {
		received := ""
		if t.status == statusDone {
			received = stamp(t.updated)
		}
		reason := describe(t.status)
		if t.status == statusFail && t.said != "" {
			reason = t.said
		}
		data[i] = map[string]any{"serviceType": "eDoc", "messageType": string(t.kind), "senderDocId": t.packet.id, "receiverDocId": t.id,
			"fromCode": string(t.sender), "toCode": string(t.recipient), "notation": t.notation, "title": t.title,
			"sentTime": stamp(t.created), "receivedTime": received, "sendStatus": statusDone, "sendStatusDesc": describe(statusDone),
			"receiveStatus": t.status, "receiveStatusDesc": reason}
	}
	return map[string]any{"data": data}, nil
}

func (s *Server) list(ctx context.Context, c *call, read func(context.Context, *sqldb.Tx, string, listWindow) ([]transfer, error)) (list []transfer, err error) {
	w, err := window(c)
	if err != nil {
		return nil, err
	}
	err = s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = read(ctx, tx, c.system, w)
		return err
	})
	return list, err
}

func (s *Server) countReceived(ctx context.Context, c *call, r *http.Request) (map[string]any, error) {
	if strings.HasSuffix(strings.ToLower(r.URL.Path), "status") {
		c.params["messagetype"] = string(edxml.KindStatus)
	} else {
		c.params["messagetype"] = string(edxml.KindDocument)
	}
	list, err := s.list(ctx, c, selectInbox)
	return map[string]any{"data": len(list)}, err
}

// visible gives the copy that a call names, of those the system may see.
func (s *Server) visible(ctx context.Context, c *call) (t *transfer, err error) {
	err = s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		t, err = selectTransferFor(ctx, tx, c.system, c.params["docid"])
		return err
	})
	if err == nil && t == nil {
		err = fault(CodeNotFound, "Không tìm thấy văn bản.")
	}
	return t, err
}

// getEdoc gives the very bytes that were sent. Fetching alone changes nothing: the client says by updateStatus when it
// has stored what it fetched.
func (s *Server) getEdoc(ctx context.Context, c *call, _ *http.Request) (map[string]any, error) {
	t, err := s.visible(ctx, c)
	if err != nil {
		return nil, err
	}
	data, err := blob.ReadAll(ctx, s.cfg.Blobs, t.ref.Digest, s.cfg.MaxPacket)
	if err != nil {
		return nil, err
	}
	return map[string]any{"data": base64.StdEncoding.EncodeToString(data)}, nil
}

// transportState gives the state that a client's word means; clients say more than the axis keeps.
func transportState(word string) (string, bool) {
	switch strings.ToLower(word) {
	case "initial", "inbox":
		return statusInitial, true
	case "processing", "acceptance":
		return statusProcessing, true
	case "done":
		return statusDone, true
	case "fail", "rejection":
		return statusFail, true
	}
	return "", false
}

// updateStatus moves a copy on. A repeat or a step back changes nothing and is answered OK: clients repeat.
func (s *Server) updateStatus(ctx context.Context, c *call, _ *http.Request) (map[string]any, error) {
	status, known := transportState(c.params["status"])
	if !known {
		return nil, fault(CodeBadFile, "status %.40q is none of initial, processing, done, fail", c.params["status"])
	}
	now := s.cfg.Now()
	var ours []registry.AgencyID
	var t *transfer
	err := s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if t, err = selectTransferFor(ctx, tx, c.system, c.params["docid"]); err != nil || t == nil {
			return err
		}
		if ours, err = selectAgencies(ctx, tx, c.system); err != nil || !slices.Contains(ours, t.recipient) {
			return err
		}
		changed, err := setStatus(ctx, tx, t.id, status, c.params["status"], now)
		if err != nil || !changed || t.system != "" || t.kind != edxml.KindDocument {
			return err
		}
		return s.fetched(ctx, tx, t, status)
	})
	switch {
	case err != nil:
		return nil, err
	case t == nil || !slices.Contains(ours, t.recipient):
		return nil, fault(CodeNotFound, "Không tìm thấy văn bản.")
	}
	return map[string]any{"data": ""}, nil
}

func (s *Server) agenciesList(ctx context.Context, _ *call, _ *http.Request) (map[string]any, error) {
	return s.agencies(ctx, func(registry.Agency) map[string]any { return nil })
}

// synchronizeUnit gives the agencies with what a client needs to keep its own copy of the tree.
func (s *Server) synchronizeUnit(ctx context.Context, _ *call, _ *http.Request) (map[string]any, error) {
	now := s.cfg.Now()
	return s.agencies(ctx, func(a registry.Agency) map[string]any {
		return map[string]any{"centerCode": strings.SplitN(string(a.ID), ".", 2)[0], "version": 1, "deleted": !a.ActiveAt(now),
			"modifyDate": modified(a).Format(time.DateOnly), "isAgency": true}
	})
}

// modified is the day from which an agency is as it is.
func modified(a registry.Agency) time.Time {
	if !a.ValidTo.IsZero() {
		return a.ValidTo.In(vietnam())
	}
	return a.ValidFrom.In(vietnam())
}

func (s *Server) agencies(ctx context.Context, more func(registry.Agency) map[string]any) (map[string]any, error) {
	data := []map[string]any{}
	const page = 1000
	for filter := (registry.Filter{Limit: page}); ; {
		list, err := s.cfg.Registry.Agencies(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			row := map[string]any{"id": string(a.ID), "pid": string(a.Parent), "code": string(a.ID), "name": a.Name, "mail": a.Mail, "code102": a.LegacyCode}
			maps.Copy(row, more(a))
			data = append(data, row)
		}
		if len(list) < page {
			return map[string]any{"data": data}, nil
		}
		filter.After = list[len(list)-1].ID
	}
}

// registration is the body of registerAgency.
type registration struct {
	ID    string `json:"id"`
	PCode string `json:"pcode"`
	Code  string `json:"code"`
	Name  string `json:"name"`
	Mail  string `json:"mail"`
}

// registerAgency adds an agency under one that the system speaks for already; it speaks for the new one too.
func (s *Server) registerAgency(ctx context.Context, c *call, r *http.Request) (map[string]any, error) {
	var wanted registration
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&wanted); err != nil {
		return nil, fault(CodeBadFile, "the body is not the JSON of an agency")
	}
	var ours []registry.AgencyID
	err := s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		ours, err = selectAgencies(ctx, tx, c.system)
		return err
	})
	if err != nil {
		return nil, err
	}
	parent := registry.AgencyID(strings.ToUpper(wanted.PCode))
	if !slices.Contains(ours, parent) {
		return nil, fault(CodeUnknownSender, "Hệ thống không đại diện cho cơ quan cấp trên %.40q.", wanted.PCode)
	}
	agency := registry.Agency{ID: registry.AgencyID(wanted.Code), Name: wanted.Name, Mail: wanted.Mail, Parent: parent, Channel: exchange.ChannelAxis}
	if err := s.cfg.Registry.AddAgency(ctx, registry.System("axis:"+c.system), agency); err != nil {
		var said *registry.Error
		if errors.As(err, &said) {
			return nil, fault(CodeBadFile, "%s", said.Message)
		}
		return nil, err
	}
	id, err := registry.ParseAgencyID(wanted.Code)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return bindAgency(ctx, tx, c.system, id) })
}

// deleteAgency ends that the system speaks for an agency. The agency stays in the registry: closing it is an
// administrator's act with a successor.
func (s *Server) deleteAgency(ctx context.Context, c *call, _ *http.Request) (map[string]any, error) {
	id, err := registry.ParseAgencyID(c.params["agencycode"])
	if err != nil {
		return nil, fault(CodeUnknownRecipient, "AgencyCode %.40q is no code", c.params["agencycode"])
	}
	return nil, s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return unbindAgency(ctx, tx, c.system, id) })
}
