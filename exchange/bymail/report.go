package bymail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"strings"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	officemail "vanthu/mail"
	"vanthu/storage/sqldb"
)

// Bounds of a report: they come from anyone.
const (
	maxReport = 1 << 20 // bytes looked at
	maxParts  = 10
	maxFields = 64 << 10
)

// verdict is what a report says of a letter.
type verdict struct {
	kind   string // failed, delayed, delivered, displayed, deleted; "" = nothing that a program can tell
	reason string // Vietnamese, for failed
	detail string // the server's own words
}

// ReadReports looks at what came to the official accounts since the last time.
func (b *Bridge) ReadReports(ctx context.Context) error {
	var list []reading
	err := b.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = readings(ctx, tx, b.cfg.Now().Add(-2*lifetime))
		return err
	})
	for _, r := range list {
		err = errors.Join(err, b.readAccount(ctx, r))
	}
	return err
}

func (b *Bridge) readAccount(ctx context.Context, r reading) error {
	box, err := b.cfg.Mail.Mailbox(ctx, officemail.AccountID(r.account), officemail.Inbox)
	if err != nil {
		return fmt.Errorf("mailbox of reports: %w", err)
	}
	var fresh []officemail.Message
	set := officemail.UIDSet{{First: officemail.UID(r.uid) + 1, Last: officemail.MaxUID}}
	err = b.cfg.Mail.Messages(ctx, box.ID, set, false, func(m *officemail.Message) error {
		fresh = append(fresh, *m)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the mailbox of reports: %w", err)
	}
	for i := range fresh {
		m := &fresh[i]
		if err := b.readMessage(ctx, m); err != nil {
			return err
		}
		r.uid = max(r.uid, int64(m.UID))
		err := b.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return keepReading(ctx, tx, r) })
		if err != nil {
			return fmt.Errorf("recording how far reports were read: %w", err)
		}
	}
	return nil
}

// tagOf gives the tag of the address to which our own mail system delivered a message: its own line, on top of what came.
func tagOf(prefix string) string {
	for line := range strings.SplitSeq(prefix, "\r\n") {
		if to, ok := strings.CutPrefix(line, "Delivered-To: "); ok {
			local, _, _ := strings.Cut(to, "@")
			_, found, _ := strings.Cut(local, "+")
			return found
		}
	}
	return ""
}

func (b *Bridge) readMessage(ctx context.Context, m *officemail.Message) error {
	verp := tagOf(m.Prefix)
	if verp == "" {
		return nil
	}
	var l *letter
	err := b.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		l, err = letterBy(ctx, tx, "verp", verp)
		return err
	})
	if err != nil || l == nil {
		return err
	}
	body, err := b.cfg.Mail.Open(ctx, m)
	if err != nil {
		return fmt.Errorf("opening a report: %w", err)
	}
	defer body.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(body, maxReport))
	if err != nil {
		return fmt.Errorf("reading a report: %w", err)
	}
	v := parseReport(data)
	b.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "mail report", slog.String("letter", l.ID), slog.String("kind", v.kind))
	if v.kind == "" {
		return nil
	}
	return b.reported(ctx, l, v)
}

// reported records what a report says. Only a permanent failure ends the delivery, and only while nobody has answered.
func (b *Bridge) reported(ctx context.Context, l *letter, v verdict) error {
	sender, recipient := registry.AgencyID(l.Sender), registry.AgencyID(l.Recipient)
	err := b.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		said := exchange.MailReport{Sender: sender, Recipient: recipient, Axis: l.Axis, Kind: v.kind, Address: l.Address, Detail: v.detail}
		if err := b.cfg.Service.Reported(ctx, tx, said); err != nil || v.kind != "failed" {
			return err
		}
		fresh, err := settle(ctx, tx, l.ID, stateBounced, v.reason, b.cfg.Now())
		if err != nil || !fresh {
			return err
		}
		return b.cfg.Service.NotTaken(ctx, tx, sender, l.Axis, recipient, v.reason)
	})
	if err != nil {
		return fmt.Errorf("recording a mail report: %w", err)
	}
	return nil
}

// parseReport reads a multipart/report (RFC 6522); anything else says nothing.
func parseReport(data []byte) verdict {
	message, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return verdict{}
	}
	kind, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" {
		return verdict{}
	}
	parts := multipart.NewReader(message.Body, params["boundary"])
	for range maxParts {
		part, err := parts.NextRawPart()
		if err != nil {
			return verdict{}
		}
		fields := bufio.NewReader(io.LimitReader(part, maxFields))
		switch inner, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); inner {
		case "message/delivery-status", "message/global-delivery-status":
			return deliveryStatus(fields)
		case "message/disposition-notification", "message/global-disposition-notification":
			return disposition(fields)
		}
	}
	return verdict{}
}

// deliveryStatus reads the groups of fields of RFC 3464: the first is about the message, the others about recipients. A
// letter has one recipient; the worst action counts.
func deliveryStatus(in *bufio.Reader) verdict {
	out := verdict{}
	reader := textproto.NewReader(in)
	for range maxParts {
		fields, err := reader.ReadMIMEHeader()
		action := strings.ToLower(strings.TrimSpace(fields.Get("Action")))
		status := fields.Get("Status")
		switch action {
		case "failed":
			return verdict{kind: "failed", reason: failure(status), detail: clip(strings.TrimSpace(status+" "+fields.Get("Diagnostic-Code")), 300)}
		case "delayed", "delivered", "relayed", "expanded":
			out = verdict{kind: action, detail: clip(status, 100)}
		}
		if err != nil {
			break
		}
	}
	return out
}

// failure puts an enhanced status code (RFC 3463) in words that say what to do.
func failure(status string) string {
	_, class, _ := strings.Cut(strings.TrimSpace(status), ".")
	switch {
	case class == "2.2":
		return "Hộp thư nơi nhận đầy; liên hệ nơi nhận dọn hộp thư rồi gửi lại, hoặc gửi bản giấy."
	case class == "1.1" || class == "1.2" || class == "1.10":
		return "Địa chỉ thư nơi nhận không còn; sửa địa chỉ trong sổ đăng ký cơ quan rồi gửi lại."
	case class == "2.1":
		return "Hộp thư nơi nhận đã khóa; liên hệ nơi nhận rồi gửi lại."
	case class == "3.4" || class == "2.3":
		return "Thư quá lớn với nơi nhận; gửi qua kênh khác hoặc bản giấy."
	case strings.HasPrefix(class, "7."):
		return "Máy chủ thư nơi nhận từ chối vì chính sách; báo quản trị thư hai bên."
	}
	return "Thư không đến được nơi nhận; kiểm tra địa chỉ rồi gửi lại hoặc gửi bản giấy."
}

// disposition reads RFC 8098: that a message was displayed is no receipt, and says so in the evidence only.
func disposition(in *bufio.Reader) verdict {
	fields, err := textproto.NewReader(in).ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return verdict{}
	}
	_, kind, _ := strings.Cut(fields.Get("Disposition"), ";")
	kind, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(kind)), "/")
	if kind == "displayed" || kind == "deleted" {
		return verdict{kind: kind}
	}
	return verdict{}
}
