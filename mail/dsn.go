package mail

import (
	"fmt"
	"mime"
	"strings"

	"vanthu/storage/blob"
)

// bounceMessage writes a multipart/report (RFC 6522) with a text for people in
// Vietnamese and English, the delivery-status fields (RFC 3464 §2) and the
// header of the message that could not be delivered.
func (s *Store) bounceMessage(sub *Submission, failed []QueueRow, header, id string) string {
	now := s.now()
	boundary := "report-" + string(blob.Sum([]byte(id)))[:24]
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: %s <MAILER-DAEMON@%s>", mime.QEncoding.Encode("utf-8", "Hệ thống thư"), s.hostname)
	line("To: <%s>", sub.Sender)
	line("Subject: %s", mime.QEncoding.Encode("utf-8", "Thư không gửi được (Undelivered mail)"))
	line("Date: %s", now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	line("Message-ID: <%s@%s>", strings.TrimPrefix(id, "bounce/"), s.hostname)
	line("Auto-Submitted: auto-replied")
	line("MIME-Version: 1.0")
	line(`Content-Type: multipart/report; report-type=delivery-status; boundary="%s"`, boundary)
	line("")
	line("--%s", boundary)
	line("Content-Type: text/plain; charset=utf-8")
	line("Content-Transfer-Encoding: 8bit")
	line("")
	line("Thư của ông/bà không đến được những người nhận sau. Máy chủ đã thôi không gửi nữa;")
	line("xin kiểm tra lại địa chỉ hoặc hỏi quản trị hệ thống.")
	line("Your message could not be delivered to the recipients below; it will not be tried again.")
	line("")
	for i := range failed {
		line("  <%s>", failed[i].Recipient)
		line("      %s", failed[i].Response)
	}
	line("")
	line("--%s", boundary)
	line("Content-Type: message/delivery-status")
	line("")
	line("Reporting-MTA: dns; %s", s.hostname)
	line("Arrival-Date: %s", sub.Created.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	for i := range failed {
		row := &failed[i]
		line("")
		line("Final-Recipient: %s; %s", addressType(row.Recipient), row.Recipient)
		line("Action: failed")
		line("Status: %s", statusCode(row.Code))
		line("Diagnostic-Code: smtp; %s", row.Response)
		line("Last-Attempt-Date: %s", row.Updated.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	}
	line("")
	line("--%s", boundary)
	line("Content-Type: text/rfc822-headers; charset=utf-8")
	line("Content-Transfer-Encoding: 8bit")
	line("")
	b.WriteString(strings.TrimRight(header, "\r\n") + "\r\n")
	line("--%s--", boundary)
	return b.String()
}

// addressType is the address type of a recipient (RFC 3464 §2.3.2, RFC 6533 §3).
func addressType(a Address) string {
	if a.ASCII() {
		return "rfc822"
	}
	return "utf-8"
}

// statusCode is an enhanced status code of RFC 3463, 5.0.0 when none is known.
func statusCode(code string) string {
	if len(code) >= 5 && code[1] == '.' {
		return code
	}
	return "5.0.0"
}
