package edxml

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"
)

// sample is a small sound packet: what the cases below change.
func sample(t testing.TB) string {
	t.Helper()
	p := &Packet{Kind: KindDocument, Header: &MessageHeader{
		From: Organ{ID: "H03", Name: "Ủy ban nhân dân tỉnh"}, To: []Organ{{ID: "H03.12", Name: "Sở Nội vụ"}},
		DocumentID: "H03,2026/11/23,15/QĐ-UBND", Code: Code{Number: "15", Notation: "QĐ-UBND"},
		Promulgation: Promulgation{Place: "Bắc Kạn", Date: "2026/11/23"}, Type: DocumentType{Type: 2, Detail: 2, Name: "Quyết định"},
		Subject: "Về việc kiểm tra", Due: "2026/12/01", Other: OtherInfo{Amount: 1, Pages: 1}},
		Business: &Business{DocType: BusinessNew}, Trace: []TraceHeader{{OrganID: "H03", Timestamp: "2026/11/23 08:00:00"}},
		Attachments: []*Attachment{{ContentID: "a1", Name: "quyet-dinh.pdf", Open: opened([]byte("%PDF-1.4 content"))}}}
	var b bytes.Buffer
	if err := Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func opened(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

const content = "JVBERi0xLjQgY29udGVudA=="

// zipped gives a zip of one entry in Base64.
func zipped(t testing.TB, name string, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	entry, err := w.Create(name)
	if err == nil {
		_, err = entry.Write(data)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// asZip makes the sample's file one that is said to be zipped.
func asZip(s, encoded string) string {
	s = strings.Replace(s, "<ContentType>application/pdf", "<ContentType>application/zip", 1)
	return strings.Replace(s, content, encoded, 1)
}

func TestHostilePacketsAreRefusedWithTheirReason(t *testing.T) {
	s := sample(t)
	swap := func(old, with string) string {
		if !strings.Contains(s, old) {
			t.Fatalf("the sample has no %q", old)
		}
		return strings.Replace(s, old, with, 1)
	}
	afterProlog := func(with string) string { return swap("?>", "?>"+with) }
	utf16Text := []byte{0xfe, 0xff}
	for _, u := range utf16.Encode([]rune(s)) {
		utf16Text = append(utf16Text, byte(u>>8), byte(u))
	}
	cases := map[string]struct {
		packet string
		want   Reason
	}{
		"junk before the prolog":     {"1212" + s, Malformed},
		"doctype":                    {afterProlog(`<!DOCTYPE edXML>`), Doctype},
		"external entity":            {afterProlog(`<!DOCTYPE edXML [<!ENTITY x SYSTEM "file:///etc/hostname">]>`), Doctype},
		"parameter entity":           {afterProlog(`<!DOCTYPE edXML [<!ENTITY % p SYSTEM "http://127.0.0.1/x">%p;]>`), Doctype},
		"billion laughs":             {afterProlog(`<!DOCTYPE edXML [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>`), Doctype},
		"doctype within":             {swap("<edXML:Subject>", "<!DOCTYPE x><edXML:Subject>"), Doctype},
		"undeclared entity":          {swap("Về việc", "&x;"), Malformed},
		"wrong namespace":            {strings.ReplaceAll(s, Namespace, "http://www.e-doc.vn/Schema/"), WrongRoot},
		"no namespace":               {strings.ReplaceAll(s, ` xmlns="`+Namespace+`"`, ""), WrongRoot},
		"another root":               {"<html></html>", WrongRoot},
		"nothing":                    {"", Malformed},
		"half a packet":              {s[:len(s)/2], Malformed},
		"cut in a tag":               {s[:strings.Index(s, "<edXML:Subject>")+4], Malformed},
		"a second packet":            {s + s[strings.Index(s, "<edXML "):], Malformed},
		"text after the packet":      {s + "x", Malformed},
		"UTF-16":                     {string(utf16Text), Malformed},
		"another encoding":           {swap("UTF-8", "windows-1258"), Malformed},
		"UTF-7":                      {swap("UTF-8", "UTF-7"), Malformed},
		"bytes that are no UTF-8":    {swap("Về", "V\xff\xfe"), Malformed},
		"million attributes":         {swap("<edXML:Subject>", "<edXML:Subject"+strings.Repeat(` a="1"`, 1000)+">"), TooLarge},
		"one endless tag":            {swap("<edXML:Subject>", `<edXML:Subject a="`+strings.Repeat("x", 300<<10)+`">`), TooLarge},
		"one endless text":           {swap("Về việc", strings.Repeat("x", 300<<10)), TooLarge},
		"one endless comment":        {swap("<edXML:Subject>", "<!--"+strings.Repeat("x", 300<<10)+"--><edXML:Subject>"), TooLarge},
		"depth":                      {swap("Về việc", strings.Repeat("<a>", 100)), TooLarge},
		"elements":                   {swap("<edXML:Subject>", strings.Repeat("<a/>", 200001)+"<edXML:Subject>"), TooLarge},
		"10,001 recipients":          {swap("<edXML:To>", strings.Repeat("<edXML:To><edXML:OrganId>H03.1</edXML:OrganId></edXML:To>", 10001)+"<edXML:To>"), TooLarge},
		"a recipient twice":          {swap("<edXML:To>", "<edXML:To><edXML:OrganId>H03.12</edXML:OrganId></edXML:To><edXML:To>"), Duplicate},
		"two subjects":               {swap("<edXML:Subject>", "<edXML:Subject>x</edXML:Subject><edXML:Subject>"), Duplicate},
		"two senders":                {swap("<edXML:From>", "<edXML:From><edXML:OrganId>H01</edXML:OrganId></edXML:From><edXML:From>"), Duplicate},
		"two headers":                {swap("<edXML:MessageHeader>", "<edXML:MessageHeader></edXML:MessageHeader><edXML:MessageHeader>"), Duplicate},
		"a comment inside a code":    {swap("H03.12<", "H03<!-- -->.12<"), HiddenMarkup},
		"an instruction in a code":   {swap("H03.12<", "H03<?x y?>.12<"), HiddenMarkup},
		"an element inside a code":   {swap("H03.12<", "H03<x/>.12<"), HiddenMarkup},
		"no sender":                  {swap("<edXML:OrganId>H03</edXML:OrganId>", ""), Missing},
		"no recipient":               {strings.Replace(s, s[strings.Index(s, "<edXML:To>"):strings.Index(s, "</edXML:To>")+len("</edXML:To>")], "", 1), Missing},
		"no header":                  {"<edXML xmlns=\"" + Namespace + "\"/>", Missing},
		"a number that is none":      {swap("<edXML:Priority>0", "<edXML:Priority>urgent"), BadValue},
		"a path as a name":           {swap("<AttachmentName>quyet", "<AttachmentName>../quyet"), UnsafeName},
		"an absolute name":           {swap("<AttachmentName>quyet", "<AttachmentName>/etc/quyet"), UnsafeName},
		"a Windows path":             {swap("<AttachmentName>quyet", `<AttachmentName>C:\x\quyet`), UnsafeName},
		"a name that turns round":    {swap("<AttachmentName>quyet", "<AttachmentName>\u202efdp.exe"), UnsafeName},
		"Base64 that is none":        {swap(content, "!!!!"+content), BadBase64},
		"Base64 cut short":           {swap(content, content[:len(content)-3]), BadBase64},
		"Base64 after Base64":        {swap(content, content+content), BadBase64},
		"markup inside the Base64":   {swap(content, content[:8]+"<!-- -->"+content[8:]), HiddenMarkup},
		"CDATA after the Base64":     {swap(content, content+"<![CDATA[AAAA]]>"), HiddenMarkup},
		"a zip that is none":         {asZip(s, content), BadZip},
		"a zip with a way out":       {asZip(s, zipped(t, "../../x.pdf", []byte("x"))), UnsafeName},
		"a zip with an absolute way": {asZip(s, zipped(t, "/etc/x.pdf", []byte("x"))), UnsafeName},
		"an empty zip":               {asZip(s, base64.StdEncoding.EncodeToString([]byte("PK\x05\x06"+strings.Repeat("\x00", 18)))), BadZip},
		"a zip bomb":                 {asZip(s, zipped(t, "x.pdf", make([]byte, 64<<20))), BadZip},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := Decode(strings.NewReader(c.packet), DefaultLimits())
			if err == nil {
				t.Fatalf("read as %+v", p)
			}
			refusal := AsRefusal(err)
			if refusal == nil || refusal.Reason != c.want {
				t.Errorf("got %v, want reason %s", err, c.want)
			}
		})
	}
}

func TestOddButHarmlessFormsAreRead(t *testing.T) {
	s := sample(t)
	cases := map[string]string{
		"byte order mark":          "\xef\xbb\xbf" + s,
		"CDATA":                    strings.Replace(s, "Về việc kiểm tra", "<![CDATA[Về việc kiểm tra]]>", 1),
		"a comment between":        strings.Replace(s, "<edXML:Subject>", "<!-- x --><edXML:Subject>", 1),
		"undeclared xlink":         strings.Replace(s, "<edXML:Reference>", `<edXML:Reference xlink:href="cid:x">`, 1),
		"manifest by its old name": strings.ReplaceAll(s, "edXMLManifest", "Manifest"),
		"an empty answer":          strings.Replace(s, "<edXML:SteeringType>", "<edXML:ResponseFor><edXML:OrganId></edXML:OrganId></edXML:ResponseFor><edXML:SteeringType>", 1),
		"no cid":                   strings.ReplaceAll(s, "cid:", ""),
		"Base64 in lines":          strings.Replace(s, content, content[:8]+"\r\n\t "+content[8:]+"\n", 1),
		"blanks around a code":     strings.Replace(s, "<edXML:OrganId>H03.12<", "<edXML:OrganId>\r\n  H03.12 <", 1),
		"decomposed letters":       strings.Replace(s, "Về việc kiểm tra", "Vê\u0300 viê\u0323c kiê\u0309m tra", 1),
		"zipped without need":      asZip(s, zipped(t, "whatever.bin", []byte("%PDF-1.4 content"))),
		"no trace, no business":    s[:strings.Index(s, "<edXML:TraceHeaderList>")] + s[strings.Index(s, "</edXML:TraceHeaderList>")+len("</edXML:TraceHeaderList>"):],
	}
	for name, packet := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := Decode(strings.NewReader(packet), DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			data, err := p.Attachments[0].read()
			if err != nil {
				t.Fatal(err)
			}
			if string(data) != "%PDF-1.4 content" || p.Header.Subject != "Về việc kiểm tra" || p.Header.To[0].ID != "H03.12" || len(p.Header.ResponseFor) != 0 {
				t.Errorf("read as %+v, content %q", p.Header, data)
			}
		})
	}
	p, err := Decode(strings.NewReader(strings.Replace(s, "2026/12/01", "2026-12-01", 1)), DefaultLimits())
	if err != nil || p.Header.Due != "" {
		t.Errorf("a date in another form: %+v, %v; the national library reads none", p, err)
	}
}

