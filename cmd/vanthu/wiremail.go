package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/smtp"
	"strconv"
	"strings"
	"time"
)

// The demonstration and the load use the hub's mail as any program would: over the wire, not through the store.

// wireTimeout bounds one conversation.
const wireTimeout = 30 * time.Second

// clientTLS trusts the hub's own authority and nothing else.
func clientTLS(authority *x509.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	return &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

// submitMail sends one message through the submission door with STARTTLS and AUTH PLAIN.
func submitMail(ctx context.Context, addr string, secure *tls.Config, from, password string, to []string, subject, body string) error {
	conn, err := dialWire(ctx, addr)
	if err != nil {
		return err
	}
	client, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		return errors.Join(fmt.Errorf("greet %s: %w", addr, err), conn.Close())
	}
	defer client.Close() //nolint:errcheck // after Quit it is closed already
	if err := client.StartTLS(secure); err != nil {
		return fmt.Errorf("STARTTLS: %w", err)
	}
	if err := client.Auth(smtp.PlainAuth("", from, password, "localhost")); err != nil {
		return fmt.Errorf("AUTH as %s: %w", from, err)
	}
	if err := client.Mail(from); err != nil {
		return fmt.Errorf("MAIL FROM %s: %w", from, err)
	}
	for _, recipient := range to {
		if err := client.Rcpt(recipient); err != nil {
			return fmt.Errorf("RCPT TO %s: %w", recipient, err)
		}
	}
	data, err := client.Data()
	if err != nil {
		return fmt.Errorf("DATA: %w", err)
	}
	message := fmt.Sprintf("From: <%s>\r\nTo: <%s>\r\nDate: %s\r\nMessage-ID: <%d.%s>\r\nSubject: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s\r\n",
		from, strings.Join(to, ">, <"), time.Now().Format(time.RFC1123Z), time.Now().UnixNano(), from, mime.QEncoding.Encode("utf-8", subject), strings.ReplaceAll(body, "\n", "\r\n"))
	if _, err := data.Write([]byte(message)); err != nil {
		return fmt.Errorf("DATA: %w", err)
	}
	if err := data.Close(); err != nil {
		return fmt.Errorf("end of DATA: %w", err)
	}
	return client.Quit()
}

func dialWire(ctx context.Context, addr string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(wireTimeout)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// imapSession is as much of an IMAP client as it takes to log in and read the subjects of a mailbox (RFC 9051).
type imapSession struct {
	conn net.Conn
	in   *bufio.Reader
	tag  int
}

// dialIMAP opens the TLS door and logs in.
func dialIMAP(ctx context.Context, addr string, secure *tls.Config, login, password string) (*imapSession, error) {
	plain, err := dialWire(ctx, addr)
	if err != nil {
		return nil, err
	}
	s := &imapSession{conn: tls.Client(plain, secure)}
	s.in = bufio.NewReader(s.conn)
	if _, err := s.in.ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("greeting of %s: %w", addr, err), plain.Close())
	}
	if _, err := s.command(fmt.Sprintf("LOGIN %q %q", login, password)); err != nil {
		return nil, errors.Join(fmt.Errorf("LOGIN as %s: %w", login, err), plain.Close())
	}
	return s, nil
}

// command sends one command and returns its untagged answers; an answer other than OK is an error.
func (s *imapSession) command(text string) ([]string, error) {
	s.tag++
	tag := "v" + strconv.Itoa(s.tag)
	if _, err := fmt.Fprintf(s.conn, "%s %s\r\n", tag, text); err != nil {
		return nil, err
	}
	var answers []string
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		line = strings.TrimRight(line, "\r\n")
		rest, tagged := strings.CutPrefix(line, tag+" ")
		if !tagged {
			answers = append(answers, line)
			continue
		}
		if !strings.HasPrefix(rest, "OK") {
			return nil, errors.New(rest)
		}
		return answers, nil
	}
}

// subjects returns the decoded subjects of INBOX, oldest first.
func (s *imapSession) subjects() ([]string, error) {
	answers, err := s.command("EXAMINE INBOX")
	if err != nil {
		return nil, err
	}
	empty := false
	for _, answer := range answers {
		empty = empty || answer == "* 0 EXISTS"
	}
	if empty {
		return nil, nil
	}
	answers, err = s.command("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
	if err != nil {
		return nil, err
	}
	var subjects []string
	var decoder mime.WordDecoder
	for _, line := range unfold(answers) {
		if subject, ok := strings.CutPrefix(line, "Subject: "); ok {
			decoded, err := decoder.DecodeHeader(subject)
			if err != nil {
				decoded = subject
			}
			subjects = append(subjects, decoded)
		}
	}
	return subjects, nil
}

// unfold joins continued header lines (RFC 5322 §2.2.3).
func unfold(lines []string) []string {
	var out []string
	for _, line := range lines {
		if len(out) > 0 && line != "" && (line[0] == ' ' || line[0] == '\t') {
			out[len(out)-1] += line
			continue
		}
		out = append(out, line)
	}
	return out
}

func (s *imapSession) logout() error {
	_, err := s.command("LOGOUT")
	return errors.Join(err, s.conn.Close())
}
