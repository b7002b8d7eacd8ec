package mail

import (
	"strings"
	"testing"
)

func crlf(s string) []byte {
	return []byte(strings.ReplaceAll(strings.TrimPrefix(s, "\n"), "\n", "\r\n"))
}

const nested = `
From: =?utf-8?B?VsSDbiB0aMawIFPhu58=?= <vanthu@so.example>
To: Nh=?utf-8?q?=C3=B3m?=: a@x.example, "B, C" <b@y.example>;, d@z.example (a comment)
Cc: <@relay.example:e@w.example>
Subject: =?UTF-8?Q?Quy=E1=BA=BFt_=C4=91=E1=BB=8Bnh?=
 =?UTF-8?Q?_s=E1=BB=91_05?=
Date: Mon, 23 Nov 2026 13:00:00 +0700
Message-ID: <1@so.example>
In-Reply-To: <0@so.example> <00@so.example>
Received: from a by b; Mon, 23 Nov 2026 13:00:00 +0700
Content-Type: multipart/mixed; boundary="outer"; x=1

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

K=C3=ADnh g=E1=BB=ADi =
=C3=B4ng
line two
--inner
Content-Type: text/html

<p>Hi</p>
--inner--
--outer
Content-Type: message/rfc822

From: x@y.example
Subject: inside
Content-Type: text/plain

inner body
--outer
Content-Type: application/pdf; name="a.pdf"
Content-Disposition: attachment; filename*0*=utf-8''C%C3%B4ng%20; filename*1*=v%C4%83n.pdf
Content-Transfer-Encoding: base64

JVBERi0=
--outer--
epilogue
`

func TestParseNested(t *testing.T) {
	msg := crlf(nested)
	p := Parse(msg)
	e := p.Envelope
	if e.Subject != "Quyết định số 05" || e.MessageID != "1@so.example" || len(e.InReplyTo) != 2 || e.Date.IsZero() {
		t.Errorf("envelope: %+v", e)
	}
	if len(e.From) != 1 || e.From[0].Name != "Văn thư Sở" || e.From[0].Host != "so.example" {
		t.Errorf("from: %+v", e.From)
	}
	if got := len(e.To); got != 5 || e.To[0].Host != "" || e.To[2].Name != "B, C" || e.To[3] != (EnvelopeAddress{}) || e.To[4].Mailbox != "d" {
		t.Errorf("to: %+v", e.To)
	}
	if len(e.Cc) != 1 || e.Cc[0].Mailbox != "e" || e.Cc[0].Host != "w.example" {
		t.Errorf("cc: %+v", e.Cc)
	}
	if p.Received != 1 || !p.HasDate || !p.HasMessageID || !p.HasFrom || p.Size != int64(len(msg)) {
		t.Errorf("facts: %+v", p)
	}
	if p.Preview != "Kính gửi ông line two" {
		t.Errorf("preview %q", p.Preview)
	}
	body := func(path ...int) string {
		part, _ := p.Structure.find(path)
		if part == nil {
			return "<none>"
		}
		return string(msg[part.BodyStart:part.End])
	}
	for _, c := range []struct {
		path []int
		want string
	}{
		{[]int{1, 1}, "K=C3=ADnh g=E1=BB=ADi =\r\n=C3=B4ng\r\nline two"},
		{[]int{1, 2}, "<p>Hi</p>"},
		{[]int{2}, "From: x@y.example\r\nSubject: inside\r\nContent-Type: text/plain\r\n\r\ninner body"},
		{[]int{2, 1}, "inner body"},
		{[]int{3}, "JVBERi0="},
		{[]int{4}, "<none>"},
		{[]int{2, 2}, "<none>"},
	} {
		if got := body(c.path...); got != c.want {
			t.Errorf("part %v: %q, want %q", c.path, got, c.want)
		}
	}
	pdf, _ := p.Structure.find([]int{3})
	if pdf.Filename() != "Công văn.pdf" || !pdf.Attachment() {
		t.Errorf("attachment: %q %v", pdf.Filename(), pdf.Attachment())
	}
	if inner := p.Structure.Children[1].Children[0]; inner.Envelope == nil || inner.Envelope.Subject != "inside" {
		t.Errorf("inner envelope: %+v", inner)
	}
	if plain, _ := p.Structure.find([]int{1, 1}); plain.Lines != 2 {
		t.Errorf("lines %d", plain.Lines)
	}
}

