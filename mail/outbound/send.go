package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/emersion/go-smtp"
	"golang.org/x/net/idna"

	"vanthu/mail"
)

// result is what became of one recipient.
type result struct {
	state    mail.QueueState
	code     string // enhanced status code
	response string
}

func sent(text string) result { return result{mail.QueueSent, "2.0.0", text} }

// outcome judges an error: 5xx of the server about the message is final,
// everything else is tried again.
func outcome(err error) result {
	var login *authError
	var answer *smtp.SMTPError
	if errors.As(err, &answer) {
		code := fmt.Sprintf("%d.%d.%d", answer.EnhancedCode[0], answer.EnhancedCode[1], answer.EnhancedCode[2])
		if answer.EnhancedCode == (smtp.EnhancedCode{}) {
			code = fmt.Sprintf("%d.0.0", answer.Code/100)
		}
		r := result{mail.QueueWaiting, code, fmt.Sprintf("%d %s", answer.Code, strings.ReplaceAll(answer.Message, "\n", " "))}
		if answer.Code/100 == 5 && !errors.As(err, &login) {
			r.state = mail.QueueFailed
		}
		return r
	}
	if errors.Is(err, mail.ErrBareLine) {
		return result{mail.QueueFailed, "5.6.0", err.Error()}
	}
	return result{mail.QueueWaiting, "4.4.1", err.Error()}
}

// attempt sends to some rows and records what became of each.
func (s *Sender) attempt(ctx context.Context, sub *mail.Submission, rows []mail.QueueRow) error {
	if err := s.slots.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("waiting for a connection to the smarthost: %w", err)
	}
	defer s.slots.Release(1)
	results, err := s.send(ctx, sub, rows)
	if ctx.Err() != nil {
		return fmt.Errorf("sending %s: %w", sub.ID, context.Cause(ctx)) // shutting down: not an attempt
	}
	now := s.cfg.Now()
	for i := range rows {
		r := outcomeOr(results, i, err)
		row := &rows[i]
		row.Attempts++
		row.State, row.Code, row.Response = r.state, r.code, r.response
		row.Next = now.Add(s.cfg.Backoff(row.Attempts))
		if r.state == mail.QueueWaiting && !row.Next.Before(sub.Expires) {
			row.State, row.Code = mail.QueueFailed, "5.4.7"
			row.Response = "delivery time expired; the last answer was: " + r.response
		}
		s.log.LogAttrs(ctx, slog.LevelInfo, "mail sent on", slog.String("submission", string(sub.ID)), slog.String("state", string(row.State)),
			slog.Int("attempt", row.Attempts), slog.String("response", row.Response))
	}
	return s.cfg.Store.RecordAttempt(context.WithoutCancel(ctx), rows)
}

// outcomeOr is the i-th result, or the one that err means for all.
func outcomeOr(results []result, i int, err error) result {
	if i < len(results) && results[i].state != "" {
		return results[i]
	}
	return outcome(err)
}

// send runs one SMTP transaction. The error is about all rows without a result.
func (s *Sender) send(ctx context.Context, sub *mail.Submission, rows []mail.QueueRow) ([]result, error) {
	body, size, err := s.cfg.Store.OpenSubmission(ctx, sub)
	if err != nil {
		return nil, err
	}
	defer body.Close() //nolint:errcheck // read to its end, or given up
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := s.host.dial(ctx, s.cfg.Hostname, s.cfg.TLS)
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // QUIT was said, or the connection is broken
	utf8, _ := c.Extension("SMTPUTF8")
	if sub.UTF8 && !utf8 {
		return nil, &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 6, 7}, Message: "the smarthost does not take SMTPUTF8 messages"}
	}
	sender, _ := wire(sub.Sender, utf8)
	if err := c.Mail(sender, &smtp.MailOptions{Size: size, UTF8: sub.UTF8}); err != nil {
		return nil, fmt.Errorf("MAIL: %w", err)
	}
	results := make([]result, len(rows))
	accepted := 0
	for i := range rows {
		to, err := wire(rows[i].Recipient, utf8)
		if err == nil {
			err = c.Rcpt(to, nil)
		}
		if err == nil {
			accepted++
			continue
		}
		if !isAnswer(err) {
			return results, fmt.Errorf("RCPT: %w", err)
		}
		results[i] = outcome(err)
	}
	if accepted == 0 {
		return results, errors.Join(c.Quit())
	}
	text, err := transfer(c, body)
	if err != nil {
		return results, fmt.Errorf("DATA: %w", err)
	}
	for i := range results {
		if results[i].state == "" {
			results[i] = sent(text)
		}
	}
	_ = c.Quit()
	return results, nil
}

func isAnswer(err error) bool {
	var answer *smtp.SMTPError
	return errors.As(err, &answer)
}

// transfer sends the message and returns the answer to it. A message that
// cannot be read to its end is never finished: the connection is dropped
// before the final dot.
func transfer(c *smtp.Client, body io.Reader) (string, error) {
	w, err := c.Data()
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(w, mail.NewLineReader(body)); err != nil {
		return "", err
	}
	resp, err := w.CloseWithResponse()
	if err != nil {
		return "", err
	}
	return resp.StatusText, nil
}

// wire is an address as it travels: in UTF-8 where the server takes it, else
// with the domain in ASCII (RFC 5891). A local part in UTF-8 cannot travel then.
func wire(a mail.Address, utf8 bool) (string, error) {
	if a.ASCII() || utf8 {
		return string(a), nil
	}
	domain, err := idna.Lookup.ToASCII(a.Domain())
	if err != nil || !mail.Address(a.Local()).ASCII() {
		return "", &smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 6, 7}, Message: "the smarthost does not take addresses in UTF-8"}
	}
	return a.Local() + "@" + domain, nil
}
