package bymail

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/mail"
	"vanthu/signing"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// letter is one message to one agency.
type letter struct {
	ID, Delivery, Document, Axis, Sender, Recipient string
	Address, Account                                string
	Digest, Code, Subject, SenderName, ToName       string
	State, Note                                     string
	Tries                                           int64
	Created, Expires, Settled                       time.Time
}

// The states of a letter.
const (
	stateNew       = "new" // not yet with the mail system
	stateSent      = "sent"
	stateConfirmed = "confirmed"
	stateRefused   = "refused"
	stateBounced   = "bounced"
	stateClosed    = "closed" // too many wrong codes
)

// CarryDocument sends the letter of a delivery. Carrying it again sends nothing again.
func (b *Bridge) CarryDocument(ctx context.Context, c exchange.Consignment) error {
	l, account, err := b.letterOf(ctx, c)
	if err != nil || l.State != stateNew {
		return err
	}
	pdf, err := blob.ReadAll(ctx, b.cfg.Blobs, c.Envelope.Digest, b.cfg.MaxPDF)
	if err != nil {
		return fmt.Errorf("reading the document: %w", err)
	}
	key, err := b.cfg.SigningKey(ctx, c.Envelope.From)
	if err != nil {
		return fmt.Errorf("key of the letter: %w", err)
	}
	entity := b.entity(l, &c.Envelope, pdf)
	signed, err := signing.SignMessage(ctx, entity, key, signing.DetachedOptions{At: l.Created, TSA: b.cfg.TSA})
	if err != nil {
		return fmt.Errorf("signing the letter: %w", err)
	}
	local, domain, _ := strings.Cut(string(account.Address), "@")
	env := mail.Envelope{From: mail.Address(local + "+" + b.verp(l.ID) + "@" + domain), To: []mail.Address{mail.Address(l.Address)}, ID: "bymail/" + l.ID}
	message := append(b.header(l, account), signed...)
	if err := b.cfg.Mail.Submit(ctx, account, env, bytes.NewReader(message)); err != nil {
		return fmt.Errorf("handing the letter to the mail system: %w", err)
	}
	return b.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return markSent(ctx, tx, l.ID) })
}

// letterOf gives the letter of a delivery to its recipient of now, made at the first call.
func (b *Bridge) letterOf(ctx context.Context, c exchange.Consignment) (*letter, *mail.Account, error) {
	from, err := b.cfg.Registry.Agency(ctx, c.Envelope.From)
	if err != nil {
		return nil, nil, err
	}
	to, err := b.cfg.Registry.Agency(ctx, c.Envelope.To)
	if err != nil {
		return nil, nil, err
	}
	address, err := mail.ParseAddress(to.Mail)
	if err != nil {
		return nil, nil, registry.NewError(exchange.KindInvalid, "Cơ quan nhận chưa có địa chỉ thư công vụ trong sổ đăng ký.", "The recipient has no official mail address in the register.").Because(err)
	}
	sender, err := mail.ParseAddress(from.Mail)
	var account *mail.Account
	if err == nil {
		account, err = b.cfg.Mail.Account(ctx, sender)
	}
	if err != nil {
		return nil, nil, registry.NewError(exchange.KindInvalid, "Cơ quan gửi chưa có hộp thư công vụ trên hệ thống này.", "The sender has no official mailbox on this hub.").Because(errors.Join(errNoAccount, err))
	}
	now := b.cfg.Now().UTC().Truncate(time.Microsecond)
	number := fmt.Sprintf("%d/%s", c.Envelope.Number, c.Envelope.Notation)
	if c.Envelope.Number < 10 { // NĐ 30/2020 Điều 15
		number = "0" + number
	}
	l := &letter{ID: uuid.Must(uuid.NewV7()).String(), Delivery: string(c.Delivery), Document: string(c.Envelope.Document), Axis: c.Envelope.Axis,
		Sender: string(from.ID), Recipient: string(to.ID), Address: string(address), Account: string(account.ID), Digest: string(c.Envelope.Digest),
		Code: number, Subject: c.Envelope.Subject, SenderName: from.Name, ToName: to.Name, State: stateNew, Created: now, Expires: now.Add(lifetime)}
	err = b.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := insertLetter(ctx, tx, l, hashed(b.link(l.ID)), b.verp(l.ID)); err != nil {
			return err
		}
		kept, err := letterTo(ctx, tx, l.Delivery, l.Recipient)
		l = kept
		return err
	})
	return l, account, err
}

// encoded writes a header text as encoded words (RFC 2047), one a line.
func encoded(text string) string {
	return strings.ReplaceAll(mime.BEncoding.Encode("utf-8", text), "?= =?", "?=\r\n =?")
}