func TestParseOdd(t *testing.T) {
	for name, msg := range map[string]string{
		"empty":               "",
		"no blank line":       "Subject: x\r\n",
		"only newline":        "\r\n",
		"bare header":         "Subject",
		"no boundary":         "Content-Type: multipart/mixed\r\n\r\n--\r\n",
		"unterminated":        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx",
		"no parts":            "Content-Type: multipart/mixed; boundary=b\r\n\r\nnothing",
		"part without header": "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b--\r\n",
		"message cut":         "Content-Type: message/rfc822\r\n",
		"digest":              "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: in\r\n\r\nx\r\n--b--\r\n",
	} {
		t.Run(name, func(t *testing.T) { checkParsed(t, []byte(msg)) })
	}
}

// checkParsed holds a parse to what every reader of it relies on.
func checkParsed(t *testing.T, msg []byte) {
	t.Helper()
	p := Parse(msg)
	if p.Size != int64(len(msg)) {
		t.Fatalf("size %d, want %d", p.Size, len(msg))
	}
	n := 0
	p.Structure.walk(func(part *Part) {
		n++
		if part.HeaderStart < 0 || part.BodyStart < part.HeaderStart || part.End < part.BodyStart || part.End > p.Size {
			t.Fatalf("part out of bounds: %+v of %d", part, p.Size)
		}
		if part.Type == "" || part.Subtype == "" || part.Lines < 0 {
			t.Fatalf("part without a type: %+v", part)
		}
		if part.Multipart() && len(part.Children) == 0 {
			t.Fatalf("multipart without parts: %+v", part)
		}
		for _, c := range part.Children {
			if c.HeaderStart < part.BodyStart || c.End > part.End {
				t.Fatalf("part %+v outside of %+v", c, part)
			}
		}
	})
	if n > 2*maxParts+2 {
		t.Fatalf("%d parts", n)
	}
	// The same bytes in other pieces give the same result.
	q := NewParser()
	for i := range msg {
		_, _ = q.Write(msg[i : i+1])
	}
	if got := q.Finish(); got.Envelope.Subject != p.Envelope.Subject || got.Structure.End != p.Structure.End || got.Preview != p.Preview {
		t.Fatalf("byte by byte differs: %+v and %+v", got, p)
	}
}

func TestParseBounds(t *testing.T) {
	deep := strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 5000)
	checkBounded(t, deep)
	many := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 20000)
	checkBounded(t, many)
	wide := "To: " + strings.Repeat("a@b.example, ", 300000) + "\r\n\r\nx"
	checkBounded(t, wide)
	fields := strings.Repeat("X-Y: z\r\n", 1_400_000) + "\r\nbody" // a header of over 10 MB
	checkBounded(t, fields)
	line := "\r\n" + strings.Repeat("x", 5<<20)
	checkBounded(t, line)
}

func checkBounded(t *testing.T, msg string) {
	t.Helper()
	p := Parse([]byte(msg))
	n, depth := 0, 0
	var walk func(part *Part, d int)
	walk = func(part *Part, d int) {
		n++
		depth = max(depth, d)
		for _, c := range part.Children {
			walk(c, d+1)
		}
	}
	walk(p.Structure, 1)
	if n > maxParts+1 || depth > maxDepth+1 || len(p.Envelope.To) > maxAddresses+1 || p.Size != int64(len(msg)) {
		t.Fatalf("%d parts, depth %d, %d addresses", n, depth, len(p.Envelope.To))
	}
}

func FuzzParse(f *testing.F) {
	f.Add(crlf(nested))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\n--b--"))
	f.Add([]byte("To: \"a\\\" <(c)b@c>, g:;,<@x:y@z>\r\nContent-Type: text/html; a*0*=x; a*1=\"y\r\n\r\n<b"))
	f.Fuzz(func(t *testing.T, msg []byte) { checkParsed(t, msg) })
}

func BenchmarkParse4K(b *testing.B) {
	msg := append(crlf(nested), []byte(strings.Repeat("x", 70)+"\r\n")...)
	for len(msg) < 4096 {
		msg = append(msg, []byte(strings.Repeat("x", 70)+"\r\n")...)
	}
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		Parse(msg)
	}
}
