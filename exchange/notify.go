package exchange

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"vanthu/exchange/registry"
	"vanthu/mail"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

const (
	notifyBatch    = 32
	notifyParallel = 8
)

// runNotify is the lane job that tells an agency's official account of each
// document that has arrived. The message's id is the delivery's, so a repeat
// reaches the mailbox once.
func (s *Service) runNotify(ctx context.Context, raw json.RawMessage) error {
	var to lane
	if err := json.Unmarshal(raw, &to); err != nil {
		return jobs.Cancel(fmt.Errorf("notification lane: %w", err))
	}
	if s.cfg.Mail == nil {
		return nil
	}
	defer s.lanes.lock("notify:" + string(to.Agency))()
	for turn := newTurn(); ; {
		var batch []Incoming
		err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			batch, err = selectUnnotified(ctx, tx, to.Agency, notifyBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("reading arrivals to notify: %w", err)
		}
		if len(batch) == 0 {
			return nil
		}
		if err := s.notify(ctx, batch); err != nil {
			return err
		}
		if len(batch) < notifyBatch {
			return nil
		}
		if err := turn.over(); err != nil {
			return err
		}
	}
}

func (s *Service) notify(ctx context.Context, batch []Incoming) error {
	agency, err := s.reg.Agency(ctx, batch[0].Agency)
	if err != nil {
		return fmt.Errorf("agency to notify: %w", err)
	}
	states := make([]int, len(batch))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(notifyParallel)
	for i := range batch {
		g.Go(func() (err error) {
			states[i], err = s.notifyOne(gctx, agency, &batch[i])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for i := range batch {
			if err := markNotified(ctx, tx, batch[i].ID, states[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("recording notifications: %w", err)
	}
	return nil
}

func (s *Service) notifyOne(ctx context.Context, agency *registry.Agency, in *Incoming) (state int, err error) {
	to, err := mail.ParseAddress(agency.Mail)
	if agency.Mail == "" || err != nil {
		return notifyNone, nil
	}
	from, err := mail.ParseAddress("vanthu@" + s.cfg.Domain)
	if err != nil {
		return notifyNone, fmt.Errorf("address of the notification's sender: %w", err)
	}
	sender := string(in.From)
	if a, err := s.reg.Agency(ctx, in.From); err == nil {
		sender = a.Name
	}
	message := notification(in, sender, string(from), string(to), s.cfg.Domain)
	_, err = s.cfg.Mail.Deliver(ctx, mail.Envelope{From: from, To: []mail.Address{to}, ID: "notify-" + string(in.ID)}, bytes.NewReader(message))
	switch {
	case errors.Is(err, mail.ErrNoRecipient), errors.Is(err, mail.ErrNotLocal), errors.Is(err, mail.ErrQuota), errors.Is(err, mail.ErrDisabled):
		s.log.LogAttrs(ctx, slog.LevelWarn, "notification not delivered", slog.String("agency", string(agency.ID)),
			slog.String("incoming", string(in.ID)), slog.String("error", err.Error()))
		return notifyNone, nil
	case err != nil:
		return notifyNone, fmt.Errorf("delivering notification: %w", err)
	}
	return notifyDone, nil
}

// notification is the message about one arrival.
func notification(in *Incoming, sender, from, to, domain string) []byte {
	var lines []string
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	line("Cơ quan nhận được một văn bản qua hệ thống vanthu.")
	line("")
	line("Số, ký hiệu: %s", in.Code)
	line("Trích yếu: %s", in.Subject)
	line("Nơi gửi: %s (%s)", sender, in.From)
	line("Người ký: %s", in.SignerName)
	line("Ngày ban hành: %s", in.Issued.In(Vietnam()).Format("02/01/2006"))
	line("Độ khẩn: %s", in.Priority.In("vi"))
	if !in.Due.IsZero() {
		line("Hạn xử lý: %s", in.Due.In(Vietnam()).Format("02/01/2006"))
	}
	line("Đến lúc: %s", in.Received.In(Vietnam()).Format("15:04:05 02/01/2006 -07:00"))
	line("")
	line("Văn thư đăng nhập hệ thống để kiểm tra, tiếp nhận và vào sổ văn bản đến.")

	return plainMessage(from, to, "[Văn bản đến] "+in.Code+": "+in.Subject, "<"+string(in.ID)+"@"+domain+">", in.Received, lines)
}

// plainMessage is a message of Vietnamese text (RFC 5322), the subject in encoded
// words (RFC 2047), one a line so that no line is over long, the text in Base64.
func plainMessage(from, to, about, id string, at time.Time, lines []string) []byte {
	subject := []rune(about)
	if len(subject) > 160 {
		subject = append(subject[:159], '…')
	}
	words := "\r\n " + strings.ReplaceAll(mime.BEncoding.Encode("utf-8", string(subject)), "?= =?", "?=\r\n =?")
	text := strings.Join(lines, "\r\n") + "\r\n"
	var m bytes.Buffer
	for _, h := range [][2]string{
		{"From", from}, {"To", to}, {"Subject", words}, {"Date", at.In(Vietnam()).Format("Mon, 02 Jan 2006 15:04:05 -0700")},
		{"Message-ID", id}, {"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "base64"},
	} {
		m.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	m.WriteString("\r\n")
	encoded := base64.StdEncoding.EncodeToString([]byte(text))
	for len(encoded) > 76 {
		m.WriteString(encoded[:76] + "\r\n")
		encoded = encoded[76:]
	}
	m.WriteString(encoded + "\r\n")
	return m.Bytes()
}