func clip(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// header are the fields of the message before those of its content.
func (b *Bridge) header(l *letter, account *mail.Account) []byte {
	var h bytes.Buffer
	for _, f := range [][2]string{
		{"From", encoded(clip(l.SenderName, 100)) + "\r\n <" + string(account.Address) + ">"},
		{"To", "<" + l.Address + ">"},
		{"Subject", encoded(clip("[Văn bản] "+l.Code+": "+l.Subject, 160))},
		{"Date", l.Created.In(exchange.Vietnam()).Format("Mon, 02 Jan 2006 15:04:05 -0700")},
		{"Message-ID", "<" + l.ID + "@" + b.cfg.Mail.Domain() + ">"},
		{"Disposition-Notification-To", "<" + string(account.Address) + ">"},
	} {
		h.WriteString(f[0] + ": " + f[1] + "\r\n")
	}
	return h.Bytes()
}

func wrapped(data []byte) string {
	const line = 76
	text := base64.StdEncoding.EncodeToString(data)
	var out strings.Builder
	for len(text) > line {
		out.WriteString(text[:line] + "\r\n")
		text = text[line:]
	}
	out.WriteString(text + "\r\n")
	return out.String()
}

// entity is what is signed: the text with link and code, and the document.
func (b *Bridge) entity(l *letter, env *exchange.Envelope, pdf []byte) []byte {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\r\n", args...) }
	line("Kính gửi: %s", l.ToName)
	line("")
	line("%s gửi văn bản kèm theo thư này (ký số S/MIME).", l.SenderName)
	line("Số, ký hiệu: %s", l.Code)
	line("Trích yếu: %s", l.Subject)
	line("Người ký: %s", env.SignerName)
	line("SHA-256 của tệp PDF: %s", l.Digest)
	line("")
	line("Đề nghị cán bộ văn thư xác nhận đã nhận, hoặc từ chối và nêu lý do, tại trang:")
	line("%s%s%s", strings.TrimSuffix(b.cfg.BaseURL(), "/"), PagePath, b.link(l.ID))
	line("Mã xác nhận (chỉ có trong thư này): %s", b.code(l.ID))
	line("Trang dùng được một lần, đến hết ngày %s.", l.Expires.In(exchange.Vietnam()).Format("02/01/2006"))
	line("")
	line("The document attached was sent by %s. Please confirm or refuse it on the page above,", l.Sender)
	line("with the confirmation code above.")
	boundary := "phan-" + b.verp(l.ID+"/entity")
	var e strings.Builder
	e.WriteString("Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary + "\r\n")
	e.WriteString("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrapped([]byte(text.String())))
	e.WriteString("--" + boundary + "\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=\"van-ban.pdf\"\r\n\r\n" + wrapped(pdf) + "--" + boundary + "--\r\n")
	return []byte(e.String())
}

// CarryReceipt would hand a status to a sender that is reached by mail; such an agency sends no documents over this hub.
func (b *Bridge) CarryReceipt(context.Context, *exchange.Receipt, exchange.Envelope) error {
	return registry.NewError(exchange.KindInvalid, "Không có kênh trả biên nhận cho cơ quan chỉ có thư.", "There is no way to return a receipt to an agency that has mail only.")
}

// CarryNotice sends what the sender asks of a document that was sent: a plain message under the same signature. It is
// answered by a person, by mail.
func (b *Bridge) CarryNotice(ctx context.Context, n *exchange.Notice, about exchange.Envelope) error {
	from, err := b.cfg.Registry.Agency(ctx, n.From)
	if err != nil {
		return err
	}
	to, err := b.cfg.Registry.Agency(ctx, n.To)
	if err != nil {
		return err
	}
	account, err := b.cfg.Mail.Account(ctx, mail.Address(from.Mail))
	if err != nil {
		return fmt.Errorf("%w: %w", errNoAccount, err)
	}
	key, err := b.cfg.SigningKey(ctx, n.From)
	if err != nil {
		return fmt.Errorf("key of the letter: %w", err)
	}
	what := "đề nghị thu hồi"
	if n.Kind == exchange.RequestUpdate {
		what = "thông báo cập nhật"
	}
	text := fmt.Sprintf("Kính gửi: %s\r\n\r\n%s %s văn bản số %d/%s: %s\r\nLý do: %s\r\n", to.Name, from.Name, what, about.Number, about.Notation, about.Subject, n.Reason)
	entity := "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrapped([]byte(text))
	signed, err := signing.SignMessage(ctx, []byte(entity), key, signing.DetachedOptions{At: n.At, TSA: b.cfg.TSA})
	if err != nil {
		return fmt.Errorf("signing the letter: %w", err)
	}
	l := &letter{ID: string(n.Request) + "." + uuid.NewSHA1(uuid.NameSpaceOID, []byte(n.To)).String(), SenderName: from.Name, Address: to.Mail,
		Code: fmt.Sprintf("%d/%s", about.Number, about.Notation), Subject: what, Created: n.At}
	env := mail.Envelope{From: account.Address, To: []mail.Address{mail.Address(to.Mail)}, ID: "bymail/" + l.ID}
	if err := b.cfg.Mail.Submit(ctx, account, env, bytes.NewReader(append(b.header(l, account), signed...))); err != nil {
		return fmt.Errorf("handing the letter to the mail system: %w", err)
	}
	return nil
}