// repeated gives n times the same bytes without holding them.
type repeated struct {
	piece []byte
	left  int64
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), r.left)], r.piece)
	r.left -= int64(n)
	return n, nil
}

func TestLargeAttachmentTakesLittleMemory(t *testing.T) {
	const size = 96 << 20
	s := sample(t)
	before, after, _ := strings.Cut(s, content)
	text := &repeated{piece: bytes.Repeat([]byte("QUJD"), 16<<10), left: size / 3 * 4}
	limits := DefaultLimits()
	limits.Dir = t.TempDir()
	var start, end runtime.MemStats
	runtime.ReadMemStats(&start)
	p, err := Decode(io.MultiReader(strings.NewReader(before), text, strings.NewReader(after)), limits)
	runtime.ReadMemStats(&end)
	if err != nil {
		t.Fatal(err)
	}
	if p.Attachments[0].Size != size {
		t.Errorf("%d bytes", p.Attachments[0].Size)
	}
	if used := end.TotalAlloc - start.TotalAlloc; used > 16<<20 {
		t.Errorf("%d bytes allocated for an attachment of %d", used, size)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(limits.Dir); err != nil || len(left) != 0 {
		t.Errorf("%d temporary files left: %v", len(left), err)
	}
}

func TestWriterRefusesWhatXMLCannotHold(t *testing.T) {
	for _, p := range []*Packet{
		{Kind: KindStatus, Status: &Status{From: Organ{ID: "H03", Name: "a\x00b"}}},
		{Kind: KindDocument, Header: &MessageHeader{}, Attachments: []*Attachment{{Name: "../x.pdf", Open: opened(nil)}}},
		{Kind: KindDocument},
		{},
	} {
		if err := Encode(io.Discard, p); AsRefusal(err) == nil {
			t.Errorf("%+v: got %v, want a refusal", p, err)
		}
	}
}

// FuzzDecode reads anything without a panic; what is read can be written and is read the same again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(sample(f)))
	for _, name := range packets(f) {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	limits := DefaultLimits()
	limits.Packet, limits.Attachment = 1<<20, 1<<20
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Decode(bytes.NewReader(data), limits)
		if err != nil {
			if AsRefusal(err) == nil {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		var packet bytes.Buffer
		if err := Encode(&packet, p); err != nil {
			if AsRefusal(err) == nil {
				t.Fatalf("writing again: %v", err)
			}
			return
		}
		again, err := Decode(&packet, limits)
		if err != nil {
			t.Fatalf("reading what was written: %v\n%s", err, packet.Bytes())
		}
		if p.Kind == KindDocument && (again.Header.DocumentID != p.Header.DocumentID || len(again.Attachments) != len(p.Attachments)) {
			t.Fatalf("%+v became %+v", p.Header, again.Header)
		}
	})
}
